/* Memory that goes from call to call: never handed out twice, never smaller than asked for, bounded when kept. */
#include "sky_check.h"

#include <stdint.h>
#include <string.h>

#include "../../../gateway/memory.h"

static nghttp2_mem *memory;

static void setup(void) {
  memory = sky_memory_for_nghttp2();
}

static uint8_t *block(size_t size, uint8_t fill) {
  uint8_t *data = memory->malloc(size, memory->mem_user_data);
  ck_assert_ptr_nonnull(data);
  ck_assert_uint_eq((uintptr_t)data % _Alignof(max_align_t), 0);
  memset(data, fill, size);
  return data;
}

static void assert_filled(const uint8_t *data, size_t size, uint8_t fill) {
  size_t filled = 0;
  while (filled < size && data[filled] == fill)
    filled++;
  ck_assert_uint_eq(filled, size);
}

static void give_back(void *data) {
  memory->free(data, memory->mem_user_data);
}

/* Round after round of every size around the borders of the classes: what one holds, no other writes. */
START_TEST(blocks_in_use_do_not_overlap) {
  enum { COUNT = 300, ROUNDS = 4 };
  uint8_t *blocks[COUNT];
  for (size_t round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < COUNT; i++)
      blocks[i] = block(i * 8 + round, (uint8_t)i);
    for (size_t i = 0; i < COUNT; i++)
      assert_filled(blocks[i], i * 8 + round, (uint8_t)i);
    for (size_t i = 0; i < COUNT; i++)
      give_back(blocks[(i * 7 + round) % COUNT]); /* 7 and 300 have no common divisor: each once */
  }
  sky_memory_free_all();
}
END_TEST

START_TEST(what_is_given_back_is_handed_out_again) {
  uint8_t *first = block(100, 1);
  give_back(first);
  ck_assert_ptr_eq(block(120, 2), first); /* of the same class */
  give_back(first);
  sky_memory_free_all();
}
END_TEST

START_TEST(cleared_memory_is_clear_also_the_second_time) {
  give_back(block(200, 0xFF));
  uint8_t *data = memory->calloc(20, 10, memory->mem_user_data);
  assert_filled(data, 200, 0);
  give_back(data);
  ck_assert_ptr_null(memory->calloc(SIZE_MAX / 2, 3, memory->mem_user_data));
  sky_memory_free_all();
}
END_TEST

START_TEST(a_block_keeps_its_bytes_as_it_grows) {
  static const size_t sizes[] = {1, 127, 128, 300, 2047, 2048, 5000, 100000, 10};
  uint8_t *data = memory->realloc(NULL, 1, memory->mem_user_data);
  size_t filled = 0;
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    data = memory->realloc(data, sizes[i], memory->mem_user_data);
    ck_assert_ptr_nonnull(data);
    assert_filled(data, filled < sizes[i] ? filled : sizes[i], 0x5A);
    memset(data, 0x5A, sizes[i]);
    filled = sizes[i];
  }
  give_back(data);
  give_back(NULL);
  sky_memory_free_all();
}
END_TEST

START_TEST(more_than_there_is_is_refused) {
  ck_assert_ptr_null(memory->malloc(SIZE_MAX, memory->mem_user_data));
  uint8_t *data = block(3000, 3);
  ck_assert_ptr_null(memory->realloc(data, SIZE_MAX, memory->mem_user_data));
  assert_filled(data, 3000, 3);
  give_back(data);
}
END_TEST

/* A buffer with memory of an earlier call has the bound of this one. */
START_TEST(a_buffer_taken_again_has_its_own_bound) {
  SkyBuf buf = sky_memory_take_buf(10000);
  for (int i = 0; i < 10000; i++)
    sky_buf_append_byte(&buf, 'x');
  const uint8_t *data = buf.data;
  sky_memory_give_back_buf(&buf);
  buf = sky_memory_take_buf(3);
  ck_assert_ptr_eq(buf.data, data);
  ck_assert_uint_eq(buf.size, 0);
  sky_buf_append_text(&buf, "abcd");
  ck_assert(buf.failed);
  sky_memory_give_back_buf(&buf);
  buf = sky_memory_take_buf(4);
  ck_assert(!buf.failed);
  sky_memory_give_back_buf(&buf);
  sky_memory_free_all();
}
END_TEST

START_TEST(large_buffers_and_arenas_are_not_kept) {
  SkyBuf buf = sky_memory_take_buf(1 << 20);
  ck_assert_ptr_nonnull(sky_buf_reserve(&buf, 100000));
  sky_memory_give_back_buf(&buf);
  buf = sky_memory_take_buf(1 << 20);
  ck_assert_uint_eq(buf.capacity, 0);
  SkyArena arena = sky_memory_take_arena();
  ck_assert_ptr_nonnull(sky_arena_alloc(&arena, 100000));
  sky_memory_give_back_arena(&arena);
  arena = sky_memory_take_arena();
  ck_assert_ptr_null(arena.current);
}
END_TEST

SKY_CHECK_MAIN_WITH("gateway/memory", setup, NULL, blocks_in_use_do_not_overlap, what_is_given_back_is_handed_out_again,
                    cleared_memory_is_clear_also_the_second_time, a_block_keeps_its_bytes_as_it_grows,
                    more_than_there_is_is_refused, a_buffer_taken_again_has_its_own_bound,
                    large_buffers_and_arenas_are_not_kept)
