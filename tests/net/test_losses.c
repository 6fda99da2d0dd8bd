/* test_losses.c - the references of the losses against PyTorch (float64); tests/ops checks the
 * kernels against the references. */
#include "test.h"

#include "ops/harness.h"

#include <math.h>

#define MOST 128 /* numbers of an array */

typedef struct golden {
    const char *op, *attr;
    int64_t in[5];
    double loss[2], dx[2][MOST];
} golden;

#include "golden/losses_golden.h"

void ref_loss_forward(const ref_io *io);
void ref_loss_backward_data(const ref_io *io);

static int inputs(const vt_case *c, vox_shape in[VOX_MAX_INPUTS])
{
    const int outputs = strstr(c->attr, "from_weights") ? 2 : 1;
    for (int k = 1; k < outputs; k++) {
        in[k] = in[k - 1];
        for (int i = 2; i < 5; i++)
            in[k].dim[i] = (in[k].dim[i] + 1) / 2;
    }
    in[outputs] = in[0];
    in[outputs].dim[1] = 1;
    return outputs + 1;
}

static void assert_close(const double *got, const double *want, int64_t count, const golden *g)
{
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= 1e-12 * (1 + fabs(want[i]))))
            fail_msg("%s {%s}: [%d] is %.17g, PyTorch has %.17g", g->op, g->attr, (int)i, got[i],
                     want[i]);
}

static void check_golden(const golden *g)
{
    static double x[3][MOST], dx[2][MOST], y[2];
    const vt_suite suite = {.op = g->op, .inputs = inputs};
    vt_case c = {.why = "golden", .attr = g->attr};
    vox_error err;
    vt_layer layer;
    memcpy(c.in, g->in, sizeof c.in);
    assert_ok(vt_layer_open(&layer, &suite, &c, &err));
    const int outputs = layer.node.inputs - 1, classes = g->in[1] == 1 ? 2 : (int)g->in[1];
    for (int i = 0; i < MOST; i++) { /* as make_losses.py has it */
        for (int k = 0; k < outputs; k++) {
            const int v = (37 * i + 11 * k) % 19 - 9;
            x[k][i] = strcmp(g->op, "bce") == 0 ? (v + 9) / 18.0 : v / 8.0;
        }
        x[outputs][i] = (5 * i + i / 3) % classes;
    }
    memset(dx, 0, sizeof dx), memset(y, 0, sizeof y);
    const ref_io io = {.node = &layer.node,
                       .n = g->in[0],
                       .x = {x[0], x[1], x[2]},
                       .y = y,
                       .dx = {dx[0], outputs > 1 ? dx[1] : NULL},
                       .scale = 1};
    ref_loss_forward(&io);
    ref_loss_backward_data(&io);
    assert_close(y, g->loss, g->in[0], g);
    for (int k = 0; k < outputs; k++)
        assert_close(dx[k], g->dx[k], g->in[0] * vox_shape_count(&layer.node.in[k]), g);
    vt_layer_release(&layer);
}

static void losses_are_pytorchs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
        check_golden(&goldens[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(losses_are_pytorchs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
