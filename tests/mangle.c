/* Damaged files through the commands: the driver of tests/mangle, which makes the inputs.
 *
 *   mangle PLAN TIMES SEED
 *
 * PLAN has a line for each pair of a file and a command: FILE, a tab, the command with its arguments apart by
 * tabs. Undamaged, every command must end with 0.  Each round takes the next line, changes FILE in one to four
 * places (bits, bytes, numbers, cuts, repeats, foreign bytes; a function of SEED and the round alone), runs the
 * command and puts FILE back.  A command may end with 0, 1 or 3.  A fault is a signal, another exit code (2 is for
 * the command line, which is in order here), a sanitizer's report, more than ten seconds, or a control
 * character in the output.  A fault is printed with its round, and the damaged file stays as FILE.ROUND.  The last
 * line is "N passed, M failed". */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"

enum { WORDS = 40, LINES = 256, PRINTED = 1 << 20, SECONDS = 10 };

typedef struct {
    const char *file, *word[WORDS + 1];
} Line;

typedef struct {
    uint64_t stream, index;
} Draws;

static uint64_t draw(Draws *d, uint64_t below)
{
    return below ? (uint64_t)(rng_uniform(d->stream, d->index++) * (double)below) % below : 0;
}

static int read_plan(Line *line, Arena *a, const char *path)
{
    Bytes plan;
    CHECK(!file_read(&plan, a, path), "%s", err_message());
    int n = 0;
    for (char *at, *rest = plan.text; n < LINES && (at = strsep(&rest, "\n"));) {
        if (!*at) continue;
        line[n].file = strsep(&at, "\t");
        for (int w = 0; at && w < WORDS; w++) line[n].word[w] = strsep(&at, "\t");
        n += line[n].word[0] != NULL;
    }
    return n;
}

/* --------------------------------------------------------------------------- damage */

/* Room for insertions: a repeat or a foreign word is at most 64 bytes, four times a round. */
typedef struct {
    char *text;
    size_t len;
} Damaged;

static void put_in(Damaged *d, size_t at, const char *bytes, size_t n)
{
    memmove(d->text + at + n, d->text + at, d->len - at);
    memcpy(d->text + at, bytes, n);
    d->len += n;
}

static void take_out(Damaged *d, size_t at, size_t n)
{
    if (n > d->len - at) n = d->len - at;
    memmove(d->text + at, d->text + at + n, d->len - at - n);
    d->len -= n;
}

/* The first digit at or behind `at` begins another number. */
static void change_number(Damaged *d, size_t at, const char *number)
{
    while (at < d->len && (d->text[at] < '0' || d->text[at] > '9')) at++;
    size_t end = at;
    while (end < d->len && d->text[end] >= '0' && d->text[end] <= '9') end++;
    take_out(d, at, end - at);
    put_in(d, at, number, strlen(number));
}

static void damage_once(Damaged *d, Draws *r)
{
    static const char *const foreign[] = {
        "\"",           "{",        "}", "[",    "]",   "\n",           ",",  "\t", "\\",  "\xff",
        "\xef\xbb\xbf", "\x1b[31m", "-", "null", "NaN", "\xe2\x80\xae", "\r", ":",  "../", "\\u0000"};
    static const char *const number[] = {"-1",         "0",          "1e999", "99999999999999999999",
                                         "2147483648", "4294967295", "65536", "0.5"};
    size_t at = draw(r, d->len + 1), n = 1 + draw(r, 64);
    char piece[64];
    if (n > d->len - at) n = d->len - at;
    switch (draw(r, 9)) {
    case 0:
        if (at < d->len) d->text[at] = (char)(d->text[at] ^ (1 << draw(r, 8)));
        break;
    case 1:
        if (at < d->len) d->text[at] = (char)draw(r, 256);
        break;
    case 2: d->len = at; break;
    case 3: take_out(d, at, n); break;
    case 4:
        memcpy(piece, d->text + at, n);
        put_in(d, draw(r, d->len + 1), piece, n);
        break;
    case 5: memset(d->text + at, draw(r, 2) ? 0 : 0xff, n); break;
    case 6: change_number(d, at, number[draw(r, sizeof number / sizeof *number)]); break;
    default: {
        const char *word = foreign[draw(r, sizeof foreign / sizeof *foreign)];
        put_in(d, at, word, strlen(word));
    }
    }
}

/* ------------------------------------------------------------------------- one round */

typedef struct {
    int how; /* as of wait() */
    bool hung;
    size_t len;
    char text[PRINTED + 1]; /* the text of both streams */
} Answer;

static pid_t start(char *const *word, int *out)
{
    int ends[2];
    CHECK(!pipe2(ends, O_CLOEXEC), "pipe: %s", strerror(errno));
    pid_t pid = fork();
    CHECK(pid >= 0, "fork: %s", strerror(errno));
    if (!pid) {
        int nothing = open("/dev/null", O_RDONLY);
        setpgid(0, 0);
        dup2(nothing, 0);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        execv(word[0], word);
        _exit(127);
    }
    close(ends[1]);
    *out = ends[0];
    return pid;
}

