/* test_yaml.c - YAML trees: places, limits, overrides, round trips, and text that is no YAML. */
#include "test.h"

#include "base/file.h"
#include "base/philox.h"
#include "base/yaml.h"

#include <math.h>
#include <unistd.h>

static vox_error err;

static vox_yaml *parse(const char *text)
{
    vox_yaml *doc = NULL;
    assert_ok(vox_yaml_parse(&doc, text, "t.yaml", &err));
    return doc;
}

static void assert_bad(const char *text, const char *message, const char *place)
{
    vox_yaml *doc = (vox_yaml *)&doc;
    assert_error(vox_yaml_parse(&doc, text, "t.yaml", &err), VOX_ERR_INPUT, message);
    assert_null(doc);
    if (strcmp(err.detail, place) != 0)
        fail_msg("place is %s, not %s, for: %s", err.detail, place, text);
}

static bool same(const vox_yaml_node *a, const vox_yaml_node *b)
{
    if (vox_yaml_kind_of(a) != vox_yaml_kind_of(b) || vox_yaml_count(a) != vox_yaml_count(b))
        return false;
    if (vox_yaml_text(a))
        return strcmp(vox_yaml_text(a), vox_yaml_text(b)) == 0;
    for (size_t i = 0; i < vox_yaml_count(a); i++) {
        const char *key = vox_yaml_key(a, i);
        if (key && strcmp(key, vox_yaml_key(b, i)) != 0)
            return false;
        if (!same(vox_yaml_item(a, i), vox_yaml_item(b, i)))
            return false;
    }
    return true;
}

static void assert_round_trip(const vox_yaml *doc)
{
    char *text = vox_yaml_emit(doc, &err);
    assert_non_null(text);
    vox_yaml *again = NULL;
    if (vox_yaml_parse(&again, text, "emitted", &err) != VOX_OK)
        fail_msg("%s %s in:\n%s", err.message, err.detail, text);
    if (!same(vox_yaml_root(doc), vox_yaml_root(again)))
        fail_msg("not the same tree:\n%s", text);
    vox_yaml_free(&again);
    vox_string_free(&text);
}

static const char example[] = "name: example # why\n"
                              "network:\n"
                              "  input: {channels: 1, size: [25, 224, 224]}\n"
                              "  layers:\n"
                              "    - conv: {name: conv1, out: 32, kernel: [3, 11, 11]}\n"
                              "    - relu:\n"
                              "    - flatten\n"
                              "train:\n"
                              "  lr: 1e-2\n"
                              "  shuffle: true\n"
                              "  text: \"null\"\n"
                              "  nothing: ~\n";

static void a_tree_has_what_was_written(void **state)
{
    (void)state;
    vox_yaml *doc = parse(example);
    const vox_yaml_node *root = vox_yaml_root(doc), *net = vox_yaml_find(root, "network");
    const vox_yaml_node *layers = vox_yaml_find(net, "layers"), *value;
    const char *word;
    int64_t size[3], n;
    double lr;
    bool shuffle = false;
    assert_string_equal(vox_yaml_name(doc), "t.yaml");
    assert_string_equal(vox_yaml_text(vox_yaml_find(root, "name")), "example");
    assert_int_equal(vox_yaml_count(layers), 3);
    assert_ok(
        vox_yaml_triple(vox_yaml_find(vox_yaml_find(net, "input"), "size"), 1, 1000, size, &err));
    assert_int_equal(size[0], 25);
    assert_int_equal(size[2], 224);
    assert_ok(vox_yaml_single(vox_yaml_item(layers, 0), "a layer", &word, &value, &err));
    assert_string_equal(word, "conv");
    assert_ok(vox_yaml_int(vox_yaml_find(value, "out"), 1, 64, &n, &err));
    assert_int_equal(n, 32);
    assert_ok(vox_yaml_single(vox_yaml_item(layers, 1), "a layer", &word, &value, &err));
    assert_string_equal(word, "relu");
    assert_non_null(value);
    assert_int_equal(vox_yaml_kind_of(value), VOX_YAML_NULL);
    assert_ok(vox_yaml_single(vox_yaml_item(layers, 2), "a layer", &word, &value, &err));
    assert_string_equal(word, "flatten");
    assert_null(value);
    const vox_yaml_node *train = vox_yaml_find(root, "train");
    assert_ok(vox_yaml_double(vox_yaml_find(train, "lr"), 0, INFINITY, &lr, &err));
    assert_true(lr == 0.01);
    assert_ok(vox_yaml_bool(vox_yaml_find(train, "shuffle"), &shuffle, &err));
    assert_true(shuffle);
    assert_string_equal(vox_yaml_text(vox_yaml_find(train, "text")), "null");
    assert_int_equal(vox_yaml_kind_of(vox_yaml_find(train, "nothing")), VOX_YAML_NULL);
    assert_null(vox_yaml_find(train, "absent"));
    assert_null(vox_yaml_find(NULL, "absent"));
    assert_round_trip(doc);
    vox_yaml_free(&doc);
    assert_null(doc);
}

