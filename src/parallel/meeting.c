/* meeting.c - where the replicas that work on one batch exchange a few numbers in mid-step. */
#include "parallel/meeting.h"

#include "base/mem.h"
#include "base/thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct vox_meeting {
    size_t members;
    int64_t *n;           /* [members]: samples each brings numbers of; 0: it does not come */
    const float **values; /* [members]: what they brought to the exchange under way */
    int64_t *weight;      /* [members]: n of those who come, close together */
    bool *waits;          /* [members]: it waits for others now */
    double *waited;       /* [members]: seconds, of this batch */
    bool one_by_one;
    vox_hosts *hosts; /* NULL: one rank */
    size_t most;      /* members of a rank */
    char *brought;    /* [room_of_all]: by the ranks, and a place to make this one's ready */
    size_t room_of_all;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    const vox_node *node; /* what the exchange is about */
    vox_pass pass;
    size_t here;      /* members at the exchange under way */
    uint64_t held;    /* exchanges that are through */
    size_t turn;      /* one_by_one: who works */
    float *joined;    /* result of the last exchange */
    size_t room;      /* floats in it */
    vox_status fault; /* of the first who failed ... */
    vox_error why;    /* ... and its reason */
};

vox_status vox_meeting_open(vox_meeting **out, size_t members, vox_error *err)
{
    *out = NULL;
    vox_meeting *m = vox_calloc(1, sizeof *m, "the replicas' meeting", err);
    if (!m)
        return VOX_ERR_MEMORY;
    m->members = members;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    m->n = vox_calloc(members, sizeof *m->n, "the replicas' meeting", err);
    m->values = vox_calloc(members, sizeof *m->values, "the replicas' meeting", err);
    m->weight = vox_calloc(members, sizeof *m->weight, "the replicas' meeting", err);
    m->waits = vox_calloc(members, sizeof *m->waits, "the replicas' meeting", err);
    m->waited = vox_calloc(members, sizeof *m->waited, "the replicas' meeting", err);
    if (!m->n || !m->values || !m->weight || !m->waited || !m->waits) {
        vox_meeting_free(&m);
        return VOX_ERR_MEMORY;
    }
    *out = m;
    return VOX_OK;
}

void vox_meeting_free(vox_meeting **mp)
{
    vox_meeting *m = mp ? *mp : NULL;
    if (!m)
        return;
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->lock);
    free(m->n);
    free(m->values);
    free(m->weight);
    free(m->waited);
    free(m->waits);
    free(m->joined);
    free(m->brought);
    free(m);
    *mp = NULL;
}

/* The first member from i on that comes; members: none. */
static size_t next_member(const vox_meeting *m, size_t i)
{
    while (i < m->members && m->n[i] == 0)
        i++;
    return i;
}

static size_t expected(const vox_meeting *m)
{
    size_t count = 0;
    for (size_t i = 0; i < m->members; i++)
        count += m->n[i] > 0;
    return count;
}

void vox_meeting_call(vox_meeting *m, const int64_t *n, bool one_by_one)
{
    pthread_mutex_lock(&m->lock); /* one that was given up may come to life */
    memcpy(m->n, n, m->members * sizeof *n);
    memset(m->waited, 0, m->members * sizeof *m->waited);
    m->one_by_one = one_by_one;
    m->here = 0;
    m->node = NULL;
    m->turn = next_member(m, 0);
    m->fault = VOX_OK;
    pthread_mutex_unlock(&m->lock);
}

/* The lock is held: waits until it is the member's turn, or somebody failed. */
static vox_status await_turn(vox_meeting *m, size_t member, vox_error *err)
{
    const double start = vox_now();
    m->waits[member] = true;
    while (m->one_by_one && m->turn != member && m->fault == VOX_OK)
        pthread_cond_wait(&m->changed, &m->lock);
    m->waits[member] = false;
    m->waited[member] += vox_now() - start;
    return m->fault == VOX_OK
               ? VOX_OK
               : vox_fail(err, VOX_ERR_INTERRUPTED, "another device failed in mid-step");
}

vox_status vox_meeting_enter(vox_meeting *m, size_t member, vox_error *err)
{
    pthread_mutex_lock(&m->lock);
    vox_status s = await_turn(m, member, err);
    pthread_mutex_unlock(&m->lock);
    return s;
}

static vox_status fail(vox_meeting *m, vox_status status, const vox_error *why)
{
    if (m->fault == VOX_OK) {
        m->fault = status;
        m->why = *why;
    }
    pthread_cond_broadcast(&m->changed);
    return status;
}

void vox_meeting_set_hosts(vox_meeting *m, vox_hosts *hosts, size_t most)
{
    m->hosts = hosts;
    m->most = most;
}

/* What a rank brings: how many members, [most] weights, [most, floats] values. */
static void pack(const vox_meeting *m, char *at, size_t count, size_t floats)
{
    const int64_t head = (int64_t)count;
    memcpy(at, &head, sizeof head);
    at += sizeof head;
    memcpy(at, m->weight, count * sizeof *m->weight);
    at += m->most * sizeof *m->weight;
    for (size_t i = 0; i < count; i++)
        memcpy(at + i * floats * sizeof(float), m->values[i], floats * sizeof(float));
}

/* Adds what a rank brought to the lists. */
static size_t unpack(const vox_meeting *m, const char *at, size_t floats, const float **values,
                     int64_t *weight)
{
    int64_t count;
    memcpy(&count, at, sizeof count);
    at += sizeof count;
    memcpy(weight, at, (size_t)count * sizeof *weight);
    at += m->most * sizeof *weight;
    for (int64_t i = 0; i < count; i++)
        values[i] = (const float *)(const void *)at + (size_t)i * floats;
    return (size_t)count;
}

