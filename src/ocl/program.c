/* program.c - programs: from memory, from the cache on disk, or compiled.
 *
 * One invariant: a cache entry holds the whole key beside the binary and is used only if the key
 * is equal and the checksum right; anything else is rebuilt. */
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "ocl/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC      "voxclbin"
#define MAX_BINARY ((size_t)256 << 20)

/* ---- the entry on disk: magic, key length, key, binary length, checksum, binary ---- */

static char *entry_path(uint64_t hash)
{
    char *dir = vox_cache_dir(NULL);
    char *sub = dir ? vox_path_join(dir, "kernels", NULL) : NULL;
    char *path = NULL;
    if (sub && vox_mkdirs(sub, NULL) == VOX_OK)
        path = vox_format(NULL, "%s/%016" PRIx64 ".bin", sub, hash);
    free(sub);
    free(dir);
    return path;
}

/* Where the binary lies in an entry's bytes; false if the entry is damaged or another's. */
static bool find_binary(const char *data, size_t size, const char *key, const char **binary,
                        size_t *length)
{
    size_t at = strlen(MAGIC);
    uint64_t n, sum;
    if (size < at + 8 || memcmp(data, MAGIC, at) != 0)
        return false;
    memcpy(&n, data + at, 8);
    at += 8;
    if (n != strlen(key) || size - at < n || memcmp(data + at, key, n) != 0)
        return false;
    at += n;
    if (size - at < 16)
        return false;
    memcpy(&n, data + at, 8);
    memcpy(&sum, data + at + 8, 8);
    at += 16;
    if (n != size - at || vox_hash(VOX_HASH_START, data + at, n) != sum)
        return false;
    *binary = data + at;
    *length = n;
    return true;
}

static bool write_entry(FILE *f, const char *key, const unsigned char *binary, size_t length)
{
    uint64_t n = strlen(key), m = length, sum = vox_hash(VOX_HASH_START, binary, length);
    return fwrite(MAGIC, 1, strlen(MAGIC), f) == strlen(MAGIC) && fwrite(&n, 8, 1, f) == 1 &&
           fwrite(key, 1, n, f) == n && fwrite(&m, 8, 1, f) == 1 && fwrite(&sum, 8, 1, f) == 1 &&
           fwrite(binary, 1, length, f) == length;
}

/* Keeping a binary is a convenience: what goes wrong is only logged. */
static void cache_store(const vox_program *p)
{
    size_t length = 0;
    unsigned char *binary = NULL;
    if (clGetProgramInfo(p->program, CL_PROGRAM_BINARY_SIZES, sizeof length, &length, NULL) !=
            CL_SUCCESS ||
        length == 0 || !(binary = malloc(length)))
        return;
    char *path = entry_path(p->hash);
    vox_file f;
    vox_error err;
    if (path &&
        clGetProgramInfo(p->program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) ==
            CL_SUCCESS &&
        vox_file_begin(&f, path, &err) == VOX_OK) {
        if (write_entry(f.stream, p->key, binary, length)) {
            if (vox_file_commit(&f, &err) != VOX_OK)
                vox_log(VOX_LOG_DEBUG, "kernel cache: %s", err.detail);
        } else {
            vox_file_abandon(&f);
        }
    }
    free(path);
    free(binary);
}

static cl_program cache_load(vox_device *dev, uint64_t hash, const char *key)
{
    char *path = entry_path(hash), *data = NULL;
    const char *binary;
    size_t size, length;
    cl_program program = NULL;
    if (path && vox_path_exists(path) &&
        vox_file_read(&data, &size, path, MAX_BINARY, NULL) == VOX_OK) {
        if (find_binary(data, size, key, &binary, &length)) {
            cl_int status = CL_SUCCESS, code;
            const unsigned char *bytes = (const unsigned char *)binary;
            program = clCreateProgramWithBinary(dev->context, 1, &dev->found.id, &length, &bytes,
                                                &status, &code);
            if (program && (status != CL_SUCCESS || clBuildProgram(program, 1, &dev->found.id, "",
                                                                   NULL, NULL) != CL_SUCCESS)) {
                clReleaseProgram(program);
                program = NULL;
            }
        }
        if (!program)
            vox_log(VOX_LOG_DEBUG, "kernel cache: rebuilding %s", path);
    }
    free(data);
    free(path);
    return program;
}

/* ---- compiling ---- */

