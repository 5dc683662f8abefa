/* Templates in the part of Jinja2 that chat templates are written in: text, {{ expressions }}, if, for, set, macro,
 * generation, raw and comments, with the white space of the reference's environment (trim_blocks and lstrip_blocks
 * of jinja2, loop controls; transformers, utils/chat_template_utils.py).  Any other construct is refused by name. */
#ifndef CHAT_TEMPLATE_H
#define CHAT_TEMPLATE_H

#include "base/err.h"
#include "chat/value.h"

typedef struct Template Template;
/* E_FORMAT names the line and the construct.  `path` begins messages. */
Status template_parse(const Template **out, Arena *, const char *text, size_t n, const char *path);
/* E_FORMAT: the template raises an exception, uses a function that is not here, or a value in a way that it
 * has not. */
Status template_render(Buf *out, const Template *, Value variables);

#endif
