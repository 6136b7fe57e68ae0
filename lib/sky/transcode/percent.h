/*
 * Percent: percent-encoding of URIs (RFC 3986). Private to the transcoder.
 */
#pragma once

#include <sky/core/arena.h>
#include <sky/core/buf.h>
#include <sky/core/str.h>

typedef enum PercentOutcome { PERCENT_OK, PERCENT_MALFORMED, PERCENT_NO_MEMORY } PercentOutcome;

typedef enum PercentRules {
  PERCENT_SEGMENT,       /* decode everything */
  PERCENT_MULTI_SEGMENT, /* decode everything but %2F, which would become a separator */
  PERCENT_QUERY,         /* decode everything, and "+" is a space */
} PercentRules;

/* Decodes into the arena; text without anything to decode is returned as it is. */
PercentOutcome percent_decode(SkyStr text, PercentRules rules, SkyArena *arena, SkyStr *ret);
/* True when the text, decoded, is this. False at malformed encoding. */
bool percent_equals(SkyStr text, SkyStr decoded);
/* True when every % begins a pair of hexadecimal digits. */
bool percent_is_valid(SkyStr text);
/* True for ".", "..", and the same percent-encoded. */
bool percent_is_dot_segment(SkyStr segment);
/* Appends text with everything encoded but the unreserved characters, so that it stays one path segment. */
void percent_encode(SkyStr text, SkyBuf *out);