static void complaints_carry_the_place(void **state)
{
    (void)state;
    vox_yaml *doc = parse(example);
    const vox_yaml_node *root = vox_yaml_root(doc), *net = vox_yaml_find(root, "network");
    const vox_yaml_node *conv =
        vox_yaml_find(vox_yaml_item(vox_yaml_find(net, "layers"), 0), "conv");
    static const char *const keys[] = {"name", "outputs", "kernel", NULL};
    static const char *const words[] = {"conv1", "convolve", NULL};
    int64_t n = 7, triple[3];
    double d;
    bool b;
    int w = -1;
    assert_error(vox_yaml_int(vox_yaml_find(conv, "out"), 1, 16, &n, &err), VOX_ERR_INPUT,
                 "from 1 to 16, found \"32\"");
    assert_string_equal(err.detail, "t.yaml:5:32");
    assert_int_equal(n, 7);
    assert_error(vox_yaml_int(vox_yaml_find(conv, "kernel"), 1, 16, &n, &err), VOX_ERR_INPUT,
                 "found a list of 3");
    assert_error(vox_yaml_int(conv, 1, 16, &n, &err), VOX_ERR_INPUT, "found a map");
    assert_error(vox_yaml_int(vox_yaml_find(root, "name"), 1, 9, &n, &err), VOX_ERR_INPUT, "1:7");
    assert_error(vox_yaml_triple(vox_yaml_find(net, "layers"), 1, 9, triple, &err), VOX_ERR_INPUT,
                 "found a map");
    assert_error(vox_yaml_triple(vox_yaml_find(conv, "kernel"), 1, 9, triple, &err), VOX_ERR_INPUT,
                 "\"11\"");
    assert_error(vox_yaml_double(vox_yaml_find(root, "name"), 0, 1, &d, &err), VOX_ERR_INPUT,
                 "a number from 0 to 1");
    assert_error(vox_yaml_bool(vox_yaml_find(root, "name"), &b, &err), VOX_ERR_INPUT,
                 "true or false");
    assert_error(vox_yaml_keys(conv, "layer conv", keys, &err), VOX_ERR_INPUT,
                 "unknown key \"out\" in layer conv");
    assert_string_equal(err.detail, "t.yaml:5:27");
    assert_non_null(strstr(err.hint, "known: name, outputs, kernel"));
    assert_error(vox_yaml_word(vox_yaml_find(root, "name"), words, &w, &err), VOX_ERR_INPUT,
                 "a known word, found \"example\"");
    assert_ok(vox_yaml_word(vox_yaml_find(conv, "name"), words, &w, &err));
    assert_int_equal(w, 0);
    const char *word;
    const vox_yaml_node *value;
    assert_error(vox_yaml_single(conv, "a layer", &word, &value, &err), VOX_ERR_INPUT, "3 keys");
    assert_error(vox_yaml_single(vox_yaml_find(net, "layers"), "a layer", &word, &value, &err),
                 VOX_ERR_INPUT, "found a list");
    vox_yaml_free(&doc);
}

