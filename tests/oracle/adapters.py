"""Adapters that vernier writes, loaded by the libraries that they are for.

    python3 tests/oracle/adapters.py build/release/vernier [GLOB]

For random tiny models of nine families, each method of PEFT and of adapters is made by its library with random
parameters and converted by `vernier adapter convert` to both forms.  What comes out must load there with the logits of
the original, and so must the model that `vernier adapter merge` writes, where the original can be merged.  Where an
adapted table or head is tied, PEFT's own merging changes both of the pair; vernier does the same and remarks on it, and
the written model is compared with that.  GLOB chooses among FAMILY/LIBRARY/METHOD.  Needs peft 0.21, adapters 1.3 and
transformers 4.57; without them it prints "skipped" and ends well.
"""
import copy
import fnmatch
import os
import subprocess
import sys
import tempfile

from libraries import need

adapters, peft, torch, hf = need(adapters="1.3", peft="0.21", torch="", transformers="4.57")

TOLERANCE = 2e-5  # of the largest logit
ROUGH = 4e-5  # the same where the library takes a product of single precision out of the base and puts it back
VOCAB, WIDTH = 60, 32
ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

# ---- tiny models

ROTARY = dict(vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
              max_position_embeddings=64, **ENDS)
FAMILIES = {  # the class and its config; of the class head, too, where adapters are kept with one
    "bert": (hf.BertForMaskedLM, hf.BertConfig(**ROTARY)),
    "bert-classes": (hf.BertForSequenceClassification, hf.BertConfig(**ROTARY, num_labels=3)),
    "roberta": (hf.RobertaForMaskedLM, hf.RobertaConfig(**{**ROTARY, "pad_token_id": 1, "bos_token_id": 0})),
    "roberta-classes": (hf.RobertaForSequenceClassification,
                        hf.RobertaConfig(**{**ROTARY, "pad_token_id": 1, "bos_token_id": 0}, num_labels=3)),
    "gpt2": (hf.GPT2LMHeadModel, hf.GPT2Config(vocab_size=VOCAB, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=64, **ENDS)),
    "gpt2-classes": (hf.GPT2ForSequenceClassification,
                     hf.GPT2Config(vocab_size=VOCAB, n_embd=WIDTH, n_layer=2, n_head=4, n_positions=64, num_labels=3, **ENDS)),
    "llama": (hf.LlamaForCausalLM, hf.LlamaConfig(**ROTARY, num_key_value_heads=2)),
    "llama-tied": (hf.LlamaForCausalLM, hf.LlamaConfig(**ROTARY, num_key_value_heads=2, tie_word_embeddings=True)),
    "qwen2": (hf.Qwen2ForCausalLM, hf.Qwen2Config(**ROTARY, num_key_value_heads=2)),
    "gpt_neox": (hf.GPTNeoXForCausalLM, hf.GPTNeoXConfig(**ROTARY, rotary_pct=0.5)),
    "modernbert": (hf.ModernBertForMaskedLM,
                   hf.ModernBertConfig(**ROTARY, local_attention=8, global_attn_every_n_layers=2, cls_token_id=1,
                                       sep_token_id=2)),
    "t5": (hf.T5ForConditionalGeneration,
           hf.T5Config(vocab_size=VOCAB, d_model=WIDTH, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0,
                       pad_token_id=0, eos_token_id=1)),
    "bart": (hf.BartForConditionalGeneration,
             hf.BartConfig(vocab_size=VOCAB, d_model=WIDTH, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                           decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64,
                           decoder_start_token_id=2, **{**ENDS, "pad_token_id": 1, "bos_token_id": 0})),
}
PLUG_IN = ("qwen2", "gpt_neox", "modernbert")  # families without classes of their own in adapters


def stir(parameters, seed=7, spread=0.3):
    random = torch.Generator().manual_seed(seed)
    for p in parameters:
        p.data.add_(spread * torch.randn(p.shape, generator=random))


def base_of(family, folder):
    kind, config = FAMILIES[family]
    torch.manual_seed(5)
    model = kind._from_config(copy.deepcopy(config), attn_implementation="eager").eval()
    stir(model.parameters(), spread=0.2)
    model.save_pretrained(folder)


