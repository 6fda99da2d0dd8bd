/* test_finddb.c - what is remembered comes back, whoever else writes, and whatever is in the file.
 */
#include "test.h"

#include "base/file.h"
#include "tune/finddb.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

static vox_error err;
static char dir[] = "/tmp/voxcl-finddb-XXXXXX", path[128], bad[128];
static int warnings, infos;

static void count_log(void *user, vox_log_level level, const char *line)
{
    (void)user;
    (void)line;
    warnings += level == VOX_LOG_WARN;
    infos += level == VOX_LOG_INFO;
}

static int begin(void **state)
{
    (void)state;
    unlink(path);
    unlink(bad);
    warnings = infos = 0;
    return 0;
}

static const vox_algo fast = {.name = "fast", .pass = VOX_FORWARD};
static const vox_algo naive = {.name = "naive", .pass = VOX_FORWARD, .out = VOX_LAYOUT_BLOCK16};

static vox_finding finding(const vox_algo *a, double seconds)
{
    vox_finding f = {.pass = a->pass, .in = a->in, .out = a->out, .seconds = seconds};
    snprintf(f.algo, sizeof f.algo, "%s", a->name);
    return f;
}

static void add(vox_finddb *db, const char *key, const vox_algo *a, double seconds)
{
    const vox_finding f = finding(a, seconds);
    assert_ok(vox_finddb_add(db, key, &f, 1, &err));
}

static vox_finddb *open_db(void)
{
    vox_finddb *db = NULL;
    assert_ok(vox_finddb_open(&db, path, &err));
    return db;
}

static double seconds_of(const vox_finddb *db, const char *key, const vox_algo *a)
{
    const vox_finding *f = vox_finddb_find(db, key, a, NULL);
    return f ? f->seconds : -1;
}

static void put_file(const char *text, size_t size)
{
    assert_ok(vox_file_write(path, text, size, &err));
}

static void it_comes_back(void **state)
{
    (void)state;
    vox_finddb *db = open_db();
    assert_int_equal(vox_finddb_count(db), 0);
    const vox_finding both[] = {finding(&fast, 0.25), finding(&naive, 1234.5)};
    assert_ok(vox_finddb_add(db, "key one | x", both, 2, &err));
    add(db, "key two", &fast, 3e-9);
    vox_finding wrong = finding(&naive, 1);
    wrong.pass = VOX_BACKWARD_DATA;
    wrong.verdict = VOX_VERDICT_WRONG;
    wrong.workspace = (uint64_t)5 << 40;
    assert_ok(vox_finddb_add(db, "key two", &wrong, 1, &err));
    vox_finddb_free(&db);
    assert_null(db);
    db = open_db();
    assert_int_equal(vox_finddb_count(db), 4);
    assert_true(seconds_of(db, "key one | x", &fast) == 0.25);
    assert_true(seconds_of(db, "key one | x", &naive) == 1234.5);
    assert_true(fabs(seconds_of(db, "key two", &fast) - 3e-9) < 1e-12);
    assert_null(vox_finddb_find(db, "key two", &naive, NULL)); /* another pass */
    vox_algo other = naive;
    other.pass = VOX_BACKWARD_DATA;
    const vox_finding *f = vox_finddb_find(db, "key two", &other, NULL);
    assert_non_null(f);
    assert_int_equal(f->verdict, VOX_VERDICT_WRONG);
    assert_true(f->workspace == (uint64_t)5 << 40);
    assert_true(vox_finddb_knows(db, "key two", VOX_BACKWARD_DATA));
    assert_false(vox_finddb_timed(db, "key two", VOX_BACKWARD_DATA));
    assert_true(vox_finddb_timed(db, "key two", VOX_FORWARD));
    assert_false(vox_finddb_knows(db, "key", VOX_FORWARD));
    other = fast;
    other.in = VOX_LAYOUT_BLOCK16;
    assert_null(vox_finddb_find(db, "key two", &other, NULL)); /* other layouts */
    vox_finddb_free(&db);
    assert_int_equal(warnings, 0);
}

static void the_last_word_counts(void **state)
{
    (void)state;
    vox_finddb *db = open_db();
    add(db, "k", &fast, 1);
    add(db, "k", &fast, 2);
    assert_int_equal(vox_finddb_count(db), 1);
    vox_finddb_free(&db);
    db = open_db();
    assert_true(seconds_of(db, "k", &fast) == 2);
    vox_finddb_free(&db);
}

static void what_is_foreign_is_set_aside_once(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {{"hello, this is my shopping list\n", 32},
                 {"voxcl find-db 2\n0\n", 18},
                 {"voxcl find-db 1\nrubbish\n", 24},
                 {"voxcl find-db 1\n\n", 17},
                 {"voxcl find-db 1\n0000000000000000\t0\t0\t0\t0\t1\t0\tfast\tk\n", 53},
                 {"\0\0\0\0", 4},
                 {"voxcl find-db 1\n\0\n", 18}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(NULL);
        put_file(cases[i].text, cases[i].size);
        vox_finddb *db = open_db();
        assert_int_equal(vox_finddb_count(db), 0);
        assert_int_equal(warnings, 1);
        assert_true(vox_path_exists(bad));
        assert_false(vox_path_exists(path));
        add(db, "k", &fast, 1);
        vox_finddb_free(&db);
        db = open_db();
        assert_int_equal(vox_finddb_count(db), 1);
        assert_int_equal(warnings, 1);
        vox_finddb_free(&db);
    }
}

