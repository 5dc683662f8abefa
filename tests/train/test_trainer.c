/* Whole training runs of a tiny decoder: they learn, resume in the same bytes, ignore the number of threads, stop
 * when they diverge, and refuse checkpoints that are not theirs. */
#include "expect.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "train/evaluate.h"
#include "train/train.h"

enum { N = 40 };

/* A run with everything it needs; the task is to predict the first token again at the end. */
typedef struct {
    Arena run, step;
    Model *model;
    Trainer *trainer;
    Batcher *feed;
} Run;

static Examples echo_task(Arena *a)
{
    int32_t *len = NEW(a, int32_t, N);
    const int32_t **ids = NEW(a, const int32_t *, N), **target = NEW(a, const int32_t *, N);
    for (int32_t i = 0; i < N; i++) {
        uint64_t s = rng_mix(rng_stream(1, "echo"), (uint64_t)i);
        len[i] = 3 + (int32_t)rng_below(s, 100, 6);
        int32_t *x = NEW(a, int32_t, len[i]), *y = NEW(a, int32_t, len[i]);
        for (int j = 0; j < len[i]; j++) {
            x[j] = (int32_t)rng_below(s, (uint64_t)j, 11);
            y[j] = j == len[i] - 1 ? x[0] : -1;
        }
        ids[i] = x;
        target[i] = y;
    }
    return (Examples){.n = N, .ids = ids, .len = len, .target = target};
}

static Config tiny(int dim)
{
    Config c = {.arch = "gpt2"};
    arch_find("gpt2")->defaults(&c);
    c.vocab = 11;
    c.positions = 10;
    c.dim = dim;
    c.heads = 2;
    c.hidden = 2 * dim;
    c.layers = 2;
    c.dropout = c.attn_dropout = 0.1;
    return c;
}

/* On the heap, because the model keeps the address of its arena. */
static Run *run_open(const Config *c, DType dtype, const TrainConfig *t)
{
    Run *r = calloc(1, sizeof *r);
    r->run = arena_open((size_t)1 << 28);
    r->step = arena_open((size_t)1 << 28);
    assert_int_equal(model_open(&r->model, &r->run, c, dtype, 5), OK);
    params_train(r->model->params, "*", true);
    assert_int_equal(trainer_open(&r->trainer, &r->run, r->model, NULL, t), OK);
    Examples x = echo_task(&r->run);
    const BatchPlan plan = {.rows = 8, .shuffle = true, .seed = 2};
    assert_int_equal(batcher_open(&r->feed, &r->run, &x, &plan), OK);
    return r;
}

static void run_close(Run *r)
{
    arena_close(&r->run);
    arena_close(&r->step);
    free(r);
}

static StepStats run_steps(Run *r, int n)
{
    StepStats s = {0};
    for (int i = 0; i < n; i++) {
        ArenaMark mark = arena_mark(&r->step);
        Batch b;
        batcher_next(r->feed, &r->step, &b, NULL);
        assert_int_equal(trainer_step(r->trainer, &r->step, &b, &s), OK);
        assert_int_equal(s.step, r->trainer->step - 1);
        arena_drop(&r->step, mark);
    }
    return s;
}

static void expect_same_parameters(const Model *a, const Model *b)
{
    assert_int_equal(params_n(a->params), params_n(b->params));
    for (int i = 0; i < params_n(a->params); i++) {
        Tensor x = params_at(a->params, i)->val, y = params_at(b->params, i)->val;
        EXPECT(!memcmp(x.data, y.data, tensor_bytes(x)), "%s differs", params_at(a->params, i)->name);
    }
}

static char *temporary(Arena *a)
{
    char dir[] = "/tmp/vernier-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    return str_copy(a, dir, strlen(dir));
}

static void remove_dir(Arena *a, const char *dir)
{
    assert_int_equal(system(str_print(a, "rm -r %s", dir)), 0);
}

