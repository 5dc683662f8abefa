/* Adapters as directories: they are read back to the bit, those of a library are written again as they were,
 * and a converted one acts as before or the error says why not. */
#include "golden_walk.h"

#include <unistd.h>

#include "nn/build.h"
#include "nn/rope.h"
#include "peft/tiny.h"

static const char *const LIBRARY[] = {"hf", "adapters"};

static const char *new_dir(Arena *a)
{
    char *dir = str_print(a, "/tmp/vernier-disk-XXXXXX");
    assert_non_null(mkdtemp(dir));
    return dir;
}

static void remove_dir(Arena *a, const char *dir)
{
    DIR *d = opendir(dir);
    for (const struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') unlink(str_print(a, "%s/%s", dir, e->d_name));
    closedir(d);
    rmdir(dir);
}

/* ---- our own */

static void expect_same_params(const Model *m, const Model *k, const char *what)
{
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i), *q = param_find(k->params, p->name);
        if (!str_glob("peft.*", p->name) && !build_is_class_head(p->name)) continue;
        if (str_glob("*.no_bias", p->name)) continue; /* room for merging, in no file */
        EXPECT(q && tensor_same_shape(p->val, q->val), "%s: %s does not come back", what, p->name);
        EXPECT(!memcmp(p->val.data, q->val.data, tensor_bytes(p->val)), "%s: %s comes back changed", what, p->name);
    }
}

/* Writes, reads onto the same base, writes that again: parameters and logits to the bit.  False: refused. */
static bool goes_round(Arenas *a, const Arch *arch, const Variant *v, const char *library, int classes)
{
    Config c = tiny_config(arch);
    c.classes = arch->classify ? classes : 0;
    Model *m = open_stirred(&a->run, &c, F32), *k = open_stirred(&a->run, &c, F32);
    Hooks *hooks = hooks_new(&a->run), *again = hooks_new(&a->run);
    PeftConfig cfg = variant_config(v, m);
    const char *what = str_print(&a->run, "%s on %s as %s", v->name, arch->name, library);
    if (peft_attach(peft_find(v->method), m, hooks, &cfg)) return false;
    stir(m, cfg.bias == BIAS_ALL ? "peft.*|*.bias" : "peft.*", 0.4, 8);
    Adapter *x = adapter_of(m, peft_find(v->method), &cfg, "mine"), *y;
    const char *dir = new_dir(&a->run);
    bool done = !adapter_convert(&x, x, library_find(library), false) && !adapter_save(x, dir);
    if (done) {
        bool moved = x->model != m; /* then its own parameters were written */
        EXPECT(adapter_open(&y, &a->run, dir) == OK, "%s: %s", what, err_message());
        EXPECT(adapter_attach(y, k, again) == OK, "%s: %s", what, err_message());
        expect_same_params(x->model, k, what);
        const Batch *b = tiny_batch(&a->run, m, true, false);
        bool rotary = rope_dims(&c) > 0; /* then a turn of the keys makes up for positions that differ */
        bool elsewhere = str_glob("displaced|prompt*|late", v->name) || (!rotary && str_glob("prefix*", v->name));
        elsewhere |= !strcmp(v->method, "dora") && cfg.plain_norm != !strcmp(library, "adapters"); /* says so, too */
        double gap = elsewhere ? 0 : largest_gap(logits_of(a, m, hooks, b), logits_of(a, k, again, b));
        EXPECT(gap <= (moved || !strcmp(arch->name, "gpt2") ? 1e-4 : 0), "%s: logits move by %.2g", what, gap);
        adapter_close(y);
    } else {
        EXPECT(err_message()[0], "%s: refused without a word", what);
    }
    remove_dir(&a->run, dir);
    err_clear();
    return done;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    for (int l = 0; l < 2; l++) {
        printf("# written as %s and read\n# %-16s", LIBRARY[l], "");
        for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++) printf(" %8s", (*arch)->name);
        printf("\n");
        for (int i = 0; i < n; i++) {
            printf("# %-16s", v[i].name);
            for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++) {
                Arenas a = arenas();
                printf(" %8s", goes_round(&a, *arch, &v[i], LIBRARY[l], 3) ? "yes" : "-");
                err_clear();
                arenas_close(&a);
            }
            printf("\n");
        }
    }
    static const char *const both[] = {"lora", "ia3", "prefix"}, *const hub[] = {"houlsby", "pfeiffer", "parallel"};
    Arenas a = arenas();
    for (int i = 0; i < 3; i++)
        assert_true(goes_round(&a, arch_find("t5"), &(Variant){hub[i], hub[i], NULL}, "adapters", 0));
    assert_true(goes_round(&a, arch_find("gpt2"), &(Variant){both[0], both[0], NULL}, "adapters", 0));
    for (int i = 0; i < 3; i++)
        assert_true(goes_round(&a, arch_find("roberta"), &(Variant){both[i], both[i], NULL}, "hf", 2));
    arenas_close(&a);
}

