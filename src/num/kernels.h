/* The numerical kernels: plain functions over contiguous memory, forward and backward side by side.
 *
 * Every kernel exists first as a reference (ref.inc: plain loops over REAL, compiled for F64 and F32) and, for
 * F32, again in fast.inc, written so that the compiler vectorises it and compiled per instruction set.  Ops
 * take the table for their dtype from kernels_of(); tests compare the tables; --kernels=ref selects references.
 *
 * Rules.  A gradient output `dx` is accumulated when `add` is true and overwritten otherwise; a NULL gradient
 * output is not computed.  Parameter gradients (dg, db, ...) always accumulate.  Without `add`, dx, dz and da may be
 * dy itself, and y may be x in the elementwise kernels.  Work is cut by problem size and partial sums are combined
 * in index order, so results do not depend on the number of threads.  Fast activations agree with the reference to
 * a few units in the last place (fastmath.h), sums over n elements to about sqrt(n) of them.
 * Letters: N elements, R rows, C columns, V vocabulary.  `void *` is REAL * of the table's dtype. */
#ifndef NUM_KERNELS_H
#define NUM_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "num/tensor.h"

typedef enum { ACT_NONE, ACT_RELU, ACT_GELU, ACT_GELU_TANH, ACT_SILU, ACT_TANH, ACTS } Act;
extern const char *const ACT_NAMES[ACTS]; /* "none", "relu", "gelu" (exact, erf), "gelu_tanh", "silu", "tanh" */

typedef struct {
    /* y = act(x); dx = dy act'(x), x is the input of the forward */
    void (*act_fwd)(Act, void *y, const void *x, int64_t n);
    void (*act_bwd)(Act, void *dx, const void *dy, const void *x, int64_t n, bool add);
    /* pre += bias per row (bias may be NULL), y = act(pre); y may be pre itself */
    void (*bias_act)(Act, void *y, void *pre, const void *bias, int64_t r, int64_t c);
    void (*add)(void *y, const void *a, double s, const void *b, int64_t n);       /* y = a + s b; y may be a */
    void (*mul_fwd)(void *y, const void *a, const void *b, int64_t n);             /* y = a b */
    void (*mul_bwd)(void *da, const void *dy, const void *b, int64_t n, bool add); /* da = dy b */
    void (*scale)(void *y, double s, const void *x, int64_t n, bool add);          /* y = s x */
    void (*scale_cols)(void *y, const void *x, const void *s, int64_t r, int64_t c, bool add); /* y_rc = x_rc s_c */
    void (*dot_cols)(void *ds, const void *dy, const void *x, int64_t r, int64_t c); /* ds_c += sum_r dy x */
    void (*sum_cols)(void *db, const void *dy, int64_t r, int64_t c);                /* db_c += sum_r dy */
    /* y = x keep/(1-p), p in steps of 2^-16; keep is a function of (stream, index) alone (num/dropout.h), the same in
     * every table, so the same call is its own backward; the first element has the number `first` */
    void (*dropout)(void *y, const void *x, double p, uint64_t stream, int64_t first, int64_t n, bool add);
    /* z = x + residual (NULL: x); LayerNorm when b is given, RMSNorm when NULL:
     * xhat = (z - mean) rstd, y = xhat g + b.
     * xhat (R,C) and rstd (R) are written when not NULL: the backward needs them. */
    void (*norm_fwd)(void *y, void *xhat, void *rstd, const void *x, const void *residual, const void *g,
                     const void *b, double eps, int64_t r, int64_t c);
    /* y = xhat g + b from the values that norm_fwd saved: the bytes of its y */
    void (*affine)(void *y, const void *xhat, const void *g, const void *b, int64_t r, int64_t c);
    void (*norm_bwd)(void *dz, void *dg, void *db, const void *dy, const void *xhat, const void *rstd, const void *g,
                     bool rms, int64_t r, int64_t c, bool add);
    /* y_i = table[id_i], zero where id_i < 0; dtable[id_i] += dy_i, repeated ids summed in index order */
    void (*embed_fwd)(void *y, const void *table, const int32_t *id, int64_t n, int64_t c);
    void (*embed_bwd)(void *dtable, const void *dy, const int32_t *id, int64_t n, int64_t c);
    void (*softmax)(void *y, const void *x, int64_t r, int64_t c); /* per row; a row of -inf gives zeros */
    void (*softmax_bwd)(void *dx, const void *dy, const void *y, int64_t r, int64_t c, bool add);
    /* per row: loss_i = log sum exp(x_i) - x_i[target_i], and x_i becomes scale (softmax(x_i) - onehot) when `grad`;
     * target_i < 0: loss 0 and gradient 0.  loss is double. */
    void (*xent)(double *loss, void *x, const int32_t *target, double scale, bool grad, int64_t r, int64_t v);
    double (*sum_squares)(const void *x, int64_t n); /* in double, fixed slices */
    /* decoupled weight decay (Loshchilov and Hutter 2019): w -= lr (mhat / (sqrt(vhat) + eps) + decay w);
     * step from 1; the gradient is multiplied by `clip` first */
    void (*adamw)(void *w, const void *g, void *m, void *v, double lr, double beta1, double beta2, double eps,
                  double decay, double clip, int64_t step, int64_t n);
} Kernels;

typedef enum { KERNELS_FAST, KERNELS_REF } KernelChoice;
void kernels_use(KernelChoice); /* process-wide; set before any work, by --kernels */
bool kernels_are_reference(void);
const char *kernels_name(void);   /* "avx512", "avx2", "generic" or "ref": for the manifest */
const Kernels *kernels_of(DType); /* F32 or F64 */

extern const Kernels KERNELS_REF_F32, KERNELS_REF_F64; /* for tests, which compare against them */

#endif
