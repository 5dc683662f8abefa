/* Commit messages: the inputs of encoder and decoder, that a model learns to write them, and the baselines against
 * known figures. */
#include "nn/small.h"

#include "arenas.h"
#include "shared.h"
#include "tasks/cmg.h"
#include "change/javagen_change.h"
#include "tasks/jit.h"
#include "metric/messages.h"
#include "train/train.h"

enum { PAIRS = 5 };

static void invent(CodeChange c[PAIRS])
{
    static const char *const MESSAGE[PAIRS] = {"Fix the list", "Add a test", "Remove dead code", "Rename counter",
                                               "Use the new API\n\nBecause it is there."};
    for (int64_t i = 0; i < PAIRS; i++) {
        javagen_change(&c[i], &run, 3, i, 1);
        c[i].message = MESSAGE[i];
    }
}

static Tokenizer small_tokenizer(const CodeChange *c, int64_t n)
{
    static const char *const SPECIAL[] = {"<encoder-decoder>", NULL};
    Bytes *text = NEW(&run, Bytes, n);
    for (int64_t i = 0; i < n; i++) {
        Buf b = buf_open(&run);
        change_print(&b, &c[i]);
        text[i] = (Bytes){b.text, b.len};
    }
    Bpe *b;
    EXPECT(bpe_train(&b, &run, &(BpeTrain){.size = 320, .special = SPECIAL}, text, n) == OK, "%s", err_message());
    return tokenizer_of(b);
}

/* "unixcoder" is a roberta that writes behind its prompt. */
static Model *writer(const char *shape, const Tokenizer *t, int spare)
{
    bool prompts = !strcmp(shape, "unixcoder");
    Config c = small_config(prompts ? "roberta" : shape);
    c.plain_head = c.writes_from_encoder = prompts;
    Model *m;
    c.vocab = (int)tokenizer_size(t) + spare;
    c.dim = 32, c.heads = 4, c.head_dim = 8, c.hidden = c.decoder_hidden = 64,
    c.layers = prompts ? 2 : 1; /* the prompt's mask counts from the second on */
    if (c.decoder_layers) c.decoder_layers = 1;
    c.positions = c.positions ? 162 : 0;
    c.pad = 1, c.bos = 0, c.eos = 2, c.decoder_start = 2;
    c.dropout = c.attn_dropout = 0;
    c.init_sd = strcmp(c.arch, "t5") ? 0.1 : 0.5;
    EXPECT(model_open(&m, &run, &c, F32, 7) == OK, "%s", err_message());
    return m;
}

static const char *decoded(const Tokenizer *t, const int32_t *id, int64_t n)
{
    size_t len;
    return tokenizer_decode(t, &run, id, n, &len);
}

static CodeChange by_hand(void)
{
    static ChangeLine line[] = {{LINE_KEEP, "int a;", 6}, {LINE_DEL, "  old \t one ;", 13}, {LINE_ADD, "new();", 6}};
    static ChangeLine other[] = {{LINE_ADD, "b", 1}};
    static ChangeFile file[] = {{.old_path = "A.java", .new_path = "src/A.java", .n = 3, .line = line},
                                {.old_path = "B.java", .new_path = "B.java", .n = 1, .line = other}};
    return (CodeChange){.id = "1", .repo = "r", .message = " Fix  it \nmore", .n_files = 2, .file = file};
}

