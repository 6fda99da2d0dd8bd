/* safetensors_write.c - writing named tensors; see safetensors.h. */
#include "train/safetensors.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static size_t item_bytes(const vox_st_item *item)
{
    size_t bytes = item->f32 ? sizeof(float) : sizeof(int64_t);
    for (int i = 0; i < item->rank; i++)
        bytes *= (size_t)item->shape[i];
    return bytes;
}

static char *make_header(const vox_st_item *item, size_t items, const vox_st_meta *meta,
                         size_t metas, vox_error *err)
{
    vox_json j = {0};
    size_t at = 0;
    vox_json_begin(&j, NULL, '{');
    if (metas) {
        vox_json_begin(&j, "__metadata__", '{');
        for (size_t i = 0; i < metas; i++)
            vox_json_string(&j, meta[i].key, meta[i].value);
        vox_json_end(&j, '}');
    }
    for (size_t i = 0; i < items; i++) {
        vox_json_begin(&j, item[i].name, '{');
        vox_json_string(&j, "dtype", item[i].f32 ? "F32" : "I64");
        vox_json_begin(&j, "shape", '[');
        for (int d = 0; d < item[i].rank; d++)
            vox_json_int(&j, NULL, item[i].shape[d]);
        vox_json_end(&j, ']');
        vox_json_begin(&j, "data_offsets", '[');
        vox_json_int(&j, NULL, (int64_t)at);
        at += item_bytes(&item[i]);
        vox_json_int(&j, NULL, (int64_t)at);
        vox_json_end(&j, ']');
        vox_json_end(&j, '}');
    }
    vox_json_end(&j, '}');
    while (j.text.length % 8 != 0 && !j.text.failed) /* so that the tensors are aligned */
        vox_str_add(&j.text, " ");
    return vox_json_take(&j, err);
}

/* The format is little endian and so is every machine OpenCL runs on today; big ones are told. */
static bool little_endian(void)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return first == 1;
}

static bool write_all(FILE *f, const char *header, const vox_st_item *item, size_t items)
{
    uint64_t length = strlen(header);
    bool good =
        fwrite(&length, sizeof length, 1, f) == 1 && fwrite(header, 1, (size_t)length, f) == length;
    for (size_t i = 0; good && i < items; i++) {
        size_t bytes = item_bytes(&item[i]);
        const void *data = item[i].f32 ? (const void *)item[i].f32 : item[i].i64;
        good = fwrite(data, 1, bytes, f) == bytes;
    }
    return good;
}

vox_status vox_safetensors_write(const char *path, const vox_st_item *item, size_t items,
                                 const vox_st_meta *meta, size_t metas, vox_error *err)
{
    if (!little_endian())
        return vox_fail(err, VOX_ERR_UNSUPPORTED, "checkpoints on big-endian machines");
    char *header = make_header(item, items, meta, metas, err);
    if (!header)
        return VOX_ERR_MEMORY;
    vox_file f;
    vox_status s = vox_file_begin(&f, path, err);
    if (s == VOX_OK && !write_all(f.stream, header, item, items)) {
        s = vox_fail_errno(err, "write", path);
        vox_hint(err, "check free space and permissions; what was there before is untouched");
        vox_file_abandon(&f);
    } else if (s == VOX_OK) {
        s = vox_file_commit(&f, err);
    }
    free(header);
    return s;
}
