#include "ingestion/order.h"

#include <stdio.h>

#include <sky/codec/field_mask.h>
#include <sky/core/buf.h>
#include <sky/core/geo.h>
#include <sky/core/time.h>
#include <sky/service/resource.h>

enum { MAX_ORDER_BYTES = 64 * 1024, FIELD_SIZE = 128 };
static const int64_t TOLERANCE_MS = 60000; /* a client's clock may be late, and so may its network */
static const double SAME_PLACE_M = 1;

/* Namespace of digests. */
static const SkyUuid orders = {
    {0x1e, 0x64, 0x9c, 0x52, 0x0b, 0xd7, 0x4f, 0x19, 0xa3, 0x48, 0x77, 0xc2, 0xe9, 0x05, 0x3d, 0x8b}};

/* Namespace of request ids. */
static const SkyUuid requests = {
    {0x8d, 0x3f, 0x5b, 0x0a, 0x41, 0x7e, 0x4c, 0x6d, 0x9a, 0x2c, 0x6e, 0x10, 0x54, 0xb7, 0xc8, 0x39}};

static void add(SkyStatus *violations, const char *prefix, const char *field, const char *what) {
  char path[FIELD_SIZE];
  snprintf(path, sizeof(path), "%s%s", prefix, field);
  sky_violations_add(violations, path, "%s", what);
}

static SkyPoint point(const common_Location *location) {
  return (SkyPoint){location->latitude, location->longitude};
}

static bool is_same_time(const protobuf_Timestamp *a, const protobuf_Timestamp *b) {
  return a == b || (a != NULL && b != NULL && a->seconds == b->seconds && a->nanos == b->nanos);
}

/* before: the order that is being changed; NULL for a new one. */
static void check_times(const common_DeliveryOrder *before, const protobuf_Timestamp *pickup_time,
                        const protobuf_Timestamp *deadline, const char *prefix, int64_t now_ms, SkyStatus *violations) {
  const int64_t pickup_ms = sky_timestamp_ms(pickup_time), deadline_ms = sky_timestamp_ms(deadline);
  const bool new_pickup = pickup_time != NULL && (before == NULL || !is_same_time(before->pickup_time, pickup_time));
  const bool new_deadline = deadline != NULL && (before == NULL || !is_same_time(before->deadline, deadline));
  if (new_pickup && pickup_ms < now_ms - TOLERANCE_MS)
    add(violations, prefix, "pickup_time", "lies in the past");
  if (new_deadline && deadline_ms <= now_ms)
    add(violations, prefix, "deadline", "lies in the past");
  else if ((new_pickup || new_deadline) && pickup_time != NULL && deadline != NULL && deadline_ms <= pickup_ms)
    add(violations, prefix, "deadline", "must be after pickup_time");
}

static void check_places(const common_Location *pickup, const common_Location *dropoff, const char *prefix,
                         SkyStatus *violations) {
  if (sky_geo_distance_m(point(pickup), point(dropoff)) < SAME_PLACE_M)
    add(violations, prefix, "dropoff_location", "is the same place as pickup_location");
}

SkyStatus order_check(const common_DeliveryOrder *order, const char *prefix, int64_t now_ms) {
  SkyStatus violations = SKY_OK;
  check_places(order->pickup_location, order->dropoff_location, prefix, &violations);
  check_times(NULL, order->pickup_time, order->deadline, prefix, now_ms, &violations);
  if (order->package_info->weight_kg == 0 && order->package_info->size == common_PACKAGE_SIZE_UNSPECIFIED)
    add(&violations, prefix, "package_info", "must have a weight_kg or a size, to find a drone that can carry it");
  return violations;
}

/* ---- changes ---- */

static bool is_place(const common_Location *location) {
  return location != NULL && common_Location_has_latitude(location) && common_Location_has_longitude(location);
}

/* The terms of the order as they would be. */
static SkyStatus changed_terms(const common_DeliveryOrder *order, const common_DeliveryChange *change,
                               const protobuf_FieldMask *mask, SkyArena *arena, common_DeliveryChange **ret) {
  common_DeliveryOrder *copy = NULL;
  common_DeliveryChange *terms = common_DeliveryChange_create(arena);
  if (terms == NULL)
    return sky_status_no_memory();
  SKY_TRY(common_DeliveryOrder_copy(order, arena, &copy)); /* a path may lead into it */
  terms->pickup_location = copy->pickup_location;
  terms->dropoff_location = copy->dropoff_location;
  terms->pickup_time = copy->pickup_time;
  terms->deadline = copy->deadline;
  *ret = terms;
  return sky_field_mask_apply(mask == NULL ? NULL : (const char *const *)mask->paths, mask == NULL ? 0 : mask->n_paths,
                              NULL, &change->base, &terms->base, arena);
}

SkyStatus order_check_change(const common_DeliveryOrder *order, const common_DeliveryChange *change,
                             const protobuf_FieldMask *mask, const char *prefix, int64_t now_ms, SkyArena *arena) {
  common_DeliveryChange *terms = NULL;
  SkyStatus violations = SKY_OK;
  SKY_TRY(changed_terms(order, change, mask, arena, &terms));
  if (!is_place(terms->pickup_location))
    add(&violations, prefix, "pickup_location", "cannot be taken away");
  if (!is_place(terms->dropoff_location))
    add(&violations, prefix, "dropoff_location", "cannot be taken away");
  if (violations == SKY_OK)
    check_places(terms->pickup_location, terms->dropoff_location, prefix, &violations);
  check_times(order, terms->pickup_time, terms->deadline, prefix, now_ms, &violations);
  return violations;
}

void order_request_id(const char *owner_id, const char *idempotency_key, int64_t now_ms, const SkyRandom *random,
                      char id[SKY_UUID_TEXT_SIZE]) {
  sky_resource_id(&requests, owner_id, idempotency_key, now_ms, random, id);
}

void order_digest(const common_DeliveryOrder *order, char digest[SKY_UUID_TEXT_SIZE]) {
  SkyBuf packed;
  sky_buf_init(&packed, MAX_ORDER_BYTES);
  SkyStatus status = common_DeliveryOrder_pack(order, &packed);
  digest[0] = '\0';
  if (status == SKY_OK) {
    const SkyUuid uuid = sky_uuid_v5(&orders, sky_buf_str(&packed));
    sky_uuid_format(&uuid, digest);
  }
  sky_status_free(status);
  sky_buf_finish(&packed);
}
