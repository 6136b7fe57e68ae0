#include "process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "free_port.h"
#include "sky_check.h"

static char text[1 << 20];

static struct sockaddr_in loopback(int port) {
  return (struct sockaddr_in){
      .sin_family = AF_INET, .sin_port = htons((in_port_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

void process_init(Process *process) {
  *process = (Process){.listen_port = free_port(), .admin_port = free_port()};
  const char *base = getenv("TMPDIR");
  snprintf(process->directory, sizeof(process->directory), "%.40s/sky-service-XXXXXX", base == NULL ? "/tmp" : base);
  ck_assert_ptr_nonnull(mkdtemp(process->directory));
  snprintf(process->log, sizeof(process->log), "%s/log", process->directory);
}

static void exec_program(const Process *process, const char *const *arguments) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const struct rlimit limit = {.rlim_cur = process->max_descriptors, .rlim_max = process->max_descriptors};
  if (process->max_descriptors != 0)
    setrlimit(RLIMIT_NOFILE, &limit);
  int log = open(process->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  setenv("MONGOC_DISABLE_SHM", "1", 1); /* or libmongoc may warn of another process's leftovers while it is loaded */
  execv(getenv("GREETER"), (char *const *)arguments);
  _exit(127);
}

void process_start_bare(Process *process, const char *const *arguments) {
  const char *all[PROCESS_MAX_ARGUMENTS] = {"skyhook-greeter"};
  for (size_t i = 0; arguments[i] != NULL && i + 2 < PROCESS_MAX_ARGUMENTS; i++)
    all[i + 1] = arguments[i];
  ck_assert_msg(getenv("GREETER") != NULL, "GREETER names the program to test");
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    exec_program(process, all);
  process->pid = pid;
}

void process_start(Process *process, const char *const *more) {
  char listen[40], admin[40], store[96];
  snprintf(listen, sizeof(listen), "--listen=127.0.0.1:%d", process->listen_port);
  snprintf(admin, sizeof(admin), "--admin=127.0.0.1:%d", process->admin_port);
  snprintf(store, sizeof(store), "--store=sqlite:%s", process->directory);
  const char *arguments[PROCESS_MAX_ARGUMENTS] = {listen, admin, store};
  for (size_t i = 0; more != NULL && more[i] != NULL && i + 5 < PROCESS_MAX_ARGUMENTS; i++)
    arguments[i + 3] = more[i];
  process_start_bare(process, arguments);
}

void process_signal(Process *process, int number) {
  ck_assert_int_ne(process->pid, 0);
  kill(process->pid, number);
}

int process_wait(Process *process) {
  int status = 0;
  pid_t ended = 0;
  SKY_CHECK_EVENTUALLY((ended = waitpid(process->pid, &status, WNOHANG)) != 0);
  ck_assert_int_eq(ended, process->pid);
  process->pid = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void process_finish(Process *process) {
  if (process->pid != 0) {
    kill(process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
    process->pid = 0;
  }
  char command[128];
  snprintf(command, sizeof(command), "rm -rf '%s'", process->directory);
  ck_assert_int_eq(system(command), 0);
}

static size_t receive_all(int fd) {
  size_t size = 0;
  for (ssize_t part; size < sizeof(text) - 1 && (part = recv(fd, text + size, sizeof(text) - 1 - size, 0)) > 0;)
    size += (size_t)part;
  text[size] = '\0';
  return size;
}

int process_get(const Process *process, const char *path, const char **ret_body) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = loopback(process->admin_port);
  char request[128];
  int size = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: test\r\n\r\n", path);
  int status = 0;
  text[0] = '\0';
  if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
      send(fd, request, (size_t)size, MSG_NOSIGNAL) == size && receive_all(fd) > 12)
    status = atoi(text + 9);
  close(fd);
  const char *body = strstr(text, "\r\n\r\n");
  if (ret_body != NULL)
    *ret_body = body == NULL ? "" : body + 4;
  return status;
}

bool process_is_ready(const Process *process) {
  return process_get(process, "/readyz", NULL) == 200;
}

static const char *read_file(const char *path) {
  FILE *file = fopen(path, "re");
  size_t size = file == NULL ? 0 : fread(text, 1, sizeof(text) - 1, file);
  if (file != NULL)
    fclose(file);
  text[size] = '\0';
  return text;
}

const char *process_output(const Process *process) {
  return read_file(process->log);
}

size_t process_resident_kb(const Process *process) {
  char path[40];
  snprintf(path, sizeof(path), "/proc/%d/status", process->pid);
  const char *line = strstr(read_file(path), "VmRSS:");
  return line == NULL ? 0 : strtoul(line + 6, NULL, 10);
}
