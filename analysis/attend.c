/* vernier attend: the attention of each head of a model, as figures, a page, a table, and files to compute with.
 * With --base a second model reads the same tokens, and the page begins with the heads that changed most. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "analysis/ask.h"
#include "analysis/compare.h"
#include "analysis/corpus.h"
#include "analysis/effect.h"
#include "analysis/explorer.h"
#include "analysis/importance.h"
#include "analysis/patterns.h"
#include "analysis/rollout.h"
#include "analysis/table.h"
#include "analysis/view.h"
#include "base/dirs.h"
#include "base/print.h"
#include "base/str.h"
#include "cli/adapter.h"

/* --by and --no-prefix, before the model is read. */
static Status ask_view(Ask *k)
{
    static const char *const not_here[] = {"compare", "do", "texts", NULL};
    int by = -1;
    for (const char *const *o = not_here; *o; o++)
        for (int i = 0; i < 2; i++) {
            const char *mine = i ? "no-prefix" : "by";
            if (args_given(k->args, mine) && args_given(k->args, *o))
                return err_fail(E_CONFIG, "--%s and --%s exclude each other", mine, *o);
        }
    TRY(args_word(&by, k->args, "by", by, BY_NAME + 1));
    k->x.by = (By)(by + 1);
    k->x.without_prefix = args_given(k->args, "no-prefix");
    return OK;
}

/* Prepares the grouping of tokens by --by and --no-prefix, and rejects options that do not fit the text. */
static Status view_open(View *v, Ask *k)
{
    PageAttention *x = &k->x;
    if (x->without_prefix && !x->maps.prefix)
        return err_fail(E_CONFIG, "--no-prefix: there is no prefix in front of the %s's keys",
                        part_name(x->maps.part));
    if (x->by && !k->tokenizer)
        return err_fail(E_IO,
                        "--by %s needs a tokenizer for the text of the ids, and %s has none; name one with "
                        "--tokenizer DIR",
                        BY_NAME[x->by], x->model);
    *v = view_of(k->arena, x, &x->tokens, x->maps.part == PART_CROSS ? &x->source : &x->tokens);
    if (x->by == BY_SIDES && !v->row.changed && !v->col.changed)
        return err_fail(E_CONFIG, "--by sides: the text has neither <add>, <del> or <keep> nor the lines of a diff");
    return OK;
}

/* Labels the rows and columns of the drawn maps; virtual keys are numbered. */
static void label_maps(Ask *k, const View *v)
{
    PageAttention *x = &k->x;
    const Maps *m = &x->maps;
    const char *one = x->by ? str_print(k->arena, " %s", BY_ONE[x->by]) : "";
    x->labels = (MapLabels){.t = m->t,
                            .s = m->s,
                            .prefix = m->prefix,
                            .row = v->row.label,
                            .col = NEW(k->arena, const char *, m->s),
                            .row_title = str_print(k->arena, "query%s", one),
                            .col_title = str_print(k->arena, "key%s", one),
                            .causal = maps_causal(m)};
    for (int64_t j = 0; j < m->s; j++)
        x->labels.col[j] = j < m->prefix ? str_print(k->arena, "%lld", (long long)j) : v->col.label[j - m->prefix];
}

static void name_ids(Ask *k, Maps *m)
{
    const Tokens *keys = m->part == PART_CROSS ? &k->x.source : &k->x.tokens;
    m->query = k->x.tokens.id;
    m->key = keys->id;
    m->special = keys->special;
    m->changed = tokens_changed(k->arena, keys);
}

static Status each_head(int done, int all, void *user)
{
    return ask_going_on(user, "heads set to zero", done, all);
}

