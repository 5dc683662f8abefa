/* Invalid types.  See make.h. */
#include <string.h>

#include "base/rng.h"
#include "probe/javagen.h"
#include "probe/pool.h"

enum { FAULT, ORIG, MOST_DECLARED = 64 };
typedef enum { SORT_NUMBER, SORT_TRUTH, SORT_TEXT } Sort;

typedef struct {
    size_t begin, end; /* of the type */
    Sort sort;
} Declared;

static bool word_is(const char *text, Lexeme t, const char *word)
{
    return t.end - t.begin == strlen(word) && !memcmp(text + t.begin, word, t.end - t.begin);
}

/* Declarations "TYPE name" of a variable that is used again, so that the rest determines the type. */
static int declarations(Declared *out, const char *text, const Lexeme *t, int64_t n)
{
    int found = 0;
    for (int64_t i = 0; i + 2 < n && found < MOST_DECLARED; i++) {
        bool string = t[i].kind == LEX_IDENTIFIER && word_is(text, t[i], "String");
        if ((t[i].kind != LEX_TYPE && !string) || t[i + 1].kind != LEX_IDENTIFIER || word_is(text, t[i + 2], "("))
            continue;
        int64_t uses = 0;
        size_t len = t[i + 1].end - t[i + 1].begin;
        for (int64_t k = 0; k < n; k++)
            uses += t[k].kind == LEX_IDENTIFIER && t[k].end - t[k].begin == len &&
                    !memcmp(text + t[k].begin, text + t[i + 1].begin, len);
        if (uses < 2) continue;
        Sort sort = string ? SORT_TEXT : word_is(text, t[i], "boolean") ? SORT_TRUTH : SORT_NUMBER;
        out[found++] = (Declared){t[i].begin, t[i].end, sort};
    }
    return found;
}

/* The method with two types of different sorts in each other's place; NULL when it has no such two. */
static char *exchanged(Arena *a, Arena *scratch, const char *text, uint64_t stream)
{
    size_t len = strlen(text);
    Lexeme *t = arena_take(scratch, sizeof *t * (len + 1));
    Declared d[MOST_DECLARED], *pair[MOST_DECLARED * MOST_DECLARED / 2][2];
    Lexer lexer = lex_open(LANG_JAVA, text, len);
    int64_t n = 0, pairs = 0;
    while (lex_next(&lexer, &t[n])) n++;
    int found = declarations(d, text, t, n);
    for (int i = 0; i < found; i++)
        for (int k = i + 1; k < found; k++)
            if (d[i].sort != d[k].sort) {
                pair[pairs][0] = &d[i];
                pair[pairs++][1] = &d[k];
            }
    if (!pairs) return NULL;
    int64_t at = rng_below(stream, 0, pairs);
    const Declared *x = pair[at][0], *y = pair[at][1];
    Buf b = buf_open(a);
    buf_add(&b, text, x->begin);
    buf_add(&b, text + y->begin, y->end - y->begin);
    buf_add(&b, text + x->end, y->begin - x->end);
    buf_add(&b, text + x->begin, x->end - x->begin);
    buf_add(&b, text + y->end, len - y->end);
    return b.text;
}

/* Methods in turn, ORIG and FAULT.  Both labels are drawn from the methods that could be made faulty.  The study's
 * ORIG and FAULT methods are two draws from one pool: a few meet. */
Status make_typ(Maker *m, const ChangePool *p)
{
    const MakeOptions *o = m->options;
    uint64_t faults = rng_stream(o->seed, "make/faults"), draws = rng_stream(o->seed, "make/draws");
    Arena scratch = arena_open((size_t)1 << 32);
    ArenaMark mark = arena_mark(&scratch);
    int label = ORIG;
    for (int64_t i = 0; i < p->n; i++) {
        int split = maker_split(m, 1);
        if (split == SPLITS) break;
        const char *text = p->item[i].method;
        uint64_t stream = rng_mix(faults, (uint64_t)i);
        if (o->study && label == FAULT) text = p->item[rng_below(draws, (uint64_t)i, p->n)].method;
        const char *bad = o->study || o->spelling ? javagen_misspell(m->arena, text, stream, NULL)
                                                  : exchanged(m->arena, &scratch, text, stream);
        arena_drop(&scratch, mark);
        if (!bad) {
            m->stats->unpaired++;
            continue;
        }
        if (label == FAULT) text = bad;
        maker_add(m, (Split)split, label, text, strlen(text));
        label = !label;
    }
    arena_close(&scratch);
    return OK;
}
