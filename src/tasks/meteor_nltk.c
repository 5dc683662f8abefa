/* nltk's METEOR.  A word keeps only its latest form: after the stage of stems unmatched words stay stems, and it is
 * stems that are looked up in WordNet. */
#include <math.h>
#include <string.h>

#include "tasks/meteor.h"
#include "text/stem.h"

typedef struct {
    int64_t n, left;
    Bytes *form;
    int64_t *place; /* of the words that are left, in order */
} Side;

static Side side_of(Arena *a, Bytes text)
{
    Lexicon x = lexicon_open(a);
    text = words_lower(a, text.text, text.len);
    Words w = words_split(&x, text.text, text.len);
    Side s = {w.n, w.n, NEW(a, Bytes, w.n + 1), NEW(a, int64_t, w.n + 1)};
    for (int64_t i = 0; i < w.n; i++) {
        s.form[i] = x.word[w.id[i]];
        s.place[i] = i;
    }
    return s;
}

static void take_out(Side *s, int64_t i)
{
    s->left--;
    memmove(s->form + i, s->form + i + 1, sizeof *s->form * (size_t)(s->left - i));
    memmove(s->place + i, s->place + i + 1, sizeof *s->place * (size_t)(s->left - i));
}

static bool same(const Synonyms *s, Bytes a, Bytes b)
{
    if (a.len == b.len && !memcmp(a.text, b.text, a.len)) return true;
    return s && synonyms_lemma(s, a, b);
}

/* Both sides are walked from their ends, and the first pair that agrees is taken.  partner[i]: the reference's place
 * of the hypothesis' word i. */
static int64_t match(int64_t *partner, Side *h, Side *r, const Synonyms *s)
{
    int64_t n = 0;
    for (int64_t i = h->left - 1; i >= 0; i--)
        for (int64_t j = r->left - 1; j >= 0; j--)
            if (same(s, h->form[i], r->form[j])) {
                partner[h->place[i]] = r->place[j];
                take_out(h, i);
                take_out(r, j);
                n++;
                break;
            }
    return n;
}

static void stem(Side *s, Arena *a)
{
    for (int64_t i = 0; i < s->left; i++) {
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
    int64_t n = match(partner, &h, &r, NULL);
    stem(&h, scratch), stem(&r, scratch);
    n += match(partner, &h, &r, NULL);
    if (synonyms) n += match(partner, &h, &r, synonyms);
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
