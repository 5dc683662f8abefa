/* Normalising is a list of substitutions in METEOR's order, made with PCRE2: which matches overlap which decides the
 * result, so a reader of characters that "does the same" would not. */
#include "metric/meteor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/str.h"
#include "text/stem.h"

#define LETTERS "A-Za-zŠŽšžŸÀ-ÖØ-öø-žЀ-ӿԀ-ԧꙀ-ꙮꙿ-ꚗᴀ-ᵿ"
static const char *const RULES[][2] = {
    {"([^0-9" LETTERS "\\t\\n\\x0b\\f\\r .'`,\\-‘’])", " $1 "},
    {"(\\.\\.+)", " $1 "}, /* several dots are a word */
    {"([^0-9]),([^0-9])", "$1 , $2"},
    {"([0-9]),([^0-9])", "$1 , $2"},
    {"([^0-9]),([0-9])", "$1 , $2"},
    {"[`‘’]", "'"},
    {"[“”]|''", " \" "},
    {"–", "-"},
    {"--", "-"},
    {"([0-9" LETTERS ".])-([0-9" LETTERS "])", "$1 $2"}, /* so that half a compound earns half the credit */
    {"([^" LETTERS "])'([^" LETTERS "])", "$1 ' $2"},
    {"([^0-9" LETTERS "])'([" LETTERS "])", "$1 ' $2"},
    {"([" LETTERS "])'([^" LETTERS "])", "$1 ' $2"},
    {"([" LETTERS "])'([" LETTERS "])", "$1 '$2"},
    {"([0-9])'(s)", "$1 '$2"},
};
enum { N_RULES = sizeof RULES / sizeof *RULES };

typedef struct { /* of a word of the lexicon, found out once */
    bool done, function;
    int32_t stem;
    int64_t n_sets;
    int32_t *set;
} Facts;

struct Meteor {
    Arena *arena; /* the lexicon grows on it */
    Arena scratch;
    const Synonyms *synonyms;
    Table function, prefix; /* function words; prefixes that keep their dot: 1 always, 2 before a number */
    Lexicon lexicon;
    Facts *facts;
    int64_t facts_room;
    pcre2_code *rule[N_RULES], *letter;
};

/* ---- opening */

static pcre2_code *compile(const char *pattern)
{
    int code;
    PCRE2_SIZE at;
    pcre2_code *p = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF,
                                  &code, &at, NULL);
    CHECK(p, "METEOR's pattern %s: error %d at %zu", pattern, code, at);
    pcre2_jit_compile(p, PCRE2_JIT_COMPLETE); /* where there is no JIT it is only slower */
    return p;
}

static Status read_words(Table *out, Arena *a, const char *path)
{
    Bytes text;
    TRY(file_read(&text, a, path));
    *out = table_open(a, 256);
    for (char *at = text.text; *at;) {
        size_t line = strcspn(at, "\r\n"), n = 0;
        while (n < line && !strchr(" \t", at[n])) n++;
        bool numeric = line > n && strstr(str_copy(a, at + n, line - n), "#NUMERIC_ONLY#");
        if (n && *at != '#') *table_add(out, at, n, NULL) = numeric ? 2 : 1;
        at += line, at += strspn(at, "\r\n");
    }
    return OK;
}

Status meteor_open(Meteor **out, Arena *a, const char *folder, const Synonyms *synonyms)
{
    Meteor *m = NEW(a, Meteor, 1);
    *m = (Meteor){.arena = a, .synonyms = synonyms, .lexicon = lexicon_open(a)};
    TRY(read_words(&m->function, a, str_print(a, "%s/function.english.words", folder)));
    TRY(read_words(&m->prefix, a, str_print(a, "%s/nonbreaking.english.prefixes", folder)));
    m->scratch = arena_open(0);
    for (int i = 0; i < N_RULES; i++) m->rule[i] = compile(RULES[i][0]);
    m->letter = compile("[" LETTERS "]");
    *out = m;
    return OK;
}

void meteor_close(Meteor *m)
{
    if (!m) return;
    for (int i = 0; i < N_RULES; i++) pcre2_code_free(m->rule[i]);
    pcre2_code_free(m->letter);
    arena_close(&m->scratch);
}

/* ---- a text to words */

