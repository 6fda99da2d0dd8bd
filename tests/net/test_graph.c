/* test_graph.c - networks from YAML: names, edges, shapes, parameters, and what is wrong with them.
 */
#include "test.h"

#include "net/graph.h"
#include "ops/attr.h"
#include "ops/loss.h"
#include "train/experiment.h"

#include <math.h>

static vox_error err;

/* A network around these layers, each line of which starts with "  - ". */
#define NET(layers) "input: {channels: 2, size: [4, 6, 8]}\nlayers:\n" layers

static vox_graph *open_graph(const char *text)
{
    vox_yaml *doc = NULL;
    vox_graph *g = NULL;
    assert_ok(vox_yaml_parse(&doc, text, "n.yaml", &err));
    assert_ok(vox_graph_open(&g, vox_yaml_root(doc), &err));
    vox_yaml_free(&doc); /* a graph keeps nothing of it */
    return g;
}

static void assert_bad(const char *text, const char *word, const char *place)
{
    vox_yaml *doc = NULL;
    vox_graph *g = (vox_graph *)&doc;
    assert_ok(vox_yaml_parse(&doc, text, "n.yaml", &err));
    assert_error(vox_graph_open(&g, vox_yaml_root(doc), &err), VOX_ERR_INPUT, word);
    assert_null(g);
    if (strncmp(err.detail, place, strlen(place)) != 0)
        fail_msg("not at %s: %s | %s", place, err.message, err.detail);
    vox_yaml_free(&doc);
}

static void assert_shape(const vox_graph *g, const char *name, const char *expected)
{
    char text[96];
    for (int e = 0; e <= g->layers; e++)
        if (strcmp(vox_graph_edge_name(g, e), name) == 0) {
            assert_string_equal(vox_shape_text(vox_graph_edge_shape(g, e), text), expected);
            return;
        }
    fail_msg("no layer %s", name);
}

static const char small[] = NET("  - conv: {out: 3, kernel: 3, pad: 1}\n"
                                "  - relu\n"
                                "  - max_pool: {kernel: 2}\n"
                                "  - conv: {name: last, out: 20, kernel: [1, 2, 3]}\n"
                                "  - flatten:\n"
                                "  - relu:\n"
                                "  - dense: {out: 5, bias: false}\n");

static const char heads[] = NET("  - conv: {name: coarse, out: 3, kernel: 3, stride: 2, pad: 1}\n"
                                "  - conv: {name: fine, out: 3, kernel: 3, pad: 1, from: input}\n");

static void a_loss_has_keys_and_several_outputs(void **state)
{
    (void)state;
    char text[1200];
    snprintf(text, sizeof text,
             "%sloss: {dice_ce: {from: [fine, coarse], smooth: 1, weights: [1, 2, 0.5]}}\n", heads);
    vox_graph *g = open_graph(text);
    const vox_node *loss = &g->loss.node;
    const vox_loss_attr *a = loss->attr;
    assert_int_equal(loss->inputs, 3);
    assert_int_equal(g->loss.from[0], 2);
    assert_int_equal(g->loss.from[1], 1);
    assert_int_equal(loss->in[1].dim[4], 4);
    assert_int_equal(loss->in[2].dim[1], 1);
    assert_int_equal(vox_graph_labels(g), 4 * 6 * 8);
    assert_true(a->smooth == 1 && a->dice_weight == 1 && !a->background);
    assert_int_equal(a->weights.count, 3);
    assert_true(a->weights.value[2] == 0.5);
    assert_true(vox_loss_output_weight(loss, 0) == 1 && vox_loss_output_weight(loss, 1) == 0);
    vox_attr_text(loss->op->attrs, a, text, sizeof text);
    assert_string_equal(text, "{smooth: 1, weights: [1, 2, 0.5]}");
    vox_graph_free(&g);
    static const char *const bad[][3] = {
        {"{dice: {smoth: 1}}", "unknown key \"smoth\" in the loss (dice)", "n.yaml:5:15"},
        {"{dice: {smooth: 0}}", "a number from 1e-10 to", "n.yaml:5:23"},
        {"dise", "dise", "n.yaml:5:7"},
        {"relu", "relu", "n.yaml:5:7"},
        {"{dice: {from: [fine, coarse, other]}}", "names no earlier layer: \"other\"",
         "n.yaml:5:36"},
        {"{dice: {from: [coarse, fine]}}", "must be the network's last, fine", "n.yaml:5:22"},
        {"{dice: {from: [fine, input]}}", "has other channels than the first", "n.yaml:5:7"},
        {"{dice: {from: []}}", "1 to 7 layers' outputs, not 0", "n.yaml:5:21"},
        {"{dice: {from: [fine, coarse], from_weights: 1}}", "must have 2 numbers", "n.yaml:5:7"},
        {"{dice_ce: {from: [fine, coarse], weights: [1, a]}}", "found \"a\"", "n.yaml:5:53"},
        {"{dice_ce: {from: [fine, coarse], weights: [1, 2]}}", "must have 3 numbers", "n.yaml:5:7"},
        {"dice", "nothing takes the output of layer coarse", "n.yaml:3:5"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text, sizeof text, "%sloss: %s\n", heads, bad[i][0]);
        assert_bad(text, bad[i][1], bad[i][2]);
    }
}

