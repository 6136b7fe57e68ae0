/*
 * Descriptor: the loaded contracts from inside. Private to the transcoder; immutable after loading.
 */
#pragma once

#include <sky/core/arena.h>
#include <sky/core/map.h>
#include <sky/transcode/contracts.h>
#include <sky/transcode/route.h>

/* Numbers of FieldDescriptorProto.Type. */
typedef enum ProtoType {
  PROTO_DOUBLE = 1,
  PROTO_FLOAT = 2,
  PROTO_INT64 = 3,
  PROTO_UINT64 = 4,
  PROTO_INT32 = 5,
  PROTO_FIXED64 = 6,
  PROTO_FIXED32 = 7,
  PROTO_BOOL = 8,
  PROTO_STRING = 9,
  PROTO_GROUP = 10,
  PROTO_MESSAGE = 11,
  PROTO_BYTES = 12,
  PROTO_UINT32 = 13,
  PROTO_ENUM = 14,
  PROTO_SFIXED32 = 15,
  PROTO_SFIXED64 = 16,
  PROTO_SINT32 = 17,
  PROTO_SINT64 = 18,
} ProtoType;

/* Messages whose JSON is not an object of their fields. */
typedef enum WellKnown {
  PLAIN_MESSAGE = 0,
  WELL_KNOWN_ANY,
  WELL_KNOWN_TIMESTAMP,
  WELL_KNOWN_DURATION,
  WELL_KNOWN_FIELD_MASK,
  WELL_KNOWN_STRUCT,
  WELL_KNOWN_VALUE,
  WELL_KNOWN_LIST_VALUE,
  WELL_KNOWN_WRAPPER,
} WellKnown;

typedef struct EnumValue {
  SkyStr name;
  int32_t number;
} EnumValue;

/* Names to positions: open addressing, built once; position + 1, 0 for an empty slot. */
typedef struct NameTable {
  uint16_t *slots;
  uint32_t mask;
} NameTable;

typedef struct EnumType {
  SkyStr full_name;
  EnumValue *values; /* as declared */
  size_t value_count;
  uint16_t *by_number; /* positions sorted by number, the first declared of equals only */
  size_t number_count;
  NameTable names;
  bool closed;     /* proto2: a number without a name is an unknown field */
  bool null_value; /* google.protobuf.NullValue, whose JSON is null */
} EnumType;

typedef struct SkyField {
  SkyStr name;
  SkyStr json_name;
  SkyStr json_key; /* "jsonName": with quotes and colon, ready to be written */
  SkyStr proto_key;
  uint32_t number;
  ProtoType type;
  bool repeated; /* maps as well */
  bool map;
  bool packed;       /* how we write it; both forms are read */
  bool has_presence; /* a zero that is set differs from unset */
  bool check_utf8;
  int32_t oneof;                 /* position of its oneof, -1 for none; synthetic ones of `optional` count as none */
  uint16_t index;                /* position in the message */
  const SkyMessageType *message; /* of PROTO_MESSAGE and PROTO_GROUP */
  const EnumType *enumeration;   /* of PROTO_ENUM */
  uint8_t tag[5];                /* as one value is written; of a packed field, the whole list's */
  uint8_t tag_size;
} SkyField;

/* A field that another file or message adds to a message; while loading. */
typedef struct Extension {
  SkyStr bytes; /* FieldDescriptorProto */
  SkyStr scope; /* where it is declared */
  struct Extension *next;
} Extension;

struct SkyMessageType {
  SkyStr full_name;
  WellKnown well_known;
  bool is_map_entry;
  bool is_http_body; /* google.api.HttpBody */
  SkyField *fields;  /* as declared */
  uint16_t field_count;
  uint16_t oneof_count;      /* that are not synthetic */
  NameTable names;           /* JSON names and proto names */
  uint16_t *by_number;       /* positions sorted by number */
  bool dense;                /* field number n is position n - 1 */
  const uint8_t *descriptor; /* DescriptorProto, while loading */
  size_t descriptor_size;
  Extension *extensions; /* while loading */
  size_t extension_count;
  bool proto3;
};

