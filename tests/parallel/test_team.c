/* test_team.c - replicas at the level below a training: the gradients of a shared batch are those
 * of one device, through mapped memory and through pinned copies alike; errors name the device. */
#include "../train/training.h"

#include "ops/loss.h"
#include "parallel/team.h"
#include "train/experiment.h"

static vox_experiment *exp_; /* batch 7, dropout; a classifier, or an output for every voxel */
static vox_ctx *ctx;
static float *voxel, *weights;
static int32_t *label; /* [7, labels] */
static size_t sample, labels, flat;

static const char voxels_text[] = "network:\n"
                                  "  input: {channels: 2, size: [3, 4, 5]}\n"
                                  "  layers:\n"
                                  "    - conv: {name: conv1, out: 4, kernel: 3, pad: 1}\n"
                                  "    - relu:\n"
                                  "    - dropout: {p: 0.3}\n"
                                  "    - conv: {name: conv2, out: 3, kernel: 1}\n"
                                  "  loss: {dice_ce: {weights: [1, 2, 0.5]}}\n"
                                  "train: {batch: 7}\n";

static int setup_data(void)
{
    vox_error err = {0};
    flat = exp_->graph->flat_floats;
    sample = (size_t)vox_sample_floats(&exp_->graph->input, VOX_LAYOUT_PLAIN);
    labels = vox_graph_labels(exp_->graph);
    voxel = calloc(7 * sample, sizeof *voxel);
    label = calloc(7 * labels, sizeof *label);
    weights = calloc(flat, sizeof *weights);
    for (size_t i = 0; i < 7 * sample; i++)
        voxel[i] = (float)((i * 2654435761u) % 1000) / 500 - 1;
    for (size_t i = 0; i < 7 * labels; i++)
        label[i] = (int32_t)((labels > 1 ? i * 2654435761u >> 7 : i) % 3);
    vox_graph_init_params(exp_->graph, 1, weights);
    return vox_ctx_open(&ctx, "all", &err) == VOX_OK ? 0 : 1;
}

static int setup(void **state)
{
    if (training_setup(state) != 0)
        return 1;
    exp_ = training_experiment(NULL);
    return setup_data();
}

static int setup_voxels(void **state)
{
    vox_error err = {0};
    (void)state;
    assert_ok(vox_experiment_parse(&exp_, voxels_text, "voxels.yaml", ".", &err));
    return setup_data();
}

static int teardown_data(void **state)
{
    (void)state;
    vox_ctx_free(&ctx);
    vox_experiment_free(&exp_);
    free(voxel);
    free(label);
    free(weights);
    return 0;
}

static int teardown(void **state)
{
    teardown_data(state);
    return training_teardown(state);
}

/* Leaves the summed gradients in *arg. */
static vox_status keep_gradients(vox_replica *r, void *arg, vox_error *err)
{
    return vox_buffer_read(vox_plan_grads(vox_replica_plan(r)), 0, arg, flat * sizeof(float), true,
                           err);
}

/* Between the tensors there may be anything. */
static vox_status keep_host_gradients(void *arg, float *params, float *grads,
                                      const vox_factors *factors, vox_pool *pool, vox_error *err)
{
    const vox_graph *g = exp_->graph;
    (void)params, (void)pool, (void)err;
    if (factors)
        vox_factors_fill(factors, 0, g->flat_floats, grads);
    memset(arg, 0, g->flat_floats * sizeof(float));
    for (int i = 0; i < g->params; i++)
        if (g->param[i].desc.trainable)
            memcpy((float *)arg + g->param[i].offset, grads + g->param[i].offset,
                   g->param[i].count * sizeof(float));
    return VOX_OK;
}

#define KEEP_GRADIENTS(into)                                                                       \
    &(vox_team_update)                                                                             \
    {                                                                                              \
        keep_gradients, keep_host_gradients, into                                                  \
    }

/* The step's update changed nothing; running statistics followed, and are the same on all devices.
 */
