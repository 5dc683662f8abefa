/* vernier generate and vernier fill: text from a checkpoint's decoder, and predictions at masked tokens. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/adapter.h"
#include "io/json.h"
#include "nn/finite.h"
#include "nn/generate.h"
#include "text/tokenizer.h"

static Status open_both(Model **m, Hooks **hooks, Tokenizer *t, const Args *a, const LoadOptions *options)
{
    TRY(model_with_adapter(m, hooks, a, args_arena(a), args_at(a, 0), options));
    TRY(tokenizer_open(t, args_arena(a), args_text(a, "tokenizer", args_at(a, 0))));
    if (tokenizer_size(t) > (*m)->config.vocab)
        return err_fail(E_MISMATCH, "the tokenizer has %lld ids, the model's vocabulary %d",
                        (long long)tokenizer_size(t), (*m)->config.vocab);
    return OK;
}

/* ---- generate */

enum { NO_MODE, DECODER_ONLY, ENCODER_DECODER };
static const char *const MODES[] = {"none", "decoder-only", "encoder-decoder", NULL};

/* Reads the options of decoding: beam search or sampling, lengths, penalties and the target language. */
static Status settings(GenerateConfig *c, const Model *m, const Tokenizer *t, const Args *a, int mode)
{
    int64_t most, beams, best, top_k, seed;
    TRY(args_int(&most, a, "max-new-tokens", 64, 1, 100000));
    *c = generate_defaults(m, (int)most);
    c->both_ways = mode == ENCODER_DECODER;
    TRY(args_int(&beams, a, "num-beams", 1, 1, 1000));
    TRY(args_int(&best, a, "num-return-sequences", 1, 1, 1000));
    TRY(args_int(&top_k, a, "top-k", 0, 0, 1 << 24));
    TRY(args_int(&seed, a, "seed", 1, 0, (int64_t)1 << 53));
    TRY(args_real(&c->temperature, a, "temperature", 0, 0, 1e6));
    TRY(args_real(&c->top_p, a, "top-p", 0, 0, 1));
    TRY(args_real(&c->length_penalty, a, "length-penalty", c->length_penalty, -100, 100));
    c->beams = (int)beams, c->n_best = (int)best, c->top_k = (int)top_k, c->seed = (uint64_t)seed;
    c->early_stopping = args_given(a, "early-stopping");
    if (c->beams > 1 && c->temperature > 0)
        return err_fail(E_CONFIG, "--num-beams (beam search) and --temperature (sampling) exclude each other");
    if ((c->top_k || c->top_p > 0) && !(c->temperature > 0)) c->temperature = 1;
    const char *to = args_text(a, "to", NULL);
    int32_t code = tokenizer_language(t, to);
    if (to && code < 0)
        return err_fail(E_CONFIG, "--to is %s, which is not a language of this model's tokenizer", to);
    if (code >= 0) c->start = code;
    return OK;
}

/* UniXcoder's prompt: <s> <mode> </s> text.  A text that is too long keeps its end.  A text for the encoder gets
 * another </s> behind it, and keeps its beginning. */
static Status mode_prompt(Batch *x, const Model *m, const Tokenizer *t, const Args *a, const GenerateConfig *c,
                          Bytes text)
{
    Arena *arena = args_arena(a);
    char name[32];
    snprintf(name, sizeof name, "<%s>", MODES[c->both_ways ? ENCODER_DECODER : DECODER_ONLY]);
    int32_t word = tokenizer_find(t, name);
    if (word < 0) return err_fail(E_MISMATCH, "the tokenizer has no %s, so this is no UniXcoder", name);
    BpeText p = tokenizer_encode(t, arena, text.text, text.len, false);
    int64_t most = config_room(&m->config) - c->max_new + 1 - 3 - c->both_ways;
    int64_t n = p.n < most ? p.n : most, skip = c->both_ways ? 0 : p.n - n, at = 0;
    if (most < 1) return err_fail(E_CONFIG, "--max-new-tokens %d leaves no room for a text", c->max_new);
    if (n < p.n && !args_quiet(a))
        print_err("the text has %lld tokens; its %s %lld %s\n", (long long)p.n, skip ? "last" : "first", (long long)n,
                  str_plural(n, "fits", "fit"));
    int32_t *id = NEW(arena, int32_t, n + 4);
    id[at++] = m->config.bos, id[at++] = word, id[at++] = m->config.eos;
    for (int64_t i = 0; i < n; i++) id[at++] = p.id[skip + i];
    if (c->both_ways) id[at++] = m->config.eos;
    *x = (Batch){.b = 1, .t = at, .ids = id};
    return OK;
}

