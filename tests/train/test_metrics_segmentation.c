/* test_metrics_segmentation.c - overlap, distances and volumes of label maps: by hand, and
 * distances against every pair of voxels. */
#include "test.h"

#include "base/philox.h"
#include "train/metrics_segmentation.h"

#include <math.h>

#define MOST 2000

static vox_error err;
static const int64_t cube[3] = {3, 4, 5};
static const double unit[3] = {1, 1, 1};

static void counts_are_counts(void **state)
{
    (void)state;
    int32_t truth[60] = {0}, guess[60] = {0};
    const double spacing[3] = {2, 0.5, 3};
    vox_class_metrics r;
    for (int i = 0; i < 10; i++)
        truth[i] = 1, guess[i + 4] = 1; /* 6 in common */
    guess[20] = guess[21] = 1;
    truth[20] = 9; /* ignored below: only 21 is wrong there */
    assert_ok(vox_class_metrics_get(&r, truth, guess, cube, spacing, 1, 9, VOX_EMPTY_NNUNET, &err));
    assert_true(r.truth == 10 && r.predicted == 11 && r.both == 6);
    assert_true(r.dice == 12.0 / 21 && r.iou == 6.0 / 15);
    assert_true(r.sensitivity == 0.6 && r.precision == 6.0 / 11);
    assert_true(fabs(r.truth_ml - 0.03) < 1e-15 && fabs(r.volume_error_ml - 0.003) < 1e-15);
    assert_true(r.volume_error == 0.1);
}

static void an_empty_truth_has_rules(void **state)
{
    (void)state;
    int32_t truth[60] = {0}, guess[60] = {0};
    vox_class_metrics r;
    assert_ok(vox_class_metrics_get(&r, truth, guess, cube, unit, 1, -1, VOX_EMPTY_ONE, &err));
    assert_true(r.dice == 1 && isnan(r.iou) && isnan(r.sensitivity) && isnan(r.precision));
    assert_true(isnan(r.hd95_mm) && isnan(r.volume_error) && r.volume_error_ml == 0);
    assert_true(isnan(vox_dice(0, 0, 0, VOX_EMPTY_NNUNET)) &&
                vox_dice(0, 3, 0, VOX_EMPTY_NNUNET) == 0);
    assert_true(isnan(vox_dice(0, 0, 0, VOX_EMPTY_MONAI)) &&
                isnan(vox_dice(0, 3, 0, VOX_EMPTY_MONAI)));
    assert_true(vox_dice(0, 3, 0, VOX_EMPTY_ONE) == 0 && vox_dice(3, 0, 0, VOX_EMPTY_ONE) == 0);
    assert_string_equal(vox_empty_rule_name(VOX_EMPTY_NNUNET), "nnunet");
    guess[7] = 1;
    assert_ok(vox_class_metrics_get(&r, truth, guess, cube, unit, 1, -1, VOX_EMPTY_NNUNET, &err));
    assert_true(r.dice == 0 && r.precision == 0 && isnan(r.hd95_mm));
}

static void percentiles_are_numpys(void **state)
{
    (void)state;
    double v[] = {5, 1, 4, 2}, one[] = {7};
    assert_true(vox_percentile(v, 4, 50) == 3 && vox_percentile(v, 4, 100) == 5);
    assert_true(fabs(vox_percentile(v, 4, 95) - 4.85) < 1e-12); /* np.percentile([1,2,4,5], 95) */
    assert_true(vox_percentile(one, 1, 95) == 7);
}

