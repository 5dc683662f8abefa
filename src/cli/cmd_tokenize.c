/* vernier tokenize: the tokens of a text by a model's tokenizer. */
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/command.h"
#include "io/json.h"
#include "text/tokenizer.h"

static void print_json(const Tokenizer *t, Arena *a, const BpeText *x)
{
    Buf b = buf_open(a);
    const int32_t *type = tokenizer_types(t, a, x);
    buf_print(&b, "{\"tokenizer\": \"%s\", \"tokens\": [", t->kind);
    for (int64_t i = 0; i < x->n; i++) {
        const char *piece = tokenizer_piece(t, x->id[i]);
        buf_print(&b, "%s\n{\"id\": %d, \"begin\": %lld, \"end\": %lld, \"piece\": ", i ? "," : "", x->id[i],
                  (long long)x->begin[i], (long long)x->end[i]);
        json_quote(&b, piece ? piece : "");
        if (type) buf_print(&b, ", \"type\": %d", type[i]);
        buf_print(&b, "}");
    }
    buf_print(&b, "\n]}");
    print_document(b.text);
}

static void print_table(const Tokenizer *t, const BpeText *x)
{
    print_out("%6s %6s %6s  %s\n", "id", "begin", "end", "token");
    for (int64_t i = 0; i < x->n; i++) {
        const char *piece = tokenizer_piece(t, x->id[i]);
        print_out("%6d %6lld %6lld  %s\n", x->id[i], (long long)x->begin[i], (long long)x->end[i],
                  piece ? piece : "");
    }
}

/* Byte-level BPE reconstructs every byte; SentencePiece reconstructs the text as its normaliser left it. */
static Status check(const Tokenizer *t, Arena *a, const BpeText *x, Bytes text)
{
    size_t len;
    char *back = tokenizer_bytes(t, a, x->id, x->n, &len);
    bool same = len == text.len && !memcmp(back, text.text, len);
    print_out("%lld %s of %zu %s; %s\n", (long long)x->n, str_plural(x->n, "token", "tokens"), text.len,
              str_plural((int64_t)text.len, "byte", "bytes"),
              same       ? "decoding gives the same bytes"
              : t->exact ? "decoding gives OTHER bytes"
                         : "decoding gives the normalised text, which differs");
    return same || !t->exact ? OK : err_fail(E_NUMERIC, "decoding does not reconstruct the text");
}

/* The tokens of one text, with its special tokens treated according to the options. */
static Status encode(BpeText *x, const Tokenizer *t, const Args *a, Bytes text)
{
    bool special = args_given(a, "special-in-text");
    *x = tokenizer_encode(t, args_arena(a), text.text, text.len, special);
    int64_t spelt = special ? 0 : special_count(tokenizer_specials(t), text.text, text.len);
    if (spelt && !args_quiet(a))
        print_err("the text contains %lld special %s, read as plain text; --special-in-text reads %s as special\n",
                  (long long)spelt, str_plural(spelt, "token", "tokens"), str_plural(spelt, "it", "them"));
    return OK;
}

/* One text or two with the special tokens of the model's format, truncated to --max-length. */
static Status wrap(BpeText *x, const Tokenizer *t, const Args *a)
{
    static const char *const sides[] = {"right", "left", NULL};
    static const char *const cuts[] = {
        [CUT_LONGEST] = "longest", [CUT_FIRST] = "first", [CUT_SECOND] = "second", NULL};
    const char *second = args_text(a, "pair", NULL);
    Limit limit = {0};
    int side = 0, cut = CUT_LONGEST;
    TRY(args_int(&limit.most, a, "max-length", 0, 0, INT32_MAX));
    TRY(args_word(&side, a, "truncation-side", 0, sides));
    TRY(args_word(&cut, a, "truncation", cut, cuts));
    limit.cut = (Cut)cut;
    limit.left = side;
    if (args_given(a, "language") && !t->shift)
        return err_fail(E_CONFIG, "--language is for PLBART's tokenizer; this one is %s", t->kind);
    BpeText y;
    if (second && args_given(a, "no-special")) TRY(tokenizer_no_special(t, second, strlen(second)));
    if (second) TRY(encode(&y, t, a, (Bytes){(char *)(uintptr_t)second, strlen(second)}));
    if (args_given(a, "wrap") || second)
        return tokenizer_wrap(x, t, args_arena(a), x, second ? &y : NULL, args_text(a, "language", NULL), limit);
    return frame_put(x, args_arena(a), &(TokenFrame){0}, x, NULL, limit);
}

