/* Offsets are looked at when an entry is read, tables of the index when it is opened.  A chain of deltas is followed
 * to its base with a limit, then applied from there; the base and the objects between go into a cache that is emptied
 * when it is full. */
#include "change/pack.h"

#include <string.h>
#include <zlib.h>

#include "base/str.h"

enum {
    ID = 20,
    FAN = 256 * 4,
    HEADER = 12,      /* of a pack */
    OFFSET_DELTA = 6, /* types of entries beyond those of objects */
    ID_DELTA = 7,
    MOST_CHAIN = 10000,    /* git makes none beyond 4,095 */
    CACHED = 64 << 20,     /* bytes */
    MOST_CACHED = 4 << 20, /* of one object */
    CACHE_ENTRIES = 1 << 14
};
static const size_t MOST_OBJECT = (size_t)1 << 30; /* that is read; sizes may be larger */

/* ---- zlib ---- */

/* Inflates up to `size` bytes and returns whether the stream ended there. */
static bool run_inflate(const char *in, size_t n_in, char *out, size_t size, size_t *made, size_t *used)
{
    enum { CHUNK = 1 << 30 }; /* zlib counts in 32 bits */
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in};
    char spare;
    size_t done = 0, taken = 0;
    int code;
    if (inflateInit(&z) != Z_OK) err_no_memory("zlib has no memory");
    do {
        uInt want = (uInt)(n_in - taken < CHUNK ? n_in - taken : CHUNK);
        uInt room = (uInt)(size - done < CHUNK ? size - done : CHUNK);
        z.avail_in = want;
        z.next_out = (Bytef *)(room ? out + done : &spare);
        z.avail_out = room ? room : 1; /* the end of a stream may come after its last byte */
        code = inflate(&z, Z_NO_FLUSH);
        taken += want - z.avail_in;
        if (!room && !z.avail_out) code = Z_DATA_ERROR; /* longer than declared */
        if (room) done += room - z.avail_out;
    } while (code == Z_OK);
    inflateEnd(&z);
    *made = done;
    *used = taken;
    return code == Z_STREAM_END;
}

bool pack_inflate_exactly(const char *in, size_t n_in, char *out, size_t size, size_t *used)
{
    size_t made;
    return run_inflate(in, n_in, out, size, &made, used) && made == size;
}

size_t pack_inflate_start(const char *in, size_t n_in, char *out, size_t room)
{
    size_t made, used;
    run_inflate(in, n_in, out, room, &made, &used);
    return made;
}

/* ---- the index ---- */

static uint32_t be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t be64(const unsigned char *p)
{
    return (uint64_t)be32(p) << 32 | be32(p + 4);
}

/* Finds the tables of the index; NULL, or the fault. */
static const char *lay_out(Pack *p)
{
    const unsigned char *s = (const unsigned char *)p->index.text;
    size_t len = p->index.len;
    bool second = len >= 8 && !memcmp(s, "\377tOc", 4);
    size_t start = second ? 8 : 0;
    if (second && be32(s + 4) != 2) return "its index has a version other than 1 and 2";
    if (len < start + FAN + 2 * ID) return "its index is cut short";
    p->fan = s + start;
    for (int k = 1; k < 256; k++)
        if (be32(p->fan + 4 * k) < be32(p->fan + 4 * (k - 1))) return "the counts of its index decrease";
    p->n = be32(p->fan + 4 * 255);
    size_t body = len - start - FAN - 2 * ID, n = p->n;
    const unsigned char *tables = p->fan + FAN;
    if (!second) {
        if (body != n * (4 + ID)) return "its index is not as long as its count of objects needs";
        p->offset = tables, p->name = tables + 4, p->stride = 4 + ID;
        return NULL;
    }
    if (body < n * (ID + 8) || (body - n * (ID + 8)) % 8)
        return "its index is not as long as its count of objects needs";
    p->name = tables, p->stride = ID;
    p->offset = tables + n * (ID + 4);
    p->far = p->offset + 4 * n;
    p->n_far = (body - n * (ID + 8)) / 8;
    return NULL;
}

