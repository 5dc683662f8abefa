/* probes/study: the effects of full fine-tuning, LoRA, adapters and prefixes on a model of code changes.
 *
 * Claim    Parameter-efficient tuning is as good as full fine-tuning at finding defects and at writing commit
 *          messages, better with few examples, and preserves more information for probes in the layers.
 * Method   probes/study.h: every method on JIT-DP and CMG from one base, then probes of every layer, with baselines.
 * Expect   On JIT-DP (AUC) and CMG (B-Norm) no method below full fine-tuning; with few examples and across projects
 *          and languages above it; probing accuracy above it, and above the rules.
 * Cost     seconds; a minute; days (estimated, not run); real: under two hours on two cores.
 * Source   Liu et al., SANER 2024, tables VI and VII, findings 1, 2 and 4. */
#include "probes/study.h"

#include <math.h>
#include <string.h>

#include "base/str.h"

/* ---- settings ---- */

static const Experiment STUDY;

/* The setting that holds a method's learning rate: that of its name or alias, else of all others. */
static const char *rate_setting(Arena *a, const Peft *method)
{
    for (int i = 0; i < 2; i++) {
        const char *name = i ? method->alias : method->name;
        const char *key = name ? str_print(a, "lr-%s", name) : "";
        for (const Setting *x = STUDY.settings; x->key; x++)
            if (!strcmp(x->key, key)) return key;
    }
    return "lr-other";
}

/* The size of a method, in the words of the field that its size grows with. */
static const char *size_of(Arena *a, const Run *r, const Peft *method)
{
    PeftConfig c = {0};
    method->defaults(&c, &(Config){0});
    const int *knob = method->knob ? method->knob(&c) : NULL;
    if (knob == &c.rank && c.alpha != 0)
        return str_print(a, "rank=%lld,alpha=%lld", (long long)run_int(r, "rank"), (long long)run_int(r, "alpha"));
    if (knob == &c.width) return str_print(a, "width=%lld", (long long)run_int(r, "width"));
    if (knob == &c.length) return str_print(a, "length=%lld", (long long)run_int(r, "virtual"));
    return "";
}

/* "lora", or "lora+2|3": with these layers trained whole (peft/blocks.h). */
static Status add_method(Study *s, Run *r, const char *name)
{
    size_t n = strcspn(name, "+");
    const char *own = str_copy(run_arena(r), name, n);
    const Peft *peft = peft_find(own);
    if (!peft) return err_fail(E_CONFIG, "--methods: unknown method '%s'; `vernier list` shows the methods", name);
    if (s->methods == MOST_METHODS) return err_fail(E_CONFIG, "--methods: at most %d", MOST_METHODS);
    if (strcmp(own, peft->name) != 0)
        run_note(r, "`%s` is the method %s: %s (%s).", own, peft->name, peft->summary, peft->source);
    const char *options = size_of(&s->arena, r, peft);
    if (name[n]) options = str_print(&s->arena, "%s%sblocks=%s", options, *options ? "," : "", name + n + 1);
    s->method[s->methods++] =
        (StudyMethod){.name = name, .peft = peft, .options = options, .rate = rate_setting(&s->arena, peft)};
    return OK;
}

static Status what_was_asked(Study *s, Run *r)
{
    const char *list = run_text(r, "methods");
    if (run_preset(r) == REAL_DATA && !*run_text(r, "data"))
        return err_fail(E_CONFIG, "--preset real reads real changes: --data DIR with jit/, cmg/mined/ and probing/");
    size_t n;
    for (const char *rest = list, *p; str_next(&rest, ",", &p, &n);)
        if (n) TRY(add_method(s, r, str_copy(run_arena(r), p, n)));
    for (int h = 0; h < JIT_HEADS; h++)
        if (run_has(r, "heads", JIT_HEAD[h])) s->head[s->heads++] = (JitHead)h;
    s->seeds = run_seeds(r);
    return s->methods ? OK : err_fail(E_CONFIG, "--methods: none");
}

/* ---- jobs ---- */

typedef struct {
    StudyJob *job;
    int n;
} Jobs;

static void add(Jobs *j, StudyJob job)
{
    j->job[j->n++] = job;
}

