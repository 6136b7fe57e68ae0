/* <stem>.sky.h and .sky.c: short names, typed wrappers, enums, oneofs, validation. */
#include "emit.h"

#include <string.h>

#include "names.h"
#include "rewrite.h"

/* ---- shared by all emitters ---- */

void sky_emit_preamble(const File *file, bool is_header, SkyBuf *out) {
  sky_buf_printf(out, "/* Written by protoc-gen-sky from %s. Do not edit. */\n", file->name);
  if (is_header)
    sky_buf_append_text(out, "#pragma once\n");
  sky_buf_append_byte(out, '\n');
}

void sky_emit_comment(const char *comment, const char *indent, SkyBuf *out) {
  if (comment == NULL || *comment == '\0')
    return;
  SkyStr rest = sky_str(comment), line;
  sky_buf_printf(out, "%s/*\n", indent);
  while (rest.size > 0) {
    line = rest;
    if (!sky_str_cut(&rest, '\n', &line))
      rest.size = 0;
    sky_buf_printf(out, "%s *", indent);
    for (size_t i = 0; i < line.size; i++) {
      const bool ends_comment = line.data[i] == '/' && i > 0 && (line.data[i - 1] == '*');
      const bool begins_comment = line.data[i] == '*' && i > 0 && line.data[i - 1] == '/';
      if (ends_comment || begins_comment)
        sky_buf_append_byte(out, ' ');
      sky_buf_append_byte(out, (uint8_t)line.data[i]);
    }
    sky_buf_append_byte(out, '\n');
  }
  sky_buf_printf(out, "%s */\n", indent);
}

/* Bytes outside printable ASCII in octal: unlike \x it ends after three digits. */
void sky_emit_string(SkyStr text, SkyBuf *out) {
  sky_buf_append_byte(out, '"');
  for (size_t i = 0; i < text.size; i++) {
    const unsigned char c = (unsigned char)text.data[i];
    if (c == '"' || c == '\\' || c == '?')
      sky_buf_printf(out, "\\%c", c);
    else if (c < 0x20 || c >= 0x7f)
      sky_buf_printf(out, "\\%03o", c);
    else
      sky_buf_append_byte(out, c);
  }
  sky_buf_append_byte(out, '"');
}

/* ---- names that are taken ---- */

static void take(Model *model, const File *file, const Message *message, const char *suffix) {
  sky_model_take_symbol(model, file, sky_gen_printf(model->arena, "%s%s", message->short_name, suffix),
                        message->full_name);
}

static void take_message(Model *model, const File *file, const Message *message) {
  static const char *const suffixes[] = {"",      "_INIT", "_descriptor", "_type",     "_rules",
                                         "_pack", "_copy", "_create",     "_validate", "_unpack"};
  const size_t count = message->is_map_entry ? 3 : sizeof(suffixes) / sizeof(suffixes[0]);
  for (size_t i = 0; i < count; i++)
    take(model, file, message, suffixes[i]);
}

static void take_names(Model *model, const File *file) {
  for (size_t i = 0; i < file->message_count; i++)
    take_message(model, file, file->messages[i]);
  for (size_t i = 0; i < file->enum_count; i++) {
    const Enum *type = file->enums[i];
    sky_model_take_symbol(model, file, type->short_name, type->full_name);
    sky_model_take_symbol(model, file, sky_gen_printf(model->arena, "%s_name", type->short_name), type->full_name);
    sky_model_take_symbol(model, file, sky_gen_printf(model->arena, "%s_from_name", type->short_name), type->full_name);
    for (size_t v = 0; v < type->proto->n_value; v++)
      sky_model_take_symbol(model, file,
                            sky_gen_printf(model->arena, "%s%s", type->value_prefix, type->proto->value[v]->name),
                            sky_gen_printf(model->arena, "%s.%s", type->full_name, type->proto->value[v]->name));
  }
}

/* ---- what cannot be ---- */

static bool same_member(Model *model, const FieldProto *a, const char *name) {
  return strcmp(sky_names_c_member(model->arena, a->name), name) == 0;
}

