/* A message for each commit, and how near it comes to the one that the author wrote. */
#include <math.h>
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "cli/generate.h"
#include "cli/predict.h"
#include "io/json.h"
#include "run/run.h"

enum { WRITERS = 3 }; /* the model and two baselines */
typedef struct {
    Prediction *of;
    int64_t n; /* commits written for */
    CodeChange *change;
    Bytes *message[WRITERS]; /* (n) by the model, retrieval, the most frequent message; NULL: not wanted */
    bool compared;           /* every commit has a message of its own */
    Bytes *reference;        /* (n) */
    double score[WRITERS][MESSAGE_METRICS];
    bool wordnet;
} Writing;

static const MessageMetric SHOWN[] = {B_NORM, METEOR_3, METEOR_NLTK, ROUGE_L, EXACT};
static const char *const ROW[WRITERS] = {"model", "retrieval", "frequent"};   /* in the table */
static const char *const MEMBER[WRITERS] = {"model", "nearest", "commonest"}; /* in JSON */
static const char *const KEY[] = {"b_norm", "meteor", "meteor_nltk", "rouge_l", "exact_match"};
enum { N_SHOWN = sizeof SHOWN / sizeof *SHOWN };

/* ---- the model */

/* How the messages are decoded, and what ends them early. */
typedef struct {
    GenerateSettings s;
    Prediction *of;
} Decoding;

static bool ends_with_stop(const int32_t *id, int n, void *user)
{
    Decoding *d = user;
    size_t len;
    const char *text = tokenizer_decode(&d->of->p.text, &d->of->step, id, n, &len);
    for (int i = 0; i < d->s.n_stop; i++)
        if (memmem(text, len, d->s.stop[i], strlen(d->s.stop[i]))) return true;
    return false;
}

/* The command line over the model's folder over the defaults; no message is longer than those that were learned. */
static Status read_decoding(Decoding *d)
{
    enum { USUAL = 64 };
    Prediction *of = d->of;
    int64_t asked;
    int most = of->p.cmg.target;
    TRY(args_int(&asked, of->args, "max-new-tokens", 1, 1, most));
    TRY(generator_settings(&d->s, of->p.net, of->args, predictor_model(&of->p, of->run)));
    generator_remarks(&d->s, of->args);
    TRY(generate_fit(&d->s.c, of->p.net, 1, most < USUAL ? most : USUAL));
    if (d->s.c.max_new > most) d->s.c.max_new = most;
    if (d->s.n_stop) d->s.c.ends = ends_with_stop, d->s.c.user = d;
    d->s.c.seed = 1;
    return OK;
}

/* Generates a message for each change. */
static Status write_all(Writing *w)
{
    Prediction *of = w->of;
    Predictor *p = &of->p;
    Decoding d = {.of = of};
    Examples x;
    TRY(read_decoding(&d));
    TRY(cmg_sources(&x, of->run, w->n, w->change, p->net, &p->text, &p->cmg));
    w->message[0] = NEW(of->run, Bytes, w->n);
    PredictWatch watch = predict_watch_open(of, "writing", w->n);
    Status s =
        cmg_write(w->message[0], of->run, &of->step, p->net, p->hooks, &p->text, &x, &d.s.c, predict_watch, &watch);
    progress_clear();
    return s;
}

/* ---- baselines and measures */

static Status baselines(Writing *w, const char *path)
{
    JitSet train;
    Arena *a = w->of->run;
    TRY(jit_read(&train, a, path));
    int64_t *nearest = NEW(a, int64_t, w->n);
    TRY(cmg_nearest(nearest, a, train.n, train.change, w->n, w->change));
    Bytes common = cmg_subject(&train.change[cmg_commonest(train.n, train.change)]);
    for (int k = 1; k < WRITERS; k++) w->message[k] = NEW(a, Bytes, w->n);
    for (int64_t i = 0; i < w->n; i++) {
        w->message[1][i] = cmg_subject(&train.change[nearest[i]]);
        w->message[2][i] = common;
    }
    return OK;
}

/* Scores the messages of the model and of the baselines against the references. */
static Status measure(Writing *w)
{
    Arena *a = w->of->run;
    Meteor *meteor;
    Synonyms *wordnet;
    int64_t *all = NEW(a, int64_t, w->n);
    for (int64_t i = 0; i < w->n; i++) all[i] = i;
    TRY(message_tools(&meteor, &wordnet, args_arena(w->of->args), args_text(w->of->args, "meteor", NULL),
                      args_text(w->of->args, "wordnet", NULL)));
    w->wordnet = wordnet;
    for (int k = 0; k < WRITERS && w->message[k]; k++) {
        MessageRows rows;
        messages_score(&rows, a, w->n, w->message[k], w->reference, meteor, wordnet);
        messages_stats(w->score[k], all, w->n, &rows);
    }
    meteor_close(meteor);
    return OK;
}

