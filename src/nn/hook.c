/* Hooks are a list of rules.  A join point runs, in the order added, every hook whose rule matches its place, each on
 * the value that the one before it returned. */
#include "nn/hook.h"

#include <string.h>

#include "base/err.h"
#include "ad/op.h"
#include "base/rng.h"

typedef struct {
    Where rule;
    HookFn *fn;
    void *user;
    bool observes, by_row;
} Hook;

typedef struct {
    Derived derived;
    int at; /* its place among the hooks */
} Derivation;

struct Hooks {
    Arena *run;
    Hook *at;
    int n, room;
    int64_t shift[PART_COUNT];
    int shift_after[PART_COUNT]; /* hooks there were when the shift was added: it ends when they are cleared */
    bool read_virtual;
    int read_after;      /* likewise */
    Derivation *derived; /* in the order added */
};

static const char *const SITE_NAMES[SITE_COUNT] = {
#define X(name) #name,
    SITES(X)
#undef X
};

const char *site_name(Site s)
{
    return s < SITE_COUNT ? SITE_NAMES[s] : "?";
}

const char *part_name(Part p)
{
    static const char *const NAMES[] = {"encoder", "decoder", "cross", "any"};
    return p <= PART_ANY ? NAMES[p] : "?";
}

Hooks *hooks_new(Arena *run)
{
    enum { ROOM = 32 }; /* at once, so that few hooks grow on the arena while a caller holds a mark of it */
    Hooks *h = NEW(run, Hooks, 1);
    *h = (Hooks){.run = run, .at = NEW(run, Hook, ROOM), .room = ROOM};
    return h;
}

static void add(Hooks *h, Hook hook)
{
    CHECK(hook.rule.site < SITE_COUNT && hook.rule.part <= PART_ANY && hook.rule.layer >= LAYER_ANY,
          "a hook at site %d, layer %d, part %d", (int)hook.rule.site, hook.rule.layer, (int)hook.rule.part);
    GROW(h->run, h->at, h->n, h->room, 32);
    h->at[h->n++] = hook;
}

void hook_add(Hooks *h, Where rule, HookFn *fn, void *user)
{
    add(h, (Hook){rule, fn, user});
}

void hook_add_rows(Hooks *h, Where rule, HookFn *fn, void *user)
{
    add(h, (Hook){rule, fn, user, .by_row = true});
}

void hook_observe(Hooks *h, Where rule, HookFn *fn, void *user)
{
    add(h, (Hook){rule, fn, user, .observes = true});
}

void hooks_clear_from(Hooks *h, int n)
{
    CHECK(n >= 0 && n <= h->n, "hooks cleared from %d of %d", n, h->n);
    h->n = n;
    for (int p = 0; p < PART_COUNT; p++)
        if (n <= h->shift_after[p]) h->shift[p] = 0;
    if (n <= h->read_after) h->read_virtual = false;
    Derivation **end = &h->derived;
    while (*end && (*end)->at < n) end = (Derivation **)&(*end)->derived.next;
    *end = NULL;
}

/* A derivation stands among the hooks, too, as one that changes nothing: so it ends when hooks are cleared. */
static Var *pass_through(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at, (void)in, (void)user;
    return out;
}

void hooks_derive(Hooks *h, const Param *of, Var *(*fn)(Tape *, Var *base, void *user), void *user)
{
    Derivation *d = NEW(h->run, Derivation, 1), **end = &h->derived;
    *d = (Derivation){{of, fn, user, NULL}, h->n};
    while (*end) end = (Derivation **)&(*end)->derived.next;
    *end = d;
    hook_add(h, (Where){SITE_EMBED, LAYER_EMBED, PART_ANY}, pass_through, NULL);
}

void pass_begin(const Pass *p)
{
    tape_derive(p->tape, p->hooks && p->hooks->derived ? &p->hooks->derived->derived : NULL);
}

int hooks_n(const Hooks *h)
{
    return h ? h->n : 0;
}

void hooks_shift(Hooks *h, Part part, int64_t positions)
{
    for (int p = 0; p < PART_COUNT; p++) {
        if (part != PART_ANY && (int)part != p) continue;
        h->shift[p] = positions;
        h->shift_after[p] = h->n;
    }
}

int64_t hooks_shifted(const Hooks *h, Part part)
{
    return h ? h->shift[part] : 0;
}

void hooks_read_virtual(Hooks *h)
{
    h->read_virtual = true;
    h->read_after = h->n;
}

bool hooks_reads_virtual(const Hooks *h)
{
    return h && h->read_virtual;
}

static bool matches(Where rule, Where at)
{
    return rule.site == at.site && (rule.layer == at.layer || rule.layer == LAYER_ANY) &&
           (rule.part == at.part || rule.part == PART_ANY);
}

bool hook_wants(const Hooks *h, Where at)
{
    for (int i = 0; i < hooks_n(h); i++)
        if (matches(h->at[i].rule, at)) return true;
    return false;
}

bool hooks_by_row(const Hooks *h, Part part)
{
    for (int i = 0; i < hooks_n(h); i++) {
        const Hook *k = &h->at[i];
        bool within = k->rule.layer != LAYER_EMBED && k->rule.site != SITE_EMBED && k->rule.site != SITE_LOGITS;
        if (within && (k->rule.part == part || k->rule.part == PART_ANY) && !k->by_row) return false;
    }
    return true;
}

Var *hook_run(Pass *p, Where at, Var *in, Var *out)
{
    bool silent = tape_replays(p->tape);
    for (int i = 0; i < hooks_n(p->hooks); i++) {
        const Hook *h = &p->hooks->at[i];
        if (!matches(h->rule, at) || (h->observes && silent)) continue;
        out = h->fn(p, at, in, out, h->user);
        CHECK(out != NULL, "the hook at %s, layer %d, %s returned nothing", site_name(at.site), at.layer,
              part_name(at.part));
    }
    return out;
}

uint64_t pass_stream(const Pass *p, Where at, const char *purpose)
{
    uint64_t place =
        (uint64_t)at.site + (uint64_t)SITE_COUNT * ((uint64_t)at.part + PART_COUNT * (uint64_t)(at.layer + 1));
    return rng_mix(rng_stream(p->seed, purpose), place);
}

/* A value of the kept rows alone is not packed as all rows are. */
Var *pass_dropout(const Pass *p, Var *x, double rate, uint64_t stream)
{
    const Pack *k = p->pack;
    bool packed = k && x->val.rank == 3 && x->val.dim[0] == 1 && x->val.dim[1] == k->at[k->b];
    return op_dropout_packed(p->tape, x, p->train ? rate : 0, stream, packed ? k : NULL);
}

/* ---- the stock of analysis */

Var *hook_capture(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at, (void)in;
    Capture *c = user;
    if (c->value.data && c->value.dtype == out->val.dtype && tensor_same_shape(c->value, out->val))
        memcpy(c->value.data, out->val.data, tensor_bytes(out->val));
    else
        c->value = tensor_copy(c->arena, out->val);
    return out;
}

Var *hook_peek(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p;
    const Peek *k = user;
    k->see(at, in ? in->val : (Tensor){0}, out->val, k->user);
    return out;
}
