/* screen.c - the progress bar, lines above it, and tables.
 *
 * One invariant: the bar exists only on a terminal, is always the last line, and
 * is written under the lock. */
#include "screen.h"
#include "cli.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char bar[512]; /* what is drawn; empty: no bar */

/* A terminal without a width is none: Open MPI gives every process such a one, also when mpirun
 * itself writes to a file. */
static bool on_terminal(void)
{
    static int known = -1;
    if (known < 0) {
        const char *term = getenv("TERM");
        struct winsize size;
        known = isatty(STDOUT_FILENO) && term && strcmp(term, "dumb") != 0 &&
                ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    }
    return known == 1;
}

static void erase(void)
{
    if (bar[0])
        fputs("\r\033[K", stdout);
    fflush(stdout);
}

void cli_screen_lock(void)
{
    pthread_mutex_lock(&lock);
    erase();
}

void cli_screen_unlock(void)
{
    if (bar[0]) {
        fputs(bar, stdout);
        fflush(stdout);
    }
    pthread_mutex_unlock(&lock);
}

static size_t screen_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20)
        return size.ws_col < sizeof bar ? size.ws_col - 1U : sizeof bar - 1;
    return 79;
}

/* Not more than ten times a second: steps may take a millisecond. */
static bool too_soon(void)
{
    static double last = -1;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    double now = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    if (last >= 0 && now - last < 0.1)
        return true;
    last = now;
    return false;
}

bool cli_bar(int64_t done, int64_t total, double left_s, const char *text)
{
    char left[CLI_TEXT], cells[25];
    if (!on_terminal())
        return false;
    if (done != total && too_soon())
        return true;
    int filled = total > 0 ? (int)((double)done / (double)total * 24) : 0;
    for (int i = 0; i < 24; i++)
        cells[i] = i < filled ? '#' : '.';
    cells[24] = '\0';
    pthread_mutex_lock(&lock);
    erase();
    bool known = !isnan(left_s);
    snprintf(bar, screen_width() + 1, "[%s] %" PRId64 "/%" PRId64 "%s%s%s  %s", cells, done, total,
             known ? ", " : "", known ? cli_duration(left, left_s) : "", known ? " left" : "",
             text);
    cli_screen_unlock();
    return true;
}

void cli_bar_end(void)
{
    pthread_mutex_lock(&lock);
    erase();
    bar[0] = '\0';
    pthread_mutex_unlock(&lock);
}

void cli_line(const char *fmt, ...)
{
    va_list args;
    cli_screen_lock();
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
    cli_screen_unlock();
}

/* ---- tables ------------------------------------------------------------- */

static void no_memory(void)
{
    fprintf(stderr, "voxcl: error: out of memory\n");
    exit(CLI_FAILED);
}

void cli_cell(cli_table *t, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 64;
        char **cell = realloc(t->cell, capacity * sizeof *cell);
        if (!cell)
            no_memory();
        t->cell = cell;
        t->capacity = capacity;
    }
    char *copy = strdup(text);
    if (!copy)
        no_memory();
    t->cell[t->count++] = copy;
}

/* Letters on the screen: UTF-8 continuation bytes take no place. */
static size_t letters(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static size_t column_width(const cli_table *t, size_t columns, size_t column)
{
    const char *head = t->header[column];
    size_t width = letters(head[0] == '>' ? head + 1 : head);
    for (size_t i = column; i < t->count; i += columns) {
        size_t w = letters(t->cell[i]);
        width = w > width ? w : width;
    }
    return width;
}

static void print_cell(const char *text, size_t width, bool right, bool last)
{
    int pad = (int)(width - letters(text));
    if (right)
        printf("%*s%s", pad, "", text);
    else
        printf("%s%*s", text, last ? 0 : pad, "");
    fputs(last ? "\n" : "  ", stdout);
}

static void print_row(const cli_table *t, char *const *cell, const size_t *width, size_t columns)
{
    for (size_t c = 0; c < columns; c++) {
        const char *head = t->header[c];
        bool right = head[0] == '>';
        print_cell(cell ? cell[c] : head + right, width[c], right, c + 1 == columns);
    }
}

void cli_table_print(cli_table *t, const char *indent)
{
    size_t columns = 0;
    while (t->header[columns])
        columns++;
    size_t *width = calloc(columns, sizeof *width);
    if (!width)
        no_memory();
    for (size_t c = 0; c < columns; c++)
        width[c] = column_width(t, columns, c);
    fputs(indent, stdout);
    print_row(t, NULL, width, columns);
    for (size_t row = 0; row + columns <= t->count; row += columns) {
        fputs(indent, stdout);
        print_row(t, t->cell + row, width, columns);
    }
    for (size_t i = 0; i < t->count; i++)
        free(t->cell[i]);
    free(t->cell);
    free(width);
    t->cell = NULL;
    t->count = t->capacity = 0;
}

void cli_confusion_print(const int64_t *counts, int64_t classes)
{
    const char *header[64 + 2] = {"truth \\ predicted"};
    char name[64][CLI_TEXT];
    for (int64_t c = 0; c < classes && c < 64; c++) {
        snprintf(name[c], CLI_TEXT, ">%" PRId64, c);
        header[c + 1] = name[c];
    }
    cli_table t = {.header = header};
    for (int64_t row = 0; row < classes && row < 64; row++) {
        cli_cell(&t, "%" PRId64, row);
        for (int64_t c = 0; c < classes && c < 64; c++)
            cli_cell(&t, "%" PRId64, counts[row * classes + c]);
    }
    cli_table_print(&t, "  ");
}

void cli_class_dice_print(const double *dice, const char (*name)[32], int64_t classes)
{
    char text[CLI_TEXT];
    for (int64_t c = 1; classes > 2 && c < classes && c < 64; c++)
        printf("  %-16s %s\n", name[c], cli_number_or_dash(text, dice[c]));
}
