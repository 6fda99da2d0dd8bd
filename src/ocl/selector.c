/* selector.c - what --devices says: which devices of a list, and into how many parts each.
 *
 *   all | cpu | gpu | 0,2 | part of a name     what
 *     /N                                       behind it: as N equal sub-devices each
 *     /N.K or /N.K-L                           only part K, or parts K to L, of N
 *
 * Nothing here asks a driver. */
#define _GNU_SOURCE
#include "ocl/internal.h"

#include <stdlib.h>
#include <string.h>

static vox_status unreadable(const char *selector, vox_error *err)
{
    vox_fail(err, VOX_ERR_USAGE, "cannot read the device list \"%s\"", selector);
    return vox_hint(err, "numbers with commas, each perhaps with /N for N parts or /N.K for part K "
                         "of them, such as 0/2,1");
}

/* What stands behind the slash. */
typedef struct split {
    unsigned long parts, first, last;
} split;

static const split whole = {1, 1, 1};

static vox_status check_split(const vox_device_desc *d, const split *sp, vox_error *err)
{
    vox_status s = vox_subdevice_check(d, sp->parts, err);
    if (s != VOX_OK || (sp->first >= 1 && sp->first <= sp->last && sp->last <= sp->parts))
        return s;
    vox_fail(err, VOX_ERR_USAGE, "of %lu parts of device %d there are no parts %lu to %lu",
             sp->parts, d->index, sp->first, sp->last);
    return vox_hint(err, "parts count from 1: /%lu.1 is the first", sp->parts);
}

/* Adds device i; the list stays in the devices' order, whatever the selector's. */
static vox_status add(vox_chosen *chosen, size_t *count, const vox_device_list *list, size_t i,
                      const split *sp, vox_error *err)
{
    size_t at = *count;
    vox_status s = check_split(&list->device[i], sp, err);
    if (s != VOX_OK)
        return s;
    while (at > 0 && chosen[at - 1].device >= i) {
        if (chosen[at - 1].device == i) {
            vox_fail(err, VOX_ERR_USAGE, "device %zu is named twice", i);
            return vox_hint(err, "%zu/2 makes two devices of it", i);
        }
        at--;
    }
    memmove(chosen + at + 1, chosen + at, (*count - at) * sizeof *chosen);
    chosen[at] = (vox_chosen){.device = i,
                              .parts = (uint32_t)sp->parts,
                              .first = (uint32_t)sp->first,
                              .count = (uint32_t)(sp->last - sp->first + 1)};
    (*count)++;
    return VOX_OK;
}

/* Blanks may stand around numbers. */
static bool read_number(const char **p, unsigned long *value)
{
    *p += strspn(*p, " ");
    const size_t digits = strspn(*p, "0123456789");
    if (digits == 0 || digits > 9)
        return false;
    *value = strtoul(*p, NULL, 10);
    *p += digits;
    *p += strspn(*p, " ");
    return true;
}

/* "2", "2.1" or "4.1-3"; *p goes behind it. */
static bool read_split(const char **p, split *sp)
{
    if (!read_number(p, &sp->parts))
        return false;
    sp->first = 1;
    sp->last = sp->parts;
    if (**p != '.')
        return true;
    ++*p;
    if (!read_number(p, &sp->first))
        return false;
    sp->last = sp->first;
    if (**p != '-')
        return true;
    ++*p;
    return read_number(p, &sp->last);
}

static vox_status read_list(vox_chosen *chosen, size_t *count, const char *selector,
                            const vox_device_list *list, vox_error *err)
{
    const char *p = selector;
    for (;; p++) {
        unsigned long i;
        split sp = whole;
        bool good = read_number(&p, &i);
        if (good && *p == '/') {
            p++;
            good = read_split(&p, &sp);
        }
        if (!good || (*p && *p != ','))
            return unreadable(selector, err);
        if (i >= list->count) {
            vox_fail(err, VOX_ERR_USAGE, "there is no device %lu", i);
            vox_detail(err, "%zu devices on %zu platforms", list->count, list->platforms);
            return vox_hint(err, "`voxcl devices` lists them");
        }
        if (!list->device[i].usable) {
            vox_fail(err, VOX_ERR_DEVICE, "device %lu cannot be used", i);
            return vox_detail(err, "%s: %s", list->device[i].name, list->device[i].reason);
        }
        vox_status s = add(chosen, count, list, i, &sp, err);
        if (s != VOX_OK || !*p)
            return s;
    }
}

static bool matches(const vox_device_desc *d, const char *word)
{
    if (strcmp(word, "all") == 0)
        return true;
    if (strcmp(word, "cpu") == 0)
        return d->type == VOX_DEVICE_CPU;
    if (strcmp(word, "gpu") == 0)
        return d->type == VOX_DEVICE_GPU;
    return strcasestr(d->name, word) != NULL;
}

static vox_status none_found(const char *selector, const vox_device_list *list, vox_error *err)
{
    vox_fail(err, VOX_ERR_DEVICE, "no OpenCL device to run on");
    if (list->count == 0) {
        vox_detail(err, "%zu OpenCL platforms are installed and none has a device",
                   list->platforms);
        return vox_hint(err, "install a driver; for the CPU: apt install pocl-opencl-icd");
    }
    size_t usable = 0;
    for (size_t i = 0; i < list->count; i++)
        usable += list->device[i].usable;
    vox_detail(err, "\"%s\" matches none of %zu devices (%zu usable)", selector, list->count,
               usable);
    return vox_hint(err, "all, cpu, gpu, numbers such as 0,2 or a part of a name, /N behind it for "
                         "N parts; `voxcl devices` lists them");
}

/* "cpu/2" is the word cpu and 2; behind a name's own slash there is more than such numbers. */
static bool split_word(const char *selector, char *word, size_t size, split *sp)
{
    const char *slash = strrchr(selector, '/');
    size_t length = strlen(selector);
    *sp = whole;
    if (slash && slash[1] && slash[1 + strspn(slash + 1, "0123456789.-")] == '\0') {
        const char *p = slash + 1;
        length = (size_t)(slash - selector);
        if (!read_split(&p, sp) || *p)
            return false;
    }
    if (length == 0 || length >= size)
        return false;
    memcpy(word, selector, length);
    word[length] = '\0';
    return true;
}

static vox_status read_word(vox_chosen *chosen, size_t *count, const char *selector,
                            const vox_device_list *list, vox_error *err)
{
    char word[sizeof list->device->name];
    split sp;
    if (!split_word(selector, word, sizeof word, &sp))
        return unreadable(selector, err);
    const bool cpus_only = strcmp(word, "all") == 0 && sp.parts > 1;
    for (size_t i = 0; i < list->count; i++) {
        const vox_device_desc *d = &list->device[i];
        if (!d->usable || !matches(d, word))
            continue;
        const bool stays = cpus_only && d->type != VOX_DEVICE_CPU;
        vox_status s = add(chosen, count, list, i, stays ? &whole : &sp, err);
        if (s != VOX_OK)
            return s;
    }
    return *count > 0 ? VOX_OK : none_found(selector, list, err);
}

vox_status vox_selector_read(vox_chosen *chosen, size_t *count, const char *selector,
                             const vox_device_list *list, vox_error *err)
{
    *count = 0;
    if (selector[strspn(selector, "0123456789,/.- ")] == '\0')
        return read_list(chosen, count, selector, list, err);
    return read_word(chosen, count, selector, list, err);
}