static void a_chain_has_names_shapes_and_parameters(void **state)
{
    (void)state;
    vox_graph *g = open_graph(small);
    assert_int_equal(g->layers, 7);
    assert_shape(g, "input", "1x2x4x6x8");
    assert_shape(g, "conv1", "1x3x4x6x8");
    assert_shape(g, "relu1", "1x3x4x6x8");
    assert_shape(g, "max_pool1", "1x3x2x3x4");
    assert_shape(g, "last", "1x20x2x2x2");
    assert_shape(g, "flatten1", "1x160x1x1x1");
    assert_shape(g, "relu2", "1x160x1x1x1");
    assert_shape(g, "dense1", "1x5x1x1x1");
    assert_string_equal(g->loss.node.op->name, "cross_entropy");
    assert_int_equal(g->loss.from[0], 7);
    assert_int_equal(g->params, 5);
    assert_string_equal(g->param[2].name, "last.weight");
    assert_int_equal(vox_graph_find_param(g, "dense1.weight"), 4);
    assert_int_equal(vox_graph_find_param(g, "dense1.bias"), -1);
    assert_int_equal(vox_graph_parameters(g, true), 3 * 2 * 27 + 3 + 20 * 3 * 6 + 20 + 5 * 160);
    size_t end = 0;
    for (int i = 0; i < g->params; i++) {
        assert_int_equal(g->param[i].offset % (VOX_BUFFER_ALIGN / 4), 0);
        assert_true(g->param[i].offset >= end);
        end = g->param[i].offset + g->param[i].count;
    }
    assert_true(g->flat_floats >= end);
    vox_graph_free(&g);
    assert_null(g);
}

static void automatic_names_step_aside(void **state)
{
    (void)state;
    vox_graph *g = open_graph(NET("  - relu\n"
                                  "  - relu: {name: relu1}\n"
                                  "  - relu:\n"
                                  "  - relu: {name: relu3}\n"
                                  "  - dropout\n"
                                  "  - relu: {from: dropout1}\n"
                                  "  - flatten\n"));
    static const char *const names[] = {"relu2", "relu1", "relu4", "relu3", "dropout1", "relu5"};
    for (int i = 0; i < 6; i++)
        assert_string_equal(g->layer[i].node.name, names[i]);
    vox_graph_free(&g);
}