static void answer_of(Answer *a, char *const *word)
{
    int out;
    pid_t pid = start(word, &out);
    time_t end = time(NULL) + SECONDS + 1;
    a->len = 0;
    a->hung = false;
    for (;;) {
        struct pollfd fd = {.fd = out, .events = POLLIN};
        int left = (int)(end - time(NULL));
        if (left <= 0 || poll(&fd, 1, 1000 * left) == 0) {
            a->hung = true;
            break;
        }
        char more[4096];
        ssize_t n = read(out, more, sizeof more);
        if (n <= 0) break;
        if (a->len + (size_t)n > PRINTED) n = (ssize_t)(PRINTED - a->len);
        memcpy(a->text + a->len, more, (size_t)n);
        a->len += (size_t)n;
    }
    a->text[a->len] = 0;
    close(out);
    while (!a->hung && !waitpid(pid, &a->how, WNOHANG)) { /* its streams are closed, it may still be about to end */
        a->hung = time(NULL) > end;
        poll(NULL, 0, 1);
    }
    if (!a->hung) return;
    kill(-pid, SIGKILL);
    waitpid(pid, &a->how, 0);
}

static const char *fault(const Answer *a)
{
    if (a->hung) return "no end within ten seconds";
    if (strstr(a->text, "Sanitizer") || strstr(a->text, "runtime error:")) return "a sanitizer's report";
    if (WIFSIGNALED(a->how)) return strsignal(WTERMSIG(a->how));
    if (WIFEXITED(a->how) && WEXITSTATUS(a->how) > 3) return "an exit code above 3";
    if (WIFEXITED(a->how) && WEXITSTATUS(a->how) == 2) return "exit code 2, which is for errors of the command line";
    for (size_t i = 0; i < a->len; i++) {
        unsigned char c = (unsigned char)a->text[i];
        if ((c < 32 && c != '\n' && c != '\t') || c == 127) return "a control character in its output";
    }
    return NULL;
}

/* A command that writes does so below out/, which is empty before each round. */
static void clear_out(const Line *l)
{
    bool writes = false;
    for (const char *const *w = l->word; *w; w++) writes |= !strncmp(*w, "out/", 4);
    if (writes) CHECK(!system("rm -rf out && mkdir out"), "out/ cannot be emptied");
}

/* True when the answer to this damage is in order. */
static bool round_of(const Line *l, Arena *scratch, Answer *answer, uint64_t seed, int64_t round)
{
    ArenaMark mark = arena_mark(scratch);
    Bytes whole;
    CHECK(!file_read(&whole, scratch, l->file), "%s", err_message());
    Damaged d = {arena_take(scratch, whole.len + 4096), whole.len};
    memcpy(d.text, whole.text, whole.len);
    Draws r = {rng_stream(seed, str_print(scratch, "mangle %lld", (long long)round)), 0};
    for (uint64_t left = 1 + draw(&r, 4); left-- > 0;) damage_once(&d, &r);
    CHECK(!file_write(l->file, d.text, d.len), "%s", err_message());
    clear_out(l);
    answer_of(answer, (char *const *)l->word);
    const char *wrong = fault(answer);
    if (wrong) {
        const char *kept = str_print(scratch, "%s.%lld", l->file, (long long)round);
        CHECK(!file_write(kept, d.text, d.len), "%s", err_message());
        printf("round %lld: %s: %s:", (long long)round, kept, wrong);
        for (const char *const *w = l->word; *w; w++) printf(" %s", *w);
        printf("\n");
        fflush(stdout);
    }
    CHECK(!file_write(l->file, whole.text, whole.len), "%s", err_message());
    arena_drop(scratch, mark);
    return !wrong;
}

int main(int argc, char **argv)
{
    static Line line[LINES];
    static Answer answer;
    CHECK(argc == 4, "usage: mangle PLAN TIMES SEED");
    Arena a = arena_open((size_t)1 << 32);
    int n = read_plan(line, &a, argv[1]);
    CHECK(n > 0, "%s: holds no line", argv[1]);
    int64_t times = strtoll(argv[2], NULL, 10), good = 0, ended[4] = {0};
    uint64_t seed = strtoull(argv[3], NULL, 10);
    for (int i = 0; i < n; i++) {
        clear_out(line + i);
        answer_of(&answer, (char *const *)line[i].word);
        CHECK(WIFEXITED(answer.how) && !WEXITSTATUS(answer.how),
              "line %d of the plan (%s) does not run undamaged: %s", i + 1, line[i].file, answer.text);
    }
    for (int64_t i = 0; i < times; i++) {
        good += round_of(line + i % n, &a, &answer, seed, i);
        if (WIFEXITED(answer.how) && WEXITSTATUS(answer.how) < 4) ended[WEXITSTATUS(answer.how)]++;
    }
    for (int i = 0; i < 4; i++) printf("exit code %d: %lld\n", i, (long long)ended[i]);
    printf("%lld passed, %lld failed\n", (long long)good, (long long)(times - good));
    arena_close(&a);
    return good != times;
}
