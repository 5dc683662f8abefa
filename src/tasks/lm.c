/* Texts, completions and conversations read from files, and cut into training and validation sets. */
#include "tasks/lm.h"

#include <stdio.h>
#include <string.h>

#include "base/lines.h"
#include "base/rng.h"
#include "io/cells.h"
#include "io/json.h"

/* ---- reading */

typedef struct {
    Arena *arena;
    const char *key;
    char where[4200]; /* path:line */
} Row;

static Bytes copied(Arena *a, const char *s)
{
    size_t n = strlen(s);
    return (Bytes){str_copy(a, s, n), n};
}

/* The member as text; it must be there. */
static Status member(Bytes *out, const Row *r, const cJSON *j, const char *key)
{
    const char *s = NULL;
    TRY(json_text(&s, j, key, r->where));
    if (!s) return err_fail(E_FORMAT, "%s: has no \"%s\"", r->where, key);
    *out = copied(r->arena, s);
    return OK;
}

/* A conversation is kept as JSON until the template of the model is known. */
static Status read_chat(LmRecord *out, const Row *r, const cJSON *j)
{
    const cJSON *messages;
    TRY(chat_messages(&messages, j, r->where));
    if (!messages) return err_fail(E_FORMAT, "%s: \"messages\" is not a list", r->where);
    char *text = json_printed(messages, true);
    out->kind = LM_CHAT;
    out->text = copied(r->arena, text);
    cJSON_free(text);
    return OK;
}

static Status read_row(LmRecord *out, const Row *r, const cJSON *j)
{
    if (!cJSON_IsObject(j)) return err_fail(E_FORMAT, "%s: the row is not a JSON object", r->where);
    if (json_has(j, r->key)) return member(&out->text, r, j, r->key);
    if (json_has(j, "messages")) return read_chat(out, r, j);
    if (!json_has(j, "prompt") && !json_has(j, "completion"))
        return err_fail(E_FORMAT,
                        "%s: found no text; expected \"%s\", or \"prompt\" and \"completion\", or \"messages\"",
                        r->where, r->key);
    out->kind = LM_COMPLETION;
    TRY(member(&out->text, r, j, "prompt"));
    return member(&out->completion, r, j, "completion");
}

static Status parse(cJSON **out, Bytes text, const char *where)
{
    Arena scratch = arena_open(0);
    Status s = json_parse_python(out, &scratch, text, where);
    arena_close(&scratch);
    return s;
}

static Status read_rows(LmSet *out, Arena *a, RowReader *in, const char *key)
{
    int64_t room = 0;
    for (bool more = true;;) {
        Row r = {.arena = a, .key = key};
        cJSON *j;
        TRY(rows_next(in, &more));
        if (!more) return OK;
        snprintf(r.where, sizeof r.where, "%s:%lld", in->path, (long long)in->line);
        TRY(parse(&j, (Bytes){in->row.text, in->row.len}, r.where));
        GROW(a, out->record, out->n, room, 256);
        LmRecord *record = &out->record[out->n++];
        *record = (LmRecord){.line = in->line};
        Status s = read_row(record, &r, j);
        cJSON_Delete(j);
        TRY(s);
    }
}

static Status read_plain(LmSet *out, Arena *a, Bytes text)
{
    TRY(text_check(&text, out->path, BYTES_UTF8));
    if (text.len) {
        out->packed = true, out->n = 1;
        out->record = NEW(a, LmRecord, 1);
        *out->record = (LmRecord){.line = 1, .text = text};
    }
    return OK;
}

/* A column of a table, each row of it a text. */
static Status read_table(LmSet *out, Arena *a, const char *key)
{
    Cells c;
    TRY(cells_read(&c, a, out->path, 1, &key, NULL));
    out->n = c.n, out->record = NEW(a, LmRecord, c.n);
    for (int64_t i = 0; i < c.n; i++) out->record[i] = (LmRecord){.line = c.line[i], .text = c.cell[0][i]};
    for (int64_t i = 0; i < c.n; i++) /* the field's end is a separator of the file */
        out->record[i].text.text = str_copy(a, c.cell[0][i].text, c.cell[0][i].len);
    return OK;
}

Status lm_read(LmSet *out, Arena *a, const char *path, const char *key)
{
    Bytes text;
    RowReader in;
    *out = (LmSet){.path = path};
    if (str_glob("*.csv|*.tsv|*.tab", path)) return read_table(out, a, key);
    TRY(file_read(&text, a, path));
    if (str_glob("*.txt", path) || !rows_begin(text)) {
        TRY(read_plain(out, a, text));
    } else {
        TRY(rows_of(&in, text, path));
        Status s = read_rows(out, a, &in, key);
        rows_close(&in);
        TRY(s);
    }
    return out->n ? OK : err_fail(E_MISMATCH, "%s: holds no text", path);
}

bool lm_has_chats(const LmSet *s)
{
    for (int64_t i = 0; i < s->n; i++)
        if (s->record[i].kind == LM_CHAT) return true;
    return false;
}

/* ---- training and validation */

static LmSet of_text(Arena *a, const LmSet *all, size_t begin, size_t end)
{
    LmSet s = {.path = all->path, .packed = true, .n = end > begin};
    s.record = NEW(a, LmRecord, 1);
    *s.record = (LmRecord){.line = 1, .text = {all->record->text.text + begin, end - begin}};
    return s;
}

static void cut_text(LmSet *train, LmSet *valid, Arena *a, const LmSet *all, double share)
{
    Bytes text = all->record->text;
    size_t at = text.len - (size_t)((double)text.len * share);
    while (at < text.len && text.text[at - (at > 0)] != '\n') at++;
    *train = of_text(a, all, 0, at);
    *valid = of_text(a, all, at, text.len);
}

void lm_cut(LmSet *train, LmSet *valid, Arena *a, const LmSet *all, double share, uint64_t seed)
{
    if (all->packed) {
        cut_text(train, valid, a, all, share);
        return;
    }
    int64_t held = (int64_t)((double)all->n * share + 0.5);
    int32_t *order = NEW(a, int32_t, all->n);
    bool *is_held = NEW(a, bool, all->n);
    for (int32_t i = 0; i < all->n; i++) order[i] = i, is_held[i] = false;
    rng_shuffle(rng_stream(seed, "tune/lm/validation"), all->n, order);
    for (int64_t i = 0; i < held; i++) is_held[order[i]] = true;
    *train = *valid = (LmSet){.path = all->path};
    train->record = NEW(a, LmRecord, all->n - held);
    valid->record = NEW(a, LmRecord, held);
    for (int64_t i = 0; i < all->n; i++) {
        LmSet *to = is_held[i] ? valid : train;
        to->record[to->n++] = all->record[i];
    }
}
