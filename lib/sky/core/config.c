#include <sky/core/config.h>
#include <sky/core/str.h>
#include <sky/core/time.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Kind {
  const char *placeholder; /* in --help */
  const char *expectation; /* in errors */
} Kind;

static const Kind kinds[] = {
    [SKY_SETTING_TEXT] = {"TEXT", "a text"},
    [SKY_SETTING_INT] = {"N", "a whole number"},
    [SKY_SETTING_DOUBLE] = {"X", "a number"},
    [SKY_SETTING_BOOL] = {"BOOL", "true, false, 1, 0, yes or no"},
    [SKY_SETTING_DURATION] = {"DURATION", "a duration such as 250ms, 5s or 2m"},
};

static bool parse_bool(SkyStr text, bool *ret) {
  const bool yes = sky_str_is(text, "true") || sky_str_is(text, "1") || sky_str_is(text, "yes");
  const bool no = sky_str_is(text, "false") || sky_str_is(text, "0") || sky_str_is(text, "no");
  if (!yes && !no)
    return false;
  *ret = yes;
  return true;
}

static bool in_bounds(const SkySetting *setting, double number) {
  return (setting->min == 0 && setting->max == 0) || (number >= setting->min && number <= setting->max);
}

/* Says what a value must be; bounds in the unit the user writes. */
static SkyStatus wrong_value(const SkySetting *setting, const char *source, const char *text) {
  const char *expectation = kinds[setting->kind].expectation;
  if (setting->min == 0 && setting->max == 0)
    return SKY_INVALID_ARGUMENT("%s must be %s, not \"%s\"", source, expectation, text);
  const bool is_duration = setting->kind == SKY_SETTING_DURATION;
  const double unit = is_duration ? (double)SKY_NS_PER_S : 1;
  return SKY_INVALID_ARGUMENT("%s must be %s from %.15g%s to %.15g%s, not \"%s\"", source, expectation,
                              setting->min / unit, is_duration ? "s" : "", setting->max / unit, is_duration ? "s" : "",
                              text);
}

static bool parse_int(const SkySetting *setting, SkyStr text) {
  int64_t number;
  const bool parsed =
      setting->kind == SKY_SETTING_DURATION ? sky_str_to_duration_ns(text, &number) : sky_str_to_int64(text, &number);
  if (!parsed || !in_bounds(setting, (double)number))
    return false;
  *(int64_t *)setting->value = number;
  return true;
}

static bool parse_double(const SkySetting *setting, SkyStr text) {
  double number;
  if (!sky_str_to_double(text, &number) || !in_bounds(setting, number))
    return false;
  *(double *)setting->value = number;
  return true;
}

/* source: "--listen" or "SKY_LISTEN". */
static SkyStatus set_value(const SkySetting *setting, const char *source, const char *text) {
  bool parsed = true;
  switch (setting->kind) {
  case SKY_SETTING_TEXT:
    *(const char **)setting->value = text;
    break;
  case SKY_SETTING_INT:
  case SKY_SETTING_DURATION:
    parsed = parse_int(setting, sky_str(text));
    break;
  case SKY_SETTING_DOUBLE:
    parsed = parse_double(setting, sky_str(text));
    break;
  case SKY_SETTING_BOOL:
    parsed = parse_bool(sky_str(text), setting->value);
    break;
  }
  return parsed ? SKY_OK : wrong_value(setting, source, text);
}

static const SkySetting *find_flag(const SkySetting *settings, size_t count, SkyStr flag) {
  for (size_t i = 0; i < count; i++) {
    if (sky_str_is(flag, settings[i].flag))
      return &settings[i];
  }
  return NULL;
}

/* "--listen=x" to "listen" and "x"; "--verbose" to "verbose" and NULL. False when it is no flag. */
static bool split_flag(const char *argument, SkyStr *ret_flag, const char **ret_text) {
  SkyStr rest = sky_str(argument);
  if (!sky_str_starts_with(rest, SKY_STR("--")))
    return false;
  rest = (SkyStr){rest.data + 2, rest.size - 2};
  *ret_flag = rest;
  *ret_text = NULL;
  if (sky_str_cut(&rest, '=', ret_flag))
    *ret_text = rest.data;
  return ret_flag->size > 0;
}

