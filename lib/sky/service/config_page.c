/* /config: the settings this process runs with, as JSON; secrets are not shown. */
#include "internal.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static bool is_secret(const char *flag) {
  if (strncmp(flag, "tls-", 4) == 0) /* names of files */
    return false;
  static const char *const words[] = {"secret", "password", "token", "key"};
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
    if (strcasestr(flag, words[i]) != NULL)
      return true;
  return false;
}

/* User and password of an address: what stands between "//" and "@". */
static void append_text(SkyBuf *body, const char *text) {
  const char *authority = strstr(text, "://");
  const char *at = authority == NULL ? NULL : strrchr(authority, '@');
  if (at == NULL) {
    sky_buf_append_json_string(body, text, strlen(text));
    return;
  }
  SkyBuf shown;
  sky_buf_init(&shown, 4096);
  sky_buf_append(&shown, text, (size_t)(authority + 3 - text));
  sky_buf_append_text(&shown, "***");
  sky_buf_append_text(&shown, at);
  sky_buf_append_json_string(body, (const char *)shown.data, shown.size);
  sky_buf_finish(&shown);
}

static void append_value(SkyBuf *body, const SkySetting *setting) {
  switch (setting->kind) {
  case SKY_SETTING_TEXT: {
    const char *text = *(const char *const *)setting->value;
    append_text(body, text == NULL ? "" : is_secret(setting->flag) && text[0] != '\0' ? "***" : text);
    break;
  }
  case SKY_SETTING_INT:
    sky_buf_printf(body, "%" PRId64, *(const int64_t *)setting->value);
    break;
  case SKY_SETTING_DOUBLE:
    sky_buf_printf(body, "%.17g", *(const double *)setting->value);
    break;
  case SKY_SETTING_BOOL:
    sky_buf_append_text(body, *(const bool *)setting->value ? "true" : "false");
    break;
  case SKY_SETTING_DURATION:
    sky_buf_printf(body, "\"%.9gs\"", (double)*(const int64_t *)setting->value / 1e9);
    break;
  }
}

static int config_page(void *self, const SkyAdminRequest *request, SkyBuf *body, const char **content_type) {
  const SkyService *service = self;
  *content_type = "application/json";
  sky_buf_append_byte(body, '{');
  for (size_t i = 0; i < service->setting_count; i++) {
    const SkySetting *setting = &service->all_settings[i];
    sky_buf_append_text(body, i == 0 ? "" : ",");
    sky_buf_append_json_string(body, setting->environment, strlen(setting->environment));
    sky_buf_append_byte(body, ':');
    append_value(body, setting);
  }
  sky_buf_append_text(body, "}\n");
  return 200;
}

SkyStatus sky_service_add_config_page(SkyService *service) {
  return sky_admin_add(service->admin, "/config", config_page, service);
}
