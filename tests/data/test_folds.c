/* Folds by patient: the same everywhere, each patient held out once. */
#include "fixture.h"

#include "data/split.h"

static vox_error err;

static vox_status parse(vox_split *out, const char *text)
{
    vox_yaml *doc;
    assert_ok(vox_yaml_parse(&doc, text, "exp.yaml", &err));
    vox_status s = vox_split_parse(out, vox_yaml_root(doc), &err);
    vox_yaml_free(&doc);
    return s;
}

/* Patients p00 .. in some order, some twice. */
static void fill(vox_names *names, int count, int step)
{
    memset(names, 0, sizeof *names);
    for (int i = 0; i < count + 5; i++) {
        char text[16];
        snprintf(text, sizeof text, "p%02d", i * step % count);
        assert_ok(vox_names_add(names, text, &err));
    }
}

static void test_partition(void **state)
{
    (void)state;
    int held_out[23] = {0};
    for (int64_t fold = 0; fold < 5; fold++) {
        vox_names out, in, again;
        vox_split split = {.folds = 5, .fold = fold, .only = true, .seed = 3};
        fill(&out, 23, 1);
        fill(&in, 23, 7);
        fill(&again, 23, 11);
        assert_ok(vox_split_apply(&split, &out, &err));
        assert_ok(vox_split_apply(&split, &again, &err));
        split.only = false;
        assert_ok(vox_split_apply(&split, &in, &err));
        assert_int_equal(out.count, fold < 3 ? 5 : 4);
        assert_int_equal(out.count + in.count, 23);
        assert_int_equal(out.count, again.count); /* the order of the table does not matter */
        for (size_t i = 0; i < out.count; i++) {
            held_out[atoi(out.name[i] + 1)]++;
            assert_string_equal(out.name[i], again.name[i]);
            assert_false(vox_names_has(&in, out.name[i]));
            assert_true(vox_names_has(&out, out.name[i]));
        }
        vox_names_release(&out);
        vox_names_release(&in);
        vox_names_release(&again);
    }
    for (int i = 0; i < 23; i++)
        assert_int_equal(held_out[i], 1);
}

/* Pinned: a changed shuffle would move patients between sets of runs that are under way. */
static void test_pinned(void **state)
{
    (void)state;
    vox_names names;
    vox_split split;
    vox_str got = {0};
    assert_ok(parse(&split, "{folds: 4, only: 1}"));
    fill(&names, 16, 1);
    assert_ok(vox_split_apply(&split, &names, &err));
    for (size_t i = 0; i < names.count; i++)
        vox_str_add(&got, "%s ", names.name[i]);
    assert_string_equal(got.text, "p03 p05 p10 p13 ");
    vox_str_release(&got);
    vox_names_release(&names);
    assert_ok(parse(&split, "{folds: 4, only: 1, seed: 2}"));
    fill(&names, 16, 1);
    assert_ok(vox_split_apply(&split, &names, &err));
    assert_true(names.count == 4);
    vox_names_release(&names);
}

static void test_everybody(void **state)
{
    (void)state;
    vox_names names;
    vox_split split;
    assert_ok(vox_split_parse(&split, NULL, &err));
    fill(&names, 16, 3);
    assert_ok(vox_split_apply(&split, &names, &err));
    assert_int_equal(names.count, 16);
    split = (vox_split){.folds = 17};
    assert_error(vox_split_apply(&split, &names, &err), VOX_ERR_INPUT, "fewer patients than folds");
    vox_names_release(&names);
    assert_ok(vox_split_apply(&(vox_split){0}, &names, &err));
    assert_false(vox_names_has(&names, "p00"));
}

static void test_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{folds: 5}",
        "{only: 0}",
        "{folds: 5, only: 0, without: 1}",
        "{folds: 1, only: 0}",
        "{folds: 5, only: 5}",
        "{folds: 5, only: -1}",
        "{folds: 5, fold: 0}",
        "{folds: x, only: 0}",
        "{folds: 5, only: 0, seed: -1}",
        "5",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        vox_split split;
        assert_error(parse(&split, bad[i]), VOX_ERR_INPUT, "exp.yaml:1:");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partition),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_everybody),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
