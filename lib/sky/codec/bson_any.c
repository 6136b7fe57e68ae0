#include <sky/codec/bson_any.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <sky/codec/bson.h>

/* Only grows: a reader sees the first `count` entries complete. */
static struct {
  pthread_mutex_t lock; /* of those who add */
  atomic_size_t count;
  const ProtobufCMessageDescriptor *types[SKY_BSON_MAX_TYPES];
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const ProtobufCMessageDescriptor *find(const char *name) {
  const size_t count = atomic_load_explicit(&registry.count, memory_order_acquire);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(registry.types[i]->name, name) == 0)
      return registry.types[i];
  }
  return NULL;
}

void sky_bson_register_type(const ProtobufCMessageDescriptor *type) {
  pthread_mutex_lock(&registry.lock);
  const size_t count = registry.count;
  if (count < SKY_BSON_MAX_TYPES && find(type->name) == NULL) {
    registry.types[count] = type;
    atomic_store_explicit(&registry.count, count + 1, memory_order_release);
  }
  pthread_mutex_unlock(&registry.lock);
}

const ProtobufCMessageDescriptor *sky_bson_find_type(const char *type_url) {
  const char *slash = type_url == NULL ? NULL : strrchr(type_url, '/');
  return slash == NULL ? NULL : find(slash + 1);
}
