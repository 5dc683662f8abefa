/* The models that are tuned: pretrained here, or opened. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/hf_cache.h"
#include "base/rng.h"
#include "base/str.h"
#include "nn/config.h"
#include "probes/study.h"
#include "tasks/pretrain.h"
#include "tasks/sequence.h"
#include "train/evaluate.h"

enum { SENTINELS = 32, APART = 300 };
static const char *const PUBLISHED[] = {"codebert", "graphcodebert", "plbart", "unixcoder", "codet5"};

/* ---- token sequences ---- */

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
        if (x.n < 1) return fail(E_FORMAT, "%s:%lld: the text has no tokens", d->name, (long long)i + 1);
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

static int64_t virtual_tokens(const Study *s, Arena *a)
{
    int64_t most = 0;
    for (int m = 0; m < s->methods; m++) {
        PeftConfig c = {0};
        if (!str_glob("prefix|prompt", s->method[m].peft->name)) continue;
        if (!peft_set(&c, a, s->method[m].options) && c.length > most) most = c.length;
    }
    return most;
}

Status study_tokens(Study *s, Run *r, StudyBase *b)
{
    Arena *a = &s->arena;
    Model *m; /* without weights, for plans that need a model */
    TRY(model_open_zeros(&m, a, &b->config, F32));
    int64_t room = config_room(&b->config), most = run_int(r, "tokens");
    if (room && most > room - virtual_tokens(s, a)) most = room - virtual_tokens(s, a);
    if (most < 16) return fail(E_MISMATCH, "%s: has positions for %lld tokens", b->dir, (long long)room);
    b->layers = model_layers(m, m->encoder ? PART_ENCODER : PART_DECODER) + 1;
    b->writes = m->arch->encode != NULL;
    if (b->layers > STUDY_LAYERS)
        return fail(E_MISMATCH, "%s: has %d layers, expected at most %d", b->dir, b->layers - 1, STUDY_LAYERS - 1);
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
    b->text = tokenizer_of(bpe);
    return OK;
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
    Run *r;
    int file; /* pairs of numbers, those of step n at n - 1 */
    bool begun;
    double sum; /* of the losses since the log was written */
    int n;
} Course;

static void take_step(Course *c, int64_t step, const double of[2])
{
    enum { LOG_EVERY = 20 };
    static const char *const LOGGED[] = {"loss", "lr"};
    c->sum += of[0], c->n++;
    if (step % LOG_EVERY) return;
    run_log(c->r, "pretraining", step, 2, LOGGED, (const double[]){c->sum / c->n, of[1]});
    c->sum = c->n = 0;
}

static void take_again(Course *c, int64_t steps)
{
    double of[2];
    for (int64_t i = 0; i < steps; i++)
        if (pread(c->file, of, sizeof of, i * (int64_t)sizeof of) == sizeof of) take_step(c, i + 1, of);
}

static bool told_step(const Trainer *tr, const StepStats *stats, void *user)
{
    Course *c = user;
    const double of[2] = {stats->loss, stats->lr};
    run_progress(c->r, "pretraining", tr->step, tr->config.total, stats->loss);
    if (!c->begun) take_again(c, tr->step - 1);
    c->begun = true;
    if (pwrite(c->file, of, sizeof of, (tr->step - 1) * (int64_t)sizeof of) != sizeof of) c->file = -1;
    take_step(c, tr->step, of);
    return !run_stopped();
}

static Status course_open(Course *c, Run *r, const StudyBase *b, bool resume)
{
    const char *path = str_print(run_arena(r), "%s/pretraining.f64", b->dir);
    *c = (Course){.r = r, .file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | (resume ? 0 : O_TRUNC), 0666)};
    return c->file < 0 ? fail(E_IO, "%s: %s", path, strerror(errno)) : OK;
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

/* A description of its training data is kept with it, for the note of a run that is resumed. */
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
    return pretrain(m, b->dir, &text, &plan);
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

/* Whether DIR/settings.txt is of this very base. */
static bool same_base(Study *s, const Run *r, const char *path)
{
    Bytes before;
    if (!run_resuming(r) || access(path, R_OK) || file_read(&before, &s->arena, path)) return false;
    return !strcmp(before.text, settings_of(s, r));
}

static Status make_base(Study *s, Run *r)
{
    StudyBase *b = &s->base[s->bases++];
    *b = (StudyBase){.name = "ours", .dir = run_path(r, "base")};
    TRY(file_make_dir(b->dir));
    const char *model = str_print(&s->arena, "%s/model.safetensors", b->dir),
               *settings = str_print(&s->arena, "%s/settings.txt", b->dir), *wanted = settings_of(s, r);
    const char *told = str_print(&s->arena, "%s/pretraining.txt", b->dir), *weak = weak_path(s, r);
    bool same = same_base(s, r, settings), there = same && !access(model, R_OK) && !access(told, R_OK);
    if (!there) unlink(model);
    if (same && tokenizer_there(b->dir))
        TRY(tokenizer_open(&b->text, &s->arena, b->dir));
    else
        TRY(train_tokenizer(b, s, r));
    TRY(file_write(settings, wanted, strlen(wanted)));
    shape(&b->config, r, b->text.bpe);
    TRY(study_tokens(s, r, b));
    if (weak) TRY(run_input(r, weak));
    Course course;
    TRY(course_open(&course, r, b, same));
    if (there)
        take_again(&course, run_int(r, "steps"));
    else
        TRY(pretrain_base(b, s, &course, weak, told, same));
    close(course.file);
    unlink(checkpoint_of(r)); /* of a run that was killed when the model was there */
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
    TRY(run_input(r, str_print(&s->arena, "%s/config.json", b->dir)));
    TRY(config_load(&b->config, b->dir));
    TRY(tokenizer_open(&b->text, &s->arena, b->dir));
    return study_tokens(s, r, b);
}

static Status open_published(Study *s, Run *r, const char *dir)
{
    Buf absent = buf_open(&s->arena);
    for (size_t k = 0; k < sizeof PUBLISHED / sizeof *PUBLISHED; k++) {
        const char *path = str_print(&s->arena, "%s/%s", dir, PUBLISHED[k]);
        if (access(str_print(&s->arena, "%s/config.json", path), R_OK))
            buf_print(&absent, "%s%s", absent.len ? ", " : "", PUBLISHED[k]);
        else
            TRY(open_base(s, r, PUBLISHED[k], path));
    }
    if (!s->bases) return fail(E_IO, "%s: contains none of the folders %s", dir, absent.text);
    s->absent = absent.len ? absent.text : NULL;
    return OK;
}

Status study_bases(Study *s, Run *r)
{
    const char *models = run_text(r, "models"), *base = run_text(r, "base");
    if (*models && *base) return fail(E_CONFIG, "--models and --base exclude each other");
    if (*models) return open_published(s, r, models);
    return *base ? open_base(s, r, "given", base) : make_base(s, r);
}
