/* CC2Vec: its vector, logits and loss against reference outputs beside the repository, in both forms; its gradient;
 * its parameter counts; what it leaves out; and the words that it reads. */
#include "expect.h"

#include <string.h>

#include "ad/gradcheck.h"
#include "io/json.h"
#include "io/weights.h"
#include "shared.h"
#include "tasks/cc2vec.h"

static Arena run;

/* ---- a tiny network, and the reference's */

enum { BATCH = 3 };
static const Cc2vecShape TINY = {
    .vocabulary = 23, .message = 17, .files = 2, .lines = 3, .words = 5, .embed = 8, .hidden = 4, .middle = 5};

static ParamSet *tiny(Cc2vec *c, DType dtype, bool as_published)
{
    Cc2vecShape s = TINY;
    ParamSet *set = params_open(&run, dtype, 3);
    s.as_published = as_published;
    cc2vec_open(c, set, &s);
    params_train(set, "*", true);
    return set;
}

static const cJSON *item(const cJSON *list, int64_t i)
{
    const cJSON *x = cJSON_GetArrayItem(list, (int)i);
    EXPECT(x, "the reference has no item %d", (int)i);
    return x;
}

/* Ids of the reference, padded with zeros at the end of each line. */
static IdRow row_of(const cJSON *line)
{
    int32_t *id = NEW(&run, int32_t, TINY.words), n = 0;
    for (int64_t w = 0; w < TINY.words; w++) {
        id[w] = item(line, w)->valueint;
        if (id[w]) n = (int32_t)w + 1;
    }
    return (IdRow){id, n};
}

static const IdRow *reference_rows(const cJSON *golden, int64_t commit)
{
    static const char *const SIDE[] = {"removed", "added"};
    IdRow *rows = NEW(&run, IdRow, 2 * TINY.files * TINY.lines), *to = rows;
    for (int side = 0; side < 2; side++)
        for (int64_t f = 0; f < TINY.files; f++)
            for (int64_t l = 0; l < TINY.lines; l++)
                *to++ = row_of(item(item(item(cJSON_GetObjectItem(golden, SIDE[side]), commit), f), l));
    return rows;
}

static void read_param(Param *p, const Weights *w)
{
    const Stored *s = weights_find(w, p->name);
    EXPECT(s, "the reference has no %s", p->name);
    Tensor to = p->val;
    if (s->rank == 3) to = tensor_reshape(to, SHAPE(s->dim[0], s->dim[1], s->dim[2]));
    if (!strcmp(p->name, "tensor.bias")) to = tensor_reshape(to, SHAPE(s->dim[0], s->dim[1]));
    assert_false(stored_read(to, s));
}

/* Row `commit` of `got`, from column `first` on, against a list of the reference. */
static void same(Tensor got, int64_t commit, const cJSON *list, const char *what)
{
    int64_t n = cJSON_GetArraySize(list);
    assert_int_equal(n, tensor_last(got));
    for (int64_t i = 0; i < n; i++) near(tensor_get(got, commit * n + i), item(list, i)->valuedouble, 1e-9, what);
}

static void outputs_are(const Cc2vec *c, const cJSON *golden, const cJSON *want)
{
    const IdRow *rows[BATCH];
    float *label = NEW(&run, float, BATCH *TINY.message);
    Tape *t = tape_open(&run, false);
    for (int64_t i = 0; i < BATCH; i++) {
        rows[i] = reference_rows(golden, i);
        for (int64_t k = 0; k < TINY.message; k++)
            label[i * TINY.message + k] = (float)item(item(cJSON_GetObjectItem(golden, "labels"), i), k)->valuedouble;
    }
    Var *sides = cc2vec_sides(c, t, rows, BATCH), *vector = cc2vec_vector(c, t, rows, BATCH);
    Var *logits = cc2vec_logits(c, t, vector);
    for (int64_t i = 0; i < BATCH; i++) {
        same(sides->val, 2 * i, item(cJSON_GetObjectItem(want, "removed"), i), "removed side");
        same(sides->val, 2 * i + 1, item(cJSON_GetObjectItem(want, "added"), i), "added side");
        same(vector->val, i, item(cJSON_GetObjectItem(want, "vector"), i), "vector");
        same(logits->val, i, item(cJSON_GetObjectItem(want, "logits"), i), "logits");
    }
    near(tape_scalar(cc2vec_loss(c, t, logits, label)), cJSON_GetObjectItem(want, "loss")->valuedouble, 1e-9, "loss");
}

