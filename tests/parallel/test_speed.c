/* test_speed.c - what the shares become on made-up devices: different, noisy, slowing down. */
#include "test.h"

#include "base/philox.h"
#include "parallel/speed.h"

#include <math.h>

#define MOST 4

typedef struct rig {
    vox_speed *speed;
    size_t devices;
    int64_t batch;
    vox_cost cost[MOST];
    double noise; /* relative standard deviation */
    double rest;  /* seconds of a step that no split changes */
    vox_random random;
    int64_t steps, changes, trials;
    double spent;
    char said[128]; /* of the last change */
} rig;

static void rig_open(rig *r, size_t devices, int64_t batch, const double *weight, bool fixed)
{
    vox_error err = {0};
    *r = (rig){.devices = devices, .batch = batch};
    const vox_speed_options opt = {
        .devices = devices, .batch = batch, .weight = weight, .fixed = fixed};
    assert_ok(vox_speed_open(&r->speed, &opt, &err));
    for (size_t i = 0; i < devices; i++)
        r->cost[i] = (vox_cost){0, 1};
    vox_random_init(&r->random, 5, VOX_RANDOM_SYNTH, 0, 0, 0);
}

/* First steps of a size take ten times as long, as if kernels were built. */
static void rig_run(rig *r, int64_t steps)
{
    static bool built[MOST][200];
    if (r->steps == 0)
        memset(built, 0, sizeof built);
    for (const int64_t end = r->steps + steps; r->steps < end; r->steps++) {
        int64_t count[MOST], first[MOST], usual[MOST], sum = 0;
        double seconds[MOST], step_s = 0;
        vox_speed_change change;
        vox_speed_split(r->speed, r->batch, count, first);
        vox_speed_shares(r->speed, usual);
        r->trials += memcmp(count, usual, r->devices * sizeof *count) != 0;
        for (size_t i = 0; i < r->devices; i++) {
            assert_true(count[i] >= 0 && first[i] == sum);
            sum += count[i];
            const double error = 1 + r->noise * vox_random_normal(&r->random);
            seconds[i] = count[i] ? vox_cost_of(&r->cost[i], count[i]) * error : (double)NAN;
            if (count[i] && !built[i][count[i]])
                seconds[i] *= 10;
            built[i][count[i]] = true;
            step_s = fmax(step_s, count[i] ? seconds[i] : 0);
        }
        assert_int_equal(sum, r->batch);
        r->spent += step_s + r->rest;
        vox_speed_step(r->speed, seconds, step_s + r->rest, &change);
        r->changes += change.changed;
        if (change.changed)
            vox_speed_describe(r->speed, &change, r->said, sizeof r->said);
    }
}

static void assert_shares(const rig *r, const int64_t *want)
{
    int64_t count[MOST];
    vox_speed_shares(r->speed, count);
    for (size_t i = 0; i < r->devices; i++)
        assert_int_equal(count[i], want[i]);
}

static void three_to_one_becomes_six_and_two(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 2, 8, NULL, false);
    r.cost[1].each = 3;
    rig_run(&r, 5); /* the first builds kernels, three more make a median, votes are missing */
    assert_shares(&r, (const int64_t[]){4, 4});
    rig_run(&r, 10);
    assert_shares(&r, (const int64_t[]){6, 2});
    assert_int_equal(r.changes, 1);
    assert_string_equal(r.said, "shares 6 2 (was 4 4): 6 s predicted, 12 before");
    rig_run(&r, 200);
    assert_int_equal(r.changes, 1);
    assert_true(fabs(vox_speed_of(r.speed, 1) - 3) < 1e-9);
    vox_speed_free(&r.speed);
}

static void equal_devices_with_noise_keep_equal_shares(void **state)
{
    (void)state;
    static const int64_t batch[] = {2, 8, 33, 128};
    for (size_t b = 0; b < sizeof batch / sizeof *batch; b++) {
        rig r;
        int64_t before[MOST];
        rig_open(&r, 3, batch[b], NULL, false);
        vox_speed_shares(r.speed, before);
        r.noise = 0.05;
        rig_run(&r, 3000);
        assert_shares(&r, before);
        vox_speed_free(&r.speed);
    }
}

static void one_that_slows_down_and_recovers_is_followed(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 2, 8, NULL, false);
    r.noise = 0.05;
    rig_run(&r, 50);
    assert_shares(&r, (const int64_t[]){4, 4});
    r.cost[0].each = 3;
    rig_run(&r, 12);
    assert_shares(&r, (const int64_t[]){2, 6});
    rig_run(&r, 100);
    r.cost[0].each = 1;
    rig_run(&r, 12);
    assert_shares(&r, (const int64_t[]){4, 4});
    rig_run(&r, 300);
    assert_int_equal(r.changes, 2);
    vox_speed_free(&r.speed);
}

/* With 20 s a sample its smallest share takes longer than the whole batch elsewhere. */
static void one_that_sits_out_is_tried_and_comes_back(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 3, 9, NULL, false);
    rig_run(&r, 40);
    r.cost[2].each = 20;
    rig_run(&r, 40);
    assert_shares(&r, (const int64_t[]){5, 4, 0});
    const double before = r.spent;
    const int64_t trials = r.trials;
    rig_run(&r, 4000);
    assert_true(r.trials > trials);
    assert_true(r.spent - before < 4000 * 5 * 1.013); /* the first two trials come early */
    r.cost[2].each = 1;
    rig_run(&r, 1000);
    assert_shares(&r, (const int64_t[]){3, 3, 3});
    vox_speed_free(&r.speed);
}