/* The members of all ranks, in their order. */
static vox_status join_ranks(vox_meeting *m, vox_join_fn join, size_t count, size_t floats,
                             vox_error *err)
{
    const size_t ranks = vox_hosts_size(m->hosts), each = sizeof(int64_t) + floats * sizeof(float);
    const size_t bytes = (sizeof(int64_t) + m->most * each + 15) / 16 * 16;
    const float **values = vox_calloc(ranks * m->most, sizeof *values, "a meeting of ranks", err);
    int64_t *weight = vox_calloc(ranks * m->most, sizeof *weight, "a meeting of ranks", err);
    vox_status s = values && weight ? VOX_OK : VOX_ERR_MEMORY;
    if (s == VOX_OK && !vox_grow(&m->brought, &m->room_of_all, (ranks + 1) * bytes, 1, err))
        s = VOX_ERR_MEMORY;
    if (s == VOX_OK) {
        pack(m, m->brought + ranks * bytes, count, floats);
        s = vox_hosts_gather(m->hosts, m->brought + ranks * bytes, bytes, m->brought, err);
    }
    size_t all = 0;
    for (size_t i = 0; s == VOX_OK && i < ranks; i++)
        all += unpack(m, m->brought + i * bytes, floats, values + all, weight + all);
    if (s == VOX_OK)
        join(m->node, values, weight, all, floats, m->joined);
    free(values);
    free(weight);
    return s;
}

/* The lock is held and all are there. */
static vox_status hold(vox_meeting *m, vox_join_fn join, size_t floats, vox_error *err)
{
    size_t count = 0;
    if (!vox_grow(&m->joined, &m->room, floats, sizeof *m->joined, err))
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < m->members; i++)
        if (m->n[i] > 0) {
            m->values[count] = m->values[i];
            m->weight[count++] = m->n[i];
        }
    vox_status s = VOX_OK;
    if (m->hosts)
        s = join_ranks(m, join, count, floats, err);
    else
        join(m->node, m->values, m->weight, count, floats, m->joined);
    m->node = NULL;
    m->here = 0;
    m->held++;
    m->turn = next_member(m, 0);
    pthread_cond_broadcast(&m->changed);
    return s;
}

/* The lock is held: notes what a member brings; the first says what it is about. */
static vox_status bring(vox_meeting *m, size_t member, const vox_node *node, vox_pass pass,
                        const float *values, vox_error *err)
{
    if (m->here > 0 && (m->node != node || m->pass != pass)) {
        vox_fail(err, VOX_ERR_DEVICE, "the devices' plans do not exchange the same");
        return vox_detail(err, "layer %s and layer %s", m->node->name, node->name);
    }
    m->node = node;
    m->pass = pass;
    m->values[member] = values;
    m->here++;
    return VOX_OK;
}

vox_status vox_meeting_exchange(vox_meeting *m, size_t member, const vox_node *node, vox_pass pass,
                                vox_join_fn join, float *values, size_t floats, vox_error *err)
{
    vox_error why = {0};
    pthread_mutex_lock(&m->lock);
    if (m->n[member] == 0) { /* it was given up, and comes after all */
        pthread_mutex_unlock(&m->lock);
        return vox_fail(err, VOX_ERR_INTERRUPTED, "nobody waits for this device any more");
    }
    const uint64_t now = m->held;
    vox_status s = bring(m, member, node, pass, values, &why);
    if (s == VOX_OK && m->here == expected(m)) {
        const double start = vox_now();
        s = hold(m, join, floats, &why);
        if (m->hosts) /* mostly for other ranks, which may be slower */
            m->waited[member] += vox_now() - start;
    } else if (s == VOX_OK) {
        m->turn = next_member(m, member + 1);
        pthread_cond_broadcast(&m->changed);
        const double start = vox_now();
        m->waits[member] = true;
        while (m->held == now && m->fault == VOX_OK)
            pthread_cond_wait(&m->changed, &m->lock);
        m->waits[member] = false;
        m->waited[member] += vox_now() - start;
    }
    if (s != VOX_OK) {
        fail(m, s, &why);
        if (err)
            *err = why;
    } else {
        s = await_turn(m, member, err);
    }
    if (s == VOX_OK)
        memcpy(values, m->joined, floats * sizeof *values);
    pthread_mutex_unlock(&m->lock);
    return s;
}

void vox_meeting_leave(vox_meeting *m, size_t member, vox_status status, const vox_error *err)
{
    pthread_mutex_lock(&m->lock);
    if (m->n[member] > 0) { /* else it was given up in another step */
        if (status != VOX_OK)
            fail(m, status, err);
        m->turn = next_member(m, member + 1);
        pthread_cond_broadcast(&m->changed);
    }
    pthread_mutex_unlock(&m->lock);
}

bool vox_meeting_waits(vox_meeting *m, size_t member)
{
    pthread_mutex_lock(&m->lock);
    const bool waits = m->waits[member];
    pthread_mutex_unlock(&m->lock);
    return waits;
}

double vox_meeting_waited(const vox_meeting *m, size_t i)
{
    return m->waited[i];
}

vox_status vox_meeting_outcome(const vox_meeting *m, vox_error *err)
{
    if (m->fault != VOX_OK && err)
        *err = m->why;
    return m->fault;
}