static void a_diff_and_its_subject_become_tokens(void **state)
{
    (void)state;
    CodeChange c[PAIRS], one = by_hand();
    Examples x;
    invent(c);
    Tokenizer t = small_tokenizer(c, PAIRS);
    Model *text = writer("bart", &t, 2), *own = writer("t5", &t, 3);
    CmgPlan p = cmg_plan(text, &t);
    assert_true(p.keep == -1 && p.add == -1 && p.del == -1 && p.source == 162 && p.target == 128);
    assert_int_equal(cmg_tokens(&x, &run, 1, &one, text, &t, &p), OK);
    assert_string_equal(decoded(&t, x.src[0], x.src_len[0]),
                        "<s><keep>src/A.java<keep>int a;<del>old one ;<add>new();<keep>B.java<add>b</s>");
    assert_string_equal(decoded(&t, x.target[0], x.len[0]), "<s>Fix it</s>");
    assert_int_equal(x.ids[0][0], text->config.decoder_start);
    for (int32_t i = 1; i < x.len[0]; i++) assert_int_equal(x.ids[0][i], x.target[0][i - 1]);

    p = cmg_plan(own, &t);
    int32_t size = (int32_t)tokenizer_size(&t), marks = 0;
    assert_true(p.keep == size && p.add == size + 1 && p.del == size + 2 && p.source == 512);
    assert_int_equal(cmg_tokens(&x, &run, 1, &one, own, &t, &p), OK);
    assert_string_equal(decoded(&t, x.src[0], x.src_len[0]), "<s>src/A.javaint a;old one ;new();B.javab</s>");
    static const int WANT[] = {0, 0, 2, 1, 0, 1};
    for (int32_t i = 0; i < x.src_len[0]; i++)
        if (x.src[0][i] >= size) assert_int_equal(x.src[0][i], size + WANT[marks++]);
    assert_int_equal(marks, 6);
    p.source = 9, p.target = 4;
    assert_int_equal(cmg_tokens(&x, &run, 1, &one, own, &t, &p), OK);
    assert_true(x.src_len[0] == 9 && x.src[0][8] == 2 && x.len[0] == 4 && x.target[0][3] == 2);
    tokenizer_close(&t);
}

static void unixcoder_reads_a_prompt(void **state)
{
    (void)state;
    CodeChange c[PAIRS], one = by_hand();
    Examples x, prompt;
    invent(c);
    Tokenizer t = small_tokenizer(c, PAIRS);
    Model *m = writer("unixcoder", &t, 0);
    CmgPlan p = cmg_plan(m, &t);
    assert_true(cmg_prompts(&t) && p.target == 40 && p.source == 120); /* of 160 positions */
    assert_int_equal(cmg_tokens(&x, &run, 1, &one, m, &t, &p), OK);
    assert_int_equal(cmg_sources(&prompt, &run, 1, &one, m, &t, &p), OK);
    assert_true(!x.src && !prompt.src && !prompt.target);
    const char *text = "<s><encoder-decoder></s><keep>src/A.java<keep>int a;<del>old one ;<add>new();"
                       "<keep>B.java<add>b</s>";
    int32_t n = prompt.len[0];
    assert_string_equal(decoded(&t, prompt.ids[0], n), text);
    assert_string_equal(decoded(&t, x.ids[0], x.len[0]), str_print(&run, "%sFix it", text));
    for (int32_t i = 0; i < x.len[0]; i++)
        assert_int_equal(x.target[0][i], i < n - 1 ? -1 : i + 1 < x.len[0] ? x.ids[0][i + 1] : 2);
    /* the loss is that of the prompt read both ways and the rest backwards */
    int64_t len = x.len[0];
    uint8_t *sees = NEW(&run, uint8_t, len * len);
    for (int64_t i = 0; i < len * len; i++) sees[i] = i % len <= i / len || (i % len < n && i / len < n);
    Batch whole = {.b = 1, .t = len, .ids = x.ids[0], .target = x.target[0], .sees = sees}, batch;
    Batcher *feed;
    Evaluation e;
    EXPECT(batcher_open(&feed, &run, &x, &(BatchPlan){.rows = 1, .pad = 1}) == OK, "%s", err_message());
    batcher_next(feed, &run, &batch, NULL);
    Pass pass = {.tape = tape_open(&step, false)};
    double want = tape_scalar(model_loss(m, &pass, &whole)), got = tape_scalar(cmg_loss(m, &pass, &batch, NULL));
    whole.sees = NULL, whole.causal = true;
    double causal = tape_scalar(model_loss(m, &pass, &whole));
    cmg_evaluate(m, NULL, feed, &step, &e);
    EXPECT(fabs(got - want) < 1e-5 && fabs(e.loss - want) < 1e-5 && fabs(causal - want) > 1e-3,
           "loss %g and %g, expected %g, not %g", got, e.loss, want, causal);
    p.source = 9, p.target = 3;
    assert_int_equal(cmg_tokens(&x, &run, 1, &one, m, &t, &p), OK);
    assert_true(x.len[0] <= 9 + 3 - 1 && x.ids[0][8] == 2);
    tokenizer_close(&t);
}

