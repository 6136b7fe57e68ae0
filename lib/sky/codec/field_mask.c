#include <sky/codec/field_mask.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <sky/codec/message.h>

enum { MAX_PATH_DEPTH = 16, MAX_NAME_BYTES = 128 };

typedef struct FieldPath {
  const ProtobufCFieldDescriptor *fields[MAX_PATH_DEPTH];
  size_t depth;
} FieldPath;

static const ProtobufCFieldDescriptor *field_named(const ProtobufCMessageDescriptor *type, SkyStr name) {
  char text[MAX_NAME_BYTES];
  if (name.size == 0 || name.size >= sizeof(text))
    return NULL;
  memcpy(text, name.data, name.size);
  text[name.size] = '\0';
  return protobuf_c_message_descriptor_get_field_by_name(type, text);
}

static bool is_singular_message(const ProtobufCFieldDescriptor *field) {
  return field->type == PROTOBUF_C_TYPE_MESSAGE && field->label != PROTOBUF_C_LABEL_REPEATED;
}

static bool resolve(const ProtobufCMessageDescriptor *type, const char *text, FieldPath *ret_path) {
  SkyStr rest = sky_str(text), name;
  ret_path->depth = 0;
  for (bool more = true; more;) {
    if (ret_path->depth == MAX_PATH_DEPTH)
      return false;
    if (ret_path->depth > 0) {
      const ProtobufCFieldDescriptor *outer = ret_path->fields[ret_path->depth - 1];
      if (!is_singular_message(outer))
        return false;
      type = outer->descriptor;
    }
    more = sky_str_cut(&rest, '.', &name);
    const ProtobufCFieldDescriptor *field = field_named(type, more ? name : rest);
    if (field == NULL)
      return false;
    ret_path->fields[ret_path->depth++] = field;
  }
  return true;
}

static bool is_changeable(const char *const *changeable, const char *name) {
  if (changeable == NULL)
    return true;
  for (; *changeable != NULL; changeable++)
    if (strcmp(*changeable, name) == 0)
      return true;
  return false;
}

static size_t value_size(const ProtobufCFieldDescriptor *field) {
  if (field->label == PROTOBUF_C_LABEL_REPEATED)
    return sizeof(void *);
  switch (field->type) {
  case PROTOBUF_C_TYPE_INT64:
  case PROTOBUF_C_TYPE_SINT64:
  case PROTOBUF_C_TYPE_SFIXED64:
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_DOUBLE:
    return 8;
  case PROTOBUF_C_TYPE_BOOL:
    return sizeof(protobuf_c_boolean);
  case PROTOBUF_C_TYPE_STRING:
  case PROTOBUF_C_TYPE_MESSAGE:
    return sizeof(void *);
  case PROTOBUF_C_TYPE_BYTES:
    return sizeof(ProtobufCBinaryData);
  default:
    return 4;
  }
}

static void *at(const ProtobufCMessage *message, unsigned offset) {
  return (char *)(uintptr_t)message + offset;
}

/* A member of a oneof (a proto3 optional is one of a single member) is there only when the oneof's case says so. */
static void take_oneof_member(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *source,
                              ProtobufCMessage *target) {
  const uint32_t *source_case = at(source, field->quantifier_offset);
  uint32_t *target_case = at(target, field->quantifier_offset);
  if (*source_case == field->id) {
    memcpy(at(target, field->offset), at(source, field->offset), value_size(field));
    *target_case = field->id;
  } else if (*target_case == field->id) {
    *target_case = 0;
  }
}

static void take_field(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *source,
                       ProtobufCMessage *target) {
  if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
    take_oneof_member(field, source, target);
    return;
  }
  memcpy(at(target, field->offset), at(source, field->offset), value_size(field));
  if (field->label == PROTOBUF_C_LABEL_REPEATED)
    memcpy(at(target, field->quantifier_offset), at(source, field->quantifier_offset), sizeof(size_t));
}

static bool is_set(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message) {
  if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
      *(const uint32_t *)at(message, field->quantifier_offset) != field->id)
    return false;
  return *(ProtobufCMessage *const *)at(message, field->offset) != NULL;
}

/* The message inside target to write to: a copy of its own, for the one that is there may be shared. */
static SkyStatus own_inner(const ProtobufCFieldDescriptor *field, ProtobufCMessage *target, SkyArena *arena,
                           ProtobufCMessage **ret_inner) {
  ProtobufCMessage *inner = sky_message_create(field->descriptor, arena);
  if (inner == NULL)
    return SKY_RESOURCE_EXHAUSTED("no memory left for the change");
  if (is_set(field, target))
    memcpy(inner, *(ProtobufCMessage *const *)at(target, field->offset),
           ((const ProtobufCMessageDescriptor *)field->descriptor)->sizeof_message);
  memcpy(at(target, field->offset), &inner, sizeof(inner));
  if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
    *(uint32_t *)at(target, field->quantifier_offset) = field->id;
  *ret_inner = inner;
  return SKY_OK;
}

static SkyStatus take_path(const FieldPath *path, const ProtobufCMessage *source, ProtobufCMessage *target,
                           SkyArena *arena) {
  for (size_t i = 0; i + 1 < path->depth; i++) {
    const ProtobufCFieldDescriptor *field = path->fields[i];
    const bool has_source = source != NULL && is_set(field, source);
    if (!has_source && !is_set(field, target))
      return SKY_OK; /* both are unset on the way: nothing to clear */
    source = has_source ? *(ProtobufCMessage *const *)at(source, field->offset) : NULL;
    SKY_TRY(own_inner(field, target, arena, &target));
  }
  const ProtobufCFieldDescriptor *leaf = path->fields[path->depth - 1];
  if (source == NULL)
    source = sky_message_create(target->descriptor, arena); /* an absent message has every field at its default */
  if (source == NULL)
    return SKY_RESOURCE_EXHAUSTED("no memory left for the change");
  take_field(leaf, source, target);
  return SKY_OK;
}

static void check_path(const ProtobufCMessageDescriptor *type, const char *text, const char *const *changeable,
                       SkyStatus *violations) {
  FieldPath path;
  if (strcmp(text, "*") == 0)
    return;
  if (!resolve(type, text, &path))
    sky_violations_add(violations, "update_mask", "\"%.*s\" is not a field", 100, text);
  else if (!is_changeable(changeable, path.fields[0]->name))
    sky_violations_add(violations, "update_mask", "\"%.*s\" cannot be changed", 100, text);
}

SkyStatus sky_field_mask_apply(const char *const *paths, size_t path_count, const char *const *changeable,
                               const ProtobufCMessage *source, ProtobufCMessage *target, SkyArena *arena) {
  const ProtobufCMessageDescriptor *type = target->descriptor;
  SkyStatus violations = SKY_OK;
  if (path_count == 0)
    sky_violations_add(&violations, "update_mask", "names no field");
  for (size_t i = 0; i < path_count; i++)
    check_path(type, paths[i], changeable, &violations);
  if (violations != SKY_OK)
    return violations;
  for (size_t i = 0; i < path_count; i++) {
    if (strcmp(paths[i], "*") != 0) {
      FieldPath path;
      resolve(type, paths[i], &path);
      SKY_TRY(take_path(&path, source, target, arena));
      continue;
    }
    for (unsigned f = 0; f < type->n_fields; f++)
      if (is_changeable(changeable, type->fields[f].name))
        take_field(&type->fields[f], source, target);
  }
  return SKY_OK;
}
