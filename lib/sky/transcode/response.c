/* Responses: status, Location and ETag by the contract's options, and the body that the route selects. */
#include <sky/transcode/response.h>

#include <string.h>

#include "json_writer.h"
#include "number.h"
#include "percent.h"

enum { HTTP_BODY_CONTENT_TYPE = 1, HTTP_BODY_DATA = 2, MAX_LOCATION_BYTES = 4096, NO_CONTENT = 204, CREATED = 201 };

/* ---- single fields of the response ---- */

/* The last occurrence of a field path in a message; false when there is none. */
static bool find_path(SkyStr wire, const FieldPath *path, SkyWireField *ret) {
  for (size_t i = 0; i < path->count; i++) {
    SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
    SkyWireField field;
    bool found = false;
    while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
      if (field.number != path->fields[i]->number || field.type != (SkyWireType)proto_type_wire(path->fields[i]->type))
        continue;
      found = true;
      *ret = field;
    }
    if (!found)
      return false;
    wire = ret->bytes;
  }
  return path->count > 0;
}

/* A text field; empty when it is not set. */
static SkyStr find_text(SkyStr wire, const FieldPath *path) {
  SkyWireField field;
  return find_path(wire, path, &field) ? field.bytes : SKY_STR("");
}

static bool find_bool(SkyStr wire, const SkyField *field) {
  const FieldPath path = {.fields = &field, .count = 1};
  SkyWireField found;
  return field != NULL && find_path(wire, &path, &found) && found.scalar != 0;
}

/* ---- Location and ETag ---- */

static int64_t signed_value(const SkyField *field, uint64_t bits) {
  switch (field->type) {
  case PROTO_SINT32:
  case PROTO_SINT64:
    return sky_wire_unzigzag(bits);
  case PROTO_INT32:
  case PROTO_SFIXED32:
    return (int32_t)bits;
  default:
    return (int64_t)bits;
  }
}

static void append_value(SkyBuf *out, const SkyField *field, const SkyWireField *value) {
  char text[NUMBER_TEXT_SIZE];
  const EnumValue *name = NULL;
  switch (field->type) {
  case PROTO_STRING:
    percent_encode(value->bytes, out);
    return;
  case PROTO_BOOL:
    sky_buf_append_text(out, value->scalar != 0 ? "true" : "false");
    return;
  case PROTO_UINT32:
  case PROTO_UINT64:
  case PROTO_FIXED32:
  case PROTO_FIXED64:
    sky_buf_append(out, text, number_write_uint64(value->scalar, text));
    return;
  case PROTO_ENUM:
    name = enum_value_by_number(field->enumeration, (int32_t)value->scalar);
    if (name != NULL) {
      sky_buf_append_str(out, name->name);
      return;
    }
    break;
  default:
    break;
  }
  sky_buf_append(out, text, number_write_int64(signed_value(field, value->scalar), text));
}

/* Appends nothing of use when a field is not set: a Location without its id would lead elsewhere. */
static bool expand_location(const MethodEntry *entry, SkyStr wire, SkyBuf *out) {
  for (size_t i = 0; i < entry->location_count; i++) {
    const LocationPart *part = &entry->location[i];
    SkyWireField value = {.bytes = SKY_STR("")};
    sky_buf_append_str(out, part->literal);
    if (part->field.count == 0)
      continue;
    const SkyField *leaf = part->field.fields[part->field.count - 1];
    if (!find_path(wire, &part->field, &value) || (leaf->type == PROTO_STRING && value.bytes.size == 0))
      return false;
    append_value(out, leaf, &value);
  }
  return entry->location_count > 0;
}

static SkyStatus copy_out(SkyArena *arena, SkyBuf *text, SkyStr *ret) {
  SkyStatus status = sky_buf_status(text);
  const char *copy = status == SKY_OK ? sky_arena_strndup(arena, (const char *)text->data, text->size) : NULL;
  if (status == SKY_OK && copy == NULL)
    status = sky_status_no_memory();
  if (status == SKY_OK)
    *ret = (SkyStr){.data = copy, .size = text->size};
  return status;
}

static SkyStatus make_location(const MethodEntry *entry, SkyStr wire, SkyArena *arena, SkyHttpAnswer *answer) {
  const bool is_new = entry->created_field == NULL || answer->created;
  if (entry->location_count == 0 || !is_new)
    return SKY_OK;
  SkyBuf text;
  sky_buf_init(&text, MAX_LOCATION_BYTES);
  SkyStatus status = SKY_OK;
  if (expand_location(entry, wire, &text))
    status = copy_out(arena, &text, &answer->location);
  sky_buf_finish(&text);
  return status;
}

/* Characters that may stand in an entity tag (RFC 9110, 8.8.3). */
static bool is_entity_tag(SkyStr text) {
  for (size_t i = 0; i < text.size; i++)
    if ((uint8_t)text.data[i] <= 0x20 || text.data[i] == '"' || text.data[i] == 0x7f)
      return false;
  return text.size > 0 && text.size < 512;
}

static SkyStatus make_etag(const MethodEntry *entry, SkyStr wire, SkyArena *arena, SkyHttpAnswer *answer) {
  const SkyStr value = find_text(wire, &entry->etag);
  if (!is_entity_tag(value))
    return SKY_OK;
  char *quoted = sky_arena_alloc(arena, value.size + 3);
  if (quoted == NULL)
    return sky_status_no_memory();
  quoted[0] = '"';
  memcpy(quoted + 1, value.data, value.size);
  quoted[value.size + 1] = '"';
  answer->etag = (SkyStr){.data = quoted, .size = value.size + 2};
  return SKY_OK;
}

