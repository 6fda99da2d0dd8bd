/* png_write.c - slices as PNG, 8 or 16 bits; the rules are in png_write.h. */
#include "data/formats/png_write.h"

#include "base/file.h"
#include "data/formats/image.h"

#ifdef VOXCL_WITH_PNG

#include <png.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct scale {
    int bits;
    bool exact; /* values are written as they are */
    double min, max;
} scale;

/* Everything a jump may not lose lives here, in the caller's frame. */
typedef struct writer {
    png_structp png;
    png_infop info;
    const vox_image *image;
    const scale *sc;
    vox_file file;
    vox_error *err;
    vox_status status;
    unsigned char *row;
    size_t slice;
} writer;

/* ---- values ---- */

static bool whole_numbers(const vox_image *im, float max)
{
    size_t n = vox_image_values(im);
    for (size_t i = 0; i < n; i++)
        if (!(im->voxel[i] >= 0 && im->voxel[i] <= max && im->voxel[i] == floorf(im->voxel[i])))
            return false;
    return true;
}

static scale find_scale(const vox_image *im)
{
    scale sc = {.bits = 16, .min = INFINITY, .max = -INFINITY};
    if (strcmp(im->stored_type, "uint8") == 0 && whole_numbers(im, 255)) {
        sc.bits = 8;
        sc.exact = true;
    } else if (strcmp(im->format, "png") == 0 && whole_numbers(im, 65535)) {
        sc.exact = true;
    }
    size_t n = vox_image_values(im);
    for (size_t i = 0; i < n && !sc.exact; i++) {
        double v = (double)im->voxel[i];
        if (isfinite(v) && v < sc.min)
            sc.min = v;
        if (isfinite(v) && v > sc.max)
            sc.max = v;
    }
    if (!(sc.min <= sc.max)) /* no finite value at all */
        sc.min = sc.max = 0;
    return sc;
}

static unsigned sample(const scale *sc, float value)
{
    double v = (double)value;
    if (sc->exact)
        return (unsigned)v;
    if (isnan(v) || v <= sc->min || sc->max == sc->min)
        return 0;
    return v >= sc->max ? 65535U : (unsigned)lround((v - sc->min) / (sc->max - sc->min) * 65535);
}

static void fill_row(writer *w, size_t y)
{
    const vox_image *im = w->image;
    size_t channels = (size_t)im->channels, width = (size_t)im->size[2];
    size_t plane = vox_image_values(im) / channels;
    size_t first = (w->slice * (size_t)im->size[1] + y) * width;
    unsigned char *p = w->row;
    for (size_t x = 0; x < width; x++)
        for (size_t c = 0; c < channels; c++) {
            unsigned v = sample(w->sc, im->voxel[c * plane + first + x]);
            if (w->sc->bits == 16)
                *p++ = (unsigned char)(v >> 8);
            *p++ = (unsigned char)(v & 255);
        }
}

/* ---- one file ---- */

