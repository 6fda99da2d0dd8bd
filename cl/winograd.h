/* winograd.h - Winograd's short convolutions along one axis, by 1 to 8 interpolation points.
 *
 * F(m, r) makes m outputs of a filter of r taps from P = m + r - 1 inputs by P multiplications
 * (by definition it takes m * r):
 *
 *     y = A^T [ (G g) * (B^T d) ]       d[P] inputs   g[r] taps   y[m] outputs   *: one by one
 *
 * In two or three dimensions each transform is applied along each axis in turn, and the products
 * saved multiply: F(4,3) in h and w does 36 where 144 are defined.  The products of all input
 * channels are added before A^T, so the work in the middle is P*P matrix products.
 *
 * Construction: Toom and Cook's way to multiply polynomials, transposed (S. Winograd, "Arithmetic
 * Complexity of Computations", 1980; A. Lavin and S. Gray, "Fast Algorithms for Convolutional
 * Neural Networks", CVPR 2016).  A polynomial of degree P - 1 is known from its values at P points.
 * Ours are, in this order,
 *
 *     0, +1, -1, +2, -2, +1/2, -1/2        the first P of them if P is odd,
 *                                          the first P - 1 and infinity, last, if P is even
 *
 * small powers of two, because a transform's rounding errors grow with the spread of its numbers.
 * With N(x) the product of (x - p) over the finite points:
 *
 *     B^T  row of p: coefficients of N(x) / (x - p)     of infinity: of N(x) (any r)
 *     G    row of p: p^k / N'(p), k < r                 of infinity: 0 ... 0 1
 *     A^T  column of p: p^i, i < m                      of infinity: 0 ... 0 1
 *
 * Points come in pairs +-a, and N(x) / (x -+ a) = (x +- a) Q_a(x) with Q_a odd: so the rows of a
 * pair are E + a*O and E - a*O, where O and E take the same coefficients, of d and of d one place
 * on.  A^T likewise adds and subtracts the two values once and then goes on with even and odd
 * powers apart.
 *
 * The gradient of the weights is the same product read the other way (transposed): of inputs d
 * [P] and output gradients y [m] it makes r numbers, G^T [ (A y) * (B^T d) ].
 *
 * Rounding, relative RMS against float64 in three dimensions, 32 to 128 channels: 4 points
 * 5e-7, 6 points 8e-6, 8 points 2e-5.
 *
 * The element is WINO_T: float16 (a block of channels at a time) unless it is defined before.
 * p, m and r must be constants where these are called: the loops then unroll, the coefficients
 * become immediates and those of 0 and 1 vanish. */
#ifndef VOX_WINOGRAD_H
#define VOX_WINOGRAD_H

#ifndef WINO_T
#define WINO_T float16
#endif

#define WINO_MAX        8              /* most points */
#define WINO_PAIRS(p)   (((p)-1) / 2)  /* pairs of points +-a */
#define WINO_HAS_INF(p) ((p) % 2 == 0) /* whether the last point is infinity */
#define WINO_FINITE(p)  ((p)-WINO_HAS_INF(p))
#define WINO_INLINE     static inline __attribute__((always_inline))

/* a of pair i: 1, 2, 1/2. */
WINO_INLINE float wino_pair(int i)
{
    return i == 0 ? 1.0f : i == 1 ? 2.0f : 0.5f;
}

/* Finite point i: 0, 1, -1, 2, -2, 1/2, -1/2. */
WINO_INLINE float wino_point(int i)
{
    return i == 0 ? 0.0f : i % 2 ? wino_pair((i - 1) / 2) : -wino_pair((i - 1) / 2);
}

/* x^i, i < 8 (no loop: such a small one, of scalars, some compilers leave rolled) */
WINO_INLINE float wino_power(float x, int i)
{
    return (i & 1 ? x : 1.0f) * (i & 2 ? x * x : 1.0f) * (i & 4 ? x * x * x * x : 1.0f);
}

/* Coefficient of x^(2i), i <= pairs, in N(x) / x = product of (x^2 - a^2); the last is 1. */
WINO_INLINE float wino_n(int pairs, int i)
{
    if (i == pairs)
        return 1.0f;
    if (pairs == 1) /* x^2 - 1 */
        return -1.0f;
    if (pairs == 2) /* (x^2 - 1)(x^2 - 4) */
        return i == 0 ? 4.0f : -5.0f;
    return i == 0 ? -1.0f : i == 1 ? 5.25f : -5.25f; /* ... (x^2 - 1/4) */
}

/* Coefficient of x^(2i+1), i < pairs, in Q_a(x) = N(x) / (x^2 - a^2), a of pair k. */
WINO_INLINE float wino_q(int pairs, int k, int i)
{
    if (i == pairs - 1)
        return 1.0f;
    if (pairs == 2) /* x(x^2 - 4), x(x^2 - 1) */
        return k == 0 ? -4.0f : -1.0f;
    if (i == 1) /* x(x^2 - 4)(x^2 - 1/4), x(x^2 - 1)(x^2 - 1/4), x(x^2 - 1)(x^2 - 4) */
        return k == 0 ? -4.25f : k == 1 ? -1.25f : -5.0f;
    return k == 0 ? 1.0f : k == 1 ? 0.25f : 4.0f;
}

