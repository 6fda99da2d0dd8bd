/* compare.c - comparing, guarded buffers, layouts on the host, and the test of all these. */
#include "ops/harness.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

static double rms_of_finite(const double *want, int64_t count)
{
    double sum = 0;
    int64_t used = 0;
    for (int64_t i = 0; i < count; i++)
        if (isfinite(want[i])) {
            sum += want[i] * want[i];
            used++;
        }
    return used ? sqrt(sum / (double)used) : 0;
}

/* NULL if got stands for want exactly as far as classes go (NaN, infinities), else what is wrong;
 * sets *finite if the two are to be subtracted. */
static const char *compare_class(float got, double want, bool *finite)
{
    uint32_t bits;
    memcpy(&bits, &got, 4);
    *finite = false;
    if (bits == VT_UNWRITTEN)
        return "unwritten";
    if (bits == VT_CANARY)
        return "read out of place (a canary's NaN)";
    if (isnan(want))
        return isnan(got) ? NULL : "should be NaN";
    if (isnan(got))
        return "NaN";
    if (isinf(want) || isinf(got))
        return (double)got == want || (double)got == (double)(float)want ? NULL : "infinite";
    *finite = true;
    return NULL;
}

static void report(vt_difference *d, const char *what, int64_t i, double got, double want)
{
    d->what = what;
    d->worst = i;
    d->got = got;
    d->want = want;
}

bool vt_compare(const float *got, const double *want, int64_t count, const vt_tolerance *tol,
                double floor, vt_difference *out)
{
    memset(out, 0, sizeof *out);
    const double rms = fmax(rms_of_finite(want, count), floor);
    const bool exact = tol->rms == 0 && tol->max == 0;
    double sum = 0, worst = -1;
    for (int64_t i = 0; i < count; i++) {
        bool finite;
        const char *what = compare_class(got[i], want[i], &finite);
        if (what) {
            report(out, what, i, (double)got[i], want[i]);
            return false;
        }
        if (!finite)
            continue;
        double w = exact ? (double)(float)want[i] : want[i];
        double e = fabs((double)got[i] - w), scale = fmax(rms, fabs(w));
        sum += e * e;
        double relative = e == 0 ? 0 : scale > 0 ? e / scale : INFINITY;
        if (relative > worst) {
            worst = relative;
            report(out, NULL, i, (double)got[i], want[i]);
        }
    }
    out->max = worst < 0 ? 0 : worst;
    double root = count ? sqrt(sum / (double)count) : 0;
    out->rms = root == 0 ? 0 : rms > 0 ? root / rms : INFINITY;
    if (out->max > tol->max || out->rms > tol->rms)
        out->what = "differs";
    return out->what == NULL;
}

/* ---- guarded buffers ---- */

#define MARGIN_WORDS (VOX_BUFFER_ALIGN / 4)

static size_t parent_words(const vt_buffer *b)
{
    size_t words = b->bytes / 4;
    return MARGIN_WORDS + (words + MARGIN_WORDS - 1) / MARGIN_WORDS * MARGIN_WORDS + MARGIN_WORDS;
}

vox_status vt_buffer_open(vt_buffer *b, vox_device *dev, size_t words, vox_error *err)
{
    memset(b, 0, sizeof *b);
    b->bytes = 4 * words;
    b->shadow = vox_calloc(words, 4, "test buffer", err);
    if (!b->shadow)
        return VOX_ERR_MEMORY;
    vox_status s =
        vox_buffer_open(&b->parent, dev, 4 * parent_words(b), VOX_BUFFER_DEVICE, "test", err);
    if (s == VOX_OK)
        s = vox_buffer_sub(&b->window, b->parent, VOX_BUFFER_ALIGN, b->bytes, err);
    if (s != VOX_OK)
        vt_buffer_release(b);
    return s;
}

void vt_buffer_release(vt_buffer *b)
{
    vox_buffer_free(&b->window);
    vox_buffer_free(&b->parent);
    free(b->shadow);
    memset(b, 0, sizeof *b);
}

vox_status vt_buffer_upload(vt_buffer *b, vox_error *err)
{
    vox_status s = vox_buffer_fill(b->parent, 0, 4 * parent_words(b), VT_CANARY, err);
    if (s == VOX_OK)
        s = vox_buffer_write(b->parent, VOX_BUFFER_ALIGN, b->shadow, b->bytes, true, err);
    return s;
}

int64_t vt_find_broken(const uint32_t *margin, size_t words)
{
    for (size_t i = 0; i < words; i++)
        if (margin[i] != VT_CANARY)
            return (int64_t)i;
    return -1;
}

vox_status vt_buffer_download(vt_buffer *b, uint32_t *to, int64_t *broken, vox_error *err)
{
    size_t all = parent_words(b), words = b->bytes / 4;
    uint32_t *copy = vox_calloc(all, 4, "test buffer", err);
    if (!copy)
        return VOX_ERR_MEMORY;
    vox_status s = vox_buffer_read(b->parent, 0, copy, 4 * all, true, err);
    *broken = vt_find_broken(copy, MARGIN_WORDS);
    if (*broken < 0) {
        *broken = vt_find_broken(copy + MARGIN_WORDS + words, all - MARGIN_WORDS - words);
        *broken += *broken < 0 ? 0 : (int64_t)(MARGIN_WORDS + words);
    }
    memcpy(to, copy + MARGIN_WORDS, b->bytes);
    free(copy);
    return s;
}

