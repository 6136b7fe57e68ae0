/*
 * Every kind of message through a real call: filled by its descriptor, sent, given back by a typed handler, compared
 * byte by byte.
 */
#include <string.h>

#include <sky/codec/message.h>

#include "torture.rpc.h"

#include "rpc/loopback.h" /* last: its names are parameters above */

#define M(name) plugin_v1beta1_##name

enum { MAX_DEPTH = 3, REPEATED = 2 };

/* --- filling --- */

static void fill(ProtobufCMessage *message, int depth);

static size_t size_of(const ProtobufCFieldDescriptor *field) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_SINT64:
  case PROTOBUF_C_TYPE_SFIXED64:
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_DOUBLE:
    return sizeof(int64_t);
  case PROTOBUF_C_TYPE_STRING:
  case PROTOBUF_C_TYPE_MESSAGE:
    return sizeof(void *);
  case PROTOBUF_C_TYPE_BYTES:
    return sizeof(ProtobufCBinaryData);
  case PROTOBUF_C_TYPE_BOOL:
    return sizeof(protobuf_c_boolean);
  default:
    return sizeof(int32_t);
  }
}

static int last_value(const ProtobufCFieldDescriptor *field) {
  const ProtobufCEnumDescriptor *type = field->descriptor;
  return type->values[type->n_values - 1].value;
}

static ProtobufCMessage *create_filled(const ProtobufCFieldDescriptor *field, int depth) {
  ProtobufCMessage *message = sky_message_create(field->descriptor, &arena);
  ck_assert_ptr_nonnull(message);
  fill(message, depth + 1);
  return message;
}

/* Writes the number-th value of this field's type. */
static void set_value(const ProtobufCFieldDescriptor *field, void *at, int number, int depth) {
  static uint8_t bytes[] = {0, 1, 255, 127};
  switch (field->type) {
  case PROTOBUF_C_TYPE_STRING:
    *(const char **)at = number == 0 ? "text \xc3\xa9 \xf0\x9f\x98\x88" : "x";
    break;
  case PROTOBUF_C_TYPE_BYTES:
    *(ProtobufCBinaryData *)at = (ProtobufCBinaryData){.data = bytes, .len = sizeof(bytes)};
    break;
  case PROTOBUF_C_TYPE_MESSAGE:
    *(ProtobufCMessage **)at = create_filled(field, depth);
    break;
  case PROTOBUF_C_TYPE_ENUM:
    *(int *)at = last_value(field);
    break;
  case PROTOBUF_C_TYPE_BOOL:
    *(protobuf_c_boolean *)at = 1;
    break;
  case PROTOBUF_C_TYPE_DOUBLE:
    *(double *)at = -0.1 - number;
    break;
  case PROTOBUF_C_TYPE_FLOAT:
    *(float *)at = 0.5f + (float)number;
    break;
  default: /* whole numbers of both sizes: the highest bits and the lowest ones */
    memset(at, 0x81 + number, size_of(field));
  }
}

static void fill_repeated(const ProtobufCFieldDescriptor *field, uint8_t *message, int depth) {
  uint8_t *values = sky_arena_alloc(&arena, REPEATED * size_of(field));
  for (int i = 0; i < REPEATED; i++)
    set_value(field, values + (size_t)i * size_of(field), i, depth);
  *(size_t *)(void *)(message + field->quantifier_offset) = REPEATED;
  *(void **)(void *)(message + field->offset) = values;
}

/* The first member of each oneof; proto3's `optional` is a oneof of one member. */
static bool choose(const ProtobufCFieldDescriptor *field, uint8_t *message) {
  if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
    return true;
  uint32_t *which = (uint32_t *)(void *)(message + field->quantifier_offset);
  if (*which != 0)
    return false;
  *which = field->id;
  return true;
}

static void fill(ProtobufCMessage *message, int depth) {
  uint8_t *bytes = (uint8_t *)message;
  for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
    if (field->type == PROTOBUF_C_TYPE_MESSAGE && depth >= MAX_DEPTH)
      continue;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
      fill_repeated(field, bytes, depth);
    else if (choose(field, bytes))
      set_value(field, bytes + field->offset, 0, depth);
  }
}

