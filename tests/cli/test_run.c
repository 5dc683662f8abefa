/* The runner, end to end, on tiny experiments registered here: settings, results, parallel jobs, resuming.
 * alone: it stops runs at moments. */
#include "base/clock.h"
#include "expect.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "cli/launch.h"
#include "run/experiment.h"
#include "run/run.h"
#include "scratch.h"

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
    if (i == fail_at_job) return err_fail(E_FORMAT, "job %d met a wrong file", i);
    if (i == crash_at_job) abort();
    const char *names[] = {"x"};
    const double values[] = {i};
    run_log(r, "squares", i, 1, names, values);
    double sum = 0; /* a job may use OpenMP though its parent's threads stayed behind */
#pragma omp parallel for reduction(+ : sum)
    for (int k = 0; k < 100; k++) sum += i;
    if (sum != 100 * i) return err_fail(E_NUMERIC, "the sum is %g", sum);
    *o = (Out){(double)i * i, getpid() != parent};
    return OK;
}

/* The last of three jobs goes wrong while the others would wait for a minute; after a signal they save first. */
static Status waits(Run *r, int i, void *out, void *user)
{
    (void)user;
    *(int *)out = i;
    if (i == 2) usleep(100000);
    if (i == 2) return err_fail(E_FORMAT, "job 2 met a wrong file");
    for (int k = 0; k < 6000 && !run_stopped(); k++) usleep(10000);
    run_log(r, run_stopped() ? "stopped" : "waited", i, 0, NULL, NULL);
    return run_interrupted();
}

static Status stopping(Run *r)
{
    int out[3];
    return run_parallel(r, 3, sizeof *out, waits, NULL, out);
}
static const Experiment STOPPING = {.group = "test", .name = "stopping", .run = stopping};

static const Setting SETTINGS[] = {{"steps", "how many", {"2", "3", NULL}, 1, 100, NULL},
                                   {"rate", "how fast", {"1", "0.5", "1e-3"}, 0, 1, NULL},
                                   {"ranks", "list", {"1,2", "1,2,4", NULL}, 1, 64, NULL},
                                   {"open", "flag", {"no"}, 0, 0, NULL},
                                   {"methods", "which", {"lora,prefix"}, 0, 0, "lora|prefix|full"},
                                   {"text", "words", {"hello"}, 0, 0, NULL},
                                   {0}};

/* A single job runs in the program itself and has to show its own progress: no slot may swallow it. */
static Status shows_itself(Run *r, int i, void *out, void *user)
{
    (void)i, (void)user;
    *(bool *)out = !r->stage && getpid() == parent;
    return OK;
}

static Status run(Run *r)
{
    Out out[8];
    parent = getpid();
    int threads = 0;
#pragma omp parallel num_threads(3) reduction(+ : threads)
    threads++;
    if (threads != 3) return err_fail(E_NUMERIC, "%d threads", threads);
    bool shown = false;
    TRY(run_parallel(r, 1, sizeof shown, shows_itself, NULL, &shown));
    if (!shown && !run_resuming(r)) return err_fail(E_NUMERIC, "the progress of a single job is not shown");
    TRY(run_parallel(r, 8, sizeof *out, square, NULL, out));
    for (int i = 0; i < run_seeds(r); i++) {
        run_metric(r, RANGE_POSITIVE, "square", i, out[i].square);
        run_metric(r, RANGE_ANY, "none", i, i == 1 ? (double)NAN : 2);
    }
    double sum = 0;
    for (int i = 0; i < 8; i++) sum += out[i].square * out[i].pid_differs;
    run_metric(r, RANGE_ANY, "sum, \"of\" all", 0, sum);
    run_compare(r, "square", "none");
    run_verdict(r, SUPPORTED, "%d squares add up", 8);
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

static Status go(const KeyValue *set, int n, bool overwrite, cJSON **results)
{
    Run *r;
    Request q = {
        .experiment = &SQUARES, .preset = QUICK, .seed = 7, .dir = dir, .quiet = true, .overwrite = overwrite};
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
    fail_at_job = crash_at_job = -1;
    err_clear();
    return begin(state);
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
    assert_string_equal(cJSON_GetObjectItem(o, "verdict")->valuestring, "supported");
    assert_string_equal(cJSON_GetObjectItem(o, "sentence")->valuestring, "8 squares add up");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "seeds")), 3);
    assert_true(number(o, "sum, \"of\" all", "mean") == 140); /* every job ran in another process */
    assert_true(fabs(number(o, "square", "mean") - 5.0 / 3) < 1e-12);
    const cJSON *none = cJSON_GetObjectItem(cJSON_GetObjectItem(o, "metrics"), "none");
    assert_true(cJSON_IsNull(cJSON_GetArrayItem(cJSON_GetObjectItem(none, "values"), 1)));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(o, "notes")), 1);
    cJSON_Delete(o);
}

