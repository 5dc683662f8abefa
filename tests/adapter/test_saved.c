/* The meaning of PEFT's files beyond their names: the scale of a pruned AdaLoRA, patterns of ranks and alphas, and
 * modules saved whole, which are no longer tied. */
#include "folder.h"

#include "nn/build.h"
#include "nn/config.h"
#include "peft/lora.h"

static const Linear *map_of(const Model *m, const char *name)
{
    for (int i = 0; i < m->n_linears; i++)
        if (!strcmp(m->linears[i].name, name)) return &m->linears[i];
    return NULL;
}

/* ---- AdaLoRA */

static void put_adalora(Dir *d, const char *map, int64_t rank)
{
    dir_noise(d, str_print(d->run, "%s.lora_A", map), rank, 12);
    dir_noise(d, str_print(d->run, "%s.lora_B", map), 12, rank);
    dir_noise(d, str_print(d->run, "%s.lora_E", map), rank, 1);
}

/* The scale is alpha / (init_r + 1e-5) whatever pruning left; a map without a row is not adapted; a count that
 * contradicts the config is refused. */
static void a_pruned_adalora_keeps_its_scale(void **state)
{
    (void)state;
    static const char *const CONFIG =
        "{\"peft_type\": \"ADALORA\", \"init_r\": %d, \"lora_alpha\": %g, \"target_modules\": [\"c_fc\", "
        "\"attn.c_proj\"],"
        " \"rank_pattern\": {\"transformer.h.0.mlp.c_fc.lora_E\": [true, false, true, true, false, false],"
        " \"transformer.h.1.mlp.c_fc.lora_E\": [false, false, false, false, false, false],"
        " \"transformer.h.0.attn.c_proj.lora_E\": [false, true, false, false, false, false]}}";
    static const struct {
        const char *name;
        int rank;
    } MAPS[] = {{"h.0.mlp.c_fc", 3}, {"h.0.attn.c_proj", 1}, {"h.1.attn.c_proj", 6}};
    for (int sign = 1; sign >= -1; sign -= 2) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find("gpt2"), F32);
        put_adalora(&d, "transformer.h.0.attn.c_proj", 1);
        put_adalora(&d, "transformer.h.1.attn.c_proj", 6);
        dir_noise(&d, "transformer.h.0.mlp.c_fc.lora_A", 3, 12);
        dir_noise(&d, "transformer.h.0.mlp.c_fc.lora_B", 22, 3);
        dir_noise(&d, "transformer.h.0.mlp.c_fc.lora_E", 3, 1);
        dir_noise(&d, "transformer.h.1.mlp.c_fc.lora_A", 0, 12);
        dir_noise(&d, "transformer.h.1.mlp.c_fc.lora_B", 22, 0);
        dir_noise(&d, "transformer.h.1.mlp.c_fc.lora_E", 0, 1);
        dir_write(&d, str_print(&a.run, CONFIG, 6, 9.0 * sign));
        Adapter *x;
        EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s", err_message());
        for (int i = 0; i < 3; i++) {
            double alpha = sign > 0 ? 9 : MAPS[i].rank; /* without one, the library takes the rank it is left with */
            const Linear *l = map_of(m, MAPS[i].name);
            assert_int_equal(lora_rank(&x->cfg, l), MAPS[i].rank);
            near(lora_scale(&x->cfg, l), alpha / (6 + 1e-5), 1e-12, MAPS[i].name);
        }
        assert_null(param_find(m->params, "peft.lora.h.1.mlp.c_fc.A"));
        adapter_close(x);
        dir_write(&d, str_print(&a.run, CONFIG, 7, 9.0));
        expect_refused(&d, tiny(&a.run, arch_find("gpt2"), F32), "init_r");
        dir_remove(&d);
        arenas_close(&a);
    }
}

/* ---- patterns */

