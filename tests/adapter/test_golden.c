/* Adapters of the libraries that defined the methods, opened from their directories: the same base gives their
 * logits, losses and gradient norms.  Every directory of the golden files is a test; none are run where these are not
 * at hand. */
#include "golden_walk.h"

static Batch inputs(Walked *w)
{
    Golden *g = &w->g;
    const Model *m = w->m;
    Ids x = golden_ids(g, "adapted", "inputs", "input_ids");
    int32_t *len = golden_len(g, "adapted", "attention_mask");
    if (!golden_get(g, "adapted", "inputs", "labels")) return (Batch){.b = x.b, .t = x.t, .ids = x.id, .len = len};
    Ids y = golden_ids(g, "adapted", "inputs", "labels");
    int32_t *moved = NEW(&g->run, int32_t, y.b * y.t);
    if (m->arch->decode) {
        batch_shift_right(moved, &m->config, y.id, y.b, y.t);
        return (Batch){.b = x.b, .s = x.t, .src = x.id, .src_len = len, .t = y.t, .ids = moved, .target = y.id};
    }
    if (m->config.classes) return (Batch){.b = x.b, .t = x.t, .ids = x.id, .len = len, .label = y.id};
    if (m->decoder)
        for (int64_t i = 0; i < y.b * y.t; i++) moved[i] = (i + 1) % y.t ? y.id[i + 1] : -1;
    return (Batch){.b = x.b, .t = x.t, .ids = x.id, .len = len, .target = m->decoder ? moved : y.id};
}

/* The loss of a model without a head: the mean of its last states' even columns, over all rows and positions.  It
 * counts the rows of padding too, so that the model may not leave them out (as_it_is). */
static void even_mean_backward(Tape *t, Var *out)
{
    Var *h = out->in[0];
    Tensor d = tape_grad(t, h, NULL);
    int64_t c = tensor_last(d), n = tensor_count(d) / c * ((c + 1) / 2);
    for (int64_t i = 0; i < tensor_count(d); i++)
        if (i % c % 2 == 0) tensor_set(d, i, tensor_get(d, i) + tensor_get(out->grad, 0) / (double)n);
}

static Var *even_mean(Tape *t, Var *h)
{
    static const Op EVEN_MEAN = {"even_mean", even_mean_backward, NULL};
    int64_t c = tensor_last(h->val), n = tensor_count(h->val) / c * ((c + 1) / 2);
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(h->val); i++)
        if (i % c % 2 == 0) sum += tensor_get(h->val, i);
    Tensor y = tape_alloc(t, F32, SHAPE(1));
    tensor_set(y, 0, sum / (double)n);
    return tape_push(t, &EVEN_MEAN, y, h, NULL, NULL, NULL, 0);
}

/* ---- gradients */

static void cut(char *name, const char *what)
{
    for (char *at; (at = strstr(name, what));) memmove(at, at + strlen(what), strlen(at + strlen(what)) + 1);
}

/* A tensor's name whatever the library calls it while it trains: without the adapter's own name where a file has
 * none, and without the module through which a shared prefix was reached. */
static const char *common(Arena *a, const char *name)
{
    const char *shared = strstr(name, "prefix_tunings.");
    char *s = str_print(a, "%s", shared ? shared : name);
    cut(s, ".default");
    cut(s, ".modules_to_save");
    if (!strcmp(s, "prompt_encoder.embedding.weight")) return "prompt_embeddings";
    size_t n = strlen(s);
    if (n > 7 && !strcmp(s + n - 7, ".weight")) s[n - 7] = 0;
    return s;
}

static double norm(Tensor g)
{
    double sum = 0;
    for (int64_t i = 0; i < tensor_count(g); i++) sum += pow(tensor_get(g, i), 2);
    return sqrt(sum);
}

