/* tune.c - voxcl tune: measures ahead which methods are fastest, and shows them. */
#include "cli.h"
#include "json.h"

#include <inttypes.h>
#include <math.h>

static void on_progress(void *user, int64_t done, int64_t total, const char *text)
{
    const bool *quiet = user;
    if (!*quiet && !cli_bar(done, total, (double)NAN, text))
        cli_line("%" PRId64 "/%" PRId64 "  %s", done, total, text);
}

static int measure(const char *path, const cli_list *set, const char *devices,
                   const vox_methods *methods, bool json)
{
    const vox_tune_options opt = {.methods = *methods, .on_progress = on_progress, .user = &json};
    vox_error err = {0};
    vox_experiment *exp = NULL;
    vox_ctx *ctx = NULL;
    char *document = NULL;
    int code = CLI_DONE;
    if (vox_experiment_open(&exp, path, set->item, set->count, &err) != VOX_OK ||
        vox_ctx_open(&ctx, devices, &err) != VOX_OK ||
        vox_tune(exp, ctx, &opt, &document, &err) != VOX_OK) {
        cli_bar_end();
        code = cli_error(&err);
    } else {
        cli_bar_end();
        if (json)
            puts(document);
        else
            code = cli_document_print(document);
    }
    vox_string_free(&document);
    vox_ctx_free(&ctx);
    vox_experiment_free(&exp);
    return code;
}

int cmd_tune(int argc, char **argv)
{
    bool json = false;
    const char *path, *devices = NULL;
    cli_list set = {0};
    cli_methods chosen = CLI_METHODS_INIT;
    vox_methods methods;
    const cli_option options[] = {
        CLI_DEVICES_OPTION(devices),
        CLI_METHODS_OPTIONS(chosen),
        CLI_SET_OPTION(set),
        CLI_JSON_OPTION(json),
        {.name = NULL},
    };
    const cli_spec spec = {
        .usage = "tune EXP [options]",
        .about =
            "Times the methods that each layer of an experiment could run with on each device\n"
            "and keeps the times for voxcl train --tune quick. What is known already is not\n"
            "measured again, unless with --tune full. Shows the fastest and the second.",
        .operands = (const char *const[]){"EXP", NULL},
        .options = options,
        .more = "The times are in finddb.txt in the cache directory; removing it is safe.",
    };
    int code = cli_parse(&spec, argc, argv, &path);
    if (code == CLI_GO)
        code = cli_methods_get(&methods, &chosen, "tune");
    if (code == CLI_GO)
        code = measure(path, &set, devices, &methods, json);
    cli_list_release(&set);
    return code;
}
