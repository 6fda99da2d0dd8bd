/* augment.c - the list of augmentation steps, from YAML to kernels. */
#include "data/augment_step.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

static const vox_augment_kind *const kinds[] = {
    &vox_augment_mirror,         &vox_augment_rotate90,   &vox_augment_salt_pepper,
    &vox_augment_gaussian_noise, &vox_augment_brightness, &vox_augment_contrast,
    &vox_augment_gamma};
#define KINDS (sizeof kinds / sizeof *kinds)

struct vox_augment {
    vox_augment_step *step; /* [count] */
    size_t count;
};

static vox_status unknown_step(const vox_yaml_node *item, const char *word, vox_error *err)
{
    const char *words[KINDS + 1] = {0};
    for (size_t i = 0; i < KINDS; i++)
        words[i] = kinds[i]->word;
    const char *near = vox_nearest(word, words);
    vox_yaml_fail(err, item, "there is no augmentation \"%s\"", word);
    if (near)
        vox_hint(err, "did you mean %s?", near);
    else
        vox_hint(err,
                 "there are mirror, rotate90, salt_pepper, gaussian_noise, brightness, contrast "
                 "and gamma");
    return VOX_ERR_INPUT;
}

static vox_status open_step(vox_augment_step *s, const vox_yaml_node *item, vox_error *err)
{
    const char *word;
    const vox_yaml_node *value;
    vox_status status = vox_yaml_single(item, "an augmentation", &word, &value, err);
    if (status != VOX_OK)
        return status;
    for (size_t i = 0; i < KINDS && !s->kind; i++)
        if (strcmp(kinds[i]->word, word) == 0)
            s->kind = kinds[i];
    if (!s->kind)
        return unknown_step(item, word, err);
    status = s->kind->parse(s, value ? value : item, err);
    return status == VOX_OK ? s->kind->build(s, err) : status;
}

vox_status vox_augment_open(vox_augment **out, const vox_yaml_node *list, vox_device *dev,
                            const vox_shape *input, int64_t n_max, vox_error *err)
{
    *out = NULL;
    if (vox_yaml_kind_of(list) != VOX_YAML_NULL && vox_yaml_kind_of(list) != VOX_YAML_LIST)
        return vox_yaml_fail(err, list, "data.augment is a list of steps");
    vox_augment *a = vox_calloc(1, sizeof *a, "augmentation", err);
    size_t count = vox_yaml_count(list);
    if (!a || !(a->step = vox_calloc(count, sizeof *a->step, "augmentation", err))) {
        free(a);
        return VOX_ERR_MEMORY;
    }
    vox_status s = VOX_OK;
    for (; a->count < count && s == VOX_OK; a->count++) {
        a->step[a->count] = (vox_augment_step){
            .dev = dev, .input = *input, .n_max = n_max, .lane = (uint32_t)a->count};
        s = open_step(&a->step[a->count], vox_yaml_item(list, a->count), err);
    }
    if (s == VOX_OK)
        *out = a;
    else
        vox_augment_free(&a);
    return s;
}

void vox_augment_free(vox_augment **augment)
{
    vox_augment *a = augment ? *augment : NULL;
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++) {
        vox_kernel_free(&a->step[i].kernel[0]);
        vox_kernel_free(&a->step[i].kernel[1]);
        vox_buffer_free(&a->step[i].scratch);
    }
    free(a->step);
    free(a);
    *augment = NULL;
}

vox_status vox_augment_run(vox_augment *augment, const vox_tensor *x, const vox_tensor *labels,
                           int64_t n, const vox_step *step, vox_error *err)
{
    for (size_t i = 0; i < augment->count; i++) {
        vox_augment_step *a = &augment->step[i];
        vox_status s = a->kind->run(a, x->buf, a->input.dim[1], n, step, err);
        if (s == VOX_OK && a->kind->moves && labels)
            s = a->kind->run(a, labels->buf, 1, n, step, err);
        if (s != VOX_OK) {
            vox_error_at(err, "augmentation %zu, %s", i, augment->step[i].kind->word);
            return s;
        }
    }
    return VOX_OK;
}

/* ---- for the steps ---- */

vox_status vox_augment_number(const vox_yaml_node *map, const char *key, double min, double max,
                              double dflt, double *out, vox_error *err)
{
    const vox_yaml_node *node = vox_yaml_find(map, key);
    if (!node && isnan(dflt))
        return vox_yaml_fail(err, map, "%s is missing", key);
    *out = dflt;
    return node ? vox_yaml_double(node, min, max, out, err) : VOX_OK;
}

int64_t vox_augment_row(const vox_augment_step *s)
{
    return vox_device_is_cpu(s->dev) ? 256 : 1;
}

vox_status vox_augment_kernel(vox_augment_step *s, int slot, const char *file, const char *entry,
                              vox_purpose purpose, const char *more, vox_error *err)
{
    char options[256];
    const int64_t *d = s->input.dim;
    snprintf(options, sizeof options,
             "-DC=%" PRId64 " -DD=%" PRId64 " -DH=%" PRId64 " -DW=%" PRId64 " -DROW=%" PRId64
             " -DPURPOSE=%d %s",
             d[1], d[2], d[3], d[4], vox_augment_row(s), (int)purpose, more);
    return vox_kernel_open(&s->kernel[slot], s->dev, file, entry, options, err);
}

void vox_augment_key(const vox_augment_step *s, const vox_step *step, vox_arg out[4])
{
    out[0] = vox_arg_u64(step->seed);
    out[1] = vox_arg_u32(s->lane);
    out[2] = vox_arg_u32((uint32_t)step->step);
    out[3] = vox_arg_u32((uint32_t)step->first);
}
