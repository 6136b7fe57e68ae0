#include <sky/codec/bson.h>

#include <math.h>
#include <string.h>

#include <sky/codec/bson_shape.h>
#include <sky/codec/message.h>

typedef struct Decoder {
  SkyArena *arena;
  const char *id_field; /* of the message at depth 0 */
  unsigned depth;
} Decoder;

static SkyStatus decode_message(Decoder *decoder, const ProtobufCMessageDescriptor *type, bson_iter_t *elements,
                                ProtobufCMessage **ret);

static void *member(ProtobufCMessage *message, unsigned offset) {
  return (uint8_t *)message + offset;
}

static SkyStatus wrong(const bson_iter_t *at, const ProtobufCFieldDescriptor *field) {
  return SKY_DATA_LOSS("%s: element %s is of the wrong type or out of range", field->name, bson_iter_key(at));
}

static SkyStatus no_budget(void) {
  return SKY_RESOURCE_EXHAUSTED("a document does not fit the call's memory");
}

/* ---- numbers ---- */

/* A whole number in any of the forms in which tools write one. */
static bool whole_number(const bson_iter_t *at, int64_t *ret) {
  switch (bson_iter_type(at)) {
  case BSON_TYPE_INT32:
    *ret = bson_iter_int32(at);
    return true;
  case BSON_TYPE_INT64:
    *ret = bson_iter_int64(at);
    return true;
  case BSON_TYPE_DOUBLE: {
    const double number = bson_iter_double(at);
    if (!(number >= -9007199254740992.0 && number <= 9007199254740992.0) || number != floor(number))
      return false; /* past 2^53 a double does not say which integer it is */
    *ret = (int64_t)number;
    return true;
  }
  default:
    return false;
  }
}

static SkyStatus read_integer(const bson_iter_t *at, const ProtobufCFieldDescriptor *field, int64_t least, int64_t most,
                              int64_t *ret) {
  int64_t number;
  if (!whole_number(at, &number) || number < least || number > most)
    return wrong(at, field);
  *ret = number;
  return SKY_OK;
}

static SkyStatus read_uint64(const bson_iter_t *at, const ProtobufCFieldDescriptor *field, uint64_t *to) {
  if (bson_iter_type(at) == BSON_TYPE_UTF8) {
    uint32_t length;
    const char *digits = bson_iter_utf8(at, &length);
    return sky_str_to_uint64((SkyStr){digits, length}, to) ? SKY_OK : wrong(at, field);
  }
  int64_t number;
  SKY_TRY(read_integer(at, field, 0, INT64_MAX, &number));
  *to = (uint64_t)number;
  return SKY_OK;
}

static SkyStatus read_double(const bson_iter_t *at, const ProtobufCFieldDescriptor *field, double *ret) {
  int64_t number;
  if (bson_iter_type(at) == BSON_TYPE_DOUBLE)
    *ret = bson_iter_double(at);
  else if (whole_number(at, &number))
    *ret = (double)number;
  else
    return wrong(at, field);
  return SKY_OK;
}

static SkyStatus read_enum(const bson_iter_t *at, const ProtobufCFieldDescriptor *field, int *to) {
  if (bson_iter_type(at) == BSON_TYPE_UTF8) {
    const char *name = bson_iter_utf8(at, NULL);
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value_by_name(field->descriptor, name);
    if (value == NULL)
      return SKY_DATA_LOSS("%s: %s is no value of this release's contract", field->name, name);
    *to = value->value;
    return SKY_OK;
  }
  int64_t number;
  SKY_TRY(read_integer(at, field, INT32_MIN, INT32_MAX, &number));
  *to = (int)number;
  return SKY_OK;
}

static SkyStatus read_bool(const bson_iter_t *at, const ProtobufCFieldDescriptor *field, protobuf_c_boolean *to) {
  if (bson_iter_type(at) != BSON_TYPE_BOOL)
    return wrong(at, field);
  *to = bson_iter_bool(at);
  return SKY_OK;
}

static SkyStatus read_number(const bson_iter_t *at, const ProtobufCFieldDescriptor *field, void *to) {
  int64_t integer = 0;
  double number = 0;
  switch (field->type) {
  case PROTOBUF_C_TYPE_UINT32:
  case PROTOBUF_C_TYPE_FIXED32:
    SKY_TRY(read_integer(at, field, 0, UINT32_MAX, &integer));
    *(uint32_t *)to = (uint32_t)integer;
    return SKY_OK;
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_SINT64:
  case PROTOBUF_C_TYPE_SFIXED64:
    return read_integer(at, field, INT64_MIN, INT64_MAX, to);
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
    return read_uint64(at, field, to);
  case PROTOBUF_C_TYPE_DOUBLE:
    return read_double(at, field, to);
  case PROTOBUF_C_TYPE_FLOAT:
    SKY_TRY(read_double(at, field, &number));
    *(float *)to = (float)number;
    return SKY_OK;
  default:
    SKY_TRY(read_integer(at, field, INT32_MIN, INT32_MAX, &integer));
    *(int32_t *)to = (int32_t)integer;
    return SKY_OK;
  }
}

