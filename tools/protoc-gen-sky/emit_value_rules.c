/* Rules of one value: numbers, times, texts, enums. */
#include "emit_rules.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "pattern.h"

/* ---- numbers ---- */

typedef enum Kind { SIGNED, UNSIGNED, FLOATING, TIME } Kind;

static Kind kind_of(const FieldProto *field) {
  switch (field->type) {
  case TYPE(UINT32):
  case TYPE(UINT64):
  case TYPE(FIXED32):
  case TYPE(FIXED64):
  case TYPE(BOOL):
    return UNSIGNED;
  case TYPE(FLOAT):
  case TYPE(DOUBLE):
    return FLOATING;
  case TYPE(MESSAGE):
    return TIME;
  default:
    return SIGNED;
  }
}

/* One operand: the value of a wire field of the rules, in the field's type. */
typedef union Operand {
  int64_t i;
  uint64_t u;
  double d;
  struct {
    int64_t seconds;
    int32_t nanos;
  } t;
} Operand;

static Operand read_time(SkyStr message) {
  uint64_t seconds = 0, nanos = 0;
  (void)sky_options_scalar(message, 1, &seconds);
  (void)sky_options_scalar(message, 2, &nanos);
  return (Operand){.t = {(int64_t)seconds, (int32_t)nanos}};
}

static Operand read_operand(const FieldProto *field, uint64_t scalar) {
  float narrow;
  double wide;
  const uint32_t bits = (uint32_t)scalar;
  switch (field->type) {
  case TYPE(FLOAT):
    memcpy(&narrow, &bits, sizeof(narrow));
    return (Operand){.d = (double)narrow};
  case TYPE(DOUBLE):
    memcpy(&wide, &scalar, sizeof(wide));
    return (Operand){.d = wide};
  case TYPE(SINT32):
  case TYPE(SINT64):
    return (Operand){.i = sky_wire_unzigzag(scalar)};
  case TYPE(SFIXED32):
    return (Operand){.i = (int32_t)bits};
  default:
    return (Operand){.u = scalar};
  }
}

static void write_operand(const RuleWriter *writer, Kind kind, Operand operand, SkyBuf *out) {
  switch (kind) {
  case UNSIGNED:
    sky_buf_printf(out, "{.u = UINT64_C(%" PRIu64 ")}", operand.u);
    break;
  case FLOATING:
    if (!isfinite(operand.d))
      rule_problem(writer, "a bound must be a finite number");
    sky_buf_printf(out, "{.d = %.17g}", operand.d);
    break;
  case TIME:
    sky_buf_printf(out, "{.t = {INT64_C(%" PRId64 "), %d}}", operand.t.seconds, (int)operand.t.nanos);
    break;
  case SIGNED:
    if (operand.i == INT64_MIN)
      sky_buf_append_text(out, "{.i = INT64_MIN}");
    else
      sky_buf_printf(out, "{.i = INT64_C(%" PRId64 ")}", operand.i);
    break;
  }
}

/* The field numbers of what all rules for ordered values have in common. */
typedef struct OrderedNumbers {
  uint32_t constant, lt, lte, gt, gte, in, not_in, finite, example;
} OrderedNumbers;

static const OrderedNumbers number_rules = {1, 2, 3, 4, 5, 6, 7, 0, 8};
static const OrderedNumbers floating_rules = {1, 2, 3, 4, 5, 6, 7, 8, 9};
static const OrderedNumbers duration_rules = {2, 3, 4, 5, 6, 7, 8, 0, 9};
static const OrderedNumbers timestamp_rules = {2, 3, 4, 5, 6, 0, 0, 0, 10};
static const OrderedNumbers enum_rules = {1, 0, 0, 0, 0, 3, 4, 0, 5};
static const OrderedNumbers bool_rules = {1, 0, 0, 0, 0, 0, 0, 0, 2};
enum { ENUM_DEFINED_ONLY = 2 };

static bool find_operand(const FieldProto *field, SkyStr rules, uint32_t number, Operand *ret) {
  uint64_t scalar = 0;
  SkyStr message = {"", 0};
  if (number == 0)
    return false;
  if (field->type == TYPE(MESSAGE) && sky_options_bytes(rules, number, &message)) {
    *ret = read_time(message);
    return true;
  }
  if (field->type == TYPE(MESSAGE) || !sky_options_scalar(rules, number, &scalar))
    return false;
  *ret = read_operand(field, scalar);
  return true;
}

