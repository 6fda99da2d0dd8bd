/* devices.c - voxcl devices: what OpenCL there is, and what of it can be used. */
#include "cli.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>

static const char *type_word(vox_device_type type)
{
    switch (type) {
    case VOX_DEVICE_CPU:
        return "cpu";
    case VOX_DEVICE_GPU:
        return "gpu";
    case VOX_DEVICE_OTHER:
        break;
    }
    return "other";
}

static void print_memory(const vox_device_desc *d)
{
    char a[CLI_TEXT], b[CLI_TEXT], c[CLI_TEXT], e[CLI_TEXT];
    printf("    memory       %s%s, one buffer up to %s\n", cli_bytes(a, d->global_mem_bytes),
           d->unified_memory ? " shared with the host" : "", cli_bytes(b, d->max_alloc_bytes));
    printf("    local        %s %s, cache %s, sub-buffers aligned to %" PRIu32 " B\n",
           cli_bytes(c, d->local_mem_bytes), d->local_mem_dedicated ? "dedicated" : "in memory",
           cli_bytes(e, d->cache_bytes), d->mem_align_bytes);
}

static void print_place(const vox_device_desc *d)
{
    char numa[CLI_TEXT] = "";
    if (d->numa_node < 0 && !d->pci[0] && !d->locality[0])
        return;
    if (d->numa_node >= 0)
        snprintf(numa, sizeof numa, "NUMA node %d", d->numa_node);
    printf("    place        %s%s%s%s%s%s\n", numa, numa[0] && d->pci[0] ? ", " : "",
           d->pci[0] ? "PCI " : "", d->pci, (numa[0] || d->pci[0]) && d->locality[0] ? ", " : "",
           d->locality);
}

static void print_parts(const vox_device_desc *d)
{
    if (d->max_parts > 1)
        printf("    parts        can be split into up to %" PRIu32
               " sub-devices (--devices %d/2)%s\n",
               d->max_parts, d->index, d->parts_share ? "; one alone uses idle others' cores" : "");
    else
        printf("    parts        cannot be split\n");
}

static void print_device(const vox_device_desc *d)
{
    printf("\n[%d] %s\n", d->index, d->name);
    printf("    type         %s, %s\n", type_word(d->type), d->vendor);
    printf("    platform     %s, %s\n", d->platform, d->platform_version);
    printf("    versions     %s, %s, driver %s\n", d->device_version, d->opencl_c_version,
           d->driver_version);
    printf("    compute      %" PRIu32 " units at %" PRIu32
           " MHz, work-groups up to %zu (%zu x %zu x %zu), float vectors of %" PRIu32 "\n",
           d->compute_units, d->clock_mhz, d->max_work_group, d->max_work_items[0],
           d->max_work_items[1], d->max_work_items[2], d->vector_width_float);
    print_memory(d);
    print_place(d);
    print_parts(d);
    printf("    extensions   %s\n", d->extensions[0] ? d->extensions : "none that voxcl uses");
    printf("    usable       %s%s\n", d->usable ? "yes" : "no: ", d->usable ? "" : d->reason);
}

static void print_list(const vox_device_list *list)
{
    printf("%zu OpenCL platform%s, %zu device%s\n", list->platforms,
           list->platforms == 1 ? "" : "s", list->count, list->count == 1 ? "" : "s");
    for (size_t i = 0; i < list->count; i++)
        print_device(&list->device[i]);
}

#ifdef VOXCL_WITH_JANSSON
static json_t *words(const char *text)
{
    json_t *array = json_array();
    while (*text) {
        size_t length = strcspn(text, " ");
        if (length)
            json_array_append_new(array, json_stringn(text, length));
        text += length + (text[length] == ' ');
    }
    return array;
}

