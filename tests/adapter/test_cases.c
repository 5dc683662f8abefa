/* Adapters as people have them, with the answers of the library that made them: every case folder with an adapter is
 * a test.  An answer must be right, or the adapter must be refused with a sentence; a wrong number is neither.  Where
 * a case states that its wrong answer once went unnoticed, a refusal will do only if the case allows one.  None is
 * run where the folders ($CASES, or cases/ beside the golden files) are not at hand. */
#include "golden_walk.h"

#include <unistd.h>

#include "nn/build.h"

enum { CASES_MOST = 1024 };
static const double TOLERANCE = 2e-5; /* of the largest value */

typedef struct {
    Arena run, step;
    const char *dir, *kind;
    cJSON *root;
    const cJSON *input, *expect;
    Model *m;
    Hooks *hooks;
    Adapter *a;
} Case;

static const char *text_of(const cJSON *object, const char *key)
{
    const cJSON *j = cJSON_GetObjectItem(object, key);
    return cJSON_IsString(j) ? j->valuestring : NULL;
}

static void case_open(Case *c, const char *dir)
{
    *c = (Case){.run = arena_open((size_t)1 << 32), .step = arena_open((size_t)1 << 32), .dir = dir};
    EXPECT(json_read(&c->root, &c->run, str_print(&c->run, "%s/case.json", dir)) == OK, "%s", err_message());
    c->kind = text_of(c->root, "kind");
    c->input = cJSON_GetObjectItem(c->root, "input");
    c->expect = cJSON_GetObjectItem(c->root, "expect");
}

static void case_close(Case *c)
{
    adapter_close(c->a);
    cJSON_Delete(c->root);
    arena_close(&c->run);
    arena_close(&c->step);
}

static Ids ids_of(Case *c, const char *key)
{
    const cJSON *rows = cJSON_GetObjectItem(c->input, key), *row, *x;
    Ids out = {cJSON_GetArraySize(rows), cJSON_GetArraySize(cJSON_GetArrayItem(rows, 0)), NULL};
    out.id = NEW(&c->run, int32_t, out.b * out.t + 1);
    int64_t i = 0;
    cJSON_ArrayForEach(row, rows) cJSON_ArrayForEach(x, row) out.id[i++] = (int32_t)x->valuedouble;
    return out;
}

/* The rows of a case, how long each is, and the numbers that its outputs name. */
static Tensor answer(Case *c, Model *m, const Hooks *hooks, const char *outputs, int32_t **len)
{
    Ids x = ids_of(c, "ids"), mask = ids_of(c, "mask"), y = ids_of(c, "decoder_ids");
    *len = NEW(&c->run, int32_t, x.b);
    for (int64_t i = 0; i < x.b * x.t; i++) (*len)[i / x.t] += mask.id ? mask.id[i] : 1;
    Batch b = {.b = x.b, .t = x.t, .ids = x.id, .len = *len};
    if (m->arch->encode) b = (Batch){.b = x.b, .t = y.t, .ids = y.id, .s = x.t, .src = x.id, .src_len = *len};
    if (m->arch->encode) *len = NULL;
    Pass p = {.tape = tape_open(&c->step, false), .hooks = hooks};
    if (!strcmp(outputs, "hidden")) return model_hidden(m, &p, &b)->val;
    if (strcmp(outputs, "classes") != 0) return model_logits(m, &p, &b)->val;
    *len = NULL;
    Tensor z = model_classes(m, &p, &b)->val;
    return tensor_reshape(z, SHAPE(z.dim[0], z.dim[2]));
}

static Tensor expected(Case *c, const char *outputs, Tensor like)
{
    const cJSON *j = cJSON_GetObjectItem(c->expect, outputs), *x;
    Tensor t = tensor_new(&c->run, F64, like.rank, like.dim);
    if (cJSON_IsString(j)) {
        EXPECT(npy_read(&t, &c->run, str_print(&c->run, "%s/%s", c->dir, j->valuestring)) == OK, "%s", err_message());
        return t;
    }
    int64_t i = 0;
    EXPECT(cJSON_GetArraySize(j) == tensor_count(t), "%s: %d numbers, the model gives %s", c->dir,
           cJSON_GetArraySize(j), tensor_shape(like));
    cJSON_ArrayForEach(x, j) tensor_set(t, i++, x->valuedouble);
    return t;
}

