#include "ferretdb.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "free_port.h"

static struct sockaddr_in loopback(int port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static bool answers(int port) {
  struct sockaddr_in address = loopback(port);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  const bool connected = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
  close(fd);
  return connected;
}

static bool wait_until_it_answers(const Ferretdb *server) {
  const time_t until = time(NULL) + 30;
  while (time(NULL) < until) {
    if (answers(server->port))
      return true;
    if (waitpid(server->pid, NULL, WNOHANG) != 0)
      return false;
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  }
  return false;
}

_Noreturn static void run(const Ferretdb *server, const char *program) {
  char listen[32];
  char log[96];
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  snprintf(log, sizeof(log), "%s/ferretdb.log", server->folder);
  if (freopen(log, "w", stderr) == NULL) /* it warns of every command it does not know */
    _exit(127);
  snprintf(listen, sizeof(listen), "127.0.0.1:%d", server->port);
  execl(program, program, "-listen", listen, "-state", server->folder, (char *)NULL);
  _exit(127);
}

bool ferretdb_resume(Ferretdb *server) {
  server->pid = fork();
  if (server->pid == 0)
    run(server, getenv("SKY_FERRETDB"));
  return wait_until_it_answers(server);
}

void ferretdb_pause(Ferretdb *server) {
  kill(server->pid, SIGKILL);
  waitpid(server->pid, NULL, 0);
}

bool ferretdb_start(Ferretdb *server) {
  const char *program = getenv("SKY_FERRETDB");
  if (program == NULL || access(program, X_OK) != 0) {
    printf("no FerretDB at SKY_FERRETDB=%s; ./dev installs it\n", program == NULL ? "" : program);
    return false;
  }
  strcpy(server->folder, "/tmp/skystore-ferretdb-XXXXXX");
  server->port = free_port();
  snprintf(server->uri, sizeof(server->uri), "mongodb://127.0.0.1:%d/", server->port);
  if (mkdtemp(server->folder) == NULL)
    return false;
  if (ferretdb_resume(server))
    return true;
  printf("FerretDB does not answer\n");
  ferretdb_stop(server);
  return false;
}

void ferretdb_stop(Ferretdb *server) {
  char command[96];
  ferretdb_pause(server);
  snprintf(command, sizeof(command), "rm -r %s", server->folder);
  if (system(command) != 0)
    printf("cannot remove %s\n", server->folder);
}
