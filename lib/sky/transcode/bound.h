/*
 * Bound: fields of a request that path, query and headers give, as a tree beside the message's own. Private to the
 * transcoder.
 *
 * The JSON reader walks it along with the body: it refuses a body that contradicts a bound field, and writes the bound
 * fields into the message they belong to.
 */
#pragma once

#include <sky/core/arena.h>
#include <sky/core/buf.h>

#include "descriptor.h"

typedef enum BoundOrigin { BOUND_PATH, BOUND_QUERY, BOUND_HEADER } BoundOrigin;

typedef struct Bound {
  const SkyField *field;
  struct Bound *children; /* of a message on the way to bound fields */
  struct Bound *next;
  bool is_leaf;
  BoundOrigin origin; /* of a leaf */
  SkyStr wire;  /* of a leaf: the field as it is written, tag included; empty for a zero without presence or an absent
                   header */
  bool emitted; /* written into the body's message of that name */
} Bound;

/* The node of a field among the children of a node (whose own field is of no matter); NULL when absent. */
Bound *bound_find(Bound *parent, const SkyField *field);
/* A child that is another member of the same oneof; NULL when absent. */
const Bound *bound_find_oneof(const Bound *parent, const SkyField *field);
/* The node of a field path below the root, made as needed. NULL without memory. Shorter paths that are leaves stay
 * leaves. */
Bound *bound_reach(SkyArena *arena, Bound *root, const FieldPath *path);
/* Writes the children of a node that have not been written. */
void bound_emit(const Bound *parent, SkyBuf *out);
/* "the path", "the query", "a header" */
const char *bound_origin_name(const Bound *bound);
