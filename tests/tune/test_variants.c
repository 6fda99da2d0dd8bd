/* test_variants.c - tuning values: timed, remembered, taken by a plan and forced. */
#include "fake.h"

static void variants_are_timed_after_the_algorithms(void **state)
{
    (void)state;
    variants = VARIANTS;
    is[FAST].run_s = 0.8;
    variant_is[1].run_s = 0.7;
    variant_is[2].run_s = 0.6;
    variant_is[3].run_s = 0.9;
    measure();
    assert_winner("fast:v2", "fast:v1");
    assert_int_equal(vox_finddb_count(db), ALGOS + VARIANTS - 1);
    assert_int_equal(variant_is[3].runs, 4);
    assert_int_equal(tuner.measured, 1);
    measure();
    assert_int_equal(tuner.known, 1);
    assert_int_equal(variant_is[3].runs, 4);
    vox_finddb_free(&db); /* and from the disk */
    assert_ok(vox_finddb_open(&db, path, &err));
    assert_winner("fast:v2", "fast:v1");
    tuner.db = db;
    tuner.again = true;
    variant_is[1].run_s = 0.1;
    measure();
    assert_winner("fast:v1", "fast:v2");
}

static void what_holds_for_algorithms_holds_for_variants(void **state)
{
    (void)state;
    variants = VARIANTS;
    is[FAST].run_s = 0.5;
    variant_is[1].run_s = variant_is[2].run_s = variant_is[3].run_s = 0.01;
    variant_is[1].wrong = 1;
    variant_is[2].build_s = 11;
    variant_is[3].workspace = 5000;
    tuner.workspace = 4096;
    measure();
    assert_int_equal(found_variant(1)->verdict, VOX_VERDICT_WRONG);
    assert_int_equal(found_variant(2)->verdict, VOX_VERDICT_COMPILE);
    assert_int_equal(found_variant(3)->verdict, VOX_VERDICT_LARGE);
    assert_int_equal(warnings, 1);
    assert_winner("fast", NULL);
}

static void variants_of_slow_algorithms_are_not_tried(void **state)
{
    (void)state;
    variants = VARIANTS;
    is[ODD].run_s = 0.5;
    measure(); /* fast takes 1 s */
    assert_int_equal(variant_is[1].runs, 0);
    assert_null(found_variant(1));
    assert_int_equal(tuner.measured, 1);
    measure();
    assert_int_equal(tuner.known, 1);
}

static void variants_without_time_come_the_next_time(void **state)
{
    (void)state;
    variants = VARIANTS;
    is[FAST].run_s = 0.5;
    is[ODD].run_s = is[BLOCKED].run_s = 0.75;
    tuner.until = clock_s + 15.5; /* the algorithms take 15, a variant 3.5 */
    measure();
    assert_int_equal(vox_finddb_count(db), ALGOS + 1);
    assert_int_equal(tuner.skipped, 1);
    tuner.until = clock_s + 1000;
    const int before = is[FAST].runs + is[ODD].runs + is[BLOCKED].runs;
    measure();
    assert_int_equal(tuner.measured, 1);
    assert_int_equal(vox_finddb_count(db), ALGOS + VARIANTS - 1);
    assert_int_equal(is[FAST].runs + is[ODD].runs + is[BLOCKED].runs, before);
}

static void a_plan_takes_the_best_variant(void **state)
{
    (void)state;
    vox_graph *g = open_graph();
    variants = VARIANTS;
    put(FAST, VOX_VERDICT_TIMED, 2);
    put(NAIVE, VOX_VERDICT_TIMED, 3);
    assert_string_equal(chosen(g, db), "fast");
    put_variant(FAST, 3, VOX_VERDICT_TIMED, 1);
    put_variant(FAST, 2, VOX_VERDICT_WRONG, 0);
    assert_string_equal(chosen(g, db), "fast:v3");
    vox_graph_free(&g);
}

