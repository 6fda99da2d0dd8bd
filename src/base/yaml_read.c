/* yaml_read.c - YAML text into a tree, by libfyaml's events.
 *
 * Events rather than libfyaml's documents, so that the limits (depth, size, aliases) are ours and
 * hold before anything is built.  What experiment files have no use for is refused by name: tags,
 * merge keys, keys that are not words, several documents. */
#include "base/yaml_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool vox_yaml_null_word(const char *text)
{
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
           strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

size_t vox_yaml_utf8(const unsigned char *p, const unsigned char *end, uint32_t *point)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = *p < 0x80 ? 1 : (*p >> 5) == 6 ? 2 : (*p >> 4) == 14 ? 3 : (*p >> 3) == 30 ? 4 : 0;
    if (n == 0 || (size_t)(end - p) < n)
        return 0;
    uint32_t c = n == 1 ? *p : *p & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *point = c;
    return n;
}

#ifdef VOXCL_WITH_FYAML

#include <libfyaml.h>

typedef struct anchor {
    char *name;
    const vox_yaml_node *node;
} anchor;

typedef struct frame {
    vox_yaml_node *node;
    char *key; /* a map's key that waits for its value */
    int key_line, key_column;
    char *anchor; /* of the node itself: usable once it is complete */
} frame;

typedef struct reader {
    const char *where;
    bool lines;
    vox_yaml_node *root;
    frame stack[VOX_YAML_DEPTH];
    size_t depth, nodes;
    anchor *anchors;
    size_t anchor_count, anchor_capacity;
    int line, column; /* where the last event began */
    char complaint[120];
} reader;

static vox_status read_fail(const reader *r, vox_error *err, const char *message)
{
    vox_fail(err, VOX_ERR_INPUT, "%s", message);
    if (r->lines)
        vox_detail(err, "%s:%d:%d", r->where, r->line, r->column);
    else
        vox_detail(err, "%s", r->where);
    return VOX_ERR_INPUT;
}

/* Text that is not UTF-8 (a binary file, UTF-16) is found before libfyaml sees it. */
static vox_status check_text(reader *r, const char *text, size_t bytes, vox_error *err)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + bytes;
    uint32_t point;
    r->line = r->column = 1;
    if (bytes > VOX_YAML_MAX_BYTES)
        return read_fail(r, err, "too large: over 4 MiB of YAML");
    while (p < end) {
        size_t n = vox_yaml_utf8(p, end, &point);
        if (n == 0 || (point < 0x20 && point != '\n' && point != '\r' && point != '\t') ||
            point == 0x7f) {
            vox_status s = read_fail(r, err, "not a YAML text");
            vox_hint(err, "experiment files are plain UTF-8 text; byte 0x%02x is none of that", *p);
            return s;
        }
        r->column = *p == '\n' ? 1 : r->column + 1;
        r->line += *p == '\n';
        p += n;
    }
    return VOX_OK;
}

/* ---- building ----------------------------------------------------------- */

static vox_yaml_node *new_node(reader *r, vox_yaml_kind kind, vox_error *err)
{
    if (++r->nodes > VOX_YAML_MAX_NODES) {
        read_fail(r, err, "too large: over a million values, aliases counted in full");
        return NULL;
    }
    return vox_yaml_node_open(kind, r->where, r->lines ? r->line : 0, r->lines ? r->column : 0,
                              err);
}

/* Puts a complete or just opened node where it belongs; takes it also on failure. */
static vox_status place_node(reader *r, vox_yaml_node *node, vox_error *err)
{
    if (r->depth == 0) {
        r->root = node;
        return VOX_OK;
    }
    frame *f = &r->stack[r->depth - 1];
    if (!vox_yaml_node_add(f->node, f->key, node, err)) {
        vox_yaml_node_free(node);
        return VOX_ERR_MEMORY;
    }
    if (f->key) {
        vox_yaml_child *c = &f->node->child[f->node->count - 1];
        c->key_line = f->key_line;
        c->key_column = f->key_column;
        free(f->key);
        f->key = NULL;
    }
    return VOX_OK;
}

