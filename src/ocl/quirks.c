/* quirks.c - every workaround for a vendor's implementation, each with its reason. */
#include "ocl/quirks.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *platform, *device; /* parts of the names; NULL matches any */
    unsigned quirks;
    const char *reason;
} table[] = {
    {"Portable Computing Language", NULL, VOX_QUIRK_LATE_BINARY,
     "PoCL specialises kernels to their work-group size at the first launch; a binary taken "
     "before holds only bitcode and saves almost nothing"},
    {"Portable Computing Language", NULL, VOX_QUIRK_CHATTY,
     "PoCL 3.1 leaves its compiler's \"2 warnings generated.\" on"},
    {"Oclgrind", NULL, VOX_QUIRK_NO_BINARY,
     "a simulator run to find errors: what it runs should be what is in the source now"},
    {"Portable Computing Language", NULL, VOX_QUIRK_KEEP_PARTS,
     "PoCL 3.1's threads look into a command's device after they have said that it is done: one "
     "that clFinish was waited for and then released is gone by then (seen as a crash in "
     "clReleaseEvent)"},
    {"Intel(R) OpenCL", NULL, VOX_QUIRK_LOOSE_PARTS,
     "a sub-device of one core is worked on by the thread that waits for it too: alone it is as "
     "fast as two (its CPU driver 2026.22)"},
    {"Oclgrind", NULL, VOX_QUIRK_NO_PARTS, "it simulates one device, in one thread"},
};

unsigned vox_quirks_find(const char *platform, const char *device)
{
    unsigned quirks = 0;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if ((!table[i].platform || strstr(platform, table[i].platform)) &&
            (!table[i].device || strstr(device, table[i].device)))
            quirks |= table[i].quirks;
    return quirks;
}

void vox_quirks_hush(unsigned quirks)
{
    if (quirks & VOX_QUIRK_CHATTY)
        setenv("POCL_EXTRA_BUILD_FLAGS", "-w", 0);
}
