/* Beam search against enumeration of every continuation, and sampling against the distribution it draws from. */
#include "small.h"

#include "nn/generate.h"

enum { NEW_TOKENS = 3 };
static const char *const DECODERS[] = {"gpt2", "bart"};

typedef struct {
    Arena run, step;
    Model *m;
    Batch x;
    int32_t start; /* the one token that every continuation begins with */
} Setting;

static Setting setting(const char *shape)
{
    Setting s = {.run = arena_open(0), .step = arena_open(0)};
    s.m = small_model(&s.run, shape, F64);
    s.x = small_batch(&s.run, s.m);
    s.start = 5;
    int32_t *ids = NEW(&s.run, int32_t, B);
    for (int b = 0; b < B; b++) ids[b] = s.start + b;
    s.x.ids = ids, s.x.t = 1, s.x.len = NULL, s.x.target = NULL, s.x.keep = NULL, s.x.k = 0;
    return s;
}

static void setting_close(Setting *s)
{
    arena_close(&s->step);
    arena_close(&s->run);
}

/* log p of every continuation of NEW_TOKENS tokens of row b, from passes without a cache. */
static double *every_continuation(Setting *s, int b)
{
    int n = V * V * V;
    double *logp = NEW(&s->run, double, n);
    for (int first = 0; first < n; first += V) { /* the last token varies within a pass */
        ArenaMark mark = arena_mark(&s->step);
        int32_t ids[NEW_TOKENS] = {s->x.ids[b], first / (V * V), first / V % V};
        Batch x = {.b = 1,
                   .t = NEW_TOKENS,
                   .ids = ids,
                   .s = s->x.s,
                   .src = s->x.src ? s->x.src + b * s->x.s : NULL,
                   .src_len = s->x.src_len ? s->x.src_len + b : NULL};
        Tensor z = model_logits(s->m, &(Pass){.tape = tape_open(&s->step, false)}, &x)->val;
        double before = 0;
        for (int t = 0; t < NEW_TOKENS; t++) {
            double total = 0;
            for (int v = 0; v < V; v++) total += exp(tensor_get(z, t * V + v));
            if (t < NEW_TOKENS - 1)
                before += tensor_get(z, t * V + ids[t + 1]) - log(total);
            else
                for (int v = 0; v < V; v++) logp[first + v] = before + tensor_get(z, t * V + v) - log(total);
        }
        arena_drop(&s->step, mark);
    }
    return logp;
}

static void wide_beams_find_the_best(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        Setting s = setting(DECODERS[k]);
        GenerateConfig c = generate_defaults(s.m, NEW_TOKENS);
        c.beams = V * V, c.n_best = 3, c.eos = -1, c.forced_eos.n = 0; /* nothing is ever pruned that could win */
        int32_t out[B * 3 * NEW_TOKENS], len[B * 3];
        double score[B * 3];
        EXPECT(generate_beams(out, len, score, s.m, NULL, &s.step, &s.x, &c) == OK, "%s", err_message());
        for (int b = 0; b < B; b++) {
            double *logp = every_continuation(&s, b);
            for (int n = 0; n < 3; n++) {
                int best = 0;
                for (int i = 1; i < V * V * V; i++)
                    if (logp[i] > logp[best]) best = i;
                const int32_t *got = out + (b * 3 + n) * NEW_TOKENS;
                EXPECT(got[0] * V * V + got[1] * V + got[2] == best, "%s row %d result %d", DECODERS[k], b, n);
                EXPECT(fabs(score[b * 3 + n] - logp[best] / NEW_TOKENS) < 1e-9, "score %g, expected %g",
                       score[b * 3 + n], logp[best] / NEW_TOKENS);
                logp[best] = -INFINITY;
            }
        }
        setting_close(&s);
    }
}

static bool comes_twice(const Setting *s, int b, int code)
{
    int32_t id[NEW_TOKENS + 1] = {s->x.ids[b], code / (V * V), code / V % V, code % V};
    for (int i = 1; i <= NEW_TOKENS; i++)
        for (int j = 0; j < i; j++)
            if (id[i] == id[j]) return true;
    return false;
}

/* The same among the continuations that two rules leave: no token twice, the first one included, and none of
 * 7 to 9. */
