/* The index files list which synsets a word is in; a synset's number is the byte at which its line begins in the data
 * file, so no table of synsets is needed. */
#include "metric/synonyms.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { MOST_LETTERS = 80, MOST_FORMS = 64 }; /* WordNet's longest lemma has 71 */

/* ---- reading */

static void add_set(Synonyms *s, int class, const char *word, size_t n, int32_t set)
{
    bool added;
    int64_t *first = table_add(&s->word[class], word, n, &added);
    GROW(s->arena, s->posting, s->postings, s->room, 1 << 18);
    s->posting[s->postings] = (Posting){set, added ? -1 : (int32_t)*first};
    *first = s->postings++;
}

static void add_base(Synonyms *s, int class, const char *form, size_t n, Bytes base)
{
    int64_t *first = table_add(&s->base[class], form, n, NULL);
    GROW(s->arena, s->bases, s->n_bases, s->bases_room, 1 << 13);
    s->bases[s->n_bases] = (struct Base){base, (int32_t)*first - 1};
    *first = ++s->n_bases;
}

/* The next field of a line, cut out of the text; empty at the end of the line. */
static Bytes field(char **at)
{
    while (**at == ' ' || **at == '\r') ++*at;
    Bytes f = {*at, strcspn(*at, " \r\n")};
    *at += f.len;
    return f;
}

static bool number(Bytes f, int32_t *out)
{
    if (!f.len || f.len > 9) return false;
    *out = 0;
    for (size_t i = 0; i < f.len; i++) {
        if (f.text[i] < '0' || f.text[i] > '9') return false;
        *out = *out * 10 + f.text[i] - '0';
    }
    return true;
}

/* index.CLASS: lemma class senses pointers symbol... senses tagged set...; the licence's lines begin with a blank. */
static Status read_index(Synonyms *s, int class, const char *path)
{
    Bytes text;
    TRY(file_read(&text, s->arena, path));
    int line = 1;
    for (char *at = text.text; *at; at += strcspn(at, "\n"), at += *at == '\n', line++) {
        if (*at == ' ') continue;
        Bytes lemma = field(&at), count = (field(&at), field(&at)), f;
        int32_t sets, set = 0, left = 0;
        if (!number(count, &sets) || sets < 1)
            return err_fail(E_FORMAT, "%s:%d: expected a lemma, a word class and a number of synsets", path, line);
        char *rest = at;
        while ((f = field(&rest)).len) left++;
        for (; (f = field(&at)).len; left--)
            if (left <= sets) {
                if (!number(f, &set)) return err_fail(E_FORMAT, "%s:%d: expected the numbers of synsets", path, line);
                add_set(s, class, lemma.text, lemma.len, set);
            }
    }
    return OK;
}

/* CLASS.exc: form base... */
static Status read_exceptions(Synonyms *s, int class, const char *path)
{
    Bytes text, base;
    TRY(file_read(&text, s->arena, path));
    for (char *at = text.text; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        Bytes form = field(&at);
        while ((base = field(&at)).len) add_base(s, class, form.text, form.len, base);
    }
    return OK;
}

/* METEOR's tables alternate: a word, then a line of its synsets; a base, then a line of its irregular forms. */
static Status read_pairs(Synonyms *s, const char *path, bool sets)
{
    Bytes text, f;
    TRY(file_read(&text, s->arena, path));
    int line = 1;
    for (char *at = text.text; *at; line += 2) {
        Bytes word = {at, strcspn(at, "\r\n")};
        at += strcspn(at, "\n");
        if (!*at++) return err_fail(E_FORMAT, "%s:%d: a line must follow this word", path, line);
        for (int32_t set; (f = field(&at)).len;) {
            if (!sets)
                add_base(s, 0, f.text, f.len, word);
            else if (number(f, &set))
                add_set(s, 0, word.text, word.len, set);
            else
                return err_fail(E_FORMAT, "%s:%d: expected the numbers of synsets", path, line + 1);
        }
        at += strcspn(at, "\n"), at += *at == '\n';
    }
    return OK;
}

