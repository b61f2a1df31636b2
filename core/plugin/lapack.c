/* SPDX-License-Identifier: Apache-2.0 */
/* Linear algebra in f64 for plugins and the host, by LAPACK and BLAS. */
#include "plugin/context.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* OpenBLAS splits its work by threads, and with it the order of its sums: on one thread the bits
 * are the same whatever the number of threads. Returns what was set before. */
static int one_thread(void)
{
    int before = omp_get_max_threads();
    omp_set_num_threads(1);
    return before;
}

/* A damped copy: a + damp * mean(diag a) * I. */
static double *damped(uint32_t n, const double *a, double damp)
{
    double *copy = pare_alloc((size_t)n * n, sizeof *copy);
    double trace = 0;
    if (!copy)
        return NULL;
    memcpy(copy, a, (size_t)n * n * sizeof *copy);
    for (uint32_t i = 0; i < n; i++)
        trace += a[(size_t)i * n + i];
    for (uint32_t i = 0; i < n; i++)
        copy[(size_t)i * n + i] += damp * trace / n;
    return copy;
}

#define NOT_FINITE "a matrix holds numbers that are not finite"

static bool all_finite(size_t n, const double *a)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(a[i]))
            return false;
    }
    return true;
}

/* Why a square matrix has no Cholesky factor. */
static int failed_on(uint32_t n, const double *a, struct pare_error *err)
{
    if (!all_finite((size_t)n * n, a))
        return pare_error_set(err, PARE_FAILED, NOT_FINITE);
    pare_error_set(err, PARE_FAILED, "a matrix of the calibration data is not positive definite");
    pare_error_hint(err, "more samples, or more damping, help");
    return PARE_FAILED;
}

int pare_linalg_solve(uint32_t n, const double *a, double damp, uint32_t m, double *b,
                      struct pare_error *err)
{
    double *copy = damped(n, a, damp);
    int rc = PARE_OK, threads;
    if (!copy)
        return pare_error_nomem(err, (size_t)n * n * sizeof *copy);
    threads = one_thread();
    const lapack_int order = (lapack_int)n, sides = (lapack_int)m;
    const lapack_int info =
        n && m ? LAPACKE_dposv(LAPACK_ROW_MAJOR, 'U', order, sides, copy, order, b, sides) : 0;
    if (info < 0) /* LAPACKE looks for NaN before all else */
        rc = pare_error_set(err, PARE_FAILED, NOT_FINITE);
    else if (info > 0)
        rc = failed_on(n, a, err);
    omp_set_num_threads(threads);
    free(copy);
    return rc;
}

static int service_solve(struct pare_ctx *ctx, uint32_t n, const double *a, double damp, uint32_t m,
                         double *b)
{
    return pare_ctx_pass(ctx, pare_linalg_solve(n, a, damp, m, b, ctx->err));
}

static int service_cholesky_inverse(struct pare_ctx *ctx, uint32_t n, double *a, double damp)
{
    double *copy = damped(n, a, damp);
    lapack_int order = (lapack_int)n;
    int rc = PARE_OK, threads;
    if (!copy)
        return pare_ctx_pass(ctx, pare_error_nomem(ctx->err, (size_t)n * n * sizeof *copy));
    threads = one_thread();
    if (n && (LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', order, copy, order) != 0 ||
              LAPACKE_dpotri(LAPACK_ROW_MAJOR, 'U', order, copy, order) != 0 ||
              LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'U', order, copy, order) != 0)) {
        rc = failed_on(n, a, ctx->err);
    } else {
        for (uint32_t i = 0; i < n; i++) {
            for (uint32_t j = 0; j < n; j++)
                a[(size_t)i * n + j] = j < i ? 0 : copy[(size_t)i * n + j];
        }
    }
    omp_set_num_threads(threads);
    free(copy);
    return pare_ctx_pass(ctx, rc);
}

static int service_eigen(struct pare_ctx *ctx, uint32_t n, double *a, double *values)
{
    const bool numbers = all_finite((size_t)n * n, a); /* of `a` nothing is left */
    int threads = one_thread();
    int failed =
        n ? LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'V', 'U', (lapack_int)n, a, (lapack_int)n, values) : 0;
    omp_set_num_threads(threads);
    if (failed || !all_finite(n, values)) /* of an infinity it makes NaN, and says nothing */
        return pare_ctx_fail(ctx, PARE_FAILED,
                             numbers ? "the eigenvalues of a matrix did not converge" : NOT_FINITE);
    return PARE_OK;
}