/* A field of a field … of a message: "a.b.c". */
typedef struct FieldPath {
  const SkyField **fields;
  size_t count; /* 0: no path */
} FieldPath;

typedef enum SegmentKind { SEGMENT_LITERAL, SEGMENT_STAR, SEGMENT_REST } SegmentKind;

typedef struct Segment {
  SegmentKind kind;
  SkyStr literal; /* percent-decoded */
} Segment;

typedef struct Variable {
  FieldPath path;
  uint16_t first; /* position of its first segment */
  uint16_t count; /* of its segments; the last may be SEGMENT_REST */
  bool multi;     /* several segments: %2F stays as it is */
} Variable;

/* A path template of google/api/http.proto. */
typedef struct Template {
  SkyStr text;
  Segment *segments;
  size_t segment_count;
  Variable *variables;
  size_t variable_count;
  SkyStr verb; /* without its colon; empty: none */
} Template;

/* Text with fields in it: literal, {field}, literal, … for the Location header. */
typedef struct LocationPart {
  SkyStr literal;
  FieldPath field; /* after the literal; count 0: none */
} LocationPart;

typedef enum HeaderField { HEADER_IDEMPOTENCY_KEY, HEADER_IF_MATCH, HEADER_LAST_EVENT_ID, HEADER_COUNT } HeaderField;

typedef struct MethodEntry {
  SkyMethod method;                /* first, so that a SkyMethod is its entry */
  FieldPath headers[HEADER_COUNT]; /* of the request */
  LocationPart *location;
  size_t location_count;
  const SkyField *created_field; /* of the response; NULL: none */
  FieldPath etag;                /* of the response */
  FieldPath event_id;            /* of the response */
  const SkyField *update_mask;   /* of the request; NULL: none */
} MethodEntry;

struct SkyBinding {
  const MethodEntry *entry;
  SkyStr http_method;
  Template template;
  bool body_is_request;          /* body: "*" */
  const SkyField *body;          /* body: "field"; NULL: none */
  const SkyField *response_body; /* NULL: the whole response */
  bool implies_mask;             /* PATCH with an update_mask */
  struct SkyBinding *next;       /* with the same template and verb, for another HTTP method */
};

typedef struct Terminal {
  SkyStr verb;
  SkyBinding *bindings;
  struct Terminal *next;
} Terminal;

/* A node of the trie: what may come after the segments so far. */
typedef struct RouteNode {
  SkyStr literal;             /* of the edge that leads here */
  struct RouteNode *next;     /* sibling, ordered by literal */
  struct RouteNode *literals; /* first child */
  struct RouteNode *star;
  struct RouteNode *rest;
  Terminal *terminals;
} RouteNode;

struct SkyContracts {
  SkyArena arena;
  SkyMap *messages; /* full name to SkyMessageType */
  SkyMap *enums;
  SkyMap *methods; /* full name and gRPC path to MethodEntry */
  MethodEntry **method_list;
  size_t method_count, method_capacity;
  SkyBinding **binding_list;
  size_t binding_count, binding_capacity;
  RouteNode root;
  bool has_verbs;
  SkyContractsOptions options;
};

/* NULL when the message has no such field. By JSON name or proto name; hint: the position that is tried first. */
const SkyField *message_field_by_name(const SkyMessageType *type, SkyStr name, size_t hint);
const SkyField *message_field_by_number(const SkyMessageType *type, uint32_t number);
const EnumValue *enum_value_by_name(const EnumType *type, SkyStr name);
const EnumValue *enum_value_by_number(const EnumType *type, int32_t number);

/* Position of the name's slot; used for building and finding. equals(position) tells whether a position has the name.
 */
uint32_t name_hash(SkyStr name);

/* Fixed-width and varint types that may be packed. */
bool proto_type_is_scalar(ProtoType type);
/* Wire type of one value. */
unsigned proto_type_wire(ProtoType type);
/* A value's bits as the type has them: varints of 32 bits without the upper bits that a sender may set. */
uint64_t proto_type_bits(ProtoType type, uint64_t bits);

static inline const MethodEntry *method_entry(const SkyMethod *method) {
  return (const MethodEntry *)method;
}
