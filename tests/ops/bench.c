/* bench.c - timing an algorithm beside a copy of as many bytes. */
#include "ops/run.h"

#include "tune/timing.h"

typedef struct timed {
    vox_work *work;
    const vox_io *io;
} timed;

static vox_status run_work(void *what, vox_error *err)
{
    const timed *t = what;
    return t->work->algo->run(t->work, t->io, err);
}

vox_status vt_time(vox_work *w, const vox_io *io, double bytes, double *seconds,
                   double *copy_seconds, vox_error *err)
{
    vox_timing timing;
    timed t = {w, io};
    vox_status s = vox_time_runs(w->problem.dev, run_work, &t, bytes, 0, &timing, err);
    if (s == VOX_OK) {
        *seconds = timing.median;
        *copy_seconds = timing.copy_seconds;
    }
    return s;
}