/* Rates are chosen with the first seed, head and language, and on a part of the examples. */
static void rate_jobs(Jobs *j, const Study *s, const Run *r, const double *scale, int scales)
{
    for (int b = 0; b < s->bases; b++)
        for (StudyTask t = STUDY_JIT; t <= STUDY_CMG; t++)
            for (int m = 0; m < s->methods && (t == STUDY_JIT || s->base[b].writes); m++)
                for (int k = 0; k < scales; k++)
                    add(j, (StudyJob){.task = t,
                                      .base = b,
                                      .method = m,
                                      .head = s->head[s->heads - 1],
                                      .size = run_int(r, "rate-size"),
                                      .scale = scale[k],
                                      .rate_only = true});
}

/* Chooses the factor of each method's learning rate by the score on validation. */
static void choose_rates(Study *s, Run *r, const Jobs *j, const StudyOutcome *out, const double *scale, int scales)
{
    Buf chosen = buf_open(run_arena(r));
    for (int i = 0; i < j->n; i += scales) {
        const StudyJob *job = &j->job[i];
        int best = 0;
        for (int k = 1; k < scales; k++)
            if (out[i + k].valid > out[i + best].valid) best = k;
        s->scale[job->base][job->task][job->method] = scale[best];
        buf_print(&chosen, "%s%s %s x %g", chosen.len ? ", " : "", job->task == STUDY_JIT ? "JIT-DP" : "CMG",
                  s->method[job->method].name, scale[best]);
    }
    if (scales > 1)
        run_note(
            r,
            "Learning rates: those of the settings times the best factor on validation (first seed, %lld examples): "
            "%s.",
            (long long)run_int(r, "rate-size"), chosen.text);
}

static Status rates(Study *s, Run *r)
{
    double scale[RUN_LIST];
    int scales = run_list(r, "rates", scale);
    Jobs j = {NEW(&s->arena, StudyJob, MOST_BASES * 2 * MOST_METHODS * RUN_LIST), 0};
    rate_jobs(&j, s, r, scale, scales);
    StudyOutcome *out = NEW(&s->arena, StudyOutcome, j.n);
    StudyJobs all = {s, j.job};
    if (scales > 1) TRY(run_parallel(r, j.n, sizeof *out, study_job, &all, out));
    choose_rates(s, r, &j, out, scale, scales);
    return OK;
}

static double chosen(const Study *s, const StudyJob *j)
{
    return s->scale[j->base][j->task][j->method];
}

/* All jobs of one seed and method; the low-resource and the cross-project jobs are those of the last head and the
 * first language. */
static void method_jobs(Jobs *j, const Study *s, const Run *r, int b, int m, int seed)
{
    double size[RUN_LIST];
    int sizes = run_list(r, "sizes", size);
    StudyJob job = {.task = STUDY_JIT, .base = b, .method = m, .seed = seed};
    job.scale = chosen(s, &job);
    for (int h = 0; h < s->heads; h++) job.head = s->head[h], add(j, job);
    for (int k = 0; k < sizes; k++) job.size = (int64_t)size[k], add(j, job);
    job.size = 0, job.away = true;
    add(j, job);
    job = (StudyJob){.task = STUDY_CMG, .base = b, .method = m, .seed = seed};
    job.scale = chosen(s, &job);
    for (int l = 0; l < s->languages && s->base[b].writes; l++) job.language = l, add(j, job);
    job.language = 0;
    for (int k = 0; k < sizes && s->base[b].writes; k++) job.size = (int64_t)size[k], add(j, job);
}

static Jobs all_jobs(Study *s, const Run *r)
{
    int each = s->methods * (JIT_HEADS + 2 * RUN_LIST + 1 + MOST_LANGUAGES) + 2;
    Jobs j = {NEW(&s->arena, StudyJob, (int64_t)s->seeds * s->bases * each), 0};
    for (int seed = 0; seed < s->seeds; seed++)
        for (int b = 0; b < s->bases; b++) {
            if (!seed) add(&j, (StudyJob){.task = STUDY_UNTUNED, .base = b});
            add(&j, (StudyJob){.task = STUDY_RANDOM, .base = b, .seed = seed});
            for (int m = 0; m < s->methods; m++) method_jobs(&j, s, r, b, m, seed);
        }
    return j;
}

