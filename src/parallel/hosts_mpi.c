/* hosts_mpi.c - what the other threads ask of the one that owns MPI. */
#include "parallel/hosts_mpi.h"

#ifdef VOXCL_WITH_MPI

#include "parallel/hosts_mpi_parts.h"

#include "base/mem.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* Most bytes of one message: MPI counts in int. */
#define MESSAGE_BYTES ((size_t)1 << 30)
/* A rank is given up after so long a silence (seconds), by default. */
#define SILENCE_S 20.0

/* ---- open and close ---------------------------------------------------------- */

static void release(vox_mpi *m)
{
    pthread_cond_destroy(&m->work);
    pthread_cond_destroy(&m->finished);
    pthread_mutex_destroy(&m->lock);
    free(m->self);
    free(m->name);
    free(m);
}

/* Signals are for the threads that know what to do with them. */
static bool start_thread(vox_mpi *m)
{
    sigset_t all, was;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &was);
    const bool good = pthread_create(&m->thread, NULL, vox_mpi_main, m) == 0;
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return good;
}

static vox_mpi *make(vox_error *err)
{
    const char *limit = getenv("VOXCL_RANK_TIMEOUT");
    pthread_condattr_t attr;
    vox_mpi *m = vox_calloc(1, sizeof *m, "MPI", err);
    if (!m)
        return NULL;
    m->silence_max = limit && atof(limit) > 0 ? atof(limit) : SILENCE_S;
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&m->work, &attr);
    pthread_cond_init(&m->finished, NULL);
    pthread_condattr_destroy(&attr);
    return m;
}

vox_status vox_mpi_open(vox_mpi **out, size_t *rank, size_t *size, vox_error *err)
{
    *out = NULL;
    vox_mpi *m = make(err);
    if (!m)
        return VOX_ERR_MEMORY;
    if (!start_thread(m)) {
        release(m);
        return vox_fail(err, VOX_ERR_MEMORY, "cannot start a thread for MPI");
    }
    pthread_mutex_lock(&m->lock);
    while (!m->ready)
        pthread_cond_wait(&m->finished, &m->lock);
    pthread_mutex_unlock(&m->lock);
    if (m->broken) {
        const vox_status s = m->error.code;
        if (err)
            *err = m->error;
        pthread_join(m->thread, NULL);
        release(m);
        return s;
    }
    *rank = (size_t)m->rank;
    *size = (size_t)m->size;
    *out = m;
    return VOX_OK;
}

void vox_mpi_close(vox_mpi **mpi, bool abort)
{
    vox_mpi *m = *mpi;
    if (!m)
        return;
    /* Nobody is taken for dead for having left earlier. */
    if (!abort && vox_mpi_barrier(m, NULL) != VOX_OK)
        abort = true;
    pthread_mutex_lock(&m->lock);
    m->quit = true;
    m->abort = abort;
    pthread_cond_signal(&m->work);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    release(m);
    *mpi = NULL;
}

const char *vox_mpi_name(const vox_mpi *m, size_t rank)
{
    return m->name[rank];
}

const char *vox_mpi_library(const vox_mpi *m)
{
    return m->library;
}

/* ---- for the other threads --------------------------------------------------- */

static void post(vox_mpi *m, vox_ask *a)
{
    pthread_mutex_lock(&m->lock);
    a->done = false;
    a->under_way = true;
    a->next = m->posted;
    m->posted = a;
    pthread_cond_signal(&m->work);
    pthread_mutex_unlock(&m->lock);
}

vox_status vox_mpi_wait(vox_mpi *m, vox_ask *a, vox_error *err)
{
    pthread_mutex_lock(&m->lock);
    m->waiting++;
    pthread_cond_signal(&m->work); /* it is to look more often */
    while (a->under_way && !a->done && !m->broken)
        pthread_cond_wait(&m->finished, &m->lock);
    m->waiting--;
    const vox_status s = a->under_way && !a->done ? m->error.code : VOX_OK;
    if (s != VOX_OK && err)
        *err = m->error;
    a->under_way = false;
    pthread_mutex_unlock(&m->lock);
    return s;
}

bool vox_mpi_counts_reached(atomic_uint *count, size_t n, unsigned turn)
{
    for (size_t i = 0; i < n; i++)
        if (atomic_load_explicit(&count[i], memory_order_acquire) - turn > UINT_MAX / 2)
            return false;
    return true;
}

static vox_status why_broken(vox_mpi *m, vox_error *err)
{
    pthread_mutex_lock(&m->lock);
    const vox_status s = m->broken ? m->error.code : VOX_OK;
    if (s != VOX_OK && err)
        *err = m->error;
    pthread_mutex_unlock(&m->lock);
    return s;
}

/* The processor is offered to those who are waited for, which may need this one. */
vox_status vox_mpi_wait_for_counts(vox_mpi *m, atomic_uint *count, size_t n, unsigned turn,
                                   vox_error *err)
{
    vox_status s = VOX_OK;
    for (unsigned tries = 0; s == VOX_OK && !vox_mpi_counts_reached(count, n, turn); tries++) {
        if (tries < 200) {
            sched_yield();
            continue;
        }
        nanosleep(&(struct timespec){0, 20000}, NULL);
        s = why_broken(m, err);
    }
    return s;
}

static vox_status ask(vox_mpi *m, ask_kind kind, const void *mine, void *data, size_t bytes,
                      vox_error *err)
{
    MPI_Request request;
    vox_ask a = {.kind = kind, .mine = mine, .data = data, .count = bytes, .request = &request};
    post(m, &a);
    return vox_mpi_wait(m, &a, err);
}

vox_status vox_mpi_gather(vox_mpi *m, const void *mine, size_t bytes, void *all, vox_error *err)
{
    if (bytes > MESSAGE_BYTES)
        return vox_fail(err, VOX_ERR_USAGE, "too much to gather: %zu bytes", bytes);
    return ask(m, ASK_GATHER, mine, all, bytes, err);
}

vox_status vox_mpi_broadcast(vox_mpi *m, void *data, size_t bytes, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t at = 0; s == VOX_OK && at < bytes; at += MESSAGE_BYTES) {
        const size_t left = bytes - at;
        s = ask(m, ASK_BROADCAST, NULL, (char *)data + at,
                left < MESSAGE_BYTES ? left : MESSAGE_BYTES, err);
    }
    return s;
}

vox_status vox_mpi_barrier(vox_mpi *m, vox_error *err)
{
    return ask(m, ASK_BARRIER, NULL, NULL, 0, err);
}

void vox_mpi_sum_start(vox_mpi *m, vox_ask *sum, float *data)
{
    sum->data = data;
    post(m, sum);
}

#endif
