/* The three steps of a tuning: the options are checked, the data read, the predictor made. */
#include "tasks/tune.h"

#include <string.h>

#include "base/str.h"

const TuneTask *tune_task_find(const char *name)
{
    for (const TuneTask *const *t = tune_task_begin(); t < tune_task_end(); t++)
        if (!strcmp((*t)->task->name, name)) return *t;
    return NULL;
}

const char *tune_task_names(Arena *a)
{
    Buf b = buf_open(a);
    for (const TuneTask *const *t = tune_task_begin(); t < tune_task_end(); t++)
        buf_print(&b, "%s%s", b.len ? "|" : "", (*t)->task->name);
    return b.text;
}

/* "cc2vec, jitline, cct5": what --as-published is for. */
static const char *published_methods(Arena *a)
{
    const char *list = "";
    for (const Learner *const *l = learner_begin(); l < learner_end(); l++)
        if ((*l)->published) list = str_print(a, "%s%s, ", list, (*l)->name);
    for (const Recipe *r = RECIPES; r->name; r++)
        if (r->published) list = str_print(a, "%s%s, ", list, r->name);
    return str_print(a, "%.*s", (int)strlen(list) - 2, list);
}

/* --as-published is for methods whose published code has defects that are mended here. */
static Status check_published(TuneJob *j)
{
    TuneOptions *o = &j->o;
    if (!o->as_published) return OK;
    if (o->recipe ? !o->recipe->published : !j->p.learner || !j->p.learner->published)
        return err_fail(E_CONFIG, "--as-published: %s has one form; expected a --method of %s",
                        o->recipe ? o->recipe->name : j->p.method, published_methods(j->run));
    if (o->recipe) o->per_split = true, o->features = N_FEATURES - 1;
    return OK;
}

/* Fills in the default method and rejects combinations of task, method and options that are not possible. */
Status tune_check(TuneJob *j)
{
    TuneOptions *o = &j->o;
    Predictor *p = &j->p;
    if (!o->method) o->method = o->model ? "lora" : o->task->method;
    p->task = o->task->task;
    p->options = o->options;
    TRY(predictor_method(p, o->method));
    if (p->learner) TRY(learner_set(p->option, p->learner, p->options));
    if (o->parameters && (!p->peft || !p->peft->knob))
        return err_fail(E_CONFIG, "--parameters: %s has no setting that changes its size", p->method);
    if (!o->task->baselines && !p->peft) return err_fail(E_CONFIG, "--method %s is for --task jit", p->method);
    if (p->learner && o->model) return err_fail(E_CONFIG, "--model: %s learns from the commits alone", p->method);
    TRY(check_published(j));
    if (o->recipe && strcmp(o->recipe->task, p->task->name) != 0)
        return err_fail(E_CONFIG, "--method %s is for --task %s", o->recipe->name, o->recipe->task);
    if (o->recipe) p->recipe = o->recipe->name;
    if (!p->peft && (o->focal || o->weight > 0))
        return err_fail(E_CONFIG, "--%s is for a network; %s has one loss",
                        o->focal ? "loss focal" : "positive-weight", p->method);
    if (o->task->check) TRY(o->task->check(j));
    int length; /* before a small model is pretrained in vain */
    TRY(tune_number(&length, "max-length", o->length, o->task->least, o->task->least, 1 << 16));
    return p->peft ? peft_set(&(PeftConfig){0}, j->run, p->options) : OK;
}

/* In the text of the options commas separate these, so the layers are separated by '|'. */
static const char *with_bars(TuneJob *j, const char *list)
{
    char *own = str_copy(j->run, list, strlen(list));
    for (char *c = own; (c = strchr(c, ','));) *c = '|';
    return own;
}

/* The user's options of the method, and the lists that have options of the command. */
static Status put_lists(TuneJob *j)
{
    Buf b = buf_open(j->run);
    buf_print(&b, "%s", j->o.options);
    if (j->o.layers) buf_print(&b, "%slayers=%s", b.len ? "," : "", j->o.layers);
    if (j->o.blocks) buf_print(&b, "%sblocks=%s", b.len ? "," : "", j->o.blocks);
    j->p.options = b.text;
    return peft_set(&(PeftConfig){0}, j->run, b.text);
}

Status tune_set_layers(TuneJob *j, const char *list)
{
    const Predictor *p = &j->p;
    if (!p->peft) return err_fail(E_CONFIG, "--layers is for the methods of peft; %s has no layers", p->method);
    if (p->peft->before_layers)
        return err_fail(E_CONFIG, "--layers: %s acts in front of all layers; expected a method that acts within them",
                        p->method);
    j->o.layers = with_bars(j, list);
    return put_lists(j);
}

Status tune_set_blocks(TuneJob *j, const char *list)
{
    const Predictor *p = &j->p;
    if (!p->peft) return err_fail(E_CONFIG, "--full-blocks is for the methods of peft; %s has no layers", p->method);
    if (p->peft->trains_all)
        return err_fail(E_CONFIG, "--full-blocks: %s trains every layer already; expected another --method",
                        p->method);
    j->o.blocks = with_bars(j, list);
    return put_lists(j);
}

Status tune_read(TuneJob *j)
{
    return j->o.task->read(j);
}

Status tune_make(TuneJob *j, const char *dir, bool resume)
{
    j->p.dir = dir, j->resume = resume;
    Status s = j->o.task->make(j);
    predictor_close(&j->p);
    return s;
}
