/* test_shared_update.c - several that do an update in memory that they have in common: the bits of
 * one.  Threads stand for the processes. */
#include "test.h"

#include <math.h>
#include <pthread.h>

#include "base/philox.h"
#include "train/ema.h"
#include "train/optimizer.h"

enum { SECOND_AT = 512, SECOND = 100003, FLOATS = SECOND_AT + (SECOND + 255) / 256 * 256 };
enum { MOST = 3, STEPS = 3, VECTORS = 6 }; /* weights, average, up to four parts of state */

static vox_graph_param params[2] = {
    {.desc = {.trainable = true, .shape = {.rank = 1}}, .offset = 0, .count = 5},
    {.desc = {.trainable = true, .shape = {.rank = 2}}, .offset = SECOND_AT, .count = SECOND}};
static const vox_graph graph = {.param = params, .params = 2, .flat_floats = FLOATS};
static const vox_ema_spec ema_spec = {true, 0.75, false};

static const struct {
    vox_optimizer_spec spec;
    double clip;
} cases[] = {
    {{.kind = VOX_OPTIMIZER_SGD, .momentum = 0.9, .nesterov = true}, 20},
    {{.kind = VOX_OPTIMIZER_ADAM, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .amsgrad = true}, 0},
    {{.kind = VOX_OPTIMIZER_LARS, .momentum = 0.9, .trust = 0.3, .weight_decay = 0.01}, 20},
    {{.kind = VOX_OPTIMIZER_LAMB, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.1},
     20}};

typedef struct crew {
    size_t of, which;
    pthread_barrier_t barrier;
    float param[FLOATS], grad[FLOATS];
    vox_room room; /* at NULL: each has its own; then of is 1 */
    float *result[VECTORS];
    size_t results;
} crew;

typedef struct worker {
    crew *crew;
    size_t index;
    pthread_t thread;
    vox_status status;
    vox_error err;
} worker;

static vox_status meet(void *user, vox_error *err)
{
    (void)err;
    pthread_barrier_wait(user);
    return VOX_OK;
}

/* Only the first one writes what is not the update's, between meetings. */
static void fill(const worker *w, float *to, uint32_t step)
{
    vox_random random;
    pthread_barrier_wait(&w->crew->barrier);
    vox_random_init(&random, 7, VOX_RANDOM_SYNTH, step, 0, 0);
    for (size_t i = 0; w->index == 0 && i < FLOATS; i++)
        to[i] = (float)vox_random_range(&random, -1, 1);
    pthread_barrier_wait(&w->crew->barrier);
}

static vox_status steps(worker *w, vox_optimizer *o, vox_ema *ema)
{
    crew *c = w->crew;
    vox_status s = VOX_OK;
    for (int64_t step = 0; s == VOX_OK && step < STEPS; step++) {
        fill(w, c->grad, (uint32_t)step + 1);
        s = vox_optimizer_step_host(o, c->param, c->grad, NULL, 0.05, step, NULL, &w->err);
        if (s == VOX_OK)
            s = vox_ema_step_host(ema, c->param, step, NULL, &w->err);
    }
    pthread_barrier_wait(&c->barrier);
    return s;
}

static void *work(void *arg)
{
    worker *w = arg;
    crew *c = w->crew;
    const vox_portion portion = {w->index, c->of, meet, &c->barrier};
    vox_optimizer *o = NULL;
    vox_ema *ema = NULL;
    vox_room room = c->room;
    fill(w, c->param, 0);
    vox_status s =
        vox_optimizer_open(&o, NULL, &graph, &cases[c->which].spec, cases[c->which].clip, &w->err);
    if (s == VOX_OK)
        s = vox_ema_open(&ema, NULL, FLOATS, &ema_spec, &w->err);
    if (s == VOX_OK && room.at)
        s = vox_optimizer_share(o, &room, &portion, &w->err);
    if (s == VOX_OK && room.at)
        s = vox_ema_share(ema, &room, &portion, &w->err);
    w->status = s == VOX_OK ? steps(w, o, ema) : s;
    if (w->status == VOX_OK && w->index == 0) { /* the whole state, whoever computed it */
        memcpy(c->result[0], c->param, sizeof c->param);
        vox_ema_get(ema, c->result[1], NULL);
        for (size_t i = 0; i < vox_optimizer_parts(o); i++)
            vox_optimizer_get_part(o, i, c->result[2 + i], NULL);
        c->results = 2 + vox_optimizer_parts(o);
    }
    vox_optimizer_free(&o);
    vox_ema_free(&ema);
    return NULL;
}

