/* Tables of the terminal and JSON that more than one answer of `vernier attend` prints. */
#include "analysis/table.h"

#include <math.h>
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "io/json.h"

static void print_number(double v, int width)
{
    if (isfinite(v))
        print_out("%*.3f", width, v);
    else
        print_out("%*s", width, "-");
}

static int width(int k)
{
    int n = (int)strlen(STAT[k].brief);
    return 2 + (n > 5 ? n : 5);
}

void attention_print(const PageAttention *x)
{
    bool has[STATS];
    attention_columns(has, x);
    if (x->by) print_out("rows are %ss: queries averaged, keys added up\n", BY_ONE[x->by]);
    if (x->without_prefix) print_out("without the prefix, each row renormalised\n");
    print_out("layer  head");
    for (int k = 0; k < STATS; k++)
        if (has[k]) print_out("%*s", width(k), STAT[k].brief);
    print_out("%s\n", x->base ? "  shift  base_entropy  base_distance  base_first" : "");
    for (int i = 0; i < x->layers * x->heads; i++) {
        const HeadRow *r = &x->row[i];
        print_out("%5d", r->layer);
        if (r->head == HEAD_MEAN)
            print_out("  %4s", "mean");
        else
            print_out("  %4d", r->head);
        for (int k = 0; k < STATS; k++)
            if (has[k]) print_number(stat_of(&r->stats, k), width(k));
        if (x->base) {
            print_number(r->shift, 7);
            print_number(r->before.entropy, 14);
            print_number(r->before.distance, 15);
            print_number(r->before.first, 12);
        }
        print_out("\n");
    }
}

static void add_stats(cJSON *o, const bool has[STATS], const HeadStats *s)
{
    for (int k = 0; k < STATS; k++) /* cJSON writes NaN and infinity as null */
        if (has[k]) cJSON_AddNumberToObject(o, STAT[k].name, stat_of(s, k));
}

void table_json_tokens(cJSON *root, const char *key, const Tokens *t)
{
    cJSON *list = cJSON_AddArrayToObject(root, key);
    for (int64_t i = 0; i < t->n; i++) {
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "id", t->id[i]);
        cJSON_AddStringToObject(one, "token", t->piece[i]);
        cJSON_AddItemToArray(list, one);
    }
}

void table_json_done(cJSON *root, Arena *a, const char *dir, const char **figures, const char *format)
{
    const char *first = format ? str_copy(a, format, strcspn(format, ",")) : "svg";
    cJSON *list = cJSON_AddArrayToObject(root, "figures");
    for (; *figures; figures++) cJSON_AddItemToArray(list, cJSON_CreateString(figure_path(a, dir, *figures, first)));
    cJSON_AddStringToObject(root, "report", str_print(a, "%s/report.html", dir));
    json_print(root);
    cJSON_Delete(root);
}

static void add_labels(cJSON *root, const char *key, const char *const *label, int64_t n)
{
    cJSON *list = cJSON_AddArrayToObject(root, key);
    for (int64_t i = 0; i < n; i++) cJSON_AddItemToArray(list, cJSON_CreateString(label[i]));
}

/* Prints the statistics of all heads as JSON, with the base's where there is one. */
void attention_json(const PageAttention *x, Arena *a, const char *dir, const char **figures)
{
    cJSON *root = cJSON_CreateObject();
    bool has[STATS];
    attention_columns(has, x);
    cJSON_AddStringToObject(root, "model", x->model);
    if (x->base) cJSON_AddStringToObject(root, "base", x->base);
    cJSON_AddStringToObject(root, "architecture", x->arch);
    cJSON_AddStringToObject(root, "part", part_name(x->maps.part));
    table_json_tokens(root, "tokens", &x->tokens);
    if (x->maps.part == PART_CROSS) table_json_tokens(root, "source", &x->source);
    cJSON_AddStringToObject(root, "rows", page_rows_name(x, a));
    if (x->by) add_labels(root, "queries", x->labels.row, x->maps.t);
    if (x->by) add_labels(root, "keys", x->labels.col, x->maps.s);
    cJSON *heads = cJSON_AddArrayToObject(root, "heads");
    for (int i = 0; i < x->layers * x->heads; i++) {
        const HeadRow *r = &x->row[i];
        cJSON *one = cJSON_CreateObject();
        cJSON_AddNumberToObject(one, "layer", r->layer);
        if (r->head == HEAD_MEAN)
            cJSON_AddStringToObject(one, "head", "mean");
        else
            cJSON_AddNumberToObject(one, "head", r->head);
        add_stats(one, has, &r->stats);
        if (x->base) {
            cJSON_AddNumberToObject(one, "shift", r->shift);
            add_stats(cJSON_AddObjectToObject(one, "base"), has, &r->before);
        }
        cJSON_AddItemToArray(heads, one);
    }
    table_json_done(root, a, dir, figures, x->format);
}
