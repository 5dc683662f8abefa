/* Five things stand on disks under the names of models: nothing at all, weights of another library, the three lines
 * by which git-lfs stands for a file that was never fetched, the web page of a login or an error, and a server's
 * message in XML or JSON. */
#include "base/download.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *begins; /* without regard to case, behind blanks */
    const char *fault;
} KNOWN[] = {
    {"version https://git-lfs.github.com/spec",
     "is a git-lfs pointer, not the file that it stands for; `git lfs pull` fetches that file"},
    {"version https://hawser.github.com/spec",
     "is a git-lfs pointer, not the file that it stands for; `git lfs pull` fetches that file"},
    {"<!doctype html", "is an HTML page, as a failed download leaves; expected the file itself"},
    {"<html", "is an HTML page, as a failed download leaves; expected the file itself"},
    {"<head", "is an HTML page, as a failed download leaves; expected the file itself"},
    {"<body", "is an HTML page, as a failed download leaves; expected the file itself"},
    {"<?xml", "is an XML message, as a failed download leaves; expected the file itself"},
    {"\x89HDF", "is an HDF5 file, as TensorFlow and Keras write; expected safetensors or a file of torch.save"},
    {"<error", "is an XML message, as a failed download leaves; expected the file itself"},
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(const char **s, size_t *n)
{
    while (*n && is_blank(**s)) ++*s, --*n;
}

/* `{` and a quotation mark, or `{}`: eight bytes that a container of weights never begins with. */
static bool is_json(const char *s, size_t n)
{
    if (!n || *s != '{') return false;
    s++, n--;
    skip_blanks(&s, &n);
    return n && (*s == '"' || *s == '}');
}

const char *download_fault(const char *first, size_t n, bool json)
{
    static const char MARK[] = "\xEF\xBB\xBF"; /* of byte order */
    if (n >= 3 && !memcmp(first, MARK, 3)) first += 3, n -= 3;
    skip_blanks(&first, &n);
    if (!n) return "is empty";
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++) {
        size_t length = strlen(KNOWN[i].begins);
        if (n >= length && !strncasecmp(first, KNOWN[i].begins, length)) return KNOWN[i].fault;
    }
    if (!json && is_json(first, n)) return "is a message in JSON, as a failed download leaves; expected weights";
    return NULL;
}
