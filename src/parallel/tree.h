/* tree.h - summing gradients over devices by a reduction tree in host memory.
 *
 *   0 --+--+-- sum      level 1: 0 <- 0 + 1, 2 <- 2 + 3
 *   1 --'  |            level 2: 0 <- 0 + 2
 *   2 --+--'
 *   3 --'
 *
 * One invariant: every element of the sum is the same expression, whatever the number of threads
 * and the size of the pieces they work on, so the result is the same to the bit.
 *
 * A star takes in one buffer after the other instead, as a server does that answers its clients in
 * a fixed order:
 *
 *   0 --+--+-- sum      0 <- 0 + 1, then 0 <- 0 + 2
 *   1 --'  |
 *   2 -----'
 *
 * The binomial tree is that of Thakur, Rabenseifner, Gropp: "Optimization of collective
 * communication operations in MPICH", IJHPCA 19(1), 2005, section 4.4. */
#ifndef VOX_PARALLEL_TREE_H
#define VOX_PARALLEL_TREE_H

#include "base/mem.h"
#include "base/thread.h"
#include "ocl/place.h"

typedef struct vox_tree_pair {
    uint32_t level;    /* from 1 */
    uint32_t dst, src; /* dst <- dst + src; src is not used again */
} vox_tree_pair;

typedef struct vox_tree {
    size_t leaves; /* buffers to sum, >= 1; the sum ends at leaf 0 */
    /* ceil(log2(leaves)), or more where places are lopsided; a star: leaves - 1 */
    uint32_t levels;
    vox_tree_pair *pair; /* [leaves - 1], by level, then by dst; owned */
    uint32_t *line;      /* [leaves]: the leaves as they are drawn, neighbours together; owned */
} vox_tree;

#define VOX_TREE_LEVELS 16 /* at most 65,536 leaves */

/* The binomial tree over 1..65,536 leaves: at level l leaf i takes in leaf i + 2^(l-1). */
vox_status vox_tree_init(vox_tree *tree, size_t leaves, vox_error *err);
/* One over devices that sit at place[leaves]: those below one thing are summed with each other
 * before their sum goes on, by a binomial tree on each storey of the machine.  It depends on
 * nothing but the places; NULL: all alike. */
vox_status vox_tree_init_near(vox_tree *tree, size_t leaves, const vox_place *place,
                              vox_error *err);
/* The star over as many: at level l leaf 0 takes in leaf l. */
vox_status vox_tree_init_star(vox_tree *tree, size_t leaves, vox_error *err);
void vox_tree_release(vox_tree *tree);

/* out[j] = sum over the leaves i with in[i] != NULL of in[i][j], for j in [0, count); leaves that
 * are NULL contribute nothing, and with none left out is 0.  out may be the first input that is not
 * NULL, else it overlaps no input; the other inputs are not written.  Runs on the pool's threads
 * (NULL: the caller's); all levels are done piece by piece while the piece is in the cache, so
 * every input is read from memory once. */
void vox_tree_sum(const vox_tree *tree, const float *const *in, float *out, size_t count,
                  vox_pool *pool);

/* Appends the drawing above, a line for every leaf, each after `indent`, label[i] first. */
void vox_tree_draw(const vox_tree *tree, const char *indent, const char *const *label,
                   vox_str *text);

#endif