static void write_bound(const RuleWriter *writer, const FieldProto *field, SkyStr rules, const char *which,
                        uint32_t exclusive, uint32_t inclusive, SkyBuf *out) {
  Operand operand = {0};
  const bool is_exclusive = find_operand(field, rules, exclusive, &operand);
  if (!is_exclusive && !find_operand(field, rules, inclusive, &operand))
    return;
  sky_buf_printf(out, ".%s_bound = %s, .%s = ", which, is_exclusive ? "SKY_EXCLUSIVE" : "SKY_INCLUSIVE", which);
  write_operand(writer, kind_of(field), operand, out);
  sky_buf_append_text(out, ", ");
}

static void write_range(const RuleWriter *writer, const FieldProto *field, SkyStr rules, const OrderedNumbers *numbers,
                        SkyBuf *list) {
  SkyBuf bounds;
  sky_buf_init(&bounds, MAX_FILE_BYTES);
  write_bound(writer, field, rules, "lower", numbers->gt, numbers->gte, &bounds);
  write_bound(writer, field, rules, "upper", numbers->lt, numbers->lte, &bounds);
  if (bounds.size > 0) {
    sky_buf_printf(writer->out, "static const SkyRange %s_range = {%.*s};\n", writer->name,
                   SKY_STR_ARGS(sky_buf_str(&bounds)));
    sky_buf_printf(list, "{SKY_RULE_RANGE, {.range = &%s_range}}, ", writer->name);
  }
  sky_buf_finish(&bounds);
}

/* Appends the operands of one wire field, which may be a packed list. */
static size_t write_operands_of(const RuleWriter *writer, const FieldProto *field, const SkyWireField *wire,
                                SkyBuf *out) {
  const Kind kind = kind_of(field);
  if (kind == TIME || wire->type != SKY_WIRE_BYTES) {
    write_operand(writer, kind, kind == TIME ? read_time(wire->bytes) : read_operand(field, wire->scalar), out);
    sky_buf_append_text(out, ", ");
    return 1;
  }
  SkyWireReader reader = sky_wire_reader(wire->bytes.data, wire->bytes.size);
  size_t count = 0;
  while (!sky_wire_at_end(&reader)) {
    uint64_t scalar = 0;
    uint32_t narrow = 0;
    const bool is_double = field->type == TYPE(DOUBLE) || field->type == TYPE(FIXED64) || field->type == TYPE(SFIXED64);
    const bool is_float = field->type == TYPE(FLOAT) || field->type == TYPE(FIXED32) || field->type == TYPE(SFIXED32);
    if (is_float ? !sky_wire_read_fixed32(&reader, &narrow)
                 : !(is_double ? sky_wire_read_fixed64(&reader, &scalar) : sky_wire_read_varint(&reader, &scalar)))
      break;
    write_operand(writer, kind, read_operand(field, is_float ? narrow : scalar), out);
    sky_buf_append_text(out, ", ");
    count++;
  }
  return count;
}

static void write_number_list(const RuleWriter *writer, const FieldProto *field, SkyStr rules, uint32_t number,
                              const char *op, const char *suffix, SkyBuf *list) {
  SkyBuf values;
  sky_buf_init(&values, MAX_FILE_BYTES);
  size_t count = 0;
  SkyWireReader reader = sky_wire_reader(rules.data, rules.size);
  SkyWireField wire;
  while (number != 0 && !sky_wire_at_end(&reader) && sky_wire_next(&reader, &wire)) {
    if (wire.number == number)
      count += write_operands_of(writer, field, &wire, &values);
  }
  if (count > 0) {
    sky_buf_printf(writer->out, "static const SkyNumber %s_%s_values[] = {%.*s};\n", writer->name, suffix,
                   SKY_STR_ARGS(sky_buf_str(&values)));
    sky_buf_printf(writer->out, "static const SkyNumbers %s_%s = {%zu, %s_%s_values};\n", writer->name, suffix, count,
                   writer->name, suffix);
    sky_buf_printf(list, "{%s, {.numbers = &%s_%s}}, ", op, writer->name, suffix);
  }
  sky_buf_finish(&values);
}

/* A rule that we cannot hold must not be dropped in silence. */
void sky_rules_refuse_others(const RuleWriter *writer, SkyStr rules, const uint32_t *known, size_t count) {
  SkyWireReader reader = sky_wire_reader(rules.data, rules.size);
  SkyWireField wire;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &wire)) {
    bool is_known = false;
    for (size_t i = 0; i < count && !is_known; i++)
      is_known = known[i] == wire.number;
    if (!is_known)
      sky_model_error(writer->model, writer->file, writer->where,
                      "rule number %u of its buf.validate type is not supported; check it in the handler", wire.number);
  }
}