static void starting_values_are_pytorchs_and_repeatable(void **state)
{
    (void)state;
    vox_graph *g = open_graph(small);
    float *a = calloc(g->flat_floats, sizeof *a), *b = calloc(g->flat_floats, sizeof *b);
    assert_non_null(a);
    assert_non_null(b);
    memset(b, 0xff, g->flat_floats * sizeof *b);
    vox_graph_init_params(g, 7, a);
    vox_graph_init_params(g, 7, b);
    assert_memory_equal(a, b, g->flat_floats * sizeof *a);
    const float bound[] = {1 / sqrtf(2 * 27), 1 / sqrtf(2 * 27), 1 / sqrtf(3 * 6), 1 / sqrtf(3 * 6),
                           1 / sqrtf(160)};
    size_t next = 0;
    for (int p = 0; p < g->params; p++) {
        float most = 0;
        double sum = 0;
        for (; next < g->param[p].offset; next++)
            assert_true(a[next] == 0); /* padding */
        for (size_t i = 0; i < g->param[p].count; i++, next++) {
            most = fmaxf(most, fabsf(a[next]));
            sum += a[next];
        }
        assert_true(most <= bound[p]);
        if (g->param[p].count > 100) {
            assert_true(most > 0.9f * bound[p]);
            assert_true(fabs(sum / (double)g->param[p].count) < 0.2 * bound[p]);
        }
    }
    vox_graph_init_params(g, 8, b);
    assert_true(memcmp(a, b, g->flat_floats * sizeof *a) != 0);
    assert_true(a[g->param[0].offset] != a[g->param[2].offset]); /* a stream for each tensor */
    free(a);
    free(b);
    vox_graph_free(&g);
}

