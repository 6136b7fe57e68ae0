#include <sky/store/document.h>

#include <string.h>

#include <sky/codec/message.h>

static SkyStatus check_message(const ProtobufCMessage *message, unsigned depth);

static const void *member(const ProtobufCMessage *message, unsigned offset) {
  return (const uint8_t *)message + offset;
}

static SkyStatus check_element(const ProtobufCFieldDescriptor *field, const void *element, unsigned depth) {
  if (element == NULL) /* unset, or the default */
    return SKY_OK;
  if (field->type == PROTOBUF_C_TYPE_MESSAGE)
    return check_message(element, depth + 1);
  SkyStatus status = SKY_OK;
  if (!sky_utf8_valid(element, strlen(element)))
    sky_violations_add(&status, field->name, "is not UTF-8");
  return status;
}

static SkyStatus check_repeated(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
                                unsigned depth) {
  const size_t count = *(const size_t *)member(message, field->quantifier_offset);
  void *const *elements = *(void *const *const *)member(message, field->offset);
  for (size_t i = 0; i < count; i++)
    SKY_TRY(check_element(field, elements[i], depth));
  return SKY_OK;
}

static bool is_other_case(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
  return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
         *(const uint32_t *)member(message, field->quantifier_offset) != field->id;
}

static SkyStatus check_message(const ProtobufCMessage *message, unsigned depth) {
  const ProtobufCMessageDescriptor *type = message->descriptor;
  if (depth >= SKY_MESSAGE_MAX_DEPTH)
    return SKY_INVALID_ARGUMENT("%s is nested deeper than %d", type->name, SKY_MESSAGE_MAX_DEPTH);
  for (unsigned i = 0; i < type->n_fields; i++) {
    const ProtobufCFieldDescriptor *field = &type->fields[i];
    if (field->type != PROTOBUF_C_TYPE_STRING && field->type != PROTOBUF_C_TYPE_MESSAGE)
      continue;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
      SKY_TRY(check_repeated(message, field, depth));
    else if (!is_other_case(message, field))
      SKY_TRY(check_element(field, *(void *const *)member(message, field->offset), depth));
  }
  return SKY_OK;
}

SkyStatus sky_document_check(const ProtobufCMessage *document) {
  return check_message(document, 0);
}
