/* Both algorithms are lists of suffix rules, one list a step.  A step takes the first rule whose suffix fits, and
 * rewrites only if the rule's condition holds for the stem before the suffix; no other rule is tried then. */
#include "text/stem.h"

#include <stdbool.h>
#include <string.h>

typedef struct {
    char *s;
    size_t n;
    size_t r1, r2; /* Snowball's regions: R1 is s[r1..n), R2 is s[r2..n) */
} Word;

typedef bool Condition(const Word *, size_t stem); /* of the first `stem` letters */
typedef struct {
    const char *suffix, *to;
    Condition *when; /* NULL: always */
} Rule;

static bool ends(const Word *w, const char *suffix)
{
    size_t k = strlen(suffix);
    return k <= w->n && !memcmp(w->s + w->n - k, suffix, k);
}

static void replace(Word *w, size_t drop, const char *to)
{
    size_t k = strlen(to);
    memcpy(w->s + w->n - drop, to, k);
    w->n += k - drop;
}

static bool is_word(const Word *w, const char *text)
{
    return w->n == strlen(text) && ends(w, text);
}

/* A list of pairs word, stem; true when the word is there and was replaced. */
static bool listed(Word *w, const char *const (*list)[2])
{
    for (; (*list)[0]; list++)
        if (is_word(w, (*list)[0])) {
            replace(w, w->n, (*list)[1]);
            return true;
        }
    return false;
}

/* True when a rule's suffix was found, whether or not its condition held. */
static bool apply(Word *w, const Rule *rule)
{
    for (; rule->suffix; rule++) {
        if (!ends(w, rule->suffix)) continue;
        size_t k = strlen(rule->suffix);
        if (!rule->when || rule->when(w, w->n - k)) replace(w, k, rule->to);
        return true;
    }
    return false;
}

static bool vowel_letter(char c)
{
    return c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u';
}

/* ---- Snowball's english.  A `y` that is a consonant is written Y. */

static bool vowel(const Word *w, size_t i)
{
    return vowel_letter(w->s[i]) || w->s[i] == 'y';
}

static bool any_vowel(const Word *w, size_t stem)
{
    for (size_t i = 0; i < stem; i++)
        if (vowel(w, i)) return true;
    return false;
}

/* Where the region after the first non-vowel that follows a vowel begins, from `from` on. */
static size_t region(const Word *w, size_t from)
{
    size_t i = from;
    while (i < w->n && !vowel(w, i)) i++;
    while (i < w->n && vowel(w, i)) i++;
    return i < w->n ? i + 1 : w->n;
}

static bool short_syllable(const Word *w, size_t n)
{
    if (n == 2) return vowel(w, 0) && !vowel(w, 1);
    if (n < 3 || vowel(w, n - 3) || !vowel(w, n - 2) || vowel(w, n - 1)) return false;
    return !strchr("wxY", w->s[n - 1]);
}

static bool in_r1(const Word *w, size_t stem)
{
    return stem >= w->r1;
}

static bool in_r2(const Word *w, size_t stem)
{
    return stem >= w->r2;
}

static bool after_l_in_r1(const Word *w, size_t stem)
{
    return in_r1(w, stem) && stem && w->s[stem - 1] == 'l';
}

static bool after_li_letter(const Word *w, size_t stem)
{
    return in_r1(w, stem) && stem && strchr("cdeghkmnrt", w->s[stem - 1]);
}

static bool ion_in_r2(const Word *w, size_t stem)
{
    return in_r2(w, stem) && stem && (w->s[stem - 1] == 's' || w->s[stem - 1] == 't');
}

static bool two_before(const Word *w, size_t stem)
{
    (void)w;
    return stem > 1;
}

static bool one_before(const Word *w, size_t stem)
{
    (void)w;
    return stem <= 1;
}

/* The s of a plural: a vowel somewhere, but not only right before it. */
static bool plural(const Word *w, size_t stem)
{
    return stem && any_vowel(w, stem - 1);
}

static const Rule ENGLISH_1A[] = {{"sses", "ss", NULL},
                                  {"ied", "i", two_before},
                                  {"ies", "i", two_before},
                                  {"us", "us", NULL},
                                  {"ss", "ss", NULL},
                                  {"s", "", plural},
                                  {0}};
