/* The claims, gates and exact claims of a run, each with the values that decide it, and the verdict from them all. */
#include "base/print.h"
#include "run/run.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "run/machine.h"

static Judged *add(Run *r, Judged one)
{
    Judged **end = &r->claims;
    CHECK(r->job < 0, "%s: a claim within a parallel job; state it in the parent, from the jobs' results",
          r->experiment->name);
    while (*end) end = &(*end)->next;
    one.says = str_copy(&r->arena, one.says, strlen(one.says));
    *end = NEW(&r->arena, Judged, 1);
    **end = one;
    return *end;
}

/* A seed that diverged is NaN, leaves no interval, and so decides nothing. */
static Verdict judge(Run *r, JudgedKind kind, const char *says, Claim c, ClaimRange range, const double *x)
{
    machine_trap(false);
    const double level = claim_level(c);
    const Summary s = stats_summary(x, r->seeds);
    const Interval ci = claim_interval(x, r->seeds, range, level);
    const Judged *one = add(r, (Judged){.kind = kind,
                                        .says = says,
                                        .claim = c,
                                        .mean = s.mean,
                                        .level = level,
                                        .detectable = claim_detectable(c, s.sd, r->seeds, level),
                                        .ci = ci,
                                        .n = r->seeds,
                                        .verdict = claim_verdict(c, ci)});
    machine_trap(true);
    return one->verdict;
}

Verdict run_claim(Run *r, const char *says, Claim c, ClaimRange range, const double *seeds)
{
    return judge(r, JUDGED_CLAIM, says, c, range, seeds);
}

Verdict run_gate(Run *r, const char *says, Claim c, ClaimRange range, const double *seeds)
{
    return judge(r, JUDGED_GATE, says, c, range, seeds);
}

Verdict run_exact(Run *r, const char *says, bool holds)
{
    return add(r,
               (Judged){
                   .kind = JUDGED_EXACT, .says = says, .n = r->seeds, .verdict = holds ? SUPPORTED : NOT_SUPPORTED})
        ->verdict;
}

Verdict run_unjudged(Run *r, const char *says, const char *why)
{
    says = str_print(&r->arena, "%s: not judged, %s", says, why);
    return add(r, (Judged){.kind = JUDGED_OPEN, .says = says, .n = r->seeds, .verdict = INCONCLUSIVE})->verdict;
}

/* An exact claim that is false decides; then a gate that is not supported; then the claims. */
static Verdict of_all(const Run *r)
{
    Verdict exact = SUPPORTED, gates = SUPPORTED, claims = SUPPORTED;
    for (const Judged *j = r->claims; j; j = j->next) {
        Verdict *of = j->kind == JUDGED_EXACT ? &exact : j->kind == JUDGED_GATE ? &gates : &claims;
        *of = claim_all(*of, j->verdict);
    }
    return !r->claims ? INCONCLUSIVE : exact != SUPPORTED ? exact : gates != SUPPORTED ? INCONCLUSIVE : claims;
}

Verdict run_conclude(Run *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *sentence = str_vprint(&r->arena, fmt, args, NULL);
    va_end(args);
    Verdict v = of_all(r);
    run_verdict(r, v, "%s", sentence);
    return v;
}

/* ---- for people and programs */

static const char *const KIND[] = {"claim", "gate", "exact", "open"}, *const FORM[] = {"more than", "less than",
                                                                                       "within"};

static const char *asked(Arena *a, const Judged *j)
{
    return j->claim.form == WITHIN ? str_print(a, "between %g and %g", -j->claim.margin, j->claim.margin)
                                   : str_print(a, "%s %g", FORM[j->claim.form], j->claim.margin);
}

static const char *seen(Arena *a, const Judged *j)
{
    if (isnan(j->mean)) return "not finite in every seed";
    if (j->n < 2) return str_print(a, "%.4g, and one seed has no interval", j->mean);
    if (isnan(j->ci.lo)) return str_print(a, "%.4g in every seed, which leaves no interval", j->mean);
    return str_print(a, "%.4g, %.0f %% interval %.4g to %.4g", j->mean, 100 * j->level, j->ci.lo, j->ci.hi);
}

