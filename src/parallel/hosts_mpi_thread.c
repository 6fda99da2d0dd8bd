/* hosts_mpi_thread.c - the thread that owns MPI: it moves what was asked of it, and listens for the
 * other ranks' signs of life. */
#include "parallel/hosts_mpi.h"

#ifdef VOXCL_WITH_MPI

#include "parallel/hosts.h"
#include "parallel/hosts_mpi_parts.h"

#include "base/mem.h"
#include "base/thread.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* With nothing to do, the thread looks for signs of life so often (seconds). */
#define LOOK_S 0.5

/* ---- what MPI says ----------------------------------------------------------- */

static vox_status mpi_failed(int code, const char *what, vox_error *err)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length;
    MPI_Error_string(code, text, &length);
    vox_fail(err, VOX_ERR_IO, "MPI failed");
    return vox_detail(err, "%s: %s", what, text);
}

/* Every call is lost from here on, and those that wait are told. */
void vox_mpi_break(vox_mpi *m, const vox_error *error)
{
    pthread_mutex_lock(&m->lock);
    if (!m->broken)
        m->error = *error;
    m->broken = true;
    pthread_cond_broadcast(&m->finished);
    pthread_mutex_unlock(&m->lock);
}

bool vox_mpi_check(vox_mpi *m, int code, const char *what)
{
    vox_error error = {0};
    if (code == MPI_SUCCESS)
        return true;
    mpi_failed(code, what, &error);
    vox_mpi_break(m, &error);
    return false;
}

/* ---- asks -------------------------------------------------------------------- */

static bool begin(vox_mpi *m, vox_ask *a)
{
    a->requests = 1;
    switch (a->kind) {
    case ASK_SUM:
        return vox_mpi_sum_begin(m, a);
    case ASK_GATHER:
        return vox_mpi_check(m,
                             MPI_Iallgather(a->mine, (int)a->count, MPI_BYTE, a->data,
                                            (int)a->count, MPI_BYTE, m->comm, a->request),
                             "MPI_Iallgather");
    case ASK_BROADCAST:
        return vox_mpi_check(
            m, MPI_Ibcast(a->data, (int)a->count, MPI_BYTE, 0, m->comm, a->request), "MPI_Ibcast");
    case ASK_BARRIER:
        break;
    }
    return vox_mpi_check(m, MPI_Ibarrier(m->comm, a->request), "MPI_Ibarrier");
}

/* Goes on with an ask; true: something moved.  A finished one has requests < 0. */
static bool advance(vox_mpi *m, vox_ask *a)
{
    int all = 0;
    if (a->kind == ASK_SUM && !vox_mpi_sum_sent(m, a))
        return false;
    if (!vox_mpi_check(m, MPI_Testall(a->requests, a->request, &all, MPI_STATUSES_IGNORE),
                       "a message") ||
        !all)
        return false;
    if (a->kind == ASK_SUM)
        return vox_mpi_sum_advance(m, a);
    a->requests = -1;
    return true;
}

/* Takes over what was posted, in that order; called with the lock held. */
static vox_ask *take_posted(vox_mpi *m)
{
    vox_ask *list = NULL;
    while (m->posted) {
        vox_ask *a = m->posted;
        m->posted = a->next;
        a->next = list;
        list = a;
    }
    return list;
}

static void start_all(vox_mpi *m, vox_ask *list)
{
    while (list && !m->broken) {
        vox_ask *a = list;
        list = a->next;
        a->next = m->active;
        m->active = a;
        begin(m, a);
    }
}

static bool advance_all(vox_mpi *m)
{
    bool moved = false;
    for (vox_ask **at = &m->active; *at && !m->broken;) {
        vox_ask *a = *at;
        moved = advance(m, a) || moved;
        if (a->requests >= 0) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        pthread_mutex_lock(&m->lock);
        a->done = true;
        pthread_cond_broadcast(&m->finished);
        pthread_mutex_unlock(&m->lock);
    }
    return moved;
}

/* ---- the thread -------------------------------------------------------------- */

/* Called with the lock held; ends early when there is something new. */
static void nap(vox_mpi *m, double seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(seconds * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&m->work, &m->lock, &until);
}

static bool has_messages(const vox_mpi *m)
{
    for (const vox_ask *a = m->active; a; a = a->next)
        if (a->requests > 0)
            return true;
    return false;
}

/* After nothing moved.  While somebody waits, the processor is only offered to whoever wants it,
 * for a while.  While others compute, a short sleep, as MPI may move messages only when called;
 * where there are none a longer one, as each costs those who compute some microseconds. */