Status synonyms_open(Synonyms *s, Arena *a, const char *folder)
{
    static const char *const CLASS[SYNONYM_CLASSES] = {"noun", "verb", "adj", "adv"};
    *s = (Synonyms){.arena = a};
    for (int c = 0; c < SYNONYM_CLASSES; c++) {
        s->word[c] = table_open(a, 1 << 12);
        s->base[c] = table_open(a, 1 << 8);
    }
    const char *meteor = str_print(a, "%s/english.synsets", folder);
    FILE *there = fopen(meteor, "r");
    if (there) {
        fclose(there);
        TRY(read_pairs(s, meteor, true));
        return read_pairs(s, str_print(a, "%s/english.exceptions", folder), false);
    }
    for (int c = 0; c < SYNONYM_CLASSES; c++) {
        TRY(read_index(s, c, str_print(a, "%s/index.%s", folder, CLASS[c])));
        TRY(read_exceptions(s, c, str_print(a, "%s/%s.exc", folder, CLASS[c])));
        TRY(file_read(&s->data[c], a, str_print(a, "%s/data.%s", folder, CLASS[c])));
    }
    return OK;
}

/* ---- METEOR's question */

typedef struct {
    const char *suffix, *to;
} Ending;
static const Ending NOUN[] = {{"s", ""},      {"ses", "s"},   {"xes", "x"}, {"zes", "z"}, {"ches", "ch"},
                              {"shes", "sh"}, {"men", "man"}, {"ies", "y"}, {"ves", "f"}, {0}},
                    VERB[] = {{"s", ""},  {"ies", "y"}, {"es", "e"}, {"es", ""}, {"ed", "e"},
                              {"ed", ""}, {"ing", "e"}, {"ing", ""}, {0}},
                    ADJECTIVE[] = {{"er", ""}, {"est", ""}, {"er", "e"}, {"est", "e"}, {0}},
                    NONE[] = {{0}}, *const ENDINGS[SYNONYM_CLASSES] = {NOUN, VERB, ADJECTIVE, NONE};

static bool rewrite(char *out, size_t *len, Bytes word, Ending e)
{
    size_t k = strlen(e.suffix), m = strlen(e.to);
    if (word.len < k || memcmp(word.text + word.len - k, e.suffix, k)) return false;
    memcpy(out, word.text, word.len - k);
    memcpy(out + word.len - k, e.to, m);
    *len = word.len - k + m;
    return true;
}

typedef struct {
    int64_t n, room;
    int32_t *set;
    Arena *arena;
} Sets;

static void add_all(const Synonyms *s, Sets *out, const char *word, size_t n)
{
    for (int c = 0; c < SYNONYM_CLASSES; c++)
        for (int64_t at = table_get(&s->word[c], word, n, -1); at >= 0; at = s->posting[at].next) {
            GROW(out->arena, out->set, out->n, out->room, 16);
            out->set[out->n++] = s->posting[at].set;
        }
}

static bool known(const Synonyms *s, const char *word, size_t n)
{
    for (int c = 0; c < SYNONYM_CLASSES; c++)
        if (table_find(&s->word[c], word, n)) return true;
    return false;
}

/* The first ending that gives a known word; METEOR leaves -ves out, and adds a lost -ful back. */
static void add_regular(const Synonyms *s, Sets *out, Bytes word)
{
    char form[MOST_LETTERS + 8];
    size_t n;
    if (word.len <= 2 || !memcmp(word.text + word.len - 2, "ss", 2)) return;
    for (int c = 0; c < SYNONYM_CLASSES; c++)
        for (const Ending *e = ENDINGS[c]; e->suffix; e++)
            if (strcmp(e->suffix, "ves") && rewrite(form, &n, word, *e) && known(s, form, n)) {
                add_all(s, out, form, n);
                return;
            }
}

