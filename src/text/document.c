/* JSON helpers first, then the two parts of a tokenizer.json that every kind of tokenizer has: added tokens and the
 * post-processor. */
#include "text/document.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/lines.h"
#include "text/pretoken.h"

enum { MOST_BYTES = 1 << 28 };

const char *document_shown(const char *s)
{
    static _Thread_local char text[2][48];
    static _Thread_local int turn;
    char *out = text[turn ^= 1];
    size_t n = 0;
    for (; s[n] && n < 40; n++) out[n] = iscntrl((unsigned char)s[n]) ? '?' : s[n];
    strcpy(out + n, s[n] ? "..." : "");
    return out;
}

Status document_bytes(Bytes *out, Arena *a, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size > MOST_BYTES)
        return err_fail(E_FORMAT, "%s: has %lld bytes; a tokenizer file has at most %d", path, (long long)st.st_size,
                        MOST_BYTES);
    return text_read(out, a, path, BYTES_ANY);
}

static int line_of(Bytes file, size_t byte)
{
    int line = 1;
    for (size_t i = 0; i < byte; i++) line += file.text[i] == '\n';
    return line;
}

/* cJSON takes any bytes for text. */
static Status check_utf8(Bytes file, const char *path)
{
    size_t at = 0;
    for (size_t n; at < file.len && (n = utf8_length(file.text + at, file.len - at)) > 0;) at += n;
    if (at == file.len) return OK;
    return err_fail(E_FORMAT, "%s:%d: byte %zu of %zu: not UTF-8 here", path, line_of(file, at), at, file.len);
}

Status document_read(cJSON **out, Arena *a, const char *path)
{
    Bytes file;
    TRY(document_bytes(&file, a, path));
    TRY(check_utf8(file, path));
    const char *end = file.text;
    cJSON *json = cJSON_ParseWithLengthOpts(file.text, file.len + 1, &end, 1);
    if (json && cJSON_IsObject(json) && end == file.text + file.len) {
        *out = json;
        return OK;
    }
    bool whole = json && end == file.text + file.len;
    cJSON_Delete(json);
    if (whole) return err_fail(E_FORMAT, "%s: line 1: the document is not an object", path);
    size_t byte = end < file.text || end > file.text + file.len ? file.len : (size_t)(end - file.text);
    return err_fail(E_FORMAT, "%s:%d: byte %zu of %zu: not valid JSON here", path, line_of(file, byte), byte,
                    file.len);
}

const cJSON *document_member(const cJSON *o, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsNull(v) ? NULL : v;
}

const char *document_member_text(const cJSON *o, const char *key)
{
    const char *s = cJSON_GetStringValue(document_member(o, key));
    return s ? s : "";
}

bool document_member_true(const cJSON *o, const char *key)
{
    return cJSON_IsTrue(document_member(o, key));
}

bool document_is_id(const cJSON *v)
{
    return cJSON_IsNumber(v) && v->valuedouble >= 0 && v->valuedouble < MOST_IDS &&
           v->valuedouble == (double)(int64_t)v->valuedouble;
}

Status document_refuse(const char *path, const char *field, const cJSON *value, const char *expected)
{
    char *text = value ? cJSON_PrintUnformatted(value) : NULL;
    Status s = err_fail(E_FORMAT, "%s: %s is %s, expected %s", path, field, text ? document_shown(text) : "absent",
                        expected);
    cJSON_free(text);
    return s;
}

bool document_split_pair(char *line, char **right)
{
    char *space = strchr(line, ' ');
    if (!space || space == line || !space[1] || strchr(space + 1, ' ')) return false;
    *space = 0;
    *right = space + 1;
    return true;
}

bool document_merge_sides(cJSON *m, const char **left, const char **right)
{
    char *second = NULL;
    *left = *right = NULL;
    if (cJSON_IsString(m)) {
        if (document_split_pair(m->valuestring, &second)) *left = m->valuestring, *right = second;
    } else if (cJSON_GetArraySize(m) == 2) {
        *left = cJSON_GetStringValue(m->child);
        *right = cJSON_GetStringValue(m->child->next);
    }
    return *left && *right;
}

bool document_unless_false(const cJSON *o, const char *key)
{
    return !cJSON_IsFalse(document_member(o, key));
}

Status document_pattern(Pattern *p, Arena *a, const cJSON *object, const char *field, const char *path)
{
    const cJSON *pattern = document_member(object, "pattern"), *text = document_member(pattern, "String"),
                *regex = document_member(pattern, "Regex");
    if (cJSON_IsString(regex)) return pattern_read(p, a, regex->valuestring, str_print(a, "%s: %s", path, field));
    if (!cJSON_IsString(text)) return document_refuse(path, field, pattern, "a String or a Regex");
    size_t n = strlen(text->valuestring);
    *p = (Pattern){.kind = PATTERN_TEXT, .text = str_copy(a, text->valuestring, n), .len = n};
    return OK;
}

