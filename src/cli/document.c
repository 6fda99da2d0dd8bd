/* document.c - a benchmark's JSON document as text and tables for people.
 *
 * It knows units by the ends of the keys, as the documents name them (time_s,
 * workspace_bytes, gflops, peak_share), and nothing of what was measured. */
#include "cli.h"
#include "json.h"

#ifdef VOXCL_WITH_JANSSON

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_TEXT = 160, COLUMNS_MAX = 31 };

static bool ends(const char *key, const char *end)
{
    size_t k = strlen(key), e = strlen(end);
    return k >= e && !strcmp(key + k - e, end);
}

static void seconds_text(char *text, double s)
{
    if (s >= 1)
        snprintf(text, VALUE_TEXT, "%.3f s", s);
    else
        snprintf(text, VALUE_TEXT, s >= 1e-3 ? "%.2f ms" : "%.1f us", s * (s >= 1e-3 ? 1e3 : 1e6));
}

static void number_text(char *text, const char *key, const json_t *value)
{
    double x = json_number_value(value);
    if (ends(key, "_s") && !ends(key, "per_s"))
        seconds_text(text, x);
    else if (ends(key, "bytes"))
        cli_bytes(text, x > 0 ? (uint64_t)x : 0);
    else if (ends(key, "share") || strstr(key, "share_of"))
        snprintf(text, VALUE_TEXT, "%.1f %%", 100 * x);
    else if (ends(key, "gflops") || ends(key, "per_s"))
        snprintf(text, VALUE_TEXT, "%.1f", x);
    else if (json_is_integer(value))
        snprintf(text, VALUE_TEXT, "%" PRId64, (int64_t)json_integer_value(value));
    else
        snprintf(text, VALUE_TEXT, "%.4g", x);
}

static void value_text(char *text, const char *key, const json_t *value);

/* {median, min, max} as one word: in a table the median alone. */
static void spread_text(char *text, const char *key, const json_t *o, bool whole)
{
    char middle[VALUE_TEXT], least[VALUE_TEXT], most[VALUE_TEXT];
    value_text(middle, key, json_object_get(o, "median"));
    value_text(least, key, json_object_get(o, "min"));
    value_text(most, key, json_object_get(o, "max"));
    if (whole)
        snprintf(text, VALUE_TEXT, "%.40s (%.40s to %.40s)", middle, least, most);
    else
        snprintf(text, VALUE_TEXT, "%s", middle);
}

static bool is_spread(const json_t *value)
{
    return json_object_get(value, "median") != NULL;
}

static void list_text(char *text, const char *key, const json_t *list)
{
    char item[VALUE_TEXT];
    size_t i, used = 0;
    json_t *value;
    text[0] = '\0';
    json_array_foreach(list, i, value)
    {
        value_text(item, key, value);
        int n = snprintf(text + used, VALUE_TEXT - used, "%s%s", i ? ", " : "", item);
        used += n > 0 ? (size_t)n : 0;
        if (used >= VALUE_TEXT)
            return;
    }
}

static void value_text(char *text, const char *key, const json_t *value)
{
    if (json_is_string(value))
        snprintf(text, VALUE_TEXT, "%s", json_string_value(value));
    else if (json_is_boolean(value))
        snprintf(text, VALUE_TEXT, "%s", json_is_true(value) ? "yes" : "");
    else if (json_is_number(value))
        number_text(text, key, value);
    else if (json_is_array(value))
        list_text(text, key, value);
    else if (is_spread(value))
        spread_text(text, key, value, false);
    else
        snprintf(text, VALUE_TEXT, "-");
}

/* ---- tables of a list of objects ---------------------------------------- */

/* Columns are the members of the rows, a member of a member as "forward.time_s". */
typedef struct columns {
    char name[COLUMNS_MAX][64];
    char head[COLUMNS_MAX][72]; /* '>' before numbers' */
    size_t count;
} columns;

static bool is_group(const json_t *value)
{
    return json_is_object(value) && !is_spread(value);
}

static void add_column(columns *c, const char *group, const char *key, const json_t *value)
{
    char name[64];
    bool number = json_is_number(value) || is_spread(value) || json_is_null(value);
    snprintf(name, sizeof name, "%s%s%s", group, group[0] ? "." : "", key);
    for (size_t i = 0; i < c->count; i++)
        if (!strcmp(c->name[i], name))
            return;
    if (c->count == COLUMNS_MAX)
        return;
    snprintf(c->name[c->count], sizeof c->name[0], "%s", name);
    snprintf(c->head[c->count++], sizeof c->head[0], "%s%s", number ? ">" : "", name);
}

static void find_columns(columns *c, json_t *rows)
{
    size_t i;
    const char *key, *inner;
    json_t *row, *value, *member;
    c->count = 0;
    json_array_foreach(rows, i, row)
    {
        json_object_foreach(row, key, value)
        {
            if (!is_group(value))
                add_column(c, "", key, value);
            else
                json_object_foreach(value, inner, member) add_column(c, key, inner, member);
        }
    }
}

static const json_t *find_member(const json_t *row, const char *name)
{
    char group[64];
    const char *dot = strchr(name, '.');
    if (!dot)
        return json_object_get(row, name);
    snprintf(group, sizeof group, "%.*s", (int)(dot - name), name);
    return json_object_get(json_object_get(row, group), dot + 1);
}

static void print_rows(json_t *rows)
{
    static columns c;
    const char *header[COLUMNS_MAX + 1] = {NULL};
    char text[VALUE_TEXT];
    size_t i;
    json_t *row;
    find_columns(&c, rows);
    if (!c.count)
        return;
    for (size_t k = 0; k < c.count; k++)
        header[k] = c.head[k];
    cli_table t = {.header = header};
    json_array_foreach(rows, i, row) for (size_t k = 0; k < c.count; k++)
    {
        const json_t *value = find_member(row, c.name[k]);
        text[0] = '\0';
        if (value)
            value_text(text, c.name[k], value);
        cli_cell(&t, "%s", text);
    }
    cli_table_print(&t, "  ");
}

/* ---- the document ------------------------------------------------------- */

static bool is_table(const json_t *value)
{
    return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

static void print_object(json_t *o, const char *indent)
{
    const char *key;
    json_t *value;
    char text[VALUE_TEXT];
    json_object_foreach(o, key, value)
    {
        if (is_table(value))
            continue;
        if (is_group(value)) {
            printf("%s%s\n", indent, key);
            print_object(value, "  ");
            continue;
        }
        if (is_spread(value))
            spread_text(text, key, value, true);
        else
            value_text(text, key, value);
        printf("%s%-20s %s\n", indent, key, text);
    }
    json_object_foreach(o, key, value) if (is_table(value))
    {
        printf("\n%s%s\n", indent, key);
        print_rows(value);
    }
}

int cli_document_print(const char *text)
{
    json_error_t where;
    json_t *document = json_loads(text, 0, &where);
    if (!document) {
        vox_error err = {.code = VOX_ERR_UNSUPPORTED, .message = "the result is no JSON document"};
        snprintf(err.detail, sizeof err.detail, "line %d: %.200s", where.line, where.text);
        return cli_error(&err);
    }
    if (is_table(document))
        print_rows(document);
    else
        print_object(document, "");
    json_decref(document);
    return CLI_DONE;
}

#else

int cli_document_print(const char *text)
{
    (void)text;
    return cli_error(&(vox_error){.code = VOX_ERR_UNSUPPORTED,
                                  .message = "this build cannot read JSON to make tables of it",
                                  .detail = "it was configured with -DVOXCL_WITH_JANSSON=OFF",
                                  .hint = "add --json to see the document itself"});
}

#endif
