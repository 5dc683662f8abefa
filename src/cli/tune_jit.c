/* Defect prediction as a task of tune: a transformer's head, or a floor; selection by validation F1, of equals by
 * AUC. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/tune.h"

/* ---- jit.json */

static cJSON *numbers(const double *x)
{
    return cJSON_CreateDoubleArray(x, N_FEATURES);
}

static void put(const Predictor *p, cJSON *root)
{
    cJSON_AddNumberToObject(root, "threshold", p->threshold);
    cJSON_AddBoolToObject(root, "per_split", p->per_split);
    cJSON_AddNumberToObject(root, "features", (double)p->features);
    if (!p->model) return;
    cJSON_AddStringToObject(root, "head", JIT_HEAD[p->head]);
    if (p->plan.language) cJSON_AddStringToObject(root, "language", p->plan.language);
    cJSON_AddNumberToObject(root, "length", p->plan.length);
    cJSON_AddNumberToObject(root, "message", p->plan.message);
    cJSON_AddNumberToObject(root, "add", p->plan.add);
    cJSON_AddNumberToObject(root, "del", p->plan.del);
    if (p->head != JIT_CONCAT) return;
    cJSON_AddItemToObject(root, "mean", numbers(p->scale.mean));
    cJSON_AddItemToObject(root, "sd", numbers(p->scale.sd));
}

static Status read_numbers(double *out, const cJSON *root, const char *key, const char *path)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, key), *x;
    int n = 0;
    cJSON_ArrayForEach(x, list)
    {
        if (cJSON_IsNumber(x) && isfinite(x->valuedouble) && n < N_FEATURES) out[n] = x->valuedouble;
        n += cJSON_IsNumber(x) && isfinite(x->valuedouble);
    }
    if (!cJSON_IsArray(list) || n != N_FEATURES || cJSON_GetArraySize(list) != n)
        return fail(E_FORMAT, "%s: %s is not a list of %d numbers", path, key, N_FEATURES);
    return OK;
}

static Status get_network(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    const char *head = "", *language = NULL;
    TRY(card_text(&head, root, "head", a, path));
    while (p->head < JIT_HEADS && strcmp(JIT_HEAD[p->head], head) != 0) p->head++;
    if (p->head == JIT_HEADS) return fail(E_FORMAT, "%s: head is '%.30s', expected single or concat", path, head);
    TRY(json_text(&language, root, "language", path));
    p->plan = (JitPlan){.length = 512, .message = 64, .add = -1, .del = -1};
    if (language) p->plan.language = str_copy(a, language, strlen(language));
    int add = -1, del = -1;
    TRY(json_int(&p->plan.length, root, "length", 8, 1 << 20, path));
    TRY(json_int(&p->plan.message, root, "message", 0, 1 << 20, path));
    TRY(json_int(&add, root, "add", -1, MOST_IDS, path));
    TRY(json_int(&del, root, "del", -1, MOST_IDS, path));
    p->plan.add = add, p->plan.del = del;
    if (p->head != JIT_CONCAT) return OK;
    TRY(read_numbers(p->scale.mean, root, "mean", path));
    return read_numbers(p->scale.sd, root, "sd", path);
}

static Status get(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    int features = N_FEATURES;
    p->threshold = 0.5;
    TRY(json_real(&p->threshold, root, "threshold", 0, 1, path));
    TRY(json_bool(&p->per_split, root, "per_split", path));
    TRY(json_int(&features, root, "features", N_FEATURES - 1, N_FEATURES, path));
    p->features = features;
    return p->peft ? get_network(p, a, root, path) : OK;
}

static Status check(const Predictor *p, int taken)
{
    int most = config_room(&p->net->config);
    if (p->plan.add >= p->net->config.vocab || p->plan.del >= p->net->config.vocab)
        return fail(E_MISMATCH, "%s/jit.json: markers %d and %d lie behind the %d rows of the model's token table",
                    p->dir, p->plan.add, p->plan.del, p->net->config.vocab);
    if (most && p->plan.length + taken > most)
        return fail(E_MISMATCH, "%s/jit.json: length %d and %d virtual tokens, but the model has positions for %d",
                    p->dir, p->plan.length, taken, most);
    return OK;
}