static void a_plan_passes_over_large_workspaces(void **state)
{
    (void)state;
    vox_graph *g = open_graph();
    vox_plan_options opt = {.n_max = 2, .workspace = 8192};
    is[FAST].rule_s = 1e-3;
    is[ODD].rule_s = 2e-3;
    for (int i = 0; i < ALGOS; i++)
        is[i].workspace = i == FAST ? 5000 : 4000;
    vox_plan *plan = NULL;
    assert_ok(vox_plan_open(&plan, g, problem.dev, &opt, &err));
    assert_string_equal(vox_plan_row_get(plan, 0).algo, "fast");
    vox_plan_free(&plan);
    opt.workspace = 4096;
    assert_ok(vox_plan_open(&plan, g, problem.dev, &opt, &err));
    assert_string_equal(vox_plan_row_get(plan, 0).algo, "odd");
    vox_plan_free(&plan);
    opt.workspace = 3000;
    assert_error(vox_plan_open(&plan, g, problem.dev, &opt, &err), VOX_ERR_UNSUPPORTED,
                 "too much memory");
    vox_graph_free(&g);
}

/* Of the real convolution. */
static void values_are_forced(void **state)
{
    (void)state;
    vox_yaml *doc = NULL;
    vox_graph *g = NULL;
    assert_ok(vox_yaml_parse(&doc,
                             "input: {channels: 32, size: [3, 9, 9]}\nlayers:\n"
                             "  - conv: {out: 32, kernel: 3, pad: 1}\n",
                             "n.yaml", &err));
    assert_ok(vox_graph_open(&g, vox_yaml_root(doc), &err));
    vox_problem p = {.node = &g->layer[0].node, .dev = problem.dev, .n_max = 2, .variant = 1};
    const vox_algo *a = vox_op_algo(p.node->op, VOX_FORWARD, 0);
    for (int i = 1; strcmp(a->name, "direct16") != 0; i++)
        assert_non_null(a = vox_op_algo(p.node->op, VOX_FORWARD, i));
    assert_true(vox_algo_variants(a, &p) > 1);
    char name[VOX_ALGO_TEXT], with_op[64];
    snprintf(with_op, sizeof with_op, "conv=%s", vox_algo_text(a, &p, name));
    vox_plan_options opt = {.n_max = 2, .algo = with_op};
    vox_plan *plan = NULL;
    assert_ok(vox_plan_open(&plan, g, problem.dev, &opt, &err));
    bool found_row = false;
    for (size_t i = 0; i < vox_plan_rows(plan); i++)
        found_row = found_row || !strcmp(vox_plan_row_get(plan, i).algo, name);
    assert_true(found_row);
    vox_plan_free(&plan);
    opt.algo = "conv=direct16:r99q99";
    assert_error(vox_plan_open(&plan, g, problem.dev, &opt, &err), VOX_ERR_USAGE, "r99q99");
    assert_non_null(strstr(err.detail, strchr(name, ':') + 1));
    opt.algo = "conv=naive:x1";
    assert_error(vox_plan_open(&plan, g, problem.dev, &opt, &err), VOX_ERR_USAGE, "no layer has");
    opt.algo = "conv=direct16:";
    assert_error(vox_plan_open(&plan, g, problem.dev, &opt, &err), VOX_ERR_USAGE, "not operation");
    vox_graph_free(&g);
    vox_yaml_free(&doc);
}

int main(void)
{
#ifndef VOXCL_WITH_FYAML
    puts("skipped: built without libfyaml");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        TEST(variants_are_timed_after_the_algorithms),
        TEST(what_holds_for_algorithms_holds_for_variants),
        TEST(variants_of_slow_algorithms_are_not_tried),
        TEST(variants_without_time_come_the_next_time),
        TEST(a_plan_takes_the_best_variant),
        TEST(a_plan_passes_over_large_workspaces),
        TEST(values_are_forced),
    };
    int failed = fake_open();
    if (!failed)
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    vox_ctx_free(&ctx);
    return failed;
}
