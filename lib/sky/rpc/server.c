/*
 * Server: made, bound to a port, drained, destroyed.
 */
#include "server_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <grpc/grpc_security.h>

#include <sky/codec/message.h>
#include <sky/core/time.h>
#include <sky/rpc/goaway.h>
#include <sky/rpc/interceptors/validation.h>
#include <sky/rpc/settings.h>

enum {
  UNKNOWN_MEAN = 4, /* of a method that has not been called yet, as a multiple of what is short */
  POSTED_CALLS = 4, /* per method; the core searches all of them at each completion, so few */
  DEFAULT_MAX_CALL_MEMORY = 16 << 20,
  DEFAULT_MAX_CALLS = 10000,
  DEFAULT_STREAM_QUEUE = 256 << 10,
  DEFAULT_CONNECTION_AGE_MS = 5 * 60 * 1000,
  CONNECTION_GRACE_MS = 10 * 60 * 1000, /* for streams on a connection that is over age */
  DEFAULT_HANDSHAKE_TIMEOUT_MS = 10 * 1000,
  MIN_PING_INTERVAL_MS = 5 * 1000,
  KEEPALIVE_MS = 60 * 1000,
  KEEPALIVE_TIMEOUT_MS = 20 * 1000,
  STREAM_GRACE_MS = 500,  /* for streams that have an end, when the server drains */
  CANCEL_GRACE_MS = 5000, /* for handlers to notice that they have been cancelled */
  CONNECTION_POLL_MS = 2, /* nobody tells when the last connection has ended */
};

static void fill_options(SkyServer *server, const SkyServerOptions *options) {
  server->options = *options;
  SkyServerOptions *o = &server->options;
  o->listen = server->listen;
  o->max_request_bytes = sky_or_default(o->max_request_bytes, SKY_DEFAULT_MAX_MESSAGE);
  o->max_response_bytes = sky_or_default(o->max_response_bytes, SKY_DEFAULT_MAX_MESSAGE);
  o->max_metadata_bytes = sky_or_default(o->max_metadata_bytes, SKY_DEFAULT_MAX_METADATA);
  o->max_message_depth = sky_or_default(o->max_message_depth, SKY_MESSAGE_MAX_DEPTH);
  if (o->max_message_depth > SKY_MESSAGE_MAX_DEPTH)
    o->max_message_depth = SKY_MESSAGE_MAX_DEPTH;
  o->max_call_memory = sky_or_default(o->max_call_memory, DEFAULT_MAX_CALL_MEMORY);
  o->max_concurrent_calls = sky_or_default(o->max_concurrent_calls, DEFAULT_MAX_CALLS);
  o->max_streams_per_connection = sky_or_default(o->max_streams_per_connection, o->max_concurrent_calls);
  o->max_stream_queued_bytes = sky_or_default(o->max_stream_queued_bytes, DEFAULT_STREAM_QUEUE);
  if (o->handshake_timeout_ms == 0)
    o->handshake_timeout_ms = DEFAULT_HANDSHAKE_TIMEOUT_MS;
  if (o->max_connection_age_ms == 0)
    o->max_connection_age_ms = DEFAULT_CONNECTION_AGE_MS;
}

static void init_locks(SkyServer *server) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&server->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  pthread_mutex_init(&server->lock, NULL);
}

static void shutdown_done(SkyTag *tag, bool ok) {
  SkyServer *server = SKY_CONTAINER(tag, SkyServer, shutdown);
  pthread_mutex_lock(&server->lock);
  server->shutdown_done = true;
  pthread_cond_broadcast(&server->changed);
  pthread_mutex_unlock(&server->lock);
}

static SkyStatus add_built_in(SkyServer *server) {
  server->health = sky_health_create(server);
  server->reflection = sky_reflection_create(server);
  if (server->health == NULL || server->reflection == NULL)
    return sky_status_no_memory();
  SKY_TRY(sky_server_add(server, sky_health_binding(server->health)));
  for (size_t version = 0; version < SKY_REFLECTION_VERSIONS; version++)
    SKY_TRY(sky_server_add(server, sky_reflection_binding(server->reflection, version)));
  return SKY_OK;
}

