/* Every message metric on rows of a hypothesis and a reference, in one pass; then any of them on any choice of rows,
 * so that an interval or a paired test costs no second pass (num/stats.h: stats_bootstrap_all,
 * stats_bootstrap_paired).
 *
 *     messages_score(&rows, arena, n, hypothesis, reference, meteor, synonyms);
 *     stats_bootstrap_all(ci, MESSAGE_METRICS, n, messages_stats, &rows, &(Bootstrap){1000, stream});
 */
#ifndef METRIC_MESSAGES_H
#define METRIC_MESSAGES_H

#include "metric/bleu.h"
#include "metric/meteor.h"

typedef enum {
    B_NORM,
    B_MOSES,
    B_CC,
    ROUGE_L,
    ROUGE_L_LOWER,
    METEOR_1,
    METEOR_2,
    METEOR_3,
    METEOR_NLTK,
    EXACT,
    EXACT_LOWER,
    MESSAGE_METRICS
} MessageMetric;
typedef struct {
    const char *name, *variant;
} MetricName;
extern const MetricName MESSAGE_METRIC[MESSAGE_METRICS];

typedef struct {
    int64_t n, empty;                               /* rows; hypotheses without a word, for which B-Norm is 0 */
    BleuCounts *plain;                              /* (n) words between white space */
    MeteorCounts *meteor[METEOR_STAGES];            /* (n) with 1, 2, 3 stages, or NULL */
    double *norm, *cc, *rouge, *rouge_lower, *nltk; /* (n) fractions */
    bool *same, *same_lower;                        /* (n) equal without blanks at the ends */
} MessageRows;
/* meteor NULL: METEOR 1.5 is NaN.  synonyms, of WordNet, are for nltk's METEOR; NULL: exact matches and stems. */
void messages_score(MessageRows *out, Arena *, int64_t n, const Bytes *hypothesis, const Bytes *reference, Meteor *,
                    const Synonyms *);
void messages_stats(double out[MESSAGE_METRICS], const int64_t *index, int64_t n, void *rows); /* in % */

/* exp of the mean loss per token: loss (n) summed nats and tokens (n) of each row. */
double messages_perplexity(const double *loss, const double *tokens, int64_t n);

/* The lines of a text, without white space at their ends.  A last line without its end counts. */
int64_t messages_lines(Bytes **line, Arena *, Bytes text);

/* The tables of METEOR in `folder` and of WordNet in `words`, each NULL where it is not there.  folder NULL: no
 * METEOR 1.5; words NULL: Debian's WordNet, if it is installed.  Errors of a folder that was named. */
Status message_tools(Meteor **, Synonyms **, Arena *, const char *folder, const char *words);

#endif