/* protoc-gen-c puts members of its own beside the fields. */
static void check_companion(Model *model, const File *file, const Message *message, const char *member,
                            const char *owner) {
  for (size_t i = 0; i < message->proto->n_field; i++) {
    if (same_member(model, message->proto->field[i], member))
      sky_model_error(model, file, message->full_name,
                      "field %s has the name of the C member that goes with %s; rename one",
                      message->proto->field[i]->name, owner);
  }
}

static void check_field(Model *model, const File *file, const Message *message, const FieldProto *field) {
  const char *member = sky_names_c_member(model->arena, field->name);
  const char *where = sky_gen_printf(model->arena, "%s.%s", message->full_name, field->name);
  if (sky_names_is_macro(member))
    sky_model_error(model, file, where, "\"%s\" is a word of the C compiler or library that no field can have", member);
  if (field->type == TYPE(GROUP))
    sky_model_error(model, file, where, "groups are not supported; use a message");
  if (field->default_value != NULL && (field->type == TYPE(DOUBLE) || field->type == TYPE(FLOAT)) &&
      strpbrk(field->default_value, "nN") != NULL) /* nan, inf, -inf */
    sky_model_error(model, file, where, "the default %s is not supported", field->default_value);
  if (field->label == LABEL(REQUIRED))
    sky_model_error(model, file, where, "proto2's `required` is not supported; use buf.validate's required rule");
  if (field->options != NULL && field->options->base.n_unknown_fields > 0)
    for (unsigned i = 0; i < field->options->base.n_unknown_fields; i++)
      if (field->options->base.unknown_fields[i].tag == EXTENSION_PROTOBUF_C)
        sky_model_error(model, file, where, "options of protobuf-c.proto are set by protoc-gen-sky itself");
  if (sky_field_is_repeated(field))
    check_companion(model, file, message, sky_gen_printf(model->arena, "n_%s", member), field->name);
  for (size_t i = 0; i < message->proto->n_field; i++) {
    const FieldProto *other = message->proto->field[i];
    if (other != field && other->number > field->number && same_member(model, other, member))
      sky_model_error(model, file, where, "differs from %s only in case, and C members are lower-case", other->name);
  }
}

/* Extensions that declare options say something to plugins; all others would be lost, for C has no place for them. */
static void check_extensions(Model *model, const File *file, const char *scope, FieldProto *const *extensions,
                             size_t count) {
  for (size_t i = 0; i < count; i++) {
    const SkyStr extended = sky_str(extensions[i]->extendee + 1); /* behind its leading dot */
    if (sky_str_starts_with(extended, SKY_STR("google.protobuf.")) && sky_str_ends_with(extended, SKY_STR("Options")))
      continue;
    const char *where = sky_gen_printf(model->arena, "%s%s%s", scope, *scope ? "." : "", extensions[i]->name);
    sky_model_error(model, file, where, "extensions of messages are not supported; give %.*s the field itself",
                    SKY_STR_ARGS(extended));
  }
}

static void check_message(Model *model, const File *file, const Message *message) {
  for (size_t i = 0; i < message->proto->n_field; i++)
    check_field(model, file, message, message->proto->field[i]);
  for (size_t i = 0; i < message->proto->n_oneof_decl; i++) {
    const char *name = message->proto->oneof_decl[i]->name;
    check_companion(model, file, message,
                    sky_gen_printf(model->arena, "%s_case", sky_names_c_lower(model->arena, name)), name);
  }
  check_extensions(model, file, message->full_name, message->proto->extension, message->proto->n_extension);
}

/* ---- messages ---- */

static bool is_proto3(const File *file) {
  return file->proto->syntax != NULL && strcmp(file->proto->syntax, "proto3") == 0;
}

static const char *base_member(const Model *model, const Message *message) {
  for (size_t i = 0; i < message->proto->n_field; i++) {
    if (strcmp(sky_names_c_member(model->arena, message->proto->field[i]->name), "base") == 0)
      return SKY_BASE_MEMBER;
  }
  return "base";
}