/* ---- layouts ---- */

void vt_block(const vox_shape *s, int64_t n, const float *plain, float *blocked)
{
    int64_t C = s->dim[1], V = s->dim[2] * s->dim[3] * s->dim[4], B = (C + 15) / 16;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < 16 * B; c++)
            for (int64_t v = 0; v < V; v++)
                blocked[((i * B + c / 16) * V + v) * 16 + c % 16] =
                    c < C ? plain[(i * C + c) * V + v] : 0.0f;
}

int64_t vt_unblock(const vox_shape *s, int64_t n, const float *blocked, float *plain)
{
    int64_t C = s->dim[1], V = s->dim[2] * s->dim[3] * s->dim[4], B = (C + 15) / 16;
    int64_t dirty = -1;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < 16 * B; c++)
            for (int64_t v = 0; v < V; v++) {
                int64_t at = ((i * B + c / 16) * V + v) * 16 + c % 16;
                if (c < C)
                    plain[(i * C + c) * V + v] = blocked[at];
                else if (dirty < 0 && !(blocked[at] == 0.0f))
                    dirty = at;
            }
    return dirty;
}

/* ---- the test of the tester ---- */

static bool expect(bool good, const char *what)
{
    if (!good)
        fprintf(stderr, "FAIL harness: %s\n", what);
    return good;
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, 4);
    return f;
}

static bool selftest_compare(void)
{
    enum { COUNT = 1000 };
    const vt_tolerance tol = {1e-5, 1e-4}, exact = {0, 0};
    double want[COUNT];
    float got[COUNT];
    vt_difference d;
    for (int i = 0; i < COUNT; i++) {
        want[i] = sin((double)i);
        got[i] = (float)want[i];
    }
    bool ok = expect(vt_compare(got, want, COUNT, &tol, 0, &d), "equal arrays must pass");
    ok &= expect(vt_compare(got, want, COUNT, &exact, 0, &d), "equal arrays must pass exactly");
    const float bad[] = {got[517] + 1e-3f, float_of(0x7fc00000u), INFINITY, float_of(VT_UNWRITTEN),
                         float_of(VT_CANARY)};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        float keep = got[517];
        got[517] = bad[i];
        ok &= expect(!vt_compare(got, want, COUNT, &tol, 0, &d) && d.worst == 517 && d.what,
                     "one wrong element must fail");
        got[517] = keep;
    }
    got[3] = nextafterf(got[3], 2.0f);
    ok &= expect(!vt_compare(got, want, COUNT, &exact, 0, &d), "one bit must fail an exact case");
    got[3] = (float)want[3];
    want[9] = NAN;
    ok &= expect(!vt_compare(got, want, COUNT, &tol, 0, &d), "a number for a NaN must fail");
    got[9] = float_of(0x7fc00000u);
    ok &= expect(vt_compare(got, want, COUNT, &tol, 0, &d), "a NaN for a NaN must pass");
    got[9] = float_of(VT_UNWRITTEN);
    ok &= expect(!vt_compare(got, want, COUNT, &tol, 0, &d), "unwritten is not NaN");
    for (int i = 0; i < COUNT; i++)
        want[i] = got[i] = 0;
    got[1] = 1e-30f;
    ok &= expect(!vt_compare(got, want, COUNT, &tol, 0, &d), "a number for all zeros must fail");
    ok &= expect(vt_compare(got, want, COUNT, &tol, 0.1, &d),
                 "unless it is nothing beside the floor");
    got[1] = 1e-3f;
    ok &= expect(!vt_compare(got, want, COUNT, &tol, 0.1, &d), "a floor is no pardon");
    return ok;
}

bool vt_selftest(void)
{
    bool ok = selftest_compare();
    uint32_t margin[64];
    for (int i = 0; i < 64; i++)
        margin[i] = VT_CANARY;
    ok &= expect(vt_find_broken(margin, 64) == -1, "whole canaries must pass");
    margin[63] = 0;
    ok &= expect(vt_find_broken(margin, 64) == 63, "a broken canary must fail");

    const vox_shape s = {5, {2, 17, 1, 2, 3}};
    float plain[2 * 17 * 6], blocked[2 * 32 * 6], back[2 * 17 * 6];
    for (int i = 0; i < 2 * 17 * 6; i++)
        plain[i] = (float)i;
    vt_block(&s, 2, plain, blocked);
    ok &= expect(vt_unblock(&s, 2, blocked, back) == -1 && !memcmp(plain, back, sizeof plain),
                 "BLOCK16 and back must be the identity");
    blocked[(1 * 2 + 1) * 6 * 16 + 1] = NAN;
    ok &= expect(vt_unblock(&s, 2, blocked, back) == (1 * 2 + 1) * 6 * 16 + 1,
                 "a dirty padding channel must fail");
    return ok;
}
