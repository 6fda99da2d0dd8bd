/* test_optimizer.c - SGD, Adam and AdamW against PyTorch's numbers, LARS and LAMB against their
 * papers', on devices and in host memory, and over a long vector against double and each other. */
#include "test.h"

#include <math.h>

#include "base/philox.h"
#include "ocl/device.h"
#include "train/ema.h"
#include "train/optimizer.h"

#include "golden/adam.h"
#include "golden/layerwise.h"
#include "golden/sgd.h"

/* Three tensors of the flat vector: 4 trainable (a bias), 5 not, and the rest trainable, each at a
 * multiple of 256 floats. */
enum { FIRST = 4, FROZEN = 5, SECOND_AT = 512 };

static vox_graph_param params[3];
static vox_graph graph = {.param = params, .params = 3};

static void make_graph(size_t second)
{
    params[0] = (vox_graph_param){
        .desc = {.trainable = true, .shape = {.rank = 1}}, .offset = 0, .count = FIRST};
    params[1] = (vox_graph_param){.desc = {.shape = {.rank = 2}}, .offset = 256, .count = FROZEN};
    params[2] = (vox_graph_param){
        .desc = {.trainable = true, .shape = {.rank = 2}}, .offset = SECOND_AT, .count = second};
    graph.flat_floats = SECOND_AT + (second + 255) / 256 * 256;
}

/* Where element i of the trainable ones lies. */
static size_t place(size_t i)
{
    return i < FIRST ? i : SECOND_AT + i - FIRST;
}

#define HOST SIZE_MAX /* in the place of a device's index */

typedef struct rig {
    vox_ctx *ctx;
    vox_device *dev; /* NULL: HOST, and then: */
    float *host_params, *host_grads;
    vox_optimizer *optimizer;
    vox_buffer *params, *grads;
    float *host; /* [flat_floats] */
    vox_pool *pool;
} rig;

static rig open_rig(size_t device, const vox_optimizer_spec *spec, double clip)
{
    vox_error err = {0};
    rig r = {0};
    const size_t bytes = 4 * graph.flat_floats;
    r.host = calloc(graph.flat_floats, 4);
    assert_non_null(r.host);
    if (device != HOST) {
        assert_ok(vox_ctx_open(&r.ctx, NULL, &err));
        r.dev = vox_ctx_get(r.ctx, device);
        assert_ok(vox_buffer_open(&r.params, r.dev, bytes, VOX_BUFFER_DEVICE, "params", &err));
        assert_ok(vox_buffer_open(&r.grads, r.dev, bytes, VOX_BUFFER_DEVICE, "grads", &err));
    } else {
        r.host_params = calloc(graph.flat_floats, 4);
        r.host_grads = calloc(graph.flat_floats, 4);
        assert_true(r.host_params && r.host_grads);
        assert_ok(vox_pool_open(&r.pool, 2, &err));
    }
    assert_ok(vox_optimizer_open(&r.optimizer, r.dev, &graph, spec, clip, &err));
    return r;
}

static void close_rig(rig *r)
{
    vox_optimizer_free(&r->optimizer);
    vox_buffer_free(&r->params);
    vox_buffer_free(&r->grads);
    vox_ctx_free(&r->ctx);
    vox_pool_free(&r->pool);
    free(r->host_params);
    free(r->host_grads);
    free(r->host);
}

static void write_params(rig *r)
{
    vox_error err = {0};
    if (r->dev)
        assert_ok(vox_buffer_write(r->params, 0, r->host, 4 * graph.flat_floats, true, &err));
    else
        memcpy(r->host_params, r->host, 4 * graph.flat_floats);
}

static void write_grads(rig *r)
{
    vox_error err = {0};
    if (r->dev)
        assert_ok(vox_buffer_write(r->grads, 0, r->host, 4 * graph.flat_floats, true, &err));
    else
        memcpy(r->host_grads, r->host, 4 * graph.flat_floats);
}

