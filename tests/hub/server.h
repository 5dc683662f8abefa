/* A hub on the loopback, in a process of its own: repositories that differ in how they misbehave.  A request is
 * answered and its connection closed, one after the other.
 *
 *   plain      as it should be; its large file is redirected to another name of this host
 *   cut        each answer of content ends after a third, 20,000 bytes at least
 *   norange    the same, and ranges are not heeded: the third answer of a file is whole
 *   wrong      one byte of the large file differs
 *   long       the large file has a byte more than is listed
 *   busy       every second answer is 503
 *   dead       content never comes: 503
 *   secret     401 without the token
 *   gated      content is 403, with the hub's code
 *   evil       lists "../../evil"
 *   page       an HTML page in place of the list
 *   quants     two GGUF files
 *   flax       no weights that can be read
 *   sharded    an index and two shards, and a file that nobody needs */
#ifndef TESTS_HUB_SERVER_H
#define TESTS_HUB_SERVER_H

#include <arpa/inet.h>
#include <git2.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sha256.h"
#include "base/str.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define TOKEN "hf_secret"
enum { LARGE = 100000, SMALL_MOST = 64 };

typedef struct {
    pid_t pid;
    int port;
} Server;

/* What a repository holds: a name, and whether it is the large file. */
typedef struct {
    const char *path;
    bool large;
} Held;

static inline const Held *held_by(const char *repo)
{
    static const Held PLAIN[] = {{"config.json", false},
                                 {"tokenizer.json", false},
                                 {"1_Pooling/config.json", false},
                                 {"model.safetensors", true},
                                 {"README.md", false},
                                 {"pytorch_model.bin", true},
                                 {"onnx/model.onnx", true},
                                 {".gitattributes", false},
                                 {"empty name.txt", false},
                                 {"merges.txt", false},
                                 {0}};
    static const Held EVIL[] = {{"config.json", false}, {"../../evil", false}, {"model.safetensors", true}, {0}};
    static const Held QUANTS[] = {{"a.Q4_0.gguf", true}, {"a.Q8_0.gguf", true}, {0}};
    static const Held FLAX[] = {{"config.json", false}, {"flax_model.msgpack", true}, {0}};
    static const Held SHARDED[] = {{"config.json", false},
                                   {"model.safetensors.index.json", false},
                                   {"model-00001-of-00002.safetensors", true},
                                   {"model-00002-of-00002.safetensors", true},
                                   {"original/consolidated.00.pth", true},
                                   {0}};
    return !strcmp(repo, "evil")      ? EVIL
           : !strcmp(repo, "quants")  ? QUANTS
           : !strcmp(repo, "flax")    ? FLAX
           : !strcmp(repo, "sharded") ? SHARDED
                                      : PLAIN;
}

/* The bytes of a file: a function of its path. */
static inline size_t content(char *out, const Held *f)
{
    if (!f->large) return (size_t)snprintf(out, SMALL_MOST, "{\"path\": \"%s\"}", f->path);
    for (size_t i = 0; i < LARGE; i++)
        out[i] = (char)(i * 2654435761u >> 13 ^ (unsigned char)f->path[i % strlen(f->path)]);
    return LARGE;
}

static inline void reply(int fd, const char *status, const char *headers, const char *body, size_t n)
{
    char head[1024];
    int k = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nConnection: close\r\n%s\r\n", status, headers);
    if (send(fd, head, (size_t)k, MSG_NOSIGNAL) == k)
        for (ssize_t sent; n && (sent = send(fd, body, n, MSG_NOSIGNAL)) > 0; n -= (size_t)sent) body += sent;
}

static inline void reply_list(int fd, Arena *a, const char *repo)
{
    static char bytes[LARGE + 1];
    Buf b = buf_open(a);
    buf_print(&b, "{\"id\": \"org/%s\", \"sha\": \"%s\", \"siblings\": [", repo, COMMIT);
    for (const Held *f = held_by(repo); f->path; f++) {
        size_t n = content(bytes, f);
        buf_print(&b, "%s{\"rfilename\": \"%s\", \"size\": %zu, ", f == held_by(repo) ? "" : ", ", f->path, n);
        if (f->large) {
            Sha256 sum = sha256_begin();
            sha256_add(&sum, bytes, n);
            buf_print(&b, "\"lfs\": {\"sha256\": \"%s\", \"size\": %zu, \"pointerSize\": 134}}", sha256_end(&sum).hex,
                      n);
        } else {
            git_oid id;
            git_odb_hash(&id, bytes, n, GIT_OBJECT_BLOB);
            buf_print(&b, "\"blobId\": \"%s\"}", git_oid_tostr_s(&id));
        }
    }
    buf_print(&b, "]}");
    reply(fd, "200 OK", str_print(a, "Content-Length: %zu\r\n", b.len), b.text, b.len);
}

