/* Rows: read or generated, checked, and tokenized under each protocol. */
#include <string.h>
#include <unistd.h>

#include "base/hf_cache.h"
#include "base/str.h"
#include "nn/config.h"
#include "probe/make.h"
#include "probes/probing.h"

/* ---- rows ---- */

/* A probe needs rows of two labels in every split; an error names the line of the fault. */
static Status check_splits(const Dataset *d)
{
    static const char *const CODE[SPLITS] = {"tr", "va", "te"};
    for (int s = 0; s < SPLITS; s++) {
        if (!d->size[s])
            return err_fail(E_FORMAT,
                            "%s:%lld: the file ends without a row of the %s split (%s), expected rows of all three",
                            d->name, (long long)d->n, split_name((Split)s), CODE[s]);
        for (int64_t i = 0; i < d->n; i++) {
            const Example *e = &d->example[i];
            if (e->split != (Split)s) continue;
            if (d->count[s][e->label] == d->size[s])
                return err_fail(
                    E_FORMAT,
                    "%s:%lld: the %s split begins here and all its %lld rows are labelled %s, expected two "
                    "labels or more",
                    d->name, (long long)i + 1, split_name((Split)s), (long long)d->size[s], d->label[e->label]);
            break;
        }
    }
    return OK;
}

/* The synthetic rows are written to the run directory, for reports that name line numbers. */
static Status invent(Probing *lab, Run *r)
{
    MakeStats stats;
    MakeOptions o = make_invented(lab->task, run_int(r, "examples"), (uint64_t)run_int(r, "data-seed"));
    o.study = !strcmp(run_text(r, "recipe"), "study");
    o.balance &= !o.study;
    TRY(make_probe(&lab->set, &lab->arena, &o, &stats));
    lab->set.name = "data.txt";
    return dataset_write(&lab->set, run_path(r, "data.txt"));
}

static Status read_rows(Probing *lab, Run *r)
{
    const char *path = run_text(r, "data");
    if (lab->task == TASKS) return table_rows(lab, r);
    if (*run_text(r, "text-column") || *run_text(r, "label-column"))
        return err_fail(E_CONFIG, "--text-column and --label-column are for --task own; %s has rows of its own form",
                        TASK_NAMES[lab->task]);
    if (!*path) return invent(lab, r);
    TRY(run_input(r, path));
    TRY(dataset_read(&lab->set, &lab->arena, path));
    return check_splits(&lab->set);
}

/* ---- the tokenizer and the shape of the encoder ---- */

/* Trains a tokenizer on the training texts, and sets the configuration of a small encoder. */
static Status train_tokenizer(Probing *lab, const Run *r)
{
    static const char *const MARKS_TOO[] = {"<add>", "<del>", NULL};
    Arena *a = &lab->arena;
    Bytes *text = NEW(a, Bytes, lab->set.n);
    int64_t n = 0;
    for (int64_t i = 0; i < lab->set.n; i++) {
        const Example *e = &lab->set.example[i];
        if (e->split == SPLIT_TRAIN) text[n++] = (Bytes){(char *)(uintptr_t)e->text, e->len};
    }
    Bpe *bpe;
    TRY(bpe_train(&bpe, a,
                  &(BpeTrain){.size = run_int(r, "vocab"),
                              .special = lab->task == TASK_TYP || lab->task == TASKS ? NULL : MARKS_TOO},
                  text, n));
    lab->tokenizer = tokenizer_of(bpe);
    BpeSpecials special = bpe_specials(bpe);
    Config c = {0};
    arch_find("roberta")->defaults(&c);
    c.vocab = (int)bpe_size(bpe), c.positions = (int)run_int(r, "tokens") + 2, c.types = 1;
    c.dim = (int)run_int(r, "dim"), c.heads = (int)run_int(r, "heads"), c.layers = (int)run_int(r, "layers");
    c.hidden = 4 * c.dim, c.pad = special.pad, c.bos = special.bos, c.eos = special.eos;
    lab->config = c;
    return OK;
}

