/* SentencePiece models in a tokenizer.json: Unigram, or BPE over characters.  Every field that changes
 * ids is understood or refused by name and value; truncation and padding are the caller's affair here. */
#include <math.h>
#include <string.h>

#include "base/str.h"
#include "text/document.h"
#include "text/spm_model.h"

typedef struct {
    Spm *s;
    Arena *a;
    const char *path;
} Reader;

/* ---- normalizer ---- */

static int digit64(char c)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(DIGITS, c) : NULL;
    return at ? (int)(at - DIGITS) : -1;
}

static Status read_map64(Reader *r, const cJSON *field)
{
    const char *text = cJSON_GetStringValue(field);
    if (!text) return document_refuse(r->path, "normalizer.precompiled_charsmap", field, "base64");
    size_t len = strlen(text), n = 0;
    while (len && text[len - 1] == '=') len--;
    char *out = arena_take(r->a, len + 1);
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++) {
        int d = digit64(text[i]);
        if (d < 0)
            return err_fail(E_FORMAT, "%s: normalizer.precompiled_charsmap: byte %zu is no base64", r->path, i);
        bits = bits << 6 | (unsigned)d;
        if (i % 4) out[n++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    return spm_read_map(r->s, r->a, out, n, r->path);
}

static Status add_step(Reader *r, Step step)
{
    Pipeline *p = r->s->json;
    if (p->n == STEPS_MOST) return err_fail(E_FORMAT, "%s: normalizer has more than %d steps", r->path, STEPS_MOST);
    p->step[p->n++] = step;
    return OK;
}

static const char *kept(const Reader *r, const char *s)
{
    return str_copy(r->a, s, strlen(s));
}

static Status read_replace(Reader *r, const cJSON *n)
{
    const cJSON *pattern = document_member(n, "pattern"), *content = document_member(n, "content");
    const char *literal = document_member_text(pattern, "String"), *regex = document_member_text(pattern, "Regex");
    if (!cJSON_IsString(content)) return document_refuse(r->path, "normalizer.content", content, "a string");
    if (*literal) return add_step(r, (Step){STEP_REPLACE, kept(r, literal), kept(r, content->valuestring), 0, 0});
    if (!strcmp(regex, " {2,}")) return add_step(r, (Step){STEP_RUNS, NULL, kept(r, content->valuestring), 0, 0});
    return document_refuse(r->path, "normalizer.pattern", pattern, "a String or the Regex \" {2,}\"");
}

static Status read_normalizer(Reader *r, const cJSON *n, int depth)
{
    const char *type = document_member_text(n, "type");
    const cJSON *item;
    if (!n) return OK;
    if (!strcmp(type, "Replace")) return read_replace(r, n);
    if (!strcmp(type, "Strip"))
        return add_step(r, (Step){STEP_STRIP, NULL, NULL, document_member_true(n, "strip_left"),
                                  document_member_true(n, "strip_right")});
    if (!strcmp(type, "Prepend"))
        return add_step(r, (Step){STEP_PREPEND, NULL, kept(r, document_member_text(n, "prepend")), 0, 0});
    if (!strcmp(type, "Precompiled")) {
        if (r->s->map) return document_refuse(r->path, "normalizer", n, "one Precompiled");
        TRY(read_map64(r, document_member(n, "precompiled_charsmap")));
        return add_step(r, (Step){.kind = STEP_MAP});
    }
    if (strcmp(type, "Sequence") || depth)
        return document_refuse(r->path, "normalizer.type", document_member(n, "type"),
                               "Precompiled, Replace, Strip, Prepend or a Sequence of them");
    cJSON_ArrayForEach(item, document_member(n, "normalizers"))
    {
        TRY(read_normalizer(r, item, depth + 1));
    }
    return OK;
}

/* ---- pre_tokenizer and decoder ---- */

static Status read_metaspace(Reader *r, const cJSON *m)
{
    static const char *const NAME[] = {"never", "first", "always"};
    Pipeline *p = r->s->json;
    const cJSON *mark = document_member(m, "replacement"), *scheme = document_member(m, "prepend_scheme"),
                *split = document_member(m, "split");
    if (p->metaspace) return document_refuse(r->path, "pre_tokenizer", m, "one Metaspace");
    if (mark && strcmp(document_member_text(m, "replacement"), SPACE) != 0)
        return document_refuse(r->path, "pre_tokenizer.replacement", mark, "U+2581");
    p->metaspace = true;
    p->prefix =
        cJSON_IsFalse(document_member(m, "add_prefix_space")) ? PREFIX_NEVER : PREFIX_ALWAYS; /* as in older files */
    p->split = !split || cJSON_IsTrue(split);
    if (!scheme) return OK;
    for (int i = 0; i < 3; i++)
        if (!strcmp(document_member_text(m, "prepend_scheme"), NAME[i])) {
            p->prefix = (Prefix)i;
            return OK;
        }
    return document_refuse(r->path, "pre_tokenizer.prepend_scheme", scheme, "never, first or always");
}

/* The pre_tokenizer: Metaspace, with or without WhitespaceSplit before it. */
static Status read_pre(Reader *r, const cJSON *p, int depth)
{
    const char *type = document_member_text(p, "type");
    const cJSON *item;
    if (!p) return OK;
    if (!strcmp(type, "Metaspace")) return read_metaspace(r, p);
    if (!strcmp(type, "WhitespaceSplit") && !r->s->json->metaspace) {
        r->s->json->blanks = true;
        return OK;
    }
    if (strcmp(type, "Sequence") || depth)
        return document_refuse(r->path, "pre_tokenizer.type", document_member(p, "type"),
                               "ByteLevel, Metaspace, or a Sequence of WhitespaceSplit and Metaspace");
    cJSON_ArrayForEach(item, document_member(p, "pretokenizers"))
    {
        TRY(read_pre(r, item, depth + 1));
    }
    return OK;
}

/* All of them undo the steps above, and spm_decode does just that. */
static Status check_decoder(const Reader *r, const cJSON *d, int depth)
{
    const cJSON *item;
    if (!d) return OK;
    if (str_glob("Metaspace|Replace|ByteFallback|Fuse|Strip", document_member_text(d, "type"))) return OK;
    if (strcmp(document_member_text(d, "type"), "Sequence") || depth)
        return document_refuse(r->path, "decoder.type", document_member(d, "type"),
                               "Metaspace, Replace, ByteFallback, Fuse, Strip or a Sequence of them");
    cJSON_ArrayForEach(item, document_member(d, "decoders"))
    {
        TRY(check_decoder(r, item, depth + 1));
    }
    return OK;
}

/* ---- model ---- */

static Status put_piece(Reader *r, int64_t id, const char *text, double score)
{
    Piece *p = &r->s->piece[id];
    if (!*text) return err_fail(E_FORMAT, "%s: model.vocab: id %lld has an empty piece", r->path, (long long)id);
    if (p->len) return err_fail(E_FORMAT, "%s: model.vocab: two pieces have id %lld", r->path, (long long)id);
    if (!isfinite((float)score))
        return err_fail(E_FORMAT, "%s: model.vocab: the score of \"%s\" is not finite", r->path,
                        document_shown(text));
    bool is_byte = r->s->byte_fallback && spm_byte(text) >= 0;
    *p = (Piece){kept(r, text), (int32_t)strlen(text), (float)score, is_byte ? PIECE_BYTE : PIECE_NORMAL};
    return OK;
}

static Status read_unigram(Reader *r, const cJSON *model)
{
    const cJSON *vocab = document_member(model, "vocab"), *unk = document_member(model, "unk_id"), *v;
    if (!cJSON_IsArray(vocab)) return document_refuse(r->path, "model.vocab", vocab, "a list of [piece, score]");
    int32_t n = cJSON_GetArraySize(vocab), id = 0;
    if (!document_is_id(unk) || unk->valueint >= n)
        return document_refuse(r->path, "model.unk_id", unk, "the id of a piece");
    if (n > MOST_IDS) return err_fail(E_FORMAT, "%s: model.vocab has %d pieces", r->path, n);
    r->s->piece = NEW(r->a, Piece, n);
    r->s->n = n;
    cJSON_ArrayForEach(v, vocab)
    {
        const cJSON *text = v->child, *score = text ? text->next : NULL;
        if (!cJSON_IsString(text) || !cJSON_IsNumber(score) || score->next)
            return document_refuse(r->path, "model.vocab: an entry", v, "[piece, score]");
        TRY(put_piece(r, id++, text->valuestring, score->valuedouble));
    }
    r->s->piece[unk->valueint].type = PIECE_UNKNOWN;
    r->s->json->fuse = true;
    return OK;
}

static int32_t id_of(const Table *ids, const char *text)
{
    return (int32_t)table_get(ids, text, strlen(text), -1);
}

/* Merges name their pieces; the two sides and the piece that they make must be in the vocabulary. */
static Status read_merges(Reader *r, const Table *ids, const cJSON *merges)
{
    int number = 0;
    for (cJSON *m = merges->child; m; m = m->next, number++) {
        const char *left, *right;
        if (!document_merge_sides(m, &left, &right))
            return document_refuse(r->path, "model.merges: an entry", m, "two pieces");
        int32_t l = id_of(ids, left), k = id_of(ids, right);
        if (l < 0 || k < 0)
            return err_fail(E_FORMAT, "%s: merge %d: \"%s\" is not in the vocabulary", r->path, number,
                            document_shown(l < 0 ? left : right));
        ArenaMark mark = arena_mark(r->a);
        const char *both = str_print(r->a, "%s%s", left, right);
        int32_t id = id_of(ids, both);
        if (id < 0)
            return err_fail(E_FORMAT, "%s: merge %d: makes \"%s\", which is not in the vocabulary", r->path, number,
                            document_shown(both));
        arena_drop(r->a, mark);
        if (!merges_add(&r->s->json->merges, r->a, l, k, id))
            return err_fail(E_FORMAT, "%s: merge %d: \"%s\" and \"%s\" are merged twice", r->path, number,
                            document_shown(left), document_shown(right));
    }
    return OK;
}

static Status read_bpe(Reader *r, const cJSON *model)
{
    const cJSON *vocab = document_member(model, "vocab"), *merges = document_member(model, "merges"),
                *unk = document_member(model, "unk_token"), *v;
    if (!cJSON_IsObject(vocab)) return document_refuse(r->path, "model.vocab", vocab, "an object, piece to id");
    if (!cJSON_IsArray(merges)) return document_refuse(r->path, "model.merges", merges, "a list");
    int32_t n = 0;
    cJSON_ArrayForEach(v, vocab)
    {
        if (!document_is_id(v))
            return err_fail(E_FORMAT, "%s: the id of \"%s\" is not a whole number from 0 to %d", r->path,
                            document_shown(v->string), MOST_IDS - 1);
        if (v->valueint >= n) n = v->valueint + 1;
    }
    if (n > 64 * (cJSON_GetArraySize(vocab) + 16))
        return err_fail(E_FORMAT, "%s: model.vocab has ids up to %d for %d pieces", r->path, n - 1,
                        cJSON_GetArraySize(vocab));
    r->s->piece = NEW(r->a, Piece, n);
    r->s->n = n;
    for (int32_t i = 0; i < n; i++) r->s->piece[i] = (Piece){.text = "", .type = PIECE_CONTROL};
    Table ids = table_open(r->a, n);
    cJSON_ArrayForEach(v, vocab)
    {
        bool added;
        TRY(put_piece(r, v->valueint, v->string, 0));
        *table_add(&ids, v->string, strlen(v->string), &added) = v->valueint;
        if (!added)
            return err_fail(E_FORMAT, "%s: the piece \"%s\" appears twice", r->path, document_shown(v->string));
    }
    TRY(read_merges(r, &ids, merges));
    r->s->json->pairs = true;
    r->s->json->fuse = document_member_true(model, "fuse_unk");
    int32_t id = id_of(&ids, document_member_text(model, "unk_token"));
    if (id < 0 && (unk || !r->s->byte_fallback))
        return document_refuse(r->path, "model.unk_token", unk, "a piece of the vocabulary");
    if (id >= 0) r->s->piece[id].type = PIECE_UNKNOWN;
    return OK;
}

static Status read_model(Reader *r, const cJSON *model)
{
    static const char *const MUST_BE_EMPTY[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const char *type = document_member_text(model, "type");
    const cJSON *dropout = document_member(model, "dropout");
    r->s->byte_fallback = document_member_true(model, "byte_fallback");
    for (int i = 0; i < 2; i++)
        if (*document_member_text(model, MUST_BE_EMPTY[i]))
            return document_refuse(r->path, MUST_BE_EMPTY[i], document_member(model, MUST_BE_EMPTY[i]), "none");
    if (cJSON_IsNumber(dropout) && dropout->valuedouble > 0)
        return document_refuse(r->path, "model.dropout", dropout, "null");
    if (document_member_true(model, "ignore_merges"))
        return document_refuse(r->path, "model.ignore_merges", document_member(model, "ignore_merges"), "false");
    bool lists_merges = !*type && document_member(model, "merges"); /* older files do not name it */
    r->s->kind = !strcmp(type, "BPE") || lists_merges ? SPM_BPE : SPM_UNIGRAM;
    if (r->s->kind == SPM_BPE) return read_bpe(r, model);
    if (strcmp(type, "Unigram") != 0)
        return document_refuse(r->path, "model.type", document_member(model, "type"), "BPE or Unigram");
    return read_unigram(r, model);
}

/* ---- the whole ---- */

typedef struct {
    Reader *r;
    Specials *list;
} Adding;

/* A special token is never cut out of ordinary text. */
static Status add_token(void *to, Special token, bool special, const char *path)
{
    const Adding *add = to;
    Spm *s = add->r->s;
    Piece *p = token.id < s->n ? &s->piece[token.id] : NULL;
    if (p && p->len && strcmp(p->text, token.text) != 0)
        return err_fail(E_FORMAT, "%s: the special token \"%s\" has id %d, which is \"%s\" in the vocabulary", path,
                        document_shown(token.text), token.id, document_shown(p->text));
    if (p && special && p->len && p->type == PIECE_NORMAL) p->type = PIECE_CONTROL;
    special_add(add->list, add->r->a, token);
    return OK;
}

static Status read_all(Reader *r, Specials *added, const cJSON *doc)
{
    Spm *s = r->s;
    TRY(read_normalizer(r, document_member(doc, "normalizer"), 0));
    TRY(read_pre(r, document_member(doc, "pre_tokenizer"), 0));
    TRY(check_decoder(r, document_member(doc, "decoder"), 0));
    TRY(read_model(r, document_member(doc, "model")));
    TRY(document_added_tokens(doc, add_token, &(Adding){r, added}, r->path));
    const Pipeline *p = s->json;
    s->escape = true;
    s->dummy_prefix = p->prefix != PREFIX_NEVER;
    for (int i = 0; i < p->n; i++) s->dummy_prefix |= p->step[i].kind == STEP_PREPEND;
    TRY(spm_index(s, r->a, r->path));
    for (int i = 0; i < 256 && s->byte_fallback; i++)
        if (s->byte_id[i] < 0)
            return err_fail(E_FORMAT, "%s: model.byte_fallback is true, but there is no piece <0x%02X>", r->path, i);
    s->special.bos = spm_find(s, "<s>"), s->special.eos = spm_find(s, "</s>"), s->special.pad = spm_find(s, "<pad>");
    return OK;
}

Status spm_from_document(Spm **out, Specials *added, Arena *a, const cJSON *doc, const char *path)
{
    Spm *s = NEW(a, Spm, 1);
    s->json = NEW(a, Pipeline, 1);
    s->special = (SpmSpecials){-1, -1, -1, -1};
    Reader r = {s, a, path};
    Status status = read_all(&r, added, doc);
    *out = status ? NULL : s;
    return status;
}
