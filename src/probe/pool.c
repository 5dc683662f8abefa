/* Reading changes, cutting them, and dropping repeated ones. */
#include "probe/pool.h"

#include <ctype.h>
#include <string.h>

#include "base/rng.h"
#include "change/javagen_change.h"
#include "change/neardup.h"
#include "metric/words.h"

enum { SHORTEST_METHOD = 15, MOST_TOKENS = 20000 };
static const double NEAR = 0.8;

/* White space becomes one blank, none at the ends. */
static char *squeezed(Arena *a, const char *s, size_t len, size_t *out)
{
    char *t = arena_take(a, len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bool space = isspace((unsigned char)s[i]) != 0;
        if (!space)
            t[n++] = s[i];
        else if (n && t[n - 1] != ' ')
            t[n++] = ' ';
    }
    while (n && t[n - 1] == ' ') n--;
    t[n] = 0;
    *out = n;
    return t;
}

static bool has_mark(const char *s)
{
    for (int k = 0; k < MARKS; k++)
        if (strstr(s, MARK_TEXT[k])) return true;
    return false;
}

/* The last two parts of a path. */
static const char *short_path(const char *path)
{
    const char *s = path + strlen(path);
    for (int slashes = 0; s > path && (s[-1] != '/' || ++slashes < 2);) s--;
    return s;
}

/* ---- methods ---- */

typedef struct {
    const char *text;
    Lexeme *t;
    int64_t n;
} Tokens;

static bool is(const Tokens *x, int64_t i, const char *s)
{
    return i >= 0 && i < x->n && x->t[i].end - x->t[i].begin == strlen(s) &&
           !memcmp(x->text + x->t[i].begin, s, strlen(s));
}

/* The token after the bracket that closes the one at i; -1 when it is not among the next MOST_TOKENS. */
static int64_t after_match(const Tokens *x, int64_t i, const char *open, const char *close)
{
    int64_t depth = 0, last = i + MOST_TOKENS;
    for (; i < x->n && i < last; i++) {
        depth += is(x, i, open) - is(x, i, close);
        if (depth == 0) return i + 1;
    }
    return -1;
}

/* A method's name comes after a type and before a parenthesis; returns the brace of its body, or -1. */
static int64_t body_of(const Tokens *x, int64_t i)
{
    if (x->t[i].kind != LEX_IDENTIFIER || !is(x, i + 1, "(") || i == 0) return -1;
    bool type = x->t[i - 1].kind == LEX_IDENTIFIER || x->t[i - 1].kind == LEX_TYPE || is(x, i - 1, "void") ||
                is(x, i - 1, "]") || is(x, i - 1, ">");
    int64_t at = type ? after_match(x, i + 1, "(", ")") : -1;
    if (at < 0) return -1;
    if (is(x, at, "throws"))
        while (at < x->n && !is(x, at, "{") && !is(x, at, ";")) at++;
    return is(x, at, "{") ? at : -1;
}

/* The modifiers, annotations and type before a name. */
static int64_t head_of(const Tokens *x, int64_t i)
{
    while (i > 0 && !is(x, i - 1, ";") && !is(x, i - 1, "{") && !is(x, i - 1, "}") && !is(x, i - 1, ")")) i--;
    return i;
}

static char *joined(Arena *a, const Tokens *x, int64_t from, int64_t to)
{
    Buf b = buf_open(a);
    bool primitive = false;
    for (int64_t i = from; i < to; i++) {
        size_t n;
        const char *s = squeezed(a, x->text + x->t[i].begin, x->t[i].end - x->t[i].begin, &n);
        primitive |= x->t[i].kind == LEX_TYPE;
        if (b.len) buf_add(&b, " ", 1);
        buf_add(&b, s, n);
    }
    return primitive && to - from >= SHORTEST_METHOD ? b.text : NULL;
}

char *pool_method(Arena *a, const char *text, size_t len, bool fragments)
{
    Tokens x = {text, arena_take(a, sizeof(Lexeme) * (len + 1)), 0};
    Lexer lexer = lex_open(LANG_JAVA, text, len);
    for (Lexeme t; lex_next(&lexer, &t);)
        if (t.kind != LEX_COMMENT) x.t[x.n++] = t;
    int64_t from = 0, to = 0;
    for (int64_t i = 0; i < x.n; i++) {
        int64_t body = body_of(&x, i), end = body < 0 ? -1 : after_match(&x, body, "{", "}");
        if (end < 0) continue;
        int64_t head = head_of(&x, i);
        if (end - head > to - from) {
            from = head;
            to = end;
        }
        i = end - 1;
    }
    return to > from ? joined(a, &x, from, to) : fragments ? joined(a, &x, 0, x.n) : NULL;
}

