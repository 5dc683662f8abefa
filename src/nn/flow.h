/* GraphCodeBERT's input (Guo et al. 2021): a text and, behind it, one row for each variable of its data flow.
 *
 *   tokens   position pad + 1, pad + 2, ...; see each other, and the nodes that name them
 *   nodes    position 0; the vector is the mean of the tokens' that it names (zero when it names none); see those
 *            tokens and the nodes whose values they come from, not themselves unless there is an edge
 *   <s> </s> see all tokens and nodes
 *   padding  sees nothing and is seen by nothing
 *
 * All of it is in a Batch: ids, len, position, span and sees.  The pooler's vector of the first row
 * (POOL_POOLER) is the model's code vector.  Source: the code search model of github.com/microsoft/CodeBERT. */
#ifndef NN_FLOW_H
#define NN_FLOW_H

#include "nn/model.h"

enum { FLOW_NODE_ID = 3 }; /* of a node's row: <unk> of RoBERTa's vocabularies; its vector is replaced */

typedef struct {
    int32_t tokens, nodes, edges;
    const int32_t *id;         /* (tokens) as the encoder reads them, <s> and </s> included */
    const int32_t (*names)[2]; /* (nodes) the tokens [first, end) that each node names */
    const int32_t (*edge)[2];  /* (edges) a node, and a node that its value comes from */
} Flow;

/* A batch of b of them on the arena, padded to the longest, or to `width` rows when > 0.  E_CONFIG: no RoBERTa.
 * E_FORMAT: too many rows, an id outside the vocabulary, a node or an edge outside its text; names it. */
Status flow_batch(Batch *out, Arena *, const Config *, const Flow *, int64_t b, int64_t width);

#endif
