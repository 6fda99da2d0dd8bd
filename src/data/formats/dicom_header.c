/* dicom_header.c - what the elements of a DICOM file say of its image.
 *
 * Source: DICOM PS3.3, C.7.6.3 (image pixel), C.7.6.2 (image plane), C.7.6.16 (functional groups
 * of multi-frame images). */
#include "data/formats/dicom_header.h"

#include "base/mem.h"
#include "base/text.h"
#include "data/formats/image.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND "DICOM"

/* ---- single values ---- */

/* The value of a tag in the file itself, NULL if absent or empty. */
static const vox_dicom_value *find(const vox_dicom_values *vs, uint32_t tag)
{
    for (size_t i = 0; i < vs->count; i++)
        if (vs->value[i].scope == VOX_DICOM_FILE && vs->value[i].tag == tag)
            return vs->value[i].size ? &vs->value[i] : NULL;
    return NULL;
}

/* Its text without space at the ends; NUL ends it. */
static void get_text(const vox_dicom_values *vs, uint32_t tag, char *text, size_t size)
{
    const vox_dicom_value *v = find(vs, tag);
    const char *p = v ? v->bytes : "";
    while (isspace((unsigned char)*p))
        p++;
    snprintf(text, size, "%s", p);
    for (size_t n = strlen(text); n > 0 && isspace((unsigned char)text[n - 1]); n--)
        text[n - 1] = '\0';
}

/* Its i-th 16-bit number. */
static int64_t get_u16(const vox_dicom_values *vs, uint32_t tag, size_t i, int64_t absent)
{
    const vox_dicom_value *v = find(vs, tag);
    if (!v || v->size < 2 * i + 2)
        return absent;
    const unsigned char *p = (const unsigned char *)v->bytes + 2 * i;
    return v->msb ? p[0] << 8 | p[1] : p[1] << 8 | p[0];
}

static int64_t get_int(const vox_dicom_values *vs, uint32_t tag, int64_t absent)
{
    const vox_dicom_value *v = find(vs, tag);
    int64_t number;
    return v && vox_parse_i64(v->bytes, &number) ? number : absent;
}

/* `count` decimal strings between backslashes. */
static bool parse_decimals(const vox_dicom_value *v, size_t count, double *out)
{
    const char *p = v->bytes;
    for (size_t i = 0; i < count; i++) {
        char word[64];
        size_t n = strcspn(p, "\\");
        if (n >= sizeof word || (p[n] == '\\') != (i + 1 < count))
            return false;
        memcpy(word, p, n);
        word[n] = '\0';
        if (!vox_parse_double(word, &out[i]) || !isfinite(out[i]))
            return false;
        p += n + 1;
    }
    return true;
}

static bool is_blank(const vox_dicom_value *v)
{
    return v->bytes[strspn(v->bytes, " ")] == '\0';
}

/* ---- geometry and scale ---- */

typedef struct reader {
    vox_dicom_header *h;
    const vox_dicom_values *values;
    const char *path;
    vox_error *err;
} reader;

#define SLOPE_TAG VOX_DICOM_TAG(0x0028, 0x1053)

/* What describes a frame, be it of the file, of all frames or of one. */
static const struct {
    uint32_t tag;
    const char *name;
    size_t count;
} frame_tags[] = {
    {VOX_DICOM_TAG(0x0020, 0x0032), "ImagePositionPatient", 3},
    {VOX_DICOM_TAG(0x0020, 0x0037), "ImageOrientationPatient", 6},
    {VOX_DICOM_TAG(0x0028, 0x0030), "PixelSpacing", 2},
    {VOX_DICOM_TAG(0x0018, 0x0050), "SliceThickness", 1},
    {VOX_DICOM_TAG(0x0018, 0x0088), "SpacingBetweenSlices", 1}, /* goes before thickness */
    {VOX_DICOM_TAG(0x0028, 0x1052), "RescaleIntercept", 1},
    {SLOPE_TAG, "RescaleSlope", 1},
    {VOX_DICOM_TAG(0x3004, 0x000e), "DoseGridScaling", 1},
    {VOX_DICOM_TAG(0x0018, 0x1164), "ImagerPixelSpacing", 2},
};

static void set_frame(vox_dicom_frame *f, size_t what, const double v[6])
{
    switch (what) {
    case 0:
        f->has_position = true;
        memcpy(f->position_mm, v, sizeof f->position_mm);
        break;
    case 1:
        f->has_orientation = true;
        memcpy(f->orientation, v, sizeof f->orientation);
        break;
    case 2:
        f->has_spacing = true;
        memcpy(f->spacing_mm, v, sizeof f->spacing_mm);
        break;
    case 3:
    case 4:
        f->between_mm = fabs(v[0]); /* some writers sign it by direction */
        break;
    case 5:
        f->intercept = v[0];
        break;
    case 6:
    case 7:
        f->slope = v[0];
        break;
    default:
        if (!f->has_spacing)
            memcpy(f->spacing_mm, v, sizeof f->spacing_mm);
        f->has_spacing = true;
    }
}

