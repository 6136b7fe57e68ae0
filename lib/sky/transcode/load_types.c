/* Messages and enums of a descriptor set: first all are declared, then their fields are filled in and resolved. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#include <sky/core/buf.h>

/* Field numbers of google/protobuf/descriptor.proto. */
enum {
  FILE_NAME = 1,
  FILE_PACKAGE = 2,
  FILE_MESSAGE = 4,
  FILE_ENUM = 5,
  FILE_EXTENSION = 7,
  FILE_SOURCE_INFO = 9,
  FILE_SYNTAX = 12
};
enum {
  MESSAGE_NAME = 1,
  MESSAGE_FIELD = 2,
  MESSAGE_NESTED = 3,
  MESSAGE_ENUM = 4,
  MESSAGE_EXTENSION = 6,
  MESSAGE_OPTIONS = 7,
  MESSAGE_ONEOF = 8
};
enum { MESSAGE_OPTIONS_MAP_ENTRY = 7 };
enum {
  FIELD_NAME = 1,
  FIELD_EXTENDEE = 2,
  FIELD_NUMBER = 3,
  FIELD_LABEL = 4,
  FIELD_TYPE = 5,
  FIELD_TYPE_NAME = 6,
  FIELD_OPTIONS = 8,
  FIELD_ONEOF_INDEX = 9,
  FIELD_JSON_NAME = 10,
  FIELD_PROTO3_OPTIONAL = 17,
};
enum { FIELD_OPTIONS_PACKED = 2, LABEL_REPEATED = 3 };
enum { ENUM_NAME = 1, ENUM_VALUE = 2, ENUM_VALUE_NAME = 1, ENUM_VALUE_NUMBER = 2 };

/* ---- step 0: the file ---- */

SkyStatus load_file_open(SkyContracts *contracts, SkyStr bytes, LoadFile *ret) {
  *ret = (LoadFile){
      .contracts = contracts,
      .bytes = bytes,
      .name = load_find_bytes(bytes, FILE_NAME),
      .package = load_find_bytes(bytes, FILE_PACKAGE),
      .source_info = load_find_bytes(bytes, FILE_SOURCE_INFO),
  };
  const SkyStr syntax = load_find_bytes(bytes, FILE_SYNTAX);
  if (syntax.size != 0 && !sky_str_is(syntax, "proto2") && !sky_str_is(syntax, "proto3"))
    return SKY_INVALID_ARGUMENT("%.*s: syntax \"%.*s\" is not supported", SKY_STR_ARGS(ret->name),
                                SKY_STR_ARGS(syntax));
  if (ret->package.size != 0 && !load_is_identifier(ret->package, true))
    return SKY_INVALID_ARGUMENT("%.*s: the package's name is malformed", SKY_STR_ARGS(ret->name));
  ret->proto3 = sky_str_is(syntax, "proto3");
  return SKY_OK;
}

/* ---- step 1: declare ---- */

static const struct {
  const char *name;
  WellKnown well_known;
} well_known_types[] = {
    {"google.protobuf.Any", WELL_KNOWN_ANY},
    {"google.protobuf.Timestamp", WELL_KNOWN_TIMESTAMP},
    {"google.protobuf.Duration", WELL_KNOWN_DURATION},
    {"google.protobuf.FieldMask", WELL_KNOWN_FIELD_MASK},
    {"google.protobuf.Struct", WELL_KNOWN_STRUCT},
    {"google.protobuf.Value", WELL_KNOWN_VALUE},
    {"google.protobuf.ListValue", WELL_KNOWN_LIST_VALUE},
    {"google.protobuf.DoubleValue", WELL_KNOWN_WRAPPER},
    {"google.protobuf.FloatValue", WELL_KNOWN_WRAPPER},
    {"google.protobuf.Int64Value", WELL_KNOWN_WRAPPER},
    {"google.protobuf.UInt64Value", WELL_KNOWN_WRAPPER},
    {"google.protobuf.Int32Value", WELL_KNOWN_WRAPPER},
    {"google.protobuf.UInt32Value", WELL_KNOWN_WRAPPER},
    {"google.protobuf.BoolValue", WELL_KNOWN_WRAPPER},
    {"google.protobuf.StringValue", WELL_KNOWN_WRAPPER},
    {"google.protobuf.BytesValue", WELL_KNOWN_WRAPPER},
};

