/* Training in the laboratory beyond the plain loop: repeated examples, watched values, stopping, held-out loss. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "run/run.h"
#include "lab/lab.h"

static const LabModel TINY = {.tasks = "asc",
                              .layers = 1,
                              .heads = 2,
                              .dim = 16,
                              .layout = {.slots = 1},
                              .lr = 3e-3,
                              .steps = 4,
                              .batch = 8,
                              .test = 20};

static LabArm full(const char *name, int64_t steps)
{
    LabArm arm = lab_arm("full");
    arm.name = name, arm.lr = 1e-2, arm.steps = steps, arm.dropout = false;
    return arm;
}

static Status train(Run *r, const LabArm *arm, LabResult *out, LabHeld *held)
{
    Arena run = arena_open(1 << 26);
    Model *m;
    Hooks *hooks = hooks_new(&run);
    const DigitMix asc = {{digit_task("asc")}, 1};
    *out = (LabResult){0};
    TRY(lab_open(&m, &run, r, &TINY, 1));
    TRY(lab_tune(r, &run, m, hooks, &TINY, arm, NULL, 1, out));
    if (held) lab_held(held, m, hooks, &TINY, &asc, 30, 5);
    arena_close(&run);
    return OK;
}

static double ten(Model *m, const Hooks *hooks, const LabModel *l, const DigitMix *target)
{
    (void)m, (void)hooks, (void)l, (void)target;
    static double seen;
    return ++seen;
}

/* Two examples are learned by heart and nothing else is; without repeats the training loss estimates the held-out
 * loss. */
static Status repeats(Run *r)
{
    LabArm few = full("few", 150), many = full("many", 150), odd = full("odd", 2);
    few.examples = 2, odd.examples = 12;
    LabResult a, b;
    LabHeld held, fresh;
    TRY(train(r, &few, &a, &held));
    TRY(train(r, &many, &b, &fresh));
    EXPECT(a.last < 0.2 && held.loss > 1, "two examples: loss %.3f on them, %.3f on others", a.last, held.loss);
    EXPECT(fabs(b.last - fresh.loss) < 0.3, "no repeats: loss %.3f, held out %.3f", b.last, fresh.loss);
    assert_int_equal(train(r, &odd, &a, NULL), E_CONFIG); /* neither below a batch of 8 nor a multiple */
    err_clear();
    return OK;
}

/* The watched value is kept at every point, and training ends at the first that is enough. */
static Status watches(Run *r)
{
    LabArm arm = full("watched", 30);
    LabResult x;
    arm.watch = ten, arm.until = 10;
    TRY(train(r, &arm, &x, NULL));
    assert_int_equal(x.points, 10);
    for (int p = 0; p < x.points; p++) EXPECT((int)x.watched[p] == p + 1, "point %d: %g", p, (double)x.watched[p]);
    EXPECT((int)x.step[9] == 10, "stopped at step %g", (double)x.step[9]);
    return OK;
}

/* Against the model's own loss on the same batch, and against its parts. */
static Status holds_out(Run *r)
{
    Arena run = arena_open(1 << 26), step = arena_open(1 << 26);
    Model *m;
    const DigitMix asc = {{digit_task("asc")}, 1};
    LabHeld held;
    TRY(lab_open(&m, &run, r, &TINY, 1));
    lab_held(&held, m, NULL, &TINY, &asc, 30, 5);
    Batch b = digits_batch(&step, &asc, TINY.layout, 30, 5, 0, true);
    double loss = tape_scalar(model_loss(m, &(Pass){.tape = tape_open(&step, false)}, &b)), sum = 0, right = 0;
    for (int i = 0; i < LENGTH; i++) sum += held.place_loss[i] / LENGTH, right += held.place_token[i] / LENGTH;
    EXPECT(fabs(held.loss - loss) < 1e-5 && fabs(sum - loss) < 1e-5, "%.6f, by place %.6f, expected %.6f", held.loss,
           sum, loss);
    EXPECT(fabs(right - held.token) < 1e-9 && right >= 0 && right <= 1, "%.6f right, by place %.6f", held.token,
           right);
    arena_close(&step), arena_close(&run);
    return OK;
}

static Status run(Run *r)
{
    TRY(lab_pretrain(r, &TINY, 1));
    TRY(repeats(r));
    TRY(watches(r));
    TRY(holds_out(r));
    run_verdict(r, SUPPORTED, "all parts ran");
    return OK;
}
static const Experiment LABORATORY = {.group = "test", .name = "lab", .run = run};

static void laboratory(void **state)
{
    (void)state;
    char dir[] = "/tmp/vernier-lab-XXXXXX";
    assert_non_null(mkdtemp(dir));
    Run *r;
    Request q = {.experiment = &LABORATORY, .preset = SMOKE, .seeds = 1, .seed = 1, .dir = dir, .quiet = true};
    assert_int_equal(run_open(&r, &q), OK);
    Status status = run_go(r);
    EXPECT(status == OK, "%s", err_message());
    run_close(r);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

SUITE(cmocka_unit_test(laboratory))
