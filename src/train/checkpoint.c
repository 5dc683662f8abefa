/* Checkpoints of a training run, in safetensors:
 *
 *   NAME            a trainable parameter
 *   optim.m.NAME    AdamW's first moment, or SGD's velocity
 *   optim.v.NAME    AdamW's second moment
 *
 * The file's metadata hold the step, every setting on which the coming steps depend, and the SHA-256 of all that and
 * of the tensors.  Loading compares all of it with the trainer before it changes anything, because a run that goes on
 * under other settings, or over other parameters, is a different experiment, and one over altered values is none. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "io/safetensors.h"
#include "train/optim.h"

enum { MAX_SETTINGS = 16, MAX_META = MAX_SETTINGS + 3 };

static const char *number(Arena *a, double x)
{
    return str_print(a, "%.17g", x);
}

static const char *groups_text(Arena *a, const Group *groups)
{
    Buf b = buf_open(a);
    for (int i = 0; groups && groups[i].glob; i++)
        buf_print(&b, "%s lr_scale=%.17g decay=%.17g;", groups[i].glob, groups[i].lr_scale, groups[i].decay);
    return b.len ? b.text : "none";
}

/* The settings that decide the next steps.  `total` counts only where the rate depends on it. */
static int settings(Meta *out, Arena *a, const TrainConfig *c)
{
    static const char *const OPTIM[] = {[OPTIM_ADAMW] = "adamw", [OPTIM_SGD] = "sgd"};
    static const char *const SCHEDULE[] = {"constant", "linear", "cosine"};
    const Meta all[] = {
        {"optim", OPTIM[c->optim]},
        {"lr", number(a, c->lr)},
        {"beta1", number(a, c->beta1)},
        {"beta2", number(a, c->beta2)},
        {"eps", number(a, c->eps)},
        {"momentum", number(a, c->momentum)},
        {"decay", number(a, c->decay)},
        {"clip", number(a, c->clip)},
        {"schedule", SCHEDULE[c->schedule]},
        {"warmup", str_print(a, "%lld", (long long)c->warmup)},
        {"total", c->schedule == SCHEDULE_CONSTANT ? "any" : str_print(a, "%lld", (long long)c->total)},
        {"seed", str_print(a, "%llu", (unsigned long long)c->seed)},
        {"dropout", c->no_dropout ? "off" : "on"},
        {"groups", groups_text(a, c->groups)},
    };
    _Static_assert(sizeof all / sizeof *all <= MAX_SETTINGS, "room for the settings");
    memcpy(out, all, sizeof all);
    return (int)(sizeof all / sizeof *all);
}

/* Sharded steps add in another order than a step over the whole batch; only their checkpoints have this setting. */
static Meta shards_of(Arena *a, const TrainConfig *c)
{
    return (Meta){"shards", str_print(a, "%lld", (long long)(c->shards > 1 ? c->shards : 1))};
}

/* Every tensor of a checkpoint of this trainer. */
static int tensors(Named *out, Arena *a, const Trainer *t)
{
    int n = 0;
    for (int i = 0; i < t->n_slots; i++) {
        const Slot *s = &t->slots[i];
        out[n++] = (Named){s->param->name, s->param->val};
        if (s->m.data) out[n++] = (Named){str_print(a, "optim.m.%s", s->param->name), s->m};
        if (s->v.data) out[n++] = (Named){str_print(a, "optim.v.%s", s->param->name), s->v};
    }
    return n;
}

/* ---- the SHA-256 of a checkpoint */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Stored *)a)->name, ((const Stored *)b)->name);
}

static void add_text(Sha256 *s, const char *text)
{
    sha256_add(s, text, strlen(text) + 1);
}

/* Of metadata and tensors, whatever their order in the file; sorts the tensors. */
static Sha256Hex hash_of(const Meta *meta, int n_meta, Stored *tensor, int n)
{
    Sha256 s = sha256_begin();
    for (int i = 0; i < n_meta; i++) {
        add_text(&s, meta[i].key);
        add_text(&s, meta[i].value);
    }
    qsort(tensor, (size_t)n, sizeof *tensor, by_name);
    for (int i = 0; i < n; i++) {
        add_text(&s, tensor[i].name);
        add_text(&s, stored_type(&tensor[i]));
        add_text(&s, stored_shape(&tensor[i]));
        sha256_add(&s, tensor[i].bytes, tensor[i].n_bytes);
    }
    return sha256_end(&s);
}

