/* Cuts a product into slices, runs them in parallel, and lets a library do each alone: oneDNN in F32 where the build
 * found it (a quarter faster than OpenBLAS on sides of a hundred, a sixth on those of RoBERTa), else OpenBLAS.
 *
 * The cut is a function of (m, n, k) only.  The longer side of C is cut and k never is, so every element of C is
 * summed by one thread in one order.  A slice makes the library pack the uncut operand once more: slices of 256 rows
 * lose 5 to 8 % of one core's rate against the whole product, slices of 128 rows 10 to 20 %; four slices of 512 rows
 * make a forward pass of RoBERTa-base on two cores 5 to 10 % faster than eight of 256.  Hence a power of two of
 * slices, each of at least 512 rows (96 when there are only two) and 2^22 multiplications, below which waking a
 * thread does not pay either. */
#include "num/gemm.h"

#include <cblas.h>
#ifdef VERNIER_DNNL
#include <dnnl.h>
#include <omp.h>
#endif

#include "base/err.h"
#include "num/bf16.h"
#include "num/profile.h"

enum { SLICES = 16, LENGTH = 512, SHORTEST = 96, ALIGN = 16, GRAIN = 1 << 22 };

/* ---- one slice */

#define REFERENCE(name, REAL)                                                                                        \
    static void name(int64_t m, int64_t n, int64_t k, double alpha, Mat a, Mat b, double beta, REAL *c, int64_t ldc) \
    {                                                                                                                \
        const REAL *x = a.data, *y = b.data;                                                                         \
        for (int64_t i = 0; i < m; i++) {                                                                            \
            for (int64_t j = 0; j < n; j++) {                                                                        \
                double sum = 0;                                                                                      \
                for (int64_t p = 0; p < k; p++)                                                                      \
                    sum += (double)x[a.t ? p * a.stride + i : i * a.stride + p] *                                    \
                           (double)y[b.t ? j * b.stride + p : p * b.stride + j];                                     \
                c[i * ldc + j] = (REAL)(alpha * sum + (beta != 0 ? beta * (double)c[i * ldc + j] : 0));              \
            }                                                                                                        \
        }                                                                                                            \
    }
REFERENCE(reference_f32, float)
REFERENCE(reference_f64, double)

/* Of C: inputs in BF16 have sums in F32. */
static DType dtype_of_sums(DType dtype)
{
    return dtype == BF16 ? F32 : dtype;
}

static void scale_c(DType dtype, int64_t m, int64_t n, double beta, void *c, int64_t ldc)
{
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < n; j++) {
            if (dtype == F32) {
                float *e = (float *)c + i * ldc + j;
                *e = beta != 0 ? (float)beta * *e : 0;
            } else {
                double *e = (double *)c + i * ldc + j;
                *e = beta != 0 ? beta * *e : 0;
            }
        }
    }
}

/* BLAS wants strides of at least 1 even where nothing is read. */
static blasint stride_of(int64_t stride)
{
    return stride > 0 ? (blasint)stride : 1;
}

#ifdef VERNIER_DNNL
const char *gemm_name(void)
{
    return "oneDNN";
}

/* oneDNN starts threads of its own unless it is called on one of several; the setting below is the calling task's. */
static void sgemm(int64_t m, int64_t n, int64_t k, double alpha, Mat a, Mat b, double beta, float *c, int64_t ldc)
{
    int threads = omp_get_max_threads();
    if (threads > 1) omp_set_num_threads(1);
    dnnl_status_t status = dnnl_sgemm(a.t ? 'T' : 'N', b.t ? 'T' : 'N', m, n, k, (float)alpha, a.data,
                                      stride_of(a.stride), b.data, stride_of(b.stride), (float)beta, c, ldc);
    CHECK(status == dnnl_success, "oneDNN refuses a product of (%lld,%lld) and (%lld,%lld): status %d", (long long)m,
          (long long)k, (long long)k, (long long)n, (int)status);
    if (threads > 1) omp_set_num_threads(threads);
}
#else
const char *gemm_name(void)
{
    return "OpenBLAS";
}

