/* hosts_mpi_sum.c - sums over the ranks, on the thread that owns MPI.
 *
 * Every one of p ranks owns one p-th of the array.  Ranks that have memory in common are a group,
 * others are one each.  First the group's ranks add up, in place, what all of them have there: each
 * its own part, and in turn those of ranks elsewhere.  Between groups there are two rounds of
 * messages: the owner of a part is sent every other group's sum of it, adds these up, and sends the
 * result to one rank of each group.  With one rank a group:
 *
 *   rank 0  |a0|a1|a2|   own part 0:  a0+b0+c0 ->  |s0|s1|s2|
 *   rank 1  |b0|b1|b2|   own part 1:  b1+c1+a1 ->  |s0|s1|s2|
 *   rank 2  |c0|c1|c2|   own part 2:  c2+a2+b2 ->  |s0|s1|s2|
 *
 * (the pairwise exchange of Thakur, Rabenseifner, Gropp, IJHPCA 19(1), 2005, section 4.2): a group
 * sends and receives no more than twice the array, and it works on any number of ranks.  With one
 * group there are no messages at all.  Why not MPI_Iallreduce: MPI recommends, but does not
 * promise, the same bits for the same input (MPI 3.1, 5.9.1), and its libraries choose the order by
 * size, version and environment; and collectives must begin in the same order on all ranks,
 * messages with tags need not. */
#include "parallel/hosts_mpi.h"

#ifdef VOXCL_WITH_MPI

#include "parallel/hosts_mpi_parts.h"

#include "base/mem.h"

#include <stdlib.h>

/* Parts of a sum begin at whole cache lines. */
#define LINE_FLOATS 16
/* Messages go in pieces of so many floats, so many of them at a time. */
#define PIECE_FLOATS ((size_t)1 << 17)
#define WINDOW       2

enum { ROUND_HERE, ROUND_IN, ROUND_OUT }; /* what is waited for */

/* ---- who does what ------------------------------------------------------------ */

static size_t begin_of(const vox_mpi *m, const vox_ask *a, size_t rank)
{
    const size_t lines = (a->count + LINE_FLOATS - 1) / LINE_FLOATS, size = (size_t)m->size;
    const size_t at = (lines / size * rank + lines % size * rank / size) * LINE_FLOATS;
    return at < a->count ? at : a->count;
}

static size_t floats_of(const vox_mpi *m, const vox_ask *a, size_t rank)
{
    const size_t end = rank + 1 < (size_t)m->size ? begin_of(m, a, rank + 1) : a->count;
    return end - begin_of(m, a, rank);
}

/* The rank of a group that sees to a rank's part there. */
static size_t server(const vox_groups *g, size_t group, size_t part)
{
    const size_t first = g->at[group], ranks = g->at[group + 1] - first;
    return g->of[part] == group ? part : g->rank[first + part % ranks];
}

static bool serves(const vox_mpi *m, const vox_ask *a, size_t part)
{
    return server(a->groups, a->groups->own, part) == (size_t)m->rank;
}

static bool is_here(const vox_ask *a, size_t rank)
{
    return a->groups->of[rank] == a->groups->own;
}

static size_t pieces_of(size_t floats)
{
    return (floats + PIECE_FLOATS - 1) / PIECE_FLOATS;
}

/* The most messages of a round that are under way at once: all that come, and a few that go. */
static size_t count_requests(const vox_mpi *m, const vox_ask *a)
{
    size_t in = a->groups->count * pieces_of(a->floats), out = 0;
    for (size_t part = 0; part < (size_t)m->size; part++)
        out += pieces_of(floats_of(m, a, part));
    return (in > out ? in : out) + (size_t)m->size * WINDOW;
}

/* The k-th group from this one on. */
static size_t group_from(const vox_groups *g, size_t k)
{
    return (g->own + k) % g->count;
}

static float *sum_of(const vox_ask *a)
{
    if (!a->memory.data)
        return a->data;
    return a->memory.data[vox_mpi_first_there(a->memory.away, a->local.leaves)];
}

/* ---- open and free -------------------------------------------------------------- */

static vox_status open_memory(vox_ask *a, const vox_sum_memory *memory, vox_error *err)
{
    const vox_groups *g = a->groups;
    const size_t ranks = g->at[g->own + 1] - g->at[g->own];
    float **data = vox_calloc(ranks, sizeof *data, "a sum over hosts", err);
    if (!data)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < ranks; i++)
        data[i] = memory->data[i];
    a->memory = *memory;
    a->memory.data = data;
    a->turn = atomic_load(&memory->started[memory->index]);
    return vox_tree_init(&a->local, ranks, err);
}

