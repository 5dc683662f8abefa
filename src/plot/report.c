/* The report grows in two buffers, contents list and body, and is written whole when closed.  Figures are put
 * inline with their ids made unique, since every figure names its glyphs alike. */
#include "plot/report.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "base/str.h"
#include "plot/draw.h"
#include "plot/svg.h"

struct Report {
    Arena arena;
    const char *path, *title;
    Buf contents, body;
    int headings, figures;
    bool folded;
    Status status;
};

static const char STYLE[] =
    ":root{color-scheme:light}"
    "body{font:16px/1.55 \"DejaVu Sans\",system-ui,sans-serif;color:#1b1b1b;background:#fff;max-width:52rem;"
    "margin:2rem auto;padding:0 1.2rem}"
    "h1{font-size:1.7rem;line-height:1.25;margin:0 0 1.2rem}h2{font-size:1.25rem;margin:2.4rem 0 .6rem;"
    "border-bottom:1px solid #ccc;padding-bottom:.2rem}h3{font-size:1.05rem;margin:1.6rem 0 .4rem}"
    "p{margin:.6rem 0}nav{font-size:.9rem;background:#f6f6f4;padding:.6rem 1rem;margin-bottom:1.5rem}"
    "nav ol{list-style:none;margin:0;padding:0}nav .l3{padding-left:1.4rem}nav a{color:#0b4f86;text-decoration:none}"
    "nav a:hover{text-decoration:underline}"
    ".verdict{border-left:5px solid;padding:.5rem .9rem;margin:.9rem 0}.verdict b{margin-right:.6rem}"
    ".verdict span{display:block;font-size:.92rem;color:#333}"
    ".holds{border-color:#00704f;background:#eef8f4}.holds b{color:#00604a}"
    ".fails{border-color:#b84300;background:#fdf1ea}.fails b{color:#a03a00}"
    ".inconclusive{border-color:#666;background:#f3f3f3}.inconclusive b{color:#444}"
    "figure{margin:1.2rem 0}figure svg{max-width:100%;height:auto;display:block}"
    "figcaption,caption{font-size:.88rem;color:#333;text-align:left}figcaption{margin-top:.4rem}"
    "caption{margin-bottom:.3rem}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.88rem;margin:1rem 0}"
    "th,td{padding:.22rem .8rem .22rem 0;text-align:left;vertical-align:top}"
    "thead th{border-top:1.5px solid #222;border-bottom:1px solid #222}"
    "tbody tr:last-child td{border-bottom:1.5px solid #222}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1.2rem;font-size:.88rem;margin:1rem 0}"
    "dt{color:#555}dd{margin:0;overflow-wrap:anywhere}"
    "details{margin:1rem 0;font-size:.88rem}summary{cursor:pointer;color:#0b4f86}"
    "pre{background:#f6f6f4;padding:.7rem 1rem;overflow-x:auto;font:13px/1.45 \"DejaVu Sans Mono\",monospace}"
    "@media print{body{font-size:10pt;max-width:none;margin:0}nav{background:none;padding:0}"
    "figure,table,.verdict,dl{break-inside:avoid}h2,h3{break-after:avoid}pre{white-space:pre-wrap}}";

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

static void add_element(Report *r, const char *name, const char *attributes, const char *text)
{
    buf_print(&r->body, "<%s%s>", name, attributes);
    add_text(r, &r->body, text);
    buf_print(&r->body, "</%s>\n", name);
}

void report_heading(Report *r, int level, const char *text)
{
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
    while (*text) {
        const char *end = strstr(text, "\n\n");
        size_t n = end ? (size_t)(end - text) : strlen(text);
        if (n) add_element(r, "p", "", str_copy(&r->arena, text, n));
        text += n;
        while (*text == '\n') text++;
    }
}

void report_verdict(Report *r, ReportVerdict v, const char *claim, const char *sentence)
{
    static const char *const word[] = {"holds", "fails", "inconclusive"};
    static const char *const sign[] = {"\u2713", "\u2717", "?"};
    CHECK((unsigned)v < 3, "verdict %d", (int)v);
    buf_print(&r->body, "<div class=\"verdict %s\"><b>%s %s</b>", word[v], sign[v], word[v]);
    add_text(r, &r->body, claim);
    if (sentence && *sentence) add_element(r, "span", "", sentence);
    buf_print(&r->body, "</div>\n");
}