/* Any changed byte shows. */
static void damage_is_found(void **state)
{
    (void)state;
    char *text;
    size_t size;
    vox_finddb *db = open_db();
    add(db, "a key", &fast, 0.5);
    vox_finddb_free(&db);
    assert_ok(vox_file_read(&text, &size, path, 0, &err));
    for (size_t i = 0; i + 1 < size; i++) {
        begin(NULL);
        text[i] ^= 1;
        put_file(text, size);
        text[i] ^= 1;
        db = open_db();
        if (vox_finddb_count(db) != 0 || warnings != 1)
            fail_msg("byte %zu: %zu findings, %d warnings", i, vox_finddb_count(db), warnings);
        vox_finddb_free(&db);
        assert_error(vox_finddb_read(&db, bad, &err), VOX_ERR_INPUT, "damaged");
    }
    free(text);
}

/* A writer killed half-way: what was whole stays, and the next line is whole again. */
static void a_torn_line_is_dropped(void **state)
{
    (void)state;
    char *text;
    size_t size;
    vox_finddb *db = open_db();
    add(db, "one", &fast, 1);
    assert_ok(vox_file_read(&text, &size, path, 0, &err));
    const size_t one = size;
    free(text);
    add(db, "two", &fast, 2);
    vox_finddb_free(&db);
    assert_ok(vox_file_read(&text, &size, path, 0, &err));
    for (size_t cut = 0; cut < size; cut++) {
        put_file(text, cut);
        db = open_db();
        assert_int_equal(vox_finddb_count(db), cut >= one);
        add(db, "three", &fast, 3);
        vox_finddb_free(&db);
        db = open_db();
        assert_int_equal(vox_finddb_count(db), 1 + (cut >= one));
        assert_true(seconds_of(db, "three", &fast) == 3);
        vox_finddb_free(&db);
    }
    assert_int_equal(warnings, 0);
    free(text);
}

static void write_many(int writer)
{
    vox_finddb *db = open_db();
    for (int i = 0; i < 40; i++) {
        char key[32];
        snprintf(key, sizeof key, "writer %d, %d", writer, i);
        add(db, key, &fast, writer + 1e-3 * i);
        add(db, "all of them", &naive, 7);
    }
    vox_finddb_free(&db);
}

static void many_may_write_at_once(void **state)
{
    (void)state;
    enum { WRITERS = 4 };
    pid_t pid[WRITERS];
    put_file("foreign\n", 8); /* and they all find it at once */
    for (int i = 0; i < WRITERS; i++) {
        pid[i] = fork();
        assert_true(pid[i] >= 0);
        if (pid[i] == 0) {
            write_many(i);
            _exit(0);
        }
    }
    for (int i = 0; i < WRITERS; i++) {
        int status = -1;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_int_equal(status, 0);
    }
    vox_finddb *db = open_db();
    assert_int_equal(vox_finddb_count(db), WRITERS * 40 + 1);
    for (int i = 0; i < WRITERS * 40; i++) {
        char key[32];
        snprintf(key, sizeof key, "writer %d, %d", i / 40, i % 40);
        assert_true(fabs(seconds_of(db, key, &fast) - (i / 40 + 1e-3 * (i % 40))) < 1e-8);
    }
    vox_finddb_free(&db);
    assert_int_equal(warnings, 0); /* the parent had nothing to complain about */
}

static void without_a_place_it_still_works(void **state)
{
    (void)state;
    vox_finddb *db = NULL;
    assert_ok(vox_finddb_open(&db, "/nonexistent-folder/finddb.txt", &err));
    add(db, "k", &fast, 1);
    add(db, "k", &naive, 2);
    assert_true(seconds_of(db, "k", &naive) == 2);
    vox_finddb_free(&db);
    assert_int_equal(warnings, 0);
    assert_int_equal(infos, 1); /* once */
}

static void a_saved_one_is_read_again(void **state)
{
    (void)state;
    vox_finddb *db = open_db(), *copy = NULL;
    add(db, "k", &fast, 1.0 / 3);
    add(db, "k", &naive, 2);
    assert_ok(vox_finddb_save(db, bad, &err));
    assert_ok(vox_finddb_read(&copy, bad, &err));
    assert_int_equal(vox_finddb_count(copy), 2);
    assert_true(seconds_of(copy, "k", &fast) == seconds_of(db, "k", &fast)); /* to the bit */
    add(copy, "l", &fast, 1);                                                /* in memory only */
    vox_finddb_free(&copy);
    assert_ok(vox_finddb_read(&copy, bad, &err));
    assert_int_equal(vox_finddb_count(copy), 2);
    vox_finddb_free(&copy);
    assert_error(vox_finddb_read(&copy, "/nonexistent", &err), VOX_ERR_IO, "nonexistent");
    assert_null(copy);
    vox_finddb_free(&db);
    vox_finddb_free(&db); /* NULL is fine */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_comes_back, begin),
        cmocka_unit_test_setup(the_last_word_counts, begin),
        cmocka_unit_test_setup(what_is_foreign_is_set_aside_once, begin),
        cmocka_unit_test_setup(damage_is_found, begin),
        cmocka_unit_test_setup(a_torn_line_is_dropped, begin),
        cmocka_unit_test_setup(many_may_write_at_once, begin),
        cmocka_unit_test_setup(without_a_place_it_still_works, begin),
        cmocka_unit_test_setup(a_saved_one_is_read_again, begin),
    };
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/finddb.txt", dir);
    snprintf(bad, sizeof bad, "%s/finddb.txt.bad", dir);
    vox_log_set(count_log, NULL);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    unlink(bad);
    rmdir(dir);
    return failed;
}
