/*
 * Orders from the stream REQUESTS. Each kind has a consumer of its own, so that a cancellation does not wait behind
 * orders when there are more of them than may be worked on.
 */
#pragma once

#include <sky/bus/bus.h>

#include "workflow/driver.h"

SKY_MUST_USE SkyStatus workflow_events_consume(SkyBus *bus, Driver *driver);
