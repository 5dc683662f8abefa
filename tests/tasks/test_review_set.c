/* The pretraining of CodeReviewer and CCT5: its examples, its loss against those that it is made of, and that a model
 * learns each objective. */
#include "nn/small.h"

#include <unistd.h>

#include "arenas.h"
#include "change/javagen_change.h"
#include "tasks/review_set.h"

enum { CHANGES = 6 };

typedef struct {
    Tokenizer t;
    Model *m;
    CodeChange c[CHANGES];
} World;

/* Lines of the file around a change, so that some can be hidden. */
static void surround(ChangeFile *f)
{
    enum { MORE = 4 };
    ChangeLine *line = NEW(&run, ChangeLine, f->n + 2 * MORE);
    for (int64_t i = 0; i < f->n + 2 * MORE; i++) {
        const char *text = str_print(&run, "int v%lld = %lld;", (long long)i, (long long)(i * i));
        bool own = i >= MORE && i < f->n + MORE;
        line[i] = own ? f->line[i - MORE] : (ChangeLine){LINE_KEEP, text, strlen(text)};
    }
    f->line = line, f->n += 2 * MORE;
}

static World world(const char *shape)
{
    World w;
    Bytes *text = NEW(&run, Bytes, CHANGES);
    Bpe *b;
    Config c = small_config(shape);
    for (int64_t i = 0; i < CHANGES; i++) {
        javagen_change(&w.c[i], &run, 3, i, 1);
        for (int64_t k = 0; k < w.c[i].n_files; k++) surround(&w.c[i].file[k]);
        w.c[i].message = i % 4 ? "Fix the first list of it" : "";
        text[i] = change_text(&run, &w.c[i]);
    }
    EXPECT(!bpe_train(&b, &run, &(BpeTrain){.size = 480, .special = REVIEW_SYMBOLS}, text, CHANGES), "%s",
           err_message());
    w.t = tokenizer_of(b);
    c.vocab = (int)tokenizer_size(&w.t), c.dim = 32, c.heads = 4, c.head_dim = 8, c.hidden = c.decoder_hidden = 48;
    c.layers = 1, c.decoder_layers = c.decoder_layers > 0, c.positions = c.positions ? 514 : 0;
    c.pad = 1, c.bos = 0, c.eos = 2, c.decoder_start = 1, c.dropout = c.attn_dropout = c.act_dropout = 0;
    c.init_sd = strcmp(c.arch, "t5") ? 0.1 : 0.5;
    EXPECT(!model_open(&w.m, &run, &c, F32, 7), "%s", err_message());
    return w;
}

static ReviewSet set_of(World *w, ReviewForm form)
{
    ReviewPlan p;
    ReviewSet s;
    EXPECT(!review_plan(&p, &w->t, form, w->m->config.vocab), "%s", err_message());
    p.source = 160, p.target = 24;
    EXPECT(!review_set(&s, &run, CHANGES, w->c, w->m, &p, 5), "%s", err_message());
    return s;
}

static int64_t count(const ReviewSet *s, ReviewObjective o)
{
    int64_t n = 0;
    for (int64_t i = 0; i < s->x.n; i++) n += s->of[i] == o;
    return n;
}

static void each_hunk_gives_each_objective(void **state)
{
    (void)state;
    World w = world("t5");
    ReviewSet a = set_of(&w, REVIEW_CODEREVIEWER), b = set_of(&w, REVIEW_CCT5);
    assert_true(a.hunks >= CHANGES && a.messages < a.hunks);
    int64_t tagged = count(&a, REVIEW_TAGS); /* all but hunks whose tags are cut off */
    assert_true(tagged > 0 && tagged <= a.hunks);
    assert_int_equal(count(&a, REVIEW_COMMENT), a.messages);
    assert_int_equal(count(&a, REVIEW_DENOISE_COMMENT), a.messages);
    assert_true(count(&a, REVIEW_DENOISE_LINES) > 0 && count(&b, REVIEW_MLM_CODE) > 0);
    for (int o = REVIEW_MLM_MESSAGE; o <= REVIEW_PL2NL; o++)
        assert_int_equal(count(&b, (ReviewObjective)o), b.messages);
    assert_int_equal(count(&b, REVIEW_TAGS), 0);
    ReviewSet again = set_of(&w, REVIEW_CODEREVIEWER);
    for (int64_t i = 0; i < a.x.n; i++)
        assert_memory_equal(a.x.src[i], again.x.src[i], sizeof(int32_t) * (size_t)a.x.src_len[i]);
    tokenizer_close(&w.t);
}