vox_status vox_mpi_sum_open(vox_ask **out, vox_mpi *m, int key, size_t count,
                            const vox_groups *groups, const vox_sum_memory *memory, vox_error *err)
{
    const size_t size = (size_t)m->size;
    *out = NULL;
    vox_ask *a = vox_calloc(1, sizeof *a, "a sum over hosts", err);
    if (!a)
        return VOX_ERR_MEMORY;
    a->kind = ASK_SUM;
    a->key = key;
    a->count = count;
    a->groups = groups ? groups : &m->each;
    a->own = begin_of(m, a, (size_t)m->rank);
    a->floats = floats_of(m, a, (size_t)m->rank);
    const size_t requests = count_requests(m, a);
    a->request = vox_calloc(requests, sizeof(MPI_Request), "a sum over hosts", err);
    a->gone = vox_calloc(requests, sizeof *a->gone, "a sum over hosts", err);
    a->out = vox_calloc(size, sizeof *a->out, "a sum over hosts", err);
    a->in = vox_calloc(size, sizeof *a->in, "a sum over hosts", err);
    size_t bytes = SIZE_MAX;
    if (vox_mul(a->floats, a->groups->count * sizeof(float), &bytes) && a->groups->count > 1)
        a->others = vox_aligned(64, bytes ? bytes : 64, "a sum over hosts", err);
    vox_status s = a->request && a->gone && a->out && a->in && (a->others || a->groups->count == 1)
                       ? vox_tree_init(&a->tree, a->groups->count, err)
                       : vox_fail_memory(err, "a sum over hosts", bytes);
    if (s == VOX_OK && memory)
        s = open_memory(a, memory, err);
    if (s != VOX_OK)
        vox_mpi_sum_free(&a);
    *out = a;
    return s;
}

void vox_mpi_sum_free(vox_ask **sum)
{
    vox_ask *a = sum ? *sum : NULL;
    if (!a)
        return;
    vox_tree_release(&a->tree);
    vox_tree_release(&a->local);
    free((void *)(uintptr_t)a->memory.data);
    free(a->request);
    free(a->gone);
    free(a->out);
    free(a->in);
    free(a->others);
    free(a);
    *sum = NULL;
}

/* ---- a sum -------------------------------------------------------------------- */

static int piece(size_t floats, size_t at)
{
    return (int)(floats - at < PIECE_FLOATS ? floats - at : PIECE_FLOATS);
}

static void begin_round(vox_ask *a, int round)
{
    a->round = round;
    a->tag = a->key * 2 + (round == ROUND_OUT);
    a->requests = 0;
    a->receives = 0;
    a->outs = 0;
    a->unsent = 0;
}

/* Pieces of a message have its tag: MPI keeps their order. */
static bool receive(vox_mpi *m, vox_ask *a, float *to, size_t floats, size_t from)
{
    bool good = true;
    for (size_t at = 0; good && at < floats; at += PIECE_FLOATS)
        good = vox_mpi_check(m,
                             MPI_Irecv(to + at, piece(floats, at), MPI_FLOAT, (int)from, a->tag,
                                       m->comm, &a->request[a->receives++]),
                             "MPI_Irecv");
    return good;
}

/* It goes when the round's receives are there: see send_more. */
static void send(vox_ask *a, const float *from, size_t floats, size_t to)
{
    if (floats == 0)
        return;
    a->out[a->outs++] = (vox_out){.from = from, .floats = floats, .to = to};
    a->unsent += pieces_of(floats);
}

/* Fills the places that are free, a piece of each message in turn.  Why only a few at a time: Open
 * MPI over TCP says "go on" to the other side behind all that it is sending there itself, so that
 * large messages went one after the other, not both ways at once. */
static bool send_more(vox_mpi *m, vox_ask *a)
{
    MPI_Request *place = a->request + a->receives;
    bool good = true;
    for (size_t i = 0; good && i < a->outs * WINDOW; i++) {
        vox_out *o = &a->out[i % a->outs];
        const size_t at = o->sent;
        if (place[i] != MPI_REQUEST_NULL || at >= o->floats)
            continue;
        o->sent += PIECE_FLOATS;
        a->unsent--;
        good = vox_mpi_check(m,
                             MPI_Isend(o->from + at, piece(o->floats, at), MPI_FLOAT, (int)o->to,
                                       a->tag, m->comm, &place[i]),
                             "MPI_Isend");
    }
    return good;
}

