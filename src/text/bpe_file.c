/* The files of byte-level BPE.
 *
 * vocab.json is one object, piece to id; merges.txt has one pair a line, best first, after a `#version` line;
 * added_tokens.json is one object, special token to id.  A tokenizer.json (Hugging Face tokenizers) holds the model
 * as one of its parts. */
#include <string.h>
#include <unistd.h>

#include "base/print.h"
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
    bpe_add_merge(b, l, r, (int32_t)id);
    return OK;
}

static Status add_merge_lines(Bpe *b, Arena *a, Bytes file, bool first, const char *path)
{
    int number = 0;
    for (char *p = file.text, *stop = file.text + file.len; p < stop;) {
        char *line = p, *end = memchr(p, '\n', (size_t)(stop - p)), *right;
        bool last = !end;
        if (last) end = stop;
        p = end + !last;
        *end = 0;
        number++;
        if (end > line && end[-1] == '\r') *--end = 0;
        if (strlen(line) != (size_t)(end - line)) return err_fail(E_FORMAT, "%s:%d: holds a zero byte", path, number);
        bool version = number == 1 && strncmp(line, "#version", 8) == 0, skipped = first && (number == 1 || last);
        if (skipped && !version && *line)
            print_err("%s:%d: the %s line counts for nothing, as in the library, where the first is \"#version\" and "
                      "the last ends in a newline\n",
                      path, number, number == 1 ? "first" : "last");
        if (!*line || version || skipped) continue;
        if (!document_split_pair(line, &right))
            return err_fail(E_FORMAT, "%s:%d: found \"%s\", expected two pieces with one space between", path, number,
                            document_shown(line));
        ArenaMark mark = arena_mark(a);
        TRY(add_merge(b, a, line, right, str_print(a, "%s:%d", path, number)));
        arena_drop(a, mark);
    }
    return OK;
}

/* Whatever is added is looked for first. */
static Status add_token(Bpe *b, Special s, const char *path)
{
    if (bpe_find(b, s.text) != s.id && !bpe_add_piece(b, s.text, s.len, s.id))
        return err_fail(E_FORMAT, "%s: the special token \"%s\" has id %d, and the vocabulary disagrees", path,
                        document_shown(s.text), s.id);
    special_add(&b->special, b->arena, s);
    return OK;
}

/* ---- vocab.json, merges.txt, added_tokens.json ---- */

Status bpe_read_vocab(Bpe *b, const char *path)
{
    Arena scratch = arena_open((size_t)1 << 30);
    cJSON *json = NULL;
    Status s = document_read(&json, &scratch, path);
    if (!s) s = add_pieces(b, json, path);
    cJSON_Delete(json);
    arena_close(&scratch);
    return s;
}

Status bpe_read_merges(Bpe *b, const char *path, bool first)
{
    Arena scratch = arena_open((size_t)1 << 30);
    Bytes lines;
    Status s = document_bytes(&lines, &scratch, path);
    if (!s) s = add_merge_lines(b, &scratch, lines, first, path);
    arena_close(&scratch);
    return s;
}

static Status load_added(Bpe *b, const char *path)
{
    Arena scratch = arena_open((size_t)1 << 30);
    cJSON *json = NULL;
    Status s = document_read(&json, &scratch, path);
    for (const cJSON *v = json ? json->child : NULL; v && !s; v = v->next)
        s = document_is_id(v) && *v->string ? add_token(b,
                                                        (Special){.text = v->string,
                                                                  .len = strlen(v->string),
                                                                  .id = v->valueint,
                                                                  .strip_left = !strcmp(v->string, "<mask>"),
                                                                  .special = true},
                                                        path)
                                            : err_fail(E_FORMAT, "%s: \"%s\" has no whole number from 0 to %d as id",
                                                       path, document_shown(v->string), MOST_IDS - 1);
    cJSON_Delete(json);
    arena_close(&scratch);
    return s;
}

static Status every_byte(const Bpe *b, const char *path)
{
    for (int byte = 0; byte < 256 && b->unknown < 0; byte++) {
        char text[3] = {0};
        bpe_spell(text, byte);
        if (b->start[byte] < 0)
            return err_fail(E_FORMAT, "%s: byte %d (spelt \"%s\") is not in the vocabulary, and there is no <unk>",
                            path, byte, text);
    }
    return OK;
}

