#include <sky/codec/rules.h>

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sky/codec/message.h>
#include <sky/codec/field_value.h>
#include <sky/codec/rule_tables.h>

enum { MAX_VIOLATIONS = 32, MAX_PATH = 512, QUADRATIC_ITEMS = 16, SHOWN_KEY_BYTES = 64 };

/* Where we are: a list from the innermost field out, on the stack of the recursion. */
typedef struct Place {
  const struct Place *outer;
  const char *name; /* NULL: an index or key of the outer place */
  size_t index;
  const char *key; /* of a map with string keys */
  bool has_number_key;
  int64_t number_key;
} Place;

typedef struct Check {
  SkyStatus status;
} Check;

static void validate_message(Check *check, const ProtobufCMessage *message, const SkyMessageRules *rules,
                             const Place *place);

/* ---- reporting ---- */

static size_t write_place(const Place *place, char *text, size_t size) {
  if (place == NULL)
    return 0;
  const size_t used = write_place(place->outer, text, size);
  const size_t left = size - used;
  int written;
  if (place->name != NULL)
    written = snprintf(text + used, left, "%s%s", used == 0 ? "" : ".", place->name);
  else if (place->key != NULL)
    written = snprintf(text + used, left, "[\"%.*s\"]", SHOWN_KEY_BYTES, place->key);
  else if (place->has_number_key)
    written = snprintf(text + used, left, "[%" PRId64 "]", place->number_key);
  else
    written = snprintf(text + used, left, "[%zu]", place->index);
  return (size_t)written >= left ? size - 1 : used + (size_t)written;
}

__attribute__((format(printf, 3, 4))) static void refuse(Check *check, const Place *place, const char *format, ...) {
  char path[MAX_PATH] = "";
  char description[MAX_PATH];
  write_place(place, path, sizeof(path));
  va_list values;
  va_start(values, format);
  vsnprintf(description, sizeof(description), format, values);
  va_end(values);
  sky_violations_add(&check->status, path, "%s", description);
}

/* Enough is known, or memory is out: the rest need not be looked at. */
static bool is_over(const Check *check) {
  if (check->status == SKY_OK)
    return false;
  return sky_status_code(check->status) != SKY_CODE_INVALID_ARGUMENT ||
         sky_status_violation_count(check->status) >= MAX_VIOLATIONS;
}

/* ---- ranges ---- */

static bool is_above(SkyNumberKind kind, SkyNumber number, const SkyRange *range) {
  const int order = sky_number_compare(kind, number, range->lower);
  return range->lower_bound == SKY_INCLUSIVE ? order >= 0 : order > 0;
}

static bool is_below(SkyNumberKind kind, SkyNumber number, const SkyRange *range) {
  const int order = sky_number_compare(kind, number, range->upper);
  return range->upper_bound == SKY_INCLUSIVE ? order <= 0 : order < 0;
}

static bool is_in_range(SkyNumberKind kind, SkyNumber number, const SkyRange *range) {
  if (kind == SKY_NUMBER_FLOATING && isnan(number.d))
    return false;
  const bool above = range->lower_bound == SKY_UNBOUNDED || is_above(kind, number, range);
  const bool below = range->upper_bound == SKY_UNBOUNDED || is_below(kind, number, range);
  if (range->lower_bound != SKY_UNBOUNDED && range->upper_bound != SKY_UNBOUNDED &&
      sky_number_compare(kind, range->upper, range->lower) < 0)
    return above || below;
  return above && below;
}

static const char *lower_words(const SkyRange *range) {
  return range->lower_bound == SKY_INCLUSIVE ? "greater than or equal to" : "greater than";
}

static const char *upper_words(const SkyRange *range) {
  return range->upper_bound == SKY_INCLUSIVE ? "less than or equal to" : "less than";
}

