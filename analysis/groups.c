/* Every byte of the text belongs to a unit (a word, a run of blanks, a line) and to a side; a token goes where one
 * of its bytes does, and neighbours of one unit and one side are a group. */
#include "analysis/groups.h"

#include <math.h>
#include <string.h>

#include "base/str.h"
#include "change/change.h"

const char *const BY_NAME[BYS + 1] = {"tokens", "words", "lines", "sides", NULL};
const char *const BY_ONE[BYS] = {"token", "word", "line", "side"};

static const char *const SIDE_NAME[SIDES + 1] = {"message", "added", "removed", "kept", "special"};

static bool is_blank(char c)
{
    return c && strchr(" \t\r\n\v\f", c);
}

typedef struct {
    Side *side;    /* (len) */
    int64_t *unit; /* (len) */
    size_t *from;  /* (units + 1) where each begins */
    int64_t units;
    bool change; /* the text shows one */
} Scan;

/* A tag begins another word, and another line unless only blanks precede it there. */
static bool breaks(By by, const char *text, size_t len, size_t i, bool written)
{
    if (by == BY_LINES && text[i - 1] == '\n') return true;
    if (by == BY_WORDS && is_blank(text[i]) != is_blank(text[i - 1])) return true;
    for (int k = 0; text[i] == '<' && k < LINE_KINDS; k++) {
        size_t n = strlen(LINE_MARK[k]);
        if (len - i >= n && !memcmp(text + i, LINE_MARK[k], n)) return by == BY_WORDS || (by == BY_LINES && written);
    }
    return false;
}

/* Divides a text into units (such as words or lines) and finds the side of a change for each byte. */
static Scan scan(Arena *a, By by, const char *text, size_t len)
{
    Scan s = {.side = NEW(a, Side, len + 1), .unit = NEW(a, int64_t, len + 1), .from = NEW(a, size_t, len + 2)};
    bool written = false; /* the unit has a byte that is no blank */
    s.change = sides_of_text(s.side, text, len);
    for (size_t i = 0; i < len; i++) {
        if (!i || breaks(by, text, len, i, written)) {
            s.from[s.units++] = i;
            written = false;
        }
        written |= !is_blank(text[i]);
        s.unit[i] = s.units - 1;
    }
    s.from[s.units] = len;
    return s;
}

/* The byte that decides to which group token i belongs; -1: around the text. */
static int64_t place(const Tokens *t, int64_t i)
{
    int64_t begin = t->begin[i], last = (int64_t)t->len - 1;
    if (begin < 0 || last < 0) return -1;
    for (int64_t j = begin; j < t->end[i]; j++)
        if (!is_blank(t->text[j])) return j;
    return begin < last ? begin : last; /* a blank in front of the text may have no byte */
}

static const char *label(Arena *a, By by, const Tokens *t, const Scan *s, int64_t unit)
{
    enum { MOST = 40 };
    const char *from = t->text + s->from[unit], *end = t->text + s->from[unit + 1];
    size_t len, n = 0;
    int64_t replaced = 0;
    bool line = by == BY_LINES;
    while (line && from < end && is_blank(*from)) from++;
    while (line && from < end && is_blank(end[-1])) end--;
    char *text = utf8_repair(a, from, (size_t)(end - from), &len, &replaced);
    for (int chars = 0; n < len && chars < MOST; chars++) n += utf8_length(text + n, len - n);
    const char *beginning = str_print(a, "%.*s%s", (int)n, text, n < len ? "\xe2\x80\xa6" : "");
    return line ? str_print(a, "%lld%s%s", (long long)unit + 1, n ? " " : "", beginning) : beginning;
}

/* Sides in their order, those that have a token. */
static void number_sides(Groups *g, const Tokens *t, const Scan *s)
{
    int64_t at[SIDES + 1] = {0};
    for (int64_t i = 0; i < t->n; i++) {
        int64_t p = place(t, i);
        g->of[i] = p < 0 ? SIDES : s->side[p];
        at[g->of[i]]++;
    }
    for (int k = 0; k <= SIDES; k++) {
        if (!at[k]) continue;
        g->label[g->n] = SIDE_NAME[k];
        at[k] = g->n++;
    }
    for (int64_t i = 0; i < t->n; i++) g->of[i] = at[g->of[i]];
}

static void number_runs(Groups *g, Arena *a, By by, const Tokens *t, const Scan *s)
{
    int64_t before = -1;
    for (int64_t i = 0; i < t->n; i++) {
        int64_t p = place(t, i);
        bool same = by != BY_TOKENS && i && p >= 0 && before >= 0 && s->unit[p] == s->unit[before] &&
                    s->side[p] == s->side[before];
        if (!same) g->label[g->n++] = p < 0 || by == BY_TOKENS ? t->label[i] : label(a, by, t, s, s->unit[p]);
        g->of[i] = g->n - 1;
        before = p;
    }
}

/* Assigns each token to a group, with labels, and notes which groups are special tokens or changed lines. */
Groups groups_of(Arena *a, By by, const Tokens *t)
{
    CHECK(t->text, "tokens without a text");
    Groups g = {.tokens = t->n, .of = NEW(a, int64_t, t->n), .label = NEW(a, const char *, t->n + SIDES + 1)};
    Scan s = scan(a, by, t->text, t->len);
    if (by == BY_SIDES)
        number_sides(&g, t, &s);
    else
        number_runs(&g, a, by, t, &s);
    bool *special = NEW(a, bool, g.n), *changed = NEW(a, bool, g.n);
    for (int64_t k = 0; k < g.n; k++) special[k] = true;
    for (int64_t i = 0; i < t->n; i++) {
        int64_t p = place(t, i);
        special[g.of[i]] &= t->special && t->special[i];
        changed[g.of[i]] = p >= 0 && (s.side[p] == SIDE_ADDED || s.side[p] == SIDE_REMOVED);
    }
    g.special = special;
    g.changed = s.change ? changed : NULL;
    return g;
}

const bool *tokens_changed(Arena *a, const Tokens *t)
{
    return t->text ? groups_of(a, BY_TOKENS, t).changed : NULL;
}

/* Adds the columns of each group, then averages the rows of each group. */
Tensor map_grouped(Arena *a, Tensor map, int64_t prefix, const Groups *rows, const Groups *cols)
{
    const int64_t s = prefix + cols->tokens, n = prefix + cols->n;
    CHECK(map.rank == 2 && map.dim[0] == rows->tokens && map.dim[1] == s, "a map%s of %lld by %lld tokens",
          tensor_shape(map), (long long)rows->tokens, (long long)cols->tokens);
    Tensor out = tensor_zero(a, F64, SHAPE(rows->n, n));
    int64_t *count = NEW(a, int64_t, rows->n);
    for (int64_t i = 0; i < rows->tokens; i++) {
        int64_t to = rows->of[i];
        if (isnan(tensor_get(map, i * s))) continue;
        count[to]++;
        for (int64_t j = 0; j < s; j++) {
            int64_t at = to * n + (j < prefix ? j : prefix + cols->of[j - prefix]);
            tensor_set(out, at, tensor_get(out, at) + tensor_get(map, i * s + j));
        }
    }
    for (int64_t i = 0; i < rows->n; i++)
        for (int64_t j = 0; j < n; j++)
            tensor_set(out, i * n + j, count[i] ? tensor_get(out, i * n + j) / (double)count[i] : (double)NAN);
    return out;
}
