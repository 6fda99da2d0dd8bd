/* Batches ahead of the devices: order, resuming, errors, and leaving at any moment. */
#include "fixture.h"

#include "base/thread.h"

#include <pthread.h>
#include <stdatomic.h>

#define CASES 23
static vox_error err;
static const int shape[4] = {1, 2, 3, 4};

/* CASES small files; case i's first voxel is 100 * i. */
static vox_dataset *make_set(bool load)
{
    vox_dataset *set;
    vox_str csv = {0};
    vox_str_add(&csv, "image,label\n");
    for (int i = 0; i < CASES; i++) {
        char name[32];
        snprintf(name, sizeof name, "img/%d.npy", i);
        put_npy(name, 1, 2, 3, 4, (float)(100 * i), -1);
        vox_str_add(&csv, "%s,%d\n", name, i % 3);
    }
    put_text("m.csv", csv.text);
    vox_str_release(&csv);
    assert_ok(open_set(&set, "manifest: m.csv", NULL, shape, false, &err));
    if (load)
        assert_ok(vox_dataset_load(set, NULL, &err));
    return set;
}

/* The next `batches` batches as a list of cases; checks what each batch says of itself. */
static void collect(vox_dataset *set, const vox_loader_options *opt, size_t batches, size_t *order)
{
    vox_loader *loader;
    const vox_batch *b, *peeked = NULL;
    uint64_t epoch = opt->epoch, first = opt->first;
    assert_ok(vox_loader_open(&loader, set, opt, &err));
    for (size_t k = 0; k < batches; k++) {
        assert_ok(vox_loader_next(loader, &b, &err));
        if (first == CASES) {
            first = 0;
            epoch++;
        }
        if (peeked) /* what was seen ahead is what came */
            assert_ptr_equal(peeked, b);
        peeked = vox_loader_peek(loader, 0);
        size_t left = CASES - (size_t)first;
        assert_int_equal(b->n, left < opt->batch ? left : opt->batch);
        assert_int_equal(b->epoch, epoch);
        assert_int_equal(b->first, first);
        for (size_t i = 0; i < b->n; i++) {
            size_t c = b->case_index[i];
            assert_true(b->sample[i][0] == (float)(100 * c));
            assert_true(b->sample[i][23] == (float)(100 * c + 23));
            assert_int_equal(b->label[i], c % 3);
            *order++ = c;
        }
        first += b->n;
    }
    vox_loader_free(&loader);
    assert_null(loader);
}

/* 3 epochs of 5 batches of at most 5: 69 samples. */
#define EPOCHS 3
static void test_order(void **state)
{
    (void)state;
    vox_dataset *set = make_set(true);
    size_t plain[EPOCHS * CASES], first[EPOCHS * CASES], other[EPOCHS * CASES];
    vox_loader_options opt = {.batch = 5, .threads = 1, .ahead = 1, .seed = 7};
    collect(set, &opt, EPOCHS * 5, plain);
    for (size_t i = 0; i < EPOCHS * CASES; i++)
        assert_int_equal(plain[i], i % CASES);
    opt.shuffle = true;
    collect(set, &opt, EPOCHS * 5, first);
    for (int e = 0; e < EPOCHS; e++) { /* every case once an epoch */
        bool seen[CASES] = {false};
        for (int i = 0; i < CASES; i++)
            seen[first[e * CASES + i]] = true;
        for (int i = 0; i < CASES; i++)
            assert_true(seen[i]);
    }
    assert_true(memcmp(first, plain, CASES * sizeof *first) != 0);
    assert_true(memcmp(first, first + CASES, CASES * sizeof *first) != 0); /* epochs differ */
    for (size_t threads = 1; threads <= 4; threads++) /* and the threads do not matter */
        for (size_t ahead = 0; ahead <= 9; ahead += 3) {
            opt.threads = threads;
            opt.ahead = ahead;
            collect(set, &opt, EPOCHS * 5, other);
            assert_memory_equal(other, first, sizeof first);
        }
    opt.seed = 8;
    collect(set, &opt, EPOCHS * 5, other);
    assert_true(memcmp(other, first, CASES * sizeof *first) != 0);
    vox_dataset_free(&set);
}

