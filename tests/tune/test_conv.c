/* test_conv.c - the float64 convolutions (tests/ref and the benchmark's) against PyTorch's, and the
 * benchmark itself. */
#include "test.h"

#include <math.h>
#include <unistd.h>

#include "ops/harness.h"
#include "tune/conv_check.h"

void ref_conv_forward(const ref_io *io);
void ref_conv_backward_data(const ref_io *io);
void ref_conv_backward_weights(const ref_io *io);

#define MOST 256 /* elements of any array here */

typedef struct golden {
    const char *why, *attr;
    int64_t in[5];
    double y[MOST], dx[MOST], dw[MOST], db[MOST];
} golden;

#include "golden/conv_golden.h"

/* As make_conv.py has it. */
static void fill(int number, double *as_double, float *as_float)
{
    for (int i = 0; i < MOST; i++) {
        as_double[i] = ((37 * i + 11 * number) % 19 - 9) / 8.0;
        as_float[i] = (float)as_double[i];
    }
}

static void assert_close(const double *got, const double *want, int64_t count, const char *what)
{
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(got[i] - want[i]) <= 1e-12 * (1 + fabs(want[i]))))
            fail_msg("%s[%d] is %.17g, PyTorch has %.17g", what, (int)i, got[i], want[i]);
}

static void check_golden(const golden *g)
{
    static const vt_suite suite = {.op = "conv"};
    static double in[4][MOST], y[MOST], dx[MOST], dw[MOST], db[MOST];
    static float in_float[4][MOST];
    vox_error err;
    vt_layer layer;
    const vt_case c = {
        .why = g->why, .attr = g->attr, .in = {g->in[0], g->in[1], g->in[2], g->in[3], g->in[4]}};
    for (int i = 0; i < 4; i++)
        fill(i, in[i], in_float[i]);
    memset(y, 0, sizeof y), memset(dx, 0, sizeof dx);
    memset(dw, 0, sizeof dw), memset(db, 0, sizeof db);
    assert_ok(vt_layer_open(&layer, &suite, &c, &err));
    const ref_io io = {.node = &layer.node,
                       .n = g->in[0],
                       .x = {in[0]},
                       .param = {in[1], in[2]},
                       .dy = in[3],
                       .y = y,
                       .dx = {dx},
                       .dparam = {dw, db}};
    ref_conv_forward(&io);
    ref_conv_backward_data(&io);
    ref_conv_backward_weights(&io);

    const vox_conv_data data = {.s = vox_conv_shape_get(&layer.node),
                                .n = g->in[0],
                                .x = in_float[0],
                                .weight = in_float[1],
                                .bias = in_float[2],
                                .dy = in_float[3]};
    const double *const result[VOX_PASSES] = {y, dx, dw};
    const double *const want[VOX_PASSES] = {g->y, g->dx, g->dw};
    for (int pass = 0; pass < VOX_PASSES; pass++) {
        const int64_t count = vox_conv_results(&data, (vox_pass)pass);
        double single[MOST];
        assert_true(count > 0 && count <= MOST);
        for (int64_t i = 0; i < count; i++)
            single[i] = vox_conv_result(&data, (vox_pass)pass, i);
        assert_close(result[pass], want[pass], count, g->why);
        assert_close(single, want[pass], count, g->why);
    }
    assert_close(db, g->db, data.s.co, "bias");
    vt_layer_release(&layer);
}

static void test_golden(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
        check_golden(&goldens[i]);
}

static void assert_usage(vox_ctx *ctx, const char *key, const char *value, const char *word)
{
    const char *args[] = {"--in", "1,2,3,3,3", "--out", "3", "--kernel", "2", key, value};
    char *json = NULL;
    vox_error err;
    assert_error(vox_bench_conv(ctx, args, 8, &json, &err), VOX_ERR_USAGE, word);
    assert_null(json);
}

static void test_bench_arguments(void **state)
{
    vox_ctx *ctx = *state;
    const char *few[] = {"--in", "1,2,3,3,3"},
               *large[] = {"--in", "1,2,3,3,3", "--out", "3", "--kernel", "4,1,1"};
    char *json = NULL;
    vox_error err;
    assert_usage(ctx, "--strides", "2", "--strides");
    assert_usage(ctx, "--stride", "0", "--stride");
    assert_usage(ctx, "--stride", "1,2", "--stride");
    assert_usage(ctx, "--stride", "1,2,3,4", "--stride");
    assert_usage(ctx, "--pad", "99999999999999999999", "--pad");
    assert_usage(ctx, "--pad", "", "--pad");
    assert_usage(ctx, "--in", "1,2,3,3", "--in");
    assert_usage(ctx, "--pass", "forward", "--pass");
    assert_usage(ctx, "--repeat", "1000000", "--repeat");
    assert_usage(ctx, "--algo", "fastest", "--algo");
    assert_usage(ctx, "--tune", "on", "--tune");
    assert_usage(ctx, "--variants", "2", "--variants");
    assert_error(vox_bench_conv(ctx, few, 2, &json, &err), VOX_ERR_USAGE, "--kernel");
    assert_error(vox_bench_conv(ctx, few, 1, &json, &err), VOX_ERR_USAGE, "--in");
    assert_error(vox_bench_conv(ctx, large, 6, &json, &err), VOX_ERR_INPUT, "4,1,1");
}

/* The number after `"key": ` from `at` on. */
static double number_after(const char *at, const char *key)
{
    at = strstr(at, key);
    assert_non_null(at);
    return strtod(strchr(at, ':') + 1, NULL);
}

