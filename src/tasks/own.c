/* The user's tables: rows, their labels, and a set aside for validation. */
#include "tasks/own.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "base/table.h"

/* ---- reading */

static Status check_text(const Cells *c, int column, const char *name)
{
    for (int64_t i = 0; c->cell[column] && i < c->n; i++)
        if (!c->cell[column][i].text)
            return err_fail(E_FORMAT, "%s:%lld: '%s' is missing, expected a text", c->path, (long long)c->line[i],
                            name);
    return OK;
}

static Status check_labels(const Cells *c, const char *name)
{
    for (int64_t i = 0; c->cell[2] && i < c->n; i++)
        if (!c->cell[2][i].text || cells_blank(c->cell[2][i]))
            return err_fail(E_FORMAT, "%s:%lld: the label '%s' is empty", c->path, (long long)c->line[i], name);
    return OK;
}

Status own_read(OwnSet *out, Arena *a, const char *path, const OwnPlan *p, bool unlabelled)
{
    Cells c;
    const char *const name[] = {p->text, p->pair, p->label};
    const bool optional[] = {false, false, unlabelled};
    TRY(cells_read(&c, a, path, 3, name, optional));
    TRY(check_text(&c, 0, p->text));
    TRY(check_text(&c, 1, p->pair));
    TRY(check_labels(&c, p->label));
    *out = (OwnSet){.path = path, .n = c.n, .line = c.line, .text = c.cell[0], .pair = c.cell[1], .label = c.cell[2]};
    return OK;
}

/* ---- labels */

/* Whole numbers by their size and before all other names. */
static int by_name(const void *a, const void *b)
{
    int64_t x = 0, y = 0;
    const char *s = *(const char *const *)a, *t = *(const char *const *)b;
    bool first = str_int(s, &x), second = str_int(t, &y);
    if (first && second && x != y) return x < y ? -1 : 1;
    if (first != second) return first ? -1 : 1;
    return strcmp(s, t);
}

static const char *trimmed(Arena *a, Bytes b)
{
    while (b.len && strchr(" \t\r\n", b.text[b.len - 1])) b.len--;
    while (b.len && strchr(" \t\r\n", *b.text)) b.text++, b.len--;
    return str_copy(a, b.text, b.len);
}

typedef struct {
    Arena *arena;
    Table seen;
    const char **name;
    int n;
} Names;

static Status add_name(Names *all, const char *name, const OwnSet *s)
{
    bool added;
    if (all->n == OWN_CLASSES_MOST)
        return err_fail(E_MISMATCH,
                        "%s: the labels have more than %d classes; a number for each row is --task regress", s->path,
                        OWN_CLASSES_MOST);
    *table_add(&all->seen, name, strlen(name), &added) = 1;
    if (added) all->name[all->n++] = name;
    return OK;
}

/* A label is one class, or a tag for each word. */
static Status add_names(Names *all, const OwnPlan *p, const OwnSet *s, int64_t i)
{
    const char *label = trimmed(all->arena, s->label[i]), *word;
    size_t n;
    if (p->kind->target == OWN_CLASSES) return add_name(all, label, s);
    for (const char *rest = label; str_next(&rest, " \t", &word, &n);)
        if (n) TRY(add_name(all, str_copy(all->arena, word, n), s));
    return OK;
}

static Status learn_classes(OwnPlan *p, Arena *a, const OwnSet *s)
{
    Names all = {a, table_open(a, 64), NEW(a, const char *, OWN_CLASSES_MOST + 1), 0};
    for (int64_t i = 0; i < s->n; i++) TRY(add_names(&all, p, s, i));
    if (all.n < 2)
        return err_fail(E_MISMATCH, "%s: every label is '%.40s'; expected two classes or more", s->path, all.name[0]);
    qsort(all.name, (size_t)all.n, sizeof *all.name, by_name);
    p->classes = all.n, p->name = all.name;
    return OK;
}

static Status number_of(double *out, Arena *a, const OwnSet *s, int64_t i)
{
    const char *text = trimmed(a, s->label[i]);
    if (str_real(text, out) && isfinite(*out)) return OK;
    return err_fail(E_FORMAT, "%s:%lld: the label '%.40s' is not a finite number", s->path, (long long)s->line[i],
                    text);
}

