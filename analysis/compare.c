/* Each tuned model is loaded, measured and closed before the next: only its numbers stay. */
#include "analysis/compare.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "analysis/table.h"
#include "base/print.h"
#include "base/str.h"
#include "cli/adapter.h"
#include "nn/finite.h"

/* ---- measuring */

/* E_MISMATCH unless the model has the base's architecture, layers, heads and hidden size. */
static Status check_shape(const Ask *k, const Model *m, const char *dir)
{
    const Model *b = k->model;
    Part p = k->x.maps.part;
    const Linear *q = model_linear(b, (Where){SITE_ATTN_OUT, 0, p}),
                 *r = model_linear(m, (Where){SITE_ATTN_OUT, 0, p});
    if (strcmp(b->arch->name, m->arch->name) != 0 || model_layers(b, p) != model_layers(m, p) ||
        maps_heads(b, p) != maps_heads(m, p) || b->config.dim != m->config.dim || q->in != r->in)
        return err_fail(E_MISMATCH,
                        "%s is %s with %d layers of %d heads, hidden size %d, in its %s; %s is %s with %d of %d, "
                        "hidden size %d",
                        dir, m->arch->name, model_layers(m, p), model_layers(m, p) ? maps_heads(m, p) : 0,
                        m->config.dim, part_name(p), k->x.model, b->arch->name, model_layers(b, p), maps_heads(b, p),
                        b->config.dim);
    return OK;
}

static Status check_room(const Ask *k, const Adapter *a, const Model *m, const FloorTexts *x)
{
    int64_t most = config_room(&m->config), taken = adapter_positions(a);
    if (x && most && taken && x->most > most - taken)
        return err_fail(E_MISMATCH, "the longest of --texts has %lld tokens; %s leaves positions for %lld",
                        (long long)x->most, a->dir, (long long)(most - taken));
    if (most && taken && k->x.tokens.n > most - taken)
        return err_fail(E_CONFIG, "the text has %lld %s; %s leaves positions for %lld", (long long)k->x.tokens.n,
                        str_plural(k->x.tokens.n, "token", "tokens"), a->dir, (long long)(most - taken));
    return OK;
}

typedef struct { /* the common inputs of every measurement */
    const Ask *k;
    const Seen *base;
    const FloorTexts *texts; /* or NULL */
} Job;

static Status measure(const Job *j, Tuned *t, Model *m, Hooks *hooks)
{
    const Ask *k = j->k;
    Part p = k->x.maps.part;
    bool f64 = k->load.dtype == F64;
    TRY(check_shape(k, m, t->dir));
    TRY(tokens_check(&k->x.tokens, m, p, "text"));
    t->shifted = hooks_shifted(hooks, p);
    t->loss = NAN;
    if (j->texts) TRY(floor_loss(&t->loss, j->texts, m, hooks));
    Status s = pair_measure(&t->pair, k->arena, j->base, m, hooks, p, &k->batch, f64 ? 1e-9 : 1e-5);
    return model_blame(model_blame(s, m), k->model);
}

static Status weigh(const Ask *k, Tuned *t, const Model *m)
{
    t->weight = NEW(k->arena, WeightChange, WEIGHTS);
    return pair_weights(t->weight, &t->weights, WEIGHTS, k->arena, k->model, m, k->x.maps.part);
}

/* Measures a tuned model that is the base with an adapter, and its weight change where the adapter can merge. */
static Status measure_adapter(const Job *j, Tuned *t, Arena *run)
{
    const Ask *k = j->k;
    Adapter *a;
    Model *m;
    Hooks *hooks = hooks_new(run);
    TRY(adapter_open(&a, run, t->dir));
    LoadOptions with = k->load;
    if (adapter_classes(a)) with.classes = adapter_classes(a);
    Status s = model_load_as(&m, run, k->x.model, &with);
    if (!s) s = adapter_attach(a, m, hooks);
    if (!s) print_remarks(a, k->args);
    if (!s) s = check_room(k, a, m, j->texts);
    if (!s) s = measure(j, t, m, hooks);
    t->kind = str_print(k->arena, "%s", a->kind);
    if (!s && a->method->merge) s = a->method->merge(m, &a->cfg);
    if (!s) s = weigh(k, t, m);
    adapter_close(a);
    return s;
}

