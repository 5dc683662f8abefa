/* The models that are tuned: pretrained here, or opened. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/hf_cache.h"
#include "base/rng.h"
#include "base/seal.h"
#include "base/sha256.h"
#include "base/str.h"
#include "nn/config.h"
#include "probes/study.h"
#include "run/parallel.h"
#include "text/sequence.h"
#include "train/evaluate.h"
#include "train/pretrain.h"

enum { SENTINELS = 32, APART = 300 };
static const char *const PUBLISHED[] = {"codebert", "graphcodebert", "plbart", "unixcoder", "codet5"};

/* ---- token sequences ---- */

/* Tokenizes the examples of a probing task, truncated to `most` tokens. */
static Status encode_rows(Examples *out, Study *s, const StudyBase *b, ProbeTask task, int64_t most)
{
    Arena *a = &s->arena;
    const Dataset *d = &s->set[task];
    const int32_t **ids = NEW(a, const int32_t *, d->n);
    int32_t *len = NEW(a, int32_t, d->n);
    for (int64_t i = 0; i < d->n; i++) {
        const Example *e = &d->example[i];
        BpeText x, t = tokenizer_encode(&b->text, a, e->text, e->len, task != TASK_TYP);
        TRY(tokenizer_wrap(&x, &b->text, a, &t, NULL, "java", (Limit){.most = most}));
        if (x.n < 1) return err_fail(E_FORMAT, "%s:%lld: the text has no tokens", d->name, (long long)i + 1);
        TRY(sequence_fits(x.id, x.n, b->config.vocab));
        ids[i] = x.id, len[i] = (int32_t)x.n;
    }
    *out = (Examples){.n = d->n, .ids = ids, .len = len};
    return OK;
}

/* Appends the sources or ids of some examples. */
static void append(Examples *x, const Examples *more, bool sources, int64_t most)
{
    const int32_t **ids = (const int32_t **)(uintptr_t)x->ids;
    int32_t *len = (int32_t *)(uintptr_t)x->len;
    for (int64_t i = 0; i < more->n && i < most; i++) {
        ids[x->n] = sources ? more->src[i] : more->ids[i];
        len[x->n++] = sources ? more->src_len[i] : more->len[i];
    }
}

/* The texts of changes without labels and messages, for pretraining: training texts or those kept apart. */
static Examples plain(Study *s, const StudyBase *b, Split split, int64_t most, const Examples *weak)
{
    int64_t n = b->commits[split].n + (weak ? weak->n : 0);
    for (int l = 0; l < s->languages; l++) n += b->pairs[l][split].n;
    Examples x = {.ids = NEW(&s->arena, const int32_t *, n), .len = NEW(&s->arena, int32_t, n)};
    int parts = 1 + s->languages;
    int64_t share = most ? most / parts : INT64_MAX;
    append(&x, &b->commits[split], false, share);
    for (int l = 0; l < s->languages; l++) append(&x, &b->pairs[l][split], true, share);
    if (weak) append(&x, weak, false, INT64_MAX);
    return x;
}

static int64_t virtual_tokens(const Study *s, const Config *config, Arena *a)
{
    int64_t most = 0;
    for (int m = 0; m < s->methods; m++) {
        PeftConfig c = {0};
        s->method[m].peft->defaults(&c, config);
        if (peft_set(&c, a, s->method[m].options)) continue;
        int tokens = peft_virtual_tokens(s->method[m].peft, &c);
        if (tokens > most) most = tokens;
    }
    return most;
}

