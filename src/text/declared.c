/* The files one after the other.  added_tokens_decoder, where it is there, makes special_tokens_map.json and
 * added_tokens.json obsolete, as it does in the library. */
#include "text/declared.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/print.h"
#include "base/str.h"
#include "io/json.h"
#include "text/declared_class.h"

static const char *const NAME[NAME_ROLES] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                             "pad_token", "cls_token", "mask_token"};

typedef struct {
    Declared *d;
    Arena *a;
    const char *path;
} Reader;

/* ---- tokens ---- */

/* A token as a text or as an object; false for null, false and the like. */
static Status read_token(const Reader *r, Special *out, const cJSON *v, bool *there)
{
    *there = cJSON_IsString(v) ? *v->valuestring : cJSON_IsObject(v);
    if (!*there) return OK;
    if (cJSON_IsObject(v))
        TRY(document_added_token(out, v, r->path));
    else
        *out = (Special){.text = v->valuestring, .len = strlen(v->valuestring), .id = -1};
    out->text = str_copy(r->a, out->text, out->len);
    out->special = true;
    return OK;
}

static void add_more(const Reader *r, Special s)
{
    Declared *d = r->d;
    for (int64_t i = 0; i < d->n_more; i++)
        if (!strcmp(d->more[i].text, s.text)) return;
    GROW(r->a, d->more, d->n_more, d->more_room, 16);
    d->more[d->n_more++] = s;
}

static Status read_more(const Reader *r, const cJSON *list)
{
    const cJSON *v;
    cJSON_ArrayForEach(v, list)
    {
        Special s;
        bool there;
        TRY(read_token(r, &s, v, &there));
        if (there) add_more(r, s);
    }
    return OK;
}

static Status read_names(const Reader *r, const cJSON *json)
{
    for (int i = 0; i < NAME_ROLES; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, NAME[i]);
        Special s = {0};
        bool there;
        if (!v) continue;
        TRY(read_token(r, &s, v, &there));
        r->d->name[i] = there ? s : (Special){0};
        r->d->named[i] = cJSON_IsString(v) ? NAMED_TEXT : NAMED_WHOLE;
    }
    TRY(read_more(r, document_member(json, "additional_special_tokens")));
    return read_more(r, document_member(json, "extra_special_tokens"));
}

static void add_added(const Reader *r, Special s)
{
    Declared *d = r->d;
    GROW(r->a, d->added, d->n_added, d->added_room, 16);
    int64_t at = d->n_added++;
    for (; at > 0 && d->added[at - 1].id > s.id; at--) d->added[at] = d->added[at - 1];
    d->added[at] = s;
}

/* {"281": {"content": "<msg>", ...}, ...} */
static Status read_decoder(const Reader *r, const cJSON *map)
{
    const cJSON *v;
    if (map && !cJSON_IsObject(map))
        return document_refuse(r->path, "added_tokens_decoder", map, "an object, id to token");
    cJSON_ArrayForEach(v, map)
    {
        int64_t id;
        Special s;
        if (!cJSON_IsObject(v) || !str_int(v->string, &id) || id < 0 || id >= MOST_IDS)
            return err_fail(E_FORMAT, "%s: added_tokens_decoder: \"%s\" is no id with an object", r->path,
                            document_shown(v->string));
        TRY(document_added_token(&s, v, r->path));
        s.id = (int32_t)id;
        s.text = str_copy(r->a, s.text, s.len);
        add_added(r, s);
    }
    return OK;
}

/* What is declared of a token elsewhere; NULL. */
static const Special *declared_as(const Declared *d, const char *text)
{
    for (int i = 0; i < NAME_ROLES; i++)
        if (d->name[i].text && !strcmp(d->name[i].text, text)) return &d->name[i];
    for (int64_t i = 0; i < d->n_more; i++)
        if (!strcmp(d->more[i].text, text)) return &d->more[i];
    return NULL;
}

/* added_tokens.json: {"<msg>": 281, ...}, without a word on white space. */
static Status read_added(const Reader *r, const cJSON *map)
{
    const cJSON *v;
    cJSON_ArrayForEach(v, map)
    {
        if (!document_is_id(v) || !*v->string)
            return err_fail(E_FORMAT, "%s: \"%s\" has no whole number from 0 to %d as id", r->path,
                            document_shown(v->string), MOST_IDS - 1);
        const Special *known = declared_as(r->d, v->string);
        Special s = known ? *known : (Special){.normalized = true};
        s.text = str_copy(r->a, v->string, strlen(v->string));
        s.len = strlen(s.text);
        s.id = v->valueint;
        add_added(r, s);
    }
    return OK;
}

/* ---- files ---- */

static int flag_of(const cJSON *json, const char *key)
{
    const cJSON *v = document_member(json, key);
    return cJSON_IsBool(v) ? cJSON_IsTrue(v) : -1;
}

/* Some files have 10^30 there, which says that there is no limit. */
static int64_t length_of(const cJSON *json, const char *key)
{
    const cJSON *v = document_member(json, key);
    bool fits = cJSON_IsNumber(v) && v->valuedouble >= 1 && v->valuedouble <= MOST_IDS;
    return fits ? (int64_t)v->valuedouble : 0;
}

static const char *text_of(const Reader *r, const cJSON *json, const char *key)
{
    const char *text = document_member_text(json, key);
    return *text ? str_copy(r->a, text, strlen(text)) : NULL;
}

