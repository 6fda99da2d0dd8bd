/* options.c - strict reading of a subcommand's arguments.
 *
 * One invariant: nothing on the command line is ever ignored; what is not known
 * is an error with the nearest known word. */
#include "cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 48, OPTIONS_MAX = 32 };

static size_t edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[WORD_MAX + 1];
    if (n > WORD_MAX || m > WORD_MAX)
        return WORD_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t above_left = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t least = above_left + (a[i - 1] != b[j - 1]);
            least = row[j] + 1 < least ? row[j] + 1 : least;
            least = row[j - 1] + 1 < least ? row[j - 1] + 1 : least;
            above_left = row[j];
            row[j] = least;
        }
    }
    return row[m];
}

const char *cli_nearest(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    size_t least = strlen(word) / 3 + 2;
    for (; *candidates; candidates++) {
        size_t distance = edit_distance(word, *candidates);
        if (distance < least && distance < strlen(*candidates)) {
            least = distance;
            best = *candidates;
        }
    }
    return best;
}

void cli_list_release(cli_list *list)
{
    free(list->item);
    *list = (cli_list){0};
}

static void list_add(cli_list *list, const char *word)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 8;
        const char **item = realloc(list->item, capacity * sizeof *item);
        if (!item) {
            fprintf(stderr, "voxcl: error: out of memory\n");
            exit(CLI_FAILED);
        }
        list->item = item;
        list->capacity = capacity;
    }
    list->item[list->count++] = word;
}

/* ---- help --------------------------------------------------------------- */

void cli_help(const cli_spec *spec)
{
    char left[64];
    size_t width = sizeof "-h, --help" - 1;
    for (const cli_option *o = spec->options; o->name; o++) {
        size_t w = strlen(o->name) + 2 + (o->value ? strlen(o->value) + 1 : 0);
        width = w > width ? w : width;
    }
    printf("usage: voxcl %s\n\n%s\n\noptions:\n", spec->usage, spec->about);
    for (const cli_option *o = spec->options; o->name; o++) {
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        printf("  %-*s  %s\n", (int)width, left, o->help);
    }
    printf("  %-*s  this text\n", (int)width, "-h, --help");
    if (spec->more)
        printf("\n%s\n", spec->more);
}

/* ---- reading ------------------------------------------------------------ */

typedef struct reader {
    const cli_spec *spec;
    const char *command;
    int argc, next;
    char **argv;
    size_t operands;
} reader;

static const cli_option *find_option(const cli_spec *spec, const char *name, size_t length)
{
    for (const cli_option *o = spec->options; o->name; o++)
        if (strlen(o->name) == length && !strncmp(o->name, name, length))
            return o;
    return NULL;
}

static int unknown_option(const reader *r, const char *arg, size_t length)
{
    const char *names[OPTIONS_MAX + 2] = {"help"};
    char word[WORD_MAX + 1], hint[128];
    size_t n = 1;
    for (const cli_option *o = r->spec->options; o->name && n <= OPTIONS_MAX; o++)
        names[n++] = o->name;
    snprintf(word, sizeof word, "%.*s", (int)(length < WORD_MAX ? length : WORD_MAX), arg + 2);
    const char *near = arg[1] == '-' ? cli_nearest(word, names) : NULL;
    snprintf(hint, sizeof hint, "did you mean --%s?", near ? near : "");
    return cli_usage(r->command, near ? hint : NULL, "%s has no option %.*s", r->command,
                     (int)length + 2, arg);
}

static int set_number(const reader *r, const cli_option *o, const char *value)
{
    char *end;
    errno = 0;
    long long v = strtoll(value, &end, 10);
    if (end == value || *end || errno || v < o->number->min || v > o->number->max)
        return cli_usage(r->command, NULL,
                         "--%s takes a whole number from %" PRId64 " to %" PRId64 ", not \"%s\"",
                         o->name, o->number->min, o->number->max, value);
    o->number->value = v;
    return CLI_GO;
}

static bool is_option(const char *arg)
{
    return arg[0] == '-' && arg[1] != '\0';
}

static int take_value(reader *r, const cli_option *o, const char *value)
{
    if (value[0] == '\0')
        return cli_usage(r->command, NULL, "--%s is given an empty value", o->name);
    if (o->number)
        return set_number(r, o, value);
    if (o->text)
        *o->text = value;
    else
        list_add(o->list, value);
    while (o->many && r->next < r->argc && !is_option(r->argv[r->next]))
        list_add(o->list, r->argv[r->next++]);
    return CLI_GO;
}

static int read_option(reader *r, const char *arg)
{
    const char *equals = strchr(arg, '=');
    size_t length = (equals ? (size_t)(equals - arg) : strlen(arg)) - 2;
    const cli_option *o = find_option(r->spec, arg + 2, length);
    if (!o)
        return unknown_option(r, arg, length);
    if (!o->value) {
        if (equals)
            return cli_usage(r->command, NULL, "--%s takes no value", o->name);
        *o->flag = true;
        return CLI_GO;
    }
    if (equals)
        return take_value(r, o, equals + 1);
    /* A value that looks like an option is one that was forgotten. */
    if (r->next == r->argc || !strncmp(r->argv[r->next], "--", 2))
        return cli_usage(r->command, NULL, "--%s needs a value: --%s %s", o->name, o->name,
                         o->value);
    return take_value(r, o, r->argv[r->next++]);
}

static int add_operand(reader *r, const char *arg, const char **operand)
{
    if (!r->spec->operands[r->operands] && r->spec->rest) {
        list_add(r->spec->rest, arg);
        return CLI_GO;
    }
    if (!r->spec->operands[r->operands])
        return cli_usage(r->command, NULL, "%s has no place for \"%s\"", r->command, arg);
    operand[r->operands++] = arg;
    return CLI_GO;
}

static int check_operands(const reader *r)
{
    const char *missing = r->spec->operands[r->operands];
    if (missing && missing[0] != '[')
        return cli_usage(r->command, NULL, "%s needs %s: voxcl %s", r->command, missing,
                         r->spec->usage);
    return CLI_GO;
}

int cli_parse(const cli_spec *spec, int argc, char **argv, const char **operand)
{
    reader r = {.spec = spec, .command = argv[0], .argc = argc, .next = 1, .argv = argv};
    bool only_operands = false;
    int code = CLI_GO;
    for (size_t i = 0; spec->operands[i]; i++)
        operand[i] = NULL;
    while (code == CLI_GO && r.next < r.argc) {
        const char *arg = argv[r.next++];
        if (only_operands || !is_option(arg))
            code = add_operand(&r, arg, operand);
        else if (!strcmp(arg, "--"))
            only_operands = true;
        else if (!strcmp(arg, "-h") || !strcmp(arg, "--help")) {
            cli_help(spec);
            return CLI_DONE;
        } else if (arg[1] != '-')
            code = cli_usage(r.command, NULL, "%s has no option %s", r.command, arg);
        else
            code = read_option(&r, arg);
    }
    return code == CLI_GO ? check_operands(&r) : code;
}
