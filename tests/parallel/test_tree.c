/* test_tree.c - the reduction tree against a plain sum, shares of a batch, the drawing. */
#include "test.h"

#include "base/philox.h"
#include "parallel/shard.h"
#include "parallel/tree.h"

#include <math.h>

#define MOST 9

static float *fill(size_t count, uint64_t sample)
{
    float *p = malloc((count ? count : 1) * sizeof *p);
    vox_random r;
    assert_non_null(p);
    vox_random_init(&r, 7, VOX_RANDOM_SYNTH, 0, 0, sample);
    for (size_t i = 0; i < count; i++)
        p[i] = (float)vox_random_range(&r, -1, 1);
    return p;
}

/* The expression the drawing shows, for one element. */
static float by_levels(const float *const *in, size_t n, size_t j)
{
    float v[MOST];
    for (size_t i = 0; i < n; i++)
        v[i] = in[i][j];
    for (size_t step = 1; step < n; step *= 2)
        for (size_t i = 0; i + step < n; i += 2 * step)
            v[i] += v[i + step];
    return v[0];
}

static float in_turn(const float *const *in, size_t n, size_t j)
{
    float sum = in[0][j];
    for (size_t i = 1; i < n; i++)
        sum += in[i][j];
    return sum;
}

static void check_sum(size_t n, size_t count, bool star, vox_pool *pool)
{
    vox_error err = {0};
    vox_tree tree;
    float *in[MOST], *out = malloc((count + 1) * sizeof *out);
    assert_non_null(out);
    for (size_t i = 0; i < n; i++)
        in[i] = fill(count, i);
    assert_ok((star ? vox_tree_init_star : vox_tree_init)(&tree, n, &err));
    assert_int_equal(tree.levels, star ? (int)n - 1 : (int)ceil(log2((double)n)));
    for (size_t j = 0; j <= count; j++)
        out[j] = NAN;
    vox_tree_sum(&tree, (const float *const *)in, out, count, pool);
    for (size_t j = 0; j < count; j++) {
        float want = (star ? in_turn : by_levels)((const float *const *)in, n, j);
        double plain = 0, size = 0;
        for (size_t i = 0; i < n; i++) {
            plain += in[i][j];
            size += fabs(in[i][j]);
        }
        assert_memory_equal(&out[j], &want, sizeof want);
        assert_true(fabs(out[j] - plain) <= 1e-6 * size); /* n float roundings */
    }
    assert_true(isnan(out[count])); /* nothing is written past the end */
    vox_tree_sum(&tree, (const float *const *)in, in[0], count, pool);
    assert_memory_equal(in[0], out, count * sizeof *out); /* in place */
    for (size_t i = 0; i < n; i++)
        free(in[i]);
    free(out);
    vox_tree_release(&tree);
}

static void sums_are_the_plain_sums_for_any_threads(void **state)
{
    (void)state;
    /* One element, one piece less and more one, pieces of an item, several items. */
    static const size_t counts[] = {1, 1023, 1024, 1025, 2048, 2049, 100003};
    vox_error err = {0};
    for (size_t threads = 0; threads <= 5; threads++) {
        vox_pool *pool = NULL; /* threads 0: no pool */
        if (threads)
            assert_ok(vox_pool_open(&pool, threads, &err));
        for (size_t n = 1; n <= MOST; n++)
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
                if (counts[c] < 100000 || n == 7 || n == 4)
                    check_sum(n, counts[c], false, pool);
        for (size_t n = 1; n <= MOST; n += 4)
            check_sum(n, 2049, true, pool);
        vox_pool_free(&pool);
    }
}

static void absent_buffers_contribute_nothing(void **state)
{
    (void)state;
    vox_error err = {0};
    enum { N = 5, COUNT = 3000 };
    vox_tree tree;
    float *in[N], out[COUNT];
    assert_ok(vox_tree_init(&tree, N, &err));
    for (size_t i = 0; i < N; i++)
        in[i] = fill(COUNT, i);
    for (unsigned mask = 0; mask < 1u << N; mask++) {
        const float *some[N];
        for (size_t i = 0; i < N; i++)
            some[i] = mask >> i & 1 ? in[i] : NULL;
        for (size_t j = 0; j < COUNT; j++)
            out[j] = NAN;
        vox_tree_sum(&tree, some, out, COUNT, NULL);
        for (size_t j = 0; j < COUNT; j++) {
            double want = 0;
            for (size_t i = 0; i < N; i++)
                want += some[i] ? some[i][j] : 0.0f;
            assert_true(fabs(out[j] - want) < 5e-6);
        }
    }
    for (size_t i = 0; i < N; i++)
        free(in[i]);
    vox_tree_release(&tree);
}

