/* The toy laboratory: recipes, kept models, and one training loop for all experiments. */
#include "lab/lab.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "base/str.h"
#include "run/parallel.h"

enum { SAVE_EVERY = 1000 };

/* ---- recipes */

LabModel lab_sorter(Preset p)
{
    return (LabModel){.tasks = "asc",
                      .layers = 1,
                      .heads = 1,
                      .dim = p == SMOKE ? 32 : 96,
                      .layout = {.slots = 1},
                      .dropout = 0.1,
                      .lr = (double[]){2e-3, 1.5e-3, 5e-4}[p],
                      .steps = (int[]){60, 2400, 20000}[p],
                      .batch = p == SMOKE ? 16 : 64,
                      .test = (int[]){100, 1600, 3200}[p]};
}

LabModel lab_elicitor(Preset p)
{
    LabModel m = lab_sorter(p);
    m.tasks = "asc,desc,add1,add2";
    m.heads = 4;
    m.dim = (int[]){32, 96, 256}[p];
    m.no_attn_norm = true;
    m.lr = (double[]){2e-3, 1.5e-3, 5e-4}[p];
    return m;
}

LabModel lab_composer(Preset p)
{
    LabModel m = lab_elicitor(p);
    m.layers = p == SMOKE ? 2 : 4;
    m.dim = (int[]){32, 64, 256}[p];
    m.layout.slots = p == SMOKE ? 2 : 10;
    m.no_attn_norm = false;
    m.steps = (int[]){60, 2400, 40000}[p];
    return m;
}

static Config config_of(const LabModel *l)
{
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = DIGIT_VOCAB, c.positions = (int)digits_positions(l->layout);
    c.dim = l->dim, c.heads = l->heads, c.layers = l->layers, c.hidden = 4 * l->dim;
    c.tie_head = false, c.no_attn_norm = l->no_attn_norm;
    c.dropout = c.attn_dropout = l->dropout;
    if (l->init_sd > 0) c.init_sd = l->init_sd;
    return c;
}

Status lab_check(const LabModel *l)
{
    DigitMix mix;
    TRY(digits_mix(&mix, l->tasks));
    if (l->dim % l->heads) return err_fail(E_CONFIG, "%d heads do not divide the hidden size %d", l->heads, l->dim);
    return OK;
}

/* ---- training */

/* Weight decay on the matrices of linear layers alone; token and position tables take none. */
static const Group GROUPS[] = {{"wte.*|wpe.*", 1, 0}, {0}};

static TrainConfig config_for(const Model *m, const LabArm *arm, uint64_t seed)
{
    TrainConfig c = train_defaults();
    bool whole = param_find(m->params, "wte.weight")->trainable;
    c.lr = arm->lr, c.decay = arm->decay, c.clip = 1, c.total = arm->steps, c.no_dropout = !arm->dropout;
    c.seed = rng_mix(seed, rng_stream(0, arm->name));
    if (whole && arm->decay > 0) c.beta2 = 0.95, c.groups = GROUPS;
    return c;
}

/* The curve so far, and the SHA-256 of it. */
typedef struct {
    LabResult so_far;
    Sha256Hex hash;
} Curve;

static Sha256Hex curve_hash(const LabResult *x)
{
    Sha256 s = sha256_begin();
    sha256_add(&s, x, sizeof *x);
    return sha256_end(&s);
}

/* A checkpoint is the trainer's state and, beside it, the curve so far.  The curve is written first: a run killed
 * between the two has a curve that is ahead, and the points that the trainer has not reached are dropped. */
static Status save(Arena *a, const Trainer *tr, const char *path, const LabResult *out)
{
    ArenaMark mark = arena_mark(a);
    Curve *c = arena_zero(a, sizeof *c);
    memcpy(&c->so_far, out, sizeof *out); /* with what lies between the members */
    c->hash = curve_hash(&c->so_far);
    Status status = file_write(str_print(a, "%s.curve", path), c, sizeof *c);
    arena_drop(a, mark);
    return status ? status : trainer_save(tr, path);
}

/* NULL: there is none, or it is not as it was written. */
static const LabResult *read_curve(Arena *a, const char *path)
{
    Bytes b;
    bool there = !file_read(&b, a, str_print(a, "%s.curve", path));
    err_clear();
    if (!there || b.len != sizeof(Curve)) return NULL;
    Curve *c = NEW(a, Curve, 1);
    memcpy(c, b.text, sizeof *c);
    return memcmp(c->hash.hex, curve_hash(&c->so_far).hex, sizeof c->hash.hex) ? NULL : &c->so_far;
}

