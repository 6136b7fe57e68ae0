/*
 * Client: the channel, its methods, its interceptors, and what every call begins and ends with.
 */
#include "client_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

#include <sky/rpc/settings.h>
#include <sky/rpc/slices.h>
#include <sky/rpc/status_proto.h>

enum {
  DEFAULT_MAX_CALLS = 4096,
  DEFAULT_CONNECT_WAIT_MS = 500,
  DEFAULT_DRAIN_WAIT_MS = 15000, /* services drain for 10 s unless told otherwise */
  KEEPALIVE_MS = 30 * 1000,
  KEEPALIVE_TIMEOUT_MS = 10 * 1000,
  FIRST_RECONNECT_MS = 100,
  LONGEST_RECONNECT_MS = 500, /* a restarted peer is found again before its callers give up */
  CONNECT_TIMEOUT_MS = 5000,
  MAX_SERVICE_CONFIG = 256 << 10,
  WATCH_MS = 10 * 60 * 1000,
};

static grpc_arg text(const char *key, const char *value) {
  return (grpc_arg){.type = GRPC_ARG_STRING, .key = (char *)key, .value.string = (char *)value};
}

static grpc_channel *create_channel(const SkyClientOptions *options, size_t max_response, const char *service_config,
                                    grpc_channel_credentials *credentials) {
  grpc_arg args[] = {
      text(GRPC_ARG_PRIMARY_USER_AGENT_STRING, options->service_name != NULL ? options->service_name : "sky"),
      text(GRPC_ARG_SERVICE_CONFIG, service_config),
      sky_integer_arg(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1),
      sky_integer_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH,
                      sky_or_default(options->max_request_bytes, SKY_DEFAULT_MAX_MESSAGE)),
      sky_integer_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, max_response),
      sky_integer_arg(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0), /* its own has no bound: inflate.h */
      sky_integer_arg(GRPC_ARG_MAX_METADATA_SIZE,
                      sky_or_default(options->max_metadata_bytes, SKY_DEFAULT_MAX_METADATA)),
      sky_integer_arg(GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS),
      sky_integer_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS),
      sky_integer_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, FIRST_RECONNECT_MS),
      sky_integer_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, LONGEST_RECONNECT_MS),
      sky_integer_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS),
      sky_integer_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0), /* peers are in the mesh */
      sky_integer_arg(GRPC_ARG_ENABLE_CHANNELZ, options->channelz),
      text(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, options->tls_server_name),
  };
  const size_t count = sizeof(args) / sizeof(args[0]);
  const grpc_channel_args all = {.num_args = options->tls_server_name != NULL ? count : count - 1, .args = args};
  return grpc_channel_create(options->target, credentials, &all);
}

/* --- connectivity --- */

/*
 * A watch is always with the core: only a channel that some call or watch is interested in is polled by our queue, so
 * without it a client that makes no calls would neither connect nor notice that its peer is back.
 */
static void watch_connectivity(SkyClient *client) {
  const gpr_timespec until = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(WATCH_MS, GPR_TIMESPAN));
  grpc_channel_watch_connectivity_state(client->channel, client->last_state, until, client->rpc->queue,
                                        sky_tag_publish(&client->connectivity));
}

/* It has left this state, which leads only to a connection or to a failure that lasts, and is back. */
static bool has_come_and_gone(grpc_connectivity_state before, grpc_connectivity_state now) {
  return before == GRPC_CHANNEL_CONNECTING && now == GRPC_CHANNEL_CONNECTING;
}

static void connectivity_changed(SkyTag *tag, bool ok) {
  SkyClient *client = SKY_CONTAINER(tag, SkyClient, connectivity);
  pthread_mutex_lock(&client->lock);
  if (client->closing) {
    client->watching = false;
    pthread_cond_broadcast(&client->changed);
  } else {
    const grpc_connectivity_state before = client->last_state;
    client->last_state = grpc_channel_check_connectivity_state(client->channel, 0);
    if (client->last_state == GRPC_CHANNEL_READY || (ok && has_come_and_gone(before, client->last_state)))
      sky_client_wait_connected(client);
    if (client->last_state != GRPC_CHANNEL_READY)
      sky_client_wait_disconnected(client);
    watch_connectivity(client);
  }
  pthread_mutex_unlock(&client->lock);
}