/* Hashes those of the files that are there. */
static Status note_files(Run *r, const char *dir, const char *const *names)
{
    for (; *names; names++) {
        const char *path = str_print(run_arena(r), "%s/%s", dir, *names);
        if (!access(path, R_OK)) TRY(run_input(r, path));
    }
    return OK;
}

/* The model's vocabulary as its weights have it, for one of random weights, too. */
static Status read_vocabulary(Probing *lab, Run *r)
{
    Survey found;
    LoadOptions how = probing_load(r);
    TRY(model_survey(&found, &lab->arena, lab->model, &how));
    lab->config.vocab = found.config.vocab;
    return OK;
}

static Status find_model(Probing *lab, Run *r)
{
    static const char *const WEIGHTS[] = {"model.safetensors", "pytorch_model.bin", NULL},
                             *const ADAPTER[] = {"adapter_config.json", "adapter_model.safetensors",
                                                 "adapter_model.bin",   "adapter.safetensors",
                                                 "pytorch_adapter.bin", NULL};
    const char *given = run_text(r, "model"), *tokenizer = run_text(r, "tokenizer"), *config;
    TRY(hf_cache_find(&lab->model, &lab->arena, given));
    TRY(config_load(&lab->config, lab->model));
    if (run_flag(r, "vocab-from-file")) TRY(read_vocabulary(lab, r));
    TRY(config_path(&config, &lab->arena, lab->model));
    lab->config.no_lm_head = true;
    TRY(run_input(r, config));
    TRY(note_files(r, file_folder(&lab->arena, lab->model), WEIGHTS));
    if (*run_text(r, "adapter")) TRY(note_files(r, run_text(r, "adapter"), ADAPTER));
    return tokenizer_open(&lab->tokenizer, &lab->arena, *tokenizer ? tokenizer : lab->model);
}

/* Opens the model's tokenizer, or trains one, and sets the lengths that the model allows. */
static Status open_encoder_text(Probing *lab, Run *r)
{
    if (*run_text(r, "model"))
        TRY(find_model(lab, r));
    else if (*run_text(r, "adapter") || *run_text(r, "tokenizer"))
        return err_fail(E_CONFIG, "--adapter and --tokenizer need --model");
    else
        TRY(train_tokenizer(lab, r));
    const Config *c = &lab->config;
    lab->layers = c->layers + 1;
    if (lab->layers > MOST_LAYERS)
        return err_fail(E_MISMATCH, "%s: the model has %d layers, expected at most %d", lab->model, c->layers,
                        MOST_LAYERS - 1);
    lab->room = config_room(c);
    lab->most = run_int(r, "tokens");
    if (lab->room && lab->most > lab->room) lab->most = lab->room;
    return lab->most >= 4
               ? OK
               : err_fail(E_MISMATCH, "%s: has positions for %lld tokens", lab->model, (long long)lab->room);
}

/* ---- parts of the rows ---- */

/* The settings in words and values, by the task where they are left to it. */
static Status choose_features(Probing *lab, Run *r, bool *marked, bool *pair)
{
    const char *pooling = run_text(r, "pooling"), *features = run_text(r, "features");
    const char *task = lab->task == TASKS ? "this table" : TASK_NAMES[lab->task];
    bool own = !strcmp(pooling, "auto"), pairs = lab->task == TASK_CCM || lab->second;
    bool spans = lab->task == TASK_LTP || lab->spans;
    *pair = !strcmp(features, "auto") ? pairs : *features == 'p';
    *marked = own ? spans : !strcmp(pooling, "mask") || !strcmp(pooling, "span");
    if (*pair && !pairs)
        return err_fail(E_CONFIG, "--features pair: a row of %s is one text; expected --task ccm or --pair-column",
                        task);
    if (*marked && !spans)
        return err_fail(E_CONFIG, "--pooling %s: the rows of %s have no span; expected --task ltp or --span-column",
                        pooling, task);
    lab->pooling = own || *marked ? FEATURE_MEAN : feature_pooling(pooling);
    lab->reads = *marked && lab->spans ? "mean over the span"
                 : *marked             ? "state at the <mask>"
                                       : str_print(run_arena(r), "%s over tokens, %s", FEATURE_POOLING[lab->pooling],
                                       *pair ? "pair features [u; v; |u-v|; u*v]" : "single features");
    return OK;
}