/* Measures a directory, which holds either an adapter or a whole model. */
static Status measure_tuned(const Job *j, Tuned *t)
{
    Arena run = arena_open(0);
    Model *m;
    Status s;
    if (!access(str_print(&run, "%s/adapter_config.json", t->dir), F_OK)) {
        s = measure_adapter(j, t, &run);
    } else {
        t->kind = "model";
        s = model_load_as(&m, &run, t->dir, &j->k->load);
        if (!s) s = measure(j, t, m, hooks_new(&run));
        if (!s) s = weigh(j->k, t, m);
    }
    arena_close(&run);
    return s;
}

/* ---- verdicts */

static const char *const VERDICT[] = {[VERDICT_SUPPORTED] = "supported",
                                      [VERDICT_NOT_SUPPORTED] = "not supported",
                                      [VERDICT_INCONCLUSIVE] = "inconclusive"};

static void print_short(double v, int width)
{
    if (isfinite(v))
        print_out("%*.3g", width, v);
    else
        print_out("%*s", width, "-");
}

/* Prints the change of attention and representations in each layer as a table. */
static void print_layers(const TunedComparison *c)
{
    int name = 5;
    for (int i = 0; i < c->n; i++) name = (int)fmax(name, (double)strlen(c->tuned[i].name));
    print_out("%-*s  layer  max diff  conditional      kl      tv  residual   alpha  rank    cka  procrustes\n", name,
              "tuned");
    for (int i = 0; i < c->n; i++)
        for (int l = 0; l < c->tuned[i].pair.layers; l++) {
            const LayerPair *p = &c->tuned[i].pair.layer[l];
            print_out("%-*s  %5d", name, c->tuned[i].name, l);
            print_short(p->change.gap, 10);
            print_short(p->conditional, 13);
            print_short(p->change.kl, 10);
            print_short(p->change.tv, 10);
            print_short(p->residual, 10);
            print_short(p->alpha, 8);
            print_out("%6lld", (long long)p->rank);
            print_short(p->cka, 8);
            print_short(p->procrustes, 12);
            print_out("\n");
        }
}

static void print_weights(const TunedComparison *c)
{
    bool any = false;
    for (int i = 0; i < c->n; i++) {
        const Tuned *t = &c->tuned[i];
        for (int k = 0; k < t->weights; k++) {
            if (!any) print_out("\nrelative   rank  participation  angle  changed map\n");
            any = true;
            print_out("%8.3g %6lld %14.2f %6.1f  %s, %s\n", t->weight[k].relative, (long long)t->weight[k].rank,
                      t->weight[k].participation, t->weight[k].angle, t->weight[k].name, t->name);
        }
    }
}

/* Adds the measurements of each layer, and of its heads, to the JSON. */
static void add_layers(cJSON *o, const Compared *p)
{
    cJSON *layers = cJSON_AddArrayToObject(o, "layers");
    for (int l = 0; l < p->layers; l++) {
        const LayerPair *y = &p->layer[l];
        cJSON *one = cJSON_CreateObject(), *heads;
        const struct {
            const char *name;
            double value;
        } of[] = {{"gap", y->change.gap},
                  {"conditional", y->conditional},
                  {"kl", y->change.kl},
                  {"tv", y->change.tv},
                  {"residual", y->residual},
                  {"alpha", y->alpha},
                  {"alpha_lo", y->alpha_lo},
                  {"alpha_hi", y->alpha_hi},
                  {"rank", (double)y->rank},
                  {"rank_predicted", (double)y->most},
                  {"participation", y->participation},
                  {"logit_rank", (double)y->logits},
                  {"cka", y->cka},
                  {"procrustes", y->procrustes}};
        for (size_t k = 0; k < sizeof of / sizeof *of; k++) cJSON_AddNumberToObject(one, of[k].name, of[k].value);
        heads = cJSON_AddArrayToObject(one, "heads");
        for (int h = 0; h < p->heads; h++) {
            cJSON *head = cJSON_CreateObject();
            cJSON_AddNumberToObject(head, "gap", y->head[h].gap);
            cJSON_AddNumberToObject(head, "kl", y->head[h].kl);
            cJSON_AddNumberToObject(head, "tv", y->head[h].tv);
            cJSON_AddNumberToObject(head, "alpha", y->head_alpha[h]);
            cJSON_AddItemToArray(heads, head);
        }
        cJSON_AddItemToArray(layers, one);
    }
}

