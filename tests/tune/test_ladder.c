/* test_ladder.c - every rung of the ladder is measured and computes the convolution. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

/* All rungs that take the shape, with small errors; returns how many per device. */
static size_t climb(vox_ctx *ctx, const char *in, const char *out, const char *stride)
{
    const char *args[] = {"--in", in, "--out", out, "--stride", stride, "--repeat", "1"};
    char *json = NULL;
    vox_error err = {0};
    assert_ok(vox_bench_ladder(ctx, "conv", args, 8, &json, &err));
    size_t rows = 0;
    for (const char *at = json; (at = strstr(at, "\"rel_rms_error\": ")) != NULL; at++, rows++) {
        const double error = strtod(strchr(at, ':') + 1, NULL);
        assert_true(error > 0 && error < 1e-5);
    }
    assert_int_equal(rows % vox_ctx_device_count(ctx), 0);
    assert_int_equal(count_of(json, "\"rung\": \"naive\""), vox_ctx_device_count(ctx));
    assert_int_equal(count_of(json, "\"rung\": \"direct16\""), vox_ctx_device_count(ctx));
    vox_string_free(&json);
    return rows / vox_ctx_device_count(ctx);
}

static void test_rungs(void **state)
{
    /* odd sizes, rows shorter and longer than the tiles, one block of channels and three */
    assert_true(climb(*state, "2,17,2,3,5", "33", "1") >= 5);
    assert_true(climb(*state, "1,16,3,4,11", "20", "2") >= 5);
    assert_true(climb(*state, "1,5,1,2,3", "7", "1") >= 4);
}

/* The other kinds: every rung right, the first and the last of them there. */
static void climb_kind(vox_ctx *ctx, const char *kind, const char *size, double most_error,
                       const char *first, const char *last)
{
    const char *args[] = {"--size", size, "--repeat", "1"};
    char *json = NULL, word[64];
    vox_error err = {0};
    assert_ok(vox_bench_ladder(ctx, kind, args, 4, &json, &err));
    for (const char *at = json; (at = strstr(at, "\"rel_rms_error\": ")) != NULL; at++) {
        const double error = strtod(strchr(at, ':') + 1, NULL);
        if (!(error < most_error))
            fail_msg("%s: an error of %g in %s", kind, error, json);
    }
    snprintf(word, sizeof word, "\"rung\": \"%s\"", first);
    assert_int_equal(count_of(json, word), vox_ctx_device_count(ctx));
    snprintf(word, sizeof word, "\"rung\": \"%s\"", last);
    assert_int_equal(count_of(json, word), vox_ctx_device_count(ctx));
    vox_string_free(&json);
}

static void test_other_kinds(void **state)
{
    climb_kind(*state, "gemm", "64,128,192", 1e-5, "one each", "direct16");
    climb_kind(*state, "reduce", "70001", 1e-4, "serial", "grad_norm"); /* a running sum's digits */
    climb_kind(*state, "softmax", "3,5,1040", 1e-5, "passes", "fused");
    climb_kind(*state, "softmax", "1,2,33", 1e-5, "online", "kernel");
}

static void assert_refused(vox_ctx *ctx, const char *kind, const char *key, const char *word)
{
    const char *args[] = {key, "fwd"};
    char *json = NULL;
    vox_error err = {0};
    assert_error(vox_bench_ladder(ctx, kind, args, 2, &json, &err), VOX_ERR_USAGE, word);
    assert_null(json);
}

static void test_arguments(void **state)
{
    assert_refused(*state, "convolution", "--repeat", "convolution");
    assert_refused(*state, "conv", "--pass", "--pass");
    assert_refused(*state, "conv", "--algo", "--algo");
    assert_refused(*state, "conv", "--stride", "--stride");
    assert_refused(*state, "conv", "--strides", "--strides");
    assert_refused(*state, "conv", "--size", "--size");
    assert_refused(*state, "reduce", "--in", "--in");
    assert_refused(*state, "reduce", "--size", "--size");
    assert_refused(*state, "softmax", "--repeat", "--repeat");
    const char *sizes[] = {"--size", "100,64,64"};
    char *json = NULL;
    vox_error err = {0};
    assert_error(vox_bench_ladder(*state, "gemm", sizes, 2, &json, &err), VOX_ERR_USAGE, "100");
}

static int open_devices(void **state)
{
    return vox_ctx_open((vox_ctx **)state, NULL, NULL) == VOX_OK ? 0 : -1;
}

static int close_devices(void **state)
{
    vox_ctx_free((vox_ctx **)state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rungs),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_arguments),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
