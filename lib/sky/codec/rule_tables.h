/*
 * Rule tables: how protoc-gen-sky writes down the validation rules of a contract. Only generated code and rules.c
 * include this.
 *
 * A rule list is an array that ends with SKY_RULE_END. What a rule's value means depends on the field's type: numbers
 * are compared as the field's kind (signed, unsigned, floating), Timestamp and Duration as {seconds, nanos}.
 */
#pragma once

#include <pthread.h>
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/codec/rules.h>
#include <sky/core/str.h>

typedef enum SkyRuleOp {
  SKY_RULE_END,
  SKY_RULE_RANGE, /* as.range */
  SKY_RULE_FINITE,
  SKY_RULE_IN,           /* as.numbers or as.texts */
  SKY_RULE_NOT_IN,       /* as.numbers or as.texts */
  SKY_RULE_DEFINED_ONLY, /* enum value is in the contract */
  SKY_RULE_MIN_CHARS,    /* as.count, Unicode code points */
  SKY_RULE_MAX_CHARS,
  SKY_RULE_MIN_BYTES, /* as.count; strings and bytes */
  SKY_RULE_MAX_BYTES,
  SKY_RULE_PREFIX, /* as.text; strings and bytes */
  SKY_RULE_SUFFIX,
  SKY_RULE_CONTAINS,
  SKY_RULE_NOT_CONTAINS,
  SKY_RULE_PATTERN,   /* as.pattern */
  SKY_RULE_FORMAT,    /* as.format */
  SKY_RULE_MIN_ITEMS, /* as.count; repeated fields and maps */
  SKY_RULE_MAX_ITEMS,
  SKY_RULE_UNIQUE,
} SkyRuleOp;

typedef enum SkyFormat {
  SKY_FORMAT_UUID,
  SKY_FORMAT_TUUID, /* a UUID without its dashes */
  SKY_FORMAT_EMAIL,
  SKY_FORMAT_HOSTNAME,
  SKY_FORMAT_IP,
  SKY_FORMAT_IPV4,
  SKY_FORMAT_IPV6,
  SKY_FORMAT_ADDRESS, /* hostname or IP */
  SKY_FORMAT_HOST_AND_PORT,
  SKY_FORMAT_URI,
  SKY_FORMAT_URI_REF,
} SkyFormat;

typedef union SkyNumber {
  int64_t i;
  uint64_t u;
  double d;
  struct {
    int64_t seconds;
    int32_t nanos;
  } t;
} SkyNumber;

typedef enum SkyBound { SKY_UNBOUNDED, SKY_EXCLUSIVE, SKY_INCLUSIVE } SkyBound;

/* With an upper bound below the lower one the values between them are what is refused, as in buf.validate. */
typedef struct SkyRange {
  SkyBound lower_bound, upper_bound;
  SkyNumber lower, upper;
} SkyRange;

typedef struct SkyNumbers {
  size_t count;
  const SkyNumber *values;
} SkyNumbers;

typedef struct SkyTexts {
  size_t count;
  const SkyStr *values;
} SkyTexts;

/* A POSIX extended regular expression, compiled at its first use. */
typedef struct SkyPattern {
  const char *expression; /* for regcomp() */
  const char *shown;      /* as it stands in the contract */
  pthread_once_t once;
  regex_t compiled;
} SkyPattern;

typedef struct SkyRule {
  SkyRuleOp op;
  union {
    uint64_t count;
    const SkyRange *range;
    const SkyNumbers *numbers;
    const SkyTexts *texts;
    SkyStr text;
    SkyPattern *pattern;
    SkyFormat format;
  } as;
} SkyRule;

/* What is checked of one value. */
typedef struct SkyValueRules {
  const SkyRule *rules;           /* may be NULL */
  const SkyMessageRules *message; /* of a message value; may be NULL */
  bool ignore_zero;               /* a zero value is not checked */
} SkyValueRules;

typedef struct SkyFieldRules {
  unsigned index; /* in descriptor->fields */
  bool required;
  bool is_map;
  SkyValueRules value;        /* of a singular field; of a repeated field or map only .rules, as a whole */
  const SkyValueRules *items; /* of each item, each value of a map; may be NULL */
  const SkyValueRules *keys;  /* of each key of a map; may be NULL */
} SkyFieldRules;

/* A oneof of which one field must be set; or (not a oneof in the contract) fields of which at most one may be set. */
typedef struct SkyGroupRules {
  const char *name;
  const unsigned *indexes; /* in descriptor->fields */
  size_t count;
  bool required;
} SkyGroupRules;

struct SkyMessageRules {
  const SkyFieldRules *fields;
  size_t field_count;
  const SkyGroupRules *groups;
  size_t group_count;
};

/* Whether a text has the format. Pure. */
bool sky_format_matches(SkyFormat format, SkyStr text);
