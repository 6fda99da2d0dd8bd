/* info.c - voxcl info: a network's layers and what training it takes, before
 * anything runs. */
#include "cli.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>

/* What the devices need for their shares of the batch. */
typedef struct need {
    int64_t batch;         /* samples on a device */
    vox_network_desc *net; /* the network at that batch */
} need;

/* What is known of a device; NULL: nothing. */
static const vox_device_memory *find_device(const need *share, int device)
{
    for (size_t i = 0; i < share->net->device_count; i++)
        if (share->net->device[i].index == device && share->net->device[i].device_bytes)
            return &share->net->device[i];
    return NULL;
}

/* In the layouts that the device prefers; in plain ones if nothing is known of it. */
static uint64_t bytes_on(const need *share, int device)
{
    const vox_device_memory *m = find_device(share, device);
    return m ? m->device_bytes : share->net->device_bytes;
}

static bool fits_on(const need *share, const vox_device_desc *d)
{
    const vox_device_memory *m = find_device(share, d->index);
    return m ? m->fits : share->net->device_bytes <= d->global_mem_bytes;
}

static const char *shape_text(char text[CLI_TEXT * 3], const int64_t shape[5])
{
    snprintf(text, CLI_TEXT * 3, "%" PRId64 " x %" PRId64 " x %" PRId64 " x %" PRId64, shape[1],
             shape[2], shape[3], shape[4]);
    return text;
}

static void print_layers(const vox_network_desc *net)
{
    static const char *const header[] = {"layer",       "kind",          "output C x D x H x W",
                                         ">parameters", ">forward FLOP", NULL};
    char shape[CLI_TEXT * 3], a[CLI_TEXT], b[CLI_TEXT];
    cli_table t = {.header = header};
    cli_cell(&t, "input");
    cli_cell(&t, "%s", "");
    cli_cell(&t, "%s", shape_text(shape, net->input_shape));
    cli_cell(&t, "%s", "");
    cli_cell(&t, "%s", "");
    for (size_t i = 0; i < net->count; i++) {
        const vox_layer_desc *l = &net->layer[i];
        cli_cell(&t, "%s", l->name);
        cli_cell(&t, "%s", l->kind);
        cli_cell(&t, "%s", shape_text(shape, l->out_shape));
        cli_cell(&t, "%s", l->parameters ? cli_count(a, l->parameters) : "");
        cli_cell(&t, "%s", l->forward_flops > 0 ? cli_si(b, l->forward_flops) : "");
    }
    cli_table_print(&t, "");
}

static void print_totals(const vox_network_desc *net)
{
    char a[CLI_TEXT], b[CLI_TEXT], c[CLI_TEXT];
    printf("\nparameters          %s", cli_count(a, net->parameters));
    if (net->trainable != net->parameters)
        printf(" (%s not trainable)", cli_count(b, net->parameters - net->trainable));
    printf(", %s\n", cli_bytes(c, net->parameter_bytes));
    printf("loss                %s\n", net->loss);
    printf("update              %s\n", net->update);
    printf("one sample          %sFLOP forward, %sFLOP to train\n", cli_si(a, net->forward_flops),
           cli_si(b, net->training_flops));
    printf("one training step   %sFLOP at batch %" PRId64 "\n",
           cli_si(a, net->training_flops * (double)net->batch), net->batch);
    if (net->at_once < net->batch)
        printf("                    in parts of %" PRId64 " samples\n", net->at_once);
    printf("memory at batch %-3" PRId64 " %s activations, %s in all on one device\n", net->at_once,
           cli_bytes(a, net->activation_bytes), cli_bytes(b, net->device_bytes));
}

static size_t usable_devices(const vox_device_list *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->count; i++)
        n += list->device[i].usable;
    return n;
}

static void print_devices(const vox_device_list *list, const need *share)
{
    static const char *const header[] = {"device", ">samples", ">needs", ">has", "", NULL};
    char a[CLI_TEXT], b[CLI_TEXT];
    cli_table t = {.header = header};
    for (size_t i = 0; i < list->count; i++) {
        const vox_device_desc *d = &list->device[i];
        if (!d->usable)
            continue;
        cli_cell(&t, "[%d] %s", d->index, d->name);
        cli_cell(&t, "%" PRId64, share->batch);
        cli_cell(&t, "%s", cli_bytes(a, bytes_on(share, d->index)));
        cli_cell(&t, "%s", cli_bytes(b, d->global_mem_bytes));
        cli_cell(&t, "%s", fits_on(share, d) ? "fits" : "DOES NOT FIT");
    }
    printf("\nwith the batch split evenly over the devices here:\n");
    cli_table_print(&t, "");
}

#ifdef VOXCL_WITH_JANSSON
static json_t *shape_json(const int64_t shape[5])
{
    json_t *array = json_array();
    for (int i = 0; i < 5; i++)
        json_array_append_new(array, json_integer(shape[i]));
    return array;
}

static json_t *layer_json(const vox_layer_desc *l)
{
    json_t *o = json_object();
    cli_json_set(o, "name", cli_json_text(l->name));
    cli_json_set(o, "kind", cli_json_text(l->kind));
    cli_json_set(o, "output", shape_json(l->out_shape));
    cli_json_set(o, "parameters", json_integer(l->parameters));
    cli_json_set(o, "trainable", json_integer(l->trainable));
    cli_json_set(o, "forward_flops", cli_json_real(l->forward_flops));
    return o;
}

