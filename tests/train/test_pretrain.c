/* Pretraining by masks and by spans: it learns, an interrupted one goes on to the same bytes from its checkpoint, and
 * one that begins anew takes none up. */
#include "nn/small.h"

#include <unistd.h>

#include "scratch.h"
#include "train/pretrain.h"

enum { N = 20, LENGTH = 12, STEPS = 130, SAVED = 100 };

typedef struct {
    int64_t stop_at, first; /* step that is not gone on from; the first one reported */
    double loss;            /* of the last */
    int damaged;            /* checkpoints that were not as they were written */
} Told;

static void tell_damage(const char *path, void *user)
{
    Told *told = user;
    EXPECT(path && *path, "no path");
    told->damaged++;
}

static bool each(const Trainer *tr, const StepStats *stats, void *user)
{
    Told *told = user;
    if (!told->first) told->first = tr->step;
    told->loss = stats->loss;
    return tr->step != told->stop_at;
}

/* Every row counts up, from another number. */
static Examples texts(void)
{
    const int32_t **ids = NEW(&arena, const int32_t *, N);
    int32_t *len = NEW(&arena, int32_t, N);
    for (int i = 0; i < N; i++) {
        int32_t *x = NEW(&arena, int32_t, LENGTH);
        for (int j = 0; j < LENGTH; j++) x[j] = 4 + (i + j) % 12;
        ids[i] = x, len[i] = LENGTH - i % 3;
    }
    return (Examples){.n = N, .ids = ids, .len = len};
}

static Status run(Bytes *weights, Told *told, const char *arch, uint64_t seed, const char *checkpoint, bool resume)
{
    static const MlmPlan MASKS = {.share = 0.15, .mask = V - 1, .first = 4, .last = V - 1};
    static const DenoisePlan SPANS = {
        .share = 0.15, .mean = 3, .sentinels = 4, .sentinel = {V - 1, V - 2, V - 3, V - 4}, .eos = 2};
    const char *out = str_print(&arena, "%s/model", dir);
    const Examples x = texts();
    Config c = small_config(arch);
    Model *m;
    c.dropout = 0.1;
    EXPECT(model_open(&m, &arena, &c, F32, 11) == OK, "%s", err_message());
    TRY(pretrain_run(m, out, &x,
                     &(PretrainPlan){.train = pretrain_defaults(1e-2, STEPS, seed),
                                     .tokens = 60,
                                     .mlm = strcmp(arch, "t5") ? &MASKS : NULL,
                                     .denoise = strcmp(arch, "t5") ? NULL : &SPANS,
                                     .stream = rng_stream(seed, "test"),
                                     .checkpoint = checkpoint,
                                     .resume = resume,
                                     .damaged = tell_damage,
                                     .each = each,
                                     .user = told}));
    return file_read(weights, &arena, str_print(&arena, "%s/model.safetensors", out));
}

/* How a file may have been harmed: one bit turned over at a tenth, a half or nine tenths of it, cut, emptied. */
enum { HARMS = 5 };

static void harm(const char *path, int how)
{
    Bytes b;
    assert_int_equal(file_read(&b, &arena, path), OK);
    if (how < 3) b.text[b.len * (size_t)(1 + 4 * how) / 10] ^= 1;
    if (how == 3) b.len -= b.len / 3;
    if (how == 4) b.len = 0;
    assert_int_equal(file_write(path, b.text, b.len), OK);
}

static bool same(Bytes a, Bytes b)
{
    return a.len == b.len && !memcmp(a.text, b.text, a.len);
}

static void an_interrupted_one_goes_on(void **state)
{
    (void)state;
    static const char *const ARCH[] = {"roberta", "t5", "bert"};
    const char *file = str_print(&arena, "%s/model.train.safetensors", dir);
    for (int i = 0; i < 3; i++) {
        Bytes whole, taken, other;
        Told told = {0}, brief = {.stop_at = 1};
        EXPECT(run(&whole, &told, ARCH[i], 3, NULL, true) == OK, "%s", err_message());
        assert_int_equal(run(&taken, &brief, ARCH[i], 3, NULL, true), E_INTERRUPT);
        EXPECT(told.loss < 0.8 * brief.loss, "%s: from %g to %g", ARCH[i], brief.loss, told.loss);
        err_clear();
        static const int64_t AT[] = {SAVED - 1, SAVED, SAVED + 5};
        for (int k = 0; k < 3; k++) {
            told = (Told){.stop_at = AT[k]};
            assert_int_equal(run(&taken, &told, ARCH[i], 3, file, true), E_INTERRUPT);
            EXPECT(!access(file, R_OK), "no checkpoint at %lld", (long long)AT[k]);
            err_clear();
            told = (Told){0};
            EXPECT(run(&taken, &told, ARCH[i], 3, file, true) == OK, "%s", err_message());
            EXPECT(told.first == AT[k] + 1 && same(taken, whole), "%s, stopped at %lld", ARCH[i], (long long)AT[k]);
            file_remove(file);
        }
        told = (Told){.stop_at = SAVED};
        assert_int_equal(run(&other, &told, ARCH[i], 4, file, false), E_INTERRUPT);
        err_clear();
        assert_int_equal(run(&taken, &told, ARCH[i], 3, file, true), E_MISMATCH); /* another seed's */
        err_clear();
        told = (Told){0};
        EXPECT(run(&taken, &told, ARCH[i], 3, file, false) == OK, "%s", err_message());
        EXPECT(told.first == 1 && same(taken, whole), "%s begins at step %lld", ARCH[i], (long long)told.first);
        file_remove(file);
    }
}

static void a_damaged_checkpoint_is_none(void **state)
{
    (void)state;
    const char *file = str_print(&arena, "%s/model.train.safetensors", dir);
    Bytes whole, taken;
    Told told = {0};
    EXPECT(run(&whole, &told, "roberta", 3, NULL, true) == OK, "%s", err_message());
    for (int how = 0; how < HARMS; how++) {
        told = (Told){.stop_at = SAVED};
        assert_int_equal(run(&taken, &told, "roberta", 3, file, false), E_INTERRUPT);
        err_clear();
        harm(file, how);
        told = (Told){0};
        EXPECT(run(&taken, &told, "roberta", 3, file, true) == OK, "%d: %s", how, err_message());
        EXPECT(told.damaged == 1 && told.first == 1 && same(taken, whole), "%d: it begins at step %lld", how,
               (long long)told.first);
    }
}

static void one_that_diverges_says_so(void **state)
{
    (void)state;
    const char *out = str_print(&arena, "%s/model", dir);
    const MlmPlan masks = {.share = 0.15, .mask = V - 1, .first = 4, .last = V - 1};
    const PretrainPlan plan = {.train = pretrain_defaults(1e-2, STEPS, 1), .tokens = 60, .mlm = &masks};
    const Examples x = texts();
    Model *m = small_model(&arena, "roberta", F32);
    tensor_set(params_at(m->params, 0)->val, 5 * m->config.dim, (double)NAN); /* of a token that is not rare */
    assert_int_equal(pretrain_run(m, out, &x, &plan), E_NUMERIC);
    EXPECT(strstr(err_message(), "diverged") && access(out, F_OK), "%s", err_message());
    err_clear();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
SUITE(TEST(an_interrupted_one_goes_on), TEST(a_damaged_checkpoint_is_none), TEST(one_that_diverges_says_so))
