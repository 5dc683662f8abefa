/* Checkpoints, tokenizers and adapters as people have them, with the answers of the library that made them: every
 * case folder is a test of the numbers, tokens or texts that it states.  A refusal is right only where the case says
 * so.  CASE in the environment chooses cases by a glob over their names.  None is run where the folders ($CASES, or
 * cases/ beside the golden files) are not at hand. */
#include "golden_walk.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "nn/build.h"
#include "text/tokenizer.h"

enum { CASES_MOST = 1024 };
static const double TOLERANCE = 2e-5; /* of the largest value */

typedef struct {
    Arena run, step;
    const char *dir, *kind;
    cJSON *root;
    int64_t zeros; /* U+0000 in its texts, which stand in `root` as U+FFFD */
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
    Bytes text;
    const char *path = str_print(&c->run, "%s/case.json", dir);
    EXPECT(file_read(&text, &c->run, path) == OK, "%s", err_message());
    c->zeros = json_mend_zeros(text.text, text.len);
    EXPECT(json_parse(&c->root, text.text, text.len, path) == OK, "%s", err_message());
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

/* A text of the case with its zeros as they were. */
static Bytes bytes_of(Case *c, const cJSON *text)
{
    static const char MENDED[] = "\xef\xbf\xbd";
    Buf b = buf_open(&c->step);
    for (const char *s = text->valuestring; *s; s++)
        if (c->zeros && !strncmp(s, MENDED, 3)) {
            buf_add(&b, "", 1);
            s += 2;
        } else {
            buf_add(&b, s, 1);
        }
    return (Bytes){b.text, b.len};
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

static Status opened(Case *c)
{
    Arena *run = &c->run;
    const char *model = str_print(run, "%s/%s", c->dir, text_of(c->root, "model")),
               *adapter = text_of(c->root, "adapter");
    if (!adapter) return model_load(&c->m, run, model);
    TRY(adapter_open(&c->a, run, str_print(run, "%s/%s", c->dir, adapter)));
    TRY(model_load_as(&c->m, run, model, &(LoadOptions){.classes = adapter_classes(c->a)}));
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

/* Whether the refusal has every word of the list; without a list any sentence will do. */
static bool has_words(const cJSON *words, const char *sentence)
{
    const cJSON *word;
    cJSON_ArrayForEach(word,
                       words) if (cJSON_IsString(word) && !strcasestr(sentence, word->valuestring)) return false;
    return sentence[0] != 0;
}

/* A refusal is right where one is expected, or stated to be as good as the answer. */
static void expect_refusal(const Case *c, const char *sentence)
{
    const cJSON *wanted = cJSON_GetObjectItem(c->expect, strcmp(c->kind, "refuse") ? "or_refuse" : "words");
    EXPECT(wanted, "%s: refused: %s", c->dir, sentence);
    EXPECT(has_words(wanted, sentence), "%s: the refusal lacks a word of %s: %s", c->dir,
           cJSON_PrintUnformatted(wanted), sentence);
    err_clear();
}

/* ---- numbers of a model, with an adapter or without */

static void numbers_hold(Case *c)
{
    int32_t *len = NULL;
    bool merge = !strcmp(c->kind, "merge");
    Status s = opened(c);
    if (!s && merge) s = merged(c);
    if (s) {
        expect_refusal(c, err_message());
        return;
    }
    EXPECT(strcmp(c->kind, "refuse") != 0, "%s: accepted, and %s", c->dir, text_of(c->root, "what"));
    const char *outputs = merge ? text_of(c->input, "outputs") : c->kind;
    Tensor got = answer(c, c->m, c->hooks, outputs, &len);
    Gap gap = golden_gap(got, expected(c, merge ? "logits" : outputs, got), len);
    EXPECT(gap.rel <= TOLERANCE, "%s: differs by %.2g of the largest value: %s", c->dir, gap.rel,
           text_of(c->root, "what"));
}

/* ---- tokens */

static void expect_ids(const Case *c, const char *what, const BpeText *got, const cJSON *want)
{
    bool same = got->n == cJSON_GetArraySize(want);
    for (int64_t i = 0; same && i < got->n; i++) same = got->id[i] == cJSON_GetArrayItem(want, (int)i)->valueint;
    if (same) return;
    Buf b = buf_open((Arena *)&c->step);
    for (int64_t i = 0; i < got->n; i++) buf_print(&b, "%s%d", i ? "," : "", got->id[i]);
    EXPECT(false, "%s: %s are [%s], expected %s: %s", c->dir, what, b.text, cJSON_PrintUnformatted(want),
           text_of(c->root, "what"));
}

static Status tokenizer_of_case(Case *c, Tokenizer *t)
{
    return tokenizer_open(t, &c->run, str_print(&c->run, "%s/%s", c->dir, text_of(c->root, "model")));
}

static Status tokens_hold(Case *c)
{
    Tokenizer t;
    TRY(tokenizer_of_case(c, &t));
    const char *language = text_of(c->input, "language");
    bool special = cJSON_IsTrue(cJSON_GetObjectItem(c->input, "special_tokens_in_text"));
    const cJSON *text, *pair;
    int i = 0, k = 0;
    cJSON_ArrayForEach(text, cJSON_GetObjectItem(c->input, "texts"))
    {
        Bytes one = bytes_of(c, text);
        BpeText x = tokenizer_encode(&t, &c->step, one.text, one.len, special), whole;
        expect_ids(c, str_print(&c->run, "the bare ids of text %d", i), &x,
                   cJSON_GetArrayItem(cJSON_GetObjectItem(c->expect, "ids_without_frame"), i));
        TRY(tokenizer_wrap(&whole, &t, &c->step, &x, NULL, language, (Limit){0}));
        expect_ids(c, str_print(&c->run, "the ids of text %d", i), &whole,
                   cJSON_GetArrayItem(cJSON_GetObjectItem(c->expect, "ids"), i));
        i++;
    }
    cJSON_ArrayForEach(pair, cJSON_GetObjectItem(c->input, "pairs"))
    {
        const char *a = cJSON_GetArrayItem(pair, 0)->valuestring, *b = cJSON_GetArrayItem(pair, 1)->valuestring;
        BpeText x = tokenizer_encode(&t, &c->step, a, strlen(a), special), whole;
        BpeText y = tokenizer_encode(&t, &c->step, b, strlen(b), special);
        TRY(tokenizer_wrap(&whole, &t, &c->step, &x, &y, language, (Limit){0}));
        expect_ids(c, str_print(&c->run, "the ids of pair %d", k), &whole,
                   cJSON_GetArrayItem(cJSON_GetObjectItem(c->expect, "pair_ids"), k));
        k++;
    }
    tokenizer_close(&t);
    return OK;
}

/* Zeros of the text count as U+FFFD, as those of the case do. */
static void expect_text(Case *c, Bytes got, const cJSON *want)
{
    Buf b = buf_open(&c->step);
    for (size_t i = 0; i < got.len; i++)
        buf_add(&b, got.text[i] ? got.text + i : "\xef\xbf\xbd", got.text[i] ? 1 : 3);
    EXPECT(!strcmp(b.text, want->valuestring), "%s: the text is \"%s\", expected \"%s\": %s", c->dir, b.text,
           want->valuestring, text_of(c->root, "what"));
}

static Bytes decoded(Case *c, const Tokenizer *t, const int32_t *id, int64_t n)
{
    Bytes b;
    b.text = tokenizer_decode(t, &c->step, id, n, &b.len);
    return b;
}

static Status texts_hold(Case *c)
{
    Tokenizer t;
    TRY(tokenizer_of_case(c, &t));
    const cJSON *row, *x;
    int k = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(c->input, "ids"))
    {
        int64_t n = 0, plain = 0;
        int32_t *id = NEW(&c->step, int32_t, cJSON_GetArraySize(row) + 1), *kept = NEW(&c->step, int32_t, 1000);
        cJSON_ArrayForEach(x, row) id[n++] = x->valueint;
        for (int64_t i = 0; i < n && plain < 1000; i++)
            if (!tokenizer_is_special(&t, id[i])) kept[plain++] = id[i];
        expect_text(c, decoded(c, &t, id, n), cJSON_GetArrayItem(cJSON_GetObjectItem(c->expect, "text"), k));
        expect_text(c, decoded(c, &t, kept, plain),
                    cJSON_GetArrayItem(cJSON_GetObjectItem(c->expect, "text_without_specials"), k));
        k++;
    }
    tokenizer_close(&t);
    return OK;
}

/* ---- the program itself */

typedef struct {
    int status;
    Bytes out, err;
} Ran;

static Ran run_program(Case *c, const char *command, const char *options)
{
    const char *vernier = getenv("VERNIER"), *text = text_of(c->input, "text");
    char *dir = str_print(&c->run, "/tmp/vernier-case-XXXXXX");
    assert_non_null(mkdtemp(dir));
    const char *in = str_print(&c->run, "%s/in", dir), *out = str_print(&c->run, "%s/out", dir),
               *err = str_print(&c->run, "%s/err", dir);
    EXPECT(file_write(in, text, strlen(text)) == OK, "%s", err_message());
    int code =
        system(str_print(&c->run, "'%s' %s '%s/%s' '%s' %s >'%s' 2>'%s'", vernier ? vernier : "build/release/vernier",
                         command, c->dir, text_of(c->root, "model"), in, options, out, err));
    Ran r = {.status = WIFEXITED(code) ? WEXITSTATUS(code) : 128};
    EXPECT(file_read(&r.out, &c->run, out) == OK && file_read(&r.err, &c->run, err) == OK, "%s", err_message());
    unlink(in);
    unlink(out);
    unlink(err);
    rmdir(dir);
    EXPECT(r.status == 0 || r.status == 3, "%s: exit status %d: %s", c->dir, r.status, r.err.text);
    if (r.status) expect_refusal(c, r.err.text);
    return r;
}

static void writing_holds(Case *c)
{
    Buf options = buf_open(&c->run);
    buf_print(&options, "--json");
    const cJSON *most = cJSON_GetObjectItem(cJSON_GetObjectItem(c->input, "options"), "max_new_tokens"), *word;
    if (most) buf_print(&options, " --max-new-tokens %d", most->valueint);
    cJSON_ArrayForEach(word, cJSON_GetObjectItem(c->input, "arguments"))
        buf_print(&options, " '%s'", word->valuestring);
    Ran r = run_program(c, "generate", options.text);
    if (r.status) return;
    cJSON *line = cJSON_Parse(r.out.text);
    int64_t bad = 0;
    size_t n_bytes;
    utf8_repair(&c->step, r.out.text, r.out.len, &n_bytes, &bad);
    EXPECT(line && !bad, "%s: not JSON in UTF-8: %s", c->dir, r.out.text);
    cJSON *got = cJSON_GetObjectItem(line, "ids"), *want = cJSON_GetObjectItem(c->expect, "ids");
    int n = cJSON_GetArraySize(got);
    if (cJSON_IsTrue(cJSON_GetObjectItem(c->expect, "ended")) && n == cJSON_GetArraySize(want) + 1)
        cJSON_DeleteItemFromArray(got, n - 1);
    EXPECT(cJSON_Compare(got, want, true), "%s: wrote %s, expected %s: %s", c->dir, cJSON_PrintUnformatted(got),
           cJSON_PrintUnformatted(want), text_of(c->root, "what"));
    const char *text = text_of(line, "text");
    expect_text(c, (Bytes){(char *)text, strlen(text)}, cJSON_GetObjectItem(c->expect, "text"));
    cJSON_Delete(line);
}

static void filling_holds(Case *c)
{
    Ran r = run_program(c, "fill", str_print(&c->run, "--top %d", cJSON_GetObjectItem(c->input, "top")->valueint));
    if (r.status) return;
    const cJSON *mask, *x, *probabilities = cJSON_GetObjectItem(c->expect, "probabilities");
    const char *line = r.out.text;
    int k = 0;
    cJSON_ArrayForEach(mask, cJSON_GetObjectItem(c->expect, "ids"))
    {
        int i = 0;
        cJSON_ArrayForEach(x, mask)
        {
            double percent, want = cJSON_GetArrayItem(cJSON_GetArrayItem(probabilities, k), i)->valuedouble;
            int id;
            while (line && *line == '\n') line++; /* between two masks */
            EXPECT(line && sscanf(line, "%*d %lf %% %d", &percent, &id) == 2, "%s: printed %s", c->dir, r.out.text);
            EXPECT(id == x->valueint && fabs(percent / 100 - want) < 1e-4,
                   "%s: place %d of mask %d is id %d at %g %%, expected %d at %g %%: %s", c->dir, i, k, id, percent,
                   x->valueint, 100 * want, text_of(c->root, "what"));
            line = strchr(line, '\n');
            if (line) line++;
            i++;
        }
        k++;
    }
}

static void case_holds(void **state)
{
    Case c;
    err_clear(); /* of a case that failed */
    case_open(&c, *state);
    Status s = OK;
    if (!strcmp(c.kind, "tokenize"))
        s = tokens_hold(&c);
    else if (!strcmp(c.kind, "detokenize"))
        s = texts_hold(&c);
    else if (!strcmp(c.kind, "generate"))
        writing_holds(&c);
    else if (!strcmp(c.kind, "fill"))
        filling_holds(&c);
    else
        numbers_hold(&c);
    if (s) expect_refusal(&c, err_message());
    case_close(&c);
}

static void nothing_at_hand(void **state)
{
    (void)state;
    skip();
}

/* Folders that have a case.json. */
static int cases(Arena *a, struct CMUnitTest *tests)
{
    const char *given = getenv("CASES"), *only = getenv("CASE"),
               *root = given && *given ? given : shared_path(a, "cases");
    const char *name[CASES_MOST];
    root = str_print(a, "%s/checkpoints", root);
    int n = 0, found = walk_entries(a, root, name, CASES_MOST);
    for (int i = 0; i < found; i++) {
        char *dir = str_print(a, "%s/%s", root, name[i]);
        if (access(str_print(a, "%s/case.json", dir), F_OK)) continue;
        if (!only || str_glob(only, name[i])) tests[n++] = (struct CMUnitTest){dir, case_holds, NULL, NULL, dir};
    }
    return n;
}

int main(void)
{
    static struct CMUnitTest tests[CASES_MOST];
    Arena a = arena_open(1 << 26);
    int n = cases(&a, tests);
    if (!n) tests[n++] = (struct CMUnitTest){"cases (skipped: not at hand)", nothing_at_hand, NULL, NULL, NULL};
    return _cmocka_run_group_tests("cases", tests, (size_t)n, NULL, NULL) != 0;
}
