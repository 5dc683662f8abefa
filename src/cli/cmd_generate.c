/* vernier generate: text from a checkpoint's decoder. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/print.h"
#include "chat/chat.h"
#include "cli/adapter.h"
#include "cli/generate.h"
#include "io/json.h"
#include "nn/finite.h"

enum { USUAL_NEW = 64 }; /* new tokens where neither the user nor the folder sets a limit */
enum { NO_MODE, DECODER_ONLY, ENCODER_DECODER };
static const char *const MODES[] = {"none", "decoder-only", "encoder-decoder", NULL};

typedef struct {
    const Args *args;
    Arena *arena;
    Model *m;
    Hooks *hooks;
    Tokenizer t;
    GenerateSettings s;
    GenerateConfig *c;
    Batch x;
} Generation;

/* ---- the prompt */

/* The messages that a text holds as JSON, or the text as the user's message behind that of --system. */
static Status messages_of(cJSON **out, const Generation *g, Bytes text)
{
    const char *system = args_text(g->args, "system", NULL),
               *path = args_count(g->args) > 1 ? args_at(g->args, 1) : "--text";
    const cJSON *list;
    size_t blank = strspn(text.text, " \t\r\n");
    if (text.text[blank] == '[' || text.text[blank] == '{') {
        TRY(json_parse(out, text.text, text.len, path));
        Status s = chat_messages(&list, *out, path);
        if (!s && list) {
            if (system) s = err_fail(E_CONFIG, "%s has its own messages; --system is for a text", path);
            cJSON *copy = s ? NULL : cJSON_Duplicate(list, true);
            cJSON_Delete(*out);
            *out = copy;
            return s;
        }
        cJSON_Delete(*out);
        TRY(s);
    }
    *out = cJSON_CreateArray();
    for (int i = !system; i < 2; i++) {
        cJSON *m = cJSON_CreateObject();
        cJSON_AddStringToObject(m, "role", i ? "user" : "system");
        cJSON_AddStringToObject(m, "content", i ? text.text : system);
        cJSON_AddItemToArray(*out, m);
    }
    return OK;
}

/* The conversation as the model's own template renders it. */
static Status conversation(Bytes *out, const Generation *g, Bytes text)
{
    Chat c;
    cJSON *messages = NULL;
    const char *dir = args_text(g->args, "tokenizer", args_at(g->args, 0));
    TRY(chat_open(&c, g->arena, dir, &g->t));
    TRY(args_content_fault(messages_of(&messages, g, text), g->args, 1));
    Status s = chat_render(out, &c, g->arena, messages, true);
    cJSON_Delete(messages);
    return s;
}

/* The text's tokens.  Special tokens that it spells are these tokens, unless an option asks otherwise. */
static Status encode(BpeText *x, const Generation *g)
{
    Bytes text;
    Spelt spelt = args_given(g->args, "no-special")        ? SPELT_REFUSED
                  : args_given(g->args, "special-as-text") ? SPELT_TEXT
                                                           : SPELT_TOKENS;
    TRY(args_content(&text, g->args, 1));
    if (args_given(g->args, "chat")) {
        TRY(conversation(&text, g, text));
        spelt = SPELT_TOKENS;
    }
    TRY(args_content_fault(tokenizer_read(x, &g->t, g->arena, text.text, text.len, spelt), g->args, 1));
    return generator_check_ids(g->m, &g->t, x);
}

static void say_cut(const Generation *g, const char *what, int64_t had, const char *which, int64_t kept)
{
    if (kept < had && !args_quiet(g->args))
        print_err("the %s has %lld tokens; its %s %lld %s\n", what, (long long)had, which, (long long)kept,
                  str_plural(kept, "fits", "fit"));
}

/* UniXcoder's prompt: <s> <mode> </s> text.  A text that is too long keeps its end.  A text for the encoder gets
 * another </s> behind it, and keeps its beginning. */
