/* memory.c - values share memory where their lives do not meet.
 *
 * Greedy by size: the largest value first, each to a place in one of the shared buffers that is
 * free all its life, between those that live with it (Pisarchyk, Lee, "Efficient memory management
 * for deep neural net inference", 2020, call it greedy by size for offsets).  What the caller
 * writes or reads between passes has buffers of its own. */
#include "net/plan_parts.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Buffers grow up to this, unless one value is larger: more would save nothing, and beyond 4 GiB
 * drivers have had their difficulties. */
#define SLOT_MOST ((size_t)4 << 30)
/* Values of at least a large page (src/ocl/buffer.c) begin with one; as the large ones are placed
 * first, their sizes see to that. */
#define LARGE_PAGE ((size_t)2 << 20)

static bool is_shared(const vox_steps *s, int value)
{
    return value != s->input && value != s->labels && value != s->output && value != s->loss;
}

static bool meet(const vox_value *a, const vox_value *b)
{
    return a->first <= b->last && b->first <= a->last;
}

typedef struct order {
    size_t bytes;
    int value;
} order;

static int by_size(const void *a, const void *b)
{
    const order *x = a, *y = b;
    return x->bytes != y->bytes ? (x->bytes < y->bytes) - (x->bytes > y->bytes)
                                : x->value - y->value;
}

/* [at, end) of a slot. */
typedef struct range {
    size_t at, end;
} range;

