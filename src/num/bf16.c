/* Which way products in BF16 go, and the native one.  The descriptor of a product is made anew for every slice:
 * oneDNN keeps the code that it generated for recent ones. */
#include "num/bf16.h"

#include <omp.h>
#ifdef VERNIER_DNNL
#include <dnnl.h>
#endif

#include "base/err.h"
#include "num/half.h"
#include "num/kernels.h"

enum { PIECE = 1 << 15 }; /* elements that a thread rounds at a time */

static bool used;

void bf16_use(bool yes)
{
    used = yes;
}

bool bf16_used(void)
{
    return used;
}

bool bf16_takes(DType weight)
{
    return used && weight == BF16;
}

void bf16_round(float *to, const float *from, int64_t n)
{
#pragma omp parallel for simd schedule(static) if (n > 2 * PIECE)
    for (int64_t i = 0; i < n; i++) to[i] = bfloat_to_float(bfloat_from_float(from[i]));
}

void bf16_narrow(uint16_t *to, const float *from, int64_t n)
{
#pragma omp parallel for simd schedule(static) if (n > 2 * PIECE)
    for (int64_t i = 0; i < n; i++) to[i] = bfloat_from_float(from[i]);
}

/* ---- oneDNN's product; its third release has other descriptors, and is not used */

#if defined(VERNIER_DNNL) && DNNL_VERSION_MAJOR == 2

typedef struct {
    dnnl_memory_desc_t a, b, c;
} Shapes;

static int64_t stride_of(int64_t stride)
{
    return stride > 0 ? stride : 1;
}

static dnnl_status_t describe(dnnl_memory_desc_t *d, int64_t rows, int64_t columns, int64_t stride, bool turned,
                              dnnl_data_type_t type)
{
    return dnnl_memory_desc_init_by_strides(
        d, 2, (dnnl_dims_t){rows, columns}, type,
        (dnnl_dims_t){turned ? 1 : stride_of(stride), turned ? stride_of(stride) : 1});
}

static dnnl_engine_t engine(void)
{
    static dnnl_engine_t one;
    static bool tried;
#pragma omp critical(bf16_engine)
    if (!tried) {
        if (dnnl_engine_create(&one, dnnl_cpu, 0) != dnnl_success) one = NULL;
        tried = true;
    }
    return one;
}

static dnnl_status_t make(dnnl_primitive_t *out, const Shapes *s, double beta)
{
    dnnl_matmul_desc_t d;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t after = NULL;
    dnnl_primitive_desc_t whole = NULL;
    dnnl_status_t e = dnnl_matmul_desc_init(&d, &s->a, &s->b, NULL, &s->c);
    if (!e) e = dnnl_primitive_attr_create(&attr);
    if (!e) e = dnnl_post_ops_create(&after);
    if (!e && beta != 0) e = dnnl_post_ops_append_sum(after, 1);
    if (!e) e = dnnl_primitive_attr_set_post_ops(attr, after);
    if (!e) e = dnnl_primitive_desc_create(&whole, &d, attr, engine(), NULL);
    if (!e) e = dnnl_primitive_create(out, whole);
    if (whole) dnnl_primitive_desc_destroy(whole);
    if (after) dnnl_post_ops_destroy(after);
    if (attr) dnnl_primitive_attr_destroy(attr);
    return e;
}

static dnnl_status_t run(dnnl_primitive_t p, const Shapes *s, const void *a, const void *b, float *c)
{
    union {
        const void *in;
        void *out;
    } from[2] = {{a}, {b}}; /* oneDNN takes no const, and does not write to its inputs */
    dnnl_memory_t x = NULL, y = NULL, z = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_status_t e = dnnl_stream_create(&stream, engine(), dnnl_stream_default_flags);
    if (!e) e = dnnl_memory_create(&x, &s->a, engine(), from[0].out);
    if (!e) e = dnnl_memory_create(&y, &s->b, engine(), from[1].out);
    if (!e) e = dnnl_memory_create(&z, &s->c, engine(), c);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, y}, {DNNL_ARG_DST, z}};
    if (!e) e = dnnl_primitive_execute(p, stream, 3, args);
    if (!e) e = dnnl_stream_wait(stream);
    if (z) dnnl_memory_destroy(z);
    if (y) dnnl_memory_destroy(y);
    if (x) dnnl_memory_destroy(x);
    if (stream) dnnl_stream_destroy(stream);
    return e;
}

bool bf16_multiply(DType dtype, int64_t m, int64_t n, int64_t k, Mat a, Mat b, double beta, float *c,
                   int64_t c_stride)
{
    dnnl_data_type_t type = dtype == BF16 ? dnnl_bf16 : dnnl_f32;
    Shapes s;
    dnnl_primitive_t p = NULL;
    CHECK(beta == 0 || beta == 1, "beta is %g", beta);
    int threads = omp_get_max_threads();
    if (threads > 1) omp_set_num_threads(1); /* oneDNN starts threads of its own otherwise */
    dnnl_status_t e = describe(&s.a, m, k, a.stride, a.t, type);
    if (!e) e = describe(&s.b, k, n, b.stride, b.t, type);
    if (!e) e = describe(&s.c, m, n, c_stride, false, dnnl_f32);
    if (!e && !engine()) e = dnnl_unimplemented;
    if (!e) e = make(&p, &s, beta);
    if (!e) e = run(p, &s, a.data, b.data, c);
    if (p) dnnl_primitive_destroy(p);
    if (threads > 1) omp_set_num_threads(threads);
    return e == dnnl_success;
}

#if defined(__x86_64__)
static bool has_instructions(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512bf16");
}
#else
static bool has_instructions(void)
{
    return false;
}
#endif

/* oneDNN may still refuse, where ONEDNN_MAX_CPU_ISA tells it to; a product of ones answers. */
bool bf16_native(void)
{
    static int native = -1;
    if (kernels_are_reference()) return false;
    if (native < 0) {
        const uint16_t one[2] = {0x3f80, 0x3f80};
        float c = 0;
        const Mat row = {one, 2, false}, column = {one, 1, false};
        native = has_instructions() && bf16_multiply(BF16, 1, 1, 2, row, column, 0, &c, 1) && c > 1.5F && c < 2.5F;
    }
    return native;
}
#else
bool bf16_multiply(DType dtype, int64_t m, int64_t n, int64_t k, Mat a, Mat b, double beta, float *c,
                   int64_t c_stride)
{
    (void)dtype, (void)m, (void)n, (void)k, (void)a, (void)b, (void)beta, (void)c, (void)c_stride;
    return false;
}

bool bf16_native(void)
{
    return false;
}
#endif

const char *bf16_name(void)
{
    return bf16_native() ? "oneDNN's BF16 products" : "F32 products of rounded inputs";
}
