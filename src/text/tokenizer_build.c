/* A tokenizer from lists in memory, as the metadata of a GGUF file has them.  The names of models and pre-tokenizers
 * are llama.cpp's. */
#include <string.h>

#include "base/str.h"
#include "text/tokenizer_make.h"

typedef enum { GGUF_NORMAL = 1, GGUF_UNKNOWN, GGUF_CONTROL, GGUF_USER, GGUF_UNUSED, GGUF_BYTE } TokenType;

/* ---- byte-level BPE ---- */

typedef struct {
    const char *names;
    Scan scan;
    bool digits, composed; /* digits one by one first; NFC */
} PreRow;
static const PreRow PRE[] = {
    {"default|gpt-2|gpt2|phi-2|mpt|olmo|jais|roberta-bpe|jina-v1-en|jina-v2-*|modern-bert", SCAN_GPT2, false, false},
    {"starcoder|refact|command-r|smollm|codeshell|exaone|minerva-7b", SCAN_GPT2, true, false},
    {"llama-bpe|llama3|llama-v3|falcon3|dbrx|smaug-bpe|pixtral|chatglm-bpe|glm4", SCAN_LLAMA3, false, false},
    {"qwen2|deepseek-r1-qwen|stablelm2|hunyuan", SCAN_QWEN2, false, true}};

static Status add_pre(const Make *m, const char *pre)
{
    const Pattern digit = {.kind = PATTERN_CLASS, .class = UC_NUMBER};
    const PreRow *row = NULL;
    for (size_t i = 0; i < sizeof PRE / sizeof *PRE && !row; i++)
        if (str_glob(PRE[i].names, pre ? pre : "default")) row = &PRE[i];
    if (!row)
        return err_fail(E_FORMAT,
                        "%s: the pre-tokenizer \"%s\" is not known, expected gpt-2, smollm, llama-bpe or qwen2",
                        m->path, document_shown(pre));
    Splitter *z = &m->p->splitter;
    const Pattern words = {.kind = PATTERN_SCAN, .scan = row->scan};
    if (row->composed) TRY(normalizer_add(&m->p->normalizer, (NormStep){.kind = NORM_FORM, .form = FORM_C}, m->path));
    if (row->digits) TRY(splitter_add(z, (SplitStep){.pattern = digit, .behaviour = BEHAVE_ISOLATED}, m->path));
    TRY(splitter_add(z, (SplitStep){.pattern = words, .behaviour = BEHAVE_ISOLATED}, m->path));
    TRY(splitter_add_bytes(z, false, false, m->path));
    return decoder_add(&m->p->decoder, (DecodeStep){.kind = DECODE_BYTES}, m->path);
}

static Status add_merge(const Make *m, Bpe *b, const char *pair, int64_t number)
{
    const char *space = *pair ? strchr(pair + 1, ' ') : NULL;
    int32_t left = space ? (int32_t)table_get(&b->vocab, pair, (size_t)(space - pair), -1) : -1,
            right = space ? bpe_find(b, space + 1) : -1;
    if (left < 0 || right < 0)
        return err_fail(E_FORMAT,
                        "%s: merge %lld, \"%s\", is not two tokens of the vocabulary with one space between", m->path,
                        (long long)number, document_shown(pair));
    Arena *a = m->a;
    ArenaMark mark = arena_mark(a);
    size_t len;
    const char *both = bpe_join(b, a, left, right, &len);
    int32_t id = (int32_t)table_get(&b->vocab, both, len, -1);
    arena_drop(a, mark);
    if (id < 0)
        return err_fail(E_FORMAT, "%s: merge %lld, \"%s\", makes no token of the vocabulary", m->path,
                        (long long)number, document_shown(pair));
    bpe_add_merge(b, left, right, id);
    return OK;
}

static Status build_bytes(const Make *m, const TokenizerParts *x)
{
    Bpe *b = m->p->bpe = bpe_new(m->a, x->n);
    for (int64_t i = 0; i < x->n; i++)
        if (!*x->token[i] || !bpe_add_piece(b, x->token[i], strlen(x->token[i]), i))
            return err_fail(E_FORMAT, "%s: token %lld, \"%s\", is empty or appears twice", m->path, (long long)i,
                            document_shown(x->token[i]));
    for (int64_t i = 0; i < x->n_merges; i++) TRY(add_merge(m, b, x->merge[i], i));
    return add_pre(m, x->pre);
}

/* ---- SentencePiece ---- */

static Status add_charmap(const Make *m, const TokenizerParts *x)
{
    NormStep map = {.kind = NORM_MAP};
    if (!x->charmap_bytes) return OK;
    TRY(charmap_read(&map.map, m->a, x->charmap, x->charmap_bytes, m->path));
    return normalizer_add(&m->p->normalizer, map, m->path);
}

