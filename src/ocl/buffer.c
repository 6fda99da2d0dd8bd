/* buffer.c - device memory: buffers, windows on them, and copies. */
#include "ocl/internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static vox_status check_size(const vox_device *dev, size_t bytes, const char *what, vox_error *err)
{
    const vox_device_desc *d = &dev->found.desc;
    const char *limit = NULL;
    uint64_t there = 0;
    if (bytes > d->max_alloc_bytes) {
        limit = "its largest single allocation";
        there = d->max_alloc_bytes;
    } else if (bytes > d->global_mem_bytes || dev->bytes > d->global_mem_bytes - bytes) {
        limit = "what is left of its memory";
        there = d->global_mem_bytes -
                (dev->bytes < d->global_mem_bytes ? dev->bytes : d->global_mem_bytes);
    }
    if (!limit)
        return VOX_OK;
    vox_fail(err, VOX_ERR_ROOM, "device %d cannot hold %s", d->index, what);
    vox_detail(err, "%s: %zu bytes wanted, %s is %llu", d->name, bytes, limit,
               (unsigned long long)there);
    return vox_hint(err, "use a smaller train.batch or input size, or a device with more memory");
}

static vox_status map(vox_buffer *b, bool beside, const char *what, vox_error *err)
{
    cl_int code;
    const vox_command command = {.kind = VOX_COMMAND_MAP, .bytes = b->bytes, .side = beside};
    b->host = clEnqueueMapBuffer(beside ? b->dev->side : b->dev->queue, b->mem, CL_TRUE,
                                 CL_MAP_READ | CL_MAP_WRITE, 0, b->bytes, 0, NULL,
                                 vox_profile_slot(b->dev, &command), &code);
    return b->host ? VOX_OK : vox_cl_fail(err, b->dev, code, what);
}

/* ---- large pages ----
 * Where the device's memory is the host's, large buffers are given memory of ours, in pages of
 * 2 MiB if the system has them (Linux gives them to those who ask).  With the usual 4 KiB, every
 * page's address is looked up anew and the processor's reading ahead ends with it: on two cores
 * reading went from 34 to 60 GB/s, copying from 38 to 54. */
#define LARGE_PAGE 2097152

static void CL_CALLBACK free_backing(cl_mem mem, void *memory)
{
    (void)mem;
    free(memory);
}

/* NULL: the driver allocates. */
static void *open_backing(const vox_device *dev, size_t bytes, vox_buffer_kind kind)
{
#ifdef MADV_HUGEPAGE
    if (kind != VOX_BUFFER_DEVICE || bytes < LARGE_PAGE || !vox_device_has_host_memory(dev))
        return NULL;
    void *memory = vox_aligned(LARGE_PAGE, bytes, "a buffer", NULL);
    if (memory)
        madvise(memory, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE); /* best effort */
    return memory;
#else
    (void)dev, (void)bytes, (void)kind;
    return NULL;
#endif
}

/* The memory must live until the driver is done with the buffer, which may be after its release:
 * the driver frees it. */
static cl_mem create(vox_device *dev, size_t bytes, vox_buffer_kind kind, cl_int *code)
{
    const cl_mem_flags pinned = kind == VOX_BUFFER_PINNED ? CL_MEM_ALLOC_HOST_PTR : 0;
    void *memory = open_backing(dev, bytes, kind);
    if (memory) {
        cl_mem mem = clCreateBuffer(dev->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, bytes,
                                    memory, code);
        if (mem && clSetMemObjectDestructorCallback(mem, free_backing, memory) == CL_SUCCESS)
            return mem;
        if (mem)
            clReleaseMemObject(mem);
        free(memory);
    }
    return clCreateBuffer(dev->context, CL_MEM_READ_WRITE | pinned, bytes, NULL, code);
}

static void count_bytes(vox_device *dev, size_t bytes)
{
    dev->bytes += bytes;
    if (dev->bytes > dev->peak_bytes)
        dev->peak_bytes = dev->bytes;
}

