/* loader.c - batches read ahead of the devices.
 *
 * A ring of ahead + 1 batch buffers: the caller holds one, threads fill the others.  Work is handed
 * out sample by sample in the order of the batches, so that several threads share one batch and
 * the order is fixed by (seed, epoch) alone, whatever the threads do. */
#include "data/dataset.h"

#include "base/mem.h"
#include "base/philox.h"
#include "base/thread.h"
#include "base/trace.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct slot {
    vox_batch batch;    /* what the caller sees */
    float *voxel;       /* [most, sample] */
    int32_t *label;     /* [most, labels] */
    size_t *case_index; /* [options.batch] */
    size_t *window;     /* [options.batch] */
    uint64_t number;    /* batches before this one since the first epoch's begin */
    size_t done;        /* samples that are there, failed ones included */
    size_t failed;      /* the lowest sample that failed; SIZE_MAX: none */
    vox_error error;
} slot;

struct vox_loader {
    vox_dataset *set;
    vox_loader_options opt;
    size_t count, sample, labels; /* samples of an epoch; voxels and labels of each */
    size_t most;                  /* samples of a batch that are read */
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
    size_t next_sample;    /* of batch open - 1, to be handed out */
    size_t reading;        /* threads that have begun */
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

static void find_share(const vox_loader *l, size_t n, size_t *from, size_t *count)
{
    *from = 0;
    *count = n;
    if (l->opt.share)
        l->opt.share(l->opt.user, n, from, count);
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
    for (size_t i = 0; i < n; i++)
        find_case(l, l->order[l->first + i], &s->case_index[i], &s->window[i]);
    s->number = l->epoch * ((l->count + l->opt.batch - 1) / l->opt.batch) + l->first / l->opt.batch;
    s->batch = (vox_batch){.voxel = s->voxel,
                           .label = s->label,
                           .case_index = s->case_index,
                           .n = n,
                           .epoch = l->epoch,
                           .first = l->first};
    find_share(l, n, &s->batch.from, &s->batch.count);
    s->done = 0;
    s->failed = SIZE_MAX;
    l->first += n;
    l->next_sample = 0;
    l->open++;
    if (s->batch.count == 0)
        pthread_cond_signal(&l->ready);
}

/* The next sample to read: waits for a free buffer.  false: time to quit.  Called with the lock
 * held.  The caller holds batch taken - 1, so its slot is free only when it takes another. */
static bool next_item(vox_loader *l, slot **out, size_t *sample)
{
    while (!l->quit) {
        if (l->open > 0) {
            slot *s = &l->ring[(l->open - 1) % l->slots];
            if (l->next_sample < s->batch.count) {
                *out = s;
                *sample = l->next_sample++;
                return true;
            }
        }
        uint64_t held = l->taken > 0 ? l->taken - 1 : 0; /* the oldest batch in use */
        if (l->open - held < l->slots)
            begin_batch(l);
        else
            pthread_cond_wait(&l->work, &l->lock);
    }
    return false;
}

static void *reader(void *arg)
{
    vox_loader *l = arg;
    slot *s;
    size_t i;
    pthread_mutex_lock(&l->lock);
    vox_trace_thread(l->opener);
    vox_trace_thread(
        vox_trace_sibling("%sreader %zu", l->opt.windows ? "validation's " : "", l->reading++));
    while (next_item(l, &s, &i)) {
        vox_error error = {0};
        const size_t sample = s->batch.from + i;
        const vox_pick pick = {.random = !l->opt.windows,
                               .seed = l->opt.seed,
                               .step = s->number,
                               .sample = sample,
                               .window = s->window[sample]};
        pthread_mutex_unlock(&l->lock);
        const vox_span span = vox_span_begin("read a sample", "data");
        vox_status status =
            vox_dataset_pick(l->set, s->case_index[sample], &pick, s->voxel + i * l->sample,
                             s->label + i * l->labels, &error);
        vox_span_end_with(&span, &(vox_trace_arg){.key = "batch", .number = (double)s->number}, 1);
        pthread_mutex_lock(&l->lock);
        if (status != VOX_OK && i < s->failed) { /* the first in order, whoever comes first */
            s->failed = i;
            s->error = error;
        }
        if (++s->done == s->batch.count)
            pthread_cond_signal(&l->ready);
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
    l->most = 1;
    for (size_t n = 1; n <= batch; n++) {
        size_t from, count;
        find_share(l, n, &from, &count);
        l->most = count > l->most ? count : l->most;
    }
    bool fits = vox_mul(l->most, l->sample, &bytes) && vox_mul(bytes, sizeof(float), &bytes);
    l->ring = vox_calloc(l->slots, sizeof *l->ring, "batch buffers", err);
    if (!l->ring)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < l->slots; i++) {
        slot *s = &l->ring[i];
        s->voxel = fits ? vox_aligned(64, bytes, "batch buffers", err) : NULL;
        s->label = vox_calloc(l->most, l->labels * sizeof *s->label, "batch buffers", err);
        s->case_index = vox_calloc(batch, sizeof *s->case_index, "batch buffers", err);
        s->window = vox_calloc(batch, sizeof *s->window, "batch buffers", err);
        if (!s->voxel || !s->label || !s->case_index || !s->window)
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

vox_status vox_loader_next(vox_loader *l, const vox_batch **batch, vox_error *err)
{
    const vox_span span = vox_span_begin("wait for data", "wait");
    pthread_mutex_lock(&l->lock);
    slot *s = &l->ring[l->taken % l->slots];
    while (l->open <= l->taken || s->done < s->batch.count)
        pthread_cond_wait(&l->ready, &l->lock);
    vox_span_end(&span);
    vox_status status = VOX_OK;
    if (s->failed != SIZE_MAX) { /* not taken: the next call finds it again */
        status = s->error.code;
        if (err)
            *err = s->error;
    } else {
        l->taken++;
        *batch = &s->batch;
        pthread_cond_broadcast(&l->work); /* the batch held before is free now */
    }
    pthread_mutex_unlock(&l->lock);
    return status;
}

const vox_batch *vox_loader_peek(vox_loader *l, size_t skip)
{
    pthread_mutex_lock(&l->lock);
    const slot *s = &l->ring[(l->taken + skip) % l->slots];
    const bool there =
        l->open > l->taken + skip && s->done == s->batch.count && s->failed == SIZE_MAX;
    pthread_mutex_unlock(&l->lock);
    return there ? &s->batch : NULL;
}

void vox_loader_free(vox_loader **loaderp)
{
    if (!loaderp || !*loaderp)
        return;
    vox_loader *l = *loaderp;
    pthread_mutex_lock(&l->lock);
    l->quit = true;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < l->threads; i++)
        pthread_join(l->thread[i], NULL);
    pthread_cond_destroy(&l->ready);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    for (size_t i = 0; l->ring && i < l->slots; i++) {
        free(l->ring[i].voxel);
        free(l->ring[i].label);
        free(l->ring[i].case_index);
        free(l->ring[i].window);
    }
    free(l->ring);
    free(l->order);
    free(l->begin);
    free(l->thread);
    free(l);
    *loaderp = NULL;
}
