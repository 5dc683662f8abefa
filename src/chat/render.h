/* Evaluation, shared with the functions, filters and tests that a template may use. */
#ifndef CHAT_RENDER_H
#define CHAT_RENDER_H

#include "chat/node.h"

typedef struct {
    Value *plain;
    int n;
    Value named; /* a dict by name */
} Arguments;
typedef struct {
    const char *name;
    Value value;
} Variable;
typedef struct {
    Arena *arena;
    const Template *t;
    Buf *out;
    Variable *variable; /* the innermost last */
    int n, room, floor; /* floor: where the present scope begins */
    int64_t steps;
    int depth, line;
    const char *begin; /* of the memory that rendering takes */
    Status failed;
    enum { GO_ON, BREAK, CONTINUE } flow;
} Render;

/* No template of a chat comes near these; one that does would run for ever or fill the memory. */
enum {
    STEPS_MOST = 20000000,
    TEXT_MOST = 64 << 20,
    MEMORY_MOST = 512 << 20,
    VALUE_DEPTH = 100,
    DEPTH_MOST = 1000 /* of statements and expressions, macros included */
};

/* Records the failure and gives an undefined value; evaluation then ends at once. */
Value render_wrong(Render *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool render_has_room(Render *, const Buf *);                          /* false, and a failure: the text is too long */
Value argument(Render *, const Arguments *, int i, const char *name); /* by place or name; undefined: not given */
Value attribute_of(Render *, Value object, Value key);
Value slice_of(Render *, Value object, const Value part[3]);

Value call_builtin(Render *, const char *name, const Arguments *);
bool is_builtin(const char *name);
Value call_method(Render *, Value object, const char *name, const Arguments *, bool *known);
Value apply_filter(Render *, const char *name, Value input, const Arguments *);
bool apply_test(Render *, const char *name, Value input, const Arguments *);

#endif
