/* Status, version and logging. */
#include "check.h"
#include <pthread.h>

static void count(void *user)
{
    ++*(int *)user;
}

static void ignore(int32_t level, const char *target, const char *message, void *user)
{
    (void)level, (void)target, (void)message, (void)user;
}

static void statuses(void)
{
    const aq_status known[] = {
        AQ_OK, AQ_EMPTY, AQ_FULL, AQ_TIMEOUT, AQ_STOPPED, AQ_E_INVALID, AQ_E_STATE, AQ_E_NOMEM, AQ_E_IO,
        AQ_E_FORMAT, AQ_E_VERSION, AQ_E_UNSUPPORTED, AQ_E_NOT_FOUND, AQ_E_TRUNCATED, AQ_E_INTERNAL,
    };
    size_t n = sizeof known / sizeof known[0];
    for (size_t i = 0; i < n; i++) {
        CHECK(strcmp(aq_status_string(known[i]), "unknown status") != 0);
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(aq_status_string(known[i]), aq_status_string(known[j])) != 0);
    }
    CHECK_TEXT(aq_status_string(AQ_OK), "ok");
    CHECK_TEXT(aq_status_string(12345), "unknown status");
    CHECK_TEXT(aq_status_string(INT32_MIN), "unknown status");
}

static void *other_thread(void *unused)
{
    CHECK_TEXT(aq_last_error(), "");
    CHECK_ERROR(aq_set_log(NULL, NULL, NULL, 77), AQ_E_INVALID, "(got 77)");
    return unused;
}

static void last_error(void)
{
    pthread_t thread;
    CHECK_TEXT(aq_last_error(), "");
    CHECK_ERROR(aq_set_log(NULL, NULL, NULL, -1), AQ_E_INVALID, "level must be AQ_LOG_OFF (0) .. AQ_LOG_DEBUG (4) (got -1)");
    CHECK_EQ(pthread_create(&thread, NULL, other_thread, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_WARN));
    CHECK(strstr(aq_last_error(), "(got -1)") != NULL); /* neither success nor another thread changes it */
}

static void version(void)
{
    CHECK_TEXT(aq_version(), AQ_VERSION);
    CHECK_EQ(aq_version_number(), AQ_VERSION_NUMBER);
    CHECK_EQ(AQ_VERSION_NUMBER, AQ_VERSION_MAJOR * 1000000 + AQ_VERSION_MINOR * 1000 + AQ_VERSION_PATCH);
    CHECK(aq_has_feature("pcap") == 0 || aq_has_feature("pcap") == 1);
    CHECK(aq_has_feature("cli") == 0 || aq_has_feature("cli") == 1);
    CHECK_EQ(aq_has_feature("PCAP"), 0);
    CHECK_EQ(aq_has_feature("telepathy"), 0);
    CHECK_EQ(aq_has_feature("\xff"), 0);
    CHECK_EQ(aq_has_feature(""), 0);
    CHECK_EQ(aq_has_feature(NULL), 0);
}

static void log_callback(void)
{
    int freed = 0;
    for (int32_t level = AQ_LOG_OFF; level <= AQ_LOG_DEBUG; level++)
        CHECK_OK(aq_set_log(ignore, NULL, NULL, level));
    CHECK_OK(aq_set_log(ignore, &freed, count, AQ_LOG_INFO));
    CHECK_EQ(freed, 0);
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_WARN)); /* replaces it: its user_free has run */
    CHECK_EQ(freed, 1);
    CHECK_STATUS(aq_set_log(ignore, &freed, count, 5), AQ_E_INVALID); /* also when it was never installed */
    CHECK_EQ(freed, 2);
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_WARN));
    CHECK_EQ(freed, 2);
}

int main(void)
{
    statuses();
    last_error();
    version();
    log_callback();
    return check_done();
}
