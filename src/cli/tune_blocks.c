/* --full-blocks and --choose-blocks: the layers of the base that train whole beside the method.
 *
 * Chosen by a probe, they are those whose states tell most beyond the token table: a linear classifier reads a
 * property of the training changes off each layer's states, and a layer counts by its accuracy on rows that the
 * classifier was not fitted on, less that of layer 0, the embeddings.  The test rows are not looked at. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "cli/tune.h"
#include "probe/features.h"
#include "probe/make.h"
#include "probe/probe.h"

static const char *const HOW[] = {"probe", "ltp", "ccm", "typ", "random", NULL}; /* probe is ltp */
enum { BY_PROBE, BY_LTP, BY_CCM, BY_TYP, BY_RANDOM, TOKENS_MOST = 256 };
static const ProbeTask TASK[] = {
    [BY_PROBE] = TASK_LTP, [BY_LTP] = TASK_LTP, [BY_CCM] = TASK_CCM, [BY_TYP] = TASK_TYP};

typedef struct {
    TuneJob *job;
    int how, count, layers; /* to choose; of the stack that is probed */
    Model *model;
    Dataset set;
    double *gain; /* (layers) accuracy minus that of layer 0 */
    int *order;   /* (layers) the chosen ones first */
    double floor; /* the accuracy of layer 0 */
} Choosing;

/* "probe:3" */
static Status read_choice(Choosing *c, const char *text)
{
    size_t n = strcspn(text, ":");
    int64_t count;
    while (HOW[c->how] && (strlen(HOW[c->how]) != n || strncmp(HOW[c->how], text, n) != 0)) c->how++;
    if (!HOW[c->how] || !text[n] || !str_int(text + n + 1, &count) || count < 1 || count > c->layers)
        return err_fail(E_CONFIG,
                        "--choose-blocks %s: expected probe, ltp, ccm, typ or random, and 1 to %d layers, as in "
                        "probe:3",
                        text, c->layers);
    c->count = (int)count;
    return OK;
}

/* ---- the probe */

/* As many rows as the training changes yield. */
static Status make_rows(Choosing *c)
{
    static const int64_t SIZE[][SPLITS] = {{600, 300, 4}, {300, 150, 4}, {120, 60, 4}, {60, 24, 4}};
    Status s = OK;
    for (size_t i = 0; i < sizeof SIZE / sizeof *SIZE; i++) {
        MakeStats stats;
        MakeOptions o = {.task = TASK[c->how],
                         .from = &c->job->o.train,
                         .n_from = 1,
                         .balance = true,
                         .max_chars = 4000,
                         .seed = (uint64_t)c->job->o.seed};
        memcpy(o.size, SIZE[i], sizeof o.size);
        err_clear();
        s = make_probe(&c->set, c->job->run, &o, &stats);
        if (s != E_MISMATCH) return s;
    }
    return s;
}

static Status tokens_of(Examples *out, const Choosing *c, const Tokenizer *t)
{
    Arena *a = c->job->run;
    const char *language = c->job->o.language ? c->job->o.language : "java";
    int room = config_room(&c->model->config);
    int64_t most = room && room < TOKENS_MOST ? room : TOKENS_MOST;
    int32_t **id = NEW(a, int32_t *, c->set.n), *len = NEW(a, int32_t, c->set.n);
    for (int64_t i = 0; i < c->set.n; i++) {
        const Example *e = &c->set.example[i];
        BpeText x, text = tokenizer_encode(t, a, e->text, e->len, TASK[c->how] != TASK_TYP);
        TRY(tokenizer_wrap(&x, t, a, &text, NULL, language, (Limit){.most = most}));
        id[i] = x.id, len[i] = (int32_t)x.n;
    }
    *out = (Examples){.n = c->set.n, .ids = (const int32_t *const *)id, .len = len};
    return OK;
}

static Status probe_layers(Choosing *c, const Tokenizer *t)
{
    Examples x;
    Features f;
    TRY(make_rows(c));
    TRY(tokens_of(&x, c, t));
    Arena step = arena_open((size_t)1 << 36);
    Status s = features_extract(&f, c->job->run, &step, c->model, hooks_new(c->job->run), &x, FEATURE_MEAN,
                                tuning_goes_on, &c->job->watch);
    const Tensor *layer = c->model->encoder ? f.layer : f.decoder;
    for (int l = 0; !s && l <= c->layers; l++) {
        ProbeResult r;
        s = probe_fit(&r, c->job->run, layer[l], &c->set, NULL, NULL);
        if (s) break;
        if (l)
            c->gain[l - 1] = r.accuracy[SPLIT_VALID] - c->floor;
        else
            c->floor = r.accuracy[SPLIT_VALID];
    }
    arena_close(&step);
    return s;
}

