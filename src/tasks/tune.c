/* The three steps of a tuning: the options are checked, the data read, the predictor made. */
#include "tasks/tune.h"

const TuneTask *const TUNE_TASKS[] = {&TUNE_JIT, &TUNE_CMG, &TUNE_LM, NULL};

/* Fills in the default method and rejects combinations of task, method and options that are not possible. */
Status tune_check(TuneJob *j)
{
    TuneOptions *o = &j->o;
    Predictor *p = &j->p;
    if (!o->method) o->method = o->model ? "lora" : o->task->method;
    p->task = o->task->task;
    p->method = o->method, p->options = o->options;
    TRY(predictor_method(&p->method, &p->peft));
    if (!p->peft && *p->options)
        return err_fail(E_CONFIG, "--options are for the methods of peft; %s has none", p->method);
    if (o->parameters && (!p->peft || !p->peft->knob))
        return err_fail(E_CONFIG, "--parameters: %s has no setting that changes its size", p->method);
    if (!o->task->baselines && !p->peft) return err_fail(E_CONFIG, "--method %s is for --task jit", p->method);
    if (o->task->check) TRY(o->task->check(j));
    int length; /* before a small model is pretrained in vain */
    TRY(tune_number(&length, "max-length", o->length, o->task->least, o->task->least, 1 << 16));
    return peft_set(&(PeftConfig){0}, j->run, p->options);
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
