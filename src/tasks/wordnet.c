/* The trainer wants a model, of which it reads the parameters alone; these networks have no other part of one. */
#include "tasks/wordnet.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "io/json.h"
#include "train/train.h"

/* ---- training */

static bool is_stopped(const TuneWatch *w)
{
    return w && w->stopped && w->stopped(w->user);
}

/* One step, and whoever follows it. */
static Status take_step(Trainer *tr, Arena *step, const WordnetPlan *p, int32_t *row)
{
    StepStats stats;
    Batch batch = {.b = p->draw(row, tr->step, p->user), .row = row};
    TRY(trainer_step(tr, step, &batch, &stats));
    const TuneStep done = {p->phase, tr->step, p->total, stats.loss, stats.lr};
    if (p->watch && p->watch->step) p->watch->step(&done, p->watch->user);
    if (p->pause && tr->step % p->pause == 0) TRY(p->paused(tr->step, p->user));
    return is_stopped(p->watch) ? err_fail(E_INTERRUPT, "interrupted in training") : OK;
}

Status wordnet_train(ParamSet *set, const WordnetPlan *p)
{
    Arena run = arena_open(0), step = arena_open((size_t)1 << 36);
    Model shell = {.run = &run, .params = set};
    TrainConfig c = train_defaults();
    Trainer *tr;
    int32_t *row = NEW(&run, int32_t, p->rows);
    c.lr = p->lr, c.clip = 0, c.total = p->total, c.seed = p->seed;
    c.loss = p->loss, c.user = p->user;
    params_train(set, "*", true);
    Status s = trainer_open(&tr, &run, &shell, NULL, &c);
    if (!s && p->watch && p->watch->begun) p->watch->begun(p->phase, 0, p->watch->user);
    while (!s && tr->step < p->total) s = take_step(tr, &step, p, row);
    params_train(set, "*", false);
    arena_close(&step);
    arena_close(&run);
    return s;
}

Epochs epochs_of(Arena *a, int64_t n, int64_t rows, uint64_t stream, bool same)
{
    return (Epochs){n, rows, stream, same, NEW(a, int32_t, n), -1};
}

int64_t epochs_steps(const Epochs *e)
{
    return e->n < e->rows ? 1 : e->n / e->rows;
}

int64_t epochs_draw(Epochs *e, int32_t *row, int64_t step)
{
    int64_t epoch = e->same ? 0 : step / epochs_steps(e), first = step % epochs_steps(e) * e->rows;
    if (epoch != e->now) {
        for (int64_t i = 0; i < e->n; i++) e->order[i] = (int32_t)i;
        rng_shuffle(rng_mix(e->stream, (uint64_t)epoch), e->n, e->order);
        e->now = epoch;
    }
    int64_t n = e->n < e->rows ? e->n : e->rows;
    memcpy(row, e->order + first, sizeof *row * (size_t)n);
    return n;
}

/* ---- writing */

static void put(WordnetFile *f, const char *name, Tensor value)
{
    CHECK(f->n < WORDNET_TENSORS, "more than %d tensors in a file", WORDNET_TENSORS);
    f->tensor[f->n++] = (Named){name, value};
}

void wordnet_put(WordnetFile *f, const char *name, int64_t n, const double *x)
{
    Tensor value = tensor_new(f->arena, F64, SHAPE(n));
    for (int64_t i = 0; i < n; i++) tensor_set(value, i, x[i]);
    put(f, name, value);
}

void wordnet_put_words(WordnetFile *f, const char *name, const Words *w)
{
    cJSON *list = words_json(w);
    char *text = json_printed(list, true);
    CHECK(f->n_words < WORDNET_WORDS, "more than %d lists of words in a file", WORDNET_WORDS);
    f->words[f->n_words++] = (Meta){name, str_copy(f->arena, text, strlen(text))};
    cJSON_free(text);
    cJSON_Delete(list);
}

void wordnet_put_params(WordnetFile *f, const char *prefix, const ParamSet *set)
{
    for (int i = 0; i < params_n(set); i++)
        put(f, str_print(f->arena, "%s%s", prefix, params_at(set, i)->name), params_at(set, i)->val);
}

Status wordnet_save(const WordnetFile *f, const char *path)
{
    return safetensors_write(path, f->tensor, f->n, f->words, f->n_words);
}

/* ---- reading */

static Status read_tensor(Tensor into, const Weights *w, const char *name)
{
    const Stored *s = weights_find(w, name);
    if (!s) return err_fail(E_FORMAT, "%s: has no tensor '%s'", weights_path(w), name);
    TRY(stored_read(into, s));
    int64_t odd = tensor_find_nonfinite(into, false);
    if (odd < 0) return OK;
    return err_fail(E_FORMAT, "%s: element %lld of tensor '%s' is %g, expected a finite number", weights_path(w),
                    (long long)odd, name, tensor_get(into, odd));
}

Status wordnet_get(double *out, int64_t n, const Weights *w, const char *name)
{
    return read_tensor(tensor_over(out, F64, SHAPE(n)), w, name);
}

Status wordnet_get_words(Words *out, Arena *a, const Weights *w, const char *name)
{
    const char *text = weights_meta(w, name), *path = weights_path(w);
    cJSON *list, *root;
    if (!text) return err_fail(E_FORMAT, "%s: its metadata has no list '%s'", path, name);
    TRY(json_parse(&list, text, strlen(text), path));
    root = cJSON_CreateObject();
    cJSON_AddItemToObject(root, name, list);
    Status s = words_read(out, a, root, name, path);
    cJSON_Delete(root);
    return s;
}

Status wordnet_get_params(const ParamSet *set, const Weights *w, const char *prefix)
{
    for (int i = 0; i < params_n(set); i++) {
        const Param *p = params_at(set, i);
        TRY(read_tensor(p->val, w, str_print(params_arena(set), "%s%s", prefix, p->name)));
    }
    return OK;
}

Status wordnet_whole(int64_t *out, double x, const Weights *w, const char *what, int64_t least, int64_t most)
{
    *out = 0;
    if (!(x >= (double)least && x <= (double)most) || floor(x) < x)
        return err_fail(E_FORMAT, "%s: %s is %g, expected a whole number from %lld to %lld", weights_path(w), what, x,
                        (long long)least, (long long)most);
    *out = (int64_t)x;
    return OK;
}
