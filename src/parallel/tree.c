/* tree.c - summing gradients over devices by a reduction tree in host memory. */
#include "parallel/tree.h"

#include <stdlib.h>
#include <string.h>

/* Floats of a piece: 8 KB, so that one piece per level stays in a 512 KB L2 cache (and for up to
 * eight devices in L1), while a piece is long enough for the prefetchers. */
#define PIECE 2048

/* Pieces a thread takes at a time: enough that taking them costs nothing. */
#define PIECES_PER_ITEM 16

void vox_tree_release(vox_tree *tree)
{
    free(tree->pair);
    free(tree->line);
    memset(tree, 0, sizeof *tree);
}

typedef struct sum_job {
    const vox_tree *tree;
    const float *const *in;
    float *out;
    size_t count;
} sum_job;

#define WIDE 16 /* a constant count, so that compilers vectorise at -O2 as well */

static void add(float *restrict out, const float *restrict a, const float *restrict b, size_t n)
{
    size_t j = 0;
    for (; j + WIDE <= n; j += WIDE)
        for (size_t k = 0; k < WIDE; k++)
            out[j + k] = a[j + k] + b[j + k];
    for (; j < n; j++)
        out[j] = a[j] + b[j];
}

static void add_to(float *restrict out, const float *restrict b, size_t n)
{
    size_t j = 0;
    for (; j + WIDE <= n; j += WIDE)
        for (size_t k = 0; k < WIDE; k++)
            out[j + k] += b[j + k];
    for (; j < n; j++)
        out[j] += b[j];
}

/* The sum at `leaf` after all levels below `level`, for n floats from `at`: a pointer to an input
 * where nothing had to be added, NULL where nothing contributes, else `room`.  spare has a piece
 * for each level still below. */
static const float *piece_sum(const sum_job *job, uint32_t leaf, uint32_t level, size_t at,
                              size_t n, float *room, float (*spare)[PIECE])
{
    const vox_tree *tree = job->tree;
    const float *sum = job->in[leaf] ? job->in[leaf] + at : NULL;
    for (size_t p = 0; p + 1 < tree->leaves && tree->pair[p].level < level; p++) {
        if (tree->pair[p].dst != leaf)
            continue;
        const float *other =
            piece_sum(job, tree->pair[p].src, tree->pair[p].level, at, n, spare[0], spare + 1);
        if (!other)
            continue;
        if (!sum && other == spare[0]) /* spare[0] is wanted for the next one */
            sum = memcpy(room, other, n * sizeof *room);
        else if (!sum)
            sum = other;
        else if (sum == room)
            add_to(room, other, n);
        else
            add(room, sum, other, n), sum = room;
    }
    return sum;
}

static void sum_item(void *user, size_t item)
{
    const sum_job *job = user;
    float spare[VOX_TREE_LEVELS + 1][PIECE];
    size_t first = item * PIECE * PIECES_PER_ITEM;
    for (size_t k = 0; k < PIECES_PER_ITEM; k++) {
        size_t at = first + k * PIECE;
        if (at >= job->count)
            return;
        size_t n = job->count - at < PIECE ? job->count - at : PIECE;
        const float *sum = piece_sum(job, 0, job->tree->levels + 1, at, n, job->out + at, spare);
        if (!sum)
            memset(job->out + at, 0, n * sizeof *job->out);
        else if (sum != job->out + at)
            memcpy(job->out + at, sum, n * sizeof *job->out);
    }
}

void vox_tree_sum(const vox_tree *tree, const float *const *in, float *out, size_t count,
                  vox_pool *pool)
{
    sum_job job = {tree, in, out, count};
    size_t item = (size_t)PIECE * PIECES_PER_ITEM;
    vox_pool_for(pool, (count + item - 1) / item, sum_item, &job);
}

/* What a leaf's line shows at a level: it takes one in, is taken in, is passed by, goes on.  at[]:
 * the leaves' lines. */
static const char *draw_cell(const vox_tree *tree, uint32_t leaf, uint32_t level,
                             const uint32_t *at)
{
    bool gone = false, passed = false;
    for (size_t p = 0; p + 1 < tree->leaves; p++) {
        const vox_tree_pair *pair = &tree->pair[p];
        if (pair->src == leaf && pair->level < level)
            gone = true;
        if (pair->level != level)
            continue;
        if (pair->dst == leaf)
            return "+--";
        if (pair->src == leaf)
            return "'  ";
        if (at[pair->dst] < at[leaf] && at[leaf] < at[pair->src])
            passed = true;
    }
    return passed ? "|  " : gone ? "   " : "---";
}

void vox_tree_draw(const vox_tree *tree, const char *indent, const char *const *label,
                   vox_str *text)
{
    size_t width = 0;
    uint32_t *at = calloc(tree->leaves, sizeof *at);
    for (size_t i = 0; i < tree->leaves && at; i++) {
        at[tree->line[i]] = (uint32_t)i;
        if (strlen(label[i]) > width)
            width = strlen(label[i]);
    }
    for (size_t i = 0; i < tree->leaves && at; i++) {
        const uint32_t leaf = tree->line[i];
        vox_str line = {0};
        vox_str_add(&line, "%s%-*s --", indent, (int)width, label[leaf]);
        for (uint32_t level = 1; level <= tree->levels; level++)
            vox_str_add(&line, "%s", draw_cell(tree, leaf, level, at));
        while (line.length && line.text[line.length - 1] == ' ')
            line.text[--line.length] = '\0';
        vox_str_add(text, "%s%s\n", line.text ? line.text : "", i == 0 ? " sum" : "");
        text->failed = text->failed || line.failed;
        vox_str_release(&line);
    }
    text->failed = text->failed || !at;
    free(at);
}