bool sky_client_is_ready(SkyClient *client) {
  return grpc_channel_check_connectivity_state(client->channel, 1) == GRPC_CHANNEL_READY;
}

/* --- life --- */

static void init_settings(SkyClient *client, const SkyClientOptions *options) {
  client->max_concurrent_calls = sky_or_default(options->max_concurrent_calls, DEFAULT_MAX_CALLS);
  client->max_response_bytes = sky_or_default(options->max_response_bytes, SKY_DEFAULT_MAX_MESSAGE);
  client->connect_wait_ms = options->connect_wait_ms != 0 ? options->connect_wait_ms : DEFAULT_CONNECT_WAIT_MS;
  client->drain_wait_ms = options->drain_wait_ms != 0 ? options->drain_wait_ms : DEFAULT_DRAIN_WAIT_MS;
  client->hedging = sky_hedging_with_defaults(options->config);
  sky_hedging_init_budget(&client->hedging_budget, options->config);
  client->compression = options->compression;
  snprintf(client->target, sizeof(client->target), "%s", options->target);
}

static void start_watching(SkyClient *client) {
  client->connectivity.complete = connectivity_changed;
  client->watching = true;
  pthread_mutex_lock(&client->lock);
  client->last_state = grpc_channel_check_connectivity_state(client->channel, 1);
  watch_connectivity(client);
  pthread_mutex_unlock(&client->lock);
}

static SkyStatus create(SkyRpc *rpc, const SkyClientOptions *options, const char *service_config, SkyClient **ret) {
  grpc_channel_credentials *credentials = NULL;
  SKY_TRY(sky_tls_channel_credentials(options->tls, &credentials));
  SkyClient *client = calloc(1, sizeof(*client));
  if (client == NULL) {
    grpc_channel_credentials_release(credentials);
    return sky_status_no_memory();
  }
  client->rpc = rpc;
  client->tls = options->tls != NULL ? sky_tls_ref(options->tls) : NULL;
  init_settings(client, options);
  sky_client_wait_init(client);
  pthread_mutex_init(&client->lock, NULL);
  pthread_cond_init(&client->changed, NULL);
  client->channel = create_channel(options, client->max_response_bytes, service_config, credentials);
  grpc_channel_credentials_release(credentials);
  start_watching(client);
  *ret = client;
  return SKY_OK;
}

SkyStatus sky_client_create(SkyRpc *rpc, const SkyClientOptions *options, SkyClient **ret) {
  SkyBuf config;
  sky_buf_init(&config, MAX_SERVICE_CONFIG);
  SkyStatus status = sky_service_config_write(options->config, &config);
  sky_buf_append_byte(&config, '\0');
  if (status == SKY_OK)
    status = sky_buf_status(&config);
  if (status == SKY_OK)
    status = create(rpc, options, (const char *)config.data, ret);
  sky_buf_finish(&config);
  return status;
}

SkyStatus sky_client_intercept(SkyClient *client, SkyClientInterceptor interceptor) {
  if (client->interceptor_count == SKY_CLIENT_MAX_INTERCEPTORS)
    return SKY_RESOURCE_EXHAUSTED("a client has at most %d interceptors", SKY_CLIENT_MAX_INTERCEPTORS);
  client->interceptors[client->interceptor_count++] = interceptor;
  return SKY_OK;
}

void sky_client_destroy(SkyClient *client) {
  if (client == NULL)
    return;
  assert(!sky_rpc_is_io_thread(client->rpc));
  pthread_mutex_lock(&client->lock);
  client->closing = true;
  for (SkyClientCall *call = client->open_calls; call != NULL; call = call->next)
    grpc_call_cancel(call->core, NULL);
  while (client->open_count > 0 || client->hedged_count > 0 || client->wait_scheduled)
    pthread_cond_wait(&client->changed, &client->lock);
  pthread_mutex_unlock(&client->lock);
  sky_rpc_wait_for_io_thread(client->rpc); /* the callback of the last call may still run */
  grpc_channel_destroy(client->channel);   /* ends the watch */
  pthread_mutex_lock(&client->lock);
  while (client->watching)
    pthread_cond_wait(&client->changed, &client->lock);
  pthread_mutex_unlock(&client->lock);
  pthread_cond_destroy(&client->changed);
  pthread_mutex_destroy(&client->lock);
  sky_tls_unref(client->tls);
  free(client);
}