static void expect_refused(const char *key, const char *value, const char *why)
{
    err_clear();
    assert_int_equal(go(&(KeyValue){key, value}, 1, false, NULL), E_CONFIG);
    EXPECT(strstr(err_message(), why), "%s=%s: \"%s\" does not say \"%s\"", key, value, err_message(), why);
    err_clear();
}

static void settings_are_checked_before_the_run(void **state)
{
    (void)state;
    expect_refused("steps", "12x", "not an integer");
    expect_refused("steps", "1.5", "not an integer");
    expect_refused("steps", "101", "out of range");
    expect_refused("rate", "nan", "not a finite number");
    expect_refused("rate", "2", "out of range");
    expect_refused("ranks", "1,x", "comma list");
    expect_refused("ranks", "1,128", "out of range");
    expect_refused("open", "maybe", "neither yes nor no");
    expect_refused("methods", "lora,adapter", "not among lora|prefix|full");
    expect_refused("stpes", "3", "did you mean steps?");
    expect_refused("stpes", "3", "it has steps, rate, ranks, open, methods, text");
    expect_refused("text", NULL, "needs a value");
    char path[100];
    snprintf(path, sizeof path, "%s/results.json", dir);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(go((KeyValue[]){{"methods", "full,lora"}, {"open", NULL}, {"rate", "1e-2"}}, 3, false, NULL),
                     OK);
}

static void settings_answer_in_their_form(void **state)
{
    (void)state;
    Run *r;
    const KeyValue set[] = {{"open", NULL}, {"text", "a, b"}, {"steps", "7"}};
    const Request q = {.experiment = &SQUARES, .preset = PAPER, .seed = 3, .dir = dir, .set = set, .n_set = 3};
    double ranks[RUN_LIST];
    assert_int_equal(run_open(&r, &q), OK);
    assert_int_equal(run_int(r, "steps"), 7);
    assert_true(run_real(r, "rate") == 1e-3 && run_real(r, "steps") == 7);
    assert_int_equal(run_list(r, "ranks", ranks), 3); /* paper repeats quick */
    assert_true(ranks[0] == 1 && ranks[2] == 4);
    assert_true(run_flag(r, "open"));
    assert_true(run_has(r, "methods", "lora") && run_has(r, "methods", "prefix") && !run_has(r, "methods", "full"));
    assert_string_equal(run_text(r, "text"), "a, b");
    assert_int_equal(run_seeds(r), 5);
    assert_int_equal(run_seed(r, 4), 7);
    run_close(r);
}

/* 95 % interval of 1,2,3,4: 2.5 +- t(0.975, 3) * sd / 2, with t = 3.182446305284263 from tables.  The value that
 * was never given does not count; one that is NaN does. */
static void intervals_are_students(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    double value[] = {1, 2, (double)NAN, 3, 4};
    bool given[] = {true, true, false, true, true};
    Metric m = {.value = value, .given = given, .n = 5};
    Summary s = metric_summary(&a, &m);
    double half = 3.182446305284263 * sqrt(5.0 / 3) / 2;
    assert_true(s.mean == 2.5 && s.n == 4 && fabs(s.sd - sqrt(5.0 / 3)) < 1e-15);
    EXPECT(fabs(s.ci95.lo - (2.5 - half)) < 1e-9 && fabs(s.ci95.hi - (2.5 + half)) < 1e-9, "[%g, %g]", s.ci95.lo,
           s.ci95.hi);
    given[2] = true;
    assert_true(isnan(metric_summary(&a, &m).mean));
    m.n = 1;
    s = metric_summary(&a, &m);
    assert_true(s.mean == 1 && isnan(s.sd) && isnan(s.ci95.lo));
    arena_close(&a);
}

