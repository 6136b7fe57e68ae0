/*
 * Order: what makes sense in a delivery order beyond the contract's rules, and the ids of requests. Pure.
 */
#pragma once

#include <sky/core/arena.h>
#include <sky/core/id.h>
#include <sky/core/status.h>

#include "fabrikam/common/v1/common.sky.h"
#include "google/protobuf/field_mask.sky.h"

/*
 * INVALID_ARGUMENT with a violation per fault, under prefix ("order."): pickup and drop-off at one place, a pickup time
 * or deadline in the past, a deadline before the pickup, a package without weight and size.
 */
SKY_MUST_USE SkyStatus order_check(const common_DeliveryOrder *order, const char *prefix, int64_t now_ms);

/*
 * The same for a change of an order: what the order would be with the named terms. Times are held against the clock
 * only when they are new. Also for a path that does not exist, no path at all, and a place that is taken away.
 */
SKY_MUST_USE SkyStatus order_check_change(const common_DeliveryOrder *order, const common_DeliveryChange *change,
                                          const protobuf_FieldMask *mask, const char *prefix, int64_t now_ms,
                                          SkyArena *arena);

/*
 * Id of a request: of owner and key when the client gave a key (so the same key gives the same id, with nothing
 * stored), otherwise a new one ordered by time.
 */
void order_request_id(const char *owner_id, const char *idempotency_key, int64_t now_ms, const SkyRandom *random,
                      char id[SKY_UUID_TEXT_SIZE]);

/* What tells one order from another: a version 5 UUID of its packed form. Empty without memory. */
void order_digest(const common_DeliveryOrder *order, char digest[SKY_UUID_TEXT_SIZE]);
