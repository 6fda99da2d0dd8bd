/* finddb.c - remembered timings.
 *
 *   voxcl find-db 1
 *   <checksum> <pass> <in> <out> <verdict> <nanoseconds> <workspace> <algorithm> <key>
 *
 * fields separated by tabs, the checksum over the rest of the line; the algorithm with its tuning
 * values, "direct16:r7q4", or without any: by its own rule.  A last line without its end
 * is that of a writer that died: it is dropped, and cut off by the next one to write. */
#include "tune/finddb.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER    "voxcl find-db 1\n"
#define MAX_BYTES ((size_t)64 << 20)

typedef struct record {
    uint64_t hash; /* of key */
    char *key;
    vox_finding finding;
} record;

struct vox_finddb {
    char *path; /* NULL: nothing is kept on disk */
    record *record;
    size_t count, capacity;
};

/* ---- in memory ---------------------------------------------------------- */

static uint64_t hash_of(const char *key)
{
    return vox_hash(VOX_HASH_START, key, strlen(key));
}

static int64_t nanoseconds(const vox_finding *f)
{
    return (int64_t)llround(f->seconds * 1e9);
}

static record *find_record(const vox_finddb *db, const char *key, const vox_finding *f)
{
    const uint64_t hash = hash_of(key);
    for (size_t i = 0; i < db->count; i++) {
        const vox_finding *g = &db->record[i].finding;
        if (db->record[i].hash == hash && g->pass == f->pass && g->in == f->in &&
            g->out == f->out && !strcmp(g->algo, f->algo) && !strcmp(db->record[i].key, key))
            return &db->record[i];
    }
    return NULL;
}

static vox_status put_record(vox_finddb *db, const char *key, const vox_finding *f, vox_error *err)
{
    record *r = find_record(db, key, f);
    if (!r) {
        if (!vox_grow(&db->record, &db->capacity, db->count + 1, sizeof *db->record, err))
            return VOX_ERR_MEMORY;
        r = &db->record[db->count];
        r->key = vox_strdup(key, err);
        if (!r->key)
            return VOX_ERR_MEMORY;
        r->hash = hash_of(key);
        db->count++;
    }
    r->finding = *f;
    r->finding.seconds = 1e-9 * (double)nanoseconds(f); /* as it will be read again */
    return VOX_OK;
}

static void forget_records(vox_finddb *db)
{
    for (size_t i = 0; i < db->count; i++)
        free(db->record[i].key);
    db->count = 0;
}

size_t vox_finddb_count(const vox_finddb *db)
{
    return db->count;
}

const vox_finding *vox_finddb_find(const vox_finddb *db, const char *key, const vox_algo *a,
                                   const vox_problem *p)
{
    const vox_problem own = {.variant = 0};
    vox_finding f = {.pass = a->pass, .in = a->in, .out = a->out};
    vox_algo_text(a, p ? p : &own, f.algo);
    const record *r = find_record(db, key, &f);
    return r ? &r->finding : NULL;
}

static bool has(const vox_finddb *db, const char *key, vox_pass pass, bool timed)
{
    const uint64_t hash = hash_of(key);
    for (size_t i = 0; i < db->count; i++) {
        const record *r = &db->record[i];
        if (r->hash == hash && r->finding.pass == pass && !strcmp(r->key, key) &&
            (!timed || r->finding.verdict == VOX_VERDICT_TIMED))
            return true;
    }
    return false;
}

bool vox_finddb_knows(const vox_finddb *db, const char *key, vox_pass pass)
{
    return has(db, key, pass, false);
}

bool vox_finddb_timed(const vox_finddb *db, const char *key, vox_pass pass)
{
    return has(db, key, pass, true);
}

/* ---- lines -------------------------------------------------------------- */

static void add_line(vox_str *out, const char *key, const vox_finding *f)
{
    vox_str rest = {0};
    vox_str_add(&rest, "%d\t%d\t%d\t%d\t%" PRId64 "\t%" PRIu64 "\t%s\t%s", (int)f->pass, (int)f->in,
                (int)f->out, (int)f->verdict, (int64_t)llround(f->seconds * 1e9), f->workspace,
                f->algo, key);
    if (rest.text)
        vox_str_add(out, "%016" PRIx64 "\t%s\n", vox_hash(VOX_HASH_START, rest.text, rest.length),
                    rest.text);
    out->failed = out->failed || rest.failed;
    vox_str_release(&rest);
}

