#include "fleet.h"

#include <stdlib.h>
#include <string.h>

SkyStatus fleet_init(Fleet *fleet) {
  *fleet = (Fleet){.drone_by_id = sky_map_create(FLEET_MAX_DRONES),
                   .base_by_id = sky_map_create(FLEET_MAX_BASES),
                   .zone_by_id = sky_map_create(FLEET_MAX_ZONES)};
  if (fleet->drone_by_id != NULL && fleet->base_by_id != NULL && fleet->zone_by_id != NULL)
    return SKY_OK;
  fleet_finish(fleet);
  return sky_status_no_memory();
}

static void free_drone(FleetDrone *drone) {
  free(drone->display_name);
  free(drone);
}

static void free_base(FleetBase *base) {
  free(base->display_name);
  free(base);
}

static void free_zone(Zone *zone) {
  free(zone->display_name);
  free(zone);
}

void fleet_finish(Fleet *fleet) {
  for (size_t i = 0; i < fleet->drone_count; i++)
    free_drone(fleet->drones[i]);
  for (size_t i = 0; i < fleet->base_count; i++)
    free_base(fleet->bases[i]);
  for (size_t i = 0; i < fleet->zone_count; i++)
    free_zone(fleet->zones[i]);
  free(fleet->drones);
  free(fleet->bases);
  free(fleet->zones);
  sky_map_destroy(fleet->drone_by_id);
  sky_map_destroy(fleet->base_by_id);
  sky_map_destroy(fleet->zone_by_id);
  *fleet = (Fleet){0};
}

/* ---- ordered tables: an array of pointers by id, and a map ---- */

static const char *id_at(void *const *table, size_t index, size_t id_offset) {
  return (const char *)table[index] + id_offset;
}

