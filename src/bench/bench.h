/* The jobs of vernier bench that are no training steps: cutting text into tokens, and generating it. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "cli/command.h"

/* text/encode: MB of text a second on one core, with the tokenizer and the text of the options. */
Status bench_text(const Args *, bool lines);
/* generate/gpt2: tokens a second of greedy decoding at the size of GPT-2 small, and its bound: the time of a loop
 * that reads each weight once.  No decoder of one row can be faster. */
Status bench_generate(bool lines);
/* tune/epoch: one epoch of LoRA over commits of unequal length, its bound at these rates of forward, dx and dw in
 * GFLOP/s, and where its time goes. */
Status bench_epoch(const Args *, const double rate[3], bool lines);

#endif
