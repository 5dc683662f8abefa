/* JITLine's words against scikit-learn's CountVectorizer, and its fit, its lines and its file on made commits. */
#include "learn/golden.h"

#include "metric/words.h"
#include "tasks/jitline.h"

static void lines_without_python(void **state)
{
    (void)state;
    cJSON *root = golden_read("lines"), *one;
    cJSON_ArrayForEach(one, root)
    {
        const char *line = json_text_in(one, "line"),
                   *want[] = {json_text_in(one, "all"), json_text_in(one, "without_python")};
        assert_true(jitline_skips(line, strlen(line)) ==
                    (bool)cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(one, "skipped")));
        for (int drop = 0; drop < 2; drop++) {
            Bytes got = jitline_line(&arena, line, strlen(line), drop);
            EXPECT(got.len == strlen(want[drop]) && !memcmp(got.text, want[drop], got.len),
                   "'%s' became '%s', expected '%s'", line, got.text, want[drop]);
        }
    }
    cJSON_Delete(root);
}

static void vocabulary_and_counts(void **state)
{
    (void)state;
    cJSON *root = golden_read("counts"), *one;
    int64_t n = 0;
    Bytes text[200];
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(root, "documents")) text[n++] =
        words_lower(&arena, one->valuestring, strlen(one->valuestring));
    int64_t least = cJSON_GetObjectItemCaseSensitive(root, "min_df")->valueint, i = 0, count;
    Vocabulary v = vocabulary_learn(&arena, text, n, least);
    const cJSON *words = cJSON_GetObjectItemCaseSensitive(root, "vocabulary");
    assert_int_equal(v.n, cJSON_GetArraySize(words));
    cJSON_ArrayForEach(one, words)
    {
        EXPECT(!strcmp(v.word[i].text, one->valuestring), "word %d is '%s', expected '%s'", (int)i, v.word[i].text,
               one->valuestring);
        i++;
    }
    Arena scratch = arena_open(0);
    SparseRows grow = sparse_begin(&arena, v.n);
    for (i = 0; i < n; i++, sparse_next(&grow)) vocabulary_count(&grow, &scratch, &v, text[i]);
    Sparse rows = sparse_end(&grow);
    arena_close(&scratch);
    i = 0;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(root, "rows"))
    {
        double *want = golden_numbers(&count, one, NULL);
        assert_int_equal(count, 2 * (rows.start[i + 1] - rows.start[i]));
        for (int64_t e = rows.start[i], k = 0; e < rows.start[i + 1]; e++, k += 2)
            assert_true(rows.index[e] == (int32_t)want[k] && rows.value[e] == want[k + 1]);
        i++;
    }
    assert_int_equal(i, n);
    cJSON_Delete(root);
}

/* Lines that are equal once they are cleaned count once on their side, and one that begins with # is left out. */
static void documents_are_sets(void **state)
{
    (void)state;
    ChangeLine line[] = {{LINE_ADD, "int aa1 = 5;", 12}, {LINE_ADD, "int aa2 = 77;", 13},
                         {LINE_DEL, "int aa3 = 8;", 12}, {LINE_KEEP, "int kept", 8},
                         {LINE_ADD, "#include bb", 11},  {LINE_ADD, " #Include Bb", 12}};
    ChangeFile file[] = {{.n = 4, .line = line}, {.n = 2, .line = line + 4}};
    CodeChange c = {.n_files = 2, .file = file};
    assert_string_equal(jitline_document(&arena, &c, false).text,
                        "int aa<num> = <num> \n #include bb \n int aa<num> = <num> \n ");
    assert_string_equal(jitline_document(&arena, &c, true).text,
                        "aa<num> = <num> \n #include bb \n aa<num> = <num> \n ");
}

/* ---- made commits */

enum { COMMITS = 60, LINES = 3 };
static const char *const COMMON[] = {"alpha", "beta", "gamma", "delta", "omega"};

/* Commits in the order of their hashes.  Those of label 1 have the word danger, the last ones a word of their own. */
static JitSet made_commits(void)
{
    JitSet s = {.n = COMMITS, .change = NEW(&arena, CodeChange, COMMITS)};
    for (int64_t i = 0; i < COMMITS; i++) {
        ChangeFile *file = NEW(&arena, ChangeFile, 1);
        CodeChange *c = &s.change[i];
        *file = (ChangeFile){.n = LINES, .line = NEW(&arena, ChangeLine, LINES)};
        *c = (CodeChange){
            .repo = "", .message = "", .id = str_print(&arena, "%03d", (int)i), .n_files = 1, .file = file};
        c->label = i % 3 == 0, c->has_features = true;
        for (int k = 0; k < N_FEATURES; k++) c->feature[k] = (double)rng_below(1, (uint64_t)(i * N_FEATURES + k), 50);
        if (i == 5) c->feature[FEATURE_exp] = NAN;
        for (int l = 0; l < LINES; l++) {
            const char *first = COMMON[rng_below(2, (uint64_t)(i * LINES + l), 5)];
            const char *second = l == 1 && c->label ? "danger" : l == 2 && i > 50 ? "lately" : COMMON[l];
            const char *text = str_print(&arena, "%s ( %s ) ; %s %d", first, second, first, l);
            file->line[l] = (ChangeLine){l == 2 ? LINE_DEL : LINE_ADD, text, strlen(text)};
        }
    }
    jit_count(&s);
    return s;
}

