/* pool_random.h - random windows for the pools. */
#ifndef VOX_TESTS_POOL_RANDOM_H
#define VOX_TESTS_POOL_RANDOM_H

#include "ops/harness.h"

/* more: attributes to add. */
void vt_random_pool(vt_case *c, char attr[160], vox_random *r, bool tiny, const char *more);

#endif
