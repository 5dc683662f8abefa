/* JSON goes through cJSON, because its indentation may be by tabs, and anything else through libyaml. */
#include "cli/config.h"

#include <string.h>
#include <yaml.h>

#include "base/lines.h"
#include "base/str.h"
#include "io/json.h"

static void add(ConfigFile *c, Arena *a, ConfigEntry e)
{
    GROW(a, c->entry, c->n, c->room, 32);
    c->entry[c->n++] = e;
}

static void add_list(ConfigFile *c, Arena *a, const char *path, const char *key, const char *const *item, int n)
{
    const char **own = NEW(a, const char *, n + 1);
    for (int i = 0; i < n; i++) own[i] = item[i];
    if (!strcmp(key, "operands"))
        c->operand = own, c->operands = n;
    else
        add(c, a, (ConfigEntry){key, own, n, path, CONFIG_TEXT});
}

static Status add_text(ConfigFile *c, Arena *a, const char *path, const char *command, const char *key,
                       const char *text)
{
    if (strcmp(key, "command") != 0) {
        add_list(c, a, path, key, &text, 1);
        return OK;
    }
    if (!strcmp(text, command)) return OK;
    return err_fail(E_CONFIG, "%s is of `vernier %s`, not of `vernier %s`", path, text, command);
}

/* ---- JSON ---- */

static const char *number_text(Arena *a, double x)
{
    const char *text = str_print(a, "%.15g", x);
    double again;
    return str_real(text, &again) && again == x ? text : str_print(a, "%.17g", x);
}

static const char *scalar_text(Arena *a, const cJSON *v)
{
    if (cJSON_IsString(v)) return str_copy(a, v->valuestring, strlen(v->valuestring));
    if (cJSON_IsNumber(v)) return number_text(a, v->valuedouble);
    return cJSON_IsBool(v) ? cJSON_IsTrue(v) ? "yes" : "no" : NULL;
}

static Status read_member(ConfigFile *c, Arena *a, const char *path, const char *command, const cJSON *v)
{
    const char *key = str_copy(a, v->string, strlen(v->string)), **item;
    int n = cJSON_GetArraySize(v), i = 0;
    const cJSON *one;
    if (cJSON_IsBool(v) || cJSON_IsNull(v)) {
        add(c, a, (ConfigEntry){key, NULL, 0, path, cJSON_IsTrue(v) ? CONFIG_TRUE : CONFIG_NONE});
        return OK;
    }
    if (!cJSON_IsArray(v) && !cJSON_IsObject(v)) return add_text(c, a, path, command, key, scalar_text(a, v));
    item = NEW(a, const char *, n + 1);
    cJSON_ArrayForEach(one, v) if (!(item[i++] = scalar_text(a, one))) break;
    if (cJSON_IsArray(v) && (!n || item[n - 1])) {
        add_list(c, a, path, key, item, n);
        return OK;
    }
    return err_fail(E_FORMAT, "%s: %s is %s; expected text, a number, true, false or a list of them", path, key,
                    cJSON_IsObject(v) ? "an object" : "a list of lists or objects");
}

static Status read_object(ConfigFile *c, Arena *a, const char *path, const char *command, Bytes text)
{
    cJSON *root;
    const cJSON *v;
    Status status = OK;
    TRY(json_parse(&root, text.text, text.len, path));
    if (!cJSON_IsObject(root)) status = err_fail(E_FORMAT, "%s: expected an object whose keys are options", path);
    if (!status) cJSON_ArrayForEach(v, root) if (!status) status = read_member(c, a, path, command, v);
    cJSON_Delete(root);
    return status;
}

/* ---- YAML ---- */

typedef struct {
    yaml_parser_t parser;
    yaml_event_t event;
    const char *path;
} Reader;

static Status wrong(const Reader *r, const char *found)
{
    return err_fail(E_FORMAT, "%s: line %zu: %s; expected `option: value` or `option: [value, value]`", r->path,
                    r->event.start_mark.line + 1, found);
}

static Status next(Reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event)) return OK;
    const yaml_parser_t *p = &r->parser;
    return err_fail(E_FORMAT, "%s: line %zu: %s", r->path, (p->problem ? p->problem_mark.line : 0) + 1,
                    p->problem ? p->problem : "not YAML");
}

