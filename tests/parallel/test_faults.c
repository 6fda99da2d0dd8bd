/* test_faults.c - faults on demand: how they are written, and when they strike. */
#include "test.h"

#include "base/thread.h"
#include "parallel/faults.h"

static void nothing_means_no_faults(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_faults f;
    assert_ok(vox_faults_parse(&f, NULL, 2, &err));
    assert_ok(vox_faults_at_start(&f, 0, 8, &err));
    assert_ok(vox_faults_at_step(&f, 1, 3, &err));
    assert_ok(vox_faults_parse(&f, "", 2, &err));
    assert_int_equal(f.count, 0);
    vox_faults_release(&f);
}

static void each_strikes_its_device_from_its_step(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_faults f;
    assert_ok(vox_faults_parse(&f, "0:3:lost,2:1:driver,1:2:memory", 3, &err));
    assert_ok(vox_faults_at_step(&f, 0, 2, &err));
    assert_error(vox_faults_at_step(&f, 0, 3, &err), VOX_ERR_DEVICE, "CL_DEVICE_NOT_AVAILABLE");
    assert_error(vox_faults_at_step(&f, 0, 4, &err), VOX_ERR_DEVICE, "lost");
    assert_error(vox_faults_at_step(&f, 2, 1, &err), VOX_ERR_DEVICE, "CL_OUT_OF_RESOURCES");
    assert_ok(vox_faults_at_step(&f, 1, 1, &err));
    assert_error(vox_faults_at_step(&f, 1, 2, &err), VOX_ERR_ROOM,
                 "CL_MEM_OBJECT_ALLOCATION_FAILURE");
    for (size_t i = 0; i < 3; i++)
        assert_ok(vox_faults_at_start(&f, i, 8, &err));
    vox_faults_release(&f);
}

static void memory_at_start_is_for_so_many_samples(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_faults f;
    assert_ok(vox_faults_parse(&f, "1:0:memory=2,0:0:memory", 2, &err));
    assert_error(vox_faults_at_start(&f, 1, 3, &err), VOX_ERR_ROOM, "memory");
    assert_ok(vox_faults_at_start(&f, 1, 2, &err));
    assert_error(vox_faults_at_start(&f, 0, 1, &err), VOX_ERR_ROOM, "memory");
    assert_ok(vox_faults_at_step(&f, 0, 1, &err)); /* it would not have got there */
    vox_faults_release(&f);
}

static void dawdling_takes_its_time(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_faults f;
    assert_ok(vox_faults_parse(&f, "0:2:slow=3", 1, &err));
    assert_ok(vox_faults_at_step(&f, 0, 2, &err));
    const double start = vox_now();
    vox_faults_dawdle(&f, 0, 2, 0.01);
    assert_true(vox_now() - start >= 0.02);
    vox_faults_dawdle(&f, 0, 1, 1e9); /* not yet */
    vox_faults_release(&f);
}

static void waiting_and_hanging_for_a_time_are_no_failures(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_faults f;
    assert_ok(vox_faults_parse(&f, "0:2:wait,1:3:hang=0.02", 2, &err));
    assert_false(vox_faults_waits(&f, 0, 1) || vox_faults_waits(&f, 1, 3));
    assert_true(vox_faults_waits(&f, 0, 2) && vox_faults_waits(&f, 0, 3));
    assert_ok(vox_faults_at_step(&f, 0, 2, &err));
    const double start = vox_now();
    assert_ok(vox_faults_at_step(&f, 1, 3, &err));
    assert_true(vox_now() - start >= 0.02);
    vox_faults_release(&f);
}

static void what_is_no_fault_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } wrong[] = {
        {"0", "three parts"},
        {"0:1", "three parts"},
        {"x:1:lost", "device"},
        {"-1:1:lost", "device"},
        {"2:1:lost", "the job has 2 devices"},
        {"0:-1:lost", "step"},
        {"0:one:lost", "step"},
        {"0:1:burnt", "kind"},
        {"0:1:", "kind"},
        {"0:1:slow", "needs a value"},
        {"0:1:wait=2", "takes no value"},
        {"0:1:hang=-1", "number"},
        {"0:0:hang", "before step 1"},
        {"0:1:slow=0.5", "number"},
        {"0:1:slow=nan", "number"},
        {"0:1:pace", "needs a value"},
        {"0:1:pace=0", "above 0"},
        {"0:1:lost=1", "takes no value"},
        {"0:1:memory=2", "step 0"},
        {"0:1:lost,", "three parts"},
        {"0:1:lost,1:1:hung", "1:1:hung"},
    };
    vox_error err;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        vox_faults f;
        assert_error(vox_faults_parse(&f, wrong[i].text, 2, &err), VOX_ERR_USAGE, wrong[i].word);
        assert_null(f.fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_means_no_faults),
        cmocka_unit_test(each_strikes_its_device_from_its_step),
        cmocka_unit_test(memory_at_start_is_for_so_many_samples),
        cmocka_unit_test(dawdling_takes_its_time),
        cmocka_unit_test(waiting_and_hanging_for_a_time_are_no_failures),
        cmocka_unit_test(what_is_no_fault_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
