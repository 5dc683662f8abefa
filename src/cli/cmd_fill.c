/* vernier fill: the predictions of a masked language model at the masks of a text. */
#include <math.h>
#include <string.h>

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

/* The model's frame around as much of the text, or of the text and the one of --pair, as there are positions for. */
static Status wrap(BpeText *x, const Tokenizer *t, Arena *arena, int64_t room, const Args *a)
{
    const char *text = args_text(a, "pair", NULL);
    BpeText whole = *x, second = {0}, none = {0}, frame;
    if (text) second = tokenizer_encode(t, arena, text, strlen(text), true);
    TRY(tokenizer_wrap(&frame, t, arena, &none, text ? &none : NULL, NULL, (Limit){0}));
    int64_t n = whole.n + second.n;
    if (room && n > room - frame.n && !args_quiet(a))
        print_err("the %s %lld tokens; %s %lld %s\n", text ? "texts have" : "text has", (long long)n,
                  text ? "the first" : "its first", (long long)(room - frame.n),
                  str_plural(room - frame.n, "fits", "fit"));
    return tokenizer_wrap(x, t, arena, &whole, text ? &second : NULL, NULL, (Limit){.most = room});
}

/* E_CONFIG: a special token other than the mask stands in the text. */
static Status check_specials(const Tokenizer *t, Bytes text, int32_t mask)
{
    size_t at = 0, from = 0;
    for (const Special *s; (s = special_next(tokenizer_specials(t), text.text, from, text.len, &at));) {
        from = at + s->len;
        if (s->id != mask)
            return err_fail(E_CONFIG, "byte %zu of the text begins the special token %s; only %s is accepted", at,
                            s->text, tokenizer_piece(t, mask));
    }
    return OK;
}

/* The text with its frame; E_CONFIG: none of its masks are in it. */
static Status masked_text(BpeText *x, const Model *m, const Tokenizer *t, const Args *a, int32_t mask)
{
    Bytes text;
    Arena *arena = args_arena(a);
    TRY(args_content(&text, a, 1));
    if (args_given(a, "no-special")) TRY(args_content_fault(check_specials(t, text, mask), a, 1));
    *x = tokenizer_encode(t, arena, text.text, text.len, true);
    int64_t masks = 0, left = 0;
    const char *second = args_text(a, "pair", "");
    if (args_given(a, "no-special")) TRY(check_specials(t, (Bytes){(char *)(uintptr_t)second, strlen(second)}, mask));
    for (int64_t i = 0; i < x->n; i++) masks += x->id[i] == mask;
    TRY(wrap(x, t, arena, config_room(&m->config), a));
    TRY(generator_check_ids(m, t, x));
    for (int64_t i = 0; i < x->n; i++) left += x->id[i] == mask;
    if (left) return OK;
    Status status = masks ? err_fail(E_CONFIG, "no %s of the text is within the model's %d positions",
                                     tokenizer_piece(t, mask), config_room(&m->config))
                          : err_fail(E_CONFIG, "the text has no %s", tokenizer_piece(t, mask));
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
        return err_fail(E_MISMATCH, "fill needs a masked language model with its head and a mask token%s",
                        mask < 0 ? "; the tokenizer has none" : "");
    TRY(masked_text(&x, m, &t, a, mask));
    Batch b = {.b = 1, .t = x.n, .ids = x.id, .type = m->config.types > 1 ? tokenizer_types(&t, arena, &x) : NULL};
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
    return OK;
}

static const Option OPTIONS[] = {
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
                             .run = run_fill};
REGISTER(command, FILL)