static const Rule ENGLISH_1A_SHORT[] = {{"ied", "ie", one_before}, {"ies", "ie", one_before}, {0}};
static const Rule ENGLISH_2[] = {{"ational", "ate", in_r1},
                                 {"fulness", "ful", in_r1},
                                 {"iveness", "ive", in_r1},
                                 {"ization", "ize", in_r1},
                                 {"ousness", "ous", in_r1},
                                 {"biliti", "ble", in_r1},
                                 {"lessli", "less", in_r1},
                                 {"tional", "tion", in_r1},
                                 {"alism", "al", in_r1},
                                 {"aliti", "al", in_r1},
                                 {"ation", "ate", in_r1},
                                 {"entli", "ent", in_r1},
                                 {"fulli", "ful", in_r1},
                                 {"iviti", "ive", in_r1},
                                 {"ousli", "ous", in_r1},
                                 {"abli", "able", in_r1},
                                 {"alli", "al", in_r1},
                                 {"anci", "ance", in_r1},
                                 {"ator", "ate", in_r1},
                                 {"enci", "ence", in_r1},
                                 {"izer", "ize", in_r1},
                                 {"bli", "ble", in_r1},
                                 {"ogi", "og", after_l_in_r1},
                                 {"li", "", after_li_letter},
                                 {0}};
static const Rule ENGLISH_3[] = {{"ational", "ate", in_r1}, {"tional", "tion", in_r1},
                                 {"alize", "al", in_r1},    {"icate", "ic", in_r1},
                                 {"iciti", "ic", in_r1},    {"ative", "", in_r2},
                                 {"ical", "ic", in_r1},     {"ness", "", in_r1},
                                 {"ful", "", in_r1},        {0}};
static const Rule ENGLISH_4[] = {{"ement", "", in_r2},
                                 {"able", "", in_r2},
                                 {"ance", "", in_r2},
                                 {"ence", "", in_r2},
                                 {"ible", "", in_r2},
                                 {"ment", "", in_r2},
                                 {"ant", "", in_r2},
                                 {"ate", "", in_r2},
                                 {"ent", "", in_r2},
                                 {"ion", "", ion_in_r2},
                                 {"ism", "", in_r2},
                                 {"iti", "", in_r2},
                                 {"ive", "", in_r2},
                                 {"ize", "", in_r2},
                                 {"ous", "", in_r2},
                                 {"al", "", in_r2},
                                 {"er", "", in_r2},
                                 {"ic", "", in_r2},
                                 {0}};
static const char *const ENGLISH_WHOLE[][2] = {{"skis", "ski"},
                                               {"skies", "sky"},
                                               {"dying", "die"},
                                               {"lying", "lie"},
                                               {"tying", "tie"},
                                               {"idly", "idl"},
                                               {"gently", "gentl"},
                                               {"ugly", "ugli"},
                                               {"early", "earli"},
                                               {"only", "onli"},
                                               {"singly", "singl"},
                                               {"sky", "sky"},
                                               {"news", "news"},
                                               {"howe", "howe"},
                                               {"atlas", "atlas"},
                                               {"cosmos", "cosmos"},
                                               {"bias", "bias"},
                                               {"andes", "andes"},
                                               {0}};
static const char *const ENGLISH_AFTER_1A[][2] = {
    {"inning", "inning"},   {"outing", "outing"},   {"canning", "canning"},
    {"herring", "herring"}, {"earring", "earring"}, {"proceed", "proceed"},
    {"exceed", "exceed"},   {"succeed", "succeed"}, {0}};

static void find_regions(Word *w)
{
    static const char *const PREFIX[] = {"gener", "commun", "arsen"};
    w->r1 = region(w, 0);
    for (int i = 0; i < 3; i++)
        if (w->n >= strlen(PREFIX[i]) && !memcmp(w->s, PREFIX[i], strlen(PREFIX[i]))) w->r1 = strlen(PREFIX[i]);
    w->r2 = region(w, w->r1);
}

/* Step 1b: -eed, -ing, -ed and their adverbs. */
static void english_1b(Word *w)
{
    static const char *const EED[] = {"eedly", "eed"}, *const ED[] = {"ingly", "edly", "ing", "ed"};
    for (int i = 0; i < 2; i++)
        if (ends(w, EED[i])) {
            if (in_r1(w, w->n - strlen(EED[i]))) replace(w, strlen(EED[i]), "ee");
            return;
        }
    int i = 0;
    while (i < 4 && !ends(w, ED[i])) i++;
    if (i == 4 || !any_vowel(w, w->n - strlen(ED[i]))) return;
    w->n -= strlen(ED[i]);
    if (ends(w, "at") || ends(w, "bl") || ends(w, "iz"))
        replace(w, 0, "e");
    else if (w->n >= 2 && w->s[w->n - 1] == w->s[w->n - 2] && strchr("bdfgmnprt", w->s[w->n - 1]))
        w->n--;
    else if (w->r1 >= w->n && short_syllable(w, w->n))
        replace(w, 0, "e");
}

