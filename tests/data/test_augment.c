/* test_augment.c - the augmentation kernels against plain C, on every device. */
#include "test.h"

#include <math.h>

#include "base/philox.h"
#include "data/augment.h"

enum { C = 2, D = 3, H = 5, W = 7, V = D * H * W, E = C * V, N = 6 };

static const vox_shape shape = {5, {1, C, D, H, W}};
static const vox_step step0 = {.seed = 0x1234567890abcdef, .step = 9, .first = 100};

/* ---- the same in C ---- */

static float once(vox_purpose purpose, uint32_t lane, const vox_step *s, int64_t i, int k)
{
    uint32_t r[4];
    vox_random_block(s->seed, purpose, lane, s->step, s->first + (uint64_t)i, 0xffffffffu, r);
    return vox_uniform(r[k]);
}

static uint32_t element(vox_purpose purpose, uint32_t lane, const vox_step *s, int64_t i, int e)
{
    uint32_t r[4];
    vox_random_block(s->seed, purpose, lane, s->step, s->first + (uint64_t)i, (uint32_t)e / 4, r);
    return r[e % 4];
}

static void mirror(float *x, int64_t i, const vox_step *s, uint32_t lane, unsigned axes, double p)
{
    static const int size[3] = {D, H, W};
    float copy[E];
    memcpy(copy, x, sizeof copy);
    for (int e = 0; e < E; e++) {
        int at[3] = {e / (H * W) % D, e / W % H, e % W};
        for (int k = 0; k < 3; k++)
            if (axes >> k & 1 && once(VOX_RANDOM_MIRROR, lane, s, i, k) < (float)p)
                at[k] = size[k] - 1 - at[k];
        x[e] = copy[e / V * V + (at[0] * H + at[1]) * W + at[2]];
    }
}

static void gaussian(float *x, int64_t i, const vox_step *s, uint32_t lane, double std, double p)
{
    const vox_purpose purpose = VOX_RANDOM_GAUSSIAN_NOISE;
    if (once(purpose, lane, s, i, 0) >= (float)p)
        return;
    for (int e = 0; e < E; e++) {
        uint32_t a = element(purpose, lane, s, i, e & ~1), b = element(purpose, lane, s, i, e | 1);
        double u = ((double)(a >> 9) + 0.5) / 8388608,
               v = 6.283185307179586 * (double)vox_uniform(b);
        x[e] = (float)((double)x[e] +
                       (double)(float)std * sqrt(-2 * log(u)) * (e & 1 ? sin(v) : cos(v)));
    }
}

static void salt_pepper(float *x, int64_t i, const vox_step *s, uint32_t lane, double amount,
                        double p, double low, double high)
{
    float range[C][2];
    const vox_purpose purpose = VOX_RANDOM_SALT_PEPPER;
    if (once(purpose, lane, s, i, 0) >= (float)p)
        return;
    for (int c = 0; c < C; c++) {
        range[c][0] = INFINITY, range[c][1] = -INFINITY;
        for (int v = 0; v < V; v++) {
            range[c][0] = fminf(range[c][0], x[c * V + v]);
            range[c][1] = fmaxf(range[c][1], x[c * V + v]);
        }
    }
    for (int e = 0; e < E; e++) {
        float u = vox_uniform(element(purpose, lane, s, i, e));
        if (u < (float)amount / 2)
            x[e] = isnan(low) ? range[e / V][0] : (float)low;
        else if (u < (float)amount)
            x[e] = isnan(high) ? range[e / V][1] : (float)high;
    }
}

/* ---- running a list on a device ---- */

static size_t device_count(void)
{
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    if (vox_ctx_open(&ctx, NULL, &err) != VOX_OK) {
        fprintf(stderr, "skipped: %s\n", err.detail);
        exit(77);
    }
    size_t count = vox_ctx_device_count(ctx);
    vox_ctx_free(&ctx);
    return count;
}