def fresh(family, folder):
    return FAMILIES[family][0].from_pretrained(folder, attn_implementation="eager").eval()


def logits(model, family):
    """Of two rows, the second padded; padding is left out."""
    random = torch.Generator().manual_seed(3)
    pad = model.config.pad_token_id
    ids = torch.randint(4, VOCAB, (2, 9), generator=random)
    mask = torch.ones_like(ids)
    ids[1, 6:], mask[1, 6:] = pad, 0
    given = {"input_ids": ids, "attention_mask": mask}
    if model.config.is_encoder_decoder:
        given["decoder_input_ids"] = torch.randint(4, VOCAB, (2, 5), generator=random)
    with torch.no_grad():
        y = model(**given).logits
    if model.config.is_encoder_decoder or family.endswith("classes"):
        return y.reshape(-1)
    y = y[:, -9:]  # behind a prompt
    return torch.cat([y[0].reshape(-1), y[1, :6].reshape(-1)])


# ---- methods of PEFT: name, config, as a function of the family and of the names of its modules

NAMES = {  # queries and values, the last linear layer of the feed-forward, the table, the tied or own head
    "bert": (["query", "value"], "output.dense", "word_embeddings", "cls.predictions.decoder"),
    "roberta": (["query", "value"], "output.dense", "word_embeddings", "lm_head.decoder"),
    "gpt2": (["c_attn"], "mlp.c_proj", "wte", "lm_head"),
    "llama": (["q_proj", "v_proj"], "down_proj", "embed_tokens", "lm_head"),
    "qwen2": (["q_proj", "v_proj"], "down_proj", "embed_tokens", "lm_head"),
    "gpt_neox": (["query_key_value"], "dense_4h_to_h", "embed_in", "embed_out"),
    "modernbert": (["Wqkv"], "mlp.Wo", "tok_embeddings", "decoder"),
    "t5": (["q", "v"], "wo", "shared", "lm_head"),
    "bart": (["q_proj", "v_proj"], "fc2", "shared", "lm_head"),
}
NORMS = {"modernbert": ["mlp_norm", "final_norm"], "gpt_neox": ["input_layernorm", "final_layer_norm"], "bert": ["LayerNorm"],
         "roberta": ["LayerNorm"]}


def task(family):
    if family.endswith("classes"):
        return "SEQ_CLS"
    return {"bert": None, "roberta": None, "modernbert": None, "t5": "SEQ_2_SEQ_LM", "bart": "SEQ_2_SEQ_LM"}.get(
        family.split("-")[0], "CAUSAL_LM")


def peft_methods(family):
    kin = family.split("-")[0]
    attention, feed, table, head = NAMES[kin]
    both = [*attention, feed]
    two = {"task_type": task(family)}
    lora = lambda **more: peft.LoraConfig(**{"r": 3, "lora_alpha": 5, "target_modules": both, **two, **more})
    yield "lora", lora()
    yield "lora-default", lora(target_modules=None if kin != "modernbert" else attention)
    yield "lora-all-linear", lora(target_modules="all-linear")
    yield "lora-patterns", lora(rank_pattern={attention[0]: 2}, alpha_pattern={feed: 9})
    yield "lora-rslora", lora(use_rslora=True)
    yield "lora-layers", lora(layers_to_transform=[1])
    yield "lora-bias", lora(lora_bias=True)
    if kin not in ("gpt2", "t5", "bart", "llama", "qwen2", "gpt_neox", "modernbert"):
        yield "lora-bias-outside", lora(lora_bias=True, target_modules=[*attention, "dense"])
    yield "lora-bias-all", lora(bias="all")
    yield "lora-bias-own", lora(bias="lora_only")
    yield "lora-pissa", lora(init_lora_weights="pissa")
    yield "lora-olora", lora(init_lora_weights="olora")
    yield "dora", lora(use_dora=True)
    yield "lora-tokens", lora(trainable_token_indices=[5, 8, 20])
    yield "tokens", peft.TrainableTokensConfig(token_indices=[5, 8, 20], **two)
    if kin not in ("t5", "bart"):
        yield "lora-table", lora(target_modules=[*attention, table])
        yield "lora-saved-table", lora(modules_to_save=[table])
    else:
        yield "lora-saved-tables", lora(modules_to_save=["embed_tokens"])
    if not family.endswith("classes"):
        yield "lora-head", lora(target_modules=[*attention, head])
        yield "lora-saved-head", lora(modules_to_save=[head])
    yield "vera", peft.VeraConfig(r=4, target_modules=attention, **two)
    yield "ia3", peft.IA3Config(target_modules=both, feedforward_modules=[], **two)
    yield "ia3-feed-forward", peft.IA3Config(target_modules=both, feedforward_modules=[feed], **two)
    if kin != "modernbert":
        yield "ia3-default", peft.IA3Config(**two)
        yield "adalora", peft.AdaLoraConfig(init_r=4, target_r=2, total_step=9, lora_alpha=5, **two)
    yield "norms", peft.LNTuningConfig(target_modules=NORMS.get(kin), **two)
    if two["task_type"]:
        yield "prefix", peft.PrefixTuningConfig(num_virtual_tokens=4, **two)
        yield "prompt", peft.PromptTuningConfig(num_virtual_tokens=4, **two)
        yield "p-tuning", peft.PromptEncoderConfig(num_virtual_tokens=4, encoder_hidden_size=16, **two)


