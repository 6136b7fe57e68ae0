/* What describes the process, as OpenTelemetry's environment variables have it. */
#include <stdio.h>
#include <string.h>

#include <sky/telemetry/names.h>

enum { MAX_VALUE = 256 };

static int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9')
    return digit - '0';
  if (digit >= 'a' && digit <= 'f')
    return digit - 'a' + 10;
  return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* False when it is too long or a percent sign stands for nothing. */
static bool decode(SkyStr from, char to[MAX_VALUE]) {
  size_t size = 0;
  for (size_t i = 0; i < from.size; i++) {
    if (size + 1 >= MAX_VALUE)
      return false;
    char byte = from.data[i];
    if (byte == '%') {
      bool whole = i + 2 < from.size;
      int high = whole ? hex_digit(from.data[i + 1]) : -1;
      int low = whole ? hex_digit(from.data[i + 2]) : -1;
      if (high < 0 || low < 0)
        return false;
      byte = (char)(high * 16 + low);
      i += 2;
    }
    to[size++] = byte;
  }
  to[size] = '\0';
  return true;
}

static SkyStr trim(SkyStr text) {
  while (text.size > 0 && text.data[0] == ' ')
    text = (SkyStr){text.data + 1, text.size - 1};
  while (text.size > 0 && text.data[text.size - 1] == ' ')
    text.size--;
  return text;
}

static SkyStatus set_one(SkyMetrics *metrics, SkyStr pair) {
  SkyStr key;
  char key_text[MAX_VALUE];
  char value_text[MAX_VALUE];
  if (!sky_str_cut(&pair, '=', &key) || !decode(trim(key), key_text) || key_text[0] == '\0' ||
      !decode(trim(pair), value_text) || !sky_utf8_valid(value_text, strlen(value_text)))
    return SKY_INVALID_ARGUMENT("OTEL_RESOURCE_ATTRIBUTES must be key=value,key=value with values percent-encoded");
  return sky_metrics_set_resource(metrics, key_text, value_text);
}

SkyStatus sky_metrics_set_resource_from(SkyMetrics *metrics, const char *attributes, const char *service_name) {
  SkyStr rest = trim(sky_str(attributes));
  while (rest.size > 0) {
    SkyStr pair;
    if (!sky_str_cut(&rest, ',', &pair)) {
      pair = rest;
      rest = (SkyStr){"", 0};
    }
    if (trim(pair).size > 0)
      SKY_TRY(set_one(metrics, pair));
  }
  if (service_name != NULL && service_name[0] != '\0')
    return sky_metrics_set_resource(metrics, SKY_SERVICE_NAME, service_name);
  return SKY_OK;
}
