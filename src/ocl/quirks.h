/* quirks.h - every workaround for a vendor's implementation, each with its reason. */
#ifndef VOX_OCL_QUIRKS_H
#define VOX_OCL_QUIRKS_H

/* A program's binary holds the compiled work-group functions only after they were launched, so it
 * is kept when the device closes, not when it was built. */
#define VOX_QUIRK_LATE_BINARY 1u
/* Program binaries are not worth keeping or cannot be loaded again. */
#define VOX_QUIRK_NO_BINARY 2u
/* Compiling a program with warnings writes how many there are to standard error. */
#define VOX_QUIRK_CHATTY 4u

/* Sub-devices cannot be trusted. */
#define VOX_QUIRK_NO_PARTS 8u

/* A sub-device must not be released. */
#define VOX_QUIRK_KEEP_PARTS 16u
/* A sub-device alone works on more compute units than it has. */
#define VOX_QUIRK_LOOSE_PARTS 32u

/* The quirks of a device by its platform's and its own name. */
unsigned vox_quirks_find(const char *platform, const char *device);

/* To be called before a library compiles kernels of its own, which are not free of warnings as ours
 * are: switches warnings off where they would be printed. */
void vox_quirks_hush(unsigned quirks);

#endif
