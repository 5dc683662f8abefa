/* Vernier as a library: transformers with their checkpoints and tokenizers, parameter-efficient methods, training,
 * attention as it was computed, and figures.
 *
 *     cc program.c $(pkg-config --cflags --libs vernier)
 *
 * Names begin with their module: tensor_, op_, model_, peft_, fig_, ...; macros of base/err.h and base/arena.h (TRY,
 * CHECK, NEW) and the names of enumerations do not.  Each header says what it is for; tests/library/outside.c is a
 * whole program.  Interfaces may change from one 0.x release to the next, and the name of the library with them. */
#ifndef VERNIER_H
#define VERNIER_H

#define VERNIER_RELEASE "0.2.0"

/* memory, errors, text, random numbers */
#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/registry.h"
#include "base/rng.h"
#include "base/str.h"
#include "base/table.h"

/* tensors, matrix products, linear algebra, statistics */
#include "num/gemm.h"
#include "num/linalg.h"
#include "num/minimise.h"
#include "num/stats.h"
#include "num/tensor.h"

/* operations and their gradients */
#include "ad/gradcheck.h"
#include "ad/op.h"
#include "ad/param.h"
#include "ad/tape.h"

/* models: checkpoints, tokenizers, generation, hooks */
#include "io/safetensors.h"
#include "io/weights.h"
#include "nn/generate.h"
#include "nn/hook.h"
#include "nn/model.h"
#include "text/tokenizer.h"

/* sentence vectors */
#include "sentence/sentence.h"

/* methods of fine-tuning, and the adapter files of other libraries */
#include "adapter/adapter.h"
#include "peft/peft.h"
#include "peft/place.h"

/* training */
#include "train/batch.h"
#include "train/evaluate.h"
#include "train/fit.h"
#include "train/train.h"

/* attention measured, figures, reports */
#include "measure/measure.h"
#include "plot/plot.h"
#include "plot/report.h"

#endif