static void plbart_has_languages(void **state)
{
    (void)state;
    Tokenizer t;
    Examples x;
    CodeChange one = by_hand();
    if (tokenizer_open(&t, &run, str_print(&run, "%s/tokenizers/plbart", golden_root(&run)))) {
        err_clear();
        skip();
    }
    int size = (int)tokenizer_size(&t);
    Model *full = writer("bart", &t, 4), *roomy = writer("bart", &t, 7);
    full->config.decoder_start = -1;
    CmgPlan p = cmg_plan(full, &t), own = cmg_plan(roomy, &t);
    EXPECT(p.add == -1 && own.keep == size + 4, "marks are no languages: %d, %d", p.add, own.keep);
    assert_int_equal(jit_plan(&t, size + 4, 0).add, -1);
    assert_int_equal(cmg_tokens(&x, &run, 1, &one, full, &t, &p), E_CONFIG); /* which language? */
    err_clear();
    p.language = "java";
    EXPECT(cmg_tokens(&x, &run, 1, &one, full, &t, &p) == OK, "%s", err_message());
    int32_t english = tokenizer_language(&t, "en_XX"), n = x.len[0];
    assert_int_equal(x.src[0][x.src_len[0] - 1], tokenizer_language(&t, "java"));
    assert_true(x.target[0][n - 1] == english && x.target[0][n - 2] == 2 && x.ids[0][0] == english);
    assert_int_equal(cmg_sources(&x, &run, 1, &one, full, &t, &p), OK);
    assert_true(x.len[0] == 1 && x.ids[0][0] == english);
    tokenizer_close(&t);
}

static void what_cannot_be_read_is_refused(void **state)
{
    (void)state;
    CodeChange c[PAIRS], one = by_hand(), mute = one, blank = one;
    Examples x;
    Bytes said;
    invent(c);
    Tokenizer t = small_tokenizer(c, PAIRS);
    Model *m = writer("t5", &t, 3), *encoder = writer("roberta", &t, 3), *narrow = writer("bart", &t, -50);
    CmgPlan p = cmg_plan(m, &t);
    mute.message = " \n", blank.n_files = 0;
    assert_int_equal(cmg_tokens(&x, &run, 1, &mute, m, &t, &p), E_MISMATCH);
    err_clear();
    assert_int_equal(cmg_sources(&x, &run, 1, &mute, m, &t, &p), OK);
    assert_null(x.target);
    assert_int_equal(cmg_sources(&x, &run, 1, &blank, m, &t, &p), E_MISMATCH);
    err_clear();
    assert_int_equal(cmg_tokens(&x, &run, 1, &one, encoder, &t, &p), E_MISMATCH);
    err_clear();
    Model *code = writer("unixcoder", &t, 3);
    Bpe *bare;
    char some[] = "abc";
    Bytes any = {some, 3};
    EXPECT(bpe_train(&bare, &run, &(BpeTrain){.size = 300}, &any, 1) == OK, "%s", err_message());
    Tokenizer plain = tokenizer_of(bare);
    assert_int_equal(cmg_tokens(&x, &run, 1, &one, code, &plain, &p), E_MISMATCH); /* no <encoder-decoder> */
    err_clear();
    tokenizer_close(&plain);
    CmgPlan text = cmg_plan(narrow, &t);
    assert_int_equal(cmg_tokens(&x, &run, 1, &one, narrow, &t, &text), E_MISMATCH);
    err_clear();
    assert_int_equal(cmg_sources(&x, &run, 1, &one, m, &t, &p), OK);
    GenerateConfig how = generate_defaults(encoder, 8);
    assert_int_equal(cmg_write(&said, &run, &step, encoder, NULL, &t, &x, &how, NULL, NULL), E_MISMATCH);
    err_clear();
    tokenizer_close(&t);
}

