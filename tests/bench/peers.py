"""The jobs of `vernier bench` in PyTorch, transformers and peft, side by side: `make bench-peers`.

    python3 tests/bench/peers.py build/vernier [JOB...]         the table; COMMITS, RECORDS and ROUNDS from the environment
    python3 tests/bench/peers.py --job roberta/lora 2 3 sdpa    one job: threads, rounds, way; seconds, peak MB

Steps: same shapes, same trainable parts, same dropout, same optimiser (clip 1, AdamW), float32, random weights and ids.
The models are written as the transformers library writes them.  The epoch and the features run transformers (and peft)
themselves, on batches of the lengths that `vernier bench --lengths` wrote.  Every job runs in a process of its own;
PyTorch's is tried eagerly, with scaled_dot_product_attention and compiled, and the best counts.
"""
import math
import os
import resource
import subprocess
import sys
import tempfile
import time

WAY = "eager"  # or sdpa, or compile, which is sdpa compiled


def attention(q, k, v, heads, p, causal=False):
    import torch
    import torch.nn.functional as F
    b, t, c = q.shape

    def split(x):
        return x.view(b, -1, heads, c // heads).transpose(1, 2)

    q, k, v = split(q), split(k), split(v)
    if WAY != "eager":
        return F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=causal).transpose(1, 2).reshape(b, t, c)
    scores = q @ k.transpose(-1, -2) / math.sqrt(c // heads)
    if causal:
        seen = torch.ones(t, t, dtype=torch.bool).tril()
        scores = scores.masked_fill(~seen, float("-inf"))
    return (F.dropout(scores.softmax(-1), p) @ v).transpose(1, 2).reshape(b, t, c)


def roberta(method, scored):
    """Returns (step function of the loss, parameters)."""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    C, H, L, V, HIDDEN, B, T, P = 768, 12, 12, 50265, 3072, 8, 256, 0.1

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.q, self.k, self.v, self.o = (nn.Linear(C, C) for _ in range(4))
            self.up, self.down = nn.Linear(C, HIDDEN), nn.Linear(HIDDEN, C)
            self.n1, self.n2 = nn.LayerNorm(C), nn.LayerNorm(C)
            for p in self.parameters():
                p.requires_grad_(method == "full")
            if method == "lora":
                self.qa, self.va = nn.Linear(C, 8, bias=False), nn.Linear(C, 8, bias=False)
                self.qb, self.vb = nn.Linear(8, C, bias=False), nn.Linear(8, C, bias=False)
            if method == "prefix":
                self.pk, self.pv = nn.Parameter(torch.randn(20, C)), nn.Parameter(torch.randn(20, C))
            if method == "pfeiffer":
                self.ad, self.au = nn.Linear(C, 48), nn.Linear(48, C)

        def forward(self, x):
            q, k, v = self.q(x), self.k(x), self.v(x)
            if method == "lora":
                q, v = q + self.qb(self.qa(x)), v + self.vb(self.va(x))
            if method == "prefix":
                k = torch.cat([self.pk.expand(x.shape[0], -1, -1), k], 1)
                v = torch.cat([self.pv.expand(x.shape[0], -1, -1), v], 1)
            p = P if method != "forward" else 0.0
            x = self.n1(x + F.dropout(self.o(attention(q, k, v, H, p)), p))
            s = F.dropout(self.down(F.gelu(self.up(x))), p)
            if method == "pfeiffer":
                s = s + self.au(F.relu(self.ad(self.n2(s + x))))
            return self.n2(x + s)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.tok, self.pos = nn.Embedding(V, C), nn.Embedding(514, C)
            self.typ, self.norm = nn.Embedding(1, C), nn.LayerNorm(C)
            for p in self.parameters():
                p.requires_grad_(method == "full")
            self.layers = nn.ModuleList(Layer() for _ in range(L))
            self.dense, self.out = nn.Linear(C, C), nn.Linear(C, 2)
            if scored:
                self.head_norm, self.bias = nn.LayerNorm(C), nn.Parameter(torch.zeros(V))
                for p in [*self.dense.parameters(), *self.head_norm.parameters(), self.bias]:
                    p.requires_grad_(method == "full")

        def hidden(self, ids):
            at = torch.arange(2, 2 + ids.shape[1])
            x = self.norm(self.tok(ids) + self.pos(at) + self.typ.weight[0])
            x = F.dropout(x, P if method != "forward" else 0.0)
            for layer in self.layers:
                x = layer(x)
            return x

        def loss(self, ids, target):
            x = self.hidden(ids)
            if scored:  # the head sees the masked positions only, as fairseq does it
                x = self.head_norm(F.gelu(self.dense(x[target >= 0])))
                return F.cross_entropy(F.linear(x, self.tok.weight, self.bias), target[target >= 0])
            x = torch.tanh(self.dense(F.dropout(x[:, 0], P)))
            return F.cross_entropy(self.out(F.dropout(x, P)), target)

    model, ids = Model(), torch.randint(3, V, (B, T))
    target = torch.arange(B) % 2
    if scored:
        target = torch.full((B, T), -1)
        target[:, torch.arange(scored) * T // scored] = torch.randint(3, V, (B, scored))
    if method == "forward":
        return lambda: model.hidden(ids), None
    return lambda: model.loss(ids, target), [p for p in model.parameters() if p.requires_grad]


def toy():
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    C, V, B, T, P = 96, 10, 64, 20, 0.1
    m = nn.ModuleDict({
        "tok": nn.Embedding(V, C), "pos": nn.Embedding(T, C), "n1": nn.LayerNorm(C), "qkv": nn.Linear(C, 3 * C),
        "o": nn.Linear(C, C), "n2": nn.LayerNorm(C), "up": nn.Linear(C, 4 * C), "down": nn.Linear(4 * C, C),
        "nf": nn.LayerNorm(C), "head": nn.Linear(C, V, bias=False)})
    ids, target = torch.randint(0, V, (B, T)), torch.randint(0, V, (B, T))
    target[:, :10] = -1
    at = torch.arange(T)

    def gelu(x):  # fused where this PyTorch has it
        return F.gelu(x, approximate="tanh")

    def loss():
        x = F.dropout(m["tok"](ids) + m["pos"](at), P)
        q, k, v = m["qkv"](m["n1"](x)).split(C, 2)
        x = x + F.dropout(m["o"](attention(q, k, v, 1, P, True)), P)
        x = x + F.dropout(m["down"](gelu(m["up"](m["n2"](x)))), P)
        return F.cross_entropy(m["head"](m["nf"](x)).view(-1, V), target.view(-1), ignore_index=-1)

    return loss, list(m.parameters())


def generate(prompt=32, new=64, rounds=4):
    """Seconds a token of greedy decoding, one row, with a key/value cache, at the size of GPT-2 small."""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
    C, H, L, V, T = 768, 12, 12, 50257, 1024
    layers = nn.ModuleList(nn.ModuleDict({
        "n1": nn.LayerNorm(C), "qkv": nn.Linear(C, 3 * C), "o": nn.Linear(C, C), "n2": nn.LayerNorm(C),
        "up": nn.Linear(C, 4 * C), "down": nn.Linear(4 * C, C)}) for _ in range(L))
    tok, pos, norm = nn.Embedding(V, C), nn.Embedding(T, C), nn.LayerNorm(C)

    def heads(x):
        return x.view(1, -1, H, C // H).transpose(1, 2)

    def feed(ids, at, cache):
        x = tok(ids) + pos(torch.arange(at, at + len(ids)))
        for i, m in enumerate(layers):
            q, k, v = map(heads, m["qkv"](m["n1"](x)[None]).split(C, 2))
            if at:
                k, v = torch.cat([cache[i][0], k], 2), torch.cat([cache[i][1], v], 2)
            cache[i] = k, v
            scores = q @ k.transpose(-1, -2) / math.sqrt(C // H)
            if len(ids) > 1:
                scores = scores.masked_fill(~torch.ones(scores.shape[2:], dtype=torch.bool).tril(), float("-inf"))
            x = x + m["o"]((scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, C))
            x = x + m["down"](F.gelu(m["up"](m["n2"](x)), approximate="tanh"))
        return (norm(x[-1]) @ tok.weight.T).argmax()[None]

    best = float("inf")
    with torch.inference_mode():
        for _ in range(rounds):
            cache, ids = [None] * L, torch.arange(prompt)
            ids = feed(ids, 0, cache)
            start = time.perf_counter()
            for i in range(new):
                ids = feed(ids, prompt + i, cache)
            best = min(best, (time.perf_counter() - start) / new)
    return best


def batches(path):
    """The epoch's batches: random ids of the given lengths, padded to the longest row, and the mask."""
    import torch
    for line in open(path):
        length = [int(n) for n in line.split()]
        ids = torch.ones(len(length), max(length), dtype=torch.long)
        for row, n in zip(ids, length):
            row[:n] = torch.randint(4, 8000, (n,))
        yield ids, (ids != 1).long()


def encoder(layers, head):
    import transformers
    kind = transformers.RobertaForSequenceClassification if head else transformers.RobertaModel
    config = transformers.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1,
                                        num_hidden_layers=layers, layer_norm_eps=1e-5,
                                        attn_implementation="eager" if WAY == "eager" else "sdpa")
    return kind(config)


def epoch(path):
    """Seconds of one epoch of LoRA (rank 8 on queries and values), as transformers and peft train it."""
    import peft
    import torch
    model = peft.get_peft_model(encoder(12, True), peft.LoraConfig(task_type="SEQ_CLS", r=8, lora_alpha=8,
                                                                   target_modules=["query", "value"])).train()
    params = [p for p in model.parameters() if p.requires_grad]
    adamw = torch.optim.AdamW(params, lr=1e-4)
    start = time.perf_counter()
    for ids, mask in batches(path):
        model(input_ids=ids, attention_mask=mask, labels=torch.arange(len(ids)) % 2).loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        adamw.step()
        adamw.zero_grad()
    return time.perf_counter() - start


def features(layers, path):
    """Seconds of the hidden states of all layers."""
    import torch
    model = encoder(layers, False).eval()
    start = time.perf_counter()
    with torch.inference_mode():
        for ids, mask in batches(path):
            model(input_ids=ids, attention_mask=mask, output_hidden_states=True)
    return time.perf_counter() - start


def print_times(seconds):
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def run_job(name, threads, rounds, way, lengths=None):
    import torch
    global WAY
    WAY = way
    torch.set_num_threads(threads)
    kind, what = name.split("/")
    if kind == "tune":
        return print_times(epoch(lengths))
    if kind == "features":
        return print_times(features(int(what), lengths))
    if kind == "generate":
        return print_times(generate())
    what = what.replace("-checkpointed", "")  # PyTorch as its users run it by default
    scored = 38 if what.startswith("mlm-") else 0
    method = what.replace("mlm-", "")
    loss, params = toy() if kind == "toy" else roberta(method, scored)
    if way == "compile":
        loss = torch.compile(loss)
    block = 50 if kind == "toy" else 1
    if kind == "toy":
        rounds = 12
    if params:  # one fused loop over all parameters is the faster of PyTorch's two on small ones
        adamw = torch.optim.AdamW(params, lr=5e-4, weight_decay=0.01, foreach=kind == "toy")

    def step():
        if params is None:
            with torch.inference_mode():
                loss()
            return
        adamw.zero_grad(set_to_none=True)
        loss().backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        adamw.step()

    best = float("inf")
    for i in range(rounds + 1):
        start = time.perf_counter()
        for _ in range(block):
            step()
        if i:
            best = min(best, (time.perf_counter() - start) / block)
    print_times(best)


def child(*arguments):
    """Seconds and peak MB, or None where this PyTorch cannot run the job this way (no compiler for torch.compile)."""
    out = subprocess.run([sys.executable, __file__, "--job", *map(str, arguments)], capture_output=True, text=True)
    return tuple(map(float, out.stdout.split()[-2:])) if out.returncode == 0 else None


def best_of(name, rounds, lengths):
    """The fastest way of PyTorch: (seconds, MB), way, threads."""
    kind = name.split("/")[0]
    ways = {"tune": ("sdpa", "eager"), "features": ("sdpa", "eager"), "generate": ("eager",)}
    threads = 1 if kind == "toy" else os.cpu_count()
    tried = {way: child(name, threads, rounds, way, *([lengths] if kind in ("tune", "features") else []))
             for way in ways.get(kind, ("eager", "sdpa", "compile"))}
    if kind == "generate":
        tried["one thread"] = child(name, 1, rounds, "eager")
    way = min((w for w in tried if tried[w]), key=lambda w: tried[w][0])
    return tried[way], way


def versions():
    import importlib.metadata as metadata
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    found = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers", "peft"))
    return f"{os.cpu_count()} cores of {cpu}; {found}"


def main():
    if sys.argv[1] == "--job":
        return run_job(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
    lengths = os.path.join(tempfile.mkdtemp(), "lengths")
    records, commits = os.environ.get("RECORDS"), os.environ.get("COMMITS", "256")
    options = ["--commits", commits, "--lengths", lengths] + (["--records", records] if records else [])
    print(versions(), flush=True)
    print(f"{commits} {'commits of ' + records if records else 'synthetic commits'} in the epoch and for the features\n")
    print("| job | Vernier | PyTorch | its way | faster | share of our bound | peak MB | PyTorch |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    ours = subprocess.run([sys.argv[1], "bench", "--lines", *options, *sys.argv[2:]], capture_output=True, text=True,
                          check=True).stdout
    for line in ours.splitlines():
        name, seconds, bound, *_, peak = line.split()
        if name.startswith("text/"):  # PyTorch has no tokenizer
            continue
        (theirs, memory), way = best_of(name, os.environ.get("ROUNDS", "3"), lengths)
        unit = (1, "s") if float(seconds) >= 1 else (1e3, "ms")
        print(f"| {name} | {unit[0] * float(seconds):.3g} {unit[1]} | {unit[0] * theirs:.3g} {unit[1]} | {way} |"
              f" {theirs / float(seconds):.2f}x | {float(bound) / float(seconds):.0%} | {float(peak):.0f} | {memory:.0f} |",
              flush=True)


main()
