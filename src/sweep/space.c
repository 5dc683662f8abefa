/* A word is cut at commas outside quotation marks; each item is a range or a value.  A range needs numbers on both
 * sides, so a path such as ../models is a value. */
#include "sweep/space.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sha256.h"
#include "base/str.h"

typedef struct {
    Knob *knob;
    Arena *arena;
    const char *word;
    int room;
    int64_t most;
} Reader;

/* A key begins with a letter, or is the number of an operand. */
bool knob_is(const char *word)
{
    size_t n = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    return n && isalnum((unsigned char)*word) && word[n] == '=';
}

/* ---- values */

static Status add(Reader *r, const char *value)
{
    Knob *k = r->knob;
    if (k->n >= r->most)
        return err_fail(E_CONFIG, "%.80s: more than %lld values; --max-cells allows more", r->word,
                        (long long)r->most);
    GROW(r->arena, k->value, k->n, r->room, 16);
    k->value[k->n++] = value;
    return OK;
}

static const char *number(Arena *a, double x)
{
    char text[32];
    for (int digits = 6; digits <= 17;
         digits++) { /* the shortest that is near enough: 0.3, not 0.30000000000000004 */
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (fabs(strtod(text, NULL) - x) <= 1e-12 * fabs(x)) break;
    }
    return str_copy(a, text, strlen(text));
}

static Status add_spaced(Reader *r, double lo, double hi, int64_t n, bool log)
{
    for (int64_t i = 0; i < n; i++) {
        double t = n > 1 ? (double)i / (double)(n - 1) : 0;
        double x = log ? lo * pow(hi / lo, t) : lo + (hi - lo) * t;
        if (log) x = strtod(str_print(r->arena, "%.6g", x), NULL);
        TRY(add(r, number(r->arena, i == n - 1 && n > 1 ? hi : x)));
    }
    return OK;
}

static Status add_steps(Reader *r, double lo, double hi, double step)
{
    double steps = floor((hi - lo) / step + 1e-9);
    if (steps + 1 > (double)r->most)
        return err_fail(E_CONFIG, "%.80s: %.0f values; expected at most %lld, --max-cells allows more", r->word,
                        steps + 1, (long long)r->most);
    for (int64_t i = 0; i <= (int64_t)steps; i++) TRY(add(r, number(r->arena, lo + (double)i * step)));
    return OK;
}

/* "/log5", "/lin5" or "/0.25" behind a range. */
static Status add_range(Reader *r, double lo, double hi, const char *how)
{
    int64_t n;
    double step = 1;
    bool log = !strncmp(how, "/log", 4), even = log || !strncmp(how, "/lin", 4);
    if (lo > hi) return err_fail(E_CONFIG, "%.80s: the range is empty; expected LEAST..MOST", r->word);
    if (even) {
        if (!str_int(how + 4, &n) || n < 1 || n > r->most)
            return err_fail(E_CONFIG, "%.80s: expected the number of values behind %.4s", r->word, how);
        if (log && lo <= 0) return err_fail(E_CONFIG, "%.80s: a logarithmic range begins above 0", r->word);
        return add_spaced(r, lo, hi, n, log);
    }
    if (*how && (!str_real(how + 1, &step) || step <= 0))
        return err_fail(E_CONFIG, "%.80s: expected LEAST..MOST/STEP, with a step above 0, or /log5 or /lin5",
                        r->word);
    if (!*how && (lo != floor(lo) || hi != floor(hi)))
        return err_fail(E_CONFIG, "%.80s: a range of numbers that are not whole needs a step, 0..1/0.25, or /log5",
                        r->word);
    return add_steps(r, lo, hi, step);
}

/* An item without quotation marks: a range where both ends are numbers. */
static Status add_item(Reader *r, const char *item)
{
    const char *dots = strstr(item, ".."), *slash = dots ? strchr(dots, '/') : NULL;
    double lo, hi;
    if (!*item) return err_fail(E_CONFIG, "%.80s: a value is empty; expected KEY=VALUE,VALUE", r->word);
    if (dots) {
        const char *low = str_copy(r->arena, item, (size_t)(dots - item));
        const char *high = str_copy(r->arena, dots + 2, slash ? (size_t)(slash - dots - 2) : strlen(dots + 2));
        if (str_real(low, &lo) && str_real(high, &hi)) return add_range(r, lo, hi, slash ? slash : "");
    }
    return add(r, item);
}

