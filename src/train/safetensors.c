/* safetensors.c - reading named tensors; see safetensors.h. */
#include "train/safetensors.h"

#include <stdlib.h>
#include <string.h>

void vox_safetensors_free(vox_safetensors **file)
{
    vox_safetensors *f = file ? *file : NULL;
    if (!f)
        return;
    for (size_t i = 0; i < f->tensors; i++)
        free(f->tensor[i].name);
    for (size_t i = 0; i < f->metas; i++) {
        free(f->key[i]);
        free(f->value[i]);
    }
    free(f->tensor);
    free(f->key);
    free(f->value);
    free(f->file);
    free(f->path);
    free(f);
    *file = NULL;
}

const vox_st_tensor *vox_safetensors_find(const vox_safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->tensors; i++)
        if (strcmp(file->tensor[i].name, name) == 0)
            return &file->tensor[i];
    return NULL;
}

const char *vox_safetensors_meta(const vox_safetensors *file, const char *key)
{
    for (size_t i = 0; i < file->metas; i++)
        if (strcmp(file->key[i], key) == 0)
            return file->value[i];
    return NULL;
}

vox_status vox_safetensors_floats(const vox_safetensors *file, const vox_st_tensor *tensor,
                                  float *out, vox_error *err)
{
    if (strcmp(tensor->dtype, "F32") != 0) {
        vox_fail(err, VOX_ERR_UNSUPPORTED, "a tensor is not float32");
        vox_detail(err, "%s: %s is %s", file->path, tensor->name, tensor->dtype);
        vox_hint(err, "save the weights as float32 (tensor.float() in PyTorch)");
        return VOX_ERR_UNSUPPORTED;
    }
    memcpy(out, file->data + tensor->offset, tensor->bytes);
    return VOX_OK;
}

#ifndef VOXCL_WITH_JANSSON

vox_status vox_safetensors_open(vox_safetensors **out, const char *path, vox_error *err)
{
    *out = NULL;
    vox_fail(err, VOX_ERR_UNSUPPORTED, "cannot read %s: built without a JSON library", path);
    vox_hint(err, "configure with -DVOXCL_WITH_JANSSON=ON");
    return VOX_ERR_UNSUPPORTED;
}

#else

#include <jansson.h>

#define HEADER_LIMIT 100000000u /* the format's own limit */

static vox_status bad(vox_error *err, const vox_safetensors *f)
{
    vox_fail(err, VOX_ERR_INPUT, "not a whole safetensors file");
    vox_hint(err, "the file is damaged or cut off; use another checkpoint");
    return vox_detail(err, "%s", f->path);
}

static vox_status bad_tensor(vox_error *err, const vox_safetensors *f, const char *name,
                             const char *why)
{
    bad(err, f);
    return vox_detail(err, "%s: tensor \"%s\": %s", f->path, name, why);
}

static size_t dtype_bytes(const char *dtype)
{
    static const struct {
        const char *name;
        size_t bytes;
    } types[] = {{"F32", 4}, {"I64", 8}, {"F16", 2}, {"BF16", 2}, {"F64", 8},
                 {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1},
                 {"U16", 2}, {"U32", 4}, {"U64", 8}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, dtype) == 0)
            return types[i].bytes;
    return 0;
}

