/* nifti.c - reading NIfTI-1 and NIfTI-2: .nii, .hdr with .img, each plain or gzipped.
 *
 * The header is checked against the file's size before any memory is asked for; nifticlib gives
 * the header's layout, its byte swapping and the quaternion's matrix.  NIfTI's space is RAS, ours
 * LPS: x and y change sign.  Source: nifti.nimh.nih.gov, nifti1.h ("METHOD 1, 2, 3"). */
#include "base/file.h"
#include "data/formats/image.h"
#include "data/formats/nifti_write.h"
#include "data/formats/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KIND vox_format_nifti.name

static const char *const endings[] = {".nii",    ".nii.gz", ".hdr", ".img",
                                      ".hdr.gz", ".img.gz", NULL};

#ifdef VOXCL_WITH_NIFTI

#include <nifti2_io.h>

typedef struct layout {
    nifti_2_header h; /* a NIfTI-1 header is widened to this; in this machine's byte order */
    bool pair, msb;   /* data in a file of their own; the file's byte order */
    int64_t size[3], channels;
    vox_sample type;
    size_t interleave; /* 3 for RGB, 4 for RGBA */
} layout;

/* ---- the header ---- */

static bool is_gzip(const unsigned char *head)
{
    return head[0] == 0x1f && head[1] == 0x8b;
}

/* Opens path, inflating if its content says so. */
static vox_status open_either(vox_stream **stream, const char *path, vox_error *err)
{
    unsigned char head[2] = {0};
    vox_status s = vox_stream_open(stream, path, 0, false, KIND, err);
    if (s != VOX_OK)
        return s;
    if (vox_stream_most(*stream) >= 2)
        s = vox_stream_read(*stream, head, 2, err);
    vox_stream_free(stream);
    return s == VOX_OK ? vox_stream_open(stream, path, 0, is_gzip(head), KIND, err) : s;
}

static void widen(nifti_2_header *to, const nifti_1_header *from)
{
    memcpy(to->magic, from->magic, 4);
    to->datatype = from->datatype;
    to->bitpix = from->bitpix;
    for (int i = 0; i < 8; i++) {
        to->dim[i] = from->dim[i];
        to->pixdim[i] = (double)from->pixdim[i];
    }
    /* a float that is no whole number of bytes in range is refused later as negative */
    to->vox_offset =
        from->vox_offset >= 0 && from->vox_offset <= 1e15f ? (int64_t)from->vox_offset : -1;
    to->scl_slope = (double)from->scl_slope;
    to->scl_inter = (double)from->scl_inter;
    to->qform_code = from->qform_code;
    to->sform_code = from->sform_code;
    to->quatern_b = (double)from->quatern_b;
    to->quatern_c = (double)from->quatern_c;
    to->quatern_d = (double)from->quatern_d;
    to->qoffset_x = (double)from->qoffset_x;
    to->qoffset_y = (double)from->qoffset_y;
    to->qoffset_z = (double)from->qoffset_z;
    for (int i = 0; i < 4; i++) {
        to->srow_x[i] = (double)from->srow_x[i];
        to->srow_y[i] = (double)from->srow_y[i];
        to->srow_z[i] = (double)from->srow_z[i];
    }
    to->xyzt_units = from->xyzt_units;
}

static vox_status read_version_1(layout *l, const unsigned char *head, const char *path,
                                 vox_error *err)
{
    nifti_1_header h;
    memcpy(&h, head, sizeof h);
    if (memcmp(h.magic, "n+1", 4) != 0 && memcmp(h.magic, "ni1", 4) != 0)
        return vox_image_unsupported(
            err, KIND, path,
            "no NIfTI magic at byte 344: an Analyze 7.5 header, which does "
            "not say which side is left");
    l->pair = h.magic[1] == 'i';
    if (l->msb != vox_host_msb())
        nifti_swap_as_nifti1(&h);
    widen(&l->h, &h);
    return VOX_OK;
}

static vox_status read_version_2(layout *l, const unsigned char *head, const char *path,
                                 vox_error *err)
{
    memcpy(&l->h, head, sizeof l->h);
    if (memcmp(l->h.magic, "n+2\0\r\n\032\n", 8) != 0 &&
        memcmp(l->h.magic, "ni2\0\r\n\032\n", 8) != 0)
        return vox_image_bad(err, KIND, path, "the magic at byte 4 is damaged");
    l->pair = l->h.magic[1] == 'i';
    if (l->msb != vox_host_msb())
        nifti_swap_as_nifti2(&l->h);
    return VOX_OK;
}

