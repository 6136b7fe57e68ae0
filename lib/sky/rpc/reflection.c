/*
 * Reflection: grpc.reflection.v1 and v1alpha (the same contract under two names), from the FileDescriptorSets of the
 * bound services. https://github.com/grpc/grpc/blob/master/doc/server-reflection.md
 *
 * For people with grpcurl, so it searches the serialized descriptors at each request instead of keeping an index.
 */
#include "builtin_descriptors.h" /* generated */
#include "server_internal.h"

#include <stdlib.h>
#include <string.h>

#include <sky/codec/wire.h>
#include <sky/rpc/raw.h>

enum { MAX_RESPONSE = 4 << 20, MAX_NESTING = 16, MAX_EXTENSIONS = 1024 };

enum RequestField {
  REQUEST_HOST = 1,
  REQUEST_FILE_BY_FILENAME = 3,
  REQUEST_FILE_CONTAINING_SYMBOL = 4,
  REQUEST_FILE_CONTAINING_EXTENSION = 5,
  REQUEST_ALL_EXTENSION_NUMBERS = 6,
  REQUEST_LIST_SERVICES = 7,
};
enum ResponseField {
  RESPONSE_VALID_HOST = 1,
  RESPONSE_ORIGINAL_REQUEST = 2,
  RESPONSE_FILE_DESCRIPTOR = 4,
  RESPONSE_ALL_EXTENSION_NUMBERS = 5,
  RESPONSE_LIST_SERVICES = 6,
  RESPONSE_ERROR = 7,
};
enum { EXTENSION_TYPE = 1, EXTENSION_NUMBER = 2 }; /* of the request and of the answer */
enum { FILE_RESPONSE_PROTO = 1, LIST_RESPONSE_SERVICE = 1, SERVICE_NAME = 1, ERROR_CODE = 1, ERROR_MESSAGE = 2 };
/* google/protobuf/descriptor.proto */
enum {
  SET_FILE = 1,
  FILE_NAME = 1,
  FILE_PACKAGE = 2,
  FILE_MESSAGE = 4,
  FILE_ENUM = 5,
  FILE_SERVICE = 6,
  FILE_EXTENSION = 7
};
enum {
  ANY_NAME = 1,
  MESSAGE_FIELD = 2,
  MESSAGE_NESTED = 3,
  MESSAGE_ENUM = 4,
  MESSAGE_EXTENSION = 6,
  MESSAGE_ONEOF = 8,
  SERVICE_METHOD = 2,
  ENUM_VALUE = 2,
};
enum { FIELD_EXTENDEE = 2, FIELD_NUMBER = 3 };

struct SkyReflection {
  const SkyServer *server;
};

static SkyStr field_bytes(SkyStr wire, uint32_t number) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number == number && field.type == SKY_WIRE_BYTES)
      return field.bytes;
  }
  return SKY_STR("");
}

/* Takes the name and a dot off the front of the symbol, or all of it: *symbol is empty when the symbol is this element
 * itself. */
static bool cut_name(SkyStr *symbol, SkyStr name) {
  if (name.size == 0 || !sky_str_starts_with(*symbol, name))
    return false;
  if (symbol->size > name.size && symbol->data[name.size] != '.')
    return false;
  const size_t cut = symbol->size > name.size ? name.size + 1 : name.size;
  *symbol = (SkyStr){symbol->data + cut, symbol->size - cut};
  return true;
}

/* True when an element of the field called number (a message, enum, service…) is, or holds, what the symbol names. */
static bool declares(SkyStr element, SkyStr symbol, const uint32_t *nested, size_t nested_count, int depth);

/* The values of an enum are named beside it, not in it. */
static bool has_value(SkyStr enumeration, SkyStr symbol) {
  SkyWireReader reader = sky_wire_reader(enumeration.data, enumeration.size);
  SkyWireField field = {0};
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number == ENUM_VALUE && field.type == SKY_WIRE_BYTES &&
        sky_str_equal(field_bytes(field.bytes, ANY_NAME), symbol))
      return true;
  }
  return false;
}

