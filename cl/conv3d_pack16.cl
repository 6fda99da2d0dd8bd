/* conv3d_pack16.cl - weights between PyTorch's order and the order that the 16-wide kernels stream.
 *
 *   plain   [CO][CI][taps]                  taps = KD*KH*KW
 *   packed  [G][B][taps][bi][q][16]         G*q*16 >= outs, B*bi >= ins; zeros beyond
 *
 * "out" is the channel along the 16 lanes, "in" the broadcast one.  Forward and backward-weights:
 * out of CO, in of CI.  Backward-data: out of CI, in of CO.  Element (out, in, tap) of the plain
 * order is out*out_step + in*in_step + tap, the steps being CI*taps and taps, or the reverse.
 * Grid: (G*q*16, B*bi), one item per pair of channels walks the taps, which lie side by side in the
 * plain order; 16 neighbours fill whole lines of the packed one, in the cache.
 * Not specialised by -D: they move little, and one build serves all layers. */

/* Element (out, in, tap 0) of the packed order; the next tap is bi*q*16 further. */
inline size_t packed_at(size_t out, size_t in, int taps, int blocks, int bi, int q)
{
    const size_t block = out / (q * 16) * blocks + in / bi;
    return ((block * taps * bi + in % bi) * q + out / 16 % q) * 16 + out % 16;
}

/* packed = w, packed_bias[G*q*16] = bias; zeros past the last channel, and for a bias that is a null
 * pointer. */
__kernel void pack16(__global const float *w, __global const float *bias, __global float *packed,
                     __global float *packed_bias, int outs, int ins, int out_step, int in_step,
                     int taps, int blocks, int bi, int q)
{
    const size_t out = get_global_id(0), in = get_global_id(1);
    if (in == 0)
        packed_bias[out] = bias && out < outs ? bias[out] : 0.0f;
    __global float *p = packed + packed_at(out, in, taps, blocks, bi, q);
    __global const float *v = w + out * out_step + in * in_step;
    const bool inside = out < outs && in < ins;
    for (int t = 0; t < taps; t++)
        p[(size_t)t * (bi * q * 16)] = inside ? v[t] : 0.0f;
}

/* dw [CO][CI][taps] = or += the sum of `parts` packed ones of part_step floats, in their order. */
__kernel void unpack16(__global const float *packed, __global float *dw, int outs, int ins,
                       int taps, int blocks, int bi, int q, int parts, ulong part_step,
                       int accumulate)
{
    const size_t out = get_global_id(0), in = get_global_id(1);
    if (out >= outs || in >= ins)
        return;
    __global const float *p = packed + packed_at(out, in, taps, blocks, bi, q);
    __global float *v = dw + (out * ins + in) * taps;
    for (int t = 0; t < taps; t++) {
        float sum = accumulate ? v[t] : 0.0f;
        for (int i = 0; i < parts; i++)
            sum += p[i * part_step + (size_t)t * (bi * q * 16)];
        v[t] = sum;
    }
}

/* db [CO] = or += the sum of `parts` rows of part_step floats. */
__kernel void unpack_bias16(__global const float *packed, __global float *db, int outs, int parts,
                            ulong part_step, int accumulate)
{
    const size_t out = get_global_id(0);
    if (out >= outs)
        return;
    float sum = accumulate ? db[out] : 0.0f;
    for (int i = 0; i < parts; i++)
        sum += packed[i * part_step + out];
    db[out] = sum;
}