static void check_params(vox_team *team)
{
    vox_error err = {0};
    const vox_graph *g = exp_->graph;
    float *back = calloc(flat, sizeof *back), *other = calloc(flat, sizeof *other);
    assert_ok(vox_team_get_params(team, back, &err));
    for (int i = 0; i < g->params; i++) {
        const vox_graph_param *p = &g->param[i];
        const bool same =
            memcmp(back + p->offset, weights + p->offset, p->count * sizeof *back) == 0;
        assert_true(same == p->desc.trainable);
    }
    for (size_t r = 1; r < vox_team_size(team); r++) {
        vox_plan *plan = vox_replica_plan(vox_team_replica(team, r));
        assert_ok(
            vox_buffer_read(vox_plan_params(plan), 0, other, flat * sizeof *other, true, &err));
        assert_memory_equal(back, other, flat * sizeof *back);
    }
    free(back), free(other);
}

static void gradients_in(const vox_ctx *on, bool copy, size_t bucket, int64_t n, float *loss,
                         float *grads)
{
    vox_error err = {0};
    vox_team *team = NULL;
    const vox_team_options opt = {.graph = exp_->graph,
                                  .batch = 7,
                                  .training = true,
                                  .seed = 9,
                                  .copy = copy,
                                  .bucket_bytes = bucket};
    const vox_team_batch batch = {.voxel = voxel, .label = label, .n = n, .step = 4};
    assert_ok(vox_team_open(&team, on, &opt, &err));
    assert_ok(vox_team_set_params(team, weights, &err));
    assert_ok(vox_team_step(team, &batch, KEEP_GRADIENTS(grads), loss, &err));
    check_params(team);
    vox_team_free(&team);
}

static void gradients(const vox_ctx *on, bool copy, int64_t n, float *loss, float *grads)
{
    gradients_in(on, copy, 0, n, loss, grads);
}

/* What is summed when, and how it came to the host, changes no bit. */
static void buckets_change_no_bit(void **state)
{
    (void)state;
    static const size_t size[] = {1, 5000, 1 << 30};
    float loss[2][7], *grads[2] = {calloc(flat, sizeof(float)), calloc(flat, sizeof(float))};
    gradients_in(ctx, false, 0, 7, loss[0], grads[0]);
    for (size_t i = 0; i < 6; i++) {
        memset(grads[1], 0xff, flat * sizeof(float));
        gradients_in(ctx, i % 2, size[i / 2], 7, loss[1], grads[1]);
        assert_memory_equal(loss[0], loss[1], sizeof loss[0]);
        assert_memory_equal(grads[0], grads[1], flat * sizeof(float));
    }
    free(grads[0]), free(grads[1]);
}

static void shared_gradients_are_one_devices(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_ctx *one = NULL;
    float loss[3][7];
    float *grads[3];
    for (int i = 0; i < 3; i++)
        grads[i] = calloc(flat, sizeof(float));
    assert_ok(vox_ctx_open(&one, "0", &err));
    for (int64_t n = 1; n <= 7; n += 2) { /* 1: all but one device have no sample */
        gradients(one, false, n, loss[0], grads[0]);
        gradients(ctx, false, n, loss[1], grads[1]);
        gradients(ctx, true, n, loss[2], grads[2]);
        assert_memory_equal(loss[1], loss[2], (size_t)n * sizeof(float));
        assert_memory_equal(grads[1], grads[2], flat * sizeof(float));
        double most = 0, gap = 0;
        for (size_t i = 0; i < flat; i++) {
            most = fmax(most, fabs(grads[0][i]));
            gap = fmax(gap, fabs(grads[0][i] - grads[1][i]));
        }
        assert_true(most > 1e-3); /* there is something to compare */
        assert_true(gap <= 4e-6 * most + 1e-7);
        for (int64_t i = 0; i < n; i++)
            assert_true(fabsf(loss[0][i] - loss[1][i]) <= 1e-6f * loss[0][i]);
    }
    for (int i = 0; i < 3; i++)
        free(grads[i]);
    vox_ctx_free(&one);
}