/*
 * protoc-gen-c's own initialiser is positional, and makes compilers warn where a oneof begins with a struct. In proto3
 * only strings do not begin as zero.
 */
static void emit_init(const Model *model, const Message *message, SkyBuf *out) {
  if (!is_proto3(message->file)) {
    sky_buf_printf(out, "#define %s_INIT %s__INIT\n", message->short_name, message->c_upper);
    return;
  }
  sky_buf_printf(out, "#define %s_INIT {.%s = PROTOBUF_C_MESSAGE_INIT(&%s__descriptor)", message->short_name,
                 base_member(model, message), message->c_lower);
  for (size_t i = 0; i < message->proto->n_field; i++) {
    const FieldProto *field = message->proto->field[i];
    if (field->type == TYPE(STRING) && !sky_field_is_repeated(field) && sky_field_oneof(field) < 0)
      sky_buf_printf(out, ", .%s = protobuf_c_empty_string", sky_names_c_member(model->arena, field->name));
  }
  sky_buf_append_text(out, "}\n");
}

static void emit_typedef(const Model *model, const Message *message, SkyBuf *out) {
  sky_buf_printf(out, "typedef %s %s;\n", message->c_type, message->short_name);
  emit_init(model, message, out);
  sky_buf_printf(out, "#define %s_descriptor (&%s__descriptor)\n", message->short_name, message->c_lower);
}

static void emit_wrappers(const Model *model, const Message *message, SkyBuf *out) {
  const char *m = message->short_name;
  if (message->needs_rules)
    sky_buf_printf(out, "extern const SkyMessageRules %s_rule_table;\n", m);
  sky_buf_printf(out, "#define %s_rules %s%s%s\n", m, message->needs_rules ? "(" : "",
                 sky_emit_rules_of(model, message), message->needs_rules ? ")" : "");
  sky_buf_printf(out, "extern const SkyPayloadType %s_type;\n\n", m);
  sky_buf_printf(out,
                 "SKY_MUST_USE static inline SkyStatus %s_unpack(SkyStr wire, SkyArena *arena, %s **ret) {\n"
                 "  ProtobufCMessage *message_;\n"
                 "  SKY_TRY(sky_message_unpack(%s_descriptor, wire, arena, &message_));\n"
                 "  *ret = (%s *)message_;\n"
                 "  return SKY_OK;\n"
                 "}\n",
                 m, m, m, m);
  sky_buf_printf(out,
                 "SKY_MUST_USE static inline SkyStatus %s_pack(const %s *message, SkyBuf *out) {\n"
                 "  return sky_message_pack((const ProtobufCMessage *)message, out);\n"
                 "}\n",
                 m, m);
  sky_buf_printf(out,
                 "SKY_MUST_USE static inline SkyStatus %s_copy(const %s *message, SkyArena *arena, %s **ret) {\n"
                 "  ProtobufCMessage *message_;\n"
                 "  SKY_TRY(sky_message_copy((const ProtobufCMessage *)message, arena, &message_));\n"
                 "  *ret = (%s *)message_;\n"
                 "  return SKY_OK;\n"
                 "}\n",
                 m, m, m, m);
  sky_buf_printf(out,
                 "static inline %s *%s_create(SkyArena *arena) {\n"
                 "  return (%s *)sky_message_create(%s_descriptor, arena);\n"
                 "}\n",
                 m, m, m, m);
  sky_buf_printf(out,
                 "SKY_MUST_USE static inline SkyStatus %s_validate(const %s *message) {\n"
                 "  return sky_message_validate((const ProtobufCMessage *)message, %s_rules);\n"
                 "}\n\n",
                 m, m, m);
}

/* ---- enums ---- */