static void as_the_reference_computes_it(void **state)
{
    (void)state;
    run = arena_open(0);
    cJSON *golden;
    Weights *w;
    const char *dir = str_print(&run, "%s/jit/cc2vec", golden_root(&run));
    if (json_read(&golden, &run, str_print(&run, "%s/golden.json", dir))) {
        err_clear();
        skip();
    }
    assert_false(weights_open(&w, &run, str_print(&run, "%s/model.safetensors", dir)));
    static const char *const MODE[] = {"fixed", "published"};
    for (int published = 0; published < 2; published++) {
        Cc2vec c;
        ParamSet *set = tiny(&c, F64, published);
        assert_int_equal(params_n(set), weights_n(w));
        for (int i = 0; i < params_n(set); i++) read_param(params_at(set, i), w);
        outputs_are(&c, golden, cJSON_GetObjectItem(cJSON_GetObjectItem(golden, "modes"), MODE[published]));
    }
    weights_close(w);
    cJSON_Delete(golden);
}

/* ---- gradient */

/* Three commits: one with both sides, one without a removed line, one without any. */
static const IdRow *some_rows(int64_t commit)
{
    static const int32_t ID[] = {5, 7, 2, 9, 20, 3, 11, 12};
    IdRow *rows = NEW(&run, IdRow, 2 * TINY.files * TINY.lines);
    if (commit == 0) rows[0] = (IdRow){ID, 3}, rows[4] = (IdRow){ID + 4, 1}, rows[6] = (IdRow){ID + 2, 5};
    if (commit == 1) rows[7] = (IdRow){ID + 1, 2}, rows[9] = (IdRow){ID + 3, 4}, rows[11] = (IdRow){ID, 5};
    return rows;
}

typedef struct {
    const Cc2vec *c;
    const IdRow *rows[BATCH];
    float label[BATCH * 17];
} Case;

static Var *loss_of(Tape *t, void *user)
{
    const Case *x = user;
    int mark = tape_enter(t);
    Var *y = cc2vec_logits(x->c, t, cc2vec_vector(x->c, t, x->rows, BATCH));
    return tape_leave(t, mark, cc2vec_loss(x->c, t, y, x->label));
}

static void gradients_are_right(void **state)
{
    (void)state;
    run = arena_open(0);
    for (int published = 0; published < 2; published++) {
        Cc2vec c;
        ParamSet *set = tiny(&c, F64, published);
        Case x = {.c = &c};
        for (int i = 0; i < BATCH; i++) x.rows[i] = some_rows(i);
        for (int i = 0; i < BATCH * 17; i++) x.label[i] = i % 5 == 0;
        GradCheck g = gradcheck_run(set, &run, loss_of, &x, 3, 1);
        EXPECT(g.worst < 1e-6 && g.worst_each < 1e-5, "%s: %.2g, and %.2g at %s", published ? "published" : "plain",
               g.worst, g.worst_each, g.at);
    }
}

/* ---- what counts */

/* A commit's vector is the same alone and in a batch, and blank lines change nothing; as published both matter. */
static void commits_are_apart(void **state)
{
    (void)state;
    run = arena_open(0);
    for (int published = 0; published < 2; published++) {
        Cc2vec c;
        tiny(&c, F64, published);
        IdRow *shifted = NEW(&run, IdRow, 2 * TINY.files * TINY.lines);
        const IdRow *own = some_rows(1), *rows[BATCH] = {some_rows(0), own, some_rows(2)};
        for (int i = 0; i < 12; i++) shifted[i] = own[i];
        shifted[8] = shifted[7], shifted[7] = (IdRow){0}; /* a blank line above the first */
        Tape *t = tape_open(&run, false);
        Tensor alone = cc2vec_vector(&c, t, &own, 1)->val, all = cc2vec_vector(&c, t, rows, BATCH)->val;
        Tensor moved = cc2vec_vector(&c, t, &(const IdRow *){shifted}, 1)->val;
        double batch = 0, blank = 0;
        for (int64_t i = 0; i < 28; i++) {
            batch = fmax(batch, fabs(tensor_get(alone, i) - tensor_get(all, 28 + i)));
            blank = fmax(blank, fabs(tensor_get(alone, i) - tensor_get(moved, i)));
        }
        EXPECT((batch < 1e-12) == !published && (blank < 1e-12) == !published,
               "%s: the batch changes the vector by %g, a blank line by %g", published ? "published" : "plain", batch,
               blank);
    }
}

