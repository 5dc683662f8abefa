/* A method's shape is a list of lines.  "$x" stands for a drawn name, and "good~bad~phrase" for a line with a wrong
 * form: a message uses the phrase for it.  An edit marks lines as removed and added, so the diff is exact. */
#include "change/javagen_change.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "change/javagen_words.h"

enum { MOST_LINES = 16, MOST_METHODS = 4, MOST_CLASS = 128, LINE = 160 };
#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

/* $N a number type, $m the method, $a an array, $l a number, $t another, $f a truth value, $s a text, $r another,
 * $K a constant number. */
static const char *const SHAPE[][MOST_LINES] = {
    {"public $N $m($N[] $a, $N $l) {", "    $N $t = 0;", "    boolean $f = false;",
     "    for (int i = 0; i < $a.length; i++) {~    for (int i = 0; i <= $a.length; i++) {~loop bound",
     "        if ($a[i] > $l) {", "            $f = true;", "            continue;", "        }",
     "        $t += $a[i];~        $t = $a[i];~running total", "    }", "    return $f ? $t : $l;", "}"},
    {"public int $m(String[] $a, String $s) {", "    boolean $f = $s.isEmpty();",
     "    for (int i = 0; i < $a.length && !$f; i++) {~    for (int i = 1; i < $a.length && !$f; i++) {~first "
     "position",
     "        if ($a[i].equals($s)) {~        if ($a[i] == $s) {~comparison of texts", "            return i;",
     "        }", "    }", "    return -1;", "}"},
    {"public void $m($N $l) {", "    if ($l < 0 || $l > $K) {~    if ($l < 0 && $l > $K) {~range check",
     "        throw new IllegalArgumentException(\"$l\");", "    }",
     "    this.$l = $l;~    $l = $l;~assignment to the field", "    this.$f = true;", "}"},
    {"public double $m($N[] $a) {", "    double $t = 0;", "    boolean $f = $a.length > 0;", "    for ($N $l : $a) {",
     "        $t += $l;~        $t += $a.length;~sum of the values", "    }",
     "    return $f ? $t / $a.length : 0;~    return $t / $a.length;~division by zero", "}"},
    {"public $N $m($N[] $a) {", "    $N $t = $a[0];~    $N $t = 0;~start value", "    boolean $f = true;",
     "    for (int i = 1; i < $a.length && $f; i++) {",
     "        if ($a[i] > $t) {~        if ($a[i] < $t) {~direction of the comparison", "            $t = $a[i];",
     "        }", "        $f = $t < $K;", "    }", "    return $t;", "}"},
    {"public String $m(String[] $a, String $s) {", "    String $r = \"\";", "    boolean $f = true;",
     "    int $l = 0;", "    for (String part : $a) {", "        if (!$f) {~        if ($f) {~separator",
     "            $r += $s;", "        }", "        $r += part;", "        $l++;", "        $f = false;", "    }",
     "    return $l > 0 ? $r : $s;", "}"},
    {"public boolean $m(String $s, int $l) {",
     "    if ($s == null || $s.isEmpty()) {~    if ($s.isEmpty() || $s == null) {~null check",
     "        return false;", "    }",
     "    boolean $f = $s.length() <= $l;~    boolean $f = $s.length() < $l;~length limit",
     "    return $f && $l < $K;", "}"},
    {"public int $m(String $s, char $t) {", "    int $l = 0;", "    boolean $f = $s != null;",
     "    for (int i = 0; $f && i < $s.length(); i++) {~    for (int i = 0; $f && i < $s.length() - 1; i++) {~last "
     "letter",
     "        if ($s.charAt(i) == $t) {", "            $l++;~            $l = 1;~count", "        }", "    }",
     "    return $l;", "}"},
    {"public $N[] $m($N[] $a, int $l) {",
     "    int $t = Math.min($l, $a.length);~    int $t = Math.max($l, $a.length);~size of the copy",
     "    $N[] $r = new $N[$t];", "    boolean $f = $t > 0;",
     "    for (int i = 0; $f && i < $t; i++) {~    for (int i = 0; $f && i < $t - 1; i++) {~end of the loop",
     "        $r[i] = $a[i];", "    }", "    return $r;", "}"},
    {"public void $m(String $s, $N $l) {", "    boolean $f = $l > $K;", "    String $r = $f ? $s.trim() : $s;",
     "    if ($f) {~    if (!$f) {~condition", "        this.$t += $l;~        this.$t -= $l;~sign of the update",
     "    }", "    this.$s = $r;", "}"},
    {"public $N $m($N $l, $N $t) {", "    boolean $f = $t != 0;", "    String $s = \"$l\";",
     "    if (!$f) {~    if ($f) {~check for zero", "        throw new ArithmeticException($s);", "    }",
     "    return $l / $t;~    return $t / $l;~order of the operands", "}"}};

