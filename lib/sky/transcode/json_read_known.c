/* Well-known types in JSON: times, masks, wrappers, any JSON in Struct and Value, and Any, whose type its text names.
 */
#include <stdio.h>
#include <string.h>

#include "json_reader.h"
#include "well_known.h"

/* ---- Timestamp, Duration, FieldMask, wrappers ---- */

static void put_seconds_nanos(SkyBuf *out, int64_t seconds, int32_t nanos) {
  if (seconds != 0)
    sky_wire_append_uint64(out, KNOWN_SECONDS, (uint64_t)seconds);
  if (nanos != 0)
    sky_wire_append_uint64(out, KNOWN_NANOS, (uint64_t)(int64_t)nanos);
}

static bool read_time(Reader *reader, const SkyMessageType *type, const Token *token, const Place *place) {
  SkyStr text = SKY_STR("");
  int64_t seconds = 0;
  int32_t nanos = 0;
  bool go_on = true;
  const bool is_timestamp = type->well_known == WELL_KNOWN_TIMESTAMP;
  const char *what = is_timestamp ? "must be a time of RFC 3339 such as \"2026-11-21T09:30:00Z\""
                                  : "must be a duration in seconds such as \"90s\" or \"0.5s\"";
  if (token->kind != TOKEN_STRING)
    return reader_refuse(reader, token, place, what);
  if (!reader_text(reader, token, place, &text, &go_on))
    return go_on;
  if (!(is_timestamp ? timestamp_read : duration_read)(text, &seconds, &nanos))
    return reader_violation(reader, place, "%s", what);
  put_seconds_nanos(reader->out, seconds, nanos);
  return true;
}

/* In the query people write paths as in the contract as well. */
static size_t read_mask_path(const Reader *reader, SkyStr json, char *to) {
  if (!reader->text_mode || json.size == 0 || memchr(json.data, '_', json.size) == NULL)
    return mask_path_read(json, to);
  memcpy(to, json.data, json.size);
  for (size_t i = 0; i < json.size; i++)
    if (!(json.data[i] >= 'a' && json.data[i] <= 'z') && !(json.data[i] >= '0' && json.data[i] <= '9') &&
        json.data[i] != '_' && json.data[i] != '.')
      return 0;
  return json.size;
}

static bool read_field_mask(Reader *reader, const Token *token, const Place *place) {
  static const char what[] = "must be field names in lowerCamelCase, separated by commas";
  SkyStr text;
  bool go_on = true;
  if (token->kind != TOKEN_STRING)
    return reader_refuse(reader, token, place, what);
  if (!reader_text(reader, token, place, &text, &go_on))
    return go_on;
  char *path = sky_arena_alloc(reader->arena, 2 * text.size);
  if (path == NULL)
    return reader_no_memory(reader);
  for (bool more = text.size > 0; more;) {
    SkyStr json = text;
    more = sky_str_cut(&text, ',', &json);
    if (!more)
      json = text;
    const size_t size = read_mask_path(reader, json, path);
    if (size == 0)
      return reader_violation(reader, place, "%s", what);
    sky_wire_append_bytes(reader->out, KNOWN_MASK_PATHS, (SkyStr){.data = path, .size = size});
  }
  return true;
}

/* ---- Struct, Value, ListValue ---- */

static bool read_value(Reader *reader, const Token *token, const Place *place);

static bool read_struct_member(Reader *reader, const Token *key_token, const Place *parent, KeySet *keys) {
  SkyBuf *out = reader->out;
  Place place = {.parent = parent, .in_map = true, .index = -1, .key = key_token->text};
  Token token;
  SkyStr key = SKY_STR("");
  bool go_on = true;
  if (!reader_text(reader, key_token, &place, &key, &go_on) && !go_on)
    return false;
  place.key = key;
  if (!key_set_add(reader, keys, key))
    return false;
  if (!scan_token(&reader->scan, &token))
    return reader_syntax_error(reader, &place);
  out_varint(out, sky_wire_tag(KNOWN_STRUCT_FIELDS, SKY_WIRE_BYTES));
  const size_t entry = sky_wire_begin_bytes(out);
  sky_wire_append_bytes(out, KNOWN_ENTRY_KEY, key);
  out_varint(out, sky_wire_tag(KNOWN_ENTRY_VALUE, SKY_WIRE_BYTES));
  const size_t value = sky_wire_begin_bytes(out);
  if (!read_value(reader, &token, &place))
    return false;
  sky_wire_end_bytes(out, value);
  sky_wire_end_bytes(out, entry);
  return true;
}