static Status learn_scale(OwnPlan *p, Arena *a, const OwnSet *s)
{
    double x, sum = 0, squares = 0, n = (double)s->n;
    for (int64_t i = 0; i < s->n; i++) {
        TRY(number_of(&x, a, s, i));
        sum += x;
    }
    p->mean = sum / n;
    for (int64_t i = 0; i < s->n; i++) {
        TRY(number_of(&x, a, s, i));
        squares += (x - p->mean) * (x - p->mean);
    }
    p->sd = sqrt(squares / n);
    if (p->sd > 0) return OK;
    return err_fail(E_MISMATCH, "%s: every label is %g; expected numbers that differ", s->path, p->mean);
}

Status own_learn_labels(OwnPlan *p, Arena *a, const OwnSet *train)
{
    return p->kind->target == OWN_NUMBERS ? learn_scale(p, a, train) : learn_classes(p, a, train);
}

static const char *class_names(Arena *a, const OwnPlan *p)
{
    enum { SHOWN = 12 };
    Buf b = buf_open(a);
    for (int c = 0; c < p->classes && c < SHOWN; c++) buf_print(&b, "%s%s", c ? ", " : "", p->name[c]);
    if (p->classes > SHOWN) buf_print(&b, ", ...");
    return b.text;
}

Status own_label(OwnSet *s, Arena *a, const OwnPlan *p)
{
    Table place = table_open(a, p->classes);
    bool added;
    for (int c = 0; c < p->classes; c++) *table_add(&place, p->name[c], strlen(p->name[c]), &added) = c;
    s->class = NEW(a, int32_t, s->n), s->value = NEW(a, double, s->n);
    for (int64_t i = 0; i < s->n && p->kind->target == OWN_NUMBERS; i++) TRY(number_of(&s->value[i], a, s, i));
    for (int64_t i = 0; i < s->n && p->kind->target == OWN_CLASSES; i++) {
        const char *label = trimmed(a, s->label[i]);
        s->class[i] = (int32_t)table_get(&place, label, strlen(label), -1);
        if (s->class[i] < 0)
            return err_fail(E_FORMAT, "%s:%lld: the label '%.40s' is no class of the training set; there are %s",
                            s->path, (long long)s->line[i], label, class_names(a, p));
    }
    return OK;
}

/* ---- training and validation */

static OwnSet room_for(Arena *a, const OwnSet *all)
{
    OwnSet s = {.path = all->path, .line = NEW(a, int64_t, all->n), .text = NEW(a, Bytes, all->n)};
    if (all->pair) s.pair = NEW(a, Bytes, all->n);
    s.label = NEW(a, Bytes, all->n), s.class = NEW(a, int32_t, all->n), s.value = NEW(a, double, all->n);
    return s;
}

static void put_row(OwnSet *to, const OwnSet *from, int64_t i)
{
    int64_t k = to->n++;
    to->line[k] = from->line[i], to->text[k] = from->text[i], to->label[k] = from->label[i];
    if (from->pair) to->pair[k] = from->pair[i];
    to->class[k] = from->class[i], to->value[k] = from->value[i];
}

void own_cut(OwnSet *train, OwnSet *valid, Arena *a, const OwnSet *all, const OwnPlan *p, double share, uint64_t seed)
{
    int classes = p->classes ? p->classes : 1;
    int32_t *order = NEW(a, int32_t, all->n);
    double *due = NEW(a, double, classes); /* rows of each class that validation has still to get */
    bool *held = NEW(a, bool, all->n);
    for (int32_t i = 0; i < all->n; i++) order[i] = i, due[all->class[i]] += share;
    for (int c = 0; c < classes; c++) due[c] = floor(due[c] + 0.5);
    rng_shuffle(rng_stream(seed, "tune/own/validation"), all->n, order);
    for (int64_t k = 0; k < all->n; k++) {
        int32_t i = order[k], c = all->class[i];
        held[i] = due[c] >= 1;
        due[c] -= held[i];
    }
    *train = room_for(a, all), *valid = room_for(a, all);
    for (int64_t i = 0; i < all->n; i++) put_row(held[i] ? valid : train, all, i);
}
