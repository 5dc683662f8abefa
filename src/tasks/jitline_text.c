/* Sets of lines and words through hash tables; no result depends on the order of a table. */
#include "tasks/jitline_text.h"

#include <stdlib.h>
#include <string.h>

#include "metric/words.h"
#include "text/codeclean.h"
#include "text/unicode.h"

/* As the published list has them: pass and None are one word by a slip, so that neither is dropped. */
static const char PYTHON[] =
    " abs delattr hash memoryview set all dict help min setattr any dir hex next slice ascii divmod id object sorted "
    "bin"
    " enumerate input oct staticmethod bool eval int open str breakpoint exec isinstance ord sum bytearray filter"
    " issubclass pow super bytes float iter print tuple callable format len property type chr frozenset list range "
    "vars"
    " classmethod getattr locals repr zip compile globals map reversed __import__ complex hasattr max round False "
    "await"
    " else import passNone break except in raise True class finally is return and continue for lambda try as def from"
    " nonlocal while assert del global not with async elif if or yield self ";

static bool is_python(const char *word, size_t n)
{
    for (const char *at = PYTHON; (at = memmem(at, strlen(at), word, n)); at++)
        if (at[-1] == ' ' && at[n] == ' ') return true;
    return false;
}

Bytes jitline_line(Arena *a, const char *text, size_t n, bool drop_python)
{
    Bytes clean;
    clean.text = code_clean(a, text, n, &clean.len);
    if (!drop_python) return clean;
    Buf b = buf_open(a);
    const char *rest = clean.text, *word;
    for (size_t m; code_word(&rest, &word, &m);)
        if (!is_python(word, m)) buf_print(&b, "%s%.*s", b.len ? " " : "", (int)m, word);
    buf_add(&b, "", 0);
    return (Bytes){b.text, b.len};
}

bool jitline_skips(const char *text, size_t n)
{
    return n > 0 && *text == '#';
}

/* The set of the cleaned lines of one kind. */
static void add_side(Buf *out, const CodeChange *c, LineKind kind, bool drop_python)
{
    Table seen = table_open(out->arena, 64);
    for (int64_t f = 0; f < c->n_files; f++)
        for (int64_t l = 0; l < c->file[f].n; l++) {
            const ChangeLine *line = &c->file[f].line[l];
            if (line->kind != kind || jitline_skips(line->text, line->len)) continue;
            bool added;
            Bytes clean = jitline_line(out->arena, line->text, line->len, drop_python);
            table_add(&seen, clean.text, clean.len, &added);
            if (added) buf_add(out, clean.text, clean.len), buf_add(out, " \n ", 3);
        }
}

Bytes jitline_document(Arena *a, const CodeChange *c, bool drop_python)
{
    Arena scratch = arena_open(0);
    Buf b = buf_open(&scratch);
    add_side(&b, c, LINE_ADD, drop_python);
    add_side(&b, c, LINE_DEL, drop_python);
    Bytes low = words_lower(a, b.len ? b.text : "", b.len);
    arena_close(&scratch);
    return low;
}

static bool is_word(const char *at, const char *end, size_t *n)
{
    uint32_t c = unicode_next(at, (size_t)(end - at), n);
    return c == '_' || (unicode_class(c) & (UC_LETTER | UC_NUMBER)) != 0;
}

bool jitline_word(const char **at, const char *end, const char **word, size_t *n)
{
    for (size_t step; *at < end;) {
        int64_t characters = 0;
        *word = *at;
        for (; *at < end && is_word(*at, end, &step); *at += step) characters++;
        *n = (size_t)(*at - *word);
        if (characters >= 2) return true;
        if (!characters) *at += step;
    }
    return false;
}

/* ---- the vocabulary */

static int by_bytes(const void *a, const void *b)
{
    const Bytes *x = a, *y = b;
    size_t both = x->len < y->len ? x->len : y->len;
    int order = memcmp(x->text, y->text, both);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

Vocabulary vocabulary_of(Arena *a, Bytes *word, int64_t n)
{
    Vocabulary v = {.n = n, .word = word, .column = table_open(a, n)};
    for (int64_t j = 0; j < n; j++) *table_add(&v.column, word[j].text, word[j].len, NULL) = j;
    return v;
}

/* Counts for each word the documents that have it; a number of `last` tells the last one. */
Vocabulary vocabulary_learn(Arena *a, const Bytes *document, int64_t n, int64_t least)
{
    Arena scratch = arena_open(0);
    Table number = table_open(&scratch, 1024);
    Bytes *word = NULL;
    int64_t *documents = NULL, *last = NULL, rooms[3] = {0}, kept = 0;
    for (int64_t d = 0; d < n; d++) {
        const char *at = document[d].text, *end = at + document[d].len;
        Bytes w;
        for (const char *text; jitline_word(&at, end, &text, &w.len);) {
            bool added;
            int64_t *id = table_add(&number, text, w.len, &added);
            if (added) {
                *id = number.count - 1;
                GROW(&scratch, word, *id, rooms[0], 1024);
                GROW(&scratch, documents, *id, rooms[1], 1024);
                GROW(&scratch, last, *id, rooms[2], 1024);
                word[*id] = (Bytes){(char *)(uintptr_t)text, w.len}, documents[*id] = 0, last[*id] = -1;
            }
            documents[*id] += last[*id] != d, last[*id] = d;
        }
    }
    for (int64_t i = 0; i < number.count; i++) kept += documents[i] >= least;
    Bytes *of = NEW(a, Bytes, kept + 1);
    for (int64_t i = 0, k = 0; i < number.count; i++)
        if (documents[i] >= least) of[k++] = (Bytes){str_copy(a, word[i].text, word[i].len), word[i].len};
    qsort(of, (size_t)kept, sizeof *of, by_bytes);
    arena_close(&scratch);
    return vocabulary_of(a, of, kept);
}

int64_t vocabulary_columns(int32_t **column, Arena *a, const Vocabulary *v, Bytes text)
{
    int64_t n = 0, room = 0;
    const char *at = text.text, *end = at + text.len, *word;
    *column = NULL;
    for (size_t m; jitline_word(&at, end, &word, &m);) {
        int64_t j = table_get(&v->column, word, m, -1);
        if (j < 0) continue;
        GROW(a, *column, n, room, 64);
        (*column)[n++] = (int32_t)j;
    }
    return n;
}

static int ascending(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

void vocabulary_count(SparseRows *rows, Arena *scratch, const Vocabulary *v, Bytes document)
{
    ArenaMark mark = arena_mark(scratch);
    int32_t *column;
    int64_t n = vocabulary_columns(&column, scratch, v, document);
    if (n) qsort(column, (size_t)n, sizeof *column, ascending);
    for (int64_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && column[j] == column[i];) j++;
        sparse_add(rows, column[i], (double)(j - i));
    }
    arena_drop(scratch, mark);
}
