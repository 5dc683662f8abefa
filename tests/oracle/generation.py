"""Generation as folders configure it: random settings, random tiny models, the Transformers library and vernier.

    python3 tests/oracle/generation.py build/release/vernier [SETTINGS [SEED]]

For each setting a folder gets a generation_config.json of random keys (or a config.json that has them); the library's
generate() and `vernier generate --json` must write the same ids.  Needs transformers 4.57 or 5 and torch; without them
it prints "skipped" and ends well.  Greedy decoding and beam search are compared, which leave nothing to chance.
Settings that transformers 5 rejects as contradictory are left out.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

try:
    import torch
    import transformers
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(0)
if not transformers.__version__.startswith(("4.57", "5.")):
    print(f"skipped: transformers is {transformers.__version__}, expected 4.57 or 5")
    sys.exit(0)
transformers.logging.set_verbosity_error()

WORDS = ["the", "int", "x", "==", "return", "if"]


def byte_pieces():  # GPT-2's spelling of the 256 bytes
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return {**{b: chr(b) for b in shown}, **{b: chr(256 + i) for i, b in enumerate(hidden)}}


def write_tokenizer(folder, kind):
    vocab = {t: i for i, t in enumerate(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])}
    for piece in byte_pieces().values():
        vocab[piece] = len(vocab)
    config = {"tokenizer_class": kind, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    with open(os.path.join(folder, "vocab.json"), "w") as f:
        json.dump(vocab, f)
    with open(os.path.join(folder, "merges.txt"), "w") as f:
        f.write("#version: 0.2\n")
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump(config, f)
    return len(vocab)


def gpt2(vocab):
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=vocab, n_embd=16, n_layer=1, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=2))


def bart(vocab):
    return transformers.BartForConditionalGeneration(transformers.BartConfig(
        vocab_size=vocab, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=64))


def some(r, chance, value):
    return value if r.random() < chance else None


def random_keys(r, vocab, family):
    """Keys of generation_config.json; few tokens are made likely enough that ends and rules matter."""
    ids = lambda n: [r.randrange(5, vocab) for _ in range(n)]
    keys = {
        "eos_token_id": r.choice([2, ids(1)[0], ids(3), ids(8)]),
        "max_new_tokens": some(r, 0.7, r.randint(3, 14)),
        "max_length": some(r, 0.3, r.randint(30, 40)),
        "min_length": some(r, 0.3, r.randint(3, 12)),
        "min_new_tokens": some(r, 0.3, r.randint(1, 6)),
        "repetition_penalty": some(r, 0.3, r.choice([0.7, 1.3, 2.5])),
        "encoder_repetition_penalty": some(r, 0.2, r.choice([0.8, 1.5])),
        "no_repeat_ngram_size": some(r, 0.3, r.randint(1, 3)),
        "encoder_no_repeat_ngram_size": some(r, 0.2, r.randint(1, 2)),
        "bad_words_ids": some(r, 0.3, [ids(1), ids(2), ids(1)]),
        "forced_bos_token_id": some(r, 0.2, ids(1)[0]),
        "forced_eos_token_id": some(r, 0.3, r.choice([2, ids(2)])),
        "suppress_tokens": some(r, 0.3, ids(40)),
        "begin_suppress_tokens": some(r, 0.3, ids(60)),
        "exponential_decay_length_penalty": some(r, 0.2, [r.randint(0, 4), 1.5]),
    }
    if r.random() < 0.6:
        keys.update(num_beams=r.randint(2, 5), length_penalty=r.choice([-1.0, 0.0, 0.5, 1.0, 2.0]),
                    early_stopping=r.choice([False, True, "never"]), renormalize_logits=some(r, 0.3, True))
    # Where the library's own answer is an accident: a sum of both infinities, a penalty on one beam alone, and which
    # of several ends with equal scores comes first.
    if keys["min_length"] or keys["min_new_tokens"] or keys["suppress_tokens"] or keys["bad_words_ids"]:
        keys["exponential_decay_length_penalty"] = None
    if "num_beams" in keys:
        keys["encoder_repetition_penalty"] = None
        keys["forced_eos_token_id"] = some(r, 0.3, 2)
    if family == "bart":
        keys["decoder_start_token_id"] = r.choice([2, 0, ids(1)[0]])
    return {k: v for k, v in keys.items() if v is not None} | {"bos_token_id": 0, "pad_token_id": 1}


def ended(ids, eos):
    """Up to the first end, which is kept; what follows is padding."""
    for i, token in enumerate(ids):
        if token in eos:
            return ids[:i + 1]
    return ids


def compare(vernier, folder, model, family, keys, text):
    """Whether both write the same; None where the library rejects the settings."""
    with open(os.path.join(folder, "generation_config.json"), "w") as f:
        json.dump(keys, f)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    try:
        model.generation_config = transformers.GenerationConfig.from_pretrained(folder)
    except ValueError:
        return None
    prompt = tokenizer(text, return_tensors="pt").input_ids
    limit = {} if "max_new_tokens" in keys or "max_length" in keys else {"max_new_tokens": 9}
    out = model.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, **limit)[0].tolist()
    eos = keys["eos_token_id"] if isinstance(keys["eos_token_id"], list) else [keys["eos_token_id"]]
    want = ended(out[1 if family == "bart" else prompt.shape[1]:], eos)
    words = [vernier, "generate", folder, "--text", text, "--json"] + (["--max-new-tokens", "9"] if limit else [])
    ran = subprocess.run(words, capture_output=True, text=True)
    got = json.loads(ran.stdout)["ids"] if ran.returncode == 0 else ran.stderr.strip()
    if got == want:
        return True
    print(f"not ok - {family} {json.dumps(keys)}\n#   {text!r}: vernier {got}\n#   the library {want}")
    return False


def main(vernier, settings=60, seed=1):
    r, wrong, done = random.Random(seed), 0, 0
    for family, kind, build in (("gpt2", "GPT2Tokenizer", gpt2), ("bart", "BartTokenizer", bart)):
        for start in range(3):
            with tempfile.TemporaryDirectory() as folder:
                vocab = write_tokenizer(folder, kind)
                torch.manual_seed(100 * seed + start)
                model = build(vocab).eval()
                for p in model.parameters():
                    p.data.normal_(0, 0.4) if p.dim() > 1 else p.data.add_(torch.randn_like(p) * 0.1)
                model.save_pretrained(folder)
                for _ in range(settings // 6):
                    text = " ".join(r.choice(WORDS) for _ in range(r.randint(1, 4)))
                    same = compare(vernier, folder, model, family, random_keys(r, vocab, family), text)
                    wrong += same is False
                    done += same is not None
    print(f"{done - wrong} of {done} settings give the library's ids")
    return wrong > 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], *(int(x) for x in sys.argv[2:])))