/* The authors' messages.  If one is missing where it is needed, this fails before any message is generated. */
static Status references(Writing *w)
{
    w->reference = NEW(w->of->run, Bytes, w->n);
    w->compared = true;
    for (int64_t i = 0; i < w->n; i++) {
        w->reference[i] = cmg_subject(&w->change[i]);
        w->compared &= w->reference[i].len > 0;
    }
    if (w->compared || !args_given(w->of->args, "train")) return OK;
    return err_fail(E_MISMATCH, "not every commit has a message to compare with, so --train has no use");
}

static Status compare(Writing *w)
{
    const char *train = args_text(w->of->args, "train", NULL);
    if (train) TRY(baselines(w, train));
    return w->compared ? measure(w) : OK;
}

/* ---- output */

static void print_measures(const Writing *w)
{
    print_out("\nagainst their own messages, in %%\n%-10s", "");
    for (int m = 0; m < N_SHOWN; m++)
        if (!isnan(w->score[0][SHOWN[m]])) print_out(" %12s", MESSAGE_METRIC[SHOWN[m]].name);
    for (int k = 0; k < WRITERS && w->message[k]; k++) {
        print_out("\n%-10s", ROW[k]);
        for (int m = 0; m < N_SHOWN; m++)
            if (!isnan(w->score[k][SHOWN[m]])) print_out(" %12.4f", w->score[k][SHOWN[m]]);
    }
    print_out("\n");
    if (!w->wordnet) print_out("METEOR nltk: exact matches and stems alone, no WordNet here\n");
    if (isnan(w->score[0][METEOR_3]))
        print_out("METEOR 1.5 is left out: --meteor names the folder with its word lists\n");
}

static void print_list(const Writing *w)
{
    for (int64_t i = 0; i < w->n; i++) {
        print_out("%-10.10s  ", w->change[i].id);
        predict_text(w->message[0][i].text, w->message[0][i].len, 200);
        if (!w->compared) continue;
        print_out("%10s  ", "was:");
        predict_text(w->reference[i].text, w->reference[i].len, 200);
    }
    if (w->compared) print_measures(w);
}

static void print_csv(const Writing *w)
{
    print_out("id,repo,message%s\n", w->compared ? ",reference" : "");
    for (int64_t i = 0; i < w->n; i++) {
        const CodeChange *c = &w->change[i];
        predict_csv(c->id, strlen(c->id)), print_out(",");
        predict_csv(c->repo, strlen(c->repo)), print_out(",");
        predict_csv(w->message[0][i].text, w->message[0][i].len);
        if (w->compared) print_out(","), predict_csv(w->reference[i].text, w->reference[i].len);
        print_out("\n");
    }
}

static cJSON *measures_json(const double *score)
{
    cJSON *o = cJSON_CreateObject();
    for (int m = 0; m < N_SHOWN; m++) {
        double x = score[SHOWN[m]];
        cJSON_AddItemToObject(o, KEY[m], isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
    }
    return o;
}

/* Prints the metrics, where there are references, and each commit's message as JSON. */
static void print_json(const Writing *w)
{
    cJSON *root = cJSON_CreateObject();
    if (w->compared) {
        cJSON *measures = cJSON_AddObjectToObject(root, "measures");
        for (int k = 0; k < WRITERS && w->message[k]; k++)
            cJSON_AddItemToObject(measures, MEMBER[k], measures_json(w->score[k]));
    }
    cJSON *list = cJSON_AddArrayToObject(root, "commits");
    for (int64_t i = 0; i < w->n; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "id", w->change[i].id);
        cJSON_AddStringToObject(o, "repo", w->change[i].repo);
        Bytes said = w->message[0][i], own = w->reference[i];
        cJSON_AddItemToObject(o, "message", json_string(w->of->run, said.text, said.len));
        if (own.len) cJSON_AddItemToObject(o, "reference", json_string(w->of->run, own.text, own.len));
        cJSON_AddItemToArray(list, o);
    }
    json_print(root);
    cJSON_Delete(root);
}

/* ---- the task */

/* Rejects options of defect prediction, then generates, scores and prints the messages. */
Status predict_messages(Prediction *of)
{
    static const char *const OTHERS[] = {"lines", "threshold", "per-split", "features"};
    int64_t top;
    Writing w = {.of = of, .n = of->set.n, .change = of->set.change};
    for (size_t k = 0; k < sizeof OTHERS / sizeof *OTHERS; k++)
        if (args_given(of->args, OTHERS[k]))
            return err_fail(E_CONFIG, "--%s is for defects; %s writes messages", OTHERS[k], of->p.dir);
    TRY(args_int(&top, of->args, "top", 0, 0, INT32_MAX));
    if (top && top < w.n) w.n = top;
    TRY(references(&w));
    TRY(write_all(&w));
    TRY(compare(&w));
    if (of->json)
        print_json(&w);
    else if (of->csv)
        print_csv(&w);
    else
        print_list(&w);
    return OK;
}
