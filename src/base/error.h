/* error.h - filling a vox_error.
 *
 * Use:  return vox_fail(err, VOX_ERR_INPUT, "cannot read %s", path), or with more:
 *       vox_fail(err, VOX_ERR_INPUT, "not a NIfTI file");
 *       vox_detail(err, "%s: magic is %02x %02x", path, a, b);
 *       return vox_hint(err, "convert it with dcm2niix");
 * Each returns the code in *err (or the code given), so that the last of them
 * can stand in the return.  err may be NULL everywhere. */
#ifndef VOX_BASE_ERROR_H
#define VOX_BASE_ERROR_H

#include "voxcl.h"

#if defined(__GNUC__)
#define VOX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define VOX_PRINTF(fmt, args)
#endif

/* Starts an error: sets code and message, clears detail and hint; returns code. */
vox_status vox_fail(vox_error *err, vox_status code, const char *fmt, ...) VOX_PRINTF(3, 4);

/* Set the detail or the hint of an error already started; the code is kept.
 * With err NULL they return VOX_ERR_INPUT, so start with vox_fail and keep its
 * result if the code matters. */
vox_status vox_detail(vox_error *err, const char *fmt, ...) VOX_PRINTF(2, 3);
vox_status vox_hint(vox_error *err, const char *fmt, ...) VOX_PRINTF(2, 3);

/* One call for all three; detail and hint may be NULL and are not format strings. */
vox_status vox_fail_full(vox_error *err, vox_status code, const char *message, const char *detail,
                         const char *hint);

/* "out of memory" for `bytes` wanted by `what`. */
vox_status vox_fail_memory(vox_error *err, const char *what, size_t bytes);

/* "cannot <verb> <path>" with errno's text as detail. */
vox_status vox_fail_errno(vox_error *err, const char *verb, const char *path);

/* Puts "where: " before the detail, for callers who know the place (a manifest
 * line, a layer) that the callee did not. */
vox_status vox_error_at(vox_error *err, const char *fmt, ...) VOX_PRINTF(2, 3);

#endif