static double loss_of(World *w, ReviewSet *s, const int32_t *rows, int64_t n)
{
    ArenaMark mark = arena_mark(&step);
    Pass p = {.tape = tape_open(&step, false)};
    const Batch x = batch_of(&step, &s->x, &(BatchPlan){.pad = w->m->config.pad}, rows, n);
    double loss = tape_scalar(review_loss(w->m, &p, &x, s));
    arena_drop(&step, mark);
    return loss;
}

/* All rows of one objective: its loss is that of the measure, whose way there is another. */
static void the_loss_is_that_of_the_measure(void **state)
{
    (void)state;
    static const char *const SHAPE[] = {"t5", "bart"};
    for (int k = 0; k < 2; k++) {
        World w = world(SHAPE[k]);
        ReviewSet s = set_of(&w, REVIEW_CODEREVIEWER);
        ReviewScore score[REVIEW_OBJECTIVE_COUNT];
        double got[REVIEW_OBJECTIVE_COUNT] = {0};
        EXPECT(!review_measure(score, w.m, NULL, &s, &step), "%s", err_message());
        for (int o = 0; o <= REVIEW_DENOISE_LINES; o++) {
            int32_t *rows = NEW(&run, int32_t, s.x.n), n = 0;
            for (int32_t i = 0; i < s.x.n; i++)
                if (s.of[i] == (ReviewObjective)o) rows[n++] = i;
            if (!n) continue;
            got[o] = loss_of(&w, &s, rows, n);
            near(got[o], score[o].loss, 1e-4 * got[o], REVIEW_OBJECTIVE[o]);
            assert_true(score[o].unigram > 0 && score[o].unigram < log(w.m->config.vocab));
            assert_true(score[o].majority > 0 && score[o].majority < 1);
        }
        int32_t *all = NEW(&run, int32_t, s.x.n), n = 0; /* both terms in one batch add up */
        for (int32_t i = 0; i < s.x.n; i++)
            if (s.of[i] == REVIEW_COMMENT || s.of[i] == REVIEW_TAGS) all[n++] = i;
        near(loss_of(&w, &s, all, n), got[REVIEW_COMMENT] + got[REVIEW_TAGS], 1e-3, "both terms");
        tokenizer_close(&w.t);
    }
}

/* By hand: the encoder's state at each mask, times the token table as it is, against the tag that stood there. */
static void tags_are_read_off_the_encoder(void **state)
{
    (void)state;
    World w = world("t5");
    ReviewSet s = set_of(&w, REVIEW_CODEREVIEWER);
    int32_t i = 0;
    while (s.of[i] != REVIEW_TAGS) i++;
    Pass p = {.tape = tape_open(&step, false)};
    const Batch x = {.b = 1, .s = s.x.src_len[i], .src = s.x.src[i]};
    const Tensor h = model_encode(w.m, &p, &x)->val, table = param_find(w.m->params, "shared.weight")->val;
    double loss = 0;
    int n = 0, vocab = w.m->config.vocab, dim = w.m->config.dim;
    for (int64_t k = 0; k < x.s; k++) {
        double sum = 0, own = 0;
        if (s.tag[i][k] < 0) continue;
        assert_int_equal(s.x.src[i][k], tokenizer_mask(&w.t));
        for (int v = 0; v < vocab; v++) {
            double logit = 0;
            for (int d = 0; d < dim; d++) logit += tensor_get(h, k * dim + d) * tensor_get(table, v * dim + d);
            sum += exp(logit);
            if (v == s.tag[i][k]) own = logit;
        }
        loss += log(sum) - own, n++;
    }
    assert_true(n > 0);
    near(loss_of(&w, &s, &i, 1), loss / n, 1e-4 * loss / n, "the loss of the tags");
    tokenizer_close(&w.t);
}

/* Few changes are soon known by heart: every loss of the decoder falls below what the frequencies of tokens could
 * reach, and that of the tags, which begins far above, comes near it. */