/* Each pattern is looked up alone, and its first key that fits counts (peft 0.14 and later). */
static void patterns_are_matched_each_alone(void **state)
{
    (void)state;
    static const struct {
        const char *ranks, *alphas;
        int rank[2];     /* of layer 0's and layer 1's query */
        double alpha[2]; /* scale is alpha / rank */
    } ROWS[] = {
        {"\"query\": 2", "\"layer.0.attention.self.query\": 7", {2, 2}, {7, 8}},
        {"\"layer.0.attention.self.query\": 2", "\"query\": 32", {2, 4}, {32, 32}},
        {"\"layer.1.attention.self.query\": 3, \"query\": 2", "\"value\": 1", {2, 3}, {8, 8}},
        {"\"query\": 2, \"layer.1.attention.self.query\": 3", "\"layer.1.*query\": 5, \"query\": 6", {2, 2}, {6, 5}},
        {"\"uery\": 2", "\"^roberta.encoder.layer.1.attention.self.query\": 5", {4, 4}, {8, 5}},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        for (int l = 0; l < 2; l++)
            dir_lora(&d, str_print(&a.run, "roberta.encoder.layer.%d.attention.self.query", l), ROWS[i].rank[l], 12,
                     12);
        dir_write(&d, str_print(&a.run,
                                "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 8, \"target_modules\": "
                                "[\"query\"], \"rank_pattern\": {%s}, \"alpha_pattern\": {%s}}",
                                ROWS[i].ranks, ROWS[i].alphas));
        Adapter *x;
        EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s", err_message());
        for (int l = 0; l < 2; l++) {
            const Linear *q = map_of(m, str_print(&a.run, "encoder.layer.%d.attention.self.query", l));
            assert_int_equal(lora_rank(&x->cfg, q), ROWS[i].rank[l]);
            near(lora_scale(&x->cfg, q), ROWS[i].alpha[l] / ROWS[i].rank[l], 1e-12, ROWS[i].alphas);
        }
        adapter_close(x);
        dir_remove(&d);
        arenas_close(&a);
    }
}

/* ---- modules_to_save and tied tables */

typedef struct {
    const char *arch, *map, *table, *head, *saved_table, *saved_head; /* names in the model; modules in the config */
    bool read;          /* a saved copy of the table is read by the reference */
    double head_factor; /* of the head's table in a model that is not tied */
} Family;
static const Family FAMILIES[] = {
    {"gpt2", "c_fc", "wte.weight", "lm_head.weight", "wte", "lm_head", true, 1},
    {"roberta", "query", "embeddings.word_embeddings.weight", "lm_head.decoder.weight", "word_embeddings",
     "lm_head.decoder", true, 1},
    {"bart", "q_proj", "shared.weight", "lm_head.weight", "shared", "lm_head", false, 1},
    {"t5", "wi", "shared.weight", "lm_head.weight", "shared", "lm_head", false, 0.28867513459481287} /* 12^-1/2 */};

static Tensor put_module(Dir *d, const Model *m, const char *param, const Tensor like)
{
    const char *prefix = build_is_any_head(param) ? "" : m->arch->format->prefix;
    return dir_noise(d, str_print(d->run, "%s%s", prefix, param), like.dim[0], like.dim[1]);
}

static void put_maps(Dir *d, const Model *m, const char *end)
{
    for (int i = 0; i < m->n_linears; i++) {
        const Linear *l = &m->linears[i];
        if (!str_glob(str_print(d->run, "*.%s", end), l->name)) continue;
        dir_lora(d, str_print(d->run, "%s%s", m->arch->format->prefix, l->name), 2, l->in, l->out);
    }
}

