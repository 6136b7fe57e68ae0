/*
 * BSON: protobuf messages as documents that an ordinary MongoDB client reads, and back without loss. By descriptor;
 * libbson underneath.
 *
 *   field                          element, named as in the contract (snake_case)
 *   string, bool, bytes            string, bool, binary
 *   int32, sint32, sfixed32        int32
 *   int64, uint32 and their kin    int64; a uint64 past INT64_MAX its decimal digits as a string
 *   float, double                  double
 *   enum                           string, the value's name; a number without a name int32
 *   google.protobuf.Timestamp      date (milliseconds); what is below them, if anything, in _ns.<field> of the same
 * document (0-999999) message                        document repeated                       array; absent when empty.
 * A Timestamp in it that is finer than milliseconds: {seconds, nanos} map                            document; an array
 * of {key, value} when a key cannot name an element (empty, "$", ".", repeated)
 *
 *   google.protobuf.Any            document {type_url, value}, and for people _message: what it holds, when its type is
 * registered; never read back
 *
 * A field without presence is always written, so that it can be filtered by its zero value; one with presence
 * (optional, oneof, message) only when set. Fields of a newer contract that came over the wire stay, in _unknown:
 * [{field, type, data}]. Elements that the contract does not know are skipped, and so lost by a rewrite; an enum name
 * it does not know is DATA_LOSS, because reading it as anything else would change it.
 */
#pragma once

#include <bson/bson.h>
#include <protobuf-c/protobuf-c.h>

#include <sky/core/arena.h>
#include <sky/core/status.h>

enum { SKY_BSON_MAX_DEPTH = 64, SKY_BSON_MAX_TYPES = 512 };

/*
 * Makes a type known to the process, so that an Any that holds it is written readably. Thread-safe; a second time does
 * nothing, and more than SKY_BSON_MAX_TYPES are ignored.
 */
void sky_bson_register_type(const ProtobufCMessageDescriptor *type);

/*
 * Appends the fields of message to an initialised document. id_field (may be NULL) names the top-level string that is
 * written as _id. INVALID_ARGUMENT: text that is not UTF-8, too deep, or more than BSON can hold; the document is then
 * to be thrown away.
 */
SKY_MUST_USE SkyStatus sky_bson_encode(const ProtobufCMessage *message, const char *id_field, bson_t *document);

/*
 * Reads a document into a message that lives in the arena and shares nothing with the document. Numbers written by
 * other tools (int32, int64 or whole doubles) are taken where they fit. DATA_LOSS names the element that is of the
 * wrong type or out of range; RESOURCE_EXHAUSTED: the arena is full.
 */
SKY_MUST_USE SkyStatus sky_bson_decode(const ProtobufCMessageDescriptor *type, const bson_t *document,
                                       const char *id_field, SkyArena *arena, ProtobufCMessage **ret);
