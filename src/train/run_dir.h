/* run_dir.h - the folder of a training: experiment.yaml, metrics.jsonl, the checkpoints.
 *
 * One invariant: one process at a time writes to it, and metrics.jsonl holds no line of a step that
 * the checkpoint it goes on from has not seen. */
#ifndef VOX_TRAIN_RUN_DIR_H
#define VOX_TRAIN_RUN_DIR_H

#include "base/file.h"
#include "base/json.h"

typedef struct vox_run_dir {
    char *path;
    char *last, *best; /* paths of the checkpoints */
    char *metrics;     /* path */
    char *tuning;      /* path of the measured times the run goes by, if it does */
    FILE *log;         /* metrics.jsonl, open and locked from vox_run_dir_start on */
} vox_run_dir;

/* Names the folder (path NULL: runs/<name>-<date>) and checks it, changing nothing on disk: one
 * that holds a run is refused unless resume, which in turn needs one with a checkpoint. */
vox_status vox_run_dir_init(vox_run_dir *run, const char *path, const char *name, bool resume,
                            vox_error *err);
/* Makes it, writes experiment.yaml, and opens metrics.jsonl: keeping the lines of steps up to
 * `step` (0: none).  Fails if another process is training there. */
vox_status vox_run_dir_start(vox_run_dir *run, const char *experiment, int64_t step,
                             vox_error *err);
/* Only names it: for a process that neither reads nor writes there. */
vox_status vox_run_dir_name(vox_run_dir *run, const char *path, vox_error *err);
void vox_run_dir_release(vox_run_dir *run);

/* Appends the document as a line and frees it; visible to readers at once. */
vox_status vox_run_dir_log(vox_run_dir *run, vox_json *line, vox_error *err);
/* Puts the lines on the disk: before a checkpoint, so that they are there if it is. */
vox_status vox_run_dir_sync(vox_run_dir *run, vox_error *err);

#endif
