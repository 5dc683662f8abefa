"""Folders that `vernier tune` writes for tasks on tables, loaded by transformers and peft as their README.md says.

    python3 tests/oracle/tuned.py build/release/vernier [GLOB]

Random tiny models of several families are tuned for a step or two with each method and task.  What `vernier predict`
gives for a row must be what the folder gives in the libraries.  GLOB chooses among FAMILY/TASK/METHOD.  Needs peft 0.21
and transformers 4.57; without them it prints "skipped" and ends well.
"""
import fnmatch
import json
import os
import subprocess
import sys
import tempfile

from libraries import need

peft, tk, torch, hf = need(peft="0.21", tokenizers="", torch="", transformers="4.57")

TOLERANCE = 2e-5
WORDS = "the film was good bad fine poor a story and it is very".split()
MARKS = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
SIZE = dict(vocab_size=len(MARKS) + len(WORDS), hidden_size=16, intermediate_size=24, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=40, pad_token_id=0, bos_token_id=1, eos_token_id=2)
GPT2 = dict(vocab_size=SIZE["vocab_size"], n_embd=16, n_layer=2, n_head=2, n_positions=40, pad_token_id=0, bos_token_id=1,
            eos_token_id=2)
T5 = dict(vocab_size=SIZE["vocab_size"], d_model=16, d_kv=8, d_ff=24, num_layers=2, num_heads=2, decoder_start_token_id=0,
          pad_token_id=0, eos_token_id=2)
FAMILIES = {
    "bert": (hf.BertModel, hf.BertConfig(**SIZE)),
    "bert-no-pooler": (lambda c: hf.BertModel(c, add_pooling_layer=False), hf.BertConfig(**SIZE)),
    "roberta": (hf.RobertaModel, hf.RobertaConfig(**SIZE)),
    "modernbert": (hf.ModernBertModel, hf.ModernBertConfig(**SIZE, cls_token_id=1, sep_token_id=2, local_attention=8)),
    "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config(**GPT2)),
    "llama": (hf.LlamaForCausalLM, hf.LlamaConfig(**SIZE)),
    "t5": (hf.T5ForConditionalGeneration, hf.T5Config(**T5)),
}
TASKS = ("classify", "pair", "regress")
METHODS = ("lora", "dora", "ia3", "norms", "prefix", "prompt", "full")
CLASS = {"tokens": hf.AutoModelForTokenClassification}


def make_model(family, folder):
    kind, config = FAMILIES[family]
    torch.manual_seed(5)
    model = kind(config).eval()
    for p in model.parameters():
        p.data.add_(0.2 * torch.randn(p.shape))
    model.save_pretrained(folder)
    t = tk.Tokenizer(tk.models.WordLevel({w: i for i, w in enumerate(MARKS + WORDS)}, unk_token="<unk>"))
    t.pre_tokenizer = tk.pre_tokenizers.Whitespace()
    t.post_processor = tk.processors.TemplateProcessing(
        single="<s>:0 $A:0 </s>:0", pair="<s>:0 $A:0 </s>:0 $B:1 </s>:1" if family.startswith("bert") else
        "<s>:0 $A:0 </s>:0 $B:0 </s>:0", special_tokens=[("<s>", 1), ("</s>", 2)])
    names = ["input_ids", "attention_mask"] + (["token_type_ids"] if family.startswith("bert") else [])
    hf.PreTrainedTokenizerFast(tokenizer_object=t, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
                               unk_token="<unk>", mask_token="<mask>", model_input_names=names).save_pretrained(folder)


def rows_of(task):
    rows = []
    for i in range(24):
        words = [WORDS[(i * 7 + 3 * k * k + i * k) % len(WORDS)] for k in range(3 + i % 5)]
        row = {"text": " ".join(words), "label": ["no", "yes", "perhaps"][i % 3]}
        if task == "pair":
            row["text_pair"] = " ".join(reversed(words[1:]))
        if task == "regress":
            row["label"] = 100 + 7.5 * (i % 4)
        if task == "tokens":
            row["label"] = " ".join("B" if w in ("good", "bad") else "O" for w in words)
        rows.append(row)
    return rows


