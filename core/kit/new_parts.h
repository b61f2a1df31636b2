/* SPDX-License-Identifier: Apache-2.0 */
/* The files of share/template, as embed.awk writes them. Internal to core/kit. */
#ifndef PARE_KIT_NEW_PARTS_H
#define PARE_KIT_NEW_PARTS_H

#include <stddef.h>

struct pare_template_file {
    const char *name, *text;
};
extern const struct pare_template_file pare_template_files[];
extern const size_t pare_n_template_files;

#endif
