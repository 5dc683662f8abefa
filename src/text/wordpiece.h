/* Models with a list of words: WordPiece (BERT), which takes the longest piece from the left again and again and
 * marks those within a word ("##ing"), and WordLevel, which knows whole words only. Source: Schuster and Nakajima,
 * ICASSP 2012; Devlin et al., NAACL 2019 (tokenization.py). */
#ifndef TEXT_WORDPIECE_H
#define TEXT_WORDPIECE_H

#include <cjson/cJSON.h>

#include "base/err.h"
#include "base/table.h"
#include "text/cutting.h"

typedef struct {
    Table vocab;
    const char **piece; /* (n) by id; NULL where unused */
    int64_t n, longest; /* ids; bytes of the longest piece */
    bool whole;         /* WordLevel */
    const char *prefix; /* "##" */
    int64_t most;       /* characters; a longer word is unknown */
    int32_t unknown;    /* -1: unknown words are left out */
} WordPiece;

/* n lines of a vocab.txt are the pieces 0 to n - 1. */
Status wordpiece_read_lines(WordPiece *, Arena *, const char *path, const char *unknown);
Status wordpiece_read_model(WordPiece *, Arena *, const cJSON *model, bool whole, const char *path);
WordPiece wordpiece_of(Arena *, const char *const *piece, int64_t n, const char *unknown); /* the texts stay in use */
int64_t wordpiece_cut(const WordPiece *, Arena *, const char *word, int64_t n, Cutting *at);

#endif