def peft_make(family, base, config, out):
    torch.manual_seed(11)
    model = peft.get_peft_model(fresh(family, base), config)
    spread = 0.3 if config.peft_type != "VERA" else 0.8
    stir((p for p in model.parameters() if p.requires_grad), spread=spread)
    model.save_pretrained(out)


def peft_load(family, base, folder):
    return peft.PeftModel.from_pretrained(fresh(family, base), folder).eval()


# ---- methods of adapters


def hub_methods(family):
    kin = family.split("-")[0]
    yield "seq-bn", adapters.SeqBnConfig(reduction_factor=4)
    yield "double-seq-bn", adapters.DoubleSeqBnConfig(reduction_factor=4)
    yield "par-bn", adapters.ParBnConfig(reduction_factor=4)
    yield "par-bn-learned", adapters.ParBnConfig(reduction_factor=4, scaling="learned")
    yield "seq-bn-norms", adapters.SeqBnConfig(reduction_factor=4, ln_before=True, ln_after=True)
    yield "seq-bn-factors", adapters.SeqBnConfig(reduction_factor={"0": 4, "default": 8})
    yield "seq-bn-left-out", adapters.SeqBnConfig(reduction_factor=4, leave_out=[0])
    yield "seq-bn-gelu", adapters.SeqBnConfig(reduction_factor=4, non_linearity="gelu")
    yield "lora", adapters.LoRAConfig(r=3, alpha=5)
    yield "lora-attention", adapters.LoRAConfig(r=3, alpha=5, attn_matrices=["q", "k", "v"])
    yield "lora-feed-forward", adapters.LoRAConfig(r=3, alpha=5, intermediate_lora=True, output_lora=True)
    yield "dora", adapters.LoRAConfig(r=3, alpha=5, use_dora=True)
    yield "ia3", adapters.IA3Config()
    if kin in PLUG_IN:
        return
    yield "prefix", adapters.PrefixTuningConfig(prefix_length=4, bottleneck_size=8)
    yield "prefix-flat", adapters.PrefixTuningConfig(prefix_length=4, flat=True)
    if kin in ("bert", "roberta"):
        yield "prompt", adapters.PromptTuningConfig(prompt_length=4)


def hub_init(family, base):
    model = fresh(family, base)
    if family.split("-")[0] in PLUG_IN:
        raise NotImplementedError("no classes of this family")
    adapters.init(model)
    return model


def hub_make(family, base, config, out):
    torch.manual_seed(11)
    model = hub_init(family, base)
    model.add_adapter("mine", config=config)
    model.train_adapter("mine")
    stir(p for n, p in model.named_parameters() if p.requires_grad)
    model.save_adapter(out, "mine", with_head=family.endswith("classes"))


