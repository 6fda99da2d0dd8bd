/* replica.c - the network on one device, with the host thread that drives it. */
#include "parallel/replica.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct vox_replica {
    vox_device *dev;
    vox_replica_options opt;
    vox_plan *plan;
    vox_augment *augment; /* NULL: none */
    vox_buckets *buckets; /* NULL: gradients stay on the device */
    vox_buffer *stage;    /* where they come to: pinned; NULL where device memory is host memory, */
    vox_host_memory *grads; /* which then is this */
    size_t sample_floats;   /* of one input */
    size_t sample_labels;   /* vox_graph_labels */
    vox_share early;        /* uploaded into the plan's next input; n 0: nothing is */
    bool early_augmented;   /* ... and augmented, or enqueued to be */
    bool quiet;             /* since the last finish nothing but that was enqueued */
    char title[160];
    vox_meter meter;
    vox_meter before; /* as the last work found it; of one that was abandoned, what counts */
    vox_track *track; /* of its thread in the trace; NULL: there is none */

    pthread_t thread;
    bool running; /* the thread was started */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    vox_replica_fn work; /* NULL: nothing to do */
    void *arg;
    bool quit;
    bool abandoned;    /* nobody waits for the thread any more */
    vox_status status; /* of the last work */
    vox_error err;
};

/* ---- the thread ---------------------------------------------------------- */

static void *replica_main(void *user)
{
    vox_replica *r = user;
    vox_trace_thread(r->track);
    vox_device_bind_thread(r->dev);
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!r->work && !r->quit)
            pthread_cond_wait(&r->changed, &r->lock);
        if (!r->work)
            break;
        vox_replica_fn work = r->work;
        pthread_mutex_unlock(&r->lock);
        vox_error err = {0};
        vox_status status = work(r, r->arg, &err);
        vox_meter_set(&r->meter, VOX_PHASE_WAIT);
        pthread_mutex_lock(&r->lock);
        r->status = status;
        r->err = err;
        r->work = NULL;
        pthread_cond_broadcast(&r->changed);
        if (r->abandoned)
            break;
    }
    pthread_mutex_unlock(&r->lock);
    vox_trace_thread(NULL);
    return NULL;
}

void vox_replica_post(vox_replica *r, vox_replica_fn fn, void *arg)
{
    pthread_mutex_lock(&r->lock);
    r->before = r->meter;
    r->work = fn;
    r->arg = arg;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* The lock is held and the work is done. */
static vox_status outcome(const vox_replica *r, vox_error *err)
{
    if (r->status != VOX_OK && err) {
        *err = r->err;
        if (!strstr(err->detail, r->title))
            vox_error_at(err, "device %s", r->title);
    }
    return r->status;
}

vox_status vox_replica_wait(vox_replica *r, vox_error *err)
{
    pthread_mutex_lock(&r->lock);
    while (r->work)
        pthread_cond_wait(&r->changed, &r->lock);
    vox_status s = outcome(r, err);
    pthread_mutex_unlock(&r->lock);
    return s;
}

bool vox_replica_wait_for(vox_replica *r, double seconds, vox_status *status, vox_error *err)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)seconds;
    end.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    end.tv_sec += end.tv_nsec / 1000000000;
    end.tv_nsec %= 1000000000;
    int waited = 0;
    pthread_mutex_lock(&r->lock);
    while (r->work && waited == 0)
        waited = pthread_cond_timedwait(&r->changed, &r->lock, &end);
    const bool done = !r->work;
    if (done)
        *status = outcome(r, err);
    pthread_mutex_unlock(&r->lock);
    return done;
}

void vox_replica_abandon(vox_replica *r)
{
    pthread_mutex_lock(&r->lock);
    r->abandoned = true;
    pthread_mutex_unlock(&r->lock);
    pthread_detach(r->thread);
    vox_device_abandon(r->dev);
}

/* ---- building ------------------------------------------------------------ */

