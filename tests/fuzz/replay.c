/* Runs a fuzz target over the files of its corpus: what was ever found stays found. replay DIR */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *folder, const char *name) {
  static uint8_t data[1 << 20];
  char path[4096];
  snprintf(path, sizeof(path), "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    return 0;
  const size_t size = fread(data, 1, sizeof(data), file);
  fclose(file);
  /* In memory of exactly its size, so that sanitizers see a step too far. */
  uint8_t *exact = malloc(size > 0 ? size : 1);
  if (exact == NULL)
    return 0;
  for (size_t i = 0; i < size; i++)
    exact[i] = data[i];
  LLVMFuzzerTestOneInput(exact, size);
  free(exact);
  return 1;
}

int main(int argc, char **argv) {
  DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
  if (folder == NULL) {
    fprintf(stderr, "usage: replay DIR\n");
    return EXIT_FAILURE;
  }
  int count = 0;
  for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
    if (entry->d_name[0] != '.')
      count += replay(argv[1], entry->d_name);
  }
  closedir(folder);
  printf("%d inputs\n", count);
  return count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
