/* The result of both kinds of file: tries and a table over the pieces, where words can be cut apart, and the
 * character map. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "text/spm_model.h"

/* A character is plain when the map has no key of it alone nor of it and another ASCII character. */
static void find_plain(Spm *s)
{
    for (int c = 1; c < 0x80; c++) {
        char pair[2] = {(char)c};
        const char *to;
        s->plain[c] = trie_step(&s->user, 0, (unsigned char)c) < 0 && !charmap_longest(&s->map, pair, 1, &to);
        for (int d = 1; d < 0x80 && s->plain[c] && s->map.unit; d++) {
            pair[1] = (char)d;
            s->plain[c] = !charmap_longest(&s->map, pair, 2, &to);
        }
    }
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int spm_byte(const char *piece)
{
    if (strlen(piece) != 6 || strncmp(piece, "<0x", 3) != 0 || piece[5] != '>') return -1;
    int high = hex(piece[3]), low = hex(piece[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* A user-defined symbol is always worth more than the pieces that would spell it. */
static void find_scores(Spm *s, Arena *a)
{
    s->in_path = NEW(a, double, s->n);
    for (int32_t i = 0; i < s->n; i++) {
        const Piece *p = &s->piece[i];
        s->in_path[i] = p->type == PIECE_USER ? (double)((float)p->len * (float)s->most) - 0.1 : p->score;
        if (p->type == PIECE_UNUSED || p->type == PIECE_CONTROL) s->in_path[i] = NAN;
    }
    for (int32_t i = 0; i < s->normal.units; i++) {
        TrieUnit *u = &s->normal.unit[i];
        double score = u->leaf >= 0 ? s->in_path[u->leaf] : 0, rounded = (double)(float)score;
        u->value = rounded < score || rounded > score ? NAN : (float)score;
    }
}

/* Pieces into tries and tables; the edges of the tries are on `scratch`. */
static Status index_pieces(Spm *s, Arena *a, Arena *scratch, const char *path)
{
    TrieEdges normal = trie_edges(scratch), user = normal;
    s->by_text = table_open(a, s->n);
    s->least = INFINITY, s->most = -INFINITY;
    s->reach.words = s->escape && !s->suffix ? WORDS_EACH : WORDS_NONE;
    memset(s->byte_id, 0xff, sizeof s->byte_id);
    for (int32_t i = 0; i < s->n; i++) {
        const Piece *p = &s->piece[i];
        int byte = p->type == PIECE_BYTE ? spm_byte(p->text) : -1;
        if (byte >= 0) s->byte_id[byte] = i;
        if (p->type == PIECE_UNKNOWN) s->special.unk = i;
        if (p->len && (p->type == PIECE_NORMAL || !s->library))
            s->least = fmin(s->least, p->score), s->most = fmax(s->most, p->score);
        bool cuts = p->type == PIECE_NORMAL || p->type == PIECE_USER || p->type == PIECE_UNUSED ||
                    (p->type == PIECE_CONTROL && !s->library && p->len);
        if (cuts) reach_add(&s->reach, p->text, p->len, true);
        if (!cuts) continue;
        if (trie_add(&normal, p->text, p->len, i, !s->library) >= 0 && s->library)
            return err_fail(E_FORMAT, "%s: piece \"%.100s\" appears twice", path, p->text);
        if (p->type == PIECE_USER) trie_add(&user, p->text, p->len, i, false);
        *table_add(&s->by_text, p->text, (size_t)p->len, NULL) = i;
        if (p->len > s->longest) s->longest = p->len;
    }
    if ((s->special.unk < 0 || s->special.unk >= s->n) && !(!s->library && s->byte_fallback))
        return err_fail(E_FORMAT, "%s: the model has no piece for unknown characters", path);
    s->normal = trie_pack(&normal, a);
    s->user = trie_pack(&user, a);
    return OK;
}

Status spm_index(Spm *s, Arena *a, const char *path)
{
    Arena scratch = arena_open((size_t)1 << 36);
    Status status = index_pieces(s, a, &scratch, path);
    arena_close(&scratch);
    TRY(status);
    find_scores(s, a);
    find_plain(s);
    return OK;
}
