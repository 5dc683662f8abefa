/* Shared by the cells of all notebooks: the public header of libvernier, and a frame in which a cell is one function.
 *
 *     static Status cell(Arena *run)
 *     {
 *         TRY(expect(1 + 1 == 2, "one and one make two"));
 *         return OK;
 *     }
 *
 * The function may call everything in <vernier.h>.  `run` is memory that lasts as long as the cell.  TRY(call) passes
 * an error on, and main() below prints it. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vernier.h>

static Status cell(Arena *run);

/* A claim of the text, checked: prints it, or ends the cell with it. */
__attribute__((format(printf, 2, 3))) static inline Status expect(bool holds, const char *claim,
                                                                  ...)
{
    char text[500];
    va_list args;
    va_start(args, claim);
    vsnprintf(text, sizeof text, claim, args);
    va_end(args);
    if (!holds) return err_fail(E_NUMERIC, "not supported: %s", text);
    printf("checked: %s\n", text);
    return OK;
}

/* A tensor of normal random numbers, always the same ones for a name. */
static inline Tensor random_tensor(Arena *run, const char *name, int rank, const int64_t *dim)
{
    Tensor x = tensor_new(run, F64, rank, dim);
    uint64_t stream = rng_stream(1, name);
    for (int64_t i = 0; i < tensor_count(x); i++) tensor_set(x, i, rng_normal(stream, (uint64_t)i));
    return x;
}

/* Opens a figure of w by h points that becomes NAME.png and NAME.svg.  NAME is a path, "run/tensor/slope". */
static inline Fig *figure(Arena *run, const char *name, double w, double h)
{
    const char *slash = strrchr(name, '/');
    (void)file_make_dir(slash ? str_copy(run, name, (size_t)(slash - name)) : ".");
    return fig_open(str_print(run, "%s.svg,png", name), w, h);
}

/* Writes the figure, and prints where it is with its caption. */
static inline Status show(Fig *f, const char *name, const char *caption)
{
    TRY(fig_close(f));
    printf("Figure %s.png: %s\n", name, caption);
    return OK;
}

int main(void)
{
    Arena run = arena_open(0);
    Status status = cell(&run);
    fflush(stdout);
    if (status) fprintf(stderr, "error: %s\n", err_message());
    return err_exit_status(status);
}
