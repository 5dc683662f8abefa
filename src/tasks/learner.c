/* Learners by name, and their options as text. */
#include "tasks/learner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

const Learner *learner_find(const char *name)
{
    for (const Learner *const *l = learner_begin(); l < learner_end(); l++)
        if (!strcmp((*l)->name, name)) return *l;
    return NULL;
}

static int option_of(const Learner *l, const char *key, size_t n)
{
    for (int i = 0; l->options && l->options[i].name; i++)
        if (strlen(l->options[i].name) == n && !memcmp(l->options[i].name, key, n)) return i;
    return -1;
}

/* The index of a word among "a|b|c", or -1. */
static int word_of(const char *words, const char *word, size_t n)
{
    int index = 0;
    size_t m;
    for (const char *rest = words, *w; str_next(&rest, "|", &w, &m); index++)
        if (m == n && !memcmp(w, word, n)) return index;
    return -1;
}

static Status read_value(double *out, const LearnerOption *o, const char *text, size_t n)
{
    enum { LONGEST = 40 };
    char number[LONGEST] = "", *end = number;
    if (o->words) {
        int word = word_of(o->words, text, n);
        if (word < 0)
            return err_fail(E_CONFIG, "--options %s=%.*s: expected %s", o->name, (int)(n < LONGEST ? n : LONGEST),
                            text, o->words);
        *out = word;
        return OK;
    }
    if (n < LONGEST) memcpy(number, text, n), *out = strtod(number, &end);
    if (end == number || *end || !(*out >= o->least && *out <= o->most) || (!o->real && floor(*out) < *out))
        return err_fail(E_CONFIG, "--options %s=%.*s: expected a %s from %g to %g", o->name,
                        (int)(n < LONGEST ? n : LONGEST), text, o->real ? "number" : "whole number", o->least,
                        o->most);
    return OK;
}

Status learner_set(double value[LEARNER_OPTIONS], const Learner *l, const char *options)
{
    size_t n;
    for (int i = 0; i < LEARNER_OPTIONS; i++) value[i] = 0;
    for (int i = 0; l->options && l->options[i].name; i++) value[i] = l->options[i].otherwise;
    for (const char *rest = options, *p; str_next(&rest, ",", &p, &n);) {
        const char *equals = memchr(p, '=', n);
        int i = equals ? option_of(l, p, (size_t)(equals - p)) : -1;
        if (i < 0)
            return err_fail(E_CONFIG, "--options: method %s has no setting %.*s", l->name, (int)(n < 40 ? n : 40), p);
        TRY(read_value(&value[i], &l->options[i], equals + 1, n - (size_t)(equals + 1 - p)));
    }
    return OK;
}

const char *learner_values(Arena *a, const Learner *l, const double value[LEARNER_OPTIONS])
{
    Buf b = buf_open(a);
    for (int i = 0; l->options && l->options[i].name; i++) {
        const LearnerOption *o = &l->options[i];
        buf_print(&b, "%s%s=", i ? "," : "", o->name);
        if (!o->words) {
            buf_print(&b, "%.17g", value[i]);
            continue;
        }
        const char *rest = o->words, *w = rest;
        size_t n = 0;
        for (int k = 0; k <= (int)value[i]; k++) str_next(&rest, "|", &w, &n);
        buf_print(&b, "%.*s", (int)n, w);
    }
    return b.text ? b.text : "";
}
