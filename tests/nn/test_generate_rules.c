/* Each rule on logits against the definition of the Transformers library, on a vocabulary of eight tokens, and the
 * order in which they apply. */
#include "expect.h"

#include <string.h>

#include "nn/generate_rules.h"

enum { N = 8 };
#define LIST(...) ((IdList){(const int32_t[]){__VA_ARGS__}, sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)})
static const double Z[N] = {1, -2, 0.5, 3, -0.25, 2, -1, 0};
static const int32_t PROMPT[] = {3, 1, 3}, NEW_IDS[] = {5, 3, 1}, SOURCE[] = {6, 3, 1, 2, 6, 7};

static GenerateConfig plain(void)
{
    return (GenerateConfig){.max_new = 10, .eos = 2, .forced_bos = -1};
}

static Written written(void)
{
    return (Written){.prompt = PROMPT, .n_prompt = 3, .new = NEW_IDS, .n_new = 3, .source = SOURCE, .n_source = 6};
}

/* What the rules make of Z; NaN in `want` stands for a token that must not follow. */
static void expect(const GenerateConfig *c, const Written *w, const double want[N], const char *what)
{
    double z[N];
    Arena a = arena_open(1 << 24);
    memcpy(z, Z, sizeof z);
    generate_rules(z, N, w, c, &a);
    for (int t = 0; t < N; t++) {
        bool never = isnan(want[t]);
        EXPECT(never ? z[t] == (double)-INFINITY : fabs(z[t] - want[t]) < 1e-12, "%s: token %d has %g, expected %g",
               what, t, z[t], want[t]);
    }
    arena_close(&a);
}

static void expect_forbidden(const GenerateConfig *c, const Written *w, IdList never, const char *what)
{
    double want[N];
    memcpy(want, Z, sizeof want);
    for (int i = 0; i < never.n; i++) want[never.id[i]] = (double)NAN;
    expect(c, w, want, what);
}

static void nothing_is_changed_by_default(void **state)
{
    (void)state;
    GenerateConfig c = plain();
    Written w = written();
    expect_forbidden(&c, &w, (IdList){0}, "no rule");
}

/* 3, 1 and 5 stand in the text, 3 and 1 more than once: each is changed once, by its sign. */
static void repeated_tokens_are_penalised_once(void **state)
{
    (void)state;
    GenerateConfig c = plain();
    Written w = written();
    c.repetition_penalty = 2;
    expect(&c, &w, (const double[N]){1, -4, 0.5, 1.5, -0.25, 1, -1, 0}, "repetition_penalty");
    c.repetition_penalty = 0;
    c.encoder_repetition_penalty = 2; /* 6, 3, 1, 2 and 7 stand in the source */
    expect(&c, &w, (const double[N]){1, -1, 1, 6, -0.25, 2, -0.5, 0}, "encoder_repetition_penalty");
}

/* Ids of a text that the vocabulary lacks, as padding has them, change nothing, and nothing beside the logits. */
static void ids_outside_the_vocabulary_are_passed_over(void **state)
{
    (void)state;
    static const int32_t OUTSIDE[] = {-1, N, -2, N + 1, -1, N};
    GenerateConfig c = plain();
    c.repetition_penalty = c.encoder_repetition_penalty = 2;
    c.no_repeat_ngram = c.encoder_no_repeat_ngram = 1;
    c.eos = N, c.more_eos = c.forced_eos = c.suppress = c.begin_suppress = LIST(-1, N);
    c.min_length = 20, c.decay_factor = 2, c.max_new = 100;
    Written w = {.prompt = OUTSIDE, .n_prompt = 4, .new = OUTSIDE + 2, .n_new = 4, .source = OUTSIDE, .n_source = 6};
    double z[N + 4];
    Arena a = arena_open(1 << 24);
    for (int t = 0; t < N + 4; t++) z[t] = t < 2 || t >= N + 2 ? 7 : Z[t - 2];
    generate_rules(z + 2, N, &w, &c, &a);
    for (int t = 0; t < N + 4; t++)
        EXPECT(z[t] == (t < 2 || t >= N + 2 ? 7 : Z[t - 2]), "token %d has %g", t - 2, z[t]);
    arena_close(&a);
}