/* ---- text, bytes, messages ---- */

static SkyStatus read_text(Decoder *decoder, const char *text, size_t length, const ProtobufCFieldDescriptor *field,
                           char **to) {
  if (!sky_utf8_valid(text, length) || memchr(text, '\0', length) != NULL)
    return SKY_DATA_LOSS("%s is not UTF-8, or holds a NUL", field->name);
  char *copy = sky_arena_strndup(decoder->arena, text, length);
  if (copy == NULL)
    return no_budget();
  *to = copy;
  return SKY_OK;
}

static SkyStatus read_string(Decoder *decoder, const bson_iter_t *at, const ProtobufCFieldDescriptor *field,
                             char **to) {
  if (bson_iter_type(at) != BSON_TYPE_UTF8)
    return wrong(at, field);
  uint32_t length;
  const char *text = bson_iter_utf8(at, &length);
  return read_text(decoder, text, length, field, to);
}

static SkyStatus read_bytes(Decoder *decoder, const bson_iter_t *at, const ProtobufCFieldDescriptor *field,
                            ProtobufCBinaryData *to) {
  if (bson_iter_type(at) != BSON_TYPE_BINARY)
    return wrong(at, field);
  uint32_t size = 0;
  const uint8_t *data = NULL;
  bson_iter_binary(at, NULL, &size, &data);
  uint8_t *copy = sky_arena_alloc(decoder->arena, size);
  if (copy == NULL)
    return no_budget();
  if (size > 0)
    memcpy(copy, data, size);
  *to = (ProtobufCBinaryData){size, copy};
  return SKY_OK;
}

static SkyStatus read_date(Decoder *decoder, const bson_iter_t *at, const ProtobufCFieldDescriptor *field,
                           ProtobufCMessage **to) {
  ProtobufCMessage *timestamp = sky_message_create(field->descriptor, decoder->arena);
  if (timestamp == NULL)
    return no_budget();
  const int64_t ms = bson_iter_date_time(at);
  int64_t seconds = ms / 1000, rest = ms % 1000;
  if (rest < 0) {
    seconds--;
    rest += 1000;
  }
  const ProtobufCFieldDescriptor *fields = timestamp->descriptor->fields; /* seconds = 1, nanos = 2 */
  *(int64_t *)member(timestamp, fields[0].offset) = seconds;
  *(int32_t *)member(timestamp, fields[1].offset) = (int32_t)rest * SKY_BSON_NS_PER_MS;
  *to = timestamp;
  return SKY_OK;
}

static SkyStatus read_submessage(Decoder *decoder, const bson_iter_t *at, const ProtobufCFieldDescriptor *field,
                                 ProtobufCMessage **to) {
  if (bson_iter_type(at) == BSON_TYPE_DATE_TIME && sky_bson_is_timestamp(field))
    return read_date(decoder, at, field, to);
  bson_iter_t elements;
  if (bson_iter_type(at) != BSON_TYPE_DOCUMENT || !bson_iter_recurse(at, &elements))
    return wrong(at, field);
  decoder->depth++;
  SkyStatus status = decode_message(decoder, field->descriptor, &elements, to);
  decoder->depth--;
  return status == SKY_OK ? SKY_OK : sky_status_annotate(status, "%s.", field->name);
}

static SkyStatus read_value(Decoder *decoder, const bson_iter_t *at, const ProtobufCFieldDescriptor *field, void *to) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_BOOL:
    return read_bool(at, field, to);
  case PROTOBUF_C_TYPE_ENUM:
    return read_enum(at, field, to);
  case PROTOBUF_C_TYPE_STRING:
    return read_string(decoder, at, field, to);
  case PROTOBUF_C_TYPE_BYTES:
    return read_bytes(decoder, at, field, to);
  case PROTOBUF_C_TYPE_MESSAGE:
    return read_submessage(decoder, at, field, to);
  default:
    return read_number(at, field, to);
  }
}

/* ---- repeated fields and maps ---- */

/* False when the bytes are damaged. */
static bool count_elements(bson_iter_t elements, size_t *ret) {
  *ret = 0;
  while (bson_iter_next(&elements))
    ++*ret;
  return elements.err_off == 0;
}

