/* The theory about a run of a method with virtual tokens, on a few validation rows.
 *
 * A virtual token takes a share a of each query's attention, and the head's mixture of the content is scaled by 1 -
 * a and not reordered; the mixture of the virtual tokens' values is added (Petrov et al., 2024).  So three numbers
 * of each layer describe the tokens: the mean of a, the directions in which they add, of at most one for each token
 * and head, and beside them the norm of their gradient against the head's.  Where a is near 0 the tokens are not
 * used; where the labels are in the words and the method stays at a baseline that ignores them, the task needs
 * another attention than the frozen model's. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "tasks/tune.h"

static const double UNUSED = 0.02; /* mean attention that is next to none */

/* ---- sentences */

static void say(cJSON *list, Arena *a, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(cJSON *list, Arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    cJSON_AddItemToArray(list, cJSON_CreateString(str_vprint(a, fmt, args, NULL)));
    va_end(args);
}

static double chosen(const cJSON *baselines, const char *name, const char *key)
{
    const cJSON *one = cJSON_GetObjectItemCaseSensitive(baselines, name);
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(one, key);
    return cJSON_IsNumber(x) ? x->valuedouble : (double)NAN;
}

static void say_verdict(cJSON *list, Arena *a, const TuneJob *j, const Scores *s, const cJSON *baselines,
                        const OwnAttention *seen)
{
    int k = j->own_measure;
    const Measure *m = &j->p.own.kind->measure[k];
    const char *blind = j->p.own.classes ? "most frequent class" : "mean";
    double sign = m->less ? -1 : 1, ignorant = chosen(baselines, blind, m->key), words;
    words = chosen(baselines, "words", m->key);
    double low = sign > 0 ? s->ci95[k].lo : -s->ci95[k].hi, high = sign > 0 ? s->ci95[k].hi : -s->ci95[k].lo;
    bool learned = !isfinite(ignorant) || low > sign * ignorant, in_words = isfinite(words) && sign * words > high;
    if (!learned)
        say(list, a,
            "The tuned model is not significantly better than a baseline that ignores the input: %s %.4f "
            "(95 %% interval %.4f to %.4f), the baseline %.4f.",
            m->name, s->value[k], s->ci95[k].lo, s->ci95[k].hi, ignorant);
    if (seen->mass < UNUSED)
        say(list, a,
            "The virtual tokens are next to unused.  A larger learning rate, a larger init_sd or more steps are the "
            "usual remedies.");
    else if (!learned && j->p.own.classes && s->ci95[CLASS_AUC].lo > 0.5)
        say(list, a,
            "It has begun to learn: its AUC is %.4f, with an interval above 0.5.  More steps or a larger learning "
            "rate "
            "come first.",
            s->value[CLASS_AUC]);
    else if (in_words)
        say(list, a,
            "A linear classifier of the words is significantly better (%s %.4f), so the labels are in the text.  If "
            "longer training does not change that, a %s cannot express the task on this model: it adds to what the "
            "frozen attention reads, and cannot reorder it.  LoRA on queries and keys can.",
            m->name, words, j->p.method);
}

Status own_theory(cJSON *out, const TuneJob *j, Predictor *p, const OwnTexts *x, const Scores *s,
                  const cJSON *baselines, Arena *a)
{
    int tokens = peft_virtual_tokens(j->p.peft, &j->t.cfg);
    if (!tokens) return OK;
    cJSON *all = cJSON_AddObjectToObject(out, "theory");
    OwnAttention seen;
    own_model_show(&p->o, p->o.set, x);
    TRY(own_attention(&seen, a, &p->o, p->hooks));
    cJSON_AddItemToObject(all, "attention_mass", cJSON_CreateDoubleArray(seen.of_layer, seen.layers));
    const OwnGradients *g = j->own_gradients;
    cJSON_AddNumberToObject(all, "directions", (double)seen.most);
    cJSON_AddNumberToObject(all, "directions_bound", (double)seen.bound);
    cJSON_AddNumberToObject(all, "gradient_start", g[0].method);
    cJSON_AddNumberToObject(all, "gradient_end", g[1].method);
    cJSON *list = cJSON_AddArrayToObject(all, "sentences");
    say(list, a, "The %d virtual tokens take %.1f %% of the attention, the mean over layers, heads and queries.",
        tokens, 100 * seen.mass);
    say(list, a, "They add to a layer in %lld %s of at most %lld (singular values above 1 %% of the largest).",
        (long long)seen.most, str_plural(seen.most, "direction", "directions"), (long long)seen.bound);
    say(list, a,
        "The norm of their gradient was %.2g before training and %.2g after it; the head's was %.2g and %.2g.",
        g[0].method, g[1].method, g[0].head, g[1].head);
    say_verdict(list, a, j, s, baselines, &seen);
    return OK;
}
