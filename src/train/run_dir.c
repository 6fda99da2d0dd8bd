/* run_dir.c - the folder of a training: experiment.yaml, metrics.jsonl, the checkpoints. */
#include "train/run_dir.h"

#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* runs/<name>-<date>, with -2, -3 ... where there is one already. */
static char *default_path(const char *name, vox_error *err)
{
    char date[32];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(date, sizeof date, "%Y%m%d-%H%M%S", &tm);
    char *path = vox_format(err, "runs/%s-%s", name, date);
    for (int i = 2; path && vox_path_exists(path); i++) {
        free(path);
        path = vox_format(err, "runs/%s-%s-%d", name, date, i);
    }
    return path;
}

static bool has(const char *dir, const char *name)
{
    char *path = vox_path_join(dir, name, NULL);
    bool there = path && vox_path_exists(path);
    free(path);
    return there;
}

static vox_status check(const vox_run_dir *run, bool resume, vox_error *err)
{
    /* What stopped before its first checkpoint (metrics without one) left nothing worth keeping; an
     * experiment.yaml alone may be somebody's own. */
    bool used = has(run->path, "last.safetensors") || has(run->path, "best.safetensors") ||
                (has(run->path, "experiment.yaml") && !has(run->path, "metrics.jsonl"));
    if (vox_path_exists(run->path) && !vox_path_is_dir(run->path)) {
        vox_fail(err, VOX_ERR_USAGE, "the run directory is a file");
        return vox_detail(err, "%s", run->path);
    }
    if (used && !resume) {
        vox_fail(err, VOX_ERR_USAGE, "the run directory already holds a run");
        vox_detail(err, "%s", run->path);
        return vox_hint(err, "continue it with --resume, or name another one with --run");
    }
    if (resume && !vox_path_exists(run->last)) {
        vox_fail(err, VOX_ERR_USAGE, "nothing to resume");
        vox_detail(err, "%s is not there", run->last);
        return vox_hint(err, has(run->path, "experiment.yaml")
                                 ? "it was stopped before its first checkpoint: start it again "
                                   "without --resume"
                                 : "name the run directory with --run");
    }
    return VOX_OK;
}

vox_status vox_run_dir_name(vox_run_dir *run, const char *path, vox_error *err)
{
    memset(run, 0, sizeof *run);
    run->path = vox_strdup(path, err);
    if (run->path) {
        run->last = vox_path_join(run->path, "last.safetensors", err);
        run->best = vox_path_join(run->path, "best.safetensors", err);
        run->metrics = vox_path_join(run->path, "metrics.jsonl", err);
        run->tuning = vox_path_join(run->path, "tuning.txt", err);
    }
    const bool good = run->tuning && run->path && run->last && run->best && run->metrics;
    return good ? VOX_OK : VOX_ERR_MEMORY;
}

vox_status vox_run_dir_init(vox_run_dir *run, const char *path, const char *name, bool resume,
                            vox_error *err)
{
    memset(run, 0, sizeof *run);
    if (resume && !path) {
        vox_fail(err, VOX_ERR_USAGE, "which run is to be resumed");
        return vox_hint(err, "name its directory with --run");
    }
    char *made = path ? NULL : default_path(name, err);
    if (!path && !made)
        return VOX_ERR_MEMORY;
    vox_status s = vox_run_dir_name(run, path ? path : made, err);
    free(made);
    return s == VOX_OK ? check(run, resume, err) : s;
}

void vox_run_dir_release(vox_run_dir *run)
{
    if (run->log)
        fclose(run->log); /* and with it the lock */
    free(run->path);
    free(run->last);
    free(run->best);
    free(run->metrics);
    free(run->tuning);
    memset(run, 0, sizeof *run);
}

/* Bytes of the lines that are whole and of steps up to `step`. */
static size_t lines_to_keep(const char *data, size_t size, int64_t step)
{
    static const char start[] = "{\"step\": ";
    size_t keep = 0;
    while (step > 0 && keep < size) {
        const char *line = data + keep, *end = memchr(line, '\n', size - keep);
        if (!end || strncmp(line, start, sizeof start - 1) != 0 ||
            strtoll(line + sizeof start - 1, NULL, 10) > step)
            break;
        keep = (size_t)(end - data) + 1;
    }
    return keep;
}

static vox_status open_log(vox_run_dir *run, int64_t step, vox_error *err)
{
    char *data = NULL;
    size_t size = 0;
    run->log = fopen(run->metrics, "abe");
    if (!run->log)
        return vox_fail_errno(err, "write", run->metrics);
    if (flock(fileno(run->log), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        vox_fail(err, VOX_ERR_USAGE, "another process is training in this run directory");
        return vox_detail(err, "%s", run->path);
    }
    vox_status s = vox_file_read(&data, &size, run->metrics, 0, err);
    if (s != VOX_OK)
        return s;
    size_t keep = lines_to_keep(data, size, step);
    free(data);
    if (keep < size && ftruncate(fileno(run->log), (off_t)keep) != 0)
        return vox_fail_errno(err, "shorten", run->metrics);
    return VOX_OK;
}

/* A killed process leaves what it was writing beside its place; the lock says nobody writes now. */
static void remove_left_over(const vox_run_dir *run)
{
    static const char *const written[] = {"last.safetensors.tmp", "best.safetensors.tmp",
                                          "experiment.yaml.tmp", "usage.json.tmp"};
    vox_names names;
    if (vox_dir_list(&names, run->path, NULL) != VOX_OK)
        return;
    for (size_t i = 0; i < names.count; i++) {
        for (size_t k = 0; k < sizeof written / sizeof *written; k++) {
            if (strncmp(names.name[i], written[k], strlen(written[k])) != 0)
                continue;
            char *path = vox_path_join(run->path, names.name[i], NULL);
            if (path)
                unlink(path);
            free(path);
        }
    }
    vox_names_release(&names);
}

vox_status vox_run_dir_start(vox_run_dir *run, const char *experiment, int64_t step, vox_error *err)
{
    char *path = vox_path_join(run->path, "experiment.yaml", err);
    vox_status s = path ? vox_mkdirs(run->path, err) : VOX_ERR_MEMORY;
    if (s == VOX_OK)
        s = open_log(run, step, err);
    if (s == VOX_OK)
        remove_left_over(run);
    if (s == VOX_OK)
        s = vox_file_write(path, experiment, strlen(experiment), err);
    free(path);
    return s;
}

vox_status vox_run_dir_log(vox_run_dir *run, vox_json *line, vox_error *err)
{
    char *text = vox_json_take(line, err);
    if (!text)
        return VOX_ERR_MEMORY;
    bool good = fprintf(run->log, "%s\n", text) > 0 && fflush(run->log) == 0;
    vox_status s = good ? VOX_OK : vox_fail_errno(err, "write", run->metrics);
    free(text);
    return s;
}

vox_status vox_run_dir_sync(vox_run_dir *run, vox_error *err)
{
    return fsync(fileno(run->log)) == 0 ? VOX_OK : vox_fail_errno(err, "write", run->metrics);
}