static void fill(float *x)
{
    vox_random r;
    vox_random_init(&r, 1, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (int i = 0; i < N * E; i++)
        x[i] = (float)vox_random_range(&r, -1, 1);
}

/* Runs the list on samples [begin, end) of x, as a replica that has these alone. */
static void run(size_t device, const char *list, float *x, int64_t begin, int64_t end)
{
    vox_error err = {0};
    vox_ctx *ctx;
    vox_yaml *doc;
    vox_augment *a;
    vox_tensor t = {.shape = {5, {N, C, D, H, W}}};
    vox_step step = step0;
    step.first += (uint64_t)begin;
    assert_ok(vox_ctx_open(&ctx, NULL, &err));
    assert_ok(vox_yaml_parse(&doc, list, "test", &err));
    assert_ok(vox_augment_open(&a, vox_yaml_root(doc), vox_ctx_get(ctx, device), &shape, N, &err));
    vox_yaml_free(&doc); /* is not kept */
    assert_ok(
        vox_buffer_open(&t.buf, vox_ctx_get(ctx, device), 4 * N * E, VOX_BUFFER_DEVICE, "x", &err));
    assert_ok(vox_buffer_fill(t.buf, 0, 4 * N * E, 0x7fc00000, &err));
    const size_t bytes = (size_t)(end - begin) * E * 4;
    assert_ok(vox_buffer_write(t.buf, 0, x + begin * E, bytes, true, &err));
    assert_ok(vox_augment_run(a, &t, NULL, end - begin, &step, &err));
    assert_ok(vox_buffer_read(t.buf, 0, x + begin * E, bytes, true, &err));
    float rest[N * E];
    assert_ok(vox_buffer_read(t.buf, 0, rest, sizeof rest, true, &err));
    for (size_t i = bytes / 4; i < N * E; i++) /* samples past n are left alone */
        assert_true(isnan(rest[i]));
    vox_augment_free(&a);
    vox_buffer_free(&t.buf);
    vox_ctx_free(&ctx);
}

static void check(const float *got, const float *want, double tolerance)
{
    for (int i = 0; i < N * E; i++)
        if (fabs((double)got[i] - (double)want[i]) > tolerance * fmax(1, fabs((double)want[i])))
            fail_msg("element %d: got %.9g, want %.9g", i, (double)got[i], (double)want[i]);
}

/* ---- tests ---- */

static void mirror_reverses_axes(void **state)
{
    static float x[N * E], want[N * E], before[N * E];
    (void)state;
    for (size_t device = 0; device < device_count(); device++) {
        int flipped = 0;
        fill(x), fill(want), fill(before);
        run(device, "[{mirror: {axes: [d, w], p: 0.6}}, {mirror: {axes: [h]}}]", x, 0, N);
        for (int i = 0; i < N; i++) {
            mirror(want + i * E, i, &step0, 0, 5, 0.6);
            mirror(want + i * E, i, &step0, 1, 2, 0.5);
            flipped += memcmp(want + i * E, before + i * E, 4 * E) != 0;
        }
        check(x, want, 0);
        assert_true(flipped > 1); /* the case would be empty else */
        fill(x), fill(want);
        run(device, "[{mirror: {axes: [d, h, w], p: 1}}]", x, 0, N);
        for (int i = 0; i < N * C; i++) /* all reversed: each plane backwards */
            for (int v = 0; v < V; v++)
                assert_true(x[i * V + v] == want[i * V + V - 1 - v]);
    }
}

static void gaussian_noise_is_added(void **state)
{
    static float x[N * E], want[N * E];
    (void)state;
    for (size_t device = 0; device < device_count(); device++) {
        fill(x), fill(want);
        run(device, "[{gaussian_noise: {std: 0.25}}, {gaussian_noise: {std: 2, p: 0.5}}]", x, 0, N);
        for (int i = 0; i < N; i++) {
            gaussian(want + i * E, i, &step0, 0, 0.25, 1);
            gaussian(want + i * E, i, &step0, 1, 2, 0.5);
        }
        check(x, want, 1e-6); /* devices' log, cospi and sinpi differ by some ulp */
        memset(x, 0, sizeof x);
        run(device, "[{gaussian_noise: {std: 3}}]", x, 0, N);
        double sum = 0, square = 0;
        for (int i = 0; i < N * E; i++) {
            sum += (double)x[i];
            square += (double)x[i] * (double)x[i];
        }
        /* 1260 draws: the mean has a standard error of 0.085, the deviation of 0.06. */
        assert_true(fabs(sum / (N * E)) < 0.35);
        assert_true(fabs(sqrt(square / (N * E)) - 3) < 0.25);
    }
}

static void salt_pepper_sets_extremes(void **state)
{
    static float x[N * E], want[N * E];
    (void)state;
    for (size_t device = 0; device < device_count(); device++) {
        fill(x), fill(want);
        run(device, "[{salt_pepper: {p: 0.7, amount: 0.3}}]", x, 0, N);
        for (int i = 0; i < N; i++)
            salt_pepper(want + i * E, i, &step0, 0, 0.3, 0.7, NAN, NAN);
        check(x, want, 0);
        fill(x), fill(want);
        run(device, "[{mirror: {axes: [h]}}, {salt_pepper: {amount: 0.5, high: 9}}]", x, 0, N);
        for (int i = 0; i < N; i++) {
            mirror(want + i * E, i, &step0, 0, 2, 0.5);
            salt_pepper(want + i * E, i, &step0, 1, 0.5, 1, NAN, 9);
        }
        check(x, want, 0);
        int high = 0;
        for (int i = 0; i < N * E; i++)
            high += x[i] == 9;
        assert_true(high > N * E / 5 && high < N * E * 3 / 10);
        fill(x);
        run(device, "[{salt_pepper: {amount: 1, low: -4, high: 4}}]", x, 0, N);
        for (int i = 0; i < N * E; i++)
            assert_true(x[i] == -4 || x[i] == 4);
    }
}

#define ALL                                                                                        \
    "[{mirror: {axes: [w], p: 0.5}}, {salt_pepper: {p: 0.5, amount: 0.1}}, {gaussian_noise: "      \
    "{std: "                                                                                       \
    "0.05, p: 0.5}}, {contrast: {p: 0.5}}, {gamma: {p: 0.5}}]"

static void intensity(float *x, int64_t i, const vox_step *s, uint32_t lane, char kind, double p,
                      double low, double high)
{
    if (once(VOX_RANDOM_INTENSITY, lane, s, i, 0) >= (float)p)
        return;
    for (int c = 0; c < C; c++, x += V) {
        double u = (double)vox_uniform(element(VOX_RANDOM_INTENSITY, lane, s, i, c));
        double f = low + (high - low) * u, least = INFINITY, most = -INFINITY, mean = 0;
        for (int v = 0; v < V; v++) {
            least = fmin(least, (double)x[v]);
            most = fmax(most, (double)x[v]);
            mean += (double)x[v] / V;
        }
        for (int v = 0; v < V; v++) {
            double y = (double)x[v] * f;
            if (kind == 'c')
                y = fmin(fmax(mean + f * ((double)x[v] - mean), least), most);
            if (kind == 'g')
                y = least + (most - least) * pow(((double)x[v] - least) / (most - least), f);
            x[v] = (float)y;
        }
    }
}

static void intensities_change(void **state)
{
    static float x[N * E], want[N * E], before[N * E];
    (void)state;
    for (size_t device = 0; device < device_count(); device++) {
        fill(x), fill(want), fill(before);
        run(device,
            "[{brightness: {p: 0.6}}, {contrast: {range: [0.5, 3], p: 0.6}}, "
            "{gamma: {p: 0.6}}]",
            x, 0, N);
        int changed = 0;
        for (int i = 0; i < N; i++) {
            intensity(want + i * E, i, &step0, 0, 'b', 0.6, 0.75, 1.25);
            intensity(want + i * E, i, &step0, 1, 'c', 0.6, 0.5, 3);
            intensity(want + i * E, i, &step0, 2, 'g', 0.6, 0.7, 1.5);
            changed += memcmp(want + i * E, before + i * E, 4 * E) != 0;
        }
        check(x, want, 2e-5); /* powr, and the mean's sum in another order */
        assert_true(changed > 1 && changed <= N);
        for (int k = 0; k < N * E; k++)
            x[k] = 7;
        run(device, "[{gamma: {p: 1}}, {contrast: {p: 1}}]", x, 0, N); /* of constants: nothing */
        for (int k = 0; k < N * E; k++)
            assert_true(x[k] == 7);
    }
}

/* Where the voxel that ends at `to` came from, for axes a, b of a plane of s x s. */
static void quarter_back(int at[3], int a, int b, int s)
{
    int old = at[a];
    at[a] = s - 1 - at[b];
    at[b] = old;
}

/* Samples whose voxels hold their own index, in every channel and in the labels, so that where each
 * came from can be read. */
static void moved(size_t device, const char *list, const int size[3], float *x, int32_t *label)
{
    const int voxels = size[0] * size[1] * size[2];
    const vox_shape of = {5, {1, C, size[0], size[1], size[2]}};
    vox_error err = {0};
    vox_ctx *ctx;
    vox_yaml *doc;
    vox_augment *a;
    vox_tensor t = {.shape = of}, l = {.shape = {5, {N, 1, size[0], size[1], size[2]}}};
    t.shape.dim[0] = N;
    for (int k = 0; k < N * C * voxels; k++)
        x[k] = (float)(k % voxels);
    for (int k = 0; k < N * voxels; k++)
        label[k] = k % voxels; /* small numbers: as floats these would be denormal */
    assert_ok(vox_ctx_open(&ctx, NULL, &err));
    assert_ok(vox_yaml_parse(&doc, list, "test", &err));
    assert_ok(vox_augment_open(&a, vox_yaml_root(doc), vox_ctx_get(ctx, device), &of, N, &err));
    vox_yaml_free(&doc);
    const size_t xb = sizeof(float) * (size_t)(N * C * voxels), lb = xb / C;
    assert_ok(vox_buffer_open(&t.buf, vox_ctx_get(ctx, device), xb, VOX_BUFFER_DEVICE, "x", &err));
    assert_ok(vox_buffer_open(&l.buf, vox_ctx_get(ctx, device), lb, VOX_BUFFER_DEVICE, "l", &err));
    assert_ok(vox_buffer_write(t.buf, 0, x, xb, true, &err));
    assert_ok(vox_buffer_write(l.buf, 0, label, lb, true, &err));
    assert_ok(vox_augment_run(a, &t, &l, N, &step0, &err));
    assert_ok(vox_buffer_read(t.buf, 0, x, xb, true, &err));
    assert_ok(vox_buffer_read(l.buf, 0, label, lb, true, &err));
    vox_augment_free(&a);
    vox_buffer_free(&t.buf);
    vox_buffer_free(&l.buf);
    vox_ctx_free(&ctx);
}

static void planes_turn_and_labels_with_them(void **state)
{
    static const struct {
        const char *list;
        int size[3], a, b;
    } row[] = {
        {"[{rotate90: {p: 0.8}}]", {3, 5, 5}, 1, 2},
        {"[{rotate90: {axes: [w, d], p: 0.8}}]", {4, 3, 4}, 0, 2},
        {"[{rotate90: {axes: [d, h], p: 0.8}}]", {6, 6, 2}, 0, 1},
        {"[{rotate90: }]", {2, 1, 1}, 1, 2},
    };
    static float x[N * C * 128];
    static int32_t label[N * 128];
    (void)state;
    for (size_t device = 0; device < device_count(); device++)
        for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
            const int *n = row[k].size, voxels = n[0] * n[1] * n[2];
            int turned = 0;
            moved(device, row[k].list, n, x, label);
            for (int i = 0; i < N; i++) {
                float u = once(VOX_RANDOM_ROTATE90, 0, &step0, i, 1);
                bool yes = once(VOX_RANDOM_ROTATE90, 0, &step0, i, 0) < (float)0.8;
                int turns = yes ? 1 + (int)(3 * u) : 0;
                turned += turns > 0;
                for (int v = 0; v < voxels; v++) {
                    int at[3] = {v / (n[1] * n[2]), v / n[2] % n[1], v % n[2]};
                    for (int q = 0; q < turns; q++)
                        quarter_back(at, row[k].a, row[k].b, n[row[k].a]);
                    int from = (at[0] * n[1] + at[1]) * n[2] + at[2];
                    assert_int_equal(label[i * voxels + v], from);
                    for (int c = 0; c < C; c++)
                        assert_true(x[(i * C + c) * voxels + v] == (float)from);
                }
            }
            assert_true(turned > 1);
        }
}

