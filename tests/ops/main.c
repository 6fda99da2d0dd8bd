/* main.c - test_ops: checks the operations' kernels; --bench also times them. */
#include "ops/harness.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define VT_SUITE(x) extern const vt_suite vt_suite_##x;
#include "ops/suites.def"
#undef VT_SUITE

static const vt_suite *const suites[] = {
#define VT_SUITE(x) &vt_suite_##x,
#include "ops/suites.def"
#undef VT_SUITE
    NULL};

static const char usage[] =
    "usage: test_ops [--tiny] [--op NAME] [--seed N] [--random N] [--device SEL] [--list]\n"
    "                [--bench] [--sweep] [--all] [--verbose]\n"
    "  --tiny        only the tiny cases (for simulators)\n"
    "  --op NAME     only this operation\n"
    "  --seed N      of the numbers and of the random cases (1)\n"
    "  --random N    random cases per operation (2; tiny: 1; sweep: 5)\n"
    "  --device SEL  as voxcl's --devices (all)\n"
    "  --list        operations, algorithms and cases\n"
    "  --bench       the large cases, timed after they passed\n"
    "  --sweep       also the cases, and a case's algorithms, that are run seldom\n"
    "  --all         on every case also the algorithms that are slow on the device, and all\n"
    "                tuning values\n"
    "  --verbose     name each case before it runs\n"
    "exit: 0 all passed, 1 failures or nothing checked, 2 usage, 77 no device\n";

static bool parse_value(vt_options *o, const char *key, const char *value)
{
    int64_t number;
    if (strcmp(key, "--op") == 0)
        o->op = value;
    else if (strcmp(key, "--device") == 0)
        o->device = value;
    else if (!vox_parse_i64(value, &number) || number < 0 || number > 1000000000)
        return false;
    else if (strcmp(key, "--seed") == 0)
        o->seed = (uint64_t)number;
    else if (strcmp(key, "--random") == 0)
        o->random = (int)number;
    else
        return false;
    return true;
}

static bool parse(vt_options *o, int argc, char **argv)
{
    *o = (vt_options){.seed = 1, .random = -1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--tiny") == 0)
            o->tiny = true;
        else if (strcmp(argv[i], "--list") == 0)
            o->list = true;
        else if (strcmp(argv[i], "--bench") == 0)
            o->bench = true;
        else if (strcmp(argv[i], "--sweep") == 0)
            o->sweep = true;
        else if (strcmp(argv[i], "--all") == 0)
            o->all = true;
        else if (strcmp(argv[i], "--verbose") == 0)
            o->verbose = true;
        else if (i + 1 >= argc || !parse_value(o, argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    if (o->random < 0)
        o->random = o->tiny ? 1 : o->sweep ? 5 : 2;
    return true;
}

static int run_all(vox_ctx *ctx, const vt_options *o)
{
    vt_totals t = {0};
    int matched = 0;
    for (const vt_suite *const *s = suites; *s; s++)
        if (!o->op || strcmp(o->op, (*s)->op) == 0) {
            matched++;
            vt_run_suite(*s, ctx, o, &t);
        }
    printf("%" PRId64 " cases, %" PRId64 " checks, %" PRId64 " failures\n", t.cases, t.checks,
           t.failures);
    if (!matched)
        fprintf(stderr, "FAIL no operation under test is called %s\n", o->op ? o->op : "anything");
    else if (!t.checks)
        fprintf(stderr, "FAIL nothing was checked\n");
    return t.failures || !t.checks ? 1 : 0;
}

static void print_devices(vox_ctx *ctx)
{
    for (size_t i = 0; i < vox_ctx_device_count(ctx); i++) {
        const vox_device_desc *d = vox_ctx_device(ctx, i);
        printf("device %d: %s (%s)\n", d->index, d->name, d->platform);
    }
}

int main(int argc, char **argv)
{
    vt_options o;
    if (!parse(&o, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    if (!vt_selftest())
        return 1;
    if (o.list) {
        for (const vt_suite *const *s = suites; *s; s++)
            vt_list_suite(*s);
        return 0;
    }
    vox_ctx *ctx = NULL;
    vox_error err = {0};
    if (vox_ctx_open(&ctx, o.device, &err) != VOX_OK) {
        fprintf(stderr, "skipped: %s | %s\n", err.message, err.detail);
        return o.device ? 1 : 77;
    }
    print_devices(ctx);
    int rc = run_all(ctx, &o);
    vox_ctx_free(&ctx);
    return rc;
}
