/* The architectures against third-party implementations: embeddings, every layer, every attention map, logits,
 * losses, gradients, classification heads.  Skipped where the golden files are not at hand. */
#include <unistd.h>

#include "golden_model.h"
#include "nn/build.h"
#include "nn/generate.h"

#define OPEN(name, g, type)                                                                                          \
    Golden g;                                                                                                        \
    if (!golden_open(&g, name)) skip();                                                                              \
    g.dtype = type

static Model *load(Golden *g, const char *sub)
{
    return golden_model(g, sub, NULL);
}

static void gpt2(DType dtype)
{
    OPEN("gpt2", g, dtype);
    Model *m = load(&g, "");
    Ids x = golden_ids(&g, "lm", "inputs", "input_ids");
    Batch batch = {.b = x.b, .t = x.t, .ids = x.id, .len = golden_len(&g, "lm", "attention_mask")};
    Hooks *h = hooks_new(&g.run);
    Seen seen;
    watch(&g, h, &seen, PART_DECODER);
    Pass p = {.tape = tape_open(&g.step, false), .hooks = h};
    Var *hidden = model_hidden(m, &p, &batch);
    compare_part(&g, "lm", "", &seen, model_layers(m, PART_DECODER), hidden->val, batch.len);
    EXPECT_GOLDEN(model_logits(m, &p, &batch)->val, &g, "lm", "logits", batch.len);
    batch.target = next_labels(&g, golden_ids(&g, "lm", "inputs", "labels"));
    compare_loss(&g, m, "lm", &batch);
    left_padded(&g, m);
    golden_close(&g);
}

static void roberta(DType dtype)
{
    OPEN("roberta", g, dtype);
    Model *m = load(&g, "");
    Ids x = golden_ids(&g, "mlm", "inputs", "input_ids");
    Batch batch = {.b = x.b, .t = x.t, .ids = x.id, .len = golden_len(&g, "mlm", "attention_mask")};
    Hooks *h = hooks_new(&g.run);
    Seen seen;
    watch(&g, h, &seen, PART_ENCODER);
    Pass p = {.tape = tape_open(&g.step, false), .hooks = h};
    Var *hidden = model_hidden(m, &p, &batch);
    compare_part(&g, "mlm", "", &seen, model_layers(m, PART_ENCODER), hidden->val, batch.len);
    EXPECT_GOLDEN(model_logits(m, &p, &batch)->val, &g, "mlm", "logits", batch.len);
    Batch all = batch;
    all.len = NULL;
    EXPECT_GOLDEN(model_logits(m, &p, &all)->val, &g, "mlm_no_mask", "logits", NULL);
    batch.target = golden_ids(&g, "mlm", "inputs", "labels").id;
    compare_loss(&g, m, "mlm", &batch);

    Model *bare = load(&g, "bare"); /* in the legacy container, without prefix */
    EXPECT_GOLDEN(model_hidden(bare, &p, &batch)->val, &g, "bare", "last_hidden", batch.len);
    Tensor pooled = model_pooled(bare, &p, &batch, POOL_POOLER)->val;
    EXPECT_GOLDEN(tensor_reshape(pooled, SHAPE(x.b, m->config.dim)), &g, "bare", "pooler", NULL);

    Model *s = load(&g, "seqcls");
    Tensor y = model_classes(s, &p, &batch)->val;
    EXPECT_GOLDEN(tensor_reshape(y, SHAPE(y.dim[0], y.dim[2])), &g, "seqcls", "logits", NULL);
    EXPECT_GOLDEN(model_hidden(s, &p, &batch)->val, &g, "seqcls", "last_hidden", batch.len);
    batch.label = golden_ids(&g, "seqcls", "inputs", "labels").id;
    compare_loss(&g, s, "seqcls", &batch);
    golden_close(&g);
}