/* Lines longer than a vector, and not of whole ones; an odd number of slices: one stays in place.
 */
static void long_lines_are_mirrored(void **state)
{
    enum { DEPTH = 3, HIGH = 2, WIDE = 43, VOXELS = DEPTH * HIGH * WIDE };
    static const int size[3] = {DEPTH, HIGH, WIDE};
    static float x[N * C * VOXELS];
    static int32_t label[N * VOXELS];
    (void)state;
    for (size_t device = 0; device < device_count(); device++) {
        unsigned seen = 0;
        moved(device, "[{mirror: {axes: [d, h, w], p: 0.6}}]", size, x, label);
        for (int i = 0; i < N; i++) {
            bool flip[3];
            for (int k = 0; k < 3; k++)
                flip[k] = once(VOX_RANDOM_MIRROR, 0, &step0, i, k) < 0.6f;
            seen |= 1u << (flip[0] + 2 * flip[1] + 4 * flip[2]);
            for (int v = 0; v < VOXELS; v++) {
                int at[3] = {v / (HIGH * WIDE), v / WIDE % HIGH, v % WIDE};
                for (int k = 0; k < 3; k++)
                    at[k] = flip[k] ? size[k] - 1 - at[k] : at[k];
                const int from = (at[0] * HIGH + at[1]) * WIDE + at[2];
                assert_int_equal(label[i * VOXELS + v], from);
                for (int c = 0; c < C; c++)
                    assert_true(x[(i * C + c) * VOXELS + v] == (float)from);
            }
        }
        assert_true(seen & 0xf0 && seen & 0x0f && (seen & (seen - 1)) != 0);
    }
}