static void take_measures(Run *r, int n, StudyOutcome *out)
{
    double *x = NEW(run_arena(r), double, 2 * n);
    run_measures(r, "cpu_seconds", n, x);
    run_measures(r, "peak_megabytes", n, x + n);
    for (int i = 0; i < n; i++) out[i].seconds = x[i], out[i].megabytes = x[n + i];
}

static Status baselines(StudyResults *x, Study *s, Run *r)
{
    const LearnerFit fit = {.train = &s->commits[SPLIT_TRAIN],
                            .valid = &s->commits[SPLIT_VALID],
                            .test = &s->commits[SPLIT_TEST],
                            .features = true};
    LearnerRow *row = NEW(&s->arena, LearnerRow, MOST_LEARNERS);
    x->learner = row;
    return learner_rows(row, &x->learners, r, &s->arena, &fit);
}

/* Runs the study: data, base models, learning rates, all jobs, and then tables, findings and figures. */
static Status run_study(Study *s, Run *r)
{
    TRY(what_was_asked(s, r));
    TRY(study_data(s, r));
    TRY(study_bases(s, r));
    TRY(rates(s, r));
    Jobs j = all_jobs(s, r);
    StudyOutcome *out = NEW(&s->arena, StudyOutcome, j.n);
    StudyJobs all = {s, j.job};
    TRY(run_parallel(r, j.n, sizeof *out, study_job, &all, out));
    take_measures(r, j.n, out);
    StudyResults results = {j.job, out, j.n, NULL, 0};
    TRY(baselines(&results, s, r));
    TRY(study_tables(r, s, &results));
    study_findings(r, s, &results);
    return study_figures(r, s, &results);
}

static Status run(Run *r)
{
    Study *s = NEW(run_arena(r), Study, 1);
    s->arena = arena_open((size_t)1 << 36);
    Status status = run_study(s, r);
    for (int b = 0; b < s->bases; b++) tokenizer_close(&s->base[b].text);
    arena_close(&s->arena);
    return status;
}