static vox_status add_anchor(reader *r, char *name, const vox_yaml_node *node, vox_error *err)
{
    for (size_t i = 0; i < r->anchor_count; i++)
        if (strcmp(r->anchors[i].name, name) == 0) { /* defined again: the later one counts */
            r->anchors[i].node = node;
            free(name);
            return VOX_OK;
        }
    if (r->anchor_count >= 1000) { /* they are looked up one by one */
        free(name);
        return read_fail(r, err, "over 1000 anchors");
    }
    if (!vox_grow(&r->anchors, &r->anchor_capacity, r->anchor_count + 1, sizeof *r->anchors, err)) {
        free(name);
        return VOX_ERR_MEMORY;
    }
    r->anchors[r->anchor_count++] = (anchor){name, node};
    return VOX_OK;
}

static vox_yaml_node *copy_node(reader *r, const vox_yaml_node *from, size_t depth, vox_error *err)
{
    if (depth > VOX_YAML_DEPTH && from->kind >= VOX_YAML_LIST) {
        read_fail(r, err, "nested over 64 deep");
        return NULL;
    }
    vox_yaml_node *n = new_node(r, from->kind, err);
    if (!n)
        return NULL;
    n->flow = from->flow;
    n->line = from->line; /* complaints about a copied value point at where it is written */
    n->column = from->column;
    if (from->text && !(n->text = vox_strdup(from->text, err)))
        goto fail;
    for (size_t i = 0; i < from->count; i++) {
        vox_yaml_node *c = copy_node(r, from->child[i].value, depth + 1, err);
        if (!c)
            goto fail;
        if (!vox_yaml_node_add(n, from->child[i].key, c, err)) {
            vox_yaml_node_free(c);
            goto fail;
        }
        n->child[i].key_line = from->child[i].key_line;
        n->child[i].key_column = from->child[i].key_column;
    }
    return n;
fail:
    vox_yaml_node_free(n);
    return NULL;
}

/* A copy of a token's text; NULL and *err when it cannot be text. */
static char *token_text(const reader *r, struct fy_token *token, vox_error *err)
{
    size_t n = 0, used;
    const char *text = token ? fy_token_get_text(token, &n) : "";
    uint32_t point;
    if (!text) {
        vox_fail_memory(err, "a YAML value", 0);
        return NULL;
    }
    const unsigned char *p = (const unsigned char *)text;
    for (size_t i = 0; i < n; i += used) { /* escapes can make what the file itself may not hold */
        used = vox_yaml_utf8(p + i, p + n, &point);
        if (used == 0 || point == 0) {
            read_fail(r, err, "a value may not hold a zero byte or broken UTF-8");
            return NULL;
        }
    }
    char *copy = vox_calloc(n + 1, 1, "a YAML value", err);
    if (copy)
        memcpy(copy, text, n);
    return copy;
}

/* ---- events ------------------------------------------------------------- */

/* True if the next scalar is a key of the map on top. */
static bool wants_key(const reader *r)
{
    return r->depth > 0 && r->stack[r->depth - 1].node->kind == VOX_YAML_MAP &&
           !r->stack[r->depth - 1].key;
}

static vox_status take_key(reader *r, char *text, bool plain, vox_error *err)
{
    frame *f = &r->stack[r->depth - 1];
    const char *wrong = NULL;
    if (plain && strcmp(text, "<<") == 0)
        wrong = "merge keys (\"<<\") are not supported";
    else if (plain && vox_yaml_null_word(text))
        wrong = "a key is missing";
    else if (strlen(text) >= VOX_YAML_KEY_BYTES)
        wrong = "a key is too long";
    if (wrong) {
        free(text);
        return read_fail(r, err, wrong);
    }
    f->key = text;
    f->key_line = r->lines ? r->line : 0;
    f->key_column = r->lines ? r->column : 0;
    return VOX_OK;
}

