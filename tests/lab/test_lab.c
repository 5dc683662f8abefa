/* The toy laboratory: late scores, the results of pretraining, and a training that resumes from its checkpoint. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/sha256.h"
#include "base/str.h"
#include "run/run.h"
#include "lab/lab.h"
#include "scratch.h"

static Status nothing(Run *r)
{
    run_verdict(r, SUPPORTED, "-");
    return OK;
}
static const Experiment TRIAL = {.group = "test",
                                 .name = "trial",
                                 .title = "-",
                                 .claim = "-",
                                 .method = "-",
                                 .expect = "-",
                                 .cost = "-",
                                 .source = "-",
                                 .seeds = {1, 2, 1},
                                 .run = nothing};
REGISTER(experiment, TRIAL)

/* A run that ended early is resumed. */
static Run *open_run(Preset preset)
{
    Run *r;
    Request q = {.experiment = &TRIAL, .preset = preset, .seed = 1, .dir = dir, .quiet = true};
    assert_int_equal(run_open(&r, &q), OK);
    return r;
}

static LabModel tiny(int64_t steps)
{
    LabModel l = lab_sorter(SMOKE);
    l.dim = 8, l.batch = 1, l.steps = steps, l.test = 60;
    return l;
}

/* One arm from the kept model on. */
static void tune(LabResult *out, Run *r, const LabModel *l, const LabArm *arm, const DigitMix *mix)
{
    Arena run = arena_open(0);
    Model *m;
    memset(out, 0, sizeof *out);
    assert_int_equal(lab_open(&m, &run, r, l, 1), OK);
    assert_int_equal(lab_tune(r, &run, m, hooks_new(&run), l, arm, mix, 1, out), OK);
    arena_close(&run);
}

/* The score at 100 % of the steps is the score after training, the one before is of another model. */
static void late_scores(void **state)
{
    (void)state;
    Run *r = open_run(SMOKE);
    LabModel l = tiny(50);
    l.batch = 32, l.lr = 1e-2;
    DigitMix mix;
    assert_int_equal(digits_mix(&mix, "max,mode"), OK);
    l.tasks = "mode";
    LabResult learned, out;
    assert_int_equal(lab_pretrain_watched(r, &l, 1, &mix, &learned), OK);
    LabArm arm = lab_arm("none");
    tune(&out, r, &l, &arm, &mix);
    assert_true(learned.points > 0 && learned.params > 0);
    for (int k = 0; k < 2; k++)
        EXPECT(learned.late[LAB_LATE - 1][k] == out.score[k].exact, "task %d: late %g, after training %g", k,
               learned.late[LAB_LATE - 1][k], out.score[k].exact);

    arm = lab_arm("full");
    arm.target = "max", arm.steps = 100, arm.lr = 2e-2, arm.late = &mix;
    tune(&out, r, &l, &arm, &mix);
    double sum = 0;
    for (int i = 0; i < LAB_LATE; i++) sum += 20 * out.late[i][0];
    EXPECT(fabs(lab_late(&out, 0) - sum) < 1e-12, "the mean of %d late scores is %g, said to be %g", LAB_LATE, sum,
           lab_late(&out, 0));
    assert_true(out.late[LAB_LATE - 1][0] == out.score[0].exact);
    arm.late = NULL, arm.name = "unwatched";
    tune(&out, r, &l, &arm, &mix);
    assert_true(lab_late(&out, 0) == 0);
    run_close(r);
}

/* A run resumed from its checkpoint ends in the bytes of the unbroken one, late scores before the checkpoint
 * included.  A changed value in the checkpoint's curve shows that it was read. */
static void resumed(void **state)
{
    (void)state;
    Run *r = open_run(SMOKE);
    LabModel l = tiny(20);
    DigitMix mix;
    assert_int_equal(digits_mix(&mix, "asc"), OK);
    assert_int_equal(lab_pretrain(r, &l, 1), OK);
    LabArm arm = lab_arm("full");
    arm.target = "copy", arm.steps = 4400,
    arm.late = &mix; /* checkpoints after 1012, ..., 4048 = 92 % of the steps */
    LabResult whole, again;
    tune(&whole, r, &l, &arm, &mix);

    const char *curve = run_path(r, "checkpoints/full-seed1.safetensors.curve");
    Bytes b;
    assert_int_equal(file_read(&b, run_arena(r), curve), OK);
    struct {
        LabResult so_far;
        Sha256Hex hash;
    } changed;
    assert_int_equal(b.len, sizeof changed);
    memcpy(&changed, b.text, sizeof changed);
    assert_true(changed.so_far.late[0][0] == whole.late[0][0]);
    changed.so_far.loss[0] = 123;
    changed.so_far.late[0][0] = 0.75;
    Sha256 sum = sha256_begin();
    sha256_add(&sum, &changed.so_far, sizeof changed.so_far);
    changed.hash = sha256_end(&sum);
    assert_int_equal(file_write(curve, &changed, sizeof changed), OK);
    run_close(r);

    r = open_run(SMOKE);
    tune(&again, r, &l, &arm, &mix);
    assert_true(again.loss[0] == 123 && again.late[0][0] == 0.75);
    again.loss[0] = whole.loss[0], again.late[0][0] = whole.late[0][0];
    assert_memory_equal(&again, &whole, sizeof again);
    run_close(r);
}

SUITE(cmocka_unit_test_setup_teardown(late_scores, begin, end), cmocka_unit_test_setup_teardown(resumed, begin, end))