static bool once(int64_t done, void *user)
{
    *(int64_t *)user = done;
    return false;
}

static void a_model_learns_to_write_the_messages(void **state)
{
    (void)state;
    CodeChange c[PAIRS];
    invent(c);
    Tokenizer t = small_tokenizer(c, PAIRS);
    static const char *const SHAPE[] = {"bart", "t5", "unixcoder"};
    for (int s = 0; s < 3; s++) {
        Model *m = writer(SHAPE[s], &t, 3);
        CmgPlan p = cmg_plan(m, &t);
        Examples x, unseen;
        Batcher *feed;
        Trainer *tr;
        TrainConfig k = train_defaults();
        p.source = 80;
        EXPECT(cmg_tokens(&x, &run, PAIRS, c, m, &t, &p) == OK, "%s", err_message());
        params_train(m->params, "*", true);
        k.lr = 5e-3, k.total = 150, k.loss = cmg_loss;
        EXPECT(batcher_open(&feed, &run, &x, &(BatchPlan){.rows = PAIRS, .pad = 1}) == OK, "%s", err_message());
        EXPECT(trainer_open(&tr, &run, m, NULL, &k) == OK, "%s", err_message());
        while (tr->step < k.total) {
            Batch b;
            StepStats stats;
            ArenaMark mark = arena_mark(&step);
            batcher_next(feed, &step, &b, NULL);
            EXPECT(trainer_step(tr, &step, &b, &stats) == OK, "%s", err_message());
            arena_drop(&step, mark);
        }
        Evaluation e;
        cmg_evaluate(m, NULL, feed, &step, &e);
        EXPECT(e.examples == PAIRS && e.accuracy > 0.999, "%s: accuracy %g", m->config.arch, e.accuracy);
        for (int beams = 1; beams <= 2; beams++) { /* sources alone are enough to write */
            Bytes said[PAIRS];
            GenerateConfig how = generate_defaults(m, 24);
            how.beams = beams;
            EXPECT(cmg_sources(&unseen, &run, PAIRS, c, m, &t, &p) == OK, "%s", err_message());
            EXPECT(cmg_write(said, &run, &step, m, NULL, &t, &unseen, &how, NULL, NULL) == OK, "%s", err_message());
            for (int i = 0; i < PAIRS; i++) {
                Bytes want = cmg_subject(&c[i]);
                EXPECT(said[i].len == want.len && !memcmp(said[i].text, want.text, want.len),
                       "%s wrote \"%s\" for \"%s\"", m->config.arch, said[i].text, c[i].message);
            }
        }
        int64_t done = 0;
        Bytes said[PAIRS];
        GenerateConfig how = generate_defaults(m, 4);
        assert_int_equal(cmg_write(said, &run, &step, m, NULL, &t, &x, &how, once, &done), E_INTERRUPT);
        assert_int_equal(done, PAIRS);
        err_clear();
    }
    tokenizer_close(&t);
}

/* ---- baselines */

