/* Settings of gRPC: TLS, limits and channelz; and the options that servers and clients are made with. */
#include "internal.h"

#include <string.h>

static void add_tls(SkyServiceRpcSettings *to, SkySetting *settings) {
  const SkySetting tls[] = {
      {"tls-cert", "SKY_TLS_CERT", SKY_SETTING_TEXT, &to->certificate, "",
       "file of our certificates, leaf first: serve TLS", 0, 0},
      {"tls-key", "SKY_TLS_KEY", SKY_SETTING_TEXT, &to->key, "", "file of the certificate's private key", 0, 0},
      {"tls-ca", "SKY_TLS_CA", SKY_SETTING_TEXT, &to->ca, "", "file of the CAs that callers must be certified by", 0,
       0},
      {"tls-client-cert", "SKY_TLS_CLIENT_CERT", SKY_SETTING_TEXT, &to->client_certificate, "",
       "file of the certificates that we show to peers", 0, 0},
      {"tls-client-key", "SKY_TLS_CLIENT_KEY", SKY_SETTING_TEXT, &to->client_key, "", "file of their private key", 0,
       0},
      {"tls-client-ca", "SKY_TLS_CLIENT_CA", SKY_SETTING_TEXT, &to->client_ca, "",
       "file of the CAs of our peers: call them by TLS", 0, 0},
  };
  memcpy(settings, tls, sizeof(tls));
}

static void add_limits(SkyServiceRpcSettings *to, SkySetting *settings) {
  const SkySetting limits[] = {
      {"max-request-bytes", "SKY_MAX_REQUEST_BYTES", SKY_SETTING_INT, &to->max_request_bytes, "4194304",
       "largest message that is taken", 1, INT32_MAX},
      {"max-response-bytes", "SKY_MAX_RESPONSE_BYTES", SKY_SETTING_INT, &to->max_response_bytes, "4194304",
       "largest message that is sent", 1, INT32_MAX},
      {"max-metadata-bytes", "SKY_MAX_METADATA_BYTES", SKY_SETTING_INT, &to->max_metadata_bytes, "16384",
       "most metadata of a call", 1024, 1 << 20},
      {"max-message-depth", "SKY_MAX_MESSAGE_DEPTH", SKY_SETTING_INT, &to->max_message_depth, "64",
       "deepest nesting of messages in messages", 1, 64},
      {"max-call-memory", "SKY_MAX_CALL_MEMORY", SKY_SETTING_INT, &to->max_call_memory, "16777216",
       "bytes that one call may allocate", 65536, INT32_MAX},
      {"max-calls", "SKY_MAX_CALLS", SKY_SETTING_INT, &to->max_calls, "10000", "open calls of the whole server", 1,
       1 << 20},
      {"max-streams-per-connection", "SKY_MAX_STREAMS_PER_CONNECTION", SKY_SETTING_INT, &to->max_streams_per_connection,
       "10000", "open calls of one connection; further ones wait in the client", 1, 1 << 20},
      {"max-connections", "SKY_MAX_CONNECTIONS", SKY_SETTING_INT, &to->max_connections, "0",
       "connections of the server; further ones are closed; 0: as many as there are descriptors", 0, 1 << 20},
      {"handshake-timeout", "SKY_HANDSHAKE_TIMEOUT", SKY_SETTING_DURATION, &to->handshake_timeout_ns, "10s",
       "how long a new connection may take to agree on TLS and HTTP/2", 1e6, 600e9},
      {"max-connection-age", "SKY_MAX_CONNECTION_AGE", SKY_SETTING_DURATION, &to->max_connection_age_ns, "5m",
       "when connections are ended, so that clients look again who serves", 1e6, 86400e9},
      {"short-handler", "SKY_SHORT_HANDLER", SKY_SETTING_DURATION, &to->short_handler_ns, "15us",
       "unary handlers that mostly take no longer need no worker; 0: all do", 0, 1e9},
      {"shed-after", "SKY_SHED_AFTER", SKY_SETTING_DURATION, &to->shed_after_ns, "1s",
       "overload: when all calls wait so long for a worker, those that waited twice as long are turned away; 0: never",
       0, 600e9},
      {"channelz", "SKY_CHANNELZ", SKY_SETTING_BOOL, &to->channelz, "true", "count calls and connections for /channelz",
       0, 0},
  };
  memcpy(settings, limits, sizeof(limits));
}

void sky_service_add_rpc_settings(SkyServiceRpcSettings *to, SkySetting settings[SKY_SERVICE_RPC_SETTINGS]) {
  enum { TLS_SETTINGS = 6 };
  add_tls(to, settings);
  add_limits(to, settings + TLS_SETTINGS);
}

static const char *or_null(const char *text) {
  return text != NULL && text[0] != '\0' ? text : NULL;
}

static SkyStatus open_files(const char *certificate, const char *key, const char *ca, const char *names, SkyTls **ret) {
  const SkyTlsOptions options = {.certificate = or_null(certificate), .key = or_null(key), .ca = or_null(ca)};
  if (options.certificate == NULL && options.key == NULL && options.ca == NULL)
    return SKY_OK;
  SkyStatus status = sky_tls_create(&options, ret);
  return status == SKY_OK ? SKY_OK : sky_status_annotate(status, "%s: ", names);
}

SkyStatus sky_service_open_tls(SkyService *service) {
  const SkyServiceRpcSettings *rpc = &service->settings.rpc;
  SKY_TRY(
      open_files(rpc->certificate, rpc->key, rpc->ca, "SKY_TLS_CERT, SKY_TLS_KEY, SKY_TLS_CA", &service->server_tls));
  return open_files(rpc->client_certificate, rpc->client_key, rpc->client_ca,
                    "SKY_TLS_CLIENT_CERT, SKY_TLS_CLIENT_KEY, SKY_TLS_CLIENT_CA", &service->client_tls);
}

SkyServerOptions sky_service_server_options(const SkyService *service) {
  const SkyServiceRpcSettings *rpc = &service->settings.rpc;
  return (SkyServerOptions){.listen = service->settings.listen,
                            .tls = service->server_tls,
                            .max_request_bytes = (size_t)rpc->max_request_bytes,
                            .max_response_bytes = (size_t)rpc->max_response_bytes,
                            .max_metadata_bytes = (size_t)rpc->max_metadata_bytes,
                            .max_message_depth = (size_t)rpc->max_message_depth,
                            .max_call_memory = (size_t)rpc->max_call_memory,
                            .max_concurrent_calls = (size_t)rpc->max_calls,
                            .max_streams_per_connection = (size_t)rpc->max_streams_per_connection,
                            .max_connections = (size_t)rpc->max_connections,
                            .handshake_timeout_ms = rpc->handshake_timeout_ns / SKY_NS_PER_MS,
                            .max_connection_age_ms = rpc->max_connection_age_ns / SKY_NS_PER_MS,
                            .channelz = rpc->channelz};
}

SkyClientOptions sky_service_client_options(const SkyService *service, const char *target) {
  return (SkyClientOptions){.target = target,
                            .service_name = service->definition->name,
                            .tls = service->client_tls,
                            .channelz = service->settings.rpc.channelz};
}
