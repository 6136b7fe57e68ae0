/* Services of a descriptor set: methods and what their options say. */
#include "load.h"

#include <stdio.h>
#include <string.h>

/* Field numbers of google/protobuf/descriptor.proto, google/api/annotations.proto and sky/options/v1/options.proto. */
enum { FILE_SERVICE = 6, SERVICE_NAME = 1, SERVICE_METHOD = 2 };
enum {
  METHOD_NAME = 1,
  METHOD_INPUT = 2,
  METHOD_OUTPUT = 3,
  METHOD_OPTIONS = 4,
  METHOD_CLIENT_STREAM = 5,
  METHOD_SERVER_STREAM = 6
};
enum { OPTION_DEPRECATED = 33, OPTION_IDEMPOTENCY = 34, OPTION_SKY = 75100, OPTION_HTTP = 72295728 };
enum { IDEMPOTENCY_NO_SIDE_EFFECTS = 1, IDEMPOTENCY_IDEMPOTENT = 2 };
enum { SKY_DEADLINE = 1, SKY_AUDIENCE = 2, SKY_SCOPE = 3, SKY_HTTP = 5, SKY_ANONYMOUS = 7 };
enum {
  HTTP_STATUS = 1,
  HTTP_LOCATION = 2,
  HTTP_CREATED_FIELD = 3,
  HTTP_IDEMPOTENCY_KEY_FIELD = 4,
  HTTP_IF_MATCH_FIELD = 5,
  HTTP_ETAG_FIELD = 6,
  HTTP_EVENT_ID_FIELD = 7,
  HTTP_LAST_EVENT_ID_FIELD = 8,
};
enum { AUDIENCE_PUBLIC = 2, DURATION_SECONDS = 1, DURATION_NANOS = 2, DEFAULT_DEADLINE_MS = 5000 };

SkyStatus load_field_path(SkyContracts *contracts, const SkyMessageType *type, SkyStr text, FieldPath *ret) {
  const SkyField *fields[LOAD_MAX_PATH];
  size_t count = 0;
  bool more = true;
  while (more) {
    SkyStr name = text;
    more = sky_str_cut(&text, '.', &name);
    if (!more)
      name = text;
    const bool has_fields = type != NULL && type->well_known == PLAIN_MESSAGE && count < LOAD_MAX_PATH;
    const SkyField *field = has_fields ? message_field_by_name(type, name, 0) : NULL;
    if (field == NULL || !sky_str_equal(field->name, name) || (more && field->repeated)) {
      *ret = (FieldPath){.count = 0};
      return SKY_OK;
    }
    fields[count++] = field;
    type = field->message;
  }
  ret->fields = sky_arena_alloc(&contracts->arena, count * sizeof(*fields));
  if (ret->fields == NULL)
    return sky_status_no_memory();
  memcpy(ret->fields, fields, count * sizeof(*fields));
  ret->count = count;
  return SKY_OK;
}

/* A path that must end in a single field of one type; empty text gives no path. */
static SkyStatus option_path(SkyContracts *contracts, const SkyMessageType *type, SkyStr text, ProtoType wanted,
                             const char *option, FieldPath *ret) {
  if (text.size == 0)
    return SKY_OK;
  SKY_TRY(load_field_path(contracts, type, text, ret));
  if (ret->count != 0 && ret->fields[ret->count - 1]->type == wanted && !ret->fields[ret->count - 1]->repeated)
    return SKY_OK;
  return SKY_INVALID_ARGUMENT("%s names \"%.*s\", which is not a single %s field of %.*s", option, SKY_STR_ARGS(text),
                              wanted == PROTO_BOOL ? "bool" : "string", SKY_STR_ARGS(type->full_name));
}

/* ---- Location: "/api/v1/things/{thing.id}" ---- */

static bool location_value_allowed(const FieldPath *path) {
  if (path->count == 0)
    return false;
  const SkyField *leaf = path->fields[path->count - 1];
  return !leaf->repeated && leaf->message == NULL && leaf->type != PROTO_BYTES && leaf->type != PROTO_DOUBLE &&
         leaf->type != PROTO_FLOAT;
}

