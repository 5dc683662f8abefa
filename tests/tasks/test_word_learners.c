/* The learners with networks of their own, cc2vec, deepjit and cc2vec-deepjit: they learn a plain rule, the same for
 * a seed, are stopped by the watch, come back from their file as they were, and reject a file that was altered. */
#include "expect.h"

#include <string.h>

#include "io/safetensors.h"
#include "metric/score.h"
#include "scratch.h"
#include "tasks/learner.h"

enum { COMMITS = 36, TENSORS = 128 };
static const char *const NAME[] = {"cc2vec", "deepjit", "cc2vec-deepjit"};

/* Defective commits call one function, clean ones another; a few have no lines, or no message. */
static JitSet commits(uint64_t seed)
{
    JitSet s = {.n = COMMITS, .change = NEW(&arena, CodeChange, COMMITS)};
    for (int64_t i = 0; i < COMMITS; i++) {
        CodeChange *c = &s.change[i];
        bool bad = rng_below(seed, (uint64_t)i, 3) == 0;
        ChangeLine *line = NEW(&arena, ChangeLine, 3);
        ChangeFile *file = NEW(&arena, ChangeFile, 1);
        char *add = str_print(&arena, "int v = %s(a, b);", bad ? "unsafe" : "checked");
        line[0] = (ChangeLine){LINE_ADD, add, strlen(add)};
        line[1] = (ChangeLine){LINE_ADD, "return v;", 9};
        line[2] = (ChangeLine){LINE_DEL, "return a + b;", 13};
        *file = (ChangeFile){.old_path = "", .new_path = "", .n = i % 7 == 6 ? 0 : 3, .line = line};
        *c = (CodeChange){.repo = "r", .id = "id", .author = "", .kind = "", .n_files = 1, .file = file};
        c->message = i % 5 == 4 ? "" : bad ? "quick hack" : "add a check";
        c->label = bad, c->has_features = true;
        for (int k = 0; k < N_FEATURES; k++) c->feature[k] = rng_uniform(seed, (uint64_t)(100 + i * 20 + k));
    }
    jit_count(&s);
    return s;
}

typedef struct {
    JitSet train, valid;
    double option[LEARNER_OPTIONS];
    LearnJob job;
} Case;

static Case *learning(int which, bool as_published)
{
    static const char *const SETTING[] = {"epochs=6,batch=8,lr=3e-3", "epochs=3,batch=16,lr=1e-3,rows=line",
                                          "epochs=3,batch=16,lr=1e-3,vector_epochs=1"};
    static const TuneWatch NOBODY = {0};
    Case *c = NEW(&arena, Case, 1);
    *c = (Case){.train = commits(1), .valid = commits(2)};
    assert_false(learner_set(c->option, learner_find(NAME[which]), SETTING[which]));
    c->job = (LearnJob){.train = &c->train, .valid = &c->valid, .option = c->option, .features = true, .seed = 4};
    c->job.as_published = as_published, c->job.watch = &NOBODY;
    if (as_published) c->option[0] = 1; /* epoch; that form is slow */
    return c;
}

static double *scores(const Learner *l, void *model, const JitSet *s)
{
    Arena step = arena_open((size_t)1 << 34);
    double *out = NEW(&arena, double, s->n);
    EXPECT(!l->score(out, model, &step, s, &(LearnView){0}, NULL, NULL), "%s: %s", l->name, err_message());
    arena_close(&step);
    return out;
}

static double auc(const JitSet *s, const double *score)
{
    return jit_scores(s, score, 0.5).at.auc;
}

/* Learnt twice, and read back: the same bytes. */
static void learn_the_same_and_come_back(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        const Learner *l = learner_find(NAME[i / 2]);
        bool published = i % 2;
        Case *c = learning(i / 2, published);
        void *model, *again;
        EXPECT(!l->fit(&model, &arena, &c->job), "%s: %s", l->name, err_message());
        double *a = scores(l, model, &c->valid), *b = a;
        if (!published) {
            assert_false(l->fit(&again, &arena, &c->job));
            b = scores(l, again, &c->valid);
            EXPECT(auc(&c->valid, a) > 0.85, "%s: AUC %.3f", l->name, auc(&c->valid, a));
        }
        EXPECT(!memcmp(a, b, sizeof *a * COMMITS), "%s learns something else the second time", l->name);
        EXPECT(!l->save(model, dir) && !l->open(&again, &arena, dir), "%s: %s", l->name, err_message());
        b = scores(l, again, &c->valid);
        EXPECT(!memcmp(a, b, sizeof *a * COMMITS), "%s comes back changed", l->name);
    }
}

