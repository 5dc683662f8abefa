"""Runs notebooks in Jupyter with jupyter-c-kernel and compares their output with that stored by `make notebooks`.

    jupyter.py FOLDER NAME.ipynb...

FOLDER holds notebook.h, and cflags and ldflags for an installed copy of the library; cells run there.  That kernel
answers "ok" even where a cell does not compile or fails, so any output on stderr counts as a failure.  TAP on stdout.
"""
import os
import sys

import nbformat
from nbclient import NotebookClient


def text_of(cell, stream):
    return "".join(o.text for o in cell.get("outputs", []) if o.output_type == "stream" and o.name == stream)


def fault(folder, path):
    """What is wrong with a notebook, or None."""
    with open(path, encoding="utf-8") as f:
        written = f.read()
    book = nbformat.reads(written, as_version=4)
    nbformat.validate(book)
    if nbformat.writes(book) + "\n" != written:
        return "Jupyter would save it in other bytes"
    stored = [text_of(c, "stdout") for c in book.cells]
    figures = sum(o.output_type == "display_data" for c in book.cells for o in c.get("outputs", []))
    if not figures:
        return "has no figure"
    NotebookClient(book, timeout=300, kernel_name="c", resources={"metadata": {"path": folder}}).execute()
    for number, (cell, before) in enumerate(zip(book.cells, stored), 1):
        errors, now = text_of(cell, "stderr"), text_of(cell, "stdout")
        if errors:
            return f"cell {number} writes to stderr: {errors.strip()[:500]}"
        if now != before:
            return f"cell {number} prints\n{now}\nand by make it printed\n{before}"
    return None


def main(folder, *paths):
    failed = 0
    for n, path in enumerate(paths, 1):
        wrong = fault(folder, path)
        failed += wrong is not None
        print(f"{'not ok' if wrong else 'ok'} {n} - {os.path.basename(path)} runs in Jupyter with the same text", flush=True)
        if wrong:
            print("\n".join("# " + line for line in wrong.splitlines()), flush=True)
    print(f"1..{len(paths)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
