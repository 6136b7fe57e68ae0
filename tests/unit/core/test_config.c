#include <sky/core/config.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sky_check.h"

static struct {
  const char *listen;
  int64_t workers;
  double ratio;
  bool verbose;
  int64_t timeout_ns;
  const char *peer;
} config;

static const SkySetting settings[] = {
    {"listen", "TEST_LISTEN", SKY_SETTING_TEXT, &config.listen, "127.0.0.1:9000", "where to listen", 0, 0},
    {"workers", "TEST_WORKERS", SKY_SETTING_INT, &config.workers, "4", "number of workers", 1, 64},
    {"ratio", "TEST_RATIO", SKY_SETTING_DOUBLE, &config.ratio, "0.5", "sampling ratio", 0, 1},
    {"verbose", "TEST_VERBOSE", SKY_SETTING_BOOL, &config.verbose, "false", "say more", 0, 0},
    {"timeout", "TEST_TIMEOUT", SKY_SETTING_DURATION, &config.timeout_ns, "5s", "how long to wait", 1e6, 60e9},
    {"peer", "TEST_PEER", SKY_SETTING_TEXT, &config.peer, NULL, "address of the peer", 0, 0},
};
enum { COUNT = sizeof(settings) / sizeof(settings[0]) };

static void setup(void) {
  setenv("TEST_PEER", "peer:1", 1);
}

static SkyStatus load(const char *const *arguments, bool *ret_help) {
  char *argv[8] = {(char[]){"program"}};
  int argc = 1;
  for (; arguments[argc - 1] != NULL; argc++)
    argv[argc] = (char *)(uintptr_t)arguments[argc - 1];
  return sky_config_load(settings, COUNT, argc, argv, ret_help);
}

#define LOAD(help, ...) load((const char *const[]){__VA_ARGS__, NULL}, help)

static void assert_loads(const char *argument) {
  bool help;
  SkyStatus status = load((const char *const[]){argument, NULL}, &help);
  ck_assert_msg(status == SKY_OK, "%s", sky_status_message(status));
  ck_assert(!help);
}

static void assert_refused(const char *argument, const char *message) {
  bool help;
  SkyStatus status = load((const char *const[]){argument, NULL}, &help);
  ck_assert_int_eq(sky_status_code(status), SKY_CODE_INVALID_ARGUMENT);
  ck_assert_str_eq(sky_status_message(status), message);
  sky_status_free(status);
}

START_TEST(defaults_hold_when_nothing_is_said) {
  assert_loads(NULL);
  ck_assert_str_eq(config.listen, "127.0.0.1:9000");
  ck_assert_int_eq(config.workers, 4);
  ck_assert(config.ratio == 0.5);
  ck_assert(!config.verbose);
  ck_assert_int_eq(config.timeout_ns, 5000000000);
  ck_assert_str_eq(config.peer, "peer:1");
}
END_TEST

START_TEST(flags_go_before_the_environment_and_that_before_the_default) {
  setenv("TEST_WORKERS", "8", 1);
  assert_loads(NULL);
  ck_assert_int_eq(config.workers, 8);
  assert_loads("--workers=16");
  ck_assert_int_eq(config.workers, 16);
}
END_TEST

START_TEST(an_empty_variable_is_not_set_but_an_empty_flag_is) {
  setenv("TEST_LISTEN", "", 1);
  assert_loads(NULL);
  ck_assert_str_eq(config.listen, "127.0.0.1:9000");
  assert_loads("--listen=");
  ck_assert_str_eq(config.listen, "");
}
END_TEST

START_TEST(values_may_contain_equal_signs) {
  assert_loads("--listen=a=b");
  ck_assert_str_eq(config.listen, "a=b");
}
END_TEST

START_TEST(bools_have_many_words) {
  static const char *const yes[] = {"--verbose", "--verbose=true", "--verbose=1", "--verbose=yes"};
  static const char *const no[] = {"--verbose=false", "--verbose=0", "--verbose=no"};
  for (size_t i = 0; i < 4; i++) {
    config.verbose = false;
    assert_loads(yes[i]);
    ck_assert(config.verbose);
  }
  for (size_t i = 0; i < 3; i++) {
    config.verbose = true;
    assert_loads(no[i]);
    ck_assert(!config.verbose);
  }
  assert_refused("--verbose=on", "--verbose must be true, false, 1, 0, yes or no, not \"on\"");
  assert_refused("--verbose=", "--verbose must be true, false, 1, 0, yes or no, not \"\"");
}
END_TEST

