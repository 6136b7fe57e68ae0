#include <sky/rpc/channelz.h>

#include <grpc/grpc.h>
#include <grpc/support/alloc.h>

enum { MAX_SOCKETS = 500 };

static char *sockets_of(intptr_t server) {
  return grpc_channelz_get_server_sockets(server, 0, MAX_SOCKETS);
}

static const struct {
  const char *name;
  char *(*read)(intptr_t id);
} questions[] = {
    {"servers", grpc_channelz_get_servers},
    {"channels", grpc_channelz_get_top_channels},
    {"server", grpc_channelz_get_server},
    {"channel", grpc_channelz_get_channel},
    {"subchannel", grpc_channelz_get_subchannel},
    {"socket", grpc_channelz_get_socket},
    {"sockets", sockets_of},
};

static SkyStatus append(char *json, SkyStr what, int64_t id, SkyBuf *out) {
  if (json == NULL)
    return SKY_NOT_FOUND("there is no %.*s %lld", SKY_STR_ARGS(what), (long long)id);
  sky_buf_append_text(out, json);
  gpr_free(json);
  return sky_buf_status(out);
}

SkyStatus sky_channelz_read(SkyStr what, int64_t id, SkyBuf *out) {
  for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
    if (sky_str_is(what, questions[i].name))
      return append(questions[i].read((intptr_t)id), what, id, out);
  }
  return SKY_INVALID_ARGUMENT("channelz knows no \"%.*s\"", SKY_STR_ARGS(what));
}
