/* dgesdd (divide and conquer) for singular values, dgelsd for least squares.
 *
 * A row-major (M,N) matrix read by columns is its transpose: dgesdd of that returns the factors of m' = v s u',
 * whose column-major arrays, read by rows, are exactly u and v' of m.  So nothing is transposed for the SVD. */
#include "num/linalg.h"

#include <math.h>
#include <string.h>

/* The Fortran interface; LAPACK's integers are 32 bits wide in Debian's OpenBLAS. */
void dgesdd_(const char *job, const int *m, const int *n, double *a, const int *lda, double *s, double *u,
             const int *ldu, double *vt, const int *ldvt, double *work, const int *lwork, int *iwork, int *info);
void dgelsd_(const int *m, const int *n, const int *nrhs, double *a, const int *lda, double *b, const int *ldb,
             double *s, const double *rcond, int *rank, double *work, const int *lwork, int *iwork, int *info);
void dposv_(const char *triangle, const int *n, const int *nrhs, double *a, const int *lda, double *b, const int *ldb,
            int *info);

static int as_int(int64_t n)
{
    CHECK(n <= INT32_MAX, "a matrix dimension of %lld", (long long)n);
    return (int)n;
}

static Status decompose(Svd *out, Arena *arena, Tensor m, bool vectors)
{
    CHECK(m.rank == 2 && m.dtype != I32, "svd: expected a float matrix, got %s %s", dtype_name(m.dtype),
          tensor_shape(m));
    TRY(tensor_finite(m, "svd of "));
    int rows = as_int(m.dim[0]), cols = as_int(m.dim[1]), k = rows < cols ? rows : cols;
    Svd r = {.s = tensor_zero(arena, F64, SHAPE(k))};
    if (vectors) {
        r.u = tensor_new(arena, F64, SHAPE(rows, k));
        r.vt = tensor_new(arena, F64, SHAPE(k, cols));
    }
    *out = r;
    if (k == 0) return OK;
    ArenaMark mark = arena_mark(arena);
    Tensor a = tensor_cast(arena, m, F64); /* overwritten */
    int *iwork = arena_take(arena, sizeof *iwork * 8 * (size_t)k), query = -1, info = 0;
    double size, dummy;
    double *left = vectors ? r.vt.data : &dummy, *right = vectors ? r.u.data : &dummy; /* m' = v s u' */
    const char *job = vectors ? "S" : "N";
    dgesdd_(job, &cols, &rows, a.data, &cols, r.s.data, left, &cols, right, &k, &size, &query, iwork, &info);
    int lwork = (int)size;
    double *work = arena_take(arena, sizeof *work * (size_t)lwork);
    dgesdd_(job, &cols, &rows, a.data, &cols, r.s.data, left, &cols, right, &k, work, &lwork, iwork, &info);
    arena_drop(arena, mark);
    if (info) return err_fail(E_NUMERIC, "svd of %s did not converge (dgesdd info %d)", tensor_shape(m), info);
    return OK;
}

Status linalg_svd(Svd *out, Arena *arena, Tensor m)
{
    return decompose(out, arena, m, true);
}

Status linalg_singular(Tensor *s, Arena *arena, Tensor m)
{
    Svd r;
    TRY(decompose(&r, arena, m, false));
    *s = r.s;
    return OK;
}

int64_t linalg_rank(Tensor s, double relative)
{
    int64_t n = tensor_count(s), rank = 0;
    while (rank < n && tensor_get(s, rank) > relative * tensor_get(s, 0)) rank++;
    return rank;
}

int64_t linalg_numerical_rank(Tensor s)
{
    return linalg_rank(s, 1e-9);
}

double linalg_effective_rank(Tensor s)
{
    double sum = 0, entropy = 0;
    for (int64_t i = 0, n = tensor_count(s); i < n; i++) sum += tensor_get(s, i);
    if (sum == 0) return 0;
    for (int64_t i = 0, n = tensor_count(s); i < n; i++) {
        double p = tensor_get(s, i) / sum;
        if (p > 0) entropy -= p * log(p);
    }
    return exp(entropy);
}

double linalg_participation(Tensor s)
{
    double two = 0, four = 0, top = tensor_count(s) ? tensor_get(s, 0) : 0;
    if (top == 0) return 0;
    for (int64_t i = 0, n = tensor_count(s); i < n; i++) {
        double v = tensor_get(s, i) / top; /* scaled: the fourth power neither overflows nor vanishes */
        two += v * v;
        four += v * v * v * v;
    }
    return two * two / four;
}

/* out (cols,rows) = in (rows,cols) transposed, with `stride` >= rows numbers from one row of `out` to the next. */
static void transpose(double *out, int64_t stride, const double *in, int64_t rows, int64_t cols)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) out[j * stride + i] = in[i * cols + j];
}

Status linalg_least_squares(Tensor *x, int64_t *rank, Arena *arena, Tensor a, Tensor b, double relative)
{
    CHECK(a.rank == 2 && b.rank == 2 && a.dim[0] == b.dim[0], "least squares: a%s does not fit b%s", tensor_shape(a),
          tensor_shape(b));
    TRY(tensor_finite(a, "least squares, a"));
    TRY(tensor_finite(b, "least squares, b"));
    int m = as_int(a.dim[0]), n = as_int(a.dim[1]), p = as_int(b.dim[1]), tall = m > n ? m : n, small = m < n ? m : n;
    *x = tensor_zero(arena, F64, SHAPE(n, p));
    if (rank) *rank = 0;
    if (small == 0 || p == 0) return OK;
    ArenaMark mark = arena_mark(arena);
    double *ac = arena_take(arena, sizeof *ac * (size_t)m * (size_t)n);
    double *bc = arena_zero(arena, sizeof *bc * (size_t)tall * (size_t)p);
    double *s = arena_take(arena, sizeof *s * (size_t)small), size;
    transpose(ac, m, tensor_cast(arena, a, F64).data, m, n);
    transpose(bc, tall, tensor_cast(arena, b, F64).data, m, p);
    int query = -1, info = 0, found = 0, isize = 0;
    dgelsd_(&m, &n, &p, ac, &m, bc, &tall, s, &relative, &found, &size, &query, &isize, &info);
    int lwork = (int)size, *iwork = arena_take(arena, sizeof *iwork * (size_t)isize);
    double *work = arena_take(arena, sizeof *work * (size_t)lwork);
    dgelsd_(&m, &n, &p, ac, &m, bc, &tall, s, &relative, &found, work, &lwork, iwork, &info);
    double *out = x->data;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < p; j++) out[i * p + j] = bc[j * tall + i];
    arena_drop(arena, mark);
    if (rank) *rank = found;
    if (info)
        return err_fail(E_NUMERIC, "least squares of %s did not converge (dgelsd info %d)", tensor_shape(a), info);
    return OK;
}

Status linalg_solve_positive(double *x, double *a, int64_t n)
{
    int size = as_int(n), one = 1, info = 0;
    if (n) dposv_("U", &size, &one, a, &size, x, &size, &info);
    return info ? err_fail(E_NUMERIC, "the system of %d equations is not positive definite (dposv info %d)", size,
                           info)
                : OK;
}
