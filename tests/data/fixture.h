/* fixture.h - a scratch folder and small files for the tests of data sets.  Include it first. */
#ifndef VOX_TEST_FIXTURE_H
#define VOX_TEST_FIXTURE_H

#define _XOPEN_SOURCE 700 /* nftw */

#include "test.h"

#include "base/file.h"
#include "data/dataset.h"

#include <ftw.h>
#include <math.h>
#include <unistd.h>

static char scratch[64];

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
                                     struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int scratch_make(void **state)
{
    (void)state;
    strcpy(scratch, "/tmp/voxcl-test-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static inline int scratch_remove(void **state)
{
    (void)state;
    return nftw(scratch, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* scratch/name, in one of a few static buffers. */
static inline const char *scratch_path(const char *name)
{
    static char path[8][256];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", scratch, name);
    return p;
}

/* Writes a file, its folders made. */
static inline void put_bytes(const char *name, const void *data, size_t size)
{
    char dir[256];
    snprintf(dir, sizeof dir, "%s", scratch_path(name));
    *strrchr(dir, '/') = '\0';
    assert_int_equal(vox_mkdirs(dir, NULL), VOX_OK);
    assert_int_equal(vox_file_write(scratch_path(name), data, size, NULL), VOX_OK);
}

static inline void put_text(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

/* A float32 .npy of [c,d,h,w]; voxel i holds base + i, and the voxel `bad` is NaN if >= 0. */
static inline void put_npy(const char *name, int c, int d, int h, int w, float base, long bad)
{
    size_t n = (size_t)c * (size_t)d * (size_t)h * (size_t)w, used = 128;
    char *bytes = calloc(used + n * sizeof(float), 1);
    assert_non_null(bytes);
    memset(bytes, ' ', used);
    memcpy(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    int length = snprintf(bytes + 10, 118,
                          "{'descr': '<f4', 'fortran_order': False, "
                          "'shape': (%d, %d, %d, %d), }",
                          c, d, h, w);
    bytes[10 + length] = ' ';
    bytes[used - 1] = '\n';
    for (size_t i = 0; i < n; i++) {
        float x = (long)i == bad ? (float)NAN : base + (float)i;
        memcpy(bytes + used + i * sizeof x, &x, sizeof x);
    }
    put_bytes(name, bytes, used + n * sizeof(float));
    free(bytes);
}

/* Opens a data set from YAML texts; prepare may be NULL.  Sample shape c,d,h,w. */
static inline vox_status open_set(vox_dataset **out, const char *spec, const char *prepare,
                                  const int shape[4], bool skip_bad, vox_error *err)
{
    vox_yaml *doc = NULL, *steps = NULL;
    vox_dataset_options opt = {.base_dir = scratch, .skip_bad = skip_bad};
    for (int i = 0; i < 4; i++)
        opt.sample_shape[i] = shape[i];
    *out = NULL;
    vox_status s = vox_yaml_parse(&doc, spec, "exp.yaml", err);
    if (s == VOX_OK && prepare)
        s = vox_yaml_parse(&steps, prepare, "exp.yaml", err);
    if (s == VOX_OK)
        s = vox_dataset_open(out, vox_yaml_root(doc), steps ? vox_yaml_root(steps) : NULL, &opt,
                             err);
    vox_yaml_free(&doc);
    vox_yaml_free(&steps);
    return s;
}

#endif
