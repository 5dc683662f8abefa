/* The results of `vernier attend`, for a table, JSON and a page. */
#ifndef ANALYSIS_PAGE_H
#define ANALYSIS_PAGE_H

#include "analysis/draw.h"
#include "analysis/groups.h"
#include "analysis/maps.h"

typedef struct { /* one head of one layer; head HEAD_MEAN: the mean over heads */
    int layer, head;
    Tensor map, base; /* (T,S); base: of the model compared with, or data NULL */
    HeadStats stats, before;
    double shift; /* between base and map */
} HeadRow;

typedef struct {
    const char *model, *base, *arch; /* directories; base NULL: none */
    Maps maps;
    MapLabels labels;
    By by;                 /* the unit of a row and a column of the maps; they have labels */
    bool without_prefix;   /* its columns were removed, and each row renormalised */
    Tokens tokens, source; /* source.n 0: none */
    int *layer, *head;     /* the chosen ones */
    int layers, heads;
    const char *format;              /* of the figures: a list that fig_formats() takes; NULL: all */
    size_t most;                     /* bytes of the page beyond which maps are in their files alone; 0: 20 MB */
    double limit;                    /* where the colour scale of the maps ends; 0: as the maps need */
    HeadRow *row;                    /* (layers * heads), by layer */
    int number;                      /* a metric of HeadStats to draw by itself, -1: none */
    Tensor rollout, flow, relevance; /* (T,T) each, or data NULL */
} PageAttention;

void attention_columns(bool has[STATS], const PageAttention *); /* the numbers that some head has */

/* Figures below DIR/figures, maps.safetensors, heads.csv and report.html.  *figures: their names, NULL-ended. */
Status attention_write(const PageAttention *, Arena *, const char *dir, const char ***figures);

const char *page_rows_name(const PageAttention *, Arena *); /* "lines", "lines without prefix" */
const char *page_path_name(Arena *, const char *path);      /* its last name, for titles */

#endif