static void numbers_are_strict(void **state)
{
    (void)state;
    vox_yaml *doc = parse("[1.5, 1e400, nan, .inf, inf, 99999999999999999999, 3x, 0x10, \"\", -1]");
    for (size_t i = 0; i < vox_yaml_count(vox_yaml_root(doc)); i++) {
        const vox_yaml_node *item = vox_yaml_item(vox_yaml_root(doc), i);
        int64_t n;
        double d;
        if (vox_yaml_int(item, 0, INT64_MAX, &n, &err) == VOX_OK)
            fail_msg("%s was taken for a whole number", vox_yaml_text(item));
        if (i >= 1 && i <= 4 && vox_yaml_double(item, -INFINITY, INFINITY, &d, &err) == VOX_OK)
            fail_msg("%s was taken for a number", vox_yaml_text(item));
    }
    vox_yaml_free(&doc);
}

static void text_that_is_no_yaml(void **state)
{
    (void)state;
    assert_bad("a: 1\nb: [1, 2\n", "not valid YAML", "t.yaml:3:1");
    assert_bad("a: 1\n  b: 2\n", "not valid YAML", "t.yaml:1:4");
    assert_bad("a: \"x\n", "not valid YAML", "t.yaml:1:5");
    assert_bad("a: 1\nb: 2\na: 3\n", "\"a\" is there twice", "t.yaml:3:1");
    assert_bad("a: {x: 1, y: 2, x: 3}\n", "\"x\" is there twice", "t.yaml:1:17");
    assert_bad("a: !!int 3\n", "tags", "t.yaml:1:10");
    assert_bad("a: {<<: {b: 1}}\n", "merge keys", "t.yaml:1:5");
    assert_bad("{a: 1}: 2\n", "a key must be a word", "t.yaml:1:1");
    assert_bad("? [a]\n: 2\n", "a key must be a word", "t.yaml:1:3");
    assert_bad(": 2\n", "a key is missing", "t.yaml:1:1");
    assert_bad("a: 1\n---\nb: 2\n", "second document", "t.yaml:2:1");
    assert_bad("a: \"\\0\"\n", "zero byte", "t.yaml:1:4");
    assert_bad("a: 1\nb: \x01\n", "not a YAML text", "t.yaml:2:4");
    assert_bad("a: \xff\xfe\n", "not a YAML text", "t.yaml:1:4");
    assert_bad("a: \xc0\x80\n", "not a YAML text", "t.yaml:1:4");
    assert_bad("a: \xed\xa0\x80\n", "not a YAML text", "t.yaml:1:4");
    assert_bad("a: *b\n", "\"*b\" names no finished anchor", "t.yaml:1:4");
    assert_bad("a: &b [*b]\n", "no finished anchor", "t.yaml:1:8");
    assert_bad("z: &b 1\na: &b [*b]\n", "no finished anchor", "t.yaml:2:8");
}

static void nothing_is_null(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "# only a comment\n", "---\n", "~", "null"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        vox_yaml *doc = parse(texts[i]);
        assert_int_equal(vox_yaml_kind_of(vox_yaml_root(doc)), VOX_YAML_NULL);
        assert_error(vox_yaml_fail(&err, vox_yaml_root(doc), "x"), VOX_ERR_INPUT, "t.yaml:1:1");
        assert_round_trip(doc);
        vox_yaml_free(&doc);
    }
}

