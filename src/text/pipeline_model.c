/* Models that are used without a tokenizer around them: a BPE gets the steps of GPT-2, a SentencePiece model
 * its own. */
#include "text/bpe_core.h"
#include "text/pipeline.h"

Pipeline *bpe_pipe(Bpe *b)
{
    if (b->pipe) return b->pipe;
    Pipeline *p = b->pipe = pipeline_new(b->arena);
    p->bpe = b;
    p->added = &b->special;
    CHECK(!splitter_add_bytes(&p->splitter, false, true, "") && !decoder_add(&p->decoder, (DecodeStep){0}, ""), "%s",
          err_message());
    splitter_finish(&p->splitter);
    return p;
}

void bpe_close(Bpe *b)
{
    if (b->pipe) pipeline_close(b->pipe);
    b->pipe = NULL;
}

BpeText bpe_encode(Bpe *b, Arena *a, const char *text, size_t len, bool special_in_text)
{
    return pipeline_encode(bpe_pipe(b), a, text, len, special_in_text);
}

void bpe_remember(Bpe *b, bool words)
{
    pipeline_remember(bpe_pipe(b), words);
}

BpeText spm_encode(const Spm *s, Arena *a, const char *text, size_t len)
{
    Pipeline *p = pipeline_new(a);
    p->spm = (Spm *)(uintptr_t)s;
    pipeline_remember(p, len >> 12);
    BpeText x = pipeline_encode(p, a, text, len, false);
    pipeline_close(p);
    return x;
}
