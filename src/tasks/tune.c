/* The three steps of a tuning: the options are checked, the data read, the predictor made. */
#include "tasks/tune.h"

static bool is_messages(const TuneJob *j)
{
    return j->o.task == &TASK_CMG;
}

/* Fills in the default method and rejects combinations of task, method and options that are not possible. */
Status tune_check(TuneJob *j)
{
    TuneOptions *o = &j->o;
    Predictor *p = &j->p;
    bool messages = is_messages(j);
    if (!o->method) o->method = messages && !o->model ? "full" : "lora";
    p->task = o->task;
    p->method = o->method, p->options = o->options;
    TRY(predictor_method(&p->method, &p->peft));
    if (!p->peft && *p->options)
        return err_fail(E_CONFIG, "--options are for the methods of peft; %s has none", p->method);
    if (o->parameters && (!p->peft || !p->peft->knob))
        return err_fail(E_CONFIG, "--parameters: %s has no setting that changes its size", p->method);
    if (messages && !p->peft) return err_fail(E_CONFIG, "--method %s is for --task jit", p->method);
    if (messages && !o->model && !p->peft->trains_all)
        return err_fail(E_CONFIG,
                        "without --model a randomly initialised model is trained, which needs --method full, not %s",
                        p->method);
    int length, least = messages ? CMG_LEAST : JIT_LEAST; /* before a small model is pretrained in vain */
    TRY(tune_number(&length, "max-length", o->length, least, least, 1 << 16));
    return peft_set(&(PeftConfig){0}, j->run, p->options);
}

Status tune_read(TuneJob *j)
{
    const TuneOptions *o = &j->o;
    TRY(jit_read(&j->train, j->run, o->train));
    if (o->valid) {
        TRY(jit_read(&j->valid, j->run, o->valid));
    } else {
        j->all = j->train;
        jit_cut(&j->train, &j->valid, j->run, &j->all, o->cut);
    }
    return is_messages(j) ? tune_messages_read(j) : tune_defects_read(j);
}

Status tune_make(TuneJob *j, const char *dir, bool resume)
{
    j->p.dir = dir, j->resume = resume;
    Status s = is_messages(j) ? tune_messages(j) : j->p.peft ? tune_defects(j) : tune_floor(j);
    predictor_close(&j->p);
    return s;
}
