/*
 * Events: facts of a drone's life as events of the contract (what is appended and published), and back (what a log is
 * folded from).
 */
#pragma once

#include <sky/core/id.h>
#include <sky/service/event_log.h>

#include "fleet.h"

extern const SkyEventType *const scheduler_event_types[];

/*
 * The events of the facts, in the arena; none of those that only memory knows. log_version: of the drone's log after
 * the append. ret has room for count.
 */
SKY_MUST_USE SkyStatus events_from_facts(const FleetDrone *drone, const LifeFact *facts, size_t count,
                                         int64_t log_version, const SkyRandom *random, SkyArena *arena, SkyAppend *ret,
                                         size_t *ret_count);

/* False for an event that says nothing of a drone's life (one of a newer release). */
bool events_to_fact(const SkyLogged *logged, LifeFact *ret);

/* What is published when a drone is elsewhere; NULL when the budget is spent. */
struct Fabrikam__Events__V1__DronePositionChanged *events_position(const FleetDrone *drone, int64_t now_ms,
                                                                   const SkyRandom *random, SkyArena *arena);
