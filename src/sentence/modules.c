/* The files of a sentence-transformers folder.  modules.json is an array of {"path", "type"}, where the type is the
 * name of a Python class; each module has a config.json in its folder.  Normalize has no settings, and its folder may
 * be missing. */
#include <string.h>
#include <unistd.h>

#include "base/hf_cache.h"
#include "base/str.h"
#include "io/json.h"
#include "io/weights.h"
#include "sentence/sentence.h"

const char *const SENTENCE_POOLING_NAMES[] = {"cls",          "max",       "mean", "mean_sqrt_len_tokens",
                                              "weightedmean", "lasttoken", NULL};
/* The keys of release 4 and before, in the order of the enumeration, in which vectors are concatenated. */
static const char *const POOLING_KEYS[] = {"pooling_mode_cls_token",           "pooling_mode_max_tokens",
                                           "pooling_mode_mean_tokens",         "pooling_mode_mean_sqrt_len_tokens",
                                           "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"};

static bool there(const char *path)
{
    return !access(path, F_OK);
}

/* An object from a file that may be missing: *root is then NULL. */
static Status read_object(cJSON **root, Arena *run, const char *path)
{
    *root = NULL;
    if (!there(path)) return OK;
    TRY(json_read(root, run, path));
    if (cJSON_IsObject(*root)) return OK;
    cJSON_Delete(*root);
    *root = NULL;
    return err_fail(E_FORMAT, "%s: is not a JSON object", path);
}

/* ---- pooling */

static Status read_mode(int *mode, const cJSON *j, const char *path)
{
    const char *name = cJSON_IsString(j) ? j->valuestring : "not a string";
    for (*mode = 0; *mode < SENTENCE_POOLINGS; ++*mode)
        if (cJSON_IsString(j) && !strcmp(SENTENCE_POOLING_NAMES[*mode], name)) return OK;
    return err_fail(E_FORMAT,
                    "%s: pooling_mode is '%.30s', expected cls, max, mean, mean_sqrt_len_tokens, weightedmean or "
                    "lasttoken",
                    path, name);
}

/* One mode, or a list of them in the order of concatenation: "pooling_mode" of release 5. */
static Status read_modes(Sentence *s, const cJSON *j, const char *path)
{
    int last = -1, mode;
    for (const cJSON *one = cJSON_IsArray(j) ? j->child : j; one; one = cJSON_IsArray(j) ? one->next : NULL) {
        TRY(read_mode(&mode, one, path));
        if (mode <= last)
            return err_fail(E_FORMAT, "%s: pooling_mode has %s behind %s, only the other order is supported", path,
                            SENTENCE_POOLING_NAMES[mode], SENTENCE_POOLING_NAMES[last]);
        s->pooled[last = mode] = true;
    }
    return last < 0 ? err_fail(E_FORMAT, "%s: pooling_mode is empty", path) : OK;
}

static Status read_pooling_object(Sentence *s, const cJSON *root, const char *path)
{
    bool prompt = true, any = false;
    TRY(json_bool(&prompt, root, "include_prompt", path));
    if (!prompt)
        return err_fail(E_FORMAT, "%s: include_prompt is false, only true is supported: pooling over all tokens",
                        path);
    if (json_has(root, "pooling_mode"))
        return read_modes(s, cJSON_GetObjectItemCaseSensitive(root, "pooling_mode"), path);
    for (int k = 0; k < SENTENCE_POOLINGS; k++) {
        TRY(json_bool(&s->pooled[k], root, POOLING_KEYS[k], path));
        any |= s->pooled[k];
    }
    if (!any) s->pooled[SENTENCE_MEAN] = true;
    return OK;
}

static Status read_pooling(Sentence *s, Arena *run, const char *dir)
{
    cJSON *root;
    const char *path = str_print(run, "%s/config.json", dir);
    TRY(json_read(&root, run, path));
    Status status = read_pooling_object(s, root, path);
    cJSON_Delete(root);
    return status;
}

