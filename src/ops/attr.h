/* attr.h - reading the keys of a map into a struct by a table of vox_attr: layers, optimisers,
 * schedules. */
#ifndef VOX_OPS_ATTR_H
#define VOX_OPS_ATTR_H

#include "base/yaml.h"
#include "ops/op.h"

/* map: the keys as written; NULL or of kind VOX_YAML_NULL when there are none.  more: further keys
 * that are fine and read elsewhere (ends with NULL), or NULL.  place: the node to blame for a
 * missing key when there is no map.  Unknown keys, wrong types, values out of range and missing
 * required keys are VOX_ERR_INPUT at their place; `what` names the owner ("layer conv1 (conv)"). */
vox_status vox_attr_read(const vox_attr *attrs, void *out, const char *what,
                         const char *const *more, const vox_yaml_node *map,
                         const vox_yaml_node *place, vox_error *err);

/* "{smooth: 1, weights: [1, 2]}": the keys whose values are not their defaults; "" if there are
 * none.  Cut off at `size` bytes. */
void vox_attr_text(const vox_attr *attrs, const void *values, char *out, size_t size);

#endif
