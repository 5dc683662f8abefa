/* vernier tokenize: what a model's tokenizer makes of a text. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/command.h"
#include "io/json.h"
#include "text/tokenizer.h"

static void print_json(const Tokenizer *t, Arena *a, const BpeText *x)
{
    Buf b = buf_open(a);
    buf_print(&b, "{\"tokenizer\": \"%s\", \"tokens\": [", t->kind);
    for (int64_t i = 0; i < x->n; i++) {
        const char *piece = tokenizer_piece(t, x->id[i]);
        buf_print(&b, "%s\n{\"id\": %d, \"begin\": %lld, \"end\": %lld, \"piece\": ", i ? "," : "", x->id[i],
                  (long long)x->begin[i], (long long)x->end[i]);
        json_quote(&b, piece ? piece : "");
        buf_print(&b, "}");
    }
    printf("%s\n]}\n", b.text);
}

static void print_table(const Tokenizer *t, const BpeText *x)
{
    for (int64_t i = 0; i < x->n; i++) {
        const char *piece = tokenizer_piece(t, x->id[i]);
        printf("%6d %6lld %6lld  %s\n", x->id[i], (long long)x->begin[i], (long long)x->end[i], piece ? piece : "");
    }
}

/* Byte-level BPE gives back every byte; SentencePiece the text as its normaliser left it. */
static Status check(const Tokenizer *t, Arena *a, const BpeText *x, Bytes text)
{
    size_t len;
    char *back = tokenizer_decode(t, a, x->id, x->n, &len);
    bool same = len == text.len && !memcmp(back, text.text, len);
    printf("%lld tokens of %zu bytes; %s\n", (long long)x->n, text.len,
           same     ? "decoding gives the same bytes"
           : t->bpe ? "decoding gives OTHER bytes"
                    : "decoding gives the normalised text, which differs");
    return same || t->spm ? OK : fail(E_NUMERIC, "the round trip fails");
}

static Status tokenize(const Args *a)
{
    Tokenizer t;
    Bytes text;
    Arena *arena = args_arena(a);
    TRY(tokenizer_open(&t, arena, args_at(a, 0)));
    TRY(args_content(&text, a, 1));
    bool special = args_given(a, "special-in-text");
    BpeText x = tokenizer_encode(&t, arena, text.text, text.len, special);
    int64_t spelt = t.bpe && !special ? bpe_specials_in(t.bpe, text.text, text.len) : 0;
    if (spelt && !args_quiet(a))
        fprintf(stderr,
                "the text spells %lld special tokens, taken as plain text; --special-in-text takes them as such\n",
                (long long)spelt);
    Status status = OK;
    if (args_given(a, "check"))
        status = check(&t, arena, &x, text);
    else if (args_given(a, "json"))
        print_json(&t, arena, &x);
    else
        print_table(&t, &x);
    tokenizer_close(&t);
    return status;
}

static const Option OPTIONS[] = {
    {"text", "TEXT", "the text itself, in place of a FILE"},
    {"check", NULL, "decode again and say whether the bytes came back; exit 1 when byte-level BPE loses one"},
    {"special-in-text", NULL, "take \"</s>\" and the like in the text as special tokens; default: as text"},
    {"json", NULL, "ids, byte offsets and pieces as JSON"},
    {0}};
static const Command TOKENIZE = {
    .name = "tokenize",
    .summary = "ids, byte offsets and pieces that a model's tokenizer makes of a text",
    .usage = "[options] MODEL [FILE]",
    .about = "MODEL is a directory or a name in the hub's cache with tokenizer.json, vocab.json and merges.txt, or a "
             "SentencePiece model; or one of these files.  The text is a FILE, --text, or "
             "standard input.  Columns: id, first byte, byte after the last, piece.",
    .example = "vernier tokenize codet5 --text 'int x = 1;'",
    .options = OPTIONS,
    .least = 1,
    .most = 2,
    .run = tokenize};
REGISTER(command, TOKENIZE)
