/* UniXcoder's three modes and GraphCodeBERT's data flow against their authors' own classes.  Skipped where the golden
 * files are not at hand. */
#include "golden_model.h"
#include "nn/flow.h"
#include "nn/generate.h"

static Golden G;

static bool open_golden(const char *name, DType dtype)
{
    if (!golden_open(&G, name)) return false;
    G.dtype = dtype;
    return true;
}

/* Rows of ids padded on the right, with their lengths. */
static Batch padded(const Model *m, const char *name)
{
    Ids x = golden_ids(&G, name, "inputs", "input_ids");
    int32_t *len = NEW(&G.run, int32_t, x.b);
    for (int64_t i = 0; i < x.b * x.t; i++) len[i / x.t] += x.id[i] != m->config.pad;
    return (Batch){.b = x.b, .t = x.t, .ids = x.id, .len = len};
}

/* ---- UniXcoder */

static void encoder_only(DType dtype)
{
    if (!open_golden("unixcoder", dtype)) skip();
    Model *m = golden_model(&G, "", NULL);
    Batch x = padded(m, "encoder_only");
    Hooks *h = hooks_new(&G.run);
    Seen seen;
    watch(&G, h, &seen, PART_ENCODER);
    Pass p = {.tape = tape_open(&G.step, false), .hooks = h};
    Tensor last = model_hidden(m, &p, &x)->val;
    compare_part(&G, "encoder_only", "", &seen, model_layers(m, PART_ENCODER), last, x.len);
    Tensor token = golden_array(&G, "encoder_only", "token_embeddings");
    golden_compare(&G, "encoder_only", "token_embeddings", last, token, x.len);
    Tensor sentence = model_pooled(m, &p, &x, POOL_MEAN)->val;
    EXPECT_GOLDEN(tensor_reshape(sentence, SHAPE(x.b, m->config.dim)), &G, "encoder_only", "sentence_embeddings",
                  NULL);
    golden_close(&G);
}

static void log_softmax(Tensor z)
{
    int64_t v = tensor_last(z);
    for (int64_t r = 0; r < tensor_count(z) / v; r++) {
        double top = -INFINITY, sum = 0;
        for (int64_t i = 0; i < v; i++) top = fmax(top, tensor_get(z, r * v + i));
        for (int64_t i = 0; i < v; i++) sum += exp(tensor_get(z, r * v + i) - top);
        for (int64_t i = 0; i < v; i++) tensor_set(z, r * v + i, tensor_get(z, r * v + i) - top - log(sum));
    }
}

/* `key`: rows of beams filled with zeros; no end-of-text token is written. */
static void compare_written(const char *name, const char *key, Model *m, int beams, bool both_ways)
{
    Batch x = padded(m, name);
    const cJSON *all = golden_get(&G, name, "outputs", key), *row, *beam, *id;
    int most = cJSON_GetArraySize(cJSON_GetArrayItem(cJSON_GetArrayItem(all, 0), 0));
    GenerateConfig c = generate_defaults(m, most);
    c.beams = c.n_best = beams;
    c.both_ways = both_ways;
    int32_t *out = NEW(&G.run, int32_t, x.b * beams * most), *len = NEW(&G.run, int32_t, x.b * beams);
    double *score = NEW(&G.run, double, x.b *beams);
    EXPECT(generate_beams(out, len, score, m, NULL, &G.step, &x, &c) == OK, "%s", err_message());
    int64_t r = 0;
    cJSON_ArrayForEach(row, all)
    {
        cJSON_ArrayForEach(beam, row)
        {
            int32_t n = len[r] && out[r * most + len[r] - 1] == c.eos ? len[r] - 1 : len[r], i = 0;
            cJSON_ArrayForEach(id, beam)
            {
                int32_t got = i < n ? out[r * most + i] : 0;
                EXPECT(got == id->valueint, "%s %s, result %lld: token %d is %d, expected %d", name, key,
                       (long long)r, i, got, id->valueint);
                i++;
            }
            r++;
        }
    }
    assert_int_equal(r, x.b * beams);
    if (beams > 1) return;
    int32_t *greedy = NEW(&G.run, int32_t, x.b * most); /* one beam is the likeliest token at each step */
    EXPECT(generate_tokens(greedy, len, m, NULL, &G.step, &x, &c) == OK, "%s", err_message());
    for (int64_t b = 0; b < x.b; b++) assert_memory_equal(greedy + b * most, out + b * most, 4 * (size_t)len[b]);
}