/* clang-format off */
static const Setting SETTINGS[] = {
    {"data", "a folder with jit/, cmg/mined/ and probing/; empty: synthetic data", {"", NULL, NULL, NULL},
     .reads = "jit/*|cmg/mined/*|probing/*"},
    {"models", "a folder with codebert/, graphcodebert/, plbart/, unixcoder/, codet5/, those that are there",
     {"", NULL, NULL, NULL}, .reads = "codebert/*|graphcodebert/*|plbart/*|unixcoder/*|codet5/*"},
    {"base", "a model to tune in place of one pretrained here", {"", NULL, NULL, NULL}, .reads = "config.json|*"},
    {"methods", "of tuning, as vernier list names them; adapter: Houlsby's; lora+2|3: layers 2 and 3 train whole",
     {"full,lora", "full,lora,adapter,prefix", NULL, NULL}},
    {"heads", "of JIT-DP: single, or concat with the 14 features", {"single,concat", NULL, NULL, NULL},
     .among = "single|concat"},
    {"baselines", "of JIT-DP, as vernier list names them", {"words,la,date", "words,la,date,jitline", "all", "all"}},
    {"languages", "of CMG, below --data", {"java,csharp,cpp,python,javascript", NULL, NULL, NULL}},
    {"levels", "of synthetic data: levels of wording instead of languages", {"1", "2", "2", NULL}, 1, 3},
    {"commits", "synthetic commits of JIT-DP, the last 40 % for testing", {"200", "1200", "2000", NULL}, 50, 1e6},
    {"pairs", "training examples of CMG in a language; 0: all", {"40", "400", "0", "1500"}, 0, 1e7},
    {"pairs-valid", "its validation examples; 0: all", {"20", "60", "0", "100"}, 0, 1e7},
    {"pairs-test", "its test examples; 0: all", {"10", "60", "0", "100"}, 0, 1e7},
    {"rows", "synthetic rows of a probing task, 60/20/20 %", {"60", "300", "1000", NULL}, 40, 1e6},
    {"data-seed", "seed of the synthetic data", {"1", NULL, NULL, NULL}, 0, 1e9},
    {"tokens", "maximum number of tokens of a change or a text", {"32", "64", "512", "128"}, 16, 1e5},
    {"message-tokens", "maximum number of tokens of a message", {"8", "16", "128", "24"}, 4, 1e5},
    {"vocab", "size of the tokenizer to train", {"400", "600", "8000", "4000"}, 320, 1e6},
    {"dim", "hidden size of the model to pretrain", {"16", "48", "256", "128"}, 8, 4096},
    {"heads-of-attention", "its attention heads", {"2", "4", "4", NULL}, 1, 64},
    {"layers", "of its encoder", {"1", "3", "4", "4"}, 1, STUDY_LAYERS - 1},
    {"decoder-layers", "of its decoder", {"1", "1", "2", "2"}, 1, STUDY_LAYERS - 1},
    {"steps", "of pretraining", {"10", "300", "20000", "4000"}, 1, 1e7},
    {"batch-tokens", "tokens a step of pretraining", {"512", "2048", "8192", "4096"}, 64, 1e6},
    {"lr", "peak learning rate of pretraining", {"1e-3", "2e-3", "1e-3", "2e-3"}, 1e-7, 1},
    {"batch", "examples a step of tuning", {"16", "32", "32", "16"}, 1, 65536},
    {"epochs", "of JIT-DP", {"1", "3", "10", "2"}, 1, 1e5},
    {"epochs-messages", "of CMG", {"1", "10", "10", "3"}, 1, 1e5},
    {"least-steps", "minimum number of steps of tuning, also with few examples", {"4", "20", "0", "60"}, 0, 1e7},
    {"evaluations", "on validation in a run; the best one is kept", {"1", "4", "50", "3"}, 1, 1e4},
    {"sizes", "training examples of the low-resource runs", {"16,", "50,", "50,200,1000,4000", "100,1000"}, 1, 1e7},
    {"rates", "factors of the learning rates to choose from on validation",
     {"1,", "1,3,10", "1,", "0.3,1,3"}, 1e-6, 1e6},
    {"rate-size", "training examples to choose the learning rate with", {"16", "200", "1000", "2000"}, 1, 1e7},
    {"lr-full", "learning rate of full fine-tuning", {"1e-3", NULL, "2e-5", "3e-3"}, 0, 100},
    {"lr-lora", "of LoRA", {"3e-3", NULL, "1e-4", "1e-2"}, 0, 100},
    {"lr-adapter", "of Houlsby adapters", {"3e-3", NULL, "2e-5", "1e-2"}, 0, 100},
    {"lr-prefix", "of prefixes", {"3e-2", NULL, "1e-2", "1e-1"}, 0, 100},
    {"lr-other", "of any other method", {"1e-3", NULL, NULL, NULL}, 0, 100},
    {"rank", "of LoRA and DoRA", {"4", "8", "64", "16"}, 1, 4096},
    {"alpha", "of LoRA and DoRA", {"8", "16", "32", "32"}, 1, 4096},
    {"width", "of adapters of all kinds", {"4", "8", "128", "32"}, 1, 4096},
    {"virtual", "tokens of a prefix or a prompt", {"4", "8", "50", "20"}, 1, 4096},
    {"pooling", "how the tokens of a text become the vector that is probed", {"mean", NULL, NULL, NULL},
     .among = "first|mean|max|last|attention"},
    {0}};
/* clang-format on */

static const Experiment STUDY = {
    .group = "probes",
    .name = "study",
    .title = "Effects of tuning on a model of code changes",
    .claim =
        "Tuning a few parameters is as good as tuning all at finding defects and writing commit messages, better "
        "with few examples and across projects and languages, and preserves more information in the layers for a "
        "probe.",
    .method = "Each method on JIT-DP (just-in-time defect prediction) and CMG (commit message generation) from one "
              "base at a learning rate chosen on validation; then the model is frozen "
              "and every layer is probed for TYP (invalid types), CCM (code change match) and LTP (line types), with "
              "baselines.",
    .expect =
        "No method below full fine-tuning in AUC and B-Norm, above it with few examples and across projects and "
        "languages; probing accuracy above its and above the rules.",
    .cost = "smoke seconds, quick a minute and a half, real under two hours, paper days (estimated)",
    .source = "Liu et al., \"Delving into Parameter-Efficient Fine-Tuning in Code Change Learning\", SANER 2024",
    .settings = SETTINGS,
    .seeds = {1, 3, 5, 3},
    .run = run};
REGISTER(experiment, STUDY)
