/* The result of both kinds of file: tries and a table over the pieces, where words can be cut apart, and the
 * character map. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "text/spm_model.h"

static void trie_grow(Trie *t, Arena *a)
{
    const Trie old = *t;
    uint64_t slots = old.slot ? 2 * (old.mask + 1) : 64;
    t->slot = NEW(a, TrieSlot, slots);
    t->mask = slots - 1;
    for (uint64_t i = 0; old.slot && i <= old.mask; i++)
        if (old.slot[i].key) *trie_slot(t, old.slot[i].key) = old.slot[i];
}

/* Returns the id that the text has already, or -1; the old one stays, or gives way to the later. */
static int32_t trie_add(Trie *t, Arena *a, const Piece *p, int32_t id, bool later)
{
    int32_t node = 0;
    TrieSlot *s = NULL;
    for (int32_t i = 0; i < p->len; i++) {
        if (!t->slot || 2 * ((uint64_t)t->nodes + 1) > t->mask) trie_grow(t, a);
        s = trie_slot(t, ((uint64_t)node << 8 | (unsigned char)p->text[i]) + 1);
        if (!s->key) *s = (TrieSlot){((uint64_t)node << 8 | (unsigned char)p->text[i]) + 1, ++t->nodes, -1};
        node = s->child;
    }
    int32_t before = s->leaf;
    if (before < 0 || later) s->leaf = id;
    return before;
}

/* A character is plain when the map has no key of it alone nor of it and another ASCII character. */
static void find_plain(Spm *s)
{
    for (int c = 1; c < 0x80; c++) {
        char pair[2] = {(char)c};
        const char *to;
        s->plain[c] = !trie_step(&s->user, 0, (unsigned char)c) && !charmap_longest(&s->map, pair, 1, &to);
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

Status spm_index(Spm *s, Arena *a, const char *path)
{
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
        if (trie_add(&s->normal, a, p, i, !s->library) >= 0 && s->library)
            return err_fail(E_FORMAT, "%s: piece \"%.100s\" appears twice", path, p->text);
        if (p->type == PIECE_USER) trie_add(&s->user, a, p, i, false);
        *table_add(&s->by_text, p->text, (size_t)p->len, NULL) = i;
        if (p->len > s->longest) s->longest = p->len;
    }
    if ((s->special.unk < 0 || s->special.unk >= s->n) && !(!s->library && s->byte_fallback))
        return err_fail(E_FORMAT, "%s: the model has no piece for unknown characters", path);
    find_plain(s);
    return OK;
}
