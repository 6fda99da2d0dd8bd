/* test_peak.c - the measured peak is a figure a machine can have. */
#include "test.h"

#include "tune/peak.h"

#include <stdlib.h>
#include <string.h>

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

static void every_device_copies(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    assert_ok(vox_ctx_open(&ctx, "all", &err));
    for (size_t i = 0; i < vox_ctx_device_count(ctx); i++) {
        vox_copy_rate rate = {0};
        const uint64_t before = vox_device_bytes(vox_ctx_get(ctx, i));
        assert_ok(vox_peak_copy(vox_ctx_get(ctx, i), &rate, &err));
        printf("%s: %.1f GB/s\n", vox_ctx_device(ctx, i)->name, rate.bytes_per_s / 1e9);
        assert_true(rate.bytes_per_s > 1e7 && rate.bytes_per_s < 1e14);
        assert_true(rate.bytes >= 1048576 && rate.bytes % sizeof(float) == 0);
        assert_int_equal(vox_device_bytes(vox_ctx_get(ctx, i)), before);
    }
    vox_ctx_free(&ctx);
}

static void the_document_has_a_row_for_each(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    char *json = NULL;
    size_t rows = 0;
    assert_ok(vox_ctx_open(&ctx, "all", &err));
    assert_ok(vox_bench_peak(ctx, &json, &err));
    for (const char *at = json; (at = strstr(at, "\"copy_gb_per_s\": ")) != NULL; at++, rows++)
        assert_true(strtod(strchr(at, ':') + 1, NULL) > 0);
    assert_int_equal(rows, vox_ctx_device_count(ctx));
    vox_string_free(&json);
    assert_null(json);
    vox_ctx_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_device_has_a_peak),
                                       cmocka_unit_test(every_device_copies),
                                       cmocka_unit_test(the_document_has_a_row_for_each)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
