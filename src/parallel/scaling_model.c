/* scaling_model.c - how long a training step takes on n devices, by a model fitted to measured
 * steps. */
#include "parallel/scaling_model.h"

#include <math.h>

static double most(double a, double b)
{
    return a > b ? a : b;
}

/* ceil(log2 n) */
static int64_t levels(int64_t n)
{
    int64_t l = 0;
    while ((INT64_C(1) << l) < n)
        l++;
    return l;
}

/* ---- fitting -------------------------------------------------------------- */

/* Least squares of y = a * u + b * v over what was added, each point by its relative error;
 * neither below 0. */
typedef struct line_fit {
    double uu, uv, vv, uy, vy;
    int points;
} line_fit;

static void add_point(line_fit *f, double u, double v, double y)
{
    const double w = y > 0 ? 1 / (y * y) : 0;
    f->uu += w * u * u;
    f->uv += w * u * v;
    f->vv += w * v * v;
    f->uy += w * u * y;
    f->vy += w * v * y;
    f->points++;
}

static void solve(const line_fit *f, double *a, double *b)
{
    const double det = f->uu * f->vv - f->uv * f->uv;
    *a = 0;
    *b = f->vv > 0 ? f->vy / f->vv : 0;
    if (det <= 1e-12 * f->uu * f->vv) /* the points do not tell them apart: all is b's */
        return;
    const double x = (f->uy * f->vv - f->vy * f->uv) / det,
                 y = (f->vy * f->uu - f->uy * f->uv) / det;
    if (x >= 0 && y >= 0) {
        *a = x;
        *b = y;
    } else if (y < 0) { /* the best without it */
        *a = most(0, f->uy / f->uu);
        *b = 0;
    }
}

static void fit_compute(vox_scaling_model *m, const vox_scaling_point *point, size_t points)
{
    line_fit alone = {0};
    double up = 0, down = 0;
    for (size_t i = 0; i < points; i++)
        if (point[i].devices == 1)
            add_point(&alone, 1, (double)point[i].share, point[i].compute_s);
    solve(&alone, &m->fixed_s, &m->per_sample_s);
    for (size_t i = 0; i < points; i++) {
        const double base = m->fixed_s + m->per_sample_s * (double)point[i].share,
                     more = base * (double)(point[i].devices - 1), y = point[i].compute_s;
        if (point[i].devices < 2 || !(y > 0))
            continue;
        up += more * (y - base) / (y * y);
        down += more * more / (y * y);
    }
    m->crowding = down > 0 ? most(0, up / down) : 0;
}

static vox_scaling_sent sent(const vox_scaling_model *m, int64_t batch)
{
    return m->sent ? m->sent(m->sent_arg, batch) : (vox_scaling_sent){.summed = m->bytes};
}

static double tree_s(const vox_scaling_model *m, int64_t k, int64_t batch)
{
    return k < 2 ? 0
                 : m->level_s * (double)levels(k) +
                       m->byte_reduced_s * (double)(k + 1) * sent(m, batch).summed;
}

static int64_t batch_of(const vox_scaling_point *p)
{
    return p->devices * p->share;
}

/* What the points say beside the tree's own time, which sums measured alone give (or, without
 * them, the points themselves). */
static void fit_rest(vox_scaling_model *m, const vox_scaling_point *point, size_t points,
                     const vox_scaling_sum *sum, size_t sums)
{
    line_fit tree = {0};
    double n = 0;
    for (size_t i = 0; i < sums; i++)
        add_point(&tree, (double)levels(sum[i].leaves), (double)(sum[i].leaves + 1) * m->bytes,
                  sum[i].seconds);
    for (size_t i = 0; i < points && sums == 0; i++)
        if (point[i].devices > 1)
            add_point(&tree, (double)levels(point[i].devices),
                      (double)(point[i].devices + 1) * sent(m, batch_of(&point[i])).summed,
                      point[i].reduce_s);
    solve(&tree, &m->level_s, &m->byte_reduced_s);
    double reduce = 0, whole = 0; /* left, and if nothing ran beside backward */
    m->update_s = m->send_s = 0;
    for (size_t i = 0; i < points; i++) {
        if (point[i].devices < 2)
            continue;
        reduce += point[i].reduce_s;
        whole += tree_s(m, point[i].devices, batch_of(&point[i]));
        m->update_s += point[i].update_s;
        m->send_s += point[i].send_s;
        n++;
    }
    m->fetch_s = reduce > whole ? (reduce - whole) / n : 0;
    m->exposed = reduce < whole ? reduce / whole : 1;
    m->update_s = n > 0 ? m->update_s / n : 0;
    m->send_s = n > 0 ? m->send_s / n : 0;
}

