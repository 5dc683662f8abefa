/* Predictors to and from directories. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/str.h"
#include "cli/adapter.h"
#include "cli/jit.h"
#include "tasks/sequence.h"

Status predictor_method(const char **name, const Peft **method)
{
    FloorPlan plan;
    *method = NULL;
    if (!strcmp(*name, "adapter")) *name = "houlsby";
    if (floor_plan(&plan, *name, false)) return OK;
    *method = peft_find(*name);
    if (*method) return OK;
    return fail(E_CONFIG, "--method %.40s is neither words nor la nor a method that `vernier list` names", *name);
}

bool predictor_whole(const Peft *method)
{
    return str_glob("full|bitfit|norms", method->name);
}

const char *predictor_path(const Predictor *p, Arena *a, const char *path)
{
    return strncmp(path, "./", 2) ? path : str_print(a, "%s/%s", p->dir, path + 2);
}

/* ---- jit.json */

static cJSON *numbers(const double *x)
{
    return cJSON_CreateDoubleArray(x, N_FEATURES);
}

static void put_network(const Predictor *p, cJSON *root)
{
    cJSON_AddStringToObject(root, "options", p->options);
    cJSON_AddStringToObject(root, "head", JIT_HEAD[p->head]);
    cJSON_AddStringToObject(root, "model", p->model);
    cJSON_AddStringToObject(root, "tokenizer", p->tokenizer);
    if (p->plan.language) cJSON_AddStringToObject(root, "language", p->plan.language);
    cJSON_AddNumberToObject(root, "length", p->plan.length);
    cJSON_AddNumberToObject(root, "message", p->plan.message);
    cJSON_AddNumberToObject(root, "add", p->plan.add);
    cJSON_AddNumberToObject(root, "del", p->plan.del);
    if (p->head != JIT_CONCAT) return;
    cJSON_AddItemToObject(root, "mean", numbers(p->scale.mean));
    cJSON_AddItemToObject(root, "sd", numbers(p->scale.sd));
}

Status predictor_save(const Predictor *p, const JitScores *valid, Arena *a)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "task", "jit");
    cJSON_AddStringToObject(root, "method", p->method);
    cJSON_AddNumberToObject(root, "threshold", p->threshold);
    cJSON_AddBoolToObject(root, "per_split", p->per_split);
    if (p->model) put_network(p, root);
    if (valid) cJSON_AddItemToObject(root, "validation", jit_scores_json(valid));
    char *text = cJSON_Print(root);
    const char *line = str_print(a, "%s\n", text);
    Status s = file_write(str_print(a, "%s/jit.json", p->dir), line, strlen(line));
    cJSON_free(text);
    cJSON_Delete(root);
    return s;
}

