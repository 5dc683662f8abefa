/* vernier embed: sentence vectors of texts, their cosine similarities, or a search among them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/lines.h"
#include "base/print.h"
#include "cli/adapter.h"
#include "io/json.h"
#include "io/npy.h"
#include "sentence/sentence.h"

enum { MOST_TEXTS = 1 << 14 };
typedef struct {
    Bytes *text;
    int64_t n, room;
} Texts;

static void add(Texts *to, Arena *a, Bytes text)
{
    if (to->n == to->room) {
        Bytes *old = to->text;
        to->room = 2 * to->room + 64;
        to->text = NEW(a, Bytes, to->room);
        if (to->n) memcpy(to->text, old, sizeof *old * (size_t)to->n);
    }
    to->text[to->n++] = text;
}

/* ---- the texts */

/* The member `field` of each object. */
static Status add_rows(Texts *to, Arena *a, Bytes all, const char *field, const char *path)
{
    RowReader r;
    TRY(rows_of(&r, all, path));
    Status s = OK;
    for (bool more = true; !s;) {
        cJSON *row = NULL;
        const char *text = NULL;
        s = rows_next(&r, &more);
        if (s || !more) break;
        const char *at = str_print(a, "%s:%lld", path, (long long)r.line);
        s = json_parse(&row, r.row.text, r.row.len, at);
        if (!s) s = json_text(&text, row, field, at);
        if (!s && !text)
            s = err_fail(E_FORMAT, "%s: has no '%s'; --field names the member that holds the text", at, field);
        if (!s) add(to, a, (Bytes){str_print(a, "%s", text), strlen(text)});
        cJSON_Delete(row);
    }
    rows_close(&r);
    return s;
}

/* A file of JSON objects, or of one text a line. */
static Status add_file(Texts *to, const Args *args, const char *path)
{
    Bytes all;
    Arena *a = args_arena(args);
    TRY(text_read(&all, a, path, BYTES_UTF8));
    const char *named = strcmp(path, "/dev/stdin") ? path : "standard input";
    if (rows_begin(all)) return add_rows(to, a, all, args_text(args, "field", "text"), named);
    if (args_given(args, "field"))
        return err_fail(E_FORMAT, "%s: --field is given, and the file holds no JSON objects", named);
    for (TextLines l = lines_in(all); lines_next(&l);) add(to, a, l.line);
    return OK;
}

static Status read_texts(Texts *to, const Args *args)
{
    const char **given = NEW(args_arena(args), const char *, MOST_TEXTS);
    int n = args_all(args, "text", given, MOST_TEXTS);
    if (n && args_count(args) > 1)
        return err_fail(E_CONFIG, "--text and a FILE are given; one of them has the texts");
    for (int i = 0; i < n; i++)
        add(to, args_arena(args), (Bytes){str_print(args_arena(args), "%s", given[i]), strlen(given[i])});
    for (int i = 1; i < args_count(args); i++) TRY(add_file(to, args, args_at(args, i)));
    if (!n && args_count(args) == 1) TRY(add_file(to, args, "/dev/stdin"));
    return to->n ? OK : err_fail(E_FORMAT, "there are no texts, expected at least one line");
}

/* ---- the results */

static void put_text(Buf *b, const char *key, Bytes text)
{
    buf_print(b, "\"%s\": ", key);
    json_quote_bytes(b, text.text, text.len);
}

static Status print_vectors(Arena *a, const Texts *t, Tensor v)
{
    for (int64_t i = 0; i < t->n; i++) {
        ArenaMark mark = arena_mark(a);
        Buf b = buf_open(a);
        buf_print(&b, "{");
        put_text(&b, "text", t->text[i]);
        buf_print(&b, ", \"embedding\": [");
        for (int64_t j = 0; j < v.dim[1]; j++)
            buf_print(&b, "%s%.9g", j ? ", " : "", tensor_get(v, i * v.dim[1] + j));
        print_out("%s]}\n", b.text);
        arena_drop(a, mark);
    }
    return OK;
}

static Status print_pairs(Arena *a, const Texts *t, Tensor v)
{
    for (int64_t i = 0; i < t->n; i++)
        for (int64_t j = i + 1; j < t->n; j++) {
            ArenaMark mark = arena_mark(a);
            Buf b = buf_open(a);
            buf_print(&b, "{\"cosine\": %.6f, ", sentence_cosine(v, i, j));
            put_text(&b, "first", t->text[i]);
            buf_print(&b, ", ");
            put_text(&b, "second", t->text[j]);
            print_out("%s}\n", b.text);
            arena_drop(a, mark);
        }
    return OK;
}

typedef struct {
    double cosine;
    int64_t at;
} Hit;

