/* docs/adapters.md, line by line: each line of its tables names the tests that hold it, and what no other test has is
 * tested here, settings that are rejected among it. */
#include "folder.h"

#include <math.h>

#include "io/json.h"
#include "nn/config.h"
#include "nn/stacked.h"
#include "peft/lora.h"

/* ---- the lines */

/* A line by its first cell, and the tests of it: "FILE WORDS", the words as they stand in the file. */
static const struct {
    const char *line, *tests[4];
} LINES[] = {
    {"`peft_type` or setting", {NULL}},
    {"LORA: `rank_pattern`, `alpha_pattern`, `use_rslora`, `bias`, `lora_bias`",
     {"adapter/test_saved.c patterns_are_matched_each_alone", "adapter/test_documented.c the_scale_is_stabilised",
      "peft/tiny.h lora biases", "peft/tiny.h lora bias"}},
    {"LORA with `use_dora`", {"peft/tiny.h dora tables", "adapter/test_documented.c settings_of_peft_are_rejected"}},
    {"LORA on tables, heads, the pooler, `all-linear`",
     {"peft/tiny.h lora tables", "adapter/test_tables.c lora_on_a_tied_head_scales_with_it",
      "adapter/test_documented.c all_linear_is_every_layer_but_the_head"}},
    {"LORA with `init_lora_weights` pissa, olora", {"adapter/test_saved.c starts_are_taken_out_of_the_base_again"}},
    {"other starts that change the base (corda weights, loftq, lora_ga, pissa_niter)",
     {"adapter/test_documented.c settings_of_peft_are_rejected"}},
    {"`trainable_token_indices`, TRAINABLE_TOKENS",
     {"peft/tiny.h lora tokens", "adapter/test_tables.c rows_act_wherever_the_table_does",
      "adapter/test_tables.c rows_of_one_stack_are_refused"}},
    {"`modules_to_save`, tied or not; a table with other rows than the base's",
     {"adapter/test_saved.c a_saved_module_comes_apart",
      "adapter/test_tables.c saved_embed_tokens_are_one_for_each_stack",
      "adapter/test_saved.c a_resized_table_resizes_the_model"}},
    {"`layers_to_transform`, `layers_pattern`, `exclude_modules`",
     {"adapter/test_saved.c layers_narrow_ends_of_names", "adapter/test_documented.c excluded_modules_are_left_out"}},
    {"ADALORA", {"adapter/test_saved.c a_pruned_adalora_keeps_its_scale"}},
    {"VERA", {"cli/adapters.sh save_projection is false"}},
    {"IA3", {"peft/tiny.h ia3 all", "cli/adapters.sh IA3 differs under GELU"}},
    {"LN_TUNING, in heads, too", {"adapter/test_documented.c norms_of_heads_are_trained"}},
    {"absent `target_modules`, `feedforward_modules`",
     {"adapter/test_written.c missing_targets_are_those_of_the_type"}},
    {"PREFIX_TUNING, PROMPT_TUNING, P_TUNING",
     {"adapter/test_written.c a_prefix_is_refused_beside_a_window", "peft/tiny.h prefix shifted",
      "adapter/test_documented.c p_tuning_is_the_prompt_that_it_made"}},
    {"`target_parameters`, `megatron_config`, `layer_replication`, `loftq_config`, `use_bdlora`, `use_qalora`, "
     "`alora_invocation_tokens`, `arrow_config`",
     {"adapter/test_documented.c settings_of_peft_are_rejected"}},
    {"every other `peft_type`", {"adapter/test_saved.c other_methods_are_refused_by_name"}},
    {"architecture or setting", {NULL}},
    {"bottlenecks: seq_bn, double_seq_bn, par_bn, `cross_adapter`, own norms, learned scaling, `leave_out`",
     {"peft/tiny.h houlsby cross", "peft/tiny.h houlsby norms", "peft/tiny.h pfeiffer sum", "peft/tiny.h one layer"}},
    {"`reduction_factor` by layer", {"peft/tiny.h two widths"}},
    {"LoRA, DoRA (`plain_norm`: that library's own norm), (IA)3 by `composition_mode`",
     {"adapter/test_written.c a_plain_norm_leaves_out_the_scale", "peft/tiny.h ia3 fused",
      "adapter/test_documented.c feed_forwards_have_the_names_of_their_family"}},
    {"prefix tuning, flat or through an MLP; prompt tuning",
     {"peft/tiny.h prefix mlp", "peft/tiny.h late", "adapter/test_written.c a_prefix_is_refused_beside_a_window"}},
    {"heads of the model's class; flexible heads (classification, multilabel_classification) of 1 to 16 layers",
     {"adapter/test_documented.c flexible_heads_are_built"}},
    {"other flexible heads", {"adapter/test_documented.c flexible_heads_are_built"}},
    {"unions (mam, unipelt), `use_gating`, `phm_layer` (compacter), invertible adapters, ReFT, VeRA, other "
     "activations",
     {"adapter/test_documented.c settings_of_adapters_are_rejected"}}};
