// %% [markdown]
// # Your own experiment
//
// One run of a method shows that something can happen. An experiment shows how often, against which
// baseline, and whether the difference could be chance. This notebook is a small template: a claim
// that can fail, several seeds, a paired comparison, a verdict with its interval, and files that
// someone else can read.
//
// ## The claim, before the data
//
// **On the descending order, LoRA of rank 4 has a lower loss than LoRA of rank 1 after equally many
// steps.**
//
// Write down first what would count against it. Here: if the 95 % interval of the mean difference,
// over eight seeds, contains zero, the claim is *inconclusive*. If it lies on the other side of
// zero, the claim is *not supported*.
//
// How many seeds? A trial with seeds 1 to 5 left an interval from -0.05 to 0.59: too few. The
// experiment has eight, and they are new ones, 6 to 13. Seeds added to a trial until its interval
// is clear of zero would bend the result.
//
// Both methods see the same data in the same order under each seed. The comparison is *paired*: the
// difference is taken within a seed, so the luck of the draw cancels.
//
// First the model that all runs start from.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

static Status cell(Arena *run)
{
    Model *model;
    TRY(sort_open(&model, run, 1, 1));
    params_train(model->params, "*", true);
    TRY(sort_train(model, NULL, ASCENDING, 600, 3e-3, 1, (Tensor){0}));
    TRY(expect(sort_score(model, NULL, ASCENDING).exact > 0.9, "the base sorts"));
    return model_save(model, "run/experiment/base");
}

// %% [markdown]
// ## The runs
//
// Two methods and eight seeds are sixteen trainings. The results go to `results.csv`, one row a
// run, so that every number of the analysis can be traced. The seed decides the start of LoRA and
// the training data; the test data are the same for all.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "sorter.h"

enum { METHODS = 2, FIRST = 6, SEEDS = 8, STEPS = 400 };

static Status tune(double *loss, double *exact, const char *options, uint64_t seed)
{
    Arena run = arena_open(0);
    Model *model;
    TRY(model_load_as(&model, &run, "run/experiment/base",
                      &(LoadOptions){.dtype = F64, .seed = seed}));
    Hooks *hooks = hooks_new(&run);
    PeftConfig config = {0};
    peft_find("lora")->defaults(&config, &model->config);
    TRY(peft_set(&config, &run, options));
    TRY(peft_attach(peft_find("lora"), model, hooks, &config));
    TRY(sort_train(model, hooks, DESCENDING, STEPS, 1e-2, seed, (Tensor){0}));
    Evaluation score = sort_score(model, hooks, DESCENDING);
    *loss = score.loss, *exact = score.exact;
    arena_close(&run);
    return OK;
}

static Status cell(Arena *run)
{
    (void)run;
    static const char *const OPTIONS[METHODS] = {"rank=1,target=*", "rank=4,target=*"};
    Writer csv;
    TRY(writer_open(&csv, "run/experiment/results.csv"));
    writer_print(&csv, "rank,seed,loss,exact\n");
    for (int m = 0; m < METHODS; m++)
        for (uint64_t seed = FIRST; seed < FIRST + SEEDS; seed++) {
            double loss, exact;
            TRY(tune(&loss, &exact, OPTIONS[m], seed));
            writer_print(&csv, "%d,%d,%.10f,%.4f\n", m ? 4 : 1, (int)seed, loss, exact);
            printf("rank %d, seed %d: loss %.2f\n", m ? 4 : 1, (int)seed, loss);
        }
    return writer_close(&csv);
}

// %% [markdown]
// ## The analysis
//
// `stats_paired` is Student's paired t-test with the interval of the mean difference. The verdict
// follows the rule that was written down before. The last lines make a page for others,
// `run/experiment/report.html`, with the claim, the verdict, the figure and all runs.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

enum { SEEDS = 8 };

static Status read_losses(Arena *run, double loss[2][SEEDS])
{
    Bytes file;
    int n[2] = {0}, rank, seed;
    double value, exact;
    TRY(file_read(&file, run, "run/experiment/results.csv"));
    for (const char *line = strchr(file.text, '\n'); line && line[1];
         line = strchr(line + 1, '\n')) {
        if (sscanf(line + 1, "%d,%d,%lf,%lf", &rank, &seed, &value, &exact) != 4) continue;
        int m = rank == 4;
        if (n[m] < SEEDS) loss[m][n[m]++] = value;
    }
    return expect(n[0] == SEEDS && n[1] == SEEDS, "all runs are in results.csv");
}

