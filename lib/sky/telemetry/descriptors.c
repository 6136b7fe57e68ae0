#include <sky/telemetry/descriptors.h>

#include <dirent.h>
#include <pthread.h>
#include <sys/resource.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static DIR *folder; /* of this process's descriptors */

static void open_folder(void) {
  if (folder == NULL)
    folder = opendir("/proc/self/fd");
}

void sky_descriptors_prepare(void) {
  pthread_mutex_lock(&lock);
  open_folder();
  pthread_mutex_unlock(&lock);
}

static size_t count_entries(void) {
  size_t count = 0;
  rewinddir(folder);
  for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
    count += entry->d_name[0] != '.';
  return count;
}

static size_t reserve_of(size_t limit) {
  const size_t part = limit / 50;
  return part < 4 ? 4 : part > 64 ? 64 : part;
}

SkyDescriptorUse sky_descriptors_count(void) {
  struct rlimit limit = {0};
  SkyDescriptorUse use = {0};
  getrlimit(RLIMIT_NOFILE, &limit);
  use.limit = (size_t)limit.rlim_cur;
  pthread_mutex_lock(&lock);
  open_folder();
  if (folder != NULL)
    use.used = count_entries();
  pthread_mutex_unlock(&lock);
  use.exhausted = use.used + reserve_of(use.limit) > use.limit;
  return use;
}
