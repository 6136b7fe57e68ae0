/* Text from path, query and headers to fields; what contradicts something given before is refused. */
#include "bind.h"

#include <string.h>

#include "load.h"
#include "percent.h"

enum { MAX_PARAMETERS = 256 };

/* A place for every field of a path, each inside the one before. */
typedef struct PlaceChain {
  Place places[LOAD_MAX_PATH + 1];
} PlaceChain;

static const Place *chain_init(PlaceChain *chain, const FieldPath *path) {
  chain->places[0] = PLACE_ROOT;
  for (size_t i = 0; i < path->count; i++)
    chain->places[i + 1] = (Place){.parent = &chain->places[i], .field = path->fields[i], .index = -1};
  return &chain->places[path->count];
}

/* A place that is named by text instead of fields: a header, an unknown parameter. */
static bool refuse_named(Binder *binder, SkyStr name, const char *what) {
  const Place root = PLACE_ROOT;
  const Place place = {.parent = &root, .key = name, .index = -1};
  return reader_violation(binder->reader, &place, "%s", what);
}

/* ---- one value ---- */

static const SkyField *leaf_of(const FieldPath *path) {
  return path->fields[path->count - 1];
}

/* Refuses a path that sets another member of a oneof than one that is bound already. */
static bool find_conflict(const Binder *binder, const FieldPath *path, const Bound **ret_other) {
  const Bound *node = &binder->root;
  *ret_other = NULL;
  for (size_t i = 0; i < path->count && node != NULL && *ret_other == NULL; i++) {
    *ret_other = bound_find_oneof(node, path->fields[i]);
    const Bound *child = node->children;
    while (child != NULL && child->field != path->fields[i])
      child = child->next;
    node = child;
  }
  return *ret_other != NULL;
}

/* Converts the text; *ret_wire is the field as it is written, in the arena. */
static bool encode(Binder *binder, const FieldPath *path, const SkyStr *key, SkyStr text, const Place *place,
                   SkyStr *ret_wire) {
  Reader *reader = binder->reader;
  const SkyField *field = leaf_of(path);
  const size_t start = reader->out->size;
  if (!(key != NULL ? read_text_entry(reader, field, *key, text, place) : read_text_value(reader, field, text, place)))
    return false;
  const size_t size = reader->out->size - start;
  char *copy = sky_arena_alloc(reader->arena, size);
  if (copy == NULL)
    return reader_no_memory(reader);
  if (size > 0)
    memcpy(copy, reader->out->data + start, size);
  reader->out->size = start;
  *ret_wire = (SkyStr){.data = copy, .size = size};
  return true;
}

static bool append_wire(Binder *binder, Bound *leaf, SkyStr wire) {
  char *both = sky_arena_alloc(binder->reader->arena, leaf->wire.size + wire.size);
  if (both == NULL)
    return reader_no_memory(binder->reader);
  memcpy(both, leaf->wire.data, leaf->wire.size);
  memcpy(both + leaf->wire.size, wire.data, wire.size);
  leaf->wire = (SkyStr){.data = both, .size = leaf->wire.size + wire.size};
  return true;
}

/* What a second value for the same field means. */
static bool merge_leaf(Binder *binder, Bound *leaf, SkyStr wire, BoundOrigin origin, const Place *place) {
  Reader *reader = binder->reader;
  if (leaf->origin == BOUND_HEADER)
    return reader_violation(reader, place, "is taken from a header and cannot be given otherwise");
  if (leaf->origin == origin && leaf->field->repeated)
    return append_wire(binder, leaf, wire);
  if (leaf->origin == origin)
    return reader_violation(reader, place, "is given twice");
  return sky_str_equal(leaf->wire, wire) ||
         reader_violation(reader, place, "contradicts the value that %s gives", bound_origin_name(leaf));
}

