/* A stack machine of forty opcodes.  Values are on the arena and shared where the memo shares them, so a tied
 * weight arrives as one object met twice.  Nothing here recurses: depth costs no stack. */
#include "io/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

enum { PICKLE_MAX = 64 << 20, DEPTH = 1000000, VALUES = 4000000, NAME_MAX_BYTES = 4096, GLOBALS_MAX = 4096 };

typedef struct {
    PickleFile *f;
    Arena *a;
    size_t end; /* no opcode is read beyond */
    Pickled **stack, **memo;
    int *mark; /* heights of the stack */
    int n, room, n_memo, memo_room, marks, mark_room, values;
} Machine;

static const struct {
    const char *name;
    Global global;
    StoredType type;
} KNOWN[] = {
    {"collections OrderedDict", GLOBAL_DICT, 0},           {"torch._utils _rebuild_tensor_v2", GLOBAL_TENSOR, 0},
    {"torch._utils _rebuild_tensor", GLOBAL_TENSOR, 0},    {"torch._utils _rebuild_parameter", GLOBAL_PARAMETER, 0},
    {"torch.nn.parameter Parameter", GLOBAL_PARAMETER, 0}, {"torch Size", GLOBAL_SIZE, 0},
    {"torch FloatStorage", GLOBAL_STORAGE, STORED_F32},    {"torch DoubleStorage", GLOBAL_STORAGE, STORED_F64},
    {"torch HalfStorage", GLOBAL_STORAGE, STORED_F16},     {"torch BFloat16Storage", GLOBAL_STORAGE, STORED_BF16},
    {"torch LongStorage", GLOBAL_STORAGE, STORED_I64},     {"torch IntStorage", GLOBAL_STORAGE, STORED_I32},
    {"torch ShortStorage", GLOBAL_STORAGE, STORED_I16},    {"torch CharStorage", GLOBAL_STORAGE, STORED_I8},
    {"torch ByteStorage", GLOBAL_STORAGE, STORED_U8},      {"torch BoolStorage", GLOBAL_STORAGE, STORED_BOOL}};

/* What torch.load(weights_only=True) also builds, or may be told to: numbers, sets and arrays beside the tensors. */
static const char *const BESIDE =
    "numpy.core.multiarray scalar|numpy._core.multiarray scalar|numpy.core.multiarray _reconstruct|"
    "numpy._core.multiarray _reconstruct|numpy dtype|numpy ndarray|_codecs encode|collections Counter|builtins set|"
    "__builtin__ set|builtins bytearray|builtins complex|__builtin__ complex|torch device|torch float16|torch float32|"
    "torch float64|torch bfloat16|torch int64|torch.serialization _get_layout";

const char *pickle_storage(StoredType type)
{
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (KNOWN[i].global == GLOBAL_STORAGE && KNOWN[i].type == type) return KNOWN[i].name + strlen("torch ");
    return NULL;
}

/* ---- reading */

static Status cut(const Machine *m)
{
    return err_fail(E_FORMAT, "%s: the pickle is cut at byte %zu", m->f->path, m->f->at);
}

static Status bytes(Machine *m, size_t n, const unsigned char **out)
{
    if (n > m->end - m->f->at) return cut(m);
    *out = (const unsigned char *)m->f->bytes + m->f->at;
    m->f->at += n;
    return OK;
}

static Status little(Machine *m, int n, uint64_t *out)
{
    const unsigned char *b = NULL;
    TRY(bytes(m, (size_t)n, &b));
    *out = 0;
    for (int i = n - 1; i >= 0; i--) *out = *out << 8 | b[i];
    return OK;
}

static Status line(Machine *m, const char **out)
{
    const char *from = m->f->bytes + m->f->at, *stop = memchr(from, '\n', m->end - m->f->at);
    if (!stop || stop - from > NAME_MAX_BYTES) return cut(m);
    *out = str_copy(m->a, from, (size_t)(stop - from));
    m->f->at += (size_t)(stop - from) + 1;
    return OK;
}

/* ---- stack and memo */

static Pickled *value(Machine *m, PickledKind kind)
{
    Pickled *v = NEW(m->a, Pickled, 1);
    m->values++;
    v->kind = kind;
    return v;
}

static Status push(Machine *m, Pickled *v)
{
    if (m->n == DEPTH) return err_fail(E_FORMAT, "%s: the pickle needs a stack of more than %d", m->f->path, DEPTH);
    GROW(m->a, m->stack, m->n, m->room, 64);
    m->stack[m->n++] = v;
    return OK;
}

static int floor_of(const Machine *m)
{
    return m->marks ? m->mark[m->marks - 1] : 0;
}

