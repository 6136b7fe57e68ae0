#include <sky/store/schema.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Names become table, collection and index names: letters that every database takes unquoted. */
static bool name_is_valid(const char *name) {
  if (name == NULL || !islower((unsigned char)name[0]))
    return false;
  size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
  return name[length] == '\0' && length <= 48 && strncmp(name, "sqlite_", 7) != 0;
}

/* ---- indexed fields ---- */

static bool kind_of(const ProtobufCFieldDescriptor *field, SkyKeyKind *ret) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_STRING:
    *ret = SKY_KEY_TEXT;
    return true;
  case PROTOBUF_C_TYPE_BOOL:
    *ret = SKY_KEY_BOOLEAN;
    return true;
  case PROTOBUF_C_TYPE_ENUM:
    *ret = SKY_KEY_ENUM;
    return true;
  case PROTOBUF_C_TYPE_MESSAGE:
    *ret = SKY_KEY_TIME;
    return strcmp(((const ProtobufCMessageDescriptor *)field->descriptor)->name, "google.protobuf.Timestamp") == 0;
  case PROTOBUF_C_TYPE_FLOAT:
  case PROTOBUF_C_TYPE_DOUBLE:
  case PROTOBUF_C_TYPE_BYTES:
    return false;
  default:
    *ret = SKY_KEY_INTEGER;
    return true;
  }
}

static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *type, SkyStr name) {
  for (unsigned i = 0; i < type->n_fields; i++) {
    if (sky_str_is(name, type->fields[i].name))
      return &type->fields[i];
  }
  return NULL;
}

static SkyStatus resolve_path(const SkyCollection *declared, const char *path, SkySchemaKey *ret) {
  *ret = (SkySchemaKey){.path = path};
  const ProtobufCMessageDescriptor *type = declared->type;
  SkyStr rest = sky_str(path);
  bool more = true;
  while (more) {
    SkyStr name = rest;
    more = sky_str_cut(&rest, '.', &name);
    const ProtobufCFieldDescriptor *field = type == NULL ? NULL : find_field(type, name);
    if (field == NULL || field->label == PROTOBUF_C_LABEL_REPEATED || ret->step_count == SKY_SCHEMA_MAX_DEPTH)
      return SKY_INVALID_ARGUMENT("collection %s: %s has no singular field %s", declared->name, declared->type->name,
                                  path);
    ret->steps[ret->step_count++] = field;
    type = field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
  }
  if (!kind_of(ret->steps[ret->step_count - 1], &ret->kind))
    return SKY_INVALID_ARGUMENT("collection %s: field %s is of a type that cannot be indexed", declared->name, path);
  return SKY_OK;
}

static SkyStatus add_key(SkySchema *schema, const char *path, size_t *ret) {
  for (size_t i = 0; i < schema->key_count; i++) {
    if (strcmp(schema->keys[i].path, path) == 0) {
      *ret = i;
      return SKY_OK;
    }
  }
  if (schema->key_count == SKY_SCHEMA_MAX_KEYS)
    return SKY_INVALID_ARGUMENT("collection %s: more than %d indexed fields", schema->declared->name,
                                SKY_SCHEMA_MAX_KEYS);
  SKY_TRY(resolve_path(schema->declared, path, &schema->keys[schema->key_count]));
  *ret = schema->key_count++;
  return SKY_OK;
}

static SkyStatus add_index(SkySchema *schema, const SkyIndex *declared) {
  if (!name_is_valid(declared->name) || sky_schema_index(schema, declared->name) != NULL)
    return SKY_INVALID_ARGUMENT("collection %s: bad or repeated index name %s", schema->declared->name,
                                declared->name == NULL ? "(null)" : declared->name);
  SkySchemaIndex *index = &schema->indexes[schema->index_count];
  *index = (SkySchemaIndex){.declared = declared};
  while (index->key_count < SKY_INDEX_MAX_FIELDS && declared->fields[index->key_count] != NULL) {
    SKY_TRY(add_key(schema, declared->fields[index->key_count], &index->keys[index->key_count]));
    index->key_count++;
  }
  if (index->key_count == 0)
    return SKY_INVALID_ARGUMENT("collection %s: index %s has no fields", schema->declared->name, declared->name);
  schema->index_count++;
  return SKY_OK;
}

/* ---- lifecycle ---- */