static Status mode_prompt(Generation *g, const BpeText *p)
{
    const Model *m = g->m;
    GenerateConfig *c = g->c;
    char name[32];
    snprintf(name, sizeof name, "<%s>", MODES[c->both_ways ? ENCODER_DECODER : DECODER_ONLY]);
    int32_t word = tokenizer_find(&g->t, name);
    if (word < 0) return err_fail(E_MISMATCH, "the tokenizer has no %s, so this is no UniXcoder", name);
    TRY(generate_fit(c, m, p->n + 3 + c->both_ways, USUAL_NEW));
    int64_t most = config_room(&m->config) - c->max_new + 1 - 3 - c->both_ways;
    int64_t n = p->n < most ? p->n : most, skip = c->both_ways ? 0 : p->n - n, at = 0;
    if (most < 1) return err_fail(E_CONFIG, "--max-new-tokens %d leaves no room for a text", c->max_new);
    say_cut(g, "text", p->n, skip ? "last" : "first", n);
    int32_t *id = NEW(g->arena, int32_t, n + 4);
    id[at++] = m->config.bos, id[at++] = word, id[at++] = m->config.eos;
    for (int64_t i = 0; i < n; i++) id[at++] = p->id[skip + i];
    if (c->both_ways) id[at++] = m->config.eos;
    g->x = (Batch){.b = 1, .t = at, .ids = id};
    return OK;
}

/* The source of an encoder-decoder.  PLBART's language is in it where it is given. */
static Status source_prompt(Generation *g, const BpeText *text)
{
    BpeText s;
    const char *from = args_text(g->args, "from", NULL);
    Limit limit = {.most = config_room(&g->m->config)};
    TRY(tokenizer_wrap(&s, &g->t, g->arena, text, NULL, from, limit));
    g->x = (Batch){.b = 1, .s = s.n, .src = s.id};
    return generate_fit(g->c, g->m, 1, USUAL_NEW);
}

/* A decoder's prompt, of which the end is kept where the model has too few positions. */
static Status decoder_prompt(Generation *g, const BpeText *text)
{
    BpeText p;
    GenerateConfig *c = g->c;
    int64_t room = config_room(&g->m->config);
    p = *text; /* a conversation has its own first tokens */
    if (!args_given(g->args, "chat")) TRY(tokenizer_wrap(&p, &g->t, g->arena, text, NULL, NULL, (Limit){0}));
    TRY(generate_fit(c, g->m, p.n, USUAL_NEW));
    int64_t most = room ? room - c->max_new + 1 : p.n, skip = p.n > most ? p.n - most : 0;
    if (p.n && most < 1)
        return err_fail(E_CONFIG, "--max-new-tokens %d leaves no room for a prompt in %lld positions", c->max_new,
                        (long long)room);
    say_cut(g, "prompt", p.n, "last", p.n - skip);
    g->x = (Batch){.b = 1, .t = p.n - skip, .ids = p.id + skip};
    return p.n ? OK : args_content_fault(err_fail(E_CONFIG, "the prompt is empty"), g->args, 1);
}

static Status prompt(Generation *g)
{
    BpeText text;
    if (args_given(g->args, "system") && !args_given(g->args, "chat"))
        return err_fail(E_CONFIG, "--system needs --chat, whose template it is for");
    TRY(encode(&text, g));
    if (g->m->config.writes_from_encoder) return mode_prompt(g, &text);
    return g->m->arch->encode ? source_prompt(g, &text) : decoder_prompt(g, &text);
}

/* ---- the result */

/* The text of tokens: without special ones, unless the user wants them, and with U+FFFD for bytes that are no
 * character, such as the first of one that the limit has cut. */
static Bytes text_of(const Generation *g, const int32_t *id, int n)
{
    int32_t *kept = NEW(g->arena, int32_t, n + 1);
    int64_t k = 0;
    Bytes text;
    bool all = args_given(g->args, "keep-special-tokens");
    for (int i = 0; i < n; i++)
        if (all || !tokenizer_is_special(&g->t, id[i])) kept[k++] = id[i];
    text.text = tokenizer_decode(&g->t, g->arena, kept, k, &text.len);
    return text;
}

/* The model's table may have more rows than the tokenizer has tokens. */
static void remark_unknown(const Generation *g, const int32_t *id, int n)
{
    for (int i = 0; i < n && !args_quiet(g->args); i++)
        if (!tokenizer_piece(&g->t, id[i])) {
            print_err("id %d of the result stands for no token of the tokenizer, and for no text\n", id[i]);
            return;
        }
}

/* Prints one generated text, or with --json an object with its text, ids and score. */
static void print_result(const Generation *g, const int32_t *id, int n, double score)
{
    bool ended = n && generate_is_end(g->c, id[n - 1]);
    Bytes text = text_of(g, id, n - ended);
    remark_unknown(g, id, n - ended);
    if (!args_given(g->args, "json")) {
        print_layout(text.text, text.len);
        print_out("\n");
        return;
    }
    Buf b = buf_open(g->arena);
    buf_print(&b, "{\"text\": ");
    json_quote_bytes(&b, text.text, text.len);
    buf_print(&b, ", \"ids\": [");
    for (int i = 0; i < n; i++) buf_print(&b, "%s%d", i ? ", " : "", id[i]);
    buf_print(&b, "]");
    if (isfinite(score)) buf_print(&b, ", \"score\": %.6f", score);
    buf_print(&b, "}");
    print_document(b.text);
}