static Status print(const Tokenizer *t, const Args *a, const BpeText *x, Bytes text)
{
    if (args_given(a, "check")) return check(t, args_arena(a), x, text);
    if (args_given(a, "count"))
        print_out("%lld\n", (long long)x->n);
    else if (args_given(a, "json"))
        print_json(t, args_arena(a), x);
    else
        print_table(t, x);
    return OK;
}

/* Checks that options are compatible, then encodes the text, adds special tokens and prints the tokens. */
static Status tokenize(const Args *a)
{
    Tokenizer t;
    Bytes text;
    BpeText x;
    if (args_given(a, "special-in-text") && args_given(a, "no-special"))
        return err_fail(E_CONFIG, "--special-in-text and --no-special are both given; they exclude each other");
    if (args_given(a, "check") && (args_given(a, "wrap") || args_given(a, "pair") || args_given(a, "max-length")))
        return err_fail(E_CONFIG, "--check takes one whole text, without --wrap, --pair and --max-length");
    TRY(tokenizer_open(&t, args_arena(a), args_at(a, 0)));
    Status status = args_content(&text, a, 1);
    if (!status && args_given(a, "no-special"))
        status = args_content_fault(tokenizer_no_special(&t, text.text, text.len), a, 1);
    if (!status) status = encode(&x, &t, a, text);
    if (!status && !args_given(a, "check")) status = wrap(&x, &t, a);
    if (!status) status = print(&t, a, &x, text);
    tokenizer_close(&t);
    return status;
}

static const Option OPTIONS[] = {
    MODEL_OPTION,
    {"text", "TEXT", "the text itself, in place of a FILE"},
    {"check", NULL, "decode the tokens and compare with the text; exit 1 if byte-level BPE loses a byte"},
    {"special-in-text", NULL, "read \"</s>\" and the like in the text as special tokens; default: as text"},
    {"no-special", NULL, "reject a text that contains a special token"},
    {"wrap", NULL, "add the special tokens that the model expects around a text, such as <s> and </s>"},
    {"pair", "TEXT", "a second text behind the first, in the model's format of a pair, with offsets from its start"},
    {"language", "NAME", "the language of the texts, for PLBART: java, python or en_XX"},
    {"max-length", "N", "truncate to N tokens in all", .alias = "most"},
    {"truncation", "WHICH", "the text of a pair to truncate: longest (the default), first or second", .alias = "cut"},
    {"truncation-side", "SIDE", "the end at which a text is truncated: right (the default) or left", .alias = "side"},
    {"count", NULL, "print only the number of tokens"},
    {"json", NULL,
     "print the ids, byte offsets and tokens as JSON, and for a pair the token types where the model has them"},
    {0}};
static const Choice CHOICES[] = {{"truncation", "longest|first|second"}, {"truncation-side", "right|left"}, {0}};
static const Command TOKENIZE = {
    .name = "tokenize",
    .summary = "split a text into a model's tokens, with ids and byte offsets",
    .usage = "[options] MODEL [FILE]",
    .about = "MODEL is a directory or a name in the hub's cache with tokenizer.json, vocab.json and merges.txt, or a "
             "SentencePiece model; or one of these files.  The text is a FILE, --text, or "
             "standard input.  Columns: id, first byte, byte after the last, token.",
    .example = "vernier tokenize codet5 --text 'int x = 1;'",
    .options = OPTIONS,
    .choices = CHOICES,
    .least = 1,
    .most = 2,
    .model_at = 1,
    .run = tokenize};
REGISTER(command, TOKENIZE)