/* Adds the change of each linear layer to the JSON, with its leading singular values. */
static void add_weights(cJSON *o, const Tuned *t)
{
    enum { SHOWN = 16 };
    cJSON *list = cJSON_AddArrayToObject(o, "weights");
    for (int k = 0; k < t->weights; k++) {
        const WeightChange *w = &t->weight[k];
        cJSON *one = cJSON_CreateObject(), *s;
        cJSON_AddStringToObject(one, "map", w->name);
        cJSON_AddNumberToObject(one, "relative", w->relative);
        cJSON_AddNumberToObject(one, "rank", (double)w->rank);
        cJSON_AddNumberToObject(one, "participation", w->participation);
        cJSON_AddNumberToObject(one, "effective_rank", w->effective);
        cJSON_AddNumberToObject(one, "angle", w->angle);
        s = cJSON_AddArrayToObject(one, "singular");
        for (int64_t i = 0; i < tensor_count(w->s) && i < SHOWN; i++)
            cJSON_AddItemToArray(s, cJSON_CreateNumber(tensor_get(w->s, i)));
        cJSON_AddItemToArray(list, one);
    }
}

static void add_floors(cJSON *root, const TunedComparison *c)
{
    const Floors *f = &c->texts->floors;
    cJSON *o = cJSON_AddObjectToObject(root, "floors");
    cJSON_AddNumberToObject(o, "texts", (double)f->texts);
    cJSON_AddNumberToObject(o, "left_out", (double)c->texts->left_out);
    cJSON_AddNumberToObject(o, "tokens", (double)f->tokens);
    cJSON_AddNumberToObject(o, "place", f->place);
    cJSON_AddNumberToObject(o, "previous", f->previous);
    cJSON_AddNumberToObject(o, "each", f->each);
    cJSON_AddNumberToObject(o, "base", c->loss);
}

/* Prints the whole comparison as JSON, with the verdicts on prefixes and the directions they add. */
static void print_json(const TunedComparison *c, Arena *a, const char *dir, const char **figures)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "base", c->base);
    cJSON_AddStringToObject(root, "architecture", c->arch);
    cJSON_AddStringToObject(root, "part", part_name(c->part));
    table_json_tokens(root, "tokens", c->tokens);
    if (c->texts) add_floors(root, c);
    cJSON *list = cJSON_AddArrayToObject(root, "tuned");
    for (int i = 0; i < c->n; i++) {
        const Tuned *t = &c->tuned[i];
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "dir", t->dir);
        cJSON_AddStringToObject(o, "kind", t->kind);
        cJSON_AddNumberToObject(o, "virtual_keys", (double)t->pair.virtual_keys);
        cJSON_AddNumberToObject(o, "logits_moved", t->pair.moved);
        if (c->texts) cJSON_AddNumberToObject(o, "loss", t->loss);
        if (t->pair.virtual_keys) {
            const char *sentence;
            cJSON_AddStringToObject(o, "verdict", VERDICT[comparison_verdict(&sentence, t, c->f64, a)]);
            cJSON_AddStringToObject(o, "theorem", sentence);
        }
        add_layers(o, &t->pair);
        add_weights(o, t);
        cJSON_AddItemToArray(list, o);
    }
    Directions d;
    if (comparison_directions(&d, c, a, 0)) {
        cJSON *o = cJSON_AddObjectToObject(root, "directions");
        cJSON_AddNumberToObject(o, "largest_cosine", d.cosine);
        cJSON_AddNumberToObject(o, "least_distance", d.apart);
        list = cJSON_AddArrayToObject(o, "angles");
        for (int i = 0; i < c->n; i++)
            for (int k = i + 1; k < c->n; k++) {
                double angle = comparison_angle(c, a, i, k, 0);
                if (!isfinite(angle)) continue;
                cJSON *one = cJSON_CreateObject();
                cJSON_AddStringToObject(one, "a", c->tuned[i].name);
                cJSON_AddStringToObject(one, "b", c->tuned[k].name);
                cJSON_AddNumberToObject(one, "degrees", angle);
                cJSON_AddItemToArray(list, one);
            }
    }
    table_json_done(root, a, dir, figures, c->format);
}