static void wide_beams_find_the_best_that_rules_allow(void **state)
{
    (void)state;
    static const int32_t never[] = {7, 8, 9};
    for (int k = 0; k < 2; k++) {
        Setting s = setting(DECODERS[k]);
        GenerateConfig c = generate_defaults(s.m, NEW_TOKENS);
        c.beams = V * V, c.n_best = 2, c.eos = -1, c.forced_eos.n = 0;
        c.no_repeat_ngram = 1, c.suppress = (IdList){never, 3};
        int32_t out[B * 2 * NEW_TOKENS], len[B * 2];
        double score[B * 2];
        EXPECT(generate_beams(out, len, score, s.m, NULL, &s.step, &s.x, &c) == OK, "%s", err_message());
        for (int b = 0; b < B; b++) {
            double *logp = every_continuation(&s, b);
            for (int i = 0; i < V * V * V; i++) {
                int id[] = {i / (V * V), i / V % V, i % V};
                for (int t = 0; t < NEW_TOKENS; t++)
                    if ((id[t] >= 7 && id[t] <= 9) || comes_twice(&s, b, i)) logp[i] = -INFINITY;
            }
            for (int n = 0; n < 2; n++) {
                int best = 0;
                for (int i = 1; i < V * V * V; i++)
                    if (logp[i] > logp[best]) best = i;
                const int32_t *got = out + (b * 2 + n) * NEW_TOKENS;
                EXPECT(got[0] * V * V + got[1] * V + got[2] == best, "%s row %d result %d", DECODERS[k], b, n);
                near(score[b * 2 + n], logp[best] / NEW_TOKENS, 1e-9, "score");
                logp[best] = -INFINITY;
            }
        }
        setting_close(&s);
    }
}

/* Rows of different prompts in one batch are what each row is alone, with rules that look at what stands before. */
static void rows_of_a_batch_are_rows_alone(void **state)
{
    (void)state;
    enum { MOST = 8 };
    static const int32_t ends[] = {3, 4}, bad_ids[] = {9, 10};
    const IdList bad[] = {{bad_ids, 2}};
    Arena run = arena_open(0), step = arena_open(0);
    Model *m = small_model(&run, "gpt2", F64);
    Batch x = small_batch(&run, m);
    x.target = x.keep = NULL, x.k = 0;
    GenerateConfig c = generate_defaults(m, MOST);
    c.more_eos = (IdList){ends, 2}, c.repetition_penalty = 1.7, c.no_repeat_ngram = 2, c.min_length = 7;
    c.bad_words = bad, c.n_bad_words = 1, c.encoder_no_repeat_ngram = 3;
    for (int beams = 1; beams <= 3; beams += 2) {
        int32_t out[B * MOST], len[B], alone[MOST], n;
        double score[B], one;
        c.beams = beams;
        EXPECT((beams > 1 ? generate_beams(out, len, score, m, NULL, &step, &x, &c)
                          : generate_tokens(out, len, m, NULL, &step, &x, &c)) == OK,
               "%s", err_message());
        for (int b = 0; b < B; b++) {
            Batch row = {.b = 1, .t = x.len[b], .ids = x.ids + b * x.t};
            EXPECT((beams > 1 ? generate_beams(alone, &n, &one, m, NULL, &step, &row, &c)
                              : generate_tokens(alone, &n, m, NULL, &step, &row, &c)) == OK,
                   "%s", err_message());
            EXPECT(n == len[b] && !memcmp(alone, out + b * MOST, sizeof *alone * (size_t)n), "%d beams, row %d",
                   beams, b);
        }
    }
    arena_close(&step);
    arena_close(&run);
}

static void one_beam_is_greedy(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        Setting s = setting(DECODERS[k]);
        GenerateConfig c = generate_defaults(s.m, 8);
        int32_t out[2][B * 8], len[2][B];
        double score[B];
        assert_int_equal(generate_tokens(out[0], len[0], s.m, NULL, &s.step, &s.x, &c), OK);
        assert_int_equal(generate_beams(out[1], len[1], score, s.m, NULL, &s.step, &s.x, &c), OK);
        assert_memory_equal(out[0], out[1], sizeof out[0]);
        assert_memory_equal(len[0], len[1], sizeof len[0]);
        c.beams = 2, c.n_best = 3;
        assert_int_equal(generate_beams(out[1], len[1], score, s.m, NULL, &s.step, &s.x, &c), E_CONFIG);
        err_clear();
        setting_close(&s);
    }
}

