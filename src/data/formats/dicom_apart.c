/* dicom_apart.c - GDCM's decoders in a process of their own.
 *
 * The child shares a piece of memory with us, decodes into it and exits; it never returns, touches
 * no device and no file.  Its end is seen by its end of a pipe closing. */
#include "data/formats/dicom_apart.h"

#include "base/thread.h"
#include "data/formats/image.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIND "DICOM"

/* At the beginning of the shared memory; the pixels follow. */
typedef struct report {
    bool done; /* set last */
    vox_status status;
    vox_error error;
    vox_gdcm_pixels pixels;
} report;

/* What is decoded, for the child. */
typedef struct task {
    const char *bytes;
    size_t size;
    const vox_dicom_header *header;
    size_t max_bytes;
    const char *path;
} task;

/* Neither words nor a core file from whatever happens now. */
static void be_silent(void)
{
    const struct rlimit none = {0, 0};
    int null = open("/dev/null", O_RDWR);
    setrlimit(RLIMIT_CORE, &none);
    if (null >= 0) {
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
    }
}

static void run_child(report *r, const task *t)
{
    vox_gdcm_pixels px;
    static const int fatal[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL); /* handlers of the program we came from do not concern us */
    be_silent();
    r->status =
        vox_gdcm_decompress(&px, t->bytes, t->size, t->header, t->max_bytes, t->path, &r->error);
    if (r->status == VOX_OK) {
        memcpy(r + 1, px.data, px.size);
        px.data = NULL;
        r->pixels = px;
    }
    r->done = true;
    _exit(0);
}

/* false when the child is still at it after `seconds`. */
static bool wait_end(int fd, double seconds)
{
    const double until = vox_now() + seconds;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    for (;;) {
        double left = until - vox_now();
        if (left <= 0)
            return false;
        int n = poll(&p, 1, left < 1000 ? (int)(left * 1000) + 1 : 1000000);
        if (n > 0 || (n < 0 && errno != EINTR))
            return true;
    }
}

static vox_status judge(const report *r, const task *t, bool ended, vox_error *err)
{
    if (!ended)
        return vox_image_bad(err, KIND, t->path, "the compressed pixels keep the decoder busy");
    if (!r->done)
        return vox_image_bad(err, KIND, t->path,
                             "the compressed pixels are so damaged that the decoder crashed");
    if (r->status != VOX_OK)
        return vox_fail_full(err, r->status, r->error.message, r->error.detail, r->error.hint);
    return VOX_OK;
}

static vox_status run_apart(report *r, const task *t, vox_error *err)
{
    int fd[2];
    if (pipe(fd) != 0)
        return vox_fail_errno(err, "decompress", t->path);
    fcntl(fd[0], F_SETFD, FD_CLOEXEC);
    fcntl(fd[1], F_SETFD, FD_CLOEXEC);
    vox_gdcm_lock(); /* no other thread is within GDCM, whose locks the child inherits */
    pid_t child = fork();
    vox_gdcm_unlock();
    if (child == 0)
        run_child(r, t);
    close(fd[1]);
    bool ended = true;
    vox_status s = VOX_OK;
    if (child < 0) {
        s = vox_fail_errno(err, "start a process to decompress", t->path);
    } else {
        ended = wait_end(fd[0], 60 + (double)t->max_bytes / 1e6);
        if (!ended)
            kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
        s = judge(r, t, ended, err);
    }
    close(fd[0]);
    return s;
}

vox_status vox_dicom_apart_decompress(vox_dicom_apart *out, const char *bytes, size_t size,
                                      const vox_dicom_header *header, size_t max_bytes,
                                      const char *path, vox_error *err)
{
    const task t = {bytes, size, header, max_bytes, path};
    memset(out, 0, sizeof *out);
    out->bytes = sizeof(report) + max_bytes;
    void *memory =
        mmap(NULL, out->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return vox_fail_memory(err, path, out->bytes);
    out->memory = memory;
    report *r = memory;
    vox_status s = run_apart(r, &t, err);
    if (s == VOX_OK) {
        out->pixels = r->pixels;
        out->pixels.data = (unsigned char *)(r + 1);
    } else {
        vox_dicom_apart_release(out);
    }
    return s;
}

void vox_dicom_apart_release(vox_dicom_apart *apart)
{
    if (apart->memory)
        munmap(apart->memory, apart->bytes);
    memset(apart, 0, sizeof *apart);
}
