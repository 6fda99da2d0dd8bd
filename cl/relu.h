/* relu.h - the work of a relu layer, done by the kernel of the layer before or after it.
 *
 *   y[i]  = RELU_Y(sum);        with -DRELU_OUT: max(sum, 0), the relu that follows
 *   dx[i] = RELU_DX(sum, x[i]); with -DRELU_IN: 0 where x, the output of the relu before, is not
 *                               positive; without it x is not looked at and may be NULL
 *
 * Numbers are float or vectors of it.  RELU_Y names its own twice: pass a variable.  With
 * <= NaN passes both ways, as in relu.cl. */
#ifndef VOX_RELU_H
#define VOX_RELU_H

#ifdef RELU_OUT
#define RELU_Y(v) ((v) <= 0.0f ? 0.0f : (v))
#else
#define RELU_Y(v) (v)
#endif

#ifdef RELU_IN
#define RELU_DX(v, x) ((x) <= 0.0f ? 0.0f : (v))
#else
#define RELU_DX(v, x) (v)
#endif

#endif
