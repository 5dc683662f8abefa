/* vernier attend: what each head of a model attends to, as figures, a page, a table, and files to compute with.
 * With --base a second model reads the same tokens, and the page leads with the heads that moved. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "analysis/ask.h"
#include "analysis/compare.h"
#include "analysis/corpus.h"
#include "analysis/effect.h"
#include "analysis/explorer.h"
#include "analysis/importance.h"
#include "analysis/patterns.h"
#include "analysis/rollout.h"
#include "analysis/table.h"
#include "base/str.h"
#include "cli/adapter.h"

static void label_maps(Ask *k)
{
    Attention *x = &k->x;
    const Maps *m = &x->maps;
    const Tokens *keys = m->part == PART_CROSS ? &x->source : &x->tokens;
    x->labels = (MapLabels){.t = m->t,
                            .s = m->s,
                            .prefix = m->prefix,
                            .row = x->tokens.label,
                            .col = NEW(k->arena, const char *, m->s),
                            .row_title = "query",
                            .col_title = "key",
                            .causal = m->part == PART_DECODER};
    for (int64_t j = 0; j < m->s; j++)
        x->labels.col[j] = j < m->prefix ? str_print(k->arena, "%lld", (long long)j) : keys->label[j - m->prefix];
}

static const bool *specials(const Ask *k, const Tokens *t)
{
    bool *is = NEW(k->arena, bool, t->n);
    for (int64_t i = 0; i < t->n; i++) is[i] = tokenizer_is_special(k->tokenizer, t->id[i]);
    return is;
}

static void name_ids(Ask *k, Maps *m)
{
    const Tokens *keys = m->part == PART_CROSS ? &k->x.source : &k->x.tokens;
    m->query = k->x.tokens.id;
    m->key = keys->id;
    m->special = k->tokenizer ? specials(k, keys) : NULL;
}

/* Numbers that take passes of their own: on sequences that repeat, and of the loss. */
static Status read_more(Ask *k, HeadStats *more)
{
    Attention *x = &k->x;
    Part part = x->maps.part;
    int n = x->maps.layers * x->maps.heads;
    for (int i = 0; i < n + x->maps.layers; i++)
        more[i] = (HeadStats){
            .repeat_previous = NAN, .repeat_duplicate = NAN, .repeat_induction = NAN, .zeroed = NAN, .gradient = NAN};
    pattern_repeats(more, k->model, k->hooks, part, k->tokenizer);
    if (part != PART_CROSS) {
        x->rollout = rollout(k->arena, &x->maps);
        if (x->maps.t <= FLOW_MOST) x->flow = attention_flow(k->arena, &x->maps);
    }
    if (!args_given(k->args, "sweep")) return OK;
    Batch b;
    TRY(loss_batch(&b, k->arena, k->model, k->tokenizer, &k->batch, k->target));
    head_importance(more, k->model, k->hooks, &b, part);
    if (part == PART_CROSS) return OK;
    Tensor *weighted = NEW(k->arena, Tensor, x->maps.layers);
    attention_gradient(weighted, k->arena, k->model, k->hooks, &b, part);
    x->relevance = relevance(k->arena, &x->maps, weighted);
    return OK;
}

static HeadStats stats_of(const Maps *m, Tensor map, const HeadStats *more)
{
    HeadStats s = maps_stats(m, map);
    s.repeat_previous = more->repeat_previous;
    s.repeat_duplicate = more->repeat_duplicate;
    s.repeat_induction = more->repeat_induction;
    s.zeroed = more->zeroed;
    s.gradient = more->gradient;
    return s;
}

static Status read_maps(Ask *k)
{
    Attention *x = &k->x;
    Maps base;
    TRY(ask_read(k, k->arena, &k->batch, x->maps.part, x->tokens.n, &x->maps, &base));
    name_ids(k, &x->maps);
    if (k->other) name_ids(k, &base);
    HeadStats *more = NEW(k->arena, HeadStats, x->maps.layers * (x->maps.heads + 1));
    TRY(read_more(k, more));
    x->row = NEW(k->arena, HeadRow, x->layers * x->heads);
    for (int i = 0; i < x->layers * x->heads; i++) {
        HeadRow *r = &x->row[i];
        r->layer = x->layer[i / x->heads];
        r->head = x->head[i % x->heads];
        r->map = maps_head(&x->maps, k->arena, r->layer, r->head);
        int at =
            r->head == HEAD_MEAN ? x->maps.layers * x->maps.heads + r->layer : r->layer * x->maps.heads + r->head;
        r->stats = stats_of(&x->maps, r->map, &more[at]);
        if (!k->other) continue;
        r->base = maps_head(&base, k->arena, r->layer, r->head);
        r->before = maps_stats(&base, r->base);
        r->shift = maps_shift(r->map, r->base);
    }
    label_maps(k);
    return OK;
}

/* ---- answers */

/* Of one text, --html without --out and --json: the page is all that was asked for. */
static bool page_alone(const Args *a)
{
    return args_given(a, "html") && !args_given(a, "out") && !args_given(a, "json") && !args_given(a, "texts");
}

