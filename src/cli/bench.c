/* bench.c - voxcl bench: measures, and shows the library's document of figures. */
#include "cli.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>

/* A picture of the device's ceilings and what was measured below them. */
#define ROOFLINE_OPTION(v)                                                                         \
    {                                                                                              \
        .name = "roofline", .value = "FILE.png", .text = &(v),                                     \
        .help = "draw the figures below the (first) device's ceilings"                             \
    }

int cli_show_document(char *document, bool json)
{
    int code = CLI_DONE;
    if (json)
        puts(document);
    else
        code = cli_document_print(document);
    vox_string_free(&document);
    return code;
}

static int bench_reduce(int argc, char **argv)
{
    bool json = false;
    cli_number devices = {.value = 4, .min = 1, .max = 1024};
    cli_number bytes = {.value = 50000000, .min = 4, .max = INT64_C(1) << 40};
    const cli_option options[] = {
        {.name = "devices", .value = "N", .number = &devices, .help = "leaves of the tree (4)"},
        {.name = "bytes",
         .value = "N",
         .number = &bytes,
         .help = "gradients of one device (50000000)"},
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "bench reduce [options]",
        .about =
            "Times the host's reduction tree over the gradients of several devices, and a plain\n"
            "copy of as many bytes. No device is used.",
        .operands = (const char *const[]){NULL},
        .options = options,
    };
    vox_error err = {0};
    char *document = NULL;
    int code = cli_parse(&spec, argc, argv, NULL);
    if (code != CLI_GO)
        return code;
    if (vox_bench_reduce(devices.value, (uint64_t)bytes.value, &document, &err) != VOX_OK)
        return cli_error(&err);
    return cli_show_document(document, json);
}

static int measure_hosts(uint64_t bytes, bool json)
{
    vox_error err = {0};
    vox_hosts *hosts = NULL;
    char *document = NULL;
    int code = CLI_DONE;
    if (vox_hosts_open(&hosts, &err) != VOX_OK)
        return cli_error(&err);
    const vox_status s = vox_bench_hosts(hosts, bytes, &document, &err);
    const bool leads = vox_hosts_rank(hosts) == 0;
    if (s != VOX_OK)
        code = cli_hosts_error(hosts, &err);
    else if (leads)
        code = cli_show_document(document, json);
    else
        vox_string_free(&document);
    vox_hosts_free(&hosts);
    return code;
}

static int bench_hosts(int argc, char **argv)
{
    bool json = false;
    cli_number bytes = {.value = 50000000, .min = 4, .max = INT64_C(1) << 34};
    const cli_option options[] = {
        {.name = "bytes", .value = "N", .number = &bytes, .help = "gradients (50000000)"},
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "bench hosts [options]",
        .about =
            "Started by mpirun or srun on several hosts: times sums of gradients over them, and\n"
            "the smallest sum there is. gbit_per_s and latency_us are what --net-gbit and "
            "--net-us\n"
            "of \"voxcl bench scaling\" want. No device is used.",
        .operands = (const char *const[]){NULL},
        .options = options,
        .more = "example: mpirun -n 4 --hostfile hosts --map-by ppr:1:node voxcl bench hosts",
    };
    const int code = cli_parse(&spec, argc, argv, NULL);
    return code == CLI_GO ? measure_hosts((uint64_t)bytes.value, json) : code;
}

static int measure_step(const char *path, const cli_list *set, const char *devices, int64_t steps,
                        const vox_methods *methods, const char *roofline, const char *shard,
                        bool json)
{
    vox_error err = {0};
    vox_experiment *exp = NULL;
    vox_ctx *ctx = NULL;
    char *document = NULL;
    int code;
    if (vox_experiment_open(&exp, path, set->item, set->count, &err) != VOX_OK ||
        vox_ctx_open(&ctx, devices, &err) != VOX_OK ||
        vox_bench_step(exp, ctx, steps, methods, roofline, shard, &document, &err) != VOX_OK)
        code = cli_error(&err);
    else
        code = cli_show_document(document, json);
    vox_ctx_free(&ctx);
    vox_experiment_free(&exp);
    return code;
}

