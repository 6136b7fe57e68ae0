#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "options.h"

enum { MAX_ENTRIES = 1 << 20, MAX_ERROR_BYTES = 1 << 16, OPTION_C_PREFIX = 1 };

void sky_model_error(Model *model, const File *file, const char *where, const char *format, ...) {
  va_list values;
  va_start(values, format);
  char text[1024];
  vsnprintf(text, sizeof(text), format, values);
  va_end(values);
  sky_buf_printf(&model->errors, "%s%s: %s%s%s", model->errors.size > 0 ? "\n" : "", file->name, where,
                 *where ? ": " : "", text);
}

void sky_model_take_symbol(Model *model, const File *file, const char *symbol, const char *what) {
  const char *taken_by = sky_map_get(model->symbols, sky_str(symbol));
  if (taken_by != NULL) {
    sky_model_error(model, file, what,
                    "its name in C, %s, is already that of %s; rename one or give the file another c_prefix", symbol,
                    taken_by);
    return;
  }
  sky_status_free(sky_map_set(model->symbols, sky_str(symbol), (void *)(uintptr_t)what, NULL));
}

static SkyStr without_dot(const char *type_name) {
  return sky_str(type_name[0] == '.' ? type_name + 1 : type_name);
}

Message *sky_model_message(const Model *model, const char *type_name) {
  return sky_map_get(model->messages_by_name, without_dot(type_name));
}

Enum *sky_model_enum(const Model *model, const char *type_name) {
  return sky_map_get(model->enums_by_name, without_dot(type_name));
}

File *sky_model_file(const Model *model, const char *name) {
  for (size_t i = 0; i < model->file_count; i++) {
    if (strcmp(model->files[i].name, name) == 0)
      return &model->files[i];
  }
  return NULL;
}

bool sky_field_is_repeated(const FieldProto *field) {
  return field->label == LABEL(REPEATED);
}

int sky_field_oneof(const FieldProto *field) {
  return field->has_oneof_index ? field->oneof_index : -1;
}

Message *sky_model_map_entry(const Model *model, const FieldProto *field) {
  if (field->type != TYPE(MESSAGE) || !sky_field_is_repeated(field))
    return NULL;
  Message *entry = sky_model_message(model, field->type_name);
  return entry != NULL && entry->is_map_entry ? entry : NULL;
}

const char *sky_model_comment(const File *file, const int32_t *path, size_t path_size) {
  const Google__Protobuf__SourceCodeInfo *info = file->proto->source_code_info;
  for (size_t i = 0; info != NULL && i < info->n_location; i++) {
    const Google__Protobuf__SourceCodeInfo__Location *location = info->location[i];
    if (location->n_path == path_size && memcmp(location->path, path, path_size * sizeof(path[0])) == 0)
      return location->leading_comments;
  }
  return NULL;
}

/* ---- building ---- */

static size_t count_messages(MessageProto *const *messages, size_t count) {
  size_t sum = count;
  for (size_t i = 0; i < count; i++)
    sum += count_messages(messages[i]->nested_type, messages[i]->n_nested_type);
  return sum;
}

static size_t count_enums(MessageProto *const *messages, size_t count) {
  size_t sum = 0;
  for (size_t i = 0; i < count; i++)
    sum += messages[i]->n_enum_type + count_enums(messages[i]->nested_type, messages[i]->n_nested_type);
  return sum;
}

/* Where a declaration stands: "fabrikam.delivery.v1.Outer" and "delivery_Outer". */
typedef struct Scope {
  const char *full_name;
  const char *short_name;
} Scope;

static const char *join(const Model *model, const char *scope, const char *separator, const char *name) {
  return sky_gen_printf(model->arena, "%s%s%s", scope, *scope ? separator : "", name);
}

static void add_enum(Model *model, File *file, const EnumProto *proto, Scope scope) {
  Enum *added = sky_gen_alloc(model->arena, sizeof(*added));
  const char *full_name = join(model, scope.full_name, ".", proto->name);
  *added = (Enum){
      .proto = proto,
      .full_name = full_name,
      .c_type = sky_names_c_type(model->arena, full_name),
      .c_lower = sky_names_c_lower(model->arena, full_name),
      .c_upper = sky_names_c_upper(model->arena, full_name),
      .short_name = join(model, scope.short_name, "_", proto->name),
      .value_prefix = join(model, scope.short_name, "_", ""),
  };
  file->enums[file->enum_count++] = added;
  sky_status_free(sky_map_set(model->enums_by_name, sky_str(full_name), added, NULL));
}

