/* The common inputs of `vernier attend`: a model, its tokens, and the chosen heads. */
#include "analysis/ask.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/adapter.h"
#include "nn/finite.h"

/* ---- the two models */

static Status part_of(Ask *k)
{
    static const char *const words[] = {"encoder", "decoder", "cross", NULL};
    const Model *m = k->model;
    int part = m->encoder ? PART_ENCODER : PART_DECODER;
    TRY(args_word(&part, k->args, "part", part, words));
    if (!model_layers(m, (Part)part))
        return err_fail(E_CONFIG, "--part %s: %s of %s has no such part", words[part], k->x.model, m->arch->name);
    k->x.maps.part = (Part)part;
    return OK;
}

/* Loads the model with its adapter, and with --base a second one, which must have the same shape. */
Status ask_models(Ask *k)
{
    const char *operand = args_count(k->args) ? args_at(k->args, 0) : NULL;
    k->x.model = args_text(k->args, "model", args_text(k->args, "compare", operand));
    k->x.base = args_text(k->args, "base", NULL);
    if (!k->x.model)
        return err_fail(E_CONFIG, "--model DIR is needed: a directory with config.json and model.safetensors");
    static const char *const words[] = {"f32", "f64", NULL};
    int dtype;
    TRY(args_word(&dtype, k->args, "dtype", 0, words));
    k->load.dtype = dtype ? F64 : F32;
    TRY(model_with_adapter(&k->model, &k->hooks, k->args, k->arena, k->x.model, &k->load));
    k->x.arch = k->model->arch->name;
    TRY(part_of(k));
    if (!k->x.base) return OK;
    TRY(model_load_as(&k->other, k->arena, k->x.base, &k->load));
    Part p = k->x.maps.part;
    int layers = model_layers(k->model, p), heads = maps_heads(k->model, p), base_layers = model_layers(k->other, p);
    if (strcmp(k->model->arch->name, k->other->arch->name) != 0 || layers != base_layers ||
        heads != maps_heads(k->other, p))
        return err_fail(E_MISMATCH, "%s is %s with %d layers of %d heads in its %s; %s is %s with %d of %d",
                        k->x.model, k->model->arch->name, layers, heads, part_name(p), k->x.base,
                        k->other->arch->name, base_layers, base_layers ? maps_heads(k->other, p) : 0);
    return OK;
}

/* ---- tokens */

Status ask_tokenizer(Ask *k)
{
    const char *dir = args_text(k->args, "tokenizer", NULL);
    TRY(tokens_open(&k->tokenizer, k->arena, dir ? dir : k->x.model));
    if (dir && !k->tokenizer)
        return err_fail(
            E_IO, "%s: has no tokenizer (tokenizer.json, vocab.json and merges.txt, or a SentencePiece model)", dir);
    return OK;
}

/* From --TEXT or --IDS, whichever was given; neither leaves out->n at 0. */
static Status read_tokens(Ask *k, Tokens *out, const char *text_option, const char *ids_option, const char **used)
{
    const char *text = args_text(k->args, text_option, NULL), *ids = args_text(k->args, ids_option, NULL);
    *out = (Tokens){0};
    *used = text ? text_option : ids_option;
    if (text && ids)
        return err_fail(E_CONFIG, "--%s and --%s are both given; one is enough", text_option, ids_option);
    if (ids) return tokens_of_ids(out, k->arena, k->tokenizer, ids_option, ids);
    if (!text) return OK;
    if (!k->tokenizer)
        return err_fail(
            E_IO,
            "%s has no tokenizer (tokenizer.json, vocab.json and merges.txt, or a SentencePiece model); name one "
            "with --tokenizer DIR or give --%s",
            k->x.model, ids_option);
    return tokens_of_text(out, k->arena, k->tokenizer, text_option, text, args_text(k->args, "language", NULL));
}

static Status check_tokens(Ask *k, const Tokens *t, Part part, const char *option)
{
    TRY(tokens_check(t, k->model, part, option));
    return k->other ? tokens_check(t, k->other, part, option) : OK;
}

/* An encoder-decoder's encoder reads --source, or --text if only its encoder is chosen.  Text for the decoder is a
 * target, which the decoder reads shifted right by one; ids are its input as it is. */
