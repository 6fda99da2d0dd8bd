/* flat.h - the frame of kernels that take tensors as flat arrays.
 *
 * An item works on ITEM floats, V at a time, the last ones of the array singly:
 *   FLAT_BEGIN(count)            first (ulong) and todo (uint) are this item's share
 *   FLAT_VECTORS { ... }         at i: use LOAD(x + i) and STORE(v, y + i), of type floatv / intv
 *   FLAT_REST { ... }            at i: one float
 * Offsets are 64 bit once per item, 32 bit inside. */
#ifndef VOX_FLAT_H
#define VOX_FLAT_H

#ifndef ITEM /* floats per item, a multiple of V (may be an expression) */
#define ITEM 8192
#endif
#ifndef V /* floats per vector: 4, 8, 16 */
#define V 16
#endif
#if ITEM % V != 0
#error "ITEM must be a multiple of V"
#endif

#define FLAT_PASTE2(a, b) a##b
#define FLAT_PASTE(a, b)  FLAT_PASTE2(a, b)
#define floatv            FLAT_PASTE(float, V)
#define intv              FLAT_PASTE(int, V)
#define LOAD(p)           FLAT_PASTE(vload, V)(0, p)
#define STORE(v, p)       FLAT_PASTE(vstore, V)(v, 0, p)

#define FLAT_BEGIN(count)                                                                          \
    const ulong first = get_global_id(0) * (ulong)ITEM;                                            \
    if (first >= (count))                                                                          \
        return;                                                                                    \
    const uint todo = (uint)min((ulong)ITEM, (count) - first);                                     \
    const uint whole = todo / V * V;
#define FLAT_VECTORS for (uint i = 0; i < whole; i += V)
#define FLAT_REST    for (uint i = whole; i < todo; i++)

#endif
