/* How a method's parameters are used, counted and named, and the configs that it refuses. */
#include "tiny.h"

#include "peft/place.h"

/* ---- counting uses: the linker sends every call of tape_param here (see the Makefile) */

Var *__real_tape_param(Tape *, Param *);
Var *__wrap_tape_param(Tape *, Param *);
enum { COUNTED = 1024 };
static struct {
    const Param *param[COUNTED];
    int uses[COUNTED], n;
    bool on;
} counter;

Var *__wrap_tape_param(Tape *t, Param *p)
{
    if (counter.on && p) {
        int i = 0;
        while (i < counter.n && counter.param[i] != p) i++;
        if (i == counter.n) {
            assert_true(counter.n < COUNTED);
            counter.param[counter.n++] = p;
            counter.uses[i] = 0;
        }
        counter.uses[i]++;
    }
    return __real_tape_param(t, p);
}

static int uses_of(const Param *p)
{
    for (int i = 0; i < counter.n; i++)
        if (counter.param[i] == p) return counter.uses[i];
    return 0;
}

/* How often one pass uses a parameter: once, except that a tied virtual token makes a key and a value, and the MLP of
 * a part serves the keys and values of all its layers.  VeRA's shared pair is a constant. */
static int promised_uses(const Model *m, const char *name)
{
    if (str_glob("peft.prefix.*.slots", name)) return 2;
    if (str_glob("peft.prefix.*.table|peft.prefix.*.mlp.*", name))
        for (Part p = 0; p < PART_COUNT; p++)
            if (str_glob(str_print(m->run, "peft.prefix.%s.*", part_name(p)), name)) return 2 * model_layers(m, p);
    for (int i = 0; i < m->n_outer; i++) /* as often as the matrix that it changes */
        if (str_glob(str_print(m->run, "peft.*.%s.*", m->outer[i].name), name))
            return str_glob("*.no_bias", name) ? 0 : uses_of(m->outer[i].w);
    return !str_glob("peft.vera.A|peft.vera.B", name);
}

static void each_parameter_is_used_as_often_as_promised(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < n; i++) {
            Arenas a = arenas();
            Model *m = tiny(&a.run, *arch, F32);
            Hooks *hooks = hooks_new(&a.run);
            if (attach_variant(&v[i], m, hooks)) {
                counter.n = 0;
                counter.on = true;
                logits_of(&a, m, hooks, tiny_batch(&a.run, m, false, false));
                counter.on = false;
                for (int j = 0; j < params_n(m->params); j++) {
                    const Param *p = params_at(m->params, j);
                    if (strncmp(p->name, "peft.", 5) != 0) continue;
                    EXPECT(uses_of(p) == promised_uses(m, p->name), "%s: %s is used %d times, expected %d",
                           (*arch)->name, p->name, uses_of(p), promised_uses(m, p->name));
                }
            }
            err_clear();
            arenas_close(&a);
        }
}

/* ---- random numbers: the linker sends every call of pass_stream from another file here */

uint64_t __real_pass_stream(const Pass *, Where, const char *);
uint64_t __wrap_pass_stream(const Pass *, Where, const char *);
static struct {
    uint64_t stream[COUNTED];
    int n, again;
    bool on;
} drawn;

uint64_t __wrap_pass_stream(const Pass *p, Where at, const char *purpose)
{
    uint64_t stream = __real_pass_stream(p, at, purpose);
    if (!drawn.on) return stream;
    for (int i = 0; i < drawn.n; i++) drawn.again += drawn.stream[i] == stream;
    assert_true(drawn.n < COUNTED);
    drawn.stream[drawn.n++] = stream;
    return stream;
}

/* Two dropouts with the same draws would leave out the same elements, which neither of them shows. */
static void no_two_dropouts_share_their_draws(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < 2 * n; i++) {
            Arenas a = arenas();
            Config c = tiny_config(*arch);
            c.classes = i % 2 ? 2 : 0;
            c.dropout = c.attn_dropout = c.head_dropout = 0.1;
            Model *m = open_stirred(&a.run, &c, F32);
            Hooks *hooks = hooks_new(&a.run);
            if (attach_variant(&v[i / 2], m, hooks)) {
                Pass p = {.tape = tape_open(&a.step, true), .hooks = hooks, .seed = 6, .train = true};
                drawn.n = drawn.again = 0;
                drawn.on = true;
                model_loss(m, &p, tiny_batch(&a.run, m, true, i % 2));
                drawn.on = false;
                EXPECT(drawn.n > 2 && drawn.again == 0, "%s, %s: of %d streams %d come twice", (*arch)->name,
                       v[i / 2].name, drawn.n, drawn.again);
            }
            err_clear();
            arenas_close(&a);
        }
}