/* The pooler's vector, the sentence vectors made of hidden states, and the next-sentence head. */
static void bert_vectors(Golden *g, Model *m, const Batch *x)
{
    const char *name = "pretraining";
    Pass p = {.tape = tape_open(&g->step, false)};
    static const struct {
        const char *key;
        Pooling how;
        bool unit;
    } OF[] = {
        {"pooled", POOL_POOLER, false}, {"mean_normalised", POOL_MEAN, true}, {"first_normalised", POOL_FIRST, true}};
    for (int i = 0; i < 3; i++) {
        Tensor v = model_pooled(m, &p, x, OF[i].how)->val;
        v = tensor_copy(&g->run, tensor_reshape(v, SHAPE(x->b, m->config.dim)));
        for (int64_t b = 0; b < x->b && OF[i].unit; b++) {
            double sum = 0;
            for (int64_t j = 0; j < v.dim[1]; j++) sum += pow(tensor_get(v, b * v.dim[1] + j), 2);
            for (int64_t j = b * v.dim[1]; j < (b + 1) * v.dim[1]; j++)
                tensor_set(v, j, tensor_get(v, j) / sqrt(sum));
        }
        EXPECT_GOLDEN(v, g, name, OF[i].key, NULL);
    }
    EXPECT_GOLDEN(tensor_reshape(model_next_sentence(m, &p, x)->val, SHAPE(x->b, 2)), g, name, "next_sentence", NULL);
}

/* The reference's loss of pretraining: masked tokens plus next sentence, and the gradients of both. */
static void bert_loss(Golden *g, Model *m, const Batch *x)
{
    const char *name = "pretraining";
    params_train(m->params, "*", true);
    params_zero_grad(m->params);
    ArenaMark mark = arena_mark(&g->step);
    Pass p = {.tape = tape_open(&g->step, true)};
    const int32_t *label = golden_ids(g, name, "inputs", "next_sentence_label").id;
    Var *loss = op_add(p.tape, model_loss(m, &p, x), 1, op_xent(p.tape, model_next_sentence(m, &p, x), label));
    golden_number(g, name, "loss", tape_scalar(loss));
    tape_backward(p.tape, loss);
    compare_gradients(g, m, name);
    arena_drop(&g->step, mark);
}

static void bert(DType dtype)
{
    OPEN("bert", g, dtype);
    const char *name = "pretraining";
    Model *m = load(&g, "");
    Ids x = golden_ids(&g, name, "inputs", "input_ids");
    Batch batch = {.b = x.b, .t = x.t, .ids = x.id, .len = golden_len(&g, name, "attention_mask")};
    batch.type = golden_ids(&g, name, "inputs", "token_type_ids").id;
    Hooks *h = hooks_new(&g.run);
    Seen seen;
    watch(&g, h, &seen, PART_ENCODER);
    Pass p = {.tape = tape_open(&g.step, false), .hooks = h};
    Var *hidden = model_hidden(m, &p, &batch);
    compare_part(&g, name, "", &seen, model_layers(m, PART_ENCODER), hidden->val, batch.len);
    EXPECT_GOLDEN(model_logits(m, &p, &batch)->val, &g, name, "logits", batch.len);
    bert_vectors(&g, m, &batch);
    batch.target = golden_ids(&g, name, "inputs", "labels").id;
    bert_loss(&g, m, &batch);

    Model *s = load(&g, "seqcls");
    batch.type = golden_ids(&g, "seqcls", "inputs", "token_type_ids").id;
    Tensor y = model_classes(s, &p, &batch)->val;
    EXPECT_GOLDEN(tensor_reshape(y, SHAPE(y.dim[0], y.dim[2])), &g, "seqcls", "logits", NULL);
    batch.label = golden_ids(&g, "seqcls", "inputs", "labels").id;
    compare_loss(&g, s, "seqcls", &batch);
    golden_close(&g);
}

/* Encoder-decoder: inputs, encoder's mask, the reference's decoder ids. */
static Batch pair(Golden *g, const char *name, const char *where)
{
    Ids s = golden_ids(g, name, "inputs", "input_ids"), d = golden_ids(g, name, where, "decoder_input_ids");
    return (Batch){
        .b = s.b, .s = s.t, .t = d.t, .src = s.id, .ids = d.id, .src_len = golden_len(g, name, "attention_mask")};
}

static void shifted_as_reference(Golden *g, const Model *m, const char *name, const Batch *x)
{
    Ids labels = golden_ids(g, name, "inputs", "labels");
    int32_t *ids = NEW(&g->run, int32_t, labels.b * labels.t);
    batch_shift_right(ids, &m->config, labels.id, labels.b, labels.t);
    for (int64_t i = 0; i < labels.b * labels.t; i++)
        EXPECT(ids[i] == x->ids[i], "%s: decoder id %lld is %d, expected %d", name, (long long)i, ids[i], x->ids[i]);
}

