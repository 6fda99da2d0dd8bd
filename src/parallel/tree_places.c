/* tree_places.c - the reduction tree's shape: neighbours first.
 *
 *   0 node 0, switch A --+--+-- sum     level 1: 0 <- 0 + 2 under switch A
 *   2 node 0, switch A --'  |           level 2: 0 <- 0 + 1 across the node
 *   1 node 0, switch B -----'
 *
 * Devices below one switch are summed before the switch's sum goes further, those of one NUMA node
 * before it leaves the node, by a binomial tree on each storey.  Places that are all alike give one
 * binomial tree over all.
 *
 * One invariant: the tree depends on nothing but the places, in the devices' order. */
#include "parallel/tree.h"

#include <stdlib.h>
#include <string.h>

typedef struct maker {
    vox_tree *tree;
    const vox_place *place; /* NULL: all alike */
    size_t pairs, lines;
    uint32_t *level; /* [leaves]: of the sum that is at a leaf so far */
    uint32_t *spare; /* [leaves] */
    uint32_t *root;  /* [VOX_PLACE_DEPTH][leaves]: of the groups of a storey */
} maker;

/* Puts dst and src together, as early as both are there. */
static void join(maker *m, uint32_t dst, uint32_t src)
{
    vox_tree *t = m->tree;
    const uint32_t level = 1 + (m->level[dst] > m->level[src] ? m->level[dst] : m->level[src]);
    t->pair[m->pairs++] = (vox_tree_pair){level, dst, src};
    m->level[dst] = level;
    t->levels = level > t->levels ? level : t->levels;
}

static void binomial(maker *m, const uint32_t *root, size_t n)
{
    for (size_t step = 1; step < n; step *= 2)
        for (size_t i = 0; i + step < n; i += 2 * step)
            join(m, root[i], root[i + step]);
}

/* Whether two leaves are below the same thing on this storey; a place that ends is below nothing.
 */
static bool together(const maker *m, uint32_t a, uint32_t b, uint32_t storey)
{
    const vox_place *x = &m->place[a], *y = &m->place[b];
    return x->depth > storey && y->depth > storey && x->at[storey] == y->at[storey];
}

/* Brings those of leaf[n] that are together with leaf[0] behind it, without changing either's
 * order; returns how many there are. */
static size_t gather(maker *m, uint32_t *leaf, size_t n, uint32_t storey)
{
    size_t in = 1, out = 0;
    for (size_t i = 1; i < n; i++)
        if (together(m, leaf[0], leaf[i], storey))
            leaf[in++] = leaf[i];
        else
            m->spare[out++] = leaf[i];
    memcpy(leaf + in, m->spare, out * sizeof *leaf);
    return in;
}

/* Sums leaf[n], together on all storeys above this one, to leaf[0]. */
static void sum_group(maker *m, uint32_t *leaf, size_t n, uint32_t storey)
{
    if (!m->place || n == 1 || storey == VOX_PLACE_DEPTH) {
        memcpy(m->tree->line + m->lines, leaf, n * sizeof *leaf);
        m->lines += n;
        binomial(m, leaf, n);
        return;
    }
    uint32_t *root = m->root + storey * m->tree->leaves;
    size_t roots = 0;
    for (size_t from = 0; from < n;) {
        const size_t in = gather(m, leaf + from, n - from, storey);
        root[roots++] = leaf[from];
        sum_group(m, leaf + from, in, storey + 1);
        from += in;
    }
    binomial(m, root, roots);
}

static int by_level(const void *a, const void *b)
{
    const vox_tree_pair *x = a, *y = b;
    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    return x->dst < y->dst ? -1 : 1;
}

static void make(maker *m, uint32_t *leaf)
{
    const size_t n = m->tree->leaves;
    for (size_t i = 0; i < n; i++)
        leaf[i] = (uint32_t)i;
    sum_group(m, leaf, n, 0);
    qsort(m->tree->pair, n - 1, sizeof *m->tree->pair, by_level);
}

static vox_status open_tree(vox_tree *tree, size_t leaves, const char *what, vox_error *err)
{
    memset(tree, 0, sizeof *tree);
    if (leaves < 1 || leaves > (size_t)1 << VOX_TREE_LEVELS) {
        vox_fail(err, VOX_ERR_USAGE, "a reduction tree over %zu devices", leaves);
        return vox_detail(err, "it takes 1 to %zu", (size_t)1 << VOX_TREE_LEVELS);
    }
    tree->leaves = leaves;
    tree->pair = vox_calloc(leaves, sizeof *tree->pair, what, err);
    tree->line = vox_calloc(leaves, sizeof *tree->line, what, err);
    if (tree->pair && tree->line)
        return VOX_OK;
    vox_tree_release(tree);
    return VOX_ERR_MEMORY;
}

vox_status vox_tree_init_near(vox_tree *tree, size_t leaves, const vox_place *place, vox_error *err)
{
    const char *what = "the reduction tree";
    maker m = {.tree = tree, .place = place};
    vox_status s = open_tree(tree, leaves, what, err);
    if (s != VOX_OK)
        return s;
    uint32_t *room = vox_calloc(leaves * (VOX_PLACE_DEPTH + 3), sizeof *room, what, err);
    if (!room) {
        vox_tree_release(tree);
        return VOX_ERR_MEMORY;
    }
    m.level = room;
    m.spare = room + leaves;
    m.root = room + 3 * leaves;
    make(&m, room + 2 * leaves);
    free(room);
    if (tree->levels <= VOX_TREE_LEVELS)
        return VOX_OK;
    vox_tree_release(tree); /* tens of thousands of leaves in lopsided places */
    return vox_tree_init_near(tree, leaves, NULL, err);
}

vox_status vox_tree_init(vox_tree *tree, size_t leaves, vox_error *err)
{
    return vox_tree_init_near(tree, leaves, NULL, err);
}

vox_status vox_tree_init_star(vox_tree *tree, size_t leaves, vox_error *err)
{
    vox_status s = open_tree(tree, leaves, "the order of summing", err);
    for (uint32_t i = 1; s == VOX_OK && i < leaves; i++) {
        tree->line[i] = i;
        tree->pair[i - 1] = (vox_tree_pair){++tree->levels, 0, i};
    }
    return s;
}