/* The first token over many seeds, against the softmax that temperature, top-k and top-p leave. */
static void samples_follow_the_distribution(void **state)
{
    (void)state;
    enum { DRAWS = 3000 };
    static const struct {
        double temperature, top_p;
        int top_k;
    } how[] = {{1, 0, 0}, {0.5, 0, 0}, {1, 0, 4}, {1, 0.5, 0}, {1.5, 0.9, 10}, {1, 1e-9, 0}, {1, 0, 1}};
    Setting s = setting("gpt2");
    s.x.b = 1;
    Tensor z = tensor_copy(&s.run, model_logits(s.m, &(Pass){.tape = tape_open(&s.step, false)}, &s.x)->val);
    for (size_t h = 0; h < sizeof how / sizeof *how; h++) {
        double p[V], total = 0;
        int order[V], kept = V, count[V] = {0};
        for (int v = 0; v < V; v++) p[v] = exp(tensor_get(z, v) / how[h].temperature), order[v] = v;
        for (int i = 0; i < V; i++)
            for (int j = i + 1; j < V; j++)
                if (p[order[j]] > p[order[i]]) {
                    int swap = order[i];
                    order[i] = order[j], order[j] = swap;
                }
        if (how[h].top_k) kept = how[h].top_k;
        for (int i = 0; i < kept; i++) total += p[order[i]];
        if (how[h].top_p > 0) {
            double sum = 0;
            int n = 0;
            while (n == 0 || sum < how[h].top_p * total) sum += p[order[n++]];
            kept = n, total = sum;
        }
        for (int d = 0; d < DRAWS; d++) {
            GenerateConfig c = generate_defaults(s.m, 1);
            c.temperature = how[h].temperature, c.top_p = how[h].top_p, c.top_k = how[h].top_k, c.seed = (uint64_t)d;
            int32_t out, len;
            assert_int_equal(generate_tokens(&out, &len, s.m, NULL, &s.step, &s.x, &c), OK);
            count[out]++;
        }
        for (int i = 0; i < V; i++) {
            double want = i < kept ? p[order[i]] / total : 0, got = count[order[i]] / (double)DRAWS;
            EXPECT(fabs(got - want) <= 4.5 * sqrt(want * (1 - want) / DRAWS),
                   "case %zu: token of rank %d at %g, expected %g", h, i, got, want);
        }
    }
    setting_close(&s);
}

/* ---- an end of text that is not among the best */

/* Logits that never change: log p of three tokens, whatever stands before. */
static Var *same_logits(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)at, (void)in;
    Tensor z = tensor_new(tape_arena(p->tape), out->val.dtype, out->val.rank, out->val.dim);
    for (int64_t i = 0; i < tensor_count(z); i++) tensor_set(z, i, ((const double *)user)[i % V]);
    return tape_leaf(p->tape, z);
}

/* Two beams consider four candidates, of which an end of text counts only among the first two (BeamSearchScorer of
 * the Transformers library).  With p = 0.45 for the end, 0.41 for a and 0.14 for b, step 1 finishes the empty text
 * and keeps a and b; step 2 has "a end" 0.1845, "a a" 0.1681, "b end" 0.063 and "a b".  "b end" is third and is
 * passed over, though under a penalty of length^2 its log p / 4 is better than log 0.45 of the empty text. */