static void decoder_only(DType dtype)
{
    if (!open_golden("unixcoder", dtype)) skip();
    Model *m = golden_model(&G, "", &(LoadOptions){.writes_from_encoder = true});
    Batch x = padded(m, "decoder_only");
    x.causal = true;
    Pass p = {.tape = tape_open(&G.step, false)};
    EXPECT_GOLDEN(model_hidden(m, &p, &x)->val, &G, "decoder_only", "last_hidden", x.len);
    Tensor z = tensor_copy(&G.run, model_logits(m, &p, &x)->val);
    log_softmax(z);
    EXPECT_GOLDEN(z, &G, "decoder_only", "log_probs", x.len);
    compare_written("decoder_only", "generate_beam1", m, 1, false);
    compare_written("decoder_only", "generate_beam3", m, 3, false);
    compare_written("encoder_decoder", "generate_beam3", m, 3, true);
    golden_close(&G);
}

static int likeliest(Tensor log_probs, int64_t row, const int *but, int n)
{
    int best = -1;
    int64_t v = tensor_last(log_probs);
    for (int i = 0; i < (int)v; i++) {
        bool taken = false;
        for (int j = 0; j < n; j++) taken |= but[j] == i;
        if (!taken && (best < 0 || tensor_get(log_probs, row * v + i) > tensor_get(log_probs, row * v + best)))
            best = i;
    }
    return best;
}

/* One new token and three beams: the open beams are the reference's three likeliest tokens.  Where none of them ends
 * the text, the reference would list them as first, first, second; here they are first, second, third. */
static void what_has_not_ended_is_listed_once(DType dtype)
{
    enum { BEAMS = 3 };
    if (!open_golden("unixcoder", dtype)) skip();
    Model *m = golden_model(&G, "", &(LoadOptions){.writes_from_encoder = true});
    Batch x = padded(m, "decoder_only");
    Tensor z = golden_array(&G, "decoder_only", "log_probs");
    GenerateConfig c = generate_defaults(m, 1);
    c.beams = c.n_best = BEAMS;
    int32_t *out = NEW(&G.run, int32_t, x.b * BEAMS), *len = NEW(&G.run, int32_t, x.b * BEAMS);
    double *score = NEW(&G.run, double, x.b *BEAMS);
    EXPECT(generate_beams(out, len, score, m, NULL, &G.step, &x, &c) == OK, "%s", err_message());
    int open_rows = 0;
    for (int64_t b = 0; b < x.b; b++) {
        int token[BEAMS];
        bool ends = false;
        int64_t row = b * x.t + x.len[b] - 1;
        for (int i = 0; i < BEAMS; i++) {
            token[i] = likeliest(z, row, token, i);
            ends |= token[i] == c.eos;
        }
        if (ends) continue;
        open_rows++;
        for (int i = 0; i < BEAMS; i++) {
            EXPECT(out[b * BEAMS + i] == token[i], "row %lld, result %d is token %d, expected %d", (long long)b, i,
                   out[b * BEAMS + i], token[i]);
            near(score[b * BEAMS + i], tensor_get(z, row * tensor_last(z) + token[i]), 1e-4, "log-probability");
        }
    }
    assert_true(open_rows > 0);
    golden_close(&G);
}

/* ---- GraphCodeBERT */

static int32_t *int_row(const cJSON *list, int32_t *n)
{
    int32_t *out = NEW(&G.run, int32_t, cJSON_GetArraySize(list));
    const cJSON *x;
    *n = 0;
    cJSON_ArrayForEach(x, list) out[(*n)++] = x->valueint;
    return out;
}

