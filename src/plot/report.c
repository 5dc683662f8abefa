/* The report grows in two buffers, contents list and body, and is written whole when closed.  Figures are put
 * inline with their ids made unique, since every figure names its glyphs alike. */
#include "plot/report.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/str.h"
#include "plot/draw.h"
#include "plot/svg.h"

struct Report {
    Arena arena;
    const char *path, *title, *lead;
    Buf contents, body;
    size_t most; /* bytes of the body with another figure; 0: any number */
    int headings, figures;
    bool folded, in_figures;
    const KeyValue *term; /* (terms) */
    int terms;
    bool *used;
    Status status;
};

/* Screen: the contents are next to the text where there is room for both.  Figures are shown a fifth larger than on
 * paper, where their text is 7 points; two of a column's width are side by side.  On a phone they keep a size that
 * can be read, as do columns of sentences, and scroll.  A shade at its edge shows that a table continues. */
static const char STYLE[] =
    ":root{color-scheme:light;--ink:#1c1e21;--soft:#5b6066;--rule:#d9dcdf;--tint:#f6f7f8;--link:#0b4f86}"
    "*{box-sizing:border-box}html{scroll-padding-top:1rem;-webkit-text-size-adjust:100%}"
    "body{font:16px/1.6 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto Sans\",\"DejaVu Sans\",sans-serif;"
    "color:var(--ink);background:#fff;margin:0 auto;padding:2.5rem 1.5rem 4rem;max-width:55rem}"
    "h1{font-size:1.9rem;line-height:1.2;letter-spacing:-.01em;margin:0;overflow-wrap:anywhere}"
    "a.term{color:inherit;text-decoration:underline dotted;text-underline-offset:.15em}"
    "header p{color:var(--soft);margin:.4rem 0 0}header{padding-bottom:1.2rem;border-bottom:2px solid var(--ink)}"
    "h2{font-size:1.35rem;line-height:1.3;margin:3.2rem 0 .8rem}h3{font-size:1.08rem;margin:2rem 0 .4rem}"
    "main>h2:first-child{margin-top:1.6rem}p{margin:.7rem 0}a{color:var(--link)}"
    "nav{font-size:.88rem;line-height:1.4;margin:1.2rem 0 0}nav "
    "ol{list-style:none;margin:0;padding:0}"
    "nav li{margin:.35rem 0}nav .l3{padding-left:1rem}nav a{text-decoration:none}nav "
    "a:hover{text-decoration:underline}"
    "@media(min-width:78rem){body{max-width:76rem;display:grid;grid-template-columns:15rem minmax(0,52rem);"
    "column-gap:3.5rem}header{grid-column:1/-1}nav{position:sticky;top:1.5rem;align-self:start;max-height:95vh;"
    "overflow-y:auto;padding-top:1.2rem;margin:0}}"
    ".verdict{border:1px solid var(--rule);border-left:6px solid;border-radius:4px;padding:.8rem 1.1rem;margin:1rem "
    "0}"
    ".verdict b{display:inline-block;font-size:.78rem;line-height:1;letter-spacing:.05em;text-transform:uppercase;"
    "color:#fff;border-radius:3px;padding:.32rem .5rem;margin-right:.7rem;vertical-align:.12em}"
    ".verdict span{display:block;margin-top:.4rem;font-size:.94rem;color:var(--soft)}"
    ".good{border-left-color:#00704f;background:#f2f9f6}.good b{background:#00704f}"
    ".bad{border-left-color:#b84300;background:#fdf4ee}.bad b{background:#b84300}"
    ".inconclusive{border-left-color:#6b7076;background:var(--tint)}.inconclusive b{background:#5b6066}"
    "td.v{font-weight:600;white-space:nowrap}td.good{color:#00604a}td.bad{color:#a03a00}td.open{color:var(--soft)}"
    ".figures{display:flex;flex-wrap:wrap;gap:1.4rem 1.6rem;margin:1.6rem 0}" /* words: ok, CSS */
    "figure{margin:0;width:calc(var(--w)*1.6px);max-width:100%}figure svg{width:100%;height:auto;display:block}"
    "figcaption,caption{font-size:.86rem;line-height:1.45;color:var(--soft);text-align:left}"
    "figcaption{margin-top:.5rem;max-width:44rem}figcaption b{color:var(--ink)}caption{padding-bottom:.4rem}"
    ".wide{overflow-x:auto;margin:1.2rem 0;background:linear-gradient(to left,#fff 40%,#fff0) 100%/3rem 100% "
    "no-repeat local,"
    "linear-gradient(to left,#0003,#0000) 100% 0/.9rem calc(100% - 2px) no-repeat}"
    "table{border-collapse:collapse;font-size:.88rem;line-height:1.4}"
    "th,td{padding:.3rem 1.4rem .3rem "
    "0;text-align:left;vertical-align:top}th:last-child,td:last-child{padding-right:0}"
    "td:first-child{white-space:nowrap}thead th{border-bottom:1.5px solid "
    "var(--ink);font-weight:600;vertical-align:bottom}"
    "tbody td{border-bottom:1px solid var(--rule)}"
    ".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}.i,th.n{white-space:normal}"
    ".i span{white-space:nowrap}.many{font-size:.8rem}.many th,.many td{padding-right:.7rem}"
    "dl{display:grid;grid-template-columns:minmax(6rem,max-content) 1fr;gap:.3rem " /* words: ok, CSS */
    "1.4rem;font-size:.92rem;margin:1.1rem 0}"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}"
    "details{margin:.8rem 0;font-size:.92rem}details .wide,details dl{margin:.5rem 0 1rem}"
    "summary{cursor:pointer;color:var(--link);width:max-content;max-width:100%}"
    "pre{background:var(--tint);border-radius:4px;padding:.8rem 1rem;overflow-x:auto;"
    "font:12.5px/1.5 ui-monospace,\"DejaVu Sans Mono\",Consolas,monospace}"
    "td.t{min-width:15rem;white-space:normal}@media screen and (max-width:40rem){th,td{padding-right:.8rem}"
    "td:first-child{white-space:normal}dl{display:block}dd{margin:0 0 .5rem}"
    "figure{overflow-x:auto}figure svg{min-width:calc(var(--w)*1.2px)}figcaption{position:sticky;left:0}}";
