/* The tokenizer's files.
 *
 * vocab.json is one object, piece to id; merges.txt has one pair a line, best first, after a `#version` line;
 * added_tokens.json is one object, special token to id.  tokenizer.json (Hugging Face tokenizers) holds all of
 * it in one document, with a description of the pipeline; a pipeline that is not plain byte-level BPE is
 * refused rather than read wrongly.  Children of a JSON object are visited in order, never looked up by name in
 * a loop: cJSON's lookup is linear and a vocabulary has 50,000 entries. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "text/bpe_core.h"

enum { MOST_BYTES = 1 << 28 };

/* Text for a message: at most 40 bytes, control characters shown as '?'.  Two live at a time. */
static const char *shown(const char *s)
{
    static _Thread_local char text[2][48];
    static _Thread_local int turn;
    char *out = text[turn ^= 1];
    size_t n = 0;
    for (; s[n] && n < 40; n++) out[n] = iscntrl((unsigned char)s[n]) ? '?' : s[n];
    strcpy(out + n, s[n] ? "..." : "");
    return out;
}

static Status read_limited(Bytes *out, Arena *a, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size > MOST_BYTES)
        return fail(E_FORMAT, "%s: has %lld bytes; a tokenizer file has at most %d", path, (long long)st.st_size,
                    MOST_BYTES);
    return file_read(out, a, path);
}

/* Parses a whole file as one JSON object; the caller deletes it. */
static Status read_object(cJSON **out, Arena *a, const char *path)
{
    Bytes file;
    TRY(read_limited(&file, a, path));
    const char *end = file.text;
    cJSON *json = cJSON_ParseWithLengthOpts(file.text, file.len + 1, &end, 1);
    if (json && cJSON_IsObject(json) && end == file.text + file.len) {
        *out = json;
        return OK;
    }
    bool whole = json && end == file.text + file.len;
    cJSON_Delete(json);
    if (whole) return fail(E_FORMAT, "%s: line 1: the document is not an object", path);
    size_t byte = end < file.text || end > file.text + file.len ? file.len : (size_t)(end - file.text);
    int line = 1;
    for (size_t i = 0; i < byte; i++) line += file.text[i] == '\n';
    return fail(E_FORMAT, "%s:%d: byte %zu of %zu: not valid JSON here", path, line, byte, file.len);
}

static bool is_id(const cJSON *v)
{
    return cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble < BPE_MOST_IDS &&
           v->valuedouble == (double)(int64_t)v->valuedouble;
}

/* ---- reading the parts ---- */

static Status add_pieces(Bpe *b, const cJSON *vocab, const char *path)
{
    for (const cJSON *v = vocab->child; v; v = v->next) {
        if (!is_id(v))
            return fail(E_FORMAT, "%s: the id of \"%s\" is not a whole number from 0 to %d", path, shown(v->string),
                        BPE_MOST_IDS - 1);
        if (!*v->string) return fail(E_FORMAT, "%s: id %d has an empty piece", path, v->valueint);
        if (bpe_add_piece(b, v->string, strlen(v->string), v->valueint)) continue;
        const char *other = bpe_piece(b, v->valueint);
        if (!other) return fail(E_FORMAT, "%s: the piece \"%s\" appears twice", path, shown(v->string));
        return fail(E_FORMAT, "%s: \"%s\" and \"%s\" both have id %d", path, shown(other), shown(v->string),
                    v->valueint);
    }
    return OK;
}

/* `where` is "file:line" or "file: merge n"; left and right are NUL-terminated. */
static Status add_merge(Bpe *b, Arena *a, const char *left, const char *right, const char *where)
{
    int32_t l = bpe_find(b, left), r = bpe_find(b, right);
    if (l < 0 || r < 0)
        return fail(E_FORMAT, "%s: \"%s\" is not in the vocabulary", where, shown(l < 0 ? left : right));
    size_t len;
    const char *both = bpe_join(b, a, l, r, &len);
    int64_t id = table_get(&b->vocab, both, len, -1);
    if (id < 0) return fail(E_FORMAT, "%s: makes \"%s\", which is not in the vocabulary", where, shown(both));
    if (!bpe_add_merge(b, l, r, (int32_t)id))
        return fail(E_FORMAT, "%s: \"%s\" and \"%s\" are merged twice", where, shown(left), shown(right));
    return OK;
}

