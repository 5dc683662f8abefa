/* What is known of the classes of tokenizers. */
#ifndef TEXT_DECLARED_CLASS_H
#define TEXT_DECLARED_CLASS_H

#include "text/declared.h"

Family class_family(Arena *, const char *class_name); /* "BertTokenizerFast"; FAMILY_OTHER when it is not known */
Family class_family_of_model(const char *model_type); /* FAMILY_NONE when it is not known */
const char *class_token(Family, TokenName);           /* the one that the class has when no file names it; NULL */

#endif