static const JitLinePlan PLAN = {.k = 3, .trees = 20, .cost = 1, .features = true, .seed = 7};

static JitLine *made_model(const JitSet *s, const JitLinePlan *plan)
{
    JitLine *m;
    EXPECT(!jitline_fit(&m, &arena, s, NULL, plan, NULL), "%s", err_message());
    return m;
}

/* The score of every commit by all classifiers and balances is that of the model that is read again. */
static void models_come_back(void **state)
{
    (void)state;
    JitSet s = made_commits();
    Arena step = arena_open(0);
    for (int k = 0; k < JITLINE_CLASSIFIERS * JITLINE_BALANCES; k++) {
        JitLinePlan plan = PLAN;
        plan.classifier = (JitLineClassifier)(k / 3), plan.balance = (JitLineBalance)(k % 3);
        JitLine *m = made_model(&s, &plan), *again;
        EXPECT(!jitline_save(m, dir) && !jitline_open(&again, &arena, dir), "%s", err_message());
        assert_memory_equal(&again->plan, &m->plan, sizeof m->plan);
        double score[COMMITS];
        int32_t label[COMMITS];
        for (int64_t i = 0; i < s.n; i++) {
            double two, line[2][LINES];
            const CodeChange *c = &s.change[i];
            assert_true(!jitline_score(&score[i], m, &step, c) && !jitline_score(&two, again, &step, c));
            assert_true(!jitline_lines(line[0], m, &step, c) && !jitline_lines(line[1], again, &step, c));
            near(two, score[i], 0, "score");
            assert_memory_equal(line[0], line[1], sizeof line[0]);
            label[i] = c->label;
        }
        EXPECT(score_auc(label, score, s.n) > 0.9, "plan %d: AUC %g", k, score_auc(label, score, s.n));
    }
    arena_close(&step);
}

/* Lines share what the words that they have add to the score, no more and no less. */
static void lines_share_the_credit(void **state)
{
    (void)state;
    JitSet s = made_commits();
    JitLine *m = made_model(&s, &PLAN);
    for (int64_t i = 0; i < s.n; i++) {
        double line[LINES], *row, *credit = NEW(&arena, double, m->columns), left = 0;
        assert_true(!jitline_row(&row, m, &arena, &s.change[i]) && !jitline_lines(line, m, &arena, &s.change[i]));
        forest_credit(credit, m->forest, row);
        for (int64_t j = 0; j < m->words.n; j++) left += row[j] > 0 ? credit[j] : 0;
        for (int l = 0; l < LINES; l++) left -= line[l];
        near(left, 0, 1e-9, "credit that no line has");
    }
}

/* As published: the last fifth by hash is left out, `fix` is 1, and words of Python are none. */
static void published_form(void **state)
{
    (void)state;
    JitSet s = made_commits();
    s.change[0].file->line[0] = s.change[1].file->line[0] = s.change[2].file->line[0] =
        (ChangeLine){LINE_ADD, "return danger", 13};
    JitLinePlan plan = PLAN;
    JitLine *m = made_model(&s, &plan);
    assert_true(table_get(&m->words.column, "lately", 6, -1) >= 0 &&
                table_get(&m->words.column, "return", 6, -1) >= 0);
    plan.as_published = true;
    m = made_model(&s, &plan);
    assert_true(table_get(&m->words.column, "lately", 6, -1) < 0 && table_get(&m->words.column, "return", 6, -1) < 0);
    double *row;
    assert_true(!jitline_row(&row, m, &arena, &s.change[5]));
    near(row[m->words.n + FEATURE_fix], 1, 0, "fix");
    near(row[m->words.n + FEATURE_exp], m->mean_of[FEATURE_exp], 0, "an unknown feature");
    plan.k = 0, plan.trees = 3;
    m = made_model(&s, &plan);
    assert_true(m->plan.k >= 1 && m->plan.k <= JITLINE_MOST_K);
    s.change[3].has_features = false;
    assert_true(jitline_row(&row, m, &arena, &s.change[3]) == E_MISMATCH);
    err_clear();
}

