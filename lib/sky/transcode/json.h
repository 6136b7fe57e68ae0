/*
 * Json: canonical proto3 JSON to protobuf wire bytes and back, by run-time type, with no structs in between.
 * https://protobuf.dev/programming-guides/json/
 *
 * Pure and bounded: output by the maximum of the SkyBuf, working memory by the arena's budget, nesting by max_depth.
 * What fails leaves the buffer as it was. Thread-safe: nothing is shared but the immutable type.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/core/status.h>
#include <sky/core/str.h>
#include <sky/transcode/contracts.h>

enum { SKY_JSON_MAX_DEPTH = 100 }; /* protobuf's own limit of nested messages */

/* All zero: strict, as the gateway wants it. */
typedef struct SkyJsonReadOptions {
  bool ignore_unknown; /* unknown fields and enum names are skipped instead of refused */
  bool allow_nul;      /* accept U+0000 in strings; protobuf-c cuts them there, so it is refused otherwise */
  uint32_t max_depth;  /* of nested values; 0: SKY_JSON_MAX_DEPTH, never more than that */
} SkyJsonReadOptions;

/* All zero: what is unpopulated is left out, lowerCamelCase names, enums by name. */
typedef struct SkyJsonWriteOptions {
  bool emit_defaults;  /* also fields without presence that are zero, empty lists and maps (protojson's
                          EmitDefaultValues) */
  bool preserve_names; /* field names as in the .proto file */
  bool numeric_enums;
  bool lenient_any;   /* an Any whose type is not in the contracts becomes {"@type": …, "value": base64}; else
                         INVALID_ARGUMENT */
  uint32_t max_depth; /* 0: SKY_JSON_MAX_DEPTH, never more than that */
} SkyJsonWriteOptions;

/*
 * Appends the wire bytes of a message given as JSON text. Field names may be lowerCamelCase or as in the .proto file.
 * Fields come out in the order of the text. INVALID_ARGUMENT carries one violation per wrong field with its path in the
 * JSON
 * ("items[2].pickupLocation.latitude"): unknown field or enum name, wrong type, number out of the type's range,
 * duplicate key, two members of a oneof, invalid UTF-8; what is not JSON at all (junk after the end, too deep) is a
 * violation of the place where reading ended. RESOURCE_EXHAUSTED past the limit of ret_wire or the arena. options may
 * be NULL.
 */
SKY_MUST_USE SkyStatus sky_json_to_wire(const SkyContracts *contracts, const SkyMessageType *type, SkyStr json,
                                        const SkyJsonReadOptions *options, SkyArena *arena, SkyBuf *ret_wire);

/*
 * Appends the JSON of a message given as wire bytes: compact, one line, fields in declared order, map entries sorted by
 * key. INVALID_ARGUMENT when the bytes are not a valid message or have no JSON form (a Timestamp out of range, bad
 * UTF-8). options may be NULL.
 */
SKY_MUST_USE SkyStatus sky_json_from_wire(const SkyContracts *contracts, const SkyMessageType *type, const void *wire,
                                          size_t size, const SkyJsonWriteOptions *options, SkyArena *arena,
                                          SkyBuf *ret_json);
