/* What the files of this layer share. Not installed. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include <sky/core/timer.h>
#include <sky/rpc/interceptors/metrics.h>
#include <sky/rpc/interceptors/shedding.h>
#include <sky/rpc/tls.h>
#include <sky/service/service.h>
#include <sky/telemetry/admin.h>
#include <sky/telemetry/metrics.h>

enum { SKY_SERVICE_MAX_PEERS = 16, SKY_SERVICE_MAX_TASKS = 32, SKY_SERVICE_MAX_CHECKS = 16 };

/* What concerns gRPC alone: rpc_settings.c. */
enum { SKY_SERVICE_RPC_SETTINGS = 19 };
typedef struct SkyServiceRpcSettings {
  const char *certificate, *key, *ca;                      /* of the server; "" when not set */
  const char *client_certificate, *client_key, *client_ca; /* of calls to peers */
  int64_t max_request_bytes, max_response_bytes, max_metadata_bytes, max_message_depth, max_call_memory;
  int64_t max_calls, max_streams_per_connection, max_connections;
  int64_t handshake_timeout_ns, max_connection_age_ns;
  bool channelz;
  int64_t short_handler_ns; /* 0: none is short */
  int64_t shed_after_ns;    /* 0: never */
} SkyServiceRpcSettings;

typedef struct SkyServiceSettings {
  const char *listen;
  const char *admin;
  const char *nats_url;
  const char *store;
  const char *log_level;
  int64_t workers;
  int64_t nats_replicas;
  int64_t drain_timeout_ns;
  const char *peer_addresses[SKY_SERVICE_MAX_PEERS];
  SkyServiceRpcSettings rpc;
} SkyServiceSettings;

typedef struct SkyTask {
  SkyService *service;
  const char *name;
  int64_t period_ms;
  SkyStatus (*run)(void *user, const SkyContext *context);
  void *user;
  SkyTimer timer;
  bool running; /* guarded by the tasks' mutex */
} SkyTask;

typedef struct SkyTasks {
  pthread_mutex_t mutex;
  pthread_cond_t idle;
  bool stopping;
  SkyTimers *timers;
  SkyTask list[SKY_SERVICE_MAX_TASKS];
  size_t count;
} SkyTasks;

typedef struct SkyCheck {
  const char *name;
  bool (*ready)(void *user);
  void *user;
} SkyCheck;

struct SkyService {
  const SkyServiceDefinition *definition;
  SkyServiceSettings settings;
  char instance_id[SKY_UUID_TEXT_SIZE];
  SkySetting *all_settings; /* for /config */
  size_t setting_count;
  SkyMetrics *metrics;
  SkyRpcMetrics rpc_metrics;
  SkyShedding *shedding; /* NULL: none */
  SkyInstrument *task_durations;
  SkyAdmin *admin;
  SkyStore *store;
  SkyBus *bus;
  SkyRpc *rpc;
  SkyTls *server_tls, *client_tls; /* NULL: plain text */
  SkyServer *server;
  pthread_mutex_t probe_lock; /* held while /healthz looks at the server, and while it is taken away */
  SkyClient *peers[SKY_SERVICE_MAX_PEERS];
  SkyTasks tasks;
  SkyCheck checks[SKY_SERVICE_MAX_CHECKS];
  size_t check_count;
  _Atomic bool started;  /* definition->start has succeeded */
  _Atomic bool stopping; /* a signal came */
};

/* settings.c: fills service->settings and the service's own. */
SKY_MUST_USE SkyStatus sky_service_load_settings(SkyService *service, int argc, char **argv, bool *ret_help);

/* rpc_settings.c */
void sky_service_add_rpc_settings(SkyServiceRpcSettings *to, SkySetting settings[SKY_SERVICE_RPC_SETTINGS]);
SKY_MUST_USE SkyStatus sky_service_open_tls(SkyService *service);
SkyServerOptions sky_service_server_options(const SkyService *service);
SkyClientOptions sky_service_client_options(const SkyService *service, const char *target);

/* tasks.c */
SKY_MUST_USE SkyStatus sky_tasks_init(SkyTasks *tasks);
void sky_tasks_stop(SkyTasks *tasks); /* no task runs afterwards; may be called twice */
void sky_tasks_finish(SkyTasks *tasks);

/* probes.c: /healthz and /readyz. */
SKY_MUST_USE SkyStatus sky_service_add_probes(SkyService *service);

/* instrument.c: /metrics; every call is measured and logged, and shed when the service is overloaded. */
SKY_MUST_USE SkyStatus sky_service_open_metrics(SkyService *service);
SKY_MUST_USE SkyStatus sky_service_instrument_server(SkyService *service);
SKY_MUST_USE SkyStatus sky_service_instrument_client(SkyService *service, SkyClient *client);

/* rpc_pages.c: /channelz and /tls. */
SKY_MUST_USE SkyStatus sky_service_add_rpc_pages(SkyService *service);

/* config_page.c: /config. */
SKY_MUST_USE SkyStatus sky_service_add_config_page(SkyService *service);
