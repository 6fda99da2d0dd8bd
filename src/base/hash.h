/* hash.h - FNV-1a, 64 bit: for naming cache entries and telling contents apart
 * where a collision is caught by comparing the full key.  Not for security.
 * Source: Fowler, Noll, Vo; http://www.isthe.com/chongo/tech/comp/fnv/ */
#ifndef VOX_BASE_HASH_H
#define VOX_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define VOX_HASH_START UINT64_C(0xcbf29ce484222325)

/* Continues `hash` over the bytes. */
static inline uint64_t vox_hash(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