/* ---- steps behind the pooling */

/* torch's classes of activations by the end of their names. */
static const struct {
    const char *class;
    Act act;
} ACTIVATIONS[] = {
    {"Identity", ACT_NONE}, {"Tanh", ACT_TANH}, {"ReLU", ACT_RELU}, {"GELU", ACT_GELU}, {"SiLU", ACT_SILU}};

static const char *class_of(const char *type)
{
    const char *dot = strrchr(type, '.');
    return dot ? dot + 1 : type;
}

static Status read_activation(SentenceStep *step, const cJSON *root, const char *path)
{
    const char *name = "torch.nn.modules.activation.Tanh", *from = "sentence_embedding";
    TRY(json_text(&name, root, "activation_function", path));
    TRY(json_text(&from, root, "module_input_name", path));
    if (strcmp(from, "sentence_embedding") != 0)
        return err_fail(E_FORMAT, "%s: module_input_name is %.40s, only sentence_embedding is supported", path, from);
    for (size_t i = 0; i < sizeof ACTIVATIONS / sizeof *ACTIVATIONS; i++) {
        if (strcmp(ACTIVATIONS[i].class, class_of(name)) != 0) continue;
        step->act = ACTIVATIONS[i].act;
        return OK;
    }
    return err_fail(E_FORMAT, "%s: activation_function is %.60s, expected Identity, Tanh, ReLU, GELU or SiLU", path,
                    name);
}

static Status read_tensor(Tensor *out, Arena *run, const Stored *s)
{
    int64_t dim[2] = {s->dim[0], s->dim[1]};
    *out = tensor_new(run, F32, s->rank, dim);
    return stored_read(*out, s);
}

static Status read_layer(SentenceStep *step, Arena *run, const char *dir)
{
    Weights *file;
    TRY(weights_open(&file, run, dir));
    const Stored *w = weights_find(file, "linear.weight"), *b = weights_find(file, "linear.bias");
    Status s = OK;
    if (!w || w->rank != 2 || (b && (b->rank != 1 || b->dim[0] != w->dim[0])))
        s = err_fail(E_MISMATCH, "%s: expected linear.weight, a matrix, and linear.bias of as many rows",
                     weights_path(file));
    if (!s) s = read_tensor(&step->w, run, w);
    if (!s && b) s = read_tensor(&step->b, run, b);
    weights_close(file);
    return s;
}

static Status read_dense(Sentence *s, Arena *run, const char *dir)
{
    SentenceStep *step = &s->step[s->n_steps++];
    cJSON *root;
    const char *path = str_print(run, "%s/config.json", dir);
    TRY(json_read(&root, run, path));
    Status status = read_activation(step, root, path);
    cJSON_Delete(root);
    TRY(status);
    return read_layer(step, run, dir);
}

/* ---- modules.json */

static Status read_module(Sentence *s, Arena *run, const cJSON *module, int place, const char *path)
{
    const char *type = NULL, *at = "";
    if (!cJSON_IsObject(module)) return err_fail(E_FORMAT, "%s: module %d is not an object", path, place);
    TRY(json_text(&type, module, "type", path));
    TRY(json_text(&at, module, "path", path));
    if (!type) return err_fail(E_FORMAT, "%s: module %d has no type", path, place);
    const char *class = class_of(type), *dir = *at ? str_print(run, "%s/%s", s->dir, at) : s->dir;
    if (strstr(at, "..") || *at == '/') return err_fail(E_FORMAT, "%s: path '%.60s' leaves the folder", path, at);
    if (s->n_steps == SENTENCE_STEPS)
        return err_fail(E_FORMAT, "%s: more than %d modules behind the pooling", path, SENTENCE_STEPS);
    static const char *const ORDER[] = {"Transformer", "Pooling"};
    if (place < 2 && strcmp(ORDER[place], class) != 0)
        return err_fail(E_FORMAT, "%s: module %d is %.60s, only a Transformer and then a Pooling are supported", path,
                        place, type);
    if (place == 0) s->model_dir = dir;
    if (place == 1) return read_pooling(s, run, dir);
    if (place < 2) return OK;
    if (!strcmp(class, "Dense")) return read_dense(s, run, dir);
    if (strcmp(class, "Normalize") != 0)
        return err_fail(E_FORMAT, "%s: module %d is %.60s, only Dense and Normalize are supported there", path, place,
                        type);
    s->n_steps++; /* without a matrix: to length 1 */
    return OK;
}

