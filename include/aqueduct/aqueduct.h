/* Aqueduct 0.1.0: data acquisition from the wire to your code, with every loss accounted for.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 * Generated from src/ffi by cbindgen: do not edit.
 */

#ifndef AQUEDUCT_H
#define AQUEDUCT_H

#include <stddef.h>
#include <stdint.h>

/** The version of this header. */
#define AQ_VERSION "0.1.0"
#define AQ_VERSION_MAJOR 0
#define AQ_VERSION_MINOR 1
#define AQ_VERSION_PATCH 0
/** The version of this header, comparable with aq_version_number(). */
#define AQ_VERSION_NUMBER (AQ_VERSION_MAJOR * 1000000 + AQ_VERSION_MINOR * 1000 + AQ_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/* =============================================================================================================
 * Status and errors
 *
 * Every function that can fail returns an `aq_status`: zero is success, a positive value is an expected outcome (a
 * ring is empty, a wait timed out), a negative value is an error. Outputs are written only on AQ_OK. After an error,
 * aq_last_error() says in one sentence which argument broke which rule.
 * ============================================================================================================= */

/** What a call came to: zero, an expected outcome (> 0) or an error (< 0). */
typedef int32_t aq_status;

/** Done. */
#define AQ_OK 0
/** There is nothing to get, and the call was not to wait. */
#define AQ_EMPTY 1
/** There is no space, and the call was not to wait. */
#define AQ_FULL 2
/** The time allowed for waiting is over. */
#define AQ_TIMEOUT 3
/** The object is stopped and will not do this any more. */
#define AQ_STOPPED 4
/** An argument breaks its rule: NULL, out of range, not UTF-8, a wrong handle. */
#define AQ_E_INVALID (-1)
/** The object is not in a state that allows this call. */
#define AQ_E_STATE (-2)
/** Memory, or a limit set on it, is exhausted. */
#define AQ_E_NOMEM (-3)
/** The operating system refused; aq_last_error() has its reason. */
#define AQ_E_IO (-4)
/** Data does not follow its format. */
#define AQ_E_FORMAT (-5)
/** A struct or a file comes from a newer version of this library and uses what this version does not know. */
#define AQ_E_VERSION (-6)
/** This build or this machine cannot do it; aq_last_error() names the missing feature. */
#define AQ_E_UNSUPPORTED (-7)
/** Something looked up by name or index does not exist. */
#define AQ_E_NOT_FOUND (-8)
/** Data ends in the middle of something, or the caller's buffer is too small for it. */
#define AQ_E_TRUNCATED (-9)
/** A bug in this library. The handle of the call answers AQ_E_INTERNAL from now on; free it. */
#define AQ_E_INTERNAL (-10)

/**
 * A short text for a status, in English, e.g. "timed out".
 *
 * @param status any number; unknown ones have a text, too
 * @return static text, never NULL
 *
 * Threads: any, at any time.
 */
const char *aq_status_string(aq_status status);

/**
 * The sentence of this thread's last error, e.g. "capacity must be at least 1 (got 0)".
 *
 * Only errors (negative statuses) change it: like errno, it has a meaning only right after a call that failed.
 *
 * @return UTF-8 text, never NULL, "" before the first error; at most 1023 bytes. It belongs to the library and is
 *         overwritten by the next error of this thread, and gone with the thread: copy it to keep it.
 *
 * Threads: any; each has its own.
 */
const char *aq_last_error(void);

/* =============================================================================================================
 * Version and features
 *
 * AQ_VERSION_* is the version of the header that a program was compiled with, aq_version() that of the library that it
 * runs with. A program works with every later library of the same SONAME.
 * ============================================================================================================= */

/**
 * The library's version, e.g. "0.1.0".
 *
 * @return static text
 *
 * Threads: any, at any time.
 */
const char *aq_version(void);

/**
 * The library's version as a number, to compare with AQ_VERSION_NUMBER: major * 1000000 + minor * 1000 + patch.
 *
 * Threads: any, at any time.
 */
int32_t aq_version_number(void);

/**
 * Whether this build of the library has a feature. Every function exists in every build; one whose feature is missing
 * answers AQ_E_UNSUPPORTED.
 *
 * @param name "pcap" (capture files as a source) or "cli" (built together with the program `aqueduct`)
 * @return 1 when it has, else 0, also for names that it does not know and for NULL
 *
 * Threads: any, at any time.
 */
int32_t aq_has_feature(const char *name);

/* =============================================================================================================
 * Callbacks
 *
 * A callback is passed as three arguments: the function, a `user` pointer that it is called with, and `user_free`, which
 * is called with `user` exactly once, after the last call of the function, also when the call that it was passed to
 * fails: once passed, `user` belongs to the library. Both `user` and `user_free` may be NULL.
 *
 * A callback must return: no exception, longjmp or thread exit may leave it. Each callback type says where it is
 * called from, whether it may block, what it may call, how long its arguments are valid and what happens on an error.
 * ============================================================================================================= */