/* Index of the first entry with an id greater than (or, with equal, at least) the given. */
static size_t find_place(void *const *table, size_t count, size_t id_offset, const char *id, bool equal) {
  size_t low = 0, high = count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    const int order = strcmp(id_at(table, middle, id_offset), id);
    if (order < 0 || (order == 0 && !equal))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

typedef struct Table {
  void ***entries;
  size_t *count, *capacity;
  size_t id_offset;
  SkyMap *by_id;
} Table;

static SkyStatus table_insert(Table table, const char *id, void *entry) {
  if (*table.count == *table.capacity) {
    const size_t capacity = *table.capacity == 0 ? 64 : *table.capacity * 2;
    void **grown = realloc(*table.entries, capacity * sizeof(void *));
    if (grown == NULL)
      return sky_status_no_memory();
    *table.entries = grown;
    *table.capacity = capacity;
  }
  SKY_TRY(sky_map_set(table.by_id, sky_str(id), entry, NULL));
  const size_t at = find_place(*table.entries, *table.count, table.id_offset, id, true);
  memmove(*table.entries + at + 1, *table.entries + at, (*table.count - at) * sizeof(void *));
  (*table.entries)[at] = entry;
  ++*table.count;
  return SKY_OK;
}

static void table_remove(Table table, const char *id) {
  const size_t at = find_place(*table.entries, *table.count, table.id_offset, id, true);
  memmove(*table.entries + at, *table.entries + at + 1, (*table.count - at - 1) * sizeof(void *));
  --*table.count;
  sky_map_remove(table.by_id, sky_str(id));
}

static Table drones_of(Fleet *fleet) {
  return (Table){(void ***)&fleet->drones, &fleet->drone_count, &fleet->drone_capacity, offsetof(FleetDrone, id),
                 fleet->drone_by_id};
}

static Table bases_of(Fleet *fleet) {
  return (Table){(void ***)&fleet->bases, &fleet->base_count, &fleet->base_capacity, offsetof(FleetBase, id),
                 fleet->base_by_id};
}

static Table zones_of(Fleet *fleet) {
  return (Table){(void ***)&fleet->zones, &fleet->zone_count, &fleet->zone_capacity, offsetof(Zone, id),
                 fleet->zone_by_id};
}

/* A zeroed entry with its id, in the table. */
static SkyStatus table_add(Table table, const char *id, size_t size, void **ret) {
  void *entry = calloc(1, size);
  if (entry == NULL)
    return sky_status_no_memory();
  strncpy((char *)entry + table.id_offset, id, LIFE_ID_SIZE - 1);
  const SkyStatus status = table_insert(table, id, entry);
  if (status != SKY_OK) {
    free(entry);
    return status;
  }
  *ret = entry;
  return SKY_OK;
}

SkyStatus fleet_add_drone(Fleet *fleet, const char *id, FleetDrone **ret) {
  void *entry = NULL;
  SKY_TRY(table_add(drones_of(fleet), id, sizeof(FleetDrone), &entry));
  *ret = entry;
  (*ret)->item.id = (*ret)->id;
  return SKY_OK;
}

SkyStatus fleet_add_base(Fleet *fleet, const char *id, FleetBase **ret) {
  void *entry = NULL;
  SKY_TRY(table_add(bases_of(fleet), id, sizeof(FleetBase), &entry));
  *ret = entry;
  return SKY_OK;
}

SkyStatus fleet_add_zone(Fleet *fleet, const char *id, Zone **ret) {
  void *entry = NULL;
  SKY_TRY(table_add(zones_of(fleet), id, sizeof(Zone), &entry));
  *ret = entry;
  return SKY_OK;
}

void fleet_remove_drone(Fleet *fleet, FleetDrone *drone) {
  grid_remove(&fleet->grid, &drone->item);
  fleet_set_base(drone, NULL);
  table_remove(drones_of(fleet), drone->id);
  free_drone(drone);
}

void fleet_remove_base(Fleet *fleet, FleetBase *base) {
  table_remove(bases_of(fleet), base->id);
  free_base(base);
}

void fleet_remove_zone(Fleet *fleet, Zone *zone) {
  table_remove(zones_of(fleet), zone->id);
  free_zone(zone);
}

void fleet_set_base(FleetDrone *drone, FleetBase *base) {
  if (drone->base != NULL)
    drone->base->drone_count--;
  if (base != NULL)
    base->drone_count++;
  drone->base = base;
}

FleetDrone *fleet_drone(const Fleet *fleet, const char *id) {
  return sky_map_get(fleet->drone_by_id, sky_str(id));
}

FleetBase *fleet_base(const Fleet *fleet, const char *id) {
  return sky_map_get(fleet->base_by_id, sky_str(id));
}

Zone *fleet_zone(const Fleet *fleet, const char *id) {
  return sky_map_get(fleet->zone_by_id, sky_str(id));
}

size_t fleet_drones_after(const Fleet *fleet, const char *after) {
  return find_place((void *const *)fleet->drones, fleet->drone_count, offsetof(FleetDrone, id), after, false);
}

/* ---- states ---- */

/* Free as far as memory and log tell; whether it is near, charged and alive is asked when it is looked for. */
static bool is_free(const FleetDrone *drone) {
  return !drone->life.busy && !drone->life.failed && !drone->life.homing && !drone->maintenance && drone->place.known &&
         drone->base != NULL;
}

void fleet_refresh(Fleet *fleet, FleetDrone *drone) {
  if (drone->range_m > fleet->longest_range_m)
    fleet->longest_range_m = drone->range_m;
  if (!is_free(drone))
    grid_remove(&fleet->grid, &drone->item);
  else if (!drone->item.inside || drone->item.point.latitude != drone->place.point.latitude ||
           drone->item.point.longitude != drone->place.point.longitude)
    grid_put(&fleet->grid, &drone->item, drone->place.point);
}

static FleetState state_of_mission(LifePhase phase) {
  if (phase == LIFE_PHASE_NONE)
    return FLEET_ASSIGNED;
  return phase >= LIFE_PHASE_DELIVERED ? FLEET_RETURNING : FLEET_FLYING;
}

FleetState fleet_state(const FleetDrone *drone, const FleetRules *rules, int64_t now_ms) {
  if (drone->life.failed)
    return FLEET_FAILED;
  if (drone->maintenance && !drone->life.busy)
    return FLEET_MAINTENANCE;
  if (now_ms - drone->heard_ms > rules->offline_after_ms)
    return FLEET_OFFLINE;
  if (drone->life.busy)
    return state_of_mission(drone->life.mission.phase);
  if (drone->life.homing)
    return FLEET_RETURNING;
  return drone->battery_fraction < rules->assignable_fraction ? FLEET_CHARGING : FLEET_IDLE;
}
