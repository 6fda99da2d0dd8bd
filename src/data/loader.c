/* loader.c - batches read ahead of the devices.
 *
 * A ring of ahead + 1 batch buffers: the caller holds one, threads fill the others.  Work is handed
 * out sample by sample in the order of the batches, so that several threads share one batch and
 * the order is fixed by (seed, epoch) alone, whatever the threads do.
 *
 * A sample is read to its place in the whole batch, also where only a share is wanted: so a share
 * may change with the batch half read, and memory that no sample comes to is never touched.  One
 * that the set keeps as it is stays there: copying it would cost the devices' threads a memory's
 * width that on CPUs they share. */
#include "data/dataset.h"

#include "base/mem.h"
#include "base/philox.h"
#include "base/thread.h"
#include "base/trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Smaller ones are copied next to each other all the same: each that is not costs a device a copy
 * command, some microseconds. */
#define IN_PLACE_BYTES 262144

typedef enum sample_state { UNREAD, READING, THERE, FAILED } sample_state;

typedef struct slot {
    vox_batch batch;     /* what the caller sees */
    float *voxel;        /* [options.batch, sample]: room for copies */
    const float **at;    /* [options.batch]: where each sample is, or will be */
    int32_t *label;      /* [options.batch, labels] */
    size_t *case_index;  /* [options.batch] */
    size_t *window;      /* [options.batch] */
    sample_state *state; /* [options.batch] */
    uint64_t number;     /* batches before this one since the first epoch's begin */
    size_t next;         /* of the share, those before this one were handed out */
    size_t missing;      /* samples of the share that are neither there nor failed */
    size_t reading;      /* threads at work on it */
    size_t failed;       /* the lowest sample of the share that failed; SIZE_MAX: none */
    vox_error error;
} slot;

struct vox_loader {
    vox_dataset *set;
    vox_loader_options opt;
    size_t count, sample, labels; /* samples of an epoch; voxels and labels of each */
    size_t *begin;                /* [cases]: the first sample of each; NULL: a sample a case */
    size_t *order;                /* [count], of the epoch being handed out */
    pthread_t *thread;            /* [threads] */
    size_t threads;
    vox_track *opener;    /* the trace's track of the thread that opened it, or NULL */
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;  /* a buffer became free, or it is time to quit */
    pthread_cond_t ready; /* a batch is whole */
    slot *ring;           /* [slots] */
    size_t slots;
    uint64_t epoch, first; /* where the next batch begins */
    uint64_t open;         /* batches begun, and */
    uint64_t taken;        /* given to the caller, since the loader opened */
    size_t readers;        /* threads that have begun */
    bool quit;
};

static void make_order(vox_loader *l)
{
    for (size_t i = 0; i < l->count; i++)
        l->order[i] = i;
    if (!l->opt.shuffle)
        return;
    vox_random r;
    vox_random_init(&r, l->opt.seed, VOX_RANDOM_SHUFFLE, 0, l->epoch, 0);
    for (size_t i = l->count - 1; i > 0; i--) { /* Fisher-Yates */
        size_t j = vox_random_below(&r, (uint32_t)(i + 1));
        size_t swap = l->order[i];
        l->order[i] = l->order[j];
        l->order[j] = swap;
    }
}

/* Which case a sample is of, and which of its windows. */
static void find_case(const vox_loader *l, size_t sample, size_t *index, size_t *window)
{
    size_t low = 0, high = l->begin ? vox_dataset_count(l->set) : 0;
    *index = sample;
    *window = 0;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        *(l->begin[middle] <= sample ? &low : &high) = middle;
    }
    if (l->begin) {
        *index = low;
        *window = sample - l->begin[low];
    }
}

/* What the caller wants of a batch, as it is now.  Called with the lock held. */
static void set_share(vox_loader *l, slot *s)
{
    vox_batch *b = &s->batch;
    size_t from = 0, count = b->n;
    if (l->opt.share)
        l->opt.share(l->opt.user, b->n, &from, &count);
    if (b->sample && from == b->from && count == b->count)
        return;
    b->from = from;
    b->count = count;
    b->sample = s->at + from;
    b->label = s->label + from * l->labels;
    s->next = from;
    s->missing = 0;
    s->failed = SIZE_MAX;
    for (size_t i = from; i < from + count; i++) {
        if (s->state[i] == FAILED)
            s->state[i] = UNREAD; /* so that its error is found again */
        s->missing += s->state[i] != THERE;
    }
    if (s->missing == 0)
        pthread_cond_signal(&l->ready);
}

