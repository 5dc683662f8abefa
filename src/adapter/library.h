/* One library's way of writing adapters: hf*.c, hub*.c and own.c fill this in, adapter.c and save.c run it.  The
 * first two translate between a library's words and ours, so they alone know methods by name: in their tables. */
#ifndef ADAPTER_LIBRARY_H
#define ADAPTER_LIBRARY_H

#include "adapter/adapter.h"
#include "io/json.h"

struct Library {
    const char *name, *title;
    const char *mark;                      /* the member that only its adapter_config.json has */
    const char *weights[2], *head[2];      /* file names, the one written first; head NULL: in the same file */
    const char *stem;                      /* in front of the base model's names */
    bool wrapped;                          /* files have names with the traces of wrappers: adapter_read_names() */
    Status (*identify)(Adapter *);         /* kind, name, base from the config */
    Status (*opened)(Adapter *);           /* other files, once the weights are open, or NULL */
    Status (*reshape)(Adapter *, Model *); /* the model gets the file's sizes, or NULL */
    Status (*configure)(Adapter *, const Model *); /* method and cfg */
    Status (*prepare)(Adapter *);                  /* changes to the model before parameters are bound, or NULL */
    Status (*bind)(Adapter *);                     /* a binding for every parameter of the method */
    const char *(*carried)(const Adapter *, const Param *base,
                           int which);                   /* names of a base parameter; NULL: no more */
    Status (*describe)(Adapter *, cJSON *root);          /* the config to write; E_MISMATCH: it lacks a setting */
    void (*describe_head)(const Adapter *, cJSON *root); /* head_config.json; NULL where head is */
};
extern const Library LIBRARY_HF, LIBRARY_HUB, LIBRARY_OWN;

/* ---- for those files */
void adapter_remark(Adapter *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* For a form whose reader gives other answers: a remark, or E_MISMATCH where the adapter must stay exact. */
Status adapter_differs(Adapter *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a binding to a tensor of that shape, from its first number on, row by row; the caller may move it. */
Binding *adapter_bind(Adapter *, Param *, const char *tensor, int rank, const int64_t *dim);
const Stored *adapter_stored(const Adapter *, const char *tensor); /* in either file, or NULL */
/* A tensor's name without the traces of wrappers and of the adapter's own name, as PEFT writes it. */
const char *adapter_outer_name(const Adapter *, const char *tensor);
void adapter_read_names(Adapter *); /* all of them, once the weights are open */
/* A remark for each member that is set and not in the list, which ends with NULL. */
void adapter_unknown(Adapter *, const cJSON *object, const char *const *known);
/* E_MISMATCH when the member is set to anything but null, false, an empty list or an empty object. */
Status adapter_refuse(const Adapter *, const cJSON *object, const char *key, const char *why);
bool adapter_json_is_set(const cJSON *object, const char *key);

/* A prefix falls out of a window's view, where the libraries differ: E_MISMATCH where the model has one. */
Status adapter_refuse_window(const Adapter *, const Model *);

/* A base model's name as this adapter's files have it: with the prefix unless it is a head's. */
const char *adapter_base_name(const Adapter *, const char *name);
bool adapter_is_whole(const Linear *);                                   /* not a third of GPT-2's projection */
const char *adapter_name_list(Arena *, const char *const *names, int n); /* "a|b|c", a glob; "" for none */

#endif