typedef struct {
    char text[LINE];
    LineKind kind;
} Line;

typedef struct {
    uint64_t stream, next;
    int difficulty;
    char class[48], method[48], array[32], number[32], other[32], flag[32], string[32], result[32];
    const char *type;
    int constant;
    Line line[MOST_CLASS];
    int n;
    char message[240];
} Gen;

static int below(Gen *g, int n)
{
    return (int)rng_below(g->stream, g->next++, n);
}
#define PICK(g, list) ((list)[below((g), COUNT(list))])

/* Text that must fit: names and shapes are short. */
__attribute__((format(printf, 3, 4))) static size_t put(char *out, size_t room, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(out, room, fmt, args);
    va_end(args);
    CHECK(n >= 0 && (size_t)n < room, "%d bytes of text in %zu", n, room);
    return (size_t)n;
}

static void camel(char *out, size_t room, const char *first, const char *second)
{
    put(out, room, "%s%s", first, second);
    out[strlen(first)] = (char)toupper((unsigned char)second[0]);
}

/* A noun or adjective and noun that no other name of the method has. */
static void name_of(Gen *g, char out[32], const char *plural)
{
    const char *const taken[] = {g->array, g->number, g->other, g->flag, g->string, g->result};
    for (bool fresh = false; !fresh;) {
        const char *noun = PICK(g, JAVA_NOUN);
        char name[32];
        if (!strcmp(noun, "byte")) continue;
        if (below(g, 3))
            put(name, sizeof name, "%s%s", noun, plural);
        else
            camel(name, sizeof name, PICK(g, JAVA_ADJECTIVE), noun);
        fresh = true;
        for (int i = 0; i < COUNT(taken); i++) fresh &= strcmp(taken[i], name) != 0;
        if (fresh) strcpy(out, name);
    }
}

static void draw_names(Gen *g)
{
    static const char *const NUMBER[] = {"int", "int", "long", "double", "float", "short"};
    static const int CONSTANT[] = {10, 16, 50, 64, 100, 128, 255, 500, 1000};
    camel(g->method, sizeof g->method, PICK(g, JAVA_VERB), PICK(g, JAVA_NOUN));
    g->array[0] = g->number[0] = g->other[0] = g->flag[0] = g->string[0] = g->result[0] = 0;
    name_of(g, g->array, "s");
    name_of(g, g->number, "");
    name_of(g, g->other, "");
    name_of(g, g->string, "");
    name_of(g, g->result, "");
    put(g->flag, sizeof g->flag, "%s", PICK(g, JAVA_FLAG));
    g->type = PICK(g, NUMBER);
    g->constant = PICK(g, CONSTANT);
}

/* Writes one form of a shape's line: the good, the bad, or (2) its phrase; false when it has no such form. */
static bool fill(const Gen *g, char out[LINE], const char *shape, int form)
{
    size_t n = 0;
    for (; form > 0; form--) {
        shape = strchr(shape, '~');
        if (!shape++) return false;
    }
    for (; *shape && *shape != '~' && n + 1 < LINE; shape++) {
        if (*shape != '$') {
            out[n++] = *shape;
            continue;
        }
        char number[16];
        const char *word = "";
        switch (*++shape) {
        case 'N': word = g->type; break;
        case 'm': word = g->method; break;
        case 'a': word = g->array; break;
        case 'l': word = g->number; break;
        case 't': word = g->other; break;
        case 'f': word = g->flag; break;
        case 's': word = g->string; break;
        case 'r': word = g->result; break;
        default: put(number, sizeof number, "%d", g->constant), word = number; break;
        }
        n += put(out + n, LINE - n, "%s", word);
    }
    out[n < LINE ? n : LINE - 1] = 0;
    return true;
}

