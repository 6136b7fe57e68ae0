/* HTTP rules compiled into bindings and put into the trie; two that match the same paths are refused. */
#include "load.h"

#include <string.h>

/* Field numbers of google/api/http.proto. */
enum {
  RULE_GET = 2,
  RULE_PUT = 3,
  RULE_POST = 4,
  RULE_DELETE = 5,
  RULE_PATCH = 6,
  RULE_BODY = 7,
  RULE_CUSTOM = 8,
  RULE_ADDITIONAL = 11,
  RULE_RESPONSE_BODY = 12,
  CUSTOM_KIND = 1,
  CUSTOM_PATH = 2,
};

/* ---- the trie ---- */

static int compare_literals(SkyStr a, SkyStr b) {
  const size_t common = a.size < b.size ? a.size : b.size;
  const int order = memcmp(a.data, b.data, common);
  if (order != 0)
    return order;
  return a.size < b.size ? -1 : a.size > b.size;
}

static RouteNode *node_create(SkyContracts *contracts, RouteNode **at, SkyStr literal) {
  RouteNode *node = sky_arena_alloc(&contracts->arena, sizeof(*node));
  if (node == NULL)
    return NULL;
  node->literal = literal;
  node->next = *at;
  *at = node;
  return node;
}

static RouteNode *child_of(SkyContracts *contracts, RouteNode *node, const Segment *segment) {
  if (segment->kind == SEGMENT_STAR)
    return node->star != NULL ? node->star : node_create(contracts, &node->star, SKY_STR(""));
  if (segment->kind == SEGMENT_REST)
    return node->rest != NULL ? node->rest : node_create(contracts, &node->rest, SKY_STR(""));
  RouteNode **at = &node->literals;
  while (*at != NULL && compare_literals((*at)->literal, segment->literal) < 0)
    at = &(*at)->next;
  if (*at != NULL && sky_str_equal((*at)->literal, segment->literal))
    return *at;
  return node_create(contracts, at, segment->literal);
}

static Terminal *terminal_of(SkyContracts *contracts, RouteNode *node, SkyStr verb) {
  for (Terminal *terminal = node->terminals; terminal != NULL; terminal = terminal->next)
    if (sky_str_equal(terminal->verb, verb))
      return terminal;
  Terminal *terminal = sky_arena_alloc(&contracts->arena, sizeof(*terminal));
  if (terminal == NULL)
    return NULL;
  terminal->verb = verb;
  terminal->next = node->terminals;
  node->terminals = terminal;
  return terminal;
}

static SkyStatus trie_add(SkyContracts *contracts, SkyBinding *binding) {
  RouteNode *node = &contracts->root;
  const Template *template = &binding->template;
  for (size_t i = 0; i < template->segment_count && node != NULL; i++)
    node = child_of(contracts, node, &template->segments[i]);
  Terminal *terminal = node == NULL ? NULL : terminal_of(contracts, node, template->verb);
  if (terminal == NULL)
    return sky_status_no_memory();
  for (const SkyBinding *other = terminal->bindings; other != NULL; other = other->next)
    if (sky_str_equal(other->http_method, binding->http_method))
      return SKY_INVALID_ARGUMENT("%.*s %.*s matches the same paths as %.*s of %.*s",
                                  SKY_STR_ARGS(binding->http_method), SKY_STR_ARGS(template->text),
                                  SKY_STR_ARGS(other->template.text), SKY_STR_ARGS(other->entry->method.full_name));
  binding->next = terminal->bindings;
  terminal->bindings = binding;
  contracts->has_verbs = contracts->has_verbs || template->verb.size > 0;
  return SKY_OK;
}

static SkyStatus list_add(SkyContracts *contracts, SkyBinding *binding) {
  if (contracts->binding_count == LOAD_MAX_BINDINGS)
    return SKY_RESOURCE_EXHAUSTED("the set has more than %d routes", LOAD_MAX_BINDINGS);
  if (contracts->binding_count == contracts->binding_capacity) {
    const size_t capacity = contracts->binding_capacity == 0 ? 64 : contracts->binding_capacity * 2;
    SkyBinding **list = sky_arena_alloc(&contracts->arena, capacity * sizeof(SkyBinding *));
    if (list == NULL)
      return sky_status_no_memory();
    if (contracts->binding_count > 0)
      memcpy(list, contracts->binding_list, contracts->binding_count * sizeof(SkyBinding *));
    contracts->binding_list = list;
    contracts->binding_capacity = capacity;
  }
  contracts->binding_list[contracts->binding_count++] = binding;
  return SKY_OK;
}

/* ---- the rule ---- */

static SkyStatus read_custom(SkyBinding *binding, SkyStr custom, SkyStr *path) {
  binding->http_method = load_find_bytes(custom, CUSTOM_KIND);
  *path = load_find_bytes(custom, CUSTOM_PATH);
  for (size_t i = 0; i < binding->http_method.size; i++) {
    const char c = binding->http_method.data[i];
    if ((c < 'A' || c > 'Z') && c != '-' && c != '_' && !(c == '*' && binding->http_method.size == 1))
      return SKY_INVALID_ARGUMENT("custom kind \"%.*s\" is no HTTP method", SKY_STR_ARGS(binding->http_method));
  }
  return binding->http_method.size > 0 ? SKY_OK : SKY_INVALID_ARGUMENT("a custom rule has no kind");
}

