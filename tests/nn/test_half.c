/* Checkpoints in BF16 and F16: their matrices stay in 16 bits as long as they are frozen, and nothing but the memory
 * shows it.  Each test compares a model as it is loaded with the same file widened on loading, byte by byte.
 *
 * Matrices in quantised blocks stay so as well; a product of a few rows with them may differ from that with the
 * dequantised weight by rounding, everything else is the same bytes. */
#include "small.h"

#include "io/safetensors.h"
#include "num/made_blocks.h"
#include "nn/generate.h"
#include "peft/peft.h"
#include "scratch.h"
#include "train/train.h"

typedef struct {
    Model *kept, *wide;
} Pair;

/* Writes a small model with all tensors in `type`, and loads it both ways. */
static Pair pair_of(const char *shape, StoredType type)
{
    const char *path = str_print(&arena, "%s/%s", dir, shape),
               *file = str_print(&arena, "%s/model.safetensors", path);
    Weights *w;
    EXPECT(model_save(small_model(&arena, shape, F32), path) == OK, "%s", err_message());
    EXPECT(weights_open(&w, &arena, path) == OK, "%s", err_message());
    int n = weights_n(w);
    Stored *out = NEW(&arena, Stored, n);
    for (int i = 0; i < n; i++) out[i] = stored_convert(&arena, weights_at(w, i), type, NULL);
    EXPECT(safetensors_write_stored(file, out, n, NULL, 0) == OK, "%s", err_message());
    weights_close(w);
    Pair p;
    EXPECT(model_load(&p.kept, &arena, path) == OK, "%s", err_message());
    EXPECT(model_load_as(&p.wide, &arena, path, &(LoadOptions){.widen = true}) == OK, "%s", err_message());
    return p;
}

static void each_pair(void (*check)(Pair, const char *shape))
{
    for (int i = 0; i < N_SHAPES; i++)
        for (int t = 0; t < 2; t++) {
            print_message("# %s in %s\n", SHAPES[i], t ? "F16" : "BF16");
            check(pair_of(SHAPES[i], t ? STORED_F16 : STORED_BF16), SHAPES[i]);
        }
}

static void same_bytes(Tensor a, Tensor b, const char *what)
{
    EXPECT(a.dtype == b.dtype && tensor_same_shape(a, b), "%s: %s %s and %s %s", what, dtype_name(a.dtype),
           tensor_shape(a), dtype_name(b.dtype), tensor_shape(b));
    for (int64_t i = 0; i < tensor_count(a); i++)
        EXPECT(tensor_get(a, i) == tensor_get(b, i), "%s: element %lld is %.9g, widened on loading %.9g", what,
               (long long)i, tensor_get(a, i), tensor_get(b, i));
}

static void same_params(Pair p)
{
    for (int i = 0; i < params_n(p.wide->params); i++) {
        const Param *a = params_at(p.kept->params, i), *b = params_at(p.wide->params, i);
        Tensor values = tensor_cast(&arena, a->val, F32);
        for (int64_t j = 0; j < tensor_count(b->val); j++)
            EXPECT(tensor_get(values, j) == tensor_get(b->val, j), "%s: element %lld is %.9g, widened %.9g", b->name,
                   (long long)j, tensor_get(values, j), tensor_get(b->val, j));
    }
}

static bool is_matrix(const Param *p)
{
    return p->val.rank == 2 && p->val.dim[0] > 1;
}

static void memory_of(Pair p, const char *shape)
{
    int64_t saved = 0;
    for (int i = 0; i < params_n(p.kept->params); i++) {
        const Param *k = params_at(p.kept->params, i), *w = params_at(p.wide->params, i);
        EXPECT(dtype_is_half(k->val.dtype) == is_matrix(k), "%s: %s %s is in %s", shape, k->name,
               tensor_shape(k->val), dtype_name(k->val.dtype));
        EXPECT(w->val.dtype == F32, "%s: %s is in %s after widening", shape, w->name, dtype_name(w->val.dtype));
        if (is_matrix(k)) saved += (int64_t)tensor_bytes(k->val);
    }
    assert_int_equal(params_bytes(p.wide->params) - params_bytes(p.kept->params), saved);
    same_params(p);
}

static void matrices_take_half_the_memory(void **state)
{
    (void)state;
    each_pair(memory_of);
}