static Status build_sentencepiece(const Make *m, const TokenizerParts *x, bool unigram)
{
    int32_t unknown = x->named[NAME_UNK];
    Piece *piece = NEW(m->a, Piece, x->n);
    if (!x->score || unknown < 0 || unknown >= x->n)
        return err_fail(E_FORMAT, "%s: the tokenizer has no scores or no unknown token", m->path);
    for (int64_t i = 0; i < x->n; i++)
        piece[i] = (Piece){x->token[i], (int32_t)strlen(x->token[i]), (double)x->score[i], PIECE_NORMAL};
    if (!unigram) {
        m->t->kind = "SentencePiece BPE";
        m->p->bpe = make_bpe(m, piece, x->n, true, x->token[unknown]);
        return make_llama_stages(m, true, x->prefix_space);
    }
    m->t->kind = "SentencePiece unigram";
    m->p->spm = make_unigram(m, piece, x->n, unknown);
    TRY(add_charmap(m, x));
    return make_metaspace_stages(m, x->prefix_space ? PREFIX_ALWAYS : PREFIX_NEVER);
}

static Status build_pieces(const Make *m, const TokenizerParts *x)
{
    return build_sentencepiece(m, x, false);
}

static Status build_unigram(const Make *m, const TokenizerParts *x)
{
    return build_sentencepiece(m, x, true);
}

/* ---- BERT ---- */

/* llama.cpp marks the pieces that begin a word with U+2581 in the place of "##" at the others. */
static Status build_words(const Make *m, const TokenizerParts *x)
{
    const char **piece = NEW(m->a, const char *, x->n + 1);
    for (int64_t i = 0; i < x->n; i++) {
        const char *text = x->token[i];
        bool begins = !strncmp(text, SPACE, 3), special = *text == '[' && text[strlen(text) - 1] == ']';
        piece[i] = begins ? text + 3 : special ? text : str_print(m->a, "##%s", text);
    }
    int32_t unknown = x->named[NAME_UNK];
    m->t->kind = "WordPiece";
    m->p->words = NEW(m->a, WordPiece, 1);
    *m->p->words = wordpiece_of(m->a, piece, x->n, unknown >= 0 && unknown < x->n ? piece[unknown] : "[UNK]");
    TRY(normalizer_add_bert(&m->p->normalizer, true, true, -1, true, m->path));
    TRY(splitter_add_bert(&m->p->splitter, m->path));
    return decoder_add(&m->p->decoder, (DecodeStep){.kind = DECODE_WORDPIECE, .text = "##", .flag = true}, m->path);
}

/* ---- the whole ---- */

static void add_tokens(const Make *m, const TokenizerParts *x)
{
    for (int64_t i = 0; i < x->n && x->type; i++) {
        const char *text = pipeline_piece(m->p, (int32_t)i);
        bool special = x->type[i] == GGUF_CONTROL;
        if (text && (special || x->type[i] == GGUF_USER))
            pipeline_add(m->p, (Special){.text = text, .len = strlen(text), .special = special});
    }
}

static Status build(const Make *m, const TokenizerParts *x)
{
    static const struct {
        const char *name;
        Status (*build)(const Make *, const TokenizerParts *);
    } KIND[] = {{"gpt2", build_bytes}, {"llama", build_pieces}, {"t5", build_unigram}, {"bert", build_words}};
    int kind = 0;
    while (kind < 4 && strcmp(KIND[kind].name, x->model) != 0) kind++;
    if (x->n < 1 || x->n >= MOST_IDS)
        return err_fail(E_FORMAT, "%s: the tokenizer has %lld tokens, expected 1 to %d", m->path, (long long)x->n,
                        MOST_IDS - 1);
    if (kind == 4)
        return err_fail(E_FORMAT, "%s: the tokenizer's model is \"%s\", expected gpt2, llama, t5 or bert", m->path,
                        document_shown(x->model));
    TRY(KIND[kind].build(m, x));
    add_tokens(m, x);
    TRY(make_complete(m, true));
    for (int k = 0; k < NAME_ROLES; k++) m->t->named[k] = x->named[k] >= 0 && x->named[k] < x->n ? x->named[k] : -1;
    const int32_t *id = m->t->named;
    bool framed = m->p->words && id[NAME_CLS] >= 0 && id[NAME_SEP] >= 0;
    if (framed) {
        m->t->single = make_frame((int32_t[]){id[NAME_CLS], FRAME_A, id[NAME_SEP], FRAME_END}, true);
        m->t->pair =
            make_frame((int32_t[]){id[NAME_CLS], FRAME_A, id[NAME_SEP], FRAME_B, id[NAME_SEP], FRAME_END}, true);
    } else {
        make_ends(m, x->add_bos, x->add_eos);
    }
    m->t->typed = framed;
    return OK;
}

Status tokenizer_build(Tokenizer *t, Arena *a, const TokenizerParts *x, const char *path)
{
    const Declared none = {.class_name = ""};
    *t = (Tokenizer){0};
    const Make m = {.t = t, .p = pipeline_new(a), .a = a, .d = &none, .path = path};
    Status s = build(&m, x);
    t->pipe = m.p;
    t->bpe = m.p->bpe;
    if (s) tokenizer_close(t);
    return s;
}
