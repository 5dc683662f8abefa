/* The jobs of vernier bench other than training steps: tokenizing text, and generating it. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include "cli/command.h"

/* text/encode: MB of text a second on one core, with the tokenizer and the text of the options. */
Status bench_text(const Args *, bool lines);
/* generate/gpt2: tokens a second of greedy decoding at the size of GPT-2 small, and its bound: the time of a loop
 * that reads each weight once.  No decoder of one row can be faster. */
Status bench_generate(bool lines);

#endif