/* A batch of many rows, where weights are widened for a product, and one of few, where they are read as is. */
static void logits_of(Pair p, const char *shape)
{
    Arena step = arena_open((size_t)1 << 30);
    Batch all = small_batch(&arena, p.wide), few = all;
    few.b = 1, few.t = 3, few.len = NULL;
    if (few.src) few.s = 2, few.src_len = NULL;
    for (int i = 0; i < 2; i++) {
        const Batch *x = i ? &few : &all;
        same_bytes(run_logits(&arena, &step, p.kept, NULL, x), run_logits(&arena, &step, p.wide, NULL, x), shape);
        Pass a = {.tape = tape_open(&step, false)};
        Pass b = {.tape = tape_open(&step, false)};
        assert_true(tape_scalar(model_loss(p.kept, &a, x)) == tape_scalar(model_loss(p.wide, &b, x)));
    }
    arena_close(&step);
}

static void logits_and_losses_are_equal(void **state)
{
    (void)state;
    each_pair(logits_of);
}

static void training_of(Pair p, const char *shape, const char *method)
{
    Arena step = arena_open((size_t)1 << 30);
    Batch x = small_batch(&arena, p.wide);
    double loss[2];
    print_message("# %s\n", method);
    for (int i = 0; i < 2; i++) {
        Model *m = i ? p.wide : p.kept;
        PeftConfig cfg = {0};
        const Peft *peft = peft_find(method);
        Hooks *hooks = hooks_new(&arena);
        peft->defaults(&cfg, &m->config);
        cfg.norm_gradient = true;
        if (cfg.rank > 2) cfg.rank = 2;
        if (peft_attach(peft, m, hooks, &cfg)) { /* T5 has no biases to train */
            err_clear();
            arena_close(&step);
            return;
        }
        TrainConfig how = train_defaults();
        how.total = 3;
        Trainer *t;
        EXPECT(trainer_open(&t, &arena, m, hooks, &how) == OK, "%s", err_message());
        StepStats stats;
        while (t->step < how.total) EXPECT(trainer_step(t, &step, &x, &stats) == OK, "%s", err_message());
        loss[i] = stats.loss;
        if (peft->merge) EXPECT(peft->merge(m, &cfg) == OK, "%s", err_message());
    }
    EXPECT(loss[0] == loss[1], "%s with %s: loss %.9g, widened %.9g", shape, method, loss[0], loss[1]);
    same_params(p);
    arena_close(&step);
}

static void every_method_of(Pair p, const char *shape)
{
    StoredType type = STORED_BF16;
    for (int i = 0; i < params_n(p.kept->params); i++)
        if (params_at(p.kept->params, i)->val.dtype == F16) type = STORED_F16;
    for (const Peft *const *at = peft_begin(); at < peft_end(); at++) {
        training_of(p, shape, (*at)->name);
        p = pair_of(shape, type);
    }
}

/* Frozen weights under a trained method, weights that are trained and so widened, and those that a merge changes. */
static void methods_train_and_merge_equally(void **state)
{
    (void)state;
    each_pair(every_method_of);
}

static void what_trains_is_wide(void **state)
{
    (void)state;
    Pair p = pair_of("gpt2", STORED_BF16);
    params_train(p.kept->params, "wte.weight", true);
    for (int i = 0; i < params_n(p.kept->params); i++) {
        const Param *k = params_at(p.kept->params, i);
        EXPECT((k->val.dtype == F32) == (k->trainable || !is_matrix(k)), "%s is %s in %s", k->name,
               k->trainable ? "trained" : "frozen", dtype_name(k->val.dtype));
    }
    Batch x = small_batch(&arena, p.wide);
    Arena step = arena_open((size_t)1 << 30);
    same_bytes(loss_and_gradients(&arena, &step, p.kept, (Pass){0}, &x),
               loss_and_gradients(&arena, &step, p.wide, (Pass){0}, &x), "gradients");
    arena_close(&step);
}

static void generation_of(Pair p, const char *shape)
{
    enum { NEW_TOKENS = 8 };
    Arena step = arena_open((size_t)1 << 30);
    if (!p.wide->decoder) {
        arena_close(&step);
        return;
    }
    Batch x = small_batch(&arena, p.wide);
    x.b = 1, x.target = NULL;
    int32_t out[2][NEW_TOKENS], len[2];
    GenerateConfig how = generate_defaults(p.wide, NEW_TOKENS);
    how.temperature = 1; /* a sample is sensitive to the last bit */
    for (int i = 0; i < 2; i++)
        EXPECT(generate_tokens(out[i], &len[i], i ? p.wide : p.kept, NULL, &step, &x, &how) == OK, "%s: %s", shape,
               err_message());
    assert_int_equal(len[0], len[1]);
    assert_memory_equal(out[0], out[1], sizeof(int32_t) * (size_t)len[0]);
    arena_close(&step);
}

static void generated_tokens_are_equal(void **state)
{
    (void)state;
    each_pair(generation_of);
}