static int by_cosine(const void *x, const void *y)
{
    const Hit *a = x, *b = y;
    if (a->cosine > b->cosine || a->cosine < b->cosine) return a->cosine > b->cosine ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* The query is the last of the rows. */
static Status print_hits(Arena *a, const Texts *t, Tensor v, int64_t top)
{
    Hit *hit = NEW(a, Hit, t->n);
    for (int64_t i = 0; i < t->n; i++) hit[i] = (Hit){sentence_cosine(v, i, t->n), i};
    qsort(hit, (size_t)t->n, sizeof *hit, by_cosine);
    for (int64_t i = 0; i < t->n && i < top; i++) {
        Buf b = buf_open(a);
        buf_print(&b, "{\"rank\": %lld, \"cosine\": %.6f, \"number\": %lld, ", (long long)i + 1, hit[i].cosine,
                  (long long)hit[i].at + 1);
        put_text(&b, "text", t->text[hit[i].at]);
        print_out("%s}\n", b.text);
    }
    return OK;
}

/* ---- the command */

/* --pooling takes the place of the declared ways; the modules behind the pooling stay. */
static Status choose(Sentence *s, const Args *a)
{
    int64_t most;
    int how = -1;
    TRY(args_int(&most, a, "max-length", s->most, 1, INT32_MAX));
    TRY(args_word(&how, a, "pooling", how, SENTENCE_POOLING_NAMES));
    s->most = args_given(a, "max-length") ? most : s->most;
    for (int k = 0; how >= 0 && k < SENTENCE_POOLINGS; k++) s->pooled[k] = k == how;
    if (args_given(a, "normalize") && s->n_steps < SENTENCE_STEPS) s->step[s->n_steps++] = (SentenceStep){0};
    if (!s->declared && how < 0 && !args_quiet(a))
        print_err("%s has no modules.json: mean pooling, as sentence-transformers\n", s->dir);
    const char *prompt = args_text(a, "prompt", NULL);
    return prompt ? sentence_prompt(s, args_arena(a), prompt) : OK;
}

static Status open_pipeline(Sentence *s, const Args *a)
{
    Model *m;
    Hooks *hooks;
    TRY(sentence_read(s, args_arena(a), args_at(a, 0)));
    LoadOptions load = {.no_lm_head = true};
    TRY(choose(s, a));
    TRY(read_dtype(&load, a));
    TRY(model_with_adapter(&m, &hooks, a, args_arena(a), s->model_dir, &load));
    return sentence_attach(s, args_arena(a), m, hooks);
}

static Status embed(const Args *a)
{
    Arena *arena = args_arena(a);
    const char *query = args_text(a, "query", NULL), *npy = args_text(a, "npy", NULL);
    int64_t top;
    TRY(args_int(&top, a, "top", 10, 1, INT32_MAX));
    if ((query != NULL) + (npy != NULL) + args_given(a, "cosine") > 1)
        return err_fail(E_CONFIG, "--query, --cosine and --npy exclude each other");
    if (args_given(a, "top") && !query) return err_fail(E_CONFIG, "--top requires --query");
    if (npy) TRY(args_output(a, "--npy", npy, 1));
    Sentence s;
    Texts t = {0};
    TRY(open_pipeline(&s, a));
    Status status = read_texts(&t, a);
    if (!status && query) {
        add(&t, arena, (Bytes){str_print(arena, "%s", query), strlen(query)});
        t.n--;
    }
    Tensor v;
    if (!status) status = sentence_encode(&v, arena, &s, t.text, t.n + (query != NULL));
    sentence_close(&s);
    TRY(status);
    if (npy) return npy_write(npy, v);
    return query                     ? print_hits(arena, &t, v, top)
           : args_given(a, "cosine") ? print_pairs(arena, &t, v)
                                     : print_vectors(arena, &t, v);
}

static const Option OPTIONS[] = {
    MODEL_OPTION,
    {"text", "TEXT", "a text; may be repeated, in place of FILEs", .repeated = true},
    {"field", "NAME", "the member of a JSON object that holds the text; default text"},
    {"cosine", NULL, "print the cosine similarity of each pair of texts in place of the vectors"},
    {"query", "TEXT", "print the texts that are most similar to this one in place of the vectors"},
    {"top", "N", "with --query: print N texts; default 10"},
    {"npy", "FILE", "write the vectors to FILE for numpy, one row for each text"},
    {"pooling", "WHICH", "pool over tokens this way; default: what the folder declares, else mean"},
    {"normalize", NULL, "scale the vectors to length 1 even where the folder does not declare it"},
    {"prompt", "NAME", "put this prompt of config_sentence_transformers.json in front of each text, such as query"},
    {"max-length", "N", "truncate texts to N tokens, special tokens included; default: what the folder declares"},
    MODEL_OPTIONS,
    DTYPE_OPTION,
    OVERWRITE_OPTION,
    {0}};
static const Choice CHOICES[] = {
    {"pooling", "cls|max|mean|mean_sqrt_len_tokens|weightedmean|lasttoken"}, DTYPE_CHOICE, {0}};
static const Command EMBED = {
    .name = "embed",
    .summary = "compute sentence vectors, their cosine similarities, or a search among texts",
    .usage = "[options] MODEL [FILE...]",
    .about =
        "MODEL is a folder of sentence-transformers, or any encoder or decoder with its tokenizer: a directory or "
        "a name in the hub's cache.  modules.json decides about pooling and normalisation, and without it the "
        "mean over tokens is taken.  A FILE has one text a line, or JSON objects; standard input is read where "
        "there is neither a FILE nor --text.  Results are lines of JSON.",
    .example = "vernier embed all-MiniLM-L6-v2 --text 'Fix a typo' --text 'Correct a spelling mistake' --cosine",
    .options = OPTIONS,
    .choices = CHOICES,
    .least = 1,
    .most = -1,
    .model_at = 1,
    .ranks = true,
    .run = embed};
REGISTER(command, EMBED)
