#include "echo_service.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sky/codec/rule_tables.h>
#include <sky/rpc/peer.h>

/* What protoc-gen-sky writes for "text: at most 8 characters". */
static const SkyRule at_most_8[] = {{.op = SKY_RULE_MAX_CHARS, .as.count = 8}, {.op = SKY_RULE_END}};
static const SkyFieldRules short_text_fields[] = {{.index = 0, .value.rules = at_most_8}};
static const SkyMessageRules short_text = {.fields = short_text_fields, .field_count = 1};

#define METHOD(method_name, method_kind, ...)                                                                          \
  {                                                                                                                    \
    .name = method_name, .path = "/sky.test.v1.EchoService/" method_name, .kind = method_kind,                         \
    .request.descriptor = &sky__test__v1__echo__descriptor, .response.descriptor = &sky__test__v1__echo__descriptor,   \
    __VA_ARGS__                                                                                                        \
  }

const SkyMethodDescriptor echo_methods[ECHO_METHODS] = {
    [ECHO_INLINE] =
        METHOD("Inline", SKY_UNARY, .inline_handler = true, .deadline_ms = 20000, .idempotency = SKY_NO_SIDE_EFFECTS),
    [ECHO_WORKER] = METHOD("Worker", SKY_UNARY, .deadline_ms = 20000),
    [ECHO_DEFER] =
        METHOD("Defer", SKY_UNARY, .inline_handler = true, .deadline_ms = 20000, .idempotency = SKY_IDEMPOTENT),
    [ECHO_COUNT] = METHOD("Count", SKY_SERVER_STREAMING, .inline_handler = true),
    [ECHO_SUM] = METHOD("Sum", SKY_CLIENT_STREAMING, .inline_handler = true),
    [ECHO_CHAT] = METHOD("Chat", SKY_BIDI_STREAMING, .inline_handler = true),
    [ECHO_CHAT_WORKER] = METHOD("ChatWorker", SKY_BIDI_STREAMING, .inline_handler = false),
    [ECHO_WATCH] = METHOD("Watch", SKY_SERVER_STREAMING, .inline_handler = true),
    [ECHO_CAPPED] = METHOD("Capped", SKY_UNARY, .inline_handler = true, .deadline_ms = 50),
    [ECHO_GUARDED] = METHOD("Guarded", SKY_UNARY, .deadline_ms = 20000, .is_public = true, .scope = "echo.read"),
    [ECHO_RULED] = METHOD("Ruled", SKY_UNARY, .deadline_ms = 20000, .request.rules = &short_text),
    [ECHO_CAPPED_WORKER] = METHOD("CappedWorker", SKY_UNARY, .deadline_ms = 500),
};

static const SkyServiceDescriptor descriptor = {
    .name = "sky.test.v1.EchoService", .methods = echo_methods, .method_count = ECHO_METHODS};

static void keep_text(char *to, size_t size, const char *text) {
  snprintf(to, size, "%s", text);
}

static void remember_context(EchoService *service, SkyCall *call) {
  pthread_mutex_lock(&service->lock);
  service->handled++;
  service->handled_late += sky_context_remaining_ms(sky_call_context(call)) == 0;
  service->context = *sky_call_context(call);
  const SkyPrincipal *principal = service->context.principal;
  if (principal != NULL) {
    keep_text(service->subject, sizeof(service->subject), principal->subject);
    keep_text(service->owner, sizeof(service->owner), principal->owner_id);
    keep_text(service->scopes, sizeof(service->scopes), principal->scopes);
  }
  keep_text(service->peer, sizeof(service->peer), sky_call_peer(call));
  pthread_getname_np(pthread_self(), service->thread, sizeof(service->thread));
  pthread_mutex_unlock(&service->lock);
}

static void block(EchoService *service) {
  pthread_mutex_lock(&service->lock);
  service->running++;
  while (!service->released)
    pthread_cond_wait(&service->changed, &service->lock);
  service->running--;
  pthread_mutex_unlock(&service->lock);
}

/* Long enough for the spare to take over. */
static void nap(void) {
  nanosleep(&(struct timespec){.tv_nsec = 4 * SKY_NS_PER_MS}, NULL);
}

static void hold(EchoService *service, const SkyCall *call) {
  const struct timespec pause = {.tv_nsec = SKY_NS_PER_MS};
  pthread_mutex_lock(&service->lock);
  service->running++;
  pthread_mutex_unlock(&service->lock);
  while (!sky_call_is_cancelled(call))
    nanosleep(&pause, NULL);
  pthread_mutex_lock(&service->lock);
  service->running--;
  pthread_mutex_unlock(&service->lock);
}

static SkyStatus rich_error(void) {
  SkyStatus status = SKY_OK;
  sky_violations_add(&status, "pickup.latitude", "must be at most %d", 90);
  sky_violations_add(&status, "tag", "must not be empty");
  status = sky_status_with_reason(status, "BAD_PLACE");
  status = sky_status_with_metadata(status, "place", "north of the pole");
  return sky_status_with_retry_after_ms(status, 1500);
}

