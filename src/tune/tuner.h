/* tuner.h - times the algorithms of a layer's pass, and their variants (tuning values), and
 * remembers the result in a find-db.
 *
 * Every candidate's result is compared with the baseline's (the algorithm named "naive", else the
 * last of the operation's table) before it may win: relative RMS 1e-4, on as many samples as the
 * baseline does in about a quarter of a second, at least one.  A wrong one is said once and never
 * chosen.
 *
 * First every algorithm is timed with the values of its rule, then the variants of those that took
 * no more than one and a half times as long as the best.
 *
 * A candidate is run once to warm up and to be checked, then three to seven times, until two runs
 * agree to a tenth; the least counts.  One that takes more than three times as long as the best so
 * far is given up after its first run; a compilation of over ten seconds loses, a workspace over
 * the cap too.  One that the rule expects to be eight times slower than the best so far is not
 * tried, and so not chosen. */
#ifndef VOX_TUNE_TUNER_H
#define VOX_TUNE_TUNER_H

#include "tune/finddb.h"

#define VOX_TUNER_TOLERANCE 1e-4

typedef enum vox_tuner_round {
    VOX_TUNER_BOTH,
    VOX_TUNER_ALGORITHMS, /* each with the values of its rule */
    VOX_TUNER_VARIANTS    /* of algorithms that are known */
} vox_tuner_round;

typedef struct vox_tuner {
    vox_finddb *db;        /* borrowed */
    vox_tuner_round round; /* what to measure of a pass */
    bool again;            /* measure what the find-db knows already, too */
    double until;          /* by now(): nothing is begun after it */
    uint64_t workspace;    /* cap in bytes; 0: a quarter of the device's free memory */
    double (*now)(void);   /* seconds; vox_now */
    /* Counted: passes measured, known before, and left out for want of time (the round of variants
     * alone does not change these); and those some of whose variants were. */
    int64_t measured, known, skipped, unfinished;
} vox_tuner;

/* The candidates of one pass of a layer.  What is known is left out (unless `again`).  About the
 * algorithms the find-db is told only when all are through: then what it says is about all; about
 * variants one by one, and those for which there was no time are tried the next time.  A failing
 * candidate is a line of the log; errors are host memory and a device that does not answer. */
vox_status vox_tuner_measure(vox_tuner *t, const vox_problem *p, vox_pass pass, vox_error *err);

/* The fastest and the second of what was timed for a pass, variants included; NULL where there is
 * none.  p->variant is not read. */
void vox_tuner_best(const vox_finddb *db, const char *key, const vox_problem *p, vox_pass pass,
                    const vox_finding **best, const vox_finding **second);

extern const char *const vox_pass_names[VOX_PASSES]; /* "forward", "backward_data", ... */

#endif
