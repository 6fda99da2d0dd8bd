/* nifti_write.c - float32 NIfTI with sform and qform. */
#include "data/formats/nifti_write.h"

#include "base/file.h"
#include "data/formats/image.h"
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

static vox_status put_all(vox_writer *to, const vox_image *im, vox_error *err)
{
    static const char no_extension[4] = {0};
    nifti_2_header two = make_header(im);
    nifti_1_header one = narrow(&two);
    vox_status s = needs_version_2(im) ? vox_writer_put(to, &two, sizeof two, err)
                                       : vox_writer_put(to, &one, sizeof one, err);
    if (s == VOX_OK)
        s = vox_writer_put(to, no_extension, sizeof no_extension, err);
    if (s == VOX_OK)
        s = vox_writer_put(to, im->voxel, vox_image_values(im) * sizeof *im->voxel, err);
    return s;
}

vox_status vox_nifti_write(const vox_image *image, const char *path, vox_error *err)
{
    vox_file f;
    vox_writer *to;
    vox_status s = vox_file_begin(&f, path, err);
    if (s != VOX_OK)
        return s;
    s = vox_writer_open(&to, &f, vox_path_ends(path, ".gz") ? VOX_WRITER_GZIP : VOX_WRITER_PLAIN,
                        err);
    if (s == VOX_OK)
        s = vox_writer_close(&to, put_all(to, image, err), err);
    if (s == VOX_OK)
        return vox_file_commit(&f, err);
    vox_file_abandon(&f);
    return s;
}

#else

vox_status vox_nifti_write(const vox_image *image, const char *path, vox_error *err)
{
    (void)image;
    return vox_image_switched_off(err, "NIFTI", path);
}

#endif
