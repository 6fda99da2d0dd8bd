/* host.h - what the machine under the program has left. */
#ifndef VOX_BASE_HOST_H
#define VOX_BASE_HOST_H

#include <stdint.h>

/* Bytes of memory that can be had without swapping: the kernel's estimate, or what is left of the
 * control group's limit if that is less.  0: unknown. */
uint64_t vox_host_free_bytes(void);

/* The bytes after "key:" in text of the form of /proc/meminfo (which counts in kB); 0: none. */
uint64_t vox_meminfo_bytes(const char *text, const char *key);

#endif