/* LIME's weights count for words that are equal to a vocabulary word as they stand. */
static void lines_by_lime(void **state)
{
    (void)state;
    JitSet s = made_commits();
    JitLinePlan plan = PLAN;
    plan.lime = true;
    JitLine *m = made_model(&s, &plan);
    CodeChange c = s.change[0];
    ChangeLine line[] = {
        {LINE_ADD, "danger", 6}, {LINE_ADD, "Danger", 6}, {LINE_ADD, "x+danger", 8}, {LINE_ADD, "", 0}};
    ChangeFile file = {.n = 4, .line = line};
    c.file = &file;
    double score[4];
    EXPECT(!jitline_lines(score, m, &arena, &c), "%s", err_message());
    assert_true(score[0] > 0);
    for (int l = 1; l < 4; l++) near(score[l], 0, 0, "a line without an equal word");
    int positive = 0;
    for (int64_t j = 0; j < m->words.n; j++) {
        line[0] = (ChangeLine){LINE_ADD, m->words.word[j].text, m->words.word[j].len};
        assert_true(!jitline_lines(score, m, &arena, &c) && score[0] >= 0);
        positive += score[0] > 0;
    }
    assert_true(positive > 0 && positive < m->words.n);
}

static void damaged_files(void **state)
{
    (void)state;
    JitSet s = made_commits();
    JitLine *m = made_model(&s, &PLAN), *again;
    const char *path = str_print(&arena, "%s/jitline.safetensors", dir);
    static const struct {
        const char *array;
        int64_t at;
        double value;
        const char *words;
    } FAULT[] = {{"plan", 0, 7, "classifier is 7"},     {"plan", 2, 1.5, "k is 1.5"},
                 {"plan", 6, 0, "expected F64"},        {"plan", 3, NAN, "expected finite numbers"},
                 {"mean", 0, INFINITY, "finite"},       {"sd", 1, 0, "expected finite positive"},
                 {"feature.sd", 2, -1, "positive"},     {"words", 3, ' ', "among the words"},
                 {"words", 0, 'a', "no list of lines"}, {"words", 2, 0, "no list of lines"},
                 {"words", 1, 'z', "among the words"},  {"words", 1, 0xff, "UTF-8"},
                 {"column", 0, 1e6, "tests column"},    {"share", 0, 2, "share"}};
    for (size_t k = 0; k < sizeof FAULT / sizeof *FAULT; k++) {
        assert_true(!jitline_save(m, dir));
        Weights *w;
        assert_true(!weights_open(&w, &arena, path));
        Stored array[20];
        int n = weights_n(w);
        for (int i = 0; i < n; i++) {
            array[i] = *weights_at(w, i);
            if (strcmp(array[i].name, FAULT[k].array) != 0) continue;
            char *bytes = str_copy(&arena, array[i].bytes, array[i].n_bytes);
            array[i].bytes = bytes;
            if (array[i].type == STORED_U8) bytes[FAULT[k].at] = (char)(int)FAULT[k].value;
            if (array[i].type == STORED_F64) ((double *)(void *)bytes)[FAULT[k].at] = FAULT[k].value;
            if (array[i].type == STORED_F32) ((float *)(void *)bytes)[FAULT[k].at] = (float)FAULT[k].value;
            if (array[i].type == STORED_I32) ((int32_t *)(void *)bytes)[FAULT[k].at] = (int32_t)FAULT[k].value;
        }
        assert_true(!safetensors_write_stored(str_print(&arena, "%s/damaged", dir), array, n, NULL, 0));
        weights_close(w);
        assert_int_equal(rename(str_print(&arena, "%s/damaged", dir), path), 0);
        EXPECT(jitline_open(&again, &arena, dir) == E_FORMAT, "%s of element %d as %g is taken", FAULT[k].array,
               (int)FAULT[k].at, FAULT[k].value);
        EXPECT(strstr(err_message(), FAULT[k].words), "'%s' does not say '%s'", err_message(), FAULT[k].words);
        err_clear();
    }
}

SUITE(cmocka_unit_test_setup_teardown(lines_without_python, begin, end),
      cmocka_unit_test_setup_teardown(vocabulary_and_counts, begin, end),
      cmocka_unit_test_setup_teardown(documents_are_sets, begin, end),
      cmocka_unit_test_setup_teardown(models_come_back, begin, end),
      cmocka_unit_test_setup_teardown(lines_share_the_credit, begin, end),
      cmocka_unit_test_setup_teardown(published_form, begin, end),
      cmocka_unit_test_setup_teardown(lines_by_lime, begin, end),
      cmocka_unit_test_setup_teardown(damaged_files, begin, end))
