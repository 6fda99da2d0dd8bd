/* test_metrics.c - accuracy, AUC and kappa against scikit-learn's figures, and the cases in which
 * they are not defined. */
#include "test.h"

#include "train/metrics.h"

#include <math.h>

#define N 12
#define K 4

/* Scores in quarters, so that ties abound. */
static const float scores[N * K] = {
    0.5f,  0.75f, 0.25f, 0.5f,  1,    1,    0.25f, 0.25f, 0,     0.5f,  0,    0.5f,
    0.75f, 0.25f, 0.75f, 0.5f,  0,    0.5f, 0.25f, 0.5f,  0.25f, 0.75f, 0.5f, 0.25f,
    0.5f,  0.75f, 0.25f, 0.25f, 0.5f, 1,    1,     0.75f, 1,     0.75f, 0.5f, 0,
    0.75f, 0.5f,  0.25f, 0.25f, 0.5f, 0.5f, 0.25f, 0.25f, 0.5f,  0.75f, 0.5f, 0.25f};
static const int32_t truths[N] = {0, 1, 2, 3, 0, 1, 2, 2, 3, 0, 0, 1};

/* sklearn 1.x: accuracy_score, mean of roc_auc_score(truth == k, score[:, k]),
 * cohen_kappa_score(weights="quadratic"), confusion_matrix. */
static void as_scikit_learn(void **state)
{
    (void)state;
    static const int64_t confusion[K * K] = {2, 2, 0, 0, 1, 2, 0, 0, 0, 3, 0, 0, 2, 0, 0, 0};
    vox_error err = {0};
    vox_metrics m = {.classes = K};
    vox_metrics_result r;
    float loss[N];
    for (size_t i = 0; i < N; i++)
        loss[i] = (float)i;
    assert_ok(vox_metrics_add(&m, 5, scores, truths, loss, &err));
    assert_ok(vox_metrics_add(&m, 7, scores + 5 * K, truths + 5, loss + 5, &err));
    assert_ok(vox_metrics_get(&m, &r, &err));
    assert_int_equal(r.samples, N);
    assert_true(fabs(r.loss - 5.5) < 1e-12);
    assert_true(fabs(r.accuracy - 1.0 / 3) < 1e-12);
    assert_true(fabs(r.auc - 0.5008680555555556) < 1e-12);
    assert_true(fabs(r.kappa + 0.06666666666666665) < 1e-12);
    assert_memory_equal(r.confusion, confusion, sizeof confusion);
    vox_metrics_clear(&m);
    assert_ok(vox_metrics_get(&m, &r, &err));
    assert_true(isnan(r.loss) && isnan(r.accuracy) && isnan(r.auc) && isnan(r.kappa));
    vox_metrics_release(&m);
}

static vox_metrics_result two_classes(size_t n, const float *score1, const int32_t *truth)
{
    vox_error err = {0};
    vox_metrics m = {.classes = 2};
    vox_metrics_result r;
    for (size_t i = 0; i < n; i++) {
        float pair[2] = {1 - score1[i], score1[i]}, loss = 0;
        assert_ok(vox_metrics_add(&m, 1, pair, &truth[i], &loss, &err));
    }
    assert_ok(vox_metrics_get(&m, &r, &err));
    vox_metrics_release(&m);
    return r;
}

static void edges(void **state)
{
    (void)state;
    static const float up[] = {0.1f, 0.2f, 0.8f, 0.9f}, flat[] = {0.5f, 0.5f, 0.5f, 0.5f};
    static const int32_t split[] = {0, 0, 1, 1}, turned[] = {1, 1, 0, 0}, one[] = {1, 1, 1, 1};
    vox_metrics_result r = two_classes(4, up, split);
    assert_true(r.auc == 1 && r.kappa == 1 && r.accuracy == 1);
    r = two_classes(4, up, turned);
    assert_true(r.auc == 0 && r.kappa == -1 && r.accuracy == 0);
    r = two_classes(4, flat, split); /* all tied: half; the lowest class is predicted */
    assert_true(r.auc == 0.5 && r.kappa == 0 && r.accuracy == 0.5);
    r = two_classes(4, up, one); /* one class only: no ranking, but kappa has w E > 0 */
    assert_true(isnan(r.auc) && r.kappa == 0 && r.accuracy == 0.5);
    r = two_classes(2, up + 2, one); /* and predicted so: undefined */
    assert_true(isnan(r.auc) && isnan(r.kappa) && r.accuracy == 1);
    static const float broken[] = {NAN, 0.5f, NAN, 0.1f};
    r = two_classes(4, broken, split); /* must end; the loop stops such runs by their loss */
    assert_int_equal(r.samples, 4);
}

static void softmax_of_large_numbers(void **state)
{
    (void)state;
    static const float x[3] = {1e4f, -1e4f, 1e4f};
    float p[3];
    vox_metrics_softmax(x, 3, p);
    assert_true(p[0] == 0.5f && p[1] == 0 && p[2] == 0.5f);
}

/* Two samples of 3 classes x 4 voxels; the last truth is no class. */
static void maps_count_voxels(void **state)
{
    (void)state;
    vox_error err = {0};
    static const float x[2][3][4] = {{{1, 0, 0, 5}, {0, 1, 0, 5}, {0, 0, 1, 5}},
                                     {{9, 9, 9, 9}, {8, 8, 8, 8}, {7, 7, 7, 7}}};
    static const int32_t truth[2][4] = {{0, 1, 2, 2}, {0, 1, 2, 255}};
    static const int64_t confusion[9] = {2, 0, 0, 1, 1, 0, 2, 0, 1};
    static const float loss[2] = {1, 3}, logit[4] = {-1, 1, 0, 2};
    static const int32_t binary[4] = {0, 1, 1, 1};
    const vox_metrics_map map = {.channels = 3, .voxels = 4}, one = {.channels = 1, .voxels = 4};
    vox_metrics m = {.classes = 3};
    vox_metrics_result r;
    assert_ok(vox_metrics_add_maps(&m, 1, &map, x[0][0], truth[0], loss, &err));
    assert_ok(vox_metrics_add_maps(&m, 1, &map, x[1][0], truth[1], loss + 1, &err));
    assert_ok(vox_metrics_get(&m, &r, &err));
    assert_memory_equal(r.confusion, confusion, sizeof confusion);
    assert_true(r.samples == 2 && r.loss == 2 && r.accuracy == 4.0 / 7 && isnan(r.auc));
    vox_metrics_release(&m);
    m.classes = 2;
    assert_ok(vox_metrics_add_maps(&m, 1, &one, logit, binary, loss, &err));
    assert_ok(vox_metrics_get(&m, &r, &err));
    assert_true(r.accuracy == 0.75 && r.confusion[2] == 1 && r.confusion[3] == 2);
    vox_metrics_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_scikit_learn),
        cmocka_unit_test(edges),
        cmocka_unit_test(softmax_of_large_numbers),
        cmocka_unit_test(maps_count_voxels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
