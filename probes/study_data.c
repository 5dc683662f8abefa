/* The data of the study: files below --data, in the layout
 *
 *   jit/valid.jsonl, jit/test.jsonl       commits with labels and features; of the first the last fifth selects
 *   cmg/mined/LANGUAGE_{train,valid,test}.jsonl       commits with diff and message
 *   probing/{typ,ccm,ltp}.txt             rows of split, label, text
 *
 * or, without --data, synthetic: commits of javagen_change.h in six packages that represent projects, the
 * generator's levels of wording instead of languages, probing rows by the recipes in which no rule helps. */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "probe/make.h"
#include "probes/commits.h"
#include "probes/study.h"

/* ---- defect prediction ---- */

static bool at_home(const char *project)
{
    return rng_bits(rng_stream(1, project), 0) & 1;
}

/* Cross-project runs train on half of the projects (`home`) and are tested on the others. */
static void divide_projects(Study *s)
{
    JitSet *train = &s->commits[SPLIT_TRAIN], *test = &s->commits[SPLIT_TEST];
    s->home = NEW(&s->arena, bool, train->n);
    s->other = NEW(&s->arena, bool, test->n);
    for (int64_t i = 0; i < train->n; i++) s->home[i] = at_home(train->change[i].repo);
    for (int64_t i = 0; i < test->n; i++) s->other[i] = !at_home(test->change[i].repo);
}

/* Reads or generates the commits for defect prediction, and divides them by time into splits. */
static Status read_commits(Study *s, Run *r, const char *dir)
{
    TRY(commits_open(s->commits, &s->arena, r, dir));
    divide_projects(s);
    return OK;
}

/* ---- messages ---- */

static Status read_pairs(StudyLanguage *l, Arena *a, Run *r, const char *dir, Split split, int64_t most)
{
    const char *path = str_print(a, "%s/cmg/mined/%s_%s.jsonl", dir, l->name, split_name(split));
    TRY(run_input(r, path));
    TRY(changes_read(&l->change[split], &l->n[split], a, path));
    if (most && l->n[split] > most) l->n[split] = most;
    return OK;
}

/* Reads or generates the changes with messages of one language. */
static Status read_language(Study *s, Run *r, const char *dir, const char *name, int which)
{
    static const char *const SIZE[SPLITS] = {"pairs", "pairs-valid", "pairs-test"};
    Arena *a = &s->arena;
    StudyLanguage *l = &s->language[s->languages++];
    *l = (StudyLanguage){.name = name};
    for (int k = 0; k < SPLITS; k++) {
        int64_t n = run_int(r, SIZE[k]);
        if (dir && k == SPLIT_TRAIN) n = 0; /* pretraining reads them all */
        if (dir) {
            TRY(read_pairs(l, a, r, dir, (Split)k, n));
        } else {
            uint64_t seed = rng_stream((uint64_t)run_int(r, "data-seed"), split_name((Split)k));
            l->change[k] = commits_invent(a, seed >> 12, n, which);
            l->n[k] = n;
        }
    }
    l->reference = NEW(a, Bytes, l->n[SPLIT_TEST]);
    for (int64_t i = 0; i < l->n[SPLIT_TEST]; i++) {
        const char *text = l->change[SPLIT_TEST][i].message;
        l->reference[i] = (Bytes){(char *)(uintptr_t)text, strlen(text)};
    }
    return OK;
}

static Status read_languages(Study *s, Run *r, const char *dir)
{
    static const char *const LEVEL[] = {"named", "in words", "vague"};
    s->pairs = run_int(r, "pairs") ? run_int(r, "pairs") : INT64_MAX;
    if (!dir) {
        for (int k = 0; k < (int)run_int(r, "levels"); k++) TRY(read_language(s, r, NULL, LEVEL[k], k));
        return OK;
    }
    size_t n;
    for (const char *rest = run_text(r, "languages"), *p; str_next(&rest, ",", &p, &n);) {
        if (s->languages == MOST_LANGUAGES) return err_fail(E_CONFIG, "--languages: at most %d", MOST_LANGUAGES);
        if (n) TRY(read_language(s, r, dir, str_copy(run_arena(r), p, n), 0));
    }
    return OK;
}

/* ---- probing rows ---- */

/* Reads or makes the examples of a probing task, and checks their number. */
static Status read_rows(Study *s, Run *r, const char *dir, ProbeTask task)
{
    Dataset *d = &s->set[task];
    if (dir) {
        const char *path = str_print(&s->arena, "%s/probing/%s.txt", dir, TASK_NAMES[task]);
        TRY(run_input(r, path));
        TRY(dataset_read(d, &s->arena, path));
    } else {
        MakeStats stats;
        const MakeOptions o = make_invented(task, run_int(r, "rows"), (uint64_t)run_int(r, "data-seed") + 1);
        TRY(make_probe(d, &s->arena, &o, &stats));
        d->name = TASK_NAMES[task];
    }
    if (d->size[SPLIT_TEST] < 1 || d->size[SPLIT_VALID] < 1 || d->size[SPLIT_TEST] > STUDY_ROWS || d->n_labels > 250)
        return err_fail(E_MISMATCH, "%s: %lld test and %lld validation rows, expected 1 to %d and at least 1",
                        d->name, (long long)d->size[SPLIT_TEST], (long long)d->size[SPLIT_VALID], STUDY_ROWS);
    return OK;
}

Status study_data(Study *s, Run *r)
{
    const char *dir = *run_text(r, "data") ? run_text(r, "data") : NULL;
    TRY(read_commits(s, r, dir));
    TRY(read_languages(s, r, dir));
    for (ProbeTask t = 0; t < TASKS; t++) {
        TRY(read_rows(s, r, dir, t));
        TRY(probe_floors(s->floor[t], &s->floors[t], &s->arena, run_arena(r), &s->set[t], t));
    }
    return OK;
}
