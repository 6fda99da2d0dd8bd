/* test_ocl.c - devices, buffers, kernels, the cache and the twin generator, on every device. */
#include "test.h"

#include "base/file.h"
#include "base/philox.h"
#include "ocl/kernel.h"

#include <unistd.h>

static char scratch[] = "/tmp/voxcl-ocl-XXXXXX";

/* Calls fn for every usable device. */
static void on_every_device(void (*fn)(vox_device *dev))
{
    vox_error err = {0};
    vox_ctx *ctx;
    assert_ok(vox_ctx_open(&ctx, "all", &err));
    for (size_t i = 0; i < vox_ctx_device_count(ctx); i++)
        fn(vox_ctx_get(ctx, i));
    vox_ctx_free(&ctx);
}

static void put_kernel(const char *name, const char *text)
{
    vox_error err = {0};
    char *path = vox_path_join(scratch, name, &err);
    assert_ok(vox_file_write(path, text, strlen(text), &err));
    free(path);
    setenv("VOXCL_KERNEL_DIR", scratch, 1);
}

static void copies(vox_device *dev)
{
    vox_error err = {0};
    vox_buffer *a, *b, *w, *pinned;
    float in[1024], out[1024];
    for (int i = 0; i < 1024; i++)
        in[i] = (float)i;
    uint64_t before = vox_device_bytes(dev);
    assert_ok(vox_buffer_open(&a, dev, sizeof in, VOX_BUFFER_DEVICE, "a", &err));
    assert_ok(vox_buffer_open(&b, dev, sizeof in, VOX_BUFFER_DEVICE, "b", &err));
    assert_int_equal(vox_device_bytes(dev), before + 2 * sizeof in);
    assert_true(vox_device_free_bytes(dev) > 0);
    assert_true(vox_device_free_bytes(dev) <=
                vox_device_get(dev)->global_mem_bytes - vox_device_bytes(dev));
    assert_ok(vox_buffer_write(a, 0, in, sizeof in, false, &err));
    assert_ok(vox_buffer_copy(b, 0, a, 0, sizeof in, &err));
    assert_ok(vox_buffer_sub(&w, b, 1024, 2048, &err));
    assert_ok(vox_buffer_fill(w, 0, 8, 0x3f800000, &err));
    assert_ok(vox_buffer_read(b, 0, out, sizeof out, true, &err));
    for (int i = 0; i < 1024; i++)
        assert_true(out[i] == (i == 256 || i == 257 ? 1.0f : in[i]));
    assert_error(vox_buffer_read(w, 2044, out, 8, true, &err), VOX_ERR_DEVICE, "2048");
    vox_buffer_free(&w);
    assert_error(vox_buffer_sub(&w, b, 12, 4, &err), VOX_ERR_DEVICE, "window");
    assert_ok(vox_buffer_open(&pinned, dev, 4096, VOX_BUFFER_PINNED, "p", &err));
    assert_non_null(vox_buffer_host(pinned));
    memset(vox_buffer_host(pinned), 1, 4096);
    assert_ok(vox_buffer_sub(&w, b, 1024, 2048, &err));
    vox_buffer_free(&w);
    vox_buffer_free(&pinned);
    vox_buffer_free(&a);
    vox_buffer_free(&b);
    assert_int_equal(vox_device_bytes(dev), before);
}

static void buffers_copy_and_are_counted(void **state)
{
    (void)state;
    on_every_device(copies);
}

/* Large buffers may lie in memory of ours: windows, maps, and a release before the work is done. */
static void large(vox_device *dev)
{
    enum { BYTES = 5000000 };
    vox_error err = {0};
    vox_buffer *b, *window, *copy;
    uint32_t word = 0;
    void *host;
    const uint64_t before = vox_device_bytes(dev);
    assert_ok(vox_buffer_open(&b, dev, BYTES, VOX_BUFFER_DEVICE, "large", &err));
    assert_ok(vox_buffer_open(&copy, dev, BYTES, VOX_BUFFER_DEVICE, "large", &err));
    assert_ok(vox_buffer_sub(&window, b, 4096000, 8, &err));
    assert_ok(vox_buffer_fill(b, 0, BYTES, 7, &err));
    assert_ok(vox_buffer_fill(window, 4, 4, 8, &err));
    assert_ok(vox_buffer_copy(copy, 0, b, 0, BYTES, &err));
    vox_buffer_free(&window);
    vox_buffer_free(&b);
    assert_ok(vox_buffer_map(copy, &host, &err));
    assert_int_equal(((uint32_t *)host)[1024001], 8);
    ((uint32_t *)host)[BYTES / 4 - 1] = 9;
    assert_ok(vox_buffer_unmap(copy, &err));
    assert_ok(vox_buffer_read(copy, BYTES - 4, &word, 4, true, &err));
    assert_int_equal(word, 9);
    assert_ok(vox_buffer_read(copy, 4096000, &word, 4, true, &err));
    assert_int_equal(word, 7);
    vox_buffer_free(&copy);
    assert_int_equal(vox_device_bytes(dev), before);
}