static vox_status take_scalar(reader *r, struct fy_event *e, char *anchor_name, vox_error *err)
{
    struct fy_token *value = e->scalar.value;
    bool plain = !value || fy_token_scalar_style(value) == FYSS_PLAIN;
    char *text = token_text(r, value, err);
    if (!text) {
        free(anchor_name);
        return err->code;
    }
    if (wants_key(r)) {
        free(anchor_name); /* a key's anchor: no use for it */
        return take_key(r, text, plain, err);
    }
    bool null = plain && vox_yaml_null_word(text);
    vox_yaml_node *n = new_node(r, null ? VOX_YAML_NULL : VOX_YAML_SCALAR, err);
    if (!n || null) {
        free(text);
        text = NULL;
    }
    if (!n) {
        free(anchor_name);
        return err->code;
    }
    n->text = text;
    vox_status s = place_node(r, n, err);
    if (s == VOX_OK && anchor_name)
        return add_anchor(r, anchor_name, n, err);
    free(anchor_name);
    return s;
}

static vox_status take_start(reader *r, vox_yaml_kind kind, bool flow, char *anchor_name,
                             vox_error *err)
{
    const char *wrong = NULL;
    if (wants_key(r))
        wrong = "a key must be a word, not a list or map";
    else if (r->depth == VOX_YAML_DEPTH)
        wrong = "nested over 64 deep";
    if (wrong) {
        free(anchor_name);
        return read_fail(r, err, wrong);
    }
    vox_yaml_node *n = new_node(r, kind, err);
    vox_status s = n ? place_node(r, n, err) : err->code;
    if (s != VOX_OK) {
        free(anchor_name);
        return s;
    }
    for (size_t i = 0; anchor_name && i < r->anchor_count; i++)
        if (strcmp(r->anchors[i].name, anchor_name) == 0)
            r->anchors[i].node = NULL; /* from here the name means this node, once it is complete */
    n->flow = flow;
    r->stack[r->depth++] = (frame){.node = n, .anchor = anchor_name};
    return VOX_OK;
}

static int by_key(const void *a, const void *b)
{
    const vox_yaml_child *const *x = a, *const *y = b;
    int c = strcmp((*x)->key, (*y)->key);
    return c ? c : (*x > *y) - (*x < *y);
}

/* Sorted rather than compared pair by pair: a hostile file may have a million keys. */
static vox_status check_duplicates(reader *r, const vox_yaml_node *map, vox_error *err)
{
    const vox_yaml_child **sorted = vox_calloc(map->count, sizeof(void *), "keys", err),
                         *bad = NULL;
    if (!sorted)
        return VOX_ERR_MEMORY;
    for (size_t i = 0; i < map->count; i++)
        sorted[i] = &map->child[i];
    qsort(sorted, map->count, sizeof *sorted, by_key);
    for (size_t i = 1; i < map->count; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0 && (!bad || sorted[i] < bad))
            bad = sorted[i];
    free(sorted);
    if (!bad)
        return VOX_OK;
    char message[160];
    snprintf(message, sizeof message, "the key \"%.100s\" is there twice", bad->key);
    r->line = bad->key_line;
    r->column = bad->key_column;
    return read_fail(r, err, message);
}

static vox_status take_end(reader *r, vox_error *err)
{
    frame f = r->stack[--r->depth];
    vox_status s = f.node->kind == VOX_YAML_MAP ? check_duplicates(r, f.node, err) : VOX_OK;
    if (s == VOX_OK && f.anchor)
        return add_anchor(r, f.anchor, f.node, err);
    free(f.anchor);
    return s;
}