vox_status vox_buffer_open(vox_buffer **out, vox_device *dev, size_t bytes, vox_buffer_kind kind,
                           const char *what, vox_error *err)
{
    *out = NULL;
    vox_status s = check_size(dev, bytes, what, err);
    if (s != VOX_OK)
        return s;
    vox_buffer *b = vox_calloc(1, sizeof *b, what, err);
    if (!b)
        return VOX_ERR_MEMORY;
    cl_int code;
    b->mem = create(dev, bytes, kind, &code);
    if (!b->mem) {
        free(b);
        s = vox_cl_fail(err, dev, code, "allocating device memory");
        vox_error_at(err, "%s, %zu bytes", what, bytes);
        return s;
    }
    b->dev = dev;
    b->bytes = bytes;
    count_bytes(dev, bytes);
    if (kind == VOX_BUFFER_PINNED && (s = map(b, false, "mapping pinned memory", err)) != VOX_OK)
        vox_buffer_free(&b);
    *out = b;
    return s;
}

/* ---- memory that several devices share ---- */

struct vox_host_memory {
    void *at;
    size_t bytes;
    pthread_mutex_t lock;
    size_t users;             /* the maker and the buffers that their drivers still have */
    void (*gone)(void *user); /* NULL: it is our own */
    void *user;
};

vox_status vox_host_memory_open(vox_host_memory **out, size_t bytes, const char *what,
                                vox_error *err)
{
    *out = NULL;
    vox_host_memory *m = vox_calloc(1, sizeof *m, what, err);
    if (!m)
        return VOX_ERR_MEMORY;
    m->at = vox_aligned(bytes < LARGE_PAGE ? 4096 : LARGE_PAGE, bytes, what, err);
    if (!m->at) {
        free(m);
        return VOX_ERR_MEMORY;
    }
#ifdef MADV_HUGEPAGE
    if (bytes >= LARGE_PAGE)
        madvise(m->at, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE); /* best effort */
#endif
    memset(m->at, 0, bytes);
    m->bytes = bytes;
    m->users = 1;
    pthread_mutex_init(&m->lock, NULL);
    *out = m;
    return VOX_OK;
}

vox_status vox_host_memory_over(vox_host_memory **out, void *at, size_t bytes,
                                void (*gone)(void *user), void *user, vox_error *err)
{
    vox_host_memory *m = *out = vox_calloc(1, sizeof *m, "host memory", err);
    if (!m)
        return VOX_ERR_MEMORY;
    *m = (vox_host_memory){.at = at, .bytes = bytes, .users = 1, .gone = gone, .user = user};
    pthread_mutex_init(&m->lock, NULL);
    return VOX_OK;
}

static void use(vox_host_memory *m)
{
    pthread_mutex_lock(&m->lock);
    m->users++;
    pthread_mutex_unlock(&m->lock);
}

static void let_go(vox_host_memory *m)
{
    pthread_mutex_lock(&m->lock);
    const bool last = --m->users == 0;
    pthread_mutex_unlock(&m->lock);
    if (!last)
        return;
    pthread_mutex_destroy(&m->lock);
    if (m->gone)
        m->gone(m->user);
    else
        free(m->at);
    free(m);
}

void vox_host_memory_free(vox_host_memory **m)
{
    if (!m || !*m)
        return;
    let_go(*m);
    *m = NULL;
}

void *vox_host_memory_at(const vox_host_memory *m)
{
    return m->at;
}

static void CL_CALLBACK buffer_is_gone(cl_mem mem, void *memory)
{
    (void)mem;
    let_go(memory);
}

vox_status vox_buffer_open_over(vox_buffer **out, vox_device *dev, vox_host_memory *m,
                                const char *what, vox_error *err)
{
    *out = NULL;
    vox_status s = check_size(dev, m->bytes, what, err);
    vox_buffer *b = s == VOX_OK ? vox_calloc(1, sizeof *b, what, err) : NULL;
    if (!b)
        return s == VOX_OK ? VOX_ERR_MEMORY : s;
    cl_int code;
    b->mem = clCreateBuffer(dev->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, m->bytes, m->at,
                            &code);
    if (b->mem)
        code = clSetMemObjectDestructorCallback(b->mem, buffer_is_gone, m);
    if (code != CL_SUCCESS) {
        if (b->mem)
            clReleaseMemObject(b->mem);
        free(b);
        return vox_cl_fail(err, dev, code, "laying a buffer over host memory");
    }
    use(m);
    b->dev = dev;
    b->bytes = m->bytes;
    count_bytes(dev, m->bytes);
    *out = b;
    return VOX_OK;
}