/* One line, its end replaced by a NUL.  false: it is none of ours. */
static bool read_line(const char *line, vox_finding *f, const char **key)
{
    uint64_t sum;
    int64_t ns;
    int pass, in, out, verdict, at = 0, start = 0;
    if (sscanf(line, "%16" SCNx64 "%n", &sum, &start) != 1 || start != 16 || line[16] != '\t' ||
        vox_hash(VOX_HASH_START, line + 17, strlen(line + 17)) != sum)
        return false;
    if (sscanf(line + 17, "%d\t%d\t%d\t%d\t%" SCNd64 "\t%" SCNu64 "\t%47[^\t]%n", &pass, &in, &out,
               &verdict, &ns, &f->workspace, f->algo, &at) != 7 ||
        line[17 + at] != '\t')
        return false;
    if (pass < 0 || pass >= VOX_PASSES || in < 0 || in >= VOX_LAYOUTS || out < 0 ||
        out >= VOX_LAYOUTS || verdict < 0 || verdict >= VOX_VERDICTS || ns < 0)
        return false;
    f->pass = (vox_pass)pass;
    f->in = (vox_layout)in;
    f->out = (vox_layout)out;
    f->verdict = (vox_verdict)verdict;
    f->seconds = (double)ns * 1e-9;
    *key = line + 17 + at + 1;
    return true;
}

/* Takes a file's text in.  *sound: it is a find-db; *whole: bytes up to its last line's end. */
static vox_status read_text(vox_finddb *db, char *text, size_t size, bool *sound, size_t *whole,
                            vox_error *err)
{
    const size_t head = strlen(HEADER);
    vox_status s = VOX_OK;
    *sound = size >= head ? !memcmp(text, HEADER, head) : !memcmp(text, HEADER, size);
    *whole = size >= head ? head : 0;
    for (char *p = text + *whole; *sound && size >= head && s == VOX_OK; p = text + *whole) {
        char *end = memchr(p, '\n', size - *whole);
        vox_finding f = {0};
        const char *key;
        if (!end)
            break;
        *end = '\0';
        *sound = strlen(p) == (size_t)(end - p) && read_line(p, &f, &key);
        if (*sound)
            s = put_record(db, key, &f, err);
        *whole = (size_t)(end - text) + 1;
    }
    return s;
}

/* ---- the file ----------------------------------------------------------- */

/* Opens and locks it.  -1: it cannot be (errno says why). */
static int lock_file(const char *path)
{
    for (int tries = 0; tries < 100; tries++) {
        struct stat by_fd, by_path;
        int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (fd < 0)
            return -1;
        while (flock(fd, LOCK_EX) != 0)
            if (errno != EINTR) {
                close(fd);
                return -1;
            }
        /* Another process may have set it aside before the lock was ours. */
        if (fstat(fd, &by_fd) == 0 && stat(path, &by_path) == 0 && by_fd.st_ino == by_path.st_ino)
            return fd;
        close(fd);
    }
    errno = EBUSY;
    return -1;
}

static void set_aside(const char *path)
{
    vox_error err;
    char *bad = vox_format(&err, "%s.bad", path);
    if (bad && rename(path, bad) == 0)
        vox_log(VOX_LOG_WARN, "%s is damaged or not a find-db: renamed to %s, measuring anew", path,
                bad);
    else
        vox_log(VOX_LOG_WARN, "%s is damaged or not a find-db, and cannot be renamed: %s", path,
                strerror(errno));
    free(bad);
}

/* Reads the file into db, under the lock if there may be one; a bad one is set aside and leaves db
 * as it was. */
