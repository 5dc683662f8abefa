/* The report: metrics, findings about the data, and the verdict. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "base/str.h"
#include "probe/compare.h"
#include "probe/sheet.h"
#include "probes/probing.h"

/* Bits a row: 2 % of the label of a balanced task, below which 200 test rows can hardly tell it from nothing. */
static const double ALPHA = 0.05, MARGIN = 0.02;
static const char *const MODE[PROTOCOLS] = {"", ", first token", ", karmakar-compat"};

/* ---- metrics ---- */

/* Records the test accuracy of each layer and of the chosen one, for each encoder and seed. */
static void record_curves(Run *r, Outcomes o)
{
    Arena *a = run_arena(r);
    int unconverged = 0;
    for (Kind kind = SUBJECT; kind < KINDS; kind++)
        for (int l = 0; l <= o.lab->layers; l++)
            for (Protocol how = CORRECT; how < PROTOCOLS; how++)
                for (int i = 0; o.lab->wanted[how] && i < probing_encoders(o.lab, kind); i++) {
                    const Curve *c = &outcome_of(o, kind, i)->curve[how];
                    const char *name = kind_name(o.lab, kind);
                    if (l < o.lab->layers) {
                        run_metric(r, RANGE_PERCENT, str_print(a, "%s, layer %d%s (%%)", name, l, MODE[how]), i,
                                   100 * c->accuracy[l][SPLIT_TEST]);
                        continue;
                    }
                    unconverged += c->unconverged;
                    run_metric(r, RANGE_PERCENT,
                               str_print(a, "%s, layer chosen on validation%s (%%)", name, MODE[how]), i,
                               100 * c->accuracy[c->best][SPLIT_TEST]);
                    run_metric(r, RANGE_EXTREME, str_print(a, "%s, chosen layer%s", name, MODE[how]), i, c->best);
                }
    run_metric(r, RANGE_EXTREME, "probe fits that did not converge", 0, unconverged);
}

/* Records selectivity, MDL compression and V-information of each encoder and seed. */
static void record_controls(Run *r, Outcomes o)
{
    Arena *a = run_arena(r);
    for (Kind kind = SUBJECT; kind < KINDS; kind++)
        for (int i = 0; i < probing_encoders(o.lab, kind); i++) {
            const Outcome *x = outcome_of(o, kind, i);
            const char *name = kind_name(o.lab, kind);
            run_metric(r, RANGE_PERCENT, str_print(a, "%s, control task, train (%%)", name), i,
                       100 * x->control[SPLIT_TRAIN]);
            run_metric(r, RANGE_PERCENT, str_print(a, "%s, control task, test (%%)", name), i,
                       100 * x->control[SPLIT_TEST]);
            run_metric(r, RANGE_ANY, str_print(a, "%s, selectivity, test (points)", name), i,
                       100 * x->selectivity[SPLIT_TEST]);
            run_metric(r, RANGE_ANY, str_print(a, "%s, MDL compression", name), i, x->compression);
            run_metric(r, RANGE_ANY, str_print(a, "%s, V-information (bits per example)", name), i, x->usable);
            run_metric(r, RANGE_EXTREME, str_print(a, "%s, test rows with negative PVI", name), i,
                       (double)x->negatives);
            if (x->points) run_metric(r, RANGE_POSITIVE, "final MLM loss (nats)", i, x->loss[x->points - 1]);
        }
}

/* Records the bits of each encoder and layer beyond the rules and the words, and those of the baselines. */
static void record_beyond(Run *r, Outcomes o)
{
    Arena *a = run_arena(r);
    const ProbeKnown *k = &o.lab->known;
    run_metric(r, RANGE_ANY, "rules (bits per example)", 0, k->rules.gain);
    run_metric(r, RANGE_ANY, "bag of words, beyond the rules (bits per example)", 0, k->words.gain);
    run_metric(r, RANGE_POSITIVE, "left by rules and words (bits per example)", 0, k->words.after);
    for (Kind kind = SUBJECT; kind < KINDS; kind++)
        for (int l = 0; l <= o.lab->layers; l++)
            for (int i = 0; i < probing_encoders(o.lab, kind); i++) {
                const Outcome *x = outcome_of(o, kind, i);
                const char *name = kind_name(o.lab, kind);
                bool last = l == o.lab->layers;
                run_metric(r, RANGE_ANY,
                           last ? str_print(a, "%s, beyond rules and words (bits per example)", name)
                                : str_print(a, "%s, layer %d, beyond rules and words (bits per example)", name, l),
                           i, x->beyond[last ? x->deepest : l]);
            }
}

/* ---- test rows seen in training, and the others ---- */

