/* The files of byte-level BPE.
 *
 * vocab.json is one object, piece to id; merges.txt has one pair a line, best first, after a `#version` line;
 * document_added_tokens.json is one object, special token to id.  tokenizer.json (Hugging Face tokenizers) holds all
 * of it in one document, with a description of the pipeline; a pipeline that is not plain byte-level BPE is
 * refused rather than read wrongly. */
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "text/bpe_core.h"

/* ---- reading the parts ---- */

static Status add_pieces(Bpe *b, const cJSON *vocab, const char *path)
{
    for (const cJSON *v = vocab->child; v; v = v->next) {
        if (!document_is_id(v))
            return err_fail(E_FORMAT, "%s: the id of \"%s\" is not a whole number from 0 to %d", path,
                            document_shown(v->string), MOST_IDS - 1);
        if (!*v->string) return err_fail(E_FORMAT, "%s: id %d has an empty piece", path, v->valueint);
        if (bpe_add_piece(b, v->string, strlen(v->string), v->valueint)) continue;
        const char *other = bpe_piece(b, v->valueint);
        if (!other) return err_fail(E_FORMAT, "%s: the piece \"%s\" appears twice", path, document_shown(v->string));
        return err_fail(E_FORMAT, "%s: \"%s\" and \"%s\" both have id %d", path, document_shown(other),
                        document_shown(v->string), v->valueint);
    }
    return OK;
}

/* `where` is "file:line" or "file: merge n"; left and right are NUL-terminated. */
static Status add_merge(Bpe *b, Arena *a, const char *left, const char *right, const char *where)
{
    int32_t l = bpe_find(b, left), r = bpe_find(b, right);
    if (l < 0 || r < 0)
        return err_fail(E_FORMAT, "%s: \"%s\" is not in the vocabulary", where, document_shown(l < 0 ? left : right));
    size_t len;
    const char *both = bpe_join(b, a, l, r, &len);
    int64_t id = table_get(&b->vocab, both, len, -1);
    if (id < 0)
        return err_fail(E_FORMAT, "%s: makes \"%s\", which is not in the vocabulary", where, document_shown(both));
    if (!bpe_add_merge(b, l, r, (int32_t)id))
        return err_fail(E_FORMAT, "%s: \"%s\" and \"%s\" are merged twice", where, document_shown(left),
                        document_shown(right));
    return OK;
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
        if (strlen(line) != (size_t)(end - line)) return err_fail(E_FORMAT, "%s:%d: holds a zero byte", path, number);
        if (!*line || (number == 1 && strncmp(line, "#version", 8) == 0)) continue;
        if (!document_split_pair(line, &right))
            return err_fail(E_FORMAT, "%s:%d: found \"%s\", expected two pieces with one space between", path, number,
                            document_shown(line));
        ArenaMark mark = arena_mark(a);
        TRY(add_merge(b, a, line, right, str_print(a, "%s:%d", path, number)));
        arena_drop(a, mark);
    }
    return OK;
}

/* New to the vocabulary, or there already under the same id. */
static Status add_token(void *to, Special s, bool special, const char *path)
{
    (void)special; /* whatever is added is looked for first */
    Bpe *b = to;
    if (bpe_find(b, s.text) != s.id && !bpe_add_piece(b, s.text, s.len, s.id))
        return err_fail(E_FORMAT, "%s: the special token \"%s\" has id %d, and the vocabulary disagrees", path,
                        document_shown(s.text), s.id);
    special_add(&b->special, b->arena, s);
    return OK;
}

static Status finish(Bpe *b, const char *path)
{
    int byte = bpe_finish(b);
    if (byte < 0) return OK;
    char text[3] = {0};
    bpe_spell(text, byte);
    return err_fail(E_FORMAT, "%s: byte %d (spelt \"%s\") is not in the vocabulary, and there is no <unk>", path,
                    byte, text);
}

/* ---- vocab.json, merges.txt, document_added_tokens.json ---- */

static Status load_vocab(Bpe *b, Arena *a, const char *path)
{
    cJSON *json = NULL;
    TRY(document_read(&json, a, path));
    Status s = add_pieces(b, json, path);
    cJSON_Delete(json);
    return s;
}

static Status load_added(Bpe *b, Arena *a, const char *path)
{
    cJSON *json = NULL;
    TRY(document_read(&json, a, path));
    Status s = OK;
    for (const cJSON *v = json->child; v && !s; v = v->next)
        s = document_is_id(v) && *v->string
                ? add_token(b,
                            (Special){v->string, strlen(v->string), v->valueint, !strcmp(v->string, "<mask>"), false},
                            true, path)
                : err_fail(E_FORMAT, "%s: \"%s\" has no whole number from 0 to %d as id", path,
                           document_shown(v->string), MOST_IDS - 1);
    cJSON_Delete(json);
    return s;
}

static Status load_parts(Bpe *b, Arena *a, const char *vocab, const char *merges, const char *added)
{
    TRY(load_vocab(b, a, vocab));
    Bytes lines;
    TRY(document_bytes(&lines, a, merges));
    TRY(add_merge_lines(b, a, lines, merges));
    if (added) TRY(load_added(b, a, added));
    bpe_add_known_specials(b);
    return finish(b, vocab);
}

/* ---- tokenizer.json ---- */

