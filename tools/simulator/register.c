/*
 * Register: bases and drones through FleetService, as often as wanted: what is missing is created, what is set up
 * otherwise is changed, and then every drone of our bases is read, with the place and the charge the scheduler last
 * knew.
 */
#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <sky/service/resource.h>

#include "fabrikam/dronescheduler/v1/fleet.rpc.h"
#include "simulator.h"

enum { ARENA_BYTES = 16 << 20, WINDOW = 64, MAX_SPEED_MPS = 100000 };

/* ---- what the fleet should be ---- */

static void base_name(const Simulator *self, int64_t index, char name[SIMULATOR_ID_SIZE]) {
  snprintf(name, SIMULATOR_ID_SIZE, "%.40s-base-%03d", self->settings.prefix, (int)(index + 1));
}

/* Bases spread evenly over the circle (Vogel's sunflower): every place in it has one near. */
static SkyPoint base_place(const Simulator *self, int64_t index) {
  const double golden_angle = 137.50776405;
  const double share = ((double)index + 0.5) / (double)self->settings.bases;
  return sky_geo_destination(self->center, fmod((double)index * golden_angle, 360),
                             self->settings.bases == 1 ? 0 : self->settings.radius_m * sqrt(share));
}

static double speed_mps(const Simulator *self) {
  return fmin(MAX_SPEED_MPS, self->settings.speed_mps * self->settings.time_factor);
}

static double charge_per_s(const Simulator *self) {
  return fmin(1, (double)SKY_NS_PER_S / (double)self->settings.charge_time_ns * self->settings.time_factor);
}

/* ---- bases ---- */

static SkyStatus update_base(Simulator *self, const SkyContext *context, SkyArena *arena, drone_Base *base) {
  drone_UpdateBaseRequest request = drone_UpdateBaseRequest_INIT;
  protobuf_FieldMask mask = protobuf_FieldMask_INIT;
  const char *paths[] = {"location", "charge_rate_per_s"};
  mask.paths = paths;
  mask.n_paths = 2;
  request.drone_base = base;
  request.update_mask = &mask;
  drone_UpdateBaseResponse *response = NULL;
  return drone_FleetService_update_base(self->scheduler, context, &request, arena, &response);
}

/* The base as it is; NULL when there is none. */
static const drone_Base *find_base(const drone_ListBasesResponse *known, const char *id) {
  for (size_t i = 0; i < known->n_bases; i++) {
    if (strcmp(known->bases[i]->id, id) == 0)
      return known->bases[i];
  }
  return NULL;
}

static bool base_is_as_wanted(const drone_Base *is, const drone_Base *wanted) {
  return fabs(is->location->latitude - wanted->location->latitude) < 1e-9 &&
         fabs(is->location->longitude - wanted->location->longitude) < 1e-9 &&
         fabs(is->charge_rate_per_s - wanted->charge_rate_per_s) < 1e-9;
}

static SkyStatus create_base(Simulator *self, const SkyContext *context, SkyArena *arena, drone_Base *base) {
  drone_CreateBaseRequest request = drone_CreateBaseRequest_INIT;
  drone_CreateBaseResponse *response = NULL;
  request.drone_base = base;
  SkyStatus status = drone_FleetService_create_base(self->scheduler, context, &request, arena, &response);
  sky_status_take(&status, SKY_CODE_ALREADY_EXISTS);
  return status;
}

static SkyStatus put_base(Simulator *self, const SkyContext *context, SkyArena *arena,
                          const drone_ListBasesResponse *known, int64_t index) {
  char name[SIMULATOR_ID_SIZE], title[80];
  const SkyPoint place = base_place(self, index);
  drone_Base base = drone_Base_INIT;
  common_Location location = common_Location_INIT;
  base_name(self, index, name);
  snprintf(title, sizeof(title), "Base %d", (int)(index + 1));
  common_Location_set_latitude(&location, place.latitude);
  common_Location_set_longitude(&location, place.longitude);
  base.id = name;
  base.display_name = title;
  base.location = &location;
  base.charge_rate_per_s = charge_per_s(self);
  const drone_Base *is = find_base(known, name);
  if (is == NULL)
    return create_base(self, context, arena, &base);
  return base_is_as_wanted(is, &base) ? SKY_OK : update_base(self, context, arena, &base);
}

/* ---- drones ---- */

static SimulatedDrone *new_drone(Simulator *self, const char *id);
static void pilot_move(void *user);

static bool is_as_wanted(const Simulator *self, const drone_Drone *drone) {
  return fabs(drone->cruise_speed_mps - speed_mps(self)) < 1e-6 &&
         fabs(drone->range_m - self->settings.range_m) < 1e-6 &&
         fabs(drone->capacity_kg - self->settings.capacity_kg) < 1e-6;
}