/* "61.2 % (50.6 to 71.0)" of the test rows that are kept. */
static const char *share_text(Arena *a, const Dataset *all, const bool *keep, const int32_t *const *guess, int n)
{
    Dataset d = compare_among(a, all, keep);
    double sum = 0;
    for (int k = 0; k < n; k++) sum += rule_accuracy(&d, guess[k], SPLIT_TEST) / n;
    Interval ci = compare_interval(guess, n, &d, NULL, SPLIT_TEST, DRAWS, rng_stream(1, "seen"));
    return str_print(a, "%.1f %% (%.1f to %.1f)", 100 * sum, 100 * ci.lo, 100 * ci.hi);
}

static void note_seen_of(Run *r, const Probing *lab, const char *name, const int32_t *const *guess, int n)
{
    Arena *a = run_arena(r);
    bool *other = NEW(a, bool, lab->set.n);
    for (int64_t i = 0; i < lab->set.n; i++) other[i] = !lab->seen[i];
    run_note(r, "Seen and unseen test rows, %s: %s and %s.", name, share_text(a, &lab->set, lab->seen, guess, n),
             share_text(a, &lab->set, other, guess, n));
}

/* Notes accuracies on test rows of which a part stands in training, and on the others, where there are both. */
static void note_seen(Run *r, Outcomes o)
{
    const Probing *lab = o.lab;
    Protocol how = probing_leading(lab);
    int64_t seen = 0, tests = lab->set.size[SPLIT_TEST];
    for (int64_t i = 0; i < lab->set.n; i++) seen += lab->set.example[i].split == SPLIT_TEST && lab->seen[i];
    run_metric(r, RANGE_EXTREME, "test rows seen in training", 0, (double)seen);
    if (!seen || seen == tests) return;
    run_note(r,
             "%lld of %lld test rows have %s of a training row.  Accuracies on them and on the other %lld (95 %%):",
             (long long)seen, (long long)tests,
             lab->task == TASK_CCM   ? "the change or the message"
             : lab->task == TASK_TYP ? "the method"
                                     : "the lines",
             (long long)(tests - seen));
    for (int k = 0; k < lab->floors; k++)
        note_seen_of(r, lab, lab->floor[k].name, (const int32_t *const *)&lab->floor[k].guess, 1);
    for (Kind kind = KINDS; kind-- > 0;) {
        int n = probing_encoders(lab, kind);
        const int32_t **guess = NEW(run_arena(r), const int32_t *, n);
        for (int i = 0; i < n; i++) guess[i] = predicted_by(o, kind, i, how, outcome_of(o, kind, i)->curve[how].best);
        note_seen_of(r, lab, kind_name(lab, kind), guess, n);
    }
}

/* ---- comparisons ---- */

/* The subject against a baseline, or (NULL) the randomly initialised encoder, at its chosen layer, over seeds. */
static Comparison against(Run *r, Outcomes o, const ProbeFloor *f)
{
    enum { EXCHANGES = 20000 };
    const Probing *lab = o.lab;
    Protocol how = probing_leading(lab);
    int seeds = f ? probing_encoders(o.lab, SUBJECT) : lab->seeds;
    const int32_t **own = NEW(run_arena(r), const int32_t *, seeds),
                  **other = NEW(run_arena(r), const int32_t *, seeds);
    for (int i = 0; i < seeds; i++) {
        own[i] = predicted_by(o, SUBJECT, i, how, outcome_of(o, SUBJECT, i)->curve[how].best);
        other[i] = f ? f->guess : predicted_by(o, RANDOM, i, how, outcome_of(o, RANDOM, i)->curve[how].best);
    }
    return compare_seeds(own, other, seeds, &lab->set, NULL, SPLIT_TEST, EXCHANGES,
                         rng_stream(run_seed(r, 0), "against"));
}

/* ---- notes ---- */

/* Notes leakage, duplicates and other faults of the data, where there are any. */
static void note_data(Run *r, const DataSheet *s)
{
    if (s->shared_subjects)
        run_note(r,
                 "Data: %lld of %lld %s %s in more than one split, so a probe is partly tested on its "
                 "training data.",
                 (long long)s->shared_subjects, (long long)s->subjects, SHEET_SUBJECT[s->task],
                 str_plural(s->shared_subjects, "is", "are"));
    if (s->shared_messages)
        run_note(r, "Data: %lld of %lld messages %s in more than one split.", (long long)s->shared_messages,
                 (long long)s->messages, str_plural(s->shared_messages, "is", "are"));
    if (s->near_across)
        run_note(r, "Data: %lld %s a near-duplicate in another split.", (long long)s->near_across,
                 str_plural(s->near_across, "row has", "rows have"));
    if (s->duplicates)
        run_note(r, "Data: %lld %s an earlier one; %lld %s there under two labels.", (long long)s->duplicates,
                 str_plural(s->duplicates, "row repeats", "rows repeat"), (long long)s->contradictions,
                 str_plural(s->contradictions, "text is", "texts are"));
    if (s->header_rows)
        run_note(r, "Data: %lld %s (%.0f %%) %s the tag of a file's name, which its position reveals.",
                 (long long)s->header_rows, str_plural(s->header_rows, "row", "rows"),
                 100.0 * (double)s->header_rows / (double)s->set->n, str_plural(s->header_rows, "hides", "hide"));
    if (s->correct_type_rows)
        run_note(r, "Data: %lld %s a correct primitive type, too.", (long long)s->correct_type_rows,
                 str_plural(s->correct_type_rows, "row labelled FAULT holds", "rows labelled FAULT hold"));
}

