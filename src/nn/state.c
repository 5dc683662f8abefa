/* A wrapper is found by the model's own names: the first linear layer's tensor shows each place where a model may
 * begin, and the place that holds most of the parameters is the model.  So any wrapper will do, however deep: a
 * trainer's `model.`, DataParallel's `module.`, torch.compile's `_orig_mod.`, or the `encoder.` of somebody's class.
 *
 * Each tensor that the model does not read is looked up in lists of heads.  A name that stands in none may be a layer
 * that the config forgot, and is refused. */
#include "nn/state.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "nn/build.h"

enum { PLACES_MOST = 16, NAMED_MOST = 6 };

/* Heads of transformers' classes, of libraries that train with rewards, and leftovers of training. */
static const Head HEADS[] = {{"lm_head", "language modelling"},
                             {"cls", "BERT's pretraining"},
                             {"final_logits_bias", "language modelling"},
                             {"embed_out", "language modelling"},
                             {"classifier", "classification"},
                             {"classification_head", "classification"},
                             {"score", "classification"},
                             {"qa_outputs", "question answering"},
                             {"pooler", "a sentence vector"},
                             {"v_head", "a value, in reinforcement learning"},
                             {"value_head", "a value, in reinforcement learning"},
                             {"loss_fct", "the weights of a loss"},
                             {"loss_fn", "the weights of a loss"},
                             {"loss", "the weights of a loss"},
                             {"criterion", "the weights of a loss"},
                             {"_extra_state", "the state of a training library"},
                             {0}};

