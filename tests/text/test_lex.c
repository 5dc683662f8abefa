/* The lexer: the tokens of each language, that no bytes upset it, that it is linear, and real code. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "text/lex.h"
#include "text/lex_table.h"

static const char LETTER[] = {'i', 'k', 't', 'n', 's', 'c', 'o', '?'};

/* The tokens as "kind:text" with bars between; a ! marks an open one. */
static const char *tokens(Lang lang, const char *text)
{
    static char out[4096];
    Lexer x = lex_open(lang, text, strlen(text));
    size_t at = 0;
    out[0] = 0;
    for (Lexeme t; lex_next(&x, &t);)
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%c%s:%.*s", at ? "|" : "", LETTER[t.kind],
                               t.open ? "!" : "", (int)(t.end - t.begin), text + t.begin);
    return out;
}

static void words_and_numbers(void **state)
{
    (void)state;
    assert_string_equal(tokens(LANG_JAVA, "public int x_1=0x1F;"), "k:public|t:int|i:x_1|o:=|n:0x1F|o:;");
    assert_string_equal(tokens(LANG_JAVA, "1.5e-3f 1_000L .5 7. a.b 1..2"),
                        "n:1.5e-3f|n:1_000L|n:.5|n:7.|i:a|o:.|i:b|n:1|o:.|n:.2");
    assert_string_equal(tokens(LANG_C, "unsigned n=1'000u+0x1p-3;"), "t:unsigned|i:n|o:=|n:1'000u|o:+|n:0x1p-3|o:;");
    assert_string_equal(tokens(LANG_C, "'a'+8'b'"), "s:'a'|o:+|n:8|s:'b'");
    assert_string_equal(tokens(LANG_CSHARP, "string s = null ?? t?.u;"),
                        "t:string|i:s|o:=|k:null|o:\?\?|i:t|o:?.|i:u|o:;");
    assert_string_equal(tokens(LANG_PYTHON, "def f(a): return a**2 // 3"),
                        "k:def|i:f|o:(|i:a|o:)|o::|k:return|i:a|o:**|n:2|o://|n:3");
    assert_string_equal(tokens(LANG_JAVA, "a>>>=b>>c"), "i:a|o:>>>=|i:b|o:>>|i:c");
    assert_string_equal(tokens(LANG_JAVA, "na\xc3\xafve \xff"), "i:na\xc3\xafve|i:\xff");
    assert_string_equal(tokens(LANG_NONE, "if (x) 'a'"), "i:if|o:(|i:x|o:)|o:'|i:a|o:'");
    assert_string_equal(tokens(LANG_JAVASCRIPT, "$el.x$"), "i:$el|o:.|i:x$");
}

static void strings_and_comments(void **state)
{
    (void)state;
    assert_string_equal(tokens(LANG_JAVA, "\"a\\\"b\" 'c' // d\n/* e\n*/f"),
                        "s:\"a\\\"b\"|s:'c'|c:// d|c:/* e\n*/|i:f");
    assert_string_equal(tokens(LANG_JAVA, "\"\"\"a \"b\" \n c\"\"\" d"), "s:\"\"\"a \"b\" \n c\"\"\"|i:d");
    assert_string_equal(tokens(LANG_JAVA, "\"open\nx"), "s!:\"open|i:x");
    assert_string_equal(tokens(LANG_C, "\"a\\\nb\" L\"w\" u8\"x\" /* open"),
                        "s:\"a\\\nb\"|s:L\"w\"|s:u8\"x\"|c!:/* open");
    assert_string_equal(tokens(LANG_CPP, "R\"x(a)\" )x\" b R\"(c)\" uR\"(d\n)\""),
                        "s:R\"x(a)\" )x\"|i:b|s:R\"(c)\"|s:uR\"(d\n)\"");
    assert_string_equal(tokens(LANG_CSHARP, "@\"a\\\"\"b\" $\"c{d}\" \"\"\"e \"f\" \"\"\" $@\"g\n\" @class"),
                        "s:@\"a\\\"\"b\"|s:$\"c{d}\"|s:\"\"\"e \"f\" \"\"\"|s:$@\"g\n\"|o:@|k:class");
    assert_string_equal(tokens(LANG_PYTHON, "rb'a\\'' f\"b\" '''c\n'd' ''' # e\nrest"),
                        "s:rb'a\\''|s:f\"b\"|s:'''c\n'd' '''|c:# e|i:rest");
    assert_string_equal(tokens(LANG_JAVASCRIPT, "`a ${b ? `c${d}` : {}} e` f"), "s:`a ${b ? `c${d}` : {}} e`|i:f");
    assert_string_equal(tokens(LANG_JAVASCRIPT, "a = b / c / d; x = /[/\\]]+/gi.test(y); return /z/;"),
                        "i:a|o:=|i:b|o:/|i:c|o:/|i:d|o:;|i:x|o:=|s:/[/\\]]+/gi|o:.|i:test|o:(|i:y|o:)|o:;|"
                        "k:return|s:/z/|o:;");
    assert_string_equal(tokens(LANG_JAVASCRIPT, "(a) / 2\n= / 3"), "o:(|i:a|o:)|o:/|n:2|o:=|o:/|n:3");
}