/* Writes the statistics of the data, and notes whether it is synthetic and how many texts are truncated. */
static Status describe_data(Run *r, const Probing *lab)
{
    DataSheet s;
    Arena *a = run_arena(r);
    if (lab->task != TASKS) TRY(sheet_make(&s, &lab->set, lab->task));
    if (lab->task != TASKS) TRY(sheet_write(a, &s, run_path(r, "data")));
    if (!*run_text(r, "data"))
        run_note(r,
                 "The rows are synthetic (%s; %s), and the results are about them.  --data FILE reads real rows, and "
                 "vernier data makes them from a repository.",
                 lab->set.name,
                 *run_text(r, "recipe") == 's' ? "the published recipe, shortcuts included"
                                               : "the heuristics of the task are at chance");
    if (lab->task != TASKS && (*run_text(r, "data") || *run_text(r, "recipe") == 's')) note_data(r, &s);
    if (lab->cut)
        run_note(r, "%lld of %lld texts %s longer than %lld tokens; the rest of %s is not read.", (long long)lab->cut,
                 (long long)lab->set.n, str_plural(lab->cut, "is", "are"), (long long)lab->most,
                 str_plural(lab->cut, "it", "them"));
    return OK;
}

/* Notes the control task, MDL and V-information of the first seed in sentences. */
static void note_controls(Run *r, Outcomes o)
{
    const Outcome *x = outcome_of(o, SUBJECT, 0), *y = outcome_of(o, RANDOM, 0);
    Arena *a = run_arena(r);
    const Probing *lab = o.lab;
    const char *who = kind_name(lab, SUBJECT), *seed = lab->seeds > 1 ? " (first seed)" : "";
    run_note(
        r,
        "Control task%s: with one random label for each first word of the text, or of the line with the mask, the "
        "accuracy of the same classifier is %.1f %% on training and %.1f %% on test rows (selectivity on test %.1f "
        "points); %.0f %% of test rows have a word of a training row.",
        seed, 100 * x->control[SPLIT_TRAIN], 100 * x->control[SPLIT_TEST], 100 * x->selectivity[SPLIT_TEST],
        100 * x->keys_seen);
    run_note(r,
             "Minimum description length (MDL)%s: %.3f bits per label (compression %.2f; 1 without features), "
             "randomly initialised %.3f (%.2f).",
             seed, x->bits, x->compression, y->bits, y->compression);
    Buf b = buf_open(a);
    for (int64_t i = 0; i < x->negatives && i < LISTED; i++)
        buf_print(&b, "%s line %lld (%s, %.1f)",
                  i ? "," : "; the lowest:", (long long)(lab->line ? lab->line[x->listed[i]] : x->listed[i] + 1),
                  lab->set.label[lab->set.example[x->listed[i]].label], x->pvi[i]);
    run_note(
        r,
        "V-information%s: %s %.3f of %.3f bits, randomly initialised %.3f.  %lld of %lld test rows %s harder with "
        "%s features than without (negative-pvi-seed%llu.csv)%s.",
        seed, who, x->usable, x->entropy, y->usable, (long long)x->negatives, (long long)lab->set.size[SPLIT_TEST],
        str_plural(x->negatives, "is", "are"), str_plural(x->negatives, "its", "their"),
        (unsigned long long)run_seed(r, 0), x->negatives ? b.text : "");
    if (*x->remark) run_note(r, "The adapter: %s.", x->remark);
}

/* ---- the verdict ---- */

typedef struct {
    double mean;
    Interval ci;
} Bits;

