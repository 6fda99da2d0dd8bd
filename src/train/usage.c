/* usage.c - where the devices' time went in the steps of a training: into its result and the run's
 * usage.json.
 *
 * The first step is left out: kernels are built in it.  So is what comes between steps. */
#include "train/loop.h"

#include "base/log.h"
#include "parallel/hosts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What one device did by its own clock, as far as it was traced. */
typedef struct traced {
    vox_device_busy before; /* the step under way, or that comes */
    double kernel_s, copy_s;
} traced;

struct vox_usage_sum {
    int64_t from, steps; /* the step after which counting began, and how many were counted */
    double data_s;       /* of them, waited for the loader */
    double ended;        /* vox_now() at the last one's end */
    double between_s;    /* validations, checkpoints: not in them */
    traced device[];
};

static vox_replica *replica(const vox_trainer *t, size_t i)
{
    return vox_team_replica(t->team, i);
}

/* Devices that are at work on a batch to come (--sync async) are not to be disturbed. */
static void turn(const vox_trainer *t, bool on)
{
    if (vox_team_begun(t->team) > 0)
        return;
    for (size_t i = 0; i < vox_team_size(t->team); i++)
        vox_meter_turn(vox_replica_meter(replica(t, i)), on);
}

void vox_usage_begin(vox_trainer *t)
{
    vox_usage_sum *u = t->used;
    if (!u)
        return;
    u->between_s += vox_now() - u->ended;
    for (size_t i = 0; i < vox_team_size(t->team); i++)
        u->device[i].before = vox_device_traced_busy(vox_replica_device(replica(t, i)));
    turn(t, true);
}

void vox_usage_end(vox_trainer *t, double data_s)
{
    const size_t n = vox_team_size(t->team);
    vox_usage_sum *u = t->used;
    if (u) {
        turn(t, false);
        u->steps++;
        u->data_s += data_s;
        for (size_t i = 0; i < n; i++) {
            traced *d = &u->device[i];
            const vox_device_busy now = vox_device_traced_busy(vox_replica_device(replica(t, i)));
            d->kernel_s += now.kernel_s - d->before.kernel_s;
            d->copy_s += now.copy_s - d->before.copy_s;
        }
    } else {
        t->used = u = vox_calloc(1, sizeof *u + n * sizeof *u->device, "a report", NULL);
        if (u)
            u->from = t->state.progress.step;
    }
    if (u)
        u->ended = vox_now();
}

static vox_device_usage usage_of(const vox_trainer *t, size_t i)
{
    vox_device_usage u = {.kernel_s = NAN, .copy_s = NAN};
    const vox_meter *m = vox_replica_meter(replica(t, i));
    const char *title = vox_replica_title(replica(t, i));
    if (vox_hosts_size(t->opt->hosts) > 1)
        snprintf(u.name, sizeof u.name, "rank %zu: %s", vox_hosts_rank(t->opt->hosts), title);
    else
        snprintf(u.name, sizeof u.name, "%s", title);
    u.samples = m->samples;
    u.compute_s = m->second[VOX_PHASE_COMPUTE];
    u.transfer_s = m->second[VOX_PHASE_TRANSFER];
    u.reduce_s = m->second[VOX_PHASE_REDUCE];
    u.update_s = m->second[VOX_PHASE_UPDATE];
    u.wait_s = m->second[VOX_PHASE_WAIT];
    for (int phase = 0; phase < VOX_PHASES; phase++)
        u.wall_s += m->second[phase];
    u.utilisation = u.wall_s > 0 ? u.compute_s / u.wall_s : 0;
    if (vox_trace_on(t->trace)) { /* to the end: of all these steps */
        u.kernel_s = t->used->device[i].kernel_s;
        u.copy_s = t->used->device[i].copy_s;
    }
    return u;
}

/* The other ranks' devices too, in the ranks' order; a job's end that not all of them come to says
 * what this one knows. */
