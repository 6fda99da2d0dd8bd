/* faults.c - devices that fail or dawdle on demand. */
#include "parallel/faults.h"

#include "base/mem.h"
#include "base/text.h"
#include "base/thread.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct kind {
    const char *name;
    const char *code; /* as a driver would say it */
    vox_status status;
    double least; /* of its value */
    bool takes_value, needs_value;
} kinds[] = {
    [VOX_FAULT_LOST] = {"lost", "CL_DEVICE_NOT_AVAILABLE (-2)", VOX_ERR_DEVICE, 0, false, false},
    [VOX_FAULT_MEMORY] = {"memory", "CL_MEM_OBJECT_ALLOCATION_FAILURE (-4)", VOX_ERR_ROOM, 1, true,
                          false},
    [VOX_FAULT_DRIVER] = {"driver", "CL_OUT_OF_RESOURCES (-5)", VOX_ERR_DEVICE, 0, false, false},
    [VOX_FAULT_HANG] = {"hang", NULL, VOX_OK, 0, true, false},
    [VOX_FAULT_WAIT] = {"wait", NULL, VOX_OK, 0, false, false},
    [VOX_FAULT_SLOW] = {"slow", NULL, VOX_OK, 1, true, true},
    [VOX_FAULT_PACE] = {"pace", NULL, VOX_OK, 1e-9, true, true},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

/* ---- reading --------------------------------------------------------------- */

static vox_status refuse(const char *entry, const char *why, vox_error *err)
{
    vox_fail(err, VOX_ERR_USAGE, "cannot read %s=\"%s\"", VOX_FAULT_VARIABLE, entry);
    vox_detail(err, "%s", why);
    return vox_hint(
        err, "DEVICE:STEP:KIND, KIND being lost, memory, driver, hang, wait, slow=3 or pace=0.1");
}

static vox_status read_kind(vox_fault *f, char *word, const char *entry, vox_error *err)
{
    char *value = strchr(word, '=');
    if (value)
        *value++ = '\0';
    for (size_t k = 0; k < KINDS; k++) {
        if (strcmp(word, kinds[k].name) != 0)
            continue;
        f->kind = (vox_fault_kind)k;
        if (value && !kinds[k].takes_value)
            return refuse(entry, "this kind takes no value", err);
        if (!value && kinds[k].needs_value)
            return refuse(entry, "this kind needs a value", err);
        if (value && (!vox_parse_double(value, &f->value) || !(f->value >= kinds[k].least)))
            return refuse(entry,
                          kinds[k].least >= 1   ? "the value is no number from 1"
                          : kinds[k].least == 0 ? "the value is no number from 0"
                                                : "the value is no number above 0",
                          err);
        if (value && f->kind == VOX_FAULT_MEMORY && f->step != 0)
            return refuse(entry, "memory takes a value at step 0 only", err);
        if (f->kind == VOX_FAULT_HANG && f->step == 0)
            return refuse(entry, "a device cannot hang before step 1", err);
        return VOX_OK;
    }
    return refuse(entry, "there is no such kind of fault", err);
}

static vox_status read_entry(vox_fault *f, const char *entry, size_t devices, vox_error *err)
{
    char text[96], why[96];
    int64_t device = 0;
    if (snprintf(text, sizeof text, "%s", entry) >= (int)sizeof text)
        return refuse("...", "an entry is too long", err);
    char *step = strchr(text, ':'), *kind = step ? strchr(step + 1, ':') : NULL;
    if (!kind)
        return refuse(entry, "it has not three parts", err);
    *step++ = *kind++ = '\0';
    if (!vox_parse_i64(text, &device) || device < 0)
        return refuse(entry, "the device is no number from 0", err);
    if ((uint64_t)device >= devices) {
        snprintf(why, sizeof why, "the job has %zu device%s, counted from 0", devices,
                 devices == 1 ? "" : "s");
        return refuse(entry, why, err);
    }
    if (!vox_parse_i64(step, &f->step) || f->step < 0)
        return refuse(entry, "the step is no number from 0", err);
    f->device = (size_t)device;
    return read_kind(f, kind, entry, err);
}

vox_status vox_faults_parse(vox_faults *faults, const char *text, size_t devices, vox_error *err)
{
    *faults = (vox_faults){0};
    if (!text || !*text)
        return VOX_OK;
    size_t entries = 1;
    for (const char *c = text; *c; c++)
        entries += *c == ',';
    char *copy = vox_strdup(text, err);
    faults->fault = vox_calloc(entries, sizeof *faults->fault, "faults", err);
    vox_status s = copy && faults->fault ? VOX_OK : VOX_ERR_MEMORY;
    for (char *entry = copy; s == VOX_OK && entry;) {
        char *next = strchr(entry, ',');
        if (next)
            *next++ = '\0';
        s = read_entry(&faults->fault[faults->count++], entry, devices, err);
        entry = next;
    }
    free(copy);
    if (s != VOX_OK)
        vox_faults_release(faults);
    return s;
}

void vox_faults_release(vox_faults *faults)
{
    free(faults->fault);
    *faults = (vox_faults){0};
}

/* ---- doing ----------------------------------------------------------------- */

static vox_status fail(const vox_fault *f, vox_error *err)
{
    const struct kind *kind = &kinds[f->kind];
    vox_fail(err, kind->status, "the device failed on demand (%s)", kind->name);
    vox_detail(err, "%s by %s", kind->code, VOX_FAULT_VARIABLE);
    return kind->status;
}

/* Without a time, until the process ends: the thread is left alone with it. */
static void hang(double seconds)
{
    const double end = vox_now() + seconds;
    while (seconds == 0 || vox_now() < end)
        nanosleep(&(struct timespec){0, 10000000}, NULL);
}

static vox_status strike(const vox_fault *f, vox_error *err)
{
    if (f->kind == VOX_FAULT_HANG)
        hang(f->value);
    return kinds[f->kind].code ? fail(f, err) : VOX_OK;
}

vox_status vox_faults_at_start(const vox_faults *faults, size_t device, int64_t n, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < faults->count; i++) {
        const vox_fault *f = &faults->fault[i];
        if (f->device == device && f->step == 0 &&
            !(f->kind == VOX_FAULT_MEMORY && (double)n <= f->value))
            s = strike(f, err);
    }
    return s;
}

