/* What a directory must have for the other libraries to read it as it is meant, beyond being read back here (found by
 * tests/oracle/adapters.py), and what a config leaves to the library that reads it. */
#include "folder.h"

#include <math.h>

#include "nn/config.h"
#include "peft/lora.h"

static const char *file_text(Arena *a, const Dir *d, const char *name)
{
    Bytes b;
    EXPECT(file_read(&b, a, str_print(a, "%s/%s", d->dir, name)) == OK, "%s", err_message());
    return b.text;
}

static void empty(const Dir *d)
{
    static const char *const FILES[] = {"pytorch_adapter.bin", "adapter.safetensors", "model_head.safetensors",
                                        "pytorch_model_head.bin", "head_config.json"};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) unlink(str_print(d->run, "%s/%s", d->dir, FILES[i]));
    dir_remove(d);
}

/* ---- writing */

/* The adapters library takes a scaling for a number only where it has a point. */
static void a_scaling_is_written_as_a_real_number(void **state)
{
    (void)state;
    static const struct {
        double scale;
        const char *text;
    } ROWS[] = {{1, "\"scaling\":\t1.0"}, {4, "\"scaling\":\t4.0"}, {0.5, "\"scaling\":\t0.5"}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Model *m = tiny(&a.run, arch_find("roberta"), F32);
        PeftConfig cfg = {0};
        peft_find("houlsby")->defaults(&cfg, &m->config);
        cfg.scale = ROWS[i].scale;
        assert_int_equal(peft_attach(peft_find("houlsby"), m, hooks_new(&a.run), &cfg), OK);
        Adapter *x = adapter_of(m, peft_find("houlsby"), &cfg, "mine");
        x->library = library_find("adapters");
        EXPECT(adapter_save(x, d.dir) == OK, "%s", err_message());
        const char *text = file_text(&a.run, &d, "adapter_config.json");
        EXPECT(strstr(text, ROWS[i].text), "no %s in %s", ROWS[i].text, text);
        empty(&d);
        arenas_close(&a);
    }
}

/* Files spell some names in more than one way, and PEFT passes over a name that is not its own without a word. */
static void names_are_written_as_peft_has_them(void **state)
{
    (void)state;
    static const char *const MAP = "roberta.encoder.layer.0.attention.self.query";
    Arenas a = arenas();
    Dir d = dir_new(&a.run);
    Model *m = tiny(&a.run, arch_find("roberta"), F32);
    Adapter *x;
    dir_noise(&d, str_print(&a.run, "%s.lora_A", MAP), 2, 12);
    dir_noise(&d, str_print(&a.run, "%s.lora_B", MAP), 12, 2);
    dir_noise(&d, str_print(&a.run, "%s.lora_E", MAP), 2, 1);
    dir_write(&d,
              "{\"peft_type\": \"ADALORA\", \"init_r\": 2, \"target_modules\": [\"layer.0.attention.self.query\"]}");
    EXPECT(dir_attach(&x, &d, m, hooks_new(&a.run)) == OK, "%s", err_message());
    EXPECT(adapter_save(x, d.dir) == OK, "%s", err_message());
    adapter_close(x);
    Weights *w;
    EXPECT(weights_open(&w, &a.run, str_print(&a.run, "%s/adapter_model.safetensors", d.dir)) == OK, "%s",
           err_message());
    for (int i = 0; i < weights_n(w); i++)
        EXPECT(str_glob("base_model.model.roberta.*.lora_?.weight", weights_at(w, i)->name), "%s is written",
               weights_at(w, i)->name);
    assert_int_equal(weights_n(w), 2);
    weights_close(w);
    dir_remove(&d);
    arenas_close(&a);
}

/* ---- DoRA of the adapters library: m / |W + B A| times (W x + s B A x) */

/* Without biases it is the other DoRA whose magnitudes are those times |W + s B A| / |W + B A|. */
static void a_plain_norm_leaves_out_the_scale(void **state)
{
    (void)state;
    Arenas a = arenas();
    Model *m[2];
    Hooks *hooks[2];
    PeftConfig cfg = {0};
    peft_find("dora")->defaults(&cfg, &(Config){.arch = "llama"});
    cfg.rank = 2, cfg.alpha = 5;
    for (int plain = 0; plain < 2; plain++) {
        m[plain] = tiny(&a.run, arch_find("llama"), F64);
        hooks[plain] = hooks_new(&a.run);
        cfg.plain_norm = plain;
        assert_int_equal(peft_attach(peft_find("dora"), m[plain], hooks[plain], &cfg), OK);
        stir(m[plain], "peft.*", 0.3, 4);
    }
    for (const Linear *l = NULL; (l = lora_next(m[0], &cfg, l));) {
        Param *up = param_find(m[0]->params, lora_name(m[0], "dora", l, "B")),
              *down = param_find(m[0]->params, lora_name(m[0], "dora", l, "A")),
              *mag = param_find(m[0]->params, lora_name(m[0], "dora", l, "magnitude"));
        for (int64_t o = 0; o < l->out; o++) {
            double sum[2] = {0};
            for (int64_t i = 0; i < l->in; i++) {
                double w = tensor_get(l->w->val, linear_at(l, o, i)), ba = 0;
                for (int64_t r = 0; r < 2; r++)
                    ba += tensor_get(up->val, o * 2 + r) * tensor_get(down->val, r * l->in + i);
                sum[0] += (w + 2.5 * ba) * (w + 2.5 * ba);
                sum[1] += (w + ba) * (w + ba);
            }
            tensor_set(mag->val, o, tensor_get(mag->val, o) * sqrt(sum[0] / sum[1]));
        }
    }
    const Batch *b = tiny_batch(&a.run, m[0], true, false);
    Tensor got = logits_of(&a, m[1], hooks[1], b);
    EXPECT_NEAR(logits_of(&a, m[0], hooks[0], b), got, 1e-11);
    assert_true(largest_gap(got, logits_of(&a, m[1], NULL, b)) > 1e-3);
    arenas_close(&a);
}

