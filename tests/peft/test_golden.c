/* Methods against the libraries that defined them: adapters written by Hugging Face PEFT and by adapter-hub/adapters,
 * attached to the same base, give their logits, losses and gradient norms.  Skipped where the golden files are not
 * at hand. */
#include "nn/golden.h"

#include "peft/peft.h"

typedef struct {
    Golden g;
    Model *m;
    Weights *w;
    const Peft *method;
    PeftConfig cfg;
} Case;

/* ---- names: ours to theirs */

static const char *const PREFIXES[] = {"", "roberta.", "model.", "transformer."};

/* STEM + one of the base's prefixes + NAME, whichever the file has. */
static const Stored *find(Case *c, const char *stem, const char *name)
{
    for (int i = 0; i < 4; i++) {
        const Stored *s = weights_find(c->w, str_print(&c->g.run, "%s%s%s", stem, PREFIXES[i], name));
        if (s) return s;
    }
    return NULL;
}

static const struct {
    const char *arch, *part, *sub, *file;
} BOTTLENECKS[] = {{"roberta", "encoder", "attn", "encoder.layer.%d.attention.output"},
                   {"roberta", "encoder", "ffn", "encoder.layer.%d.output"},
                   {"gpt2", "decoder", "attn", "h.%d.attention_adapters"},
                   {"gpt2", "decoder", "ffn", "h.%d.output_adapters"},
                   {"bart", "encoder", "attn", "encoder.layers.%d.attention_adapters"},
                   {"bart", "encoder", "ffn", "encoder.layers.%d.output_adapters"},
                   {"bart", "decoder", "attn", "decoder.layers.%d.attention_adapters"},
                   {"bart", "decoder", "ffn", "decoder.layers.%d.output_adapters"},
                   {"bart", "cross", "attn", "decoder.layers.%d.cross_attention_adapters"},
                   {"t5", "encoder", "attn", "encoder.block.%d.layer.0"},
                   {"t5", "encoder", "ffn", "encoder.block.%d.layer.1"},
                   {"t5", "decoder", "attn", "decoder.block.%d.layer.0"},
                   {"t5", "decoder", "ffn", "decoder.block.%d.layer.2"},
                   {"t5", "cross", "attn", "decoder.block.%d.layer.1"}};

static const Stored *stored_bottleneck(Case *c, const Param *p)
{
    char part[16], sub[16], what[32], file[64];
    int layer;
    if (sscanf(p->name, "peft.%*[a-z].%15[a-z].layer.%d.%15[a-z].%31s", part, &layer, sub, what) != 4) return NULL;
    for (size_t i = 0; i < sizeof BOTTLENECKS / sizeof *BOTTLENECKS; i++) {
        if (strcmp(BOTTLENECKS[i].arch, c->m->config.arch) || strcmp(BOTTLENECKS[i].part, part) ||
            strcmp(BOTTLENECKS[i].sub, sub))
            continue;
        const char *layer_at = strstr(BOTTLENECKS[i].file, "%d");
        snprintf(file, sizeof file, "%.*s%d%s", (int)(layer_at - BOTTLENECKS[i].file), BOTTLENECKS[i].file, layer,
                 layer_at + 2);
        bool down = !strncmp(what, "down.", 5);
        return find(c, "",
                    str_print(&c->g.run, "%s.adapters.gold.adapter_%s.%s", file, down ? "down.0" : "up",
                              what + (down ? 5 : 3)));
    }
    return NULL;
}

static const Stored *stored_lora(Case *c, const Param *p)
{
    const char *linear = p->name + strlen("peft.lora.");
    int n = (int)strlen(linear) - 2;
    return find(c, "base_model.model.", str_print(&c->g.run, "%.*s.lora_%c.weight", n, linear, linear[n + 1]));
}

static const Stored *stored_ia3(Case *c, const Param *p)
{
    char part[16], what[16];
    int layer;
    assert_int_equal(sscanf(p->name, "peft.ia3.%15[a-z].layer.%d.%15s", part, &layer, what), 3);
    Site site = what[0] == 'k' ? SITE_K : what[0] == 'v' ? SITE_V : SITE_FFN_OUT;
    for (Part i = 0; i < PART_COUNT; i++)
        if (!strcmp(part, part_name(i)))
            return find(c, "base_model.model.",
                        str_print(&c->g.run, "%s.ia3_l", model_linear(c->m, (Where){site, layer, i})->name));
    return NULL;
}