/* Plain words that YAML reads as truth values or as nothing, in their usual spellings. */
static ConfigKind kind_of(const yaml_event_t *e)
{
    const char *s = (const char *)e->data.scalar.value;
    if (e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return CONFIG_TEXT;
    if (str_glob("true|True|TRUE", s)) return CONFIG_TRUE;
    return !*s || str_glob("false|False|FALSE|null|Null|NULL|~", s) ? CONFIG_NONE : CONFIG_TEXT;
}

static const char *text_of(Arena *a, const yaml_event_t *e)
{
    ConfigKind k = kind_of(e);
    if (k != CONFIG_TEXT) return k == CONFIG_TRUE ? "yes" : "no";
    return str_copy(a, (const char *)e->data.scalar.value, e->data.scalar.length);
}

static Status read_list(ConfigFile *c, Arena *a, Reader *r, const char *key)
{
    const char **item = NULL;
    int n = 0, room = 0;
    for (;;) {
        TRY(next(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT) break;
        if (r->event.type != YAML_SCALAR_EVENT) return wrong(r, "a list in which an item is no value");
        GROW(a, item, n, room, 8);
        item[n++] = text_of(a, &r->event);
    }
    add_list(c, a, r->path, key, item, n);
    return OK;
}

static Status read_pair(ConfigFile *c, Arena *a, Reader *r, const char *command)
{
    if (r->event.type != YAML_SCALAR_EVENT) return wrong(r, "a key that is no word");
    const char *key = text_of(a, &r->event);
    TRY(next(r));
    if (r->event.type == YAML_SEQUENCE_START_EVENT) return read_list(c, a, r, key);
    if (r->event.type != YAML_SCALAR_EVENT) return wrong(r, str_print(a, "%s is no value", key));
    const ConfigKind kind = kind_of(&r->event);
    if (kind == CONFIG_TEXT) return add_text(c, a, r->path, command, key, text_of(a, &r->event));
    add(c, a, (ConfigEntry){key, NULL, 0, r->path, kind});
    return OK;
}

static Status read_pairs(ConfigFile *c, Arena *a, Reader *r, const char *command)
{
    for (;;) {
        TRY(next(r));
        yaml_event_type_t type = r->event.type;
        if (type == YAML_STREAM_END_EVENT) return OK;
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT || type == YAML_DOCUMENT_END_EVENT)
            continue;
        if (type == YAML_SCALAR_EVENT && !r->event.data.scalar.length) continue; /* nothing but comments */
        if (type != YAML_MAPPING_START_EVENT) return wrong(r, "no options");
        TRY(next(r));
        while (r->event.type != YAML_MAPPING_END_EVENT) {
            TRY(read_pair(c, a, r, command));
            TRY(next(r));
        }
    }
}

static Status read_yaml(ConfigFile *c, Arena *a, const char *path, const char *command, Bytes text)
{
    Reader r = {.path = path};
    if (!yaml_parser_initialize(&r.parser)) return err_fail(E_IO, "%s: no memory to read it", path);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.text, text.len);
    Status status = read_pairs(c, a, &r, command);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return status;
}

/* ---- files ---- */

static Status read_file(ConfigFile *c, Arena *a, const char *path, const char *command)
{
    Bytes text;
    TRY(text_read(&text, a, path, BYTES_UTF8));
    size_t at = strspn(text.text, " \t\r\n");
    bool json = at < text.len && text.text[at] == '{';
    const int before = c->n;
    TRY(json ? read_object(c, a, path, command, text) : read_yaml(c, a, path, command, text));
    for (int i = before; i < c->n; i++)
        for (int j = before; j < i; j++)
            if (!strcmp(c->entry[i].key, c->entry[j].key))
                return err_fail(E_FORMAT, "%s: %s is given twice", path, c->entry[i].key);
    return OK;
}

Status config_file_read(ConfigFile *out, Arena *a, const char *command, int argc, char **argv)
{
    *out = (ConfigFile){0};
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const bool apart = !strcmp(argv[i], "--config"), joined = !strncmp(argv[i], "--config=", 9);
        if (joined || (apart && i + 1 < argc)) TRY(read_file(out, a, joined ? argv[i] + 9 : argv[++i], command));
    }
    return OK;
}
