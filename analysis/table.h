/* The results, on standard output. */
#ifndef ANALYSIS_TABLE_H
#define ANALYSIS_TABLE_H

#include <cjson/cJSON.h>

#include "analysis/page.h"

void attention_print(const PageAttention *); /* a line for each head; numbers that no head has are left out */
void attention_json(const PageAttention *, Arena *, const char *dir, const char **figures);
void table_json_tokens(cJSON *root, const char *key, const Tokens *);
/* Adds figures, in the first of their formats, and report; prints, deletes. */
void table_json_done(cJSON *root, Arena *, const char *dir, const char **figures, const char *format);

#endif
