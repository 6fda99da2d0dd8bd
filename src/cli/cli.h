/* cli.h - what the subcommands share: options, messages, tables, the progress
 * bar, signals.
 *
 * One invariant: the command line is a client of voxcl.h (and of jansson for
 * JSON) and of nothing else in the tree.
 *
 * A subcommand is int cmd_<name>(int argc, char **argv) in <name>.c, argv[0]
 * being its name; it returns the exit code.  Results go to standard output,
 * errors and log lines to standard error. */
#ifndef VOX_CLI_H
#define VOX_CLI_H

#include "voxcl.h"

#include <stdio.h>

#if defined(__GNUC__)
#define CLI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define CLI_PRINTF(fmt, args)
#endif

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

int cmd_bench(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_devices(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_synth(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_tune(int argc, char **argv);

/* ---- options ------------------------------------------------------------ */

/* Words given to a repeatable option; zero-initialise, items are borrowed from
 * argv, cli_list_release frees the array. */
typedef struct cli_list {
    const char **item; /* [count] */
    size_t count, capacity;
} cli_list;

void cli_list_release(cli_list *list);

typedef struct cli_number {
    int64_t value; /* the default until the option is seen */
    int64_t min, max;
} cli_number;

/* One option; exactly one of the pointers says what it fills. */
typedef struct cli_option {
    const char *name;  /* "json" stands for --json */
    const char *value; /* what help calls its value ("DIR"); NULL: a flag */
    const char *help;  /* one line, lower case */
    bool *flag;        /* set to true */
    const char **text; /* set to the value; the last one given counts */
    cli_number *number;
    cli_list *list; /* every value given, in order */
    bool many;      /* list only: takes all words up to the next option */
} cli_option;

typedef struct cli_spec {
    const char *usage;           /* "train EXP [options]" */
    const char *about;           /* what it does, for --help */
    const char *const *operands; /* "EXP", "[DIR]" (optional), NULL at the end */
    const cli_option *options;   /* ends with a NULL name */
    const char *more;            /* more text for --help, or NULL */
    cli_list *rest;              /* takes the operands past those named; NULL: there are none */
} cli_spec;

/* Options that several commands have, as items of a list of cli_option. */
#define CLI_DEVICES_OPTION(v)                                                                      \
    {                                                                                              \
        .name = "devices", .value = "WHICH", .text = &(v),                                         \
        .help = "all, cpu, gpu, numbers like 0,2, part of a name; /N: in N parts (all)"            \
    }
#define CLI_SET_OPTION(v)                                                                          \
    {                                                                                              \
        .name = "set", .value = "KEY=VALUE", .list = &(v),                                         \
        .help = "override a key of the experiment; repeatable"                                     \
    }
#define CLI_JSON_OPTION(v)                                                                         \
    {                                                                                              \
        .name = "json", .flag = &(v), .help = "print JSON"                                         \
    }

enum { CLI_GO = -1 };

/* Reads argv[1..].  operand has room for every name in spec->operands; those not
 * given become NULL.  Takes --name value, --name=value, -- (no options after it)
 * and -h or --help.  Returns CLI_GO, or the exit code to leave with: help was
 * printed, or a complaint. */
int cli_parse(const cli_spec *spec, int argc, char **argv, const char **operand);

/* The help cli_parse prints; for commands that read argv themselves. */
void cli_help(const cli_spec *spec);

/* The candidate nearest to word by edit distance, or NULL when none is near.
 * candidates ends with NULL. */
const char *cli_nearest(const char *word, const char *const *candidates);

/* ---- methods.c: --tune, --budget, --workspace, --algo ------------------- */

typedef struct cli_methods {
    const char *tune; /* off, quick or full; NULL: off */
    const char *algo;
    cli_number budget, workspace; /* seconds, MiB; 0: the default */
} cli_methods;

#define CLI_METHODS_INIT                                                                           \
    {                                                                                              \
        .budget = {.value = 0, .min = 1, .max = 1000000}, .workspace = {                           \
            .value = 0,                                                                            \
            .min = 1,                                                                              \
            .max = 1 << 30                                                                         \
        }                                                                                          \
    }

/* The options, as items of a list of cli_option. */
#define CLI_METHODS_OPTIONS(m)                                                                     \
    {.name = "tune",                                                                               \
     .value = "HOW",                                                                               \
     .text = &(m).tune,                                                                            \
     .help = "off: methods by rule; quick, full: by measured times (off)"},                        \
        {.name = "budget",                                                                         \
         .value = "S",                                                                             \
         .number = &(m).budget,                                                                    \
         .help = "seconds for measuring (60)"},                                                    \
        {.name = "workspace",                                                                      \
         .value = "MIB",                                                                           \
         .number = &(m).workspace,                                                                 \
         .help = "most memory of a method's own (a quarter of it)"},                               \
    {                                                                                              \
        .name = "algo", .value = "OP=ALGO,...", .text = &(m).algo,                                 \
        .help = "force methods: conv=naive,dense=gemm"                                             \
    }

/* Returns CLI_GO, or the exit code after a complaint. */
int cli_methods_get(vox_methods *out, const cli_methods *m, const char *command);

/* ---- segmenting.c: --overlap and --mirror, which predict and eval share --- */

#define CLI_OVERLAP_OPTION(v)                                                                      \
    {                                                                                              \
        .name = "overlap", .value = "SHARE", .text = &(v),                                         \
        .help = "that neighbouring windows have in common (0.5)"                                   \
    }
#define CLI_MIRROR_OPTION(v)                                                                       \
    {                                                                                              \
        .name = "mirror", .value = "AXES", .text = &(v),                                           \
        .help = "average over mirror images: all, trained, or some of dhw (none)"                  \
    }

/* text NULL: the default.  Returns CLI_GO, or the exit code after a complaint. */
int cli_overlap_get(double *out, const char *text, const char *command);

/* ---- messages ----------------------------------------------------------- */

/* "voxcl: error: ..." with its detail and hint; returns the exit code: CLI_USAGE
 * for VOX_ERR_USAGE, else CLI_FAILED. */
int cli_error(const vox_error *err);
int cli_error_code(const vox_error *err); /* its exit code; prints nothing */
/* Of one process of several: rank 0 tells of what all know of, else the one that it happened to. */
int cli_hosts_error(const vox_hosts *hosts, const vox_error *err);

/* A complaint about the command line, with a pointer to `voxcl COMMAND --help`
 * (command may be NULL) or the hint given; returns CLI_USAGE. */
int cli_usage(const char *command, const char *hint, const char *fmt, ...) CLI_PRINTF(3, 4);

/* Sends the library's log to standard error.  VOXCL_LOG=debug|info|warn says from
 * which level on (info). */
void cli_log_start(void);

/* Flushes standard output: code, or CLI_FAILED after a complaint when what was
 * printed did not get there (a full disk). */
int cli_finish(int code);

/* ---- numbers for people; each fills and returns text --------------------- */

enum { CLI_TEXT = 32 };
const char *cli_bytes(char text[CLI_TEXT], uint64_t bytes);    /* "1.5 GiB" */
const char *cli_count(char text[CLI_TEXT], int64_t n);         /* "12,519,173" */
const char *cli_si(char text[CLI_TEXT], double x);             /* "3.21 G" */
const char *cli_duration(char text[CLI_TEXT], double seconds); /* "1:02:03", "4:05" */
const char *cli_number_or_dash(char text[CLI_TEXT], double x); /* "0.9312", "-" for NaN */

/* ---- tables ------------------------------------------------------------- */

/* A table is collected and printed when its widths are known; zero-initialise
 * all but the header.  Columns are left-aligned, or right-aligned where the
 * header word starts with '>' (which is not printed). */
typedef struct cli_table {
    const char *const *header; /* NULL at the end */
    char **cell;               /* owned */
    size_t count, capacity;
} cli_table;

/* The next cell, row by row.  Running out of memory ends the program, as it
 * cannot show anything any more. */
void cli_cell(cli_table *t, const char *fmt, ...) CLI_PRINTF(2, 3);
/* Prints it, each line after `indent`, and releases it. */
void cli_table_print(cli_table *t, const char *indent);

/* [truth][predicted] counts as a table. */
void cli_confusion_print(const int64_t *counts, int64_t classes);
/* Each class's Dice, the first one left out. */
void cli_class_dice_print(const double *dice, const char (*name)[32], int64_t classes);

/* ---- the progress bar ---------------------------------------------------- */

/* Draws or redraws the bar at the last line of standard output when that is a
 * terminal; else does nothing and returns false.  left_s: what is left, NaN if unknown. */
bool cli_bar(int64_t done, int64_t total, double left_s, const char *text);
/* Prints a line above the bar if there is one. */
void cli_line(const char *fmt, ...) CLI_PRINTF(1, 2);
/* Removes the bar. */
void cli_bar_end(void);

/* ---- signals ------------------------------------------------------------ */

/* From here on SIGINT, SIGTERM and SIGHUP end the program with a message and 128 + the signal: for
 * all the time in which there is nothing to save. */
void cli_quit_on_signals(void);
/* From here on the first SIGINT, SIGTERM or SIGHUP only asks to stop (cli_stopped) and the
 * second kills; a closed pipe on standard output no longer does.  text answers the
 * first one, on standard error; NULL: nothing does. */
void cli_catch_signals(const char *text);
bool cli_stopped(void *user); /* fits vox_train_options.should_stop */
int cli_stop_code(void);      /* 128 + the signal: 130, 143, 129; 130: none came here */

/* ---- bench ---- */

/* Shows or prints a benchmark's document and frees it; gives the exit code. */
int cli_show_document(char *document, bool json);
int cmd_bench_scaling(int argc, char **argv);

#endif