static const char *check_pack(const Pack *p)
{
    const unsigned char *s = (const unsigned char *)p->pack.text;
    size_t len = p->pack.len;
    if (len < HEADER + ID || memcmp(s, "PACK", 4)) return "it does not begin as a pack";
    if (be32(s + 4) != 2 && be32(s + 4) != 3) return "it has a version other than 2 and 3";
    if (be32(s + 8) != p->n) return "it and its index count different numbers of objects";
    if (memcmp(s + len - ID, p->index.text + p->index.len - 2 * ID, ID))
        return "its checksum is not the one that its index names: it is cut short, or the index is another's";
    return NULL;
}

const char *pack_open(Pack *p, Arena *a, const char *index_path)
{
    size_t stem = strlen(index_path) - strlen(".idx");
    *p = (Pack){.path = index_path};
    const char *wrong = NULL;
    if (file_map(&p->index, index_path) || file_map(&p->pack, str_print(a, "%.*s.pack", (int)stem, index_path))) {
        wrong = str_copy(a, err_message(), strlen(err_message()));
        err_clear();
    }
    if (!wrong) wrong = lay_out(p);
    if (!wrong) wrong = check_pack(p);
    if (wrong) pack_close(p);
    return wrong;
}

void pack_close(Pack *p)
{
    file_unmap(p->pack);
    file_unmap(p->index);
    p->pack = p->index = (Bytes){NULL, 0};
    p->n = 0;
}

const unsigned char *pack_id(const Pack *p, uint32_t place)
{
    return p->name + place * p->stride;
}

uint32_t pack_place(const Pack *p, const unsigned char id[ID])
{
    uint32_t low = id[0] ? be32(p->fan + 4 * (id[0] - 1)) : 0, high = be32(p->fan + 4 * id[0]);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(pack_id(p, middle), id, ID) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- entries ---- */

typedef struct {
    int type;
    size_t size, data; /* of the deflated data; where they begin */
    size_t base;       /* of a delta: where its base begins */
} Entry;

static const char BEHIND[] = "its index places it outside of the pack";

static const char *offset_at(const Pack *p, uint32_t place, size_t *offset)
{
    size_t end = p->pack.len - ID;
    uint64_t at = be32(p->offset + place * (p->far ? 4 : p->stride));
    if (p->far && at >> 31) {
        at &= 0x7fffffff;
        if (at >= p->n_far) return BEHIND;
        at = be64(p->far + 8 * at);
    }
    *offset = (size_t)at;
    return at < HEADER || at >= end ? BEHIND : NULL;
}

/* How far back the base of a delta begins, as git writes it. */
static bool back(const unsigned char *s, size_t end, size_t *at, size_t *out)
{
    size_t d = 0;
    for (bool first = true;; first = false) {
        if (*at >= end || d >> 55) return false;
        unsigned char c = s[(*at)++];
        d = ((first ? d : d + 1) << 7) | (c & 0x7f);
        if (!(c & 0x80)) break;
    }
    *out = d;
    return true;
}

/* The header of an entry: its type, its size, and the base of a delta.  NULL, or the reason why it cannot be read. */
static const char *entry(const Pack *p, size_t offset, Entry *e)
{
    static const char BAD[] = "its entry in the pack is damaged";
    const unsigned char *s = (const unsigned char *)p->pack.text;
    size_t end = p->pack.len - ID, at = offset, distance;
    unsigned char c = s[at++];
    *e = (Entry){.type = c >> 4 & 7, .size = c & 15};
    for (int shift = 4; c & 0x80; shift += 7) {
        if (at >= end || shift > 53) return BAD;
        c = s[at++];
        e->size |= (size_t)(c & 0x7f) << shift;
    }
    if (e->type == OFFSET_DELTA) {
        if (!back(s, end, &at, &distance) || distance == 0 || distance > offset - HEADER) return BAD;
        e->base = offset - distance;
    } else if (e->type == ID_DELTA) {
        if (end - at < ID) return BAD;
        uint32_t place = pack_place(p, s + at);
        if (place >= p->n || memcmp(pack_id(p, place), s + at, ID)) return "the base of its delta is not in the pack";
        if (offset_at(p, place, &e->base)) return BEHIND;
        at += ID;
    } else if (e->type < OBJECT_COMMIT || e->type > OBJECT_TAG) {
        return BAD;
    }
    e->data = at;
    if (e->size / DEFLATE_MOST > end - at) return "its entry has an impossible size";
    return NULL;
}

/* The inflated data of an entry, on the arena. */
static char *inflated(const Pack *p, const Entry *e, Arena *a)
{
    size_t used;
    if (e->size > MOST_OBJECT) return NULL;
    char *out = arena_take(a, e->size + 1);
    out[e->size] = 0;
    return pack_inflate_exactly(p->pack.text + e->data, p->pack.len - ID - e->data, out, e->size, &used) ? out : NULL;
}

/* ---- deltas ---- */

static bool varint(const unsigned char **s, const unsigned char *end, size_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 57; shift += 7) {
        if (*s >= end) return false;
        unsigned char c = *(*s)++;
        *out |= (size_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) return true;
    }
    return false;
}