/* A result ends behind a text that the user or the folder names. */
static bool ends_with_stop(const int32_t *id, int n, void *user)
{
    const Generation *g = user;
    Bytes text = text_of(g, id, n);
    for (int i = 0; i < g->s.n_stop; i++)
        if (memmem(text.text, text.len, g->s.stop[i], strlen(g->s.stop[i]))) return true;
    return false;
}

/* ---- the command */

/* Reads the settings of decoding: the folder's, the options, and the language to write. */
static Status settings(Generation *g, int mode)
{
    int64_t seed;
    TRY(generator_settings(&g->s, g->m, g->args, args_at(g->args, 0)));
    generator_remarks(&g->s, g->args);
    TRY(args_int(&seed, g->args, "seed", 1, 0, (int64_t)1 << 53));
    g->c = &g->s.c;
    g->c->both_ways = mode == ENCODER_DECODER;
    g->c->seed = (uint64_t)seed;
    if (g->s.n_stop) g->c->ends = ends_with_stop, g->c->user = g;
    const char *to = args_text(g->args, "to", NULL);
    int32_t code = tokenizer_language(&g->t, to);
    if (to && code < 0)
        return err_fail(E_CONFIG, "--to is %s, which is not a language of this model's tokenizer", to);
    if (code >= 0) g->c->start = code;
    return OK;
}

static Status open_model(Generation *g, int *mode)
{
    TRY(args_word(mode, g->args, "mode", NO_MODE, MODES));
    if (args_given(g->args, "special-as-text") && args_given(g->args, "no-special"))
        return err_fail(E_CONFIG, "--special-as-text and --no-special are both given; they exclude each other");
    LoadOptions load = {.writes_from_encoder = *mode != NO_MODE};
    TRY(generator_open(&g->m, &g->hooks, &g->t, g->args, &load));
    const Model *m = g->m;
    bool asks = tokenizer_find(&g->t, "<decoder-only>") >= 0; /* only UniXcoder's tokenizer has it */
    if (!*mode && !m->decoder && !m->config.writes_from_encoder)
        return err_fail(asks ? E_CONFIG : E_MISMATCH,
                        "this %s model has no decoder; if it is a UniXcoder, use --mode", m->config.arch);
    if (*mode && !m->config.writes_from_encoder)
        return err_fail(E_CONFIG, "--mode is for UniXcoder, whose encoder writes; a %s model has none that does",
                        m->config.arch);
    return OK;
}

/* Generates from the prompt: all sequences at once by beam search, or one after another without it. */
static Status write_results(Generation *g, Arena *step)
{
    GenerateConfig *c = g->c;
    int32_t *out = NEW(g->arena, int32_t, (int64_t)c->n_best * c->max_new), *len = NEW(g->arena, int32_t, c->n_best);
    double *score = NEW(g->arena, double, c->n_best);
    if (c->beams > 1) {
        TRY(model_blame(generate_beams(out, len, score, g->m, g->hooks, step, &g->x, c), g->m));
        for (int i = 0; i < c->n_best; i++) print_result(g, out + (int64_t)i * c->max_new, len[i], score[i]);
        return OK;
    }
    for (int i = 0; i < c->n_best; i++, c->seed++) {
        TRY(model_blame(generate_tokens(out, len, g->m, g->hooks, step, &g->x, c), g->m));
        print_result(g, out, len[0], NAN);
    }
    return OK;
}

static Status run_generate(const Args *a)
{
    Generation g = {.args = a, .arena = args_arena(a)};
    int mode;
    TRY(open_model(&g, &mode));
    TRY(settings(&g, mode));
    TRY(prompt(&g));
    Arena step = arena_open(0);
    Status status = write_results(&g, &step);
    arena_close(&step);
    tokenizer_close(&g.t);
    return status;
}

