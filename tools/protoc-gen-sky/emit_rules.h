/*
 * Rules of one value (emit_value_rules.c) and of fields and messages (emit_rules.c): what the two share.
 */
#pragma once

#include "emit.h"
#include "options.h"

/* Field numbers in buf/validate/validate.proto. */
enum {
  RULES_FLOAT = 1,
  RULES_DOUBLE = 2,
  RULES_INT32 = 3,
  RULES_SFIXED64 = 12,
  RULES_BOOL = 13,
  RULES_STRING = 14,
  RULES_BYTES = 15,
  RULES_ENUM = 16,
  RULES_REPEATED = 18,
  RULES_MAP = 19,
  RULES_DURATION = 21,
  RULES_TIMESTAMP = 22,
  RULES_CEL = 23,
  RULES_REQUIRED = 25,
  RULES_IGNORE = 27,
  RULES_CEL_EXPRESSION = 29,
  IGNORE_IF_ZERO_VALUE = 1,
  IGNORE_ALWAYS = 3,
  BEHAVIOR_REQUIRED = 2,
};

/* Where tables are written, and what to call them and their problems. */
typedef struct RuleWriter {
  Model *model;
  const File *file;
  SkyBuf *out;
  const char *where; /* "Delivery.status" */
  const char *name;  /* unique stem of table names */
} RuleWriter;

#define rule_problem(writer, ...) sky_model_error((writer)->model, (writer)->file, (writer)->where, __VA_ARGS__)

/* Rules of another type than the expected one, or in a language we do not have, are a problem; so are unknown rules of
 * a type. */
void sky_rules_refuse_other_types(const RuleWriter *writer, SkyStr rules, uint32_t expected);
void sky_rules_refuse_others(const RuleWriter *writer, SkyStr rules, const uint32_t *known, size_t count);

uint64_t sky_rules_ignore(SkyStr rules);

/* The initialiser of a SkyValueRules, its tables written before; "{0}" when there is nothing to check. */
const char *sky_emit_value_rules(const RuleWriter *writer, const FieldProto *field, SkyStr rules);
