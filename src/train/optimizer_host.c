/* optimizer_host.c - updates in host memory.
 *
 * The flat vector is worked on in pieces, each read and written once by one thread.  The pieces do
 * not depend on the threads, and sums over them are taken in their order: so neither do the bits.
 */
#include "train/optimizer_method.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PIECE_BLOCKS 64 /* 64 KiB of each vector */

static size_t pieces(const vox_optimizer *o)
{
    return ((size_t)o->blocks + PIECE_BLOCKS - 1) / PIECE_BLOCKS;
}

vox_status vox_optimizer_open_host(vox_optimizer *o, vox_error *err)
{
    o->host_sum = vox_calloc(pieces(o), sizeof *o->host_sum, "parts of the gradients' norm", err);
    vox_status s = o->host_sum ? VOX_OK : VOX_ERR_MEMORY;
    for (size_t i = 0; i < o->parts && s == VOX_OK; i++) {
        o->host_part[i] =
            vox_calloc(o->floats, sizeof *o->host_part[i], "the optimiser's state", err);
        s = o->host_part[i] ? VOX_OK : VOX_ERR_MEMORY;
    }
    return s;
}

/* ---- one of several ------------------------------------------------------- */

typedef struct state_bytes {
    size_t part, sum, tensor_sum;
} state_bytes;

static state_bytes bytes_of(size_t floats, bool layer_wise)
{
    const size_t blocks = (floats + VOX_OPTIMIZER_BLOCK - 1) / VOX_OPTIMIZER_BLOCK,
                 items = (blocks + PIECE_BLOCKS - 1) / PIECE_BLOCKS;
    return (state_bytes){floats * sizeof(float), items * sizeof(double),
                         layer_wise ? 2 * blocks * sizeof(double) : 0};
}

size_t vox_optimizer_room_of(size_t floats, size_t parts, bool layer_wise)
{
    const state_bytes b = bytes_of(floats, layer_wise);
    return parts * vox_room_of(b.part) + vox_room_of(b.sum) + vox_room_of(b.tensor_sum);
}

vox_status vox_optimizer_share(vox_optimizer *o, vox_room *room, const vox_portion *portion,
                               vox_error *err)
{
    const state_bytes b = bytes_of(o->floats, o->method->layer_wise);
    if (room->left < vox_optimizer_room_of(o->floats, o->parts, o->method->layer_wise))
        return vox_fail_memory(err, "the optimiser's state", room->left);
    vox_optimizer_free_host(o);
    o->shared = true;
    o->portion = portion;
    for (size_t i = 0; i < o->parts; i++)
        o->host_part[i] = vox_room_take(room, b.part);
    o->host_sum = vox_room_take(room, b.sum);
    o->trust.host_sum = b.tensor_sum ? vox_room_take(room, b.tensor_sum) : NULL;
    return VOX_OK;
}

void vox_optimizer_free_host(vox_optimizer *o)
{
    for (size_t i = 0; i < VOX_OPTIMIZER_MAX_PARTS; i++) {
        if (!o->shared)
            free(o->host_part[i]);
        o->host_part[i] = NULL;
    }
    if (!o->shared) {
        free(o->host_sum);
        free(o->trust.host_sum);
    }
    o->host_sum = o->trust.host_sum = NULL;
    free(o->host_whole);
    o->host_whole = NULL;
}

/* ---- pieces ---------------------------------------------------------------- */

static uint32_t tensor_of(const vox_optimizer *o, size_t block)
{
    return o->trust.host_tensor ? o->trust.host_tensor[block] : 0;
}

/* Walks over the elements in use of piece `item` in runs without gaps, each of one tensor where
 * that matters: false when there is none left; *block is where to go on. */
static bool next_run(const vox_optimizer *o, size_t item, size_t *block, size_t *at, size_t *count)
{
    const size_t end = (item + 1) * PIECE_BLOCKS, blocks = (size_t)o->blocks,
                 last = end < blocks ? end : blocks;
    while (*block < last && o->host_used[*block] == 0)
        ++*block;
    if (*block >= last)
        return false;
    const uint32_t tensor = tensor_of(o, *block);
    uint32_t used = VOX_OPTIMIZER_BLOCK;
    *at = *block * VOX_OPTIMIZER_BLOCK;
    *count = 0;
    while (*block < last && used == VOX_OPTIMIZER_BLOCK && tensor_of(o, *block) == tensor)
        *count += used = o->host_used[(*block)++];
    return true;
}

typedef struct job {
    vox_optimizer *o;
    vox_host_update u;
    size_t first, count; /* pieces: this process's */
    void (*fn)(const struct job *j, size_t item);
} job;

static void run_item(void *user, size_t item)
{
    const job *j = user;
    j->fn(j, j->first + item);
}

static void run(job *j, void (*fn)(const job *j, size_t item), vox_pool *pool)
{
    j->fn = fn;
    vox_pool_for(pool, j->count, run_item, j);
}

/* ---- gradients made of factors ------------------------------------------------ */

#define AT_ONCE 8192 /* floats: what is made of factors stays in the cache */

/* The gradients of elements from `at` on, *count of them or fewer: where they are, or in made
 * [AT_ONCE], if they are made of factors. */
static const float *gradient(const job *j, size_t at, size_t *count, float *made)
{
    bool of_factors;
    *count = vox_factors_alike(j->u.factors, at, *count, &of_factors);
    if (!of_factors)
        return j->u.grad + at;
    *count = *count < AT_ONCE ? *count : AT_ONCE;
    vox_factors_fill(j->u.factors, at, *count, made);
    return made;
}

