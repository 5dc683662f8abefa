/* A table of keys does the work: reading, ranges and origins follow from it.  Which of the two files counts is the
 * library's rule: generation_config.json is the whole truth where it is there, special tokens included, except where
 * it was written from a config.json that has generation keys of its own. */
#include "nn/generate_config.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hf_cache.h"
#include "io/json.h"

typedef enum { KEY_INT, KEY_REAL, KEY_BOOL, KEY_ID, KEY_IDS, KEY_WORDS, KEY_STOP, KEY_DECAY, KEY_TEXTS } KeyKind;
typedef struct {
    const char *key;
    KeyKind kind;
    size_t offset;          /* in GenerateSettings */
    double least, most;     /* numbers */
    double none;            /* the number that null stands for: it switches the key off */
    const char *in_configs; /* values by which a config.json does not yet configure generation; NULL: any */
} Key;
#define KEY(key, kind, name, ...)                                                                                    \
    {                                                                                                                \
#key, KEY_##kind, offsetof(GenerateSettings, name), __VA_ARGS__                                              \
    }
static const double MOST = 1e8;
static const Key KEYS[] = {
    KEY(max_length, INT, c.max_length, 1, 1e8, 0, "20"),
    KEY(max_new_tokens, INT, c.max_new, 1, 1e8, 0, NULL),
    KEY(min_length, INT, c.min_length, 0, 1e8, 0, "0"),
    KEY(min_new_tokens, INT, c.min_new, 0, 1e8, 0, NULL),
    KEY(do_sample, BOOL, do_sample, 0, 1, 0, "false"),
    KEY(temperature, REAL, temperature, 0, 1e6, 1, "1|1.0"),
    KEY(top_k, INT, c.top_k, 0, 1e8, 0, "50"),
    KEY(top_p, REAL, c.top_p, 0, 1, 0, "1|1.0"),
    KEY(min_p, REAL, c.min_p, 0, 1, 0, NULL),
    KEY(typical_p, REAL, c.typical_p, 0, 1, 0, "1|1.0"),
    KEY(epsilon_cutoff, REAL, c.epsilon, 0, 1, 0, NULL),
    KEY(eta_cutoff, REAL, c.eta, 0, 1, 0, NULL),
    KEY(num_beams, INT, c.beams, 1, 1000, 1, "1"),
    KEY(num_return_sequences, INT, c.n_best, 1, 1000, 1, "1"),
    KEY(length_penalty, REAL, c.length_penalty, -100, 100, 1, "1|1.0"),
    KEY(early_stopping, STOP, c.early_stopping, 0, 0, 0, "false"),
    KEY(encoder_repetition_penalty, REAL, c.encoder_repetition_penalty, 1e-6, 1e6, 0, NULL),
    KEY(repetition_penalty, REAL, c.repetition_penalty, 1e-6, 1e6, 0, "1|1.0"),
    KEY(no_repeat_ngram_size, INT, c.no_repeat_ngram, 0, 1e8, 0, "0"),
    KEY(encoder_no_repeat_ngram_size, INT, c.encoder_no_repeat_ngram, 0, 1e8, 0, "0"),
    KEY(bad_words_ids, WORDS, c.bad_words, 0, 0, 0, ""),
    KEY(forced_bos_token_id, ID, c.forced_bos, 0, 0, 0, ""),
    KEY(forced_eos_token_id, IDS, c.forced_eos, 0, 0, 0, ""),
    KEY(exponential_decay_length_penalty, DECAY, c.decay_start, 0, 0, 0, ""),
    KEY(suppress_tokens, IDS, c.suppress, 0, 0, 0, ""),
    KEY(begin_suppress_tokens, IDS, c.begin_suppress, 0, 0, 0, ""),
    KEY(renormalize_logits, BOOL, c.renormalize, 0, 1, 0, NULL),
    KEY(stop_strings, TEXTS, stop, 0, 0, 0, NULL),
    KEY(eos_token_id, IDS, c.eos, 0, 0, 0, NULL),
    KEY(pad_token_id, ID, c.pad, 0, 0, 0, NULL),
    KEY(bos_token_id, ID, bos, 0, 0, 0, NULL),
    KEY(decoder_start_token_id, ID, c.start, 0, 0, 0, NULL),
};
enum { N_KEYS = sizeof KEYS / sizeof *KEYS };
_Static_assert((int)N_KEYS <= (int)GENERATE_KEYS_MOST, "origins have room for every key");

