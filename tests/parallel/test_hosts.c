/* test_hosts.c - ranks: alone (as ctest runs it), and started several times by with_ranks.sh.  What
 * is checked on one rank only goes wrong on that one; mpirun then ends the others. */
#include "test.h"

#include "base/philox.h"
#include "base/thread.h"
#include "parallel/hosts.h"
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
    static const size_t counts[] = {0, 1, 3, 15, 16, 17, 33, 64, 1000, 65536, 300001};
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
    size_t of, local = vox_hosts_local(hosts, &of); /* mpirun starts all on this host */
    assert_int_equal(local, rank);
    assert_int_equal(of, size);
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
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed)
        vox_hosts_settle(hosts, VOX_ERR_USAGE); /* ends the others too */
    vox_hosts_free(&hosts);
    return failed;
}
