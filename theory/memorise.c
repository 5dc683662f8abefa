#include "theory/memorise.h"

#include <math.h>

#include "base/rng.h"
#include "peft/peft.h"
#include "train/train.h"

enum { BAG = 6, VOCAB = 32, LABELS = 8, WIDTH = MEMORISE_WIDTH };

static Status open_model(Model **m, Arena *run, int layers, uint64_t seed)
{
    Config c = {0};
    arch_find("gpt2")->defaults(&c);
    c.vocab = VOCAB, c.positions = BAG + 1 + 256, c.dim = WIDTH, c.heads = 2, c.layers = layers, c.hidden = 4 * WIDTH;
    c.tie_head = false, c.dropout = c.attn_dropout = 0, c.init_sd = 0.25;
    TRY(model_open(m, run, &c, F32, seed));
    tensor_fill(param_find((*m)->params, "wpe.weight")->val, 0); /* a prompt then moves no content */
    return OK;
}

/* n bags of random tokens, one last token for all, random labels; *chance: the share of the most frequent label. */
static Batch make_bags(Arena *a, int64_t n, uint64_t seed, double *chance)
{
    const int64_t t = BAG + 1;
    int32_t *ids = NEW(a, int32_t, n * t), *keep = NEW(a, int32_t, n), *target = NEW(a, int32_t, n);
    uint64_t stream = rng_stream(seed, "bags");
    int count[LABELS] = {0}, most = 0;
    for (int64_t i = 0; i < n * t; i++)
        ids[i] = i % t == BAG ? 0 : 1 + (int32_t)rng_below(stream, (uint64_t)i, VOCAB - 1);
    for (int64_t i = 0; i < n; i++) {
        keep[i] = BAG;
        target[i] = (int32_t)rng_below(rng_mix(stream, 1), (uint64_t)i, LABELS);
        if (++count[target[i]] > most) most = count[target[i]];
    }
    *chance = (double)most / (double)n;
    return (Batch){.b = n, .t = t, .k = 1, .ids = ids, .keep = keep, .target = target};
}

static double memorised(Arena *a, Model *m, const Hooks *hooks, const Batch *b)
{
    int64_t good = 0;
    Var *logits = model_logits(m, &(Pass){.tape = tape_open(a, false), .hooks = hooks}, b);
    for (int64_t i = 0; i < b->b; i++) good += tensor_argmax(tensor_at(logits->val, i)) == b->target[i];
    return (double)good / (double)b->b;
}

Status memorise(Memory *out, Run *r, int layers, bool lora, int size, uint64_t seed)
{
    double lr[RUN_LIST];
    int rates = run_list(r, "memory-lr", lr);
    *out = (Memory){0};
    for (int i = 0; i < rates; i++) {
        Arena run = arena_open(0), step = arena_open(0);
        Model *m;
        Trainer *tr;
        TRY(open_model(&m, &run, layers, seed));
        Hooks *hooks = hooks_new(&run);
        const Peft *method = peft_find(lora ? "lora" : "prompt");
        PeftConfig c = {0};
        method->defaults(&c, &m->config);
        if (lora)
            c.rank = size, c.alpha = size, c.target = "*c_attn.*|*c_proj|*c_fc";
        else
            c.length = size, c.init_sd = 0.25;
        TRY(peft_attach(method, m, hooks, &c));
        out->numbers = method->count(m, &c);
        TrainConfig plan = train_defaults();
        plan.lr = lr[i], plan.total = run_int(r, "memory-steps"), plan.schedule = SCHEDULE_COSINE;
        TRY(trainer_open(&tr, &run, m, hooks, &plan));
        Batch b = make_bags(&run, run_int(r, "pairs"), seed, &out->chance);
        while (tr->step < plan.total) {
            if (run_stopped()) return run_interrupted();
            TRY(trainer_step(tr, &step, &b, NULL));
        }
        out->fraction = fmax(out->fraction, memorised(&step, m, hooks, &b));
        arena_close(&step), arena_close(&run);
    }
    return OK;
}