static SkyStatus read_map_key(Decoder *decoder, const char *text, const ProtobufCFieldDescriptor *field, void *to) {
  int64_t number;
  const SkyStr str = sky_str(text);
  const SkyStatus bad = SKY_OK;
  switch (field->type) {
  case PROTOBUF_C_TYPE_STRING:
    return read_text(decoder, text, strlen(text), field, to);
  case PROTOBUF_C_TYPE_BOOL:
    *(protobuf_c_boolean *)to = sky_str_is(str, "true");
    return sky_str_is(str, "true") || sky_str_is(str, "false") ? bad : SKY_DATA_LOSS("a map has the key %s", text);
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
    return sky_str_to_uint64(str, to) ? bad : SKY_DATA_LOSS("a map has the key %s", text);
  default:
    break;
  }
  if (!sky_str_to_int64(str, &number))
    return SKY_DATA_LOSS("a map has the key %s", text);
  bson_t one = BSON_INITIALIZER; /* the key as an element, so that read_number() checks its range */
  bson_iter_t at;
  bson_append_int64(&one, "key", -1, number);
  bson_iter_init_find(&at, &one, "key");
  SkyStatus status = read_number(&at, field, to);
  bson_destroy(&one);
  return status;
}

static SkyStatus read_map_entry(Decoder *decoder, const bson_iter_t *at, const ProtobufCMessageDescriptor *type,
                                ProtobufCMessage **ret) {
  ProtobufCMessage *entry = sky_message_create(type, decoder->arena);
  if (entry == NULL)
    return no_budget();
  const ProtobufCFieldDescriptor *key = &type->fields[0], *value = &type->fields[1];
  SKY_TRY(read_map_key(decoder, bson_iter_key(at), key, member(entry, key->offset)));
  SKY_TRY(read_value(decoder, at, value, member(entry, value->offset)));
  *ret = entry;
  return SKY_OK;
}

static SkyStatus read_repeated(Decoder *decoder, const bson_iter_t *at, const ProtobufCFieldDescriptor *field,
                               ProtobufCMessage *message) {
  const bool is_keyed = bson_iter_type(at) == BSON_TYPE_DOCUMENT && sky_bson_is_map(field);
  bson_iter_t elements;
  if ((!is_keyed && bson_iter_type(at) != BSON_TYPE_ARRAY) || !bson_iter_recurse(at, &elements))
    return wrong(at, field);
  const size_t size = sky_bson_element_size(field);
  size_t count;
  if (!count_elements(elements, &count))
    return wrong(at, field);
  uint8_t *array = sky_arena_alloc(decoder->arena, count * size);
  if (array == NULL)
    return no_budget();
  for (size_t i = 0; i < count && bson_iter_next(&elements); i++) {
    void *to = array + i * size;
    SKY_TRY(is_keyed ? read_map_entry(decoder, &elements, field->descriptor, to)
                     : read_value(decoder, &elements, field, to));
  }
  *(size_t *)member(message, field->quantifier_offset) = count;
  *(void **)member(message, field->offset) = array;
  return SKY_OK;
}

/* ---- messages ---- */

static void set_presence(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
  if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
    *(uint32_t *)member(message, field->quantifier_offset) = field->id;
  else if (field->label == PROTOBUF_C_LABEL_OPTIONAL && field->type != PROTOBUF_C_TYPE_MESSAGE &&
           field->type != PROTOBUF_C_TYPE_STRING)
    *(protobuf_c_boolean *)member(message, field->quantifier_offset) = 1;
}

static SkyStatus read_field(Decoder *decoder, const bson_iter_t *at, const ProtobufCFieldDescriptor *field,
                            ProtobufCMessage *message) {
  if (bson_iter_type(at) == BSON_TYPE_NULL)
    return SKY_OK; /* tools write it for "unset" */
  if (field->label == PROTOBUF_C_LABEL_REPEATED)
    return read_repeated(decoder, at, field, message);
  SKY_TRY(read_value(decoder, at, field, member(message, field->offset)));
  set_presence(message, field);
  return SKY_OK;
}

/* Adds to a timestamp what its date left out. */
static SkyStatus read_remainders(const bson_iter_t *at, ProtobufCMessage *message) {
  bson_iter_t elements;
  if (bson_iter_type(at) != BSON_TYPE_DOCUMENT || !bson_iter_recurse(at, &elements))
    return SKY_DATA_LOSS("%s is no document", SKY_BSON_REMAINDERS);
  while (bson_iter_next(&elements)) {
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, bson_iter_key(&elements));
    if (field == NULL || field->label == PROTOBUF_C_LABEL_REPEATED || !sky_bson_is_timestamp(field))
      continue;
    const bool is_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (is_oneof && *(uint32_t *)member(message, field->quantifier_offset) != field->id)
      continue;
    ProtobufCMessage *timestamp = *(ProtobufCMessage **)member(message, field->offset);
    int64_t remainder;
    if (timestamp == NULL)
      continue;
    SKY_TRY(read_integer(&elements, field, 0, SKY_BSON_NS_PER_MS - 1, &remainder));
    int32_t *nanos = member(timestamp, timestamp->descriptor->fields[1].offset);
    *nanos = *nanos - *nanos % SKY_BSON_NS_PER_MS + (int32_t)remainder;
  }
  return SKY_OK;
}

