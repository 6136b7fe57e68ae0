#include <sky/telemetry/admin.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sky/core/time.h>

enum {
  MAX_PATHS = 16,
  MAX_REQUEST_BYTES = 8192,
  MAX_BODY_BYTES = 4 << 20,
  CLIENT_TIMEOUT_MS = 2000,
  BACKLOG = 64,
  PAUSE_MS = 20
};

typedef struct Route {
  const char *path;
  SkyAdminHandler handler;
  void *self;
} Route;

struct SkyAdmin {
  Route routes[MAX_PATHS];
  size_t route_count;
  int listener;
  int wake;
  int spare; /* given up for the connection that asks why there are no descriptors; -1: it could not be had again */
  int port;
  bool started;
  pthread_t thread;
};

/* ---- opening ---- */

static SkyStatus split_address(const char *listen, char host[256], const char **ret_port) {
  const char *colon = strrchr(listen, ':');
  const size_t size = colon == NULL ? 0 : (size_t)(colon - listen);
  if (colon == NULL || size >= 256)
    return SKY_INVALID_ARGUMENT("\"%s\" is not host:port", listen);
  memcpy(host, listen, size);
  host[size] = '\0';
  if (host[0] == '[' && host[size - 1] == ']') { /* [::1]:9090 */
    memmove(host, host + 1, size - 2);
    host[size - 2] = '\0';
  }
  *ret_port = colon + 1;
  return SKY_OK;
}

static int bound_port(int listener) {
  struct sockaddr_storage address;
  socklen_t size = sizeof(address);
  char port[8];
  if (getsockname(listener, (struct sockaddr *)&address, &size) != 0 ||
      getnameinfo((struct sockaddr *)&address, size, NULL, 0, port, sizeof(port), NI_NUMERICSERV) != 0)
    return 0;
  return atoi(port);
}

