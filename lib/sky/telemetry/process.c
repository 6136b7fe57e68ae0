/* Metrics of the process itself. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sky/core/time.h>
#include <sky/telemetry/names.h>

static double seconds(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static struct rusage usage(void) {
  struct rusage result = {0};
  getrusage(RUSAGE_SELF, &result);
  return result;
}

static double cpu_user(void *user) {
  return seconds(usage().ru_utime);
}

static double cpu_system(void *user) {
  return seconds(usage().ru_stime);
}

static double cpu_all(void *user) {
  struct rusage now = usage();
  return seconds(now.ru_utime) + seconds(now.ru_stime);
}

static double switches_voluntary(void *user) {
  return (double)usage().ru_nvcsw;
}

static double switches_involuntary(void *user) {
  return (double)usage().ru_nivcsw;
}

/* Field of /proc/self/statm in pages, as bytes: 0 virtual, 1 resident. */
static double statm(int field) {
  FILE *file = fopen("/proc/self/statm", "re");
  if (file == NULL)
    return 0;
  long values[2] = {0, 0};
  int read = fscanf(file, "%ld %ld", &values[0], &values[1]);
  fclose(file);
  return read == 2 ? (double)values[field] * (double)sysconf(_SC_PAGESIZE) : 0;
}

static double memory_virtual(void *user) {
  return statm(0);
}

static double memory_resident(void *user) {
  return statm(1);
}

static double count_entries(const char *path) {
  DIR *directory = opendir(path);
  if (directory == NULL)
    return 0;
  double count = 0;
  for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
    count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

static double threads(void *user) {
  return count_entries("/proc/self/task");
}

static double descriptors(void *user) {
  return count_entries("/proc/self/fd") - 1; /* without the one that looks */
}

static int64_t started_ns;

static double uptime(void *user) {
  return (double)(sky_clock_monotonic_ns(sky_clock_system_borrow()) - started_ns) / 1e9;
}

SkyStatus sky_metrics_add_process(SkyMetrics *metrics) {
  static const struct {
    const SkyMetric *metric;
    const char *label;
    double (*read)(void *user);
  } readers[] = {
      {&sky_metric_process_cpu_time, "user", cpu_user},
      {&sky_metric_process_cpu_time, "system", cpu_system},
      {&sky_metric_process_memory_usage, "", memory_resident},
      {&sky_metric_process_memory_virtual, "", memory_virtual},
      {&sky_metric_process_thread_count, "", threads},
      {&sky_metric_process_descriptors, "", descriptors},
      {&sky_metric_process_context_switches, "voluntary", switches_voluntary},
      {&sky_metric_process_context_switches, "involuntary", switches_involuntary},
      {&sky_metric_process_uptime, "", uptime},
      {&sky_metric_classic_memory, "", memory_resident},
      {&sky_metric_classic_cpu, "", cpu_all},
      {&sky_metric_classic_descriptors, "", descriptors},
  };
  started_ns = sky_clock_monotonic_ns(sky_clock_system_borrow());
  for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]); i++)
    SKY_TRY(sky_metrics_add_reader(metrics, readers[i].metric, (const char *const[]){readers[i].label}, readers[i].read,
                                   metrics));
  return SKY_OK;
}
