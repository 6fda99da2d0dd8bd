/* hosts.c - the ranks of a job: whether there are several, and what they agree on. */
#include "parallel/hosts.h"

#include "base/log.h"
#include "base/thread.h"
#include "parallel/hosts_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool single(const vox_hosts *h)
{
    return !h || !h->mpi;
}

/* ---- open and free --------------------------------------------------------- */

/* Processes of this job, by those who start them; 1: nobody did; 0: somebody did, their number is
 * not known yet.  Slurm's srun also sets PMIX_RANK or PMI_*, if it was told to start MPI. */
static long started_as(void)
{
    static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *text = getenv(sizes[i]);
        if (text && atol(text) > 0)
            return atol(text);
    }
    return getenv("PMIX_RANK") || getenv("PMI_RANK") ? 0 : 1;
}

/* A rank bound to a few of its host's processors, which is what some mpiruns do unless told. */
static void warn_of_binding(void)
{
    const long there = sysconf(_SC_NPROCESSORS_ONLN);
    if (there > 0 && vox_processors() * 2 < (size_t)there)
        vox_log(VOX_LOG_INFO,
                "this rank may use %zu of its host's %ld processors (mpirun --bind-to none: all)",
                vox_processors(), there);
}

/* Processes that srun started but not for MPI do not know of each other: said once. */
static void warn_of_srun(void)
{
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS"), *own = getenv("SLURM_PROCID");
    if (tasks && own && atol(tasks) > 1 && atol(own) == 0)
        vox_log(VOX_LOG_WARN,
                "srun started %s processes, each of which works alone: srun --mpi=pmix (Open MPI) "
                "or --mpi=pmi2 (MPICH) makes them one job",
                tasks);
}

static vox_status check_size(const vox_hosts *h, long started, vox_error *err)
{
    if (started == 0 || (size_t)started == h->size)
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "the ranks do not find each other");
    vox_detail(err, "%ld processes were started, MPI joined %zu of them", started, h->size);
    vox_hint(err,
             "start voxcl with the mpirun (or srun --mpi) of the MPI that it was built with: "
             "%s",
             vox_mpi_library(h->mpi));
    return VOX_ERR_USAGE;
}

vox_status vox_hosts_open(vox_hosts **out, vox_error *err)
{
    const long started = started_as();
    *out = NULL;
    vox_hosts *h = vox_calloc(1, sizeof *h, "hosts", err);
    if (!h)
        return VOX_ERR_MEMORY;
    h->size = 1;
    if (gethostname(h->name, sizeof h->name - 1) != 0)
        snprintf(h->name, sizeof h->name, "here");
    if (started == 1)
        warn_of_srun();
    vox_status s = started == 1 ? VOX_OK : vox_mpi_open(&h->mpi, &h->rank, &h->size, err);
    if (s == VOX_ERR_UNSUPPORTED && !h->mpi && started > 1)
        vox_detail(err, "%ld processes of it were started as one job", started);
    if (s == VOX_OK && h->mpi)
        s = check_size(h, started, err);
    if (s == VOX_OK && h->mpi && h->size > 1)
        warn_of_binding();
    if (s == VOX_OK && h->mpi && !vox_grow(&h->all, &h->room, h->size * sizeof(uint64_t), 1, err))
        s = VOX_ERR_MEMORY;
    if (s != VOX_OK)
        vox_hosts_free(&h);
    *out = h;
    return s;
}

void vox_hosts_free(vox_hosts **hosts)
{
    vox_hosts *h = hosts ? *hosts : NULL;
    if (!h)
        return;
    vox_mpi_close(&h->mpi, h->alone);
    free(h->all);
    free(h);
    *hosts = NULL;
}

size_t vox_hosts_rank(const vox_hosts *h)
{
    return single(h) ? 0 : h->rank;
}

size_t vox_hosts_size(const vox_hosts *h)
{
    return single(h) ? 1 : h->size;
}

const char *vox_hosts_name(const vox_hosts *h, size_t rank)
{
    return !h ? "here" : h->mpi ? vox_mpi_name(h->mpi, rank) : h->name;
}