static void english_5(Word *w)
{
    if (!w->n) return;
    size_t stem = w->n - 1;
    if (w->s[stem] == 'e' && (in_r2(w, stem) || (in_r1(w, stem) && !short_syllable(w, stem))))
        w->n--;
    else if (w->s[stem] == 'l' && in_r2(w, stem) && stem && w->s[stem - 1] == 'l')
        w->n--;
}

size_t stem_english(char *out, const char *word, size_t n)
{
    Word w = {out, n, 0, 0};
    memcpy(out, word, n);
    if (n <= 2 || listed(&w, ENGLISH_WHOLE)) return w.n;
    if (w.s[0] == '\'') memmove(w.s, w.s + 1, --w.n);
    for (size_t i = 0; i < w.n; i++)
        if (w.s[i] == 'y' && (i == 0 || vowel(&w, i - 1))) w.s[i] = 'Y';
    find_regions(&w);
    static const Rule APOSTROPHES[] = {{"'s'", "", NULL}, {"'s", "", NULL}, {"'", "", NULL}, {0}};
    apply(&w, APOSTROPHES);
    if (!((ends(&w, "ied") || ends(&w, "ies")) && w.n <= 4))
        apply(&w, ENGLISH_1A);
    else
        apply(&w, ENGLISH_1A_SHORT);
    if (!listed(&w, ENGLISH_AFTER_1A)) {
        english_1b(&w);
        if (w.n > 2 && (w.s[w.n - 1] == 'y' || w.s[w.n - 1] == 'Y') && !vowel(&w, w.n - 2)) w.s[w.n - 1] = 'i';
        apply(&w, ENGLISH_2);
        apply(&w, ENGLISH_3);
        apply(&w, ENGLISH_4);
        english_5(&w);
    }
    for (size_t i = 0; i < w.n; i++)
        if (w.s[i] == 'Y') w.s[i] = 'y';
    return w.n;
}

/* ---- Porter's, as nltk has it */

static bool consonant(const Word *w, size_t i)
{
    if (vowel_letter(w->s[i])) return false;
    bool yes = true; /* a run of y alternates, beginning with the letter before it */
    for (size_t k = i; w->s[k] == 'y' && k > 0; k--) {
        if (w->s[k - 1] != 'y') return yes ? vowel_letter(w->s[k - 1]) : !vowel_letter(w->s[k - 1]);
        yes = !yes;
    }
    return yes;
}

/* Porter's m: how often a vowel is followed by a consonant. */
static int measure(const Word *w, size_t stem)
{
    int m = 0;
    for (size_t i = 1; i < stem; i++) m += consonant(w, i) && !consonant(w, i - 1);
    return m;
}

static bool m_above_0(const Word *w, size_t stem)
{
    return measure(w, stem) > 0;
}

static bool m_above_1(const Word *w, size_t stem)
{
    return measure(w, stem) > 1;
}

static bool ion_m_above_1(const Word *w, size_t stem)
{
    return measure(w, stem) > 1 && (w->s[stem - 1] == 's' || w->s[stem - 1] == 't');
}

static bool logi_m_above_0(const Word *w, size_t stem) /* measured with the l */
{
    return measure(w, stem + 1) > 0;
}

static bool ll_m_above_1(const Word *w, size_t stem)
{
    return measure(w, stem + 1) > 1;
}

static bool cvc(const Word *w, size_t n)
{
    if (n == 2) return !consonant(w, 0) && consonant(w, 1);
    return n >= 3 && consonant(w, n - 3) && !consonant(w, n - 2) && consonant(w, n - 1) &&
           !strchr("wxy", w->s[n - 1]);
}

