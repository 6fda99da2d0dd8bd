/* methods.c - the options that say how kernels are chosen, shared by several commands. */
#include "cli.h"

#include <string.h>

int cli_methods_get(vox_methods *out, const cli_methods *m, const char *command)
{
    static const char *const modes[] = {"off", "quick", "full", NULL};
    int mode = 0;
    while (m->tune && modes[mode] && strcmp(modes[mode], m->tune) != 0)
        mode++;
    if (!modes[mode])
        return cli_usage(command, NULL, "--tune takes off, quick or full, not \"%s\"", m->tune);
    *out = (vox_methods){.tune = (vox_tune_mode)mode,
                         .budget_s = (double)m->budget.value,
                         .workspace_bytes = (uint64_t)m->workspace.value << 20,
                         .algo = m->algo};
    return CLI_GO;
}