/* One command of a delta: to copy `size` bytes of the base from `from`, or (from == SIZE_MAX) those that follow
 * it. */
static bool command(const unsigned char **s, const unsigned char *end, size_t *from, size_t *size)
{
    unsigned char c = *(*s)++;
    *from = SIZE_MAX, *size = c;
    if (!(c & 0x80)) return c && c <= end - *s;
    *from = *size = 0;
    for (int k = 0; k < 7; k++) {
        if (!(c >> k & 1)) continue;
        if (*s >= end) return false;
        if (k < 4)
            *from |= (size_t)(*(*s)++) << 8 * k;
        else
            *size |= (size_t)(*(*s)++) << 8 * (k - 4);
    }
    if (*size == 0) *size = 0x10000;
    return true;
}

/* Runs a delta over its base, into `out` or (NULL) to see that it fits; false when it does not. */
static bool patch(const char *delta, size_t n, const Object *base, char *out, size_t *made)
{
    const unsigned char *s = (const unsigned char *)delta, *end = s + n;
    size_t from_size, to_size, done = 0, from, size;
    if (!varint(&s, end, &from_size) || !varint(&s, end, &to_size) || from_size != base->size) return false;
    while (s < end) {
        if (!command(&s, end, &from, &size) || size > to_size - done) return false;
        bool copy = from != SIZE_MAX;
        if (copy && (from > base->size || size > base->size - from)) return false;
        if (out) memcpy(out + done, copy ? base->bytes + from : (const char *)s, size);
        if (!copy) s += size;
        done += size;
    }
    *made = done;
    return done == to_size;
}

/* ---- the cache ---- */

PackCache pack_cache_open(void)
{
    const size_t reserve = MOST_OBJECT * 4;
    PackCache c = {.arena = arena_open((size_t)4 * CACHED), .work = {arena_open(reserve), arena_open(reserve)}};
    c.chain = arena_take(&c.work[0], sizeof *c.chain * MOST_CHAIN);
    return c;
}

void pack_cache_close(PackCache *c)
{
    arena_close(&c->arena);
    arena_close(&c->work[0]);
    arena_close(&c->work[1]);
}

typedef struct {
    const Pack *pack;
    size_t offset;
} Key;

static const Object *kept(const PackCache *c, const Pack *p, size_t offset)
{
    const int64_t *at = c->n ? table_find(&c->at, &(Key){p, offset}, sizeof(Key)) : NULL;
    return at ? &c->kept[*at] : NULL;
}

/* Caches an object; a full cache is emptied first. */
static void keep(PackCache *c, const Pack *p, size_t offset, const Object *o)
{
    if (o->size > MOST_CACHED) return;
    if (c->n == CACHE_ENTRIES || (c->n && (size_t)(c->arena.top - c->arena.base) + o->size > CACHED)) {
        arena_drop(&c->arena, (ArenaMark){c->arena.base});
        c->n = 0;
    }
    if (c->n == 0) {
        c->at = table_open(&c->arena, 2 * CACHE_ENTRIES);
        c->kept = NEW(&c->arena, Object, CACHE_ENTRIES);
    }
    bool added;
    int64_t *at = table_add(&c->at, &(Key){p, offset}, sizeof(Key), &added);
    if (!added) return;
    *at = c->n;
    c->kept[c->n++] = (Object){o->type, o->size, str_copy(&c->arena, o->bytes, o->size)};
}

