/* A tokenizer.json: its parts are read by the stages that they are for. */
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "io/gguf.h"
#include "text/tokenizer_make.h"

static Status read_model(const Make *m, const cJSON *model)
{
    Pipeline *p = m->p;
    const char *type = document_member_text(model, "type");
    bool pieces = cJSON_IsArray(document_member(model, "vocab"));
    if (!*type) /* older files do not name it */
        type = document_member(model, "merges") ? "BPE" : pieces ? "Unigram" : "";
    if (!strcmp(type, "BPE")) {
        p->bpe = bpe_new(m->a, 1 << 10);
        m->t->kind = "SentencePiece BPE";
        return bpe_read_model(p->bpe, model, m->path);
    }
    if (!strcmp(type, "Unigram")) {
        m->t->kind = "SentencePiece unigram";
        return spm_read_unigram(&p->spm, m->a, model, m->path);
    }
    if (strcmp(type, "WordPiece") != 0 && strcmp(type, "WordLevel") != 0)
        return document_refuse(m->path, "model.type", document_member(model, "type"),
                               "BPE, Unigram, WordLevel or WordPiece");
    m->t->kind = !strcmp(type, "WordLevel") ? "WordLevel" : "WordPiece";
    p->words = NEW(m->a, WordPiece, 1);
    return wordpiece_read_model(p->words, m->a, model, !strcmp(type, "WordLevel"), m->path);
}

static Status read_added(const Make *m, const cJSON *list)
{
    const cJSON *t;
    if (list && !cJSON_IsArray(list)) return document_refuse(m->path, "added_tokens", list, "a list");
    cJSON_ArrayForEach(t, list)
    {
        Special s;
        TRY(document_added_token(&s, t, m->path));
        int32_t given = s.id, id = pipeline_add(m->p, s);
        if (given >= 0 && id != given)
            print_err("%s: the added token \"%s\" is declared with id %d and gets %d, as in the library\n", m->path,
                      document_shown(s.text), given, id);
    }
    return OK;
}

static Status read_document(const Make *m, const cJSON *doc)
{
    Pipeline *p = m->p;
    TRY(document_post_processor(&m->t->single, &m->t->pair, doc, m->path));
    TRY(normalizer_read(&p->normalizer, m->a, document_member(doc, "normalizer"), m->path));
    TRY(splitter_read(&p->splitter, m->a, document_member(doc, "pre_tokenizer"), m->path));
    TRY(decoder_read(&p->decoder, m->a, document_member(doc, "decoder"), m->path));
    TRY(read_model(m, document_member(doc, "model")));
    return read_added(m, document_member(doc, "added_tokens"));
}

/* The roles of special tokens, which a GGUF file gives by their ids. */
static Status name_tokens(Make *m, const Gguf *g)
{
    static const char *const KEY[NAME_ROLES] = {
        [NAME_BOS] = "bos",     [NAME_EOS] = "eos",       [NAME_UNK] = "unknown",
        [NAME_PAD] = "padding", [NAME_SEP] = "seperator", /* sic */
        [NAME_CLS] = "cls",     [NAME_MASK] = "mask"};
    Declared *d = NEW(m->a, Declared, 1);
    *d = *m->d;
    for (int k = 0; k < NAME_ROLES; k++) {
        int64_t id = -1;
        TRY(gguf_int(&id, g, str_print(m->a, "tokenizer.ggml.%s_token_id", KEY[k]), -1, UINT32_MAX));
        const char *text = id >= 0 && id < MOST_IDS ? pipeline_piece(m->p, (int32_t)id) : NULL;
        if (text) d->name[k] = (Special){.text = text, .len = strlen(text), .id = (int32_t)id, .special = true};
    }
    m->d = d;
    return OK;
}

/* The metadata of a GGUF file, which say as much as a tokenizer.json. */
Status make_gguf(Make *m)
{
    Arena scratch = arena_open((size_t)4 << 30);
    cJSON *doc = NULL;
    Gguf *g;
    Status s = gguf_open(&g, &scratch, m->path);
    if (!s) s = gguf_tokenizer(&doc, &scratch, g);
    if (!s) s = read_document(m, doc);
    if (!s) s = name_tokens(m, g);
    cJSON_Delete(doc);
    gguf_close(g);
    arena_close(&scratch);
    return s;
}

Status make_json(const Make *m)
{
    Arena scratch = arena_open((size_t)1 << 30);
    cJSON *doc = NULL;
    Status s = document_read(&doc, &scratch, m->path);
    if (!s) s = read_document(m, doc);
    cJSON_Delete(doc);
    arena_close(&scratch);
    return s;
}