/* The text is 3 1 3 5 3 1.  Of pairs that begin with 1 there is "1 3"; of triples that begin with "3 1", "3 1 3". */
static void ngrams_do_not_come_twice(void **state)
{
    (void)state;
    GenerateConfig c = plain();
    Written w = written();
    c.no_repeat_ngram = 1;
    expect_forbidden(&c, &w, LIST(1, 3, 5), "single tokens");
    c.no_repeat_ngram = 2;
    expect_forbidden(&c, &w, LIST(3), "pairs");
    c.no_repeat_ngram = 3;
    expect_forbidden(&c, &w, LIST(3), "triples");
    c.no_repeat_ngram = 4;
    expect_forbidden(&c, &w, (IdList){0}, "fours");
    c.no_repeat_ngram = 0;
    c.encoder_no_repeat_ngram = 2; /* "1 2" */
    expect_forbidden(&c, &w, LIST(2), "pairs of the source");
    c.encoder_no_repeat_ngram = 3; /* "3 1 2" */
    expect_forbidden(&c, &w, LIST(2), "triples of the source");
    c.encoder_no_repeat_ngram = 1;
    expect_forbidden(&c, &w, LIST(6, 3, 1, 2, 7), "tokens of the source");
    c.encoder_no_repeat_ngram = 7;
    expect_forbidden(&c, &w, (IdList){0}, "more than the source has");
}

/* A word of two tokens is kept from its end; an end alone may be written; a word longer than the text is not seen. */
static void bad_words_are_not_completed(void **state)
{
    (void)state;
    GenerateConfig c = plain();
    Written w = written();
    const IdList bad[] = {LIST(7), LIST(3, 1, 4), LIST(5, 1, 0), LIST(2), LIST(3, 1, 3, 5, 3, 1, 6)};
    c.bad_words = bad, c.n_bad_words = 5;
    expect_forbidden(&c, &w, LIST(7, 4), "bad_words_ids");
    w.n_prompt = 0, w.n_new = 0;
    expect_forbidden(&c, &w, LIST(7), "bad_words_ids of an empty text");
}

static void ends_wait_for_the_least_length(void **state)
{
    (void)state;
    GenerateConfig c = plain();
    Written w = written();
    c.more_eos = LIST(6, 99);
    c.min_new = 4;
    expect_forbidden(&c, &w, LIST(2, 6), "min_new_tokens");
    c.min_new = 3;
    expect_forbidden(&c, &w, (IdList){0}, "min_new_tokens that are there");
    c.min_length = 7;
    expect_forbidden(&c, &w, LIST(2, 6), "min_length");
    c.min_length = 6;
    expect_forbidden(&c, &w, (IdList){0}, "min_length that is there");
}

static void tokens_are_forced_at_both_limits(void **state)
{
    (void)state;
    double want[N];
    GenerateConfig c = plain();
    Written w = written();
    for (int t = 0; t < N; t++) want[t] = (double)NAN;
    c.forced_bos = 4, c.forced_eos = LIST(2, 6);
    expect_forbidden(&c, &w, (IdList){0}, "in the middle");
    c.max_new = 4;
    want[2] = want[6] = 0;
    expect(&c, &w, want, "forced_eos_token_id");
    w.n_prompt = 1, w.n_new = 0, c.max_new = 10;
    want[2] = want[6] = (double)NAN, want[4] = 0;
    expect(&c, &w, want, "forced_bos_token_id");
    w.n_prompt = 2;
    expect_forbidden(&c, &w, (IdList){0}, "forced_bos_token_id behind a longer prompt");
}

/* The logits of an end grow by |z| (factor^k - 1), k tokens behind the start. */
static void ends_become_likelier_with_length(void **state)
{
    (void)state;
    GenerateConfig c = plain();
    Written w = written();
    c.more_eos = LIST(1);
    c.decay_start = 1, c.decay_factor = 1.5;
    expect(&c, &w, (const double[N]){1, -2 + 2 * 1.25, 0.5 + 0.5 * 1.25, 3, -0.25, 2, -1, 0}, "decay");
    c.more_eos = LIST(1, c.eos, 1);
    expect(&c, &w, (const double[N]){1, -2 + 2 * 1.25, 0.5 + 0.5 * 1.25, 3, -0.25, 2, -1, 0}, "ends named twice");
    c.decay_start = 3;
    expect_forbidden(&c, &w, (IdList){0}, "decay before its start");
}

