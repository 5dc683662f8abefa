/* adapter_config.json of either library, beside the numbers of a LoRA and of a bottleneck adapter: opened, attached
 * to a tiny model whose architecture the input's length chooses, and where that works written for both libraries. */
#include "fuzz/fuzz.h"
#include "adapter/library.h"

static char adapter_dir[64];

static Model *adapter_model(Arena *a, const char *arch)
{
    Config c = {0};
    Model *m;
    arch_find(arch)->defaults(&c);
    c.vocab = 9, c.dim = 12, c.heads = 3, c.hidden = 20, c.layers = 2;
    if (c.positions) c.positions = 30;
    if (!strcmp(arch, "t5")) c.head_dim = 5;
    if (arch_find(arch)->encode) c.decoder_layers = 2, c.decoder_hidden = 20;
    CHECK(!model_open_zeros(&m, a, &c, F32), "%s", err_message());
    return m;
}

static void adapter_forget(void)
{
    static const char *const name[] = {"/adapter_config.json", "/adapter_model.safetensors", "/adapter.safetensors",
                                       "/pytorch_adapter.bin", ""};
    char path[128];
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s%s", adapter_dir, name[i]);
        remove(path);
    }
}

/* One directory for all calls: its weights stay, and its config is whatever the file in memory holds. */
static void adapter_prepare(const char *config)
{
    static const char *const method[] = {"lora", "pfeiffer"}, *const library[] = {"hf", "adapters"};
    if (adapter_dir[0]) return;
    strcpy(adapter_dir, "/tmp/vernier-fuzz-XXXXXX");
    CHECK(mkdtemp(adapter_dir), "no directory for an adapter");
    atexit(adapter_forget);
    for (int i = 0; i < 2; i++) {
        Model *m = adapter_model(fuzz_arena(), "roberta");
        const Peft *p = peft_find(method[i]);
        PeftConfig c = {0};
        p->defaults(&c, &m->config);
        *p->knob(&c) = i ? 24 : 16; /* enough parameters for most configs */
        Adapter *a;
        CHECK(!peft_attach(p, m, hooks_new(fuzz_arena()), &c) &&
                  !adapter_convert(&a, adapter_of(m, p, &c, "mine"), library_find(library[i]), false) &&
                  !adapter_save(a, adapter_dir),
              "%s", err_message());
    }
    const char *path = str_print(fuzz_arena(), "%s/adapter_config.json", adapter_dir);
    CHECK(!unlink(path) && !symlink(config, path), "no link to a config");
}

static void fuzz_adapter(const char *bytes, size_t n)
{
    static const char *const arch[] = {"roberta", "gpt2", "t5", "bart", "bert"}, *const library[] = {"hf",
                                                                                                     "adapters"};
    Adapter *a, *b;
    adapter_prepare(fuzz_file(bytes, n));
    if (!adapter_open(&a, fuzz_arena(), adapter_dir)) {
        if (!adapter_attach(a, adapter_model(fuzz_arena(), arch[n % 5]), hooks_new(fuzz_arena())))
            for (int i = 0; i < 2; i++) {
                cJSON *root = cJSON_CreateObject();
                if (!adapter_convert(&b, a, library_find(library[i]), true)) (void)b->library->describe(b, root);
                cJSON_Delete(root);
            }
        adapter_close(a);
    }
    fuzz_done();
}
FUZZ(adapter)