static Status pop(Machine *m, Pickled **out)
{
    if (m->n <= floor_of(m))
        return err_fail(E_FORMAT, "%s: byte %zu: the pickle's stack is empty", m->f->path, m->f->at);
    *out = m->stack[--m->n];
    return OK;
}

static Status push_whole(Machine *m, int64_t x)
{
    Pickled *v = value(m, PICKLED_INT);
    v->whole = x;
    return push(m, v);
}

static Status push_text(Machine *m, int length_bytes)
{
    uint64_t n = 0;
    const unsigned char *b = NULL;
    TRY(little(m, length_bytes, &n));
    TRY(bytes(m, n, &b));
    Pickled *v = value(m, PICKLED_TEXT);
    v->text = str_copy(m->a, (const char *)b, n);
    v->whole = (int64_t)n;
    return push(m, v);
}

static Status put_mark(Machine *m)
{
    if (m->marks == DEPTH) return err_fail(E_FORMAT, "%s: the pickle nests more than %d deep", m->f->path, DEPTH);
    GROW(m->a, m->mark, m->marks, m->mark_room, 64);
    m->mark[m->marks++] = m->n;
    return OK;
}

/* The items above the last mark; the mark is removed. */
static Status take_marked(Machine *m, Pickled ***item, int *n)
{
    if (!m->marks) return err_fail(E_FORMAT, "%s: byte %zu: there is no MARK", m->f->path, m->f->at);
    int from = m->mark[--m->marks];
    *n = m->n - from;
    *item = m->stack ? m->stack + from : NULL; /* nothing was ever pushed */
    m->n = from;
    return OK;
}

static void append(Machine *m, Pickled *to, Pickled *v)
{
    GROW(m->a, to->item, to->n, to->room, 64);
    to->item[to->n++] = v;
}

static Status remember(Machine *m, uint64_t at)
{
    if (at >= DEPTH) return err_fail(E_FORMAT, "%s: memo entry %llu", m->f->path, (unsigned long long)at);
    if (m->n <= floor_of(m)) return err_fail(E_FORMAT, "%s: byte %zu: nothing to remember", m->f->path, m->f->at);
    while (m->n_memo <= (int)at) {
        GROW(m->a, m->memo, m->n_memo, m->memo_room, 64);
        m->memo[m->n_memo++] = NULL;
    }
    m->memo[at] = m->stack[m->n - 1];
    return OK;
}

static Status recall(Machine *m, uint64_t at)
{
    if (at >= (uint64_t)m->n_memo || !m->memo[at])
        return err_fail(E_FORMAT, "%s: memo entry %llu was never written", m->f->path, (unsigned long long)at);
    return push(m, m->memo[at]);
}

/* ---- objects */

static Status note_global(Machine *m, const char *name)
{
    PickleFile *f = m->f;
    for (int i = 0; i < f->n_globals; i++)
        if (!strcmp(f->globals[i], name)) return OK;
    if (f->n_globals == GLOBALS_MAX) return err_fail(E_FORMAT, "%s: more than %d globals", f->path, GLOBALS_MAX);
    GROW(m->a, f->globals, f->n_globals, f->room, 64);
    f->globals[f->n_globals++] = name;
    return OK;
}

static Status push_global(Machine *m, const char *module, const char *attribute)
{
    const char *name = str_print(m->a, "%s %s", module, attribute);
    TRY(note_global(m, name));
    Pickled *v = value(m, PICKLED_GLOBAL);
    v->global = GLOBAL_UNKNOWN;
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (!strcmp(KNOWN[i].name, name)) v->global = KNOWN[i].global, v->type = KNOWN[i].type;
    if (v->global == GLOBAL_UNKNOWN && str_glob(BESIDE, name)) v->global = GLOBAL_BESIDE;
    if (v->global == GLOBAL_UNKNOWN && !m->f->scan)
        return err_fail(E_FORMAT,
                        "%s: byte %zu: the pickle wants %.100s.%.100s, which no state dict needs; nothing was run",
                        m->f->path, m->f->at, module, attribute);
    return push(m, v);
}

static Status text_of(Machine *m, const char **out)
{
    Pickled *v = NULL;
    TRY(pop(m, &v));
    if (v->kind != PICKLED_TEXT) return err_fail(E_FORMAT, "%s: byte %zu: a name is no text", m->f->path, m->f->at);
    *out = v->text;
    return OK;
}

