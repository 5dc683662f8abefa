/* nltk's METEOR.  A word keeps only its latest form: after the stage of stems unmatched words stay stems, and it is
 * stems that are looked up in WordNet.
 *
 * The rule walks both sides from their ends and takes the first pair that agrees, so a word of the hypothesis gets
 * the last free word of the reference that is one of its forms.  The free words of the reference are kept as a stack
 * for each form, the last on top: a word costs a look at the stacks of its forms, not a walk over the reference. */
#include <math.h>
#include <string.h>

#include "metric/meteor.h"
#include "text/stem.h"

typedef struct {
    int64_t n;
    Bytes *form; /* (n) */
    bool *free;  /* (n) not matched yet */
} Side;

static Side side_of(Arena *a, Bytes text)
{
    Lexicon x = lexicon_open(a);
    text = words_lower(a, text.text, text.len);
    Words w = words_split(&x, text.text, text.len);
    Side s = {w.n, NEW(a, Bytes, w.n + 1), NEW(a, bool, w.n + 1)};
    for (int64_t i = 0; i < w.n; i++) {
        s.form[i] = x.word[w.id[i]];
        s.free[i] = true;
    }
    return s;
}

typedef struct {
    Table top;      /* of a form: 1 + the place of its last free word, 0 when there is none */
    int64_t *below; /* of a word: the same of the free word of its form before it */
    int64_t *best;  /* the highest top that was seen */
} Stacks;

static bool look_at(void *user, Bytes form)
{
    Stacks *s = user;
    int64_t *top = table_find(&s->top, form.text, form.len);
    if (top && *top && (!s->best || *top > *s->best)) s->best = top;
    return true;
}

/* partner[i]: the reference's place of the hypothesis' word i. */
static int64_t match(int64_t *partner, Arena *scratch, Side *h, Side *r, const Synonyms *synonyms)
{
    int64_t n = 0;
    Stacks s = {table_open(scratch, r->n), NEW(scratch, int64_t, r->n + 1), NULL};
    for (int64_t j = 0; j < r->n; j++) {
        if (!r->free[j]) continue;
        int64_t *top = table_add(&s.top, r->form[j].text, r->form[j].len, NULL);
        s.below[j] = *top;
        *top = j + 1;
    }
    for (int64_t i = h->n - 1; i >= 0; i--) {
        if (!h->free[i]) continue;
        s.best = NULL;
        look_at(&s, h->form[i]);
        if (synonyms) synonyms_lemmas(synonyms, h->form[i], look_at, &s);
        if (!s.best) continue;
        partner[i] = *s.best - 1;
        *s.best = s.below[partner[i]];
        h->free[i] = r->free[partner[i]] = false;
        n++;
    }
    return n;
}

static void stem(Side *s, Arena *a)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (!s->free[i]) continue;
        char *out = arena_take(a, s->form[i].len + 2);
        s->form[i] = (Bytes){out, stem_porter(out, s->form[i].text, s->form[i].len)};
    }
}

double meteor_nltk(Arena *scratch, const Synonyms *synonyms, Bytes hypothesis, Bytes reference)
{
    ArenaMark mark = arena_mark(scratch);
    Side h = side_of(scratch, hypothesis), r = side_of(scratch, reference);
    double length[2] = {(double)h.n, (double)r.n};
    int64_t *partner = arena_take(scratch, sizeof *partner * (size_t)(h.n + 1));
    for (int64_t i = 0; i < h.n; i++) partner[i] = -1;
    int64_t n = match(partner, scratch, &h, &r, NULL);
    stem(&h, scratch), stem(&r, scratch);
    n += match(partner, scratch, &h, &r, NULL);
    if (synonyms) n += match(partner, scratch, &h, &r, synonyms);
    int64_t chunks = 0;
    for (int64_t i = 0, last = -1; i < (int64_t)length[0]; i++) { /* last: the matched word before this one */
        if (partner[i] < 0) continue;
        chunks += last < 0 || i != last + 1 || partner[i] != partner[last] + 1;
        last = i;
    }
    arena_drop(scratch, mark);
    if (!n) return 0;
    double precision = (double)n / length[0], recall = (double)n / length[1];
    double mean = precision * recall / (0.9 * precision + 0.1 * recall);
    return (1 - 0.5 * pow((double)chunks / (double)n, 3)) * mean;
}