static void learns(void **state)
{
    (void)state;
    Config c = tiny(16);
    c.dropout = c.attn_dropout = 0;
    TrainConfig t = train_defaults();
    t.lr = 1e-2;
    Run *r = run_open(&c, F32, &t);
    Evaluation before, after;
    evaluate_epoch(r->model, NULL, r->feed, &r->step, &before);
    batcher_seek(r->feed, 0);
    run_steps(r, 150);
    evaluate_epoch(r->model, NULL, r->feed, &r->step, &after);
    EXPECT(fabs(before.loss - log(11)) < 0.2, "loss before training is %g", before.loss);
    EXPECT(after.loss < 0.2 && after.accuracy > 0.95, "loss %g, accuracy %g", after.loss, after.accuracy);
    run_close(r);
}

static void resumed_is_unbroken(const TrainConfig *t)
{
    const Config c = tiny(16);
    Run *whole = run_open(&c, F32, t), *first = run_open(&c, F32, t), *second = run_open(&c, F32, t);
    char *dir = temporary(&whole->run), *half = str_print(&whole->run, "%s/half", dir);
    char *a = str_print(&whole->run, "%s/a", dir), *b = str_print(&whole->run, "%s/b", dir);
    run_steps(whole, 20);
    run_steps(first, 9);
    assert_int_equal(trainer_save(first->trainer, half), OK);
    assert_int_equal(trainer_load(second->trainer, half), OK);
    assert_int_equal(second->trainer->step, 9);
    batcher_seek(second->feed, second->trainer->step);
    run_steps(second, 11);
    expect_same_parameters(whole->model, second->model);
    assert_int_equal(trainer_save(whole->trainer, a), OK);
    assert_int_equal(trainer_save(second->trainer, b), OK);
    Bytes x, y;
    assert_int_equal(file_read(&x, &whole->run, a), OK);
    assert_int_equal(file_read(&y, &whole->run, b), OK);
    assert_int_equal(x.len, y.len);
    assert_memory_equal(x.text, y.text, x.len);
    remove_dir(&whole->run, dir);
    run_close(whole);
    run_close(first);
    run_close(second);
}

static void resuming(void **state)
{
    (void)state;
    TrainConfig t = train_defaults();
    t.schedule = SCHEDULE_LINEAR;
    t.warmup = 5;
    t.total = 20;
    t.decay = 0.1;
    resumed_is_unbroken(&t);
    t = (TrainConfig){.optim = OPTIM_SGD, .lr = 0.1, .momentum = 0.9, .clip = 1, .no_dropout = true};
    resumed_is_unbroken(&t);
}

/* Dropout depends on the seed and the step, and `no_dropout` is a model without. */
static void dropout_is_drawn_anew(void **state)
{
    (void)state;
    Config c = tiny(16), dry = c;
    dry.dropout = dry.attn_dropout = 0;
    TrainConfig still = {.optim = OPTIM_SGD, .lr = 0}, other = still, off = still;
    other.seed = 1;
    off.no_dropout = true;
    double loss[4][2];
    const TrainConfig *config[] = {&still, &other, &off, &still};
    for (int i = 0; i < 4; i++) {
        Run *r = run_open(i < 3 ? &c : &dry, F32, config[i]);
        for (int k = 0; k < 2; k++) {
            batcher_seek(r->feed, 0);
            loss[i][k] = run_steps(r, 1).loss;
        }
        run_close(r);
    }
    assert_true(loss[0][0] != loss[0][1] && loss[0][0] != loss[1][0]);
    assert_true(loss[2][0] == loss[2][1] && loss[2][0] == loss[3][0]);
}

static void threads_do_not_matter(void **state)
{
    (void)state;
    const Config c = tiny(96);
    const TrainConfig t = train_defaults();
    Run *r[2];
    for (int i = 0; i < 2; i++) {
        omp_set_num_threads(i + 1);
        r[i] = run_open(&c, F32, &t);
        run_steps(r[i], 20);
    }
    expect_same_parameters(r[0]->model, r[1]->model);
    for (int i = 0; i < 2; i++) run_close(r[i]);
}