static void print_floors(const TunedComparison *c, Arena *a)
{
    const Floors *f = &c->texts->floors;
    const Reached *r = comparison_reached(c, a);
    print_out("\nloss in nats a token (%lld %s of %lld %s); baselines, the best losses without attention:\n",
              (long long)f->tokens, str_plural(f->tokens, "token", "tokens"), (long long)f->texts,
              str_plural(f->texts, "text", "texts"));
    print_out("%8.4f  by position\n", f->place);
    if (isfinite(f->previous)) print_out("%8.4f  by position and previous token\n", f->previous);
    print_out("(each entropy is estimated from %.1f tokens on average; few tokens make it too low)\n", f->each);
    if (c->texts->left_out)
        print_out("(left out, too long for the model or with nothing to predict: %lld %s)\n",
                  (long long)c->texts->left_out, str_plural(c->texts->left_out, "text", "texts"));
    for (int i = 0; i <= c->n; i++) print_out("%s\n", floors_sentence(a, f, &r[i]));
}

/* Prints the comparison as tables, with the verdicts on prefixes and the directions they add. */
static void print_text(const TunedComparison *c, Arena *a)
{
    Directions d;
    const char *sentence;
    print_layers(c);
    print_weights(c);
    for (int i = 0, first = 1; i < c->n; i++) {
        if (!c->tuned[i].pair.virtual_keys) continue;
        ReportVerdict v = comparison_verdict(&sentence, &c->tuned[i], c->f64, a);
        print_out("%s%s: %s\n", first ? "\n" : "", sentence, VERDICT[v]);
        first = 0;
    }
    if (comparison_directions(&d, c, a, 0))
        print_out("directions added at layer 0: largest cosine %.3f, least distance from the others' span %.3f\n",
                  d.cosine, d.apart);
    for (int i = 0; i < c->n; i++)
        for (int k = i + 1; k < c->n; k++) {
            double angle = comparison_angle(c, a, i, k, 0);
            if (isfinite(angle))
                print_out("spaces added at layer 0: %s and %s, mean principal angle %.1f degrees\n", c->tuned[i].name,
                          c->tuned[k].name, angle);
        }
    if (c->texts) print_floors(c, a);
}

/* ---- the answer */

/* Runs `vernier attend --compare`: measures each tuned model against the base, and writes a report. */
Status compare_answer(Ask *k, const char *dir)
{
    static const char *const not_here[] = {"model",  "adapter", "base", "layer", "head",
                                           "number", "sweep",   "do",   NULL};
    int n = args_count(k->args);
    const char **figures;
    for (const char *const *o = not_here; *o; o++)
        if (args_given(k->args, *o)) return err_fail(E_CONFIG, "--%s and --compare exclude each other", *o);
    if (!n) return err_fail(E_CONFIG, "--compare BASE needs operands: directories of tuned models or of adapters");
    if (n > COMPARED) return err_fail(E_CONFIG, "%d models to compare; expected at most %d", n, COMPARED);
    TRY(ask_models(k));
    TRY(ask_input(k));
    TunedComparison c = {.base = k->x.model,
                         .arch = k->x.arch,
                         .part = k->x.maps.part,
                         .tokens = &k->x.tokens,
                         .f64 = k->load.dtype == F64,
                         .n = n,
                         .tuned = NEW(k->arena, Tuned, n),
                         .loss = NAN,
                         .format = k->x.format};
    FloorTexts texts;
    if (args_given(k->args, "texts")) {
        TRY(floor_texts(&texts, k));
        c.texts = &texts;
        TRY(floor_loss(&c.loss, &texts, k->model, NULL));
    }
    Seen *base = NEW(k->arena, Seen, model_layers(k->model, c.part));
    measure_pass(base, k->arena, k->model, NULL, c.part, &k->batch);
    const Job j = {k, base, c.texts};
    for (int i = 0; i < n; i++) {
        c.tuned[i].dir = args_at(k->args, i);
        c.tuned[i].name = page_path_name(k->arena, c.tuned[i].dir);
        TRY(measure_tuned(&j, &c.tuned[i]));
        TRY(ask_going_on(k, "models", i + 1, n));
    }
    TRY(comparison_write(&c, k->arena, dir, &figures));
    if (args_given(k->args, "json"))
        print_json(&c, k->arena, k->folder.dir, figures);
    else
        print_text(&c, k->arena);
    return OK;
}