/* 348 (version 1) or 540 (version 2), 0 for neither; msb: the byte order. */
static int header_bytes(const unsigned char *p, bool *msb)
{
    uint32_t little = p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    uint32_t big = p[3] | (uint32_t)p[2] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[0] << 24;
    *msb = big == 348 || big == 540;
    return little == 348 || big == 348 ? 348 : little == 540 || big == 540 ? 540 : 0;
}

static vox_status read_bytes(unsigned char head[540], int *bytes, bool *msb, vox_stream *stream,
                             const char *path, vox_error *err)
{
    vox_status s = vox_stream_read(stream, head, 4, err);
    if (s != VOX_OK)
        return s;
    *bytes = header_bytes(head, msb);
    if (!*bytes)
        return vox_image_bad(err, KIND, path,
                             "begins with the bytes %02x %02x %02x %02x, not with 348 or 540",
                             head[0], head[1], head[2], head[3]);
    return vox_stream_read(stream, head + 4, (size_t)*bytes - 4, err);
}

static vox_status read_header(layout *l, vox_stream *stream, const char *path, vox_error *err)
{
    unsigned char head[540];
    int bytes = 0;
    vox_status s = read_bytes(head, &bytes, &l->msb, stream, path, err);
    if (s != VOX_OK)
        return s;
    return bytes == 348 ? read_version_1(l, head, path, err) : read_version_2(l, head, path, err);
}

/* ---- what it says ---- */

static vox_status get_type(layout *l, const char *path, vox_error *err)
{
    static const struct {
        int code;
        vox_sample type;
        size_t interleave;
    } types[] = {
        {NIFTI_TYPE_UINT8, VOX_SAMPLE_U8, 1},    {NIFTI_TYPE_INT8, VOX_SAMPLE_I8, 1},
        {NIFTI_TYPE_UINT16, VOX_SAMPLE_U16, 1},  {NIFTI_TYPE_INT16, VOX_SAMPLE_I16, 1},
        {NIFTI_TYPE_UINT32, VOX_SAMPLE_U32, 1},  {NIFTI_TYPE_INT32, VOX_SAMPLE_I32, 1},
        {NIFTI_TYPE_UINT64, VOX_SAMPLE_U64, 1},  {NIFTI_TYPE_INT64, VOX_SAMPLE_I64, 1},
        {NIFTI_TYPE_FLOAT32, VOX_SAMPLE_F32, 1}, {NIFTI_TYPE_FLOAT64, VOX_SAMPLE_F64, 1},
        {NIFTI_TYPE_RGB24, VOX_SAMPLE_U8, 3},    {NIFTI_TYPE_RGBA32, VOX_SAMPLE_U8, 4},
    };
    int code = l->h.datatype;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].code == code) {
            l->type = types[i].type;
            l->interleave = types[i].interleave;
            int bits = (int)(8 * l->interleave * vox_sample_bytes(l->type));
            if (l->h.bitpix != bits)
                return vox_image_bad(err, KIND, path, "datatype %d has %d bits, but bitpix is %d",
                                     code, bits, l->h.bitpix);
            return VOX_OK;
        }
    const char *name = code == NIFTI_TYPE_COMPLEX64 || code == NIFTI_TYPE_COMPLEX128 ||
                               code == NIFTI_TYPE_COMPLEX256
                           ? "complex numbers"
                       : code == NIFTI_TYPE_FLOAT128 ? "128-bit floats"
                                                     : "not a type of numbers this reader knows";
    return vox_image_unsupported(err, KIND, path, "datatype is %d: %s", code, name);
}

static vox_status get_size(layout *l, const char *path, vox_error *err)
{
    const int64_t *dim = l->h.dim;
    if (dim[0] < 1 || dim[0] > 7)
        return vox_image_bad(err, KIND, path, "dim[0] is %lld, not 1 to 7", (long long)dim[0]);
    l->channels = (int64_t)l->interleave;
    for (int i = 0; i < 3; i++)
        l->size[i] = 1;
    for (int i = 1; i <= dim[0]; i++) {
        if (dim[i] < 1)
            return vox_image_bad(err, KIND, path, "dim[%d] is %lld", i, (long long)dim[i]);
        if (i <= 3)
            l->size[3 - i] = dim[i];
        else if (dim[i] > VOX_IMAGE_MAX_VALUES / l->channels)
            return vox_image_bad(err, KIND, path, "dim[%d] is %lld: the limit is 2^40 values", i,
                                 (long long)dim[i]);
        else
            l->channels *= dim[i];
    }
    return VOX_OK;
}

