/* generation_config.json and the same keys of config.json: read onto a small model, and settled. */
#include "fuzz/fuzz.h"
#include "io/json.h"
#include "nn/generate_config.h"

static void fuzz_generation(const char *bytes, size_t n)
{
    cJSON *root;
    Model *m;
    Config c = {0};
    arch_find("bart")->defaults(&c);
    c.vocab = 9, c.positions = 12, c.dim = 4, c.heads = c.decoder_heads = 1, c.hidden = c.decoder_hidden = 4;
    c.layers = c.decoder_layers = 1;
    CHECK(!model_open_zeros(&m, fuzz_arena(), &c, F32), "%s", err_message());
    for (int inside = 0; inside < 2 && !json_parse(&root, bytes, n, "generation_config.json"); inside++) {
        GenerateSettings s;
        const char *line[GENERATE_KEYS_MOST];
        CHECK(!generate_settings_open(&s, fuzz_arena(), m, NULL), "%s", err_message());
        if (!generate_settings_read(&s, root, "generation_config.json", inside) && !generate_settings_settle(&s)) {
            CHECK(s.c.beams >= 1 && s.c.n_best >= 1 && s.c.temperature >= 0, "a setting is out of its range");
            CHECK(generate_fit(&s.c, m, 1, 64) || s.c.max_new >= 1, "no token may be written");
            generate_settings_lines(line, fuzz_arena(), &s);
        }
        cJSON_Delete(root);
        err_clear();
    }
    fuzz_done();
}
FUZZ(generation)
