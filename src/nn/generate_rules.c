/* Rules on the logits of the next token, in the order of the Transformers library (4.57, _get_logits_processor): the
 * order matters, because a forced token undoes what an earlier rule forbade, and a later rule may forbid it again. */
#include "nn/generate_rules.h"

#include <math.h>
#include <string.h>

static int64_t length(const Written *w)
{
    return w->n_prompt + w->n_new;
}

static int32_t id_at(const Written *w, int64_t i)
{
    return i < w->n_prompt ? w->prompt[i] : w->new[i - w->n_prompt];
}

static void forbid(double *z, int64_t v, int32_t id)
{
    if (id >= 0 && id < v) z[id] = -INFINITY;
}

static void forbid_list(double *z, int64_t v, IdList list)
{
    for (int i = 0; i < list.n; i++) forbid(z, v, list.id[i]);
}

static void forbid_ends(double *z, int64_t v, const GenerateConfig *c)
{
    forbid(z, v, c->eos);
    forbid_list(z, v, c->more_eos);
}

/* ---- repetition */

/* A logit's sign decides whether dividing or multiplying makes the token less likely.  Each id counts once. */
static void penalise(double *z, int64_t v, int32_t id, double penalty, bool *seen)
{
    if (id < 0 || id >= v || seen[id]) return;
    seen[id] = true;
    z[id] = z[id] < 0 ? z[id] * penalty : z[id] / penalty;
}

static bool is_on(double factor)
{
    return factor > 0 && factor != 1;
}

static void repetition(double *z, int64_t v, const Written *w, const GenerateConfig *c, Arena *step)
{
    if (is_on(c->encoder_repetition_penalty)) {
        bool *seen = NEW(step, bool, v);
        for (int64_t i = 0; i < w->n_source; i++)
            penalise(z, v, w->source[i], 1 / c->encoder_repetition_penalty, seen);
    }
    if (is_on(c->repetition_penalty)) {
        bool *seen = NEW(step, bool, v);
        for (int64_t i = 0; i < length(w); i++) penalise(z, v, id_at(w, i), c->repetition_penalty, seen);
    }
}

/* Whether the n ids at `at` are those that end the text. */
static bool ends_with(const Written *w, const int32_t *at, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        if (at[k] != id_at(w, length(w) - n + k)) return false;
    return true;
}

static void no_repeated_ngram(double *z, int64_t v, const Written *w, int n)
{
    int64_t before = n - 1;
    for (int64_t i = 0; n > 0 && i + before < length(w); i++) {
        bool same = true;
        for (int64_t k = 0; k < before && same; k++) same = id_at(w, i + k) == id_at(w, length(w) - before + k);
        if (same) forbid(z, v, id_at(w, i + before));
    }
}

static void no_source_ngram(double *z, int64_t v, const Written *w, int n)
{
    int64_t before = n - 1;
    if (n < 1 || length(w) < before) return;
    for (int64_t i = 0; i + before < w->n_source; i++)
        if (ends_with(w, w->source + i, before)) forbid(z, v, w->source[i + before]);
}

/* A sequence is looked for only where the text is at least as long; one that is an end alone does not count. */
static void no_bad_words(double *z, int64_t v, const Written *w, const GenerateConfig *c)
{
    for (int i = 0; i < c->n_bad_words; i++) {
        IdList bad = c->bad_words[i];
        if (bad.n < 1 || (bad.n == 1 && generate_is_end(c, bad.id[0]))) continue;
        if (bad.n > 1 && bad.n > length(w)) continue;
        if (ends_with(w, bad.id, bad.n - 1)) forbid(z, v, bad.id[bad.n - 1]);
    }
}

/* ---- lengths and forced tokens */

static void force(double *z, int64_t v, IdList ids)
{
    for (int64_t t = 0; t < v; t++) z[t] = -INFINITY;
    for (int i = 0; i < ids.n; i++)
        if (ids.id[i] >= 0 && ids.id[i] < v) z[ids.id[i]] = 0;
}

static void lengthen_end(double *z, int64_t v, int32_t id, double factor)
{
    if (id >= 0 && id < v && z[id] > (double)-INFINITY) z[id] += fabs(z[id]) * (factor - 1);
}

/* Whether number i of the further ends is one of those before it: a list may name an end twice. */
static bool is_named_before(const GenerateConfig *c, int i)
{
    bool before = c->more_eos.id[i] == c->eos;
    for (int j = 0; j < i; j++) before |= c->more_eos.id[j] == c->more_eos.id[i];
    return before;
}

/* Behind decay_start new tokens the logits of an end grow. */
static void decay(double *z, int64_t v, const Written *w, const GenerateConfig *c)
{
    int late = w->n_new - c->decay_start;
    if (!is_on(c->decay_factor) || late < 1) return;
    double factor = pow(c->decay_factor, late);
    lengthen_end(z, v, c->eos, factor);
    for (int i = 0; i < c->more_eos.n; i++)
        if (!is_named_before(c, i)) lengthen_end(z, v, c->more_eos.id[i], factor);
}

/* The first token, or the second where the first is forced. */
static bool begins(const Written *w, const GenerateConfig *c)
{
    return w->n_new == (w->n_prompt == 1 && c->forced_bos >= 0);
}

void generate_rules(double *z, int64_t v, const Written *w, const GenerateConfig *c, Arena *step)
{
    repetition(z, v, w, c, step);
    no_repeated_ngram(z, v, w, c->no_repeat_ngram);
    no_source_ngram(z, v, w, c->encoder_no_repeat_ngram);
    no_bad_words(z, v, w, c);
    if (length(w) < c->min_length || w->n_new < c->min_new) forbid_ends(z, v, c);
    if (c->forced_bos >= 0 && length(w) == 1) force(z, v, (IdList){&(int32_t){c->forced_bos}, 1});
    if (c->forced_eos.n && w->n_new == c->max_new - 1) force(z, v, c->forced_eos);
    decay(z, v, w, c);
    forbid_list(z, v, c->suppress);
    if (begins(w, c)) forbid_list(z, v, c->begin_suppress);
}

void generate_log_softmax(double *z, int64_t v)
{
    double top = -INFINITY, total = 0;
    for (int64_t t = 0; t < v; t++) top = fmax(top, z[t]);
    if (!isfinite(top)) return; /* nothing may follow */
    for (int64_t t = 0; t < v; t++) total += exp(z[t] - top);
    for (int64_t t = 0; t < v; t++) z[t] -= top + log(total);
}