/* Two voxels 3 slices of 2 mm apart; then one of them in a row of twenty: 95 % of the row's way. */
static void distances_by_hand(void **state)
{
    (void)state;
    int32_t truth[400] = {0}, guess[400] = {0};
    const int64_t size[3] = {4, 5, 20};
    const double spacing[3] = {2, 1, 0.5};
    vox_class_metrics r;
    truth[0] = guess[300] = 1;
    assert_ok(vox_class_metrics_get(&r, truth, guess, size, spacing, 1, -1, VOX_EMPTY_ONE, &err));
    assert_true(r.hd95_mm == 6);
    guess[300] = 0;
    for (int i = 0; i < 20; i++)
        guess[i] = 1;
    assert_ok(vox_class_metrics_get(&r, truth, guess, size, spacing, 1, -1, VOX_EMPTY_ONE, &err));
    assert_true(fabs(r.hd95_mm - 0.5 * 0.95 * 19) < 1e-12);
    assert_ok(vox_class_metrics_get(&r, guess, guess, size, spacing, 1, -1, VOX_EMPTY_ONE, &err));
    assert_true(r.hd95_mm == 0 && r.dice == 1);
}

/* ---- every pair ---- */

static bool surface(const int32_t *map, const int64_t n[3], int64_t d, int64_t h, int64_t w)
{
    static const int step[6][3] = {{1, 0, 0},  {-1, 0, 0}, {0, 1, 0},
                                   {0, -1, 0}, {0, 0, 1},  {0, 0, -1}};
    if (!map[(d * n[1] + h) * n[2] + w])
        return false;
    for (int i = 0; i < 6; i++) {
        const int64_t a = d + step[i][0], b = h + step[i][1], c = w + step[i][2];
        if (a < 0 || b < 0 || c < 0 || a >= n[0] || b >= n[1] || c >= n[2] ||
            !map[(a * n[1] + b) * n[2] + c])
            return true;
    }
    return false;
}

static size_t points(const int32_t *map, const int64_t n[3], const double mm[3],
                     double out[MOST][3])
{
    size_t count = 0;
    for (int64_t d = 0; d < n[0]; d++)
        for (int64_t h = 0; h < n[1]; h++)
            for (int64_t w = 0; w < n[2]; w++)
                if (surface(map, n, d, h, w)) {
                    out[count][0] = mm[0] * (double)d;
                    out[count][1] = mm[1] * (double)h;
                    out[count++][2] = mm[2] * (double)w;
                }
    return count;
}

static double one_way(double a[MOST][3], size_t n, double b[MOST][3], size_t m)
{
    static double distance[MOST];
    for (size_t i = 0; i < n; i++) {
        double best = INFINITY;
        for (size_t k = 0; k < m; k++) {
            const double x = a[i][0] - b[k][0], y = a[i][1] - b[k][1], z = a[i][2] - b[k][2];
            best = fmin(best, sqrt(x * x + y * y + z * z));
        }
        distance[i] = best;
    }
    return vox_percentile(distance, n, 95);
}

static void distances_are_those_of_all_pairs(void **state)
{
    (void)state;
    static int32_t map[2][MOST];
    static double point[2][MOST][3];
    vox_random r;
    vox_random_init(&r, 5, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (int round = 0; round < 60; round++) {
        int64_t n[3];
        double mm[3];
        for (int a = 0; a < 3; a++) {
            n[a] = 1 + vox_random_below(&r, 12);
            mm[a] = vox_random_range(&r, 0.3, 5);
        }
        const uint32_t rare = 1 + vox_random_below(&r, round % 2 ? 3 : 40);
        for (int k = 0; k < 2; k++)
            for (int64_t i = 0; i < n[0] * n[1] * n[2]; i++)
                map[k][i] = vox_random_below(&r, rare + 1) == 0;
        const size_t a = points(map[0], n, mm, point[0]), b = points(map[1], n, mm, point[1]);
        vox_class_metrics got;
        assert_ok(vox_class_metrics_get(&got, map[0], map[1], n, mm, 1, -1, VOX_EMPTY_ONE, &err));
        if (a == 0 || b == 0) {
            assert_true(isnan(got.hd95_mm));
            continue;
        }
        const double want =
            fmax(one_way(point[0], a, point[1], b), one_way(point[1], b, point[0], a));
        assert_true(fabs(got.hd95_mm - want) <= 1e-9 * (1 + want));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_counts),
        cmocka_unit_test(an_empty_truth_has_rules),
        cmocka_unit_test(percentiles_are_numpys),
        cmocka_unit_test(distances_by_hand),
        cmocka_unit_test(distances_are_those_of_all_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