static void set_wanted(const Simulator *self, drone_Drone *drone) {
  drone->cruise_speed_mps = speed_mps(self);
  drone->range_m = self->settings.range_m;
  drone->capacity_kg = self->settings.capacity_kg;
  drone->max_size = common_PACKAGE_SIZE_LARGE;
}

static SkyStatus update_drone(Simulator *self, const SkyContext *context, const char *id) {
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  drone_Drone drone = drone_Drone_INIT;
  protobuf_FieldMask mask = protobuf_FieldMask_INIT;
  const char *paths[] = {"cruise_speed_mps", "range_m", "capacity_kg", "max_size"};
  drone_UpdateDroneRequest request = drone_UpdateDroneRequest_INIT;
  drone_UpdateDroneResponse *response = NULL;
  drone.id = id;
  set_wanted(self, &drone);
  mask.paths = paths;
  mask.n_paths = sizeof(paths) / sizeof(paths[0]);
  request.drone = &drone;
  request.update_mask = &mask;
  const SkyStatus status = drone_FleetService_update_drone(self->scheduler, context, &request, &arena, &response);
  sky_arena_finish(&arena);
  return status;
}

/* Creations under way: many at once, so that the store commits them together. */
typedef struct Creations {
  pthread_mutex_t mutex;
  pthread_cond_t done;
  size_t open;
  SkyStatus first_error;
} Creations;

static void created(void *user, SkyStatus status, const drone_CreateDroneResponse *response) {
  Creations *creations = user;
  sky_status_take(&status, SKY_CODE_ALREADY_EXISTS);
  pthread_mutex_lock(&creations->mutex);
  if (creations->first_error == SKY_OK)
    creations->first_error = status;
  else
    sky_status_free(status);
  creations->open--;
  pthread_cond_signal(&creations->done);
  pthread_mutex_unlock(&creations->mutex);
}

static bool wait_for_room(Creations *creations, size_t most) {
  pthread_mutex_lock(&creations->mutex);
  while (creations->open > most)
    pthread_cond_wait(&creations->done, &creations->mutex); /* each ends at its deadline at the latest */
  const bool well = creations->first_error == SKY_OK;
  if (well && most > 0)
    creations->open++;
  pthread_mutex_unlock(&creations->mutex);
  return well;
}

static void create_drone(Simulator *self, const SkyContext *context, Creations *creations, int64_t index) {
  char id[SIMULATOR_ID_SIZE], title[80], base[SIMULATOR_ID_SIZE];
  drone_Drone drone = drone_Drone_INIT;
  drone_CreateDroneRequest request = drone_CreateDroneRequest_INIT;
  snprintf(id, sizeof(id), "%.40s-%05d", self->settings.prefix, (int)(index + 1));
  snprintf(title, sizeof(title), "Drone %d", (int)(index + 1));
  base_name(self, index % self->settings.bases, base); /* round the bases, so that each soon has one */
  drone.id = id;
  drone.display_name = title;
  drone.base_id = base;
  set_wanted(self, &drone);
  request.drone = &drone;
  drone_FleetService_create_drone_async(self->scheduler, context, &request, created, creations);
}