/* Layers that run again when going back, dropout included, leave the same parameters. */
static void checkpointing_changes_nothing(void **state)
{
    (void)state;
    const Config c = tiny(32);
    Run *r[2];
    for (int i = 0; i < 2; i++) {
        TrainConfig t = train_defaults();
        t.checkpoint = i;
        r[i] = run_open(&c, F32, &t);
        run_steps(r[i], 5);
    }
    expect_same_parameters(r[0]->model, r[1]->model);
    for (int i = 0; i < 2; i++) run_close(r[i]);
}

/* Two halves of a batch as one step are the step over the whole. */
static void halves_make_a_whole(void **state)
{
    (void)state;
    const Config c = tiny(16);
    TrainConfig t = train_defaults();
    t.no_dropout = true;
    Run *r[2] = {run_open(&c, F64, &t), run_open(&c, F64, &t)};
    const Examples x = echo_task(&r[0]->run);
    const int32_t rows[] = {3, 1, 4, 15, 9, 26, 5, 35};
    const Batch whole = batch_of(&r[0]->run, &x, &(BatchPlan){0}, rows, 8);
    const Batch half[] = {batch_of(&r[0]->run, &x, &(BatchPlan){0}, rows, 4),
                          batch_of(&r[0]->run, &x, &(BatchPlan){0}, rows + 4, 4)};
    for (int i = 0; i < 5; i++) {
        StepStats a, b;
        assert_int_equal(trainer_step(r[0]->trainer, &r[0]->step, &whole, &a), OK);
        assert_int_equal(trainer_step_many(r[1]->trainer, &r[1]->step, half, 2, &b), OK);
        EXPECT(fabs(a.loss - b.loss) < 1e-10 && fabs(a.grad_norm - b.grad_norm) < 1e-10, "loss %.15g and %.15g",
               a.loss, b.loss);
    }
    for (int i = 0; i < params_n(r[0]->model->params); i++)
        EXPECT_NEAR(params_at(r[0]->model->params, i)->val, params_at(r[1]->model->params, i)->val, 1e-8);
    for (int i = 0; i < 2; i++) run_close(r[i]);
}

/* A batch taken in parts leaves the parameters of the whole batch, however unequal the parts are: rows of different
 * lengths, a row that scores nothing, more parts than rows, and class labels in the place of targets. */
static void parts_make_a_whole(void **state)
{
    (void)state;
    enum { ROWS = 7, T = 9 };
    static const int64_t PARTS[] = {2, 3, 7, 50};
    for (int labels = 0; labels < 2; labels++)
        for (int p = 0; p < 4; p++) {
            Config c = tiny(16);
            if (labels) c.classes = 2;
            TrainConfig t = train_defaults();
            t.no_dropout = true;
            Run *whole = run_open(&c, F64, &t);
            t.parts = PARTS[p];
            Run *parted = run_open(&c, F64, &t);
            int32_t ids[ROWS * T], target[ROWS * T], len[ROWS], label[ROWS];
            for (int i = 0; i < ROWS * T; i++) {
                ids[i] = (int32_t)rng_below(1, (uint64_t)i, c.vocab);
                len[i / T] = 1 + (i / T * 5) % T;
                target[i] = i % T < len[i / T] && i / T != 3 ? (int32_t)rng_below(2, (uint64_t)i, c.vocab) : -1;
                label[i / T] = i / T % 2;
            }
            const Batch x = {.b = ROWS,
                             .t = T,
                             .ids = ids,
                             .len = len,
                             .target = labels ? NULL : target,
                             .label = labels ? label : NULL};
            for (int i = 0; i < 3; i++) {
                StepStats a, b;
                assert_int_equal(trainer_step(whole->trainer, &whole->step, &x, &a), OK);
                assert_int_equal(trainer_step(parted->trainer, &parted->step, &x, &b), OK);
                EXPECT(fabs(a.loss - b.loss) < 1e-10 && fabs(a.grad_norm - b.grad_norm) < 1e-10,
                       "%lld parts: loss %.15g and %.15g, gradient norm %.15g and %.15g", (long long)PARTS[p], a.loss,
                       b.loss, a.grad_norm, b.grad_norm);
            }
            for (int i = 0; i < params_n(whole->model->params); i++)
                EXPECT_NEAR(params_at(whole->model->params, i)->val, params_at(parted->model->params, i)->val, 1e-8);
            run_close(whole), run_close(parted);
        }
}

