/* A step in shards: the same gradient as the step over the whole batch, and the same bytes whoever computes which
 * shard, for any number of threads, and after a checkpoint. */
#include "expect.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "train/batch.h"
#include "train/shards.h"
#include "train/train.h"

enum { ROWS = 11, T = 9 };
static Arena run, step;

static int begin(void **state)
{
    (void)state;
    run = arena_open((size_t)1 << 28), step = arena_open((size_t)1 << 28);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_close(&run), arena_close(&step);
    return 0;
}

/* Rows of all lengths, one of which scores nothing; with class labels in the place of targets, if asked for. */
static Batch some_batch(int vocab, bool labels)
{
    int32_t *ids = NEW(&run, int32_t, ROWS * T), *target = NEW(&run, int32_t, ROWS * T);
    int32_t *len = NEW(&run, int32_t, ROWS), *label = NEW(&run, int32_t, ROWS), *row = NEW(&run, int32_t, ROWS);
    for (int i = 0; i < ROWS * T; i++) {
        ids[i] = (int32_t)rng_below(1, (uint64_t)i, vocab);
        len[i / T] = 1 + (i / T * 5) % T;
        target[i] = i % T < len[i / T] && i / T != 3 ? (int32_t)rng_below(2, (uint64_t)i, vocab) : -1;
        label[i / T] = i / T % 2, row[i / T] = i / T;
    }
    return (Batch){.b = ROWS,
                   .t = T,
                   .ids = ids,
                   .len = len,
                   .row = row,
                   .target = labels ? NULL : target,
                   .label = labels ? label : NULL};
}

static Trainer *trainer(DType dtype, bool labels, TrainConfig t)
{
    Trainer *out;
    Model *m;
    Config c = {.arch = "gpt2"};
    arch_find("gpt2")->defaults(&c);
    c.vocab = 13, c.positions = 10, c.dim = 32, c.heads = 2, c.hidden = 64, c.layers = 2;
    c.dropout = c.attn_dropout = 0.1;
    if (labels) c.classes = 2;
    assert_int_equal(model_open(&m, &run, &c, dtype, 5), OK);
    params_train(m->params, "*", true);
    assert_int_equal(trainer_open(&out, &run, m, NULL, &t), OK);
    return out;
}

static StepStats steps(Trainer *t, const Batch *x, int n)
{
    StepStats s = {0};
    for (int i = 0; i < n; i++) EXPECT(!trainer_step(t, &step, x, &s), "%s", err_message());
    return s;
}

static void expect_same(const Trainer *a, const Trainer *b, const char *what)
{
    for (int i = 0; i < params_n(a->model->params); i++) {
        Tensor x = params_at(a->model->params, i)->val, y = params_at(b->model->params, i)->val;
        EXPECT(!memcmp(x.data, y.data, tensor_bytes(x)), "%s: %s differs", what,
               params_at(a->model->params, i)->name);
    }
}

/* ---- the batch */

static void each_row_is_in_one_shard(void **state)
{
    (void)state;
    const Batch x = some_batch(13, false);
    int64_t all = 0, longest = 0;
    for (int i = 0; i < ROWS; i++) {
        all += x.len[i];
        if (x.len[i] > longest) longest = x.len[i];
    }
    for (int64_t n = 1; n < 20; n++) {
        int seen[ROWS] = {0};
        const Batch *shard = shards_cut(&step, &x, n);
        for (int64_t k = 0, before = 0; k < n; k++) {
            EXPECT(llabs(before * n - all * k) <= longest * n, "%lld of %lld tokens are before shard %lld of %lld",
                   (long long)before, (long long)all, (long long)k, (long long)n);
            for (int64_t i = 0; i < shard[k].b; i++) {
                int32_t row = shard[k].row[i], len = shard[k].len[i];
                seen[row]++;
                before += len;
                assert_int_equal(len, x.len[row]);
                assert_true(shard[k].t <= T && len <= shard[k].t && shard[k].t == shard[k].len[0]);
                assert_memory_equal(shard[k].ids + i * shard[k].t, x.ids + row * T, sizeof(int32_t) * (size_t)len);
                assert_memory_equal(shard[k].target + i * shard[k].t, x.target + row * T,
                                    sizeof(int32_t) * (size_t)len);
            }
        }
        for (int i = 0; i < ROWS; i++) assert_int_equal(seen[i], 1);
    }
}

/* ---- the tree */

/* The sum of n vectors as so many ranks make it: each adds its own shards, and one goes on with their nodes. */
static float *sum_of(int64_t n, int ranks)
{
    enum { SIZE = 37 };
    ShardSum all = shard_sum(&step, F32, SIZE);
    for (int r = 0; r < ranks; r++) {
        ShardSum one = shard_sum(&step, F32, SIZE);
        for (int64_t k = shards_first(n, r, ranks); k < shards_first(n, r + 1, ranks); k++) {
            float *v = shard_zero(&one);
            for (int i = 0; i < SIZE; i++) v[i] = (float)(rng_uniform(7, (uint64_t)(k * SIZE + i)) - 0.5);
            shard_add(&one, (ShardNode){k, 1, v});
        }
        for (int i = 0; i < one.nodes; i++) shard_add(&all, one.node[i]);
    }
    return shard_total(&all);
}