static inline void reply_file(int fd, Arena *a, const char *repo, const Held *f, int64_t from, int count)
{
    static char bytes[LARGE + 1];
    size_t n = content(bytes, f), whole = n;
    bool cut = f->large && (!strcmp(repo, "cut") || (!strcmp(repo, "norange") && count % 3 != 2));
    if (!strcmp(repo, "wrong") && f->large) bytes[LARGE / 2] ^= 1;
    if (!strcmp(repo, "long") && f->large) bytes[n++] = 'x', whole = n;
    if (!strcmp(repo, "norange")) from = 0;
    if (from >= (int64_t)n && n) {
        reply(fd, "416 Range Not Satisfiable", "Content-Length: 0\r\n", "", 0);
        return;
    }
    size_t rest = n - (size_t)from, sent = cut ? (rest / 3 > 20000 ? rest / 3 : rest < 20000 ? rest : 20000) : rest;
    const char *range =
        from ? str_print(a, "Content-Range: bytes %lld-%zu/%zu\r\n", (long long)from, n - 1, whole) : "";
    reply(fd, from ? "206 Partial Content" : "200 OK", str_print(a, "Content-Length: %zu\r\n%s", rest, range),
          bytes + from, sent);
}

static inline void answer_request(int fd, Arena *a, int port, int count)
{
    char text[8192] = "", repo[32] = "", path[256] = "";
    size_t have = 0;
    for (ssize_t n; have < sizeof text - 1 && !strstr(text, "\r\n\r\n"); text[have += (size_t)n] = 0)
        if ((n = recv(fd, text + have, sizeof text - 1 - have, 0)) <= 0) return;
    const char *token = strstr(text, "Authorization: Bearer "), *range = strstr(text, "Range: bytes=");
    bool other = strstr(text, "Host: localhost") != NULL;
    int64_t from = range ? strtoll(range + 13, NULL, 10) : 0;
    bool listing = sscanf(text, "GET /api/models/org/%31[a-z]/revision/%255[^? ]", repo, path) == 2;
    bool known = strcmp(repo, "nothing") != 0;
    if (!listing && sscanf(text, "GET /org/%31[a-z]/resolve/" COMMIT "/%255[^ ]", repo, path) != 2) known = false;
    if (other && token) {
        reply(fd, "500 The token went to another host", "Content-Length: 0\r\n", "", 0);
    } else if (!known || (listing && strcmp(path, "main") && strcmp(path, COMMIT) && strcmp(path, "refs%2Fpr%2F1"))) {
        reply(fd, "404 Not Found",
              str_print(a, "Content-Length: 0\r\nX-Error-Code: %s\r\n", known ? "RevisionNotFound" : "RepoNotFound"),
              "", 0);
    } else if (!strcmp(repo, "secret") && !other && (!token || strncmp(token + 22, TOKEN "\r", sizeof TOKEN))) {
        reply(fd, "401 Unauthorized", "Content-Length: 0\r\nX-Error-Code: RepoNotFound\r\n", "", 0);
    } else if ((!strcmp(repo, "busy") && count % 2 == 0) || (!strcmp(repo, "dead") && !listing)) {
        reply(fd, "503 Busy", "Content-Length: 4\r\n", "busy", 4);
    } else if (!strcmp(repo, "page")) {
        reply(fd, "200 OK", "Content-Length: 22\r\n", "<html>Sign in</html>\r\n", 22);
    } else if (listing) {
        reply_list(fd, a, repo);
    } else if (!strcmp(repo, "gated")) {
        reply(fd, "403 Forbidden", "Content-Length: 0\r\nX-Error-Code: GatedRepo\r\n", "", 0);
    } else {
        for (char *c = path; (c = strstr(c, "%20")) != NULL;) memmove(c + 1, c + 3, strlen(c + 2)), *c = ' ';
        const Held *f = held_by(repo);
        while (f->path && strcmp(f->path, path)) f++;
        if (!f->path)
            reply(fd, "404 Not Found", "Content-Length: 0\r\nX-Error-Code: EntryNotFound\r\n", "", 0);
        else if (f->large && !other && !strcmp(repo, "plain"))
            reply(fd, "302 Found",
                  str_print(a,
                            "Content-Length: 0\r\nLocation: http://localhost:%d/org/plain/resolve/" COMMIT "/%s\r\n",
                            port, path),
                  "", 0);
        else
            reply_file(fd, a, repo, f, from, count);
    }
}

static inline Server server_start(void)
{
    Server s = {0};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, n) || listen(fd, 8) || getsockname(fd, (struct sockaddr *)&at, &n))
        return s;
    s.port = ntohs(at.sin_port);
    s.pid = fork();
    if (s.pid) {
        close(fd);
        return s;
    }
    git_libgit2_init();
    for (int count = 0;; count++) {
        Arena a = arena_open(1 << 22);
        int one = accept(fd, NULL, NULL);
        if (one >= 0) answer_request(one, &a, s.port, count), close(one);
        arena_close(&a);
    }
}

static inline void server_stop(Server s)
{
    kill(s.pid, SIGKILL);
    waitpid(s.pid, NULL, 0);
}

#endif