static void nesting_stops_at_64(void **state)
{
    (void)state;
    for (int flow = 0; flow < 2; flow++)
        for (int depth = 62; depth <= 66; depth++) {
            char text[20000] = "";
            for (int i = 0; i < depth; i++)
                if (flow)
                    strcat(text, "[");
                else
                    sprintf(text + strlen(text), "%*sa:\n", i, "");
            for (int i = 0; i < depth && flow; i++)
                strcat(text, "]");
            vox_yaml *doc = NULL;
            if (depth <= 64) {
                assert_ok(vox_yaml_parse(&doc, text, "t.yaml", &err));
                assert_round_trip(doc);
            } else {
                assert_error(vox_yaml_parse(&doc, text, "t.yaml", &err), VOX_ERR_INPUT, "t.yaml:");
            }
            vox_yaml_free(&doc);
        }
    size_t many = 1 << 20;
    char *text = calloc(many + 1, 1);
    assert_non_null(text);
    memset(text, '[', many);
    vox_yaml *doc = NULL;
    assert_error(vox_yaml_parse(&doc, text, "t.yaml", &err), VOX_ERR_INPUT, "t.yaml:1:");
    memset(text, '{', many);
    assert_error(vox_yaml_parse(&doc, text, "t.yaml", &err), VOX_ERR_INPUT, "t.yaml:1:");
    for (size_t i = 0; i < many; i += 2)
        memcpy(text + i, "- ", 2);
    assert_error(vox_yaml_parse(&doc, text, "t.yaml", &err), VOX_ERR_INPUT, "t.yaml:1:");
    free(text);
    text = calloc((5 << 20) + 1, 1);
    assert_non_null(text);
    memset(text, 'x', 5 << 20);
    assert_error(vox_yaml_parse(&doc, text, "t.yaml", &err), VOX_ERR_INPUT, "over 4 MiB");
    free(text);
}

