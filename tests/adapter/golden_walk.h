/* Every adapter directory of the golden files, whatever its families and sizes: peft/LIBRARY/FAMILY/CASE. */
#ifndef TESTS_PEFT_GOLDEN_WALK_H
#define TESTS_PEFT_GOLDEN_WALK_H

#include "nn/golden.h"

#include <dirent.h>

#include "adapter/adapter.h"

enum { WALK_MOST = 512 };

static inline int walk_order(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static inline int walk_entries(Arena *a, const char *dir, const char **out, int most)
{
    DIR *d = opendir(dir);
    int n = 0;
    for (const struct dirent *e; d && (e = readdir(d)) && n < most;)
        if (e->d_name[0] != '.' && !strchr(e->d_name, '.')) out[n++] = str_print(a, "%s", e->d_name);
    if (d) closedir(d);
    qsort(out, (size_t)n, sizeof *out, walk_order);
    return n;
}

/* One test for each; none where the files are not at hand. */
static inline int walk(Arena *a, struct CMUnitTest *tests, CMUnitTestFunction run)
{
    static const char *const LIBRARY[] = {"hf-peft", "adapters-lib"};
    const char *root = golden_root(a);
    int n = 0;
    for (int l = 0; l < 2; l++) {
        const char *family[64], *name[64];
        int families = walk_entries(a, str_print(a, "%s/peft/%s", root, LIBRARY[l]), family, 64);
        for (int f = 0; f < families; f++) {
            int cases = walk_entries(a, str_print(a, "%s/peft/%s/%s", root, LIBRARY[l], family[f]), name, 64);
            for (int i = 0; i < cases && n < WALK_MOST; i++) {
                char *path = str_print(a, "../peft/%s/%s/%s", LIBRARY[l], family[f], name[i]);
                tests[n++] = (struct CMUnitTest){path + 8, run, NULL, NULL, path};
            }
        }
    }
    return n;
}

/* The model that the adapter was trained on, and the adapter on it. */
typedef struct {
    Golden g;
    Model *m;
    Hooks *hooks;
    Adapter *a;
} Walked;

static inline void walk_open(Walked *w, const char *path)
{
    EXPECT(golden_open(&w->g, path), "%s has no golden.json", path);
    Arena *run = &w->g.run;
    const cJSON *base = cJSON_GetObjectItem(cJSON_GetObjectItem(w->g.root, "meta"), "base");
    EXPECT(adapter_open(&w->a, run, w->g.dir) == OK, "%s", err_message());
    Status s = model_load_as(&w->m, run, str_print(run, "%s/../../../../%s", w->g.dir, base->valuestring),
                             &(LoadOptions){.classes = adapter_classes(w->a)});
    EXPECT(s == OK, "%s", err_message());
    w->hooks = hooks_new(run);
    EXPECT(adapter_attach(w->a, w->m, w->hooks) == OK, "%s", err_message());
}

static inline void walk_close(Walked *w)
{
    adapter_close(w->a);
    golden_close(&w->g);
}

#endif
