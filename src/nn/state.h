/* State dicts as people save them, before a model reads them: a wrapper's name in front of every tensor is taken off,
 * a table of tokens of another size than the config's is told, and tensors that the model does not use are either
 * known heads, which are skipped with a remark, or refused. */
#ifndef NN_STATE_H
#define NN_STATE_H

#include "nn/config.h"

typedef struct {
    const Format *format;
    Weights *w;
    const char *wrapper; /* what stood in front of the names: "module.encoder.", or "" */
    const char *copy;    /* the wrapper of a second copy of the model with the same values, or NULL */
    const char *prefix;  /* the family's, where the names have it: "roberta.", else "" */
    bool *used;          /* by place in w: a tensor that the model has read */
    Remark *say;
    void *user;
} State;

/* Renames the tensors and finds the family's prefix.  E_MISMATCH: two models of different values. */
Status state_open(State *, Arena *run, Weights *, const Config *, const Format *, const LoadOptions *);
/* The vocabulary as large as the file's table, where the options want that; else a table of another size is
 * E_MISMATCH. */
Status state_vocabulary(State *, Arena *run, Config *, const LoadOptions *);
const Stored *state_take(State *, const char *name); /* format_find(), and the tensor is used */
/* What is left: copies of a tied table, buffers and known heads, or E_MISMATCH. */
Status state_close(State *, Arena *run, const Config *, const LoadOptions *);

#endif