/* Going on from any batch of any epoch gives the rest of the same order. */
static void test_resume(void **state)
{
    (void)state;
    vox_dataset *set = make_set(true);
    size_t whole[EPOCHS * CASES], rest[EPOCHS * CASES];
    vox_loader_options opt = {.batch = 4, .threads = 2, .ahead = 2, .seed = 3, .shuffle = true};
    const size_t per_epoch = (CASES + 3) / 4;
    collect(set, &opt, EPOCHS * per_epoch, whole);
    for (size_t done = 0; done <= 2 * per_epoch; done++) {
        size_t epoch = done / per_epoch, first = done % per_epoch * 4;
        opt.epoch = epoch;
        opt.first = first;
        collect(set, &opt, EPOCHS * per_epoch - done, rest);
        size_t at = epoch * CASES + first;
        assert_memory_equal(rest, whole + at, (EPOCHS * CASES - at) * sizeof *rest);
    }
    opt.epoch = 0; /* the end of an epoch is the beginning of the next */
    opt.first = CASES;
    collect(set, &opt, per_epoch, rest);
    assert_memory_equal(rest, whole + CASES, CASES * sizeof *rest);
    vox_dataset_free(&set);
}

static void test_options(void **state)
{
    (void)state;
    vox_dataset *set = make_set(true);
    vox_loader *loader;
    const vox_batch *b;
    vox_loader_options opt = {.batch = 0};
    assert_error(vox_loader_open(&loader, set, &opt, &err), VOX_ERR_USAGE, "batch");
    assert_null(loader);
    opt.batch = 4;
    opt.first = CASES + 1;
    assert_error(vox_loader_open(&loader, set, &opt, &err), VOX_ERR_INPUT, "past the end");
    opt.first = 0;
    opt.batch = 1000; /* more than there are: the epoch is one batch */
    opt.ahead = 3;
    assert_ok(vox_loader_open(&loader, set, &opt, &err));
    for (uint64_t e = 0; e < 5; e++) {
        assert_ok(vox_loader_next(loader, &b, &err));
        assert_int_equal(b->n, CASES);
        assert_int_equal(b->epoch, e);
    }
    vox_loader_free(&loader);
    vox_loader_free(&loader);
    vox_dataset_free(&set);
}

/* A batch stays as it is until the next is asked for, whatever is read ahead. */
static void test_batch_is_kept(void **state)
{
    (void)state;
    vox_dataset *set = make_set(true);
    vox_loader *loader;
    const vox_batch *b;
    vox_loader_options opt = {.batch = 2, .threads = 3, .ahead = 1, .shuffle = true};
    assert_ok(vox_loader_open(&loader, set, &opt, &err));
    for (int k = 0; k < 50; k++) {
        float copy[48];
        assert_ok(vox_loader_next(loader, &b, &err));
        for (size_t i = 0; i < b->n; i++)
            memcpy(copy + i * 24, b->sample[i], 24 * sizeof *copy);
        if (k % 10 == 0)
            usleep(2000); /* time enough to fill all buffers */
        for (size_t i = 0; i < b->n; i++)
            assert_memory_equal(copy + i * 24, b->sample[i], 24 * sizeof *copy);
        assert_true(b->sample[0][0] == (float)(100 * b->case_index[0]));
    }
    vox_loader_free(&loader);
    vox_dataset_free(&set);
}

/* The first `*user` samples of a batch, or as many as there are. */
static void first_few(void *user, size_t n, size_t *from, size_t *count)
{
    const size_t *few = user;
    *from = 0;
    *count = n < *few ? n : *few;
}

static void the_others(void *user, size_t n, size_t *from, size_t *count)
{
    const size_t *few = user;
    *from = n < *few ? n : *few;
    *count = n - *from;
}

/* Two who share the batches read together what one reads alone; one may get nothing of a batch. */
static void test_shares(void **state)
{
    (void)state;
    vox_dataset *set = make_set(true);
    size_t few = 4; /* of 5; the last batch of an epoch has 3 */
    for (size_t threads = 1; threads <= 3; threads += 2) {
        vox_loader_options opt = {.batch = 5, .threads = threads, .ahead = 2, .shuffle = true};
        vox_loader *all, *one, *other;
        assert_ok(vox_loader_open(&all, set, &opt, &err));
        opt.user = &few;
        opt.share = first_few;
        assert_ok(vox_loader_open(&one, set, &opt, &err));
        opt.share = the_others;
        assert_ok(vox_loader_open(&other, set, &opt, &err));
        for (int k = 0; k < 12; k++) {
            const vox_batch *a, *b, *c;
            assert_ok(vox_loader_next(all, &a, &err));
            assert_ok(vox_loader_next(one, &b, &err));
            assert_ok(vox_loader_next(other, &c, &err));
            assert_true(b->n == a->n && c->n == a->n && b->count + c->count == a->n);
            assert_int_equal(b->count, a->n < few ? a->n : few);
            assert_int_equal(c->from, b->count);
            assert_memory_equal(b->case_index, a->case_index, a->n * sizeof *a->case_index);
            for (size_t i = 0; i < a->n; i++)
                assert_memory_equal(i < b->count ? b->sample[i] : c->sample[i - c->from],
                                    a->sample[i], 24 * sizeof(float));
            assert_memory_equal(c->label, a->label + c->from, c->count * sizeof *a->label);
        }
        vox_loader_free(&all);
        vox_loader_free(&one);
        vox_loader_free(&other);
    }
    vox_dataset_free(&set);
}

