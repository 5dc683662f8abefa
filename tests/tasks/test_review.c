/* The inputs of CodeReviewer and CCT5: token by token those of the published builders for the same draws, where the
 * golden files are, and by hand; hunks of change records; the symbols that a tokenizer must have. */
#include "expect.h"

#include <string.h>

#include "io/json.h"
#include "io/weights.h"
#include "scratch.h"
#include "shared.h"
#include "tasks/cmg.h"
#include "tasks/jit_model.h"
#include "tasks/review.h"

/* ---- a tokenizer of whole words, as the golden builders used */

static void add_word(cJSON *vocab, const char *word)
{
    if (!cJSON_GetObjectItemCaseSensitive(vocab, word))
        cJSON_AddNumberToObject(vocab, word, cJSON_GetArraySize(vocab));
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
    EXPECT(!json_write(root, path) && !tokenizer_open(&t, &arena, path) && !unlink(path), "%s", err_message());
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
    const char *what =
        str_print(&arena, "%s, change %d", REVIEW_FORM[p->form], cJSON_GetObjectItem(want, "change")->valueint);
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

/* A change record with the added and the removed lines. */
static CodeChange record_of(const cJSON *want)
{
    static const char *const KEY[] = {"added", "removed"};
    CodeChange c = {.id = "1", .repo = "r", .message = json_text_in(want, "msg"), .n_files = 1};
    ChangeFile *f = c.file = NEW(&arena, ChangeFile, 1);
    *f = (ChangeFile){.old_path = "A.java", .new_path = "A.java", .line = NEW(&arena, ChangeLine, 4096)};
    for (int k = 0; k < 2; k++) {
        const char *line;
        size_t n;
        for (const char *rest = json_text_in(want, KEY[k]); str_next(&rest, "\n", &line, &n);)
            f->line[f->n++] = (ChangeLine){k ? LINE_DEL : LINE_ADD, str_copy(&arena, line, n), n};
    }
    return c;
}

static void commits_are_read_as_cct5_reads_them(void **state)
{
    (void)state;
    cJSON *root = read_golden(), *want;
    if (!root) skip();
    Tokenizer t = words_of(root, 0);
    const int32_t bos = tokenizer_find(&t, "<s>"), eos = tokenizer_find(&t, "</s>");
    t.single = (TokenFrame){.n = {1, 1}, .id = {{bos}, {eos}}};
    cJSON_ArrayForEach(want, cJSON_GetObjectItem(root, "defects"))
    {
        const CodeChange c = record_of(want);
        const JitPlan p = jit_plan(&t, (int)tokenizer_size(&t), 0);
        int32_t *id, n;
        JitLines lines;
        EXPECT(!jit_ids(&id, &n, &lines, &arena, &c, &t, &p), "%s", err_message());
        same(id, n, cJSON_GetObjectItem(want, "source"), &t, "a commit for defect prediction");
    }
    tokenizer_close(&t);
    cJSON_Delete(root);
}

/* ---- change records */

static ChangeFile file_of(const char *text)
{
    ChangeFile f = {.old_path = "A.java", .new_path = "A.java", .line = NEW(&arena, ChangeLine, 64)};
    const char *line;
    size_t n;
    for (const char *rest = text; str_next(&rest, "\n", &line, &n);) {
        LineKind kind = *line == '+' ? LINE_ADD : *line == '-' ? LINE_DEL : LINE_KEEP;
        f.line[f.n++] = (ChangeLine){kind, str_copy(&arena, line + 1, n - 1), n - 1};
    }
    return f;
}

/* A hunk as the patch of it would be read with the old file. */
static void same_hunk(const Hunk *h, const char *patch, const char *old)
{
    Hunk want;
    EXPECT(hunk_read(&want, &arena, patch, old, ""), "%s: is no hunk", patch);
    assert_int_equal(h->n, want.n);
    assert_int_equal(h->n_before, want.n_before);
    assert_int_equal(h->n_after, want.n_after);
    for (int64_t i = 0; i < h->n; i++) {
        assert_int_equal(h->line[i].kind, want.line[i].kind);
        assert_memory_equal(h->line[i].text, want.line[i].text, want.line[i].len);
    }
    for (int64_t i = 0; i < h->n_before; i++)
        assert_memory_equal(h->before[i].text, want.before[i].text, want.before[i].len);
    for (int64_t i = 0; i < h->n_after; i++)
        assert_memory_equal(h->after[i].text, want.after[i].text, want.after[i].len);
}

/* Two changes with six kept lines between them are one hunk, with seven two. */
static void a_record_is_cut_into_hunks(void **state)
{
    (void)state;
    const ChangeFile near = file_of(" a\n b\n-c\n d\n e\n f\n g\n h\n i\n+j\n k");
    const ChangeFile far = file_of(" a\n b\n w\n x\n-c\n d\n e\n f\n g\n h\n i\n y\n+j\n k\n l\n m\n n");
    const ChangeFile none = file_of(" a\n b");
    Hunk *h;
    assert_int_equal(hunks_of(&h, &arena, &near, " Why \t"), 1);
    assert_int_equal(h->message.len, 3);
    same_hunk(h, "@@ -1,10 +1,10 @@\n a\n b\n-c\n d\n e\n f\n g\n h\n i\n+j\n k", "a\nb\nc\nd\ne\nf\ng\nh\ni\nk");
    assert_int_equal(hunks_of(&h, &arena, &far, ""), 2);
    const char *old = "a\nb\nw\nx\nc\nd\ne\nf\ng\nh\ni\ny\nk\nl\nm\nn";
    same_hunk(&h[0], "@@ -2,7 +2,6 @@\n b\n w\n x\n-c\n d\n e\n f", old);
    same_hunk(&h[1], "@@ -10,6 +9,7 @@\n h\n i\n y\n+j\n k\n l\n m", old);
    assert_int_equal(hunks_of(&h, &arena, &none, ""), 0);
}

static void a_header_has_four_numbers(void **state)
{
    (void)state;
    static const char *const NOT[] = {"@@ -1 +1 @@\n+a",
                                      "@@ -1,2 +1,2\n+a",
                                      "@@ -,2 +1,2 @@\n+a",
                                      " @@ -1,2 +1,2 @@\n+a",
                                      "@@ -1,2 +1,2 @@",
                                      "@@ -1,2 +1,2 @@\n+\t\n \n-",
                                      ""};
    Hunk h;
    for (size_t i = 0; i < sizeof NOT / sizeof *NOT; i++)
        EXPECT(!hunk_read(&h, &arena, NOT[i], "x", ""), "'%s' is taken for a hunk", NOT[i]);
    assert_true(hunk_read(&h, &arena, "@@ -99999999999999999999,2 +1,2 @@ f()\n+a", "x\n\ny", ""));
    assert_int_equal(h.n_before, 2);
    assert_int_equal(h.n_after, 0);
}

/* Fine-tuning reads a record as it reads the patch of it. */
static void simple_forms_agree(void **state)
{
    (void)state;
    static const char *const PATCH = "+  a  b\n-a\n \n c \n+\n-\t\n  \td";
    const ChangeFile f = file_of(PATCH);
    const CodeChange c = {.n_files = 1, .file = (ChangeFile *)&f};
    cJSON *words = cJSON_CreateStringArray((const char *const[]){"a", "b", "c", "d", "Why"}, 5);
    Tokenizer t = words_of(words, 0);
    for (int form = 0; form < REVIEW_FORMS; form++) {
        ReviewPlan p;
        EXPECT(!review_plan(&p, &t, (ReviewForm)form, 0), "%s", err_message());
        const ReviewExample x = review_simple_change(&arena, &c, (Bytes){(char *)"Why", 3}, &p);
        const ReviewExample y = review_simple(&arena, str_print(&arena, "@@ -1,2 +1,2 @@\n%s", PATCH), "Why", &p);
        assert_int_equal(x.n_source, 13);
        assert_int_equal(x.n_source, y.n_source);
        assert_int_equal(x.n_target, 3);
        assert_memory_equal(x.source, y.source, sizeof *x.source * (size_t)x.n_source);
        assert_memory_equal(x.target, y.target, sizeof *x.target * (size_t)x.n_target);
    }
    tokenizer_close(&t);
    cJSON_Delete(words);
}

/* ---- symbols and limits */

static void expect_words(const char *words)
{
    EXPECT(strstr(err_message(), words), "'%s' is not in: %s", words, err_message());
    err_clear();
}

static void symbols_need_room(void **state)
{
    (void)state;
    ReviewPlan p;
    Tokenizer t = words_of(NULL, 3); /* <keep>, <add> and <del> are missing */
    int size = (int)tokenizer_size(&t);
    EXPECT(!review_plan(&p, &t, REVIEW_CCT5, size + 3), "%s", err_message());
    assert_int_equal(p.tag[LINE_KEEP], size);
    assert_int_equal(p.tag[LINE_DEL], size + 2);
    assert_int_equal(p.start, tokenizer_find(&t, "<start>"));
    assert_int_equal(review_plan(&p, &t, REVIEW_CCT5, size + 2), E_MISMATCH);
    expect_words("'<keep>'");
    tokenizer_close(&t);
}

/* Whatever the lengths, no source and no target is longer than its limit, and each ends as it should. */
static void examples_keep_their_limits(void **state)
{
    (void)state;
    Tokenizer t = words_of(NULL, 0);
    ReviewPlan p;
    for (int f = 0; f < REVIEW_FORMS; f++)
        for (int n = 0; n < 1200; n += 37) {
            Buf b = buf_open(&arena);
            buf_print(&b, "@@ -1,1 +1,1 @@");
            for (int i = 0; i <= n; i++)
                buf_print(&b, "%s%s", i % 5 ? " " : i % 3 ? "\n+" : "\n-", i % 7 ? "a" : ".");
            Hunk h;
            ReviewLines l;
            EXPECT(!review_plan(&p, &t, (ReviewForm)f, 0) && hunk_read(&h, &arena, b.text, b.text, b.text),
                   "no hunk");
            review_lines(&l, &arena, &h, &p);
            for (int o = 0; o < REVIEW_OBJECTIVE_COUNT; o++) {
                ReviewDraws d = {.stream = (uint64_t)n};
                const ReviewExample x = review_example(&arena, &l, &p, (ReviewObjective)o, &d);
                EXPECT(x.n_source <= 512 && x.n_target <= 128, "%s: %d and %d tokens", REVIEW_OBJECTIVE[o],
                       x.n_source, x.n_target);
                assert_int_equal(x.source[0], p.bos);
                assert_int_equal(x.source[x.n_source - 1], p.eos);
                if (o != REVIEW_TAGS) assert_int_equal(x.target[x.n_target - 1], p.eos);
            }
        }
    tokenizer_close(&t);
}

/* ---- checkpoints */

static void write_text(const char *name, const char *text)
{
    EXPECT(!file_write(str_print(&arena, "%s/%s", dir, name), text, strlen(text)), "%s", err_message());
}

/* Small T5 in the layout of both: CodeT5's vocab.json and merges.txt, added_tokens.json, and a bare pytorch_model.bin
 * whose token table has more rows than config.json says and a classifier beside the model.  *rows: of the table. */
static Model *write_checkpoint(int *rows)
{
    static const char CODE[] = "int a = b; return a; fix the list";
    Bpe *b;
    Config c = {0};
    Model *m, *small;
    Weights *w;
    Buf added = buf_open(&arena);
    EXPECT(!bpe_train(&b, &arena, &(BpeTrain){.size = 290}, (Bytes[]){{(char *)CODE, strlen(CODE)}}, 1) &&
               !bpe_save(b, dir),
           "%s", err_message());
    int size = (int)bpe_size(b);
    bpe_close(b);
    buf_print(&added, "{");
    for (*rows = size; REVIEW_SYMBOLS[*rows - size]; ++*rows)
        buf_print(&added, "%s\"%s\": %d", *rows > size ? ", " : "", REVIEW_SYMBOLS[*rows - size], *rows);
    buf_print(&added, "}");
    write_text("added_tokens.json", added.text);
    arch_find("t5")->defaults(&c);
    c.dim = 16, c.heads = 2, c.head_dim = 8, c.hidden = 32, c.layers = c.decoder_layers = 2, c.state_classes = 2;
    c.pad = 1, c.bos = 0, c.eos = 2, c.decoder_start = 1, c.vocab = *rows;
    EXPECT(!model_open(&m, &arena, &c, F32, 5) && !model_save(m, dir), "%s", err_message());
    EXPECT(!weights_open(&w, &arena, dir), "%s", err_message());
    Stored *all = NEW(&arena, Stored, weights_n(w));
    for (int i = 0; i < weights_n(w); i++) all[i] = *weights_at(w, i);
    EXPECT(!weights_write(str_print(&arena, "%s/pytorch_model.bin", dir), all, weights_n(w)), "%s", err_message());
    weights_close(w);
    c.vocab = size;
    EXPECT(!model_open(&small, &arena, &c, F32, 5) && !model_save(small, dir), "%s", err_message());
    EXPECT(!unlink(str_print(&arena, "%s/model.safetensors", dir)), "model.safetensors is not there");
    return m;
}

static void same_parameters(const Model *a, const Model *b)
{
    assert_int_equal(params_n(a->params), params_n(b->params));
    for (int i = 0; i < params_n(a->params); i++) {
        const Param *p = params_at(a->params, i), *q = param_find(b->params, p->name);
        EXPECT(q && !memcmp(p->val.data, q->val.data, tensor_bytes(p->val)), "%s differs", p->name);
    }
}

/* Its classifier of two states begins the defect head: the logit of a commit is the difference of the two. */
static void predicts(Model *m, const Tokenizer *t)
{
    JitModel j;
    Examples x;
    CodeChange c = {.id = "1", .repo = "r", .message = "fix the list", .n_files = 1, .label = 1};
    ChangeFile f = file_of("-int a = b;\n+return a;");
    c.file = &f;
    const JitSet s = {.n = 1, .change = &c};
    const JitPlan p = jit_plan(t, m->config.vocab, 0);
    double got;
    jit_model_open(&j, m, JIT_SINGLE);
    EXPECT(!jit_tokens(&x, &arena, &s, t, &p), "%s", err_message());
    jit_model_show(&j, &arena, &s, &x, NULL);
    Arena step = arena_open(0);
    EXPECT(!jit_predict(&got, &j, NULL, &step, NULL, NULL), "%s", err_message());
    Pass pass = {.tape = tape_open(&step, false)};
    const Tensor h = model_encode(m, &pass, &(Batch){.b = 1, .s = x.len[0], .src = x.ids[0]})->val;
    const Tensor w = param_find(m->params, "cls_head.weight")->val, b = param_find(m->params, "cls_head.bias")->val;
    double logit[2];
    for (int k = 0; k < 2; k++) {
        logit[k] = tensor_get(b, k);
        for (int i = 0; i < 16; i++) logit[k] += tensor_get(w, k * 16 + i) * tensor_get(h, i);
    }
    near(got, 1 / (1 + exp(logit[0] - logit[1])), 1e-6, "the probability of a defect");
    arena_close(&step);
}

/* The message of a change, from the first token that the decoder writes on. */
static void generates(Model *m, const Tokenizer *t)
{
    CodeChange c = {.id = "1", .repo = "r", .message = "fix the list", .n_files = 1};
    ChangeFile f = file_of("-int a = b;\n+return a;");
    Examples x;
    Bytes message;
    c.file = &f;
    const CmgPlan p = cmg_plan(m, t);
    assert_int_equal(p.add, tokenizer_find(t, "<add>"));
    EXPECT(!cmg_sources(&x, &arena, 1, &c, m, t, &p), "%s", err_message());
    Arena step = arena_open(0);
    const GenerateConfig how = generate_defaults(m, 4);
    EXPECT(!cmg_write(&message, &arena, &step, m, NULL, t, &x, &how, NULL, NULL), "%s", err_message());
    arena_close(&step);
}

static void checkpoints_are_read(void **state)
{
    (void)state;
    int rows;
    Model *made = write_checkpoint(&rows), *m, *again;
    Tokenizer t;
    ReviewPlan p;
    EXPECT(!tokenizer_open(&t, &arena, dir), "%s", err_message());
    assert_int_equal(model_load(&m, &arena, dir), E_MISMATCH);
    expect_words("--vocab-from-file");
    EXPECT(!model_load_as(&m, &arena, dir, &(LoadOptions){.vocab_from_file = true}), "%s", err_message());
    same_parameters(made, m);
    EXPECT(!review_plan(&p, &t, REVIEW_CCT5, m->config.vocab), "%s", err_message());
    assert_int_equal(p.msg, rows - 1);
    assert_int_equal(p.tag[LINE_KEEP] + (int)REVIEW_SENTINELS + 7, p.sentinel[0]);
    predicts(m, &t);
    generates(m, &t);
    const char *copy = str_print(&arena, "%s/copy", dir);
    EXPECT(!model_load_as(&m, &arena, dir, &(LoadOptions){.vocab_from_file = true}) && !model_save(m, copy) &&
               !model_load(&again, &arena, copy),
           "%s", err_message());
    same_parameters(made, again);
    tokenizer_close(&t);
}

/* A symbol whose id lies behind the table, and an added token that is none. */
static void malformed_checkpoints_are_refused(void **state)
{
    (void)state;
    int rows;
    Tokenizer t;
    ReviewPlan p;
    write_checkpoint(&rows);
    EXPECT(!tokenizer_open(&t, &arena, dir), "%s", err_message());
    assert_int_equal(review_plan(&p, &t, REVIEW_CCT5, rows - 1), E_MISMATCH);
    expect_words("'<msg>' has the id");
    tokenizer_close(&t);
    write_text("added_tokens.json", "{\"<keep>\": \"one\"}");
    assert_int_equal(tokenizer_open(&t, &arena, dir), E_FORMAT);
    expect_words("added_tokens.json");
    write_text("pytorch_model.bin", "PK");
    Model *m;
    assert_int_equal(model_load_as(&m, &arena, dir, &(LoadOptions){.vocab_from_file = true}), E_FORMAT);
    expect_words("pytorch_model.bin");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(objectives_are_those_of_the_published_builders),
                                       cmocka_unit_test(refinement_is_that_of_the_published_builder),
                                       cmocka_unit_test(commits_are_read_as_cct5_reads_them),
                                       cmocka_unit_test(a_record_is_cut_into_hunks),
                                       cmocka_unit_test(a_header_has_four_numbers),
                                       cmocka_unit_test(simple_forms_agree),
                                       cmocka_unit_test(symbols_need_room),
                                       cmocka_unit_test(examples_keep_their_limits),
                                       cmocka_unit_test(checkpoints_are_read),
                                       cmocka_unit_test(malformed_checkpoints_are_refused)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
