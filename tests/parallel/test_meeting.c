/* test_meeting.c - threads that exchange numbers: what they get, whoever comes first; and that a
 * failure frees the others. */
#include "test.h"

#include "parallel/meeting.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define MEMBERS 4
#define ROUNDS  200

static vox_meeting *meeting;
static const vox_node node[2] = {{.name = "a"}, {.name = "b"}};
static int at_work, most_at_work; /* between enter, exchanges and leave */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void work(int change)
{
    pthread_mutex_lock(&lock);
    at_work += change;
    most_at_work = at_work > most_at_work ? at_work : most_at_work;
    pthread_mutex_unlock(&lock);
}

/* The number of samples in front, then each as a digit, so that the order shows. */
static void join(const vox_node *what, const float *const *from, const int64_t *n, size_t replicas,
                 size_t floats, float *to)
{
    assert_true(what == &node[0] || what == &node[1]);
    for (size_t k = 0; k < floats; k++) {
        to[k] = 0;
        for (size_t i = 0; i < replicas; i++)
            to[k] = 10 * to[k] + from[i][k] * (float)n[i];
    }
}

typedef struct job {
    size_t member;
    int fail_at; /* the round in which it fails; -1: never */
    int rounds;  /* that went well */
    vox_status status;
} job;

static void *member_main(void *arg)
{
    job *j = arg;
    vox_error err = {0};
    vox_status s = vox_meeting_enter(meeting, j->member, &err);
    for (int round = 0; s == VOX_OK && round < ROUNDS; round++) {
        float values[2] = {(float)(j->member + 1), (float)(round % 2)};
        work(1);
        if (round % 16 == 0) /* in another order each time */
            nanosleep(&(struct timespec){0, (long)((j->member * 7 + (size_t)round) % 5) * 10000},
                      NULL);
        work(-1);
        if (round == j->fail_at)
            s = vox_fail(&err, VOX_ERR_DEVICE, "out of order");
        else
            s = vox_meeting_exchange(meeting, j->member, &node[round % 2], VOX_FORWARD, join,
                                     values, 2, &err);
        /* member 1 does not come; 0, 2 and 3 bring 1, 3 and 4 of 1, 2 and 1 samples */
        if (s == VOX_OK && (values[0] != 164 || values[1] != (float)(round % 2 * 121)))
            s = vox_fail(&err, VOX_ERR_INPUT, "a wrong result");
        j->rounds += s == VOX_OK;
    }
    vox_meeting_leave(meeting, j->member, s, &err);
    j->status = s;
    return NULL;
}

static void run(job jobs[MEMBERS], bool one_by_one)
{
    static const int64_t n[MEMBERS] = {1, 0, 2, 1};
    pthread_t thread[MEMBERS];
    vox_meeting_call(meeting, n, one_by_one);
    most_at_work = 0;
    for (size_t i = 0; i < MEMBERS; i++) {
        jobs[i].member = i;
        if (n[i])
            assert_int_equal(pthread_create(&thread[i], NULL, member_main, &jobs[i]), 0);
    }
    for (size_t i = 0; i < MEMBERS; i++)
        if (n[i])
            pthread_join(thread[i], NULL);
}

static void all_get_the_same(void **state)
{
    (void)state;
    vox_error err = {0};
    for (int one_by_one = 0; one_by_one < 2; one_by_one++) {
        job jobs[MEMBERS] = {{.fail_at = -1}, {0}, {.fail_at = -1}, {.fail_at = -1}};
        run(jobs, one_by_one);
        assert_ok(vox_meeting_outcome(meeting, &err));
        for (size_t i = 0; i < MEMBERS; i++)
            assert_int_equal(jobs[i].rounds, i == 1 ? 0 : ROUNDS);
        if (one_by_one)
            assert_int_equal(most_at_work, 1);
    }
}

static void a_failure_frees_the_others(void **state)
{
    (void)state;
    vox_error err = {0};
    for (int one_by_one = 0; one_by_one < 2; one_by_one++)
        for (size_t bad = 0; bad < MEMBERS; bad += 2) {
            job jobs[MEMBERS] = {{.fail_at = -1}, {0}, {.fail_at = -1}, {.fail_at = -1}};
            jobs[bad].fail_at = bad ? 5 : 0;
            run(jobs, one_by_one);
            assert_error(vox_meeting_outcome(meeting, &err), VOX_ERR_DEVICE, "out of order");
            for (size_t i = 0; i < MEMBERS; i++)
                if (i != 1 && i != bad)
                    assert_int_equal(jobs[i].status, VOX_ERR_INTERRUPTED);
        }
    job jobs[MEMBERS] = {{.fail_at = -1}, {0}, {.fail_at = -1}, {.fail_at = -1}};
    run(jobs, true); /* and the next batch goes well */
    assert_ok(vox_meeting_outcome(meeting, &err));
}

int main(void)
{
    vox_error err = {0};
    if (vox_meeting_open(&meeting, MEMBERS, &err) != VOX_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_get_the_same),
        cmocka_unit_test(a_failure_frees_the_others),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    vox_meeting_free(&meeting);
    return failed;
}
