/* test_hosts.c - ranks: alone (as ctest runs it), and started several times by with_ranks.sh.  What
 * is checked on one rank only goes wrong on that one; mpirun then ends the others. */
#include "test.h"

#include "base/philox.h"
#include "base/thread.h"
#include "parallel/hosts_window.h"
#include "parallel/tree.h"

#include <pthread.h>
#include <unistd.h>

static vox_hosts *hosts;
static size_t rank, size;

static void ranks_are_told_apart(void **state)
{
    (void)state;
    vox_error err = {0};
    size_t all[64];
    assert_true(rank < size && size <= 64);
    assert_ok(vox_hosts_gather(hosts, &rank, sizeof rank, all, &err));
    for (size_t i = 0; i < size; i++)
        assert_int_equal(all[i], i);
    for (size_t i = 0; i < size; i++)
        assert_true(vox_hosts_name(hosts, i)[0] != '\0');
    assert_int_equal(vox_hosts_rank(NULL), 0);
    assert_int_equal(vox_hosts_size(NULL), 1);
}

static void rank_0_tells_all(void **state)
{
    (void)state;
    vox_error err = {0};
    const size_t bytes = 3000001;
    unsigned char *data = malloc(bytes);
    assert_non_null(data);
    for (size_t i = 0; i < bytes; i++)
        data[i] = rank == 0 ? (unsigned char)(i * 7 + i / 1000) : 0;
    assert_ok(vox_hosts_broadcast(hosts, data, bytes, &err));
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != (unsigned char)(i * 7 + i / 1000))
            fail_msg("byte %zu", i);
    free(data);
    assert_ok(vox_hosts_barrier(hosts, &err));
}

/* Rank r's values of a sum: any rank can make them. */
static void fill(float *data, size_t count, size_t r, uint32_t key)
{
    vox_random random;
    vox_random_init(&random, 5, VOX_RANDOM_SHUFFLE, key, r, 0);
    for (size_t i = 0; i < count; i++)
        data[i] = (float)vox_random_below(&random, 1u << 30) * 1e-6f - 500.0f;
}

static void expected(float *out, size_t count, uint32_t key)
{
    vox_error err = {0};
    vox_tree tree;
    float **in = calloc(size, sizeof *in);
    assert_non_null(in);
    for (size_t r = 0; r < size; r++) {
        in[r] = malloc((count + 1) * sizeof **in);
        assert_non_null(in[r]);
        fill(in[r], count, r, key);
    }
    assert_ok(vox_tree_init(&tree, size, &err));
    const size_t lines = (count + 15) / 16;
    for (size_t r = 0; r < size; r++) { /* rank r adds up a part of whole cache lines */
        const float *from[64];
        size_t at = lines * r / size * 16, end = lines * (r + 1) / size * 16;
        end = end < count ? end : count;
        at = at < end ? at : end;
        for (size_t k = 0; k < size; k++)
            from[k] = in[(r + k) % size] + at;
        vox_tree_sum(&tree, from, out + at, end - at, NULL);
    }
    vox_tree_release(&tree);
    for (size_t r = 0; r < size; r++)
        free(in[r]);
    free(in);
}

/* Sizes around the parts' edges: none, fewer than ranks, one cache line more or less, many. */
static void sums_are_the_trees_to_the_bit(void **state)
{
    static const size_t counts[] = {0, 1, 3, 15, 16, 17, 33, 64, 1000, 65536, 300001, 1200007};
    (void)state;
    vox_error err = {0};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        const size_t n = counts[k];
        vox_host_sum *sum;
        float *data = malloc((n + 1) * sizeof *data), *want = malloc((n + 1) * sizeof *want);
        assert_true(data && want);
        expected(want, n, (uint32_t)k);
        assert_ok(vox_host_sum_open(&sum, hosts, (int)k, n, &err));
        for (int again = 0; again < 3; again++) {
            fill(data, n, rank, (uint32_t)k);
            data[n] = 42;
            vox_host_sum_start(sum, data);
            assert_ok(vox_host_sum_wait(sum, &err));
            assert_memory_equal(data, want, n * sizeof *data);
            assert_true(data[n] == 42);
        }
        vox_host_sum_free(&sum);
        free(data);
        free(want);
    }
}

/* ---- memory in common ---- */