static vox_status build_failed(vox_device *dev, cl_program program, cl_int code, const char *file,
                               const char *options, vox_error *err)
{
    size_t size = 0;
    char *log = NULL;
    clGetProgramBuildInfo(program, dev->found.id, CL_PROGRAM_BUILD_LOG, 0, NULL, &size);
    if (size > 0 && (log = calloc(size + 1, 1)) != NULL)
        clGetProgramBuildInfo(program, dev->found.id, CL_PROGRAM_BUILD_LOG, size, log, NULL);
    vox_fail(err, VOX_ERR_DEVICE, "kernel file %s does not compile", file);
    const char *first = log ? strstr(log, "error") : NULL;
    while (first && first > log && first[-1] != '\n')
        first--; /* the line the first error is in: it starts with file and line */
    vox_detail(err, "%s; device %d, %s; options %s; %s",
               first ? first
               : log ? log
                     : "no log",
               dev->found.desc.index, dev->found.desc.name, options, vox_cl_name(code));
    vox_hint(err, "the whole log is in the log output (VOXCL_LOG=debug)");
    for (char *save = NULL, *line = log ? strtok_r(log, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        vox_log(VOX_LOG_DEBUG, "%s: %s", file, line);
    free(log);
    return VOX_ERR_DEVICE;
}

static vox_status compile(cl_program *out, vox_device *dev, const char *text, const char *file,
                          const char *options, vox_error *err)
{
    cl_int code;
    cl_program program = clCreateProgramWithSource(dev->context, 1, &text, NULL, &code);
    if (!program)
        return vox_cl_fail(err, dev, code, "making a program");
    char *all = vox_format(err, "-cl-std=CL1.2 %s", options);
    if (!all) {
        clReleaseProgram(program);
        return VOX_ERR_MEMORY;
    }
    const vox_span span = vox_span_begin("compile", "setup");
    code = clBuildProgram(program, 1, &dev->found.id, all, NULL, NULL);
    vox_span_end_with(&span, &(vox_trace_arg){.key = "file", .text = file}, 1);
    free(all);
    if (code != CL_SUCCESS) {
        vox_status s = build_failed(dev, program, code, file, options, err);
        clReleaseProgram(program);
        return s;
    }
    *out = program;
    return VOX_OK;
}

/* ---- the list in memory ---- */

static char *make_key(const vox_device *dev, const char *text, const char *options, vox_error *err)
{
    const vox_device_desc *d = &dev->found.desc;
    return vox_format(err, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s", d->platform, d->platform_version,
                      d->vendor, d->name, d->device_version, d->driver_version, options, text);
}

static vox_program *find_program(const vox_device *dev, uint64_t hash, const char *key)
{
    for (vox_program *p = dev->programs; p; p = p->next)
        if (p->hash == hash && strcmp(p->key, key) == 0)
            return p;
    return NULL;
}

static vox_status make_program(vox_program *p, vox_device *dev, const char *text, const char *file,
                               const char *options, vox_error *err)
{
    const char *wanted = getenv("VOXCL_KERNEL_CACHE"); /* "off": neither read nor written */
    bool keep = !(dev->found.quirks & VOX_QUIRK_NO_BINARY) &&
                !(wanted && strcmp(wanted, "off") == 0);
    p->program = keep ? cache_load(dev, p->hash, p->key) : NULL;
    if (p->program)
        return VOX_OK;
    vox_status s = compile(&p->program, dev, text, file, options, err);
    if (s != VOX_OK)
        return s;
    p->from_source = keep;
    if (keep && !(dev->found.quirks & VOX_QUIRK_LATE_BINARY)) {
        cache_store(p);
        p->from_source = false;
    }
    return VOX_OK;
}

vox_status vox_program_get(cl_program *out, vox_device *dev, const char *file, const char *options,
                           vox_error *err)
{
    char *text = NULL;
    vox_status s = vox_source_load(&text, file, err);
    if (s != VOX_OK)
        return s;
    char *key = make_key(dev, text, options, err);
    uint64_t hash = key ? vox_hash(VOX_HASH_START, key, strlen(key)) : 0;
    vox_program *p = key ? find_program(dev, hash, key) : NULL;
    if (!key) {
        s = VOX_ERR_MEMORY;
    } else if (p) {
        free(key);
    } else if (!(p = vox_calloc(1, sizeof *p, "a program", err))) {
        free(key);
        s = VOX_ERR_MEMORY;
    } else {
        p->hash = hash;
        p->key = key;
        s = make_program(p, dev, text, file, options, err);
        if (s == VOX_OK) {
            p->next = dev->programs;
            dev->programs = p;
        } else {
            free(key);
            free(p);
        }
    }
    free(text);
    if (s == VOX_OK)
        *out = p->program;
    return s;
}

void vox_programs_release(vox_device *dev)
{
    while (dev->programs) {
        vox_program *p = dev->programs;
        dev->programs = p->next;
        if (p->from_source)
            cache_store(p);
        clReleaseProgram(p->program);
        free(p->key);
        free(p);
    }
}
