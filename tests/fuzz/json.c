/* JSON text and the typed access to its members. */
#include "fuzz/fuzz.h"
#include "io/json.h"

static void fuzz_json(const char *bytes, size_t n)
{
    cJSON *root;
    if (!json_parse(&root, bytes, n, "input")) {
        int whole = 1;
        double real = 1;
        bool truth = false;
        const char *text = "";
        Buf quoted = buf_open(fuzz_arena());
        for (const cJSON *j = root->child; j && cJSON_IsObject(root); j = j->next) {
            json_int(&whole, root, j->string, -5, 1000, "input");
            json_real(&real, root, j->string, -1, 1e9, "input");
            json_bool(&truth, root, j->string, "input");
            if (!json_text(&text, root, j->string, "input")) json_quote(&quoted, text);
            err_clear();
        }
        CHECK(whole >= -5 && whole <= 1000 && real >= -1 && real <= 1e9, "a number outside its range got through");
        cJSON_Delete(root);
    }
    fuzz_done();
}
FUZZ(json)
