/* What is the same for every kind: tokens that the folder declares beside the file, the changes that a class makes to
 * a tokenizer.json, the roles of special tokens, frames. */
#include <string.h>

#include "base/print.h"
#include "base/str.h"
#include "text/tokenizer_make.h"

TokenFrame make_frame(const int32_t *list, bool types)
{
    TokenFrame f = {.text_type = {0, types}};
    int part = 0, type = 0;
    for (; *list != FRAME_END; list++) {
        if (*list == FRAME_B) type = types;
        if (*list == FRAME_A || *list == FRAME_B) {
            part++;
            continue;
        }
        f.type[part][f.n[part]] = type;
        f.id[part][f.n[part]++] = *list;
    }
    return f;
}

/* ---- tokens ---- */

/* The tokens of added_tokens_decoder first, in order of their ids, then the names that are still missing. */
static void add_declared(const Make *m)
{
    const Declared *d = m->d;
    for (int64_t i = 0; i < d->n_added; i++) {
        Special s = d->added[i];
        for (int k = 0; k < NAME_ROLES; k++) s.special |= d->name[k].text && !strcmp(d->name[k].text, s.text);
        for (int64_t k = 0; k < d->n_more; k++) s.special |= !strcmp(d->more[k].text, s.text);
        int32_t id = pipeline_add(m->p, s);
        if (id != d->added[i].id)
            print_err("%s: the added token \"%s\" is declared with id %d and gets %d, as in the library\n", m->path,
                      document_shown(s.text), d->added[i].id, id);
    }
    for (int k = 0; k < NAME_ROLES; k++)
        if (d->name[k].text && !special_find(m->p->added, d->name[k].text, d->name[k].len))
            pipeline_add(m->p, d->name[k]);
    for (int64_t k = 0; k < d->n_more; k++)
        if (!special_find(m->p->added, d->more[k].text, d->more[k].len)) pipeline_add(m->p, d->more[k]);
}

/* Without a declaration, by the names that the published tokenizers have. */
static void find_names(const Make *m)
{
    static const char *const USUAL[NAME_ROLES][4] = {
        [NAME_BOS] = {"<s>", "<|endoftext|>"}, [NAME_EOS] = {"</s>", "<|endoftext|>"},
        [NAME_UNK] = {"<unk>", "[UNK]"},       [NAME_SEP] = {"</s>", "[SEP]"},
        [NAME_PAD] = {"<pad>", "[PAD]"},       [NAME_CLS] = {"<s>", "[CLS]"},
        [NAME_MASK] = {"<mask>", "[MASK]"}};
    for (int k = 0; k < NAME_ROLES; k++) {
        const char *text = m->d->name[k].text;
        m->t->named[k] = text ? pipeline_find(m->p, text) : -1;
        for (int i = 0; m->d->family <= FAMILY_FAST && m->t->named[k] < 0 && !text && i < 4 && USUAL[k][i]; i++)
            m->t->named[k] = pipeline_find(m->p, USUAL[k][i]);
    }
}

/* ---- changes of a class in a tokenizer.json ---- */

/* add_prefix_space of a ByteLevel that stands alone. */
static Status change_prefix(const Make *m)
{
    Splitter *z = &m->p->splitter;
    bool on = m->d->prefix_space == 1, blank = z->n && z->step[0].kind == SPLIT_BLANK;
    bool alone = z->n && z->step[z->n - 1].kind == SPLIT_SPELL && z->alone;
    if (!alone || on == blank) return OK;
    const Splitter old = *z;
    z->n = 0;
    return splitter_add_bytes(z, on, old.n - blank == 2, m->path);
}

static void change_bert(const Make *m)
{
    Normalizer *z = &m->p->normalizer;
    if (!z->bert) return;
    bool clean = z->n && z->step[0].kind == NORM_CLEAN;
    z->n = 0;
    CHECK(!normalizer_add_bert(z, clean, m->d->cjk != 0, m->d->accents, m->d->lower != 0, m->path), "%s",
          err_message());
}

/* A token of a role around a text where it is asked for. */
void make_ends(const Make *m, bool bos, bool eos)
{
    int32_t list[8], n = 0, first = bos ? m->t->named[NAME_BOS] : -1, last = eos ? m->t->named[NAME_EOS] : -1;
    for (int part = 0; part < 2; part++) {
        if (first >= 0) list[n++] = first;
        list[n++] = part ? FRAME_B : FRAME_A;
        if (last >= 0) list[n++] = last;
        list[n] = FRAME_END;
        if (!part) m->t->single = make_frame(list, false);
    }
    m->t->pair = make_frame(list, true);
}