static WellKnown well_known_of(SkyStr full_name) {
  for (size_t i = 0; i < sizeof(well_known_types) / sizeof(*well_known_types); i++)
    if (sky_str_is(full_name, well_known_types[i].name))
      return well_known_types[i].well_known;
  return PLAIN_MESSAGE;
}

static SkyStatus declare_symbol(const LoadFile *file, SkyMap *map, SkyStr full_name, void *value) {
  const SkyContracts *contracts = file->contracts;
  if (sky_map_get(contracts->messages, full_name) != NULL || sky_map_get(contracts->enums, full_name) != NULL)
    return SKY_INVALID_ARGUMENT("%.*s: %.*s is defined twice", SKY_STR_ARGS(file->name), SKY_STR_ARGS(full_name));
  return sky_map_set(map, full_name, value, NULL);
}

static SkyStatus scoped_name(const LoadFile *file, SkyStr scope, SkyStr name, SkyStr *ret) {
  if (!load_is_identifier(name, false))
    return SKY_INVALID_ARGUMENT("%.*s: a name in %.*s is malformed", SKY_STR_ARGS(file->name), SKY_STR_ARGS(scope));
  *ret = load_join(file->contracts, scope, name);
  return ret->data == NULL ? sky_status_no_memory() : SKY_OK;
}

static size_t count_fields(SkyStr message, uint32_t number) {
  SkyWireReader reader = sky_wire_reader(message.data, message.size);
  SkyWireField field;
  size_t count = 0;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field))
    count += field.number == number && field.type == SKY_WIRE_BYTES;
  return count;
}

/* A table for `names` names, at most half full. */
static bool table_init(SkyContracts *contracts, NameTable *table, size_t names) {
  size_t size = 4;
  while (size < names * 2)
    size *= 2;
  table->slots = sky_arena_alloc(&contracts->arena, size * sizeof(*table->slots));
  table->mask = (uint32_t)size - 1;
  return table->slots != NULL;
}

static void table_add(NameTable *table, SkyStr name, size_t position) {
  uint32_t at = name_hash(name);
  while (table->slots[at & table->mask] != 0)
    at++;
  table->slots[at & table->mask] = (uint16_t)(position + 1);
}

static int compare_enum_numbers(const void *a, const void *b, void *user) {
  const EnumType *type = user;
  const uint16_t left = *(const uint16_t *)a;
  const uint16_t right = *(const uint16_t *)b;
  if (type->values[left].number != type->values[right].number)
    return type->values[left].number < type->values[right].number ? -1 : 1;
  return (int)left - (int)right; /* the first declared of equal numbers gives the name */
}

static bool index_enum_numbers(SkyContracts *contracts, EnumType *type) {
  type->by_number = sky_arena_alloc(&contracts->arena, type->value_count * sizeof(*type->by_number));
  if (type->by_number == NULL)
    return false;
  for (size_t i = 0; i < type->value_count; i++)
    type->by_number[i] = (uint16_t)i;
  qsort_r(type->by_number, type->value_count, sizeof(*type->by_number), compare_enum_numbers, type);
  for (size_t i = 0; i < type->value_count; i++) {
    const uint16_t position = type->by_number[i];
    if (i == 0 || type->values[type->by_number[type->number_count - 1]].number != type->values[position].number)
      type->by_number[type->number_count++] = position;
  }
  return true;
}

