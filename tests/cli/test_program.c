/* The program as its user meets it.  With arguments this test program is vernier plus a few experiments of its
 * own, which the scripts beside it also call; without, it runs itself that way and reads the output. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/command.h"
#include "nn/small.h"
#include "run/experiment.h"
#include "plot/plot.h"
#include "scratch.h"

/* --------------------------------------------------------------------- experiments */

static Status wait_job(Run *r, int i, void *out, void *user)
{
    (void)user;
    for (int k = 0; k < 1000; k++) {
        if (run_stopped()) return run_interrupted();
        run_progress(r, "waiting", k, 1000, 1.0 / (k + 1));
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
    *(int *)out = i;
    return OK;
}

static Status slow(Run *r)
{
    int out[3];
    run_log(r, "begin", 0, 0, NULL, NULL);
    TRY(run_parallel(r, 3, sizeof *out, wait_job, NULL, out));
    run_verdict(r, SUPPORTED, "waited");
    return OK;
}

static Status quick(Run *r)
{
    run_metric(r, RANGE_ANY, "answer", 0, run_real(r, "scale") * 42);
    Fig *f = run_figure(r, "words", "What was <said>.", 200, 100);
    fig_text(f, fig_whole(f), run_text(r, "text"));
    TRY(fig_close(f));
    run_note(r, "a note with \"quotes\" and a \\ backslash");
    run_verdict(r, run_flag(r, "wrong") ? NOT_SUPPORTED : SUPPORTED, "%s", run_text(r, "text"));
    return OK;
}

static Status divides(Run *r)
{
    volatile double zero = 0;
    run_metric(r, RANGE_ANY, "quotient", 0, zero / zero);
    run_verdict(r, SUPPORTED, "survived");
    return OK;
}

static Status broken(Run *r)
{
    (void)r;
    return err_fail(E_NUMERIC, "the loss is not a finite number at step 3");
}

/* Reads a page of a mapped file that is not there any more. */
static Status cut(Run *r)
{
    static const char zeros[8192];
    Bytes map;
    (void)r;
    TRY(file_write("cut", zeros, sizeof zeros));
    TRY(file_map(&map, "cut"));
    if (truncate("cut", 1)) return err_fail(E_IO, "cut: is not cut");
    return ((volatile char *)map.text)[4096] ? OK : err_fail(E_NUMERIC, "a page that is not there is read");
}

static const Setting SETTINGS[] = {{"scale", "factor", {"1.0"}, 0, 10, NULL},
                                   {"wrong", "lie", {"no"}, 0, 0, NULL},
                                   {"text", "said", {"hello"}, 0, 0, NULL},
                                   {0}};
#define EXPERIMENT(symbol, g, n, s, f)                                                                               \
    static const Experiment symbol = {.group = g,                                                                    \
                                      .name = n,                                                                     \
                                      .title = n,                                                                    \
                                      .claim = "c",                                                                  \
                                      .method = "m",                                                                 \
                                      .expect = "e",                                                                 \
                                      .cost = "t",                                                                   \
                                      .source = "s",                                                                 \
                                      .settings = s,                                                                 \
                                      .run = f};                                                                     \
    REGISTER(experiment, symbol)
EXPERIMENT(SLOW, "test", "slow", NULL, slow)
EXPERIMENT(QUICK_ONE, "test", "quick", SETTINGS, quick)
EXPERIMENT(DIVIDES, "test", "divides", NULL, divides)
EXPERIMENT(BROKEN, "test", "broken", NULL, broken)
EXPERIMENT(CUT, "test", "cut", NULL, cut)

/* ---------------------------------------------------------------------------- tests */

static char self[4096], output[1 << 16];

/* Runs `vernier WORDS` with the run directory at hand; its output is in `output`.  The exit code. */
static int vernier(const char *words)
{
    char line[8192];
    snprintf(line, sizeof line, "cd %s && %s %s 2>errors", dir, self, words);
    FILE *f = popen(line, "r");
    assert_non_null(f);
    output[fread(output, 1, sizeof output - 1, f)] = 0;
    int how = pclose(f);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static void json_of_one_run_parses(void **state)
{
    (void)state;
    assert_int_equal(vernier("run test/quick --json --scale 0.5 --text 'a \"b\"' --out r"), 0);
    cJSON *o = cJSON_Parse(output);
    assert_non_null(o);
    assert_string_equal(cJSON_GetObjectItem(o, "experiment")->valuestring, "test/quick");
    assert_string_equal(cJSON_GetObjectItem(o, "sentence")->valuestring, "a \"b\"");
    const cJSON *answer = cJSON_GetObjectItem(cJSON_GetObjectItem(o, "metrics"), "answer");
    assert_true(cJSON_GetObjectItem(answer, "mean")->valuedouble == 21);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(answer, "sd")));
    cJSON_Delete(o);
}