static bool bind_text(Binder *binder, const FieldPath *path, const SkyStr *key, SkyStr text, BoundOrigin origin) {
  Reader *reader = binder->reader;
  PlaceChain chain;
  const Place *place = chain_init(&chain, path);
  const Bound *other = NULL;
  SkyStr wire;
  if (find_conflict(binder, path, &other))
    return reader_violation(reader, place, "cannot be given together with %.*s", SKY_STR_ARGS(other->field->json_name));
  if (!encode(binder, path, key, text, place, &wire))
    return false;
  Bound *leaf = bound_reach(reader->arena, &binder->root, path);
  if (leaf == NULL)
    return reader_no_memory(reader);
  if (leaf->is_leaf)
    return merge_leaf(binder, leaf, wire, origin, place);
  leaf->is_leaf = true;
  leaf->origin = origin;
  leaf->wire = wire;
  return true;
}

/* ---- headers ---- */

static SkyStr without_quotes(SkyStr text) {
  if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"')
    return (SkyStr){.data = text.data + 1, .size = text.size - 2};
  return text;
}

/* If-Match may list several tags, and a field holds one. */
static bool read_entity_tag(SkyStr header, SkyStr *ret) {
  if (sky_str_starts_with(header, SKY_STR("W/")))
    header = (SkyStr){.data = header.data + 2, .size = header.size - 2};
  *ret = without_quotes(header);
  return ret->size == 0 || memchr(ret->data, '"', ret->size) == NULL;
}

static bool bind_header(Binder *binder, HeaderField header, SkyStr value) {
  const FieldPath *path = &binder->binding->entry->headers[header];
  if (path->count == 0)
    return true; /* the method does not take it */
  if (value.size > 0)
    return bind_text(binder, path, NULL, value, BOUND_HEADER);
  Bound *leaf = bound_reach(binder->reader->arena, &binder->root, path);
  if (leaf == NULL)
    return reader_no_memory(binder->reader);
  leaf->is_leaf = true; /* empty, but nothing else may fill it */
  leaf->origin = BOUND_HEADER;
  return true;
}

bool bind_headers(Binder *binder, const SkyHttpRequest *request) {
  SkyStr tag = SKY_STR("");
  if (!read_entity_tag(request->if_match, &tag) && !refuse_named(binder, SKY_STR("If-Match"), "must be one entity tag"))
    return false;
  return bind_header(binder, HEADER_IDEMPOTENCY_KEY, without_quotes(request->idempotency_key)) &&
         bind_header(binder, HEADER_IF_MATCH, tag) && bind_header(binder, HEADER_LAST_EVENT_ID, request->last_event_id);
}

/* ---- path ---- */

bool bind_path(Binder *binder, const SkyRoute *route) {
  const Template *template = &binder->binding->template;
  for (size_t i = 0; i < route->value_count; i++) {
    const Variable *variable = &template->variables[i];
    const PercentRules rules = variable->multi ? PERCENT_MULTI_SEGMENT : PERCENT_SEGMENT;
    SkyStr text;
    switch (percent_decode(route->values[i], rules, binder->reader->arena, &text)) {
    case PERCENT_OK:
      break;
    case PERCENT_NO_MEMORY:
      return reader_no_memory(binder->reader);
    case PERCENT_MALFORMED: /* the router has refused such a path */
      return refuse_named(binder, leaf_of(&variable->path)->json_name, "has malformed percent-encoding") && false;
    }
    if (!bind_text(binder, &variable->path, NULL, text, BOUND_PATH))
      return false;
  }
  return true;
}

/* ---- query ---- */

/* A parameter's name taken apart: "a.b.labels[key]". */
typedef struct Parameter {
  SkyStr name; /* as given, for messages */
  const SkyField *fields[LOAD_MAX_PATH];
  FieldPath path;
  SkyStr key;
  bool has_key;
} Parameter;

