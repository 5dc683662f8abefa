/* Language modelling on texts: which tokens of each kind of record are scored, counted by hand; plain text in blocks;
 * conversations through a chat template; that decoders learn a text with any method; and the loss of a published
 * model against its reference library.  With a directory as its argument the program saves small models there, for
 * scripts. */
#include "nn/small.h"

#include <stdlib.h>

#include "base/file.h"
#include "io/json.h"
#include "models.h"
#include "scratch.h"
#include "tasks/tuning.h"
#include "text/bpe.h"

static const char *const CHATML =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
/* The first message changes when another follows. */
static const char *const FICKLE =
    "{% for m in messages %}{% if not loop.last %}[old]{% endif %}{{ m.content }}\n{% endfor %}";

static Tokenizer small_tokenizer(const char *save)
{
    static const char *const SPECIAL[] = {"<|im_start|>", "<|im_end|>", NULL};
    static char TEXT[] = "the cat sat on the mat and the dog sat on the log while the cat and the dog sat still";
    Bytes text = {TEXT, strlen(TEXT)};
    Bpe *b;
    EXPECT(bpe_train(&b, &arena, &(BpeTrain){.size = 300, .special = SPECIAL}, &text, 1) == OK, "%s", err_message());
    if (save) EXPECT(bpe_save(b, save) == OK, "%s", err_message());
    return tokenizer_of(b);
}

static Model *decoder(const char *shape, int vocab)
{
    Config c = small_config(shape);
    Model *m;
    c.vocab = vocab, c.dim = 16, c.heads = 2, c.head_dim = 8, c.hidden = 32, c.layers = 2;
    if (c.kv_heads) c.kv_heads = 1;
    if (c.positions) c.positions = 64;
    c.pad = arch_find(c.arch)->encode ? 1 : -1, c.bos = 0, c.eos = 2;
    c.dropout = c.attn_dropout = 0, c.init_sd = 0.2;
    EXPECT(model_open(&m, &arena, &c, F32, 7) == OK, "%s", err_message());
    return m;
}

static const char *file_of(const char *name, const char *text)
{
    const char *path = str_print(&arena, "%s/%s", dir, name);
    EXPECT(file_write(path, text, strlen(text)) == OK, "%s", err_message());
    return path;
}

typedef struct {
    Tokenizer t;
    Model *m;
    LmPlan plan;
    Chat chat;
} Fixture;

static Fixture *fixture(void)
{
    Fixture *f = NEW(&arena, Fixture, 1);
    *f = (Fixture){.t = small_tokenizer(NULL)};
    f->m = decoder("gpt2", (int)tokenizer_size(&f->t));
    f->plan = (LmPlan){.length = 64, .end = 2};
    return f;
}

static void use_template(Fixture *f, const char *template)
{
    file_of("chat_template.jinja", template);
    EXPECT(chat_open(&f->chat, &arena, dir, &f->t) == OK, "%s", err_message());
    f->plan.chat = &f->chat;
}

static LmTexts texts_of(const Fixture *f, const char *name, const char *text)
{
    LmSet s;
    LmTexts x;
    EXPECT(lm_read(&s, &arena, file_of(name, text), "text") == OK, "%s", err_message());
    EXPECT(lm_tokens(&x, &arena, &s, f->m, &f->t, &f->plan) == OK, "%s", err_message());
    return x;
}

/* The text of the tokens of example i that are scored. */
static const char *scored(const Fixture *f, const LmTexts *x, int64_t i)
{
    int32_t id[256];
    int64_t n = 0;
    for (int32_t k = 0; k < x->x.len[i]; k++)
        if (x->x.target[i][k] >= 0) id[n++] = x->x.target[i][k];
    return tokenizer_decode(&f->t, &arena, id, n, NULL);
}