static void compare_pair(Golden *g, Model *m, const char *name, Batch *x)
{
    Hooks *h = hooks_new(&g->run);
    Seen e, d, c;
    watch(g, h, &e, PART_ENCODER);
    watch(g, h, &d, PART_DECODER);
    watch(g, h, &c, PART_CROSS);
    Pass p = {.tape = tape_open(&g->step, false), .hooks = h};
    Var *memory = m->arch->encode(m, &p, x);
    Var *hidden = m->arch->decode(m, &p, x, memory);
    compare_part(g, name, "encoder/", &e, model_layers(m, PART_ENCODER), memory->val, x->src_len);
    compare_part(g, name, "decoder/", &d, model_layers(m, PART_DECODER), hidden->val, NULL);
    compare_part(g, name, "cross/", &c, model_layers(m, PART_CROSS), hidden->val, NULL);
    EXPECT_GOLDEN(model_logits(m, &p, x)->val, g, name, "logits", NULL);
    shifted_as_reference(g, m, name, x);
    x->target = golden_ids(g, name, "inputs", "labels").id;
    compare_loss(g, m, name, x);
}

static void plbart(DType dtype)
{
    OPEN("plbart", g, dtype);
    Model *m = load(&g, "");
    Batch x = pair(&g, "seq2seq", "outputs");
    compare_pair(&g, m, "seq2seq", &x);

    Batch y = pair(&g, "seq2seq_ignore", "inputs");
    y.len = golden_len(&g, "seq2seq_ignore", "decoder_attention_mask");
    Pass p = {.tape = tape_open(&g.step, false)};
    EXPECT_GOLDEN(model_logits(m, &p, &y)->val, &g, "seq2seq_ignore", "logits", y.len);
    y.target = golden_ids(&g, "seq2seq_ignore", "inputs", "labels").id;
    compare_loss(&g, m, "seq2seq_ignore", &y);

    Model *s = load(&g, "seqcls");
    Tensor c = model_classes(s, &p, &x)->val;
    EXPECT_GOLDEN(tensor_reshape(c, SHAPE(c.dim[0], c.dim[2])), &g, "seqcls", "logits", NULL);
    x.label = golden_ids(&g, "seqcls", "inputs", "labels").id;
    compare_loss(&g, s, "seqcls", &x);
    golden_close(&g);
}

static void t5(DType dtype)
{
    OPEN("t5", g, dtype);
    Model *m = load(&g, "");
    Batch x = pair(&g, "seq2seq", "outputs");
    compare_pair(&g, m, "seq2seq", &x);

    Model *v11 = load(&g, "gated_untied");
    Ids labels = golden_ids(&g, "gated_untied", "inputs", "labels");
    x.target = labels.id;
    Pass p = {.tape = tape_open(&g.step, false)};
    EXPECT_GOLDEN(model_logits(v11, &p, &x)->val, &g, "gated_untied", "logits", NULL);
    compare_loss(&g, v11, "gated_untied", &x);
    golden_close(&g);
}

/* CodeT5's own vector of a text, and its use in the authors' models. */
static Tensor eos_vectors(Golden *g, Model *m, const Batch *x)
{
    Pass p = {.tape = tape_open(&g->step, false)};
    Batch y = batch_source_as_target(m, &p, x);
    return tensor_copy(&g->run, tensor_reshape(m->arch->hidden(m, &p, &y)->val, SHAPE(x->b, m->config.dim)));
}

static void softmax_pairs(Tensor z)
{
    for (int64_t b = 0; b < z.dim[0]; b++) {
        double e0 = exp(tensor_get(z, 2 * b)), e1 = exp(tensor_get(z, 2 * b + 1));
        tensor_set(z, 2 * b, e0 / (e0 + e1));
        tensor_set(z, 2 * b + 1, e1 / (e0 + e1));
    }
}

/* y = x W' + b of a head in the file, through tanh where wanted. */
static Tensor head(Golden *g, const Weights *w, const char *name, Tensor x, bool squash)
{
    const Stored *weight = weights_find(w, str_print(&g->run, "%s.weight", name));
    const Stored *bias = weights_find(w, str_print(&g->run, "%s.bias", name));
    Tensor y = tensor_new(&g->run, F64, SHAPE(x.dim[0], weight->dim[0]));
    for (int64_t i = 0; i < tensor_count(y); i++) {
        int64_t b = i / y.dim[1], o = i % y.dim[1], n = x.dim[1];
        double sum = stored_get(bias, o);
        for (int64_t k = 0; k < n; k++) sum += tensor_get(x, b * n + k) * stored_get(weight, o * n + k);
        tensor_set(y, i, squash ? tanh(sum) : sum);
    }
    return y;
}