/* Differences 1,2,3 have mean 2, sd 1: t = 2 sqrt(3) on two degrees of freedom, where the tail has a closed form:
 * p = 1 - t / sqrt(2 + t^2). */
static void comparison_is_a_paired_t_test(void **state)
{
    (void)state;
    Run *r;
    assert_int_equal(run_open(&r, &(Request){.experiment = &SQUARES, .preset = QUICK, .dir = dir}), OK);
    for (int i = 0; i < 3; i++) {
        run_metric(r, RANGE_ANY, "a", i, 10 * i + i + 1);
        run_metric(r, RANGE_ANY, "b", i, 10 * i);
        run_metric(r, RANGE_ANY, "c", i, 10 * i - 2);
    }
    double t = 2 * sqrt(3);
    EXPECT(fabs(run_compare(r, "a", "b") - (1 - t / sqrt(2 + t * t))) < 1e-12, "p of a - b");
    EXPECT(run_compare(r, "b", "c") == 0.25, "three equal differences show no more than their signs");
    assert_true(run_compare(r, "b", "b") == 1);
    run_close(r);
}

/* A gate that is not supported leaves nothing to judge, an exact claim that is false decides whatever the gates say,
 * and one seed, which has no interval, supports nothing. */
static void claims_make_the_verdict(void **state)
{
    (void)state;
    const Claim MORE = {MORE_THAN, 1};
    const double high[] = {3, 3.1, 3.2}, low[] = {0.1, 0.2, 0.1}, wide[] = {0, 1, 5}, lost[] = {3, (double)NAN, 3};
    const struct {
        const double *gate, *claim;
        bool exact;
        Verdict verdict;
    } CASE[] = {{high, high, true, SUPPORTED},     {high, low, true, NOT_SUPPORTED}, {high, wide, true, INCONCLUSIVE},
                {low, high, true, INCONCLUSIVE},   {low, low, true, INCONCLUSIVE},   {wide, low, true, INCONCLUSIVE},
                {low, high, false, NOT_SUPPORTED}, {high, lost, true, INCONCLUSIVE}};
    for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
        Run *r;
        assert_int_equal(run_open(&r, &(Request){.experiment = &SQUARES, .preset = QUICK, .dir = dir}), OK);
        assert_int_equal(run_conclude(r, "nothing"), INCONCLUSIVE);
        run_gate(r, "gate", MORE, RANGE_POSITIVE, CASE[i].gate);
        run_claim(r, "claim", MORE, RANGE_POSITIVE, CASE[i].claim);
        run_exact(r, "exact", CASE[i].exact);
        EXPECT(run_conclude(r, "all") == CASE[i].verdict, "case %zu", i);
        run_close(r);
    }
    Run *r;
    assert_int_equal(
        run_open(&r, &(Request){.experiment = &SQUARES, .preset = QUICK, .seeds = 1, .dir = dir, .overwrite = true}),
        OK);
    assert_int_equal(run_claim(r, "one seed", MORE, RANGE_ANY, high), INCONCLUSIVE);
    run_close(r);
}

