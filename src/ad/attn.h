/* Between the fused attention op and the open triple: one check of shapes, one reading of Attn. */
#ifndef AD_ATTN_H
#define AD_ATTN_H

#include "ad/op.h"
#include "num/attend.h"
#include "num/gemm.h"

/* CHECKs that q (B,T,H*D), k and v (B,S,K*D) and bias (H,T,n) or NULL fit; scratch and threads are left 0. */
Attend attn_shape(const Attn *, Tensor q, Tensor k, Tensor v, const Var *bias);

/* For products: query head h of row b of q or y, the key/value head of query head h in k or v, and slice b H + h of a
 * map (B,H,T,S); t: read transposed. */
Mat attn_head(const Attend *, Tensor x, int64_t b, int64_t h, bool t);
Mat attn_key_head(const Attend *, Tensor x, int64_t b, int64_t h, bool t);
Mat attn_map(const Attend *, Tensor map, int64_t slice, bool t);

#endif
