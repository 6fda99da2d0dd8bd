/* norm.h - what the kernels of batch, instance and group norm share.
 *
 * Statistics of many numbers are made from those of their pieces.  A piece is
 *   mean, rest   the mean is mean + rest: mean the nearest float, rest what it misses
 *   squares      sum of (x - mean)^2
 *   count        how many numbers
 * and two pieces join by Chan, Golub, LeVeque: "Updating formulae and a pairwise algorithm for
 * computing sample variances", 1979.  With mean and rest kept apart, volumes whose values lie far from
 * 0 (CT) lose nothing: x - mean is exact there, and what is left is small.
 *
 * In memory a statistic is a float4: (mean, rest, 1 / sqrt(variance + eps), variance). */
#ifndef VOX_NORM_H
#define VOX_NORM_H

/* Piece (mean, rest, squares, count) takes in (mean2, rest2, squares2, count2); counts are floats,
 * the others of type real, float or vectors of it.  An empty piece becomes the other: a difference from
 * its 0 would round. */
#define NORM_JOIN(real, mean, rest, squares, count, mean2, rest2, squares2, count2)                \
    {                                                                                              \
        const float both_ = (count) + (count2), share_ = both_ > 0.0f ? (count2) / both_ : 0.0f;   \
        const real mean_ = (count) > 0.0f ? (mean) : (real)(mean2);                                \
        const real rest_ = (count) > 0.0f ? (rest) : (real)(rest2);                                \
        const real apart_ = ((mean2) - mean_) + ((rest2) - rest_), move_ = apart_ * share_;        \
        const real small_ = rest_ + move_, sum_ = mean_ + small_;                                  \
        squares += (squares2) + apart_ * move_ * (count);                                          \
        rest = (mean_ - sum_) + small_;                                                            \
        mean = sum_;                                                                               \
        count = both_;                                                                             \
    }

#endif