/* One SGD step of rate 1 moves the parameters by the clipped gradient. */
static void clipping_limits_the_step(void **state)
{
    (void)state;
    const Config c = tiny(16);
    for (int i = 0; i < 3; i++) {
        const double clip[] = {0, 0.01, 1e6};
        const TrainConfig t = {.optim = OPTIM_SGD, .lr = 1, .clip = clip[i]};
        Run *r = run_open(&c, F64, &t), *still = run_open(&c, F64, &t);
        double norm = run_steps(r, 1).grad_norm, moved = 0;
        for (int k = 0; k < params_n(r->model->params); k++) {
            Tensor a = params_at(r->model->params, k)->val, b = params_at(still->model->params, k)->val;
            for (int64_t j = 0; j < tensor_count(a); j++) moved += pow(tensor_get(a, j) - tensor_get(b, j), 2);
        }
        double expected = i == 1 ? 0.01 * norm / (norm + 1e-6) : norm;
        EXPECT(fabs(sqrt(moved) - expected) < 1e-9 && norm > 0.1, "clip %g: moved %.12g, expected %.12g", clip[i],
               sqrt(moved), expected);
        run_close(r);
        run_close(still);
    }
}

static void divergence_stops_before_the_update(void **state)
{
    (void)state;
    const Config c = tiny(16);
    TrainConfig t = train_defaults();
    Run *r = run_open(&c, F32, &t), *good = run_open(&c, F32, &t);
    run_steps(r, 2);
    run_steps(good, 2);
    Param *p = params_at(r->model->params, 0);
    double was = tensor_get(p->val, 0);
    for (int64_t i = 0; i < tensor_count(p->val); i++) tensor_set(p->val, i, INFINITY);
    Batch b;
    batcher_next(r->feed, &r->step, &b, NULL);
    assert_int_equal(trainer_step(r->trainer, &r->step, &b, NULL), E_NUMERIC);
    EXPECT(strstr(err_message(), "the loss of step 2 is") && strstr(err_message(), "nan"), "%s", err_message());
    err_clear();
    assert_int_equal(r->trainer->step, 2);
    memcpy(p->val.data, params_at(good->model->params, 0)->val.data, tensor_bytes(p->val));
    assert_true(tensor_get(p->val, 0) == was);
    expect_same_parameters(r->model, good->model);
    run_close(r);
    run_close(good);
}

static void settings_are_checked(void **state)
{
    (void)state;
    const Config c = tiny(16);
    Arena a = arena_open(1 << 26);
    Model *m;
    Trainer *tr;
    assert_int_equal(model_open(&m, &a, &c, F32, 1), OK);
    TrainConfig bad[5];
    for (int i = 0; i < 5; i++) bad[i] = train_defaults();
    bad[0].lr = NAN;
    bad[1].beta2 = 1;
    bad[2].clip = -1;
    bad[3].schedule = SCHEDULE_COSINE;
    static const char *const says[] = {"lr is nan", "beta2 is 1", "clip is -1", "total is 0 steps", "no parameter"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(trainer_open(&tr, &a, m, NULL, &bad[i]), E_CONFIG);
        EXPECT(strstr(err_message(), says[i]), "message %s", err_message());
        err_clear();
    }
    arena_close(&a);
}

