/* hosts_mpi_life.c - signs of life: how the ranks notice that one of them is gone.
 *
 * Each rank tells the next one in a ring every second that it is there.  The one that hears nothing
 * for too long gives its neighbour up and tells all others, as nobody else may: mpirun can be on
 * the very host that is lost.  Otherwise every rank would find its neighbour silent one time limit
 * after that one ended, and the job would take that long times the number of ranks to end. */
#include "parallel/hosts_mpi.h"

#ifdef VOXCL_WITH_MPI

#include "parallel/hosts_mpi_parts.h"

#include "base/mem.h"
#include "base/thread.h"

#include <stdlib.h>
#include <time.h>

/* A rank says that it is alive so often (seconds). */
#define BEAT_S 1.0
/* Word that a rank is given up has so long to leave (seconds). */
#define LINGER_S 1.0

enum { TAG_BEAT, TAG_END };

static int neighbour(const vox_mpi *m, int distance)
{
    return (m->rank + distance + m->size) % m->size;
}

static bool listen_for_beat(vox_mpi *m)
{
    return vox_mpi_check(
        m, MPI_Irecv(&m->beat, 1, MPI_INT, neighbour(m, -1), TAG_BEAT, m->beats, &m->beat_in),
        "MPI_Irecv");
}

vox_status vox_mpi_listen(vox_mpi *m, vox_error *err)
{
    m->beat_in = m->beat_out = m->end_in = MPI_REQUEST_NULL;
    m->seen = vox_now();
    m->end_out = vox_calloc((size_t)m->size, sizeof(MPI_Request), "hosts", err);
    if (!m->end_out)
        return VOX_ERR_MEMORY;
    if (m->size > 1 &&
        (!listen_for_beat(m) ||
         !vox_mpi_check(
             m, MPI_Irecv(&m->end, 1, MPI_INT, MPI_ANY_SOURCE, TAG_END, m->beats, &m->end_in),
             "MPI_Irecv"))) {
        if (err)
            *err = m->error;
        return m->error.code;
    }
    return VOX_OK;
}

static void lost(vox_mpi *m, int who, int by)
{
    vox_error error = {0};
    vox_fail(&error, VOX_ERR_IO, "rank %d does not answer any more", who);
    if (by == m->rank)
        vox_detail(&error, "nothing was heard of it on %s for %.0f s", m->name[who], m->silence);
    else
        vox_detail(&error, "rank %d heard nothing of it on %s any more", by, m->name[who]);
    vox_hint(&error, "look at that host; then go on with --resume");
    vox_mpi_break(m, &error);
}

/* What cannot be delivered is left to itself: after this the job ends. */
static void tell_all(vox_mpi *m)
{
    const struct timespec nap = {0, 1000000};
    const double until = vox_now() + LINGER_S;
    int done = 0, n = 0;
    for (int to = 0; to < m->size; to++)
        if (to != m->rank && to != m->dead &&
            MPI_Isend(&m->dead, 1, MPI_INT, to, TAG_END, m->beats, &m->end_out[n]) == MPI_SUCCESS)
            n++;
    /* Also when MPI has taken all of it: its buffers would end with this process. */
    while (n > 0 && vox_now() < until) {
        MPI_Testall(n, m->end_out, &done, MPI_STATUSES_IGNORE);
        nanosleep(&nap, NULL);
    }
}

static void give_up(vox_mpi *m)
{
    m->dead = neighbour(m, -1);
    tell_all(m);
    lost(m, m->dead, m->rank);
}

/* Time in which this thread itself did not run (the job was suspended) does not count against the
 * other. */
static bool hear(vox_mpi *m, double since)
{
    int there = 0, over = 0;
    MPI_Status from;
    m->silence += since < BEAT_S ? since : BEAT_S;
    if (!vox_mpi_check(m, MPI_Test(&m->beat_in, &there, MPI_STATUS_IGNORE), "a sign of life") ||
        !vox_mpi_check(m, MPI_Test(&m->end_in, &over, &from), "a sign of life"))
        return false;
    if (over)
        lost(m, m->end, from.MPI_SOURCE);
    if (there)
        m->silence = 0;
    if (there && !over && !listen_for_beat(m))
        return false;
    if (!over && m->silence > m->silence_max)
        give_up(m);
    return !m->broken;
}

void vox_mpi_keep_alive(vox_mpi *m)
{
    static const int word = 1;
    const double now = vox_now(), since = now - m->seen;
    int sent = 0;
    m->seen = now;
    if (m->size == 1 || m->broken || !hear(m, since))
        return;
    if (now - m->beat_sent < BEAT_S ||
        !vox_mpi_check(m, MPI_Test(&m->beat_out, &sent, MPI_STATUS_IGNORE), "a sign of life") ||
        !sent)
        return;
    m->beat_sent = now;
    vox_mpi_check(m,
                  MPI_Isend(&word, 1, MPI_INT, neighbour(m, 1), TAG_BEAT, m->beats, &m->beat_out),
                  "MPI_Isend");
}

static void cancel(MPI_Request *r)
{
    if (*r == MPI_REQUEST_NULL)
        return;
    MPI_Cancel(r);
    MPI_Wait(r, MPI_STATUS_IGNORE);
}

void vox_mpi_listen_no_more(vox_mpi *m)
{
    cancel(&m->beat_in);
    cancel(&m->end_in);
    if (m->beat_out != MPI_REQUEST_NULL)
        MPI_Request_free(&m->beat_out);
    free(m->end_out);
    m->end_out = NULL;
}

#endif