static void a_wrong_size_is_refused(void **state)
{
    (void)state;
    vox_error err;
    vox_tree tree;
    char *json;
    assert_error(vox_tree_init(&tree, 0, &err), VOX_ERR_USAGE, "0 devices");
    assert_error(vox_tree_init(&tree, 65537, &err), VOX_ERR_USAGE, "65536");
    assert_error(vox_bench_reduce(0, 100, &json, &err), VOX_ERR_USAGE, "1024");
    assert_error(vox_bench_reduce(4, 3, &json, &err), VOX_ERR_USAGE, "3 bytes");
    assert_null(json);
}

static void the_drawing_shows_every_pair(void **state)
{
    (void)state;
    static const char *const names[] = {"0 cpu", "1 cpu", "2 cpu", "3 cpu", "4 gpu"};
    vox_error err = {0};
    vox_tree tree;
    vox_str text = {0};
    assert_ok(vox_tree_init(&tree, 5, &err));
    vox_tree_draw(&tree, "  ", names, &text);
    assert_string_equal(text.text, "  0 cpu --+--+--+-- sum\n"
                                   "  1 cpu --'  |  |\n"
                                   "  2 cpu --+--'  |\n"
                                   "  3 cpu --'     |\n"
                                   "  4 gpu --------'\n");
    vox_str_release(&text);
    vox_tree_release(&tree);
    assert_ok(vox_tree_init_star(&tree, 3, &err));
    vox_tree_draw(&tree, "", names, &text);
    assert_string_equal(text.text, "0 cpu --+--+-- sum\n"
                                   "1 cpu --'  |\n"
                                   "2 cpu -----'\n");
    vox_str_release(&text);
    vox_tree_release(&tree);
    assert_ok(vox_tree_init(&tree, 1, &err));
    vox_tree_draw(&tree, "", names, &text);
    assert_string_equal(text.text, "0 cpu -- sum\n");
    vox_str_release(&text);
    vox_tree_release(&tree);
}

/* Four cards under two switches, numbered across, and a CPU below neither. */
static void neighbours_are_summed_first(void **state)
{
    (void)state;
    static const char *const names[] = {"0 card", "1 card", "2 card", "3 card", "4 cpu", "5 card"};
    static const vox_place place[] = {
        {4, {1, 10, 100, 1000}}, {4, {1, 20, 200, 1001}}, {4, {1, 10, 100, 1002}},
        {4, {1, 20, 200, 1003}}, {2, {1, 1004}},          {4, {1, 20, 200, 1005}},
    };
    vox_error err = {0};
    vox_tree tree;
    vox_str text = {0};
    assert_ok(vox_tree_init_near(&tree, 6, place, &err));
    vox_tree_draw(&tree, "", names, &text);
    assert_string_equal(text.text, "0 card --+-----+--+-- sum\n"
                                   "2 card --'     |  |\n"
                                   "1 card --+--+--'  |\n"
                                   "3 card --'  |     |\n"
                                   "5 card -----'     |\n"
                                   "4 cpu  -----------'\n");
    vox_str_release(&text);
    vox_tree_release(&tree);
}

static bool below_same(const vox_place *a, const vox_place *b, uint32_t storeys)
{
    return a->depth >= storeys && b->depth >= storeys &&
           memcmp(a->at, b->at, storeys * sizeof *a->at) == 0;
}

/* Every group of leaves below one thing, of k leaves, has k - 1 pairs of its own. */
static void check_groups(const vox_tree *tree, const vox_place *place, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (uint32_t storeys = 1; storeys <= place[i].depth; storeys++) {
            size_t leaves = 0, inside = 0;
            for (size_t j = 0; j < n; j++)
                leaves += below_same(&place[i], &place[j], storeys);
            for (size_t p = 0; p + 1 < n; p++)
                inside += below_same(&place[i], &place[tree->pair[p].dst], storeys) &&
                          below_same(&place[i], &place[tree->pair[p].src], storeys);
            assert_int_equal(inside, leaves - 1);
        }
}