static vox_status load(vox_finddb *db, const char *path, bool *gone, size_t *whole, size_t *size,
                       vox_error *err)
{
    char *text = NULL;
    bool sound = true;
    vox_finddb fresh = {0};
    struct stat st;
    *gone = stat(path, &st) != 0;
    *whole = *size = 0;
    if (*gone)
        return VOX_OK;
    vox_error why = {0};
    vox_status s = vox_file_read(&text, size, path, MAX_BYTES, &why);
    if (s == VOX_OK) {
        s = read_text(&fresh, text, *size, &sound, whole, err);
    } else if (s == VOX_ERR_IO) { /* not ours to rename, perhaps */
        vox_log(VOX_LOG_INFO, "timings are not read: %s: %s", why.message, why.detail);
        s = VOX_OK;
    } else {
        sound = s == VOX_ERR_MEMORY;
    }
    for (size_t i = 0; sound && s == VOX_OK && i < fresh.count; i++)
        s = put_record(db, fresh.record[i].key, &fresh.record[i].finding, err);
    if (!sound) {
        set_aside(path);
        *gone = true;
        s = VOX_OK;
    }
    forget_records(&fresh);
    free(fresh.record);
    free(text);
    return s;
}

static void cannot_write(vox_finddb *db, const char *what)
{
    vox_log(VOX_LOG_INFO, "timings are not kept: cannot %s %s: %s", what, db->path,
            strerror(errno));
    free(db->path);
    db->path = NULL;
}

vox_status vox_finddb_open(vox_finddb **out, const char *path, vox_error *err)
{
    *out = NULL;
    vox_error why = {0};
    bool gone;
    size_t whole, size;
    vox_finddb *db = vox_calloc(1, sizeof *db, "the find-db", err);
    if (!db)
        return VOX_ERR_MEMORY;
    char *dir = path ? NULL : vox_cache_dir(&why);
    if (path)
        db->path = vox_strdup(path, err);
    else if (dir)
        db->path = vox_path_join(dir, "finddb.txt", err);
    else
        vox_log(VOX_LOG_INFO, "timings are not kept: %s: %s", why.message, why.detail);
    vox_status s = (path || dir) && !db->path ? VOX_ERR_MEMORY : VOX_OK;
    free(dir);
    if (s == VOX_OK && db->path && vox_path_exists(db->path)) {
        /* Locked, so that a bad file is set aside by one; one that cannot be is still read. */
        int fd = lock_file(db->path);
        s = load(db, db->path, &gone, &whole, &size, err);
        if (fd >= 0)
            close(fd);
    }
    if (s != VOX_OK)
        vox_finddb_free(&db);
    *out = db;
    return s;
}

vox_status vox_finddb_read(vox_finddb **out, const char *path, vox_error *err)
{
    char *text = NULL;
    bool sound = false;
    size_t size, whole = 0;
    *out = NULL;
    vox_finddb *db = vox_calloc(1, sizeof *db, "the find-db", err);
    vox_status s = db ? vox_file_read(&text, &size, path, MAX_BYTES, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = read_text(db, text, size, &sound, &whole, err);
    if (s == VOX_OK && (!sound || whole == 0 || whole != size)) {
        s = vox_fail(err, VOX_ERR_INPUT, "the measured times are damaged");
        vox_detail(err, "%s is not as it was written", path);
        vox_hint(err, "remove it to go on without: results then differ in rounding");
    }
    free(text);
    if (s != VOX_OK)
        vox_finddb_free(&db);
    *out = db;
    return s;
}

void vox_finddb_free(vox_finddb **db)
{
    if (!db || !*db)
        return;
    forget_records(*db);
    free((*db)->record);
    free((*db)->path);
    free(*db);
    *db = NULL;
}

static bool write_all(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text += n;
        size -= (size_t)n;
    }
    return true;
}

/* Under the lock: cuts off what a writer that died left, then appends. */
static vox_status append(vox_finddb *db, const char *lines, size_t length, vox_error *err)
{
    size_t whole = 0, size = 0;
    bool gone = true;
    int fd = -1;
    vox_status s = VOX_OK;
    for (int tries = 0; tries < 3 && gone && s == VOX_OK; tries++) {
        if (fd >= 0)
            close(fd); /* of the file that was set aside */
        fd = lock_file(db->path);
        if (fd < 0) {
            cannot_write(db, "open");
            return VOX_OK;
        }
        s = load(db, db->path, &gone, &whole, &size, err);
    }
    bool written = s == VOX_OK && !gone;
    if (written && whole < size)
        written = ftruncate(fd, (off_t)whole) == 0;
    if (written && whole == 0)
        written = write_all(fd, HEADER, strlen(HEADER));
    if (written)
        written = write_all(fd, lines, length);
    if (s == VOX_OK && !written)
        cannot_write(db, "write to");
    close(fd);
    return s;
}

