/* test_schedule.c - learning rates against their formulas, worked by hand. */
#include "test.h"

#include <math.h>

#include "train/schedule.h"

#define assert_rate(want, spec, lr, warmup, step, steps)                                           \
    assert_float_equal(vox_schedule_rate(&(spec), lr, warmup, step, steps), want, 1e-15)

static void constant_is_constant(void **state)
{
    (void)state;
    const vox_schedule_spec s = {.kind = VOX_SCHEDULE_CONSTANT};
    assert_rate(0.01, s, 0.01, 0, 0, 100);
    assert_rate(0.01, s, 0.01, 0, 1000000, 100);
}

static void step_falls_at_its_steps(void **state)
{
    (void)state;
    const vox_schedule_spec s = {
        .kind = VOX_SCHEDULE_STEP, .gamma = 0.5, .every = 10, .floor = 0.03};
    assert_rate(0.2, s, 0.2, 0, 9, 100);
    assert_rate(0.1, s, 0.2, 0, 10, 100);
    assert_rate(0.05, s, 0.2, 0, 20, 100);
    assert_rate(0.03, s, 0.2, 0, 30, 100); /* 0.025 is below the floor */
}

static void poly_ends_at_zero_or_the_floor(void **state)
{
    (void)state;
    vox_schedule_spec s = {.kind = VOX_SCHEDULE_POLY, .power = 2};
    assert_rate(0.4, s, 0.4, 0, 0, 10);
    assert_rate(0.1, s, 0.4, 0, 5, 10);
    assert_rate(0.0, s, 0.4, 0, 10, 10);
    assert_rate(0.0, s, 0.4, 0, 11, 10); /* past the end: no root of a negative number */
    s.floor = 0.001;
    s.power = 0.9;
    assert_rate(0.001, s, 0.4, 0, 12, 10);
    assert_rate(0.001, s, 0.4, 0, 0, 0); /* no steps at all */
}

static void exponential_and_inverse(void **state)
{
    (void)state;
    const vox_schedule_spec e = {.kind = VOX_SCHEDULE_EXPONENTIAL, .gamma = 0.25, .every = 2};
    assert_rate(0.5, e, 1, 0, 1, 10);
    assert_rate(0.25, e, 1, 0, 2, 10);
    const vox_schedule_spec i = {.kind = VOX_SCHEDULE_INVERSE, .gamma = 1, .power = 2, .every = 3};
    assert_rate(1.0, i, 1, 0, 0, 10);
    assert_rate(0.25, i, 1, 0, 3, 10);
    assert_rate(1.0 / 9, i, 1, 0, 6, 10);
}

static void warmup_climbs_to_the_schedule(void **state)
{
    (void)state;
    const vox_schedule_spec s = {.kind = VOX_SCHEDULE_CONSTANT, .floor = 0.05};
    assert_rate(0.025, s, 0.1, 4, 0, 100); /* below the floor: that is the schedule's */
    assert_rate(0.075, s, 0.1, 4, 2, 100);
    assert_rate(0.1, s, 0.1, 4, 3, 100);
    assert_rate(0.1, s, 0.1, 4, 4, 100);
}

#define assert_at(want, rate, spec, step)                                                          \
    assert_true(fabs(vox_rate_at(&(rate), &(spec), step, 1000) - (want)) < 1e-15)

static vox_train_spec large(vox_optimizer_kind kind, int64_t batch, int64_t reference)
{
    return (vox_train_spec){.batch = batch,
                            .reference_batch = reference,
                            .optimizer = {.kind = kind, .lr = 0.1},
                            .schedule = {.kind = VOX_SCHEDULE_CONSTANT}};
}