/* The text is the prompt of a decoder, or the source of an encoder-decoder. */
static Status prompt(Batch *x, const Model *m, const Tokenizer *t, const Args *a, const GenerateConfig *c)
{
    Bytes text;
    Arena *arena = args_arena(a);
    TRY(args_content(&text, a, 1));
    int64_t room = config_room(&m->config);
    if (m->config.writes_from_encoder) return mode_prompt(x, m, t, a, c, text);
    if (m->arch->encode) {
        BpeText s;
        TRY(tokenizer_source(&s, t, arena, text.text, text.len, args_text(a, "from", NULL), room));
        *x = (Batch){.b = 1, .s = s.n, .src = s.id};
        return OK;
    }
    BpeText p = tokenizer_encode(t, arena, text.text, text.len, false);
    int64_t most = room ? room - c->max_new + 1 : p.n, skip = p.n > most ? p.n - most : 0;
    if (most < 1)
        return err_fail(E_CONFIG, "--max-new-tokens %d leaves no room for a prompt in %lld positions", c->max_new,
                        (long long)room);
    if (skip && !args_quiet(a))
        print_err("the prompt has %lld tokens; its last %lld %s\n", (long long)p.n, (long long)most,
                  str_plural(most, "fits", "fit"));
    *x = (Batch){.b = 1, .t = p.n - skip, .ids = p.id + skip};
    return p.n ? OK : args_content_fault(err_fail(E_CONFIG, "the prompt is empty"), a, 1);
}

/* Prints one generated text, or with `json` an object with its text, ids and score. */
static void print_result(const Tokenizer *t, Arena *a, const int32_t *id, int n, int eos, double score, bool json)
{
    size_t len;
    int shown = n && id[n - 1] == eos ? n - 1 : n;
    char *text = tokenizer_decode(t, a, id, shown, &len);
    if (!json) {
        print_layout(text, len);
        print_out("\n");
        return;
    }
    Buf b = buf_open(a);
    buf_print(&b, "{\"text\": ");
    json_quote_bytes(&b, text, len);
    buf_print(&b, ", \"ids\": [");
    for (int i = 0; i < n; i++) buf_print(&b, "%s%d", i ? ", " : "", id[i]);
    buf_print(&b, "]");
    if (isfinite(score)) buf_print(&b, ", \"score\": %.6f", score);
    buf_print(&b, "}");
    print_document(b.text);
}

