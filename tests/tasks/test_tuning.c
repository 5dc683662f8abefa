/* Tuning for a task: which parameters train, that the best ones are kept in memory, and the calls to its watch.
 * Defect prediction on an encoder-decoder runs the encoder alone: whatever the method, nothing of the decoder may
 * train. */
#include "nn/small.h"

#include "arenas.h"
#include "change/javagen_change.h"
#include "tasks/tuning.h"

enum { COMMITS = 24, LENGTH = 6 };

typedef struct {
    JitSet set;
    Examples tokens;
} Commits;

/* Commits of random tokens; those that begin with token 5 are defective. */
static Commits commits(uint64_t seed)
{
    Commits c = {.set = {.n = COMMITS, .change = NEW(&run, CodeChange, COMMITS)}};
    const int32_t **ids = NEW(&run, const int32_t *, COMMITS);
    int32_t *len = NEW(&run, int32_t, COMMITS);
    for (int64_t i = 0; i < COMMITS; i++) {
        int32_t *id = NEW(&run, int32_t, LENGTH);
        javagen_change(&c.set.change[i], &run, seed, i, 1);
        c.set.change[i].label = i % 3 == 0;
        for (int k = 0; k < LENGTH; k++) id[k] = 6 + (int32_t)rng_below(seed, (uint64_t)(i * LENGTH + k), V - 6);
        id[0] = i % 3 ? 4 : 5;
        ids[i] = id, len[i] = LENGTH - (int32_t)(i % 2);
    }
    c.tokens = (Examples){.n = COMMITS, .ids = ids, .len = len};
    jit_count(&c.set);
    return c;
}

static Tuning tuning(const char *shape, const char *method, const char *options)
{
    Model *m = small_model(&run, shape, F32);
    Tuning t = {.run = &run, .model = m, .hooks = hooks_new(&run), .peft = peft_find(method), .rows = 8, .seed = 3};
    t.peft->defaults(&t.cfg, &m->config);
    EXPECT(peft_set(&t.cfg, &run, options) == OK, "%s", err_message());
    return t;
}

static bool of_decoder(const char *name)
{
    return str_glob("*decoder*|*cross*|lm_head*", name);
}

static void decoders_that_never_run_never_train(void **state)
{
    (void)state;
    static const char *const SHAPE[] = {"t5", "t5-gated", "bart"};
    static const char *const METHOD[][2] = {{"full", ""},
                                            {"lora", "rank=2"},
                                            {"dora", "rank=2"},
                                            {"vera", "rank=2"},
                                            {"ia3", ""},
                                            {"houlsby", "width=3"},
                                            {"pfeiffer", "width=3"},
                                            {"parallel", "width=3"},
                                            {"prefix", "length=2"},
                                            {"prompt", "length=2"},
                                            {"norms", ""},
                                            {"bitfit", ""}};
    for (size_t s = 0; s < sizeof SHAPE / sizeof *SHAPE; s++)
        for (size_t k = 0; k < sizeof METHOD / sizeof *METHOD; k++) {
            Tuning t = tuning(SHAPE[s], METHOD[k][0], METHOD[k][1]);
            if (tuning_attach_defects(&t, JIT_SINGLE)) { /* T5 has no biases */
                assert_string_equal(METHOD[k][0], "bitfit");
                err_clear();
                continue;
            }
            int64_t sum = 0;
            for (int i = 0; i < params_n(t.model->params); i++) {
                const Param *p = params_at(t.model->params, i);
                bool added = str_glob("peft.*", p->name);
                EXPECT(!of_decoder(p->name) || (!added && !p->trainable), "%s, %s: %s %s", SHAPE[s], METHOD[k][0],
                       p->name, added ? "was added" : "trains");
                if (p->trainable) sum += tensor_count(p->val);
            }
            EXPECT(t.trainable == sum && sum > 0 && t.parameters == params_count(t.model->params, NULL, false),
                   "%s, %s: %lld of %lld parameters, %lld are trainable", SHAPE[s], METHOD[k][0],
                   (long long)t.trainable, (long long)t.parameters, (long long)sum);
        }
}

/* By hand: rank 2, queries and values of 3 layers, 8 to 6 dimensions; a head of 8 weights and a bias. */
static void counts_are_those_of_the_encoder(void **state)
{
    (void)state;
    Tuning t = tuning("t5", "lora", "rank=2");
    assert_int_equal(tuning_attach_defects(&t, JIT_SINGLE), OK);
    assert_int_equal(t.trainable, 3 * 2 * 2 * (8 + 6) + 9);
    Tuning w = tuning("t5", "lora", "rank=2"); /* a writer trains the 2 layers of the decoder, too */
    assert_int_equal(tuning_attach_messages(&w), OK);
    assert_int_equal(w.trainable, (3 + 2 + 2) * 2 * 2 * (8 + 6));
}

