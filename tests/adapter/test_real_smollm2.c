/* A LoRA of PEFT on the real SmolLM2-135M-Instruct, against PEFT: logits and losses of five texts, the loss of a
 * padded batch, and the gradient of every tensor.
 *
 * The weights lie in smollm2/ below $VERNIER_MODELS (build/models), the answers in models/expected/peft of the shared
 * files; without either the tests are skipped.  Without VERNIER_REAL (`make test-real`) only short texts are run. */
#include "expect.h"

#include <string.h>

#include "adapter/adapter.h"
#include "io/json.h"
#include "io/npy.h"
#include "models.h"
#include "scratch.h"

static Model *model; /* NULL: not at hand */
static Hooks *hooks;
static Adapter *adapter;
static const char *folder;
static cJSON *golden;

static int find(void **state)
{
    begin(state);
    const char *weights = real_model(&arena, "smollm2");
    if (!weights) return 0;
    folder = real_expected(&arena, "peft/smollm2-lora");
    hooks = hooks_new(&arena);
    if (model_load(&model, &arena, weights) || adapter_open(&adapter, &arena, folder) ||
        adapter_attach(adapter, model, hooks) ||
        json_read(&golden, &arena, str_print(&arena, "%s/golden.json", folder)))
        return print_message("%s\n", err_message()), 1;
    return 0;
}

static int leave(void **state)
{
    cJSON_Delete(golden);
    adapter_close(adapter);
    return end(state);
}

static const cJSON *member(const cJSON *j, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(j, key);
}

/* ---- texts */

/* -log p of each next token, and their mean, in double. */
static double mean_nll(Tensor logits, const int32_t *id, int64_t n)
{
    const int64_t vocab = tensor_last(logits);
    double sum = 0;
    for (int64_t t = 0; t + 1 < n; t++) {
        double most = -INFINITY, part = 0;
        for (int64_t i = 0; i < vocab; i++) most = fmax(most, tensor_get(logits, t * vocab + i));
        for (int64_t i = 0; i < vocab; i++) part += exp(tensor_get(logits, t * vocab + i) - most);
        sum += log(part) + most - tensor_get(logits, t * vocab + id[t + 1]);
    }
    return sum / (double)(n - 1);
}

static void expect_text(Arena *step, const cJSON *j, Tensor last, int64_t row)
{
    const cJSON *ids = member(j, "ids");
    int64_t n = cJSON_GetArraySize(ids), vocab = tensor_last(last);
    int32_t *id = NEW(step, int32_t, n);
    for (int64_t i = 0; i < n; i++) id[i] = cJSON_GetArrayItem(ids, (int)i)->valueint;
    Pass pass = {.tape = tape_open(step, false), .hooks = hooks};
    Tensor y = model_logits(model, &pass, &(Batch){.b = 1, .t = n, .ids = id})->val;
    double worst = 0;
    for (int64_t i = 0; i < vocab; i++)
        worst = fmax(worst, fabs(tensor_get(y, (n - 1) * vocab + i) - tensor_get(last, row * vocab + i)));
    EXPECT(worst < 3e-4, "text %lld: the last logits differ by %.3g", (long long)row, worst);
    near(mean_nll(y, id, n), member(j, "mean_nll")->valuedouble, 1e-5, "mean negative log-likelihood");
}

static void logits_and_losses_are_pefts(void **state)
{
    (void)state;
    if (!model) skip();
    Tensor last;
    EXPECT(!npy_read(&last, &arena, str_print(&arena, "%s/last_logits.npy", folder)), "%s", err_message());
    const cJSON *j;
    int64_t row = 0;
    cJSON_ArrayForEach(j, member(golden, "texts"))
    {
        Arena step = arena_open(0);
        if (getenv("VERNIER_REAL") || cJSON_GetArraySize(member(j, "ids")) < 22) expect_text(&step, j, last, row);
        row++;
        arena_close(&step);
    }
    assert_int_equal(row, 5);
}

/* ---- gradients */

/* The golden batch, with the next token of each position as its target. */
static Batch golden_batch(Arena *step)
{
    const cJSON *ids = member(member(golden, "batch"), "input_ids"),
                *labels = member(member(golden, "batch"), "labels");
    int64_t b = cJSON_GetArraySize(ids), t = cJSON_GetArraySize(cJSON_GetArrayItem(ids, 0));
    int32_t *id = NEW(step, int32_t, b * t), *target = NEW(step, int32_t, b * t), *len = NEW(step, int32_t, b);
    for (int64_t i = 0; i < b * t; i++) {
        const cJSON *label = cJSON_GetArrayItem(labels, (int)(i / t));
        int next = i % t + 1 < t ? cJSON_GetArrayItem(label, (int)(i % t + 1))->valueint : -1;
        id[i] = cJSON_GetArrayItem(cJSON_GetArrayItem(ids, (int)(i / t)), (int)(i % t))->valueint;
        target[i] = next < 0 ? -1 : next;
        len[i / t] += cJSON_GetArrayItem(label, (int)(i % t))->valueint >= 0;
    }
    return (Batch){.b = b, .t = t, .ids = id, .len = len, .target = target};
}

/* PEFT's gradient is by the value in the file, which is the parameter's divided by the factor. */
static void expect_gradient(const Binding *x, const Weights *want)
{
    Tensor g = x->param->grad;
    EXPECT(g.data, "%s has no gradient", x->tensor);
    double sum = 0, miss = 0;
    int64_t n = tensor_last(g);
    const Stored *stored = weights_find(want, x->tensor);
    const float *value = stored ? stored->bytes : NULL;
    for (int64_t i = 0; i < tensor_count(g); i++) {
        double got = tensor_get(g, i) * x->factor;
        sum += got * got;
        if (value) miss += pow(got - (double)value[x->first + i / n * x->row + i % n], 2);
    }
    double norm = member(member(golden, "gradient_norms"), x->tensor)->valuedouble;
    EXPECT(fabs(sqrt(sum) - norm) < 2e-3 * norm, "%s: the gradient's norm is %.7g, expected %.7g", x->tensor,
           sqrt(sum), norm);
    EXPECT(sqrt(miss) < 2e-3 * norm, "%s: the gradient differs by %.3g of %.3g", x->tensor, sqrt(miss), norm);
}

static void batch_loss_and_gradients_are_pefts(void **state)
{
    (void)state;
    if (!model) skip();
    Weights *want;
    Arena step = arena_open(0);
    EXPECT(!weights_open(&want, &step, str_print(&step, "%s/gradients.safetensors", folder)), "%s", err_message());
    params_train(model->params, "*", false);
    for (int i = 0; i < adapter->n_bindings; i++) param_train(adapter->binding[i].param, true);
    Batch x = golden_batch(&step);
    Tape *tape = tape_open(&step, true);
    Var *loss = model_loss(model, &(Pass){.tape = tape, .hooks = hooks}, &x);
    near(tensor_get(loss->val, 0), member(golden, "loss_float64")->valuedouble, 1e-5, "loss");
    tape_backward(tape, loss);
    assert_int_equal(adapter->n_bindings, cJSON_GetArraySize(member(golden, "gradient_norms")));
    for (int i = 0; i < adapter->n_bindings; i++) expect_gradient(&adapter->binding[i], want);
    weights_close(want);
    arena_close(&step);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(logits_and_losses_are_pefts),
                                       cmocka_unit_test(batch_loss_and_gradients_are_pefts)};
    return cmocka_run_group_tests(tests, find, leave) != 0;
}
