/* prepare_stats.c - figures of many voxels, and their way through a checkpoint. */
#include "data/prepare_step.h"

#include "base/mem.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* value is sorted. */
static double percentile(const float *value, size_t count, double percent)
{
    double at = percent / 100 * (double)(count - 1);
    size_t low = (size_t)at, high = low + 1 < count ? low + 1 : low;
    return (double)value[low] + (at - (double)low) * ((double)value[high] - (double)value[low]);
}

void vox_prepare_percentiles(float *value, size_t count, double low_percent, double high_percent,
                             double *low, double *high)
{
    qsort(value, count, sizeof *value, by_value);
    *low = percentile(value, count, low_percent);
    *high = percentile(value, count, high_percent);
}

char *vox_prepare_stats_text(const vox_prepare_stats *stats, vox_error *err)
{
    vox_str text = {0};
    if (stats->channels > 0)
        vox_str_add(&text, "%lld", (long long)stats->channels);
    for (int64_t c = 0; c < stats->channels; c++)
        vox_str_add(&text, " %.17g %.17g %.17g %.17g", stats->low[c], stats->high[c],
                    stats->mean[c], stats->std[c]);
    char *out = text.failed ? NULL : vox_strdup(text.text ? text.text : "", err);
    vox_str_release(&text);
    for (char *p = out; p && *p; p++) /* the program using us may have set a locale */
        *p = *p == ',' ? '.' : *p;
    return out;
}

/* The next word of *text as a number; *text moves behind it. */
static bool next_number(const char **text, double *out)
{
    char word[40];
    *text += strspn(*text, " ");
    size_t length = strcspn(*text, " ");
    if (length == 0 || length >= sizeof word)
        return false;
    memcpy(word, *text, length);
    word[length] = '\0';
    *text += length;
    return vox_parse_double(word, out) && isfinite(*out);
}

bool vox_prepare_stats_read(vox_prepare_stats *stats, const char *text)
{
    double channels = 0;
    memset(stats, 0, sizeof *stats);
    if (!*text)
        return true;
    if (!next_number(&text, &channels) || !(channels >= 1 && channels <= VOX_PREPARE_CHANNELS))
        return false;
    for (int64_t c = 0; c < (int64_t)channels; c++)
        if (!next_number(&text, &stats->low[c]) || !next_number(&text, &stats->high[c]) ||
            !next_number(&text, &stats->mean[c]) || !next_number(&text, &stats->std[c]))
            return false;
    stats->channels = (int64_t)channels;
    return text[strspn(text, " ")] == '\0';
}
