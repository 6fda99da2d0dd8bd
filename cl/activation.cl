/* activation.cl - functions of one number and their gradients, which need only what came out:
 *   LEAKY_RELU  y = x > 0 ? x : a * x            dx = y > 0 ? dy : a * dy           a >= 0
 *   ELU         y = x > 0 ? x : a * (e^x - 1)    dx = y > 0 ? dy : (y + a) * dy
 *   SIGMOID     y = 1 / (1 + e^-x)               dx = dy * y * (1 - y)
 *   TANH        y = tanh x                       dx = dy * (1 - y^2)
 *   x, y, dy, dx [count] flat; y and dx overwritten (=); NaN passes
 * All but sigmoid keep 0 at 0, and so BLOCK16's padding channels; there sigmoid is told the channels
 * C and the voxels of a plane by -DC -DVOXELS and writes its zeros. */
#include "flat.h"

#if defined(LEAKY_RELU)
#define VALUE(x)     select(a * (x), x, (x) > 0.0f)
#define SLOPE(y, dy) select(a * (dy), dy, (y) > 0.0f)
#elif defined(ELU)
#define VALUE(x)     select(a * expm1(x), x, (x) > 0.0f)
#define SLOPE(y, dy) select(((y) + a) * (dy), dy, (y) > 0.0f)
#elif defined(SIGMOID)
#define VALUE(x)     (1.0f / (1.0f + exp(-(x))))
#define SLOPE(y, dy) ((dy) * (y) * (1.0f - (y)))
#elif defined(TANH)
#define VALUE(x)     tanh(x)
#define SLOPE(y, dy) ((dy) * (1.0f - (y) * (y)))
#else
#error "name the function: LEAKY_RELU, ELU, SIGMOID or TANH"
#endif

/* Channels that count among the 16 that element i is in; those before i % 16 are done with. */
#ifdef C
#define BLOCKS ((C + 15) / 16)
#define LEFT(i)                                                                                    \
    ((int)((i) / (16 * (ulong)VOXELS) % BLOCKS == BLOCKS - 1 ? C - 16 * (BLOCKS - 1) : 16) -       \
     (int)((i) % 16))
#define LANES4  (int4)(0, 1, 2, 3)
#define LANES16 (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
#define KEEP(i, v)                                                                                 \
    select((floatv)(0.0f), v, FLAT_PASTE(LANES, V) < (intv)(LEFT(first + (i))))
#define KEEP1(i, v) (LEFT(first + (i)) > 0 ? (v) : 0.0f)
#else
#define KEEP(i, v)  (v)
#define KEEP1(i, v) (v)
#endif

__kernel void activation_forward(__global const float *restrict x, __global float *restrict y,
                                 ulong count, float a)
{
    FLAT_BEGIN(count)
    x += first;
    y += first;
    FLAT_VECTORS
    {
        const floatv v = LOAD(x + i);
        const floatv r = VALUE(v);
        STORE(KEEP(i, r), y + i);
    }
    FLAT_REST
    {
        const float v = x[i];
        const float r = VALUE(v);
        y[i] = KEEP1(i, r);
    }
}

__kernel void activation_backward(__global const float *restrict y, __global const float *restrict dy,
                                  __global float *restrict dx, ulong count, float a)
{
    FLAT_BEGIN(count)
    y += first;
    dy += first;
    dx += first;
    FLAT_VECTORS
    {
        const floatv v = LOAD(y + i), g = LOAD(dy + i);
        STORE(SLOPE(v, g), dx + i);
    }
    FLAT_REST
    {
        const float v = y[i], g = dy[i];
        dx[i] = SLOPE(v, g);
    }
}