static const Stored *stored_of(Case *c, const Param *p)
{
    if (!strcmp(c->method->name, "lora")) return stored_lora(c, p);
    if (!strcmp(c->method->name, "ia3")) return stored_ia3(c, p);
    if (!strcmp(c->method->name, "prompt") || !strcmp(c->method->name, "prefix"))
        return weights_find(c->w, "prompt_embeddings");
    return stored_bottleneck(c, p);
}

/* Keys and values of all layers lie side by side.  Decoders that also cross-attend read every other pair of slots,
 * and start over when these run out. */
static int64_t prefix_offset(const Case *c, const Param *p)
{
    char part[16], what[16];
    int layer;
    assert_int_equal(sscanf(p->name, "peft.prefix.%15[a-z].layer.%d.%15s", part, &layer, what), 3);
    int slots = 2 * model_layers(c->m, c->m->decoder ? PART_DECODER : PART_ENCODER);
    int slot = (c->m->arch->decode ? 4 : 2) * layer + (what[0] == 'v');
    return slot % slots * tensor_last(p->val);
}

static void fill(Case *c, Param *p, const Stored *s)
{
    bool prefix = !strcmp(c->method->name, "prefix");
    int64_t n = tensor_last(p->val), row = prefix ? s->dim[1] : n, first = prefix ? prefix_offset(c, p) : 0;
    if (strncmp(c->method->name, "pr", 2)) assert_int_equal(tensor_count(p->val), s->count);
    for (int64_t i = 0; i < tensor_count(p->val); i++)
        tensor_set(p->val, i, stored_get(s, i / n * row + first + i % n));
}

/* ---- opening */

static bool open_case(Case *c, const char *dir, const char *method)
{
    *c = (Case){.method = peft_find(method)};
    char name[128];
    snprintf(name, sizeof name, "../peft/%s", dir);
    if (!golden_open(&c->g, name)) return false;
    Arena *run = &c->g.run;
    const cJSON *meta = cJSON_GetObjectItem(c->g.root, "meta");
    const char *base = cJSON_GetObjectItem(meta, "base")->valuestring;
    EXPECT(model_load(&c->m, run, str_print(run, "%s/../../../../%s", c->g.dir, base)) == OK, "%s", err_message());
    const char *file = strstr(dir, "hf-peft") ? "adapter_model" : "adapter";
    EXPECT(safetensors_open(&c->w, run, str_print(run, "%s/%s.safetensors", c->g.dir, file)) == OK, "%s",
           err_message());
    c->method->defaults(&c->cfg, &c->m->config);
    for (int i = 0; i < weights_n(c->w); i++) { /* sizes, as the file shows them */
        const Stored *s = weights_at(c->w, i);
        if (str_glob("*lora_A.weight", s->name)) c->cfg.rank = (int)s->dim[0];
        if (str_glob("*adapter_down.0.weight", s->name)) c->cfg.width = (int)s->dim[0];
        bool both = !strcmp(method, "prompt") && c->m->arch->decode; /* the second half is for the decoder */
        if (str_glob("prompt_embeddings", s->name)) c->cfg.length = (int)s->dim[0] / (both ? 2 : 1);
        if (str_glob("*classifier*", s->name)) {
            Param *p = param_find(c->m->params, strstr(s->name, "classifier"));
            EXPECT(p && stored_read(p->val, s) == OK, "%s", s->name);
        }
    }
    cJSON *config;
    EXPECT(json_read(&config, run, str_print(run, "%s/adapter_config.json", c->g.dir)) == OK, "%s", err_message());
    const cJSON *alpha = cJSON_GetObjectItem(config, "lora_alpha");
    if (alpha) c->cfg.alpha = alpha->valuedouble;
    c->cfg.on[PART_CROSS] &= strcmp(method, "prefix") != 0;
    if (strstr(dir, "cross")) c->cfg.on[PART_CROSS] = true;
    if (!strcmp(method, "prefix")) {
        c->cfg.on[PART_ENCODER] &= !c->m->decoder; /* of an encoder-decoder PEFT adapts the decoder alone */
        c->cfg.shift_positions = true;
    }
    cJSON_Delete(config);
    return true;
}