/* One that has no room for its share has it in pieces; the only one, and one of several. */
static void little_memory_changes_no_gradient(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_ctx *one = NULL;
    float loss[3][7], *grads[3];
    for (int i = 0; i < 3; i++)
        grads[i] = calloc(flat, sizeof(float));
    assert_ok(vox_ctx_open(&one, "0", &err));
    gradients(one, false, 7, loss[0], grads[0]);
    setenv("VOXCL_FAULT", "0:0:memory=2", 1);
    gradients(one, false, 7, loss[1], grads[1]);
    setenv("VOXCL_FAULT", "0:0:memory=1", 1);
    gradients(ctx, false, 7, loss[2], grads[2]);
    unsetenv("VOXCL_FAULT");
    for (int k = 1; k < 3; k++) {
        double most = 0, gap = 0;
        for (size_t i = 0; i < flat; i++) {
            most = fmax(most, fabs(grads[0][i]));
            gap = fmax(gap, fabs(grads[0][i] - grads[k][i]));
        }
        assert_true(most > 1e-3 && gap <= 4e-6 * most + 1e-7);
        for (int i = 0; i < 7; i++)
            assert_true(fabsf(loss[0][i] - loss[k][i]) <= 1e-6f * loss[0][i]);
    }
    for (int i = 0; i < 3; i++)
        free(grads[i]);
    vox_ctx_free(&one);
}

enum { NOT_TOLD, TOLD, TOLD_FALSELY, TOLD_APART, WAYS_TO_TELL };

/* Steps over batches of 7, 5, 7 ... samples, each told what comes next, or not; apart: the samples
 * do not lie next to each other.  losses[6][7]. */
static void steps_ahead(const vox_ctx *on, int tell, float losses[6][7])
{
    vox_error err = {0};
    vox_team *team = NULL;
    float *grads = calloc(flat, sizeof *grads), *copy = calloc(sample, sizeof *copy);
    const float *at[7];
    const bool apart = tell == TOLD_APART;
    vox_yaml *augment;
    assert_ok(vox_yaml_parse(&augment, "[{mirror: {axes: [w]}}, {gaussian_noise: {std: 0.1}}]",
                             "augment", &err));
    const vox_team_options opt = {.graph = exp_->graph,
                                  .batch = 7,
                                  .training = true,
                                  .seed = 9,
                                  .augment = vox_yaml_root(augment)};
    memcpy(copy, voxel + 3 * sample, sample * sizeof *copy);
    for (size_t i = 0; i < 7; i++)
        at[i] = i == 3 ? copy : voxel + i * sample;
    assert_ok(vox_team_open(&team, on, &opt, &err));
    assert_ok(vox_team_set_params(team, weights, &err));
    for (int k = 0; k < 6; k++) {
        const int64_t n = k % 2 ? 5 : 7, other = k % 2 ? 7 : 5;
        const float *from = k % 2 ? voxel + 2 * sample : voxel;
        const vox_team_batch next = {.voxel = apart   ? NULL
                                              : k % 2 ? voxel
                                                      : voxel + 2 * sample,
                                     .sample = apart ? k % 2 ? at : at + 2 : NULL,
                                     .label = k % 2 ? label : label + 2 * labels,
                                     .n = tell == TOLD_FALSELY ? other - 1 : other,
                                     .step = (uint64_t)k + 1};
        const vox_team_batch batch = {.voxel = apart ? NULL : from,
                                      .sample = apart ? k % 2 ? at + 2 : at : NULL,
                                      .label = k % 2 ? label + 2 * labels : label,
                                      .n = n,
                                      .step = (uint64_t)k,
                                      .next = tell ? &next : NULL};
        assert_ok(vox_team_step(team, &batch, KEEP_GRADIENTS(grads), losses[k], &err));
    }
    free(grads);
    vox_team_free(&team);
    vox_yaml_free(&augment);
    free(copy);
}

