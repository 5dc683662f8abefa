/* JITLine's words against scikit-learn's CountVectorizer. */
#include "learn/golden.h"

#include "metric/words.h"
#include "tasks/jitline_text.h"

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

SUITE(cmocka_unit_test_setup_teardown(lines_without_python, begin, end),
      cmocka_unit_test_setup_teardown(vocabulary_and_counts, begin, end),
      cmocka_unit_test_setup_teardown(documents_are_sets, begin, end))
