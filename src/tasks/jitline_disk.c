/* The model as one file of arrays: the plan's numbers, the vocabulary as lines of text, the classifier's arrays. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "io/safetensors.h"
#include "tasks/jitline.h"

/* The plan's numbers, in the order of the file, with the range of each. */
enum { CLASSIFIER, BALANCE, K, TREES, COST, LIME, FEATURES_READ, NO_FIX, AS_PUBLISHED, SEED_HIGH, SEED_LOW, NUMBERS };
static const struct {
    const char *name;
    double least, most;
} NUMBER[NUMBERS] = {{"classifier", 0, JITLINE_CLASSIFIERS - 1},
                     {"balance", 0, JITLINE_BALANCES - 1},
                     {"k", 0, JITLINE_MOST_K},
                     {"trees", 1, JITLINE_MOST_TREES},
                     {"cost", 0, 1e300},
                     {"lime", 0, 1},
                     {"features", 0, 1},
                     {"no_fix", 0, 1},
                     {"as_published", 0, 1},
                     {"seed", 0, UINT32_MAX},
                     {"seed", 0, UINT32_MAX}};

static Tensor numbers_of(Arena *a, const JitLinePlan *p)
{
    const double number[NUMBERS] = {p->classifier,
                                    p->balance,
                                    (double)p->k,
                                    (double)p->trees,
                                    p->cost,
                                    p->lime,
                                    p->features,
                                    p->no_fix,
                                    p->as_published,
                                    (double)(p->seed >> 32),
                                    (double)(p->seed & UINT32_MAX)};
    Tensor t = tensor_zero(a, F64, SHAPE(NUMBERS));
    for (int k = 0; k < NUMBERS; k++) tensor_set(t, k, number[k]);
    return t;
}

/* Each word on a line of its own, after an empty one: no array is empty. */
static Stored words_stored(Arena *a, const Vocabulary *v)
{
    Buf b = buf_open(a);
    buf_add(&b, "\n", 1);
    for (int64_t j = 0; j < v->n; j++) buf_add(&b, v->word[j].text, v->word[j].len), buf_add(&b, "\n", 1);
    return (Stored){.name = "words",
                    .type = STORED_U8,
                    .rank = 1,
                    .dim = {(int64_t)b.len},
                    .count = (int64_t)b.len,
                    .bytes = b.text,
                    .n_bytes = b.len};
}

static const char *path_in(Arena *a, const char *dir)
{
    return str_print(a, "%s/jitline.safetensors", dir);
}

Status jitline_save(const JitLine *m, const char *dir)
{
    Arena a = arena_open(0);
    Stored array[FOREST_ARRAYS + 6];
    int n = 0;
    array[n++] = stored_of("plan", numbers_of(&a, &m->plan));
    array[n++] = words_stored(&a, &m->words);
    array[n++] = stored_of("feature.mean", tensor_over((void *)(uintptr_t)m->mean_of, F64, SHAPE(N_FEATURES)));
    array[n++] = stored_of("feature.sd", tensor_over((void *)(uintptr_t)m->sd_of, F64, SHAPE(N_FEATURES)));
    array[n++] = stored_of("mean", tensor_over(m->mean, F64, SHAPE(m->columns)));
    array[n++] = stored_of("sd", tensor_over(m->sd, F64, SHAPE(m->columns)));
    if (m->forest)
        forest_store(array + n, &a, m->forest), n += FOREST_ARRAYS;
    else
        array[n++] = linear_store(&a, &m->linear);
    Status s = safetensors_write_stored(path_in(&a, dir), array, n, NULL, 0);
    arena_close(&a);
    return s;
}

/* ---- reading */

/* `n` finite numbers, each at least `least`. */
static Status read_numbers(double *out, const Weights *w, const char *name, int64_t n, double least)
{
    const Stored *s = weights_find(w, name);
    if (!s) return err_fail(E_FORMAT, "%s: has no tensor '%s'", weights_path(w), name);
    if (s->type != STORED_F64 || s->rank != 1 || s->count != n)
        return err_fail(E_FORMAT, "%s: tensor '%s' is %s %s, expected F64 of one dimension with %lld elements",
                        weights_path(w), name, stored_type(s), stored_shape(s), (long long)n);
    for (int64_t i = 0; i < n; i++) {
        out[i] = stored_get(s, i);
        if (!isfinite(out[i]) || out[i] < least)
            return err_fail(E_FORMAT, "%s: tensor '%s' has %g, expected finite%s numbers", weights_path(w), name,
                            out[i], least > 0 ? " positive" : "");
    }
    return OK;
}

