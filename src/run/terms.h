/* The glossary of reports: terms and abbreviations, each with its meaning in a sentence. */
#ifndef RUN_TERMS_H
#define RUN_TERMS_H

#include "base/str.h"

extern const KeyValue TERMS[]; /* sorted without regard to case, ended by {0}; str_word() finds one in a text */

#endif
