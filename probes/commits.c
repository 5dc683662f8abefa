/* Commits from files, or from the generator with a history that gives them features. */
#include "probes/commits.h"

#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "change/history.h"
#include "change/javagen_change.h"

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

CodeChange *commits_invent(Arena *a, uint64_t seed, int64_t n, int difficulty)
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
Status commits_open(JitSet set[SPLITS], Arena *a, Run *r, const char *dir)
{
    JitSet all;
    if (dir) {
        const char *train = str_print(a, "%s/jit/valid.jsonl", dir), *test = str_print(a, "%s/jit/test.jsonl", dir);
        TRY(run_input(r, train));
        TRY(run_input(r, test));
        TRY(jit_read(&all, a, train));
        TRY(jit_labelled(&all, train));
        TRY(jit_read(&set[SPLIT_TEST], a, test));
        TRY(jit_labelled(&set[SPLIT_TEST], test));
    } else {
        int64_t n = run_int(r, "commits"), seen = n * 3 / 5;
        uint64_t seed = (uint64_t)run_int(r, "data-seed");
        CodeChange *c = commits_invent(a, seed, n, 1);
        invent_features(c, n, seed);
        all = (JitSet){.n = seen, .change = c};
        set[SPLIT_TEST] = (JitSet){.n = n - seen, .change = c + seen};
        jit_count(&all);
        jit_count(&set[SPLIT_TEST]);
    }
    jit_cut(&set[SPLIT_TRAIN], &set[SPLIT_VALID], a, &all, 0.2);
    for (int k = 0; k < SPLITS; k++) {
        const JitSet *x = &set[k];
        if (!x->positives || x->positives == x->n)
            return err_fail(E_MISMATCH, "%lld %s commits, %lld of them defective: expected both classes",
                            (long long)x->n, split_name((Split)k), (long long)x->positives);
    }
    return OK;
}
