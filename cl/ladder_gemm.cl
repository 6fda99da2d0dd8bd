/* ladder_gemm.cl - a matrix product, rung by rung: C = A B, all rows first (=).
 *
 *   c[m][n] = sum_k a[m][k] * b[k][n]      A [M][K], B [K][N], C [M][N]
 *
 * For reading and for `voxcl bench ladder gemm`; training has dense_*.cl and conv3d_*.cl, which are
 * the same ideas fitted to their shapes.  M, N and K are multiples of 64, so that no rung has to
 * look after edges. */
#pragma OPENCL FP_CONTRACT ON
#if !defined(M) || !defined(N) || !defined(K)
#error "give the sizes: M N K"
#endif
#if M % 64 != 0 || N % 64 != 0 || K % 64 != 0
#error "M, N and K are multiples of 64"
#endif
#ifndef T /* side of a tile in local memory (divides 64) */
#define T 16
#endif
#ifndef R /* rows of a register tile (divides 64) */
#define R 8
#endif
#ifndef Q /* vectors of 16 columns of a register tile (1, 2, 4) */
#define Q 2
#endif

/* Rung 1.  One item for one number of C: 2 K loads for K multiply-adds.  Neighbouring items have
 * neighbouring n: they read neighbouring words of B, and the same word of A.
 * Grid: (N, M). */
__kernel void gemm_naive(__global const float *a, __global const float *b, __global float *c)
{
    const size_t n = get_global_id(0), m = get_global_id(1);
    float sum = 0.0f;
    for (int k = 0; k < K; k++)
        sum += a[m * K + k] * b[(size_t)k * N + n];
    c[m * N + n] = sum;
}

/* Rung 2, for GPUs.  A group brings T x T of A and of B into local memory, once; each of these
 * words is then used T times: 2 K / T loads from memory for K multiply-adds, but still two from
 * local memory for each.
 * Grid: (N, M) in groups of T x T. */
__kernel __attribute__((reqd_work_group_size(T, T, 1))) void
gemm_local(__global const float *a, __global const float *b, __global float *c)
{
    __local float ta[T][T], tb[T][T];
    const int x = (int)get_local_id(0), y = (int)get_local_id(1);
    const size_t n = get_global_id(0), m = get_global_id(1);
    float sum = 0.0f;
    for (int k0 = 0; k0 < K; k0 += T) {
        ta[y][x] = a[m * K + k0 + x];
        tb[y][x] = b[(size_t)(k0 + y) * N + n];
        barrier(CLK_LOCAL_MEM_FENCE); /* nobody computes before all have loaded */
        for (int k = 0; k < T; k++)
            sum += ta[y][k] * tb[k][x];
        barrier(CLK_LOCAL_MEM_FENCE); /* nobody loads over what others still read */
    }
    c[m * N + n] = sum;
}

/* b*v + c.  Takes its vectors by value: that makes PoCL's compiler hold 512-bit vectors legal (see
 * conv.h). */
inline float16 __attribute__((always_inline)) madd(float16 b, float16 v, float16 c)
{
    return b * v + c;
}

/* Rungs 3 and 4, for CPUs.  Groups of one item, which makes R rows x Q * 16 columns of C in
 * registers: for each k it loads Q vectors of B and R single numbers of A, and does R * Q vector
 * multiply-adds.  R = Q = 1 is the rung where only the vectors are new.
 * Grid: (N / (Q*16), M / R). */
__kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
gemm_registers(__global const float *a, __global const float16 *b, __global float16 *c)
{
    const size_t n = get_global_id(0) * Q, m = get_global_id(1) * R; /* n counts vectors */
    float16 sum[R * Q];
#pragma unroll
    for (int i = 0; i < R * Q; i++)
        sum[i] = (float16)(0.0f);
    for (int k = 0; k < K; k++) {
        float16 v[Q];
#pragma unroll
        for (int q = 0; q < Q; q++)
            v[q] = b[(size_t)k * (N / 16) + n + q];
#pragma unroll
        for (int r = 0; r < R; r++) {
            const float16 one = (float16)(a[(m + r) * K + k]);
#pragma unroll
            for (int q = 0; q < Q; q++)
                sum[r * Q + q] = madd(one, v[q], sum[r * Q + q]);
        }
    }
#pragma unroll
    for (int i = 0; i < R * Q; i++)
        c[(m + i / Q) * (N / 16) + n + i % Q] = sum[i];
}