static size_t count_char(SkyStr text, char wanted) {
  size_t count = 0;
  for (size_t i = 0; i < text.size; i++)
    count += text.data[i] == wanted;
  return count;
}

static SkyStatus parse_location_part(SkyContracts *contracts, const SkyMessageType *type, SkyStr *text,
                                     LocationPart *part) {
  SkyStr literal = *text;
  const bool has_field = sky_str_cut(text, '{', &literal);
  part->literal = load_copy(contracts, has_field ? literal : *text);
  if (part->literal.data == NULL)
    return sky_status_no_memory();
  if (!has_field) {
    text->size = 0;
    return SKY_OK;
  }
  SkyStr name;
  if (!sky_str_cut(text, '}', &name))
    return SKY_INVALID_ARGUMENT("location has a { without its }");
  SKY_TRY(load_field_path(contracts, type, name, &part->field));
  if (location_value_allowed(&part->field))
    return SKY_OK;
  return SKY_INVALID_ARGUMENT("location names {%.*s}, which is not a single text or integer field of %.*s",
                              SKY_STR_ARGS(name), SKY_STR_ARGS(type->full_name));
}

static SkyStatus parse_location(SkyContracts *contracts, MethodEntry *entry, SkyStr text) {
  if (text.size == 0)
    return SKY_OK;
  if (*text.data != '/')
    return SKY_INVALID_ARGUMENT("location must begin with /");
  entry->location = sky_arena_alloc(&contracts->arena, (count_char(text, '{') + 1) * sizeof(*entry->location));
  if (entry->location == NULL)
    return sky_status_no_memory();
  while (text.size > 0)
    SKY_TRY(parse_location_part(contracts, entry->method.response, &text, &entry->location[entry->location_count++]));
  return SKY_OK;
}

/* ---- options ---- */

static SkyStatus load_header_fields(SkyContracts *contracts, MethodEntry *entry, SkyStr http) {
  SkyMethod *method = &entry->method;
  const SkyMessageType *request = method->request;
  SKY_TRY(option_path(contracts, request, load_find_bytes(http, HTTP_IDEMPOTENCY_KEY_FIELD), PROTO_STRING,
                      "idempotency_key_field", &entry->headers[HEADER_IDEMPOTENCY_KEY]));
  SKY_TRY(option_path(contracts, request, load_find_bytes(http, HTTP_IF_MATCH_FIELD), PROTO_STRING, "if_match_field",
                      &entry->headers[HEADER_IF_MATCH]));
  SKY_TRY(option_path(contracts, request, load_find_bytes(http, HTTP_LAST_EVENT_ID_FIELD), PROTO_STRING,
                      "last_event_id_field", &entry->headers[HEADER_LAST_EVENT_ID]));
  method->takes_idempotency_key = entry->headers[HEADER_IDEMPOTENCY_KEY].count != 0;
  method->takes_if_match = entry->headers[HEADER_IF_MATCH].count != 0;
  method->takes_last_event_id = entry->headers[HEADER_LAST_EVENT_ID].count != 0;
  return SKY_OK;
}

static SkyStatus load_http_options(SkyContracts *contracts, MethodEntry *entry, SkyStr http) {
  SkyMethod *method = &entry->method;
  FieldPath created = {.count = 0};
  const uint64_t status = load_find_varint(http, HTTP_STATUS, 0);
  if (status != 0 && (status < 200 || status > 299))
    return SKY_INVALID_ARGUMENT("http.status is %llu, which is no success", (unsigned long long)status);
  method->http_status = status == 0 ? 200 : (uint32_t)status;
  SKY_TRY(load_header_fields(contracts, entry, http));
  SKY_TRY(parse_location(contracts, entry, load_find_bytes(http, HTTP_LOCATION)));
  SKY_TRY(option_path(contracts, method->response, load_find_bytes(http, HTTP_CREATED_FIELD), PROTO_BOOL,
                      "created_field", &created));
  if (created.count > 1)
    return SKY_INVALID_ARGUMENT("created_field must be a field of the response itself");
  entry->created_field = created.count == 1 ? created.fields[0] : NULL;
  SKY_TRY(option_path(contracts, method->response, load_find_bytes(http, HTTP_ETAG_FIELD), PROTO_STRING, "etag_field",
                      &entry->etag));
  SKY_TRY(option_path(contracts, method->response, load_find_bytes(http, HTTP_EVENT_ID_FIELD), PROTO_STRING,
                      "event_id_field", &entry->event_id));
  method->gives_etag = entry->etag.count != 0;
  method->gives_event_id = entry->event_id.count != 0;
  return SKY_OK;
}

