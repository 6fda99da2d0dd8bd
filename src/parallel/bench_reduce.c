/* bench_reduce.c - the reduction tree against a plain copy of the same bytes.
 *
 * Both count the bytes that are read and written: the tree reads every device's buffer and writes
 * one, the copy reads and writes every buffer.  They take turns, so that a busy machine slows both.
 */
#include "base/json.h"
#include "parallel/tree.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS     9
#define COPY_PIECE ((size_t)256 * 1024)

typedef struct reduce_bench {
    size_t devices, floats;
    float **buffer; /* [devices + 1]; the last takes the copy and the sum */
    vox_tree tree;
    vox_pool *pool;
    double tree_s[ROUNDS], copy_s[ROUNDS];
} reduce_bench;

typedef struct copy_job {
    char *to;
    const char *from;
    size_t bytes;
} copy_job;

static void copy_item(void *user, size_t item)
{
    const copy_job *job = user;
    size_t at = item * COPY_PIECE;
    size_t n = job->bytes - at < COPY_PIECE ? job->bytes - at : COPY_PIECE;
    memcpy(job->to + at, job->from + at, n);
}

static void copy_all(reduce_bench *b)
{
    for (size_t i = 0; i < b->devices; i++) {
        copy_job job = {(char *)b->buffer[b->devices], (const char *)b->buffer[i],
                        b->floats * sizeof(float)};
        vox_pool_for(b->pool, (job.bytes + COPY_PIECE - 1) / COPY_PIECE, copy_item, &job);
    }
}

static vox_status bench_open(reduce_bench *b, vox_error *err)
{
    vox_status s = vox_tree_init(&b->tree, b->devices, err);
    if (s == VOX_OK)
        s = vox_pool_open(&b->pool, 0, err);
    if (s != VOX_OK)
        return s;
    b->buffer = vox_calloc(b->devices + 1, sizeof *b->buffer, "the buffers' list", err);
    if (!b->buffer)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i <= b->devices; i++) {
        b->buffer[i] = vox_aligned(4096, b->floats * sizeof(float), "gradients", err);
        if (!b->buffer[i])
            return VOX_ERR_MEMORY;
        for (size_t j = 0; j < b->floats; j++) /* also makes the pages */
            b->buffer[i][j] = (float)((i + 1) * (j % 1024));
    }
    return VOX_OK;
}

static void bench_close(reduce_bench *b)
{
    for (size_t i = 0; b->buffer && i <= b->devices; i++)
        free(b->buffer[i]);
    free(b->buffer);
    vox_pool_free(&b->pool);
    vox_tree_release(&b->tree);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_rounds(reduce_bench *b)
{
    const float *const *in = (const float *const *)b->buffer;
    for (int round = -1; round < ROUNDS; round++) { /* the first one warms up */
        double start = vox_now();
        vox_tree_sum(&b->tree, in, b->buffer[b->devices], b->floats, b->pool);
        double middle = vox_now();
        copy_all(b);
        if (round < 0)
            continue;
        b->tree_s[round] = middle - start;
        b->copy_s[round] = vox_now() - middle;
    }
    qsort(b->tree_s, ROUNDS, sizeof(double), by_value);
    qsort(b->copy_s, ROUNDS, sizeof(double), by_value);
}

static char *bench_json(reduce_bench *b, vox_error *err)
{
    double bytes = (double)b->floats * sizeof(float), n = (double)b->devices;
    double tree_s = b->tree_s[ROUNDS / 2], copy_s = b->copy_s[ROUNDS / 2];
    double tree_rate = (n + 1) * bytes / tree_s / 1e9, copy_rate = 2 * n * bytes / copy_s / 1e9;
    vox_json j = {0};
    vox_json_begin(&j, NULL, '{');
    vox_json_int(&j, "devices", (int64_t)b->devices);
    vox_json_int(&j, "bytes", (int64_t)(b->floats * sizeof(float)));
    vox_json_int(&j, "levels", b->tree.levels);
    vox_json_int(&j, "threads", (int64_t)vox_pool_threads(b->pool));
    vox_json_begin(&j, "reduce_s", '{');
    vox_json_number(&j, "median", tree_s);
    vox_json_number(&j, "min", b->tree_s[0]);
    vox_json_number(&j, "max", b->tree_s[ROUNDS - 1]);
    vox_json_end(&j, '}');
    vox_json_begin(&j, "copy_s", '{');
    vox_json_number(&j, "median", copy_s);
    vox_json_number(&j, "min", b->copy_s[0]);
    vox_json_number(&j, "max", b->copy_s[ROUNDS - 1]);
    vox_json_end(&j, '}');
    vox_json_number(&j, "reduce_gb_per_s", tree_rate);
    vox_json_number(&j, "copy_gb_per_s", copy_rate);
    vox_json_number(&j, "share_of_copy", tree_rate / copy_rate);
    vox_json_end(&j, '}');
    return vox_json_take(&j, err);
}

vox_status vox_bench_reduce(int64_t devices, uint64_t bytes, char **json, vox_error *err)
{
    *json = NULL;
    if (devices < 1 || devices > 1024 || bytes < sizeof(float) || bytes > UINT64_C(1) << 40) {
        vox_fail(err, VOX_ERR_USAGE, "cannot reduce %lld buffers of %llu bytes", (long long)devices,
                 (unsigned long long)bytes);
        return vox_detail(err, "1 to 1024 buffers of 4 bytes to 1 TiB can be summed");
    }
    reduce_bench b = {.devices = (size_t)devices, .floats = (size_t)(bytes / sizeof(float))};
    vox_status s = bench_open(&b, err);
    if (s == VOX_OK) {
        bench_rounds(&b);
        *json = bench_json(&b, err);
        s = *json ? VOX_OK : VOX_ERR_MEMORY;
    }
    bench_close(&b);
    return s;
}
