/*
 * What the account service tells (suspensions) and hears (how deliveries and sagas ended).
 */
#pragma once

#include <sky/bus/bus.h>

#include "account/handlers.h"

enum { ACCOUNT_CONSUMERS = 5 };

typedef struct AccountEvents {
  SkyConsumer *consumers[ACCOUNT_CONSUMERS];
} AccountEvents;

/* Sets service->pending. */
SKY_MUST_USE SkyStatus account_events_start(AccountEvents *events, SkyRpc *rpc, AccountService *service);
void account_events_stop(AccountEvents *events, AccountService *service); /* safe on zeroed ones */