/* A number, perhaps with a sign, an error, or a unit after it; or a placeholder for one. */
static bool is_numeric(const char *s)
{
    if (!s || !*s || !strcmp(s, "-") || !strcmp(s, "n/a") || !strcasecmp(s, "nan")) return true;
    if (!strncmp(s, "\u2212", 3)) s += 3;
    s += strspn(s, "+-<>\u2248\u2264\u2265 ");
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

void report_table(Report *r, const char *caption, int cols, const char *const *head, int rows,
                  const char *const *cell)
{
    bool *right = NEW(&r->arena, bool, cols + 1);
    buf_print(&r->body, "<div class=\"wide\"><table>");
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
        for (int j = 0; j < cols; j++) add_element(r, "td", right[j] ? " class=\"n\"" : "", cell[i * cols + j]);
        buf_print(&r->body, "</tr>\n");
    }
    buf_print(&r->body, "</tbody></table></div>\n");
}

void report_facts(Report *r, int n, const char *const (*pair)[2])
{
    buf_print(&r->body, "<dl>\n");
    for (int i = 0; i < n; i++) {
        add_element(r, "dt", "", pair[i][0]);
        add_element(r, "dd", "", pair[i][1]);
    }
    buf_print(&r->body, "</dl>\n");
}

/* What an inline drawing must not bring along: scripts, foreign content, and references out of the file. */
static const char *forbidden_in(const char *svg)
{
    static const char *const word[] = {"<script",  "<foreignObject", "javascript:", "href=\"http", "url(http",
                                       "<!ENTITY", " onload",        "<iframe",     "@import"};
    for (size_t i = 0; i < sizeof word / sizeof word[0]; i++)
        if (strcasestr(svg, word[i])) return word[i];
    return NULL;
}

static Status read_figure(Report *r, const char *path, const char **start, size_t *n)
{
    Bytes file;
    TRY(file_read(&file, &r->arena, path));
    *start = strstr(file.text, "<svg");
    if (!*start || strlen(file.text) != file.len) return fail(E_FORMAT, "%s: is not an SVG drawing", path);
    const char *bad = forbidden_in(file.text);
    if (bad) return fail(E_FORMAT, "%s: has %s, which a self-contained report does not take in", path, bad);
    *n = file.len - (size_t)(*start - file.text);
    return OK;
}

void report_figure(Report *r, const char *svg_path, const char *caption)
{
    const char *svg = "";
    size_t n = 0;
    if (r->status) return;
    r->status = read_figure(r, svg_path, &svg, &n);
    if (r->status) return;
    r->figures++;
    buf_print(&r->body, "<figure id=\"fig%d\">\n<svg role=\"img\" aria-label=\"", r->figures);
    add_text(r, &r->body, caption);
    buf_print(&r->body, "\"");
    svg_rename_ids(&r->body, svg + 4, n - 4, str_print(&r->arena, "f%d-", r->figures));
    buf_print(&r->body, "<figcaption><b>Figure %d.</b> ", r->figures);
    add_text(r, &r->body, caption);
    buf_print(&r->body, "</figcaption>\n</figure>\n");
}

void report_details(Report *r, const char *summary, const char *preformatted)
{
    buf_print(&r->body, "<details>");
    add_element(r, "summary", "", summary);
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
    CHECK(!r->folded, "report_fold within report_fold");
    r->folded = true;
    buf_print(&r->body, "<details>");
    add_element(r, "summary", "", summary);
}

void report_unfold(Report *r)
{
    CHECK(r->folded, "report_unfold without report_fold");
    r->folded = false;
    buf_print(&r->body, "</details>\n");
}

Status report_close(Report *r)
{
    Buf out = buf_open(&r->arena);
    buf_print(&out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    add_clean(&out, r->title);
    buf_print(&out, "</title>\n<style>%s</style>\n</head>\n<body>\n<h1>", STYLE);
    add_clean(&out, r->title);
    buf_print(&out, "</h1>\n");
    if (r->headings) buf_print(&out, "<nav aria-label=\"Contents\"><ol>\n%s</ol></nav>\n", r->contents.text);
    buf_add(&out, r->body.text, r->body.len);
    buf_print(&out, "</body>\n</html>\n");
    Status status = r->status ? r->status : file_write(r->path, out.text, out.len);
    Arena arena = r->arena; /* the report itself lives in it */
    arena_close(&arena);
    return status;
}