SkyStatus sky_server_create(SkyRpc *rpc, const SkyServerOptions *options, SkyServer **ret) {
  SkyServer *server = calloc(1, sizeof(*server));
  if (server == NULL)
    return sky_status_no_memory();
  server->rpc = rpc;
  server->shutdown.complete = shutdown_done;
  init_locks(server);
  server->listen = strdup(options->listen);
  server->tls.tls = options->tls != NULL ? sky_tls_ref(options->tls) : NULL;
  fill_options(server, options);
  SkyStatus status = server->listen != NULL ? add_built_in(server) : sky_status_no_memory();
  if (status != SKY_OK) {
    sky_server_destroy(server);
    return status;
  }
  *ret = server;
  return SKY_OK;
}

SkyStatus sky_server_add(SkyServer *server, SkyServiceBinding binding) {
  if (server->is_started)
    return SKY_FAILED_PRECONDITION("services are added before the server is started");
  if (server->binding_count == SKY_SERVER_MAX_SERVICES)
    return SKY_RESOURCE_EXHAUSTED("a server has at most %d services", SKY_SERVER_MAX_SERVICES);
  for (size_t i = 0; i < server->binding_count; i++) {
    if (strcmp(server->bindings[i].service->name, binding.service->name) == 0)
      return SKY_ALREADY_EXISTS("service %s is bound already", binding.service->name);
  }
  server->bindings[server->binding_count++] = binding;
  return SKY_OK;
}

SkyStatus sky_server_intercept(SkyServer *server, SkyServerInterceptor interceptor) {
  if (server->is_started)
    return SKY_FAILED_PRECONDITION("interceptors are added before the server is started");
  if (server->interceptor_count == SKY_SERVER_MAX_INTERCEPTORS)
    return SKY_RESOURCE_EXHAUSTED("a server has at most %d interceptors", SKY_SERVER_MAX_INTERCEPTORS);
  server->interceptors[server->interceptor_count++] = interceptor;
  return SKY_OK;
}

static SkyStatus limit_connections(SkyServer *server) {
  if (server->options.max_connections == 0)
    return SKY_OK;
  return sky_connection_limit_create(server->options.max_connections, &server->connection_limit);
}

static grpc_server *create_core(const SkyServer *server) {
  const SkyServerOptions *o = &server->options;
  grpc_arg args[] = {
      sky_integer_arg(GRPC_ARG_ALLOW_REUSEPORT, 0), /* else two processes share a port silently */
      sky_integer_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, o->max_streams_per_connection),
      sky_integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, o->max_request_bytes),
      sky_integer_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, o->max_response_bytes),
      sky_integer_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0), /* its own has no bound: inflate.h */
      sky_integer_arg(GRPC_ARG_MAX_METADATA_SIZE, o->max_metadata_bytes),
      sky_integer_arg(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, (size_t)o->handshake_timeout_ms),
      sky_integer_arg(GRPC_ARG_MAX_CONNECTION_AGE_MS, (size_t)o->max_connection_age_ms),
      sky_integer_arg(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, CONNECTION_GRACE_MS),
      sky_integer_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, MIN_PING_INTERVAL_MS),
      sky_integer_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
      sky_integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS),
      sky_integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS),
      sky_integer_arg(GRPC_ARG_ENABLE_CHANNELZ, o->channelz),
      sky_connection_limit_arg(server->connection_limit),
  };
  const size_t count = sizeof(args) / sizeof(args[0]);
  const grpc_channel_args all = {.num_args = server->connection_limit != NULL ? count : count - 1, .args = args};
  return grpc_server_create(&all, NULL);
}