static Status load_parts(Bpe *b, const char *vocab, const char *merges, const char *added)
{
    TRY(bpe_read_vocab(b, vocab));
    TRY(bpe_read_merges(b, merges, false));
    if (added) TRY(load_added(b, added));
    bpe_add_known_specials(b);
    b->unknown = bpe_find(b, "<unk>");
    bpe_finish(b);
    return every_byte(b, vocab);
}

/* ---- the model of a tokenizer.json ---- */

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

static Status read_unknown(Bpe *b, const cJSON *model, const char *path)
{
    const char *text = document_member_text(model, "unk_token");
    b->unknown = *text ? bpe_find(b, text) : -1;
    return !*text || b->unknown >= 0 ? OK
                                     : document_refuse(path, "model.unk_token", document_member(model, "unk_token"),
                                                       "a piece of the vocabulary");
}

Status bpe_read_model(Bpe *b, const cJSON *model, const char *path)
{
    const cJSON *vocab = document_member(model, "vocab"), *merges = document_member(model, "merges"),
                *dropout = document_member(model, "dropout");
    const char *prefix = document_member_text(model, "continuing_subword_prefix"),
               *suffix = document_member_text(model, "end_of_word_suffix");
    if (!cJSON_IsObject(vocab) || !cJSON_IsArray(merges))
        return err_fail(E_FORMAT, "%s: has no model with an object \"vocab\" and an array \"merges\"", path);
    if (cJSON_IsNumber(dropout) && dropout->valuedouble > 0)
        return document_refuse(path, "model.dropout", dropout, "null");
    b->prefix = str_copy(b->arena, prefix, strlen(prefix));
    b->suffix = str_copy(b->arena, suffix, strlen(suffix));
    b->ignore_merges = document_member_true(model, "ignore_merges");
    b->fuse = document_member_true(model, "fuse_unk");
    b->byte_fallback = document_member_true(model, "byte_fallback");
    TRY(add_pieces(b, vocab, path));
    TRY(read_unknown(b, model, path));
    Arena scratch = arena_open((size_t)1 << 30);
    Status s = add_json_merges(b, &scratch, merges, path);
    arena_close(&scratch);
    return s;
}

/* ---- opening ---- */

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

static Status open_parts(Bpe **out, Arena *run, const char *vocab, const char *merges, const char *added)
{
    ArenaMark mark = arena_mark(run);
    Bpe *b = bpe_new(run, 1 << 10);
    return finish_open(out, run, mark, b, load_parts(b, vocab, merges, added));
}

Status bpe_load(Bpe **out, Arena *run, const char *vocab, const char *merges)
{
    return open_parts(out, run, vocab, merges, NULL);
}

Status bpe_open(Bpe **out, Arena *run, const char *dir)
{
    char *added = str_print(run, "%s/added_tokens.json", dir);
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

/* A vocabulary with RoBERTa's tokens is read with RoBERTa's frame, whatever the model beside it is: the usual class
 * of its model_type could be another. */
static Status declare_class(const Bpe *b, const char *path)
{
    static const char ROBERTA[] = "{\"tokenizer_class\": \"RobertaTokenizer\"}\n";
    bool framed = bpe_find(b, "<s>") >= 0 && bpe_find(b, "</s>") >= 0;
    return framed ? file_write(path, ROBERTA, sizeof ROBERTA - 1) : OK;
}

Status bpe_save(const Bpe *b, const char *dir)
{
    char vocab[4096], merges[4096], added[4096], declared[4096];
    int n = snprintf(declared, sizeof declared, "%s/tokenizer_config.json", dir);
    if (n < 0 || (size_t)n >= sizeof declared) return err_fail(E_IO, "%.60s...: the path is too long", dir);
    snprintf(added, sizeof added, "%s/added_tokens.json", dir);
    snprintf(vocab, sizeof vocab, "%s/vocab.json", dir);
    snprintf(merges, sizeof merges, "%s/merges.txt", dir);
    TRY(file_make_dir(dir));
    if (b->special.n) TRY(write_added(b, added));
    TRY(declare_class(b, declared));
    TRY(write_merges(b, merges));
    return write_vocab(b, vocab); /* last: where it is, the tokenizer is whole (tokenizer_there) */
}