/* What the trace calls the device's work; nothing without one. */
static void name_labels(vox_replica *r)
{
    for (size_t i = 0; i < vox_plan_rows(r->plan); i++) {
        const vox_plan_row row = vox_plan_row_get(r->plan, i);
        const bool own = !strcmp(row.op, "reorder") || !strcmp(row.op, "sum"); /* no layer's */
        vox_device_label_name(r->dev, row.label, "%s %s %s%s%s", row.layer,
                              vox_pass_names[row.pass], own ? row.op : "", own ? " " : "",
                              row.algo);
    }
    vox_device_label_name(r->dev, VOX_LABEL_TRANSFER, "transfer");
    vox_device_label_name(r->dev, VOX_LABEL_UPDATE, "update");
    vox_device_label_name(r->dev, VOX_LABEL_AUGMENT, "augment");
}

static vox_status open_buckets(vox_replica *r, size_t bytes, vox_error *err)
{
    vox_status s = r->grads ? VOX_OK
                            : vox_buffer_open(&r->stage, r->dev, bytes, VOX_BUFFER_PINNED,
                                              "the host's copy of the gradients", err);
    if (s != VOX_OK)
        return s;
    float *host = r->grads ? vox_host_memory_at(r->grads) : vox_buffer_host(r->stage);
    return vox_buckets_open(&r->buckets, r->plan, r->dev, r->opt.bucket, r->opt.buckets, host,
                            r->grads != NULL, err);
}

static vox_status build(vox_replica *r, void *arg, vox_error *err)
{
    (void)arg;
    const vox_span span = vox_span_begin("build", "setup");
    const vox_graph *g = r->opt.graph;
    if (!vox_device_has_host_memory(r->dev))
        r->opt.copy = true;
    if (r->opt.copy)
        r->opt.params = NULL;
    const size_t flat = (g->flat_floats ? g->flat_floats : 1) * sizeof(float);
    vox_status s = VOX_OK;
    if (r->opt.bucket && !r->opt.copy && r->opt.grads)
        r->grads = r->opt.grads;
    else if (r->opt.bucket && !r->opt.copy)
        s = vox_host_memory_open(&r->grads, flat, "gradients of the parameters", err);
    const vox_plan_options plan = {.n_max = r->opt.n_max,
                                   .training = r->opt.training,
                                   .algo = r->opt.algo,
                                   .workspace = r->opt.workspace,
                                   .memory = r->opt.memory,
                                   .times = r->opt.times,
                                   .params = r->opt.params,
                                   .grads = r->grads,
                                   .factors = r->opt.factors ? r->opt.factors->has : NULL,
                                   .ahead = r->opt.training};
    if (r->track && s == VOX_OK)
        s = vox_device_trace(r->dev, vox_track_trace(r->track), r->title, err);
    if (s == VOX_OK)
        s = vox_plan_open(&r->plan, g, r->dev, &plan, err);
    if (s == VOX_OK)
        name_labels(r);
    if (s == VOX_OK && r->opt.augment && r->opt.training)
        s = vox_augment_open(&r->augment, r->opt.augment, r->dev, &g->input, r->opt.n_max, err);
    if (s == VOX_OK && r->opt.bucket)
        s = open_buckets(r, flat, err);
    r->sample_floats = (size_t)vox_sample_floats(&g->input, VOX_LAYOUT_PLAIN);
    r->sample_labels = vox_graph_labels(g);
    vox_span_end(&span);
    return s;
}

static vox_status release(vox_replica *r, void *arg, vox_error *err)
{
    (void)arg;
    vox_device_finish(r->dev, NULL); /* the next share's augmentation */
    vox_buckets_free(&r->buckets);
    vox_buffer_free(&r->stage);
    vox_augment_free(&r->augment);
    vox_plan_free(&r->plan);
    if (!r->opt.grads)
        vox_host_memory_free(&r->grads);
    return r->track ? vox_device_trace(r->dev, NULL, NULL, err) : VOX_OK;
}