/* ---- counts */

/* The body of a model is every parameter that belongs to no head, from the first to the last. */
static void the_body_is_all_but_heads(void **state)
{
    (void)state;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++) {
        Arenas a = arenas();
        Config c = tiny_config(*arch);
        c.classes = 2;
        Model *m = open_stirred(&a.run, &c, F32);
        int64_t body = 0;
        params_train(m->params, "*", false);
        place_body_train(m, "*");
        for (int i = 0; i < params_n(m->params); i++) {
            const Param *p = params_at(m->params, i);
            EXPECT(p->trainable == !peft_is_head(p->name), "%s: %s", (*arch)->name, p->name);
            if (!peft_is_head(p->name)) body += tensor_count(p->val);
        }
        assert_int_equal(place_body_count(m, &(PeftConfig){0}, "*"), body);
        arenas_close(&a);
    }
}

static void counts_agree_with_what_is_attached(void **state)
{
    (void)state;
    Variant v[VARIANTS_MAX];
    int n = variants(v);
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (int i = 0; i < n; i++) {
            Arenas a = arenas();
            Config c = tiny_config(*arch);
            c.classes = (*arch)->classify ? 3 : 0;
            Model *m = open_stirred(&a.run, &c, F32);
            Hooks *hooks = hooks_new(&a.run);
            PeftConfig cfg = variant_config(&v[i], m);
            if (attach_variant(&v[i], m, hooks)) {
                int64_t counted = peft_find(v[i].method)->count(m, &cfg),
                        trains = params_count(m->params, NULL, true);
                EXPECT(counted + peft_head_count(m) == trains, "%s on %s counts %lld and a head of %lld, trains %lld",
                       v[i].name, (*arch)->name, (long long)counted, (long long)peft_head_count(m),
                       (long long)trains);
                if (c.classes) EXPECT(peft_head_count(m) > 0, "%s: the head is not found", (*arch)->name);
            }
            err_clear();
            arenas_close(&a);
        }
}

/* Published counts, on one layer of each stack at full width; all but the MLP prefix and BitFit grow with layers. */
static const struct {
    const char *arch;
    int layers, decoder_layers, dim, heads, hidden;
} REAL[] = {{"roberta", 12, 0, 768, 12, 3072}, {"bart", 6, 6, 768, 12, 3072}, {"t5", 12, 12, 768, 12, 3072}};
static const struct {
    const char *method;
    int width;
    int64_t count[3]; /* CodeBERT, PLBART, CodeT5-base; 0: not listed */
} PUBLISHED[] = {
    {"lora", 0, {294912, 442368, 884736}},
    {"pfeiffer", 0, {894528, 894528, 1789056}},
    {"houlsby", 0, {1789056, 1789056, 3578112}},
    {"parallel", 0, {7091712, 7091712, 14183424}},
    {"prefix", 0, {368640, 552960, 1105920}},
    {"ia3", 0, {55296, 0, 0}},
    {"dora", 0, {294912 + 24 * 768, 442368 + 36 * 768, 884736 + 72 * 768}}, /* LoRA and a magnitude a row */
    {"loreft", 0, {73776, 73776, 147552}},                                  /* 2 r C + r a layer, r = 4 */
    {"vera", 0, {24 * (768 + 256), 36 * (768 + 256), 72 * (768 + 256)}}};

static Model *one_layer(Arena *run, int i, int layers)
{
    const Arch *arch = arch_find(REAL[i].arch);
    Config c = {0};
    arch->defaults(&c);
    c.vocab = 16;
    if (c.positions) c.positions = 32;
    c.dim = REAL[i].dim;
    c.heads = REAL[i].heads;
    c.head_dim = 0;
    c.hidden = REAL[i].hidden;
    c.layers = layers;
    if (REAL[i].decoder_layers) c.decoder_layers = layers;
    Model *m = NULL;
    Status s = model_open(&m, run, &c, F32, 1);
    EXPECT(s == OK, "%s: %s", REAL[i].arch, err_message());
    return m;
}