static void refuse_range(Check *check, const Place *place, SkyNumberKind kind, const SkyRange *range) {
  char lower[64], upper[64];
  sky_number_write(kind, range->lower, lower);
  sky_number_write(kind, range->upper, upper);
  if (range->lower_bound == SKY_UNBOUNDED)
    refuse(check, place, "must be %s %s", upper_words(range), upper);
  else if (range->upper_bound == SKY_UNBOUNDED)
    refuse(check, place, "must be %s %s", lower_words(range), lower);
  else
    refuse(check, place, "must be %s %s %s %s %s", lower_words(range), lower,
           sky_number_compare(kind, range->upper, range->lower) < 0 ? "or" : "and", upper_words(range), upper);
}

/* ---- texts ---- */

static size_t count_characters(SkyStr text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size; i++)
    count += ((uint8_t)text.data[i] & 0xc0) != 0x80;
  return count;
}

static bool contains(SkyStr text, SkyStr part) {
  return part.size == 0 || (text.size > 0 && memmem(text.data, text.size, part.data, part.size) != NULL);
}

/* pthread_once() hands no argument over. */
static _Thread_local SkyPattern *pattern_to_compile;

/* protoc-gen-sky has compiled it before it wrote it down; it can fail here only for lack of memory, and then matches
 * nothing. */
static void compile_pattern(void) {
  SkyPattern *pattern = pattern_to_compile;
  /* In the C locale, whatever the program's is: the expression is made for bytes. */
  const locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  const locale_t before = c_locale == (locale_t)0 ? (locale_t)0 : uselocale(c_locale);
  if (regcomp(&pattern->compiled, pattern->expression, REG_EXTENDED | REG_NOSUB) != 0)
    pattern->expression = NULL;
  if (c_locale != (locale_t)0) {
    uselocale(before);
    freelocale(c_locale);
  }
}

static bool matches(SkyPattern *pattern, SkyStr text) {
  pattern_to_compile = pattern;
  pthread_once(&pattern->once, compile_pattern);
  if (pattern->expression == NULL)
    return false;
  regmatch_t range = {.rm_so = 0, .rm_eo = (regoff_t)text.size};
  return regexec(&pattern->compiled, text.size == 0 ? "" : text.data, 1, &range, REG_STARTEND) == 0;
}

static const char *format_words(SkyFormat format) {
  static const char *const words[] = {
      [SKY_FORMAT_UUID] = "a UUID",
      [SKY_FORMAT_TUUID] = "a UUID without dashes",
      [SKY_FORMAT_EMAIL] = "an email address",
      [SKY_FORMAT_HOSTNAME] = "a hostname",
      [SKY_FORMAT_IP] = "an IP address",
      [SKY_FORMAT_IPV4] = "an IPv4 address",
      [SKY_FORMAT_IPV6] = "an IPv6 address",
      [SKY_FORMAT_ADDRESS] = "a hostname or an IP address",
      [SKY_FORMAT_HOST_AND_PORT] = "a host and port",
      [SKY_FORMAT_URI] = "an absolute URI",
      [SKY_FORMAT_URI_REF] = "a URI reference",
  };
  return words[format];
}

/* ---- one rule ---- */

static bool is_listed(const SkyFieldValue *value, const SkyRule *rule) {
  if (sky_value_is_text(value->field->type)) {
    const SkyStr text = sky_value_text(value);
    for (size_t i = 0; i < rule->as.texts->count; i++) {
      if (sky_str_equal(text, rule->as.texts->values[i]))
        return true;
    }
    return false;
  }
  const SkyNumber number = sky_value_number(value);
  for (size_t i = 0; i < rule->as.numbers->count; i++) {
    if (sky_number_compare(sky_number_kind(value->field->type), number, rule->as.numbers->values[i]) == 0)
      return true;
  }
  return false;
}

static size_t listed_count(const SkyFieldValue *value, const SkyRule *rule) {
  return sky_value_is_text(value->field->type) ? rule->as.texts->count : rule->as.numbers->count;
}

static void refuse_unlisted(Check *check, const Place *place, const SkyFieldValue *value, const SkyRule *rule) {
  char text[64] = "";
  if (listed_count(value, rule) > 1) {
    refuse(check, place, "must be one of the %zu values allowed", listed_count(value, rule));
  } else if (sky_value_is_text(value->field->type)) {
    refuse(check, place, "must be \"%.*s\"", SKY_STR_ARGS(rule->as.texts->values[0]));
  } else {
    sky_number_write(sky_number_kind(value->field->type), rule->as.numbers->values[0], text);
    refuse(check, place, "must be %s", text);
  }
}

