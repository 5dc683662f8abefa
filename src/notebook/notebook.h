/* Notebooks in C.  The source is a file in percent format, which editors and jupytext know:
 *
 *     // %% [markdown]
 *     // # One virtual token
 *     // Text in Markdown, line by line behind the slashes.
 *     // %%
 *     //%cflags: -std=c17 @cflags
 *     //%ldflags: @ldflags
 *     #include <stdio.h>
 *     int main(void) { ... }
 *
 * Each code cell is a whole program, as jupyter-c-kernel has it: it is compiled with the words of its flag lines and
 * runs in the notebook's folder.  Cells share files below that folder and nothing else.  A line of output
 *
 *     Figure run/token/loss.png: Loss against steps.
 *
 * puts that picture behind it.  A first line of output that begins with "skipped:" says that the cell lacks something
 * that another machine may have; such an output is not compared. */
#ifndef NOTEBOOK_NOTEBOOK_H
#define NOTEBOOK_NOTEBOOK_H

#include <stdbool.h>

#include "base/file.h"

typedef enum { OUTPUT_STDOUT, OUTPUT_STDERR, OUTPUT_FIGURE } OutputKind;
typedef struct {
    OutputKind kind;
    const char *text; /* of a figure: its caption */
    const char *path; /* of a figure, within the folder */
    Bytes png;
} Output;

typedef struct {
    bool code;
    int number;         /* among cells of its kind, from 1 */
    int line;           /* of the file, where its source begins */
    const char *source; /* C, or Markdown; without a newline at the end */
    Output *output;
    int outputs;
} Cell;

typedef struct {
    const char *path, *name, *title; /* "notebooks-c/01-tensor.c", "01-tensor", the first heading */
    Cell *cell;
    int cells;
} Notebook;

Status notebook_read(Notebook *, Arena *, const char *path); /* E_FORMAT names the line */
const char *cell_id(Arena *, const Cell *);                  /* "text-1", "code-2" */
/* Compiles and runs the code cells in the folder, which exists, in their order.  E_NUMERIC: one does not compile or
 * fails; the message has its line and the first line of its errors. */
Status notebook_run(Notebook *, Arena *, const char *folder);
/* nbformat 4.5 in the layout of Jupyter itself: keys sorted, one space of indentation. */
const char *notebook_json(Arena *, const Notebook *);
Status notebook_load(Notebook *, Arena *, const char *path); /* of such a file; its cells have no line */
/* A page that needs nothing else.  Figures come from the SVG beside each PNG in the folder. */
Status notebook_page(const Notebook *, Arena *, const char *folder, const char *path);
/* E_NUMERIC: `stored` differs from the new run.  The words of outputs are equal; numbers with a
 * decimal point or an exponent may differ by one unit of their last digit, since processors round differently. */
Status notebook_compare(const Notebook *now, const Notebook *stored, Arena *);
bool output_agrees(Arena *, const char *a, const char *b, const char *differs[2]); /* the first words that do */
/* HTML of a Markdown text: headings, paragraphs, lists, code, tables, emphasis, links; all else is escaped. */
const char *markdown_html(Arena *, const char *text);
const char *code_html(Arena *, const char *c); /* with classes for keywords, strings, numbers and comments */

#endif
