/* Small models for those who have no pretrained one, with byte-level BPE of the training text: a RoBERTa that is
 * pretrained on that text, where labels are not looked at and a checkpoint stands beside it while it trains; and a T5
 * whose weights are random, as the task itself trains it.
 *
 * A sealed list beside the model's directory (base/seal.h) holds the steps that are done, and their files. */
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/seal.h"
#include "base/str.h"
#include "tasks/review.h"
#include "tasks/tune.h"
#include "train/pretrain.h"

typedef struct {
    Config config;
    int64_t steps, vocab;
    double lr;                  /* of the pretraining; 0: there is none */
    int room;                   /* positions that no text gets */
    const char *const *symbols; /* tokens that the tokenizer has, too; NULL: none */
} Small;

static Status set_number(Small *s, const char *key, const char *value)
{
    int64_t whole = 0, least = !strcmp(key, "vocab") ? 300 : 0;
    if (!strcmp(key, "lr")) {
        if (str_real(value, &s->lr) && s->lr > 0) return OK;
        return err_fail(E_CONFIG, "--encoder lr=%s: expected > 0", value);
    }
    if (!str_int(value, &whole) || whole < least || whole > 10000000)
        return err_fail(E_CONFIG, "--encoder %s=%s: expected a number from %lld on", key, value, (long long)least);
    *(least ? &s->vocab : &s->steps) = whole;
    return OK;
}

static Status set_length(Small *s, const char *value)
{
    int64_t whole;
    if (!str_int(value, &whole) || whole < 16 || whole > 4096)
        return err_fail(E_CONFIG, "--encoder length=%s: expected 16 to 4096", value);
    s->config.positions = (int)whole + s->room;
    return OK;
}

/* Fields of the model's config, and length, steps, vocab and lr. */
static Status settings(Small *s, const TuneJob *j)
{
    const char *text = j->o.small;
    size_t n;
    for (const char *rest = text, *p; str_next(&rest, ",", &p, &n);) {
        size_t k = strcspn(p, "=");
        if (k >= n) return err_fail(E_CONFIG, "--encoder %s: expected key=value pairs with commas between", text);
        const char *key = str_copy(j->run, p, k), *value = str_copy(j->run, p + k + 1, n - k - 1);
        if (!strcmp(key, "vocab") || (s->lr > 0 && str_glob("steps|lr", key)))
            TRY(set_number(s, key, value));
        else if (!strcmp(key, "length") && s->config.positions)
            TRY(set_length(s, value));
        else
            TRY(config_set(&s->config, key, value));
    }
    return OK;
}

static Config small_config(const char *arch)
{
    Config c = {0};
    arch_find(arch)->defaults(&c);
    c.dim = 128, c.layers = 4, c.heads = 4, c.hidden = 512;
    return c;
}

/* ---- how far an earlier attempt has come */

typedef enum { NOT_BEGUN, TOKENIZER, ALL } Reach;
static const char *const REACH[] = {"nothing", "tokenizer", "all"};

static const char *list_path(const TuneJob *j, const char *dir)
{
    return str_print(j->run, "%s.sha256", dir);
}

static Status note_reach(const TuneJob *j, const char *dir, Reach reach)
{
    return seal_files(list_path(j, dir), REACH[reach], dir, NULL, j->run);
}

/* The model is begun anew where one of its files is not as it was written. */
static Reach reached(const TuneJob *j, const char *dir)
{
    const char *list = list_path(j, dir), *text;
    if (!j->resume) return NOT_BEGUN;
    if (seal_read(&text, list, j->run) && seal_holds(text, dir, j->run))
        return strncmp(text, REACH[ALL], strlen(REACH[ALL])) ? TOKENIZER : ALL;
    if (!access(list, F_OK) || !access(str_print(j->run, "%s/model.safetensors", dir), F_OK))
        tuning_remark(&j->watch, j->run,
                      "%s: a file of this small model is missing or altered; the model is made again", dir);
    return NOT_BEGUN;
}

/* ---- tokenizer and pretraining */

/* Those of the user's table, or the commits'. */
static const Bytes *texts_of(const TuneJob *j, Arena *a, int64_t *n)
{
    *n = j->plain ? j->n_plain : j->train.n;
    if (j->plain) return j->plain;
    Bytes *text = NEW(a, Bytes, *n);
    for (int64_t i = 0; i < *n; i++) text[i] = change_text(a, &j->train.change[i]);
    return text;
}

static Status learn_tokens(const TuneJob *j, const Small *s, const char *dir)
{
    TRY(file_make_dir(dir));
    file_remove(str_print(j->run, "%s/config.json", dir)); /* of an earlier model: it names a tokenizer's class */
    Arena scratch = arena_open(0);
    Bpe *b;
    int64_t n;
    const Bytes *text = texts_of(j, &scratch, &n);
    Status status = bpe_train(&b, &scratch, &(BpeTrain){.size = s->vocab, .special = s->symbols}, text, n);
    if (!status) {
        status = bpe_save(b, dir);
        bpe_close(b);
    }
    arena_close(&scratch);
    return status ? status : note_reach(j, dir, TOKENIZER);
}

typedef struct {
    TuneJob *j;
    bool begun;
} Pretraining;

