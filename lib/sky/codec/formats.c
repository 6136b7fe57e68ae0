/* The string formats of buf.validate, as its documentation defines them. */
#include <sky/codec/rule_tables.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

enum { UUID_SIZE = 36, TUUID_SIZE = 32, MAX_LABEL = 63, MAX_HOSTNAME = 253, MAX_PORT = 65535 };

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

static bool is_alpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_alnum(char c) {
  return is_alpha(c) || is_digit(c);
}

static bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_one_of(char c, const char *set) {
  return c != '\0' && strchr(set, c) != NULL;
}

static const char *find_last(SkyStr text, char c) {
  for (size_t i = text.size; i > 0; i--) {
    if (text.data[i - 1] == c)
      return text.data + i - 1;
  }
  return NULL;
}

static bool is_uuid(SkyStr text) {
  if (text.size != UUID_SIZE)
    return false;
  for (size_t i = 0; i < UUID_SIZE; i++) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text.data[i] != '-' : !is_hex(text.data[i]))
      return false;
  }
  return true;
}

static bool is_tuuid(SkyStr text) {
  if (text.size != TUUID_SIZE)
    return false;
  for (size_t i = 0; i < TUUID_SIZE; i++) {
    if (!is_hex(text.data[i]))
      return false;
  }
  return true;
}

static bool is_label(SkyStr label) {
  if (label.size == 0 || label.size > MAX_LABEL || label.data[0] == '-' || label.data[label.size - 1] == '-')
    return false;
  for (size_t i = 0; i < label.size; i++) {
    if (!is_alnum(label.data[i]) && label.data[i] != '-')
      return false;
  }
  return true;
}

static bool is_all_digits(SkyStr text) {
  for (size_t i = 0; i < text.size; i++) {
    if (!is_digit(text.data[i]))
      return false;
  }
  return text.size > 0;
}

/* RFC 1123; one dot may end it; the last label must not be a number, or it could be taken for an address. */
static bool is_hostname(SkyStr text) {
  if (text.size > 0 && text.data[text.size - 1] == '.')
    text.size--;
  if (text.size == 0 || text.size > MAX_HOSTNAME)
    return false;
  SkyStr label;
  while (sky_str_cut(&text, '.', &label)) {
    if (!is_label(label))
      return false;
  }
  return is_label(text) && !is_all_digits(text);
}

static bool is_address_of(int family, SkyStr text) {
  char copy[INET6_ADDRSTRLEN + 1];
  unsigned char address[sizeof(struct in6_addr)];
  if (text.size == 0 || text.size >= sizeof(copy) || memchr(text.data, 0, text.size) != NULL)
    return false;
  memcpy(copy, text.data, text.size);
  copy[text.size] = '\0';
  return inet_pton(family, copy, address) == 1;
}

static bool is_ipv6(SkyStr text) {
  const char *zone = text.size == 0 ? NULL : memchr(text.data, '%', text.size);
  if (zone == NULL)
    return is_address_of(AF_INET6, text);
  const size_t size = (size_t)(zone - text.data);
  return size + 1 < text.size && is_address_of(AF_INET6, (SkyStr){text.data, size}); /* a zone is not empty */
}

static bool is_ip(SkyStr text) {
  return is_address_of(AF_INET, text) || is_ipv6(text);
}

static bool is_port(SkyStr text) {
  uint64_t port = 0;
  if (!is_all_digits(text) || (text.size > 1 && text.data[0] == '0'))
    return false;
  return sky_str_to_uint64(text, &port) && port <= MAX_PORT;
}

static bool is_host_and_port(SkyStr text) {
  const char *colon = find_last(text, ':');
  if (colon == NULL)
    return false;
  const SkyStr host = {text.data, (size_t)(colon - text.data)};
  const SkyStr port = {colon + 1, text.size - host.size - 1};
  if (!is_port(port))
    return false;
  if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
    return is_ipv6((SkyStr){host.data + 1, host.size - 2});
  return is_address_of(AF_INET, host) || is_hostname(host);
}

/* The HTML standard's valid email address, as buf.validate takes it. */
static bool is_email(SkyStr text) {
  const char *at = text.size == 0 ? NULL : memchr(text.data, '@', text.size);
  if (at == NULL || at == text.data)
    return false;
  for (const char *c = text.data; c < at; c++) {
    if (!is_alnum(*c) && !is_one_of(*c, ".!#$%&'*+/=?^_`{|}~-"))
      return false;
  }
  SkyStr domain = {at + 1, text.size - (size_t)(at - text.data) - 1};
  SkyStr label;
  while (sky_str_cut(&domain, '.', &label)) {
    if (!is_label(label))
      return false;
  }
  return is_label(domain);
}

