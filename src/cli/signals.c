/* signals.c - stopping politely: the first signal asks, the second kills. */
#include "cli.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t caught;
static char answer[128]; /* what the first signal is answered with */

static void on_signal(int number)
{
    caught = number;
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    if (answer[0] && write(STDERR_FILENO, answer, strlen(answer)) < 0)
        return; /* nobody is reading; nothing to do about it here */
}

/* Only what a handler may do. */
static void on_signal_before(int number)
{
    static const char text[] = "\nvoxcl: interrupted\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(128 + number);
    _exit(128 + number);
}

static bool is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) != 0 || now.sa_handler == SIG_IGN;
}

void cli_quit_on_signals(void)
{
    static const int number[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal_before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        if (!is_ignored(number[i])) /* by nohup, or a script's background job */
            sigaction(number[i], &action, NULL);
}

void cli_catch_signals(const char *text)
{
    if (text)
        snprintf(answer, sizeof answer, "\nvoxcl: %s\n", text);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (!is_ignored(SIGHUP)) /* the terminal went away; under nohup it stays ignored */
        sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool cli_stopped(void *user)
{
    (void)user;
    return caught != 0;
}

int cli_stop_code(void)
{
    return 128 + (caught ? (int)caught : SIGINT); /* another process of the job was signalled */
}