/* Whether the file holds the values that were written, whoever trained them. */
static Status check_whole(const Weights *w, Arena *a, const TrainConfig *c)
{
    const char *path = weights_path(w), *said = weights_meta(w, "sha256");
    Meta meta[MAX_META] = {{"step", NULL}};
    int n_meta = 1 + settings(meta + 1, a, c), n = weights_n(w);
    if (weights_meta(w, "shards")) meta[n_meta++] = (Meta){"shards", NULL};
    for (int i = 0; i < n_meta; i++) {
        const char *there = weights_meta(w, meta[i].key);
        meta[i].value = there ? there : "absent";
    }
    Stored *tensor = NEW(a, Stored, n);
    for (int i = 0; i < n; i++) tensor[i] = *weights_at(w, i);
    if (!said) return err_fail(E_FORMAT, "%s: no training checkpoint: its metadata give no sha256", path);
    Sha256Hex hash = hash_of(meta, n_meta, tensor, n);
    if (!strcmp(said, hash.hex)) return OK;
    return err_fail(E_FORMAT, "%s: is damaged: its SHA-256 is %.16s, and it was written with %.16s", path, hash.hex,
                    said);
}

Status trainer_save(const Trainer *t, const char *path)
{
    Arena *a = t->model->run;
    ArenaMark mark = arena_mark(a);
    Meta meta[MAX_META] = {{"step", str_print(a, "%lld", (long long)t->step)}};
    int n_meta = 1 + settings(meta + 1, a, &t->config);
    if (t->config.shards > 1) meta[n_meta++] = shards_of(a, &t->config);
    Named *named = NEW(a, Named, 3 * t->n_slots);
    int n = tensors(named, a, t);
    Stored *stored = NEW(a, Stored, n);
    for (int i = 0; i < n; i++) stored[i] = stored_of(named[i].name, named[i].value);
    Sha256Hex hash = hash_of(meta, n_meta, stored, n);
    meta[n_meta++] = (Meta){"sha256", hash.hex};
    Status status = safetensors_write_stored(path, stored, n, meta, n_meta);
    arena_drop(a, mark);
    return status;
}

/* ---- loading */

static Status check_settings(const Weights *w, Arena *a, const TrainConfig *c, int64_t *step)
{
    const char *path = weights_path(w), *at = weights_meta(w, "step");
    if (!at || !str_int(at, step) || *step < 0)
        return err_fail(E_FORMAT, "%s: no training checkpoint: its metadata give no step", path);
    Meta here[MAX_SETTINGS];
    int n = settings(here, a, c);
    for (int i = 0; i < n; i++) {
        const char *there = weights_meta(w, here[i].key);
        if (!there) there = "absent";
        if (strcmp(there, here[i].value))
            return err_fail(E_MISMATCH, "%s: saved with %s %s, here it is %s", path, here[i].key, there,
                            here[i].value);
    }
    const char *shards = weights_meta(w, "shards"), *now = shards_of(a, c).value;
    if (strcmp(shards ? shards : "1", now) != 0)
        return err_fail(E_MISMATCH, "%s: saved with shards %s, here it is %s", path, shards ? shards : "1", now);
    return OK;
}

static Status check_tensor(const Weights *w, const Named *want)
{
    const char *path = weights_path(w);
    const Stored *s = weights_find(w, want->name);
    if (!s) return err_fail(E_MISMATCH, "%s: has no tensor %s, which is trained here", path, want->name);
    if (strcmp(stored_type(s), dtype_name(want->value.dtype)))
        return err_fail(E_MISMATCH, "%s: %s is %s, expected %s", path, s->name, stored_type(s),
                        dtype_name(want->value.dtype));
    bool same = s->rank == want->value.rank;
    for (int i = 0; same && i < s->rank; i++) same = s->dim[i] == want->value.dim[i];
    if (!same)
        return err_fail(E_MISMATCH, "%s: %s has shape %s, expected %s", path, s->name, stored_shape(s),
                        tensor_shape(want->value));
    return OK;
}

static bool is_named(const Named *named, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(named[i].name, name)) return true;
    return false;
}

static Status load_from(Trainer *t, const Weights *w, Arena *a)
{
    int64_t step = 0;
    TRY(check_whole(w, a, &t->config));
    Named *named = NEW(a, Named, 3 * t->n_slots);
    int n = tensors(named, a, t);
    for (int i = 0; i < n; i++) TRY(check_tensor(w, &named[i]));
    for (int i = 0; weights_n(w) > n && i < weights_n(w); i++)
        if (!is_named(named, n, weights_at(w, i)->name))
            return err_fail(E_MISMATCH, "%s: has a tensor %s, which is not trained here", weights_path(w),
                            weights_at(w, i)->name);
    TRY(check_settings(w, a, &t->config, &step));
    for (int i = 0; i < n; i++) TRY(stored_read(named[i].value, weights_find(w, named[i].name)));
    t->step = step;
    return OK;
}

Status trainer_load(Trainer *t, const char *path)
{
    Arena *a = t->model->run;
    ArenaMark mark = arena_mark(a);
    Weights *w = NULL;
    Status status = safetensors_open(&w, a, path);
    if (!status) status = load_from(t, w, a);
    weights_close(w);
    arena_drop(a, mark);
    return status;
}

Status trainer_resume(Trainer *t, const char *path, bool *damaged)
{
    *damaged = false;
    if (access(path, F_OK)) return OK;
    Status status = trainer_load(t, path);
    if (status != E_FORMAT) return status;
    err_clear();
    *damaged = true;
    file_remove(path);
    return OK;
}
