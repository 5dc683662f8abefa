/* config.json, family by family: which key is which field, which values are refused, the family's other names for its
 * parts, and which tensors of a file a model may leave aside.  Keys that a file lacks have the reference's
 * defaults. */
#ifndef NN_CONFIG_H
#define NN_CONFIG_H

#include "io/json.h"
#include "io/safetensors.h"
#include "nn/model.h"

typedef enum { FIELD_INT, FIELD_REAL, FIELD_BOOL, FIELD_ACT } FieldKind;
typedef struct {
    const char *key;
    FieldKind kind;
    size_t offset;      /* in Config */
    double least, most; /* numbers */
} Field;
#define FIELD(key, kind, name, least, most)                                                                          \
    {                                                                                                                \
        key, FIELD_##kind, offsetof(Config, name), least, most                                                       \
    }

typedef struct Alias {
    const char *name, *file; /* a tensor that files also call `file` */
} Alias;

typedef struct {
    const char *name;    /* of a module or tensor in a file; it stands for all that lies below it */
    const char *purpose; /* "question answering" */
} Head;

typedef struct {
    const char *key, *only; /* a key of the reference that may be absent, null, or have this value ("" for none) */
} Fixed;

/* Where the adapters library hangs the bottlenecks of a sublayer, "attn" or "ffn": BEFORE<layer>AFTER. */
typedef struct {
    Part part;
    const char *sub, *before, *after;
} Sublayer;

typedef struct Format {
    const char *types;   /* glob over model_type */
    const char *prefix;  /* of the base model's tensors: "roberta." */
    const Field *fields; /* ends with {0} */
    const Fixed *fixed;  /* other settings that change the model and are not supported; ends with {0} */
    void (*absent)(Config *, const char *type); /* defaults of keys that a file leaves out: the reference's own,
                                                   where they are not the published sizes; may be NULL */
    const Alias *general; /* keys of every family (transformers' attribute_map) that stand for one of `fields` and
                               count for more than it: "n_embd", "hidden_size"; ends with {0}, or NULL */
    const Alias *alias;   /* ends with {0}, or NULL */
    bool parts_tables;    /* where the head is its own, transformers ties no alias of the table either: each needs a
                                tensor of its own in a file that is written */
    const char *ignore;   /* glob over buffers: tensors of a file that are no parameters of any model */
    const Head *heads;    /* other heads that files of the family carry, beside HEADS of nn/state.c; ends with {0},
                               or NULL.  Their tensors are skipped with a remark. */
    bool refuses_stale_head;   /* where a file's head differs from the table that it is tied to; else a remark */
    const Sublayer *sublayers; /* ends with {0} */
    /* Layers of a gated feed-forward that the adapters library calls intermediate and output; {0}: it adapts none. */
    Site gated_lora[2];
    Status (*read)(Config *, const cJSON *, const char *path); /* what no table says; may be NULL */
    void (*write)(const Config *, cJSON *);                    /* model_type, architectures, and the same */
    void (*adapt)(Config *, const Weights *);                  /* heads, as the tensors show them */
} Format;

/* The file that describes a model: config.json of a directory, of a name of the hub, or beside a file of weights; a
 * GGUF file describes itself.  It need not be there. */
Status config_path(const char **out, Arena *, const char *model);
Status config_read(Config *, const Arch **, const cJSON *, const char *path);
cJSON *config_write(const Config *, const Arch *); /* to be printed; the caller's, for cJSON_Delete */
Status config_check(Config *);                     /* fills fields that are 0; E_CONFIG names the field */
double config_size(const Config *);                /* about how many parameters; to refuse impossible sizes */

const char *act_to_hf(Act);
Status act_from_hf(Act *, const char *name, const char *key, const char *path);
void config_put(cJSON *, const char *key, const char *value);
void config_put_real(cJSON *, const char *key, double value); /* 1 is written as 1.0 */
void config_put_architecture(cJSON *, const char *name);
/* The base model saved alone: no name has the family's prefix. */
bool format_is_base(const Format *, const Weights *);
/* model_type, and the class of a task: the family's, "Roberta", or that of the config's other name, "XLMRoberta". */
void config_put_type(cJSON *, const Config *, const char *type, const char *family, const char *task);
void config_set_type(Config *, const char *type, const char *own); /* notes a name that is not the family's own */
/* A tensor under its name, with the family's prefix, or by an alias; NULL when the file has none of them. */
const Stored *format_find(const Format *, const Weights *, const char *name);

#endif
