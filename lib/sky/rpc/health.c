/*
 * Health: grpc.health.v1, Check and Watch. https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 *
 * Every service of the server shares the server's status. The contract is three fields, so its bytes are written here
 * by hand.
 */
#include "server_internal.h"

#include <stdlib.h>

#include <sky/codec/wire.h>
#include <sky/rpc/raw.h>

typedef enum ServingStatus { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 } ServingStatus;
enum { REQUEST_SERVICE = 1, RESPONSE_STATUS = 1, RESPONSE_BYTES = 2 };

enum { MAX_WATCHES = 1024 };

typedef struct Watch {
  SkyCall *call;
  bool known; /* the service exists */
  struct Watch *next;
} Watch;

struct SkyHealth {
  SkyServer *server;
  pthread_mutex_t lock;
  bool serving;
  bool ended; /* no more watches */
  Watch *watches;
  size_t watch_count;
};

/* HealthCheckResponse with one field. */
typedef struct Response {
  char bytes[RESPONSE_BYTES];
  SkyRawMessage message;
} Response;

static void response_init(Response *response, ServingStatus status) {
  response->bytes[0] = (char)sky_wire_tag(RESPONSE_STATUS, SKY_WIRE_VARINT);
  response->bytes[1] = (char)status;
  response->message = (SkyRawMessage)SKY_RAW_MESSAGE_INIT(((SkyStr){response->bytes, RESPONSE_BYTES}));
}

static SkyStr requested_service(const ProtobufCMessage *request) {
  const SkyStr wire = ((const SkyRawMessage *)(const void *)request)->bytes;
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  SkyStr service = SKY_STR("");
  while (!sky_wire_at_end(&reader) && sky_wire_next(&reader, &field)) {
    if (field.number == REQUEST_SERVICE && field.type == SKY_WIRE_BYTES)
      service = field.bytes;
  }
  return service;
}

static bool is_known(const SkyHealth *health, SkyStr service) {
  if (service.size == 0)
    return true;
  for (size_t i = 0; i < health->server->binding_count; i++) {
    if (sky_str_is(service, health->server->bindings[i].service->name))
      return true;
  }
  return false;
}

static ServingStatus status_of(const SkyHealth *health, bool known) {
  if (!known)
    return SERVICE_UNKNOWN;
  return health->serving ? SERVING : NOT_SERVING;
}

static SkyStatus check(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *request,
                       ProtobufCMessage *response) {
  SkyHealth *health = self;
  const SkyStr service = requested_service(request);
  if (!is_known(health, service))
    return SKY_NOT_FOUND("unknown service \"%.*s\"", SKY_STR_ARGS(service));
  Response *filled = sky_arena_alloc(sky_call_arena(call), sizeof(*filled));
  if (filled == NULL)
    return sky_status_no_memory();
  pthread_mutex_lock(&health->lock);
  response_init(filled, status_of(health, true));
  pthread_mutex_unlock(&health->lock);
  ((SkyRawMessage *)(void *)response)->bytes = filled->message.bytes;
  return SKY_OK;
}

/* A slow watcher may miss a change when its queue is full; the next change reaches it. With the lock held. */
static void tell(const SkyHealth *health, const Watch *watch) {
  Response response;
  response_init(&response, status_of(health, watch->known));
  sky_status_free(sky_call_write(watch->call, &response.message.base));
}

/* Takes the watch of this call off the list; NULL when it is not there any more. */
static Watch *unlink_watch(SkyHealth *health, const SkyCall *call) {
  for (Watch **at = &health->watches; *at != NULL; at = &(*at)->next) {
    if ((*at)->call != call)
      continue;
    Watch *watch = *at;
    *at = watch->next;
    health->watch_count--;
    return watch;
  }
  return NULL;
}

static void watch_cancelled(void *user, SkyCall *call) {
  SkyHealth *health = user;
  pthread_mutex_lock(&health->lock);
  Watch *watch = unlink_watch(health, call);
  pthread_mutex_unlock(&health->lock);
  if (watch != NULL)
    sky_call_finish(call, SKY_CANCELLED("the watcher has gone away"));
  free(watch);
}

static SkyStatus link_watch(SkyHealth *health, Watch *watch) {
  if (health->ended)
    return SKY_UNAVAILABLE("the server is shutting down");
  if (health->watch_count >= MAX_WATCHES)
    return SKY_RESOURCE_EXHAUSTED("too many health watches");
  watch->next = health->watches;
  health->watches = watch;
  health->watch_count++;
  tell(health, watch);
  return SKY_OK;
}

static SkyStatus watch(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *request,
                       ProtobufCMessage *response) {
  SkyHealth *health = self;
  Watch *watch = calloc(1, sizeof(*watch));
  if (watch == NULL)
    return sky_status_no_memory();
  watch->call = call;
  watch->known = is_known(health, requested_service(request));
  pthread_mutex_lock(&health->lock);
  const SkyStatus status = link_watch(health, watch);
  pthread_mutex_unlock(&health->lock);
  if (status != SKY_OK) {
    free(watch);
    return status;
  }
  sky_call_on_cancel(call, watch_cancelled, health);
  return sky_call_defer(call);
}

static const SkyMethodDescriptor methods[] = {
    {.name = "Check",
     .path = "/grpc.health.v1.Health/Check",
     .kind = SKY_UNARY,
     .request.descriptor = &sky_raw_message_descriptor,
     .response.descriptor = &sky_raw_message_descriptor,
     .inline_handler = true},
    {.name = "Watch",
     .path = "/grpc.health.v1.Health/Watch",
     .kind = SKY_SERVER_STREAMING,
     .request.descriptor = &sky_raw_message_descriptor,
     .response.descriptor = &sky_raw_message_descriptor,
     .inline_handler = true},
};
static const SkyServiceDescriptor service = {
    .name = "grpc.health.v1.Health", .methods = methods, .method_count = sizeof(methods) / sizeof(methods[0])};
static const SkyInvoke invoke[] = {check, watch};

SkyHealth *sky_health_create(SkyServer *server) {
  SkyHealth *health = calloc(1, sizeof(*health));
  if (health == NULL)
    return NULL;
  health->server = server;
  pthread_mutex_init(&health->lock, NULL);
  return health;
}

void sky_health_destroy(SkyHealth *health) {
  if (health == NULL)
    return;
  pthread_mutex_destroy(&health->lock);
  free(health);
}

SkyServiceBinding sky_health_binding(SkyHealth *health) {
  return (SkyServiceBinding){.service = &service, .self = health, .invoke = invoke};
}

void sky_health_set_serving(SkyHealth *health, bool serving) {
  pthread_mutex_lock(&health->lock);
  const bool changed = health->serving != serving;
  health->serving = serving;
  for (const Watch *watcher = health->watches; changed && watcher != NULL; watcher = watcher->next)
    tell(health, watcher);
  pthread_mutex_unlock(&health->lock);
}

void sky_health_end_watches(SkyHealth *health) {
  pthread_mutex_lock(&health->lock);
  Watch *ending = health->watches;
  health->watches = NULL;
  health->watch_count = 0;
  health->ended = true;
  pthread_mutex_unlock(&health->lock);
  while (ending != NULL) {
    Watch *next = ending->next;
    sky_call_finish(ending->call, SKY_UNAVAILABLE("the server is shutting down"));
    free(ending);
    ending = next;
  }
}