static const char CODE[] =
    ".code .kw{color:#0b4f86}.code .st{color:#8a3b12}.code .nu{color:#6a3d9a}.code .co{color:#5b6066}"
    ".result{background:none;border-left:3px solid var(--rule);border-radius:0;margin-top:-.4rem}"
    "code{background:var(--tint);font:.88em ui-monospace,\"DejaVu Sans Mono\",Consolas,monospace;padding:0 .15em}";
static const char PRINT[] =
    "@page{margin:16mm 14mm}@media print{body{font-size:10pt;line-height:1.45;max-width:none;padding:0;display:block}"
    "nav{position:static;max-height:none}h1{font-size:18pt}h2{font-size:13pt;margin-top:8mm}"
    ".figures{gap:8pt}figure{width:calc(var(--w)*1pt)}figure,tr,.verdict,dl{break-inside:avoid}h2,h3{break-after:"
    "avoid}"
    "details:not([open]){display:none}pre{white-space:pre-wrap}.wide{overflow:visible}"
    ".verdict,.verdict b{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

Report *report_open(const char *path, const char *title)
{
    Arena arena = arena_open((size_t)1 << 33);
    Report *r = NEW(&arena, Report, 1);
    r->arena = arena;
    r->path = str_copy(&r->arena, path, strlen(path));
    r->title = text_clean(&r->arena, title);
    r->contents = buf_open(&r->arena);
    r->body = buf_open(&r->arena);
    return r;
}

void report_lead(Report *r, const char *text)
{
    r->lead = text_clean(&r->arena, text);
}