/* Time for launches: 4 s beside 1 s a sample.  Equal shares show none of it. */
static void a_fixed_cost_is_found(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 2, 32, NULL, false);
    r.cost[0] = (vox_cost){4, 0.5};
    r.cost[1] = (vox_cost){0, 2};
    r.noise = 0.01;
    rig_run(&r, 200);
    int64_t best[2], now[2];
    const double least = vox_shards_fastest(32, 2, r.cost, NULL, best);
    vox_speed_shares(r.speed, now);
    assert_true(fmax(vox_cost_of(&r.cost[0], now[0]), vox_cost_of(&r.cost[1], now[1])) <=
                least * 1.11);
    assert_true(r.changes <= 3);
    vox_speed_free(&r.speed);
}

/* What all splits have in common counts: half of 10 % is no reason to change. */
static void a_saving_is_of_the_whole_step(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 2, 20, NULL, false);
    r.cost[1].each = 1.3; /* 11 and 9: 13 s become 11.7 */
    r.rest = 10;
    rig_run(&r, 100);
    assert_int_equal(r.changes, 0);
    vox_speed_free(&r.speed);
}

/* Each device is slow with what it has: no split is better, and changes become rare. */
static void misleading_times_do_not_flutter(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 2, 8, NULL, false);
    for (int k = 0; k < 4000; k++) {
        int64_t count[2];
        vox_speed_shares(r.speed, count);
        r.cost[0].each = count[0] >= count[1] ? 4 : 1;
        r.cost[1].each = count[0] >= count[1] ? 1 : 4;
        rig_run(&r, 1);
    }
    assert_true(r.changes > 1 && r.changes < 40);
    vox_speed_free(&r.speed);
}

static void fixed_weights_stay(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 3, 12, (const double[]){3, 2, 1}, true);
    r.cost[0].each = 50;
    rig_run(&r, 100);
    assert_shares(&r, (const int64_t[]){6, 4, 2});
    int64_t count[3], first[3];
    vox_speed_split(r.speed, 6, count, first);
    assert_int_equal(count[0], 3);
    assert_int_equal(first[2], 5);
    vox_speed_free(&r.speed);
}

static void what_a_lost_device_had_goes_to_the_others(void **state)
{
    (void)state;
    rig r;
    vox_speed_change change;
    rig_open(&r, 3, 12, NULL, false);
    vox_speed_lose(r.speed, 1, &change); /* nothing is measured yet */
    assert_true(change.changed && isnan(change.predicted_s));
    assert_shares(&r, (const int64_t[]){6, 0, 6});
    rig_run(&r, 10);
    r.cost[0].each = 2;
    rig_run(&r, 20);
    assert_shares(&r, (const int64_t[]){4, 0, 8});
    rig_run(&r, 200);
    assert_int_equal(r.trials, 0); /* never tried again */
    vox_speed_lose(r.speed, 2, &change);
    assert_shares(&r, (const int64_t[]){12, 0, 0});
    assert_true(fabs(change.predicted_s - 24) < 1e-6);
    rig_run(&r, 50);
    vox_speed_free(&r.speed);

    rig_open(&r, 3, 12, (const double[]){1, 0, 0}, true); /* those left had none */
    vox_speed_lose(r.speed, 0, &change);
    assert_shares(&r, (const int64_t[]){0, 6, 6});
    vox_speed_free(&r.speed);
}

/* The second group's two devices are slow: one of them has a sample anyway, also of small batches,
 * and when one is lost; a group without devices has none. */
static void no_group_is_left_out(void **state)
{
    (void)state;
    rig r;
    vox_error err = {0};
    vox_speed_change change;
    int64_t count[3], first[3];
    rig_open(&r, 3, 12, NULL, false);
    vox_speed_free(&r.speed);
    const vox_speed_options opt = {
        .devices = 3, .batch = 12, .group = (const int64_t[]){0, 1, 3}, .groups = 2};
    assert_ok(vox_speed_open(&r.speed, &opt, &err));
    r.cost[1].each = 60;
    r.cost[2].each = 50;
    rig_run(&r, 20);
    assert_shares(&r, (const int64_t[]){11, 0, 1});
    for (int64_t n = 2; n < 12; n++) {
        vox_speed_split(r.speed, n, count, first);
        assert_true(count[0] == n - 1 && count[1] == 0 && count[2] == 1 && first[2] == n - 1);
    }
    vox_speed_lose(r.speed, 2, &change);
    assert_shares(&r, (const int64_t[]){11, 1, 0});
    rig_run(&r, 100);
    assert_shares(&r, (const int64_t[]){11, 1, 0});
    vox_speed_lose(r.speed, 1, &change);
    assert_shares(&r, (const int64_t[]){12, 0, 0});
    vox_speed_free(&r.speed);
}

/* A resume begins with these weights; who sat out is tried again. */
static void weights_go_on(void **state)
{
    (void)state;
    rig r;
    rig_open(&r, 2, 8, (const double[]){8, 0}, false);
    assert_shares(&r, (const int64_t[]){8, 0});
    rig_run(&r, 100);
    assert_shares(&r, (const int64_t[]){4, 4});
    assert_true(vox_speed_weights(r.speed)[0] == 4);
    vox_speed_free(&r.speed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_to_one_becomes_six_and_two),
        cmocka_unit_test(equal_devices_with_noise_keep_equal_shares),
        cmocka_unit_test(one_that_slows_down_and_recovers_is_followed),
        cmocka_unit_test(one_that_sits_out_is_tried_and_comes_back),
        cmocka_unit_test(a_fixed_cost_is_found),
        cmocka_unit_test(a_saving_is_of_the_whole_step),
        cmocka_unit_test(misleading_times_do_not_flutter),
        cmocka_unit_test(fixed_weights_stay),
        cmocka_unit_test(what_a_lost_device_had_goes_to_the_others),
        cmocka_unit_test(no_group_is_left_out),
        cmocka_unit_test(weights_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