/* Each target is the token that follows. */
static void expect_shifted(const LmTexts *x)
{
    int64_t tokens = 0, n = 0;
    for (int64_t i = 0; i < x->x.n; i++) {
        for (int32_t k = 0; k < x->x.len[i]; k++) {
            int32_t target = x->x.target[i][k];
            n += target >= 0;
            if (target >= 0 && k + 1 < x->x.len[i]) assert_int_equal(target, x->x.ids[i][k + 1]);
        }
        tokens += x->x.len[i];
    }
    assert_int_equal(x->scored, n);
    assert_int_equal(x->tokens, tokens);
}

static void each_record_scores_its_own_part(void **state)
{
    (void)state;
    Fixture *f = fixture();
    static const char ROWS[] = "{\"text\": \"the cat\"}\n\n"
                               "{\"prompt\": \"xy\", \"completion\": \"zw\"}\n"
                               "{\"prompt\": \"xy\", \"completion\": \"\"}\n"
                               "{\"text\": \"the dog</s>\"}\n";
    LmTexts x = texts_of(f, "a.jsonl", ROWS);
    assert_int_equal(x.x.n, 4);
    expect_shifted(&x);
    assert_string_equal(scored(f, &x, 0), "the cat</s>"); /* all but <s> */
    assert_string_equal(scored(f, &x, 1), "zw</s>");
    assert_string_equal(scored(f, &x, 2), "</s>");
    assert_string_equal(scored(f, &x, 3), "the dog</s>"); /* with one end */
    assert_int_equal(x.line[1], 3);
    /* by hand: <s> x y z w </s>, of which the first is never scored, and x and y are the prompt's */
    static const int32_t SCORED[] = {0, 0, 1, 1, 1};
    assert_int_equal(x.x.len[1], 5);
    for (int k = 0; k < 5; k++) assert_int_equal(x.x.target[1][k] >= 0, SCORED[k]);
    f->plan.score_all = true;
    x = texts_of(f, "a.jsonl", ROWS);
    assert_string_equal(scored(f, &x, 1), "xyzw</s>");
    f->plan.score_all = false, f->plan.length = 8;
    x = texts_of(f, "a.jsonl", "{\"text\": \"0123456789\"}\n{\"prompt\": \"0123456789\", \"completion\": \"a\"}\n");
    assert_true(x.cut == 2 && x.empty == 1 && x.x.n == 1 && x.x.len[0] == 7);
    assert_string_equal(scored(f, &x, 0), "0123456");
    f->plan.end = -1;
    x = texts_of(f, "a.jsonl", "[{\"text\": \"ab\"}, {\"text\": \"cd\"}]");
    assert_int_equal(x.x.n, 2);
}

/* A token that joins the end of a prompt and the beginning of its completion is the completion's. */
static void a_token_across_the_border_is_scored(void **state)
{
    (void)state;
    Fixture *f = fixture();
    LmTexts x = texts_of(f, "a.jsonl", "{\"prompt\": \"cat t\", \"completion\": \"he dog\"}\n");
    assert_string_equal(scored(f, &x, 0), " the dog</s>");
}

static void plain_text_is_cut_into_blocks(void **state)
{
    (void)state;
    Fixture *f = fixture();
    static const char TEXT[] = "0123456789\nabcdefghij\nABCDEFGHIJ\n";
    f->plan.length = 10;
    LmTexts x = texts_of(f, "a.txt", TEXT);
    Buf all = buf_open(&arena);
    assert_int_equal(x.x.n, 4); /* <s>, 33 bytes and </s>: 34 to predict */
    assert_int_equal(x.scored, 34);
    expect_shifted(&x);
    for (int64_t i = 0; i < x.x.n; i++) buf_print(&all, "%s", scored(f, &x, i)), assert_int_equal(x.line[i], i + 1);
    assert_string_equal(all.text, "0123456789\nabcdefghij\nABCDEFGHIJ\n</s>");
    LmSet set, train, valid;
    assert_int_equal(lm_read(&set, &arena, file_of("a.md", TEXT), "text"), OK);
    lm_cut(&train, &valid, &arena, &set, 0.4, 1);
    assert_memory_equal(valid.record->text.text, "ABCDEFGHIJ\n", 11);
    assert_true(train.record->text.len == 22 && valid.record->text.len == 11);
}