static void large_buffers_are_like_others(void **state)
{
    (void)state;
    on_every_device(large);
}

static void too_much(vox_device *dev)
{
    vox_error err = {0};
    vox_buffer *b;
    assert_error(vox_buffer_open(&b, dev, (size_t)1 << 50, VOX_BUFFER_DEVICE, "the moon", &err),
                 VOX_ERR_ROOM, "the moon");
    assert_null(b);
}

static void a_buffer_too_large_says_so(void **state)
{
    (void)state;
    on_every_device(too_much);
}

static void twin(vox_device *dev)
{
    vox_error err = {0};
    vox_kernel *k;
    vox_buffer *b;
    uint32_t out[64 * 4];
    assert_ok(vox_kernel_open(&k, dev, "philox_test.cl", "philox_test", "", &err));
    assert_ok(vox_buffer_open(&b, dev, sizeof out, VOX_BUFFER_DEVICE, "out", &err));
    const uint64_t seed = UINT64_C(0x123456789abcdef0);
    const vox_arg args[] = {vox_arg_buffer(b), vox_arg_u64(seed), vox_arg_u32(VOX_RANDOM_DROPOUT),
                            vox_arg_u32(7),    vox_arg_u32(99),   vox_arg_u32(3)};
    const vox_grid grid = {{64, 1, 1}, {0, 0, 0}};
    assert_ok(vox_kernel_launch(k, &grid, args, 6, &err));
    assert_ok(vox_buffer_read(b, 0, out, sizeof out, true, &err));
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t want[4];
        vox_random_block(seed, VOX_RANDOM_DROPOUT, 7, 99, 3, i, want);
        assert_memory_equal(want, out + 4 * i, sizeof want);
    }
    assert_error(vox_kernel_launch(k, &grid, args, 5, &err), VOX_ERR_DEVICE, "6 arguments");
    vox_arg wrong[6];
    memcpy(wrong, args, sizeof wrong);
    wrong[1] = vox_arg_u32(1);
    assert_error(vox_kernel_launch(k, &grid, wrong, 6, &err), VOX_ERR_DEVICE, "argument 1");
    vox_buffer_free(&b);
    vox_kernel_free(&k);
}

static void the_generators_are_twins(void **state)
{
    (void)state;
    on_every_device(twin);
}

/* The simulator ignores #line and keeps no binaries. */
static bool is_simulator(vox_device *dev)
{
    return strstr(vox_device_get(dev)->platform, "Oclgrind") != NULL;
}

static void broken(vox_device *dev)
{
    vox_error err = {0};
    vox_kernel *k;
    put_kernel("broken.cl", "#include \"helper.h\"\n__kernel void f(__global int *x)\n{\n"
                            "    x[0] = nonsense;\n}\n");
    put_kernel("helper.h", "/* a\n b\n c */\n");
    assert_error(vox_kernel_open(&k, dev, "broken.cl", "f", "", &err), VOX_ERR_DEVICE,
                 is_simulator(dev) ? "nonsense" : "broken.cl:4");
    assert_error(vox_kernel_open(&k, dev, "absent.cl", "f", "", &err), VOX_ERR_IO, "absent.cl");
    put_kernel("loop.cl", "#include \"loop.cl\"\n");
    assert_error(vox_kernel_open(&k, dev, "loop.cl", "f", "", &err), VOX_ERR_DEVICE, "include");
    unsetenv("VOXCL_KERNEL_DIR");
    assert_error(vox_kernel_open(&k, dev, "absent.cl", "f", "", &err), VOX_ERR_DEVICE, "absent.cl");
    assert_error(vox_kernel_open(&k, dev, "philox_test.cl", "g", "", &err), VOX_ERR_DEVICE,
                 "philox_test.cl:g");
}

static void a_build_failure_names_file_and_line(void **state)
{
    (void)state;
    on_every_device(broken);
}

static int run_constant(vox_device *dev)
{
    vox_error err = {0};
    vox_kernel *k;
    vox_buffer *b;
    int out = 0;
    assert_ok(vox_kernel_open(&k, dev, "constant.cl", "constant_value", "-DV=42", &err));
    assert_ok(vox_buffer_open(&b, dev, sizeof out, VOX_BUFFER_DEVICE, "out", &err));
    const vox_arg args[] = {vox_arg_buffer(b)};
    const vox_grid grid = {{1, 1, 1}, {1, 1, 1}};
    assert_ok(vox_kernel_launch(k, &grid, args, 1, &err));
    assert_ok(vox_buffer_read(b, 0, &out, sizeof out, true, &err));
    vox_buffer_free(&b);
    vox_kernel_free(&k);
    return out;
}