/* ---- the choice */

/* The best first; of equals the lower layer. */
static void rank(Choosing *c)
{
    for (int i = 1; i < c->layers; i++)
        for (int k = i; k && c->gain[c->order[k]] > c->gain[c->order[k - 1]]; k--) {
            int other = c->order[k];
            c->order[k] = c->order[k - 1], c->order[k - 1] = other;
        }
}

static void shuffle(Choosing *c)
{
    int32_t *order = NEW(c->job->run, int32_t, c->layers);
    for (int i = 0; i < c->layers; i++) order[i] = i;
    rng_shuffle(rng_stream((uint64_t)c->job->o.seed, "tune/blocks"), c->layers, order);
    for (int i = 0; i < c->layers; i++) c->order[i] = order[i];
}

static bool is_chosen(const Choosing *c, int layer)
{
    for (int i = 0; i < c->count; i++)
        if (c->order[i] == layer) return true;
    return false;
}

/* The chosen layers that a stack has, "encoder:2|5". */
static void put_stack(Buf *b, const Choosing *c, Part part)
{
    bool any = false;
    for (int l = 0; l < model_layers(c->model, part); l++) {
        if (!is_chosen(c, l)) continue;
        if (any)
            buf_print(b, "|%d", l);
        else
            buf_print(b, "%s%s:%d", b->len ? "|" : "", part_name(part), l);
        any = true;
    }
}

static const char *list_of(const Choosing *c)
{
    Buf b = buf_open(c->job->run);
    buf_print(&b, "%s", "");
    put_stack(&b, c, PART_ENCODER);
    if (!c->job->o.task->encoder_alone || !c->model->encoder) put_stack(&b, c, PART_DECODER);
    return b.text;
}

static void report(const Choosing *c, const char *list)
{
    const TuneWatch *w = &c->job->watch;
    Arena *a = c->job->run;
    for (int l = 0; c->how != BY_RANDOM && l < c->layers; l++)
        tuning_remark(w, a, "layer %2d: probe accuracy %.4f, %+.4f against the embeddings%s", l,
                      c->floor + c->gain[l], c->gain[l], is_chosen(c, l) ? ", trains whole" : "");
    tuning_remark(w, a, "%d of %d layers train whole, chosen %s: %s", c->count, c->layers,
                  c->how == BY_RANDOM ? "at random" : str_print(a, "by the %s probe", TASK_NAMES[TASK[c->how]]),
                  list);
}

static Status choose(Choosing *c, const char *text, const char *dir)
{
    TuneJob *j = c->job;
    Tokenizer t;
    LoadOptions how = j->o.load;
    how.no_lm_head = j->o.task->encoder_alone;
    TRY(model_load_as(&c->model, j->run, dir, &how));
    c->layers = model_layers(c->model, c->model->encoder ? PART_ENCODER : PART_DECODER);
    TRY(read_choice(c, text));
    c->gain = NEW(j->run, double, c->layers), c->order = NEW(j->run, int, c->layers);
    for (int l = 0; l < c->layers; l++) c->order[l] = l;
    if (c->how == BY_RANDOM) {
        shuffle(c);
        return OK;
    }
    TRY(tokenizer_open(&t, j->run, j->o.tokenizer ? j->o.tokenizer : dir));
    Status s = probe_layers(c, &t);
    tokenizer_close(&t);
    if (!s) rank(c);
    return s;
}

Status tune_blocks(TuneJob *j, const Args *a)
{
    const char *list = args_text(a, "full-blocks", NULL), *how = args_text(a, "choose-blocks", NULL);
    if (list && how) return err_fail(E_CONFIG, "--full-blocks and --choose-blocks exclude each other");
    if (!list && !how) return OK;
    if (list) return tune_set_blocks(j, list);
    if (!j->o.model) return err_fail(E_CONFIG, "--choose-blocks requires --model");
    TRY(tune_set_blocks(j, "*")); /* a method that cannot have any is told before the probe */
    Choosing c = {.job = j};
    TRY(choose(&c, how, j->o.model));
    list = list_of(&c);
    report(&c, list);
    return tune_set_blocks(j, list);
}
