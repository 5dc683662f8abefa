/* What a folder says about generation: which file counts, each kind of value, and what is refused or remarked. */
#include "small.h"

#include "base/file.h"
#include "io/json.h"
#include "nn/generate_config.h"
#include "scratch.h"

static GenerateSettings s;
static Model *m;

/* The settings of a folder with these two files, NULL for none, on a model of a family. */
static Status opened(const char *shape, const char *general, const char *config)
{
    const char *file[] = {general, config}, *name[] = {"generation_config.json", "config.json"};
    m = small_model(&arena, shape, F32);
    for (int i = 0; i < 2; i++) {
        char *path = str_print(&arena, "%s/%s", dir, name[i]);
        unlink(path);
        if (file[i]) EXPECT(file_write(path, file[i], strlen(file[i])) == OK, "%s", err_message());
    }
    return generate_settings_open(&s, &arena, m, dir);
}

static void open_or_fail(const char *shape, const char *general, const char *config)
{
    EXPECT(opened(shape, general, config) == OK, "%s", err_message());
}

static void a_folder_without_files_has_defaults(void **state)
{
    (void)state;
    open_or_fail("bart", NULL, NULL);
    assert_true(s.c.max_new == 0 && s.c.beams == 1 && s.c.eos == 2 && s.c.forced_eos.n == 1 && !s.n_remarks);
    EXPECT(generate_settings_open(&s, &arena, m, NULL) == OK, "%s", err_message());
    assert_true(s.c.eos == 2 && s.c.forced_bos == -1);
}

static const char EVERY_KEY[] =
    "{\"max_length\": 33, \"max_new_tokens\": 7, \"min_length\": 3, \"min_new_tokens\": 2, \"do_sample\": false, "
    "\"temperature\": 0.5, \"top_k\": 9, \"top_p\": 0.75, \"min_p\": 0.125, \"typical_p\": 0.25, \"epsilon_cutoff\": "
    "0.0625, \"eta_cutoff\": 0.5, \"num_beams\": 4, \"num_return_sequences\": 2, \"length_penalty\": -1.5, "
    "\"early_stopping\": \"never\", \"encoder_repetition_penalty\": 1.25, \"repetition_penalty\": 2, "
    "\"no_repeat_ngram_size\": 3, \"encoder_no_repeat_ngram_size\": 5, \"bad_words_ids\": [[7], [8, 9]], "
    "\"forced_bos_token_id\": 11, \"forced_eos_token_id\": [2, 12], \"exponential_decay_length_penalty\": [4, 1.5], "
    "\"suppress_tokens\": [13, 14], \"begin_suppress_tokens\": [15], \"renormalize_logits\": true, "
    "\"stop_strings\": [\"a\", \"bc\"], \"eos_token_id\": [16, 17, 18], \"pad_token_id\": 19, \"bos_token_id\": 20, "
    "\"decoder_start_token_id\": 21, \"transformers_version\": \"4.57.6\", \"use_cache\": true}";

static void every_key_is_read(void **state)
{
    (void)state;
    open_or_fail("bart", EVERY_KEY, NULL);
    const GenerateConfig *c = &s.c;
    assert_true(c->max_length == 33 && c->max_new == 7 && c->min_length == 3 && c->min_new == 2 && !s.do_sample);
    assert_true(s.temperature == 0.5 && c->top_k == 9 && c->top_p == 0.75 && c->min_p == 0.125);
    assert_true(c->typical_p == 0.25 && c->epsilon == 0.0625 && c->eta == 0.5 && c->beams == 4 && c->n_best == 2);
    assert_true(c->length_penalty == -1.5 && c->early_stopping == STOP_NEVER);
    assert_true(c->encoder_repetition_penalty == 1.25 && c->repetition_penalty == 2 && c->no_repeat_ngram == 3);
    assert_true(c->encoder_no_repeat_ngram == 5 && c->n_bad_words == 2 && c->bad_words[1].n == 2);
    assert_true(c->bad_words[1].id[1] == 9 && c->forced_bos == 11 && c->forced_eos.n == 2);
    assert_true(c->forced_eos.id[1] == 12 && c->decay_start == 4 && c->decay_factor == 1.5 && c->suppress.n == 2);
    assert_true(c->begin_suppress.id[0] == 15 && c->renormalize && s.n_stop == 2 && !strcmp(s.stop[1], "bc"));
    assert_true(c->eos == 16 && c->more_eos.n == 2 && c->more_eos.id[1] == 18 && c->pad == 19 && c->start == 21);
    assert_true(generate_is_end(c, 18) && !generate_is_end(c, 2) && s.n_remarks == 0);
    assert_string_equal(generate_settings_from(&s, "num_beams"), str_print(&arena, "%s/generation_config.json", dir));
    const char *line[GENERATE_KEYS_MOST];
    assert_int_equal(generate_settings_lines(line, &arena, &s), 32);
    EXPECT(strstr(line[0], "max_length = 33 (/tmp"), "%s", line[0]);
}

