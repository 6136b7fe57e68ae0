/*
 * Probe: does the server still accept connections? The core's listener (gRPC 1.51) gives up for ever when it finds no
 * descriptor for a connection, and nothing else says so: the kernel goes on to complete handshakes until its queue is
 * full. So we connect to ourselves. A plain HTTP/2 server speaks first; a TLS server answers what is no TLS by closing.
 */
#include "server_internal.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char no_protocol[] = "sky liveness probe\r\n\r\n";

/* The host of "host:port", "[host]:port"; where it stands for all addresses, the loopback. */
static void host_of(const char *listen, char host[256]) {
  const char *colon = strrchr(listen, ':');
  const size_t size = colon != NULL ? (size_t)(colon - listen) : 0;
  const bool bracketed = size >= 2 && listen[0] == '[' && listen[size - 1] == ']';
  snprintf(host, 256, "%.*s", (int)(bracketed ? size - 2 : size), bracketed ? listen + 1 : listen);
  if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "") == 0)
    snprintf(host, 256, "127.0.0.1");
  else if (strcmp(host, "::") == 0)
    snprintf(host, 256, "::1");
}

static SkyStatus find_address(const SkyServer *server, struct addrinfo **ret) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  char host[256], port[8];
  host_of(server->listen, host);
  snprintf(port, sizeof(port), "%d", server->port);
  const int error = getaddrinfo(host, port, &hints, ret);
  return error == 0 ? SKY_OK : SKY_UNAVAILABLE("cannot find %s: %s", server->listen, gai_strerror(error));
}

static bool answers(int fd, int timeout_ms) {
  struct pollfd polled = {.fd = fd, .events = POLLOUT};
  if (poll(&polled, 1, timeout_ms) != 1 || send(fd, no_protocol, sizeof(no_protocol) - 1, MSG_NOSIGNAL) < 0)
    return false;
  polled.events = POLLIN;
  return poll(&polled, 1, timeout_ms) == 1;
}

static SkyStatus knock(const SkyServer *server, const struct addrinfo *address, int timeout_ms) {
  const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return SKY_RESOURCE_EXHAUSTED("no socket can be had: %s", strerror(errno));
  const bool connecting = connect(fd, address->ai_addr, address->ai_addrlen) == 0 || errno == EINPROGRESS;
  const bool alive = connecting && answers(fd, timeout_ms);
  close(fd);
  return alive ? SKY_OK : SKY_UNAVAILABLE("the server does not answer on port %d", server->port);
}

SkyStatus sky_server_probe(const SkyServer *server, int timeout_ms) {
  struct addrinfo *address = NULL;
  if (server->port <= 1 || atomic_load(&server->draining)) /* not bound to a TCP port, or not any more */
    return SKY_OK;
  SKY_TRY(find_address(server, &address));
  const SkyStatus status = knock(server, address, timeout_ms);
  freeaddrinfo(address);
  return status;
}