/* The bytes of a row's part: the message (0) and the change (1), or the mask. */
static void part_bytes(const Probing *lab, const Example *e, int part, size_t *from, size_t *to)
{
    const char *mask = lab->task == TASK_LTP ? strstr(e->text, MARK_TEXT[MARK_MASK]) : NULL;
    size_t message = e->len;
    *from = 0, *to = 0;
    if (lab->second || lab->spans) {
        ByteSpan s = lab->bytes[part][e - lab->set.example];
        *from = s.from, *to = s.to;
    } else if (lab->task == TASK_CCM) {
        Segment *s;
        Arena scratch = arena_open(0);
        text_segments(&s, &scratch, e->text, e->len, &message);
        arena_close(&scratch);
        *from = part ? message : 0, *to = part ? e->len : message;
    } else if (mask) {
        *from = (size_t)(mask - e->text), *to = *from + strlen(MARK_TEXT[MARK_MASK]);
    }
}

/* The tokens that stand for some of the bytes. */
static TokenSpan tokens_of(const BpeText *t, size_t from, size_t to)
{
    TokenSpan s = {0, 0};
    for (int64_t i = 0; i < t->n; i++) {
        if (t->begin[i] < 0 || t->end[i] <= (int64_t)from || t->begin[i] >= (int64_t)to) continue;
        if (s.to == 0) s.from = (int32_t)i;
        s.to = (int32_t)i + 1;
    }
    return s;
}

/* A text whose mask is not among the first tokens loses its beginning, so that the mask is read. */
static BpeText around_mask(const Probing *lab, Arena *a, const Example *e, const BpeText *t)
{
    size_t from, to;
    part_bytes(lab, e, 0, &from, &to);
    TokenSpan mask = tokens_of(t, from, to);
    int64_t first = mask.from - lab->most / 2;
    if ((lab->task != TASK_LTP && !lab->spans) || mask.from < lab->most * 3 / 4 || first < 1) return *t;
    BpeText out = text_new(a, t->n - first);
    text_put(&out, 0, t, first, t->n - first);
    out.n = t->n - first;
    return out;
}

/* ---- tokens ---- */

static int32_t unknown_piece(const Tokenizer *t)
{
    return t->spm ? spm_specials(t->spm).unk : t->named[NAME_UNK];
}

/* The id of a word as a vocabulary of words would have it: its own, or that of an unknown word. */
static int32_t word_id(const Probing *lab, const char *word)
{
    const Tokenizer *t = &lab->tokenizer;
    enum { FAIRSEQ_UNK = 3 };
    int32_t id = t->spm ? -1 : t->bpe ? bpe_find(t->bpe, word) : tokenizer_find(t, word);
    if (id < 0) id = t->bpe ? bpe_specials(t->bpe).unk : t->shift ? FAIRSEQ_UNK : unknown_piece(t);
    return id >= 0 ? id : lab->config.eos;
}

/* Published: the words "[CLS]" and "[SEP]" around, whatever the model would have there. */
static BpeText compat_frame(const Probing *lab, Arena *a, const BpeText *text)
{
    int64_t n = text->n < lab->most - 2 ? text->n : lab->most - 2;
    BpeText out = text_new(a, n + 2);
    out.n = n + 2;
    text_put(&out, 1, text, 0, n);
    out.id[0] = word_id(lab, "[CLS]"), out.id[n + 1] = word_id(lab, "[SEP]");
    out.begin[0] = out.end[0] = out.begin[n + 1] = out.end[n + 1] = -1;
    return out;
}

static bool is_cut(const BpeText *framed, const BpeText *text)
{
    int64_t end = -1;
    for (int64_t i = 0; i < framed->n; i++)
        if (framed->end[i] > end) end = framed->end[i];
    return text->n > 0 && end < text->end[text->n - 1];
}