/* [begin, begin + size) of a batch, or what there is of it. */
typedef struct range {
    atomic_size_t begin, size;
} range;

static void the_range(void *user, size_t n, size_t *from, size_t *count)
{
    const range *r = user;
    const size_t begin = r->begin, size = r->size;
    *from = begin < n ? begin : n;
    *count = n - *from < size ? n - *from : size;
}

/* Whether b is what `whole` has in that range. */
static void check_range(const vox_batch *b, const vox_batch *whole, range *r)
{
    size_t from, count;
    the_range(r, whole->n, &from, &count);
    assert_true(b->n == whole->n && b->from == from && b->count == count);
    for (size_t i = 0; i < count; i++)
        assert_memory_equal(b->sample[i], whole->sample[from + i], 24 * sizeof(float));
    assert_memory_equal(b->label, whole->label + from, count * sizeof *b->label);
}

/* The share changes while batches are read ahead, and of the batch in hand: it is always what one
 * who reads everything has there. */
static void test_shares_change(void **state)
{
    (void)state;
    vox_dataset *set = make_set(true);
    for (size_t threads = 1; threads <= 3; threads += 2) {
        vox_loader_options opt = {.batch = 5, .threads = threads, .ahead = 2, .shuffle = true};
        vox_loader *all, *some;
        range r = {0, 2};
        uint32_t draw = 1;
        assert_ok(vox_loader_open(&all, set, &opt, &err));
        opt.share = the_range;
        opt.user = &r;
        assert_ok(vox_loader_open(&some, set, &opt, &err));
        for (int k = 0; k < 300; k++) {
            const vox_batch *whole, *b;
            assert_ok(vox_loader_next(all, &whole, &err));
            assert_ok(vox_loader_next(some, &b, &err));
            check_range(b, whole, &r);
            for (int again = 0; again < k % 3; again++) {
                draw = draw * 1664525u + 1013904223u;
                r.begin = (draw >> 24) % 6;
                r.size = (draw >> 16) % 6;
                if (k % 5) {
                    assert_ok(vox_loader_again(some, &err));
                    check_range(b, whole, &r);
                }
                vox_loader_share_anew(some);
            }
        }
        vox_loader_free(&all);
        vox_loader_free(&some);
    }
    vox_dataset_free(&set);
}

/* A sample that cannot be read is the error of those who want it alone. */
static void test_shares_and_errors(void **state)
{
    (void)state;
    vox_dataset *set = make_set(false);
    vox_loader *loader;
    const vox_batch *b;
    range r = {0, 4};
    vox_loader_options opt = {.batch = 4, .threads = 2, .share = the_range, .user = &r};
    assert_int_equal(unlink(scratch_path("img/2.npy")), 0);
    assert_ok(vox_loader_open(&loader, set, &opt, &err));
    assert_error(vox_loader_next(loader, &b, &err), VOX_ERR_IO, "img/2.npy");
    r.size = 2;
    vox_loader_share_anew(loader);
    assert_ok(vox_loader_next(loader, &b, &err));
    assert_int_equal(b->count, 2);
    r.size = 3;
    assert_error(vox_loader_again(loader, &err), VOX_ERR_IO, "img/2.npy");
    r.size = 1;
    assert_ok(vox_loader_again(loader, &err));
    assert_ok(vox_loader_next(loader, &b, &err));
    assert_true(b->count == 1 && b->sample[0][0] == 400);
    vox_loader_free(&loader);
    vox_dataset_free(&set);
}

/* A file that goes away fails its own batch, not those before, and stays failed. */
static void test_error(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 3; threads += 2) {
        vox_dataset *set = make_set(false); /* nothing cached: every sample is read */
        vox_loader *loader;
        const vox_batch *b;
        vox_loader_options opt = {.batch = 4, .threads = threads, .ahead = 4};
        assert_int_equal(unlink(scratch_path("img/9.npy")), 0);
        assert_int_equal(unlink(scratch_path("img/10.npy")), 0);
        assert_ok(vox_loader_open(&loader, set, &opt, &err));
        assert_ok(vox_loader_next(loader, &b, &err));
        assert_ok(vox_loader_next(loader, &b, &err));
        for (int again = 0; again < 3; again++)
            assert_error(vox_loader_next(loader, &b, &err), VOX_ERR_IO, "img/9.npy");
        assert_int_equal(b->first, 4); /* the batch before is still whole */
        vox_loader_free(&loader);
        vox_dataset_free(&set);
    }
}

