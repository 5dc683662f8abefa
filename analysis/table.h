/* The results, on standard output. */
#ifndef ANALYSIS_TABLE_H
#define ANALYSIS_TABLE_H

#include <cjson/cJSON.h>

#include "analysis/page.h"

void attention_print(const Attention *); /* a line for each head; numbers that no head has are left out */
void attention_json(const Attention *, Arena *, const char *dir, const char **figures);
void json_tokens(cJSON *root, const char *key, const Tokens *);
/* Adds figures, in the first of their formats, and report; prints, deletes. */
void json_done(cJSON *root, Arena *, const char *dir, const char **figures, const char *format);

#endif