static vox_status take_alias(reader *r, struct fy_event *e, vox_error *err)
{
    char message[160];
    char *name = token_text(r, e->alias.anchor, err);
    const vox_yaml_node *from = NULL;
    if (!name)
        return err->code;
    for (size_t i = 0; i < r->anchor_count && !from; i++)
        if (strcmp(r->anchors[i].name, name) == 0)
            from = r->anchors[i].node;
    snprintf(message, sizeof message, "the alias \"*%.80s\" names no finished anchor before it",
             name);
    free(name);
    if (!from)
        return read_fail(r, err, message);
    if (wants_key(r))
        return read_fail(r, err, "a key must be a word, not an alias");
    vox_yaml_node *copy = copy_node(r, from, r->depth + 1, err);
    return copy ? place_node(r, copy, err) : err->code;
}

static bool opens_before_its_mark(struct fy_event *e)
{
    if (e->type != FYET_SCALAR || !e->scalar.value)
        return e->type == FYET_ALIAS;
    enum fy_scalar_style style = fy_token_scalar_style(e->scalar.value);
    return style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
}

/* A value left out has no place of its own: libfyaml 0.7 gives it none, 0.8 the end of what is
 * before it.  Complaints about it name what is before it. */
static bool has_place(struct fy_event *e)
{
    if (e->type != FYET_SCALAR)
        return true;
    size_t bytes = 0;
    return e->scalar.value && (fy_token_scalar_style(e->scalar.value) != FYSS_PLAIN ||
                               (fy_token_get_text(e->scalar.value, &bytes) && bytes > 0));
}

static vox_status take_event(reader *r, struct fy_event *e, int *documents, vox_error *err)
{
    const struct fy_mark *mark = has_place(e) ? fy_event_start_mark(e) : NULL;
    if (mark) {
        r->line = mark->line + 1;
        /* Marks lie after an opening quote and after the star of an alias. */
        r->column = mark->column + (opens_before_its_mark(e) && mark->column > 0 ? 0 : 1);
    }
    if (e->type == FYET_DOCUMENT_START && ++*documents > 1)
        return read_fail(r, err, "a second document (\"---\") in one file");
    if (e->type == FYET_ALIAS)
        return take_alias(r, e, err);
    if (e->type == FYET_MAPPING_END || e->type == FYET_SEQUENCE_END)
        return take_end(r, err);
    if (e->type != FYET_SCALAR && e->type != FYET_MAPPING_START && e->type != FYET_SEQUENCE_START)
        return VOX_OK;
    if (fy_event_get_tag_token(e))
        return read_fail(r, err, "tags (\"!\") are not supported");
    char *anchor_name = NULL;
    if (fy_event_get_anchor_token(e)) {
        anchor_name = token_text(r, fy_event_get_anchor_token(e), err);
        if (!anchor_name)
            return err->code;
    }
    if (e->type == FYET_SCALAR)
        return take_scalar(r, e, anchor_name, err);
    bool map = e->type == FYET_MAPPING_START;
    return take_start(r, map ? VOX_YAML_MAP : VOX_YAML_LIST,
                      fy_event_get_node_style(e) == FYNS_FLOW, anchor_name, err);
}

/* Keeps the first complaint of libfyaml, "<memory...>:3:1: error: what"; the lines after it draw
 * the source.  Its own list of errors is not used because 0.7.12 never frees it. */
static void hear(struct fy_diag *diag, void *user, const char *text, size_t length)
{
    reader *r = user;
    char line[200];
    (void)diag;
    snprintf(line, sizeof line, "%.*s", (int)(length < sizeof line ? length : sizeof line - 1),
             text);
    char *place = strstr(line, ">:"), *what = strstr(line, ": error: ");
    if (r->complaint[0] || !what)
        return;
    snprintf(r->complaint, sizeof r->complaint, "%s", what + strlen(": error: "));
    r->complaint[strcspn(r->complaint, "\n")] = '\0';
    if (place && place < what) {
        char *end;
        long at_line = strtol(place + 2, &end, 10);
        long at_column = *end == ':' ? strtol(end + 1, NULL, 10) : 1;
        r->line = (int)at_line;
        r->column = (int)at_column;
    }
}

