/* fft.c - Fourier transforms through clFFT.
 *
 * One invariant: clFFT is entered by one thread at a time.  Its plans share programs and kernels in
 * a global store, and two threads preparing plans alike trip over each other there.  The store is
 * set up with the first plan and torn down with the last, so that nothing of a closed device is
 * left in it. */
#include "ocl/internal.h"

#include <pthread.h>
#include <stdlib.h>

int64_t vox_fft_length(int64_t least)
{
    static const int64_t factors[] = {2, 3, 5, 7};
    for (int64_t n = least < 1 ? 1 : least;; n++) {
        int64_t rest = n;
        for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
            while (rest % factors[i] == 0)
                rest /= factors[i];
        if (rest == 1)
            return n;
    }
}

#if VOXCL_WITH_CLFFT
#include <clFFT.h>

struct vox_fft {
    vox_device *dev;
    vox_fft_shape shape;
    bool inverse;
    clfftPlanHandle plan;
    vox_buffer *temp; /* NULL: needs none */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int plans; /* open ones, under lock */

bool vox_fft_available(void)
{
    return true;
}

static vox_status failed(const vox_fft *f, vox_status status, clfftStatus code, const char *what,
                         vox_error *err)
{
    const int64_t *n = f->shape.size;
    const vox_device_desc *d = &f->dev->found.desc;
    vox_fail(err, status, "clFFT cannot %s", what);
    vox_detail(err, "code %d (%s), %lld volumes of %lldx%lldx%lld, device %d, %s", (int)code,
               vox_cl_name((cl_int)code), (long long)f->shape.batch, (long long)n[0],
               (long long)n[1], (long long)n[2], d->index, d->name);
    return status;
}

/* clFFT counts axes from the fastest, and strides and distances in numbers of the layout's kind:
 * reals or complex numbers. */
static clfftStatus describe(const vox_fft *f)
{
    const vox_fft_shape *s = &f->shape;
    const size_t complex_row = (size_t)s->size[2] / 2 + 1;
    size_t real[3] = {1, 2 * complex_row, (size_t)s->plane};
    size_t complex[3] = {1, complex_row, (size_t)s->plane / 2};
    const size_t reals = (size_t)s->volume, complexes = reals / 2;
    clfftStatus c = clfftSetPlanPrecision(f->plan, CLFFT_SINGLE);
    if (c == CLFFT_SUCCESS)
        c = f->inverse ? clfftSetLayout(f->plan, CLFFT_HERMITIAN_INTERLEAVED, CLFFT_REAL)
                       : clfftSetLayout(f->plan, CLFFT_REAL, CLFFT_HERMITIAN_INTERLEAVED);
    if (c == CLFFT_SUCCESS)
        c = clfftSetResultLocation(f->plan, CLFFT_INPLACE);
    if (c == CLFFT_SUCCESS)
        c = clfftSetPlanInStride(f->plan, CLFFT_3D, f->inverse ? complex : real);
    if (c == CLFFT_SUCCESS)
        c = clfftSetPlanOutStride(f->plan, CLFFT_3D, f->inverse ? real : complex);
    if (c == CLFFT_SUCCESS)
        c = clfftSetPlanBatchSize(f->plan, (size_t)s->batch);
    if (c == CLFFT_SUCCESS)
        c = f->inverse ? clfftSetPlanDistance(f->plan, complexes, reals)
                       : clfftSetPlanDistance(f->plan, reals, complexes);
    return c;
}

/* Under the lock. */
static vox_status set_up(vox_fft *f, vox_error *err)
{
    /* clfftInitSetupData() is an inline function without a definition elsewhere. */
    const clfftSetupData data = {clfftVersionMajor, clfftVersionMinor, clfftVersionPatch, 0};
    clfftStatus c = plans == 0 ? clfftSetup(&data) : CLFFT_SUCCESS;
    if (c != CLFFT_SUCCESS)
        return failed(f, VOX_ERR_UNSUPPORTED, c, "be set up", err);
    const size_t length[3] = {(size_t)f->shape.size[2], (size_t)f->shape.size[1],
                              (size_t)f->shape.size[0]};
    c = clfftCreateDefaultPlan(&f->plan, f->dev->context, CLFFT_3D, length);
    if (c != CLFFT_SUCCESS) {
        if (plans == 0)
            clfftTeardown();
        return failed(f, VOX_ERR_UNSUPPORTED, c, "plan this transform", err);
    }
    plans++;
    return VOX_OK;
}

/* Under the lock.  Generates and compiles the kernels. */
static vox_status prepare(vox_fft *f, size_t *temp, vox_error *err)
{
    vox_status s = set_up(f, err);
    if (s != VOX_OK)
        return s;
    clfftStatus c = describe(f);
    if (c == CLFFT_SUCCESS)
        c = clfftBakePlan(f->plan, 1, &f->dev->queue, NULL, NULL);
    if (c == CLFFT_SUCCESS)
        c = clfftGetTmpBufSize(f->plan, temp);
    if (c == CLFFT_SUCCESS)
        return VOX_OK;
    clfftDestroyPlan(&f->plan);
    if (--plans == 0)
        clfftTeardown();
    return failed(f, VOX_ERR_UNSUPPORTED, c, "prepare this transform", err);
}

vox_status vox_fft_open(vox_fft **out, vox_device *dev, const vox_fft_shape *shape, bool inverse,
                        vox_error *err)
{
    size_t temp = 0;
    *out = NULL;
    vox_fft *f = vox_calloc(1, sizeof *f, "a Fourier transform", err);
    if (!f)
        return VOX_ERR_MEMORY;
    *f = (vox_fft){.dev = dev, .shape = *shape, .inverse = inverse};
    pthread_mutex_lock(&lock);
    vox_quirks_hush(dev->found.quirks);
    vox_status s = prepare(f, &temp, err);
    pthread_mutex_unlock(&lock);
    if (s != VOX_OK) {
        free(f);
        return s;
    }
    if (temp > 0)
        s = vox_buffer_open(&f->temp, dev, temp, VOX_BUFFER_DEVICE, "clFFT's intermediate results",
                            err);
    if (s != VOX_OK)
        vox_fft_free(&f);
    *out = f;
    return s;
}

void vox_fft_free(vox_fft **fp)
{
    if (!fp || !*fp)
        return;
    vox_fft *f = *fp;
    vox_buffer_free(&f->temp);
    pthread_mutex_lock(&lock);
    clfftDestroyPlan(&f->plan);
    if (--plans == 0)
        clfftTeardown();
    pthread_mutex_unlock(&lock);
    free(f);
    *fp = NULL;
}

size_t vox_fft_temp_bytes(const vox_fft *f)
{
    return f->temp ? f->temp->bytes : 0;
}

vox_status vox_fft_run(vox_fft *f, vox_buffer *buf, int64_t first, vox_error *err)
{
    const size_t volume = (size_t)f->shape.volume * sizeof(float);
    vox_buffer *window;
    vox_status s =
        vox_buffer_sub(&window, buf, (size_t)first * volume, (size_t)f->shape.batch * volume, err);
    if (s != VOX_OK)
        return s;
    const clfftDirection direction = f->inverse ? CLFFT_BACKWARD : CLFFT_FORWARD;
    pthread_mutex_lock(&lock); /* the kernels' arguments are shared, too */
    clfftStatus c = clfftEnqueueTransform(f->plan, direction, 1, &f->dev->queue, 0, NULL,
                                          vox_profile_span(f->dev, "clFFT"), &window->mem, NULL,
                                          f->temp ? f->temp->mem : NULL);
    pthread_mutex_unlock(&lock);
    vox_buffer_free(&window);
    return c == CLFFT_SUCCESS ? VOX_OK : failed(f, VOX_ERR_DEVICE, c, "run a transform", err);
}

#else
bool vox_fft_available(void)
{
    return false;
}

vox_status vox_fft_open(vox_fft **out, vox_device *dev, const vox_fft_shape *shape, bool inverse,
                        vox_error *err)
{
    (void)dev;
    (void)shape;
    (void)inverse;
    *out = NULL;
    vox_fail(err, VOX_ERR_UNSUPPORTED, "this build has no clFFT");
    return vox_hint(err, "build with -DVOXCL_WITH_CLFFT=ON");
}

void vox_fft_free(vox_fft **f)
{
    (void)f;
}

size_t vox_fft_temp_bytes(const vox_fft *f)
{
    (void)f;
    return 0;
}

vox_status vox_fft_run(vox_fft *f, vox_buffer *buf, int64_t first, vox_error *err)
{
    (void)f;
    (void)buf;
    (void)first;
    return vox_fail(err, VOX_ERR_UNSUPPORTED, "this build has no clFFT");
}
#endif
