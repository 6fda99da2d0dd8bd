/* json.c - writing JSON into a growing string. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the well-formed UTF-8 character at p (Unicode 15, table 3-7), 0 if there is none. */
static size_t utf8_length(const unsigned char *p)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) /* the NUL at the end stops it too */
            return 0;
    bool bad = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
               (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return bad ? 0 : n;
}

static void add_quoted(vox_str *s, const char *value)
{
    vox_str_add(s, "\"");
    for (const unsigned char *p = (const unsigned char *)value; *p;) {
        size_t n = utf8_length(p);
        if (n == 0) /* a name in some other encoding: show where it was */
            vox_str_add(s, "\\ufffd");
        else if (*p == '"' || *p == '\\')
            vox_str_add(s, "\\%c", *p);
        else if (*p == '\n')
            vox_str_add(s, "\\n");
        else if (*p < 0x20)
            vox_str_add(s, "\\u%04x", *p);
        else
            vox_str_add(s, "%.*s", (int)n, (const char *)p);
        p += n ? n : 1;
    }
    vox_str_add(s, "\"");
}

static void add_key(vox_json *j, const char *key)
{
    if (j->comma)
        vox_str_add(&j->text, ", ");
    if (key) {
        add_quoted(&j->text, key);
        vox_str_add(&j->text, ": ");
    }
    j->comma = true;
}

void vox_json_begin(vox_json *j, const char *key, char bracket)
{
    add_key(j, key);
    vox_str_add(&j->text, "%c", bracket);
    j->comma = false;
}

void vox_json_end(vox_json *j, char bracket)
{
    vox_str_add(&j->text, "%c", bracket);
    j->comma = true;
}

void vox_json_string(vox_json *j, const char *key, const char *value)
{
    add_key(j, key);
    add_quoted(&j->text, value);
}

void vox_json_int(vox_json *j, const char *key, int64_t value)
{
    add_key(j, key);
    vox_str_add(&j->text, "%lld", (long long)value);
}

void vox_json_number(vox_json *j, const char *key, double value)
{
    char digits[40];
    add_key(j, key);
    if (!isfinite(value)) {
        vox_str_add(&j->text, "null");
        return;
    }
    snprintf(digits, sizeof digits, "%.9g", value);
    char *comma = strchr(digits, ','); /* the program using us may have set a locale */
    if (comma)
        *comma = '.';
    vox_str_add(&j->text, "%s", digits);
}

void vox_json_bool(vox_json *j, const char *key, bool value)
{
    add_key(j, key);
    vox_str_add(&j->text, value ? "true" : "false");
}

char *vox_json_take(vox_json *j, vox_error *err)
{
    char *text = j->text.failed ? NULL : j->text.text;
    if (!text) {
        vox_fail_memory(err, "a JSON text", j->text.length + 1);
        vox_str_release(&j->text);
    }
    memset(j, 0, sizeof *j);
    return text;
}