static void records_are_drawn_for_validation(void **state)
{
    (void)state;
    Buf b = buf_open(&arena);
    LmSet set, train, valid, other;
    bool seen[51] = {false};
    for (int i = 0; i < 50; i++) buf_print(&b, "{\"note\": \"%d\"}\n", i);
    assert_int_equal(lm_read(&set, &arena, file_of("a.jsonl", b.text), "note"), OK);
    lm_cut(&train, &valid, &arena, &set, 0.2, 1);
    assert_true(train.n == 40 && valid.n == 10);
    for (int64_t i = 0; i < 40; i++) seen[train.record[i].line] = true;
    for (int64_t i = 0; i < 10; i++) assert_false(seen[valid.record[i].line]);
    lm_cut(&train, &other, &arena, &set, 0.2, 1);
    for (int64_t i = 0; i < 10; i++) assert_int_equal(other.record[i].line, valid.record[i].line);
}

static void bad_rows_are_refused_by_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *row, *message;
    } BAD[] = {{"{\"text\": 5}", "a.jsonl:2: text"},
               {"{\"text\": \"a\"", "a.jsonl:2"},
               {"{\"txt\": \"a\"}", "a.jsonl:2: found no text; expected \"text\""},
               {"{\"prompt\": \"a\"}", "a.jsonl:2: has no \"completion\""},
               {"{\"completion\": \"a\"}", "a.jsonl:2: has no \"prompt\""},
               {"{\"messages\": 3}", "a.jsonl:2: \"messages\" is not a list"},
               {"{\"messages\": []}", "a.jsonl:2: the conversation has no message"},
               {"{\"messages\": [{\"role\": \"user\"}]}", "a.jsonl:2: message 1"}};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        LmSet s;
        const char *path = file_of("a.jsonl", str_print(&arena, "{\"text\": \"a\"}\n%s\n", BAD[i].row));
        assert_int_equal(lm_read(&s, &arena, path, "text"), E_FORMAT);
        EXPECT(strstr(err_message(), BAD[i].message) != NULL, "%s: %s", BAD[i].row, err_message());
        err_clear();
    }
    LmSet s;
    assert_int_equal(lm_read(&s, &arena, file_of("a.jsonl", ""), "text"), E_MISMATCH);
    err_clear();
}

/* ---- conversations */

