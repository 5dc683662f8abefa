/* Normalising as the library does: the model's character map is applied to the longest prefix at each place; blanks
 * are squeezed and become U+2581. */
#include <string.h>

#include "text/pretoken.h"
#include "text/spm_model.h"

int64_t spm_longest_user(const Spm *s, const char *at, int64_t left)
{
    int64_t longest = 0;
    int32_t node = 0;
    for (int64_t i = 0; i < left && (node = trie_step(&s->user, node, (unsigned char)at[i])) >= 0; i++)
        if (s->user.unit[node].leaf >= 0) longest = i + 1;
    return longest;
}

/* What the place becomes: *to of *n bytes; returns how many bytes of the source it takes. */
static int64_t one_step(const Spm *s, const char *at, int64_t left, const char **to, int64_t *n)
{
    int64_t took = spm_longest_user(s, at, left);
    *to = at;
    *n = took;
    if (took) return took;
    took = charmap_longest(&s->map, at, left, to);
    if (took) {
        *n = (int64_t)strlen(*to);
        return took;
    }
    took = *n = (int64_t)utf8_length(at, (size_t)left);
    if (took) return took;
    *to = "\xef\xbf\xbd";
    *n = 3;
    return 1;
}

static void put_space(const Spm *s, Writing *w, int64_t from, int64_t to)
{
    normal_put(w, s->escape ? SPACE : " ", s->escape ? 3 : 1, from, to);
}

static bool drop_last_space(const Spm *s, Normal *n)
{
    int64_t size = s->escape ? 3 : 1;
    if (n->len < size || memcmp(n->text + n->len - size, s->escape ? SPACE : " ", (size_t)size) != 0) return false;
    n->len -= size;
    return true;
}

/* One place of the source, as put by one_step, with blanks turned into U+2581 and squeezed. */
static void put_step(const Spm *s, Writing *w, const char *to, int64_t n, int64_t from, int64_t end,
                     bool *after_space)
{
    while (*after_space && n && *to == ' ') to++, n--;
    for (int64_t i = 0; i < n; i++) {
        if (to[i] == ' ')
            put_space(s, w, from, end);
        else
            normal_put(w, to + i, 1, from, end);
    }
    if (n) *after_space = s->squeeze && to[n - 1] == ' ';
}

Normal spm_normalise(const Spm *s, Arena *a, const char *text, int64_t len)
{
    Writing w = normal_open(a, len + len / 2, true);
    const char *to = NULL;
    int64_t at = 0, n = 0, took = 0;
    while (s->squeeze && at < len) { /* white space in front */
        took = one_step(s, text + at, len - at, &to, &n);
        if (n != 1 || *to != ' ') break;
        at += took;
    }
    if (at == len) return w.out;
    if (s->dummy_prefix && !s->suffix) put_space(s, &w, at, at);
    bool after_space = s->squeeze;
    for (; at < len; at += took) {
        bool plain = s->plain[(unsigned char)text[at]] && (at + 1 == len || !(text[at + 1] & 0x80));
        to = text + at;
        n = took = 1;
        if (plain && *to != ' ') {
            normal_put_byte(&w, *to, at, at + 1);
            after_space = false;
            continue;
        }
        if (!plain) took = one_step(s, text + at, len - at, &to, &n);
        put_step(s, &w, to, n, at, at + took, &after_space);
    }
    while (s->squeeze && drop_last_space(s, &w.out)) continue;
    if (s->dummy_prefix && s->suffix) put_space(s, &w, len, len);
    return w.out;
}
