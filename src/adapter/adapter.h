/* Adapters as directories, in the layouts of the two libraries that everybody reads, and in our own for methods that
 * neither can store:
 *
 *   hf         Hugging Face PEFT        adapter_config.json, adapter_model.safetensors or .bin
 *   adapters   adapter-hub/adapters     adapter_config.json, pytorch_adapter.bin or adapter.safetensors; a head in
 *                                       head_config.json, pytorch_model_head.bin or model_head.safetensors
 *   vernier    Vernier                  adapter_config.json, adapter_model.safetensors
 *
 *     Adapter *a;
 *     TRY(adapter_open(&a, run, dir));                    which library, which method
 *     TRY(adapter_attach(a, model, hooks));               builds the PeftConfig, attaches, fills; a head comes along
 *     TRY(adapter_save(a, dir));                          the same back
 *     adapter_close(a);
 *
 * The config says how and where to adapt, and every tensor that it requires must be there; a tensor without a use
 * is E_MISMATCH with its name, and so is a field for an unsupported feature; unknown fields that are set
 * leave a remark.  Files are not trusted: sizes are checked against the file before anything is made. */
#ifndef ADAPTER_ADAPTER_H
#define ADAPTER_ADAPTER_H

#include "io/weights.h"
#include "peft/peft.h"

/* A parameter and where its elements lie in a tensor of the file: with n elements in the parameter's last dimension,
 * element i is at first + i / n * row + i % n. */
typedef struct {
    Param *param;
    const char *tensor;
    int rank;
    int64_t dim[MAX_RANK]; /* of the tensor */
    int64_t first, row;
    const char *times; /* a tensor whose element i / n multiplies, or NULL; reading only */
    double factor;     /* of the file's values in the model */
    bool head;         /* of a base model's head: the adapters library has a file for these */
} Binding;

typedef struct Library Library; /* the differences between them, in adapter/library.h */
typedef struct Adapter {
    Arena *run;
    const Library *library;
    const char *dir, *path;   /* path: of adapter_config.json, for messages */
    const char *kind;         /* as the library calls it: "LORA", "prefix_tuning" */
    const char *name;         /* within the adapters library's files */
    const char *base;         /* the base model that the config names, or NULL */
    struct cJSON *root;       /* NULL: not read from a file */
    struct HubHead *hub_head; /* the adapters library: a flexible head that it brings, or NULL */
    const char **plain;       /* PEFT: the tensors' names without traces of wrappers; NULL: they have none */
    Weights *weights, *head;  /* head NULL: none of its own */

    Model *model; /* from here on, once attached */
    const Peft *method;
    PeftConfig cfg;
    const char *prefix; /* that the base model's names carry here: "roberta.", or "" */
    int slots;          /* PEFT's prefix: keys and values of all layers in its table */
    int stride;         /* PEFT: transformers that share a table: 2 in an encoder-decoder */
    bool saved_apart;   /* PEFT: a table and a head that the base ties were saved whole, each or one of them */
    const char *unread; /* a tensor that the library itself leaves unread, or NULL */
    Binding *binding;
    int n_bindings;
    bool writing; /* bindings are made for a file to write: aliases of one tensor, too */
    bool exact;   /* is only saved in a form that gives the same answers when it is read back */
    const char *remark[32];
    int n_remarks;
} Adapter;

Status adapter_open(Adapter **out, Arena *run,
                    const char *dir); /* E_IO, E_FORMAT; opens the weights, reads no values */
void adapter_close(Adapter *);        /* NULL is fine; the model stays */
int adapter_classes(const Adapter *); /* of the head it brings, 0: none */
Status adapter_attach(Adapter *, Model *, Hooks *);
int adapter_positions(const Adapter *); /* learned positions that its virtual tokens take from the text */
/* A method attached here, to be saved; `name` names it in the adapters library's files. */
Adapter *adapter_of(Model *, const Peft *, const PeftConfig *, const char *name);
/* The same adapter as the other library has it, with remarks; E_MISMATCH names the settings that it lacks.  Where
 * `lossy`, a setting that exists only in part is converted in part, with a remark.  May leave the adapter on a new
 * model. */
Status adapter_convert(Adapter **out, Adapter *, const Library *to, bool lossy);
Status adapter_save(Adapter *, const char *dir);
Status adapter_save_gguf(Adapter *, const char *path); /* LoRA alone, for llama.cpp; E_MISMATCH: it has no place */

const Library *library_find(const char *name); /* "hf", "adapters": those of others; NULL: neither */
/* In which form to save, best first: the libraries that others read, then our own, which every method has; NULL: no
 * more.  adapter_save() says E_MISMATCH where a form has no place for the adapter. */
const Library *library_choice(int i);
const char *library_name(const Library *);
const char *library_title(const Library *);

#endif
