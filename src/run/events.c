/* Event files of TensorBoard.  A file is a row of TFRecords, each
 *
 *     uint64 length, uint32 masked CRC-32C of the length, the bytes, uint32 masked CRC-32C of the bytes
 *
 * in little-endian order, and its bytes are a protocol buffer: the message Event {double wall_time = 1;
 * int64 step = 2; string file_version = 3; Summary summary = 5}, where Summary {repeated Value value = 1} and
 * Value {string tag = 1; float simple_value = 2}.  The first event names the version.  Few fields need few lines, so
 * neither protobuf nor TensorFlow is linked. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "run/log.h"
#include "run/logs.h"

#define VERSION "brain.Event:2"
#define FILE_NAME "events.out.tfevents.0.vernier"

/* ---- TFRecord */

/* Castagnoli's polynomial, reflected, a bit at a time: records are short. */
static uint32_t crc32c(const unsigned char *bytes, size_t n)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
    }
    return ~crc;
}

/* A checksum of data that contain checksums would be weak: the format rotates it and adds a constant. */
static uint32_t masked(const char *bytes, size_t n)
{
    uint32_t crc = crc32c((const unsigned char *)bytes, n);
    return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

static void add_fixed(Buf *b, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++) buf_add(b, &(char){(char)(x >> (8 * i) & 0xFF)}, 1);
}

static void add_record(Buf *b, const Buf *event)
{
    size_t start = b->len;
    add_fixed(b, event->len, 8);
    add_fixed(b, masked(b->text + start, 8), 4);
    buf_add(b, event->text, event->len);
    add_fixed(b, masked(event->text, event->len), 4);
}

/* ---- protocol buffers */

typedef enum { WIRE_VARINT = 0, WIRE_DOUBLE = 1, WIRE_BYTES = 2, WIRE_FLOAT = 5 } Wire;

static void add_varint(Buf *b, uint64_t x)
{
    for (; x >= 0x80; x >>= 7) add_fixed(b, x | 0x80, 1);
    add_fixed(b, x, 1);
}

static void add_key(Buf *b, unsigned field, Wire wire)
{
    add_varint(b, field << 3 | wire);
}

static void add_bytes(Buf *b, unsigned field, const char *bytes, size_t n)
{
    add_key(b, field, WIRE_BYTES);
    add_varint(b, n);
    buf_add(b, bytes, n);
}

/* The time is the step, so that equal trainings leave equal files. */
static Buf event_of(Arena *a, int64_t step)
{
    Buf b = buf_open(a);
    double time = (double)step;
    uint64_t bits;
    memcpy(&bits, &time, sizeof bits);
    add_key(&b, 1, WIRE_DOUBLE);
    add_fixed(&b, bits, 8);
    if (step) {
        add_key(&b, 2, WIRE_VARINT);
        add_varint(&b, (uint64_t)step);
    }
    return b;
}

static void add_header(Buf *out, Arena *a)
{
    Buf event = event_of(a, 0);
    add_bytes(&event, 3, VERSION, strlen(VERSION));
    add_record(out, &event);
}

static void add_scalar(Buf *summary, Arena *a, const char *tag, double x)
{
    Buf value = buf_open(a);
    float single = isnan(x) ? (float)NAN : (float)x; /* of the many NaNs one */
    uint32_t bits;
    memcpy(&bits, &single, sizeof bits);
    add_bytes(&value, 1, tag, strlen(tag));
    add_key(&value, 2, WIRE_FLOAT);
    add_fixed(&value, bits, 4);
    add_bytes(summary, 1, value.text, value.len);
}

/* Tags are those of the Transformers library where it has them: train/loss, train/learning_rate, eval/f1. */
static void add_event(Buf *out, Arena *a, const LogLine *l)
{
    const char *phase = !strcmp(l->phase, "tuning") ? "train" : !strcmp(l->phase, "validation") ? "eval" : l->phase;
    Buf event = event_of(a, l->step), summary = buf_open(a);
    for (int k = 0; k < l->n; k++)
        add_scalar(&summary, a, str_print(a, "%s/%s", phase, strcmp(l->name[k], "lr") ? l->name[k] : "learning_rate"),
                   l->value[k]);
    if (!l->n) return;
    add_bytes(&event, 5, summary.text, summary.len);
    add_record(out, &event);
}

/* ---- files */

static const char *place_of(Arena *a, const char *dir, int job)
{
    return job < 0 ? str_print(a, "%s/" LOGS_EVENTS, dir) : str_print(a, "%s/" LOGS_EVENTS "/job-%d", dir, job);
}

/* The lines of one job, or with -1 those of none. */
static Status write_job(Arena *a, const char *dir, const LogLine *line, int64_t n, int job)
{
    const char *place = place_of(a, dir, job);
    ArenaMark mark = arena_mark(a);
    Buf out = buf_open(a);
    add_header(&out, a);
    for (int64_t i = 0; i < n; i++)
        if (line[i].job == job) add_event(&out, a, line + i);
    TRY(file_make_dir(place));
    Status wrote = file_write(str_print(a, "%s/" FILE_NAME, place), out.text, out.len);
    arena_drop(a, mark);
    return wrote;
}

Status logs_events(Arena *a, const char *dir)
{
    LogLine *line;
    int64_t n;
    int jobs = 0;
    bool alone = false;
    TRY(log_read(&line, &n, a, str_print(a, "%s/metrics.jsonl", dir)));
    for (int64_t i = 0; i < n; i++) {
        alone |= line[i].job < 0;
        if (line[i].job >= jobs) jobs = line[i].job + 1;
    }
    if (alone || !n) TRY(write_job(a, dir, line, n, -1));
    for (int job = 0; job < jobs; job++) TRY(write_job(a, dir, line, n, job));
    return OK;
}

Status events_open(LiveEvents *e, Arena *a, const char *dir)
{
    const char *path = str_print(a, "%s/" FILE_NAME, place_of(a, dir, -1));
    events_close(e);
    TRY(logs_events(a, dir));
    e->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    return e->fd < 0 ? err_fail(E_IO, "%s: %s", path, strerror(errno)) : OK;
}

void events_add(LiveEvents *e, Arena *a, const char *phase, int64_t step, int n, const char *const *name,
                const double *value)
{
    if (e->fd < 0) return;
    ArenaMark mark = arena_mark(a);
    Buf out = buf_open(a);
    add_event(&out, a, &(LogLine){-1, phase, step, n, name, value});
    const int fd = e->fd;
    if (write(fd, out.text, out.len) != (ssize_t)out.len && !e->error) e->error = errno ? errno : ENOSPC;
    arena_drop(a, mark);
}

void events_close(LiveEvents *e)
{
    if (e->fd >= 0) close(e->fd);
    e->fd = -1;
}
