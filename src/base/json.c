/* json.c - writing JSON into a growing string. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_quoted(vox_str *s, const char *value)
{
    vox_str_add(s, "\"");
    for (const char *p = value; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '"' || c == '\\')
            vox_str_add(s, "\\%c", c);
        else if (c == '\n')
            vox_str_add(s, "\\n");
        else if (c < 0x20)
            vox_str_add(s, "\\u%04x", c);
        else
            vox_str_add(s, "%c", c);
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