static bool each(const Trainer *tr, const StepStats *stats, void *user)
{
    Pretraining *x = user;
    const TuneWatch *w = &x->j->watch;
    const TuneStep step = {"pretraining", tr->step, tr->config.total, stats->loss, stats->lr};
    if (!x->begun && w->begun) w->begun(step.phase, step.step - 1, w->user);
    x->begun = true;
    if (w->step) w->step(&step, w->user);
    return tuning_goes_on(tr->step, &x->j->watch);
}

static void saving(void *user)
{
    const TuneWatch *w = &((const Pretraining *)user)->j->watch;
    if (w->saving) w->saving(w->user);
}

static void damaged(const char *path, void *user)
{
    const TuneJob *j = ((const Pretraining *)user)->j;
    tuning_remark(&j->watch, j->run, "%s: is not as it was written; the pretraining begins anew", path);
}

static const char *pretraining(const TuneJob *j, const char *dir)
{
    return str_print(j->run, "%s.train.safetensors", dir);
}

/* The training texts as the small encoder reads them. */
static Status examples_of(Examples *out, TuneJob *j, const Model *m, const Tokenizer *text)
{
    int room = config_room(&m->config);
    if (!j->plain) {
        const JitPlan plan = jit_plan(text, m->config.vocab, room);
        return jit_tokens(out, j->run, &j->train, text, &plan);
    }
    OwnTexts x;
    const OwnPlan plan = {.length = room, .window = true};
    TRY(own_tokens(&x, j->run, &(OwnSet){.n = j->n_plain, .text = j->plain}, text, &plan, m->config.vocab));
    *out = x.x;
    return OK;
}

/* Pretrains the small encoder on the training commits by masked language modelling. */
static Status pretrain_small(TuneJob *j, Model *m, const Tokenizer *text, const Small *s, const char *dir)
{
    Examples x;
    const MlmPlan mlm = mlm_plan(text->bpe);
    const uint64_t seed = (uint64_t)j->o.seed;
    TRY(examples_of(&x, j, m, text));
    x.label = NULL;
    TrainConfig train = pretrain_defaults(s->lr, s->steps, seed);
    train.shards = j->o.shards;
    const TuneWatch *w = &j->watch;
    if (w->idle) w->idle(false, w->user); /* where it stands is saved first */
    Status status = pretrain_run(m, dir, &x,
                                 &(PretrainPlan){.train = train,
                                                 .tokens = 4096,
                                                 .mlm = &mlm,
                                                 .stream = rng_stream(seed, "tune/mlm"),
                                                 .checkpoint = pretraining(j, dir),
                                                 .resume = j->resume,
                                                 .damaged = damaged,
                                                 .saving = saving,
                                                 .each = each,
                                                 .user = &(Pretraining){.j = j}});
    if (w->idle) w->idle(true, w->user);
    return status;
}

/* ---- the two models */

static Status make_encoder(TuneJob *j, Small *s, const char *dir, Reach reach)
{
    Tokenizer text;
    Model *m;
    tune_forget(j);
    if (reach < TOKENIZER) TRY(learn_tokens(j, s, dir));
    TRY(tokenizer_open(&text, j->run, dir));
    s->config.vocab = (int)tokenizer_size(&text) + 2; /* the markers */
    Status status = model_open(&m, j->run, &s->config, F32, (uint64_t)j->o.seed);
    if (!status) status = pretrain_small(j, m, &text, s, dir);
    tokenizer_close(&text);
    TRY(status);
    if (j->watch.saving) j->watch.saving(j->watch.user);
    return note_reach(j, dir, ALL);
}

Status tune_encoder(TuneJob *j)
{
    Small s = {.config = small_config("roberta"), .steps = 1500, .vocab = 4000, .lr = 1e-3, .room = 2};
    const char *dir = predictor_path(&j->p, j->run, j->p.task->base);
    s.config.positions = 256 + s.room, s.config.types = 1;
    TRY(settings(&s, j));
    Reach reach = reached(j, dir);
    if (reach < ALL) TRY(make_encoder(j, &s, dir, reach));
    file_remove(pretraining(j, dir));
    return OK;
}

/* Makes a small, randomly initialised model for messages, and its tokenizer, and saves both in `dir`. */
static Status make_writer(TuneJob *j, Small *s, const char *dir)
{
    Tokenizer text;
    Model *m;
    Config *c = &s->config;
    tune_forget(j);
    TRY(learn_tokens(j, s, dir));
    TRY(tokenizer_open(&text, j->run, dir));
    BpeSpecials special = bpe_specials(text.bpe);
    c->vocab = (int)tokenizer_size(&text) + 3; /* the marks */
    c->pad = c->decoder_start = special.pad, c->bos = special.bos, c->eos = special.eos;
    tokenizer_close(&text);
    TRY(model_open(&m, j->run, c, F32, (uint64_t)j->o.seed));
    TRY(model_save(m, dir));
    return note_reach(j, dir, ALL);
}

Status tune_writer(TuneJob *j)
{
    Small s = {.config = small_config("t5"),
               .vocab = 4000,
               .symbols = j->o.review || j->p.task == &TASK_PRETRAIN ? REVIEW_SYMBOLS : NULL};
    const char *dir = predictor_path(&j->p, j->run, j->p.task->base);
    s.config.layers = s.config.decoder_layers = 2, s.config.head_dim = 0;
    TRY(settings(&s, j));
    return reached(j, dir) < ALL ? make_writer(j, &s, dir) : OK;
}
