"""LoRAs that `vernier adapter combine` makes of several, against add_weighted_adapter of peft, and LoRAs that
`vernier adapter approximate` makes of other methods, against the singular values that torch computes.

    python3 tests/oracle/combined.py build/release/vernier

Each pair of matrices that comes out must be the library's.  Needs peft 0.21 and transformers 4.57; without them it
prints "skipped" and ends well.
"""
import os
import subprocess
import sys
import tempfile

from libraries import need

peft, torch, hf = need(peft="0.21", torch="", transformers="4.57")
from safetensors.torch import load_file  # noqa: E402

TOLERANCE = 2e-6
ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SIZE = dict(vocab_size=60, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=64, **ENDS)
FAMILIES = {
    "bert": (hf.BertForMaskedLM, hf.BertConfig(**SIZE), ["query", "value"], ["value", "intermediate.dense"]),
    "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=4, n_positions=64, **ENDS),
             ["c_attn"], ["c_attn", "c_fc"]),
    "llama": (hf.LlamaForCausalLM, hf.LlamaConfig(**SIZE, num_key_value_heads=2), ["q_proj", "v_proj"],
              ["v_proj", "down_proj"]),
}
WEIGHTS = [0.7, -0.4]
COMBINATIONS = {  # vernier's options, and peft's
    "linear": ([], dict(combination_type="linear")),
    "cat": (["--combination-type", "cat"], dict(combination_type="cat")),
    "ties": (["--combination-type", "ties", "--density", "0.3"], dict(combination_type="ties", density=0.3)),
    "ties by count": (["--combination-type", "ties", "--density", "0.5", "--majority-sign-method", "frequency"],
                      dict(combination_type="ties", density=0.5, majority_sign_method="frequency")),
}


def stir(model, mark):
    for name, p in model.named_parameters():
        if mark in name:
            p.data.normal_(0, 0.3)


def make(kind, config, base, folder, name, **settings):
    torch.manual_seed(len(name) + settings["r"])
    model = peft.get_peft_model(kind.from_pretrained(base), peft.LoraConfig(**settings))
    stir(model, "lora_")
    model.save_pretrained(os.path.join(folder, name))
    return model


def gaps(folder, want):
    got = load_file(os.path.join(folder, "adapter_model.safetensors"))
    if set(got) != set(want):
        return f"has {sorted(set(got) ^ set(want))[:4]}"
    worst = max((got[k] - want[k]).abs().max().item() for k in want)
    return None if worst <= TOLERANCE else f"differs by {worst:.2g}"


def combine(run, family, folder):
    kind, config, first, second = FAMILIES[family]
    base = os.path.join(folder, "base")
    torch.manual_seed(3)
    kind(config).save_pretrained(base)
    for cat in (False, True):
        one, two = os.path.join(folder, f"one{cat}"), os.path.join(folder, f"two{cat}")
        make(kind, config, base, folder, f"one{cat}", r=4, lora_alpha=8, target_modules=first)
        make(kind, config, base, folder, f"two{cat}", r=6 if cat else 4, lora_alpha=5, target_modules=second)
        for name, (options, settings) in COMBINATIONS.items():
            if (name == "cat") != cat:
                continue
            model = peft.PeftModel.from_pretrained(kind.from_pretrained(base), one, adapter_name="one")
            model.load_adapter(two, adapter_name="two")
            model.add_weighted_adapter(["one", "two"], WEIGHTS, "sum", **settings)
            model.save_pretrained(os.path.join(folder, "theirs"), selected_adapters=["sum"])
            out = os.path.join(folder, name.replace(" ", "-"))
            run("adapter", "combine", one, two, out, "--base", base, f"--weights={WEIGHTS[0]},{WEIGHTS[1]}", *options)
            yield f"{family}/{name}", gaps(out, load_file(os.path.join(folder, "theirs", "sum", "adapter_model.safetensors")))


def approximate(run, family, folder):
    kind, config, first, _ = FAMILIES[family]
    base, out = os.path.join(folder, "base"), os.path.join(folder, "near")
    make(kind, config, base, folder, "dora", r=4, lora_alpha=8, target_modules=first, use_dora=True)
    run("adapter", "approximate", os.path.join(folder, "dora"), out, "--base", base, "--rank", "5")
    tuned = peft.PeftModel.from_pretrained(kind.from_pretrained(base), os.path.join(folder, "dora")).merge_and_unload()
    near = peft.PeftModel.from_pretrained(kind.from_pretrained(base), out).merge_and_unload()
    before = kind.from_pretrained(base).state_dict()
    for name, w in tuned.state_dict().items():
        change, found = w - before[name], near.state_dict()[name] - before[name]
        if change.abs().max() == 0:
            continue
        u, s, v = torch.linalg.svd(change.double(), full_matrices=False)
        best = (u[:, :5] * s[:5]) @ v[:5]
        worst = (found - best).abs().max().item()
        yield f"{family}/approximate/{name}", None if worst < 1e-5 else f"differs by {worst:.2g}"


def main(vernier):
    right = wrong = 0

    def run(*words):
        ran = subprocess.run([os.path.abspath(vernier), *words], capture_output=True, text=True)
        if ran.returncode:
            print("#", ran.stderr)

    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            for part in (combine, approximate):
                for name, why in part(run, family, folder):
                    right, wrong = right + (not why), wrong + bool(why)
                    if why:
                        print(f"not ok - {name}: {why}")
    print(f"{right} of {right + wrong} are the library's")
    return wrong > 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
