/* train.c - voxcl train: trains, and tells the person watching how it goes. */
#include "cli.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct watch {
    int64_t step, steps;
    bool seen; /* a step was reported; the first was: */
    int64_t first;
    double first_s;
    double last_line_s;
    char checkpoint[1024];
} watch;

/* Without a terminal: a line for the first and last step, each twentieth of the
 * way, and at least one in 20 seconds. */
static bool wants_line(const watch *w, const vox_event *e)
{
    int64_t part = e->steps / 20 > 0 ? e->steps / 20 : 1;
    return !w->seen || e->step == e->steps || e->step % part == 0 ||
           e->time_s - w->last_line_s >= 20;
}

/* From this process's own steps but the first, in which kernels are built. */
static double seconds_left(const watch *w, const vox_event *e)
{
    if (!w->seen || e->step <= w->first)
        return (double)NAN;
    return (e->time_s - w->first_s) / (double)(e->step - w->first) * (double)(e->steps - e->step);
}

static void on_step(watch *w, const vox_event *e)
{
    char text[256], left[CLI_TEXT];
    double left_s = seconds_left(w, e);
    snprintf(text, sizeof text, "epoch %" PRId64 "  loss %.4f  lr %.3g  %.1f samples/s", e->epoch,
             e->loss, e->lr, e->samples_per_s);
    if (!cli_bar(e->step, e->steps, left_s, text) && wants_line(w, e)) {
        bool known = !isnan(left_s);
        cli_line("step %" PRId64 "/%" PRId64 "  %s%s%s%s", e->step, e->steps, text,
                 known ? "  " : "", known ? cli_duration(left, left_s) : "", known ? " left" : "");
        w->last_line_s = e->time_s;
    }
    if (!w->seen) {
        w->first = e->step;
        w->first_s = e->time_s;
    }
    w->seen = true;
    w->step = e->step;
    w->steps = e->steps;
}

/* "Dice 0.861 (anterior 0.866, posterior 0.856)" */
static void on_valid_maps(const vox_event *e)
{
    char loss[CLI_TEXT], dice[CLI_TEXT], each[400] = "", one[CLI_TEXT];
    size_t used = 0;
    for (int64_t c = 1; e->classes > 2 && c < e->classes && used < sizeof each; c++)
        used += (size_t)snprintf(each + used, sizeof each - used, "%s%s %s", c > 1 ? ", " : " (",
                                 e->class_name[c], cli_number_or_dash(one, e->class_dice[c]));
    cli_line("step %" PRId64 "/%" PRId64 "  held-out loss %s  Dice %s%s%s", e->step, e->steps,
             cli_number_or_dash(loss, e->loss), cli_number_or_dash(dice, e->dice), each,
             used ? ")" : "");
}

static void on_valid(const vox_event *e)
{
    if (e->class_dice) {
        on_valid_maps(e);
        return;
    }
    char loss[CLI_TEXT], accuracy[CLI_TEXT], auc[CLI_TEXT], kappa[CLI_TEXT];
    cli_line("step %" PRId64 "/%" PRId64 "  held-out loss %s  accuracy %s  AUC %s  kappa %s",
             e->step, e->steps, cli_number_or_dash(loss, e->loss),
             cli_number_or_dash(accuracy, e->accuracy), cli_number_or_dash(auc, e->auc),
             cli_number_or_dash(kappa, e->kappa));
}

/* Several lines, the last one ending like the others. */
static void print_start(const char *text)
{
    size_t length = strlen(text);
    cli_line("%.*s", (int)(length - (length && text[length - 1] == '\n')), text);
}

static void on_event(void *user, const vox_event *e)
{
    watch *w = user;
    switch (e->kind) {
    case VOX_EVENT_START:
        print_start(e->text ? e->text : "");
        break;
    case VOX_EVENT_STEP:
        on_step(w, e);
        break;
    case VOX_EVENT_VALID:
        on_valid(e);
        break;
    case VOX_EVENT_CHECKPOINT:
        snprintf(w->checkpoint, sizeof w->checkpoint, "%s", e->text ? e->text : "");
        break;
    }
}

