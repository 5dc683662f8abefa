/* One condition: an encoder, the features of all its layers, a classifier on each, and the controls at the chosen
 * one. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/str.h"
#include "probe/controls.h"
#include "probe/probetext.h"
#include "probe/features.h"
#include "probe/mdl.h"
#include "probe/usable.h"
#include "probes/probing.h"
#include "run/parallel.h"

int probing_encoders(const Probing *lab, Kind kind)
{
    return kind == SUBJECT && lab->model ? 1 : lab->seeds;
}

int probing_arms(const Probing *lab)
{
    return probing_encoders(lab, SUBJECT) + probing_encoders(lab, RANDOM);
}

size_t outcome_size(const Probing *lab)
{
    size_t size = sizeof(Outcome) + sizeof(int32_t) * PROTOCOLS * (size_t)lab->layers * (size_t)lab->set.n;
    return (size + 7) / 8 * 8 + sizeof(double) * (size_t)lab->set.size[SPLIT_TEST];
}

Outcome *outcome_of(Outcomes o, Kind kind, int seed)
{
    int arm = kind == RANDOM ? probing_encoders(o.lab, SUBJECT) + seed : o.lab->model ? 0 : seed;
    return (Outcome *)(void *)(o.all + (size_t)arm * outcome_size(o.lab));
}

static int32_t *predictions(const Probing *lab, Outcome *o, Protocol how, int layer)
{
    return (int32_t *)(void *)(o + 1) + ((int64_t)how * lab->layers + layer) * lab->set.n;
}

const int32_t *predicted_by(Outcomes o, Kind kind, int seed, Protocol how, int layer)
{
    return predictions(o.lab, outcome_of(o, kind, seed), how, layer);
}

Protocol probing_leading(const Probing *lab)
{
    return lab->wanted[CORRECT] ? CORRECT : COMPAT;
}

static double *gains(const Probing *lab, Outcome *o)
{
    return (double *)(void *)((char *)o + outcome_size(lab)) - lab->set.size[SPLIT_TEST];
}

const double *gains_of(Outcomes o, Kind kind, int seed)
{
    return gains(o.lab, outcome_of(o, kind, seed));
}

/* ---- probes ---- */

static const char *const PROTOCOL_NAME[PROTOCOLS] = {"correct", "first-token", "karmakar-compat"};

typedef struct {
    Run *r;
    const Probing *lab;
    const char *phase;
    uint64_t seed;
    Kind kind;
} Arm;

static bool each(int64_t done, void *user)
{
    const Arm *arm = user;
    run_progress(arm->r, arm->phase, done, arm->lab->set.n, (double)NAN);
    return !run_stopped();
}

/* The features of all texts: under the other protocols the first token's. */
Status probing_features(Features *f, const Probing *lab, Arena *run, Arena *step, Model *m, Hooks *hooks,
                        Protocol how, bool (*told)(int64_t, void *), void *user)
{
    const TokenSpan *const *part = lab->part;
    bool own = how == CORRECT;
    return features_of_parts(f, run, step, m, hooks, &lab->examples[how], own ? lab->pooling : FEATURE_FIRST,
                             own ? part[0] : NULL, own ? part[1] : NULL, told, user);
}

static const Classifier *classifier(const Run *r, Protocol how)
{
    return classifier_find(how == COMPAT ? "karmakar-compat" : run_text(r, "classifier"));
}