/* --- methods --- */

/* The method as the channel knows it; NULL for those that found no place of their own in the table. */
static void *registered_method(SkyClient *client, const SkyMethodDescriptor *method) {
  const size_t number = sky_method_number(&client->methods, method);
  if (number == SKY_METHOD_TABLE_SIZE)
    return NULL;
  void *registered = atomic_load_explicit(&client->registered[number], memory_order_acquire);
  if (registered != NULL)
    return registered;
  pthread_mutex_lock(&client->lock);
  registered = atomic_load_explicit(&client->registered[number], memory_order_relaxed);
  if (registered == NULL) {
    registered = grpc_channel_register_call(client->channel, method->path, NULL, NULL);
    atomic_store_explicit(&client->registered[number], registered, memory_order_release);
  }
  pthread_mutex_unlock(&client->lock);
  return registered;
}

static grpc_call *create_core_call(SkyClient *client, const SkyMethodDescriptor *method, int64_t deadline_ns) {
  const gpr_timespec deadline = sky_timespec_from_ns(deadline_ns);
  grpc_completion_queue *queue = client->rpc->queue;
  void *registered = registered_method(client, method);
  if (registered != NULL)
    return grpc_channel_create_registered_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue, registered,
                                               deadline, NULL);
  return grpc_channel_create_call(client->channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                  grpc_slice_from_static_string(method->path), NULL, deadline, NULL);
}

/* --- calls --- */

/* What the caller asked for with this one call. */
static SkyStatus apply_options(SkyClientCall *call, const SkyCallOptions *options) {
  static const char *const names[] = {[SKY_COMPRESSION_DEFLATE] = "deflate", [SKY_COMPRESSION_GZIP] = "gzip"};
  const bool own = options != NULL && options->compression != SKY_COMPRESSION_IDENTITY;
  const SkyCompression compression = own ? options->compression : call->client->compression;
  if (compression != SKY_COMPRESSION_IDENTITY)
    sky_metadata_list_add_own(&call->metadata, GRPC_COMPRESSION_REQUEST_ALGORITHM_MD_KEY, sky_str(names[compression]));
  if (options == NULL)
    return SKY_OK;
  for (size_t i = 0; i < options->metadata_count; i++)
    SKY_TRY(sky_metadata_list_add(&call->metadata, options->metadata[i].key, options->metadata[i].value));
  call->on_end = options->on_end;
  call->on_end_user = options->user;
  return SKY_OK;
}

/* The caller's work, as a span of its own, with the method's deadline when there is none. */
static SkyContext context_of(const SkyMethodDescriptor *method, const SkyContext *parent) {
  SkyContext context = parent != NULL ? sky_context_child(parent) : sky_context_background();
  if (context.deadline_ns != SKY_NO_DEADLINE)
    return context;
  if (method->deadline_ms > 0)
    return sky_context_with_timeout_ms(&context, method->deadline_ms);
  return method->kind == SKY_UNARY ? sky_context_with_timeout_ms(&context, SKY_CLIENT_DEADLINE_MS) : context;
}

/* With the lock held. */
static SkyStatus link_call(SkyClientCall *call, int64_t connect_wait_ms) {
  SkyClient *client = call->client;
  if (client->closing)
    return SKY_CANCELLED("the client is being closed");
  if (client->open_count >= client->max_concurrent_calls)
    return SKY_RESOURCE_EXHAUSTED("the client has %zu open calls", client->open_count);
  call->next = client->open_calls;
  if (call->next != NULL)
    call->next->previous = call;
  client->open_calls = call;
  client->open_count++;
  sky_client_wait_begin(call, connect_wait_ms);
  return SKY_OK;
}

