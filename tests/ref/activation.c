/* activation.c - leaky_relu, elu, sigmoid and tanh by their definitions. */
#include "ref/ref.h"

#include <math.h>

/* Applies f(x, a), or dy * slope(x, a). */
static void each(const ref_io *io, double a, double (*f)(double, double), bool backward)
{
    int64_t count = io->n * vox_shape_count(&io->node->out);
    for (int64_t i = 0; i < count; i++) {
        if (backward)
            io->dx[0][i] = io->dy[i] * f(io->y[i], a);
        else
            io->y[i] = f(io->x[0][i], a);
    }
}

static double leaky(double x, double a)
{
    return x > 0 ? x : a * x;
}

static double leaky_slope(double y, double a)
{
    return y > 0 ? 1 : a;
}

static double elu(double x, double a)
{
    return x > 0 ? x : a * expm1(x);
}

static double elu_slope(double y, double a)
{
    return y > 0 ? 1 : y + a;
}

static double sigmoid(double x, double a)
{
    (void)a;
    return 1 / (1 + exp(-x));
}

static double sigmoid_slope(double y, double a)
{
    (void)a;
    return y * (1 - y);
}

static double tangent(double x, double a)
{
    (void)a;
    return tanh(x);
}

static double tangent_slope(double y, double a)
{
    (void)a;
    return 1 - y * y;
}

void ref_leaky_relu_forward(const ref_io *io)
{
    each(io, ref_float(io->node, "slope"), leaky, false);
}

void ref_leaky_relu_backward_data(const ref_io *io)
{
    each(io, ref_float(io->node, "slope"), leaky_slope, true);
}

void ref_elu_forward(const ref_io *io)
{
    each(io, ref_float(io->node, "alpha"), elu, false);
}

void ref_elu_backward_data(const ref_io *io)
{
    each(io, ref_float(io->node, "alpha"), elu_slope, true);
}

void ref_sigmoid_forward(const ref_io *io)
{
    each(io, 0, sigmoid, false);
}

void ref_sigmoid_backward_data(const ref_io *io)
{
    each(io, 0, sigmoid_slope, true);
}

void ref_tanh_forward(const ref_io *io)
{
    each(io, 0, tangent, false);
}

void ref_tanh_backward_data(const ref_io *io)
{
    each(io, 0, tangent_slope, true);
}
