/* Objects, lists and maps of JSON as fields of a message. */
#include "json_reader.h"

#include <string.h>

/* ---- which fields of a message were given ---- */

typedef struct Seen {
  uint64_t few[4]; /* most messages need no more: a bit per field, then one per oneof */
  uint64_t *bits;
} Seen;

static bool seen_init(Reader *reader, const SkyMessageType *type, Seen *seen) {
  *seen = (Seen){.bits = NULL};
  const size_t count = (size_t)type->field_count + type->oneof_count;
  seen->bits = count <= 256 ? seen->few : sky_arena_alloc(reader->arena, (count + 63) / 64 * sizeof(uint64_t));
  return seen->bits != NULL || reader_no_memory(reader);
}

/* Sets a bit; true when it was set before. */
static bool seen_set(Seen *seen, size_t bit) {
  const uint64_t mask = UINT64_C(1) << (bit % 64);
  const bool before = (seen->bits[bit / 64] & mask) != 0;
  seen->bits[bit / 64] |= mask;
  return before;
}

/* ---- the mask ---- */

static size_t write_mask_path(const Place *place, char *text, size_t size) {
  if (place->parent == NULL)
    return 0;
  size_t used = write_mask_path(place->parent, text, size);
  if (used > 0)
    used = place_add_text(text, size, used, SKY_STR("."));
  return place_add_text(text, size, used, place->field->name);
}

/* Notes that the body names this field. */
static void mask_add(Reader *reader, const Place *place) {
  enum { MASK_PATHS = 1 };
  char path[1024];
  const size_t size = write_mask_path(place, path, sizeof(path));
  sky_wire_append_bytes(reader->mask, MASK_PATHS, (SkyStr){.data = path, .size = size});
}

static bool is_plain_message(const SkyField *field) {
  return !field->repeated && field->message != NULL && field->message->well_known == PLAIN_MESSAGE;
}

/* Before the value of a field of a masked message is read. Of messages the fields inside are named instead, unless
 * there are none. */