/* ---- stopped */

static int64_t steps_left;

static bool stop_soon(void *user)
{
    (void)user;
    return steps_left-- <= 0;
}

static void stop_when_they_are_told(void **state)
{
    (void)state;
    const TuneWatch watch = {.stopped = stop_soon};
    for (int i = 0; i < 3; i++) {
        const Learner *l = learner_find(NAME[i]);
        Case *c = learning(i, false);
        void *model;
        c->job.watch = &watch, steps_left = 4;
        assert_int_equal(l->fit(&model, &arena, &c->job), E_INTERRUPT);
        assert_true(steps_left > -4);
        err_clear();
    }
}

/* ---- altered files */

typedef void Alter(Stored *s, int *n, Meta *meta);

static void without_the_last(Stored *s, int *n, Meta *meta)
{
    (void)s, (void)meta;
    --*n;
}

static void with_a_nan(Stored *s, int *n, Meta *meta)
{
    (void)meta;
    static const double NAN64 = NAN;
    static const float NAN32 = NAN;
    Stored *last = &s[*n - 1];
    char *bytes = arena_take(&arena, last->n_bytes);
    memcpy(bytes, last->bytes, last->n_bytes);
    if (last->type == STORED_F64) memcpy(bytes, &NAN64, sizeof NAN64);
    if (last->type == STORED_F32) memcpy(bytes, &NAN32, sizeof NAN32);
    last->bytes = bytes;
}

static void with_a_word_twice(Stored *s, int *n, Meta *meta)
{
    (void)s, (void)n;
    meta[0].value = "[\"a\", \"a\"]";
}

static void with_a_word_less(Stored *s, int *n, Meta *meta)
{
    (void)s, (void)n;
    meta[0].value = "[]";
}

static void without_words(Stored *s, int *n, Meta *meta)
{
    (void)s, (void)n;
    meta[0].key = "other";
}

static void with_half_a_file(Stored *s, int *n, Meta *meta)
{
    (void)meta;
    static const double HALF[4] = {1.5, 0, 0, 0};
    for (int i = 0; i < *n; i++)
        if (str_glob("*.shape", s[i].name)) s[i].bytes = HALF;
}

static void altered(const Learner *l, Alter *alter, const char *path)
{
    Weights *w;
    Stored s[TENSORS];
    Meta meta[4];
    static const char *const WORDS[] = {"cc2vec.code", "cc2vec.message", "deepjit.code", "deepjit.message"};
    int n = 0, words = 0;
    void *model;
    assert_false(weights_open(&w, &arena, path));
    for (; n < weights_n(w); n++) s[n] = *weights_at(w, n);
    for (int i = 0; i < 4; i++)
        if (weights_meta(w, WORDS[i])) meta[words++] = (Meta){WORDS[i], weights_meta(w, WORDS[i])};
    alter(s, &n, meta);
    const char *copy = str_print(&arena, "%s.copy", path);
    assert_false(safetensors_write_stored(copy, s, n, meta, words));
    weights_close(w);
    assert_int_equal(rename(copy, path), 0);
    Status status = l->open(&model, &arena, dir);
    EXPECT(status == E_FORMAT || status == E_MISMATCH, "%s: an altered file is opened (%d)", l->name, status);
    err_clear();
}

static void altered_files_are_rejected(void **state)
{
    (void)state;
    static Alter *const ALTER[] = {without_the_last, with_a_nan,    with_a_word_twice,
                                   with_a_word_less, without_words, with_half_a_file};
    for (int i = 0; i < 3; i++) {
        const Learner *l = learner_find(NAME[i]);
        Case *c = learning(i, false);
        void *model;
        c->option[0] = 1; /* epoch */
        assert_false(l->fit(&model, &arena, &c->job));
        for (int k = 0; k < 6; k++) {
            assert_false(l->save(model, dir));
            altered(l, ALTER[k], str_print(&arena, "%s/%s.safetensors", dir, l->name));
        }
        assert_int_equal(l->open(&model, &arena, "/nowhere"), E_IO);
        err_clear();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(learn_the_same_and_come_back),
                                       cmocka_unit_test(stop_when_they_are_told),
                                       cmocka_unit_test(altered_files_are_rejected)};
    return cmocka_run_group_tests(tests, begin, end);
}
