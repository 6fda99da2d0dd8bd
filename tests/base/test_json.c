/* test_json.c - the JSON writer: commas, escapes, numbers JSON does not have. */
#include "test.h"

#include "base/json.h"

#include <math.h>

static void nesting_and_commas(void **state)
{
    (void)state;
    vox_error err = {0};
    vox_json j = {0};
    vox_json_begin(&j, NULL, '{');
    vox_json_int(&j, "a", -3);
    vox_json_begin(&j, "list", '[');
    vox_json_number(&j, NULL, 0.1);
    vox_json_number(&j, NULL, NAN);
    vox_json_number(&j, NULL, -INFINITY);
    vox_json_begin(&j, NULL, '{');
    vox_json_end(&j, '}');
    vox_json_end(&j, ']');
    vox_json_bool(&j, "yes", true);
    vox_json_string(&j, "text", "a \"b\" \\ c\n\x01 \xc3\xa9");
    vox_json_string(&j, "latin-1", "b\xf6se\xe4");
    vox_json_string(&j, "surrogate", "\xed\xa0\x80.");
    vox_json_end(&j, '}');
    char *text = vox_json_take(&j, &err);
    assert_string_equal(text, "{\"a\": -3, \"list\": [0.1, null, null, {}], \"yes\": true, "
                              "\"text\": \"a \\\"b\\\" \\\\ c\\n\\u0001 \xc3\xa9\", "
                              "\"latin-1\": \"b\\ufffdse\\ufffd\", "
                              "\"surrogate\": \"\\ufffd\\ufffd\\ufffd.\"}");
    vox_string_free(&text);
}

static void floats_survive(void **state)
{
    (void)state;
    vox_error err = {0};
    const float values[] = {1.0f / 3, 1e-38f, 3.4e38f, 16777217.0f, -0.1f};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        vox_json j = {0};
        vox_json_number(&j, NULL, values[i]);
        char *text = vox_json_take(&j, &err);
        assert_true((float)strtod(text, NULL) == values[i]);
        vox_string_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_and_commas),
        cmocka_unit_test(floats_survive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
