/* The lines of a hunk that a model reads, cut to its length or filled up with lines of the file.  The cut is the
 * published one: it was meant to take lines from both ends in turn, and takes the first and then only last ones. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "tasks/review.h"
#include "text/sequence.h"
#include "text/unicode.h"

const char *const REVIEW_FORM[REVIEW_FORMS + 1] = {"codereviewer", "cct5", NULL};
enum { ROUGH_WORDS = 200, MESSAGE_TOKENS = 126 }; /* of CodeReviewer; of CCT5 */

/* ---- symbols */

#define TEN(d)                                                                                                       \
    "<e" d "9>", "<e" d "8>", "<e" d "7>", "<e" d "6>", "<e" d "5>", "<e" d "4>", "<e" d "3>", "<e" d "2>",          \
        "<e" d "1>", "<e" d "0>"
const char *const REVIEW_SYMBOLS[] = {"<keep>",     "<add>",        "<del>",       "<start>", "<end>",
                                      "<issue_id>", "<version_id>", "<commit_id>", TEN("9"),  TEN("8"),
                                      TEN("7"),     TEN("6"),       TEN("5"),      TEN("4"),  TEN("3"),
                                      TEN("2"),     TEN("1"),       TEN(""),       "<msg>",   NULL};

typedef struct {
    const Tokenizer *tokenizer;
    int32_t next;        /* the id of the next symbol that it lacks */
    const char *missing; /* the first of these */
    int32_t most;        /* the largest id of the others */
} Search;

static int32_t symbol(Search *s, const char *name)
{
    int32_t id = tokenizer_find(s->tokenizer, name);
    if (id > s->most) s->most = id;
    if (id >= 0) return id;
    if (!s->missing) s->missing = name;
    return s->next++;
}

Status review_plan(ReviewPlan *p, const Tokenizer *t, ReviewForm form, int vocab)
{
    Search s = {.tokenizer = t, .next = sequence_free_id(t)};
    *p = (ReviewPlan){.form = form, .tokenizer = t, .source = 512, .target = 128};
    p->bos = t->named[NAME_BOS], p->eos = t->named[NAME_EOS];
    if (p->bos < 0 || p->eos < 0)
        return err_fail(E_MISMATCH, "the tokenizer has no begin or no end token, expected <s> and </s>");
    static const LineKind ORDER[] = {LINE_KEEP, LINE_ADD, LINE_DEL};
    for (int i = 0; i < LINE_KINDS; i++) p->tag[ORDER[i]] = symbol(&s, LINE_MARK[ORDER[i]]);
    p->start = symbol(&s, "<start>"), p->end = symbol(&s, "<end>");
    for (int i = REVIEW_SENTINELS - 1; i >= 0; i--) {
        char name[16];
        snprintf(name, sizeof name, "<e%d>", i);
        p->sentinel[i] = symbol(&s, name);
    }
    p->msg = symbol(&s, "<msg>");
    p->mask = tokenizer_mask(t) >= 0 ? tokenizer_mask(t) : symbol(&s, "<mask>");
    if (vocab && s.most >= vocab)
        return err_fail(E_MISMATCH, "the tokenizer's '%s' has the id %d, but the model's token table has %d rows",
                        tokenizer_piece(t, s.most), s.most, vocab);
    if (!vocab || !s.missing || s.next <= vocab) return OK;
    return err_fail(E_MISMATCH,
                    "the tokenizer lacks '%s', and the model's token table of %d rows has no room for it; expected "
                    "the symbols of CodeReviewer or CCT5",
                    s.missing, vocab);
}

/* ---- measuring lines */

typedef struct {
    Bytes text;
    int kind;
    BpeText tokens;
    int64_t size;
} Line;

typedef struct {
    Arena *arena;
    const ReviewPlan *plan;
    Line *line; /* those from `from` to `to` are left */
    int64_t from, to, size;
} Window;

static int64_t count_words(Bytes x)
{
    int64_t words = 0;
    bool inside = false;
    for (size_t i = 0, n; i < x.len; i += n) {
        uint32_t c = unicode_next(x.text + i, x.len - i, &n);
        bool space = unicode_class(c) & UC_SPACE || (c >= 0x1c && c <= 0x1f);
        words += !space && !inside;
        inside = !space;
    }
    return words;
}

static BpeText tokens_of(const Window *w, Bytes x)
{
    return tokenizer_encode(w->plan->tokenizer, w->arena, x.text, x.len, false);
}

static Line line_of(const Window *w, Bytes text, int kind)
{
    Line l = {.text = text, .kind = kind};
    if (w->plan->form == REVIEW_CCT5) l.tokens = tokens_of(w, text);
    l.size = 1 + (w->plan->form == REVIEW_CCT5 ? l.tokens.n : count_words(text));
    return l;
}

