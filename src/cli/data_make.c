#include "cli/data.h"
Status data_make(const Args *a)
{
    (void)a;
    return fail(E_CONFIG, "stub");
}
Status data_sheet(const Args *a)
{
    (void)a;
    return fail(E_CONFIG, "stub");
}
