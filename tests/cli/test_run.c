/* The runner, end to end, on tiny experiments registered here: settings, results, parallel jobs, resuming. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/experiment.h"
#include "cli/run.h"
#include "cli/sha256.h"

static int fail_at_job = -1, crash_at_job = -1;

typedef struct {
    double square;
    int pid_differs;
} Out;
static pid_t parent;

static Status square(Run *r, int i, void *out, void *user)
{
    Out *o = out;
    (void)user;
    run_progress(r, "squares", i, 8, NAN);
    usleep((useconds_t)(8 - i) * 2000); /* later jobs end first */
    if (i == fail_at_job) return fail(E_FORMAT, "job %d met a wrong file", i);
    if (i == crash_at_job) abort();
    const char *names[] = {"x"};
    const double values[] = {i};
    run_log(r, "squares", i, 1, names, values);
    *o = (Out){(double)i * i, getpid() != parent};
    return OK;
}

static const Setting SETTINGS[] = {{"steps", "how many", {"2", "3", NULL}, 1, 100, NULL},
                                   {"rate", "how fast", {"1", "0.5", "1e-3"}, 0, 1, NULL},
                                   {"ranks", "list", {"1,2", "1,2,4", NULL}, 1, 64, NULL},
                                   {"open", "flag", {"no"}, 0, 0, NULL},
                                   {"methods", "which", {"lora,prefix"}, 0, 0, "lora|prefix|full"},
                                   {"text", "words", {"hello"}, 0, 0, NULL},
                                   {0}};

static Status run(Run *r)
{
    Out out[8];
    parent = getpid();
    TRY(run_parallel(r, 8, sizeof *out, square, NULL, out));
    for (int i = 0; i < run_seeds(r); i++) {
        run_metric(r, "square", i, out[i].square);
        run_metric(r, "none", i, i == 1 ? (double)NAN : 2);
    }
    double sum = 0;
    for (int i = 0; i < 8; i++) sum += out[i].square * out[i].pid_differs;
    run_metric(r, "sum, \"of\" all", 0, sum);
    run_compare(r, "square", "none");
    run_verdict(r, HOLDS, "%d squares add up", 8);
    return OK;
}
static const Experiment SQUARES = {.group = "test",
                                   .name = "squares",
                                   .title = "squares",
                                   .claim = "squares are squares",
                                   .method = "multiply",
                                   .expect = "140",
                                   .cost = "none",
                                   .source = "Euclid",
                                   .settings = SETTINGS,
                                   .seeds = {2, 3, 5},
                                   .run = run};
REGISTER(experiment, SQUARES)

static char dir[64];

static Status go(const Pair *set, int n, bool resume, cJSON **results)
{
    Run *r;
    Request q = {.experiment = &SQUARES, .preset = QUICK, .seed = 7, .dir = dir, .quiet = true, .resume = resume};
    q.set = set;
    q.n_set = n;
    if (results) *results = NULL;
    TRY(run_open(&r, &q));
    r->threads = 3;
    Status status = run_go(r);
    Bytes text;
    if (results && !file_read(&text, run_arena(r), run_path(r, "results.json"))) *results = cJSON_Parse(text.text);
    run_close(r);
    return status;
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/vernier-run-XXXXXX");
    fail_at_job = crash_at_job = -1;
    err_clear();
    return !mkdtemp(dir);
}

static int teardown(void **state)
{
    (void)state;
    char rm[100];
    snprintf(rm, sizeof rm, "rm -r %s", dir);
    return system(rm);
}

static double number(const cJSON *o, const char *metric, const char *field)
{
    const cJSON *metrics = cJSON_GetObjectItem(o, "metrics");
    const cJSON *x = cJSON_GetObjectItem(cJSON_GetObjectItem(metrics, metric), field);
    return cJSON_IsNumber(x) ? x->valuedouble : (double)NAN;
}

static void results_have_their_shape(void **state)
{
    (void)state;
    cJSON *o;
    assert_int_equal(go(NULL, 0, false, &o), OK);
    assert_non_null(o);
    assert_string_equal(cJSON_GetObjectItem(o, "verdict")->valuestring, "holds");
    assert_string_equal(cJSON_GetObjectItem(o, "sentence")->valuestring, "8 squares add up");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "seeds")), 3);
    assert_true(number(o, "sum, \"of\" all", "mean") == 140); /* every job ran in another process */
    assert_true(fabs(number(o, "square", "mean") - 5.0 / 3) < 1e-12);
    const cJSON *none = cJSON_GetObjectItem(cJSON_GetObjectItem(o, "metrics"), "none");
    assert_true(cJSON_IsNull(cJSON_GetArrayItem(cJSON_GetObjectItem(none, "values"), 1)));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "notes")), 1);
    cJSON_Delete(o);
}

SUITE(cmocka_unit_test_setup_teardown(results_have_their_shape, setup, teardown))
