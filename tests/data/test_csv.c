/* Tables as people's tools write them, and as they should not. */
#include "fixture.h"

#include "data/csv.h"

#include <math.h>

static void check(const vox_csv *csv, size_t row, size_t column, const char *want)
{
    assert_string_equal(vox_csv_field(csv, row, column), want);
}

static void test_plain(void **state)
{
    (void)state;
    vox_error err;
    vox_csv *csv;
    size_t label;
    put_text("a.csv", "image,label\na.npy,0\nb.npy,1");
    assert_ok(vox_csv_open(&csv, scratch_path("a.csv"), &err));
    assert_int_equal(vox_csv_rows(csv), 2);
    check(csv, 0, 0, "a.npy");
    check(csv, 1, 1, "1");
    assert_int_equal(vox_csv_line(csv, 1), 3);
    assert_true(vox_csv_find(csv, "LABEL", &label));
    assert_int_equal(label, 1);
    assert_false(vox_csv_find(csv, "lab", &label));
    assert_error(vox_csv_need(csv, "mask", &label, &err), VOX_ERR_INPUT, "image, label");
    vox_csv_free(&csv);
    assert_null(csv);
    vox_csv_free(&csv);
}

/* A byte order mark, CRLF, blank lines, spaces, quotes, line ends in quotes, an empty last field.
 */
static void test_wild(void **state)
{
    (void)state;
    vox_error err;
    vox_csv *csv;
    put_text("a.csv", "\xEF\xBB\xBF\r\n  \r\n image , \"la\"\"bel\" ,c\r\n"
                      " a b ,\"x, \"\"y\"\"\r\nz\" , \r\n\r\n\t\r\nd,\"\",\r\n");
    assert_ok(vox_csv_open(&csv, scratch_path("a.csv"), &err));
    assert_int_equal(vox_csv_rows(csv), 2);
    size_t column;
    assert_true(vox_csv_find(csv, "la\"bel", &column));
    check(csv, 0, 0, "a b");
    check(csv, 0, 1, "x, \"y\"\r\nz");
    check(csv, 0, 2, "");
    check(csv, 1, 0, "d");
    check(csv, 1, 1, "");
    check(csv, 1, 2, "");
    assert_int_equal(vox_csv_line(csv, 0), 4);
    assert_int_equal(vox_csv_line(csv, 1), 8);
    vox_csv_free(&csv);
    put_text("a.csv", "a,b\r1,2\r3,4\r"); /* old Macs */
    assert_ok(vox_csv_open(&csv, scratch_path("a.csv"), &err));
    assert_int_equal(vox_csv_rows(csv), 2);
    check(csv, 1, 1, "4");
    vox_csv_free(&csv);
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word, *place;
    } row[] = {
        {"", "empty", "a.csv"},
        {"\r\n \n", "empty", "a.csv"},
        {"a,b\n1,2,3\n", "3 fields", "a.csv:2"},
        {"a,b\n1\n", "1 fields", "a.csv:2"},
        {"a,b\n\n1,\"2\n3\n", "never closed", "a.csv:3"},
        {"a,b\n1,\"2\" 3\n", "after a closing quote", "a.csv:2"},
        {"a,b\n1,2\"3\"\n", "inside an unquoted", "a.csv:2"},
        {"a,b,A\n1,2,3\n", "two columns are named", "a.csv:1"},
    };
    vox_error err;
    vox_csv *csv;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        put_text("a.csv", row[i].text);
        assert_error(vox_csv_open(&csv, scratch_path("a.csv"), &err), VOX_ERR_INPUT, row[i].word);
        assert_non_null(strstr(err.detail, row[i].place));
        assert_null(csv);
    }
    put_bytes("a.csv", "a,b\n1,\0002\n", 9); /* UTF-16 looks like this */
    assert_error(vox_csv_open(&csv, scratch_path("a.csv"), &err), VOX_ERR_INPUT, "a.csv:2");
    assert_error(vox_csv_open(&csv, scratch_path("none.csv"), &err), VOX_ERR_IO, "none.csv");
    assert_error(vox_csv_open(&csv, scratch, &err), VOX_ERR_IO, "regular");
}

/* Every prefix of a table, and every byte of it changed, is read or refused: never more. */
static void test_broken(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBFimage,\"la,bel\"\r\n\"a\"\"b\",1\r\n\n c ,\"2\n\"\n";
    vox_csv *csv;
    for (size_t n = 0; n < sizeof text; n++) {
        put_bytes("a.csv", text, n);
        if (vox_csv_open(&csv, scratch_path("a.csv"), NULL) == VOX_OK)
            vox_csv_free(&csv);
    }
    for (size_t n = 0; n + 1 < sizeof text; n++)
        for (const char *c = "\",\n\r \x01"; *c; c++) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[n] = *c;
            put_bytes("a.csv", changed, sizeof text - 1);
            if (vox_csv_open(&csv, scratch_path("a.csv"), NULL) == VOX_OK)
                vox_csv_free(&csv);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_wild),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_broken),
    };
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