/* Keys that change a result in ways that are not supported, with the values (besides null) that change nothing. */
static const struct {
    const char *key, *neutral, *what;
} REFUSED[] = {{"num_beam_groups", "1", "group beam search"},
               {"penalty_alpha", "0|0.0", "contrastive search"},
               {"constraints", "[]", "constrained beam search"},
               {"force_words_ids", "[]", "constrained beam search"},
               {"guidance_scale", "1|1.0", "guidance without a classifier"},
               {"sequence_bias", "[]|{}", "a bias on sequences"},
               {"watermarking_config", "{}", "a watermark"},
               {"dola_layers", "[]", "decoding by contrasting layers"},
               {"token_healing", "false", "healing the last token of a prompt"},
               {"max_time", "", "a limit of seconds"}};
/* Keys of the file that need no word: they describe it, or say how to compute and what else to return. */
static const char SILENT[] = "transformers_version|_*|use_cache|cache_*|return_legacy_cache|prefill_chunk_size|"
                             "return_dict_in_generate|output_*|"
                             "*assistant*|target_lookbehind|max_matching_ngram_size|compile_config|disable_compile|"
                             "low_memory|bos_token|eos_token|"
                             "pad_token";

static const Key *key_find(const char *name)
{
    for (int i = 0; i < N_KEYS; i++)
        if (!strcmp(KEYS[i].key, name)) return &KEYS[i];
    return NULL;
}

bool generate_settings_knows(const char *key)
{
    return key_find(key) != NULL;
}

bool generate_settings_number(const char *key, bool *whole, double *least, double *most)
{
    const Key *k = key_find(key);
    if (!k || (k->kind != KEY_INT && k->kind != KEY_REAL)) return false;
    *whole = k->kind == KEY_INT, *least = k->least, *most = k->most;
    return true;
}

/* ---- values */

static Status wrong(const char *from, const char *key, const char *expected)
{
    return err_fail(E_FORMAT, "%s: %s is not %s", from, key, expected);
}

static bool is_id(const cJSON *j)
{
    return cJSON_IsNumber(j) && j->valuedouble >= -1 && j->valuedouble <= MOST &&
           floor(j->valuedouble) == j->valuedouble;
}

/* One id or a list of them. */
static Status read_ids(IdList *out, Arena *a, const cJSON *j, const char *key, const char *from)
{
    int n = cJSON_IsArray(j) ? cJSON_GetArraySize(j) : 1;
    int32_t *id = NEW(a, int32_t, n + 1);
    *out = (IdList){id, 0};
    for (const cJSON *x = cJSON_IsArray(j) ? j->child : j; x; x = cJSON_IsArray(j) ? x->next : NULL) {
        if (!is_id(x)) return wrong(from, key, "a token id or a list of them");
        if (x->valuedouble >= 0) id[out->n++] = (int32_t)x->valuedouble; /* -1 stands for none */
    }
    return OK;
}

static Status read_words(GenerateConfig *c, Arena *a, const cJSON *j, const char *key, const char *from)
{
    if (!cJSON_IsArray(j)) return wrong(from, key, "a list of lists of token ids");
    IdList *words = NEW(a, IdList, cJSON_GetArraySize(j) + 1);
    int n = 0;
    for (const cJSON *x = j->child; x; x = x->next) {
        if (!cJSON_IsArray(x) || !x->child) return wrong(from, key, "a list of lists of token ids");
        TRY(read_ids(&words[n++], a, x, key, from));
    }
    c->bad_words = words, c->n_bad_words = n;
    return OK;
}

static Status read_texts(GenerateSettings *s, const cJSON *j, const char *key, const char *from)
{
    const char **text = NEW(s->arena, const char *, cJSON_IsArray(j) ? cJSON_GetArraySize(j) + 1 : 1);
    int n = 0;
    for (const cJSON *x = cJSON_IsArray(j) ? j->child : j; x; x = cJSON_IsArray(j) ? x->next : NULL) {
        if (!cJSON_IsString(x) || !*x->valuestring) return wrong(from, key, "a text or a list of texts");
        text[n++] = str_copy(s->arena, x->valuestring, strlen(x->valuestring));
    }
    s->stop = text, s->n_stop = n;
    return OK;
}

