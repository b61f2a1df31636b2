/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said of a plugin without running it: the file, its descriptor. */
#include "kit/check_parts.h"

#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "plugin/descriptor.h"

void pare_check_handshake(struct pare_check *check)
{
    if (check->file)
        return;
    pare_check_say(check, PARE_CHECK_FAIL, "%s%s%s%s%s", check->why.what,
                   check->why.detail[0] ? ": " : "", check->why.detail,
                   check->why.hint[0] ? "; " : "", check->why.hint);
}

/* ---- the shared object
 * -------------------------------------------------------------------------- */

/* Call `look` for every section of a type. */
static void each_section(struct pare_check *check, GElf_Word type,
                         void (*look)(struct pare_check *, Elf *, const GElf_Shdr *, Elf_Data *))
{
    Elf_Scn *section = NULL;
    const int fd = open(check->file->path, O_RDONLY | O_CLOEXEC);
    Elf *elf =
        fd >= 0 && elf_version(EV_CURRENT) != EV_NONE ? elf_begin(fd, ELF_C_READ_MMAP, NULL) : NULL;
    if (!elf || elf_kind(elf) != ELF_K_ELF)
        pare_check_say(check, PARE_CHECK_SKIP, "no ELF file");
    while (elf && (section = elf_nextscn(elf, section))) {
        GElf_Shdr header;
        Elf_Data *data;
        if (gelf_getshdr(section, &header) && header.sh_type == type &&
            (data = elf_getdata(section, NULL)))
            look(check, elf, &header, data);
    }
    elf_end(elf);
    if (fd >= 0)
        close(fd);
}

static void look_at_symbols(struct pare_check *check, Elf *elf, const GElf_Shdr *header,
                            Elf_Data *data)
{
    /* what linkers put there by themselves */
    static const char *const usual[] = {PARE_PLUGIN_ENTRY, "_init",       "_fini",
                                        "__bss_start",     "_edata",      "_end",
                                        "_IO_stdin_used",  "__odr_asan*", "__asan_*"};
    struct pare_str extra = {0};
    GElf_Sym symbol;
    const size_t n = header->sh_entsize ? data->d_size / header->sh_entsize : 0;
    for (size_t i = 0; i < n && gelf_getsym(data, (int)i, &symbol); i++) {
        const char *name = elf_strptr(elf, header->sh_link, symbol.st_name);
        bool known = symbol.st_shndx == SHN_UNDEF || !name || !*name ||
                     GELF_ST_BIND(symbol.st_info) == STB_LOCAL ||
                     GELF_ST_VISIBILITY(symbol.st_other) == STV_HIDDEN;
        for (size_t k = 0; k < PARE_COUNT(usual) && !known; k++)
            known = pare_glob_match(usual[k], name);
        if (!known && extra.len < 200)
            pare_str_printf(&extra, "%s%s", extra.len ? ", " : "", name);
    }
    if (extra.len)
        pare_check_say(check, PARE_CHECK_WARN,
                       "exports %s too: names of two plugins can meet; build it with "
                       "-fvisibility=hidden, and declare what is not PARE_EXPORT static",
                       extra.data);
    pare_str_free(&extra);
}

void pare_check_symbols(struct pare_check *check)
{
    each_section(check, SHT_DYNSYM, look_at_symbols);
}