static vox_status get_scale(const layout *l, vox_sink *sink, const char *path, vox_error *err)
{
    double slope = l->h.scl_slope, inter = l->h.scl_inter;
    if (slope == 0 || isnan(slope) || l->interleave > 1) /* the standard: not scaled */
        return VOX_OK;
    if (!isfinite(slope) || !isfinite(inter))
        return vox_image_bad(err, KIND, path, "scl_slope is %g and scl_inter %g", slope, inter);
    sink->slope = slope;
    sink->intercept = inter;
    return VOX_OK;
}

/* ---- geometry ---- */

/* RAS mm, columns i, j, k and the offset. */
static vox_status get_affine(const nifti_2_header *h, double a[3][4], const char **which,
                             const char *path, vox_error *err)
{
    memset(a, 0, 12 * sizeof a[0][0]);
    if (h->sform_code > 0) {
        *which = "sform";
        memcpy(a[0], h->srow_x, sizeof a[0]);
        memcpy(a[1], h->srow_y, sizeof a[1]);
        memcpy(a[2], h->srow_z, sizeof a[2]);
        return VOX_OK;
    }
    *which = h->qform_code > 0 ? "qform" : "pixdim";
    double step[3];
    for (int i = 0; i < 3; i++) {
        step[i] = h->pixdim[i + 1];
        if (i >= h->dim[0] && !(step[i] > 0))
            step[i] = 1; /* an axis that the image does not have */
        if (!(step[i] > 0))
            return vox_image_bad(err, KIND, path, "pixdim[%d] is %g, not positive", i + 1, step[i]);
    }
    if (h->qform_code <= 0) {
        for (int i = 0; i < 3; i++)
            a[i][i] = step[i];
        return VOX_OK;
    }
    nifti_dmat44 q = nifti_quatern_to_dmat44(h->quatern_b, h->quatern_c, h->quatern_d, h->qoffset_x,
                                             h->qoffset_y, h->qoffset_z, step[0], step[1], step[2],
                                             h->pixdim[0] < 0 ? -1.0 : 1.0);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 4; j++)
            a[i][j] = q.m[i][j];
    return VOX_OK;
}

static vox_status get_geometry(const layout *l, vox_image *image, const char *path, vox_error *err)
{
    static const double lps[3] = {-1, -1, 1};
    double a[3][4];
    const char *which;
    vox_status s = get_affine(&l->h, a, &which, path, err);
    if (s != VOX_OK)
        return s;
    int units = l->h.xyzt_units & 7;
    double mm = units == NIFTI_UNITS_METER ? 1000 : units == NIFTI_UNITS_MICRON ? 0.001 : 1;
    image->has_geometry = true;
    for (int i = 0; i < 3; i++) {
        image->origin_mm[i] = lps[i] * mm * a[i][3];
        if (!isfinite(image->origin_mm[i]))
            return vox_image_bad(err, KIND, path, "%s: the offset is not finite", which);
    }
    for (int axis = 0; axis < 3; axis++) {
        int column = 2 - axis;
        const double step[3] = {lps[0] * mm * a[0][column], lps[1] * mm * a[1][column],
                                lps[2] * mm * a[2][column]};
        if (!vox_image_set_axis(image, axis, step))
            return vox_image_bad(err, KIND, path, "%s: column %d is zero or not finite", which,
                                 column + 1);
    }
    if (!(fabs(vox_image_determinant(image)) > 1e-6))
        return vox_image_bad(err, KIND, path, "%s: the axes lie in one plane", which);
    return VOX_OK;
}

/* ---- reading ---- */

/* For ".hdr" the ".img" beside it (or the other way round), with or without ".gz". */
static vox_status partner(char **out, const char *path, const char *want, vox_error *err)
{
    size_t stem = strlen(path) - (vox_path_ends(path, ".gz") ? 7 : 4);
    const bool upper = path[stem + 1] == 'H' || path[stem + 1] == 'I';
    static const char *const gz[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        *out = vox_format(err, "%.*s%s%s", (int)stem, path,
                          !upper                      ? want
                          : strcmp(want, ".img") == 0 ? ".IMG"
                                                      : ".HDR",
                          gz[i]);
        if (!*out)
            return VOX_ERR_MEMORY;
        if (vox_path_exists(*out))
            return VOX_OK;
        free(*out);
        *out = NULL;
    }
    return vox_image_bad(err, KIND, path, "the %s file that belongs to it is missing", want);
}