/* Splits "left right" at its one space; false when it has none, two, or an empty side. */
static bool split_pair(char *line, char **right)
{
    char *space = strchr(line, ' ');
    if (!space || space == line || !space[1] || strchr(space + 1, ' ')) return false;
    *space = 0;
    *right = space + 1;
    return true;
}

static Status add_merge_lines(Bpe *b, Arena *a, Bytes file, const char *path)
{
    int number = 0;
    for (char *p = file.text, *stop = file.text + file.len; p < stop;) {
        char *line = p, *end = memchr(p, '\n', (size_t)(stop - p)), *right;
        if (!end) end = stop;
        p = end + (end < stop);
        *end = 0;
        number++;
        if (end > line && end[-1] == '\r') *--end = 0;
        if (strlen(line) != (size_t)(end - line)) return fail(E_FORMAT, "%s:%d: holds a zero byte", path, number);
        if (!*line || (number == 1 && strncmp(line, "#version", 8) == 0)) continue;
        if (!split_pair(line, &right))
            return fail(E_FORMAT, "%s:%d: found \"%s\", expected two pieces with one space between", path, number,
                        shown(line));
        ArenaMark mark = arena_mark(a);
        TRY(add_merge(b, a, line, right, str_print(a, "%s:%d", path, number)));
        arena_drop(a, mark);
    }
    return OK;
}

/* A special token: new to the vocabulary, or there already under the same id. */
static Status add_special(Bpe *b, const char *text, const cJSON *id, bool left, bool right, const char *path)
{
    if (!is_id(id) || !*text)
        return fail(E_FORMAT, "%s: the special token \"%s\" has no text or no whole number from 0 to %d as id", path,
                    shown(text), BPE_MOST_IDS - 1);
    if (bpe_find(b, text) != id->valueint && !bpe_add_piece(b, text, strlen(text), id->valueint))
        return fail(E_FORMAT, "%s: the special token \"%s\" has id %d, and the vocabulary disagrees", path,
                    shown(text), id->valueint);
    bpe_add_special(b, text, strlen(text), id->valueint, left, right);
    return OK;
}

static Status finish(Bpe *b, const char *path)
{
    int byte = bpe_finish(b);
    if (byte < 0) return OK;
    char text[3] = {0};
    bpe_spell(text, byte);
    return fail(E_FORMAT, "%s: byte %d (spelt \"%s\") is not in the vocabulary, and there is no <unk>", path, byte,
                text);
}

/* ---- vocab.json, merges.txt, added_tokens.json ---- */

static Status load_vocab(Bpe *b, Arena *a, const char *path)
{
    cJSON *json = NULL;
    TRY(read_object(&json, a, path));
    Status s = add_pieces(b, json, path);
    cJSON_Delete(json);
    return s;
}

static Status load_added(Bpe *b, Arena *a, const char *path)
{
    cJSON *json = NULL;
    TRY(read_object(&json, a, path));
    Status s = OK;
    for (const cJSON *v = json->child; v && !s; v = v->next)
        s = add_special(b, v->string, v, strcmp(v->string, "<mask>") == 0, false, path);
    cJSON_Delete(json);
    return s;
}

static Status load_parts(Bpe *b, Arena *a, const char *vocab, const char *merges, const char *added)
{
    TRY(load_vocab(b, a, vocab));
    Bytes lines;
    TRY(read_limited(&lines, a, merges));
    TRY(add_merge_lines(b, a, lines, merges));
    if (added) TRY(load_added(b, a, added));
    bpe_add_known_specials(b);
    return finish(b, vocab);
}