static void wrong_networks_say_where(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word, *place;
    } bad[] = {
        /* the sections */
        {"~", "expected a map for the network, found nothing", "n.yaml:1:1"},
        {"[1]", "found a list", "n.yaml:1:"},
        {"layers: [relu]", "no input", "n.yaml:1:"},
        {"input: {size: 3}", "needs a list of layers", "n.yaml:1:"},
        {"input: {size: 3}\nlayers: []", "needs a list of layers", "n.yaml:2:9"},
        {"input: {size: 3}\nlayers: relu", "needs a list of layers", "n.yaml:2:9"},
        {"input: {size: 3}\nlayer: [relu]", "unknown key \"layer\"", "n.yaml:2:1"},
        {"input: {channels: 3}\nlayers: [relu]", "needs the key \"size\"", "n.yaml:1:"},
        {"input: {size: 3, depth: 1}\nlayers: [relu]", "unknown key \"depth\"", "n.yaml:1:18"},
        /* sizes */
        {"input: {size: [4, -6, 8]}\nlayers: [relu]", "found \"-6\"", "n.yaml:1:19"},
        {"input: {size: [4, 6]}\nlayers: [relu]", "three numbers", "n.yaml:1:"},
        {"input: {size: 0}\nlayers: [relu]", "found \"0\"", "n.yaml:1:15"},
        {"input: {size: 1.5}\nlayers: [relu]", "whole number", "n.yaml:1:15"},
        {"input: {channels: 0, size: 1}\nlayers: [relu]", "found \"0\"", "n.yaml:1:19"},
        {"input: {size: [16384, 8192, 8192]}\nlayers: [relu]", "too large", "n.yaml:1:"},
        {"input: {size: 17179869184}\nlayers: [relu]", "too large", "n.yaml:1:15"},
        {"input: {size: 99999999999999999999}\nlayers: [relu]", "whole number", "n.yaml:1:15"},
        /* layers */
        {NET("  - convv: {out: 3}\n"), "unknown layer \"convv\"", "n.yaml:3:5"},
        {NET("  - cross_entropy\n"), "unknown layer \"cross_entropy\"", "n.yaml:3:5"},
        {NET("  - reorder\n"), "unknown layer \"reorder\"", "n.yaml:3:5"},
        {NET("  - 3\n"), "unknown layer \"3\"", "n.yaml:3:5"},
        {NET("  - [relu]\n"), "found a list", "n.yaml:3:"},
        {NET("  -\n"), "found nothing", "n.yaml:"},
        {NET("  - {relu: , conv: {out: 1, kernel: 1}}\n"), "2 keys", "n.yaml:3:"},
        {NET("  - conv: {out: 3, kernel: 3, padding: 1}\n"), "unknown key \"padding\"",
         "n.yaml:3:31"},
        {NET("  - conv: {out: 3}\n"), "needs the key \"kernel\"", "n.yaml:3:"},
        {NET("  - conv\n"), "needs the key \"out\"", "n.yaml:3:5"},
        {NET("  - conv:\n"), "needs the key \"out\"", "n.yaml:3:"},
        {NET("  - conv: 3\n"), "expected a map", "n.yaml:3:11"},
        {NET("  - conv: {out: -3, kernel: 3}\n"), "found \"-3\"", "n.yaml:3:17"},
        {NET("  - conv: {out: many, kernel: 3}\n"), "found \"many\"", "n.yaml:3:17"},
        {NET("  - conv: {out: 3, kernel: [3, 3]}\n"), "found a list of 2", "n.yaml:3:"},
        {NET("  - conv: {out: 3, kernel: {d: 3}}\n"), "found a map", "n.yaml:3:"},
        {NET("  - conv: {out: 3, kernel: 3, bias: 1}\n"), "true or false", "n.yaml:3:37"},
        {NET("  - conv: {out: 1e99, kernel: 3}\n"), "found \"1e99\"", "n.yaml:3:17"},
        {NET("  - relu\n  - conv: {out: 3, kernel: [5, 3, 3]}\n"), "layer conv1", "n.yaml:4:"},
        {NET("  - max_pool: {kernel: [1, 7, 1]}\n"), "layer max_pool1", "n.yaml:3:"},
        {NET("  - conv: {out: 3, kernel: 3, groups: 2}\n"), "layer conv1", "n.yaml:3:"},
        {"input: {size: 2048}\nlayers:\n  - conv: {out: 1000, kernel: 1}\n", "too large",
         "n.yaml:3:"},
        {NET("  - flatten\n  - dense: {out: 1000000}\n  - dense: {out: 1000000}\n"), "too large",
         "n.yaml:5:"},
        /* names and edges */
        {NET("  - relu: {name: a}\n  - relu: {name: a}\n"), "two layers are named \"a\"",
         "n.yaml:4:18"},
        {NET("  - relu: {name: [a]}\n"), "must be a word", "n.yaml:3:"},
        {NET("  - relu: {name: a/b}\n"), "letters, digits", "n.yaml:3:18"},
        {NET("  - relu: {name: \"\"}\n"), "letters, digits", "n.yaml:3:18"},
        {NET("  - relu: {name: loss}\n"), "taken by voxcl", "n.yaml:3:18"},
        {NET("  - relu: {name: optimizer.x}\n"), "taken by voxcl", "n.yaml:3:18"},
        {NET("  - relu: {name: "
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}\n"),
         "over 63 letters", "n.yaml:3:18"},
        {NET("  - relu: {from: relu1}\n"), "no earlier layer: \"relu1\"", "n.yaml:3:18"},
        {NET("  - relu\n  - relu: {from: rleu1}\n"), "no earlier layer: \"rleu1\"", "n.yaml:4:18"},
        {NET("  - relu: {from: b}\n  - relu: {name: b}\n"), "no earlier layer: \"b\"",
         "n.yaml:3:18"},
        {NET("  - relu: {from: {a: b}}\n"), "takes layers' names", "n.yaml:3:"},
        {NET("  - relu: {from: [input, input]}\n"), "has 2 inputs", "n.yaml:3:"},
        {NET("  - relu: {from: []}\n"), "has 0 inputs", "n.yaml:3:"},
        {NET("  - relu\n  - relu: {from: input}\n"), "nothing takes the output of layer relu1",
         "n.yaml:3:5"},
        /* the loss */
        {NET("  - flatten\nloss: relu\n"), "unknown loss \"relu\"", "n.yaml:4:7"},
        {NET("  - flatten\nloss: [a]\n"), "a loss", "n.yaml:4:"},
        {NET("  - relu\nloss: {dice: {from: [relu1], from_weights: [0]}}\n"), "are all 0",
         "n.yaml:4:"},
        {NET("  - relu\nloss: {focal: {alpha: [0, 0]}}\n"), "\"alpha\" are all 0", "n.yaml:4:"},
        {NET("  - relu\nloss: {cross_entropy: {weights: [0, 0]}}\n"), "\"weights\" are all 0",
         "n.yaml:4:"},
        {NET("  - flatten\nloss: {cross_entropy: {name: x}}\n"), "unknown key \"name\"",
         "n.yaml:4:24"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_bad(bad[i].text, bad[i].word, bad[i].place);
    assert_error(vox_graph_open(&(vox_graph *){NULL}, NULL, &err), VOX_ERR_INPUT, "no network");
}

static void wrong_words_get_a_suggestion(void **state)
{
    (void)state;
    assert_bad(NET("  - convv: {out: 3}\n"), "convv", "n.yaml");
    assert_non_null(strstr(err.hint, "did you mean \"conv\"?"));
    assert_bad(NET("  - conv: {out: 3, kernel: 3, strode: 1}\n"), "strode", "n.yaml");
    assert_non_null(strstr(err.hint, "did you mean \"stride\"?"));
    assert_bad(NET("  - relu\n  - relu: {from: rleu1}\n"), "rleu1", "n.yaml");
    assert_non_null(strstr(err.hint, "did you mean \"relu1\"?"));
    assert_bad(NET("  - relu: {from: b}\n  - relu: {name: b}\n"), "\"b\"", "n.yaml");
    assert_non_null(strstr(err.hint, "comes later"));
    assert_bad(NET("  - flatten\nloss: cross_entrpy\n"), "cross_entrpy", "n.yaml");
    assert_non_null(strstr(err.hint, "did you mean \"cross_entropy\"?"));
    assert_bad(NET("  - conv: {out: 3, kernel: [5, 3, 3]}\n"), "conv1", "n.yaml");
    if (!strstr(err.detail, "2x4x6x8")) /* all the shapes involved */
        fail_msg("%s | %s", err.message, err.detail);
    assert_bad(NET("  - max_pool: {kernel: 2}\n  - concat: {from: [max_pool1, input]}\n"),
               "differ in more than channels", "n.yaml:4:5");
    if (!strstr(err.detail, "of max_pool1 1x2x2x3x4, input 1x2x4x6x8")) /* and both branches */
        fail_msg("%s | %s", err.message, err.detail);
}

static void the_papers_network_has_its_numbers(void **state)
{
    (void)state;
    vox_experiment *exp = NULL;
    assert_ok(vox_experiment_open(&exp, VOXCL_SOURCE_DIR "/models/prostatex-alexnet3d.yaml", NULL,
                                  0, &err));
    const vox_graph *g = exp->graph;
    assert_int_equal(vox_graph_parameters(g, false), 12519173);
    assert_int_equal(vox_graph_parameters(g, true), 12519173);
    assert_shape(g, "input", "1x1x25x224x224");
    assert_shape(g, "conv1", "1x32x13x56x56");
    assert_shape(g, "pool1", "1x32x6x27x27");
    assert_shape(g, "conv2", "1x64x6x27x27");
    assert_shape(g, "pool2", "1x64x3x13x13");
    assert_shape(g, "conv3", "1x128x4x13x13");
    assert_shape(g, "conv4", "1x128x4x13x13");
    assert_shape(g, "conv5", "1x64x4x13x13");
    assert_shape(g, "pool5", "1x64x2x6x6");
    assert_shape(g, "flatten1", "1x4608x1x1x1");
    assert_shape(g, "fc1", "1x2048x1x1x1");
    assert_shape(g, "fc2", "1x1024x1x1x1");
    assert_shape(g, "fc3", "1x5x1x1x1");
    assert_int_equal(exp->train.batch, 4);
    assert_int_equal(exp->train.iterations, 30000);
    vox_experiment_free(&exp);
    assert_ok(vox_experiment_open(&exp, VOXCL_SOURCE_DIR "/models/prostatex-quickstart.yaml", NULL,
                                  0, &err));
    vox_experiment_free(&exp);
}

int main(void)
{
#ifndef VOXCL_WITH_FYAML
    puts("skipped: built without libfyaml");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loss_has_keys_and_several_outputs),
        cmocka_unit_test(a_chain_has_names_shapes_and_parameters),
        cmocka_unit_test(automatic_names_step_aside),
        cmocka_unit_test(starting_values_are_pytorchs_and_repeatable),
        cmocka_unit_test(wrong_networks_say_where),
        cmocka_unit_test(wrong_words_get_a_suggestion),
        cmocka_unit_test(the_papers_network_has_its_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