/* What changes ids and cannot be followed is remarked upon. */
static void remark(const Reader *r, const cJSON *json)
{
    static const struct {
        const char *key, *usual; /* values that change nothing, as JSON */
    } KEYS[] = {{"do_basic_tokenize", "true|null"},   {"split_special_tokens", "false|null"},
                {"never_split", "null|[]"},           {"sp_model_kwargs", "null|{}"},
                {"wordpieces_prefix", "\"##\"|null"}, {"fix_mistral_regex", "false|null"}};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        const cJSON *v = document_member(json, KEYS[i].key);
        char *text = v ? json_printed(v, true) : NULL;
        if (text && !str_glob(KEYS[i].usual, text))
            print_err("%s: %s is %s, which is not supported and has no effect\n", r->path, KEYS[i].key,
                      document_shown(text));
        cJSON_free(text);
    }
}

static Status read_config(const Reader *r, const cJSON *json)
{
    Declared *d = r->d;
    const cJSON *extra = document_member(json, "extra_ids");
    d->class_name = str_copy(r->a, document_member_text(json, "tokenizer_class"),
                             strlen(document_member_text(json, "tokenizer_class")));
    d->prefix_space = flag_of(json, "add_prefix_space");
    d->add_bos = flag_of(json, "add_bos_token");
    d->add_eos = flag_of(json, "add_eos_token");
    d->legacy = flag_of(json, "legacy");
    d->lower = flag_of(json, "do_lower_case");
    d->accents = flag_of(json, "strip_accents");
    d->cjk = flag_of(json, "tokenize_chinese_chars");
    d->clean_up = flag_of(json, "clean_up_tokenization_spaces") == 1;
    d->most = length_of(json, "model_max_length");
    d->language = text_of(r, json, "src_lang");
    d->codes = text_of(r, json, "language_codes");
    if (extra && !document_is_id(extra)) return document_refuse(r->path, "extra_ids", extra, "a number of sentinels");
    if (extra) d->extra_ids = extra->valueint;
    remark(r, json);
    TRY(read_names(r, json));
    return read_decoder(r, document_member(json, "added_tokens_decoder"));
}

static Status read_length(const Reader *r, const cJSON *json)
{
    int64_t most = length_of(json, "max_seq_length");
    if (most) r->d->most = most;
    return OK;
}

static Status read_model(const Reader *r, const cJSON *json)
{
    Declared *d = r->d;
    const char *type = document_member_text(json, "model_type"), *name = text_of(r, json, "tokenizer_class");
    if (!*d->class_name && name) d->class_name = name;
    if (*d->class_name) return OK;
    d->family = class_family_of_model(type);
    return OK;
}

/* What is declared of a token with an id holds for it under its name, too; where nothing is, the class has
 * its own. */
static void complete_names(Declared *d)
{
    bool fairseq = d->family == FAMILY_ROBERTA || d->family == FAMILY_XLMR || d->family == FAMILY_CAMEMBERT ||
                   d->family == FAMILY_PLBART || d->family == FAMILY_MPNET;
    for (int i = 0; i < NAME_ROLES; i++) {
        Special *s = &d->name[i];
        const char *own = d->named[i] == NAMED_NOT ? class_token(d->family, (TokenName)i) : NULL;
        if (own) *s = (Special){.text = own, .len = strlen(own), .id = -1, .special = true};
        if (i == NAME_MASK && fairseq && d->named[i] != NAMED_WHOLE) s->strip_left = true;
        for (int64_t k = 0; k < d->n_added && s->text && !own; k++)
            if (!strcmp(d->added[k].text, s->text)) *s = d->added[k], s->special = true;
    }
}

typedef Status ReadFn(const Reader *, const cJSON *);

static Status read_file(Declared *d, Arena *a, const char *dir, const char *name, ReadFn *f)
{
    const char *path = str_print(a, "%s/%s", dir, name);
    cJSON *json = NULL;
    if (access(path, F_OK)) return OK;
    TRY(document_read(&json, a, path));
    Status s = f(&(Reader){d, a, path}, json);
    cJSON_Delete(json);
    return s;
}

Status declared_read(Declared *d, Arena *a, const char *dir)
{
    *d = (Declared){.class_name = "",
                    .prefix_space = -1,
                    .add_bos = -1,
                    .add_eos = -1,
                    .legacy = -1,
                    .lower = -1,
                    .accents = -1,
                    .cjk = -1,
                    .extra_ids = -1};
    bool told = !access(str_print(a, "%s/tokenizer_config.json", dir), F_OK);
    TRY(read_file(d, a, dir, "tokenizer_config.json", read_config));
    TRY(read_file(d, a, dir, "config.json", read_model));
    TRY(read_file(d, a, dir, "sentence_bert_config.json", read_length));
    if (!d->n_added) {
        TRY(read_file(d, a, dir, "special_tokens_map.json", read_names));
        TRY(read_file(d, a, dir, "added_tokens.json", read_added));
    }
    if (*d->class_name) d->family = class_family(a, d->class_name);
    if (d->family == FAMILY_NONE && told) d->family = FAMILY_FAST;
    complete_names(d);
    if (d->family == FAMILY_OTHER)
        print_err("%s: tokenizer_class %s is not known; its files are read without the rules of that class\n", dir,
                  d->class_name);
    return OK;
}