/* Sets the lengths that the base model and virtual tokens allow, and tokenizes all data of the study. */
Status study_tokens(Study *s, Run *r, StudyBase *b)
{
    Arena *a = &s->arena;
    Model *m; /* without weights, for plans that need a model */
    TRY(model_open_zeros(&m, a, &b->config, F32));
    int64_t room = config_room(&b->config), most = run_int(r, "tokens"), taken = virtual_tokens(s, &b->config, a);
    if (room && most > room - taken) most = room - taken;
    if (most < 16) return err_fail(E_MISMATCH, "%s: has positions for %lld tokens", b->dir, (long long)room);
    b->layers = model_layers(m, m->encoder ? PART_ENCODER : PART_DECODER) + 1;
    b->writes = m->arch->encode != NULL;
    if (b->layers > STUDY_LAYERS)
        return err_fail(E_MISMATCH, "%s: has %d layers, expected at most %d", b->dir, b->layers - 1,
                        STUDY_LAYERS - 1);
    b->jit = jit_plan(&b->text, b->config.vocab, (int)room);
    b->jit.length = (int)most;
    if (b->jit.message > most / 2) b->jit.message = (int)most / 2;
    b->cmg = cmg_plan(m, &b->text);
    b->cmg.source = (int)most;
    b->cmg.target = (int)run_int(r, "message-tokens");
    if (tokenizer_language(&b->text, "java") >= 0) b->jit.language = b->cmg.language = "java";
    for (int k = 0; k < SPLITS; k++) {
        TRY(jit_tokens(&b->commits[k], a, &s->commits[k], &b->text, &b->jit));
        b->commits[k].label = NULL;
        for (int l = 0; b->writes && l < s->languages; l++)
            TRY(cmg_tokens(&b->pairs[l][k], a, s->language[l].n[k], s->language[l].change[k], m, &b->text, &b->cmg));
    }
    for (ProbeTask t = 0; t < TASKS; t++) TRY(encode_rows(&b->rows[t], s, b, t, most));
    b->kept_apart = plain(s, b, SPLIT_VALID, APART, NULL);
    b->denoise = (DenoisePlan){.share = 0.15, .mean = 3, .eos = b->config.eos};
    while (b->text.bpe && b->writes && b->denoise.sentinels < MOST_SENTINELS) {
        int32_t id = bpe_find(b->text.bpe, str_print(a, "<extra_id_%d>", b->denoise.sentinels));
        if (id < 0 || id >= b->config.vocab) break;
        b->denoise.sentinel[b->denoise.sentinels++] = id;
    }
    return OK;
}

/* The denoising loss on pretraining text that was kept apart; NaN if the tokenizer lacks sentinels. */
double study_denoising_loss(const StudyBase *b, Model *m, const Hooks *hooks, Arena *step)
{
    if (!b->denoise.sentinels) return NAN;
    Evaluation sum = {0};
    Batcher *feed;
    ArenaMark mark = arena_mark(step);
    const BatchPlan plan = {.tokens = 4096, .pad = b->config.pad};
    CHECK(!batcher_open(&feed, step, &b->kept_apart, &plan), "no text is kept apart");
    for (int64_t i = 0, n = batcher_in_epoch(feed); i < n; i++) {
        ArenaMark inner = arena_mark(step);
        Batch clean, x;
        batcher_next(feed, step, &clean, NULL);
        x = denoise_corrupt(step, m, &clean, &b->denoise, rng_stream(1, "kept apart"), (uint64_t)i);
        evaluate_batch(m, hooks, step, &x, NULL, &sum);
        arena_drop(step, inner);
    }
    evaluation_end(&sum);
    arena_drop(step, mark);
    return sum.loss;
}

/* ---- pretraining ---- */

/* Trains and saves the tokenizer of the base model, on the training commits and pairs. */
static Status train_tokenizer(StudyBase *b, Study *s, Run *r)
{
    Arena *a = &s->arena, scratch = arena_open((size_t)1 << 34);
    const char **special = NEW(a, const char *, SENTINELS + 4);
    int n = 0;
    special[n++] = "<add>", special[n++] = "<del>", special[n++] = "<keep>";
    for (int k = 0; k < SENTINELS; k++) special[n++] = str_print(a, "<extra_id_%d>", k);
    int64_t texts = s->commits[SPLIT_TRAIN].n, most = texts;
    for (int l = 0; l < s->languages; l++) most += s->language[l].n[SPLIT_TRAIN];
    Bytes *text = NEW(&scratch, Bytes, most);
    for (int64_t i = 0; i < most; i++) {
        int64_t k = i;
        const CodeChange *c = s->commits[SPLIT_TRAIN].change;
        if (k >= texts) {
            k -= texts;
            int l = 0;
            while (k >= s->language[l].n[SPLIT_TRAIN]) k -= s->language[l++].n[SPLIT_TRAIN];
            c = s->language[l].change[SPLIT_TRAIN];
        }
        text[i] = change_text(&scratch, &c[k]);
    }
    Bpe *bpe;
    Status status = bpe_train(&bpe, a, &(BpeTrain){.size = run_int(r, "vocab"), .special = special}, text, most);
    arena_close(&scratch);
    TRY(status);
    TRY(bpe_save(bpe, b->dir));
    bpe_close(bpe);
    return tokenizer_open(&b->text, a, b->dir); /* as a run that goes on later opens it */
}