/* Fits a probe on each layer, records its accuracies, and chooses the best layer on validation. */
static Status probe_layers(Outcome *out, const Arm *arm, Protocol how, const Tensor *layer)
{
    static const char *const LOGGED[] = {"layer", "valid", "test"};
    const Probing *lab = arm->lab;
    Curve *c = &out->curve[how];
    const Classifier *by = classifier(arm->r, how);
    bool ends = strcmp(by->name, "karmakar-compat") != 0; /* that one stops at the end of its epochs */
    Arena scratch = arena_open(0);
    ProbeConfig config = {.seed = arm->seed};
    for (int l = 0; l < lab->layers; l++) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&scratch);
        ProbeResult p;
        clock_t began = clock(); /* of this process, so that the work of others does not count */
        TRY(by->fit(&p, &scratch, layer[l], &lab->set, NULL, &config));
        const char *phase = arm->kind == SUBJECT ? "probe" : "probe, randomly initialised";
        run_measure(arm->r, "cpu_seconds", l, (double)(clock() - began) / CLOCKS_PER_SEC);
        memcpy(c->accuracy[l], p.accuracy, sizeof p.accuracy);
        memcpy(predictions(lab, out, how, l), p.predicted, sizeof *p.predicted * (size_t)lab->set.n);
        c->unconverged += ends && !p.converged;
        if (c->accuracy[l][SPLIT_VALID] > c->accuracy[c->best][SPLIT_VALID]) c->best = l;
        arena_drop(&scratch, mark);
        run_log(arm->r, phase, l, 3, LOGGED, (const double[]){l, p.accuracy[SPLIT_VALID], p.accuracy[SPLIT_TEST]});
        run_progress(arm->r, "probes", l + 1, lab->layers, (double)NAN);
    }
    arena_close(&scratch);
    return OK;
}

/* Measures each layer's bits beyond the rules and the words; the layer with the least validation loss is the one. */
static Status measure_beyond(Outcome *out, const Arm *arm, const Tensor *layer)
{
    const Probing *lab = arm->lab;
    Arena scratch = arena_open(0);
    double least = INFINITY;
    for (int l = 0; l < lab->layers; l++) {
        if (run_stopped()) return run_interrupted();
        ArenaMark mark = arena_mark(&scratch);
        Beyond b;
        TRY(beyond_fit(&b, &scratch, &lab->known.words.logit, layer[l], &lab->set, false));
        out->beyond[l] = b.gain;
        run_progress(arm->r, "beyond the baselines", l + 1, lab->layers, (double)NAN);
        if (b.valid < least) {
            double *to = gains(lab, out);
            least = b.valid, out->deepest = l;
            for (int64_t i = 0; i < lab->set.n; i++)
                if (lab->set.example[i].split == SPLIT_TEST) *to++ = b.row[i];
        }
        arena_drop(&scratch, mark);
    }
    arena_close(&scratch);
    return OK;
}

/* ---- at the chosen layer ---- */

/* Writes the test rows that are harder with the features than without (negative PVI) to a CSV file. */
static Status list_negatives(const Arm *arm, const Usable *u, const int32_t *predicted)
{
    enum { SHOWN = 200 };
    const Dataset *d = &arm->lab->set;
    Arena scratch = arena_open((size_t)1 << 30);
    double *pvi = NEW(&scratch, double, d->n);
    Writer w;
    for (int64_t i = 0; i < u->n; i++) pvi[u->row[i]] = u->pvi[i];
    const char *path = run_path(arm->r, "negative-pvi-seed%llu.csv", (unsigned long long)arm->seed);
    TRY(writer_open(&w, path));
    writer_print(&w, "line,label,predicted,pvi_bits,text\r\n");
    for (int64_t i = 0; i < u->negatives; i++) {
        int32_t row = u->negative[i];
        const Example *e = &d->example[row];
        int64_t replaced = 0;
        size_t len;
        writer_print(&w, "%lld,", (long long)(arm->lab->line ? arm->lab->line[row] : row + 1));
        writer_csv(&w, d->label[e->label]);
        writer_print(&w, ",");
        writer_csv(&w, d->label[predicted[row]]);
        writer_print(&w, ",%.4f,", pvi[row]);
        writer_csv(&w, utf8_repair(&scratch, e->text, e->len < SHOWN ? e->len : SHOWN, &len, &replaced));
        writer_print(&w, "\r\n");
    }
    arena_close(&scratch);
    TRY(writer_close(&w));
    return run_leaves(arm->r, path);
}

