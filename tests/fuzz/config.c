/* config.json of any family: read, checked, and written again. */
#include "fuzz/fuzz.h"
#include "nn/config.h"

static void fuzz_config(const char *bytes, size_t n)
{
    cJSON *root;
    Arena a = arena_open((size_t)1 << 30);
    Bytes text = {str_copy(&a, bytes, n), n};
    if (!json_parse_python(&root, &a, text, "config.json")) {
        Config c = {0};
        const Arch *arch;
        if (!config_read(&c, &arch, root, "config.json") && !config_check(&c)) {
            CHECK(config_size(&c) > 0, "a model of no parameters passes for one");
            cJSON_Delete(config_write(&c, arch));
        }
        cJSON_Delete(root);
    }
    arena_close(&a);
    fuzz_done();
}
FUZZ(config)