/* ---- windows ---- */

vox_status vox_buffer_sub(vox_buffer **out, vox_buffer *parent, size_t offset, size_t bytes,
                          vox_error *err)
{
    *out = NULL;
    if (offset % VOX_BUFFER_ALIGN != 0 || bytes == 0 || offset > parent->bytes ||
        bytes > parent->bytes - offset) {
        vox_fail(err, VOX_ERR_DEVICE, "a window does not lie in its buffer");
        return vox_detail(err, "offset %zu, %zu bytes, buffer of %zu", offset, bytes,
                          parent->bytes);
    }
    vox_buffer *b = vox_calloc(1, sizeof *b, "a buffer window", err);
    if (!b)
        return VOX_ERR_MEMORY;
    cl_int code;
    const cl_buffer_region region = {offset, bytes};
    b->mem = clCreateSubBuffer(parent->mem, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION,
                               &region, &code);
    if (!b->mem) {
        free(b);
        return vox_cl_fail(err, parent->dev, code, "making a window on a buffer");
    }
    b->dev = parent->dev;
    b->bytes = bytes;
    b->window = true;
    *out = b;
    return VOX_OK;
}

void vox_buffer_free(vox_buffer **bufp)
{
    if (!bufp || !*bufp)
        return;
    vox_buffer *b = *bufp;
    if (b->host) {
        clEnqueueUnmapMemObject(b->dev->queue, b->mem, b->host, 0, NULL, NULL);
        clFinish(b->dev->queue);
    }
    clReleaseMemObject(b->mem);
    if (!b->window)
        b->dev->bytes -= b->bytes;
    free(b);
    *bufp = NULL;
}

size_t vox_buffer_bytes(const vox_buffer *buf)
{
    return buf->bytes;
}

void *vox_buffer_host(vox_buffer *buf)
{
    return buf->host;
}

bool vox_device_has_host_memory(const vox_device *dev)
{
    return vox_device_is_cpu(dev) && dev->found.desc.unified_memory;
}

static vox_status map_for_host(vox_buffer *buf, bool beside, void **host, vox_error *err)
{
    if (buf->window || buf->host)
        return vox_fail(err, VOX_ERR_DEVICE, "mapping a buffer that is a window or mapped already");
    vox_status s = map(buf, beside, "mapping device memory", err);
    if (s == VOX_OK)
        *host = buf->host;
    return s;
}

vox_status vox_buffer_map(vox_buffer *buf, void **host, vox_error *err)
{
    return map_for_host(buf, false, host, err);
}

vox_status vox_buffer_map_beside(vox_buffer *buf, void **host, vox_error *err)
{
    return map_for_host(buf, true, host, err);
}

vox_status vox_buffer_unmap(vox_buffer *buf, vox_error *err)
{
    const vox_command command = {.kind = VOX_COMMAND_UNMAP, .bytes = buf->bytes};
    cl_int code = clEnqueueUnmapMemObject(buf->dev->queue, buf->mem, buf->host, 0, NULL,
                                          vox_profile_slot(buf->dev, &command));
    buf->host = NULL;
    return code == CL_SUCCESS ? VOX_OK : vox_cl_fail(err, buf->dev, code, "unmapping memory");
}

/* The range check is ours, because a driver's CL_INVALID_VALUE would say nothing. */
static vox_status check_range(const vox_buffer *b, size_t offset, size_t bytes, const char *what,
                              vox_error *err)
{
    if (offset <= b->bytes && bytes <= b->bytes - offset)
        return VOX_OK;
    vox_fail(err, VOX_ERR_DEVICE, "%s passes the end of a buffer", what);
    return vox_detail(err, "offset %zu, %zu bytes, buffer of %zu", offset, bytes, b->bytes);
}

