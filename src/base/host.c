/* host.c - what the machine under the program has left. */
#include "base/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t vox_meminfo_bytes(const char *text, const char *key)
{
    const size_t length = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == ':')
            return strtoull(line + length + 1, NULL, 10) * 1024;
    }
    return 0;
}

/* The first bytes of a small file; "" if it cannot be read. */
static void read_start(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "r");
    size_t got = f ? fread(text, 1, size - 1, f) : 0;
    text[got] = '\0';
    if (f)
        fclose(f);
}

/* What is left of the limit that the container has, if there is one ("max" is none). */
static uint64_t group_free_bytes(void)
{
    char limit[64], used[64];
    read_start("/sys/fs/cgroup/memory.max", limit, sizeof limit);
    read_start("/sys/fs/cgroup/memory.current", used, sizeof used);
    const uint64_t most = strtoull(limit, NULL, 10), now = strtoull(used, NULL, 10);
    if (most == 0)
        return UINT64_MAX;
    return most > now ? most - now : 0;
}

uint64_t vox_host_free_bytes(void)
{
    char text[8192];
    read_start("/proc/meminfo", text, sizeof text);
    const uint64_t there = vox_meminfo_bytes(text, "MemAvailable"), group = group_free_bytes();
    return there < group ? there : group;
}