static SkyStatus fill_enum_values(const LoadFile *file, EnumType *type, SkyStr bytes) {
  SkyWireReader reader = sky_wire_reader(bytes.data, bytes.size);
  SkyWireField field;
  for (bool done = false;;) {
    SKY_TRY(load_next(&reader, &field, &done));
    if (done)
      return SKY_OK;
    if (field.number != ENUM_VALUE || field.type != SKY_WIRE_BYTES)
      continue;
    EnumValue *value = &type->values[type->value_count];
    value->name = load_copy(file->contracts, load_find_bytes(field.bytes, ENUM_VALUE_NAME));
    value->number = (int32_t)load_find_varint(field.bytes, ENUM_VALUE_NUMBER, 0);
    if (value->name.data == NULL)
      return sky_status_no_memory();
    table_add(&type->names, value->name, type->value_count++);
  }
}

static SkyStatus declare_enum(const LoadFile *file, SkyStr scope, SkyStr bytes) {
  SkyContracts *contracts = file->contracts;
  SkyStr full_name;
  SKY_TRY(scoped_name(file, scope, load_find_bytes(bytes, ENUM_NAME), &full_name));
  const size_t count = count_fields(bytes, ENUM_VALUE);
  if (count == 0 || count > LOAD_MAX_VALUES)
    return SKY_INVALID_ARGUMENT("%.*s: enum %.*s has %zu values", SKY_STR_ARGS(file->name), SKY_STR_ARGS(full_name),
                                count);
  EnumType *type = sky_arena_alloc(&contracts->arena, sizeof(*type));
  EnumValue *values = sky_arena_alloc(&contracts->arena, count * sizeof(*values));
  if (type == NULL || values == NULL || !table_init(contracts, &type->names, count))
    return sky_status_no_memory();
  type->full_name = full_name;
  type->values = values;
  type->closed = !file->proto3;
  type->null_value = sky_str_is(full_name, "google.protobuf.NullValue");
  SKY_TRY(fill_enum_values(file, type, bytes));
  if (!index_enum_numbers(contracts, type))
    return sky_status_no_memory();
  return declare_symbol(file, contracts->enums, full_name, type);
}

static SkyStatus declare_message(const LoadFile *file, SkyStr scope, SkyStr bytes, size_t nesting);

/* Messages and enums inside a file or a message; the field numbers differ. */
static SkyStatus declare_members(const LoadFile *file, SkyStr scope, SkyStr bytes, uint32_t message_number,
                                 uint32_t enum_number, size_t nesting) {
  SkyWireReader reader = sky_wire_reader(bytes.data, bytes.size);
  SkyWireField field;
  for (bool done = false;;) {
    SKY_TRY(load_next(&reader, &field, &done));
    if (done)
      return SKY_OK;
    if (field.type == SKY_WIRE_BYTES && field.number == message_number)
      SKY_TRY(declare_message(file, scope, field.bytes, nesting + 1));
    else if (field.type == SKY_WIRE_BYTES && field.number == enum_number)
      SKY_TRY(declare_enum(file, scope, field.bytes));
  }
}

static SkyStatus declare_message(const LoadFile *file, SkyStr scope, SkyStr bytes, size_t nesting) {
  SkyContracts *contracts = file->contracts;
  SkyStr full_name;
  if (nesting > LOAD_MAX_NESTING)
    return SKY_INVALID_ARGUMENT("%.*s: messages are nested too deep", SKY_STR_ARGS(file->name));
  SKY_TRY(scoped_name(file, scope, load_find_bytes(bytes, MESSAGE_NAME), &full_name));
  SkyMessageType *type = sky_arena_alloc(&contracts->arena, sizeof(*type));
  if (type == NULL)
    return sky_status_no_memory();
  type->full_name = full_name;
  type->descriptor = (const uint8_t *)bytes.data;
  type->descriptor_size = bytes.size;
  type->proto3 = file->proto3;
  type->well_known = well_known_of(full_name);
  type->is_http_body = sky_str_is(full_name, "google.api.HttpBody");
  type->is_map_entry = load_find_varint(load_find_bytes(bytes, MESSAGE_OPTIONS), MESSAGE_OPTIONS_MAP_ENTRY, 0) != 0;
  SKY_TRY(declare_symbol(file, contracts->messages, full_name, type));
  return declare_members(file, full_name, bytes, MESSAGE_NESTED, MESSAGE_ENUM, nesting);
}