static vox_status gather(const vox_trainer *t, vox_device_usage **u, size_t *n, vox_error *err)
{
    vox_hosts *hosts = t->opt->hosts;
    const size_t ranks = vox_hosts_size(hosts);
    size_t most = 0, total = 0, *count = vox_calloc(ranks, sizeof *count, "a report", err);
    vox_status s = count ? vox_hosts_gather(hosts, n, sizeof *n, count, err) : VOX_ERR_MEMORY;
    for (size_t i = 0; s == VOX_OK && i < ranks; i++)
        most = count[i] > most ? count[i] : most;
    vox_device_usage *own = vox_calloc(most + 1, sizeof *own, "a report", err);
    vox_device_usage *all = vox_calloc(ranks * most + 1, sizeof *all, "a report", err);
    s = s == VOX_OK && (!own || !all) ? VOX_ERR_MEMORY : s;
    if (s == VOX_OK) {
        memcpy(own, *u, *n * sizeof *own);
        s = vox_hosts_gather(hosts, own, most * sizeof *own, all, err);
    }
    for (size_t i = 0; s == VOX_OK && i < ranks; i++)
        for (size_t k = 0; k < count[i]; k++) {
            all[total++] = all[i * most + k];
        }
    free(count);
    free(own);
    if (s != VOX_OK) {
        free(all);
        return s;
    }
    free(*u);
    *u = all;
    *n = total;
    return VOX_OK;
}

static void put_device(vox_json *j, const vox_device_usage *u)
{
    vox_json_begin(j, NULL, '{');
    vox_json_string(j, "device", u->name);
    vox_json_int(j, "samples", u->samples);
    vox_json_number(j, "compute_s", u->compute_s);
    vox_json_number(j, "transfer_s", u->transfer_s);
    vox_json_number(j, "reduce_s", u->reduce_s);
    vox_json_number(j, "update_s", u->update_s);
    vox_json_number(j, "wait_s", u->wait_s);
    vox_json_number(j, "utilisation", u->utilisation);
    vox_json_number(j, "kernel_s", u->kernel_s);
    vox_json_number(j, "copy_s", u->copy_s);
    vox_json_end(j, '}');
}

static vox_status write_file(const vox_trainer *t, const vox_device_usage *u, size_t n,
                             vox_error *err)
{
    vox_json j = {0};
    vox_json_begin(&j, NULL, '{');
    vox_json_int(&j, "after_step", t->used->from);
    vox_json_int(&j, "steps", t->used->steps);
    vox_json_number(&j, "wall_s", u[0].wall_s);
    vox_json_number(&j, "data_s", t->used->data_s);
    vox_json_number(&j, "between_s", t->used->between_s);
    vox_json_begin(&j, "devices", '[');
    for (size_t i = 0; i < n; i++)
        put_device(&j, &u[i]);
    vox_json_end(&j, ']');
    vox_json_end(&j, '}');
    vox_str_add(&j.text, "\n");
    char *text = vox_json_take(&j, err);
    char *path = vox_path_join(t->run.path, "usage.json", err);
    vox_status s = text && path ? vox_file_write(path, text, strlen(text), err) : VOX_ERR_MEMORY;
    free(path);
    free(text);
    return s;
}

static void fill(vox_train_result *r, const vox_usage_sum *sum, const vox_device_usage *u, size_t n)
{
    const size_t most = sizeof r->device / sizeof *r->device;
    r->data_s = sum->data_s;
    r->between_s = sum->between_s;
    r->devices = n < most ? n : most;
    memcpy(r->device, u, r->devices * sizeof *u);
}

void vox_usage_report(vox_trainer *t, vox_train_result *result, bool together)
{
    vox_error err = {0};
    size_t n = vox_team_size(t->team);
    if (!t->used || t->used->steps == 0)
        return;
    vox_device_usage *u = vox_calloc(n, sizeof *u, "a report", NULL);
    if (!u)
        return;
    t->used->between_s += vox_now() - t->used->ended;
    for (size_t i = 0; i < n; i++)
        u[i] = usage_of(t, i);
    vox_status s = VOX_OK;
    if (together && vox_hosts_size(t->opt->hosts) > 1)
        s = gather(t, &u, &n, &err);
    if (s == VOX_OK && t->leads)
        s = write_file(t, u, n, &err);
    if (s != VOX_OK)
        vox_log(VOX_LOG_WARN, "%s: %s", err.message, err.detail);
    if (result)
        fill(result, t->used, u, n);
    free(u);
}