/* The clone model reads two texts side by side: the vector of one, then of the other. */
static void codet5_clone(Golden *g, Model *m, const Weights *w)
{
    Ids both = golden_ids(g, "codet5_clone", "inputs", "source_ids");
    Ids x = {both.b * 2, both.t / 2, both.id};
    int32_t *len = NEW(&g->run, int32_t, x.b);
    for (int64_t i = 0; i < x.b * x.t; i++) len[i / x.t] += x.id[i] != m->config.pad;
    Batch batch = {.b = x.b, .s = x.t, .src = x.id, .src_len = len};
    Tensor v = tensor_reshape(eos_vectors(g, m, &batch), SHAPE(both.b, (int64_t)2 * m->config.dim));
    Tensor prob = head(g, w, "clone.out_proj", head(g, w, "clone.dense", v, true), false);
    softmax_pairs(prob);
    EXPECT_GOLDEN(prob, g, "codet5_clone", "prob", NULL);
}

static void self_labels(Golden *g, Model *m)
{
    Ids x = golden_ids(g, "self_labels", "inputs", "input_ids");
    Batch batch = {.b = x.b, .s = x.t, .src = x.id, .src_len = golden_len(g, "self_labels", "attention_mask")};
    EXPECT_GOLDEN(eos_vectors(g, m, &batch), g, "self_labels", "eos_vector", NULL);
    Ids labels = golden_ids(g, "self_labels", "inputs", "labels");
    int32_t *ids = NEW(&g->run, int32_t, labels.b * labels.t);
    batch_shift_right(ids, &m->config, labels.id, labels.b, labels.t);
    batch.t = labels.t, batch.ids = ids, batch.target = labels.id;
    batch.len = golden_len(g, "self_labels", "decoder_attention_mask");
    compare_loss(g, m, "self_labels", &batch);
}

/* CodeT5's defect model: the state at the last end of text, one linear layer, a softmax. */
static void codet5_classes(DType dtype)
{
    OPEN("t5", g, dtype);
    Model *m = golden_model(&g, "", &(LoadOptions){.classes = 2});
    Weights *w;
    EXPECT(safetensors_open(&w, &g.run, str_print(&g.run, "%s/codet5_heads.safetensors", g.dir)) == OK, "%s",
           err_message());
    for (int i = 0; i < weights_n(w); i++) {
        const char *name = weights_at(w, i)->name;
        if (!str_glob("defect*weight", name) && !str_glob("defect*bias", name)) continue;
        Param *p = param_find(m->params, str_glob("*weight", name) ? "classifier.weight" : "classifier.bias");
        EXPECT(stored_read(p->val, weights_at(w, i)) == OK, "%s", err_message());
    }
    codet5_clone(&g, m, w);
    self_labels(&g, m);
    weights_close(w);
    Ids x = golden_ids(&g, "codet5_defect", "inputs", "source_ids");
    int32_t *len = NEW(&g.run, int32_t, x.b);
    for (int64_t i = 0; i < x.b * x.t; i++) len[i / x.t] += x.id[i] != m->config.pad;
    Batch batch = {.b = x.b,
                   .s = x.t,
                   .src = x.id,
                   .src_len = len,
                   .label = golden_ids(&g, "codet5_defect", "inputs", "labels").id};
    Pass p = {.tape = tape_open(&g.step, false)};
    Tensor y = model_classes(m, &p, &batch)->val;
    Tensor prob = tensor_copy(&g.run, tensor_reshape(y, SHAPE(x.b, 2)));
    softmax_pairs(prob);
    EXPECT_GOLDEN(prob, &g, "codet5_defect", "prob", NULL);
    golden_number(&g, "codet5_defect", "loss", tape_scalar(model_loss(m, &p, &batch)));
    golden_close(&g);
}

static void buckets(void **state)
{
    (void)state;
    OPEN("t5", g, F32);
    cJSON *root;
    const cJSON *list, *x;
    EXPECT(json_read(&root, &g.run, str_print(&g.run, "%s/relative_buckets.json", g.dir)) == OK, "%s", err_message());
    int seen = 0;
    cJSON_ArrayForEach(list, root)
    {
        int n, far, at = -1023;
        char way[32];
        if (sscanf(list->string, "buckets%d_max%d_%31s", &n, &far, way) != 3) continue;
        cJSON_ArrayForEach(x, list)
        {
            int got = relpos_bucket(at, n, far, !strcmp(way, "bidirectional"));
            EXPECT(got == x->valueint, "%s: distance %d is in %d, expected %d", list->string, at, got, x->valueint);
            at++, seen++;
        }
    }
    EXPECT(seen >= 2047, "only %d distances", seen);
    cJSON_Delete(root);
    golden_close(&g);
}