/* Adds text that HTML will read as text, in an element or in a quoted attribute. */
static void add_clean(Buf *out, const char *clean)
{
    for (const char *s = clean; *s; s++) {
        const char *entity = *s == '&'   ? "&amp;"
                             : *s == '<' ? "&lt;"
                             : *s == '>' ? "&gt;"
                             : *s == '"' ? "&quot;"
                                         : NULL;
        if (entity)
            buf_print(out, "%s", entity);
        else
            buf_add(out, s, 1);
    }
}

static void add_text(Report *r, Buf *out, const char *text)
{
    add_clean(out, text_clean(&r->arena, text));
}

/* The first use of each term leads to the glossary.  Of terms at the same place the longest counts. */
static void add_marked(Report *r, const char *text)
{
    text = text_clean(&r->arena, text);
    while (*text) {
        const char *first = NULL;
        int which = 0;
        for (int i = 0; i < r->terms; i++) {
            const char *at = r->used[i] ? NULL : str_word(text, r->term[i].key);
            const bool longer = at && at == first && strlen(r->term[i].key) > strlen(r->term[which].key);
            if (at && (!first || at < first || longer)) first = at, which = i;
        }
        if (!first) break;
        const size_t before = (size_t)(first - text), word = strlen(r->term[which].key);
        const size_t n = word + (first[word] == 's'); /* the plural */
        add_clean(&r->body, str_copy(&r->arena, text, before));
        buf_print(&r->body, "<a class=\"term\" href=\"#term%d\" title=\"", which);
        add_text(r, &r->body, r->term[which].value);
        buf_print(&r->body, "\">");
        add_clean(&r->body, str_copy(&r->arena, first, n));
        buf_print(&r->body, "</a>");
        r->used[which] = true;
        text = first + n;
    }
    add_clean(&r->body, text);
}

/* Figures that follow one another share a row while they fit; anything else ends the row. */
static void set_in_figures(Report *r, bool on)
{
    if (on != r->in_figures) buf_print(&r->body, on ? "<div class=\"figures\">\n" : "</div>\n");
    r->in_figures = on;
}

static void add_plain(Report *r, const char *name, const char *text)
{
    buf_print(&r->body, "<%s>", name);
    add_text(r, &r->body, text);
    buf_print(&r->body, "</%s>\n", name);
}

static void add_element(Report *r, const char *name, const char *attributes, const char *text)
{
    buf_print(&r->body, "<%s%s>", name, attributes);
    add_marked(r, text);
    buf_print(&r->body, "</%s>\n", name);
}

void report_terms(Report *r, const KeyValue *term)
{
    r->term = term;
    for (r->terms = 0; term[r->terms].key;) r->terms++;
    r->used = NEW(&r->arena, bool, r->terms + 1);
}

void report_glossary(Report *r, const char *heading)
{
    bool any = false;
    for (int i = 0; i < r->terms; i++) any |= r->used[i];
    if (!any) return;
    report_heading(r, 2, heading);
    buf_print(&r->body, "<dl>\n");
    for (int i = 0; i < r->terms; i++) {
        if (!r->used[i]) continue;
        buf_print(&r->body, "<dt id=\"term%d\">", i);
        add_text(r, &r->body, r->term[i].key);
        buf_print(&r->body, "</dt>\n<dd>");
        add_text(r, &r->body, r->term[i].value);
        buf_print(&r->body, "</dd>\n");
    }
    buf_print(&r->body, "</dl>\n");
}

void report_heading(Report *r, int level, const char *text)
{
    set_in_figures(r, false);
    CHECK(level == 2 || level == 3, "headings have level 2 or 3, not %d; the title is level 1", level);
    int id = ++r->headings;
    buf_print(&r->contents, "<li class=\"l%d\"><a href=\"#h%d\">", level, id);
    add_text(r, &r->contents, text);
    buf_print(&r->contents, "</a></li>\n");
    buf_print(&r->body, "<h%d id=\"h%d\">", level, id);
    add_text(r, &r->body, text);
    buf_print(&r->body, "</h%d>\n", level);
}

