/* fd.c - the reference's backward passes against finite differences of its forward pass.
 *
 * With L(x, p) = sum dy * y(x, p) (losses: scale * sum y), the derivative of L along a random
 * direction u must equal the gradient's product with u: central differences in double. */
#include "ops/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static double objective(const vt_suite *suite, const ref_io *io, double *y, int64_t count)
{
    ref_io local = *io;
    double sum = 0;
    memset(y, 0, (size_t)count * sizeof *y);
    local.y = y;
    memset(local.state, 0, sizeof local.state); /* these are results, and stay */
    memset(local.keep, 0, sizeof local.keep);
    suite->reference[VOX_FORWARD](&local);
    for (int64_t i = 0; i < count; i++)
        sum += y[i] * (io->node->op->loss ? io->scale : io->dy[i]);
    return sum;
}

/* The derivative along u of the objective as *place (an input or a parameter) moves. */
static double difference(const vt_suite *suite, ref_io *io, const double **place, const double *u,
                         int64_t count, double *moved, double *y, int64_t y_count)
{
    const double h = 1e-6, *keep = *place;
    double value[2];
    *place = moved;
    for (int side = 0; side < 2; side++) {
        for (int64_t i = 0; i < count; i++)
            moved[i] = keep[i] + (side ? h : -h) * u[i];
        value[side] = objective(suite, io, y, y_count);
    }
    *place = keep;
    return (value[1] - value[0]) / (2 * h);
}

static bool check_one(const vt_suite *suite, ref_io *io, const double **place,
                      const double *gradient, int64_t count, vox_random *r, const char *name)
{
    const vox_node *node = io->node;
    int64_t y_count = io->n * vox_shape_count(&node->out);
    double *u = vox_calloc((size_t)count, sizeof *u, "direction", NULL);
    double *moved = vox_calloc((size_t)count, sizeof *moved, "direction", NULL);
    double *y = vox_calloc((size_t)y_count, sizeof *y, "output", NULL);
    bool ok = u && moved && y;
    double expected = 0, norm = 0;
    for (int64_t i = 0; ok && i < count; i++) {
        u[i] = vox_random_range(r, -1, 1);
        expected += gradient[i] * u[i];
        norm += gradient[i] * gradient[i];
    }
    if (ok) {
        double measured = difference(suite, io, place, u, count, moved, y, y_count);
        double error = fabs(measured - expected);
        /* Central differences of step 1e-6 in double are good to about 1e-8 here; a kink that is
         * crossed costs one element's share of 1e-6. */
        ok = error <= 1e-5 * (1e-3 + sqrt(norm));
        if (!ok)
            fprintf(stderr, "FAIL reference of %s: d%s along a direction is %.9g, should be %.9g\n",
                    suite->op, name, expected, measured);
    }
    free(u);
    free(moved);
    free(y);
    return ok;
}

bool vt_check_derivative(const vt_suite *suite, const vt_layer *l, const ref_io *io, vox_random *r)
{
    ref_io local = *io;
    bool ok = true;
    for (int i = 0; i < l->node.inputs; i++)
        if (io->dx[i] && suite->reference[VOX_BACKWARD_DATA])
            ok &= check_one(suite, &local, &local.x[i], io->dx[i],
                            io->n * vox_shape_count(&l->node.in[i]), r, "x");
    for (int i = 0; i < l->params; i++)
        if (l->param[i].trainable)
            ok &= check_one(suite, &local, &local.param[i], io->dparam[i],
                            vox_shape_count(&l->param[i].shape), r, l->param[i].name);
    return ok;
}
