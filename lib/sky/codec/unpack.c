/*
 * The decoder: wire bytes into protobuf-c structures in one pass, with every check on the way. protobuf-c's own
 * unpacker reads the bytes twice, recurses without bound and leaves strings unchecked; this one fills the same
 * structures.
 *
 * Arrays grow by doubling. protobuf-c keeps no capacity beside a repeated field's count, so it is derived from the
 * count: capacity(n) is the next power of two. All arrays of a message are built here, so the derivation holds.
 */
#include <sky/codec/message.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <sky/codec/field_value.h>
#include <sky/codec/wire.h>

enum { MIN_CAPACITY = 4, MAX_PATH = 256 };

typedef enum Failure { NO_FAILURE, MALFORMED, BAD_UTF8, HAS_NUL, TOO_DEEP, NO_BUDGET } Failure;

typedef struct Decoder {
  SkyArena *arena;
  unsigned max_depth;
  Failure failure;
  char path[MAX_PATH]; /* of the bad field; written from its end while the recursion unwinds */
  size_t path_start;
} Decoder;

static bool fail(Decoder *decoder, Failure failure) {
  decoder->failure = failure;
  return false;
}

static void prepend(Decoder *decoder, const char *text) {
  const size_t size = strlen(text);
  if (size > decoder->path_start)
    return;
  decoder->path_start -= size;
  memcpy(decoder->path + decoder->path_start, text, size);
}

/* Puts "name" or "name[index]" before what is there. */
static void prepend_field(Decoder *decoder, const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message) {
  if (decoder->path_start < MAX_PATH - 1)
    prepend(decoder, ".");
  if (field->label == PROTOBUF_C_LABEL_REPEATED) {
    char index[32];
    const size_t count = *(const size_t *)((const char *)message + field->quantifier_offset);
    snprintf(index, sizeof(index), "[%zu]", count);
    prepend(decoder, index);
  }
  prepend(decoder, field->name);
}

static void *allocate(Decoder *decoder, size_t size) {
  void *memory = sky_arena_alloc(decoder->arena, size);
  if (memory == NULL)
    decoder->failure = NO_BUDGET;
  return memory;
}

static size_t capacity_of(size_t count) {
  if (count == 0)
    return 0;
  size_t capacity = MIN_CAPACITY;
  while (capacity < count)
    capacity *= 2;
  return capacity;
}

/* Makes room in an array of count elements for more of them. */
static bool grow(Decoder *decoder, void **array, size_t count, size_t more, size_t element_size) {
  if (count + more <= capacity_of(count))
    return true;
  void *larger = allocate(decoder, capacity_of(count + more) * element_size);
  if (larger == NULL)
    return false;
  if (count > 0)
    memcpy(larger, *array, count * element_size);
  *array = larger;
  return true;
}

static SkyWireType wire_type(ProtobufCType type) {
  switch (type) {
  case PROTOBUF_C_TYPE_SFIXED32:
  case PROTOBUF_C_TYPE_FIXED32:
  case PROTOBUF_C_TYPE_FLOAT:
    return SKY_WIRE_FIXED32;
  case PROTOBUF_C_TYPE_SFIXED64:
  case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_DOUBLE:
    return SKY_WIRE_FIXED64;
  case PROTOBUF_C_TYPE_STRING:
  case PROTOBUF_C_TYPE_BYTES:
  case PROTOBUF_C_TYPE_MESSAGE:
    return SKY_WIRE_BYTES;
  default:
    return SKY_WIRE_VARINT;
  }
}

static void store_scalar(ProtobufCType type, uint64_t value, void *to) {
  uint32_t narrow = (uint32_t)value;
  if (type == PROTOBUF_C_TYPE_BOOL)
    narrow = value != 0;
  else if (type == PROTOBUF_C_TYPE_SINT32)
    narrow = (uint32_t)sky_wire_unzigzag(narrow);
  else if (type == PROTOBUF_C_TYPE_SINT64)
    value = (uint64_t)sky_wire_unzigzag(value);
  if (sky_value_size(type) == 8)
    memcpy(to, &value, 8);
  else
    memcpy(to, &narrow, 4);
}

static bool store_string(Decoder *decoder, SkyStr bytes, void *to) {
  if (memchr(bytes.data, 0, bytes.size) != NULL)
    return fail(decoder, HAS_NUL);
  if (!sky_utf8_valid(bytes.data, bytes.size))
    return fail(decoder, BAD_UTF8);
  char *copy = sky_arena_strndup(decoder->arena, bytes.data, bytes.size);
  if (copy == NULL)
    return fail(decoder, NO_BUDGET);
  memcpy(to, &copy, sizeof(copy));
  return true;
}