/* Freed after any number of batches, at once or when all buffers are full: never a hang. */
static void test_free_any_time(void **state)
{
    (void)state;
    vox_dataset *set = make_set(false);
    for (int round = 0; round < 60; round++) {
        vox_loader *loader;
        const vox_batch *b;
        vox_loader_options opt = {.batch = 1 + (size_t)round % 7,
                                  .threads = 1 + (size_t)round % 4,
                                  .ahead = 1 + (size_t)round % 3,
                                  .shuffle = true,
                                  .seed = (uint64_t)round};
        assert_ok(vox_loader_open(&loader, set, &opt, &err));
        for (int k = 0; k < round % 5; k++)
            assert_ok(vox_loader_next(loader, &b, &err));
        if (round % 3 == 0)
            usleep(1000);
        vox_loader_free(&loader);
    }
    vox_dataset_free(&set);
}

/* One case, read by several threads into several buffers. */
static void test_one_case(void **state)
{
    (void)state;
    vox_dataset *set;
    vox_loader *loader;
    const vox_batch *b;
    put_npy("img/0.npy", 1, 2, 3, 4, 5, -1);
    put_text("m.csv", "image,label\nimg/0.npy,1\n");
    assert_ok(open_set(&set, "{manifest: m.csv, classes: [a, b]}", NULL, shape, false, &err));
    assert_ok(vox_dataset_load(set, NULL, &err));
    vox_loader_options opt = {.batch = 4, .threads = 4, .ahead = 3, .shuffle = true};
    assert_ok(vox_loader_open(&loader, set, &opt, &err));
    for (uint64_t e = 0; e < 40; e++) {
        assert_ok(vox_loader_next(loader, &b, &err));
        assert_true(b->n == 1 && b->epoch == e && b->sample[0][0] == 5 && b->label[0] == 1);
    }
    vox_loader_free(&loader);
    vox_dataset_free(&set);
}

/* Large samples are where the set keeps them; those that it has no room for are copied. */
static void test_in_place(void **state)
{
    enum { D = 16, H = 64, W = 64, LARGE = D * H * W };
    static const vox_dataset_options opt = {.base_dir = scratch,
                                            .sample_shape = {1, D, H, W},
                                            .cache_bytes = 2 * LARGE * sizeof(float)};
    (void)state;
    vox_yaml *doc;
    vox_dataset *set;
    vox_loader *loader;
    const vox_batch *b;
    const vox_loader_options o = {.batch = 3, .threads = 2, .ahead = 1};
    size_t kept = 0;
    put_text("large.csv", "image,label\nimg/a.npy,0\nimg/b.npy,1\nimg/c.npy,2\n");
    put_npy("img/a.npy", 1, D, H, W, 100, -1);
    put_npy("img/b.npy", 1, D, H, W, 200, -1);
    put_npy("img/c.npy", 1, D, H, W, 300, -1);
    assert_ok(vox_yaml_parse(&doc, "manifest: large.csv", "exp.yaml", &err));
    assert_ok(vox_dataset_open(&set, vox_yaml_root(doc), NULL, &opt, &err));
    vox_yaml_free(&doc);
    assert_null(vox_dataset_kept(set, 0)); /* not loaded */
    assert_ok(vox_dataset_load(set, NULL, &err));
    assert_ok(vox_loader_open(&loader, set, &o, &err));
    for (int k = 0; k < 5; k++) {
        assert_ok(vox_loader_next(loader, &b, &err));
        for (size_t i = 0; i < 3; i++) {
            const float *at = vox_dataset_kept(set, i);
            kept += at != NULL;
            assert_true(at ? b->sample[i] == at : b->sample[i] != NULL);
            assert_int_equal(b->label[i], i);
            for (size_t v = 0; v < LARGE; v++)
                assert_true(b->sample[i][v] == (float)(100 * (i + 1) + v));
        }
    }
    assert_int_equal(kept, 5 * 2);
    vox_loader_free(&loader);
    vox_dataset_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),         cmocka_unit_test(test_resume),
        cmocka_unit_test(test_options),       cmocka_unit_test(test_batch_is_kept),
        cmocka_unit_test(test_shares),        cmocka_unit_test(test_shares_change),
        cmocka_unit_test(test_error),         cmocka_unit_test(test_shares_and_errors),
        cmocka_unit_test(test_free_any_time), cmocka_unit_test(test_one_case),
        cmocka_unit_test(test_in_place),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