size_t vox_hosts_local(const vox_hosts *h, size_t *of)
{
    size_t before = 0, all = 0;
    for (size_t i = 0; i < vox_hosts_size(h); i++) {
        const bool here = strcmp(vox_hosts_name(h, i), vox_hosts_name(h, vox_hosts_rank(h))) == 0;
        before += here && i < vox_hosts_rank(h);
        all += here;
    }
    *of = all;
    return before;
}

bool vox_hosts_alone(const vox_hosts *h)
{
    return !single(h) && h->alone;
}

bool vox_hosts_agreed(const vox_hosts *h)
{
    return single(h) || h->agreed;
}

void vox_hosts_clear(vox_hosts *h)
{
    if (h)
        h->agreed = false;
}

void vox_hosts_settle(vox_hosts *h, vox_status status)
{
    if (!single(h) && status != VOX_OK && !h->agreed)
        h->alone = true;
}

/* ---- together --------------------------------------------------------------- */

/* What MPI itself fails at is no news that could be shared. */
vox_status vox_hosts_noted(vox_hosts *h, vox_status s)
{
    if (s != VOX_OK)
        h->alone = true;
    return s;
}

vox_status vox_hosts_gather(vox_hosts *h, const void *mine, size_t bytes, void *all, vox_error *err)
{
    if (single(h)) {
        memmove(all, mine, bytes);
        return VOX_OK;
    }
    return vox_hosts_noted(h, vox_mpi_gather(h->mpi, mine, bytes, all, err));
}

vox_status vox_hosts_broadcast(vox_hosts *h, void *data, size_t bytes, vox_error *err)
{
    return single(h) ? VOX_OK : vox_hosts_noted(h, vox_mpi_broadcast(h->mpi, data, bytes, err));
}

vox_status vox_hosts_barrier(vox_hosts *h, vox_error *err)
{
    return single(h) ? VOX_OK : vox_hosts_noted(h, vox_mpi_barrier(h->mpi, err));
}

/* What every rank brings when they agree; what it has to share follows it. */
typedef struct vote {
    vox_error error; /* code VOX_OK: all is well */
    unsigned flags;
} vote;

static size_t vote_stride(size_t bytes)
{
    return (sizeof(vote) + bytes + 15) / 16 * 16;
}

static const vote *vote_of(const vox_hosts *h, size_t stride, size_t rank)
{
    return (const vote *)(const void *)(h->all + rank * stride);
}

/* The error of `first`, on every rank. */
static vox_status share_error(vox_hosts *h, size_t stride, size_t first, vox_error *err)
{
    const vox_error *error = &vote_of(h, stride, first)->error;
    bool same = true;
    for (size_t i = 0; i < h->size; i++) {
        const vox_error *other = &vote_of(h, stride, i)->error;
        same = same && other->code == error->code && strcmp(other->message, error->message) == 0;
    }
    h->agreed = true;
    if (err)
        *err = *error;
    if (err && !same)
        vox_error_at(err, "rank %zu on %s", first, vox_hosts_name(h, first));
    return error->code;
}

/* Everybody's vote, and `most` bytes behind it of which this rank has data[bytes]; at h->all. */
static vox_status vote_with(vox_hosts *h, vox_status mine, unsigned flags, const void *data,
                            size_t bytes, size_t most, vox_error *err)
{
    const size_t stride = vote_stride(most);
    if (!vox_grow(&h->all, &h->room, (h->size + 1) * stride, 1, NULL)) {
        h->alone = true;
        return vox_fail_memory(err, "what the ranks share", (h->size + 1) * stride);
    }
    char *own = h->all + h->size * stride;
    vote v = {.flags = flags};
    if (mine != VOX_OK && err)
        v.error = *err;
    v.error.code = mine;
    memset(own, 0, stride);
    memcpy(own, &v, sizeof v);
    if (bytes)
        memcpy(own + sizeof v, data, bytes);
    vox_status s = vox_hosts_gather(h, own, stride, h->all, err);
    for (size_t i = 0; s == VOX_OK && i < h->size; i++)
        if (vote_of(h, stride, i)->error.code != VOX_OK)
            s = share_error(h, stride, i, err);
    return s;
}