static struct fy_parser *open_parser(reader *r, const char *text, size_t bytes, vox_error *err)
{
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL; /* its default is stderr */
    diag_cfg.output_fn = hear;
    diag_cfg.user = r;
    diag_cfg.level = FYET_ERROR;
    diag_cfg.colorize = false;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    if (!diag) {
        vox_fail_memory(err, "the YAML reader", sizeof diag_cfg);
        return NULL;
    }
    struct fy_parse_cfg cfg = {.flags = FYPCF_DEFAULT_VERSION_1_2, .diag = diag};
    struct fy_parser *parser = fy_parser_create(&cfg);
    fy_diag_unref(diag); /* the parser holds its own reference */
    if (!parser || fy_parser_set_string(parser, text, bytes) != 0) {
        vox_fail_memory(err, "the YAML reader", bytes);
        if (parser)
            fy_parser_destroy(parser);
        return NULL;
    }
    return parser;
}

static vox_status syntax_fail(const reader *r, vox_error *err)
{
    char message[sizeof err->message];
    snprintf(message, sizeof message, "not valid YAML: %s",
             r->complaint[0] ? r->complaint : "syntax error");
    vox_status s = read_fail(r, err, message);
    vox_hint(err, "check indentation, colons and quotes near there");
    return s;
}

static vox_status read_events(reader *r, const char *text, size_t bytes, vox_error *err)
{
    r->line = r->column = 1;
    struct fy_parser *parser = open_parser(r, text, bytes, err);
    if (!parser)
        return VOX_ERR_MEMORY;
    vox_status s = VOX_OK;
    int documents = 0;
    bool more = true;
    while (s == VOX_OK && more) {
        struct fy_event *e = fy_parser_parse(parser);
        if (!e)
            break;
        more = e->type != FYET_STREAM_END;
        s = take_event(r, e, &documents, err);
        fy_parser_event_free(parser, e);
    }
    if (s == VOX_OK && (r->complaint[0] || fy_parser_get_stream_error(parser)))
        s = syntax_fail(r, err);
    fy_parser_destroy(parser);
    return s;
}

vox_status vox_yaml_read(vox_yaml_node **out, const char *text, size_t bytes, const char *where,
                         bool lines, vox_error *err)
{
    vox_error unheard; /* so that everything below can hand on err->code */
    reader r = {.where = where, .lines = lines};
    err = err ? err : &unheard;
    *out = NULL;
    vox_status s = check_text(&r, text, bytes, err);
    if (s == VOX_OK)
        s = read_events(&r, text, bytes, err);
    if (s == VOX_OK && !r.root) { /* an empty document */
        r.line = r.column = 1;
        r.root = new_node(&r, VOX_YAML_NULL, err);
        s = r.root ? VOX_OK : VOX_ERR_MEMORY;
    }
    while (r.depth > 0) {
        frame *f = &r.stack[--r.depth];
        free(f->key);
        free(f->anchor);
    }
    for (size_t i = 0; i < r.anchor_count; i++)
        free(r.anchors[i].name);
    free(r.anchors);
    if (s == VOX_OK)
        *out = r.root;
    else
        vox_yaml_node_free(r.root);
    return s;
}

#else

vox_status vox_yaml_read(vox_yaml_node **out, const char *text, size_t bytes, const char *where,
                         bool lines, vox_error *err)
{
    (void)text, (void)bytes, (void)lines;
    *out = NULL;
    vox_fail(err, VOX_ERR_UNSUPPORTED, "this build cannot read YAML");
    vox_detail(err, "%s: voxcl was built without libfyaml", where);
    vox_hint(err, "configure with -DVOXCL_WITH_FYAML=ON");
    return VOX_ERR_UNSUPPORTED;
}

#endif
