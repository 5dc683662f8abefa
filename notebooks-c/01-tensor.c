// %% [markdown]
// # A tensor, an operation and its gradient
//
// Everything in this workbench is made of three things. A *tensor* is an array of numbers with a
// shape. An *operation* computes a tensor from tensors. A *tape* remembers the operations, so that
// it can go back through them and compute how a result depends on every number that went in.
// Training a transformer of 100 million parameters is the same three things, many times.
//
// You will build a small computation, take its gradient, and check the gradient in a second way
// that needs no calculus.
//
// ## A tensor
//
// Each code cell is a whole C program on the header of the library. `notebook.h` includes it and
// lets a cell be one function, `cell`. Memory comes from an *arena*: `run` lives as long as the
// cell, and nothing is freed one by one.
//
// `F64` means 64 bits a number. Models compute in `F32`; here `F64` makes the digits reliable.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

static Status cell(Arena *run)
{
    Tensor x = tensor_new(run, F64, SHAPE(2, 3)); // two rows of three numbers
    for (int64_t i = 0; i < tensor_count(x); i++) tensor_set(x, i, 0.5 * (double)i);

    printf("x has shape %s and %lld elements\n", tensor_shape(x), (long long)tensor_count(x));
    for (int64_t r = 0; r < 2; r++)
        printf("row %lld: %.1f %.1f %.1f\n", (long long)r, tensor_get(x, 3 * r),
               tensor_get(x, 3 * r + 1), tensor_get(x, 3 * r + 2));

    Tensor second = tensor_at(x, 1); // a view: the same memory
    tensor_set(second, 0, 9);
    return expect(tensor_get(x, 3) == 9, "a view of row 1 and the tensor share their memory");
}

// %% [markdown]
// ## An operation
//
// `op_linear` is the workhorse of every transformer: `y = x W' + b`. The tape records it because
// `w` wants a gradient. `op_mse` compares the result with a target: the mean over rows of the
// squared distance.
//
// With one row `x = (1, 2)`, weights `W = (3, -1)`, no bias and the target 4, the output is `3·1 -
// 1·2 = 1` and the loss is `(1 - 4)² = 9`. By the chain rule the gradient of the loss for `W` is `2
// (1 - 4) x = (-6, -12)`.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

static Status cell(Arena *run)
{
    double x_data[] = {1, 2}, w_data[] = {3, -1}, t_data[] = {4};
    Tape *tape = tape_open(run, true); // true: record, so that it can go back
    Var *x = tape_leaf(tape, tensor_over(x_data, F64, SHAPE(1, 2)));  // a constant
    Var *w = tape_input(tape, tensor_over(w_data, F64, SHAPE(1, 2))); // wants a gradient
    Var *y = op_linear(tape, x, w, OUT_IN, NULL, ACT_NONE);
    Var *loss = op_mse(tape, y, tensor_over(t_data, F64, SHAPE(1, 1)));
    tape_backward(tape, loss);

    printf("y = %.1f, loss = %.1f\n", tensor_get(y->val, 0), tape_scalar(loss));
    printf("gradient for W: (%.1f, %.1f)\n", tensor_get(w->grad, 0), tensor_get(w->grad, 1));
    TRY(expect(tape_scalar(loss) == 9, "the loss is 9"));
    return expect(tensor_get(w->grad, 0) == -6 && tensor_get(w->grad, 1) == -12,
                  "the gradient is (-6, -12)");
}

// %% [markdown]
// ## Is a gradient right?
//
// A gradient is a claim about small changes: move one weight by `h`, and the loss moves by `h`
// times the gradient. That can be checked without calculus. Compute the loss at `w + h` and at `w -
// h`; the difference divided by `2h` is the slope. This *central difference* is how every operation
// of the library is tested.
//
// Which `h` is best? With a large `h` the curve bends between the two points, and the error shrinks
// like `h²`. With a tiny `h` two losses are subtracted that agree in nearly all of their 16 digits,
// so rounding counts, and the error grows like `1/h`. The best step lies between. The next cell
// measures the error for `h` from `10⁻¹` to `10⁻¹²`. The function is curved: a linear layer, the
// activation GELU, and a second linear layer.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

enum { IN = 4, HIDDEN = 8, STEPS = 12 };

// The loss of a small network; with `slope`, also its derivative for element 0 of the first weights.
static double loss_of(Arena *run, Tensor w, double *slope)
{
    ArenaMark mark = arena_mark(run);
    Tape *tape = tape_open(run, slope != NULL);
    Tensor x = random_tensor(run, "x", SHAPE(3, IN)), v = random_tensor(run, "v", SHAPE(1, HIDDEN));
    Var *in = tape_input(tape, w);
    Var *h = op_linear(tape, tape_leaf(tape, x), in, OUT_IN, NULL, ACT_GELU);
    Var *y = op_linear(tape, h, tape_leaf(tape, v), OUT_IN, NULL, ACT_NONE);
    Var *loss = op_mse(tape, y, tensor_zero(run, F64, SHAPE(3, 1)));
    double value = tape_scalar(loss);
    if (slope) {
        tape_backward(tape, loss);
        *slope = tensor_get(in->grad, 0);
    }
    arena_drop(run, mark);
    return value;
}

static Status cell(Arena *run)
{
    Tensor w = random_tensor(run, "w", SHAPE(HIDDEN, IN));
    Tensor step = tensor_new(run, F64, SHAPE(STEPS)), error = tensor_new(run, F64, SHAPE(STEPS));
    double slope, start = tensor_get(w, 0);
    loss_of(run, w, &slope);
    printf("the tape's derivative: %.6f\n", slope);
    for (int64_t i = 0; i < STEPS; i++) {
        double h = pow(10, -(double)(i + 1));
        tensor_set(w, 0, start + h);
        double above = loss_of(run, w, NULL);
        tensor_set(w, 0, start - h);
        double below = loss_of(run, w, NULL);
        tensor_set(w, 0, start);
        tensor_set(step, i, h);
        tensor_set(error, i, fabs((above - below) / (2 * h) - slope) / fabs(slope));
    }
    for (int64_t i = 0; i < 4; i++)
        printf("h = 1e-%lld: relative error %.1e\n", (long long)i + 1, tensor_get(error, i));
    TRY(expect(tensor_get(error, 4) < 1e-9, "at h = 1e-5 the two derivatives agree to 9 digits"));
    double shrinks = tensor_get(error, 1) / tensor_get(error, 2);
    TRY(expect(fabs(shrinks - 100) < 5,
               "a step ten times smaller has an error a hundred times smaller"));
    TRY(expect(tensor_get(error, 11) > tensor_get(error, 4),
               "at h = 1e-12 rounding has made the error larger again"));

    Fig *f = figure(run, "run/tensor/step", 300, 170);
    Series line = {.x = step, .y = error, .marked = true};
    fig_lines(f, fig_whole(f), 1, &line,
              (PlotStyle){.x = {.title = "step h", .log = true},
                          .y = {.title = "relative error", .log = true}});
    return show(f, "run/tensor/step",
                "The error of a central difference against its step: from the right it falls like "
                "the square of the "
                "step, until rounding takes over.");
}

// %% [markdown]
// ## Exercise
//
// 1. In the last cell, replace `F64` by `F32` everywhere, and the limits in `expect` by ones that
//    hold. Where is the best step now, and how many digits are left? This is why the library checks
//    gradients in F64.
// 2. Replace `ACT_GELU` by `ACT_NONE`. The loss is now a quadratic function of the weight. Which of
//    the three claims fails, and why?
//
// Next: [attention and hooks](02-attention.ipynb).