static int bench_step(int argc, char **argv)
{
    bool json = false;
    const char *path, *devices = NULL, *roofline = NULL, *shard = NULL;
    cli_list set = {0};
    cli_methods chosen = CLI_METHODS_INIT;
    vox_methods methods;
    cli_number steps = {.value = 10, .min = 1, .max = 100000};
    const cli_option options[] = {
        {.name = "steps", .value = "N", .number = &steps, .help = "steps to time (10)"},
        ROOFLINE_OPTION(roofline),
        CLI_DEVICES_OPTION(devices),
        {.name = "shard",
         .value = "HOW",
         .text = &shard,
         .help = "shares of a batch: equal, weights 3,2,1, or auto, by speed (equal)"},
        CLI_METHODS_OPTIONS(chosen),
        CLI_SET_OPTION(set),
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "bench step EXP [options]",
        .about = "Times an experiment's training step on made-up data, then its layers by device "
                 "events.",
        .operands = (const char *const[]){"EXP", NULL},
        .options = options,
    };
    int code = cli_parse(&spec, argc, argv, &path);
    if (code == CLI_GO)
        code = cli_methods_get(&methods, &chosen, "bench step");
    if (code == CLI_GO)
        code = measure_step(path, &set, devices, steps.value, &methods, roofline, shard, json);
    cli_list_release(&set);
    return code;
}

/* The library reads these options itself: what was given of the first n, as "--name" and value. */
static size_t pass_on(const cli_option *options, const char *const *value, int n, char (*name)[16],
                      const char **args)
{
    size_t count = 0;
    for (int i = 0; i < n; i++)
        if (value[i]) {
            snprintf(name[i], sizeof name[i], "--%s", options[i].name);
            args[count++] = name[i];
            args[count++] = value[i];
        }
    return count;
}

static int bench_conv(int argc, char **argv)
{
    bool json = false, variants = false;
    const char *devices = NULL, *value[14] = {NULL};
    const cli_option options[] = {
        {.name = "in", .value = "N,C,D,H,W", .text = &value[0], .help = "shape of the input"},
        {.name = "out", .value = "C", .text = &value[1], .help = "output channels"},
        {.name = "kernel", .value = "D,H,W", .text = &value[2], .help = "size of the kernel"},
        {.name = "stride", .value = "D,H,W", .text = &value[3], .help = "stride (1)"},
        {.name = "pad", .value = "D,H,W", .text = &value[4], .help = "padding (0)"},
        {.name = "dilation", .value = "D,H,W", .text = &value[5], .help = "dilation (1)"},
        {.name = "groups", .value = "N", .text = &value[6], .help = "groups of channels (1)"},
        {.name = "pass",
         .value = "P",
         .text = &value[7],
         .help = "fwd, bwd_data, bwd_weights or all (all)"},
        {.name = "repeat", .value = "N", .text = &value[8], .help = "timed runs of each (7)"},
        {.name = "algo", .value = "A", .text = &value[9], .help = "all, chosen or a name (all)"},
        {.name = "tune",
         .value = "HOW",
         .text = &value[10],
         .help = "off: chosen is the rule's; quick, full: by measured times (off)"},
        {.name = "budget", .value = "S", .text = &value[11], .help = "seconds for measuring (60)"},
        {.name = "workspace",
         .value = "MIB",
         .text = &value[12],
         .help = "most memory of a method's own (a quarter of it)"},
        ROOFLINE_OPTION(value[13]),
        {.name = "variants", .flag = &variants, .help = "a row for every set of tuning values"},
        CLI_DEVICES_OPTION(devices),
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "bench conv --in N,C,D,H,W --out C --kernel D,H,W [options]",
        .about =
            "Times every algorithm of a 3D convolution on every device, and compares each with\n"
            "float64. One number stands for all of D,H,W. time_s is the median by the clock,\n"
            "device_s by device events; flops_per_byte counts input, output and weights once;\n"
            "max_error is the largest difference over the result's root mean square.",
        .operands = (const char *const[]){NULL},
        .options = options,
    };
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    char *document = NULL, name[14][16];
    const char *args[30];
    int code = cli_parse(&spec, argc, argv, NULL);
    if (code != CLI_GO)
        return code;
    size_t count = pass_on(options, value, 14, name, args);
    if (variants) {
        args[count++] = "--variants";
        args[count++] = "yes";
    }
    vox_status s = vox_ctx_open(&ctx, devices, &err);
    if (s == VOX_OK)
        s = vox_bench_conv(ctx, args, count, &document, &err);
    vox_ctx_free(&ctx);
    return s == VOX_OK ? cli_show_document(document, json) : cli_error(&err);
}