/* ---- cutting and filling */

/* The first line goes, then last ones, until the size is at most `most`. */
static void cut(Window *w, int64_t most)
{
    for (bool first = true; w->size > most && w->from < w->to; first = false)
        w->size -= w->line[first ? w->from++ : --w->to].size;
}

/* Adds a line while it fits; false ends the filling. */
static bool add(Window *w, Bytes text, bool before, int64_t most)
{
    const Line l = line_of(w, text, REVIEW_CONTEXT);
    if (w->size + l.size > most) return false;
    w->line[before ? --w->from : w->to++] = l;
    w->size += l.size;
    return true;
}

static void fill(Window *w, const Hunk *h, int64_t most)
{
    int64_t n = h->n_before > h->n_after ? h->n_before : h->n_after;
    for (int64_t i = 0; i < n; i++) {
        if (i < h->n_before && !add(w, h->before[h->n_before - 1 - i], true, most)) return;
        if (i < h->n_after && !add(w, h->after[i], false, most)) return;
    }
}

/* The hunk's lines, with room on both sides for as many as fit. */
static Window open_window(Arena *a, const ReviewPlan *p, const Hunk *h, int64_t most)
{
    int64_t before = h->n_before < most ? h->n_before : most, after = h->n_after < most ? h->n_after : most;
    Window w = {.arena = a, .plan = p, .line = NEW(a, Line, before + h->n + after), .from = before, .to = before};
    for (int64_t i = 0; i < h->n; i++) {
        const Line l = line_of(&w, (Bytes){(char *)h->line[i].text, h->line[i].len}, (int)h->line[i].kind);
        w.line[w.to++] = l;
        w.size += l.size;
    }
    return w;
}

/* CodeReviewer reads all lines as one text with <e0> between them, whose end is cut.  An <e0> at the very end has
 * nothing behind it to be split from and stays with its line. */
static void read_joined(Window *w, int64_t most)
{
    int64_t left = most, i = w->from;
    for (; i < w->to && left > 0; i++) {
        Line *l = &w->line[i];
        l->tokens = tokens_of(w, l->text);
        if (l->tokens.n > left) l->tokens.n = left;
        left -= l->tokens.n;
        if (i + 1 == w->to || left-- != 1) continue;
        int32_t *id = NEW(w->arena, int32_t, l->tokens.n + 1);
        memcpy(id, l->tokens.id, sizeof *id * (size_t)l->tokens.n);
        id[l->tokens.n++] = w->plan->sentinel[0];
        l->tokens.id = id;
    }
    w->to = i, w->size = 0;
    for (i = w->from; i < w->to; i++) w->size += w->line[i].size = 1 + w->line[i].tokens.n;
}

/* ---- the whole */

static void take(ReviewLines *out, Arena *a, const Window *w)
{
    out->n = w->to - w->from;
    out->id = NEW(a, int32_t *, out->n), out->len = NEW(a, int32_t, out->n), out->kind = NEW(a, int, out->n);
    out->first = out->n, out->last = -1;
    for (int64_t i = 0; i < out->n; i++) {
        const Line *l = &w->line[w->from + i];
        out->kind[i] = l->kind;
        out->len[i] = (int32_t)l->tokens.n;
        out->id[i] = NEW(a, int32_t, l->tokens.n);
        memcpy(out->id[i], l->tokens.id, sizeof **out->id * (size_t)l->tokens.n);
        if (l->kind == REVIEW_CONTEXT) continue;
        if (out->first == out->n) out->first = i;
        out->last = i;
    }
}

static void take_message(ReviewLines *out, Arena *a, const Window *w, Bytes text, int64_t most)
{
    const BpeText x = tokens_of(w, text);
    out->n_message = (int32_t)(x.n < most ? x.n : most);
    out->message = NEW(a, int32_t, out->n_message);
    memcpy(out->message, x.id, sizeof *out->message * (size_t)out->n_message);
}

void review_lines(ReviewLines *out, Arena *a, const Hunk *h, const ReviewPlan *p)
{
    Arena scratch = arena_open(0);
    bool words = p->form == REVIEW_CODEREVIEWER;
    Window w = {.arena = &scratch, .plan = p};
    *out = (ReviewLines){0};
    take_message(out, a, &w, h->message, words ? p->source - 2 : MESSAGE_TOKENS);
    int64_t most = words ? ROUGH_WORDS : p->source - out->n_message;
    w = open_window(&scratch, p, h, most);
    cut(&w, most);
    fill(&w, h, most);
    if (words) {
        read_joined(&w, p->source - 2);
        cut(&w, p->source - 2);
    } else {
        cut(&w, p->source - 2 * (w.to - w.from) - out->n_message - 1);
    }
    take(out, a, &w);
    arena_close(&scratch);
}
