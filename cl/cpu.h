/* cpu.h - what kernels for CPUs want beyond OpenCL C, each with a plain way for other compilers.
 *
 *   LOAD16(p)             vload16(0, p) and vstore16(v, 0, p) of private memory in one piece: PoCL 3.1
 *   LOAD16_INT(p)         stores quarters, which later loads of all 16 must wait for
 *   STORE16(v, p)
 *   STORE16_INT(v, p)
 *   STORE16_GLOBAL(v, p)  the same to global memory
 *   STREAM16(v, p)        the same where p is the start of a cache line; with -DSTREAM, which the host
 *                         gives where more is written than a cache holds, past the caches: else
 *                         each line is read first, to be overwritten
 *   STREAM_END            after the last of these
 *   EVENS(a, b)           elements 0, 2, ... of two vectors of 16 in a row, in one permutation
 *   ZIP_LOW(a, b)         the lower (upper) halves' elements of two vectors of 16 in turns, likewise
 *   ZIP_HIGH(a, b)
 *   ZIP8_LOW(a, b)        the same of two vectors of 8
 *   ZIP8_HIGH(a, b)
 *   PREFETCH(p)           asks for the cache line at p, which need not exist, into the second cache:
 *                         PoCL's prefetch() does nothing, and processors read ahead only where one
 *                         address follows the other, not from row to row
 *   PREFETCH_NEAR(p)      the same into the first cache
 * The target is looked at as well as the compiler: Oclgrind's and GPUs' have no such instruction. */
#ifndef VOX_CPU_H
#define VOX_CPU_H

#ifdef __clang__
typedef float16 __attribute__((aligned(4))) float16_anywhere;
typedef int16 __attribute__((aligned(4))) int16_anywhere;
#define LOAD16(p)            (*(const float16_anywhere *)(p))
#define LOAD16_INT(p)        (*(const int16_anywhere *)(p))
#define STORE16(v, p)        (*(float16_anywhere *)(p) = (v))
#define STORE16_INT(v, p)    (*(int16_anywhere *)(p) = (v))
#define STORE16_GLOBAL(v, p) (*(__global float16_anywhere *)(p) = (v))
#define EVENS(a, b)                                                                                \
    (__builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30))
#define ZIP_LOW(a, b)                                                                              \
    (__builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23))
#define ZIP_HIGH(a, b)                                                                             \
    (__builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))
#define ZIP8_LOW(a, b)  (__builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11))
#define ZIP8_HIGH(a, b) (__builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15))
#else
#define LOAD16(p)            vload16(0, p)
#define LOAD16_INT(p)        vload16(0, p)
#define STORE16(v, p)        vstore16(v, 0, p)
#define STORE16_INT(v, p)    vstore16(v, 0, p)
#define STORE16_GLOBAL(v, p) vstore16(v, 0, p)
#define EVENS(a, b)          ((a).even, (b).even)
#define ZIP_HALF(a, b)                                                                             \
    ((a).s0, (b).s0, (a).s1, (b).s1, (a).s2, (b).s2, (a).s3, (b).s3, (a).s4, (b).s4, (a).s5,       \
     (b).s5, (a).s6, (b).s6, (a).s7, (b).s7)
#define ZIP_LOW(a, b)   ZIP_HALF((a).lo, (b).lo)
#define ZIP_HIGH(a, b)  ZIP_HALF((a).hi, (b).hi)
#define ZIP8_LOW(a, b)  ((a).s0, (b).s0, (a).s1, (b).s1, (a).s2, (b).s2, (a).s3, (b).s3)
#define ZIP8_HIGH(a, b) ((a).s4, (b).s4, (a).s5, (b).s5, (a).s6, (b).s6, (a).s7, (b).s7)
#endif

#if defined(STREAM) && defined(__clang__) && defined(__SSE2__)
#define STREAM16(v, p) __builtin_nontemporal_store(v, (__global float16 *)(p))
#define STREAM_END     __builtin_ia32_sfence()
#else
#define STREAM16(v, p) STORE16_GLOBAL(v, p)
#define STREAM_END
#endif

#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
#define PREFETCH(p)      __builtin_prefetch((const void *)(size_t)(p), 0, 2)
#define PREFETCH_NEAR(p) __builtin_prefetch((const void *)(size_t)(p), 0, 3)
#else
#define PREFETCH(p)
#define PREFETCH_NEAR(p)
#endif

#endif
