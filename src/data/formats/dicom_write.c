/* dicom_write.c - checks a slice before it becomes a DICOM file. */
#include "data/formats/gdcm_bridge.h"

#include <math.h>
#include <string.h>

static bool is_uid(const char *uid, size_t limit)
{
    size_t n = uid ? strlen(uid) : 0;
    return n >= 1 && n <= limit && strspn(uid, "0123456789.") == n && uid[0] != '.' &&
           uid[n - 1] != '.';
}

/* Long strings of DICOM: 64 characters, no backslash (it separates values). */
static bool is_text(const char *text, size_t limit)
{
    return text && strlen(text) <= limit && !strpbrk(text, "\\\r\n");
}

static bool is_unit(const double v[3])
{
    return fabs(v[0] * v[0] + v[1] * v[1] + v[2] * v[2] - 1) < 1e-6;
}

static const char *complaint(const vox_dicom_slice *s)
{
    /* ".instance_number" is put behind the series' UID */
    if (!is_uid(s->series_uid, 53) || !is_uid(s->study_uid, 64) || !is_uid(s->frame_uid, 64))
        return "a UID is not digits and dots of at most 64 characters (series: 53)";
    if (!is_text(s->patient_id, 64) || !is_text(s->series_description, 64) ||
        !is_text(s->modality, 16))
        return "patient, description or modality is missing, too long or holds a backslash";
    if (s->rows < 1 || s->rows > 65535 || s->columns < 1 || s->columns > 65535)
        return "rows and columns must be 1 to 65535";
    if (s->instance_number < 0)
        return "the instance number is negative";
    for (int i = 0; i < 3; i++)
        if (!(s->spacing_mm[i] > 0) || !isfinite(s->spacing_mm[i]) || !isfinite(s->position_mm[i]))
            return "spacing must be positive and the position finite";
    double dot = s->row[0] * s->column[0] + s->row[1] * s->column[1] + s->row[2] * s->column[2];
    if (!is_unit(s->row) || !is_unit(s->column) || !(fabs(dot) < 1e-6))
        return "row and column must be unit vectors at right angles";
    if (!isfinite(s->slope) || s->slope == 0 || !isfinite(s->intercept))
        return "the slope must not be 0, slope and intercept must be finite";
    return NULL;
}

vox_status vox_dicom_write_slice(const char *path, const vox_dicom_slice *slice, vox_error *err)
{
    const char *why = complaint(slice);
    if (!why)
        return vox_gdcm_write_slice(path, slice, err);
    vox_fail(err, VOX_ERR_USAGE, "slice cannot be written as DICOM");
    vox_detail(err, "%s: %s", path, why);
    return VOX_ERR_USAGE;
}