static void add_message(Model *model, File *file, const MessageProto *proto, Scope scope, bool is_nested) {
  Message *added = sky_gen_alloc(model->arena, sizeof(*added));
  const char *full_name = join(model, scope.full_name, ".", proto->name);
  *added = (Message){
      .proto = proto,
      .file = file,
      .full_name = full_name,
      .c_type = sky_names_c_type(model->arena, full_name),
      .c_lower = sky_names_c_lower(model->arena, full_name),
      .c_upper = sky_names_c_upper(model->arena, full_name),
      .short_name = join(model, scope.short_name, "_", proto->name),
      .is_map_entry = proto->options != NULL && proto->options->map_entry,
      .is_nested = is_nested,
  };
  const Scope inner = {full_name, added->short_name};
  for (size_t i = 0; i < proto->n_nested_type; i++)
    add_message(model, file, proto->nested_type[i], inner, true);
  for (size_t i = 0; i < proto->n_enum_type; i++)
    add_enum(model, file, proto->enum_type[i], inner);
  file->messages[file->message_count++] = added;
  sky_status_free(sky_map_set(model->messages_by_name, sky_str(full_name), added, NULL));
}

static const char *prefix_of(Model *model, const File *file) {
  const SkyStr options =
      sky_options_extension(model->arena, (const ProtobufCMessage *)file->proto->options, EXTENSION_SKY);
  const char *prefix = sky_options_text(model->arena, options, OPTION_C_PREFIX);
  if (*prefix == '\0')
    return sky_names_default_prefix(model->arena, file->proto->package == NULL ? "" : file->proto->package);
  if (!sky_names_is_identifier(prefix))
    sky_model_error(model, file, "", "c_prefix \"%s\" is not a C identifier", prefix);
  return prefix;
}

static bool is_to_generate(const PluginRequest *request, const char *name) {
  for (size_t i = 0; i < request->n_file_to_generate; i++) {
    if (strcmp(request->file_to_generate[i], name) == 0)
      return true;
  }
  return false;
}

static void build_file(Model *model, File *file, const FileProto *proto) {
  const size_t size = strlen(proto->name);
  const size_t stem_size = size > 6 && strcmp(proto->name + size - 6, ".proto") == 0 ? size - 6 : size;
  *file = (File){
      .proto = proto,
      .name = proto->name,
      .stem = sky_gen_printf(model->arena, "%.*s", (int)stem_size, proto->name),
      .generate = is_to_generate(model->request, proto->name),
      .messages =
          sky_gen_alloc(model->arena, sizeof(Message *) * count_messages(proto->message_type, proto->n_message_type)),
      .enums = sky_gen_alloc(model->arena, sizeof(Enum *) * (proto->n_enum_type +
                                                             count_enums(proto->message_type, proto->n_message_type))),
  };
  file->prefix = prefix_of(model, file);
  const Scope scope = {proto->package == NULL ? "" : proto->package, file->prefix};
  for (size_t i = 0; i < proto->n_message_type; i++)
    add_message(model, file, proto->message_type[i], scope, false);
  for (size_t i = 0; i < proto->n_enum_type; i++)
    add_enum(model, file, proto->enum_type[i], scope);
}

void sky_model_init(Model *model, SkyArena *arena, const PluginRequest *request) {
  *model = (Model){
      .arena = arena,
      .request = request,
      .files = sky_gen_alloc(arena, sizeof(File) * request->n_proto_file),
      .file_count = request->n_proto_file,
      .messages_by_name = sky_map_create(MAX_ENTRIES),
      .enums_by_name = sky_map_create(MAX_ENTRIES),
      .symbols = sky_map_create(MAX_ENTRIES),
  };
  sky_buf_init(&model->errors, MAX_ERROR_BYTES);
  for (size_t i = 0; i < request->n_proto_file; i++)
    build_file(model, &model->files[i], request->proto_file[i]);
}

void sky_model_finish(Model *model) {
  sky_map_destroy(model->messages_by_name);
  sky_map_destroy(model->enums_by_name);
  sky_map_destroy(model->symbols);
  sky_buf_finish(&model->errors);
}