static void set_numbers(json_t *o, const vox_device_desc *d)
{
    cli_json_set(o, "compute_units", json_integer(d->compute_units));
    cli_json_set(o, "clock_mhz", json_integer(d->clock_mhz));
    cli_json_set(o, "global_mem_bytes", json_integer((json_int_t)d->global_mem_bytes));
    cli_json_set(o, "max_alloc_bytes", json_integer((json_int_t)d->max_alloc_bytes));
    cli_json_set(o, "local_mem_bytes", json_integer((json_int_t)d->local_mem_bytes));
    cli_json_set(o, "local_mem_dedicated", json_boolean(d->local_mem_dedicated));
    cli_json_set(o, "cache_bytes", json_integer((json_int_t)d->cache_bytes));
    cli_json_set(o, "max_work_group", json_integer((json_int_t)d->max_work_group));
    cli_json_set(o, "max_work_items",
                 json_pack("[I,I,I]", (json_int_t)d->max_work_items[0],
                           (json_int_t)d->max_work_items[1], (json_int_t)d->max_work_items[2]));
    cli_json_set(o, "mem_align_bytes", json_integer(d->mem_align_bytes));
    cli_json_set(o, "vector_width_float", json_integer(d->vector_width_float));
    cli_json_set(o, "max_parts", json_integer(d->max_parts));
    cli_json_set(o, "parts_share", json_boolean(d->parts_share));
    cli_json_set(o, "unified_memory", json_boolean(d->unified_memory));
}

static json_t *device_json(const vox_device_desc *d)
{
    json_t *o = json_object();
    cli_json_set(o, "index", json_integer(d->index));
    cli_json_set(o, "name", cli_json_text(d->name));
    cli_json_set(o, "vendor", cli_json_text(d->vendor));
    cli_json_set(o, "platform", cli_json_text(d->platform));
    cli_json_set(o, "platform_version", cli_json_text(d->platform_version));
    cli_json_set(o, "device_version", cli_json_text(d->device_version));
    cli_json_set(o, "opencl_c_version", cli_json_text(d->opencl_c_version));
    cli_json_set(o, "driver_version", cli_json_text(d->driver_version));
    cli_json_set(o, "type", cli_json_text(type_word(d->type)));
    cli_json_set(o, "usable", json_boolean(d->usable));
    cli_json_set(o, "reason", d->usable ? json_null() : cli_json_text(d->reason));
    set_numbers(o, d);
    cli_json_set(o, "extensions", words(d->extensions));
    cli_json_set(o, "numa_node", d->numa_node < 0 ? json_null() : json_integer(d->numa_node));
    cli_json_set(o, "pci", d->pci[0] ? cli_json_text(d->pci) : json_null());
    cli_json_set(o, "locality", d->locality[0] ? cli_json_text(d->locality) : json_null());
    return o;
}

static int print_json(const vox_device_list *list)
{
    json_t *document = json_object(), *devices = json_array();
    cli_json_set(document, "platforms", json_integer((json_int_t)list->platforms));
    cli_json_set(document, "devices", devices);
    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(devices, device_json(&list->device[i]));
    return cli_json_print(document);
}
#else
static int print_json(const vox_device_list *list)
{
    (void)list;
    return cli_no_json();
}
#endif

static int no_device(const vox_device_list *list)
{
    vox_error err = {.code = VOX_ERR_DEVICE, .message = "no OpenCL device was found"};
    snprintf(err.detail, sizeof err.detail, "%zu platforms are installed, none has a device",
             list->platforms);
    if (list->platforms == 0)
        snprintf(err.detail, sizeof err.detail, "no platform is installed (/etc/OpenCL/vendors)");
    snprintf(err.hint, sizeof err.hint,
             "install a driver; for the CPU: apt install pocl-opencl-icd, or dnf install pocl");
    return cli_error(&err);
}

int cmd_devices(int argc, char **argv)
{
    bool json = false;
    const cli_option options[] = {
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "devices [--json]",
        .about =
            "Lists every OpenCL platform and device, its limits, where it sits in the machine,\n"
            "and for one that cannot be used the reason.",
        .operands = (const char *const[]){NULL},
        .options = options,
        .more =
            "The number in brackets is what --devices takes; with /N behind it the device is\n"
            "split into N equal sub-devices, where that can be done (/N.K: only part K, /N.K-L:\n"
            "parts K to L).",
    };
    vox_error err = {0};
    vox_device_list *list = NULL;
    int code = cli_parse(&spec, argc, argv, NULL);
    if (code != CLI_GO)
        return code;
    if (vox_device_list_open(&list, &err) != VOX_OK)
        return cli_error(&err);
    code = CLI_DONE;
    if (json)
        code = print_json(list);
    else if (list->count)
        print_list(list);
    if (code == CLI_DONE && !list->count)
        code = no_device(list);
    vox_device_list_free(&list);
    return code;
}