static Status word(const char **out, const cJSON *root, const char *key, Arena *a, const char *path)
{
    const char *s = NULL;
    TRY(json_text(&s, root, key, path));
    if (!s) return fail(E_FORMAT, "%s: has no %s", path, key);
    *out = str_copy(a, s, strlen(s));
    return OK;
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

static Status read_network(Predictor *p, Arena *a, const cJSON *root, const char *path)
{
    const char *head = "", *language = NULL;
    TRY(word(&p->options, root, "options", a, path));
    TRY(word(&p->model, root, "model", a, path));
    TRY(word(&p->tokenizer, root, "tokenizer", a, path));
    TRY(word(&head, root, "head", a, path));
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

static Status read_card(Predictor *p, Arena *a, const cJSON *root, const char *path, const Peft **method)
{
    const char *task = "";
    TRY(word(&task, root, "task", a, path));
    if (strcmp(task, "jit") != 0) return fail(E_FORMAT, "%s: the task is '%.30s', expected jit", path, task);
    TRY(word(&p->method, root, "method", a, path));
    p->threshold = 0.5;
    TRY(json_real(&p->threshold, root, "threshold", 0, 1, path));
    TRY(json_bool(&p->per_split, root, "per_split", path));
    if (predictor_method(&p->method, method)) {
        err_clear();
        return fail(E_FORMAT, "%s: method '%.40s' is unknown", path, p->method);
    }
    return *method ? read_network(p, a, root, path) : OK;
}

/* ---- opening */

static Status check_plan(const Predictor *p, int taken)
{
    int most = jit_positions(p->net);
    if (p->plan.add >= p->net->config.vocab || p->plan.del >= p->net->config.vocab)
        return fail(E_MISMATCH, "%s/jit.json: markers %d and %d lie behind the %d rows of the model's token table",
                    p->dir, p->plan.add, p->plan.del, p->net->config.vocab);
    if (most && p->plan.length + taken > most)
        return fail(E_MISMATCH, "%s/jit.json: length %d and %d virtual tokens, but the model has positions for %d",
                    p->dir, p->plan.length, taken, most);
    return OK;
}

static Status attach(Predictor *p, Arena *a, const Args *args)
{
    Adapter *x;
    TRY(adapter_open(&x, a, p->dir));
    Status s = adapter_attach(x, p->net, p->hooks);
    if (!s) print_remarks(x, args);
    if (!s) s = check_plan(p, adapter_positions(x));
    adapter_close(x);
    return s;
}

static Status open_network(Predictor *p, Arena *run, const Args *args, const Peft *method)
{
    bool whole = predictor_whole(method);
    TRY(tokenizer_open(&p->text, run, predictor_path(p, run, p->tokenizer)));
    const char *model = whole ? "./model" : p->model;
    TRY(model_load_as(&p->net, run, predictor_path(p, run, model), &(LoadOptions){.no_lm_head = true}));
    p->hooks = hooks_new(run);
    jit_model_open(&p->j, p->net, p->head);
    TRY(whole ? check_plan(p, 0) : attach(p, run, args));
    return jit_head_load(&p->j, str_print(run, "%s/head.safetensors", p->dir));
}

Status predictor_open(Predictor *p, Arena *run, const char *dir, const Args *args)
{
    const char *path = str_print(run, "%s/jit.json", dir), *half = str_print(run, "%s/train.json", dir);
    struct stat there;
    *p = (Predictor){.dir = dir};
    if (stat(path, &there) && !stat(half, &there))
        return fail(E_MISMATCH, "%s: its tuning has not finished; the same `vernier tune` with --resume goes on",
                    dir);
    cJSON *root;
    const Peft *method;
    TRY(json_read(&root, run, path));
    Status s = read_card(p, run, root, path, &method);
    cJSON_Delete(root);
    TRY(s);
    return method ? open_network(p, run, args, method) : floor_open(&p->floor, run, dir);
}

void predictor_close(Predictor *p)
{
    if (p->net) tokenizer_close(&p->text);
    p->net = NULL;
}

/* ---- scoring */

static Status score_floor(double *out, Predictor *p, Arena *step, const JitSet *s, bool (*each)(int64_t, void *),
                          void *user)
{
    if (p->per_split && s->features) floor_rescale(p->floor, s);
    for (int64_t i = 0; i < s->n; i++) {
        TRY(floor_score(&out[i], p->floor, step, &s->change[i]));
        if (each && !each(i + 1, user)) return fail(E_INTERRUPT, "interrupted before the end");
    }
    return OK;
}

Status predictor_tokens(Examples *out, const Predictor *p, Arena *a, const JitSet *s)
{
    TRY(jit_tokens(out, a, s, &p->text, &p->plan));
    for (int64_t i = 0; i < s->n; i++) TRY(sequence_fits(out->ids[i], out->len[i], p->net->config.vocab));
    return OK;
}

Status predictor_score(double *out, Predictor *p, Arena *run, Arena *step, const JitSet *s,
                       bool (*each)(int64_t, void *), void *user)
{
    if (p->floor) return score_floor(out, p, step, s, each, user);
    bool concat = p->head == JIT_CONCAT;
    for (int64_t i = 0; i < s->n && concat; i++)
        if (!s->change[i].has_features)
            return fail(E_MISMATCH,
                        "commit %.40s lacks the features that the head reads (vernier data mine --features)",
                        s->change[i].id);
    Examples tokens;
    TRY(predictor_tokens(&tokens, p, run, s));
    JitScale own = p->per_split ? jit_scale(s, false) : p->scale;
    jit_model_show(&p->j, run, s, &tokens, concat ? &own : NULL);
    return jit_predict(out, &p->j, p->hooks, step, each, user);
}

static int by_score(const void *a, const void *b)
{
    const RiskyLine *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) return x->score > y->score ? -1 : 1;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return (x->line > y->line) - (x->line < y->line);
}

Status predictor_lines(RiskyLine **out, int64_t *n, Predictor *p, Arena *a, Arena *step, const CodeChange *c,
                       int32_t i)
{
    *n = 0;
    if (p->floor) {
        *out = NEW(a, RiskyLine, change_count(c, LINE_ADD) + change_count(c, LINE_DEL) + 1);
        for (int64_t f = 0; f < c->n_files && floor_has_words(p->floor); f++)
            for (int64_t l = 0; l < c->file[f].n; l++)
                if (c->file[f].line[l].kind != LINE_KEEP)
                    (*out)[(*n)++] = (RiskyLine){f, l, floor_line(p->floor, step, &c->file[f].line[l])};
    } else {
        int32_t *id, len;
        JitLines lines;
        TRY(jit_ids(&id, &len, &lines, a, c, &p->text, &p->plan));
        double *score = NEW(a, double, lines.n + 1);
        jit_line_attention(score, &p->j, p->hooks, step, i, &lines);
        *out = NEW(a, RiskyLine, lines.n + 1);
        for (*n = 0; *n < lines.n; ++*n) (*out)[*n] = (RiskyLine){lines.file[*n], lines.line[*n], score[*n]};
    }
    qsort(*out, (size_t)*n, sizeof **out, by_score);
    return OK;
}
