/* Folders without a tokenizer.json whose vocabulary is a file of its own: vocab.json with merges.txt, and
 * vocab.txt. */
#include <string.h>

#include "base/str.h"
#include "text/tokenizer_make.h"

/* RoBERTa's way, of a vocabulary that has different tokens for begin and end. */
static void frame_of_names(Tokenizer *t)
{
    BpeSpecials s = bpe_specials(t->bpe);
    t->single = t->pair = (TokenFrame){.text_type = {0, 1}};
    if (s.bos < 0 || s.eos < 0 || s.bos == s.eos) return;
    t->single = make_frame((int32_t[]){s.bos, FRAME_A, s.eos, FRAME_END}, false);
    t->pair = make_frame((int32_t[]){s.bos, FRAME_A, s.eos, s.eos, FRAME_B, s.eos, FRAME_END}, false);
}

Tokenizer tokenizer_of(Bpe *bpe)
{
    BpeSpecials s = bpe_specials(bpe);
    Tokenizer t = {.kind = "byte-level BPE", .bpe = bpe, .pipe = bpe_pipe(bpe), .exact = true};
    const int32_t named[NAME_ROLES] = {s.bos, s.eos, s.unk, s.eos, s.pad, s.bos, s.mask};
    memcpy(t.named, named, sizeof named);
    frame_of_names(&t);
    return t;
}

static Status add_stages(const Make *m)
{
    Pipeline *p = m->p;
    const Declared *d = m->d;
    TRY(decoder_add(&p->decoder, (DecodeStep){.kind = DECODE_BYTES}, m->path));
    if (d->family != FAMILY_QWEN2) return splitter_add_bytes(&p->splitter, d->prefix_space == 1, true, m->path);
    const Pattern words = {.kind = PATTERN_SCAN, .scan = SCAN_QWEN2};
    TRY(normalizer_add(&p->normalizer, (NormStep){.kind = NORM_FORM, .form = FORM_C}, m->path));
    TRY(splitter_add(&p->splitter, (SplitStep){.pattern = words, .behaviour = BEHAVE_ISOLATED}, m->path));
    return splitter_add_bytes(&p->splitter, d->prefix_space == 1, false, m->path);
}

Status make_words(const Make *m, const char *merges)
{
    if (m->d->family == FAMILY_NONE) {
        TRY(bpe_open(&m->t->bpe, m->a, file_folder(m->a, m->path)));
        *m->t = tokenizer_of(m->t->bpe);
        return OK;
    }
    Bpe *b = m->p->bpe = bpe_new(m->a, 1 << 10);
    TRY(bpe_read_vocab(b, m->path));
    TRY(bpe_read_merges(b, merges, m->d->family != FAMILY_QWEN2));
    return add_stages(m);
}

Status make_wordpiece(const Make *m)
{
    const Declared *d = m->d;
    Pipeline *p = m->p;
    const char *unknown = d->name[NAME_UNK].text ? d->name[NAME_UNK].text : "[UNK]";
    m->t->kind = "WordPiece";
    p->words = NEW(m->a, WordPiece, 1);
    TRY(wordpiece_read_lines(p->words, m->a, m->path, unknown));
    TRY(normalizer_add_bert(&p->normalizer, true, d->cjk != 0, d->accents, d->lower != 0, m->path));
    TRY(splitter_add_bert(&p->splitter, m->path));
    return decoder_add(&p->decoder, (DecodeStep){.kind = DECODE_WORDPIECE, .text = "##", .flag = true}, m->path);
}