static void shape(Config *c, const Run *r, const Bpe *bpe)
{
    BpeSpecials special = bpe_specials(bpe);
    arch_find("t5")->defaults(c);
    c->vocab = (int)bpe_size(bpe) + 2; /* the special tokens of defect prediction */
    c->dim = (int)run_int(r, "dim"), c->heads = (int)run_int(r, "heads-of-attention"), c->hidden = 4 * c->dim;
    c->layers = (int)run_int(r, "layers"), c->decoder_layers = (int)run_int(r, "decoder-layers");
    c->pad = c->decoder_start = special.pad, c->bos = special.bos, c->eos = special.eos;
}

/* The log of the pretraining is made of every step's loss and rate, which a file keeps: a run that is resumed makes
 * the same log of the steps that were done before. */
typedef struct {
    double loss, lr;
    char hash[8]; /* the first digits of the SHA-256 of step and numbers */
} CourseStep;

typedef struct {
    Run *r;
    int file; /* that of step n at n - 1 */
    bool begun;
    bool damaged; /* the file lacks steps of before the checkpoint, or they are altered */
    double sum;   /* of the losses since the log was written */
    int n;
} Course;

static CourseStep course_step(int64_t step, double loss, double lr)
{
    CourseStep x = {.loss = loss, .lr = lr};
    Sha256 s = sha256_begin();
    sha256_add(&s, &step, sizeof step);
    sha256_add(&s, &loss, sizeof loss);
    sha256_add(&s, &lr, sizeof lr);
    memcpy(x.hash, sha256_end(&s).hex, sizeof x.hash);
    return x;
}

/* False: the file has no such step, or another one than was written. */
static bool read_step(CourseStep *x, const Course *c, int64_t step)
{
    if (pread(c->file, x, sizeof *x, (step - 1) * (int64_t)sizeof *x) != sizeof *x) return false;
    CourseStep same = course_step(step, x->loss, x->lr);
    return !memcmp(x->hash, same.hash, sizeof same.hash);
}

static bool course_whole(const Course *c, int64_t steps)
{
    CourseStep x;
    for (int64_t i = 1; i <= steps; i++)
        if (!read_step(&x, c, i)) return false;
    return true;
}

static void take_step(Course *c, int64_t step, const CourseStep *x)
{
    enum { LOG_EVERY = 20 };
    static const char *const LOGGED[] = {"loss", "lr"};
    c->sum += x->loss, c->n++;
    if (step % LOG_EVERY) return;
    run_log(c->r, "pretraining", step, 2, LOGGED, (const double[]){c->sum / c->n, x->lr});
    c->sum = c->n = 0;
}

static void take_again(Course *c, int64_t steps)
{
    CourseStep x;
    for (int64_t i = 1; i <= steps; i++)
        if (read_step(&x, c, i)) take_step(c, i, &x);
}

static bool told_step(const Trainer *tr, const StepStats *stats, void *user)
{
    Course *c = user;
    const CourseStep x = course_step(tr->step, stats->loss, stats->lr);
    run_progress(c->r, "pretraining", tr->step, tr->config.total, stats->loss);
    if (!c->begun) c->damaged = !course_whole(c, tr->step - 1);
    if (c->damaged) return false;
    if (!c->begun) take_again(c, tr->step - 1);
    c->begun = true;
    if (pwrite(c->file, &x, sizeof x, (tr->step - 1) * (int64_t)sizeof x) != sizeof x) c->file = -1;
    take_step(c, tr->step, &x);
    return !run_stopped();
}

static Status course_open(Course *c, Run *r, const StudyBase *b, bool resume)
{
    const char *path = str_print(run_arena(r), "%s/pretraining.f64", b->dir);
    *c = (Course){.r = r, .file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (resume ? 0 : O_TRUNC), 0666)};
    return c->file < 0 ? err_fail(E_IO, "%s: %s", path, strerror(errno)) : OK;
}

/* Commits without trusted labels are read here alone, where labels are not used; NULL: there are none. */
static const char *weak_path(Study *s, const Run *r)
{
    const char *path = str_print(&s->arena, "%s/jit/train_weak.jsonl", run_text(r, "data"));
    return *run_text(r, "data") && !access(path, R_OK) ? path : NULL;
}