/* A count of elements or bytes: whole, not negative. */
static bool get_size(const json_t *value, size_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static vox_status read_tensor(vox_safetensors *f, const char *name, json_t *entry, size_t room,
                              vox_error *err)
{
    vox_st_tensor *t = &f->tensor[f->tensors];
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    json_t *shape = json_object_get(entry, "shape");
    json_t *offsets = json_object_get(entry, "data_offsets");
    size_t end, element = dtype ? dtype_bytes(dtype) : 0;
    if (!json_is_array(shape) || json_array_size(offsets) != 2)
        return bad_tensor(err, f, name, "dtype, shape or data_offsets missing");
    if (element == 0)
        return bad_tensor(err, f, name, "unknown dtype");
    if (json_array_size(shape) > VOX_ST_RANK)
        return bad_tensor(err, f, name, "more than 8 dimensions");
    t->rank = (int)json_array_size(shape);
    t->count = 1;
    for (int i = 0; i < t->rank; i++) {
        size_t dim;
        if (!get_size(json_array_get(shape, (size_t)i), &dim) || !vox_mul(t->count, dim, &t->count))
            return bad_tensor(err, f, name, "a shape that is negative or overflows");
        t->shape[i] = (int64_t)dim;
    }
    if (!get_size(json_array_get(offsets, 0), &t->offset) ||
        !get_size(json_array_get(offsets, 1), &end) || end < t->offset || end > room)
        return bad_tensor(err, f, name, "data_offsets outside the file");
    if (!vox_mul(t->count, element, &t->bytes) || end - t->offset != t->bytes)
        return bad_tensor(err, f, name, "its shape needs another number of bytes than it has");
    memcpy(t->dtype, dtype, strlen(dtype) + 1); /* known names have at most 4 letters */
    t->name = vox_strdup(name, err);
    if (!t->name)
        return VOX_ERR_MEMORY;
    f->tensors++;
    return VOX_OK;
}

static vox_status read_meta(vox_safetensors *f, json_t *object, vox_error *err)
{
    const char *key;
    json_t *value;
    f->key = vox_calloc(json_object_size(object), sizeof *f->key, "metadata", err);
    f->value = vox_calloc(json_object_size(object), sizeof *f->value, "metadata", err);
    if (!f->key || !f->value)
        return VOX_ERR_MEMORY;
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value))
            return bad_tensor(err, f, "__metadata__", "a value that is no string");
        size_t i = f->metas++;
        f->key[i] = vox_strdup(key, err);
        f->value[i] = vox_strdup(json_string_value(value), err);
        if (!f->key[i] || !f->value[i])
            return VOX_ERR_MEMORY;
    }
    return VOX_OK;
}

static int by_offset(const void *a, const void *b)
{
    const vox_st_tensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones first */
}

static vox_status check_cover(vox_safetensors *f, size_t room, vox_error *err)
{
    size_t at = 0;
    if (f->tensors > 1)
        qsort(f->tensor, f->tensors, sizeof *f->tensor, by_offset);
    for (size_t i = 0; i < f->tensors; i++) {
        if (f->tensor[i].offset != at)
            return bad_tensor(err, f, f->tensor[i].name,
                              f->tensor[i].offset < at ? "overlaps the one before it"
                                                       : "a gap lies before it");
        at += f->tensor[i].bytes;
    }
    if (at == room)
        return VOX_OK;
    bad(err, f);
    return vox_detail(err, "%s: the tensors take %zu bytes, the file has %zu", f->path, at, room);
}

static vox_status read_header(vox_safetensors *f, json_t *root, size_t room, vox_error *err)
{
    const char *name;
    json_t *entry;
    vox_status s = VOX_OK;
    if (!json_is_object(root))
        return bad(err, f);
    f->tensor = vox_calloc(json_object_size(root), sizeof *f->tensor, "the tensors' list", err);
    if (!f->tensor)
        return VOX_ERR_MEMORY;
    json_object_foreach(root, name, entry)
    {
        if (!json_is_object(entry))
            s = bad_tensor(err, f, name, "not described by an object");
        else if (strcmp(name, "__metadata__") == 0)
            s = read_meta(f, entry, err);
        else
            s = read_tensor(f, name, entry, room, err);
        if (s != VOX_OK)
            return s;
    }
    return check_cover(f, room, err);
}

static vox_status read_file(vox_safetensors *f, vox_error *err)
{
    size_t size = 0;
    uint64_t length = 0;
    vox_status s = vox_file_read(&f->file, &size, f->path, 0, err);
    if (s != VOX_OK)
        return s;
    if (size >= 8)
        for (int i = 7; i >= 0; i--)
            length = length << 8 | (unsigned char)f->file[i];
    if (size < 8 || length > size - 8 || length > HEADER_LIMIT) {
        bad(err, f);
        return vox_detail(err, "%s: %zu bytes, of which the header would be %llu", f->path, size,
                          (unsigned long long)length);
    }
    json_error_t where;
    json_t *root = json_loadb(f->file + 8, (size_t)length, JSON_REJECT_DUPLICATES, &where);
    if (!root) {
        bad(err, f);
        return vox_detail(err, "%s: header, line %d: %s", f->path, where.line, where.text);
    }
    f->data = f->file + 8 + length;
    s = read_header(f, root, size - 8 - (size_t)length, err);
    json_decref(root);
    return s;
}

vox_status vox_safetensors_open(vox_safetensors **out, const char *path, vox_error *err)
{
    *out = NULL;
    vox_safetensors *f = vox_calloc(1, sizeof *f, "a safetensors file", err);
    if (!f)
        return VOX_ERR_MEMORY;
    f->path = vox_strdup(path, err);
    vox_status s = f->path ? read_file(f, err) : VOX_ERR_MEMORY;
    if (s != VOX_OK)
        vox_safetensors_free(&f);
    *out = f;
    return s;
}

#endif
