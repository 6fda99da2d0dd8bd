/* attr_words.c - attributes from words "key=value", without a YAML document: benchmarks, tests. */
#include "ops/attr_words.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static const vox_attr *find(const vox_attr *attrs, const char *key, size_t length)
{
    for (const vox_attr *a = attrs; a && a->key; a++)
        if (strlen(a->key) == length && strncmp(a->key, key, length) == 0)
            return a;
    return NULL;
}

static void *field(void *out, const vox_attr *a)
{
    return (char *)out + a->offset;
}

/* The same number as whatever kind it is. */
static void set_number(void *to, vox_attr_kind kind, double value)
{
    const int64_t whole = (int64_t)value, triple[3] = {whole, whole, whole};
    const int word = (int)value;
    const bool yes = value != 0;
    switch (kind) {
    case VOX_ATTR_INT:
        memcpy(to, &whole, sizeof whole);
        break;
    case VOX_ATTR_FLOAT:
        memcpy(to, &value, sizeof value);
        break;
    case VOX_ATTR_BOOL:
        memcpy(to, &yes, sizeof yes);
        break;
    case VOX_ATTR_TRIPLE:
        memcpy(to, triple, sizeof triple);
        break;
    case VOX_ATTR_WORD:
        memcpy(to, &word, sizeof word);
        break;
    case VOX_ATTR_FLOATS:
        ((vox_floats *)to)->count = 0;
        break;
    }
}

static bool in_range(const vox_attr *a, int64_t value)
{
    return (double)value >= a->min && (double)value <= a->max;
}

/* "d,h,w", or one number for all three. */
static bool set_triple(void *to, const vox_attr *a, const char *text)
{
    int64_t t[3];
    const int count = vox_parse_list(text, t, 3);
    if (count == 1)
        t[1] = t[2] = t[0];
    if ((count != 1 && count != 3) || !in_range(a, t[0]) || !in_range(a, t[1]) ||
        !in_range(a, t[2]))
        return false;
    memcpy(to, t, sizeof t);
    return true;
}

static bool set_word(void *to, const vox_attr *a, const char *text)
{
    for (int i = 0; a->words[i]; i++)
        if (strcmp(a->words[i], text) == 0) {
            set_number(to, a->kind, i);
            return true;
        }
    return false;
}

/* "1,0.5,2" */
static bool set_floats(vox_floats *to, const vox_attr *a, const char *text)
{
    char number[40];
    double value;
    to->count = 0;
    for (;; text++) {
        const size_t length = strcspn(text, ",");
        if (length >= sizeof number || to->count == VOX_FLOATS_MAX)
            return false;
        memcpy(number, text, length);
        number[length] = '\0';
        if (!vox_parse_double(number, &value) || !(value >= a->min && value <= a->max))
            return false;
        to->value[to->count++] = value;
        text += length;
        if (*text == '\0')
            return true;
    }
}

static bool set_text(void *to, const vox_attr *a, const char *text)
{
    double value;
    int64_t whole;
    switch (a->kind) {
    case VOX_ATTR_TRIPLE:
        return set_triple(to, a, text);
    case VOX_ATTR_WORD:
        return set_word(to, a, text);
    case VOX_ATTR_BOOL:
        set_number(to, a->kind, strcmp(text, "true") == 0);
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
    case VOX_ATTR_FLOATS:
        return set_floats(to, a, text);
    case VOX_ATTR_INT:
        if (!vox_parse_i64(text, &whole) || !in_range(a, whole))
            return false;
        set_number(to, a->kind, (double)whole);
        return true;
    case VOX_ATTR_FLOAT:
        break;
    }
    if (!vox_parse_double(text, &value) || !(value >= a->min && value <= a->max))
        return false;
    set_number(to, a->kind, value);
    return true;
}

static vox_status fail_word(const vox_attr *attrs, const char *what, const char *word,
                            vox_error *err)
{
    char keys[200] = "";
    size_t used = 0;
    for (const vox_attr *a = attrs; a && a->key && used < sizeof keys; a++)
        used += (size_t)snprintf(keys + used, sizeof keys - used, " %s=", a->key);
    vox_fail(err, VOX_ERR_USAGE, "%s: there is no meaning to \"%s\"", what, word);
    vox_hint(err, used ? "it takes%s; a triple is d,h,w or one number" : "it takes no attributes%s",
             keys);
    return VOX_ERR_USAGE;
}

/* What was not given: its default, or the value of the key it is the same as. */
static vox_status set_rest(const vox_attr *attrs, void *out, const char *what, uint64_t given,
                           vox_error *err)
{
    for (const vox_attr *a = attrs; a && a->key; a++) {
        const vox_attr *same = a->same_as ? find(attrs, a->same_as, strlen(a->same_as)) : NULL;
        if (given >> (a - attrs) & 1)
            continue;
        if (a->required) {
            vox_fail(err, VOX_ERR_USAGE, "%s needs %s=", what, a->key);
            vox_hint(err, "%s: %s", a->key, a->help);
            return VOX_ERR_USAGE;
        }
        if (same)
            memcpy(field(out, a), field(out, same),
                   a->kind == VOX_ATTR_TRIPLE ? 3 * sizeof(int64_t) : sizeof(int64_t));
    }
    return VOX_OK;
}

vox_status vox_attr_words(const vox_attr *attrs, void *out, const char *what,
                          const char *const *words, size_t count, vox_error *err)
{
    uint64_t given = 0;
    for (const vox_attr *a = attrs; a && a->key; a++)
        set_number(field(out, a), a->kind, a->dflt);
    for (size_t i = 0; i < count; i++) {
        const size_t length = strcspn(words[i], "=");
        const vox_attr *a = find(attrs, words[i], length);
        if (!a || words[i][length] != '=' || !set_text(field(out, a), a, words[i] + length + 1))
            return fail_word(attrs, what, words[i], err);
        given |= UINT64_C(1) << (a - attrs);
    }
    return set_rest(attrs, out, what, given, err);
}
