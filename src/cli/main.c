/* main.c - the table of subcommands, and what comes before one is chosen.
 *
 * A command is one line here and one file beside this one. */
#include "cli.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

typedef struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *about;
} command;

static const command commands[] = {
    {"bench", cmd_bench, "measure: voxcl bench KIND"},
    {"convert", cmd_convert, "convert an image, or say what it is"},
    {"devices", cmd_devices, "list OpenCL platforms and devices"},
    {"eval", cmd_eval, "a checkpoint's metrics on labelled data"},
    {"info", cmd_info, "a network's layers, FLOPs and memory"},
    {"predict", cmd_predict, "a checkpoint's answers for new images"},
    {"synth", cmd_synth, "write a labelled synthetic data set"},
    {"train", cmd_train, "train an experiment on every device chosen"},
    {"tune", cmd_tune, "measure ahead which methods are fastest"},
    {NULL, NULL, NULL},
};

static const command *find_command(const char *name)
{
    for (const command *c = commands; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[sizeof commands / sizeof *commands + 3] = {"help", "version"};
    char hint[128];
    size_t n = 2;
    for (const command *c = commands; c->name; c++)
        names[n++] = c->name;
    const char *near = cli_nearest(name, names);
    snprintf(hint, sizeof hint, "did you mean \"voxcl %s\"?", near ? near : "");
    return cli_usage(NULL, near ? hint : NULL, "there is no command \"%s\"", name);
}

static int print_help(void)
{
    printf("usage: voxcl COMMAND [arguments]\n\n"
           "Trains volumetric (3D) neural networks on every OpenCL device at once.\n\n"
           "commands:\n");
    for (const command *c = commands; c->name; c++)
        printf("  %-9s %s\n", c->name, c->about);
    printf("  %-9s %s\n", "help", "help for a command: voxcl help COMMAND");
    printf("\n"
           "  --version prints the version; every command takes --help.\n\n"
           "environment:\n"
           "  VOXCL_CACHE_DIR    where built kernels and prepared cases are kept\n"
           "  VOXCL_KERNEL_DIR   a folder of .cl files to use instead of the built-in ones\n"
           "  VOXCL_KERNEL_CACHE off: build kernels anew, keep nothing\n"
           "  VOXCL_LOG          debug, info or warn: how much is said on standard error\n\n"
           "exit codes: 0 done, 1 failed, 2 wrong usage, 130 or 143 interrupted after saving\n");
    return CLI_DONE;
}

static int print_version(void)
{
    printf("voxcl %s\n", vox_version());
    return CLI_DONE;
}

static int help_for(const char *name)
{
    char help[] = "--help";
    const command *c = find_command(name);
    if (!c)
        return unknown_command(name);
    char own[32];
    snprintf(own, sizeof own, "%s", c->name);
    return c->run(2, (char *[]){own, help, NULL});
}

static bool is_word(const char *arg, const char *a, const char *b)
{
    return !strcmp(arg, a) || !strcmp(arg, b);
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2)
        return cli_usage(NULL, NULL, "a command is missing");
    const char *name = argv[1];
    if (is_word(name, "--help", "-h"))
        return print_help();
    if (is_word(name, "--version", "version"))
        return print_version();
    if (!strcmp(name, "help"))
        return argc > 2 ? help_for(argv[2]) : print_help();
    if (name[0] == '-')
        return cli_usage(NULL, NULL, "there is no option %s before a command", name);
    const command *c = find_command(name);
    return c ? c->run(argc - 1, argv + 1) : unknown_command(name);
}

/* What is written to a closed standard output must not end up in a file that was opened since and
 * got its number.  Opened the wrong way round, so that the complaint about it stays. */
static void hold_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(CLI_FAILED);
}

int main(int argc, char **argv)
{
    hold_standard_files();
    signal(SIGXFSZ, SIG_IGN); /* a file over the limit is a failed write, said and cleaned up */
    cli_quit_on_signals();
    cli_log_start();
    return cli_finish(dispatch(argc, argv));
}