void report_text(Report *r, const char *text)
{
    set_in_figures(r, false);
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t n = end ? (size_t)(end - text) : strlen(text);
        if (n) add_element(r, "p", "", str_copy(&r->arena, text, n));
        text += n;
        while (*text == '\n') text++;
    }
}

/* A path as part of an address: all but plain characters in hexadecimal. */
static void add_address(Buf *b, const char *path)
{
    for (; *path; path++)
        buf_print(b, isalnum((unsigned char)*path) || strchr("/._-", *path) ? "%c" : "%%%02X", (unsigned char)*path);
}

void report_links(Report *r, const char *label, int n, const char *const (*link)[2])
{
    set_in_figures(r, false);
    buf_print(&r->body, "<p>");
    add_text(r, &r->body, label);
    for (int i = 0; i < n; i++) {
        buf_print(&r->body, "%s<a href=\"", i ? ", " : ": ");
        add_address(&r->body, link[i][1]);
        buf_print(&r->body, "\">");
        add_text(r, &r->body, link[i][0]);
        buf_print(&r->body, "</a>");
    }
    buf_print(&r->body, "</p>\n");
}

void report_html(Report *r, const char *html)
{
    set_in_figures(r, false);
    buf_print(&r->body, "%s", html);
}

void report_verdict(Report *r, ReportVerdict v, const char *claim, const char *sentence)
{
    static const char *const word[] = {"supported", "not supported", "inconclusive"};
    static const char *const sign[] = {"\u2713", "\u2717", "?"}, *const colour[] = {"good", "bad", "inconclusive"};
    CHECK((unsigned)v < 3, "verdict %d", (int)v);
    set_in_figures(r, false);
    buf_print(&r->body, "<div class=\"verdict %s\"><b>%s %s</b>", colour[v], sign[v], word[v]);
    add_marked(r, claim);
    if (sentence && *sentence) add_element(r, "span", "", sentence);
    buf_print(&r->body, "</div>\n");
}

/* A number, perhaps with a sign, an error, or a unit after it; or a placeholder for one. */
static bool is_numeric(const char *s)
{
    if (!s || !*s || !strcmp(s, "-") || !strcmp(s, "n/a") || !strcasecmp(s, "nan")) return true;
    s += strspn(s, "[+-<>\u2248\u2264\u2265\u2212 ");
    return isdigit((unsigned char)*s) || (*s == '.' && isdigit((unsigned char)s[1]));
}

static bool is_column_of_numbers(int j, int cols, int rows, const char *const *cell)
{
    bool any = false;
    for (int i = 0; i < rows; i++) {
        const char *s = cell[i * cols + j];
        if (!is_numeric(s)) return false;
        any |= s && *s;
    }
    return any;
}

/* Words of a verdict stand out, so that a table of many can be scanned; sentences are given room. */
static const char *cell_class(const char *text, bool right)
{
    static const struct {
        const char *word, *attribute;
    } known[] = {{"supported", " class=\"v good\""},
                 {"not supported", " class=\"v bad\""},
                 {"failed", " class=\"v bad\""},
                 {"inconclusive", " class=\"v open\""},
                 {"interrupted", " class=\"v open\""}};
    for (size_t i = 0; text && i < sizeof known / sizeof *known; i++)
        if (!strcmp(text, known[i].word)) return known[i].attribute;
    if (right) return strstr(text ? text : "", " [") ? " class=\"n i\"" : " class=\"n\"";
    return text && strlen(text) > 40 ? " class=\"t\"" : "";
}

/* An interval behind a number may go below it, but is not broken itself. */
static void add_cell(Report *r, const char *text, bool right)
{
    const char *interval = right && text ? strstr(text, " [") : NULL;
    if (!interval) {
        add_element(r, "td", cell_class(text, right), text);
        return;
    }
    buf_print(&r->body, "<td%s>", cell_class(text, right));
    add_text(r, &r->body, str_copy(&r->arena, text, (size_t)(interval + 1 - text)));
    buf_print(&r->body, "<span>");
    add_text(r, &r->body, interval + 1);
    buf_print(&r->body, "</span></td>\n");
}