static void write_ordered_rules(const RuleWriter *writer, const FieldProto *field, SkyStr rules,
                                const OrderedNumbers *numbers, SkyBuf *list) {
  uint64_t flag = 0;
  const bool is_enum = field->type == TYPE(ENUM);
  const uint32_t known[] = {
      numbers->constant, numbers->lt,     numbers->lte,    numbers->gt,      numbers->gte,
      numbers->in,       numbers->not_in, numbers->finite, numbers->example, is_enum ? ENUM_DEFINED_ONLY : 0};
  sky_rules_refuse_others(writer, rules, known, sizeof(known) / sizeof(known[0]));
  write_range(writer, field, rules, numbers, list);
  write_number_list(writer, field, rules, numbers->constant, "SKY_RULE_IN", "const", list);
  write_number_list(writer, field, rules, numbers->in, "SKY_RULE_IN", "in", list);
  write_number_list(writer, field, rules, numbers->not_in, "SKY_RULE_NOT_IN", "not_in", list);
  if (numbers->finite != 0 && sky_options_scalar(rules, numbers->finite, &flag) && flag)
    sky_buf_append_text(list, "{.op = SKY_RULE_FINITE}, ");
  if (is_enum && sky_options_scalar(rules, ENUM_DEFINED_ONLY, &flag) && flag)
    sky_buf_append_text(list, "{.op = SKY_RULE_DEFINED_ONLY}, ");
}

/* ---- texts ---- */

typedef enum TextOperand { NOTHING, COUNT, EXACT_COUNT, TEXT, TEXT_LIST, PATTERN, FLAG } TextOperand;

typedef struct TextRule {
  uint32_t number;
  TextOperand operand;
  const char *op;     /* of EXACT_COUNT: what follows MIN_ and MAX_ */
  const char *format; /* of FLAG */
} TextRule;

