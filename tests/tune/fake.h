/* fake.h - an operation whose algorithms are made up, a clock that they move, and a find-db of one
 * layer with it: no real time decides anything here. */
#ifndef VOX_TEST_FAKE_H
#define VOX_TEST_FAKE_H

#include "test.h"

#include "net/plan_parts.h"
#include "tune/trial.h"
#include "tune/tuner.h"

#include <math.h>
#include <unistd.h>

#define COUNT 48 /* 20 channels x 48 voxels */

static vox_error err;
static vox_ctx *ctx;
static char path[] = "/tmp/voxcl-tuner-XXXXXX";
static double clock_s;
static int warnings, runs;

static inline double fake_now(void)
{
    return clock_s;
}

static inline void count_log(void *user, vox_log_level level, const char *line)
{
    (void)user;
    (void)line;
    warnings += level == VOX_LOG_WARN;
}

/* ---- an operation whose algorithms take as long as they are told ---- */

#define VARIANTS 4 /* of fast; its rule's own is number 0 */

typedef struct behaviour {
    double run_s, build_s, rule_s;
    float wrong; /* added to one element */
    size_t workspace;
    bool fails, writes_nothing;
    int runs;
} behaviour;

enum { NAIVE, FAST, ODD, BLOCKED, ALGOS };
static behaviour is[ALGOS], variant_is[VARIANTS];
static int variants; /* that fast says it has */

static inline int number_of(const vox_algo *a);

static inline double rule_naive(const vox_problem *p)
{
    (void)p;
    return is[NAIVE].rule_s;
}

static inline double rule_fast(const vox_problem *p)
{
    (void)p;
    return is[FAST].rule_s;
}

static inline double rule_odd(const vox_problem *p)
{
    (void)p;
    return is[ODD].rule_s;
}

static inline double rule_blocked(const vox_problem *p)
{
    (void)p;
    return is[BLOCKED].rule_s;
}

static inline behaviour *behaviour_of(const vox_work *w)
{
    const int i = w->problem.variant;
    return i > 0 ? &variant_is[i] : &is[number_of(w->algo)];
}

static inline int count_variants(const vox_problem *p)
{
    (void)p;
    return variants;
}

static inline void variant_text(const vox_problem *p, int i, char text[VOX_VARIANT_TEXT])
{
    (void)p;
    snprintf(text, VOX_VARIANT_TEXT, "v%d", i);
}

static inline vox_status build(vox_work *w, vox_error *e)
{
    const behaviour *b = behaviour_of(w);
    clock_s += b->build_s;
    if (b->fails)
        return vox_fail(e, VOX_ERR_DEVICE, "it does not build");
    if (b->workspace)
        return vox_buffer_open(&w->scratch[0], w->problem.dev, b->workspace, VOX_BUFFER_DEVICE,
                               "scratch", e);
    return VOX_OK;
}

/* y = 2 x, whatever the layout. */
static inline vox_status run(vox_work *w, const vox_io *io, vox_error *e)
{
    behaviour *b = behaviour_of(w);
    float v[4 * 32 * COUNT];
    const size_t count = (size_t)io->n * (size_t)vox_sample_floats(&io->x[0]->shape, w->algo->in);
    assert_true(count <= sizeof v / sizeof *v);
    clock_s += b->run_s * (double)io->n / (double)w->problem.n_max;
    b->runs++;
    runs++;
    if (b->writes_nothing)
        return VOX_OK;
    vox_status s = vox_buffer_read(io->x[0]->buf, 0, v, count * sizeof *v, true, e);
    for (size_t i = 0; i < count; i++)
        v[i] *= 2;
    v[0] += b->wrong;
    return s == VOX_OK ? vox_buffer_write(io->y->buf, 0, v, count * sizeof *v, true, e) : s;
}

#define PLAIN VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {{"naive", VOX_FORWARD, PLAIN, NULL, rule_naive, build, run},
                                 {"fast", VOX_FORWARD, PLAIN, NULL, rule_fast, build, run,
                                  .variants = count_variants, .variant_text = variant_text},
                                 {"odd", VOX_FORWARD, PLAIN, NULL, rule_odd, build, run},
                                 {"blocked", VOX_FORWARD, BLOCK, NULL, rule_blocked, build, run},
                                 {0}};