static crew *run(size_t which, size_t of, bool shared)
{
    worker w[MOST] = {{0}};
    crew *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->of = of;
    c->which = which;
    for (size_t i = 0; i < VECTORS; i++)
        assert_non_null(c->result[i] = calloc(FLOATS, sizeof(float)));
    const size_t bytes =
        vox_optimizer_room(&cases[which].spec, FLOATS) + vox_room_of(FLOATS * sizeof(float));
    char *room = shared ? calloc(1, bytes) : NULL;
    c->room = (vox_room){room, shared ? bytes : 0};
    assert_int_equal(pthread_barrier_init(&c->barrier, NULL, (unsigned)of), 0);
    for (size_t i = 0; i < of; i++) {
        w[i] = (worker){.crew = c, .index = i};
        assert_int_equal(pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
    }
    for (size_t i = 0; i < of; i++)
        pthread_join(w[i].thread, NULL);
    for (size_t i = 0; i < of; i++) {
        const vox_error err = w[i].err;
        assert_ok(w[i].status);
    }
    pthread_barrier_destroy(&c->barrier);
    free(room);
    return c;
}

static void end(crew *c)
{
    for (size_t i = 0; i < VECTORS; i++)
        free(c->result[i]);
    free(c);
}

static void several_make_the_bits_of_one(void **state)
{
    (void)state;
    for (size_t which = 0; which < sizeof cases / sizeof *cases; which++) {
        crew *one = run(which, 1, false);
        for (size_t of = 1; of <= MOST; of++) {
            crew *several = run(which, of, true);
            assert_int_equal(several->results, one->results);
            for (size_t i = 0; i < one->results; i++)
                assert_memory_equal(several->result[i], one->result[i], FLOATS * sizeof(float));
            end(several);
        }
        end(one);
    }
}

static void a_room_that_is_too_small(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_optimizer *o;
    vox_ema *ema;
    char place[1000];
    vox_room room = {place, sizeof place};
    assert_ok(vox_optimizer_open(&o, NULL, &graph, &cases[0].spec, 0, &err));
    assert_ok(vox_ema_open(&ema, NULL, FLOATS, &ema_spec, &err));
    assert_error(vox_optimizer_share(o, &room, NULL, &err), VOX_ERR_MEMORY, "state");
    assert_error(vox_ema_share(ema, &room, NULL, &err), VOX_ERR_MEMORY, "averaged");
    vox_optimizer_free(&o);
    vox_ema_free(&ema);
}

static void portions_are_the_whole(void **state)
{
    (void)state;
    size_t from;
    assert_int_equal(vox_portion_items(NULL, 7, &from), 7);
    assert_int_equal(from, 0);
    for (size_t of = 1; of < 6; of++)
        for (size_t count = 0; count < 20; count++) {
            size_t at = 0;
            for (size_t i = 0; i < of; i++) {
                const vox_portion p = {.index = i, .of = of};
                const size_t end_of = vox_portion_items(&p, count, &from);
                assert_int_equal(from, at);
                at = end_of;
            }
            assert_int_equal(at, count);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_make_the_bits_of_one),
        cmocka_unit_test(a_room_that_is_too_small),
        cmocka_unit_test(portions_are_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