static Status follow_class(const Make *m)
{
    const Declared *d = m->d;
    if (d->family == FAMILY_NONE || d->family == FAMILY_OTHER) return OK;
    if (d->family == FAMILY_BERT || d->family == FAMILY_MPNET) change_bert(m);
    if (d->family != FAMILY_LLAMA && d->family != FAMILY_T5) TRY(change_prefix(m));
    if (d->family == FAMILY_LLAMA) make_ends(m, d->add_bos != 0, d->add_eos == 1);
    if (d->family == FAMILY_NEOX) make_ends(m, d->add_bos == 1, d->add_eos == 1);
    return OK;
}

/* ---- the whole ---- */

static void frame_of_class(const Make *m)
{
    const int32_t *id = m->t->named;
    int32_t cls = id[NAME_CLS], sep = id[NAME_SEP], bos = id[NAME_BOS], eos = id[NAME_EOS];
    bool add_bos = m->d->add_bos == 1;
    switch (m->d->family) {
    case FAMILY_ROBERTA:
        m->t->single = make_frame((int32_t[]){cls, FRAME_A, sep, FRAME_END}, false);
        m->t->pair = make_frame((int32_t[]){cls, FRAME_A, sep, sep, FRAME_B, sep, FRAME_END}, false);
        break;
    case FAMILY_XLMR:
    case FAMILY_CAMEMBERT:
        bos = pipeline_find(m->p, "<s>"), eos = pipeline_find(m->p, "</s>");
        m->t->single = make_frame((int32_t[]){bos, FRAME_A, eos, FRAME_END}, false);
        m->t->pair = make_frame((int32_t[]){bos, FRAME_A, eos, eos, FRAME_B, eos, FRAME_END}, false);
        break;
    case FAMILY_BERT:
    case FAMILY_DEBERTA:
        m->t->single = make_frame((int32_t[]){cls, FRAME_A, sep, FRAME_END}, true);
        m->t->pair = make_frame((int32_t[]){cls, FRAME_A, sep, FRAME_B, sep, FRAME_END}, true);
        break;
    case FAMILY_MPNET:
        m->t->single = make_frame((int32_t[]){cls, FRAME_A, sep, FRAME_END}, true);
        m->t->pair = make_frame((int32_t[]){cls, FRAME_A, sep, sep, FRAME_B, sep, FRAME_END}, true);
        break;
    case FAMILY_T5:
        m->t->single = make_frame((int32_t[]){FRAME_A, eos, FRAME_END}, false);
        m->t->pair = make_frame((int32_t[]){FRAME_A, eos, FRAME_B, eos, FRAME_END}, false);
        break;
    case FAMILY_LLAMA: make_ends(m, m->d->add_bos != 0, m->d->add_eos == 1); break;
    case FAMILY_NEOX: make_ends(m, add_bos, m->d->add_eos == 1); break;
    case FAMILY_GPT2:
    case FAMILY_QWEN2:
        if (add_bos && m->d->family == FAMILY_GPT2 && bos >= 0) {
            m->t->single = make_frame((int32_t[]){bos, FRAME_A, FRAME_END}, false);
            m->t->pair = make_frame((int32_t[]){bos, FRAME_A, FRAME_B, FRAME_END}, true);
        } else {
            m->t->single = m->t->pair = (TokenFrame){.text_type = {0, 1}};
        }
        break;
    default: break;
    }
}

/* Decoding undoes encoding where nothing is normalised and the model gets the text's own bytes. */
static bool is_exact(const Pipeline *p)
{
    bool blank = p->splitter.n && p->splitter.step[0].kind == SPLIT_BLANK;
    for (int i = 0; i < p->splitter.n; i++)
        blank |= p->splitter.step[i].kind == SPLIT_PATTERN && p->splitter.step[i].behaviour == BEHAVE_REMOVED;
    return p->bpe && p->splitter.bytes && !p->normalizer.n && !blank && p->decoder.n == 1 &&
           p->decoder.step[0].kind == DECODE_BYTES;
}

Status make_complete(const Make *m, bool from_json)
{
    Tokenizer *t = m->t;
    add_declared(m);
    find_names(m);
    if (from_json)
        TRY(follow_class(m));
    else
        frame_of_class(m);
    TRY(pipeline_finish(m->p, m->path));
    t->bpe = m->p->bpe;
    t->spm = m->p->spm;
    if (t->bpe && m->p->splitter.bytes) t->kind = "byte-level BPE";
    t->most = m->d->most;
    t->clean_up = m->d->clean_up;
    t->typed = t->pair.text_type[1] && t->pair.n[2];
    t->exact = is_exact(m->p);
    return OK;
}