static const vox_op fake = {.name = "fake", .min_inputs = 1, .max_inputs = 1, .algos = algos};

static inline int number_of(const vox_algo *a)
{
    return (int)(a - algos);
}

/* ---- one layer ---- */

static vox_node node;
static vox_problem problem;
static vox_finddb *db;
static vox_tuner tuner;
static char *key;

static inline int begin(void **state)
{
    (void)state;
    const behaviour plain = {.run_s = 1, .rule_s = 1};
    for (int i = 0; i < ALGOS; i++)
        is[i] = plain;
    for (int i = 0; i < VARIANTS; i++)
        variant_is[i] = plain;
    variants = 1;
    is[NAIVE].run_s = 2;
    clock_s = 1000;
    warnings = runs = 0;
    node = (vox_node){.op = &fake,
                      .name = "layer1",
                      .inputs = 1,
                      .in = {{5, {1, 20, 3, 4, 4}}},
                      .out = {5, {1, 20, 3, 4, 4}}};
    problem = (vox_problem){.node = &node, .dev = vox_ctx_get(ctx, 0), .n_max = 2};
    unlink(path);
    assert_ok(vox_finddb_open(&db, path, &err));
    tuner = (vox_tuner){.db = db, .until = 1e9, .now = fake_now};
    key = vox_finddb_key(&problem, &err);
    assert_non_null(key);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    vox_finddb_free(&db);
    free(key);
    unlink(path);
    return 0;
}

static inline void measure(void)
{
    assert_ok(vox_tuner_measure(&tuner, &problem, VOX_FORWARD, &err));
}

static inline const vox_finding *found(int algo)
{
    return vox_finddb_find(db, key, &algos[algo], &problem);
}

static inline const vox_finding *found_variant(int variant)
{
    vox_problem p = problem;
    p.variant = variant;
    return vox_finddb_find(db, key, &algos[FAST], &p);
}

static inline void assert_winner(const char *first, const char *next)
{
    const vox_finding *best, *second;
    vox_tuner_best(db, key, &problem, VOX_FORWARD, &best, &second);
    assert_non_null(best);
    assert_string_equal(best->algo, first);
    if (next)
        assert_string_equal(second ? second->algo : "", next);
}

/* ---- the plan ---- */

static inline vox_graph *open_graph(void)
{
    vox_yaml *doc = NULL;
    vox_graph *g = NULL;
    assert_ok(vox_yaml_parse(&doc, "input: {channels: 20, size: [3, 4, 4]}\nlayers:\n  - relu\n",
                             "n.yaml", &err));
    assert_ok(vox_graph_open(&g, vox_yaml_root(doc), &err));
    vox_yaml_free(&doc);
    g->layer[0].node.op = &fake;
    return g;
}

static inline const char *chosen(const vox_graph *g, const vox_finddb *times)
{
    static char name[VOX_ALGO_TEXT];
    const vox_plan_options opt = {.n_max = 2, .times = times};
    vox_tune_row *row;
    size_t rows;
    assert_ok(vox_plan_tuned(g, problem.dev, &opt, &row, &rows, &err));
    assert_true(rows >= 1);
    assert_string_equal(row[0].layer, "relu1");
    memcpy(name, row[0].algo, sizeof name);
    free(row);
    return name;
}

static inline void put_variant(int algo, int variant, vox_verdict verdict, double seconds)
{
    vox_problem p = problem;
    vox_finding f = {.pass = VOX_FORWARD,
                     .in = algos[algo].in,
                     .out = algos[algo].out,
                     .verdict = verdict,
                     .seconds = seconds};
    p.variant = variant;
    vox_algo_text(&algos[algo], &p, f.algo);
    assert_ok(vox_finddb_add(db, key, &f, 1, &err));
}

static inline void put(int algo, vox_verdict verdict, double seconds)
{
    put_variant(algo, 0, verdict, seconds);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

/* The device and the file; returns 0, or what main is to return. */
static inline int fake_open(void)
{
    if (vox_ctx_open(&ctx, "all", &err) != VOX_OK) {
        printf("skipped: %s: %s\n", err.message, err.detail);
        return 77;
    }
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    vox_log_set(count_log, NULL);
    return 0;
}

#endif