static Batch inputs(Case *c)
{
    Golden *g = &c->g;
    const Model *m = c->m;
    Ids x = golden_ids(g, "adapted", "inputs", "input_ids");
    int32_t *len = golden_len(g, "adapted", "attention_mask");
    if (!golden_get(g, "adapted", "inputs", "labels")) return (Batch){.b = x.b, .t = x.t, .ids = x.id, .len = len};
    Ids y = golden_ids(g, "adapted", "inputs", "labels");
    int32_t *moved = NEW(&g->run, int32_t, y.b * y.t);
    if (m->arch->decode) {
        shift_tokens_right(moved, &m->config, y.id, y.b, y.t);
        return (Batch){.b = x.b, .s = x.t, .src = x.id, .src_len = len, .t = y.t, .ids = moved, .target = y.id};
    }
    if (m->config.classes) return (Batch){.b = x.b, .t = x.t, .ids = x.id, .len = len, .label = y.id};
    if (m->decoder)
        for (int64_t i = 0; i < y.b * y.t; i++) moved[i] = (i + 1) % y.t ? y.id[i + 1] : -1;
    return (Batch){.b = x.b, .t = x.t, .ids = x.id, .len = len, .target = m->decoder ? moved : y.id};
}

/* ---- comparing */

/* The name under which the library trained a tensor. */
static double norm_of(Case *c, const char *name)
{
    static const char *const ENDS[] = {".weight", ".ia3_l"};
    const cJSON *all = golden_get(&c->g, "adapted", "outputs", "grad_norms"), *j;
    if ((j = cJSON_GetObjectItemCaseSensitive(all, name))) return j->valuedouble;
    for (int i = 0; i < 2; i++) {
        size_t n = strlen(name), e = strlen(ENDS[i]);
        if (n < e || strcmp(name + n - e, ENDS[i])) continue;
        const char *trained = i ? str_print(&c->g.run, "%s.default", name)
                                : str_print(&c->g.run, "%.*s.default.weight", (int)(n - e), name);
        if ((j = cJSON_GetObjectItemCaseSensitive(all, trained))) return j->valuedouble;
    }
    return -1;
}

static int compare_gradients(Case *c)
{
    int compared = 0;
    for (int i = 0; i < params_n(c->m->params); i++) {
        const Param *p = params_at(c->m->params, i);
        if (strncmp(p->name, "peft.", 5) != 0 || !strncmp(p->name, "peft.pr", 7))
            continue; /* prefix and prompt are one tensor */
        double want = norm_of(c, stored_of(c, p)->name), sum = 0;
        if (want < 0) continue;
        for (int64_t j = 0; j < tensor_count(p->grad); j++) sum += pow(tensor_get(p->grad, j), 2);
        EXPECT(fabs(sqrt(sum) - want) <= 2e-4 * want + 1e-6, "%s: gradient norm %.9g, expected %.9g", p->name,
               sqrt(sum), want);
        compared++;
    }
    return compared;
}

static void compare(const char *dir, const char *method)
{
    Case c;
    if (!open_case(&c, dir, method)) skip();
    Golden *g = &c.g;
    Hooks *hooks = hooks_new(&g->run);
    EXPECT(peft_attach(c.method, c.m, hooks, &c.cfg) == OK, "%s", err_message());
    int filled = 0;
    for (int i = 0; i < params_n(c.m->params); i++) {
        Param *p = params_at(c.m->params, i);
        if (strncmp(p->name, "peft.", 5) != 0) continue;
        const Stored *s = stored_of(&c, p);
        EXPECT(s, "%s: %s has no tensor in the file", dir, p->name);
        fill(&c, p, s);
        filled++;
    }
    assert_true(filled > 0);
    Batch x = inputs(&c);
    Pass p = {.tape = tape_open(&g->step, true), .hooks = hooks};
    params_zero_grad(c.m->params);
    if (x.label) {
        Tensor y = model_classes(c.m, &p, &x)->val;
        EXPECT_GOLDEN(tensor_reshape(y, SHAPE(y.dim[0], y.dim[2])), g, "adapted", "logits", NULL);
    } else if (x.target) {
        EXPECT_GOLDEN(model_logits(c.m, &p, &x)->val, g, "adapted", "logits", c.m->arch->decode ? NULL : x.len);
    } else {
        EXPECT_GOLDEN(model_hidden(c.m, &p, &x)->val, g, "adapted", "last_hidden", x.len);
    }
    if (x.label || x.target) {
        Var *loss = model_loss(c.m, &p, &x);
        double want = golden_get(g, "adapted", "outputs", "loss")->valuedouble;
        EXPECT(fabs(tape_scalar(loss) - want) <= 1e-5 * want, "%s: loss %.9g, expected %.9g", dir, tape_scalar(loss),
               want);
        tape_backward(p.tape, loss);
        int norms = compare_gradients(&c);
        EXPECT(norms > 0 || !strncmp(method, "pr", 2), "%s: no gradient compared", dir);
    }
    weights_close(c.w);
    golden_close(g);
}

