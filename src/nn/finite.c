/* When a result is NaN or infinite, the parameters are searched: if one of them is, the file is at fault, and the
 * message names the tensor. */
#include "nn/finite.h"

#include <stdio.h>

Status model_blame(Status found, const Model *m)
{
    if (found != E_NUMERIC) return found;
    for (int i = 0; i < params_n(m->params); i++) {
        const Param *p = params_at(m->params, i);
        int64_t odd = p->val.data ? tensor_find_nonfinite(p->val, false) : -1;
        if (odd < 0) continue;
        char what[512];
        snprintf(what, sizeof what, "%s", err_message());
        err_clear();
        return err_fail(E_FORMAT, "%s; the model's tensor '%s' is %g at element %lld", what, p->name,
                        tensor_get(p->val, odd), (long long)odd);
    }
    return found;
}
