/* Validation rules: buf.validate options and google.api.field_behavior to the tables of <sky/codec/rule_tables.h>. */
#include "emit_rules.h"

#include <inttypes.h>
#include <string.h>

#include "names.h"

/* ---- fields ---- */

static SkyStr rules_of(const Model *model, const FieldProto *field) {
  return sky_options_extension(model->arena, (const ProtobufCMessage *)field->options, EXTENSION_VALIDATE);
}

/*
 * google.api.field_behavior = REQUIRED is held where "not set" can be told: fields with presence, messages, lists, and
 * texts and enums, whose zero values mean "none". A number or bool without presence may be 0 by intent.
 */
static bool is_required_by_behavior(const FieldProto *field) {
  if (!sky_options_lists((const ProtobufCMessage *)field->options, EXTENSION_FIELD_BEHAVIOR, BEHAVIOR_REQUIRED))
    return false;
  return sky_field_is_repeated(field) || sky_field_oneof(field) >= 0 || field->type == TYPE(MESSAGE) ||
         field->type == TYPE(STRING) || field->type == TYPE(BYTES) || field->type == TYPE(ENUM);
}

static bool is_required(const Model *model, const FieldProto *field) {
  uint64_t required = 0;
  (void)sky_options_scalar(rules_of(model, field), RULES_REQUIRED, &required);
  return required != 0 || is_required_by_behavior(field);
}

/* Position in the descriptor, which protobuf-c sorts by number. */
static unsigned field_index(const MessageProto *message, const FieldProto *field) {
  unsigned index = 0;
  for (size_t i = 0; i < message->n_field; i++)
    index += message->field[i]->number < field->number;
  return index;
}

static RuleWriter named(const RuleWriter *writer, const char *suffix) {
  RuleWriter other = *writer;
  other.name = sky_gen_printf(writer->model->arena, "%s_%s", writer->name, suffix);
  return other;
}

/* min, max and unique of a list or map as a whole; false when there are none. */
static bool write_whole_list(const RuleWriter *writer, SkyStr rules, bool is_map) {
  enum { MIN = 1, MAX = 2, UNIQUE = 3, KEYS = 4, ITEMS = 4, VALUES = 5 };
  uint64_t least = 0, most = 0, unique = 0;
  const bool has_least = sky_options_scalar(rules, MIN, &least);
  const bool has_most = sky_options_scalar(rules, MAX, &most);
  const bool is_unique = !is_map && sky_options_scalar(rules, UNIQUE, &unique) && unique;
  const uint32_t known[] = {MIN, MAX, is_map ? KEYS : UNIQUE, is_map ? VALUES : ITEMS};
  sky_rules_refuse_others(writer, rules, known, sizeof(known) / sizeof(known[0]));
  if (!has_least && !has_most && !is_unique)
    return false;
  sky_buf_printf(writer->out, "static const SkyRule %s[] = {", writer->name);
  if (has_least)
    sky_buf_printf(writer->out, "{SKY_RULE_MIN_ITEMS, {.count = %" PRIu64 "}}, ", least);
  if (has_most)
    sky_buf_printf(writer->out, "{SKY_RULE_MAX_ITEMS, {.count = %" PRIu64 "}}, ", most);
  if (is_unique)
    sky_buf_append_text(writer->out, "{.op = SKY_RULE_UNIQUE}, ");
  sky_buf_append_text(writer->out, "{.op = SKY_RULE_END}};\n");
  return true;
}

/* Writes a SkyValueRules object; "NULL" when it would be empty. */
static const char *write_part(const RuleWriter *writer, const char *suffix, const FieldProto *field, SkyStr rules) {
  const RuleWriter part = named(writer, suffix);
  const char *initialiser = sky_emit_value_rules(&part, field, rules);
  if (strcmp(initialiser, "{0}") == 0)
    return "NULL";
  sky_buf_printf(writer->out, "static const SkyValueRules %s_part = %s;\n", part.name, initialiser);
  return sky_gen_printf(writer->model->arena, "&%s_part", part.name);
}

static void write_list_field(const RuleWriter *writer, const FieldProto *field, SkyStr rules, const Message *entry,
                             unsigned index, SkyBuf *fields) {
  SkyArena *arena = writer->model->arena;
  const bool is_map = entry != NULL;
  const uint32_t expected = is_map ? RULES_MAP : RULES_REPEATED;
  sky_rules_refuse_other_types(writer, rules, expected);
  const SkyStr own = sky_options_message(arena, rules, expected, NULL);
  const FieldProto *item = is_map ? entry->proto->field[1] : field;
  const char *keys =
      is_map ? write_part(writer, "keys", entry->proto->field[0], sky_options_message(arena, own, 4, NULL)) : "NULL";
  const char *items = write_part(writer, "items", item, sky_options_message(arena, own, is_map ? 5 : 4, NULL));
  const bool whole = write_whole_list(writer, own, is_map);
  const bool required = is_required(writer->model, field);
  if (!whole && !required && strcmp(items, "NULL") == 0 && strcmp(keys, "NULL") == 0)
    return;
  sky_buf_printf(fields,
                 "    {.index = %u, .required = %s, .is_map = %s, .value = {%s, NULL, %s}, .items = %s, .keys = %s},\n",
                 index, required ? "true" : "false", is_map ? "true" : "false", whole ? writer->name : "NULL",
                 sky_rules_ignore(rules) == IGNORE_IF_ZERO_VALUE ? "true" : "false", items, keys);
}