static int measure_op(const char *name, const char **args, size_t count, const cli_list *words,
                      const char *devices, bool json)
{
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    char *document = NULL;
    const char *all[64];
    for (size_t i = 0; i < words->count && count + i < 64; i++)
        all[count + i] = words->item[i];
    memcpy(all, args, count * sizeof *args);
    vox_status s = vox_ctx_open(&ctx, devices, &err);
    if (s == VOX_OK)
        s = vox_bench_op(ctx, name, all, count + words->count, &document, &err);
    vox_ctx_free(&ctx);
    return s == VOX_OK ? cli_show_document(document, json) : cli_error(&err);
}

static int bench_op(int argc, char **argv)
{
    bool json = false;
    const char *op, *devices = NULL, *value[6] = {NULL};
    cli_list words = {0};
    const cli_option options[] = {
        {.name = "in",
         .value = "N,C,D,H,W",
         .text = &value[0],
         .help = "input; what is left out is 1"},
        {.name = "inputs", .value = "N", .text = &value[1], .help = "how many inputs (the fewest)"},
        {.name = "pass",
         .value = "P",
         .text = &value[2],
         .help = "fwd, bwd_data, bwd_weights or all (all)"},
        {.name = "layout", .value = "L", .text = &value[3], .help = "plain, block16 or all (all)"},
        {.name = "algo", .value = "A", .text = &value[4], .help = "all or a name (all)"},
        {.name = "repeat",
         .value = "N",
         .text = &value[5],
         .help = "timed runs of each (half a second of them)"},
        CLI_DEVICES_OPTION(devices),
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "bench op NAME --in N,C,D,H,W [KEY=VALUE...] [options]",
        .about =
            "Times every algorithm of an operation, with its attributes as in experiments\n"
            "(kernel=2,3,3), or an optimiser's update (sgd; --in is the number of weights).\n"
            "gb_per_s counts each number that has to be read or written once; copy_share is of\n"
            "the rate of copies of as many bytes, which take turns with it.",
        .operands = (const char *const[]){"NAME", NULL},
        .options = options,
        .rest = &words,
    };
    char name[6][16];
    const char *args[12];
    int code = cli_parse(&spec, argc, argv, &op);
    if (code == CLI_GO && words.count > 32)
        code = cli_usage("bench op", NULL, "bench op: too many attributes");
    if (code == CLI_GO)
        code = measure_op(op, args, pass_on(options, value, 6, name, args), &words, devices, json);
    cli_list_release(&words);
    return code;
}

static int bench_peak(int argc, char **argv)
{
    bool json = false;
    const char *devices = NULL;
    const cli_option options[] = {
        CLI_DEVICES_OPTION(devices),
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "bench peak [options]",
        .about =
            "Measures each device's ceilings: float32 multiply-adds in registers, and a copy in\n"
            "its memory (bytes read and written). Best of five rounds, and their median.",
        .operands = (const char *const[]){NULL},
        .options = options,
    };
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    char *document = NULL;
    int code = cli_parse(&spec, argc, argv, NULL);
    if (code != CLI_GO)
        return code;
    vox_status s = vox_ctx_open(&ctx, devices, &err);
    if (s == VOX_OK)
        s = vox_bench_peak(ctx, &document, &err);
    vox_ctx_free(&ctx);
    return s == VOX_OK ? cli_show_document(document, json) : cli_error(&err);
}

