/* Byte-level BPE, the tokenizer of GPT-2, RoBERTa, CodeBERT, UniXcoder and CodeT5: trained on a corpus or read
 * from `vocab.json` + `merges.txt`, written as such.  Other forms of a tokenizer: text/tokenizer.h.
 *
 * Every byte string has an encoding, valid UTF-8 or not; text/tokenizer.h decodes and adds the special tokens around
 * a text.  Each token carries the bytes [begin,end) of the source that it stands for.  Special tokens that occur in
 * the text become their ids only when requested: source code may well contain the string "</s>"; bpe_specials_in()
 * counts them for a warning.  `<mask>` takes the white space on its left with it, as RoBERTa's does.
 *
 * A tokenizer lives on the arena it was opened on; bpe_close gives back its working memory.  One thread at a
 * time may encode with one Bpe, because it remembers recent words; the functions that take it const may run
 * beside each other.
 *
 *   Bpe *b;
 *   TRY(bpe_open(&b, &run, "model/"));
 *   BpeText t = bpe_encode(b, &step, text, len, false);
 *
 * Source: Sennrich, Haddow, Birch, ACL 2016 (the merges); Radford et al. 2019 (bytes and pre-tokenisation). */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "text/frame.h"

typedef struct Bpe Bpe;

typedef struct {
    int32_t bos, pad, eos, unk, mask; /* <s> <pad> </s> <unk> <mask>, or -1; bos = eos = <|endoftext|> in GPT-2 */
} BpeSpecials;

typedef struct {
    int64_t size;               /* ids in all: special tokens, 256 bytes, merges; the corpus may yield fewer merges */
    int64_t min_count;          /* a pair seen less often is not merged; 0 means 2 */
    const char *const *special; /* further special tokens, NULL-ended, or NULL */
} BpeTrain;

/* Ids: <s> 0, <pad> 1, </s> 2, <unk> 3, the bytes, the merges, further special tokens, <mask> last.  Equal counts
 * are merged in order of ids, so the same corpus gives the same tokenizer.  Words over 255 bytes are left out
 * of the counts. E_CONFIG: the size has no room for the bytes and special tokens, or one is empty or named twice. */
Status bpe_train(Bpe **out, Arena *, const BpeTrain *, const Bytes *text, int64_t n);

Status bpe_open(Bpe **out, Arena *, const char *dir); /* vocab.json, merges.txt and, if there, added_tokens.json */
Status bpe_load(Bpe **out, Arena *, const char *vocab, const char *merges);
/* vocab.json, merges.txt, added_tokens.json, and in tokenizer_config.json the class where it has RoBERTa's tokens. */
Status bpe_save(const Bpe *, const char *dir);
void bpe_close(Bpe *);

BpeText bpe_encode(Bpe *, Arena *, const char *text, size_t len, bool special_in_text);
void bpe_remember(Bpe *, bool words); /* whether recent words are remembered (they are); the ids are the same */
int64_t bpe_specials_in(const Bpe *, const char *text, size_t len); /* special tokens spelt out in the text */

int64_t bpe_size(const Bpe *); /* largest id + 1 */
BpeSpecials bpe_specials(const Bpe *);
bool bpe_is_special(const Bpe *, int32_t id);
const char *bpe_piece(const Bpe *, int32_t id); /* as the vocabulary spells it ("\u0120int"); NULL for an unused id */
int32_t bpe_find(const Bpe *, const char *piece); /* its id, or -1 */

#endif