/* Numbers that need separate forward passes: on sequences that repeat, and of the loss. */
static Status read_more(Ask *k, HeadStats *more)
{
    PageAttention *x = &k->x;
    Part part = x->maps.part;
    int n = x->maps.layers * x->maps.heads;
    for (int i = 0; i < n + x->maps.layers; i++)
        more[i] = (HeadStats){
            .repeat_previous = NAN, .repeat_duplicate = NAN, .repeat_induction = NAN, .zeroed = NAN, .gradient = NAN};
    if (!x->without_prefix) pattern_repeats(more, k->model, k->hooks, part, k->tokenizer);
    if (part != PART_CROSS) {
        x->rollout = rollout_maps(k->arena, &x->maps);
        if (x->maps.t <= FLOW_MOST) x->flow = rollout_flow(k->arena, &x->maps);
    }
    if (!args_given(k->args, "sweep")) return OK;
    Batch b;
    TRY(importance_loss_batch(&b, k->arena, k->model, k->tokenizer, &k->batch, k->target));
    TRY(head_importance(more, k->model, k->hooks, &b, part, each_head, k));
    if (part == PART_CROSS) return OK;
    Tensor *weighted = NEW(k->arena, Tensor, x->maps.layers);
    attention_gradient(weighted, k->arena, k->model, k->hooks, &b, part);
    x->relevance = rollout_relevance(k->arena, &x->maps, weighted);
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

/* Reads the attention of the model and the base, and computes each chosen head's map and statistics. */
static Status read_maps(Ask *k)
{
    PageAttention *x = &k->x;
    Maps base = {0};
    View v;
    TRY(ask_read(k, k->arena, &k->batch, x->maps.part, x->tokens.n, &x->maps, &base));
    name_ids(k, &x->maps);
    if (k->other) name_ids(k, &base);
    HeadStats *more = NEW(k->arena, HeadStats, x->maps.layers * (x->maps.heads + 1));
    TRY(view_open(&v, k));
    TRY(read_more(k, more));
    Tensor *through[] = {&x->rollout, &x->flow, &x->relevance};
    for (int i = 0; i < 3; i++)
        if (through[i]->data) *through[i] = view_map(k->arena, &v, *through[i], 0);
    k->read[0] = x->maps, k->read[1] = base;
    const int64_t prefix = x->maps.prefix;
    view_maps(&v, &x->maps);
    if (k->other) view_maps(&v, &base);
    x->row = NEW(k->arena, HeadRow, x->layers * x->heads);
    for (int i = 0; i < x->layers * x->heads; i++) {
        HeadRow *r = &x->row[i];
        r->layer = x->layer[i / x->heads];
        r->head = x->head[i % x->heads];
        r->map = view_map(k->arena, &v, maps_head(&k->read[0], k->arena, r->layer, r->head), prefix);
        int at =
            r->head == HEAD_MEAN ? x->maps.layers * x->maps.heads + r->layer : r->layer * x->maps.heads + r->head;
        r->stats = stats_of(&x->maps, r->map, &more[at]);
        if (x->without_prefix) r->stats.prefix = NAN;
        if (!k->other) continue;
        r->base = view_map(k->arena, &v, maps_head(&k->read[1], k->arena, r->layer, r->head), prefix);
        r->before = maps_stats(&base, r->base);
        if (x->without_prefix) r->before.prefix = NAN;
        r->shift = maps_shift(r->map, r->base);
    }
    label_maps(k, &v);
    return OK;
}

/* ---- outputs */

/* Of one text, --html without --out, --format and --json: the page is the only output. */
static bool page_alone(const Args *a)
{
    static const char *const more[] = {"out", "format", "json", "texts", NULL};
    bool alone = args_given(a, "html");
    for (const char *const *o = more; *o; o++) alone &= !args_given(a, *o);
    return alone;
}

enum { READABLE = 128 }; /* rows or keys that have room for labels */

static const char *folder_of(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? str_copy(a, path, slash > path ? (size_t)(slash - path) : 1) : ".";
}

/* A page whose directory is not there yet: explorer.c makes it before it writes. */
static Status page_place(const Ask *k, const char *page, const char *dir)
{
    size_t n = dirs_standing(dir);
    const char *there = n ? str_copy(k->arena, dir, n) : *dir == '/' ? "/" : ".";
    if (!file_is_dir(there)) return err_fail(E_IO, "%s: %s is not a directory", page, there);
    if (access(there, W_OK | X_OK)) return err_fail(E_IO, "%s: %s: %s", page, there, strerror(errno));
    return args_output_dir(k->args, "--html", page, 0);
}

/* The page and the directory are tried before any work.  A result that is already there is written once more. */
static Status outputs(Ask *k)
{
    const char *page = args_text(k->args, "html", NULL), *dir = page ? folder_of(k->arena, page) : NULL;
    if (!page_alone(k->args)) TRY(output_open(&k->folder, k->args, "--out", args_text(k->args, "out", NULL), 0));
    if (k->folder.done) {
        k->folder.done = false;
        TRY(folder_open(&k->folder, true));
    }
    if (page && !file_is_dir(dir)) return page_place(k, page, dir);
    return page ? args_output(k->args, "--html", page, 0) : OK;
}

/* Checks the options of `vernier attend`, runs the analysis they select, and writes its files. */
static Status answer(Ask *k)
{
    static const char *const sweeps[] = {"heads", NULL};
    const char **figures, *dir;
    int sweep;
    TRY(ask_view(k));
    TRY(ask_format(k));
    if (args_given(k->args, "html") && (args_given(k->args, "compare") || args_given(k->args, "do")))
        return err_fail(E_CONFIG, "--html and --%s exclude each other", args_given(k->args, "do") ? "do" : "compare");
    TRY(outputs(k));
    dir = k->folder.path;
    if (args_given(k->args, "compare")) return compare_answer(k, dir);
    if (args_count(k->args) > !args_given(k->args, "model"))
        return err_fail(E_CONFIG, "unexpected operand %s; expected one model, or --compare BASE with tuned models",
                        args_at(k->args, args_count(k->args) - 1));
    if (args_given(k->args, "do")) return effect_answer(k, dir);
    if (args_given(k->args, "texts")) return corpus_answer(k, dir);
    TRY(args_real(&k->x.limit, k->args, "limit", 0, 1e-6, 1));
    TRY(args_word(&sweep, k->args, "sweep", 0, sweeps));
    TRY(ask_number(k));
    TRY(ask_models(k));
    TRY(ask_maps(k));
    TRY(ask_input(k));
    TRY(read_maps(k));
    int64_t most = k->x.maps.s > k->x.maps.t ? k->x.maps.s : k->x.maps.t;
    if (!k->x.by && !args_quiet(k->args) && !page_alone(k->args) && most > READABLE)
        print_err("%lld tokens are too many to label each of them; --by lines aggregates the maps\n",
                  (long long)most);
    if (args_given(k->args, "html")) TRY(explorer_write(k, args_text(k->args, "html", NULL)));
    if (!page_alone(k->args)) TRY(attention_write(&k->x, k->arena, dir, &figures));
    if (args_given(k->args, "json"))
        attention_json(&k->x, k->arena, k->folder.dir, figures);
    else
        attention_print(&k->x);
    return OK;
}

static Status attend(const Args *args)
{
    Arena arena = arena_open(0);
    Ask k = {.args = args, .arena = &arena};
    Status status = answer(&k);
    if (k.folder.arena) status = output_close(&k.folder, status, false);
    if (!status && k.folder.arena && !args_given(args, "out")) folder_latest(&k.folder);
    if (!status && !args_quiet(args) && !page_alone(args)) print_err("report %s/report.html\n", k.folder.path);
    if (!status && !args_quiet(args) && args_given(args, "html"))
        print_err("page %s\n", args_text(args, "html", NULL));
    if (k.tokenizer) tokenizer_close(k.tokenizer);
    arena_close(&arena);
    return status;
}

static const Option OPTIONS[] = {
    {"model", "DIR", "the model: config.json and model.safetensors"},
    MODEL_OPTIONS,
    {"base", "DIR", "another model of the same shape; figures then show the differences from it"},
    {"compare", "DIR", "the base against every operand: directories of the same shape, or adapters on it"},
    {"text", "TEXT", "the text that the model reads; for --part decoder and cross the target of the decoder"},
    {"texts", "FILE",
     "many texts, one a line or JSON Lines with \"text\": means with intervals, and where a number is most; with "
     "--compare the losses on them and those of baselines that do not read the text"},
    {"ids", "LIST", "token ids instead of a text, taken as they are: 1,2,3"},
    {"data-flow", "FILE",
     "GraphCodeBERT: variables behind the text, JSON {\"nodes\": [[first token, end], ...], \"edges\": [[node, the "
     "node "
     "that its value comes from], ...]}"},
    {"source", "TEXT", "what the encoder of an encoder-decoder reads"},
    {"source-ids", "LIST", "the same as ids"},
    {"tokenizer", "DIR", "tokenizer.json, vocab.json and merges.txt, or a SentencePiece model; default: the model's"},
    {"language", "NAME", "the language of the text, for PLBART: java, python or en_XX"},
    {"part", "NAME", "the attention to draw: encoder, decoder or cross; default: the encoder if there is one"},
    {"layer", "L", "a layer, a list such as 0,5, or all (the default)"},
    {"head", "H", "a head, a list, all (the default), or mean over the heads"},
    {"by", "NAME",
     "aggregate by words, lines, or sides of a change (message, added, removed, kept, special): average the queries "
     "of each and sum its keys, in figures, tables and files"},
    {"no-prefix", NULL, "remove the columns of a prefix and renormalise each row"},
    {"do", "WHAT",
     "intervene in the forward pass: head:L.H=0 (or a factor), prefix=scale:S, prefix=swap:DIR (that of another "
     "adapter), mass:A (of the prefix), patch:SITE:L=TEXT (activation patching, with the activation at SITE on "
     "another "
     "text, ids:1,2 or @FILE), 'steer:SITE:L=S*TEXT minus TEXT' (a steering vector: S times the difference of the "
     "mean "
     "activations at SITE on two texts, or one text's mean), SITE:L.T for position T alone; may be repeated",
     .repeated = true},
    {"dtype", "NAME", "f32 (the default), or f64 to distinguish a change from rounding"},
    {"number", "NAME", "draw one metric, layers by heads: a column of heads.csv, such as induction"},
    {"sweep", "heads", "head importance: zero ablation of each head and its gradient, as changes of the loss"},
    {"format", "LIST", "of the figures: svg, pdf, png, or some of them with commas between; default: all three"},
    {"limit", "P", "the attention at which the colour scale ends; default: 99 of 100 cells are below"},
    {"html", "FILE",
     "an interactive page with every map, by tokens or as in --by, with or without base and prefix; for --texts the "
     "first texts; the only output unless --out, --format, --json or --texts is given"},
    {"out", "DIR",
     "the directory for figures/, report.html, heads.csv and maps.safetensors; default: runs/attend/HASH, where HASH "
     "depends on the options and the files they name; runs/attend/latest leads to the newest"},
    OVERWRITE_OPTION,
    {"json", NULL, "print JSON instead of the table"},
    {0}};
static const Choice CHOICES[] = {{"part", "encoder|decoder|cross"},
                                 {"by", "words|lines|sides"},
                                 {"dtype", "f32|f64"},
                                 {"sweep", "heads"},
                                 {"format", "svg|pdf|png"},
                                 {0}};
static const Command ATTEND = {
    .name = "attend",
    .summary = "draw the attention maps of a model on a text, and compare those of two models",
    .usage = "--model DIR --text TEXT [options]\n       vernier attend --compare BASE --text TEXT [options] TUNED...",
    .about =
        "Runs a model on one text and draws the attention of every chosen head: figures, a page, and the maps as "
        "safetensors.  The table has means over the rows of a map: the entropy in nats, the distance in tokens "
        "between query and key, and the mass on the first token, on special tokens and on patterns.  The patterns "
        "are the token itself, the previous one, the next one, others with the query's id, earlier ones with it, and "
        "the token after an earlier one (induction).  The last two are also measured on random sequences that repeat "
        "(r.).  If the text is a change, in <add> and <del> or as a unified diff, the table has the mass on its "
        "changed lines.  --compare measures the changes by tuning against one base: drift of the attention over the "
        "text, the additions of a prefix, similarity of representations, and the change of every weight.  --do "
        "intervenes, and reports the effect on the output, the loss and the attention.  --texts gives means over "
        "many texts.  report.html explains each column of these tables.",
    .example = "vernier attend --model DIR --text 'int x = 1 ;' --layer 0 --out runs/attend",
    .options = OPTIONS,
    .choices = CHOICES,
    .most = -1,
    .run = attend};
REGISTER(command, ATTEND)
