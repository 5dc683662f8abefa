/* Rates follow the reference to the bit where they can: they are single numbers, made by the same operations in the
 * same order, because at position 1000 the last bit of a rate is an angle of 1e-4. */
#include "nn/rope.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "nn/config.h"

int rope_dims(const Config *c)
{
    int head = c->head_dim ? c->head_dim : c->dim / c->heads;
    return (int)(head * c->rope.share) / 2 * 2;
}

/* Llama 3: long waves turn slower by the factor, short ones as before, and those between by a mixture of both. */
static float scale_llama3(const Rope *r, float rate)
{
    float factor = (float)r->factor, low = (float)r->low, high = (float)r->high, old = (float)r->original;
    float wave = 6.283185307179586f / rate;
    if (wave > old / low) return rate / factor;
    if (wave < old / high) return rate;
    float smooth = (old / wave - low) / (high - low);
    return (1 - smooth) * rate / factor + smooth * rate;
}

void rope_rates(float *rate, const Config *c, bool local)
{
    const Rope *r = &c->rope;
    int dims = rope_dims(c);
    float base = (float)(local && r->local_base > 0 ? r->local_base : r->base);
    for (int i = 0; i < dims / 2; i++) {
        rate[i] = 1 / powf(base, (float)(2 * i) / (float)dims);
        if (r->kind == ROPE_LINEAR) rate[i] /= (float)r->factor;
        if (r->kind == ROPE_LLAMA3) rate[i] = scale_llama3(r, rate[i]);
    }
}

Turn rope_turn(Arena *a, const float *rate, int64_t dims, const int32_t *position, int64_t n)
{
    int64_t half = dims / 2;
    float *c = NEW(a, float, n *half), *s = NEW(a, float, n *half);
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < half; j++) {
            float angle = (float)position[i] * rate[j];
            c[i * half + j] = (float)cos((double)angle);
            s[i * half + j] = (float)sin((double)angle);
        }
    return (Turn){.dims = dims, .rows = n, .cos = c, .sin = s};
}

/* ---- config.json */

static const struct {
    const char *name;
    RopeScaling kind;
} TYPES[] = {{"default", ROPE_PLAIN}, {"linear", ROPE_LINEAR}, {"llama3", ROPE_LLAMA3}};
enum { N_TYPES = sizeof TYPES / sizeof *TYPES };

static Status need(double *out, const cJSON *from, const char *key, const char *type, const char *path)
{
    if (!json_has(from, key)) return err_fail(E_FORMAT, "%s: rope_type is %s, but %s is absent", path, type, key);
    return json_real(out, from, key, 1e-6, 1e9, path);
}

/* The type of scaling and its numbers, from rope_scaling or rope_parameters. */
static Status read_scaling(Rope *r, const cJSON *from, const char *path)
{
    const char *type = "default";
    TRY(json_text(&type, from, "type", path)); /* before 4.43 */
    TRY(json_text(&type, from, "rope_type", path));
    int i = 0;
    while (i < N_TYPES && strcmp(TYPES[i].name, type) != 0) i++;
    if (i == N_TYPES)
        return err_fail(E_FORMAT, "%s: rope_type is '%.30s', only default, linear and llama3 are supported", path,
                        type);
    r->kind = TYPES[i].kind;
    if (r->kind == ROPE_PLAIN) return OK;
    TRY(need(&r->factor, from, "factor", type, path));
    if (r->kind == ROPE_LINEAR) return OK;
    double original = 0;
    TRY(need(&r->low, from, "low_freq_factor", type, path));
    TRY(need(&r->high, from, "high_freq_factor", type, path));
    TRY(need(&original, from, "original_max_position_embeddings", type, path));
    r->original = (int)original;
    if (!(r->high > r->low) || r->original < 1)
        return err_fail(E_FORMAT,
                        "%s: rope_type is llama3 with low_freq_factor %g, high_freq_factor %g and "
                        "original_max_position_embeddings %g; expected low below high, and at least one position",
                        path, r->low, r->high, original);
    return OK;
}

static Status member(const cJSON **out, const cJSON *root, const char *key, const char *path)
{
    *out = json_has(root, key) ? cJSON_GetObjectItemCaseSensitive(root, key) : NULL;
    return *out && !cJSON_IsObject(*out) ? err_fail(E_FORMAT, "%s: %s is no JSON object", path, key) : OK;
}

static Status read_base(double *base, const cJSON *from, const char *key, const char *path)
{
    return json_real(base, from, key, 1e-3, 1e12, path);
}