static Status read_stop(BeamStop *out, const cJSON *j, const char *key, const char *from)
{
    if (cJSON_IsString(j) && !strcmp(j->valuestring, "never"))
        *out = STOP_NEVER;
    else if (cJSON_IsBool(j) || (cJSON_IsNumber(j) && (j->valuedouble == 0 || j->valuedouble == 1)))
        *out = cJSON_IsTrue(j) || (cJSON_IsNumber(j) && j->valuedouble == 1) ? STOP_WHEN_FULL : STOP_WHEN_WORSE;
    else
        return wrong(from, key, "false, true or \"never\"");
    return OK;
}

/* [start, factor] */
static Status read_decay(GenerateConfig *c, const cJSON *j, const char *key, const char *from)
{
    const cJSON *start = cJSON_GetArrayItem(j, 0), *factor = cJSON_GetArrayItem(j, 1);
    if (!cJSON_IsArray(j) || cJSON_GetArraySize(j) != 2 || !is_id(start) || !cJSON_IsNumber(factor) ||
        !(factor->valuedouble >= 0 && factor->valuedouble <= 1e6))
        return wrong(from, key, "a list of a number of tokens and a factor");
    c->decay_start = (int)start->valuedouble, c->decay_factor = factor->valuedouble;
    return OK;
}

static Status read_id(int *out, Arena *a, const cJSON *j, const char *key, const char *from)
{
    IdList one;
    TRY(read_ids(&one, a, j, key, from));
    if (one.n > 1) return wrong(from, key, "one token id");
    *out = one.n ? one.id[0] : -1;
    return OK;
}

static void put_ids(GenerateSettings *s, const Key *k, IdList list)
{
    if (k->offset != offsetof(GenerateSettings, c.eos)) {
        *(IdList *)((char *)s + k->offset) = list;
        return;
    }
    s->c.eos = list.n ? list.id[0] : -1;
    s->c.more_eos = list.n ? (IdList){list.id + 1, list.n - 1} : list;
}

/* Null gives the value that switches a key off. */
static void clear(GenerateSettings *s, const Key *k)
{
    void *at = (char *)s + k->offset;
    GenerateConfig *c = &s->c;
    switch (k->kind) {
    case KEY_INT: *(int *)at = (int)k->none; return;
    case KEY_REAL: *(double *)at = k->none; return;
    case KEY_BOOL: *(bool *)at = false; return;
    case KEY_ID: *(int *)at = -1; return;
    case KEY_IDS: put_ids(s, k, (IdList){0}); return;
    case KEY_WORDS: c->n_bad_words = 0; return;
    case KEY_STOP: c->early_stopping = STOP_WHEN_WORSE; return;
    case KEY_DECAY: c->decay_factor = 0; return;
    case KEY_TEXTS: s->n_stop = 0; return;
    }
}

static Status read_value(GenerateSettings *s, const Key *k, const cJSON *holder, const char *from)
{
    void *at = (char *)s + k->offset;
    const cJSON *j = holder->child;
    IdList list;
    switch (k->kind) {
    case KEY_INT: return json_int(at, holder, k->key, (int)k->least, (int)k->most, from);
    case KEY_REAL: return json_real(at, holder, k->key, k->least, k->most, from);
    case KEY_BOOL: return json_bool(at, holder, k->key, from);
    case KEY_ID: return read_id(at, s->arena, j, k->key, from);
    case KEY_IDS:
        TRY(read_ids(&list, s->arena, j, k->key, from));
        put_ids(s, k, list);
        return OK;
    case KEY_WORDS: return read_words(&s->c, s->arena, j, k->key, from);
    case KEY_STOP: return read_stop(at, j, k->key, from);
    case KEY_DECAY: return read_decay(&s->c, j, k->key, from);
    case KEY_TEXTS: return read_texts(s, j, k->key, from);
    }
    return OK;
}

