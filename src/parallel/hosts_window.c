/* hosts_window.c - memory that the ranks of one host have in common: a POSIX shared memory object,
 * which has no name any more once all have it, so that nothing is left behind whatever ends the
 * job.  Why not MPI_Win_allocate_shared: how much there is shows only when it is written to, as
 * SIGBUS; here each rank asks for its part (on its own NUMA node) before. */
#include "parallel/hosts_window.h"

#include "base/log.h"
#include "base/mem.h"
#include "parallel/hosts_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Places begin at whole pages, of the large kind where it matters. */
#define PAGE       ((size_t)4096)
#define LARGE_PAGE ((size_t)2 << 20)

/* Linux has large pages for shared memory on demand alone, as it is usually set up, and since 6.1.
 * They make reading it a third faster (20 to 27 GB/s by one core of Zen 4). */
#if defined(__linux__) && !defined(MADV_COLLAPSE)
#define MADV_COLLAPSE 25
#endif

/* What lies before the common memory. */
typedef struct head {
    uint64_t mark; /* of this window: two objects of one name are told apart */
    atomic_uint met[];
    /* then away[ranks]: whether they have withdrawn, and started[keys][ranks] */
} head;

struct vox_host_window {
    vox_hosts *hosts;
    pthread_mutex_t lock;
    size_t users;
    size_t *list; /* what the groups are made of */
    vox_groups groups;
    vox_portion portion;
    unsigned met; /* how often this rank did */
    /* With several ranks in the group: */
    head *map;
    size_t bytes, common_at, own_at, own_stride;
};

/* What a rank tells the others. */
typedef struct offer {
    char name[48], why[160]; /* why not; "": it has it */
    uint64_t mark;
    bool wanted; /* alone on its host nobody wants it */
} offer;

/* ---- sizes -------------------------------------------------------------------- */

static size_t round_up(size_t bytes)
{
    const size_t page = bytes >= LARGE_PAGE ? LARGE_PAGE : PAGE;
    return (bytes + page - 1) / page * page;
}