static Status resume(Run *r, Arena *a, Trainer *tr, const char *path, LabResult *out)
{
    if (!run_resuming(r) || access(path, F_OK)) return OK;
    const LabResult *so_far = read_curve(a, path);
    bool damaged = !so_far;
    if (so_far) TRY(trainer_resume(tr, path, &damaged));
    if (damaged) {
        run_remark(r, "%s: is damaged, or its curve is; the training begins anew", path);
        return OK;
    }
    memcpy(out, so_far, sizeof *out);
    while (out->points && out->step[out->points - 1] > (float)tr->step) out->points--;
    return OK;
}

static double late_loss(const LabResult *o)
{
    int late = o->points / 10 > 1 ? o->points / 10 : o->points ? 1 : 0;
    double sum = 0;
    for (int i = o->points - late; i < o->points; i++) sum += (double)o->loss[i] / late;
    return late ? sum : (double)NAN;
}

static void log_point(Run *r, const LabArm *arm, uint64_t seed, const LabResult *out, int i)
{
    run_log(r, arm->name, (int64_t)out->step[i], 2, (const char *const[]){"seed", "loss"},
            (double[]){(double)seed, (double)out->loss[i]});
}

static void add_point(Run *r, const LabArm *arm, uint64_t seed, int64_t step, double loss, LabResult *out)
{
    out->step[out->points] = (float)step;
    out->loss[out->points++] = (float)loss;
    run_progress(r, arm->name, step, arm->steps, loss);
    log_point(r, arm, seed, out, out->points - 1);
}

/* The points logged before the checkpoint from which the run resumes. */
static void log_again(Run *r, const LabArm *arm, uint64_t seed, const LabResult *out)
{
    for (int i = 0; i < out->points; i++) log_point(r, arm, seed, out, i);
}

static Status diverged(LabResult *out)
{
    err_clear();
    out->diverged = true;
    out->last = NAN;
    return OK;
}

/* Stored by index and not summed up: a resumed run scores the points after the checkpoint again. */
static void score_late(const Trainer *tr, const LabModel *l, const LabArm *arm, LabResult *out)
{
    for (int i = 0; i < LAB_LATE && arm->late; i++) {
        if (tr->step != arm->steps * (100 - 2 * (LAB_LATE - 1 - i)) / 100) continue;
        DigitScore score[DIGIT_MIX];
        lab_score(tr->model, tr->hooks, l, arm->late, score);
        for (int k = 0; k < arm->late->n; k++) out->late[i][k] = score[k].exact;
    }
}

static int64_t rows_a_step(const LabModel *l, const LabArm *arm)
{
    return arm->examples && arm->examples < l->batch ? arm->examples : l->batch;
}

Status lab_train(Run *r, Arena *run, Model *m, const Hooks *hooks, const LabModel *l, const LabArm *arm,
                 uint64_t seed, LabResult *out)
{
    TrainConfig c = config_for(m, arm, seed);
    Trainer *tr;
    DigitMix mix;
    TRY(digits_mix(&mix, arm->target ? arm->target : l->tasks));
    if (arm->examples % rows_a_step(l, arm))
        return err_fail(E_CONFIG, "%lld examples are neither fewer than a batch of %lld nor a multiple of it",
                        (long long)arm->examples, (long long)l->batch);
    TRY(trainer_open(&tr, run, m, hooks, &c));
    const char *path = run_path(r, "checkpoints/%s-seed%llu.safetensors", arm->name, (unsigned long long)seed);
    out->params = params_count(m->params, NULL, true);
    TRY(resume(r, run, tr, path, out));
    log_again(r, arm, seed, out);
    bool saves = c.total > 4 * SAVE_EVERY;
    if (saves) TRY(file_make_dir(run_path(r, "checkpoints")));
    Arena step = arena_open(0);
    uint64_t data = rng_stream(c.seed, "data");
    int64_t every = (c.total + LAB_POINTS - 1) / LAB_POINTS, rows = rows_a_step(l, arm);
    double sum = 0;
    while (tr->step < c.total) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&step);
        StepStats s;
        int64_t first = arm->examples ? tr->step * rows % arm->examples : tr->step * rows;
        Batch b = digits_batch(&step, &mix, l->layout, rows, data, (uint64_t)first, false);
        Status status = trainer_step(tr, &step, &b, &s);
        arena_drop(&step, mark);
        if (status == E_NUMERIC) return diverged(out);
        TRY(status);
        score_late(tr, l, arm, out);
        sum += s.loss;
        if (tr->step % every && tr->step != c.total) continue;
        add_point(r, arm, seed, tr->step, sum / (double)(tr->step % every ? tr->step % every : every), out);
        sum = 0;
        if (arm->watch) out->watched[out->points - 1] = (float)arm->watch(m, hooks, l, &mix);
        if (arm->until > 0 && (double)out->watched[out->points - 1] >= arm->until) break;
        if (saves && out->points % (1 + SAVE_EVERY / every) == 0) TRY(save(run, tr, path, out));
    }
    arena_close(&step);
    out->last = late_loss(out);
    return OK;
}