/* Two texts apart, with the bytes that they have in the row. */
static void encode_pair(BpeText *t, BpeText *u, Probing *lab, int64_t row)
{
    Bytes a = table_part(lab, row, 0), b = table_part(lab, row, 1);
    *t = tokenizer_encode(&lab->tokenizer, &lab->arena, a.text, a.len, false);
    *u = tokenizer_encode(&lab->tokenizer, &lab->arena, b.text, b.len, false);
    int64_t from = (int64_t)lab->bytes[1][row].from;
    for (int64_t i = 0; i < u->n; i++) u->begin[i] += from, u->end[i] += from;
}

/* Tags are the tokenizer's own tokens where it has them: <mask> of a model that has one, <add>, <del> of ours. */
static Status encode_row(BpeText *out, Probing *lab, const Run *r, Protocol how, int64_t row)
{
    const Example *e = &lab->set.example[row];
    Arena *a = &lab->arena;
    BpeText t = tokenizer_encode(&lab->tokenizer, a, e->text, e->len, lab->task != TASK_TYP && lab->task != TASKS),
            u = {0};
    if (lab->second && how != COMPAT) encode_pair(&t, &u, lab, row);
    if (how != COMPAT) t = around_mask(lab, a, e, &t);
    if (how == COMPAT)
        *out = compat_frame(lab, a, &t);
    else
        TRY(tokenizer_wrap(out, &lab->tokenizer, a, &t, lab->second ? &u : NULL, run_text(r, "language"),
                           (Limit){.most = lab->most}));
    lab->cut += how == probing_leading(lab) && is_cut(out, &t);
    if (out->n < 1) return err_fail(E_FORMAT, "%s:%lld: the text has no tokens", lab->set.name, (long long)row + 1);
    for (int64_t i = 0; i < out->n; i++)
        if (out->id[i] < 0 || out->id[i] >= lab->config.vocab)
            return err_fail(E_MISMATCH, "%s:%lld: the tokenizer gives id %d, the model's vocabulary has %d",
                            lab->set.name, (long long)row + 1, out->id[i], lab->config.vocab);
    return OK;
}

/* Tokenizes all examples for each protocol; those of training also serve for pretraining. */
Status probing_texts(Probing *lab, Run *r)
{
    TRY(read_rows(lab, r));
    return probing_encode(lab, r);
}

Status probing_encode(Probing *lab, Run *r)
{
    TRY(open_encoder_text(lab, r));
    bool marked, pair;
    TRY(choose_features(lab, r, &marked, &pair));
    int64_t n = lab->set.n;
    TokenSpan *part[2] = {NEW(&lab->arena, TokenSpan, n), NEW(&lab->arena, TokenSpan, n)};
    if (marked || pair) lab->part[0] = part[0];
    if (pair) lab->part[1] = part[1];
    for (Protocol how = CORRECT; how < PROTOCOLS; how++) {
        if (how == FIRST_TOKEN) continue;           /* the texts of "correct" */
        bool train = how == CORRECT && !lab->model; /* pretraining reads the correct frame in any case */
        if (!lab->wanted[how] && !train) continue;
        const int32_t **ids = NEW(&lab->arena, const int32_t *, n), **some = NEW(&lab->arena, const int32_t *, n);
        int32_t *len = NEW(&lab->arena, int32_t, n), *some_len = NEW(&lab->arena, int32_t, n);
        int64_t trained = 0;
        for (int64_t i = 0; i < n; i++) {
            BpeText t;
            TRY(encode_row(&t, lab, r, how, i));
            ids[i] = t.id, len[i] = (int32_t)t.n;
            for (int k = 0; how == CORRECT && k < 1 + pair; k++) {
                size_t from, to;
                part_bytes(lab, &lab->set.example[i], k, &from, &to);
                part[k][i] = tokens_of(&t, from, to);
                lab->partless += lab->part[k] && part[k][i].to == 0;
            }
            if (lab->set.example[i].split == SPLIT_TRAIN) some[trained] = t.id, some_len[trained++] = (int32_t)t.n;
        }
        lab->examples[how] = (Examples){.n = n, .ids = ids, .len = len};
        if (how == CORRECT) lab->examples[FIRST_TOKEN] = lab->examples[how];
        if (train) lab->training = (Examples){.n = trained, .ids = some, .len = some_len};
    }
    return OK;
}
