/* forced.c - algorithms forced by name: "conv=naive,dense=gemm", with tuning values
 * "conv=direct16:r7q4".
 *
 * Passes that have no algorithm of the name are free, layers that do not offer the values take the
 * algorithm with those of its rule; a name or values that nothing in the network knows are errors.
 */
#include "net/plan_parts.h"

#include "base/mem.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FORCED 64

typedef struct entry {
    char op[48], algo[VOX_ALGO_TEXT], values[VOX_VARIANT_TEXT]; /* values "": any */
} entry;

struct vox_forced {
    entry entry[MAX_FORCED];
    int count;
};

/* ---- reading ------------------------------------------------------------ */

static vox_status fail_text(vox_error *err, const char *text, const char *why, const char *word)
{
    vox_fail(err, VOX_ERR_USAGE, "cannot force the algorithms \"%.80s\"", text);
    vox_detail(err, "%s: \"%.100s\"", why, word);
    vox_hint(err, "write operation=algorithm, separated by commas: conv=naive,dense=gemm");
    return VOX_ERR_USAGE;
}

static vox_status unknown_algo(const vox_op *op, const char *algo, vox_error *err)
{
    const char *words[64];
    size_t n = 0;
    for (const vox_algo *a = op->algos; a && a->name && n + 1 < 64; a++) {
        size_t k = 0;
        while (k < n && strcmp(words[k], a->name) != 0)
            k++;
        if (k == n)
            words[n++] = a->name;
    }
    words[n] = NULL;
    vox_fail(err, VOX_ERR_USAGE, "operation %s has no algorithm \"%.40s\"", op->name, algo);
    vox_yaml_suggest(err, algo, words);
    return VOX_ERR_USAGE;
}

static vox_status check_names(const entry *e, const char *text, vox_error *err)
{
    const vox_op *op = vox_op_find(e->op);
    if (!op)
        return fail_text(err, text, "there is no such operation", e->op);
    for (const vox_algo *a = op->algos; a && a->name; a++)
        if (strcmp(a->name, e->algo) == 0)
            return VOX_OK;
    return unknown_algo(op, e->algo, err);
}

/* One "operation=algorithm" or "operation=algorithm:values" of n characters. */
static bool read_entry(entry *e, const char *p, size_t n)
{
    const size_t op = strcspn(p, "="), end = strcspn(p, ":") < n ? strcspn(p, ":") : n;
    if (op == 0 || op + 1 >= end || op >= sizeof e->op || end - op - 1 >= sizeof e->algo ||
        end + 1 == n || (end < n && n - end - 1 >= sizeof e->values))
        return false;
    memset(e, 0, sizeof *e);
    memcpy(e->op, p, op);
    memcpy(e->algo, p + op + 1, end - op - 1);
    if (end < n)
        memcpy(e->values, p + end + 1, n - end - 1);
    return true;
}

vox_status vox_forced_open(vox_forced **out, const char *text, vox_error *err)
{
    vox_forced *f = *out = vox_calloc(1, sizeof *f, "a plan", err);
    vox_status s = f ? VOX_OK : VOX_ERR_MEMORY;
    for (const char *p = text; s == VOX_OK && p && *p;) {
        const size_t n = strcspn(p, ",");
        if (f->count == MAX_FORCED)
            s = fail_text(err, text, "more than 64 of them", p);
        else if (!read_entry(&f->entry[f->count], p, n))
            s = fail_text(err, text, "not operation=algorithm", p);
        else
            s = check_names(&f->entry[f->count++], text, err);
        p += n + (p[n] == ',');
    }
    if (s != VOX_OK)
        vox_forced_free(out);
    return s;
}

void vox_forced_free(vox_forced **f)
{
    free(*f);
    *f = NULL;
}

/* ---- asking ------------------------------------------------------------- */

static const entry *find_entry(const vox_forced *f, const vox_op *op, vox_pass pass)
{
    for (int i = 0; i < f->count; i++)
        if (strcmp(f->entry[i].op, op->name) == 0)
            for (const vox_algo *a = op->algos; a && a->name; a++)
                if (a->pass == pass && strcmp(a->name, f->entry[i].algo) == 0)
                    return &f->entry[i];
    return NULL;
}

const char *vox_forced_algo(const vox_forced *f, const vox_op *op, vox_pass pass)
{
    const entry *e = find_entry(f, op, pass);
    return e ? e->algo : NULL;
}

int vox_forced_variant(const vox_forced *f, const vox_algo *a, const vox_problem *p)
{
    const entry *e = find_entry(f, p->node->op, a->pass);
    if (!e || !e->values[0] || strcmp(e->algo, a->name) != 0)
        return -1;
    const int variant = vox_algo_find_variant(a, p, e->values);
    return variant < 0 ? 0 : variant;
}

/* ---- checking the values ------------------------------------------------ */

static void add_offer(char *offers, size_t room, const vox_algo *a, const vox_problem *p)
{
    char values[VOX_VARIANT_TEXT];
    for (int i = 1; i < vox_algo_variants(a, p); i++) {
        const size_t used = strlen(offers);
        a->variant_text(p, i, values);
        if (!strstr(offers, values) && used + strlen(values) + 3 < room)
            snprintf(offers + used, room - used, "%s%s", used ? ", " : "", values);
    }
}

static vox_status check_entry(const entry *e, const vox_wiring *w, vox_device *dev, int64_t n_max,
                              vox_error *err)
{
    char offers[200] = "";
    for (int i = w->first; i <= w->last; i++) {
        const vox_problem p = {
            .node = vox_wiring_node(w, i), .dev = dev, .n_max = n_max, .training = w->training};
        if (w->skip[i] || strcmp(p.node->op->name, e->op) != 0)
            continue;
        for (const vox_algo *a = p.node->op->algos; a && a->name; a++) {
            if (strcmp(a->name, e->algo) != 0 || (a->fits && !a->fits(&p)))
                continue;
            if (vox_algo_find_variant(a, &p, e->values) > 0)
                return VOX_OK;
            add_offer(offers, sizeof offers, a, &p);
        }
    }
    vox_fail(err, VOX_ERR_USAGE, "no layer has %s %s with the values \"%s\"", e->op, e->algo,
             e->values);
    vox_detail(err, "%s%s", offers[0] ? "there are " : "it has none here", offers);
    vox_hint(err, "leave them out (%s=%s) for those of the rule", e->op, e->algo);
    return VOX_ERR_USAGE;
}

vox_status vox_forced_check(const vox_forced *f, const vox_wiring *w, vox_device *dev,
                            int64_t n_max, vox_error *err)
{
    vox_status s = VOX_OK;
    for (int i = 0; i < f->count && s == VOX_OK; i++)
        if (f->entry[i].values[0])
            s = check_entry(&f->entry[i], w, dev, n_max, err);
    return s;
}
