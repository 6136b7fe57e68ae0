/*
 * What the delivery service hears: the drones' progress (durable), their positions and other replicas' changes (last
 * value).
 */
#pragma once

#include <sky/bus/bus.h>

#include "delivery/handlers.h"

enum { DELIVERY_SUBSCRIPTIONS = 7 };

typedef struct DeliveryEvents {
  DeliveryService *service;
  SkyConsumer *progress;
  SkySubscription *subscriptions[DELIVERY_SUBSCRIPTIONS]; /* positions and changes */
} DeliveryEvents;

SKY_MUST_USE SkyStatus delivery_events_start(DeliveryEvents *events, SkyBus *bus, DeliveryService *service);
void delivery_events_stop(DeliveryEvents *events); /* safe on a zeroed one */

/* Task, about every minute: forgets what nobody hears of any more, and loads what watchers may have missed, as the
 * broker keeps no last values for us. user is the DeliveryService. */
SKY_MUST_USE SkyStatus delivery_forget_quiet(void *user, const SkyContext *context);
