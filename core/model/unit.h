/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MODEL_UNIT_H
#define PARE_MODEL_UNIT_H

#include <stdbool.h>
#include <stddef.h>

#include <pare/plugin.h>

#include "base/mem.h"
#include "base/status.h"

struct pare_graph;

/* Units are views computed from a graph: what plugins and people speak of. The list is in execution
 * order, kind by kind; strings live in its pool. It stays valid when the graph changes, but then
 * describes the old one. */
struct pare_units {
    struct pare_unit *items;
    size_t n;
    struct pare_pool pool;
};

/* All units of the kinds in `kinds` (mask of enum pare_unit_kind). Release with pare_units_free().
 */
int pare_units_of(const struct pare_graph *graph, unsigned kinds, struct pare_units *out,
                  struct pare_error *err);
void pare_units_free(struct pare_units *units);

/* Whether one selector takes the unit: a glob over its path ("layer.*.attn.**"; "*" alone is
 * everything), or "role:NAME" with a glob over its role. A selector that takes a branch or block
 * also takes the units in it, and one that takes a linear its basis. */
bool pare_unit_selected(const struct pare_unit *unit, const char *selector);

/* on (any of; none given: all) minus except. */
bool pare_unit_chosen(const struct pare_unit *unit, const char *const *on, size_t n_on,
                      const char *const *except, size_t n_except);

/* "linear", "head", ... for a kind; 0 for a name that is none. */
const char *pare_unit_kind_name(unsigned kind);
unsigned pare_unit_kind_from(const char *name);
/* Why a model may have no unit of the kinds in the mask; NULL: nothing is known to say. */
const char *pare_unit_kinds_missing(unsigned kinds);

#endif
