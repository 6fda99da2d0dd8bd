/* philox.c - Philox4x32-10 on the host; cl/common.h has its twin. */
#include "base/philox.h"

#include <math.h>
#include <string.h>

void vox_philox4x32_10(const uint32_t ctr[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0;
        uint64_t b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u; /* the golden ratio and sqrt(3)-1: the authors' Weyl constants */
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void vox_random_block(uint64_t seed, vox_purpose purpose, uint32_t lane, uint64_t step,
                      uint64_t sample, uint32_t block, uint32_t out[4])
{
    uint32_t ctr[4] = {block, (uint32_t)sample, (uint32_t)step,
                       (uint32_t)purpose << 16 | (lane & 0xffffu)};
    uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    vox_philox4x32_10(ctr, key, out);
}

void vox_random_init(vox_random *r, uint64_t seed, vox_purpose purpose, uint32_t lane,
                     uint64_t step, uint64_t sample)
{
    memset(r, 0, sizeof *r);
    r->seed = seed;
    r->purpose = purpose;
    r->lane = lane;
    r->step = step;
    r->sample = sample;
    r->used = 4;
}

uint32_t vox_random_u32(vox_random *r)
{
    if (r->used == 4) {
        vox_random_block(r->seed, r->purpose, r->lane, r->step, r->sample, r->block++, r->out);
        r->used = 0;
    }
    return r->out[r->used++];
}

float vox_random_uniform(vox_random *r)
{
    return vox_uniform(vox_random_u32(r));
}

double vox_random_range(vox_random *r, double a, double b)
{
    return a + (b - a) * (double)vox_random_uniform(r);
}

uint32_t vox_random_below(vox_random *r, uint32_t n)
{
    /* Values below 2^32 mod n would be hit once more often: draw again. */
    uint32_t reject = (uint32_t)(-n) % n;
    uint32_t x;
    do
        x = vox_random_u32(r);
    while (x < reject);
    return x % n;
}

double vox_random_normal(vox_random *r)
{
    double u = ((double)vox_random_u32(r) + 0.5) / 4294967296.0; /* never 0 */
    double v = ((double)vox_random_u32(r) + 0.5) / 4294967296.0;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}