static int service_multiply(struct pare_ctx *ctx, uint32_t rows, uint32_t cols, uint32_t inner,
                            const double *a, uint32_t transpose_a, const double *b,
                            uint32_t transpose_b, double *c)
{
    const int threads = one_thread();
    (void)ctx;
    if (rows && cols)
        cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                    transpose_b ? CblasTrans : CblasNoTrans, (int)rows, (int)cols, (int)inner, 1, a,
                    (int)PARE_MAX(1u, transpose_a ? rows : inner), b,
                    (int)PARE_MAX(1u, transpose_b ? inner : cols), 0, c, (int)cols);
    omp_set_num_threads(threads);
    return PARE_OK;
}

static int service_cholesky(struct pare_ctx *ctx, uint32_t n, double *a, double damp)
{
    double *copy = damped(n, a, damp);
    int rc = PARE_OK, threads;
    if (!copy)
        return pare_ctx_pass(ctx, pare_error_nomem(ctx->err, (size_t)n * n * sizeof *copy));
    threads = one_thread();
    if (n && LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (lapack_int)n, copy, (lapack_int)n) != 0)
        rc = failed_on(n, a, ctx->err);
    omp_set_num_threads(threads);
    for (uint32_t i = 0; rc == PARE_OK && i < n; i++) {
        for (uint32_t j = 0; j < n; j++)
            a[(size_t)i * n + j] = j > i ? 0 : copy[(size_t)i * n + j];
    }
    free(copy);
    return pare_ctx_pass(ctx, rc);
}

static int service_solve_triangular(struct pare_ctx *ctx, uint32_t n, const double *lower,
                                    uint32_t transpose, uint32_t m, double *b)
{
    const lapack_int order = (lapack_int)n, sides = (lapack_int)m;
    const int threads = one_thread();
    int failed = n && m ? LAPACKE_dtrtrs(LAPACK_ROW_MAJOR, 'L', transpose ? 'T' : 'N', 'N', order,
                                         sides, lower, order, b, sides)
                        : 0;
    omp_set_num_threads(threads);
    if (failed)
        return pare_ctx_fail(ctx, PARE_FAILED,
                             failed > 0 ? "a triangular matrix is singular" : NOT_FINITE);
    return PARE_OK;
}

/* LAPACK counts by columns: what it sees is a', whose left vectors are the rows of vt. */
static int service_svd(struct pare_ctx *ctx, uint32_t rows, uint32_t cols, const double *a,
                       double *u, double *values, double *vt)
{
    const lapack_int m = (lapack_int)cols, n = (lapack_int)rows, k = PARE_MIN(m, n);
    const size_t size = (size_t)rows * cols;
    double *copy = pare_alloc(size, sizeof *copy);
    if (!copy)
        return pare_ctx_pass(ctx, pare_error_nomem(ctx->err, size * sizeof *copy));
    if (size)
        memcpy(copy, a, size * sizeof *copy);
    const int threads = one_thread();
    int failed = size ? LAPACKE_dgesdd(LAPACK_COL_MAJOR, u && vt ? 'S' : 'N', m, n, copy, m, values,
                                       vt, m, u, k)
                      : 0;
    omp_set_num_threads(threads);
    free(copy);
    if (failed || (size && !all_finite((size_t)k, values)))
        return pare_ctx_fail(
            ctx, PARE_FAILED,
            all_finite(size, a) ? "the singular values of a matrix did not converge" : NOT_FINITE);
    return PARE_OK;
}

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

/* Hoare's selection with a median-of-three pivot. */
static double service_select(double *x, size_t n, size_t k)
{
    size_t lo = 0, hi = n - 1;
    if (k >= n)
        return (double)NAN;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2, i = lo, j = hi;
        if (x[mid] < x[lo])
            swap(&x[mid], &x[lo]);
        if (x[hi] < x[lo])
            swap(&x[hi], &x[lo]);
        if (x[hi] < x[mid])
            swap(&x[hi], &x[mid]);
        double pivot = x[mid];
        while (i <= j) {
            while (x[i] < pivot)
                i++;
            while (x[j] > pivot)
                j--;
            if (i <= j) {
                swap(&x[i++], &x[j]);
                if (j == 0)
                    break;
                j--;
            }
        }
        if (k <= j && j < hi)
            hi = j;
        else if (k >= i)
            lo = i;
        else
            break;
    }
    return x[k];
}

const struct pare_ext_linalg pare_service_linalg = {
    .struct_size = sizeof pare_service_linalg,
    .cholesky_inverse = service_cholesky_inverse,
    .solve = service_solve,
    .eigen = service_eigen,
    .select = service_select,
    .multiply = service_multiply,
    .cholesky = service_cholesky,
    .solve_triangular = service_solve_triangular,
    .svd = service_svd,
};