static Status usable(Outcome *out, const Arm *arm, const Classifier *c, Tensor x, Arena *scratch)
{
    const Probing *lab = arm->lab;
    ProbeResult p;
    Usable u;
    TRY(c->fit(&p, scratch, x, &lab->set, NULL, &(ProbeConfig){.seed = arm->seed, .by_loss = true}));
    usable_measure(&u, scratch, p.probability, &lab->set, NULL, SPLIT_TEST, rng_stream(arm->seed, "usable"));
    out->usable = u.mean, out->entropy = u.entropy, out->negatives = u.negatives;
    for (int64_t i = 0; i < u.negatives && i < LISTED; i++) {
        out->listed[i] = u.negative[i];
        for (int64_t k = 0; k < u.n; k++)
            if (u.row[k] == u.negative[i]) out->pvi[i] = u.pvi[k];
    }
    return arm->kind == SUBJECT ? list_negatives(arm, &u, p.predicted) : OK;
}

/* Measures selectivity on control tasks, MDL compression and V-information at one layer. */
static Status control(Outcome *out, const Arm *arm, const Classifier *c, Tensor x)
{
    const Probing *lab = arm->lab;
    ProbeConfig config = {.seed = arm->seed};
    Selectivity s;
    Mdl m;
    Arena scratch = arena_open(0);
    run_progress(arm->r, "controls", 0, 3, (double)NAN);
    Bytes *key = NEW(&scratch, Bytes, lab->set.n);
    out->keys_seen = control_keys(key, &lab->set, MARK_TEXT[MARK_MASK]);
    TRY(control_selectivity(&s, c, x, &lab->set, NULL, key, &config, (int)run_int(arm->r, "controls"),
                            rng_stream(arm->seed, "control")));
    memcpy(out->control, s.control, sizeof s.control);
    memcpy(out->selectivity, s.selectivity, sizeof s.selectivity);
    run_progress(arm->r, "controls", 1, 3, (double)NAN);
    TRY(mdl_online(&m, c, x, &lab->set, NULL, &config, (int)run_int(arm->r, "shuffles"),
                   rng_stream(arm->seed, "mdl")));
    out->compression = m.compression, out->bits = m.length / (double)m.n;
    run_progress(arm->r, "controls", 2, 3, (double)NAN);
    TRY(usable(out, arm, c, x, &scratch));
    arena_close(&scratch);
    return OK;
}

/* The job of one encoder: opens or pretrains it, extracts features, and probes each layer. */
Status probing_arm(Run *r, int i, void *result, void *user)
{
    const Probing *lab = user;
    Outcome *out = result;
    int n = probing_encoders(lab, SUBJECT);
    Arm arm = {r, lab, "features", run_seed(r, i < n ? i : i - n), i < n ? SUBJECT : RANDOM};
    Arena run = arena_open(0), step = arena_open(0);
    Model *m;
    Hooks *hooks;
    const char *remark;
    TRY(encoder_open(&m, &hooks, &remark, lab, r, &run, arm.kind, arm.seed));
    if (remark) snprintf(out->remark, sizeof out->remark, "%s", remark);
    if (!lab->model && arm.kind == SUBJECT) TRY(encoder_pretrain(m, lab, r, arm.seed, out));
    for (Protocol how = CORRECT; how < PROTOCOLS; how++) {
        if (!lab->wanted[how]) continue;
        Features f;
        TRY(probing_features(&f, lab, &run, &step, m, hooks, how, each, &arm));
        if (arm.kind == SUBJECT && run_flag(r, "export"))
            TRY(features_export(
                &f, run_path(r, "features/%s-seed%llu", PROTOCOL_NAME[how], (unsigned long long)arm.seed)));
        const Tensor *layer = f.layers ? f.layer : f.decoder;
        CHECK((f.layers ? f.layers : f.decoder_layers) == lab->layers, "features of another number of layers");
        TRY(probe_layers(out, &arm, how, layer));
        if (how == probing_leading(lab)) TRY(measure_beyond(out, &arm, layer));
        if (how == probing_leading(lab)) TRY(control(out, &arm, classifier(r, how), layer[out->curve[how].best]));
    }
    arena_close(&step);
    arena_close(&run);
    return OK;
}