static const char TALK[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"Ab\"}, {\"role\": \"assistant\", "
                           "\"content\": \"Cd\"}, {\"role\": \"user\", \"content\": \"Ef\"}, {\"role\": "
                           "\"assistant\", \"content\": \"Gh\"}]}\n";

static void the_assistant_is_scored(void **state)
{
    (void)state;
    Fixture *f = fixture();
    use_template(f, CHATML);
    LmTexts x = texts_of(f, "a.jsonl", TALK);
    expect_shifted(&x);
    assert_string_equal(scored(f, &x, 0), "Cd<|im_end|>Gh<|im_end|>");
    assert_int_equal(x.scored, 6); /* by hand: two bytes and an end, twice */
    f->plan.score_all = true, f->plan.length = 128;
    x = texts_of(f, "a.jsonl", TALK);
    assert_string_equal(scored(f, &x, 0), "user\nAb<|im_end|>\n<|im_start|>assistant\nCd<|im_end|>\n"
                                          "<|im_start|>user\nEf<|im_end|>\n<|im_start|>assistant\nGh<|im_end|>\n");
}

static void a_template_that_rewrites_is_refused(void **state)
{
    (void)state;
    Fixture *f = fixture();
    LmSet s;
    LmTexts x;
    use_template(f, FICKLE);
    assert_int_equal(lm_read(&s, &arena, file_of("a.jsonl", TALK), "text"), OK);
    assert_int_equal(lm_tokens(&x, &arena, &s, f->m, &f->t, &f->plan), E_MISMATCH);
    EXPECT(strstr(err_message(), "a.jsonl:1: the chat template renders the first") != NULL, "%s", err_message());
    err_clear();
    f->plan.score_all = true;
    assert_int_equal(lm_tokens(&x, &arena, &s, f->m, &f->t, &f->plan), OK);
}

/* ---- training */

static void see_step(const TuneStep *s, void *loss)
{
    *(double *)loss = s->loss;
}

static Tuning tuning(const Fixture *f, const char *shape, const Peft *method, double *loss)
{
    Model *m = decoder(shape, (int)tokenizer_size(&f->t));
    Tuning t = {
        .run = &arena, .model = m, .hooks = hooks_new(&arena), .peft = method, .rows = 4, .total = 40, .seed = 3};
    t.lr = 0.02, t.every = 40;
    t.watch = (TuneWatch){.step = see_step, .user = loss};
    method->defaults(&t.cfg, &m->config);
    return t;
}

static void every_method_learns_a_text(void **state)
{
    (void)state;
    Fixture *f = fixture();
    static const char *const SHAPE[] = {"gpt2", "llama-grouped", "gpt_neox"};
    LmTexts x = texts_of(f, "a.jsonl",
                         "{\"text\": \"the cat sat on the mat\"}\n{\"text\": \"the dog\"}\n"
                         "{\"prompt\": \"the log\", \"completion\": \" sat\"}\n");
    for (size_t s = 0; s < sizeof SHAPE / sizeof *SHAPE; s++)
        for (const Peft *const *method = peft_begin(); method < peft_end(); method++) {
            double loss = 0;
            Evaluation before;
            Tuning t = tuning(f, SHAPE[s], *method, &loss);
            assert_int_equal(lm_evaluate(&before, t.model, NULL, &x.x, &arena), OK);
            if (tuning_attach_messages(&t)) {
                EXPECT(err_status() == E_CONFIG, "%s", err_message()); /* nothing of the kind in this family */
                err_clear();
                continue;
            }
            Kept kept = kept_open(&arena, t.model->params);
            assert_int_equal(tuning_show_texts(&t, &x.x, &x.x), OK);
            EXPECT(tuning_open(&t) == OK && tuning_run(&t, &(TuneSink){.keep = tuning_remember, .user = &kept}) == OK,
                   "%s, %s: %s", SHAPE[s], t.peft->name, err_message());
            EXPECT(-t.stand.score < before.loss, "%s, %s: loss %.4f, %.4f before", SHAPE[s], t.peft->name,
                   -t.stand.score, before.loss);
        }
}

/* Accumulated parts weigh by their scored tokens, and layers that run again give the same step. */
static void parts_and_checkpoints_change_nothing(void **state)
{
    (void)state;
    Fixture *f = fixture();
    LmTexts x = texts_of(f, "a.jsonl",
                         "{\"text\": \"the cat sat on the mat and the log\"}\n{\"text\": \"dog\"}\n"
                         "{\"prompt\": \"the log\", \"completion\": \" sat\"}\n{\"text\": \"it\"}\n");
    double loss[3] = {0};
    for (int k = 0; k < 3; k++) {
        Tuning t = tuning(f, "llama", peft_find("lora"), &loss[k]);
        Kept kept;
        t.total = t.every = 5, t.parts = k == 1 ? 4 : 0, t.checkpoint = k == 2;
        EXPECT(tuning_attach_messages(&t) == OK && tuning_show_texts(&t, &x.x, &x.x) == OK, "%s", err_message());
        kept = kept_open(&arena, t.model->params);
        EXPECT(tuning_open(&t) == OK && tuning_run(&t, &(TuneSink){.keep = tuning_remember, .user = &kept}) == OK,
               "%s", err_message());
    }
    near(loss[1], loss[0], 1e-5, "the loss in four parts");
    near(loss[2], loss[0], 1e-6, "the loss with checkpoints");
}

static void only_decoders_alone_continue_texts(void **state)
{
    (void)state;
    for (int i = 0; i < N_SHAPES; i++) {
        Model *m = small_model(&arena, SHAPES[i], F32);
        Status s = lm_writes(m);
        EXPECT(s == (str_glob("gpt2*|llama*|gpt_neox*", SHAPES[i]) ? OK : E_MISMATCH), "%s", SHAPES[i]);
        if (s) EXPECT(strstr(err_message(), m->config.arch) != NULL, "%s", err_message());
        err_clear();
    }
}

/* ---- a published model */

static void the_loss_is_that_of_the_reference(void **state)
{
    (void)state;
    enum { TEXTS = 4 };
    const char *folder = real_model(&arena, "smollm2");
    if (!folder) skip();
    Model *m;
    Tokenizer t;
    cJSON *root, *one;
    EXPECT(model_load(&m, &arena, folder) == OK && tokenizer_open(&t, &arena, folder) == OK, "%s", err_message());
    EXPECT(json_read(&root, &arena, real_expected(&arena, "smollm2/texts.json")) == OK, "%s", err_message());
    assert_int_equal(lm_end(m, &t), 2); /* <|im_end|>, which the file names and no list of usual names has */
    int compared = 0;
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(root, "texts"))
    {
        const char *text = cJSON_GetObjectItemCaseSensitive(one, "text")->valuestring;
        double want = cJSON_GetObjectItemCaseSensitive(one, "mean_nll")->valuedouble;
        if (cJSON_GetObjectItemCaseSensitive(one, "positions")->valueint > 64 || compared++ == TEXTS) continue;
        LmRecord record = {.line = 1, .text = {str_copy(&arena, text, strlen(text)), strlen(text)}};
        LmSet set = {.path = "texts", .n = 1, .record = &record};
        LmTexts x;
        Evaluation e;
        EXPECT(lm_tokens(&x, &arena, &set, m, &t, &(LmPlan){.length = 64, .end = -1}) == OK, "%s", err_message());
        assert_int_equal(lm_evaluate(&e, m, NULL, &x.x, &arena), OK);
        near(e.loss, want, 2e-4, text);
    }
    assert_true(compared >= TEXTS);
    cJSON_Delete(root);
    tokenizer_close(&t);
}