/* From three ranks on these tests are on two hosts, by name: the even ranks and the odd ones. */
static size_t host_of(size_t r)
{
    return size > 2 ? r % 2 : 0;
}

/* The groups' first ranks; without: the last rank's host has no memory in common. */
static size_t group_of(size_t r, bool without)
{
    return without && host_of(r) == host_of(size - 1) ? r : host_of(r);
}

/* Added up in each group first, in the order of its ranks, then over the groups from that of the
 * part's owner on. */
static void expected_in_groups(float *out, size_t count, uint32_t key, bool without)
{
    vox_error err = {0};
    float *value[64], *sum[64];
    const float *in[64];
    size_t groups = 0, group[64];
    for (size_t r = 0; r < size; r++) {
        value[r] = malloc((count + 1) * sizeof **value);
        assert_non_null(value[r]);
        fill(value[r], count, r, key);
        if (group_of(r, without) == r)
            group[groups++] = r;
    }
    for (size_t g = 0; g < groups; g++) {
        size_t n = 0;
        vox_tree tree;
        for (size_t r = 0; r < size; r++)
            if (group_of(r, without) == group[g])
                in[n++] = value[r];
        sum[g] = malloc((count + 1) * sizeof **sum);
        assert_non_null(sum[g]);
        assert_ok(vox_tree_init(&tree, n, &err));
        vox_tree_sum(&tree, in, sum[g], count, NULL);
        vox_tree_release(&tree);
    }
    vox_tree tree;
    assert_ok(vox_tree_init(&tree, groups, &err));
    const size_t lines = (count + 15) / 16;
    for (size_t r = 0; r < size; r++) {
        size_t at = lines * r / size * 16, end = lines * (r + 1) / size * 16, own = 0;
        end = end < count ? end : count;
        at = at < end ? at : end;
        while (group[own] != group_of(r, without))
            own++;
        for (size_t k = 0; k < groups; k++)
            in[k] = sum[(own + k) % groups] + at;
        vox_tree_sum(&tree, in, out + at, end - at, NULL);
    }
    vox_tree_release(&tree);
    for (size_t r = 0; r < size; r++)
        free(value[r]);
    for (size_t g = 0; g < groups; g++)
        free(sum[g]);
}

static void check_sums_in(vox_host_window *w, bool without)
{
    enum { OFFSET = 48, KEYS = 5 };
    static const size_t counts[KEYS] = {0, 5, 100, 4096, 70001};
    vox_error err = {0};
    const vox_portion *portion = vox_host_window_portion(w);
    const size_t room = OFFSET + counts[KEYS - 1];
    float *own = vox_host_window_own(w, portion->index), *alone = malloc(room * sizeof *alone),
          *want = malloc(room * sizeof *want);
    assert_true(alone && want);
    const float *sum = (own ? (float *)vox_host_window_own(w, 0) : alone) + OFFSET;
    float *data = (own ? own : alone) + OFFSET;
    for (int key = 0; key < KEYS; key++) {
        const size_t n = counts[key];
        vox_host_sum *one;
        assert_ok(vox_host_sum_open_in(&one, hosts, w, key, OFFSET, n, &err));
        expected_in_groups(want, n, (uint32_t)key, without);
        for (int again = 0; again < 3; again++) {
            fill(data, n, rank, (uint32_t)key);
            vox_host_sum_start(one, data);
            if (again == 1)
                usleep((useconds_t)(1000 * rank)); /* not all at once */
            assert_ok(vox_host_sum_wait(one, &err));
            assert_ok(vox_portion_meet(portion, &err));
            assert_memory_equal(sum, want, n * sizeof *sum);
            assert_ok(vox_portion_meet(portion, &err)); /* nobody looks at it any more */
        }
        vox_host_sum_free(&one);
    }
    free(alone);
    free(want);
}

