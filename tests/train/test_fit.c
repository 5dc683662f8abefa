/* Training with pauses: which evaluation counts as the best and its kept parameters, when patience ends a run, that
 * an interrupted run goes on to the same bytes, and when a run without evaluations saves. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "train/fit.h"

enum { N = 12, EVERY = 3, TOTAL = 20, EVALUATIONS = 7 }; /* at 3, 6, ... 18 and the last step */

typedef struct {
    Arena run;
    Model *model;
    Trainer *trainer;
    Batcher *feed;
    Kept kept, when; /* as fit's caller keeps it, and as the test saw the parameters at the best */
    const double *score, *tie;
    int evaluations, better, told, saved, stop_at, batches;
    int64_t best_step, saved_at;
} Work;

static Work *work_open(const double *score, const double *tie)
{
    Work *w = calloc(1, sizeof *w); /* the model keeps the address of its arena */
    w->run = arena_open((size_t)1 << 32);
    w->score = score, w->tie = tie;
    Config c = {.arch = "gpt2"};
    arch_find("gpt2")->defaults(&c);
    c.vocab = 11, c.positions = 10, c.dim = 8, c.heads = 2, c.hidden = 16, c.layers = 1;
    EXPECT(model_open(&w->model, &w->run, &c, F32, 3) == OK, "%s", err_message());
    params_train(w->model->params, "*", true);
    params_train(w->model->params, "*wpe*", false);
    int32_t *len = NEW(&w->run, int32_t, N);
    const int32_t **ids = NEW(&w->run, const int32_t *, N);
    for (int i = 0; i < N; i++) {
        int32_t *x = NEW(&w->run, int32_t, 5);
        for (int j = 0; j < 5; j++) x[j] = (i + j * j) % 11;
        ids[i] = x, len[i] = 5;
    }
    const Examples set = {.n = N, .ids = ids, .len = len, .target = ids};
    EXPECT(batcher_open(&w->feed, &w->run, &set, &(BatchPlan){.rows = 4, .shuffle = true}) == OK, "%s",
           err_message());
    TrainConfig t = train_defaults();
    t.total = TOTAL;
    EXPECT(trainer_open(&w->trainer, &w->run, w->model, NULL, &t) == OK, "%s", err_message());
    w->kept = kept_open(&w->run, w->model->params), w->when = kept_open(&w->run, w->model->params);
    return w;
}

static void work_close(Work *w)
{
    arena_close(&w->run);
    free(w);
}

static Status evaluate_now(double *score, double *tie, Arena *step, void *user)
{
    Work *w = user;
    arena_take(step, 100);
    *score = w->score[w->evaluations], *tie = w->tie ? w->tie[w->evaluations] : 0;
    w->evaluations++;
    return OK;
}

static Status better(void *user)
{
    Work *w = user;
    w->better++;
    w->best_step = w->trainer->step;
    kept_take(&w->kept), kept_take(&w->when);
    return OK;
}

static Status told(const FitStand *s, bool is_better, void *user)
{
    Work *w = user;
    w->told++;
    EXPECT(s->step == w->trainer->step && s->evaluations == w->evaluations, "told of step %lld", (long long)s->step);
    EXPECT(is_better == (s->best_step == s->step) && is_better == (s->since == 0), "step %lld", (long long)s->step);
    return OK;
}

static Status save(void *user)
{
    Work *w = user;
    w->saved++;
    w->saved_at = w->trainer->step;
    return OK;
}

static bool each(const Trainer *tr, const StepStats *stats, void *user)
{
    const Work *w = user;
    EXPECT(isfinite(stats->loss) && stats->step == tr->step - 1, "loss %g", stats->loss);
    return tr->step != w->stop_at;
}

static Batch count(Arena *step, const Batch *x, int64_t index, void *user)
{
    Work *w = user;
    (void)step;
    EXPECT(index == w->batches, "batch %lld comes as number %d", (long long)index, w->batches);
    w->batches++;
    return *x;
}

static FitPlan plan_of(Work *w, int64_t patience)
{
    return (FitPlan){.every = EVERY,
                     .patience = patience,
                     .evaluate = evaluate_now,
                     .better = better,
                     .told = told,
                     .save = save,
                     .each = each,
                     .batch = count,
                     .user = w};
}

static bool same(const Kept *a, const Kept *b)
{
    bool is = a->n == b->n;
    for (int i = 0; is && i < a->n; i++) is = !memcmp(a->value[i].data, b->value[i].data, tensor_bytes(a->value[i]));
    return is;
}

