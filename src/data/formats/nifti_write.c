/* nifti_write.c - float32 NIfTI with sform and qform; and volumes that take over the header of the
 * NIfTI file they were computed from. */
#include "data/formats/nifti_write.h"

#include "base/file.h"
#include "data/formats/derived.h"
#include "data/formats/image.h"
#include "data/formats/sample.h"
#include "data/formats/stream.h"

#ifdef VOXCL_WITH_NIFTI

#include <nifti2_io.h>

#include <math.h>
#include <string.h>

/* RAS mm, columns i, j, k and the offset: the reader's rules backwards. */
static nifti_dmat44 get_affine(const vox_image *im)
{
    static const double ras[3] = {-1, -1, 1};
    nifti_dmat44 a;
    memset(&a, 0, sizeof a);
    for (int i = 0; i < 3; i++) {
        for (int column = 0; column < 3; column++) {
            double v = ras[i] * im->direction[2 - column][i] * im->spacing_mm[2 - column];
            a.m[i][column] = v == 0 ? 0 : v; /* no -0 */
        }
        a.m[i][3] = im->origin_mm[i] == 0 ? 0 : ras[i] * im->origin_mm[i];
    }
    a.m[3][3] = 1;
    return a;
}

static bool at_right_angles(const vox_image *im)
{
    return fabs(fabs(vox_image_determinant(im)) - 1) < 1e-5;
}

/* qform cannot hold a sheared grid: its code stays 0 then. */
static void set_qform(nifti_2_header *h, const vox_image *im, nifti_dmat44 a)
{
    double dx, dy, dz;
    nifti_dmat44_to_quatern(a, &h->quatern_b, &h->quatern_c, &h->quatern_d, &h->qoffset_x,
                            &h->qoffset_y, &h->qoffset_z, &dx, &dy, &dz, &h->pixdim[0]);
    h->qform_code = im->has_geometry && at_right_angles(im) ? NIFTI_XFORM_SCANNER_ANAT : 0;
}

static nifti_2_header make_header(const vox_image *im)
{
    nifti_2_header h;
    memset(&h, 0, sizeof h);
    h.sizeof_hdr = 540;
    memcpy(h.magic, "n+2\0\r\n\032\n", 8);
    h.datatype = NIFTI_TYPE_FLOAT32;
    h.bitpix = 32;
    h.dim[0] = im->channels > 1 ? 4 : 3;
    h.pixdim[0] = 1;
    for (int i = 1; i <= 7; i++) {
        h.dim[i] = i <= 3 ? im->size[3 - i] : i == 4 ? im->channels : 1;
        h.pixdim[i] = i <= 3 ? im->spacing_mm[3 - i] : 1;
    }
    h.vox_offset = 544; /* the header and four bytes that say "no extension" */
    h.scl_slope = 1;
    h.xyzt_units = NIFTI_UNITS_MM;
    nifti_dmat44 a = get_affine(im);
    set_qform(&h, im, a);
    h.sform_code = im->has_geometry ? NIFTI_XFORM_SCANNER_ANAT : 0;
    memcpy(h.srow_x, a.m[0], sizeof h.srow_x);
    memcpy(h.srow_y, a.m[1], sizeof h.srow_y);
    memcpy(h.srow_z, a.m[2], sizeof h.srow_z);
    return h;
}

