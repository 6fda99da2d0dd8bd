/* prostatex_options.c - the keys of a ProstateX data set. */
#include "data/prostatex.h"

#include <stdlib.h>
#include <string.h>

/* The part of SeriesDescription that tells a modality in the published series. */
static const struct {
    const char *name, *pattern;
} known[] = {
    {"t2", "t2_tse_tra"},     {"adc", "ADC"},           {"bval", "CALC_BVAL"}, {"pd", "PD"},
    {"t2_sag", "t2_tse_sag"}, {"t2_cor", "t2_tse_cor"}, {"ktrans", NULL},
};
#define KNOWN (sizeof known / sizeof known[0])

static vox_status set_pattern(vox_prostatex_modality *m, const vox_yaml_node *series,
                              vox_error *err)
{
    const vox_yaml_node *given = vox_yaml_find(series, m->name);
    const char *text = vox_yaml_text(given);
    if (given && (!text || !*text))
        return vox_yaml_fail(err, given, "a series is named by a part of its description");
    for (size_t k = 0; !text && k < KNOWN; k++)
        text = strcmp(known[k].name, m->name) == 0 ? known[k].pattern : text;
    m->pattern = vox_strdup(text, err);
    return m->pattern || !text ? VOX_OK : VOX_ERR_MEMORY;
}

static bool is_known(const char *name)
{
    for (size_t k = 0; k < KNOWN; k++)
        if (strcmp(known[k].name, name) == 0)
            return true;
    return false;
}

static vox_status add_modality(vox_prostatex_options *opt, const char *name,
                               const vox_yaml_node *at, const vox_yaml_node *series, vox_error *err)
{
    vox_prostatex_modality *m = &opt->modality[opt->modalities];
    if (!name || !*name || strlen(name) >= sizeof m->name)
        return vox_yaml_fail(err, at, "a modality is a word of at most %zu letters",
                             sizeof m->name - 1);
    for (size_t i = 0; i < opt->modalities; i++)
        if (strcmp(opt->modality[i].name, name) == 0)
            return vox_yaml_fail(err, at, "modality \"%s\" is listed twice", name);
    if (!is_known(name) && !vox_yaml_find(series, name)) {
        vox_yaml_fail(err, at, "there is no modality \"%s\"", name);
        return vox_hint(err,
                        "t2, adc, bval, pd, t2_sag, t2_cor and ktrans are known; for others "
                        "say which series they are: series: {%s: PART_OF_DESCRIPTION}",
                        name);
    }
    strcpy(m->name, name);
    opt->modalities++;
    return set_pattern(m, series, err);
}

static vox_status parse_modalities(vox_prostatex_options *opt, const vox_yaml_node *node,
                                   vox_error *err)
{
    const vox_yaml_node *list = vox_yaml_find(node, "modalities");
    const vox_yaml_node *series = vox_yaml_find(node, "series");
    size_t count = vox_yaml_count(list);
    vox_status s = VOX_OK;
    if (series && vox_yaml_kind_of(series) != VOX_YAML_MAP)
        return vox_yaml_fail(err, series, "series must be a map such as {t2: t2_tse_tra}");
    if (!list) {
        s = add_modality(opt, "t2", node, series, err);
        if (s == VOX_OK)
            s = add_modality(opt, "adc", node, series, err);
    } else if (vox_yaml_kind_of(list) != VOX_YAML_LIST || count < 1 ||
               count > VOX_PROSTATEX_MODALITIES) {
        return vox_yaml_fail(err, list, "modalities must be a list of 1 to %d names",
                             VOX_PROSTATEX_MODALITIES);
    }
    for (size_t i = 0; s == VOX_OK && list && i < count; i++) {
        const vox_yaml_node *item = vox_yaml_item(list, i);
        s = add_modality(opt, vox_yaml_text(item), item, series, err);
    }
    const char *names[VOX_PROSTATEX_MODALITIES + 1] = {NULL};
    for (size_t i = 0; i < opt->modalities; i++)
        names[i] = opt->modality[i].name;
    return s == VOX_OK && series ? vox_yaml_keys(series, "series", names, err) : s;
}