static const char *claim_sentence(Arena *a, const Judged *j)
{
    if (j->kind == JUDGED_EXACT || j->kind == JUDGED_OPEN)
        return str_print(a, "%s: %s", verdict_name(j->verdict), j->says);
    const char *power = "";
    if (j->verdict == INCONCLUSIVE && isfinite(j->detectable))
        power = j->claim.form == WITHIN
                    ? str_print(a, "; the power at no difference is %.2f", j->detectable)
                    : str_print(a, "; with this spread a mean of %.3g has a power of 0.8", j->detectable);
    return str_print(a, "%s: %s is %s; required: %s%s", verdict_name(j->verdict), j->says, seen(a, j), asked(a, j),
                     power);
}

void claims_print(Run *r)
{
    for (const Judged *j = r->claims; j; j = j->next)
        print_item(j->kind == JUDGED_CLAIM ? "  tested" : str_print(&r->arena, "  %s", KIND[j->kind]), 11,
                   claim_sentence(&r->arena, j));
}

static void add_pair(cJSON *object, const char *name, Interval i)
{
    cJSON *pair = cJSON_AddArrayToObject(object, name);
    cJSON_AddItemToArray(pair, cJSON_CreateNumber(i.lo)); /* cJSON writes NaN as null */
    cJSON_AddItemToArray(pair, cJSON_CreateNumber(i.hi));
}

void claims_json(cJSON *root, Run *r)
{
    cJSON *list = r->claims ? cJSON_AddArrayToObject(root, "claims") : NULL;
    for (const Judged *j = r->claims; j; j = j->next) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "kind", KIND[j->kind]);
        cJSON_AddStringToObject(one, "claim", j->says);
        cJSON_AddStringToObject(one, "verdict", verdict_name(j->verdict));
        cJSON_AddStringToObject(one, "sentence", claim_sentence(&r->arena, j));
        if (j->kind == JUDGED_CLAIM || j->kind == JUDGED_GATE) {
            cJSON_AddStringToObject(one, "form", FORM[j->claim.form]);
            cJSON_AddNumberToObject(one, "margin", j->claim.margin);
            cJSON_AddNumberToObject(one, "mean", j->mean);
            cJSON_AddNumberToObject(one, "level", j->level);
            add_pair(one, "interval", j->ci);
            cJSON_AddNumberToObject(one, "detectable", j->detectable);
            cJSON_AddNumberToObject(one, "n", j->n);
        }
        cJSON_AddItemToArray(list, one);
    }
}

static double number(const cJSON *o, const char *key)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsNumber(x) ? x->valuedouble : (double)NAN;
}

static int word(const cJSON *o, const char *key, const char *const *among, int n)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    for (int k = 0; s && k < n; k++)
        if (!strcmp(among[k], s)) return k;
    return 0;
}

void claims_recall(Run *r, const cJSON *list)
{
    const char *const VERDICT[] = {verdict_name(SUPPORTED), verdict_name(NOT_SUPPORTED), verdict_name(INCONCLUSIVE)};
    const cJSON *one;
    cJSON_ArrayForEach(one, list)
    {
        const char *says = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(one, "claim"));
        const cJSON *ci = cJSON_GetObjectItemCaseSensitive(one, "interval"), *lo = cJSON_GetArrayItem(ci, 0),
                    *hi = cJSON_GetArrayItem(ci, 1);
        add(r, (Judged){.kind = (JudgedKind)word(one, "kind", KIND, 4),
                        .says = says ? says : "",
                        .claim = {(ClaimForm)word(one, "form", FORM, 3), number(one, "margin")},
                        .mean = number(one, "mean"),
                        .level = number(one, "level"),
                        .detectable = number(one, "detectable"),
                        .ci = {cJSON_IsNumber(lo) ? lo->valuedouble : (double)NAN,
                               cJSON_IsNumber(hi) ? hi->valuedouble : (double)NAN},
                        .n = isnan(number(one, "n")) ? r->seeds : (int)number(one, "n"),
                        .verdict = (Verdict)word(one, "verdict", VERDICT, 3)});
    }
}