/**
 * Releases what a callback's `user` pointer points to.
 *
 * - called from: any thread, once, after the last call of the callback
 * - may block: shortly; whoever freed the last object that used the callback is waiting
 * - may call: any function of this library, except on the object that is being freed
 * - valid until: `user` is the library's until this call
 * - on error: there is no way to report one
 */
typedef void (*aq_user_free_fn)(void *user);

/* =============================================================================================================
 * Logging
 *
 * The library logs rarely: what a caller should know and cannot be told by a status, at a limited rate. Without
 * aq_set_log(), warnings and errors go to stderr, at most 20 lines per second.
 * ============================================================================================================= */

/** Log nothing. */
#define AQ_LOG_OFF 0
/** Something failed. */
#define AQ_LOG_ERROR 1
/** Something is not as it should be, and work goes on. The default. */
#define AQ_LOG_WARN 2
/** What happens now and then in a healthy run. */
#define AQ_LOG_INFO 3
/** What helps to find a fault. */
#define AQ_LOG_DEBUG 4

/**
 * Receives log messages.
 *
 * @param level AQ_LOG_ERROR .. AQ_LOG_DEBUG
 * @param target which part of the library, e.g. "aqueduct::recv"
 * @param message one sentence, UTF-8, without a newline at its end
 * @param user the pointer given to aq_set_log()
 *
 * - called from: any thread, the library's and the caller's, also from several at the same time
 * - may block: shortly; the thread that logs is waiting
 * - may call: any function of this library but aq_set_log(); what it causes to be logged goes to stderr
 * - valid until: the texts are valid until it returns
 * - on error: there is no way to report one
 */
typedef void (*aq_log_fn)(int32_t level, const char *target, const char *message, void *user);

/**
 * Sends log messages to a callback instead of stderr.
 *
 * When it returns, the previous callback is not being called any more and its user_free has run. At the end of the
 * process, user_free of the last one is not called.
 *
 * @param callback receives the messages; NULL for stderr, where at most 20 lines per second are written and the rest
 *        is counted
 * @param user passed to the callback; belongs to the library from now on, also on an error
 * @param user_free releases user, or NULL
 * @param level the least important level to log, AQ_LOG_OFF .. AQ_LOG_DEBUG
 * @return AQ_OK; AQ_E_INVALID for an unknown level; AQ_E_STATE from inside the callback
 *
 * Threads: any. It waits for calls of the previous callback to return, so do not hold a lock that the callback takes.
 *
 * ```c
 * static void log_line(int32_t level, const char *target, const char *message, void *user)
 * {
 *     fprintf(user, "%d %s: %s\n", (int)level, target, message);
 * }
 *
 * aq_set_log(log_line, log_file, NULL, AQ_LOG_INFO);
 * ```
 */
aq_status aq_set_log(aq_log_fn callback, void *user, aq_user_free_fn user_free, int32_t level);

/* =============================================================================================================
 * Waiting
 *
 * Calls that may wait take `int64_t timeout_ns`: how long at most, in nanoseconds. With 0 they do not wait and answer
 * AQ_EMPTY or AQ_FULL; with AQ_WAIT_FOREVER they wait until there is an answer; otherwise they answer AQ_TIMEOUT
 * once the time is over. Other negative values are AQ_E_INVALID. Time is measured by the monotonic clock.
 * ============================================================================================================= */

/** Wait as long as it takes. */
#define AQ_WAIT_FOREVER (-1)

/* =============================================================================================================
 * Rings
 *
 * An aq_ring hands `void *` items from thread to thread, in order, through a bounded buffer: any number of threads put,
 * any number get. Its file descriptors fit into poll, epoll and every event loop.
 *
 * A ring ends by being stopped, by aq_ring_stop() or by its last producer's aq_ring_remove_producer(): then nothing can
 * be put any more, what is inside can still be got, and after that every get answers AQ_STOPPED.
 * ============================================================================================================= */

/** A bounded ring of `void *` items. */
typedef struct aq_ring aq_ring;

/**
 * Releases an item that is still inside when its ring goes.
 *
 * - called from: aq_ring_free()
 * - may block: shortly; aq_ring_free() is waiting
 * - may call: any function of this library, except on this ring
 * - valid until: `item` is the callback's; `user` is valid until it returns
 * - on error: there is no way to report one
 */
typedef void (*aq_item_free_fn)(void *item, void *user);

/**
 * Makes a ring for up to `capacity` items.
 *
 * @param capacity how many items it holds, at least 1
 * @param item_free called by aq_ring_free() with each item still inside; NULL if there is nothing to do for them
 * @param user passed to item_free; belongs to the ring from now on, also on an error
 * @param user_free releases user, or NULL
 * @param out receives the ring; free it with aq_ring_free()
 * @return AQ_OK; AQ_E_INVALID when capacity is 0 or absurd; AQ_E_NOMEM; AQ_E_IO when there is no file descriptor left
 *
 * Threads: any.
 *
 * ```c
 * static void free_item(void *item, void *user) { (void)user; free(item); }
 *
 * aq_ring *ring;
 * if (aq_ring_new(16, free_item, NULL, NULL, &ring) != AQ_OK)
 *     fprintf(stderr, "%s\n", aq_last_error());
 * ```
 */