static LoadOptions load(const Predictor *p)
{
    (void)p;
    return (LoadOptions){.no_lm_head = true};
}

static Status open_head(Predictor *p)
{
    jit_model_open(&p->j, p->net, p->head);
    return OK;
}

static Status load_head(Predictor *p, Arena *run)
{
    return jit_head_load(&p->j, str_print(run, "%s/head.safetensors", p->dir));
}

/* ---- reading */

static Status choose_head(Tuning *t)
{
    int head;
    bool there = t->train.features && t->valid.features;
    TRY(args_word(&head, t->args, "head", there ? JIT_CONCAT : JIT_SINGLE, JIT_HEAD));
    if (head == JIT_CONCAT && !there)
        return fail(E_MISMATCH,
                    "%s: not every commit has the features that --head concat reads (vernier data mine --features)",
                    t->train.features ? args_text(t->args, "valid", "") : t->train_path);
    t->p.head = (JitHead)head;
    return OK;
}

static Status read(Tuning *t)
{
    const char *valid = args_text(t->args, "valid", NULL);
    if (args_given(t->args, "target")) return fail(E_CONFIG, "--target is for --task cmg");
    t->p.per_split = args_given(t->args, "per-split");
    t->p.threshold = 0.5;
    TRY(tune_features(&t->p.features, t->args, N_FEATURES));
    TRY(jit_labelled(&t->train, t->train_path));
    if (t->train.unknown + t->valid.unknown && !args_quiet(t->args))
        print_err("%lld commits have features that are unknown (null); each counts as its mean\n",
                  (long long)(t->train.unknown + t->valid.unknown));
    if (valid)
        TRY(jit_labelled(&t->valid, valid));
    else if (!t->valid.positives || t->valid.positives == t->valid.n)
        return fail(E_MISMATCH,
                    "%s: its last by time are %lld commits, %lld defective; expected both classes (--valid, --cut)",
                    t->train_path, (long long)t->valid.n, (long long)t->valid.positives);
    return choose_head(t);
}

/* ---- training */

typedef struct {
    JitModel valid; /* the same head over the validation commits */
    double *score;
    double at; /* threshold with the largest F1 in the last evaluation */
} Own;

static Status plan(Tuning *t, int taken)
{
    Predictor *p = &t->p;
    int most = config_room(&p->net->config);
    int64_t length;
    p->plan = jit_plan(&p->text, p->net->config.vocab, most);
    if (most && p->plan.length > most - taken) p->plan.length = most - taken;
    if (p->plan.length < 16)
        return fail(E_CONFIG, "%d virtual tokens leave %d of the model's %d positions to a commit", taken,
                    most - taken, most);
    TRY(args_int(&length, t->args, "length", p->plan.length, 16, most ? p->plan.length : 1 << 16));
    p->plan.length = (int)length;
    p->plan.language = args_text(t->args, "language", NULL);
    snprintf(t->shape, sizeof t->shape, "%s, length %d, %d features", JIT_HEAD[p->head], p->plan.length,
             (int)p->features);
    return OK;
}

static Status prepare(Tuning *t)
{
    Predictor *p = &t->p;
    Own *own = t->own = NEW(t->run, Own, 1);
    Examples valid;
    p->scale = jit_scale(&t->train, false);
    JitScale scale = predictor_scale(p, &t->train), valid_scale = predictor_scale(p, &t->valid);
    TRY(predictor_tokens(&t->tokens, p, t->run, &t->train));
    TRY(predictor_tokens(&valid, p, t->run, &t->valid));
    jit_model_show(&p->j, t->run, &t->train, &t->tokens, &scale);
    own->valid = p->j;
    jit_model_show(&own->valid, t->run, &t->valid, &valid, &valid_scale);
    own->score = NEW(t->run, double, t->valid.n), own->at = 0.5;
    if (!args_quiet(t->args))
        print_err("%lld of the commits to train on are defective, and %lld of those to select by\n",
                  (long long)t->train.positives, (long long)t->valid.positives);
    t->loss = jit_loss, t->loss_user = &p->j;
    return OK;
}