enum { N_LINES = sizeof LINES / sizeof *LINES };

static void expect_test(Arena *a, const char *test)
{
    Bytes text;
    size_t n = strcspn(test, " ");
    const char *path = str_print(a, "tests/%.*s", (int)n, test);
    EXPECT(file_read(&text, a, path) == OK, "%s", err_message());
    EXPECT(strstr(text.text, test + n + 1), "%s has nothing named '%s'", path, test + n + 1);
}

/* The first cell of each line of a table is one of LINES, in their order, and each of these is there. */
static void every_line_has_a_test(void **state)
{
    (void)state;
    Arena a = arena_open(0);
    Bytes page;
    int i = 0;
    EXPECT(file_read(&page, &a, "docs/adapters.md") == OK, "%s", err_message());
    for (const char *s = strstr(page.text, "\n| "); s; s = strstr(s + 1, "\n| ")) {
        const char *cell = s + 3, *end = strstr(cell, " | ");
        if (!end) end = strstr(cell, " |");
        assert_non_null(end);
        const char *line = str_copy(&a, cell, (size_t)(end - cell));
        EXPECT(i < N_LINES && !strcmp(line, LINES[i].line),
               "docs/adapters.md: the line '%s' is not the one tested, '%s'", line, i < N_LINES ? LINES[i].line : "");
        for (int k = 0; k < 4 && LINES[i].tests[k]; k++) expect_test(&a, LINES[i].tests[k]);
        i++;
    }
    assert_int_equal(i, N_LINES);
    arena_close(&a);
}

/* ---- PEFT */

static const char *const QUERY[] = {"roberta.encoder.layer.0.attention.self.query",
                                    "roberta.encoder.layer.1.attention.self.query"};

static void put_queries(Dir *d)
{
    for (int l = 0; l < 2; l++) dir_lora(d, QUERY[l], 2, 12, 12);
}

