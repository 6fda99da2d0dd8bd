/* harness.h - checks every algorithm of every operation, on every device, against tests/ref.
 *
 * To add an operation foo:
 *   1. tests/ref/foo.c   ref_foo_forward, _backward_data, _backward_weights (plain C, double)
 *   2. tests/ops/foo.c   const vt_suite vt_suite_foo: its cases, each with the reason it exists, a
 *                        generator of random shapes, and the tolerances with their reason
 *   3. tests/ops/suites.def   one line: VT_SUITE(foo)
 * Nothing else: the harness finds the operation in ops.def by its name, reads the cases' attributes
 * by its attribute table, and takes every algorithm for which fits() says yes through this:
 *   - buffers are windows in larger ones whose margins hold canaries; inputs are padded with
 *     NaN past sample n, outputs filled with a NaN of our own: reading or writing out of place
 * shows
 *   - it runs with n = n_max and with a smaller n, BACKWARD_WEIGHTS with = and with +=
 *   - it runs twice and must give the same bits
 *   - one that fuses relu runs with it too (unless --all: tiny and random cases, and those whose
 * why has the word relu; random cases: a leaky one)
 *   - what a pass keeps (vox_op.keeps) is compared too, and given to later passes as the reference
 * has it; parameters that are not trainable are what the reference's forward makes of them
 *   - results are compared with the reference, BLOCK16 padding channels with zero, samples past n
 *     with what was there, inputs with what they were
 * Table cases take each algorithm with the tuning values of its rule, random ones with one of its
 * variants, and all of them with --all.
 * Algorithms expected to take four times the best one's time on the device (those for other kinds
 * of device) run on tiny and random cases only, unless --all is given. x and y reach the backward
 * passes only if the operation says that it reads them. */
#ifndef VOX_TESTS_HARNESS_H
#define VOX_TESTS_HARNESS_H

#include "base/philox.h"
#include "ref/ref.h"

/* How a case's inputs are drawn. */
typedef enum vt_fill {
    VT_UNIFORM, /* [-1, 1) */
    VT_TIES,    /* whole numbers -2..2: equal values everywhere; not differentiated */
    VT_SPECIAL, /* uniform with a few NaN, inf and -inf, and labels out of range; not differentiated
                 */
    VT_LARGE,   /* [-1e4, 1e4); not differentiated */
    VT_OFFSET   /* 1000 + [-1, 1): CT values; not differentiated */
} vt_fill;

typedef enum vt_when {
    VT_ALWAYS,
    VT_TINY,  /* always, and it is small enough for --tiny (simulators): under 500 elements or so */
    VT_SWEEP, /* seldom, with --sweep: others take the same paths with other numbers */
    VT_BENCH  /* large: only with --bench */
} vt_when;

typedef struct vt_case {
    const char *why; /* the reason it exists; NULL ends a table.  "... @naive @tiled" is about these
                        algorithms only (the others run on it with --all), "+name"
                        about that one too with --sweep */
    const char *attr; /* "kernel=2,3,3 stride=2 ceil=true"; the rest has its default; NULL: none */
    int64_t in[5];    /* shape of the first input; in[0] is n_max */
    int64_t n;        /* the smaller batch it is run with too; 0: n_max only */
    vt_when when;
    vt_fill fill;
} vt_case;

/* Attributes for which infer must fail with VOX_ERR_INPUT. */
typedef struct vt_bad {
    const char *why;
    const char *attr;
    int64_t in[5];
    const char *word; /* must be in the error's message or detail */
} vt_bad;

/* What PyTorch makes of a layer in float64: the reference must do the same, to 1e-12 (golden.c says
 * what the inputs are). */
typedef struct vt_golden {
    const char *why, *attr;
    int64_t in[5];
    const double *y, *dx, *dparam[VOX_MAX_PARAMS];
} vt_golden;

/* |got - want| <= max * max(rms(want), |want|) everywhere and relative RMS <= rms.  Both 0: the
 * float nearest to the reference, bit for bit (a zero's sign apart). */
typedef struct vt_tolerance {
    double rms, max;
} vt_tolerance;

