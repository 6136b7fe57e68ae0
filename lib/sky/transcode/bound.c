/* The tree of fields that path, query and headers give. */
#include "bound.h"

#include <sky/codec/wire.h>

#include "out.h"

Bound *bound_find(Bound *parent, const SkyField *field) {
  for (Bound *child = parent->children; child != NULL; child = child->next)
    if (child->field == field)
      return child;
  return NULL;
}

const Bound *bound_find_oneof(const Bound *parent, const SkyField *field) {
  if (field->oneof < 0)
    return NULL;
  for (const Bound *child = parent->children; child != NULL; child = child->next) {
    const bool is_absent = child->is_leaf && child->origin == BOUND_HEADER && child->wire.size == 0;
    if (child->field->oneof == field->oneof && child->field != field && !is_absent)
      return child;
  }
  return NULL;
}

static Bound *add_child(SkyArena *arena, Bound *parent, const SkyField *field) {
  Bound *child = sky_arena_alloc(arena, sizeof(*child));
  if (child == NULL)
    return NULL;
  child->field = field;
  Bound **at = &parent->children;
  while (*at != NULL)
    at = &(*at)->next;
  *at = child;
  return child;
}

Bound *bound_reach(SkyArena *arena, Bound *root, const FieldPath *path) {
  Bound *node = root;
  for (size_t i = 0; i < path->count && node != NULL; i++) {
    Bound *child = bound_find(node, path->fields[i]);
    node = child != NULL ? child : add_child(arena, node, path->fields[i]);
  }
  return node;
}

static bool has_content(const Bound *bound) {
  if (bound->is_leaf)
    return bound->wire.size > 0;
  for (const Bound *child = bound->children; child != NULL; child = child->next)
    if (has_content(child))
      return true;
  return false;
}

void bound_emit(const Bound *parent, SkyBuf *out) {
  for (const Bound *child = parent->children; child != NULL; child = child->next) {
    if (child->emitted || !has_content(child))
      continue;
    if (child->is_leaf) {
      out_str(out, child->wire);
      continue;
    }
    out_str(out, (SkyStr){.data = (const char *)child->field->tag, .size = child->field->tag_size});
    const size_t start = sky_wire_begin_bytes(out);
    bound_emit(child, out);
    sky_wire_end_bytes(out, start);
  }
}

const char *bound_origin_name(const Bound *bound) {
  switch (bound->origin) {
  case BOUND_PATH:
    return "the path";
  case BOUND_QUERY:
    return "the query";
  case BOUND_HEADER:
    break;
  }
  return "a header";
}