static int64_t count_of(const Model *m, const char *method, void (*set)(PeftConfig *))
{
    const Peft *p = peft_find(method);
    PeftConfig cfg = {0};
    p->defaults(&cfg, &m->config);
    if (set) set(&cfg);
    return p->count(m, &cfg);
}

static void mlp_of_30(PeftConfig *cfg)
{
    cfg->kind = PREFIX_MLP;
    cfg->length = 30;
    cfg->width = 512;
}

static void published_counts(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        if (!arch_find(REAL[i].arch)) continue;
        Arenas a = arenas();
        Model *m = one_layer(&a.run, i, 1);
        for (size_t j = 0; j < sizeof PUBLISHED / sizeof *PUBLISHED; j++) {
            int64_t n = REAL[i].layers * count_of(m, PUBLISHED[j].method, NULL);
            EXPECT(!PUBLISHED[j].count[i] || n == PUBLISHED[j].count[i],
                   "%s on %s has %lld parameters, published %lld", PUBLISHED[j].method, REAL[i].arch, (long long)n,
                   (long long)PUBLISHED[j].count[i]);
        }
        arenas_close(&a);
    }
    if (!arch_find("roberta")) return;
    Arenas a = arenas();
    const Model *one = one_layer(&a.run, 0, 1), *two = one_layer(&a.run, 0, 2);
    int64_t bias1 = count_of(one, "bitfit", NULL), bias2 = count_of(two, "bitfit", NULL);
    assert_int_equal(bias1 + 11 * (bias2 - bias1), 102144);
    int64_t mlp1 = count_of(one, "prefix", mlp_of_30), mlp2 = count_of(two, "prefix", mlp_of_30);
    assert_int_equal(mlp1 + 11 * (mlp2 - mlp1), 9872384);
    arenas_close(&a);
}

static void a_budget_is_met_from_below(void **state)
{
    (void)state;
    for (const Arch *const *arch = arch_begin(); arch < arch_end(); arch++)
        for (const Peft *const *p = peft_begin(); p < peft_end(); p++) {
            Arenas a = arenas();
            Model *m = tiny(&a.run, *arch, F32);
            PeftConfig cfg = {0};
            (*p)->defaults(&cfg, &m->config);
            Status s = peft_fit(*p, m, &cfg, 5000);
            if ((*p)->knob) {
                assert_int_equal(s, OK);
                int64_t fits = (*p)->count(m, &cfg);
                ++*(*p)->knob(&cfg);
                EXPECT(fits <= 5000 && (*p)->count(m, &cfg) > 5000, "%s on %s: %lld for a budget of 5000", (*p)->name,
                       (*arch)->name, (long long)fits);
                assert_int_equal(peft_fit(*p, m, &cfg, 3), E_CONFIG);
            } else
                assert_int_equal(s, E_CONFIG);
            err_clear();
            arenas_close(&a);
        }
}

/* ---- refusals */

static void zero_rank(PeftConfig *c)
{
    c->rank = 0;
}
/* Short: only against the ending itself is it near enough. */
static void short_target(PeftConfig *c)
{
    c->target = "*.ky";
}

static void wrong_target(PeftConfig *c)
{
    c->target = "*.qurey";
}
static void no_length(PeftConfig *c)
{
    c->length = 0;
}
static void too_long(PeftConfig *c)
{
    c->length = 1000;
}
static void no_part(PeftConfig *c)
{
    memset(c->on, 0, sizeof c->on);
}
static void reserved_but_free(PeftConfig *c)
{
    c->reserved = c->length;
}
static void reserved_but_other(PeftConfig *c)
{
    c->kind = PREFIX_TIED;
    c->reserved = c->length - 1;
}
static void full_dropout(PeftConfig *c)
{
    c->dropout = 1;
}
static void no_width(PeftConfig *c)
{
    c->width = -1;
}

static void large_rank(PeftConfig *c)
{
    c->rank = 13;
}
static void no_end(PeftConfig *c)
{
    c->positions = "f3+x1";
}
static void one_end_twice(PeftConfig *c)
{
    c->positions = "f3+f1";
}
static void with_cross(PeftConfig *c)
{
    c->on[PART_CROSS] = true;
}

