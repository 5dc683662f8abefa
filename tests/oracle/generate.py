"""Four small transformers in plain PyTorch, float64, and what they answer.

    /usr/bin/python3 tests/oracle/generate.py tests/golden/torch      (Debian's python3-torch; nothing else)

Writes roberta/, gpt2/, bart/ and t5/ below the folder: config.json and model.safetensors (random float32 weights
under the names of the Transformers library), outputs.safetensors (embeddings, hidden states, attention, logits,
gradients, all float64) and golden.json (inputs, losses, gradient norms).  tests/nn/test_oracle.c compares.

Written from the papers and from the layouts that the checkpoints document, one formula a line, to be read beside
src/nn: no line is shared with it, and none is there for speed.
"""
import json
import math
import os
import struct
import sys

import torch

V, D, H, F, L = 11, 6, 2, 8, 2  # vocabulary, width, heads, feed-forward, layers
PAD = {"roberta": 1, "gpt2": 0, "bart": 1, "t5": 0}


# ---- weights: a dict of leaves, made at first use, so that a model's text is its list of parameters


class Weights(dict):
    def __init__(self, seed):
        super().__init__()
        self.random = torch.Generator().manual_seed(seed)

    def make(self, name, shape, mean=0.0, sd=0.5):
        if name not in self:
            value = (mean + sd * torch.randn(*shape, generator=self.random)).float().double()
            self[name] = value.requires_grad_()
        return self[name]


def linear(w, name, x, out, bias=True):  # y = x W' + b, W (out, in)
    y = x @ w.make(name + ".weight", (out, x.shape[-1])).T
    return y + w.make(name + ".bias", (out,)) if bias else y


def conv1d(w, name, x, out):  # GPT-2 keeps W (in, out)
    return x @ w.make(name + ".weight", (x.shape[-1], out)) + w.make(name + ".bias", (out,))


def layer_norm(w, name, x, eps):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    gain, bias = w.make(name + ".weight", (D,), 1.0, 0.2), w.make(name + ".bias", (D,), 0.0, 0.2)
    return (x - mean) / torch.sqrt(variance + eps) * gain + bias


def rms_norm(w, name, x, eps):
    return x / torch.sqrt((x ** 2).mean(-1, keepdim=True) + eps) * w.make(name + ".weight", (D,), 1.0, 0.2)