static const Option OPTIONS[] = {
    MODEL_OPTION,
    {"text", "TEXT", "the text itself, in place of a FILE"},
    {"mode", "MODE", "UniXcoder: decoder-only continues the text, encoder-decoder reads it both ways first"},
    {"max-new-tokens", "N", "generate at most N tokens; default: the folder's, or 64", .alias = "max"},
    {"max-length", "N", "generate until prompt and result have N tokens together", .alias = "length"},
    {"min-new-tokens", "N", "no end before N new tokens"},
    {"min-length", "N", "no end before prompt and result have N tokens together"},
    {"num-beams", "N", "beam search with N beams; default: the folder's, or 1: the most probable token at each step",
     .alias = "beams"},
    {"num-return-sequences", "N", "print N results: the best beams, or N samples; default 1", .alias = "best"},
    {"length-penalty", "X", "beam search: scores are divided by length^X; default 1, UniXcoder 0"},
    {"early-stopping", NULL, "beam search: stop at the first N finished results"},
    {"early-stopping-never", NULL, "beam search: stop only when no open beam can win at the greatest length"},
    {"repetition-penalty", "X", "above 1: tokens that stand in the prompt or the result become less probable"},
    {"encoder-repetition-penalty", "X", "above 1: tokens of the source become more probable"},
    {"no-repeat-ngram-size", "N", "no sequence of N tokens occurs twice in prompt and result"},
    {"encoder-no-repeat-ngram-size", "N", "no sequence of N tokens of the source occurs in the result"},
    {"suppress-tokens", "ID,...", "tokens that are never generated"},
    {"begin-suppress-tokens", "ID,...", "tokens that are not generated first"},
    {"forced-bos-token-id", "ID", "the first token of an encoder-decoder's result"},
    {"forced-eos-token-id", "ID,...", "the last token of a result that reaches the limit"},
    {"eos-token-id", "ID,...", "tokens that end a result; default: the folder's"},
    {"stop", "TEXT", "end a result behind TEXT; may be repeated", .repeated = true},
    {"do-sample", NULL, "sample; the options of sampling below imply it"},
    {"greedy", NULL, "do not sample, even where the folder does"},
    {"temperature", "X", "sample from the softmax of logits / X; 0: do not sample"},
    {"top-k", "N", "sample among the N most probable tokens; default: all"},
    {"top-p", "P", "sample among the fewest tokens whose probabilities reach P"},
    {"min-p", "P", "sample among tokens of at least P times the highest probability"},
    {"typical-p", "P", "sample among the tokens of most typical information whose probabilities reach P"},
    {"epsilon-cutoff", "P", "sample among tokens of at least probability P"},
    {"eta-cutoff", "P", "the same with a limit that follows the entropy"},
    {"seed", "S", "of the samples; default 1"},
    {"chat", NULL,
     "put the text into the model's chat template, as the user's message; or messages, where the text is JSON: "
     "[{\"role\": \"user\", \"content\": \"...\"}, ...]"},
    {"system", "TEXT", "with --chat: a system message before the user's"},
    {"from", "LANG", "PLBART: language of the text (java, python, en_XX)"},
    {"to", "LANG", "PLBART: language to write"},
    {"special-as-text", NULL, "read \"</s>\" and the like in the text as text; default: as special tokens"},
    {"no-special", NULL, "reject a text that contains a special token"},
    {"keep-special-tokens", NULL, "print special tokens of the result, too"},
    {"tokenizer", "DIR", "the directory of the tokenizer; default: the model"},
    MODEL_OPTIONS,
    DTYPE_OPTION,
    {"no-generation-config", NULL, "ignore the settings of generation in the model's folder"},
    {"verbose", NULL, "report each setting of generation and where it comes from"},
    {"json", NULL, "a line of JSON for each result: text, ids and score"},
    {0}};
static const Choice CHOICES[] = {{"mode", "none|decoder-only|encoder-decoder"}, DTYPE_CHOICE, {0}};
static const Command GENERATE = {
    .name = "generate",
    .summary = "generate text from a prompt with a decoder or an encoder-decoder",
    .usage = "[options] MODEL [FILE]",
    .about =
        "MODEL is a checkpoint with a decoder (GPT-2, BART, PLBART, T5, CodeT5), or UniXcoder (with --mode), and "
        "its tokenizer: a directory or a name in the hub's cache.  The text is a FILE, --text, or standard input.  "
        "Settings that the command line leaves out come from the model's generation_config.json, or from "
        "config.json where there is none.",
    .example = "vernier generate codet5 --text 'def add(a, b):' --num-beams 4",
    .options = OPTIONS,
    .choices = CHOICES,
    .least = 1,
    .most = 2,
    .model_at = 1,
    .run = run_generate};
REGISTER(command, GENERATE)