/* Opens and closes all devices, so that late binaries reach the cache. */
static void run_constant_everywhere(void)
{
    vox_error err = {0};
    vox_ctx *ctx;
    assert_ok(vox_ctx_open(&ctx, "all", &err));
    for (size_t i = 0; i < vox_ctx_device_count(ctx); i++)
        assert_int_equal(run_constant(vox_ctx_get(ctx, i)), 42);
    vox_ctx_free(&ctx);
}

static void only_simulators(vox_device *dev)
{
    assert_true(is_simulator(dev));
}

static void damage_entries(const char *cache)
{
    vox_error err = {0};
    vox_names names;
    assert_ok(vox_dir_list(&names, cache, &err));
    assert_true(names.count > 0);
    for (size_t i = 0; i < names.count; i++) {
        char *path = vox_path_join(cache, names.name[i], &err), *data;
        size_t size;
        assert_ok(vox_file_read(&data, &size, path, 0, &err));
        data[size - 1] ^= 1; /* a wrong checksum */
        assert_ok(vox_file_write(path, data, i % 2 ? size : size / 2, &err));
        free(data);
        free(path);
    }
    vox_names_release(&names);
}

static void a_damaged_cache_entry_is_rebuilt(void **state)
{
    (void)state;
    vox_error err = {0};
    char *cache = vox_path_join(scratch, "cache/kernels", &err);
    put_kernel("constant.cl", "__kernel void constant_value(__global int *x) { x[0] = V; }\n");
    run_constant_everywhere();
    run_constant_everywhere(); /* from the cache */
    if (!vox_path_exists(cache))
        on_every_device(only_simulators);
    else
        damage_entries(cache);
    run_constant_everywhere();
    unsetenv("VOXCL_KERNEL_DIR");
    free(cache);
}

static void profiled(vox_device *dev)
{
    vox_error err = {0};
    double seconds;
    int64_t launches;
    vox_buffer *b;
    assert_ok(vox_buffer_open(&b, dev, 1 << 20, VOX_BUFFER_DEVICE, "b", &err));
    assert_ok(vox_device_profile(dev, true, &err));
    vox_device_label(dev, 5);
    assert_ok(vox_buffer_fill(b, 0, 1 << 20, 0, &err));
    assert_ok(vox_buffer_fill(b, 0, 1 << 20, 0, &err));
    assert_ok(vox_device_profile_take(dev, 5, &seconds, &launches, &err));
    assert_int_equal(launches, 2);
    assert_true(seconds > 0 && seconds < 10);
    assert_ok(vox_device_profile_take(dev, 5, &seconds, &launches, &err));
    assert_int_equal(launches, 0);
    assert_ok(vox_device_profile(dev, false, &err));
    vox_buffer_free(&b);
}

static void launches_are_timed_by_label(void **state)
{
    (void)state;
    on_every_device(profiled);
}

static void selectors_choose(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_ctx *ctx;
    assert_ok(vox_ctx_open(&ctx, "0", &err));
    assert_int_equal(vox_ctx_device_count(ctx), 1);
    vox_ctx_free(&ctx);
    assert_error(vox_ctx_open(&ctx, "99", &err), VOX_ERR_USAGE, "no device 99");
    assert_error(vox_ctx_open(&ctx, ",0", &err), VOX_ERR_USAGE, "device list");
    assert_error(vox_ctx_open(&ctx, "no such name", &err), VOX_ERR_DEVICE, "no such name");
    assert_null(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_copy_and_are_counted),
        cmocka_unit_test(large_buffers_are_like_others),
        cmocka_unit_test(a_buffer_too_large_says_so),
        cmocka_unit_test(the_generators_are_twins),
        cmocka_unit_test(a_build_failure_names_file_and_line),
        cmocka_unit_test(a_damaged_cache_entry_is_rebuilt),
        cmocka_unit_test(launches_are_timed_by_label),
        cmocka_unit_test(selectors_choose),
    };
    vox_device_list *list = NULL;
    if (!mkdtemp(scratch))
        return 1;
    char cache[256];
    snprintf(cache, sizeof cache, "%s/cache", scratch);
    setenv("VOXCL_CACHE_DIR", cache, 1);
    if (vox_device_list_open(&list, NULL) != VOX_OK || list->count == 0) {
        puts("skipped: no OpenCL device");
        return 77;
    }
    vox_device_list_free(&list);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