static Flow read_flow(int row)
{
    Flow f = {0};
    const cJSON *names = cJSON_GetArrayItem(golden_get(&G, "codesearch", "inputs", "dfg_to_code"), row), *x, *y;
    const cJSON *edges = cJSON_GetArrayItem(golden_get(&G, "codesearch", "inputs", "dfg_to_dfg"), row);
    f.id = int_row(cJSON_GetArrayItem(golden_get(&G, "codesearch", "inputs", "code_ids"), row), &f.tokens);
    int n = cJSON_GetArraySize(names); /* and no more than n^2 edges */
    int32_t(*name)[2] = arena_zero(&G.run, sizeof *name * (size_t)n);
    int32_t(*edge)[2] = arena_zero(&G.run, sizeof *edge * (size_t)(n * n));
    cJSON_ArrayForEach(x, names)
    {
        name[f.nodes][0] = cJSON_GetArrayItem(x, 0)->valueint;
        name[f.nodes++][1] = cJSON_GetArrayItem(x, 1)->valueint;
    }
    int32_t node = 0;
    cJSON_ArrayForEach(x, edges)
    {
        cJSON_ArrayForEach(y, x)
        {
            edge[f.edges][0] = node;
            edge[f.edges++][1] = y->valueint;
        }
        node++;
    }
    f.names = (const int32_t(*)[2])name;
    f.edge = (const int32_t(*)[2])edge;
    return f;
}

static void same_inputs(const Batch *x)
{
    Ids id = golden_ids(&G, "codesearch", "inputs", "input_ids");
    Ids position = golden_ids(&G, "codesearch", "inputs", "position_idx");
    assert_int_equal(id.t, x->t);
    for (int64_t i = 0; i < x->b * x->t; i++) {
        assert_int_equal(x->ids[i], id.id[i]);
        assert_int_equal(x->position[i], position.id[i]);
    }
    const cJSON *mask = golden_get(&G, "codesearch", "inputs", "attention_mask"), *text, *row, *cell;
    int64_t i = 0;
    cJSON_ArrayForEach(text, mask)
    {
        cJSON_ArrayForEach(row, text)
        {
            cJSON_ArrayForEach(cell, row)
            {
                EXPECT(x->sees[i] == cell->valueint, "text %lld: row %lld sees %lld: %d",
                       (long long)(i / x->t / x->t), (long long)(i / x->t % x->t), (long long)(i % x->t), x->sees[i]);
                i++;
            }
        }
    }
    assert_int_equal(i, x->b * x->t * x->t);
}

static void data_flow(DType dtype)
{
    if (!open_golden("graphcodebert", dtype)) skip();
    Model *m = golden_model(&G, "../roberta/bare", NULL);
    Ids id = golden_ids(&G, "codesearch", "inputs", "input_ids");
    Flow *flow = NEW(&G.run, Flow, id.b);
    for (int i = 0; i < id.b; i++) flow[i] = read_flow(i);
    Batch x;
    EXPECT(flow_batch(&x, &G.run, &m->config, flow, id.b, id.t) == OK, "%s", err_message());
    same_inputs(&x);
    for (int open = 0; open < 2; open++) {
        Hooks *h = hooks_new(&G.run);
        Seen seen;
        if (open) watch(&G, h, &seen, PART_ENCODER);
        Pass p = {.tape = tape_open(&G.step, false), .hooks = h};
        EXPECT_GOLDEN(model_hidden(m, &p, &x)->val, &G, "codesearch", "last_hidden", x.len);
        if (open) EXPECT_GOLDEN(seen.embed.value, &G, "codesearch", "embeddings_out", x.len);
        Tensor pooled = model_pooled(m, &p, &x, POOL_POOLER)->val;
        EXPECT_GOLDEN(tensor_reshape(pooled, SHAPE(x.b, m->config.dim)), &G, "codesearch", "pooled", NULL);
        Batch query = padded(m, "query");
        pooled = model_pooled(m, &p, &query, POOL_POOLER)->val;
        EXPECT_GOLDEN(tensor_reshape(pooled, SHAPE(query.b, m->config.dim)), &G, "query", "pooled", NULL);
    }
    golden_close(&G);
}

BOTH(encoder_only)
BOTH(decoder_only)
BOTH(what_has_not_ended_is_listed_once)
BOTH(data_flow)

SUITE(TWO(encoder_only), TWO(decoder_only), TWO(what_has_not_ended_is_listed_once), TWO(data_flow))
