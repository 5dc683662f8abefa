/* The last stage of a tokenizer: pieces become text again, by the steps of a tokenizer.json. */
#ifndef TEXT_DECODER_H
#define TEXT_DECODER_H

#include <cjson/cJSON.h>

#include "base/file.h"
#include "text/pattern.h"

typedef enum {
    DECODE_BYTES,         /* ByteLevel: characters spell bytes */
    DECODE_WORDPIECE,     /* WordPiece: a blank before every piece but those that continue a word */
    DECODE_META,          /* Metaspace: marks become blanks */
    DECODE_SUFFIX,        /* BPEDecoder: a suffix ends a word */
    DECODE_REPLACE,       /* Replace */
    DECODE_BYTE_FALLBACK, /* ByteFallback: <0xNN> is a byte */
    DECODE_FUSE,          /* Fuse: one text */
    DECODE_STRIP          /* Strip: some characters at the ends go */
} DecodeKind;
typedef struct {
    DecodeKind kind;
    const char *text; /* prefix, mark, suffix or character */
    bool flag;        /* WordPiece: clean up; Metaspace: the mark in front goes */
    Pattern pattern;
    const char *to;
    int64_t start, stop;
} DecodeStep;
enum { DECODE_MOST = 16 };
typedef struct {
    DecodeStep step[DECODE_MOST];
    int n;
    bool there; /* else pieces are joined by blanks */
} Decoder;

Status decoder_add(Decoder *, DecodeStep, const char *path); /* E_FORMAT: too many */
Status decoder_read(Decoder *, Arena *, const cJSON *, const char *path);
Bytes decoder_run(const Decoder *, Arena *, Bytes *piece, int64_t n); /* changes the pieces */
void decoder_close(Decoder *);
/* Blanks before punctuation and contractions go: clean_up_tokenization_spaces, or WordPiece's rule in its place. */
Bytes decoder_clean(Arena *, Bytes, bool wordpiece);
/* U+FFFD in the place of every longest stretch that begins a character and does not end it. */
Bytes decoder_valid(Arena *, Bytes);

#endif