/* ---- windows */

/* A prefix that would fall out of a window is refused, in whichever layer the window is, and otherwise attached. */
static void a_prefix_is_refused_beside_a_window(void **state)
{
    (void)state;
    static const struct {
        const char *arch;
        int window, from;
        bool refused;
    } ROWS[] = {{"llama", 0, 0, false}, {"llama", 3, 0, true},      {"llama", 3, 1, true},
                {"llama", 3, 2, false}, {"modernbert", 3, 0, true}, {"gpt_neox", 0, 0, false}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        Arenas a = arenas();
        Config c = tiny_config(arch_find(ROWS[i].arch));
        c.window = ROWS[i].window, c.window_from = ROWS[i].from;
        c.qkv_bias |= c.window_from > 0; /* as Qwen2 has it */
        Model *m;
        EXPECT(model_open(&m, &a.run, &c, F32, 1) == OK, "%s", err_message());
        bool attached = attach_variant(&(Variant){"prefix", "prefix", NULL}, m, hooks_new(&a.run));
        assert_true(attached != ROWS[i].refused);
        if (!attached) EXPECT(strstr(err_message(), "falls out of the window of 3 tokens"), "%s", err_message());
        err_clear();
        assert_true(attach_variant(&(Variant){"prompt", "prompt", NULL}, m, hooks_new(&a.run)));
        arenas_close(&a);
    }
}

/* ---- what is left to the library */

static const struct {
    const char *arch, *type, *kind, *target; /* target NULL: there is no default */
} LEFT_OPEN[] = {{"llama", "", "LORA", "*.q_proj|*.v_proj"},
                 {"llama", "mistral", "LORA", "*.q_proj|*.v_proj"},
                 {"llama", "qwen2", "LORA", "*.q_proj|*.v_proj"},
                 {"llama", "qwen3", "LORA", "*.q_proj|*.v_proj"},
                 {"gpt_neox", "", "LORA", "*.query_key_value"},
                 {"bert", "", "LORA", "*.query|*.value"},
                 {"roberta", "", "LORA", "*.query|*.value"},
                 {"roberta", "xlm-roberta", "LORA", "*.query|*.value"},
                 {"t5", "", "LORA", "*.q|*.v"},
                 {"t5", "mt5", "LORA", "*.q|*.v"},
                 {"gpt2", "", "LORA", "*.c_attn"},
                 {"bart", "bart", "LORA", "*.q_proj|*.v_proj"},
                 {"roberta", "camembert", "LORA", NULL},
                 {"t5", "umt5", "LORA", NULL},
                 {"bart", "mbart", "LORA", NULL},
                 {"modernbert", "", "LORA", NULL},
                 {"modernbert", "", "IA3", NULL},
                 {"modernbert", "", "ADALORA", NULL},
                 {"llama", "mistral", "ADALORA", NULL},
                 {"roberta", "xlm-roberta", "IA3", NULL},
                 {"bert", "", "LN_TUNING", NULL},
                 {"llama", "", "IA3", "*.keys|*.values|*.ffn"},
                 {"llama", "mistral", "IA3", "*.keys|*.values|*.ffn"},
                 {"llama", "qwen2", "IA3", "*.queries|*.values|*.ffn"},
                 {"llama", "qwen3", "IA3", "*.queries|*.values|*.ffn"},
                 {"gpt_neox", "", "IA3", "*.qkv|*.ffn"},
                 {"bert", "", "IA3", "*.keys|*.values|*.heads|*.ffn"},
                 {"roberta", "", "IA3", "*.keys|*.values|*.heads|*.ffn"},
                 {"t5", "", "IA3", "*.keys|*.values|*.ffn"},
                 {"gpt2", "", "IA3", "*.qkv|*.ffn"},
                 {"bart", "bart", "IA3", "*.queries|*.values|*.ffn"},
                 {"llama", "", "LN_TUNING", "layers.*norm.weight|norm.weight"},
                 {"llama", "qwen2", "LN_TUNING", "*post_attention_layernorm.weight"},
                 {"gpt2", "", "LN_TUNING", "*ln_?.*"},
                 {"llama", "", "ADALORA", "*.q_proj|*.v_proj"},
                 {"roberta", "", "ADALORA", "*.query|*.key|*.value|*.dense"},
                 {"t5", "", "ADALORA", "*.q|*.k|*.v|*.o|*.wi|*.wo"},
                 {"bart", "bart", "ADALORA", "*.?_proj|*.out_proj|*.fc?"},
                 {"gpt2", "", "ADALORA", "*.c_attn"}};