static Status read_weak(Examples *out, Study *s, StudyBase *b, const char *path)
{
    JitSet weak;
    *out = (Examples){0};
    if (!path) return OK;
    TRY(jit_read(&weak, &s->arena, path));
    return jit_tokens(out, &s->arena, &weak, &b->text, &b->jit);
}

static const char *checkpoint_of(Run *r)
{
    return run_path(r, "base.train.safetensors");
}

static void damaged(const char *path, void *user)
{
    run_remark(((const Course *)user)->r, "%s: is not as it was written; the pretraining begins anew", path);
}

/* Its training set is recorded beside it, for the note of a resumed run. */
static Status pretrain_base(StudyBase *b, Study *s, Course *course, const char *weak_path, const char *told,
                            bool resume)
{
    Model *m;
    Examples weak;
    Run *r = course->r;
    PretrainPlan plan = {.train = pretrain_defaults(run_real(r, "lr"), run_int(r, "steps"), run_seed(r, 0)),
                         .tokens = run_int(r, "batch-tokens"),
                         .denoise = &b->denoise,
                         .stream = rng_stream(run_seed(r, 0), "denoise"),
                         .checkpoint = checkpoint_of(r),
                         .resume = resume,
                         .damaged = damaged,
                         .each = told_step,
                         .user = course};
    plan.train.no_dropout = true;
    TRY(read_weak(&weak, s, b, weak_path));
    const Examples text = plain(s, b, SPLIT_TRAIN, 0, &weak);
    int64_t tokens = 0;
    for (int64_t i = 0; i < text.n; i++) tokens += text.len[i];
    const char *note =
        str_print(&s->arena,
                  "The base was pretrained here by span corruption on %lld texts of %lld tokens, %lld "
                  "steps of %lld.",
                  (long long)text.n, (long long)tokens, (long long)plan.train.total, (long long)plan.tokens);
    TRY(file_write(told, note, strlen(note)));
    TRY(model_open(&m, &s->arena, &b->config, F32, plan.train.seed));
    return pretrain_run(m, b->dir, &text, &plan);
}

/* All that a pretrained base depends on; a base of other settings is not used. */
static const char *settings_of(Study *s, const Run *r)
{
    static const char *const KEY[] = {
        "steps",  "batch-tokens",   "vocab",  "tokens",  "dim",      "heads-of-attention",
        "layers", "decoder-layers", "levels", "commits", "data-seed"};
    Buf b = buf_open(&s->arena);
    for (size_t k = 0; k < sizeof KEY / sizeof *KEY; k++)
        buf_print(&b, "%s %lld\n", KEY[k], (long long)run_int(r, KEY[k]));
    buf_print(&b, "lr %.17g\nseed %llu\ndata %s\nlanguages %s\n", run_real(r, "lr"),
              (unsigned long long)run_seed(r, 0), run_text(r, "data"), run_text(r, "languages"));
    return b.text;
}

static const char *settings_path(Study *s, const StudyBase *b)
{
    return str_print(&s->arena, "%s/settings.txt", b->dir);
}

/* Whether DIR/settings.txt is of this very base. */
static bool same_base(Study *s, const Run *r, const char *path)
{
    Bytes before;
    bool there = run_resuming(r) && !access(path, R_OK) && !file_read(&before, &s->arena, path);
    err_clear();
    return there && !strcmp(before.text, settings_of(s, r));
}

/* The steps that an earlier attempt has done.  A sealed list (base/seal.h) beside the base's directory holds them and
 * their files. */
typedef enum { NOTHING, TOKENIZER, ALL } Reach;
static const char *const REACH[] = {"nothing", "tokenizer", "all"};

static const char *list_path(Run *r)
{
    return run_path(r, "base.sha256");
}

static bool is_listed(const char *name)
{
    return strcmp(name, "pretraining.f64") != 0; /* grows, and each step has a hash */
}

static Status note_reach(Study *s, Run *r, const StudyBase *b, Reach reach)
{
    return seal_files(list_path(r), REACH[reach], b->dir, is_listed, &s->arena);
}