static void aliases_are_copies_within_bounds(void **state)
{
    (void)state;
    vox_yaml *doc = parse("a: &x {k: [1, 2]}\nb: *x\nc: &y 5\nd: *y\n");
    const vox_yaml_node *b = vox_yaml_find(vox_yaml_root(doc), "b");
    assert_int_equal(vox_yaml_count(vox_yaml_find(b, "k")), 2);
    assert_string_equal(vox_yaml_text(vox_yaml_find(vox_yaml_root(doc), "d")), "5");
    vox_yaml_fail(&err, vox_yaml_find(b, "k"), "x");
    assert_string_equal(err.detail, "t.yaml:1:11");
    assert_round_trip(doc);
    vox_yaml_free(&doc);

    char text[2000] = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"; /* a billion laughs */
    for (int i = 1; i < 10; i++)
        sprintf(text + strlen(text), "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i,
                i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    assert_error(vox_yaml_parse(&doc, text, "t.yaml", &err), VOX_ERR_INPUT, "over a million");

    char deep[4000] = "a: &a0 [x]\n"; /* depth through aliases */
    for (int i = 1; i < 70; i++)
        sprintf(deep + strlen(deep), "b%d: &a%d [*a%d]\n", i, i, i - 1);
    assert_error(vox_yaml_parse(&doc, deep, "t.yaml", &err), VOX_ERR_INPUT, "nested over 64");
}

static void many_keys_take_no_time(void **state)
{
    (void)state;
    vox_str s = {0};
    for (int i = 0; i < 100000; i++)
        vox_str_add(&s, "k%d: %d\n", i, i);
    vox_yaml *doc = parse(s.text);
    assert_int_equal(vox_yaml_count(vox_yaml_root(doc)), 100000);
    vox_yaml_free(&doc);
    vox_str_release(&s);
}

static void set(vox_yaml *doc, const char *assignment)
{
    assert_ok(vox_yaml_set(doc, assignment, &err));
    assert_round_trip(doc);
}

static void overrides_change_the_tree(void **state)
{
    (void)state;
    vox_yaml *doc = parse(example);
    const vox_yaml_node *root = vox_yaml_root(doc);
    int64_t v = 0, triple[3];
    set(doc, "train.batch=8");
    set(doc, "train.optimizer.sgd.lr=0.1");
    set(doc, "network.layers.0.conv.out=16");
    set(doc, "network.layers.1.relu.slope=[1, 2, 3]");
    set(doc, "train.text=a=b");
    set(doc, "train.schedule={poly: {power: 0.9}}");
    set(doc, "name=");
    set(doc, "network.layers.2=");
    set(doc, "train.absent.absent=");
    set(doc, "train.nothing=null");
    assert_ok(vox_yaml_int(vox_yaml_find(vox_yaml_find(root, "train"), "batch"), 1, 9, &v, &err));
    assert_int_equal(v, 8);
    assert_string_equal(vox_yaml_text(vox_yaml_find(vox_yaml_find(root, "train"), "text")), "a=b");
    assert_null(vox_yaml_find(root, "name"));
    assert_non_null(vox_yaml_find(vox_yaml_find(root, "train"), "nothing"));
    assert_null(vox_yaml_find(vox_yaml_find(root, "train"), "absent"));
    const vox_yaml_node *layers = vox_yaml_find(vox_yaml_find(root, "network"), "layers");
    const vox_yaml_node *conv = vox_yaml_find(vox_yaml_item(layers, 0), "conv");
    assert_int_equal(vox_yaml_count(layers), 2);
    assert_error(vox_yaml_int(vox_yaml_find(conv, "out"), 1, 9, &v, &err), VOX_ERR_INPUT, "\"16\"");
    assert_string_equal(err.detail, "--set network.layers.0.conv.out");
    assert_ok(
        vox_yaml_triple(vox_yaml_find(vox_yaml_find(vox_yaml_item(layers, 1), "relu"), "slope"), 1,
                        9, triple, &err));
    static const char *const keys[] = {"name", "train", NULL};
    set(doc, "tarin.batch=8");
    assert_error(vox_yaml_keys(root, "the experiment", keys, &err), VOX_ERR_INPUT, "network");
    vox_yaml_free(&doc);

    doc = parse("");
    set(doc, "a.b=1");
    assert_string_equal(vox_yaml_key(vox_yaml_root(doc), 0), "a");
    vox_yaml_free(&doc);
}

static void bad_overrides_change_nothing(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"train", "no key before"},
        {"=3", "no key before"},
        {"", "no key before"},
        {"train..lr=3", "empty part"},
        {".train=3", "empty part"},
        {"train.=3", "empty part"},
        {"name.x=", "a value and not a map"},
        {"network.layers.3=", "no item"},
        {"name.x.y=3", "a value and not a map"},
        {"network.layers.9=x", "no item of a list of 3"},
        {"network.layers.-1=x", "no item"},
        {"network.layers.conv=x", "no item"},
        {"new.a=[1", "not valid YAML"},
        {"new.a={b: 1, b: 2}", "twice"},
        {"new.a=\x01", "not a YAML text"},
    };
    vox_yaml *doc = parse(example), *before = parse(example);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memset(&err, 0, sizeof err);
        assert_true(vox_yaml_set(doc, bad[i][0], &err) != VOX_OK);
        if (!strstr(err.message, bad[i][1]) && !strstr(err.detail, bad[i][1]))
            fail_msg("%s: %s | %s", bad[i][0], err.message, err.detail);
        assert_non_null(strstr(err.detail, "--set"));
        assert_true(same(vox_yaml_root(doc), vox_yaml_root(before)));
    }
    char longer[2000] = "a";
    for (int i = 0; i < 70; i++)
        strcat(longer, ".a");
    strcat(longer, "=1");
    assert_error(vox_yaml_set(doc, longer, &err), VOX_ERR_USAGE, "64 deep");
    memset(longer, 'k', 400);
    strcpy(longer + 400, "=1");
    assert_error(vox_yaml_set(doc, longer, &err), VOX_ERR_USAGE, "too long");
    vox_yaml_free(&before);
    vox_yaml_free(&doc);
}

static void every_text_survives_a_round_trip(void **state)
{
    (void)state;
    vox_yaml *doc =
        parse("- \"a\\tb\\nc\\\\ \\\" d\"\n- \"\\u0085\\u2028\\ufeff\\U0001F600 \xc3\xa9\"\n"
              "- \"\"\n- '~'\n- '- x'\n- ' x '\n- 'a: b'\n- 'a #b'\n- \"---\"\n- '...'\n"
              "- |\n  line\n  line\n- >\n  folded\n  text\n- '%x'\n- '@'\n- '<<'\n- -1.5\n"
              "- -.5\n- .5e-3\n- -x\n- .x\n- \"\\x7f\\x1b\"\n- {'a b': [], '': {}, 'null': 1}\n"
              "- []\n- - - x\n    - y: z\n- a:\n  b:\n    - c\n");
    assert_round_trip(doc);
    vox_yaml_free(&doc);
}

