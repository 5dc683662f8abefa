/* Words are counted in a hash table, and taken in the order of their first use: nothing depends on how they hash. */
#include "tasks/words.h"

#include <string.h>

#include "text/codeclean.h"
#include "text/unicode.h"

/* ---- cutting */

typedef void EachWord(const char *word, size_t n, void *user);

static char *lowered(Arena *a, const char *s, size_t n, size_t *len)
{
    Buf b = buf_open(a);
    for (size_t i = 0, step; i < n; i += step) {
        uint32_t low[2];
        char bytes[4];
        size_t many = unicode_lower(low, unicode_next(s + i, n - i, &step));
        for (size_t k = 0; k < many; k++) buf_add(&b, bytes, unicode_put(bytes, low[k]));
    }
    *len = b.len;
    return b.text;
}

/* The first `most` words of a line; how many it has. */
static int64_t cut_code(Arena *a, const ChangeLine *line, int64_t most, EachWord *each, void *user)
{
    size_t n, size;
    const char *rest = code_clean(a, line->text, line->len, &n), *word;
    int64_t words = 0;
    for (rest = lowered(a, rest, n, &n); words < most && code_word(&rest, &word, &size); words++)
        each(word, size, user);
    return words;
}

/* Runs of letters, digits and underscores, and every other sign by itself. */
static void cut_message(Arena *a, const char *message, int64_t most, EachWord *each, void *user)
{
    size_t n, step;
    const char *s = lowered(a, message, strlen(message), &n);
    int64_t words = 0;
    for (size_t i = 0, end; i < n && words < most; i = end) {
        uint32_t class = unicode_class(unicode_next(s + i, n - i, &step));
        end = i + step;
        if (class & UC_SPACE) continue;
        while (class & UC_WORD && end < n && unicode_class(unicode_next(s + end, n - end, &step)) & UC_WORD)
            end += step;
        each(s + i, end - i, user);
        words++;
    }
}

/* ---- counting */

typedef struct {
    Table place; /* of a word in the lists */
    const char **word;
    int64_t *count, *last, n, room, room_counts, room_last;
    int64_t now; /* > 0: words count once in each commit of that number */
    Arena *arena;
} Counts;

static void count(const char *word, size_t n, void *user)
{
    Counts *c = user;
    bool added;
    int64_t *place = table_add(&c->place, word, n, &added);
    if (added) {
        GROW(c->arena, c->word, c->n, c->room, 1024);
        GROW(c->arena, c->count, c->n, c->room_counts, 1024);
        GROW(c->arena, c->last, c->n, c->room_last, 1024);
        c->word[c->n] = str_copy(c->arena, word, n);
        c->count[c->n] = 0, c->last[c->n] = -1;
        *place = c->n++;
    }
    if (c->now && c->last[*place] == c->now) return;
    c->count[*place]++;
    c->last[*place] = c->now;
}

static void put_word(Words *w, const char *word)
{
    bool added;
    int64_t *id = table_add(&w->id, word, strlen(word), &added);
    if (!added) return;
    w->word[w->n] = word;
    *id = w->n++;
}

static Words words_open(Arena *a, int64_t most)
{
    return (Words){WORD_FIRST, NEW(a, const char *, most + WORD_FIRST), table_open(a, most)};
}

static Words frequent(Arena *a, const Counts *c, int64_t least)
{
    Words w = words_open(a, c->n);
    for (int64_t i = 0; i < c->n; i++)
        if (c->count[i] >= least) put_word(&w, str_copy(a, c->word[i], strlen(c->word[i])));
    return w;
}

/* ---- the rows of a commit */

typedef struct {
    const CodeRows *rows;
    Arena *scratch;
    void (*begin)(int64_t row, void *user); /* words of that row follow; NULL: no one wants to know */
    EachWord *each;
    void *user;
} Reading;

/* One side of a file into rows from `row` on, at most `room` of them; how many it took. */
static int64_t read_side(const Reading *r, const ChangeFile *f, LineKind kind, int64_t row, int64_t room)
{
    bool whole = r->rows->whole;
    int64_t taken = 0, words = 0;
    for (int64_t l = 0; l < f->n && taken < room && words < r->rows->words; l++) {
        if (f->line[l].kind != kind) continue;
        if (r->begin && !words) r->begin(row + taken, r->user);
        words += cut_code(r->scratch, &f->line[l], r->rows->words - words, r->each, r->user);
        if (whole || !words) continue;
        taken++;
        words = 0;
    }
    return whole && words ? 1 : taken;
}

