/* test_parts.c - what --devices says, and devices split into sub-devices. */
#include "test.h"

#include "base/host.h"
#include "base/thread.h"
#include "ocl/internal.h"

#include <dirent.h>
#include <unistd.h>

/* ---- the selector, on devices that are not there ------------------------- */

static vox_device_desc made_up[] = {
    {.index = 0,
     .name = "Big CPU",
     .type = VOX_DEVICE_CPU,
     .usable = true,
     .compute_units = 8,
     .max_parts = 8},
    {.index = 1,
     .name = "Card A/B",
     .type = VOX_DEVICE_GPU,
     .usable = true,
     .compute_units = 60,
     .max_parts = 1},
    {.index = 2, .name = "Broken", .reason = "it is broken", .max_parts = 1},
    {.index = 3,
     .name = "Small CPU",
     .type = VOX_DEVICE_CPU,
     .usable = true,
     .compute_units = 4,
     .max_parts = 2},
};

static const vox_device_list some = {.device = made_up, .count = 4, .platforms = 2};

/* "0/2 1" for what the selector chooses. */
static vox_status choose(const char *selector, char *text, vox_error *err)
{
    vox_chosen chosen[4];
    size_t count;
    vox_status s = vox_selector_read(chosen, &count, selector, &some, err);
    *text = '\0';
    for (size_t i = 0; s == VOX_OK && i < count; i++) {
        const vox_chosen *c = &chosen[i];
        text +=
            sprintf(text, c->parts > 1 ? "%s%zu/%u" : "%s%zu", i ? " " : "", c->device, c->parts);
        if (c->count < c->parts)
            text += sprintf(text, ".%u+%u", c->first, c->count);
    }
    return s;
}