/* callable(*args), where callable is a tag: its result is built here, without calling anything. */
static Status reduce(Machine *m)
{
    Pickled *args = NULL, *callable = NULL, *made;
    TRY(pop(m, &args));
    TRY(pop(m, &callable));
    bool tuple = args->kind == PICKLED_TUPLE;
    Global g = callable->kind == PICKLED_GLOBAL ? callable->global : GLOBAL_UNKNOWN;
    if (tuple && g == GLOBAL_DICT && !args->n) {
        made = value(m, PICKLED_DICT);
    } else if (tuple && g == GLOBAL_TENSOR && args->n >= 4) {
        made = value(m, PICKLED_TENSOR);
        made->item = args->item, made->n = args->n;
    } else if (tuple && (g == GLOBAL_PARAMETER || g == GLOBAL_SIZE) && args->n >= 1) {
        made = args->item[0];
    } else if (m->f->scan || (tuple && g == GLOBAL_BESIDE)) {
        made = value(m, PICKLED_OPAQUE);
    } else {
        return err_fail(E_FORMAT, "%s: byte %zu: an object is built in a way no state dict needs", m->f->path,
                        m->f->at);
    }
    return push(m, made);
}

/* State for an object that stands below: a state dict's _metadata, a parameter's attributes.  Nothing needs it. */
static Status build(Machine *m)
{
    Pickled *state;
    TRY(pop(m, &state));
    return m->n > floor_of(m) ? OK : cut(m);
}

static Status set_items(Machine *m, Pickled **item, int n)
{
    Pickled *dict = m->n > floor_of(m) ? m->stack[m->n - 1] : NULL;
    bool opaque = dict && dict->kind == PICKLED_OPAQUE;
    if (!dict || n % 2 || (dict->kind != PICKLED_DICT && !opaque))
        return err_fail(E_FORMAT, "%s: byte %zu: items for an object that is not a dict", m->f->path, m->f->at);
    for (int i = 0; i < n && !opaque; i++) append(m, dict, item[i]);
    return OK;
}

static Status append_items(Machine *m, Pickled **item, int n)
{
    Pickled *list = m->n > floor_of(m) ? m->stack[m->n - 1] : NULL;
    bool opaque = list && list->kind == PICKLED_OPAQUE;
    if (!list || (list->kind != PICKLED_LIST && !opaque))
        return err_fail(E_FORMAT, "%s: byte %zu: items for an object that is not a list", m->f->path, m->f->at);
    for (int i = 0; i < n && !opaque; i++) append(m, list, item[i]);
    return OK;
}

static Status push_tuple(Machine *m, Pickled **item, int n)
{
    Pickled *t = value(m, PICKLED_TUPLE);
    for (int i = 0; i < n; i++) append(m, t, item[i]);
    return push(m, t);
}

static Status push_small_tuple(Machine *m, int n)
{
    if (m->n - floor_of(m) < n) return err_fail(E_FORMAT, "%s: byte %zu: the stack is empty", m->f->path, m->f->at);
    m->n -= n;
    return push_tuple(m, m->stack + m->n, n);
}

static Status push_storage(Machine *m)
{
    Pickled *id = NULL, *v;
    TRY(pop(m, &id));
    if (id->kind != PICKLED_TUPLE) return err_fail(E_FORMAT, "%s: byte %zu: a persistent id", m->f->path, m->f->at);
    v = value(m, PICKLED_STORAGE);
    v->item = id->item, v->n = id->n;
    return push(m, v);
}

/* LONG1: little-endian two's complement; only values of 64 bits are exact, others keep their low bits. */
static Status push_long(Machine *m)
{
    uint64_t n = 0;
    const unsigned char *b = NULL;
    TRY(little(m, 1, &n));
    TRY(bytes(m, n, &b));
    uint64_t x = n && b[n - 1] & 0x80 ? ~(uint64_t)0 : 0;
    for (uint64_t i = n < 8 ? n : 8; i-- > 0;) x = x << 8 | b[i];
    return push_whole(m, (int64_t)x);
}

static Status push_real(Machine *m)
{
    const unsigned char *b = NULL;
    TRY(bytes(m, 8, &b));
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits = bits << 8 | b[i];
    Pickled *v = value(m, PICKLED_REAL);
    memcpy(&v->real, &bits, sizeof bits);
    return push(m, v);
}

/* ---- opcodes */

/* Opcodes that push None, a truth value, a number or a text. */
static Status scalar(Machine *m, int op, bool *known)
{
    uint64_t x = 0;
    *known = true;
    switch (op) {
    case 'N': return push(m, value(m, PICKLED_NONE));
    case 0x88: return push_whole(m, 1);                                          /* NEWTRUE */
    case 0x89: return push_whole(m, 0);                                          /* NEWFALSE */
    case 'J': TRY(little(m, 4, &x)); return push_whole(m, (int32_t)(uint32_t)x); /* BININT */
    case 'K': TRY(little(m, 1, &x)); return push_whole(m, (int64_t)x);           /* BININT1 */
    case 'M': TRY(little(m, 2, &x)); return push_whole(m, (int64_t)x);           /* BININT2 */
    case 0x8a: return push_long(m);                                              /* LONG1 */
    case 'G': return push_real(m);                                               /* BINFLOAT */
    case 'X': return push_text(m, 4);                                            /* BINUNICODE */
    case 0x8c: return push_text(m, 1);                                           /* SHORT_BINUNICODE */
    case 0x8d: return push_text(m, 8);                                           /* BINUNICODE8 */
    case 'U': return push_text(m, 1);                                            /* SHORT_BINSTRING */
    case 'T': return push_text(m, 4);                                            /* BINSTRING */
    case 'C': return push_text(m, 1);                                            /* SHORT_BINBYTES */
    case 'B': return push_text(m, 4);                                            /* BINBYTES */
    }
    *known = false;
    return OK;
}

