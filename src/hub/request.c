/* Redirects are followed by libcurl, which sends the token to the first host alone. */
#include "hub/request.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

enum { CONNECT_S = 20, STALLED_S = 30, REDIRECTS = 10, GOOD = 200, PART = 206 };

typedef struct {
    CURL *curl;
    const Request *r;
    Answer *a;
    bool begun;
} Transfer;

static size_t on_body(char *bytes, size_t size, size_t n, void *user)
{
    Transfer *t = user;
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    n *= size;
    if (status != GOOD && status != PART) return n; /* the page of an error */
    bool restart = !t->begun && (status == GOOD || !t->r->from);
    t->begun = true;
    if (t->r->take(t->r->user, bytes, n, restart)) return n;
    t->a->refused = true;
    return n ? 0 : 1;
}

/* The value of a header line of this name, without blanks at its ends; *n its length. */
static const char *header(const char *line, size_t length, const char *name, size_t *n)
{
    size_t k = strlen(name);
    if (length <= k || strncasecmp(line, name, k) != 0 || line[k] != ':') return NULL;
    const char *value = line + k + 1, *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t')) value++;
    while (end > value && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' ')) end--;
    *n = (size_t)(end - value);
    return value;
}

static size_t on_header(char *line, size_t size, size_t n, void *user)
{
    Transfer *t = user;
    size_t k;
    const char *value;
    n *= size;
    if (!strncmp(line, "HTTP/", 5)) t->a->code[0] = 0, t->a->wait = 0; /* of the redirect before it */
    if ((value = header(line, n, "X-Error-Code", &k)) != NULL && k < sizeof t->a->code) {
        memcpy(t->a->code, value, k);
        t->a->code[k] = 0;
    }
    if ((value = header(line, n, "Retry-After", &k)) != NULL && k < 8 && strspn(value, "0123456789") >= k)
        t->a->wait = strtol(value, NULL, 10);
    return n;
}

static bool is_passing(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    default: return false;
    }
}

static void set_up(Transfer *t, char *reason)
{
    CURL *c = t->curl;
    const Request *r = t->r;
    char range[32];
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, strncmp(r->url, "https:", 6) ? "http,https" : "https");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)REDIRECTS);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "vernier");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALLED_S);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    if (r->token) {
        curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, r->token);
    }
    if (r->from) {
        snprintf(range, sizeof range, "%lld-", (long long)r->from);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
}

Answer request_run(const Request *r)
{
    Answer a = {0};
    char reason[CURL_ERROR_SIZE] = "";
    Transfer t = {.curl = curl_easy_init(), .r = r, .a = &a};
    if (!t.curl) err_no_memory("libcurl has no memory for a transfer");
    set_up(&t, reason);
    CURLcode code = curl_easy_perform(t.curl);
    curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &a.status);
    curl_easy_cleanup(t.curl);
    bool good = a.status == GOOD || a.status == PART;
    a.whole = code == CURLE_OK && good;
    a.may_mend = is_passing(code) || a.status == 408 || a.status == 429 || a.status >= 500;
    /* An empty file has no body: it is told of its beginning all the same. */
    if (a.whole && !t.begun && !r->take(r->user, "", 0, true)) a.refused = true;
    snprintf(a.reason, sizeof a.reason, "%s", *reason ? reason : curl_easy_strerror(code));
    return a;
}

char *request_escape(Arena *a, const char *text, bool slashes)
{
    static const char KEPT[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    Buf out = buf_open(a);
    for (; *text; text++)
        if (strchr(KEPT, *text) || (slashes && *text == '/'))
            buf_add(&out, text, 1);
        else
            buf_print(&out, "%%%02X", (unsigned char)*text);
    return out.text;
}
