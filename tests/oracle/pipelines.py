"""Random tokenizers of the tokenizers library, and what they make of texts.

    python3 tests/oracle/pipelines.py tests/golden/pipelines.json [COUNT [SEED]]

Each entry has a tokenizer.json, texts, ids without and with the tokens around them, ids and token types of a pair, and
the text that decoding gives.  tests/text/test_pipeline.c compares; PIPELINES=FILE names another file than the stored
one.  Without the library (`pip install tokenizers`) the script says "skipped" and ends with 0.
"""
import json
import random
import sys

try:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
except ImportError:
    print("skipped: the tokenizers library is not here")
    sys.exit(0)

COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 120
R = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)

PARTS = ["the ", "int x = 10;", " return", "foo_bar(baz)", "\n\n", "\t", "  ", " ", "   ", "\r\n", "I'm you'RE ", "'s", "123456",
         "1,234.5", "caf\u00e9", "e\u0301", "na\u00efve ", "\u00dcN\u00cfC\u00d6D\u00c9 ", "stra\u00dfe", "\u0130stanbul ",
         "\u6f22\u5b57", "\u304b\u306a\u30ab\u30ca", "\ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab", "\U0001f600", "\u00bd\u00b2",
         "\u0663\u0664", "\u201cquote\u201d", "\u2014", "\u00a0", "\u3000", "\u200b", "\u2581", "\ufb01", "\u212b", "\u017f",
         "...!!!", "<s>", "</s>", "[MASK]", "<new>", "new", "newword", "a", "b", "ab", "aab", "##x", "\u0410\u0411\u0432 ",
         "x\u0327\u0301", "\u0915\u094d\u0937\u093f", "\x07", "\x0b", "``", "''", "$+<=>^|~", "#", "@", "\u00ad", "\ufeff"]
PATTERNS = [r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"[0-9][0-9][0-9]", r"\s+", r"\w+", r"\W", r"[\w']+", r"x*", r"[A-Z]", r"\p{Han}", r"^", r"(?<=a)b", r".", r"\d+|\D"]


def text():
    return "".join(R.choice(PARTS) for _ in range(R.randint(0, 9)))


def normalizer():
    return R.choice([normalizers.NFC, normalizers.NFD, normalizers.NFKC, normalizers.NFKD, normalizers.Lowercase,
                     normalizers.StripAccents, normalizers.Nmt,
                     lambda: normalizers.Strip(R.random() < .5, R.random() < .5), lambda: normalizers.Prepend("\u2581"),
                     lambda: normalizers.Replace(" ", "\u2581"), lambda: normalizers.Replace(Regex(" {2,}"), " "),
                     lambda: normalizers.Replace(Regex("x+"), "-"), lambda: normalizers.Replace("a", ""),
                     lambda: normalizers.BertNormalizer(R.random() < .7, R.random() < .7, R.choice([None, True, False]),
                                                        R.random() < .7)])()


BEHAVIOURS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]


def pre_tokenizer():
    return R.choice([pre_tokenizers.Whitespace, pre_tokenizers.WhitespaceSplit, pre_tokenizers.BertPreTokenizer,
                     pre_tokenizers.UnicodeScripts, lambda: pre_tokenizers.Digits(R.random() < .5),
                     lambda: pre_tokenizers.Punctuation(R.choice(BEHAVIOURS)),
                     lambda: pre_tokenizers.CharDelimiterSplit(R.choice("_a ")),
                     lambda: pre_tokenizers.FixedLength(R.randint(1, 6)),
                     lambda: pre_tokenizers.Metaspace("\u2581", R.choice(["never", "first", "always"]), R.random() < .7),
                     lambda: pre_tokenizers.ByteLevel(R.random() < .4, use_regex=R.random() < .6),
                     lambda: pre_tokenizers.Split(R.choice(["a", " ", "--", "ab"]), R.choice(BEHAVIOURS), R.random() < .3),
                     lambda: pre_tokenizers.Split(Regex(R.choice(PATTERNS)), R.choice(BEHAVIOURS), R.random() < .3)])()


def decoder():
    return R.choice([None, decoders.ByteLevel(), decoders.WordPiece("##", R.random() < .5), decoders.BPEDecoder("</w>"),
                     decoders.Metaspace("\u2581", R.choice(["never", "first", "always"])),
                     decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                        decoders.Strip(" ", 1, 0)]),
                     decoders.Sequence([decoders.Replace(Regex("[ab]"), "?"), decoders.Strip("n", 0, 2)])])


