/* meter.h - where a replica's time goes, on the host's clock: always in one of a few phases.
 *
 * Commands are only enqueued, so the host cannot tell a kernel from a copy that runs between
 * kernels: compute is the time from the first command of a share to the end of the last one.  What
 * the host waits for apart (gradients and weights that come and go) is transfer.
 *
 * One invariant: the phases' seconds add up to the time that the meter was on. */
#ifndef VOX_PARALLEL_METER_H
#define VOX_PARALLEL_METER_H

#include "base/thread.h"

typedef enum vox_phase {
    VOX_PHASE_WAIT, /* for the other devices, for data, for a checkpoint */
    VOX_PHASE_COMPUTE,
    VOX_PHASE_TRANSFER,
    VOX_PHASE_REDUCE, /* idle while the last gradients are summed, and... */
    VOX_PHASE_UPDATE, /* ...while the host updates the weights */
    VOX_PHASES
} vox_phase;

typedef struct vox_meter {
    double second[VOX_PHASES];
    double since; /* vox_now() when the phase began */
    vox_phase phase;
    bool on;         /* zeroed: not */
    int64_t samples; /* computed in training steps while on */
} vox_meter;

/* Returns the phase that ends. */
static inline vox_phase vox_meter_set(vox_meter *m, vox_phase phase)
{
    const double now = vox_now();
    const vox_phase was = m->phase;
    m->second[was] += m->on ? now - m->since : 0;
    m->since = now;
    m->phase = phase;
    return was;
}

/* The last `seconds` of waiting were another phase, as turns out. */
static inline void vox_meter_move(vox_meter *m, vox_phase to, double seconds)
{
    vox_meter_set(m, VOX_PHASE_WAIT);
    const double most = m->second[VOX_PHASE_WAIT];
    const double moved = !m->on ? 0 : seconds < most ? seconds : most;
    m->second[VOX_PHASE_WAIT] -= moved;
    m->second[to] += moved;
}

static inline void vox_meter_turn(vox_meter *m, bool on)
{
    vox_meter_set(m, VOX_PHASE_WAIT);
    m->on = on;
}

#endif