/* The gradient of a tensor of the file: those of its parameters, each in its place. */
static double tensor_norm(Walked *w, const char *golden_name, bool *found)
{
    Arena *run = &w->g.run;
    const char *name = common(run, golden_name);
    Tensor sum = {0};
    *found = false;
    for (int i = 0; i < w->a->n_bindings; i++) {
        const Binding *b = &w->a->binding[i];
        if (strcmp(common(run, b->tensor), name) != 0) continue;
        if (!*found) sum = tensor_zero(run, F64, b->rank, b->dim);
        *found = true;
        int64_t n = tensor_last(b->param->val);
        for (int64_t j = 0; j < tensor_count(b->param->val) && b->param->grad.data; j++) {
            int64_t at = b->first + j / n * b->row + j % n;
            tensor_set(sum, at, tensor_get(sum, at) + tensor_get(b->param->grad, j));
        }
    }
    if (*found) return norm(sum);
    const Param *p = param_find(w->m->params, golden_name); /* a head of the base, trained along */
    *found = p && p->grad.data;
    return *found ? norm(p->grad) : 0;
}

/* Not comparable: AdaLoRA's loss has a penalty that belongs to its training; a prefix that came through an MLP is
 * saved as the output of the MLP. */
static bool has_gradients(const Walked *w, const cJSON *norms)
{
    const cJSON *j;
    cJSON_ArrayForEach(j, norms)
    {
        if (strstr(j->string, "prompt_encoder.default.transform")) return false;
    }
    return norms && strcmp(w->a->kind, "ADALORA") != 0;
}

static void compare_gradients(Walked *w)
{
    const cJSON *norms = golden_get(&w->g, "adapted", "outputs", "grad_norms"), *j;
    double largest = 0; /* a key's bias has no gradient but rounding */
    if (!has_gradients(w, norms)) return;
    cJSON_ArrayForEach(j, norms) largest = fmax(largest, j->valuedouble);
    cJSON_ArrayForEach(j, norms)
    {
        bool found;
        double got = tensor_norm(w, j->string, &found), want = j->valuedouble;
        EXPECT(found, "%s: nothing here has the gradient of %s", w->g.dir, j->string);
        EXPECT(fabs(got - want) <= 2e-4 * want + 1e-6 * largest, "%s: gradient norm of %s is %.9g, expected %.9g",
               w->g.dir, j->string, got, want);
    }
}

static void compare_loss(Walked *w, Pass *p, Var *loss)
{
    double want = golden_get(&w->g, "adapted", "outputs", "loss")->valuedouble;
    if (strcmp(w->a->kind, "ADALORA") != 0)
        EXPECT(fabs(tape_scalar(loss) - want) <= 2e-5 * fmax(1, fabs(want)), "%s: loss %.9g, expected %.9g", w->g.dir,
               tape_scalar(loss), want);
    tape_backward(p->tape, loss);
    compare_gradients(w);
}

/* A hook that may look at any row: a batch is not packed for it. */
static Var *as_it_is(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at, (void)in, (void)user;
    return out;
}

static void compare(void **state)
{
    Walked w;
    walk_open(&w, *state);
    Golden *g = &w.g;
    Batch x = inputs(&w);
    Pass p = {.tape = tape_open(&g->step, true), .hooks = w.hooks};
    params_zero_grad(w.m->params);
    if (x.label) {
        Tensor y = model_classes(w.m, &p, &x)->val;
        EXPECT_GOLDEN(tensor_reshape(y, SHAPE(y.dim[0], y.dim[2])), g, "adapted", "logits", NULL);
        compare_loss(&w, &p, model_loss(w.m, &p, &x));
    } else if (x.target) {
        EXPECT_GOLDEN(model_logits(w.m, &p, &x)->val, g, "adapted", "logits", w.m->arch->decode ? NULL : x.len);
        compare_loss(&w, &p, model_loss(w.m, &p, &x));
    } else {
        hook_add(w.hooks, (Where){SITE_RESID, LAYER_ANY, PART_ANY}, as_it_is, NULL);
        Var *h = model_hidden(w.m, &p, &x);
        EXPECT_GOLDEN(h->val, g, "adapted", "last_hidden", x.len);
        compare_loss(&w, &p, even_mean(p.tape, h));
    }
    walk_close(&w);
}

static void nothing_at_hand(void **state)
{
    (void)state;
    skip();
}

int main(void)
{
    static struct CMUnitTest tests[WALK_MOST];
    Arena a = arena_open(1 << 24);
    int n = walk(&a, tests, compare);
    if (!n) tests[n++] = (struct CMUnitTest){"golden adapters", nothing_at_hand, NULL, NULL, NULL};
    return _cmocka_run_group_tests("golden adapters", tests, (size_t)n, NULL, NULL) != 0;
}
