// %% [markdown]
// # A real checkpoint, read and looked at
//
// A checkpoint is a folder. `config.json` has the sizes of the model, `model.safetensors` its
// tensors by name, and a few files describe the tokenizer. Nothing in it is secret, and nothing
// needs a framework to be read. You will make a tiny checkpoint, read it as a file, read it as a
// model, and then look at a real one.
//
// ## Making one
//
// The tokenizer is learned from a few lines of text: bytes that often stand together become one
// token (byte-pair encoding). The model is a RoBERTa with random parameters. Both are saved in the
// layout of Hugging Face, and the `transformers` library would read the folder as it is.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

static Status cell(Arena *run)
{
    char *text = "for (int i = 0; i < n; i++) sum += value[i];\n"
                 "for (int k = 0; k < n; k++) if (value[k] > most) most = value[k];\n"
                 "return n > 0 ? sum / n : 0;\n";
    Bpe *bpe;
    Bytes corpus = {text, strlen(text)};
    TRY(bpe_train(&bpe, run, &(BpeTrain){.size = 290}, &corpus, 1));

    Config config = {0};
    arch_find("roberta")->defaults(&config);
    config.vocab = 290, config.positions = 66, config.dim = 32, config.heads = 4;
    config.hidden = 64, config.layers = 2;
    Model *model;
    TRY(model_open(&model, run, &config, F32, 1));
    TRY(model_save(model, "run/checkpoint/tiny"));
    TRY(bpe_save(bpe, "run/checkpoint/tiny"));
    bpe_close(bpe);

    Tokenizer tokenizer;
    TRY(tokenizer_open(&tokenizer, run, "run/checkpoint/tiny"));
    const char *line = "for (int j = 0; j < n; j++)";
    BpeText tokens = tokenizer_encode(&tokenizer, run, line, strlen(line), false);
    printf("'%s' is %d bytes and %d tokens:", line, (int)strlen(line), (int)tokens.n);
    for (int i = 0; i < tokens.n; i++)
        printf(" [%.*s]", (int)(tokens.end[i] - tokens.begin[i]), line + tokens.begin[i]);
    size_t n;
    char *back = tokenizer_decode(&tokenizer, run, tokens.id, tokens.n, &n);
    printf("\n");
    tokenizer_close(&tokenizer);
    TRY(expect(tokens.n < (int)strlen(line), "tokens are fewer than bytes"));
    return expect(!strcmp(back, line), "decoding gives the text again");
}

// %% [markdown]
// ## Reading it as a file
//
// `weights_open` maps the file and reads its header: the name, type and shape of every tensor. The
// values stay on disk until somebody asks. Who holds the parameters of a model? In a small one, the
// table of token vectors; in a large one, the layers, and in each layer the feed-forward more than
// the attention.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

enum { PARTS = 4 };
static const char *const PART[PARTS] = {"embeddings", "attention", "feed-forward", "norms, head"};

static int part_of(const char *name)
{
    if (str_glob("*embeddings.*embeddings*", name)) return 0;
    if (str_glob("*LayerNorm*|lm_head*|*pooler*", name)) return 3;
    return str_glob("*attention*", name) ? 1 : 2;
}

static Status cell(Arena *run)
{
    Weights *w;
    TRY(weights_open(&w, run, "run/checkpoint/tiny"));
    double count[PARTS] = {0}, all = 0;
    for (int i = 0; i < weights_n(w); i++) {
        const Stored *s = weights_at(w, i);
        count[part_of(s->name)] += (double)s->count;
        all += (double)s->count;
        if (str_glob("*layer.0.attention.*weight", s->name))
            printf("%-56s %s %s\n", s->name, stored_type(s), stored_shape(s));
    }
    printf("%d tensors, %.0f parameters\n", weights_n(w), all);
    for (int k = 0; k < PARTS; k++) printf("%-12s %4.1f %%\n", PART[k], 100 * count[k] / all);

    // The same tensor by its name in the file, and in the model that is read from it.
    Model *model;
    TRY(model_load(&model, run, "run/checkpoint/tiny"));
    const char *name = "encoder.layer.0.attention.self.query.weight";
    const Stored *stored = weights_find(w, str_print(run, "roberta.%s", name));
    const Param *param = param_find(model->params, name);
    TRY(expect(stored && param, "the query weights of layer 0 are in the file and in the model"));
    double gap = 0;
    for (int64_t i = 0; i < stored->count; i++)
        gap = fmax(gap, fabs(stored_get(stored, i) - tensor_get(param->val, i)));
    TRY(expect(gap == 0, "and they are the same numbers"));
    TRY(expect(all == (double)params_count(model->params, NULL, false),
               "file and model have equally many parameters"));

    Fig *f = figure(run, "run/checkpoint/parts", 300, 170);
    Series bar = {.y = tensor_new(run, F64, SHAPE(PARTS))};
    for (int k = 0; k < PARTS; k++) tensor_set(bar.y, k, 100 * count[k] / all);
    fig_bars(f, fig_whole(f), 1, &bar, PART,
             (PlotStyle){.y = {.title = "parameters (%)", .lo = 0, .hi = 100},
                         .values = true,
                         .decimals = 1});
    TRY(show(f, "run/checkpoint/parts", "Shares of the parameters of the tiny RoBERTa."));
    weights_close(w);
    return OK;
}

