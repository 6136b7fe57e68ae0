#include <sky/codec/wire.h>

#include "sky_check.h"

static SkyBuf buf;

static void setup(void) {
  sky_buf_init(&buf, 1 << 20);
}

static void teardown(void) {
  sky_buf_finish(&buf);
}

START_TEST(varints_come_back) {
  static const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, (UINT64_C(1) << 63) - 1, UINT64_MAX};
  for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
    uint64_t back = 1;
    sky_buf_clear(&buf);
    sky_wire_append_varint(&buf, values[i]);
    ck_assert_uint_eq(buf.size, sky_wire_varint_size(values[i]));
    SkyWireReader reader = sky_wire_reader(buf.data, buf.size);
    ck_assert(sky_wire_read_varint(&reader, &back) && back == values[i] && sky_wire_at_end(&reader));
    for (size_t cut = 0; cut < buf.size; cut++) {
      reader = sky_wire_reader(buf.data, cut);
      ck_assert(!sky_wire_read_varint(&reader, &back));
    }
  }
}
END_TEST

START_TEST(zigzag_comes_back) {
  static const int64_t values[] = {0, -1, 1, INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++)
    ck_assert_int_eq(sky_wire_unzigzag(sky_wire_zigzag(values[i])), values[i]);
  ck_assert_uint_eq(sky_wire_zigzag(-1), 1);
}
END_TEST

START_TEST(every_kind_of_field_is_read) {
  static const char bytes[] =
      "\x08\x96\x01\x12\x02hi\x1d\x01\x00\x00\x00\x21\x02\x00\x00\x00\x00\x00\x00\x80\x2b\x33\x08\x01\x34\x2c";
  SkyWireReader reader = sky_wire_reader(bytes, sizeof(bytes) - 1);
  SkyWireField field;
  ck_assert(sky_wire_next(&reader, &field) && field.number == 1 && field.scalar == 150);
  ck_assert(sky_wire_next(&reader, &field) && field.number == 2 && sky_str_is(field.bytes, "hi"));
  ck_assert(sky_wire_next(&reader, &field) && field.number == 3 && field.scalar == 1);
  ck_assert(sky_wire_next(&reader, &field) && field.number == 4 && field.scalar == UINT64_C(0x8000000000000002));
  ck_assert(sky_wire_next(&reader, &field) && field.number == 5 && field.type == SKY_WIRE_GROUP_START &&
            field.bytes.size == 4);
  ck_assert(sky_wire_at_end(&reader));
}
END_TEST

START_TEST(malformed_fields_are_refused) {
  static const char *const cases[] = {"\x07",     "\x0e",         "\x0c",     "\x12\x03hi", "\x1d\x01\x01",
                                      "\x21\x01", "\x2b\x08\x01", "\x2b\x34", "\x80"};
  for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
    SkyWireReader reader = sky_wire_reader(cases[i], strlen(cases[i]));
    SkyWireField field;
    ck_assert_msg(!sky_wire_next(&reader, &field), "case %zu", i);
  }
}
END_TEST

START_TEST(groups_are_bounded_in_depth) {
  char bytes[300];
  memset(bytes, 0x0b, 150);
  memset(bytes + 150, 0x0c, 150);
  SkyWireReader reader = sky_wire_reader(bytes, sizeof(bytes));
  SkyWireField field;
  ck_assert(!sky_wire_next(&reader, &field));
  reader = sky_wire_reader(bytes + 50, 200);
  ck_assert(sky_wire_next(&reader, &field) && sky_wire_at_end(&reader));
}
END_TEST

START_TEST(lengths_are_filled_in_afterwards) {
  static const size_t sizes[] = {0, 127, 128, 16383, 16384, 100000};
  for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
    sky_buf_clear(&buf);
    const size_t start = sky_wire_begin_field(&buf, 1);
    for (size_t k = 0; k < sizes[i]; k++)
      sky_buf_append_byte(&buf, (uint8_t)k);
    sky_wire_end_bytes(&buf, start);
    SkyWireReader reader = sky_wire_reader(buf.data, buf.size);
    SkyWireField field;
    ck_assert(sky_wire_next(&reader, &field) && field.bytes.size == sizes[i] && sky_wire_at_end(&reader));
    for (size_t k = 0; k < sizes[i]; k++)
      ck_assert_uint_eq((uint8_t)field.bytes.data[k], (uint8_t)k);
  }
}
END_TEST

SKY_CHECK_MAIN_WITH("codec/wire", setup, teardown, varints_come_back, zigzag_comes_back, every_kind_of_field_is_read,
                    malformed_fields_are_refused, groups_are_bounded_in_depth, lengths_are_filled_in_afterwards)