static SkyStatus create_missing(Simulator *self, const SkyContext *context, const SkyMap *known) {
  Creations creations = {.mutex = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
  for (int64_t i = 0; i < self->settings.drones; i++) {
    char id[SIMULATOR_ID_SIZE];
    snprintf(id, sizeof(id), "%.40s-%05d", self->settings.prefix, (int)(i + 1));
    if (sky_map_get(known, sky_str(id)) != NULL)
      continue;
    if (!wait_for_room(&creations, WINDOW))
      break;
    create_drone(self, context, &creations, i);
  }
  wait_for_room(&creations, 0);
  return creations.first_error;
}

/* ---- reading them ---- */

static bool is_ours(const Simulator *self, const drone_Drone *drone) {
  const size_t length = strlen(self->settings.prefix);
  return strncmp(drone->id, self->settings.prefix, length) == 0 && drone->id[length] == '-';
}

typedef SkyStatus (*OnDrone)(Simulator *self, const SkyContext *context, const drone_Drone *drone, void *user);

static SkyStatus each_drone(Simulator *self, const SkyContext *context, OnDrone on_drone, void *user) {
  char token[SIMULATOR_ID_SIZE * 2] = "";
  SkyStatus status = SKY_OK;
  do {
    SkyArena arena;
    sky_arena_init(&arena, ARENA_BYTES);
    drone_ListDronesRequest request = drone_ListDronesRequest_INIT;
    drone_ListDronesResponse *response = NULL;
    request.page_size = 1000;
    request.page_token = token;
    status = drone_FleetService_list_drones(self->scheduler, context, &request, &arena, &response);
    for (size_t i = 0; status == SKY_OK && i < response->n_drones; i++) {
      if (is_ours(self, response->drones[i]))
        status = on_drone(self, context, response->drones[i], user);
    }
    if (status == SKY_OK)
      snprintf(token, sizeof(token), "%s", response->next_page_token);
    sky_arena_finish(&arena);
  } while (status == SKY_OK && token[0] != '\0');
  return status;
}

static SkyStatus note_known(Simulator *self, const SkyContext *context, const drone_Drone *drone, void *known) {
  SKY_TRY(sky_map_set(known, sky_str(drone->id), known, NULL));
  return is_as_wanted(self, drone) ? SKY_OK : update_drone(self, context, drone->id);
}

static SkyPoint point_of(const common_Location *location, SkyPoint otherwise) {
  return location == NULL ? otherwise : (SkyPoint){location->latitude, location->longitude};
}

/* With the mutex. One that flies already goes on; a new one begins where it was last seen. */
static SkyStatus take_over(Simulator *self, const drone_Drone *drone) {
  SimulatedDrone *known = sky_map_get(self->drone_by_id, sky_str(drone->id));
  if (known == NULL) {
    known = new_drone(self, drone->id);
    if (known == NULL)
      return sky_status_no_memory();
    const SkyPoint home = point_of(drone->home_location, self->center);
    flight_init(&known->flight, home, point_of(drone->location, home), drone->battery_fraction, simulator_now_ms(self));
  }
  known->flight.range_m = self->settings.range_m;
  known->flight.speed_mps = speed_mps(self);
  known->flight.charge_per_ms = charge_per_s(self) / SKY_MS_PER_S;
  pilot_schedule(self, known);
  return SKY_OK;
}

static SkyStatus take_over_locked(Simulator *self, const SkyContext *context, const drone_Drone *drone, void *user) {
  pthread_mutex_lock(&self->mutex);
  const SkyStatus status = take_over(self, drone);
  pthread_mutex_unlock(&self->mutex);
  return status;
}

static void pilot_move(void *user) {
  /* The pilot takes timers out of the heap and moves the drone itself. */
}

static SimulatedDrone *new_drone(Simulator *self, const char *id) {
  SimulatedDrone **drones = realloc(self->drones, (self->drone_count + 1) * sizeof(SimulatedDrone *));
  if (drones == NULL)
    return NULL;
  self->drones = drones;
  SimulatedDrone *drone = calloc(1, sizeof(*drone));
  if (drone == NULL)
    return NULL;
  strncpy(drone->id, id, sizeof(drone->id) - 1);
  drone->simulator = self;
  drone->timer = (SkyTimer){.fire = pilot_move, .user = drone};
  drone->resend_ms = INT64_MAX;
  drone->key_needed = true;
  const SkyStatus status = sky_map_set(self->drone_by_id, sky_str(drone->id), drone, NULL);
  if (status != SKY_OK) {
    sky_status_free(status);
    free(drone);
    return NULL;
  }
  self->drones[self->drone_count++] = drone;
  return drone;
}

static SkyStatus put_all_bases(Simulator *self, const SkyContext *context, SkyArena *arena) {
  drone_ListBasesRequest request = drone_ListBasesRequest_INIT;
  drone_ListBasesResponse *known = NULL;
  request.page_size = 1000; /* more than a simulator may have */
  SKY_TRY(drone_FleetService_list_bases(self->scheduler, context, &request, arena, &known));
  for (int64_t i = 0; i < self->settings.bases; i++)
    SKY_TRY(put_base(self, context, arena, known, i));
  return SKY_OK;
}

static SkyStatus put_bases(Simulator *self, const SkyContext *context) {
  SkyArena arena;
  sky_arena_init(&arena, ARENA_BYTES);
  const SkyStatus status = put_all_bases(self, context, &arena);
  sky_arena_finish(&arena);
  return status;
}

SkyStatus simulator_register(Simulator *self, const SkyContext *context) {
  SkyMap *known = sky_map_create(SIMULATOR_MAX_DRONES);
  if (known == NULL)
    return sky_status_no_memory();
  SkyStatus status = put_bases(self, context);
  if (status == SKY_OK)
    status = each_drone(self, context, note_known, known);
  if (status == SKY_OK)
    status = create_missing(self, context, known);
  sky_map_destroy(known);
  if (status == SKY_OK)
    status = each_drone(self, context, take_over_locked, NULL);
  return status;
}