int64_t synonyms_sets(const Synonyms *s, Arena *a, int32_t **sets, Bytes word)
{
    Sets out = {.arena = a};
    if (word.len > MOST_LETTERS) return 0;
    add_all(s, &out, word.text, word.len);
    bool irregular = false;
    for (int c = 0; c < SYNONYM_CLASSES; c++)
        for (int64_t b = table_get(&s->base[c], word.text, word.len, 0) - 1; b >= 0; b = s->bases[b].next) {
            irregular = true;
            add_all(s, &out, s->bases[b].word.text, s->bases[b].word.len);
        }
    if (!irregular) add_regular(s, &out, word);
    *sets = out.set;
    return out.n;
}

/* ---- nltk's question */

typedef struct {
    bool (*each)(void *user, Bytes lemma);
    void *user;
} Visitor;

/* The lemmas of the synset whose line begins at byte `set`: offset file type count lemma id lemma id ...; the count
 * is hexadecimal, an adjective's lemma may end in (p) and the like.  False once the visitor has seen enough. */
static bool visit_synset(const Synonyms *s, int class, int32_t set, const Visitor *v)
{
    if ((size_t)set >= s->data[class].len) return true;
    char *at = s->data[class].text + set;
    field(&at), field(&at), field(&at);
    long n = strtol(field(&at).text, NULL, 16);
    for (; n > 0; n--) {
        Bytes lemma = field(&at);
        field(&at);
        const char *mark = memchr(lemma.text, '(', lemma.len);
        if (mark) lemma.len = (size_t)(mark - lemma.text);
        if (!memchr(lemma.text, '_', lemma.len) && !v->each(v->user, lemma)) return false;
    }
    return true;
}

static bool visit_form(const Synonyms *s, int class, const char *form, size_t n, const Visitor *v, bool *found)
{
    int64_t at = table_get(&s->word[class], form, n, -1);
    *found |= at >= 0;
    for (; at >= 0; at = s->posting[at].next)
        if (!visit_synset(s, class, s->posting[at].set, v)) return false;
    return true;
}

typedef struct {
    size_t len;
    char text[MOST_LETTERS + 8];
} Form;

/* One round of morphy(): every ending of every form, each result once. */
static int next_forms(Form *out, const Form *in, int n, const Ending *ending)
{
    int m = 0;
    for (int i = 0; i < n; i++)
        for (const Ending *e = ending; e->suffix; e++) {
            Form *f = &out[m];
            if (m == MOST_FORMS || in[i].len > MOST_LETTERS) return m;
            if (!rewrite(f->text, &f->len, (Bytes){(char *)(uintptr_t)in[i].text, in[i].len}, *e)) continue;
            int k = 0;
            while (k < m && (out[k].len != f->len || memcmp(out[k].text, f->text, f->len))) k++;
            m += k == m;
        }
    return m;
}

/* WordNet's morphy for one class of words: irregular forms first, then endings, until a base form is known. */
static bool visit_class(const Synonyms *s, int class, Bytes a, const Visitor *v)
{
    bool found = false;
    if (!visit_form(s, class, a.text, a.len, v, &found)) return false;
    int64_t base = table_get(&s->base[class], a.text, a.len, 0) - 1;
    if (base >= 0) { /* irregular forms have these bases and no others */
        for (; base >= 0; base = s->bases[base].next)
            if (!visit_form(s, class, s->bases[base].word.text, s->bases[base].word.len, v, &found)) return false;
        return true;
    }
    Form forms[2][MOST_FORMS + 1];
    int n = 1, side = 0;
    forms[0][0].len = a.len;
    memcpy(forms[0][0].text, a.text, a.len);
    do { /* once in any case; further only while nothing is known */
        n = next_forms(forms[!side], forms[side], n, ENDINGS[class]);
        side = !side;
        for (int i = 0; i < n; i++)
            if (!visit_form(s, class, forms[side][i].text, forms[side][i].len, v, &found)) return false;
    } while (n && !found);
    return true;
}

void synonyms_lemmas(const Synonyms *s, Bytes word, bool (*each)(void *user, Bytes lemma), void *user)
{
    Visitor v = {each, user};
    for (int c = 0; c < SYNONYM_CLASSES && word.len <= MOST_LETTERS; c++)
        if (s->data[c].len && !visit_class(s, c, word, &v)) return;
}
