/* The decoder of a tokenizer.json. */
#include <string.h>

#include "base/str.h"
#include "text/cutting.h"
#include "text/decoder.h"
#include "text/document.h"

typedef struct {
    Decoder *d;
    Arena *a;
    const char *path;
} Reader;

static const char *text_or(const Reader *r, const cJSON *d, const char *key, const char *none)
{
    const char *text = document_member(d, key) ? document_member_text(d, key) : none;
    return str_copy(r->a, text, strlen(text));
}

static int64_t count_of(const cJSON *d, const char *key)
{
    const cJSON *n = document_member(d, key);
    return document_is_id(n) ? n->valueint : 0;
}

static Status read_replace(const Reader *r, const cJSON *d)
{
    DecodeStep s = {.kind = DECODE_REPLACE, .to = text_or(r, d, "content", "")};
    TRY(document_pattern(&s.pattern, r->a, d, "decoder.pattern", r->path));
    return decoder_add(r->d, s, r->path);
}

static Status read_step(const Reader *r, const cJSON *d)
{
    const char *type = document_member_text(d, "type");
    DecodeStep s = {.kind = DECODE_BYTES};
    bool bytes = !strcmp(type, "ByteLevel");
    if (!strcmp(type, "WordPiece"))
        s = (DecodeStep){.kind = DECODE_WORDPIECE,
                         .text = text_or(r, d, "prefix", "##"),
                         .flag = document_unless_false(d, "cleanup")};
    else if (!strcmp(type, "Metaspace"))
        s = (DecodeStep){.kind = DECODE_META,
                         .text = text_or(r, d, "replacement", SPACE),
                         .flag = document_member(d, "prepend_scheme")
                                     ? strcmp(document_member_text(d, "prepend_scheme"), "never") != 0
                                     : document_unless_false(d, "add_prefix_space")};
    else if (!strcmp(type, "BPEDecoder"))
        s = (DecodeStep){.kind = DECODE_SUFFIX, .text = text_or(r, d, "suffix", "</w>")};
    else if (!strcmp(type, "ByteFallback"))
        s = (DecodeStep){.kind = DECODE_BYTE_FALLBACK};
    else if (!strcmp(type, "Fuse"))
        s = (DecodeStep){.kind = DECODE_FUSE};
    else if (!strcmp(type, "Strip"))
        s = (DecodeStep){.kind = DECODE_STRIP,
                         .text = text_or(r, d, "content", " "),
                         .start = count_of(d, "start"),
                         .stop = count_of(d, "stop")};
    else if (!strcmp(type, "Replace"))
        return read_replace(r, d);
    if (bytes || s.kind != DECODE_BYTES) return decoder_add(r->d, s, r->path);
    return document_refuse(r->path, "decoder.type", document_member(d, "type"),
                           "BPEDecoder, ByteFallback, ByteLevel, Fuse, Metaspace, Replace, Strip, WordPiece or a "
                           "Sequence of them");
}

static Status read_any(const Reader *r, const cJSON *d, int depth)
{
    const cJSON *item;
    if (strcmp(document_member_text(d, "type"), "Sequence") != 0) return read_step(r, d);
    if (depth == DOCUMENT_DEPTH) return document_refuse(r->path, "decoder", d, "fewer Sequences within Sequences");
    r->d->there = true;
    cJSON_ArrayForEach(item, document_member(d, "decoders"))
    {
        TRY(read_any(r, item, depth + 1));
    }
    return OK;
}

Status decoder_read(Decoder *out, Arena *a, const cJSON *d, const char *path)
{
    return d ? read_any(&(Reader){out, a, path}, d, 0) : OK;
}