vox_status vox_faults_at_step(const vox_faults *faults, size_t device, int64_t step, vox_error *err)
{
    vox_status s = VOX_OK;
    for (size_t i = 0; s == VOX_OK && i < faults->count; i++) {
        const vox_fault *f = &faults->fault[i];
        if (f->device == device && f->step > 0 && step >= f->step)
            s = strike(f, err);
    }
    return s;
}

bool vox_faults_waits(const vox_faults *faults, size_t device, int64_t step)
{
    bool waits = false;
    for (size_t i = 0; i < faults->count; i++) {
        const vox_fault *f = &faults->fault[i];
        waits = waits || (f->kind == VOX_FAULT_WAIT && f->device == device && step >= f->step);
    }
    return waits;
}

bool vox_faults_dawdle(const vox_faults *faults, size_t device, int64_t step, double seconds)
{
    double factor = 1;
    for (size_t i = 0; i < faults->count; i++) {
        const vox_fault *f = &faults->fault[i];
        if (f->kind == VOX_FAULT_SLOW && f->device == device && step >= f->step)
            factor = f->value;
    }
    const double end = vox_now() + (factor - 1) * seconds;
    while (factor > 1 && vox_now() < end)
        sched_yield(); /* it is the device that has more to do, not the host */
    return factor > 1;
}

double vox_faults_told(const vox_faults *faults, size_t device, int64_t step, int64_t n,
                       double seconds)
{
    for (size_t i = 0; i < faults->count; i++) {
        const vox_fault *f = &faults->fault[i];
        if (f->kind == VOX_FAULT_PACE && f->device == device && step >= f->step)
            seconds = f->value * (double)n;
    }
    return seconds;
}
