/* conv_check.c - single numbers of a convolution in double, by its definition. */
#include "tune/conv_check.h"

static int64_t voxels(const int64_t size[3])
{
    return size[0] * size[1] * size[2];
}

static void split(int64_t i, const int64_t size[3], int64_t at[3])
{
    at[2] = i % size[2];
    at[1] = i / size[2] % size[1];
    at[0] = i / size[2] / size[1];
}

static int64_t join(const int64_t at[3], const int64_t size[3])
{
    return (at[0] * size[1] + at[1]) * size[2] + at[2];
}

int64_t vox_conv_results(const vox_conv_data *d, vox_pass pass)
{
    const vox_conv_shape *s = &d->s;
    if (pass == VOX_FORWARD)
        return d->n * s->co * voxels(s->out);
    if (pass == VOX_BACKWARD_DATA)
        return d->n * s->ci * voxels(s->in);
    return s->co * (s->ci / s->groups) * s->taps;
}

int64_t vox_conv_products(const vox_conv_data *d, vox_pass pass)
{
    const vox_conv_shape *s = &d->s;
    if (pass == VOX_FORWARD)
        return s->ci / s->groups * s->taps;
    if (pass == VOX_BACKWARD_DATA)
        return s->co / s->groups * s->taps;
    return d->n * voxels(s->out);
}

/* The input position that tap k of output position p reads; false outside. */
static bool read_at(const vox_conv_shape *s, const int64_t p[3], const int64_t k[3], int64_t at[3])
{
    bool inside = true;
    for (int i = 0; i < 3; i++) {
        at[i] = p[i] * s->stride[i] - s->pad[i] + k[i] * s->dilation[i];
        inside = inside && at[i] >= 0 && at[i] < s->in[i];
    }
    return inside;
}

/* The output position whose tap k reads input position p; false if there is none. */
static bool written_from(const vox_conv_shape *s, const int64_t p[3], const int64_t k[3],
                         int64_t at[3])
{
    bool inside = true;
    for (int i = 0; i < 3; i++) {
        const int64_t scaled = p[i] + s->pad[i] - k[i] * s->dilation[i];
        at[i] = scaled / s->stride[i];
        inside = inside && scaled >= 0 && scaled % s->stride[i] == 0 && at[i] < s->out[i];
    }
    return inside;
}

static double forward(const vox_conv_data *d, int64_t i)
{
    const vox_conv_shape *s = &d->s;
    const int64_t out = voxels(s->out), o = i / out % s->co, n = i / out / s->co;
    const int64_t cig = s->ci / s->groups, first = o / (s->co / s->groups) * cig;
    int64_t p[3], k[3], at[3];
    double sum = d->bias ? (double)d->bias[o] : 0;
    split(i % out, s->out, p);
    for (int64_t c = 0; c < cig; c++)
        for (int64_t t = 0; t < s->taps; t++) {
            split(t, s->kernel, k);
            if (read_at(s, p, k, at))
                sum += (double)d->x[(n * s->ci + first + c) * voxels(s->in) + join(at, s->in)] *
                       (double)d->weight[(o * cig + c) * s->taps + t];
        }
    return sum;
}

static double backward_data(const vox_conv_data *d, int64_t i)
{
    const vox_conv_shape *s = &d->s;
    const int64_t in = voxels(s->in), c = i / in % s->ci, n = i / in / s->ci;
    const int64_t cig = s->ci / s->groups, cog = s->co / s->groups;
    int64_t p[3], k[3], at[3];
    double sum = 0;
    split(i % in, s->in, p);
    for (int64_t j = 0; j < cog; j++)
        for (int64_t t = 0; t < s->taps; t++) {
            const int64_t o = c / cig * cog + j;
            split(t, s->kernel, k);
            if (written_from(s, p, k, at))
                sum += (double)d->dy[(n * s->co + o) * voxels(s->out) + join(at, s->out)] *
                       (double)d->weight[(o * cig + c % cig) * s->taps + t];
        }
    return sum;
}

static double backward_weights(const vox_conv_data *d, int64_t i)
{
    const vox_conv_shape *s = &d->s;
    const int64_t cig = s->ci / s->groups, o = i / s->taps / cig;
    const int64_t c = o / (s->co / s->groups) * cig + i / s->taps % cig;
    int64_t p[3], k[3], at[3];
    double sum = 0;
    split(i % s->taps, s->kernel, k);
    for (int64_t n = 0; n < d->n; n++)
        for (int64_t v = 0; v < voxels(s->out); v++) {
            split(v, s->out, p);
            if (read_at(s, p, k, at))
                sum += (double)d->x[(n * s->ci + c) * voxels(s->in) + join(at, s->in)] *
                       (double)d->dy[(n * s->co + o) * voxels(s->out) + v];
        }
    return sum;
}

double vox_conv_result(const vox_conv_data *d, vox_pass pass, int64_t i)
{
    if (pass == VOX_FORWARD)
        return forward(d, i);
    return pass == VOX_BACKWARD_DATA ? backward_data(d, i) : backward_weights(d, i);
}
