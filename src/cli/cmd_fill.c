/* vernier fill: the predictions of a masked language model at the masks of a text. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "cli/adapter.h"
#include "cli/generate.h"
#include "nn/finite.h"

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

/* The model's frame around as much of the text, or of the two texts of a pair, as there are positions for. */
static Status wrap(BpeText *x, const Tokenizer *t, Arena *arena, const BpeText *second, int64_t room, const Args *a)
{
    BpeText whole = *x, none = {0}, frame;
    TRY(tokenizer_wrap(&frame, t, arena, &none, second ? &none : NULL, NULL, (Limit){0}));
    int64_t n = whole.n + (second ? second->n : 0), fit = room - frame.n;
    if (room && n > fit && !args_quiet(a))
        print_err("the %s %lld tokens; %s %lld %s\n", second ? "texts have" : "text has", (long long)n,
                  second ? "only" : "its first", (long long)fit, str_plural(fit, "fits", "fit"));
    return tokenizer_wrap(x, t, arena, &whole, second, NULL, (Limit){.most = room});
}

/* E_CONFIG: a special token other than the mask stands in the text, which is called `name`. */
static Status check_specials(const Tokenizer *t, Bytes text, const char *name, int32_t mask)
{
    size_t at = 0, from = 0;
    for (const Special *s; (s = special_next(tokenizer_specials(t), text.text, from, text.len, &at));) {
        from = at + s->len;
        if (s->id != mask)
            return err_fail(E_CONFIG, "byte %zu of %s begins the special token %s; only %s is accepted", at, name,
                            s->text, tokenizer_piece(t, mask));
    }
    return OK;
}

static int64_t masks_of(const BpeText *x, int32_t mask)
{
    int64_t n = 0;
    for (int64_t i = 0; i < x->n; i++) n += x->id[i] == mask;
    return n;
}

/* The text, or both texts of a pair, with the frame; E_CONFIG: none of their masks is left. */
static Status masked_text(BpeText *x, const Model *m, const Tokenizer *t, const Args *a, int32_t mask)
{
    Bytes text;
    Arena *arena = args_arena(a);
    const char *pair = args_text(a, "pair", NULL), *piece = tokenizer_piece(t, mask);
    BpeText second = {0};
    TRY(args_content(&text, a, 1));
    if (args_given(a, "no-special")) {
        TRY(args_content_fault(check_specials(t, text, "the text", mask), a, 1));
        if (pair) TRY(check_specials(t, (Bytes){(char *)(uintptr_t)pair, strlen(pair)}, "--pair", mask));
    }
    *x = tokenizer_encode(t, arena, text.text, text.len, true);
    if (pair) second = tokenizer_encode(t, arena, pair, strlen(pair), true);
    int64_t masks = masks_of(x, mask) + masks_of(&second, mask);
    TRY(wrap(x, t, arena, pair ? &second : NULL, config_room(&m->config), a));
    TRY(generator_check_ids(m, t, x));
    if (masks_of(x, mask)) return OK;
    const char *whose = pair ? "the texts" : "the text";
    Status status = masks ? err_fail(E_CONFIG, "no %s of %s is within the model's %d positions", piece, whose,
                                     config_room(&m->config))
                          : err_fail(E_CONFIG, "%s %s no %s", whose, pair ? "have" : "has", piece);
    return args_content_fault(status, a, 1);
}

/* Predicts each mask of the text with a masked language model, and prints the likeliest tokens. */
static Status run_fill(const Args *a)
{
    Model *m;
    Hooks *hooks;
    Tokenizer t;
    BpeText x;
    int64_t top, found = 0;
    Arena *arena = args_arena(a), step = arena_open(0);
    TRY(args_int(&top, a, "top", 5, 1, 1000));
    TRY(generator_open(&m, &hooks, &t, a, &(LoadOptions){0}));
    int32_t mask = tokenizer_mask(&t);
    if (m->arch->encode || m->decoder || m->config.no_lm_head || mask < 0 || mask >= m->config.vocab)
        return err_fail(E_MISMATCH, "fill needs a masked language model with its head and a mask token%s%s",
                        mask < 0 ? "; the tokenizer has none" : "",
                        m->arch->encode ? "; an encoder-decoder such as T5 fills <extra_id_0> with vernier generate"
                                        : "");
    TRY(masked_text(&x, m, &t, a, mask));
    Batch b = {.b = 1, .t = x.n, .ids = x.id, .type = m->config.types > 1 ? tokenizer_types(&t, arena, &x) : NULL};
    Tensor z = model_logits(m, &(Pass){.tape = tape_open(&step, false), .hooks = hooks}, &b)->val;
    z = tensor_reshape(z, SHAPE(x.n, tensor_last(z)));
    TRY(model_blame(tensor_finite(z, "the logits"), m));
    for (int64_t i = 0; i < x.n; i++) {
        if (x.id[i] != mask) continue;
        if (found++)
            print_out("\n");
        else if (isatty(STDOUT_FILENO)) /* for a reader; a program takes the rows as they are */
            print_out("%4s  %10s  %6s  %s\n", "byte", "chance", "id", "token");
        print_predictions(&t, arena, tensor_at(z, i), x.begin[i], (int)top);
    }
    arena_close(&step);
    tokenizer_close(&t);
    return OK;
}

static const Option OPTIONS[] = {
    MODEL_OPTION,
    {"text", "TEXT", "the text itself, in place of a FILE"},
    {"pair", "TEXT", "a second text behind the first, as the model reads a pair; masks may be in both"},
    {"top", "N", "predictions for each mask; default 5"},
    {"no-special", NULL, "reject a text that contains another special token"},
    {"tokenizer", "DIR", "the directory of the tokenizer; default: the model"},
    MODEL_OPTIONS,
    DTYPE_OPTION,
    {0}};
static const Choice CHOICES[] = {DTYPE_CHOICE, {0}};
static const Command FILL = {.name = "fill",
                             .summary = "predict the token at each <mask> of a text",
                             .usage = "[options] MODEL [FILE]",
                             .about =
                                 "Prints the most probable tokens at each mask of the text, by a masked language "
                                 "model.  The mask is written as the tokenizer has it: <mask>, or [MASK].  "
                                 "Columns: byte offset of the mask in its text, probability, id, token.",
                             .example = "vernier fill codebert --text 'int <mask> = 0;'",
                             .options = OPTIONS,
                             .choices = CHOICES,
                             .least = 1,
                             .most = 2,
                             .model_at = 1,
                             .run = run_fill};
REGISTER(command, FILL)
