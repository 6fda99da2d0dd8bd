/* conv3d_pack16.cl - weights between PyTorch's order and the order that the 16-wide kernels stream.
 *
 *   plain   [CO][CI/groups][taps]           taps = KD*KH*KW
 *   packed  [G][B][taps][bi][q][16]         G*q*16 >= outs, B*bi >= ins; zeros beyond
 *
 * "out" is the channel along the 16 lanes, "in" the broadcast one.  Forward and backward-weights:
 * out of CO, in of CI.  Backward-data: out of CI, in of CO.  Element (out, in, tap) of the plain
 * order is out*out_step + in*in_step + tap, the steps being CI/groups*taps and taps, or the reverse,
 * less a group's weights for each group before: its CI/groups channels are counted from 0.
 *
 * With groups of channels a 16 x 16 block of packed weights holds zeros where two groups meet, and
 * the B blocks that q*16 outs read begin where their first group begins:
 *
 *        in  0 . . . 16 . . . 32           groups of 8 channels: B = 1, half of each block zeros
 *  out 0     ##..                          groups of 24 (below): B = 3, from block 0 for outs 0-15
 *      .     ..##                                                and 16-31, from block 1 for 32-47
 *      16            ##..
 *      .             ..##
 *
 * One item per pair of channels walks the taps, which lie side by side in the plain order; 16
 * neighbours fill whole lines of the packed one, in the cache.  Grid of pack16: (B*bi*16, G*q),
 * work-groups of 16, "in" going first: each of the 16 then reads on where it was, which caches
 * foresee.  Grid of unpack16: (CO, CI/groups).
 * Not specialised by -D: they move little, and one build serves all layers. */

/* The first "in" channel, of a block of 16, that q blocks of "out" channels around `out` read. */
inline size_t first_in(size_t out, int q, int outs_each, int ins_each)
{
    return out / (16 * q) * (16 * q) / outs_each * ins_each / 16 * 16;
}

/* Element (out, in, tap 0) of the packed order, `in` counted from first_in; the next tap is bi*q*16
 * further. */
inline size_t packed_at(size_t out, size_t in, int taps, int blocks, int bi, int q)
{
    const size_t block = out / (q * 16) * blocks + in / bi;
    return ((block * taps * bi + in % bi) * q + out / 16 % q) * 16 + out % 16;
}

/* packed = w, packed_bias[G*q*16] = bias; zeros past the last channel, between channels of different
 * groups, and for a bias that is a null pointer. */
__kernel void pack16(__global const float *w, __global const float *bias, __global float *packed,
                     __global float *packed_bias, int outs, int ins, int out_step, int in_step,
                     int taps, int blocks, int bi, int q, int groups)
{
    const size_t out = get_global_id(1) * 16 + get_local_id(0), in = get_group_id(0);
    const int outs_each = outs / groups, ins_each = ins / groups;
    if (in == 0)
        packed_bias[out] = bias && out < outs ? bias[out] : 0.0f;
    __global float *p = packed + packed_at(out, in, taps, blocks, bi, q);
    const size_t channel = first_in(out, q, outs_each, ins_each) + in, group = channel / ins_each;
    const bool inside = out < outs && channel < ins && out / outs_each == group;
    __global const float *v =
        w + out * out_step + channel * in_step - group * max(out_step, in_step);
    for (int t = 0; t < taps; t++)
        p[(size_t)t * (bi * q * 16)] = inside ? v[t] : 0.0f;
}

/* dw [CO][CI/groups][taps] = or += the sum of `parts` packed ones of part_step floats, in their
 * order. */
__kernel void unpack16(__global const float *packed, __global float *dw, int outs, int ins,
                       int taps, int blocks, int bi, int q, int parts, ulong part_step,
                       int accumulate, int groups)
{
    const size_t out = get_global_id(0), in = get_global_id(1);
    const int outs_each = outs / groups, ins_each = ins / groups;
    if (out >= outs || in >= ins_each)
        return;
    const size_t channel = out / outs_each * ins_each + in;
    const size_t from_first = channel - first_in(out, q, outs_each, ins_each);
    __global const float *p = packed + packed_at(out, from_first, taps, blocks, bi, q);
    __global float *v = dw + (out * ins_each + in) * taps;
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
