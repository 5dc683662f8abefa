/* The learning rate as a function of the step alone: nothing to save, nothing to get out of step with. */
#include <math.h>

#include "train/train.h"

static double cosine(double done)
{
    return 0.5 * (1 + cos(3.14159265358979323846 * done));
}

double schedule_lr(const TrainConfig *c, int64_t step)
{
    if (step < c->warmup) return c->lr * (double)step / (double)c->warmup;
    if (c->schedule == SCHEDULE_CONSTANT) return c->lr;
    double done = (double)(step - c->warmup) / (double)(c->total > c->warmup ? c->total - c->warmup : 1);
    if (done >= 1) return 0;
    return c->lr * (c->schedule == SCHEDULE_LINEAR ? 1 - done : cosine(done));
}
