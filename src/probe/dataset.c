/* Two passes over the lines: the first collects the label names, the second, with the names sorted, fills the
 * examples.  Texts stay in the buffer that the file was read into; newlines become their final NULs. */
#include "probe/dataset.h"

#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/table.h"

enum { MOST_LABELS = 10000 };
static const char *const CODE[SPLITS] = {"tr", "va", "te"}, *const NAME[SPLITS] = {"train", "valid", "test"};

const char *split_name(Split s)
{
    return NAME[s];
}

typedef struct {
    Split split;
    char *label, *text; /* both end in NUL once the line is cut */
    size_t len;
} Line;

/* Cuts one line [line,end) in place. */
static Status cut(Line *out, char *line, char *end, const char *path, int number)
{
    char *tab = memchr(line, '\t', (size_t)(end - line));
    if (!tab)
        return err_fail(E_FORMAT, "%s:%d: found no tab, expected tr, va or te, a tab, a label, a tab and a text",
                        path, number);
    *tab = 0;
    int split = 0;
    while (split < SPLITS && strcmp(line, CODE[split])) split++;
    if (split == SPLITS)
        return err_fail(E_FORMAT, "%s:%d: the line begins with \"%.20s\", expected tr, va or te", path, number, line);
    char *label = tab + 1, *second = memchr(label, '\t', (size_t)(end - label));
    if (!second) return err_fail(E_FORMAT, "%s:%d: has one tab, expected a second before the text", path, number);
    if (second == label) return err_fail(E_FORMAT, "%s:%d: the label is empty", path, number);
    *second = 0;
    if (*label == ' ' || second[-1] == ' ')
        return err_fail(E_FORMAT, "%s:%d: the label \"%.40s\" has a blank at its end or beginning", path, number,
                        label);
    *out = (Line){(Split)split, label, second + 1, (size_t)(end - second - 1)};
    return OK;
}

static Status cut_all(Line *lines, int64_t *n, Bytes file, const char *path)
{
    *n = 0;
    for (TextLines l = lines_in(file); lines_next(&l);) {
        bool last = line_blank(l.line) && (l.at >= l.end || !l.at[strspn(l.at, " \t\r\n")]);
        if (last) break; /* nothing but blank lines follows */
        TRY(cut(&lines[(*n)++], l.line.text, l.line.text + l.line.len, path, (int)l.number));
    }
    return OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct labels, sorted; only the training split may introduce one. */
static Status name_labels(Dataset *d, Arena *a, const Line *lines, const char *path)
{
    Table seen = table_open(a, 16);
    const char **name = arena_take(a, sizeof *name * MOST_LABELS);
    int n = 0;
    for (int64_t i = 0; i < d->n; i++) {
        if (lines[i].split != SPLIT_TRAIN) continue;
        bool added;
        table_add(&seen, lines[i].label, strlen(lines[i].label), &added);
        if (!added) continue;
        if (n == MOST_LABELS)
            return err_fail(E_FORMAT, "%s:%lld: more than %d labels; expected a class", path, (long long)i + 1,
                            MOST_LABELS);
        name[n++] = lines[i].label;
    }
    if (n < 2)
        return err_fail(E_FORMAT, "%s: the training split has %d %s, expected two or more", path, n,
                        str_plural(n, "label", "labels"));
    qsort(name, (size_t)n, sizeof *name, by_name);
    for (int k = 0; k < n; k++) *table_find(&seen, name[k], strlen(name[k])) = k;
    d->n_labels = n;
    d->label = name;
    for (int64_t i = 0; i < d->n; i++) {
        int64_t id = table_get(&seen, lines[i].label, strlen(lines[i].label), -1);
        if (id < 0)
            return err_fail(E_FORMAT, "%s:%lld: the label \"%.40s\" does not occur in the training split", path,
                            (long long)i + 1, lines[i].label);
        d->example[i] = (Example){lines[i].split, (int32_t)id, lines[i].text, lines[i].len};
    }
    return OK;
}

void dataset_count(Dataset *d, Arena *a)
{
    for (int s = 0; s < SPLITS; s++) {
        d->count[s] = NEW(a, int64_t, d->n_labels);
        d->size[s] = 0;
    }
    for (int64_t i = 0; i < d->n; i++) {
        const Example *e = &d->example[i];
        d->count[e->split][e->label]++;
        d->size[e->split]++;
    }
}

Status dataset_read(Dataset *out, Arena *a, const char *path)
{
    Bytes file;
    TRY(text_read(&file, a, path, BYTES_UTF8));
    int64_t most = 1;
    for (size_t i = 0; i < file.len; i++) most += file.text[i] == '\n';
    Dataset d = {.name = path, .example = arena_take(a, sizeof(Example) * (size_t)most)};
    Line *lines = arena_take(a, sizeof *lines * (size_t)most);
    TRY(cut_all(lines, &d.n, file, path));
    TRY(name_labels(&d, a, lines, path));
    dataset_count(&d, a);
    *out = d;
    return OK;
}

/* Writes the examples as lines of split, label and text, which must not contain a newline. */
Status dataset_write(const Dataset *d, const char *path)
{
    for (int64_t i = 0; i < d->n; i++)
        if (memchr(d->example[i].text, '\n', d->example[i].len))
            return err_fail(E_FORMAT, "%s: example %lld holds a newline, which this format cannot", d->name,
                            (long long)i);
    Writer w;
    TRY(writer_open(&w, path));
    for (int64_t i = 0; i < d->n; i++) {
        const Example *e = &d->example[i];
        writer_print(&w, "%s\t%s\t", CODE[e->split], d->label[e->label]);
        writer_add(&w, e->text, e->len);
        writer_add(&w, "\n", 1);
    }
    return writer_close(&w);
}
