/* test_scaling_model.c - the cost model of scaling: fits find what made the points, predictions
 * make sense. */
#include "test.h"

#include "parallel/scaling_model.h"

#include <math.h>

static const vox_scaling_model truth = {.bytes = 50e6,
                                        .per_host = 4,
                                        .fixed_s = 0.02,
                                        .per_sample_s = 0.1,
                                        .crowding = 0.05,
                                        .level_s = 1e-4,
                                        .byte_reduced_s = 1 / 20e9,
                                        .exposed = 1,
                                        .fetch_s = 5e-4,
                                        .update_s = 0.008,
                                        .send_s = 0.003,
                                        .own_update_s = 0.01,
                                        .latency_s = 20e-6,
                                        .bandwidth = 1.25e9};

/* A step as it would have been measured. */
static vox_scaling_point point_of(const vox_scaling_model *m, int64_t devices, int64_t share)
{
    const vox_scaling_step c = vox_scaling_predict(m, devices, devices * share);
    return (vox_scaling_point){.devices = devices,
                               .share = share,
                               .compute_s = c.compute_s,
                               .reduce_s = c.reduce_s,
                               .update_s = c.update_s,
                               .send_s = c.send_s};
}

static vox_scaling_sum sum_of(const vox_scaling_model *m, int64_t leaves)
{
    return (vox_scaling_sum){leaves, m->level_s * ceil(log2((double)leaves)) +
                                         m->byte_reduced_s * (double)(leaves + 1) * m->bytes};
}

#define assert_near(a, b) assert_true(fabs((a) - (b)) <= 1e-9 * fabs(b))

static void a_fit_finds_what_made_the_points(void **state)
{
    (void)state;
    vox_error err = {0};
    const vox_scaling_point point[] = {point_of(&truth, 1, 8), point_of(&truth, 1, 4),
                                       point_of(&truth, 2, 4), point_of(&truth, 2, 8),
                                       point_of(&truth, 4, 2)};
    const vox_scaling_sum sum[] = {sum_of(&truth, 2), sum_of(&truth, 4), sum_of(&truth, 8)};
    vox_scaling_model m = {.bytes = truth.bytes,
                           .per_host = truth.per_host,
                           .latency_s = truth.latency_s,
                           .bandwidth = truth.bandwidth};
    assert_ok(vox_scaling_fit(&m, point, 5, sum, 3, &err));
    assert_near(m.fixed_s, truth.fixed_s);
    assert_near(m.per_sample_s, truth.per_sample_s);
    assert_near(m.crowding, truth.crowding);
    assert_near(m.level_s, truth.level_s);
    assert_near(m.byte_reduced_s, truth.byte_reduced_s);
    assert_near(m.fetch_s, truth.fetch_s);
    assert_near(m.update_s, truth.update_s);
    assert_near(m.send_s, truth.send_s);
    assert_near(m.own_update_s, truth.own_update_s);
    assert_true(m.error < 1e-9);
    assert_near(vox_scaling_predict(&m, 1024, 4096).step_s,
                vox_scaling_predict(&truth, 1024, 4096).step_s);
}

/* A reduction that is over soon after backward went on beside it. */
static void what_backward_hides_is_found(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_scaling_model hides = truth, m = {.bytes = truth.bytes, .per_host = truth.per_host};
    hides.fetch_s = 0;
    hides.exposed = 0.2;
    const vox_scaling_point point[] = {point_of(&hides, 1, 8), point_of(&hides, 1, 4),
                                       point_of(&hides, 2, 8), point_of(&hides, 4, 4)};
    const vox_scaling_sum sum[] = {sum_of(&truth, 2), sum_of(&truth, 4)};
    assert_ok(vox_scaling_fit(&m, point, 4, sum, 2, &err));
    assert_near(m.exposed, 0.2);
    assert_true(m.fetch_s == 0 && m.error < 1e-9);
}

/* The fit is a line through the noise, and its error says how much that was. */
static void noise_is_told(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_scaling_point point[] = {point_of(&truth, 1, 8), point_of(&truth, 1, 4),
                                 point_of(&truth, 2, 4), point_of(&truth, 2, 8)};
    for (int i = 0; i < 4; i++)
        point[i].compute_s *= i % 2 ? 1.03 : 0.97;
    vox_scaling_model m = {.bytes = truth.bytes, .per_host = 4};
    assert_ok(vox_scaling_fit(&m, point, 4, NULL, 0, &err));
    assert_true(m.error > 0.005 && m.error < 0.15);
    assert_true(fabs(m.per_sample_s / truth.per_sample_s - 1) < 0.2);
}