/* Generates from the prompt: all sequences at once by beam search, or one after another without it. */
static Status run_generate(const Args *a)
{
    Model *m;
    Hooks *hooks;
    Tokenizer t;
    GenerateConfig c;
    Batch x;
    Arena *arena = args_arena(a), step = arena_open(0);
    int mode;
    TRY(args_word(&mode, a, "mode", NO_MODE, MODES));
    TRY(open_both(&m, &hooks, &t, a, &(LoadOptions){.writes_from_encoder = mode != NO_MODE}));
    bool asks = tokenizer_find(&t, "<decoder-only>") >= 0; /* only UniXcoder's tokenizer has it */
    if (!mode && !m->decoder && !m->config.writes_from_encoder)
        return err_fail(asks ? E_CONFIG : E_MISMATCH,
                        "this %s model has no decoder; if it is a UniXcoder, use --mode", m->config.arch);
    if (mode && !m->config.writes_from_encoder)
        return err_fail(E_CONFIG, "--mode is for UniXcoder, whose encoder writes; a %s model has none that does",
                        m->config.arch);
    TRY(settings(&c, m, &t, a, mode));
    TRY(prompt(&x, m, &t, a, &c));
    int32_t *out = NEW(arena, int32_t, c.n_best * c.max_new), *len = NEW(arena, int32_t, c.n_best);
    double *score = NEW(arena, double, c.n_best);
    bool searched = c.beams > 1;
    if (searched) {
        TRY(model_blame(generate_beams(out, len, score, m, hooks, &step, &x, &c), m));
        for (int i = 0; i < c.n_best; i++)
            print_result(&t, arena, out + i * c.max_new, len[i], c.eos, score[i], args_given(a, "json"));
    }
    for (int i = 0; i < c.n_best && !searched; i++, c.seed++) {
        TRY(model_blame(generate_tokens(out, len, m, hooks, &step, &x, &c), m));
        print_result(&t, arena, out, len[0], c.eos, NAN, args_given(a, "json"));
    }
    arena_close(&step);
    tokenizer_close(&t);
    return OK;
}

static const Option GENERATE_OPTIONS[] = {
    {"text", "TEXT", "the text itself, in place of a FILE"},
    {"mode", "MODE", "UniXcoder: decoder-only continues the text, encoder-decoder reads it both ways first"},
    {"max-new-tokens", "N", "generate at most N tokens; default 64", .alias = "max"},
    {"num-beams", "N", "beam search with N beams; default 1: the most probable token at each step", .alias = "beams"},
    {"num-return-sequences", "N", "print N results: the best beams, or N samples; default 1", .alias = "best"},
    {"length-penalty", "X", "beam search: scores are divided by length^X; default 1, UniXcoder 0"},
    {"early-stopping", NULL, "beam search: stop at the first N finished results"},
    {"temperature", "X", "sample from the softmax of logits / X; default 0, no sampling"},
    {"top-k", "N", "sample among the N likeliest tokens"},
    {"top-p", "P", "sample among the fewest tokens whose probabilities reach P"},
    {"seed", "S", "of the samples; default 1"},
    {"from", "LANG", "PLBART: language of the text (java, python, en_XX)"},
    {"to", "LANG", "PLBART: language to write"},
    {"tokenizer", "DIR", "the directory of the tokenizer; default: the model"},
    ADAPTER_OPTION,
    {"json", NULL, "a line of JSON for each result: text, ids and score"},
    {0}};
static const Choice GENERATE_CHOICES[] = {{"mode", "none|decoder-only|encoder-decoder"}, {0}};
static const Command GENERATE = {.name = "generate",
                                 .summary = "generate text from a prompt with a decoder or an encoder-decoder",
                                 .usage = "[options] MODEL [FILE]",
                                 .about = "MODEL is a checkpoint of GPT-2, BART, PLBART, T5, CodeT5 or "
                                          "UniXcoder (with --mode) and its tokenizer, a directory or a name "
                                          "in the hub's cache.  The text is a FILE, --text, or standard input.",
                                 .example = "vernier generate codet5 --text 'def add(a, b):' --num-beams 4",
                                 .options = GENERATE_OPTIONS,
                                 .choices = GENERATE_CHOICES,
                                 .least = 1,
                                 .most = 2,
                                 .run = run_generate};
REGISTER(command, GENERATE)

/* ---- fill */

