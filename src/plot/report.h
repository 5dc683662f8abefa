/* A report: one HTML file that needs nothing else, no script, no font, no second file; it prints well.
 *
 *     Report *r = report_open("out/report.html", "Limits of prefixes");
 *     report_heading(r, 2, "E1. Three attention maps");
 *     report_verdict(r, VERDICT_SUPPORTED, "A prefix leaves content attention unchanged", "error 3e-16, 20 seeds");
 *     report_figure(r, "runs/e1/figures/attention.svg", "Attention of the probe input.");
 *     TRY(report_close(r));
 *
 * All text is escaped; bytes that are not UTF-8 become U+FFFD, and control and direction characters are
 * shown as \x1B or \u{202E}.  Errors stick to the report and report_close returns the first.  Nothing is kept by
 * reference after a call returns. */
#ifndef PLOT_REPORT_H
#define PLOT_REPORT_H

#define REPORT_MARK "<meta name=\"generator\" content=\"vernier\">" /* of every page, near its beginning */

#include "base/err.h"
#include "base/str.h"
#include "plot/plot.h"

typedef enum { VERDICT_SUPPORTED, VERDICT_NOT_SUPPORTED, VERDICT_INCONCLUSIVE } ReportVerdict;
typedef struct Report Report;

Report *report_open(const char *path, const char *title);
void report_lead(Report *, const char *text); /* a line below the title, such as machine and date */
/* From here on the first use of each term, in paragraphs, verdicts, facts and tables, leads to report_glossary(), and
 * shows its meaning under the pointer.  Ended by {0}; it must outlive the report. */
void report_terms(Report *, const KeyValue *term_and_meaning);
void report_glossary(Report *, const char *heading); /* the terms used so far with their meanings; none: nothing */
void report_heading(Report *, int level, const char *text); /* levels 2 and 3 enter the contents list */
void report_text(Report *, const char *text);               /* a blank line starts a new paragraph */
void report_html(Report *, const char *html);               /* elements that the caller has made and escaped */
/* "Files: results.csv, loss.pdf": texts that lead to paths relative to the page. */
void report_links(Report *, const char *label, int n, const char *const (*text_and_path)[2]);
void report_verdict(Report *, ReportVerdict, const char *claim, const char *sentence);

/* cell[row * cols + col]; columns of numbers are set right, the words of verdicts are highlighted.  NULL cells are
 * empty; caption and head may be NULL. */
void report_table(Report *, const char *caption, int cols, const char *const *head, int rows,
                  const char *const *cell);
void report_facts(Report *, int n, const char *const (*pair)[2]);        /* name and value: machine, time, seed */
void report_figure(Report *, const char *svg_path, const char *caption); /* small ones side by side */
/* The same of a figure just drawn, whatever formats it is written in; closes it.  Its error, which sticks as well. */
Status report_drawn(Report *, Fig *, const char *caption);
/* From here on a figure drawn that would make the page larger than that is a link to its file, the first of its
 * formats; its caption states this. */
void report_limit(Report *, size_t bytes);
void report_details(Report *, const char *summary, const char *preformatted); /* folded until the reader opens it */
void report_fold(Report *, const char *summary); /* the blocks up to report_unfold are folded */
void report_unfold(Report *);
Status report_close(Report *); /* E_IO; E_FORMAT: a figure that is not a plain SVG */

#endif