/* Sends back what came as x-ascii and x-data-bin: the first ahead of the message, the second behind it. */
static SkyStatus return_metadata(SkyCall *call) {
  SkyStr value;
  if (sky_call_metadata(call, "x-ascii", &value))
    SKY_TRY(sky_call_add_initial_metadata(call, "x-ascii", value));
  if (sky_call_metadata(call, "x-data-bin", &value))
    SKY_TRY(sky_call_add_trailing_metadata(call, "x-data-bin", value));
  return SKY_OK;
}

static SkyStatus forward(EchoService *service, SkyCall *call) {
  Sky__Test__V1__Echo request = SKY__TEST__V1__ECHO__INIT;
  ProtobufCMessage *response = NULL;
  pthread_mutex_lock(&service->lock);
  SkyClient *upstream = service->upstream;
  pthread_mutex_unlock(&service->lock);
  return sky_client_call(upstream, &echo_methods[ECHO_DEFER], sky_call_context(call), &request.base,
                         sky_call_arena(call), &response);
}

static char *identity_text(SkyCall *call) {
  const SkyPeerIdentity *peer = sky_call_peer_identity(call);
  if (peer == NULL)
    return sky_call_strdup(call, "nobody");
  const char *uri = peer->uris[0] != NULL ? peer->uris[0] : "",
             *dns = peer->dns_names[0] != NULL ? peer->dns_names[0] : "";
  return sky_call_printf(call, "%s|%s|%s|%s", peer->name, uri, dns, peer->common_name);
}

static SkyStatus defer(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *message,
                       ProtobufCMessage *answer);

static SkyStatus echo(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *message,
                      ProtobufCMessage *answer) {
  EchoService *service = self;
  const Sky__Test__V1__Echo *request = (const void *)message;
  Sky__Test__V1__Echo *response = (void *)answer;
  remember_context(service, call);
  if (strcmp(request->text, "fail") == 0)
    return SKY_NOT_FOUND("no %s here", "package");
  if (strcmp(request->text, "rich") == 0)
    return rich_error();
  if (strcmp(request->text, "block") == 0)
    block(service);
  if (strcmp(request->text, "nap") == 0)
    nap();
  if (strcmp(request->text, "hold") == 0)
    hold(service, call);
  if (strcmp(request->text, "defer") == 0)
    return defer(handlers, self, call, message, answer);
  if (strcmp(request->text, "forward") == 0)
    SKY_TRY(forward(service, call));
  if (strcmp(request->text, "shout") == 0)
    response->text = sky_call_printf(call, "%s, %d!", request->text, request->number);
  else if (strcmp(request->text, "who") == 0)
    response->text = identity_text(call);
  else
    response->text = request->text;
  response->number = request->number;
  response->payload = request->payload;
  return return_metadata(call);
}

/* Whoever takes a call off the list ends it. */
static bool take_deferred(EchoService *service, const SkyCall *call) {
  for (size_t i = 0; i < service->deferred_count; i++) {
    if (service->deferred[i] != call)
      continue;
    service->deferred[i] = NULL;
    return true;
  }
  return false;
}

static void deferred_cancelled(void *user, SkyCall *call) {
  EchoService *service = user;
  pthread_mutex_lock(&service->lock);
  const bool taken = take_deferred(service, call);
  service->cancelled_count++;
  pthread_cond_broadcast(&service->changed);
  pthread_mutex_unlock(&service->lock);
  if (taken)
    sky_call_finish(call, SKY_CANCELLED("as you like it"));
}

static bool append_deferred(EchoService *service, SkyCall *call) {
  for (size_t i = 0; i < ECHO_MAX_DEFERRED; i++) {
    if (service->deferred[i] != NULL)
      continue;
    service->deferred[i] = call;
    if (i >= service->deferred_count)
      service->deferred_count = i + 1;
    return true;
  }
  return false;
}

SkyCall *echo_service_take_any(EchoService *service) {
  SkyCall *call = NULL;
  pthread_mutex_lock(&service->lock);
  for (size_t i = 0; i < service->deferred_count && call == NULL; i++) {
    call = service->deferred[i];
    service->deferred[i] = NULL;
  }
  pthread_mutex_unlock(&service->lock);
  return call;
}

static SkyStatus defer(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *message,
                       ProtobufCMessage *answer) {
  EchoService *service = self;
  sky_call_on_cancel(call, deferred_cancelled, service);
  pthread_mutex_lock(&service->lock);
  const bool kept = append_deferred(service, call);
  pthread_cond_broadcast(&service->changed);
  pthread_mutex_unlock(&service->lock);
  return kept ? sky_call_defer(call) : SKY_RESOURCE_EXHAUSTED("too many deferred calls");
}