vox_status vox_replica_open(vox_replica **out, size_t index, vox_device *dev,
                            const vox_replica_options *opt, vox_error *err)
{
    *out = NULL;
    vox_replica *r = vox_calloc(1, sizeof *r, "a replica", err);
    if (!r)
        return VOX_ERR_MEMORY;
    r->dev = dev;
    r->opt = *opt;
    snprintf(r->title, sizeof r->title, "%s", vox_device_title(dev));
    r->track = vox_trace_sibling("replica %s", r->title);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    r->running = pthread_create(&r->thread, NULL, replica_main, r) == 0;
    if (!r->running) {
        vox_replica_free(&r);
        return vox_fail(err, VOX_ERR_MEMORY, "cannot start a thread for device %zu", index);
    }
    vox_replica_post(r, build, NULL);
    *out = r;
    return VOX_OK;
}

void vox_replica_free(vox_replica **rp)
{
    vox_replica *r = rp ? *rp : NULL;
    if (!r)
        return;
    if (r->abandoned) {
        *rp = NULL;
        return;
    }
    if (r->running) {
        vox_replica_wait(r, NULL);
        vox_replica_post(r, release, NULL);
        vox_replica_wait(r, NULL);
        pthread_mutex_lock(&r->lock);
        r->quit = true;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->thread, NULL);
    }
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    free(r);
    *rp = NULL;
}

vox_device *vox_replica_device(const vox_replica *r)
{
    return r->dev;
}

vox_plan *vox_replica_plan(const vox_replica *r)
{
    return r->plan;
}

const char *vox_replica_title(const vox_replica *r)
{
    return r->title;
}

vox_meter *vox_replica_meter(vox_replica *r)
{
    return r->abandoned ? &r->before : &r->meter;
}

vox_meter *vox_replica_work_meter(vox_replica *r)
{
    return &r->meter;
}

/* ---- work ---------------------------------------------------------------- */

static const float *voxels_of(const vox_replica *r, const vox_share *share, size_t i)
{
    return share->voxel ? share->voxel + i * r->sample_floats : share->sample[i];
}

/* Samples that lie next to each other go in one copy, which reads the caller's memory directly: it
 * stays as it is until the step is done. */
static vox_status write_voxels(vox_replica *r, vox_buffer *buf, const vox_share *share, bool beside,
                               vox_error *err)
{
    const size_t n = (size_t)share->n, bytes = r->sample_floats * sizeof(float);
    vox_status s = VOX_OK;
    for (size_t i = 0, end; s == VOX_OK && i < n; i = end) {
        const float *from = voxels_of(r, share, i);
        for (end = i + 1;
             end < n && voxels_of(r, share, end) == from + (end - i) * r->sample_floats;)
            end++;
        s = beside ? vox_buffer_write_beside(buf, i * bytes, from, (end - i) * bytes, err)
                   : vox_buffer_write(buf, i * bytes, from, (end - i) * bytes, false, err);
    }
    return s;
}

static vox_status upload(vox_replica *r, const vox_share *share, vox_error *err)
{
    size_t n = (size_t)share->n;
    vox_device_label(r->dev, VOX_LABEL_TRANSFER);
    vox_status s = write_voxels(r, vox_plan_input(r->plan)->buf, share, false, err);
    if (s == VOX_OK && share->label)
        s = vox_buffer_write(vox_plan_labels(r->plan)->buf, 0, share->label,
                             n * r->sample_labels * sizeof(int32_t), false, err);
    return s;
}

/* While the step runs, into buffers that it does not use. */
static vox_status upload_next(vox_replica *r, const vox_share *next, vox_error *err)
{
    size_t n = (size_t)next->n;
    if (n == 0)
        return VOX_OK;
    vox_device_label(r->dev, VOX_LABEL_TRANSFER);
    vox_status s = write_voxels(r, vox_plan_next_input(r->plan), next, true, err);
    if (s == VOX_OK)
        s = vox_buffer_write_beside(vox_plan_next_labels(r->plan), 0, next->label,
                                    n * r->sample_labels * sizeof(int32_t), err);
    if (s == VOX_OK)
        r->early = *next;
    return s;
}

