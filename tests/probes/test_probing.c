/* vernier probe, end to end: encoders of every family, adapters, protocols, and numbers that can be known. */
#include "expect.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "cli/command.h"
#include "nn/small.h"
#include "adapter/adapter.h"
#include "scratch.h"
#include "text/bpe.h"

/* Runs a probe at smoke into DIR/NAME; words are split at blanks. */
static int probe(const char *name, const char *words)
{
    char program[] = "vernier", *argv[64] = {program},
         *line = str_print(&arena, "probe --preset smoke --quiet --out %s/%s %s", dir, name, words);
    int argc = 1;
    for (char *w = strtok(line, " "); w && argc < 63; w = strtok(NULL, " ")) argv[argc++] = w;
    fflush(stdout);
    int out = dup(STDOUT_FILENO);
    if (!freopen("/dev/null", "w", stdout)) return -1;
    int code = cli_main(argc, argv);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    return code;
}

static cJSON *results(const char *name)
{
    Bytes text;
    const char *path = str_print(&arena, "%s/%s/results.json", dir, name);
    EXPECT(!file_read(&text, &arena, path), "%s: %s", path, err_message());
    return cJSON_Parse(text.text);
}

/* The first seed's value of a metric; -1 when there is none. */
static double metric(const cJSON *root, const char *name)
{
    const cJSON *m = cJSON_GetObjectItem(cJSON_GetObjectItem(root, "metrics"), name);
    const cJSON *v = cJSON_GetArrayItem(cJSON_GetObjectItem(m, "values"), 0);
    return cJSON_IsNumber(v) ? v->valuedouble : -1;
}

static bool says(const cJSON *root, const char *words)
{
    char *all = cJSON_PrintUnformatted(root);
    bool found = strstr(all, words) != NULL;
    cJSON_free(all);
    return found;
}

/* The encoder that a run leaves behind, taken as a model, has the features that the run found. */
static void a_saved_encoder_is_the_model(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        const char *task = k ? "ltp" : "typ", *first = str_print(&arena, "own-%s", task);
        const char *again = str_print(&arena, "model-%s", task);
        EXPECT(!probe(first, str_print(&arena, "--task %s --mode both --steps 30", task)), "the first run fails");
        EXPECT(
            !probe(again, str_print(&arena, "--task %s --mode both --data %s/%s/data.txt --model %s/%s/encoder-seed1",
                                    task, dir, first, dir, first)),
            "the second run fails");
        cJSON *x = results(first), *y = results(again);
        static const char *const END[] = {"layer 0 (%)", "layer 1 (%)", "layer 1, karmakar-compat (%)",
                                          "MDL compression", "V-information (bits per example)"};
        for (int e = 0; e < 5; e++) {
            double own = metric(x, str_print(&arena, "pretrained, %s", END[e]));
            double loaded = metric(y, str_print(&arena, "model, %s", END[e]));
            EXPECT(own > -1 && own == loaded, "%s, %s: %g as trained, %g as loaded", task, END[e], own, loaded);
            own = metric(x, str_print(&arena, "randomly initialised, %s", END[e]));
            loaded = metric(y, str_print(&arena, "randomly initialised, %s", END[e]));
            EXPECT(own > -1 && own == loaded, "%s, randomly initialised, %s: %g and %g", task, END[e], own, loaded);
        }
        /* before any layer the first token is the same one in every text: a constant has no information */
        double constant = metric(x, "pretrained, layer 0, karmakar-compat (%)");
        EXPECT(constant == 50, "%s: the first token's vector is right on %g %%", task, constant);
        EXPECT(metric(x, "bag of words (%)") == metric(y, "bag of words (%)"), "the baselines differ");
        EXPECT(metric(y, "pretrained, layer 0 (%)") == -1, "nothing was pretrained");
        cJSON_Delete(x);
        cJSON_Delete(y);
    }
}