static void the_best_is_kept_and_comes_back(void **state)
{
    (void)state;
    static const double SCORE[EVALUATIONS] = {0.1, 0.5, 0.4, 0.5, 0.5, 0.2, 0.3}, TIE[EVALUATIONS] = {9, 1, 9, 2, 2};
    Work *w = work_open(SCORE, TIE);
    FitPlan plan = plan_of(w, 0);
    FitStand s = fit_begin();
    assert_int_equal(fit_run(w->trainer, w->feed, &plan, &s), OK);
    assert_int_equal(w->trainer->step, TOTAL);
    assert_int_equal(w->batches, TOTAL);
    assert_true(w->evaluations == EVALUATIONS && w->told == EVALUATIONS && w->saved == EVALUATIONS && w->better == 3);
    assert_true(s.best_step == 12 && w->best_step == 12 && s.since == 3); /* the tie decides between equals */
    assert_true(fabs(s.score - 0.5) < 1e-12 && fabs(s.tie - 2) < 1e-12);
    Kept last = kept_open(&w->run, w->model->params);
    EXPECT(!same(&last, &w->when), "eight more steps changed nothing");
    EXPECT(last.n == params_n(w->model->params) - 1, "%d tensors, of which one is frozen", last.n);
    kept_restore(&w->kept);
    Kept now = kept_open(&w->run, w->model->params);
    EXPECT(same(&now, &w->when), "the parameters kept are not the best ones");
    work_close(w);
}

static void patience_ends_a_run(void **state)
{
    (void)state;
    static const double SCORE[EVALUATIONS] = {0.1, 0.3, 0.2, 0.2, 0.9, 0.9, 0.9};
    for (int patience = 1; patience <= 3; patience++) {
        Work *w = work_open(SCORE, NULL);
        FitPlan plan = plan_of(w, patience);
        FitStand s = fit_begin();
        assert_int_equal(fit_run(w->trainer, w->feed, &plan, &s), OK);
        assert_int_equal(w->trainer->step, patience == 1 ? 9 : patience == 2 ? 12 : TOTAL);
        assert_int_equal(s.best_step, patience < 3 ? 6 : 15);
        int64_t stood = w->trainer->step; /* a run that had ended goes no further */
        assert_int_equal(fit_run(w->trainer, w->feed, &plan, &s), OK);
        assert_int_equal(w->trainer->step, stood);
        work_close(w);
    }
}

static void an_interrupted_run_goes_on(void **state)
{
    (void)state;
    static const double SCORE[EVALUATIONS] = {0.1, 0.3, 0.2, 0.2, 0.4, 0.3, 0.3};
    Work *whole = work_open(SCORE, NULL);
    FitPlan plan = plan_of(whole, 0);
    FitStand want = fit_begin();
    assert_int_equal(fit_run(whole->trainer, whole->feed, &plan, &want), OK);
    static const int AT[] = {1, 6, 7, TOTAL - 1};
    for (int i = 0; i < 4; i++) {
        Work *w = work_open(SCORE, NULL);
        FitStand s = fit_begin();
        plan = plan_of(w, 0);
        w->stop_at = AT[i];
        assert_int_equal(fit_run(w->trainer, w->feed, &plan, &s), E_INTERRUPT);
        EXPECT(strstr(err_message(), "of 20"), "%s", err_message());
        err_clear();
        assert_int_equal(w->trainer->step, AT[i]);
        assert_int_equal(s.evaluations, AT[i] / EVERY);
        assert_int_equal(w->saved_at, AT[i]);
        w->stop_at = TOTAL; /* after the last step there is nothing to interrupt */
        assert_int_equal(fit_run(w->trainer, w->feed, &plan, &s), OK);
        Kept a = kept_open(&whole->run, whole->model->params), b = kept_open(&w->run, w->model->params);
        EXPECT(same(&a, &b) && same(&whole->kept, &w->kept), "stopped at %d", AT[i]);
        assert_true(s.best_step == want.best_step && s.evaluations == want.evaluations && s.since == want.since);
        work_close(w);
    }
    work_close(whole);
}

static void without_evaluations_it_saves(void **state)
{
    (void)state;
    Work *w = work_open(NULL, NULL);
    FitPlan plan = {.every = EVERY, .patience = 1, .save = save, .each = each, .user = w};
    FitStand s = fit_begin();
    w->stop_at = 4;
    assert_int_equal(fit_run(w->trainer, w->feed, &plan, &s), E_INTERRUPT);
    err_clear();
    assert_true(w->saved == 2 && w->saved_at == 4);
    assert_int_equal(fit_run(w->trainer, w->feed, &plan, &s), OK);
    assert_true(w->trainer->step == TOTAL && w->saved == 8 && w->saved_at == TOTAL);
    assert_true(s.evaluations == 0 && isinf(s.score));
    work_close(w);
}

#define TEST(name) cmocka_unit_test(name)
SUITE(TEST(the_best_is_kept_and_comes_back), TEST(patience_ends_a_run), TEST(an_interrupted_run_goes_on),
      TEST(without_evaluations_it_saves))