/* Made with the targets: the tensors are in the directory, and the settings are not. */
static void put_made(Dir *d, Model *m, const char *kind, const char *target)
{
    bool low_rank = str_glob("LORA|ADALORA", kind);
    const Peft *method = peft_find(low_rank ? "lora" : !strcmp(kind, "IA3") ? "ia3" : "norms");
    PeftConfig cfg = {0};
    method->defaults(&cfg, &m->config);
    cfg.rank = 2, cfg.target = target;
    if (!low_rank) {
        EXPECT(peft_attach(method, m, hooks_new(d->run), &cfg) == OK, "%s", err_message());
        Adapter *x = adapter_of(m, method, &cfg, "mine");
        x->library = library_find("hf");
        EXPECT(adapter_save(x, d->dir) == OK, "%s", err_message());
        return;
    }
    if (str_glob("*dense*", target)) cfg.tables = "lm_head.dense"; /* of RoBERTa, which "dense" means, too */
    for (const Linear *l = NULL; (l = lora_next(m, &cfg, l));) {
        const char *name = str_print(d->run, "%s%s", lora_is_outer(l) ? "" : m->arch->format->prefix, l->name);
        dir_noise(d, str_print(d->run, "%s.lora_A", name), 2, l->in);
        dir_noise(d, str_print(d->run, "%s.lora_B", name), l->out, 2);
        if (!strcmp(kind, "ADALORA")) dir_noise(d, str_print(d->run, "%s.lora_E", name), 2, 1);
    }
}

/* Types of the Llama family are known by what they have. */
static void be_of_type(Config *c, const char *type)
{
    if (strcmp(c->arch, "llama") != 0) snprintf(c->type, sizeof c->type, "%s", type);
    if (!strcmp(type, "mistral")) c->window = 5;
    if (!strcmp(type, "qwen2")) c->qkv_bias = true;
    if (!strcmp(type, "qwen3")) c->qk_norm = true;
}

/* target_modules and feedforward_modules absent or null: the modules of PEFT's tables, by type of model.  A module
 * too few leaves a tensor without a place, one too many lacks its tensor. */
static void missing_targets_are_those_of_the_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof LEFT_OPEN / sizeof *LEFT_OPEN; i++) {
        const char *kind = LEFT_OPEN[i / 2].kind, *target = LEFT_OPEN[i / 2].target;
        Arenas a = arenas();
        Dir d = dir_new(&a.run);
        Config c = tiny_config(arch_find(LEFT_OPEN[i / 2].arch));
        be_of_type(&c, LEFT_OPEN[i / 2].type);
        Model *m, *k;
        EXPECT(model_open(&m, &a.run, &c, F32, 1) == OK && model_open(&k, &a.run, &c, F32, 1) == OK, "%s",
               err_message());
        if (target)
            put_made(&d, m, kind, target);
        else
            dir_lora(&d, "a.b", 2, 12, 12);
        const char *config = str_print(&a.run, "{\"peft_type\": \"%s\", \"r\": 2, \"init_r\": 2%s}", kind,
                                       i % 2 ? ", \"target_modules\": null, \"feedforward_modules\": null" : "");
        if (d.n) dir_write(&d, config);
        EXPECT(file_write(str_print(&a.run, "%s/adapter_config.json", d.dir), config, strlen(config)) == OK, "%s",
               err_message());
        Adapter *x;
        Status s = dir_attach(&x, &d, k, hooks_new(&a.run));
        bool right = target ? s == OK : s == E_MISMATCH && strstr(err_message(), "no default");
        EXPECT(right, "%s of %s %s: %s", kind, c.arch, c.type, err_message());
        if (!s) adapter_close(x);
        err_clear();
        dir_remove(&d);
        arenas_close(&a);
    }
}

SUITE(cmocka_unit_test(a_scaling_is_written_as_a_real_number), cmocka_unit_test(names_are_written_as_peft_has_them),
      cmocka_unit_test(a_plain_norm_leaves_out_the_scale), cmocka_unit_test(a_prefix_is_refused_beside_a_window),
      cmocka_unit_test(missing_targets_are_those_of_the_type))