static void find_error(vox_scaling_model *m, const vox_scaling_point *point, size_t points)
{
    m->error = 0;
    for (size_t i = 0; i < points; i++) {
        const vox_scaling_point *p = &point[i];
        const vox_scaling_step c = vox_scaling_predict(m, p->devices, batch_of(p));
        const double step = p->compute_s + p->reduce_s + p->update_s + p->send_s;
        if (step > 0 && p->devices <= m->per_host)
            m->error = most(m->error, fabs(c.step_s / step - 1));
    }
}

vox_status vox_scaling_fit(vox_scaling_model *m, const vox_scaling_point *point, size_t points,
                           const vox_scaling_sum *sum, size_t sums, vox_error *err)
{
    double own = 0, alone = 0;
    for (size_t i = 0; i < points; i++)
        if (point[i].devices == 1) {
            own += point[i].update_s;
            alone++;
        }
    if (alone == 0) {
        vox_fail(err, VOX_ERR_USAGE, "no step on one device was measured");
        return vox_detail(err, "%zu points, all on several", points);
    }
    m->own_update_s = own / alone;
    fit_compute(m, point, points);
    fit_rest(m, point, points, sum, sums);
    find_error(m, point, points);
    return VOX_OK;
}

/* ---- predicting ----------------------------------------------------------- */

/* Factors come when backward is done: nothing hides them. */
static double network_s(const vox_scaling_model *m, int64_t hosts, int64_t batch, double compute_s)
{
    if (hosts < 2)
        return 0;
    const vox_scaling_sent b = sent(m, batch);
    const double h = (double)hosts, way = m->latency_s * (double)levels(hosts),
                 others = (h - 1) / h / m->bandwidth;
    return most(0, 2 * way + 2 * others * b.summed - m->hidden * compute_s) +
           (b.factors > 0 ? way + others * b.factors : 0);
}

/* Devices compute (fixed + per_sample * share) of the step; the first batch % devices have one
 * sample more than the others. */
static void set_utilisation(vox_scaling_step *c, const vox_scaling_model *m, double crowd)
{
    const int64_t least = c->batch / c->devices, more = c->batch % c->devices;
    const double small = least ? (m->fixed_s + m->per_sample_s * (double)least) * crowd : 0,
                 large = (m->fixed_s + m->per_sample_s * (double)(least + 1)) * crowd;
    const double share = (double)more / (double)c->devices;
    c->utilisation_mean = (large * share + small * (1 - share)) / c->step_s;
    c->utilisation_min = small / c->step_s;
}

vox_scaling_step vox_scaling_predict(const vox_scaling_model *m, int64_t devices, int64_t batch)
{
    vox_scaling_step c = {.devices = devices, .batch = batch};
    const int64_t per_host = m->per_host > 0 ? m->per_host : devices;
    const int64_t k = devices < per_host ? devices : per_host;
    const int64_t busy = batch < devices ? batch : devices; /* with samples */
    const int64_t crowded = busy < k ? busy : k;
    const double crowd = 1 + m->crowding * (double)(crowded - 1);
    const int64_t share = (batch + devices - 1) / devices;
    c.hosts = (devices + per_host - 1) / per_host;
    c.compute_s = (m->fixed_s + m->per_sample_s * (double)share) * crowd;
    c.update_s = devices > 1 ? m->update_s : m->own_update_s;
    if (devices > 1) {
        c.reduce_s = m->fetch_s + m->exposed * tree_s(m, k, batch);
        c.send_s = m->send_s;
        c.network_s = network_s(m, c.hosts, batch, c.compute_s);
    }
    c.step_s = c.compute_s + c.reduce_s + c.update_s + c.send_s + c.network_s;
    set_utilisation(&c, m, crowd);
    return c;
}
