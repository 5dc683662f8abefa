/* The module tree, and config fields by name. */
#include "small.h"

#include <stdio.h>
#include <stdlib.h>

#include "nn/inspect.h"

static char *inspected(const Model *m)
{
    char *text;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    model_inspect(f, m);
    fclose(f);
    return text;
}

static void tree(void **state)
{
    (void)state;
    Arena a = arena_open(1 << 26);
    Model *m = small_model(&a, "gpt2", F32);
    params_train(m->params, "h.1.attn.c_proj.bias", true);
    char *text = inspected(m);
    static const char *const LINES[] = {"3 decoder layers, hidden size 8, 2 heads of 4",
                                        "\nwte ",
                                        "QKV: weight (8,24), bias (24)",
                                        "\n  0 ",
                                        "\n  1 ",
                                        "\n  2 ",
                                        "8 of them trainable"};
    for (size_t i = 0; i < sizeof LINES / sizeof *LINES; i++)
        EXPECT(strstr(text, LINES[i]), "'%s' is not in\n%s", LINES[i], text);
    EXPECT(!strstr(text, "alike"), "layer 1 is not like the others:\n%s", text);
    free(text);
    params_train(m->params, "h.1.attn.c_proj.bias", false);
    text = inspected(m);
    EXPECT(strstr(text, "0 to 2") && strstr(text, "3 alike") && !strstr(text, "\n  1 "), "layers are alike:\n%s",
           text);
    free(text);
    arena_close(&a);
}

static void fields_by_name(void **state)
{
    (void)state;
    Config c = {0};
    assert_int_equal(config_set(&c, "layers", "7"), OK);
    assert_int_equal(config_set(&c, "dropout", "0.5"), OK);
    assert_int_equal(config_set(&c, "gated", "true"), OK);
    assert_int_equal(config_set(&c, "act", "silu"), OK);
    assert_true(c.layers == 7 && c.dropout == 0.5 && c.gated && c.act == ACT_SILU);
    static const char *const BAD[][3] = {{"layers", "x", "whole number"}, {"layers", "1.5", "whole number"},
                                         {"dropout", "half", "a number"}, {"gated", "maybe", "true or false"},
                                         {"act", "mish", "'mish'"},       {"depth", "3", "known are vocab"}};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(config_set(&c, BAD[i][0], BAD[i][1]), E_CONFIG);
        EXPECT(strstr(err_message(), BAD[i][2]), "%s: '%s'", BAD[i][0], err_message());
        err_clear();
    }
}

SUITE(cmocka_unit_test(tree), cmocka_unit_test(fields_by_name))