/* Bits beyond the baselines of an encoder, or (KINDS) those of the subject less those of the random one. */
static Bits bits_of(Run *r, Outcomes o, Kind kind)
{
    int seeds = kind == SUBJECT ? probing_encoders(o.lab, SUBJECT) : o.lab->seeds;
    int64_t n = o.lab->set.size[SPLIT_TEST];
    const double **value = NEW(run_arena(r), const double *, seeds);
    Bits b = {0};
    for (int k = 0; k < seeds; k++) {
        double *row = NEW(run_arena(r), double, n);
        const double *own = gains_of(o, kind == RANDOM ? RANDOM : SUBJECT, k), *other = gains_of(o, RANDOM, k);
        for (int64_t i = 0; i < n; i++) {
            row[i] = kind == KINDS ? own[i] - other[i] : own[i];
            b.mean += row[i] / (double)n / seeds;
        }
        value[k] = row;
    }
    b.ci = compare_mean_interval(value, seeds, n, DRAWS, rng_stream(run_seed(r, 0), "beyond"));
    return b;
}

/* The headline: bits beyond the rules and the words, and more of them than without training. */
static Verdict judge_beyond(const char **sentence, Run *r, Outcomes o)
{
    Bits own = bits_of(r, o, SUBJECT), random = bits_of(r, o, RANDOM), more = bits_of(r, o, KINDS);
    *sentence = str_print(
        run_arena(r),
        "%.3f bits per test row beyond the rules and the bag of words, which leave %.3f (95 %%: %.3f to %.3f; margin "
        "%.2f); randomly initialised %.3f, difference %.3f (%.3f to %.3f)",
        own.mean, o.lab->known.words.after, own.ci.lo, own.ci.hi, MARGIN, random.mean, more.mean, more.ci.lo,
        more.ci.hi);
    run_metric(r, RANGE_ANY, "beyond rules and words, more than randomly initialised (bits per example)", 0,
               more.mean);
    return claim_all(claim_verdict((Claim){MORE_THAN, MARGIN}, own.ci),
                     claim_verdict((Claim){MORE_THAN, 0}, more.ci));
}

/* The verdict is that of the information beyond the baselines; accuracies and their tests follow. */
static void judge(Run *r, Outcomes o)
{
    Arena *a = run_arena(r);
    const Probing *lab = o.lab;
    Protocol how = probing_leading(lab);
    const ProbeFloor *rule = probe_best_rule(lab->floor, lab->floors), *bag = &lab->floor[lab->floors - 1];
    Comparison c[] = {against(r, o, rule), against(r, o, bag), against(r, o, NULL)};
    double p[] = {c[0].p, c[1].p, c[2].p};
    const char *name[] = {rule->name, bag->name, "same encoder, randomly initialised"}, *sentence[3];
    const char *headline;
    Verdict verdict = judge_beyond(&headline, r, o);
    stats_holm(p, p, 3);
    for (int k = 0; k < 3; k++) {
        c[k].p = p[k];
        sentence[k] = compare_sentence(a, &c[k], name[k], ALPHA);
        run_metric(r, RANGE_SHARE, str_print(a, "p against the %s, corrected", name[k]), 0, c[k].p);
    }
    int n = probing_encoders(o.lab, SUBJECT);
    Interval ci = layer_interval(o, SUBJECT, how, -1);
    const char *mean = n > 1 ? str_print(a, ", mean of %d encoders", n) : "";
    run_note(r, "Features: %s, under the protocol correct.", lab->reads);
    if (lab->partless)
        run_note(r,
                 "%lld %s the message, the change or the mask beyond the tokens that are read; its features are 0.",
                 (long long)lab->partless, str_plural(lab->partless, "row has", "rows have"));
    run_note(
        r, "p is of a randomisation test over test rows of the accuracy's mean over seeds, corrected for these three "
           "comparisons by Holm's method.");
    run_verdict(r, verdict,
                "%s, %s: %s.  Accuracy, layer chosen on validation: %.1f %% of %lld test rows (95 %%: %.1f to "
                "%.1f%s), %s, %s, and %s.",
                kind_name(lab, SUBJECT), lab->wanted[CORRECT] ? lab->reads : "first token", headline,
                100 * layer_mean(o, SUBJECT, how, -1), (long long)lab->set.size[SPLIT_TEST], 100 * ci.lo, 100 * ci.hi,
                mean, sentence[0], sentence[1], sentence[2]);
}

Status probing_report(Run *r, Outcomes o)
{
    const Probing *lab = o.lab;
    Arena *a = run_arena(r);
    for (int k = 0; k < lab->floors; k++)
        run_metric(r, RANGE_PERCENT, str_print(a, "%s (%%)", lab->floor[k].name), 0,
                   100 * lab->floor[k].accuracy[SPLIT_TEST]);
    record_curves(r, o);
    record_controls(r, o);
    record_beyond(r, o);
    TRY(describe_data(r, lab));
    note_controls(r, o);
    note_seen(r, o);
    judge(r, o);
    return OK;
}