/* ---- pretrained models */

static const char *kept_path(Run *r, const LabModel *l, uint64_t seed)
{
    Arena *a = run_arena(r);
    const char *what =
        str_print(a, "%s %d %d %d %lld %lld %lld %d %a %a %a %lld %lld", l->tasks, l->layers, l->heads, l->dim,
                  (long long)l->layout.slots, (long long)l->layout.gap, (long long)l->layout.weave, l->no_attn_norm,
                  l->init_sd, l->dropout, l->lr, (long long)l->steps, (long long)l->batch);
    return run_path(r, "pretrained/%016llx-seed%llu", (unsigned long long)rng_stream(0, what),
                    (unsigned long long)seed);
}

typedef struct {
    const LabModel *recipe;
    const DigitMix *late;
} Pretraining;

static LabArm pretraining(const LabModel *l, const DigitMix *late, const char *name)
{
    return (LabArm){.name = name, .lr = l->lr, .steps = l->steps, .decay = 0.1, .dropout = true, .late = late};
}

static Status pretrain_job(Run *r, int i, void *out, void *user)
{
    int seeds = run_seeds(r);
    const Pretraining *p = user;
    const LabModel *l = p->recipe + i / seeds;
    uint64_t seed = run_seed(r, i % seeds);
    Arena run = arena_open(0);
    Model *m;
    Config c = config_of(l);
    TRY(model_open(&m, &run, &c, F32, seed));
    params_train(m->params, "*", true);
    LabArm arm = pretraining(l, p->late, str_print(&run, "pretrain-%d", i / seeds));
    LabResult *result = out;
    TRY(lab_train(r, &run, m, NULL, l, &arm, seed, result));
    if (result->diverged)
        return err_fail(E_NUMERIC, "pretraining on %s diverged at seed %llu", l->tasks, (unsigned long long)seed);
    TRY(model_save(m, kept_path(r, l, seed)));
    TRY(run_leaves(r, kept_path(r, l, seed)));
    arena_close(&run);
    return OK;
}

Status lab_pretrain_watched(Run *r, const LabModel *l, int n, const DigitMix *late, LabResult *out)
{
    Pretraining p = {l, late};
    for (int i = 0; i < n; i++) TRY(lab_check(&l[i]));
    TRY(file_make_dir(run_path(r, "pretrained")));
    return run_parallel(r, n * run_seeds(r), sizeof *out, pretrain_job, &p, out);
}

Status lab_pretrain(Run *r, const LabModel *l, int n)
{
    ArenaMark mark = arena_mark(run_arena(r));
    LabResult *all = NEW(run_arena(r), LabResult, n * run_seeds(r));
    Status status = lab_pretrain_watched(r, l, n, NULL, all);
    arena_drop(run_arena(r), mark);
    return status;
}

Status lab_open(Model **m, Arena *run, Run *r, const LabModel *l, uint64_t seed)
{
    return model_load(m, run, kept_path(r, l, seed));
}

/* ---- arms: a method with its options */