/* A model that is saved again holds the values of the file, and loads to the same. */
static void saving_keeps_the_values(void **state)
{
    (void)state;
    Pair p = pair_of("roberta", STORED_F16);
    const char *path = str_print(&arena, "%s/again", dir);
    EXPECT(model_save(p.kept, path) == OK, "%s", err_message());
    EXPECT(model_load(&p.kept, &arena, path) == OK, "%s", err_message());
    memory_of(p, "roberta");
}

/* In F64, the oracle, nothing stays in 16 bits. */
static void doubles_are_wide(void **state)
{
    (void)state;
    Pair p = pair_of("bart", STORED_BF16);
    Model *m;
    EXPECT(model_load_as(&m, &arena, str_print(&arena, "%s/bart", dir), &(LoadOptions){.dtype = F64}) == OK, "%s",
           err_message());
    for (int i = 0; i < params_n(m->params); i++) assert_int_equal(params_at(m->params, i)->val.dtype, F64);
    p.kept = m;
    same_params(p);
}

/* A model with its matrices in random blocks, where whole blocks fit, and its twin with their values in F32. */
static Pair block_pair(const char *shape, int type)
{
    Config c = small_config(shape);
    int size = (int)dtype_block(BLOCKS[type].type);
    c.dim = c.hidden = size;
    if (c.head_dim) c.head_dim = size / c.heads;
    if (c.decoder_hidden) c.decoder_hidden = size;
    Model *m[2];
    for (int k = 0; k < 2; k++) EXPECT(model_open(&m[k], &arena, &c, F32, 1) == OK, "%s", err_message());
    for (int i = 0; i < params_n(m[0]->params); i++) {
        Param *kept = params_at(m[0]->params, i), *wide = params_at(m[1]->params, i);
        if (!is_matrix(kept) || tensor_last(kept->val) % size) continue;
        kept->val = random_blocks(&arena, type, 0.0002, (uint64_t)i, kept->val.rank, kept->val.dim);
        wide->val = tensor_cast(&arena, kept->val, F32);
    }
    return (Pair){m[0], m[1]};
}

static void near_values(Tensor a, Tensor b, const char *what)
{
    double most = 0, gap = 0;
    for (int64_t i = 0; i < tensor_count(b); i++) {
        most = fmax(most, fabs(tensor_get(b, i)));
        gap = fmax(gap, fabs(tensor_get(a, i) - tensor_get(b, i)));
    }
    EXPECT(gap <= 1e-5 * most, "%s: differs by %g, values to %g", what, gap, most);
}

/* Many rows take dequantised weights, and give the same bytes; few rows the blocks as they are. */
static void blocks_compute_like_their_values(void **state)
{
    (void)state;
    static const char *const shape[] = {"gpt2", "roberta", "t5-gated", "llama-grouped", "bart"};
    for (int type = 0; type < N_BLOCKS; type++) {
        const char *name = shape[type % 5];
        Arena step = arena_open((size_t)1 << 30);
        Pair p = block_pair(name, type);
        Batch all = small_batch(&arena, p.wide), few = all;
        few.b = 1, few.t = 3, few.len = NULL;
        if (few.src) few.s = 2, few.src_len = NULL;
        same_params(p);
        assert_true(params_bytes(p.kept->params) < params_bytes(p.wide->params) / 2);
        same_bytes(run_logits(&arena, &step, p.kept, NULL, &all), run_logits(&arena, &step, p.wide, NULL, &all),
                   name);
        near_values(run_logits(&arena, &step, p.kept, NULL, &few), run_logits(&arena, &step, p.wide, NULL, &few),
                    name);
        arena_close(&step);
    }
}

/* Every method trains on a base in blocks as on its values, and dequantises what it trains or merges into. */
static void methods_train_on_blocks(void **state)
{
    (void)state;
    for (const Peft *const *at = peft_begin(); at < peft_end(); at++)
        training_of(block_pair("gpt2", 4), "gpt2 in Q8_0", (*at)->name);
    training_of(block_pair("llama", 1), "llama in Q4_1", "lora");
}

/* What is saved is the values, which load as F32. */
static void blocks_are_saved_as_their_values(void **state)
{
    (void)state;
    Pair p = block_pair("roberta", 0);
    const char *path = str_print(&arena, "%s/blocks", dir);
    EXPECT(model_save(p.kept, path) == OK, "%s", err_message());
    EXPECT(model_load(&p.kept, &arena, path) == OK, "%s", err_message());
    same_params(p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(T(matrices_take_half_the_memory), T(logits_and_losses_are_equal), T(methods_train_and_merge_equally),
      T(what_trains_is_wide), T(generated_tokens_are_equal), T(saving_keeps_the_values), T(doubles_are_wide),
      T(blocks_compute_like_their_values), T(methods_train_on_blocks), T(blocks_are_saved_as_their_values))