static SkyStatus list_methods(SkyServer *server) {
  size_t count = 1; /* unknown methods */
  for (size_t i = 0; i < server->binding_count; i++)
    count += server->bindings[i].service->method_count;
  server->methods = calloc(count, sizeof(*server->methods));
  if (server->methods == NULL)
    return sky_status_no_memory();
  SkyServerMethod *method = server->methods;
  for (size_t i = 0; i < server->binding_count; i++) {
    const SkyServiceBinding *binding = &server->bindings[i];
    for (size_t j = 0; j < binding->service->method_count; j++)
      *method++ = (SkyServerMethod){.server = server,
                                    .descriptor = &binding->service->methods[j],
                                    .binding = binding,
                                    .invoke = binding->invoke[j],
                                    .mean_ns = UNKNOWN_MEAN * server->rpc->short_ns,
                                    .built_in = binding->self == server->health || binding->self == server->reflection};
  }
  *method = (SkyServerMethod){.server = server};
  server->method_count = count;
  return SKY_OK;
}

static SkyStatus register_methods(SkyServer *server) {
  for (size_t i = 0; i + 1 < server->method_count; i++) {
    SkyServerMethod *method = &server->methods[i];
    const bool reads = method->descriptor->kind == SKY_UNARY || method->descriptor->kind == SKY_SERVER_STREAMING;
    method->registered =
        grpc_server_register_method(server->core, method->descriptor->path, NULL,
                                    reads ? GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER : GRPC_SRM_PAYLOAD_NONE, 0);
    if (method->registered == NULL)
      return SKY_ALREADY_EXISTS("method %s is bound twice", method->descriptor->path);
  }
  return SKY_OK;
}

static SkyStatus bind_port(SkyServer *server) {
  grpc_server_credentials *credentials = NULL;
  SKY_TRY(sky_tls_server_credentials(&server->tls, &credentials));
  server->port = grpc_server_add_http2_port(server->core, server->listen, credentials);
  grpc_server_credentials_release(credentials);
  return server->port > 0 ? SKY_OK : SKY_UNAVAILABLE("cannot listen on %s", server->listen);
}

static SkyStatus post_calls(SkyServer *server) {
  for (size_t i = 0; i < server->method_count; i++) {
    for (size_t n = 0; n < POSTED_CALLS; n++) {
      if (!sky_server_post_call(server, &server->methods[i]))
        return sky_status_no_memory();
    }
  }
  return SKY_OK;
}

SkyStatus sky_server_start(SkyServer *server) {
  if (server->is_started)
    return SKY_FAILED_PRECONDITION("the server was started before");
  server->is_started = true;
  if (!server->options.no_validation)
    server->interceptors[server->interceptor_count++] = sky_validation_server();
  SKY_TRY(list_methods(server));
  SKY_TRY(limit_connections(server));
  server->core = create_core(server);
  grpc_server_register_completion_queue(server->core, server->rpc->queue, NULL);
  SKY_TRY(register_methods(server));
  SKY_TRY(bind_port(server));
  grpc_server_start(server->core);
  return post_calls(server);
}

int sky_server_port(const SkyServer *server) {
  return server->port;
}

void sky_server_set_serving(SkyServer *server, bool serving) {
  sky_health_set_serving(server->health, serving);
}

SkyStatus sky_server_set_service_serving(SkyServer *server, const char *service, bool serving) {
  return sky_health_set_service(server->health, service, serving);
}

typedef bool (*Condition)(const SkyServer *server);

static bool is_shut_down(const SkyServer *server) {
  return server->shutdown_done;
}

static bool has_no_connections(const SkyServer *server) {
  return !sky_goaway_has_connections(server->core);
}

static bool has_only_streams(const SkyServer *server) {
  return server->shutdown_done || server->calls_active == server->streams_active;
}

static bool has_no_calls(const SkyServer *server) {
  return server->calls_alive == 0;
}

static int64_t now_ms(void) {
  return sky_clock_monotonic_ns(sky_clock_system_borrow()) / SKY_NS_PER_MS;
}

static int64_t at_most(int64_t value, int64_t limit) {
  return value < limit ? value : limit;
}

/* With the lock held: until something of the server has changed, or the time has come. */
static void wait_for_change(SkyServer *server, int64_t until_ms) {
  const struct timespec until = {.tv_sec = until_ms / SKY_MS_PER_S, .tv_nsec = until_ms % SKY_MS_PER_S * SKY_NS_PER_MS};
  pthread_cond_timedwait(&server->changed, &server->lock, &until);
}