static vox_status open_data(vox_stream **stream, const layout *l, const char *path, vox_error *err)
{
    char *data = NULL;
    int64_t least = l->pair ? 0 : l->h.magic[2] == '2' ? 540 : 348;
    if (l->h.vox_offset < least)
        return vox_image_bad(err, KIND, path,
                             "vox_offset is %lld or no whole number, at least "
                             "%lld is needed",
                             (long long)l->h.vox_offset, (long long)least);
    vox_status s = VOX_OK;
    if (l->pair && !vox_path_ends(path, ".hdr") && !vox_path_ends(path, ".hdr.gz"))
        return vox_image_bad(err, KIND, path,
                             "the magic says that the data lie in an .img file, but the name does "
                             "not end in .hdr");
    if (l->pair)
        s = partner(&data, path, ".img", err);
    if (s == VOX_OK)
        s = open_either(stream, data ? data : path, err);
    free(data);
    if (s == VOX_OK && (uint64_t)l->h.vox_offset > vox_stream_most(*stream))
        s = vox_image_bad(err, KIND, path, "vox_offset is %lld, past the end of the file",
                          (long long)l->h.vox_offset);
    return s == VOX_OK ? vox_stream_skip(*stream, (uint64_t)l->h.vox_offset, err) : s;
}

static uint64_t row_bytes(const layout *l)
{
    return (uint64_t)l->size[2] * l->interleave * vox_sample_bytes(l->type);
}

static vox_status read_voxels(vox_image **out, const layout *l, vox_stream *stream,
                              const char *path, vox_error *err)
{
    vox_sink sink;
    vox_status s = vox_image_make(out, l->channels, l->size, vox_sample_bytes(l->type),
                                  vox_stream_most(stream), &vox_format_nifti,
                                  vox_sample_name(l->type), path, err);
    if (s == VOX_OK)
        s = get_geometry(l, *out, path, err);
    if (s != VOX_OK)
        return s;
    vox_sink_init(&sink, *out, l->type, l->msb, l->interleave);
    s = get_scale(l, &sink, path, err);
    if (s == VOX_OK)
        s = vox_stream_samples(stream, &sink, sink.total, err);
    return s == VOX_OK ? vox_stream_end(stream, row_bytes(l), err) : s;
}

static vox_status read_header_file(vox_image **out, const char *path, vox_error *err)
{
    layout l;
    memset(&l, 0, sizeof l);
    vox_stream *stream = NULL;
    vox_status s = open_either(&stream, path, err);
    if (s == VOX_OK)
        s = read_header(&l, stream, path, err);
    vox_stream_free(&stream);
    if (s == VOX_OK)
        s = get_type(&l, path, err);
    if (s == VOX_OK)
        s = get_size(&l, path, err);
    if (s == VOX_OK)
        s = open_data(&stream, &l, path, err);
    if (s == VOX_OK)
        s = read_voxels(out, &l, stream, path, err);
    vox_stream_free(&stream);
    if (s != VOX_OK)
        vox_image_free(out);
    return s;
}

static bool is_data_file(const char *path)
{
    return vox_path_ends(path, ".img") || vox_path_ends(path, ".img.gz");
}

vox_status vox_nifti_header(const char *path, unsigned char head[540], int *bytes, bool *msb,
                            vox_error *err)
{
    char *header = NULL;
    vox_stream *stream = NULL;
    vox_status s = is_data_file(path) ? partner(&header, path, ".hdr", err) : VOX_OK;
    if (s == VOX_OK)
        s = open_either(&stream, header ? header : path, err);
    if (s == VOX_OK)
        s = read_bytes(head, bytes, msb, stream, path, err);
    vox_stream_free(&stream);
    free(header);
    return s;
}

static vox_status nifti_read(vox_image **out, const char *path, vox_error *err)
{
    if (!is_data_file(path))
        return read_header_file(out, path, err);
    char *header;
    vox_status s = partner(&header, path, ".hdr", err);
    if (s == VOX_OK)
        s = read_header_file(out, header, err);
    free(header);
    return s;
}

#else

static vox_status nifti_read(vox_image **out, const char *path, vox_error *err)
{
    *out = NULL;
    return vox_image_switched_off(err, "NIFTI", path);
}

#endif

static bool nifti_sniff(const unsigned char *head, size_t n, const char *path)
{
    if (n >= 2 && head[0] == 0x1f && head[1] == 0x8b)
        return vox_path_ends(path, ".nii.gz") || vox_path_ends(path, ".hdr.gz") ||
               vox_path_ends(path, ".img.gz");
    return n >= 348 && (memcmp(head + 344, "n+1", 4) == 0 || memcmp(head + 344, "ni1", 4) == 0 ||
                        memcmp(head + 4, "n+2", 4) == 0 || memcmp(head + 4, "ni2", 4) == 0);
}

static const char *const written[] = {".nii", ".nii.gz", NULL};
const vox_file_format vox_format_nifti = {"nifti",    nifti_sniff, NULL,           endings,
                                          nifti_read, written,     vox_nifti_write};