/* A model from one of the .bin files: the same logits.  Untied it has two tables, though the file ties them. */
static void load_bin(Golden *g, const char *bin, const Batch *x, Tensor want)
{
    const char *dir = str_print(&g->run, "/tmp/vernier-golden-%d", (int)getpid());
    cJSON *config;
    Bytes file;
    EXPECT(file_make_dir(dir) == OK && file_read(&file, &g->run, bin) == OK, "%s", err_message());
    EXPECT(file_write(str_print(&g->run, "%s/pytorch_model.bin", dir), file.text, file.len) == OK, "%s",
           err_message());
    EXPECT(json_read(&config, &g->run, str_print(&g->run, "%s/config.json", g->dir)) == OK, "%s", err_message());
    for (int untied = 0; untied < 2; untied++) {
        if (untied) cJSON_AddBoolToObject(config, "tie_word_embeddings", false);
        char *text = cJSON_Print(config);
        EXPECT(file_write(str_print(&g->run, "%s/config.json", dir), text, strlen(text)) == OK, "%s", err_message());
        cJSON_free(text);
        Model *m;
        EXPECT(model_load(&m, &g->run, dir) == OK, "%s: %s", bin, err_message());
        Tensor got = model_logits(m, &(Pass){.tape = tape_open(&g->step, false)}, x)->val;
        EXPECT(!memcmp(got.data, want.data, tensor_bytes(want)), "%s: other logits", bin);
        const Param *head = param_find(m->params, "lm_head.decoder.weight");
        assert_true((head != NULL) == untied);
        if (head) assert_true(head->val.data != params_at(m->params, 0)->val.data);
    }
    cJSON_Delete(config);
    unlink(str_print(&g->run, "%s/config.json", dir));
    unlink(str_print(&g->run, "%s/pytorch_model.bin", dir));
    rmdir(dir);
}

/* A file of torch.save holds the same values as the safetensors, whatever strides and offsets it has. */
static void containers(void **state)
{
    (void)state;
    OPEN("roberta", g, F32);
    Weights *plain;
    EXPECT(weights_open(&plain, &g.run, str_print(&g.run, "%s/model.safetensors", g.dir)) == OK, "%s", err_message());
    Ids x = golden_ids(&g, "mlm", "inputs", "input_ids");
    Batch batch = {.b = x.b, .t = x.t, .ids = x.id};
    Tensor want = model_logits(load(&g, ""), &(Pass){.tape = tape_open(&g.step, false)}, &batch)->val;
    for (int legacy = 0; legacy < 2; legacy++) {
        Weights *w;
        const char *path = str_print(&g.run, "%s/pytorch_model%s.bin", g.dir, legacy ? ".legacy" : "");
        EXPECT(weights_open(&w, &g.run, path) == OK, "%s", err_message());
        for (int i = 0; i < weights_n(plain); i++) {
            const Stored *a = weights_at(plain, i), *b = weights_find(w, a->name);
            EXPECT(b && b->count == a->count, "%s: %s", path, a->name);
            for (int64_t j = 0; j < a->count; j++)
                EXPECT(stored_get(a, j) == stored_get(b, j), "%s: %s element %lld", path, a->name, (long long)j);
        }
        weights_close(w);
        load_bin(&g, path, &batch, want);
    }
    weights_close(plain);
    golden_close(&g);
}

/* ---- greedy decoding, batched, with the cache */

static void compare_greedy_pair(Golden *g, const char *name)
{
    Model *m = load(g, "");
    Ids s = golden_ids(g, name, "inputs", "input_ids");
    Batch x = {.b = s.b, .s = s.t, .src = s.id, .src_len = golden_len(g, name, "attention_mask")};
    const cJSON *how = golden_get(g, name, "inputs", "generate"), *start, *row;
    GenerateConfig c = generate_defaults(m, cJSON_GetObjectItem(how, "max_length")->valueint - 1);
    if ((start = cJSON_GetObjectItem(how, "decoder_start_token_id")) != NULL) c.start = start->valueint;
    int32_t *out = NEW(&g->run, int32_t, x.b * c.max_new), *len = NEW(&g->run, int32_t, x.b);
    EXPECT(generate_tokens(out, len, m, NULL, &g->step, &x, &c) == OK, "%s", err_message());
    int64_t b = 0;
    cJSON_ArrayForEach(row, golden_get(g, name, "outputs", "sequences"))
    {
        expect_row(name, b, out + b * c.max_new, len[b], row, 1, c.eos);
        b++;
    }
    assert_int_equal(b, x.b);
}