/* A bare encoder's file fits a model with a head, whose names have a prefix, and the other way round. */
static void the_prefix_of_names_does_not_matter(void **state)
{
    (void)state;
    static const char *const method[] = {"lora", "houlsby", "prefix", "ia3"};
    for (int l = 0; l < 2; l++)
        for (int i = 0; i < 4; i++)
            for (int bare = 0; bare < 2; bare++) {
                Arenas a = arenas();
                Config c = tiny_config(arch_find("roberta"));
                c.no_lm_head = bare;
                Model *m = open_stirred(&a.run, &c, F32), *k;
                c.no_lm_head = !bare;
                k = open_stirred(&a.run, &c, F32);
                Variant v = {method[i], method[i], NULL};
                PeftConfig cfg = variant_config(&v, m);
                const char *dir = new_dir(&a.run);
                assert_int_equal(peft_attach(peft_find(v.method), m, hooks_new(&a.run), &cfg), OK);
                stir(m, "peft.*", 0.4, 8);
                Adapter *x = adapter_of(m, peft_find(v.method), &cfg, "mine"), *y;
                if (!adapter_convert(&x, x, library_find(LIBRARY[l]), true) && !adapter_save(x, dir)) {
                    assert_int_equal(adapter_open(&y, &a.run, dir), OK);
                    EXPECT(adapter_attach(y, k, hooks_new(&a.run)) == OK, "%s: %s", v.name, err_message());
                    expect_same_params(x->model, k, v.name);
                    adapter_close(y);
                }
                err_clear();
                remove_dir(&a.run, dir);
                arenas_close(&a);
            }
}

/* ---- the libraries' */

static bool is_double(const char *name)
{
    return str_glob("*.prefix_tuning.pool.*|*.original_module.*|*.modules_to_save.*", name);
}

static void expect_same_tensors(const Weights *x, const Weights *y, const char *dir)
{
    int n = 0;
    for (int i = 0; i < weights_n(x); i++) {
        const Stored *s = weights_at(x, i), *t = weights_find(y, s->name);
        if (is_double(s->name)) continue;
        n++;
        EXPECT(t, "%s: %s is not written again", dir, s->name);
        EXPECT(!strcmp(stored_shape(s), stored_shape(t)), "%s: %s is written as %s, not %s", dir, s->name,
               stored_shape(t), stored_shape(s));
        for (int64_t j = 0; j < s->count; j++)
            EXPECT(stored_get(s, j) == stored_get(t, j), "%s: %s[%lld] is written as %g, not %g", dir, s->name,
                   (long long)j, stored_get(t, j), stored_get(s, j));
    }
    EXPECT(n == weights_n(y), "%s: %d tensors are written, not %d", dir, weights_n(y), n);
}

/* AdaLoRA is written as the LoRA it was read as. */
static void a_directory_is_written_again(void **state)
{
    Walked w;
    walk_open(&w, *state);
    const char *dir = new_dir(&w.g.run);
    bool folded = !strcmp(w.a->kind, "ADALORA");
    EXPECT(adapter_save(w.a, dir) == OK, "%s: %s", w.g.dir, err_message());
    Adapter *b;
    EXPECT(adapter_open(&b, &w.g.run, dir) == OK, "%s: %s", w.g.dir, err_message());
    if (!folded) expect_same_tensors(w.a->weights, b->weights, w.g.dir);
    adapter_close(b);
    remove_dir(&w.g.run, dir);
    walk_close(&w);
}

static Tensor answers(Walked *w, Model *m, const Hooks *hooks)
{
    Ids x = golden_ids(&w->g, "adapted", "inputs", "input_ids");
    const int32_t *len = golden_len(&w->g, "adapted", "attention_mask");
    Batch b = {.b = x.b, .t = x.t, .ids = x.id, .len = len};
    if (m->arch->decode) b.s = x.t, b.src = x.id, b.src_len = len, b.len = NULL;
    Pass p = {.tape = tape_open(&w->g.step, false), .hooks = hooks};
    return tensor_copy(&w->g.run, m->config.classes ? model_classes(m, &p, &b)->val : model_hidden(m, &p, &b)->val);
}

