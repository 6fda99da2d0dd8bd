/* log.h - lines for the person watching; silent until vox_log_set(). */
#ifndef VOX_BASE_LOG_H
#define VOX_BASE_LOG_H

#include "base/error.h"

void vox_log(vox_log_level level, const char *fmt, ...) VOX_PRINTF(2, 3);

#endif
