/* Options that are named like the keys of the library become settings: the table of the command decides which there
 * are, the table of keys in nn/generate_config.c what they mean.  What is typed counts more than what a file has. */
#include <string.h>

#include "base/print.h"
#include "cli/adapter.h"
#include "cli/generate.h"
#include "io/json.h"

Status generator_open(Model **m, Hooks **hooks, Tokenizer *t, const Args *a, const LoadOptions *options)
{
    LoadOptions with = *options;
    TRY(read_dtype(&with, a));
    TRY(model_with_adapter(m, hooks, a, args_arena(a), args_at(a, 0), &with));
    return tokenizer_open(t, args_arena(a), args_text(a, "tokenizer", args_at(a, 0)));
}

Status generator_check_ids(const Model *m, const Tokenizer *t, const BpeText *x)
{
    for (int64_t i = 0; i < x->n; i++)
        if (x->id[i] < 0 || x->id[i] >= m->config.vocab)
            return err_fail(E_MISMATCH,
                            "the text has the token %s of id %d, and the model's vocabulary has %d tokens; the "
                            "tokenizer has %lld",
                            tokenizer_piece(t, x->id[i]) ? tokenizer_piece(t, x->id[i]) : "", x->id[i],
                            m->config.vocab, (long long)tokenizer_size(t));
    return OK;
}

/* ---- one option */

static Status set_number(GenerateSettings *s, const Args *a, const char *option, const char *key, const char *from)
{
    bool whole;
    double least, most, x = 0;
    int64_t n = 0;
    generate_settings_number(key, &whole, &least, &most);
    if (whole)
        TRY(args_int(&n, a, option, 0, (int64_t)least, (int64_t)most));
    else
        TRY(args_real(&x, a, option, 0, least, most));
    cJSON *j = cJSON_CreateNumber(whole ? (double)n : x);
    Status status = generate_settings_set(s, key, j, from);
    cJSON_Delete(j);
    return status;
}

/* "7" or "3,8,12": ids as a JSON list has them. */
static Status set_ids(GenerateSettings *s, const Args *a, const char *option, const char *key, const char *from)
{
    const char *text = args_text(a, option, "");
    cJSON *j = cJSON_Parse(str_print(args_arena(a), "[%s]", text));
    Status status = j ? generate_settings_set(s, key, j, from) : E_FORMAT;
    cJSON_Delete(j);
    if (!status) return OK;
    err_clear();
    return err_fail(E_CONFIG, "%s is '%s', expected token ids with commas between them", from, text);
}

static void set_switch(GenerateSettings *s, const char *key, bool on, const char *from)
{
    cJSON *j = cJSON_CreateBool(on);
    CHECK(!generate_settings_set(s, key, j, from), "%s is no switch", key);
    cJSON_Delete(j);
}

/* num_beams of num-beams; NULL where no key has that name. */
static const char *key_of(Arena *a, const char *option)
{
    char *key = str_copy(a, option, strlen(option));
    for (char *c = key; *c; c++)
        if (*c == '-') *c = '_';
    return generate_settings_knows(key) ? key : NULL;
}

static Status set_option(GenerateSettings *s, const Args *a, const Option *o)
{
    bool whole;
    double least, most;
    const char *key = key_of(args_arena(a), o->name), *from = str_print(args_arena(a), "--%s", o->name);
    if (!key || !args_given(a, o->name)) return OK;
    if (!o->argument) {
        set_switch(s, key, true, from);
        return OK;
    }
    return generate_settings_number(key, &whole, &least, &most) ? set_number(s, a, o->name, key, from)
                                                                : set_ids(s, a, o->name, key, from);
}

/* ---- consequences of options */

static bool has_option(const Args *a, const char *name)
{
    for (const Option *o = args_options(a); o->name; o++)
        if (!strcmp(o->name, name)) return args_given(a, name);
    return false;
}

/* Whoever types a setting of sampling wants samples, except where the temperature is 0. */
static void imply_sampling(GenerateSettings *s, const Args *a)
{
    static const char *const OF_SAMPLING[] = {"temperature", "top-k",          "top-p",     "min-p",
                                              "typical-p",   "epsilon-cutoff", "eta-cutoff"};
    for (int i = 0; i < (int)(sizeof OF_SAMPLING / sizeof *OF_SAMPLING); i++)
        if (has_option(a, OF_SAMPLING[i]))
            set_switch(s, "do_sample", true, str_print(args_arena(a), "--%s", OF_SAMPLING[i]));
    if (has_option(a, "temperature") && !(s->temperature > 0)) set_switch(s, "do_sample", false, "--temperature");
    if (has_option(a, "greedy")) set_switch(s, "do_sample", false, "--greedy");
}

static Status set_stop(GenerateSettings *s, const Args *a)
{
    const char *text[64];
    int n = has_option(a, "stop") ? args_all(a, "stop", text, 64) : 0;
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < n; i++) cJSON_AddItemToArray(list, cJSON_CreateString(text[i]));
    Status status = n ? generate_settings_set(s, "stop_strings", list, "--stop") : OK;
    cJSON_Delete(list);
    if (!status) return OK;
    err_clear();
    return err_fail(E_CONFIG, "--stop is empty, expected a text");
}

static Status set_never(GenerateSettings *s, const Args *a)
{
    if (!has_option(a, "early-stopping-never")) return OK;
    cJSON *j = cJSON_CreateString("never");
    Status status = generate_settings_set(s, "early_stopping", j, "--early-stopping-never");
    cJSON_Delete(j);
    return status;
}

Status generator_settings(GenerateSettings *s, const Model *m, const Args *a, const char *dir)
{
    TRY(generate_settings_open(s, args_arena(a), m, has_option(a, "no-generation-config") ? NULL : dir));
    if (has_option(a, "greedy") && has_option(a, "do-sample"))
        return err_fail(E_CONFIG, "--greedy and --do-sample are both given; they exclude each other");
    for (const Option *o = args_options(a); o->name; o++) TRY(set_option(s, a, o));
    if (has_option(a, "max-length") && !has_option(a, "max-new-tokens")) s->c.max_new = 0;
    if (has_option(a, "min-length") && !has_option(a, "min-new-tokens")) s->c.min_new = 0;
    imply_sampling(s, a);
    TRY(set_stop(s, a));
    TRY(set_never(s, a));
    return generate_settings_settle(s);
}

void generator_remarks(const GenerateSettings *s, const Args *a)
{
    const char *line[GENERATE_KEYS_MOST];
    for (int i = 0; i < s->n_remarks && !args_quiet(a); i++) print_err("%s\n", s->remark[i]);
    if (!has_option(a, "verbose")) return;
    int n = generate_settings_lines(line, args_arena(a), s);
    for (int i = 0; i < n; i++) print_err("%s\n", line[i]);
    if (!n) print_err("every setting of generation is a default\n");
}
