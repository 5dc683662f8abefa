/* docs/models.md, cell by cell: of every value of model_type that a registered family reads, a small random model is
 * written as a folder, loaded, trained one step, asked for tokens and attention, and given every registered method.
 * The document's row must be what came out, so a family or a method that is added without its row fails here. */
#include "tiny.h"

#include <stdlib.h>

#include "base/file.h"
#include "io/json.h"
#include "nn/config.h"
#include "nn/generate.h"
#include "scratch.h"
#include "text/declared_class.h"

typedef struct {
    const Arch *arch;
    const char *type;
} Kind;

typedef struct {
    Model *model;
    Hooks *hooks;
    const Batch *batch;
} Problem;

static Var *loss_of(Tape *t, void *ctx)
{
    const Problem *x = ctx;
    Pass p = {.tape = t, .hooks = x->hooks, .seed = 77};
    return model_loss(x->model, &p, x->batch);
}

/* The folder of a small model of this type: its own config.json, and weights of the shape that this describes. */
static Status write_folder(Arena *run, Kind k)
{
    Config c = tiny_config(k.arch), read;
    const Arch *arch;
    Model *m;
    c.eos = 2;
    c.bos = 3;
    cJSON *root = config_write(&c, k.arch);
    cJSON_ReplaceItemInObjectCaseSensitive(root, "model_type", cJSON_CreateString(k.type));
    char *text = json_printed(root, true);
    cJSON *printed = NULL;
    Status s = json_parse(&printed, text, strlen(text), "config.json");
    cJSON_free(text);
    if (!s) s = config_read(&read, &arch, printed, "config.json");
    cJSON_Delete(printed);
    if (!s) s = model_open(&m, run, &read, F64, 5);
    if (!s) stir(m, "*", 0.2, 6);
    if (!s) s = model_save(m, dir);
    if (!s) s = json_write(root, str_print(run, "%s/config.json", dir));
    cJSON_Delete(root);
    return s;
}

static Model *opened(Arena *run)
{
    Model *m = NULL;
    Status s = model_load_as(&m, run, dir, &(LoadOptions){.dtype = F64});
    EXPECT(s == OK, "%s", err_message());
    return m;
}

/* With the method, or with all parameters where it is NULL: a gradient, and the one that differences give. */
static bool trains(const Variant *v)
{
    Arenas a = arenas();
    Problem x = {.model = opened(&a.run), .hooks = hooks_new(&a.run)};
    bool attached = attach_variant(v, x.model, x.hooks);
    err_clear();
    if (attached) {
        stir(x.model, "peft.*", 0.4, 8);
        x.batch = tiny_batch(&a.run, x.model, false, false);
        GradCheck g = gradcheck_run(x.model->params, &a.step, loss_of, &x, 1, 0);
        EXPECT(g.numbers > 0 && g.norm > 0, "%s on %s trains nothing", v->name, x.model->config.arch);
    }
    arenas_close(&a);
    return attached;
}

static bool generates(void)
{
    Arenas a = arenas();
    Model *m = opened(&a.run);
    Batch x = *tiny_batch(&a.run, m, false, false);
    int32_t out[TINY_B * 3], len[TINY_B];
    if (m->arch->encode) x.ids = NULL, x.t = 0;
    GenerateConfig how = generate_defaults(m, 3);
    Status s = generate_tokens(out, len, m, hooks_new(&a.run), &a.step, &x, &how);
    EXPECT(s == OK || err_message()[0], "refused without a word");
    err_clear();
    arenas_close(&a);
    return s == OK;
}

static Var *count(Pass *p, Where at, Var *in, Var *out, void *user)
{
    (void)p, (void)at, (void)in;
    ++*(int *)user;
    return out;
}

static bool attends(void)
{
    Arenas a = arenas();
    Model *m = opened(&a.run);
    Hooks *hooks = hooks_new(&a.run);
    int seen = 0;
    hook_observe(hooks, (Where){SITE_PROBS, LAYER_ANY, PART_ANY}, count, &seen);
    Pass p = {.tape = tape_open(&a.step, false), .hooks = hooks};
    model_hidden(m, &p, tiny_batch(&a.run, m, false, false));
    arenas_close(&a);
    return seen > 0;
}

static const char *cell(bool yes)
{
    return yes ? "yes" : "–";
}

/* The tokenizer of a folder that has no tokenizer.json and declares no class (tests/text/test_declared.c). */
static const char *tokenizer_of_type(const char *type)
{
    static const char *const NAME[] = {[FAMILY_NONE] = "tokenizer.json alone",
                                       [FAMILY_GPT2] = "GPT-2",
                                       [FAMILY_NEOX] = "GPT-NeoX",
                                       [FAMILY_QWEN2] = "Qwen2",
                                       [FAMILY_ROBERTA] = "RoBERTa",
                                       [FAMILY_BERT] = "BERT",
                                       [FAMILY_T5] = "T5",
                                       [FAMILY_LLAMA] = "Llama",
                                       [FAMILY_XLMR] = "XLM-R",
                                       [FAMILY_CAMEMBERT] = "CamemBERT",
                                       [FAMILY_PLBART] = "PLBART"};
    Family f = class_family_of_model(type);
    return f < sizeof NAME / sizeof *NAME && NAME[f] ? NAME[f] : "tokenizer.json alone";
}

/* The line of the document, as the library answers. */
static char *row_of(Arena *run, Kind k)
{
    Buf b = buf_open(run);
    if (write_folder(run, k)) return str_print(run, "| `%s` | %s | %s |", k.type, k.arch->name, err_message());
    buf_print(&b, "| `%s` | %s | %s | yes | %s | %s | %s |", k.type, k.arch->name, tokenizer_of_type(k.type),
              cell(trains(&(Variant){"full", "full", NULL})), cell(generates()), cell(attends()));
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++)
        buf_print(&b, " %s |", cell(trains(&(Variant){(*p)->name, (*p)->name, NULL})));
    return b.text;
}

static void the_table_holds(void **state)
{
    (void)state;
    Bytes page;
    EXPECT(file_read(&page, &arena, "docs/models.md") == OK, "%s", err_message());
    Buf head = buf_open(&arena);
    buf_print(&head, "| model_type | family | tokenizer | loads | trains | generates | attends |");
    for (const Peft *const *p = peft_begin(); p < peft_end(); p++) buf_print(&head, " %s |", (*p)->name);
    int wrong = !strstr(page.text, head.text);
    if (wrong) printf("# missing: %s\n", head.text);
    for (const Arch *const *a = arch_begin(); a < arch_end(); a++)
        for (const char *at = (*a)->format->types; *at; at += *at == '|') {
            size_t n = strcspn(at, "|");
            const char *row = row_of(&arena, (Kind){*a, str_copy(&arena, at, n)});
            at += n;
            if (strstr(page.text, row)) continue;
            printf("# missing: %s\n", row);
            wrong++;
        }
    EXPECT(!wrong, "docs/models.md lacks %d lines, which are printed above", wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_table_holds)};
    return cmocka_run_group_tests_name("the table of model types", tests, begin, end);
}