/* Takes number `what` of frame_tags from a value. */
static vox_status take(const reader *r, vox_dicom_frame *f, size_t what, const vox_dicom_value *v)
{
    double number[6];
    if (is_blank(v))
        return VOX_OK;
    if (!parse_decimals(v, frame_tags[what].count, number))
        return vox_image_bad(r->err, KIND, r->path, "%s is \"%.60s\"", frame_tags[what].name,
                             v->bytes);
    if (frame_tags[what].tag == SLOPE_TAG && number[0] == 0)
        return vox_image_bad(r->err, KIND, r->path, "RescaleSlope is 0: no voxel would be left");
    set_frame(f, what, number);
    return VOX_OK;
}

/* All values of one scope, in the order of frame_tags. */
static vox_status take_scope(const reader *r, vox_dicom_scope scope, vox_dicom_frame *f)
{
    vox_status s = VOX_OK;
    for (size_t what = 0; what < sizeof frame_tags / sizeof *frame_tags; what++)
        for (size_t i = 0; s == VOX_OK && i < r->values->count; i++) {
            const vox_dicom_value *v = &r->values->value[i];
            if (v->scope == scope && v->tag == frame_tags[what].tag)
                s = take(r, f, what, v);
        }
    return s;
}

/* One frame's own values; thickness does not replace a spacing between slices. */
static vox_status take_frames(const reader *r)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < r->values->count; i++) {
        const vox_dicom_value *v = &r->values->value[i];
        if (v->scope != VOX_DICOM_ONE_FRAME)
            continue;
        for (size_t what = 0; what < sizeof frame_tags / sizeof *frame_tags; what++)
            if (v->tag == frame_tags[what].tag &&
                !(what == 3 && r->h->frame[v->item].between_mm > 0))
                s = take(r, &r->h->frame[v->item], what, v);
    }
    return s;
}

/* Positions of a classic multi-frame file: offsets along the normal of the first. */
static vox_status take_grid_offsets(const reader *r)
{
    const vox_dicom_value *v = find(r->values, VOX_DICOM_TAG(0x3004, 0x000c));
    vox_dicom_frame *f = r->h->frame;
    size_t n = (size_t)r->h->frames;
    if (!v || is_blank(v) || n < 2 || !f->has_position || !f->has_orientation)
        return VOX_OK;
    double *offset = vox_calloc(n, sizeof *offset, "frame offsets", r->err);
    if (!offset)
        return VOX_ERR_MEMORY;
    vox_status s = VOX_OK;
    if (!parse_decimals(v, n, offset))
        s = vox_image_bad(r->err, KIND, r->path, "GridFrameOffsetVector is \"%.60s\"", v->bytes);
    const double *a = f->orientation, *b = a + 3;
    const double normal[3] = {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2],
                              a[0] * b[1] - a[1] * b[0]};
    for (size_t i = n; s == VOX_OK && i-- > 0;)
        for (int axis = 0; axis < 3; axis++)
            f[i].position_mm[axis] += (offset[i] - offset[0]) * normal[axis];
    free(offset);
    return s;
}

static vox_status read_frames(const reader *r)
{
    vox_dicom_header *h = r->h;
    vox_dicom_frame whole = {.slope = 1};
    vox_status s = take_scope(r, VOX_DICOM_FILE, &whole);
    if (s == VOX_OK)
        s = take_scope(r, VOX_DICOM_ALL_FRAMES, &whole);
    if (s != VOX_OK)
        return s;
    if (r->values->frame_items && (int64_t)r->values->frame_items != h->frames)
        return vox_image_bad(r->err, KIND, r->path,
                             "PerFrameFunctionalGroupsSequence has %zu items for %lld frames",
                             r->values->frame_items, (long long)h->frames);
    h->frame = vox_calloc((size_t)h->frames, sizeof *h->frame, "frames", r->err);
    if (!h->frame)
        return VOX_ERR_MEMORY;
    for (int64_t i = 0; i < h->frames; i++)
        h->frame[i] = whole;
    return r->values->frame_items ? take_frames(r) : take_grid_offsets(r);
}

/* ---- pixels ---- */

