/* relu.h - the work of a relu or leaky_relu layer, done by the kernel of the layer before or after.
 *
 *   y[i]  = RELU_Y(sum);        with -DRELU_OUT: max(sum, 0), the relu that follows
 *   dx[i] = RELU_DX(sum, x[i]); with -DRELU_IN: 0 where x, the output of the relu before, is not
 *                               positive; without it x is not looked at and may be NULL
 *
 * With -DRELU_SLOPE=s (leaky_relu) s * sum in place of 0.  As s > 0, the output has the sign of what
 * the layer read.  Numbers are float or vectors of it.  The macros name theirs twice: pass
 * variables.  With <= NaN passes both ways, as in relu.cl. */
#ifndef VOX_RELU_H
#define VOX_RELU_H

#ifdef RELU_SLOPE
#define RELU_REST(v) (RELU_SLOPE * (v))
#else
#define RELU_REST(v) 0.0f
#endif

#ifdef RELU_OUT
#define RELU_Y(v) ((v) <= 0.0f ? RELU_REST(v) : (v))
#else
#define RELU_Y(v) (v)
#endif

#ifdef RELU_IN
#define RELU_DX(v, x) ((x) <= 0.0f ? RELU_REST(v) : (v))
#else
#define RELU_DX(v, x) (v)
#endif

#endif
