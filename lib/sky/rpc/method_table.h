/*
 * Method table: gives each method it sees a small number, for whoever keeps something per method. (internal)
 *
 * Look-ups take no lock. A table holds 256 methods; the others share the last number.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include <sky/codec/service.h>

enum { SKY_METHOD_TABLE_SIZE = 256 /* a power of two */, SKY_METHOD_NUMBERS = SKY_METHOD_TABLE_SIZE + 1 };

typedef struct SkyMethodTable {
  const SkyMethodDescriptor *_Atomic methods[SKY_METHOD_TABLE_SIZE];
} SkyMethodTable;

/* 0 … SKY_METHOD_NUMBERS - 1, always the same for the same method. */
static inline size_t sky_method_number(SkyMethodTable *table, const SkyMethodDescriptor *method) {
  const size_t first = ((uintptr_t)method / sizeof(*method)) % SKY_METHOD_TABLE_SIZE;
  for (size_t i = 0; i < SKY_METHOD_TABLE_SIZE; i++) {
    const size_t number = (first + i) % SKY_METHOD_TABLE_SIZE;
    const SkyMethodDescriptor *found = NULL;
    if (atomic_load(&table->methods[number]) == method ||
        atomic_compare_exchange_strong(&table->methods[number], &found, method) || found == method)
      return number;
  }
  return SKY_METHOD_TABLE_SIZE;
}
