/* Trainable tokens: chosen rows of the token table are parameters, the rest of the table is frozen.  The pass reads
 * the table with the rows put in place, and so does a head that is tied to it.
 *
 * Merging exchanges the trained rows with the base's, so that doing it twice restores both. */
#include "peft/token_rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "nn/build.h"
#include "nn/config.h"
#include "peft/place.h"

typedef struct {
    Param *rows;
    const int32_t *index;
} Tokens;

const Linear *token_rows_table(const Model *m)
{
    for (int i = 0; i < m->n_outer; i++) {
        const Linear *l = &m->outer[i];
        if (l->layout == IN_OUT && l->in == m->config.vocab && l->out == m->config.dim) return l;
    }
    return NULL;
}

int token_rows_n(const PeftConfig *cfg)
{
    int n = cfg->tokens && *cfg->tokens;
    for (const char *s = cfg->tokens; s && (s = strchr(s, '|')); s++) n++;
    return n;
}

const char *token_rows_text(Arena *a, const int32_t *row, int n)
{
    Buf text = buf_open(a);
    for (int i = 0; i < n; i++) buf_print(&text, "%s%d", i ? "|" : "", row[i]);
    return text.text;
}

/* The rows in order; E_CONFIG where one is no number of a row. */
static Status read_rows(int32_t *row, const Model *m, const PeftConfig *cfg, const char *method)
{
    int n = 0;
    for (const char *s = cfg->tokens; s && *s; s += strcspn(s, "|"), s += *s == '|') {
        int64_t x;
        const char *one = str_copy(m->run, s, strcspn(s, "|"));
        if (!str_int(one, &x) || x < 0 || x >= m->config.vocab)
            return err_fail(E_CONFIG, "%s: tokens names the row '%.20s', expected 0 to %d", method, one,
                            m->config.vocab - 1);
        row[n++] = (int32_t)x;
    }
    return OK;
}

Status token_rows_check(const Model *m, const PeftConfig *cfg, const char *method)
{
    if (!token_rows_n(cfg)) return OK;
    if (!token_rows_table(m))
        return err_fail(E_CONFIG, "%s: this %s model has no token table", method, m->config.arch);
    return read_rows(NEW(m->run, int32_t, token_rows_n(cfg)), m, cfg, method);
}

static const char *name_of(const Model *m, const char *method)
{
    const Linear *table = token_rows_table(m);
    return table ? str_print(m->run, "peft.%s.%s.rows", method, table->name) : "";
}

Param *token_rows_param(const Model *m, const char *method)
{
    return param_find(m->params, name_of(m, method));
}

static Var *with_rows(Tape *t, Var *base, void *user)
{
    const Tokens *x = user;
    return op_put_rows(t, base, tape_param(t, x->rows), x->index);
}

static void copy_row(Tensor to, int64_t i, Tensor from, int64_t j)
{
    int64_t c = tensor_last(to);
    for (int64_t k = 0; k < c; k++) tensor_set(to, i * c + k, tensor_get(from, j * c + k));
}

/* ---- the bias of a tied head: PEFT's wrapper around the head leaves it out, and rows are trained without it */

static Param *tied_bias(const Model *m)
{
    const Format *f = m->arch->format;
    const Alias *tied = build_tied_head(m->arch);
    if (!tied || !m->config.tie_head) return NULL;
    const char *file = str_print(m->run, "%.*s.bias", (int)(strlen(tied->file) - strlen(".weight")), tied->file);
    for (const Alias *a = f->alias; a && a->name; a++)
        if (!strcmp(a->file, file)) return param_find(m->params, a->name);
    return param_find(m->params, file);
}

/* Where merging keeps the bias; nothing reads it before. */
static const char *bias_name(const Model *m, const char *method)
{
    return str_print(m->run, "peft.%s.%s.no_bias", method, token_rows_table(m)->name);
}

static Var *no_bias(Tape *t, Var *base, void *user)
{
    (void)user;
    return tape_leaf(t, tensor_zero(tape_arena(t), base->val.dtype, base->val.rank, base->val.dim));
}