static Status read_plan(JitLinePlan *p, const Weights *w)
{
    double x[NUMBERS];
    TRY(read_numbers(x, w, "plan", NUMBERS, -INFINITY));
    for (int k = 0; k < NUMBERS; k++)
        if (x[k] < NUMBER[k].least || x[k] > NUMBER[k].most || (k != COST && floor(x[k]) < x[k]))
            return err_fail(E_FORMAT, "%s: %s is %g, expected a number from %g to %g", weights_path(w),
                            NUMBER[k].name, x[k], NUMBER[k].least, NUMBER[k].most);
    *p = (JitLinePlan){.classifier = (JitLineClassifier)x[CLASSIFIER],
                       .balance = (JitLineBalance)x[BALANCE],
                       .k = (int64_t)x[K],
                       .trees = (int64_t)x[TREES],
                       .cost = x[COST],
                       .lime = x[LIME] > 0,
                       .features = x[FEATURES_READ] > 0,
                       .no_fix = x[NO_FIX] > 0,
                       .as_published = x[AS_PUBLISHED] > 0,
                       .seed = (uint64_t)x[SEED_HIGH] << 32 | (uint64_t)x[SEED_LOW]};
    return OK;
}

/* Each word must be one that a vocabulary finds in a text, and greater than the one before it. */
static Status check_word(Bytes word, const Bytes *before, const char *path)
{
    const char *at = word.text, *found;
    size_t n = 0, both = before && before->len < word.len ? before->len : word.len;
    bool whole = jitline_word(&at, word.text + word.len, &found, &n) && found == word.text && n == word.len;
    int order = before ? memcmp(before->text, word.text, both) : -1;
    if (whole && (order < 0 || (!order && before->len < word.len))) return OK;
    return err_fail(E_FORMAT, "%s: '%.40s' among the words, expected words of two or more letters, ascending", path,
                    word.text);
}

static Status read_words(Vocabulary *out, Arena *a, const Weights *w)
{
    const Stored *s = weights_find(w, "words");
    if (!s || s->type != STORED_U8 || s->rank != 1 || s->count < 1)
        return err_fail(E_FORMAT, "%s: has no tensor 'words' of bytes", weights_path(w));
    Bytes text = {str_copy(a, s->bytes, s->n_bytes), s->n_bytes}, *word = NULL;
    int64_t n = 0, room = 0;
    if (text.text[0] != '\n' || text.text[text.len - 1] != '\n' || memchr(text.text, 0, text.len))
        return err_fail(E_FORMAT, "%s: tensor 'words' is no list of lines", weights_path(w));
    TRY(text_check(&text, weights_path(w), BYTES_UTF8));
    for (char *at = text.text + 1, *end = text.text + text.len, *next; at < end; at = next + 1) {
        next = memchr(at, '\n', (size_t)(end - at));
        *next = '\0';
        GROW(a, word, n, room, 1024);
        word[n] = (Bytes){at, (size_t)(next - at)};
        TRY(check_word(word[n], n ? &word[n - 1] : NULL, weights_path(w)));
        n++;
    }
    *out = vocabulary_of(a, word, n);
    return OK;
}

static Status read_model(JitLine *m, const Weights *w)
{
    TRY(read_plan(&m->plan, w));
    TRY(read_words(&m->words, m->run, w));
    m->columns = m->words.n + (m->plan.features ? N_FEATURES : 0);
    m->mean = NEW(m->run, double, m->columns + 1), m->sd = NEW(m->run, double, m->columns + 1);
    TRY(read_numbers(m->mean_of, w, "feature.mean", N_FEATURES, -INFINITY));
    TRY(read_numbers(m->sd_of, w, "feature.sd", N_FEATURES, DBL_TRUE_MIN));
    TRY(read_numbers(m->mean, w, "mean", m->columns, -INFINITY));
    TRY(read_numbers(m->sd, w, "sd", m->columns, DBL_TRUE_MIN));
    if (m->plan.classifier == JITLINE_FOREST) return forest_read(&m->forest, m->run, w, m->columns);
    return linear_read(&m->linear, m->run, w, m->columns);
}

Status jitline_open(JitLine **out, Arena *run, const char *dir)
{
    Weights *w;
    JitLine *m = *out = NEW(run, JitLine, 1);
    m->run = run;
    TRY(weights_open(&w, run, path_in(run, dir)));
    Status s = read_model(m, w);
    weights_close(w);
    return s;
}