vox_status vox_finddb_add(vox_finddb *db, const char *key, const vox_finding *list, size_t count,
                          vox_error *err)
{
    vox_str lines = {0};
    vox_status s = VOX_OK;
    for (size_t i = 0; i < count; i++)
        add_line(&lines, key, &list[i]);
    if (lines.failed)
        s = vox_fail_memory(err, "the find-db", lines.length);
    if (s == VOX_OK && db->path && count > 0)
        s = append(db, lines.text, lines.length, err);
    for (size_t i = 0; i < count && s == VOX_OK; i++) /* after: the file's older ones came in */
        s = put_record(db, key, &list[i], err);
    vox_str_release(&lines);
    return s;
}

vox_status vox_finddb_save(const vox_finddb *db, const char *path, vox_error *err)
{
    vox_str text = {0};
    vox_str_add(&text, "%s", HEADER);
    for (size_t i = 0; i < db->count; i++)
        add_line(&text, db->record[i].key, &db->record[i].finding);
    vox_status s = text.failed ? vox_fail_memory(err, "the find-db", text.length)
                               : vox_file_write(path, text.text, text.length, err);
    vox_str_release(&text);
    return s;
}

/* ---- keys --------------------------------------------------------------- */

static void add_attr(vox_str *key, const vox_attr *a, const void *values)
{
    const char *at = (const char *)values + a->offset;
    int64_t i[3];
    double d;
    bool b;
    int word;
    switch (a->kind) {
    case VOX_ATTR_INT:
        memcpy(i, at, sizeof *i);
        vox_str_add(key, " %s=%" PRId64, a->key, i[0]);
        break;
    case VOX_ATTR_FLOAT:
        memcpy(&d, at, sizeof d);
        vox_str_add(key, " %s=%a", a->key, d);
        break;
    case VOX_ATTR_BOOL:
        memcpy(&b, at, sizeof b);
        vox_str_add(key, " %s=%d", a->key, b);
        break;
    case VOX_ATTR_TRIPLE:
        memcpy(i, at, sizeof i);
        vox_str_add(key, " %s=%" PRId64 ",%" PRId64 ",%" PRId64, a->key, i[0], i[1], i[2]);
        break;
    case VOX_ATTR_WORD:
        memcpy(&word, at, sizeof word);
        vox_str_add(key, " %s=%d", a->key, word);
        break;
    case VOX_ATTR_FLOATS: {
        const vox_floats *list = (const void *)at;
        vox_str_add(key, " %s=", a->key);
        for (int k = 0; k < list->count; k++)
            vox_str_add(key, "%s%a", k ? "," : "", list->value[k]);
        break;
    }
    }
}

char *vox_finddb_key(const vox_problem *p, vox_error *err)
{
    const vox_device_desc *d = vox_device_get(p->dev);
    const vox_node *node = p->node;
    char shape[96];
    uint64_t kernels;
    vox_str key = {0};
    if (vox_kernel_sources_hash(&kernels, err) != VOX_OK)
        return NULL;
    vox_str_add(&key, "voxcl %s, kernels %016" PRIx64 " | %s | %s | %s | %s | %s", vox_version(),
                kernels, d->name, d->vendor, d->driver_version, d->platform_version,
                node->op->name);
    if (d->parts) /* what is best on half the cores need not be on all */
        vox_str_add(&key, " on part of %" PRIu32, d->parts);
    for (const vox_attr *a = node->op->attrs; a && a->key && node->attr; a++)
        add_attr(&key, a, node->attr);
    for (int i = 0; i < node->inputs; i++)
        vox_str_add(&key, "%s%s", i ? " + " : " | ", vox_shape_text(&node->in[i], shape));
    vox_str_add(&key, " to %s | batch %" PRId64 " f32%s", vox_shape_text(&node->out, shape),
                p->n_max, p->training ? " training" : "");
    if (key.failed) {
        vox_fail_memory(err, "a key of the find-db", key.length);
        vox_str_release(&key);
        return NULL;
    }
    for (char *c = key.text; *c; c++) /* drivers' names are anybody's */
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return key.text;
}