/* Published typ rows: a lookup is correct on all, and by the verdict the encoder is below it. */
static void misspellings_give_themselves_away(void **state)
{
    (void)state;
    EXPECT(!probe("study", "--task typ --recipe study --examples 300"), "the run fails");
    cJSON *r = results("study");
    EXPECT(metric(r, "misspelling rule (%)") == 100, "the lookup is right on %g %%",
           metric(r, "misspelling rule (%)"));
    EXPECT(says(r, "below the misspelling rule") && says(r, "\"verdict\":\"not supported\""),
           "the verdict hides the rule");
    EXPECT(metric(r, "p against the misspelling rule") < 0.05, "p is large");
    cJSON_Delete(r);
}

static const char *make_model(const char *arch, const char *bpe_dir)
{
    Model *m;
    Bpe *bpe;
    Config c = small_config(arch);
    const char *path = str_print(&arena, "%s/tiny-%s", dir, arch);
    assert_int_equal(bpe_open(&bpe, &arena, bpe_dir), OK);
    c.vocab = (int)bpe_size(bpe);
    if (c.positions) c.positions = 70;
    EXPECT(!model_open(&m, &arena, &c, F32, 5), "%s: %s", arch, err_message());
    EXPECT(!model_save(m, path) && !bpe_save(bpe, path), "%s: %s", path, err_message());
    bpe_close(bpe);
    return path;
}

static void every_family_is_probed(void **state)
{
    (void)state;
    static const char *const ARCH[] = {"roberta", "gpt2", "bert", "bart", "t5"};
    for (int k = 0; k < 5; k++) {
        const char *path = make_model(ARCH[k], str_print(&arena, "%s/own-typ/encoder-seed1", dir));
        int code = probe(ARCH[k], str_print(&arena, "--task typ --model %s --pooling %s --classifier %s", path,
                                            k % 2 ? "last" : "attention", k % 2 ? "centroid" : "mlp"));
        EXPECT(code == 0, "%s ends with %d", ARCH[k], code);
        if (code) continue;
        cJSON *r = results(ARCH[k]);
        EXPECT(metric(r, "model, layer 3 (%)") > -1 && metric(r, "model, layer 4 (%)") == -1, "%s: other layers",
               ARCH[k]);
        cJSON_Delete(r);
    }
}

static void an_adapter_changes_the_features(void **state)
{
    (void)state;
    const char *path = str_print(&arena, "%s/tiny-roberta", dir), *to = str_print(&arena, "%s/lora", dir);
    Model *m;
    PeftConfig cfg = {0};
    const Peft *lora = peft_find("lora");
    assert_int_equal(model_load(&m, &arena, path), OK);
    lora->defaults(&cfg, &m->config);
    assert_int_equal(peft_attach(lora, m, hooks_new(&arena), &cfg), OK);
    for (int i = 0; i < params_n(m->params); i++) {
        Param *p = params_at(m->params, i);
        for (int64_t e = 0, n = tensor_count(p->val); strstr(p->name, "peft") && e < n; e++)
            tensor_set(p->val, e, sin((double)(e + i)));
    }
    Adapter *a = adapter_of(m, lora, &cfg, "mine");
    EXPECT(!adapter_convert(&a, a, library_find("hf"), false) && !adapter_save(a, to), "%s: %s", to, err_message());
    EXPECT(!probe("bare", str_print(&arena, "--task ccm --model %s", path)), "without: %s", err_message());
    EXPECT(!probe("with", str_print(&arena, "--task ccm --model %s --adapter %s", path, to)), "with: %s",
           err_message());
    cJSON *x = results("bare"), *y = results("with");
    static const char *const SAME[] = {"model, layer 0 (%)", "randomly initialised, layer 2 (%)",
                                       "randomly initialised, MDL compression"};
    for (int k = 0; k < 3; k++) EXPECT(metric(x, SAME[k]) == metric(y, SAME[k]), "%s differs", SAME[k]);
    EXPECT(metric(x, "model, V-information (bits per example)") !=
               metric(y, "model, V-information (bits per example)"),
           "the adapter is not there");
    cJSON_Delete(x);
    cJSON_Delete(y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_saved_encoder_is_the_model), cmocka_unit_test(misspellings_give_themselves_away),
        cmocka_unit_test(every_family_is_probed), cmocka_unit_test(an_adapter_changes_the_features)};
    return cmocka_run_group_tests(tests, begin, end);
}