static nifti_1_header narrow(const nifti_2_header *from)
{
    nifti_1_header h;
    memset(&h, 0, sizeof h);
    h.sizeof_hdr = 348;
    h.regular = 'r';
    memcpy(h.magic, "n+1", 4);
    h.datatype = from->datatype;
    h.bitpix = from->bitpix;
    for (int i = 0; i < 8; i++) {
        h.dim[i] = (short)from->dim[i];
        h.pixdim[i] = (float)from->pixdim[i];
    }
    h.vox_offset = 352;
    h.scl_slope = 1;
    h.xyzt_units = (char)from->xyzt_units;
    h.qform_code = (short)from->qform_code;
    h.sform_code = (short)from->sform_code;
    h.quatern_b = (float)from->quatern_b;
    h.quatern_c = (float)from->quatern_c;
    h.quatern_d = (float)from->quatern_d;
    h.qoffset_x = (float)from->qoffset_x;
    h.qoffset_y = (float)from->qoffset_y;
    h.qoffset_z = (float)from->qoffset_z;
    for (int i = 0; i < 4; i++) {
        h.srow_x[i] = (float)from->srow_x[i];
        h.srow_y[i] = (float)from->srow_y[i];
        h.srow_z[i] = (float)from->srow_z[i];
    }
    return h;
}

static bool needs_version_2(const vox_image *im)
{
    bool more = im->channels > INT16_MAX;
    for (int i = 0; i < 3; i++)
        more = more || im->size[i] > INT16_MAX;
    return more;
}

/* A header made ready to be written: of version 1 or 2, in the order of bytes that msb says. */
typedef struct header {
    unsigned char bytes[544]; /* and four that say "no extension" */
    size_t size;
    bool msb;
} header;

static void set_header(header *to, const nifti_1_header *one, const nifti_2_header *two)
{
    memset(to, 0, sizeof *to);
    to->size = one ? 352 : 544;
    to->msb = vox_host_msb();
    if (one)
        memcpy(to->bytes, one, sizeof *one);
    else
        memcpy(to->bytes, two, sizeof *two);
}

static void make_bytes(header *to, const vox_image *im, bool label)
{
    nifti_2_header two = make_header(im);
    two.datatype = label ? NIFTI_TYPE_UINT8 : NIFTI_TYPE_FLOAT32;
    two.bitpix = label ? 8 : 32;
    const nifti_1_header one = narrow(&two);
    set_header(to, needs_version_2(im) ? NULL : &one, &two);
}

/* ---- the header of another file ---- */

/* What says how voxels are stored and shown is set, what says where they lie stays. */
#define VOX_NIFTI_ADOPT(h, label, offset)                                                          \
    do {                                                                                           \
        (h)->datatype = (label) ? NIFTI_TYPE_UINT8 : NIFTI_TYPE_FLOAT32;                           \
        (h)->bitpix = (label) ? 8 : 32;                                                            \
        for (int i_ = 4; (h)->dim[0] > 3 && i_ < 8; i_++)                                          \
            (h)->dim[i_] = 1;                                                                      \
        if ((h)->dim[0] > 3)                                                                       \
            (h)->dim[0] = 3;                                                                       \
        (h)->vox_offset = (offset);                                                                \
        (h)->scl_slope = 1;                                                                        \
        (h)->scl_inter = (h)->cal_max = (h)->cal_min = 0;                                          \
        (h)->intent_code = 0;                                                                      \
        (h)->intent_p1 = (h)->intent_p2 = (h)->intent_p3 = 0;                                      \
        memset((h)->intent_name, 0, sizeof(h)->intent_name);                                       \
        memset((h)->aux_file, 0, sizeof(h)->aux_file);                                             \
    } while (0)

static void adopt_1(header *to, const unsigned char *bytes, bool swap, bool label)
{
    nifti_1_header h;
    memcpy(&h, bytes, sizeof h);
    if (swap)
        nifti_swap_as_nifti1(&h);
    VOX_NIFTI_ADOPT(&h, label, 352);
    memcpy(h.magic, "n+1", 4);
    if (swap)
        nifti_swap_as_nifti1(&h);
    set_header(to, &h, NULL);
}

static void adopt_2(header *to, const unsigned char *bytes, bool swap, bool label)
{
    nifti_2_header h;
    memcpy(&h, bytes, sizeof h);
    if (swap)
        nifti_swap_as_nifti2(&h);
    VOX_NIFTI_ADOPT(&h, label, 544);
    memcpy(h.magic, "n+2\0\r\n\032\n", 8);
    if (swap)
        nifti_swap_as_nifti2(&h);
    set_header(to, NULL, &h);
}