static void files(void **state)
{
    (void)state;
    char dir[] = "/tmp/voxcl-yaml-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *path = vox_path_join(dir, "a.yaml", &err);
    vox_yaml *doc = NULL;
    assert_error(vox_yaml_open(&doc, path, &err), VOX_ERR_IO, path);
    assert_ok(vox_file_write(path, "a: 1\nb: [", 9, &err));
    assert_error(vox_yaml_open(&doc, path, &err), VOX_ERR_INPUT, path);
    assert_ok(vox_file_write(path, "a: 1\0b: 2\n", 10, &err));
    assert_error(vox_yaml_open(&doc, path, &err), VOX_ERR_INPUT, "not a YAML text");
    assert_ok(vox_file_write(path, "a: 1\r\nb: 2\r\n", 12, &err));
    assert_ok(vox_yaml_open(&doc, path, &err));
    assert_string_equal(vox_yaml_text(vox_yaml_find(vox_yaml_root(doc), "a")), "1");
    vox_yaml_free(&doc);
    assert_error(vox_yaml_open(&doc, dir, &err), VOX_ERR_IO, dir);
    unlink(path);
    rmdir(dir);
    free(path);
}

/* Deterministic damage to a good text: no crash, no hang, and what is read round-trips. */
static void damaged_text_never_crashes(void **state)
{
    (void)state;
    static const char pieces[] = "[]{}:,-?|>&*!%@`'\"#\n\t ~<=\\xu0a";
    vox_random r;
    int good = 0, bad = 0;
    vox_random_init(&r, 1, VOX_RANDOM_SYNTH, 0, 0, 0);
    for (int round = 0; round < 3000; round++) {
        char text[2 * sizeof example];
        memcpy(text, example, sizeof example);
        size_t n = sizeof example - 1;
        for (uint32_t k = 1 + vox_random_below(&r, 4); k > 0; k--) {
            size_t at = vox_random_below(&r, (uint32_t)n);
            char c = pieces[vox_random_below(&r, sizeof pieces - 1)];
            uint32_t kind = vox_random_below(&r, 4);
            if (kind == 0) {
                text[at] = c;
            } else if (kind == 1) {
                memmove(text + at + 1, text + at, n + 1 - at);
                text[at] = c;
                n++;
            } else if (kind == 2) {
                memmove(text + at, text + at + 1, n - at);
                n--;
            } else if (n > 40) {
                n = at > 20 ? at : n;
                text[n] = '\0';
            }
        }
        vox_yaml *doc = NULL;
        if (vox_yaml_parse(&doc, text, "t.yaml", &err) == VOX_OK) {
            good++;
            assert_round_trip(doc);
        } else {
            bad++;
            assert_null(doc);
            assert_int_equal(strncmp(err.detail, "t.yaml:", 7), 0);
        }
        vox_yaml_free(&doc);
    }
    assert_true(good > 100 && bad > 100);
}

int main(void)
{
#ifndef VOXCL_WITH_FYAML
    vox_yaml *doc = NULL;
    puts("built without libfyaml: only that it says so is tested");
    return vox_yaml_parse(&doc, "a: 1", "t", &err) == VOX_ERR_UNSUPPORTED && err.hint[0] ? 0 : 1;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_has_what_was_written),
        cmocka_unit_test(complaints_carry_the_place),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(text_that_is_no_yaml),
        cmocka_unit_test(nothing_is_null),
        cmocka_unit_test(nesting_stops_at_64),
        cmocka_unit_test(aliases_are_copies_within_bounds),
        cmocka_unit_test(many_keys_take_no_time),
        cmocka_unit_test(overrides_change_the_tree),
        cmocka_unit_test(bad_overrides_change_nothing),
        cmocka_unit_test(every_text_survives_a_round_trip),
        cmocka_unit_test(files),
        cmocka_unit_test(damaged_text_never_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