static void update(rig *r, double lr, int64_t step)
{
    vox_error err = {0};
    if (r->dev)
        assert_ok(vox_optimizer_step(r->optimizer, r->params, r->grads, NULL, 0, lr, step, &err));
    else
        assert_ok(vox_optimizer_step_host(r->optimizer, r->host_params, r->host_grads, NULL, lr,
                                          step, r->pool, &err));
}

static void read_params(rig *r)
{
    vox_error err = {0};
    if (r->dev)
        assert_ok(vox_buffer_read(r->params, 0, r->host, 4 * graph.flat_floats, true, &err));
    else
        memcpy(r->host, r->host_params, 4 * graph.flat_floats);
}

static size_t device_count(void)
{
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    if (vox_ctx_open(&ctx, NULL, &err) != VOX_OK) {
        fprintf(stderr, "skipped: %s\n", err.detail);
        exit(77);
    }
    size_t count = vox_ctx_device_count(ctx);
    vox_ctx_free(&ctx);
    return count;
}

/* Every device's index and then HOST: for (size_t d = 0; target(d, &device); d++). */
static bool target(size_t d, size_t *device)
{
    static size_t count = 0;
    if (d == 0)
        count = device_count();
    *device = d < count ? d : HOST;
    return d <= count;
}

/* param[step][i]: what PyTorch has after each step on the gradients of make_optimizers.py. */
static void check_golden(size_t device, const vox_optimizer_spec *spec, double clip, double lr,
                         size_t parts, int steps, const float param[][SGD_N])
{
    make_graph(SGD_N - FIRST);
    rig r = open_rig(device, spec, clip);
    assert_int_equal(vox_optimizer_parts(r.optimizer), parts);
    for (size_t i = 0; i < SGD_N; i++)
        r.host[place(i)] = (float)cos((double)i);
    r.host[256] = 3; /* not trainable */
    write_params(&r);
    for (int step = 0; step < steps; step++) {
        for (size_t i = 0; i < graph.flat_floats; i++)
            r.host[i] = NAN; /* gradients of padding and of what is frozen are nobody's business */
        for (size_t i = 0; i < SGD_N; i++)
            r.host[place(i)] = (float)(sin((double)i + 1 + 0.7 * step) * (1 + 0.3 * step));
        write_grads(&r);
        update(&r, lr, step);
        read_params(&r);
        for (size_t i = 0; i < SGD_N; i++)
            assert_float_equal(r.host[place(i)], param[step][i], 2e-7);
        for (size_t i = 0; i < graph.flat_floats; i++)
            if (i >= FIRST && (i < SECOND_AT || i >= SECOND_AT + SGD_N - FIRST))
                assert_float_equal(r.host[i], i == 256 ? 3 : 0, 0);
    }
    close_rig(&r);
}

static void sgd_follows_pytorch(void **state)
{
    (void)state;
    size_t device;
    for (size_t d = 0; target(d, &device); d++)
        for (int c = 0; c < SGD_CASES; c++) {
            const vox_optimizer_spec spec = {.momentum = sgd_case[c].momentum,
                                             .dampening = sgd_case[c].dampening,
                                             .weight_decay = sgd_case[c].weight_decay,
                                             .nesterov = sgd_case[c].nesterov != 0};
            check_golden(device, &spec, sgd_case[c].clip, sgd_case[c].lr, spec.momentum != 0,
                         SGD_STEPS, sgd_case[c].param);
        }
}

static void adam_follows_pytorch(void **state)
{
    (void)state;
    size_t device;
    for (size_t d = 0; target(d, &device); d++)
        for (int c = 0; c < ADAM_CASES; c++) {
            const vox_optimizer_spec spec = {.kind = adam_case[c].adamw ? VOX_OPTIMIZER_ADAMW
                                                                        : VOX_OPTIMIZER_ADAM,
                                             .weight_decay = adam_case[c].weight_decay,
                                             .beta1 = adam_case[c].beta1,
                                             .beta2 = adam_case[c].beta2,
                                             .eps = adam_case[c].eps,
                                             .amsgrad = adam_case[c].amsgrad != 0};
            check_golden(device, &spec, adam_case[c].clip, adam_case[c].lr, spec.amsgrad ? 3 : 2,
                         ADAM_STEPS, adam_case[c].param);
        }
}

