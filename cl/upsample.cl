/* upsample.cl - a volume on a finer (or any other) grid, as torch.nn.functional.interpolate with
 * align_corners=False.  Along each axis of N inputs and M outputs, output o reads
 *   NEAREST     input floor(o * N / M)
 *   trilinear   inputs i and min(i + 1, N - 1) with weights 1 - f and f, where
 *               i + f = max((o + 1/2) * N / M - 1/2, 0)
 * and the gradient of an input gathers, with the same weights, from all outputs that read it.
 *   x, dx [.][ID][IH][IW], y, dy [.][OD][OH][OW]; one voxel a float or, LANES 16, 16 channels of
 *   BLOCK16, whose zeros past C stay zeros; y and dx overwritten (=)
 * A relu before may be fused into the gradient: relu.h, x being its output.
 * Grid: (voxels written in runs of ROW, planes of a sample, n). */
#include "relu.h"
#if !defined(ID) || !defined(IH) || !defined(IW) || !defined(OD) || !defined(OH) || !defined(OW)
#error "give the voxels of input and output: ID IH IW OD OH OW"
#endif
#if !defined(PLANES) || !defined(LANES) || !defined(ROW)
#error "give PLANES of a sample, LANES (1 or 16) and ROW"
#endif
#define IN  ((size_t)ID * IH * IW)
#define OUT ((size_t)OD * OH * OW)

#if LANES == 16
#define voxel float16
#define GET(p, i)    vload16(i, p)
#define PUT(v, i, p) vstore16(v, i, p)
#else
#define voxel float
#define GET(p, i)    (p)[i]
#define PUT(v, i, p) (p)[i] = (v)
#endif

/* What output o reads along an axis: low with weight 1 - f, high with f. */
typedef struct reading {
    int low, high;
    float f;
} reading;

inline reading reads(int o, int n, int m)
{
    reading r;
#ifdef NEAREST
    r.low = r.high = (int)((long)o * n / m);
    r.f = 0.0f;
#else
    /* ((2 o + 1) n - m) / (2 m) without rounding before the division */
    const long top = max((2 * (long)o + 1) * n - m, 0L), bottom = 2 * (long)m;
    r.low = (int)(top / bottom);
    r.high = min(r.low + 1, n - 1);
    r.f = (float)(top % bottom) / (float)bottom;
#endif
    return r;
}

/* The weight of input i in what output o reads. */
inline float weight(int o, int i, int n, int m)
{
    const reading r = reads(o, n, m);
    return (r.low == i ? 1.0f - r.f : 0.0f) + (r.high == i ? r.f : 0.0f);
}

/* Outputs that may read input i: those whose point lies within one input of it, and at the ends all
 * that are clamped. */
#define FIRST_READER(i, n, m) max((int)((long)((i)-1) * (m) / (n)) - 1, 0)
#define LAST_READER(i, n, m)  min((int)((long)((i) + 2) * (m) / (n)) + 1, (m)-1)

__kernel void upsample_forward(__global const float *restrict x, __global float *restrict y)
{
    const size_t plane = get_global_id(2) * PLANES + get_global_id(1);
    const size_t first = get_global_id(0) * ROW, end = min(first + ROW, OUT);
    x += plane * IN * LANES;
    y += plane * OUT * LANES;
    for (size_t at = first; at < end; at++) {
        const reading w = reads((int)(at % OW), IW, OW), h = reads((int)(at / OW % OH), IH, OH);
        const reading d = reads((int)(at / OW / OH), ID, OD);
#ifdef NEAREST
        const voxel v = GET(x, ((size_t)d.low * IH + h.low) * IW + w.low);
#else
        /* along w, then h, then d */
#define LINE(z, r) (((size_t)(z)*IH + (r)) * IW)
#define ALONG(z, r)                                                                                \
    ((1.0f - w.f) * GET(x, LINE(z, r) + w.low) + w.f * GET(x, LINE(z, r) + w.high))
#define ACROSS(z) ((1.0f - h.f) * ALONG(z, h.low) + h.f * ALONG(z, h.high))
        const voxel v = (1.0f - d.f) * ACROSS(d.low) + d.f * ACROSS(d.high);
#endif
        PUT(v, at, y);
    }
}

__kernel void upsample_backward(__global const float *restrict dy, __global float *restrict dx,
                                __global const float *restrict x)
{
    const size_t plane = get_global_id(2) * PLANES + get_global_id(1);
    const size_t first = get_global_id(0) * ROW, end = min(first + ROW, IN);
    dy += plane * OUT * LANES;
    dx += plane * IN * LANES;
    x += plane * IN * LANES;
    for (size_t at = first; at < end; at++) {
        const int iw = (int)(at % IW), ih = (int)(at / IW % IH), id = (int)(at / IW / IH);
        const int last_w = LAST_READER(iw, IW, OW), last_h = LAST_READER(ih, IH, OH);
        const int last_d = LAST_READER(id, ID, OD);
        voxel sum = (voxel)(0.0f);
        for (int d = FIRST_READER(id, ID, OD); d <= last_d; d++) {
            const float wd = weight(d, id, ID, OD);
            for (int h = FIRST_READER(ih, IH, OH); wd != 0.0f && h <= last_h; h++) {
                const float wh = wd * weight(h, ih, IH, OH);
                for (int w = FIRST_READER(iw, IW, OW); wh != 0.0f && w <= last_w; w++) {
                    const float ww = wh * weight(w, iw, IW, OW);
                    if (ww != 0.0f)
                        sum += ww * GET(dy, ((size_t)d * OH + h) * OW + w);
                }
            }
        }
        PUT(RELU_DX(sum, GET(x, at)), at, dx);
    }
}
