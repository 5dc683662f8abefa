/* Between the fused attention op and the open triple: one check of shapes, one reading of Attn. */
#ifndef AD_ATTN_H
#define AD_ATTN_H

#include "ad/op.h"
#include "num/attend.h"

/* CHECKs that q (B,T,H*D), k and v (B,S,H*D) and bias (H,T,n) or NULL fit; scratch and threads are left 0. */
Attend attn_shape(const Attn *, Tensor q, Tensor k, Tensor v, const Var *bias);

#endif