/* The labels, if there is one for each voxel of the input: they move with the voxels. */
static bool labels_are_of_voxels(const vox_replica *r)
{
    const int64_t *size = r->opt.graph->input.dim + 2;
    return r->sample_labels > 1 && r->sample_labels == (size_t)(size[0] * size[1] * size[2]);
}

/* next: what lies in the plan's next input. */
static vox_status augment(vox_replica *r, const vox_share *share, bool next, vox_error *err)
{
    const vox_step step = {
        .seed = r->opt.seed, .step = share->step, .first = (uint64_t)share->first};
    vox_tensor voxels = *vox_plan_input(r->plan), labels = *vox_plan_labels(r->plan);
    if (next) {
        voxels.buf = vox_plan_next_input(r->plan);
        labels.buf = vox_plan_next_labels(r->plan);
    }
    vox_device_label(r->dev, VOX_LABEL_AUGMENT);
    return vox_augment_run(r->augment, &voxels, labels_are_of_voxels(r) ? &labels : NULL, share->n,
                           &step, err);
}

vox_status vox_replica_augment_next(vox_replica *r, vox_error *err)
{
    if (!r->augment || r->early.n == 0 || r->early_augmented)
        return VOX_OK;
    vox_status s = augment(r, &r->early, true, err);
    r->early_augmented = r->quiet = true;
    return s == VOX_OK ? vox_device_flush(r->dev, err) : s;
}

/* Takes what was uploaded early if it is this share; else uploads it. */
static vox_status provide_raw(vox_replica *r, const vox_share *share, bool *augmented,
                              vox_error *err)
{
    const vox_share early = r->early;
    *augmented = r->early_augmented;
    r->early.n = 0;
    r->early_augmented = false;
    if (early.n != share->n || early.first != share->first || early.voxel != share->voxel ||
        early.sample != share->sample || early.label != share->label || early.step != share->step) {
        /* The next input is to be written anew, beside the queue. */
        vox_status s = *augmented ? vox_device_finish(r->dev, err) : VOX_OK;
        *augmented = false;
        return s == VOX_OK ? upload(r, share, err) : s;
    }
    vox_plan_swap_input(r->plan);
    return VOX_OK;
}

static vox_status provide(vox_replica *r, const vox_share *share, vox_error *err)
{
    bool augmented;
    vox_status s = provide_raw(r, share, &augmented, err);
    return s == VOX_OK && r->augment && !augmented ? augment(r, share, false, err) : s;
}

static vox_status read_losses(vox_replica *r, const vox_share *share, vox_error *err)
{
    vox_device_label(r->dev, VOX_LABEL_TRANSFER);
    return vox_buffer_read(vox_plan_loss(r->plan)->buf, 0, share->loss,
                           (size_t)share->n * sizeof(float), false, err);
}

static vox_status read_factors(vox_replica *r, const vox_share *share, vox_error *err)
{
    const vox_factors *f = r->opt.factors;
    const size_t at = (size_t)share->factors_at;
    vox_status s = VOX_OK;
    vox_device_label(r->dev, VOX_LABEL_TRANSFER);
    for (size_t i = 0; f && s == VOX_OK && i < f->layers; i++) {
        const vox_factored *k = &f->layer[i];
        s = vox_plan_read_factors(r->plan, k->layer, share->n,
                                  vox_factors_x(f, i, share->factors) + at * k->in,
                                  vox_factors_dy(f, i, share->factors) + at * k->out, err);
    }
    return s;
}

