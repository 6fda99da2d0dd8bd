/* source.c - the text of a kernel file, from $VOXCL_KERNEL_DIR or from the library itself.
 *
 * #include "x" is resolved here, not by the driver, so that embedded and edited kernels work alike
 * and #line keeps every message at the right file and line. */
#include "base/file.h"
#include "base/hash.h"
#include "ocl/embedded.h"
#include "ocl/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 8
#define MAX_BYTES ((size_t)4 << 20)

static vox_status load_file(char **text, const char *name, vox_error *err)
{
    const char *dir = getenv("VOXCL_KERNEL_DIR");
    if (dir && *dir) {
        size_t size;
        char *path = vox_path_join(dir, name, err);
        vox_status s = path ? vox_file_read(text, &size, path, MAX_BYTES, err) : VOX_ERR_MEMORY;
        if (s != VOX_OK && path)
            vox_hint(err, "VOXCL_KERNEL_DIR is %s; unset it to use the built-in kernels", dir);
        free(path);
        return s;
    }
    for (const vox_embedded *e = vox_embedded_files; e->name; e++)
        if (strcmp(e->name, name) == 0) {
            *text = vox_strdup((const char *)e->text, err);
            return *text ? VOX_OK : VOX_ERR_MEMORY;
        }
    vox_fail(err, VOX_ERR_DEVICE, "there is no kernel file %s", name);
    return VOX_ERR_DEVICE;
}

/* The name in a line `#include "name"`, or false. */
static bool include_name(const char *line, size_t length, char name[128])
{
    char copy[256];
    if (length >= sizeof copy)
        return false;
    memcpy(copy, line, length);
    copy[length] = '\0';
    return sscanf(copy, " # include \"%127[^\"]\"", name) == 1;
}

static vox_status expand(vox_str *out, const char *file, int depth, vox_error *err)
{
    char *text = NULL;
    if (depth > MAX_DEPTH) {
        vox_fail(err, VOX_ERR_DEVICE, "kernel files include each other");
        return vox_detail(err, "%s, %d deep", file, depth);
    }
    vox_status s = load_file(&text, file, err);
    if (s != VOX_OK)
        return s;
    vox_str_add(out, "#line 1 \"%s\"\n", file);
    int number = 1;
    for (const char *p = text; *p && s == VOX_OK; number++) {
        size_t length = strcspn(p, "\n");
        char name[128];
        if (include_name(p, length, name)) {
            s = expand(out, name, depth + 1, err);
            vox_str_add(out, "#line %d \"%s\"\n", number + 1, file);
        } else {
            vox_str_add(out, "%.*s\n", (int)length, p);
        }
        p += length + (p[length] == '\n');
    }
    free(text);
    return s;
}

vox_status vox_source_load(char **text, const char *file, vox_error *err)
{
    vox_str out = {0};
    vox_status s = expand(&out, file, 0, err);
    if (s == VOX_OK && out.failed)
        s = vox_fail_memory(err, file, out.length);
    if (s != VOX_OK) {
        vox_str_release(&out);
        return s;
    }
    *text = out.text;
    return VOX_OK;
}

vox_status vox_kernel_sources_hash(uint64_t *hash, vox_error *err)
{
    uint64_t h = VOX_HASH_START;
    vox_status s = VOX_OK;
    for (const vox_embedded *e = vox_embedded_files; e->name && s == VOX_OK; e++) {
        char *text = NULL;
        s = load_file(&text, e->name, err);
        if (s == VOX_OK) { /* the NULs count: they keep names and texts apart */
            h = vox_hash(h, e->name, strlen(e->name) + 1);
            h = vox_hash(h, text, strlen(text) + 1);
        }
        free(text);
    }
    if (s == VOX_OK)
        *hash = h;
    return s;
}