static void write_field(const RuleWriter *outer, const Message *message, const FieldProto *field, SkyBuf *fields) {
  SkyArena *arena = outer->model->arena;
  const SkyStr rules = rules_of(outer->model, field);
  const Message *entry = sky_model_map_entry(outer->model, field);
  const unsigned index = field_index(message->proto, field);
  RuleWriter writer = named(outer, sky_gen_printf(arena, "%d", field->number));
  writer.where = sky_gen_printf(arena, "%s.%s", message->full_name, field->name);
  if (sky_rules_ignore(rules) == IGNORE_ALWAYS)
    return;
  if (sky_field_is_repeated(field)) {
    write_list_field(&writer, field, rules, entry, index, fields);
    return;
  }
  const bool required = is_required(outer->model, field);
  const char *value = sky_emit_value_rules(&writer, field, rules);
  if (required || strcmp(value, "{0}") != 0)
    sky_buf_printf(fields, "    {.index = %u, .required = %s, .value = %s},\n", index, required ? "true" : "false",
                   value);
}

/* ---- oneofs and groups ---- */

static bool is_oneof_required(const Model *model, const Google__Protobuf__OneofDescriptorProto *oneof) {
  uint64_t required = 0;
  const SkyStr rules =
      sky_options_extension(model->arena, (const ProtobufCMessage *)oneof->options, EXTENSION_VALIDATE);
  return sky_options_scalar(rules, 1, &required) && required;
}

static void write_required_oneof(const RuleWriter *writer, const MessageProto *proto, size_t oneof, SkyBuf *groups) {
  const RuleWriter group = named(writer, sky_gen_printf(writer->model->arena, "oneof%zu", oneof));
  size_t count = 0;
  sky_buf_printf(writer->out, "static const unsigned %s[] = {", group.name);
  for (size_t i = 0; i < proto->n_field; i++) {
    if (sky_field_oneof(proto->field[i]) != (int)oneof)
      continue;
    sky_buf_printf(writer->out, "%u, ", field_index(proto, proto->field[i]));
    count++;
  }
  sky_buf_append_text(writer->out, "};\n");
  sky_buf_printf(groups, "    {\"%s\", %s, %zu, true},\n", proto->oneof_decl[oneof]->name, group.name, count);
}

static const FieldProto *field_named(const MessageProto *proto, SkyStr name) {
  for (size_t i = 0; i < proto->n_field; i++) {
    if (sky_str_is(name, proto->field[i]->name))
      return proto->field[i];
  }
  return NULL;
}

/* buf.validate.MessageOneofRule: {repeated string fields = 1; bool required = 2}. */
static void write_group(const RuleWriter *writer, const MessageProto *proto, SkyStr rule, size_t number,
                        SkyBuf *groups) {
  const RuleWriter group = named(writer, sky_gen_printf(writer->model->arena, "group%zu", number));
  SkyBuf name;
  sky_buf_init(&name, MAX_FILE_BYTES);
  uint64_t required = 0;
  (void)sky_options_scalar(rule, 2, &required);
  SkyWireReader reader = sky_wire_reader(rule.data, rule.size);
  SkyWireField wire;
  size_t count = 0;
  sky_buf_printf(writer->out, "static const unsigned %s[] = {", group.name);
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &wire)) {
    if (wire.number != 1 || wire.type != SKY_WIRE_BYTES)
      continue;
    const FieldProto *field = field_named(proto, wire.bytes);
    if (field == NULL) {
      rule_problem(writer, "a oneof rule names a field \"%.*s\" that is not there", SKY_STR_ARGS(wire.bytes));
      continue;
    }
    sky_buf_printf(writer->out, "%u, ", field_index(proto, field));
    sky_buf_printf(&name, "%s%s", count++ > 0 ? "|" : "", field->name);
  }
  sky_buf_append_text(writer->out, "};\n");
  sky_buf_printf(groups, "    {\"%.*s\", %s, %zu, %s},\n", SKY_STR_ARGS(sky_buf_str(&name)), group.name, count,
                 required ? "true" : "false");
  sky_buf_finish(&name);
}

