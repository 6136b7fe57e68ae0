#include "failing_malloc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

static atomic_int left = -1; /* allocations that still succeed; -1: all */
static atomic_int period;
static atomic_int failures;

void failing_malloc_arm(int successes, int every) {
  atomic_store(&failures, 0);
  atomic_store(&period, every);
  atomic_store(&left, successes);
}

void failing_malloc_disarm(void) {
  atomic_store(&left, -1);
}

int failing_malloc_failures(void) {
  return atomic_load(&failures);
}

static bool fails(void) {
  if (atomic_load(&left) < 0 || atomic_fetch_sub(&left, 1) != 0)
    return false;
  atomic_store(&left, atomic_load(&period) - 1);
  atomic_fetch_add(&failures, 1);
  return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_reallocarray(void *memory, size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_reallocarray(void *memory, size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);

void *__wrap_malloc(size_t size) {
  return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
  return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
  return fails() ? NULL : __real_realloc(memory, size);
}

void *__wrap_reallocarray(void *memory, size_t count, size_t size) {
  return fails() ? NULL : __real_reallocarray(memory, count, size);
}

char *__wrap_strdup(const char *text) {
  return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size) {
  return fails() ? NULL : __real_strndup(text, size);
}