static void print_metrics(const vox_train_result *r)
{
    char a[CLI_TEXT], b[CLI_TEXT];
    if (r->maps) {
        printf("held-out Dice      %s", cli_number_or_dash(a, r->dice));
        printf(" (best checkpoint; the last one %s)\n", cli_number_or_dash(b, r->last_dice));
        printf("held-out loss      %s\n", cli_number_or_dash(a, r->valid_loss));
        printf("voxels' accuracy   %s\n", cli_number_or_dash(a, r->accuracy));
        cli_class_dice_print(r->class_dice, r->class_name, r->classes);
        return;
    }
    printf("held-out accuracy  %s", cli_number_or_dash(a, r->accuracy));
    printf(" (best checkpoint; the last one %s)\n", cli_number_or_dash(b, r->last_accuracy));
    printf("held-out loss      %s\n", cli_number_or_dash(a, r->valid_loss));
    printf("AUC, one vs rest   %s\n", cli_number_or_dash(a, r->auc));
    printf("kappa, quadratic   %s\n", cli_number_or_dash(a, r->kappa));
    if (r->classes > 0) {
        printf("confusion matrix\n");
        cli_confusion_print(r->confusion, r->classes);
    }
}

static void print_seconds(cli_table *t, double seconds, double wall)
{
    cli_cell(t, "%.1f s", seconds);
    cli_cell(t, "%.0f %%", wall > 0 ? 100 * seconds / wall : 0);
}

/* Seconds, and their share of the time. */
static void print_usage(const vox_train_result *r)
{
    static const char *const header[] = {"device", ">samples", ">compute", ">",       ">transfer",
                                         ">",      ">reduce",  ">",        ">update", ">",
                                         ">wait",  ">",        NULL};
    cli_table table = {.header = header};
    if (r->devices == 0)
        return;
    printf("\nwhere the devices' time went, in the steps after the first (%.1f s; between steps "
           "%.1f s)\n",
           r->device[0].wall_s, r->between_s);
    for (size_t i = 0; i < r->devices; i++) {
        const vox_device_usage *u = &r->device[i];
        cli_cell(&table, "%.48s", u->name);
        cli_cell(&table, "%" PRId64, u->samples);
        print_seconds(&table, u->compute_s, u->wall_s);
        print_seconds(&table, u->transfer_s, u->wall_s);
        print_seconds(&table, u->reduce_s, u->wall_s);
        print_seconds(&table, u->update_s, u->wall_s);
        print_seconds(&table, u->wait_s, u->wall_s);
    }
    cli_table_print(&table, "  ");
    if (r->data_s > 0.02 * r->device[0].wall_s && r->data_s >= 0.05)
        printf("  of the wait, %.1f s were for data to be read\n", r->data_s);
}

static void print_summary(const vox_train_result *r)
{
    char a[CLI_TEXT];
    printf("\nrun                %s\n", r->run_dir);
    printf("steps              %" PRId64 " in %s\n", r->steps, cli_duration(a, r->time_s));
    printf("training loss      %s (the last step)\n", cli_number_or_dash(a, r->train_loss));
    if (r->staleness_bound >= 0)
        printf("staleness          %.2f updates late, at most %" PRId64 " (bound %" PRId64 ")\n",
               r->staleness, r->staleness_most, r->staleness_bound);
    if (r->validated)
        print_metrics(r);
    else
        printf("held-out           not measured: the experiment has no data.valid\n");
    for (size_t i = 0; i < r->lost && i < sizeof r->gone / sizeof *r->gone; i++)
        printf("%-18s %s, lost at step %" PRId64 ": %s\n", i ? "" : "devices", r->gone[i].device,
               r->gone[i].step, r->gone[i].reason);
    if (r->lost)
        printf("%-18s %zu of %zu were left at the end\n", "", r->all_devices - r->lost,
               r->all_devices);
    if (r->bad_cases)
        printf("skipped            %zu bad cases, listed above\n", r->bad_cases);
    print_usage(r);
}

/* A word as a shell takes it. */
static void print_word(const char *word)
{
    if (word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                          "-_=+.,/:@%")] == '\0' &&
        word[0]) {
        printf(" %s", word);
        return;
    }
    printf(" '");
    for (; *word; word++)
        if (*word == '\'')
            printf("'\\''");
        else
            putchar(*word);
    putchar('\'');
}

/* Whether the word is that option, alone or with its value behind "=". */
static bool is_option(const char *word, const char *option)
{
    const size_t n = strlen(option);
    return strncmp(word, option, n) == 0 && (word[n] == '\0' || word[n] == '=');
}

/* The same command once more, with --run and --resume; what was traced stays as it is. */
static void print_resume(int argc, char **argv, const char *run_dir)
{
    printf("resume with: voxcl train");
    for (int i = 1; i < argc; i++) {
        if (is_option(argv[i], "--run") || is_option(argv[i], "--trace") ||
            is_option(argv[i], "--trace-steps"))
            i += strchr(argv[i], '=') == NULL;
        else if (strcmp(argv[i], "--resume") != 0)
            print_word(argv[i]);
    }
    printf(" --run");
    print_word(run_dir);
    printf(" --resume\n");
}

