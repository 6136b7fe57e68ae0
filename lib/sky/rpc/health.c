/*
 * Health: grpc.health.v1, Check, List and Watch. https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 *
 * Every service of the server shares the server's status unless it has been given its own. The contract is a few
 * fields, so its bytes are written here by hand.
 */
#include "builtin_descriptors.h" /* generated */
#include "server_internal.h"

#include <stdlib.h>
#include <string.h>

#include <sky/codec/wire.h>
#include <sky/rpc/raw.h>

typedef enum ServingStatus { NOTHING_SENT = 0, SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 } ServingStatus;
enum { REQUEST_SERVICE = 1, RESPONSE_STATUS = 1, RESPONSE_BYTES = 2 };
enum { LIST_STATUSES = 1, ENTRY_NAME = 1, ENTRY_STATUS = 2 };

enum { MAX_WATCHES = 1024, MAX_NAMED = 64, MAX_LIST_BYTES = 64 << 10 };

typedef struct Watch {
  SkyCall *call;
  struct Watch *next;
  ServingStatus sent; /* last */
  size_t service_size;
  char service[];
} Watch;

/* A service with a status of its own. */
typedef struct Named {
  char *name;
  bool serving;
} Named;

struct SkyHealth {
  SkyServer *server;
  pthread_mutex_t lock; /* guards what follows */
  bool serving;
  bool ended; /* no more watches */
  Named named[MAX_NAMED];
  size_t named_count;
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

static SkyStatus requested_service(const ProtobufCMessage *request, SkyStr *ret_service) {
  const SkyStr wire = ((const SkyRawMessage *)(const void *)request)->bytes;
  SkyWireReader reader = sky_wire_reader(wire.data, wire.size);
  SkyWireField field = {0};
  SkyStr service = SKY_STR("");
  while (!sky_wire_at_end(&reader)) {
    if (!sky_wire_next(&reader, &field))
      return SKY_INVALID_ARGUMENT("malformed protobuf message grpc.health.v1.HealthCheckRequest");
    if (field.number == REQUEST_SERVICE && field.type == SKY_WIRE_BYTES)
      service = field.bytes;
  }
  *ret_service = service;
  return SKY_OK;
}

static bool is_bound(const SkyHealth *health, SkyStr service) {
  for (size_t i = 0; i < health->server->binding_count; i++) {
    if (sky_str_is(service, health->server->bindings[i].service->name))
      return true;
  }
  return false;
}

/* NULL when the service has no status of its own. With the lock held. */
static const Named *find_named(const SkyHealth *health, SkyStr service) {
  for (size_t i = 0; i < health->named_count; i++) {
    if (sky_str_is(service, health->named[i].name))
      return &health->named[i];
  }
  return NULL;
}

/* With the lock held. */
static ServingStatus status_of(const SkyHealth *health, SkyStr service) {
  const Named *named = find_named(health, service);
  if (named == NULL && service.size > 0 && !is_bound(health, service))
    return SERVICE_UNKNOWN;
  return health->serving && (named == NULL || named->serving) ? SERVING : NOT_SERVING;
}

static ServingStatus status_of_locked(SkyHealth *health, SkyStr service) {
  pthread_mutex_lock(&health->lock);
  const ServingStatus status = status_of(health, service);
  pthread_mutex_unlock(&health->lock);
  return status;
}

static SkyStatus check(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *request,
                       ProtobufCMessage *response) {
  SkyStr service;
  SKY_TRY(requested_service(request, &service));
  const ServingStatus status = status_of_locked(self, service);
  if (status == SERVICE_UNKNOWN)
    return SKY_NOT_FOUND("unknown service \"%.*s\"", SKY_STR_ARGS(service));
  Response *filled = sky_arena_alloc(sky_call_arena(call), sizeof(*filled));
  if (filled == NULL)
    return sky_status_no_memory();
  response_init(filled, status);
  ((SkyRawMessage *)(void *)response)->bytes = filled->message.bytes;
  return SKY_OK;
}

/* --- list --- */

static void append_entry(const SkyHealth *health, const char *service, SkyBuf *out) {
  Response response;
  response_init(&response, status_of(health, sky_str(service)));
  const size_t entry = sky_wire_begin_field(out, LIST_STATUSES);
  sky_wire_append_bytes(out, ENTRY_NAME, sky_str(service));
  sky_wire_append_bytes(out, ENTRY_STATUS, response.message.bytes);
  sky_wire_end_bytes(out, entry);
}

static void append_all(SkyHealth *health, SkyBuf *out) {
  pthread_mutex_lock(&health->lock);
  append_entry(health, "", out);
  for (size_t i = 0; i < health->server->binding_count; i++)
    append_entry(health, health->server->bindings[i].service->name, out);
  for (size_t i = 0; i < health->named_count; i++) {
    if (!is_bound(health, sky_str(health->named[i].name)))
      append_entry(health, health->named[i].name, out);
  }
  pthread_mutex_unlock(&health->lock);
}

static SkyStatus list(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *request,
                      ProtobufCMessage *response) {
  SkyBuf out;
  sky_buf_init(&out, MAX_LIST_BYTES);
  append_all(self, &out);
  SkyStatus status = sky_buf_status(&out);
  const char *copy =
      status == SKY_OK ? sky_arena_strndup(sky_call_arena(call), (const char *)out.data, out.size) : NULL;
  if (status == SKY_OK && copy == NULL)
    status = sky_status_no_memory();
  ((SkyRawMessage *)(void *)response)->bytes = (SkyStr){copy, copy != NULL ? out.size : 0};
  sky_buf_finish(&out);
  return status;
}

/* --- watch --- */

static void watch_writable(void *user, SkyCall *call);

/* Sends the status when it is another than the last one sent. A watcher whose queue is full is told later. With the
 * lock held. */
static void tell(SkyHealth *health, Watch *watch) {
  const ServingStatus status = status_of(health, (SkyStr){watch->service, watch->service_size});
  Response response;
  if (status == watch->sent)
    return;
  response_init(&response, status);
  SkyStatus written = sky_call_write(watch->call, &response.message.base);
  if (written == SKY_OK)
    watch->sent = status;
  if (sky_status_take(&written, SKY_CODE_RESOURCE_EXHAUSTED))
    sky_call_on_writable(watch->call, watch_writable, health);
  sky_status_free(written);
}

static void tell_all(SkyHealth *health) {
  for (Watch *watch = health->watches; watch != NULL; watch = watch->next)
    tell(health, watch);
}

static void watch_writable(void *user, SkyCall *call) {
  SkyHealth *health = user;
  pthread_mutex_lock(&health->lock);
  for (Watch *watch = health->watches; watch != NULL; watch = watch->next) {
    if (watch->call == call)
      tell(health, watch);
  }
  pthread_mutex_unlock(&health->lock);
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

static Watch *watch_create(SkyCall *call, SkyStr service) {
  Watch *watch = calloc(1, sizeof(*watch) + service.size);
  if (watch == NULL)
    return NULL;
  watch->call = call;
  watch->service_size = service.size;
  if (service.size > 0)
    memcpy(watch->service, service.data, service.size);
  return watch;
}

static SkyStatus watch(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *request,
                       ProtobufCMessage *response) {
  SkyHealth *health = self;
  SkyStr service;
  SKY_TRY(requested_service(request, &service));
  Watch *watch = watch_create(call, service);
  if (watch == NULL)
    return sky_status_no_memory();
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
    {.name = "List",
     .path = "/grpc.health.v1.Health/List",
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
static const SkyServiceDescriptor service_descriptor = {
    .name = "grpc.health.v1.Health",
    .methods = methods,
    .method_count = sizeof(methods) / sizeof(methods[0]),
    .file_descriptor_set = {sky_health_descriptors, sizeof(sky_health_descriptors)}};
static const SkyInvoke invoke[] = {check, list, watch};

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
  for (size_t i = 0; i < health->named_count; i++)
    free(health->named[i].name);
  pthread_mutex_destroy(&health->lock);
  free(health);
}

SkyServiceBinding sky_health_binding(SkyHealth *health) {
  return (SkyServiceBinding){.service = &service_descriptor, .self = health, .invoke = invoke};
}

void sky_health_set_serving(SkyHealth *health, bool serving) {
  pthread_mutex_lock(&health->lock);
  health->serving = serving;
  tell_all(health);
  pthread_mutex_unlock(&health->lock);
}

/* With the lock held. */
static SkyStatus set_named(SkyHealth *health, const char *service, bool serving) {
  Named *named = (Named *)find_named(health, sky_str(service));
  if (named == NULL && health->named_count == MAX_NAMED)
    return SKY_RESOURCE_EXHAUSTED("at most %d services have a status of their own", MAX_NAMED);
  if (named == NULL) {
    char *name = strdup(service);
    if (name == NULL)
      return sky_status_no_memory();
    named = &health->named[health->named_count++];
    named->name = name;
  }
  named->serving = serving;
  tell_all(health);
  return SKY_OK;
}

SkyStatus sky_health_set_service(SkyHealth *health, const char *service, bool serving) {
  pthread_mutex_lock(&health->lock);
  const SkyStatus status = set_named(health, service, serving);
  pthread_mutex_unlock(&health->lock);
  return status;
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
