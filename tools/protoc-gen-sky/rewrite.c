#include "rewrite.h"

#include <string.h>

#include "names.h"

static bool uses_file_in(const Model *model, const MessageProto *message, const File *wanted) {
  for (size_t i = 0; i < message->n_field; i++) {
    const FieldProto *field = message->field[i];
    if (field->type_name == NULL)
      continue;
    const Message *type = sky_model_message(model, field->type_name);
    if (type != NULL && type->file == wanted)
      return true;
    for (size_t e = 0; type == NULL && e < wanted->enum_count; e++) {
      if (strcmp(wanted->enums[e]->full_name, field->type_name + 1) == 0)
        return true;
    }
  }
  for (size_t i = 0; i < message->n_nested_type; i++) {
    if (uses_file_in(model, message->nested_type[i], wanted))
      return true;
  }
  return false;
}

/* Of the imported file or of one that it imports publicly. */
static bool uses(const Model *model, const File *file, const File *import) {
  for (size_t i = 0; i < file->proto->n_message_type; i++) {
    if (uses_file_in(model, file->proto->message_type[i], import))
      return true;
  }
  for (size_t i = 0; i < import->proto->n_public_dependency; i++) {
    const int32_t index = import->proto->public_dependency[i];
    const File *next = sky_model_file(model, import->proto->dependency[index]);
    if (next != NULL && uses(model, file, next))
      return true;
  }
  return false;
}

static bool is_public(const File *file, const char *import) {
  for (size_t i = 0; i < file->proto->n_public_dependency; i++) {
    if (strcmp(file->proto->dependency[file->proto->public_dependency[i]], import) == 0)
      return true;
  }
  return false;
}

bool sky_rewrite_keeps_import(const Model *model, const File *file, const char *import) {
  const File *imported = sky_model_file(model, import);
  return imported == NULL || is_public(file, import) || uses(model, file, imported);
}

static void rewrite_imports(const Model *model, FileProto *proto) {
  const File *file = sky_model_file(model, proto->name);
  size_t kept = 0, kept_public = 0;
  for (size_t i = 0; i < proto->n_dependency; i++) {
    if (!sky_rewrite_keeps_import(model, file, file->proto->dependency[i]))
      continue;
    if (is_public(file, file->proto->dependency[i]))
      proto->public_dependency[kept_public++] = (int32_t)kept;
    proto->dependency[kept++] = proto->dependency[i];
  }
  proto->n_dependency = kept;
  proto->n_public_dependency = kept_public;
  proto->n_weak_dependency = 0;
}

/* Appends an option of protobuf-c.proto: an unknown field whose bytes begin with their length. */
static void add_option(const Model *model, ProtobufCMessage *options, const uint8_t *bytes, uint8_t size) {
  ProtobufCMessageUnknownField *fields =
      sky_gen_alloc(model->arena, sizeof(fields[0]) * ((size_t)options->n_unknown_fields + 1));
  if (options->n_unknown_fields > 0)
    memcpy(fields, options->unknown_fields, sizeof(fields[0]) * options->n_unknown_fields);
  uint8_t *data = sky_gen_alloc(model->arena, (size_t)size + 1);
  data[0] = size;
  memcpy(data + 1, bytes, size);
  fields[options->n_unknown_fields] = (ProtobufCMessageUnknownField){.tag = EXTENSION_PROTOBUF_C,
                                                                     .wire_type = PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED,
                                                                     .len = (size_t)size + 1,
                                                                     .data = data};
  options->n_unknown_fields++;
  options->unknown_fields = fields;
}

static void rename_base(const Model *model, MessageProto *message) {
  static const char base_field_name[] = "\x1a\x08" SKY_BASE_MEMBER; /* field 3, 8 bytes */
  for (size_t i = 0; i < message->n_field; i++) {
    if (strcmp(sky_names_c_member(model->arena, message->field[i]->name), "base") != 0)
      continue;
    if (message->options == NULL) {
      message->options = sky_gen_alloc(model->arena, sizeof(*message->options));
      google__protobuf__message_options__init(message->options);
    }
    add_option(model, &message->options->base, (const uint8_t *)base_field_name, sizeof(base_field_name) - 1);
  }
}

static void rewrite_message(const Model *model, MessageProto *message) {
  for (size_t i = 0; i < message->n_field; i++)
    message->field[i]->has_proto3_optional = 0;
  rename_base(model, message);
  message->n_extension = 0;
  for (size_t i = 0; i < message->n_nested_type; i++)
    rewrite_message(model, message->nested_type[i]);
}

static void rewrite_file(const Model *model, FileProto *file) {
  static const uint8_t const_strings[] = {4 << 3, 1};
  rewrite_imports(model, file);
  file->n_service = 0;
  file->n_extension = 0;
  for (size_t i = 0; i < file->n_message_type; i++)
    rewrite_message(model, file->message_type[i]);
  if (file->options == NULL) {
    file->options = sky_gen_alloc(model->arena, sizeof(*file->options));
    google__protobuf__file_options__init(file->options);
  }
  file->options->has_optimize_for = 0;
  add_option(model, &file->options->base, const_strings, sizeof(const_strings));
}

void sky_rewrite_request(const Model *model, PluginRequest *request) {
  for (size_t i = 0; i < request->n_proto_file; i++)
    rewrite_file(model, request->proto_file[i]);
}
