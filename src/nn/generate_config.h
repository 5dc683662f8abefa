/* Generation as a model's folder configures it: generation_config.json, or the same keys of config.json where there
 * is no such file, as the Transformers library (4.57) reads them.  What is set later counts more: a command line over
 * a file, a file over the defaults.
 *
 *   GenerateSettings s;
 *   TRY(generate_settings_open(&s, &run, m, "model/"));
 *   TRY(generate_settings_set(&s, "num_beams", json, "--num-beams"));
 *   TRY(generate_settings_settle(&s));                     checks combinations; then use s.c
 *
 * A key that would change the result and is not supported is refused by name; one without an effect is a remark. */
#ifndef NN_GENERATE_CONFIG_H
#define NN_GENERATE_CONFIG_H

#include <cjson/cJSON.h>

#include "base/str.h"
#include "nn/generate.h"

enum { GENERATE_KEYS_MOST = 64 };
typedef struct {
    GenerateConfig c;
    bool do_sample;
    double temperature;
    int bos;           /* begins a decoder beside an encoder where nothing else is declared; -1: none */
    const char **stop; /* (n_stop) texts behind which a result ends; the caller's to look for */
    int n_stop;
    Arena *arena;
    int vocab;
    const char *from[GENERATE_KEYS_MOST], *value[GENERATE_KEYS_MOST]; /* by key: who set it, and to what, as JSON */
    const char *remark[GENERATE_KEYS_MOST]; /* (n_remarks) declared settings without effect */
    int n_remarks;
} GenerateSettings;

/* `dir` is what model_load() takes, or NULL for the defaults alone.  c.max_new is 0 where no file has it: then
 * generate_fit().  E_FORMAT, and E_MISMATCH for a key that is not supported. */
Status generate_settings_open(GenerateSettings *, Arena *, const Model *, const char *dir);
/* One key of the library by its name; `from` begins the message of a fault.  E_FORMAT: another type, out of range. */
Status generate_settings_set(GenerateSettings *, const char *key, const cJSON *value, const char *from);
bool generate_settings_knows(const char *key);
/* Whether a key is a number, and its range; `whole`: an integer. */
bool generate_settings_number(const char *key, bool *whole, double *least, double *most);
/* Sampling and searches as they go together.  E_CONFIG where they do not. */
Status generate_settings_settle(GenerateSettings *);
const char *generate_settings_from(const GenerateSettings *, const char *key); /* NULL: a default */
/* "num_beams = 4 (generation_config.json)" for each key that something has set; returns how many. */
int generate_settings_lines(const char *line[GENERATE_KEYS_MOST], Arena *, const GenerateSettings *);
/* The keys of one document; `inside` says that it is a config.json, whose other keys are the model's. */
Status generate_settings_read(GenerateSettings *, const cJSON *, const char *path, bool inside);

#endif