static const float *place_of(const vox_loader *l, const slot *s, size_t i)
{
    const bool large = l->sample * sizeof(float) >= IN_PLACE_BYTES;
    const float *kept = large ? vox_dataset_kept(l->set, s->case_index[i]) : NULL;
    return kept ? kept : s->voxel + i * l->sample;
}

/* Sets up the next batch in its slot.  Called with the lock held. */
static void begin_batch(vox_loader *l)
{
    slot *s = &l->ring[l->open % l->slots];
    if (l->first == l->count) {
        l->first = 0;
        l->epoch++;
        make_order(l);
    }
    size_t left = l->count - (size_t)l->first;
    size_t n = left < l->opt.batch ? left : l->opt.batch;
    for (size_t i = 0; i < n; i++) {
        find_case(l, l->order[l->first + i], &s->case_index[i], &s->window[i]);
        s->at[i] = place_of(l, s, i);
        s->state[i] = UNREAD;
    }
    s->number = l->epoch * ((l->count + l->opt.batch - 1) / l->opt.batch) + l->first / l->opt.batch;
    s->batch =
        (vox_batch){.case_index = s->case_index, .n = n, .epoch = l->epoch, .first = l->first};
    l->first += n;
    l->open++;
    set_share(l, s);
}

/* The oldest batch that the caller may have in use.  Called with the lock held, as are these: */
static uint64_t oldest(const vox_loader *l)
{
    return l->taken > 0 ? l->taken - 1 : 0;
}

/* The next sample that nobody has begun to read, of the batches that are open. */
static bool find_item(vox_loader *l, slot **out, size_t *sample)
{
    for (uint64_t k = oldest(l); k < l->open; k++) {
        slot *s = &l->ring[k % l->slots];
        const size_t end = s->batch.from + s->batch.count;
        while (s->next < end && s->state[s->next] != UNREAD)
            s->next++;
        if (s->next < end) {
            *out = s;
            *sample = s->next++;
            return true;
        }
    }
    return false;
}

/* The next sample to read: waits for a free buffer.  false: time to quit.  The caller holds batch
 * taken - 1, so its slot is free only when it takes another; and only when nobody reads a sample to
 * it any more that is no longer wanted. */
static bool next_item(vox_loader *l, slot **out, size_t *sample)
{
    while (!l->quit) {
        if (find_item(l, out, sample))
            return true;
        if (l->open - oldest(l) < l->slots && l->ring[l->open % l->slots].reading == 0)
            begin_batch(l);
        else
            pthread_cond_wait(&l->work, &l->lock);
    }
    return false;
}

/* A sample was read, or could not be. */
static void note_read(vox_loader *l, slot *s, size_t sample, vox_status status, const vox_error *e)
{
    const vox_batch *b = &s->batch;
    s->reading--;
    s->state[sample] = status == VOX_OK ? THERE : FAILED;
    if (sample < b->from || sample >= b->from + b->count) {
        pthread_cond_broadcast(&l->work); /* the slot may be free now */
        return;
    }
    if (status != VOX_OK && sample < s->failed) { /* the first in order, whoever comes first */
        s->failed = sample;
        s->error = *e;
    }
    if (--s->missing == 0)
        pthread_cond_signal(&l->ready);
}

/* Reads what is not in its place yet.  Called without the lock. */
static vox_status read_sample(vox_loader *l, const slot *s, size_t i, vox_error *err)
{
    const vox_pick pick = {.random = !l->opt.windows,
                           .seed = l->opt.seed,
                           .step = s->number,
                           .sample = i,
                           .window = s->window[i]};
    float *room = s->voxel + i * l->sample;
    const vox_span span = vox_span_begin("read a sample", "data");
    vox_status status =
        vox_dataset_pick(l->set, s->case_index[i], &pick, s->at[i] == room ? room : NULL,
                         s->label + i * l->labels, err);
    vox_span_end_with(&span, &(vox_trace_arg){.key = "batch", .number = (double)s->number}, 1);
    return status;
}

