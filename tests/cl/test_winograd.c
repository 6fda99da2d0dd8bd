/* test_winograd.c - the transforms of cl/winograd.h, compiled for the host, against the definition:
 * every F(m, r) of 1 to 8 points, and the gradient of its taps. */
#include "test.h"

#include <math.h>

#pragma GCC diagnostic ignored "-Wunknown-pragmas" /* unroll is OpenCL C's */
#define WINO_T double
#include "../cl/winograd.h"

/* Any fixed numbers of either sign and about 1. */
static double number(int i)
{
    return sin(1.0 + 37.0 * i);
}

static void check(const double *got, const double *want, int count, int p, int r)
{
    for (int i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) < 1e-5)) /* the coefficients are floats */
            fail_msg("F(%d,%d), element %d: got %g, want %g", p + 1 - r, r, i, got[i], want[i]);
}

static void forward(int p, int r)
{
    const int m = p + 1 - r;
    double d[WINO_MAX], g[WINO_MAX], v[WINO_MAX], u[WINO_MAX], y[WINO_MAX], want[WINO_MAX] = {0};
    for (int i = 0; i < p; i++)
        d[i] = number(i);
    for (int k = 0; k < r; k++)
        g[k] = number(10 + k);
    for (int i = 0; i < m; i++)
        for (int k = 0; k < r; k++)
            want[i] += d[i + k] * g[k];
    wino_input(d, v, p);
    wino_filter(g, u, p, r);
    for (int i = 0; i < p; i++)
        v[i] *= u[i];
    wino_output(v, y, p, m);
    check(y, want, m, p, r);
}

static void weights(int p, int r)
{
    const int m = p + 1 - r;
    double d[WINO_MAX], dy[WINO_MAX], v[WINO_MAX], u[WINO_MAX], dg[WINO_MAX], want[WINO_MAX] = {0};
    for (int i = 0; i < p; i++)
        d[i] = number(i);
    for (int i = 0; i < m; i++)
        dy[i] = number(20 + i);
    for (int i = 0; i < m; i++)
        for (int k = 0; k < r; k++)
            want[k] += d[i + k] * dy[i];
    wino_input(d, v, p);
    wino_values(dy, u, p, m);
    for (int i = 0; i < p; i++)
        u[i] *= v[i];
    wino_filter_back(u, dg, p, r);
    check(dg, want, r, p, r);
}

static void every_form(void **state)
{
    (void)state;
    for (int p = 1; p <= WINO_MAX; p++)
        for (int r = 1; r <= p; r++) {
            if (p >= 3 || r == p)
                forward(p, r);
            if (p >= 3 || r == 1)
                weights(p, r);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