void report_table(Report *r, const char *caption, int cols, const char *const *head, int rows,
                  const char *const *cell)
{
    bool *right = NEW(&r->arena, bool, cols + 1);
    set_in_figures(r, false);
    buf_print(&r->body, "<div class=\"wide\"><table%s>", cols > 9 ? " class=\"many\"" : "");
    if (caption) add_element(r, "caption", "", caption);
    for (int j = 0; j < cols; j++) right[j] = is_column_of_numbers(j, cols, rows, cell);
    if (head) {
        buf_print(&r->body, "<thead><tr>");
        for (int j = 0; j < cols; j++) add_element(r, "th", right[j] ? " class=\"n\"" : "", head[j]);
        buf_print(&r->body, "</tr></thead>");
    }
    buf_print(&r->body, "<tbody>\n");
    for (int i = 0; i < rows; i++) {
        buf_print(&r->body, "<tr>");
        for (int j = 0; j < cols; j++) add_cell(r, cell[i * cols + j], right[j]);
        buf_print(&r->body, "</tr>\n");
    }
    buf_print(&r->body, "</tbody></table></div>\n");
}

void report_facts(Report *r, int n, const char *const (*pair)[2])
{
    set_in_figures(r, false);
    buf_print(&r->body, "<dl>\n");
    for (int i = 0; i < n; i++) {
        add_element(r, "dt", "", pair[i][0]);
        add_element(r, "dd", "", pair[i][1]);
    }
    buf_print(&r->body, "</dl>\n");
}

/* An inline drawing must not contain scripts, foreign content, or references out of the file. */
static const char *forbidden_in(const char *svg)
{
    static const char *const word[] = {"<script",  "<foreignObject", "javascript:", "href=\"http", "url(http",
                                       "<!ENTITY", " onload",        "<iframe",     "@import"};
    for (size_t i = 0; i < sizeof word / sizeof word[0]; i++)
        if (strcasestr(svg, word[i])) return word[i];
    return NULL;
}

/* In points, as given in the first tag of the drawing. */
static double width_of(const char *svg)
{
    enum { USUAL = 500 };
    const char *end = strchr(svg, '>'), *at = strstr(svg, " width=\"");
    double w = at && at < end ? strtod(at + 8, NULL) : 0;
    return w > 0 && w < 1e5 ? w : USUAL;
}

static Status read_figure(Report *r, const char *path, const char **start, size_t *n)
{
    Bytes file;
    TRY(file_read(&file, &r->arena, path));
    *start = strstr(file.text, "<svg");
    if (!*start || strlen(file.text) != file.len) return err_fail(E_FORMAT, "%s: is not an SVG drawing", path);
    const char *bad = forbidden_in(file.text);
    if (bad) return err_fail(E_FORMAT, "%s: has %s, which a self-contained report does not take in", path, bad);
    *n = file.len - (size_t)(*start - file.text);
    return OK;
}

static void add_figure(Report *r, const char *svg, size_t n, const char *caption)
{
    r->figures++;
    set_in_figures(r, true);
    buf_print(&r->body, "<figure id=\"fig%d\" style=\"--w:%.0f\">\n<svg role=\"img\" aria-label=\"", r->figures,
              width_of(svg));
    add_text(r, &r->body, caption);
    buf_print(&r->body, "\"");
    svg_rename_ids(&r->body, svg + 4, n - 4, str_print(&r->arena, "f%d-", r->figures));
    buf_print(&r->body, "<figcaption><b>Figure %d.</b> ", r->figures);
    add_text(r, &r->body, caption);
    buf_print(&r->body, "</figcaption>\n</figure>\n");
}

void report_figure(Report *r, const char *svg_path, const char *caption)
{
    const char *svg = "";
    size_t n = 0;
    if (r->status) return;
    r->status = read_figure(r, svg_path, &svg, &n);
    if (!r->status) add_figure(r, svg, n, caption);
}