static void lars_and_lamb_follow_their_papers(void **state)
{
    (void)state;
    size_t device;
    assert_int_equal(LAYERWISE_N, SGD_N);
    for (size_t d = 0; target(d, &device); d++)
        for (int c = 0; c < LAYERWISE_CASES; c++) {
            const bool lamb = layerwise_case[c].lamb != 0;
            const vox_optimizer_spec spec = {
                .kind = lamb ? VOX_OPTIMIZER_LAMB : VOX_OPTIMIZER_LARS,
                .weight_decay = layerwise_case[c].weight_decay,
                .momentum = lamb ? 0 : layerwise_case[c].beta1,
                .beta1 = layerwise_case[c].beta1,
                .beta2 = layerwise_case[c].beta2,
                .eps = layerwise_case[c].eps,
                .trust = layerwise_case[c].trust,
                .adapt = layerwise_case[c].everything ? VOX_ADAPT_ALL : VOX_ADAPT_WEIGHTS};
            check_golden(device, &spec, layerwise_case[c].clip, layerwise_case[c].lr, lamb ? 2 : 1,
                         LAYERWISE_STEPS, layerwise_case[c].param);
        }
}

/* Where a norm is 0 there is no ratio to go by: the factor is 1. */
static void weights_or_gradients_of_zero(void **state)
{
    (void)state;
    const vox_optimizer_spec spec[2] = {
        {.kind = VOX_OPTIMIZER_LARS, .trust = 0.001},
        {.kind = VOX_OPTIMIZER_LAMB, .beta1 = 0.5, .beta2 = 0.5, .eps = 1e-6}};
    size_t device;
    make_graph(3);
    for (size_t d = 0; target(d, &device); d++)
        for (int c = 0; c < 4; c++) {
            const float weight = c % 2 ? 0.0f : 2.0f, grad = c % 2 ? 2.0f : 0.0f;
            rig r = open_rig(device, &spec[c / 2], 0);
            for (size_t i = 0; i < graph.flat_floats; i++)
                r.host[i] = weight;
            write_params(&r);
            for (size_t i = 0; i < graph.flat_floats; i++)
                r.host[i] = grad;
            write_grads(&r);
            update(&r, 0.25, 0);
            read_params(&r);
            /* LARS goes 0.25 * 2, LAMB 0.25 * 2 / 2 */
            const double want = (double)weight - (grad == 0 ? 0 : c == 1 ? 0.5 : 0.25);
            for (size_t i = 0; i < FIRST + 3; i++)
                assert_float_equal(r.host[place(i)], (float)want, 1e-6);
            close_rig(&r);
        }
}

/* A tensor of many segments: weights of 1 go along the gradient by |w| = sqrt(count). */
static void norms_of_a_long_tensor(void **state)
{
    (void)state;
    const size_t count = 70001;
    const vox_optimizer_spec spec = {.kind = VOX_OPTIMIZER_LARS, .trust = 1};
    size_t device;
    make_graph(count);
    double *grad = calloc(count, sizeof *grad);
    assert_non_null(grad);
    for (size_t d = 0; target(d, &device); d++) {
        double norm = 0;
        rig r = open_rig(device, &spec, 0);
        for (size_t i = 0; i < graph.flat_floats; i++)
            r.host[i] = 1;
        write_params(&r);
        for (size_t i = 0; i < count; i++) {
            grad[i] = (double)(r.host[SECOND_AT + i] = (float)sin(0.37 * (double)i));
            norm += grad[i] * grad[i];
        }
        write_grads(&r);
        update(&r, 1, 0);
        read_params(&r);
        for (size_t i = 0; i < count; i++)
            assert_float_equal(r.host[SECOND_AT + i],
                               (float)(1 - sqrt((double)count / norm) * grad[i]), 5e-7);
        close_rig(&r);
    }
    free(grad);
}

