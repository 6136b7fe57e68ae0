#include <sky/store/mongo.h>

#include <stdio.h>
#include <string.h>

#include <sky/codec/bson.h>

/* True when the element of that name always holds the key's value: a top-level field without presence, and not a time.
 */
static bool is_plain(const SkySchemaKey *key) {
  const ProtobufCFieldDescriptor *field = key->steps[0];
  return key->step_count == 1 && key->kind != SKY_KEY_TIME && field->label == PROTOBUF_C_LABEL_NONE &&
         (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0;
}

/* A dot would mean a nested document. */
static void name_in_keys(const SkySchemaKey *key, char name[SKY_MONGO_NAME_SIZE]) {
  snprintf(name, SKY_MONGO_NAME_SIZE, "%s", key->path);
  for (char *at = name; (at = strchr(at, '.')) != NULL;)
    *at = '/';
}

void sky_mongo_key_name(const SkySchema *schema, const SkySchemaKey *key, char name[SKY_MONGO_NAME_SIZE]) {
  char nested[SKY_MONGO_NAME_SIZE];
  if (key->step_count == 1 && key->steps[0] == schema->id) {
    strcpy(name, "_id");
  } else if (is_plain(key)) {
    snprintf(name, SKY_MONGO_NAME_SIZE, "%s", key->path);
  } else {
    name_in_keys(key, nested);
    snprintf(name, SKY_MONGO_NAME_SIZE, "_keys.%.240s", nested);
  }
}

bool sky_mongo_append_value(bson_t *to, const char *name, const SkyValue *value) {
  switch (value->kind) {
  case SKY_VALUE_TEXT:
    return bson_append_utf8(to, name, -1, value->as.text, -1);
  case SKY_VALUE_INT:
    return bson_append_int64(to, name, -1, value->as.integer);
  case SKY_VALUE_BOOL:
    return bson_append_bool(to, name, -1, value->as.boolean);
  case SKY_VALUE_TIME:
    return bson_append_int64(to, name, -1, value->as.time_ns);
  default:
    return false;
  }
}

static SkyStatus append_keys(const SkySchema *schema, const ProtobufCMessage *document, bson_t *keys) {
  for (size_t i = 0; i < schema->key_count; i++) {
    SkyValue value;
    SKY_TRY(sky_schema_value(&schema->keys[i], document, &value)); /* also checks those that are plain */
    if (is_plain(&schema->keys[i]))
      continue;
    char name[SKY_MONGO_NAME_SIZE];
    name_in_keys(&schema->keys[i], name);
    sky_mongo_append_value(keys, name, &value);
  }
  return SKY_OK;
}

SkyStatus sky_mongo_encode(const SkySchema *schema, const ProtobufCMessage *document, int64_t version, bson_t *to) {
  bson_t keys = BSON_INITIALIZER;
  SkyStatus status = append_keys(schema, document, &keys);
  if (status == SKY_OK)
    status = sky_bson_encode(document, schema->declared->id_field, to);
  if (status == SKY_OK && (!bson_append_int64(to, "_version", -1, version) ||
                           (!bson_empty(&keys) && !bson_append_document(to, "_keys", -1, &keys))))
    status = SKY_INVALID_ARGUMENT("the document is too large");
  bson_destroy(&keys);
  return status;
}

SkyStatus sky_mongo_decode(const SkySchema *schema, const bson_t *from, SkyArena *arena, ProtobufCMessage **ret,
                           int64_t *ret_version) {
  bson_iter_t at;
  if (!bson_iter_init_find(&at, from, "_version") || !BSON_ITER_HOLDS_NUMBER(&at))
    return SKY_DATA_LOSS("collection %s: a document has no _version", schema->declared->name);
  const int64_t version = bson_iter_as_int64(&at);
  SkyStatus status = sky_bson_decode(schema->declared->type, from, schema->declared->id_field, arena, ret);
  if (status != SKY_OK)
    return sky_status_annotate(status, "collection %s: ", schema->declared->name);
  *ret_version = version;
  return SKY_OK;
}
