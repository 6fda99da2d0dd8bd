/* update_guard.cl - keeps an update from using gradients of a loss that is not finite, without asking
 * the host: such a step leaves the weights as they are, and the host finds out at its end.
 *   coefficient = -1 if one of loss[n] is not finite, else 1 (CLIPPED: as it is)       (=)
 * Grid: one item; n is a batch. */
#if !defined(CLIPPED)
#error "CLIPPED must be given: whether gradient clipping wrote the coefficient"
#endif

__kernel void update_guard(__global const float *restrict loss, __global float *restrict coefficient,
                           uint n)
{
    bool finite = true;
    for (uint i = 0; i < n; i++)
        finite = finite && isfinite(loss[i]);
    if (!finite)
        *coefficient = -1.0f;
    else if (!CLIPPED)
        *coefficient = 1.0f;
}
