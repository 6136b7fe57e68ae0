#include "workflow/events.h"

#include <sky/service/resource.h>

#include "fabrikam/events/v1/ingestion.event.h"

enum {
  MAX_ACK_PENDING = 2048,
  /* Orders are settled as soon as they are stored; what a killed process held comes again after this. */
  ACK_WAIT_MS = 10000,
  /* A full system gives orders back again and again; none of them is bad for that. */
  MAX_DELIVER = 100000,
  POSITION_BITS = 20,
};

static void settle(void *user, SkyStatus status) {
  sky_incoming_settle(user, status);
}

static SkyStatus check_id(const char *id) {
  SkyUuid uuid;
  return sky_uuid_parse(sky_str(id), &uuid) ? SKY_OK : SKY_INVALID_ARGUMENT("'%.64s' is no UUID", id);
}

static SkyStatus on_requested(void *self, SkyIncoming *incoming, const events_DeliveryRequested *event) {
  SKY_TRY(check_id(event->delivery_id));
  if (event->order == NULL)
    return SKY_INVALID_ARGUMENT("a request without an order");
  SKY_TRY(common_DeliveryOrder_validate(event->order));
  SkyStatus deferred = sky_incoming_defer(incoming);
  const DriverRequest request = {
      .order = event->order, .digest = event->order_digest, .time_ms = sky_timestamp_ms(event->occur_time)};
  driver_begin(self, sky_incoming_context(incoming), event->delivery_id, &request, settle, incoming);
  return deferred;
}

static SkyStatus on_cancel(void *self, SkyIncoming *incoming, const events_CancelRequested *event) {
  SKY_TRY(check_id(event->delivery_id));
  const char *code = event->reason == NULL ? "" : event->reason->code;
  const char *message = event->reason == NULL ? "" : event->reason->message;
  SkyStatus deferred = sky_incoming_defer(incoming);
  driver_cancel(self, sky_incoming_context(incoming), event->delivery_id,
                code[0] == '\0' ? SAGA_CANCELLED_BY_OWNER : code, message, settle, incoming);
  return deferred;
}

/*
 * Where the message stands in the stream. By time first: a stream that has lost its end to a power failure gives out
 * its sequence numbers again.
 */
static int64_t position_of(const SkyIncoming *incoming) {
  return (sky_incoming_time_ms(incoming) << POSITION_BITS) |
         (int64_t)(sky_incoming_sequence(incoming) & ((1u << POSITION_BITS) - 1));
}

static SkyStatus on_reschedule(void *self, SkyIncoming *incoming, const events_RescheduleRequested *event) {
  SKY_TRY(check_id(event->delivery_id));
  SKY_TRY(check_id(event->event_id));
  if (event->change == NULL || event->update_mask == NULL || event->update_mask->n_paths == 0)
    return SKY_INVALID_ARGUMENT("a change of terms that names none");
  SkyStatus deferred = sky_incoming_defer(incoming);
  driver_change(self, sky_incoming_context(incoming), event->delivery_id, event->change, event->update_mask,
                event->event_id, position_of(incoming), settle, incoming);
  return deferred;
}

static SkyStatus consume(SkyBus *bus, const char *durable, const SkyEventRoute *route, unsigned workers) {
  const SkyConsumerOptions options = {.stream = "REQUESTS",
                                      .durable = durable,
                                      .routes = route,
                                      .route_count = 1,
                                      .workers = workers,
                                      .ack_wait_ms = ACK_WAIT_MS,
                                      .max_ack_pending = MAX_ACK_PENDING,
                                      .max_deliver = MAX_DELIVER};
  SkyConsumer *consumer; /* stopped with the bus */
  return sky_bus_consume(bus, &options, &consumer);
}

SkyStatus workflow_events_consume(SkyBus *bus, Driver *driver) {
  const SkyEventRoute requested = events_DeliveryRequested_route(on_requested, driver);
  const SkyEventRoute cancelled = events_CancelRequested_route(on_cancel, driver);
  const SkyEventRoute rescheduled = events_RescheduleRequested_route(on_reschedule, driver);
  SKY_TRY(consume(bus, "workflow", &requested, 2));
  SKY_TRY(consume(bus, "workflow-cancel", &cancelled, 1));
  return consume(bus, "workflow-reschedule", &rescheduled, 1);
}