/* The published sizes of the paper's network. */
static void parameter_counts(void **state)
{
    (void)state;
    run = arena_open(0);
    Cc2vec c;
    ParamSet *set = params_open(&run, F32, 1);
    Cc2vecShape s = cc2vec_shape(1000, 300);
    cc2vec_open(&c, set, &s);
    const struct {
        const char *glob;
        int64_t n;
    } want[] = {{"word.gru.*", 18816},
                {"line.gru.*", 18816},
                {"word.attention.*|word.context.*", 8256},
                {"line.attention.*|line.context.*", 8256},
                {"standard.*", 8256},
                {"tensor.*", 8320},
                {"tensor_linear.*", 258},
                {"hidden.*", 12608},
                {"embed.*", 64 * 1000},
                {"out.*", 65 * 300}};
    int64_t all = 0;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(params_count(set, want[i].glob, false), want[i].n);
        all += want[i].n;
    }
    assert_int_equal(params_count(set, NULL, false), all);
    assert_int_equal(cc2vec_width(&s), 196);
}

/* ---- words */

static ChangeLine line(LineKind kind, const char *text)
{
    return (ChangeLine){kind, text, strlen(text)};
}

static void words_of_commits(void **state)
{
    (void)state;
    run = arena_open(0);
    ChangeLine of_a[] = {line(LINE_KEEP, "x"), line(LINE_DEL, "Old (x)"), line(LINE_ADD, " ; "),
                         line(LINE_ADD, "new x 12 new"), line(LINE_ADD, "late x")};
    ChangeFile a = {.old_path = "", .new_path = "", .n = 5, .line = of_a};
    CodeChange change[] = {{.message = "Fix: it, fix", .n_files = 1, .file = &a}, {.message = "Fix more"}};
    JitSet set = {.n = 2, .change = change};
    CodeRows r = {.files = 1, .lines = 1, .words = 3};
    Words code = words_of_code(&run, &set, &r, 1);
    assert_int_equal(code.n, WORD_FIRST + 4); /* new x <num> old: of a side, one line and three words are read */
    assert_string_equal(code.word[WORD_FIRST + 2], "<num>");
    IdRow *row = code_rows(&run, &change[0], &code, &r);
    assert_true(row[0].n == 2 && row[0].id[0] == WORD_FIRST + 3 && row[0].id[1] == WORD_FIRST + 1);
    assert_true(row[1].n == 3 && row[1].id[0] == WORD_FIRST && row[1].id[2] == WORD_FIRST + 2);
    r.joined = true, r.lines = 3;
    row = code_rows(&run, &change[0], &code, &r); /* added lines, then removed ones */
    assert_true(row[0].n == 3 && row[1].n == 2 && row[1].id[0] == WORD_UNKNOWN && row[2].id[0] == WORD_FIRST + 3);

    r.whole = true, r.words = 64;
    row = code_rows(&run, &change[0], &code, &r); /* a row is a side */
    assert_true(row[0].n == 6 && row[1].n == 2 && row[1].id[0] == WORD_FIRST + 3 && row[2].n == 0);

    Words message = words_of_messages(&run, &set, 256, 2);
    assert_int_equal(message.n, WORD_FIRST + 1);
    float label[WORD_FIRST + 1] = {0};
    IdRow words = message_row(&run, &change[0], &message, 256, true);
    assert_int_equal(words.n, 5);
    words_mark(label, words, 256);
    assert_true(label[WORD_NONE] == 1 && label[WORD_UNKNOWN] == 0 && label[WORD_FIRST] == 1);
}

static void words_on_disk(void **state)
{
    (void)state;
    run = arena_open(0);
    Words w;
    static const char *const BAD[] = {"{}", "{\"w\": 3}", "{\"w\": [\"a\", 3]}", "{\"w\": [\"a\", \"\"]}",
                                      "{\"w\": [\"a\", \"b\", \"a\"]}"};
    cJSON *root;
    for (int i = 0; i < 5; i++) {
        assert_false(json_parse(&root, BAD[i], strlen(BAD[i]), "words"));
        assert_int_equal(words_read(&w, &run, root, "w", "words"), E_FORMAT);
        err_clear();
        cJSON_Delete(root);
    }
    const char *good = "{\"w\": [\"a\", \"b\"]}";
    assert_false(json_parse(&root, good, strlen(good), "words"));
    assert_false(words_read(&w, &run, root, "w", "words"));
    assert_true(w.n == WORD_FIRST + 2 && table_get(&w.id, "b", 1, -1) == WORD_FIRST + 1);
    cJSON *again = cJSON_CreateObject();
    cJSON_AddItemToObject(again, "w", words_json(&w));
    assert_true(cJSON_Compare(root, again, true));
    cJSON_Delete(root);
    cJSON_Delete(again);
}

SUITE(cmocka_unit_test(as_the_reference_computes_it), cmocka_unit_test(gradients_are_right),
      cmocka_unit_test(commits_are_apart), cmocka_unit_test(parameter_counts), cmocka_unit_test(words_of_commits),
      cmocka_unit_test(words_on_disk))