static ReportVerdict judge(const Paired *t)
{
    if (t->ci95.lo > 0) return VERDICT_SUPPORTED; // the loss of rank 1 less that of rank 4
    return t->ci95.hi < 0 ? VERDICT_NOT_SUPPORTED : VERDICT_INCONCLUSIVE;
}

static Status draw(Arena *run, double loss[2][SEEDS])
{
    static const char *const NAME[] = {"rank 1", "rank 4"};
    Series point[2];
    for (int m = 0; m < 2; m++) {
        point[m] = (Series){.x = tensor_new(run, F64, SHAPE(SEEDS)),
                            .y = tensor_new(run, F64, SHAPE(SEEDS)),
                            .label = NAME[m]};
        for (int i = 0; i < SEEDS; i++)
            tensor_set(point[m].x, i, i + 6), tensor_set(point[m].y, i, loss[m][i]);
    }
    Fig *f = figure(run, "run/experiment/loss", 300, 170);
    fig_scatter(f, fig_whole(f), 2, point,
                (PlotStyle){.x = {.title = "seed", .lo = 5.5, .hi = SEEDS + 5.5, .whole = true},
                            .y = {.title = "test loss (nats per digit)", .lo = 0, .hi = 1}});
    return show(f, "run/experiment/loss", "Test loss of every run.");
}

static Status cell(Arena *run)
{
    static const char *const WORD[] = {"supported", "not supported", "inconclusive"};
    static const char CLAIM[] = "LoRA of rank 4 has a lower loss than LoRA of rank 1";
    double loss[2][SEEDS];
    TRY(read_losses(run, loss));
    Summary one = stats_summary(loss[0], SEEDS), four = stats_summary(loss[1], SEEDS);
    Paired t = stats_paired(loss[0], loss[1], SEEDS);
    ReportVerdict verdict = judge(&t);
    const char *sentence = str_print(
        run, "mean loss %.2f and %.2f over %d seeds; difference %.2f, 95 %% interval %.2f to %.2f",
        one.mean, four.mean, SEEDS, t.difference, t.ci95.lo, t.ci95.hi);
    printf("%s: %s.\n%s\n", CLAIM, WORD[verdict], sentence);
    TRY(expect(verdict == VERDICT_SUPPORTED, "the interval lies above zero"));
    TRY(draw(run, loss));

    Report *r =
        report_open("run/experiment/report.html", "Does the rank of LoRA matter for a sorter?");
    report_verdict(r, verdict, CLAIM, sentence);
    report_figure(r, "run/experiment/loss.svg", "Test loss of every run.");
    const char *cells[SEEDS * 3];
    for (int i = 0; i < SEEDS; i++) {
        cells[3 * i] = str_print(run, "%d", i + 6);
        for (int m = 0; m < 2; m++) cells[3 * i + 1 + m] = str_print(run, "%.3f", loss[m][i]);
    }
    report_table(r, "All runs", 3,
                 (const char *const[]){"seed", "loss of rank 1", "loss of rank 4"}, SEEDS, cells);
    return report_close(r);
}

// %% [markdown]
// Two cautions. The learning rate is the same for both ranks, and a rate chosen for each might tell
// another story: that is the next experiment. And eight seeds of one small model speak for this
// model.
//
// In the program an experiment is one file that registers a claim, settings and a function, like
// those in `toy/`. It then has presets, seeds in parallel, a manifest, `--resume` and a place in
// the report: see `CONTRIBUTING.md`.
//
// ## Exercise
//
// 1. Compare rank 4 with rank 8. Is the claim supported, not supported or inconclusive? Would ten
//    seeds help?
// 2. Replace the difference of losses by that of `exact`, the share of sequences without a mistake,
//    which is in the file, too.
// 3. State a claim of your own about a method of [notebook 9](09-your-method.ipynb), with the rule
//    for its verdict, and test it.