/* --- the mirror --- */

#define MIRROR(method, type)                                                                                           \
  static SkyStatus method(void *self, SkyCall *call, const type *request, type *response) {                            \
    *response = *request;                                                                                              \
    return SKY_OK;                                                                                                     \
  }
MIRROR(reflect_scalars, M(Scalars))
MIRROR(reflect_optionals, M(Optionals))
MIRROR(reflect_repeateds, M(Repeateds))
MIRROR(reflect_maps, M(Maps))
MIRROR(reflect_choice, M(Choice))
MIRROR(reflect_tree, M(Tree))
MIRROR(reflect_numb, M(Numb))
MIRROR(reflect_reserved, M(Reserved))
MIRROR(reflect_outer, M(Outer))
MIRROR(reflect_well_known, M(WellKnown))
MIRROR(reflect_nothing, M(Nothing))
MIRROR(reflect_lower_case, M(lower_case_Message))
MIRROR(reflect_http_server2_go, M(HTTPServer2Go))
MIRROR(reflect_timestamp, protobuf_Timestamp)
MIRROR(reflect_imported, imp_Imported)

static const M(MirrorHandlers) handlers = {
    .reflect_scalars = reflect_scalars,
    .reflect_optionals = reflect_optionals,
    .reflect_repeateds = reflect_repeateds,
    .reflect_maps = reflect_maps,
    .reflect_choice = reflect_choice,
    .reflect_tree = reflect_tree,
    .reflect_numb = reflect_numb,
    .reflect_reserved = reflect_reserved,
    .reflect_outer = reflect_outer,
    .reflect_well_known = reflect_well_known,
    .reflect_nothing = reflect_nothing,
    .reflect_lower_case = reflect_lower_case,
    .reflect_http_server2_go = reflect_http_server2_go,
    .reflect_timestamp = reflect_timestamp,
    .reflect_imported = reflect_imported,
};

/* --- the calls --- */

static void setup(void) {
  start_server_of(M(Mirror_bind)(&handlers, NULL), NULL, (SkyServerOptions){0});
  start_client((SkyClientOptions){0});
}

static void pack(const ProtobufCMessage *message, SkyBuf *out) {
  sky_buf_init(out, 16 << 20);
  ck_assert_ptr_null(sky_message_pack(message, out));
}

/* True when the message had anything in it. */
static bool assert_reflected(const SkyMethodDescriptor *method) {
  ProtobufCMessage *request = sky_message_create(method->request.descriptor, &arena), *response = NULL;
  SkyBuf sent, received;
  fill(request, 0);
  SkyStatus status = sky_client_call(client, method, NULL, request, &arena, &response);
  ck_assert_msg(status == SKY_OK, "%s: %s", method->path, sky_status_message(status));
  ck_assert_uint_eq(response->n_unknown_fields, 0);
  pack(request, &sent);
  pack(response, &received);
  ck_assert_msg(sent.size == received.size && (sent.size == 0 || memcmp(sent.data, received.data, sent.size) == 0),
                "%s: %zu bytes came back as %zu others", method->path, sent.size, received.size);
  const bool had_content = sent.size > 0;
  sky_buf_finish(&sent);
  sky_buf_finish(&received);
  return had_content;
}

START_TEST(every_kind_of_message_comes_back_as_it_went) {
  size_t with_content = 0;
  for (size_t i = 0; i < M(Mirror_descriptor).method_count; i++) {
    with_content += assert_reflected(&M(Mirror_descriptor).methods[i]);
    sky_arena_reset(&arena);
  }
  ck_assert_uint_eq(with_content, M(Mirror_descriptor).method_count - 1); /* all but Nothing */
}
END_TEST

SKY_CHECK_MAIN_WITH("protoc-gen-sky/round_trip", setup, destroy_all, every_kind_of_message_comes_back_as_it_went)
