#include "account/events.h"

#include <sky/service/resource.h>

#include "account/store.h"
#include "fabrikam/events/v1/account.event.h"
#include "fabrikam/events/v1/delivery.event.h"
#include "fabrikam/events/v1/workflow.event.h"

enum {
  STOP_TIMEOUT_MS = 5000,
  WORKERS = 2,
  ACK_WAIT_MS = 10000 /* what a killed process held comes again after this */
};

/* ---- telling ---- */

static SkyStatus publish(AccountService *service, const SkyContext *context,
                         const account_store_AccountDocument *document) {
  const account_Account *account = document->account;
  if (account->status == account_ACCOUNT_STATUS_SUSPENDED) {
    events_AccountSuspended event = events_AccountSuspended_INIT;
    event.event_id = document->event_id;
    event.account_id = document->id;
    event.version = (uint64_t)document->revision;
    event.occur_time = account->update_time;
    event.reason = account->suspend_reason;
    event.email = account->email;
    return events_AccountSuspended_publish(service->bus, context, &event);
  }
  events_AccountReactivated event = events_AccountReactivated_INIT;
  event.event_id = document->event_id;
  event.account_id = document->id;
  event.version = (uint64_t)document->revision;
  event.occur_time = account->update_time;
  event.email = account->email;
  return events_AccountReactivated_publish(service->bus, context, &event);
}

static SkyStatus settle(void *self, const SkyContext *context, const ProtobufCMessage *message, int64_t version,
                        SkyArena *arena) {
  AccountService *service = self;
  account_store_AccountDocument document = *(const account_store_AccountDocument *)message;
  if (!document.pending)
    return SKY_OK;
  SKY_TRY(publish(service, context, &document));
  document.pending = false;
  return sky_store_replace(service->store, context, &account_documents, &document.base, version, NULL);
}

/* ---- hearing ---- */

static SkyStatus on_completed(void *self, SkyIncoming *incoming, const events_DeliveryCompleted *event) {
  AccountService *service = self;
  return ledger_settle(service->ledger, sky_incoming_context(incoming), event->owner_id, event->delivery_id,
                       sky_timestamp_ms(event->delivery_time), event->distance_m,
                       event->order != NULL && event->order->expedited);
}

static SkyStatus end_unpaid(AccountService *service, SkyIncoming *incoming, const char *owner_id,
                            const char *delivery_id) {
  return ledger_settle(service->ledger, sky_incoming_context(incoming), owner_id, delivery_id, 0, 0, false);
}

static SkyStatus on_cancelled(void *self, SkyIncoming *incoming, const events_DeliveryCancelled *event) {
  return end_unpaid(self, incoming, event->owner_id, event->delivery_id);
}

static SkyStatus on_failed(void *self, SkyIncoming *incoming, const events_DeliveryFailed *event) {
  return end_unpaid(self, incoming, event->owner_id, event->delivery_id);
}

static SkyStatus on_compensated(void *self, SkyIncoming *incoming, const events_SagaCompensated *event) {
  return end_unpaid(self, incoming, event->owner_id, event->delivery_id);
}

static SkyStatus on_saga_failed(void *self, SkyIncoming *incoming, const events_SagaFailed *event) {
  return end_unpaid(self, incoming, event->owner_id, event->delivery_id);
}

/*
 * Each event has a durable of its own: one for several would be sent all that happens to deliveries and sagas (the
 * broker's filter knows no choice), ten messages for every one that counts here.
 */
static SkyStatus consume(AccountEvents *events, AccountService *service) {
  const SkyEventRoute completed = events_DeliveryCompleted_route(on_completed, service);
  const SkyEventRoute cancelled = events_DeliveryCancelled_route(on_cancelled, service);
  const SkyEventRoute failed = events_DeliveryFailed_route(on_failed, service);
  const SkyEventRoute compensated = events_SagaCompensated_route(on_compensated, service);
  const SkyEventRoute saga_failed = events_SagaFailed_route(on_saga_failed, service);
  const SkyConsumerOptions options[ACCOUNT_CONSUMERS] = {
      {.stream = "DELIVERIES", .durable = "account-completed", .routes = &completed, .workers = WORKERS},
      {.stream = "DELIVERIES", .durable = "account-cancelled", .routes = &cancelled, .workers = 1},
      {.stream = "DELIVERIES", .durable = "account-failed", .routes = &failed, .workers = 1},
      {.stream = "WORKFLOWS", .durable = "account-compensated", .routes = &compensated, .workers = 1},
      {.stream = "WORKFLOWS", .durable = "account-failed", .routes = &saga_failed, .workers = 1},
  };
  for (size_t i = 0; i < ACCOUNT_CONSUMERS; i++) {
    SkyConsumerOptions one = options[i];
    one.route_count = 1;
    one.ack_wait_ms = ACK_WAIT_MS;
    SKY_TRY(sky_bus_consume(service->bus, &one, &events->consumers[i]));
  }
  return SKY_OK;
}

SkyStatus account_events_start(AccountEvents *events, SkyRpc *rpc, AccountService *service) {
  const SkyPendingOptions pending = {.rpc = rpc,
                                     .store = service->store,
                                     .collection = &account_documents,
                                     .index = ACCOUNTS_PENDING,
                                     .settle = settle,
                                     .self = service};
  SKY_TRY(sky_pending_create(&pending, &service->pending));
  return consume(events, service);
}

void account_events_stop(AccountEvents *events, AccountService *service) {
  for (size_t i = 0; i < ACCOUNT_CONSUMERS; i++)
    if (events->consumers[i] != NULL)
      sky_consumer_stop(events->consumers[i], STOP_TIMEOUT_MS);
  sky_pending_destroy(service->pending);
  *events = (AccountEvents){0};
  service->pending = NULL;
}
