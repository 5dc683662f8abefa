/* vernier attend: what each head of a model attends to, as figures, a page, a table, and files to compute with.
 * With --base a second model reads the same tokens, and the page leads with the heads that moved. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "analysis/page.h"
#include "base/str.h"
#include "cli/adapter.h"

typedef struct {
    const Args *args;
    Arena *arena;
    Attention x;
    Model *model, *other;
    Hooks *hooks; /* of an adapter on the model */
    Tokenizer *tokenizer;
} Ask;

/* ---- the two models */

static Status part_of(Ask *k)
{
    static const char *const words[] = {"encoder", "decoder", "cross", NULL};
    const Model *m = k->model;
    int part = m->encoder ? PART_ENCODER : PART_DECODER;
    TRY(args_word(&part, k->args, "part", part, words));
    if (!model_layers(m, (Part)part))
        return fail(E_CONFIG, "--part %s: %s of %s has no such part", words[part], k->x.model, m->arch->name);
    k->x.maps.part = (Part)part;
    return OK;
}

static Status load_models(Ask *k)
{
    k->x.model = args_text(k->args, "model", NULL);
    k->x.base = args_text(k->args, "base", NULL);
    if (!k->x.model)
        return fail(E_CONFIG, "--model DIR is needed: a directory with config.json and model.safetensors");
    TRY(model_with_adapter(&k->model, &k->hooks, k->args, k->arena, k->x.model, &(LoadOptions){0}));
    k->x.arch = k->model->arch->name;
    TRY(part_of(k));
    if (!k->x.base) return OK;
    TRY(model_load(&k->other, k->arena, k->x.base));
    Part p = k->x.maps.part;
    int layers = model_layers(k->model, p), heads = maps_heads(k->model, p), base_layers = model_layers(k->other, p);
    if (strcmp(k->model->arch->name, k->other->arch->name) != 0 || layers != base_layers ||
        heads != maps_heads(k->other, p))
        return fail(E_MISMATCH, "%s is %s with %d layers of %d heads in its %s; %s is %s with %d of %d", k->x.model,
                    k->model->arch->name, layers, heads, part_name(p), k->x.base, k->other->arch->name, base_layers,
                    base_layers ? maps_heads(k->other, p) : 0);
    return OK;
}

/* ---- what they read */

static Status open_tokenizer(Ask *k)
{
    const char *dir = args_text(k->args, "tokenizer", NULL);
    TRY(tokens_open(&k->tokenizer, k->arena, dir ? dir : k->x.model));
    if (dir && !k->tokenizer)
        return fail(
            E_IO, "%s: has no tokenizer (tokenizer.json, vocab.json and merges.txt, or a SentencePiece model)", dir);
    return OK;
}

