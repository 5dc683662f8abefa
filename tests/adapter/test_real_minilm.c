/* Adapters that Hugging Face PEFT and the adapters library wrote for all-MiniLM-L6-v2, on its published weights: hidden
 * states, sentence vectors, the loss of a padded batch, and the gradient of every tensor of the adapter.  Skipped where
 * the model cannot be had. */
#include "expect.h"

#include <string.h>

#include "adapter/adapter.h"
#include "arena.h"
#include "io/json.h"
#include "io/npy.h"
#include "models.h"
#include "sentence/sentence.h"

typedef struct {
    const char *dir; /* of the adapter, with the answers beside it */
    Model *model;
    Hooks *hooks;
    Adapter *adapter;
    cJSON *record;
} Case;

/* false: the model is not at hand */
static bool case_open(Case *c, const char *name, const char **folder)
{
    *folder = real_model(&arena, "minilm");
    if (!*folder) return false;
    c->dir = real_expected(&arena, str_print(&arena, "peft/%s", name));
    c->hooks = hooks_new(&arena);
    EXPECT(!json_read(&c->record, &arena, str_print(&arena, "%s/golden.json", c->dir)), "%s", err_message());
    EXPECT(!model_load(&c->model, &arena, *folder), "%s", err_message());
    EXPECT(!adapter_open(&c->adapter, &arena, c->dir), "%s", err_message());
    EXPECT(!adapter_attach(c->adapter, c->model, c->hooks), "%s", err_message());
    return true;
}

static void case_close(Case *c)
{
    adapter_close(c->adapter);
    cJSON_Delete(c->record);
}

static const cJSON *member(const cJSON *of, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(of, name);
}

static double number(const cJSON *of, const char *name)
{
    return member(of, name)->valuedouble;
}

static Tensor expected(const Case *c, const char *file)
{
    Tensor t;
    EXPECT(!npy_read(&t, &arena, str_print(&arena, "%s/%s", c->dir, file)), "%s", err_message());
    return t;
}

static int32_t *ids_of(const cJSON *list, int64_t *n)
{
    const cJSON *x;
    int32_t *id = NEW(&arena, int32_t, cJSON_GetArraySize(list));
    *n = 0;
    cJSON_ArrayForEach(x, list) id[(*n)++] = x->valueint;
    return id;
}

/* ---- values */

static void expect_states(const Case *c)
{
    const cJSON *text;
    cJSON_ArrayForEach(text, member(c->record, "texts"))
    {
        Batch x = {.b = 1};
        x.ids = ids_of(member(text, "ids"), &x.t);
        Pass p = {.tape = tape_open(&arena, false), .hooks = c->hooks};
        Tensor got = model_hidden(c->model, &p, &x)->val;
        Tensor want = expected(c, str_print(&arena, "last_hidden_state.%d.npy", member(text, "index")->valueint));
        EXPECT_NEAR(tensor_at(got, 0), tensor_reshape(want, SHAPE(x.t, tensor_last(got))), 1e-5);
    }
}

static void expect_vectors(const Case *c, const char *folder)
{
    const cJSON *texts = member(c->record, "texts"), *x;
    Bytes *text = NEW(&arena, Bytes, cJSON_GetArraySize(texts));
    int64_t n = 0;
    cJSON_ArrayForEach(x, texts)
    {
        char *t = member(x, "text")->valuestring;
        text[n++] = (Bytes){t, strlen(t)};
    }
    Sentence s;
    Tensor got;
    EXPECT(!sentence_read(&s, &arena, folder), "%s", err_message());
    EXPECT(!sentence_attach(&s, &arena, c->model, c->hooks), "%s", err_message());
    EXPECT(!sentence_encode(&got, &arena, &s, text, n), "%s", err_message());
    EXPECT_NEAR(got, expected(c, "embeddings.npy"), 1e-6);
    sentence_close(&s);
}

/* ---- the loss: with u the first half of the rows and v the second, mean over i of (cos(u_i, v_i) - target_i)^2 */

typedef struct {
    int64_t pairs, dim;
    const double *target;
} Goal;

static double dot(Tensor t, int64_t a, int64_t b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += tensor_get(t, a * n + i) * tensor_get(t, b * n + i);
    return sum;
}

static double cosine(Tensor t, int64_t a, int64_t b, int64_t n)
{
    return dot(t, a, b, n) / sqrt(dot(t, a, a, n) * dot(t, b, b, n));
}

/* d cos / d u = v / (|u| |v|) - cos u / |u|^2, and the same for v. */
static void cosine_loss_backward(Tape *t, Var *out)
{
    const Goal *g = out->saved;
    Tensor x = out->in[0]->val, d = tape_grad(t, out->in[0], NULL);
    for (int64_t i = 0; i < g->pairs; i++) {
        int64_t row[2] = {i, i + g->pairs}, n = g->dim;
        double c = cosine(x, row[0], row[1], n);
        double by = tensor_get(out->grad, 0) * 2 * (c - g->target[i]) / (double)g->pairs;
        for (int side = 0; side < 2; side++) {
            int64_t u = row[side], v = row[!side];
            double length = sqrt(dot(x, u, u, n)), other = sqrt(dot(x, v, v, n));
            for (int64_t k = 0; k < n; k++) {
                double slope =
                    tensor_get(x, v * n + k) / (length * other) - c * tensor_get(x, u * n + k) / (length * length);
                tensor_set(d, u * n + k, tensor_get(d, u * n + k) + by * slope);
            }
        }
    }
}

