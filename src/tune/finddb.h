/* finddb.h - remembered timings: which algorithm, with which tuning values, took how long for which
 * layer on which device.
 *
 * On disk it is a text file of lines, appended to under a lock, so that several processes may
 * write at once; the last line about an algorithm counts.  It is a cache: what cannot be read is
 * set aside with a warning, what cannot be written is a line of the log, and neither is an error.
 * One find-db belongs to one thread while it is added to; reading is free to all. */
#ifndef VOX_TUNE_FINDDB_H
#define VOX_TUNE_FINDDB_H

#include "ops/op.h"

typedef struct vox_finddb vox_finddb;

typedef enum vox_verdict {
    VOX_VERDICT_TIMED,   /* `seconds` is what it takes; the others are never chosen */
    VOX_VERDICT_WRONG,   /* its result is not the baseline's */
    VOX_VERDICT_LARGE,   /* its workspace is over the cap */
    VOX_VERDICT_COMPILE, /* compiling it takes too long */
    VOX_VERDICT_FAILED,  /* it could not be built or run */
    VOX_VERDICTS
} vox_verdict;

/* What was found out about one algorithm. */
typedef struct vox_finding {
    char algo[VOX_ALGO_TEXT]; /* with its tuning values: vox_algo_text */
    vox_pass pass;
    vox_layout in, out;
    vox_verdict verdict;
    double seconds;     /* of one run at n_max; kept to the nanosecond */
    uint64_t workspace; /* bytes it allocates */
} vox_finding;

/* What a timing depends on, in one line: library, kernels' texts, device, driver, operation,
 * attributes, shapes, n_max, type, training.  The caller frees it. */
char *vox_finddb_key(const vox_problem *p, vox_error *err);

/* path NULL: finddb.txt in the cache directory; else a file of that name.  A file that is not
 * there is an empty find-db; a damaged or foreign one is renamed to <path>.bad.  Fails only for
 * want of memory. */
vox_status vox_finddb_open(vox_finddb **out, const char *path, vox_error *err);
/* One that vox_finddb_save wrote; anything else is an error, and nothing is kept on disk later. */
vox_status vox_finddb_read(vox_finddb **out, const char *path, vox_error *err);
void vox_finddb_free(vox_finddb **db);

/* All findings about one pass of one key at once, also appended to the file. */
vox_status vox_finddb_add(vox_finddb *db, const char *key, const vox_finding *list, size_t count,
                          vox_error *err);
size_t vox_finddb_count(const vox_finddb *db);

/* About an algorithm with the tuning values of p->variant (p may be NULL: the rule's own). Borrowed
 * until the next vox_finddb_add; NULL: nothing known. */
const vox_finding *vox_finddb_find(const vox_finddb *db, const char *key, const vox_algo *a,
                                   const vox_problem *p);
/* Anything is known about the pass: it need not be measured again. */
bool vox_finddb_knows(const vox_finddb *db, const char *key, vox_pass pass);
/* Some algorithm of the pass was timed: only timed ones may be chosen. */
bool vox_finddb_timed(const vox_finddb *db, const char *key, vox_pass pass);

/* Everything in it as a file of its own, whole or not at all; errors are errors. */
vox_status vox_finddb_save(const vox_finddb *db, const char *path, vox_error *err);

#endif