static void ranks_of_a_host_share_memory(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_host_window *w;
    size_t of, local = vox_hosts_local(hosts, &of);
    assert_ok(vox_host_window_open(&w, hosts, 5000, 300000, &err));
    if (size == 1) {
        assert_null(w);
        return;
    }
    assert_non_null(w);
    const vox_portion *portion = vox_host_window_portion(w);
    unsigned char *common = vox_host_window_common(w);
    assert_int_equal(portion->index, of > 1 ? local : 0);
    assert_int_equal(portion->of, of);
    assert_true((common != NULL) == (of > 1));
    for (size_t i = 0; common && i < 5000; i++)
        assert_int_equal(common[i], 0);
    assert_ok(vox_portion_meet(portion, &err));
    for (size_t i = local; common && i < 5000; i += of)
        common[i] = (unsigned char)(local + 1);
    assert_ok(vox_portion_meet(portion, &err));
    for (size_t i = 0; common && i < 5000; i++)
        assert_int_equal(common[i], i % of + 1);
    check_sums_in(w, false);
    vox_host_window_free(&w);
    assert_null(w);
}

/* One rank says no, or there is not so much: its host's ranks do without, the others do not. */
static void ranks_without_such_memory_send_messages(void **state)
{
    static const char *const why[] = {"off", "1000000"};
    (void)state;
    vox_error err = {0};
    for (size_t i = 0; i < sizeof why / sizeof *why; i++) {
        vox_host_window *w;
        if (rank == size - 1)
            setenv(VOX_WINDOW_VARIABLE, why[i], 1);
        assert_ok(vox_host_window_open(&w, hosts, 5000, 1000000, &err));
        unsetenv(VOX_WINDOW_VARIABLE);
        if (size == 4 && host_of(rank) == 0)
            assert_non_null(vox_host_window_common(w));
        if (host_of(rank) == host_of(size - 1))
            assert_null(vox_host_window_common(w));
        if (size == 2)
            assert_null(w);
        if (w)
            check_sums_in(w, true);
        vox_host_window_free(&w);
    }
    /* More than there is anywhere. */
    vox_host_window *w;
    assert_ok(vox_host_window_open(&w, hosts, 5000, SIZE_MAX / 64, &err));
    assert_null(w);
}

#define BUCKETS 12

typedef struct bucket {
    vox_host_sum *sum;
    float *data;
    size_t count, index;
} bucket;

static void *start_some(void *arg)
{
    bucket *b = arg;
    for (size_t i = 0; i < BUCKETS; i += 2) { /* each rank in another order */
        bucket *one = &b[(i + 4 * rank) % BUCKETS];
        usleep((useconds_t)(100 * rank));
        vox_host_sum_start(one->sum, one->data);
    }
    return NULL;
}

/* From two threads, in another order on every rank, with calls on all in between. */
static void sums_may_begin_in_any_order(void **state)
{
    (void)state;
    vox_error err = {0};
    bucket b[BUCKETS];
    for (size_t i = 0; i < BUCKETS; i++) {
        b[i] = (bucket){.count = 1000 + 7777 * i, .index = i};
        b[i].data = malloc(b[i].count * sizeof(float));
        assert_non_null(b[i].data);
        assert_ok(vox_host_sum_open(&b[i].sum, hosts, (int)i + 100, b[i].count, &err));
    }
    for (int round = 0; round < 5; round++) {
        pthread_t other;
        double word = 1, words[64];
        for (size_t i = 0; i < BUCKETS; i++)
            fill(b[i].data, b[i].count, rank, (uint32_t)i);
        assert_int_equal(pthread_create(&other, NULL, start_some, b + 1), 0);
        start_some(b);
        assert_ok(vox_hosts_gather(hosts, &word, sizeof word, words, &err));
        pthread_join(other, NULL);
        for (size_t i = BUCKETS; i-- > 0;)
            assert_ok(vox_host_sum_wait(b[i].sum, &err));
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        float *want = malloc(b[i].count * sizeof *want);
        assert_non_null(want);
        expected(want, b[i].count, (uint32_t)i);
        assert_memory_equal(b[i].data, want, b[i].count * sizeof *want);
        vox_host_sum_free(&b[i].sum);
        free(b[i].data);
        free(want);
    }
}