/* The file after the change, as far as the record shows it. */
static char *method_of(Arena *a, const CodeChange *c, bool fragments)
{
    char *best = NULL;
    for (int64_t i = 0; i < c->n_files; i++) {
        if (c->file[i].lang != LANG_JAVA) continue;
        Buf b = buf_open(a);
        for (int64_t k = 0; k < c->file[i].n; k++) {
            if (c->file[i].line[k].kind == LINE_DEL) continue;
            buf_add(&b, c->file[i].line[k].text, c->file[i].line[k].len);
            buf_add(&b, "\n", 1);
        }
        char *method = pool_method(a, b.text, b.len, fragments);
        if (method && (!best || strlen(method) > strlen(best))) best = method;
    }
    return best;
}

/* ---- changes ---- */

static void add_line(PoolItem *p, Mark mark, bool header, const char *text, size_t len)
{
    p->line[p->n++] = (PoolLine){mark, header, text, len};
    p->chars += (int64_t)len;
}

/* False when the change has nothing for the task. */
static bool cut(PoolItem *p, Arena *a, Arena *scratch, const CodeChange *c, const MakeOptions *o)
{
    int64_t most = 2 * c->n_files, body = 0;
    size_t len;
    for (int64_t i = 0; i < c->n_files; i++) most += c->file[i].n;
    *p = (PoolItem){.line = arena_take(a, sizeof *p->line * (size_t)(most + 1))};
    p->repo = str_copy(a, c->repo, strlen(c->repo));
    p->message = squeezed(a, c->message, strlen(c->message), &len);
    p->lang = c->n_files ? c->file[0].lang : LANG_NONE;
    for (int64_t i = 0; i < c->n_files; i++) {
        const ChangeFile *f = &c->file[i];
        const char *path[2] = {short_path(f->old_path), short_path(f->new_path)};
        for (int k = 0; k < 2; k++)
            if (*path[k])
                add_line(p, k ? MARK_ADD : MARK_DEL, true, str_copy(a, path[k], strlen(path[k])), strlen(path[k]));
        for (int64_t k = 0; k < f->n; k++) {
            if (f->line[k].kind == LINE_KEEP) continue;
            const char *s = squeezed(a, f->line[k].text, f->line[k].len, &len);
            if (has_mark(s)) return false;
            add_line(p, f->line[k].kind == LINE_ADD ? MARK_ADD : MARK_DEL, false, s, len);
            body++;
        }
    }
    if (o->task == TASK_TYP) {
        const char *method = method_of(scratch, c, o->fragments);
        p->method = method ? str_copy(a, method, strlen(method)) : NULL;
        return method && (int64_t)strlen(method) <= o->max_chars;
    }
    if (p->chars > o->max_chars || body == 0) return false;
    return o->task == TASK_LTP || (*p->message && !has_mark(p->message));
}

/* The words in lower case: two messages with the same words count as one. */
static bool is_new(Table *seen, Arena *a, const char *text)
{
    bool added;
    Buf b = buf_open(a);
    for (const char *c = words_lower(a, text, strlen(text)).text; *c; c++)
        if (isalnum((unsigned char)*c) || (unsigned char)*c >= 0x80) buf_add(&b, c, 1);
    if (b.len) table_add(seen, b.text, b.len, &added);
    return !b.len || added;
}

/* The text in which near-duplicates are found: the row's subject as in the datasheet, and (pass 1) the lines alone,
 * which a short change in another file has in common. */
static Bytes compared(Arena *a, const PoolItem *p, ProbeTask task, int pass)
{
    Buf b = buf_open(a);
    if (task == TASK_TYP) return text_subject(a, task, &(Example){.text = p->method, .len = strlen(p->method)});
    for (int mark = MARK_ADD; mark <= MARK_DEL; mark++)
        for (int64_t k = 0; k < p->n; k++) {
            const PoolLine *l = &p->line[k];
            bool turn = task == TASK_LTP ? mark == MARK_ADD : l->mark == (Mark)mark; /* diff order, or sides */
            if (!turn || (pass && l->header)) continue;
            buf_print(&b, "%s%s\n", task == TASK_CCM && !pass ? MARK_TEXT[mark] : "", l->text);
        }
    return (Bytes){b.text, b.len};
}

