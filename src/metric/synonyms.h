/* Synonyms from WordNet, as two metrics use them.
 *
 * The folder is one of WordNet 3 (index.noun, data.noun, noun.exc and so on: Debian's wordnet-base puts them into
 * /usr/share/wordnet) or one with METEOR's tables (english.synsets, english.exceptions), which answer METEOR's
 * question alone. */
#ifndef METRIC_SYNONYMS_H
#define METRIC_SYNONYMS_H

#include <stdbool.h>

#include "base/file.h"
#include "base/table.h"

enum { SYNONYM_CLASSES = 4 }; /* noun, verb, adjective, adverb; METEOR's tables do not distinguish them: all in 0 */
typedef struct {
    int32_t set, next; /* a synset's number in its class; the next posting of the same word and class, or -1 */
} Posting;
typedef struct {
    Arena *arena;
    Table word[SYNONYM_CLASSES]; /* its first posting */
    Table base[SYNONYM_CLASSES]; /* an irregular form: 1 + its first base in `bases` */
    Posting *posting;
    int64_t postings, room;
    struct Base {
        Bytes word;
        int32_t next; /* or -1 */
    } * bases;
    int64_t n_bases, bases_room;
    Bytes data
        [SYNONYM_CLASSES]; /* the data files, in which a synset's number is its place; empty for METEOR's tables */
} Synonyms;

Status synonyms_open(Synonyms *, Arena *, const char *folder); /* E_IO, E_FORMAT */

/* METEOR 1.5: the synsets of the word and of its base form, of all classes together; their number, and the numbers on
 * the arena. */
int64_t synonyms_sets(const Synonyms *, Arena *, int32_t **sets, Bytes word);

/* nltk's METEOR: the lemmas, of one word each, of the synsets of `word`, taken through the morphy() of nltk up to
 * 3.8, some of them several times; none without the data files.  Ends when `each` is false. */
void synonyms_lemmas(const Synonyms *, Bytes word, bool (*each)(void *user, Bytes lemma), void *user);

#endif
