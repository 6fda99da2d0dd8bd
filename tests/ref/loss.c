/* loss.c - the losses of segmentations: overlap (dice, tversky) and means over voxels (bce, focal,
 * cross entropy), each sample's, summed over the outputs of deep supervision. */
#include "ref/ref.h"

#include <math.h>
#include <string.h>

#define MOST 64 /* classes */

/* One output of one sample. */
typedef struct sample {
    const vox_node *node;
    int64_t C, V;
    const double *x;
    double label[1 << 18]; /* 64^3 voxels at most */
} sample;

static bool is_op(const vox_node *node, const char *name)
{
    return strcmp(node->op->name, name) == 0;
}

static bool has_overlap(const vox_node *node)
{
    return is_op(node, "dice") || is_op(node, "dice_ce") || is_op(node, "tversky");
}

static bool has_mean(const vox_node *node)
{
    return !is_op(node, "dice") && !is_op(node, "tversky");
}

static int64_t classes(const sample *s)
{
    return s->C == 1 && !is_op(s->node, "cross_entropy") ? 2 : s->C;
}

static bool ignored(const sample *s, int64_t v)
{
    return s->label[v] == (double)ref_int(s->node, "ignore");
}

static bool is_class(const sample *s, int64_t v, int64_t c)
{
    return s->label[v] == (double)(s->C == 1 && classes(s) == 2 ? 1 : c);
}