static void little_was_measured(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_scaling_model m = {.bytes = 4, .per_host = 1, .bandwidth = 1e9};
    vox_scaling_point one = point_of(&truth, 1, 8), two = point_of(&truth, 2, 8);
    assert_ok(
        vox_scaling_fit(&m, &one, 1, NULL, 0, &err)); /* one point: no fixed part to be seen */
    assert_true(m.fixed_s == 0 && m.crowding == 0 && m.byte_reduced_s == 0);
    assert_near(m.per_sample_s, one.compute_s / 8);
    assert_error(vox_scaling_fit(&m, &two, 1, NULL, 0, &err), VOX_ERR_USAGE, "one device");
    assert_error(vox_scaling_fit(&m, NULL, 0, NULL, 0, &err), VOX_ERR_USAGE, "one device");
    /* a device that takes no longer for more samples: all of it is the fixed part */
    vox_scaling_point flat[2] = {{1, 2, 0.5, 0, 0, 0}, {1, 4, 0.4, 0, 0, 0}};
    assert_ok(vox_scaling_fit(&m, flat, 2, NULL, 0, &err));
    assert_true(m.per_sample_s == 0 && m.fixed_s > 0.4 && m.fixed_s < 0.5);
}

/* Small batches send 10 MB and 1 kB a sample, others all 50 MB. */
static vox_scaling_sent rows(const void *arg, int64_t batch)
{
    assert_null(arg);
    return batch > 16 ? (vox_scaling_sent){.summed = 50e6}
                      : (vox_scaling_sent){10e6, 1e3 * (double)batch};
}

static void factors_are_less_to_send(void **state)
{
    (void)state;
    vox_scaling_model m = truth;
    m.hidden = 0;
    m.per_host = 2;
    const vox_scaling_step whole = vox_scaling_predict(&m, 4, 16);
    m.sent = rows;
    const vox_scaling_step some = vox_scaling_predict(&m, 4, 16),
                           large = vox_scaling_predict(&m, 4, 32);
    assert_near(whole.network_s, 2 * m.latency_s + 50e6 / m.bandwidth);
    assert_near(some.network_s, 3 * m.latency_s + (10e6 + 16e3 / 2) / m.bandwidth);
    assert_near(large.network_s, whole.network_s);
    assert_near(whole.reduce_s - some.reduce_s, m.exposed * m.byte_reduced_s * 3 * 40e6);
}

static void more_devices_do_more(void **state)
{
    (void)state;
    vox_scaling_model free = truth; /* communication and crowding cost nothing */
    free.crowding = free.level_s = free.byte_reduced_s = free.fetch_s = 0;
    free.update_s = free.send_s = free.own_update_s = free.latency_s = 0;
    free.bandwidth = INFINITY;
    double weak = 0, strong = 1e9, rate = 0;
    for (int64_t n = 1; n <= 1024; n++) {
        const vox_scaling_step c = vox_scaling_predict(&truth, n, 8 * n);
        assert_true(c.step_s >= weak); /* the same share takes no less time among more */
        weak = c.step_s;
        assert_int_equal(c.hosts, (n + 3) / 4);
        const double per_s = (double)(8 * n) / c.step_s;
        assert_true(per_s <= (double)n * 8 / vox_scaling_predict(&truth, 1, 8).step_s * 1.03);
        if (n % 4 == 0) { /* whole hosts: more of them do more */
            assert_true(per_s > rate);
            rate = per_s;
        }
        const vox_scaling_step s = vox_scaling_predict(&free, n, 1024);
        assert_true(s.step_s <= strong);
        strong = s.step_s;
        assert_true(c.utilisation_mean > 0 && c.utilisation_mean <= 1);
        assert_true(c.utilisation_min <= c.utilisation_mean * (1 + 1e-12));
    }
    const vox_scaling_step idle = vox_scaling_predict(&truth, 8, 2); /* more devices than samples */
    assert_true(idle.utilisation_min == 0 && idle.utilisation_mean > 0);
    assert_near(vox_scaling_predict(&free, 1024, 1024).step_s, 0.12);
}

static void networks_cost_what_their_formula_says(void **state)
{
    (void)state;
    vox_scaling_model m = truth;
    assert_true(vox_scaling_predict(&m, 4, 32).network_s == 0);
    assert_near(vox_scaling_predict(&m, 8, 64).network_s, 2 * 20e-6 + 50e6 / 1.25e9);
    assert_near(vox_scaling_predict(&m, 16, 128).network_s, 4 * 20e-6 + 1.5 * 50e6 / 1.25e9);
    m.hidden = 0.5; /* of a compute time much longer */
    assert_true(vox_scaling_predict(&m, 16, 128).network_s == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fit_finds_what_made_the_points),
        cmocka_unit_test(what_backward_hides_is_found),
        cmocka_unit_test(noise_is_told),
        cmocka_unit_test(little_was_measured),
        cmocka_unit_test(factors_are_less_to_send),
        cmocka_unit_test(more_devices_do_more),
        cmocka_unit_test(networks_cost_what_their_formula_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
