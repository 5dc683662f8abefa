/* Shared by the readers of tokenizer files: JSON objects, refusals that name field and value, and the parts of a
 * tokenizer.json that do not depend on its model.  Children of a JSON object are visited in order, never looked up by
 * name in a loop: cJSON's lookup is linear and a vocabulary has 50,000 entries. */
#ifndef TEXT_DOCUMENT_H
#define TEXT_DOCUMENT_H

#include <cjson/cJSON.h>

#include "base/file.h"
#include "text/frame.h"
#include "text/pattern.h"
#include "text/special.h"

Status document_bytes(Bytes *out, Arena *, const char *path);           /* E_FORMAT: larger than any tokenizer file */
Status document_read(cJSON **out, Arena *, const char *path);           /* one JSON object; the caller deletes it */
const cJSON *document_member(const cJSON *object, const char *key);     /* NULL when absent or null */
const char *document_member_text(const cJSON *object, const char *key); /* "" when absent or no string */
bool document_member_true(const cJSON *object, const char *key);
bool document_unless_false(const cJSON *object, const char *key); /* true when absent, too */
bool document_is_id(const cJSON *);                               /* a whole number from 0 to MOST_IDS - 1 */
const char *document_shown(const char *); /* text for a message, short and printable; two live at a time */
/* E_FORMAT: "path: field is value, expected ...", the value as the file spells it ("absent" when NULL). */
Status document_refuse(const char *path, const char *field, const cJSON *value, const char *expected);

bool document_split_pair(char *line,
                         char **right); /* "left right" at its one space; false: none, two, or an empty side */
bool document_merge_sides(cJSON *merge, const char **left,
                          const char **right); /* "left right" or ["left", "right"] */

enum { DOCUMENT_DEPTH = 8 }; /* of Sequences within Sequences */
/* The member "pattern": {"String": text} or {"Regex": expression}. */
Status document_pattern(Pattern *, Arena *, const cJSON *object, const char *field, const char *path);
/* {"content": text, "lstrip": ...}, with `id` as the one it is given or -1; E_FORMAT without a text. */
Status document_added_token(Special *, const cJSON *token, const char *path);
/* The special tokens of the post-processor around one text and around two; E_FORMAT names an unknown part. */
Status document_post_processor(TokenFrame *single, TokenFrame *pair, const cJSON *doc, const char *path);

#endif