// %% [markdown]
// ## A real one
//
// `all-MiniLM-L6-v2` has 22 million parameters in 6 layers and turns a sentence into a vector, so
// that sentences of like meaning lie close together. `vernier model fetch
// sentence-transformers/all-MiniLM-L6-v2` downloads it. The next cell looks for it in the folder
// that the environment variable `VERNIER_MODELS` names, as `minilm`, and says so where it is not
// there.
//
// Two sentences speak of food and share hardly a word; two speak of code. The cosine of their
// vectors tells.

// %%
//%cflags: -std=c17 -I. @cflags
//%ldflags: @ldflags
#include "notebook.h"

enum { N = 5 };
static const char *const TEXT[N] = {
    "The soup was delicious.", "We had a tasty dinner.", "The program crashes on an empty list.",
    "Fix null pointer when there are no items.", "It rains in the mountains."};

static Status cell(Arena *run)
{
    const char *models = getenv("VERNIER_MODELS"),
               *dir = str_print(run, "%s/minilm", models ? models : ".");
    if (file_there(dir)) {
        err_clear();
        printf("skipped: VERNIER_MODELS names no folder with minilm in it\n");
        return OK;
    }
    Sentence s;
    TRY(sentence_open(&s, run, dir));
    Bytes text[N];
    for (int i = 0; i < N; i++) text[i] = (Bytes){(char *)(uintptr_t)TEXT[i], strlen(TEXT[i])};
    Tensor vector, cosine = tensor_new(run, F64, SHAPE(N, N));
    TRY(sentence_encode(&vector, run, &s, text, N));
    printf("%.1f million parameters, vectors of %lld numbers\n",
           1e-6 * (double)params_count(s.model->params, NULL, false), (long long)s.dim);
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) tensor_set(cosine, i * N + j, sentence_cosine(vector, i, j));
        printf("%d:", i + 1);
        for (int j = 0; j < N; j++) printf(" %5.2f", tensor_get(cosine, i * N + j));
        printf("  %s\n", TEXT[i]);
    }
    sentence_close(&s);
    double food = tensor_get(cosine, 1), code = tensor_get(cosine, 2 * N + 3),
           mixed = tensor_get(cosine, 2);
    TRY(expect(food > mixed + 0.2 && code > mixed + 0.2,
               "sentences on one subject are closer than those on two"));

    static const char *const NUMBER[N] = {"1", "2", "3", "4", "5"};
    Fig *f = figure(run, "run/checkpoint/cosine", 230, 180);
    fig_heatmap(f, fig_whole(f), cosine,
                (HeatStyle){.row = NUMBER,
                            .col = NUMBER,
                            .values = true,
                            .hi = 1,
                            .bar = true,
                            .bar_title = "cosine"});
    return show(f, "run/checkpoint/cosine",
                "Cosines of the five sentences, in the order of the list.");
}

// %% [markdown]
// ## Exercise
//
// 1. Open a checkpoint of your own in the second cell and adapt `part_of` to its names. `vernier
//    model inspect DIR` does the same from the command line, and finds the family by itself.
// 2. Add a sentence to the list that shares many words with another one and means the opposite.
//    What is its cosine, and what does that say about such vectors?
//
// Next: [a probe with its controls](07-probe.ipynb).