static Line *add_line(Gen *g, LineKind kind, const char *text)
{
    CHECK(g->n < MOST_CLASS, "a class of more than %d lines", MOST_CLASS);
    Line *l = &g->line[g->n++];
    put(l->text, sizeof l->text, "%s", text);
    l->kind = kind;
    return l;
}

/* The i-th line of the shape that has a wrong form, -1 when it has fewer. */
static int flawed_line(const char *const *shape, int i)
{
    for (int k = 0; k < MOST_LINES && shape[k]; k++)
        if (strchr(shape[k], '~') && i-- == 0) return k;
    return -1;
}

/* ---- edits: each writes the method's lines ---- */

static void plain(Gen *g, const char *const *shape, LineKind kind, int bad)
{
    char text[LINE], indented[LINE + 4];
    for (int k = 0; k < MOST_LINES && shape[k]; k++) {
        fill(g, text, shape[k], k == bad);
        put(indented, sizeof indented, "    %s", text);
        add_line(g, kind, indented);
    }
}

/* Replaces every line from `first` on that holds the word; unlike the word inside another one. */
static void substitute(Gen *g, int first, const char *word, const char *with)
{
    size_t n = strlen(word);
    Line old[MOST_CLASS];
    int lines = g->n - first;
    memcpy(old, g->line + first, sizeof *old * (size_t)lines);
    g->n = first;
    for (int i = 0, run = 0; i < lines; i += run) { /* runs of changed lines: first all removed, then all added */
        char changed[MOST_LINES][LINE];
        for (run = 0; i + run < lines && run < MOST_LINES; run++) {
            size_t to = 0;
            bool hit = false;
            for (const char *s = old[i + run].text; *s && to + 1 < LINE;) {
                bool edge = s == old[i + run].text || !isalnum((unsigned char)s[-1]);
                if (edge && !strncmp(s, word, n) && !isalnum((unsigned char)s[n])) {
                    to += put(changed[run] + to, LINE - to, "%s", with);
                    s += n;
                    hit = true;
                } else {
                    changed[run][to++] = *s++;
                }
            }
            changed[run][to < LINE ? to : LINE - 1] = 0;
            if (!hit) break;
        }
        for (int k = 0; k < run; k++) add_line(g, LINE_DEL, old[i + k].text);
        for (int k = 0; k < run; k++) add_line(g, LINE_ADD, changed[k]);
        if (run == 0) add_line(g, LINE_KEEP, old[i + run++].text);
    }
}

/* Adds lines after the method's first. */
static void insert(Gen *g, const char *const *shape, const char *const *text, int n)
{
    int first = g->n;
    plain(g, shape, LINE_KEEP, -1);
    memmove(g->line + first + 1 + n, g->line + first + 1, sizeof *g->line * (size_t)(g->n - first - 1));
    for (int i = 0; i < n; i++) {
        g->line[first + 1 + i].kind = LINE_ADD;
        put(g->line[first + 1 + i].text, LINE, "        %s", text[i]);
    }
    g->n += n;
}

/* The method with one line changed: from its wrong form to the good one, or the other way where `to_bad`. */
static void turn(Gen *g, const char *const *shape, int line, bool to_bad)
{
    int first = g->n;
    plain(g, shape, LINE_KEEP, -1);
    char good[LINE], bad[LINE];
    fill(g, good, shape[line], 0);
    fill(g, bad, shape[line], 1);
    Line *l = &g->line[first + line];
    memmove(l + 1, l, sizeof *l * (size_t)(g->n - first - line));
    g->n++;
    put(l[0].text, LINE, "    %s", to_bad ? good : bad);
    put(l[1].text, LINE, "    %s", to_bad ? bad : good);
    l[0].kind = LINE_DEL;
    l[1].kind = LINE_ADD;
}

/* ---- messages ---- */

/* findUser -> "find user" */
static void in_words(char *out, size_t room, const char *name)
{
    size_t n = 0;
    for (; *name && n + 3 < room; name++) {
        if (isupper((unsigned char)*name)) out[n++] = ' ';
        out[n++] = (char)tolower((unsigned char)*name);
    }
    out[n] = 0;
}

