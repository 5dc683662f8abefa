/* The inputs of CodeReviewer and CCT5: token by token those of the published builders for the same draws, where the
 * golden files are, and by hand; hunks of change records; the symbols that a tokenizer must have. */
#include "expect.h"

#include <string.h>

#include "io/json.h"
#include "scratch.h"
#include "shared.h"
#include "tasks/jit.h"
#include "tasks/review.h"

/* ---- a tokenizer of whole words, as the golden builders used */

static void add_word(cJSON *vocab, const char *word)
{
    if (!cJSON_GetObjectItemCaseSensitive(vocab, word)) cJSON_AddNumberToObject(vocab, word, cJSON_GetArraySize(vocab));
}

/* Every text below a value that is a list of tokens. */
static void collect(cJSON *vocab, const cJSON *value)
{
    const cJSON *item;
    if (cJSON_IsString(value) && !strpbrk(value->valuestring, " \t\n") && *value->valuestring)
        add_word(vocab, value->valuestring);
    cJSON_ArrayForEach(item, value) collect(vocab, item);
}

static cJSON *added_token(const char *text, int id)
{
    cJSON *t = cJSON_CreateObject();
    static const char *const NOT[] = {"single_word", "lstrip", "rstrip", "normalized"};
    cJSON_AddNumberToObject(t, "id", id);
    cJSON_AddStringToObject(t, "content", text);
    for (size_t i = 0; i < sizeof NOT / sizeof *NOT; i++) cJSON_AddBoolToObject(t, NOT[i], false);
    cJSON_AddBoolToObject(t, "special", true);
    return t;
}

static void split(cJSON *tokenizer)
{
    cJSON *step = cJSON_AddObjectToObject(tokenizer, "pre_tokenizer");
    cJSON_AddStringToObject(step, "type", "Split");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(step, "pattern"), "Regex", "\\w+|[^\\w\\s]");
    cJSON_AddStringToObject(step, "behavior", "Removed");
    cJSON_AddBoolToObject(step, "invert", true);
}

/* Of all words in `texts`, and of the symbols but the first `lacking`. */
static Tokenizer words_of(const cJSON *texts, int lacking)
{
    static const char *const FIRST[] = {"<pad>", "<s>", "</s>", "<unk>", "<mask>", NULL};
    Tokenizer t;
    cJSON *root = cJSON_CreateObject(), *added = cJSON_AddArrayToObject(root, "added_tokens");
    cJSON *model = cJSON_AddObjectToObject(root, "model"), *vocab = cJSON_AddObjectToObject(model, "vocab");
    cJSON_AddStringToObject(model, "type", "WordLevel");
    cJSON_AddStringToObject(model, "unk_token", "<unk>");
    split(root);
    const char *const *lists[] = {FIRST, REVIEW_SYMBOLS + lacking};
    for (int l = 0; l < 2; l++)
        for (const char *const *s = lists[l]; *s; s++) {
            cJSON_AddItemToArray(added, added_token(*s, cJSON_GetArraySize(vocab)));
            add_word(vocab, *s);
        }
    if (texts) collect(vocab, texts);
    const char *path = str_print(&arena, "%s/tokenizer.json", dir);
    EXPECT(!json_write(root, path) && !tokenizer_open(&t, &arena, path), "%s", err_message());
    cJSON_Delete(root);
    return t;
}

/* ---- against the published builders */

static int32_t id_of(const Tokenizer *t, const cJSON *word)
{
    if (cJSON_IsNumber(word)) return -1;
    int32_t id = tokenizer_find(t, word->valuestring);
    EXPECT(id >= 0, "the tokenizer has no '%s'", word->valuestring);
    return id;
}

static void same(const int32_t *id, int64_t n, const cJSON *want, const Tokenizer *t, const char *what)
{
    int64_t i = 0;
    const cJSON *word;
    cJSON_ArrayForEach(word, want)
    {
        EXPECT(i < n && id[i] == id_of(t, word), "%s: token %lld is '%s', expected '%s'", what, (long long)i,
               i < n ? tokenizer_piece(t, id[i]) : "(end)", cJSON_IsString(word) ? word->valuestring : "none");
        i++;
    }
    EXPECT(i == n, "%s: %lld tokens, expected %lld", what, (long long)n, (long long)i);
}

/* The recorded draws as uniform numbers: an index of n stands in the middle of its share. */
static ReviewDraws draws_of(const cJSON *list, const ReviewLines *l)
{
    double *given = NEW(&arena, double, 2048);
    int n = 0;
    const cJSON *draw, *index;
    cJSON_ArrayForEach(draw, list)
    {
        const char *kind = cJSON_GetArrayItem(draw, 0)->valuestring;
        const cJSON *value = cJSON_GetArrayItem(draw, 1);
        if (!strcmp(kind, "random")) given[n++] = value->valuedouble;
        if (!strcmp(kind, "choice")) given[n++] = (value->valuedouble + 0.5) / l->n_message;
        cJSON_ArrayForEach(index, value) given[n++] = (index->valuedouble + 0.5) / (double)l->n;
    }
    return (ReviewDraws){.given = given};
}

static void same_example(const ReviewExample *x, const cJSON *want, const Tokenizer *t, const char *what)
{
    same(x->source, x->n_source, cJSON_GetObjectItem(want, "source"), t, str_print(&arena, "%s, source", what));
    same(x->target, x->n_target, cJSON_GetObjectItem(want, "target"), t, str_print(&arena, "%s, target", what));
    const cJSON *labels = cJSON_GetObjectItem(want, "labels");
    EXPECT(!labels == !x->tag, "%s: labels are %s", what, labels ? "missing" : "too many");
    if (labels) same(x->tag, x->n_source, labels, t, str_print(&arena, "%s, labels", what));
}