/* With a prompt PEFT's classification head reads the first virtual token, ours the first token of the text; so the
 * first layer is compared, prompt rows and all. */
static void roberta_prompt(void **state)
{
    (void)state;
    Case c;
    if (!open_case(&c, "hf-peft/roberta/prompt", "prompt")) skip();
    Hooks *hooks = hooks_new(&c.g.run);
    Capture layer = {.arena = &c.g.run};
    EXPECT(peft_attach(c.method, c.m, hooks, &c.cfg) == OK, "%s", err_message());
    hook_observe(hooks, (Where){SITE_RESID, 0, PART_ENCODER}, hook_capture, &layer);
    Param *table = param_find(c.m->params, "peft.prompt.encoder.table");
    fill(&c, table, weights_find(c.w, "prompt_embeddings"));
    Batch x = inputs(&c);
    Pass p = {.tape = tape_open(&c.g.step, false), .hooks = hooks};
    model_classes(c.m, &p, &x);
    int32_t *len = NEW(&c.g.run, int32_t, x.b);
    for (int64_t b = 0; b < x.b; b++) len[b] = x.len[b] + c.cfg.length;
    EXPECT_GOLDEN(layer.value, &c.g, "adapted", "hidden/0", len);
    weights_close(c.w);
    golden_close(&c.g);
}

static void run_case(void **state)
{
    const char *const *names = *state;
    compare(names[0], names[1]);
}

#define CASE(dir, method)                                                                                            \
    {                                                                                                                \
        dir, run_case, NULL, NULL, (void *)(const char *[])                                                          \
        {                                                                                                            \
            dir, method                                                                                              \
        }                                                                                                            \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE("hf-peft/gpt2/lora", "lora"),
        CASE("hf-peft/plbart/lora", "lora"),
        CASE("hf-peft/roberta/lora", "lora"),
        CASE("hf-peft/roberta_mlm/lora", "lora"),
        CASE("hf-peft/t5/lora", "lora"),
        CASE("hf-peft/t5/ia3", "ia3"),
        CASE("hf-peft/gpt2/prefix", "prefix"),
        CASE("hf-peft/plbart/prefix", "prefix"),
        CASE("hf-peft/roberta/prefix", "prefix"),
        cmocka_unit_test(roberta_prompt),
        CASE("hf-peft/t5/prompt", "prompt"),
        CASE("adapters-lib/gpt2/double_seq_bn", "houlsby"),
        CASE("adapters-lib/gpt2/seq_bn", "pfeiffer"),
        CASE("adapters-lib/gpt2/par_bn", "parallel"),
        CASE("adapters-lib/plbart/double_seq_bn", "houlsby"),
        CASE("adapters-lib/plbart/double_seq_bn_cross", "houlsby"),
        CASE("adapters-lib/plbart/seq_bn", "pfeiffer"),
        CASE("adapters-lib/plbart/par_bn", "parallel"),
        CASE("adapters-lib/roberta/double_seq_bn", "houlsby"),
        CASE("adapters-lib/roberta/par_bn", "parallel"),
        CASE("adapters-lib/t5/double_seq_bn", "houlsby"),
        CASE("adapters-lib/t5/double_seq_bn_cross", "houlsby"),
        CASE("adapters-lib/t5/seq_bn", "pfeiffer"),
        CASE("adapters-lib/t5/par_bn", "parallel"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