typedef struct Counting {
  int32_t next, last;
} Counting;

static void count_on(void *user, SkyCall *call) {
  Counting *counting = user;
  SkyStatus status = SKY_OK;
  for (; counting->next <= counting->last && status == SKY_OK; counting->next += status == SKY_OK) {
    Sky__Test__V1__Echo message = SKY__TEST__V1__ECHO__INIT;
    message.number = counting->next;
    status = sky_call_write(call, &message.base);
  }
  if (sky_status_take(&status, SKY_CODE_RESOURCE_EXHAUSTED))
    sky_call_on_writable(call, count_on, counting);
  else
    sky_call_finish(call, status);
}

static SkyStatus count(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *message,
                       ProtobufCMessage *answer) {
  Counting *counting = sky_arena_alloc(sky_call_arena(call), sizeof(*counting));
  if (counting == NULL)
    return sky_status_no_memory();
  *counting = (Counting){.next = 1, .last = ((const Sky__Test__V1__Echo *)(const void *)message)->number};
  count_on(counting, call);
  return sky_call_defer(call);
}

static void add_up(void *user, SkyCall *call, SkyStatus status, const ProtobufCMessage *message) {
  Sky__Test__V1__Echo *sum = (void *)sky_call_response(call);
  if (status != SKY_OK || message == NULL) {
    sky_call_finish(call, status);
    return;
  }
  sum->number += ((const Sky__Test__V1__Echo *)(const void *)message)->number;
  sky_call_read(call, add_up, user);
}

static SkyStatus sum(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *message,
                     ProtobufCMessage *answer) {
  sky_call_read(call, add_up, self);
  return sky_call_defer(call);
}

static void answer_message(void *user, SkyCall *call, SkyStatus status, const ProtobufCMessage *message) {
  if (status == SKY_OK && message != NULL)
    status = sky_call_write(call, message);
  if (status != SKY_OK || message == NULL)
    sky_call_finish(call, status);
  else
    sky_call_read(call, answer_message, user);
}

static SkyStatus chat(const void *handlers, void *self, SkyCall *call, const ProtobufCMessage *message,
                      ProtobufCMessage *answer) {
  sky_call_read(call, answer_message, self);
  return sky_call_defer(call);
}

static const SkyInvoke invoke[ECHO_METHODS] = {
    [ECHO_INLINE] = echo,  [ECHO_WORKER] = echo,  [ECHO_DEFER] = defer,      [ECHO_COUNT] = count,
    [ECHO_SUM] = sum,      [ECHO_CHAT] = chat,    [ECHO_CHAT_WORKER] = chat, [ECHO_WATCH] = defer,
    [ECHO_CAPPED] = defer, [ECHO_GUARDED] = echo, [ECHO_RULED] = echo,       [ECHO_CAPPED_WORKER] = echo,
};

void echo_service_init(EchoService *service) {
  memset(service, 0, sizeof(*service));
  pthread_mutex_init(&service->lock, NULL);
  pthread_cond_init(&service->changed, NULL);
}

void echo_service_finish(EchoService *service) {
  pthread_cond_destroy(&service->changed);
  pthread_mutex_destroy(&service->lock);
}

SkyServiceBinding echo_service_binding(EchoService *service) {
  return (SkyServiceBinding){.service = &descriptor, .self = service, .invoke = invoke};
}

void echo_service_release(EchoService *service) {
  pthread_mutex_lock(&service->lock);
  service->released = true;
  pthread_cond_broadcast(&service->changed);
  pthread_mutex_unlock(&service->lock);
}

void echo_service_block_again(EchoService *service) {
  pthread_mutex_lock(&service->lock);
  service->released = false;
  pthread_mutex_unlock(&service->lock);
}

static size_t read_locked(EchoService *service, const size_t *number) {
  pthread_mutex_lock(&service->lock);
  const size_t value = *number;
  pthread_mutex_unlock(&service->lock);
  return value;
}

size_t echo_service_deferred(EchoService *service) {
  return read_locked(service, &service->deferred_count);
}

size_t echo_service_cancelled(EchoService *service) {
  return read_locked(service, &service->cancelled_count);
}

size_t echo_service_handled(EchoService *service) {
  return read_locked(service, &service->handled);
}

size_t echo_service_running(EchoService *service) {
  return read_locked(service, &service->running);
}

bool echo_service_ran_on(EchoService *service, const char *thread) {
  pthread_mutex_lock(&service->lock);
  const bool same = strcmp(service->thread, thread) == 0;
  pthread_mutex_unlock(&service->lock);
  return same;
}

void echo_service_set_upstream(EchoService *service, SkyClient *upstream) {
  pthread_mutex_lock(&service->lock);
  service->upstream = upstream;
  pthread_mutex_unlock(&service->lock);
}

void echo_service_synchronize(EchoService *service) {
  pthread_mutex_lock(&service->lock);
  pthread_mutex_unlock(&service->lock);
}