/* Either it acts as before on the base it was trained on, or a remark or the refusal names the difference. */
static void a_directory_is_converted(void **state)
{
    Walked w;
    walk_open(&w, *state);
    Arena *run = &w.g.run;
    const Library *to = library_find(strcmp(library_name(w.a->library), "hf") ? "hf" : "adapters");
    Adapter *b, *c;
    const char *dir = new_dir(run);
    Status s = adapter_convert(&b, w.a, to, false);
    if (!s) s = adapter_save(b, dir);
    if (s) {
        EXPECT(s == E_MISMATCH && err_message()[0], "%s: %d, %s", w.g.dir, (int)s, err_message());
        printf("# %s: %s\n", (const char *)*state + 8, err_message());
        err_clear();
    } else {
        const cJSON *base = cJSON_GetObjectItem(cJSON_GetObjectItem(w.g.root, "meta"), "base");
        Model *m;
        Hooks *hooks = hooks_new(run);
        EXPECT(adapter_open(&c, run, dir) == OK, "%s: %s", w.g.dir, err_message());
        EXPECT(model_load_as(&m, run, str_print(run, "%s/../../../../%s", w.g.dir, base->valuestring),
                             &(LoadOptions){.classes = adapter_classes(c)}) == OK &&
                   adapter_attach(c, m, hooks) == OK,
               "%s: %s", w.g.dir, err_message());
        double gap = golden_gap(answers(&w, m, hooks), answers(&w, w.m, w.hooks), NULL).rel;
        EXPECT(b->n_remarks || gap < 2e-5, "%s: converted, it is off by %.2g, and no remark says why", w.g.dir, gap);
        for (int i = 0; i < b->n_remarks; i++)
            printf("# %s: %.1e, %s\n", (const char *)*state + 8, gap, b->remark[i]);
        adapter_close(c);
    }
    remove_dir(run, dir);
    walk_close(&w);
}

/* ---- for tests of the command: tiny models and adapters, below `dir` */

static void make_on(Arenas *a, Model *m, const char *out, const char *method, const char *library)
{
    Variant v = {method, method, NULL};
    PeftConfig cfg = variant_config(&v, m);
    Status s = peft_attach(peft_find(method), m, hooks_new(&a->run), &cfg);
    stir(m, "peft.*", 0.4, 8);
    Adapter *x = adapter_of(m, peft_find(method), &cfg, "mine");
    if (!s) s = adapter_convert(&x, x, library_find(library), false);
    if (!s) s = adapter_save(x, out);
    if (s) fprintf(stderr, "%s: %s\n", out, err_message());
}

static void make(const char *dir, const char *arch, const char *name, const char *method, const char *library,
                 int classes)
{
    Arenas a = arenas();
    Config c = tiny_config(arch_find(arch));
    if (model_save(open_stirred(&a.run, &c, F32), str_print(&a.run, "%s/%s", dir, arch)))
        fprintf(stderr, "%s: %s\n", arch, err_message());
    c.classes = classes;
    make_on(&a, open_stirred(&a.run, &c, F32), str_print(&a.run, "%s/%s", dir, name), method, library);
    arenas_close(&a);
}

static int make_all(const char *dir)
{
    make(dir, "roberta", "lora", "lora", "hf", 0);
    make(dir, "roberta", "tagged", "lora", "hf", 3);
    make(dir, "roberta", "dora", "dora", "adapters", 0);
    make(dir, "roberta", "ia3", "ia3", "hf", 0);
    make(dir, "roberta", "vera", "vera", "hf", 0);
    make(dir, "roberta", "houlsby", "houlsby", "adapters", 0);
    make(dir, "gpt2", "gpt2-lora", "lora", "hf", 0);
    make(dir, "gpt2", "gpt2-prefix", "prefix", "adapters", 0);
    make(dir, "t5", "t5-prefix", "prefix", "adapters", 0);
    return 0;
}

/* For a model that has a tokenizer: an adapter on it, and a GPT-2 of the same vocabulary with one. */
static int make_for(const char *dir, const char *model)
{
    Arenas a = arenas();
    Model *m;
    if (model_load(&m, &a.run, model)) {
        fprintf(stderr, "%s: %s\n", model, err_message());
        return 1;
    }
    Config c = tiny_config(arch_find("gpt2"));
    c.vocab = m->config.vocab;
    c.bos = 0;
    c.eos = 2;
    make_on(&a, m, str_print(&a.run, "%s/filling", dir), "houlsby", "adapters");
    m = open_stirred(&a.run, &c, F32);
    Status s = model_save(m, str_print(&a.run, "%s/wide", dir));
    make_on(&a, m, str_print(&a.run, "%s/wide-prefix", dir), "prefix", "adapters");
    arenas_close(&a);
    return s != OK;
}

int main(int argc, char **argv)
{
    if (argc == 2) return make_all(argv[1]);
    if (argc == 3) return make_for(argv[1], argv[2]);
    static struct CMUnitTest tests[2 * WALK_MOST + 2];
    Arena a = arena_open(1 << 26);
    int n = walk(&a, tests, a_directory_is_written_again);
    n += walk(&a, tests + n, a_directory_is_converted);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(what_is_written_is_read);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(the_prefix_of_names_does_not_matter);
    return _cmocka_run_group_tests("adapters on disk", tests, (size_t)n, NULL, NULL) != 0;
}
