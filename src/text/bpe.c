/* The vocabulary and its merges as they are filled in and read, and decoding. */
#include <string.h>

#include "base/str.h"
#include "text/bpe_core.h"

/* ---- filling ---- */

Bpe *bpe_new(Arena *a, int64_t expected)
{
    Bpe *b = NEW(a, Bpe, 1);
    *b = (Bpe){.arena = a, .named = {-1, -1, -1, -1, -1}, .unknown = -1, .prefix = "", .suffix = ""};
    b->vocab = table_open(a, expected);
    return b;
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
    int64_t rank = b->ranks++, room = b->merge_room;
    bool new = merges_add(&b->merges, b->arena, left, right, rank, id);
    GROW(b->arena, b->left, rank, b->merge_room, 512);
    GROW(b->arena, b->right, rank, room, 512);
    b->left[rank] = left;
    b->right[rank] = right;
    return new;
}

void bpe_add_special(Bpe *b, const char *text, size_t len, int32_t id, bool strip_left, bool strip_right)
{
    special_add(&b->special, b->arena,
                (Special){.text = text,
                          .len = len,
                          .id = id,
                          .strip_left = strip_left,
                          .strip_right = strip_right,
                          .special = true});
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

static int32_t spelt_id(const Bpe *b, int byte)
{
    char text[2];
    size_t len = bpe_spell(text, byte);
    return (int32_t)table_get(&b->vocab, text, len, -1);
}

static int32_t fallback_id(const Bpe *b, int byte)
{
    char text[8];
    int len = snprintf(text, sizeof text, "<0x%02X>", (unsigned)byte);
    return (int32_t)table_get(&b->vocab, text, (size_t)len, -1);
}

void bpe_finish(Bpe *b)
{
    b->named = (BpeSpecials){bpe_find(b, "<s>"), bpe_find(b, "<pad>"), bpe_find(b, "</s>"), bpe_find(b, "<unk>"),
                             bpe_find(b, "<mask>")};
    int32_t end = bpe_find(b, "<|endoftext|>");
    if (b->named.bos < 0) b->named.bos = end;
    if (b->named.eos < 0) b->named.eos = end;
    for (int byte = 0; byte < 256; byte++) {
        char text = (char)byte;
        b->start[byte] = b->characters ? (int32_t)table_get(&b->vocab, &text, 1, -1) : spelt_id(b, byte);
        b->fallback[byte] = fallback_id(b, byte);
    }
    b->reach.words = *b->prefix || *b->suffix || !b->characters ? WORDS_NONE : WORDS_EACH;
    if (*b->prefix || *b->suffix || !b->characters) memset(b->reach.inside, 0xff, sizeof b->reach.inside);
    for (int64_t i = 0; i < b->size && b->characters; i++)
        if (b->piece[i]) reach_add(&b->reach, b->piece[i], (int64_t)strlen(b->piece[i]), true);
}

const char *bpe_join(const Bpe *b, Arena *a, int32_t left, int32_t right, size_t *len)
{
    const char *more = b->piece[right];
    size_t n = strlen(b->piece[left]), skip = strlen(b->prefix), all = strlen(more);
    more += skip < all ? skip : all; /* "a" and "##b" make "ab" */
    size_t m = strlen(more);
    char *both = arena_take(a, n + m + 1);
    memcpy(both, b->piece[left], n);
    memcpy(both + n, more, m + 1);
    *len = n + m;
    return both;
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