static void expect_refused(Trainer *t, const char *path, Status status, const char *says)
{
    assert_int_equal(trainer_load(t, path), status);
    EXPECT(strstr(err_message(), says), "message '%s', expected '%s' in it", err_message(), says);
    err_clear();
}

static void foreign_checkpoints_are_refused(void **state)
{
    (void)state;
    const Config c = tiny(16), wide = tiny(18);
    const TrainConfig t = train_defaults();
    Run *r = run_open(&c, F32, &t), *untouched = run_open(&c, F32, &t), *wider = run_open(&wide, F32, &t);
    char *dir = temporary(&r->run), *path = str_print(&r->run, "%s/checkpoint", dir);
    run_steps(r, 2);
    assert_int_equal(trainer_save(r->trainer, path), OK);

    Run *other = run_open(&c, F32, &t);
    other->trainer->config.lr = 0.5;
    expect_refused(other->trainer, path, E_MISMATCH, "saved with lr 0.001, here it is 0.5");
    expect_refused(wider->trainer, path, E_MISMATCH, "has shape [11, 16], expected (11,18)");
    params_train(other->model->params, params_at(other->model->params, 1)->name, false);
    assert_int_equal(trainer_open(&other->trainer, &other->run, other->model, NULL, &t), OK);
    expect_refused(other->trainer, path, E_MISMATCH, "which is not trained here");
    assert_int_equal(trainer_save(other->trainer, path), OK);
    expect_refused(r->trainer, path, E_MISMATCH, "which is trained here");
    expect_refused(r->trainer, str_print(&r->run, "%s/nothing", dir), E_IO, "nothing");

    Bytes whole;
    assert_int_equal(trainer_save(r->trainer, path), OK);
    assert_int_equal(file_read(&whole, &r->run, path), OK);
    for (size_t n = 0; n < whole.len; n += 1 + n / 2) { /* truncated anywhere */
        assert_int_equal(file_write(path, whole.text, n), OK);
        expect_refused(other->trainer, path, E_FORMAT, path);
    }
    expect_same_parameters(other->model, untouched->model); /* a refusal changes nothing */
    assert_int_equal(other->trainer->step, 0);
    size_t header = 8 + (size_t)((unsigned char)whole.text[0] | (unsigned char)whole.text[1] << 8), taken = 0;
    for (size_t at = whole.len - 1, less; at > 0; at -= less) { /* one bit of any byte turned over */
        less = at > header ? 1 + at / 4 : at < 32 ? 1 : 17;
        bool damaged = false;
        whole.text[at] ^= 2;
        assert_int_equal(file_write(path, whole.text, whole.len), OK);
        whole.text[at] ^= 2;
        Run *fresh = run_open(&c, F32, &t);
        assert_int_equal(trainer_resume(fresh->trainer, path, &damaged), OK);
        assert_int_equal(fresh->trainer->step, damaged ? 0 : 2);
        assert_int_equal(access(path, F_OK) != 0, damaged);
        expect_same_parameters(fresh->model, damaged ? untouched->model : r->model);
        taken += !damaged;
        run_close(fresh);
    }
    EXPECT(taken < 16, "%zu bytes of the header do not matter", taken); /* those of "format": "pt" */
    remove_dir(&r->run, dir);
    run_close(r);
    run_close(untouched);
    run_close(wider);
    run_close(other);
}