SkyStatus load_declare_types(LoadFile *file) {
  return declare_members(file, file->package, file->bytes, FILE_MESSAGE, FILE_ENUM, 0);
}

/* ---- step 2: extensions, which any file may add to any message ---- */

static SkyStatus declare_extension(const LoadFile *file, SkyStr scope, SkyStr bytes) {
  SkyStr extendee = load_find_bytes(bytes, FIELD_EXTENDEE);
  if (extendee.size > 0 && *extendee.data == '.')
    extendee = (SkyStr){.data = extendee.data + 1, .size = extendee.size - 1};
  SkyMessageType *type = sky_map_get(file->contracts->messages, extendee);
  if (type == NULL)
    return SKY_INVALID_ARGUMENT("%.*s: an extension of %.*s, which the set does not contain (--include_imports?)",
                                SKY_STR_ARGS(file->name), SKY_STR_ARGS(extendee));
  Extension *extension = sky_arena_alloc(&file->contracts->arena, sizeof(*extension));
  if (extension == NULL)
    return sky_status_no_memory();
  *extension = (Extension){.bytes = bytes, .scope = scope, .next = type->extensions};
  type->extensions = extension;
  type->extension_count++;
  return SKY_OK;
}

/* Extensions inside a file or a message; the field numbers differ. */
static SkyStatus declare_extensions(const LoadFile *file, SkyStr scope, SkyStr bytes, uint32_t extension_number,
                                    uint32_t message_number) {
  SkyWireReader reader = sky_wire_reader(bytes.data, bytes.size);
  SkyWireField field;
  for (bool done = false;;) {
    SKY_TRY(load_next(&reader, &field, &done));
    if (done)
      return SKY_OK;
    if (field.type == SKY_WIRE_BYTES && field.number == extension_number)
      SKY_TRY(declare_extension(file, scope, field.bytes));
    if (field.type != SKY_WIRE_BYTES || field.number != message_number)
      continue;
    const SkyStr full_name = load_join(file->contracts, scope, load_find_bytes(field.bytes, MESSAGE_NAME));
    if (full_name.data == NULL)
      return sky_status_no_memory();
    SKY_TRY(declare_extensions(file, full_name, field.bytes, MESSAGE_EXTENSION, MESSAGE_NESTED));
  }
}

SkyStatus load_declare_extensions(LoadFile *file) {
  return declare_extensions(file, file->package, file->bytes, FILE_EXTENSION, FILE_MESSAGE);
}

/* ---- step 3: resolve ---- */

static SkyStatus field_error(const LoadFile *file, const SkyMessageType *type, SkyStr field, const char *what) {
  return SKY_INVALID_ARGUMENT("%.*s: %.*s.%.*s %s", SKY_STR_ARGS(file->name), SKY_STR_ARGS(type->full_name),
                              SKY_STR_ARGS(field), what);
}

static SkyStatus resolve_type(const LoadFile *file, const SkyMessageType *type, SkyField *field, SkyStr type_name) {
  if (field->type != PROTO_MESSAGE && field->type != PROTO_GROUP && field->type != PROTO_ENUM)
    return SKY_OK;
  if (type_name.size > 0 && *type_name.data == '.') {
    type_name.data++;
    type_name.size--;
  }
  if (field->type == PROTO_ENUM)
    field->enumeration = sky_map_get(file->contracts->enums, type_name);
  else
    field->message = sky_map_get(file->contracts->messages, type_name);
  if (field->message != NULL || field->enumeration != NULL)
    return SKY_OK;
  return SKY_INVALID_ARGUMENT("%.*s: %.*s.%.*s has the type %.*s, which the set does not contain (--include_imports?)",
                              SKY_STR_ARGS(file->name), SKY_STR_ARGS(type->full_name), SKY_STR_ARGS(field->name),
                              SKY_STR_ARGS(type_name));
}

