/*
 * Map: between the messages of the contracts and the domain's types. Messages are made in the arena given; a field for
 * which its budget does not suffice stays unset, and only a message itself that cannot be made is NULL.
 */
#pragma once

#include <sky/core/arena.h>

#include "fabrikam/common/v1/common.sky.h"
#include "fabrikam/dronescheduler/v1/fleet.sky.h"
#include "fabrikam/dronescheduler/v1/scheduler.sky.h"
#include "fabrikam/dronescheduler/v1/telemetry.sky.h"
#include "fleet.h"
#include "intake.h"

LifePlace map_place(const common_Location *location); /* NULL: not known */
common_Location *map_location(SkyArena *arena, const LifePlace *place);
common_Location *map_point(SkyArena *arena, SkyPoint point);
common_Eta *map_eta(SkyArena *arena, int64_t time_ms, double confidence);
common_Reason *map_reason(SkyArena *arena, const LifeReason *reason); /* NULL when there is none */
void map_reason_from(LifeReason *reason, const common_Reason *message, const char *default_code);
char *map_text(SkyArena *arena, const char *text); /* a copy; "" without memory */

drone_Drone *map_drone(SkyArena *arena, const FleetDrone *drone, const FleetRules *rules, int64_t now_ms);
drone_Base *map_base(SkyArena *arena, const FleetBase *base);
drone_NoFlyZone *map_zone(SkyArena *arena, const Zone *zone);
drone_FlyMissionsResponse *map_fly(SkyArena *arena, const FleetDrone *drone, const FleetRules *rules);
drone_FlyMissionsResponse *map_abort(SkyArena *arena, const FleetDrone *drone);

IntakeFrame map_frame(const drone_TelemetryFrame *message, uint64_t stream);
FleetNeed map_need(const drone_AssignDroneRequest *request);

/* How sure an estimate is that was made before the drone left. */
#define MAP_PICKUP_CONFIDENCE 0.9
#define MAP_DELIVERY_CONFIDENCE 0.8