void report_limit(Report *r, size_t bytes)
{
    r->most = bytes;
}

/* A link to a figure's file, from the page where that is below the page's folder. */
static void add_link(Report *r, const Fig *f, const char *caption)
{
    const char *slash = strrchr(r->path, '/'), *file = NULL;
    size_t folder = slash ? (size_t)(slash + 1 - r->path) : 0;
    for (int k = 0; k < FORMATS && !file; k++) file = fig_file(f, &r->arena, k);
    if (!strncmp(file, r->path, folder)) file += folder;
    r->figures++;
    set_in_figures(r, false);
    buf_print(&r->body, "<p id=\"fig%d\"><b>Figure %d.</b> ", r->figures, r->figures);
    add_text(r, &r->body, caption);
    buf_print(&r->body, " Not on this page, which it would make larger than %.3g MB: <a href=\"",
              1e-6 * (double)r->most);
    add_text(r, &r->body, file);
    buf_print(&r->body, "\">");
    add_text(r, &r->body, file);
    buf_print(&r->body, "</a>.</p>\n");
}

Status report_drawn(Report *r, Fig *f, const char *caption)
{
    if (!r->status && fig_render(f, FORMAT_SVG)) {
        const Buf *b = &f->bytes[FORMAT_SVG];
        const char *svg = strstr(b->text, "<svg");
        size_t n = b->len - (size_t)(svg - b->text);
        if (r->most && r->body.len + n > r->most)
            add_link(r, f, caption);
        else
            add_figure(r, svg, n, caption);
    }
    Status closed = fig_close(f);
    if (!r->status) r->status = closed;
    return closed;
}

void report_details(Report *r, const char *summary, const char *preformatted)
{
    set_in_figures(r, false);
    buf_print(&r->body, "<details>");
    add_plain(r, "summary", summary);
    buf_print(&r->body, "<pre>");
    while (*preformatted) { /* line by line: cleaning would turn the line ends into blanks */
        size_t n = strcspn(preformatted, "\n");
        add_text(r, &r->body, str_copy(&r->arena, preformatted, n));
        buf_add(&r->body, "\n", 1);
        preformatted += n + (preformatted[n] == '\n');
    }
    buf_print(&r->body, "</pre></details>\n");
}

void report_fold(Report *r, const char *summary)
{
    set_in_figures(r, false);
    CHECK(!r->folded, "report_fold within report_fold");
    r->folded = true;
    buf_print(&r->body, "<details>");
    add_plain(r, "summary", summary);
}

void report_unfold(Report *r)
{
    set_in_figures(r, false);
    CHECK(r->folded, "report_unfold without report_fold");
    r->folded = false;
    buf_print(&r->body, "</details>\n");
}

Status report_close(Report *r)
{
    set_in_figures(r, false);
    Buf out = buf_open(&r->arena);
    buf_print(&out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" REPORT_MARK "\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    add_clean(&out, r->title);
    buf_print(&out, "</title>\n<style>%s%s%s</style>\n</head>\n<body>\n<header>\n<h1>", STYLE, CODE, PRINT);
    add_clean(&out, r->title);
    buf_print(&out, "</h1>\n");
    if (r->lead) {
        buf_print(&out, "<p>");
        add_clean(&out, r->lead);
        buf_print(&out, "</p>\n");
    }
    buf_print(&out, "</header>\n");
    if (r->headings) buf_print(&out, "<nav aria-label=\"Contents\"><ol>\n%s</ol></nav>\n", r->contents.text);
    buf_print(&out, "<main>\n");
    buf_add(&out, r->body.text, r->body.len);
    buf_print(&out, "</main>\n</body>\n</html>\n");
    Status status = r->status ? r->status : file_write(r->path, out.text, out.len);
    Arena arena = r->arena; /* the report itself lives in it */
    arena_close(&arena);
    return status;
}