static Bytes substitute(Arena *a, const pcre2_code *rule, Bytes in, const char *by)
{
    PCRE2_SIZE room = 2 * in.len + 64;
    for (int attempt = 0; attempt < 2; attempt++) {
        Bytes out = {arena_take(a, room), 0};
        PCRE2_SIZE len = room;
        int code = pcre2_substitute(rule, (PCRE2_SPTR)in.text, in.len, 0,
                                    PCRE2_SUBSTITUTE_GLOBAL | PCRE2_SUBSTITUTE_OVERFLOW_LENGTH, NULL, NULL,
                                    (PCRE2_SPTR)by, PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)out.text, &len);
        if (code == 0) return in;
        if (code > 0) return (Bytes){out.text, len};
        CHECK(code == PCRE2_ERROR_NOMEMORY, "substituting in a text: PCRE2's error %d", code);
        room = len;
    }
    return in;
}

static bool has_letter(const Meteor *m, Bytes word)
{
    pcre2_match_data *match = pcre2_match_data_create(1, NULL);
    if (!match) err_no_memory("PCRE2 has none for a match");
    bool found = pcre2_match(m->letter, (PCRE2_SPTR)word.text, word.len, 0, 0, match, NULL) > 0;
    pcre2_match_data_free(match);
    return found;
}

/* The form of a word that ends in a dot: U.S. loses its dots; Mr. keeps it, and so does any word before a
 * lower-case one and No. before a number; else the dot is a word of its own. */
static void add_dotted(Buf *out, const Meteor *m, Bytes word, Bytes next)
{
    Bytes head = {word.text, word.len - 1};
    int64_t kind = table_get(&m->prefix, head.text, head.len, 0);
    bool lower = next.len && next.text[0] >= 'a' && next.text[0] <= 'z';
    bool digit = next.len && next.text[0] >= '0' && next.text[0] <= '9';
    if (memchr(head.text, '.', head.len) && has_letter(m, head)) {
        for (size_t i = 0; i < head.len; i++)
            if (head.text[i] != '.') buf_add(out, &head.text[i], 1);
    } else if (kind == 1 || lower || (kind == 2 && digit)) {
        buf_add(out, word.text, word.len);
    } else {
        buf_add(out, head.text, head.len);
        buf_add(out, " .", 2);
    }
}

/* METEOR's -norm: punctuation is split off by its rules, full stops of abbreviations stay, and all is lower case. */
static Words normalised(Meteor *m, Bytes text)
{
    Arena *a = &m->scratch;
    text =
        (Bytes){str_print(a, " %.*s ", (int)(text.len < INT32_MAX ? text.len : INT32_MAX), text.text), text.len + 2};
    text.len = strlen(text.text); /* a zero byte ends it */
    for (int i = 0; i < N_RULES; i++) text = substitute(a, m->rule[i], text, RULES[i][1]);
    Lexicon cut = lexicon_open(a); /* the words before they are final */
    Words w = words_split(&cut, text.text, text.len);
    Buf out = buf_open(a);
    for (int64_t i = 0; i < w.n; i++) {
        Bytes word = cut.word[w.id[i]], next = i + 1 < w.n ? cut.word[w.id[i + 1]] : (Bytes){NULL, 0};
        bool dots = word.len > 1 && word.text[word.len - 1] == '.' && strspn(word.text, ".") < word.len;
        if (dots)
            add_dotted(&out, m, word, next);
        else
            buf_add(&out, word.text, word.len);
        buf_add(&out, " ", 1);
    }
    text = words_lower(a, out.text, out.len);
    w = words_split(&m->lexicon, text.text, text.len);
    if (w.n > METEOR_WORDS) w.n = METEOR_WORDS;
    return w;
}

static Facts *facts_of(Meteor *m, int32_t id)
{
    if (id >= m->facts_room) {
        int64_t room = m->facts_room ? m->facts_room : 1 << 12;
        while (room <= id) room *= 2;
        m->facts =
            arena_grow(m->arena, m->facts, sizeof *m->facts * (size_t)m->facts_room, sizeof *m->facts * (size_t)room);
        m->facts_room = room;
    }
    if (m->facts[id].done) return &m->facts[id];
    Bytes word = m->lexicon.word[id];
    Facts f = {.done = true, .function = table_find(&m->function, word.text, word.len)};
    char *stem = arena_take(&m->scratch, word.len + 2);
    f.stem = lexicon_add(&m->lexicon, stem, stem_english(stem, word.text, word.len));
    if (m->synonyms) f.n_sets = synonyms_sets(m->synonyms, m->arena, &f.set, word);
    m->facts[id] = f;
    return &m->facts[id];
}