static void mask_field(Reader *reader, const SkyField *field, const Token *token, Place *place) {
  if (place->parent->parent == NULL && field == reader->mask_field) {
    reader->mask_given = reader->mask_given || token->kind != TOKEN_NULL;
    return;
  }
  const char *at = reader->scan.at;
  while (at < reader->scan.end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r'))
    at++;
  const bool is_empty = at < reader->scan.end && *at == '}';
  if (is_plain_message(field) && token->kind == TOKEN_OBJECT && !is_empty)
    place->masked = true;
  else
    mask_add(reader, place);
}

/* ---- fields that are bound elsewhere ---- */

/* The body may repeat what the path says, never change it. */
static bool read_bound_leaf(Reader *reader, Bound *bound, const Token *token, const Place *place) {
  if (bound->origin == BOUND_HEADER)
    return reader_refuse(reader, token, place, "is taken from a header and cannot be given otherwise");
  const size_t start = reader->out->size;
  if (!read_field_value(reader, bound->field, token, place))
    return false;
  if (reader->out->failed)
    return true;
  const SkyStr given = {.data = (const char *)reader->out->data + start, .size = reader->out->size - start};
  const bool same = sky_str_equal(given, bound->wire);
  reader->out->size = start;
  return same || reader_violation(reader, place, "contradicts the value that %s gives", bound_origin_name(bound));
}

/* Finds what path, query and headers say of the field; refuses another member of the same oneof. */
static bool check_bound_oneof(Reader *reader, const SkyField *field, const Place *place, bool *ret_wrong) {
  const Bound *other = place->parent->bound == NULL ? NULL : bound_find_oneof(place->parent->bound, field);
  *ret_wrong = other != NULL;
  return other == NULL ||
         reader_violation(reader, place, "cannot be given together with %.*s, which comes from path, query or a header",
                          SKY_STR_ARGS(other->field->json_name));
}

/* ---- objects ---- */

static bool read_unknown(Reader *reader, SkyStr name, const Place *parent) {
  const Place place = {.parent = parent, .key = name, .index = -1};
  Token token;
  if (!reader->options.ignore_unknown && !reader_violation(reader, &place, "is not a field of this message"))
    return false;
  if (!scan_token(&reader->scan, &token))
    return reader_syntax_error(reader, &place);
  return reader_skip(reader, &token, &place);
}

/* Twice the same field, or two members of a oneof; null is no value and so no member. */
static bool check_seen(Reader *reader, Seen *seen, const SkyMessageType *type, const SkyField *field, bool is_null,
                       const Place *place, bool *ret_wrong) {
  *ret_wrong = true;
  if (seen_set(seen, field->index))
    return reader_violation(reader, place, "is given twice");
  if (!is_null && field->oneof >= 0 && seen_set(seen, (size_t)type->field_count + (size_t)field->oneof))
    return reader_violation(reader, place, "cannot be given together with another field of the same oneof");
  *ret_wrong = false;
  return true;
}

static bool read_known_field(Reader *reader, const SkyField *field, const Token *token, bool is_null, Place *place) {
  bool wrong = false;
  Bound *parent = place->parent->bound;
  Bound *bound = parent == NULL ? NULL : bound_find(parent, field);
  if (!is_null && !check_bound_oneof(reader, field, place, &wrong))
    return false;
  if (wrong)
    return reader_skip(reader, token, place);
  if (bound != NULL && bound->is_leaf && !is_null)
    return read_bound_leaf(reader, bound, token, place);
  if (place->parent->masked && (bound == NULL || !bound->is_leaf))
    mask_field(reader, field, token, place);
  if (is_null)
    return true;
  place->bound = bound;
  if (bound != NULL)
    bound->emitted = true;
  return read_field_value(reader, field, token, place);
}

static bool read_member(Reader *reader, const SkyMessageType *type, const Token *key, Seen *seen, size_t *hint,
                        const Place *parent, bool in_any) {
  SkyStr name;
  Token token;
  bool wrong = true;
  if (!reader_text(reader, key, parent, &name, &wrong))
    return wrong && scan_token(&reader->scan, &token) && reader_skip(reader, &token, parent);
  const SkyField *field = message_field_by_name(type, name, *hint);
  Place place = {.parent = parent, .field = field, .index = -1};
  if (field == NULL && !(in_any && sky_str_is(name, "@type")))
    return read_unknown(reader, name, parent);
  if (!scan_token(&reader->scan, &token))
    return reader_syntax_error(reader, field == NULL ? parent : &place);
  if (field == NULL)
    return reader_skip(reader, &token, parent);
  *hint = (size_t)field->index + 1;
  const bool is_null = token.kind == TOKEN_NULL && !takes_null(field);
  if (!check_seen(reader, seen, type, field, is_null, &place, &wrong))
    return false;
  return wrong ? reader_skip(reader, &token, &place) : read_known_field(reader, field, &token, is_null, &place);
}

bool read_fields(Reader *reader, const SkyMessageType *type, const Place *place, bool in_any) {
  Seen seen;
  Token key;
  bool first = true;
  bool more = true;
  size_t hint = 0;
  if (!seen_init(reader, type, &seen))
    return false;
  for (;;) {
    if (!scan_member(&reader->scan, &first, &key, &more))
      return reader_syntax_error(reader, place);
    if (!more)
      break;
    if (!read_member(reader, type, &key, &seen, &hint, place, in_any))
      return false;
  }
  if (place->bound != NULL)
    bound_emit(place->bound, reader->out);
  return true;
}

bool read_message(Reader *reader, const SkyMessageType *type, const Token *token, const Place *place) {
  if (type->well_known != PLAIN_MESSAGE)
    return read_well_known(reader, type, token, place);
  if (token->kind != TOKEN_OBJECT)
    return reader_refuse(reader, token, place, "must be an object");
  return read_fields(reader, type, place, false);
}

/* ---- values ---- */

static bool read_submessage(Reader *reader, const SkyField *field, const Token *token, const Place *place) {
  put_tag(reader->out, field);
  if (field->type == PROTO_GROUP) {
    if (!read_message(reader, field->message, token, place))
      return false;
    out_varint(reader->out, sky_wire_tag(field->number, SKY_WIRE_GROUP_END));
    return true;
  }
  const size_t start = sky_wire_begin_bytes(reader->out);
  if (!read_message(reader, field->message, token, place))
    return false;
  sky_wire_end_bytes(reader->out, start);
  return true;
}

static bool read_single(Reader *reader, const SkyField *field, const Token *token, const Place *place) {
  if (field->message != NULL)
    return read_submessage(reader, field, token, place);
  Scalar scalar;
  const ScalarOutcome outcome = read_scalar(reader, field, token, place, &scalar);
  if (outcome != SCALAR_OK)
    return outcome != SCALAR_STOP;
  if (!field->has_presence && !field->repeated && scalar_is_zero(field->type, &scalar))
    return true; /* a zero without presence is the same as nothing */
  put_tag(reader->out, field);
  put_scalar(reader->out, field->type, &scalar);
  return true;
}

static bool read_packed_element(Reader *reader, const SkyField *field, const Token *token, const Place *place) {
  Scalar scalar;
  const ScalarOutcome outcome = read_scalar(reader, field, token, place, &scalar);
  if (outcome == SCALAR_OK)
    put_scalar(reader->out, field->type, &scalar);
  return outcome != SCALAR_STOP;
}

static bool read_element(Reader *reader, const SkyField *field, const Place *place) {
  Token token;
  if (!scan_token(&reader->scan, &token))
    return reader_syntax_error(reader, place);
  if (token.kind == TOKEN_NULL && !takes_null(field))
    return reader_violation(reader, place, "must not be null inside a list");
  return field->packed ? read_packed_element(reader, field, &token, place) : read_single(reader, field, &token, place);
}

static bool read_elements(Reader *reader, const SkyField *field, const Place *parent) {
  Place place = {.parent = parent, .field = field, .index = 0};
  bool first = true;
  for (bool more = true;; place.index++) {
    if (!scan_element(&reader->scan, &first, &more))
      return reader_syntax_error(reader, &place);
    if (!more)
      return true;
    if (!read_element(reader, field, &place))
      return false;
  }
}

static bool read_list(Reader *reader, const SkyField *field, const Token *token, const Place *place) {
  if (token->kind != TOKEN_ARRAY)
    return reader_refuse(reader, token, place, "must be a list");
  if (!field->packed)
    return read_elements(reader, field, place);
  const size_t before = reader->out->size;
  put_tag(reader->out, field);
  const size_t start = sky_wire_begin_bytes(reader->out);
  if (!read_elements(reader, field, place))
    return false;
  if (reader->out->size == start && !reader->out->failed)
    reader->out->size = before; /* an empty list is nothing */
  else
    sky_wire_end_bytes(reader->out, start);
  return true;
}

/* ---- maps ---- */

/* Keys are strings in JSON whatever their type. */
static ScalarOutcome read_map_key(Reader *reader, const SkyField *key_field, const Token *token, const Place *place,
                                  Scalar *ret) {
  const bool text_mode = reader->text_mode;
  reader->text_mode = true;
  const ScalarOutcome outcome = read_scalar(reader, key_field, token, place, ret);
  reader->text_mode = text_mode;
  return outcome;
}

static bool read_map_value(Reader *reader, const SkyField *field, const Place *place) {
  Token token;
  if (!scan_token(&reader->scan, &token))
    return reader_syntax_error(reader, place);
  if (token.kind == TOKEN_NULL && !takes_null(field))
    return reader_violation(reader, place, "must not be null inside a map");
  return read_single(reader, field, &token, place);
}

/* One entry: its key's token has been read. */
static bool read_entry(Reader *reader, const SkyField *field, const Token *token, const Place *parent, KeySet *keys) {
  const SkyMessageType *entry = field->message;
  Place place = {.parent = parent, .in_map = true, .index = -1, .key = token->text};
  Scalar key;
  bool go_on = true;
  if (!reader_text(reader, token, &place, &place.key, &go_on))
    return go_on && read_map_value(reader, &entry->fields[1], &place);
  const ScalarOutcome outcome = read_map_key(reader, &entry->fields[0], token, &place, &key);
  if (outcome == SCALAR_STOP || !key_set_add(reader, keys, place.key))
    return false;
  const size_t before = reader->out->size;
  put_tag(reader->out, field);
  const size_t start = sky_wire_begin_bytes(reader->out);
  if (outcome == SCALAR_OK) {
    put_tag(reader->out, &entry->fields[0]);
    put_scalar(reader->out, entry->fields[0].type, &key);
  }
  const size_t before_value = reader->out->size;
  if (!read_map_value(reader, &entry->fields[1], &place))
    return false;
  if (reader->out->size == before_value && !reader->out->failed)
    reader->out->size = before; /* an unknown enum name that is ignored takes its entry along */
  else
    sky_wire_end_bytes(reader->out, start);
  return true;
}

static bool read_map(Reader *reader, const SkyField *field, const Token *token, const Place *place) {
  KeySet keys = {.count = 0};
  Token key;
  bool first = true;
  bool more = true;
  if (token->kind != TOKEN_OBJECT)
    return reader_refuse(reader, token, place, "must be an object");
  for (;;) {
    if (!scan_member(&reader->scan, &first, &key, &more))
      return reader_syntax_error(reader, place);
    if (!more)
      break;
    if (!read_entry(reader, field, &key, place, &keys))
      return false;
  }
  const SkyStr *twice = key_set_duplicate(&keys);
  const Place at = {.parent = place, .in_map = true, .index = -1, .key = twice == NULL ? SKY_STR("") : *twice};
  return twice == NULL || reader_violation(reader, &at, "is given twice");
}

bool read_field_value(Reader *reader, const SkyField *field, const Token *token, const Place *place) {
  if (field->map)
    return read_map(reader, field, token, place);
  if (field->repeated)
    return read_list(reader, field, token, place);
  return read_single(reader, field, token, place);
}

/* ---- values given as text ---- */

bool read_text_value(Reader *reader, const SkyField *field, SkyStr text, const Place *place) {
  const Token token = {.kind = TOKEN_STRING, .text = text, .non_ascii = true};
  if (!reader->options.allow_nul && text.size > 0 && memchr(text.data, '\0', text.size) != NULL)
    return reader_violation(reader, place, "must not contain the character U+0000");
  if (!field->packed)
    return read_single(reader, field, &token, place);
  put_tag(reader->out, field);
  const size_t start = sky_wire_begin_bytes(reader->out);
  if (!read_packed_element(reader, field, &token, place))
    return false;
  sky_wire_end_bytes(reader->out, start);
  return true;
}

bool read_text_entry(Reader *reader, const SkyField *field, SkyStr key, SkyStr text, const Place *parent) {
  const SkyMessageType *entry = field->message;
  const Place place = {.parent = parent, .in_map = true, .index = -1, .key = key};
  put_tag(reader->out, field);
  const size_t start = sky_wire_begin_bytes(reader->out);
  if (!read_text_value(reader, &entry->fields[0], key, &place) ||
      !read_text_value(reader, &entry->fields[1], text, &place))
    return false;
  sky_wire_end_bytes(reader->out, start);
  return true;
}

/* ---- whole texts ---- */

bool read_root(Reader *reader, const SkyMessageType *type, const Place *root) {
  Token token;
  if (!scan_token(&reader->scan, &token) || (token.kind == TOKEN_NULL && type->well_known != WELL_KNOWN_VALUE))
    return reader->scan.problem != NULL ? reader_syntax_error(reader, root)
                                        : reader_violation(reader, root, "must not be null");
  if (!read_message(reader, type, &token, root))
    return false;
  return scan_end(&reader->scan) || reader_syntax_error(reader, root);
}

bool read_root_field(Reader *reader, const SkyField *field, const Place *root) {
  Token token;
  if (!scan_token(&reader->scan, &token))
    return reader_syntax_error(reader, root);
  if (token.kind == TOKEN_NULL && !takes_null(field))
    return reader_violation(reader, root, "must not be null");
  if (!read_field_value(reader, field, &token, root))
    return false;
  return scan_end(&reader->scan) || reader_syntax_error(reader, root);
}

SkyStatus sky_json_to_wire(const SkyContracts *contracts, const SkyMessageType *type, SkyStr json,
                           const SkyJsonReadOptions *options, SkyArena *arena, SkyBuf *ret_wire) {
  const size_t before = ret_wire->size;
  const Place root = PLACE_ROOT;
  Reader reader;
  reader_init(&reader, contracts, json, options, arena, ret_wire);
  (void)read_root(&reader, type, &root);
  SkyStatus status = reader_status(&reader);
  if (status != SKY_OK) {
    ret_wire->size = before;
    ret_wire->failed = false;
  }
  return status;
}
