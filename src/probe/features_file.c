/* Features as arrays for NumPy. */
#include <stdio.h>

#include "base/file.h"
#include "io/npy.h"
#include "probe/features.h"

Status features_export(const Features *f, const char *dir)
{
    char path[4096];
    TRY(file_make_dir(dir));
    for (int l = 0; l < f->layers + f->decoder_layers; l++) {
        bool decoder = l >= f->layers;
        int at = decoder ? l - f->layers : l;
        snprintf(path, sizeof path, "%s/%s-%02d.npy", dir, decoder ? "decoder" : "encoder", at);
        TRY(npy_write(path, decoder ? f->decoder[at] : f->layer[at]));
    }
    return OK;
}