static void say(const State *s, Arena *a, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void say(const State *s, Arena *a, const char *fmt, ...)
{
    if (!s->say) return;
    va_list args;
    va_start(args, fmt);
    s->say(str_print(a, "%s: %s", weights_path(s->w), str_vprint(a, fmt, args, NULL)), s->user);
    va_end(args);
}

static bool begins(const char *name, const char *with)
{
    return !strncmp(name, with, strlen(with));
}

/* ---- the wrapper */

/* A place where a model may begin, and how many of the parameters are found there. */
typedef struct {
    const char *wrapper;
    int found;
} Place;

static const Stored *under(const State *s, const char *wrapper, const char *name)
{
    char full[1024];
    snprintf(full, sizeof full, "%s%s%s", wrapper, s->format->prefix, name);
    const Stored *t = weights_find(s->w, full);
    snprintf(full, sizeof full, "%s%s", wrapper, name);
    return t ? t : weights_find(s->w, full);
}

static int count_under(const State *s, const char *wrapper, const Model *m)
{
    int n = 0;
    for (int i = 0; i < params_n(m->params); i++) n += under(s, wrapper, params_at(m->params, i)->name) != NULL;
    return n;
}

/* The wrapper of a tensor that is called `anchor` in the model; NULL when it is another tensor. */
static const char *wrapper_of(const State *s, Arena *a, const char *name, const char *anchor)
{
    size_t n = strlen(name), tail = strlen(anchor), prefix = strlen(s->format->prefix);
    if (n < tail || strcmp(name + n - tail, anchor) != 0) return NULL;
    n -= tail;
    if (n && name[n - 1] != '.') return NULL;
    if (n >= prefix && !strncmp(name + n - prefix, s->format->prefix, prefix)) n -= prefix;
    return n && name[n - 1] != '.' ? NULL : str_copy(a, name, n);
}

/* The model's parameters without a head, as a list of names. */
static Status open_names(Model **m, Arena *a, const Config *config)
{
    Config c = *config;
    c.classes = 0;
    c.no_lm_head = true;
    c.plain_head = c.pooler = false;
    return model_open_blank(m, a, &c, F32, 0);
}

static int find_places(const State *s, Arena *a, const Model *m, Place *at)
{
    int n = 0;
    const char *anchor = m->linears[0].w->name;
    for (int i = 0; i < weights_n(s->w) && n < PLACES_MOST; i++) {
        const char *wrapper = wrapper_of(s, a, weights_at(s->w, i)->name, anchor);
        bool known = !wrapper;
        for (int k = 0; k < n && !known; k++) known = !strcmp(at[k].wrapper, wrapper);
        if (!known) at[n++] = (Place){wrapper, count_under(s, wrapper, m)};
    }
    return n;
}

/* The second of two models in one file must be the first one again, as an encoder that is its own decoder. */
static Status check_copy(State *s, const Model *m, const char *copy)
{
    for (int i = 0; i < params_n(m->params); i++) {
        const char *name = params_at(m->params, i)->name;
        const Stored *a = under(s, s->wrapper, name), *b = under(s, copy, name);
        if (a && b && !stored_same_values(a, b))
            return err_fail(E_MISMATCH, "%s: holds two models, under '%s' and '%s', whose %s differ; expected one",
                            weights_path(s->w), s->wrapper, copy, name);
    }
    s->copy = copy;
    return OK;
}

static Status choose_place(State *s, const Model *m, const Place *at, int n)
{
    const Place *best = at;
    for (int i = 1; i < n; i++) {
        bool shorter = strlen(at[i].wrapper) < strlen(best->wrapper);
        if (at[i].found > best->found || (at[i].found == best->found && !*at[i].wrapper && shorter)) best = &at[i];
    }
    s->wrapper = n ? best->wrapper : "";
    for (int i = 0; i < n && *s->wrapper; i++)
        if (&at[i] != best && at[i].found == best->found) TRY(check_copy(s, m, at[i].wrapper));
    return OK;
}

/* Names in quotation marks, the first few of them. */
static void list_name(Buf *b, const char *name, int n)
{
    if (n < NAMED_MOST) buf_print(b, "%s'%s'", n ? ", " : "", name);
    if (n == NAMED_MOST) buf_print(b, ", ...");
}

static Status unwrap(State *s, Arena *run)
{
    Buf beside = buf_open(run);
    int n = 0;
    if (*weights_dropped(s->w)) say(s, run, "every name begins with '%s', which is taken off", weights_dropped(s->w));
    for (int i = 0; i < weights_n(s->w) && *s->wrapper; i++) {
        const char *name = weights_at(s->w, i)->name;
        if (!begins(name, s->wrapper) && !(s->copy && begins(name, s->copy))) list_name(&beside, name, n++);
    }
    if (!*s->wrapper) return OK;
    if (!n) say(s, run, "every name begins with '%s', which is taken off", s->wrapper);
    if (n)
        say(s, run, "names begin with '%s', which is taken off; beside them %s %s", s->wrapper,
            str_plural(n, "stands", "stand"), beside.text);
    if (s->copy) say(s, run, "a second copy of the model, under '%s', has the same values and is skipped", s->copy);
    return weights_unprefix(s->w, run, s->wrapper);
}

Status state_open(State *s, Arena *run, Weights *w, const Config *c, const Format *format, const LoadOptions *o)
{
    *s = (State){.format = format,
                 .w = w,
                 .used = NEW(run, bool, weights_n(w)),
                 .prefix = "",
                 .wrapper = "",
                 .say = o->say,
                 .user = o->user};
    Arena scratch = arena_open((size_t)1 << 30);
    Model *m;
    Place at[PLACES_MOST];
    Status status = open_names(&m, &scratch, c);
    if (!status) status = choose_place(s, m, at, find_places(s, &scratch, m, at));
    s->wrapper = str_copy(run, s->wrapper, strlen(s->wrapper));
    if (s->copy) s->copy = str_copy(run, s->copy, strlen(s->copy));
    if (!status) status = unwrap(s, run);
    if (!status && !format_is_base(format, w)) s->prefix = format->prefix;
    arena_close(&scratch);
    return status;
}

/* ---- the vocabulary */

/* The token table: the first parameter with as many rows as the vocabulary, and the model's width. */
static const Param *table_of(const Model *m)
{
    for (int i = 0; i < params_n(m->params); i++) {
        const Tensor *v = &params_at(m->params, i)->val;
        if (v->rank == 2 && v->dim[0] == m->config.vocab && v->dim[1] == m->config.dim)
            return params_at(m->params, i);
    }
    return NULL;
}

Status state_vocabulary(State *s, Arena *run, Config *c, const LoadOptions *o)
{
    Arena scratch = arena_open((size_t)1 << 30);
    Model *m;
    const Stored *t = NULL;
    Status status = open_names(&m, &scratch, c);
    const Param *table = status ? NULL : table_of(m);
    if (table) t = format_find(s->format, s->w, table->name);
    arena_close(&scratch);
    if (status || !t || t->rank != 2 || t->dim[1] != c->dim || t->dim[0] == c->vocab) return status;
    if (!o->vocab_from_file)
        return err_fail(E_MISMATCH,
                        "%s: tensor '%s' has %lld rows, but vocab_size of config.json is %d; --vocab-from-file takes "
                        "the file's size",
                        weights_path(s->w), t->name, (long long)t->dim[0], c->vocab);
    if (t->dim[0] < 1 || t->dim[0] > INT32_MAX)
        return err_fail(E_MISMATCH, "%s: tensor '%s' has %lld rows, expected those of a vocabulary",
                        weights_path(s->w), t->name, (long long)t->dim[0]);
    say(s, run, "the vocabulary has %lld tokens, as '%s' has rows; config.json has %d", (long long)t->dim[0], t->name,
        c->vocab);
    c->vocab = (int)t->dim[0];
    return OK;
}

/* ---- tensors that are left */

const Stored *state_take(State *s, const char *name)
{
    const Stored *t = format_find(s->format, s->w, name);
    if (t) s->used[t - weights_at(s->w, 0)] = true;
    return t;
}

static const char *without_prefix(const State *s, const char *name)
{
    return name + (begins(name, s->format->prefix) ? strlen(s->format->prefix) : 0);
}

static bool is_below(const char *name, const char *head)
{
    size_t n = strlen(name), h = strlen(head);
    if (n > h && name[n - h - 1] == '.' && !strcmp(name + n - h, head)) return true;
    return begins(name, head) && (name[h] == '.' || !name[h]);
}

static const Head *head_of(const State *s, const char *name)
{
    for (const Head *h = HEADS; h->name; h++)
        if (is_below(name, h->name)) return h;
    for (const Head *h = s->format->heads; h && h->name; h++)
        if (is_below(name, h->name)) return h;
    return NULL;
}

static bool is_alias(const State *s, const char *name)
{
    for (const Alias *a = s->format->alias; a && a->name; a++)
        if (!strcmp(a->file, name)) return true;
    return false;
}

/* A copy of a tied table.  A head that the model goes without may be its own. */
static Status check_tied(const State *s, Arena *run, const Config *c)
{
    for (const Alias *a = s->format->alias; a && a->name; a++) {
        const Stored *own = format_find(s->format, s->w, a->name), *twin = format_find(s->format, s->w, a->file);
        if (c->no_lm_head && build_is_any_head(a->file)) continue;
        if (!own || !twin || own == twin || s->used[twin - weights_at(s->w, 0)] || stored_same_values(own, twin))
            continue;
        if (!c->tie_head)
            return err_fail(E_MISMATCH,
                            "%s: tensor '%s' is not '%s', and one table for both is all that is supported",
                            weights_path(s->w), twin->name, own->name);
        if (s->format->refuses_stale_head)
            return err_fail(E_MISMATCH,
                            "%s: tensor '%s' is not '%s', but config.json ties them; expected equal values, or "
                            "tie_word_embeddings false",
                            weights_path(s->w), twin->name, own->name);
        say(s, run, "'%s' differs from '%s', to which config.json ties it, and is not read", twin->name, own->name);
    }
    return OK;
}

/* A head that the caller does not want needs no remark. */
static bool is_unwanted(const Head *h, const LoadOptions *o)
{
    return o->no_lm_head && str_glob("lm_head|cls|final_logits_bias", h->name);
}

/* The tensors of each head in one remark, at its first tensor. */
static void say_skipped(const State *s, Arena *run, const Head *head, int first)
{
    Buf names = buf_open(run);
    for (int i = first, n = 0; i < weights_n(s->w); i++) {
        const char *name = weights_at(s->w, i)->name;
        if (!s->used[i] && head_of(s, without_prefix(s, name)) == head) list_name(&names, name, n++);
    }
    say(s, run, "skipped %s: %s", names.text, head->purpose);
}

Status state_close(State *s, Arena *run, const Config *c, const LoadOptions *o)
{
    TRY(check_tied(s, run, c));
    const Head *told[sizeof HEADS / sizeof *HEADS + 64];
    int n_told = 0;
    for (int i = 0; i < weights_n(s->w); i++) {
        const char *full = weights_at(s->w, i)->name, *name = without_prefix(s, full);
        if (s->used[i] || is_alias(s, name) || str_glob(s->format->ignore, name)) continue;
        if (str_glob(s->format->ignore, full) || (s->copy && begins(full, s->copy))) continue;
        const Head *head = head_of(s, name);
        if (!head)
            return err_fail(E_MISMATCH, "%s: tensor '%s' %s has no place in the model that config.json describes",
                            weights_path(s->w), full, stored_shape(weights_at(s->w, i)));
        bool again = is_unwanted(head, o);
        for (int k = 0; k < n_told && !again; k++) again = told[k] == head;
        if (!again && n_told < (int)(sizeof told / sizeof *told)) told[n_told++] = head;
        if (!again) say_skipped(s, run, head, i);
    }
    return OK;
}