static void pause_for(vox_mpi *m, bool waited_for, unsigned idle)
{
    if (waited_for && idle < 200) {
        sched_yield();
        return;
    }
    const bool often = waited_for || has_messages(m);
    const unsigned times = often ? 1 : idle < 10 ? idle : 10;
    pthread_mutex_lock(&m->lock);
    if (!m->posted && !m->quit && waited_for == (m->waiting > 0))
        nap(m, waited_for ? 20e-6 : 100e-6 * times);
    pthread_mutex_unlock(&m->lock);
}

static void serve(vox_mpi *m)
{
    unsigned idle = 0;
    for (;;) {
        pthread_mutex_lock(&m->lock);
        if (!m->posted && !m->quit && (!m->active || m->broken))
            nap(m, LOOK_S);
        vox_ask *fresh = m->broken ? NULL : take_posted(m);
        const bool quit = m->quit, waited_for = m->waiting > 0;
        pthread_mutex_unlock(&m->lock);
        if (quit)
            return;
        start_all(m, fresh);
        idle = fresh || advance_all(m) ? 0 : idle + 1;
        vox_mpi_keep_alive(m);
        if (m->active && idle)
            pause_for(m, waited_for, idle);
    }
}

static bool start_mpi(vox_mpi *m, vox_error *err)
{
    int there = 0, over = 0, level = MPI_THREAD_SINGLE;
    MPI_Finalized(&over);
    MPI_Initialized(&there);
    if (over) {
        vox_fail(err, VOX_ERR_USAGE, "MPI cannot be started a second time");
        vox_hint(err, "open vox_hosts once and use it for all trainings");
        return false;
    }
    if (there)
        MPI_Query_thread(&level);
    else if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level) != MPI_SUCCESS)
        return false;
    m->ours = !there;
    if (level < (there ? MPI_THREAD_MULTIPLE : MPI_THREAD_FUNNELED)) {
        vox_fail(err, VOX_ERR_UNSUPPORTED, "MPI was started without support for threads");
        vox_hint(err, "ask for MPI_THREAD_MULTIPLE in MPI_Init_thread, or leave it to voxcl");
        return false;
    }
    return true;
}

static bool group_each(vox_mpi *m, vox_error *err)
{
    m->self = vox_calloc((size_t)m->size + 1, sizeof *m->self, "hosts", err);
    for (size_t i = 0; m->self && i <= (size_t)m->size; i++)
        m->self[i] = i;
    m->each = (vox_groups){(size_t)m->size, (size_t)m->rank, m->self, m->self, m->self};
    return m->self != NULL;
}

static bool join_job(vox_mpi *m, vox_error *err)
{
    char name[MPI_MAX_PROCESSOR_NAME] = "";
    int length;
    MPI_Comm_dup(MPI_COMM_WORLD, &m->comm);
    MPI_Comm_dup(MPI_COMM_WORLD, &m->beats);
    MPI_Comm_set_errhandler(m->comm, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(m->beats, MPI_ERRORS_RETURN);
    MPI_Comm_rank(m->comm, &m->rank);
    MPI_Comm_size(m->comm, &m->size);
    MPI_Get_processor_name(name, &length);
    const char *called = getenv(VOX_HOST_NAME_VARIABLE);
    if (called && *called)
        snprintf(name, sizeof name, "%s", called);
    MPI_Get_library_version(m->library, &length);
    m->library[strcspn(m->library, ",\n")] = '\0';
    m->name = vox_calloc((size_t)m->size, sizeof *m->name, "hosts", err);
    if (!m->name || !group_each(m, err))
        return false;
    int code = MPI_Allgather(name, sizeof name, MPI_CHAR, m->name, sizeof name, MPI_CHAR, m->comm);
    if (code != MPI_SUCCESS)
        return mpi_failed(code, "MPI_Allgather", err), false;
    return vox_mpi_listen(m, err) == VOX_OK;
}

static void leave(vox_mpi *m)
{
    if (m->abort)
        MPI_Abort(MPI_COMM_WORLD, 1);
    vox_mpi_listen_no_more(m);
    MPI_Comm_free(&m->beats);
    MPI_Comm_free(&m->comm);
    if (m->ours)
        MPI_Finalize();
}

void *vox_mpi_main(void *arg)
{
    vox_mpi *m = arg;
    vox_error error = {0};
    bool started = start_mpi(m, &error), good = started && join_job(m, &error);
    if (!good && error.code == VOX_OK)
        vox_fail(&error, VOX_ERR_IO, "MPI could not be started");
    if (!good)
        vox_mpi_break(m, &error);
    pthread_mutex_lock(&m->lock);
    m->ready = true;
    pthread_cond_broadcast(&m->finished);
    pthread_mutex_unlock(&m->lock);
    if (good) {
        serve(m);
        leave(m);
    } else if (started && m->ours) {
        MPI_Abort(MPI_COMM_WORLD, 1); /* the others would wait for this one */
    }
    return NULL;
}

#endif