static bool begin_sending(vox_mpi *m, vox_ask *a)
{
    a->requests = (int)(a->receives + a->outs * WINDOW);
    for (size_t i = 0; i < a->outs * WINDOW; i++)
        a->request[a->receives + i] = MPI_REQUEST_NULL;
    return send_more(m, a);
}

bool vox_mpi_sum_sent(vox_mpi *m, vox_ask *a)
{
    int gone = 1;
    while (a->unsent > 0 && gone > 0)
        if (!vox_mpi_check(m,
                           MPI_Testsome((int)(a->outs * WINDOW), a->request + a->receives, &gone,
                                        a->gone, MPI_STATUSES_IGNORE),
                           "a message") ||
            (gone > 0 && !send_more(m, a)))
            return false;
    return a->unsent == 0;
}

/* The group's values of the parts that are this rank's business become their sum. */
static void add_up_here(const vox_mpi *m, vox_ask *a)
{
    const vox_sum_memory *memory = &a->memory;
    for (size_t part = 0; part < (size_t)m->size; part++) {
        const size_t begin = begin_of(m, a, part), floats = floats_of(m, a, part);
        if (floats == 0 || !serves(m, a, part))
            continue;
        for (size_t i = 0; i < a->local.leaves; i++)
            a->in[i] = atomic_load(&memory->away[i]) ? NULL : memory->data[i] + begin;
        vox_tree_sum(&a->local, a->in, sum_of(a) + begin, floats, NULL);
    }
}

/* The groups' sums of this rank's part come in, and this one's of other parts go out.  Each begins
 * with its neighbour, so that not all send to the same one. */
static bool exchange_in(vox_mpi *m, vox_ask *a)
{
    const size_t rank = (size_t)m->rank, size = (size_t)m->size;
    bool good = true;
    begin_round(a, ROUND_IN);
    for (size_t k = a->groups->count - 1; good && k > 0; k--) {
        const size_t group = group_from(a->groups, k);
        good =
            receive(m, a, a->others + group * a->floats, a->floats, server(a->groups, group, rank));
    }
    for (size_t k = 1; k < size; k++) {
        const size_t part = (rank + k) % size;
        if (!is_here(a, part) && serves(m, a, part))
            send(a, sum_of(a) + begin_of(m, a, part), floats_of(m, a, part), part);
    }
    return good && begin_sending(m, a);
}

/* In the tree's order from this group on: so its own values are the first leaf, and become the sum
 * where they are. */
static void add_up_groups(vox_ask *a)
{
    float *own = sum_of(a) + a->own;
    a->in[0] = own;
    for (size_t k = 1; k < a->groups->count; k++)
        a->in[k] = a->others + group_from(a->groups, k) * a->floats;
    if (a->floats > 0)
        vox_tree_sum(&a->tree, a->in, own, a->floats, NULL);
}

/* And the sums of all parts go to all groups. */
static bool exchange_out(vox_mpi *m, vox_ask *a)
{
    const size_t rank = (size_t)m->rank, size = (size_t)m->size;
    bool good = true;
    begin_round(a, ROUND_OUT);
    for (size_t k = size - 1; good && k > 0; k--) {
        const size_t part = (rank + k) % size;
        if (!is_here(a, part) && serves(m, a, part))
            good = receive(m, a, sum_of(a) + begin_of(m, a, part), floats_of(m, a, part), part);
    }
    for (size_t k = 1; k < a->groups->count; k++)
        send(a, sum_of(a) + a->own, a->floats, server(a->groups, group_from(a->groups, k), rank));
    return good && begin_sending(m, a);
}

bool vox_mpi_sum_begin(vox_mpi *m, vox_ask *a)
{
    if (!a->memory.data)
        return exchange_in(m, a);
    begin_round(a, ROUND_HERE);
    atomic_store_explicit(&a->memory.started[a->memory.index], ++a->turn, memory_order_release);
    return true;
}

bool vox_mpi_sum_advance(vox_mpi *m, vox_ask *a)
{
    switch (a->round) {
    case ROUND_HERE:
        if (!vox_mpi_counts_reached(a->memory.started, a->local.leaves, a->turn))
            return false;
        add_up_here(m, a);
        if (a->groups->count > 1)
            exchange_in(m, a);
        else
            a->requests = -1;
        return true;
    case ROUND_IN:
        add_up_groups(a);
        exchange_out(m, a);
        return true;
    default:
        a->requests = -1;
        return true;
    }
}

#endif