def load(task, base, folder, classes):
    """As README.md has it."""
    kind = CLASS.get(task, hf.AutoModelForSequenceClassification)
    tokenizer = hf.AutoTokenizer.from_pretrained(base)
    if os.path.exists(os.path.join(folder, "model")):
        return tokenizer, kind.from_pretrained(os.path.join(folder, "model")).eval()
    model = kind.from_pretrained(base, num_labels=classes)
    return tokenizer, peft.PeftModel.from_pretrained(model, folder).eval()


def outputs(task, card, tokenizer, model, row):
    if task == "tokens":
        words = row["text"].split()
        given = tokenizer(words, is_split_into_words=True, return_tensors="pt")
        y = model(**given).logits[0][-len(given.word_ids()):]
        first = [given.word_ids().index(k) for k in range(len(words))]
        return y[first].softmax(-1).reshape(-1)
    texts = [row["text"]] + ([row["text_pair"]] if task == "pair" else [])
    given = tokenizer(*texts, truncation=True, max_length=card["length"], return_tensors="pt")
    y = model(**given).logits[0]
    return card["mean"] + card["sd"] * y if task == "regress" else y.softmax(-1)


def expected(task, card, one):
    if task == "regress":
        return [one["prediction"]]
    if task == "tokens":
        return [p[c] for p in one["probabilities"] for c in card["classes"]]
    return [one["probabilities"][c] for c in card["classes"]]


def library_fails(task, method, base):
    """Whether the libraries cannot run a prefix of their own making on the model."""
    if method != "prefix":
        return False
    kind = CLASS.get(task, hf.AutoModelForSequenceClassification)
    config = peft.PrefixTuningConfig(task_type="TOKEN_CLS" if task == "tokens" else "SEQ_CLS", num_virtual_tokens=3)
    try:
        peft.get_peft_model(kind.from_pretrained(base), config).eval()(input_ids=torch.tensor([[1, 6, 7, 2]]))
    except Exception:
        return True
    return False


class Report:
    def __init__(self, vernier):
        self.vernier, self.right, self.wrong, self.own = vernier, 0, 0, 0

    def fail(self, name, why):
        self.wrong += 1
        print(f"not ok - {name}: {' '.join(str(why).split())[:300]}")

    def run(self, *words):
        return subprocess.run([self.vernier, *words], capture_output=True, text=True)

    def one(self, name, task, method, base, table, out):
        options = ["--options", "length=3"] if method in ("prefix", "prompt") else []
        ran = self.run("tune", "--task", task, "--train", table, "--model", base, "--method", method, "--epochs", "2",
                       "--learning-rate", "0.02", "--out", out, "--quiet", *options)
        if ran.returncode == 2 and "prefix: it falls out of the window" in ran.stderr:
            self.own += 1
            return
        if ran.returncode:
            self.fail(name, ran.stderr)
            return
        card = json.load(open(os.path.join(out, task + ".json")))
        if "only vernier loads" in open(os.path.join(out, "README.md")).read():
            self.own += 1
            return
        said = json.loads(self.run("predict", out, table, "--json", "--quiet").stdout)["rows"]
        try:
            tokenizer, model = load(task, base, out, len(card.get("classes", [0])))
            with torch.no_grad():
                got = [outputs(task, card, tokenizer, model, row) for row in rows_of(task)]
        except Exception as error:
            if library_fails(task, method, base):
                print(f"# {name}: the library fails with a prefix of its own, too")
                return
            self.fail(name, f"does not load: {type(error).__name__}: {error}")
            return
        gap = max((g - torch.tensor(expected(task, card, s))).abs().max().item() for g, s in zip(got, said))
        if gap <= TOLERANCE * (100 if task == "regress" else 1):
            self.right += 1
        else:
            self.fail(name, f"outputs differ by {gap:.2g}")


def main(vernier, glob="*"):
    report = Report(os.path.abspath(vernier))
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            base = os.path.join(folder, "base")
            make_model(family, base)
            for task in TASKS:
                table = os.path.join(folder, task + ".jsonl")
                with open(table, "w") as f:
                    f.writelines(json.dumps(row) + "\n" for row in rows_of(task))
                for method in METHODS:
                    name = f"{family}/{task}/{method}"
                    if fnmatch.fnmatch(name, glob):
                        report.one(name, task, method, base, table, os.path.join(folder, f"{task}-{method}"))
    print(f"{report.right} of {report.right + report.wrong} folders give vernier's outputs, {report.own} are for vernier alone")
    return report.wrong > 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
