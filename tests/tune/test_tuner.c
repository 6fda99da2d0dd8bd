/* test_tuner.c - what may win and what may not, with algorithms that are made up and a clock that
 * they move: no real time decides anything here. */
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

static double fake_now(void)
{
    return clock_s;
}

static void count_log(void *user, vox_log_level level, const char *line)
{
    (void)user;
    (void)line;
    warnings += level == VOX_LOG_WARN;
}

/* ---- an operation whose algorithms take as long as they are told ---- */

typedef struct behaviour {
    double run_s, build_s, rule_s;
    float wrong; /* added to one element */
    size_t workspace;
    bool fails, writes_nothing;
    int runs;
} behaviour;

enum { NAIVE, FAST, ODD, BLOCKED, ALGOS };
static behaviour is[ALGOS];

static int number_of(const vox_algo *a);

static double rule_naive(const vox_problem *p)
{
    (void)p;
    return is[NAIVE].rule_s;
}

static double rule_fast(const vox_problem *p)
{
    (void)p;
    return is[FAST].rule_s;
}

static double rule_odd(const vox_problem *p)
{
    (void)p;
    return is[ODD].rule_s;
}

static double rule_blocked(const vox_problem *p)
{
    (void)p;
    return is[BLOCKED].rule_s;
}

static vox_status build(vox_work *w, vox_error *e)
{
    const behaviour *b = &is[number_of(w->algo)];
    clock_s += b->build_s;
    if (b->fails)
        return vox_fail(e, VOX_ERR_DEVICE, "it does not build");
    if (b->workspace)
        return vox_buffer_open(&w->scratch[0], w->problem.dev, b->workspace, VOX_BUFFER_DEVICE,
                               "scratch", e);
    return VOX_OK;
}

/* y = 2 x, whatever the layout. */
static vox_status run(vox_work *w, const vox_io *io, vox_error *e)
{
    behaviour *b = &is[number_of(w->algo)];
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
                                 {"fast", VOX_FORWARD, PLAIN, NULL, rule_fast, build, run},
                                 {"odd", VOX_FORWARD, PLAIN, NULL, rule_odd, build, run},
                                 {"blocked", VOX_FORWARD, BLOCK, NULL, rule_blocked, build, run},
                                 {0}};
static const vox_op fake = {.name = "fake", .min_inputs = 1, .max_inputs = 1, .algos = algos};

static int number_of(const vox_algo *a)
{
    return (int)(a - algos);
}

/* ---- one layer ---- */

static vox_node node;
static vox_problem problem;
static vox_finddb *db;
static vox_tuner tuner;
static char *key;