/* From --TEXT or --IDS, whichever was given; neither leaves out->n at 0. */
static Status read_tokens(Ask *k, Tokens *out, const char *text_option, const char *ids_option, const char **used)
{
    const char *text = args_text(k->args, text_option, NULL), *ids = args_text(k->args, ids_option, NULL);
    *out = (Tokens){0};
    *used = text ? text_option : ids_option;
    if (text && ids) return fail(E_CONFIG, "--%s and --%s are both given; one is enough", text_option, ids_option);
    if (ids) return tokens_of_ids(out, k->arena, k->tokenizer, ids_option, ids);
    if (!text) return OK;
    if (!k->tokenizer)
        return fail(
            E_CONFIG,
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

/* An encoder-decoder's encoder reads --source, or --text where only its encoder is asked for.  Text for the decoder
 * is a target, which the decoder reads moved right by one; ids are what it reads. */
static Status read_input(Ask *k, Batch *b)
{
    Attention *x = &k->x;
    Part part = x->maps.part;
    const char *option, *source_option;
    TRY(open_tokenizer(k));
    TRY(read_tokens(k, &x->tokens, "text", "ids", &option));
    TRY(read_tokens(k, &x->source, "source", "source-ids", &source_option));
    bool pair = k->model->arch->encode, encoder_alone = pair && part == PART_ENCODER;
    if (x->source.n && !pair)
        return fail(E_CONFIG, "--%s: %s is no encoder-decoder; use --text or --ids", source_option, x->arch);
    if (encoder_alone && x->source.n) {
        x->tokens = x->source;
        option = source_option;
    }
    if (!x->tokens.n) return fail(E_CONFIG, "--text TEXT or --ids 1,2,3 is needed: what the model reads");
    if (pair && part != PART_ENCODER) {
        if (!x->source.n)
            return fail(E_CONFIG, "--part %s needs --source TEXT or --source-ids: what the encoder reads",
                        part_name(part));
        if (args_given(k->args, "text"))
            x->tokens = tokens_shifted(k->arena, &x->tokens, &k->model->config, k->tokenizer);
        TRY(check_tokens(k, &x->source, PART_ENCODER, source_option));
    }
    TRY(check_tokens(k, &x->tokens, part, option));
    *b = (Batch){.b = 1, .t = x->tokens.n, .ids = x->tokens.id, .s = x->source.n, .src = x->source.id};
    if (encoder_alone) *b = (Batch){.b = 1, .s = x->tokens.n, .src = x->tokens.id};
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
    for (const char *s = text; *s;) {
        size_t len = strcspn(s, ",");
        int64_t v;
        if (!str_int(str_copy(a, s, len), &v))
            return fail(E_CONFIG, "--%s %s: expected a number, a list such as 0,2, or all", option, text);
        if (v < 0 || v >= n)
            return fail(E_CONFIG, "--%s %lld: the %s has %ss 0 to %d", option, (long long)v, of, option, n - 1);
        for (int i = 0; i < *count; i++)
            if ((*out)[i] == v) return fail(E_CONFIG, "--%s %s: %lld is there twice", option, text, (long long)v);
        (*out)[(*count)++] = (int)v;
        s += len + (s[len] == ',');
    }
    return *count ? OK : fail(E_CONFIG, "--%s is empty", option);
}

static Status choose_maps(Ask *k)
{
    Attention *x = &k->x;
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

static void label_maps(Ask *k)
{
    Attention *x = &k->x;
    const Maps *m = &x->maps;
    const Tokens *keys = m->part == PART_CROSS ? &x->source : &x->tokens;
    x->labels = (MapLabels){.t = m->t,
                            .s = m->s,
                            .prefix = m->prefix,
                            .row = x->tokens.label,
                            .col = NEW(k->arena, const char *, m->s),
                            .row_title = "query",
                            .col_title = "key",
                            .causal = m->part == PART_DECODER};
    for (int64_t j = 0; j < m->s; j++)
        x->labels.col[j] = j < m->prefix ? str_print(k->arena, "%lld", (long long)j) : keys->label[j - m->prefix];
}

static Status read_maps(Ask *k, const Batch *b)
{
    Attention *x = &k->x;
    Maps base;
    maps_read(&x->maps, k->arena, k->model, k->hooks, b, x->maps.part);
    if (x->maps.t != x->tokens.n)
        return fail(E_MISMATCH,
                    "the adapter puts virtual tokens among the text's own, and these maps label the text's alone");
    if (k->other) maps_read(&base, k->arena, k->other, hooks_new(k->arena), b, x->maps.part);
    if (k->other && base.s != x->maps.s)
        return fail(E_MISMATCH, "the adapter's prefix adds %lld columns that --base has not",
                    (long long)(x->maps.s - base.s));
    x->row = NEW(k->arena, HeadRow, x->layers * x->heads);
    for (int i = 0; i < x->layers * x->heads; i++) {
        HeadRow *r = &x->row[i];
        r->layer = x->layer[i / x->heads];
        r->head = x->head[i % x->heads];
        r->map = maps_head(&x->maps, k->arena, r->layer, r->head);
        r->stats = maps_stats(&x->maps, r->map);
        if (!k->other) continue;
        r->base = maps_head(&base, k->arena, r->layer, r->head);
        r->before = maps_stats(&base, r->base);
        r->shift = maps_shift(r->map, r->base);
    }
    label_maps(k);
    return OK;
}

/* ---- answers */

static void print_number(double v, int width)
{
    if (isfinite(v))
        printf("%*.3f", width, v);
    else
        printf("%*s", width, "-");
}

static void print_table(const Attention *x)
{
    printf("layer  head  entropy  distance  first%s%s\n", x->maps.prefix ? "  prefix" : "",
           x->base ? "  shift  base_entropy  base_distance  base_first" : "");
    for (int i = 0; i < x->layers * x->heads; i++) {
        const HeadRow *r = &x->row[i];
        printf("%5d", r->layer);
        if (r->head == HEAD_MEAN)
            printf("  %4s", "mean");
        else
            printf("  %4d", r->head);
        print_number(r->stats.entropy, 9);
        print_number(r->stats.distance, 10);
        print_number(r->stats.first, 7);
        if (x->maps.prefix) print_number(r->stats.prefix, 8);
        if (x->base) {
            print_number(r->shift, 7);
            print_number(r->before.entropy, 14);
            print_number(r->before.distance, 15);
            print_number(r->before.first, 12);
        }
        putchar('\n');
    }
}

static void add_stats(cJSON *o, const Maps *m, const HeadStats *s)
{
    cJSON_AddNumberToObject(o, "entropy", s->entropy);
    cJSON_AddNumberToObject(o, "distance", s->distance); /* cJSON writes what is not finite as null */
    cJSON_AddNumberToObject(o, "first", s->first);
    if (m->prefix) cJSON_AddNumberToObject(o, "prefix", s->prefix);
}

static void add_tokens(cJSON *root, const char *key, const Tokens *t)
{
    cJSON *list = cJSON_AddArrayToObject(root, key);
    for (int64_t i = 0; i < t->n; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "id", t->id[i]);
        cJSON_AddStringToObject(one, "token", t->piece[i]);
        cJSON_AddItemToArray(list, one);
    }
}

static void print_json(const Attention *x, Arena *a, const char *dir, const char **figures)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "model", x->model);
    if (x->base) cJSON_AddStringToObject(root, "base", x->base);
    cJSON_AddStringToObject(root, "architecture", x->arch);
    cJSON_AddStringToObject(root, "part", part_name(x->maps.part));
    add_tokens(root, "tokens", &x->tokens);
    if (x->maps.part == PART_CROSS) add_tokens(root, "source", &x->source);
    cJSON *heads = cJSON_AddArrayToObject(root, "heads");
    for (int i = 0; i < x->layers * x->heads; i++) {
        const HeadRow *r = &x->row[i];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "layer", r->layer);
        if (r->head == HEAD_MEAN)
            cJSON_AddStringToObject(one, "head", "mean");
        else
            cJSON_AddNumberToObject(one, "head", r->head);
        add_stats(one, &x->maps, &r->stats);
        if (x->base) {
            cJSON_AddNumberToObject(one, "shift", r->shift);
            add_stats(cJSON_AddObjectToObject(one, "base"), &x->maps, &r->before);
        }
        cJSON_AddItemToArray(heads, one);
    }
    cJSON *list = cJSON_AddArrayToObject(root, "figures");
    for (; *figures; figures++)
        cJSON_AddItemToArray(list, cJSON_CreateString(str_print(a, "%s/figures/%s.svg", dir, *figures)));
    cJSON_AddStringToObject(root, "report", str_print(a, "%s/report.html", dir));
    char *text = cJSON_Print(root);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(root);
}