static bool wants_help(int argc, char *const *argv) {
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
      return true;
  }
  return false;
}

/* Every argument must be a flag of the table, with a value unless it is a bool, and given once. */
static SkyStatus check_arguments(const SkySetting *settings, size_t count, int argc, char *const *argv) {
  for (int i = 1; i < argc; i++) {
    SkyStr flag, earlier;
    const char *text, *ignored;
    if (!split_flag(argv[i], &flag, &text))
      return SKY_INVALID_ARGUMENT("unexpected argument \"%s\"; --help lists the flags", argv[i]);
    const SkySetting *setting = find_flag(settings, count, flag);
    if (setting == NULL)
      return SKY_INVALID_ARGUMENT("unknown flag --%.*s; --help lists the flags", SKY_STR_ARGS(flag));
    if (text == NULL && setting->kind != SKY_SETTING_BOOL)
      return SKY_INVALID_ARGUMENT("--%s needs a value: --%s=%s", setting->flag, setting->flag,
                                  kinds[setting->kind].placeholder);
    for (int j = 1; j < i; j++) {
      if (split_flag(argv[j], &earlier, &ignored) && sky_str_equal(flag, earlier))
        return SKY_INVALID_ARGUMENT("--%s is given twice", setting->flag);
    }
  }
  return SKY_OK;
}

/* The value of a flag on the command line; NULL when it is not there. */
static const char *flag_text(const SkySetting *setting, int argc, char *const *argv) {
  for (int i = 1; i < argc; i++) {
    SkyStr flag;
    const char *text;
    if (split_flag(argv[i], &flag, &text) && sky_str_is(flag, setting->flag))
      return text == NULL ? "true" : text;
  }
  return NULL;
}

static SkyStatus load_setting(const SkySetting *setting, int argc, char *const *argv) {
  char flag[128];
  snprintf(flag, sizeof(flag), "--%s", setting->flag);
  const char *text = flag_text(setting, argc, argv);
  if (text != NULL)
    return set_value(setting, flag, text);
  text = setting->environment == NULL ? NULL : getenv(setting->environment);
  if (text != NULL && text[0] != '\0')
    return set_value(setting, setting->environment, text);
  if (setting->default_value != NULL)
    return set_value(setting, flag, setting->default_value);
  if (setting->environment == NULL)
    return SKY_INVALID_ARGUMENT("%s is required: %s", flag, setting->help);
  return SKY_INVALID_ARGUMENT("%s or %s is required: %s", flag, setting->environment, setting->help);
}

SkyStatus sky_config_load(const SkySetting *settings, size_t count, int argc, char *const *argv, bool *ret_help) {
  *ret_help = wants_help(argc, argv);
  if (*ret_help)
    return SKY_OK;
  SKY_TRY(check_arguments(settings, count, argc, argv));
  for (size_t i = 0; i < count; i++)
    SKY_TRY(load_setting(&settings[i], argc, argv));
  return SKY_OK;
}

static void print_setting(const SkySetting *setting) {
  printf("  --%s=%s\n      %s\n      ", setting->flag, kinds[setting->kind].placeholder, setting->help);
  if (setting->environment != NULL)
    printf("environment: %s; ", setting->environment);
  if (setting->default_value == NULL)
    printf("required\n");
  else
    printf("default: %s\n", setting->default_value[0] == '\0' ? "none" : setting->default_value);
}

void sky_config_print_help(const char *program, const char *summary, const SkySetting *settings, size_t count) {
  printf(
      "Usage: %s [--FLAG=VALUE]...\n%s\n\nA flag goes before the environment, the environment before the default.\n\n",
      program, summary);
  for (size_t i = 0; i < count; i++)
    print_setting(&settings[i]);
  printf("  --help, -h\n      print this and exit\n");
}
