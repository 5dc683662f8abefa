/* The parts of vernier generate and vernier fill: the model with its tokenizer, the text, and the settings. */
#ifndef CLI_GENERATE_H
#define CLI_GENERATE_H

#include "cli/command.h"
#include "nn/generate_config.h"
#include "text/tokenizer.h"

/* The model of the first operand, with --adapter's, and its tokenizer.  The tokenizer may have more tokens than the
 * model: generator_check_ids() then refuses a text that uses one of these. */
Status generator_open(Model **, Hooks **, Tokenizer *, const Args *, const LoadOptions *);
/* E_MISMATCH: an id that the model's vocabulary does not have. */
Status generator_check_ids(const Model *, const Tokenizer *, const BpeText *);

/* The settings of generation: those of the model's folder, then every option of the command that is named like a key
 * of the Transformers library, "--num-beams" for num_beams. */
Status generator_settings(GenerateSettings *, const Model *, const Args *, const char *dir);
void generator_remarks(const GenerateSettings *, const Args *); /* settings that have no effect, and --verbose */

#endif