/* Of the oneof `pattern`, the last one on the wire counts. */
static SkyStatus read_pattern(SkyBinding *binding, SkyStr rule, SkyStr *path) {
  static const char *const methods[] = {
      [RULE_GET] = "GET", [RULE_PUT] = "PUT", [RULE_POST] = "POST", [RULE_DELETE] = "DELETE", [RULE_PATCH] = "PATCH"};
  SkyWireReader reader = sky_wire_reader(rule.data, rule.size);
  SkyWireField field;
  for (bool done = false;;) {
    SKY_TRY(load_next(&reader, &field, &done));
    if (done)
      return path->size > 0 ? SKY_OK : SKY_INVALID_ARGUMENT("an http rule has no path");
    if (field.type != SKY_WIRE_BYTES)
      continue;
    if (field.number >= RULE_GET && field.number <= RULE_PATCH) {
      binding->http_method = sky_str(methods[field.number]);
      *path = field.bytes;
    } else if (field.number == RULE_CUSTOM) {
      SKY_TRY(read_custom(binding, field.bytes, path));
    }
  }
}

static SkyStatus top_level_field(const SkyMessageType *type, SkyStr name, const char *option, const SkyField **ret) {
  const SkyField *field = message_field_by_name(type, name, 0);
  if (field == NULL || !sky_str_equal(field->name, name))
    return SKY_INVALID_ARGUMENT("%s \"%.*s\" is not a field of %.*s", option, SKY_STR_ARGS(name),
                                SKY_STR_ARGS(type->full_name));
  *ret = field;
  return SKY_OK;
}

static SkyStatus read_bodies(SkyBinding *binding, SkyStr rule) {
  const SkyMethod *method = &binding->entry->method;
  const SkyStr body = load_find_bytes(rule, RULE_BODY);
  const SkyStr response_body = load_find_bytes(rule, RULE_RESPONSE_BODY);
  binding->body_is_request = sky_str_is(body, "*");
  if (body.size > 0 && !binding->body_is_request)
    SKY_TRY(top_level_field(method->request, body, "body", &binding->body));
  if (response_body.size > 0)
    SKY_TRY(top_level_field(method->response, response_body, "response_body", &binding->response_body));
  for (size_t i = 0; i < binding->template.variable_count; i++)
    if (binding->template.variables[i].path.fields[0] == binding->body && binding->body != NULL &&
        binding->template.variables[i].path.count == 1)
      return SKY_INVALID_ARGUMENT("\"%.*s\" is both a path variable and the body", SKY_STR_ARGS(body));
  return SKY_OK;
}

/* What a header fills can be set by nothing else. */
static SkyStatus check_headers(const SkyBinding *binding) {
  for (size_t header = 0; header < HEADER_COUNT; header++) {
    const FieldPath *taken = &binding->entry->headers[header];
    for (size_t i = 0; i < binding->template.variable_count && taken->count > 0; i++) {
      const FieldPath *path = &binding->template.variables[i].path;
      if (path->count == taken->count && memcmp(path->fields, taken->fields, path->count * sizeof(*path->fields)) == 0)
        return SKY_INVALID_ARGUMENT("path variable {%.*s} is filled by a header",
                                    SKY_STR_ARGS(path->fields[path->count - 1]->name));
    }
  }
  return SKY_OK;
}

static SkyStatus load_binding(SkyContracts *contracts, const MethodEntry *entry, SkyStr rule) {
  SkyBinding *binding = sky_arena_alloc(&contracts->arena, sizeof(*binding));
  SkyStr path = SKY_STR("");
  if (binding == NULL)
    return sky_status_no_memory();
  binding->entry = entry;
  SKY_TRY(read_pattern(binding, rule, &path));
  binding->http_method = load_copy(contracts, binding->http_method);
  if (binding->http_method.data == NULL)
    return sky_status_no_memory();
  SkyStatus status = template_parse(contracts, entry->method.request, path, &binding->template);
  if (status != SKY_OK)
    return sky_status_annotate(status, "path \"%.*s\": ", SKY_STR_ARGS(path));
  SKY_TRY(read_bodies(binding, rule));
  SKY_TRY(check_headers(binding));
  binding->implies_mask = sky_str_is(binding->http_method, "PATCH") && entry->update_mask != NULL &&
                          (binding->body_is_request ||
                           (binding->body != NULL && binding->body->message != NULL && !binding->body->repeated));
  SKY_TRY(trie_add(contracts, binding));
  return list_add(contracts, binding);
}

SkyStatus load_http_rule(SkyContracts *contracts, const MethodEntry *entry, SkyStr rule) {
  SKY_TRY(load_binding(contracts, entry, rule));
  SkyWireReader reader = sky_wire_reader(rule.data, rule.size);
  SkyWireField field;
  for (bool done = false;;) {
    SKY_TRY(load_next(&reader, &field, &done));
    if (done)
      return SKY_OK;
    if (field.number == RULE_ADDITIONAL &&
        field.type == SKY_WIRE_BYTES) /* these have no additional bindings themselves */
      SKY_TRY(load_binding(contracts, entry, field.bytes));
  }
}
