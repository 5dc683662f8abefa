#!/usr/bin/env python3
"""Writes a model with random weights in BF16, to measure memory and speed at a size that nobody has to download.

    python3 tests/bench/random_model.py llama-1.1b DIR     TinyLlama's shape: 2.2 GB
    python3 tests/bench/random_model.py roberta-large DIR  0.7 GB
"""
import json
import os
import random
import struct
import sys

LLAMA = dict(model_type="llama", architectures=["LlamaForCausalLM"], hidden_size=2048, intermediate_size=5632,
             num_hidden_layers=22, num_attention_heads=32, num_key_value_heads=4, vocab_size=32000,
             max_position_embeddings=2048, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu",
             tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)
ROBERTA = dict(model_type="roberta", architectures=["RobertaForMaskedLM"], hidden_size=1024, intermediate_size=4096,
               num_hidden_layers=24, num_attention_heads=16, vocab_size=50265, max_position_embeddings=514,
               type_vocab_size=1, layer_norm_eps=1e-5, hidden_act="gelu", pad_token_id=1, bos_token_id=0,
               eos_token_id=2)


def llama(c):
    d, f, kv = c["hidden_size"], c["intermediate_size"], c["hidden_size"] // 8
    yield "model.embed_tokens.weight", (c["vocab_size"], d)
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        for name, shape in (("self_attn.q_proj", (d, d)), ("self_attn.k_proj", (kv, d)), ("self_attn.v_proj", (kv, d)),
                            ("self_attn.o_proj", (d, d)), ("mlp.gate_proj", (f, d)), ("mlp.up_proj", (f, d)),
                            ("mlp.down_proj", (d, f)), ("input_layernorm", (d,)), ("post_attention_layernorm", (d,))):
            yield at + name + ".weight", shape
    yield "model.norm.weight", (d,)
    yield "lm_head.weight", (c["vocab_size"], d)


def roberta(c):
    d, f = c["hidden_size"], c["intermediate_size"]

    def layer(name, *shape):
        yield name + ".weight", shape
        yield name + ".bias", shape[:1]

    at = "roberta.embeddings."
    for name, rows in (("word", c["vocab_size"]), ("position", 514), ("token_type", 1)):
        yield f"{at}{name}_embeddings.weight", (rows, d)
    yield from layer(at + "LayerNorm", d)
    for i in range(c["num_hidden_layers"]):
        at = f"roberta.encoder.layer.{i}."
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            yield from layer(f"{at}attention.{name}", d, d)
        yield from layer(at + "attention.output.LayerNorm", d)
        yield from layer(at + "intermediate.dense", f, d)
        yield from layer(at + "output.dense", d, f)
        yield from layer(at + "output.LayerNorm", d)
    yield from layer("lm_head.dense", d, d)
    yield from layer("lm_head.layer_norm", d)
    yield "lm_head.bias", (c["vocab_size"],)


SHAPES = {"llama-1.1b": (LLAMA, llama), "roberta-large": (ROBERTA, roberta)}


def values(n, ones, pool):
    if ones:
        return b"\x80\x3f" * n
    start = random.randrange(len(pool) // 4) * 2
    return ((pool[start:] + pool) * (2 * n // len(pool) + 1))[:2 * n]


def main(shape, path):
    config, tensors = SHAPES[shape]
    random.seed(1)
    pool = b"".join(struct.pack("<f", random.gauss(0, 0.02))[2:] for _ in range(1 << 20))
    header, at = {}, 0
    for name, dims in tensors(config):
        n = 2
        for dim in dims:
            n *= dim
        header[name] = dict(dtype="BF16", shape=list(dims), data_offsets=[at, at + n])
        at += n
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "config.json"), "w") as f:
        json.dump(config, f, indent=1)
    text = json.dumps(header).encode()
    with open(os.path.join(path, "model.safetensors"), "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, dims in tensors(config):
            n = (header[name]["data_offsets"][1] - header[name]["data_offsets"][0]) // 2
            f.write(values(n, len(dims) == 1 and "bias" not in name.lower(), pool))


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in SHAPES:
        sys.exit(__doc__)
    main(*sys.argv[1:])
