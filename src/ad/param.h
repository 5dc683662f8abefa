/* Every trainable number lives here once, under its dotted checkpoint name ("encoder.layer.3.output.dense.weight").
 * Parameters and their names live on the set's arena.  A parameter starts frozen.  Initial values depend on
 * (seed, name) only.  A value may lie elsewhere than on the arena: in the file it was read from.
 *
 * A frozen matrix may be held in BF16, F16 or quantised blocks, as its file has it; ops compute with its values in
 * F32.  Training it, or writing to it, takes param_widen() first: an F32 copy on the set's arena.  params_train()
 * does so by itself.
 *
 * A gradient is made by the first backward that has something to put there, in memory of its step that other
 * values have left, and is gone with the step; or, after params_zero_grad, it stands on the set's arena and the
 * backward of several steps adds to it. */
#ifndef AD_PARAM_H
#define AD_PARAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "num/tensor.h"

typedef struct {
    const char *name;
    Tensor val, grad; /* grad.data is NULL where there is none */
    bool trainable;
    Arena *arena;   /* its set's */
    Tensor lasting; /* a gradient's place on the set's arena, once it was needed */
    bool decay;     /* takes weight decay: matrices do; biases and norm gains do not */
} Param;

typedef struct {
    enum { INIT_ZERO, INIT_ONE, INIT_NORMAL, INIT_UNIFORM, INIT_LATER } kind;
    double scale; /* standard deviation, or half-width of the interval; LATER: val waits for its memory */
} Init;

typedef struct ParamSet ParamSet;
ParamSet *params_open(Arena *, DType, uint64_t seed);
Arena *params_arena(const ParamSet *);
DType params_dtype(const ParamSet *);
uint64_t params_seed(const ParamSet *);
Param *param_add(ParamSet *, const char *name, Init, int rank, const int64_t *dim); /* CHECKs that the name is new */
Param *param_find(const ParamSet *, const char *name);                              /* NULL when absent */
int params_n(const ParamSet *);
Param *params_at(const ParamSet *, int i);                      /* in the order added */
int params_train(ParamSet *, const char *glob, bool trainable); /* number of names matched */
void param_train(Param *, bool trainable);
void param_widen(Param *);              /* before its value is written to, where it may be held in a narrow type */
void params_round(ParamSet *);           /* frozen matrices of F32 are rounded to BF16 and held so */
int64_t params_bytes(const ParamSet *); /* of the values */
void params_zero_grad(ParamSet *);      /* lasting zero gradients for trainable parameters */
void params_drop_grad(ParamSet *);      /* no gradients; lasting ones keep their memory */
int64_t params_count(const ParamSet *, const char *glob, bool trainable_only); /* elements; glob NULL: all */

#endif