/* Joined, the added sides of all files come before the removed ones; else each side of a file has its own rows. */
static void read_rows(const Reading *r, const CodeChange *c)
{
    static const LineKind KIND[] = {LINE_ADD, LINE_DEL};
    const CodeRows *s = r->rows;
    int64_t row = 0;
    for (int k = 0; k < 2 && s->joined; k++)
        for (int64_t f = 0; f < c->n_files; f++) row += read_side(r, &c->file[f], KIND[k], row, s->lines - row);
    for (int64_t f = 0; f < c->n_files && f < s->files && !s->joined; f++)
        for (int k = 0; k < 2; k++) read_side(r, &c->file[f], KIND[k], ((k ? 0 : s->files) + f) * s->lines, s->lines);
}

Words words_of_code(Arena *a, const JitSet *s, const CodeRows *rows, int64_t least)
{
    Arena scratch = arena_open(0);
    Counts c = {.place = table_open(&scratch, 1 << 14), .arena = &scratch};
    for (int64_t i = 0; i < s->n; i++)
        read_rows(&(Reading){.rows = rows, .scratch = &scratch, .each = count, .user = &c}, &s->change[i]);
    Words w = frequent(a, &c, least);
    arena_close(&scratch);
    return w;
}

Words words_of_messages(Arena *a, const JitSet *s, int64_t most, int64_t least)
{
    Arena scratch = arena_open(0);
    Counts c = {.place = table_open(&scratch, 1 << 14), .arena = &scratch};
    for (int64_t i = 0; i < s->n; i++) {
        c.now = i + 1;
        cut_message(&scratch, s->change[i].message, most, count, &c);
    }
    Words w = frequent(a, &c, least);
    arena_close(&scratch);
    return w;
}

/* ---- rows of ids */

typedef struct {
    const Words *words;
    int32_t unknown, *id;
    IdRow *rows, *row; /* row: that ids are added to */
    int64_t n, room;
    Arena *arena;
} Filling;

static void put_id(const char *word, size_t n, void *user)
{
    Filling *f = user;
    GROW(f->arena, f->id, f->n, f->room, 16);
    f->id[f->n++] = (int32_t)table_get(&f->words->id, word, n, f->unknown);
    f->row->id = f->id, f->row->n = (int32_t)f->n;
}

static void begin_row(int64_t row, void *user)
{
    Filling *f = user;
    f->row = &f->rows[row];
    f->id = NULL, f->n = f->room = 0;
}

static int32_t unknown_id(bool as_published)
{
    return as_published ? WORD_NONE : WORD_UNKNOWN;
}

int64_t code_rows_n(const CodeRows *r)
{
    return r->joined ? r->lines : 2 * r->files * r->lines;
}

IdRow *code_rows(Arena *a, const CodeChange *change, const Words *words, const CodeRows *r)
{
    Arena scratch = arena_open(0);
    Filling f = {
        .words = words, .unknown = unknown_id(r->as_published), .rows = NEW(a, IdRow, code_rows_n(r)), .arena = a};
    read_rows(&(Reading){r, &scratch, begin_row, put_id, &f}, change);
    arena_close(&scratch);
    return f.rows;
}

IdRow message_row(Arena *a, const CodeChange *change, const Words *words, int64_t most, bool as_published)
{
    Arena scratch = arena_open(0);
    IdRow row = {0};
    Filling f = {.words = words, .unknown = unknown_id(as_published), .row = &row, .arena = a};
    cut_message(&scratch, change->message, most, put_id, &f);
    arena_close(&scratch);
    return row;
}

void words_mark(float *label, IdRow row, int64_t most)
{
    for (int32_t i = 0; i < row.n; i++) label[row.id[i]] = 1;
    if (row.n < most) label[WORD_NONE] = 1;
}

/* ---- on disk */

cJSON *words_json(const Words *w)
{
    cJSON *list = cJSON_CreateArray();
    for (int64_t i = WORD_FIRST; i < w->n; i++) cJSON_AddItemToArray(list, cJSON_CreateString(w->word[i]));
    return list;
}

Status words_read(Words *w, Arena *a, const cJSON *root, const char *key, const char *path)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, key), *item;
    if (!cJSON_IsArray(list)) return err_fail(E_FORMAT, "%s: %s is not a list of words", path, key);
    *w = words_open(a, cJSON_GetArraySize(list));
    cJSON_ArrayForEach(item, list)
    {
        int64_t before = w->n;
        if (cJSON_IsString(item) && *item->valuestring)
            put_word(w, str_copy(a, item->valuestring, strlen(item->valuestring)));
        if (w->n == before)
            return err_fail(E_FORMAT, "%s: item %lld of %s is no word, or one that was there before", path,
                            (long long)(before - WORD_FIRST), key);
    }
    return OK;
}