/* Loss, accuracy and exact match recomputed from the logits of one example at a time. */
static void evaluation_by_hand(void **state)
{
    (void)state;
    Config c = tiny(16);
    c.init_sd = 0.5; /* logits far from equal */
    const TrainConfig t = train_defaults();
    Run *r = run_open(&c, F64, &t);
    Examples x = echo_task(&r->run);
    for (int i = 0; i < N; i += 2) ((int32_t **)(void *)x.target)[i][0] = 3; /* rows of one and of two positions */
    const BatchPlan plan = {.rows = 7};
    assert_int_equal(batcher_open(&r->feed, &r->run, &x, &plan), OK);
    double loss = 0, right = 0, scored = 0, exact = 0;
    for (int32_t i = 0; i < N; i++) {
        ArenaMark mark = arena_mark(&r->step);
        Batch b = batch_of(&r->step, &x, &(BatchPlan){.all_positions = true}, &i, 1);
        Pass pass = {.tape = tape_open(&r->step, false)};
        Tensor z = model_logits(r->model, &pass, &b)->val;
        int wrong = 0;
        for (int64_t j = 0; j < b.t; j++) {
            if (b.target[j] < 0) continue;
            double sum = 0, top = -INFINITY;
            int64_t best = 0;
            for (int64_t v = 0; v < c.vocab; v++) {
                double at = tensor_get(z, j * c.vocab + v);
                sum += exp(at);
                if (at > top) best = v;
                if (at > top) top = at;
            }
            loss += log(sum) - tensor_get(z, j * c.vocab + b.target[j]);
            wrong += best != b.target[j];
            right += best == b.target[j];
            scored++;
        }
        exact += !wrong;
        arena_drop(&r->step, mark);
    }
    Evaluation e;
    evaluate_epoch(r->model, NULL, r->feed, &r->step, &e);
    assert_int_equal(e.examples, N);
    assert_int_equal(e.scored, 3 * N / 2);
    EXPECT(fabs(e.loss - loss / scored) < 1e-12, "loss %.15g, expected %.15g", e.loss, loss / scored);
    EXPECT(fabs(e.perplexity - exp(loss / scored)) < 1e-9, "perplexity %.15g", e.perplexity);
    EXPECT(e.accuracy == right / scored && right > 0, "accuracy %g, expected %g", e.accuracy, right / scored);
    EXPECT(e.exact == exact / N && exact != right, "exact %g, expected %g", e.exact, exact / N);
    run_close(r);
}

/* With a vocabulary so large that logits come in pieces, pieces of one row give the same. */
static void evaluation_in_pieces(void **state)
{
    (void)state;
    Config c = tiny(4);
    c.vocab = 300000;
    const TrainConfig t = {.optim = OPTIM_SGD, .lr = 0};
    Run *r = run_open(&c, F32, &t);
    Examples x = echo_task(&r->run);
    Evaluation e[2];
    for (int i = 0; i < 2; i++) {
        const BatchPlan plan = {.rows = i ? 1 : N};
        assert_int_equal(batcher_open(&r->feed, &r->run, &x, &plan), OK);
        evaluate_epoch(r->model, NULL, r->feed, &r->step, &e[i]);
    }
    EXPECT(fabs(e[0].loss - e[1].loss) < 1e-6, "loss %.9g in pieces, %.9g row by row", e[0].loss, e[1].loss);
    run_close(r);
}

static void equal_logits_choose_the_first(void **state)
{
    (void)state;
    const float x[] = {-3, 2, 1, 2, -INFINITY};
    const double y[] = {-3, -4, -3};
    assert_int_equal(tensor_argmax(tensor_over((void *)(uintptr_t)x, F32, SHAPE(5))), 1);
    assert_int_equal(tensor_argmax(tensor_over((void *)(uintptr_t)y, F64, SHAPE(3))), 0);
}

SUITE(cmocka_unit_test(learns), cmocka_unit_test(resuming), cmocka_unit_test(dropout_is_drawn_anew),
      cmocka_unit_test(threads_do_not_matter), cmocka_unit_test(checkpointing_changes_nothing),
      cmocka_unit_test(halves_make_a_whole), cmocka_unit_test(parts_make_a_whole),
      cmocka_unit_test(clipping_limits_the_step), cmocka_unit_test(evaluation_in_pieces),
      cmocka_unit_test(equal_logits_choose_the_first), cmocka_unit_test(divergence_stops_before_the_update),
      cmocka_unit_test(settings_are_checked), cmocka_unit_test(foreign_checkpoints_are_refused),
      cmocka_unit_test(evaluation_by_hand))
