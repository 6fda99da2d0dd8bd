/* test_expand.c - formulas, and documents with parameters and repeated items. */
#include "test.h"

#include "base/formula.h"
#include "base/yaml.h"

#include <math.h>

static vox_error err;

static bool find(void *from, const char *name, size_t length, double *out)
{
    (void)from;
    *out = 5;
    return length == 1 && name[0] == 'n';
}

static vox_status evaluate(const char *text, double *out, char unknown[64])
{
    return vox_formula(text, strlen(text), find, NULL, out, unknown, &err);
}

static void formulas_have_the_usual_precedence(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } cases[] = {{"1", 1},          {"1 + 2*3", 7},    {"(1 + 2)*3", 9}, {"2^3^2", 512},
                 {"-2^2", -4},      {"2^-1", 0.5},     {"7 // 2", 3},    {"-7 // 2", -4},
                 {"-7 % 3", 2},     {"7 / 2", 3.5},    {" n ", 5},       {"16*2^(n-1)", 256},
                 {"10 - 4 - 3", 3}, {"12 / 3 * 2", 8}, {"0.5 * 4", 2},   {"--3", 3},
                 {"n // 2 - 1", 1}, {"((n))", 5}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value;
        char unknown[64];
        assert_ok(evaluate(cases[i].text, &value, unknown));
        if (value != cases[i].value)
            fail_msg("%s is %g, not %g", cases[i].text, value, cases[i].value);
    }
}

static void wrong_formulas_say_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {{"", "ends"},
                 {"1 +", "ends"},
                 {"(1", ") is missing"},
                 {"1 2", "operator"},
                 {"1)", "operator"},
                 {"3x", "number such as"},
                 {"1.2.3", "number such as"},
                 {"* 2", "expected a number, a name"},
                 {"1/0", "division by zero"},
                 {"1 % (n - 5)", "division by zero"},
                 {"9^9^9^9", "no number"},
                 {"(-1)^0.5", "no number"},
                 {"m", "unknown name"},
                 {"11111111111111111111111111111111111111111", "too long"}};
    double value;
    char unknown[64], deep[300];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_error(evaluate(cases[i].text, &value, unknown), VOX_ERR_INPUT, cases[i].message);
        assert_string_equal(unknown, cases[i].text[0] == 'm' ? "m" : "");
    }
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_error(evaluate(deep, &value, unknown), VOX_ERR_INPUT, "too deeply");
    memset(deep, '-', sizeof deep - 1);
    assert_error(evaluate(deep, &value, unknown), VOX_ERR_INPUT, "too deeply");
}

/* The document as text after expansion. */
static char *expanded(const char *text)
{
    vox_yaml *doc = NULL;
    assert_ok(vox_yaml_parse(&doc, text, "t.yaml", &err));
    assert_ok(vox_yaml_expand(doc, &err));
    char *out = vox_yaml_emit(doc, &err);
    vox_yaml_free(&doc);
    assert_non_null(out);
    return out;
}

static void assert_expands(const char *text, const char *want)
{
    char *a = expanded(text), *b = expanded(want);
    assert_string_equal(a, b);
    vox_string_free(&a);
    vox_string_free(&b);
}

static void names_stand_for_numbers_words_and_lists(void **state)
{
    (void)state;
    assert_expands("parameters: {a: 3, b: $(a * 2), c: [1, $(b)], d: relu}\n"
                   "x: {size: $(c), out: $(b + a), name: n$(a)_$(b)}\n"
                   "y: [$(d), {$(d)6: 1}, plain, $(a)x, ($(a)), 5$]\n",
                   "parameters: {a: 3, b: 6, c: [1, 6], d: relu}\n"
                   "x: {size: [1, 6], out: 9, name: n3_6}\n"
                   "y: [relu, {relu6: 1}, plain, 3x, (3), 5$]\n");
}

static void items_repeat(void **state)
{
    (void)state;
    assert_expands(
        "parameters: {n: 2}\n"
        "l:\n"
        "  - a\n"
        "  - repeat: {for: i, first: 1, last: $(n), layers: [b$(i), {c: $(10 * i)}]}\n"
        "  - repeat: {for: i, first: $(n), last: 1, by: -1, layers: [d$(i)]}\n"
        "  - repeat: {for: i, first: 3, last: $(n), layers: [never]}\n"
        "  - repeat:\n"
        "      for: i\n"
        "      first: 0\n"
        "      last: 1\n"
        "      layers: [{repeat: {for: j, first: 0, last: $(i), layers: [e$(i)$(j)]}}]\n",
        "parameters: {n: 2}\n"
        "l:\n  - a\n  - b1\n  - {c: 10}\n  - b2\n  - {c: 20}\n"
        "  - d2\n  - d1\n  - e00\n  - e10\n  - e11\n");
}