START_TEST(bounds_are_inclusive_and_named_in_the_error) {
  assert_loads("--workers=1");
  assert_loads("--workers=64");
  assert_refused("--workers=0", "--workers must be a whole number from 1 to 64, not \"0\"");
  assert_refused("--workers=65", "--workers must be a whole number from 1 to 64, not \"65\"");
  assert_loads("--ratio=1");
  assert_refused("--ratio=1.01", "--ratio must be a number from 0 to 1, not \"1.01\"");
  assert_loads("--timeout=60s");
  assert_refused("--timeout=2m", "--timeout must be a duration such as 250ms, 5s or 2m from 0.001s to 60s, not \"2m\"");
}
END_TEST

START_TEST(wrong_values_name_their_source) {
  assert_refused("--workers=four", "--workers must be a whole number from 1 to 64, not \"four\"");
  assert_refused("--timeout=5", "--timeout must be a duration such as 250ms, 5s or 2m from 0.001s to 60s, not \"5\"");
  setenv("TEST_WORKERS", "4.5", 1);
  assert_refused(NULL, "TEST_WORKERS must be a whole number from 1 to 64, not \"4.5\"");
}
END_TEST

START_TEST(required_settings_are_asked_for) {
  unsetenv("TEST_PEER");
  assert_refused(NULL, "--peer or TEST_PEER is required: address of the peer");
  assert_loads("--peer=x");
  ck_assert_str_eq(config.peer, "x");
}
END_TEST

START_TEST(unknown_and_loose_arguments_are_refused) {
  assert_refused("--lissten=x", "unknown flag --lissten; --help lists the flags");
  assert_refused("--listenx", "unknown flag --listenx; --help lists the flags");
  assert_refused("listen", "unexpected argument \"listen\"; --help lists the flags");
  assert_refused("-v", "unexpected argument \"-v\"; --help lists the flags");
  assert_refused("--", "unexpected argument \"--\"; --help lists the flags");
  assert_refused("--=x", "unexpected argument \"--=x\"; --help lists the flags");
  assert_refused("--workers", "--workers needs a value: --workers=N");
}
END_TEST

START_TEST(a_flag_given_twice_is_refused) {
  bool help;
  SkyStatus status = LOAD(&help, "--workers=2", "--verbose", "--workers=3");
  ck_assert_str_eq(sky_status_message(status), "--workers is given twice");
  sky_status_free(status);
}
END_TEST

START_TEST(help_goes_before_every_error) {
  bool help = false;
  unsetenv("TEST_PEER");
  ck_assert_ptr_null(LOAD(&help, "--nonsense", "--help"));
  ck_assert(help);
  help = false;
  ck_assert_ptr_null(LOAD(&help, "-h"));
  ck_assert(help);
}
END_TEST

START_TEST(a_table_with_a_wrong_default_says_so) {
  int64_t number = 0;
  const SkySetting wrong = {"n", NULL, SKY_SETTING_INT, &number, "many", "a number", 0, 0};
  bool help;
  char *argv[] = {(char[]){"program"}, NULL};
  SkyStatus status = sky_config_load(&wrong, 1, 1, argv, &help);
  ck_assert_str_eq(sky_status_message(status), "--n must be a whole number, not \"many\"");
  sky_status_free(status);
}
END_TEST

START_TEST(help_lists_every_setting) {
  char text[8192];
  FILE *file = tmpfile();
  fflush(stdout);
  const int saved = dup(STDOUT_FILENO);
  dup2(fileno(file), STDOUT_FILENO);
  sky_config_print_help("skyhook-test", "Tests.", settings, COUNT);
  fflush(stdout);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  rewind(file);
  const size_t size = fread(text, 1, sizeof(text) - 1, file);
  text[size] = '\0';
  fclose(file);
  ck_assert_ptr_nonnull(strstr(text, "Usage: skyhook-test [--FLAG=VALUE]...\nTests.\n"));
  for (size_t i = 0; i < COUNT; i++) {
    ck_assert_ptr_nonnull(strstr(text, settings[i].flag));
    ck_assert_ptr_nonnull(strstr(text, settings[i].environment));
    ck_assert_ptr_nonnull(strstr(text, settings[i].help));
  }
  ck_assert_ptr_nonnull(strstr(text, "  --timeout=DURATION\n"));
  ck_assert_ptr_nonnull(strstr(text, "environment: TEST_TIMEOUT; default: 5s\n"));
  ck_assert_ptr_nonnull(strstr(text, "environment: TEST_PEER; required\n"));
}
END_TEST

SKY_CHECK_MAIN_WITH("core/config", setup, NULL, defaults_hold_when_nothing_is_said,
                    flags_go_before_the_environment_and_that_before_the_default,
                    an_empty_variable_is_not_set_but_an_empty_flag_is, values_may_contain_equal_signs,
                    bools_have_many_words, bounds_are_inclusive_and_named_in_the_error, wrong_values_name_their_source,
                    required_settings_are_asked_for, unknown_and_loose_arguments_are_refused,
                    a_flag_given_twice_is_refused, help_goes_before_every_error, a_table_with_a_wrong_default_says_so,
                    help_lists_every_setting)
