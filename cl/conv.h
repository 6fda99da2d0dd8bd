/* conv.h - what the convolution kernels share: the shape, and where a tap of the kernel reads.
 *
 * Shapes come by -D: CI, CO channels in and out, GROUPS; ID, IH, IW voxels of the input and
 * OD, OH, OW of the output; K* kernel, S* stride, P* pad, L* dilation along each axis. */
#ifndef VOX_CONV_H
#define VOX_CONV_H

#if !defined(CI) || !defined(CO) || !defined(GROUPS)
#error "give the channels: CI CO GROUPS"
#endif
#if !defined(ID) || !defined(IH) || !defined(IW) || !defined(OD) || !defined(OH) || !defined(OW)
#error "give the voxels of input and output: ID IH IW OD OH OW"
#endif
#if !defined(KD) || !defined(KH) || !defined(KW) || !defined(SD) || !defined(SH) ||                \
    !defined(SW) || !defined(PD) || !defined(PH) || !defined(PW) || !defined(LD) ||                \
    !defined(LH) || !defined(LW)
#error "give kernel K*, stride S*, pad P* and dilation L* for D, H and W"
#endif

#define IB ((CI + 15) / 16) /* blocks of 16 channels */
#define OB ((CO + 15) / 16)

/* The input position that tap k of output position p reads: p*S - P + k*L, or -1 outside. */
inline int reach_forward(int position, int n)
{
    return position >= 0 && position < n ? position : -1;
}
#define REACH_INPUT(p, k, S, P, L, n) reach_forward((p) * (S) - (P) + (k) * (L), n)

/* The output position whose tap k reads input position p: (p + P - k*L) / S, or -1 if none. */
inline int reach_back(int scaled, int stride, int n)
{
    return scaled >= 0 && scaled % stride == 0 && scaled / stride < n ? scaled / stride : -1;
}
#define REACH_OUTPUT(p, k, S, P, L, n) reach_back((p) + (P) - (k) * (L), S, n)

/* The taps that may come from an output at all: those with (p + P - k*L) % S == 0.  Without dilation
 * they are FIRST_TAP, FIRST_TAP + TAP_STEP, ...; with it every tap is tried. */
#define TAP_STEP(S, L)        ((L) == 1 ? (S) : 1)
#define FIRST_TAP(p, S, P, L) ((L) == 1 ? ((p) + (P)) % (S) : 0)

/* b*v + c.  Takes its vectors by value: that makes PoCL's compiler hold 512-bit vectors legal in
 * the kernel it is inlined into; without, it splits every float16 in two. */
inline float16 __attribute__((always_inline)) madd(float16 b, float16 v, float16 c)
{
    return b * v + c;
}

#endif