def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def gelu_tanh(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


# ---- attention


def heads(x):  # (B,T,H*K) -> (B,H,T,K)
    return x.view(x.shape[0], x.shape[1], H, -1).transpose(1, 2)


def attend(q, k, v, visible, scale, bias=0.0):  # visible: (B,1,T,S) or (1,1,T,S) of bool
    scores = heads(q) @ heads(k).transpose(2, 3) * scale + bias
    probs = torch.softmax(scores.masked_fill(~visible, -math.inf), -1)
    mixed = (probs @ heads(v)).transpose(1, 2)
    return mixed.reshape(mixed.shape[0], mixed.shape[1], -1), probs


def keys(mask):  # (B,S) -> (B,1,1,S)
    return mask.bool()[:, None, None, :]


def causal(t):
    return torch.ones(t, t).tril().bool()[None, None]


# ---- the four families.  `out` collects what is compared.


def roberta(w, out, ids, mask):
    pos = torch.cumsum(ids.ne(1), 1) * ids.ne(1) + 1
    e = "roberta.embeddings."
    table = w.make(e + "word_embeddings.weight", (V, D))
    x = table[ids] + w.make(e + "position_embeddings.weight", (10, D))[pos]
    x = x + w.make(e + "token_type_embeddings.weight", (1, D))[0]
    x = out["embeddings"] = layer_norm(w, e + "LayerNorm", x, 1e-5)
    for i in range(L):
        n = f"roberta.encoder.layer.{i}."
        q, k, v = (linear(w, f"{n}attention.self.{a}", x, D) for a in ("query", "key", "value"))
        y, out[f"attention/{i}"] = attend(q, k, v, keys(mask), (D // H) ** -0.5)
        x = layer_norm(w, n + "attention.output.LayerNorm", x + linear(w, n + "attention.output.dense", y, D), 1e-5)
        y = linear(w, n + "output.dense", gelu(linear(w, n + "intermediate.dense", x, F)), D)
        x = out[f"hidden/{i}"] = layer_norm(w, n + "output.LayerNorm", x + y, 1e-5)
    x = layer_norm(w, "lm_head.layer_norm", gelu(linear(w, "lm_head.dense", x, D)), 1e-5)
    return x @ table.T + w.make("lm_head.bias", (V,))


def gpt2(w, out, ids, mask):
    t = ids.shape[1]
    table = w.make("transformer.wte.weight", (V, D))
    x = out["embeddings"] = table[ids] + w.make("transformer.wpe.weight", (10, D))[:t]
    for i in range(L):
        n = f"transformer.h.{i}."
        q, k, v = conv1d(w, n + "attn.c_attn", layer_norm(w, n + "ln_1", x, 1e-5), 3 * D).split(D, -1)
        y, out[f"attention/{i}"] = attend(q, k, v, causal(t) & keys(mask), (D // H) ** -0.5)
        x = x + conv1d(w, n + "attn.c_proj", y, D)
        y = gelu_tanh(conv1d(w, n + "mlp.c_fc", layer_norm(w, n + "ln_2", x, 1e-5), F))
        x = out[f"hidden/{i}"] = x + conv1d(w, n + "mlp.c_proj", y, D)
    x = out[f"hidden/{L - 1}"] = layer_norm(w, "transformer.ln_f", x, 1e-5)  # as the library lists it
    return x @ table.T


def bart_stack(w, out, side, ids, visible, memory=None, memory_visible=None):
    table = w.make("model.shared.weight", (V, D))
    x = table[ids] * math.sqrt(D)
    x = x + w.make(f"model.{side}.embed_positions.weight", (10 + 2, D))[2:2 + ids.shape[1]]
    x = out[side + "/embeddings"] = layer_norm(w, f"model.{side}.layernorm_embedding", x, 1e-5)

    def attention(name, x, source, visible):
        q, k, v = (linear(w, f"{name}.{a}_proj", s, D) for a, s in (("q", x), ("k", source), ("v", source)))
        y, probs = attend(q, k, v, visible, (D // H) ** -0.5)
        return layer_norm(w, name + "_layer_norm", x + linear(w, name + ".out_proj", y, D), 1e-5), probs

    for i in range(L):
        n = f"model.{side}.layers.{i}."
        x, out[f"{side}/attention/{i}"] = attention(n + "self_attn", x, x, visible)
        if memory is not None:
            x, out[f"cross/attention/{i}"] = attention(n + "encoder_attn", x, memory, memory_visible)
        y = linear(w, n + "fc2", gelu(linear(w, n + "fc1", x, F)), D)
        x = out[f"{side}/hidden/{i}"] = layer_norm(w, n + "final_layer_norm", x + y, 1e-5)
    return x


def bart(w, out, src, src_mask, ids):
    memory = bart_stack(w, out, "encoder", src, keys(src_mask))
    x = bart_stack(w, out, "decoder", ids, causal(ids.shape[1]), memory, keys(src_mask))
    return x @ w["model.shared.weight"].T + w.make("final_logits_bias", (1, V))


K, BUCKETS, FAR = 2, 8, 6  # T5: head size (H K is not D), buckets, distance of the last


def bucket(rel, both_ways):  # rel: key minus query position
    n, base = (BUCKETS // 2, BUCKETS // 2 if rel > 0 else 0) if both_ways else (BUCKETS, 0)
    r, exact = (abs(rel) if both_ways else max(-rel, 0)), n // 2
    if r < exact:
        return base + r
    return base + min(n - 1, exact + int(math.log(r / exact) / math.log(FAR / exact) * (n - exact)))


def t5_stack(w, out, side, ids, visible, memory=None, memory_visible=None):
    x = out[side + "/embeddings"] = w.make("shared.weight", (V, D), 0.0, 1.0)[ids]
    n, t = f"{side}.block.", ids.shape[1]
    table = w.make(n + "0.layer.0.SelfAttention.relative_attention_bias.weight", (BUCKETS, H))
    where = torch.tensor([[bucket(j - i, side == "encoder") for j in range(t)] for i in range(t)])
    bias = table[where].permute(2, 0, 1)[None]

    def attention(name, x, source, visible, bias):
        q, k, v = (linear(w, f"{name}.{a}", s, H * K, False) for a, s in (("q", x), ("k", source), ("v", source)))
        y, probs = attend(q, k, v, visible, 1.0, bias)
        return linear(w, name + ".o", y, D, False), probs

    for i in range(L):
        b, sub = f"{n}{i}.layer.", 0
        h = rms_norm(w, b + "0.layer_norm", x, 1e-6)
        y, out[f"{side}/attention/{i}"] = attention(b + "0.SelfAttention", h, h, visible, bias)
        x = x + y
        if memory is not None:
            h, sub = rms_norm(w, b + "1.layer_norm", x, 1e-6), 1
            y, out[f"cross/attention/{i}"] = attention(b + "1.EncDecAttention", h, memory, memory_visible, 0.0)
            x = x + y
        dense = f"{b}{sub + 1}.DenseReluDense."
        h = linear(w, dense + "wi", rms_norm(w, f"{b}{sub + 1}.layer_norm", x, 1e-6), F, False)
        x = out[f"{side}/hidden/{i}"] = x + linear(w, dense + "wo", torch.relu(h), D, False)
    x = out[f"{side}/hidden/{L - 1}"] = rms_norm(w, f"{side}.final_layer_norm", x, 1e-6)
    return x


def t5(w, out, src, src_mask, ids):
    memory = t5_stack(w, out, "encoder", src, keys(src_mask))
    x = t5_stack(w, out, "decoder", ids, causal(ids.shape[1]), memory, keys(src_mask))
    return x * D ** -0.5 @ w["shared.weight"].T


# ---- inputs and files

IDS = [[0, 5, 7, 9, 2], [0, 8, 2, 1, 1]]
MASK = [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
LABELS = [[-100, 5, -100, 4, -100], [-100, 10, 2, -100, -100]]
TARGET = [[4, 9, 6, 2], [3, 2, -100, -100]]


def shifted(family):  # one to the right; BART begins with the target's last token, T5 with padding
    rows = [[t for t in row if t >= 0] for row in TARGET]
    rows = [([row[-1]] if family == "bart" else [0]) + row[:-1] for row in rows]
    return [row + [PAD[family]] * (len(TARGET[0]) - len(row)) for row in rows]


def inputs_of(family):
    pad = PAD[family]
    ids = [[t if m else pad for t, m in zip(a, b)] for a, b in zip(IDS, MASK)]
    inputs = {"input_ids": ids, "attention_mask": MASK, "labels": LABELS}
    if family in ("bart", "t5"):
        inputs.update(decoder_input_ids=shifted(family), labels=TARGET)
    return inputs


CONFIG = {
    "roberta": dict(architectures=["RobertaForMaskedLM"], hidden_size=D, num_hidden_layers=L, num_attention_heads=H,
                    intermediate_size=F, max_position_embeddings=10, type_vocab_size=1, layer_norm_eps=1e-5,
                    pad_token_id=1, bos_token_id=0, eos_token_id=2),
    "gpt2": dict(architectures=["GPT2LMHeadModel"], n_embd=D, n_layer=L, n_head=H, n_inner=F, n_positions=10,
                 bos_token_id=0, eos_token_id=2),
    "bart": dict(architectures=["PLBartForConditionalGeneration"], d_model=D, encoder_layers=L, decoder_layers=L,
                 encoder_attention_heads=H, decoder_attention_heads=H, encoder_ffn_dim=F, decoder_ffn_dim=F,
                 max_position_embeddings=10, scale_embedding=True, is_encoder_decoder=True),
    "t5": dict(architectures=["T5ForConditionalGeneration"], d_model=D, d_kv=K, d_ff=F, num_layers=L, num_heads=H,
               relative_attention_num_buckets=BUCKETS, relative_attention_max_distance=FAR, eos_token_id=2,
               decoder_start_token_id=0, is_encoder_decoder=True),
}


def save(path, tensors, kind):
    code, size = {"F32": ("f", 4), "F64": ("d", 8)}[kind]
    head, at, data = {"__metadata__": {"format": "pt"}}, 0, []
    for name in sorted(tensors):
        value = tensors[name].detach().reshape(-1).tolist()
        head[name] = {"dtype": kind, "shape": list(tensors[name].shape), "data_offsets": [at, at + size * len(value)]}
        data.append(struct.pack(f"<{len(value)}{code}", *value))
        at += size * len(value)
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))


def generate(root, family, model, seed):
    folder = os.path.join(root, family)
    os.makedirs(folder, exist_ok=True)
    w, out, inputs = Weights(seed), {}, inputs_of(family)
    given = {k: torch.tensor(v) for k, v in inputs.items()}
    args = [given["input_ids"], given["attention_mask"]]
    logits = model(w, out, *args, *([given["decoder_input_ids"]] if "decoder_input_ids" in given else []))
    out["logits"] = logits
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, V), given["labels"].reshape(-1))
    loss.backward()
    norms = {name: p.grad.norm().item() for name, p in w.items() if name != "final_logits_bias"}
    for name in w:
        if "relative" in name or "position" in name or "shared" in name:
            out["grad/" + name] = w[name].grad
    save(os.path.join(folder, "model.safetensors"), w, "F32")
    save(os.path.join(folder, "outputs.safetensors"), out, "F64")
    case = {"inputs": inputs, "arrays": {k: {"shape": list(v.shape)} for k, v in out.items()},
            "outputs": {"loss": loss.item(), "loss_f64": loss.item(), "grad_norms_f64": norms}}
    config = dict(CONFIG[family], model_type="plbart" if family == "bart" else family, vocab_size=V)
    for name, content in (("config.json", config), ("golden.json", {"cases": {"case": case}})):
        with open(os.path.join(folder, name), "w") as f:
            f.write(json.dumps(content, sort_keys=True) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for number, family in enumerate((roberta, gpt2, bart, t5)):
        generate(sys.argv[1], family.__name__, family, 17 + number)
