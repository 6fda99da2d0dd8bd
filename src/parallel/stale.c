/* stale.c - how old gradients may be where every device works at a pace of its own. */
#include "parallel/stale.h"

#include "base/mem.h"

#include <stdlib.h>

enum { IDLE = -1 };

vox_status vox_stale_init(vox_stale *stale, size_t devices, int64_t bound, vox_error *err)
{
    *stale = (vox_stale){.devices = devices, .bound = bound};
    stale->fetched = vox_calloc(devices, sizeof *stale->fetched, "the devices' weights", err);
    for (size_t i = 0; stale->fetched && i < devices; i++)
        stale->fetched[i] = IDLE;
    return stale->fetched ? VOX_OK : VOX_ERR_MEMORY;
}

void vox_stale_release(vox_stale *stale)
{
    free(stale->fetched);
    *stale = (vox_stale){0};
}

bool vox_stale_may_fetch(const vox_stale *stale)
{
    int64_t at_work = 0;
    for (size_t i = 0; i < stale->devices; i++)
        at_work += stale->fetched[i] != IDLE;
    return at_work <= stale->bound;
}

void vox_stale_fetch(vox_stale *stale, size_t device)
{
    stale->fetched[device] = stale->updates;
}

/* How many others are at work with older weights than device i; among equals the first counts as
 * the older.  `without` is left out. */
static int64_t rank_of(const vox_stale *stale, size_t i, size_t without)
{
    int64_t older = 0;
    for (size_t k = 0; k < stale->devices; k++) {
        const bool counts = k != i && k != without && stale->fetched[k] != IDLE;
        older += counts && (stale->fetched[k] < stale->fetched[i] ||
                            (stale->fetched[k] == stale->fetched[i] && k < i));
    }
    return older;
}

bool vox_stale_may_apply(const vox_stale *stale, size_t device)
{
    for (size_t i = 0; i < stale->devices; i++)
        if (i != device && stale->fetched[i] != IDLE &&
            stale->updates + 1 + rank_of(stale, i, device) > stale->fetched[i] + stale->bound)
            return false;
    return true;
}

int64_t vox_stale_apply(vox_stale *stale, size_t device)
{
    const int64_t late = stale->updates++ - stale->fetched[device];
    stale->fetched[device] = IDLE;
    return late;
}

void vox_stale_drop(vox_stale *stale, size_t device)
{
    stale->fetched[device] = IDLE;
}
