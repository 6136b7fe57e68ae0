/* skyhook-account: businesses, their users, plans and invoices. */
#include <sky/service/service.h>

#include "account/events.h"
#include "account/store.h"

enum { SWEEP_PERIOD_MS = 2000 };

typedef struct Account {
  AccountService service;
  AccountEvents events;
} Account;

static SkyStatus sweep(void *user, const SkyContext *context) {
  return sky_pending_sweep(((Account *)user)->service.pending, context);
}

static SkyStatus start(void *self, SkyService *service) {
  Account *account = self;
  account->service = (AccountService){.store = sky_service_store(service),
                                      .bus = sky_service_bus(service),
                                      .clock = sky_service_clock(service),
                                      .random = sky_service_random(service)};
  SKY_TRY(ledger_create(account->service.store, account->service.clock, &account->service.ledger));
  SKY_TRY(account_events_start(&account->events, sky_service_rpc(service), &account->service));
  SKY_TRY(sky_server_add(sky_service_server(service), account_service_bind(&account->service)));
  return sky_service_every(service, "publish pending events", SWEEP_PERIOD_MS, sweep, account);
}

static void stop(void *self, SkyService *service) {
  Account *account = self;
  account_events_stop(&account->events, &account->service);
  ledger_destroy(account->service.ledger);
}

int main(int argc, char **argv) {
  static const char *const subjects[] = {"fab.account.>", NULL};
  /* The streams it reads, declared as their owners declare them: whoever comes first makes them. */
  static const char *const deliveries[] = {"fab.delivery.>", NULL};
  static const char *const workflows[] = {"fab.workflow.>", NULL};
  static const SkyStreamConfig streams[] = {{.name = "ACCOUNTS", .subjects = subjects},
                                            {.name = "DELIVERIES", .subjects = deliveries},
                                            {.name = "WORKFLOWS", .subjects = workflows}};
  static Account account;
  const SkyServiceDefinition definition = {.name = "account",
                                           .summary = "Keeps businesses, their users, plans and invoices.",
                                           .collections = account_collections,
                                           .collection_count = ACCOUNT_COLLECTIONS,
                                           .streams = streams,
                                           .stream_count = sizeof(streams) / sizeof(streams[0]),
                                           .start = start,
                                           .stop = stop,
                                           .self = &account};
  return sky_service_main(argc, argv, &definition);
}
