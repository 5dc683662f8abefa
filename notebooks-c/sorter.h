/* The task of several notebooks: a decoder reads eight digits, and writes them in ascending or in descending order.
 *
 *     3 1 4 1 5 7 2 6 | 1 1 2 3 4 5 6 7        position 7 predicts the first output, and each output the next
 *
 * Data are made on the fly, so examples repeat by chance only.  Models are small GPT-2s in F64, whose
 * results are the same on every processor, up to the last printed digits. */
#include "notebook.h"

enum { SORT_DIGITS = 8, SORT_N = 8, SORT_T = 2 * SORT_N - 1 };
typedef enum { ASCENDING, DESCENDING } Order;

static inline Status sort_open(Model **model, Arena *run, int layers, uint64_t seed)
{
    Config config = {0};
    arch_find("gpt2")->defaults(&config);
    config.vocab = SORT_DIGITS, config.positions = SORT_T, config.dim = 32, config.heads = 1;
    config.layers = layers, config.tie_head = false;
    config.dropout = config.attn_dropout = 0;
    return model_open(model, run, &config, F64, seed);
}

/* Examples first .. first+b-1 of a stream.  Only the outputs are scored. */
static inline Batch sort_batch(Arena *step, Order order, int64_t b, uint64_t stream, uint64_t first)
{
    int32_t *ids = NEW(step, int32_t, b * SORT_T), *keep = NEW(step, int32_t, b * SORT_N);
    int32_t *target = NEW(step, int32_t, b * SORT_N);
    for (int64_t i = 0; i < b; i++) {
        int count[SORT_DIGITS] = {0}, n = 0;
        for (int k = 0; k < SORT_N; k++) {
            uint64_t index = (first + (uint64_t)i) * SORT_N + (uint64_t)k;
            ids[i * SORT_T + k] = (int32_t)rng_below(stream, index, SORT_DIGITS);
            count[ids[i * SORT_T + k]]++;
        }
        for (int k = 0; k < SORT_DIGITS; k++) {
            int digit = order == ASCENDING ? k : SORT_DIGITS - 1 - k;
            for (int c = 0; c < count[digit]; c++) target[i * SORT_N + n++] = digit;
        }
        for (int k = 0; k < SORT_N; k++) {
            keep[i * SORT_N + k] = SORT_N - 1 + k;
            if (k) ids[i * SORT_T + SORT_N - 1 + k] = target[i * SORT_N + k - 1];
        }
    }
    return (Batch){.b = b, .t = SORT_T, .k = SORT_N, .ids = ids, .keep = keep, .target = target};
}

/* Trains the trainable parameters.  `loss`, when it has data, receives the mean loss of each of its parts. */
static inline Status sort_train(Model *model, const Hooks *hooks, Order order, int64_t steps,
                                double lr, uint64_t seed, Tensor loss)
{
    Arena run = arena_open(0), step = arena_open(0);
    TrainConfig config = train_defaults();
    config.lr = lr, config.total = steps, config.warmup = steps / 20,
    config.schedule = SCHEDULE_LINEAR;
    Trainer *trainer;
    TRY(trainer_open(&trainer, &run, model, hooks, &config));
    int64_t parts = loss.data ? tensor_count(loss) : 1;
    if (loss.data) tensor_fill(loss, 0);
    while (trainer->step < steps) {
        ArenaMark mark = arena_mark(&step);
        StepStats stats;
        enum { ROWS = 32 };
        Batch batch = sort_batch(&step, order, ROWS, rng_stream(seed, "train"),
                                 (uint64_t)trainer->step * ROWS);
        TRY(trainer_step(trainer, &step, &batch, &stats));
        int64_t part = stats.step * parts / steps;
        if (loss.data)
            tensor_set(loss, part,
                       tensor_get(loss, part) + stats.loss * (double)parts / (double)steps);
        arena_drop(&step, mark);
    }
    arena_close(&step);
    arena_close(&run);
    return OK;
}

/* On 500 examples of another stream.  `exact` is the share of sequences without a wrong digit: given the right digits
 * before, which is the same as when the model writes alone. */
static inline Evaluation sort_score(Model *model, const Hooks *hooks, Order order)
{
    Arena step = arena_open(0);
    Evaluation sum = {0};
    Batch batch = sort_batch(&step, order, 500, rng_stream(1, "test"), 0);
    evaluate_batch(model, hooks, &step, &batch, NULL, &sum);
    evaluation_end(&sum);
    arena_close(&step);
    return sum;
}
