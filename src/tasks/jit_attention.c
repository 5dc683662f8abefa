/* Strings are compared, not ids: " foo" within a line and "foo" at its beginning are one token string. */
#include "tasks/jit_attention.h"

#include <string.h>

#include "base/table.h"
#include "text/sequence.h"

const char *const LINES_BY[LINES_BYS + 1] = {"occurrence", "token", NULL};

void token_line_scores(double *score, const TokenTexts *line, int64_t lines, const TokenTexts *seen,
                       const double *weight)
{
    Arena a = arena_open(0);
    Table place = table_open(&a, seen->n);
    double *total = NEW(&a, double, seen->n + 1); /* the first belongs to strings that were not seen */
    int64_t n = 1;
    for (int64_t i = 0; i < seen->n; i++) {
        if (!seen->token[i]) continue;
        bool added;
        int64_t *at = table_add(&place, seen->token[i], strlen(seen->token[i]), &added);
        if (added) *at = n++;
        total[*at] += weight[i];
    }
    for (int64_t l = 0; l < lines; l++) {
        score[l] = 0;
        for (int64_t k = 0; k < line[l].n; k++)
            if (line[l].token[k]) score[l] += total[table_get(&place, line[l].token[k], strlen(line[l].token[k]), 0)];
    }
    arena_close(&a);
}

/* The text of a token without the sign that byte-level BPE or SentencePiece puts in the place of a blank. */
static const char *bare(const Tokenizer *t, int32_t id)
{
    static const char *const BLANK[] = {"\xc4\xa0", "\xe2\x96\x81"};
    const char *piece = tokenizer_piece(t, id);
    for (int i = 0; piece && i < 2; i++)
        if (!strncmp(piece, BLANK[i], strlen(BLANK[i]))) return piece + strlen(BLANK[i]);
    return piece;
}

static TokenTexts texts_of(Arena *a, const Tokenizer *t, const int32_t *id, int64_t n)
{
    const char **token = NEW(a, const char *, n + 1);
    for (int64_t i = 0; i < n; i++) token[i] = bare(t, id[i]);
    return (TokenTexts){n, token};
}

/* The tokens of all added lines that the sequence holds, and what is paid to each. */
static TokenTexts seen_tokens(double **weight, Arena *a, const CodeChange *c, const Tokenizer *t, const int32_t *id,
                              const JitLines *lines, const double *attention)
{
    int64_t most = 0, n = 0;
    for (int64_t l = 0; l < lines->n; l++) most += lines->end[l] - lines->begin[l];
    int32_t *kept = NEW(a, int32_t, most + 1);
    *weight = NEW(a, double, most + 1);
    for (int64_t l = 0; l < lines->n; l++) {
        if (c->file[lines->file[l]].line[lines->line[l]].kind != LINE_ADD) continue;
        for (int32_t k = lines->begin[l]; k < lines->end[l]; k++) (*weight)[n] = attention[k], kept[n++] = id[k];
    }
    return texts_of(a, t, kept, n);
}

TokenLines jit_token_lines(Arena *a, const CodeChange *c, const Tokenizer *t, const JitPlan *p, const int32_t *id,
                           const JitLines *lines, const double *attention)
{
    Arena scratch = arena_open(0);
    int64_t most = change_count(c, LINE_ADD) + 1;
    TokenLines out = {0, NEW(a, int64_t, most), NEW(a, int64_t, most), NEW(a, double, most)};
    TokenTexts *line = NEW(&scratch, TokenTexts, most);
    double *weight;
    TokenTexts seen = seen_tokens(&weight, &scratch, c, t, id, lines, attention);
    for (int64_t f = 0; f < c->n_files; f++)
        for (int64_t l = 0; l < c->file[f].n; l++) {
            const ChangeLine *x = &c->file[f].line[l];
            if (x->kind != LINE_ADD) continue;
            Sequence s = sequence_open(&scratch, t, p->length);
            sequence_add(&s, x->text, x->len, p->length);
            line[out.n] = texts_of(&scratch, t, s.text.id, s.text.n);
            out.file[out.n] = f, out.line[out.n++] = l;
        }
    token_line_scores(out.score, line, out.n, &seen, weight);
    arena_close(&scratch);
    return out;
}
