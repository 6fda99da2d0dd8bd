/* cpu.h - what kernels for CPUs want beyond OpenCL C, each with a plain way for other compilers.
 *
 *   LOAD16(p)             vload16(0, p) and vstore16(v, 0, p) of private memory in one piece: PoCL 3.1
 *   LOAD16_INT(p)         stores quarters, which later loads of all 16 must wait for
 *   STORE16(v, p)
 *   STORE16_INT(v, p)
 *   STORE16_GLOBAL(v, p)  the same to global memory
 *   EVENS(a, b)           elements 0, 2, ... of two vectors of 16 in a row, in one permutation
 *   PREFETCH(p)           asks for the cache line at p, which need not exist, into the second cache:
 *                         PoCL's prefetch() does nothing, and processors read ahead only where one
 *                         address follows the other, not from row to row */
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
#else
#define LOAD16(p)            vload16(0, p)
#define LOAD16_INT(p)        vload16(0, p)
#define STORE16(v, p)        vstore16(v, 0, p)
#define STORE16_INT(v, p)    vstore16(v, 0, p)
#define STORE16_GLOBAL(v, p) vstore16(v, 0, p)
#define EVENS(a, b)          ((a).even, (b).even)
#endif

#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))
#define PREFETCH(p) __builtin_prefetch((const void *)(size_t)(p), 0, 2)
#else
#define PREFETCH(p)
#endif

#endif
