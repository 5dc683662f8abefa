/* The pre_tokenizer of a tokenizer.json. */
#include <string.h>

#include "base/str.h"
#include "text/cutting.h"
#include "text/document.h"
#include "text/splitter.h"
#include "text/unicode.h"

typedef struct {
    Splitter *z;
    Arena *a;
    const char *path;
} Reader;

static const char *const BEHAVIOUR[] = {[BEHAVE_REMOVED] = "Removed",
                                        [BEHAVE_ISOLATED] = "Isolated",
                                        [BEHAVE_PREVIOUS] = "MergedWithPrevious",
                                        [BEHAVE_NEXT] = "MergedWithNext",
                                        [BEHAVE_CONTIGUOUS] = "Contiguous"};

static Status one(const Reader *r, SplitStep s)
{
    return splitter_add(r->z, s, r->path);
}

static Status class_step(const Reader *r, uint32_t class, Behaviour how)
{
    return one(r, (SplitStep){.pattern = {.kind = PATTERN_CLASS, .class = class}, .behaviour = how});
}

static Status read_behaviour(const Reader *r, Behaviour *out, const cJSON *p, bool required)
{
    const cJSON *field = document_member(p, "behavior");
    if (!field && !required) return OK;
    for (size_t i = 0; i < sizeof BEHAVIOUR / sizeof *BEHAVIOUR; i++)
        if (!strcmp(document_member_text(p, "behavior"), BEHAVIOUR[i])) {
            *out = (Behaviour)i;
            return OK;
        }
    return document_refuse(r->path, "pre_tokenizer.behavior", field,
                           "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

static Status read_split(const Reader *r, const cJSON *p)
{
    SplitStep s = {.invert = document_member_true(p, "invert")};
    TRY(read_behaviour(r, &s.behaviour, p, true));
    TRY(document_pattern(&s.pattern, r->a, p, "pre_tokenizer.pattern", r->path));
    return one(r, s);
}

static Status read_punctuation(const Reader *r, const cJSON *p)
{
    Behaviour how = BEHAVE_ISOLATED;
    TRY(read_behaviour(r, &how, p, false));
    return class_step(r, UC_PUNCT, how);
}

static Status read_delimiter(const Reader *r, const cJSON *p)
{
    const char *text = document_member_text(p, "delimiter");
    if (!*text || utf8_length(text, strlen(text)) != strlen(text))
        return document_refuse(r->path, "pre_tokenizer.delimiter", document_member(p, "delimiter"), "one character");
    return one(r, (SplitStep){.pattern = {.text = str_copy(r->a, text, strlen(text)), .len = strlen(text)},
                              .behaviour = BEHAVE_REMOVED});
}

/* Words of letters and digits, and runs of what is neither; white space goes.  A letter is what Unicode calls
 * alphabetic: the enclosed ones, too; of digits, only decimal ones and numbers made of letters count. */
static Status read_whitespace(const Reader *r)
{
#define WORD                                                                                                         \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{200C}\\x{200D}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{"     \
    "1F169}"                                                                                                         \
    "\\x{1F170}-\\x{1F189}"
    SplitStep s = {.behaviour = BEHAVE_REMOVED, .invert = true};
    TRY(pattern_read(&s.pattern, r->a, "[" WORD "]+|[^" WORD "\\s]+", r->path));
    return one(r, s);
}

static Status read_length(const Reader *r, const cJSON *p)
{
    const cJSON *length = document_member(p, "length");
    if (length && (!document_is_id(length) || !length->valueint))
        return document_refuse(r->path, "pre_tokenizer.length", length, "a number of characters");
    return one(r, (SplitStep){.kind = SPLIT_LENGTH, .length = length ? length->valueint : 5});
}

/* Older files have add_prefix_space in the place of prepend_scheme. */
static Status read_metaspace(const Reader *r, const cJSON *m)
{
    static const char *const NAME[] = {"never", "first", "always"};
    const char *mark = document_member_text(m, "replacement"), *scheme = document_member_text(m, "prepend_scheme");
    if (!document_member(m, "replacement")) mark = SPACE;
    if (utf8_length(mark, strlen(mark)) != strlen(mark) || !*mark)
        return document_refuse(r->path, "pre_tokenizer.replacement", document_member(m, "replacement"),
                               "one character");
    SplitStep s = {.kind = SPLIT_META, .mark = str_copy(r->a, mark, strlen(mark))};
    int found = document_unless_false(m, "add_prefix_space") ? PREFIX_ALWAYS : PREFIX_NEVER;
    for (int i = 0; i < 3 && *scheme; i++)
        if (!strcmp(scheme, NAME[i])) found = i + 3;
    if (*scheme && found < 3)
        return document_refuse(r->path, "pre_tokenizer.prepend_scheme", document_member(m, "prepend_scheme"),
                               "never, first or always");
    s.prefix = (Prefix)(found % 3);
    TRY(one(r, s));
    if (!document_unless_false(m, "split")) return OK;
    return one(r, (SplitStep){.pattern = {.text = s.mark, .len = strlen(s.mark)}, .behaviour = BEHAVE_NEXT});
}

static Status read_step(const Reader *r, const cJSON *p)
{
    const char *type = document_member_text(p, "type");
    if (!strcmp(type, "ByteLevel"))
        return splitter_add_bytes(r->z, document_unless_false(p, "add_prefix_space"),
                                  document_unless_false(p, "use_regex"), r->path);
    if (!strcmp(type, "Split")) return read_split(r, p);
    if (!strcmp(type, "Metaspace")) return read_metaspace(r, p);
    if (!strcmp(type, "Punctuation")) return read_punctuation(r, p);
    if (!strcmp(type, "CharDelimiterSplit")) return read_delimiter(r, p);
    if (!strcmp(type, "FixedLength")) return read_length(r, p);
    if (!strcmp(type, "Whitespace")) return read_whitespace(r);
    if (!strcmp(type, "WhitespaceSplit")) return class_step(r, UC_SPACE, BEHAVE_REMOVED);
    if (!strcmp(type, "UnicodeScripts")) return one(r, (SplitStep){.kind = SPLIT_SCRIPTS});
    if (!strcmp(type, "Digits"))
        return class_step(r, UC_NUMBER,
                          document_member_true(p, "individual_digits") ? BEHAVE_ISOLATED : BEHAVE_CONTIGUOUS);
    if (!strcmp(type, "BertPreTokenizer")) return splitter_add_bert(r->z, r->path);
    return document_refuse(r->path, "pre_tokenizer.type", document_member(p, "type"),
                           "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, Metaspace, "
                           "Punctuation, Split, UnicodeScripts, Whitespace, WhitespaceSplit or a Sequence of them");
}

static Status read_any(const Reader *r, const cJSON *p, int depth)
{
    const cJSON *item;
    if (strcmp(document_member_text(p, "type"), "Sequence") != 0) return read_step(r, p);
    if (depth == DOCUMENT_DEPTH)
        return document_refuse(r->path, "pre_tokenizer", p, "fewer Sequences within Sequences");
    cJSON_ArrayForEach(item, document_member(p, "pretokenizers"))
    {
        TRY(read_any(r, item, depth + 1));
    }
    return OK;
}

Status splitter_read(Splitter *z, Arena *a, const cJSON *p, const char *path)
{
    z->alone = strcmp(document_member_text(p, "type"), "Sequence") != 0;
    return p ? read_any(&(Reader){z, a, path}, p, 0) : OK;
}
