/*
 * What the delivery service hears: the drones' progress (durable), their positions and other replicas' changes (last
 * value).
 */
#pragma once

#include <sky/bus/bus.h>

#include "delivery/handlers.h"

typedef struct DeliveryEvents {
  DeliveryService *service;
  SkyConsumer *progress;
  SkySubscription *positions;
  SkySubscription *changes[4];
} DeliveryEvents;

SKY_MUST_USE SkyStatus delivery_events_start(DeliveryEvents *events, SkyBus *bus, DeliveryService *service);
void delivery_events_stop(DeliveryEvents *events); /* safe on a zeroed one */
