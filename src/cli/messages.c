/* messages.c - errors, the log, and numbers for people. */
#include "cli.h"
#include "screen.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Prints text after `label`, its further lines (a compiler's log) under it. */
static void print_indented(const char *label, const char *text)
{
    if (!text[0])
        return;
    fprintf(stderr, "  %s: ", label);
    for (; *text; text++) {
        fputc(*text, stderr);
        if (*text == '\n' && text[1])
            fputs("    ", stderr);
    }
    fputc('\n', stderr);
}

static int print_error(const char *who, const vox_error *err)
{
    cli_screen_lock();
    fprintf(stderr, "voxcl: %serror: %s\n", who, err->message[0] ? err->message : "unknown error");
    print_indented("detail", err->detail);
    print_indented("hint", err->hint);
    cli_screen_unlock();
    return cli_error_code(err);
}

int cli_error_code(const vox_error *err)
{
    return err->code == VOX_ERR_USAGE ? CLI_USAGE : CLI_FAILED;
}

int cli_error(const vox_error *err)
{
    return print_error("", err);
}

int cli_hosts_error(const vox_hosts *hosts, const vox_error *err)
{
    char who[48];
    snprintf(who, sizeof who, "rank %zu: ", vox_hosts_rank(hosts));
    if (vox_hosts_alone(hosts))
        return print_error(who, err);
    return vox_hosts_rank(hosts) == 0 ? cli_error(err) : cli_error_code(err);
}

int cli_usage(const char *command, const char *hint, const char *fmt, ...)
{
    va_list args;
    fputs("voxcl: error: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    if (hint)
        fprintf(stderr, "  hint: %s\n", hint);
    else
        fprintf(stderr, "  hint: see \"voxcl %s%s--help\"\n", command ? command : "",
                command ? " " : "");
    return CLI_USAGE;
}

static void print_log(void *user, vox_log_level level, const char *line)
{
    const vox_log_level *from = user;
    if (level < *from)
        return;
    cli_screen_lock();
    fprintf(stderr, "voxcl: %s%s\n", level == VOX_LOG_WARN ? "warning: " : "", line);
    cli_screen_unlock();
}

void cli_log_start(void)
{
    static vox_log_level from = VOX_LOG_INFO;
    const char *wanted = getenv("VOXCL_LOG");
    if (wanted && !strcmp(wanted, "debug"))
        from = VOX_LOG_DEBUG;
    else if (wanted && !strcmp(wanted, "warn"))
        from = VOX_LOG_WARN;
    else if (wanted && wanted[0] && strcmp(wanted, "info"))
        fprintf(stderr, "voxcl: warning: VOXCL_LOG is \"%s\", not debug, info or warn\n", wanted);
    vox_log_set(print_log, &from);
}

int cli_finish(int code)
{
    errno = 0;
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    /* A reader who leaves a pipe early has seen enough: no error. */
    if (!lost || errno == EPIPE || code != CLI_DONE)
        return code;
    fprintf(stderr, "voxcl: error: cannot write to standard output\n");
    return CLI_FAILED;
}

const char *cli_bytes(char text[CLI_TEXT], uint64_t bytes)
{
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t i = 0;
    for (; value >= 1023.95 && i < 6; i++)
        value /= 1024;
    snprintf(text, CLI_TEXT, i == 0 ? "%.0f %s" : "%.1f %s", value, unit[i]);
    return text;
}

const char *cli_count(char text[CLI_TEXT], int64_t n)
{
    char digits[CLI_TEXT];
    size_t out = 0;
    int length = snprintf(digits, sizeof digits, "%" PRId64, n);
    for (int i = 0; i < length && out + 2 < CLI_TEXT; i++) {
        text[out++] = digits[i];
        int left = length - 1 - i;
        if (left > 0 && left % 3 == 0 && digits[i] != '-')
            text[out++] = ',';
    }
    text[out] = '\0';
    return text;
}

const char *cli_si(char text[CLI_TEXT], double x)
{
    static const char *const prefix[] = {"", " k", " M", " G", " T", " P"};
    size_t i = 0;
    for (; fabs(x) >= 999.5 && i < 5; i++)
        x /= 1000;
    snprintf(text, CLI_TEXT, "%.3g%s", x, prefix[i]);
    return text;
}

const char *cli_duration(char text[CLI_TEXT], double seconds)
{
    if (!(seconds >= 0 && seconds < 1e9)) {
        snprintf(text, CLI_TEXT, "-");
        return text;
    }
    int64_t s = (int64_t)(seconds + 0.5);
    if (s >= 3600)
        snprintf(text, CLI_TEXT, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60),
                 (int)(s % 60));
    else
        snprintf(text, CLI_TEXT, "%d:%02d", (int)(s / 60), (int)(s % 60));
    return text;
}

const char *cli_number_or_dash(char text[CLI_TEXT], double x)
{
    if (isnan(x))
        snprintf(text, CLI_TEXT, "-");
    else
        snprintf(text, CLI_TEXT, "%.4f", x);
    return text;
}