static bool make_keys(SkyContracts *contracts, SkyField *field) {
  const SkyStr names[2] = {field->json_name, field->name};
  SkyStr *keys[2] = {&field->json_key, &field->proto_key};
  for (size_t i = 0; i < 2; i++) {
    SkyBuf key;
    sky_buf_init(&key, 4096);
    sky_buf_append_json_string(&key, names[i].data, names[i].size);
    sky_buf_append_byte(&key, ':');
    *keys[i] = key.failed ? (SkyStr){NULL, 0} : load_copy(contracts, sky_buf_str(&key));
    sky_buf_finish(&key);
  }
  return field->json_key.data != NULL && field->proto_key.data != NULL;
}

static void make_tag(SkyField *field) {
  const SkyWireType wire = field->packed ? SKY_WIRE_BYTES : (SkyWireType)proto_type_wire(field->type);
  field->tag_size = (uint8_t)sky_wire_put_varint(field->tag, sky_wire_tag(field->number, wire));
}

/* What follows from syntax, label and type. */
static void set_traits(SkyField *field, const SkyMessageType *type, SkyStr bytes) {
  const bool proto3_optional = load_find_varint(bytes, FIELD_PROTO3_OPTIONAL, 0) != 0;
  const uint64_t no_oneof = UINT64_MAX;
  const uint64_t oneof = load_find_varint(bytes, FIELD_ONEOF_INDEX, no_oneof);
  field->repeated = load_find_varint(bytes, FIELD_LABEL, 0) == LABEL_REPEATED;
  field->oneof = oneof != no_oneof && !proto3_optional && oneof < UINT16_MAX ? (int32_t)oneof : -1;
  field->map = field->repeated && field->message != NULL && field->message->is_map_entry;
  /* Key and value of a map's entry are always written. */
  field->has_presence =
      !field->repeated && (field->message != NULL || oneof != no_oneof || !type->proto3 || type->is_map_entry);
  field->check_utf8 = type->proto3;
  if (field->repeated && proto_type_is_scalar(field->type))
    field->packed = load_find_varint(load_find_bytes(bytes, FIELD_OPTIONS), FIELD_OPTIONS_PACKED, type->proto3) != 0;
}

static SkyStatus fill_field(const LoadFile *file, SkyMessageType *type, SkyField *field, SkyStr bytes) {
  SkyContracts *contracts = file->contracts;
  const uint64_t number = load_find_varint(bytes, FIELD_NUMBER, 0);
  const uint64_t proto_type = load_find_varint(bytes, FIELD_TYPE, 0);
  const SkyStr json_name = load_find_bytes(bytes, FIELD_JSON_NAME);
  field->name = load_copy(contracts, load_find_bytes(bytes, FIELD_NAME));
  field->json_name = json_name.size == 0 ? field->name : load_copy(contracts, json_name);
  field->number = (uint32_t)number;
  field->type = (ProtoType)proto_type;
  if (field->name.data == NULL || field->json_name.data == NULL)
    return sky_status_no_memory();
  if (number == 0 || number > SKY_WIRE_MAX_FIELD || !load_is_identifier(field->name, false))
    return field_error(file, type, field->name, "has a number or name that is not allowed");
  if (proto_type < PROTO_DOUBLE || proto_type > PROTO_SINT64)
    return field_error(file, type, field->name, "has an unknown type");
  SKY_TRY(resolve_type(file, type, field, load_find_bytes(bytes, FIELD_TYPE_NAME)));
  set_traits(field, type, bytes);
  if (field->oneof >= (int32_t)type->oneof_count)
    return field_error(file, type, field->name, "belongs to a oneof that does not exist");
  make_tag(field);
  return make_keys(contracts, field) ? SKY_OK : sky_status_no_memory();
}