Status generate_settings_set(GenerateSettings *s, const char *key, const cJSON *value, const char *from)
{
    const Key *k = key_find(key);
    CHECK(k, "%s is no key of generation", key);
    cJSON *holder = cJSON_CreateObject();
    cJSON_AddItemReferenceToObject(holder, key, (cJSON *)value);
    Status status = OK;
    if (cJSON_IsNull(value))
        clear(s, k);
    else
        status = read_value(s, k, holder, from);
    cJSON_Delete(holder);
    char *text = json_printed(value, true);
    s->from[k - KEYS] = str_copy(s->arena, from, strlen(from));
    s->value[k - KEYS] = str_copy(s->arena, text, strlen(text));
    cJSON_free(text);
    return status;
}

const char *generate_settings_from(const GenerateSettings *s, const char *key)
{
    const Key *k = key_find(key);
    return k ? s->from[k - KEYS] : NULL;
}

int generate_settings_lines(const char *line[GENERATE_KEYS_MOST], Arena *a, const GenerateSettings *s)
{
    int n = 0;
    for (int i = 0; i < N_KEYS; i++)
        if (s->from[i]) line[n++] = str_print(a, "%s = %s (%s)", KEYS[i].key, s->value[i], s->from[i]);
    return n;
}

static void remark(GenerateSettings *s, const char *line)
{
    if (s->n_remarks < GENERATE_KEYS_MOST) s->remark[s->n_remarks++] = line;
}

/* ---- documents */

/* Null, or printed as one of the values that `glob` lists. */
static bool is_among(const cJSON *j, const char *glob)
{
    if (!j || cJSON_IsNull(j)) return true;
    char *text = json_printed(j, true);
    bool among = str_glob(glob, text);
    cJSON_free(text);
    return among;
}

static Status check_other(GenerateSettings *s, const cJSON *j, const char *path, bool inside)
{
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        if (strcmp(REFUSED[i].key, j->string) != 0) continue;
        if (is_among(j, REFUSED[i].neutral)) return OK;
        char *text = json_printed(j, true);
        Status status = err_fail(E_MISMATCH, "%s: %s is %.40s, which means %s; that is not supported", path,
                                 j->string, text, REFUSED[i].what);
        cJSON_free(text);
        return status;
    }
    if (!inside && !str_glob(SILENT, j->string) && !is_among(j, "false|0|0.0"))
        remark(s, str_print(s->arena, "%s: %s has no effect", path, j->string));
    return OK;
}

Status generate_settings_read(GenerateSettings *s, const cJSON *root, const char *path, bool inside)
{
    if (!cJSON_IsObject(root)) return err_fail(E_FORMAT, "%s: is not a JSON object", path);
    for (const cJSON *j = root->child; j; j = j->next) { /* of a key that stands twice, the last counts */
        const Key *k = key_find(j->string);
        bool token = k && (k->kind == KEY_ID || k->kind == KEY_IDS);
        if (!k)
            TRY(check_other(s, j, path, inside));
        else if (!inside || !cJSON_IsNull(j) ||
                 token) /* a null in config.json takes a token away, and else nothing */
            TRY(generate_settings_set(s, j->string, j, path));
    }
    return OK;
}

/* Whether a config.json configures generation: it has a key of it with a value that is not the class's own. */
static bool configures(const cJSON *config, const Model *m)
{
    for (const cJSON *j = config ? config->child : NULL; j; j = j->next) {
        const Key *k = key_find(j->string);
        if (!k || !k->in_configs || is_among(j, k->in_configs)) continue;
        bool usual = m->arch->force_eos && k->offset == offsetof(GenerateSettings, c.forced_eos) && is_among(j, "2");
        if (!usual) return true;
    }
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(config, "force_bos_token_to_be_generated"));
}

static Status read_general(GenerateSettings *s, const cJSON *root, const char *path)
{
    int start = s->c.start;
    s->c.eos = s->c.pad = s->c.start = s->bos = -1;
    s->c.forced_eos.n = 0;
    TRY(generate_settings_read(s, root, path, false));
    if (s->c.start < 0) s->c.start = s->bos >= 0 ? s->bos : start;
    if (s->c.eos < 0)
        remark(s, str_print(s->arena, "%s: has no eos_token_id, so nothing but the limit ends a text", path));
    return OK;
}

