/* Rows of the token table that train, shared by LoRA and the method `tokens`.  A head that is tied to the table
 * follows it.  The parameter is peft.METHOD.TABLE.rows (N,C), and starts at the base's rows. */
#ifndef PEFT_TOKEN_ROWS_H
#define PEFT_TOKEN_ROWS_H

#include "peft/peft.h"

const Linear *token_rows_table(const Model *);                   /* the table that tokens are looked up in */
int token_rows_n(const PeftConfig *);                            /* rows that cfg->tokens names; 0 where it is NULL */
const char *token_rows_text(Arena *, const int32_t *row, int n); /* such a list */
Status token_rows_check(const Model *, const PeftConfig *, const char *method);
Status token_rows_attach(Model *, Hooks *, const PeftConfig *, const char *method); /* nothing where there are none */
Param *token_rows_param(const Model *, const char *method);
int64_t token_rows_count(const Model *, const PeftConfig *);
/* Trained rows and the base's change places: once to merge, once more to unmerge. */
void token_rows_swap(Model *, const PeftConfig *, const char *method, bool merge);

#endif