static void drop_near(ChangePool *p, Arena *a, const MakeOptions *o, MakeStats *stats)
{
    for (int pass = 0; pass < (o->task == TASK_TYP ? 1 : 2); pass++) {
        ArenaMark mark = arena_mark(a);
        Bytes *text = arena_take(a, sizeof *text * (size_t)(p->n + 1));
        int64_t *group = arena_take(a, sizeof *group * (size_t)(p->n + 1)), n = 0;
        for (int64_t i = 0; i < p->n; i++) text[i] = compared(a, &p->item[i], o->task, pass);
        neardup_find(group, a, text, p->n, NEAR);
        for (int64_t i = 0; i < p->n; i++)
            if (group[i] == i) p->item[n++] = p->item[i];
        stats->near += p->n - n;
        p->n = n;
        arena_drop(a, mark);
    }
}

typedef struct {
    Arena *arena, row; /* the pool's; one record's */
    Table ids, messages;
    int64_t room;
} Reading;

static void keep(ChangePool *p, Reading *r, const PoolItem *item)
{
    GROW(r->arena, p->item, p->n, r->room, 1024);
    p->item[p->n++] = *item;
}

/* Adds a change to the pool if it is usable and new; counts the reason otherwise. */
static void take(ChangePool *p, Reading *r, const MakeOptions *o, MakeStats *stats, const CodeChange *c)
{
    PoolItem item;
    bool added;
    ArenaMark before = arena_mark(r->arena);
    const char *id = str_print(&r->row, "%s/%s", c->repo, c->id);
    bool order = c->ordered || o->task == TASK_CCM, fit = order && cut(&item, r->arena, &r->row, c, o);
    if (fit) table_add(&r->ids, id, strlen(id), &added);
    bool fresh = fit && added && (o->study || is_new(&r->messages, &r->row, item.message));
    stats->read++;
    stats->unordered += !order;
    stats->unfit += order && !fit;
    stats->repeated += fit && !fresh;
    if (fresh)
        keep(p, r, &item);
    else
        arena_drop(r->arena, before);
}

/* Reads all changes of a file into the pool. */
static Status read_file(ChangePool *p, Reading *r, const MakeOptions *o, MakeStats *stats, const char *path)
{
    ChangeReader in;
    CodeChange c;
    bool more = true;
    Status status = OK;
    TRY(changes_open(&in, path));
    while (more && !status) {
        ArenaMark mark = arena_mark(&r->row);
        status = changes_next(&in, &r->row, &c, &more);
        if (more && !status) take(p, r, o, stats, &c);
        arena_drop(&r->row, mark);
    }
    stats->replaced += in.replaced;
    changes_close(&in);
    return status;
}

/* Collects changes from files and the generator, drops near-duplicates, and shuffles the rest. */
Status pool_read(ChangePool *p, Arena *a, const MakeOptions *o, MakeStats *stats)
{
    Arena tables = arena_open((size_t)1 << 34);
    Reading r = {a, arena_open((size_t)1 << 34), table_open(&tables, 4096), table_open(&tables, 4096), 0};
    Status status = OK;
    *p = (ChangePool){0};
    for (int i = 0; i < o->n_from && !status; i++) status = read_file(p, &r, o, stats, o->from[i]);
    for (int64_t i = 0; i < o->generated && !status; i++) {
        CodeChange c;
        ArenaMark mark = arena_mark(&r.row);
        javagen_change(&c, &r.row, o->seed, i, o->difficulty);
        take(p, &r, o, stats, &c);
        arena_drop(&r.row, mark);
    }
    arena_close(&r.row);
    arena_close(&tables);
    TRY(status);
    if (!o->study) drop_near(p, a, o, stats);
    int32_t *order = arena_take(a, sizeof *order * (size_t)(p->n + 1));
    PoolItem *item = arena_take(a, sizeof *item * (size_t)(p->n + 1));
    for (int64_t i = 0; i < p->n; i++) order[i] = (int32_t)i;
    rng_shuffle(rng_stream(o->seed, "make/pool"), p->n, order);
    for (int64_t i = 0; i < p->n; i++) item[i] = p->item[order[i]];
    p->item = item;
    return OK;
}