/* ---- tokenizer.json ---- */

static const char *text_of(const cJSON *o, const char *key)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    return s ? s : "";
}

static bool is_true(const cJSON *o, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, key));
}

/* Names the first feature that the document asks for and this reader lacks, or returns NULL. */
static const char *unsupported(const cJSON *doc, const cJSON *model)
{
    const cJSON *normalizer = cJSON_GetObjectItemCaseSensitive(doc, "normalizer");
    const cJSON *pre = cJSON_GetObjectItemCaseSensitive(doc, "pre_tokenizer");
    const cJSON *dropout = cJSON_GetObjectItemCaseSensitive(model, "dropout");
    const cJSON *regex = cJSON_GetObjectItemCaseSensitive(pre, "use_regex");
    if (normalizer && !cJSON_IsNull(normalizer)) return "a normalizer";
    if (strcmp(text_of(pre, "type"), "ByteLevel")) return "a pre_tokenizer other than ByteLevel";
    if (is_true(pre, "add_prefix_space")) return "add_prefix_space";
    if (regex && !cJSON_IsTrue(regex)) return "use_regex false";
    if (*text_of(model, "type") && strcmp(text_of(model, "type"), "BPE")) return "a model other than BPE";
    if (*text_of(model, "continuing_subword_prefix")) return "a continuing_subword_prefix";
    if (*text_of(model, "end_of_word_suffix")) return "an end_of_word_suffix";
    if (cJSON_IsNumber(dropout) && dropout->valuedouble > 0) return "merge dropout";
    if (is_true(model, "ignore_merges")) return "ignore_merges";
    return NULL;
}

static Status add_json_merges(Bpe *b, Arena *a, const cJSON *merges, const char *path)
{
    int number = 0;
    for (cJSON *m = merges->child; m; m = m->next, number++) {
        ArenaMark mark = arena_mark(a);
        const char *where = str_print(a, "%s: merge %d", path, number);
        char *left = cJSON_GetStringValue(cJSON_GetArrayItem(m, 0)), *right = NULL;
        if (cJSON_IsString(m)) {
            left = m->valuestring;
            if (!split_pair(left, &right)) left = NULL;
        } else if (cJSON_GetArraySize(m) == 2) {
            right = cJSON_GetStringValue(cJSON_GetArrayItem(m, 1));
        }
        if (!left || !right) return fail(E_FORMAT, "%s: is not a pair of pieces", where);
        TRY(add_merge(b, a, left, right, where));
        arena_drop(a, mark);
    }
    return OK;
}

static Status read_document(Bpe *b, Arena *a, const cJSON *doc, const char *path)
{
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(doc, "model");
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(model, "vocab");
    const cJSON *merges = cJSON_GetObjectItemCaseSensitive(model, "merges");
    const cJSON *added = cJSON_GetObjectItemCaseSensitive(doc, "added_tokens");
    if (!cJSON_IsObject(vocab) || !cJSON_IsArray(merges))
        return fail(E_FORMAT, "%s: has no model with an object \"vocab\" and an array \"merges\"", path);
    const char *lack = unsupported(doc, model);
    if (lack) return fail(E_FORMAT, "%s: asks for %s, expected plain byte-level BPE", path, lack);
    TRY(add_pieces(b, vocab, path));
    TRY(add_json_merges(b, a, merges, path));
    for (const cJSON *t = added ? added->child : NULL; t; t = t->next) {
        const char *text = text_of(t, "content");
        if (is_true(t, "single_word"))
            return fail(E_FORMAT, "%s: the special token \"%s\" asks for single_word, which is not offered", path,
                        shown(text));
        TRY(add_special(b, text, cJSON_GetObjectItemCaseSensitive(t, "id"), is_true(t, "lstrip"),
                        is_true(t, "rstrip"), path));
    }
    return finish(b, path);
}

static Status load_document(Bpe *b, Arena *a, const char *path)
{
    cJSON *doc = NULL;
    TRY(read_object(&doc, a, path));
    Status s = read_document(b, a, doc, path);
    cJSON_Delete(doc);
    return s;
}

