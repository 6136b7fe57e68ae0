/*
 * Canonical: wire bytes checked and brought into one form, so that the same content has the same bytes.
 *
 * Fields in the order of their numbers, lists packed as declared, map entries by key, of single fields only the last,
 * pieces of a message merged, nothing that is zero without presence; unknown fields at the end as they came. For bytes
 * from outside that go to a parser which checks neither UTF-8 nor depth, and for fingerprints of requests.
 */
#pragma once

#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/core/status.h>
#include <sky/transcode/contracts.h>

/*
 * Appends the canonical form of a message. INVALID_ARGUMENT when the bytes are malformed, nested deeper than
 * SKY_JSON_MAX_DEPTH, or a string is not UTF-8; RESOURCE_EXHAUSTED past the limit of ret_wire or the arena. On failure
 * the buffer is as it was.
 */
SKY_MUST_USE SkyStatus sky_wire_canonical(const SkyContracts *contracts, const SkyMessageType *type, const void *wire,
                                          size_t size, SkyArena *arena, SkyBuf *ret_wire);