static void floors_choose_by_hand(void **state)
{
    (void)state;
    enum { N = 7 };
    static const char *const LINE[N] = {"alpha beta gamma delta",
                                        "zeta eta",
                                        "one two three four five six",
                                        "six five four three two one",
                                        "theta",
                                        "kappa",
                                        "lambda"};
    static const char *const MESSAGE[N] = {"b", "a", "c", "d", "a", "b", "e\nb"};
    CodeChange train[N], test[2];
    int64_t nearest[2];
    for (int i = 0; i < N; i++) {
        ChangeFile *f = NEW(&run, ChangeFile, 1);
        ChangeLine *l = NEW(&run, ChangeLine, 1);
        *l = (ChangeLine){LINE_ADD, LINE[i], strlen(LINE[i])};
        *f = (ChangeFile){.old_path = "", .new_path = "", .n = 1, .line = l};
        train[i] = (CodeChange){.id = "x", .message = MESSAGE[i], .n_files = 1, .file = f};
    }
    test[0] = train[3], test[1] = train[1]; /* 2 and 3 are as near as each other; order, which BLEU sees, decides */
    assert_int_equal(cmg_nearest(nearest, &run, N, train, 2, test), OK);
    assert_int_equal(nearest[0], 3);
    assert_int_equal(nearest[1], 1);
    assert_int_equal(cmg_nearest(nearest, &run, 0, train, 2, test), E_MISMATCH);
    err_clear();
    assert_int_equal(cmg_commonest(N, train), 0);
    assert_int_equal(cmg_commonest(5, train), 1);
}

/* The figures are of another program, which cut the diffs into words in its own way: retrieval agrees to a quarter of
 * a point, and one message for all exactly. */
static void floors_reach_the_known_figures(void **state)
{
    (void)state;
    static const struct {
        const char *language;
        double nearest, commonest;
    } KNOWN[] = {{"java", 7.03, 3.79}, {"csharp", 6.26, 4.13}, {"python", 6.21, 1.18}};
    for (int l = 0; l < 3; l++) {
        CodeChange *train, *test;
        int64_t n, m;
        const char *base = shared_path(&run, str_print(&run, "data/cmg/mined/%s_", KNOWN[l].language));
        if (changes_read(&train, &n, &run, str_print(&run, "%strain.jsonl", base))) {
            err_clear();
            skip();
        }
        EXPECT(changes_read(&test, &m, &run, str_print(&run, "%stest.jsonl", base)) == OK, "%s", err_message());
        int64_t *nearest = NEW(&run, int64_t, m), *all = NEW(&run, int64_t, m), common = cmg_commonest(n, train);
        EXPECT(cmg_nearest(nearest, &run, n, train, m, test) == OK, "%s", err_message());
        Bytes *near = NEW(&run, Bytes, m), *same = NEW(&run, Bytes, m), *want = NEW(&run, Bytes, m);
        for (int64_t i = 0; i < m; i++) {
            all[i] = i;
            near[i] = cmg_subject(&train[nearest[i]]), same[i] = cmg_subject(&train[common]);
            want[i] = cmg_subject(&test[i]);
        }
        MessageRows rows;
        double at[MESSAGE_METRICS], flat[MESSAGE_METRICS];
        messages_score(&rows, &run, m, near, want, NULL, NULL);
        messages_stats(at, all, m, &rows);
        messages_score(&rows, &run, m, same, want, NULL, NULL);
        messages_stats(flat, all, m, &rows);
        EXPECT(fabs(at[B_NORM] - KNOWN[l].nearest) < 0.25 && fabs(flat[B_NORM] - KNOWN[l].commonest) < 0.005,
               "%s: B-Norm %.4f, and %.4f for one message", KNOWN[l].language, at[B_NORM], flat[B_NORM]);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
SUITE(TEST(a_diff_and_its_subject_become_tokens), TEST(unixcoder_reads_a_prompt), TEST(plbart_has_languages),
      TEST(what_cannot_be_read_is_refused), TEST(a_model_learns_to_write_the_messages), TEST(floors_choose_by_hand),
      TEST(floors_reach_the_known_figures))