static Status answer(Ask *k)
{
    Batch batch;
    const char **figures, *dir = args_text(k->args, "out", "runs/attend");
    TRY(args_real(&k->x.limit, k->args, "limit", 0, 1e-6, 1));
    TRY(load_models(k));
    TRY(choose_maps(k));
    TRY(read_input(k, &batch));
    TRY(read_maps(k, &batch));
    TRY(attention_write(&k->x, k->arena, dir, &figures));
    if (args_given(k->args, "json"))
        print_json(&k->x, k->arena, dir, figures);
    else
        print_table(&k->x);
    if (!args_quiet(k->args)) fprintf(stderr, "report %s/report.html\n", dir);
    return OK;
}

static Status attend(const Args *args)
{
    Arena arena = arena_open(0);
    Ask k = {.args = args, .arena = &arena};
    Status status = answer(&k);
    if (k.tokenizer) tokenizer_close(k.tokenizer);
    arena_close(&arena);
    return status;
}

static const Option OPTIONS[] = {
    {"model", "DIR", "the model: config.json and model.safetensors"},
    ADAPTER_OPTION,
    {"base", "DIR", "another model of the same shape; figures then show what differs from it"},
    {"text", "TEXT", "what the model reads; for --part decoder and cross the target that the decoder is given"},
    {"ids", "LIST", "token ids instead of a text, taken as they are: 1,2,3"},
    {"source", "TEXT", "what the encoder of an encoder-decoder reads"},
    {"source-ids", "LIST", "the same as ids"},
    {"tokenizer", "DIR", "tokenizer.json, vocab.json and merges.txt, or a SentencePiece model; default: the model's"},
    {"language", "NAME", "of the text, where the model is PLBART: java, python or en_XX"},
    {"part", "NAME", "encoder, decoder or cross; default: the encoder where there is one"},
    {"layer", "L", "a layer, a list such as 0,5, or all (the default)"},
    {"head", "H", "a head, a list, all (the default), or mean over the heads"},
    {"limit", "P", "the attention at which the colour scale ends; default: 99 of 100 cells are below"},
    {"out", "DIR", "where figures/, report.html, heads.csv and maps.safetensors go; default runs/attend"},
    {"json", NULL, "print JSON in place of the table"},
    {0}};
static const Command ATTEND = {
    .name = "attend",
    .summary = "draw the attention maps of a model on a text, or what differs between two models",
    .usage = "--model DIR --text TEXT [options]",
    .about = "Runs a model on one text and draws the attention of every head chosen: figures as SVG, PDF and PNG, a "
             "page to read, the maps as safetensors. The table gives, as means over the rows of a map, the entropy "
             "in nats, the distance in tokens between query and key, and the mass on the first token.",
    .example = "vernier attend --model DIR --text 'int x = 1 ;' --layer 0 --out runs/attend",
    .options = OPTIONS,
    .run = attend};
REGISTER(command, ATTEND)