aq_status aq_ring_new(size_t capacity, aq_item_free_fn item_free, void *user, aq_user_free_fn user_free,
    aq_ring **out);

/**
 * Puts an item at the end of the ring.
 *
 * @param ring the ring
 * @param item any pointer but NULL; on AQ_OK it belongs to the ring, and on any other status to the caller still
 * @param timeout_ns how long to wait for space
 * @return AQ_OK; AQ_FULL; AQ_TIMEOUT; AQ_STOPPED; AQ_E_INVALID when item is NULL
 *
 * Threads: any, at the same time as all functions of the ring but aq_ring_free().
 */
aq_status aq_ring_put(aq_ring *ring, void *item, int64_t timeout_ns);

/**
 * Takes the item at the front of the ring.
 *
 * @param ring the ring
 * @param timeout_ns how long to wait for an item
 * @param item receives the item, which belongs to the caller from now on
 * @return AQ_OK; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the ring is stopped and has nothing left
 *
 * Threads: any, at the same time as all functions of the ring but aq_ring_free().
 *
 * ```c
 * void *item;
 * while (aq_ring_get(ring, AQ_WAIT_FOREVER, &item) == AQ_OK)
 *     process(item);
 * ```
 */
aq_status aq_ring_get(aq_ring *ring, int64_t timeout_ns, void **item);

/**
 * Stops the ring. Whoever waits to put answers AQ_STOPPED; items inside can still be got.
 *
 * @param ring the ring
 * @param stopped_now receives 1, or 0 when the ring was stopped already; may be NULL
 * @return AQ_OK, also when it was stopped already
 *
 * Threads: any, at the same time as all functions of the ring but aq_ring_free().
 */
aq_status aq_ring_stop(aq_ring *ring, int32_t *stopped_now);

/**
 * Counts one more producer. A ring with producers is stopped by the last one that is removed.
 *
 * @param ring the ring
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the ring but aq_ring_free().
 */
aq_status aq_ring_add_producer(aq_ring *ring);

/**
 * Counts one producer less, and stops the ring if that was the last one.
 *
 * @param ring the ring
 * @param stopped_now receives 1 when this call stopped the ring, else 0; may be NULL
 * @return AQ_OK; AQ_E_STATE when there is no producer to remove
 *
 * Threads: any, at the same time as all functions of the ring but aq_ring_free().
 */
aq_status aq_ring_remove_producer(aq_ring *ring, int32_t *stopped_now);

/**
 * How many items are inside.
 *
 * @param ring the ring
 * @param size receives the number, 0 .. capacity; other threads may have changed it by the time that it is looked at
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the ring but aq_ring_free().
 */
aq_status aq_ring_size(const aq_ring *ring, size_t *size);

/**
 * How many items the ring holds at most.
 *
 * @param ring the ring
 * @param capacity receives what aq_ring_new() was given
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the ring but aq_ring_free().
 */
aq_status aq_ring_capacity(const aq_ring *ring, size_t *capacity);

/**
 * A file descriptor that is readable (POLLIN) while aq_ring_get() would not answer AQ_EMPTY: there is an item, or the
 * ring is stopped.
 *
 * With several threads getting, another one may be faster: get with timeout 0 and expect AQ_EMPTY.
 *
 * @param ring the ring
 * @param fd receives the descriptor. It belongs to the ring, until aq_ring_free(): only poll it, do not read or close it
 * @return AQ_OK; AQ_E_IO when there is no file descriptor left
 *
 * Threads: any, at the same time as all functions of the ring but aq_ring_free().
 */
aq_status aq_ring_data_fd(const aq_ring *ring, int *fd);

/**
 * A file descriptor that is readable (POLLIN) while aq_ring_put() would not answer AQ_FULL: there is space, or the ring
 * is stopped.
 *
 * With several threads putting, another one may be faster: put with timeout 0 and expect AQ_FULL.
 *
 * @param ring the ring
 * @param fd receives the descriptor. It belongs to the ring, until aq_ring_free(): only poll it, do not read or close it
 * @return AQ_OK; AQ_E_IO when there is no file descriptor left
 *
 * Threads: any, at the same time as all functions of the ring but aq_ring_free().
 */
aq_status aq_ring_space_fd(const aq_ring *ring, int *fd);

/**
 * Frees the ring. Items still inside go to item_free; then user_free is called.
 *
 * @param ring the ring, or NULL, which does nothing
 * @return AQ_OK
 *
 * Threads: no other call on this ring may be running or follow; stop the ring and join its threads first.
 */
aq_status aq_ring_free(aq_ring *ring);

#ifdef __cplusplus
}
#endif

#endif /* AQUEDUCT_H */
