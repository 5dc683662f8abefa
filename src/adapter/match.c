/* PEFT decides with Python's re.fullmatch.  PCRE2 stands in for it, with a limit on steps, since the pattern comes
 * out of a file and could otherwise take exponential time. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "adapter/match.h"

#include <pcre2.h>
#include <string.h>

enum { LONGEST = 4096, STEPS = 1000000 };

/* Compiles the pattern with PCRE2, anchored, and matches it with a limit on the steps. */
Status match_regex(bool *out, int *group, const char *pattern, bool whole, const char *text, const char *path,
                   const char *key)
{
    int code;
    PCRE2_SIZE at;
    if (strlen(pattern) > LONGEST)
        return err_fail(E_FORMAT, "%s: %s has %zu bytes, expected at most %d", path, key, strlen(pattern), LONGEST);
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                   PCRE2_UTF | PCRE2_ANCHORED | (whole ? PCRE2_ENDANCHORED : 0), &code, &at, NULL);
    if (!re)
        return err_fail(E_FORMAT, "%s: %s is no regular expression: '%.60s' breaks at byte %zu", path, key, pattern,
                        at);
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(re, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    if (!data || !limits) err_no_memory("PCRE2 has none for a match");
    pcre2_set_match_limit(limits, STEPS);
    int found = pcre2_match(re, (PCRE2_SPTR)text, strlen(text), 0, 0, data, limits);
    *out = found > 0;
    if (group) *group = found > 1 ? (int)pcre2_get_ovector_pointer(data)[2] : -1;
    pcre2_match_context_free(limits);
    pcre2_match_data_free(data);
    pcre2_code_free(re);
    return found < 0 && found != PCRE2_ERROR_NOMATCH
               ? err_fail(E_FORMAT, "%s: %s '%.60s' takes too long to match", path, key, pattern)
               : OK;
}

static bool ends_with(const char *name, const char *suffix)
{
    size_t n = strlen(name), s = strlen(suffix);
    return n >= s && !strcmp(name + n - s, suffix) && (n == s || name[n - s - 1] == '.');
}

Status match_modules(bool *out, const cJSON *object, const char *key, const char *name, const char *path)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(object, key), *one;
    *out = false;
    if (!j || cJSON_IsNull(j)) return OK;
    if (cJSON_IsString(j)) return match_regex(out, NULL, j->valuestring, true, name, path, key);
    if (!cJSON_IsArray(j)) return err_fail(E_FORMAT, "%s: %s is neither a text nor a list", path, key);
    cJSON_ArrayForEach(one, j)
    {
        if (!cJSON_IsString(one)) return err_fail(E_FORMAT, "%s: %s holds something that is no text", path, key);
        if (ends_with(name, one->valuestring)) *out = true;
    }
    return OK;
}