/* Learning rates of the study by method; for a small encoder, larger ones. */
static double rate(const Tuning *t)
{
    const char *method = t->p.peft->name;
    if (str_glob("prefix|prompt", method)) return 1e-2;
    if (!strcmp(t->p.model, TASK_JIT.base)) return predictor_whole(t->p.peft) ? 3e-4 : 1e-3;
    return str_glob("lora|dora", method) ? 1e-4 : str_glob("ia3|vera|bitfit|norms", method) ? 1e-3 : 2e-5;
}

static Status evaluate_jit(double *score, double *tie, Arena *step, Tuning *t)
{
    Own *own = t->own;
    TRY(jit_predict(own->score, &own->valid, t->p.hooks, step, NULL, NULL));
    JitScores x = jit_scores(&t->valid, own->score, 0.5);
    *score = x.at.f1, *tie = x.at.auc;
    own->at = jit_best_threshold(&t->valid, own->score);
    snprintf(t->measured, sizeof t->measured, "validation F1 %.4f, AUC %.4f", x.at.f1, x.at.auc);
    return OK;
}

static Status keep(Tuning *t)
{
    const Own *own = t->own;
    t->best_at = own->at;
    return jit_head_save(&t->p.j, str_print(t->run, "%s/head.safetensors", t->p.dir));
}

/* ---- the end */

static Status print(Tuning *t, const cJSON *card, const char *path)
{
    const cJSON *validation = cJSON_GetObjectItemCaseSensitive(card, "validation");
    JitScores valid, random = jit_random(&t->valid, 1);
    TRY(jit_scores_read(&valid, validation, path));
    TRY(json_real(&valid.at.threshold, card, "threshold", 0, 1, path));
    jit_print_scores("validation", &valid, &random);
    return OK;
}

static void compare(Tuning *t, cJSON *root)
{
    JitScores random = jit_random(&t->valid, 1);
    cJSON_AddItemToObject(root, "random", jit_scores_json(&random));
}

/* The measures of what is on disk, which so is read once before anybody relies on it. */
static Status finish(Tuning *t)
{
    Predictor p;
    Arena step = arena_open((size_t)1 << 36);
    double *score = NEW(t->run, double, t->valid.n);
    Status s = predictor_open_draft(&p, t->p.task, t->run, t->p.dir, t->args);
    if (!s) s = predictor_score(score, &p, t->run, &step, &t->valid, tune_each, NULL);
    if (!s) {
        JitScores valid = jit_scores(&t->valid, score, p.threshold);
        s = predictor_save(&p, jit_scores_json(&valid), t->run);
    }
    predictor_close(&p);
    arena_close(&step);
    return s;
}

/* ---- floors */

static Status score_floor(JitScores *out, Tuning *t, Floor *f)
{
    Arena step = arena_open(0);
    double *score = NEW(t->run, double, t->valid.n);
    t->p.floor = f;
    Status s = predictor_score(score, &t->p, t->run, &step, &t->valid, tune_each, NULL);
    if (!s) *out = jit_scores(&t->valid, score, t->p.threshold);
    arena_close(&step);
    return s;
}

/* The validation commits judge a fit on the others; where they were cut from the training file, the fit that is kept
 * sees them, too: nothing was chosen by them. */
Status tune_floor(Tuning *t)
{
    FloorPlan plan;
    Floor *f;
    JitScores valid;
    floor_plan(&plan, t->p.method, t->p.head == JIT_CONCAT);
    if (t->p.features < N_FEATURES) plan.use[FEATURE_fix] = false;
    TRY(floor_fit(&f, t->run, &t->train, &plan));
    TRY(score_floor(&valid, t, f));
    if (t->all.n) TRY(floor_fit(&f, t->run, &t->all, &plan));
    if (!floor_converged(f) && !args_quiet(t->args))
        print_err("the fit stopped after %d iterations before it had converged\n", plan.most_iterations);
    TRY(floor_save(f, t->p.dir));
    return predictor_save(&t->p, jit_scores_json(&valid), t->run);
}

const Task TASK_JIT = {.name = "jit",
                       .base = "./encoder",
                       .load = load,
                       .put = put,
                       .get = get,
                       .begin = tune_encoder,
                       .open_head = open_head,
                       .load_head = load_head,
                       .check = check,
                       .read = read,
                       .plan = plan,
                       .prepare = prepare,
                       .rate = rate,
                       .evaluate = evaluate_jit,
                       .keep = keep,
                       .finish = finish,
                       .print = print,
                       .compare = compare};
