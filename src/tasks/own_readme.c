/* The model card, DIR/README.md: the method, the data, the scores beside the baselines, and the lines that load it in
 * transformers and peft. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/sha256.h"
#include "base/str.h"
#include "io/json.h"
#include "tasks/tune.h"

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

/* The base as a reader of the folder finds it. */
static const char *base_of(const TuneJob *j)
{
    return j->o.model ? j->o.model : j->p.task->base + 2;
}

/* Whether peft reads the adapter. */
static bool is_hf(const TuneJob *j)
{
    cJSON *root;
    const char *path = str_print(j->run, "%s/adapter_config.json", j->p.dir);
    if (access(path, F_OK) || json_read(&root, j->run, path)) return false;
    bool hf = json_has(root, "peft_type");
    cJSON_Delete(root);
    return hf;
}

static void put_head(Buf *b, const TuneJob *j)
{
    const Predictor *p = &j->p;
    bool whole = predictor_whole(p->peft);
    buf_print(b,
              "---\nbase_model: %s\nlibrary_name: %s\npipeline_tag: %s\ntags:\n- vernier\n- %s\n---\n\n"
              "# %s on %s\n\n`%s` predicts %s.  It is `%s`, tuned by %s: %s.\n",
              base_of(j), whole ? "transformers" : "peft",
              p->own.kind->target == OWN_TAGS ? "token-classification" : "text-classification", p->method, p->method,
              last_name(base_of(j)), p->task->name, j->o.task->about, last_name(base_of(j)), p->method,
              p->peft->summary);
    buf_print(b, "%lld of %lld parameters were trained.\n", (long long)j->t.trainable, (long long)j->t.parameters);
}

/* ---- scores */

static void put_value(Buf *b, const cJSON *of, const char *key)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(of, key);
    if (cJSON_IsNumber(x))
        buf_print(b, " %.4f |", x->valuedouble);
    else
        buf_print(b, " n/a |");
}

static void put_interval(Buf *b, const cJSON *intervals, const char *key)
{
    const cJSON *pair = cJSON_GetObjectItemCaseSensitive(intervals, key);
    if (cJSON_GetArraySize(pair) == 2)
        buf_print(b, " %.4f to %.4f |", cJSON_GetArrayItem(pair, 0)->valuedouble,
                  cJSON_GetArrayItem(pair, 1)->valuedouble);
    else
        buf_print(b, " |");
}

static void put_scores(Buf *b, const TuneJob *j, const cJSON *v)
{
    const OwnKind *k = j->p.own.kind;
    const cJSON *intervals = cJSON_GetObjectItemCaseSensitive(v, "intervals"), *one;
    const cJSON *baselines = cJSON_GetObjectItemCaseSensitive(v, "baselines");
    buf_print(
        b, "\n## Scores\n\nOn %lld validation rows, with 95 %% bootstrap intervals; beside them the baselines.\n\n",
        (long long)j->own_valid.n);
    buf_print(b, "| measure | value | 95 %% interval |");
    cJSON_ArrayForEach(one, baselines) buf_print(b, " %s |", one->string);
    buf_print(b, "\n|---|---|---|");
    cJSON_ArrayForEach(one, baselines) buf_print(b, "---|");
    for (int m = 0; m < k->measures; m++) {
        buf_print(b, "\n| %s |", k->measure[m].name);
        put_value(b, v, k->measure[m].key);
        put_interval(b, intervals, k->measure[m].key);
        cJSON_ArrayForEach(one, baselines) put_value(b, one, k->measure[m].key);
    }
    buf_print(b, "\n");
}

static void put_theory(Buf *b, const cJSON *v)
{
    const cJSON *theory = cJSON_GetObjectItemCaseSensitive(v, "theory"), *one;
    if (!theory) return;
    buf_print(b, "\n## The theory about this run\n\n");
    cJSON_ArrayForEach(one, cJSON_GetObjectItemCaseSensitive(theory, "sentences"))
        buf_print(b, "- %s\n", one->valuestring);
}

/* ---- data and settings */

static void put_file(Buf *b, const char *what, const char *path, int64_t rows)
{
    Sha256Hex hash;
    if (!path) return;
    buf_print(b, "- %s: `%s`, %lld rows", what, last_name(path), (long long)rows);
    if (!sha256_file(&hash, path)) buf_print(b, ", SHA-256 `%s`", hash.hex);
    err_clear();
    buf_print(b, "\n");
}

