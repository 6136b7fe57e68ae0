#include "nats_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "free_port.h"
#include "sky_check.h"

static struct sockaddr_in loopback(int port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static bool accepts(int port) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = loopback(port);
  bool connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
  close(fd);
  return connected;
}

void nats_server_init(NatsServer *server) {
  *server = (NatsServer){.port = free_port(), .jetstream = true};
  snprintf(server->url, sizeof(server->url), "nats://127.0.0.1:%d", server->port);
  const char *base = getenv("TMPDIR");
  snprintf(server->directory, sizeof(server->directory), "%.40s/sky-nats-XXXXXX", base == NULL ? "/tmp" : base);
  ck_assert_ptr_nonnull(mkdtemp(server->directory));
}

static void exec_server(const NatsServer *server) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int null = open("/dev/null", O_RDWR);
  dup2(null, STDOUT_FILENO);
  dup2(null, STDERR_FILENO);
  const char *program = getenv("NATS_SERVER");
  char port[16];
  snprintf(port, sizeof(port), "%d", server->port);
  const char *arguments[] = {"nats-server", "-a", "127.0.0.1", "-p", port, NULL, NULL, NULL, NULL};
  if (server->jetstream)
    memcpy(&arguments[5], (const char *[]){"-js", "-sd", server->directory}, 3 * sizeof(char *));
  execvp(program == NULL ? "nats-server" : program, (char *const *)arguments);
  _exit(127);
}

void nats_server_start(NatsServer *server) {
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    exec_server(server);
  server->pid = pid;
  SKY_CHECK_EVENTUALLY(accepts(server->port));
}

static void end(NatsServer *server, int by_signal) {
  if (server->pid == 0)
    return;
  kill(server->pid, by_signal);
  waitpid(server->pid, NULL, 0);
  server->pid = 0;
}

void nats_server_kill(NatsServer *server) {
  end(server, SIGKILL);
}

void nats_server_stop(NatsServer *server) {
  end(server, SIGTERM);
}

void nats_server_pause(NatsServer *server) {
  int state;
  kill(server->pid, SIGSTOP);
  waitpid(server->pid, &state, WUNTRACED); /* on a busy machine it goes on for a while after the signal */
}

void nats_server_resume(NatsServer *server) {
  kill(server->pid, SIGCONT);
}

/* A shell command about the directory, and perhaps a stream in it. */
static void run(const NatsServer *server, const char *command, const char *stream) {
  char line[512];
  snprintf(line, sizeof(line), "cd '%s' && messages='jetstream/$G/streams/%s/msgs' && %s", server->directory, stream,
           command);
  ck_assert_int_eq(system(line), 0);
}

void nats_server_wipe(NatsServer *server) {
  run(server, "rm -rf jetstream saved", "");
}

void nats_server_save(NatsServer *server, const char *stream) {
  run(server, "rm -rf saved && cp -a \"$messages\" saved", stream);
}

void nats_server_restore(NatsServer *server, const char *stream) {
  run(server, "rm -rf \"$messages\" && cp -a saved \"$messages\"", stream);
}

void nats_server_finish(NatsServer *server) {
  nats_server_kill(server);
  nats_server_wipe(server);
  rmdir(server->directory);
}