typedef struct vt_suite {
    const char *op;
    const vt_case *cases;
    const vt_bad *bad;       /* may be NULL */
    const vt_golden *golden; /* ends with why NULL; may be NULL */
    ref_fn reference[VOX_PASSES];
    vt_tolerance tolerance[VOX_PASSES]; /* of algorithms that state no rms_error */
    /* What rms(want) counts as at least, for results that are differences of numbers of this size,
     * of which nothing may be left; mostly 0. */
    double floor[VOX_PASSES];
    /* Draws a case's shape into c->in and its attributes into attr (c->attr is set to it); `tiny`
     * as for VT_TINY.  A case that infer refuses is drawn again.  May be NULL. */
    void (*random)(vt_case *c, char attr[160], vox_random *r, bool tiny);
    /* Shapes of all inputs (dim[0] as in c->in); returns their count.  NULL: one input, c->in. */
    int (*inputs)(const vt_case *c, vox_shape in[VOX_MAX_INPUTS]);
    bool labels;       /* the last input is I32, in [0, channels of input 0): labels ... */
    bool binary;       /* ... of which one channel has two */
    bool eval;         /* forward is also run with io.training false */
    bool not_exact;    /* the reference's gradient is not the derivative: no finite differences */
    unsigned positive; /* bit k: parameter k is drawn in [0.5, 1.5) */
} vt_suite;

/* ---- main.c's options ---- */

typedef struct vt_options {
    const char *op, *device; /* NULL: all */
    uint64_t seed;
    int random; /* random cases per operation */
    bool tiny, list, bench, verbose;
    bool sweep; /* also what is run seldom */
    bool all;   /* slow algorithms on every case, and every variant */
} vt_options;

typedef struct vt_totals {
    int64_t cases, checks, failures;
} vt_totals;

/* Runs one operation's suite on the devices; failures are printed and counted. */
void vt_run_suite(const vt_suite *suite, vox_ctx *ctx, const vt_options *opt, vt_totals *totals);
void vt_list_suite(const vt_suite *suite);

/* ---- golden.c ---- */

/* Compares the reference with suite->golden; failures are printed and counted. */
void vt_check_golden(const vt_suite *suite, vt_totals *totals);

/* ---- node.c: layers from a case ---- */

typedef struct vt_layer {
    vox_node node;
    vox_param param[VOX_MAX_PARAMS];
    int params;
} vt_layer;

/* Fails with the infer error, or with VOX_ERR_USAGE for attributes the operation does not have. */
vox_status vt_layer_open(vt_layer *out, const vt_suite *suite, const vt_case *c, vox_error *err);
void vt_layer_release(vt_layer *l);

/* ---- compare.c ---- */

#define VT_UNWRITTEN 0x7fc0beefu /* what outputs are filled with: a NaN */
#define VT_CANARY    0x7fc0deadu /* margins, and inputs past sample n: a NaN */

typedef struct vt_difference {
    double rms, max;  /* as in vt_tolerance, measured */
    int64_t worst;    /* element */
    double got, want; /* there */
    const char *what; /* "differs", "unwritten", ... NULL: equal within the tolerance */
} vt_difference;

/* true if got[count] is want[count] within the tolerance, rms(want) being `floor` at least. */
bool vt_compare(const float *got, const double *want, int64_t count, const vt_tolerance *tol,
                double floor, vt_difference *out);

/* A tensor's place on a device, with margins. */
typedef struct vt_buffer {
    vox_buffer *parent, *window;
    size_t bytes;     /* of the window */
    uint32_t *shadow; /* its words as last written from the host, [bytes / 4]; owned */
} vt_buffer;

vox_status vt_buffer_open(vt_buffer *b, vox_device *dev, size_t words, vox_error *err);
void vt_buffer_release(vt_buffer *b);
/* Margins and window: canaries, then `words` from the shadow. */
vox_status vt_buffer_upload(vt_buffer *b, vox_error *err);
/* The window into to[bytes / 4]; *broken: a word of the margins that changed, or -1. */
vox_status vt_buffer_download(vt_buffer *b, uint32_t *to, int64_t *broken, vox_error *err);
/* The index of the first word of `margin` that is no canary, or -1. */
int64_t vt_find_broken(const uint32_t *margin, size_t words);

/* One sample set between layouts: plain[n][C][voxels] and its BLOCK16 form. */
void vt_block(const vox_shape *s, int64_t n, const float *plain, float *blocked);
/* Also returns the index in `blocked` of the first padding channel that is not 0, or -1. */
int64_t vt_unblock(const vox_shape *s, int64_t n, const float *blocked, float *plain);

/* The comparer's own test: one wrong element, one NaN, one unwritten element, one broken canary,
 * one dirty padding channel must be found; false and a message when not. */
bool vt_selftest(void);

/* ---- fd.c: is the reference's backward the derivative of its forward? ---- */

/* false and a message when not.  io: as for forward, with y, dy and all gradients allocated. */
bool vt_check_derivative(const vt_suite *suite, const vt_layer *l, const ref_io *io, vox_random *r);

#endif