/* Cuts at commas; quotation marks go, and the text between them is no list and no range. */
static Status add_items(Reader *r, const char *text)
{
    Buf item = buf_open(r->arena);
    bool quoted = false;
    char mark = 0;
    for (const char *p = text;; p++) {
        bool ends = !*p || (*p == ',' && !mark);
        if (!*p && mark)
            return err_fail(E_CONFIG, "%.80s: expected a second %c at the end of the value", r->word, mark);
        if (ends) {
            const char *whole = str_copy(r->arena, item.text, item.len);
            TRY(quoted ? add(r, whole) : add_item(r, whole));
            item = buf_open(r->arena);
            quoted = false;
        } else if (*p == mark) {
            mark = 0;
        } else if (!mark && (*p == '\'' || *p == '"')) {
            mark = *p;
            quoted = true;
        } else {
            buf_add(&item, p, 1);
        }
        if (!*p) return OK;
    }
}

static bool same(const char *a, const char *b)
{
    double x, y;
    return !strcmp(a, b) || (str_real(a, &x) && str_real(b, &y) && x == y);
}

static Status check_twice(const Reader *r)
{
    const Knob *k = r->knob;
    for (int i = 0; i < k->n; i++)
        for (int j = 0; j < i; j++)
            if (same(k->value[i], k->value[j]))
                return err_fail(E_CONFIG, "%.80s: %s and %s are the same value; expected each once", r->word,
                                k->value[j], k->value[i]);
    return OK;
}

/* ---- labels */

/* Characters that need quoting in a shell, or mean something in a path, become '_'. */
static const char *plain(Arena *a, const char *text)
{
    char *s = str_copy(a, text, strlen(text));
    for (char *c = s; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._+-@=", *c)) *c = '_';
    return *s ? s : "_";
}

static const char *last_part(Arena *a, const char *value)
{
    size_t n = strlen(value);
    while (n > 1 && value[n - 1] == '/') n--;
    const char *whole = str_copy(a, value, n), *slash = strrchr(whole, '/');
    return slash && slash[1] ? slash + 1 : whole;
}

static bool differ(int n, const char *const *label)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(label[i], label[j])) return false;
    return true;
}

/* Of paths the last part, where these differ; else all of each; else with a part of the hash. */
static void set_labels(Knob *k, Arena *a)
{
    k->label = NEW(a, const char *, k->n);
    for (int i = 0; i < k->n; i++) k->label[i] = plain(a, last_part(a, k->value[i]));
    if (differ(k->n, k->label)) return;
    for (int i = 0; i < k->n; i++) k->label[i] = plain(a, k->value[i]);
    if (differ(k->n, k->label)) return;
    for (int i = 0; i < k->n; i++) {
        Sha256 s = sha256_begin();
        sha256_add(&s, k->value[i], strlen(k->value[i]));
        k->label[i] = str_print(a, "%.40s-%.8s", k->label[i], sha256_end(&s).hex);
    }
}

Status knob_read(Knob *k, Arena *a, const char *word, int64_t most)
{
    const char *sign = strchr(word, '=');
    Reader r = {.knob = k, .arena = a, .word = word, .most = most};
    *k = (Knob){.key = str_copy(a, word, (size_t)(sign - word))};
    if (!sign[1]) return err_fail(E_CONFIG, "%.80s: a value is empty; expected KEY=VALUE,VALUE", word);
    TRY(add_items(&r, sign + 1));
    TRY(check_twice(&r));
    set_labels(k, a);
    return OK;
}

/* ---- combinations */

Status space_count(int64_t *cells, const Space *s, Arena *a, int64_t most)
{
    Buf product = buf_open(a);
    double all = 1;
    for (int i = 0; i < s->n; i++) {
        all *= s->knob[i].n;
        buf_print(&product, "%s%d", i ? " x " : "", s->knob[i].n);
    }
    if (all > (double)most)
        return err_fail(E_CONFIG, "%s = %.0f cells; expected at most %lld, --max-cells allows more", product.text,
                        all, (long long)most);
    *cells = (int64_t)all;
    return OK;
}

void space_at(int at[KNOBS], const Space *s, int64_t cell)
{
    for (int i = s->n; i-- > 0; cell /= s->knob[i].n) at[i] = (int)(cell % s->knob[i].n);
}

const char *space_name(const Space *s, Arena *a, const int at[KNOBS])
{
    enum { LONGEST = 200, KEPT = 180 };
    Buf b = buf_open(a);
    for (int i = 0; i < s->n; i++) buf_print(&b, "%s%s=%s", i ? "," : "", s->knob[i].key, s->knob[i].label[at[i]]);
    if (b.len <= LONGEST) return b.text;
    Sha256 all = sha256_begin();
    sha256_add(&all, b.text, b.len);
    return str_print(a, "%.*s-%.8s", KEPT, b.text, sha256_end(&all).hex);
}
