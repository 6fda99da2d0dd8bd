/* philox.h - the counter-based generator Philox4x32-10 on the host.
 *
 * Everything random in voxcl is a pure function of (seed, purpose, step,
 * global sample index, element), so that the split over devices cannot change
 * it.  cl/common.h holds the same function for kernels; a test keeps them equal.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC11; test vectors from the authors' Random123 distribution. */
#ifndef VOX_BASE_PHILOX_H
#define VOX_BASE_PHILOX_H

#include <stdint.h>

/* What a stream of numbers is for; part of the counter.  Append only: the
 * values are in every checkpoint's future. */
typedef enum vox_purpose {
    VOX_RANDOM_INIT = 1,    /* weights; sample = parameter index, step = 0 */
    VOX_RANDOM_SHUFFLE = 2, /* order of an epoch; step = epoch, sample = 0 */
    VOX_RANDOM_DROPOUT = 3,
    VOX_RANDOM_MIRROR = 4,
    VOX_RANDOM_SALT_PEPPER = 5,
    VOX_RANDOM_GAUSSIAN_NOISE = 6,
    VOX_RANDOM_SYNTH = 7,
    VOX_RANDOM_SPLIT = 8, /* patients into folds; step = sample = 0 */
    VOX_RANDOM_PATCH = 9, /* where patches lie; numbers in the order drawn */
    VOX_RANDOM_INTENSITY = 10,
    VOX_RANDOM_ROTATE90 = 11
} vox_purpose;

/* One block of four 32-bit numbers from counter ctr and key. */
void vox_philox4x32_10(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4]);

/* The block holding elements 4*block .. 4*block+3 of a stream:
 *   ctr = { block, sample, step, purpose << 16 | lane }, key = { seed low, seed high }
 * lane tells layers (or augmentations) of one purpose apart; < 65536.  step and
 * sample are taken modulo 2^32. */
void vox_random_block(uint64_t seed, vox_purpose purpose, uint32_t lane, uint64_t step,
                      uint64_t sample, uint32_t block, uint32_t out[4]);

/* Uniform in [0, 1): the top 24 bits, so that every value is exact in float. */
static inline float vox_uniform(uint32_t bits)
{
    return (float)(bits >> 8) * (1.0f / 16777216.0f);
}

/* A sequential reader of one stream, for host code. */
typedef struct vox_random {
    uint64_t seed, step, sample;
    vox_purpose purpose;
    uint32_t lane, block, used;
    uint32_t out[4];
} vox_random;

void vox_random_init(vox_random *r, uint64_t seed, vox_purpose purpose, uint32_t lane,
                     uint64_t step, uint64_t sample);
uint32_t vox_random_u32(vox_random *r);
float vox_random_uniform(vox_random *r);                    /* [0, 1) */
double vox_random_range(vox_random *r, double a, double b); /* [a, b) */
uint32_t vox_random_below(vox_random *r, uint32_t n);       /* 0..n-1 without bias, n >= 1 */
double vox_random_normal(vox_random *r);                    /* mean 0, std 1: Box-Muller */

#endif
