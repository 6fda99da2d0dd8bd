/* test_formats_fuzz.c - golden files with random damage: an image or one clear error, never a
 * crash, a hang or memory beyond what the file could hold.
 *
 * Deterministic: VOXCL_FUZZ_SEED (1) and VOXCL_FUZZ_ROUNDS (12 for each file) change it. */
#include "golden.h"

#include "base/philox.h"

#include <sys/resource.h>

static vox_error err;

static uint64_t setting(const char *name, uint64_t normal)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : normal;
}

/* Bytes that headers react to. */
static unsigned char some_byte(vox_random *r)
{
    static const unsigned char special[] = {0,    1,   2,   0x7f, 0x80, 0xfe,
                                            0xff, '0', '9', '-',  ' ',  '\n'};
    return vox_random_below(r, 2) ? special[vox_random_below(r, sizeof special)]
                                  : (unsigned char)vox_random_below(r, 256);
}

/* One to eight bytes changed, a piece cut out, or a piece doubled; most damage lies in front. */
static size_t damage(vox_random *r, const char *in, size_t size, char *out)
{
    uint32_t n = (uint32_t)size, front = n < 600 ? n : 600;
    uint32_t at = vox_random_below(r, vox_random_below(r, 3) ? front : n);
    uint32_t length = 1 + vox_random_below(r, 16);
    memcpy(out, in, size);
    if (length > n - at)
        length = n - at;
    switch (vox_random_below(r, 8)) {
    case 0:
        memmove(out + at, out + at + length, size - at - length);
        return size - length;
    case 1:
        memmove(out + at + length, in + at, size - at);
        return size + length;
    default:
        for (uint32_t i = 1 + vox_random_below(r, 8); i > 0; i--)
            out[vox_random_below(r, 3) ? at : vox_random_below(r, n)] = (char)some_byte(r);
        return size;
    }
}

/* A read must end in an image that can be walked, or in an error with words. */
static void try_read(const char *path, const char *what)
{
    vox_image *im = NULL;
    memset(&err, 0, sizeof err);
    vox_status s = vox_image_read(&im, path, &err);
    if (s == VOX_ERR_MEMORY)
        fail_msg("%s wants too much memory: %s", what, err.detail);
    if (s != VOX_OK) {
        assert_null(im);
        assert_true(err.code == s && err.message[0] && err.detail[0]);
        return;
    }
    double sum = 0;
    int64_t n = im->channels * im->size[0] * im->size[1] * im->size[2];
    for (int64_t i = 0; i < n; i++)
        sum += im->voxel[i] > 0 ? 1 : 0;
    assert_true(sum <= (double)n);
    for (int i = 0; i < 3; i++)
        assert_true(im->spacing_mm[i] > 0);
    vox_image_free(&im);
}

/* A new file each time: rewriting one in place makes some file systems flush it to the disk. */
static void write_all(const char *path, const void *data, size_t size)
{
    unlink(path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static char *header_of(const char *path)
{
    char *header = strdup(path), *dot = strrchr(header, '.');
    if (!strcmp(dot, ".raw") || !strcmp(dot, ".zraw"))
        strcpy(dot, ".mhd");
    return header;
}

static void fuzz_file(const char *path, uint64_t seed, uint64_t rounds, uint64_t stream)
{
    char *data, *header = header_of(path);
    size_t size;
    assert_ok(vox_file_read(&data, &size, path, 0, &err));
    char *copy = malloc(size + 64);
    assert_non_null(copy);
    for (uint64_t i = 0; i < rounds; i++) {
        char what[128];
        vox_random r;
        vox_random_init(&r, seed, VOX_RANDOM_SYNTH, 0, i, stream);
        size_t n = damage(&r, data, size, copy);
        write_all(path, copy, n);
        snprintf(what, sizeof what, "%.60s, seed %llu, round %llu", vox_path_base(path),
                 (unsigned long long)seed, (unsigned long long)i);
        if (getenv("VOXCL_FUZZ_TALK")) /* to find the one that crashed */
            fprintf(stderr, "%s\n", what);
        try_read(header, what);
    }
    write_all(path, data, size);
    free(copy);
    free(data);
    free(header);
}

/* A lying size must not get memory, not even untouched: the address space is limited.  (A
 * sanitizer needs terabytes of it for itself.) */
static void limit_memory(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(VOX_TEST_SANITIZED)
    const struct rlimit limit = {UINT64_C(1) << 30, UINT64_C(1) << 30};
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
#endif
}

static void damaged_files_do_no_harm(void **state)
{
    uint64_t seed = setting("VOXCL_FUZZ_SEED", 1), rounds = setting("VOXCL_FUZZ_ROUNDS", 12);
    const char *only = getenv("VOXCL_FUZZ_FILE");
    char *dir = make_temporary();
    vox_names names;
    (void)state;
    limit_memory();
    copy_tree(GOLDEN, dir);
    assert_ok(vox_dir_list(&names, dir, &err));
    for (size_t i = 0; i < names.count; i++) {
        char *path = vox_path_join(dir, names.name[i], NULL);
        if (!vox_path_is_dir(path) && (!only || strcmp(only, names.name[i]) == 0))
            fuzz_file(path, seed, rounds, i);
        free(path);
    }
    assert_true(names.count > 100);
    vox_names_release(&names);
    remove_tree(dir);
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_files_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