/* NaN for a label that is none, else 1. */
static double good(const sample *s, int64_t v)
{
    return s->label[v] >= 0 && s->label[v] < (double)classes(s) ? 1 : NAN;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/* The label of voxel v of output k, on the grid of output 0. */
static double label_at(const ref_io *io, int64_t n, int k, int64_t v)
{
    const int64_t *full = &io->node->in[0].dim[2], *d = &io->node->in[k].dim[2];
    const int64_t at[3] = {v / (d[1] * d[2]), v / d[2] % d[1], v % d[2]};
    int64_t from = n;
    for (int i = 0; i < 3; i++)
        from = from * full[i] +
               (int64_t)floor(((double)at[i] + 0.5) * (double)full[i] / (double)d[i] + 1e-9);
    return io->x[io->node->inputs - 1][from];
}

static sample *get(const ref_io *io, int64_t n, int k)
{
    static sample s;
    const int64_t *in = io->node->in[k].dim;
    s.node = io->node;
    s.C = in[1];
    s.V = in[2] * in[3] * in[4];
    s.x = io->x[k] + n * s.C * s.V;
    for (int64_t v = 0; v < s.V; v++)
        s.label[v] = label_at(io, n, k, v);
    return &s;
}

/* Probabilities of a voxel's channels. */
static void probabilities(const sample *s, int64_t v, double *p)
{
    double m = -INFINITY, sum = 0;
    for (int64_t c = 0; c < s->C; c++)
        m = fmax(m, s->x[c * s->V + v]);
    for (int64_t c = 0; c < s->C; c++)
        sum += p[c] = exp(s->x[c * s->V + v] - m);
    for (int64_t c = 0; c < s->C; c++)
        p[c] /= sum;
    if (s->C == 1 && !is_op(s->node, "cross_entropy"))
        p[0] = sigmoid(s->x[v]);
}

/* ---- overlap ---- */

typedef struct sums {
    double inside[MOST], all[MOST], truth[MOST];
} sums;

static void add_sums(const sample *s, sums *out)
{
    double p[MOST];
    for (int64_t v = 0; v < s->V; v++) {
        probabilities(s, v, p);
        for (int64_t c = 0; c < s->C && !ignored(s, v); c++) {
            out->inside[c] += is_class(s, v, c) ? p[c] : 0;
            out->all[c] += p[c] * good(s, v);
            out->truth[c] += is_class(s, v, c);
        }
    }
}

/* The batch's, which forward also keeps. */
static void keep_sums(const ref_io *io, int k, const sums *t)
{
    const int64_t C = io->node->in[k].dim[1];
    double *to = io->keep[VOX_FORWARD] + 3 * C * k;
    for (int64_t c = 0; c < C; c++) {
        to[c] = t->inside[c];
        to[C + c] = t->all[c];
        to[2 * C + c] = t->truth[c];
    }
}

static sums sums_of(const ref_io *io, int64_t n, int k)
{
    sums t = {0};
    const bool batch = ref_word(io->node, "per") == 1;
    for (int64_t i = batch ? 0 : n; i < (batch ? io->n : n + 1); i++)
        add_sums(get(io, i, k), &t);
    if (batch && io->keep[VOX_FORWARD])
        keep_sums(io, k, &t);
    return t;
}

static int64_t first_class(const vox_node *node)
{
    return node->in[0].dim[1] == 1 || ref_bool(node, "background") ? 0 : 1;
}

/* 1 - overlap of a class, and its derivatives by inside and all. */
static double overlap_loss(const vox_node *node, const sums *t, int64_t c, double *by_inside,
                           double *by_all)
{
    const double smooth = ref_float(node, "smooth"), in = t->inside[c], all = t->all[c];
    if (!is_op(node, "tversky")) {
        const double under = all + t->truth[c] + smooth, over = 2 * in + smooth;
        *by_inside = -2 / under;
        *by_all = over / (under * under);
        return 1 - over / under;
    }
    const double a = ref_float(node, "alpha"), b = ref_float(node, "beta");
    const double over = in + smooth, under = over + a * (all - in) + b * (t->truth[c] - in);
    *by_inside = -(under - over * (1 - a - b)) / (under * under);
    *by_all = over * a / (under * under);
    return 1 - over / under;
}

/* The loss, and dx[v] += times d loss/dx where dx is not NULL (both for one sample of output k). */
static double overlap(const ref_io *io, int64_t n, int k, double times, double *dx)
{
    const vox_node *node = io->node;
    const sums t = sums_of(io, n, k);
    const sample *s = get(io, n, k);
    const int64_t first = first_class(node);
    const double count = (double)(s->C - first);
    double loss = 0, by_inside[MOST] = {0}, by_all[MOST] = {0}, p[MOST];
    for (int64_t c = first; c < s->C; c++)
        loss += overlap_loss(node, &t, c, &by_inside[c], &by_all[c]) / count;
    for (int64_t v = 0; dx && v < s->V; v++) {
        double slope[MOST], along = 0;
        probabilities(s, v, p);
        for (int64_t c = 0; c < s->C; c++) {
            slope[c] = (by_all[c] + (is_class(s, v, c) ? by_inside[c] : 0)) / count;
            along += slope[c] * p[c];
        }
        for (int64_t c = 0; c < s->C && !ignored(s, v); c++)
            dx[c * s->V + v] +=
                times * good(s, v) *
                (s->C == 1 ? p[0] * (1 - p[0]) * slope[0] : p[c] * (slope[c] - along));
    }
    return loss;
}

/* ---- means over voxels ---- */

static double weight_of(const sample *s, int64_t v)
{
    const bool focal = is_op(s->node, "focal");
    if (!focal && !is_op(s->node, "dice_ce") && !is_op(s->node, "cross_entropy"))
        return 1;
    const vox_floats *w = ref_floats(s->node, focal ? "alpha" : "weights");
    const int64_t label = (int64_t)s->label[v];
    if (w->count == 0 || label < 0 || label >= classes(s))
        return 1;
    if (focal && s->C == 1)
        return label == 1 ? w->value[0] : 1 - w->value[0];
    return w->value[label];
}

/* -log of the chance of one thing with the logit z. */
static double softplus(double z)
{
    return z > 0 ? log1p(exp(-z)) : -z + log1p(exp(z));
}

static double bce_of(const sample *s, int64_t v, int64_t c, double *slope)
{
    const double x = s->x[c * s->V + v];
    const bool yes = is_class(s, v, c);
    const double low = (double)1e-7f, high = (double)(1.0f - 1e-7f);
    if (!is_op(s->node, "bce")) {
        *slope = sigmoid(x) - yes;
        return softplus(yes ? x : -x);
    }
    const double p = x < low ? low : x > high ? high : x;
    *slope = p != x && !isnan(x) ? 0 : yes ? -1 / p : 1 / (1 - p);
    return -log(yes ? p : 1 - p);
}

/* focal and cross entropy: f(log p), p the chance of the voxel's class. */
static double log_p_loss(const sample *s, double log_p, double rest, double *slope)
{
    const double gamma = is_op(s->node, "focal") ? ref_float(s->node, "gamma") : 0;
    *slope =
        -pow(rest, gamma) + (gamma > 0 ? gamma * pow(rest, gamma - 1) * exp(log_p) * log_p : 0);
    return -pow(rest, gamma) * log_p;
}

static double softmax_of(const sample *s, int64_t v, double *slope)
{
    double p[MOST], log_p = NAN, rest = 0, m = -INFINITY, sum = 0, by;
    probabilities(s, v, p);
    for (int64_t c = 0; c < s->C; c++)
        m = fmax(m, s->x[c * s->V + v]);
    for (int64_t c = 0; c < s->C; c++)
        sum += exp(s->x[c * s->V + v] - m);
    for (int64_t c = 0; c < s->C; c++)
        if (is_class(s, v, c))
            log_p = s->x[c * s->V + v] - m - log(sum);
        else
            rest += p[c];
    const double loss = log_p_loss(s, log_p, rest, &by);
    for (int64_t c = 0; c < s->C; c++)
        slope[c] = by * (is_class(s, v, c) ? rest : -p[c]);
    return loss;
}

static double voxel_of(const sample *s, int64_t v, double *slope)
{
    double sum = 0, by;
    const bool binary = s->C == 1 && !is_op(s->node, "cross_entropy");
    if (is_op(s->node, "bce") || is_op(s->node, "bce_logits") ||
        (binary && is_op(s->node, "dice_ce"))) {
        for (int64_t c = 0; c < s->C; c++)
            sum += bce_of(s, v, c, &slope[c]) / (double)s->C;
        for (int64_t c = 0; c < s->C; c++)
            slope[c] /= (double)s->C;
        return sum;
    }
    if (!binary)
        return softmax_of(s, v, slope);
    const double sign = is_class(s, v, 0) ? 1 : -1, z = sign * s->x[v];
    sum = log_p_loss(s, -softplus(z), sigmoid(-z), &by);
    slope[0] = sign * by * sigmoid(-z);
    return sum;
}

static double mean(const ref_io *io, int64_t n, int k, double times, double *dx)
{
    const sample *s = get(io, n, k);
    double total = 0, norm = 0, slope[MOST];
    for (int64_t v = 0; v < s->V; v++)
        if (!ignored(s, v)) {
            total += weight_of(s, v) * voxel_of(s, v, slope) * good(s, v);
            norm += is_op(s->node, "focal") ? 1 : weight_of(s, v);
        }
    for (int64_t v = 0; dx && norm != 0 && v < s->V; v++) {
        voxel_of(s, v, slope);
        for (int64_t c = 0; c < s->C && !ignored(s, v); c++)
            dx[c * s->V + v] += times * weight_of(s, v) * slope[c] / norm * good(s, v);
    }
    return norm == 0 ? 0 : total / norm;
}

/* ---- the whole ---- */

static double output_weight(const vox_node *node, int k)
{
    const vox_floats *w = ref_floats(node, "from_weights");
    const int outputs = node->inputs - 1;
    double sum = 0;
    if (w->count)
        return w->value[k];
    for (int i = 0; i + 1 < outputs; i++)
        sum += 1 / (double)(1 << i);
    return outputs == 1 ? 1 : k == outputs - 1 ? 0 : 1 / (double)(1 << k) / sum;
}

static double parts_of(const ref_io *io, int64_t n, int k, double times, double *dx)
{
    const bool both = is_op(io->node, "dice_ce");
    const double dice = both ? ref_float(io->node, "dice_weight") : 1;
    const double ce = both ? ref_float(io->node, "ce_weight") : 1;
    /* of a batch's overlap every sample's loss has a share in every sample's gradient */
    const double all = has_overlap(io->node) && ref_word(io->node, "per") == 1 ? (double)io->n : 1;
    return (has_overlap(io->node) ? dice * overlap(io, n, k, times * dice * all, dx) : 0) +
           (has_mean(io->node) ? ce * mean(io, n, k, times * ce, dx) : 0);
}

void ref_loss_forward(const ref_io *io)
{
    for (int64_t n = 0; n < io->n; n++)
        for (int k = 0; k < io->node->inputs - 1; k++)
            io->y[n] += output_weight(io->node, k) * parts_of(io, n, k, 0, NULL);
}

void ref_loss_backward_data(const ref_io *io)
{
    for (int64_t n = 0; n < io->n; n++)
        for (int k = 0; k < io->node->inputs - 1; k++)
            parts_of(io, n, k, io->scale * output_weight(io->node, k),
                     io->dx[k] + n * vox_shape_count(&io->node->in[k]));
}