static bool declares_in_field(SkyStr wire, uint32_t number, SkyStr symbol, int depth) {
  static const uint32_t in_message[] = {MESSAGE_NESTED, MESSAGE_ENUM, MESSAGE_EXTENSION, MESSAGE_FIELD, MESSAGE_ONEOF};
  static const uint32_t in_service[] = {SERVICE_METHOD};
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number != number || field.type != SKY_WIRE_BYTES)
      continue;
    const bool at_top = depth == 0, is_message = number == (at_top ? FILE_MESSAGE : MESSAGE_NESTED);
    if (is_message ? declares(field.bytes, symbol, in_message, sizeof(in_message) / sizeof(in_message[0]), depth)
                   : declares(field.bytes, symbol, in_service, at_top && number == FILE_SERVICE, depth))
      return true;
    if (number == (at_top ? FILE_ENUM : MESSAGE_ENUM) && has_value(field.bytes, symbol))
      return true;
  }
  return false;
}

static bool declares(SkyStr element, SkyStr symbol, const uint32_t *nested, size_t nested_count, int depth) {
  if (depth == MAX_NESTING || !cut_name(&symbol, field_bytes(element, ANY_NAME)))
    return false;
  if (symbol.size == 0)
    return true;
  for (size_t i = 0; i < nested_count; i++) {
    if (declares_in_field(element, nested[i], symbol, depth + 1))
      return true;
  }
  return false;
}

static bool file_declares(SkyStr file, SkyStr symbol) {
  static const uint32_t top[] = {FILE_MESSAGE, FILE_ENUM, FILE_SERVICE, FILE_EXTENSION};
  const SkyStr package = field_bytes(file, FILE_PACKAGE);
  if (package.size > 0 && (!cut_name(&symbol, package) || symbol.size == 0))
    return false;
  for (size_t i = 0; i < sizeof(top) / sizeof(top[0]); i++) {
    if (declares_in_field(file, top[i], symbol, 0))
      return true;
  }
  return false;
}

/* --- extensions --- */

static uint64_t field_scalar(SkyStr wire, uint32_t number) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number == number && field.type == SKY_WIRE_VARINT)
      return field.scalar;
  }
  return 0;
}

/* Whether an extension extends the type; descriptors name it with a leading dot. */
static bool extends(SkyStr extension, SkyStr type) {
  const SkyStr extendee = field_bytes(extension, FIELD_EXTENDEE);
  return extendee.size == type.size + 1 && sky_str_ends_with(extendee, type);
}

/* The numbers of a type's extensions, in order and once each. */
typedef struct Numbers {
  SkyStr type;
  uint32_t found[MAX_EXTENSIONS];
  size_t count;
} Numbers;

static void add_number(Numbers *numbers, uint32_t number) {
  size_t at = 0;
  while (at < numbers->count && numbers->found[at] < number)
    at++;
  if (numbers->count == MAX_EXTENSIONS || (at < numbers->count && numbers->found[at] == number))
    return;
  memmove(&numbers->found[at + 1], &numbers->found[at], (numbers->count - at) * sizeof(numbers->found[0]));
  numbers->found[at] = number;
  numbers->count++;
}

/* Extensions stand in files and in messages. */
static void collect_extensions(SkyStr element, bool is_file, int depth, Numbers *numbers) {
  SkyWireReader reader = sky_wire_reader(element.data, element.size);
  SkyWireField field = {0};
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.type != SKY_WIRE_BYTES)
      continue;
    if (field.number == (is_file ? FILE_EXTENSION : MESSAGE_EXTENSION) && extends(field.bytes, numbers->type))
      add_number(numbers, (uint32_t)field_scalar(field.bytes, FIELD_NUMBER));
    else if (field.number == (is_file ? FILE_MESSAGE : MESSAGE_NESTED) && depth < MAX_NESTING)
      collect_extensions(field.bytes, false, depth + 1, numbers);
  }
}

/* what: ExtensionRequest. */
static bool file_extends(SkyStr file, SkyStr what) {
  Numbers numbers = {.type = field_bytes(what, EXTENSION_TYPE)};
  const uint32_t wanted = (uint32_t)field_scalar(what, EXTENSION_NUMBER);
  collect_extensions(file, true, 0, &numbers);
  for (size_t i = 0; i < numbers.count; i++) {
    if (numbers.found[i] == wanted)
      return true;
  }
  return false;
}