static int interrupted(const watch *w, const vox_error *err, int argc, char **argv)
{
    char run_dir[sizeof w->checkpoint];
    snprintf(run_dir, sizeof run_dir, "%s", w->checkpoint);
    char *slash = strrchr(run_dir, '/');
    if (!slash) {
        cli_error(err);
        return cli_stop_code();
    }
    *slash = '\0';
    printf("interrupted after step %" PRId64 " of %" PRId64 "; saved %s\n", w->step, w->steps,
           w->checkpoint);
    print_resume(argc, argv, run_dir);
    return cli_stop_code();
}

static int run(const vox_experiment *exp, vox_ctx *ctx, vox_train_options *opt, int argc,
               char **argv)
{
    static vox_train_result result; /* 32 KiB */
    vox_error err = {0};
    watch w = {0};
    opt->on_event = on_event;
    opt->should_stop = cli_stopped;
    opt->user = &w;
    const bool leads = vox_hosts_rank(opt->hosts) == 0;
    cli_catch_signals(leads ? "finishing this step and saving; once more to quit without saving"
                            : NULL);
    vox_status status = vox_train(exp, ctx, opt, &result, &err);
    int code = CLI_DONE;
    cli_bar_end();
    if (status == VOX_ERR_INTERRUPTED)
        code = leads ? interrupted(&w, &err, argc, argv) : cli_stop_code();
    else if (status != VOX_OK)
        code = cli_hosts_error(opt->hosts, &err);
    else if (leads)
        print_summary(&result);
    if (result.hangs) { /* a driver's own cleaning up might wait for its device for ever */
        vox_hosts *hosts = opt->hosts;
        vox_hosts_free(&hosts); /* or mpirun takes this for a crash */
        _exit(cli_finish(code));
    }
    return code;
}

/* text NULL: the default. */
static int get_sync(vox_sync *out, const char *text)
{
    static const char *const words[] = {
        [VOX_SYNC_TREE] = "tree", [VOX_SYNC_SERVER] = "server", [VOX_SYNC_ASYNC] = "async", NULL};
    char hint[64];
    int i = 0;
    while (text && words[i] && strcmp(words[i], text) != 0)
        i++;
    if (words[i]) {
        *out = (vox_sync)i;
        return CLI_GO;
    }
    const char *near = cli_nearest(text, words);
    snprintf(hint, sizeof hint, "did you mean --sync %s?", near ? near : "");
    return cli_usage("train", near ? hint : NULL, "--sync takes tree, server or async, not \"%s\"",
                     text);
}

/* Ranks that share a host share out its devices, if there are enough and none were named: rank i of
 * n takes every n-th from i on.  The list, or NULL: all; free it. */
static vox_status own_devices(char **list, const vox_hosts *hosts, vox_error *err)
{
    size_t ranks, own = vox_hosts_local(hosts, &ranks), usable = 0, used = 0;
    vox_device_list *devices = NULL;
    *list = NULL;
    if (ranks == 1)
        return VOX_OK;
    vox_status s = vox_device_list_open(&devices, err);
    for (size_t i = 0; s == VOX_OK && i < devices->count; i++)
        usable += devices->device[i].usable;
    if (s == VOX_OK && usable >= ranks && !(*list = calloc(usable, 16)))
        s = VOX_ERR_MEMORY;
    for (size_t i = 0, k = 0; s == VOX_OK && *list && i < devices->count; i++)
        if (devices->device[i].usable && k++ % ranks == own)
            used += (size_t)snprintf(*list + used, 16, "%s%d", used ? "," : "",
                                     devices->device[i].index);
    vox_device_list_free(&devices);
    return s;
}

static vox_status open_job(vox_experiment **exp, vox_ctx **ctx, const char *path,
                           const cli_list *set, const char *devices, const vox_hosts *hosts,
                           vox_error *err)
{
    char *own = NULL;
    vox_status s = vox_experiment_open(exp, path, set->item, set->count, err);
    if (s == VOX_OK && !devices)
        s = own_devices(&own, hosts, err);
    if (s == VOX_OK)
        s = vox_ctx_open(ctx, devices ? devices : own, err);
    free(own);
    return s;
}

static int open_and_run(const char *path, const cli_list *set, const char *devices,
                        vox_train_options *opt, int argc, char **argv)
{
    vox_error err = {0};
    vox_experiment *exp = NULL;
    vox_ctx *ctx = NULL;
    vox_hosts *hosts = NULL;
    int code;
    if (vox_hosts_open(&hosts, &err) != VOX_OK)
        return cli_error(&err);
    opt->hosts = hosts;
    if (vox_hosts_rank(hosts) > 0)
        vox_log_set(NULL, NULL); /* rank 0 speaks for all */
    vox_status s = open_job(&exp, &ctx, path, set, devices, hosts, &err);
    if (vox_hosts_agree(hosts, s, &err) != VOX_OK)
        code = cli_hosts_error(hosts, &err);
    else
        code = run(exp, ctx, opt, argc, argv);
    vox_ctx_free(&ctx);
    vox_experiment_free(&exp);
    vox_hosts_free(&hosts);
    return code;
}

