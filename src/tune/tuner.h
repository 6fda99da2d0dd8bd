/* tuner.h - times the algorithms of a layer's pass and remembers the result in a find-db.
 *
 * Every candidate's result is compared with the baseline's (the algorithm named "naive", else the
 * last of the operation's table) before it may win: relative RMS 1e-4, on as many samples as the
 * baseline does in about a second, at least one.  A wrong one is said once and never chosen.
 *
 * A candidate is run once to warm up and to be checked, then three times; the median counts.  One
 * that takes more than three times as long as the best so far is given up after its first run; a
 * compilation of over ten seconds loses, a workspace over the cap too.  One
 * that the rule expects to be twenty times slower than the best so far is not tried, and so not
 * chosen. */
#ifndef VOX_TUNE_TUNER_H
#define VOX_TUNE_TUNER_H

#include "tune/finddb.h"

#define VOX_TUNER_TOLERANCE 1e-4

typedef struct vox_tuner {
    vox_finddb *db;      /* borrowed */
    bool again;          /* measure what the find-db knows already, too */
    double until;        /* by now(): nothing is begun after it */
    uint64_t workspace;  /* cap in bytes; 0: a quarter of the device's memory */
    double (*now)(void); /* seconds; vox_now */
    /* Counted: passes measured, known before, and left out for want of time. */
    int64_t measured, known, skipped;
} vox_tuner;

/* The candidates of one pass of a layer.  A find-db is changed only when all of them are through:
 * then what it says is about all.  A failing candidate is a line of the log; errors are host
 * memory and a device that does not answer. */
vox_status vox_tuner_measure(vox_tuner *t, const vox_problem *p, vox_pass pass, vox_error *err);

/* The fastest and the second of the timed algorithms of a pass; NULL where there is none. */
void vox_tuner_best(const vox_finddb *db, const char *key, const vox_op *op, vox_pass pass,
                    const vox_finding **best, const vox_finding **second);

extern const char *const vox_pass_names[VOX_PASSES]; /* "forward", "backward_data", ... */

#endif