static void write_message_rules(const RuleWriter *writer, const MessageProto *proto, SkyBuf *groups) {
  enum { MESSAGE_CEL = 3, MESSAGE_ONEOF = 4, MESSAGE_CEL_EXPRESSION = 5 };
  const SkyStr rules =
      sky_options_extension(writer->model->arena, (const ProtobufCMessage *)proto->options, EXTENSION_VALIDATE);
  SkyWireReader reader = sky_wire_reader(rules.data, rules.size);
  SkyWireField wire;
  size_t number = 0;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &wire)) {
    if (wire.number == MESSAGE_CEL || wire.number == MESSAGE_CEL_EXPRESSION)
      rule_problem(writer, "CEL rules are not supported; check it in the handler");
    else if (wire.number == MESSAGE_ONEOF)
      write_group(writer, proto, wire.bytes, number++, groups);
  }
}

/* ---- messages ---- */

static bool has_own_rules(const Model *model, const Message *message) {
  const MessageProto *proto = message->proto;
  if (sky_options_has((const ProtobufCMessage *)proto->options, EXTENSION_VALIDATE))
    return true;
  for (size_t i = 0; i < proto->n_field; i++) {
    if (sky_options_has((const ProtobufCMessage *)proto->field[i]->options, EXTENSION_VALIDATE) ||
        is_required_by_behavior(proto->field[i]))
      return true;
  }
  for (size_t i = 0; i < proto->n_oneof_decl; i++) {
    if (is_oneof_required(model, proto->oneof_decl[i]))
      return true;
  }
  return false;
}

static bool holds_rules(const Model *model, const Message *message) {
  for (size_t i = 0; i < message->proto->n_field; i++) {
    const FieldProto *field = message->proto->field[i];
    const Message *type = field->type == TYPE(MESSAGE) ? sky_model_message(model, field->type_name) : NULL;
    if (type != NULL && type->needs_rules)
      return true;
  }
  return false;
}

/* Messages may hold each other in circles: repeated until nothing changes. */
void sky_rules_prepare(Model *model) {
  bool changed = true;
  for (size_t f = 0; f < model->file_count; f++) {
    for (size_t m = 0; m < model->files[f].message_count; m++)
      model->files[f].messages[m]->needs_rules = has_own_rules(model, model->files[f].messages[m]);
  }
  while (changed) {
    changed = false;
    for (size_t f = 0; f < model->file_count; f++) {
      for (size_t m = 0; m < model->files[f].message_count; m++) {
        Message *message = model->files[f].messages[m];
        if (message->needs_rules || !holds_rules(model, message))
          continue;
        message->needs_rules = changed = true;
      }
    }
  }
}

const char *sky_emit_rules_of(const Model *model, const Message *message) {
  return message->needs_rules ? sky_gen_printf(model->arena, "&%s_rule_table", message->short_name) : "NULL";
}

static void write_message(Model *model, const File *file, const Message *message, size_t number, SkyBuf *out) {
  SkyBuf fields, groups;
  sky_buf_init(&fields, MAX_FILE_BYTES);
  sky_buf_init(&groups, MAX_FILE_BYTES);
  const RuleWriter writer = {model, file, out, message->full_name, sky_gen_printf(model->arena, "rules%zu", number)};
  sky_buf_printf(out, "/* %s */\n", message->full_name);
  for (size_t i = 0; i < message->proto->n_field; i++)
    write_field(&writer, message, message->proto->field[i], &fields);
  for (size_t i = 0; i < message->proto->n_oneof_decl; i++) {
    if (is_oneof_required(model, message->proto->oneof_decl[i]))
      write_required_oneof(&writer, message->proto, i, &groups);
  }
  write_message_rules(&writer, message->proto, &groups);
  if (fields.size > 0)
    sky_buf_printf(out, "static const SkyFieldRules %s_fields[] = {\n%.*s};\n", writer.name,
                   SKY_STR_ARGS(sky_buf_str(&fields)));
  if (groups.size > 0)
    sky_buf_printf(out, "static const SkyGroupRules %s_groups[] = {\n%.*s};\n", writer.name,
                   SKY_STR_ARGS(sky_buf_str(&groups)));
  sky_buf_printf(out, "const SkyMessageRules %s_rule_table = {", message->short_name);
  if (fields.size > 0)
    sky_buf_printf(out, ".fields = %s_fields, .field_count = sizeof(%s_fields) / sizeof(%s_fields[0]), ", writer.name,
                   writer.name, writer.name);
  if (groups.size > 0)
    sky_buf_printf(out, ".groups = %s_groups, .group_count = sizeof(%s_groups) / sizeof(%s_groups[0])", writer.name,
                   writer.name, writer.name);
  sky_buf_append_text(out, "};\n\n");
  sky_buf_finish(&fields);
  sky_buf_finish(&groups);
}

void sky_emit_rules(Model *model, const File *file, SkyBuf *out) {
  for (size_t i = 0; i < file->message_count; i++) {
    if (file->messages[i]->needs_rules && !file->messages[i]->is_map_entry)
      write_message(model, file, file->messages[i], i, out);
  }
}
