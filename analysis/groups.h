/* Tokens gathered into words, source lines or the sides of a code change, and maps of attention between them.
 *
 * A map is aggregated by averaging the rows of a group and adding up the columns of one, so that rows still sum to 1
 * and a column gives the attention that its group gets.  Columns of a prefix stay as they are.
 *
 *     TRY(tokens_of_text(&t, run, k, "text", "fix <del> int x ; <add> long x ;", NULL));
 *     Groups g = groups_of(run, BY_SIDES, &t);
 *     Tensor sides = map_grouped(run, maps_head(&x, run, 0, 1), x.prefix, &g, &g); */
#ifndef ANALYSIS_GROUPS_H
#define ANALYSIS_GROUPS_H

#include "analysis/tokens.h"

typedef enum { BY_TOKENS, BY_WORDS, BY_LINES, BY_SIDES, BYS } By;
extern const char *const BY_NAME[BYS + 1]; /* "tokens", "words", "lines", "sides", NULL */
extern const char *const BY_ONE[BYS];      /* "token", ... */

/* The side of each byte of a text that shows a change; tags and signs belong to the side they open.  Two notations:
 *   message <keep> line <del> line <add> line     of the data sets of changes; the first tag ends the message
 *   a unified diff, its lines after `+`, `-` or a blank; its headers count as kept.  Without a header ("diff --git",
 *     "---", "@@") it begins where all further lines are of that kind, one of them added or removed. */
typedef enum { SIDE_MESSAGE, SIDE_ADDED, SIDE_REMOVED, SIDE_KEPT, SIDES } Side;
bool sides_of_text(Side *side, const char *text, size_t len); /* (len); false: no such tags, all is message */

/* Words are runs between white space, lines end with "\n" and are labelled with their number and beginning; a tag
 * begins another of both.  A token belongs to the group of its first byte that is not white space.  In words, tokens
 * of white space alone are separate groups.  In both, so is each special token that a model has around a text; among
 * sides those are the last group, "special".  Sides without a token are left out. */
typedef struct {
    int64_t n, tokens;
    int64_t *of;         /* (tokens) the group of each */
    const char **label;  /* (n) */
    const bool *special; /* (n) all its tokens are special */
    const bool *changed; /* (n) added or removed; NULL: the text shows no change */
} Groups;
Groups groups_of(Arena *, By, const Tokens *); /* which have a text */
/* (n of the tokens) whether on an added or removed line; NULL: there is no text, or it shows no change. */
const bool *tokens_changed(Arena *, const Tokens *);

/* map (T, prefix + S) to (rows->n, prefix + cols->n), F64.  A row of NaN is left out of its group's mean; a group of
 * only such rows is NaN. */
Tensor map_grouped(Arena *, Tensor map, int64_t prefix, const Groups *rows, const Groups *cols);

#endif