static int compare_field_numbers(const void *a, const void *b, void *user) {
  const SkyMessageType *type = user;
  const uint32_t left = type->fields[*(const uint16_t *)a].number;
  const uint32_t right = type->fields[*(const uint16_t *)b].number;
  return left < right ? -1 : left > right;
}

static SkyStatus index_fields(const LoadFile *file, SkyMessageType *type) {
  const size_t count = type->field_count;
  type->by_number = sky_arena_alloc(&file->contracts->arena, count * sizeof(*type->by_number));
  if (type->by_number == NULL || !table_init(file->contracts, &type->names, 2 * count))
    return sky_status_no_memory();
  type->dense = true;
  for (size_t i = 0; i < count; i++) {
    SkyField *field = &type->fields[i];
    field->index = (uint16_t)i;
    type->by_number[i] = (uint16_t)i;
    type->dense = type->dense && field->number == i + 1;
    table_add(&type->names, field->json_name, i);
    if (!sky_str_equal(field->json_name, field->name))
      table_add(&type->names, field->name, i);
  }
  qsort_r(type->by_number, count, sizeof(*type->by_number), compare_field_numbers, type);
  for (size_t i = 1; i < count; i++)
    if (type->fields[type->by_number[i - 1]].number == type->fields[type->by_number[i]].number)
      return field_error(file, type, type->fields[type->by_number[i]].name, "has a number that is taken");
  return SKY_OK;
}

/* Code relies on the shape of map entries and well-known types, so a set that redefines them is refused. */
static SkyStatus check_shape(const LoadFile *file, const SkyMessageType *type) {
  static const char wanted[][8] = {
      [WELL_KNOWN_ANY] = {PROTO_STRING, PROTO_BYTES},
      [WELL_KNOWN_TIMESTAMP] = {PROTO_INT64, PROTO_INT32},
      [WELL_KNOWN_DURATION] = {PROTO_INT64, PROTO_INT32},
      [WELL_KNOWN_FIELD_MASK] = {PROTO_STRING},
      [WELL_KNOWN_STRUCT] = {PROTO_MESSAGE},
      [WELL_KNOWN_LIST_VALUE] = {PROTO_MESSAGE},
      [WELL_KNOWN_VALUE] = {PROTO_ENUM, PROTO_DOUBLE, PROTO_STRING, PROTO_BOOL, PROTO_MESSAGE, PROTO_MESSAGE},
      [WELL_KNOWN_WRAPPER] = {0},
  };
  const SkyStr name = SKY_STR("");
  if (type->is_map_entry)
    return type->field_count == 2 && type->dense && !type->fields[0].repeated && !type->fields[1].repeated &&
                   type->fields[0].message == NULL
               ? SKY_OK
               : field_error(file, type, name, "is no map entry");
  if (type->well_known == PLAIN_MESSAGE)
    return SKY_OK;
  const char *types = wanted[type->well_known];
  const size_t count = type->well_known == WELL_KNOWN_WRAPPER ? 1 : strlen(types);
  bool right = type->field_count == count && type->dense;
  for (size_t i = 0; right && i < count; i++)
    right = types[i] == 0 ? type->fields[i].message == NULL && !type->fields[i].repeated
                          : type->fields[i].type == (ProtoType)types[i];
  return right ? SKY_OK : field_error(file, type, name, "differs from the type of that name");
}