vox_status vox_hosts_agree(vox_hosts *h, vox_status mine, vox_error *err)
{
    return single(h) ? mine : vote_with(h, mine, 0, NULL, 0, 0, err);
}

vox_status vox_hosts_vote(vox_hosts *h, vox_status mine, unsigned *flags, vox_error *err)
{
    if (single(h))
        return mine;
    vox_status s = vote_with(h, mine, *flags, NULL, 0, 0, err);
    for (size_t i = 0; s == VOX_OK && i < h->size; i++)
        *flags |= vote_of(h, vote_stride(0), i)->flags;
    return s;
}

vox_status vox_hosts_share(vox_hosts *h, vox_status mine, void *rows, size_t bytes,
                           const vox_slice *slice, vox_error *err)
{
    size_t most = 0;
    if (single(h))
        return mine;
    for (size_t i = 0; i < h->size; i++)
        most = (size_t)slice[i].count > most ? (size_t)slice[i].count : most;
    char *row = rows;
    const vox_slice *own = &slice[h->rank];
    vox_status s = vote_with(h, mine, 0, row + (size_t)own->first * bytes,
                             (size_t)own->count * bytes, most * bytes, err);
    for (size_t i = 0; s == VOX_OK && i < h->size; i++)
        if (i != h->rank)
            memcpy(row + (size_t)slice[i].first * bytes,
                   h->all + i * vote_stride(most * bytes) + sizeof(vote),
                   (size_t)slice[i].count * bytes);
    return s;
}

vox_status vox_hosts_same(vox_hosts *h, const char *what, uint64_t mark, const char *hint,
                          vox_error *err)
{
    if (single(h))
        return VOX_OK;
    uint64_t *each = (uint64_t *)(void *)h->all;
    vox_status s = vox_hosts_gather(h, &mark, sizeof mark, each, err);
    for (size_t i = 1; s == VOX_OK && i < h->size; i++) {
        if (each[i] == each[0])
            continue;
        h->agreed = true;
        vox_fail(err, VOX_ERR_USAGE, "the ranks have different %s", what);
        vox_detail(err, "rank %zu on %s has not what rank 0 on %s has", i, vox_hosts_name(h, i),
                   vox_hosts_name(h, 0));
        vox_hint(err, "%s", hint);
        s = VOX_ERR_USAGE;
    }
    return s;
}

/* ---- sums ------------------------------------------------------------------- */

vox_status vox_host_sum_make(vox_host_sum **out, vox_hosts *h, int key, vox_error *err)
{
    *out = NULL;
    if (key < 0 || key >= VOX_HOST_SUM_KEYS)
        return vox_fail(err, VOX_ERR_USAGE, "no sum over hosts has the key %d", key);
    *out = vox_calloc(1, sizeof **out, "a sum over hosts", err);
    if (!*out)
        return VOX_ERR_MEMORY;
    (*out)->hosts = h;
    return VOX_OK;
}

vox_status vox_host_sum_open(vox_host_sum **out, vox_hosts *h, int key, size_t count,
                             vox_error *err)
{
    vox_status s = vox_host_sum_make(out, h, key, err);
    if (s == VOX_OK && !single(h))
        s = vox_mpi_sum_open(&(*out)->ask, h->mpi, key, count, NULL, NULL, err);
    if (s != VOX_OK)
        vox_host_sum_free(out);
    return s;
}

void vox_host_sum_free(vox_host_sum **sum)
{
    if (!sum || !*sum)
        return;
    vox_mpi_sum_free(&(*sum)->ask);
    free(*sum);
    *sum = NULL;
}

void vox_host_sum_start(vox_host_sum *sum, float *data)
{
    if (sum->ask)
        vox_mpi_sum_start(sum->hosts->mpi, sum->ask, data);
}

vox_status vox_host_sum_wait(vox_host_sum *sum, vox_error *err)
{
    return sum->ask ? vox_hosts_noted(sum->hosts, vox_mpi_wait(sum->hosts->mpi, sum->ask, err))
                    : VOX_OK;
}