static bool can_be_text(const SkyField *field, bool has_key) {
  if (field->map)
    return has_key && (field->message->fields[1].message == NULL);
  if (has_key)
    return false;
  if (field->message == NULL)
    return true;
  const WellKnown known = field->message->well_known;
  return known == WELL_KNOWN_TIMESTAMP || known == WELL_KNOWN_DURATION || known == WELL_KNOWN_FIELD_MASK ||
         known == WELL_KNOWN_WRAPPER;
}

static bool resolve_name(const SkyMessageType *type, SkyStr name, Parameter *ret) {
  ret->path = (FieldPath){.fields = ret->fields, .count = 0};
  for (bool more = true; more;) {
    SkyStr part = name;
    more = sky_str_cut(&name, '.', &part);
    if (!more)
      part = name;
    const bool can_go_on = type != NULL && type->well_known == PLAIN_MESSAGE && ret->path.count < LOAD_MAX_PATH;
    const SkyField *field = can_go_on ? message_field_by_name(type, part, 0) : NULL;
    if (field == NULL || (more && (field->repeated || field->type != PROTO_MESSAGE)))
      return false;
    ret->fields[ret->path.count++] = field;
    type = field->message;
  }
  return true;
}

/* Takes "[key]" off the end of a name. */
static void split_key(SkyStr *name, Parameter *ret) {
  const char *open = name->size == 0 ? NULL : memchr(name->data, '[', name->size);
  ret->has_key = open != NULL && name->data[name->size - 1] == ']';
  if (!ret->has_key)
    return;
  ret->key = (SkyStr){.data = open + 1, .size = (size_t)(name->data + name->size - 1 - (open + 1))};
  name->size = (size_t)(open - name->data);
}

static bool bind_parameter(Binder *binder, SkyStr name, SkyStr value, bool in_body) {
  const SkyBinding *binding = binder->binding;
  Parameter parameter = {.name = name};
  split_key(&name, &parameter);
  const bool whole_body = binding->body_is_request && !in_body;
  if (whole_body || !resolve_name(binding->entry->method.request, name, &parameter))
    return binder->ignore_unknown ||
           refuse_named(binder, parameter.name,
                        in_body ? "is not a field of this form" : "is not a query parameter of this method");
  if (parameter.fields[0] == binding->body && !in_body)
    return refuse_named(binder, parameter.name, "belongs into the body, not into the query");
  if (!can_be_text(leaf_of(&parameter.path), parameter.has_key))
    return refuse_named(binder, parameter.name, "is not a field that fits into a query parameter");
  return bind_text(binder, &parameter.path, parameter.has_key ? &parameter.key : NULL, value, BOUND_QUERY);
}

static bool decode_parameter(Binder *binder, SkyStr raw, SkyStr *ret, bool *ret_go_on) {
  const PercentOutcome outcome = percent_decode(raw, PERCENT_QUERY, binder->reader->arena, ret);
  *ret_go_on = true;
  if (outcome == PERCENT_NO_MEMORY)
    *ret_go_on = reader_no_memory(binder->reader);
  else if (outcome == PERCENT_MALFORMED)
    *ret_go_on = refuse_named(binder, raw, "has malformed percent-encoding");
  return outcome == PERCENT_OK;
}

bool bind_query(Binder *binder, SkyStr query, bool in_body) {
  size_t count = 0;
  bool go_on = true;
  for (bool more = query.size > 0; more && go_on;) {
    SkyStr pair = query;
    more = sky_str_cut(&query, '&', &pair);
    if (!more)
      pair = query;
    if (pair.size == 0)
      continue;
    if (++count > MAX_PARAMETERS)
      return refuse_named(binder, SKY_STR("query"), "has too many parameters") && false;
    SkyStr name = pair;
    SkyStr value = pair;
    if (!sky_str_cut(&value, '=', &name)) {
      name = pair;
      value = SKY_STR("");
    }
    if (decode_parameter(binder, name, &name, &go_on) && decode_parameter(binder, value, &value, &go_on))
      go_on = bind_parameter(binder, name, value, in_body);
  }
  return go_on;
}