static int begin(void **state)
{
    (void)state;
    const behaviour plain = {.run_s = 1, .rule_s = 1};
    for (int i = 0; i < ALGOS; i++)
        is[i] = plain;
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

static int end(void **state)
{
    (void)state;
    vox_finddb_free(&db);
    free(key);
    unlink(path);
    return 0;
}

static void measure(void)
{
    assert_ok(vox_tuner_measure(&tuner, &problem, VOX_FORWARD, &err));
}

static const vox_finding *found(int algo)
{
    return vox_finddb_find(db, key, &algos[algo]);
}

static void assert_winner(const char *first, const char *next)
{
    const vox_finding *best, *second;
    vox_tuner_best(db, key, &fake, VOX_FORWARD, &best, &second);
    assert_non_null(best);
    assert_string_equal(best->algo, first);
    if (next)
        assert_string_equal(second ? second->algo : "", next);
}

static void the_fastest_wins(void **state)
{
    (void)state;
    is[FAST].run_s = 0.5;
    is[ODD].run_s = 0.8;
    is[BLOCKED].run_s = 0.25;
    measure();
    assert_winner("blocked", "fast");
    assert_true(fabs(found(BLOCKED)->seconds - 0.25) < 1e-9);
    assert_true(fabs(found(NAIVE)->seconds - 2) < 1e-9);
    assert_int_equal(tuner.measured, 1);
    assert_int_equal(warnings, 0);
}

static void a_wrong_one_never_wins(void **state)
{
    (void)state;
    is[ODD].run_s = 0.001;
    is[ODD].wrong = 0.05f;
    measure();
    assert_int_equal(found(ODD)->verdict, VOX_VERDICT_WRONG);
    assert_int_equal(is[ODD].runs, 1); /* not timed */
    assert_int_equal(warnings, 1);
    assert_winner("fast", "blocked");
    is[ODD].wrong = 0;
    measure(); /* known: neither measured nor said again */
    assert_int_equal(is[ODD].runs, 1);
    assert_int_equal(tuner.known, 1);
    assert_int_equal(warnings, 1);
    tuner.again = true;
    measure();
    assert_winner("odd", "fast");
}

static void wrongness_has_a_limit(void **state)
{
    (void)state;
    is[ODD].wrong = 1e-4f;  /* of one element in 1920: 2e-6 */
    is[FAST].wrong = 0.01f; /* 2e-4 */
    is[BLOCKED].wrong = NAN;
    measure();
    assert_int_equal(found(ODD)->verdict, VOX_VERDICT_TIMED);
    assert_int_equal(found(FAST)->verdict, VOX_VERDICT_WRONG);
    assert_int_equal(found(BLOCKED)->verdict, VOX_VERDICT_WRONG);
}

static void what_writes_nothing_is_wrong(void **state)
{
    (void)state;
    is[ODD].writes_nothing = true;
    is[ODD].run_s = 1e-6;
    measure();
    assert_int_equal(found(ODD)->verdict, VOX_VERDICT_WRONG);
}

static void slow_ones_are_given_up(void **state)
{
    (void)state;
    is[FAST].rule_s = 0.1; /* first */
    is[FAST].run_s = 0.1;
    is[ODD].run_s = 0.31;
    is[BLOCKED].run_s = 0.29;
    measure();
    assert_int_equal(is[FAST].runs, 4);
    assert_int_equal(is[BLOCKED].runs, 4);
    assert_int_equal(is[ODD].runs, 2);   /* the warm-up and the first */
    assert_int_equal(is[NAIVE].runs, 1); /* clearly slow when it gave the reference */
    assert_true(fabs(found(ODD)->seconds - 0.31) < 1e-9);
    assert_winner("fast", "blocked");
}

static void the_hopeless_are_not_tried(void **state)
{
    (void)state;
    is[FAST].rule_s = is[FAST].run_s = 0.01;
    is[ODD].rule_s = 0.5;
    measure();
    assert_int_equal(is[ODD].runs, 0);
    assert_null(found(ODD));
    assert_non_null(found(NAIVE));
}

static void slow_compilation_loses(void **state)
{
    (void)state;
    is[FAST].run_s = 0.1;
    is[FAST].build_s = 10.5;
    measure();
    assert_int_equal(found(FAST)->verdict, VOX_VERDICT_COMPILE);
    assert_winner("odd", "blocked");
}

static void a_large_workspace_is_passed_over(void **state)
{
    (void)state;
    is[FAST].run_s = 0.1;
    is[FAST].workspace = 5000;
    is[ODD].run_s = 0.2;
    is[ODD].workspace = 4000;
    tuner.workspace = 4096;
    measure();
    assert_int_equal(found(FAST)->verdict, VOX_VERDICT_LARGE);
    assert_true(found(FAST)->workspace >= 5000);
    assert_int_equal(is[FAST].runs, 0);
    assert_winner("odd", NULL);
}

static void what_fails_does_not_stop_the_rest(void **state)
{
    (void)state;
    is[FAST].fails = true;
    measure();
    assert_int_equal(found(FAST)->verdict, VOX_VERDICT_FAILED);
    assert_winner("odd", "blocked");
    tuner.again = true;
    is[NAIVE].fails = true; /* nothing to check against: nothing is learnt */
    runs = 0;
    measure();
    assert_int_equal(runs, 0);
    assert_int_equal(tuner.skipped, 1);
    assert_int_equal(warnings, 1);
}

static void the_budget_ends_it(void **state)
{
    (void)state;
    tuner.until = clock_s + 3; /* the reference takes 2, a candidate 4 */
    measure();
    assert_int_equal(tuner.skipped, 1);
    assert_int_equal(vox_finddb_count(db), 0); /* nothing by halves */
    const int before = runs;
    measure(); /* no time at all */
    assert_int_equal(runs, before);
    assert_int_equal(tuner.skipped, 2);
    tuner.until = clock_s + 100;
    measure();
    assert_int_equal(tuner.measured, 1);
    assert_int_equal(vox_finddb_count(db), ALGOS);
}

/* ---- the plan ---- */

static vox_graph *open_graph(void)
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

static const char *chosen(const vox_graph *g, const vox_finddb *times)
{
    const vox_plan_options opt = {.n_max = 2, .times = times};
    vox_tune_row *row;
    size_t rows;
    assert_ok(vox_plan_tuned(g, problem.dev, &opt, &row, &rows, &err));
    assert_true(rows >= 1);
    assert_string_equal(row[0].layer, "relu1");
    const char *name = row[0].algo;
    free(row);
    return name;
}

static void put(int algo, vox_verdict verdict, double seconds)
{
    vox_finding f = {.pass = VOX_FORWARD,
                     .in = algos[algo].in,
                     .out = algos[algo].out,
                     .verdict = verdict,
                     .seconds = seconds};
    snprintf(f.algo, sizeof f.algo, "%s", algos[algo].name);
    assert_ok(vox_finddb_add(db, key, &f, 1, &err));
}

static void a_plan_goes_by_what_was_measured(void **state)
{
    (void)state;
    vox_graph *g = open_graph();
    is[ODD].rule_s = 1e-3;
    assert_string_equal(chosen(g, NULL), "odd");
    assert_string_equal(chosen(g, db), "odd"); /* nothing known: the rule */
    put(NAIVE, VOX_VERDICT_TIMED, 100);
    assert_string_equal(chosen(g, db), "naive"); /* what was not measured does not win */
    put(ODD, VOX_VERDICT_WRONG, 0);
    assert_string_equal(chosen(g, db), "naive");
    put(FAST, VOX_VERDICT_TIMED, 99);
    assert_string_equal(chosen(g, db), "fast");
    assert_string_equal(chosen(g, NULL), "odd");
    put(BLOCKED, VOX_VERDICT_TIMED, 1);
    assert_string_equal(chosen(g, db), "blocked"); /* worth two reorders */
    vox_graph_free(&g);
}

/* The whole way, with the real operations: everything measured, all of it right. */
static void a_network_is_tuned(void **state)
{
    (void)state;
    vox_yaml *doc = NULL;
    vox_graph *g = NULL;
    assert_ok(vox_yaml_parse(
        &doc,
        "input: {channels: 1, size: [5, 12, 12]}\nlayers:\n"
        "  - conv: {out: 20, kernel: 3, stride: [1, 2, 2], pad: 1}\n  - relu\n"
        "  - conv: {out: 17, kernel: 3, pad: 1}\n  - max_pool: {kernel: 2}\n  - flatten\n"
        "  - dropout\n  - dense: {out: 3}\nloss: cross_entropy\n",
        "n.yaml", &err));
    assert_ok(vox_graph_open(&g, vox_yaml_root(doc), &err));
    tuner.now = fake_now;
    vox_plan_options opt = {.n_max = 2, .training = true};
    assert_ok(vox_plan_tune(g, problem.dev, &opt, &tuner, NULL, NULL, &err));
    assert_int_equal(tuner.skipped, 0);
    assert_true(tuner.measured + tuner.known >= 17);
    assert_int_equal(warnings, 0);
    opt.times = db;
    vox_tune_row *row;
    size_t rows;
    assert_ok(vox_plan_tuned(g, problem.dev, &opt, &row, &rows, &err));
    assert_int_equal(rows, tuner.measured + tuner.known);
    for (size_t i = 0; i < rows; i++)
        if (!row[i].measured)
            fail_msg("%s %s: not measured", row[i].layer, vox_pass_names[row[i].pass]);
    free(row);
    vox_plan *plan = NULL;
    assert_ok(vox_plan_open(&plan, g, problem.dev, &opt, &err));
    vox_plan_free(&plan);
    vox_graph_free(&g);
    vox_yaml_free(&doc);
}

static void keys_tell_problems_apart(void **state)
{
    (void)state;
    vox_problem other = problem;
    char *k = NULL;
    other.n_max = 3;
    assert_string_not_equal(k = vox_finddb_key(&other, &err), key);
    free(k);
    other = problem;
    other.training = true;
    assert_string_not_equal(k = vox_finddb_key(&other, &err), key);
    free(k);
    vox_node wide = node;
    wide.in[0].dim[4] = wide.out.dim[4] = 5;
    other = problem;
    other.node = &wide;
    assert_string_not_equal(k = vox_finddb_key(&other, &err), key);
    free(k);
    wide = node;
    snprintf(wide.name, sizeof wide.name, "another name");
    assert_string_equal(k = vox_finddb_key(&other, &err), key);
    free(k);
    assert_null(strpbrk(key, "\t\n"));
}

int main(void)
{
#ifndef VOXCL_WITH_FYAML
    puts("skipped: built without libfyaml");
    return 77;
#endif
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(the_fastest_wins),
        TEST(a_wrong_one_never_wins),
        TEST(wrongness_has_a_limit),
        TEST(what_writes_nothing_is_wrong),
        TEST(slow_ones_are_given_up),
        TEST(the_hopeless_are_not_tried),
        TEST(slow_compilation_loses),
        TEST(a_large_workspace_is_passed_over),
        TEST(what_fails_does_not_stop_the_rest),
        TEST(the_budget_ends_it),
        TEST(a_plan_goes_by_what_was_measured),
        TEST(a_network_is_tuned),
        TEST(keys_tell_problems_apart),
    };
    if (vox_ctx_open(&ctx, "all", &err) != VOX_OK) {
        printf("skipped: %s: %s\n", err.message, err.detail);
        return 77;
    }
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    vox_log_set(count_log, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vox_ctx_free(&ctx);
    return failed;
}