static bool store_bytes(Decoder *decoder, SkyStr bytes, void *to) {
  uint8_t *copy = NULL;
  if (bytes.size > 0) {
    copy = allocate(decoder, bytes.size);
    if (copy == NULL)
      return false;
    memcpy(copy, bytes.data, bytes.size);
  }
  memcpy(to, &(ProtobufCBinaryData){.len = bytes.size, .data = copy}, sizeof(ProtobufCBinaryData));
  return true;
}

static bool decode_message(Decoder *decoder, ProtobufCMessage *message, SkyStr wire, unsigned depth);

/* Decodes into the message that to points to, so that a field that comes twice is merged; into a new one when it is
 * NULL. */
static bool store_message(Decoder *decoder, const ProtobufCMessageDescriptor *type, SkyStr wire, unsigned depth,
                          void *to) {
  ProtobufCMessage *message;
  memcpy(&message, to, sizeof(message));
  if (message == NULL) {
    message = sky_message_create(type, decoder->arena);
    if (message == NULL)
      return fail(decoder, NO_BUDGET);
    memcpy(to, &message, sizeof(message));
  }
  if (depth >= decoder->max_depth)
    return fail(decoder, TOO_DEEP);
  return decode_message(decoder, message, wire, depth + 1);
}

static bool store_value(Decoder *decoder, const ProtobufCFieldDescriptor *field, const SkyWireField *value,
                        unsigned depth, void *to) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_STRING:
    return store_string(decoder, value->bytes, to);
  case PROTOBUF_C_TYPE_BYTES:
    return store_bytes(decoder, value->bytes, to);
  case PROTOBUF_C_TYPE_MESSAGE:
    return store_message(decoder, field->descriptor, value->bytes, depth, to);
  default:
    store_scalar(field->type, value->scalar, to);
    return true;
  }
}

/* Marks the field as present. A oneof that changes its case forgets the old value. */
static void set_present(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
  void *quantifier = (char *)message + field->quantifier_offset;
  if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
    uint32_t *oneof_case = quantifier;
    if (*oneof_case != field->id)
      memset((char *)message + field->offset, 0, sky_value_size(field->type));
    *oneof_case = field->id;
  } else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_STRING &&
             field->type != PROTOBUF_C_TYPE_MESSAGE) {
    *(protobuf_c_boolean *)quantifier = 1;
  }
}

static bool append_value(Decoder *decoder, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                         const SkyWireField *value, unsigned depth) {
  size_t *count = (size_t *)((char *)message + field->quantifier_offset);
  void **array = (void **)((char *)message + field->offset);
  const size_t size = sky_value_size(field->type);
  if (!grow(decoder, array, *count, 1, size))
    return false;
  if (!store_value(decoder, field, value, depth, (char *)*array + *count * size))
    return false;
  ++*count;
  return true;
}

static size_t packed_count(SkyStr packed, SkyWireType type) {
  if (type == SKY_WIRE_FIXED32)
    return packed.size / 4;
  if (type == SKY_WIRE_FIXED64)
    return packed.size / 8;
  size_t count = 0;
  for (size_t i = 0; i < packed.size; i++)
    count += ((uint8_t)packed.data[i] & 0x80) == 0;
  return count;
}

static bool next_packed(SkyWireReader *reader, SkyWireType type, uint64_t *ret) {
  uint32_t narrow = 0;
  if (type == SKY_WIRE_VARINT)
    return sky_wire_read_varint(reader, ret);
  if (type == SKY_WIRE_FIXED64)
    return sky_wire_read_fixed64(reader, ret);
  if (!sky_wire_read_fixed32(reader, &narrow))
    return false;
  *ret = narrow;
  return true;
}

static bool append_packed(Decoder *decoder, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                          SkyStr packed) {
  size_t *count = (size_t *)((char *)message + field->quantifier_offset);
  void **array = (void **)((char *)message + field->offset);
  const size_t size = sky_value_size(field->type);
  const SkyWireType type = wire_type(field->type);
  if (!grow(decoder, array, *count, packed_count(packed, type), size))
    return false;
  SkyWireReader reader = sky_wire_reader(packed.data, packed.size);
  while (!sky_wire_at_end(&reader)) {
    uint64_t value = 0;
    if (!next_packed(&reader, type, &value))
      return fail(decoder, MALFORMED);
    store_scalar(field->type, value, (char *)*array + *count * size);
    ++*count;
  }
  return true;
}