static SkyStatus fill_fields(const LoadFile *file, SkyMessageType *type, SkyStr bytes) {
  SkyWireReader reader = sky_wire_reader(bytes.data, bytes.size);
  SkyWireField field;
  for (bool done = false;;) {
    SKY_TRY(load_next(&reader, &field, &done));
    if (done)
      return SKY_OK;
    if (field.number == MESSAGE_FIELD && field.type == SKY_WIRE_BYTES)
      SKY_TRY(fill_field(file, type, &type->fields[type->field_count++], field.bytes));
  }
}

/* In JSON an extension is called "[its.full.name]". */
static bool name_extension(SkyContracts *contracts, SkyField *field, SkyStr scope) {
  const SkyStr full_name = load_join(contracts, scope, field->name);
  char *bracketed = sky_arena_alloc(&contracts->arena, full_name.size + 2);
  if (full_name.data == NULL || bracketed == NULL)
    return false;
  bracketed[0] = '[';
  memcpy(bracketed + 1, full_name.data, full_name.size);
  bracketed[full_name.size + 1] = ']';
  field->name = field->json_name = (SkyStr){.data = bracketed, .size = full_name.size + 2};
  return make_keys(contracts, field);
}

static SkyStatus fill_extensions(const LoadFile *file, SkyMessageType *type) {
  for (const Extension *extension = type->extensions; extension != NULL; extension = extension->next) {
    SkyField *field = &type->fields[type->field_count++];
    SKY_TRY(fill_field(file, type, field, extension->bytes));
    field->oneof = -1;
    field->has_presence = !field->repeated;
    if (!name_extension(file->contracts, field, extension->scope))
      return sky_status_no_memory();
  }
  type->extensions = NULL; /* they point into the caller's bytes */
  return SKY_OK;
}

static SkyStatus resolve_message(const LoadFile *file, SkyMessageType *type) {
  const SkyStr bytes = {.data = (const char *)type->descriptor, .size = type->descriptor_size};
  const size_t count = count_fields(bytes, MESSAGE_FIELD) + type->extension_count;
  const size_t oneofs = count_fields(bytes, MESSAGE_ONEOF);
  if (count > LOAD_MAX_FIELDS || oneofs > LOAD_MAX_FIELDS)
    return SKY_RESOURCE_EXHAUSTED("%.*s: %.*s has more than %d fields", SKY_STR_ARGS(file->name),
                                  SKY_STR_ARGS(type->full_name), LOAD_MAX_FIELDS);
  type->fields = sky_arena_alloc(&file->contracts->arena, count * sizeof(*type->fields));
  if (type->fields == NULL)
    return sky_status_no_memory();
  type->oneof_count = (uint16_t)oneofs;
  SKY_TRY(fill_fields(file, type, bytes));
  SKY_TRY(fill_extensions(file, type));
  SKY_TRY(index_fields(file, type));
  SKY_TRY(check_shape(file, type));
  type->descriptor = NULL; /* the caller's bytes, gone after loading */
  return SKY_OK;
}

static SkyStatus resolve_members(const LoadFile *file, SkyStr scope, SkyStr bytes, uint32_t message_number) {
  SkyWireReader reader = sky_wire_reader(bytes.data, bytes.size);
  SkyWireField field;
  for (bool done = false;;) {
    SKY_TRY(load_next(&reader, &field, &done));
    if (done)
      return SKY_OK;
    if (field.number != message_number || field.type != SKY_WIRE_BYTES)
      continue;
    const SkyStr full_name = load_join(file->contracts, scope, load_find_bytes(field.bytes, MESSAGE_NAME));
    SkyMessageType *type = full_name.data == NULL ? NULL : sky_map_get(file->contracts->messages, full_name);
    if (type == NULL)
      return sky_status_no_memory();
    SKY_TRY(resolve_message(file, type));
    SKY_TRY(resolve_members(file, full_name, field.bytes, MESSAGE_NESTED));
  }
}

SkyStatus load_resolve_types(LoadFile *file) {
  return resolve_members(file, file->package, file->bytes, FILE_MESSAGE);
}
