/* test_memory.c - the memory of plans: who shares it, how much it is, and what does not fit. */
#include "test.h"

#include "net/plan_parts.h"

static vox_error err;
static vox_ctx *ctx;

#define INPUT "input: {channels: 3, size: [4, 8, 6]}\nlayers:\n"

static const char chain[] =
    INPUT "  - conv: {name: a, out: 18, kernel: 3, pad: 1}\n  - relu\n"
          "  - max_pool: {kernel: 2, stride: [1, 2, 2], pad: [0, 1, 1]}\n"
          "  - conv: {name: b, out: 20, kernel: [2, 3, 2], pad: [1, 1, 0]}\n  - relu\n"
          "  - flatten\n  - dense: {name: c, out: 7}\n  - relu\n  - dense: {name: d, out: 4}\n";

/* Two levels of a U-Net, and a tensor with three readers. */
static const char branches[] =
    INPUT "  - conv: {name: a, out: 16, kernel: 3, pad: 1}\n  - relu: {name: skip}\n"
          "  - max_pool: {kernel: 2}\n  - conv: {name: b, out: 16, kernel: 3, pad: 1}\n"
          "  - relu\n  - upsample: {name: up, scale: 2}\n"
          "  - conv: {name: c, out: 16, kernel: 3, pad: 1}\n  - relu: {name: level}\n"
          "  - concat: {name: both, from: [level, skip]}\n"
          "  - conv: {name: d, out: 16, kernel: 3, pad: 1}\n"
          "  - add: {name: all, from: [d, skip]}\n  - relu\n"
          "  - conv: {name: e, out: 16, kernel: 3, pad: 1}\n"
          "  - conv: {name: f, out: 3, kernel: 1}\n";

static vox_graph *open_graph(const char *text)
{
    vox_yaml *doc = NULL;
    vox_graph *g = NULL;
    assert_ok(vox_yaml_parse(&doc, text, "n.yaml", &err));
    assert_ok(vox_graph_open(&g, vox_yaml_root(doc), &err));
    vox_yaml_free(&doc);
    return g;
}

static void lives_in_a_slot_do_not_meet(void **state)
{
    (void)state;
    const char *const text[] = {chain, branches};
    for (int t = 0; t < 4; t++) {
        vox_graph *graph = open_graph(text[t % 2]);
        vox_wiring w;
        vox_steps s;
        vox_memory m;
        vox_choice *choice = calloc((size_t)graph->layers + 1, sizeof *choice);
        assert_non_null(choice);
        assert_ok(vox_wiring_init(&w, graph, t < 2, &err));
        assert_ok(vox_choose(choice, &w, vox_ctx_get(ctx, 0),
                             &(vox_plan_options){.n_max = 3, .algo = "conv=direct16"}, &err));
        assert_ok(vox_steps_init(&s, &w, choice, NULL, vox_ctx_get(ctx, 0), 3, &err));
        assert_ok(vox_memory_init(&m, &s, &w, vox_ctx_get(ctx, 0), &err));
        int shared = 0;
        for (int i = 0; i < s.values; i++) {
            assert_true(s.value[i].first <= s.value[i].last);
            shared += s.value[i].slot >= 0;
            for (int k = 0; k < i && s.value[i].slot >= 0; k++)
                assert_true(s.value[i].slot != s.value[k].slot ||
                            s.value[i].first > s.value[k].last ||
                            s.value[k].first > s.value[i].last ||
                            s.value[i].offset >= s.value[k].offset + s.value[k].bytes ||
                            s.value[k].offset >= s.value[i].offset + s.value[i].bytes);
            if (s.value[i].slot >= 0)
                assert_true(s.value[i].offset + s.value[i].bytes <= m.slot[s.value[i].slot]);
        }
        for (int i = 0; i < s.steps; i++) /* nobody reads what is not written yet */
            for (int k = 0; k < VOX_MAX_INPUTS; k++)
                if (s.step[i].x[k] >= 0)
                    assert_true(s.value[s.step[i].x[k]].first <= i);
        assert_true(m.slots < shared);
        vox_memory_release(&m);
        vox_steps_release(&s);
        vox_wiring_release(&w);
        free(choice);
        vox_graph_free(&graph);
    }
}

/* Loss and gradients of a step on made-up numbers; the caller's (free). */
static float *run_step(vox_graph *g, vox_device *dev, const vox_plan_options *opt, size_t *count)
{
    const size_t flat = g->flat_floats, n = (size_t)opt->n_max;
    const size_t voxels = n * (size_t)vox_shape_count(&g->input), labels = n * vox_graph_labels(g);
    float *number = calloc(flat + voxels, sizeof *number);
    float *out = calloc(flat + n, sizeof *out);
    int32_t *label = calloc(labels, sizeof *label);
    vox_plan *p = NULL;
    assert_true(number && out && label);
    vox_graph_init_params(g, 3, number);
    for (size_t i = 0; i < voxels; i++)
        number[flat + i] = (float)(i % 17) / 8 - 1;
    for (size_t i = 0; i < labels; i++)
        label[i] = (int32_t)(i % 3);
    assert_ok(vox_plan_open(&p, g, dev, opt, &err));
    assert_ok(vox_buffer_write(vox_plan_params(p), 0, number, flat * 4, true, &err));
    assert_ok(vox_buffer_write(vox_plan_input(p)->buf, 0, number + flat, voxels * 4, true, &err));
    assert_ok(vox_buffer_write(vox_plan_labels(p)->buf, 0, label, labels * 4, true, &err));
    assert_ok(vox_plan_forward(p, opt->n_max, true, NULL, &err));
    assert_ok(vox_plan_run_loss(p, opt->n_max, &err));
    assert_ok(vox_plan_backward(p, opt->n_max, 1, false, NULL, &err));
    assert_ok(vox_buffer_read(vox_plan_grads(p), 0, out, flat * 4, true, &err));
    assert_ok(vox_buffer_read(vox_plan_loss(p)->buf, 0, out + flat, n * 4, true, &err));
    vox_plan_free(&p);
    free(number), free(label);
    *count = flat + n;
    return out;
}

