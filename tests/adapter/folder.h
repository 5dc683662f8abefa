/* Adapter directories made by hand: tensors are added, the config is written beside them, and the whole is
 * attached. */
#ifndef TESTS_ADAPTER_FOLDER_H
#define TESTS_ADAPTER_FOLDER_H

#include "peft/tiny.h"

#include <stdlib.h>
#include <unistd.h>

#include "adapter/adapter.h"
#include "base/file.h"
#include "io/safetensors.h"

typedef struct {
    Arena *run;
    char *dir;
    Named at[128];
    int n;
} Dir;

static inline Dir dir_new(Arena *run)
{
    Dir d = {.run = run, .dir = str_print(run, "/tmp/vernier-saved-XXXXXX")};
    assert_non_null(mkdtemp(d.dir));
    return d;
}

static inline void dir_put(Dir *d, const char *name, Tensor t)
{
    d->at[d->n++] = (Named){str_print(d->run, "base_model.model.%s", name), t};
}

static inline Tensor dir_noise(Dir *d, const char *name, int64_t rows, int64_t cols)
{
    Tensor t = noise(d->run, F32, rng_stream(3, name), 2, (const int64_t[]){rows, cols});
    dir_put(d, name, t);
    return t;
}

static inline void dir_lora(Dir *d, const char *map, int64_t rank, int64_t in, int64_t out)
{
    dir_noise(d, str_print(d->run, "%s.lora_A.weight", map), rank, in);
    dir_noise(d, str_print(d->run, "%s.lora_B.weight", map), out, rank);
}

static inline void dir_write(const Dir *d, const char *config)
{
    EXPECT(safetensors_write(str_print(d->run, "%s/adapter_model.safetensors", d->dir), d->at, d->n, NULL, 0) == OK,
           "%s", err_message());
    EXPECT(file_write(str_print(d->run, "%s/adapter_config.json", d->dir), config, strlen(config)) == OK, "%s",
           err_message());
}

static inline void dir_remove(const Dir *d)
{
    static const char *const FILES[] = {"adapter_model.safetensors", "adapter_config.json", "model.safetensors",
                                        "config.json"};
    for (int i = 0; i < 4; i++) unlink(str_print(d->run, "%s/%s", d->dir, FILES[i]));
    rmdir(d->dir);
}

static inline Status dir_attach(Adapter **a, const Dir *d, Model *m, Hooks *hooks)
{
    TRY(adapter_open(a, d->run, d->dir));
    Status s = adapter_attach(*a, m, hooks);
    if (s) adapter_close(*a);
    return s;
}

static inline void expect_refused(const Dir *d, Model *m, const char *word)
{
    Adapter *a;
    Status s = dir_attach(&a, d, m, hooks_new(d->run));
    EXPECT(s == E_MISMATCH && strstr(err_message(), word), "%d instead of a refusal with '%s': %s", (int)s, word,
           err_message());
    err_clear();
}

#endif
