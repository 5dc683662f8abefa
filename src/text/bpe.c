/* The vocabulary and its merges as they are filled in and read, and decoding.
 *
 * A vocabulary spells bytes as printable characters: 33-126, 161-172 and 174-255 stand for themselves, the
 * other 68 in increasing order for U+0100 and up, so a space is U+0120. */
#include <string.h>

#include "text/bpe_core.h"

/* ---- filling ---- */

static bool printable(int byte)
{
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

static int spelling(int byte)
{
    if (printable(byte)) return byte;
    int c = 256;
    for (int b = 0; b < byte; b++) c += !printable(b);
    return c;
}

size_t bpe_spell(char out[2], int byte)
{
    int c = spelling(byte);
    if (c < 128) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xC0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
    return 2;
}

Bpe *bpe_new(Arena *a, int64_t expected)
{
    Bpe *b = NEW(a, Bpe, 1);
    *b = (Bpe){.arena = a, .scratch = arena_open((size_t)1 << 34), .named = {-1, -1, -1, -1, -1}};
    b->vocab = table_open(a, expected);
    b->memo = memo_open(a, MEMO_WORDS);
    return b;
}

void bpe_close(Bpe *b)
{
    arena_close(&b->scratch);
}

bool bpe_add_piece(Bpe *b, const char *piece, size_t len, int64_t id)
{
    CHECK(id >= 0 && id < MOST_IDS, "a token id of %lld", (long long)id);
    if (id >= b->room) {
        int64_t room = b->room ? b->room : 512;
        while (room <= id) room *= 2;
        const char **more = NEW(b->arena, const char *, room);
        if (b->room) memcpy(more, b->piece, sizeof *more * (size_t)b->room);
        b->piece = more;
        b->room = room;
    }
    if (b->piece[id] || table_find(&b->vocab, piece, len)) return false;
    char *copy = arena_take(b->arena, len + 1);
    memcpy(copy, piece, len);
    copy[len] = 0;
    b->piece[id] = copy;
    *table_add(&b->vocab, piece, len, NULL) = id;
    if (id >= b->size) b->size = id + 1;
    return true;
}

bool bpe_add_merge(Bpe *b, int32_t left, int32_t right, int32_t id)
{
    int64_t rank = b->merges.n;
    if (!merges_add(&b->merges, b->arena, left, right, id)) return false;
    if (rank == b->merge_room) {
        int64_t room = b->merge_room ? b->merge_room * 2 : 512;
        int32_t *l = arena_take(b->arena, sizeof *l * (size_t)room),
                *r = arena_take(b->arena, sizeof *r * (size_t)room);
        if (rank) {
            memcpy(l, b->left, sizeof *l * (size_t)rank);
            memcpy(r, b->right, sizeof *r * (size_t)rank);
        }
        b->left = l;
        b->right = r;
        b->merge_room = room;
    }
    b->left[rank] = left;
    b->right[rank] = right;
    return true;
}

void bpe_add_special(Bpe *b, const char *text, size_t len, int32_t id, bool strip_left, bool strip_right)
{
    special_add(&b->special, b->arena, (Special){text, len, id, strip_left, strip_right});
}

void bpe_add_known_specials(Bpe *b)
{
    static const char *const KNOWN[] = {"<|endoftext|>", "<s>", "<pad>", "</s>", "<unk>", "<mask>"};
    size_t first = bpe_find(b, "<s>") >= 0; /* RoBERTa's vocabulary has GPT-2's token, as an ordinary piece */
    for (size_t i = first; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        int32_t id = bpe_find(b, KNOWN[i]);
        if (id >= 0) bpe_add_special(b, KNOWN[i], strlen(KNOWN[i]), id, strcmp(KNOWN[i], "<mask>") == 0, false);
    }
}

int bpe_finish(Bpe *b)
{
    b->named = (BpeSpecials){bpe_find(b, "<s>"), bpe_find(b, "<pad>"), bpe_find(b, "</s>"), bpe_find(b, "<unk>"),
                             bpe_find(b, "<mask>")};
    int32_t end = bpe_find(b, "<|endoftext|>");
    if (b->named.bos < 0) b->named.bos = end;
    if (b->named.eos < 0) b->named.eos = end;
    for (int byte = 0; byte < 256; byte++) {
        char text[2];
        size_t len = bpe_spell(text, byte);
        b->byte_id[byte] = (int32_t)table_get(&b->vocab, text, len, b->named.unk);
        if (b->byte_id[byte] < 0) return byte;
    }
    return -1;
}

const char *bpe_join(const Bpe *b, Arena *a, int32_t left, int32_t right, size_t *len)
{
    size_t n = strlen(b->piece[left]), m = strlen(b->piece[right]);
    char *both = arena_take(a, n + m + 1);
    memcpy(both, b->piece[left], n);
    memcpy(both + n, b->piece[right], m + 1);
    *len = n + m;
    return both;
}

/* Turns the spelling of a piece back into bytes; a character that spells no byte is copied as it is. */
static size_t unspell(char *out, const char *piece)
{
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)piece; *p;) {
        int c = *p, len = 1;
        if (c >= 0xC2 && c <= 0xC5 && (p[1] & 0xC0) == 0x80) {
            c = (c & 31) << 6 | (p[1] & 63);
            len = 2;
        }
        if (c >= 0x100 && c <= 0x120)
            out[n++] = (char)(c - 0x100);
        else if (c > 0x120 && c <= 0x143) /* 127-160 and, last of all, 173 */
            out[n++] = (char)(c == 0x143 ? 173 : 127 + c - 0x121);
        else if (len == 2 && c < 256)
            out[n++] = (char)c;
        else
            for (int i = 0; i < len; i++) out[n++] = (char)p[i];
        p += len;
    }
    return n;
}

