/* conv_request.c - a convolution and what to measure of it, from the words of a command line. */
#include "tune/conv_request.h"

#include "base/text.h"
#include "tune/timing.h"

#include <string.h>

const char *const vox_conv_passes[VOX_PASSES] = {"fwd", "bwd_data", "bwd_weights"};

/* "a,b,c" into out[count]; with `spread`, one number stands for all. */
static bool parse_list(const char *text, int64_t *out, int count, bool spread, int64_t least)
{
    char copy[256], *save = NULL;
    int found = 0;
    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, text);
    for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save))
        if (found == count || !vox_parse_i64(w, &out[found]) || out[found] < least ||
            out[found++] > 1 << 20)
            return false;
    for (; spread && found == 1 && count > 1; count--)
        out[count - 1] = out[0];
    return found == count;
}

static bool parse_pass(const char *text, bool pass[VOX_PASSES])
{
    bool any = false;
    for (int i = 0; i < VOX_PASSES; i++) {
        pass[i] = strcmp(text, "all") == 0 || strcmp(text, vox_conv_passes[i]) == 0;
        any = any || pass[i];
    }
    return any;
}

/* A name, with values or without; whether there are such values depends on the device. */
static bool parse_algo(vox_conv_request *r, const char *value)
{
    const size_t length = strcspn(value, ":");
    r->algo = value;
    bool known = strcmp(value, "all") == 0 || strcmp(value, "chosen") == 0;
    for (const vox_algo *a = vox_op_find("conv")->algos; a->name; a++)
        known = known || (strlen(a->name) == length && strncmp(a->name, value, length) == 0);
    return known;
}

static bool parse_tune(vox_conv_request *r, const char *value)
{
    static const char *const modes[] = {"off", "quick", "full"};
    for (int i = 0; i < 3; i++)
        if (strcmp(value, modes[i]) == 0) {
            r->tune = (vox_tune_mode)i;
            return true;
        }
    return false;
}

static bool parse_shape(vox_conv_request *r, const char *key, const char *value, bool *known)
{
    const struct {
        const char *key;
        int64_t *to;
        int64_t least;
    } triples[] = {{"--kernel", r->attr.kernel, 1},
                   {"--stride", r->attr.stride, 1},
                   {"--pad", r->attr.pad, 0},
                   {"--dilation", r->attr.dilation, 1}};
    *known = true;
    for (size_t i = 0; i < sizeof triples / sizeof *triples; i++)
        if (strcmp(key, triples[i].key) == 0)
            return parse_list(value, triples[i].to, 3, true, triples[i].least);
    if (strcmp(key, "--in") == 0)
        return parse_list(value, r->in.dim, 5, false, 1);
    if (strcmp(key, "--out") == 0)
        return parse_list(value, &r->attr.out, 1, false, 1);
    if (strcmp(key, "--groups") == 0)
        return parse_list(value, &r->attr.groups, 1, false, 1);
    *known = false;
    return false;
}

static bool parse_value(vox_conv_request *r, const char *key, const char *value, bool *known)
{
    int64_t number = 0;
    *known = true;
    if (strcmp(key, "--pass") == 0)
        return parse_pass(value, r->pass);
    if (strcmp(key, "--repeat") == 0)
        return parse_list(value, &r->repeat, 1, false, 1) && r->repeat <= VOX_TIMING_MOST;
    if (strcmp(key, "--algo") == 0)
        return parse_algo(r, value);
    if (strcmp(key, "--variants") == 0)
        return r->variants = strcmp(value, "yes") == 0, r->variants || !strcmp(value, "no");
    if (strcmp(key, "--tune") == 0)
        return parse_tune(r, value);
    if (strcmp(key, "--roofline") == 0)
        return (r->roofline = value)[0] != '\0';
    if (strcmp(key, "--budget") == 0 || strcmp(key, "--workspace") == 0) {
        const bool good = parse_list(value, &number, 1, false, 1);
        r->budget_s = key[2] == 'b' ? (double)number : r->budget_s;
        r->workspace = key[2] == 'w' ? (uint64_t)number << 20 : r->workspace;
        return good;
    }
    return parse_shape(r, key, value, known);
}

static vox_status fail_argument(const char *key, const char *value, bool known, vox_error *err)
{
    if (!known) {
        vox_fail(err, VOX_ERR_USAGE, "bench conv does not know %s", key);
        vox_hint(err, "it takes --in --out --kernel --stride --pad --dilation --groups --pass "
                      "--repeat --algo --variants --tune --budget --workspace --roofline");
        return VOX_ERR_USAGE;
    }
    vox_fail(err, VOX_ERR_USAGE, "bench conv: %s cannot be \"%s\"", key, value ? value : "");
    vox_hint(err,
             "--in N,C,D,H,W; --out C; --kernel, --stride, --pad, --dilation d,h,w or one "
             "number; --pass fwd|bwd_data|bwd_weights|all; --repeat 1 to %d; --algo all, chosen or "
             "a name that bench conv prints; --tune off|quick|full",
             VOX_TIMING_MOST);
    return VOX_ERR_USAGE;
}

vox_status vox_conv_request_read(vox_conv_request *r, const char *const *args, size_t count,
                                 vox_error *err)
{
    *r = (vox_conv_request){
        .attr = {.stride = {1, 1, 1}, .dilation = {1, 1, 1}, .groups = 1, .bias = true},
        .in = {.rank = 5},
        .pass = {true, true, true},
        .repeat = 7,
        .budget_s = 60,
        .algo = "all"};
    for (size_t i = 0; i < count; i += 2) {
        bool known;
        const char *value = i + 1 < count ? args[i + 1] : "";
        if (!parse_value(r, args[i], value, &known))
            return fail_argument(args[i], value, known, err);
    }
    if (!r->in.dim[0] || !r->attr.out || !r->attr.kernel[0]) {
        vox_fail(err, VOX_ERR_USAGE, "bench conv needs --in, --out and --kernel");
        vox_hint(err, "for example --in 2,16,64,64,64 --out 16 --kernel 3 --pad 1");
        return VOX_ERR_USAGE;
    }
    r->node = (vox_node){.op = vox_op_find("conv"), .name = "bench", .attr = &r->attr, .inputs = 1};
    r->node.in[0] = r->in;
    r->node.in[0].dim[0] = 1;
    return r->node.op->infer(&r->node, r->node.in, &r->node.out, err);
}