/* ---- a whole tuning */

typedef struct {
    int64_t begun, steps, measured, best;
    int idle;     /* +1 and -1 by turns */
    int64_t stop; /* after this step; 0: never */
    double loss;
} Seen;

static void see_begin(const char *phase, int64_t at, void *user)
{
    assert_string_equal(phase, "tuning");
    ((Seen *)user)->begun = at;
}

static void see_step(const TuneStep *s, void *user)
{
    Seen *x = user;
    EXPECT(s->step == ++x->steps && s->lr >= 0 && isfinite(s->loss), "step %lld", (long long)s->step);
    EXPECT(x->idle == -1, "a step at which the program might end");
    x->loss = s->loss;
}

static void see_measured(const TuneMeasured *m, void *user)
{
    Seen *x = user;
    EXPECT(m->n == 2 && !strcmp(m->name[1], "auc") && strstr(m->text, "AUC"), "%s", m->text);
    x->measured++;
    x->best += m->best;
}

static void see_idle(bool idle, void *user)
{
    Seen *x = user;
    EXPECT(idle ? x->idle < 0 : x->idle >= 0, "told twice");
    x->idle = idle ? 1 : -1;
}

static bool see_stop(void *user)
{
    const Seen *x = user;
    return x->stop && x->steps >= x->stop;
}

static Status open_on(Tuning *t, Seen *seen, const Commits *train, const Commits *valid)
{
    t->watch = (TuneWatch){.begun = see_begin,
                           .step = see_step,
                           .measured = see_measured,
                           .stopped = see_stop,
                           .idle = see_idle,
                           .user = seen};
    TRY(tuning_attach_defects(t, JIT_SINGLE));
    TRY(tuning_show_defects(t, &(JitShown){&train->set, &train->tokens, NULL},
                            &(JitShown){&valid->set, &valid->tokens, NULL}, JIT_BY_AUC));
    t->total = 20 * tuning_epoch(t), t->every = tuning_epoch(t), t->lr = 3e-2;
    return tuning_open(t);
}

static void the_best_parameters_are_kept_in_memory(void **state)
{
    (void)state;
    Commits train = commits(1), valid = commits(2);
    Tuning t = tuning("t5", "lora", "rank=4,alpha=8");
    Seen seen = {0};
    EXPECT(open_on(&t, &seen, &train, &valid) == OK, "%s", err_message());
    Kept kept = kept_open(&run, t.model->params);
    EXPECT(tuning_run(&t, &(TuneSink){.keep = tuning_remember, .user = &kept}) == OK, "%s", err_message());
    assert_int_equal(seen.begun, 0);
    assert_int_equal(seen.steps, t.total);
    assert_int_equal(seen.measured, 20);
    EXPECT(seen.best >= 1 && seen.idle == 1, "%lld were the best", (long long)seen.best);
    EXPECT(t.stand.score > 0.9, "AUC %.3f", t.stand.score);
    kept_restore(&kept);
    assert_int_equal(jit_predict(t.score, &t.jit_valid, t.hooks, &step, NULL, NULL), OK);
    double auc = jit_scores(&valid.set, t.score, 0.5).at.auc;
    EXPECT(fabs(auc - t.stand.score) < 1e-12, "AUC %.4f, the best was %.4f", auc, t.stand.score);
}

static void a_stopped_one_ends_behind_its_step(void **state)
{
    (void)state;
    Commits train = commits(1), valid = commits(2);
    Tuning t = tuning("roberta", "full", "");
    Seen seen = {.stop = 4};
    EXPECT(open_on(&t, &seen, &train, &valid) == OK, "%s", err_message());
    Kept kept = kept_open(&run, t.model->params);
    assert_int_equal(tuning_run(&t, &(TuneSink){.keep = tuning_remember, .user = &kept}), E_INTERRUPT);
    assert_int_equal(seen.steps, 4);
    assert_int_equal(t.trainer->step, 4);
    assert_int_equal(seen.idle, 1);
    err_clear();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
SUITE(TEST(decoders_that_never_run_never_train), TEST(counts_are_those_of_the_encoder),
      TEST(the_best_parameters_are_kept_in_memory), TEST(a_stopped_one_ends_behind_its_step))
