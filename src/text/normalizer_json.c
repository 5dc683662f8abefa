/* The normalizer of a tokenizer.json. */
#include <string.h>

#include "base/str.h"
#include "text/document.h"
#include "text/normalizer.h"

typedef struct {
    Normalizer *z;
    Arena *a;
    const char *path;
} Reader;

static Status one(const Reader *r, NormStep s)
{
    return normalizer_add(r->z, s, r->path);
}

static Status read_replace(const Reader *r, const cJSON *n)
{
    const cJSON *content = document_member(n, "content");
    NormStep s = {.kind = NORM_REPLACE};
    if (!cJSON_IsString(content)) return document_refuse(r->path, "normalizer.content", content, "a string");
    s.to = str_copy(r->a, content->valuestring, strlen(content->valuestring));
    TRY(document_pattern(&s.pattern, r->a, n, "normalizer.pattern", r->path));
    return one(r, s);
}

static Status read_map(const Reader *r, const cJSON *n)
{
    const cJSON *field = document_member(n, "precompiled_charsmap");
    NormStep s = {.kind = NORM_MAP};
    if (!cJSON_IsString(field)) return document_refuse(r->path, "normalizer.precompiled_charsmap", field, "base64");
    TRY(charmap_read_base64(&s.map, r->a, field->valuestring, r->path));
    return one(r, s);
}

static Status read_bert(const Reader *r, const cJSON *n)
{
    const cJSON *accents = document_member(n, "strip_accents");
    return normalizer_add_bert(r->z, document_unless_false(n, "clean_text"),
                               document_unless_false(n, "handle_chinese_chars"), accents ? cJSON_IsTrue(accents) : -1,
                               document_unless_false(n, "lowercase"), r->path);
}

static Status read_step(const Reader *r, const cJSON *n)
{
    static const struct {
        const char *type;
        NormStep step;
    } PLAIN[] = {{"NFD", {.kind = NORM_FORM, .form = FORM_D}},
                 {"NFC", {.kind = NORM_FORM, .form = FORM_C}},
                 {"NFKD", {.kind = NORM_FORM, .form = FORM_KD}},
                 {"NFKC", {.kind = NORM_FORM, .form = FORM_KC}},
                 {"Lowercase", {.kind = NORM_LOWER}},
                 {"StripAccents", {.kind = NORM_ACCENTS}},
                 {"Nmt", {.kind = NORM_NMT}},
                 {"ByteLevel", {.kind = NORM_SPELL}}};
    const char *type = document_member_text(n, "type"), *prepend = document_member_text(n, "prepend");
    for (size_t i = 0; i < sizeof PLAIN / sizeof *PLAIN; i++)
        if (!strcmp(type, PLAIN[i].type)) return one(r, PLAIN[i].step);
    if (!strcmp(type, "Replace")) return read_replace(r, n);
    if (!strcmp(type, "Precompiled")) return read_map(r, n);
    if (!strcmp(type, "BertNormalizer")) return read_bert(r, n);
    if (!strcmp(type, "Strip"))
        return one(r, (NormStep){.kind = NORM_STRIP,
                                 .left = document_unless_false(n, "strip_left"),
                                 .right = document_unless_false(n, "strip_right")});
    if (!strcmp(type, "Prepend"))
        return one(r, (NormStep){.kind = NORM_PREPEND, .to = str_copy(r->a, prepend, strlen(prepend))});
    return document_refuse(r->path, "normalizer.type", document_member(n, "type"),
                           "BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, "
                           "Replace, Strip, StripAccents or a Sequence of them");
}

static Status read_any(const Reader *r, const cJSON *n, int depth)
{
    const cJSON *item;
    if (strcmp(document_member_text(n, "type"), "Sequence") != 0) return read_step(r, n);
    if (depth == DOCUMENT_DEPTH) return document_refuse(r->path, "normalizer", n, "fewer Sequences within Sequences");
    cJSON_ArrayForEach(item, document_member(n, "normalizers"))
    {
        TRY(read_any(r, item, depth + 1));
    }
    return OK;
}

Status normalizer_read(Normalizer *z, Arena *a, const cJSON *n, const char *path)
{
    z->bert = !strcmp(document_member_text(n, "type"), "BertNormalizer");
    return n ? read_any(&(Reader){z, a, path}, n, 0) : OK;
}
