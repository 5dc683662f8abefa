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

static bool share(const Facts *a, const Facts *b)
{
    for (int64_t i = 0; i < a->n_sets; i++)
        for (int64_t j = 0; j < b->n_sets; j++)
            if (a->set[i] == b->set[j]) return true;
    return false;
}

static bool matches(Meteor *m, int stage, int32_t h, int32_t r)
{
    if (stage == METEOR_EXACT) return h == r;
    if (h == r) return false;
    Facts a = *facts_of(m, h), b = *facts_of(m, r); /* copies: asking for one may move the other */
    return stage == METEOR_STEM ? a.stem == b.stem : share(&a, &b);
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
    Match *found = arena_take(a, sizeof *found * (size_t)(stages * h.n + 1));
    for (int64_t j = 0; j < r.n; j++) {
        for (int stage = 0; stage < stages; stage++)
            for (int64_t i = 0; i < h.n; i++) {
                if (!matches(m, stage, h.id[i], r.id[j])) continue;
                found[s.n[j]++] = (Match){stage, (int32_t)i};
                s.covered[0][i]++;
                s.covered[1][j]++;
            }
        s.match[j] = arena_take(a, sizeof *found * (size_t)(s.n[j] + 1));
        memcpy(s.match[j], found, sizeof *found * (size_t)s.n[j]);
    }
    return s;
}

/* ---- the search.  A step over one word of the reference lists how each path may go on, as candidates, and only the
 * best of them become paths: a candidate is small, a path holds the whole alignment. */

typedef struct {
    int64_t exact, chunks, displaced, last; /* last: one past the hypothesis' word of the open chunk, or -1 */
    int64_t order;                          /* in the list: sorting keeps it among equals */
    int64_t parent;
    const Match *match; /* NULL: the word is passed over */
} Candidate;
typedef struct {
    Candidate at;
    const Match **of; /* (r.n) */
    bool *used;       /* (h.n) */
} Path;
enum { BEAM = 40 };

static int better(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;
    if (x->exact != y->exact) return x->exact > y->exact ? -1 : 1;
    if (x->chunks != y->chunks) return x->chunks < y->chunks ? -1 : 1;
    if (x->displaced != y->displaced) return x->displaced < y->displaced ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static Candidate follow(Candidate c, const Match *m)
{
    c.exact += m->stage == METEOR_EXACT; /* the program adds half a match to a whole number */
    c.chunks += c.last >= 0 && m->at != c.last;
    c.last = m->at + 1;
    c.match = m;
    return c;
}

/* Lists how one path may go on over word j of the reference; returns the new length of the list. */
static int64_t extend(Candidate *list, int64_t n, const Path *p, int64_t parent, const Stage *s, int64_t j)
{
    Candidate c = p->at;
    c.parent = parent;
    if (p->of[j]) { /* certain */
        c = follow(c, p->of[j]);
        c.displaced += labs((long)(j - c.match->at));
        list[n++] = c;
        return n;
    }
    for (int64_t k = 0; k < s->n[j]; k++) {
        const Match *m = &s->match[j][k];
        if (p->used[m->at]) continue;
        list[n++] = follow(c, m);
        c.displaced += labs((long)(j - m->at)); /* of those that come after, as the program does it */
    }
    c.chunks += c.last >= 0;
    c.last = -1;
    c.match = NULL;
    list[n++] = c;
    return n;
}

static void become(Path *out, const Path *parent, Candidate c, const Stage *s, int64_t j)
{
    out->at = c;
    memcpy(out->of, parent->of, sizeof *out->of * (size_t)s->r.n);
    memcpy(out->used, parent->used, (size_t)s->h.n);
    if (!c.match) return;
    out->of[j] = c.match;
    out->used[c.match->at] = true;
}

/* The alignment, (r.n) matches or NULL.  Matches without any rival are certain from the start. */
static const Match **search(Arena *a, const Stage *s)
{
    int64_t n = 1, widest = 0;
    Path beam[2][BEAM], *now = beam[0], *next = beam[1];
    for (int i = 0; i < 2 * BEAM; i++)
        beam[i / BEAM][i % BEAM] =
            (Path){.of = NEW(a, const Match *, s->r.n + 1), .used = arena_zero(a, (size_t)s->h.n + 1)};
    now[0].at.last = -1;
    for (int64_t j = 0; j < s->r.n; j++) {
        if (s->n[j] > widest) widest = s->n[j];
        if (s->n[j] != 1 || s->covered[0][s->match[j][0].at] != 1) continue;
        now[0].of[j] = &s->match[j][0];
        now[0].used[s->match[j][0].at] = true;
    }
    Candidate *list = arena_take(a, sizeof *list * (size_t)(BEAM * (widest + 1)));
    for (int64_t j = 0; j <= s->r.n; j++) {
        int64_t m = 0;
        for (int64_t i = 0; i < n; i++) {
            if (j < s->r.n) {
                m = extend(list, m, &now[i], i, s, j);
                continue;
            }
            list[m] = now[i].at; /* at the end the open chunks are closed */
            list[m].chunks += now[i].at.last >= 0;
            list[m++].parent = i;
        }
        for (int64_t i = 0; i < m; i++) list[i].order = i;
        qsort(list, (size_t)m, sizeof *list, better);
        if (j == s->r.n) break;
        n = m < BEAM ? m : BEAM;
        for (int64_t i = 0; i < n; i++) become(&next[i], &now[list[i].parent], list[i], s, j);
        Path *other = now;
        now = next, next = other;
    }
    return now[list[0].parent].of;
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