static void tokens_are_suppressed(void **state)
{
    (void)state;
    GenerateConfig c = plain();
    Written w = written();
    c.suppress = LIST(0, 99), c.begin_suppress = LIST(5);
    expect_forbidden(&c, &w, LIST(0), "suppress_tokens");
    w.n_new = 0;
    expect_forbidden(&c, &w, LIST(0, 5), "begin_suppress_tokens");
    w.n_prompt = 1, w.n_new = 1, c.forced_bos = 3;
    expect_forbidden(&c, &w, LIST(0, 5), "begin_suppress_tokens behind a forced token");
}

/* A forced token comes behind what forbids by repetition and length, and before what suppresses. */
static void rules_apply_in_the_library_s_order(void **state)
{
    (void)state;
    double want[N];
    GenerateConfig c = plain();
    Written w = written();
    for (int t = 0; t < N; t++) want[t] = (double)NAN;
    w.n_prompt = 1, w.n_new = 0;
    c.no_repeat_ngram = 1, c.repetition_penalty = 2, c.forced_bos = 3; /* 3 stands in the prompt */
    want[3] = 0;
    expect(&c, &w, want, "forced though repeated");
    c.suppress = LIST(3);
    want[3] = (double)NAN;
    expect(&c, &w, want, "suppressed though forced");
    c = plain();
    w = written();
    c.repetition_penalty = 2, c.encoder_repetition_penalty = 2; /* 3 and 1 by both: the one undoes the other */
    expect(&c, &w, (const double[N]){1, -2, 1, 3, -0.25, 1, -0.5, 0}, "both penalties");
}

/* ---- sampling: which tokens are left, seen by draws at many u */

static void expect_left(const GenerateConfig *c, IdList left, const char *what)
{
    bool seen[N] = {0};
    Arena a = arena_open(1 << 24);
    for (int i = 0; i < 4000; i++) seen[generate_draw(Z, N, c, &a, (i + 0.5) / 4000)] = true;
    for (int t = 0; t < N; t++) {
        bool in = false;
        for (int i = 0; i < left.n; i++) in |= left.id[i] == t;
        EXPECT(in == seen[t], "%s: token %d is %s", what, t, seen[t] ? "drawn" : "left out");
    }
    arena_close(&a);
}

/* Probabilities of Z: 3 .589, 5 .217, 0 .080, 2 .048, 7 .029, 4 .023, 6 .011, 1 .004; entropy 1.25.  Surprises of the
 * likeliest four: .53, 1.53, 2.53, 3.03; the nearest to the entropy is token 5, then 3, then 0. */
static void samplers_leave_what_they_should(void **state)
{
    (void)state;
    GenerateConfig c = plain();
    c.temperature = 1;
    expect_left(&c, LIST(0, 1, 2, 3, 4, 5, 6, 7), "all");
    c.top_k = 3;
    expect_left(&c, LIST(3, 5, 0), "top_k");
    c.top_k = 0, c.top_p = 0.85;
    expect_left(&c, LIST(3, 5, 0), "top_p");
    c.top_p = 0, c.min_p = 0.1;
    expect_left(&c, LIST(3, 5, 0), "min_p");
    c.min_p = 0, c.epsilon = 0.04;
    expect_left(&c, LIST(3, 5, 0, 2), "epsilon_cutoff");
    c.epsilon = 0, c.typical_p = 0.2;
    expect_left(&c, LIST(5), "typical_p");
    c.typical_p = 0.5;
    expect_left(&c, LIST(5, 3), "typical_p");
    c.typical_p = 0, c.eta = 0.1; /* least probability min(.1, .316 exp(-1.25)) = .090 */
    expect_left(&c, LIST(3, 5), "eta_cutoff");
    c.eta = 0, c.top_k = 2, c.epsilon = 0.2; /* of two, .731 and .269: each above .2 */
    expect_left(&c, LIST(3, 5), "probabilities among those that are left");
}

SUITE(cmocka_unit_test(nothing_is_changed_by_default), cmocka_unit_test(repeated_tokens_are_penalised_once),
      cmocka_unit_test(ids_outside_the_vocabulary_are_passed_over), cmocka_unit_test(ngrams_do_not_come_twice),
      cmocka_unit_test(bad_words_are_not_completed), cmocka_unit_test(ends_wait_for_the_least_length),
      cmocka_unit_test(tokens_are_forced_at_both_limits), cmocka_unit_test(ends_become_likelier_with_length),
      cmocka_unit_test(tokens_are_suppressed), cmocka_unit_test(rules_apply_in_the_library_s_order),
      cmocka_unit_test(samplers_leave_what_they_should))