static const LabArm ARMS[] = {
    {.name = "none"},
    {.name = "full", .method = "full", .lr = 1e-3, .decay = 0.1, .dropout = true},
    {.name = "prefix", .method = "prefix", .options = "kind=free,length=10,init_sd=1", .lr = 5e-2, .decay = 0.01},
    {.name = "prefix-tied", .method = "prefix", .options = "kind=tied,length=1,init_sd=1", .lr = 5e-3, .decay = 0.01},
    {.name = "prompt", .method = "prompt", .options = "length=10,init_sd=1", .lr = 5e-2, .decay = 0.01},
    {.name = "lora", .method = "lora", .options = "rank=4,alpha=4,target=*", .lr = 5e-3, .decay = 0.01},
    {.name = "adapter", .method = "houlsby", .options = "width=8", .lr = 5e-3, .decay = 0.01},
    {.name = "ia3", .method = "ia3", .lr = 2e-2, .decay = 0},
    {.name = "bitfit", .method = "bitfit", .lr = 5e-3, .decay = 0},
};

LabArm lab_arm(const char *method)
{
    for (size_t i = 0; i < sizeof ARMS / sizeof *ARMS; i++)
        if (!strcmp(ARMS[i].name, method)) return ARMS[i];
    return (LabArm){.name = method, .method = method, .lr = 5e-3, .decay = 0.01};
}

static Status configure(PeftConfig *c, const Model *m, const LabModel *l, const LabArm *arm, const Peft *method)
{
    method->defaults(c, &m->config);
    TRY(peft_set(c, m->run, arm->options));
    if (c->kind == PREFIX_TIED && c->length == l->layout.slots) c->reserved = c->length;
    return OK;
}

Status lab_attach(Model *m, Hooks *hooks, const LabModel *l, const LabArm *arm)
{
    if (!arm->method) return OK;
    const Peft *method = peft_find(arm->method);
    if (!method) return err_fail(E_CONFIG, "unknown method \"%s\"; expected one of `vernier list`", arm->method);
    PeftConfig c = {0};
    TRY(configure(&c, m, l, arm, method));
    int taken = method->positions ? method->positions(&c) : 0;
    if (taken && taken + digits_positions(l->layout) > m->config.positions)
        return err_fail(E_CONFIG,
                        "%s: %d virtual tokens in front leave %d of the model's %d positions for rows of %lld",
                        method->name, taken, m->config.positions - taken, m->config.positions,
                        (long long)digits_positions(l->layout));
    return peft_attach(method, m, hooks, &c);
}

void lab_score(Model *m, const Hooks *hooks, const LabModel *l, const DigitMix *mix, DigitScore *out)
{
    Arena step = arena_open(0);
    digits_score(out, &step, m, hooks, mix, l->layout, l->test, rng_stream(1, "test"));
    arena_close(&step);
}

/* Adds the contribution of one batch of b inputs to means over n. */
static void add_held(LabHeld *out, Tensor logits, const Batch *batch, double n)
{
    for (int64_t i = 0; i < batch->b * LENGTH; i++) {
        Tensor x = tensor_at(tensor_reshape(logits, SHAPE(batch->b * LENGTH, DIGIT_VOCAB)), i);
        int32_t y = batch->target[i];
        double top = tensor_get(x, tensor_argmax(x)), sum = 0;
        for (int v = 0; v < DIGIT_VOCAB; v++) sum += exp(tensor_get(x, v) - top);
        double loss = log(sum) + top - tensor_get(x, y), right = tensor_argmax(x) == y;
        out->place_loss[i % LENGTH] += loss / n, out->place_token[i % LENGTH] += right / n;
        out->loss += loss / (n * LENGTH), out->token += right / (n * LENGTH);
    }
}

void lab_held(LabHeld *out, Model *m, const Hooks *hooks, const LabModel *l, const DigitMix *mix, int64_t n,
              uint64_t stream)
{
    enum { CHUNK = 100 };
    Arena step = arena_open(0);
    for (int k = 0; k < mix->n; k++) {
        out[k] = (LabHeld){0};
        for (int64_t first = 0; first < n; first += CHUNK) {
            ArenaMark mark = arena_mark(&step);
            int64_t b = n - first < CHUNK ? n - first : CHUNK;
            Batch x =
                digits_batch(&step, &(DigitMix){{mix->task[k]}, 1}, l->layout, b, stream, (uint64_t)first, true);
            Var *logits = model_logits(m, &(Pass){.tape = tape_open(&step, false), .hooks = hooks}, &x);
            add_held(&out[k], logits->val, &x, (double)n);
            arena_drop(&step, mark);
        }
    }
    arena_close(&step);
}