/* For what looks at it more than once. */
static void make_run(const job *j, size_t at, size_t count)
{
    for (const size_t end = at + count; at < end; at += count) {
        float *made = j->o->host_whole + at;
        count = end - at;
        const float *grad = gradient(j, at, &count, made);
        if (grad != made)
            memcpy(made, grad, count * sizeof *made);
    }
}

static void make_item(const job *j, size_t item)
{
    size_t block = item * PIECE_BLOCKS, at, count;
    while (next_run(j->o, item, &block, &at, &count))
        make_run(j, at, count);
}

/* Not where the summed ones are: that may be a device's memory, mapped but for these. */
static vox_status make_whole(job *j, vox_pool *pool, vox_error *err)
{
    vox_optimizer *o = j->o;
    if (!o->host_whole)
        o->host_whole = vox_calloc(o->floats, sizeof *o->host_whole, "the gradients", err);
    if (!o->host_whole)
        return VOX_ERR_MEMORY;
    run(j, make_item, pool);
    j->u.grad = o->host_whole;
    j->u.factors = NULL;
    return VOX_OK;
}

/* What is made of factors never is in memory. */
static void update_run(const job *j, size_t at, size_t count)
{
    float made[AT_ONCE];
    for (const size_t end = at + count; at < end; at += count) {
        count = end - at;
        const float *grad = gradient(j, at, &count, made);
        j->o->method->host(j->o, &j->u, at, count, grad);
    }
}

/* ---- clipping ------------------------------------------------------------ */

#define LANES 8

static double square_sum(const float *x, size_t count)
{
    double lane[LANES] = {0}, sum = 0;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < count; i++)
        sum += (double)x[i] * (double)x[i];
    for (size_t k = 0; k < LANES; k++)
        sum += lane[k];
    return sum;
}

static void norm_item(const job *j, size_t item)
{
    size_t block = item * PIECE_BLOCKS, at, count;
    double sum = 0;
    while (next_run(j->o, item, &block, &at, &count))
        sum += square_sum(j->u.grad + at, count);
    j->o->host_sum[item] = sum;
}

/* What the gradients are multiplied by; NaN stays NaN. */
static vox_status find_scale(job *j, vox_pool *pool, vox_error *err)
{
    const vox_optimizer *o = j->o;
    double sum = 0;
    j->u.scale = 1;
    if (o->clip_norm <= 0)
        return VOX_OK;
    run(j, norm_item, pool);
    vox_status s = vox_portion_meet(o->portion, err);
    if (s != VOX_OK)
        return s;
    for (size_t i = 0; i < pieces(o); i++)
        sum += o->host_sum[i];
    const double c = o->clip_norm / (sqrt(sum) + 1e-6);
    j->u.scale = c > 1 ? 1 : (float)c;
    return VOX_OK;
}

/* ---- layer-wise rates ------------------------------------------------------ */

static void direction_item(const job *j, size_t item)
{
    const vox_optimizer *o = j->o;
    size_t block = item * PIECE_BLOCKS, first = block, at, count;
    while (next_run(o, item, &block, &at, &count)) {
        if (o->method->host_direction)
            o->method->host_direction(o, &j->u, at, count);
    }
    for (; first < block; first++) {
        at = first * VOX_OPTIMIZER_BLOCK;
        o->trust.host_sum[2 * first] = square_sum(j->u.param + at, o->host_used[first]);
        o->trust.host_sum[2 * first + 1] = square_sum(j->u.grad + at, o->host_used[first]);
    }
}

static vox_status find_ratios(job *j, vox_pool *pool, vox_error *err)
{
    const vox_optimizer *o = j->o;
    const double scale = vox_trust_scaled(&o->spec) ? (double)j->u.scale : 1;
    run(j, direction_item, pool);
    vox_status s = vox_portion_meet(o->portion, err);
    o->trust.host_ratio[0] = 1;
    for (size_t block = 0; block < (size_t)o->blocks;) {
        const uint32_t tensor = o->trust.host_tensor[block];
        double weight = 0, along = 0;
        do {
            weight += o->trust.host_sum[2 * block];
            along += o->trust.host_sum[2 * block + 1];
        } while (++block < (size_t)o->blocks && o->trust.host_tensor[block] == tensor);
        if (tensor)
            o->trust.host_ratio[tensor] =
                (float)vox_trust_factor(&o->spec, sqrt(weight), scale * sqrt(along));
    }
    return s;
}

/* ---- the update ----------------------------------------------------------- */

static void update_item(const job *j, size_t item)
{
    size_t block = item * PIECE_BLOCKS, at, count;
    while (next_run(j->o, item, &block, &at, &count))
        update_run(j, at, count);
}

vox_status vox_optimizer_step_host(vox_optimizer *o, float *params, float *grads,
                                   const vox_factors *factors, double lr, int64_t step,
                                   vox_pool *pool, vox_error *err)
{
    job j = {.o = o,
             .u = {.param = params, .grad = grads, .factors = factors, .lr = lr, .step = step}};
    j.count = vox_portion_items(o->portion, pieces(o), &j.first) - j.first;
    vox_status s = VOX_OK;
    if (factors && (o->clip_norm > 0 || o->method->layer_wise))
        s = make_whole(&j, pool, err);
    if (s == VOX_OK)
        s = find_scale(&j, pool, err);
    if (s == VOX_OK && o->method->layer_wise)
        s = find_ratios(&j, pool, err);
    if (s == VOX_OK)
        run(&j, update_item, pool);
    return s;
}
