/* bench_hosts.c - sums over the ranks of a job: what the network between them is worth.
 *
 * All ranks start a sum together and the slowest one's time counts.  The smallest sum there is
 * tells the latency, as it has two rounds of messages; a large one, in buckets as in a training,
 * the bandwidth, as each rank sends and receives 2 (p - 1)/p of it. */
#include "base/json.h"
#include "base/thread.h"
#include "parallel/hosts.h"

#include <stdlib.h>

#define MOST_ROUNDS 15
#define MOST_S      4.0
#define SMALL       16 /* floats of each rank: a cache line, as parts of a sum begin there */
#define BUCKET      ((size_t)1 << 20) /* floats: 4 MiB, as in a training */

typedef struct hosts_bench {
    vox_hosts *hosts;
    size_t ranks, floats, sums;
    float *data;
    vox_host_sum **sum; /* [sums], of BUCKET floats, the last one of fewer */
    double seconds[MOST_ROUNDS];
    int rounds;
} hosts_bench;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static vox_status bench_open(hosts_bench *b, vox_error *err)
{
    b->sums = (b->floats + BUCKET - 1) / BUCKET;
    b->sum = vox_calloc(b->sums, sizeof *b->sum, "sums over hosts", err);
    b->data = vox_aligned(4096, b->floats * sizeof(float), "gradients", err);
    if (!b->sum || !b->data)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < b->floats; i++) /* also makes the pages */
        b->data[i] = 0;
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < b->sums; i++) {
        const size_t left = b->floats - i * BUCKET;
        s = vox_host_sum_open(&b->sum[i], b->hosts, (int)i, left < BUCKET ? left : BUCKET, err);
    }
    return s;
}

static void bench_close(hosts_bench *b)
{
    for (size_t i = 0; b->sum && i < b->sums; i++)
        vox_host_sum_free(&b->sum[i]);
    free(b->sum);
    free(b->data);
    b->sum = NULL;
    b->data = NULL;
}

/* The slowest rank's seconds. */
static vox_status once(hosts_bench *b, double *all, double *seconds, vox_error *err)
{
    vox_status s = vox_hosts_barrier(b->hosts, err);
    const double start = vox_now();
    for (size_t i = 0; s == VOX_OK && i < b->sums; i++)
        vox_host_sum_start(b->sum[i], b->data + i * BUCKET);
    for (size_t i = 0; s == VOX_OK && i < b->sums; i++)
        s = vox_host_sum_wait(b->sum[i], err);
    const double own = vox_now() - start;
    if (s == VOX_OK)
        s = vox_hosts_gather(b->hosts, &own, sizeof own, all, err);
    *seconds = 0;
    for (size_t i = 0; s == VOX_OK && i < b->ranks; i++)
        *seconds = all[i] > *seconds ? all[i] : *seconds;
    return s;
}

/* Seconds of a sum of b->floats, sorted; the first one, which makes connections, does not count. */
static vox_status measure(hosts_bench *b, size_t floats, vox_error *err)
{
    double sum_s = 0, *all = vox_calloc(b->ranks, sizeof *all, "the ranks", err);
    b->floats = floats;
    vox_status s = vox_hosts_agree(b->hosts, all ? bench_open(b, err) : VOX_ERR_MEMORY, err);
    b->rounds = -1;
    while (s == VOX_OK && b->rounds < MOST_ROUNDS && (b->rounds < 3 || sum_s < MOST_S)) {
        double seconds;
        s = once(b, all, &seconds, err);
        if (b->rounds >= 0)
            b->seconds[b->rounds] = seconds;
        b->rounds++;
        sum_s += seconds;
    }
    qsort(b->seconds, b->rounds > 0 ? (size_t)b->rounds : 0, sizeof *b->seconds, by_value);
    bench_close(b);
    free(all);
    return s;
}

static void put_times(vox_json *j, const char *name, const hosts_bench *b)
{
    vox_json_begin(j, name, '{');
    vox_json_number(j, "median", b->seconds[b->rounds / 2]);
    vox_json_number(j, "min", b->seconds[0]);
    vox_json_number(j, "max", b->seconds[b->rounds - 1]);
    vox_json_end(j, '}');
}

static char *to_json(const hosts_bench *small, const hosts_bench *large, vox_error *err)
{
    const double p = (double)large->ranks, bytes = (double)large->floats * sizeof(float);
    const double carried = 2 * (p - 1) / p * bytes;
    vox_json j = {0};
    vox_json_begin(&j, NULL, '{');
    vox_json_int(&j, "ranks", (int64_t)large->ranks);
    vox_json_begin(&j, "hosts", '[');
    for (size_t i = 0; i < large->ranks; i++)
        vox_json_string(&j, NULL, vox_hosts_name(large->hosts, i));
    vox_json_end(&j, ']');
    vox_json_int(&j, "bytes", (int64_t)(large->floats * sizeof(float)));
    vox_json_int(&j, "bucket_bytes", (int64_t)(BUCKET * sizeof(float)));
    put_times(&j, "sum_s", large);
    put_times(&j, "small_sum_s", small);
    vox_json_number(&j, "gbit_per_s", carried * 8e-9 / large->seconds[large->rounds / 2]);
    vox_json_number(&j, "latency_us", small->seconds[small->rounds / 2] / 2 * 1e6);
    vox_json_end(&j, '}');
    return vox_json_take(&j, err);
}

vox_status vox_bench_hosts(vox_hosts *hosts, uint64_t bytes, char **json, vox_error *err)
{
    const size_t ranks = vox_hosts_size(hosts);
    *json = NULL;
    if (ranks < 2) {
        vox_fail(err, VOX_ERR_USAGE, "sums over hosts need several ranks");
        return vox_hint(err, "mpirun -n 2 --hostfile hosts --map-by ppr:1:node voxcl bench hosts");
    }
    if (bytes < sizeof(float) || bytes > (uint64_t)BUCKET * sizeof(float) * VOX_HOST_SUM_KEYS) {
        vox_fail(err, VOX_ERR_USAGE, "cannot sum %llu bytes over hosts", (unsigned long long)bytes);
        return vox_detail(err, "4 bytes to 16 GiB can be summed");
    }
    hosts_bench small = {.hosts = hosts, .ranks = ranks}, large = small;
    vox_status s = measure(&small, SMALL * ranks, err);
    if (s == VOX_OK)
        s = measure(&large, (size_t)(bytes / sizeof(float)), err);
    if (s == VOX_OK) {
        *json = to_json(&small, &large, err);
        s = *json ? VOX_OK : VOX_ERR_MEMORY;
    }
    vox_hosts_settle(hosts, s);
    return s;
}