static void sgemm(int64_t m, int64_t n, int64_t k, double alpha, Mat a, Mat b, double beta, float *c, int64_t ldc)
{
    cblas_sgemm(CblasRowMajor, a.t ? CblasTrans : CblasNoTrans, b.t ? CblasTrans : CblasNoTrans, (blasint)m,
                (blasint)n, (blasint)k, (float)alpha, a.data, stride_of(a.stride), b.data, stride_of(b.stride),
                (float)beta, c, stride_of(ldc));
}
#endif

static void dgemm(int64_t m, int64_t n, int64_t k, double alpha, Mat a, Mat b, double beta, double *c, int64_t ldc)
{
    cblas_dgemm(CblasRowMajor, a.t ? CblasTrans : CblasNoTrans, b.t ? CblasTrans : CblasNoTrans, (blasint)m,
                (blasint)n, (blasint)k, alpha, a.data, stride_of(a.stride), b.data, stride_of(b.stride), beta, c,
                stride_of(ldc));
}

void gemm_serial(DType dtype, int64_t m, int64_t n, int64_t k, double alpha, Mat a, Mat b, double beta, void *c,
                 int64_t ldc)
{
    if (m <= 0 || n <= 0) return;
    if (k <= 0) {
        scale_c(dtype_of_sums(dtype), m, n, beta, c, ldc);
    } else if (dtype == BF16) {
        bool done = alpha == 1 && bf16_multiply(dtype, m, n, k, a, b, beta, c, ldc);
        CHECK(done, "no product of (%lld,%lld) and (%lld,%lld) in BF16", (long long)m, (long long)k, (long long)k,
              (long long)n);
    } else if (kernels_are_reference()) {
        if (dtype == F32)
            reference_f32(m, n, k, alpha, a, b, beta, c, ldc);
        else
            reference_f64(m, n, k, alpha, a, b, beta, c, ldc);
    } else if (dtype == F32) {
        sgemm(m, n, k, alpha, a, b, beta, c, ldc);
    } else {
        dgemm(m, n, k, alpha, a, b, beta, c, ldc);
    }
}

/* ---- the cut */

static const void *skip(DType dtype, const void *data, int64_t elements)
{
    return data ? (const char *)data + (size_t)elements * dtype_size(dtype) : NULL;
}

static int64_t slice_count(int64_t m, int64_t n, int64_t k, int64_t length)
{
    double most = (double)m * (double)n * (double)k / GRAIN;
    if (most > SLICES) most = SLICES;
    int64_t slices = most >= 2 && length >= 2 * SHORTEST ? 2 : 1;
    while (2 * slices <= (int64_t)most && 2 * slices * LENGTH <= length) slices *= 2;
    return slices;
}

static void multiply(DType dtype, int64_t m, int64_t n, int64_t k, double alpha, Mat a, Mat b, double beta, void *c,
                     int64_t ldc)
{
    bool rows = m >= n;
    int64_t length = rows ? m : n, slices = slice_count(m, n, k, length);
    int64_t each = (length + slices * ALIGN - 1) / (slices * ALIGN) * ALIGN;
    if (slices == 1) {
        gemm_serial(dtype, m, n, k, alpha, a, b, beta, c, ldc);
        return;
    }
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t s = 0; s < slices; s++) {
        int64_t first = s * each, len = first + each < length ? each : length - first;
        if (len <= 0) continue;
        Mat p = a, q = b;
        if (rows) {
            p.data = skip(dtype, a.data, a.t ? first : first * a.stride);
            gemm_serial(dtype, len, n, k, alpha, p, q, beta, (void *)skip(dtype_of_sums(dtype), c, first * ldc), ldc);
        } else {
            q.data = skip(dtype, b.data, b.t ? first * b.stride : first);
            gemm_serial(dtype, m, len, k, alpha, p, q, beta, (void *)skip(dtype_of_sums(dtype), c, first), ldc);
        }
    }
}

void gemm_parallel(DType dtype, int64_t m, int64_t n, int64_t k, double alpha, Mat a, Mat b, double beta, void *c,
                   int64_t ldc)
{
    CHECK(dtype == F32 || dtype == F64 || dtype == BF16, "no matrix product for %s", dtype_name(dtype));
    double start = profile_enter();
    multiply(dtype, m, n, k, alpha, a, b, beta, c, ldc);
    profile_leave(PROFILE_PRODUCTS, start);
}
