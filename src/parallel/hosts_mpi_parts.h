/* hosts_mpi_parts.h - what the two sides of MPI's thread share; for them alone. */
#ifndef VOX_PARALLEL_HOSTS_MPI_PARTS_H
#define VOX_PARALLEL_HOSTS_MPI_PARTS_H

#include "parallel/hosts_mpi.h"
#include "parallel/tree.h"

#include <mpi.h>
#include <pthread.h>

typedef enum ask_kind { ASK_SUM, ASK_GATHER, ASK_BROADCAST, ASK_BARRIER } ask_kind;

/* A message that goes to a rank in pieces; sent: floats of it that are under way or gone. */
typedef struct vox_out {
    const float *from;
    size_t floats, sent, to;
} vox_out;

struct vox_ask {
    ask_kind kind;
    void *data;       /* of a sum, or what is broadcast or gathered */
    const void *mine; /* gathered */
    size_t count;     /* floats of a sum, else bytes */
    int key;          /* of a sum */
    /* of a sum: */
    const vox_groups *groups;
    size_t own, floats;    /* this rank's part */
    float *others;         /* [groups, floats]: the other groups' sums of it */
    const float **in;      /* [size]: room */
    vox_tree tree, local;  /* over the groups; over this one's ranks */
    vox_sum_memory memory; /* data NULL: this rank is a group of its own */
    unsigned turn;         /* how often it was begun */
    int round;
    int tag;
    MPI_Request *request; /* what comes in this round, then what goes; one, if it is no sum */
    int requests;
    size_t receives;
    vox_out *out;         /* [size]: the round's messages */
    size_t outs, unsent;  /* of them; pieces that wait for others to be gone */
    int *gone;            /* room for MPI_Testsome */
    bool under_way, done; /* guarded by the lock */
    vox_ask *next;
};

struct vox_mpi {
    int rank, size;
    char (*name)[MPI_MAX_PROCESSOR_NAME]; /* [size] */
    char library[MPI_MAX_LIBRARY_VERSION_STRING];
    pthread_t thread;
    pthread_mutex_t lock; /* guards these: */
    pthread_cond_t work, finished;
    vox_ask *posted; /* not seen by the thread yet, the last one first */
    int waiting;     /* threads that have nothing else to do */
    bool ready, quit, abort, broken;
    vox_error error; /* once broken */
    /* the thread's own */
    MPI_Comm comm, beats; /* for asks; for signs of life */
    bool ours;            /* MPI was started here */
    vox_ask *active;
    size_t *self;    /* [size + 1]: 0, 1, ... */
    vox_groups each; /* one rank a group: of those */
    MPI_Request beat_in, beat_out, end_in;
    int beat, end;        /* what comes: a sign of life; the rank that another one gave up */
    int dead;             /* the rank that this one gives up */
    MPI_Request *end_out; /* [size] */
    double beat_sent, seen, silence, silence_max; /* seconds */
};

/* Whether all of count[n] have reached turn, modulo 2^32. */
bool vox_mpi_counts_reached(atomic_uint *count, size_t n, unsigned turn);

/* hosts_mpi_sum.c: begins; goes on after its messages (true: something moved), a finished one
 * having requests < 0. */
bool vox_mpi_sum_begin(vox_mpi *m, vox_ask *a);
bool vox_mpi_sum_advance(vox_mpi *m, vox_ask *a);
/* Sends more when some of it has gone; whether all that goes in this round is under way. */
bool vox_mpi_sum_sent(vox_mpi *m, vox_ask *a);

/* The thread; arg: the vox_mpi. */
void *vox_mpi_main(void *arg);

/* For the thread.  Every call is lost from here on, and those that wait are told. */
void vox_mpi_break(vox_mpi *m, const vox_error *error);
/* Whether an MPI call went well; if not, all is broken. */
bool vox_mpi_check(vox_mpi *m, int code, const char *what);

/* hosts_mpi_life.c, for the thread: signs of life of the other ranks. */
vox_status vox_mpi_listen(vox_mpi *m, vox_error *err);
/* To be called every half second or oftener.  Breaks m when a rank is given up, here or elsewhere.
 */
void vox_mpi_keep_alive(vox_mpi *m);
void vox_mpi_listen_no_more(vox_mpi *m);

#endif