int cmd_train(int argc, char **argv)
{
    vox_train_options opt = {0};
    const char *path, *devices = NULL, *sync = NULL;
    cli_list set = {0};
    cli_number hang = {.value = 0, .min = 1, .max = 1000000};
    cli_methods chosen = CLI_METHODS_INIT;
    cli_number staleness = {.value = -1, .min = 0, .max = 1000000};
    cli_number trace_steps = {.value = 0, .min = 1, .max = INT64_MAX};
    cli_number bucket = {.value = 0, .min = 1, .max = 1 << 30};
    const cli_option options[] = {
        {.name = "data",
         .value = "DIR",
         .text = &opt.data_dir,
         .help = "folder that the experiment's data paths are relative to"},
        {.name = "run",
         .value = "DIR",
         .text = &opt.run_dir,
         .help = "where the run is written (runs/NAME-DATE)"},
        CLI_DEVICES_OPTION(devices),
        {.name = "shard",
         .value = "HOW",
         .text = &opt.shard,
         .help = "shares of a batch: auto (by speed), equal, or weights 3,2,1 (auto)"},
        {.name = "hang-timeout",
         .value = "S",
         .number = &hang,
         .help = "seconds after which a device counts as lost (60, or 50 times its share's)"},
        {.name = "init",
         .value = "FILE",
         .text = &opt.init,
         .help = "safetensors file with initial weights"},
        {.name = "resume", .flag = &opt.resume, .help = "continue the run in --run DIR"},
        {.name = "trace",
         .value = "FILE",
         .text = &opt.trace,
         .help = "write every kernel, copy and wait, for ui.perfetto.dev (JSON)"},
        {.name = "trace-steps",
         .value = "N",
         .number = &trace_steps,
         .help = "only of the first N steps (as many as 128 MiB hold)"},
        {.name = "bucket",
         .value = "BYTES",
         .number = &bucket,
         .help = "of gradients that are summed at a time while others are computed (4194304)"},
        {.name = "whole-gradients",
         .flag = &opt.whole_gradients,
         .help = "sum those of large dense layers too, instead of sending their factors"},
        {.name = "sync",
         .value = "HOW",
         .text = &sync,
         .help = "gradients of several devices: tree, server or async (tree)"},
        {.name = "staleness",
         .value = "K",
         .number = &staleness,
         .help = "async: updates that gradients may be late (4 a device but the first)"},
        CLI_METHODS_OPTIONS(chosen),
        CLI_SET_OPTION(set),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "train EXP [options]",
        .about =
            "Trains an experiment on every device chosen. The first Ctrl-C (or SIGTERM) finishes\n"
            "the step, saves and exits 130 (143); --resume then continues as if it had not been.",
        .operands = (const char *const[]){"EXP", NULL},
        .options = options,
        .more =
            "The run's folder holds experiment.yaml (as run), metrics.jsonl (one object per step\n"
            "and per validation), last.safetensors, best.safetensors and usage.json (where the\n"
            "devices' time went); with --tune on also tuning.txt, the measured times it goes by, "
            "also when it is resumed.\n\n"
            "example: voxcl train models/prostatex-alexnet3d.yaml --data DIR --set train.batch=8",
    };
    int code = cli_parse(&spec, argc, argv, &path);
    if (code == CLI_GO && opt.resume && !opt.run_dir)
        code = cli_usage("train", "add --run DIR, the folder of the run to continue",
                         "--resume needs --run");
    if (code == CLI_GO && opt.resume && opt.init)
        code = cli_usage("train", "leave one of them away",
                         "--resume and --init both say where the weights come from");
    opt.trace_steps = trace_steps.value;
    if (code == CLI_GO && opt.trace_steps && !opt.trace)
        code = cli_usage("train", "add --trace FILE, where to write it",
                         "--trace-steps needs --trace");
    opt.hang_timeout_s = (double)hang.value;
    if (code == CLI_GO)
        code = cli_methods_get(&opt.methods, &chosen, "train");
    opt.bucket_bytes = (size_t)bucket.value;
    if (code == CLI_GO)
        code = get_sync(&opt.sync, sync);
    opt.staleness = staleness.value;
    opt.staleness_set = staleness.value >= 0;
    if (code == CLI_GO)
        code = open_and_run(path, &set, devices, &opt, argc, argv);
    cli_list_release(&set);
    return code;
}
