/* Making a model's parameters: one call registers a parameter under its name, a linear layer with its place, or a
 * norm.  Used by the architectures' build functions only. */
#ifndef NN_BUILD_H
#define NN_BUILD_H

#include "base/str.h"
#include "nn/block.h"

#define NAMED(m, ...) str_print((m)->run, __VA_ARGS__) /* a name on the model's arena */

typedef struct {
    int64_t in, out;
    Layout layout;
    bool bias;
    double sd; /* of the weight; biases start at zero */
} Shape;

Param *build_param(Model *, const char *name, Init, int rank, const int64_t *dim);
Param *build_copy(Model *, const char *name, const Param *of, double factor); /* a parameter of its own, frozen */
Norm build_norm(Model *, const char *name, bool bias);                        /* NAME.weight, and NAME.bias */
Norm build_norm_of(Model *, const char *name, int64_t size);                  /* NAME.weight: RMSNorm of that many */
Norm build_norm_unbiased(Model *, const char *name);                          /* NAME.weight: LayerNorm, no bias */
const Linear *build_linear(Model *, const char *name, Where, Shape);
/* A range of another layer's outputs as a layer of its own: GPT-2's query, key and value. */
const Linear *build_part(Model *, const Linear *whole, const char *name, Site, int64_t first, int64_t n);
/* The same of n outputs in runs of `run`, `step` apart from start to start: GPT-NeoX's. */
const Linear *build_part_runs(Model *, const Linear *whole, const char *name, Site, int64_t first, int64_t n,
                              int64_t run, int64_t step);
/* A stack with no linears yet; its sizes from the config, the decoder's where the part is the decoder's. */
Stack *build_stack(Model *, Part, bool pre_norm);
Status model_open_blank(Model **out, Arena *run, const Config *, DType, uint64_t seed); /* no memory but for heads */
void build_outer(Model *); /* lists the matrices outside the layers, once all parameters are there */
/* Gives each stack of an encoder-decoder a token table of its own, a copy of the shared one, under the name that
 * files have for it, "encoder.embed_tokens.weight"; no folder can hold that.  The head stays with the shared one. */
void build_part_tables(Model *);
bool build_has_parted_tables(const Model *);
/* Called with every pass before it begins, where the model has one. */
typedef struct Entry {
    void (*enter)(struct Entry *, Pass *, const Batch *);
} Entry;
Where model_place(const Model *, const Param *); /* its layer and stack; LAYER_EMBED: it is in none */
bool build_is_class_head(const char *parameter);
bool build_may_lack(const Model *, const char *parameter); /* a checkpoint without it has random values for it */
bool build_is_any_head(const char *parameter);             /* carries no family prefix in files */
/* The table that the head shares, by its own name and by the head's; NULL: there is no such pair. */
const struct Alias *build_tied_head(const Arch *);

/* Rows for a classification head to read: (B,1) indices on the step arena. */
int32_t *rows_last(Pass *, const Batch *); /* the last token */
/* The batch of a classifier that reads a decoder: fed the source moved right, keeping its last end-of-text row. */
Batch batch_source_as_target(const Model *, Pass *, const Batch *);

#endif