static int open_listener(const struct addrinfo *address) {
  const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  if (fd < 0)
    return -1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static SkyStatus bind_address(const char *listen, int *ret_listener) {
  const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
  struct addrinfo *addresses;
  char host[256];
  const char *port;
  SKY_TRY(split_address(listen, host, &port));
  const int error = getaddrinfo(host[0] == '\0' ? NULL : host, port, &hints, &addresses);
  if (error != 0)
    return SKY_INVALID_ARGUMENT("\"%s\" is no address to listen on: %s", listen, gai_strerror(error));
  const int fd = open_listener(addresses);
  const int bind_error = errno;
  freeaddrinfo(addresses);
  if (fd < 0)
    return SKY_UNAVAILABLE("cannot listen on %s: %s", listen, strerror(bind_error));
  *ret_listener = fd;
  return SKY_OK;
}

static int open_spare(void) {
  return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

SkyStatus sky_admin_create(const char *listen, SkyAdmin **ret) {
  SkyAdmin *admin = calloc(1, sizeof(*admin));
  if (admin == NULL)
    return sky_status_no_memory();
  SkyStatus status = bind_address(listen, &admin->listener);
  if (status != SKY_OK) {
    free(admin);
    return status;
  }
  admin->wake = eventfd(0, EFD_CLOEXEC);
  if (admin->wake < 0) {
    close(admin->listener);
    free(admin);
    return SKY_RESOURCE_EXHAUSTED("cannot make an eventfd: %s", strerror(errno));
  }
  admin->spare = open_spare();
  admin->port = bound_port(admin->listener);
  *ret = admin;
  return SKY_OK;
}

SkyStatus sky_admin_add(SkyAdmin *admin, const char *path, SkyAdminHandler handler, void *self) {
  if (admin->route_count == MAX_PATHS)
    return SKY_RESOURCE_EXHAUSTED("the admin port serves at most %d paths", MAX_PATHS);
  admin->routes[admin->route_count++] = (Route){path, handler, self};
  return SKY_OK;
}

int sky_admin_port(const SkyAdmin *admin) {
  return admin->port;
}

/* ---- serving ---- */

/* One deadline for all that a client does: who sends or takes a byte now and then holds up the others no longer. */
static bool wait_for(int fd, short events, int64_t deadline_ns) {
  const int64_t left_ns = deadline_ns - sky_clock_monotonic_ns(sky_clock_system_borrow());
  struct pollfd polled = {.fd = fd, .events = events};
  return left_ns > 0 && poll(&polled, 1, (int)(left_ns / SKY_NS_PER_MS) + 1) == 1;
}

static bool receive_request(int fd, int64_t deadline_ns, char *request, size_t *ret_size) {
  size_t size = 0;
  while (size < MAX_REQUEST_BYTES && wait_for(fd, POLLIN, deadline_ns)) {
    const ssize_t part = recv(fd, request + size, MAX_REQUEST_BYTES - size, 0);
    if (part <= 0)
      return false;
    size += (size_t)part;
    if (memmem(request, size, "\r\n\r\n", 4) != NULL) {
      *ret_size = size;
      return true;
    }
  }
  return false;
}

static void send_all(int fd, int64_t deadline_ns, SkyStr data) {
  while (data.size > 0 && wait_for(fd, POLLOUT, deadline_ns)) {
    const ssize_t part = send(fd, data.data, data.size, MSG_NOSIGNAL);
    if (part <= 0)
      return; /* gone: there is nobody to tell */
    data.data += part;
    data.size -= (size_t)part;
  }
}

static const char *title(int status) {
  switch (status) {
  case 200:
    return "OK";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 503:
    return "Service Unavailable";
  default:
    return "Error";
  }
}

static void respond(int fd, int64_t deadline_ns, int status, const char *content_type, SkyStr body, bool head) {
  SkyBuf header;
  sky_buf_init(&header, 1024);
  sky_buf_printf(&header, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                 status, title(status), content_type, body.size);
  send_all(fd, deadline_ns, sky_buf_str(&header));
  if (!head)
    send_all(fd, deadline_ns, body);
  sky_buf_finish(&header);
}

static const Route *route_for(const SkyAdmin *admin, SkyStr path) {
  for (size_t i = 0; i < admin->route_count; i++)
    if (sky_str_is(path, admin->routes[i].path))
      return &admin->routes[i];
  return NULL;
}

static SkyStr trim(SkyStr text) {
  while (text.size > 0 && strchr(" \t\r", text.data[text.size - 1]) != NULL)
    text.size--;
  while (text.size > 0 && strchr(" \t", text.data[0]) != NULL)
    text = (SkyStr){text.data + 1, text.size - 1};
  return text;
}

/* The value of a header; empty when there is none. lines: those after the request line. */
static SkyStr header(SkyStr lines, const char *name) {
  const size_t size = strlen(name);
  SkyStr line;
  while (sky_str_cut(&lines, '\n', &line))
    if (line.size > size && line.data[size] == ':' && strncasecmp(line.data, name, size) == 0)
      return trim((SkyStr){line.data + size + 1, line.size - size - 1});
  return (SkyStr){"", 0};
}

static void split_target(SkyStr target, SkyAdminRequest *request) {
  request->query = target;
  if (!sky_str_cut(&request->query, '?', &request->path)) {
    request->path = target;
    request->query = (SkyStr){"", 0};
  }
}

static void answer(const SkyAdmin *admin, int fd, int64_t deadline_ns, SkyStr rest) {
  SkyStr method, target;
  if (!sky_str_cut(&rest, ' ', &method) || !sky_str_cut(&rest, ' ', &target))
    return;
  SkyAdminRequest request = {.accept = header(rest, "Accept")};
  split_target(target, &request);
  const bool head = sky_str_is(method, "HEAD");
  const Route *route = route_for(admin, request.path);
  const char *content_type = "text/plain; charset=utf-8";
  int status = 404;
  SkyBuf body;
  sky_buf_init(&body, MAX_BODY_BYTES);
  if (!head && !sky_str_is(method, "GET"))
    status = 405;
  else if (route != NULL)
    status = route->handler(route->self, &request, &body, &content_type);
  if (status == 404 || status == 405)
    sky_buf_printf(&body, "%s\n", title(status));
  respond(fd, deadline_ns, body.failed ? 500 : status, content_type, sky_buf_str(&body), head);
  sky_buf_finish(&body);
}

static void serve(const SkyAdmin *admin, int fd) {
  const int64_t deadline_ns =
      sky_clock_monotonic_ns(sky_clock_system_borrow()) + (int64_t)CLIENT_TIMEOUT_MS * SKY_NS_PER_MS;
  char request[MAX_REQUEST_BYTES];
  size_t size;
  if (receive_request(fd, deadline_ns, request, &size))
    answer(admin, fd, deadline_ns, (SkyStr){request, size});
  close(fd);
}

static int accept_client(const SkyAdmin *admin) {
  return accept4(admin->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/*
 * The process has no descriptors left. Just then a probe must hear so, and lives on the spare one. When another thread
 * has taken that as well, the client waits in the listener's queue.
 */
static void serve_with_spare(SkyAdmin *admin) {
  struct pollfd wake = {.fd = admin->wake, .events = POLLIN};
  if (admin->spare >= 0)
    close(admin->spare);
  const int fd = accept_client(admin);
  if (fd >= 0)
    serve(admin, fd);
  else
    (void)poll(&wake, 1, PAUSE_MS);
  admin->spare = open_spare();
}

static void *run(void *user) {
  SkyAdmin *admin = user;
  struct pollfd polled[2] = {{.fd = admin->listener, .events = POLLIN}, {.fd = admin->wake, .events = POLLIN}};
  for (;;) {
    if (poll(polled, 2, -1) < 0 && errno != EINTR)
      return NULL;
    if (polled[1].revents != 0)
      return NULL;
    const int fd = accept_client(admin);
    if (fd >= 0)
      serve(admin, fd);
    else if (errno == EMFILE || errno == ENFILE)
      serve_with_spare(admin);
  }
}

SkyStatus sky_admin_start(SkyAdmin *admin) {
  const int error = pthread_create(&admin->thread, NULL, run, admin);
  if (error != 0)
    return SKY_RESOURCE_EXHAUSTED("cannot start the admin thread: %s", strerror(error));
  admin->started = true;
  return SKY_OK;
}

void sky_admin_destroy(SkyAdmin *admin) {
  if (admin == NULL)
    return;
  const uint64_t one = 1;
  if (admin->started && write(admin->wake, &one, sizeof(one)) == (ssize_t)sizeof(one))
    pthread_join(admin->thread, NULL);
  if (admin->spare >= 0)
    close(admin->spare);
  close(admin->listener);
  close(admin->wake);
  free(admin);
}
