/* Attention maps of one part of a model on one input, and metrics of a map.
 *
 * Rows are queries, columns keys, each row sums to 1.  Where self-attention has more keys than queries, the first
 * keys are a prefix; the numbers below treat it apart from the text.  Maps live on the arena given.
 *
 *     TRY(model_load(&m, run, dir));
 *     TRY(tokens_open(&k, run, dir));                                              analysis/tokens.h
 *     TRY(tokens_of_text(&t, run, k, "text", "int x = 1 ;", NULL));
 *     maps_read(&x, run, m, hooks_new(run), &(Batch){.b = 1, .t = t.n, .ids = t.id}, PART_ENCODER);
 *     for (int h = 0; h < x.heads; h++) entropy[h] = maps_stats(&x, maps_head(&x, run, 0, h)).entropy;
 *     Fig *f = fig_open("map", 300, 300);                                          plot/plot.h
 *     fig_heatmap(f, fig_whole(f), maps_head(&x, run, 0, 1), (HeatStyle){.row = t.label, .col = t.label});
 *     TRY(fig_close(f)); */
#ifndef ANALYSIS_MAPS_H
#define ANALYSIS_MAPS_H

#include "nn/model.h"

typedef struct {
    Part part;
    int layers, heads;
    int64_t t, s, prefix; /* queries; keys; keys in front of the text */
    Tensor *probs;        /* (layers) of (H,T,S) */
    const int32_t *query; /* (T) ids, or NULL: metrics that need them are NaN */
    const int32_t *key;   /* (S - prefix) */
    const bool *special;  /* (S - prefix) the key is a special token, or NULL */
    const bool *changed;  /* (S - prefix) the key is on a line added or removed, or NULL */
    bool unordered;       /* rows and keys have no order: metrics that need positions are NaN */
} Maps;

/* Runs the model once on a batch of one row.  The part must exist.  Observers are added to `hooks` and removed
 * again. */
void maps_read(Maps *out, Arena *run, Model *, Hooks *, const Batch *, Part);
Status maps_finite(const Maps *, const char *model); /* E_NUMERIC, by the model's name, unless all of them are */
int maps_heads(const Model *, Part);                 /* per layer */
void maps_widen(Maps *, Arena *, int64_t prefix);    /* columns in front without attention; there must be none */

bool maps_causal(const Maps *); /* keys behind the query are masked */

enum { HEAD_MEAN = -1 };
Tensor maps_head(const Maps *, Arena *, int layer, int head); /* (T,S): a view; HEAD_MEAN: their mean, F64 */
/* (T,S - prefix): the columns of the text, each row divided by their sum; a row where that is 0 is NaN. */
Tensor maps_text(Arena *, Tensor map, int64_t prefix);

/* Each the mean over rows that are not NaN; NaN where all are.  Masses are of the row's own sum, which is 1.  A
 * pattern's number is the mass on the keys of the pattern (analysis/patterns.h), mean over the rows that have such a
 * key; NaN where none has. */
typedef struct {
    double entropy;  /* of a row over all keys, in nats */
    double distance; /* |query - key| in tokens, weighted by attention within the text; NaN for cross-attention */
    double first;    /* mass on the first token of the text */
    double prefix;   /* mass in front of the text */
    double special;  /* mass on special tokens of the text */
    double changed;  /* mass on added and removed lines of a change, their tags too */
    double diagonal, previous, next, identical, duplicate, induction; /* patterns on the text */
    double repeat_previous, repeat_duplicate, repeat_induction;       /* on random sequences that repeat */
    double zeroed;   /* loss without this head minus the loss (Michel et al. 2019, section 3) */
    double gradient; /* |d loss / d mask of the head| (the same, section 4.1) */
} HeadStats;
HeadStats maps_stats(const Maps *, Tensor map);

typedef struct {
    const char *name, *brief, *title, *unit; /* of a column, of a narrow column, of a figure */
    bool sign;                               /* can be negative */
} Stat;
enum { STATS = sizeof(HeadStats) / sizeof(double) };
extern const Stat STAT[STATS]; /* in the order of HeadStats */
double stat_of(const HeadStats *, int k);

/* Total variation distance between two rows, the share of mass that would have to move, in [0,1]: mean over rows
 * that are NaN in neither. */
double maps_shift(Tensor a, Tensor b);
Tensor maps_difference(Arena *, Tensor a, Tensor b); /* a - b */
double maps_largest(Tensor);                         /* of the absolute values */

#endif
