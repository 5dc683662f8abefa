/* Minimum description length of the labels given the features: how many bits does it take to send them to someone who
 * has the features and the recipe of the probe?  Unlike accuracy it charges for how much data the probe needed.
 *
 * Online code: the training rows, shuffled, are cut into blocks that end at 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.25,
 * 12.5, 25, 50 and 100 %.  The first block is sent with the uniform code, log2 C bits a label.  Each next one is
 * sent with the probabilities of a fresh probe fitted on the blocks before it.  Its penalty is the one with the least
 * loss on every fifth of those rows, so that no label is used that was not sent:
 *
 *     length = n_1 log2 C - sum over blocks i > 1, rows of i: log2 p_{i-1}(y | x),   compression = n log2 C / length
 *
 * Labels without any relation to the features compress by about 1 (a little less: the probe overfits); more is
 * better. Ends are rounded; a first block has at least 4 C rows, since a probe on fewer is noise, and empty blocks
 * are skipped. The mean over several shuffles is reported.
 * Source: Voita and Titov, "Information-Theoretic Probing with Minimum Description Length" (EMNLP 2020). */
#ifndef PROBE_MDL_H
#define PROBE_MDL_H

#include "probe/classifier.h"

enum { MDL_BLOCKS = 11 };
typedef struct {
    int64_t n;                  /* training rows */
    double uniform, length, sd; /* bits: n log2 C; the online code, mean and standard deviation of shuffles */
    double compression;         /* uniform / length */
    int blocks;                 /* that were sent */
    int64_t end[MDL_BLOCKS];    /* where they end */
    double bits[MDL_BLOCKS];    /* a label, in each; mean of shuffles */
    int unconverged;            /* fits, of all shuffles */
} Mdl;
/* label NULL: the dataset's.  Errors are the classifier's. */
Status mdl_online(Mdl *out, const Classifier *, Tensor features, const Dataset *, const int32_t *label,
                  const ProbeConfig *, int shuffles, uint64_t stream);

#endif
