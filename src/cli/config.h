/* Options from a file, `--config FILE`: an object of JSON, or flat YAML.
 *
 *     {"command": "tune", "task": "jit", "train": "commits.jsonl", "epochs": 3, "per-split": true}
 *
 *     task: jit                      # the same as YAML
 *     train: commits.jsonl
 *     epochs: 3
 *     per-split: true
 *
 * A key is the name of an option, or of a setting where the command has settings.  true gives a switch; false, null
 * and an absent key leave it out.  A list gives an option that may be repeated once for each item, and any other its
 * items with commas between them.  "command" must be the command's name,
 * and "operands" are those of a command line that has none.  The command line wins. */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "base/arena.h"
#include "base/err.h"

typedef enum { CONFIG_TEXT, CONFIG_TRUE, CONFIG_NONE } ConfigKind;
typedef struct {
    const char *key;
    const char *const *item; /* (items) of CONFIG_TEXT */
    int items;
    const char *path; /* of its file */
    ConfigKind kind;
} ConfigEntry;
typedef struct {
    ConfigEntry *entry;
    int n, room;
    const char **operand;
    int operands;
} ConfigFile;

/* The entries of all files that --config names among the arguments, in order.  E_IO, E_FORMAT: with path and line;
 * E_CONFIG: it belongs to another command. */
Status config_file_read(ConfigFile *out, Arena *, const char *command, int argc, char **argv);

#endif