/* The same model, not tied, each table set by hand, under the same LoRA: the expected answer. */
static Tensor by_hand(Arenas *a, const Family *f, const Dir *d, const Model *m, const Batch *b, const Tensor *table,
                      const Tensor *head)
{
    Config c = m->config;
    Model *k;
    Dir lora = *d;
    Adapter *x;
    c.tie_head = false;
    assert_int_equal(model_open(&k, &a->run, &c, F32, 1), OK);
    for (int i = 0; i < params_n(k->params); i++) {
        Param *p = params_at(k->params, i);
        const Param *q = param_find(m->params, p->name);
        Tensor from = q ? q->val : param_find(m->params, f->table)->val;
        if (table && !strcmp(p->name, f->table)) from = *table;
        if (head && !strcmp(p->name, f->head)) from = *head;
        double factor = strcmp(p->name, f->head) ? 1 : f->head_factor;
        for (int64_t j = 0; j < tensor_count(p->val); j++) tensor_set(p->val, j, factor * tensor_get(from, j));
    }
    lora.dir = str_print(&a->run, "/tmp/vernier-saved-XXXXXX");
    assert_non_null(mkdtemp(lora.dir));
    lora.n = 0;
    for (int i = 0; i < d->n; i++)
        if (strstr(d->at[i].name, ".lora_")) lora.at[lora.n++] = d->at[i];
    dir_write(&lora, str_print(&a->run, "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": [\"%s\"]}", f->map));
    Hooks *hooks = hooks_new(&a->run);
    EXPECT(dir_attach(&x, &lora, k, hooks) == OK, "%s", err_message());
    Tensor y = logits_of(a, k, hooks, b);
    adapter_close(x);
    dir_remove(&lora);
    return y;
}

static double largest(Tensor t)
{
    double most = 0;
    for (int64_t i = 0; i < tensor_count(t); i++) most = fmax(most, fabs(tensor_get(t, i)));
    return most;
}

/* As read, as written and read again, and folded into a directory of its own. */
static void expect_everywhere(Arenas *a, const Family *f, const Dir *d, const Tensor want, const Batch *b, int which)
{
    Model *m = tiny(&a->run, arch_find(f->arch), F32), *k = tiny(&a->run, arch_find(f->arch), F32), *alone;
    Hooks *hooks = hooks_new(&a->run), *again = hooks_new(&a->run);
    Adapter *x, *y;
    const char *what = str_print(&a->run, "%s, %s saved", f->arch,
                                 which == 1   ? "table"
                                 : which == 2 ? "head"
                                              : "both");
    EXPECT(dir_attach(&x, d, m, hooks) == OK, "%s: %s", what, err_message());
    near(largest_gap(logits_of(a, m, hooks, b), want), 0, 2e-5, what);
    Dir e = dir_new(&a->run);
    EXPECT(adapter_save(x, e.dir) == OK, "%s: %s", what, err_message());
    EXPECT(dir_attach(&y, &e, k, again) == OK, "%s: %s", what, err_message());
    near(largest_gap(logits_of(a, k, again, b), want), 0, 2e-5, str_print(&a->run, "%s and written again", what));
    EXPECT(x->method->merge(m, &x->cfg) == OK && model_save(m, e.dir) == OK &&
               model_load(&alone, &a->run, e.dir) == OK,
           "%s: %s", what, err_message());
    near(largest_gap(logits_of(a, alone, NULL, b), want) / largest(want), 0, 2e-5,
         str_print(&a->run, "%s and merged", what));
    adapter_close(x);
    adapter_close(y);
    dir_remove(&e);
}

static void a_saved_module_comes_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++)
        for (int which = 1; which < 4; which++) { /* 1: the table, 2: the head, 3: both */
            const Family *f = &FAMILIES[i];
            Arenas a = arenas();
            Dir d = dir_new(&a.run);
            Model *m = tiny(&a.run, arch_find(f->arch), F32);
            const Batch *b = tiny_batch(&a.run, m, true, false);
            Tensor like = param_find(m->params, f->table)->val, table, head;
            put_maps(&d, m, f->map);
            if (which & 1) table = put_module(&d, m, f->table, like);
            if (which & 2) head = put_module(&d, m, f->head, like);
            if (which & 2 && !strcmp(f->arch, "roberta")) { /* within the saved module lies its bias, too */
                Tensor bias = param_find(m->params, "lm_head.bias")->val;
                dir_put(&d, "lm_head.decoder.bias", bias);
                dir_put(&d, "lm_head.bias", bias);
            }
            dir_write(&d, str_print(&a.run,
                                    "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": [\"%s\"], "
                                    "\"modules_to_save\": [\"%s\", \"%s\"]}",
                                    f->map, which & 1 ? f->saved_table : f->saved_head,
                                    which == 3 ? f->saved_head : "score"));
            Tensor want = by_hand(&a, f, &d, m, b, which & 1 && f->read ? &table : NULL, which & 2 ? &head : NULL);
            expect_everywhere(&a, f, &d, want, b, which);
            dir_remove(&d);
            arenas_close(&a);
        }
}