/* ---- models for scripts */

static int save_models(const char *where)
{
    static const char *const NAMES[] = {"gpt2", "llama", "t5"};
    arena = arena_open((size_t)1 << 34);
    for (int i = 0; i < 3; i++) {
        const char *to = str_print(&arena, "%s/%s", where, NAMES[i]);
        if (file_make_dir(to)) return 1;
        Tokenizer t = small_tokenizer(to);
        if (model_save(decoder(NAMES[i], (int)tokenizer_size(&t)), to)) return 1;
        const char *chat = str_print(&arena, "%s/chat_template.jinja", to);
        if (i == 0 && file_write(chat, CHATML, strlen(CHATML))) return 1;
    }
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
int main(int argc, char **argv)
{
    if (argc > 1) return save_models(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(each_record_scores_its_own_part),      TEST(a_token_across_the_border_is_scored),
        TEST(plain_text_is_cut_into_blocks),        TEST(records_are_drawn_for_validation),
        TEST(bad_rows_are_refused_by_their_line),   TEST(the_assistant_is_scored),
        TEST(a_template_that_rewrites_is_refused),  TEST(every_method_learns_a_text),
        TEST(parts_and_checkpoints_change_nothing), TEST(only_decoders_alone_continue_texts),
        TEST(the_loss_is_that_of_the_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
