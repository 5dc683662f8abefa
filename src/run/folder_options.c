/* The settings of a folder's command in the form that `--config` reads (cli/config.h). */
#include <ctype.h>
#include <string.h>

#include "io/json.h"
#include "run/folder.h"

/* The value as JSON: a number where it is written as one would be printed. */
static cJSON *value_of(Arena *a, const char *text)
{
    double x;
    if (isdigit((unsigned char)text[*text == '-']) && str_real(text, &x) && !strcmp(str_print(a, "%.15g", x), text))
        return cJSON_CreateNumber(x);
    return cJSON_CreateString(text);
}

/* "from (2)" is the second use of the option "from": the values become a list. */
static void put(cJSON *to, Arena *a, const char *key, cJSON *value)
{
    size_t n = strcspn(key, "(");
    if (!key[n] || !n) {
        cJSON_AddItemToObject(to, key, value);
        return;
    }
    const char *name = str_copy(a, key, n - 1);
    cJSON *all = cJSON_GetObjectItemCaseSensitive(to, name);
    if (!cJSON_IsArray(all)) {
        cJSON *first = cJSON_DetachItemViaPointer(to, all);
        all = cJSON_AddArrayToObject(to, name);
        cJSON_AddItemToArray(all, first);
    }
    cJSON_AddItemToArray(all, value);
}

Status folder_options(const Folder *f)
{
    Arena *a = f->arena;
    cJSON *root = cJSON_CreateObject(), *operands;
    size_t n = strcspn(f->command, " ");
    cJSON_AddStringToObject(root, "command", str_copy(a, f->command, n));
    operands = cJSON_AddArrayToObject(root, "operands");
    if (f->command[n]) cJSON_AddItemToArray(operands, cJSON_CreateString(f->command + n + 1));
    for (int i = 0; i < f->n; i++) {
        const char *key = f->set[i].key, *value = f->input[i] ? f->input[i] : f->set[i].value;
        if (!strcmp(key, "kernels") || !strcmp(key, "program")) continue; /* of the machine */
        if (!strncmp(key, "operand ", 8))
            cJSON_AddItemToArray(operands, cJSON_CreateString(value));
        else
            put(root, a, key, f->input[i] ? cJSON_CreateString(value) : value_of(a, value));
    }
    if (!cJSON_GetArraySize(operands)) cJSON_DeleteItemFromObject(root, "operands");
    Status status = json_write(root, str_print(a, "%s/options.json", f->path));
    cJSON_Delete(root);
    return status;
}
