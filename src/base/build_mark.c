/* build_mark.c - telling builds apart. */
#define _GNU_SOURCE
#include "base/build_mark.h"

#include "base/hash.h"
#include "voxcl.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

/* Whether the code of this file lies in the object. */
static bool is_ours(const struct dl_phdr_info *object)
{
    const uintptr_t here = (uintptr_t)&vox_build_mark;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &object->dlpi_phdr[i];
        const uintptr_t at = object->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_LOAD && here >= at && here < at + p->p_memsz)
            return true;
    }
    return false;
}

/* The build id is a note: header, name "GNU", and the id, each padded to four bytes. */
static void hash_notes(uint64_t *mark, uintptr_t at, size_t bytes)
{
    for (size_t used = 0; used + sizeof(ElfW(Nhdr)) <= bytes;) {
        const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)(at + used);
        const size_t name = (note->n_namesz + 3u) & ~(size_t)3;
        const size_t size = sizeof *note + name + ((note->n_descsz + 3u) & ~(size_t)3);
        if (size > bytes - used)
            return;
        if (note->n_type == NT_GNU_BUILD_ID)
            *mark = vox_hash(*mark, (const char *)(note + 1) + name, note->n_descsz);
        used += size;
    }
}

static int visit(struct dl_phdr_info *object, size_t size, void *mark)
{
    (void)size;
    if (!is_ours(object))
        return 0;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &object->dlpi_phdr[i];
        if (p->p_type == PT_NOTE)
            hash_notes(mark, object->dlpi_addr + p->p_vaddr, p->p_memsz);
    }
    return 1;
}

uint64_t vox_build_mark(void)
{
    const char *version = vox_version();
    uint64_t mark = vox_hash(VOX_HASH_START, version, strlen(version));
    dl_iterate_phdr(visit, &mark);
    return mark;
}
