/* test_tuner.c - what may win and what may not. */
#include "fake.h"

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
    is[NAIVE].rule_s = is[ODD].rule_s = is[BLOCKED].rule_s = 0.5;
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
    tuner.until = clock_s + 3; /* the reference takes 1, the first candidate 7 */
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
        if (!row[i].measured && strcmp(row[i].algo, "fused") != 0)
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
    int failed = fake_open();
    if (!failed)
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    vox_ctx_free(&ctx);
    return failed;
}
