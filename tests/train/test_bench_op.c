/* test_bench_op.c - `voxcl bench op`: every operation and the optimiser give sensible rows. */
#include "test.h"

#include <math.h>

#include "ops/attr_words.h"
#include "tune/op_rows.h"

static vox_status bench(vox_ctx *ctx, const char *name, const char *words, char **json,
                        vox_error *err)
{
    char copy[256], *save = NULL;
    const char *args[24];
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *w = strtok_r(copy, " ", &save); w && count < 24; w = strtok_r(NULL, " ", &save))
        args[count++] = w;
    return vox_bench_op(ctx, name, args, count, json, err);
}

static size_t count_of(const char *text, const char *word)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

static double number_after(const char *at, const char *key)
{
    at = strstr(at, key);
    assert_non_null(at);
    return strtod(strchr(at, ':') + 1, NULL); /* null: 0 */
}

/* Rows of all devices, each with figures that can be. */
static size_t check_rows(vox_ctx *ctx, const char *name, const char *words)
{
    char *json = NULL;
    vox_error err = {0};
    assert_ok(bench(ctx, name, words, &json, &err));
    size_t rows = 0;
    for (const char *at = json; (at = strstr(at, "\"pass\"")) != NULL; at++, rows++) {
        const double time = number_after(at, "\"time_s\"");
        assert_true(time > 0);
        assert_true(number_after(at, "\"least_s\"") <= time);
        assert_true(number_after(at, "\"most_s\"") >= time);
        assert_true(number_after(at, "\"gb_per_s\"") > 0);
        assert_true(number_after(at, "\"copy_share\"") > 0);
        assert_true(number_after(at, "\"rel_rms_error\"") < 1e-5);
    }
    assert_true(count_of(json, "\"chosen\": true") >= vox_ctx_device_count(ctx));
    vox_string_free(&json);
    return rows / vox_ctx_device_count(ctx);
}

/* A small input and what attributes it needs, for every operation there is. */
static const char *words_for(const char *op)
{
    static const char *const table[][2] = {
        {"conv", "--in 1,2,3,4,5 --repeat 1 out=3 kernel=1"},
        {"conv_transpose", "--in 1,2,3,4,5 --repeat 1 out=3 kernel=2 stride=2"},
        {"group_norm", "--in 2,4,2,3,4 --repeat 1 groups=2"},
        {"max_pool", "--in 2,3,4,5,6 --repeat 1 kernel=2,3,3 stride=2"},
        {"avg_pool", "--in 2,3,4,5,6 --repeat 1 kernel=2"},
        {"dense", "--in 2,40 --repeat 1 out=7"},
        {NULL, NULL}};
    for (int i = 0; table[i][0]; i++)
        if (strcmp(table[i][0], op) == 0)
            return table[i][1];
    return "--in 2,3,2,3,4 --repeat 1";
}

static void test_every_operation(void **state)
{
    for (const vox_op *const *op = vox_ops; *op; op++)
        assert_true(check_rows(*state, (*op)->name, words_for((*op)->name)) > 0);
    assert_int_equal(check_rows(*state, "sgd", "--in 1000 --repeat 2 momentum=0"), 2);
}

static void test_choice_of_rows(void **state)
{
    assert_int_equal(check_rows(*state, "relu", "--in 1,3,2,2,2 --pass fwd --layout plain"), 1);
    assert_int_equal(check_rows(*state, "relu", "--in 1,3,2,2,2 --layout block16"), 2);
    assert_int_equal(check_rows(*state, "dense", "--in 2,9 out=3 --algo stream --pass fwd"), 1);
    assert_int_equal(check_rows(*state, "sum", "--in 1,3 --inputs 5 --layout plain"), 1);
}

static void test_bad_arguments(void **state)
{
    static const struct {
        const char *op, *words, *word;
    } bad[] = {
        {"rleu", "--in 1,2", "rleu"},
        {"relu", "", "--in"},
        {"relu", "--in 1,2,3,4,5,6", "1,2,3,4,5,6"},
        {"relu", "--in 1,0", "1,0"},
        {"relu", "--in", "--in"},
        {"relu", "--in 1 --pass forward", "--pass"},
        {"relu", "--in 1 --layout blocky", "--layout"},
        {"relu", "--in 1 --algo fastest", "--algo"},
        {"relu", "--in 1 --repeat 0", "--repeat"},
        {"relu", "--in 1 --stride 2", "--stride"},
        {"relu", "--in 1 --inputs 2", "2 inputs"},
        {"relu", "--in 1 slope=2", "slope=2"},
        {"max_pool", "--in 1,2,3,3,3", "kernel="},
        {"max_pool", "--in 1,2,3,3,3 kernel", "kernel"},
        {"max_pool", "--in 1,2,3,3,3 kernel=2,2", "2,2"},
        {"max_pool", "--in 1,2,3,3,3 kernel=0", "kernel=0"},
        {"dropout", "--in 1,2 p=1.5", "p=1.5"},
        {"dropout", "--in 1,2 whole_channels=maybe", "maybe"},
        {"sgd", "--in 10 momentum=high", "momentum=high"},
    };
    char *json = NULL;
    vox_error err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_error(bench(*state, bad[i].op, bad[i].words, &json, &err), VOX_ERR_USAGE,
                     bad[i].word);
    assert_error(bench(*state, "max_pool", "--in 1,2,3,3,3 kernel=4", &json, &err), VOX_ERR_INPUT,
                 "4x4x4");
    assert_null(json);
}

/* Each number once: x and y; dx, dy and x where a backward pass reads it; weights once a pass. */
static void test_bytes(void **state)
{
    const int64_t attr[2] = {10, 0}; /* dense: out, bias */
    const vox_shape in = {5, {1, 20, 1, 1, 1}}, out = {5, {1, 10, 1, 1, 1}};
    vox_node dense = {.op = vox_op_find("dense"), .attr = (void *)(uintptr_t)attr, .inputs = 1};
    vox_node relu = {.op = vox_op_find("relu"), .inputs = 1};
    (void)state;
    dense.in[0] = relu.in[0] = relu.out = in;
    dense.out = out;
    assert_true(vox_op_bytes(&relu, VOX_FORWARD, 3) == 3 * 4 * 40.0);
    assert_true(vox_op_bytes(&relu, VOX_BACKWARD_DATA, 3) == 3 * 4 * 60.0);
    assert_true(vox_op_bytes(&dense, VOX_FORWARD, 3) == 4 * (3 * 30.0 + 200));
    assert_true(vox_op_bytes(&dense, VOX_BACKWARD_WEIGHTS, 3) == 4 * (3 * 30.0 + 200));
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
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_choice_of_rows),
        cmocka_unit_test(test_every_operation),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
