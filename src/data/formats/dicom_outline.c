/* dicom_outline.c - a walk over a DICOM file's elements.
 *
 * Source: DICOM PS3.5, chapter 7 (elements, sequences) and annex A (transfer syntaxes). */
#include "data/formats/dicom_outline.h"

#include "data/formats/image.h"
#include "data/formats/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND "DICOM"

enum { DEPTH_MAX = 32 };

#define UNDEFINED     UINT32_C(0xffffffff)
#define TAG(g, e)     VOX_DICOM_TAG(g, e)
#define TAG_SHARED    TAG(0x5200, 0x9229)
#define TAG_PER_FRAME TAG(0x5200, 0x9230)
#define TAG_ITEM      TAG(0xfffe, 0xe000)
#define TAG_ITEM_END  TAG(0xfffe, 0xe00d)
#define TAG_SEQ_END   TAG(0xfffe, 0xe0dd)
#define TAG_SYNTAX    TAG(0x0002, 0x0010)

typedef struct walker {
    FILE *file;
    const char *path;
    vox_error *err;
    vox_dicom_outline *out;
    uint64_t at;
    vox_dicom_coding coding; /* of the part being walked */
    int depth;
    struct {
        uint32_t tag;   /* of the sequence */
        size_t item;    /* the one being walked */
    } level[DEPTH_MAX]; /* [depth] */
    vox_dicom_values *values;
} walker;

typedef struct element {
    uint64_t start; /* of its tag */
    uint32_t tag, length;
    char vr[3]; /* "" when implicit */
} element;

bool vox_dicom_is(const unsigned char *head, size_t n)
{
    return n >= 132 && memcmp(head + 128, "DICM", 4) == 0;
}

bool vox_dicom_looks(const unsigned char *head, size_t n)
{
    if (n < 16 || (head[0] != 2 && head[0] != 8) || head[1] != 0 || head[3] != 0)
        return false; /* not group 0002 or 0008, element 00xx, little endian */
    bool explicit_vr = head[4] >= 'A' && head[4] <= 'Z' && head[5] >= 'A' && head[5] <= 'Z';
    return explicit_vr || (head[5] == 0 && head[6] == 0 && head[7] == 0);
}

static vox_status bad(const walker *w, const element *e, const char *what)
{
    return vox_image_bad(w->err, KIND, w->path, "element (%04x,%04x) at byte %llu: %s",
                         e->tag >> 16, e->tag & 0xffff, (unsigned long long)e->start, what);
}

/* ---- one element's head ---- */

static vox_status get(walker *w, void *to, size_t bytes)
{
    if (fread(to, 1, bytes, w->file) != bytes)
        return vox_image_bad(w->err, KIND, w->path, "ends within an element's head, at byte %llu",
                             (unsigned long long)w->at);
    w->at += bytes;
    return VOX_OK;
}

static vox_status go(walker *w, uint64_t at)
{
    if (fseeko(w->file, (off_t)at, SEEK_SET) != 0)
        return vox_fail_errno(w->err, "read", w->path);
    w->at = at;
    return VOX_OK;
}