static bool decode_field(Decoder *decoder, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                         const SkyWireField *value, unsigned depth) {
  if (field->label != PROTOBUF_C_LABEL_REPEATED) {
    set_present(message, field);
    return store_value(decoder, field, value, depth, (char *)message + field->offset);
  }
  if (value->type == SKY_WIRE_BYTES && wire_type(field->type) != SKY_WIRE_BYTES)
    return append_packed(decoder, message, field, value->bytes);
  return append_value(decoder, message, field, value, depth);
}

/* Keeps a field that this version of the contract does not know, as it stood on the wire, so that it is packed again.
 */
static bool keep_unknown(Decoder *decoder, ProtobufCMessage *message, const SkyWireField *value, const uint8_t *end) {
  if (value->type == SKY_WIRE_GROUP_START)
    return true; /* protobuf-c cannot write groups; long deprecated */
  void *array = message->unknown_fields;
  if (!grow(decoder, &array, message->n_unknown_fields, 1, sizeof(ProtobufCMessageUnknownField)))
    return false;
  message->unknown_fields = array;
  SkyWireReader reader = {.at = value->start, .end = end};
  uint64_t tag = 0;
  (void)sky_wire_read_varint(&reader, &tag);
  const size_t size = (size_t)(end - reader.at);
  uint8_t *data = allocate(decoder, size);
  if (data == NULL)
    return false;
  memcpy(data, reader.at, size);
  message->unknown_fields[message->n_unknown_fields++] = (ProtobufCMessageUnknownField){
      .tag = value->number, .wire_type = (ProtobufCWireType)value->type, .len = size, .data = data};
  return true;
}

/* Fields usually come in order: the one found last (repeated) or the next is tried before the search. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type, uint32_t number,
                                                  unsigned *hint) {
  for (unsigned i = *hint; i < type->n_fields && i < *hint + 2; i++) {
    if (type->fields[i].id == number) {
      *hint = i;
      return &type->fields[i];
    }
  }
  const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(type, number);
  if (field != NULL)
    *hint = (unsigned)(field - type->fields);
  return field;
}

static bool fits(const ProtobufCFieldDescriptor *field, SkyWireType type) {
  return type == wire_type(field->type) || (type == SKY_WIRE_BYTES && field->label == PROTOBUF_C_LABEL_REPEATED);
}

static bool decode_message(Decoder *decoder, ProtobufCMessage *message, SkyStr wire, unsigned depth) {
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField value;
  unsigned hint = 0;
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &value))
      return fail(decoder, MALFORMED);
    const ProtobufCFieldDescriptor *field = find_field(message->descriptor, value.number, &hint);
    if (field == NULL || !fits(field, value.type)) {
      if (!keep_unknown(decoder, message, &value, reader.at))
        return false;
    } else if (!decode_field(decoder, message, field, &value, depth)) {
      prepend_field(decoder, field, message);
      return false;
    }
  }
  return true;
}

static SkyStatus explain(const Decoder *decoder, const ProtobufCMessageDescriptor *type) {
  const char *path = decoder->path + decoder->path_start;
  switch (decoder->failure) {
  case NO_BUDGET:
    return SKY_RESOURCE_EXHAUSTED("%s does not fit into the memory allowed for it", type->name);
  case BAD_UTF8:
    return sky_status_with_violation(SKY_INVALID_ARGUMENT("%s: text is not UTF-8", path), path, "must be valid UTF-8");
  case HAS_NUL:
    return sky_status_with_violation(SKY_INVALID_ARGUMENT("%s: text contains NUL", path), path, "must not contain NUL");
  case TOO_DEEP:
    return SKY_INVALID_ARGUMENT("%s is nested deeper than %u messages", type->name, decoder->max_depth);
  case MALFORMED:
  case NO_FAILURE:
    break;
  }
  return SKY_INVALID_ARGUMENT("malformed protobuf message %s%s%s", type->name, *path ? " at " : "", path);
}

SkyStatus sky_message_unpack(const ProtobufCMessageDescriptor *type, SkyStr wire, SkyArena *arena,
                             ProtobufCMessage **ret) {
  return sky_message_unpack_limited(type, wire, SKY_MESSAGE_MAX_DEPTH, arena, ret);
}

SkyStatus sky_message_unpack_limited(const ProtobufCMessageDescriptor *type, SkyStr wire, unsigned max_depth,
                                     SkyArena *arena, ProtobufCMessage **ret) {
  Decoder decoder = {.arena = arena, .max_depth = max_depth, .path_start = MAX_PATH - 1};
  assert(max_depth <= SKY_MESSAGE_MAX_DEPTH);
  ProtobufCMessage *message = sky_message_create(type, arena);
  if (message == NULL)
    decoder.failure = NO_BUDGET;
  if (message == NULL || !decode_message(&decoder, message, wire, 1))
    return explain(&decoder, type);
  *ret = message;
  return SKY_OK;
}
