/* Rows of the user's own table (tasks/own.h), cut into three splits: texts, pairs of texts, or texts with a span. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "probe/probe.h"
#include "probes/probing.h"
#include "tasks/own.h"

static const OwnKind KIND = {.target = OWN_CLASSES};

static Status check_columns(const Run *r)
{
    bool text = *run_text(r, "text-column"), label = *run_text(r, "label-column");
    if (!*run_text(r, "data") || !text || !label)
        return err_fail(E_CONFIG, "--task own reads a table: expected --data FILE, --text-column and --label-column");
    if (*run_text(r, "pair-column") && *run_text(r, "span-column"))
        return err_fail(E_CONFIG, "expected --pair-column or --span-column, not both");
    return OK;
}

/* "12:20", characters from 0 with the end left out, or the words of the span as the text has them first. */
static Status find_span(ByteSpan *out, Arena *a, const OwnSet *s, int64_t i)
{
    Bytes text = s->text[i], span = s->pair[i];
    const char *words = str_copy(a, span.text, span.len);
    long long from, to;
    char more;
    const char *found = span.len ? memmem(text.text, text.len, span.text, span.len) : NULL;
    if (found) {
        *out = (ByteSpan){(size_t)(found - text.text), (size_t)(found - text.text) + span.len};
        return OK;
    }
    if (sscanf(words, "%lld:%lld%c", &from, &to, &more) == 2 && from >= 0 && to > from) {
        size_t at[2] = {text.len + 1, text.len + 1};
        long long character = 0;
        for (size_t k = 0; k <= text.len; k++) {
            if (k < text.len && ((unsigned char)text.text[k] & 0xC0) == 0x80) continue; /* inside a character */
            if (character == from) at[0] = k;
            if (character == to) at[1] = k;
            character++;
        }
        *out = (ByteSpan){at[0], at[1]};
        if (at[1] <= text.len) return OK;
    }
    return err_fail(E_FORMAT,
                    "%s:%lld: the span '%.40s' is not in the text; expected its words, or FROM:TO in characters",
                    s->path, (long long)s->line[i], words);
}

/* Appends the rows of a set: a pair is one text with a newline between. */
static Status put_rows(Probing *lab, const OwnSet *s, Split split, bool pair)
{
    for (int64_t i = 0; i < s->n; i++) {
        int64_t k = lab->set.n++;
        Bytes a = s->text[i], b = pair ? s->pair[i] : (Bytes){0};
        const char *text = pair ? str_print(&lab->arena, "%.*s\n%.*s", (int)a.len, a.text, (int)b.len, b.text)
                                : str_copy(&lab->arena, a.text, a.len);
        lab->set.example[k] = (Example){split, s->class[i], text, a.len + (pair ? 1 + b.len : 0)};
        lab->line[k] = s->line[i];
        if (pair)
            lab->bytes[0][k] = (ByteSpan){0, a.len}, lab->bytes[1][k] = (ByteSpan){a.len + 1, a.len + 1 + b.len};
        if (s->pair && !pair) TRY(find_span(&lab->bytes[0][k], &lab->arena, s, i));
    }
    return OK;
}

static Status check_labels(const Dataset *d)
{
    for (int s = 0; s < SPLITS; s++)
        for (int c = 0; c < d->n_labels; c++)
            if (!d->count[s][c])
                return err_fail(E_MISMATCH,
                                "%s: the label '%.40s' has too few rows for three splits; expected five or more",
                                d->name, d->label[c]);
    return OK;
}

Status table_rows(Probing *lab, Run *r)
{
    TRY(check_columns(r));
    const char *path = run_text(r, "data"), *pair = run_text(r, "pair-column"), *span = run_text(r, "span-column");
    Arena *a = &lab->arena;
    OwnPlan plan = {.kind = &KIND, .text = run_text(r, "text-column"), .label = run_text(r, "label-column")};
    plan.pair = *pair ? pair : *span ? span : NULL;
    OwnSet all, part[SPLITS], rest;
    TRY(run_input(r, path));
    TRY(own_read(&all, a, path, &plan, false));
    TRY(own_learn_labels(&plan, a, &all));
    TRY(own_label(&all, a, &plan));
    uint64_t seed = (uint64_t)run_int(r, "data-seed");
    own_cut(&part[SPLIT_TRAIN], &rest, a, &all, &plan, 0.4, seed);
    own_cut(&part[SPLIT_VALID], &part[SPLIT_TEST], a, &rest, &plan, 0.5, seed);
    lab->set = (Dataset){.name = path, .n_labels = plan.classes, .label = plan.name};
    lab->set.example = NEW(a, Example, all.n), lab->line = NEW(a, int64_t, all.n);
    for (int k = 0; k < 2; k++) lab->bytes[k] = NEW(a, ByteSpan, all.n);
    lab->second = *pair, lab->spans = *span;
    for (int s = 0; s < SPLITS; s++) TRY(put_rows(lab, &part[s], (Split)s, lab->second));
    dataset_count(&lab->set, a);
    return check_labels(&lab->set);
}

Bytes table_part(const Probing *lab, int64_t row, int part)
{
    ByteSpan s = lab->bytes[part][row];
    return (Bytes){(char *)(uintptr_t)lab->set.example[row].text + s.from, s.to - s.from};
}

/* A logistic regression on the share of words that the two texts have in common. */
Status table_overlap(ProbeFloor *out, Probing *lab)
{
    Arena *a = &lab->arena;
    Table words = table_open(a, 1 << 12);
    Tensor x = tensor_zero(a, F64, SHAPE(lab->set.n, 1));
    ProbeResult p;
    for (int64_t i = 0; i < lab->set.n; i++) {
        Bytes u = table_part(lab, i, 0), v = table_part(lab, i, 1);
        tensor_set(x, i,
                   word_overlap(word_set(a, &words, u.text, u.len, 3, 0), word_set(a, &words, v.text, v.len, 3, 0)));
    }
    TRY(probe_fit(&p, a, x, &lab->set, NULL, NULL));
    *out = (ProbeFloor){.name = "word overlap", .rule = true, .guess = p.predicted};
    memcpy(out->accuracy, p.accuracy, sizeof out->accuracy);
    return OK;
}

/* A text of training, whole or as one of a pair. */
void table_seen(bool *seen, const Probing *lab)
{
    const Dataset *d = &lab->set;
    Arena scratch = arena_open((size_t)1 << 36);
    Table texts = table_open(&scratch, d->n);
    bool added;
    for (int64_t i = 0; i < d->n * 2; i++) { /* training rows first, then all */
        int64_t row = i % d->n;
        for (int k = 0; k < (lab->second ? 2 : 1); k++) {
            Bytes t = lab->second ? table_part(lab, row, k)
                                  : (Bytes){(char *)(uintptr_t)d->example[row].text, d->example[row].len};
            if (i < d->n && d->example[row].split == SPLIT_TRAIN) *table_add(&texts, t.text, t.len, &added) = 1;
            if (i >= d->n) seen[row] |= table_get(&texts, t.text, t.len, 0) != 0;
        }
    }
    arena_close(&scratch);
}
