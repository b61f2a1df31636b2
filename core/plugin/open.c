/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin/open.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "plugin/fpstate.h"

static const char *narrow;

void pare_plugin_open_narrowed(const char *hint)
{
    narrow = hint;
}

/* What dlopen() says of other files, "file too short", helps nobody. */
static bool is_elf(const char *path)
{
    char magic[4] = "";
    FILE *f = fopen(path, "rbe");
    const bool elf = !f || (fread(magic, 1, 4, f) == 4 && memcmp(magic, "\177ELF", 4) == 0);
    if (f)
        fclose(f);
    return elf;
}

/* Constructors and the entry run with the floating-point control at its default, so that turning on
 * flush-to-zero is seen even in a process that has it on. */
int pare_plugin_open(const char *path, const struct pare_plugin **out, struct pare_error *err)
{
    const struct pare_plugin *theirs = NULL;
    pare_plugin_entry entry;
    unsigned before = pare_fp_control();
    pare_fp_set_control(PARE_FP_DEFAULT);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    void *symbol = handle ? dlsym(handle, PARE_PLUGIN_ENTRY) : NULL;
    if (symbol) {
        memcpy(&entry, &symbol, sizeof entry); /* dlsym() hands out an object pointer */
        theirs = entry();
    }
    unsigned after = pare_fp_control();
    pare_fp_set_control(before);
    if (!handle) {
        const char *why = dlerror();
        if (!is_elf(path)) {
            pare_error_set(err, PARE_UNSUPPORTED, "cannot load %s: it is no shared object", path);
            pare_error_hint(err, "a plugin is compiled, with -shared -fPIC: `pare plugin new`");
            return PARE_UNSUPPORTED;
        }
        pare_error_set(err, PARE_UNSUPPORTED, "cannot load %s", path);
        pare_error_detail(err, "%s", why ? why : "no reason given");
        if (narrow)
            pare_error_hint(err, "%s", narrow);
        else
            pare_error_hint(err, "ldd %s shows what it needs", path);
        return PARE_UNSUPPORTED;
    }
    if (after != PARE_FP_DEFAULT) {
        pare_error_set(err, PARE_INVALID, "%s changes the floating-point state when it is loaded",
                       path);
        pare_error_hint(err, "it was linked with -ffast-math or -Ofast: link it without");
        return PARE_INVALID;
    }
    if (!symbol) {
        pare_error_set(err, PARE_INVALID, "%s is no Pare plugin: it has no %s", path,
                       PARE_PLUGIN_ENTRY);
        pare_error_hint(err, "PARE_PLUGIN(descriptor) in its source defines it");
        return PARE_INVALID;
    }
    if (!theirs)
        return pare_error_set(err, PARE_INVALID,
                              "the plugin %s is not well formed: it returned no descriptor", path);
    if (theirs->abi_major != PARE_ABI_MAJOR) {
        pare_error_set(err, PARE_INVALID,
                       "the plugin %s was built for ABI %u.%u, this program has %d.%d", path,
                       theirs->abi_major, theirs->abi_minor, PARE_ABI_MAJOR, PARE_ABI_MINOR);
        pare_error_hint(err, "build it against this program's <pare/plugin.h>");
        return PARE_INVALID;
    }
    *out = theirs;
    return PARE_OK;
}