static uint32_t u16(const walker *w, const unsigned char *p)
{
    return w->coding == VOX_DICOM_BIG ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t u32(const walker *w, const unsigned char *p)
{
    return w->coding == VOX_DICOM_BIG ? u16(w, p) << 16 | u16(w, p + 2)
                                      : u16(w, p + 2) << 16 | u16(w, p);
}

/* VRs whose length has 4 bytes, after 2 reserved ones. */
static bool is_long(const char *vr)
{
    static const char names[] = "OB OW OF OD OL OV SQ UC UR UT UN SV UV";
    for (const char *p = names; *p; p += p[2] ? 3 : 2)
        if (p[0] == vr[0] && p[1] == vr[1])
            return true;
    return false;
}

static vox_status get_head(walker *w, element *e)
{
    unsigned char p[8];
    e->start = w->at;
    e->vr[0] = e->vr[2] = '\0';
    vox_status s = get(w, p, 8);
    if (s != VOX_OK)
        return s;
    e->tag = u16(w, p) << 16 | u16(w, p + 2);
    e->length = u32(w, p + 4);
    if (w->coding == VOX_DICOM_IMPLICIT || e->tag >> 16 == 0xfffe)
        return VOX_OK;
    e->vr[0] = (char)p[4];
    e->vr[1] = (char)p[5];
    if (p[4] < 'A' || p[4] > 'Z' || p[5] < 'A' || p[5] > 'Z')
        return bad(w, e, "no value representation where one should be");
    e->length = u16(w, p + 6);
    if (!is_long(e->vr))
        return VOX_OK;
    s = get(w, p, 4);
    e->length = u32(w, p);
    return s;
}

/* ---- values ---- */

enum { VALUE_MAX = 1 << 20 };

/* What dicom_header.c asks for, in the file itself or in a frame's description. */
static bool is_wanted(uint32_t tag)
{
    static const uint32_t wanted[] = {
        TAG(0x0008, 0x0060), TAG(0x0008, 0x103e), TAG(0x0010, 0x0020), TAG(0x0018, 0x0050),
        TAG(0x0018, 0x0088), TAG(0x0018, 0x1164), TAG(0x0020, 0x000e), TAG(0x0020, 0x0011),
        TAG(0x0020, 0x0032), TAG(0x0020, 0x0037), TAG(0x0028, 0x0002), TAG(0x0028, 0x0004),
        TAG(0x0028, 0x0006), TAG(0x0028, 0x0008), TAG(0x0028, 0x0010), TAG(0x0028, 0x0011),
        TAG(0x0028, 0x0030), TAG(0x0028, 0x0100), TAG(0x0028, 0x0101), TAG(0x0028, 0x0102),
        TAG(0x0028, 0x0103), TAG(0x0028, 0x1052), TAG(0x0028, 0x1053), TAG(0x0028, 0x1101),
        TAG(0x0028, 0x1201), TAG(0x0028, 0x1202), TAG(0x0028, 0x1203), TAG(0x0028, 0x1221),
        TAG(0x3004, 0x000c), TAG(0x3004, 0x000e),
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (wanted[i] == tag)
            return true;
    return false;
}

/* The macros of a functional group in which geometry and scale stand. */
static bool is_group(uint32_t tag)
{
    return tag == TAG(0x0020, 0x9113) || tag == TAG(0x0020, 0x9116) || tag == TAG(0x0028, 0x9110) ||
           tag == TAG(0x0028, 0x9145);
}

static bool is_collected(const walker *w, const element *e, vox_dicom_scope *scope)
{
    *scope = VOX_DICOM_FILE;
    if (w->depth == 0)
        return is_wanted(e->tag);
    if (w->depth != 2 || !is_group(w->level[1].tag) || w->level[1].item != 0)
        return false;
    *scope = w->level[0].tag == TAG_SHARED ? VOX_DICOM_ALL_FRAMES : VOX_DICOM_ONE_FRAME;
    return (w->level[0].tag == TAG_SHARED || w->level[0].tag == TAG_PER_FRAME) && is_wanted(e->tag);
}

/* Reads a value into the list, or goes past it. */
static vox_status collect(walker *w, const element *e)
{
    vox_dicom_scope scope;
    vox_dicom_values *vs = w->values;
    if (!is_collected(w, e, &scope) || e->length > VALUE_MAX)
        return go(w, w->at + e->length);
    if (!vox_grow(&vs->value, &vs->capacity, vs->count + 1, sizeof *vs->value, w->err))
        return VOX_ERR_MEMORY;
    vox_dicom_value *v = &vs->value[vs->count];
    *v = (vox_dicom_value){scope, e->tag, 0, NULL, e->length, w->coding == VOX_DICOM_BIG};
    v->item = w->depth ? w->level[0].item : 0;
    v->bytes = vox_calloc(e->length + 1, 1, "an element", w->err);
    if (!v->bytes)
        return VOX_ERR_MEMORY;
    vs->count++;
    return get(w, v->bytes, e->length);
}

void vox_dicom_values_release(vox_dicom_values *values)
{
    for (size_t i = 0; i < values->count; i++)
        free(values->value[i].bytes);
    free(values->value);
    memset(values, 0, sizeof *values);
}

/* ---- walking ---- */

static vox_status walk_elements(walker *w, uint64_t end, bool delimited);

static vox_status walk_item(walker *w, const element *item, uint64_t end)
{
    if (item->length == UNDEFINED)
        return walk_elements(w, end, true);
    if (item->length > end - w->at)
        return bad(w, item, "the item is longer than what it lies in");
    return walk_elements(w, w->at + item->length, false);
}

/* Items up to `end`, or when delimited up to the delimiter. */
static vox_status walk_sequence(walker *w, uint64_t end, bool delimited)
{
    for (size_t i = 0; w->at < end; i++) {
        element item;
        vox_status s = get_head(w, &item);
        if (s != VOX_OK)
            return s;
        if (delimited && item.tag == TAG_SEQ_END)
            return VOX_OK;
        if (item.tag != TAG_ITEM)
            return bad(w, &item, "an item of a sequence should begin here");
        w->level[w->depth - 1].item = i;
        if (w->depth == 1 && w->level[0].tag == TAG_PER_FRAME)
            w->values->frame_items = i + 1;
        s = walk_item(w, &item, end);
        if (s != VOX_OK)
            return s;
    }
    return delimited ? vox_image_bad(w->err, KIND, w->path, "ends within a sequence") : VOX_OK;
}

static vox_status descend(walker *w, const element *e, uint64_t end)
{
    vox_dicom_coding before = w->coding;
    bool delimited = e->length == UNDEFINED;
    if (w->depth == DEPTH_MAX)
        return bad(w, e, "sequences nested too deep");
    w->level[w->depth++].tag = e->tag;
    if (strcmp(e->vr, "UN") == 0) /* a sequence of unknown VR is always implicit */
        w->coding = VOX_DICOM_IMPLICIT;
    vox_status s = walk_sequence(w, delimited ? end : w->at + e->length, delimited);
    w->coding = before;
    w->depth--;
    return s;
}

/* The offset table, then fragments, then a delimiter. */
static vox_status walk_fragments(walker *w, uint64_t end)
{
    vox_dicom_outline *o = w->out;
    for (uint64_t i = 0; w->at < end; i++) {
        element item;
        vox_status s = get_head(w, &item);
        if (s != VOX_OK)
            return s;
        if (item.tag == TAG_SEQ_END) {
            o->fragments = i > 0 ? i - 1 : 0;
            return VOX_OK;
        }
        if (item.tag != TAG_ITEM)
            return bad(w, &item, "a fragment of compressed pixels should begin here");
        if (item.length > end - w->at)
            return bad(w, &item, "the fragment is longer than the file");
        o->pixel_bytes += i > 0 ? item.length : 0;
        s = go(w, w->at + item.length);
        if (s != VOX_OK)
            return s;
    }
    return vox_image_bad(w->err, KIND, w->path, "ends within the compressed pixels");
}

static bool is_pixels(const walker *w, const element *e)
{
    return w->depth == 0 && (e->tag == TAG(0x7fe0, 0x0010) || e->tag == TAG(0x7fe0, 0x0008) ||
                             e->tag == TAG(0x7fe0, 0x0009));
}

static void note_pixels(walker *w, const element *e)
{
    vox_dicom_outline *o = w->out;
    o->pixel_tag = e->start;
    o->pixel_offset = w->at;
    o->pixel_kind = (uint16_t)(e->tag & 0xffff);
    o->encapsulated = e->length == UNDEFINED;
    o->pixel_bytes = o->encapsulated ? 0 : e->length;
}

/* Implicit files do not say what is a sequence: these are the ones whose values are wanted. */
static bool is_sequence(const element *e)
{
    if (e->vr[0])
        return strcmp(e->vr, "SQ") == 0;
    return e->tag == TAG_SHARED || e->tag == TAG_PER_FRAME || is_group(e->tag);
}

static vox_status walk_value(walker *w, const element *e, uint64_t end)
{
    bool sequence = is_sequence(e);
    if (w->depth == 0 && e->tag == TAG(0x0028, 0x3000))
        w->values->has_modality_lut = true;
    if (is_pixels(w, e)) {
        if (w->out->pixel_kind)
            return bad(w, e, "a second element with pixels");
        note_pixels(w, e);
        if (w->out->encapsulated)
            return walk_fragments(w, end);
    } else if (e->length == UNDEFINED) {
        if (e->vr[0] && !sequence && strcmp(e->vr, "UN") != 0)
            return bad(w, e, "only sequences may have no length");
        return descend(w, e, end);
    }
    if (e->length > end - w->at) {
        vox_image_bad(w->err, KIND, w->path,
                      "element (%04x,%04x) at byte %llu: its %lu bytes do not fit, %llu are left",
                      e->tag >> 16, e->tag & 0xffff, (unsigned long long)e->start,
                      (unsigned long)e->length, (unsigned long long)(end - w->at));
        return vox_hint(w->err, "the file was cut short or damaged");
    }
    return sequence && e->length ? descend(w, e, end) : collect(w, e);
}

static vox_status walk_elements(walker *w, uint64_t end, bool delimited)
{
    while (w->at < end) {
        element e;
        vox_status s = get_head(w, &e);
        if (s != VOX_OK)
            return s;
        if (delimited && e.tag == TAG_ITEM_END)
            return VOX_OK;
        s = walk_value(w, &e, end);
        if (s != VOX_OK)
            return s;
        if (w->depth == 0 && w->out->pixel_kind) { /* nobody reads what lies behind */
            w->out->pixel_end = w->at;
            return VOX_OK;
        }
    }
    return delimited ? vox_image_bad(w->err, KIND, w->path, "ends within an item") : VOX_OK;
}

/* ---- the beginning of the file ---- */

static vox_status read_syntax(walker *w, const element *e)
{
    char *syntax = w->out->syntax;
    if (e->length >= sizeof w->out->syntax)
        return bad(w, e, "the transfer syntax is too long");
    vox_status s = get(w, syntax, e->length);
    for (size_t n = s == VOX_OK ? e->length : 0; n > 0; n--)
        if (syntax[n - 1] == ' ')
            syntax[n - 1] = '\0';
        else if (syntax[n - 1] != '\0')
            break;
    return s;
}

/* Group 0002 is explicit little endian whatever follows it. */
static vox_status walk_meta(walker *w)
{
    uint64_t end = w->out->file_bytes;
    w->coding = VOX_DICOM_EXPLICIT;
    while (w->at + 8 <= end) {
        unsigned char p[2];
        uint64_t start = w->at;
        vox_status s = get(w, p, 2);
        bool meta = s == VOX_OK && p[0] == 2 && p[1] == 0;
        if (s == VOX_OK)
            s = go(w, start);
        if (s != VOX_OK || !meta)
            return s;
        element e;
        s = get_head(w, &e);
        if (s == VOX_OK && e.length > end - w->at)
            s = bad(w, &e, "it is longer than the file");
        if (s == VOX_OK)
            s = e.tag == TAG_SYNTAX ? read_syntax(w, &e) : go(w, w->at + e.length);
        if (s != VOX_OK)
            return s;
    }
    return VOX_OK;
}

/* Without a transfer syntax the first element tells: VR letters or none, which byte comes first. */
static vox_status guess_coding(walker *w)
{
    unsigned char p[8] = {0};
    uint64_t start = w->at;
    if (w->out->file_bytes - start < 8)
        return vox_image_bad(w->err, KIND, w->path, "there is no data set");
    vox_status s = get(w, p, 8);
    bool letters = p[4] >= 'A' && p[4] <= 'Z' && p[5] >= 'A' && p[5] <= 'Z';
    if (s == VOX_OK)
        s = go(w, start);
    w->out->coding = !letters            ? VOX_DICOM_IMPLICIT
                     : p[0] == 0 && p[1] ? VOX_DICOM_BIG
                                         : VOX_DICOM_EXPLICIT;
    return s;
}

static vox_status find_coding(walker *w)
{
    static const struct {
        const char *uid; /* behind 1.2.840.10008.1.2 */
        vox_dicom_coding coding;
    } known[] = {
        {"", VOX_DICOM_IMPLICIT},      {".1", VOX_DICOM_EXPLICIT},
        {".2", VOX_DICOM_BIG},         {".5", VOX_DICOM_EXPLICIT},    /* RLE */
        {".4.50", VOX_DICOM_EXPLICIT},                                /* JPEG baseline */
        {".4.51", VOX_DICOM_EXPLICIT},                                /* JPEG extended */
        {".4.57", VOX_DICOM_EXPLICIT}, {".4.70", VOX_DICOM_EXPLICIT}, /* JPEG lossless */
        {".4.80", VOX_DICOM_EXPLICIT}, {".4.81", VOX_DICOM_EXPLICIT}, /* JPEG-LS */
        {".4.90", VOX_DICOM_EXPLICIT}, {".4.91", VOX_DICOM_EXPLICIT}, /* JPEG 2000 */
    };
    static const char root[] = "1.2.840.10008.1.2";
    const char *syntax = w->out->syntax;
    if (!*syntax)
        return guess_coding(w);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(syntax, root, sizeof root - 1) == 0 &&
            strcmp(syntax + sizeof root - 1, known[i].uid) == 0) {
            w->out->coding = known[i].coding;
            return VOX_OK;
        }
    vox_image_unsupported(w->err, KIND, w->path, "transfer syntax %s", syntax);
    return vox_hint(w->err, "rewrite it uncompressed, with dcmdjpeg or gdcmconv --raw for example");
}

static vox_status walk_file(walker *w)
{
    unsigned char head[132] = {0};
    size_t n = fread(head, 1, sizeof head, w->file);
    vox_status s = go(w, vox_dicom_is(head, n) ? 132 : 0);
    if (s == VOX_OK)
        s = walk_meta(w);
    if (s == VOX_OK)
        s = find_coding(w);
    w->coding = w->out->coding;
    return s == VOX_OK ? walk_elements(w, w->out->file_bytes, false) : s;
}

vox_status vox_dicom_outline_read(vox_dicom_outline *out, vox_dicom_values *values,
                                  const char *path, vox_error *err)
{
    walker w = {.path = path, .err = err, .out = out, .values = values};
    memset(out, 0, sizeof *out);
    vox_status s = vox_file_size(&out->file_bytes, path, err);
    if (s != VOX_OK)
        return s;
    w.file = fopen(path, "rbe");
    if (!w.file)
        return vox_fail_errno(err, "open", path);
    out->pixel_tag = out->file_bytes;
    s = walk_file(&w);
    fclose(w.file);
    return s;
}