/* --- answers --- */

static bool file_is_named(SkyStr file, SkyStr name) {
  return sky_str_equal(field_bytes(file, FILE_NAME), name);
}

typedef bool (*FileMatch)(SkyStr file, SkyStr what);

static bool find_file(const SkyServer *server, FileMatch matches, SkyStr what, SkyStr *ret_file) {
  for (size_t i = 0; i < server->binding_count; i++) {
    const SkyStr set = server->bindings[i].service->file_descriptor_set;
    SkyWireReader reader = sky_wire_reader(set.data, set.size);
    SkyWireField field = {0};
    while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
      if (field.number != SET_FILE || field.type != SKY_WIRE_BYTES || !matches(field.bytes, what))
        continue;
      *ret_file = field.bytes;
      return true;
    }
  }
  return false;
}

static void append_error(SkyBuf *out, SkyCode code, const char *message) {
  const size_t error = sky_wire_begin_field(out, RESPONSE_ERROR);
  sky_wire_append_uint64(out, ERROR_CODE, (uint64_t)code);
  sky_wire_append_bytes(out, ERROR_MESSAGE, sky_str(message));
  sky_wire_end_bytes(out, error);
}

static void append_file(const SkyServer *server, FileMatch matches, SkyStr what, SkyBuf *out) {
  SkyStr file;
  if (!find_file(server, matches, what, &file)) {
    append_error(out, SKY_CODE_NOT_FOUND, "no such file, symbol or extension");
    return;
  }
  const size_t response = sky_wire_begin_field(out, RESPONSE_FILE_DESCRIPTOR);
  sky_wire_append_bytes(out, FILE_RESPONSE_PROTO, file);
  sky_wire_end_bytes(out, response);
}

static void collect_all_extensions(const SkyServer *server, Numbers *numbers) {
  for (size_t i = 0; i < server->binding_count; i++) {
    const SkyStr set = server->bindings[i].service->file_descriptor_set;
    SkyWireReader reader = sky_wire_reader(set.data, set.size);
    SkyWireField field = {0};
    while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
      if (field.number == SET_FILE && field.type == SKY_WIRE_BYTES)
        collect_extensions(field.bytes, true, 0, numbers);
    }
  }
}

static void append_extension_numbers(const SkyServer *server, SkyStr type, SkyBuf *out) {
  Numbers numbers = {.type = type};
  SkyStr file;
  collect_all_extensions(server, &numbers);
  if (numbers.count == 0 && !find_file(server, file_declares, type, &file)) {
    append_error(out, SKY_CODE_NOT_FOUND, "no such type");
    return;
  }
  const size_t response = sky_wire_begin_field(out, RESPONSE_ALL_EXTENSION_NUMBERS);
  sky_wire_append_bytes(out, EXTENSION_TYPE, type);
  for (size_t i = 0; i < numbers.count; i++)
    sky_wire_append_uint64(out, EXTENSION_NUMBER, numbers.found[i]);
  sky_wire_end_bytes(out, response);
}

static void append_services(const SkyServer *server, SkyBuf *out) {
  const size_t list = sky_wire_begin_field(out, RESPONSE_LIST_SERVICES);
  for (size_t i = 0; i < server->binding_count; i++) {
    const size_t service = sky_wire_begin_field(out, LIST_RESPONSE_SERVICE);
    sky_wire_append_bytes(out, SERVICE_NAME, sky_str(server->bindings[i].service->name));
    sky_wire_end_bytes(out, service);
  }
  sky_wire_end_bytes(out, list);
}

/* The one field of the oneof message_request; the last one on the wire wins. */
static SkyStatus question_of(SkyStr request, SkyWireField *ret) {
  SkyWireReader reader = sky_wire_reader(request.data, request.size);
  SkyWireField field, question = {0};
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &field))
      return SKY_INVALID_ARGUMENT("malformed protobuf message ServerReflectionRequest");
    if (field.type == SKY_WIRE_BYTES && field.number != REQUEST_HOST)
      question = field;
  }
  *ret = question;
  return SKY_OK;
}

