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
#include "change/history.h"
#include "change/javagen_change.h"
#include "probe/make.h"
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

/* Kamei's measures from the synthetic history before each commit; four authors take turns by chance. */
static void invent_features(CodeChange *c, int64_t n, uint64_t seed)
{
    static const char *const AUTHOR[] = {"ann", "bob", "cat", "dan"};
    Arena a = arena_open(0);
    History *h = history_open(&a);
    for (int64_t i = 0; i < n; i++) {
        const ChangeFile *f = c[i].file;
        Touched t = {.old_path = f->old_path,
                     .new_path = f->new_path,
                     .status = f->status,
                     .added = change_count(&c[i], LINE_ADD),
                     .removed = change_count(&c[i], LINE_DEL)};
        c[i].author = AUTHOR[rng_below(rng_stream(seed, "author"), (uint64_t)i, 4)];
        history_add(h, c[i].feature, c[i].author, c[i].time, c[i].message, &t, 1);
        c[i].has_features = true;
    }
    history_close(h);
    arena_close(&a);
}

static CodeChange *invent_changes(Arena *a, uint64_t seed, int64_t n, int difficulty)
{
    CodeChange *c = NEW(a, CodeChange, n);
    for (int64_t i = 0; i < n; i++) {
        javagen_change(&c[i], a, seed, i, difficulty);
        const char *path = strchr(c[i].file->new_path, '/') + 1; /* src/PACKAGE/... */
        c[i].repo = str_copy(a, path, strcspn(path, "/"));
    }
    return c;
}

/* Reads or generates the commits for defect prediction, and divides them by time into splits. */
static Status read_commits(Study *s, Run *r, const char *dir)
{
    Arena *a = &s->arena;
    JitSet all;
    if (dir) {
        const char *train = str_print(a, "%s/jit/valid.jsonl", dir), *test = str_print(a, "%s/jit/test.jsonl", dir);
        TRY(run_input(r, train));
        TRY(run_input(r, test));
        TRY(jit_read(&all, a, train));
        TRY(jit_labelled(&all, train));
        TRY(jit_read(&s->commits[SPLIT_TEST], a, test));
        TRY(jit_labelled(&s->commits[SPLIT_TEST], test));
    } else {
        int64_t n = run_int(r, "commits"), seen = n * 3 / 5;
        uint64_t seed = (uint64_t)run_int(r, "data-seed");
        CodeChange *c = invent_changes(a, seed, n, 1);
        invent_features(c, n, seed);
        all = (JitSet){.n = seen, .change = c};
        s->commits[SPLIT_TEST] = (JitSet){.n = n - seen, .change = c + seen};
        jit_count(&all);
        jit_count(&s->commits[SPLIT_TEST]);
    }
    jit_cut(&s->commits[SPLIT_TRAIN], &s->commits[SPLIT_VALID], a, &all, 0.2);
    for (int k = 0; k < SPLITS; k++) {
        const JitSet *x = &s->commits[k];
        if (!x->positives || x->positives == x->n)
            return err_fail(E_MISMATCH, "%lld %s commits, %lld of them defective: expected both classes",
                            (long long)x->n, split_name((Split)k), (long long)x->positives);
    }
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
            l->change[k] = invent_changes(a, seed >> 12, n, which);
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