static LabHeld watch(Model *m, const Hooks *hooks, const LabModel *l, const DigitMix *target)
{
    enum { INPUTS = 100 };
    LabHeld each[DIGIT_MIX], mean = {0};
    lab_held(each, m, hooks, l, target, (INPUTS + target->n - 1) / target->n, rng_stream(1, "watch"));
    for (int k = 0; k < target->n; k++)
        mean.loss += each[k].loss / target->n, mean.token += each[k].token / target->n;
    return mean;
}

double lab_watch_token(Model *m, const Hooks *hooks, const LabModel *l, const DigitMix *target)
{
    return watch(m, hooks, l, target).token;
}

double lab_watch_loss(Model *m, const Hooks *hooks, const LabModel *l, const DigitMix *target)
{
    return watch(m, hooks, l, target).loss;
}

Status lab_tune(Run *r, Arena *run, Model *m, Hooks *hooks, const LabModel *l, const LabArm *arm,
                const DigitMix *scored, uint64_t seed, LabResult *out)
{
    DigitMix own;
    TRY(digits_mix(&own, arm->target ? arm->target : l->tasks));
    TRY(lab_attach(m, hooks, l, arm));
    if (arm->steps && params_count(m->params, NULL, true)) TRY(lab_train(r, run, m, hooks, l, arm, seed, out));
    lab_score(m, hooks, l, scored ? scored : &own, out->score);
    return OK;
}

Status lab_fold(Model *m, const LabModel *l, const LabArm *arm, bool back)
{
    const Peft *method = peft_find(arm->method);
    PeftConfig c = {0};
    TRY(configure(&c, m, l, arm, method));
    return (back ? method->unmerge : method->merge)(m, &c);
}

/* ---- results */

double lab_watched(const LabResult *r)
{
    return r->points ? (double)r->watched[r->points - 1] : 0;
}

double lab_old_loss(const LabHeld *each, const DigitMix *old, const char *target)
{
    double loss = 0;
    int others = 0;
    for (int k = 0; k < old->n; k++) {
        if (!strcmp(old->task[k]->name, target)) continue;
        others++;
        for (int i = LENGTH - LAB_SHOWN; i < LENGTH; i++) loss += each[k].place_loss[i] / LAB_SHOWN;
    }
    return others ? loss / others : (double)NAN;
}

static double mean_last(const LabResult *r, int seeds)
{
    double sum = 0;
    for (int i = 0; i < seeds; i++) sum += r[i].last / seeds;
    return sum;
}

int lab_best(const LabResult *r, int choices, int seeds)
{
    int best = 0;
    for (int c = 1; c < choices; c++) {
        double loss = mean_last(r + c * seeds, seeds), least = mean_last(r + best * seeds, seeds);
        if (loss < least || (isnan(least) && !isnan(loss))) best = c;
    }
    return best;
}

double lab_mean(const LabResult *r, int seeds, int task)
{
    double sum = 0;
    for (int i = 0; i < seeds; i++) sum += 100 * r[i].score[task].exact / seeds;
    return sum;
}

double lab_late(const LabResult *r, int task)
{
    double sum = 0;
    for (int i = 0; i < LAB_LATE; i++) sum += 100 * r->late[i][task] / LAB_LATE;
    return sum;
}

Series lab_curve(Arena *a, const LabResult *r, int seeds, const char *label)
{
    int n = r->points;
    Tensor x = tensor_new(a, F64, SHAPE(n)), mean = tensor_zero(a, F64, SHAPE(n)), lo = tensor_new(a, F64, SHAPE(n)),
           hi = tensor_new(a, F64, SHAPE(n));
    for (int p = 0; p < n; p++) {
        double least = INFINITY, most = -INFINITY, sum = 0;
        for (int i = 0; i < seeds; i++) {
            double loss = p < r[i].points ? (double)r[i].loss[p] : (double)NAN; /* a diverged seed breaks the line */
            sum += loss / seeds, least = fmin(least, loss), most = fmax(most, loss);
        }
        tensor_set(x, p, (double)r->step[p]);
        tensor_set(mean, p, sum), tensor_set(lo, p, least), tensor_set(hi, p, most);
    }
    return (Series){.x = x, .y = mean, .lo = lo, .hi = hi, .label = label};
}
