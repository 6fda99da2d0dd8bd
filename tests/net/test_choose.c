/* test_choose.c - the chosen layouts are the cheapest: against trying them all, with layers whose
 * expected times are made up. */
#include "test.h"

#include "base/philox.h"
#include "net/plan_parts.h"

#include <math.h>

#define LAYERS 6

static vox_error err;
static vox_ctx *ctx;

/* Expected seconds of layer i (by its lane) in a layout, for each pass. */
static double table[LAYERS][VOX_LAYOUTS];

static double plain_seconds(const vox_problem *p)
{
    return table[p->node->lane][VOX_LAYOUT_PLAIN];
}

static double block_seconds(const vox_problem *p)
{
    return table[p->node->lane][VOX_LAYOUT_BLOCK16];
}

#define PLAIN VOX_LAYOUT_PLAIN, VOX_LAYOUT_PLAIN
#define BLOCK VOX_LAYOUT_BLOCK16, VOX_LAYOUT_BLOCK16

static const vox_algo algos[] = {{"p", VOX_FORWARD, PLAIN, NULL, plain_seconds, NULL, NULL},
                                 {"p", VOX_BACKWARD_DATA, PLAIN, NULL, plain_seconds, NULL, NULL},
                                 {"b", VOX_FORWARD, BLOCK, NULL, block_seconds, NULL, NULL},
                                 {"b", VOX_BACKWARD_DATA, BLOCK, NULL, block_seconds, NULL, NULL},
                                 {0}};
static const vox_op fake = {.name = "fake", .min_inputs = 1, .max_inputs = 2, .algos = algos};

/* A chain of fakes; with `skips` every third one also reads what two before it wrote. */
static vox_graph *open_graph(bool skips)
{
    vox_yaml *doc = NULL;
    vox_graph *g = NULL;
    assert_ok(vox_yaml_parse(&doc,
                             "input: {channels: 20, size: [1, 40, 40]}\nlayers:\n  - relu\n"
                             "  - relu\n  - relu\n  - relu\n  - relu\n  - relu\n",
                             "n.yaml", &err));
    assert_ok(vox_graph_open(&g, vox_yaml_root(doc), &err));
    vox_yaml_free(&doc);
    assert_int_equal(g->layers, LAYERS);
    for (int i = 0; i < LAYERS; i++) {
        g->layer[i].node.op = &fake;
        if (skips && i % 3 == 2) {
            g->layer[i].node.inputs = 2;
            g->layer[i].node.in[1] = g->layer[i].node.in[0];
            g->layer[i].from[1] = i - 1;
        }
    }
    return g;
}

static double reorder_seconds(const vox_graph *g, vox_layout from)
{
    vox_node node;
    assert_ok(vox_internal_node(&node, "reorder", &g->input, 1, &err));
    const vox_problem p = {.node = &node, .dev = vox_ctx_get(ctx, 0), .n_max = 2};
    const vox_algo *a = vox_choose_internal(&node, p.dev, 2, from, (vox_layout)(1 - from));
    assert_non_null(a);
    return a->seconds(&p);
}

/* What a choice costs, worked out anew.  No layer has parameters here, so only the forward pass
 * runs. */
static double cost(const vox_graph *g, const vox_layout *layout)
{
    double sum = 0;
    for (int i = 0; i < LAYERS; i++)
        sum += table[i][layout[i]];
    for (int e = 0; e <= LAYERS; e++) {
        const vox_layout written = e == 0 ? VOX_LAYOUT_PLAIN : layout[e - 1];
        bool reordered = e == LAYERS && written != VOX_LAYOUT_PLAIN; /* for the loss */
        for (int i = 0; i < LAYERS; i++)
            for (int k = 0; k < g->layer[i].node.inputs; k++)
                reordered = reordered || (g->layer[i].from[k] == e && layout[i] != written);
        sum += reordered ? reorder_seconds(g, written) : 0;
    }
    return sum;
}

static double least_cost(const vox_graph *g)
{
    double least = INFINITY;
    for (int bits = 0; bits < 1 << LAYERS; bits++) {
        vox_layout layout[LAYERS];
        for (int i = 0; i < LAYERS; i++)
            layout[i] = bits >> i & 1 ? VOX_LAYOUT_BLOCK16 : VOX_LAYOUT_PLAIN;
        least = fmin(least, cost(g, layout));
    }
    return least;
}