Status document_added_token(Special *out, const cJSON *t, const char *path)
{
    const char *text = document_member_text(t, "content");
    const cJSON *id = document_member(t, "id");
    bool special = document_member_true(t, "special");
    if (!*text || (id && !document_is_id(id)))
        return err_fail(E_FORMAT, "%s: the added token \"%s\" has no text, or an id that is no whole number below %d",
                        path, document_shown(text), MOST_IDS);
    const cJSON *normalized = document_member(t, "normalized");
    *out = (Special){.text = text,
                     .len = strlen(text),
                     .id = id ? id->valueint : -1,
                     .strip_left = document_member_true(t, "lstrip"),
                     .strip_right = document_member_true(t, "rstrip"),
                     .single_word = document_member_true(t, "single_word"),
                     .normalized = normalized ? cJSON_IsTrue(normalized) : !special,
                     .special = special};
    return OK;
}

/* ---- the post-processor ---- */

static Status put(TokenFrame *f, int part, const cJSON *id, int32_t type, const char *path, const char *field)
{
    if (!document_is_id(id)) return document_refuse(path, field, id, "the id of a token");
    if (f->n[part] == FRAME_MOST)
        return err_fail(E_FORMAT, "%s: %s has more than %d in a row", path, field, FRAME_MOST);
    f->type[part][f->n[part]] = type;
    f->id[part][f->n[part]++] = id->valueint;
    return OK;
}

/* {"sep": [text, id], "cls": [text, id]}; RoBERTa has the separator twice between two texts. */
static Status read_fixed(TokenFrame *single, TokenFrame *pair, const cJSON *post, int between, const char *path)
{
    int32_t second = between == 1; /* BERT has a type for the second text */
    const cJSON *cls = cJSON_GetArrayItem(document_member(post, "cls"), 1),
                *sep = cJSON_GetArrayItem(document_member(post, "sep"), 1);
    for (int i = 0; i < 2; i++) {
        TokenFrame *f = i ? pair : single;
        TRY(put(f, 0, cls, 0, path, "post_processor.cls"));
        for (int k = 0; k < (i ? between : 1); k++) TRY(put(f, 1, sep, 0, path, "post_processor.sep"));
    }
    pair->text_type[1] = second;
    return put(pair, 2, sep, second, path, "post_processor.sep");
}

static int32_t type_of(const cJSON *item)
{
    const cJSON *type = document_member(item, "type_id");
    return document_is_id(type) ? type->valueint : 0;
}

/* A list of {"SpecialToken": {"id": name}} and {"Sequence": {"id": "A" or "B"}}; the first text comes first. */
static Status read_template(TokenFrame *f, const cJSON *list, const cJSON *tokens, int texts, const char *path)
{
    int part = 0;
    const cJSON *item, *id;
    f->text_type[1] = 0;
    cJSON_ArrayForEach(item, list)
    {
        const cJSON *token = document_member(item, "SpecialToken"), *text = document_member(item, "Sequence");
        if (text) {
            const char *name = document_member_text(text, "id");
            if (part == texts || name[0] != 'A' + part || name[1])
                return document_refuse(path, "post_processor: a Sequence", text, "A first and B where there are two");
            f->text_type[part++] = type_of(text);
            continue;
        }
        const cJSON *ids = document_member(document_member(tokens, document_member_text(token, "id")), "ids");
        if (!cJSON_IsArray(ids))
            return document_refuse(path, "post_processor: a part", item, "a known SpecialToken or Sequence");
        cJSON_ArrayForEach(id, ids)
        {
            TRY(put(f, part, id, type_of(token), path, "post_processor: ids"));
        }
    }
    return part == texts ? OK : document_refuse(path, "post_processor", list, texts == 1 ? "A" : "A and B");
}

/* The post-processor: one of three kinds, or a Sequence that also holds ByteLevel, which changes no ids. */
static Status read_post(TokenFrame *single, TokenFrame *pair, const cJSON *post, int depth, const char *path)
{
    const char *type = document_member_text(post, "type");
    const cJSON *item;
    if (!post || !strcmp(type, "ByteLevel")) return OK;
    if (!strcmp(type, "RobertaProcessing")) return read_fixed(single, pair, post, 2, path);
    if (!strcmp(type, "BertProcessing")) return read_fixed(single, pair, post, 1, path);
    if (!strcmp(type, "TemplateProcessing")) {
        const cJSON *tokens = document_member(post, "special_tokens");
        TRY(read_template(single, document_member(post, "single"), tokens, 1, path));
        return document_member(post, "pair") ? read_template(pair, document_member(post, "pair"), tokens, 2, path)
                                             : OK;
    }
    if (strcmp(type, "Sequence") || depth)
        return document_refuse(
            path, "post_processor.type", document_member(post, "type"),
            "RobertaProcessing, BertProcessing, TemplateProcessing, ByteLevel or a Sequence of them");
    cJSON_ArrayForEach(item, document_member(post, "processors"))
    {
        TRY(read_post(single, pair, item, depth + 1, path));
    }
    return OK;
}

Status document_post_processor(TokenFrame *single, TokenFrame *pair, const cJSON *doc, const char *path)
{
    *single = *pair = (TokenFrame){.text_type = {0, 1}};
    return read_post(single, pair, document_member(doc, "post_processor"), 0, path);
}