static void test_bench_rows(void **state)
{
    vox_ctx *ctx = *state;
    const char *args[] = {"--in",  "2,3,3,4,5", "--out",    "5", "--kernel", "3",
                          "--pad", "1",         "--repeat", "1", "--pass",   "fwd"};
    char *json = NULL;
    vox_error err;
    int rows = 0, chosen = 0;
    assert_ok(vox_bench_conv(ctx, args, 12, &json, &err));
    for (const char *at = json; (at = strstr(at, "\"pass\"")) != NULL; at++, rows++) {
        assert_true(number_after(at, "\"time_s\"") > 0);
        assert_true(number_after(at, "\"gflops\"") > 0);
        assert_true(number_after(at, "\"rel_rms_error\"") < 1e-5);
        assert_true(number_after(at, "\"max_error\"") >= number_after(at, "\"rel_rms_error\""));
        assert_true(number_after(at, "\"least_s\"") <= number_after(at, "\"most_s\""));
        /* 27 taps, 2 x 3 x 60 in, 2 x 5 x 60 out, 5 x 3 x 27 weights and 5 of the bias */
        const double bytes = 4 * (360 + 600 + 405 + 5);
        assert_true(fabs(number_after(at, "\"flops_per_byte\"") - 2.0 * 600 * 81 / bytes) < 1e-3);
    }
    for (const char *at = json; (at = strstr(at, "\"chosen\": true")) != NULL; at++)
        chosen++;
    if (!chosen)
        for (const char *at = json; (at = strstr(at, "\"chosen\":true")) != NULL; at++)
            chosen++;
    assert_true(rows >= 2 * (int)vox_ctx_device_count(ctx)); /* naive and another */
    assert_int_equal(chosen, vox_ctx_device_count(ctx));
    vox_string_free(&json);
}

static void assert_only(vox_ctx *ctx, const char *algo, const char *row)
{
    const char *args[] = {"--in",     "1,2,3,4,5", "--out",  "5",   "--kernel", "1",
                          "--repeat", "1",         "--pass", "fwd", "--algo",   algo};
    char *json = NULL;
    vox_error err = {0};
    size_t rows = 0, right = 0;
    assert_ok(vox_bench_conv(ctx, args, 12, &json, &err));
    for (const char *at = json; (at = strstr(at, "\"pass\"")) != NULL; at++)
        rows++;
    for (const char *at = json; (at = strstr(at, row)) != NULL; at++)
        right++;
    assert_int_equal(rows, vox_ctx_device_count(ctx));
    assert_int_equal(right, vox_ctx_device_count(ctx));
    vox_string_free(&json);
}

static void test_bench_one_algorithm(void **state)
{
    assert_only(*state, "naive", "\"algorithm\": \"naive\"");
    assert_only(*state, "chosen", "\"chosen\": true");
}

static void test_bench_picture(void **state)
{
    char path[] = "/tmp/voxcl-conv-XXXXXX";
    const char *args[] = {"--in",     "1,2,3,4,5", "--out",  "5",   "--kernel",   "1",
                          "--repeat", "1",         "--pass", "fwd", "--roofline", path};
    char *json = NULL;
    vox_error err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
#ifdef VOXCL_WITH_PNG
    assert_ok(vox_bench_conv(*state, args, 12, &json, &err));
#else
    assert_error(vox_bench_conv(*state, args, 12, &json, &err), VOX_ERR_UNSUPPORTED, "PNG");
#endif
    vox_string_free(&json);
    unlink(path);
}

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;
    for (; (text = strstr(text, word)) != NULL; text++)
        n++;
    return n;
}

/* A row for each set of values, all of them right. */
static void test_bench_variants(void **state)
{
    vox_ctx *ctx = *state;
    const char *args[] = {"--in",     "1,17,3,4,9", "--out",  "33",       "--kernel",   "2",
                          "--repeat", "1",          "--algo", "direct16", "--variants", "yes"};
    char *json = NULL;
    vox_error err = {0};
    assert_ok(vox_bench_conv(ctx, args, 12, &json, &err));
    assert_true(count_of(json, "\"direct16:") >= 3 * vox_ctx_device_count(ctx));
    for (const char *at = json; (at = strstr(at, "\"pass\"")) != NULL; at++)
        assert_true(number_after(at, "\"rel_rms_error\"") < 1e-5);
    vox_string_free(&json);
}

/* The find-db's choice is marked, whatever it is. */
static void test_bench_tuned(void **state)
{
    vox_ctx *ctx = *state;
    const char *args[] = {"--in", "1,16,2,3,5", "--out", "16",     "--kernel",
                          "1",    "--repeat",   "1",     "--tune", "full"};
    char *json = NULL;
    vox_error err = {0};
    assert_ok(vox_bench_conv(ctx, args, 10, &json, &err));
    assert_int_equal(count_of(json, "\"chosen\": true"), 3 * vox_ctx_device_count(ctx));
    vox_string_free(&json);
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
    vox_device_list *list = NULL;
    const bool device = vox_device_list_open(&list, NULL) == VOX_OK && list->count > 0;
    vox_device_list_free(&list);
    if (!device) {
        printf("no OpenCL device here\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),         cmocka_unit_test(test_bench_arguments),
        cmocka_unit_test(test_bench_rows),     cmocka_unit_test(test_bench_one_algorithm),
        cmocka_unit_test(test_bench_variants), cmocka_unit_test(test_bench_tuned),
        cmocka_unit_test(test_bench_picture),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
