/* test_safetensors.c - named tensors: what we write we read, what Python wrote we read, and every
 * lie in a header is caught. */
#include "test.h"

#include "train/safetensors.h"

#include <unistd.h>

static char dir[] = "/tmp/voxcl-st-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/t.safetensors", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_safetensors *f = NULL;
    const float weight[6] = {1, -2, 3.5f, 4, 5, -6.25f}, bias[1] = {1e-40f};
    const int64_t count[2] = {7, INT64_MIN};
    const vox_st_item items[] = {
        {"fc.weight", 2, {2, 3}, weight, NULL},
        {"fc.bias", 1, {1}, bias, NULL},
        {"n", 1, {2}, NULL, count},
        {"none", 2, {0, 5}, weight, NULL},
    };
    const vox_st_meta metas[] = {{"text", "a: 1\n\"b\": \\ \xc3\xa9\n"}, {"empty", ""}};
    assert_ok(vox_safetensors_write(path, items, 4, metas, 2, &err));
    assert_ok(vox_safetensors_open(&f, path, &err));
    assert_int_equal(f->tensors, 4);
    const vox_st_tensor *t = vox_safetensors_find(f, "fc.weight");
    assert_non_null(t);
    assert_int_equal(t->rank, 2);
    assert_int_equal(t->shape[1], 3);
    float back[6];
    assert_ok(vox_safetensors_floats(f, t, back, &err));
    assert_memory_equal(back, weight, sizeof weight);
    t = vox_safetensors_find(f, "n");
    assert_memory_equal(f->data + t->offset, count, sizeof count);
    assert_error(vox_safetensors_floats(f, t, back, &err), VOX_ERR_UNSUPPORTED, "I64");
    assert_int_equal(vox_safetensors_find(f, "none")->count, 0);
    assert_null(vox_safetensors_find(f, "fc"));
    assert_string_equal(vox_safetensors_meta(f, "text"), metas[0].value);
    assert_string_equal(vox_safetensors_meta(f, "empty"), "");
    assert_null(vox_safetensors_meta(f, "absent"));
    vox_safetensors_free(&f);
    assert_null(f);
}

/* tests/golden/make_safetensors.py made it with the reference implementation. */
static void pythons_file_is_read(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_safetensors *f = NULL;
    assert_ok(vox_safetensors_open(&f, "tests/golden/python.safetensors", &err));
    const vox_st_tensor *t = vox_safetensors_find(f, "conv1.weight");
    assert_int_equal(t->rank, 5);
    assert_int_equal(t->shape[2], 3);
    float w[24], b[2], one;
    assert_ok(vox_safetensors_floats(f, t, w, &err));
    for (int i = 0; i < 24; i++)
        assert_true(w[i] == ((float)i - 7.5f) / 3.0f);
    assert_ok(vox_safetensors_floats(f, vox_safetensors_find(f, "conv1.bias"), b, &err));
    assert_true(b[0] == 0.25f && b[1] == -1e-38f);
    t = vox_safetensors_find(f, "scalar");
    assert_int_equal(t->rank, 0);
    assert_ok(vox_safetensors_floats(f, t, &one, &err));
    assert_true(one == 6.5f);
    assert_string_equal(vox_safetensors_find(f, "half")->dtype, "F16");
    assert_int_equal(vox_safetensors_find(f, "empty")->count, 0);
    assert_string_equal(vox_safetensors_meta(f, "note"), "line one\nline \"two\" \\ \xc3\xa9");
    vox_safetensors_free(&f);
}

static void put(const char *header, uint64_t length, size_t data)
{
    vox_error err = {0};
    size_t n = strlen(header);
    char *bytes = calloc(1, 8 + n + data);
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(length >> (8 * i));
    memcpy(bytes + 8, header, n);
    assert_ok(vox_file_write(path, bytes, 8 + n + data, &err));
    free(bytes);
}

static void lies_are_caught(void **state)
{
    (void)state;
    static const struct {
        const char *header, *word;
        size_t data;
    } cases[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", "header", 8},
        {"[]", "safetensors", 0},
        {"{\"a\":3}", "object", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", "missing", 8},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", "dtype", 8},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}}", "dtype", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,12]}}", "outside", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", "outside", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", "outside", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", "negative", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,8]}}", "negative", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", "another number", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,2],"
         "\"data_offsets\":[0,0]}}",
         "overflows", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807],\"data_offsets\":[0,8]}}",
         "another number", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
         "dimensions", 8},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "take 8 bytes", 12},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", "gap", 12},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
         "overlaps", 12},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "duplicate", 8},
        {"{\"__metadata__\":{\"step\":3}}", "string", 0},
    };
    vox_error err;
    vox_safetensors *f;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(cases[i].header, strlen(cases[i].header), cases[i].data);
        assert_error(vox_safetensors_open(&f, path, &err), VOX_ERR_INPUT, cases[i].word);
        assert_non_null(strstr(err.detail, path));
        assert_null(f);
    }
    put("{}", UINT64_MAX, 0);
    assert_error(vox_safetensors_open(&f, path, &err), VOX_ERR_INPUT, "18446744073709551615");
    put("{}", 3, 0);
    assert_error(vox_safetensors_open(&f, path, &err), VOX_ERR_INPUT, "10 bytes");
    assert_ok(vox_file_write(path, "12345", 5, &err));
    assert_error(vox_safetensors_open(&f, path, &err), VOX_ERR_INPUT, "5 bytes");
    assert_error(vox_safetensors_open(&f, "/nonexistent/x", &err), VOX_ERR_IO, "/nonexistent/x");
}

/* Every prefix of a good file fails; none crashes. */
static void a_cut_file_is_caught(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_safetensors *f;
    char *data = NULL;
    size_t size = 0;
    assert_ok(vox_file_read(&data, &size, "tests/golden/python.safetensors", 0, &err));
    assert_ok(vox_file_write(path, data, size, &err));
    for (size_t n = size; n-- > 0;) {
        assert_int_equal(truncate(path, (off_t)n), 0);
        assert_error(vox_safetensors_open(&f, path, &err), VOX_ERR_INPUT, path);
    }
    free(data);
}

int main(void)
{
#ifndef VOXCL_WITH_JANSSON
    printf("skipped: built without jansson\n");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(pythons_file_is_read),
        cmocka_unit_test(lies_are_caught),
        cmocka_unit_test(a_cut_file_is_caught),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