static void settings_of_peft_are_rejected(void **state)
{
    (void)state;
    static const struct {
        const char *setting, *words;
    } ROWS[] = {{"\"target_parameters\": [\"a.b\"]", "target_parameters is set"},
                {"\"megatron_config\": {\"a\": 1}", "megatron_config is set"},
                {"\"layer_replication\": [[0, 1]]", "layer_replication is set"},
                {"\"loftq_config\": {\"loftq_bits\": 4}", "loftq_config is set"},
                {"\"use_bdlora\": {\"a\": 1}", "use_bdlora is set"},
                {"\"use_qalora\": true", "use_qalora is set"},
                {"\"alora_invocation_tokens\": [1, 2]", "alora_invocation_tokens is set"},
                {"\"arrow_config\": {\"a\": 1}", "arrow_config is set"},
                {"\"init_lora_weights\": \"loftq\"", "init_lora_weights is 'loftq'"},
                {"\"init_lora_weights\": \"corda\"", "init_lora_weights is 'corda'"},
                {"\"init_lora_weights\": \"lora_ga\"", "init_lora_weights is 'lora_ga'"},
                {"\"init_lora_weights\": \"pissa_niter_4\"", "init_lora_weights is 'pissa_niter_4'"},
                {"\"use_dora\": true, \"lora_bias\": true", "lora_bias) is not supported"}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        put_queries(&d);
        dir_write(&d, str_print(&a.run, "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": [\"query\"], %s}",
                                ROWS[i].setting));
        expect_refused(&d, tiny(&a.run, arch_find("roberta"), F32), ROWS[i].words);
        dir_remove(&d);
        arenas_close(&a);
    }
}

static void the_scale_is_stabilised(void **state)
{
    (void)state;
    for (int stable = 0; stable < 2; stable++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Adapter *x;
        put_queries(&d);
        dir_write(&d, str_print(&a.run,
                                "{\"peft_type\": \"LORA\", \"r\": 2, \"lora_alpha\": 6, \"target_modules\": "
                                "[\"query\"], \"use_rslora\": %s}",
                                stable ? "true" : "false"));
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s", err_message());
        near(lora_scale(&x->cfg, lora_next(m, &x->cfg, NULL)), stable ? 6 / sqrt(2) : 3, 1e-12, "the scale");
        adapter_close(x);
        dir_remove(&d);
        arenas_close(&a);
    }
}

static void excluded_modules_are_left_out(void **state)
{
    (void)state;
    static const char *const EXCLUDED[] = {"\".*layer.0.*\"", "[\"layer.0.attention.self.query\"]"};
    for (int i = 0; i < 2; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Adapter *x;
        dir_lora(&d, QUERY[1], 2, 12, 12);
        dir_write(&d, str_print(&a.run,
                                "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": [\"query\"], "
                                "\"exclude_modules\": %s}",
                                EXCLUDED[i]));
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s", err_message());
        assert_null(param_find(m->params, "peft.lora.encoder.layer.0.attention.self.query.A"));
        adapter_close(x);
        dir_remove(&d);
        arenas_close(&a);
    }
}

/* Every linear layer of the layers and the head's own dense one, but neither the output head nor a table. */
static void all_linear_is_every_layer_but_the_head(void **state)
{
    (void)state;
    Arenas a = arenas();
    Dir d = dir_new(&a.run);
    Adapter *x;
    Model *m = tiny(&a.run, arch_find("roberta"), F32);
    for (int i = 0; i < m->n_linears; i++)
        dir_lora(&d, str_print(&a.run, "roberta.%s", m->linears[i].name), 2, m->linears[i].in, m->linears[i].out);
    dir_lora(&d, "lm_head.dense", 2, 12, 12);
    dir_write(&d, "{\"peft_type\": \"LORA\", \"r\": 2, \"target_modules\": \"all-linear\"}");
    EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s", err_message());
    adapter_close(x);
    dir_remove(&d);
    arenas_close(&a);
}

static void norms_of_heads_are_trained(void **state)
{
    (void)state;
    static const char *const NORMS[] = {"roberta.embeddings.LayerNorm", "lm_head.layer_norm"};
    Arenas a = arenas();
    Dir d = dir_new(&a.run);
    Adapter *x;
    Tensor gain = noise(&a.run, F32, rng_stream(3, "gain"), 1, (const int64_t[]){12});
    for (int i = 0; i < 4; i++)
        dir_put(&d, str_print(&a.run, "%s.ln_tuning_layers.%s", NORMS[i / 2], i % 2 ? "bias" : "weight"), gain);
    dir_write(&d, "{\"peft_type\": \"LN_TUNING\", \"target_modules\": [\"embeddings.LayerNorm\", \"layer_norm\"]}");
    Model *m = tiny(&a.run, arch_find("roberta"), F32);
    EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s", err_message());
    assert_true(largest_gap(param_find(m->params, "lm_head.layer_norm.bias")->val, gain) == 0);
    assert_true(largest_gap(param_find(m->params, "embeddings.LayerNorm.weight")->val, gain) == 0);
    adapter_close(x);
    dir_remove(&d);
    arenas_close(&a);
}

/* Its file has the vectors that the encoder gave, so it answers as prompt tuning with these does. */
static void p_tuning_is_the_prompt_that_it_made(void **state)
{
    (void)state;
    Arenas a = arenas();
    Tensor y[2];
    const Batch *b = NULL;
    for (int i = 0; i < 2; i++) {
        Dir d = dir_new(&a.run);
        Adapter *x;
        Model *m = tiny(&a.run, arch_find("gpt2"), F32);
        Hooks *hooks = hooks_new(&a.run);
        if (!b) b = tiny_batch(&a.run, m, true, false);
        Tensor t = noise(&a.run, F32, rng_stream(3, "prompt"), 2, (const int64_t[]){3, 12});
        d.at[d.n++] = (Named){"prompt_embeddings", t};
        dir_write(&d, str_print(&a.run,
                                "{\"peft_type\": \"%s\", \"num_virtual_tokens\": 3, \"token_dim\": 12, "
                                "\"encoder_hidden_size\": 20, \"num_layers\": 2}",
                                i ? "P_TUNING" : "PROMPT_TUNING"));
        EXPECT(dir_attach(&x, &d, m, hooks) == OK, "%s", err_message());
        assert_int_equal(x->n_remarks, i);
        y[i] = logits_of(&a, m, hooks, b);
        adapter_close(x);
        dir_remove(&d);
    }
    assert_true(largest_gap(y[0], y[1]) == 0);
    arenas_close(&a);
}

/* ---- adapters */

static void remove_all(const Dir *d)
{
    static const char *const FILES[] = {"pytorch_adapter.bin", "adapter.safetensors", "model_head.safetensors",
                                        "pytorch_model_head.bin", "head_config.json"};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) unlink(str_print(d->run, "%s/%s", d->dir, FILES[i]));
    dir_remove(d);
}

/* An adapter of that method in the library's form, as attached to a model of its own. */
static Adapter *save_made(const Dir *d, Model *m, const char *method, const PeftConfig *cfg)
{
    EXPECT(peft_attach(peft_find(method), m, hooks_new(d->run), cfg) == OK, "%s", err_message());
    Adapter *x = adapter_of(m, peft_find(method), cfg, "mine");
    x->library = library_find("adapters");
    Status s = adapter_save(x, d->dir);
    return s ? NULL : x;
}

static PeftConfig settings_of(const char *method, const Model *m)
{
    PeftConfig cfg = {0};
    peft_find(method)->defaults(&cfg, &m->config);
    if (cfg.rank) cfg.rank = 2;
    return cfg;
}

/* One member of the config that was written gets another value. */
static void change(const Dir *d, const char *key, const char *value)
{
    cJSON *root;
    const char *path = str_print(d->run, "%s/adapter_config.json", d->dir);
    EXPECT(json_read(&root, d->run, path) == OK, "%s", err_message());
    cJSON *config = cJSON_GetObjectItem(root, "config");
    cJSON_DeleteItemFromObject(config, key);
    cJSON_AddItemToObject(config, key, cJSON_Parse(value));
    EXPECT(json_write(root, path) == OK, "%s", err_message());
    cJSON_Delete(root);
}

static void settings_of_adapters_are_rejected(void **state)
{
    (void)state;
    static const struct {
        const char *method, *key, *value, *words;
    } ROWS[] = {{"houlsby", "architecture", "\"union\"", "architecture is union"},
                {"houlsby", "architecture", "\"reft\"", "reft"},
                {"houlsby", "use_gating", "true", "use_gating is set"},
                {"lora", "use_gating", "true", "use_gating is set"},
                {"prefix", "use_gating", "true", "use_gating is set"},
                {"houlsby", "phm_layer", "true", "phm_layer is set"},
                {"houlsby", "inv_adapter", "\"nice\"", "inv_adapter is set"},
                {"lora", "vera_d", "0.1", "vera_d is set"},
                {"houlsby", "non_linearity", "\"mish\"", "non_linearity is 'mish'"}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        PeftConfig cfg = settings_of(ROWS[i].method, m);
        EXPECT(save_made(&d, m, ROWS[i].method, &cfg), "%s", err_message());
        change(&d, ROWS[i].key, ROWS[i].value);
        expect_refused(&d, tiny(&a.run, arch_find("roberta"), F32), ROWS[i].words);
        remove_all(&d);
        arenas_close(&a);
    }
}

/* intermediate_lora and output_lora: in Llama crosswise, in gated T5 the gate, in other gated families nowhere. */
static void feed_forwards_have_the_names_of_their_family(void **state)
{
    (void)state;
    static const struct {
        const char *arch, *target;
        bool gated, intermediate, output;
    } ROWS[] = {{"roberta", "*.intermediate.dense", false, true, false},
                {"t5", "*.wi", false, true, false},
                {"t5", "*.wi_1", true, true, false},
                {"t5", "*.wo", true, false, true},
                {"t5", "*.wi_0", true, false, false},
                {"llama", "*.down_proj", true, true, false},
                {"llama", "*.up_proj", true, false, true},
                {"llama", "*.gate_proj", true, false, false},
                {"modernbert", "*.mlp.Wo", true, false, false}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Config c = tiny_config(arch_find(ROWS[i].arch));
        c.gated = ROWS[i].gated;
        Model *m = open_stirred(&a.run, &c, F32), *k = open_stirred(&a.run, &c, F32);
        PeftConfig cfg = settings_of("lora", m);
        cfg.target = ROWS[i].target;
        bool any = ROWS[i].intermediate || ROWS[i].output;
        Adapter *x = save_made(&d, m, "lora", &cfg), *y;
        EXPECT(!x == !any, "%s of %s: %s", ROWS[i].target, c.arch, err_message());
        err_clear();
        Bytes text = {0};
        if (any)
            EXPECT(file_read(&text, &a.run, str_print(&a.run, "%s/adapter_config.json", d.dir)) == OK, "%s", d.dir);
        for (int w = 0; w < 2 && any; w++) {
            const char *key = w ? "output_lora" : "intermediate_lora";
            bool on = w ? ROWS[i].output : ROWS[i].intermediate;
            EXPECT(strstr(text.text, str_print(&a.run, "\"%s\":\t%s", key, on ? "true" : "false")), "%s of %s: %s",
                   ROWS[i].target, c.arch, text.text);
        }
        if (any) {
            EXPECT(dir_attach(&y, &d, k, hooks_new(&a.run)) == OK, "%s", err_message());
            for (const Linear *l = NULL; (l = lora_next(k, &y->cfg, l));)
                EXPECT(str_glob(ROWS[i].target, l->name), "%s is adapted, not %s", l->name, ROWS[i].target);
            adapter_close(y);
        }
        remove_all(&d);
        arenas_close(&a);
    }
}

/* A head of 1 to 16 layers in the place of the model's own; other kinds of heads are rejected. */
static void flexible_heads_are_built(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int layers;
        const char *words; /* of the refusal; NULL: it is read */
    } ROWS[] = {{"classification", 1, NULL},
                {"multilabel_classification", 3, NULL},
                {"classification", 16, NULL},
                {"classification", 17, "layers is 17"},
                {"tagging", 1, "head_type is 'tagging'"},
                {"causal_lm", 1, "head_type is 'causal_lm'"}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run), head = {.run = &a.run, .dir = d.dir};
        Model *m = tiny(&a.run, arch_find("roberta"), F32), *k = NULL;
        PeftConfig cfg = settings_of("houlsby", m);
        EXPECT(save_made(&d, m, "houlsby", &cfg), "%s", err_message());
        for (int l = 0; l < ROWS[i].layers; l++) {
            bool last = l == ROWS[i].layers - 1;
            int64_t n = last ? 3 : 12, at = 3 * l + 1;
            head.at[head.n++] = (Named){str_print(&a.run, "heads.mine.%lld.weight", (long long)at),
                                        tensor_zero(&a.run, F32, SHAPE(n, 12))};
            head.at[head.n++] =
                (Named){str_print(&a.run, "heads.mine.%lld.bias", (long long)at), tensor_zero(&a.run, F32, SHAPE(n))};
        }
        const char *config = str_print(&a.run,
                                       "{\"config\": {\"head_type\": \"%s\", \"num_labels\": 3, \"layers\": %d, "
                                       "\"activation_function\": \"relu\", \"bias\": true, \"use_pooler\": false}, "
                                       "\"name\": \"mine\"}",
                                       ROWS[i].type, ROWS[i].layers);
        EXPECT(safetensors_write(str_print(&a.run, "%s/model_head.safetensors", d.dir), head.at, head.n, NULL, 0) ==
                   OK,
               "%s", err_message());
        EXPECT(file_write(str_print(&a.run, "%s/head_config.json", d.dir), config, strlen(config)) == OK, "%s",
               d.dir);
        Adapter *x;
        k = tiny(&a.run, arch_find("roberta"), F32);
        Status s = dir_attach(&x, &d, k, hooks_new(&a.run));
        EXPECT(!s == !ROWS[i].words && (!s || strstr(err_message(), ROWS[i].words)), "%s of %d layers: %s",
               ROWS[i].type, ROWS[i].layers, err_message());
        if (!s) assert_true(k->stacked && k->config.classes == 3);
        if (!s) adapter_close(x);
        err_clear();
        remove_all(&d);
        arenas_close(&a);
    }
}

SUITE(cmocka_unit_test(every_line_has_a_test), cmocka_unit_test(settings_of_peft_are_rejected),
      cmocka_unit_test(the_scale_is_stabilised), cmocka_unit_test(excluded_modules_are_left_out),
      cmocka_unit_test(all_linear_is_every_layer_but_the_head), cmocka_unit_test(norms_of_heads_are_trained),
      cmocka_unit_test(p_tuning_is_the_prompt_that_it_made), cmocka_unit_test(settings_of_adapters_are_rejected),
      cmocka_unit_test(feed_forwards_have_the_names_of_their_family), cmocka_unit_test(flexible_heads_are_built))