static bool lay_out(vox_host_window *w, size_t ranks, size_t common, size_t own)
{
    const size_t counts = ranks * (VOX_HOST_SUM_KEYS + 2) * sizeof(atomic_uint);
    const size_t most = SIZE_MAX / 4 / (ranks + 2);
    if (common > most || own > most)
        return false;
    w->common_at = round_up(sizeof(head) + counts);
    if (common + ranks * own >= LARGE_PAGE)
        w->common_at = (w->common_at + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    w->own_at = w->common_at + round_up(common);
    w->own_stride = round_up(own);
    w->bytes = w->own_at + ranks * w->own_stride;
    return true;
}

static atomic_uint *away_of(const vox_host_window *w)
{
    return w->map->met + w->portion.of;
}

static atomic_uint *started_of(const vox_host_window *w, int key)
{
    return w->map->met + (2 + (size_t)key) * w->portion.of;
}

/* ---- getting it --------------------------------------------------------------- */

static void cannot(offer *o, const char *what, int error)
{
    snprintf(o->why, sizeof o->why, "%s: %s", what, strerror(error));
}

/* Room in it for [at, at + bytes): asked for now, as it would be missed by a signal later. */
static bool take_room(int file, size_t at, size_t bytes, offer *o)
{
    const int error = bytes ? posix_fallocate(file, (off_t)at, (off_t)bytes) : 0;
    if (error)
        snprintf(o->why, sizeof o->why, "no room for %.1f MB of shared memory (/dev/shm): %s",
                 (double)bytes * 1e-6, strerror(error));
    return error == 0;
}

/* What was asked for already of [at, at + bytes) gets large pages; best effort. */
static void make_large(const vox_host_window *w, size_t at, size_t bytes)
{
#ifdef MADV_COLLAPSE
    const size_t begin = (at + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE,
                 end = (at + bytes) / LARGE_PAGE * LARGE_PAGE;
    if (begin < end)
        madvise((char *)w->map + begin, end - begin, MADV_COLLAPSE);
#else
    (void)w, (void)at, (void)bytes;
#endif
}

/* At a large page. */
static bool map_it(vox_host_window *w, int file, offer *o)
{
    const size_t room = w->bytes + LARGE_PAGE;
    char *at = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        cannot(o, "mmap", errno);
        return false;
    }
    const size_t skip = (LARGE_PAGE - (uintptr_t)at % LARGE_PAGE) % LARGE_PAGE;
    if (skip)
        munmap(at, skip);
    munmap(at + skip + w->bytes, LARGE_PAGE - skip);
    at = mmap(at + skip, w->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
    if (at == MAP_FAILED) {
        cannot(o, "mmap", errno);
        return false;
    }
    w->map = (head *)(void *)at;
    return true;
}

/* The host's first rank makes it. */
static void make(vox_host_window *w, offer *o)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    o->mark = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec << 8 ^ (uint64_t)getpid();
    snprintf(o->name, sizeof o->name, "/voxcl-%ld-%llx", (long)getpid(),
             (unsigned long long)o->mark);
    const int file = shm_open(o->name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file < 0) {
        cannot(o, "shm_open", errno);
        o->name[0] = '\0';
        return;
    }
    if (ftruncate(file, (off_t)w->bytes) != 0)
        cannot(o, "ftruncate", errno);
    else if (take_room(file, 0, w->own_at, o) && take_room(file, w->own_at, w->own_stride, o) &&
             map_it(w, file, o)) {
        w->map->mark = o->mark;
        make_large(w, 0, w->own_at + w->own_stride);
    }
    close(file);
}

static void join(vox_host_window *w, const offer *first, offer *o)
{
    const size_t own_at = w->own_at + w->portion.index * w->own_stride;
    const int file = shm_open(first->name, O_RDWR, 0);
    if (file < 0) {
        cannot(o, "shm_open", errno);
        return;
    }
    if (take_room(file, own_at, w->own_stride, o) && map_it(w, file, o))
        make_large(w, own_at, w->own_stride);
    if (w->map && w->map->mark != first->mark)
        snprintf(o->why, sizeof o->why, "ranks with one host's name are on several");
    close(file);
}

static void heed_variable(const vox_host_window *w, offer *o)
{
    const char *text = getenv(VOX_WINDOW_VARIABLE);
    if (!text || !*text)
        return;
    if (strcmp(text, "off") == 0)
        snprintf(o->why, sizeof o->why, "%s is off", VOX_WINDOW_VARIABLE);
    else if (strtod(text, NULL) < (double)w->bytes)
        snprintf(o->why, sizeof o->why, "%.1f MB, and %s is %s", (double)w->bytes * 1e-6,
                 VOX_WINDOW_VARIABLE, text);
}

static void unmap(vox_host_window *w)
{
    if (w->map)
        munmap(w->map, w->bytes);
    w->map = NULL;
}

/* ---- agreeing on it ------------------------------------------------------------ */

static bool same_host(const vox_hosts *h, size_t a, size_t b)
{
    return strcmp(vox_hosts_name(h, a), vox_hosts_name(h, b)) == 0;
}

/* The first rank on a rank's host. */
static size_t first_of(const vox_hosts *h, size_t rank)
{
    size_t first = 0;
    while (!same_host(h, first, rank))
        first++;
    return first;
}

/* NULL: rank's host has it. */
static const char *why_not(const vox_hosts *h, const offer *all, size_t rank)
{
    for (size_t i = 0; i < h->size; i++)
        if (same_host(h, i, rank) && all[i].why[0])
            return all[i].why;
    return NULL;
}

static void tell_why_not(const vox_hosts *h, const offer *all)
{
    for (size_t i = 0; h->rank == 0 && i < h->size; i++) {
        const char *why = why_not(h, all, i);
        if (why && all[i].wanted && first_of(h, i) == i)
            vox_log(VOX_LOG_WARN,
                    "the ranks on %s have no memory in common (%s): each has a model of its own, "
                    "and gradients are copied",
                    vox_hosts_name(h, i), why);
    }
}

/* The hosts' ranks make a group where they have it. */
static void make_groups(vox_host_window *w, const offer *all)
{
    const vox_hosts *h = w->hosts;
    size_t *of = w->list, *rank = of + h->size, *at = rank + h->size, ranks = 0, groups = 0;
    for (size_t i = 0; i < h->size; i++) {
        const size_t first = first_of(h, i);
        const bool alone = !all[i].wanted || why_not(h, all, i);
        if (!alone && first < i)
            continue; /* it is in that one's */
        at[groups] = ranks;
        for (size_t k = i; k < h->size; k++) {
            if (k != i && (alone || !same_host(h, i, k)))
                continue;
            of[k] = groups;
            rank[ranks++] = k;
        }
        groups++;
    }
    at[groups] = ranks;
    w->groups = (vox_groups){groups, of[h->rank], of, rank, at};
}

static vox_status meet(void *user, vox_error *err)
{
    vox_host_window *w = user;
    const unsigned turn = ++w->met;
    atomic_store_explicit(&w->map->met[w->portion.index], turn, memory_order_release);
    return vox_hosts_noted(
        w->hosts, vox_mpi_wait_for_counts(w->hosts->mpi, w->map->met, w->portion.of, turn, err));
}

/* Two rounds: the first rank of a host tells the others where it is; and whether all have it. */
static vox_status get_it(vox_host_window *w, offer *all, size_t common, size_t own, vox_error *err)
{
    vox_hosts *h = w->hosts;
    offer mine = {0};
    size_t ranks;
    const size_t first = first_of(h, h->rank);
    w->portion = (vox_portion){.index = vox_hosts_local(h, &ranks), .meet = meet, .user = w};
    w->portion.of = ranks;
    mine.wanted = ranks > 1;
    if (!lay_out(w, ranks, common, own))
        snprintf(mine.why, sizeof mine.why, "the model is too large");
    heed_variable(w, &mine);
    if (mine.wanted && first == h->rank && !mine.why[0])
        make(w, &mine);
    vox_status s = vox_hosts_gather(h, &mine, sizeof mine, all, err);
    if (s == VOX_OK && mine.wanted && first != h->rank && !why_not(h, all, h->rank))
        join(w, &all[first], &mine);
    if (s == VOX_OK)
        s = vox_hosts_gather(h, &mine, sizeof mine, all, err);
    if (first == h->rank && mine.name[0])
        shm_unlink(mine.name);
    if (s != VOX_OK)
        return s;
    tell_why_not(h, all);
    make_groups(w, all);
    if (!mine.wanted || why_not(h, all, h->rank)) {
        unmap(w);
        w->portion.index = 0;
        w->portion.of = 1;
    } else {
        make_large(w, 0, w->bytes); /* also in this process's table of what others made */
    }
    return VOX_OK;
}

vox_status vox_host_window_open(vox_host_window **out, vox_hosts *h, size_t common, size_t own,
                                vox_error *err)
{
    *out = NULL;
    if (vox_hosts_size(h) == 1)
        return VOX_OK;
    vox_host_window *w = vox_calloc(1, sizeof *w, "the ranks' memory", err);
    offer *all = vox_calloc(h->size, sizeof *all, "the ranks' memory", err);
    if (w) {
        pthread_mutex_init(&w->lock, NULL);
        w->users = 1;
        w->hosts = h;
        w->list = vox_calloc(h->size + 1, 3 * sizeof *w->list, "the ranks' memory", err);
    }
    vox_status s =
        w && w->list && all ? get_it(w, all, common, own, err) : vox_hosts_noted(h, VOX_ERR_MEMORY);
    free(all);
    if (s != VOX_OK || w->groups.count == h->size)
        vox_host_window_free(&w);
    *out = w;
    return s;
}

void vox_host_window_hold(vox_host_window *w)
{
    pthread_mutex_lock(&w->lock);
    w->users++;
    pthread_mutex_unlock(&w->lock);
}

void vox_host_window_let_go(void *window)
{
    vox_host_window *w = window;
    pthread_mutex_lock(&w->lock);
    const bool last = --w->users == 0;
    pthread_mutex_unlock(&w->lock);
    if (!last)
        return;
    unmap(w);
    pthread_mutex_destroy(&w->lock);
    free(w->list);
    free(w);
}

void vox_host_window_free(vox_host_window **w)
{
    if (!w || !*w)
        return;
    vox_host_window_let_go(*w);
    *w = NULL;
}

/* ---- what is in it ------------------------------------------------------------- */

void *vox_host_window_common(const vox_host_window *w)
{
    return w && w->map ? (char *)w->map + w->common_at : NULL;
}

void *vox_host_window_own(const vox_host_window *w, size_t i)
{
    return w && w->map ? (char *)w->map + w->own_at + i * w->own_stride : NULL;
}

void vox_host_window_withdraw(vox_host_window *w)
{
    atomic_store(&away_of(w)[w->portion.index], 1);
}

void *vox_host_window_sum(const vox_host_window *w)
{
    return vox_host_window_own(w, w->map ? vox_mpi_first_there(away_of(w), w->portion.of) : 0);
}

const vox_portion *vox_host_window_portion(const vox_host_window *w)
{
    static const vox_portion alone = {.of = 1};
    return w ? &w->portion : &alone;
}

vox_status vox_host_sum_open_in(vox_host_sum **out, vox_hosts *h, vox_host_window *w, int key,
                                size_t offset, size_t count, vox_error *err)
{
    if (!w)
        return vox_host_sum_open(out, h, key, count, err);
    vox_status s = vox_host_sum_make(out, h, key, err);
    float **data = vox_calloc(w->portion.of, sizeof *data, "a sum over hosts", err);
    if (s == VOX_OK && !data)
        s = VOX_ERR_MEMORY;
    for (size_t i = 0; s == VOX_OK && i < w->portion.of && w->map; i++)
        data[i] = (float *)vox_host_window_own(w, i) + offset;
    if (s == VOX_OK) {
        const vox_sum_memory memory = {.data = data,
                                       .started = w->map ? started_of(w, key) : NULL,
                                       .away = w->map ? away_of(w) : NULL,
                                       .index = w->portion.index};
        s = vox_mpi_sum_open(&(*out)->ask, h->mpi, key, count, &w->groups, w->map ? &memory : NULL,
                             err);
    }
    free(data);
    if (s != VOX_OK)
        vox_host_sum_free(out);
    return s;
}

void vox_host_window_describe(const vox_host_window *w, vox_str *text)
{
    for (size_t i = 0; w && i < w->groups.count; i++) {
        const size_t first = w->groups.at[i], ranks = w->groups.at[i + 1] - first;
        if (ranks > 1)
            vox_str_add(text, "  the %zu ranks on %s share one model\n", ranks,
                        vox_hosts_name(w->hosts, w->groups.rank[first]));
    }
}