static int bench_ladder(int argc, char **argv)
{
    bool json = false;
    const char *kind, *devices = NULL, *value[9] = {NULL};
    const cli_option options[] = {
        {.name = "in", .value = "N,C,D,H,W", .text = &value[0], .help = "input (1,32,16,32,32)"},
        {.name = "out", .value = "C", .text = &value[1], .help = "output channels (32)"},
        {.name = "kernel", .value = "D,H,W", .text = &value[2], .help = "size of the kernel (3)"},
        {.name = "stride", .value = "D,H,W", .text = &value[3], .help = "stride (1)"},
        {.name = "pad", .value = "D,H,W", .text = &value[4], .help = "padding (1)"},
        {.name = "dilation", .value = "D,H,W", .text = &value[5], .help = "dilation (1)"},
        {.name = "size", .value = "A,B,...", .text = &value[6], .help = "of the other kinds"},
        {.name = "repeat", .value = "N", .text = &value[7], .help = "timed runs in a turn (7)"},
        ROOFLINE_OPTION(value[8]),
        CLI_DEVICES_OPTION(devices),
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "bench ladder KIND [options]",
        .about =
            "Climbs from a naive method to the tuned one: what each rung changed against the one\n"
            "before it that is made for the same, and what that bought. Rungs take turns. Kinds:\n"
            "  conv     a convolution's forward pass: --in to --dilation\n"
            "  gemm     a matrix product: --size M,N,K (256,1024,512), multiples of 64\n"
            "  reduce   the sum of squares of a vector: --size COUNT (16777216)\n"
            "  softmax  a segmentation's loss: --size N,C,VOXELS (4,8,262144)",
        .operands = (const char *const[]){"KIND", NULL},
        .options = options,
    };
    vox_error err = {0};
    vox_ctx *ctx = NULL;
    char *document = NULL, name[9][16];
    const char *args[18];
    int code = cli_parse(&spec, argc, argv, &kind);
    if (code != CLI_GO)
        return code;
    const size_t count = pass_on(options, value, 9, name, args);
    vox_status s = vox_ctx_open(&ctx, devices, &err);
    if (s == VOX_OK)
        s = vox_bench_ladder(ctx, kind, args, count, &document, &err);
    vox_ctx_free(&ctx);
    return s == VOX_OK ? cli_show_document(document, json) : cli_error(&err);
}

static const struct {
    const char *name;
    char *full; /* argv[0] for run */
    int (*run)(int argc, char **argv);
    const char *about;
} kinds[] = {
    {"conv", "bench conv", bench_conv, "the algorithms of a convolution"},
    {"hosts", "bench hosts", bench_hosts, "sums of gradients over the hosts of a job"},
    {"ladder", "bench ladder", bench_ladder, "from the naive method to the tuned one"},
    {"op", "bench op", bench_op, "the algorithms of any other operation, or an optimiser's update"},
    {"peak", "bench peak", bench_peak, "a device's ceilings: multiply-adds and copies"},
    {"reduce", "bench reduce", bench_reduce, "the reduction tree over the devices' gradients"},
    {"scaling", "bench scaling", cmd_bench_scaling,
     "what more devices bring, measured and predicted"},
    {"step", "bench step", bench_step, "a training step of an experiment, and its layers"},
    {NULL, NULL, NULL, NULL},
};

static int help(void)
{
    printf("usage: voxcl bench KIND [options]\n\nMeasures. Kinds:\n");
    for (size_t i = 0; kinds[i].name; i++)
        printf("  %-7s %s\n", kinds[i].name, kinds[i].about);
    printf("\nEach takes --json for the figures as JSON, and --help.\n");
    return CLI_DONE;
}

int cmd_bench(int argc, char **argv)
{
    const char *names[sizeof kinds / sizeof *kinds];
    char hint[96];
    if (argc < 2)
        return cli_usage("bench", NULL, "bench needs KIND: voxcl bench KIND [options]");
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return help();
    size_t n = 0;
    for (; kinds[n].name; n++) {
        if (!strcmp(argv[1], kinds[n].name)) {
            argv[1] = kinds[n].full;
            return kinds[n].run(argc - 1, argv + 1);
        }
        names[n] = kinds[n].name;
    }
    names[n] = NULL;
    const char *near = cli_nearest(argv[1], names);
    snprintf(hint, sizeof hint, "did you mean \"voxcl bench %s\"?", near ? near : "");
    return cli_usage("bench", near ? hint : NULL, "there is no benchmark \"%s\"", argv[1]);
}
