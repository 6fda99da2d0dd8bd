/* golden.h - the volume that tests/golden/make_formats.py wrote in every format. */
#ifndef VOX_TEST_GOLDEN_H
#define VOX_TEST_GOLDEN_H

#include "test.h"

#include "base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#define GOLDEN VOXCL_SOURCE_DIR "/tests/golden/formats/"

/* What this build can read; a row that needs something else must fail by name. */
#ifdef VOXCL_WITH_GDCM
#define HAS_GDCM true
#else
#define HAS_GDCM false
#endif
#ifdef VOXCL_WITH_NIFTI
#define HAS_NIFTI true
#else
#define HAS_NIFTI false
#endif
#ifdef VOXCL_WITH_PNG
#define HAS_PNG true
#else
#define HAS_PNG false
#endif
#ifdef VOXCL_WITH_ZLIB
#define HAS_ZLIB true
#else
#define HAS_ZLIB false
#endif

/* NaN is never near. */
#define assert_near(a, b, tolerance)                                                               \
    do {                                                                                           \
        double a_ = (a), b_ = (b);                                                                 \
        if (!(a_ - b_ <= (tolerance) && b_ - a_ <= (tolerance)))                                   \
            fail_msg("%s is %.17g, not %.17g", #a, a_, b_);                                        \
    } while (0)

/* Voxel (c, d, h, w) before offset and scale. */
static inline int golden_v(int64_t c, int64_t d, int64_t h, int64_t w)
{
    return (int)(100 * d + 10 * h + w + 5 * c);
}

/* The oblique grid: directions of d, h, w and what else there is (LPS mm). */
static const double golden_direction[3][3] = {{-0.6, 0.8, 0}, {0, 0, -1}, {0.8, 0.6, 0}};
static const double golden_spacing[3] = {3, 1.5, 0.75};
static const double golden_origin[3] = {-10.5, 20.25, 30};

static inline void assert_golden_geometry(const vox_image *im, double tolerance)
{
    assert_true(im->has_geometry);
    for (int i = 0; i < 3; i++) {
        assert_near(im->spacing_mm[i], golden_spacing[i], tolerance);
        assert_near(im->origin_mm[i], golden_origin[i], tolerance);
        for (int j = 0; j < 3; j++)
            assert_near(im->direction[i][j], golden_direction[i][j], tolerance);
    }
}

/* A folder of the test's own, and all that is in it removed again. */
static inline char *make_temporary(void)
{
    char *dir = strdup("/tmp/voxcl-test-XXXXXX");
    assert_non_null(dir);
    assert_non_null(mkdtemp(dir));
    return dir;
}

static inline void remove_tree(const char *dir)
{
    vox_names names;
    assert_int_equal(vox_dir_list(&names, dir, NULL), VOX_OK);
    for (size_t i = 0; i < names.count; i++) {
        char *path = vox_path_join(dir, names.name[i], NULL);
        if (vox_path_is_dir(path))
            remove_tree(path);
        else
            unlink(path);
        free(path);
    }
    vox_names_release(&names);
    assert_int_equal(rmdir(dir), 0);
}

/* Copies a file, or all files of a folder. */
static inline void copy_file(const char *from, const char *to)
{
    char *data;
    size_t size;
    FILE *f;
    assert_int_equal(vox_file_read(&data, &size, from, 0, NULL), VOX_OK);
    assert_non_null(f = fopen(to, "wb"));
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
    free(data);
}

static inline void copy_tree(const char *from, const char *to)
{
    vox_names names;
    mkdir(to, 0777);
    assert_int_equal(vox_dir_list(&names, from, NULL), VOX_OK);
    for (size_t i = 0; i < names.count; i++) {
        char *a = vox_path_join(from, names.name[i], NULL);
        char *b = vox_path_join(to, names.name[i], NULL);
        if (vox_path_is_dir(a))
            copy_tree(a, b);
        else
            copy_file(a, b);
        free(a);
        free(b);
    }
    vox_names_release(&names);
}

#endif
