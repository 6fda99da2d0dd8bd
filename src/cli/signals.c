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
    if (write(STDERR_FILENO, answer, strlen(answer)) < 0)
        return; /* nobody is reading; nothing to do about it here */
}

void cli_catch_signals(const char *text)
{
    snprintf(answer, sizeof answer, "\nvoxcl: %s\n", text);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction hangup; /* the terminal went away; under nohup it stays ignored */
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
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
    return caught ? 128 + (int)caught : CLI_FAILED;
}
