/* test_schedule.c - learning rates against their formulas, worked by hand. */
#include "test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constant_is_constant), cmocka_unit_test(step_falls_at_its_steps),
        cmocka_unit_test(poly_ends_at_zero_or_the_floor), cmocka_unit_test(exponential_and_inverse),
        cmocka_unit_test(warmup_climbs_to_the_schedule)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
