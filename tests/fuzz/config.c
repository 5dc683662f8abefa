/* config.json of any family: read, checked, and written again. */
#include "fuzz/fuzz.h"
#include "nn/config.h"

static void fuzz_config(const char *bytes, size_t n)
{
    cJSON *root;
    if (!json_parse(&root, bytes, n, "config.json")) {
        Config c = {0};
        const Arch *arch;
        if (!config_read(&c, &arch, root, "config.json") && !config_check(&c)) {
            CHECK(config_size(&c) > 0, "a model of no parameters passes for one");
            cJSON_Delete(config_write(&c, arch));
        }
        cJSON_Delete(root);
    }
    fuzz_done();
}
FUZZ(config)
