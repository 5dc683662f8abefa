"""The third-party libraries of an oracle, in the releases that it was written for.

    from libraries import need
    hf, peft = need(transformers="4.57", peft="0.21")

Where one is missing or of another release, the script says "skipped" and ends well.  The libraries are silent
afterwards, and torch computes on one thread.
"""
import importlib
import logging
import sys
import warnings


def need(**releases):
    sys.path.pop(0)  # where the scripts stand, one of them in the place of the library "adapters"
    found = []
    for name, release in releases.items():
        try:
            found.append(importlib.import_module(name))
        except ImportError as missing:
            print(f"skipped: {missing}")
            sys.exit(0)
        if not found[-1].__version__.startswith(release):
            print(f"skipped: {name} is {found[-1].__version__}, expected {release}")
            sys.exit(0)
    import torch
    import transformers
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    return found