/* Milliseconds of a Duration, rounded up; the default when it is not set. */
static int64_t deadline_ms(SkyStr options) {
  const SkyStr duration = load_find_bytes(options, SKY_DEADLINE);
  const int64_t seconds = (int64_t)load_find_varint(duration, DURATION_SECONDS, 0);
  const int64_t nanos = (int64_t)load_find_varint(duration, DURATION_NANOS, 0);
  if (seconds < 0 || seconds > 86400 || nanos < 0 || nanos > 999999999 || (seconds == 0 && nanos == 0))
    return DEFAULT_DEADLINE_MS;
  return seconds * 1000 + (nanos + 999999) / 1000000;
}

static const SkyField *find_update_mask(const SkyMessageType *request) {
  const SkyField *field = message_field_by_name(request, SKY_STR("update_mask"), 0);
  const bool is_mask = field != NULL && !field->repeated && field->message != NULL &&
                       field->message->well_known == WELL_KNOWN_FIELD_MASK;
  return is_mask ? field : NULL;
}

static SkyStatus load_options(SkyContracts *contracts, MethodEntry *entry, SkyStr options) {
  SkyMethod *method = &entry->method;
  const SkyStr sky = load_find_message(contracts, options, OPTION_SKY);
  const uint64_t idempotency = load_find_varint(options, OPTION_IDEMPOTENCY, 0);
  method->no_side_effects = idempotency == IDEMPOTENCY_NO_SIDE_EFFECTS;
  method->idempotent = method->no_side_effects || idempotency == IDEMPOTENCY_IDEMPOTENT;
  method->deprecated = load_find_varint(options, OPTION_DEPRECATED, 0) != 0;
  method->is_public = load_find_varint(sky, SKY_AUDIENCE, 0) == AUDIENCE_PUBLIC;
  method->anonymous = load_find_varint(sky, SKY_ANONYMOUS, 0) != 0;
  method->deadline_ms = deadline_ms(sky);
  method->scope = load_copy(contracts, load_find_bytes(sky, SKY_SCOPE));
  entry->update_mask = find_update_mask(method->request);
  if (method->scope.data == NULL)
    return sky_status_no_memory();
  return load_http_options(contracts, entry, load_find_message(contracts, sky, SKY_HTTP));
}

/* ---- methods ---- */

static SkyStatus resolve_message_type(SkyContracts *contracts, SkyStr name, const SkyMessageType **ret) {
  if (name.size > 0 && *name.data == '.') {
    name.data++;
    name.size--;
  }
  *ret = sky_map_get(contracts->messages, name);
  return *ret != NULL
             ? SKY_OK
             : SKY_INVALID_ARGUMENT("the set does not contain the type %.*s (--include_imports?)", SKY_STR_ARGS(name));
}

static SkyStatus register_method(SkyContracts *contracts, MethodEntry *entry) {
  if (contracts->method_count == LOAD_MAX_METHODS)
    return SKY_RESOURCE_EXHAUSTED("the set has more than %d methods", LOAD_MAX_METHODS);
  if (sky_map_get(contracts->methods, entry->method.full_name) != NULL)
    return SKY_INVALID_ARGUMENT("it is defined twice");
  SKY_TRY(sky_map_set(contracts->methods, entry->method.full_name, entry, NULL));
  SKY_TRY(sky_map_set(contracts->methods, entry->method.grpc_path, entry, NULL));
  if (contracts->method_count == contracts->method_capacity) {
    const size_t capacity = contracts->method_capacity == 0 ? 64 : contracts->method_capacity * 2;
    MethodEntry **list = sky_arena_alloc(&contracts->arena, capacity * sizeof(MethodEntry *));
    if (list == NULL)
      return sky_status_no_memory();
    if (contracts->method_count > 0)
      memcpy(list, contracts->method_list, contracts->method_count * sizeof(MethodEntry *));
    contracts->method_list = list;
    contracts->method_capacity = capacity;
  }
  contracts->method_list[contracts->method_count++] = entry;
  return SKY_OK;
}

