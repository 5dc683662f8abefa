/* Every op refuses inputs that do not fit together, before a kernel reads past their ends, and takes those that just
 * fit.  Each line below is a call that must abort and one beside it, at the limit, that must not. */
#include "expect.h"

#include "ad/op.h"
#include "dies.h"

static Arena arena;

static Var *of(Tape *t, int rank, const int64_t *dim)
{
    return tape_leaf(t, noise(&arena, F64, 3, rank, dim));
}
#define OF(...) of(t, SHAPE(__VA_ARGS__))
#define IDS(...) ((const int32_t[]){__VA_ARGS__})
#define LABELS(...) ((const float[]){__VA_ARGS__})
#define HEADS(...) ((Attn){.heads = 2, .head_dim = 3, .scale = 1, __VA_ARGS__})

/* X(the fault, the wrong call, the call at the limit) */
#define CALLS(X)                                                                                                     \
    X("no such activation", op_act(t, ACTS, OF(2, 3)), op_act(t, ACTS - 1, OF(2, 3)))                                \
    X("a negative activation", op_act(t, (Act)-1, OF(2, 3)), op_act(t, ACT_NONE, OF(2, 3)))                          \
    X("an addend that is no suffix", op_add(t, OF(2, 3), 1, OF(2)), op_add(t, OF(2, 3), 1, OF(3)))                   \
    X("an addend of more dimensions", op_add(t, OF(3), 1, OF(2, 3)), op_add(t, OF(2, 3), 1, OF(1, 3)))               \
    X("a product of two shapes", op_mul(t, OF(2, 3), OF(3, 2)), op_mul(t, OF(2, 3), OF(2, 3)))                       \
    X("columns past the last", op_cols(t, OF(2, 5), 3, 3), op_cols(t, OF(2, 5), 3, 2))                               \
    X("columns before the first", op_cols(t, OF(2, 5), -1, 2), op_cols(t, OF(2, 5), 0, 5))                           \
    X("dropout of more than all", op_dropout(t, OF(2, 3), 1.01, 1), op_dropout(t, OF(2, 3), 1, 1))                   \
    X("dropout of less than none", op_dropout(t, OF(2, 3), -0.01, 1), op_dropout(t, OF(2, 3), 0, 1))                 \
    X("a first id past the table", op_embed(t, OF(7, 4), IDS(7, 0), 1, 2), op_embed(t, OF(7, 4), IDS(6, 0), 1, 2))   \
    X("a last id past the table", op_embed(t, OF(7, 4), IDS(0, 7), 2, 1), op_embed(t, OF(7, 4), IDS(0, 6), 2, 1))    \
    X("a table of one dimension", op_embed(t, OF(7), IDS(0), 1, 1), op_embed(t, OF(7, 4), IDS(-1), 1, 1))            \
    X("an id past the rows of all matrices", op_embed(t, OF(7, 4, 1), IDS(28), 1, 1),                                \
      op_embed(t, OF(7, 4, 1), IDS(27), 1, 1))                                                                       \
    X("weights of another width", op_linear(t, OF(2, 3), OF(4, 2), OUT_IN, NULL, ACT_NONE),                          \
      op_linear(t, OF(2, 3), OF(4, 3), OUT_IN, NULL, ACT_NONE))                                                      \
    X("weights the other way round", op_linear(t, OF(2, 3), OF(4, 3), IN_OUT, NULL, ACT_NONE),                       \
      op_linear(t, OF(2, 3), OF(3, 4), IN_OUT, NULL, ACT_NONE))                                                      \
    X("a bias of another length", op_linear(t, OF(2, 3), OF(4, 3), OUT_IN, OF(3), ACT_NONE),                         \
      op_linear(t, OF(2, 3), OF(4, 3), OUT_IN, OF(4), ACT_NONE))                                                     \
    X("outputs past the last", op_linear_part(t, OF(2, 3), OF(4, 3), OUT_IN, NULL, ACT_NONE, 2, 3),                  \
      op_linear_part(t, OF(2, 3), OF(4, 3), OUT_IN, NULL, ACT_NONE, 2, 2))                                           \
    X("a gain of another length", op_norm(t, OF(2, 3), NULL, OF(2), NULL, 1e-5),                                     \
      op_norm(t, OF(2, 3), NULL, OF(3), NULL, 1e-5))                                                                 \
    X("a norm's bias of another length", op_norm(t, OF(2, 3), NULL, OF(3), OF(2), 1e-5),                             \
      op_norm(t, OF(2, 3), NULL, OF(3), OF(3), 1e-5))                                                                \
    X("a residual of another shape", op_norm(t, OF(2, 3), OF(3), OF(3), NULL, 1e-5),                                 \
      op_norm(t, OF(2, 3), OF(2, 3), OF(3), NULL, 1e-5))                                                             \
    X("a target past the classes", op_xent(t, OF(2, 3), IDS(0, 3)), op_xent(t, OF(2, 3), IDS(0, 2)))                 \
    X("a head's target past the classes", op_head_xent(t, OF(2, 3), OF(4, 3), OUT_IN, NULL, IDS(1, 4), NULL),        \
      op_head_xent(t, OF(2, 3), OF(4, 3), OUT_IN, NULL, IDS(1, 3), NULL))                                            \
    X("a head of another width", op_head_xent(t, OF(2, 3), OF(3, 4), OUT_IN, NULL, IDS(1, 2), NULL),                 \
      op_head_xent(t, OF(2, 3), OF(3, 4), IN_OUT, NULL, IDS(1, 2), NULL))                                            \
    X("a label above one", op_bce(t, OF(2, 2), LABELS(0, 1, 0, 1.01f)), op_bce(t, OF(2, 2), LABELS(0, 1, 0, 1)))     \
    X("a focal loss of another alpha", op_focal(t, OF(2), LABELS(0, 1), 1.1, 2),                                     \
      op_focal(t, OF(2), LABELS(0, 1), 1, 0))                                                                        \
    X("a distance of two shapes", op_mse(t, OF(2, 3), OF(3, 2)->val), op_mse(t, OF(2, 3), OF(2, 3)->val))            \
    X("a mean of nothing", op_mse(t, OF(0, 3), OF(0, 3)->val), op_mse(t, OF(1, 1), OF(1, 1)->val))                   \
    X("a mean over more rows than there are", op_pool(t, OF(2, 3, 4), IDS(3, 4)),                                    \
      op_pool(t, OF(2, 3, 4), IDS(0, 3)))                                                                            \
    X("a maximum over more rows than there are", op_max(t, OF(2, 3, 4), IDS(3, 4)),                                  \
      op_max(t, OF(2, 3, 4), IDS(0, 3)))                                                                             \
    X("more orthonormal rows than columns", op_orthonormal(t, OF(4, 3)), op_orthonormal(t, OF(2, 3)))                \
    X("a comparison of two shapes", op_compare(t, OF(2, 3), OF(3, 2)), op_compare(t, OF(2, 3), OF(2, 3)))            \
    X("columns beside other rows", op_join(t, (Var *[]){OF(2, 3), OF(3, 3)}, 2),                                     \
      op_join(t, (Var *[]){OF(2, 3), OF(2, 4)}, 2))                                                                  \
    X("nothing side by side", op_join(t, (Var *[]){OF(2, 3)}, 0), op_join(t, (Var *[]){OF(2, 3)}, 1))                \
    X("more columns than an op takes", op_join(t, (Var *[]){OF(1), OF(1), OF(1), OF(1), OF(1)}, 5),                  \
      op_join(t, (Var *[]){OF(1), OF(1), OF(1), OF(1)}, 4))                                                          \
    X("a batch that does not divide the rows", op_softmax_batch(t, OF(6, 2), 4), op_softmax_batch(t, OF(6, 2), 3))   \
    X("a softmax over no batch", op_softmax_batch(t, OF(6, 2), 0), op_softmax_batch(t, OF(6, 2), 1))                 \
    X("two gates", op_gru(t, OF(2, 3, 4), OF(4, 2), OF(4), NULL, false),                                             \
      op_gru(t, OF(2, 3, 6), OF(6, 2), OF(6), NULL, false))                                                          \
    X("gates of another input", op_gru(t, OF(2, 3, 3), OF(6, 2), OF(6), NULL, false),                                \
      op_gru(t, OF(2, 3, 3), OF(3, 1), OF(3), NULL, false))                                                          \
    X("gates without all biases", op_gru(t, OF(2, 3, 6), OF(6, 2), OF(4), NULL, false),                              \
      op_gru(t, OF(2, 3, 6), OF(6, 2), OF(6), NULL, true))                                                           \
    X("more steps than there are", op_gru(t, OF(2, 3, 6), OF(6, 2), OF(6), IDS(3, 4), false),                        \
      op_gru(t, OF(2, 3, 6), OF(6, 2), OF(6), IDS(3, 0), false))                                                     \
    X("a prefix of another width", op_prepend(t, OF(2, 3), OF(2, 3, 4), 0), op_prepend(t, OF(2, 4), OF(2, 3, 4), 0)) \
    X("a prefix for more rows than there are", op_prepend(t, OF(2, 4), OF(2, 3, 4), 4),                              \
      op_prepend(t, OF(2, 4), OF(2, 3, 4), 3))                                                                       \
    X("a row past the last", op_rows(t, OF(2, 3, 4), IDS(2, 3), 2, 1), op_rows(t, OF(2, 3, 4), IDS(-1, 2), 2, 1))    \
    X("rows of another batch", op_rows(t, OF(2, 3, 4), IDS(0), 1, 1), op_rows(t, OF(1, 3, 4), IDS(0), 1, 1))         \
    X("columns and scales", op_scale_cols(t, OF(2, 3), OF(2)), op_scale_cols(t, OF(2, 3), OF(3)))                    \
    X("a span past the last row", op_spans(t, OF(1, 2, 3), IDS(-1, -1, 0, 3)),                                       \
      op_spans(t, OF(1, 2, 3), IDS(-1, -1, 0, 2)))                                                                   \
    X("a span that ends before it begins", op_spans(t, OF(1, 2, 3), IDS(-1, -1, 2, 1)),                              \
      op_spans(t, OF(1, 2, 3), IDS(-1, -1, 2, 2)))                                                                   \
    X("one bucket each way", op_relpos(t, OF(3, 2), (RelPos){2, 2, 8, true, NULL}),                                  \
      op_relpos(t, OF(4, 2), (RelPos){2, 2, 8, true, NULL}))                                                         \
    X("one bucket", op_relpos(t, OF(1, 2), (RelPos){2, 2, 8, false, NULL}),                                          \
      op_relpos(t, OF(2, 2), (RelPos){2, 2, 8, false, NULL}))                                                        \
    X("no distance beyond the buckets of one", op_relpos(t, OF(8, 2), (RelPos){2, 9, 2, true, NULL}),                \
      op_relpos(t, OF(8, 2), (RelPos){2, 9, 3, true, NULL}))                                                         \
    X("nor looking back", op_relpos(t, OF(8, 2), (RelPos){2, 9, 4, false, NULL}),                                    \
      op_relpos(t, OF(8, 2), (RelPos){2, 9, 5, false, NULL}))                                                        \
    X("heads that do not fill the width", op_attend(t, OF(1, 2, 5), OF(1, 2, 6), OF(1, 2, 6), NULL, HEADS()),        \
      op_attend(t, OF(1, 2, 6), OF(1, 2, 6), OF(1, 2, 6), NULL, HEADS()))                                            \
    X("key heads that do not divide the heads",                                                                      \
      op_attend(t, OF(1, 2, 6), OF(1, 2, 9), OF(1, 2, 9), NULL, HEADS(.kv_heads = 3)),                               \
      op_attend(t, OF(1, 2, 6), OF(1, 2, 3), OF(1, 2, 3), NULL, HEADS(.kv_heads = 1)))                               \
    X("keys of other heads", op_scores(t, OF(1, 2, 6), OF(1, 2, 6), NULL, HEADS(.kv_heads = 1)),                     \
      op_scores(t, OF(1, 2, 6), OF(1, 2, 3), NULL, HEADS(.kv_heads = 1)))                                            \
    X("a window before the query", op_attend(t, OF(1, 2, 6), OF(1, 2, 6), OF(1, 2, 6), NULL, HEADS(.window = -1)),   \
      op_attend(t, OF(1, 2, 6), OF(1, 2, 6), OF(1, 2, 6), NULL, HEADS(.window = 1)))                                 \
    X("keys and values of two lengths", op_attend(t, OF(1, 2, 6), OF(1, 3, 6), OF(1, 2, 6), NULL, HEADS()),          \
      op_attend(t, OF(1, 2, 6), OF(1, 3, 6), OF(1, 3, 6), NULL, HEADS()))                                            \
    X("a prefix longer than the keys",                                                                               \
      op_attend(t, OF(1, 2, 6), OF(1, 2, 6), OF(1, 2, 6), NULL, HEADS(.prefix = 3)),                                 \
      op_attend(t, OF(1, 2, 6), OF(1, 2, 6), OF(1, 2, 6), NULL, HEADS(.prefix = 2)))                                 \
    X("more causal queries than keys", op_scores(t, OF(1, 3, 6), OF(1, 2, 6), NULL, HEADS(.causal = true)),          \
      op_scores(t, OF(1, 2, 6), OF(1, 2, 6), NULL, HEADS(.causal = true)))                                           \
    X("a bias for other heads", op_scores(t, OF(1, 2, 6), OF(1, 4, 6), OF(3, 2, 4), HEADS()),                        \
      op_scores(t, OF(1, 2, 6), OF(1, 4, 6), OF(2, 2, 4), HEADS()))                                                  \
    X("a bias for the prefix too", op_scores(t, OF(1, 2, 6), OF(1, 4, 6), OF(2, 2, 4), HEADS(.prefix = 1)),          \
      op_scores(t, OF(1, 2, 6), OF(1, 4, 6), OF(2, 2, 3), HEADS(.prefix = 1)))                                       \
    X("probabilities of other heads", op_mix(t, OF(1, 3, 2, 4), OF(1, 4, 6), HEADS()),                               \
      op_mix(t, OF(1, 2, 2, 4), OF(1, 4, 6), HEADS()))                                                               \
    X("values of other heads", op_mix(t, OF(1, 2, 2, 4), OF(1, 4, 6), HEADS(.kv_heads = 1)),                         \
      op_mix(t, OF(1, 2, 2, 4), OF(1, 4, 3), HEADS(.kv_heads = 1)))                                                  \
    X("the scalar of a vector", (void)tape_scalar(OF(2)), (void)tape_scalar(OF(1)))                                  \
    X("back from a vector", tape_backward(t, op_scale(t, tape_input(t, OF(2)->val), 1)),                             \
      tape_backward(t, op_scale(t, tape_input(t, OF(1)->val), 1)))                                                   \
    X("a scope left twice", tape_leave(t, 0, NULL), tape_leave(t, tape_enter(t), NULL))                              \
    X("a gradient that no one wants", (void)tape_grad(t, OF(2), NULL),                                               \
      (void)tape_grad(t, tape_input(t, OF(2)->val), NULL))                                                           \
    X("a parameter added twice", add_twice("w", "w"), add_twice("w", "v"))

static void add_twice(const char *first, const char *second)
{
    ParamSet *set = params_open(&arena, F32, 1);
    param_add(set, first, (Init){INIT_ZERO, 0}, SHAPE(2));
    param_add(set, second, (Init){INIT_ZERO, 0}, SHAPE(2));
}

static void call(int which)
{
    arena = arena_open(0);
    Tape *t = tape_open(&arena, true);
    int at = 0;
#define WRONG_THEN_RIGHT(name, wrong, right)                                                                         \
    if (at++ == which) wrong;                                                                                        \
    if (at++ == which) right;
    CALLS(WRONG_THEN_RIGHT)
}

static void misfits_are_refused(void **state)
{
    (void)state;
#define NAME(name, wrong, right) name,
    static const char *const NAMES[] = {CALLS(NAME)};
    for (int i = 0; i < (int)(sizeof NAMES / sizeof *NAMES); i++) {
        EXPECT(ending(call, 2 * i) == ABORTS, "%s is not refused", NAMES[i]);
        EXPECT(ending(call, 2 * i + 1) == RETURNS, "%s: its neighbour, which fits, is refused", NAMES[i]);
    }
}

SUITE(cmocka_unit_test(misfits_are_refused))