static Status attached(Case *c)
{
    Arena *run = &c->run;
    TRY(adapter_open(&c->a, run, str_print(run, "%s/%s", c->dir, text_of(c->root, "adapter"))));
    TRY(model_load_as(&c->m, run, str_print(run, "%s/%s", c->dir, text_of(c->root, "model")),
                      &(LoadOptions){.classes = adapter_classes(c->a)}));
    c->hooks = hooks_new(run);
    return adapter_attach(c->a, c->m, c->hooks);
}

/* The model with the adapter folded in, as it is read back from a directory. */
static Status merged(Case *c)
{
    char *dir = str_print(&c->run, "/tmp/vernier-case-XXXXXX");
    if (!c->a->method->merge) return err_fail(E_MISMATCH, "%s cannot be folded", c->a->method->name);
    TRY(c->a->method->merge(c->m, &c->a->cfg));
    assert_non_null(mkdtemp(dir));
    Status s = model_save(c->m, dir);
    if (!s) s = model_load(&c->m, &c->run, dir);
    c->hooks = NULL;
    unlink(str_print(&c->run, "%s/config.json", dir));
    unlink(str_print(&c->run, "%s/model.safetensors", dir));
    rmdir(dir);
    return s;
}

static void expect_words(const Case *c)
{
    const cJSON *word;
    cJSON_ArrayForEach(word, cJSON_GetObjectItem(c->expect, "words"))
        EXPECT(strcasestr(err_message(), word->valuestring), "%s: '%s' is not in: %s", c->dir, word->valuestring,
               err_message());
}

static void case_holds(void **state)
{
    Case c;
    int32_t *len = NULL;
    case_open(&c, *state);
    bool merge = !strcmp(c.kind, "merge"), refuse = !strcmp(c.kind, "refuse");
    Status s = attached(&c);
    if (!s && merge) s = merged(&c);
    if (s) {
        const cJSON *allowed = cJSON_GetObjectItem(c.expect, "or_refuse");
        EXPECT(err_message()[0], "%s: refused without a word", c.dir);
        EXPECT(allowed || strncmp(text_of(c.root, "today"), "wrong", 5) != 0, "%s: %s", c.dir, err_message());
        if (refuse)
            expect_words(&c);
        else
            print_message("# %s: refused: %s\n", c.dir, err_message());
        err_clear();
    } else {
        EXPECT(!refuse, "%s: accepted, and %s", c.dir, text_of(c.root, "what"));
        const char *outputs = merge ? text_of(c.input, "outputs") : c.kind;
        Tensor got = answer(&c, c.m, c.hooks, outputs, &len);
        Gap gap = golden_gap(got, expected(&c, merge ? "logits" : outputs, got), len);
        EXPECT(gap.rel <= TOLERANCE, "%s: differs by %.2g of the largest value: %s", c.dir, gap.rel,
               text_of(c.root, "what"));
    }
    case_close(&c);
}

static void nothing_at_hand(void **state)
{
    (void)state;
    skip();
}

/* Folders whose case.json has an adapter, and an answer or a refusal to compare. */
static int cases(Arena *a, struct CMUnitTest *tests)
{
    const char *given = getenv("CASES"), *root = given && *given ? given : shared_path(a, "cases");
    const char *name[CASES_MOST];
    root = str_print(a, "%s/checkpoints", root);
    int n = 0, found = walk_entries(a, root, name, CASES_MOST);
    for (int i = 0; i < found; i++) {
        cJSON *j;
        char *dir = str_print(a, "%s/%s", root, name[i]);
        if (json_read(&j, a, str_print(a, "%s/case.json", dir))) {
            err_clear();
            continue;
        }
        if (text_of(j, "adapter") && str_glob("logits|hidden|classes|merge|refuse", text_of(j, "kind")))
            tests[n++] = (struct CMUnitTest){dir, case_holds, NULL, NULL, dir};
        cJSON_Delete(j);
    }
    return n;
}

int main(void)
{
    static struct CMUnitTest tests[CASES_MOST];
    Arena a = arena_open(1 << 26);
    int n = cases(&a, tests);
    if (!n)
        tests[n++] = (struct CMUnitTest){"adapter cases (skipped: not at hand)", nothing_at_hand, NULL, NULL, NULL};
    return _cmocka_run_group_tests("adapter cases", tests, (size_t)n, NULL, NULL) != 0;
}