/* Runs one loader with a private arena for what only reading needs. */
static Status open_with(Bpe **out, Arena *run, const char *json, const char *vocab, const char *merges,
                        const char *added)
{
    Arena scratch = arena_open((size_t)1 << 34);
    ArenaMark mark = arena_mark(run);
    Bpe *b = bpe_new(run, 1 << 10);
    Status s = json ? load_document(b, &scratch, json) : load_parts(b, &scratch, vocab, merges, added);
    arena_close(&scratch);
    if (s) {
        bpe_close(b);
        arena_drop(run, mark);
        return s;
    }
    *out = b;
    return OK;
}

Status bpe_load(Bpe **out, Arena *run, const char *vocab, const char *merges)
{
    return open_with(out, run, NULL, vocab, merges, NULL);
}

Status bpe_load_json(Bpe **out, Arena *run, const char *path)
{
    return open_with(out, run, path, NULL, NULL, NULL);
}

Status bpe_open(Bpe **out, Arena *run, const char *dir)
{
    char *json = str_print(run, "%s/tokenizer.json", dir), *added = str_print(run, "%s/added_tokens.json", dir);
    if (access(json, F_OK) == 0) return bpe_load_json(out, run, json);
    return open_with(out, run, NULL, str_print(run, "%s/vocab.json", dir), str_print(run, "%s/merges.txt", dir),
                     access(added, F_OK) == 0 ? added : NULL);
}

/* ---- writing ---- */

/* A piece between quotation marks.  Only pieces of special tokens can hold control characters. */
static void write_quoted(Writer *w, const char *s)
{
    writer_add(w, "\"", 1);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            writer_print(w, "\\%c", *s);
        else if ((unsigned char)*s < 32)
            writer_print(w, "\\u%04x", (unsigned)(unsigned char)*s);
        else
            writer_add(w, s, 1);
    }
    writer_add(w, "\"", 1);
}

static Status write_vocab(const Bpe *b, const char *path)
{
    Writer w;
    TRY(writer_open(&w, path));
    const char *comma = "{";
    for (int32_t id = 0; id < b->size; id++) {
        if (!b->piece[id]) continue;
        writer_print(&w, "%s\n", comma);
        write_quoted(&w, b->piece[id]);
        writer_print(&w, ": %d", id);
        comma = ",";
    }
    writer_print(&w, "\n}\n");
    return writer_close(&w);
}

static Status write_merges(const Bpe *b, const char *path)
{
    Writer w;
    TRY(writer_open(&w, path));
    writer_print(&w, "#version: 0.2\n");
    for (int64_t i = 0; i < b->merges.n; i++)
        writer_print(&w, "%s %s\n", b->piece[b->left[i]], b->piece[b->right[i]]);
    return writer_close(&w);
}

static Status write_added(const Bpe *b, const char *path)
{
    Writer w;
    TRY(writer_open(&w, path));
    for (int64_t i = 0; i < b->special.n; i++) {
        writer_print(&w, "%s\n", i ? "," : "{");
        write_quoted(&w, b->special.at[i].text);
        writer_print(&w, ": %d", b->special.at[i].id);
    }
    writer_print(&w, "\n}\n");
    return writer_close(&w);
}

Status bpe_save(const Bpe *b, const char *dir)
{
    char vocab[4096], merges[4096], added[4096];
    int n = snprintf(added, sizeof added, "%s/added_tokens.json", dir);
    if (n < 0 || (size_t)n >= sizeof added) return fail(E_IO, "%.60s...: the path is too long", dir);
    snprintf(vocab, sizeof vocab, "%s/vocab.json", dir);
    snprintf(merges, sizeof merges, "%s/merges.txt", dir);
    TRY(file_make_dir(dir));
    TRY(write_vocab(b, vocab));
    TRY(write_merges(b, merges));
    return b->special.n ? write_added(b, added) : OK;
}