static void selectors_say_which_and_how_many(void **state)
{
    (void)state;
    static const char *const row[][2] = {
        {"all", "0 1 3"},
        {"cpu", "0 3"},
        {"gpu", "1"},
        {"0", "0"},
        {"3,0", "0 3"},
        {" 0 , 1 ", "0 1"},
        {"0/2", "0/2"},
        {"0/1", "0"},
        {"1,0/8", "0/8 1"},
        {"0 / 2, 3/2", "0/2 3/2"},
        {"cpu/2", "0/2 3/2"},
        {"all/2", "0/2 1 3/2"},
        {"all/1", "0 1 3"},
        {"card a/b", "1"},
        {"card a/b/1", "1"},
        {"big/4", "0/4"},
        {"CPU/2", "0/2 3/2"},
        {"0/4.2", "0/4.2+1"},
        {"0/8.2-4,3/2.1", "0/8.2+3 3/2.1+1"},
        {"big/8.1-7", "0/8.1+7"},
        {"all/2.2", "0/2.2+1 1 3/2.2+1"},
        {"0/2.1-2", "0/2"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        vox_error err = {0};
        char text[64];
        assert_ok(choose(row[i][0], text, &err));
        assert_string_equal(text, row[i][1]);
    }
}

static void selectors_that_make_no_sense(void **state)
{
    (void)state;
    static const struct {
        const char *selector;
        vox_status status;
        const char *word;
    } row[] = {
        {"", VOX_ERR_USAGE, "cannot read"},
        {",", VOX_ERR_USAGE, "cannot read"},
        {"0,", VOX_ERR_USAGE, "cannot read"},
        {"0 1", VOX_ERR_USAGE, "cannot read"},
        {"0/", VOX_ERR_USAGE, "cannot read"},
        {"/2", VOX_ERR_USAGE, "cannot read"},
        {"0/2/2", VOX_ERR_USAGE, "cannot read"},
        {"99999999999999999999", VOX_ERR_USAGE, "cannot read"},
        {"4", VOX_ERR_USAGE, "no device 4"},
        {"2", VOX_ERR_DEVICE, "it is broken"},
        {"0,0", VOX_ERR_USAGE, "named twice"},
        {"0/2,1,0", VOX_ERR_USAGE, "named twice"},
        {"0/0", VOX_ERR_USAGE, "into 0 parts"},
        {"0/9", VOX_ERR_USAGE, "8 compute units"},
        {"1/2", VOX_ERR_USAGE, "cannot split"},
        {"gpu/2", VOX_ERR_USAGE, "device 1 cannot be split into 2"},
        {"cpu/3", VOX_ERR_USAGE, "at most 2 parts"},
        {"cpu/0", VOX_ERR_USAGE, "into 0 parts"},
        {"big/99999999999999999999", VOX_ERR_USAGE, "cannot read"},
        {"big/999999999", VOX_ERR_USAGE, "cannot be split"},
        {"0/4.5", VOX_ERR_USAGE, "no parts 5 to 5"},
        {"0/4.0", VOX_ERR_USAGE, "no parts 0 to 0"},
        {"0/4.3-2", VOX_ERR_USAGE, "no parts 3 to 2"},
        {"0/4.", VOX_ERR_USAGE, "cannot read"},
        {"cpu/2.1-", VOX_ERR_USAGE, "cannot read"},
        {"0.1", VOX_ERR_USAGE, "cannot read"},
        {"broken", VOX_ERR_DEVICE, "matches none"},
        {"radeon/2", VOX_ERR_DEVICE, "matches none"},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        vox_error err;
        char text[64];
        assert_error(choose(row[i].selector, text, &err), row[i].status, row[i].word);
    }
}

/* ---- real devices -------------------------------------------------------- */

/* Calls fn for every device that can be split. */
static void on_every_divisible(void (*fn)(const vox_device_desc *whole))
{
    vox_error err = {0};
    vox_device_list *list;
    bool any = false;
    assert_ok(vox_device_list_open(&list, &err));
    for (size_t i = 0; i < list->count; i++) {
        if (!list->device[i].usable || list->device[i].max_parts < 2)
            continue;
        any = true;
        fn(&list->device[i]);
    }
    vox_device_list_free(&list);
    if (!any)
        skip();
}

/* Fills and reads 1 MiB: returns whether every word is what it should be. */
static bool fills(vox_device *dev, uint32_t word)
{
    enum { WORDS = 1 << 18 };
    vox_error err = {0};
    vox_buffer *b;
    uint32_t *got = malloc(WORDS * sizeof *got);
    assert_ok(vox_buffer_open(&b, dev, WORDS * sizeof *got, VOX_BUFFER_DEVICE, "b", &err));
    assert_ok(vox_buffer_fill(b, 0, WORDS * sizeof *got, word, &err));
    assert_ok(vox_buffer_read(b, 0, got, WORDS * sizeof *got, true, &err));
    bool same = true;
    for (int i = 0; i < WORDS; i++)
        same = same && got[i] == word;
    vox_buffer_free(&b);
    free(got);
    return same;
}

static void halves(const vox_device_desc *whole)
{
    vox_error err = {0};
    vox_device *half[2];
    assert_ok(vox_device_open_parts(half, whole->index, 2, 1, 2, &err));
    for (uint32_t i = 0; i < 2; i++) {
        const vox_device_desc *d = vox_device_get(half[i]);
        char title[32];
        snprintf(title, sizeof title, "%d/2.%u ", whole->index, i + 1);
        assert_int_equal(strncmp(vox_device_title(half[i]), title, strlen(title)), 0);
        assert_int_equal(d->index, whole->index);
        assert_int_equal(d->parts, 2);
        assert_int_equal(d->part, i + 1);
        assert_int_equal(d->compute_units, whole->compute_units / 2);
        assert_true(d->global_mem_bytes == whole->global_mem_bytes / 2);
        assert_true(d->max_alloc_bytes <= d->global_mem_bytes);
        assert_true(fills(half[i], 7 + i));
    }
    vox_device_free(&half[1]); /* one goes on without the other */
    assert_true(fills(half[0], 9));
    vox_device_free(&half[0]);
    assert_ok(vox_device_open_parts(half, whole->index, 1, 1, 1, &err));
    assert_int_equal(vox_device_get(half[0])->parts, 0);
    assert_true(fills(half[0], 10));
    vox_device_free(&half[0]);
    assert_error(vox_device_open_parts(half, whole->index, 0, 1, 2, &err), VOX_ERR_USAGE,
                 "0 parts");
}

static void a_device_in_halves(void **state)
{
    (void)state;
    on_every_divisible(halves);
}

static void contexts_hold_parts(const vox_device_desc *whole)
{
    vox_error err = {0};
    vox_ctx *ctx;
    char selector[32];
    snprintf(selector, sizeof selector, "%d/%u", whole->index, whole->max_parts);
    for (int round = 0; round < 2; round++) { /* what was released can be had again */
        assert_ok(vox_ctx_open(&ctx, selector, &err));
        assert_int_equal(vox_ctx_device_count(ctx), whole->max_parts);
        for (size_t i = 0; i < vox_ctx_device_count(ctx); i++)
            assert_int_equal(vox_ctx_device(ctx, i)->part, i + 1);
        vox_ctx_free(&ctx);
    }
    snprintf(selector, sizeof selector, "%d/%u.2", whole->index, whole->max_parts);
    assert_ok(vox_ctx_open(&ctx, selector, &err));
    assert_int_equal(vox_ctx_device_count(ctx), 1);
    assert_int_equal(vox_ctx_device(ctx, 0)->part, 2);
    vox_ctx_free(&ctx);
    snprintf(selector, sizeof selector, "%d/%u", whole->index, whole->max_parts + 1);
    assert_error(vox_ctx_open(&ctx, selector, &err), VOX_ERR_USAGE, "cannot be split");
    assert_null(ctx);
}

static void a_context_of_parts(void **state)
{
    (void)state;
    on_every_divisible(contexts_hold_parts);
}

/* ---- the cores ----------------------------------------------------------- */

enum { THREADS = 512 };

typedef struct cpu_times {
    long id[THREADS], ticks[THREADS];
    int count;
} cpu_times;

/* What processor time each thread of this process has had (proc(5): fields 14 and 15). */
static void read_times(cpu_times *t)
{
    DIR *dir = opendir("/proc/self/task");
    t->count = 0;
    for (struct dirent *e; dir && (e = readdir(dir)) && t->count < THREADS;) {
        char path[300], text[1024] = "";
        long user = 0, system = 0;
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!f)
            continue;
        const char *name_end = fgets(text, sizeof text, f) ? strrchr(text, ')') : NULL;
        if (name_end && sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %ld %ld",
                               &user, &system) == 2) {
            t->id[t->count] = atol(e->d_name);
            t->ticks[t->count++] = user + system;
        }
        fclose(f);
    }
    if (dir)
        closedir(dir);
}

