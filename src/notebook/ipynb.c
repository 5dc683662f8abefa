/* nbformat 4.5, written in the layout of Jupyter itself, so that a notebook saved there without changes stays the
 * same bytes: sorted keys, one space of indentation, texts as lists of lines. */
#include <glib.h>
#include <string.h>

#include "io/json.h"
#include "notebook/notebook.h"

static void indent(Buf *b, int depth)
{
    buf_print(b, "\n%*s", depth, "");
}

/* "key": ["line\n", "line"], each line on a line of its own. */
static void add_lines(Buf *b, int depth, const char *key, const char *text)
{
    indent(b, depth);
    buf_print(b, "\"%s\": [", key);
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        n += line[n] == '\n';
        indent(b, depth + 1);
        json_quote_bytes(b, line, n);
        line += n;
        if (*line) buf_print(b, ",");
    }
    if (*text) indent(b, depth);
    buf_print(b, "]");
}

static void add_figure(Buf *b, const Output *o)
{
    gchar *code = g_base64_encode((const guchar *)o->png.text, o->png.len);
    buf_print(b, "{\n     \"data\": {\n      \"image/png\": \"%s\"", code);
    g_free(code);
    buf_print(b, ",");
    add_lines(b, 6, "text/plain", o->text);
    buf_print(b, "\n     },\n     \"metadata\": {},\n     \"output_type\": \"display_data\"\n    }");
}

static void add_stream(Buf *b, const Output *o)
{
    buf_print(b, "{\n     \"name\": \"%s\",\n     \"output_type\": \"stream\",",
              o->kind == OUTPUT_STDERR ? "stderr" : "stdout");
    add_lines(b, 5, "text", o->text);
    buf_print(b, "\n    }");
}

static void add_outputs(Buf *b, const Cell *c)
{
    buf_print(b, "\n   \"outputs\": [");
    for (int i = 0; i < c->outputs; i++) {
        buf_print(b, "%s\n    ", i ? "," : "");
        if (c->output[i].kind == OUTPUT_FIGURE)
            add_figure(b, &c->output[i]);
        else
            add_stream(b, &c->output[i]);
    }
    buf_print(b, "%s],", c->outputs ? "\n   " : "");
}

static void add_cell(Buf *b, Arena *a, const Cell *c)
{
    buf_print(b, "{\n   \"cell_type\": \"%s\",", c->code ? "code" : "markdown");
    if (c->code) buf_print(b, "\n   \"execution_count\": %d,", c->number);
    buf_print(b, "\n   \"id\": \"%s\",\n   \"metadata\": {},", cell_id(a, c));
    if (c->code) add_outputs(b, c);
    add_lines(b, 3, "source", c->source);
    buf_print(b, "\n  }");
}

const char *notebook_json(Arena *a, const Notebook *nb)
{
    Buf b = buf_open(a);
    buf_print(&b, "{\n \"cells\": [");
    for (int i = 0; i < nb->cells; i++) {
        buf_print(&b, "%s\n  ", i ? "," : "");
        add_cell(&b, a, &nb->cell[i]);
    }
    buf_print(&b,
              "\n ],\n \"metadata\": {\n"
              "  \"kernelspec\": {\n   \"display_name\": \"C\",\n   \"language\": \"c\",\n   \"name\": \"c\"\n  },\n"
              "  \"language_info\": {\n   \"file_extension\": \".c\",\n   \"mimetype\": \"text/plain\",\n"
              "   \"name\": \"c\"\n  }\n },\n \"nbformat\": 4,\n \"nbformat_minor\": 5\n}\n");
    return b.text;
}

/* ---- reading */

/* A text of nbformat: one string, or a list of them. */
static const char *joined(Arena *a, const cJSON *text)
{
    Buf b = buf_open(a);
    const cJSON *line;
    if (cJSON_IsString(text)) buf_print(&b, "%s", text->valuestring);
    if (cJSON_IsArray(text)) cJSON_ArrayForEach(line, text)
        {
            if (cJSON_IsString(line)) buf_print(&b, "%s", line->valuestring);
        }
    return b.text;
}

static const cJSON *of(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static void read_output(Output *o, Arena *a, const cJSON *json)
{
    const char *type = json_text_in(json, "output_type"), *name = json_text_in(json, "name");
    const cJSON *data = of(json, "data");
    if (!type || strcmp(type, "display_data")) {
        *o = (Output){.kind = name && !strcmp(name, "stderr") ? OUTPUT_STDERR : OUTPUT_STDOUT,
                      .text = joined(a, of(json, "text"))};
        return;
    }
    gsize n;
    guchar *png = g_base64_decode(joined(a, of(data, "image/png")), &n);
    *o = (Output){.kind = OUTPUT_FIGURE,
                  .text = joined(a, of(data, "text/plain")),
                  .png = {str_copy(a, (const char *)png, n), n}};
    g_free(png);
}

static void read_cell(Cell *c, Arena *a, const cJSON *json, int count[2])
{
    const char *type = json_text_in(json, "cell_type");
    const cJSON *outputs = of(json, "outputs"), *output;
    c->code = type && !strcmp(type, "code");
    c->number = ++count[c->code];
    c->source = joined(a, of(json, "source"));
    c->output = NEW(a, Output, cJSON_GetArraySize(outputs));
    cJSON_ArrayForEach(output, outputs) read_output(&c->output[c->outputs++], a, output);
}

Status notebook_load(Notebook *nb, Arena *a, const char *path)
{
    cJSON *root;
    TRY(json_read(&root, a, path));
    const cJSON *cells = of(root, "cells"), *cell;
    *nb = (Notebook){.path = path, .cell = NEW(a, Cell, cJSON_GetArraySize(cells))};
    int count[2] = {0};
    cJSON_ArrayForEach(cell, cells) read_cell(&nb->cell[nb->cells++], a, cell, count);
    Status status =
        cJSON_IsArray(cells) ? OK : err_fail(E_FORMAT, "%s: no list of cells, which a notebook has", path);
    cJSON_Delete(root);
    return status;
}