vox_status vox_replica_gradients(vox_replica *r, const vox_share *share, vox_error *err)
{
    const vox_step step = {.seed = r->opt.seed,
                           .step = share->step,
                           .first = (uint64_t)share->first,
                           .all = share->all,
                           .bystander = share->bystander};
    const vox_span span = vox_span_begin("enqueue", "host");
    vox_meter_set(&r->meter, VOX_PHASE_COMPUTE);
    r->quiet = false;
    r->meter.samples += r->meter.on ? share->n : 0;
    vox_status s = provide(r, share, err);
    if (s == VOX_OK)
        s = vox_plan_forward(r->plan, share->n, true, &step, err);
    if (s == VOX_OK)
        s = vox_plan_run_loss(r->plan, share->n, err);
    if (s == VOX_OK)
        s = read_losses(r, share, err);
    if (s == VOX_OK && share->next) /* before the gradients' ways are, which go beside too */
        s = upload_next(r, share->next, err);
    if (r->buckets)
        vox_buckets_watch(r->buckets, share->last);
    if (s == VOX_OK)
        s = vox_plan_backward(r->plan, share->n, share->scale, share->accumulate, &step, err);
    if (s == VOX_OK)
        s = read_factors(r, share, err);
    vox_span_end_with(&span, &(vox_trace_arg){.key = "samples", .number = (double)share->n}, 1);
    return s;
}

vox_status vox_replica_finish(vox_replica *r, vox_error *err)
{
    const vox_span span = vox_span_begin("wait for the device", "wait");
    if (r->meter.phase == VOX_PHASE_WAIT) /* for copies that went on after the last work */
        vox_meter_set(&r->meter, VOX_PHASE_TRANSFER);
    vox_status s = vox_device_finish(r->dev, err);
    vox_span_end(&span);
    return s;
}

vox_status vox_replica_forward(vox_replica *r, const vox_share *share, float *output,
                               vox_error *err)
{
    const vox_step step = {.seed = r->opt.seed, .all = share->all};
    const vox_tensor *y = vox_plan_output(r->plan);
    size_t floats = (size_t)vox_sample_floats(&y->shape, VOX_LAYOUT_PLAIN);
    const vox_span span = vox_span_begin("evaluate", "host");
    vox_meter_set(&r->meter, VOX_PHASE_COMPUTE);
    r->quiet = false;
    vox_status s = upload(r, share, err);
    if (s == VOX_OK)
        s = vox_plan_forward(r->plan, share->n, false, &step, err);
    if (s == VOX_OK) /* before the loss: the output need not outlive it on the device */
        s = vox_buffer_read(y->buf, 0, output, (size_t)share->n * floats * sizeof(float), false,
                            err);
    if (s == VOX_OK && share->label)
        s = vox_plan_run_loss(r->plan, share->n, err);
    if (s == VOX_OK && share->label)
        s = read_losses(r, share, err);
    vox_status done = vox_device_finish(r->dev, s == VOX_OK ? err : NULL);
    vox_span_end_with(&span, &(vox_trace_arg){.key = "samples", .number = (double)share->n}, 1);
    return s == VOX_OK ? done : s;
}

vox_buckets *vox_replica_buckets(const vox_replica *r)
{
    return r->buckets;
}

bool vox_replica_shares(const vox_replica *r)
{
    return r->opt.params != NULL;
}

vox_status vox_replica_take_params(vox_replica *r, vox_error *err)
{
    void *here;
    vox_meter_set(&r->meter, VOX_PHASE_TRANSFER);
    vox_device_label(r->dev, VOX_LABEL_TRANSFER);
    /* The augmentation has no part in the weights: they are not waited for so long. */
    return r->quiet ? vox_buffer_map_beside(vox_plan_params(r->plan), &here, err)
                    : vox_buffer_map(vox_plan_params(r->plan), &here, err);
}

vox_status vox_replica_give_params(vox_replica *r, vox_error *err)
{
    vox_meter_set(&r->meter, VOX_PHASE_TRANSFER);
    r->quiet = false;
    return vox_buffer_unmap(vox_plan_params(r->plan), err);
}

vox_status vox_replica_set_params(vox_replica *r, const float *flat, bool wait, vox_error *err)
{
    const vox_span span = vox_span_begin("set weights", "transfer");
    vox_meter_set(&r->meter, VOX_PHASE_TRANSFER);
    vox_device_label(r->dev, VOX_LABEL_TRANSFER);
    r->quiet = false;
    vox_status s = vox_buffer_write(vox_plan_params(r->plan), 0, flat,
                                    r->opt.graph->flat_floats * sizeof(float), wait, err);
    vox_span_end(&span);
    return s;
}