static SkyStatus fill(SkySchema *schema) {
  const SkyCollection *declared = schema->declared;
  if (!name_is_valid(declared->name))
    return SKY_INVALID_ARGUMENT("bad collection name %s", declared->name == NULL ? "(null)" : declared->name);
  schema->id = find_field(declared->type, sky_str(declared->id_field));
  if (schema->id == NULL || schema->id->type != PROTOBUF_C_TYPE_STRING ||
      schema->id->label == PROTOBUF_C_LABEL_REPEATED || (schema->id->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
    return SKY_INVALID_ARGUMENT("collection %s: id field %s is not a plain string of %s", declared->name,
                                declared->id_field, declared->type->name);
  for (size_t i = 0; i < declared->index_count; i++)
    SKY_TRY(add_index(schema, &declared->indexes[i]));
  return SKY_OK;
}

SkyStatus sky_schema_create(const SkyCollection *declared, SkySchema **ret) {
  SkySchema *schema = calloc(1, sizeof(*schema));
  if (schema == NULL)
    return sky_status_no_memory();
  schema->declared = declared;
  schema->indexes = calloc(declared->index_count + 1, sizeof(*schema->indexes));
  SkyStatus status = schema->indexes == NULL ? sky_status_no_memory() : fill(schema);
  if (status != SKY_OK) {
    sky_schema_destroy(schema);
    return status;
  }
  *ret = schema;
  return SKY_OK;
}

void sky_schema_destroy(SkySchema *schema) {
  if (schema == NULL)
    return;
  free(schema->indexes);
  free(schema);
}

const SkySchemaIndex *sky_schema_index(const SkySchema *schema, const char *name) {
  for (size_t i = 0; i < schema->index_count; i++) {
    if (strcmp(schema->indexes[i].declared->name, name) == 0)
      return &schema->indexes[i];
  }
  return NULL;
}

/* ---- reading fields ---- */

static const void *member(const ProtobufCMessage *message, unsigned offset) {
  return (const uint8_t *)message + offset;
}

/* False when the field has presence and is unset; then its value is the zero value. */
static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
  if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
    return *(const uint32_t *)member(message, field->quantifier_offset) == field->id;
  if (field->type == PROTOBUF_C_TYPE_MESSAGE || field->type == PROTOBUF_C_TYPE_STRING)
    return *(void *const *)member(message, field->offset) != NULL;
  if (field->label == PROTOBUF_C_LABEL_OPTIONAL)
    return *(const protobuf_c_boolean *)member(message, field->quantifier_offset);
  return true;
}

static SkyStatus check_text(const char *what, const char *text) {
  SkyStatus status = SKY_OK;
  const size_t length = strnlen(text, SKY_SCHEMA_MAX_TEXT + 1);
  if (length > SKY_SCHEMA_MAX_TEXT)
    sky_violations_add(&status, what, "is longer than %d bytes", SKY_SCHEMA_MAX_TEXT);
  else if (!sky_utf8_valid(text, length))
    sky_violations_add(&status, what, "is not UTF-8");
  return status;
}

SkyStatus sky_schema_id(const SkySchema *schema, const ProtobufCMessage *document, const char **ret) {
  if (document->descriptor != schema->declared->type)
    return SKY_INVALID_ARGUMENT("collection %s keeps %s, not %s", schema->declared->name, schema->declared->type->name,
                                document->descriptor->name);
  const char *id = *(char *const *)member(document, schema->id->offset);
  if (id == NULL || id[0] == '\0')
    return SKY_INVALID_ARGUMENT("%s is empty", schema->id->name);
  SKY_TRY(check_text(schema->id->name, id));
  *ret = id;
  return SKY_OK;
}

static SkyValue enum_value(const ProtobufCFieldDescriptor *field, int number) {
  const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(field->descriptor, number);
  return known != NULL ? SKY_V_TEXT(known->name) : SKY_V_INT(number);
}

/* Seconds and nanoseconds as one number; what lies outside 1677-2262 is put at the edge, where its order stays right.
 */
static SkyValue time_value(const ProtobufCMessage *timestamp) {
  const ProtobufCFieldDescriptor *fields = timestamp->descriptor->fields; /* seconds = 1, nanos = 2 */
  int64_t seconds = *(const int64_t *)member(timestamp, fields[0].offset);
  int32_t nanos = *(const int32_t *)member(timestamp, fields[1].offset);
  int64_t ns;
  if (__builtin_mul_overflow(seconds, SKY_NS_PER_S, &ns) || __builtin_add_overflow(ns, nanos, &ns))
    ns = seconds < 0 ? INT64_MIN : INT64_MAX;
  return SKY_V_TIME(ns);
}

static SkyStatus integer_value(const SkySchemaKey *key, const ProtobufCFieldDescriptor *field, const void *at,
                               SkyValue *ret) {
  switch (field->type) {
  case PROTOBUF_C_TYPE_INT32:
  case PROTOBUF_C_TYPE_SINT32:
  case PROTOBUF_C_TYPE_SFIXED32:
    *ret = SKY_V_INT(*(const int32_t *)at);
    return SKY_OK;
  case PROTOBUF_C_TYPE_UINT32:
  case PROTOBUF_C_TYPE_FIXED32:
    *ret = SKY_V_INT(*(const uint32_t *)at);
    return SKY_OK;
  case PROTOBUF_C_TYPE_UINT64:
  case PROTOBUF_C_TYPE_FIXED64:
    if (*(const uint64_t *)at > INT64_MAX)
      return SKY_INVALID_ARGUMENT("%s is past the largest number that can be indexed", key->path);
    *ret = SKY_V_INT((int64_t) * (const uint64_t *)at);
    return SKY_OK;
  default:
    *ret = SKY_V_INT(*(const int64_t *)at);
    return SKY_OK;
  }
}

static SkyStatus set_value(const SkySchemaKey *key, const ProtobufCFieldDescriptor *field, const void *at,
                           SkyValue *ret) {
  switch (key->kind) {
  case SKY_KEY_TEXT:
    *ret = SKY_V_TEXT(*(char *const *)at);
    return check_text(key->path, ret->as.text);
  case SKY_KEY_BOOLEAN:
    *ret = SKY_V_BOOL(*(const protobuf_c_boolean *)at != 0);
    return SKY_OK;
  case SKY_KEY_ENUM:
    *ret = enum_value(field, *(const int *)at);
    return SKY_OK;
  case SKY_KEY_TIME:
    *ret = time_value(*(ProtobufCMessage *const *)at);
    return SKY_OK;
  default:
    return integer_value(key, field, at, ret);
  }
}

static SkyValue zero_value(const SkySchemaKey *key) {
  switch (key->kind) {
  case SKY_KEY_TEXT:
    return SKY_V_TEXT("");
  case SKY_KEY_BOOLEAN:
    return SKY_V_BOOL(false);
  case SKY_KEY_ENUM:
    return enum_value(key->steps[key->step_count - 1], 0);
  case SKY_KEY_TIME:
    return SKY_V_TIME(0);
  default:
    return SKY_V_INT(0);
  }
}

SkyStatus sky_schema_value(const SkySchemaKey *key, const ProtobufCMessage *document, SkyValue *ret) {
  const ProtobufCMessage *message = document;
  for (size_t i = 0; i < key->step_count; i++) {
    const ProtobufCFieldDescriptor *field = key->steps[i];
    if (!is_set(message, field)) {
      *ret = zero_value(key);
      return SKY_OK;
    }
    if (i + 1 == key->step_count)
      return set_value(key, field, member(message, field->offset), ret);
    message = *(ProtobufCMessage *const *)member(message, field->offset);
  }
  return SKY_INTERNAL("empty path"); /* resolve_path() makes at least one step */
}

SkyStatus sky_schema_query_value(const SkySchemaKey *key, const SkyValue *value, SkyValue *ret) {
  static const int kinds[] = {[SKY_KEY_TEXT] = SKY_VALUE_TEXT,
                              [SKY_KEY_INTEGER] = SKY_VALUE_INT,
                              [SKY_KEY_BOOLEAN] = SKY_VALUE_BOOL,
                              [SKY_KEY_ENUM] = SKY_VALUE_INT,
                              [SKY_KEY_TIME] = SKY_VALUE_TIME};
  if ((int)value->kind != kinds[key->kind] || (value->kind == SKY_VALUE_TEXT && value->as.text == NULL))
    return SKY_INVALID_ARGUMENT("a value for %s is of the wrong kind", key->path);
  if (key->kind == SKY_KEY_ENUM && (value->as.integer < INT32_MIN || value->as.integer > INT32_MAX))
    return SKY_INVALID_ARGUMENT("a value for %s is no enum number", key->path);
  *ret = key->kind == SKY_KEY_ENUM ? enum_value(key->steps[key->step_count - 1], (int)value->as.integer) : *value;
  return SKY_OK;
}