/* From what it takes by itself down to the least, by way of all that lies between. */
static void less_memory_gives_the_same_bits(void **state)
{
    (void)state;
    vox_graph *graph = open_graph(branches);
    vox_device *dev = vox_ctx_get(ctx, 0);
    const char *const algo[] = {"conv=naive", "conv=direct16"};
    for (int k = 0; k < 2; k++) {
        vox_plan_options opt = {.n_max = 2, .training = true, .algo = algo[k], .memory = 1};
        uint64_t activations, least, now;
        size_t count;
        int plans = 0;
        assert_ok(vox_plan_estimate(graph, dev, &opt, &activations, &least, &err));
        opt.memory = 0;
        float *want = run_step(graph, dev, &opt, &count);
        assert_ok(vox_plan_estimate(graph, dev, &opt, &activations, &now, &err));
        while (now > least) {
            opt.memory = now - 1;
            assert_ok(vox_plan_estimate(graph, dev, &opt, &activations, &now, &err));
            assert_true(now <= opt.memory && now >= least);
            float *got = run_step(graph, dev, &opt, &count);
            assert_memory_equal(got, want, count * sizeof *got);
            free(got);
            plans++;
        }
        assert_true(plans >= 1);
        vox_plan *p = NULL;
        opt.memory = least - 1;
        assert_error(vox_plan_open(&p, graph, dev, &opt, &err), VOX_ERR_ROOM, "memory_mib");
        free(want);
    }
    vox_graph_free(&graph);
}

static void estimates_are_what_is_taken(void **state)
{
    (void)state;
    vox_graph *graph = open_graph(chain);
    for (size_t d = 0; d < vox_ctx_device_count(ctx); d++)
        for (int training = 0; training < 2; training++) {
            vox_device *dev = vox_ctx_get(ctx, d);
            const vox_plan_options opt = {.n_max = 3, .training = training, .algo = "conv=naive"};
            const uint64_t before = vox_device_bytes(dev);
            uint64_t activations = 0, total = 0, bare = 0;
            vox_plan *p = NULL;
            assert_ok(vox_plan_estimate(graph, dev, &opt, &activations, &total, &err));
            assert_true(activations > 0 && activations < total);
            assert_int_equal(vox_device_bytes(dev), before);
            assert_ok(vox_plan_open(&p, graph, dev, &opt, &err));
            assert_true(vox_device_bytes(dev) - before >= total); /* more is scratch */
            vox_plan_free(&p);
            assert_int_equal(vox_device_bytes(dev), before);
            const vox_plan_options plain = {.n_max = 3, .training = training};
            assert_ok(vox_plan_estimate(graph, NULL, &plain, &activations, &bare, &err));
            assert_true(bare > 0);
        }
    vox_graph_free(&graph);
}

static void what_cannot_fit_says_so_first(void **state)
{
    (void)state;
    vox_graph *graph =
        open_graph("input: {channels: 1, size: 512}\nlayers:\n"
                   "  - conv: {out: 64, kernel: 3, pad: 1}\n  - relu\n"
                   "  - max_pool: {kernel: 512}\n  - flatten\n  - dense: {out: 2}\n");
    vox_device *dev = vox_ctx_get(ctx, 0);
    const vox_plan_options opt = {.n_max = 1000, .training = true};
    const uint64_t before = vox_device_bytes(dev);
    vox_plan *p = (vox_plan *)&graph;
    assert_error(vox_plan_open(&p, graph, dev, &opt, &err), VOX_ERR_ROOM, "bytes");
    assert_null(p);
    assert_non_null(strstr(err.detail, "batch 1000 wants"));
    assert_non_null(strstr(err.hint, "train.batch"));
    assert_int_equal(vox_device_bytes(dev), before);
    vox_graph_free(&graph);
}

int main(void)
{
#ifndef VOXCL_WITH_FYAML
    puts("skipped: built without libfyaml");
    return 77;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives_in_a_slot_do_not_meet),
        cmocka_unit_test(less_memory_gives_the_same_bits),
        cmocka_unit_test(estimates_are_what_is_taken),
        cmocka_unit_test(what_cannot_fit_says_so_first),
    };
    if (vox_ctx_open(&ctx, "all", &err) != VOX_OK) {
        printf("skipped: %s: %s\n", err.message, err.detail);
        return 77;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vox_ctx_free(&ctx);
    return failed;
}
