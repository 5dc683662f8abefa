/* The random label of a key is a function of the key's hash and the stream, so that no table of keys is kept. */
#include "probe/controls.h"

#include <string.h>

#include "base/rng.h"
#include "base/table.h"

static uint64_t hash(Bytes key) /* FNV-1a */
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.len; i++) h = (h ^ (unsigned char)key.text[i]) * 0x100000001b3u;
    return h;
}

void control_labels(int32_t *label, const Dataset *d, const Bytes *key, uint64_t stream)
{
    for (int64_t i = 0; i < d->n; i++) {
        const Example *e = &d->example[i];
        Bytes k = key ? key[i] : (Bytes){(char *)(uintptr_t)e->text, e->len};
        int64_t left = rng_below(stream, hash(k), d->size[SPLIT_TRAIN]); /* a training example: its label's share */
        for (label[i] = 0; left >= d->count[SPLIT_TRAIN][label[i]]; label[i]++)
            left -= d->count[SPLIT_TRAIN][label[i]];
    }
}

static Bytes key_of(const Example *e, const char *mark)
{
    static const char BLANK[] = " \t\r\n";
    const char *start = e->text, *at = strstr(e->text, mark);
    while (at && at > start && at[-1] != '\n') at--;
    if (at) start = at;
    start += strspn(start, BLANK);
    return (Bytes){(char *)(uintptr_t)start, strcspn(start, BLANK)};
}

double control_keys(Bytes *key, const Dataset *d, const char *mark)
{
    int64_t seen = 0;
    for (int64_t i = 0; i < d->n; i++) key[i] = key_of(&d->example[i], mark);
    for (int64_t i = 0; i < d->n; i++) {
        bool found = false;
        if (d->example[i].split != SPLIT_TEST) continue;
        for (int64_t k = 0; k < d->n && !found; k++)
            found = d->example[k].split == SPLIT_TRAIN && key[k].len == key[i].len &&
                    !memcmp(key[k].text, key[i].text, key[i].len);
        seen += found;
    }
    return d->size[SPLIT_TEST] ? (double)seen / (double)d->size[SPLIT_TEST] : 0;
}

/* The accuracy on the task minus the mean accuracy on random labels, in each split. */
Status control_selectivity(Selectivity *out, const Classifier *c, Tensor x, const Dataset *d, const int32_t *label,
                           const Bytes *key, const ProbeConfig *how, int draws, uint64_t stream)
{
    Arena scratch = arena_open(0);
    Selectivity s = {.draws = draws};
    int32_t *random = NEW(&scratch, int32_t, d->n);
    ProbeResult r;
    Status status = c->fit(&r, &scratch, x, d, label, how);
    for (int k = 0; k < SPLITS && !status; k++) s.accuracy[k] = r.accuracy[k];
    for (int i = 0; i < draws && !status; i++) {
        ArenaMark mark = arena_mark(&scratch);
        control_labels(random, d, key, rng_mix(stream, (uint64_t)i));
        status = c->fit(&r, &scratch, x, d, random, how);
        for (int k = 0; k < SPLITS && !status; k++) s.control[k] += r.accuracy[k] / draws;
        arena_drop(&scratch, mark);
    }
    for (int k = 0; k < SPLITS; k++) s.selectivity[k] = s.accuracy[k] - s.control[k];
    arena_close(&scratch);
    if (!status) *out = s;
    return status;
}