static void an_end_below_the_beams_is_passed_over(void **state)
{
    (void)state;
    enum { EOS = 2, A = 7, B_ = 9, BEAMS = 2, MOST = 3 };
    double z[V];
    for (int v = 0; v < V; v++) z[v] = -100;
    z[EOS] = log(0.45), z[A] = log(0.41), z[B_] = log(0.14);
    Setting s = setting("gpt2");
    Hooks *h = hooks_new(&s.run);
    hook_add(h, (Where){SITE_LOGITS, LAYER_EMBED, PART_DECODER}, same_logits, z);
    GenerateConfig c = generate_defaults(s.m, MOST);
    c.beams = c.n_best = BEAMS, c.eos = EOS, c.length_penalty = 2, c.early_stopping = true, c.forced_eos.n = 0;
    int32_t out[B * BEAMS * MOST], len[B * BEAMS];
    double score[B * BEAMS];
    EXPECT(generate_beams(out, len, score, s.m, h, &s.step, &s.x, &c) == OK, "%s", err_message());
    for (int b = 0; b < B; b++) {
        const int32_t *first = out + b * BEAMS * MOST, *second = first + MOST;
        assert_true(len[b * BEAMS] == 2 && first[0] == A && first[1] == EOS);
        assert_true(len[b * BEAMS + 1] == 1 && second[0] == EOS);
        near(score[b * BEAMS], log(0.1845) / 4, 1e-9, "a, end");
        near(score[b * BEAMS + 1], log(0.45), 1e-9, "end");
    }
    setting_close(&s);
}

/* With three ends, the eight candidates of two beams leave two that go on: p = .4, .3 and .2 for ends, .06 and .04
 * for tokens.  Greedy decoding ends with the likeliest of them, and a search never loses its open beams. */
static void each_of_several_ends_ends(void **state)
{
    (void)state;
    enum { A = 7, B_ = 9, MOST = 3 };
    static const int32_t more[] = {4, 6};
    double z[V];
    for (int v = 0; v < V; v++) z[v] = -100;
    z[2] = log(0.2), z[4] = log(0.4), z[6] = log(0.3), z[A] = log(0.06), z[B_] = log(0.04);
    Setting s = setting("gpt2");
    Hooks *h = hooks_new(&s.run);
    hook_add(h, (Where){SITE_LOGITS, LAYER_EMBED, PART_DECODER}, same_logits, z);
    GenerateConfig c = generate_defaults(s.m, MOST);
    c.eos = 2, c.more_eos = (IdList){more, 2}, c.min_new = 1;
    int32_t out[B * 2 * MOST], len[B * 2];
    double score[B * 2];
    EXPECT(generate_tokens(out, len, s.m, h, &s.step, &s.x, &c) == OK, "%s", err_message());
    assert_true(len[0] == 2 && out[0] == A && out[1] == 4);
    c.beams = c.n_best = 2, c.early_stopping = STOP_NEVER, c.length_penalty = 4;
    EXPECT(generate_beams(out, len, score, s.m, h, &s.step, &s.x, &c) == OK, "%s", err_message());
    for (int b = 0; b < B; b++) { /* a a 4 and a a 6, of the third step; two tokens and an end */
        const int32_t *first = out + b * 2 * MOST;
        assert_true(len[b * 2] == 3 && first[0] == A && first[1] == A && first[2] == 4);
        near(score[b * 2], log(0.06 * 0.06 * 0.4) / 81, 1e-9, "score");
    }
    setting_close(&s);
}

static bool ends_behind_two(const int32_t *new, int n, void *user)
{
    (void)new;
    return n == *(const int *)user;
}

static void a_test_of_the_caller_ends_rows(void **state)
{
    (void)state;
    int two = 2;
    Setting s = setting("bart");
    GenerateConfig c = generate_defaults(s.m, 6);
    c.eos = -1, c.forced_eos.n = 0, c.ends = ends_behind_two, c.user = &two;
    int32_t out[B * 6], len[B];
    double score[B];
    EXPECT(generate_tokens(out, len, s.m, NULL, &s.step, &s.x, &c) == OK, "%s", err_message());
    for (int b = 0; b < B; b++) assert_int_equal(len[b], 2);
    c.beams = 3;
    EXPECT(generate_beams(out, len, score, s.m, NULL, &s.step, &s.x, &c) == OK, "%s", err_message());
    for (int b = 0; b < B; b++) assert_int_equal(len[b], 2);
    setting_close(&s);
}

SUITE(cmocka_unit_test(wide_beams_find_the_best_that_rules_allow), cmocka_unit_test(rows_of_a_batch_are_rows_alone),
      cmocka_unit_test(each_of_several_ends_ends), cmocka_unit_test(a_test_of_the_caller_ends_rows),
      cmocka_unit_test(an_end_below_the_beams_is_passed_over), cmocka_unit_test(wide_beams_find_the_best),
      cmocka_unit_test(one_beam_is_greedy), cmocka_unit_test(samples_follow_the_distribution))
