/* The settings of the encoder, of its tokens and of the features, for every experiment that calls probing_encode(): a
 * model directory or the shape of one to pretrain, and the pooling of its states. */
#ifndef PROBES_SHAPE_H
#define PROBES_SHAPE_H

#define PROBING_SHAPE                                                                                                \
    {"model",                                                                                                        \
     "a model directory or hub name; empty: pretrain a small encoder",                                               \
     {"", NULL, NULL},                                                                                               \
     .reads = "config.json|*"},                                                                                      \
        {"adapter", "an adapter's directory, to attach to the model", {"", NULL, NULL}, .reads = "*"},               \
        {"dtype",                                                                                                    \
         "auto keeps 16-bit and quantised weights in memory as the files have them; float32 widens them; bf16 "      \
         "computes with frozen weights in BF16",                                                                     \
         {"auto", NULL, NULL},                                                                                       \
         .among = "auto|float32|bf16"},                                                                              \
        {"vocab-from-file", "take the vocabulary's size from the file's token table", {"no", NULL, NULL}},           \
        {"tokenizer", "where its tokenizer is; empty: in the model's directory", {"", NULL, NULL}, .reads = "*"},    \
        {"language", "of the code, for tokenizers that need it", {"java", NULL, NULL}},                              \
        {"pooling",                                                                                                  \
         "how the tokens of a text become one vector; mask and span: the mean over the <mask>, the span; auto: "     \
         "mask for ltp, else mean",                                                                                  \
         {"auto", NULL, NULL},                                                                                       \
         .among = "auto|mean|first|mask|span|max|last|attention"},                                                   \
        {"features",                                                                                                 \
         "of a text one vector, or of message and change the pair [u; v; |u-v|; u*v]; auto: pair for ccm, else "     \
         "single",                                                                                                   \
         {"auto", NULL, NULL},                                                                                       \
         .among = "auto|single|pair"},                                                                               \
        {"tokens", "maximum number of tokens of a text", {"64", "192", "512"}, 8, 1e5},                              \
        {"vocab", "size of the tokenizer to train", {"300", "600", "1000"}, 264, 100000},                            \
        {"dim", "hidden size of the encoder to pretrain", {"16", "96", "256"}, 8, 4096},                             \
        {"heads", "its attention heads", {"2", "4", "8"}, 1, 64},                                                    \
    {                                                                                                                \
        "layers", "its layers", {"1", "3", "6"}, 1, MOST_LAYERS - 1                                                  \
    }

#endif