static void ranks_do_not_matter(void **state)
{
    (void)state;
    int differ = 0;
    for (int64_t n = 1; n < 40; n++)
        for (int ranks = 2; ranks <= n && ranks < 12; ranks++) {
            const float *a = sum_of(n, 1), *b = sum_of(n, ranks);
            EXPECT(!memcmp(a, b, 37 * sizeof *a), "%lld shards on %d ranks have another sum", (long long)n, ranks);
            float plain = 0; /* and the test sees an order: that of the shards one by one is another */
            for (int64_t k = 0; k < n; k++) plain += (float)(rng_uniform(7, (uint64_t)(k * 37)) - 0.5);
            differ += plain < a[0] || plain > a[0];
        }
    assert_true(differ > 0);
}

/* ---- the step */

static void shards_make_a_whole(void **state)
{
    (void)state;
    static const int64_t SHARDS[] = {2, 3, 8, 50};
    for (int labels = 0; labels < 2; labels++)
        for (int k = 0; k < 8; k++) {
            const Batch x = some_batch(13, labels);
            TrainConfig t = train_defaults();
            t.no_dropout = true;
            Trainer *whole = trainer(F64, labels, t);
            t.shards = SHARDS[k % 4], t.parts = k / 4 ? 13 : 0;
            Trainer *sharded = trainer(F64, labels, t);
            for (int i = 0; i < 3; i++) {
                StepStats a = steps(whole, &x, 1), b = steps(sharded, &x, 1);
                EXPECT(fabs(a.loss - b.loss) < 1e-10 && fabs(a.grad_norm - b.grad_norm) < 1e-10,
                       "%lld shards: loss %.15g and %.15g, gradient norm %.15g and %.15g", (long long)t.shards,
                       a.loss, b.loss, a.grad_norm, b.grad_norm);
            }
            for (int i = 0; i < params_n(whole->model->params); i++)
                EXPECT_NEAR(params_at(whole->model->params, i)->val, params_at(sharded->model->params, i)->val, 1e-8);
        }
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    const Batch x = some_batch(13, false);
    for (int64_t n = 1; n <= 8; n++) {
        TrainConfig t = train_defaults();
        Trainer *of[2];
        t.shards = n;
        for (int i = 0; i < 2; i++) {
            omp_set_num_threads(i + 1);
            steps(of[i] = trainer(F32, false, t), &x, 4);
        }
        expect_same(of[0], of[1], "two threads");
    }
}

static void a_resumed_run_is_unbroken(void **state)
{
    (void)state;
    const Batch x = some_batch(13, false);
    TrainConfig t = train_defaults();
    char dir[] = "/tmp/vernier-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    const char *path = str_print(&run, "%s/half", dir);
    for (int64_t n = 1; n <= 8; n++) {
        t.shards = n;
        Trainer *whole = trainer(F32, false, t), *first = trainer(F32, false, t), *second = trainer(F32, false, t);
        steps(whole, &x, 7), steps(first, &x, 3);
        assert_int_equal(trainer_save(first, path), OK);
        assert_int_equal(trainer_load(second, path), OK);
        steps(second, &x, 4);
        expect_same(whole, second, "resumed");
        t.shards = n + 1;
        assert_int_equal(trainer_load(trainer(F32, false, t), path), E_MISMATCH);
        EXPECT(strstr(err_message(),
                      str_print(&run, "saved with shards %lld, here it is %lld", (long long)n, (long long)n + 1)),
               "%s", err_message());
        err_clear();
    }
    unlink(path), rmdir(dir);
}

static void a_shard_that_diverges_stops_the_step(void **state)
{
    (void)state;
    const Batch x = some_batch(13, false);
    TrainConfig t = train_defaults();
    t.shards = 4;
    Trainer *tr = trainer(F32, false, t);
    Tensor w = params_at(tr->model->params, 0)->val;
    for (int64_t i = 0; i < tensor_count(w); i++) tensor_set(w, i, INFINITY);
    assert_int_equal(trainer_step(tr, &step, &x, NULL), E_NUMERIC);
    EXPECT(strstr(err_message(), "the loss of step 0 is"), "%s", err_message());
    err_clear();
    assert_int_equal(tr->step, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_in_one_shard),  cmocka_unit_test(ranks_do_not_matter),
        cmocka_unit_test(shards_make_a_whole),       cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(a_resumed_run_is_unbroken), cmocka_unit_test(a_shard_that_diverges_stops_the_step)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