/* timeout_ms < 0: as long as it takes. */
static bool wait_until(SkyServer *server, Condition condition, int64_t timeout_ms) {
  const int64_t end_ms = timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms;
  bool met = false;
  pthread_mutex_lock(&server->lock);
  for (int64_t now = now_ms(); !(met = condition(server)) && now < end_ms; now = now_ms())
    wait_for_change(server,
                    condition == has_no_connections ? now + CONNECTION_POLL_MS : at_most(end_ms, now + SKY_MS_PER_S));
  pthread_mutex_unlock(&server->lock);
  return met;
}

static bool begin_shutdown(SkyServer *server) {
  pthread_mutex_lock(&server->lock);
  const bool begin = !server->shutdown_begun && server->core != NULL;
  server->shutdown_begun = true;
  pthread_mutex_unlock(&server->lock);
  return begin;
}

/*
 * Unary calls have all the time; many streams have no end of their own, so those that outlive the unary calls by a
 * moment (or half of the time) are cancelled. True when everything has ended.
 */
static bool drain_calls(SkyServer *server, Condition has_ended, int64_t end_ms) {
  const int64_t timeout_ms = end_ms - now_ms();
  if (timeout_ms <= 0)
    return false;
  (void)wait_until(server, has_only_streams, timeout_ms / 2);
  if (wait_until(server, has_ended, at_most(STREAM_GRACE_MS, timeout_ms / 4)))
    return true;
  sky_server_cancel_streams(server);
  const int64_t left_ms = end_ms - now_ms();
  return wait_until(server, has_ended, left_ms > 0 ? left_ms : 0);
}

/* The clients go, with every call answered that they sent before they knew. */
static void let_clients_go(SkyServer *server, int64_t end_ms) {
  if (now_ms() < end_ms && sky_goaway_begin(server->core))
    (void)drain_calls(server, has_no_connections, end_ms);
}

static void shut_down(SkyServer *server, int64_t end_ms) {
  atomic_store(&server->draining, true);
  grpc_server_shutdown_and_notify(server->core, server->rpc->queue, sky_tag_publish(&server->shutdown));
  if (drain_calls(server, is_shut_down, end_ms))
    return;
  grpc_server_cancel_all_calls(server->core);
  (void)wait_until(server, is_shut_down, CANCEL_GRACE_MS);
}

void sky_server_drain(SkyServer *server, int64_t timeout_ms) {
  assert(!sky_rpc_is_io_thread(server->rpc));
  const int64_t end_ms = now_ms() + (timeout_ms < 0 ? 0 : timeout_ms);
  sky_server_set_serving(server, false);
  if (!begin_shutdown(server))
    return;
  atomic_store(&server->leaving, true);
  sky_health_end_watches(server->health);
  let_clients_go(server, end_ms);
  shut_down(server, end_ms);
}

static void destroy_core(SkyServer *server) {
  if (server->core == NULL)
    return;
  sky_server_drain(server, 0);
  (void)wait_until(server, is_shut_down, -1);
  (void)wait_until(server, has_no_calls, -1);
  grpc_server_destroy(server->core);
}

void sky_server_destroy(SkyServer *server) {
  if (server == NULL)
    return;
  destroy_core(server);
  sky_server_free_calls(server);
  sky_reflection_destroy(server->reflection);
  sky_health_destroy(server->health);
  sky_tls_server_finish(&server->tls);
  sky_connection_limit_unref(server->connection_limit);
  pthread_cond_destroy(&server->changed);
  pthread_mutex_destroy(&server->lock);
  free(server->methods);
  free(server->listen);
  free(server);
}

SkyServerStats sky_server_stats(const SkyServer *server) {
  SkyServer *writable = (SkyServer *)server;
  pthread_mutex_lock(&writable->lock);
  const size_t active = server->calls_active;
  pthread_mutex_unlock(&writable->lock);
  return (SkyServerStats){.started = atomic_load(&writable->started),
                          .succeeded = atomic_load(&writable->succeeded),
                          .failed = atomic_load(&writable->failed),
                          .shed = atomic_load(&writable->shed),
                          .active = active};
}
