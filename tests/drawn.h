/* Whether the three files of a figure are whole: an SVG that is well-formed, a PDF with its end, a PNG that opens. */
#ifndef TESTS_DRAWN_H
#define TESTS_DRAWN_H

#include "base/file.h"
#include "base/str.h"
#include "picture.h"

enum { XML_DEPTH = 64, XML_NAME = 64 };
typedef struct {
    const char *at, *end, *wrong; /* wrong: the first thing that is, or NULL */
    char open[XML_DEPTH][XML_NAME];
    int depth, roots;
} Xml;

static inline bool xml_fail(Xml *x, const char *wrong)
{
    if (!x->wrong) x->wrong = wrong;
    return false;
}

static inline bool xml_name(Xml *x, char out[XML_NAME])
{
    size_t n = strspn(x->at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_-.");
    if (!n || n >= XML_NAME) return xml_fail(x, "a name");
    memcpy(out, x->at, n);
    out[n] = 0;
    x->at += n;
    return true;
}

/* Characters up to `stop`: no '<', and '&' begins an entity. */
static inline bool xml_text(Xml *x, char stop)
{
    static const char *const entity[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#"};
    while (x->at < x->end && *x->at != stop) {
        size_t n = utf8_length(x->at, (size_t)(x->end - x->at) < 4 ? (size_t)(x->end - x->at) : 4);
        bool known = *x->at != '&';
        for (int k = 0; k < 6; k++) known |= !strncmp(x->at, entity[k], strlen(entity[k]));
        if (!n) return xml_fail(x, "bytes that are not UTF-8");
        if (!known) return xml_fail(x, "an entity");
        if (*x->at == '<') return xml_fail(x, "a '<' within a value");
        if ((unsigned char)*x->at < 0x20 && !strchr("\t\r\n", *x->at)) return xml_fail(x, "a control character");
        x->at += n;
    }
    return true;
}

static inline bool xml_attributes(Xml *x)
{
    enum { MOST = 24 };
    char name[MOST][XML_NAME];
    for (int n = 0;; n++) {
        x->at += strspn(x->at, " \t\r\n");
        if (*x->at == '>' || *x->at == '/' || *x->at == '?') return true;
        if (n == MOST) return xml_fail(x, "so many attributes");
        if (!xml_name(x, name[n])) return false;
        for (int k = 0; k < n; k++)
            if (!strcmp(name[k], name[n])) return xml_fail(x, "an attribute that is there twice");
        if (strncmp(x->at, "=\"", 2) != 0) return xml_fail(x, "an attribute without a value");
        x->at += 2;
        if (!xml_text(x, '"') || x->at == x->end) return xml_fail(x, "a value without an end");
        x->at++;
    }
}

static inline bool xml_tag(Xml *x)
{
    char name[XML_NAME];
    bool closing = x->at[1] == '/', told = x->at[1] == '?';
    x->at += 1 + (closing || told);
    if (!xml_name(x, name) || (!closing && !xml_attributes(x))) return false;
    if (closing && (!x->depth || strcmp(x->open[--x->depth], name) != 0))
        return xml_fail(x, "a tag that is not open");
    bool empty = *x->at == '/' || told;
    x->at += empty;
    if (*x->at != '>') return xml_fail(x, "a tag without an end");
    x->at++;
    if (closing || told) return true;
    x->roots += !x->depth;
    if (empty) return true;
    if (x->depth == XML_DEPTH) return xml_fail(x, "so many levels");
    memcpy(x->open[x->depth++], name, XML_NAME);
    return true;
}

/* NULL, or the fault.  `text` ends with a NUL, as file_read's does. */
static inline const char *xml_wrong(Bytes file)
{
    Xml x = {.at = file.text, .end = file.text + file.len};
    while (x.at < x.end)
        if (!(*x.at == '<' ? xml_tag(&x) : xml_text(&x, '<'))) return x.wrong;
    return x.depth ? "a tag is left open" : x.roots != 1 ? "not one root" : NULL;
}

/* STEM.svg, .pdf and .png, none larger than `most` bytes. */
static inline void expect_drawn_whole(Arena *a, const char *stem, size_t most)
{
    static const char *const suffix[] = {"svg", "pdf", "png"};
    Bytes b;
    for (int k = 0; k < 3; k++) {
        const char *path = str_print(a, "%s.%s", stem, suffix[k]);
        EXPECT(!file_read(&b, a, path), "%s", err_message());
        EXPECT(b.len > 300 && b.len <= most, "%s has %zu bytes, at most %zu", path, b.len, most);
        if (k == 0) EXPECT(!xml_wrong(b), "%s: %s", path, xml_wrong(b));
        if (k == 1) EXPECT(!memcmp(b.text, "%PDF", 4) && memmem(b.text + b.len - 8, 8, "%%EOF", 5), "%s", path);
        if (k == 2) cairo_surface_destroy(picture_surface(path));
    }
}

/* Tokens that figures have to put up with. */
static inline const char *odd_label(Arena *a, int64_t i)
{
    enum { LONG = 200, ODD = 12 };
    static const char *const odd[ODD] = {"",
                                         "\u05E9\u05DC\u05D5\u05DD \u05E2\u05D5\u05DC\u05DD",
                                         "\u0645\u0631\u062D\u0628\u0627",
                                         "\u202E right to left",
                                         "\U0001F469\u200D\U0001F4BB\U0001F600",
                                         "e\u0301o\u0308\u0323",
                                         "\xC3",
                                         "<b>&\"'",
                                         "\n\t ",
                                         "\x01\x7F",
                                         NULL,
                                         NULL};
    if (odd[i % ODD]) return odd[i % ODD];
    Buf b = buf_open(a);
    for (int k = 0; k < LONG; k++) buf_print(&b, i % ODD == 10 ? "w" : "%s", k ? "\u0301" : "a");
    return b.text;
}

#endif
