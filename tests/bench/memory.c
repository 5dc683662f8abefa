/* The memory of LoRA's steps on a model, and what BF16 changes in their losses.
 *
 *     make build/release/tests/bench/memory
 *     build/release/tests/bench/memory MODEL BATCH TOKENS STEPS [checkpoint] [bf16]
 *
 * Rank 8 on the default targets, random ids; a decoder is scored on every next token, an encoder on one id in seven.
 * Prints each step's loss and seconds, the bytes of the weights, and the largest resident memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/rng.h"
#include "num/bf16.h"
#include "peft/peft.h"
#include "train/train.h"

static Status train(Arena *run, const char *path, int64_t b, int64_t t, int64_t steps, bool checkpoint, bool bf16)
{
    Model *m;
    Trainer *tr;
    PeftConfig lora = {0};
    Hooks *hooks = hooks_new(run);
    Arena step = arena_open(0);
    TrainConfig how = train_defaults();
    bf16_use(bf16);
    TRY(model_load_as(&m, run, path, &(LoadOptions){.bf16 = bf16}));
    peft_find("lora")->defaults(&lora, &m->config);
    TRY(peft_attach(peft_find("lora"), m, hooks, &lora));
    how.total = steps, how.checkpoint = checkpoint;
    TRY(trainer_open(&tr, run, m, hooks, &how));
    int32_t *ids = NEW(run, int32_t, b * t), *target = NEW(run, int32_t, b * t);
    for (int64_t i = 0; i < b * t; i++) {
        ids[i] = (int32_t)(5 + rng_below(1, (uint64_t)i, (uint32_t)m->config.vocab - 5));
        if (m->encoder) target[i] = i % 7 ? -1 : ids[i];
        if (m->decoder && i) target[i - 1] = i % t ? ids[i] : -1;
    }
    target[b * t - 1] = m->decoder ? -1 : target[b * t - 1];
    const Batch x = {.b = b, .t = t, .ids = ids, .target = target};
    for (StepStats s; tr->step < steps;) {
        TRY(trainer_step(tr, &step, &x, &s));
        printf("step %lld: loss %.6f, %.1f s\n", (long long)s.step, s.loss, s.seconds);
    }
    printf("weights and adapter %.0f MB\n", (double)params_bytes(m->params) / 1e6);
    arena_close(&step);
    return OK;
}

static bool has(char **word, const char *what)
{
    while (*word && strcmp(*word, what)) word++;
    return *word;
}

int main(int n, char **word)
{
    if (n < 5) return fprintf(stderr, "usage: %s MODEL BATCH TOKENS STEPS [checkpoint] [bf16]\n", word[0]), 2;
    Arena run = arena_open(0);
    Status s =
        train(&run, word[1], atoi(word[2]), atoi(word[3]), atoi(word[4]), has(word, "checkpoint"), has(word, "bf16"));
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    if (s) fprintf(stderr, "%s\n", err_message());
    printf("peak %.0f MB\n", (double)use.ru_maxrss / 1e3);
    arena_close(&run);
    return s ? 1 : 0;
}
