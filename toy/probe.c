/* Maps of one input, and where in the output the errors are. */
#include "toy/probe.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "measure/measure.h"

static const int32_t PROBE[LENGTH] = {2, 6, 0, 1, 4, 6, 3, 0, 1, 2};

static void fill_row(int32_t row[PROBE_T], const int32_t out[LENGTH])
{
    memset(row, 0, PROBE_SLOTS * sizeof *row);
    memcpy(row + PROBE_SLOTS, PROBE, sizeof PROBE);
    memcpy(row + PROBE_SLOTS + LENGTH, out, (LENGTH - 1) * sizeof *row);
}

static Map see(Arena *run, Model *m, Hooks *hooks, const int32_t row[PROBE_T])
{
    Seen *seen = NEW(run, Seen, model_layers(m, PART_DECODER));
    measure_pass(seen, run, m, hooks, PART_DECODER, &(Batch){.b = 1, .t = PROBE_T, .ids = row});
    return (Map){.seen = seen, .reserved = PROBE_SLOTS};
}

Status probe_look(Probe *p, Arena *run, Model *m, Hooks *hooks, Model *base)
{
    if (m->config.heads > PROBE_HEADS || m->config.layers != 1 || m->config.positions != PROBE_T)
        return err_fail(E_CONFIG, "a probe is of one layer with at most %d heads and %d positions", PROBE_HEADS,
                        PROBE_T);
    Arena step = arena_open(0);
    int32_t said[LENGTH], sorted[LENGTH], row[PROBE_T];
    digits_decode(said, &step, m, hooks, PROBE, 1, (DigitLayout){PROBE_SLOTS, 0});
    arena_close(&step);
    fill_row(p->token, said);
    Tensor own = see(run, m, hooks, p->token).seen->probs;
    for (int h = 0; h < m->config.heads; h++)
        for (int i = 0; i < PROBE_T * PROBE_T; i++)
            p->map[h][i / PROBE_T][i % PROBE_T] = (float)tensor_get(own, h * PROBE_T * PROBE_T + i);
    digit_task("asc")->map(PROBE, sorted);
    fill_row(row, sorted);
    p->gap = measure_change(see(run, m, hooks, row), see(run, base, NULL, row), -1).gap;
    return OK;
}

Tensor probe_content(Arena *a, const Probe *p, int head)
{
    enum { N = PROBE_T - PROBE_SLOTS };
    Tensor out = tensor_zero(a, F64, SHAPE(N, N));
    for (int i = 0; i < N; i++) {
        double mass = 0;
        for (int j = 0; j <= i; j++) mass += (double)p->map[head][i + PROBE_SLOTS][j + PROBE_SLOTS];
        for (int j = 0; j <= i; j++)
            tensor_set(out, i * N + j, (double)p->map[head][i + PROBE_SLOTS][j + PROBE_SLOTS] / mass);
    }
    return out;
}

HeatStyle probe_style(Arena *a, const Probe *p, int skip)
{
    const char **label = NEW(a, const char *, PROBE_T);
    for (int i = 0; i < PROBE_T; i++) label[i] = i < PROBE_SLOTS ? "P" : str_print(a, "%d", p->token[i]);
    Span *span = NEW(a, Span, 3);
    int input = PROBE_SLOTS - skip, output = input + LENGTH;
    span[0] = (Span){0, PROBE_SLOTS, "prefix"};
    span[1] = (Span){input, output, "input"};
    span[2] = (Span){output, PROBE_T - skip, "output"};
    return (HeatStyle){.hi = 1,
                       .row = label + skip,
                       .col = label + skip,
                       .row_span = span + (skip > 0),
                       .col_span = span + (skip > 0),
                       .row_spans = 3 - (skip > 0),
                       .col_spans = 3 - (skip > 0),
                       .causal = true};
}

void probe_places(Places *p, Model *m, const Hooks *hooks, const LabModel *l, const DigitTask *task,
                  const DigitTask *former)
{
    enum { CHUNK = 100 };
    int32_t in[CHUNK * LENGTH], said[CHUNK * LENGTH], want[LENGTH], once[LENGTH];
    int64_t wrong[LENGTH] = {0}, old[LENGTH] = {0}, all = 0, all_old = 0;
    Arena step = arena_open(0);
    for (int64_t first = 0; first < l->test; first += CHUNK) {
        int64_t b = l->test - first < CHUNK ? l->test - first : CHUNK;
        for (int64_t r = 0; r < b; r++)
            digits_draw(in + r * LENGTH, rng_stream(1, "test"), (uint64_t)(first + r), true);
        digits_decode(said, &step, m, hooks, in, b, l->layout);
        for (int64_t r = 0; r < b; r++) {
            task->map(in + r * LENGTH, want);
            former->map(in + r * LENGTH, once);
            for (int i = 0; i < LENGTH; i++) {
                int32_t token = said[r * LENGTH + i];
                wrong[i] += token != want[i];
                old[i] += token != want[i] && token == once[i];
            }
        }
    }
    arena_close(&step);
    for (int i = 0; i < LENGTH; i++) {
        p->right[i] = 1 - (double)wrong[i] / (double)l->test;
        p->former[i] = (double)old[i] / (double)l->test;
        all += wrong[i], all_old += old[i];
    }
    p->wrong = all ? (double)all_old / (double)all : (double)NAN;
}