static void any_places_give_a_tree(void **state)
{
    (void)state;
    enum { N = MOST };
    vox_random r;
    vox_random_init(&r, 3, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (int round = 0; round < 300; round++) {
        vox_error err = {0};
        vox_tree tree;
        vox_place place[N] = {{0}};
        const size_t n = 1 + (size_t)(vox_random_uniform(&r) * N);
        float value[N];
        const float *in[N];
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            place[i].depth = (uint32_t)(vox_random_uniform(&r) * 4);
            for (uint32_t k = 0; k < place[i].depth; k++)
                place[i].at[k] = (uint64_t)(vox_random_uniform(&r) * 3);
            value[i] = (float)(1 << i);
            in[i] = &value[i];
            sum += (double)value[i];
        }
        assert_ok(vox_tree_init_near(&tree, n, place, &err));
        check_groups(&tree, place, n);
        float out;
        vox_tree_sum(&tree, in, &out, 1, NULL);
        assert_true((double)out == sum); /* each leaf once */
        bool drawn[N] = {false};
        for (size_t i = 0; i < n; i++)
            drawn[tree.line[i]] = true;
        for (size_t i = 0; i < n; i++)
            assert_true(drawn[i]);
        vox_tree_release(&tree);
    }
}

static void places_that_are_alike_give_the_binomial_tree(void **state)
{
    (void)state;
    vox_error err = {0};
    for (size_t n = 1; n <= 40; n++) {
        vox_place place[40];
        vox_tree plain, near;
        for (size_t i = 0; i < n; i++) /* devices of one machine */
            place[i] = (vox_place){3, {1, 7, 100 + i}};
        assert_ok(vox_tree_init(&plain, n, &err));
        assert_ok(vox_tree_init_near(&near, n, place, &err));
        assert_int_equal(plain.levels, near.levels);
        assert_memory_equal(plain.pair, near.pair, (n - 1) * sizeof *near.pair);
        vox_tree_release(&near);
        vox_tree_release(&plain);
    }
}

static void shares_are_whole_and_larger_first(void **state)
{
    (void)state;
    static const struct {
        int64_t batch;
        size_t devices;
        double weight[4];
        int64_t want[4];
    } cases[] = {
        {7, 3, {1, 1, 1}, {3, 2, 2}},         /* does not divide */
        {8, 4, {1, 1, 1, 1}, {2, 2, 2, 2}},   /* divides */
        {2, 4, {1, 1, 1, 1}, {1, 1, 0, 0}},   /* fewer samples than devices */
        {0, 2, {1, 1}, {0, 0}},               /* nothing to do */
        {1, 1, {1}, {1}},                     /* one device */
        {12, 3, {3, 2, 1}, {6, 4, 2}},        /* unequal speeds */
        {4, 2, {3, 1}, {3, 1}},               /* exact */
        {5, 3, {0, 1, 1}, {0, 3, 2}},         /* one sits out */
        {10, 3, {0.5, 0.3, 0.2}, {5, 3, 2}},  /* not whole numbers */
        {7, 4, {1e-9, 1, 1, 1}, {0, 3, 2, 2}} /* much too slow */
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int64_t count[4], first[4], at = 0;
        vox_shards_make(cases[c].batch, cases[c].devices, cases[c].weight, count, first);
        for (size_t i = 0; i < cases[c].devices; i++) {
            assert_int_equal(count[i], cases[c].want[i]);
            assert_int_equal(first[i], at);
            at += count[i];
        }
        assert_int_equal(at, cases[c].batch);
    }
}

static void the_bench_gives_json(void **state)
{
    (void)state;
    vox_error err = {0};
    char *json = NULL;
    assert_ok(vox_bench_reduce(4, 1 << 20, &json, &err));
    assert_non_null(strstr(json, "\"devices\": 4, \"bytes\": 1048576, \"levels\": 2"));
    assert_non_null(strstr(json, "\"share_of_copy\": "));
    assert_null(strstr(json, "null"));
    vox_string_free(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_the_plain_sums_for_any_threads),
        cmocka_unit_test(absent_buffers_contribute_nothing),
        cmocka_unit_test(a_wrong_size_is_refused),
        cmocka_unit_test(the_drawing_shows_every_pair),
        cmocka_unit_test(neighbours_are_summed_first),
        cmocka_unit_test(any_places_give_a_tree),
        cmocka_unit_test(places_that_are_alike_give_the_binomial_tree),
        cmocka_unit_test(shares_are_whole_and_larger_first),
        cmocka_unit_test(the_bench_gives_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