def sequence(of, make):
    n = R.choice([0, 1, 1, 1, 2, 3])
    return None if n == 0 else make() if n == 1 else of.Sequence([make() for _ in range(n)])


def model():
    special = ["<unk>", "<s>", "</s>", "[MASK]"]
    size = R.choice([80, 200, 400])
    alphabet = pre_tokenizers.ByteLevel.alphabet() if R.random() < .5 else []
    kind = R.choice(["BPE", "BPE", "BPE", "WordPiece", "Unigram", "WordLevel"])
    if kind == "BPE":
        suffix = R.choice([None, None, "</w>"])
        prefix = R.choice([None, None, "##"])
        unk = R.choice([None, "<unk>"])
        marks = {k: v for k, v in [("end_of_word_suffix", suffix), ("continuing_subword_prefix", prefix)] if v}
        m = models.BPE(fuse_unk=R.random() < .5, byte_fallback=not marks and R.random() < .3, ignore_merges=R.random() < .3,
                       **marks, **({"unk_token": unk} if unk else {}))
        return m, trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False, initial_alphabet=alphabet,
                                      **marks)
    if kind == "WordPiece":
        return (models.WordPiece(unk_token="<unk>", max_input_chars_per_word=R.choice([100, 5])),
                trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False, initial_alphabet=alphabet))
    if kind == "Unigram":
        return models.Unigram(), trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="<unk>",
                                                         show_progress=False, initial_alphabet=alphabet)
    return models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=size, special_tokens=special,
                                                                          show_progress=False)


def post_processor(t):
    s, e = t.token_to_id("<s>"), t.token_to_id("</s>")
    template = processors.TemplateProcessing(single="<s>:0 $A:0 </s>:0", pair="<s>:0 $A:0 </s>:1 $B:1 </s>:1",
                                             special_tokens=[("<s>", s), ("</s>", e)])
    return R.choice([None, processors.ByteLevel(), template, processors.RobertaProcessing(("</s>", e), ("<s>", s)),
                     processors.BertProcessing(("</s>", e), ("<s>", s)),
                     processors.Sequence([processors.ByteLevel(), template])])


def one():
    m, trainer = model()
    t = Tokenizer(m)
    n, p, d = sequence(normalizers, normalizer), sequence(pre_tokenizers, pre_tokenizer), decoder()
    if n:
        t.normalizer = n
    if p:
        t.pre_tokenizer = p
    if d:
        t.decoder = d
    t.train_from_iterator([text() for _ in range(60)], trainer)
    if trainer.__class__.__name__ == "BpeTrainer":  # the trainer does not keep all of the model's settings
        j = json.loads(t.to_str())
        j["model"].update(unk_token=m.unk_token, fuse_unk=m.fuse_unk, byte_fallback=m.byte_fallback,
                          ignore_merges=m.ignore_merges)
        if m.byte_fallback:
            for b in range(256):
                j["model"]["vocab"].setdefault("<0x%02X>" % b, len(j["model"]["vocab"]))
        t = Tokenizer.from_str(json.dumps(j))
    for content in R.sample(["<new>", "new", "newword", "ab", "a b", "\u00e9", "  ", "[MASK]", "NEW"], R.choice([0, 0, 2, 4])):
        t.add_tokens([AddedToken(content, single_word=R.random() < .3, lstrip=R.random() < .3, rstrip=R.random() < .3,
                                 normalized=R.random() < .5, special=R.random() < .3)])
    post = post_processor(t)
    if post:
        t.post_processor = post
    entry = {"tokenizer": json.loads(t.to_str()), "texts": []}
    if any(isinstance(v, list) and v[1] is None for v in entry["tokenizer"]["model"]["vocab"]):
        raise ValueError("a score that is not finite")
    t = Tokenizer.from_str(json.dumps(entry["tokenizer"]))  # as a reader of the file has it
    for _ in range(6):
        x, y = text(), text()
        bare, pair = t.encode(x, add_special_tokens=False), t.encode(x, y)
        entry["texts"].append({"text": x, "second": y, "ids": bare.ids, "framed": t.encode(x).ids, "pair": pair.ids,
                               "types": pair.type_ids, "decoded": t.decode(bare.ids, skip_special_tokens=False)})
    return entry


entries = []
while len(entries) < COUNT:
    try:
        entries.append(one())
    except BaseException as error:  # a vocabulary without the unknown token, or the library's own panic
        if isinstance(error, KeyboardInterrupt):
            raise
with open(sys.argv[1], "w", encoding="utf-8") as f:
    f.write("[\n" + ",\n".join(json.dumps(e, ensure_ascii=True) for e in entries) + "\n]\n")