static Status answer(Ask *k)
{
    static const char *const sweeps[] = {"heads", NULL};
    const char **figures, *dir = args_text(k->args, "out", "runs/attend");
    int sweep;
    if (args_given(k->args, "html") && (args_given(k->args, "compare") || args_given(k->args, "do")))
        return fail(E_CONFIG, "--html does not go with --%s", args_given(k->args, "do") ? "do" : "compare");
    if (args_given(k->args, "compare")) return compare_answer(k, dir);
    if (args_count(k->args))
        return fail(E_CONFIG, "%s is one directory too many; --compare BASE takes tuned models", args_at(k->args, 0));
    if (args_given(k->args, "do")) return effect_answer(k, dir);
    if (args_given(k->args, "texts")) return corpus_answer(k, dir);
    TRY(args_real(&k->x.limit, k->args, "limit", 0, 1e-6, 1));
    TRY(args_word(&sweep, k->args, "sweep", 0, sweeps));
    TRY(ask_number(k));
    TRY(ask_models(k));
    TRY(ask_maps(k));
    TRY(ask_input(k));
    TRY(read_maps(k));
    if (args_given(k->args, "html")) TRY(explorer_write(k, args_text(k->args, "html", NULL)));
    if (!page_alone(k->args)) TRY(attention_write(&k->x, k->arena, dir, &figures));
    if (args_given(k->args, "json"))
        attention_json(&k->x, k->arena, dir, figures);
    else
        attention_print(&k->x);
    return OK;
}

static Status attend(const Args *args)
{
    Arena arena = arena_open(0);
    Ask k = {.args = args, .arena = &arena};
    Status status = answer(&k);
    if (!status && !args_quiet(args) && !page_alone(args))
        fprintf(stderr, "report %s/report.html\n", args_text(args, "out", "runs/attend"));
    if (!status && !args_quiet(args) && args_given(args, "html"))
        fprintf(stderr, "page %s\n", args_text(args, "html", NULL));
    if (k.tokenizer) tokenizer_close(k.tokenizer);
    arena_close(&arena);
    return status;
}

static const Option OPTIONS[] = {
    {"model", "DIR", "the model: config.json and model.safetensors"},
    ADAPTER_OPTION,
    {"base", "DIR", "another model of the same shape; figures then show what differs from it"},
    {"compare", "DIR", "the base against every operand: directories of the same shape, or adapters on it"},
    {"text", "TEXT", "what the model reads; for --part decoder and cross the target that the decoder is given"},
    {"texts", "FILE",
     "many texts, one a line or JSON Lines with \"text\": means with intervals, and where a number is most; with "
     "--compare the losses on them beside what is reached without reading (loss floors)"},
    {"ids", "LIST", "token ids instead of a text, taken as they are: 1,2,3"},
    {"source", "TEXT", "what the encoder of an encoder-decoder reads"},
    {"source-ids", "LIST", "the same as ids"},
    {"tokenizer", "DIR", "tokenizer.json, vocab.json and merges.txt, or a SentencePiece model; default: the model's"},
    {"language", "NAME", "of the text, where the model is PLBART: java, python or en_XX"},
    {"part", "NAME", "encoder, decoder or cross; default: the encoder where there is one"},
    {"layer", "L", "a layer, a list such as 0,5, or all (the default)"},
    {"head", "H", "a head, a list, all (the default), or mean over the heads"},
    {"do", "WHAT",
     "change the pass: head:L.H=0 (or a factor), prefix=scale:S, prefix=swap:DIR (another adapter's), mass:A (of the "
     "prefix), patch:SITE:L=TEXT (what SITE gives on another text, ids:1,2 or @FILE), 'steer:SITE:L=S*TEXT minus "
     "TEXT' (plus S times the difference of the means of what SITE gives on two texts, or one text's mean), "
     "SITE:L.T for position T alone; may be repeated"},
    {"dtype", "NAME", "f32 (the default), or f64 to tell a change from rounding"},
    {"number", "NAME", "a number to draw by itself, layers by heads: a column of heads.csv, such as induction"},
    {"sweep", "heads", "set the output of each head to zero in turn, and take gradients: what the loss says of it"},
    {"limit", "P", "the attention at which the colour scale ends; default: 99 of 100 cells are below"},
    {"html", "FILE",
     "one page to explore: every map, token by token, with base and prefix to switch; of --texts the first ones; "
     "with --out, --json or --texts beside the rest, else alone"},
    {"out", "DIR", "where figures/, report.html, heads.csv and maps.safetensors go; default runs/attend"},
    {"json", NULL, "print JSON in place of the table"},
    {0}};
static const Command ATTEND = {
    .name = "attend",
    .summary = "draw the attention maps of a model on a text, or what differs between two models",
    .usage = "--model DIR --text TEXT [options]\n       vernier attend --compare BASE --text TEXT [options] TUNED...",
    .about =
        "Runs a model on one text and draws the attention of every head chosen: figures as SVG, PDF and PNG, a "
        "page to read, the maps as safetensors. The table gives, as means over the rows of a map, the entropy "
        "in nats, the distance in tokens between query and key, and the mass on the first token, on special "
        "tokens and on patterns: the token itself, the one before, the next, others with the query's id, earlier "
        "ones, and what stands behind an earlier one (induction), the last two also on random sequences that "
        "repeat (r.). --compare measures what tuning changed against one base: drift of the attention over the "
        "text, what a prefix added, similarity of representations, and the change of every weight. --do "
        "intervenes, and tells what that does to the output, the loss and the attention. --texts gives means "
        "over many texts.",
    .example = "vernier attend --model DIR --text 'int x = 1 ;' --layer 0 --out runs/attend",
    .options = OPTIONS,
    .most = -1,
    .run = attend};
REGISTER(command, ATTEND)