/* ---- matches */

typedef struct {
    int stage;
    int32_t at; /* the word of the hypothesis */
} Match;
typedef struct {
    Words h, r;
    int64_t *n;    /* (r.n) matches of a word of the reference */
    Match **match; /* (r.n) */
    int64_t *covered[2];
} Stage;

/* The hypothesis' words by the keys of a stage: themselves, their stems, their sets of synonyms. */
typedef struct {
    int32_t key, at;
} Entry;
typedef struct {
    Entry *entry; /* in order */
    int64_t n;
} Index;

static int by_key(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* The keys of a word in a stage: `one`, or the list that is returned. */
static int64_t keys_of(const int32_t **list, int32_t *one, Meteor *m, int stage, int32_t word)
{
    *list = one;
    *one = word;
    if (stage == METEOR_EXACT) return 1;
    const Facts *f = facts_of(m, word);
    *one = f->stem;
    if (stage == METEOR_STEM) return 1;
    *list = f->set;
    return f->n_sets;
}

static Index index_of(Meteor *m, int stage, Words h)
{
    const int32_t *key;
    int32_t one;
    int64_t all = 0;
    for (int64_t i = 0; i < h.n; i++) all += keys_of(&key, &one, m, stage, h.id[i]);
    Index x = {arena_take(&m->scratch, sizeof *x.entry * (size_t)(all + 1)), 0};
    for (int64_t i = 0; i < h.n; i++)
        for (int64_t k = 0, n = keys_of(&key, &one, m, stage, h.id[i]); k < n; k++)
            x.entry[x.n++] = (Entry){key[k], (int32_t)i};
    qsort(x.entry, (size_t)x.n, sizeof *x.entry, by_key);
    return x;
}

/* The first entry that is not below `key`. */
static int64_t first_of(const Index *x, int32_t key)
{
    int64_t low = 0, high = x->n;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (x->entry[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int by_place(const void *a, const void *b)
{
    const Match *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/* Appends the hypothesis' words that a stage matches with `word`, in their order and each once.  The later stages
 * leave out equal words. */
static int64_t add_matches(Match *found, bool *seen, Meteor *m, int stage, const Index *x, Words h, int32_t word)
{
    const int32_t *key;
    int32_t one;
    int64_t n = 0;
    for (int64_t k = 0, keys = keys_of(&key, &one, m, stage, word); k < keys; k++)
        for (int64_t e = first_of(x, key[k]); e < x->n && x->entry[e].key == key[k]; e++) {
            int32_t at = x->entry[e].at;
            if (seen[at] || (stage != METEOR_EXACT && h.id[at] == word)) continue;
            seen[at] = true;
            found[n++] = (Match){stage, at};
        }
    for (int64_t i = 0; i < n; i++) seen[found[i].at] = false;
    if (stage == METEOR_SYNONYM) qsort(found, (size_t)n, sizeof *found, by_place);
    return n;
}

/* Every pair of words that some stage matches, by words of the reference; equal texts need exact matches alone. */
static Stage all_matches(Meteor *m, int stages, Words h, Words r)
{
    Arena *a = &m->scratch;
    Stage s = {h,
               r,
               NEW(a, int64_t, r.n + 1),
               NEW(a, Match *, r.n + 1),
               {NEW(a, int64_t, h.n + 1), NEW(a, int64_t, r.n + 1)}};
    if (h.n == r.n && !memcmp(h.id, r.id, sizeof *h.id * (size_t)h.n)) stages = 1;
    Index index[METEOR_STAGES];
    for (int k = 0; k < stages; k++) index[k] = index_of(m, k, h);
    Match *found = arena_take(a, sizeof *found * (size_t)(stages * h.n + 1));
    bool *seen = NEW(a, bool, h.n + 1);
    for (int64_t j = 0; j < r.n; j++) {
        for (int k = 0; k < stages; k++) s.n[j] += add_matches(found + s.n[j], seen, m, k, &index[k], h, r.id[j]);
        s.covered[1][j] = s.n[j];
        for (int64_t i = 0; i < s.n[j]; i++) s.covered[0][found[i].at]++;
        s.match[j] = arena_take(a, sizeof *found * (size_t)(s.n[j] + 1));
        memcpy(s.match[j], found, sizeof *found * (size_t)s.n[j]);
    }
    return s;
}

/* ---- the search.  A step over one word of the reference lists how each path may go on, as candidates, and only the
 * best of them become paths.  A path knows its last candidate and the words that it has used; the candidates of all
 * steps are kept, and the alignment is read off them backwards. */

typedef struct {
    int64_t exact, chunks, displaced, last; /* last: one past the hypothesis' word of the open chunk, or -1 */
    int64_t order;                          /* in the list: sorting keeps it among equals */
    int64_t parent;                         /* among the paths of the step before */
    const Match *match;                     /* NULL: the word is passed over */
} Candidate;
enum { BEAM = 40, WORD_BITS = 64, USED = METEOR_WORDS / WORD_BITS + 1 };
typedef struct {
    Candidate at;
    uint64_t used[USED]; /* words of the hypothesis */
} Path;

static bool uses(const Path *p, int32_t at)
{
    return p->used[at / WORD_BITS] >> at % WORD_BITS & 1;
}

static void use(Path *p, int32_t at)
{
    p->used[at / WORD_BITS] |= (uint64_t)1 << at % WORD_BITS;
}

static int better(const Candidate *x, const Candidate *y)
{
    if (x->exact != y->exact) return x->exact > y->exact ? -1 : 1;
    if (x->chunks != y->chunks) return x->chunks < y->chunks ? -1 : 1;
    if (x->displaced != y->displaced) return x->displaced < y->displaced ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* The best of the candidates of a step, the best one first; no more are ever sorted. */
typedef struct {
    Candidate at[BEAM];
    int64_t n, offered;
} Best;

static void offer(Best *b, Candidate c)
{
    c.order = b->offered++;
    if (b->n == BEAM && better(&c, &b->at[BEAM - 1]) > 0) return;
    int64_t i = b->n < BEAM ? b->n++ : BEAM - 1;
    for (; i > 0 && better(&c, &b->at[i - 1]) < 0; i--) b->at[i] = b->at[i - 1];
    b->at[i] = c;
}

static Candidate follow(Candidate c, const Match *m)
{
    c.exact += m->stage == METEOR_EXACT; /* the program adds half a match to a whole number */
    c.chunks += c.last >= 0 && m->at != c.last;
    c.last = m->at + 1;
    c.match = m;
    return c;
}

/* A match without any rival is certain from the start. */
static const Match *certain(const Stage *s, int64_t j)
{
    const Match *m = s->match[j];
    return s->n[j] == 1 && s->covered[0][m->at] == 1 ? m : NULL;
}

/* Offers how one path may go on over word j of the reference. */
static void extend(Best *out, const Path *p, int64_t parent, const Stage *s, int64_t j)
{
    Candidate c = p->at;
    const Match *only = certain(s, j);
    c.parent = parent;
    if (only) {
        c = follow(c, only);
        c.displaced += labs((long)(j - only->at));
        offer(out, c);
        return;
    }
    for (int64_t k = 0; k < s->n[j]; k++) {
        const Match *m = &s->match[j][k];
        if (uses(p, m->at)) continue;
        offer(out, follow(c, m));
        c.displaced += labs((long)(j - m->at)); /* of those that come after, as the program does it */
    }
    c.chunks += c.last >= 0;
    c.last = -1;
    c.match = NULL;
    offer(out, c);
}

static void become(Path *out, const Path *parent, const Candidate *c)
{
    memcpy(out->used, parent->used, sizeof out->used);
    out->at = *c;
    if (c->match) use(out, c->match->at);
}

/* The path that is best when the open chunks are closed. */
static int64_t winner(const Path *paths, int64_t n)
{
    Best best = {.n = 0};
    for (int64_t i = 0; i < n; i++) {
        Candidate c = paths[i].at;
        c.chunks += c.last >= 0;
        c.parent = i;
        offer(&best, c);
    }
    return best.at[0].parent;
}

/* The alignment, (r.n) matches or NULL. */
static const Match **search(Arena *a, const Stage *s)
{
    int64_t n = 1, words = s->r.n;
    Path beam[2][BEAM], *now = beam[0], *next = beam[1];
    Best *step = arena_take(a, sizeof *step * (size_t)(words + 1));
    const Match **of = NEW(a, const Match *, words + 1);
    now[0] = (Path){.at.last = -1};
    for (int64_t j = 0; j < words; j++)
        if (certain(s, j)) use(&now[0], certain(s, j)->at);
    for (int64_t j = 0; j < words; j++) {
        step[j].n = step[j].offered = 0;
        for (int64_t i = 0; i < n; i++) extend(&step[j], &now[i], i, s, j);
        n = step[j].n;
        for (int64_t i = 0; i < n; i++) become(&next[i], &now[step[j].at[i].parent], &step[j].at[i]);
        Path *other = now;
        now = next, next = other;
    }
    int64_t path = winner(now, n);
    for (int64_t j = words - 1; j >= 0; j--) {
        of[j] = step[j].at[path].match;
        path = step[j].at[path].parent;
    }
    return of;
}

/* ---- counts and scores */

void meteor_count(MeteorCounts *out, Meteor *m, int stages, Bytes hypothesis, Bytes reference)
{
    ArenaMark mark = arena_mark(&m->scratch);
    if (!m->synonyms && stages > METEOR_SYNONYM) stages = METEOR_SYNONYM;
    Words h = normalised(m, hypothesis), r = normalised(m, reference);
    Stage s = all_matches(m, stages, h, r);
    const Match **best = search(&m->scratch, &s);
    MeteorCounts c = {.words = {h.n, r.n}};
    for (int64_t i = 0; i < h.n; i++) c.function_words[0] += facts_of(m, h.id[i])->function;
    for (int64_t j = 0; j < r.n; j++) c.function_words[1] += facts_of(m, r.id[j])->function;
    int64_t last = -1;
    for (int64_t j = 0; j < r.n; j++) {
        const Match *x = best[j];
        c.chunks += last >= 0 && (!x || x->at != last);
        last = x ? x->at + 1 : -1;
        if (!x) continue;
        ++*(facts_of(m, h.id[x->at])->function ? &c.function[0][x->stage] : &c.content[0][x->stage]);
        ++*(facts_of(m, r.id[j])->function ? &c.function[1][x->stage] : &c.content[1][x->stage]);
    }
    c.chunks += last >= 0;
    arena_drop(&m->scratch, mark);
    *out = c;
}

/* Every word matched, in one chunk: no fragmentation. */
static bool whole(const MeteorCounts *c)
{
    if (c->chunks != 1) return false;
    for (int side = 0; side < 2; side++) {
        int64_t matched = 0;
        for (int k = 0; k < METEOR_STAGES; k++) matched += c->content[side][k] + c->function[side][k];
        if (matched != c->words[side]) return false;
    }
    return true;
}

void meteor_add(MeteorCounts *sum, const MeteorCounts *row)
{
    for (int side = 0; side < 2; side++) {
        sum->words[side] += row->words[side];
        sum->function_words[side] += row->function_words[side];
        for (int stage = 0; stage < METEOR_STAGES; stage++) {
            sum->content[side][stage] += row->content[side][stage];
            sum->function[side][stage] += row->function[side][stage];
        }
    }
    if (!whole(row)) sum->chunks += row->chunks;
}

double meteor_score(const MeteorCounts *c)
{
    static const double WEIGHT[METEOR_STAGES] = {1, 0.6, 0.8};
    const double alpha = 0.85, beta = 0.2, gamma = 0.6, delta = 0.75;
    double share[2], matched[2] = {0};
    for (int side = 0; side < 2; side++) {
        double weighted = 0, functions = (double)c->function_words[side];
        double length = delta * ((double)c->words[side] - functions) + (1 - delta) * functions;
        for (int k = 0; k < METEOR_STAGES; k++) {
            double content = (double)c->content[side][k], function = (double)c->function[side][k];
            weighted += WEIGHT[k] * (delta * content + (1 - delta) * function);
            matched[side] += content + function;
        }
        share[side] = weighted / length;
    }
    double fragments = whole(c) ? 0 : (double)c->chunks / ((matched[0] + matched[1]) / 2);
    double score = 1 / ((1 - alpha) / share[0] + alpha / share[1]) * (1 - gamma * pow(fragments, beta));
    return isnan(score) ? 0 : fmax(score, 0);
}