/* Prints the `top` likeliest tokens with their probabilities; overwrites the logits as it goes. */
static void print_predictions(const Tokenizer *t, Arena *a, Tensor logits, int64_t at, int top)
{
    int64_t v = tensor_count(logits);
    double most = tensor_get(logits, tensor_argmax(logits)), total = 0;
    for (int64_t i = 0; i < v; i++) total += exp(tensor_get(logits, i) - most);
    for (int k = 0; k < top && k < v; k++) {
        int64_t best = tensor_argmax(logits);
        const char *piece = tokenizer_piece(t, (int32_t)best);
        size_t len;
        int32_t id = (int32_t)best;
        const char *text = piece ? tokenizer_decode(t, a, &id, 1, &len) : "";
        print_out("%4lld  %8.4f %%  %6lld  %s\n", (long long)at, 100 * exp(tensor_get(logits, best) - most) / total,
                  (long long)best, text);
        tensor_set(logits, best, -INFINITY);
    }
}

/* The model's frame around as much of the text as there are positions for. */
static Status fill_wrap(BpeText *x, const Tokenizer *t, Arena *arena, int64_t room, const Args *a)
{
    BpeText whole = *x, none = {0}, frame;
    TRY(tokenizer_wrap(&frame, t, arena, &none, NULL, NULL, (Limit){0}));
    if (whole.n > room - frame.n && !args_quiet(a))
        print_err("the text has %lld tokens; its first %lld %s\n", (long long)whole.n, (long long)(room - frame.n),
                  str_plural(room - frame.n, "fits", "fit"));
    return tokenizer_wrap(x, t, arena, &whole, NULL, NULL, (Limit){.most = room});
}

/* Predicts each <mask> of the text with a masked language model, and prints the likeliest tokens. */
static Status run_fill(const Args *a)
{
    Model *m;
    Hooks *hooks;
    Tokenizer t;
    Bytes text;
    int64_t top, found = 0;
    Arena *arena = args_arena(a), step = arena_open(0);
    TRY(args_int(&top, a, "top", 5, 1, 1000));
    TRY(open_both(&m, &hooks, &t, a, &(LoadOptions){0}));
    const Special *special = special_find(tokenizer_specials(&t), "<mask>", strlen("<mask>"));
    int32_t mask = special ? special->id : -1;
    if (m->arch->encode || m->decoder || m->config.no_lm_head || mask < 0)
        return err_fail(E_MISMATCH, "fill needs a masked language model (RoBERTa's shape, with its head and <mask>)");
    TRY(args_content(&text, a, 1));
    BpeText x = tokenizer_encode(&t, arena, text.text, text.len, true);
    TRY(fill_wrap(&x, &t, arena, config_room(&m->config), a));
    Batch b = {.b = 1, .t = x.n, .ids = x.id};
    Tensor z = model_logits(m, &(Pass){.tape = tape_open(&step, false), .hooks = hooks}, &b)->val;
    z = tensor_reshape(z, SHAPE(x.n, tensor_last(z)));
    TRY(model_blame(tensor_finite(z, "the logits"), m));
    for (int64_t i = 0; i < x.n; i++) {
        if (x.id[i] != mask) continue;
        if (found++) print_out("\n");
        print_predictions(&t, arena, tensor_at(z, i), x.begin[i], (int)top);
    }
    arena_close(&step);
    tokenizer_close(&t);
    return found ? OK : args_content_fault(err_fail(E_CONFIG, "the text has no <mask>"), a, 1);
}

static const Option FILL_OPTIONS[] = {{"text", "TEXT", "the text itself, in place of a FILE"},
                                      {"top", "N", "predictions for each mask; default 5"},
                                      {"tokenizer", "DIR", "the directory of the tokenizer; default: the model"},
                                      ADAPTER_OPTION,
                                      {0}};
static const Command FILL = {.name = "fill",
                             .summary = "predict the token at each <mask> of a text",
                             .usage = "[options] MODEL [FILE]",
                             .about =
                                 "Prints the most probable tokens at each <mask> of the text, by a masked language "
                                 "model.  Columns: byte offset of the mask in the text, probability, id, token.",
                             .example = "vernier fill codebert --text 'int <mask> = 0;'",
                             .options = FILL_OPTIONS,
                             .least = 1,
                             .most = 2,
                             .run = run_fill};
REGISTER(command, FILL)
