#include "internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMON = 8, NAME_SIZE = 64 };

typedef struct PeerNames {
  char flag[NAME_SIZE];
  char environment[NAME_SIZE];
  char default_value[NAME_SIZE];
  char help[2 * NAME_SIZE];
} PeerNames;

static void name_peer(PeerNames *names, const char *peer) {
  char upper[NAME_SIZE / 2];
  size_t i = 0;
  for (; peer[i] != '\0' && i + 1 < sizeof(upper); i++)
    upper[i] = (char)toupper((unsigned char)peer[i]);
  upper[i] = '\0';
  snprintf(names->flag, sizeof(names->flag), "%.40s-address", peer);
  snprintf(names->environment, sizeof(names->environment), "SKY_%s_ADDRESS", upper);
  snprintf(names->default_value, sizeof(names->default_value), "dns:///%.40s:50051", peer);
  snprintf(names->help, sizeof(names->help), "gRPC address of the %.40s service", peer);
}

static size_t add_common(SkyServiceSettings *s, SkySetting *settings) {
  const SkySetting common[COMMON] = {
      {"listen", "SKY_LISTEN", SKY_SETTING_TEXT, &s->listen, "127.0.0.1:50051", "address for gRPC, host:port", 0, 0},
      {"admin", "SKY_ADMIN", SKY_SETTING_TEXT, &s->admin, "127.0.0.1:9090",
       "address for /healthz, /readyz and /metrics, host:port", 0, 0},
      {"nats-url", "SKY_NATS_URL", SKY_SETTING_TEXT, &s->nats_url, "nats://127.0.0.1:4222",
       "NATS server with JetStream", 0, 0},
      {"nats-replicas", "SKY_NATS_REPLICAS", SKY_SETTING_INT, &s->nats_replicas, "1", "replicas of the streams", 1, 5},
      {"store", "SKY_STORE", SKY_SETTING_TEXT, &s->store, "sqlite:data", "document store: sqlite:DIR or mongodb://…", 0,
       0},
      {"log-level", "SKY_LOG_LEVEL", SKY_SETTING_TEXT, &s->log_level, "info",
       "trace, debug, info, warn, error or fatal", 0, 0},
      {"workers", "SKY_WORKERS", SKY_SETTING_INT, &s->workers, "16", "threads for calls that block", 1, 512},
      {"drain-timeout", "SKY_DRAIN_TIMEOUT", SKY_SETTING_DURATION, &s->drain_timeout_ns, "10s",
       "how long open calls may take after SIGTERM", 0, 600e9},
  };
  memcpy(settings, common, sizeof(common));
  return COMMON;
}

SkyStatus sky_service_load_settings(SkyService *service, int argc, char **argv, bool *ret_help) {
  const SkyServiceDefinition *definition = service->definition;
  /* The names live as long as the process: messages and --help point to them. */
  static PeerNames names[SKY_SERVICE_MAX_PEERS];
  SkySetting *settings =
      calloc(COMMON + SKY_SERVICE_RPC_SETTINGS + SKY_SERVICE_MAX_PEERS + definition->setting_count, sizeof(*settings));
  if (settings == NULL)
    return sky_status_no_memory();
  size_t count = add_common(&service->settings, settings);
  sky_service_add_rpc_settings(&service->settings.rpc, settings + count);
  count += SKY_SERVICE_RPC_SETTINGS;
  for (size_t i = 0; definition->peers != NULL && definition->peers[i] != NULL && i < SKY_SERVICE_MAX_PEERS; i++) {
    name_peer(&names[i], definition->peers[i]);
    settings[count++] = (SkySetting){.flag = names[i].flag,
                                     .environment = names[i].environment,
                                     .kind = SKY_SETTING_TEXT,
                                     .value = &service->settings.peer_addresses[i],
                                     .default_value = names[i].default_value,
                                     .help = names[i].help};
  }
  if (definition->setting_count > 0)
    memcpy(settings + count, definition->settings, definition->setting_count * sizeof(*settings));
  count += definition->setting_count;
  SkyStatus status = sky_config_load(settings, count, argc, argv, ret_help);
  if (*ret_help)
    sky_config_print_help(argv[0], definition->summary, settings, count);
  service->all_settings = settings; /* as long as the process */
  service->setting_count = count;
  return status;
}