/* No metric's interval leaves the range that it was recorded with; a value outside it has a note and no interval. */
static void metrics_keep_to_their_range(void **state)
{
    (void)state;
    Run *r;
    const double x[] = {0.9, 0.05, 0.99};
    assert_int_equal(run_open(&r, &(Request){.experiment = &SQUARES, .preset = QUICK, .dir = dir}), OK);
    for (int k = 0; k < CLAIM_RANGES; k++)
        for (int i = 0; i < 3; i++)
            run_metric(r, (ClaimRange)k, claim_range_name((ClaimRange)k), i, k == RANGE_PERCENT ? 100 * x[i] : x[i]);
    for (int i = 0; i < 3; i++) run_metric(r, RANGE_SHARE, "wrong", i, 2 * x[i]);
    for (const Metric *m = r->metrics; m; m = m->next) {
        Interval ci = metric_summary(&r->arena, m).ci95;
        bool none = m->range == RANGE_EXTREME || !strcmp(m->name, "wrong");
        EXPECT(isnan(ci.lo) == none, "%s: [%g, %g]", m->name, ci.lo, ci.hi);
        EXPECT(none || (claim_in_range(ci.lo, m->range) && claim_in_range(ci.hi, m->range)), "%s: [%g, %g]", m->name,
               ci.lo, ci.hi);
    }
    assert_non_null(r->notes);
    run_close(r);
}

static void first_failing_job_decides(void **state)
{
    (void)state;
    cJSON *o;
    fail_at_job = 5;
    assert_int_equal(go(NULL, 0, false, &o), E_FORMAT);
    assert_string_equal(err_message(), "job 5 met a wrong file");
    assert_string_equal(cJSON_GetObjectItem(o, "status")->valuestring, "failed");
    assert_string_equal(cJSON_GetObjectItem(o, "verdict")->valuestring, "inconclusive");
    cJSON_Delete(o);
    err_clear();
    fail_at_job = -1;
    crash_at_job = 2;
    assert_int_equal(go(NULL, 0, true, NULL), E_NUMERIC);
    EXPECT(strstr(err_message(), "job 2 was ended by signal 6"), "%s", err_message());
}

static void a_failing_job_stops_the_others_and_is_the_one_named(void **state)
{
    (void)state;
    Run *r;
    Bytes text;
    assert_int_equal(run_open(&r, &(Request){.experiment = &STOPPING, .dir = dir, .quiet = true}), OK);
    r->threads = 3;
    assert_int_equal(run_go(r), E_FORMAT);
    assert_string_equal(err_message(), "job 2 met a wrong file");
    err_clear();
    assert_int_equal(file_read(&text, run_arena(r), run_path(r, "metrics.jsonl")), OK);
    assert_non_null(strstr(text.text, "{\"job\":0,\"phase\":\"stopped\""));
    assert_non_null(strstr(text.text, "{\"job\":1,\"phase\":\"stopped\""));
    run_close(r);
}

