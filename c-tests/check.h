/* Checks for the C test programs: what fails is printed with file, line and values, and counted; the program goes on.
 *
 *     int main(void)
 *     {
 *         CHECK_OK(aq_ring_new(4, NULL, NULL, NULL, &ring));
 *         CHECK_EQ(aq_ring_put(ring, NULL, 0), AQ_E_INVALID);
 *         return check_done();
 *     }
 */
#ifndef AQ_CHECK_H
#define AQ_CHECK_H

#include <aqueduct/aqueduct.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Counted with the compiler's atomics, so that threads may check, too. */
static int check_count, check_failures;

static inline int check_result(int ok)
{
    __atomic_fetch_add(&check_count, 1, __ATOMIC_RELAXED);
    if (!ok) {
        if (__atomic_fetch_add(&check_failures, 1, __ATOMIC_RELAXED) == 0)
            setvbuf(stdout, NULL, _IONBF, 0); /* to be seen although the program may hang or crash soon */
    }
    return ok;
}

static inline int check_true(int ok, const char *text, const char *file, int line)
{
    if (!check_result(ok))
        printf("%s:%d: %s is false\n", file, line, text);
    return ok;
}

static inline int check_eq(intmax_t a, intmax_t b, const char *text_a, const char *text_b, const char *file, int line)
{
    if (!check_result(a == b))
        printf("%s:%d: %s is %jd, but %s is %jd\n", file, line, text_a, a, text_b, b);
    return a == b;
}

static inline void check_text(const char *a, const char *b, const char *text_a, const char *file, int line)
{
    if (!check_result(a != NULL && strcmp(a, b) == 0))
        printf("%s:%d: %s is \"%s\", not \"%s\"\n", file, line, text_a, a != NULL ? a : "(NULL)", b);
}

static inline int check_status(aq_status status, aq_status expected, const char *detail, const char *text,
                               const char *file, int line)
{
    if (!check_result(status == expected))
        printf("%s:%d: %s is %d (%s; last error: %s), not %d (%s)\n", file, line, text, (int)status,
               aq_status_string(status), aq_last_error(), (int)expected, aq_status_string(expected));
    else if (detail != NULL && !check_result(strstr(aq_last_error(), detail) != NULL))
        printf("%s:%d: %s says \"%s\", not \"%s\"\n", file, line, text, aq_last_error(), detail);
    return status == expected;
}

/* Each has a value: whether it was so (for CHECK_ERROR, whether the status was). */

/* expr is true */
#define CHECK(expr) check_true(!!(expr), #expr, __FILE__, __LINE__)
/* two integers are equal */
#define CHECK_EQ(a, b) check_eq((intmax_t)(a), (intmax_t)(b), #a, #b, __FILE__, __LINE__)
/* two strings are equal */
#define CHECK_TEXT(a, b) check_text(a, b, #a, __FILE__, __LINE__)
/* a call answers AQ_OK */
#define CHECK_OK(call) check_status(call, AQ_OK, NULL, #call, __FILE__, __LINE__)
/* a call answers this status */
#define CHECK_STATUS(call, status) check_status(call, status, NULL, #call, __FILE__, __LINE__)
/* a call fails with this status, and its message contains this text */
#define CHECK_ERROR(call, status, text) check_status(call, status, text, #call, __FILE__, __LINE__)

/* What main returns. */
static inline int check_done(void)
{
    printf("%d checks, %d failed\n", check_count, check_failures);
    return check_failures == 0 && check_count > 0 ? 0 : 1;
}

#endif