static void put_data(Buf *b, const TuneJob *j)
{
    const TuneOptions *o = &j->o;
    const OwnPlan *p = &j->p.own;
    buf_print(b, "\n## Data\n\n");
    put_file(b, "training", o->train, j->n_train);
    put_file(b, "validation", o->valid, j->n_valid);
    if (!o->valid)
        buf_print(b, "- validation: %lld other rows of the same file, a share of %g drawn by the seed\n",
                  (long long)j->n_valid, o->cut);
    buf_print(b, "- columns: `%s`", p->text);
    if (p->pair) buf_print(b, " and `%s`", p->pair);
    buf_print(b, ", label `%s`\n", p->label);
    for (int c = 0; c < p->classes; c++) buf_print(b, "%s`%s`", c ? ", " : "- classes: ", p->name[c]);
    if (p->classes) buf_print(b, "\n");
    if (p->kind->target == OWN_NUMBERS)
        buf_print(b, "- the model's output times %.9g plus %.9g is the number\n", p->sd, p->mean);
}

static void put_settings(Buf *b, const TuneJob *j)
{
    const TuneOptions *o = &j->o;
    const Tuning *t = &j->t;
    buf_print(b, "\n## Training\n\n- method: %s%s%s (%s)\n", j->p.method, *j->p.options ? ", " : "", j->p.options,
              j->p.peft->source);
    buf_print(b, "- steps: %lld of %lld rows, at most %lld epochs; the best of them is step %lld by %s\n",
              (long long)t->trainer->step, (long long)o->batch, (long long)o->epochs, (long long)t->stand.best_step,
              j->p.own.kind->measure[j->own_measure].name);
    buf_print(b, "- learning rate %g, linear schedule; seed %lld; at most %d tokens%s\n", t->lr, (long long)o->seed,
              j->p.own.length, j->p.own.window ? ", longer texts in windows whose logits are averaged" : "");
    if (o->smoothing > 0) buf_print(b, "- label smoothing %g\n", o->smoothing);
    if (o->class_weights) buf_print(b, "- class weights: %s\n", o->class_weights);
}

/* ---- loading */

static void put_loading(Buf *b, const TuneJob *j)
{
    const Predictor *p = &j->p;
    const char *base = j->o.model ? base_of(j) : str_print(j->run, "DIR/%s", base_of(j));
    bool whole = predictor_whole(p->peft);
    buf_print(b, "\n## Use\n\n`vernier predict DIR FILE` reads this folder, DIR.");
    if (!whole && !is_hf(j)) {
        buf_print(b, "  PEFT has no place for this method, so only vernier loads the adapter.\n");
        return;
    }
    buf_print(b, "  So do transformers and peft:\n\n```python\n"
                 "from transformers import AutoModelForSequenceClassification, AutoTokenizer\n");
    if (!whole) buf_print(b, "from peft import PeftModel\n");
    buf_print(b, "tokenizer = AutoTokenizer.from_pretrained(\"%s\")\n", j->o.tokenizer ? j->o.tokenizer : base);
    buf_print(b, "model = AutoModelForSequenceClassification.from_pretrained(\"%s\"%s)\n", whole ? "DIR/model" : base,
              whole ? "" : str_print(j->run, ", num_labels=%d", own_outputs(&p->own)));
    if (!whole) buf_print(b, "model = PeftModel.from_pretrained(model, \"DIR\")\n");
    buf_print(b,
              "model.eval()\ninputs = tokenizer(%s, truncation=True, max_length=%d, return_tensors=\"pt\")\n"
              "logits = model(**inputs).logits\n```\n",
              p->own.pair ? "first, second" : "text", p->own.length);
}

Status tune_own_readme(const TuneJob *j, const cJSON *validation)
{
    Buf b = buf_open(j->run);
    put_head(&b, j);
    put_scores(&b, j, validation);
    put_theory(&b, validation);
    put_data(&b, j);
    put_settings(&b, j);
    put_loading(&b, j);
    err_clear();
    return file_write(str_print(j->run, "%s/README.md", j->p.dir), b.text, b.len);
}