static void apply_number_rule(Check *check, const Place *place, const SkyFieldValue *value, const SkyRule *rule) {
  const SkyNumberKind kind = sky_number_kind(value->field->type);
  const SkyNumber number = sky_value_number(value);
  if (rule->op == SKY_RULE_RANGE && !is_in_range(kind, number, rule->as.range))
    refuse_range(check, place, kind, rule->as.range);
  else if (rule->op == SKY_RULE_FINITE && !isfinite(number.d))
    refuse(check, place, "must be a finite number");
  else if (rule->op == SKY_RULE_DEFINED_ONLY && sky_enum_find(value->field->descriptor, (int)number.i) == NULL)
    refuse(check, place, "must be one of the enum's values");
}

static void apply_size_rule(Check *check, const Place *place, const SkyFieldValue *value, const SkyRule *rule) {
  const bool characters = rule->op == SKY_RULE_MIN_CHARS || rule->op == SKY_RULE_MAX_CHARS;
  const bool least = rule->op == SKY_RULE_MIN_CHARS || rule->op == SKY_RULE_MIN_BYTES;
  const SkyStr text = sky_value_text(value);
  const size_t size = characters ? count_characters(text) : text.size;
  if (least ? size < rule->as.count : size > rule->as.count)
    refuse(check, place, "must have at %s %" PRIu64 " %s%s", least ? "least" : "most", rule->as.count,
           characters ? "character" : "byte", rule->as.count == 1 ? "" : "s");
}

static void apply_part_rule(Check *check, const Place *place, const SkyFieldValue *value, const SkyRule *rule) {
  const SkyStr text = sky_value_text(value);
  const SkyStr part = rule->as.text;
  if (rule->op == SKY_RULE_PREFIX && !sky_str_starts_with(text, part))
    refuse(check, place, "must begin with \"%.*s\"", SKY_STR_ARGS(part));
  else if (rule->op == SKY_RULE_SUFFIX && !sky_str_ends_with(text, part))
    refuse(check, place, "must end with \"%.*s\"", SKY_STR_ARGS(part));
  else if (rule->op == SKY_RULE_CONTAINS && !contains(text, part))
    refuse(check, place, "must contain \"%.*s\"", SKY_STR_ARGS(part));
  else if (rule->op == SKY_RULE_NOT_CONTAINS && contains(text, part))
    refuse(check, place, "must not contain \"%.*s\"", SKY_STR_ARGS(part));
}

static void apply_rule(Check *check, const Place *place, const SkyFieldValue *value, const SkyRule *rule) {
  switch (rule->op) {
  case SKY_RULE_IN:
    if (!is_listed(value, rule))
      refuse_unlisted(check, place, value, rule);
    break;
  case SKY_RULE_NOT_IN:
    if (is_listed(value, rule))
      refuse(check, place, "must not have this value");
    break;
  case SKY_RULE_MIN_CHARS:
  case SKY_RULE_MAX_CHARS:
  case SKY_RULE_MIN_BYTES:
  case SKY_RULE_MAX_BYTES:
    apply_size_rule(check, place, value, rule);
    break;
  case SKY_RULE_PATTERN:
    if (!matches(rule->as.pattern, sky_value_text(value)))
      refuse(check, place, "must match %s", rule->as.pattern->shown);
    break;
  case SKY_RULE_FORMAT:
    if (!sky_format_matches(rule->as.format, sky_value_text(value)))
      refuse(check, place, "must be %s", format_words(rule->as.format));
    break;
  case SKY_RULE_PREFIX:
  case SKY_RULE_SUFFIX:
  case SKY_RULE_CONTAINS:
  case SKY_RULE_NOT_CONTAINS:
    apply_part_rule(check, place, value, rule);
    break;
  default:
    apply_number_rule(check, place, value, rule);
    break;
  }
}