/* ---- beam search */

static GenerateConfig beam_config(const Model *m, const cJSON *how, int max_new)
{
    GenerateConfig c = generate_defaults(m, max_new);
    c.beams = (int)number_or(how, "num_beams", 1);
    c.n_best = (int)number_or(how, "num_return_sequences", 1);
    c.length_penalty = number_or(how, "length_penalty", 1);
    c.early_stopping = number_or(how, "early_stopping", 0) > 0;
    c.start = (int)number_or(how, "decoder_start_token_id", c.start);
    c.eos = (int)number_or(how, "eos_token_id", c.eos);
    return c;
}

static void compare_beams(Golden *g, const char *name, Model *m, const Batch *x, const GenerateConfig *c,
                          const int32_t *prompt)
{
    int64_t n = x->b * c->n_best, b = 0;
    int32_t *out = NEW(&g->run, int32_t, n * c->max_new), *len = NEW(&g->run, int32_t, n);
    double *score = NEW(&g->run, double, n);
    EXPECT(generate_beams(out, len, score, m, NULL, &g->step, x, c) == OK, "%s", err_message());
    const cJSON *row, *scores = golden_get(g, name, "outputs", "sequences_scores");
    cJSON_ArrayForEach(row, golden_get(g, name, "outputs", "sequences"))
    {
        expect_row(name, b, out + b * c->max_new, len[b], row, prompt ? prompt[b] : 1, c->eos);
        if (scores) {
            double want = cJSON_GetArrayItem(scores, (int)b)->valuedouble;
            EXPECT(fabs(score[b] - want) < 1e-4, "%s: result %lld scores %g, expected %g", name, (long long)b,
                   score[b], want);
        }
        b++;
    }
    assert_int_equal(b, n);
}

static void compare_beam_pair(Golden *g, const char *name)
{
    Model *m = load(g, "");
    Ids s = golden_ids(g, name, "inputs", "input_ids");
    Batch x = {.b = s.b, .s = s.t, .src = s.id, .src_len = golden_len(g, name, "attention_mask")};
    const cJSON *how = golden_get(g, name, "inputs", "generate");
    GenerateConfig c = beam_config(m, how, (int)number_or(how, "max_length", 0) - 1);
    compare_beams(g, name, m, &x, &c, NULL);
}

static void beams(void **state)
{
    (void)state;
    OPEN("t5", t, F32);
    compare_beam_pair(&t, "generate_beam4");
    compare_beam_pair(&t, "generate_beam4_early");
    golden_close(&t);
    OPEN("plbart", b, F32);
    compare_beam_pair(&b, "generate_beam4");
    compare_beam_pair(&b, "generate_beam4_early");
    golden_close(&b);
}

static void greedy(void **state)
{
    (void)state;
    OPEN("t5", t, F32);
    compare_greedy_pair(&t, "generate_greedy");
    golden_close(&t);
    OPEN("plbart", b, F32);
    compare_greedy_pair(&b, "generate_greedy");
    golden_close(&b);
}

static void greedy_ragged(void **state)
{
    (void)state;
    OPEN("gpt2", g, F32);
    compare_greedy(&g, load(&g, ""));
    golden_close(&g);
}

static void beams_ragged(void **state)
{
    (void)state;
    OPEN("gpt2", g, F32);
    Model *m = load(&g, "");
    Batch batch = ragged(&g, "generate_beam4");
    const cJSON *how = golden_get(&g, "generate_beam4", "inputs", "generate");
    GenerateConfig c = beam_config(m, how, (int)number_or(how, "new_tokens", 0));
    compare_beams(&g, "generate_beam4", m, &batch, &c, batch.len);
    golden_close(&g);
}

BOTH(gpt2)
BOTH(roberta)
BOTH(bert)
BOTH(plbart)
BOTH(t5)
BOTH(codet5_classes)

SUITE(TWO(gpt2), TWO(roberta), TWO(bert), TWO(plbart), TWO(t5), TWO(codet5_classes), cmocka_unit_test(buckets),
      cmocka_unit_test(containers), cmocka_unit_test(greedy), cmocka_unit_test(greedy_ragged),
      cmocka_unit_test(beams), cmocka_unit_test(beams_ragged))