static json_t *devices_json(const vox_device_list *list, const need *share)
{
    json_t *array = json_array();
    for (size_t i = 0; list && i < list->count; i++) {
        const vox_device_desc *d = &list->device[i];
        if (!d->usable)
            continue;
        json_t *o = json_object();
        cli_json_set(o, "index", json_integer(d->index));
        cli_json_set(o, "name", cli_json_text(d->name));
        cli_json_set(o, "samples", json_integer(share->batch));
        cli_json_set(o, "needs_bytes", json_integer((json_int_t)bytes_on(share, d->index)));
        cli_json_set(o, "has_bytes", json_integer((json_int_t)d->global_mem_bytes));
        json_array_append_new(array, o);
    }
    return array;
}

static int print_json(const char *name, const vox_network_desc *net, const vox_device_list *list,
                      const need *share)
{
    json_t *o = json_object(), *layers = json_array();
    for (size_t i = 0; i < net->count; i++)
        json_array_append_new(layers, layer_json(&net->layer[i]));
    cli_json_set(o, "experiment", cli_json_text(name));
    cli_json_set(o, "input", shape_json(net->input_shape));
    cli_json_set(o, "layers", layers);
    cli_json_set(o, "loss", cli_json_text(net->loss));
    cli_json_set(o, "update", cli_json_text(net->update));
    cli_json_set(o, "parameters", json_integer(net->parameters));
    cli_json_set(o, "trainable", json_integer(net->trainable));
    cli_json_set(o, "forward_flops", cli_json_real(net->forward_flops));
    cli_json_set(o, "training_flops", cli_json_real(net->training_flops));
    cli_json_set(o, "batch", json_integer(net->batch));
    cli_json_set(o, "at_once", json_integer(net->at_once));
    cli_json_set(o, "parameter_bytes", json_integer((json_int_t)net->parameter_bytes));
    cli_json_set(o, "activation_bytes", json_integer((json_int_t)net->activation_bytes));
    cli_json_set(o, "device_bytes", json_integer((json_int_t)net->device_bytes));
    cli_json_set(o, "devices", devices_json(list, share));
    return cli_json_print(o);
}
#else
static int print_json(const char *name, const vox_network_desc *net, const vox_device_list *list,
                      const need *share)
{
    (void)name, (void)net, (void)list, (void)share;
    return cli_no_json();
}
#endif

/* The experiment once more, at the batch that each of `devices` gets; the caller frees out->net. */
static vox_status describe_share(need *out, const char *path, const cli_list *set, int64_t batch,
                                 size_t devices, vox_error *err)
{
    const char *overrides[66];
    char share[48];
    size_t n = 0;
    vox_experiment *exp = NULL;
    out->batch = (batch + (int64_t)devices - 1) / (int64_t)devices;
    for (; n < set->count && n < 64; n++)
        overrides[n] = set->item[n];
    snprintf(share, sizeof share, "train.batch=%" PRId64, out->batch);
    overrides[n++] = share;
    overrides[n++] = "train.accumulate=1"; /* batch is the part's */
    vox_status status = vox_experiment_open(&exp, path, overrides, n, err);
    if (status == VOX_OK)
        status = vox_experiment_describe(&out->net, exp, err);
    vox_experiment_free(&exp);
    return status;
}

static int show(const vox_experiment *exp, const char *path, const cli_list *set, bool json)
{
    vox_error err = {0};
    vox_network_desc *net = NULL;
    vox_device_list *list = NULL;
    need share = {0};
    int code = CLI_DONE;
    vox_status status = vox_experiment_describe(&net, exp, &err);
    if (status == VOX_OK)
        status = vox_device_list_open(&list, &err);
    size_t devices = status == VOX_OK ? usable_devices(list) : 0;
    if (status == VOX_OK && devices)
        status = describe_share(&share, path, set, net->at_once, devices, &err);
    if (status != VOX_OK) {
        code = cli_error(&err);
    } else if (json) {
        code = print_json(vox_experiment_name(exp), net, list, &share);
    } else {
        print_layers(net);
        print_totals(net);
        if (devices)
            print_devices(list, &share);
    }
    vox_device_list_free(&list);
    vox_network_desc_free(&share.net);
    vox_network_desc_free(&net);
    return code;
}

int cmd_info(int argc, char **argv)
{
    bool json = false;
    cli_list set = {0};
    const char *path;
    const cli_option options[] = {
        {.name = "set", .value = "KEY=VALUE", .list = &set, .help = "override a key; repeatable"},
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "info EXP [options]",
        .about =
            "Prints an experiment's layers, output shapes, parameters and FLOPs, and the memory\n"
            "that training it takes on each device. Nothing runs.",
        .operands = (const char *const[]){"EXP", NULL},
        .options = options,
    };
    vox_error err = {0};
    vox_experiment *exp = NULL;
    int code = cli_parse(&spec, argc, argv, &path);
    if (code == CLI_GO && set.count > 64)
        code = cli_usage("info", NULL, "more than 64 times --set");
    if (code == CLI_GO && vox_experiment_open(&exp, path, set.item, set.count, &err) != VOX_OK)
        code = cli_error(&err);
    if (code == CLI_GO)
        code = show(exp, path, &set, json);
    vox_experiment_free(&exp);
    cli_list_release(&set);
    return code;
}