static bool read_struct(Reader *reader, const Place *place) {
  KeySet keys = {.count = 0};
  Token key;
  bool first = true;
  bool more = true;
  for (;;) {
    if (!scan_member(&reader->scan, &first, &key, &more))
      return reader_syntax_error(reader, place);
    if (!more)
      break;
    if (!read_struct_member(reader, &key, place, &keys))
      return false;
  }
  const SkyStr *twice = key_set_duplicate(&keys);
  const Place at = {.parent = place, .in_map = true, .index = -1, .key = twice == NULL ? SKY_STR("") : *twice};
  return twice == NULL || reader_violation(reader, &at, "is given twice");
}

static bool read_list_values(Reader *reader, const Place *parent) {
  Place place = {.parent = parent, .index = 0};
  bool first = true;
  for (bool more = true;; place.index++) {
    Token token;
    if (!scan_element(&reader->scan, &first, &more))
      return reader_syntax_error(reader, &place);
    if (!more)
      return true;
    if (!scan_token(&reader->scan, &token))
      return reader_syntax_error(reader, &place);
    out_varint(reader->out, sky_wire_tag(KNOWN_LIST_VALUES, SKY_WIRE_BYTES));
    const size_t start = sky_wire_begin_bytes(reader->out);
    if (!read_value(reader, &token, &place))
      return false;
    sky_wire_end_bytes(reader->out, start);
  }
}

static bool read_value_scalar(Reader *reader, const Token *token, const Place *place, uint32_t number, ProtoType type) {
  const SkyField field = {.number = number, .type = type};
  Scalar scalar;
  const ScalarOutcome outcome = read_scalar(reader, &field, token, place, &scalar);
  if (outcome != SCALAR_OK)
    return outcome != SCALAR_STOP;
  out_varint(reader->out, sky_wire_tag(number, (SkyWireType)proto_type_wire(type)));
  put_scalar(reader->out, type, &scalar);
  return true;
}

static bool read_value_nested(Reader *reader, const Place *place, uint32_t number,
                              bool (*read)(Reader *reader, const Place *place)) {
  out_varint(reader->out, sky_wire_tag(number, SKY_WIRE_BYTES));
  const size_t start = sky_wire_begin_bytes(reader->out);
  if (!read(reader, place))
    return false;
  sky_wire_end_bytes(reader->out, start);
  return true;
}

/* The content of a google.protobuf.Value: any JSON. */
static bool read_value(Reader *reader, const Token *token, const Place *place) {
  switch (token->kind) {
  case TOKEN_NULL:
    sky_wire_append_uint64(reader->out, VALUE_NULL, 0);
    return true;
  case TOKEN_FALSE:
  case TOKEN_TRUE:
    sky_wire_append_uint64(reader->out, VALUE_BOOL, token->kind == TOKEN_TRUE);
    return true;
  case TOKEN_NUMBER:
    return read_value_scalar(reader, token, place, VALUE_NUMBER, PROTO_DOUBLE);
  case TOKEN_STRING:
    return read_value_scalar(reader, token, place, VALUE_STRING, PROTO_STRING);
  case TOKEN_OBJECT:
    return read_value_nested(reader, place, VALUE_STRUCT, read_struct);
  case TOKEN_ARRAY:
    return read_value_nested(reader, place, VALUE_LIST, read_list_values);
  }
  return false;
}

/* ---- Any ---- */

/*
 * Finds a member of the object whose bracket has just been read, without moving the cursor: "@type" need not come
 * first, and what the other members mean depends on it. On success the scanner stands where the member's value begins.
 */
static bool find_member(Reader *reader, const char *wanted, Scanner *ret) {
  Scanner ahead = reader->scan;
  Token token;
  bool first = true;
  bool more = true;
  while (scan_member(&ahead, &first, &token, &more) && more) {
    if (!token.escaped && sky_str_is(token.text, wanted)) {
      *ret = ahead;
      return true;
    }
    if (!scan_token(&ahead, &token) || !scan_skip(&ahead, &token))
      return false;
  }
  return false;
}

static const SkyMessageType *type_of_url(const SkyContracts *contracts, SkyStr url) {
  const char *slash = url.size == 0 ? NULL : memrchr(url.data, '/', url.size);
  if (slash == NULL)
    return NULL;
  const size_t prefix = (size_t)(slash - url.data) + 1;
  return sky_contracts_message(contracts, (SkyStr){.data = slash + 1, .size = url.size - prefix});
}

