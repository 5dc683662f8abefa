/* Does a stored notebook agree with a new run of its source?  Texts are compared word by word.  In a word, numbers
 * that are written with a decimal point or an exponent stand for themselves give or take one unit of their last
 * digit. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "notebook/notebook.h"

/* Length of the number at s, 0: there is none; *unit is one unit of its last digit, 0 for a whole number. */
static size_t number_at(const char *s, double *unit)
{
    size_t n = strspn(s, "0123456789"), digits = n;
    int decimals = 0;
    if (s[n] == '.' && isdigit((unsigned char)s[n + 1])) decimals = (int)strspn(s + n + 1, "0123456789");
    n += decimals ? (size_t)decimals + 1 : 0;
    if (!digits) return 0;
    size_t e = n;
    if (s[n] == 'e' && strchr("+-0123456789", s[n + 1])) e = n + 1 + strspn(s + n + 1, "+-0123456789");
    int power = e > n ? atoi(s + n + 1) : 0;
    *unit = decimals || e > n ? pow(10, power - decimals) : 0;
    return e;
}

/* Two words without blanks. */
static bool words_agree(const char *a, const char *b)
{
    while (*a && *b) {
        double unit_a, unit_b;
        size_t n = number_at(a, &unit_a), m = number_at(b, &unit_b);
        if (!n != !m) return false;
        if (!n) {
            if (*a++ != *b++) return false;
            continue;
        }
        bool equal = n == m && !strncmp(a, b, n);
        double unit = fmax(unit_a, unit_b);
        if (!equal && (unit <= 0 || !(fabs(strtod(a, NULL) - strtod(b, NULL)) < 1.5 * unit))) return false;
        a += n, b += m;
    }
    return *a == *b;
}

bool output_agrees(Arena *arena, const char *a, const char *b, const char *differs[2])
{
    const char *restA = a, *restB = b, *wordA, *wordB;
    size_t n = 0, m = 0;
    for (;;) {
        restA += strspn(restA, " \t\r\n"), restB += strspn(restB, " \t\r\n");
        wordA = restA, wordB = restB;
        n = strcspn(wordA, " \t\r\n"), m = strcspn(wordB, " \t\r\n");
        if (!n && !m) return true;
        differs[0] = n ? str_copy(arena, wordA, n) : "no more";
        differs[1] = m ? str_copy(arena, wordB, m) : "no more";
        if (!n || !m || !words_agree(differs[0], differs[1])) return false;
        restA += n, restB += m;
    }
}

/* Width and height of a PNG, as its header has them. */
static bool same_size(Bytes a, Bytes b)
{
    enum { AT = 16, LONG = 8 };
    return a.len > AT + LONG && b.len > AT + LONG && !memcmp(a.text + AT, b.text + AT, LONG);
}

static bool is_skipped(const Cell *c)
{
    return c->outputs && !strncmp(c->output[0].text, "skipped:", 8);
}

static Status compare_cell(Arena *a, const Notebook *now, const Cell *c, const Notebook *stored, const Cell *s)
{
    const char *kind = c->code ? "code" : "text", *word[2];
    if (c->code != s->code || strcmp(c->source, s->source))
        return err_fail(E_NUMERIC, "%s: is stale: the source of %s cell %d (%s:%d) has changed", stored->path, kind,
                        c->number, now->path, c->line);
    if (is_skipped(c) || is_skipped(s)) return OK;
    for (int i = 0; i < c->outputs || i < s->outputs; i++) {
        const Output *x = &c->output[i], *y = &s->output[i];
        if (i >= c->outputs || i >= s->outputs || x->kind != y->kind)
            return err_fail(E_NUMERIC, "%s: is stale: code cell %d (%s:%d) gives %d outputs, %d are stored",
                            stored->path, c->number, now->path, c->line, c->outputs, s->outputs);
        if (!output_agrees(a, x->text, y->text, word))
            return err_fail(E_NUMERIC, "%s: is stale: code cell %d (%s:%d) gives '%s', and '%s' is stored",
                            stored->path, c->number, now->path, c->line, word[0], word[1]);
        if (x->kind == OUTPUT_FIGURE && !same_size(x->png, y->png))
            return err_fail(E_NUMERIC, "%s: is stale: a figure of code cell %d (%s:%d) has another size",
                            stored->path, c->number, now->path, c->line);
    }
    return OK;
}

Status notebook_compare(const Notebook *now, const Notebook *stored, Arena *a)
{
    if (now->cells != stored->cells)
        return err_fail(E_NUMERIC, "%s: is stale: it has %d cells, and %s has %d", stored->path, stored->cells,
                        now->path, now->cells);
    for (int i = 0; i < now->cells; i++) TRY(compare_cell(a, now, &now->cell[i], stored, &stored->cell[i]));
    return OK;
}
