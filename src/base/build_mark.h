/* build_mark.h - telling builds apart. */
#ifndef VOX_BASE_BUILD_MARK_H
#define VOX_BASE_BUILD_MARK_H

#include <stdint.h>

/* The same for copies of one build of the library (of the program it is linked into), and hardly
 * ever for others: a hash of the version, and of the linker's build id where there is one. */
uint64_t vox_build_mark(void);

#endif