static Status read_modules(Sentence *s, Arena *run)
{
    const char *path = str_print(run, "%s/modules.json", s->dir);
    s->declared = there(path);
    if (!s->declared) {
        s->pooled[SENTENCE_MEAN] = true;
        return OK;
    }
    cJSON *root;
    const cJSON *module;
    TRY(json_read(&root, run, path));
    int n = 0;
    Status status = cJSON_IsArray(root) ? OK : err_fail(E_FORMAT, "%s: is not an array of modules", path);
    cJSON_ArrayForEach(module, root)
    {
        if (!status) status = read_module(s, run, module, n++, path);
    }
    if (!status && n < 2) status = err_fail(E_FORMAT, "%s: has %d modules, expected at least 2", path, n);
    cJSON_Delete(root);
    return status;
}

/* ---- lengths and prompts */

/* The name of the file holds that of the class which wrote it. */
static Status read_limits(Sentence *s, Arena *run)
{
    static const char *const OF[] = {"bert",   "roberta",     "distilbert", "camembert",
                                     "albert", "xlm-roberta", "xlnet",      NULL};
    const char *path = NULL;
    for (int i = 0; OF[i] && (!path || !there(path)); i++)
        path = str_print(run, "%s/sentence_%s_config.json", s->model_dir, OF[i]);
    cJSON *root;
    int most = 0;
    TRY(read_object(&root, run, path));
    Status status = root ? json_bool(&s->lower, root, "do_lower_case", path) : OK;
    if (root && !status) status = json_int(&most, root, "max_seq_length", 1, 1 << 28, path);
    s->most = most;
    cJSON_Delete(root);
    return status;
}

/* name NULL: the default prompt, which need not be there. */
static Status find_prompt(Sentence *s, Arena *run, const cJSON *root, const char *name, const char *path)
{
    const cJSON *prompts = cJSON_GetObjectItemCaseSensitive(root, "prompts"), *one;
    bool named = name != NULL;
    if (!named) TRY(json_text(&name, root, "default_prompt_name", path));
    if (!name) return OK;
    if (prompts && !cJSON_IsNull(prompts) && !cJSON_IsObject(prompts))
        return err_fail(E_FORMAT, "%s: prompts is not an object", path);
    Buf known = buf_open(run);
    cJSON_ArrayForEach(one, prompts)
    {
        buf_print(&known, "%s%s", known.len ? ", " : "", one->string);
        if (strcmp(one->string, name) != 0 || !cJSON_IsString(one)) continue;
        s->prompt = *one->valuestring ? str_print(run, "%s", one->valuestring) : NULL;
        return OK;
    }
    return err_fail(named ? E_CONFIG : E_FORMAT, "%s: has no prompt '%.40s', expected one of %s", path, name,
                    known.len ? known.text : "none, as the folder declares no prompts");
}

Status sentence_prompt(Sentence *s, Arena *run, const char *name)
{
    cJSON *root;
    const char *path = str_print(run, "%s/config_sentence_transformers.json", s->dir);
    TRY(read_object(&root, run, path));
    Status status = find_prompt(s, run, root, name, path);
    cJSON_Delete(root);
    return status;
}

Status sentence_read(Sentence *s, Arena *run, const char *dir)
{
    *s = (Sentence){0};
    TRY(hf_cache_find(&dir, run, dir));
    s->dir = s->model_dir = file_folder(run, dir);
    TRY(read_modules(s, run));
    TRY(read_limits(s, run));
    return sentence_prompt(s, run, NULL);
}