static void tables_are_in_order(void **state)
{
    (void)state;
    for (int l = 0; l < LANGS; l++) {
        const LexTable *t = &LEX_TABLE[l];
        assert_string_equal(t->name, LANG_NAMES[l]);
        const char *const *lists[] = {t->keywords, t->primitives};
        for (int k = 0; k < 2; k++)
            for (const char *const *w = lists[k]; *w; w++) {
                EXPECT(!w[1] || strcmp(w[0], w[1]) < 0, "%s: %s before %s", t->name, w[0], w[1]);
                assert_true(lex_listed(lists[k], *w, strlen(*w)));
            }
        for (const char *const *o = t->operators; *o; o++)
            if (o[1]) assert_true(strlen(o[0]) >= strlen(o[1]));
    }
    assert_int_equal(lang_of_path("a/B.JAVA"), LANG_JAVA);
    assert_int_equal(lang_of_path("x.y/Makefile"), LANG_NONE);
    assert_int_equal(lang_of_path("x.hpp"), LANG_CPP);
    assert_int_equal(lang_of_path("x.py "), LANG_NONE);
    assert_int_equal(lang_find("csharp"), LANG_CSHARP);
    assert_int_equal(lang_find("none"), LANG_NONE);
}

/* Tokens are in order, not empty, inside the text, and only white space lies between them. */
static void check_any(Lang lang, const char *text, size_t len)
{
    Lexer x = lex_open(lang, text, len);
    size_t at = 0;
    for (Lexeme t; lex_next(&x, &t);) {
        assert_true(t.begin >= at && t.end > t.begin && t.end <= len);
        for (; at < t.begin; at++) assert_non_null(strchr(" \t\r\n\f\v", text[at]));
        at = t.end;
    }
    for (; at < len; at++) assert_non_null(strchr(" \t\r\n\f\v", text[at]));
}

static void any_bytes(void **state)
{
    (void)state;
    static const char *const PIECE[] = {"\"", "'",  "`",    "/*",  "*/",  "//", "${",     "}",   "{",
                                        "\\", "\n", "R\"(", ")\"", "@\"", "$",  "\"\"\"", "'''", "#",
                                        "0x", "1.", "e+",   "/",   "[",   "]",  "a",      " ",   "\xff"};
    uint64_t stream = rng_stream(7, "lex"), next = 0;
    for (int round = 0; round < 2000; round++) {
        char text[200];
        size_t len = 0;
        while (len < 160 && rng_below(stream, next++, 40)) {
            if (rng_below(stream, next++, 6) == 0) {
                text[len++] = (char)rng_below(stream, next++, 256);
            } else {
                const char *p = PIECE[rng_below(stream, next++, (int64_t)(sizeof PIECE / sizeof *PIECE))];
                memcpy(text + len, p, strlen(p));
                len += strlen(p);
            }
        }
        char *exact = malloc(len ? len : 1); /* so that the sanitizer sees a read past the end */
        memcpy(exact, text, len);
        for (int l = 0; l < LANGS; l++) check_any((Lang)l, exact, len);
        free(exact);
    }
}

/* Texts of 400,000 bytes that invite a scan to the end from every byte: done at once, or (quadratic) in minutes. */
static void linear(void **state)
{
    (void)state;
    static const char *const UNIT[] = {"/ ", "R\"x(", "\"", "`${", "/*", "'''", "= /", "$", "\"\"\"\" "};
    Arena a = arena_open((size_t)1 << 28);
    for (size_t u = 0; u < sizeof UNIT / sizeof *UNIT; u++) {
        size_t n = strlen(UNIT[u]), len = 400000 / n * n;
        char *text = arena_take(&a, len);
        for (size_t i = 0; i < len; i++) text[i] = UNIT[u][i % n];
        for (int l = 0; l < LANGS; l++) {
            int64_t count = 0;
            Lexer x = lex_open((Lang)l, text, len);
            for (Lexeme t; lex_next(&x, &t);) count++;
            assert_true(count > 0);
        }
    }
    arena_close(&a);
}

/* This program's own source: every token is known and closed, and they cover as much as expected. */
static void reads_its_own_source(void **state)
{
    (void)state;
    static const char *const FILES[] = {"src/text/lex.c", "src/change/javagen_change.c", "src/cli/options.c"};
    Arena a = arena_open((size_t)1 << 26);
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        Bytes text;
        int64_t count[LEX_OTHER + 1] = {0};
        if (access(FILES[i], R_OK)) skip();
        assert_int_equal(file_read(&text, &a, FILES[i]), OK);
        Lexer x = lex_open(LANG_C, text.text, text.len);
        for (Lexeme t; lex_next(&x, &t);) {
            EXPECT(!t.open, "%s: open at byte %zu", FILES[i], t.begin);
            count[t.kind]++;
        }
        assert_int_equal(count[LEX_OTHER], 0);
        assert_true(count[LEX_KEYWORD] > 100 && count[LEX_TYPE] > 30 && count[LEX_STRING] > 20);
        assert_true(count[LEX_COMMENT] > 2 && count[LEX_OPERATOR] > count[LEX_IDENTIFIER]);
    }
    arena_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_and_numbers),
                                       cmocka_unit_test(strings_and_comments),
                                       cmocka_unit_test(tables_are_in_order),
                                       cmocka_unit_test(any_bytes),
                                       cmocka_unit_test(linear),
                                       cmocka_unit_test(reads_its_own_source)};
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