static Status read_config(GenerateSettings *s, const cJSON *root, const char *path)
{
    int start = s->c.start;
    TRY(generate_settings_read(s, root, path, true));
    if (s->c.start < 0) s->c.start = s->bos >= 0 ? s->bos : start;
    bool forced = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "force_bos_token_to_be_generated"));
    if (forced && s->c.forced_bos < 0) s->c.forced_bos = s->bos; /* BART's configs of 2020 */
    return OK;
}

static Status check_id(const GenerateSettings *s, const char *key, int32_t id)
{
    if (id < s->vocab) return OK;
    return err_fail(E_MISMATCH, "%s: %s has the id %d, and the vocabulary has %d tokens",
                    generate_settings_from(s, key), key, id, s->vocab);
}

/* An end that the model cannot write ends nothing; any other id must be there. */
static Status check_vocabulary(GenerateSettings *s)
{
    GenerateConfig *c = &s->c;
    TRY(check_id(s, "forced_bos_token_id", c->forced_bos));
    for (int i = 0; i < c->forced_eos.n; i++) TRY(check_id(s, "forced_eos_token_id", c->forced_eos.id[i]));
    for (int i = 0; i < c->n_bad_words; i++)
        for (int k = 0; k < c->bad_words[i].n; k++) TRY(check_id(s, "bad_words_ids", c->bad_words[i].id[k]));
    if (generate_settings_from(s, "decoder_start_token_id")) TRY(check_id(s, "decoder_start_token_id", c->start));
    if (c->eos < s->vocab) return OK;
    remark(s, str_print(s->arena, "eos_token_id %d is beyond the vocabulary of %d tokens and ends nothing", c->eos,
                        s->vocab));
    c->eos = -1;
    return OK;
}

static Status read_if_there(cJSON **root, Arena *a, const char *path)
{
    *root = NULL;
    return access(path, F_OK) ? OK : json_read(root, a, path);
}

Status generate_settings_open(GenerateSettings *s, Arena *a, const Model *m, const char *dir)
{
    *s = (GenerateSettings){.c = generate_defaults(m, 0), .temperature = 1, .bos = m->config.bos, .arena = a};
    s->vocab = m->config.vocab;
    s->c.ends_count = false;
    if (!dir) return OK;
    TRY(hf_cache_find(&dir, a, dir));
    const char *folder = file_folder(a, dir), *general_path = str_print(a, "%s/generation_config.json", folder),
               *config_path = str_print(a, "%s/config.json", folder);
    cJSON *general, *config = NULL;
    TRY(read_if_there(&general, a, general_path));
    Status status = read_if_there(&config, a, config_path);
    bool copied = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(general, "_from_model_config"));
    if (!status && general && !(copied && configures(config, m)))
        status = read_general(s, general, general_path);
    else if (!status && config)
        status = read_config(s, config, config_path);
    cJSON_Delete(general);
    cJSON_Delete(config);
    return status ? status : check_vocabulary(s);
}

/* ---- combinations */

/* Two settings exclude each other: the fault of the command line if either was typed. */
static Status conflict(const GenerateSettings *s, const char *one, const char *other, const char *what)
{
    const char *a = generate_settings_from(s, one), *b = generate_settings_from(s, other);
    bool typed = (a && a[0] == '-') || (b && b[0] == '-');
    return err_fail(typed ? E_CONFIG : E_MISMATCH, "%s (%s) and %s (%s): %s", one, a ? a : "default", other,
                    b ? b : "default", what);
}

Status generate_settings_settle(GenerateSettings *s)
{
    GenerateConfig *c = &s->c;
    const char *by = generate_settings_from(s, "do_sample");
    bool samples = s->do_sample && s->temperature > 0;
    c->temperature = samples ? s->temperature : 0;
    if (samples && by && *by != '-' && !generate_settings_from(s, "top_k")) c->top_k = 50; /* the library's default */
    if (samples && c->beams > 1)
        return conflict(s, "num_beams", "do_sample", "beam search and sampling exclude each other");
    if (c->n_best > c->beams && !samples)
        return conflict(s, "num_return_sequences", "num_beams",
                        "there are as many results as beams at most, or any number of samples");
    return OK;
}
