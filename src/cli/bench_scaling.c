/* bench_scaling.c - voxcl bench scaling: what more devices bring. */
#include "cli.h"

typedef struct scaling_words {
    const char *devices, *data, *png;
    cli_number steps, share, most, per_host, gbit, latency, hidden, workers, minutes;
    cli_list set;
    cli_methods chosen;
    bool json;
} scaling_words;

static void on_progress(void *user, const char *text)
{
    (void)user;
    fprintf(stderr, "%s\n", text);
}

static int measure(const char *path, const scaling_words *w, const vox_methods *methods)
{
    vox_error err = {0};
    char *document = NULL;
    const vox_scaling_options opt = {.experiment = path,
                                     .set = w->set.item,
                                     .sets = w->set.count,
                                     .devices = w->devices,
                                     .methods = methods,
                                     .steps = w->steps.value,
                                     .share = w->share.value,
                                     .most = w->most.value,
                                     .per_host = w->per_host.value,
                                     .network_latency_s = 1e-6 * (double)w->latency.value,
                                     .network_bytes_per_s = 1e9 / 8 * (double)w->gbit.value,
                                     .network_hidden = (double)w->hidden.value / 100,
                                     .workers = w->workers.value,
                                     .minutes = (double)w->minutes.value,
                                     .data_dir = w->data,
                                     .png = w->png,
                                     .on_progress = on_progress};
    if (vox_bench_scaling(&opt, &document, &err) != VOX_OK)
        return cli_error(&err);
    return cli_show_document(document, w->json);
}

int cmd_bench_scaling(int argc, char **argv)
{
    const char *path;
    vox_methods methods;
    scaling_words w = {.chosen = CLI_METHODS_INIT,
                       .steps = {.value = 5, .min = 1, .max = 100000},
                       .share = {.value = 0, .min = 1, .max = 1000000},
                       .most = {.value = 1024, .min = 1, .max = 1 << 20},
                       .per_host = {.value = 0, .min = 1, .max = 1 << 20},
                       .gbit = {.value = 10, .min = 1, .max = 100000},
                       .latency = {.value = 30, .min = 1, .max = 1000000},
                       .hidden = {.value = 0, .min = 0, .max = 100},
                       .workers = {.value = 0, .min = 1, .max = 1 << 16},
                       .minutes = {.value = 10, .min = 1, .max = 1000000}};
    const cli_option options[] = {
        {.name = "steps", .value = "N", .number = &w.steps, .help = "steps to time of each (5)"},
        {.name = "max",
         .value = "N",
         .number = &w.most,
         .help = "devices to predict for (1024); what is predicted says so"},
        {.name = "share",
         .value = "N",
         .number = &w.share,
         .help = "samples of each device when the batch grows with them (train.batch)"},
        {.name = "per-host",
         .value = "N",
         .number = &w.per_host,
         .help = "devices of a host, when predicting (as many as there are)"},
        {.name = "net-gbit",
         .value = "N",
         .number = &w.gbit,
         .help = "assumed network between hosts, Gbit/s (10)"},
        {.name = "net-us",
         .value = "N",
         .number = &w.latency,
         .help = "its latency in microseconds (30)"},
        {.name = "net-hidden",
         .value = "PERCENT",
         .number = &w.hidden,
         .help = "of the compute time, beside which gradients travel (0)"},
        {.name = "accuracy",
         .value = "N",
         .number = &w.workers,
         .help = "trains with the batches of 1, 2, 4 ... N workers on the experiment's data"},
        {.name = "minutes",
         .value = "M",
         .number = &w.minutes,
         .help = "most time for those trainings together (10)"},
        {.name = "data", .value = "DIR", .text = &w.data, .help = "as for voxcl train"},
        {.name = "png", .value = "FILE", .text = &w.png, .help = "draw the figures"},
        CLI_DEVICES_OPTION(w.devices),
        CLI_METHODS_OPTIONS(w.chosen),
        CLI_SET_OPTION(w.set),
        CLI_JSON_OPTION(w.json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "bench scaling EXP [options]",
        .about =
            "Times steps of an experiment on 1, 2 ... of the devices at hand: of the same batch\n"
            "(strong scaling) and of one that grows with them (weak). The only device, if it is a\n"
            "CPU, is split into parts, one of which is the measure. Beyond what there is, a cost\n"
            "model fitted to that predicts; those rows are marked. With --accuracy also what a\n"
            "batch that grows with the workers does to accuracy or Dice after the same epochs.",
        .operands = (const char *const[]){"EXP", NULL},
        .options = options,
        .more = "docs/parallel.md has the cost model and what it assumes.",
    };
    int code = cli_parse(&spec, argc, argv, &path);
    if (code == CLI_GO)
        code = cli_methods_get(&methods, &w.chosen, "bench scaling");
    if (code == CLI_GO)
        code = measure(path, &w, &methods);
    cli_list_release(&w.set);
    return code;
}
