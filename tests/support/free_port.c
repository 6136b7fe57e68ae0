#include "free_port.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIRST = 10000, LAST = 32000 };

static bool can_listen(int port) {
  const struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  const bool bound = bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
  close(fd);
  return bound;
}

/* The lock's descriptor stays open on purpose: it is the reservation. */
static bool reserve(int port) {
  const char *base = getenv("TMPDIR");
  char path[256];
  snprintf(path, sizeof(path), "%.200s/skyhook-ports", base == NULL ? "/tmp" : base);
  mkdir(path, 0777);
  snprintf(path, sizeof(path), "%.200s/skyhook-ports/%d", base == NULL ? "/tmp" : base, port);
  const int lock = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0666);
  if (lock < 0)
    return false;
  if (flock(lock, LOCK_EX | LOCK_NB) == 0 && can_listen(port))
    return true;
  close(lock);
  return false;
}

int free_port(void) {
  unsigned start = 0;
  if (getrandom(&start, sizeof(start), 0) != sizeof(start))
    start = (unsigned)getpid();
  for (unsigned i = 0; i < LAST - FIRST; i++) {
    const int port = FIRST + (int)((start + i) % (LAST - FIRST));
    if (reserve(port))
      return port;
  }
  fprintf(stderr, "no free port between %d and %d\n", FIRST,
          LAST); /* no ck_abort(): some servers start before the tests */
  abort();
}