static Reach reached(Study *s, Run *r, const StudyBase *b, const Course *c, bool same)
{
    const char *text, *list = list_path(r);
    bool whole = same && seal_read(&text, list, &s->arena) && seal_holds(text, b->dir, &s->arena);
    bool all = whole && !strncmp(text, REACH[ALL], strlen(REACH[ALL]));
    if (all && course_whole(c, run_int(r, "steps"))) return ALL;
    if (all || (!whole && run_resuming(r) && !access(list, F_OK)))
        run_remark(r, "%s: a file is missing or altered; this base is made again", b->dir);
    return whole ? TOKENIZER : NOTHING;
}

/* Where the log of a checkpoint's steps is not whole, the pretraining begins anew. */
static Status pretrain_anew(StudyBase *b, Study *s, Course *course, const char *weak, const char *told, bool resume)
{
    Status status = pretrain_base(b, s, course, weak, told, resume);
    if (!course->damaged) return status;
    err_clear();
    run_remark(course->r, "%s/pretraining.f64: is damaged; the pretraining begins anew", b->dir);
    course->damaged = false;
    return pretrain_base(b, s, course, weak, told, false);
}

static Status prepare_base(Study *s, Run *r, StudyBase *b, Reach reach)
{
    const char *settings = settings_of(s, r);
    if (reach >= TOKENIZER) {
        TRY(tokenizer_open(&b->text, &s->arena, b->dir));
    } else {
        TRY(train_tokenizer(b, s, r));
        TRY(file_write(settings_path(s, b), settings, strlen(settings)));
        TRY(note_reach(s, r, b, TOKENIZER));
    }
    shape(&b->config, r, b->text.bpe);
    return study_tokens(s, r, b);
}

/* Pretrains the study's own base model, or continues or reuses an earlier pretraining. */
static Status make_base(Study *s, Run *r)
{
    StudyBase *b = &s->base[s->bases++];
    *b = (StudyBase){.name = "ours", .dir = run_path(r, "base")};
    TRY(file_make_dir(b->dir));
    const char *told = str_print(&s->arena, "%s/pretraining.txt", b->dir), *weak = weak_path(s, r);
    bool same = same_base(s, r, settings_path(s, b));
    Course course;
    TRY(course_open(&course, r, b, same));
    Reach reach = reached(s, r, b, &course, same);
    TRY(prepare_base(s, r, b, reach));
    if (weak) TRY(run_input(r, weak));
    if (reach == ALL) {
        take_again(&course, run_int(r, "steps"));
    } else {
        TRY(pretrain_anew(b, s, &course, weak, told, same));
        TRY(note_reach(s, r, b, ALL));
    }
    close(course.file);
    file_remove(checkpoint_of(r));
    Bytes note;
    TRY(file_read(&note, &s->arena, told));
    run_note(r, "%.*s", (int)note.len, note.text);
    return OK;
}

/* ---- given ones ---- */

static Status open_base(Study *s, Run *r, const char *name, const char *dir)
{
    StudyBase *b = &s->base[s->bases++];
    *b = (StudyBase){.name = name};
    TRY(hf_cache_find(&b->dir, &s->arena, dir));
    const char *config;
    TRY(config_path(&config, &s->arena, b->dir));
    TRY(run_input(r, config));
    TRY(config_load(&b->config, b->dir));
    TRY(tokenizer_open(&b->text, &s->arena, b->dir));
    return study_tokens(s, r, b);
}

static Status open_published(Study *s, Run *r, const char *dir)
{
    Buf absent = buf_open(&s->arena);
    for (size_t k = 0; k < sizeof PUBLISHED / sizeof *PUBLISHED; k++) {
        const char *path = str_print(&s->arena, "%s/%s", dir, PUBLISHED[k]), *config = NULL;
        if (file_is_dir(path)) TRY(config_path(&config, &s->arena, path));
        if (!config || access(config, R_OK))
            buf_print(&absent, "%s%s", absent.len ? ", " : "", PUBLISHED[k]);
        else
            TRY(open_base(s, r, PUBLISHED[k], path));
    }
    if (!s->bases) return err_fail(E_IO, "%s: contains none of the folders %s", dir, absent.text);
    s->absent = absent.len ? absent.text : NULL;
    return OK;
}

Status study_bases(Study *s, Run *r)
{
    const char *models = run_text(r, "models"), *base = run_text(r, "base");
    if (*models && *base) return err_fail(E_CONFIG, "--models and --base exclude each other");
    if (*models) return open_published(s, r, models);
    return *base ? open_base(s, r, "given", base) : make_base(s, r);
}