static vox_status write_by(cl_command_queue queue, vox_buffer *buf, size_t offset, const void *from,
                           size_t bytes, bool wait, vox_error *err)
{
    vox_status s = check_range(buf, offset, bytes, "a write", err);
    if (s != VOX_OK || bytes == 0)
        return s;
    const vox_command command = {
        .kind = VOX_COMMAND_WRITE, .bytes = bytes, .side = queue != buf->dev->queue};
    cl_int code = clEnqueueWriteBuffer(queue, buf->mem, wait ? CL_TRUE : CL_FALSE, offset, bytes,
                                       from, 0, NULL, vox_profile_slot(buf->dev, &command));
    return code == CL_SUCCESS ? VOX_OK : vox_cl_fail(err, buf->dev, code, "writing to the device");
}

vox_status vox_buffer_write(vox_buffer *buf, size_t offset, const void *from, size_t bytes,
                            bool wait, vox_error *err)
{
    return write_by(buf->dev->queue, buf, offset, from, bytes, wait, err);
}

/* Both queues are flushed: a driver may hold back either until then, the work before it too. */
vox_status vox_buffer_write_beside(vox_buffer *buf, size_t offset, const void *from, size_t bytes,
                                   vox_error *err)
{
    vox_device *dev = buf->dev;
    vox_status s = vox_device_flush(dev, err);
    if (s == VOX_OK)
        s = write_by(dev->side, buf, offset, from, bytes, false, err);
    dev->side_busy = true;
    if (s != VOX_OK)
        return s;
    cl_int code = clFlush(dev->side);
    return code == CL_SUCCESS ? VOX_OK : vox_cl_fail(err, dev, code, "flushing the queue");
}

vox_status vox_buffer_read(vox_buffer *buf, size_t offset, void *to, size_t bytes, bool wait,
                           vox_error *err)
{
    vox_status s = check_range(buf, offset, bytes, "a read", err);
    if (s != VOX_OK || bytes == 0)
        return s;
    const vox_command command = {.kind = VOX_COMMAND_READ, .bytes = bytes};
    cl_int code = clEnqueueReadBuffer(buf->dev->queue, buf->mem, wait ? CL_TRUE : CL_FALSE, offset,
                                      bytes, to, 0, NULL, vox_profile_slot(buf->dev, &command));
    return code == CL_SUCCESS ? VOX_OK
                              : vox_cl_fail(err, buf->dev, code, "reading from the device");
}

vox_status vox_buffer_copy(vox_buffer *to, size_t to_offset, vox_buffer *from, size_t from_offset,
                           size_t bytes, vox_error *err)
{
    vox_status s = check_range(to, to_offset, bytes, "a copy", err);
    if (s == VOX_OK)
        s = check_range(from, from_offset, bytes, "a copy", err);
    if (s != VOX_OK || bytes == 0)
        return s;
    const vox_command command = {.kind = VOX_COMMAND_COPY, .bytes = bytes};
    cl_int code = clEnqueueCopyBuffer(to->dev->queue, from->mem, to->mem, from_offset, to_offset,
                                      bytes, 0, NULL, vox_profile_slot(to->dev, &command));
    return code == CL_SUCCESS ? VOX_OK : vox_cl_fail(err, to->dev, code, "copying on the device");
}

vox_status vox_buffer_fill(vox_buffer *buf, size_t offset, size_t bytes, uint32_t word,
                           vox_error *err)
{
    vox_status s = check_range(buf, offset, bytes, "a fill", err);
    if (s != VOX_OK || bytes == 0)
        return s;
    const vox_command command = {.kind = VOX_COMMAND_FILL, .bytes = bytes};
    cl_int code = clEnqueueFillBuffer(buf->dev->queue, buf->mem, &word, sizeof word, offset, bytes,
                                      0, NULL, vox_profile_slot(buf->dev, &command));
    return code == CL_SUCCESS ? VOX_OK : vox_cl_fail(err, buf->dev, code, "filling a buffer");
}