static void on_error(png_structp png, png_const_charp text)
{
    writer *w = png_get_error_ptr(png);
    if (w->status == VOX_OK) {
        w->status = VOX_ERR_IO;
        vox_fail(w->err, VOX_ERR_IO, "cannot write PNG");
        vox_detail(w->err, "%s: %s", w->file.path, text);
    }
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

static void on_write(png_structp png, png_bytep data, size_t bytes)
{
    writer *w = png_get_io_ptr(png);
    if (fwrite(data, 1, bytes, w->file.stream) != bytes) {
        w->status = vox_fail_errno(w->err, "write", w->file.path);
        png_error(png, "short");
    }
}

static void on_flush(png_structp png)
{
    (void)png;
}

static void put_info(writer *w, char min[32], char max[32])
{
    static const int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA,
                                  PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
    static char key_min[] = "voxcl:min", key_max[] = "voxcl:max";
    const vox_image *im = w->image;
    png_set_IHDR(w->png, w->info, (png_uint_32)im->size[2], (png_uint_32)im->size[1], w->sc->bits,
                 colours[im->channels - 1], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    snprintf(min, 32, "%.17g", w->sc->min);
    snprintf(max, 32, "%.17g", w->sc->max);
    const png_text text[2] = {
        {.compression = PNG_TEXT_COMPRESSION_NONE, .key = key_min, .text = min},
        {.compression = PNG_TEXT_COMPRESSION_NONE, .key = key_max, .text = max}};
    if (!w->sc->exact)
        png_set_text(w->png, w->info, text, 2);
    png_write_info(w->png, w->info);
}

static vox_status put_all(writer *w, char min[32], char max[32])
{
    if (setjmp(png_jmpbuf(w->png)))
        return w->status;
    png_set_user_limits(w->png, INT32_MAX, INT32_MAX);
    png_set_write_fn(w->png, w, on_write, on_flush);
    put_info(w, min, max);
    for (int64_t y = 0; y < w->image->size[1]; y++) {
        fill_row(w, (size_t)y);
        png_write_row(w->png, w->row);
    }
    png_write_end(w->png, w->info);
    return VOX_OK;
}

static vox_status write_slice(const vox_image *image, const scale *sc, size_t slice,
                              const char *path, vox_error *err)
{
    char min[32], max[32];
    writer w = {.image = image, .sc = sc, .err = err, .slice = slice};
    vox_status s = vox_file_begin(&w.file, path, err);
    if (s != VOX_OK)
        return s;
    w.row = vox_calloc((size_t)image->size[2] * (size_t)image->channels, 2, "a row", err);
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, on_error, on_warning);
    w.info = w.png ? png_create_info_struct(w.png) : NULL;
    if (!w.row)
        s = VOX_ERR_MEMORY;
    else
        s = w.info ? put_all(&w, min, max) : vox_fail_memory(err, "libpng", 0);
    png_destroy_write_struct(&w.png, &w.info);
    free(w.row);
    if (s == VOX_OK)
        return vox_file_commit(&w.file, err);
    vox_file_abandon(&w.file);
    return s;
}

/* ---- a folder ---- */

static bool is_slice_name(const char *name)
{
    size_t n = strlen(name), digits = n > 6 ? strspn(name + 6, "0123456789") : 0;
    return strncmp(name, "slice_", 6) == 0 && digits >= 4 && strcmp(name + 6 + digits, ".png") == 0;
}

/* Removes a folder of slices; one that holds anything else stays. */
static void remove_folder(const char *dir)
{
    vox_names names;
    if (vox_dir_list(&names, dir, NULL) != VOX_OK)
        return;
    for (size_t i = 0; i < names.count; i++) {
        char *path = is_slice_name(names.name[i]) ? vox_path_join(dir, names.name[i], NULL) : NULL;
        if (path)
            unlink(path);
        free(path);
    }
    vox_names_release(&names);
    rmdir(dir);
}

/* What stands in the way may only be slices of an earlier time. */
static vox_status check_old(const char *dir, vox_error *err)
{
    vox_names names;
    if (!vox_path_exists(dir))
        return VOX_OK;
    vox_status s = vox_dir_list(&names, dir, err);
    if (s != VOX_OK)
        return s;
    for (size_t i = 0; i < names.count && s == VOX_OK; i++)
        if (!is_slice_name(names.name[i])) {
            s = vox_fail(err, VOX_ERR_USAGE, "the folder holds other things than slices");
            vox_detail(err, "%s: %s", dir, names.name[i]);
            vox_hint(err, "name a new folder");
        }
    vox_names_release(&names);
    return s;
}

static vox_status write_slices(const vox_image *image, const char *dir, vox_error *err)
{
    scale sc = find_scale(image);
    if (mkdir(dir, 0777) != 0)
        return vox_fail_errno(err, "make folder", dir);
    vox_status s = VOX_OK;
    for (int64_t d = 0; s == VOX_OK && d < image->size[0]; d++) {
        char *path = vox_format(err, "%s/slice_%04lld.png", dir, (long long)d);
        s = path ? write_slice(image, &sc, (size_t)d, path, err) : VOX_ERR_MEMORY;
        free(path);
    }
    return s;
}

/* The finished folder takes the place of the old one, which leaves by another name first. */
static vox_status swap_in(const char *fresh, const char *dir, const char *old, vox_error *err)
{
    bool there = vox_path_exists(dir);
    if (there && rename(dir, old) != 0)
        return vox_fail_errno(err, "write", dir);
    if (rename(fresh, dir) != 0) {
        vox_status s = vox_fail_errno(err, "write", dir);
        if (there && rename(old, dir) != 0)
            vox_hint(err, "what was there before is now %s", old);
        return s;
    }
    if (there)
        remove_folder(old);
    return VOX_OK;
}

static vox_status write_folder(const vox_image *image, const char *path, vox_error *err)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    char *dir = vox_format(err, "%.*s", (int)n, path);
    char *fresh = dir ? vox_format(err, "%s.tmp%ld", dir, (long)getpid()) : NULL;
    char *old = fresh ? vox_format(err, "%s.old%ld", dir, (long)getpid()) : NULL;
    vox_status s = old ? check_old(dir, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK) {
        s = write_slices(image, fresh, err);
        if (s == VOX_OK)
            s = swap_in(fresh, dir, old, err);
        if (s != VOX_OK)
            remove_folder(fresh);
    }
    free(old);
    free(fresh);
    free(dir);
    return s;
}

vox_status vox_png_write(const vox_image *image, const char *path, vox_error *err)
{
    if (image->channels > 4 || image->size[1] > INT32_MAX || image->size[2] > INT32_MAX) {
        vox_fail(err, VOX_ERR_USAGE, "image does not fit into a PNG");
        vox_detail(err, "%s: %lld channels of (%lld, %lld, %lld); 1 to 4 channels can be written",
                   path, (long long)image->channels, (long long)image->size[0],
                   (long long)image->size[1], (long long)image->size[2]);
        return VOX_ERR_USAGE;
    }
    if (vox_path_ends(path, "/"))
        return write_folder(image, path, err);
    if (image->size[0] == 1) {
        scale sc = find_scale(image);
        return write_slice(image, &sc, 0, path, err);
    }
    vox_fail(err, VOX_ERR_USAGE, "a PNG holds one slice, the image has more");
    vox_detail(err, "%s: %lld slices", path, (long long)image->size[0]);
    vox_hint(err, "end the name in / for a folder of slices");
    return VOX_ERR_USAGE;
}

#else

vox_status vox_png_write(const vox_image *image, const char *path, vox_error *err)
{
    (void)image;
    return vox_image_switched_off(err, "PNG", path);
}

#endif