static SkyStr make_grpc_path(SkyContracts *contracts, SkyStr service, SkyStr method) {
  char *path = sky_arena_alloc(&contracts->arena, service.size + method.size + 3);
  if (path == NULL)
    return (SkyStr){NULL, 0};
  snprintf(path, service.size + method.size + 3, "/%.*s/%.*s", SKY_STR_ARGS(service), SKY_STR_ARGS(method));
  return (SkyStr){.data = path, .size = service.size + method.size + 2};
}

static SkyStatus load_method(LoadFile *file, SkyStr service, SkyStr bytes) {
  SkyContracts *contracts = file->contracts;
  const SkyStr name = load_find_bytes(bytes, METHOD_NAME);
  if (!load_is_identifier(name, false))
    return SKY_INVALID_ARGUMENT("its name is malformed");
  MethodEntry *entry = sky_arena_alloc(&contracts->arena, sizeof(*entry));
  if (entry == NULL)
    return sky_status_no_memory();
  SkyMethod *method = &entry->method;
  method->full_name = load_join(contracts, service, name);
  method->grpc_path = make_grpc_path(contracts, service, name);
  if (method->full_name.data == NULL || method->grpc_path.data == NULL)
    return sky_status_no_memory();
  method->client_streaming = load_find_varint(bytes, METHOD_CLIENT_STREAM, 0) != 0;
  method->server_streaming = load_find_varint(bytes, METHOD_SERVER_STREAM, 0) != 0;
  SKY_TRY(resolve_message_type(contracts, load_find_bytes(bytes, METHOD_INPUT), &method->request));
  SKY_TRY(resolve_message_type(contracts, load_find_bytes(bytes, METHOD_OUTPUT), &method->response));
  const SkyStr options = load_find_bytes(bytes, METHOD_OPTIONS);
  SKY_TRY(load_options(contracts, entry, options));
  SKY_TRY(register_method(contracts, entry));
  const SkyStr rule = load_find_message(contracts, options, OPTION_HTTP);
  const bool routed = method->is_public || contracts->options.route_internal;
  return rule.size > 0 && routed ? load_http_rule(contracts, entry, rule) : SKY_OK;
}

static SkyStatus load_service(LoadFile *file, int32_t index, SkyStr bytes) {
  const SkyStr full_name = load_join(file->contracts, file->package, load_find_bytes(bytes, SERVICE_NAME));
  if (full_name.data == NULL)
    return sky_status_no_memory();
  SkyWireReader reader = sky_wire_reader(bytes.data, bytes.size);
  SkyWireField field;
  int32_t method_index = 0;
  for (bool done = false;;) {
    SKY_TRY(load_next(&reader, &field, &done));
    if (done)
      return SKY_OK;
    if (field.number != SERVICE_METHOD || field.type != SKY_WIRE_BYTES)
      continue;
    const int32_t path[] = {FILE_SERVICE, index, SERVICE_METHOD, method_index++};
    SkyStatus status = load_method(file, full_name, field.bytes);
    if (status == SKY_OK)
      continue;
    char place[512];
    load_location(file, path, 4, place, sizeof(place));
    return sky_status_annotate(status, "%s: method %.*s.%.*s: ", place, SKY_STR_ARGS(full_name),
                               SKY_STR_ARGS(load_find_bytes(field.bytes, METHOD_NAME)));
  }
}

SkyStatus load_services(LoadFile *file) {
  SkyWireReader reader = sky_wire_reader(file->bytes.data, file->bytes.size);
  SkyWireField field;
  int32_t index = 0;
  for (bool done = false;;) {
    SKY_TRY(load_next(&reader, &field, &done));
    if (done)
      return SKY_OK;
    if (field.number == FILE_SERVICE && field.type == SKY_WIRE_BYTES)
      SKY_TRY(load_service(file, index++, field.bytes));
  }
}