/* A path key, or its default; relative to `dir`. */
static vox_status parse_path(char **out, const vox_yaml_node *node, const char *key,
                             const char *fallback, const char *dir, vox_error *err)
{
    const vox_yaml_node *value = vox_yaml_find(node, key);
    const char *text = value ? vox_yaml_text(value) : fallback;
    if (!text || !*text)
        return vox_yaml_fail(err, value, "%s must be a path", key);
    *out = vox_path_join(dir, text, err);
    return *out ? VOX_OK : VOX_ERR_MEMORY;
}

static vox_status parse_paths(vox_prostatex_options *opt, const vox_dataset *set,
                              const vox_yaml_node *node, vox_error *err)
{
    char *dir = NULL;
    const char *images = vox_yaml_text(vox_yaml_find(node, "images"));
    bool no_images = images && strcmp(images, "none") == 0;
    vox_status s = VOX_OK;
    if (vox_yaml_find(node, "dir"))
        s = parse_path(&dir, node, "dir", NULL, set->base_dir, err);
    else if (!(dir = vox_strdup(set->base_dir, err)))
        s = VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = parse_path(&opt->findings, node, "findings", "ProstateX-Findings-Train.csv", dir, err);
    if (s == VOX_OK && !no_images)
        s = parse_path(&opt->images, node, "images", "ProstateX-Images-Train.csv", dir, err);
    if (s == VOX_OK)
        s = parse_path(&opt->ktrans_images, node, "ktrans_images",
                       "ProstateX-Images-KTrans-Train.csv", dir, err);
    if (s == VOX_OK)
        s = parse_path(&opt->dicom, node, "dicom", "PROSTATEx", dir, err);
    if (s == VOX_OK)
        s = parse_path(&opt->ktrans, node, "ktrans", "ProstateXKtrains-train-fixed", dir, err);
    free(dir);
    return s;
}

static vox_status parse_rest(vox_prostatex_options *opt, const vox_yaml_node *node, vox_error *err)
{
    static const char *const labels[] = {"ggg", "clinsig", NULL};
    static const char *const missing[] = {"error", "skip", NULL};
    const vox_yaml_node *patch = vox_yaml_find(node, "patch_mm");
    const vox_yaml_node *label = vox_yaml_find(node, "label");
    const vox_yaml_node *policy = vox_yaml_find(node, "missing_patients");
    int word = 0;
    if (!patch) {
        vox_yaml_fail(err, node, "prostatex needs the key \"patch_mm\"");
        return vox_hint(err, "patch_mm: [d, h, w] is what the network sees around a finding, say "
                             "[48, 40, 40]");
    }
    vox_status s = vox_yaml_triple_double(patch, 0.1, 10000, opt->patch_mm, err);
    opt->label = -1;
    if (s == VOX_OK && label)
        s = vox_yaml_word(label, labels, &opt->label, err);
    if (s == VOX_OK && policy)
        s = vox_yaml_word(policy, missing, &word, err);
    opt->skip_missing = word == 1;
    return s == VOX_OK ? vox_split_parse(&opt->split, vox_yaml_find(node, "patients"), err) : s;
}

vox_status vox_prostatex_parse(vox_prostatex_options *out, const vox_dataset *set,
                               const vox_yaml_node *node, vox_error *err)
{
    static const char *const keys[] = {"dir",    "findings", "images",   "ktrans_images",
                                       "dicom",  "ktrans",   "label",    "modalities",
                                       "series", "patch_mm", "patients", "missing_patients",
                                       NULL};
    vox_status s = vox_yaml_keys(node, "prostatex", keys, err);
    if (s == VOX_OK)
        s = parse_paths(out, set, node, err);
    if (s == VOX_OK)
        s = parse_modalities(out, node, err);
    return s == VOX_OK ? parse_rest(out, node, err) : s;
}

void vox_prostatex_release(vox_prostatex_options *opt)
{
    free(opt->findings);
    free(opt->images);
    free(opt->ktrans_images);
    free(opt->dicom);
    free(opt->ktrans);
    for (size_t i = 0; i < opt->modalities; i++)
        free(opt->modality[i].pattern);
    memset(opt, 0, sizeof *opt);
}