static void look_at_libraries(struct pare_check *check, Elf *elf, const GElf_Shdr *header,
                              Elf_Data *data)
{
    static const struct {
        const char *name, *why;
        enum pare_check_level level;
    } known[] = {
        {"libc.so.*", NULL, PARE_CHECK_PASS},
        {"libm.so.*", NULL, PARE_CHECK_PASS},
        {"ld-linux*", NULL, PARE_CHECK_PASS},
        {"libgcc_s.so.*", NULL, PARE_CHECK_PASS},
        {"libasan.so.*", NULL, PARE_CHECK_PASS},
        {"libubsan.so.*", NULL, PARE_CHECK_PASS},
        {"libstdc++.so.*", "fine where it is installed", PARE_CHECK_NOTE},
        {"libgomp.so.*", "its threads would take the host's cores: use PARE_EXT_PARALLEL",
         PARE_CHECK_FAIL},
        {"libomp.so*", "its threads would take the host's cores: use PARE_EXT_PARALLEL",
         PARE_CHECK_FAIL},
        {"libpare*", "services arrive as tables: link to nothing of Pare's", PARE_CHECK_FAIL},
        {"*", "who gets the plugin needs it, too", PARE_CHECK_WARN},
    };
    GElf_Dyn entry;
    const size_t n = header->sh_entsize ? data->d_size / header->sh_entsize : 0;
    for (size_t i = 0; i < n && gelf_getdyn(data, (int)i, &entry); i++) {
        const char *name =
            entry.d_tag == DT_NEEDED ? elf_strptr(elf, header->sh_link, entry.d_un.d_val) : NULL;
        size_t k = 0;
        while (name && !pare_glob_match(known[k].name, name))
            k++;
        if (name && known[k].why)
            pare_check_say(check, known[k].level, "links to %s: %s", name, known[k].why);
    }
}

void pare_check_libraries(struct pare_check *check)
{
    each_section(check, SHT_DYNAMIC, look_at_libraries);
}

/* Once it is loaded, the file is in the page cache and a second name of it is another object. */
void pare_check_load_time(struct pare_check *check)
{
    const double limit = 0.1;
    char name[64];
    const int fd = open(check->file->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    /* of the CPU: how busy the machine is, is not the plugin's affair */
    struct timespec before, after;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    void *again = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    const double took =
        (double)(after.tv_sec - before.tv_sec) + 1e-9 * (double)(after.tv_nsec - before.tv_nsec);
    close(fd);
    if (!again)
        pare_check_say(check, PARE_CHECK_NOTE, "cannot be timed: %s", dlerror());
    else if (took > limit)
        pare_check_say(check, PARE_CHECK_WARN,
                       "takes %.0f ms to load: do the work in its entry points", took * 1e3);
}

/* ---- what it says of itself
 * --------------------------------------------------------------------- */

static bool has(const char *text)
{
    return text && *text;
}

static bool is_version(const char *text)
{
    int parts = 0;
    while (isdigit((unsigned char)*text)) {
        while (isdigit((unsigned char)*text))
            text++;
        parts++;
        if (*text != '.')
            break;
        text++;
    }
    return parts == 3 && !*text;
}

/* The host takes such a plugin, and refuses each pipeline that has both. */
static void look_at_order(struct pare_check *check, const struct pare_plugin *p)
{
    struct pare_pool pool = {0};
    const char **ids = p->precedes ? pare_descriptor_selectors(&pool, p->precedes) : NULL;
    for (size_t i = 0; ids && ids[i]; i++) {
        if (pare_plugin_lists(p->follows, ids[i]))
            pare_check_say(check, PARE_CHECK_FAIL,
                           "`precedes` and `follows` both name '%s': no pipeline can have the two",
                           ids[i]);
    }
    pare_pool_free(&pool);
}

/* What has to be there is there: else it would not have been loaded. */
void pare_check_metadata(struct pare_check *check)
{
    const struct pare_plugin *p = &check->file->desc;
    look_at_order(check, p);
    if (strchr(p->summary, '\n') || strlen(p->summary) > 100)
        pare_check_say(check, PARE_CHECK_WARN, "`summary` is not one line of at most 100 bytes");
    if (!is_version(p->version))
        pare_check_say(check, PARE_CHECK_WARN, "`version` is not MAJOR.MINOR.PATCH");
    if (pare_plugin_transforms(p) && !has(p->label))
        pare_check_say(check, PARE_CHECK_WARN,
                       "`label` is missing: variants are named by it, \"q{bits}\"");
    if (!(p->flags & PARE_DETERMINISTIC))
        pare_check_say(check, PARE_CHECK_NOTE,
                       "does not promise PARE_DETERMINISTIC: its variants cannot be built again");
    if (strncmp(p->id, "org.example.", 12) == 0)
        pare_check_say(check, PARE_CHECK_NOTE,
                       "its id begins with org.example: take a domain that you have");
    if (strchr(p->id, '.') && !has(p->url))
        pare_check_say(check, PARE_CHECK_NOTE, "`url` is missing: where are questions asked?");
}
