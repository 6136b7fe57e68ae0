/* /channelz: what the gRPC core knows of servers, channels and calls. /tls: the certificates in use. For operators. */
#include "internal.h"

#include <inttypes.h>

#include <sky/rpc/channelz.h>

static int say(SkyBuf *body, int http_status, SkyStatus status) {
  sky_buf_clear(body);
  sky_buf_append_text(body, "{\"error\":");
  sky_buf_append_json_string(body, sky_status_message(status), sky_str(sky_status_message(status)).size);
  sky_buf_append_text(body, "}\n");
  sky_status_free(status);
  return http_status;
}

static SkyStatus read_both(SkyBuf *body) {
  sky_buf_append_text(body, "{\"servers\":");
  SKY_TRY(sky_channelz_read(SKY_STR("servers"), 0, body));
  sky_buf_append_text(body, ",\"channels\":");
  SKY_TRY(sky_channelz_read(SKY_STR("channels"), 0, body));
  sky_buf_append_text(body, "}\n");
  return SKY_OK;
}

/* "/channelz" lists servers and channels; "/channelz?server=1" and the like show one thing. */
static int channelz_page(void *self, const SkyAdminRequest *request, SkyBuf *body, const char **content_type) {
  SkyStr id_text = request->query, what;
  int64_t id = 0;
  *content_type = "application/json";
  SkyStatus status;
  if (request->query.size == 0)
    status = read_both(body);
  else if (!sky_str_cut(&id_text, '=', &what) || !sky_str_to_int64(id_text, &id))
    status = SKY_INVALID_ARGUMENT("ask for servers, channels, server, sockets, channel, subchannel or socket = ID");
  else
    status = sky_channelz_read(what, id, body);
  if (status == SKY_OK)
    return 200;
  return say(body, sky_status_code(status) == SKY_CODE_NOT_FOUND ? 404 : 400, status);
}

static void append_tls(SkyBuf *body, const char *name, SkyTls *tls) {
  sky_buf_printf(body, "\"%s\":", name);
  if (tls == NULL) {
    sky_buf_append_text(body, "null");
    return;
  }
  const SkyTlsState state = sky_tls_state(tls);
  sky_buf_printf(body, "{\"expires_unix_s\":%" PRId64 ",\"reloads\":%" PRIu64 ",\"failures\":%" PRIu64 ",\"error\":",
                 state.expires_unix_s, state.reloads, state.failures);
  sky_buf_append_json_string(body, state.error, sky_str(state.error).size);
  sky_buf_append_byte(body, '}');
}

static int tls_page(void *self, const SkyAdminRequest *request, SkyBuf *body, const char **content_type) {
  const SkyService *service = self;
  *content_type = "application/json";
  sky_buf_append_byte(body, '{');
  append_tls(body, "server", service->server_tls);
  sky_buf_append_byte(body, ',');
  append_tls(body, "client", service->client_tls);
  sky_buf_append_text(body, "}\n");
  return 200;
}

SkyStatus sky_service_add_rpc_pages(SkyService *service) {
  SKY_TRY(sky_admin_add(service->admin, "/channelz", channelz_page, service));
  return sky_admin_add(service->admin, "/tls", tls_page, service);
}