/* generation_config.json is the whole truth: a token that it lacks is none, though config.json has one. */
static void one_file_counts(void **state)
{
    (void)state;
    open_or_fail("bart", "{\"eos_token_id\": 5}", "{\"forced_eos_token_id\": 2, \"num_beams\": 3}");
    assert_true(s.c.eos == 5 && s.c.beams == 1 && s.c.forced_eos.n == 0);
    open_or_fail("bart", "{\"bos_token_id\": 4}", "{}");
    assert_true(s.c.eos == -1 && s.c.start == 4 && s.n_remarks == 1);
    open_or_fail("bart", NULL, "{\"num_beams\": 3, \"eos_token_id\": [6, 7]}");
    assert_true(s.c.beams == 3 && s.c.eos == 6 && s.c.more_eos.n == 1);
    assert_true(s.c.forced_eos.n == 1 && s.c.forced_eos.id[0] == 2); /* BART's own */
    open_or_fail("bart", NULL, "{\"forced_eos_token_id\": null, \"num_beams\": null}");
    assert_true(s.c.forced_eos.n == 0 && s.c.beams == 1);
    open_or_fail("bart", NULL, "{\"force_bos_token_to_be_generated\": true, \"bos_token_id\": 0}");
    assert_true(s.c.forced_bos == 0);
}

/* A file that was written from a config.json gives way to it where that one has keys of generation. */
static void a_copy_gives_way_to_its_source(void **state)
{
    (void)state;
    const char *copy = "{\"_from_model_config\": true, \"eos_token_id\": 5, \"num_beams\": 2}";
    open_or_fail("bart", copy, "{\"num_beams\": 3, \"eos_token_id\": 6}");
    assert_true(s.c.beams == 3 && s.c.eos == 6);
    open_or_fail("bart", copy, "{\"num_beams\": 1, \"eos_token_id\": 6, \"forced_eos_token_id\": 2}");
    assert_true(s.c.beams == 2 && s.c.eos == 5);
}

static void what_is_not_supported_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
        Status status;
    } bad[] = {{"{\"num_beam_groups\": 2}", "num_beam_groups is 2", E_MISMATCH},
               {"{\"penalty_alpha\": 0.6}", "penalty_alpha", E_MISMATCH},
               {"{\"constraints\": [1]}", "constraints", E_MISMATCH},
               {"{\"guidance_scale\": 1.5}", "guidance_scale", E_MISMATCH},
               {"{\"sequence_bias\": [[[3], 1.5]]}", "sequence_bias", E_MISMATCH},
               {"{\"num_beams\": \"4\"}", "num_beams", E_FORMAT},
               {"{\"num_beams\": 0}", "num_beams", E_FORMAT},
               {"{\"top_k\": 1.5}", "top_k", E_FORMAT},
               {"{\"eos_token_id\": \"</s>\"}", "eos_token_id is not a token id or a list", E_FORMAT},
               {"{\"eos_token_id\": [2, [3]]}", "eos_token_id", E_FORMAT},
               {"{\"bad_words_ids\": [7]}", "bad_words_ids", E_FORMAT},
               {"{\"bad_words_ids\": [[99]]}", "the vocabulary has 23", E_MISMATCH},
               {"{\"forced_bos_token_id\": 99}", "forced_bos_token_id has the id 99", E_MISMATCH},
               {"{\"early_stopping\": \"maybe\"}", "early_stopping", E_FORMAT},
               {"{\"exponential_decay_length_penalty\": [1]}", "exponential_decay", E_FORMAT},
               {"[]", "is not a JSON object", E_FORMAT}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Status status = opened("bart", bad[i].text, NULL);
        EXPECT(status == bad[i].status && strstr(err_message(), bad[i].word), "%s: %d, %s", bad[i].text, (int)status,
               err_message());
        err_clear();
    }
    open_or_fail("bart", "{\"eos_token_id\": 2, \"num_beam_groups\": 1, \"penalty_alpha\": null, \"mine\": 3}", NULL);
    EXPECT(s.n_remarks == 1 && strstr(s.remark[0], "mine has no effect"), "%d remarks", s.n_remarks);
    open_or_fail("bart", "{\"eos_token_id\": 99}", NULL);
    EXPECT(s.n_remarks == 1 && strstr(s.remark[0], "eos_token_id 99 is beyond"), "%d remarks", s.n_remarks);
}

