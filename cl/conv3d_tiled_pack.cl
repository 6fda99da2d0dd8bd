/* conv3d_tiled_pack.cl - weights in the order in which conv3d_tiled.cl brings them to local memory.
 *
 *   packed[g][k][m] = w[g * group_stride + source[k] + m * row_stride],  m < rows            (=)
 *
 * and 0 where source[k] < 0 or m >= rows: k and m are padded to whole tiles, so that the product
 * reads float4s along m and asks nothing.  source [depth], packed [groups][depth][pitch]; depth and
 * pitch are multiples of 4.
 *
 * w has its k side by side, packed its m: each work-group turns a block of SIDE x SIDE in local
 * memory, so that neighbouring items read and write neighbouring words.
 *
 * Grid: (ceil(pitch / SIDE) * SIDE, ceil(depth / SIDE) * 4, groups), work-groups of SIDE x 4.
 * Not specialised by -D: one build serves all layers. */
#define SIDE 16

__kernel __attribute__((reqd_work_group_size(SIDE, 4, 1))) void
conv3d_tiled_pack(__global const float *w, __global const int *source, __global float *packed,
                  int rows, int depth, int pitch, int row_stride, ulong group_stride)
{
    __local float block[SIDE][SIDE + 1]; /* [k][m]; + 1: a column's words lie in different banks */
    const int x = (int)get_local_id(0), y = (int)get_local_id(1);
    const int m0 = (int)get_group_id(0) * SIDE, k0 = (int)get_group_id(1) * SIDE;
    const size_t g = get_group_id(2);

    for (int i = y; i < SIDE; i += 4) {
        const int k = k0 + x, m = m0 + i, at = k < depth ? source[k] : -1;
        block[x][i] = at >= 0 && m < rows ? w[g * group_stride + at + (size_t)m * row_stride] : 0.0f;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = y; i < SIDE; i += 4) {
        const int k = k0 + i, m = m0 + x;
        if (k < depth && m < pitch)
            packed[(g * depth + k) * pitch + m] = block[i][x];
    }
}