static void mistakes_are_named_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message, *place;
    } cases[] = {
        {"a: $(b)\n", "unknown name \"b\"", "t.yaml:1:4"},
        {"parameters: {width: 1}\na:\n  - $(widht + 1)\n", "unknown name \"widht\"", "t.yaml:3:5"},
        {"parameters: {s: [1, 2]}\na: $(s + 1)\n", "\"s\" is not a number", "t.yaml:2:4"},
        {"parameters: {s: [1, 2]}\na: x$(s)\n", "can only stand alone", "t.yaml:2:4"},
        {"a: $(1 + 2\n", ") of a formula is missing", "t.yaml:1:4"},
        {"parameters: {b: $(c), c: 1}\n", "unknown name \"c\"", "t.yaml:1:17"},
        {"parameters: [1]\n", "must be a map", "t.yaml:1:13"},
        {"parameters: {2x: 1}\n", "more than letters", "t.yaml:1:18"},
        {"a: [{repeat: }]\n", "a map", "t.yaml:1:6"},
        {"a: [{repeat: {first: 1, last: 2, layers: []}}]\n", "under \"for\"", "t.yaml:1:14"},
        {"a: [{repeat: {for: i, last: 2, layers: []}}]\n", "\"first\"", "t.yaml:1:14"},
        {"a: [{repeat: {for: i, first: 1, last: 2, layer: []}}]\n", "\"layer\"", "t.yaml:1:42"},
        {"a: [{repeat: {for: i, first: 1, last: 2}}]\n", "\"layers\"", "t.yaml:1:14"},
        {"a: [{repeat: {for: i, first: 1, last: 2, by: 0, layers: []}}]\n", "no end",
         "t.yaml:1:14"},
        {"a: [{repeat: {for: i, first: 1, last: 1.5, layers: []}}]\n", "whole number",
         "t.yaml:1:39"},
        {"a: [{repeat: {for: i, first: 0, last: 99999, layers: []}}]\n", "10000 rounds",
         "t.yaml:1:14"},
        {"parameters: {i: 1}\na: [{repeat: {for: i, first: 0, last: 1, layers: []}}]\n",
         "taken already", "t.yaml:2:20"},
        {"a: {b: 1, $(2 - 1): 2, 1: 3}\n", "twice", "t.yaml:1:21"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vox_yaml *doc = NULL;
        assert_ok(vox_yaml_parse(&doc, cases[i].text, "t.yaml", &err));
        assert_error(vox_yaml_expand(doc, &err), VOX_ERR_INPUT, cases[i].message);
        if (strcmp(err.detail, cases[i].place) != 0)
            fail_msg("place is %s, not %s, for: %s", err.detail, cases[i].place, cases[i].text);
        vox_yaml_free(&doc);
    }
}

/* Each round copies ten times what the one around it does. */
static void growth_has_a_limit(void **state)
{
    (void)state;
    vox_yaml *doc = NULL;
    char text[2000] = "";
    size_t used = (size_t)snprintf(text, sizeof text, "a: [");
    for (char c = 'a'; c <= 'h'; c++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "{repeat: {for: %c, first: 0, last: 9, layers: [", c);
    used += (size_t)snprintf(text + used, sizeof text - used, "x");
    for (char c = 'a'; c <= 'h'; c++)
        used += (size_t)snprintf(text + used, sizeof text - used, "]}}");
    snprintf(text + used, sizeof text - used, "]\n");
    assert_ok(vox_yaml_parse(&doc, text, "t.yaml", &err));
    assert_error(vox_yaml_expand(doc, &err), VOX_ERR_INPUT, "grows over");
    vox_yaml_free(&doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(formulas_have_the_usual_precedence),
                                       cmocka_unit_test(wrong_formulas_say_what_is_wrong),
                                       cmocka_unit_test(names_stand_for_numbers_words_and_lists),
                                       cmocka_unit_test(items_repeat),
                                       cmocka_unit_test(mistakes_are_named_with_their_place),
                                       cmocka_unit_test(growth_has_a_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