static void labels_are_mirrored_but_not_changed(void **state)
{
    static const int size[3] = {4, 4, 5};
    static float x[N * C * 80];
    static int32_t label[N * 80];
    (void)state;
    for (size_t device = 0; device < device_count(); device++) {
        int kept = 0;
        moved(device,
              "[{mirror: {axes: [d, h, w]}}, {rotate90: {axes: [d, h]}}, "
              "{mirror: {axes: [w], p: 0.3}}]",
              size, x, label);
        for (int i = 0; i < N * 80; i++) {
            assert_true(x[i / 80 * 160 + i % 80] == (float)label[i]);
            assert_true(x[i / 80 * 160 + 80 + i % 80] == (float)label[i]);
            kept += label[i] == i % 80;
        }
        assert_true(kept < N * 80 / 2);
        moved(device,
              "[{gaussian_noise: {std: 1}}, {brightness: {p: 1}}, {salt_pepper: {amount: 0.2}}]",
              size, x, label);
        for (int i = 0; i < N * 80; i++)
            assert_int_equal(label[i], i % 80);
    }
}

static void the_split_changes_nothing(void **state)
{
    static float whole[N * E], parts[N * E];
    (void)state;
    for (size_t device = 0; device < device_count(); device++) {
        fill(whole), fill(parts);
        run(device, ALL, whole, 0, N);
        run(device, ALL, parts, 0, 1);
        run(device, ALL, parts, 1, 4);
        run(device, ALL, parts, 4, N);
        assert_memory_equal(whole, parts, sizeof whole);
    }
}

