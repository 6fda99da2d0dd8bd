/* conv_fft.h - what the kernels of the convolution by Fourier transform share.
 *
 * A complex number is two floats, (re, im); a vector of V floats holds V / 2 of them.  Shapes by
 * -D: ND, NH, NW voxels of a transform; ROW complex numbers of a row, NW / 2 + 1; PLANE and VOLUME
 * floats from plane to plane and from volume to volume of a spectrum, PLANE a multiple of V; KD,
 * KH, KW taps of a kernel; CI, CO channels in and out, CIG, COG those of a group.  STEP items share
 * a row: 1 on CPUs, where an item goes along it in vectors; on GPUs neighbours do so side by side.
 */
#ifndef VOX_CONV_FFT_H
#define VOX_CONV_FFT_H

#ifndef V /* floats of a vector: 2, 4, 8, 16 */
#define V 16
#endif

#define FFT_PASTE2(a, b) a##b
#define FFT_PASTE(a, b)  FFT_PASTE2(a, b)
#define floatv           FFT_PASTE(float, V)
#define LOAD(p)          FFT_PASTE(vload, V)(0, p)
#define STORE(v, p)      FFT_PASTE(vstore, V)(v, 0, p)

/* Of each complex number of v: its real part twice, its imaginary part twice, the two swapped. */
#if V == 2
#define RE(v)     (v).s00
#define IM(v)     (v).s11
#define SWAP(v)   (v).s10
#define ALTERNATE (float2)(-1.0f, 1.0f)
#elif V == 4
#define RE(v)     (v).s0022
#define IM(v)     (v).s1133
#define SWAP(v)   (v).s1032
#define ALTERNATE (float4)(-1, 1, -1, 1)
#elif V == 8
#define RE(v)     (v).s00224466
#define IM(v)     (v).s11335577
#define SWAP(v)   (v).s10325476
#define ALTERNATE (float8)(-1, 1, -1, 1, -1, 1, -1, 1)
#else
#define RE(v)     (v).s0022446688aaccee
#define IM(v)     (v).s1133557799bbddff
#define SWAP(v)   (v).s1032547698badcfe
#define ALTERNATE (float16)(-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1)
#endif

/* i * v */
#define TURN(v) (SWAP(v) * ALTERNATE)

/* a*b + c.  Takes its vectors by value for PoCL's sake, as in conv.h. */
inline floatv __attribute__((always_inline)) madd(floatv a, floatv b, floatv c)
{
    return a * b + c;
}

/* Along d a kernel is seen from its middle: HALF taps on each side.  (An even one has none at
 * +HALF.)  Instead of the taps at +t and -t their sum and their difference are kept: SETS numbers,
 * the middle tap, then sum and difference for t = 1, 2, ... HALF.  For
 *     w[t] e^(iat) + w[-t] e^(-iat) = cos(at) (w[t] + w[-t]) + i sin(at) (w[t] - w[-t])
 * and at frequency -a only the sign of the second term changes. */
#define HALF (KD / 2)
#define SETS (2 * HALF + 1)

#endif
