/* test_factors.c - a dense layer's gradient made of rows: which layers, every range of elements
 * against float64, and what is left for the buckets. */
#include "test.h"

#include "base/philox.h"
#include "parallel/buckets.h"
#include "parallel/factors.h"

#include <math.h>

/* fc1 and fc2 pay for batches up to 32, fc3 (40 to 3) never; fc2 has no bias. */
static const char network[] = "input: {channels: 2, size: [5, 6, 10]}\n"
                              "layers:\n"
                              "  - conv: {name: conv1, out: 3, kernel: 3}\n"
                              "  - flatten:\n"
                              "  - dense: {name: fc1, out: 520}\n"
                              "  - dense: {name: fc2, out: 301, bias: false}\n"
                              "  - dense: {name: fc3, out: 3}\n"
                              "loss: cross_entropy\n";

static vox_yaml *yaml;
static vox_graph *graph;

static int setup(void **state)
{
    (void)state;
    vox_error err = {0};
    assert_ok(vox_yaml_parse(&yaml, network, "network", &err));
    assert_ok(vox_graph_open(&graph, vox_yaml_root(yaml), &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vox_graph_free(&graph);
    vox_yaml_free(&yaml);
    return 0;
}

static void by_size(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_factors f;
    assert_ok(vox_factors_init(&f, graph, 7, &err));
    assert_int_equal(f.layers, 2);
    assert_string_equal(graph->layer[f.layer[0].layer].node.name, "fc1");
    assert_string_equal(graph->layer[f.layer[1].layer].node.name, "fc2");
    assert_int_equal(f.row, f.layer[0].in + 520 + 520 + 301);
    assert_true(f.layer[0].has_bias);
    assert_false(f.layer[1].has_bias);
    for (int i = 0; i < graph->layers; i++)
        assert_int_equal(f.has[i], i == f.layer[0].layer || i == f.layer[1].layer);
    size_t summed, rows, others = 0;
    vox_factors_count(graph, 7, &summed, &rows);
    assert_int_equal(rows, 7 * f.row);
    for (int i = 0; i < graph->params; i++)
        others += f.has[graph->param[i].layer] ? 0 : graph->param[i].count;
    assert_in_range(summed, others, others + (size_t)graph->params * 256);
    vox_factors_count(graph, VOX_FACTORS_BATCH + 1, &summed, &rows);
    assert_true(summed == graph->flat_floats && rows == 0);
    vox_factors_release(&f);
    assert_ok(vox_factors_init(&f, graph, VOX_FACTORS_BATCH + 1, &err));
    assert_int_equal(f.layers, 0);
    vox_factors_release(&f);
}

/* Samples come from two devices, in any order. */
static void bring(vox_factors *f, int64_t n)
{
    float *brought = calloc((size_t)f->batch * f->row, sizeof *brought);
    vox_random random;
    f->n = n;
    for (int64_t part = 1; part >= 0; part--) {
        const int64_t first = part ? n / 3 : 0, count = part ? n - first : n / 3;
        vox_random_init(&random, 5, VOX_RANDOM_SYNTH, (uint32_t)part, 0, 0);
        for (size_t i = 0; i < f->layers; i++) {
            float *x = vox_factors_x(f, i, brought), *dy = vox_factors_dy(f, i, brought);
            for (size_t k = 0; k < (size_t)count * f->layer[i].in; k++)
                x[k] = (float)vox_random_range(&random, -1, 1);
            for (size_t k = 0; k < (size_t)count * f->layer[i].out; k++)
                dy[k] = (float)vox_random_range(&random, -1, 1);
        }
        vox_factors_put(f, first, count, brought);
    }
    free(brought);
}

static void check_element(const vox_factors *f, size_t at, float value)
{
    double sum = 0;
    bool there = false;
    for (size_t i = 0; i < f->layers; i++) {
        const vox_factored *k = &f->layer[i];
        const size_t w = at - k->weight, b = at - k->bias;
        const bool weight = at >= k->weight && w < k->in * k->out,
                   bias = k->has_bias && at >= k->bias && b < k->out;
        there = there || weight || bias;
        for (int64_t s = 0; s < f->n && (weight || bias); s++) {
            const float *row = f->rows + (size_t)s * f->row;
            sum += weight ? (double)row[k->dy + w / k->in] * (double)row[k->x + w % k->in]
                          : (double)row[k->dy + b];
        }
    }
    if (there ? !(fabs((double)value - sum) <= 1e-5) : !isnan(value))
        fail_msg("element %zu: %g instead of %g", at, (double)value, there ? sum : NAN);
}

/* What is not made of rows is not touched; and any range gives the same bits. */
static void every_range(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_factors f;
    const size_t flat = graph->flat_floats;
    float *all = malloc(flat * sizeof *all), *some = malloc(flat * sizeof *some);
    assert_ok(vox_factors_init(&f, graph, 11, &err));
    for (int64_t n = 1; n <= 11; n += 5) {
        bring(&f, n);
        memset(all, 0xff, flat * sizeof *all);
        memset(some, 0xff, flat * sizeof *some);
        vox_factors_fill(&f, 0, flat, all);
        for (size_t i = 0; i < flat; i++)
            check_element(&f, i, all[i]);
        for (size_t at = 0, count = 1; at < flat; at += count, count = (count * 7 + 3) % 4099 + 1) {
            count = count < flat - at ? count : flat - at;
            vox_factors_fill(&f, at, count, some + at);
        }
        assert_memory_equal(all, some, flat * sizeof *all);
    }
    vox_factors_release(&f);
    free(all);
    free(some);
}

static void alike_elements_end_where_tensors_do(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_factors f;
    bool made;
    const size_t flat = graph->flat_floats;
    assert_int_equal(vox_factors_alike(NULL, 3, flat, &made), flat);
    assert_false(made);
    assert_ok(vox_factors_init(&f, graph, 7, &err));
    for (size_t at = 0, count; at < flat; at += count) {
        count = vox_factors_alike(&f, at, flat - at, &made);
        assert_in_range(count, 1, flat - at);
        for (size_t i = at; i<at + count; i += count> 2 ? (count - 1) / 2 : 1) {
            bool inside = false;
            for (size_t k = 0; k < f.layers; k++)
                inside = inside || i - f.layer[k].weight < f.layer[k].in * f.layer[k].out ||
                         (f.layer[k].has_bias && i - f.layer[k].bias < f.layer[k].out);
            assert_int_equal(inside, made);
        }
    }
    vox_factors_release(&f);
}

/* Every other tensor is in one bucket, and nothing of fc1 and fc2 in any; also with one bucket for
 * all, or one for each. */
static void buckets_have_the_rest(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_factors f;
    assert_ok(vox_factors_init(&f, graph, 7, &err));
    for (size_t bytes = 0; bytes <= 4096; bytes += 2048) {
        vox_range *range;
        size_t count;
        assert_ok(vox_buckets_cut(graph, f.has, bytes, &range, &count, &err));
        for (int i = 0; i < graph->params; i++) {
            const vox_graph_param *p = &graph->param[i];
            size_t in = 0;
            for (size_t k = 0; k < count; k++) {
                const size_t end = range[k].offset + range[k].count;
                assert_true(range[k].count > 0 && end <= graph->flat_floats);
                in += p->offset >= range[k].offset && p->offset + p->count <= end;
                if (f.has[p->layer])
                    assert_true(p->offset >= end || p->offset + p->count <= range[k].offset);
            }
            assert_int_equal(in, !f.has[p->layer]);
        }
        free(range);
    }
    vox_factors_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_size),
        cmocka_unit_test(every_range),
        cmocka_unit_test(alike_elements_end_where_tensors_do),
        cmocka_unit_test(buckets_have_the_rest),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