/* "Fix" + "the loop bound" + where; the object in identifiers (0), in words (1), in general terms (2). */
static void say(Gen *g, const char *verb, const char *identifier, const char *general)
{
    char method[64], object[64];
    static const char *const PLACE[] = {"in this class",        "here",        "for all callers", "in the usual case",
                                        "where it matters",     "once more",   "for good",        "as agreed",
                                        "before the next step", "in one place"};
    in_words(method, sizeof method, g->method);
    in_words(object, sizeof object, identifier);
    bool called = below(g, 2);
    if (g->difficulty == 0)
        put(g->message, sizeof g->message, "%s %s in %s%s%s", verb, identifier, g->method, called ? " of " : "",
            called ? g->class : "");
    else if (g->difficulty == 1)
        put(g->message, sizeof g->message, "%s %s when %s %s", verb, *general ? general : object,
            called ? "asked to" : "we", method);
    else
        put(g->message, sizeof g->message, "%s %s %s", verb, *general ? general : "a name", PICK(g, PLACE));
}

/* The input of an edit: the method's shape, and one of its lines with a wrong form. */
typedef struct {
    const char *const *shape;
    int line;
    char what[LINE]; /* the phrase of that line */
} Target;
typedef const char *const Words[];

static int rename_variable(Gen *g, const Target *t)
{
    const char *const old[] = {g->number, g->flag}, *word = PICK(g, old);
    char name[32], text[LINE];
    int first = g->n;
    plain(g, t->shape, LINE_KEEP, -1);
    name_of(g, name, "");
    substitute(g, first, word, name);
    put(text, sizeof text, "%s to %s", word, name);
    say(g, "Rename", text, g->difficulty > 1 ? "a variable" : "");
    return 0;
}

static int add_check(Gen *g, const Target *t)
{
    static Words VERB = {"Check", "Validate", "Guard against missing"};
    bool array = strstr(t->shape[0], "$a") != NULL, string = strstr(t->shape[0], "$s") != NULL;
    const char *object = array ? g->array : string ? g->string : g->number;
    char text[LINE];
    put(text, sizeof text, "if (%s %s) {", object, array || string ? "== null" : "< 0");
    const char *const lines[] = {text, "    throw new IllegalArgumentException();", "}"};
    insert(g, t->shape, lines, COUNT(lines));
    say(g, PICK(g, VERB), object, "the input");
    return 0;
}

static int add_log(Gen *g, const Target *t)
{
    static Words VERB = {"Log", "Trace", "Report"};
    const char *object = strstr(t->shape[0], "$l") ? g->number : "this";
    char text[LINE];
    put(text, sizeof text, "logger.debug(\"%s: \" + %s);", g->method, object);
    const char *const lines[] = {text};
    insert(g, t->shape, lines, COUNT(lines));
    say(g, PICK(g, VERB), object, "what is done");
    return 0;
}

static int add_method(Gen *g, const Target *t)
{
    static Words VERB = {"Add", "Introduce", "Implement"};
    int label = below(g, 4) == 0;
    add_line(g, LINE_ADD, "");
    plain(g, t->shape, LINE_ADD, label ? t->line : -1);
    say(g, PICK(g, VERB), g->method, "a new operation");
    return label;
}

static int raise_constant(Gen *g, const Target *t)
{
    static Words VERB = {"Raise", "Increase", "Change"};
    char from[16], to[16], text[LINE];
    int first = g->n;
    plain(g, t->shape, LINE_KEEP, -1);
    put(from, sizeof from, "%d", g->constant);
    put(to, sizeof to, "%d", g->constant * (2 + below(g, 4)));
    substitute(g, first, from, to);
    put(text, sizeof text, "limit from %s to %s", from, to);
    say(g, PICK(g, VERB), text, "the limit");
    return 0;
}

static int change_type(Gen *g, const Target *t)
{
    bool real = !strcmp(g->type, "double") || !strcmp(g->type, "float");
    const char *other = real ? "double" : "long";
    if (!strcmp(other, g->type)) other = "int";
    char text[LINE];
    int first = g->n;
    plain(g, t->shape, LINE_KEEP, -1);
    substitute(g, first, g->type, other);
    put(text, sizeof text, "%s for %s", other, g->number);
    say(g, "Use", text, "another type");
    return 0;
}