static int count(const char *where)
{
    int n = 0;
    char path[100];
    snprintf(path, sizeof path, "%s/%s", dir, where);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void other_settings_are_refused_or_overwrite(void **state)
{
    (void)state;
    assert_int_equal(go(NULL, 0, false, NULL), OK);
    assert_int_equal(count("jobs"), 9); /* eight squares and the job that runs alone */
    assert_int_equal(go(&(KeyValue){"steps", "4"}, 1, false, NULL), E_CONFIG);
    EXPECT(strstr(err_message(), "(steps: there 3, now 4)"), "%s", err_message());
    err_clear();
    assert_int_equal(go(&(KeyValue){"steps", "4"}, 1, true, NULL), OK);
    assert_int_equal(count("jobs"), 9);
}

/* A job that a finished one would fail in proves that finished jobs are not repeated. */
static void resuming_repeats_no_finished_job(void **state)
{
    (void)state;
    cJSON *o;
    fail_at_job = 7; /* the last to start; the other seven are given the time to end */
    assert_int_equal(go(NULL, 0, false, NULL), E_FORMAT);
    err_clear();
    fail_at_job = 3;
    assert_int_equal(go(NULL, 0, false, &o), OK);
    assert_true(number(o, "square", "mean") == 5.0 / 3);
    cJSON_Delete(o);
}

static Bytes file_of(const char *name)
{
    Bytes b;
    assert_int_equal(file_read(&b, &arena, str_print(&arena, "%s/%s", dir, name)), OK);
    return b;
}

/* The files of a resumed run, and of one with a damaged job, are those of an unbroken one. */
static void a_broken_run_ends_in_the_same_bytes(void **state)
{
    (void)state;
    static const char *const FILES[] = {"results.json", "results.csv", "metrics.jsonl"};
    Bytes whole[3], kept;
    assert_int_equal(go(NULL, 0, false, NULL), OK);
    for (int i = 0; i < 3; i++) whole[i] = file_of(FILES[i]);
    fail_at_job = 4;
    assert_int_equal(go(NULL, 0, true, NULL), E_FORMAT);
    err_clear();
    for (int i = 0; i < 3; i++) assert_string_equal(file_of(FILES[i]).text, whole[i].text); /* of the former run */
    fail_at_job = -1;
    assert_int_equal(go(NULL, 0, false, NULL), OK);
    for (int i = 0; i < 3; i++) assert_string_equal(file_of(FILES[i]).text, whole[i].text);

    fail_at_job = 7;
    assert_int_equal(go(NULL, 0, true, NULL), E_FORMAT);
    err_clear();
    fail_at_job = -1;
    for (int i = 0; i < 7; i++) { /* one byte of the result, of the log, of the hash, ..., and a cut */
        const char *path = NULL;
        DIR *d = opendir(str_print(&arena, "%s/unfinished/jobs", dir));
        for (struct dirent *e; (e = readdir(d));)
            if (!strncmp(e->d_name, str_print(&arena, "1-%d-", i), 4))
                path = str_print(&arena, "unfinished/jobs/%s", e->d_name);
        closedir(d);
        assert_non_null(path);
        kept = file_of(path);
        kept.text[(size_t)i * (kept.len - 1) / 6] ^= 1;
        assert_int_equal(file_write(str_print(&arena, "%s/%s", dir, path), kept.text, kept.len - (i == 3)), OK);
    }
    assert_int_equal(go(NULL, 0, false, NULL), OK);
    for (int i = 0; i < 3; i++) assert_string_equal(file_of(FILES[i]).text, whole[i].text);
    assert_int_not_equal(access(str_print(&arena, "%s/unfinished", dir), F_OK), 0);
}

static void logs_are_in_index_order(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    Bytes text;
    assert_int_equal(go(NULL, 0, false, NULL), OK);
    assert_int_equal(file_read(&text, &a, str_print(&a, "%s/metrics.jsonl", dir)), OK);
    char *line = text.text;
    for (int i = 0; i < 8; i++) {
        char *end = strchr(line, '\n');
        assert_non_null(end);
        *end = 0;
        cJSON *o = cJSON_Parse(line);
        assert_non_null(o);
        assert_int_equal(cJSON_GetObjectItem(o, "job")->valueint, i);
        assert_true(cJSON_GetObjectItem(o, "x")->valuedouble == i);
        cJSON_Delete(o);
        line = end + 1;
    }
    assert_int_equal(*line, 0);
    arena_close(&a);
}

static void csv_is_tidy_and_quoted(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    Bytes text;
    assert_int_equal(go(NULL, 0, false, NULL), OK);
    assert_int_equal(file_read(&text, &a, str_print(&a, "%s/results.csv", dir)), OK);
    assert_int_equal(
        strncmp(text.text, "experiment,preset,seed,metric,value,steps,rate,ranks,open,methods,text\r\n", 72), 0);
    assert_non_null(strstr(text.text, "test/squares,quick,9,square,4,3,0.5,\"1,2,4\",no,\"lora,prefix\",hello\r\n"));
    assert_non_null(strstr(text.text, "test/squares,quick,8,none,,3,")); /* NaN: no value */
    assert_non_null(strstr(text.text, "test/squares,quick,7,\"sum, \"\"of\"\" all\",140,3,"));
    arena_close(&a);
}

static void manifest_says_what_ran(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 20);
    Bytes text;
    const KeyValue set = {"rate", "0.1"};
    assert_int_equal(go(&set, 1, false, NULL), OK);
    assert_int_equal(file_read(&text, &a, str_print(&a, "%s/manifest.json", dir)), OK);
    cJSON *o = cJSON_Parse(text.text), *config = cJSON_GetObjectItem(o, "config");
    assert_non_null(o);
    assert_string_equal(cJSON_GetObjectItem(o, "status")->valuestring, "done");
    assert_int_equal(cJSON_GetObjectItem(o, "seed")->valueint, 7);
    assert_true(cJSON_GetObjectItem(config, "rate")->valuedouble == 0.1);
    assert_int_equal(cJSON_GetObjectItem(config, "steps")->valueint, 3);
    assert_true(cJSON_IsFalse(cJSON_GetObjectItem(config, "open")));
    const cJSON *memory = cJSON_GetObjectItem(o, "memory");
    assert_true(cJSON_GetObjectItem(memory, "peak_bytes")->valuedouble > 1e6);
    assert_true(cJSON_GetObjectItem(memory, "largest_job_bytes")->valuedouble > 1e5);
    assert_true(cJSON_GetObjectItem(cJSON_GetObjectItem(o, "time"), "wall_seconds")->valuedouble > 0.005);
    cJSON_Delete(o);
    arena_close(&a);
}