static void an_error_becomes_everybodys(void **state)
{
    (void)state;
    vox_error err = {0};
    assert_ok(vox_hosts_agree(hosts, VOX_OK, &err));
    vox_status mine = VOX_OK;
    if (rank == size - 1)
        mine = vox_fail(&err, VOX_ERR_INPUT, "the last one's trouble");
    assert_int_equal(vox_hosts_agree(hosts, mine, &err), VOX_ERR_INPUT);
    assert_string_equal(err.message, "the last one's trouble");
    char text[32];
    snprintf(text, sizeof text, "rank %zu on ", size - 1);
    assert_true(size == 1 || strstr(err.detail, text));
    memset(&err, 0, sizeof err);
    mine = vox_fail(&err, VOX_ERR_INPUT, "all have it"); /* then nobody is named */
    assert_int_equal(vox_hosts_agree(hosts, mine, &err), VOX_ERR_INPUT);
    assert_string_equal(err.detail, "");
    assert_false(vox_hosts_alone(hosts));
}

static void differences_are_found(void **state)
{
    (void)state;
    vox_error err = {0};
    assert_ok(vox_hosts_same(hosts, "seeds", 7, "give all the same", &err));
    if (size > 1)
        assert_error(vox_hosts_same(hosts, "seeds", rank == 1, "give all the same", &err),
                     VOX_ERR_USAGE, "different seeds");
}

static void rows_and_flags_are_shared(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_slice slice[64];
    int32_t row[200][3];
    memset(row, 0, sizeof row);
    for (size_t i = 0; i < size; i++) /* 0, 1, 2 ... rows */
        slice[i] = (vox_slice){(int64_t)(i * (i - 1) / 2), (int64_t)i};
    slice[0].first = 0;
    for (int64_t k = 0; k < slice[rank].count; k++)
        row[slice[rank].first + k][2] = (int32_t)(100 + slice[rank].first + k);
    assert_ok(vox_hosts_share(hosts, VOX_OK, row, sizeof row[0], slice, &err));
    for (int64_t k = 0; k < (int64_t)(size * (size - 1) / 2); k++)
        assert_int_equal(row[k][2], 100 + k);
    unsigned flags = rank == size - 1 ? 5 : 0;
    assert_ok(vox_hosts_vote(hosts, VOX_OK, &flags, &err));
    assert_int_equal(flags, 5);
    flags = 0;
    assert_ok(vox_hosts_vote(hosts, VOX_OK, &flags, &err));
    assert_int_equal(flags, 0);
    size_t of, local = vox_hosts_local(hosts, &of), before = 0, all = 0;
    for (size_t i = 0; i < size; i++) {
        before += i < rank && host_of(i) == host_of(rank);
        all += host_of(i) == host_of(rank);
    }
    assert_int_equal(local, before);
    assert_int_equal(of, all);
}

static void bad_keys_are_refused(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_host_sum *sum;
    assert_error(vox_host_sum_open(&sum, hosts, VOX_HOST_SUM_KEYS, 1, &err), VOX_ERR_USAGE, "key");
    assert_null(sum);
}

int main(void)
{
    vox_error err = {0};
    const char *count = getenv("OMPI_COMM_WORLD_SIZE"), *number = getenv("OMPI_COMM_WORLD_RANK");
    if (!count)
        count = getenv("PMI_SIZE"), number = getenv("PMI_RANK");
    if (count && number && atol(count) > 2)
        setenv(VOX_HOST_NAME_VARIABLE, atol(number) % 2 ? "odd" : "even", 1);
    if (vox_hosts_open(&hosts, &err) != VOX_OK) {
        printf("%s | %s | %s\n", err.message, err.detail, err.hint);
        return err.code == VOX_ERR_UNSUPPORTED ? 77 : 1;
    }
    rank = vox_hosts_rank(hosts);
    size = vox_hosts_size(hosts);
    if (getenv("OMPI_COMM_WORLD_SIZE") && (size_t)atol(getenv("OMPI_COMM_WORLD_SIZE")) != size)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_are_told_apart),
        cmocka_unit_test(rank_0_tells_all),
        cmocka_unit_test(sums_are_the_trees_to_the_bit),
        cmocka_unit_test(sums_may_begin_in_any_order),
        cmocka_unit_test(an_error_becomes_everybodys),
        cmocka_unit_test(differences_are_found),
        cmocka_unit_test(rows_and_flags_are_shared),
        cmocka_unit_test(bad_keys_are_refused),
        cmocka_unit_test(ranks_of_a_host_share_memory),
        cmocka_unit_test(ranks_without_such_memory_send_messages),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed)
        vox_hosts_settle(hosts, VOX_ERR_USAGE); /* ends the others too */
    vox_hosts_free(&hosts);
    return failed;
}