/* RFC 3986: only characters of the grammar, and every % begins an escape. */
static bool has_uri_characters(SkyStr text, const char *others) {
  for (size_t i = 0; i < text.size; i++) {
    const char c = text.data[i];
    if (c == '%') {
      if (text.size - i < 3 || !is_hex(text.data[i + 1]) || !is_hex(text.data[i + 2]))
        return false;
      i += 2;
    } else if (!is_alnum(c) && !is_one_of(c, "-._~!$&'()*+,;=:@/") && !is_one_of(c, others)) {
      return false;
    }
  }
  return true;
}

/* Takes what stands before the first c off the text, all when there is none. */
static SkyStr take_until(SkyStr *text, char c) {
  SkyStr head = *text;
  if (!sky_str_cut(text, c, &head))
    *text = (SkyStr){text->data + text->size, 0};
  return head;
}

/* What stands between "//" and the path: [userinfo@]host[:port]. */
static bool is_authority(SkyStr authority) {
  const char *at = find_last(authority, '@');
  if (at != NULL) {
    const SkyStr user = {authority.data, (size_t)(at - authority.data)};
    SkyStr rest = user, before;
    if (!has_uri_characters(user, "") || sky_str_cut(&rest, '@', &before))
      return false;
    authority = (SkyStr){at + 1, authority.size - user.size - 1};
  }
  if (authority.size > 0 && authority.data[0] == '[') {
    SkyStr host;
    authority = (SkyStr){authority.data + 1, authority.size - 1};
    if (!sky_str_cut(&authority, ']', &host) || !is_ipv6(host))
      return false;
    return authority.size == 0 || (authority.data[0] == ':' &&
                                   (authority.size == 1 || is_port((SkyStr){authority.data + 1, authority.size - 1})));
  }
  const SkyStr host = take_until(&authority, ':');
  return has_uri_characters(host, "") && (authority.size == 0 || is_all_digits(authority));
}

static bool is_after_scheme(SkyStr text) {
  SkyStr fragment = text;
  const SkyStr before_fragment = take_until(&fragment, '#');
  SkyStr query = before_fragment;
  SkyStr path = take_until(&query, '?');
  if (!has_uri_characters(fragment, "?") || !has_uri_characters(query, "?"))
    return false;
  if (sky_str_starts_with(path, SKY_STR("//"))) {
    SkyStr rest = {path.data + 2, path.size - 2};
    const SkyStr authority = take_until(&rest, '/');
    if (!is_authority(authority))
      return false;
    path = rest;
  }
  return has_uri_characters(path, "");
}

static bool is_scheme(SkyStr scheme) {
  if (scheme.size == 0 || !is_alpha(scheme.data[0]))
    return false;
  for (size_t i = 1; i < scheme.size; i++) {
    if (!is_alnum(scheme.data[i]) && !is_one_of(scheme.data[i], "+-."))
      return false;
  }
  return true;
}

static bool is_uri(SkyStr text) {
  SkyStr scheme;
  return sky_str_cut(&text, ':', &scheme) && is_scheme(scheme) && is_after_scheme(text);
}

/* A relative reference must not have a colon in its first segment: that would be a scheme. */
static bool is_uri_ref(SkyStr text) {
  if (is_uri(text))
    return true;
  for (size_t i = 0; i < text.size && !is_one_of(text.data[i], "/?#"); i++) {
    if (text.data[i] == ':')
      return false;
  }
  return is_after_scheme(text);
}

bool sky_format_matches(SkyFormat format, SkyStr text) {
  switch (format) {
  case SKY_FORMAT_UUID:
    return is_uuid(text);
  case SKY_FORMAT_TUUID:
    return is_tuuid(text);
  case SKY_FORMAT_EMAIL:
    return is_email(text);
  case SKY_FORMAT_HOSTNAME:
    return is_hostname(text);
  case SKY_FORMAT_IP:
    return is_ip(text);
  case SKY_FORMAT_IPV4:
    return is_address_of(AF_INET, text);
  case SKY_FORMAT_IPV6:
    return is_ipv6(text);
  case SKY_FORMAT_ADDRESS:
    return is_ip(text) || is_hostname(text);
  case SKY_FORMAT_HOST_AND_PORT:
    return is_host_and_port(text);
  case SKY_FORMAT_URI:
    return is_uri(text);
  case SKY_FORMAT_URI_REF:
    return is_uri_ref(text);
  }
  return false;
}