char *bpe_decode(const Bpe *b, Arena *a, const int32_t *id, int64_t n, bool skip_special, size_t *len)
{
    size_t room = 1;
    for (int64_t i = 0; i < n; i++)
        if (bpe_piece(b, id[i])) room += strlen(b->piece[id[i]]);
    char *text = arena_take(a, room);
    size_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const char *piece = bpe_piece(b, id[i]);
        if (!piece) continue;
        bool special = bpe_is_special(b, id[i]);
        if (special && skip_special) continue;
        if (special) { /* spelt as text, not as bytes */
            size_t k = strlen(piece);
            memcpy(text + at, piece, k);
            at += k;
        } else {
            at += unspell(text + at, piece);
        }
    }
    text[at] = 0;
    if (len) *len = at;
    return text;
}

BpeText bpe_wrap(const Bpe *b, Arena *arena, const BpeText *x, const BpeText *y, int64_t most)
{
    CHECK(b->named.bos >= 0 && b->named.eos >= 0, "the vocabulary has no <s> and </s> to wrap a text in");
    int32_t eos = b->named.eos;
    const TokenFrame f = {{{b->named.bos}, {eos, eos}, {eos}}, {1, y ? 2 : 1, 1}};
    BpeText t;
    Status s = frame_put(&t, arena, &f, x, y, (Limit){.most = most});
    CHECK(!s, "%s", err_message());
    return t;
}

/* ---- questions ---- */

int64_t bpe_size(const Bpe *b)
{
    return b->size;
}

BpeSpecials bpe_specials(const Bpe *b)
{
    return b->named;
}

bool bpe_is_special(const Bpe *b, int32_t id)
{
    return special_of(&b->special, id) != NULL;
}

int64_t bpe_specials_in(const Bpe *b, const char *text, size_t len)
{
    return special_count(&b->special, text, len);
}

const char *bpe_piece(const Bpe *b, int32_t id)
{
    return id >= 0 && id < b->size ? b->piece[id] : NULL;
}

int32_t bpe_find(const Bpe *b, const char *piece)
{
    return (int32_t)table_get(&b->vocab, piece, strlen(piece), -1);
}