static void unlink_call(SkyClientCall *call) {
  SkyClient *client = call->client;
  if (call->previous != NULL)
    call->previous->next = call->next;
  else
    client->open_calls = call->next;
  if (call->next != NULL)
    call->next->previous = call->previous;
}

static void end_interceptors(SkyClientCall *call, const SkyError *status) {
  while (call->begun > 0) {
    const SkyClientInterceptor *interceptor = &call->client->interceptors[--call->begun];
    if (interceptor->end != NULL)
      interceptor->end(interceptor->self, call, status);
  }
}

static SkyStatus begin_interceptors(SkyClientCall *call) {
  for (size_t i = 0; i < call->client->interceptor_count; i++) {
    const SkyClientInterceptor *interceptor = &call->client->interceptors[i];
    SkyStatus status = interceptor->begin != NULL ? interceptor->begin(interceptor->self, call) : SKY_OK;
    if (status != SKY_OK)
      return status;
    call->begun++;
  }
  return SKY_OK;
}

static void cancelled(void *user) {
  SkyClientCall *call = user;
  grpc_call_cancel(call->core, NULL);
}

static void listen_for_cancellation(SkyClientCall *call) {
  if (call->context.cancel == NULL)
    return;
  sky_cancel_ref(call->context.cancel);
  call->listener = (SkyCancelListener){.cancelled = cancelled, .user = call};
  call->listening = true;
  sky_cancel_add(call->context.cancel, &call->listener);
}

static int64_t connect_wait_of(const SkyClient *client, const SkyCallOptions *options) {
  return options != NULL && options->connect_wait_ms != 0 ? options->connect_wait_ms : client->connect_wait_ms;
}

SkyStatus sky_client_intercept_sending(SkyClientCall *call, const ProtobufCMessage *message) {
  for (size_t i = 0; i < call->client->interceptor_count; i++) {
    const SkyClientInterceptor *interceptor = &call->client->interceptors[i];
    if (interceptor->sending != NULL)
      SKY_TRY(interceptor->sending(interceptor->self, call, message));
  }
  return SKY_OK;
}

SkyStatus sky_client_intercept_received(SkyClientCall *call, const ProtobufCMessage *message) {
  for (size_t i = 0; i < call->client->interceptor_count; i++) {
    const SkyClientInterceptor *interceptor = &call->client->interceptors[i];
    if (interceptor->received != NULL)
      SKY_TRY(interceptor->received(interceptor->self, call, message));
  }
  return SKY_OK;
}

static SkyStatus begin(SkyClientCall *call, const SkyCallOptions *options, const ProtobufCMessage *request) {
  SKY_TRY(sky_context_check(&call->context));
  SKY_TRY(apply_options(call, options));
  SKY_TRY(begin_interceptors(call));
  if (request != NULL)
    SKY_TRY(sky_client_intercept_sending(call, request));
  sky_metadata_list_add_context(&call->metadata, &call->context);
  call->context.principal = NULL; /* the caller's memory, which may go before the call */
  call->core = create_core_call(call->client, call->method, call->context.deadline_ns);
  pthread_mutex_lock(&call->client->lock);
  const SkyStatus status = link_call(call, connect_wait_of(call->client, options));
  pthread_mutex_unlock(&call->client->lock);
  if (status != SKY_OK)
    grpc_call_unref(call->core);
  return status;
}

SkyStatus sky_client_call_begin(SkyClientCall *call, SkyClient *client, const SkyMethodDescriptor *method,
                                const SkyContext *context, const ProtobufCMessage *request) {
  *call = (SkyClientCall){.client = client, .method = method, .context = context_of(method, context)};
  if (context != NULL && sky_trace_is_valid(&context->trace)) {
    memcpy(call->parent_span_id, context->trace.span_id, sizeof(call->parent_span_id));
    call->has_parent_span = true;
  }
  const SkyStatus status = begin(call, context != NULL ? context->call_options : NULL, request);
  if (status != SKY_OK) {
    end_interceptors(call, status);
    sky_metadata_list_finish(&call->metadata);
    return status;
  }
  grpc_metadata_array_init(&call->initial_metadata);
  grpc_metadata_array_init(&call->trailing_metadata);
  call->message = grpc_empty_slice();
  call->made = true;
  listen_for_cancellation(call);
  return SKY_OK;
}

