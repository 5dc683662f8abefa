/* The classes of tokenizers, by name and by the model_type that has them. */
#include <string.h>

#include "base/str.h"
#include "text/declared_class.h"

typedef struct {
    const char *names;  /* of the class without "Tokenizer" and "Fast" */
    const char *models; /* model_type */
    Family family;
} Row;
static const Row ROWS[] = {
    {"PreTrained|Bloom|Cohere", "modernbert|modernbert-decoder|falcon|olmo2|gpt_oss|helium|bitnet|bloom",
     FAMILY_FAST},
    {"GPT2|CodeGen|GPTSw3|Emu3|Exaone4", "gpt2|gpt_neo|gptj|gpt_bigcode|codegen|starcoder2|granite|opt|phi",
     FAMILY_GPT2},
    {"GPTNeoX", "gpt_neox|olmo|mamba|falcon_mamba|rwkv|stablelm", FAMILY_NEOX},
    {"Qwen2", "qwen2|qwen2_moe|qwen3|qwen3_moe", FAMILY_QWEN2},
    {"Roberta|Bart|LED|Longformer|Mvp|LayoutLMv3",
     "roberta|bart|led|longformer|mvp|data2vec-text|ibert|roberta-prelayernorm", FAMILY_ROBERTA},
    {"Bert|DistilBert|Electra|MobileBert|ConvBert|LayoutLM|Lxmert|SqueezeBert|RetriBert|DPRReader|DPRQuestionEncoder|"
     "DPRContextEncoder|Realm",
     "bert|distilbert|electra|mobilebert|convbert|layoutlm|lxmert|squeezebert|dpr|nomic_bert|megatron-bert",
     FAMILY_BERT},
    {"MPNet", "mpnet", FAMILY_MPNET},
    {"Deberta", "deberta", FAMILY_DEBERTA},
    {"T5|MT5", "t5|mt5|umt5|longt5|switch_transformers|pix2struct", FAMILY_T5},
    {"Llama|CodeLlama|Mistral|Phi3", "llama|code_llama|mistral|mixtral|phi3|ministral", FAMILY_LLAMA},
    {"XLMRoberta", "xlm-roberta|xlm-roberta-xl", FAMILY_XLMR},
    {"Camembert", "camembert", FAMILY_CAMEMBERT},
    {"PLBart", "plbart", FAMILY_PLBART}};

Family class_family(Arena *a, const char *class_name)
{
    const char *stem = strstr(class_name, "Tokenizer");
    if (!stem) return FAMILY_OTHER;
    size_t n = (size_t)(stem - class_name);
    const char *rest = stem + strlen("Tokenizer"), *name = str_copy(a, class_name, n);
    if (!strcmp(class_name, "TokenizersBackend")) return FAMILY_FAST;
    if (strcmp(rest, "") != 0 && strcmp(rest, "Fast") != 0) return FAMILY_OTHER;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (str_glob(ROWS[i].names, name)) return ROWS[i].family;
    return FAMILY_OTHER;
}

Family class_family_of_model(const char *model_type)
{
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS && *model_type; i++)
        if (str_glob(ROWS[i].models, model_type)) return ROWS[i].family;
    return FAMILY_NONE;
}

const char *class_token(Family f, TokenName name)
{
    static const char *const FAIRSEQ[NAME_ROLES] = {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"};
    static const char *const BERT[NAME_ROLES] = {NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};
    static const char *const MPNET[NAME_ROLES] = {"<s>", "</s>", "[UNK]", "</s>", "<pad>", "<s>", "<mask>"};
    static const char *const DEBERTA[NAME_ROLES] = {"[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};
    static const char *const GPT2[NAME_ROLES] = {"<|endoftext|>", "<|endoftext|>", "<|endoftext|>"};
    static const char *const QWEN2[NAME_ROLES] = {NULL, "<|endoftext|>", "<|endoftext|>", NULL, "<|endoftext|>"};
    static const char *const T5[NAME_ROLES] = {NULL, "</s>", "<unk>", NULL, "<pad>"};
    static const char *const LLAMA[NAME_ROLES] = {"<s>", "</s>", "<unk>"};
    static const char *const *const TABLE[] = {
        [FAMILY_ROBERTA] = FAIRSEQ, [FAMILY_XLMR] = FAIRSEQ, [FAMILY_CAMEMBERT] = FAIRSEQ,
        [FAMILY_PLBART] = FAIRSEQ,  [FAMILY_BERT] = BERT,    [FAMILY_MPNET] = MPNET,
        [FAMILY_DEBERTA] = DEBERTA, [FAMILY_GPT2] = GPT2,    [FAMILY_NEOX] = GPT2,
        [FAMILY_QWEN2] = QWEN2,     [FAMILY_T5] = T5,        [FAMILY_LLAMA] = LLAMA,
        [FAMILY_OTHER] = NULL};
    return TABLE[f] ? TABLE[f][name] : NULL;
}