/* One set of parameters: the base, the share and the scaling. */
static Status read_parameters(Rope *r, double *base, const cJSON *from, const char *path)
{
    TRY(read_base(base, from, "rope_theta", path));
    TRY(json_real(&r->share, from, "partial_rotary_factor", 0, 1, path));
    return read_scaling(r, from, path);
}

Status rope_read(Rope *r, const cJSON *root, const char *path)
{
    const cJSON *new, *old, *full, *sliding;
    TRY(member(&new, root, "rope_parameters", path));
    TRY(member(&old, root, "rope_scaling", path));
    TRY(read_base(&r->base, root, "rope_theta", path));
    TRY(json_real(&r->share, root, "partial_rotary_factor", 0, 1, path));
    if (!new) return old ? read_scaling(r, old, path) : OK;
    TRY(member(&full, new, "full_attention", path));
    TRY(member(&sliding, new, "sliding_attention", path));
    if (!full && !sliding) return read_parameters(r, &r->base, new, path);
    if (full) TRY(read_parameters(r, &r->base, full, path));
    Rope other = *r; /* a scaling of these layers would have to be that of the others */
    if (sliding) TRY(read_parameters(&other, &r->local_base, sliding, path));
    if (sliding && (other.kind != r->kind || other.factor != r->factor))
        return err_fail(E_FORMAT, "%s: rope_parameters scales layers of one type only, which is not supported", path);
    return OK;
}

void rope_write(const Rope *r, cJSON *root)
{
    config_put_real(root, "rope_theta", r->base);
    if (r->kind == ROPE_PLAIN) return;
    cJSON *scaling = cJSON_AddObjectToObject(root, "rope_scaling");
    config_put(scaling, "rope_type", TYPES[r->kind].name);
    config_put_real(scaling, "factor", r->factor);
    if (r->kind == ROPE_LINEAR) return;
    config_put_real(scaling, "low_freq_factor", r->low);
    config_put_real(scaling, "high_freq_factor", r->high);
    cJSON_AddNumberToObject(scaling, "original_max_position_embeddings", r->original);
}

/* ---- windows */

static const char FULL[] = "full_attention", SLIDING[] = "sliding_attention";

bool window_is_local(const Config *c, int layer)
{
    return c->window > 0 && layer >= c->window_from && !(c->global_every > 0 && layer % c->global_every == 0);
}

int window_of(const Config *c, int layer)
{
    bool binds = c->window > 0 && (!c->positions || c->window < c->positions);
    return binds && window_is_local(c, layer) ? c->window : 0;
}

/* Whether the config's rule puts windows where the list has them. */
static bool says(const Config *c, const bool *window)
{
    for (int i = 0; i < c->layers; i++)
        if (window_is_local(c, i) != window[i]) return false;
    return true;
}

static Status read_types(bool *window, int n, const cJSON *list, const char *path)
{
    int i = 0;
    const cJSON *x;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != n)
        return err_fail(E_FORMAT, "%s: layer_types is no list of %d, the number of layers", path, n);
    cJSON_ArrayForEach(x, list)
    {
        bool full = cJSON_IsString(x) && !strcmp(x->valuestring, FULL);
        window[i] = cJSON_IsString(x) && !strcmp(x->valuestring, SLIDING);
        if (!full && !window[i])
            return err_fail(E_FORMAT, "%s: layer_types holds %.30s, only %s and %s are supported", path,
                            cJSON_IsString(x) ? x->valuestring : "no text", FULL, SLIDING);
        i++;
    }
    return OK;
}

Status window_read(Config *c, const cJSON *root, const char *path)
{
    bool window[4096];
    if (!json_has(root, "layer_types")) return OK;
    TRY(read_types(window, c->layers, cJSON_GetObjectItemCaseSensitive(root, "layer_types"), path));
    c->window_from = c->global_every = 0;
    while (c->window_from < c->layers && !window[c->window_from]) c->window_from++;
    if (c->window_from == c->layers)
        c->window = c->window_from = 0;
    else if (!c->window)
        return err_fail(E_FORMAT, "%s: layer_types names %s, but no size of a window is given", path, SLIDING);
    while (c->window && !says(c, window)) {
        c->global_every += c->global_every ? 1 : 2;
        if (c->global_every > c->layers)
            return err_fail(E_FORMAT, "%s: layer_types has windows in an order of layers that is not supported",
                            path);
    }
    if (c->global_every && c->window_from == 1) c->window_from = 0; /* layer 0 is global by either */
    return OK;
}

void window_write(const Config *c, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "layer_types");
    for (int i = 0; i < c->layers; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(window_is_local(c, i) ? SLIDING : FULL));
}