static void emit_enum(const Enum *type, SkyBuf *out) {
  const char *e = type->short_name;
  sky_buf_printf(out, "typedef %s %s;\n", type->c_type, e);
  for (size_t i = 0; i < type->proto->n_value; i++)
    sky_buf_printf(out, "#define %s%s %s__%s\n", type->value_prefix, type->proto->value[i]->name, type->c_upper,
                   type->proto->value[i]->name);
  sky_buf_printf(out, "#define %s_descriptor (&%s__descriptor)\n", e, type->c_lower);
  sky_buf_printf(out,
                 "/* \"%s\" and the like; \"\" for a number the contract does not have. */\n"
                 "static inline const char *%s_name(%s value) {\n"
                 "  const ProtobufCEnumValue *found_ = sky_enum_find(%s_descriptor, (int)value);\n"
                 "  return found_ == NULL ? \"\" : found_->name;\n"
                 "}\n",
                 type->proto->n_value > 0 ? type->proto->value[0]->name : "", e, e, e);
  sky_buf_printf(
      out,
      "static inline bool %s_from_name(const char *name, %s *ret) {\n"
      "  const ProtobufCEnumValue *found_ = protobuf_c_enum_descriptor_get_value_by_name(%s_descriptor, name);\n"
      "  if (found_ != NULL)\n"
      "    *ret = (%s)found_->value;\n"
      "  return found_ != NULL;\n"
      "}\n\n",
      e, e, e, e);
}

/* ---- oneofs ---- */

static const char *c_value_type(const Model *model, const FieldProto *field) {
  switch (field->type) {
  case TYPE(DOUBLE):
    return "double ";
  case TYPE(FLOAT):
    return "float ";
  case TYPE(INT64):
  case TYPE(SINT64):
  case TYPE(SFIXED64):
    return "int64_t ";
  case TYPE(UINT64):
  case TYPE(FIXED64):
    return "uint64_t ";
  case TYPE(INT32):
  case TYPE(SINT32):
  case TYPE(SFIXED32):
    return "int32_t ";
  case TYPE(UINT32):
  case TYPE(FIXED32):
    return "uint32_t ";
  case TYPE(BOOL):
    return "bool ";
  case TYPE(STRING):
    return "const char *";
  case TYPE(BYTES):
    return "ProtobufCBinaryData ";
  case TYPE(ENUM):
    return sky_gen_printf(model->arena, "%s ", sky_names_c_type(model->arena, field->type_name));
  default:
    return sky_gen_printf(model->arena, "%s *", sky_names_c_type(model->arena, field->type_name));
  }
}

static const char *oneof_constant(const Model *model, const Message *message, const char *oneof,
                                  const FieldProto *field) {
  return sky_gen_printf(model->arena, "%s__%s_%s", message->c_upper, sky_names_c_upper(model->arena, oneof),
                        sky_names_c_upper(model->arena, field->name));
}

/* has, set and clear of a member: the two assignments of a oneof must not be forgotten apart. */
static void emit_oneof_member(Model *model, const Message *message, const char *oneof, const FieldProto *field,
                              SkyBuf *out) {
  const char *m = message->short_name, *f = sky_names_lower(model->arena, field->name);
  const char *case_member = sky_gen_printf(model->arena, "%s_case", sky_names_c_lower(model->arena, oneof));
  const char *constant = oneof_constant(model, message, oneof, field);
  const char *member = sky_names_c_member(model->arena, field->name);
  const char *verbs[] = {"has", "set", "clear"};
  for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
    take(model, message->file, message, sky_gen_printf(model->arena, "_%s_%s", verbs[i], f));
  sky_buf_printf(out,
                 "static inline bool %s_has_%s(const %s *message) {\n"
                 "  return message->%s == %s;\n"
                 "}\n",
                 m, f, m, case_member, constant);
  sky_buf_printf(out,
                 "static inline void %s_set_%s(%s *message, %svalue) {\n"
                 "  message->%s = %s;\n"
                 "  message->%s = value;\n"
                 "}\n",
                 m, f, m, c_value_type(model, field), case_member, constant, member);
  sky_buf_printf(out,
                 "static inline void %s_clear_%s(%s *message) {\n"
                 "  if (message->%s == %s)\n"
                 "    message->%s = %s__%s__NOT_SET;\n"
                 "}\n",
                 m, f, m, case_member, constant, case_member, message->c_upper, sky_names_c_upper(model->arena, oneof));
}

