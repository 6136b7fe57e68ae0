#include "sky_check.h"

#include <sky/codec/rule_tables.h>

typedef struct Case {
  SkyFormat format;
  const char *text;
  bool matches;
} Case;

static const Case cases[] = {
    {SKY_FORMAT_UUID, "0190b5f0-1c2d-7e3f-8a4b-5c6d7e8f9a0b", true},
    {SKY_FORMAT_UUID, "0190B5F0-1C2D-7E3F-8A4B-5C6D7E8F9A0B", true},
    {SKY_FORMAT_UUID, "", false},
    {SKY_FORMAT_UUID, "0190b5f0-1c2d-7e3f-8a4b-5c6d7e8f9a0", false},
    {SKY_FORMAT_UUID, "0190b5f0-1c2d-7e3f-8a4b-5c6d7e8f9a0g", false},
    {SKY_FORMAT_UUID, "0190b5f01-c2d-7e3f-8a4b-5c6d7e8f9a0b", false},
    {SKY_FORMAT_TUUID, "0190b5f01c2d7e3f8a4b5c6d7e8f9a0b", true},
    {SKY_FORMAT_TUUID, "0190b5f0-1c2d-7e3f-8a4b-5c6d7e8f9a0b", false},
    {SKY_FORMAT_EMAIL, "a@b", true},
    {SKY_FORMAT_EMAIL, "first.last+tag@sub.example.com", true},
    {SKY_FORMAT_EMAIL, "", false},
    {SKY_FORMAT_EMAIL, "@example.com", false},
    {SKY_FORMAT_EMAIL, "a@", false},
    {SKY_FORMAT_EMAIL, "a@b@c", false},
    {SKY_FORMAT_EMAIL, "a b@c", false},
    {SKY_FORMAT_EMAIL, "a@-b.c", false},
    {SKY_FORMAT_EMAIL, "a@b..c", false},
    {SKY_FORMAT_EMAIL, "<a@b>", false},
    {SKY_FORMAT_HOSTNAME, "example.com", true},
    {SKY_FORMAT_HOSTNAME, "example.com.", true},
    {SKY_FORMAT_HOSTNAME, "a-1.b", true},
    {SKY_FORMAT_HOSTNAME, "", false},
    {SKY_FORMAT_HOSTNAME, ".", false},
    {SKY_FORMAT_HOSTNAME, "-a.b", false},
    {SKY_FORMAT_HOSTNAME, "a_b", false},
    {SKY_FORMAT_HOSTNAME, "127.0.0.1", false},
    {SKY_FORMAT_IPV4, "127.0.0.1", true},
    {SKY_FORMAT_IPV4, "127.0.0.256", false},
    {SKY_FORMAT_IPV4, "127.0.0", false},
    {SKY_FORMAT_IPV4, "::1", false},
    {SKY_FORMAT_IPV6, "::1", true},
    {SKY_FORMAT_IPV6, "fe80::1%eth0", true},
    {SKY_FORMAT_IPV6, "fe80::1%", false},
    {SKY_FORMAT_IPV6, "1::2::3", false},
    {SKY_FORMAT_IP, "10.0.0.1", true},
    {SKY_FORMAT_IP, "2001:db8::", true},
    {SKY_FORMAT_IP, "host", false},
    {SKY_FORMAT_ADDRESS, "host", true},
    {SKY_FORMAT_ADDRESS, "::1", true},
    {SKY_FORMAT_ADDRESS, "ho st", false},
    {SKY_FORMAT_HOST_AND_PORT, "localhost:8080", true},
    {SKY_FORMAT_HOST_AND_PORT, "[::1]:0", true},
    {SKY_FORMAT_HOST_AND_PORT, "127.0.0.1:65535", true},
    {SKY_FORMAT_HOST_AND_PORT, "127.0.0.1:65536", false},
    {SKY_FORMAT_HOST_AND_PORT, "127.0.0.1:080", false},
    {SKY_FORMAT_HOST_AND_PORT, "localhost", false},
    {SKY_FORMAT_HOST_AND_PORT, "::1:80", false},
    {SKY_FORMAT_URI, "https://example.com/a?b=c#d", true},
    {SKY_FORMAT_URI, "https://user:pw@[::1]:8443/x%20y", true},
    {SKY_FORMAT_URI, "mailto:someone@example.com", true},
    {SKY_FORMAT_URI, "urn:uuid:x", true},
    {SKY_FORMAT_URI, "https://example.com:80a/", false},
    {SKY_FORMAT_URI, "https://example.com/a b", false},
    {SKY_FORMAT_URI, "https://example.com/%zz", false},
    {SKY_FORMAT_URI, "https://example.com/a#b#c", false},
    {SKY_FORMAT_URI, "https://[::1/", false},
    {SKY_FORMAT_URI, "/relative", false},
    {SKY_FORMAT_URI, "1http://x", false},
    {SKY_FORMAT_URI, "", false},
    {SKY_FORMAT_URI_REF, "/relative?x", true},
    {SKY_FORMAT_URI_REF, "a/b:c", true},
    {SKY_FORMAT_URI_REF, "", true},
    {SKY_FORMAT_URI_REF, "1a:b", false},
    {SKY_FORMAT_URI_REF, "<", false},
};

START_TEST(each_case) {
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    ck_assert_msg(sky_format_matches(cases[i].format, sky_str(cases[i].text)) == cases[i].matches,
                  "format %d: \"%s\" should%s match", (int)cases[i].format, cases[i].text,
                  cases[i].matches ? "" : " not");
}
END_TEST

START_TEST(an_empty_slice_without_address) {
  for (SkyFormat format = SKY_FORMAT_UUID; format <= SKY_FORMAT_URI; format++)
    ck_assert(!sky_format_matches(format, (SkyStr){NULL, 0}));
}
END_TEST

SKY_CHECK_MAIN("codec/formats", each_case, an_empty_slice_without_address)
