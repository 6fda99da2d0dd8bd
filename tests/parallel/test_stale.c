/* test_stale.c - the bound on the age of gradients: it holds in every order of events, nobody waits
 * for ever, and it holds up no more than it must. */
#include "test.h"

#include "base/philox.h"
#include "parallel/stale.h"

#define MOST 6

/* Devices that are done in any order, each held up until it may go on: random events. */
static void the_bound_holds_in_any_order(void **state)
{
    (void)state;
    vox_error err = {0};
    for (size_t devices = 1; devices <= MOST; devices++) {
        for (int64_t bound = 0; bound <= 8; bound++) {
            vox_stale s;
            vox_random r;
            bool done[MOST] = {false}; /* its gradients are there */
            vox_random_init(&r, 3, VOX_RANDOM_SYNTH, 0, (uint32_t)devices, (uint64_t)bound);
            assert_ok(vox_stale_init(&s, devices, bound, &err));
            for (int event = 0; event < 2000; event++) {
                const size_t i = vox_random_below(&r, (uint32_t)devices);
                if (s.fetched[i] < 0 && vox_stale_may_fetch(&s))
                    vox_stale_fetch(&s, i);
                else if (s.fetched[i] >= 0 && !done[i])
                    done[i] = true;
                else if (s.fetched[i] >= 0 && vox_stale_may_apply(&s, i)) {
                    const int64_t late = vox_stale_apply(&s, i);
                    assert_true(late >= 0 && late <= bound);
                    done[i] = false;
                }
                /* The one with the oldest weights may always go on. */
                size_t oldest = devices;
                for (size_t k = 0; k < devices; k++)
                    if (s.fetched[k] >= 0 &&
                        (oldest == devices || s.fetched[k] < s.fetched[oldest]))
                        oldest = k;
                assert_true(oldest == devices ? vox_stale_may_fetch(&s)
                                              : vox_stale_may_apply(&s, oldest));
            }
            assert_true(s.updates > 100);
            vox_stale_release(&s);
        }
    }
}

/* One of two devices is never done: the other makes as many updates as the bound allows, exactly.
 */
static void a_slow_device_holds_up_at_the_bound(void **state)
{
    (void)state;
    vox_error err = {0};
    for (int64_t bound = 1; bound <= 40; bound += 13) {
        vox_stale s;
        assert_ok(vox_stale_init(&s, 2, bound, &err));
        vox_stale_fetch(&s, 1);
        for (int64_t k = 0; k < bound; k++) {
            assert_true(vox_stale_may_fetch(&s));
            vox_stale_fetch(&s, 0);
            assert_true(vox_stale_may_apply(&s, 0));
            assert_int_equal(vox_stale_apply(&s, 0), 0);
        }
        vox_stale_fetch(&s, 0);
        assert_false(vox_stale_may_apply(&s, 0));
        assert_int_equal(vox_stale_apply(&s, 1), bound);
        assert_true(vox_stale_may_apply(&s, 0)); /* nobody is behind any more */
        vox_stale_release(&s);
    }
}

/* Of three with the same weights and a bound of two all may go on, in any order; a bound of one
 * lets no third to work, one of nought no second. */
static void as_many_work_as_can_be_applied(void **state)
{
    (void)state;
    vox_error err = {0};
    for (int64_t bound = 0; bound <= 2; bound++) {
        vox_stale s;
        assert_ok(vox_stale_init(&s, 3, bound, &err));
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(vox_stale_may_fetch(&s), (int64_t)i <= bound);
            if ((int64_t)i <= bound)
                vox_stale_fetch(&s, i);
        }
        for (int64_t k = bound; k >= 0; k--) {
            assert_true(vox_stale_may_apply(&s, (size_t)k));
            assert_int_equal(vox_stale_apply(&s, (size_t)k), bound - k);
        }
        vox_stale_fetch(&s, 0);
        vox_stale_drop(&s, 0); /* makes no update */
        assert_int_equal(s.updates, bound + 1);
        assert_true(vox_stale_may_fetch(&s));
        vox_stale_release(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bound_holds_in_any_order),
        cmocka_unit_test(a_slow_device_holds_up_at_the_bound),
        cmocka_unit_test(as_many_work_as_can_be_applied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