/* {"@type": …, "value": …}: members other than these two are refused. */
static bool read_any_known(Reader *reader, const SkyMessageType *type, const Place *place) {
  Token key;
  bool first = true;
  bool more = true;
  bool has_value = false;
  for (;;) {
    Token token;
    if (!scan_member(&reader->scan, &first, &key, &more))
      return reader_syntax_error(reader, place);
    if (!more)
      return has_value || reader_violation(reader, place, "has no \"value\", which this type needs");
    const Place member = {.parent = place, .key = key.text, .index = -1};
    if (!scan_token(&reader->scan, &token))
      return reader_syntax_error(reader, &member);
    const bool is_value = sky_str_is(key.text, "value");
    if (is_value && !has_value) {
      has_value = true;
      if (!read_message(reader, type, &token, &member))
        return false;
    } else if (!is_value && sky_str_is(key.text, "@type")) {
      if (!scan_skip(&reader->scan, &token))
        return reader_syntax_error(reader, &member);
    } else if (!reader_refuse(reader, &token, &member,
                              is_value ? "is given twice" : "is not a field of this message")) {
      return false;
    }
  }
}

static bool read_any_content(Reader *reader, const SkyMessageType *type, SkyStr url, const Place *place) {
  SkyBuf *out = reader->out;
  sky_wire_append_bytes(out, KNOWN_ANY_URL, url);
  out_varint(out, sky_wire_tag(KNOWN_ANY_VALUE, SKY_WIRE_BYTES));
  const size_t start = sky_wire_begin_bytes(out);
  const bool done =
      type->well_known == PLAIN_MESSAGE ? read_fields(reader, type, place, true) : read_any_known(reader, type, place);
  if (done)
    sky_wire_end_bytes(out, start);
  return done;
}

static bool read_any(Reader *reader, const Token *token, const Place *place) {
  const Place type_place = {.parent = place, .key = SKY_STR("@type"), .index = -1};
  Scanner at_type;
  Token type_token;
  SkyStr url;
  bool go_on = true;
  if (!find_member(reader, "@type", &at_type)) {
    Scanner rest = reader->scan;
    bool first = true;
    bool more = true;
    if (scan_member(&rest, &first, &type_token, &more) && !more) {
      reader->scan = rest; /* {}: an Any that holds nothing */
      return true;
    }
    return reader_refuse(reader, token, &type_place, "is missing");
  }
  if (!scan_token(&at_type, &type_token) || type_token.kind != TOKEN_STRING)
    return reader_refuse(reader, token, &type_place, "must be a string");
  if (!reader_text(reader, &type_token, &type_place, &url, &go_on))
    return go_on && reader_refuse(reader, token, &type_place, "must be a string");
  const SkyMessageType *type = type_of_url(reader->contracts, url);
  if (type == NULL)
    return reader_refuse(reader, token, &type_place, "is not a type that is known here");
  return read_any_content(reader, type, url, place);
}

/* ---- all of them ---- */

static bool read_wrapped(Reader *reader, const SkyMessageType *type, const Token *token, const Place *place) {
  const SkyField *value = &type->fields[0];
  Scalar scalar;
  const ScalarOutcome outcome = read_scalar(reader, value, token, place, &scalar);
  if (outcome != SCALAR_OK || scalar_is_zero(value->type, &scalar))
    return outcome != SCALAR_STOP;
  put_tag(reader->out, value);
  put_scalar(reader->out, value->type, &scalar);
  return true;
}

bool read_well_known(Reader *reader, const SkyMessageType *type, const Token *token, const Place *place) {
  switch (type->well_known) {
  case WELL_KNOWN_TIMESTAMP:
  case WELL_KNOWN_DURATION:
    return read_time(reader, type, token, place);
  case WELL_KNOWN_FIELD_MASK:
    return read_field_mask(reader, token, place);
  case WELL_KNOWN_WRAPPER:
    return read_wrapped(reader, type, token, place);
  case WELL_KNOWN_VALUE:
    return read_value(reader, token, place);
  case WELL_KNOWN_STRUCT:
    return token->kind == TOKEN_OBJECT ? read_struct(reader, place)
                                       : reader_refuse(reader, token, place, "must be an object");
  case WELL_KNOWN_LIST_VALUE:
    return token->kind == TOKEN_ARRAY ? read_list_values(reader, place)
                                      : reader_refuse(reader, token, place, "must be a list");
  case WELL_KNOWN_ANY:
    return token->kind == TOKEN_OBJECT ? read_any(reader, token, place)
                                       : reader_refuse(reader, token, place, "must be an object");
  case PLAIN_MESSAGE:
    break;
  }
  return false;
}
