#include <sky/codec/bson_shape.h>

#include <ctype.h>
#include <string.h>

bool sky_bson_is_timestamp(const ProtobufCFieldDescriptor *field) {
  return field->type == PROTOBUF_C_TYPE_MESSAGE &&
         strcmp(((const ProtobufCMessageDescriptor *)field->descriptor)->name, "google.protobuf.Timestamp") == 0;
}

/* protoc names the entries of `map<...> by_number` ByNumberEntry. */
static bool is_entry_name(const char *entry, const char *field) {
  bool upper = true;
  for (; *field != '\0'; field++) {
    if (*field == '_') {
      upper = true;
      continue;
    }
    const char wanted = upper ? (char)toupper((unsigned char)*field) : *field;
    if (*entry++ != wanted)
      return false;
    upper = false;
  }
  return strcmp(entry, "Entry") == 0;
}

bool sky_bson_is_map(const ProtobufCFieldDescriptor *field) {
  if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE)
    return false;
  const ProtobufCMessageDescriptor *entry = field->descriptor;
  return entry->n_fields == 2 && entry->fields[0].id == 1 && strcmp(entry->fields[0].name, "key") == 0 &&
         entry->fields[1].id == 2 && strcmp(entry->fields[1].name, "value") == 0 &&
         is_entry_name(entry->short_name, field->name);
}

size_t sky_bson_element_size(const ProtobufCFieldDescriptor *field) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_SINT64:
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_SFIXED64:
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_DOUBLE:
    return 8;
  case PROTOBUF_C_TYPE_STRING:
  case PROTOBUF_C_TYPE_MESSAGE:
    return sizeof(void *);
  case PROTOBUF_C_TYPE_BYTES:
    return sizeof(ProtobufCBinaryData);
  default:
    return 4; /* 32-bit numbers, float, bool, enum */
  }
}