static void *reader(void *arg)
{
    vox_loader *l = arg;
    slot *s;
    size_t sample;
    pthread_mutex_lock(&l->lock);
    vox_trace_thread(l->opener);
    vox_trace_thread(
        vox_trace_sibling("%sreader %zu", l->opt.windows ? "validation's " : "", l->readers++));
    while (next_item(l, &s, &sample)) {
        vox_error error = {0};
        s->state[sample] = READING;
        s->reading++;
        pthread_mutex_unlock(&l->lock);
        vox_status status = read_sample(l, s, sample, &error);
        pthread_mutex_lock(&l->lock);
        note_read(l, s, sample, status, &error);
    }
    pthread_mutex_unlock(&l->lock);
    vox_trace_thread(NULL);
    return NULL;
}

static vox_status check_options(const vox_loader_options *opt, size_t count, vox_error *err)
{
    if (opt->batch < 1)
        return vox_fail(err, VOX_ERR_USAGE, "a batch must hold at least one sample");
    if (count < 1 || count > UINT32_MAX)
        return vox_fail(err, VOX_ERR_INPUT, "a data set must have 1 to 2^32-1 cases");
    if (opt->first <= count)
        return VOX_OK;
    vox_fail(err, VOX_ERR_INPUT, "the position to go on from is past the end of the data set");
    vox_detail(err, "position %llu of %zu cases", (unsigned long long)opt->first, count);
    return vox_hint(err, "resume with the data set that the run began with");
}

static vox_status count_samples(vox_loader *l, vox_error *err)
{
    size_t cases = vox_dataset_count(l->set);
    l->count = cases;
    if (!l->opt.windows)
        return VOX_OK;
    l->begin = vox_calloc(cases, sizeof *l->begin, "the windows of all cases", err);
    l->count = 0;
    for (size_t i = 0; l->begin && i < cases; i++) {
        l->begin[i] = l->count;
        l->count += vox_dataset_windows(l->set, i);
    }
    return l->begin ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status make_ring(vox_loader *l, vox_error *err)
{
    size_t batch = l->opt.batch, bytes = SIZE_MAX;
    bool fits = vox_mul(batch, l->sample, &bytes) && vox_mul(bytes, sizeof(float), &bytes);
    l->ring = vox_calloc(l->slots, sizeof *l->ring, "batch buffers", err);
    if (!l->ring)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < l->slots; i++) {
        slot *s = &l->ring[i];
        s->voxel = fits ? vox_aligned(64, bytes, "batch buffers", err) : NULL;
        s->at = vox_calloc(batch, sizeof *s->at, "batch buffers", err);
        s->label = vox_calloc(batch, l->labels * sizeof *s->label, "batch buffers", err);
        s->case_index = vox_calloc(batch, sizeof *s->case_index, "batch buffers", err);
        s->window = vox_calloc(batch, sizeof *s->window, "batch buffers", err);
        s->state = vox_calloc(batch, sizeof *s->state, "batch buffers", err);
        if (!s->voxel || !s->at || !s->label || !s->case_index || !s->window || !s->state)
            return vox_fail_memory(err, "batch buffers", bytes);
    }
    return VOX_OK;
}

static vox_status start_threads(vox_loader *l, vox_error *err)
{
    size_t want = l->opt.threads ? l->opt.threads : vox_processors() - 1;
    want = want ? want : 1;
    l->thread = vox_calloc(want, sizeof *l->thread, "reading threads", err);
    if (!l->thread)
        return VOX_ERR_MEMORY;
    while (l->threads < want && pthread_create(&l->thread[l->threads], NULL, reader, l) == 0)
        l->threads++;
    if (l->threads > 0) /* fewer threads do the same work */
        return VOX_OK;
    return vox_fail(err, VOX_ERR_MEMORY, "cannot start a thread to read data");
}

