/*
 * Page tokens: the position after which a page goes on, opaque to callers and bound to their query. Private to
 * lib/sky/store.
 *
 * A token holds no secret and grants nothing: it says where to go on within the query it comes with, and is refused
 * with any other. The checksum finds damage, not forgery.
 */
#pragma once

#include <sky/store/driver.h>

/* The token for the page after `last`, in the arena. */
SKY_MUST_USE SkyStatus sky_token_make(const SkyStoreFind *find, const ProtobufCMessage *last, SkyArena *arena,
                                      const char **ret);
/* Sets after and after_id of find. INVALID_ARGUMENT when the token is damaged or of another query. */
SKY_MUST_USE SkyStatus sky_token_read(const char *token, SkyArena *arena, SkyStoreFind *find);