static void every_objective_is_learnt(void **state)
{
    (void)state;
    for (int f = 0; f < REVIEW_FORMS; f++) {
        World w = world("t5");
        ReviewSet s = set_of(&w, (ReviewForm)f);
        ReviewScore score[REVIEW_OBJECTIVE_COUNT];
        Batcher *feed;
        Trainer *tr;
        TrainConfig c = train_defaults();
        c.lr = 1e-2, c.loss = review_loss, c.user = &s;
        params_train(w.m->params, "*", true);
        const BatchPlan plan = {.rows = 8, .shuffle = true, .seed = 1, .pad = w.m->config.pad};
        EXPECT(!batcher_open(&feed, &run, &s.x, &plan) && !trainer_open(&tr, &run, w.m, NULL, &c), "%s",
               err_message());
        for (int i = 0; i < 40; i++) {
            ArenaMark mark = arena_mark(&step);
            Batch x;
            batcher_next(feed, &step, &x, NULL);
            EXPECT(!trainer_step(tr, &step, &x, NULL), "%s", err_message());
            arena_drop(&step, mark);
        }
        EXPECT(!review_measure(score, w.m, NULL, &s, &step), "%s", err_message());
        for (int o = 0; o < REVIEW_OBJECTIVE_COUNT; o++)
            EXPECT(!score[o].scored || (score[o].loss < (o == REVIEW_TAGS ? 1.25 : 1) * score[o].unigram &&
                                        score[o].accuracy >= score[o].majority),
                   "%s: loss %.3f, unigram %.3f, accuracy %.3f, majority %.3f", REVIEW_OBJECTIVE[o], score[o].loss,
                   score[o].unigram, score[o].accuracy, score[o].majority);
        tokenizer_close(&w.t);
    }
}

/* A step in parts or in shards is the step over the whole batch, whose loss has two means, over different tokens. */
static void parts_make_a_whole(void **state)
{
    (void)state;
    static const int64_t PARTS[] = {1, 3, 1, 1}, SHARDS[] = {1, 1, 2, 5};
    StepStats s[4];
    for (int k = 0; k < 4; k++) {
        World w = world("t5");
        ReviewSet set = set_of(&w, REVIEW_CODEREVIEWER);
        Trainer *tr;
        TrainConfig c = train_defaults();
        c.loss = review_loss, c.weigh = review_weigh, c.user = &set, c.parts = PARTS[k], c.shards = SHARDS[k];
        params_train(w.m->params, "*", true);
        int32_t *rows = NEW(&run, int32_t, set.x.n);
        for (int32_t i = 0; i < set.x.n; i++) rows[i] = i;
        const Batch x = batch_of(&run, &set.x, &(BatchPlan){.pad = w.m->config.pad}, rows, set.x.n);
        EXPECT(!trainer_open(&tr, &run, w.m, NULL, &c) && !trainer_step(tr, &step, &x, &s[k]), "%s", err_message());
        near(s[k].loss, s[0].loss, 1e-5 * s[0].loss, "the loss");
        near(s[k].grad_norm, s[0].grad_norm, 1e-4 * s[0].grad_norm, "the gradient norm");
        tokenizer_close(&w.t);
    }
}

static void what_cannot_be_pretrained_is_refused(void **state)
{
    (void)state;
    World w = world("t5"), alone = world("roberta");
    ReviewPlan p;
    ReviewSet s;
    CodeChange none = {.id = "1", .message = "Fix it"};
    EXPECT(!review_plan(&p, &w.t, REVIEW_CCT5, w.m->config.vocab), "%s", err_message());
    assert_int_equal(review_set(&s, &run, 1, &none, w.m, &p, 1), E_MISMATCH);
    EXPECT(strstr(err_message(), "has lines"), "%s", err_message());
    err_clear();
    assert_int_equal(review_set(&s, &run, CHANGES, w.c, alone.m, &p, 1), E_MISMATCH);
    err_clear();
    tokenizer_close(&w.t), tokenizer_close(&alone.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_hunk_gives_each_objective),
                                       cmocka_unit_test(the_loss_is_that_of_the_measure),
                                       cmocka_unit_test(tags_are_read_off_the_encoder),
                                       cmocka_unit_test(every_objective_is_learnt),
                                       cmocka_unit_test(parts_make_a_whole),
                                       cmocka_unit_test(what_cannot_be_pretrained_is_refused)};
    return cmocka_run_group_tests(tests, begin, end) != 0;
}
