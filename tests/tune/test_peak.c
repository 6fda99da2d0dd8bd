/* test_peak.c - the measured peak is a figure a machine can have. */
#include "test.h"

#include "tune/peak.h"

static void every_device_has_a_peak(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    assert_ok(vox_ctx_open(&ctx, "all", &err));
    for (size_t i = 0; i < vox_ctx_device_count(ctx); i++) {
        double flops = 0;
        assert_ok(vox_peak_flops(vox_ctx_get(ctx, i), &flops, &err));
        printf("%s: %.0f GFLOP/s\n", vox_ctx_device(ctx, i)->name, flops / 1e9);
        assert_true(flops > 1e8 && flops < 1e15);
    }
    vox_ctx_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_device_has_a_peak)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