/* One clipped step over a vector of many work-groups; returns the largest error of a parameter. */
static double long_step(size_t device, float *bits, size_t count)
{
    const vox_optimizer_spec spec = {.momentum = 0.9, .weight_decay = 0.01};
    const double clip = 2, lr = 0.5;
    vox_random random;
    rig r = open_rig(device, &spec, clip);
    double *grad = calloc(graph.flat_floats, sizeof *grad), norm = 0, worst = 0;
    assert_non_null(grad);
    vox_random_init(&random, 5, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (size_t i = 0; i < graph.flat_floats; i++)
        r.host[i] = NAN;
    for (size_t i = 0; i < count; i++) {
        grad[place(i)] = (double)(r.host[place(i)] = (float)vox_random_range(&random, -1, 1));
        norm += grad[place(i)] * grad[place(i)];
    }
    write_grads(&r);
    for (size_t i = 0; i < graph.flat_floats; i++)
        r.host[i] = 1;
    write_params(&r);
    update(&r, lr, 0);
    read_params(&r);
    for (size_t i = 0; i < count; i++) {
        double want = 1 - lr * (grad[place(i)] * clip / (sqrt(norm) + 1e-6) + 0.01);
        worst = fmax(worst, fabs((double)r.host[place(i)] - want));
    }
    memcpy(bits, r.host, 4 * graph.flat_floats);
    free(grad);
    close_rig(&r);
    return worst;
}

static void clipping_a_long_vector(void **state)
{
    (void)state;
    const size_t second = 300001;
    make_graph(second);
    float *a = calloc(graph.flat_floats, 4), *b = calloc(graph.flat_floats, 4);
    size_t device;
    for (size_t d = 0; target(d, &device); d++) {
        /* Parameters near 1: half an ulp is 6e-8; the coefficient adds little. */
        assert_true(long_step(device, a, FIRST + second) < 1.5e-7);
        assert_true(long_step(device, b, FIRST + second) < 1.5e-7);
        assert_memory_equal(a, b, 4 * graph.flat_floats);
    }
    free(a);
    free(b);
}

static void a_nan_gradient_is_not_hidden(void **state)
{
    (void)state;
    const vox_optimizer_spec spec = {0};
    size_t device;
    make_graph(3);
    for (size_t d = 0; target(d, &device); d++) {
        rig r = open_rig(device, &spec, 1.0);
        write_params(&r);
        r.host[SECOND_AT] = NAN;
        write_grads(&r);
        update(&r, 0.1, 0);
        read_params(&r);
        for (size_t i = 0; i < FIRST + 3; i++) /* as PyTorch: the norm is NaN, and so is all */
            assert_true(isnan(r.host[place(i)]));
        close_rig(&r);
    }
}

/* Three steps on random gradients over a vector of several pieces; the parameters and state part i
 * after them. */
static void walk(rig *r, double lr, float *param, float *part[3])
{
    vox_error err = {0};
    vox_random random;
    vox_random_init(&random, 7, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (size_t i = 0; i < graph.flat_floats; i++)
        r->host[i] = (float)vox_random_range(&random, -1, 1);
    write_params(r);
    for (int step = 0; step < 3; step++) {
        for (size_t i = 0; i < graph.flat_floats; i++)
            r->host[i] = (float)vox_random_range(&random, -1, 1);
        write_grads(r);
        update(r, lr, step);
    }
    read_params(r);
    memcpy(param, r->host, 4 * graph.flat_floats);
    for (size_t i = 0; i < vox_optimizer_parts(r->optimizer); i++)
        assert_ok(vox_optimizer_get_part(r->optimizer, i, part[i], &err));
}

static double apart(const float *a, const float *b)
{
    double worst = 0;
    for (size_t i = 0; i < graph.flat_floats; i++)
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    return worst;
}

static void make_floats(float *to[4])
{
    for (int i = 0; i < 4; i++) {
        to[i] = calloc(graph.flat_floats, sizeof *to[i]);
        assert_non_null(to[i]);
    }
}

static void free_floats(float *of[4])
{
    for (int i = 0; i < 4; i++)
        free(of[i]);
}

static const struct {
    vox_optimizer_spec spec;
    double clip;
} long_case[] = {
    {{.kind = VOX_OPTIMIZER_SGD, .weight_decay = 0.01}, 0},
    {{.kind = VOX_OPTIMIZER_SGD, .momentum = 0.9, .nesterov = true}, 20},
    {{.kind = VOX_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .amsgrad = true}, 20},
    {{.kind = VOX_OPTIMIZER_ADAMW, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .weight_decay = 0.1},
     0},
    {{.kind = VOX_OPTIMIZER_LARS, .momentum = 0.9, .trust = 0.3, .weight_decay = 0.01}, 20},
    {{.kind = VOX_OPTIMIZER_LAMB, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.1},
     20}};

/* The host's bits do not depend on its threads; a device's are near them (measured: 2.4e-7). */
static void the_host_and_devices_agree(void **state)
{
    (void)state;
    vox_error err = {0};
    float *one[4], *other[4];
    make_graph(100003);
    make_floats(one);
    make_floats(other);
    for (size_t c = 0; c < sizeof long_case / sizeof *long_case; c++) {
        rig r = open_rig(HOST, &long_case[c].spec, long_case[c].clip);
        vox_pool_free(&r.pool);
        walk(&r, 0.05, one[0], one + 1);
        close_rig(&r);
        for (size_t threads = 2; threads < 5; threads += 2) {
            r = open_rig(HOST, &long_case[c].spec, long_case[c].clip);
            vox_pool_free(&r.pool);
            assert_ok(vox_pool_open(&r.pool, threads, &err));
            walk(&r, 0.05, other[0], other + 1);
            for (size_t i = 0; i <= vox_optimizer_parts(r.optimizer); i++)
                assert_memory_equal(other[i], one[i], 4 * graph.flat_floats);
            close_rig(&r);
        }
        for (size_t device = 0; device < device_count(); device++) {
            r = open_rig(device, &long_case[c].spec, long_case[c].clip);
            walk(&r, 0.05, other[0], other + 1);
            for (size_t i = 0; i <= vox_optimizer_parts(r.optimizer); i++)
                assert_true(apart(other[i], one[i]) < 1e-6);
            close_rig(&r);
        }
    }
    free_floats(one);
    free_floats(other);
}

/* What was got and set again goes on to the same bits. */
static void state_moves(void **state)
{
    (void)state;
    vox_error err = {0};
    size_t device;
    const vox_optimizer_spec spec = {.kind = VOX_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.99};
    float *of[4], *after;
    make_graph(3000);
    make_floats(of);
    after = calloc(graph.flat_floats, sizeof *after);
    assert_non_null(after);
    for (size_t d = 0; target(d, &device); d++) {
        rig r = open_rig(device, &spec, 0), fresh = open_rig(device, &spec, 0);
        walk(&r, 0.05, of[0], of + 1);
        for (size_t i = 0; i < 2; i++)
            assert_ok(vox_optimizer_set_part(fresh.optimizer, i, of[1 + i], &err));
        memcpy(fresh.host, of[0], 4 * graph.flat_floats);
        write_params(&fresh);
        for (size_t i = 0; i < graph.flat_floats; i++)
            fresh.host[i] = r.host[i] = 0.25f;
        write_grads(&fresh);
        write_grads(&r);
        update(&fresh, 0.05, 3);
        update(&r, 0.05, 3);
        read_params(&r);
        memcpy(after, r.host, 4 * graph.flat_floats);
        read_params(&fresh);
        assert_memory_equal(after, fresh.host, 4 * graph.flat_floats);
        assert_true(apart(after, of[0]) > 1e-3);
        close_rig(&fresh);
        close_rig(&r);
    }
    free(after);
    free_floats(of);
}

static void an_average_in_host_memory(void **state)
{
    (void)state;
    vox_error err = {0};
    const vox_ema_spec spec = {true, 0.75, false};
    vox_ema *ema = NULL;
    vox_pool *pool = NULL;
    float *of[4]; /* the weights, the average, the same of one thread */
    make_graph(100003);
    make_floats(of);
    assert_ok(vox_pool_open(&pool, 3, &err));
    for (int threads = 0; threads < 2; threads++) {
        memset(of[0], 0, 4 * graph.flat_floats);
        assert_ok(vox_ema_open(&ema, NULL, graph.flat_floats, &spec, &err));
        assert_ok(vox_ema_set(ema, of[0], &err));
        for (int step = 0; step < 2; step++) {
            for (size_t i = 0; i < graph.flat_floats; i++)
                of[0][i] = (float)cos((double)i + step);
            assert_ok(vox_ema_step_host(ema, of[0], step, threads ? pool : NULL, &err));
        }
        assert_ok(vox_ema_get(ema, of[1 + threads], &err));
        vox_ema_free(&ema);
    }
    assert_memory_equal(of[1], of[2], 4 * graph.flat_floats);
    for (size_t i = 0; i < graph.flat_floats; i++)
        assert_float_equal(of[1][i], (float)(0.1875 * cos((double)i) + 0.25 * cos((double)i + 1)),
                           1e-7);
    vox_pool_free(&pool);
    free_floats(of);
}

/* With and without clipping; the losses are looked at on the device. */
static void a_loss_that_is_not_finite_stops_the_update(void **state)
{
    (void)state;
    vox_error err = {0};
    const vox_optimizer_spec spec = {.momentum = 0.9};
    const float bad[] = {NAN, INFINITY, -INFINITY, 0.5f};
    make_graph(3);
    for (int c = 0; c < 8; c++) {
        rig r = open_rig(0, &spec, c < 4 ? 0 : 1.0);
        const float loss[3] = {1, 2, bad[c % 4]};
        vox_buffer *on_device = NULL;
        assert_ok(
            vox_buffer_open(&on_device, r.dev, sizeof loss, VOX_BUFFER_DEVICE, "losses", &err));
        assert_ok(vox_buffer_write(on_device, 0, loss, sizeof loss, true, &err));
        for (size_t i = 0; i < FIRST + 3; i++)
            r.host[place(i)] = 1;
        write_params(&r);
        write_grads(&r);
        assert_ok(vox_optimizer_step(r.optimizer, r.params, r.grads, on_device, 3, 0.1, 0, &err));
        read_params(&r);
        for (size_t i = 0; i < FIRST + 3; i++)
            assert_true((r.host[place(i)] == 1) == (c % 4 != 3));
        /* Only the first two are this batch's: the next step goes on as if nothing had been. */
        assert_ok(vox_optimizer_step(r.optimizer, r.params, r.grads, on_device, 2, 0.1, 0, &err));
        read_params(&r);
        for (size_t i = 0; i < FIRST + 3; i++)
            assert_true(r.host[place(i)] < 1);
        vox_buffer_free(&on_device);
        close_rig(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sgd_follows_pytorch),
        cmocka_unit_test(adam_follows_pytorch),
        cmocka_unit_test(lars_and_lamb_follow_their_papers),
        cmocka_unit_test(weights_or_gradients_of_zero),
        cmocka_unit_test(norms_of_a_long_tensor),
        cmocka_unit_test(clipping_a_long_vector),
        cmocka_unit_test(a_nan_gradient_is_not_hidden),
        cmocka_unit_test(the_host_and_devices_agree),
        cmocka_unit_test(state_moves),
        cmocka_unit_test(an_average_in_host_memory),
        cmocka_unit_test(a_loss_that_is_not_finite_stops_the_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
