#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { READ_BYTES = 64 * 1024 };

static bool write_all(int fd, SkyStr data) {
  while (data.size > 0) {
    const ssize_t written = write(fd, data.data, data.size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return false;
    data = (SkyStr){data.data + written, data.size - (size_t)written};
  }
  return true;
}

static bool read_all(int fd, SkyBuf *output) {
  for (;;) {
    uint8_t *room = sky_buf_reserve(output, READ_BYTES);
    if (room == NULL)
      return false;
    const ssize_t size = read(fd, room, READ_BYTES);
    if (size < 0 && errno == EINTR)
      continue;
    if (size <= 0)
      return size == 0;
    sky_buf_commit(output, (size_t)size);
  }
}

/* The input goes into a file in memory: with a pipe both sides could wait for each other. */
static int input_file(SkyStr input) {
  const int fd = memfd_create("protoc-gen-sky", MFD_CLOEXEC);
  if (fd >= 0 && write_all(fd, input) && lseek(fd, 0, SEEK_SET) == 0)
    return fd;
  if (fd >= 0)
    close(fd);
  return -1;
}

static int spawn(const char *program, int in, int out, pid_t *ret_pid) {
  posix_spawn_file_actions_t actions;
  int error = posix_spawn_file_actions_init(&actions);
  if (error != 0)
    return error;
  char *const arguments[] = {(char *)(uintptr_t)program, NULL};
  error = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  if (error == 0)
    error = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  if (error == 0)
    error = posix_spawnp(ret_pid, program, &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

static SkyStatus collect(const char *program, pid_t pid, int fd, SkyBuf *output) {
  const bool complete = read_all(fd, output);
  int result = 0;
  while (waitpid(pid, &result, 0) < 0 && errno == EINTR)
    continue;
  if (!complete)
    return SKY_INTERNAL("%s: its output cannot be read", program);
  if (!WIFEXITED(result) || WEXITSTATUS(result) != 0)
    return SKY_INTERNAL("%s failed", program);
  return SKY_OK;
}

SkyStatus sky_child_filter(const char *program, SkyStr input, SkyBuf *output) {
  int ends[2];
  const int in = input_file(input);
  if (in < 0)
    return SKY_INTERNAL("no file in memory: %s", strerror(errno));
  if (pipe2(ends, O_CLOEXEC) != 0) {
    close(in);
    return SKY_INTERNAL("no pipe: %s", strerror(errno));
  }
  pid_t pid = 0;
  const int error = spawn(program, in, ends[1], &pid);
  close(in);
  close(ends[1]);
  SkyStatus status = error == 0 ? collect(program, pid, ends[0], output)
                                : SKY_NOT_FOUND("%s cannot be run: %s (Debian: package protobuf-c-compiler)", program,
                                                strerror(error));
  close(ends[0]);
  return status;
}
