#include "free_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* All users of the machine share the folder, for they share the ports; the umask cuts what mkdir() may give. */
static void make_folder(char path[static 256]) {
  const char *base = getenv("TMPDIR");
  snprintf(path, 256, "%.200s/skyhook-ports", base == NULL ? "/tmp" : base);
  mkdir(path, 0777);
  chmod(path, 01777); /* by its owner */
}

/* The file of a port, whoever made it: a lock needs no right to write. Never O_CREAT on another's file:
 * fs.protected_regular forbids it. */
static int open_lock(const char *path) {
  int lock = open(path, O_RDONLY | O_CLOEXEC);
  if (lock < 0 && errno == ENOENT) {
    lock = open(path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);
    if (lock >= 0)
      fchmod(lock, 0444);
    else if (errno == EEXIST)
      lock = open(path, O_RDONLY | O_CLOEXEC);
  }
  return lock;
}

static _Noreturn void give_up(const char *why) { /* not ck_abort(): some servers start before the tests */
  fprintf(stderr, "no free port between %d and %d: %s\n", FIRST, LAST, why);
  abort();
}

/* The lock's descriptor stays open on purpose: it is the reservation. */
static bool reserve(const char *folder, int port) {
  char path[288];
  snprintf(path, sizeof(path), "%s/%d", folder, port);
  const int lock = open_lock(path);
  if (lock < 0)
    give_up(strerror(errno));
  if (flock(lock, LOCK_EX | LOCK_NB) == 0 && can_listen(port))
    return true;
  close(lock);
  return false;
}

int free_port(void) {
  char folder[256];
  make_folder(folder);
  unsigned start = 0;
  if (getrandom(&start, sizeof(start), 0) != sizeof(start))
    start = (unsigned)getpid();
  for (unsigned i = 0; i < LAST - FIRST; i++) {
    const int port = FIRST + (int)((start + i) % (LAST - FIRST));
    if (reserve(folder, port))
      return port;
  }
  give_up("all are taken");
}