static SkyStatus read_unknown_field(Decoder *decoder, bson_iter_t at, ProtobufCMessageUnknownField *to) {
  bson_iter_t element;
  int64_t tag = 0, wire_type = -1;
  uint32_t size = 0;
  const uint8_t *data = NULL;
  if (bson_iter_type(&at) != BSON_TYPE_DOCUMENT || !bson_iter_recurse(&at, &element))
    return SKY_DATA_LOSS("%s has an element that is no document", SKY_BSON_UNKNOWN);
  while (bson_iter_next(&element)) {
    if (strcmp(bson_iter_key(&element), "field") == 0)
      whole_number(&element, &tag);
    else if (strcmp(bson_iter_key(&element), "type") == 0)
      whole_number(&element, &wire_type);
    else if (strcmp(bson_iter_key(&element), "data") == 0 && bson_iter_type(&element) == BSON_TYPE_BINARY)
      bson_iter_binary(&element, NULL, &size, &data);
  }
  if (tag < 1 || tag > 536870911 || (wire_type != 0 && wire_type != 1 && wire_type != 2 && wire_type != 5) ||
      data == NULL)
    return SKY_DATA_LOSS("%s has a field that none can be", SKY_BSON_UNKNOWN);
  uint8_t *copy = sky_arena_alloc(decoder->arena, size);
  if (copy == NULL)
    return no_budget();
  memcpy(copy, data, size);
  *to = (ProtobufCMessageUnknownField){(uint32_t)tag, (ProtobufCWireType)wire_type, size, copy};
  return SKY_OK;
}

static SkyStatus read_unknown(Decoder *decoder, const bson_iter_t *at, ProtobufCMessage *message) {
  bson_iter_t elements;
  if (bson_iter_type(at) != BSON_TYPE_ARRAY || !bson_iter_recurse(at, &elements))
    return SKY_DATA_LOSS("%s is no array", SKY_BSON_UNKNOWN);
  size_t count;
  if (!count_elements(elements, &count))
    return SKY_DATA_LOSS("%s is damaged", SKY_BSON_UNKNOWN);
  ProtobufCMessageUnknownField *fields = sky_arena_alloc(decoder->arena, count * sizeof(*fields));
  if (fields == NULL)
    return no_budget();
  for (size_t i = 0; i < count && bson_iter_next(&elements); i++)
    SKY_TRY(read_unknown_field(decoder, elements, &fields[i]));
  message->n_unknown_fields = (unsigned)count;
  message->unknown_fields = fields;
  return SKY_OK;
}

static SkyStatus read_element(Decoder *decoder, const bson_iter_t *at, ProtobufCMessage *message,
                              bson_iter_t *ret_remainders, bool *ret_has_remainders) {
  const char *key = bson_iter_key(at);
  if (strcmp(key, SKY_BSON_REMAINDERS) == 0) {
    *ret_remainders = *at; /* the dates may come after it */
    *ret_has_remainders = true;
    return SKY_OK;
  }
  if (strcmp(key, SKY_BSON_UNKNOWN) == 0)
    return read_unknown(decoder, at, message);
  if (decoder->depth == 0 && decoder->id_field != NULL && strcmp(key, "_id") == 0)
    key = decoder->id_field;
  const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, key);
  return field == NULL ? SKY_OK : read_field(decoder, at, field, message);
}

static SkyStatus decode_message(Decoder *decoder, const ProtobufCMessageDescriptor *type, bson_iter_t *elements,
                                ProtobufCMessage **ret) {
  if (decoder->depth >= SKY_BSON_MAX_DEPTH)
    return SKY_DATA_LOSS("nested deeper than %d", SKY_BSON_MAX_DEPTH);
  ProtobufCMessage *message = sky_message_create(type, decoder->arena);
  if (message == NULL)
    return no_budget();
  bson_iter_t remainders;
  bool has_remainders = false;
  while (bson_iter_next(elements))
    SKY_TRY(read_element(decoder, elements, message, &remainders, &has_remainders));
  if (elements->err_off != 0)
    return SKY_DATA_LOSS("the document is damaged at byte %u", elements->err_off);
  if (has_remainders)
    SKY_TRY(read_remainders(&remainders, message));
  *ret = message;
  return SKY_OK;
}

SkyStatus sky_bson_decode(const ProtobufCMessageDescriptor *type, const bson_t *document, const char *id_field,
                          SkyArena *arena, ProtobufCMessage **ret) {
  Decoder decoder = {.arena = arena, .id_field = id_field};
  bson_iter_t elements;
  if (!bson_iter_init(&elements, document))
    return SKY_DATA_LOSS("the document is damaged");
  return decode_message(&decoder, type, &elements, ret);
}