/* The vectors of FIPS 180-4's examples: empty, one block, two blocks, and a million letters in odd pieces. */
static void sha256_known_answers(void **state)
{
    (void)state;
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    const struct {
        const char *text, *hex;
    } known[] = {{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
                 {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
                 {two, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"}};
    for (int i = 0; i < 3; i++) {
        Sha256 s = sha256_begin();
        sha256_add(&s, known[i].text, strlen(known[i].text));
        assert_string_equal(sha256_end(&s).hex, known[i].hex);
    }
    char letters[997];
    memset(letters, 'a', sizeof letters);
    Sha256 s = sha256_begin();
    for (size_t left = 1000000; left;) {
        size_t n = left < sizeof letters ? left : sizeof letters;
        sha256_add(&s, letters, n);
        left -= n;
    }
    assert_string_equal(sha256_end(&s).hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* ---- the time left of several experiments */

static void costs_are_read_from_their_words(void **state)
{
    (void)state;
    static const struct {
        const char *cost;
        double quick, paper;
    } known[] = {{"smoke a second, quick half a minute, paper some hours (estimated)", 30, 4 * 3600},
                 {"smoke seconds, quick a minute and a half, paper sixteen hours", 90, 4 * 3600},
                 {"smoke a second, quick a quarter of a minute, paper a minute", 15, 60},
                 {"smoke seconds, quick under two minutes, paper an hour or two", 120, 3600},
                 {"smoke and quick a second, paper ten seconds", 1, 10},
                 {"smoke a second, quick a few seconds, paper half a day (estimated)", 4, 43200},
                 {"none is known", 60, 60}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const Experiment e = {.cost = known[i].cost};
        near(launch_cost(&e, QUICK), known[i].quick, 0, known[i].cost);
        near(launch_cost(&e, PAPER), known[i].paper, 0, known[i].cost);
    }
}

/* On a machine of half the speed, with costs that are right but for that, the estimate is within a factor of 1.5 once
 * twenty seconds have gone by. */
static void the_time_left_follows_the_speed(void **state)
{
    (void)state;
    for (double done = 10; done < 200; done += 10) {
        const double left = 200 - done, told = launch_left(2 * done, done, left), truth = 2 * left;
        EXPECT(told <= 1.5 * truth && told >= truth / 1.5, "after %g s: %g s left, told %g s", 2 * done, truth, told);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, end)
SUITE(CASE(results_have_their_shape), CASE(settings_are_checked_before_the_run), CASE(settings_answer_in_their_form),
      CASE(intervals_are_students), CASE(comparison_is_a_paired_t_test), CASE(claims_make_the_verdict),
      CASE(metrics_keep_to_their_range), CASE(first_failing_job_decides),
      CASE(a_failing_job_stops_the_others_and_is_the_one_named), CASE(other_settings_are_refused_or_overwrite),
      CASE(resuming_repeats_no_finished_job), CASE(a_broken_run_ends_in_the_same_bytes),
      CASE(logs_are_in_index_order), CASE(csv_is_tidy_and_quoted), CASE(manifest_says_what_ran),
      CASE(sha256_known_answers), CASE(costs_are_read_from_their_words), CASE(the_time_left_follows_the_speed))
