/* The four families against the same models in plain PyTorch (tests/oracle/generate.py), whose answers in
 * F64 lie in tests/golden/torch: so close that rounding hides nothing. */
#include "golden_model.h"

static Golden G;

static Model *open_case(const char *family, DType dtype, Batch *x)
{
    EXPECT(golden_open_in(&G, "tests/golden", family), "tests/golden/%s is not there", family);
    G.dtype = dtype;
    Ids in = golden_ids(&G, "case", "inputs", "input_ids");
    int32_t *len = golden_len(&G, "case", "attention_mask");
    *x = (Batch){.b = in.b, .target = golden_ids(&G, "case", "inputs", "labels").id};
    if (golden_get(&G, "case", "inputs", "decoder_input_ids")) {
        Ids ids = golden_ids(&G, "case", "inputs", "decoder_input_ids");
        x->t = ids.t, x->ids = ids.id, x->s = in.t, x->src = in.id, x->src_len = len;
    } else {
        x->t = in.t, x->ids = in.id, x->len = len;
    }
    return golden_model(&G, "", NULL);
}

static void one_stack(const char *family, DType dtype)
{
    Batch x;
    Model *m = open_case(family, dtype, &x);
    Hooks *h = hooks_new(&G.run);
    Seen seen;
    watch(&G, h, &seen, m->arch->last);
    Pass p = {.tape = tape_open(&G.step, false), .hooks = h};
    compare_part(&G, "case", "", &seen, 2, model_hidden(m, &p, &x)->val, x.len);
    EXPECT_GOLDEN(model_logits(m, &p, &x)->val, &G, "case", "logits", x.len);
    compare_loss(&G, m, "case", &x);
    golden_close(&G);
}

static void two_stacks(const char *family, DType dtype)
{
    Batch x;
    Model *m = open_case(family, dtype, &x);
    Hooks *h = hooks_new(&G.run);
    Seen e, d, c;
    watch(&G, h, &e, PART_ENCODER);
    watch(&G, h, &d, PART_DECODER);
    watch(&G, h, &c, PART_CROSS);
    Pass p = {.tape = tape_open(&G.step, false), .hooks = h};
    Var *memory = m->arch->encode(m, &p, &x), *hidden = m->arch->decode(m, &p, &x, memory);
    compare_part(&G, "case", "encoder/", &e, 2, memory->val, x.src_len);
    compare_part(&G, "case", "decoder/", &d, 2, hidden->val, NULL);
    compare_part(&G, "case", "cross/", &c, 2, hidden->val, NULL);
    EXPECT_GOLDEN(model_logits(m, &p, &x)->val, &G, "case", "logits", NULL);
    compare_loss(&G, m, "case", &x);
    golden_close(&G);
}

static void roberta(DType dtype)
{
    one_stack("torch/roberta", dtype);
}

static void gpt2(DType dtype)
{
    one_stack("torch/gpt2", dtype);
}

static void bart(DType dtype)
{
    two_stacks("torch/bart", dtype);
}

static void t5(DType dtype)
{
    two_stacks("torch/t5", dtype);
}

BOTH(roberta)
BOTH(gpt2)
BOTH(bart)
BOTH(t5)

SUITE(TWO(roberta), TWO(gpt2), TWO(bart), TWO(t5))
