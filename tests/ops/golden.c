/* golden.c - the references against what PyTorch computed (tests/golden/make_ops.py).
 *
 * Inputs are not stored: element i of array number a is ((37*i + 11*a) % 19 - 9) / 8, exact in
 * binary. x is number 0, dy number 1, parameter k number 2 + k. */
#include "ops/harness.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define MOST 1024 /* numbers of an array */

typedef struct arrays {
    double x[MOST], dy[MOST], param[VOX_MAX_PARAMS][MOST];
    double y[MOST], dx[MOST], dparam[VOX_MAX_PARAMS][MOST];
} arrays;

static void fill(double *to, int number)
{
    for (int i = 0; i < MOST; i++)
        to[i] = ((37 * i + 11 * number) % 19 - 9) / 8.0;
}

static bool is_close(const double *got, const double *want, int64_t count, const char *what,
                     const vt_suite *suite, const vt_golden *g)
{
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= 1e-12 * (1 + fabs(want[i])))) {
            fprintf(stderr,
                    "FAIL %s golden {%s} (%s): %s[%" PRId64 "] is %.17g, PyTorch has %.17g\n",
                    suite->op, g->attr, g->why, what, i, got[i], want[i]);
            return false;
        }
    return true;
}

static bool check_layer(const vt_suite *suite, const vt_golden *g, const vt_layer *l)
{
    static arrays a;
    a = (arrays){0};
    ref_io io = {.node = &l->node,
                 .n = g->in[0],
                 .training = true,
                 .x = {a.x},
                 .dy = a.dy,
                 .y = a.y,
                 .dx = {a.dx}};
    fill(a.x, 0);
    fill(a.dy, 1);
    for (int k = 0; k < l->params; k++) {
        fill(a.param[k], 2 + k);
        io.param[k] = a.param[k];
        io.dparam[k] = a.dparam[k];
    }
    for (int pass = 0; pass < VOX_PASSES; pass++)
        if (suite->reference[pass])
            suite->reference[pass](&io);
    const int64_t outs = g->in[0] * vox_shape_count(&l->node.out);
    const int64_t ins = g->in[0] * vox_shape_count(&l->node.in[0]);
    bool ok = outs <= MOST && ins <= MOST && is_close(a.y, g->y, outs, "y", suite, g) &&
              is_close(a.dx, g->dx, ins, "dx", suite, g);
    for (int k = 0; ok && k < l->params; k++)
        ok = is_close(a.dparam[k], g->dparam[k], vox_shape_count(&l->param[k].shape),
                      l->param[k].name, suite, g);
    return ok;
}

void vt_check_golden(const vt_suite *suite, vt_totals *totals)
{
    for (const vt_golden *g = suite->golden; g && g->why; g++) {
        const vt_case c = {.why = g->why,
                           .attr = g->attr,
                           .in = {g->in[0], g->in[1], g->in[2], g->in[3], g->in[4]}};
        vt_layer l;
        vox_error err = {0};
        const vox_status s = vt_layer_open(&l, suite, &c, &err);
        totals->cases++;
        if (s != VOX_OK)
            fprintf(stderr, "FAIL %s golden {%s}: %s | %s\n", suite->op, g->attr, err.message,
                    err.detail);
        if (s != VOX_OK || !check_layer(suite, g, &l))
            totals->failures++;
        vt_layer_release(&l);
    }
}