/* A table that modules_to_save does not name is the tied one itself. */
static void a_table_that_was_not_saved_stays_tied(void **state)
{
    (void)state;
    Arenas a = arenas();
    Dir d = dir_new(&a.run);
    const Family *f = &FAMILIES[0];
    Model *m = tiny(&a.run, arch_find("gpt2"), F32);
    const Batch *b = tiny_batch(&a.run, m, true, false);
    put_maps(&d, m, f->map);
    Tensor table = put_module(&d, m, f->table, param_find(m->params, f->table)->val);
    dir_put(&d, f->head, table);
    dir_write(&d, "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": [\"c_fc\"]}");
    Tensor want = by_hand(&a, f, &d, m, b, &table, &table);
    Adapter *x;
    Hooks *hooks = hooks_new(&a.run);
    EXPECT(dir_attach(&x, &d, m, hooks) == OK, "%s", err_message());
    assert_true(m->config.tie_head);
    near(largest_gap(logits_of(&a, m, hooks, b), want), 0, 2e-5, "not saved");
    adapter_close(x);
    d.n--;
    dir_noise(&d, f->head, table.dim[0], table.dim[1]);
    dir_write(&d, "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": [\"c_fc\"]}");
    expect_refused(&d, tiny(&a.run, arch_find("gpt2"), F32), "different values");
    dir_remove(&d);
    arenas_close(&a);
}

/* ---- inner names */

/* X.modules_to_save.weight is X.weight; where both stand they agree; a name without a place is refused. */
static void inner_names_are_applied_or_refused(void **state)
{
    (void)state;
    static const char *const INNER[] = {"embeddings.position_embeddings.modules_to_save.weight",
                                        "embeddings.position_embeddings.modules_to_save.default.weight"};
    static const char *const CONFIG = "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": [\"query\"], "
                                      "\"modules_to_save\": [\"position_embeddings\"]}";
    Arenas a = arenas();
    for (int i = 0; i < 2; i++) {
        Dir d = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        Param *p = param_find(m->params, "embeddings.position_embeddings.weight");
        Adapter *x;
        put_maps(&d, m, "query");
        dir_write(&d, CONFIG);
        expect_refused(&d, tiny(&a.run, arch_find("roberta"), F32), "position_embeddings");
        Tensor t = dir_noise(&d, str_print(&a.run, "roberta.%s", INNER[i]), p->val.dim[0], p->val.dim[1]);
        dir_write(&d, CONFIG);
        EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s", err_message());
        assert_true(largest_gap(p->val, t) == 0);
        adapter_close(x);
        dir_put(&d, "roberta.embeddings.position_embeddings.weight", t);
        dir_write(&d, CONFIG);
        m = tiny(&a.run, arch_find("roberta"), F32);
        EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s", err_message());
        adapter_close(x);
        d.n--;
        dir_noise(&d, "roberta.embeddings.position_embeddings.weight", t.dim[0], t.dim[1]);
        dir_write(&d, CONFIG);
        expect_refused(&d, tiny(&a.run, arch_find("roberta"), F32), "different values");
        d.n--;
        dir_noise(&d, "roberta.embeddings.position_embeddings.modules_to_save.lora_A.weight", 2, 12);
        dir_write(&d, CONFIG);
        expect_refused(&d, tiny(&a.run, arch_find("roberta"), F32), "has no place");
        dir_remove(&d);
    }
    arenas_close(&a);
}

/* ---- names as training leaves them */

static void rename_all(Dir *d, const char *form, const char *tail)
{
    for (int i = 0; i < d->n; i++) {
        const char *bare = d->at[i].name + strlen("base_model.model."), *dot = strrchr(bare, '.');
        d->at[i].name = str_print(d->run, form, (int)(dot - bare), bare, tail);
    }
}

/* Each trace of a wrapper reads as the plain name does. */
static void traces_of_wrappers_are_read_over(void **state)
{
    (void)state;
    static const char *const FORMS[] = {"%.*s%s", "base_model.model.%.*s.default%s", "module.base_model.model.%.*s%s",
                                        "base_model.model._orig_mod.%.*s%s", "_orig_mod.base_model.model.%.*s%s"};
    for (size_t i = 0; i < sizeof FORMS / sizeof *FORMS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        Adapter *x;
        put_maps(&d, m, "query");
        rename_all(&d, FORMS[i], ".weight");
        dir_write(&d, "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": [\"query\"]}");
        EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s: %s", FORMS[i], err_message());
        const Param *down = param_find(m->params, "peft.lora.encoder.layer.0.attention.self.query.A");
        assert_true(largest_gap(down->val, d.at[0].value) == 0);
        assert_int_equal(x->n_remarks, i == 0); /* PEFT itself does not read names without the stem */
        adapter_close(x);
        dir_remove(&d);
        arenas_close(&a);
    }
}

/* ---- layers */

/* A pattern may be a text, the layers one number; they narrow ends of names, and neither expressions nor whole
 * names. */
static void layers_narrow_ends_of_names(void **state)
{
    (void)state;
    static const struct {
        const char *config;
        bool first;
    } CASES[] = {
        {"\"target_modules\": [\"query\"], \"layers_to_transform\": 1", false},
        {"\"target_modules\": [\"query\"], \"layers_to_transform\": [1], \"layers_pattern\": \"layer\"", false},
        {"\"target_modules\": [\"query\"], \"layers_to_transform\": 1, \"layers_pattern\": [\"x\", \"layer\"]",
         false},
        {"\"target_modules\": [\"query\"], \"layers_to_transform\": []", true},
        {"\"target_modules\": \".*query\", \"layers_to_transform\": [1]", true}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        Adapter *x;
        for (int l = !CASES[i].first; l < 2; l++)
            dir_lora(&d, str_print(&a.run, "roberta.encoder.layer.%d.attention.self.query", l), 2, 12, 12);
        dir_write(&d, str_print(&a.run, "{\"peft_type\": \"LORA\", \"r\": 2, %s}", CASES[i].config));
        EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s: %s", CASES[i].config, err_message());
        bool first = param_find(m->params, "peft.lora.encoder.layer.0.attention.self.query.A");
        assert_true(first == CASES[i].first);
        adapter_close(x);
        dir_remove(&d);
        arenas_close(&a);
    }
}

/* ---- starts */

/* PiSSA and OLoRA take the product that they start from out of the base, and so does reading their files: untrained
 * they are the base, and trained ones read the same as they were. */
static void starts_are_taken_out_of_the_base_again(void **state)
{
    (void)state;
    for (LoraStart start = START_PISSA; start <= START_OLORA; start++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find("roberta"), F64), *k = tiny(&a.run, arch_find("roberta"), F64);
        Hooks *hooks = hooks_new(&a.run), *again = hooks_new(&a.run);
        const Batch *b = tiny_batch(&a.run, m, true, false);
        PeftConfig cfg = {0};
        Adapter *y;
        peft_find("lora")->defaults(&cfg, &m->config);
        cfg.rank = 3, cfg.init = start;
        Tensor base = logits_of(&a, m, NULL, b);
        assert_int_equal(peft_attach(peft_find("lora"), m, hooks, &cfg), OK);
        near(largest_gap(logits_of(&a, m, hooks, b), base), 0, 1e-10, "start");
        assert_true(largest_gap(logits_of(&a, m, NULL, b), base) > 1e-2);
        stir(m, "peft.*", 0.3, 4);
        Adapter *x = adapter_of(m, peft_find("lora"), &cfg, "mine");
        x->library = library_find("hf");
        EXPECT(adapter_save(x, d.dir) == OK, "%s", err_message());
        EXPECT(dir_attach(&y, &d, k, again) == OK, "%s", err_message());
        near(largest_gap(logits_of(&a, m, hooks, b), logits_of(&a, k, again, b)), 0, 1e-6, "read");
        adapter_close(y);
        dir_remove(&d);
        arenas_close(&a);
    }
}

/* ---- sizes */

/* A table with more rows than the base's resizes table and head, tied or not, and the head's bias. */
static void a_resized_table_resizes_the_model(void **state)
{
    (void)state;
    for (int rows = 14; rows <= 20; rows += 6) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        Adapter *x;
        put_maps(&d, m, "query");
        Tensor table = dir_noise(&d, "roberta.embeddings.word_embeddings.weight", rows, 12);
        dir_write(&d, "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": [\"query\"]}");
        EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s", err_message());
        assert_int_equal(m->config.vocab, rows);
        assert_true(largest_gap(param_find(m->params, "embeddings.word_embeddings.weight")->val, table) == 0);
        assert_int_equal(tensor_count(param_find(m->params, "lm_head.bias")->val), rows);
        assert_int_equal(tensor_last(logits_of(&a, m, NULL, tiny_batch(&a.run, m, true, false))), rows);
        adapter_close(x);
        dir_remove(&d);
        arenas_close(&a);
    }
}

/* ---- methods that are not supported */

/* The error names the method, says that it is not supported, and lists those that are. */
static void other_methods_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const KINDS[] = {"ADAMSS",   "ADAPTION_PROMPT",
                                        "BEFT",     "BOFT",
                                        "BONE",     "C3A",
                                        "CPT",      "DELORA",
                                        "FROD",     "GLORA",
                                        "GRALORA",  "FOURIERFT",
                                        "HIRA",     "HRA",
                                        "LOHA",     "LOKR",
                                        "MISS",     "OFT",
                                        "OSF",      "POLY",
                                        "RANDLORA", "ROAD",
                                        "SHIRA",    "VBLORA",
                                        "WAVEFT",   "XLORA",
                                        "LILY",     "TINYLORA",
                                        "PVERA",    "NEWER_STILL"};
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        dir_lora(&d, "h.0.mlp.c_fc", 2, 12, 22);
        dir_write(&d, str_print(&a.run, "{\"peft_type\": \"%s\"}", KINDS[i]));
        expect_refused(&d, tiny(&a.run, arch_find("gpt2"), F32), KINDS[i]);
        expect_refused(&d, tiny(&a.run, arch_find("gpt2"), F32), "not supported; supported are LORA");
        dir_remove(&d);
        arenas_close(&a);
    }
}

SUITE(cmocka_unit_test(a_pruned_adalora_keeps_its_scale), cmocka_unit_test(patterns_are_matched_each_alone),
      cmocka_unit_test(a_saved_module_comes_apart), cmocka_unit_test(a_table_that_was_not_saved_stays_tied),
      cmocka_unit_test(inner_names_are_applied_or_refused), cmocka_unit_test(traces_of_wrappers_are_read_over),
      cmocka_unit_test(layers_narrow_ends_of_names), cmocka_unit_test(starts_are_taken_out_of_the_base_again),
      cmocka_unit_test(a_resized_table_resizes_the_model), cmocka_unit_test(other_methods_are_refused_by_name))