static void set(const char *key, const char *json)
{
    cJSON *j;
    EXPECT(json_parse(&j, json, strlen(json), "test") == OK, "%s", err_message());
    EXPECT(generate_settings_set(&s, key, j, "--it") == OK, "%s", err_message());
    cJSON_Delete(j);
}

static void what_is_typed_counts_more(void **state)
{
    (void)state;
    open_or_fail("gpt2", "{\"eos_token_id\": 2, \"do_sample\": true, \"temperature\": 0.5, \"num_beams\": 3}", NULL);
    assert_int_equal(generate_settings_settle(&s), E_MISMATCH); /* beam sampling, which the file alone declares */
    EXPECT(strstr(err_message(), "num_beams"), "%s", err_message());
    err_clear();
    set("num_beams", "1");
    EXPECT(generate_settings_settle(&s) == OK, "%s", err_message());
    assert_true(s.c.temperature == 0.5 && s.c.top_k == 50 && s.c.beams == 1); /* top_k: the library's default */
    set("do_sample", "false");
    set("num_beams", "3");
    EXPECT(generate_settings_settle(&s) == OK, "%s", err_message());
    assert_true(s.c.temperature == 0 && s.c.beams == 3);
    set("num_return_sequences", "4");
    assert_int_equal(generate_settings_settle(&s), E_CONFIG);
    err_clear();
    set("eos_token_id", "null");
    assert_true(s.c.eos == -1);
}

/* max_length counts the prompt; without any limit the model's positions do. */
static void lengths_fit_the_prompt(void **state)
{
    (void)state;
    open_or_fail("gpt2", "{\"eos_token_id\": 2, \"max_length\": 12}", NULL);
    EXPECT(generate_fit(&s.c, m, 5, 64) == OK && s.c.max_new == 7, "max_new %d", s.c.max_new);
    open_or_fail("gpt2", "{\"eos_token_id\": 2, \"max_length\": 12}", NULL);
    assert_int_equal(generate_fit(&s.c, m, 12, 64), E_CONFIG);
    err_clear();
    static const int want[][2] = {{1, 20}, {5, 16}, {11, 10}, {19, 10}, {100, 10}}; /* of 20 positions */
    for (int i = 0; i < 5; i++) {
        open_or_fail("gpt2", NULL, NULL);
        EXPECT(generate_fit(&s.c, m, want[i][0], 64) == OK && s.c.max_new == want[i][1], "prompt %d: max_new %d",
               want[i][0], s.c.max_new);
    }
    open_or_fail("t5", NULL, NULL);
    EXPECT(generate_fit(&s.c, m, 1, 64) == OK && s.c.max_new == 64, "max_new %d", s.c.max_new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_folder_without_files_has_defaults),
                                       cmocka_unit_test(every_key_is_read),
                                       cmocka_unit_test(one_file_counts),
                                       cmocka_unit_test(a_copy_gives_way_to_its_source),
                                       cmocka_unit_test(what_is_not_supported_is_named),
                                       cmocka_unit_test(what_is_typed_counts_more),
                                       cmocka_unit_test(lengths_fit_the_prompt)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
