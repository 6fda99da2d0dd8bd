/* loss_sum.cl - loss[n] = 1/divisor * sum over p of part[n][p], added in order with Kahan's correction.
 *   part [n][parts]; loss [n], overwritten (=)
 * The last step of losses whose voxels are shared out over work-groups.  Grid: an item per sample. */
__kernel void loss_sum(__global const float *restrict part, __global float *restrict loss, uint parts,
                       float divisor)
{
    const size_t n = get_global_id(0);
    float total = 0.0f, lost = 0.0f;
    for (uint p = 0; p < parts; p++) {
        const float y = part[n * parts + p] - lost, t = total + y;
        lost = isinf(t) ? 0.0f : (t - total) - y; /* inf - inf would make NaN of an infinite loss */
        total = t;
    }
    loss[n] = total / divisor;
}