static void read_image_module(const reader *r)
{
    vox_dicom_header *h = r->h;
    const vox_dicom_values *vs = r->values;
    get_text(vs, VOX_DICOM_TAG(0x0020, 0x000e), h->series_uid, sizeof h->series_uid);
    get_text(vs, VOX_DICOM_TAG(0x0008, 0x103e), h->description, sizeof h->description);
    get_text(vs, VOX_DICOM_TAG(0x0010, 0x0020), h->patient_id, sizeof h->patient_id);
    get_text(vs, VOX_DICOM_TAG(0x0008, 0x0060), h->modality, sizeof h->modality);
    get_text(vs, VOX_DICOM_TAG(0x0028, 0x0004), h->photometric, sizeof h->photometric);
    h->series_number = get_int(vs, VOX_DICOM_TAG(0x0020, 0x0011), -1);
    h->rows = get_u16(vs, VOX_DICOM_TAG(0x0028, 0x0010), 0, -1);
    h->columns = get_u16(vs, VOX_DICOM_TAG(0x0028, 0x0011), 0, -1);
    h->samples = get_u16(vs, VOX_DICOM_TAG(0x0028, 0x0002), 0, 1);
    h->planar = get_u16(vs, VOX_DICOM_TAG(0x0028, 0x0006), 0, 0) == 1;
    h->allocated = get_u16(vs, VOX_DICOM_TAG(0x0028, 0x0100), 0, -1);
    h->stored = get_u16(vs, VOX_DICOM_TAG(0x0028, 0x0101), 0, h->allocated);
    h->high_bit = get_u16(vs, VOX_DICOM_TAG(0x0028, 0x0102), 0, h->stored - 1);
    h->is_signed = get_u16(vs, VOX_DICOM_TAG(0x0028, 0x0103), 0, 0) == 1;
    h->has_modality_lut = vs->has_modality_lut;
    h->has_segmented_palette = find(vs, VOX_DICOM_TAG(0x0028, 0x1221)) != NULL;
    h->frames = find(vs, VOX_DICOM_TAG(0x0028, 0x0008))
                    ? get_int(vs, VOX_DICOM_TAG(0x0028, 0x0008), -1)
                    : 1;
}

/* Each frame has at least one bit, or one fragment. */
static vox_status check_frames(const reader *r, const vox_dicom_outline *o)
{
    uint64_t most = o->encapsulated ? o->fragments : o->pixel_bytes * 8;
    if (r->h->frames >= 1 && (uint64_t)r->h->frames <= most)
        return VOX_OK;
    const vox_dicom_value *v = find(r->values, VOX_DICOM_TAG(0x0028, 0x0008));
    return vox_image_bad(r->err, KIND, r->path,
                         "NumberOfFrames is \"%.20s\", the pixels can hold %llu at most",
                         v ? v->bytes : "1", (unsigned long long)most);
}

/* One colour's table, of 16-bit numbers or of bytes. */
static vox_status read_table(const reader *r, uint16_t *to, uint32_t tag, bool must_be_wide)
{
    const vox_dicom_value *v = find(r->values, tag);
    size_t count = (size_t)r->h->palette_count, have = v ? v->size : 0;
    bool wide = have >= 2 * count;
    if (have < count || (must_be_wide && !wide))
        return vox_image_bad(r->err, KIND, r->path, "a palette has %zu bytes for %zu entries", have,
                             count);
    for (size_t i = 0; i < count; i++)
        to[i] = wide ? (uint16_t)get_u16(r->values, tag, i, 0) : (unsigned char)v->bytes[i];
    return VOX_OK;
}

static vox_status read_palette(const reader *r)
{
    vox_dicom_header *h = r->h;
    const uint32_t descriptor = VOX_DICOM_TAG(0x0028, 0x1101);
    int64_t count = get_u16(r->values, descriptor, 0, -1);
    int64_t bits = get_u16(r->values, descriptor, 2, -1);
    if (strcmp(h->photometric, "PALETTE COLOR") != 0 || h->has_segmented_palette || count < 0 ||
        (bits != 8 && bits != 16))
        return VOX_OK;
    h->palette_first = get_u16(r->values, descriptor, 1, -1);
    h->palette_count = count == 0 ? 65536 : count;
    h->palette = vox_calloc(3 * (size_t)h->palette_count, sizeof *h->palette, "a palette", r->err);
    vox_status s = h->palette ? VOX_OK : VOX_ERR_MEMORY;
    for (uint32_t c = 0; s == VOX_OK && c < 3; c++)
        s = read_table(r, h->palette + c * (size_t)h->palette_count,
                       VOX_DICOM_TAG(0x0028, 0x1201 + c), bits == 16);
    return s;
}

vox_status vox_dicom_header_read(vox_dicom_header *header, vox_dicom_outline *outline,
                                 const char *path, vox_error *err)
{
    vox_dicom_values values = {0};
    const reader r = {header, &values, path, err};
    memset(header, 0, sizeof *header);
    vox_status s = vox_dicom_outline_read(outline, &values, path, err);
    if (s == VOX_OK && outline->pixel_kind) {
        read_image_module(&r);
        s = check_frames(&r, outline);
        if (s == VOX_OK)
            s = read_frames(&r);
        if (s == VOX_OK)
            s = read_palette(&r);
    }
    vox_dicom_values_release(&values);
    if (s != VOX_OK)
        vox_dicom_header_release(header);
    return s;
}

void vox_dicom_header_release(vox_dicom_header *header)
{
    free(header->frame);
    free(header->palette);
    memset(header, 0, sizeof *header);
}
