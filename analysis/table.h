/* What was found, on standard output. */
#ifndef ANALYSIS_TABLE_H
#define ANALYSIS_TABLE_H

#include <cjson/cJSON.h>

#include "analysis/page.h"

void attention_print(const Attention *); /* a line for each head; numbers that no head has are left out */
void attention_json(const Attention *, Arena *, const char *dir, const char **figures);
void json_tokens(cJSON *root, const char *key, const Tokens *);
void json_done(cJSON *root, Arena *, const char *dir, const char **figures); /* figures and report; prints, deletes */

#endif