/* A number beyond the codes, from a peer of the future, is UNKNOWN. */
static SkyCode code_of(const SkyClientCall *call) {
  return call->code >= GRPC_STATUS_OK && (int)call->code <= SKY_CODE_UNAUTHENTICATED ? (SkyCode)call->code
                                                                                     : SKY_CODE_UNKNOWN;
}

SkyStatus sky_client_call_end(SkyClientCall *call, SkyStatus failure) {
  SkyStr details = SKY_STR("");
  (void)sky_metadata_find(&call->trailing_metadata, SKY_STATUS_DETAILS_KEY, &details);
  SkyStatus status = sky_status_decode(code_of(call), sky_slice_str(&call->message), details);
  if (status == SKY_OK)
    status = failure;
  else
    sky_status_free(failure);
  end_interceptors(call, status);
  if (call->on_end != NULL)
    call->on_end(call->on_end_user, call, status);
  return status;
}

void sky_client_call_close(SkyClientCall *call) {
  SkyClient *client = call->client;
  if (call->listening) {
    sky_cancel_remove(call->context.cancel, &call->listener);
    sky_cancel_unref(call->context.cancel);
  }
  sky_metadata_list_finish(&call->metadata);
  grpc_metadata_array_destroy(&call->initial_metadata);
  grpc_metadata_array_destroy(&call->trailing_metadata);
  grpc_slice_unref(call->message);
  pthread_mutex_lock(&client->lock);
  unlink_call(call); /* so that nobody cancels it any more */
  pthread_mutex_unlock(&client->lock);
  grpc_call_unref(call->core);
  pthread_mutex_lock(&client->lock);
  if (--client->open_count == 0 && client->closing)
    pthread_cond_broadcast(&client->changed);
  pthread_mutex_unlock(&client->lock);
}

grpc_op sky_client_initial_metadata_op(SkyClientCall *call) {
  return (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA,
                   .flags = call->wait_for_ready ? GRPC_INITIAL_METADATA_WAIT_FOR_READY |
                                                       GRPC_INITIAL_METADATA_WAIT_FOR_READY_EXPLICITLY_SET
                                                 : 0,
                   .data.send_initial_metadata = {.count = call->metadata.count, .metadata = call->metadata.entries}};
}

grpc_op sky_client_receive_initial_metadata_op(SkyClientCall *call) {
  return (grpc_op){.op = GRPC_OP_RECV_INITIAL_METADATA,
                   .data.recv_initial_metadata.recv_initial_metadata = &call->initial_metadata};
}

grpc_op sky_client_receive_status_op(SkyClientCall *call) {
  return (grpc_op){.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
                   .data.recv_status_on_client = {.trailing_metadata = &call->trailing_metadata,
                                                  .status = &call->code,
                                                  .status_details = &call->message}};
}

const SkyMethodDescriptor *sky_client_call_method(const SkyClientCall *call) {
  return call->method;
}

const SkyContext *sky_client_call_context(const SkyClientCall *call) {
  return &call->context;
}

SkyStatus sky_client_call_add_metadata(SkyClientCall *call, const char *key, SkyStr value) {
  return sky_metadata_list_add(&call->metadata, key, value);
}

bool sky_client_call_metadata(const SkyClientCall *call, const char *key, SkyStr *ret_value) {
  return sky_metadata_find(&call->initial_metadata, key, ret_value) ||
         sky_metadata_find(&call->trailing_metadata, key, ret_value);
}

bool sky_client_call_was_made(const SkyClientCall *call) {
  return call->made;
}

bool sky_client_call_was_compressed(const SkyClientCall *call) {
  return call->was_compressed;
}

void **sky_client_call_slot(SkyClientCall *call, unsigned index) {
  assert(index < SKY_CALL_SLOTS);
  return &call->slots[index];
}

void **sky_client_call_own_slot(SkyClientCall *call) {
  return &call->own_slots[call->begun]; /* in begin those before it are counted, in end it is not any more */
}

const uint8_t *sky_client_call_parent_span(const SkyClientCall *call) {
  return call->has_parent_span ? call->parent_span_id : NULL;
}
