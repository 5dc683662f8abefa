/* Places and names: see the header.  A place is a layer of a part; the parts of a model are those for which
 * model_layers() is positive, so no method depends on the architecture. */
#include "peft/place.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "peft/layers.h"

bool place_in(const Model *m, const PeftConfig *cfg, Where at)
{
    return at.part < PART_COUNT && cfg->on[at.part] && layers_list_has(m, cfg->layers, at);
}

bool place_next(const Model *m, const PeftConfig *cfg, Where *at)
{
    for (; at->part < PART_COUNT; at->part++, at->layer = -1)
        while (cfg->on[at->part] && ++at->layer < model_layers(m, at->part))
            if (layers_list_has(m, cfg->layers, *at)) return true;
    return false;
}

Where place_at(Where at, Site site)
{
    at.site = site;
    return at;
}

bool place_wants(const PeftConfig *cfg, Where at, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "%s.layer.%d.%s", part_name(at.part), at.layer, what);
    return !cfg->target || str_glob(cfg->target, name);
}

void place_all(PeftConfig *cfg, bool cross)
{
    cfg->on[PART_ENCODER] = cfg->on[PART_DECODER] = true;
    cfg->on[PART_CROSS] = cross;
}

int place_count(const Model *m, const PeftConfig *cfg)
{
    int n = 0;
    for (Where at = PLACE_FIRST; place_next(m, cfg, &at);) n++;
    return n;
}

Status place_check(const Model *m, const PeftConfig *cfg, const char *method)
{
    PeftConfig whole = *cfg;
    whole.layers = NULL;
    if (place_count(m, cfg)) return OK;
    if (place_count(m, &whole))
        return err_fail(E_CONFIG, "%s: none of the layers %s is in a part that is adapted", method, cfg->layers);
    Buf has = buf_open(m->run);
    for (Part p = 0; p < PART_COUNT; p++)
        if (model_layers(m, p)) buf_print(&has, "%s%s", has.len ? ", " : "", part_name(p));
    return err_fail(E_CONFIG, "%s: none of the parts to adapt exists in this %s model, which has: %s", method,
                    m->config.arch, has.text);
}

static const char *name_of(const Model *m, const char *method, Where at, const char *what)
{
    if (at.layer < 0) return str_print(m->run, "peft.%s.%s.%s", method, part_name(at.part), what);
    return str_print(m->run, "peft.%s.%s.layer.%d.%s", method, part_name(at.part), at.layer, what);
}

Param *place_param(Model *m, const char *method, Where at, const char *what, Init init, int rank, const int64_t *dim)
{
    return param_add(m->params, name_of(m, method, at, what), init, rank, dim);
}

Param *place_find(const Model *m, const char *method, Where at, const char *what)
{
    return param_find(m->params, name_of(m, method, at, what));
}

const Linear *place_linear(const Model *m, Where at, Site site)
{
    const Linear *l = model_linear(m, place_at(at, site));
    CHECK(l, "%s has no linear layer at %s of layer %d, %s", m->config.arch, site_name(site), at.layer,
          part_name(at.part));
    return l;
}

int place_width(const Model *m, Where at)
{
    return (int)place_linear(m, at, SITE_K)->out;
}

bool place_is_body(const Param *p, const char *glob)
{
    return str_glob(glob, p->name) && !peft_is_head(p->name) && strncmp(p->name, "peft.", 5) != 0;
}

int64_t place_body_count(const Model *m, const PeftConfig *cfg, const char *glob)
{
    int64_t n = 0;
    for (int i = 0; i < params_n(m->params); i++)
        if (place_is_body(params_at(m->params, i), glob) &&
            layers_list_holds(m, cfg->layers, params_at(m->params, i)))
            n += tensor_count(params_at(m->params, i)->val);
    return n;
}

void place_body_train(Model *m, const char *glob)
{
    for (int i = 0; i < params_n(m->params); i++)
        if (place_is_body(params_at(m->params, i), glob))
            params_train(m->params, params_at(m->params, i)->name, true);
}

Init place_fan_in(int64_t in)
{
    return (Init){INIT_UNIFORM, 1 / sqrt((double)in)};
}
