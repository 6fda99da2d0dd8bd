/* sharing.c - which device gets what share of a batch. */
#include "train/sharing.h"

#include "base/log.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

/* Samples that all devices have at once. */
static int64_t at_once(const vox_train_spec *train)
{
    const int64_t parts = train->accumulate > 1 ? train->accumulate : 1;
    return (train->batch + parts - 1) / parts;
}

static vox_status check_samples(const vox_sharing *s, const vox_train_spec *train, size_t devices,
                                vox_error *err)
{
    const long long samples = (long long)at_once(train);
    size_t used = 0;
    for (size_t i = 0; i < devices; i++)
        used += s->mode != VOX_SHARD_WEIGHTS || s->weight[i] > 0;
    if ((long long)used <= samples)
        return VOX_OK;
    vox_fail(err, VOX_ERR_USAGE, "%zu devices cannot share %lld sample%s", used, samples,
             samples == 1 ? "" : "s");
    vox_detail(err, "train.batch is %lld, in %lld part%s", (long long)train->batch,
               (long long)(train->accumulate > 1 ? train->accumulate : 1),
               train->accumulate > 1 ? "s" : "");
    vox_hint(err, "raise train.batch, or choose fewer devices with --devices");
    return VOX_ERR_USAGE;
}

vox_status vox_sharing_init(vox_sharing *s, const vox_train_options *opt,
                            const vox_train_spec *train, const vox_ctx *ctx, vox_error *err)
{
    *s = (vox_sharing){0};
    vox_status status = vox_fleet_init(&s->fleet, opt->hosts, ctx, err);
    if (status != VOX_OK)
        return status;
    const size_t devices = s->fleet.count;
    s->weight = vox_calloc(devices, sizeof *s->weight, "the devices' shares", err);
    if (!s->weight)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < devices; i++)
        s->weight[i] = 1;
    status = vox_shard_parse(&s->mode, s->weight, opt->shard, devices, err);
    return status == VOX_OK ? check_samples(s, train, devices, err) : status;
}

void vox_sharing_release(vox_sharing *s)
{
    free(s->weight);
    vox_fleet_release(&s->fleet);
    *s = (vox_sharing){0};
}

/* One line into *weight if it is of this device; the next line, or NULL. */
static const char *read_line(const char *line, const char *title, double *weight)
{
    char *end;
    const size_t length = strlen(title);
    *weight = strtod(line, &end);
    if (end == line || *end != ' ' || *weight < 0 || strncmp(end + 1, title, length) != 0 ||
        end[1 + length] != '\n')
        return NULL;
    return end + length + 2;
}

/* Whether text is of these devices: then their weights are in weight[devices]. */
static bool read_lines(const char *text, const vox_fleet *fleet, double *weight)
{
    double sum = 0;
    for (size_t i = 0; text && i < fleet->count; i++) {
        text = read_line(text, fleet->title[i].text, &weight[i]);
        sum += weight[i];
    }
    return text && *text == '\0' && sum > 0;
}

vox_status vox_sharing_recall(vox_sharing *s, const char *text, vox_error *err)
{
    const size_t bytes = s->fleet.count * sizeof(double);
    double *weight = vox_calloc(1, bytes, "the devices' shares", err);
    if (!weight)
        return VOX_ERR_MEMORY;
    const bool same = read_lines(text, &s->fleet, weight);
    if (same && s->mode == VOX_SHARD_AUTO)
        memcpy(s->weight, weight, bytes);
    else if (text && s->mode == VOX_SHARD_AUTO)
        vox_log(VOX_LOG_INFO, "other devices than in the checkpoint: equal shares to begin with");
    s->recalled = same && memcmp(s->weight, weight, bytes) == 0;
    free(weight);
    return VOX_OK;
}

vox_status vox_sharing_spread(vox_sharing *s, vox_hosts *hosts, vox_error *err)
{
    vox_status status =
        vox_hosts_broadcast(hosts, s->weight, s->fleet.count * sizeof *s->weight, err);
    return status == VOX_OK ? vox_hosts_broadcast(hosts, &s->recalled, sizeof s->recalled, err)
                            : status;
}

char *vox_sharing_text(const vox_team *team, vox_error *err)
{
    vox_str text = {0};
    const double *weight = vox_team_weights(team);
    const vox_fleet *fleet = vox_team_fleet(team);
    for (size_t i = 0; i < fleet->count; i++)
        vox_str_add(&text, "%.9g %s\n", weight[i], fleet->title[i].text);
    if (text.failed) {
        vox_str_release(&text);
        vox_fail_memory(err, "the devices' shares", text.length);
    }
    return text.text;
}