static double chosen_cost(const vox_graph *g)
{
    vox_wiring w;
    vox_choice choice[LAYERS + 1];
    vox_layout layout[LAYERS];
    assert_ok(vox_wiring_init(&w, g, false, &err));
    assert_ok(vox_choose(choice, &w, vox_ctx_get(ctx, 0), &(vox_plan_options){.n_max = 2}, &err));
    for (int i = 0; i < LAYERS; i++) {
        layout[i] = choice[i].in;
        assert_int_equal(choice[i].in, choice[i].out);
        assert_non_null(choice[i].algo[VOX_FORWARD]);
        assert_null(choice[i].algo[VOX_BACKWARD_DATA]);
        assert_string_equal(choice[i].algo[VOX_FORWARD]->name,
                            layout[i] == VOX_LAYOUT_PLAIN ? "p" : "b");
    }
    vox_wiring_release(&w);
    return cost(g, layout);
}

static void draw_table(vox_random *r, double reorder)
{
    for (int i = 0; i < LAYERS; i++)
        for (int layout = 0; layout < VOX_LAYOUTS; layout++)
            table[i][layout] = vox_random_range(r, 0, 3) * reorder;
}

static void a_chain_gets_its_best_choice(void **state)
{
    (void)state;
    vox_graph *g = open_graph(false);
    const double reorder = reorder_seconds(g, VOX_LAYOUT_PLAIN);
    vox_random r;
    vox_random_init(&r, 1, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (int round = 0; round < 300; round++) {
        draw_table(&r, reorder);
        const double least = least_cost(g), chosen = chosen_cost(g);
        if (!(chosen <= least * (1 + 1e-9)))
            fail_msg("round %d: %g, the best is %g", round, chosen, least);
    }
    vox_graph_free(&g);
}

static void branches_come_near_the_best(void **state)
{
    (void)state;
    vox_graph *g = open_graph(true);
    const double reorder = reorder_seconds(g, VOX_LAYOUT_PLAIN);
    vox_random r;
    int best = 0, rounds = 300;
    vox_random_init(&r, 2, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (int round = 0; round < rounds; round++) {
        draw_table(&r, reorder);
        const double least = least_cost(g), chosen = chosen_cost(g);
        best += chosen <= least * (1 + 1e-9);
        assert_true(chosen >= least * (1 - 1e-9));
        if (chosen > 1.3 * least)
            fail_msg("round %d: %g, the best is %g", round, chosen, least);
    }
    assert_true(best > rounds * 8 / 10); /* the rule is greedy there: not always the best */
    vox_graph_free(&g);
}

/* The input gets no gradient, so its reorder is paid once; the others' twice. */
static void training_pays_for_the_way_back(void **state)
{
    (void)state;
    vox_graph *g = open_graph(false);
    vox_wiring w;
    vox_choice choice[LAYERS + 1];
    const double reorder = reorder_seconds(g, VOX_LAYOUT_PLAIN);
    vox_graph_param param = {.name = "relu1.weight", .desc = {.trainable = true}, .count = 1};
    g->param = malloc(sizeof *g->param);
    assert_non_null(g->param);
    *g->param = param;
    g->params = 1;
    g->layer[2].params = 1; /* layers 3..5 get gradients through them, 0..2 do not */
    for (int i = 0; i < LAYERS; i++) {
        table[i][VOX_LAYOUT_PLAIN] = reorder;
        table[i][VOX_LAYOUT_BLOCK16] = reorder;
    }
    assert_ok(vox_wiring_init(&w, g, true, &err));
    for (int e = 0; e <= LAYERS; e++)
        assert_int_equal(w.needs[e], e >= 3);
    assert_false(vox_wiring_runs(&w, 1, VOX_BACKWARD_DATA));
    assert_false(vox_wiring_runs(&w, 2, VOX_BACKWARD_DATA));
    assert_true(vox_wiring_runs(&w, 2, VOX_BACKWARD_WEIGHTS));
    assert_true(vox_wiring_runs(&w, 3, VOX_BACKWARD_DATA));
    assert_false(vox_wiring_runs(&w, 3, VOX_BACKWARD_WEIGHTS));
    assert_error(vox_choose(choice, &w, vox_ctx_get(ctx, 0), &(vox_plan_options){.n_max = 2}, &err),
                 VOX_ERR_UNSUPPORTED, "layer relu3"); /* fake has no algorithm for its weights */
    vox_wiring_release(&w);
    vox_graph_free(&g);
}

int main(void)
{
#ifndef VOXCL_WITH_FYAML
    puts("skipped: built without libfyaml");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_gets_its_best_choice),
        cmocka_unit_test(branches_come_near_the_best),
        cmocka_unit_test(training_pays_for_the_way_back),
    };
    if (vox_ctx_open(&ctx, "all", &err) != VOX_OK) {
        printf("skipped: %s: %s\n", err.message, err.detail);
        return 77;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vox_ctx_free(&ctx);
    return failed;
}