static void same_lines(const ReviewLines *l, const cJSON *want, const Tokenizer *t, const char *what)
{
    static const int KIND[] = {LINE_DEL, LINE_ADD, LINE_KEEP};
    const cJSON *line, *label = cJSON_GetObjectItem(want, "labels")->child;
    int64_t i = 0;
    cJSON_ArrayForEach(line, cJSON_GetObjectItem(want, "lines"))
    {
        int kind = label->valueint < 0 ? REVIEW_CONTEXT : KIND[label->valueint];
        EXPECT(i < l->n, "%s: %lld lines, expected more", what, (long long)l->n);
        same(l->id[i], l->len[i], line, t, str_print(&arena, "%s, line %lld", what, (long long)i));
        EXPECT(l->kind[i] == kind, "%s: line %lld is of kind %d, expected %d", what, (long long)i, l->kind[i], kind);
        label = label->next, i++;
    }
    assert_int_equal(l->n, i);
    assert_int_equal(l->first, cJSON_GetObjectItem(want, "start")->valueint);
    assert_int_equal(l->last, cJSON_GetObjectItem(want, "end")->valueint);
}

typedef struct {
    const char *key;
    ReviewObjective objective;
} Named;

static void same_change(const cJSON *want, const cJSON *change, const ReviewPlan *p, const Named *named, int *seen)
{
    const Tokenizer *t = p->tokenizer;
    Hunk h;
    ReviewLines l;
    const char *patch = json_text_in(change, "patch"), *message = json_text_in(change, "msg");
    const char *what = str_print(&arena, "%s, change %d", REVIEW_FORM[p->form],
                                 cJSON_GetObjectItem(want, "change")->valueint);
    bool usable = hunk_read(&h, &arena, patch, json_text_in(change, "oldf"), message);
    EXPECT(usable == cJSON_IsTrue(cJSON_GetObjectItem(want, "usable")), "%s: usable is %d", what, usable);
    const ReviewExample simple = review_simple(&arena, patch, message, p);
    same_example(&simple, cJSON_GetObjectItem(want, "generation"), t, str_print(&arena, "%s, generation", what));
    if (!usable) return;
    review_lines(&l, &arena, &h, p);
    same_lines(&l, want, t, what);
    for (const Named *n = named; n->key; n++) {
        const cJSON *example = cJSON_GetObjectItem(want, n->key);
        if (!example) continue;
        ReviewDraws d = draws_of(cJSON_GetObjectItem(example, "draws"), &l);
        const ReviewExample x = review_example(&arena, &l, p, n->objective, &d);
        same_example(&x, example, t, str_print(&arena, "%s, %s", what, n->key));
        ++*seen;
    }
}

static cJSON *read_golden(void)
{
    cJSON *root;
    const char *path = str_print(&arena, "%s/jit/changes/golden.json", golden_root(&arena));
    if (access(path, R_OK)) {
        print_message("# skipped: no %s\n", path);
        return NULL;
    }
    EXPECT(!json_read(&root, &arena, path), "%s", err_message());
    return root;
}

static void objectives_are_those_of_the_published_builders(void **state)
{
    (void)state;
    static const Named NAMED[REVIEW_FORMS][8] = {{{"comment", REVIEW_COMMENT},
                                                  {"denoise_comment", REVIEW_DENOISE_COMMENT},
                                                  {"tags", REVIEW_TAGS},
                                                  {"denoise_lines", REVIEW_DENOISE_LINES},
                                                  {0}},
                                                 {{"MLM4CC", REVIEW_MLM_CODE},
                                                  {"NL2PL", REVIEW_NL2PL},
                                                  {"PL2NL", REVIEW_PL2NL},
                                                  {"MLM4CM_0", REVIEW_MLM_MESSAGE},
                                                  {"MLM4CM_1", REVIEW_MLM_MESSAGE},
                                                  {0}}};
    cJSON *root = read_golden(), *want;
    if (!root) skip();
    Tokenizer t = words_of(root, 0);
    int seen = 0;
    for (int f = 0; f < REVIEW_FORMS; f++) {
        ReviewPlan p;
        EXPECT(!review_plan(&p, &t, (ReviewForm)f, 0), "%s", err_message());
        cJSON_ArrayForEach(want, cJSON_GetObjectItem(root, REVIEW_FORM[f]))
        {
            const cJSON *changes = cJSON_GetObjectItem(root, "changes");
            const cJSON *change = cJSON_GetArrayItem(changes, cJSON_GetObjectItem(want, "change")->valueint);
            same_change(want, change, &p, NAMED[f], &seen);
        }
    }
    assert_int_equal(seen, 26 + 30); /* two unusable changes, one without a message */
    tokenizer_close(&t);
    cJSON_Delete(root);
}

static void refinement_is_that_of_the_published_builder(void **state)
{
    (void)state;
    cJSON *root = read_golden(), *want;
    ReviewPlan p;
    if (!root) skip();
    Tokenizer t = words_of(root, 0);
    EXPECT(!review_plan(&p, &t, REVIEW_CODEREVIEWER, 0), "%s", err_message());
    cJSON_ArrayForEach(want, cJSON_GetObjectItem(root, "refinement"))
    {
        const ReviewExample x = review_refinement(&arena, json_text_in(want, "old"), json_text_in(want, "new"),
                                                  json_text_in(want, "comment"), &p);
        same_example(&x, want, &t, "refinement");
    }
    tokenizer_close(&t);
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objectives_are_those_of_the_published_builders),
        cmocka_unit_test(refinement_is_that_of_the_published_builder)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