/* And is augmented early. */
static void the_next_batch_comes_early(void **state)
{
    (void)state;
    vox_error err = {0};
    float losses[WAYS_TO_TELL][6][7] = {0};
    vox_ctx *one = NULL;
    assert_ok(vox_ctx_open(&one, "0", &err));
    for (int devices = 0; devices < 2; devices++) {
        for (int tell = 0; tell < WAYS_TO_TELL; tell++)
            steps_ahead(devices ? ctx : one, tell, losses[tell]);
        assert_true(losses[0][0][0] != losses[0][1][0]);
        for (int tell = 1; tell < WAYS_TO_TELL; tell++)
            assert_memory_equal(losses[tell], losses[0], sizeof losses[0]);
    }
    vox_ctx_free(&one);
}

/* Outputs and losses of an evaluation are each sample's own, wherever it was computed. */
static void evaluation_is_one_devices(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_ctx *one = NULL;
    assert_ok(vox_ctx_open(&one, "0", &err));
    float loss[2][7], *output[2];
    for (int i = 0; i < 2; i++) {
        vox_team *team = NULL;
        const vox_team_options opt = {.graph = exp_->graph, .batch = 7};
        const vox_team_batch batch = {.voxel = voxel, .label = label, .n = 7};
        assert_ok(vox_team_open(&team, i ? ctx : one, &opt, &err));
        assert_ok(vox_team_set_params(team, weights, &err));
        output[i] = calloc(7 * vox_team_output(team), sizeof(float));
        assert_ok(vox_team_eval(team, &batch, output[i], loss[i], &err));
        for (size_t k = 0; k < 7 * vox_team_output(team); k++)
            assert_true(fabsf(output[i][k] - output[0][k]) <= 1e-5f);
        vox_team_free(&team);
    }
    for (int k = 0; k < 7; k++)
        assert_true(fabsf(loss[0][k] - loss[1][k]) <= 1e-6f * loss[0][k]);
    assert_true(loss[0][0] != loss[0][1] && output[0][0] != 0);
    free(output[0]);
    free(output[1]);
    vox_ctx_free(&one);
}

/* Its sums are exchanged in mid-step; parts of a batch cannot. */
static void a_batch_is_one_volume(void **state)
{
    vox_error err = {0};
    vox_ctx *one = NULL;
    vox_team *team = NULL;
    vox_loss_attr *loss = exp_->graph->loss.node.attr;
    const vox_team_options parts = {.graph = exp_->graph, .batch = 7, .parts = 2};
    loss->per = VOX_LOSS_BATCH;
    shared_gradients_are_one_devices(state);
    evaluation_is_one_devices(state);
    assert_ok(vox_ctx_open(&one, "0", &err));
    assert_error(vox_team_open(&team, one, &parts, &err), VOX_ERR_UNSUPPORTED, "at once");
    assert_null(team);
    loss->per = VOX_LOSS_SAMPLE;
    vox_ctx_free(&one);
}

static vox_status fails(vox_replica *r, void *arg, vox_error *err)
{
    (void)arg;
    (void)r;
    vox_fail(err, VOX_ERR_DEVICE, "a kernel failed");
    return vox_detail(err, "CL_OUT_OF_RESOURCES");
}

static vox_status fails_on_host(void *arg, float *params, float *grads, const vox_factors *factors,
                                vox_pool *pool, vox_error *err)
{
    (void)params, (void)grads, (void)factors, (void)pool;
    return fails(NULL, arg, err);
}