static void impossible_settings_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *method, *says;
        void (*set)(PeftConfig *);
    } cases[] = {{"lora", "rank is 0", zero_rank},
                 {"lora", "nearest is \"*.query\"", wrong_target},
                 {"lora", "nearest is \"*.key\"", short_target},
                 {"lora", "their names end in", wrong_target},
                 {"lora", "dropout is 1", full_dropout},
                 {"lora", "none of the parts", no_part},
                 {"ia3", "none of the parts", no_part},
                 {"prefix", "length is 0", no_length},
                 {"prefix", "only a tied prefix", reserved_but_free},
                 {"prefix", "19 reserved", reserved_but_other},
                 {"prefix", "none of the parts", no_part},
                 {"prompt", "length is 0", no_length},
                 {"prompt", "1000 virtual tokens", too_long},
                 {"loreft", "rank is 13, expected 1 to 12", large_rank},
                 {"loreft", "\"f3+x1\", expected all, f3", no_end},
                 {"loreft", "\"f3+f1\", expected all, f3", one_end_twice},
                 {"loreft", "cross-attention", with_cross},
                 {"houlsby", "no bottleneck", no_width},
                 {"pfeiffer", "none of the parts", no_part}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Arenas a = arenas();
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        const Peft *p = peft_find(cases[i].method);
        PeftConfig cfg = {0};
        p->defaults(&cfg, &m->config);
        cases[i].set(&cfg);
        int before = params_n(m->params);
        assert_int_equal(peft_attach(p, m, hooks_new(&a.run), &cfg), E_CONFIG);
        EXPECT(strstr(err_message(), cases[i].says), "expected \"%s\" in: %s", cases[i].says, err_message());
        assert_int_equal(params_n(m->params), before);
        err_clear();
        arenas_close(&a);
    }
}

static void t5_has_no_biases(void **state)
{
    (void)state;
    Arenas a = arenas();
    Model *m = tiny(&a.run, arch_find("t5"), F32);
    PeftConfig cfg = {0};
    assert_int_equal(peft_attach(peft_find("bitfit"), m, hooks_new(&a.run), &cfg), E_CONFIG);
    assert_non_null(strstr(err_message(), "t5 has none: take norms"));
    err_clear();
    assert_int_equal(peft_attach(peft_find("norms"), m, hooks_new(&a.run), &cfg), OK);
    arenas_close(&a);
}

/* A method that is not attached cannot be folded, and the error says so. */
static void only_the_attached_is_folded(void **state)
{
    (void)state;
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++) {
        if (!(*p)->merge) continue;
        Arenas a = arenas();
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        const Variant v = {(*p)->name, (*p)->name, NULL};
        PeftConfig cfg = variant_config(&v, m);
        for (int undo = 0; undo < 2; undo++) {
            assert_int_equal((undo ? (*p)->unmerge : (*p)->merge)(m, &cfg), E_CONFIG);
            EXPECT(strstr(err_message(), (*p)->name) && strstr(err_message(), "is not attached"), "%s",
                   err_message());
            err_clear();
        }
        arenas_close(&a);
    }
}

static void a_method_attaches_once(void **state)
{
    (void)state;
    Arenas a = arenas();
    Model *m = tiny(&a.run, arch_find("gpt2"), F32);
    Hooks *hooks = hooks_new(&a.run);
    const Variant lora = {"lora", "lora", NULL};
    assert_true(attach_variant(&lora, m, hooks));
    assert_false(attach_variant(&lora, m, hooks));
    assert_non_null(strstr(err_message(), "attached to this model already"));
    err_clear();
    arenas_close(&a);
}

SUITE(cmocka_unit_test(no_two_dropouts_share_their_draws), cmocka_unit_test(the_body_is_all_but_heads),
      cmocka_unit_test(each_parameter_is_used_as_often_as_promised),
      cmocka_unit_test(counts_agree_with_what_is_attached), cmocka_unit_test(published_counts),
      cmocka_unit_test(a_budget_is_met_from_below), cmocka_unit_test(impossible_settings_are_refused),
      cmocka_unit_test(t5_has_no_biases), cmocka_unit_test(a_method_attaches_once),
      cmocka_unit_test(only_the_attached_is_folded))