/* ---- objects ---- */

/* Follows deltas from `offset` to an object that is there whole, in the cache or in the pack; the offsets of the
 * deltas go into c->chain[0..n). */
static const char *find_base(PackCache *c, const Pack *p, size_t offset, int *n, Object *base)
{
    Entry e;
    for (*n = 0;; offset = e.base) {
        const Object *known = kept(c, p, offset);
        if (known) {
            *base = *known;
            return NULL;
        }
        const char *wrong = entry(p, offset, &e);
        if (wrong) return wrong;
        if (e.type <= OBJECT_TAG) break;
        if (*n == MOST_CHAIN) return "its chain of deltas does not end";
        c->chain[(*n)++] = offset;
    }
    *base = (Object){(ObjectType)e.type, e.size, inflated(p, &e, &c->work[0])};
    if (!base->bytes) return "its bytes in the pack do not inflate to the size in their entry";
    if (*n) keep(c, p, offset, base);
    return NULL;
}

/* One delta further; the result lies in `to`. */
static const char *apply(const Pack *p, size_t offset, const Object *base, Arena *to, Object *out)
{
    Entry e;
    const char *wrong = entry(p, offset, &e);
    if (wrong) return wrong;
    const char *delta = inflated(p, &e, to);
    size_t size;
    if (!delta) return "its delta does not inflate to the size in its entry";
    if (!patch(delta, e.size, base, NULL, &size) || size > MOST_OBJECT) return "its delta does not fit its base";
    *out = (Object){base->type, size, arena_take(to, size + 1)};
    patch(delta, e.size, base, out->bytes, &size);
    out->bytes[size] = 0;
    return NULL;
}

/* Follows the chain of deltas to its base, then applies them in turn, on two alternating arenas. */
const char *pack_read(PackCache *c, const Pack *p, uint32_t place, Arena *a, Object *out)
{
    size_t offset, *chain = c->chain;
    ArenaMark start[2] = {arena_mark(&c->work[0]), arena_mark(&c->work[1])};
    int n = 0, side = 0;
    Object o = {0};
    const char *wrong = offset_at(p, place, &offset);
    if (!wrong) wrong = find_base(c, p, offset, &n, &o);
    while (!wrong && n--) {
        Object next;
        side = !side;
        wrong = apply(p, chain[n], &o, &c->work[side], &next);
        arena_drop(&c->work[!side], start[!side]); /* the base has been used */
        o = next;
        if (!wrong && n) keep(c, p, chain[n], &o);
    }
    if (!wrong) *out = (Object){o.type, o.size, str_copy(a, o.bytes, o.size)};
    for (int k = 0; k < 2; k++) arena_drop(&c->work[k], start[k]);
    return wrong;
}

/* Inflates only the start of a delta, for its size, and follows the chain for the type. */
const char *pack_header(const Pack *p, uint32_t place, ObjectType *type, size_t *size)
{
    Entry e;
    size_t offset, ignored;
    const char *wrong = offset_at(p, place, &offset);
    if (!wrong) wrong = entry(p, offset, &e);
    if (wrong) return wrong;
    *size = e.size;
    if (e.type > OBJECT_TAG) {
        char start[24];
        size_t n = pack_inflate_start(p->pack.text + e.data, p->pack.len - ID - e.data, start, sizeof start);
        const unsigned char *s = (const unsigned char *)start;
        if (!varint(&s, s + n, &ignored) || !varint(&s, (const unsigned char *)start + n, size))
            return "its delta does not inflate";
    }
    for (int k = 0; e.type > OBJECT_TAG; k++) {
        if (k == MOST_CHAIN) return "its chain of deltas does not end";
        if ((wrong = entry(p, e.base, &e))) return wrong;
    }
    *type = (ObjectType)e.type;
    return NULL;
}