static int fix_defect(Gen *g, const Target *t)
{
    static Words VERB = {"Fix", "Correct", "Repair"};
    turn(g, t->shape, t->line, false);
    say(g, PICK(g, VERB), t->what, t->what);
    return 0;
}

static int plant_defect(Gen *g, const Target *t)
{
    static Words VERB = {"Rework", "Simplify", "Adjust", "Clean up"},
                 HASTE = {"Quick change of", "Hurried update of"};
    turn(g, t->shape, t->line, true);
    say(g, g->difficulty ? PICK(g, VERB) : PICK(g, HASTE), t->what, t->what);
    return 1;
}

static const struct {
    const char *name, *needs;           /* needs: text that must occur in the shape */
    int (*make)(Gen *, const Target *); /* writes method and message, returns the label */
} EDIT[] = {{"rename", "$l", rename_variable}, {"check", "", add_check},           {"log", "", add_log},
            {"method", "", add_method},        {"constant", "$K", raise_constant}, {"type", "$N", change_type},
            {"fix", "", fix_defect},           {"plant", "", plant_defect}};

static bool fits(const char *needs, const char *const *shape)
{
    for (int k = 0; k < MOST_LINES && shape[k]; k++)
        if (strstr(shape[k], needs)) return true;
    return false;
}

static int edit(Gen *g, int which, const char *const *shape)
{
    Target t = {.shape = shape};
    int flaws = 0;
    while (flawed_line(shape, flaws) >= 0) flaws++;
    t.line = flawed_line(shape, below(g, flaws));
    fill(g, t.what, shape[t.line], 2);
    return EDIT[which].make(g, &t);
}

/* The whole class: all that is not changed is context. */
static void take_lines(ChangeFile *f, Arena *a, const Gen *g)
{
    f->line = NEW(a, ChangeLine, g->n);
    for (; f->n < g->n; f->n++) {
        const Line *l = &g->line[f->n];
        f->line[f->n] = (ChangeLine){l->kind, str_copy(a, l->text, strlen(l->text)), strlen(l->text)};
    }
}

/* Generates a class in which one method is edited; the edit determines message, kind and label. */
void javagen_change(CodeChange *out, Arena *a, uint64_t seed, int64_t i, int difficulty)
{
    static const char *const ROLE[] = {"Service", "Manager", "Reader", "Cache",
                                       "Helper",  "Report",  "Store",  "Parser"};
    static const char *const PACKAGE[] = {"core", "io", "model", "util", "net", "ui"};
    Gen g = {.stream = rng_mix(rng_stream(seed, "javagen/change"), (uint64_t)i), .difficulty = difficulty};
    camel(g.class, sizeof g.class, PICK(&g, JAVA_NOUN), PICK(&g, ROLE));
    g.class[0] = (char)toupper((unsigned char)g.class[0]);
    int methods = 1 + below(&g, MOST_METHODS - 1), edited = below(&g, methods);
    int which = below(&g, COUNT(EDIT));
    char text[LINE];
    put(text, sizeof text, "public class %s {", g.class);
    add_line(&g, LINE_KEEP, text);
    int label = 0;
    for (int m = 0; m < methods; m++) {
        int shape = below(&g, COUNT(SHAPE));
        draw_names(&g);
        if (m == edited) {
            while (!fits(EDIT[which].needs, SHAPE[shape])) shape = below(&g, COUNT(SHAPE));
            label = edit(&g, which, SHAPE[shape]);
        } else {
            plain(&g, SHAPE[shape], LINE_KEEP, -1);
        }
    }
    add_line(&g, LINE_KEEP, "}");
    *out = (CodeChange){.repo = "generated", .author = "", .kind = EDIT[which].name, .label = label, .ordered = true};
    out->id = str_print(a, "%llx-%lld-%d", (unsigned long long)seed, (long long)i, difficulty);
    out->message = str_copy(a, g.message, strlen(g.message));
    out->time = 1577836800 + 3600 * i;
    out->n_files = 1;
    out->file = NEW(a, ChangeFile, 1);
    out->file->old_path = out->file->new_path = str_print(a, "src/%s/%s.java", PICK(&g, PACKAGE), g.class);
    out->file->lang = LANG_JAVA;
    take_lines(out->file, a, &g);
}
