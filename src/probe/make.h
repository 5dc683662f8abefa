/* Probing sets from code changes.
 *
 * The default recipes leave no known shortcut open.  A change, a message and (neardup.h) a near-duplicate are in
 * one split alone.  Labels are even in every split.  The properties that the rules of rules.h use have the same
 * distribution under both labels:
 *
 *   typ   FAULT: two variables of different sorts (number, truth value, text) have exchanged types, so that every
 *         word of the method stays.  `spelling`: the published fault, all primitives misspelt.
 *   ccm   False: a change with another one's message, of the same repository, about as long, and with as large
 *         a share of words in common.  Each change and each message of a split is in one True and one False row.
 *   ltp   the tag of a file's name is never hidden; with `balance` the rows pair up so that the position and the
 *         neighbouring tags give no information.
 *
 * The study's recipes are the published constructions, shortcuts included: typ misspells; ccm reuses changes and
 * messages over splits and draws False pairs blindly; ltp hides any tag, of file names too, as the data fall.
 *
 * A set is a function of its files, options and seed. */
#ifndef PROBE_MAKE_H
#define PROBE_MAKE_H

#include "change/change.h"
#include "probe/probetext.h"

typedef struct {
    ProbeTask task;
    const char *const *from; /* (n_from) files of change records */
    int n_from;
    int64_t generated; /* synthetic changes, in addition to files or in place of them (javagen_change.h) */
    int difficulty;    /* of those */
    bool study, spelling, balance;
    bool fragments; /* typ: also pieces of code that are no whole method */
    int64_t size[SPLITS];
    int64_t max_chars; /* of a row's change or method */
    uint64_t seed;
} MakeOptions;

enum { MAKE_CHANGES_A_ROW = 12 }; /* to invent, so that enough of them fit the task and pair up */
/* About `rows` rows without known shortcuts from synthetic changes alone: 60/20/20 %, even numbers. */
MakeOptions make_invented(ProbeTask, int64_t rows, uint64_t seed);

typedef struct {
    int64_t read;      /* records */
    int64_t unfit;     /* nothing in them for the task: no lines, too long, no method, tags in the text */
    int64_t unordered; /* typ, ltp: how their added and removed lines alternate is not known */
    int64_t repeated;  /* a change or message that came before */
    int64_t near;      /* near-duplicates of one that came before */
    int64_t unpaired;  /* looked at, but without a partner that matches */
    int64_t replaced;  /* bytes that were no UTF-8 */
} MakeStats;

/* E_MISMATCH: the files contain too few usable changes; the message gives their number. */
Status make_probe(Dataset *out, Arena *, const MakeOptions *, MakeStats *);

#endif
