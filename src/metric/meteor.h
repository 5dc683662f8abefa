/* METEOR 1.5 for English, ranking task, normalised (the option -norm), without its paraphrase table: exact matches,
 * stems, synonyms.  And nltk's METEOR, which shares the name and the idea but no number; never mix the two.
 *
 * With P and R the weighted matches over the weighted lengths of hypothesis and reference (a content word weighs .75,
 * a function word .25; a stem .6, a synonym .8 of an exact match):
 *
 *     F = 1 / (.15/P + .85/R),   penalty = .6 (chunks / matched words)^.2,   score = F (1 - penalty)
 *
 * A chunk is a run of matches in the same order on both sides.  A corpus is scored from the summed counts of its
 * rows, not from the mean of their scores.  A side is read up to its METEOR_WORDS-th word.  The alignment follows the
 * program's beam search to the letter: where several are possible only exact matches count as more, then fewer
 * chunks, then displacement.
 * Source: Denkowski and Lavie, WMT 2014. */
#ifndef METRIC_METEOR_H
#define METRIC_METEOR_H

#include "metric/synonyms.h"
#include "metric/words.h"

enum { METEOR_EXACT, METEOR_STEM, METEOR_SYNONYM, METEOR_STAGES, METEOR_WORDS = 400 };
typedef struct { /* [0] hypothesis, [1] reference */
    int64_t words[2], function_words[2], content[2][METEOR_STAGES], function[2][METEOR_STAGES];
    int64_t chunks;
} MeteorCounts;
typedef struct Meteor Meteor;

/* `folder` holds METEOR's function.english.words and nonbreaking.english.prefixes; synonyms may be NULL: exact and
 * stem matches alone.  E_IO. */
Status meteor_open(Meteor **out, Arena *, const char *folder, const Synonyms *);
void meteor_close(Meteor *); /* NULL is fine */
/* Counts of one row, with the first `stages` stages. */
void meteor_count(MeteorCounts *out, Meteor *, int stages, Bytes hypothesis, Bytes reference);
void meteor_add(MeteorCounts *sum, const MeteorCounts *row);
double meteor_score(const MeteorCounts *); /* 0..1 */

/* nltk 3 up to 3.8: lower-cased words between white space, each matched greedily from the end, exact, then by
 * stem_porter, then by WordNet's lemmas (synonyms NULL, or without data files: not at all); alpha .9, beta 3, gamma
 * .5; 0..1.  From nltk 3.9 on morphy() rewrites endings once, not until WordNet has a form: fewer words are then
 * synonyms, which changes one of 22,681 rows of published commit messages. */
double meteor_nltk(Arena *scratch, const Synonyms *, Bytes hypothesis, Bytes reference);

#endif