static void a_large_batch_has_a_larger_rate(void **state)
{
    (void)state;
    static const struct {
        vox_optimizer_kind kind;
        int64_t batch, reference;
        int scaling;
        double scale;
    } cases[] = {{VOX_OPTIMIZER_SGD, 64, 4, VOX_SCALING_AUTO, 16},
                 {VOX_OPTIMIZER_LARS, 64, 4, VOX_SCALING_AUTO, 16},
                 {VOX_OPTIMIZER_ADAM, 64, 4, VOX_SCALING_AUTO, 4},
                 {VOX_OPTIMIZER_ADAMW, 64, 4, VOX_SCALING_AUTO, 4},
                 {VOX_OPTIMIZER_LAMB, 64, 4, VOX_SCALING_AUTO, 4},
                 {VOX_OPTIMIZER_LAMB, 64, 4, VOX_SCALING_LINEAR, 16},
                 {VOX_OPTIMIZER_SGD, 64, 4, VOX_SCALING_SQRT, 4},
                 {VOX_OPTIMIZER_SGD, 64, 4, VOX_SCALING_NONE, 1},
                 {VOX_OPTIMIZER_SGD, 64, 0, VOX_SCALING_AUTO, 1},
                 {VOX_OPTIMIZER_SGD, 1, 4, VOX_SCALING_AUTO, 0.25}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vox_train_spec t = large(cases[i].kind, cases[i].batch, cases[i].reference);
        t.scaling = cases[i].scaling;
        const vox_rate r = vox_rate_make(&t, 1000, 10);
        assert_true(r.scale == cases[i].scale);
        assert_int_equal(r.warmup, r.scale > 1 ? 50 : 0);
        assert_at(0.1 * cases[i].scale, r, t, 900);
    }
}

static void its_warmup_climbs_from_the_unscaled_rate(void **state)
{
    (void)state;
    vox_train_spec t = large(VOX_OPTIMIZER_SGD, 32, 8);
    vox_rate r = vox_rate_make(&t, 1000, 200); /* a tenth of the steps is less than 5 epochs */
    assert_int_equal(r.warmup, 100);
    r = vox_rate_make(&t, 1000, 0);
    assert_int_equal(r.warmup, 100);
    assert_at(0.1, r, t, 0);
    assert_at(0.25, r, t, 50);
    assert_at(0.4, r, t, 100);
    t.warmup_given = true; /* as 0: none */
    r = vox_rate_make(&t, 1000, 0);
    assert_at(0.4, r, t, 0);
    t.warmup = 10;
    r = vox_rate_make(&t, 1000, 0);
    assert_at(0.25, r, t, 5);
    /* Without a larger batch a warm-up is what it was; so are the schedule and its floor. */
    t.reference_batch = 64;
    t.schedule = (vox_schedule_spec){.kind = VOX_SCHEDULE_POLY, .power = 1, .floor = 0.06};
    r = vox_rate_make(&t, 1000, 0);
    assert_at(0.5 * 0.5 * 0.1 * 0.996, r, t, 4);
    assert_at(0.03, r, t, 900);
}

static void the_rate_is_told(void **state)
{
    (void)state;
    char text[200];
    vox_train_spec t = large(VOX_OPTIMIZER_LAMB, 64, 8);
    t.optimizer.lr = 0.001;
    vox_rate_text(&t, text, sizeof text);
    assert_non_null(strstr(text, ", lr 0.001 x 2.83 = 0.002828: batch 64, tuned for 8 (sqrt)"));
    t.reference_batch = 0;
    vox_rate_text(&t, text, sizeof text);
    assert_null(strstr(text, "tuned"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(constant_is_constant),
                                       cmocka_unit_test(step_falls_at_its_steps),
                                       cmocka_unit_test(poly_ends_at_zero_or_the_floor),
                                       cmocka_unit_test(exponential_and_inverse),
                                       cmocka_unit_test(warmup_climbs_to_the_schedule),
                                       cmocka_unit_test(a_large_batch_has_a_larger_rate),
                                       cmocka_unit_test(its_warmup_climbs_from_the_unscaled_rate),
                                       cmocka_unit_test(the_rate_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
