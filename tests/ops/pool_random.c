/* pool_random.c - random windows for the pools. */
#include "ops/pool_random.h"

#include <stdio.h>

void vt_random_pool(vt_case *c, char attr[160], vox_random *r, bool tiny, const char *more)
{
    uint32_t k[3], s[3], p[3];
    for (int i = 0; i < 3; i++) {
        k[i] = 1 + vox_random_below(r, tiny ? 3 : 7);
        s[i] = 1 + vox_random_below(r, tiny ? 3 : 6);
        p[i] = vox_random_below(r, k[i] / 2 + 1);
        c->in[2 + i] = 1 + vox_random_below(r, tiny ? 5 : 19);
    }
    c->in[0] = 1 + vox_random_below(r, 3);
    c->in[1] = 1 + vox_random_below(r, tiny ? 4 : 36);
    snprintf(attr, 160, "kernel=%u,%u,%u stride=%u,%u,%u pad=%u,%u,%u ceil=%s%s", k[0], k[1], k[2],
             s[0], s[1], s[2], p[0], p[1], p[2], vox_random_below(r, 2) ? "true" : "false", more);
}
