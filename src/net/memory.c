/* memory.c - values share buffers where their lives do not meet.
 *
 * Greedy by size: the largest value first, each into the first shared buffer whose values are all
 * dead before it is born or born after it is dead (Pisarchyk, Lee, "Efficient memory management
 * for deep neural net inference", 2020, call it greedy by size).  A value is a prefix of its
 * buffer.  What the caller writes or reads between passes has buffers of its own. */
#include "net/plan_parts.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

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

static int find_slot(const vox_memory *m, const vox_steps *s, int value)
{
    for (int slot = 0; slot < m->slots; slot++) {
        bool free_then = true;
        for (int v = 0; v < s->values && free_then; v++)
            free_then = s->value[v].slot != slot || !meet(&s->value[v], &s->value[value]);
        if (free_then)
            return slot;
    }
    return m->slots;
}

vox_status vox_memory_init(vox_memory *m, vox_steps *s, const vox_wiring *w, vox_error *err)
{
    const uint64_t flat = w->graph->flat_floats * sizeof(float);
    *m = (vox_memory){.flat_bytes = flat, .parameter_bytes = w->training ? 2 * flat : flat};
    order *sorted = vox_calloc((size_t)s->values, sizeof *sorted, "a plan", err);
    m->slot = vox_calloc((size_t)s->values, sizeof *m->slot, "a plan", err);
    if (!sorted || !m->slot) {
        free(sorted);
        vox_memory_release(m);
        return VOX_ERR_MEMORY;
    }
    for (int v = 0; v < s->values; v++)
        sorted[v] = (order){s->value[v].bytes, v};
    qsort(sorted, (size_t)s->values, sizeof *sorted, by_size);
    for (int i = 0; i < s->values; i++) {
        vox_value *v = &s->value[sorted[i].value];
        if (!is_shared(s, sorted[i].value)) {
            m->activation_bytes += v->bytes;
            continue;
        }
        v->slot = find_slot(m, s, sorted[i].value);
        if (v->slot == m->slots) {
            m->slot[m->slots++] = v->bytes; /* the largest comes first */
            m->activation_bytes += v->bytes;
        }
    }
    free(sorted);
    return VOX_OK;
}

void vox_memory_ahead(vox_memory *m, const vox_steps *s)
{
    m->activation_bytes += s->value[s->input].bytes;
    if (s->labels >= 0)
        m->activation_bytes += s->value[s->labels].bytes;
}

void vox_memory_release(vox_memory *m)
{
    free(m->slot);
    memset(m, 0, sizeof *m);
}

static vox_status too_large(const vox_device_desc *d, const char *what, uint64_t wanted,
                            const char *limit, uint64_t there, int64_t n_max, vox_error *err)
{
    vox_fail(err, VOX_ERR_DEVICE, "device %d cannot hold the plan", d->index);
    vox_detail(err, "%s: %s at batch %lld wants %llu bytes, %s is %llu", d->name, what,
               (long long)n_max, (unsigned long long)wanted, limit, (unsigned long long)there);
    vox_hint(err, n_max > 1 ? "use a smaller train.batch or input size, more devices, or a device "
                              "with more memory"
                            : "use a smaller input size or a device with more memory");
    return VOX_ERR_DEVICE;
}

vox_status vox_memory_check(const vox_memory *m, const vox_steps *s, const vox_device *dev,
                            int64_t n_max, vox_error *err)
{
    const vox_device_desc *d = vox_device_get(dev);
    const uint64_t wanted = m->activation_bytes + m->parameter_bytes;
    const uint64_t used = vox_device_bytes(dev);
    const uint64_t there = d->global_mem_bytes > used ? d->global_mem_bytes - used : 0;
    for (int v = 0; v < s->values; v++)
        if (s->value[v].bytes > d->max_alloc_bytes)
            return too_large(d, s->value[v].what, s->value[v].bytes, "its largest allocation",
                             d->max_alloc_bytes, n_max, err);
    if (m->flat_bytes > d->max_alloc_bytes)
        return too_large(d, "the parameters", m->flat_bytes, "its largest allocation",
                         d->max_alloc_bytes, 1, err);
    if (wanted > there)
        return too_large(d, "the plan", wanted, "what is left of its memory", there, n_max, err);
    return VOX_OK;
}