/* Refuses settings that this reader does not support. */
static Status supported(const cJSON *doc, const char *path)
{
    const cJSON *model = document_member(doc, "model"), *pre = document_member(doc, "pre_tokenizer"),
                *decoder = document_member(doc, "decoder");
    const cJSON *dropout = document_member(model, "dropout"), *type = document_member(model, "type");
    static const char *const MUST_BE_EMPTY[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    if (document_member(doc, "normalizer"))
        return document_refuse(path, "normalizer", document_member(doc, "normalizer"), "null");
    if (strcmp(document_member_text(pre, "type"), "ByteLevel") != 0)
        return document_refuse(path, "pre_tokenizer", pre, "one of type ByteLevel");
    if (document_member_true(pre, "add_prefix_space"))
        return document_refuse(path, "pre_tokenizer.add_prefix_space", document_member(pre, "add_prefix_space"),
                               "false");
    if (document_member(pre, "use_regex") && !document_member_true(pre, "use_regex"))
        return document_refuse(path, "pre_tokenizer.use_regex", document_member(pre, "use_regex"), "true");
    if (type && strcmp(document_member_text(model, "type"), "BPE") != 0)
        return document_refuse(path, "model.type", type, "\"BPE\"");
    for (int i = 0; i < 2; i++)
        if (*document_member_text(model, MUST_BE_EMPTY[i]))
            return document_refuse(path, MUST_BE_EMPTY[i], document_member(model, MUST_BE_EMPTY[i]), "none");
    if (cJSON_IsNumber(dropout) && dropout->valuedouble > 0)
        return document_refuse(path, "model.dropout", dropout, "null");
    if (document_member_true(model, "ignore_merges"))
        return document_refuse(path, "model.ignore_merges", document_member(model, "ignore_merges"), "false");
    if (decoder && strcmp(document_member_text(decoder, "type"), "ByteLevel") != 0)
        return document_refuse(path, "decoder.type", document_member(decoder, "type"), "\"ByteLevel\"");
    return OK;
}

static Status add_json_merges(Bpe *b, Arena *a, const cJSON *merges, const char *path)
{
    int number = 0;
    for (cJSON *m = merges->child; m; m = m->next, number++) {
        ArenaMark mark = arena_mark(a);
        const char *where = str_print(a, "%s: merge %d", path, number), *left, *right;
        if (!document_merge_sides(m, &left, &right)) return err_fail(E_FORMAT, "%s: is not a pair of pieces", where);
        TRY(add_merge(b, a, left, right, where));
        arena_drop(a, mark);
    }
    return OK;
}

static Status read_document(Bpe *b, Arena *a, const cJSON *doc, const char *path)
{
    const cJSON *model = document_member(doc, "model"), *vocab = document_member(model, "vocab"),
                *merges = document_member(model, "merges");
    if (!cJSON_IsObject(vocab) || !cJSON_IsArray(merges))
        return err_fail(E_FORMAT, "%s: has no model with an object \"vocab\" and an array \"merges\"", path);
    TRY(supported(doc, path));
    TRY(add_pieces(b, vocab, path));
    TRY(add_json_merges(b, a, merges, path));
    TRY(document_added_tokens(doc, add_token, b, path));
    return finish(b, path);
}

bool bpe_reads(const cJSON *doc)
{
    return !strcmp(document_member_text(document_member(doc, "pre_tokenizer"), "type"), "ByteLevel");
}

static Status finish_open(Bpe **out, Arena *run, ArenaMark mark, Bpe *b, Status status)
{
    if (status) {
        bpe_close(b);
        arena_drop(run, mark);
    } else {
        *out = b;
    }
    return status;
}

/* Each loader has a private arena for memory that only reading needs. */
Status bpe_from_document(Bpe **out, Arena *run, const cJSON *doc, const char *path)
{
    Arena scratch = arena_open((size_t)1 << 34);
    ArenaMark mark = arena_mark(run);
    Bpe *b = bpe_new(run, 1 << 10);
    Status s = read_document(b, &scratch, doc, path);
    arena_close(&scratch);
    return finish_open(out, run, mark, b, s);
}

static Status open_parts(Bpe **out, Arena *run, const char *vocab, const char *merges, const char *added)
{
    Arena scratch = arena_open((size_t)1 << 34);
    ArenaMark mark = arena_mark(run);
    Bpe *b = bpe_new(run, 1 << 10);
    Status s = load_parts(b, &scratch, vocab, merges, added);
    arena_close(&scratch);
    return finish_open(out, run, mark, b, s);
}

Status bpe_load(Bpe **out, Arena *run, const char *vocab, const char *merges)
{
    return open_parts(out, run, vocab, merges, NULL);
}

Status bpe_load_json(Bpe **out, Arena *run, const char *path)
{
    Arena scratch = arena_open((size_t)1 << 30);
    cJSON *doc = NULL;
    Status s = document_read(&doc, &scratch, path);
    if (!s) s = bpe_from_document(out, run, doc, path);
    cJSON_Delete(doc);
    arena_close(&scratch);
    return s;
}

Status bpe_open(Bpe **out, Arena *run, const char *dir)
{
    char *json = str_print(run, "%s/tokenizer.json", dir), *added = str_print(run, "%s/added_tokens.json", dir);
    if (access(json, F_OK) == 0) return bpe_load_json(out, run, json);
    return open_parts(out, run, str_print(run, "%s/vocab.json", dir), str_print(run, "%s/merges.txt", dir),
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
    if (n < 0 || (size_t)n >= sizeof added) return err_fail(E_IO, "%.60s...: the path is too long", dir);
    snprintf(vocab, sizeof vocab, "%s/vocab.json", dir);
    snprintf(merges, sizeof merges, "%s/merges.txt", dir);
    TRY(file_make_dir(dir));
    if (b->special.n) TRY(write_added(b, added));
    TRY(write_merges(b, merges));
    return write_vocab(b, vocab); /* last: where it is, the tokenizer is whole (tokenizer_there) */
}
