/* hosts_mpi_thread.c - the thread that owns MPI.
 *
 * A sum over p ranks has two rounds of messages.  Every rank owns one p-th of the array; it is sent
 * everybody's values of that part, adds them up in a tree's order, and sends the result to all:
 *
 *   rank 0  |a0|a1|a2|   own part 0:  a0+b0+c0 ->  |s0|s1|s2|
 *   rank 1  |b0|b1|b2|   own part 1:  b1+c1+a1 ->  |s0|s1|s2|
 *   rank 2  |c0|c1|c2|   own part 2:  c2+a2+b2 ->  |s0|s1|s2|
 *
 * (the pairwise exchange of Thakur, Rabenseifner, Gropp, IJHPCA 19(1), 2005, section 4.2): a rank
 * sends and receives 2 (p-1)/p of the array, the least that is possible, and works on any number of
 * ranks.  Why not MPI_Iallreduce: MPI recommends, but does not promise, the same bits for the same
 * input (MPI 3.1, 5.9.1), and its libraries choose the order by size, version and environment; and
 * collectives must begin in the same order on all ranks, messages with tags need not. */
#include "parallel/hosts_mpi.h"

#ifdef VOXCL_WITH_MPI

#include "parallel/hosts_mpi_parts.h"

#include "base/mem.h"
#include "base/thread.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Parts of a sum begin at whole cache lines. */
#define LINE_FLOATS 16
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

/* ---- sums -------------------------------------------------------------------- */

size_t vox_mpi_part_begin(const vox_mpi *m, const vox_ask *a, int rank)
{
    const size_t lines = (a->count + LINE_FLOATS - 1) / LINE_FLOATS, size = (size_t)m->size;
    const size_t r = (size_t)rank;
    const size_t at = (lines / size * r + lines % size * r / size) * LINE_FLOATS;
    return at < a->count ? at : a->count;
}

size_t vox_mpi_part_floats(const vox_mpi *m, const vox_ask *a, int rank)
{
    const size_t end = rank + 1 < m->size ? vox_mpi_part_begin(m, a, rank + 1) : a->count;
    return end - vox_mpi_part_begin(m, a, rank);
}

/* One round: `in` floats come from each other rank, to in_at(rank); likewise out.  Each rank begins
 * with its neighbour, so that not all send to the same one. */
static bool exchange(vox_mpi *m, vox_ask *a, bool first)
{
    float *data = a->data;
    const int tag = a->key * 2 + !first;
    a->requests = 0;
    for (int k = 1; k < m->size; k++) {
        const int from = (m->rank + m->size - k) % m->size;
        float *to =
            first ? a->others + (size_t)from * a->floats : data + vox_mpi_part_begin(m, a, from);
        const int n = (int)(first ? a->floats : vox_mpi_part_floats(m, a, from));
        if (n > 0 &&
            !vox_mpi_check(
                m, MPI_Irecv(to, n, MPI_FLOAT, from, tag, m->comm, &a->request[a->requests++]),
                "MPI_Irecv"))
            return false;
    }
    for (int k = 1; k < m->size; k++) {
        const int to = (m->rank + k) % m->size;
        const float *from = data + (first ? vox_mpi_part_begin(m, a, to) : a->own);
        const int n = (int)(first ? vox_mpi_part_floats(m, a, to) : a->floats);
        if (n > 0 &&
            !vox_mpi_check(
                m, MPI_Isend(from, n, MPI_FLOAT, to, tag, m->comm, &a->request[a->requests++]),
                "MPI_Isend"))
            return false;
    }
    return true;
}

/* In the tree's order from this rank on: so its own values are the first leaf, and become the sum
 * where they are. */
static void add_up(const vox_mpi *m, vox_ask *a)
{
    float *own = (float *)a->data + a->own;
    a->in[0] = own;
    for (int k = 1; k < m->size; k++)
        a->in[k] = a->others + (size_t)((m->rank + k) % m->size) * a->floats;
    if (a->floats > 0)
        vox_tree_sum(&m->tree, a->in, own, a->floats, NULL);
}

/* ---- asks -------------------------------------------------------------------- */

static bool begin(vox_mpi *m, vox_ask *a)
{
    a->round = 0;
    a->requests = 1;
    switch (a->kind) {
    case ASK_SUM:
        return exchange(m, a, true);
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
    if (!vox_mpi_check(m, MPI_Testall(a->requests, a->request, &all, MPI_STATUSES_IGNORE),
                       "a message") ||
        !all)
        return false;
    if (a->kind != ASK_SUM || a->round == 1) {
        a->requests = -1;
        return true;
    }
    add_up(m, a);
    a->round = 1;
    return exchange(m, a, false);
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

/* After nothing moved: while others compute, a short sleep; while they wait, the processor is only
 * offered to whoever wants it, for a while. */
static void pause_for(bool waited_for, unsigned idle)
{
    const struct timespec nap = {0, waited_for ? 20000 : 100000};
    if (waited_for && idle < 200)
        sched_yield();
    else
        nanosleep(&nap, NULL);
}

static void wait_for_work(vox_mpi *m)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(LOOK_S * 1e9);
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&m->work, &m->lock, &until);
}

static void serve(vox_mpi *m)
{
    unsigned idle = 0;
    for (;;) {
        pthread_mutex_lock(&m->lock);
        if (!m->posted && !m->quit && (!m->active || m->broken))
            wait_for_work(m);
        vox_ask *fresh = m->broken ? NULL : take_posted(m);
        const bool quit = m->quit, waited_for = m->waiting > 0;
        pthread_mutex_unlock(&m->lock);
        if (quit)
            return;
        start_all(m, fresh);
        idle = fresh || advance_all(m) ? 0 : idle + 1;
        vox_mpi_keep_alive(m);
        if (m->active && idle)
            pause_for(waited_for, idle);
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
    MPI_Get_library_version(m->library, &length);
    m->library[strcspn(m->library, ",\n")] = '\0';
    m->name = vox_calloc((size_t)m->size, sizeof *m->name, "hosts", err);
    if (!m->name || vox_tree_init(&m->tree, (size_t)m->size, err) != VOX_OK)
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