static bool is_synthetic(const MessageProto *proto, size_t oneof) {
  for (size_t i = 0; i < proto->n_field; i++) {
    if (sky_field_oneof(proto->field[i]) == (int)oneof && proto->field[i]->proto3_optional)
      return true;
  }
  return false;
}

static void emit_case(Model *model, const Message *message, size_t index, SkyBuf *out) {
  const char *oneof = message->proto->oneof_decl[index]->name;
  const char *upper = sky_names_c_upper(model->arena, oneof);
  const char *type = sky_gen_printf(model->arena, "_%sCase", sky_names_camel(model->arena, oneof));
  take(model, message->file, message, type);
  sky_buf_printf(out, "typedef %s__%sCase %s%s;\n", message->c_type, sky_names_camel(model->arena, oneof),
                 message->short_name, type);
  take(model, message->file, message, sky_gen_printf(model->arena, "_%s_NOT_SET", upper));
  sky_buf_printf(out, "#define %s_%s_NOT_SET %s__%s__NOT_SET\n", message->short_name, upper, message->c_upper, upper);
  for (size_t i = 0; i < message->proto->n_field; i++) {
    const FieldProto *field = message->proto->field[i];
    if (sky_field_oneof(field) != (int)index)
      continue;
    const char *suffix = sky_gen_printf(model->arena, "_%s_%s", upper, sky_names_c_upper(model->arena, field->name));
    take(model, message->file, message, suffix);
    sky_buf_printf(out, "#define %s%s %s\n", message->short_name, suffix, oneof_constant(model, message, oneof, field));
  }
}

static void emit_oneofs(Model *model, const Message *message, SkyBuf *out) {
  const MessageProto *proto = message->proto;
  for (size_t i = 0; i < proto->n_oneof_decl; i++) {
    if (!is_synthetic(proto, i))
      emit_case(model, message, i, out);
    for (size_t f = 0; f < proto->n_field; f++) {
      if (sky_field_oneof(proto->field[f]) == (int)i)
        emit_oneof_member(model, message, proto->oneof_decl[i]->name, proto->field[f], out);
    }
  }
}

/* ---- the files ---- */

void sky_emit_message_header(Model *model, File *file, SkyBuf *out) {
  take_names(model, file);
  sky_emit_preamble(file, true, out);
  sky_buf_append_text(out, "#include <stdbool.h>\n\n#include <sky/codec/message.h>\n#include <sky/codec/rules.h>\n"
                           "#include <sky/codec/service.h>\n\n");
  sky_buf_printf(out, "#include \"%s.pb-c.h\"\n", file->stem);
  for (size_t i = 0; i < file->proto->n_dependency; i++) {
    const File *import = sky_model_file(model, file->proto->dependency[i]);
    if (import != NULL && sky_rewrite_keeps_import(model, file, import->name))
      sky_buf_printf(out, "#include \"%s.sky.h\"\n", import->stem);
  }
  sky_buf_append_byte(out, '\n');
  for (size_t i = 0; i < file->enum_count; i++)
    emit_enum(file->enums[i], out);
  check_extensions(model, file, file->proto->package == NULL ? "" : file->proto->package, file->proto->extension,
                   file->proto->n_extension);
  for (size_t i = 0; i < file->message_count; i++) {
    check_message(model, file, file->messages[i]);
    emit_typedef(model, file->messages[i], out);
    if (file->messages[i]->is_map_entry)
      continue;
    emit_wrappers(model, file->messages[i], out);
    emit_oneofs(model, file->messages[i], out);
  }
}

void sky_emit_message_source(Model *model, File *file, SkyBuf *out) {
  sky_emit_preamble(file, false, out);
  sky_buf_printf(out, "#include \"%s.sky.h\"\n\n#include <sky/codec/rule_tables.h>\n\n", file->stem);
  sky_emit_rules(model, file, out);
  for (size_t i = 0; i < file->message_count; i++) {
    const Message *message = file->messages[i];
    if (!message->is_map_entry)
      sky_buf_printf(out, "const SkyPayloadType %s_type = {&%s__descriptor, %s};\n", message->short_name,
                     message->c_lower, sky_emit_rules_of(model, message));
  }
}