static void bad_lists_are_refused(void **state)
{
    static const struct {
        const char *list, *word;
    } bad[] = {{"[{miror: {axes: [w]}}]", "miror"},
               {"[{mirror: {axes: [x]}}]", "\"x\""},
               {"[{mirror: {axes: [w, w]}}]", "twice"},
               {"[{mirror: {axes: w}}]", "axes"},
               {"[{mirror: {p: 0.5}}]", "axes"},
               {"[mirror]", "mirror"},
               {"[{mirror: {axes: [w], p: 1.5}}]", "1.5"},
               {"[{mirror: {axes: [w], q: 1}}]", "q"},
               {"[{gaussian_noise: {}}]", "std"},
               {"[{gaussian_noise: {std: -1}}]", "-1"},
               {"[{gaussian_noise: {std: .nan}}]", ".nan"},
               {"[{salt_pepper: {p: 0.5}}]", "amount"},
               {"[{salt_pepper: {amount: 0.1, low: 3, high: 2}}]", "low"},
               {"[{salt_pepper: 3}]", "salt_pepper"},
               {"[{rotate90: {}}]", "not square"},
               {"[{rotate90: {axes: [h]}}]", "two axes"},
               {"[{rotate90: {axes: [d, h, w]}}]", "two axes"},
               {"[{rotate90: {angle: 90}}]", "angle"},
               {"[{brightness: {range: 2}}]", "a pair"},
               {"[{contrast: {range: [2, 1]}}]", "over its second"},
               {"[{gamma: {range: [0, 1]}}]", "exp.yaml:1:19"},
               {"[{gamma: {p: 2}}]", "exp.yaml:1:"},
               {"[{gamma: {gamma: 2}}]", "gamma"},
               {"{mirror: {axes: [w]}}", "list"},
               {"[7]", "7"}};
    (void)state;
    vox_error err = {0};
    vox_ctx *ctx;
    device_count();
    assert_ok(vox_ctx_open(&ctx, NULL, &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vox_yaml *doc;
        vox_augment *a = (vox_augment *)&ctx;
        memset(&err, 0, sizeof err);
        assert_ok(vox_yaml_parse(&doc, bad[i].list, "exp.yaml", &err));
        vox_status s =
            vox_augment_open(&a, vox_yaml_root(doc), vox_ctx_get(ctx, 0), &shape, N, &err);
        if (s != VOX_ERR_INPUT || a ||
            (!strstr(err.message, bad[i].word) && !strstr(err.detail, bad[i].word) &&
             !strstr(err.hint, bad[i].word)) ||
            !strstr(err.detail, "exp.yaml:1:"))
            fail_msg("%s: status %d: %s | %s | %s", bad[i].list, (int)s, err.message, err.detail,
                     err.hint);
        vox_yaml_free(&doc);
    }
    vox_augment *none;
    assert_ok(vox_augment_open(&none, NULL, vox_ctx_get(ctx, 0), &shape, N, &err));
    assert_ok(vox_augment_run(none, NULL, NULL, 1, &step0, &err));
    vox_augment_free(&none);
    vox_ctx_free(&ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(mirror_reverses_axes),
                                       cmocka_unit_test(gaussian_noise_is_added),
                                       cmocka_unit_test(salt_pepper_sets_extremes),
                                       cmocka_unit_test(intensities_change),
                                       cmocka_unit_test(planes_turn_and_labels_with_them),
                                       cmocka_unit_test(long_lines_are_mirrored),
                                       cmocka_unit_test(labels_are_mirrored_but_not_changed),
                                       cmocka_unit_test(the_split_changes_nothing),
                                       cmocka_unit_test(bad_lists_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
