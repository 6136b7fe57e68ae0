/*
 * What the delivery service hears: the drones' progress (durable), their positions and other replicas' changes (last
 * value).
 */
#pragma once

#include <sky/bus/bus.h>

#include "delivery/handlers.h"

enum { DELIVERY_CHANGES = 4 };

typedef struct DeliveryEvents {
  DeliveryService *service;
  SkyBus *bus;
  SkyConsumer *progress;
  SkySubscription *positions;
  pthread_mutex_t mutex; /* guards changes */
  SkySubscription *changes[DELIVERY_CHANGES];
} DeliveryEvents;

SKY_MUST_USE SkyStatus delivery_events_start(DeliveryEvents *events, SkyBus *bus, DeliveryService *service);
/* Hears of other replicas' changes from now on. */
SKY_MUST_USE SkyStatus delivery_events_watch_others(DeliveryEvents *events);
void delivery_events_stop(DeliveryEvents *events); /* safe on a zeroed one */