static const Rule PORTER_1A[] = {{"sses", "ss", NULL}, {"ies", "i", NULL}, {"ss", "ss", NULL}, {"s", "", NULL}, {0}};
static const Rule PORTER_2[] = {{"ational", "ate", m_above_0},
                                {"tional", "tion", m_above_0},
                                {"enci", "ence", m_above_0},
                                {"anci", "ance", m_above_0},
                                {"izer", "ize", m_above_0},
                                {"bli", "ble", m_above_0},
                                {"alli", "al", m_above_0},
                                {"entli", "ent", m_above_0},
                                {"eli", "e", m_above_0},
                                {"ousli", "ous", m_above_0},
                                {"ization", "ize", m_above_0},
                                {"ation", "ate", m_above_0},
                                {"ator", "ate", m_above_0},
                                {"alism", "al", m_above_0},
                                {"iveness", "ive", m_above_0},
                                {"fulness", "ful", m_above_0},
                                {"ousness", "ous", m_above_0},
                                {"aliti", "al", m_above_0},
                                {"iviti", "ive", m_above_0},
                                {"biliti", "ble", m_above_0},
                                {"fulli", "ful", m_above_0},
                                {"logi", "log", logi_m_above_0},
                                {0}};
static const Rule PORTER_3[] = {
    {"icate", "ic", m_above_0}, {"ative", "", m_above_0}, {"alize", "al", m_above_0}, {"iciti", "ic", m_above_0},
    {"ical", "ic", m_above_0},  {"ful", "", m_above_0},   {"ness", "", m_above_0},    {0}};
static const Rule PORTER_4[] = {
    {"al", "", m_above_1},    {"ance", "", m_above_1}, {"ence", "", m_above_1}, {"er", "", m_above_1},
    {"ic", "", m_above_1},    {"able", "", m_above_1}, {"ible", "", m_above_1}, {"ant", "", m_above_1},
    {"ement", "", m_above_1}, {"ment", "", m_above_1}, {"ent", "", m_above_1},  {"ion", "", ion_m_above_1},
    {"ou", "", m_above_1},    {"ism", "", m_above_1},  {"ate", "", m_above_1},  {"iti", "", m_above_1},
    {"ous", "", m_above_1},   {"ive", "", m_above_1},  {"ize", "", m_above_1},  {0}};
static const Rule PORTER_5B[] = {{"ll", "l", ll_m_above_1}, {0}};
static const char *const PORTER_WHOLE[][2] = {{"sky", "sky"},
                                              {"skies", "sky"},
                                              {"dying", "die"},
                                              {"lying", "lie"},
                                              {"tying", "tie"},
                                              {"news", "news"},
                                              {"innings", "inning"},
                                              {"inning", "inning"},
                                              {"outings", "outing"},
                                              {"outing", "outing"},
                                              {"cannings", "canning"},
                                              {"canning", "canning"},
                                              {"howe", "howe"},
                                              {"proceed", "proceed"},
                                              {"exceed", "exceed"},
                                              {"succeed", "succeed"},
                                              {0}};

/* Step 1b: -ied, -eed, -ed and -ing. */
static void porter_1b(Word *w)
{
    if (ends(w, "ied")) {
        replace(w, 3, w->n == 4 ? "ie" : "i");
        return;
    }
    if (ends(w, "eed")) {
        if (measure(w, w->n - 3) > 0) w->n--;
        return;
    }
    size_t drop = ends(w, "ed") ? 2 : ends(w, "ing") ? 3 : 0;
    bool vowels = false;
    for (size_t i = 0; drop && i < w->n - drop; i++) vowels |= !consonant(w, i);
    if (!vowels) return;
    w->n -= drop;
    if (ends(w, "at") || ends(w, "bl") || ends(w, "iz"))
        replace(w, 0, "e");
    else if (w->n >= 2 && w->s[w->n - 1] == w->s[w->n - 2] && consonant(w, w->n - 1))
        w->n -= !strchr("lsz", w->s[w->n - 1]);
    else if (measure(w, w->n) == 1 && cvc(w, w->n))
        replace(w, 0, "e");
}

size_t stem_porter(char *out, const char *word, size_t n)
{
    Word w = {out, n, 0, 0};
    memcpy(out, word, n);
    if (n <= 2 || listed(&w, PORTER_WHOLE)) return w.n;
    if (ends(&w, "ies") && w.n == 4)
        w.n--;
    else
        apply(&w, PORTER_1A);
    porter_1b(&w);
    if (w.n > 2 && w.s[w.n - 1] == 'y' && consonant(&w, w.n - 2)) w.s[w.n - 1] = 'i';
    while (ends(&w, "alli") && measure(&w, w.n - 4) > 0) w.n -= 2;
    apply(&w, PORTER_2);
    apply(&w, PORTER_3);
    apply(&w, PORTER_4);
    if (ends(&w, "e") && (measure(&w, w.n - 1) > 1 || (measure(&w, w.n - 1) == 1 && !cvc(&w, w.n - 1)))) w.n--;
    apply(&w, PORTER_5B);
    return w.n;
}