static int by_start(const void *a, const void *b)
{
    const range *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

static size_t aligned(size_t bytes)
{
    const size_t unit = bytes < LARGE_PAGE ? VOX_BUFFER_ALIGN : LARGE_PAGE;
    return (bytes + unit - 1) / unit * unit;
}

/* What is taken of a slot while a value lives, in order; returns how many ranges. */
static size_t list_taken(range *taken, const vox_steps *s, int slot, const vox_value *value)
{
    size_t n = 0;
    for (int v = 0; v < s->values; v++) {
        const vox_value *other = &s->value[v];
        if (other->slot == slot && meet(other, value))
            taken[n++] = (range){other->offset, other->offset + aligned(other->bytes)};
    }
    qsort(taken, n, sizeof *taken, by_start);
    return n;
}

/* The smallest gap that holds the value, or the end of what is taken. */
static size_t find_gap(const range *taken, size_t n, size_t bytes, size_t slot_bytes)
{
    size_t end = 0, best = SIZE_MAX, least = SIZE_MAX;
    for (size_t i = 0; i <= n; i++) {
        const size_t next = i < n ? taken[i].at : slot_bytes;
        if (next >= end + bytes && next - end < least) {
            least = next - end;
            best = end;
        }
        if (i < n && taken[i].end > end)
            end = taken[i].end;
    }
    return best != SIZE_MAX ? best : end;
}

/* Puts the value where the buffers grow least, the first such place. */
static void place(vox_memory *m, const vox_steps *s, vox_value *value, range *taken)
{
    size_t least = aligned(value->bytes), offset = 0; /* a buffer more */
    int best = m->slots;
    for (int slot = 0; slot < m->slots; slot++) {
        const size_t n = list_taken(taken, s, slot, value);
        const size_t at = find_gap(taken, n, value->bytes, m->slot[slot]);
        const size_t end = at + aligned(value->bytes);
        const size_t growth = end > m->slot[slot] ? end - m->slot[slot] : 0;
        if (growth < least && (growth == 0 || end <= m->slot_most)) {
            least = growth;
            best = slot;
            offset = at;
        }
    }
    value->slot = best;
    value->offset = offset;
    m->slots += best == m->slots;
    m->slot[best] += least;
    m->activation_bytes += least;
}

static bool open_memory(vox_memory *m, const vox_steps *s, order **sorted, range **taken,
                        vox_error *err)
{
    const size_t n = (size_t)s->values;
    *sorted = vox_calloc(n, sizeof **sorted, "a plan", err);
    *taken = vox_calloc(n, sizeof **taken, "a plan", err);
    m->slot = vox_calloc(n, sizeof *m->slot, "a plan", err);
    return *sorted && *taken && m->slot;
}

vox_status vox_memory_init(vox_memory *m, vox_steps *s, const vox_wiring *w, const vox_device *dev,
                           vox_error *err)
{
    const uint64_t flat = w->graph->flat_floats * sizeof(float);
    const uint64_t most = dev ? vox_device_get(dev)->max_alloc_bytes : SLOT_MOST;
    *m = (vox_memory){.flat_bytes = flat,
                      .parameter_bytes = w->training ? 2 * flat : flat,
                      .slot_most = most < SLOT_MOST ? (size_t)most : SLOT_MOST};
    order *sorted;
    range *taken;
    const bool room = open_memory(m, s, &sorted, &taken, err);
    for (int v = 0; v < s->values && room; v++) {
        sorted[v] = (order){s->value[v].bytes, v};
        s->value[v].slot = -1;
    }
    if (room)
        qsort(sorted, (size_t)s->values, sizeof *sorted, by_size);
    for (int i = 0; i < s->values && room; i++) {
        vox_value *v = &s->value[sorted[i].value];
        if (is_shared(s, sorted[i].value))
            place(m, s, v, taken);
        else
            m->activation_bytes += v->bytes;
    }
    free(sorted);
    free(taken);
    if (!room)
        vox_memory_release(m);
    return room ? VOX_OK : VOX_ERR_MEMORY;
}

void vox_memory_ahead(vox_memory *m, const vox_steps *s)
{
    m->activation_bytes += s->value[s->input].bytes;
    if (s->labels >= 0)
        m->activation_bytes += s->value[s->labels].bytes;
}

uint64_t vox_memory_bytes(const vox_memory *m)
{
    return m->activation_bytes + m->parameter_bytes;
}

uint64_t vox_memory_peak(const vox_steps *s)
{
    uint64_t most = 0;
    for (int i = 0; i < s->steps; i++) {
        uint64_t live = 0;
        for (int v = 0; v < s->values; v++)
            if (s->value[v].first <= i && i <= s->value[v].last)
                live += s->value[v].bytes;
        most = live > most ? live : most;
    }
    return most;
}

void vox_memory_release(vox_memory *m)
{
    free(m->slot);
    memset(m, 0, sizeof *m);
}

static vox_status too_large(const vox_device_desc *d, const char *what, uint64_t wanted,
                            const char *limit, uint64_t there, int64_t n_max, vox_error *err)
{
    vox_fail(err, VOX_ERR_ROOM, "device %d cannot hold the plan", d->index);
    vox_detail(err, "%s: %s at batch %lld wants %llu bytes, %s is %llu", d->name, what,
               (long long)n_max, (unsigned long long)wanted, limit, (unsigned long long)there);
    vox_hint(err, n_max > 1 ? "use a smaller train.batch or input size, more devices, or a device "
                              "with more memory"
                            : "use a smaller input size or a device with more memory");
    return VOX_ERR_ROOM;
}

vox_status vox_memory_check(const vox_memory *m, const vox_steps *s, const vox_device *dev,
                            const vox_plan_options *opt, vox_error *err)
{
    const vox_device_desc *d = vox_device_get(dev);
    const uint64_t wanted = vox_memory_bytes(m);
    const uint64_t used = vox_device_bytes(dev);
    const uint64_t there = d->global_mem_bytes > used ? d->global_mem_bytes - used : 0;
    for (int v = 0; v < s->values; v++)
        if (s->value[v].bytes > d->max_alloc_bytes)
            return too_large(d, s->value[v].what, s->value[v].bytes, "its largest allocation",
                             d->max_alloc_bytes, opt->n_max, err);
    if (m->flat_bytes > d->max_alloc_bytes)
        return too_large(d, "the parameters", m->flat_bytes, "its largest allocation",
                         d->max_alloc_bytes, 1, err);
    if (wanted > there)
        return too_large(d, "the plan", wanted, "what is left of its memory", there, opt->n_max,
                         err);
    if (opt->memory && wanted > opt->memory)
        return too_large(d, "the plan", wanted, "train.memory_mib in bytes", opt->memory,
                         opt->n_max, err);
    return VOX_OK;
}