static void json_of_several_is_an_array_even_after_a_failure(void **state)
{
    (void)state;
    assert_int_equal(vernier("run test/quick test/broken --json --out r"), 1);
    cJSON *o = cJSON_Parse(output);
    assert_true(cJSON_IsArray(o));
    assert_int_equal(cJSON_GetArraySize(o), 1);
    cJSON_Delete(o);
    assert_int_equal(vernier("run test/broken test/broken --json --out r"), 1);
    o = cJSON_Parse(output);
    assert_true(cJSON_IsArray(o));
    cJSON_Delete(o);
}

static void json_list_parses(void **state)
{
    (void)state;
    assert_int_equal(vernier("list --json"), 0);
    cJSON *o = cJSON_Parse(output);
    assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(o, "experiments")) >= 3);
    cJSON_Delete(o);
}

static void gate_turns_a_failed_claim_into_exit_1(void **state)
{
    (void)state;
    assert_int_equal(vernier("run test/quick --wrong --out r"), 0);
    assert_non_null(strstr(output, "not supported: hello"));
    assert_int_equal(vernier("run test/quick --wrong --gate --out r"), 1);
    assert_int_equal(vernier("run test/quick --gate --out s"), 0);
}

static void a_later_option_wins_and_set_equals_key(void **state)
{
    (void)state;
    assert_int_equal(vernier("run test/quick --set text=one --text=two --out r"), 0);
    assert_non_null(strstr(output, "supported: two"));
    assert_int_equal(vernier("run test/quick --text one --set text=two=2 --overwrite --out r"), 0);
    assert_non_null(strstr(output, "supported: two=2"));
}

static void a_file_that_is_cut_is_one_sentence(void **state)
{
    (void)state;
    assert_int_equal(vernier("run test/cut --out r --quiet"), 3);
    Arena a = arena_open(1 << 20);
    Bytes said;
    assert_int_equal(file_read(&said, &a, str_print(&a, "%s/errors", dir)), OK);
    EXPECT(str_glob("vernier: a file in use can no longer be read: *\n", said.text), "%s", said.text);
    arena_close(&a);
}

/* With an LM head in its files and without: the tree has the parameters of the model that these files load as. */
static void inspect_counts_the_heads_that_the_files_have(void **state)
{
    (void)state;
    static const char *const FAMILIES[] = {"roberta", "bert", "modernbert"};
    for (int i = 0; i < 6; i++) {
        Model *saved, *loaded;
        const char *name = str_print(&arena, "%s%d", FAMILIES[i / 2], i % 2);
        const char *folder = str_print(&arena, "%s/%s", dir, name);
        Config c = small_config(FAMILIES[i / 2]);
        c.no_lm_head = i % 2;
        EXPECT(!model_open(&saved, &arena, &c, F32, 1) && !model_save(saved, folder) &&
                   !model_load(&loaded, &arena, folder),
               "%s", err_message());
        assert_int_equal(vernier(str_print(&arena, "model inspect %s", name)), 0);
        const char *total = strstr(output, " parameters, 0 of them trainable");
        assert_non_null(total);
        while (total[-1] != '\n') total--;
        int64_t count = 0;
        for (; *total != ' '; total++) count = *total == ',' ? count : 10 * count + *total - '0';
        EXPECT(count == params_count(loaded->params, NULL, false), "%s: inspect counts %lld parameters, not %lld",
               name, (long long)count, (long long)params_count(loaded->params, NULL, false));
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)
int main(int argc, char **argv)
{
    if (argc > 1) return cli_main(argc, argv);
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return 1;
    const struct CMUnitTest tests[] = {CASE(json_of_one_run_parses),
                                       CASE(json_of_several_is_an_array_even_after_a_failure),
                                       CASE(json_list_parses),
                                       CASE(gate_turns_a_failed_claim_into_exit_1),
                                       CASE(a_later_option_wins_and_set_equals_key),
                                       CASE(a_file_that_is_cut_is_one_sentence),
                                       CASE(inspect_counts_the_heads_that_the_files_have)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
