/* conv3d_sums.cl - the last step of weight gradients on plain tensors.
 *
 *   sum_parts   dw[i] = or += sum_s part[s][i]               part [parts][count]
 *   bias_sums   db[o] = or += sum_{n,p} dy[n,o,p]            dy [N][channels][voxels]
 *   bias_parts16  part[s][o] = sum_n sum_{p of share s} dy[n,o,p]   dy [N][blocks][voxels][16]
 *
 * Not specialised by -D: they move little, and one build serves all layers. */
#ifndef WB /* items of a work-group of bias_sums, a power of two */
#define WB 64
#endif
#if (WB & (WB - 1)) != 0
#error "WB must be a power of two"
#endif

/* Grid: (count rounded up).  The parts are added in their order, so that bits repeat. */
__kernel void sum_parts(__global const float *part, __global float *dw, ulong count, int parts,
                        int accumulate)
{
    const size_t i = get_global_id(0);
    if (i >= count)
        return;
    float sum = accumulate ? dw[i] : 0.0f;
    for (int s = 0; s < parts; s++)
        sum += part[s * count + i];
    dw[i] = sum;
}

/* Grid: (channels * WB), one work-group per channel: each item sums every WB-th voxel of a sample in
 * stretches of 64, then the items' sums are added by halves.  (One running sum over a large volume
 * would lose digits.) */
__kernel __attribute__((reqd_work_group_size(WB, 1, 1))) void
bias_sums(__global const float *dy, __global float *db, int batch, ulong voxels, int accumulate)
{
    __local float sums[WB];
    const size_t l = get_local_id(0), o = get_group_id(0), channels = get_num_groups(0);
    float total = 0.0f;
    for (int n = 0; n < batch; n++) {
        __global const float *g = dy + (n * channels + o) * voxels;
        for (size_t begin = l; begin < voxels; begin += 64 * WB) {
            const size_t end = min((size_t)voxels, begin + 64 * WB);
            float sum = 0.0f;
            for (size_t p = begin; p < end; p += WB)
                sum += g[p];
            total += sum;
        }
    }
    sums[l] = total;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int step = WB / 2; step > 0; step /= 2) {
        if (l < step)
            sums[l] += sums[l + step];
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    if (l == 0)
        db[o] = accumulate ? db[o] + sums[0] : sums[0];
}

/* Grid: (blocks of 16 channels, shares of the voxels), work-groups of one; for CPUs, sum_parts adds
 * the shares.  Voxels are summed in stretches of 64, four at a time. */
__kernel void bias_parts16(__global const float *dy, __global float *part, int batch, ulong voxels,
                           int channels)
{
    const size_t b = get_global_id(0), blocks = get_global_size(0);
    const size_t s = get_global_id(1), shares = get_global_size(1);
    const size_t first = voxels * s / shares, last = voxels * (s + 1) / shares;
    float16 total = (float16)(0.0f);
    for (int n = 0; n < batch; n++) {
        __global const float *g = dy + (n * blocks + b) * voxels * 16;
        for (size_t begin = first; begin < last; begin += 64) {
            const size_t end = min(last, begin + 64), whole = begin + (end - begin) / 4 * 4;
            float16 s0 = (float16)(0.0f), s1 = s0, s2 = s0, s3 = s0;
            for (size_t p = begin; p < whole; p += 4) {
                s0 += vload16(p, g);
                s1 += vload16(p + 1, g);
                s2 += vload16(p + 2, g);
                s3 += vload16(p + 3, g);
            }
            for (size_t p = whole; p < end; p++)
                s0 += vload16(p, g);
            total += (s0 + s1) + (s2 + s3);
        }
    }
    float lane[16];
    vstore16(total, 0, lane);
    for (int c = 0; c < 16 && b * 16 + c < channels; c++)
        part[s * channels + b * 16 + c] = lane[c];
}
