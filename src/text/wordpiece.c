/* The longest piece is looked for from the end of what is left of the word, as the definition has it, but no longer
 * than the longest piece there is. */
#include "text/wordpiece.h"

#include <string.h>

#include "base/str.h"
#include "text/document.h"

/* The longest piece at a place: its id, or -1, and its bytes of the word. */
static int32_t longest_piece(const WordPiece *m, char *text, const char *word, int64_t n, int64_t at, int64_t *len)
{
    size_t front = at ? strlen(m->prefix) : 0;
    int64_t end = m->longest - (int64_t)front < n - at ? at + m->longest - (int64_t)front : n;
    if (front) memcpy(text, m->prefix, front);
    if (end > at) memcpy(text + front, word + at, (size_t)(end - at));
    for (; end > at; end--) {
        if (end < n && ((unsigned char)word[end] & 0xC0) == 0x80) continue; /* within a character */
        *len = end - at;
        int32_t id = (int32_t)table_get(&m->vocab, text, front + (size_t)*len, -1);
        if (id >= 0) return id;
    }
    return -1;
}

static int64_t characters(const char *word, int64_t n)
{
    int64_t k = 0;
    for (int64_t i = 0; i < n; i++) k += ((unsigned char)word[i] & 0xC0) != 0x80;
    return k;
}

static int64_t unknown_word(const WordPiece *m, int64_t n, Cutting *at)
{
    *at = (Cutting){m->unknown < 0 ? CUT_NOTHING : m->unknown, (int32_t)n};
    return 1;
}

int64_t wordpiece_cut(const WordPiece *m, Arena *a, const char *word, int64_t n, Cutting *at)
{
    if (m->whole) {
        int32_t id = (int32_t)table_get(&m->vocab, word, (size_t)n, -1);
        if (id < 0) return unknown_word(m, n, at);
        *at = (Cutting){id, (int32_t)n};
        return 1;
    }
    if (n > m->most && characters(word, n) > m->most) return unknown_word(m, n, at);
    ArenaMark mark = arena_mark(a);
    char *text = arena_take(a, strlen(m->prefix) + (size_t)m->longest + 1);
    int64_t k = 0;
    for (int64_t from = 0, len = 0; from < n; from += len) {
        int32_t id = longest_piece(m, text, word, n, from, &len);
        if (id < 0) {
            arena_drop(a, mark);
            return unknown_word(m, n, at);
        }
        at[k++] = (Cutting){id, (int32_t)len};
    }
    arena_drop(a, mark);
    return k;
}

/* ---- vocabularies ---- */

/* Of a text that stands there twice, the later id counts, as in the library. */
static void put(WordPiece *m, const char *text, int64_t id)
{
    size_t n = strlen(text);
    m->piece[id] = text;
    *table_add(&m->vocab, text, n, NULL) = id;
    if ((int64_t)n > m->longest) m->longest = (int64_t)n;
}

WordPiece wordpiece_of(Arena *a, const char *const *piece, int64_t n, const char *unknown)
{
    WordPiece m = {
        .vocab = table_open(a, n), .piece = NEW(a, const char *, n + 1), .n = n, .prefix = "##", .most = 100};
    for (int64_t i = 0; i < n; i++)
        if (piece[i]) put(&m, piece[i], i);
    m.unknown = (int32_t)table_get(&m.vocab, unknown, strlen(unknown), -1);
    return m;
}

Status wordpiece_read_lines(WordPiece *m, Arena *a, const char *path, const char *unknown)
{
    Bytes file;
    TRY(document_bytes(&file, a, path));
    int64_t n = 0, k = 0;
    for (size_t i = 0; i < file.len; i++) n += file.text[i] == '\n';
    if (n >= MOST_IDS) return err_fail(E_FORMAT, "%s: has %lld lines, more than any vocabulary", path, (long long)n);
    const char **piece = NEW(a, const char *, n + 1);
    for (char *line = file.text, *stop = line + file.len, *end; line < stop; line = end + 1) {
        end = memchr(line, '\n', (size_t)(stop - line));
        if (!end) end = stop;
        size_t len = (size_t)(end - line);
        if (memchr(line, 0, len)) return err_fail(E_FORMAT, "%s:%lld: holds a zero byte", path, (long long)k + 1);
        while (len && line[len - 1] == '\r') len--;
        piece[k++] = str_copy(a, line, len);
    }
    if (!k) return err_fail(E_FORMAT, "%s: is empty, expected a piece on each line", path);
    *m = wordpiece_of(a, piece, k, unknown);
    return m->unknown >= 0 ? OK
                           : err_fail(E_FORMAT, "%s: the unknown token \"%s\" is not among the pieces", path,
                                      document_shown(unknown));
}

static Status read_pieces(WordPiece *m, Arena *a, const cJSON *vocab, const char *path)
{
    const cJSON *v;
    if (!cJSON_IsObject(vocab)) return document_refuse(path, "model.vocab", vocab, "an object, piece to id");
    cJSON_ArrayForEach(v, vocab)
    {
        if (!document_is_id(v))
            return document_refuse(path, "model.vocab: an id", v, "a whole number below 16777216");
        if (v->valueint >= m->n) m->n = v->valueint + 1;
    }
    m->vocab = table_open(a, cJSON_GetArraySize(vocab));
    m->piece = NEW(a, const char *, m->n + 1);
    cJSON_ArrayForEach(v, vocab) put(m, str_copy(a, v->string, strlen(v->string)), v->valueint);
    return OK;
}

Status wordpiece_read_model(WordPiece *m, Arena *a, const cJSON *model, bool whole, const char *path)
{
    const char *unknown = document_member_text(model, "unk_token"), *prefix;
    const cJSON *most = document_member(model, "max_input_chars_per_word");
    *m = (WordPiece){.whole = whole, .prefix = "##", .most = 100};
    TRY(read_pieces(m, a, document_member(model, "vocab"), path));
    if (document_member(model, "continuing_subword_prefix")) {
        prefix = document_member_text(model, "continuing_subword_prefix");
        m->prefix = str_copy(a, prefix, strlen(prefix));
    }
    if (most && !document_is_id(most))
        return document_refuse(path, "model.max_input_chars_per_word", most, "a number");
    if (most) m->most = most->valueint;
    m->unknown = (int32_t)table_get(&m->vocab, unknown, strlen(unknown), -1);
    return m->unknown >= 0 ? OK
                           : document_refuse(path, "model.unk_token", document_member(model, "unk_token"),
                                             "a piece of the vocabulary");
}
