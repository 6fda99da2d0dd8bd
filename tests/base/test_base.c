/* test_base.c - errors, files, numbers, the generator and the pool. */
#include "test.h"

#include "base/file.h"
#include "base/host.h"
#include "base/philox.h"
#include "base/text.h"
#include "base/thread.h"

#include <sys/stat.h>
#include <unistd.h>

static void philox_has_the_authors_values(void **state)
{
    (void)state;
    /* Random123's kat_vectors for philox4x32-10. */
    static const struct {
        uint32_t ctr[4], key[2], out[4];
    } cases[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        vox_philox4x32_10(cases[i].ctr, cases[i].key, out);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

static void errors_are_cut_not_overrun(void **state)
{
    (void)state;
    vox_error err;
    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(vox_fail(&err, VOX_ERR_IO, "%s", longer), VOX_ERR_IO);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    vox_detail(&err, "%s", longer);
    assert_int_equal(vox_error_at(&err, "line %d", 7), VOX_ERR_IO);
    assert_int_equal(strncmp(err.detail, "line 7: xxx", 11), 0);
    assert_int_equal(vox_fail(NULL, VOX_ERR_IO, "nobody listens"), VOX_ERR_IO);
}

static void a_file_appears_whole_or_not_at_all(void **state)
{
    (void)state;
    vox_error err = {0};
    char dir[] = "/tmp/voxcl-base-XXXXXX", *data = NULL;
    size_t size = 0;
    assert_non_null(mkdtemp(dir));
    char *path = vox_path_join(dir, "a", &err);
    assert_ok(vox_file_write(path, "one", 3, &err));
    vox_file f;
    assert_ok(vox_file_begin(&f, path, &err));
    fputs("two", f.stream);
    vox_file_abandon(&f);
    assert_ok(vox_file_read(&data, &size, path, 0, &err));
    assert_int_equal(size, 3);
    assert_string_equal(data, "one");
    free(data);
    vox_names names;
    assert_ok(vox_dir_list(&names, dir, &err));
    assert_int_equal(names.count, 1); /* no temporary left */
    vox_names_release(&names);
    assert_error(vox_file_read(&data, &size, dir, 0, &err), VOX_ERR_IO, "regular");
    assert_error(vox_file_read(&data, &size, path, 2, &err), VOX_ERR_INPUT, "large");
    unlink(path);
    assert_error(vox_file_read(&data, &size, path, 0, &err), VOX_ERR_IO, path);
    char *deep = vox_path_join(dir, "b/c/d", &err);
    assert_ok(vox_mkdirs(deep, &err));
    assert_true(vox_path_is_dir(deep));
    free(deep);
    free(path);
}

static void numbers_are_strict(void **state)
{
    (void)state;
    int64_t i;
    double d;
    assert_true(vox_parse_i64(" 42 ", &i) && i == 42);
    assert_false(vox_parse_i64("42x", &i));
    assert_false(vox_parse_i64("", &i));
    assert_false(vox_parse_i64("99999999999999999999", &i));
    assert_true(vox_parse_double("1e-5", &d) && d == 1e-5);
    assert_false(vox_parse_double("1,5", &d));
}

static void the_nearest_word_is_suggested(void **state)
{
    (void)state;
    static const char *const words[] = {"kernel", "stride", "pad", NULL};
    assert_string_equal(vox_nearest("kernal", words), "kernel");
    assert_string_equal(vox_nearest("strid", words), "stride");
    assert_null(vox_nearest("momentum", words));
}

static void add_one(void *user, size_t i)
{
    ((int *)user)[i]++;
}

static void the_pool_runs_every_item_once(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_pool *pool;
    assert_ok(vox_pool_open(&pool, 4, &err));
    for (int round = 0; round < 200; round++) {
        int hits[97] = {0};
        vox_pool_for(pool, 97, add_one, hits);
        for (int i = 0; i < 97; i++)
            assert_int_equal(hits[i], 1);
    }
    vox_pool_free(&pool);
    assert_null(pool);
}

static void sizes_do_not_overflow(void **state)
{
    (void)state;
    vox_error err = {0};
    size_t out;
    assert_false(vox_mul(SIZE_MAX, 2, &out));
    assert_null(vox_calloc(SIZE_MAX / 2, 4, "a test", &err));
    assert_int_equal(err.code, VOX_ERR_MEMORY);
}

static void free_memory_is_known(void **state)
{
    (void)state;
    static const char text[] =
        "MemTotal:       32000 kB\nMemFree:  1 kB\nMemAvailable:   1234 kB\n";
    assert_int_equal(vox_meminfo_bytes(text, "MemAvailable"), 1234 * 1024);
    assert_int_equal(vox_meminfo_bytes(text, "MemTotal"), 32000 * 1024);
    assert_int_equal(vox_meminfo_bytes(text, "Mem"), 0);
    assert_int_equal(vox_meminfo_bytes("", "MemTotal"), 0);
#ifdef __linux__
    assert_true(vox_host_free_bytes() > 1024 * 1024);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_has_the_authors_values),
        cmocka_unit_test(errors_are_cut_not_overrun),
        cmocka_unit_test(a_file_appears_whole_or_not_at_all),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(the_nearest_word_is_suggested),
        cmocka_unit_test(the_pool_runs_every_item_once),
        cmocka_unit_test(sizes_do_not_overflow),
        cmocka_unit_test(free_memory_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