static void errors_name_the_device(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_team *team = NULL;
    float loss[7];
    const vox_team_options opt = {.graph = exp_->graph, .batch = 7, .training = true};
    const vox_team_update update = {fails, fails_on_host, NULL};
    vox_team_batch batch = {.voxel = voxel, .label = label, .n = 7}, next = {.n = 8};
    assert_ok(vox_team_open(&team, ctx, &opt, &err));
    assert_ok(vox_team_set_params(team, weights, &err));
    assert_error(vox_team_step(team, &batch, &update, loss, &err), VOX_ERR_DEVICE,
                 "a kernel failed");
    assert_non_null(strstr(err.detail, "CL_OUT_OF_RESOURCES"));
    batch.next = &next;
    assert_error(vox_team_step(team, &batch, &update, loss, &err), VOX_ERR_USAGE, "1 to 7");
    batch.next = NULL;
    batch.n = 8;
    assert_error(vox_team_step(team, &batch, &update, loss, &err), VOX_ERR_USAGE, "1 to 7");
    batch.n = 0;
    assert_error(vox_team_eval(team, &batch, loss, loss, &err), VOX_ERR_USAGE, "0 samples");
    vox_team_free(&team);
    assert_null(team);
}

/* Devices with one sample cannot take statistics of their own; the first, with two, waits for them
 * at the next layer, and must not wait for ever. */
static void a_failure_in_mid_step_frees_the_others(void **state)
{
    (void)state;
    static const char text[] = "network:\n"
                               "  input: {channels: 1, size: [6, 10, 10]}\n"
                               "  layers:\n"
                               "    - global_avg_pool:\n"
                               "    - batch_norm: {name: own}\n"
                               "    - batch_norm: {name: everybody, sync: true}\n"
                               "    - flatten:\n"
                               "    - dense: {name: fc, out: 3}\n"
                               "  loss: cross_entropy\n"
                               "train: {batch: 6}\n";
    vox_error err = {0};
    vox_experiment *exp = NULL;
    vox_team *team = NULL;
    float loss[6], grads[32768];
    const int64_t devices = (int64_t)vox_ctx_device_count(ctx);
    vox_team_batch batch = {.voxel = voxel, .label = label, .n = devices + 1};
    if (devices < 2 || devices > 3)
        return;
    assert_ok(vox_experiment_parse(&exp, text, "mid.yaml", ".", &err));
    assert_true(exp->graph->flat_floats <= flat && flat <= 32768);
    const vox_team_options opt = {.graph = exp->graph, .batch = 6, .training = true};
    assert_ok(vox_team_open(&team, ctx, &opt, &err));
    assert_ok(vox_team_set_params(team, weights, &err));
    for (int i = 0; i < 2; i++) {
        assert_error(vox_team_step(team, &batch, KEEP_GRADIENTS(grads), loss, &err), VOX_ERR_INPUT,
                     "layer own: batch statistics need more than one value");
        assert_non_null(
            strstr(err.detail, i ? "device " : "device 1 ")); /* then whoever is first */
    }
    vox_team_free(&team);
    vox_experiment_free(&exp);
}

int main(int argc, char **argv)
{
    if (!training_possible())
        return 77;
    (void)argc;
    if (training_devices(argv, "111") == 0) {
        printf("skipped: no device\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_gradients_are_one_devices),
        cmocka_unit_test(buckets_change_no_bit),
        cmocka_unit_test(the_next_batch_comes_early),
        cmocka_unit_test(errors_name_the_device),
        cmocka_unit_test(a_failure_in_mid_step_frees_the_others),
        cmocka_unit_test(evaluation_is_one_devices),
    };
    const struct CMUnitTest voxels[] = {
        cmocka_unit_test(shared_gradients_are_one_devices),
        cmocka_unit_test(buckets_change_no_bit),
        cmocka_unit_test(the_next_batch_comes_early),
        cmocka_unit_test(evaluation_is_one_devices),
        cmocka_unit_test(little_memory_changes_no_gradient),
        cmocka_unit_test(a_batch_is_one_volume),
    };
    int failed = cmocka_run_group_tests(tests, setup, teardown);
    return failed + cmocka_run_group_tests(voxels, setup_voxels, teardown_data);
}