/* Opcodes of tuples, lists and dicts, and of the marks that begin them. */
static Status container(Machine *m, int op, bool *known)
{
    Pickled **item = NULL, *one[2];
    int n = 0;
    *known = true;
    switch (op) {
    case '}': return push(m, value(m, PICKLED_DICT));
    case ']': return push(m, value(m, PICKLED_LIST));
    case ')': return push(m, value(m, PICKLED_TUPLE));
    case '(': return put_mark(m);
    case 't': TRY(take_marked(m, &item, &n)); return push_tuple(m, item, n);
    case 0x85: return push_small_tuple(m, 1);
    case 0x86: return push_small_tuple(m, 2);
    case 0x87: return push_small_tuple(m, 3);
    case 'a': TRY(pop(m, &one[0])); return append_items(m, one, 1);
    case 'e': TRY(take_marked(m, &item, &n)); return append_items(m, item, n);
    case 's':
        TRY(pop(m, &one[1]));
        TRY(pop(m, &one[0]));
        return set_items(m, one, 2);
    case 'u': TRY(take_marked(m, &item, &n)); return set_items(m, item, n);
    case '0': return pop(m, &one[0]);
    }
    *known = false;
    return OK;
}

/* Opcodes of the protocol, the memo, globals, and what is built from them. */
static Status object(Machine *m, int op, bool *known)
{
    uint64_t x = 0;
    const char *module = NULL, *attribute = NULL;
    *known = true;
    switch (op) {
    case 0x80: return little(m, 1, &x);                     /* PROTO */
    case 0x95: return little(m, 8, &x);                     /* FRAME: its length is not needed */
    case 'q': TRY(little(m, 1, &x)); return remember(m, x); /* BINPUT */
    case 'r': TRY(little(m, 4, &x)); return remember(m, x); /* LONG_BINPUT */
    case 0x94: return remember(m, (uint64_t)m->n_memo);     /* MEMOIZE */
    case 'h': TRY(little(m, 1, &x)); return recall(m, x);   /* BINGET */
    case 'j': TRY(little(m, 4, &x)); return recall(m, x);   /* LONG_BINGET */
    case 'c':                                               /* GLOBAL */
        TRY(line(m, &module));
        TRY(line(m, &attribute));
        return push_global(m, module, attribute);
    case 0x93: /* STACK_GLOBAL */
        TRY(text_of(m, &attribute));
        TRY(text_of(m, &module));
        return push_global(m, module, attribute);
    case 'R':
    case 0x81: return reduce(m); /* REDUCE, NEWOBJ */
    case 'b': return build(m);
    case 'Q': return push_storage(m); /* BINPERSID */
    }
    *known = false;
    return OK;
}

static Status step(Machine *m, int op)
{
    bool known;
    TRY(scalar(m, op, &known));
    if (!known) TRY(container(m, op, &known));
    if (!known) TRY(object(m, op, &known));
    if (!known) return err_fail(E_FORMAT, "%s: byte %zu: opcode 0x%02x", m->f->path, m->f->at - 1, op);
    return OK;
}

Status pickle_read(Pickled **out, Arena *a, PickleFile *f)
{
    Machine m = {.f = f, .a = a, .end = f->len - f->at > PICKLE_MAX ? f->at + PICKLE_MAX : f->len};
    for (;;) {
        const unsigned char *op = NULL;
        TRY(bytes(&m, 1, &op));
        if (*op == '.') break; /* STOP */
        if (m.values > VALUES)
            return err_fail(E_FORMAT, "%s: the pickle makes more than %d objects", f->path, VALUES);
        TRY(step(&m, *op));
    }
    TRY(pop(&m, out));
    return m.n || m.marks ? err_fail(E_FORMAT, "%s: the pickle ends with a full stack", f->path) : OK;
}

const Pickled *pickled_get(const Pickled *dict, const char *key)
{
    if (!dict || dict->kind != PICKLED_DICT) return NULL;
    for (int i = 0; i + 1 < dict->n; i += 2)
        if (dict->item[i]->kind == PICKLED_TEXT && !strcmp(dict->item[i]->text, key)) return dict->item[i + 1];
    return NULL;
}