/* Adds to busy the threads that worked while dev did for a tenth of a second; returns how many. */
static int busy_threads(vox_device *dev, long *busy, int most)
{
    static cpu_times before, after;
    vox_error err = {0};
    vox_kernel *k;
    vox_buffer *b;
    assert_ok(vox_kernel_open(&k, dev, "peak.cl", "peak", "-DWIDTH=4", &err));
    assert_ok(vox_buffer_open(&b, dev, 1 << 20, VOX_BUFFER_DEVICE, "b", &err));
    const vox_arg args[] = {vox_arg_buffer(b), vox_arg_i32(20000), vox_arg_f32(0.5f),
                            vox_arg_f32(1.0f)};
    const vox_grid grid = {{256, 1, 1}, {1, 1, 1}};
    assert_ok(vox_kernel_launch(k, &grid, args, 4, &err)); /* compiles */
    assert_ok(vox_device_finish(dev, &err));
    read_times(&before);
    const double start = vox_now();
    while (vox_now() - start < 0.15) {
        assert_ok(vox_kernel_launch(k, &grid, args, 4, &err));
        assert_ok(vox_device_finish(dev, &err));
    }
    read_times(&after);
    int found = 0;
    for (int i = 0; i < after.count; i++) {
        long had = 0;
        for (int j = 0; j < before.count; j++)
            if (before.id[j] == after.id[i])
                had = before.ticks[j];
        if (after.ticks[i] - had >= 3 && found < most) /* 30 ms */
            busy[found++] = after.id[i];
    }
    vox_buffer_free(&b);
    vox_kernel_free(&k);
    return found;
}

/* PoCL has a thread for each core: those of one half may not do the other's work.  (Intel's runtime
 * gives a half as many threads as it has cores, but any of its pool.) */
static void own_threads(const vox_device_desc *whole)
{
    vox_error err = {0};
    vox_device *half[2];
    long busy[2][8];
    int count[2];
    if (!strstr(whole->platform, "Portable Computing Language"))
        return;
    assert_ok(vox_device_open_parts(half, whole->index, 2, 1, 2, &err));
    for (int i = 0; i < 2; i++)
        count[i] = busy_threads(half[i], busy[i], 8);
    for (int i = 0; i < count[0]; i++)
        for (int j = 0; j < count[1]; j++)
            assert_int_not_equal(busy[0][i], busy[1][j]);
    for (int i = 0; i < 2; i++) {
        assert_true(count[i] <= (int)vox_device_get(half[i])->compute_units);
        vox_device_free(&half[i]);
    }
}

static void parts_keep_to_their_cores(void **state)
{
    (void)state;
    on_every_divisible(own_threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selectors_say_which_and_how_many),
        cmocka_unit_test(selectors_that_make_no_sense),
        cmocka_unit_test(a_device_in_halves),
        cmocka_unit_test(a_context_of_parts),
        cmocka_unit_test(parts_keep_to_their_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
