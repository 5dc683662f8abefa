/* The values of a chat template: Python's, as far as templates use them.  All live on one arena. */
#ifndef CHAT_VALUE_H
#define CHAT_VALUE_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "base/str.h"

typedef enum { V_UNDEFINED, V_NONE, V_BOOL, V_INT, V_REAL, V_TEXT, V_LIST, V_MAP, V_MACRO, V_BUILTIN } ValueKind;
typedef struct Value Value;
typedef struct {
    Value *at;
    int n, room;
    int64_t size; /* of all values within, at any depth, in bytes of texts and in values */
    int depth;    /* of lists and dicts in it, itself included */
    bool space;   /* a namespace is in it */
} List;
typedef struct {
    Value *key, *at;
    int n, room, key_room;
    int64_t size;
    int depth;
    bool space;
    bool open; /* a namespace, whose members a template may set; it is in no other value */
} Map;
struct Value {
    ValueKind kind;
    union {
        bool b;
        int64_t i;
        double r;
        struct {
            const char *s;
            size_t n;
        } text;
        List *list;
        Map *map;
        const struct Node *macro;
        const char *builtin; /* the name of a function of the environment */
    };
};

#define NO_VALUE ((Value){V_UNDEFINED, {0}})
Value value_bool(bool);
Value value_int(int64_t);
Value value_text(const char *s, size_t n);
Value value_words(const char *s); /* of a string that ends with NUL */
Value value_list(Arena *);
Value value_map(Arena *);
void list_add(Arena *, Value list, Value);
void map_set(Arena *, Value map, Value key, Value); /* replaces the old value */
Value map_get(Value map, const char *key);          /* undefined when absent */
int64_t value_size(Value);                          /* as in List; 1 of a number */
int value_depth(Value);
bool value_space(Value); /* a namespace, or a value with one in it */
Value value_of_json(Arena *, const cJSON *);

bool value_true(Value); /* as `if` takes it */
bool value_equal(Value, Value);
int value_order(Value, Value, bool *comparable); /* < 0, 0, > 0 of numbers and of texts */
const char *value_kind(Value);                   /* "a list", for messages */
void value_print(Buf *, Value);                  /* as Python's str() */
void value_json(Buf *, Value, int indent);       /* as json.dumps(ensure_ascii=False); indent < 0: one line */

#endif