static const TextRule string_rules[] = {
    {1, TEXT_LIST, "SKY_RULE_IN", NULL},
    {2, COUNT, "SKY_RULE_MIN_CHARS", NULL},
    {3, COUNT, "SKY_RULE_MAX_CHARS", NULL},
    {4, COUNT, "SKY_RULE_MIN_BYTES", NULL},
    {5, COUNT, "SKY_RULE_MAX_BYTES", NULL},
    {6, PATTERN, "SKY_RULE_PATTERN", NULL},
    {7, TEXT, "SKY_RULE_PREFIX", NULL},
    {8, TEXT, "SKY_RULE_SUFFIX", NULL},
    {9, TEXT, "SKY_RULE_CONTAINS", NULL},
    {10, TEXT_LIST, "SKY_RULE_IN", NULL},
    {11, TEXT_LIST, "SKY_RULE_NOT_IN", NULL},
    {12, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_EMAIL"},
    {13, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_HOSTNAME"},
    {14, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_IP"},
    {15, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_IPV4"},
    {16, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_IPV6"},
    {17, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_URI"},
    {18, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_URI_REF"},
    {19, EXACT_COUNT, "CHARS", NULL},
    {20, EXACT_COUNT, "BYTES", NULL},
    {21, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_ADDRESS"},
    {22, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_UUID"},
    {23, TEXT, "SKY_RULE_NOT_CONTAINS", NULL},
    {32, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_HOST_AND_PORT"},
    {33, FLAG, "SKY_RULE_FORMAT", "SKY_FORMAT_TUUID"},
    {34, NOTHING, NULL, NULL},
};

static const TextRule bytes_rules[] = {
    {1, TEXT_LIST, "SKY_RULE_IN", NULL},    {2, COUNT, "SKY_RULE_MIN_BYTES", NULL},
    {3, COUNT, "SKY_RULE_MAX_BYTES", NULL}, {5, TEXT, "SKY_RULE_PREFIX", NULL},
    {6, TEXT, "SKY_RULE_SUFFIX", NULL},     {7, TEXT, "SKY_RULE_CONTAINS", NULL},
    {8, TEXT_LIST, "SKY_RULE_IN", NULL},    {9, TEXT_LIST, "SKY_RULE_NOT_IN", NULL},
    {13, EXACT_COUNT, "BYTES", NULL},       {14, NOTHING, NULL, NULL},
};

static void write_text(SkyStr text, SkyBuf *out) {
  sky_buf_append_byte(out, '{');
  sky_emit_string(text, out);
  sky_buf_printf(out, ", %zu}", text.size);
}

static void write_text_list(const RuleWriter *writer, SkyStr rules, const TextRule *rule, SkyBuf *list) {
  SkyWireReader reader = sky_wire_reader(rules.data, rules.size);
  SkyWireField wire;
  size_t count = 0;
  sky_buf_printf(writer->out, "static const SkyStr %s_texts%u_values[] = {", writer->name, rule->number);
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &wire)) {
    if (wire.number != rule->number || wire.type != SKY_WIRE_BYTES)
      continue;
    write_text(wire.bytes, writer->out);
    sky_buf_append_text(writer->out, ", ");
    count++;
  }
  sky_buf_printf(writer->out, "};\nstatic const SkyTexts %s_texts%u = {%zu, %s_texts%u_values};\n", writer->name,
                 rule->number, count, writer->name, rule->number);
  sky_buf_printf(list, "{%s, {.texts = &%s_texts%u}}, ", rule->op, writer->name, rule->number);
}

static void write_pattern(const RuleWriter *writer, SkyStr pattern, SkyBuf *list) {
  const char *shown = sky_gen_printf(writer->model->arena, "%.*s", SKY_STR_ARGS(pattern));
  const char *posix = "";
  SkyStatus status = sky_pattern_to_posix(writer->model->arena, shown, &posix);
  if (status != SKY_OK)
    rule_problem(writer, "%s", sky_status_message(status));
  sky_status_free(status);
  sky_buf_printf(writer->out,
                 "static SkyPattern %s_pattern = {.once = PTHREAD_ONCE_INIT, .expression = ", writer->name);
  sky_emit_string(sky_str(posix), writer->out);
  sky_buf_append_text(writer->out, ", .shown = ");
  sky_emit_string(pattern, writer->out);
  sky_buf_append_text(writer->out, "};\n");
  sky_buf_printf(list, "{SKY_RULE_PATTERN, {.pattern = &%s_pattern}}, ", writer->name);
}

static void write_text_rule(const RuleWriter *writer, SkyStr rules, const TextRule *rule, SkyBuf *list) {
  uint64_t number = 0;
  SkyStr text = {"", 0};
  const bool has_number = sky_options_scalar(rules, rule->number, &number);
  const bool has_text = sky_options_bytes(rules, rule->number, &text);
  if (rule->operand == COUNT && has_number)
    sky_buf_printf(list, "{%s, {.count = %" PRIu64 "}}, ", rule->op, number);
  else if (rule->operand == EXACT_COUNT && has_number)
    sky_buf_printf(list, "{SKY_RULE_MIN_%s, {.count = %" PRIu64 "}}, {SKY_RULE_MAX_%s, {.count = %" PRIu64 "}}, ",
                   rule->op, number, rule->op, number);
  else if (rule->operand == FLAG && has_number && number)
    sky_buf_printf(list, "{%s, {.format = %s}}, ", rule->op, rule->format);
  else if (rule->operand == TEXT_LIST && has_text)
    write_text_list(writer, rules, rule, list);
  else if (rule->operand == PATTERN && has_text)
    write_pattern(writer, text, list);
  else if (rule->operand == TEXT && has_text) {
    sky_buf_printf(list, "{%s, {.text = ", rule->op);
    write_text(text, list);
    sky_buf_append_text(list, "}}, ");
  }
}

static void write_text_rules(const RuleWriter *writer, SkyStr rules, const TextRule *table, size_t count,
                             SkyBuf *list) {
  uint32_t known[sizeof(string_rules) / sizeof(string_rules[0])];
  for (size_t i = 0; i < count; i++) {
    known[i] = table[i].number;
    write_text_rule(writer, rules, &table[i], list);
  }
  sky_rules_refuse_others(writer, rules, known, count);
}

/* ---- one value ---- */

/* The number of the rules that fit a field's values in buf.validate.FieldRules; 0: there are none. */
static uint32_t rules_number(const FieldProto *field) {
  static const uint32_t numbers[] = {
      [TYPE(DOUBLE)] = RULES_DOUBLE,
      [TYPE(FLOAT)] = RULES_FLOAT,
      [TYPE(INT64)] = 4,
      [TYPE(UINT64)] = 6,
      [TYPE(INT32)] = RULES_INT32,
      [TYPE(FIXED64)] = 10,
      [TYPE(FIXED32)] = 9,
      [TYPE(BOOL)] = RULES_BOOL,
      [TYPE(STRING)] = RULES_STRING,
      [TYPE(BYTES)] = RULES_BYTES,
      [TYPE(UINT32)] = 5,
      [TYPE(ENUM)] = RULES_ENUM,
      [TYPE(SFIXED32)] = 11,
      [TYPE(SFIXED64)] = RULES_SFIXED64,
      [TYPE(SINT32)] = 7,
      [TYPE(SINT64)] = 8,
  };
  if (field->type == TYPE(MESSAGE) && strcmp(field->type_name, ".google.protobuf.Duration") == 0)
    return RULES_DURATION;
  if (field->type == TYPE(MESSAGE) && strcmp(field->type_name, ".google.protobuf.Timestamp") == 0)
    return RULES_TIMESTAMP;
  return (size_t)field->type < sizeof(numbers) / sizeof(numbers[0]) ? numbers[field->type] : 0;
}

/* Rules of another type than the field's, or in a language we do not have. */
void sky_rules_refuse_other_types(const RuleWriter *writer, SkyStr rules, uint32_t expected) {
  SkyWireReader reader = sky_wire_reader(rules.data, rules.size);
  SkyWireField wire;
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &wire)) {
    if (wire.number == RULES_CEL || wire.number == RULES_CEL_EXPRESSION)
      rule_problem(writer, "CEL rules are not supported; check it in the handler");
    else if (wire.number != expected && wire.number != RULES_REQUIRED && wire.number != RULES_IGNORE)
      rule_problem(writer, "these buf.validate rules do not fit the field's type, or are not supported for it");
  }
}

static void write_typed_rules(const RuleWriter *writer, const FieldProto *field, uint32_t number, SkyStr rules,
                              SkyBuf *list) {
  if (number == RULES_STRING)
    write_text_rules(writer, rules, string_rules, sizeof(string_rules) / sizeof(string_rules[0]), list);
  else if (number == RULES_BYTES)
    write_text_rules(writer, rules, bytes_rules, sizeof(bytes_rules) / sizeof(bytes_rules[0]), list);
  else if (number == RULES_ENUM)
    write_ordered_rules(writer, field, rules, &enum_rules, list);
  else if (number == RULES_BOOL)
    write_ordered_rules(writer, field, rules, &bool_rules, list);
  else if (number == RULES_DURATION)
    write_ordered_rules(writer, field, rules, &duration_rules, list);
  else if (number == RULES_TIMESTAMP)
    write_ordered_rules(writer, field, rules, &timestamp_rules, list);
  else if (number == RULES_FLOAT || number == RULES_DOUBLE)
    write_ordered_rules(writer, field, rules, &floating_rules, list);
  else if (number != 0)
    write_ordered_rules(writer, field, rules, &number_rules, list);
}

/* Writes the list of a value's own rules; false when it has none. */
static bool write_rule_list(const RuleWriter *writer, const FieldProto *field, SkyStr rules) {
  const uint32_t number = rules_number(field);
  SkyBuf list;
  sky_buf_init(&list, MAX_FILE_BYTES);
  sky_rules_refuse_other_types(writer, rules, number);
  if (number != 0)
    write_typed_rules(writer, field, number, sky_options_message(writer->model->arena, rules, number, NULL), &list);
  const bool any = list.size > 0;
  if (any)
    sky_buf_printf(writer->out, "static const SkyRule %s[] = {%.*s{.op = SKY_RULE_END}};\n", writer->name,
                   SKY_STR_ARGS(sky_buf_str(&list)));
  sky_buf_finish(&list);
  return any;
}

uint64_t sky_rules_ignore(SkyStr rules) {
  uint64_t ignore = 0;
  (void)sky_options_scalar(rules, RULES_IGNORE, &ignore);
  return ignore;
}

/* The initialiser of a SkyValueRules; "{0}" when there is nothing to check. */
const char *sky_emit_value_rules(const RuleWriter *writer, const FieldProto *field, SkyStr rules) {
  SkyArena *arena = writer->model->arena;
  if (sky_rules_ignore(rules) == IGNORE_ALWAYS)
    return "{0}";
  const Message *type = field->type == TYPE(MESSAGE) ? sky_model_message(writer->model, field->type_name) : NULL;
  const char *message = type == NULL ? "NULL" : sky_emit_rules_of(writer->model, type);
  const bool any = write_rule_list(writer, field, rules);
  if (!any && strcmp(message, "NULL") == 0)
    return "{0}";
  return sky_gen_printf(arena, "{%s, %s, %s}", any ? writer->name : "NULL", message,
                        sky_rules_ignore(rules) == IGNORE_IF_ZERO_VALUE ? "true" : "false");
}