static void check_value(Check *check, const Place *place, const SkyFieldValue *value, const SkyValueRules *rules) {
  if (rules->ignore_zero && sky_value_is_zero(value))
    return;
  for (const SkyRule *rule = rules->rules; rule != NULL && rule->op != SKY_RULE_END; rule++)
    apply_rule(check, place, value, rule);
  if (rules->message != NULL)
    validate_message(check, sky_value_pointer(value->at), rules->message, place);
}

/* ---- repeated fields and maps ---- */

static SkyFieldValue item_at(const ProtobufCFieldDescriptor *field, const void *array, size_t index) {
  return (SkyFieldValue){.field = field, .at = (const char *)array + index * sky_value_size(field->type)};
}

static bool has_duplicate_quadratic(const ProtobufCFieldDescriptor *field, const void *array, size_t count) {
  for (size_t i = 1; i < count; i++) {
    for (size_t j = 0; j < i; j++) {
      if (sky_value_compare(item_at(field, array, i).at, item_at(field, array, j).at, (void *)(uintptr_t)field) == 0)
        return true;
    }
  }
  return false;
}

/* Sorts a copy: a hostile list of a million items must not cost a million squared. */
static void check_unique(Check *check, const Place *place, const ProtobufCFieldDescriptor *field, const void *array,
                         size_t count) {
  bool duplicate = false;
  if (count <= QUADRATIC_ITEMS) {
    duplicate = has_duplicate_quadratic(field, array, count);
  } else {
    const size_t size = sky_value_size(field->type);
    char *sorted = malloc(count * size);
    if (sorted == NULL) {
      sky_status_free(check->status);
      check->status = sky_status_no_memory();
      return;
    }
    memcpy(sorted, array, count * size);
    qsort_r(sorted, count, size, sky_value_compare, (void *)(uintptr_t)field);
    for (size_t i = 1; i < count && !duplicate; i++)
      duplicate = sky_value_compare(sorted + (i - 1) * size, sorted + i * size, (void *)(uintptr_t)field) == 0;
    free(sorted);
  }
  if (duplicate)
    refuse(check, place, "must not contain an item twice");
}

static void check_whole_list(Check *check, const Place *place, const ProtobufCFieldDescriptor *field,
                             const SkyRule *rules, const void *array, size_t count) {
  for (const SkyRule *rule = rules; rule != NULL && rule->op != SKY_RULE_END; rule++) {
    const char *plural = rule->as.count == 1 ? "" : "s";
    if (rule->op == SKY_RULE_MIN_ITEMS && count < rule->as.count)
      refuse(check, place, "must have at least %" PRIu64 " item%s", rule->as.count, plural);
    else if (rule->op == SKY_RULE_MAX_ITEMS && count > rule->as.count)
      refuse(check, place, "must have at most %" PRIu64 " item%s", rule->as.count, plural);
    else if (rule->op == SKY_RULE_UNIQUE)
      check_unique(check, place, field, array, count);
  }
}

/* A map's entry is a message {key = 1; value = 2}. */
static void check_entry(Check *check, const Place *outer, const ProtobufCMessage *entry, const SkyFieldRules *rules) {
  const ProtobufCFieldDescriptor *fields = entry->descriptor->fields;
  const SkyFieldValue key = {&fields[0], (const char *)entry + fields[0].offset};
  const SkyFieldValue value = {&fields[1], (const char *)entry + fields[1].offset};
  Place place = {.outer = outer};
  if (fields[0].type == PROTOBUF_C_TYPE_STRING) {
    place.key = sky_value_text(&key).size == 0 ? "" : sky_value_pointer(key.at);
  } else {
    place.has_number_key = true;
    place.number_key = sky_value_number(&key).i;
  }
  if (rules->keys != NULL)
    check_value(check, &place, &key, rules->keys);
  const bool unset = fields[1].type == PROTOBUF_C_TYPE_MESSAGE && sky_value_pointer(value.at) == NULL;
  if (rules->items != NULL && !unset)
    check_value(check, &place, &value, rules->items);
}

