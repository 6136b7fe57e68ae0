#include "sky_check.h"

#include <string.h>
#include <zlib.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>

#include <sky/rpc/inflate.h>

enum { TEXT_SIZE = 100000 };

static uint8_t text[TEXT_SIZE], packed[TEXT_SIZE + 1000];
static size_t packed_size;

/* Half of it repeats itself, half does not. */
static void setup(void) {
  uint32_t seed = 1;
  for (size_t i = 0; i < TEXT_SIZE; i++) {
    seed = seed * 1664525 + 1013904223;
    text[i] = i % 2000 < 1000 ? (uint8_t)(i % 7) : (uint8_t)(seed >> 24);
  }
}

static void teardown(void) {
}

static void compress_text_at(grpc_compression_algorithm algorithm, int level) {
  z_stream stream = {0};
  ck_assert_int_eq(
      deflateInit2(&stream, level, Z_DEFLATED, algorithm == GRPC_COMPRESS_GZIP ? 31 : 15, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = text;
  stream.avail_in = TEXT_SIZE;
  stream.next_out = packed;
  stream.avail_out = sizeof(packed);
  ck_assert_int_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed_size = sizeof(packed) - stream.avail_out;
  deflateEnd(&stream);
}

static void compress_text(grpc_compression_algorithm algorithm) {
  compress_text_at(algorithm, 6);
}

/* The packed bytes in slices of at most this size. */
static grpc_byte_buffer *buffer_of(grpc_compression_algorithm algorithm, size_t size, size_t slice_size) {
  grpc_byte_buffer *buffer = grpc_raw_compressed_byte_buffer_create(NULL, 0, algorithm);
  for (size_t at = 0; at < size; at += slice_size)
    grpc_slice_buffer_add_indexed(
        &buffer->data.raw.slice_buffer,
        grpc_slice_from_copied_buffer((const char *)packed + at, size - at < slice_size ? size - at : slice_size));
  return buffer;
}

static void assert_text(grpc_byte_buffer *buffer) {
  grpc_byte_buffer_reader reader;
  ck_assert(grpc_byte_buffer_reader_init(&reader, buffer));
  grpc_slice all = grpc_byte_buffer_reader_readall(&reader);
  ck_assert_uint_eq(GRPC_SLICE_LENGTH(all), TEXT_SIZE);
  ck_assert_mem_eq(GRPC_SLICE_START_PTR(all), text, TEXT_SIZE);
  grpc_slice_unref(all);
  grpc_byte_buffer_reader_destroy(&reader);
}

static SkyCode inflate_code(grpc_byte_buffer *buffer, size_t max_bytes) {
  SkyStatus status = sky_inflate(&buffer, max_bytes);
  const SkyCode code = sky_status_code(status);
  if (status == SKY_OK)
    assert_text(buffer);
  sky_status_free(status);
  grpc_byte_buffer_destroy(buffer);
  return code;
}

START_TEST(both_algorithms_in_slices_of_any_size) {
  static const size_t sizes[] = {1, 7, 1000, TEXT_SIZE};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    compress_text(GRPC_COMPRESS_GZIP);
    ck_assert_int_eq(inflate_code(buffer_of(GRPC_COMPRESS_GZIP, packed_size, sizes[i]), TEXT_SIZE), SKY_CODE_OK);
    compress_text(GRPC_COMPRESS_DEFLATE);
    ck_assert_int_eq(inflate_code(buffer_of(GRPC_COMPRESS_DEFLATE, packed_size, sizes[i]), TEXT_SIZE), SKY_CODE_OK);
  }
}
END_TEST

START_TEST(the_result_is_bounded) {
  compress_text(GRPC_COMPRESS_GZIP);
  static const size_t limits[] = {0, 1, 16 << 10, TEXT_SIZE - 1};
  for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
    ck_assert_int_eq(inflate_code(buffer_of(GRPC_COMPRESS_GZIP, packed_size, 1000), limits[i]),
                     SKY_CODE_RESOURCE_EXHAUSTED);
}
END_TEST

/* Memory is bounded by the result, however small the slices are in which the sender has cut the message. */
START_TEST(small_slices_take_no_more_memory) {
  for (int level = 0; level <= 6; level += 6) {
    compress_text_at(GRPC_COMPRESS_GZIP, level);
    grpc_byte_buffer *buffer = buffer_of(GRPC_COMPRESS_GZIP, packed_size, 1);
    ck_assert_ptr_null(sky_inflate(&buffer, 4 << 20));
    assert_text(buffer);
    ck_assert_uint_le(buffer->data.raw.slice_buffer.count, TEXT_SIZE / (16 << 10) + 2);
    grpc_byte_buffer_destroy(buffer);
  }
}
END_TEST

START_TEST(what_is_cut_off_is_refused) {
  compress_text(GRPC_COMPRESS_GZIP);
  for (size_t size = 0; size < packed_size; size += 97)
    ck_assert_int_eq(inflate_code(buffer_of(GRPC_COMPRESS_GZIP, size, 1000), TEXT_SIZE), SKY_CODE_INTERNAL);
  ck_assert_int_eq(inflate_code(buffer_of(GRPC_COMPRESS_GZIP, packed_size - 1, TEXT_SIZE), TEXT_SIZE),
                   SKY_CODE_INTERNAL);
}
END_TEST

START_TEST(bytes_behind_the_end_are_refused) {
  compress_text(GRPC_COMPRESS_DEFLATE);
  packed[packed_size] = 0;
  ck_assert_int_eq(inflate_code(buffer_of(GRPC_COMPRESS_DEFLATE, packed_size + 1, TEXT_SIZE), TEXT_SIZE),
                   SKY_CODE_INTERNAL);
  ck_assert_int_eq(inflate_code(buffer_of(GRPC_COMPRESS_DEFLATE, packed_size + 1, 1), TEXT_SIZE), SKY_CODE_INTERNAL);
}
END_TEST

/* Each byte of the beginning, and some of the rest, turned around: an error or the same text, never anything else. */
START_TEST(damage_is_refused) {
  compress_text(GRPC_COMPRESS_GZIP);
  size_t refused = 0, tried = 0;
  for (size_t i = 0; i < packed_size; i += i < 32 ? 1 : 499, tried++) {
    packed[i] ^= 0xff;
    refused += inflate_code(buffer_of(GRPC_COMPRESS_GZIP, packed_size, 1000), TEXT_SIZE) != SKY_CODE_OK;
    packed[i] ^= 0xff;
  }
  ck_assert_uint_ge(refused, tried - 6); /* time and system of the header mean nothing */
}
END_TEST

START_TEST(the_wrong_algorithm_is_refused) {
  compress_text(GRPC_COMPRESS_GZIP);
  ck_assert_int_eq(inflate_code(buffer_of(GRPC_COMPRESS_DEFLATE, packed_size, 1000), TEXT_SIZE), SKY_CODE_INTERNAL);
}
END_TEST

SKY_CHECK_MAIN_WITH("rpc/inflate", setup, teardown, both_algorithms_in_slices_of_any_size, the_result_is_bounded,
                    small_slices_take_no_more_memory, what_is_cut_off_is_refused, bytes_behind_the_end_are_refused,
                    damage_is_refused, the_wrong_algorithm_is_refused)