/* ---- the body ---- */

/* What response_body selects, as a message: the content of a HttpBody. */
static bool find_http_body(const SkyBinding *binding, SkyStr wire, SkyStr *ret) {
  const SkyField *field = binding->response_body;
  const SkyMessageType *type = field == NULL ? binding->entry->method.response : field->message;
  if (type == NULL || !type->is_http_body || (field != NULL && field->repeated))
    return false;
  *ret = wire;
  if (field != NULL)
    *ret = find_text(wire, &(FieldPath){.fields = &field, .count = 1});
  return true;
}

static SkyStatus put_http_body(SkyStr http_body, SkyArena *arena, SkyBuf *out, SkyHttpAnswer *answer) {
  SkyWireReader reader = sky_wire_reader(http_body.data, http_body.size);
  SkyWireField field;
  SkyStr content_type = SKY_STR("application/octet-stream");
  SkyStr data = SKY_STR("");
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &field))
      return SKY_INTERNAL("the backend's response is malformed");
    if (field.type == SKY_WIRE_BYTES && field.number == HTTP_BODY_CONTENT_TYPE && field.bytes.size > 0)
      content_type = field.bytes;
    else if (field.type == SKY_WIRE_BYTES && field.number == HTTP_BODY_DATA)
      data = field.bytes;
  }
  for (size_t i = 0; i < content_type.size; i++)
    if ((uint8_t)content_type.data[i] < 0x20 || content_type.data[i] == 0x7f)
      return SKY_INTERNAL("the backend's content type is malformed"); /* it could begin another header */
  answer->content_type.data = sky_arena_strndup(arena, content_type.data, content_type.size);
  answer->content_type.size = content_type.size;
  if (answer->content_type.data == NULL)
    return sky_status_no_memory();
  sky_buf_append_str(out, data);
  return sky_buf_status(out);
}

static SkyStatus put_json(const SkyContracts *contracts, const SkyBinding *binding, SkyStr wire,
                          const SkyJsonWriteOptions *options, SkyArena *arena, SkyBuf *out) {
  static const SkyJsonWriteOptions gateway = {.lenient_any = true};
  const SkyMessageType *type = binding->entry->method.response;
  Writer writer;
  writer_init(&writer, contracts, options == NULL ? &gateway : options, arena, out);
  writer.left_out = binding->entry->created_field;
  if (binding->response_body != NULL)
    (void)write_one_field(&writer, type, wire, binding->response_body);
  else
    (void)write_message(&writer, type, wire);
  SkyStatus status = writer_status(&writer);
  if (sky_status_code(status) != SKY_CODE_INVALID_ARGUMENT)
    return status;
  /* It is the backend that was wrong, not the client. */
  SkyStatus internal = SKY_INTERNAL("the backend's response cannot be written as JSON: %s", sky_status_message(status));
  sky_status_free(status);
  return internal;
}

static SkyStatus put_body(const SkyContracts *contracts, const SkyBinding *binding, SkyStr wire,
                          const SkyJsonWriteOptions *options, SkyArena *arena, SkyBuf *out, SkyHttpAnswer *answer) {
  SkyStr http_body;
  if (answer->status == NO_CONTENT)
    return SKY_OK;
  answer->has_body = true;
  if (find_http_body(binding, wire, &http_body))
    return put_http_body(http_body, arena, out, answer);
  answer->content_type = SKY_STR("application/json");
  return put_json(contracts, binding, wire, options, arena, out);
}

static uint32_t success_status(const MethodEntry *entry, bool created) {
  return created ? CREATED : entry->method.http_status;
}

static SkyStatus make_answer(const SkyContracts *contracts, const SkyBinding *binding, SkyStr wire,
                             const SkyJsonWriteOptions *options, SkyArena *arena, SkyBuf *out, SkyHttpAnswer *answer) {
  const MethodEntry *entry = binding->entry;
  answer->created = find_bool(wire, entry->created_field);
  answer->status = success_status(entry, answer->created);
  SKY_TRY(make_location(entry, wire, arena, answer));
  SKY_TRY(make_etag(entry, wire, arena, answer));
  return put_body(contracts, binding, wire, options, arena, out, answer);
}

static SkyStatus undo(SkyBuf *out, size_t before, SkyStatus status) {
  if (status != SKY_OK) {
    out->size = before;
    out->failed = false;
  }
  return status;
}

SkyStatus sky_transcode_response(const SkyContracts *contracts, const SkyRoute *route, const void *wire, size_t size,
                                 const SkyJsonWriteOptions *options, SkyArena *arena, SkyBuf *ret_body,
                                 SkyHttpAnswer *ret_answer) {
  SkyHttpAnswer answer = {.content_type = SKY_STR(""), .location = SKY_STR(""), .etag = SKY_STR("")};
  const size_t before = ret_body->size;
  SKY_TRY(undo(
      ret_body, before,
      make_answer(contracts, route->binding, (SkyStr){.data = wire, .size = size}, options, arena, ret_body, &answer)));
  *ret_answer = answer;
  return SKY_OK;
}

SkyStatus sky_transcode_response_message(const SkyContracts *contracts, const SkyRoute *route, const void *wire,
                                         size_t size, const SkyJsonWriteOptions *options, SkyArena *arena,
                                         SkyBuf *ret_json, SkyStr *ret_event_id) {
  const SkyStr message = {.data = wire, .size = size};
  const size_t before = ret_json->size;
  SKY_TRY(undo(ret_json, before, put_json(contracts, route->binding, message, options, arena, ret_json)));
  if (ret_event_id != NULL)
    *ret_event_id = find_text(message, &route->binding->entry->event_id);
  return SKY_OK;
}