def hub_load(family, base, folder):
    model = hub_init(family, base)
    model.load_adapter(folder, set_active=True)
    return model.eval()


LIBRARIES = {"hf": (peft_methods, peft_make, peft_load), "adapters": (hub_methods, hub_make, hub_load)}

# ---- comparing


def first_line(error):
    return " ".join(str(error).split())[:150]


class Report:
    def __init__(self, vernier):
        self.vernier, self.wrong, self.right, self.refused = vernier, 0, 0, 0

    def run(self, *words):
        """None where it was done; else the sentence of a refusal, or of a remark that the two forms differ."""
        ran = subprocess.run([self.vernier, *words], capture_output=True, text=True)
        self.said = ran.stderr
        if ran.returncode not in (0, 3):
            self.fail(" ".join(words), f"exit status {ran.returncode}: {ran.stderr}")
        differs = [line for line in ran.stderr.splitlines() if "differently" in line]
        return ran.stderr.strip() if ran.returncode else differs[0] if differs else None

    def fail(self, name, why):
        self.wrong += 1
        print(f"not ok - {name}: {first_line(why)}")

    def refuse(self, name, why, must):
        """A form that has no place for the adapter is not a fault, unless it is the adapter's own."""
        if must:
            self.fail(name, "refused: " + why)
        else:
            self.refused += 1
            if os.environ.get("VERBOSE"):
                print(f"# {name}: refused: {first_line(why)}")

    def same(self, name, want, model, family):
        got = logits(model, family)
        most = ROUGH if name.endswith(("pissa merged", "olora merged")) else TOLERANCE
        gap = ((got - want).abs().max() / want.abs().max()).item() if got.shape == want.shape else float("inf")
        if gap <= most:
            self.right += 1
        else:
            self.fail(name, f"logits differ by {gap:.2g} of the largest")


def convert(report, name, family, base, folder, want, to, must):
    out = f"{folder}-{to}"
    why = report.run("adapter", "convert", folder, out, "--to", to, "--base", base)
    if why:
        report.refuse(f"{name} to {to}", why, must)
        return
    try:
        model = LIBRARIES[to][2](family, base, out)
    except NotImplementedError:
        return
    except Exception as error:
        report.fail(f"{name} to {to}", f"does not load: {type(error).__name__}: {error}")
        return
    report.same(f"{name} to {to}", want, model, family)


def merge(report, name, family, base, folder, want, model):
    """PEFT's merging is no measure but for a tied pair: of other heads it brings back a bias that the adapted model
    does not add."""
    out = f"{folder}-merged"
    why = report.run("adapter", "merge", base, folder, out)
    if why:
        report.refuse(f"{name} merged", why, False)
        return
    if "merging changes both" in report.said:
        want = logits(model.merge_and_unload(), family)
    report.same(f"{name} merged", want, fresh(family, out), family)


def compare(report, name, family, base, library, config, folder):
    _, make, load = LIBRARIES[library]
    try:
        make(family, base, config, folder)
        model = load(family, base, folder)
        want, bare = logits(model, family), logits(fresh(family, base), family)
    except Exception as error:  # what the library itself cannot do
        print(f"# {name}: the library fails: {type(error).__name__}: {first_line(error)}")
        return
    if (want - bare).abs().max() < 1e-3 * bare.abs().max():
        print(f"# {name}: the adapter changes nothing")
    for to in LIBRARIES:
        convert(report, name, family, base, folder, want, to, to == library)
    merge(report, name, family, base, folder, want, model)


def main(vernier, glob="*"):
    report = Report(os.path.abspath(vernier))
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as folder:
            base = os.path.join(folder, "base")
            base_of(family, base)
            for library, (methods, _, _) in LIBRARIES.items():
                if library == "adapters" and family.split("-")[0] in PLUG_IN:
                    continue
                for method, config in methods(family):
                    name = f"{family}/{library}/{method}"
                    if fnmatch.fnmatch(name, glob):
                        compare(report, name, family, base, library, config, os.path.join(folder, f"{library}-{method}"))
    print(f"{report.right} of {report.right + report.wrong} adapters give the library's logits, {report.refused} were refused")
    return report.wrong > 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
