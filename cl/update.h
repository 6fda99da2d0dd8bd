/* update.h - the frame of optimisers' kernels: one step over the whole flat parameter vector.
 *
 * Vectors are [blocks][BLOCK]; used [blocks] says how many elements at a block's start belong to a
 * trainable tensor: the rest is left alone.
 *   FOR_USED(used, blocks, UPDATE)   UPDATE(type, load, store) for every element i of this item,
 *                                    whole vectors (floatv, LOAD, STORE) first, then single floats
 * Grid: CPUs give an item BLOCKS blocks and float16 vectors; GPUs an item V floats of a block. */
#ifndef VOX_UPDATE_H
#define VOX_UPDATE_H

#if !defined(BLOCK) || !defined(BLOCKS) || !defined(V)
#error "BLOCK, BLOCKS and V must be given"
#endif
#define ITEM (BLOCKS == 1 ? V : BLOCK * BLOCKS) /* floats per item */
#include "flat.h"

#define LOAD1(p)     (*(p))
#define STORE1(v, p) *(p) = (v)

#define FOR_USED(used, blocks, UPDATE)                                                             \
    const size_t begin = get_global_id(0) * ITEM;                                                  \
    for (size_t at = begin; at < begin + ITEM && at < (size_t)(blocks)*BLOCK;                      \
         at += min(ITEM, BLOCK)) {                                                                 \
        const size_t block = at / BLOCK;                                                           \
        /* Of this item's part of the block, the elements in use. */                               \
        const size_t end = min(at + min(ITEM, BLOCK), block * BLOCK + (used)[block]);              \
        size_t i = at;                                                                             \
        for (; i + V <= end; i += V)                                                               \
            UPDATE(floatv, LOAD, STORE)                                                            \
        for (; i < end; i++)                                                                       \
            UPDATE(float, LOAD1, STORE1)                                                           \
    }

#endif