/* Swapping twice gives the same bytes back, NaNs of floats included: they are swapped as bytes. */
static vox_status adopt(header *to, const char *source, bool label, vox_error *err)
{
    unsigned char bytes[540];
    int size = 0;
    bool msb = false;
    vox_status s = vox_nifti_header(source, bytes, &size, &msb, err);
    if (s != VOX_OK)
        return s;
    if (size == 348)
        adopt_1(to, bytes, msb != vox_host_msb(), label);
    else
        adopt_2(to, bytes, msb != vox_host_msb(), label);
    to->msb = msb;
    return VOX_OK;
}

/* ---- writing ---- */

static vox_status put_swapped(vox_writer *to, const float *value, size_t count, vox_error *err)
{
    float block[1024];
    vox_status s = VOX_OK;
    for (size_t i = 0; i < count && s == VOX_OK; i += 1024) {
        const size_t n = count - i < 1024 ? count - i : 1024;
        memcpy(block, value + i, n * sizeof *block);
        nifti_swap_4bytes((int64_t)n, block);
        s = vox_writer_put(to, block, n * sizeof *block, err);
    }
    return s;
}

static vox_status put_all(vox_writer *to, const header *h, const vox_derived *d, vox_error *err)
{
    const int64_t *n = d->grid->size;
    size_t count = (size_t)(n[0] * n[1] * n[2]);
    vox_status s = vox_writer_put(to, h->bytes, h->size, err);
    if (s != VOX_OK)
        return s;
    if (d->label)
        return vox_writer_put(to, d->label, count, err);
    count *= d->channels > 1 ? (size_t)d->channels : 1;
    return h->msb == vox_host_msb() ? vox_writer_put(to, d->value, count * sizeof *d->value, err)
                                    : put_swapped(to, d->value, count, err);
}

static vox_status write_file(const header *h, const vox_derived *d, const char *path,
                             vox_error *err)
{
    vox_file f;
    vox_writer *to;
    vox_status s = vox_file_begin(&f, path, err);
    if (s != VOX_OK)
        return s;
    s = vox_writer_open(&to, &f, vox_path_ends(path, ".gz") ? VOX_WRITER_GZIP : VOX_WRITER_PLAIN,
                        err);
    if (s == VOX_OK)
        s = vox_writer_close(&to, put_all(to, h, d, err), err);
    if (s == VOX_OK)
        return vox_file_commit(&f, err);
    vox_file_abandon(&f);
    return s;
}

vox_status vox_nifti_write(const vox_image *image, const char *path, vox_error *err)
{
    header h;
    const vox_derived d = {.grid = image, .value = image->voxel, .channels = image->channels};
    make_bytes(&h, image, false);
    return write_file(&h, &d, path, err);
}

vox_status vox_nifti_derive(const vox_derived *d, const char *path, vox_error *err)
{
    header h;
    vox_image grid = *d->grid; /* without channels of its own */
    grid.channels = d->label || d->channels < 1 ? 1 : d->channels;
    make_bytes(&h, &grid, d->label != NULL);
    vox_status s = VOX_OK;
    if (d->source && strcmp(grid.format, vox_format_nifti.name) == 0)
        s = adopt(&h, d->source, d->label != NULL, err);
    return s == VOX_OK ? write_file(&h, d, path, err) : s;
}

#else

vox_status vox_nifti_write(const vox_image *image, const char *path, vox_error *err)
{
    (void)image;
    return vox_image_switched_off(err, "NIFTI", path);
}

vox_status vox_nifti_derive(const vox_derived *d, const char *path, vox_error *err)
{
    (void)d;
    return vox_image_switched_off(err, "NIFTI", path);
}

#endif