static SkyStatus answer(const SkyServer *server, SkyStr request, SkyBuf *out) {
  SkyWireField question = {0};
  SKY_TRY(question_of(request, &question));
  sky_wire_append_bytes(out, RESPONSE_VALID_HOST, field_bytes(request, REQUEST_HOST));
  sky_wire_append_bytes(out, RESPONSE_ORIGINAL_REQUEST, request);
  switch (question.number) {
  case REQUEST_FILE_BY_FILENAME:
    append_file(server, file_is_named, question.bytes, out);
    break;
  case REQUEST_FILE_CONTAINING_SYMBOL:
    append_file(server, file_declares, question.bytes, out);
    break;
  case REQUEST_FILE_CONTAINING_EXTENSION:
    append_file(server, file_extends, question.bytes, out);
    break;
  case REQUEST_ALL_EXTENSION_NUMBERS:
    append_extension_numbers(server, question.bytes, out);
    break;
  case REQUEST_LIST_SERVICES:
    append_services(server, out);
    break;
  default:
    append_error(out, SKY_CODE_UNIMPLEMENTED, "this kind of reflection request is not served");
  }
  return sky_buf_status(out);
}

static SkyStatus write_answer(const SkyServer *server, SkyCall *call, const ProtobufCMessage *request) {
  SkyBuf out;
  sky_buf_init(&out, MAX_RESPONSE);
  SkyStatus status = answer(server, ((const SkyRawMessage *)(const void *)request)->bytes, &out);
  if (status == SKY_OK) {
    const SkyRawMessage message = SKY_RAW_MESSAGE_INIT(sky_buf_str(&out));
    status = sky_call_write(call, &message.base);
  }
  sky_buf_finish(&out);
  return status;
}

static void on_request(void *user, SkyCall *call, SkyStatus status, const ProtobufCMessage *request) {
  const SkyReflection *reflection = user;
  if (status == SKY_OK && request != NULL)
    status = write_answer(reflection->server, call, request);
  if (status != SKY_OK || request == NULL)
    sky_call_finish(call, status);
  else
    sky_call_read(call, on_request, user);
}

static SkyStatus server_reflection_info(const void *handlers, void *self, SkyCall *call,
                                        const ProtobufCMessage *request, ProtobufCMessage *response) {
  sky_call_read(call, on_request, self);
  return sky_call_defer(call);
}

#define REFLECTION_METHOD(version)                                                                                     \
  {                                                                                                                    \
    .name = "ServerReflectionInfo", .path = "/grpc.reflection." version ".ServerReflection/ServerReflectionInfo",      \
    .kind = SKY_BIDI_STREAMING, .request.descriptor = &sky_raw_message_descriptor,                                     \
    .response.descriptor = &sky_raw_message_descriptor, .inline_handler = true                                         \
  }

static const SkyMethodDescriptor methods[SKY_REFLECTION_VERSIONS] = {REFLECTION_METHOD("v1"),
                                                                     REFLECTION_METHOD("v1alpha")};
static const SkyServiceDescriptor services[SKY_REFLECTION_VERSIONS] = {
    {.name = "grpc.reflection.v1.ServerReflection",
     .methods = &methods[0],
     .method_count = 1,
     .file_descriptor_set = {sky_reflection_v1_descriptors, sizeof(sky_reflection_v1_descriptors)}},
    {.name = "grpc.reflection.v1alpha.ServerReflection",
     .methods = &methods[1],
     .method_count = 1,
     .file_descriptor_set = {sky_reflection_v1alpha_descriptors, sizeof(sky_reflection_v1alpha_descriptors)}},
};
static const SkyInvoke invoke[] = {server_reflection_info};

SkyReflection *sky_reflection_create(const SkyServer *server) {
  SkyReflection *reflection = calloc(1, sizeof(*reflection));
  if (reflection != NULL)
    reflection->server = server;
  return reflection;
}

void sky_reflection_destroy(SkyReflection *reflection) {
  free(reflection);
}

SkyServiceBinding sky_reflection_binding(SkyReflection *reflection, size_t version) {
  return (SkyServiceBinding){.service = &services[version], .self = reflection, .invoke = invoke};
}