/* 1 / N'(p) of finite point i. */
WINO_INLINE float wino_scale(int pairs, int i)
{
    const int k = (i - 1) / 2;
    if (i == 0)
        return 1.0f / wino_n(pairs, 0);
    if (pairs == 1)
        return 1.0f / 2.0f;
    if (pairs == 2)
        return k == 0 ? -1.0f / 6.0f : 1.0f / 24.0f;
    return k == 0 ? -2.0f / 9.0f : k == 1 ? 1.0f / 90.0f : 32.0f / 45.0f;
}

/* v = B^T d.  d and v of p elements, not the same. */
WINO_INLINE void wino_input(const WINO_T *d, WINO_T *v, int p)
{
    const int pairs = WINO_PAIRS(p);
    WINO_T zero = d[2 * pairs];
#pragma unroll
    for (int i = pairs - 1; i >= 0; i--)
        zero = wino_n(pairs, i) * d[2 * i] + zero;
    v[0] = zero;
#pragma unroll
    for (int k = 0; k < pairs; k++) {
        WINO_T odd = d[2 * pairs - 1], even = d[2 * pairs];
#pragma unroll
        for (int i = pairs - 2; i >= 0; i--) {
            odd = wino_q(pairs, k, i) * d[2 * i + 1] + odd;
            even = wino_q(pairs, k, i) * d[2 * i + 2] + even;
        }
        v[2 * k + 1] = wino_pair(k) * odd + even;
        v[2 * k + 2] = -wino_pair(k) * odd + even;
    }
    if (WINO_HAS_INF(p)) {
        WINO_T inf = d[2 * pairs + 1];
#pragma unroll
        for (int i = pairs - 1; i >= 0; i--)
            inf = wino_n(pairs, i) * d[2 * i + 1] + inf;
        v[p - 1] = inf;
    }
}

/* y = A^T v.  v of p elements, y of m; p >= 3 or m == 1. */
WINO_INLINE void wino_output(const WINO_T *v, WINO_T *y, int p, int m)
{
    const int pairs = WINO_PAIRS(p);
    WINO_T sum[3], difference[3]; /* of the values at +a and -a */
#pragma unroll
    for (int k = 0; k < pairs; k++) {
        sum[k] = v[2 * k + 1] + v[2 * k + 2];
        difference[k] = v[2 * k + 1] - v[2 * k + 2];
    }
#pragma unroll
    for (int i = 0; i < m; i++) {
        WINO_T s = i == 0 ? v[0] : i % 2 ? difference[0] : sum[0];
        if (i == 0 && pairs > 0)
            s += sum[0];
#pragma unroll
        for (int k = 1; k < pairs; k++)
            s = wino_power(wino_pair(k), i) * (i % 2 ? difference[k] : sum[k]) + s;
        y[i] = i == m - 1 && WINO_HAS_INF(p) ? s + v[p - 1] : s;
    }
}

/* v = A y, the transpose of wino_output: the values of the polynomial y at the points. */
WINO_INLINE void wino_values(const WINO_T *y, WINO_T *v, int p, int m)
{
    const int pairs = WINO_PAIRS(p);
    v[0] = y[0];
#pragma unroll
    for (int k = 0; k < pairs; k++) {
        WINO_T even = y[0], odd = wino_pair(k) * y[m > 1];
#pragma unroll
        for (int i = 2; i < m; i++)
            if (i % 2)
                odd = wino_power(wino_pair(k), i) * y[i] + odd;
            else
                even = wino_power(wino_pair(k), i) * y[i] + even;
        v[2 * k + 1] = m > 1 ? even + odd : even;
        v[2 * k + 2] = m > 1 ? even - odd : even;
    }
    if (WINO_HAS_INF(p))
        v[p - 1] = y[m - 1];
}

/* u = G g.  g of r elements, u of p.  G is A of r columns, its rows scaled by 1 / N'(p). */
WINO_INLINE void wino_filter(const WINO_T *g, WINO_T *u, int p, int r)
{
    wino_values(g, u, p, r);
#pragma unroll
    for (int i = 0; i < WINO_FINITE(p); i++)
        u[i] *= wino_scale(WINO_PAIRS(p), i);
}

/* g = G^T u, the transpose of wino_filter; overwrites u.  p >= 3 or r == 1. */
WINO_INLINE void wino_filter_back(WINO_T *u, WINO_T *g, int p, int r)
{
#pragma unroll
    for (int i = 0; i < WINO_FINITE(p); i++)
        u[i] *= wino_scale(WINO_PAIRS(p), i);
    wino_output(u, g, p, r);
}

#endif
