/* Questions, a model without added tokens around it, and decoding as the library has it. */
#include "text/spm.h"

#include <string.h>

#include "base/str.h"
#include "text/spm_model.h"

int64_t spm_size(const Spm *s)
{
    return s->n;
}

SpmSpecials spm_specials(const Spm *s)
{
    return s->special;
}

const char *spm_piece(const Spm *s, int32_t id)
{
    return id >= 0 && id < s->n && s->piece[id].len ? s->piece[id].text : NULL;
}

int32_t spm_find(const Spm *s, const char *piece)
{
    int32_t found = -1;
    for (int32_t i = 0; i < s->n && (found < 0 || !s->library); i++)
        if (!strcmp(s->piece[i].text, piece)) found = i; /* in a tokenizer.json the last one counts */
    return found;
}

char *spm_decode(const Spm *s, Arena *a, const int32_t *id, int64_t n, size_t *len)
{
    Buf b = buf_open(a);
    for (int64_t i = 0; i < n; i++) {
        if (id[i] < 0 || id[i] >= s->n) continue;
        const Piece *p = &s->piece[id[i]];
        int byte = p->type == PIECE_BYTE ? spm_byte(p->text) : -1;
        if (p->type == PIECE_CONTROL) continue;
        if (byte >= 0) {
            buf_add(&b, &(char){(char)byte}, 1);
            continue;
        }
        if (p->type == PIECE_UNKNOWN && s->library) {
            buf_print(&b, " \xe2\x81\x87 "); /* U+2047, two question marks */
            continue;
        }
        for (const char *c = p->text; *c;) {
            bool space = !strncmp(c, SPACE, 3);
            if (!space) buf_add(&b, c, 1);
            if (space && (b.len || !s->dummy_prefix)) buf_add(&b, " ", 1);
            c += space ? 3 : 1;
        }
    }
    *len = b.len;
    return b.text ? b.text : str_copy(a, "", 0);
}