vox_status vox_loader_open(vox_loader **out, vox_dataset *set, const vox_loader_options *opt,
                           vox_error *err)
{
    *out = NULL;
    vox_loader *l = vox_calloc(1, sizeof *l, "a loader", err);
    if (!l)
        return VOX_ERR_MEMORY;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    l->set = set;
    l->opt = *opt;
    l->sample = vox_dataset_sample(set);
    l->labels = vox_dataset_labels(set);
    l->opener = vox_trace_here;
    l->slots = (opt->ahead ? opt->ahead : 1) + 1;
    l->epoch = opt->epoch;
    l->first = opt->first;
    vox_status s = count_samples(l, err);
    if (s == VOX_OK)
        s = check_options(opt, l->count, err);
    if (l->opt.batch > l->count)
        l->opt.batch = l->count;
    if (s == VOX_OK && !(l->order = vox_calloc(l->count, sizeof *l->order, "an epoch", err)))
        s = VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = make_ring(l, err);
    if (s == VOX_OK) {
        make_order(l);
        s = start_threads(l, err);
    }
    if (s != VOX_OK)
        vox_loader_free(&l);
    *out = l;
    return s;
}

size_t vox_loader_count(const vox_loader *l)
{
    return l->count;
}

/* Waits until the batch is whole.  Called with the lock held. */
static vox_status await(vox_loader *l, uint64_t k, vox_error *err)
{
    const vox_span span = vox_span_begin("wait for data", "wait");
    const slot *s = &l->ring[k % l->slots];
    while (l->open <= k || s->missing > 0)
        pthread_cond_wait(&l->ready, &l->lock);
    vox_span_end(&span);
    if (s->failed == SIZE_MAX)
        return VOX_OK;
    if (err)
        *err = s->error;
    return s->error.code;
}

vox_status vox_loader_next(vox_loader *l, const vox_batch **batch, vox_error *err)
{
    pthread_mutex_lock(&l->lock);
    vox_status status = await(l, l->taken, err);
    if (status == VOX_OK) { /* else it is not taken: the next call finds it again */
        *batch = &l->ring[l->taken % l->slots].batch;
        l->taken++;
        pthread_cond_broadcast(&l->work); /* the batch held before is free now */
    }
    pthread_mutex_unlock(&l->lock);
    return status;
}

void vox_loader_share_anew(vox_loader *l)
{
    pthread_mutex_lock(&l->lock);
    for (uint64_t k = l->taken; k < l->open; k++)
        set_share(l, &l->ring[k % l->slots]);
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
}

vox_status vox_loader_again(vox_loader *l, vox_error *err)
{
    vox_loader_share_anew(l);
    pthread_mutex_lock(&l->lock);
    set_share(l, &l->ring[(l->taken - 1) % l->slots]);
    pthread_cond_broadcast(&l->work);
    vox_status status = await(l, l->taken - 1, err);
    pthread_mutex_unlock(&l->lock);
    return status;
}

const vox_batch *vox_loader_peek(vox_loader *l, size_t skip)
{
    pthread_mutex_lock(&l->lock);
    const slot *s = &l->ring[(l->taken + skip) % l->slots];
    const bool there = l->open > l->taken + skip && s->missing == 0 && s->failed == SIZE_MAX;
    pthread_mutex_unlock(&l->lock);
    return there ? &s->batch : NULL;
}

void vox_loader_stop(vox_loader *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->quit = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    while (l->threads > 0)
        pthread_join(l->thread[--l->threads], NULL);
}

void vox_loader_free(vox_loader **loaderp)
{
    if (!loaderp || !*loaderp)
        return;
    vox_loader *l = *loaderp;
    vox_loader_stop(l);
    pthread_cond_destroy(&l->ready);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    for (size_t i = 0; l->ring && i < l->slots; i++) {
        free(l->ring[i].voxel);
        free(l->ring[i].at);
        free(l->ring[i].label);
        free(l->ring[i].case_index);
        free(l->ring[i].window);
        free(l->ring[i].state);
    }
    free(l->ring);
    free(l->order);
    free(l->begin);
    free(l->thread);
    free(l);
    *loaderp = NULL;
}