Status ask_input(Ask *k)
{
    Batch *b = &k->batch;
    PageAttention *x = &k->x;
    Part part = x->maps.part;
    const char *option, *source_option;
    TRY(ask_tokenizer(k));
    TRY(read_tokens(k, &x->tokens, "text", "ids", &option));
    TRY(read_tokens(k, &x->source, "source", "source-ids", &source_option));
    bool pair = k->model->arch->encode, encoder_alone = pair && part == PART_ENCODER;
    if (x->source.n && !pair)
        return err_fail(E_CONFIG, "--%s: %s is no encoder-decoder; use --text or --ids", source_option, x->arch);
    if (encoder_alone && x->source.n) {
        x->tokens = x->source;
        option = source_option;
    }
    if (!x->tokens.n) return err_fail(E_CONFIG, "no input for the model; expected --text TEXT or --ids 1,2,3");
    if (pair && part != PART_ENCODER) {
        if (!x->source.n)
            return err_fail(E_CONFIG, "--part %s needs the encoder's input; expected --source TEXT or --source-ids",
                            part_name(part));
        if (args_given(k->args, "text")) {
            k->target = x->tokens.id;
            x->tokens = tokens_shifted(k->arena, &x->tokens, &k->model->config, k->tokenizer);
        }
        TRY(check_tokens(k, &x->source, PART_ENCODER, source_option));
    }
    TRY(check_tokens(k, &x->tokens, part, option));
    *b = (Batch){.b = 1, .t = x->tokens.n, .ids = x->tokens.id, .s = x->source.n, .src = x->source.id};
    if (encoder_alone) *b = (Batch){.b = 1, .s = x->tokens.n, .src = x->tokens.id};
    return ask_data_flow(k);
}

Status ask_going_on(Ask *k, const char *phase, int64_t done, int64_t total)
{
    if (!k->progress.title) {
        const char *title = str_print(k->arena, "attend/%s", page_path_name(k->arena, k->x.model));
        k->progress = (Progress){title, args_quiet(k->args), clock_now()};
    }
    Stage stage = {"", done, total, NAN};
    snprintf(stage.phase, sizeof stage.phase, "%s", phase);
    progress_show(&k->progress, &stage, -1);
    if (done == total || run_stopped()) progress_clear();
    return run_stopped() ? run_interrupted() : OK;
}

Status ask_read(Ask *k, Arena *a, const Batch *b, Part part, int64_t rows, Maps *model, Maps *base)
{
    maps_read(model, a, k->model, k->hooks, b, part);
    if (model->t != rows)
        return err_fail(
            E_MISMATCH,
            "the adapter puts virtual tokens among the text's own, and these maps label the text's alone");
    TRY(model_blame(maps_finite(model, k->x.model), k->model));
    if (!k->other) return OK;
    maps_read(base, a, k->other, hooks_new(a), b, part);
    TRY(model_blame(maps_finite(base, k->x.base), k->other));
    if (base->s != model->s && base->prefix)
        return err_fail(E_MISMATCH, "the prefix of --base has %lld columns and the model's %lld",
                        (long long)base->prefix, (long long)model->prefix);
    if (base->s != model->s) maps_widen(base, a, model->prefix);
    return OK;
}

/* ---- which maps */

/* "all" or a list of numbers below `n`; the numbers, ascending as given. */
static Status choose(int **out, int *count, Arena *a, const char *option, const char *text, int n, const char *of)
{
    *out = NEW(a, int, n);
    *count = 0;
    if (!text || !strcmp(text, "all")) {
        while (*count < n) (*out)[*count] = *count, ++*count;
        return OK;
    }
    size_t len;
    for (const char *rest = text, *s; str_next(&rest, ",", &s, &len);) {
        int64_t v;
        if (!str_int(str_copy(a, s, len), &v))
            return err_fail(E_CONFIG, "--%s %s: expected a number, a list such as 0,2, or all", option, text);
        if (v < 0 || v >= n)
            return err_fail(E_CONFIG, "--%s %lld: the %s has %ss 0 to %d", option, (long long)v, of, option, n - 1);
        for (int i = 0; i < *count; i++)
            if ((*out)[i] == v) return err_fail(E_CONFIG, "--%s %s: %lld is there twice", option, text, (long long)v);
        (*out)[(*count)++] = (int)v;
    }
    return *count ? OK : err_fail(E_CONFIG, "--%s is empty", option);
}

Status ask_maps(Ask *k)
{
    PageAttention *x = &k->x;
    const char *head = args_text(k->args, "head", NULL), *part = part_name(x->maps.part);
    int layers = model_layers(k->model, x->maps.part), heads = maps_heads(k->model, x->maps.part);
    TRY(choose(&x->layer, &x->layers, k->arena, "layer", args_text(k->args, "layer", NULL), layers, part));
    if (head && !strcmp(head, "mean")) {
        x->head = NEW(k->arena, int, 1);
        x->head[0] = HEAD_MEAN;
        x->heads = 1;
        return OK;
    }
    return choose(&x->head, &x->heads, k->arena, "head", head, heads, part);
}

Status ask_number(Ask *k)
{
    const char *name[STATS + 1];
    for (int i = 0; i < STATS; i++) name[i] = STAT[i].name;
    name[STATS] = NULL;
    return args_word(&k->x.number, k->args, "number", -1, name);
}

Status ask_format(Ask *k)
{
    k->x.format = args_text(k->args, "format", NULL);
    if (!k->x.format || fig_formats(k->x.format)) return OK;
    return err_fail(E_CONFIG, "--format %s: expected svg, pdf or png, or some of them with commas between",
                    k->x.format);
}