Status token_rows_attach(Model *m, Hooks *hooks, const PeftConfig *cfg, const char *method)
{
    int n = token_rows_n(cfg);
    if (!n) return OK;
    TRY(token_rows_check(m, cfg, method));
    const Linear *table = token_rows_table(m);
    Tokens *x = NEW(m->run, Tokens, 1);
    int32_t *row = NEW(m->run, int32_t, n);
    TRY(read_rows(row, m, cfg, method));
    x->rows = param_add(m->params, name_of(m, method), (Init){INIT_ZERO, 0}, SHAPE(n, table->out));
    x->index = row;
    for (int i = 0; i < n; i++) copy_row(x->rows->val, i, table->w->val, row[i]);
    hooks_derive(hooks, table->w, with_rows, x);
    Param *bias = tied_bias(m);
    if (!bias) return OK;
    param_add(m->params, bias_name(m, method), (Init){INIT_ZERO, 0}, bias->val.rank, bias->val.dim);
    hooks_derive(hooks, bias, no_bias, NULL);
    return OK;
}

int64_t token_rows_count(const Model *m, const PeftConfig *cfg)
{
    return (int64_t)token_rows_n(cfg) * m->config.dim;
}

void token_rows_swap(Model *m, const PeftConfig *cfg, const char *method, bool merge)
{
    Param *rows = token_rows_n(cfg) ? token_rows_param(m, method) : NULL;
    if (!rows) return;
    const Linear *table = token_rows_table(m);
    int n = token_rows_n(cfg);
    int32_t *row = NEW(m->run, int32_t, n);
    if (read_rows(row, m, cfg, method)) return;
    param_widen(table->w);
    Tensor old = tensor_copy(m->run, rows->val);
    for (int i = 0; i < n; i++) copy_row(old, i, table->w->val, row[i]);
    for (int i = 0; i < n; i++) copy_row(table->w->val, row[i], rows->val, i);
    for (int i = 0; i < n; i++) copy_row(rows->val, i, old, i);
    Param *kept = param_find(m->params, bias_name(m, method)), *bias = tied_bias(m);
    if (!kept || !bias) return;
    if (merge) kept->val = tensor_copy(m->run, bias->val);
    bias->val =
        merge ? tensor_zero(m->run, bias->val.dtype, bias->val.rank, bias->val.dim) : tensor_copy(m->run, kept->val);
}

/* ---- the method */

static void defaults(PeftConfig *cfg, const Config *c)
{
    (void)c;
    place_all(cfg, true);
    cfg->tokens = "0";
}

static Status attach(Model *m, Hooks *hooks, const PeftConfig *cfg)
{
    if (!token_rows_n(cfg))
        return err_fail(E_CONFIG, "tokens: no rows are named, expected a list like tokens=5|8|100");
    return token_rows_attach(m, hooks, cfg, "tokens");
}

static Status swap(Model *m, const PeftConfig *cfg, bool merge)
{
    if (!token_rows_param(m, "tokens"))
        return err_fail(E_CONFIG, "tokens is not attached to this model, so there is nothing to fold");
    token_rows_swap(m, cfg, "tokens", merge);
    return OK;
}

static Status merge(Model *m, const PeftConfig *cfg)
{
    return swap(m, cfg, true);
}

static Status unmerge(Model *m, const PeftConfig *cfg)
{
    return swap(m, cfg, false);
}

const Peft PEFT_TOKENS = {
    .name = "tokens",
    .summary = "train chosen rows of the token table",
    .source = "Mangrulkar et al., PEFT: Trainable Tokens, 2025",
    .defaults = defaults,
    .attach = attach,
    .merge = merge,
    .unmerge = unmerge,
    .count = token_rows_count,
    .frozen = "peft.*.no_bias",
    .before_layers = true,
    .lr = 1e-3,
    .small_lr = 1e-3,
};
REGISTER(peft, PEFT_TOKENS)