static Var *cosine_loss(Tape *t, Var *rows, const double *target)
{
    static const Op COSINE_LOSS = {"cosine_loss", cosine_loss_backward, NULL, false};
    Goal *g = NEW(tape_arena(t), Goal, 1);
    *g = (Goal){rows->val.dim[0] / 2, tensor_last(rows->val), target};
    double sum = 0;
    for (int64_t i = 0; i < g->pairs; i++) sum += pow(cosine(rows->val, i, i + g->pairs, g->dim) - target[i], 2);
    Tensor y = tape_alloc(t, F32, SHAPE(1));
    tensor_set(y, 0, sum / (double)g->pairs);
    Var *out = tape_push(t, &COSINE_LOSS, y, rows, NULL, NULL, NULL, KEEP_0);
    out->saved = g;
    return out;
}

static Batch padded_batch(const cJSON *batch)
{
    const cJSON *row, *bit;
    Batch x = {.b = cJSON_GetArraySize(member(batch, "input_ids"))};
    x.t = cJSON_GetArraySize(cJSON_GetArrayItem(member(batch, "input_ids"), 0));
    int32_t *ids = NEW(&arena, int32_t, x.b * x.t), *len = NEW(&arena, int32_t, x.b), i = 0;
    int64_t n;
    cJSON_ArrayForEach(row, member(batch, "input_ids"))
    {
        memcpy(ids + i * x.t, ids_of(row, &n), sizeof *ids * (size_t)x.t);
        cJSON_ArrayForEach(bit, cJSON_GetArrayItem(member(batch, "attention_mask"), i)) len[i] += bit->valueint;
        i++;
    }
    x.ids = ids;
    x.len = len;
    return x;
}

/* ---- gradients */

/* The gradient in the shape of the file's tensor: that of each of its parameters, in its place. */
static Tensor gradient(const Case *c, const char *name)
{
    Tensor sum = {0};
    for (int i = 0; i < c->adapter->n_bindings; i++) {
        const Binding *b = &c->adapter->binding[i];
        if (strcmp(b->tensor, name) != 0) continue;
        if (!sum.data) sum = tensor_zero(&arena, F32, b->rank, b->dim);
        int64_t n = tensor_last(b->param->val);
        for (int64_t j = 0; j < tensor_count(b->param->val); j++)
            tensor_set(sum, b->first + j / n * b->row + j % n, tensor_get(b->param->grad, j));
    }
    return sum;
}

static double norm(Tensor t)
{
    return sqrt(dot(t, 0, 0, tensor_count(t)));
}

static void expect_gradients(const Case *c)
{
    Weights *file;
    const cJSON *norms = member(c->record, "gradient_norms"), *want;
    EXPECT(!weights_open(&file, &arena, str_print(&arena, "%s/gradients.safetensors", c->dir)), "%s", err_message());
    assert_true(weights_n(file) == cJSON_GetArraySize(norms) && weights_n(file) > 0);
    cJSON_ArrayForEach(want, norms)
    {
        Tensor got = gradient(c, want->string);
        const Stored *stored = weights_find(file, want->string);
        EXPECT(got.data && stored, "no parameter here is %s", want->string);
        near(norm(got), want->valuedouble, 2e-5 * want->valuedouble, want->string);
        for (int64_t i = 0; i < tensor_count(got); i++)
            near(tensor_get(got, i), stored_get(stored, i), 2e-5 * want->valuedouble, want->string);
    }
    weights_close(file);
}

static void expect_loss(const Case *c)
{
    const cJSON *batch = member(c->record, "batch"), *x;
    Batch rows = padded_batch(batch);
    double *target = NEW(&arena, double, rows.b);
    int n = 0;
    cJSON_ArrayForEach(x, member(batch, "targets")) target[n++] = x->valuedouble;
    Pass p = {.tape = tape_open(&arena, true), .hooks = c->hooks};
    params_zero_grad(c->model->params);
    Var *vectors = model_pooled(c->model, &p, &rows, POOL_MEAN);
    for (int i = 0; i < n; i++)
        near(cosine(vectors->val, i, i + n, tensor_last(vectors->val)),
             cJSON_GetArrayItem(member(c->record, "cosines"), i)->valuedouble, 2e-6, "a cosine");
    Var *loss = cosine_loss(p.tape, vectors, target);
    near(tape_scalar(loss), number(c->record, "loss_float64"), 2e-6, "loss");
    tape_backward(p.tape, loss);
    expect_gradients(c);
}

static void expect_all(const char *name, const char *method)
{
    Case c;
    const char *folder;
    if (!case_open(&c, name, &folder)) skip();
    assert_string_equal(c.adapter->method->name, method);
    expect_states(&c);
    expect_vectors(&c, folder);
    expect_loss(&c);
    case_close(&c);
}

static void lora_of_peft(void **state)
{
    (void)state;
    expect_all("minilm-lora", "lora");
}

static void bottleneck_of_adapters(void **state)
{
    (void)state;
    expect_all("minilm-seq_bn", "pfeiffer");
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(lora_of_peft), T(bottleneck_of_adapters))
