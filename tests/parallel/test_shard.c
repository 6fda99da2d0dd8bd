/* test_shard.c - shares by time against every possible split. */
#include "test.h"

#include "base/philox.h"
#include "parallel/shard.h"

#include <math.h>

#define MOST 4

static double time_of(const vox_cost *cost, const int64_t *count, size_t devices)
{
    double longest = 0;
    for (size_t i = 0; i < devices; i++)
        longest = fmax(longest, vox_cost_of(&cost[i], count[i]));
    return longest;
}

/* The least time over all ways to give `left` samples to devices i and after. */
static double best_of_all(const vox_cost *cost, int64_t *count, size_t i, size_t devices,
                          int64_t left)
{
    double best = INFINITY;
    if (i + 1 == devices) {
        count[i] = left;
        return time_of(cost, count, devices);
    }
    for (int64_t n = 0; n <= left; n++) {
        count[i] = n;
        best = fmin(best, best_of_all(cost, count, i + 1, devices, left - n));
    }
    return best;
}

static void no_split_is_faster(void **state)
{
    (void)state;
    vox_random r;
    vox_random_init(&r, 11, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (int round = 0; round < 400; round++) {
        const size_t devices = 1 + (size_t)round % MOST;
        const int64_t batch = 1 + round % 13;
        vox_cost cost[MOST];
        int64_t count[MOST], trial[MOST], sum = 0;
        for (size_t i = 0; i < devices; i++)
            cost[i] = (vox_cost){.fixed = round % 3 ? vox_random_range(&r, 0, 3) : 0,
                                 .each = vox_random_range(&r, 0.1, 4)};
        if (devices > 1 && round % 5 == 0) /* one gets none */
            cost[(size_t)round % devices].each = INFINITY;
        const double seconds = vox_shards_fastest(batch, devices, cost, NULL, count);
        for (size_t i = 0; i < devices; i++)
            sum += count[i];
        assert_int_equal(sum, batch);
        assert_true(seconds == time_of(cost, count, devices));
        assert_true(seconds == best_of_all(cost, trial, 0, devices, batch));
    }
}

static void check(int64_t batch, size_t devices, const vox_cost *cost, const int64_t *want)
{
    int64_t count[MOST];
    vox_shards_fastest(batch, devices, cost, NULL, count);
    for (size_t i = 0; i < devices; i++)
        assert_int_equal(count[i], want[i]);
}

/* What must be given is, and the rest as well as can be. */
static void some_have_to_get_a_sample(void **state)
{
    (void)state;
    const vox_cost cost[] = {{0, 1}, {0, 10}, {0, 30}};
    const int64_t least[] = {0, 0, 1};
    int64_t count[MOST];
    assert_true(vox_shards_fastest(8, 3, cost, least, count) == 30);
    assert_int_equal(count[0], 7);
    assert_int_equal(count[1], 0);
    assert_int_equal(count[2], 1);
    assert_true(vox_shards_fastest(60, 3, cost, least, count) > 30);
    assert_int_equal(count[2], 1);
}

static void speeds_of_three_to_one(void **state)
{
    (void)state;
    check(8, 2, (const vox_cost[]){{0, 1}, {0, 3}}, (const int64_t[]){6, 2});
    check(8, 2, (const vox_cost[]){{0, 3}, {0, 1}}, (const int64_t[]){2, 6});
    check(7, 2, (const vox_cost[]){{0, 1}, {0, 3}}, (const int64_t[]){6, 1}); /* 6, not 5 and 6 */
}

static void equal_devices_have_equal_shares(void **state)
{
    (void)state;
    const vox_cost same[] = {{0.1, 0.7}, {0.1, 0.7}, {0.1, 0.7}, {0.1, 0.7}};
    for (int64_t batch = 0; batch < 12; batch++) {
        int64_t want[MOST], first[MOST];
        vox_shards_make(batch, MOST, NULL, want, first);
        check(batch, MOST, same, want);
    }
}

static void who_would_lengthen_the_step_sits_out(void **state)
{
    (void)state;
    check(4, 2, (const vox_cost[]){{0, 1}, {0, 4.5}}, (const int64_t[]){4, 0});
    check(4, 2, (const vox_cost[]){{0, 1}, {3.5, 0.1}}, (const int64_t[]){3, 1});
    check(4, 2, (const vox_cost[]){{0, 1}, {4, 0.1}}, (const int64_t[]){4, 0});
    check(2, 3, (const vox_cost[]){{0, INFINITY}, {0, 3}, {0, 1}}, (const int64_t[]){0, 0, 2});
}

static void words_and_weights_are_read(void **state)
{
    (void)state;
    vox_error err = {0};
    double w[3] = {7, 7, 7};
    vox_shard_mode mode;
    static const struct {
        const char *text, *word;
    } wrong[] = {
        {"", "no known word"},    {"fair", "no known word"}, {"1,2", "2 weights and 3"},
        {"1,2,3,4", "4 weights"}, {"1,-1,1", "below 0"},     {"0,0,0", "all weights are 0"},
        {"1,,1", "no list"},      {"1,2,inf", "finite"},     {"1,2,3,", "no list"}};
    assert_ok(vox_shard_parse(&mode, w, NULL, 3, &err));
    assert_int_equal(mode, VOX_SHARD_AUTO);
    assert_ok(vox_shard_parse(&mode, w, "auto", 3, &err));
    assert_int_equal(mode, VOX_SHARD_AUTO);
    assert_ok(vox_shard_parse(&mode, w, "equal", 3, &err));
    assert_int_equal(mode, VOX_SHARD_EQUAL);
    assert_true(w[0] == 7 && w[2] == 7);
    assert_ok(vox_shard_parse(&mode, w, "3, 0.5,0", 3, &err));
    assert_int_equal(mode, VOX_SHARD_WEIGHTS);
    assert_true(w[0] == 3 && w[1] == 0.5 && w[2] == 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_error(vox_shard_parse(&mode, w, wrong[i].text, 3, &err), VOX_ERR_USAGE,
                     wrong[i].word);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_split_is_faster),
        cmocka_unit_test(some_have_to_get_a_sample),
        cmocka_unit_test(speeds_of_three_to_one),
        cmocka_unit_test(equal_devices_have_equal_shares),
        cmocka_unit_test(who_would_lengthen_the_step_sits_out),
        cmocka_unit_test(words_and_weights_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
