/* op_rows.h - every algorithm of an operation, compared and timed: the rows of `voxcl bench op`. */
#ifndef VOX_TUNE_OP_ROWS_H
#define VOX_TUNE_OP_ROWS_H

#include "base/json.h"
#include "ops/op.h"
#include "tune/timing.h"

typedef struct vox_op_request {
    const vox_node *node;
    int64_t n;             /* samples */
    bool pass[VOX_PASSES]; /* which to measure */
    int layout;            /* a vox_layout of the inputs, or -1: any */
    const char *algo;      /* a name, or NULL: all */
    int64_t repeat;        /* of vox_time_runs */
} vox_op_request;

/* One row's figures. */
typedef struct vox_op_row {
    const char *device, *pass, *layout, *algorithm;
    bool chosen;
    vox_timing time;
    double bytes; /* that have to move at least */
    double flops; /* 0: none worth counting */
    double error; /* NAN: not compared */
    uint64_t workspace;
} vox_op_row;

void vox_op_row_write(vox_json *j, const vox_op_row *row);

/* Adds a row for each algorithm that fits and is not hopeless (20 s a run, by the rule).  What an
 * algorithm gives is compared with what the baseline gives (that named "naive", else the last of
 * the table), unless that is hopeless. */
vox_status vox_op_rows(vox_json *j, vox_device *dev, const vox_op_request *r, vox_error *err);

/* Bytes that a pass over n samples reads and writes at least, each number once, padding channels
 * not counted. */
double vox_op_bytes(const vox_node *node, vox_pass pass, int64_t n);

#endif