static void check_list(Check *check, const ProtobufCMessage *message, const SkyFieldRules *rules, const Place *place) {
  const ProtobufCFieldDescriptor *field = &message->descriptor->fields[rules->index];
  size_t count;
  memcpy(&count, (const char *)message + field->quantifier_offset, sizeof(count));
  const void *array = sky_value_pointer((const char *)message + field->offset);
  if (rules->required && count == 0) {
    refuse(check, place, "is required");
    return;
  }
  if (rules->value.ignore_zero && count == 0)
    return;
  check_whole_list(check, place, field, rules->value.rules, array, count);
  for (size_t i = 0; i < count && !is_over(check); i++) {
    const SkyFieldValue item = item_at(field, array, i);
    const Place at = {.outer = place, .index = i};
    if (rules->is_map)
      check_entry(check, place, sky_value_pointer(item.at), rules);
    else if (rules->items != NULL)
      check_value(check, &at, &item, rules->items);
  }
}

/* ---- fields and messages ---- */

/* Set, for a field with presence; without presence: true, it always has a value. */
static bool is_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field) {
  const void *quantifier = (const char *)message + field->quantifier_offset;
  if (field->label == PROTOBUF_C_LABEL_REPEATED)
    return *(const size_t *)quantifier > 0;
  if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(const uint32_t *)quantifier != field->id)
    return false;
  const bool is_optional = field->label == PROTOBUF_C_LABEL_OPTIONAL;
  if (field->type == PROTOBUF_C_TYPE_MESSAGE || (is_optional && field->type == PROTOBUF_C_TYPE_STRING))
    return sky_value_pointer((const char *)message + field->offset) != NULL;
  return !is_optional || *(const protobuf_c_boolean *)quantifier != 0;
}

static bool has_presence(const ProtobufCFieldDescriptor *field) {
  return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || field->label == PROTOBUF_C_LABEL_OPTIONAL;
}

static void check_field(Check *check, const ProtobufCMessage *message, const SkyFieldRules *rules, const Place *outer) {
  const ProtobufCFieldDescriptor *field = &message->descriptor->fields[rules->index];
  const Place place = {.outer = outer, .name = field->name};
  if (field->label == PROTOBUF_C_LABEL_REPEATED) {
    check_list(check, message, rules, &place);
    return;
  }
  const SkyFieldValue value = {field, (const char *)message + field->offset};
  const bool present = is_present(message, field);
  if (rules->required && (!present || (!has_presence(field) && sky_value_is_zero(&value))))
    refuse(check, &place, "is required");
  else if (present)
    check_value(check, &place, &value, &rules->value);
}

static void check_group(Check *check, const ProtobufCMessage *message, const SkyGroupRules *group, const Place *outer) {
  size_t set = 0;
  for (size_t i = 0; i < group->count; i++) {
    const ProtobufCFieldDescriptor *field = &message->descriptor->fields[group->indexes[i]];
    const SkyFieldValue value = {field, (const char *)message + field->offset};
    set += is_present(message, field) &&
           (has_presence(field) || field->label == PROTOBUF_C_LABEL_REPEATED || !sky_value_is_zero(&value));
  }
  const Place place = {.outer = outer, .name = group->name};
  if (set == 0 && group->required)
    refuse(check, &place, "one of its fields is required");
  else if (set > 1)
    refuse(check, &place, "only one of its fields may be set");
}

static void validate_message(Check *check, const ProtobufCMessage *message, const SkyMessageRules *rules,
                             const Place *place) {
  for (size_t i = 0; i < rules->field_count && !is_over(check); i++)
    check_field(check, message, &rules->fields[i], place);
  for (size_t i = 0; i < rules->group_count && !is_over(check); i++)
    check_group(check, message, &rules->groups[i], place);
}

SkyStatus sky_message_validate(const ProtobufCMessage *message, const SkyMessageRules *rules) {
  Check check = {.status = SKY_OK};
  if (rules != NULL)
    validate_message(&check, message, rules, NULL);
  return check.status;
}
