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
 * @param name "pcap" (capture files as a source), "zmq" (signal streams over ZeroMQ), "hdf5" (datasets of HDF5 files) or "cli" (built together with the program `aqueduct`)
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
 * fails: once passed, `user` belongs to the library. Both `user` and `user_free` may be NULL. Where they are fields of a
 * struct, a struct that cannot be read (NULL, a wrong struct_size: AQ_E_INVALID) has passed nothing.
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
 * @return AQ_OK; AQ_E_INVALID when capacity is 0 or absurd; AQ_E_NOMEM
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

/* =============================================================================================================
 * Memory
 *
 * An allocator says where memory for payloads comes from. Wherever one can be given, NULL stands for the default.
 * Memory keeps its allocator alive: the handle may be freed first.
 * ============================================================================================================= */

/** A source of memory. */
typedef struct aq_allocator aq_allocator;

/**
 * Allocates memory: `size` bytes (at least 1) for reading and writing, of any content; NULL if there is none.
 *
 * `packet` is the packet that the memory is wanted for, of `packet_size` bytes; NULL where there is none. What is
 * written to `*cookie` (NULL at first) is given back to the release function.
 *
 * - called from: any thread that needs memory, several at once
 * - may block: shortly; a stream may be waiting
 * - may call: any function of this library that does not wait
 * - valid until: `packet` and `cookie` are valid until it returns
 * - on error: it returns NULL, and whoever needed the memory answers AQ_E_NOMEM
 */
typedef void *(*aq_allocate_fn)(size_t size, const uint8_t *packet, size_t packet_size, void **cookie,
    void *user);

/**
 * Releases memory that the allocate function returned.
 *
 * - called from: any thread, several at once, once per allocation
 * - may block: shortly
 * - may call: any function of this library that does not wait
 * - valid until: `memory` and `cookie` are the callback's
 * - on error: there is no way to report one
 */
typedef void (*aq_release_fn)(void *memory, size_t size, void *cookie, void *user);

/** A user's allocator. Fill it with aq_allocator_vtable_init() first. */
typedef struct aq_allocator_vtable {
    /** Set by aq_allocator_vtable_init(). */
    size_t struct_size;
    /** Required. */
    aq_allocate_fn allocate;
    /** Required. */
    aq_release_fn release;
} aq_allocator_vtable;

/**
 * Writes the defaults: no functions.
 *
 * @param vtable the struct
 * @param struct_size sizeof *vtable
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_allocator_vtable_init(aq_allocator_vtable *vtable, size_t struct_size);

/**
 * The allocator that is used where none is given: the system's heap, aligned to 64 bytes.
 *
 * @param out receives the allocator; free it with aq_allocator_free()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_allocator_default(aq_allocator **out);

/**
 * An allocator whose functions are the caller's: memory of a GPU, of a shared segment, of a NUMA node.
 *
 * @param vtable its functions; copied
 * @param user passed to them; belongs to the allocator from now on, also on an error
 * @param user_free releases user, after the last piece of memory was released; or NULL
 * @param out receives the allocator; free it with aq_allocator_free()
 * @return AQ_OK; AQ_E_INVALID when a function is missing
 *
 * Threads: any; the functions are called from any thread.
 */
aq_status aq_allocator_new(const aq_allocator_vtable *vtable, void *user, aq_user_free_fn user_free,
    aq_allocator **out);

/**
 * An allocator of memory straight from mmap(2): page-aligned, zeroed, returned to the system when released.
 *
 * @param flags for mmap(2) beside MAP_PRIVATE | MAP_ANONYMOUS, for example MAP_POPULATE; MAP_FIXED is ignored
 * @param prefer_huge 1 to take huge pages (2 MiB) where the system has them, and ordinary ones where it has not; else 0
 * @param out receives the allocator; free it with aq_allocator_free()
 * @return AQ_OK; AQ_E_INVALID
 *
 * Threads: any.
 */
aq_status aq_mmap_allocator_new(int flags, int32_t prefer_huge, aq_allocator **out);

/**
 * An allocator of memory of one NUMA node, straight from mmap(2) and bound by mbind(2): the node of the network card and of the
 * cores that receive. As the base of a memory pool it gives a pool of that node.
 *
 * @param node the node, as the kernel numbers them
 * @param flags as for aq_mmap_allocator_new()
 * @param prefer_huge as for aq_mmap_allocator_new()
 * @param out receives the allocator; free it with aq_allocator_free()
 * @return AQ_OK; AQ_E_INVALID when there is no such node; AQ_E_IO when the system does not let memory be bound
 *
 * Threads: any. Memory may be used by threads of other nodes, slower.
 */
aq_status aq_numa_allocator_new(int32_t node, int flags, int32_t prefer_huge, aq_allocator **out);

/**
 * Lets go of an allocator; memory that came from it stays valid.
 *
 * @param allocator the allocator, or NULL, which does nothing
 * @return AQ_OK
 *
 * Threads: no other call on this handle may be running or follow.
 */
aq_status aq_allocator_free(aq_allocator *allocator);

/* =============================================================================================================
 * Thread pools
 *
 * A thread pool is a fixed number of worker threads that receive packets and run background work. Each stream lives on
 * one worker of its pool; a worker serves any number of streams. Streams keep their pool alive: it may be freed first.
 * ============================================================================================================= */

/** Worker threads for streams. */
typedef struct aq_thread_pool aq_thread_pool;

/**
 * Starts a pool of worker threads.
 *
 * @param threads how many, 1 .. 4096; one is enough for several Gb/s, and a stream never uses more than one
 * @param cores cores to bind the threads to, as the kernel numbers them; thread i gets cores[i % n_cores]. NULL when
 *     n_cores is 0
 * @param n_cores how many cores there are in the list; 0 leaves the threads unbound
 * @param out receives the pool; free it with aq_thread_pool_free()
 * @return AQ_OK; AQ_E_INVALID when a number is out of range or a core does not exist; AQ_E_IO when the system has no
 *     more threads or descriptors
 *
 * Threads: any.
 *
 * ```c
 * int32_t cores[] = {2};
 * aq_thread_pool *pool;
 * if (aq_thread_pool_new(1, cores, 1, &pool) != AQ_OK)
 *     fprintf(stderr, "%s\n", aq_last_error());
 * ```
 */
aq_status aq_thread_pool_new(size_t threads, const int32_t *cores, size_t n_cores, aq_thread_pool **out);

/**
 * Stops the pool: its streams end (AQ_END_POOL_STOPPED), and its threads with them. Waits until that is done.
 *
 * @param pool the pool
 * @return AQ_OK, also when it was stopped already; AQ_E_STATE from one of the pool's own callbacks
 *
 * Threads: any but the pool's own, at the same time as all functions of the pool but aq_thread_pool_free().
 */
aq_status aq_thread_pool_stop(aq_thread_pool *pool);

/**
 * Lets go of the pool. Its threads go on as long as there is a stream on them; after the last one they end.
 *
 * @param pool the pool, or NULL, which does nothing
 * @return AQ_OK
 *
 * Threads: no other call on this pool may be running or follow.
 */
aq_status aq_thread_pool_free(aq_thread_pool *pool);

/**
 * Binds the calling thread to one core.
 *
 * @param core the core, as the kernel numbers them
 * @return AQ_OK; AQ_E_INVALID when it is negative; AQ_E_IO when the system refuses, mostly as there is no such core
 *
 * Threads: any; it concerns the calling thread.
 */
aq_status aq_thread_set_affinity(int32_t core);

/* =============================================================================================================
 * Memory pools
 *
 * A pool is an allocator that keeps what is released and gives it out again. What is expensive about large memory is not to get it but to
 * touch it for the first time, page by page: a pool pays that once. Its buffers have one size, so it suits streams whose heaps are all of
 * about the same size. The pool of chunks needs none: chunks circulate by themselves.
 *
 * ```c
 * aq_memory_pool_config config;
 * aq_memory_pool_config_init(&config, sizeof config);
 * config.lower = 1 << 20;                        // heaps of 1 to 2 MiB
 * config.upper = 2 << 20;
 * config.initial = 16;
 * config.max_free = 32;
 * config.low_water = 4;                          // with fewer, `threads` makes new ones
 * aq_numa_allocator_new(0, 0, 1, &base);         // huge pages of NUMA node 0; or NULL for the system's heap
 * aq_memory_pool_new(&config, threads, base, &pool);
 * stream_config.memory_allocator = pool;         // before aq_recv_stream_new()
 * ```
 * ============================================================================================================= */

/** How a pool is made. Initialise it with aq_memory_pool_config_init(), then set `upper` and `max_free` at least. */
typedef struct aq_memory_pool_config {
    /** Set by aq_memory_pool_config_init(). */
    size_t struct_size;
    /** Bytes: smaller allocations go to the base allocator. Default 1. */
    size_t lower;
    /**
     * Bytes: larger allocations go to the base allocator, and every buffer of the pool is of this size. At least 1 and `lower`; the
     * default of 0 must be replaced.
     */
    size_t upper;
    /** The most unused buffers that are kept; others are released when they come back. At least 1; the default of 0 must be replaced. */
    size_t max_free;
    /** Unused buffers at the beginning and after a refill; at most `max_free`. Default 0. */
    size_t initial;
    /** When fewer unused buffers are left, the thread pool makes new ones until there are `initial`; at most that. Default 0: never. */
    size_t low_water;
    /** 1: log a warning, at most once per second, when a buffer is wanted and the pool has none; 0: don't. Default 1. */
    int32_t warn_on_empty;
    /** 0. */
    uint32_t reserved;
} aq_memory_pool_config;

/** What became of a pool's buffers, all at one moment. Initialise it with aq_memory_pool_stats_init() first. */
typedef struct aq_memory_pool_stats {
    /** Set by aq_memory_pool_stats_init(). */
    size_t struct_size;
    /** Unused buffers now. */
    uint64_t available;
    /** Buffers in use now. */
    uint64_t in_use;
    /** Allocations that got a buffer of the pool. */
    uint64_t reused;
    /** Allocations for which there was none, so that the base allocator had to make one. */
    uint64_t empty;
    /** Allocations smaller than `lower` or larger than `upper`, which the base allocator served. */
    uint64_t other_sizes;
    /** Buffers made in the background. */
    uint64_t refilled;
    /** Buffers that came back when there were `max_free` already, and were released. */
    uint64_t released;
    /** Buffers that the base allocator could not make. */
    uint64_t failed;
} aq_memory_pool_stats;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_memory_pool_config_init(aq_memory_pool_config *config, size_t struct_size);

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_memory_pool_stats_init(aq_memory_pool_stats *stats, size_t struct_size);

/**
 * Makes a memory pool, and its `initial` buffers.
 *
 * Memory from a pool may outlive it: it is then released to the base allocator.
 *
 * @param config its configuration; copied
 * @param thread_pool whose threads refill it, and which lives as long as the pool then; NULL where `low_water` is 0
 * @param base where its memory comes from, and which lives as long as that memory; NULL for the system's heap
 * @param out receives the pool, an allocator like others; free it with aq_allocator_free()
 * @return AQ_OK; AQ_E_INVALID when a field of config is out of range; AQ_E_NOMEM when base cannot make the initial buffers;
 *     AQ_E_STATE when the thread pool has been stopped
 *
 * Threads: any.
 */
aq_status aq_memory_pool_new(const aq_memory_pool_config *config, aq_thread_pool *thread_pool,
    const aq_allocator *base, aq_allocator **out);

/**
 * What a pool was made with; `warn_on_empty` as it is now.
 *
 * @param pool the pool
 * @param config receives it; initialised with aq_memory_pool_config_init()
 * @return AQ_OK; AQ_E_INVALID when the allocator is not a pool
 *
 * Threads: any.
 */
aq_status aq_memory_pool_get_config(const aq_allocator *pool, aq_memory_pool_config *config);

/**
 * Sets whether a warning is logged when a buffer is wanted and the pool has none.
 *
 * @param pool the pool
 * @param warn 1 or 0
 * @return AQ_OK; AQ_E_INVALID when the allocator is not a pool
 *
 * Threads: any.
 */
aq_status aq_memory_pool_set_warn_on_empty(aq_allocator *pool, int32_t warn);

/**
 * What became of a pool's buffers up to now.
 *
 * @param pool the pool
 * @param stats receives the counts; initialised with aq_memory_pool_stats_init()
 * @return AQ_OK; AQ_E_INVALID when the allocator is not a pool
 *
 * Threads: any.
 */
aq_status aq_memory_pool_get_stats(const aq_allocator *pool, aq_memory_pool_stats *stats);

/* =============================================================================================================
 * Chunks
 *
 * A chunk is memory for many heaps: `data` for payloads, `present` with one byte per heap (1 where it is complete), and
 * `extra` for what the place callback wants to add.
 *
 * A chunk belongs to whoever holds it. A program makes chunks once, gives them to a stream (aq_recv_stream_add_free_chunk()),
 * gets them filled from the stream's data ring, and gives them back. While a chunk is in a ring or a stream it must not
 * be touched: its functions then answer NULL, 0 or an error. Those that answer no status leave aq_last_error() as it is.
 * ============================================================================================================= */

/** Memory for many heaps. */
typedef struct aq_chunk aq_chunk;

/** A ring of chunks. */
typedef struct aq_chunk_ring aq_chunk_ring;

/** The caller's memory for a chunk. Fill it with aq_chunk_buffers_init() first. */
typedef struct aq_chunk_buffers {
    /** Set by aq_chunk_buffers_init(). */
    size_t struct_size;
    /** Where payloads go; required. */
    void *data;
    /** Bytes at data, at least 1. */
    size_t data_size;
    /** A byte per heap, or per packet; required. */
    uint8_t *present;
    /** Bytes at present, at least 1. */
    size_t present_size;
    /** For the place callback's extra bytes; NULL if there are none. */
    void *extra;
    /** Bytes at extra. */
    size_t extra_size;
    /** Called with release_user when the chunk is freed, by any thread; or NULL. */
    aq_user_free_fn release;
    /** Passed to release; belongs to the chunk from the call of aq_chunk_new() on, also on an error. */
    void *release_user;
} aq_chunk_buffers;

/**
 * Writes the defaults: no memory.
 *
 * @param buffers the struct
 * @param struct_size sizeof *buffers
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_chunk_buffers_init(aq_chunk_buffers *buffers, size_t struct_size);

/**
 * Makes a chunk over the caller's memory, which belongs to the chunk until it is freed. Clears present.
 *
 * @param buffers the memory, and how to release it
 * @param out receives the chunk; free it with aq_chunk_free()
 * @return AQ_OK; AQ_E_INVALID when data or present is missing
 *
 * Threads: any.
 */
aq_status aq_chunk_new(const aq_chunk_buffers *buffers, aq_chunk **out);

/**
 * Makes a chunk with memory from an allocator. Clears present; the data's content is undefined.
 *
 * @param allocator where the data comes from (present and extra come from the heap); NULL for the default
 * @param data_size bytes for payloads, at least 1
 * @param present_size one byte per heap (or per packet), at least 1
 * @param extra_size bytes for the place callback, or 0
 * @param out receives the chunk; free it with aq_chunk_free()
 * @return AQ_OK; AQ_E_INVALID; AQ_E_NOMEM
 *
 * Threads: any.
 */
aq_status aq_chunk_new_alloc(const aq_allocator *allocator, size_t data_size, size_t present_size,
    size_t extra_size, aq_chunk **out);

/**
 * Where payloads are.
 *
 * @param chunk the chunk
 * @return aq_chunk_data_size() bytes, valid while the caller holds the chunk; NULL when the caller does not hold it
 *
 * Threads: any thread that holds the chunk.
 */
void *aq_chunk_data(const aq_chunk *chunk);

/**
 * Bytes at aq_chunk_data(); 0 when the caller does not hold the chunk.
 *
 * Threads: any thread that holds the chunk.
 */
size_t aq_chunk_data_size(const aq_chunk *chunk);

/**
 * Which heaps (or packets) are there: 1 for those that are, else 0.
 *
 * @param chunk the chunk
 * @return aq_chunk_present_size() bytes, valid while the caller holds the chunk; NULL when the caller does not hold it
 *
 * Threads: any thread that holds the chunk.
 */
uint8_t *aq_chunk_present(const aq_chunk *chunk);

/**
 * Bytes at aq_chunk_present(); 0 when the caller does not hold the chunk.
 *
 * Threads: any thread that holds the chunk.
 */
size_t aq_chunk_present_size(const aq_chunk *chunk);

/**
 * Where the place callback's extra bytes are.
 *
 * @param chunk the chunk
 * @return aq_chunk_extra_size() bytes, valid while the caller holds the chunk; NULL when the caller does not hold it
 *
 * Threads: any thread that holds the chunk.
 */
void *aq_chunk_extra(const aq_chunk *chunk);

/**
 * Bytes at aq_chunk_extra(); 0 when the caller does not hold the chunk.
 *
 * Threads: any thread that holds the chunk.
 */
size_t aq_chunk_extra_size(const aq_chunk *chunk);

/**
 * The number that the place callback gave the chunk.
 *
 * @param chunk the chunk
 * @return the number; -1 for a chunk that was not filled yet, or that the caller does not hold
 *
 * Threads: any thread that holds the chunk.
 */
int64_t aq_chunk_id(const aq_chunk *chunk);

/**
 * The stream_id of the stream that filled the chunk; 0 before that, or when the caller does not hold it.
 *
 * Threads: any thread that holds the chunk.
 */
uint64_t aq_chunk_stream_id(const aq_chunk *chunk);

/**
 * Attaches a pointer of the caller's, which stays with the chunk on its way through streams and rings.
 *
 * @param chunk the chunk
 * @param user the pointer; it stays the caller's
 * @return AQ_OK; AQ_E_STATE when the caller does not hold the chunk
 *
 * Threads: the thread that holds the chunk.
 */
aq_status aq_chunk_set_user(aq_chunk *chunk, void *user);

/**
 * The pointer of aq_chunk_set_user(); NULL if there is none, or when the caller does not hold the chunk.
 *
 * Threads: any thread that holds the chunk.
 */
void *aq_chunk_user(const aq_chunk *chunk);

/**
 * Frees a chunk and its memory.
 *
 * @param chunk the chunk, or NULL, which does nothing
 * @return AQ_OK; AQ_E_STATE when it is in a ring or a stream, which will free it
 *
 * Threads: the thread that holds the chunk; no other call on it may follow.
 */
aq_status aq_chunk_free(aq_chunk *chunk);

/**
 * Makes a ring for up to `capacity` chunks.
 *
 * @param capacity how many chunks it holds, at least 1; make it large enough for all chunks that there are
 * @param out receives the ring; free it with aq_chunk_ring_free()
 * @return AQ_OK; AQ_E_INVALID when capacity is 0 or absurd; AQ_E_NOMEM
 *
 * Threads: any.
 */
aq_status aq_chunk_ring_new(size_t capacity, aq_chunk_ring **out);

/**
 * Puts a chunk at the end of the ring.
 *
 * @param ring the ring
 * @param chunk the chunk; on AQ_OK it belongs to the ring, on any other status to the caller still
 * @param timeout_ns how long to wait for space
 * @return AQ_OK; AQ_FULL; AQ_TIMEOUT; AQ_STOPPED; AQ_E_STATE when the caller does not hold the chunk
 *
 * Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
 */
aq_status aq_chunk_ring_put(aq_chunk_ring *ring, aq_chunk *chunk, int64_t timeout_ns);

/**
 * Takes the chunk at the front of the ring.
 *
 * @param ring the ring
 * @param timeout_ns how long to wait for a chunk
 * @param chunk receives the chunk, which belongs to the caller from now on
 * @return AQ_OK; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the ring is stopped and has nothing left
 *
 * Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
 *
 * ```c
 * aq_chunk *chunk;
 * while (aq_chunk_ring_get(data, AQ_WAIT_FOREVER, &chunk) == AQ_OK) {
 *     process(aq_chunk_id(chunk), aq_chunk_data(chunk), aq_chunk_present(chunk));
 *     aq_recv_stream_add_free_chunk(stream, chunk);
 * }
 * ```
 */
aq_status aq_chunk_ring_get(aq_chunk_ring *ring, int64_t timeout_ns, aq_chunk **chunk);

/**
 * Stops the ring. Whoever waits to put answers AQ_STOPPED; chunks inside can still be got.
 *
 * @param ring the ring
 * @param stopped_now receives 1, or 0 when the ring was stopped already; may be NULL
 * @return AQ_OK, also when it was stopped already
 *
 * Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
 */
aq_status aq_chunk_ring_stop(aq_chunk_ring *ring, int32_t *stopped_now);

/**
 * Counts one more producer. A ring with producers is stopped by the last one that is removed. Streams count themselves.
 *
 * @param ring the ring
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
 */
aq_status aq_chunk_ring_add_producer(aq_chunk_ring *ring);

/**
 * Counts one producer less, and stops the ring if that was the last one.
 *
 * @param ring the ring
 * @param stopped_now receives 1 when this call stopped the ring, else 0; may be NULL
 * @return AQ_OK; AQ_E_STATE when there is no producer to remove
 *
 * Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
 */
aq_status aq_chunk_ring_remove_producer(aq_chunk_ring *ring, int32_t *stopped_now);

/**
 * How many chunks are inside.
 *
 * @param ring the ring
 * @param size receives the number, 0 .. capacity; other threads may have changed it by the time that it is looked at
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
 */
aq_status aq_chunk_ring_size(const aq_chunk_ring *ring, size_t *size);

/**
 * How many chunks the ring holds at most.
 *
 * @param ring the ring
 * @param capacity receives what aq_chunk_ring_new() was given
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
 */
aq_status aq_chunk_ring_capacity(const aq_chunk_ring *ring, size_t *capacity);

/**
 * A file descriptor that is readable (POLLIN) while aq_chunk_ring_get() would not answer AQ_EMPTY: there is a chunk, or
 * the ring is stopped.
 *
 * With several threads getting, another one may be faster: get with timeout 0 and expect AQ_EMPTY.
 *
 * @param ring the ring
 * @param fd receives the descriptor. It belongs to the ring, as long as that lives: only poll it, do not read or close it
 * @return AQ_OK; AQ_E_IO when there is no file descriptor left
 *
 * Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
 */
aq_status aq_chunk_ring_data_fd(const aq_chunk_ring *ring, int *fd);

/**
 * A file descriptor that is readable (POLLIN) while aq_chunk_ring_put() would not answer AQ_FULL: there is space, or the
 * ring is stopped.
 *
 * @param ring the ring
 * @param fd receives the descriptor. It belongs to the ring, as long as that lives: only poll it, do not read or close it
 * @return AQ_OK; AQ_E_IO when there is no file descriptor left
 *
 * Threads: any, at the same time as all functions of the ring but aq_chunk_ring_free().
 */
aq_status aq_chunk_ring_space_fd(const aq_chunk_ring *ring, int *fd);

/**
 * Lets go of the ring. Streams that use it keep it alive; the last one gone, chunks inside are freed.
 *
 * @param ring the ring, or NULL, which does nothing
 * @return AQ_OK
 *
 * Threads: no other call on this handle may be running or follow; stop the ring and join its threads first.
 */
aq_status aq_chunk_ring_free(aq_chunk_ring *ring);

/* =============================================================================================================
 * Statistics
 *
 * The ledger of a stream: every packet ends in exactly one counter, and every heap too.
 *
 * ```text
 * packets = packets_delivered + packets_incomplete + packets_control + packets_pending
 *         + all discards, from truncated to not_udp
 * heaps   = complete_heaps + incomplete_heaps_evicted + incomplete_heaps_flushed
 *         + too_old_heaps + rejected_heaps + place_out_of_bounds_heaps + jump_rejected_heaps + after_stop_heaps
 *         + no_memory_heaps + too_many_items_heaps + heap_too_large_heaps + overflow_newest_heaps
 * ```
 *
 * Both hold in every snapshot; packets_pending is 0 once the stream has ended. Counters only grow; they are published
 * once per batch of packets, and reading them is cheap.
 * ============================================================================================================= */

/** The statistics of a stream at one moment. Initialise it with aq_recv_stats_init() first. */
typedef struct aq_recv_stats {
    /** Set by aq_recv_stats_init(). */
    size_t struct_size;
    /** 1 if the two sums above hold, else 0 (a bug). */
    uint64_t ledger_closed;
    /** Heaps that ended: complete, incomplete or discarded. The heap with the stop item is not among them. */
    uint64_t heaps;
    /** Incomplete heaps that had to make room for newer ones. */
    uint64_t incomplete_heaps_evicted;
    /** Incomplete heaps left when the stream ended. */
    uint64_t incomplete_heaps_flushed;
    /** Packets received, whatever became of them. */
    uint64_t packets;
    /** Batches in which they came. */
    uint64_t batches;
    /** How often the stream had to wait for its consumer (a full data ring, an empty free ring). */
    uint64_t worker_blocked;
    /** Packets in the largest batch. */
    uint64_t max_batch;
    /** Heaps that came whole in one packet. */
    uint64_t single_packet_heaps;
    /** Table entries looked at to find packets' heaps. */
    uint64_t search_dist;
    /** Heaps received in full and put where they belong. (Whether the consumer got the chunk: see `heaps_undelivered`.) */
    uint64_t complete_heaps;
    /** Heaps behind the window of chunks, or whose chunk left it before their last packet came. */
    uint64_t too_old_heaps;
    /** Heaps that the place callback refused. */
    uint64_t rejected_heaps;
    /** Heaps that the place callback put outside their chunk. */
    uint64_t place_out_of_bounds_heaps;
    /** Heaps so far ahead that they were taken for an error. */
    uint64_t jump_rejected_heaps;
    /** Heaps that came when there was no longer anywhere to put them: the rings had been stopped. */
    uint64_t after_stop_heaps;
    /** Heaps for which there was no memory: the allocator had none, or `max_heap_memory` was reached. */
    uint64_t no_memory_heaps;
    /** Heaps with more than `max_items` items. */
    uint64_t too_many_items_heaps;
    /** Heaps that grew beyond `max_heap_size` without having told their length. */
    uint64_t heap_too_large_heaps;
    /** Complete heaps dropped because the ring was full, where the overflow policy is to drop the newest. */
    uint64_t overflow_newest_heaps;
    /**
     * Heaps of which packets came without their beginning (in-order mode): it was lost, or the heap had been given up
     * before. Beside the ledger.
     */
    uint64_t heaps_lost_start;
    /** Packets of complete heaps. */
    uint64_t packets_delivered;
    /** Packets of incomplete heaps that were evicted or flushed. */
    uint64_t packets_incomplete;
    /** Packets with the stop item, which end the stream. */
    uint64_t packets_control;
    /** Packets of heaps in progress. */
    uint64_t packets_pending;
    /** Datagrams longer than `max_size`, or cut by a capture's snapshot length. */
    uint64_t truncated;
    /** Shorter than a header. */
    uint64_t malformed_too_short;
    /** Not SPEAD. */
    uint64_t malformed_bad_magic;
    /** Not version 4. */
    uint64_t malformed_bad_version;
    /** Widths of identifier and address that do not make up 64 bits. */
    uint64_t malformed_bad_widths;
    /** More item pointers than fit in the packet. */
    uint64_t malformed_items_overflow;
    /** No heap number. */
    uint64_t malformed_no_heap_cnt;
    /** No payload offset. */
    uint64_t malformed_no_payload_offset;
    /** No payload length. */
    uint64_t malformed_no_payload_length;
    /** A payload longer than the packet. */
    uint64_t malformed_payload_overflow;
    /** A payload that ends beyond its heap. */
    uint64_t malformed_heap_overflow;
    /** An item beyond the heap's length. */
    uint64_t malformed_item_beyond_heap;
    /** Of a heap longer than `max_heap_size`. */
    uint64_t heap_too_large;
    /** No heap length, where `allow_unsized_heaps` is off. */
    uint64_t no_heap_length;
    /** Not the next packet of its heap, in in-order mode. */
    uint64_t out_of_order;
    /** Received before, or of a heap that is complete already. */
    uint64_t duplicate;
    /** Received before in part. */
    uint64_t overlap;
    /** At odds with earlier packets of its heap about length or flavour. */
    uint64_t inconsistent;
    /** Would break its heap into more pieces than are kept track of. */
    uint64_t too_fragmented;
    /** Packets of `too_old_heaps`. */
    uint64_t too_old;
    /** Packets of `rejected_heaps`. */
    uint64_t place_rejected;
    /** Packets of `place_out_of_bounds_heaps`. */
    uint64_t place_out_of_bounds;
    /** Packets of `jump_rejected_heaps`. */
    uint64_t jump_rejected;
    /** Packets of `no_memory_heaps`. */
    uint64_t no_memory;
    /** Packets of `too_many_items_heaps`. */
    uint64_t too_many_items;
    /** Packets of `overflow_newest_heaps`. */
    uint64_t overflow_newest;
    /** Packets from a sender that is not in the reader's `source_filter`. */
    uint64_t source_rejected;
    /** Packets that came too late for a stream that had ended. */
    uint64_t after_stop;
    /** Captured frames with a fragment of an IP packet. */
    uint64_t fragment;
    /** Captured frames that carry no UDP datagram, or one whose lengths contradict each other. */
    uint64_t not_udp;
    /**
     * Datagrams that the kernel dropped because nobody fetched them in time. The kernel counts a bunch that it had
     * coalesced (GRO) as one: then this is how many bunches there were, at least.
     */
    uint64_t kernel_drops;
    /** Bytes of payload in complete heaps. */
    uint64_t bytes_delivered;
    /** Chunks given to the consumer. */
    uint64_t chunks_ready;
    /** Chunks with data that could not be given to the consumer at shutdown. */
    uint64_t chunks_undelivered;
    /**
     * Heaps that were received, but could not be given to the consumer at shutdown: complete ones in those chunks, or
     * those for which the ring of heaps had no space left.
     */
    uint64_t heaps_undelivered;
    /**
     * Heaps given to the consumer, one by one: put on the ring of heaps, or passed to the heap callback. With them are
     * the incomplete ones, if the stream delivers such.
     */
    uint64_t heaps_ready;
    /** Of `heaps_ready`, those taken out of the ring again, where the overflow policy is to drop the oldest. */
    uint64_t overflow_oldest_heaps;
    /** Connections accepted by TCP readers. */
    uint64_t connections;
    /** Connections that TCP readers refused, as they were not from a sender in their `source_filter`. */
    uint64_t connections_rejected;
    /** Bytes between packets that TCP readers skipped to find the next one. */
    uint64_t bytes_skipped;
} aq_recv_stats;

/**
 * Writes zeros, and the struct's size, without which it cannot be filled.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_recv_stats_init(aq_recv_stats *stats, size_t struct_size);

/* =============================================================================================================
 * Copies
 *
 * How a stream copies payloads to where they belong: by one of its own methods, or by a function of the program, which
 * may scatter them.
 * ============================================================================================================= */

/** Through the caches. */
#define AQ_MEMCPY_STD 0
/**
 * Past the caches, where the processor can (AVX-512 or AVX2, chosen at run time): faster for large heaps that are not used
 * soon after.
 */
#define AQ_MEMCPY_NONTEMPORAL 1

/** A packet, as a packet copy function sees it. It may get more fields at its end. */
typedef struct aq_packet {
    /** All of the packet: header, item pointers, payload. */
    const uint8_t *data;
    /** Bytes at data. */
    size_t size;
    /** Its payload, inside data. */
    const uint8_t *payload;
    /** Bytes at payload. */
    uint64_t payload_length;
    /** Where in the heap the payload starts, in bytes. */
    uint64_t payload_offset;
    /** The heap's number. */
    uint64_t heap_cnt;
    /** The heap's length in bytes; -1 if the packet does not tell. */
    int64_t heap_length;
    /** Bits of heap address in an item pointer: 8, 16 .. 56; the flavour is SPEAD-64-XX. */
    int32_t heap_address_bits;
    /** 0. */
    int32_t reserved;
} aq_packet;

/**
 * Copies the payload of a packet. It replaces memcpy(heap + packet->payload_offset, packet->payload, packet->payload_length).
 *
 * @param heap where the heap's first byte goes: its own memory, or the place of the heap in its chunk
 * @param heap_size bytes at heap that may be written; the payload fits in at its offset
 * @param packet the packet
 * @param packet_size sizeof *packet in the library that calls, which may be newer and have more fields at its end
 * @param user the stream's packet_copy_user
 *
 * Of a heap that is not in a chunk, all bytes must have been written when all its packets have been copied.
 *
 * - called from: the stream's worker thread, once per packet that is accepted
 * - may block: no; every microsecond is lost to the stream
 * - may call: functions that do not wait; not aq_recv_stream_stop() or _free(), which answer AQ_E_STATE
 * - valid until: heap and packet are valid until it returns
 * - on error: there is no way to report one; count it in a statistic of the program's own
 */
typedef void (*aq_packet_copy_fn)(uint8_t *heap, size_t heap_size, const aq_packet *packet, size_t packet_size,
    void *user);

/* =============================================================================================================
 * Receiving streams
 *
 * A stream gets packets from its readers, assembles them into heaps, and counts every one of them. It lives on one
 * worker thread of a pool. aq_recv_stream_new() makes one that hands out heaps, aq_recv_stream_new_callback() one that calls a
 * function with each, aq_chunk_ring_stream_new() one that places them in chunks.
 *
 * A stream ends when it is stopped, when a stop item comes, when the last of its readers has nothing more, or when its
 * rings or its pool are stopped; aq_recv_stream_end_reason() tells. It cannot be started again.
 * ============================================================================================================= */

/** How many statistics of its own a program can add to a stream. */
#define AQ_MAX_CUSTOM_STATS 32
/** Values are added up. */
#define AQ_STAT_COUNTER 0
/** The largest value stays. */
#define AQ_STAT_MAXIMUM 1
/** The stream is running. */
#define AQ_END_RUNNING 0
/** It was stopped by aq_recv_stream_stop() or aq_recv_stream_free(). */
#define AQ_END_USER 1
/** A stop item came. */
#define AQ_END_STOP_ITEM 2
/** All readers have come to their end. */
#define AQ_END_SOURCE 3
/** A ring that it needs was stopped: the data ring, which it notices at once, or the free ring, when it needs a chunk. */
#define AQ_END_RING_STOPPED 4
/** Its thread pool was stopped. */
#define AQ_END_POOL_STOPPED 5
/** All readers have come to their end, at least one of them by an error. */
#define AQ_END_ERROR 6

/** A receiving stream. */
typedef struct aq_recv_stream aq_recv_stream;

/** A statistic of the program's own; see aq_recv_stream_config_add_stat(). */
typedef struct aq_custom_stat {
    /** Its name; copied when the stream is made. */
    const char *name;
    /** AQ_STAT_COUNTER or AQ_STAT_MAXIMUM. */
    int32_t mode;
    /** Must be 0; anything else is AQ_E_VERSION. */
    int32_t reserved;
} aq_custom_stat;

/** Settings of a stream. Fill it with aq_recv_stream_config_init() first; it is copied when the stream is made. */
typedef struct aq_recv_stream_config {
    /** Set by aq_recv_stream_config_init(). */
    size_t struct_size;
    /**
     * How many newer heaps may start before a partial heap is given up, per substream:
     * 1 .. 2^20, together with substreams; 4 by default.
     */
    size_t max_heaps;
    /** Heap numbers modulo this tell interleaved senders apart, each with its own max_heaps: at least 1, the default. */
    size_t substreams;
    /**
     * Packets of heaps longer than this are discarded (heap_too_large): at least 1 byte; 1 GiB by default. Set to the room that
     * a heap has in its chunk, it keeps a wrong heap from running into its neighbours.
     */
    uint64_t max_heap_size;
    /**
     * Streams of heaps: bytes that the heaps in progress may have together, at least max_heap_size; heaps beyond are discarded
     * (no_memory). 0 (default): four times max_heap_size.
     */
    uint64_t max_heap_memory;
    /** Streams of heaps: items that a heap may have; heaps with more are discarded (too_many_items). 1 .. 2^32; 65536 by default. */
    size_t max_items;
    /**
     * Streams of heaps: where the memory for payloads comes from; NULL (default) for the system's heap. The stream keeps the
     * allocator alive. Its allocate function gets the packet that the memory is wanted for (of TCP readers, its header and item
     * pointers only), and is called by the stream's worker.
     */
    aq_allocator *memory_allocator;
    /** Called instead of memcpy for each packet's payload; NULL (default) for none. See aq_packet_copy_fn. */
    aq_packet_copy_fn packet_copy;
    /** Passed to packet_copy; belongs to the stream from the call that makes it on, also on an error. */
    void *packet_copy_user;
    /** Releases packet_copy_user, after the last call of packet_copy; or NULL. */
    aq_user_free_fn packet_copy_user_free;
    /** A number that this stream's chunks carry; 0 by default. */
    uint64_t stream_id;
    /** 1: accept a heap's packets in any order. 0 (default): discard a packet that is not the next of its heap. */
    int32_t allow_out_of_order;
    /** 1 (default): accept heaps that do not tell their length; they are never complete. 0: discard them. */
    int32_t allow_unsized_heaps;
    /** 1 (default): end the stream at a stop item. 0: treat its heap as any other. */
    int32_t stop_on_stop_item;
    /** 1: read nothing until aq_recv_stream_start(). 0 (default): read as soon as there is a reader. */
    int32_t explicit_start;
    /** How payloads are copied to where they belong: AQ_MEMCPY_STD (default) or AQ_MEMCPY_NONTEMPORAL. */
    int32_t memcpy;
    /**
     * Which bugs of old senders to put up with when descriptors and values of this stream's heaps are decoded: the sum of
     * AQ_BUG_COMPAT_* flags; 0 (default) for none.
     */
    int32_t bug_compat;
    /** How many of custom_stats are in use; aq_recv_stream_config_add_stat() counts. */
    size_t n_custom_stats;
    /** Statistics of the program's own. */
    aq_custom_stat custom_stats[AQ_MAX_CUSTOM_STATS];
} aq_recv_stream_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_recv_stream_config_init(aq_recv_stream_config *config, size_t struct_size);

/**
 * Adds a statistic of the program's own, which callbacks update through batch_stats.
 *
 * @param config an initialised configuration
 * @param name its name, not empty and not that of another statistic of the stream (which aq_chunk_ring_stream_new() checks);
 *     must stay valid until the stream has been made
 * @param mode AQ_STAT_COUNTER or AQ_STAT_MAXIMUM: how a batch's value joins the total
 * @param index receives its index, for batch_stats and aq_recv_stream_stat_value(); may be NULL
 * @return AQ_OK; AQ_E_INVALID when there are AQ_MAX_CUSTOM_STATS already, name is NULL or the mode is unknown
 *
 * Threads: one at a time per configuration.
 */
aq_status aq_recv_stream_config_add_stat(aq_recv_stream_config *config, const char *name, int32_t mode,
    size_t *index);

/**
 * The stream's settings, as it was made with.
 *
 * @param stream the stream
 * @param config a struct from aq_recv_stream_config_init(). memory_allocator and packet_copy with its two fellows are left NULL,
 *     as they belong to the stream; the names of custom_stats are valid as long as the stream
 * @return AQ_OK; AQ_E_INVALID when the struct was not initialised
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_get_config(const aq_recv_stream *stream, aq_recv_stream_config *config);

/**
 * Starts a stream that was made with explicit_start. Does nothing if it has been started.
 *
 * @param stream the stream
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_start(aq_recv_stream *stream);

/**
 * Stops the stream and waits until its worker has let go of it: no callback runs after this returns.
 *
 * Partial heaps are given up. Heaps in a stream's own ring can still be taken. Of a chunk stream, live chunks go to the data
 * ring as far as there is space; then both rings are stopped.
 * A stream that has ended by itself is left as it is, and so are its rings.
 *
 * @param stream the stream
 * @return AQ_OK, also when it has ended already; AQ_E_STATE from a callback on the stream's own worker thread
 *
 * Threads: any but the stream's worker, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_stop(aq_recv_stream *stream);

/**
 * Stops the stream as aq_recv_stream_stop() does, and frees it. Its rings and its pool may be freed before or after.
 *
 * @param stream the stream, or NULL, which does nothing
 * @return AQ_OK; AQ_E_STATE, and nothing done, from a callback on the stream's own worker thread
 *
 * Threads: no other call on this stream may be running or follow.
 */
aq_status aq_recv_stream_free(aq_recv_stream *stream);

/**
 * A short text for a reason why a stream ended, in English, e.g. "a stop item came".
 *
 * @param reason any number; unknown ones have a text, too
 * @return static text, never NULL
 *
 * Threads: any, at any time.
 */
const char *aq_end_reason_string(int32_t reason);

/**
 * Why the stream ended.
 *
 * @param stream the stream
 * @param reason receives one of AQ_END_*
 * @param error receives the error's status if the reason is AQ_END_ERROR, else AQ_OK; may be NULL
 * @param message receives the error's text (else an empty one), cut to what fits and ended by NUL; may be NULL
 * @param message_size bytes at message
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 *
 * ```c
 * int32_t reason;
 * char message[256];
 * aq_recv_stream_end_reason(stream, &reason, NULL, message, sizeof message);
 * if (reason == AQ_END_ERROR)
 *     fprintf(stderr, "%s\n", message);
 * ```
 */
aq_status aq_recv_stream_end_reason(const aq_recv_stream *stream, int32_t *reason, aq_status *error,
    char *message, size_t message_size);

/**
 * The statistics at one moment.
 *
 * @param stream the stream
 * @param stats a struct from aq_recv_stats_init()
 * @return AQ_OK; AQ_E_INVALID when the struct was not initialised
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 *
 * ```c
 * aq_recv_stats stats;
 * aq_recv_stats_init(&stats, sizeof stats);
 * aq_recv_stream_get_stats(stream, &stats);
 * printf("%" PRIu64 " packets, closed: %d\n", stats.packets, (int)stats.ledger_closed);
 * ```
 */
aq_status aq_recv_stream_get_stats(const aq_recv_stream *stream, aq_recv_stats *stats);

/**
 * How many statistics there are, the program's own included.
 *
 * @param stream the stream
 * @param count receives the number
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_stat_count(const aq_recv_stream *stream, size_t *count);

/**
 * The name of a statistic. Names stay; indices may change from one version of the library to the next.
 *
 * @param stream the stream
 * @param index 0 .. aq_recv_stream_stat_count() - 1
 * @param name receives the name, valid as long as the stream
 * @return AQ_OK; AQ_E_NOT_FOUND
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_stat_name(const aq_recv_stream *stream, size_t index, const char **name);

/**
 * The index of a statistic.
 *
 * @param stream the stream
 * @param name its name, as in aq_recv_stats or as given to aq_recv_stream_config_add_stat()
 * @param index receives the index
 * @return AQ_OK; AQ_E_NOT_FOUND
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_stat_index(const aq_recv_stream *stream, const char *name, size_t *index);

/**
 * The value of a statistic.
 *
 * @param stream the stream
 * @param index from aq_recv_stream_stat_index() or aq_recv_stream_config_add_stat()
 * @param value receives the value
 * @return AQ_OK; AQ_E_NOT_FOUND
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_stat_value(const aq_recv_stream *stream, size_t index, uint64_t *value);

/**
 * The statistics of a stream in the text format of Prometheus (0.0.4), to be served as `text/plain; version=0.0.4`.
 *
 * A statistic `x` of aq_recv_stats is the counter `aqueduct_recv_x_total` (`max_batch` and `packets_pending`: gauges without
 * `_total`), the program's own are `aqueduct_recv_custom_total` and `aqueduct_recv_custom_maximum` with the label `name`, and
 * `aqueduct_recv_running` is 1 until the stream has ended. Each has the label `stream`, which is the stream's `stream_id`. For several
 * streams see aq_recv_streams_metrics(): texts of single streams cannot be joined, for a metric may appear only once.
 *
 * @param stream the stream
 * @param buffer receives the text, ended by NUL; may be NULL when size is 0
 * @param size the buffer's bytes; 16 KiB are enough for a stream without own statistics
 * @param needed receives how many bytes the text takes with its NUL, also when the buffer is too small; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when the buffer is too small: nothing was written to it
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 *
 * ```c
 * char text[32768];
 * size_t needed;
 * if (aq_recv_stream_metrics(stream, text, sizeof text, &needed) == AQ_OK)
 *     respond("text/plain; version=0.0.4", text, needed - 1);
 * ```
 */
aq_status aq_recv_stream_metrics(const aq_recv_stream *stream, char *buffer, size_t size, size_t *needed);

/**
 * As aq_recv_stream_metrics(), for several streams in one text.
 *
 * @param streams the streams; each must have a `stream_id` of its own
 * @param n_streams how many; with 0 the text has no samples
 * @param buffer receives the text, ended by NUL; may be NULL when size is 0
 * @param size the buffer's bytes
 * @param needed receives how many bytes the text takes with its NUL, also when the buffer is too small; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when the buffer is too small: nothing was written to it; AQ_E_INVALID when two streams have the
 *     same identifier, or one of them is no stream
 *
 * Threads: any, at the same time as all functions of the streams but aq_recv_stream_free().
 */
aq_status aq_recv_streams_metrics(const aq_recv_stream *const *streams, size_t n_streams, char *buffer,
    size_t size, size_t *needed);

/**
 * Gives a chunk to be filled (again): clears its present flags and puts it on the free ring, without waiting.
 *
 * @param stream a chunk stream
 * @param chunk the chunk; on AQ_OK it belongs to the stream, on any other status to the caller still (on AQ_FULL with its
 *     present flags cleared). If the free ring has been stopped nobody needs the chunk any more: it is freed, and the answer
 *     is AQ_OK
 * @return AQ_OK; AQ_FULL when the free ring is full: it should have a place for every chunk; AQ_E_STATE when the caller does
 *     not hold the chunk, or the stream is no chunk stream
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_add_free_chunk(aq_recv_stream *stream, aq_chunk *chunk);

/**
 * The ring that filled chunks go to.
 *
 * @param stream a chunk stream
 * @param ring receives a handle to the ring; free it with aq_chunk_ring_free(), which leaves the ring itself to the stream
 * @return AQ_OK; AQ_E_STATE when the stream is no chunk stream
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_data_ring(const aq_recv_stream *stream, aq_chunk_ring **ring);

/**
 * The ring that empty chunks come from.
 *
 * @param stream a chunk stream
 * @param ring receives a handle to the ring; free it with aq_chunk_ring_free(), which leaves the ring itself to the stream
 * @return AQ_OK; AQ_E_STATE when the stream is no chunk stream
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_free_ring(const aq_recv_stream *stream, aq_chunk_ring **ring);

/* =============================================================================================================
 * Readers
 *
 * Readers bring packets to a stream: from a UDP or TCP socket, a capture file, memory. A stream may have several, of any kind,
 * and it ends when the last of them has ended; add them all before aq_recv_stream_start() (explicit_start) if one may
 * end before the next is added. A reader never blocks its worker: when the stream must wait for its consumer, it pauses.
 * ============================================================================================================= */

/** The time of arrival is not taken. */
#define AQ_TIMESTAMPS_NONE 0
/**
 * The kernel takes the time (SO_TIMESTAMPING). It begins to do so up to some milliseconds after the first socket of the host has asked
 * for it; packets that come in between have the time at which they are read.
 */
#define AQ_TIMESTAMPS_SOFTWARE 1
/** The network card takes the time if it is set up to do so (hwstamp_ctl), else the kernel; aq_arrival tells which. */
#define AQ_TIMESTAMPS_HARDWARE 2
/** In aq_udp_reader_config: the reader itself chooses how long datagrams gather. */
#define AQ_COALESCE_ADAPTIVE (-1)

/** Where and how to receive datagrams. Fill it with aq_udp_reader_config_init() first. */
typedef struct aq_udp_reader_config {
    /** Set by aq_udp_reader_config_init(). */
    size_t struct_size;
    /**
     * Address or name to bind to; NULL or "" (default) for all IPv4 addresses, "::" for all IPv6 and IPv4 addresses. A
     * multicast group is joined; for several groups add several readers.
     */
    const char *host;
    /**
     * The interface on which a multicast group is joined: its name ("eth1") or, for an IPv4 group, its address; NULL or ""
     * (default) leaves it to the system.
     */
    const char *interface_address;
    /**
     * From whom packets are taken: addresses and networks, separated by commas, like "10.1.0.0/16, 192.0.2.7"; NULL or "" (default)
     * for everybody. Others' packets are counted as source_rejected.
     */
    const char *source_filter;
    /** Longest packet to accept, in bytes: 1 .. 65535; 9200 by default. Longer ones are counted as truncated. */
    size_t max_size;
    /**
     * The socket's receive buffer in bytes; 8 MiB by default, 0 leaves the system's. If the kernel grants less, that is
     * logged as a warning.
     */
    size_t buffer_size;
    /**
     * Where coalesce_ns is AQ_COALESCE_ADAPTIVE: for how many nanoseconds datagrams may gather in the socket so that the next batch is
     * larger. That saves CPU time and costs at most that much latency. 0 .. 1000000; 500000 by default; 0 for the lowest latency.
     */
    uint64_t batch_delay_ns;
    /**
     * A bound UDP socket to use; host and port are then ignored. It is duplicated: the caller's stays the caller's, but both
     * become non-blocking. -1 (default) for none.
     */
    int socket_fd;
    /**
     * 1 (default): take datagrams of one sender in bunches where the kernel can (generic receive offload), which saves CPU time;
     * but a bunch that the kernel has to drop counts as one in kernel_drops. 0: one by one, each drop counted.
     */
    int32_t gro;
    /** The same as interface_address by the interface's index; 0 (default) for none. Only one of them may be set. */
    uint32_t interface_index;
    /** 1: other sockets may bind to the same address, too (SO_REUSEADDR); 0 by default. For a multicast group it is always so. */
    int32_t reuse_address;
    /**
     * 1: share what is sent to this address with other sockets that have this set (SO_REUSEPORT), so that each gets the packets of
     * some senders; 0 by default.
     */
    int32_t reuse_port;
    /**
     * Whether the time is taken at which packets arrive, see aq_heap_arrival(): one of AQ_TIMESTAMPS_*. With gro, a bunch has
     * one time.
     */
    int32_t timestamps;
    /** Port to bind to; 0 (default) lets the system choose, see aq_recv_stream_reader_port(). */
    uint16_t port;
    /** Must be 0; anything else is AQ_E_VERSION. */
    uint16_t reserved[3];
    /**
     * For how many nanoseconds datagrams gather in the socket before they are fetched: 0 (never), up to 1000000 (as long, whenever at
     * least two are to be expected in that time), or AQ_COALESCE_ADAPTIVE (default): as long as it pays at the rate of the last
     * wake-ups and at most batch_delay_ns. In any case what comes to an idle socket is fetched at once, no more than about an
     * eighth of the socket's buffer is let fill, and the wait may end some 50 µs late (the kernel's timer slack).
     */
    int64_t coalesce_ns;
} aq_udp_reader_config;

/**
 * Reads packets that stand back to back in memory.
 *
 * A malformed packet ends the reader with an error, as nobody can know where the next one starts.
 *
 * @param stream the stream
 * @param data the packets; they must not change until release is called
 * @param size bytes at data
 * @param release called once with user when the data is not needed any more, by any thread, also on an error; or NULL, then
 *     the data must stay valid until the stream has ended
 * @param user passed to release
 * @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_INVALID when data is NULL and size is not 0
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_add_buffer_reader(aq_recv_stream *stream, const void *data, size_t size,
    aq_user_free_fn release, void *user);

/**
 * Reads the UDP datagrams of a capture file (pcap or pcapng; Ethernet with VLAN tags, Linux cooked, loopback or raw IP)
 * as fast as the stream takes them.
 *
 * Frames that are not UDP, fragments of IP packets and frames cut short by the capture are counted (not_udp, fragment,
 * truncated). A packet's time of arrival, see aq_heap_arrival(), is that of the capture. A broken file ends the reader with an error that names the record and its place.
 *
 * @param stream the stream
 * @param path the file
 * @param filter which packets, in tcpdump's language, for example "udp dst port 7148"; NULL for all
 * @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_IO when the file cannot be opened; AQ_E_FORMAT or
 *     AQ_E_TRUNCATED when it is no capture file; AQ_E_INVALID when the filter has an error; AQ_E_UNSUPPORTED for other link
 *     types, or without the feature "pcap"
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_add_pcap_reader(aq_recv_stream *stream, const char *path, const char *filter);

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_udp_reader_config_init(aq_udp_reader_config *config, size_t struct_size);

/**
 * Reads packets from a UDP socket, many at a time, with generic receive offload where the kernel has it.
 *
 * What the kernel drops because nobody fetched it in time is counted in kernel_drops (see gro): with the next datagrams that
 * are fetched, so not while the stream waits for its consumer, and at the end. What is still in the socket when the stream ends
 * is counted as after_stop, unless the socket is the caller's.
 *
 * @param stream the stream
 * @param config where and how; copied
 * @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_INVALID; AQ_E_IO when the host is unknown, the address is
 *     in use, or the system refuses otherwise: aq_last_error() names the address and the reason
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 *
 * ```c
 * aq_udp_reader_config udp;
 * aq_udp_reader_config_init(&udp, sizeof udp);
 * udp.host = "0.0.0.0";
 * udp.port = 7148;
 * if (aq_recv_stream_add_udp_reader(stream, &udp) != AQ_OK)
 *     fprintf(stderr, "%s\n", aq_last_error());
 * ```
 */
aq_status aq_recv_stream_add_udp_reader(aq_recv_stream *stream, const aq_udp_reader_config *config);

/**
 * The port that a reader is bound to.
 *
 * @param stream the stream
 * @param reader the reader: 0 for the first that was added to the stream, 1 for the second …
 * @param port receives the port
 * @return AQ_OK; AQ_E_NOT_FOUND when there is no such reader, or it has no port
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_reader_port(const aq_recv_stream *stream, size_t reader, uint16_t *port);

/* =============================================================================================================
 * TCP reader
 *
 * A TCP reader listens, and receives packets from the connection that is made to it: one at a time. While the stream waits for
 * its consumer nothing is read, so that the sender is slowed down by TCP itself, and nothing is lost.
 *
 * Nothing but their own lengths separates packets on a TCP connection. So what is no packet (or one longer than max_size) breaks
 * the connection, unless on_garbage says to look for the next packet. A connection that ends after its last packet ends the
 * reader; one that ends in the middle of a packet ends it with AQ_E_TRUNCATED, and one that is reset with AQ_E_IO, which the
 * stream then tells as its reason (see aq_recv_stream_end_reason()).
 * ============================================================================================================= */

/** The connection ends with AQ_E_FORMAT. */
#define AQ_GARBAGE_CLOSE 0
/**
 * Bytes are skipped up to the next that may be a packet's header, one by one: they are counted in bytes_skipped, and each time
 * that this happens one packet is counted as malformed (by kind) or, if it was too long, as truncated. What looks like a header
 * by chance, in what is none, is taken for one.
 */
#define AQ_GARBAGE_RESYNC 1

/** Where and how to receive over TCP. Fill it with aq_tcp_reader_config_init() first. */
typedef struct aq_tcp_reader_config {
    /** Set by aq_tcp_reader_config_init(). */
    size_t struct_size;
    /** Address or name to listen on; NULL or "" (default) for all IPv4 addresses, "::" for all IPv6 and IPv4 addresses. */
    const char *host;
    /**
     * From whom connections are taken: addresses and networks, separated by commas, like "10.1.0.0/16, 192.0.2.7"; NULL or "" (default)
     * for everybody. Others are closed at once, and counted as connections_rejected.
     */
    const char *source_filter;
    /**
     * Longest packet to accept, in bytes with its header: 1 .. 2^30; 65536 by default. Memory is used for what has come of a
     * packet only.
     */
    size_t max_size;
    /**
     * The connection's receive buffer in bytes; 4 MiB by default, 0 leaves it to the system. If the kernel grants less, that is
     * logged as a warning.
     */
    size_t buffer_size;
    /**
     * When all that was there has been read, for how many nanoseconds the worker may rest so that more gathers: that saves CPU
     * time and costs at most that much latency. A flow that would fill the buffer meanwhile gets no rest. 0 .. 1000000;
     * 1000000 by default; 0 for the lowest latency.
     */
    uint64_t batch_delay_ns;
    /**
     * A listening TCP socket to use; host and port are then ignored. It is duplicated: the caller's stays the caller's, and open,
     * but both become non-blocking. -1 (default) for none.
     */
    int acceptor_fd;
    /**
     * 0 (default): the reader takes one connection, listens no longer, and ends when that ends. 1: it goes on listening and takes
     * one connection after the other (a further one waits for its turn); how they end is logged and counted, and the reader
     * never ends by itself.
     */
    int32_t reconnect;
    /** What to do where a packet should start and none does: one of AQ_GARBAGE_*, AQ_GARBAGE_CLOSE by default. */
    int32_t on_garbage;
    /**
     * Whether the time is taken at which packets arrive, see aq_heap_arrival(): one of AQ_TIMESTAMPS_*. It is that of the last byte that
     * was read together with the end of the packet.
     */
    int32_t timestamps;
    /** Port to listen on; 0 (default) lets the system choose, see aq_recv_stream_reader_port(). */
    uint16_t port;
    /** Must be 0; anything else is AQ_E_VERSION. */
    uint16_t reserved[3];
} aq_tcp_reader_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_tcp_reader_config_init(aq_tcp_reader_config *config, size_t struct_size);

/**
 * Listens on a TCP socket and receives packets from the connection that is made.
 *
 * Long payloads are read straight into their places. Keep-alive is on, so that a sender whose machine has gone without a word is
 * noticed after the system's time for that (net.ipv4.tcp_keepalive_time).
 *
 * When the stream ends, what has been read of the connection and not been used is counted as after_stop (a packet of which a part
 * had come, too); what is still in the socket is not counted.
 *
 * @param stream the stream
 * @param config where and how; copied
 * @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_INVALID; AQ_E_IO when the host is unknown, the address is
 *     in use, or the system refuses otherwise: aq_last_error() names the address and the reason
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 *
 * ```c
 * aq_tcp_reader_config tcp;
 * aq_tcp_reader_config_init(&tcp, sizeof tcp);
 * tcp.host = "0.0.0.0";
 * tcp.port = 7148;
 * if (aq_recv_stream_add_tcp_reader(stream, &tcp) != AQ_OK)
 *     fprintf(stderr, "%s\n", aq_last_error());
 * ```
 */
aq_status aq_recv_stream_add_tcp_reader(aq_recv_stream *stream, const aq_tcp_reader_config *config);

/* =============================================================================================================
 * Live capture
 *
 * Packets captured on a network interface through libpcap, whoever they are for: those of a mirrored port, of a stream that another
 * program receives at the same time, of a multicast group that nobody has joined. Capturing takes a privilege (`CAP_NET_RAW`) and
 * costs more than a UDP reader. Fragments of IP packets are not put together: they are counted (fragment). A bunch of datagrams that a program
 * on the same host has sent in one go (UDP_SEGMENT) is seen as one.
 * ============================================================================================================= */

/** Where and what to capture. Fill it with aq_pcap_live_reader_config_init() first. */
typedef struct aq_pcap_live_reader_config {
    /** Set by aq_pcap_live_reader_config_init(). */
    size_t struct_size;
    /** The interface's name, or "any". Required. */
    const char *device;
    /** Which packets, in tcpdump's language, for example "udp dst port 7148"; NULL (default) for all. The kernel applies it. */
    const char *filter;
    /** The ring that the kernel captures to, in bytes: 65536 .. 2147483647; 16 MiB by default. */
    size_t buffer_size;
    /** 1 (default): take frames that are addressed to other hosts, too; 0: leave the interface as it is. */
    int32_t promiscuous;
    /**
     * 1: take frames that this host sends, too; 0 (default): only those that it receives. On the loopback interface each frame is
     * taken once, in any case.
     */
    int32_t outgoing;
} aq_pcap_live_reader_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_pcap_live_reader_config_init(aq_pcap_live_reader_config *config, size_t struct_size);

/**
 * Reads the UDP datagrams that are captured on an interface, until the stream ends. Their time of arrival is taken, see
 * aq_heap_arrival().
 *
 * What finds no space in the kernel's ring is counted in kernel_drops; the filter's own misses are not counted. Frames that are not UDP,
 * fragments of IP packets and frames longer than 65663 bytes are counted (not_udp, fragment, truncated): a filter keeps the first of
 * them away. The reader fails when the interface disappears or goes down.
 *
 * @param stream the stream
 * @param config where and what; copied
 * @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_INVALID when a field is out of range or the filter has an error;
 *     AQ_E_IO when there is no such interface, or this process may not capture; AQ_E_UNSUPPORTED for other link types than Ethernet,
 *     loopback, Linux cooked and raw IP, or without the feature "pcap"
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 *
 * ```c
 * aq_pcap_live_reader_config live;
 * aq_pcap_live_reader_config_init(&live, sizeof live);
 * live.device = "eth1";
 * live.filter = "udp dst port 7148";
 * if (aq_recv_stream_add_pcap_live_reader(stream, &live) != AQ_OK)
 *     fprintf(stderr, "%s\n", aq_last_error());
 * ```
 */
aq_status aq_recv_stream_add_pcap_live_reader(aq_recv_stream *stream, const aq_pcap_live_reader_config *config);

/* =============================================================================================================
 * In-process queues
 *
 * A queue brings packets to a stream from other threads of the program, as if they came by a network: from a simulator, from a device
 * that no reader knows, in tests. Any number of threads may add packets; one stream reads them.
 * ============================================================================================================= */

/** A queue of packets. */
typedef struct aq_inproc_queue aq_inproc_queue;

/**
 * Makes an empty queue.
 *
 * @param capacity packets that it holds at the most; 0 for any number, as far as there is memory
 * @param out receives the queue; free it with aq_inproc_queue_free()
 * @return AQ_OK; AQ_E_IO when there are too many open files
 *
 * Threads: any.
 */
aq_status aq_inproc_queue_new(size_t capacity, aq_inproc_queue **out);

/**
 * Adds a packet. What is none is counted by the stream as malformed, as if it came by a network.
 *
 * @param queue the queue
 * @param data the packet; copied
 * @param size its bytes: at most 2^30
 * @param timeout_ns how long to wait for space; see Waiting
 * @return AQ_OK; AQ_FULL; AQ_TIMEOUT; AQ_STOPPED when the queue is stopped, or the stream that reads it has ended; AQ_E_INVALID
 *
 * Threads: any number at the same time.
 */
aq_status aq_inproc_queue_add_packet(aq_inproc_queue *queue, const uint8_t *data, size_t size,
    int64_t timeout_ns);

/**
 * How many packets have been added and not yet been taken by the stream.
 *
 * @param queue the queue
 * @param size receives the number, which others may change at once
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_inproc_queue_size(const aq_inproc_queue *queue, size_t *size);

/**
 * Ends a queue: no packet can be added any more, and threads that wait for space return. Packets in the queue are still read; then the
 * reader ends, and with its last reader the stream. Stopping again does nothing.
 *
 * @param queue the queue
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_inproc_queue_stop(aq_inproc_queue *queue);

/**
 * Frees a queue. A stream that reads it goes on with what is in it, and its reader ends.
 *
 * @param queue the queue, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no queue, or freed already as far as that can be seen
 *
 * Threads: no other call on this queue may be running or follow.
 */
aq_status aq_inproc_queue_free(aq_inproc_queue *queue);

/**
 * Receives packets from a queue. The queue can have one reader; it is stopped when the stream ends.
 *
 * @param stream the stream
 * @param queue the queue, which the caller may free afterwards
 * @return AQ_OK; AQ_STOPPED when the stream has ended already; AQ_E_STATE when the queue has, or had, a reader
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 *
 * ```c
 * aq_inproc_queue *queue;
 * aq_inproc_queue_new(1024, &queue);
 * aq_recv_stream_add_inproc_reader(stream, queue);
 * while (make_packet(packet, &size))
 *     aq_inproc_queue_add_packet(queue, packet, size, AQ_WAIT_FOREVER);
 * aq_inproc_queue_free(queue);
 * ```
 */
aq_status aq_recv_stream_add_inproc_reader(aq_recv_stream *stream, aq_inproc_queue *queue);

/* =============================================================================================================
 * Heaps
 *
 * A heap is what a stream of heaps hands out: a number, items, and a payload. It owns its memory and may outlive its
 * stream; it belongs to whoever got it, until aq_heap_free().
 *
 * Items are immediate (a number in the item pointer) or addressed (bytes of the payload). Descriptors among them say what
 * they mean: see Items. A heap of which something is missing has its immediate items only.
 *
 * All functions but aq_heap_free() only read: any number of threads may call them at the same time.
 * ============================================================================================================= */

/** Descriptors give shapes and formats in entries as wide as for SPEAD-64-40, whatever the flavour. */
#define AQ_BUG_COMPAT_DESCRIPTOR_WIDTHS 1
/** A variable dimension is marked by the value 2 of its first byte, not 1. */
#define AQ_BUG_COMPAT_SHAPE_BIT_1 2
/** Arrays described by numpy are in the opposite byte order. */
#define AQ_BUG_COMPAT_SWAP_ENDIAN 4
/** Scalars are sent by format, never as numpy describes. */
#define AQ_BUG_COMPAT_NO_SCALAR_NUMPY 8
/** All bugs of PySPEAD 0.5.2. */
#define AQ_BUG_COMPAT_PYSPEAD_0_5_2 15

/** A heap. */
typedef struct aq_heap aq_heap;

/** How a heap's packets were written. */
typedef struct aq_flavour {
    /** Version of the protocol: 4. */
    int32_t version;
    /** Bits of an item pointer: 64. */
    int32_t item_pointer_bits;
    /** Bits of a heap address, or of an immediate value: 8, 16 .. 56. */
    int32_t heap_address_bits;
    /** The stream's bug_compat. */
    int32_t bug_compat;
} aq_flavour;

/** A range of a heap's payload. */
typedef struct aq_range {
    /** Its first byte. */
    uint64_t start;
    /** The byte after its last. */
    uint64_t end;
} aq_range;

/** An item as it stands in a heap; see Items for what it means. */
typedef struct aq_raw_item {
    /** Its identifier. */
    uint64_t id;
    /** 1 if the item pointer itself held the value, else 0. */
    int32_t is_immediate;
    /** 0. */
    int32_t reserved;
    /** The value of an immediate item; else 0. */
    uint64_t value;
    /** The bytes of an addressed item, valid as long as the heap; NULL for an immediate one. */
    const uint8_t *data;
    /** Bytes at data. */
    size_t size;
} aq_raw_item;

/** When a packet arrived. */
typedef struct aq_arrival {
    /** Nanoseconds since the Unix epoch (UTC). */
    uint64_t nanoseconds;
    /** 1 if the network card took the time, 0 if the kernel did. */
    int32_t is_hardware;
    /** 0. */
    int32_t reserved;
} aq_arrival;

/**
 * The heap's number.
 *
 * @param heap the heap
 * @param cnt receives the number
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_cnt(const aq_heap *heap, uint64_t *cnt);

/**
 * How the heap's packets were written.
 *
 * @param heap the heap
 * @param flavour receives it
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_flavour(const aq_heap *heap, aq_flavour *flavour);

/**
 * Whether the heap says that the stream starts.
 *
 * @param heap the heap
 * @param yes receives 1 or 0
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_is_start_of_stream(const aq_heap *heap, int32_t *yes);

/**
 * Whether the heap says that the stream ends. Such a heap is handed out only where stop_on_stop_item is 0.
 *
 * @param heap the heap
 * @param yes receives 1 or 0
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_is_end_of_stream(const aq_heap *heap, int32_t *yes);

/**
 * Whether nothing of the heap is missing. Of a heap whose packets did not tell its length, that is as far as its payloads
 * and item pointers reach.
 *
 * @param heap the heap
 * @param yes receives 1 or 0; always 1 with contiguous_only
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_is_complete(const aq_heap *heap, int32_t *yes);

/**
 * The length that the heap's packets told.
 *
 * @param heap the heap
 * @param length receives the length in bytes; -1 if they told none
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_length(const aq_heap *heap, int64_t *length);

/**
 * How much of the heap's payload was received.
 *
 * @param heap the heap
 * @param length receives the number of bytes
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_received_length(const aq_heap *heap, uint64_t *length);

/**
 * How many ranges of an incomplete heap's payload are known to have been received.
 *
 * @param heap the heap
 * @param count receives the number: 0 for a complete heap, and without incomplete_keep_payload_ranges
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_payload_range_count(const aq_heap *heap, size_t *count);

/**
 * A range of an incomplete heap's payload that was received. Ranges are in ascending order and do not touch.
 *
 * @param heap the heap
 * @param index 0 .. aq_heap_payload_range_count() - 1
 * @param range receives the range
 * @return AQ_OK; AQ_E_NOT_FOUND
 *
 * Threads: any.
 */
aq_status aq_heap_payload_range(const aq_heap *heap, size_t index, aq_range *range);

/**
 * The heap's payload.
 *
 * @param heap the heap
 * @param data receives its address, valid as long as the heap. Of an incomplete heap, bytes outside of what was received are
 *     of any content
 * @param size receives the number of bytes; may be NULL
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_payload(const aq_heap *heap, const uint8_t **data, size_t *size);

/**
 * How many items the heap has. Items without bytes and padding are not among them; descriptors are.
 *
 * @param heap the heap
 * @param count receives the number
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_item_count(const aq_heap *heap, size_t *count);

/**
 * An item of the heap. Finding item after item takes time proportional to the index: for heaps of thousands of items use
 * aq_heap_items().
 *
 * @param heap the heap
 * @param index 0 .. aq_heap_item_count() - 1
 * @param item receives the item
 * @return AQ_OK; AQ_E_NOT_FOUND
 *
 * Threads: any.
 */
aq_status aq_heap_item(const aq_heap *heap, size_t index, aq_raw_item *item);

/**
 * All items of the heap, or as many as there is space for.
 *
 * @param heap the heap
 * @param items an array that receives them; may be NULL if capacity is 0
 * @param capacity how many fit into the array
 * @param count receives how many the heap has, which may be more
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_items(const aq_heap *heap, aq_raw_item *items, size_t capacity, size_t *count);

/**
 * The first item of the heap with an identifier.
 *
 * @param heap the heap
 * @param id the identifier
 * @param item receives the item
 * @return AQ_OK; AQ_E_NOT_FOUND
 *
 * Threads: any.
 */
aq_status aq_heap_find_item(const aq_heap *heap, uint64_t id, aq_raw_item *item);

/**
 * When the heap's first and last packet arrived, in the order of arrival. UDP and TCP readers tell that if they are asked to (`timestamps`),
 * captures always, other readers never.
 *
 * @param heap the heap
 * @param first receives the time of the first; may be NULL
 * @param last receives the time of the last; may be NULL
 * @return AQ_OK; AQ_E_NOT_FOUND when the reader did not tell
 *
 * Threads: any.
 */
aq_status aq_heap_arrival(const aq_heap *heap, aq_arrival *first, aq_arrival *last);

/**
 * Frees a heap.
 *
 * @param heap the heap, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no heap, or freed already as far as that can be seen
 *
 * Threads: no other call on this heap may be running or follow.
 */
aq_status aq_heap_free(aq_heap *heap);

/* =============================================================================================================
 * Items
 *
 * What a heap's items mean is told by descriptors that the sender puts into heaps now and then: a name, a type, a shape. An
 * item group (aq_item_group) learns them, and keeps the latest value of each item as an array in this machine's byte order.
 *
 * Types are written as numpy writes them: "<f4" (a byte order, a letter, a size in bytes), or
 * "[('time', '<u8'), ('power', '<f4', (2,))]" for records, whose bytes lie one behind the other. Formats that pack bits (a 12-bit
 * integer, say) are unpacked to the smallest integers that hold them. Letters: b bool, i and u integers, f float, c complex, S text
 * in bytes, U text in characters of 4 bytes, M and m times, V bytes without a meaning. Sources: numpy's array interface, and SPEAD's
 * specification for formats.
 * ============================================================================================================= */

/** The last index runs fastest. */
#define AQ_ORDER_C 0
/** The first index runs fastest. */
#define AQ_ORDER_F 1
/** The item is no single number. */
#define AQ_NUMBER_NONE 0
/** A bool or an unsigned integer. */
#define AQ_NUMBER_UNSIGNED 1
/** A signed integer, or a time. */
#define AQ_NUMBER_SIGNED 2
/** A float of 2, 4 or 8 bytes. */
#define AQ_NUMBER_FLOAT 3

/** A field of a record. */
typedef struct aq_item_field {
    /** Its name; "" for padding. */
    const char *name;
    /** Its type, or that of its elements. */
    const char *dtype;
    /** Bytes from the record's beginning. */
    size_t offset;
    /** Bytes in all. */
    size_t size;
    /** Its dimensions; 0 for a single value. */
    size_t n_dims;
    /** As many sizes, in C order. */
    const size_t *shape;
} aq_item_field;

/**
 * An item of a group: its description and its latest value. Initialise it with aq_item_init() first. What it points to belongs to the
 * group, and is valid until the group's next update or its end.
 */
typedef struct aq_item {
    /** Set by aq_item_init(). */
    size_t struct_size;
    /** Its identifier. */
    uint64_t id;
    /** Its name. */
    const char *name;
    /** What it is, for people. */
    const char *description;
    /** Grows by one with each value and each new description; 0 if there was none of either but the first description. */
    uint64_t version;
    /** The type of its elements, as in "<f4". */
    const char *dtype;
    /** Bytes of an element. */
    size_t item_size;
    /** The fields of an element; 0 if it is not a record. */
    size_t n_fields;
    /** As many fields. */
    const aq_item_field *fields;
    /** Dimensions of the value; 0 for a single one, and where there is no value yet. */
    size_t n_dims;
    /** As many sizes. */
    const size_t *shape;
    /** For each dimension the bytes from one element to the next. */
    const size_t *strides;
    /** The elements back to back, in this machine's byte order; NULL if no value has come since the item was described. */
    const uint8_t *data;
    /** Bytes at data. */
    size_t size;
    /** AQ_ORDER_C or AQ_ORDER_F. */
    int32_t order;
    /** 1 if the last update brought a value, else 0. */
    int32_t changed;
    /** 1 if there is a value, else 0. */
    int32_t has_value;
    /** What the value is if it is a single number: one of AQ_NUMBER_*; see aq_item_u64() and its like. */
    int32_t number_kind;
    /** That number's bits: of an integer extended to 64, of a float as a double. */
    uint64_t number_bits;
} aq_item;

/** The letter and width of an element's part, where a descriptor gives a format. */
typedef struct aq_format_entry {
    /** 'u', 'i', 'f', 'c' or 'b'. */
    int32_t letter;
    /** Bits. */
    int32_t bits;
} aq_format_entry;

/**
 * A descriptor in a heap. Initialise it with aq_descriptor_init() first. What it points to belongs to the heap, and is valid as long as
 * that.
 */
typedef struct aq_descriptor {
    /** Set by aq_descriptor_init(). */
    size_t struct_size;
    /** The identifier of the item that it describes. */
    uint64_t id;
    /** The item's name. */
    const char *name;
    /** What it is, for people. */
    const char *description;
    /** The type of its elements on the wire, as in ">f4"; NULL if a format tells it. */
    const char *dtype;
    /** The type of its elements as an item group delivers them. */
    const char *native_dtype;
    /** Parts of an element, where a format tells them; 0 with a dtype. */
    size_t n_format;
    /** As many. */
    const aq_format_entry *format;
    /** Dimensions. */
    size_t n_dims;
    /** As many sizes; -1 for the one, at most, that follows from the size of a value. */
    const int64_t *shape;
    /** AQ_ORDER_C or AQ_ORDER_F. */
    int32_t order;
    /** 0. */
    int32_t reserved;
} aq_descriptor;

/**
 * Writes the defaults.
 *
 * @param item the struct
 * @param struct_size sizeof *item
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_item_init(aq_item *item, size_t struct_size);

/**
 * The value of an item that is a single integer, bool or time, not below 0.
 *
 * @param item an item of a group
 * @param value receives the number
 * @return AQ_OK; AQ_E_INVALID when it is an array, a float, or negative
 *
 * Threads: any.
 */
aq_status aq_item_u64(const aq_item *item, uint64_t *value);

/**
 * The value of an item that is a single integer, bool or time.
 *
 * @param item an item of a group
 * @param value receives the number
 * @return AQ_OK; AQ_E_INVALID when it is an array, a float, or above 2^63 - 1
 *
 * Threads: any.
 */
aq_status aq_item_i64(const aq_item *item, int64_t *value);

/**
 * The value of an item that is a single number, as the nearest double.
 *
 * @param item an item of a group
 * @param value receives the number
 * @return AQ_OK; AQ_E_INVALID when it is an array, or a float of 16 bytes
 *
 * Threads: any.
 */
aq_status aq_item_f64(const aq_item *item, double *value);

/**
 * Writes the defaults.
 *
 * @param descriptor the struct
 * @param struct_size sizeof *descriptor
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_descriptor_init(aq_descriptor *descriptor, size_t struct_size);

/* =============================================================================================================
 * Item groups
 *
 * An item group keeps what a stream's heaps have told: the items that they describe, and the latest value of each. Feed it every heap,
 * in order:
 *
 * ```c
 * aq_item item;
 * aq_item_init(&item, sizeof item);
 * while (aq_recv_stream_get(stream, AQ_WAIT_FOREVER, &heap) == AQ_OK) {
 *     if (aq_item_group_update(group, heap) != AQ_OK)
 *         fprintf(stderr, "%s\n", aq_last_error());
 *     aq_heap_free(heap);
 *     if (aq_item_group_find_name(group, "temperature", &item) == AQ_OK && item.changed)
 *         use(item.data, item.size);
 * }
 * ```
 * ============================================================================================================= */

/** An item group. */
typedef struct aq_item_group aq_item_group;

/** What a group may hold, whatever its sender sends. */
typedef struct aq_item_group_config {
    /** Set by aq_item_group_config_init(). */
    size_t struct_size;
    /** Items, at least 1; 65536 by default. Further ones are errors of an update (AQ_E_NOMEM). */
    size_t max_items;
    /** Bytes of all values, names and descriptions together; 2^32 by default. What is beyond is an error of an update (AQ_E_NOMEM). */
    size_t max_bytes;
} aq_item_group_config;

/** What went wrong with one item. */
typedef struct aq_item_error {
    /** The item's identifier; 0 if a descriptor did not tell one. */
    uint64_t id;
    /** AQ_E_FORMAT or AQ_E_NOMEM. */
    aq_status status;
    /** 0. */
    int32_t reserved;
    /** A sentence; valid until the group's next update or its end. */
    const char *message;
} aq_item_error;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_item_group_config_init(aq_item_group_config *config, size_t struct_size);

/**
 * Makes an item group that knows nothing.
 *
 * @param config its limits; NULL for the defaults
 * @param out receives the group; free it with aq_item_group_free()
 * @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION
 *
 * Threads: any.
 */
aq_status aq_item_group_new(const aq_item_group_config *config, aq_item_group **out);

/**
 * Takes over what a heap has to say: first its descriptors, then the values of all items that are described. A descriptor that says the
 * same again changes nothing; one that says something else of an item, or gives its name to another, replaces it, and its value is
 * gone. Items without a descriptor are left alone; see aq_heap_item() for those. A descriptor without an identifier is ignored.
 *
 * An item whose description or value is wrong stays as it was; all others are updated. aq_item_group_error() tells about each.
 *
 * @param group the group
 * @param heap a complete heap; nothing of it is needed afterwards
 * @return AQ_OK; AQ_E_FORMAT (or AQ_E_NOMEM) when something is wrong with an item: aq_last_error() tells about the first, and all
 *     others are updated; AQ_E_INVALID when the heap is incomplete
 *
 * Threads: any, but what the group's items point to must not be in use.
 */
aq_status aq_item_group_update(aq_item_group *group, const aq_heap *heap);

/**
 * How many items the group knows.
 *
 * @param group the group
 * @param count receives the number
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_item_group_count(aq_item_group *group, size_t *count);

/**
 * An item of the group. Items keep their indices until an update replaces one.
 *
 * @param group the group
 * @param index 0 .. aq_item_group_count() - 1
 * @param item receives the item
 * @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID
 *
 * Threads: any, but aq_item_group_update() ends what the item points to.
 */
aq_status aq_item_group_at(aq_item_group *group, size_t index, aq_item *item);

/**
 * The item with an identifier.
 *
 * @param group the group
 * @param id the identifier
 * @param item receives the item
 * @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID
 *
 * Threads: any, but aq_item_group_update() ends what the item points to.
 */
aq_status aq_item_group_find_id(aq_item_group *group, uint64_t id, aq_item *item);

/**
 * The item with a name.
 *
 * @param group the group
 * @param name the name
 * @param item receives the item
 * @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID
 *
 * Threads: any, but aq_item_group_update() ends what the item points to.
 */
aq_status aq_item_group_find_name(aq_item_group *group, const char *name, aq_item *item);

/**
 * How many items the last update brought a value for.
 *
 * @param group the group
 * @param count receives the number
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_item_group_changed_count(aq_item_group *group, size_t *count);

/**
 * An item that the last update brought a value for.
 *
 * @param group the group
 * @param index 0 .. aq_item_group_changed_count() - 1
 * @param item receives the item
 * @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID
 *
 * Threads: any, but aq_item_group_update() ends what the item points to.
 */
aq_status aq_item_group_changed(aq_item_group *group, size_t index, aq_item *item);

/**
 * How many errors the last update met.
 *
 * @param group the group
 * @param count receives the number
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_item_group_error_count(aq_item_group *group, size_t *count);

/**
 * An error that the last update met.
 *
 * @param group the group
 * @param index 0 .. aq_item_group_error_count() - 1
 * @param error receives it
 * @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID
 *
 * Threads: any, but aq_item_group_update() ends what the error points to.
 */
aq_status aq_item_group_error(aq_item_group *group, size_t index, aq_item_error *error);

/**
 * Frees a group and all that its items point to.
 *
 * @param group the group, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no group, or freed already as far as that can be seen
 *
 * Threads: no other call on this group may be running or follow.
 */
aq_status aq_item_group_free(aq_item_group *group);

/**
 * How many descriptors a heap has, also such as cannot be read. One without an identifier describes nothing and is not among them.
 *
 * @param heap the heap
 * @param count receives the number
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_heap_descriptor_count(const aq_heap *heap, size_t *count);

/**
 * A descriptor of a heap.
 *
 * @param heap the heap
 * @param index 0 .. aq_heap_descriptor_count() - 1
 * @param descriptor receives it; what it points to is valid as long as the heap
 * @return AQ_OK; AQ_E_FORMAT when it cannot be read; AQ_E_NOT_FOUND; AQ_E_INVALID
 *
 * Threads: any.
 */
aq_status aq_heap_descriptor(const aq_heap *heap, size_t index, aq_descriptor *descriptor);

/* =============================================================================================================
 * Streams of heaps
 *
 * A stream of heaps gives each heap memory of its own and hands it out through a ring (aq_recv_stream_new()) or to a
 * callback (aq_recv_stream_new_callback()). Readers, statistics, stop and free are those of every receiving stream.
 *
 * ```c
 * aq_heap *heap;
 * while (aq_recv_stream_get(stream, AQ_WAIT_FOREVER, &heap) == AQ_OK) {
 *     const uint8_t *data;
 *     size_t size;
 *     aq_heap_payload(heap, &data, &size);
 *     process(data, size);
 *     aq_heap_free(heap);
 * }
 * ```
 * ============================================================================================================= */

/** Readers pause until there is space in the ring; nothing is lost but what the source itself cannot hold. */
#define AQ_OVERFLOW_BLOCK 0
/** A heap that finds the ring full is dropped (overflow_newest). */
#define AQ_OVERFLOW_DROP_NEWEST 1
/** The heap that has been in the ring the longest is dropped (overflow_oldest_heaps). */
#define AQ_OVERFLOW_DROP_OLDEST 2

/** How a stream hands out its heaps. Fill it with aq_ring_config_init() first; it is copied when the stream is made. */
typedef struct aq_ring_config {
    /** Set by aq_ring_config_init(). */
    size_t struct_size;
    /** Heaps that fit into the ring: 1 .. 2^20; 4 by default. A stream with a callback has no ring. */
    size_t heaps;
    /**
     * 1 (default): incomplete heaps are dropped (they are counted, and logged). 0: they are handed out, too; see
     * aq_heap_is_complete().
     */
    int32_t contiguous_only;
    /** 1: incomplete heaps tell which of their bytes were received: aq_heap_payload_range(). 0 (default): they do not. */
    int32_t incomplete_keep_payload_ranges;
    /** What to do when the ring is full: AQ_OVERFLOW_*; AQ_OVERFLOW_BLOCK by default. */
    int32_t overflow;
    /** Must be 0; anything else is AQ_E_VERSION. */
    int32_t reserved;
} aq_ring_config;

/**
 * Takes a heap.
 *
 * @param heap the heap; it belongs to the callback, which frees it with aq_heap_free(), now or later, on any thread
 * @param batch_stats the batch's statistics, to add to, at the indices that aq_recv_stream_config_add_stat() gave. Those below
 *     are the library's own: changing them breaks the ledger. Valid until it returns
 * @param user as passed to aq_recv_stream_new_callback()
 *
 * - called from: the stream's worker thread, heap by heap
 * - may block: no; the stream receives nothing meanwhile, and neither do others on the same worker
 * - may call: functions that do not wait; not aq_recv_stream_stop() or _free(), which answer AQ_E_STATE
 * - valid until: the heap is the callback's
 * - on error: there is no way to report one; count it in a statistic of the program's own
 */
typedef void (*aq_heap_fn)(aq_heap *heap, uint64_t *batch_stats, void *user);

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_ring_config_init(aq_ring_config *config, size_t struct_size);

/**
 * Makes a stream that puts its heaps on a ring of its own.
 *
 * @param pool where it runs
 * @param config the stream's settings; NULL for the defaults
 * @param ring_config the ring's settings; NULL for the defaults
 * @param out receives the stream; free it with aq_recv_stream_free()
 * @return AQ_OK; AQ_E_INVALID when a setting is out of range, or the name of a statistic is empty or taken; AQ_E_VERSION;
 *     AQ_E_NOMEM; AQ_E_STATE when the pool is stopped
 *
 * Threads: any.
 */
aq_status aq_recv_stream_new(aq_thread_pool *pool, const aq_recv_stream_config *config,
    const aq_ring_config *ring_config, aq_recv_stream **out);

/**
 * Makes a stream that calls a function with each heap.
 *
 * @param pool where it runs
 * @param config the stream's settings; NULL for the defaults
 * @param ring_config contiguous_only and incomplete_keep_payload_ranges; the rest has no meaning here. NULL for the defaults
 * @param heap_ready the function; required
 * @param user passed to it; belongs to the stream from now on, also on an error
 * @param user_free releases user, after the last call of heap_ready; or NULL
 * @param out receives the stream; free it with aq_recv_stream_free()
 * @return AQ_OK; AQ_E_INVALID when heap_ready is NULL, a setting is out of range, or the name of a statistic is empty or taken;
 *     AQ_E_VERSION; AQ_E_NOMEM; AQ_E_STATE when the pool is stopped
 *
 * Threads: any.
 */
aq_status aq_recv_stream_new_callback(aq_thread_pool *pool, const aq_recv_stream_config *config,
    const aq_ring_config *ring_config, aq_heap_fn heap_ready, void *user, aq_user_free_fn user_free,
    aq_recv_stream **out);

/**
 * Takes the next heap.
 *
 * @param stream a stream of heaps with a ring
 * @param timeout_ns how long to wait for one, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
 * @param heap receives the heap; free it with aq_heap_free()
 * @return AQ_OK; AQ_EMPTY (with timeout 0) or AQ_TIMEOUT when there is none; AQ_STOPPED when the stream has ended and all heaps
 *     that it had have been taken; AQ_E_STATE when the stream is of another kind
 *
 * Threads: any number at the same time, and at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_get(aq_recv_stream *stream, int64_t timeout_ns, aq_heap **heap);

/**
 * A file descriptor that is readable while aq_recv_stream_get() would not wait: there is a heap, or the stream has ended.
 * For poll, select or epoll; never read it, write to it or close it.
 *
 * @param stream a stream of heaps with a ring
 * @param fd receives the descriptor, valid until the stream is freed
 * @return AQ_OK; AQ_E_IO when there are too many open files; AQ_E_STATE when the stream is of another kind
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_fd(const aq_recv_stream *stream, int *fd);

/**
 * How many heaps are in the ring. Others may change that before the caller looks at it.
 *
 * @param stream a stream of heaps with a ring
 * @param size receives the number
 * @return AQ_OK; AQ_E_STATE when the stream is of another kind
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_ring_size(const aq_recv_stream *stream, size_t *size);

/**
 * How many heaps fit into the ring.
 *
 * @param stream a stream of heaps with a ring
 * @param capacity receives the number
 * @return AQ_OK; AQ_E_STATE when the stream is of another kind
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_ring_capacity(const aq_recv_stream *stream, size_t *capacity);

/**
 * The ring's settings, as the stream was made with.
 *
 * @param stream a stream of heaps with a ring
 * @param config a struct from aq_ring_config_init()
 * @return AQ_OK; AQ_E_INVALID when the struct was not initialised; AQ_E_STATE when the stream is of another kind
 *
 * Threads: any, at the same time as all functions of the stream but aq_recv_stream_free().
 */
aq_status aq_recv_stream_get_ring_config(const aq_recv_stream *stream, aq_ring_config *config);

/* =============================================================================================================
 * Chunk streams
 *
 * A chunk stream places each heap's payload in a chunk, where a callback says: the place callback. It fills a window of
 * consecutive chunks; as newer ones are begun, the oldest leaves and is ready. No heap object is built.
 *
 * The window ends at the highest chunk that any heap was placed in and reaches max_chunks back from there. So chunks are
 * ready in the order of their ids (but see max_jump); one in which no heap was placed (even one just before the first heap's) comes out with
 * no flag set, and ids that the window jumps over altogether never come. Before the stream ends, all that are left come out.
 *
 * Chunks come from a free ring and go to a data ring. When there is no free chunk, or no space in the data ring, the
 * stream's readers pause; other streams on the same worker go on.
 * ============================================================================================================= */

/** Chunks that are filled at the same time, unless said otherwise. */
#define AQ_DEFAULT_MAX_CHUNKS 2

/**
 * What a place callback is given about a heap, and where it writes its answer. The layout is that of spead2's
 * chunk_place_data.
 */
typedef struct aq_chunk_place_data {
    /** The heap's first packet, whole. */
    const uint8_t *packet;
    /** Bytes at packet. */
    size_t packet_size;
    /** The immediate values of the requested items, in their order; -1 where one is missing. */
    const int64_t *items;
    /** Answer: the chunk. -1 at first; below 0 the heap is rejected. */
    int64_t chunk_id;
    /** Answer: the heap's byte in the chunk's present. 0 at first. */
    size_t heap_index;
    /** Answer: where its payload starts in the chunk's data, in bytes. 0 at first. */
    size_t heap_offset;
    /**
     * The batch's statistics, to add to, at the indices that aq_recv_stream_config_add_stat() gave. Those below are the
     * library's own: changing them breaks the ledger.
     */
    uint64_t *batch_stats;
    /** max_heap_extra bytes to write to, of any content. */
    uint8_t *extra;
    /** Answer: where the extra bytes go in the chunk's extra. 0 at first. */
    size_t extra_offset;
    /** Answer: how many extra bytes were written. 0 at first. */
    size_t extra_size;
} aq_chunk_place_data;

/**
 * Says where a heap goes. It is called once per heap, with the first of its packets that comes.
 *
 * The whole payload goes there, however long it is: request item 2, the heap's length (-1 if it does not tell), and compare,
 * or set max_heap_size, so that a heap of a wrong size does not run into its neighbours.
 *
 * A place outside the chunk is refused, counted (place_out_of_bounds) and logged; nothing is written there.
 *
 * @param data the heap, and where to write the answer
 * @param data_size sizeof *data in the library that calls, which may be newer and have more fields at its end
 * @param user the stream's place_user
 *
 * - called from: the stream's worker thread
 * - may block: no; every microsecond is lost to the stream
 * - may call: functions that do not wait; not aq_recv_stream_stop() or _free(), which answer AQ_E_STATE
 * - valid until: data and all it points to are valid until it returns
 * - on error: leave chunk_id at -1; the heap is counted as rejected
 *
 * ```c
 * static void place(aq_chunk_place_data *data, size_t data_size, void *user)
 * {
 *     const struct layout *l = user;                 // items: the timestamp, and 2, the heap's length
 *     (void)data_size;
 *     if (data->items[0] < 0 || data->items[1] != (int64_t)l->heap_size)
 *         return;                                    // no timestamp, or a wrong size: rejected, and counted
 *     int64_t heap = data->items[0] / l->step;
 *     data->chunk_id = heap / l->heaps_per_chunk;
 *     data->heap_index = (size_t)(heap % l->heaps_per_chunk);
 *     data->heap_offset = data->heap_index * l->heap_size;
 * }
 * ```
 */
typedef void (*aq_chunk_place_fn)(aq_chunk_place_data *data, size_t data_size, void *user);

/** Settings of a chunk stream. Fill it with aq_chunk_stream_config_init() first; it is copied when the stream is made. */
typedef struct aq_chunk_stream_config {
    /** Set by aq_chunk_stream_config_init(). */
    size_t struct_size;
    /**
     * Identifiers of the items whose immediate values the place callback gets; also special ones like 1, the heap number.
     * Copied when the stream is made.
     */
    const uint64_t *items;
    /** How many items there are in the list; 0 by default. */
    size_t n_items;
    /**
     * Chunks that are filled at the same time: 1 .. 2^20; AQ_DEFAULT_MAX_CHUNKS by default. With 1, heaps of an earlier chunk
     * are too old as soon as a later one has begun. At least as many chunks must circulate, better twice as many: with
     * fewer the stream waits for a free chunk for ever.
     */
    size_t max_chunks;
    /** The place callback; required. */
    aq_chunk_place_fn place;
    /** Passed to place; belongs to the stream from the call of aq_chunk_ring_stream_new() on, also on an error. */
    void *place_user;
    /** Releases place_user, after the last call of place; or NULL. */
    aq_user_free_fn place_user_free;
    /**
     * Extra bytes that place may write per heap: 0 (default) .. 16 MiB. They are copied into the chunk when the heap begins, also
     * if it never completes; the chunk's extra is not cleared between uses.
     */
    size_t max_heap_extra;
    /**
     * 0 (default): present has one byte per heap, set when the heap is complete. Otherwise one byte per packet, at heap_index +
     * payload offset / this, set when the packet has been written. Then allow_out_of_order is worth setting:
     * in order, nothing of a heap is taken after its first loss.
     */
    size_t packet_presence_payload_size;
    /**
     * How many chunks the window may jump ahead at the word of a single heap; 2^20 by default, 0 for any number. This keeps one
     * wildly wrong heap from making all later ones too old, and a window that is more than that ahead of the heaps starts anew where
     * they are: chunk ids then go back. Heaps that are less far behind are too old (counted, and logged), however many.
     */
    uint64_t max_jump;
    /** How many further heaps in a row must agree before the window jumps further than max_jump, ahead or back; 8 by default. */
    uint32_t jump_confirm;
    /** Must be 0; anything else is AQ_E_VERSION. */
    uint32_t reserved;
} aq_chunk_stream_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_chunk_stream_config_init(aq_chunk_stream_config *config, size_t struct_size);

/**
 * Makes a stream that takes chunks from one ring, fills them, and puts them on another.
 *
 * It counts as one producer of the data ring. When it ends by itself, the data ring loses that producer, and is stopped
 * if it was the last; the free ring is left alone. When it is stopped by aq_recv_stream_stop() or _free() while it runs,
 * both rings are stopped. Several streams may share both rings; but the first that is stopped by the user stops them for all,
 * and live chunks of the others are lost (chunks_undelivered): let such streams end by their sources or stop items.
 *
 * @param pool where it runs
 * @param config the stream's settings; NULL for the defaults
 * @param chunk_config the chunks' settings; its place_user is released also when this fails
 * @param data_ring where filled chunks go
 * @param free_ring where empty chunks come from
 * @param out receives the stream; free it with aq_recv_stream_free()
 * @return AQ_OK; AQ_E_INVALID when a setting is out of range, or the name of a statistic is empty or taken; AQ_E_VERSION;
 *     AQ_E_STATE when the pool is stopped
 *
 * Threads: any.
 */
aq_status aq_chunk_ring_stream_new(aq_thread_pool *pool, const aq_recv_stream_config *config,
    const aq_chunk_stream_config *chunk_config, aq_chunk_ring *data_ring, aq_chunk_ring *free_ring,
    aq_recv_stream **out);

/* =============================================================================================================
 * Heaps to send
 *
 * A heap to send has items: numbers that stand in the item pointer (immediate), and bytes. Bytes can be lent to the heap without a copy: they must
 * neither change nor go until they are released. A heap may be sent any number of times, to several streams at once; while it is queued it cannot
 * be changed (AQ_E_STATE), but it may be freed: the stream keeps what it needs.
 *
 * ```c
 * aq_send_heap_new(NULL, &heap);                                    // SPEAD-64-48
 * aq_send_heap_add_immediate(heap, 0x1600, timestamp);
 * aq_send_heap_add_item(heap, 0x4300, samples, size, buffer, buffer_release);   // by reference
 * aq_send_stream_submit(stream, heap, NULL, AQ_WAIT_FOREVER, NULL);
 * aq_send_heap_free(heap);
 * ```
 * ============================================================================================================= */

/** Control item: the stream starts. */
#define AQ_SEND_CONTROL_START 0
/** Control item: descriptors are sent again. */
#define AQ_SEND_CONTROL_REISSUE 1
/** Control item: the stream ends with this heap. */
#define AQ_SEND_CONTROL_STOP 2
/** Control item: descriptors have changed. */
#define AQ_SEND_CONTROL_UPDATE 3

/** A heap to send. */
typedef struct aq_send_heap aq_send_heap;

/** How a heap's packets are written. Fill it with aq_send_heap_config_init() first. */
typedef struct aq_send_heap_config {
    /** Set by aq_send_heap_config_init(). */
    size_t struct_size;
    /** Bits of a heap address, or of an immediate value: 8, 16 .. 56; 48 by default. Identifiers have 63 minus as many. */
    int32_t heap_address_bits;
    /**
     * 1: every packet has all item pointers, so that a receiver knows the immediate items whichever packets it gets; 0 (default): each pointer is in
     * one packet.
     */
    int32_t repeat_pointers;
} aq_send_heap_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_send_heap_config_init(aq_send_heap_config *config, size_t struct_size);

/**
 * Makes a heap without items.
 *
 * @param config how its packets are written; NULL for the defaults
 * @param out receives the heap; free it with aq_send_heap_free()
 * @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION
 *
 * Threads: any.
 */
aq_status aq_send_heap_new(const aq_send_heap_config *config, aq_send_heap **out);

/**
 * Adds a number that stands in the item pointer.
 *
 * @param heap the heap
 * @param id the item's identifier
 * @param value less than 2^heap_address_bits
 * @return AQ_OK; AQ_E_INVALID when id or value is too large for the flavour, or id is one of those that describe packets (1 .. 4);
 *     AQ_E_STATE while the heap is queued
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_heap_add_immediate(aq_send_heap *heap, uint64_t id, uint64_t value);

/**
 * Adds bytes by reference. They are not copied, neither here nor when packets are made: the kernel takes them from there.
 *
 * @param heap the heap
 * @param id the item's identifier
 * @param data the bytes as they stand on the wire: big-endian for a format, as described for a dtype. They must not change until they are released. Receivers
 *     do not see an item without any bytes.
 * @param size bytes at data
 * @param user what user_free is called with
 * @param user_free called once, when neither the heap nor a stream needs the bytes any more, from any thread; or NULL. Also called when this call
 *     fails.
 * @return AQ_OK; AQ_E_INVALID; AQ_E_STATE while the heap is queued
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_heap_add_item(aq_send_heap *heap, uint64_t id, const uint8_t *data, size_t size, void *user,
    aq_user_free_fn user_free);

/**
 * Adds a copy of bytes.
 *
 * @param heap the heap
 * @param id the item's identifier
 * @param data the bytes, as for aq_send_heap_add_item(); copied
 * @param size bytes at data
 * @return AQ_OK; AQ_E_INVALID; AQ_E_STATE while the heap is queued
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_heap_add_copy(aq_send_heap *heap, uint64_t id, const uint8_t *data, size_t size);

/**
 * Adds the description of an item, for receivers that do not know it. aq_send_group describes items by itself.
 *
 * @param heap the heap
 * @param descriptor id, name, description, shape, order, and a dtype or a format; copied. native_dtype is not looked at.
 * @param bug_compat which bugs of receivers to make up for: AQ_BUG_COMPAT_*; 0 for none
 * @return AQ_OK; AQ_E_INVALID; AQ_E_FORMAT when the dtype or format is none; AQ_E_STATE while the heap is queued
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_heap_add_descriptor(aq_send_heap *heap, const aq_descriptor *descriptor, int32_t bug_compat);

/**
 * Adds a message to the receiver about the stream.
 *
 * @param heap the heap
 * @param control one of AQ_SEND_CONTROL_*
 * @return AQ_OK; AQ_E_INVALID; AQ_E_STATE while the heap is queued
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_heap_add_control(aq_send_heap *heap, int32_t control);

/**
 * Writes a heap's packets, one behind the other, without a stream: for tests, and for transports of the program's own.
 *
 * @param heap the heap
 * @param cnt its number: less than 2^heap_address_bits
 * @param max_packet_size bytes that a packet may have: 56 .. 524288
 * @param buffer receives the packets; NULL when capacity is 0
 * @param capacity bytes at buffer
 * @param size receives how many bytes all packets take, also when they do not fit
 * @return AQ_OK; AQ_E_TRUNCATED when capacity is less than that; AQ_E_INVALID
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_heap_encode(const aq_send_heap *heap, uint64_t cnt, size_t max_packet_size, uint8_t *buffer,
    size_t capacity, size_t *size);

/**
 * Frees a heap. What is queued of it is still sent, and bytes that were lent are released after that.
 *
 * @param heap the heap, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is none, or freed already as far as that can be seen
 *
 * Threads: no other call on this heap may be running or follow.
 */
aq_status aq_send_heap_free(aq_send_heap *heap);

/* =============================================================================================================
 * Groups of items to send
 *
 * A group knows items by their descriptors and keeps their latest values, and makes heaps of what receivers do not know yet: descriptors and values that
 * are new or have changed, or all of them.
 *
 * ```c
 * aq_send_group_new(NULL, &group);
 * aq_send_group_add(group, &descriptor);                            // as often as there are items
 * for (;;) {
 *     aq_send_group_set(group, 0x1600, &timestamp, sizeof timestamp);
 *     aq_send_group_heap(group, NULL, &heap);                       // the descriptors are in the first one only
 *     aq_send_stream_submit(stream, heap, NULL, AQ_WAIT_FOREVER, NULL);
 *     aq_send_heap_free(heap);
 * }
 * ```
 * ============================================================================================================= */

/** Nothing. */
#define AQ_SEND_NONE 0
/** What is new or has changed since it was put into a heap. */
#define AQ_SEND_STALE 1
/** All that there is. */
#define AQ_SEND_ALL 2

/** Items to send. */
typedef struct aq_send_group aq_send_group;

/** How a group's heaps are written. Fill it with aq_send_group_config_init() first. */
typedef struct aq_send_group_config {
    /** Set by aq_send_group_config_init(). */
    size_t struct_size;
    /** Bits of a heap address, or of an immediate value: 8, 16 .. 56; 48 by default. Identifiers have 63 minus as many. */
    int32_t heap_address_bits;
    /** Which bugs of receivers to make up for: AQ_BUG_COMPAT_*; 0 (default) for none. */
    int32_t bug_compat;
} aq_send_group_config;

/** What goes into a heap. Fill it with aq_send_contents_init() first. */
typedef struct aq_send_contents {
    /** Set by aq_send_contents_init(). */
    size_t struct_size;
    /** Which descriptors: AQ_SEND_NONE, AQ_SEND_STALE (default) or AQ_SEND_ALL. */
    int32_t descriptors;
    /** Which values: AQ_SEND_NONE, AQ_SEND_STALE (default) or AQ_SEND_ALL. */
    int32_t values;
    /** 1: every packet has all item pointers; 0 (default). */
    int32_t repeat_pointers;
    /** Must be 0; anything else is AQ_E_VERSION. */
    int32_t reserved;
} aq_send_contents;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_send_group_config_init(aq_send_group_config *config, size_t struct_size);

/**
 * Writes the defaults.
 *
 * @param contents the struct
 * @param struct_size sizeof *contents
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_send_contents_init(aq_send_contents *contents, size_t struct_size);

/**
 * Makes a group without items.
 *
 * @param config how its heaps are written; NULL for the defaults
 * @param out receives the group; free it with aq_send_group_free()
 * @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION
 *
 * Threads: any.
 */
aq_status aq_send_group_new(const aq_send_group_config *config, aq_send_group **out);

/**
 * Adds an item, without a value. One with the same identifier is described anew, and its value is gone.
 *
 * @param group the group
 * @param descriptor id, name, description, shape, order, and a dtype or a format; copied. native_dtype is not looked at.
 * @return AQ_OK; AQ_E_INVALID when it does not fit in the flavour, has the name of another item, or a receiver could make nothing of it; AQ_E_FORMAT when
 *     the dtype or format is none
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_group_add(aq_send_group *group, const aq_descriptor *descriptor);

/**
 * Sets an item's value, as a receiver's item group gives it out: elements back to back, in this machine's byte order; those of a format each in the
 * smallest type that holds it (12 bits in 16). A value of a fixed size that fits goes into the item pointer. It counts as changed, whatever it was before.
 *
 * @param group the group
 * @param id the item's identifier
 * @param data the elements; copied
 * @param size bytes at data: just those of the shape; or a multiple of those without the variable dimension, which then follows from it
 * @return AQ_OK; AQ_E_INVALID when the size is not that; AQ_E_NOT_FOUND
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_group_set(aq_send_group *group, uint64_t id, const void *data, size_t size);

/**
 * Sets an item's value to bytes by reference, as for aq_send_heap_add_item(): as they stand on the wire, and not copied. Their size is not checked.
 *
 * @param group the group
 * @param id the item's identifier
 * @param data the bytes, which must not change until they are released
 * @param size bytes at data
 * @param user what user_free is called with
 * @param user_free called once, when neither the group nor a heap nor a stream needs the bytes any more, from any thread; or NULL. Also called when
 *     this call fails.
 * @return AQ_OK; AQ_E_INVALID; AQ_E_NOT_FOUND
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_group_set_reference(aq_send_group *group, uint64_t id, const uint8_t *data, size_t size,
    void *user, aq_user_free_fn user_free);

/**
 * Makes a heap, and takes what is in it as known to receivers from now on. More can be added to it, such as a control item.
 *
 * @param group the group
 * @param contents what goes into it; NULL for descriptors and values that are new or have changed
 * @param out receives the heap; free it with aq_send_heap_free()
 * @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_group_heap(aq_send_group *group, const aq_send_contents *contents, aq_send_heap **out);

/**
 * Frees a group. Its heaps are not touched.
 *
 * @param group the group, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is none, or freed already as far as that can be seen
 *
 * Threads: no other call on this group may be running or follow.
 */
aq_status aq_send_group_free(aq_send_group *group);

/* =============================================================================================================
 * Results and statistics of sending
 *
 * What came of a heap, and the ledger of a stream that sends. Every heap and every packet is in exactly one counter.
 * ============================================================================================================= */

/** What came of a heap. */
typedef struct aq_send_result {
    /** Set by aq_send_result_init(). */
    size_t struct_size;
    /** What its submission answered, or counted on from that in a group. */
    uint64_t ticket;
    /** Its number on the wire. */
    uint64_t cnt;
    /** Where it went. */
    uint64_t substream;
    /** Packets of it that were handed over: to the kernel, a queue or a file. */
    uint64_t packets_sent;
    /** Packets of it that were not. */
    uint64_t packets_unsent;
    /** Bytes of the packets that were handed over. */
    uint64_t bytes;
    /** AQ_OK; AQ_STOPPED when it was given up, as the stream was stopped; or an error. aq_last_error() of the thread that is told has its message. */
    int32_t status;
    /** 0. */
    int32_t reserved;
} aq_send_result;

/** The ledger of a stream that sends. Initialise it with aq_send_stats_init() first. */
typedef struct aq_send_stats {
    /** Set by aq_send_stats_init(). */
    size_t struct_size;
    /** 1 if the sums below hold, which is always so: heaps = heaps_sent + heaps_failed + heaps_cancelled + heaps_pending, and likewise for packets. */
    uint64_t ledger_closed;
    /** Heaps that were taken into the queue. */
    uint64_t heaps;
    /** Heaps all of whose packets were handed over without an error. */
    uint64_t heaps_sent;
    /** Heaps with an error, whether or not some of their packets were handed over. */
    uint64_t heaps_failed;
    /** Heaps that were given up: at a stop, or as aq_send_stream_send() waited no longer. */
    uint64_t heaps_cancelled;
    /** Heaps in the queue or on their way. */
    uint64_t heaps_pending;
    /** Packets of all heaps that were taken into the queue. */
    uint64_t packets;
    /** Packets that were handed over: to the kernel, a queue or a file. */
    uint64_t packets_sent;
    /** Packets that were not, by an error of theirs or of their heap. */
    uint64_t packets_failed;
    /** Packets that were not, as their heap was given up. */
    uint64_t packets_cancelled;
    /** Packets still to be handed over. */
    uint64_t packets_pending;
    /** Bytes of the packets that were handed over. */
    uint64_t bytes_sent;
    /** How often news came that packets, handed over before, were not received: nobody listens. */
    uint64_t refused;
    /** How often packets were handed over, many at a time. */
    uint64_t batches;
    /** Submissions that found the queue full. */
    uint64_t queue_full;
} aq_send_stats;

/**
 * Writes zeros, and the struct's size.
 *
 * @param result the struct
 * @param struct_size sizeof *result
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_send_result_init(aq_send_result *result, size_t struct_size);

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_send_stats_init(aq_send_stats *stats, size_t struct_size);

/* =============================================================================================================
 * Streams that send
 *
 * A stream has a queue of heaps and a thread that cuts them into packets and sends these, at a rate or as fast as it goes. What became of a heap is told in one
 * of these ways:
 *
 * - aq_send_stream_send() waits for it;
 * - a function is called (`done` of aq_send_options);
 * - the result is kept (`keep_result`) until aq_send_stream_next_result() fetches it; aq_send_stream_results_fd() is readable while there is one;
 * - or only the counters of aq_send_stats tell.
 *
 * An error (nobody listens, a packet larger than the path allows, a broken connection) is one of the heap concerned, and the stream goes on with the next.
 * Every heap and every packet is in exactly one counter.
 *
 * aq_send_stream_stop() and aq_send_stream_free() give up what is queued: call aq_send_stream_flush() before.
 *
 * ```c
 * aq_udp_sender_config udp; aq_udp_sender_config_init(&udp, sizeof udp);
 * aq_send_destination to = {"10.1.0.7", 7148, {0}};
 * udp.destinations = &to; udp.n_destinations = 1;
 * aq_send_stream_config config; aq_send_stream_config_init(&config, sizeof config);
 * config.rate = 500e6;                                          // 4 Gb/s
 * aq_send_stream_new_udp(&config, &udp, &stream);
 * for (i = 0; i < n; i++)
 *     aq_send_stream_submit(stream, heaps[i], NULL, AQ_WAIT_FOREVER, NULL);
 * aq_send_stream_flush(stream, AQ_WAIT_FOREVER);
 * aq_send_stream_free(stream);
 * ```
 * ============================================================================================================= */

/** Heaps of a group go one after the other. */
#define AQ_SEND_SERIAL 0
/** A packet of each heap of a group goes in turn. */
#define AQ_SEND_ROUND_ROBIN 1
/** The stream spaces packets, burst by burst. */
#define AQ_PACING_SOFTWARE 0
/** The kernel spaces the packets of a burst, too. */
#define AQ_PACING_KERNEL 1

/** A stream that sends. */
typedef struct aq_send_stream aq_send_stream;

/** How a stream sends. Fill it with aq_send_stream_config_init() first. */
typedef struct aq_send_stream_config {
    /** Set by aq_send_stream_config_init(). */
    size_t struct_size;
    /**
     * Bytes of a packet at the most, without the headers of IP and UDP: 56 .. 524288, over UDP 65507; 1472 by default. All packets of a heap but the last
     * are as large as the largest multiple of 8 in it.
     */
    size_t max_packet_size;
    /** Heaps that are queued or on their way, or whose result is kept, at the most: 1 .. 1048576; 4 by default. */
    size_t max_heaps;
    /** Number of the first heap that is submitted without one; 1 by default. */
    uint64_t first_cnt;
    /** How much that grows with each; 1 by default. Several streams to one receiver use different first numbers and the same step. */
    uint64_t cnt_step;
    /** Bytes of packets per second: at least 1; 0 (default) for no limit. */
    double rate;
    /** Bytes that may leave at once, at least 1; 65536 by default. At least one packet does. */
    size_t burst_size;
    /** How much faster than the rate a stream may be that has fallen behind: 1 .. 1000000; 1.05 by default. */
    double burst_rate_ratio;
    /**
     * AQ_PACING_SOFTWARE (default), or AQ_PACING_KERNEL, which needs a rate: the kernel lets the packets of a burst go at burst_rate_ratio times the rate, and not at once. Over TCP, and over
     * UDP where the device's queueing discipline is fq; where it cannot, a warning is logged, and bursts leave at once. Heaps with a rate of their own get no more than that.
     */
    int32_t pacing;
    /** Must be 0; anything else is AQ_E_VERSION. */
    int32_t reserved;
} aq_send_stream_config;

/**
 * Called with what came of a heap.
 *
 * @param result what came of it
 * @param result_size sizeof *result in the library that calls, which may be newer and have more fields at its end
 * @param user the options' done_user
 *
 * - called from: the stream's thread, once for each heap, one call at a time; with heaps that are stopped before the end of the stop
 * - may block: shortly; nothing is sent meanwhile
 * - may call: any function that does not wait, aq_send_stream_submit() of the same stream among them; what would wait for the stream itself answers AQ_E_STATE
 * - valid until: result is valid until it returns
 * - on error: there is no way to report one
 */
typedef void (*aq_send_done_fn)(const aq_send_result *result, size_t result_size, void *user);

/** How heaps are sent. Fill it with aq_send_options_init() first. */
typedef struct aq_send_options {
    /** Set by aq_send_options_init(). */
    size_t struct_size;
    /** The heap's number, less than 2^heap_address_bits; -1 (default) for the stream's next one. Of a group, that of the first; the others count on from it. */
    int64_t cnt;
    /** Which destination: 0 (default) for the first. Not looked at for a group. */
    size_t substream;
    /** Bytes per second while the heap is sent, 0 for no limit; -1 (default) for the stream's rate. */
    double rate;
    /** Told about each heap; NULL (default) for nobody. */
    aq_send_done_fn done;
    /** What done is called with. */
    void *done_user;
    /** Called with done_user, once, after the last call of done, also when the heaps are not taken. */
    aq_user_free_fn done_user_free;
    /** 1: keep the results for aq_send_stream_next_result(); 0 (default). Only without done. */
    int32_t keep_result;
    /** Of a group: AQ_SEND_SERIAL (default) or AQ_SEND_ROUND_ROBIN. */
    int32_t order;
} aq_send_options;

/** A heap of a group, and where it goes. */
typedef struct aq_send_member {
    /** The heap. */
    aq_send_heap *heap;
    /** Which destination: 0 for the first. */
    size_t substream;
} aq_send_member;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_send_stream_config_init(aq_send_stream_config *config, size_t struct_size);

/**
 * Writes the defaults.
 *
 * @param options the struct
 * @param struct_size sizeof *options
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_send_options_init(aq_send_options *options, size_t struct_size);

/**
 * Queues a heap.
 *
 * @param stream the stream
 * @param heap the heap, which may be freed, or queued again, but not changed before it is sent
 * @param options how it is sent and who is told; NULL for the defaults
 * @param timeout_ns how long to wait for space; see Waiting
 * @param ticket receives a number by which its result is known; NULL if nobody wants it
 * @return AQ_OK; AQ_FULL, AQ_TIMEOUT, AQ_STOPPED: the heap is not queued; AQ_E_INVALID when it cannot be sent like this; AQ_E_STATE when a function of
 *     the stream's own (done) would have to wait
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_stream_submit(aq_send_stream *stream, const aq_send_heap *heap, const aq_send_options *options,
    int64_t timeout_ns, uint64_t *ticket);

/**
 * Queues several heaps together, all or none: to leave one after the other, or a packet of each in turn.
 *
 * @param stream the stream
 * @param members the heaps and where they go; copied
 * @param n_members how many: 1 .. max_heaps
 * @param options how they are sent and who is told of each; NULL for the defaults
 * @param timeout_ns how long to wait for space; see Waiting
 * @param ticket receives the number by which the first one's result is known; those of the others count on from it. NULL if nobody wants it
 * @return as aq_send_stream_submit()
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_stream_submit_group(aq_send_stream *stream, const aq_send_member *members, size_t n_members,
    const aq_send_options *options, int64_t timeout_ns, uint64_t *ticket);

/**
 * Sends a heap and waits until all its packets have been handed over.
 *
 * @param stream the stream
 * @param heap the heap
 * @param options how it is sent; without done and keep_result. NULL for the defaults
 * @param timeout_ns how long to wait, for space and then for the heap; see Waiting
 * @param result receives what came of it, initialised with aq_send_result_init(); NULL if nobody wants it
 * @return AQ_OK: it was sent; AQ_FULL, AQ_TIMEOUT: it was not sent, or not all of it, and is given up; AQ_STOPPED likewise, as the stream is stopped;
 *     AQ_E_IO and other errors that the heap came to; AQ_E_INVALID when it cannot be sent like this; AQ_E_STATE from a function of the stream's own (done)
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_stream_send(aq_send_stream *stream, const aq_send_heap *heap, const aq_send_options *options,
    int64_t timeout_ns, aq_send_result *result);

/**
 * Fetches the result of a heap that was submitted with keep_result, in the order in which they came to their end.
 *
 * @param stream the stream
 * @param timeout_ns how long to wait for one; see Waiting
 * @param result receives it, initialised with aq_send_result_init()
 * @return AQ_OK, also for a heap with an error, of which result->status and aq_last_error() tell; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the stream is stopped
 *     and there are no more; AQ_E_STATE when a function of the stream's own (done) would have to wait
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_stream_next_result(aq_send_stream *stream, int64_t timeout_ns, aq_send_result *result);

/**
 * A descriptor that is readable while aq_send_stream_next_result() would not wait for a result. For poll, select or epoll; never read it, write to it
 * or close it.
 *
 * @param stream the stream
 * @param fd receives the descriptor, valid until the stream is freed
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_send_stream_results_fd(const aq_send_stream *stream, int *fd);

/**
 * Waits until all heaps that were submitted have come to their end, and all functions have been called with their results.
 *
 * @param stream the stream
 * @param timeout_ns how long to wait; see Waiting
 * @return AQ_OK; AQ_TIMEOUT, with 0 AQ_FULL: there are heaps left; AQ_E_STATE from a function of the stream's own (done)
 *
 * Threads: any number at the same time. Heaps that others submit meanwhile are waited for, too.
 */
aq_status aq_send_stream_flush(aq_send_stream *stream, int64_t timeout_ns);

/**
 * Sets the number of the next heap that is submitted without one, and how much it grows with each.
 *
 * @param stream the stream
 * @param next the number; of it, as many bits are taken as the heap's flavour has for an address
 * @param step how much it grows
 * @return AQ_OK
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_stream_set_cnt_sequence(aq_send_stream *stream, uint64_t next, uint64_t step);

/**
 * What a stream was made with.
 *
 * @param stream the stream
 * @param config receives it; initialised with aq_send_stream_config_init()
 * @return AQ_OK; AQ_E_INVALID
 *
 * Threads: any.
 */
aq_status aq_send_stream_get_config(const aq_send_stream *stream, aq_send_stream_config *config);

/**
 * What became of all heaps and packets so far, all at one moment.
 *
 * @param stream the stream
 * @param stats receives it; initialised with aq_send_stats_init()
 * @return AQ_OK; AQ_E_INVALID
 *
 * Threads: any, also after aq_send_stream_stop().
 */
aq_status aq_send_stream_get_stats(const aq_send_stream *stream, aq_send_stats *stats);

/**
 * Stops a stream: heaps that are queued or half-way are given up, told about and counted (heaps_cancelled), and the thread ends. Nothing can be submitted any more.
 * Results that are kept can still be fetched. Stopping again does nothing.
 *
 * @param stream the stream
 * @return AQ_OK; AQ_E_STATE from a function of the stream's own (done)
 *
 * Threads: any number at the same time.
 */
aq_status aq_send_stream_stop(aq_send_stream *stream);

/**
 * Stops a stream, and frees it. Results that were not fetched are gone.
 *
 * @param stream the stream, or NULL, which does nothing
 * @return AQ_OK; AQ_E_STATE from a function of the stream's own (done); AQ_E_INVALID when it is none, or freed already as far as that can be seen
 *
 * Threads: no other call on this stream may be running or follow.
 */
aq_status aq_send_stream_free(aq_send_stream *stream);

/* =============================================================================================================
 * Where streams send to
 *
 * UDP (to hosts and multicast groups), TCP, in-process queues, and files. Several destinations are substreams of one stream: they share its queue and its rate.
 * ============================================================================================================= */

/** A file of packets, one behind the other, and nothing else. */
#define AQ_SEND_FILE_RAW 0
/** A capture (classic pcap) of UDP packets: those of substream i go to port 7148 + i. */
#define AQ_SEND_FILE_PCAP 1

/** A host and a port to send to. */
typedef struct aq_send_destination {
    /** Name or address of the host, or a multicast group. */
    const char *host;
    /** Port: 1 .. 65535. */
    uint16_t port;
    /** Must be 0; anything else is AQ_E_VERSION. */
    uint16_t reserved[3];
} aq_send_destination;

/** Where and how to send over UDP. Fill it with aq_udp_sender_config_init() first. */
typedef struct aq_udp_sender_config {
    /** Set by aq_udp_sender_config_init(). */
    size_t struct_size;
    /** Destinations, one for each substream; required. */
    const aq_send_destination *destinations;
    /** How many: at least 1. */
    size_t n_destinations;
    /** Address to send from; NULL or "" (default) for what the system chooses. */
    const char *source_address;
    /** For multicast groups: the interface to send on, by its IPv4 address or its name; NULL or "" (default) for the system's choice. */
    const char *interface_address;
    /** Send buffer of each socket in bytes; 524288 by default, 0 leaves it to the system. If the kernel grants less, that is logged as a warning. */
    size_t buffer_size;
    /** The interface by its index; 0 (default) for none. */
    uint32_t interface_index;
    /** Routers that packets may pass: 1 .. 255; 0 (default) for the system's default, which is 1 for groups. */
    uint32_t ttl;
    /** 0 (default): a packet that is larger than the path's MTU allows is an error of its heap; 1: it is sent in fragments. */
    int32_t fragment;
    /** 1 (default): packets are handed to the kernel in bunches, where it takes them so (UDP GSO), which saves CPU time; 0: don't. */
    int32_t gso;
    /**
     * A UDP socket to send over, to exactly one destination; -1 (default) for one of the stream's own. It is duplicated: the caller's stays the caller's, but both become
     * blocking and connected to the destination. What it is bound to, its interface, ttl and buffer stay as they are: source_address, interface_address, interface_index and
     * ttl must be left at their defaults, buffer_size does not count.
     */
    int socket_fd;
    /** Must be 0; anything else is AQ_E_VERSION. */
    uint32_t reserved;
} aq_udp_sender_config;

/** Where to connect to over TCP. Fill it with aq_tcp_sender_config_init() first. */
typedef struct aq_tcp_sender_config {
    /** Set by aq_tcp_sender_config_init(). */
    size_t struct_size;
    /** Destinations, one for each substream; required. */
    const aq_send_destination *destinations;
    /** How many: at least 1. */
    size_t n_destinations;
    /** How long to wait for each connection, in nanoseconds: at least 1; 10^10 by default. */
    uint64_t connect_timeout_ns;
    /** Send buffer of each connection in bytes; 0 (default) leaves it to the system, which lets it grow. */
    size_t buffer_size;
    /**
     * A connected TCP socket to send over instead of to destinations, of which there must then be none; -1 (default) for none. It is duplicated: the caller's stays the
     * caller's, but both become blocking.
     */
    int socket_fd;
    /** Must be 0; anything else is AQ_E_VERSION. */
    uint32_t reserved;
} aq_tcp_sender_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_udp_sender_config_init(aq_udp_sender_config *config, size_t struct_size);

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_tcp_sender_config_init(aq_tcp_sender_config *config, size_t struct_size);

/**
 * Makes a stream that sends over UDP.
 *
 * @param config how it sends; NULL for the defaults
 * @param udp where to; copied
 * @param out receives the stream; free it with aq_send_stream_free()
 * @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION; AQ_E_IO when a host is not known, no route leads there, or there are too many open files
 *
 * Threads: any. It may wait for the name of a host to be looked up.
 */
aq_status aq_send_stream_new_udp(const aq_send_stream_config *config, const aq_udp_sender_config *udp,
    aq_send_stream **out);

/**
 * Makes a stream that sends over TCP, and connects it. A connection that breaks stays broken: every heap for it has an error from then on.
 *
 * That a packet was handed over means that the kernel has taken it, not that the receiver has.
 *
 * @param config how it sends; NULL for the defaults
 * @param tcp where to; copied
 * @param out receives the stream; free it with aq_send_stream_free()
 * @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION; AQ_E_IO when a host is not known, does not answer or refuses
 *
 * Threads: any. It waits for the connections.
 */
aq_status aq_send_stream_new_tcp(const aq_send_stream_config *config, const aq_tcp_sender_config *tcp,
    aq_send_stream **out);

/**
 * Makes a stream that puts packets into queues of this process. While a queue is full the stream waits.
 *
 * @param config how it sends; NULL for the defaults
 * @param queues one queue for each substream, which the caller may free afterwards; but freeing a queue stops it
 * @param n_queues how many: at least 1
 * @param out receives the stream; free it with aq_send_stream_free()
 * @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION
 *
 * Threads: any.
 */
aq_status aq_send_stream_new_inproc(const aq_send_stream_config *config, aq_inproc_queue *const *queues,
    size_t n_queues, aq_send_stream **out);

/**
 * Makes a stream that writes packets to a file, in place of one that may be there.
 *
 * @param config how it sends; NULL for the defaults
 * @param path the file
 * @param format AQ_SEND_FILE_RAW or AQ_SEND_FILE_PCAP
 * @param out receives the stream; free it with aq_send_stream_free()
 * @return AQ_OK; AQ_E_INVALID; AQ_E_VERSION; AQ_E_IO when the file cannot be made
 *
 * Threads: any.
 */
aq_status aq_send_stream_new_file(const aq_send_stream_config *config, const char *path, int32_t format,
    aq_send_stream **out);

/* =============================================================================================================
 * Packet layouts
 *
 * A layout says what the bytes of a packet of a fixed size mean: its fields, their types, the byte order, and constants that every
 * packet must have. With it a packet is checked, its values are read by index, and it is written as text or CSV, all without a callback.
 *
 * ```c
 * aq_packet_layout_parse("<header:B=0xaa, time:Q, adc:h, temperature:f", &layout);
 * aq_packet_layout_find(layout, "adc", &adc);                  // once, not for each packet
 * if (aq_packet_layout_check(layout, packet, size) == AQ_OK) {
 *     aq_packet_layout_i64(layout, adc, packet, size, &value);
 *     aq_packet_layout_text(layout, packet, size, ",", line, sizeof line, NULL);
 * }                                                            // "170,1234,-5,21.5\n"
 * ```
 *
 * The text of a layout is a byte order, then fields and padding with commas between them; blanks may stand between any two. A field is
 * name:type or name:type=constant; padding is x, or 4x for 4 bytes. Names are letters, digits and underscores of ASCII, at most 255, do
 * not begin with a digit, and are unique. Constants are integers (170, -1, 0xaa), floats (1.5, 2e-3, inf), True or False, and characters
 * ('a', '\n', '\xff'). There are at most 1024 fields, and at most 2^30 - 1 bytes.
 *
 * Byte orders, types and sizes are those of Python's struct:
 *
 * ```text
 * @   as a C compiler lays out a struct: this machine's byte order, sizes and padding, but none at the end; the default
 * =   this machine's byte order; as the following without padding, and with sizes that are the same everywhere
 * <   the least significant byte first                     > !   the most significant byte first
 *
 * c   a character, 1 byte        h H   integers of 2 bytes     q Q   integers of 8 bytes
 * b B integers of 1 byte         i I   integers of 4 bytes     n N   integers of a pointer's size; only with @
 * ?   a bool, 1 byte             l L   integers of 4 bytes     f d   floats of 4 and 8 bytes
 *                                      (with @, of a C long)   x     padding: no name, no value, no field
 * ```
 *
 * Integers of a capital letter are unsigned. All functions but aq_packet_layout_free() only read: any number of threads may call them
 * at the same time.
 * ============================================================================================================= */

/** The layout of packets of a fixed size. */
typedef struct aq_packet_layout aq_packet_layout;

/** A part of a new layout: a field, or padding. Set it all to 0 first: `aq_packet_field field = {0};` */
typedef struct aq_packet_field {
    /** The field's name; copied. NULL for padding. */
    const char *name;
    /** The character of its type, as in 'h'; 'x' for padding. */
    int32_t letter;
    /** 1 if every packet must have the constant there, else 0. */
    int32_t has_constant;
    /** The constant of the types b h i l q n; else 0. */
    int64_t constant_i64;
    /** The constant of the types B H I L Q N, of ? (0 or 1) and of c (its byte); else 0. */
    uint64_t constant_u64;
    /** The constant of the types f (rounded to its precision) and d, which is no NaN; else 0. */
    double constant_f64;
    /** Bytes of padding, at least 1; 0 for a field. */
    size_t padding;
} aq_packet_field;

/** A field of a layout. Initialise it with aq_packet_field_info_init() first. */
typedef struct aq_packet_field_info {
    /** Set by aq_packet_field_info_init(). */
    size_t struct_size;
    /** Its name; valid as long as the layout. */
    const char *name;
    /** Bytes from the packet's beginning. */
    size_t offset;
    /** Bytes. */
    size_t size;
    /** The character of its type, as in 'h'. */
    int32_t letter;
    /** 1 if every packet must have the constant there, else 0. */
    int32_t has_constant;
    /** The constant of the types b h i l q n; else 0. */
    int64_t constant_i64;
    /** The constant of the types B H I L Q N, of ? (0 or 1) and of c (its byte); else 0. */
    uint64_t constant_u64;
    /** The constant of the types f and d; else 0. */
    double constant_f64;
} aq_packet_field_info;

/**
 * Makes a layout from its text.
 *
 * @param text the text
 * @param out receives the layout; free it with aq_packet_layout_free()
 * @return AQ_OK; AQ_E_INVALID when it is no such text, with the position (in bytes, from 0), what was found there and the rule
 *
 * Threads: any.
 */
aq_status aq_packet_layout_parse(const char *text, aq_packet_layout **out);

/**
 * Makes a layout from a list.
 *
 * ```c
 * aq_packet_field fields[2] = {{0}, {0}};
 * fields[0].name = "header"; fields[0].letter = 'B'; fields[0].has_constant = 1; fields[0].constant_u64 = 0xaa;
 * fields[1].name = "adc";    fields[1].letter = 'h';
 * aq_packet_layout_new('<', fields, 2, &layout);
 * ```
 *
 * @param byte_order one of '@', '=', '<', '>', '!'
 * @param fields fields and padding, in order; copied
 * @param n_fields how many, 1 .. 2049; 1 .. 1024 of them are no padding
 * @param out receives the layout; free it with aq_packet_layout_free()
 * @return AQ_OK; AQ_E_INVALID, with the index of the field that breaks a rule
 *
 * Threads: any.
 */
aq_status aq_packet_layout_new(int32_t byte_order, const aq_packet_field *fields, size_t n_fields,
    aq_packet_layout **out);

/**
 * Frees a layout.
 *
 * @param layout the layout; NULL is fine
 * @return AQ_OK; AQ_E_INVALID when this is no layout
 *
 * Threads: one, the last that uses the layout.
 */
aq_status aq_packet_layout_free(aq_packet_layout *layout);

/**
 * The size of a packet.
 *
 * @param layout the layout
 * @param size receives bytes, 1 .. 2^30 - 1
 * @return AQ_OK; AQ_E_INVALID
 *
 * Threads: any.
 */
aq_status aq_packet_layout_size(const aq_packet_layout *layout, size_t *size);

/**
 * The number of fields; padding is none.
 *
 * @param layout the layout
 * @param count receives it, 1 .. 1024
 * @return AQ_OK; AQ_E_INVALID
 *
 * Threads: any.
 */
aq_status aq_packet_layout_field_count(const aq_packet_layout *layout, size_t *count);

/**
 * The index of the field of this name. It looks at one after the other: ask once, not for each packet.
 *
 * @param layout the layout
 * @param name the name
 * @param index receives the index
 * @return AQ_OK; AQ_E_NOT_FOUND when there is none
 *
 * Threads: any.
 */
aq_status aq_packet_layout_find(const aq_packet_layout *layout, const char *name, size_t *index);

/**
 * Writes the defaults.
 *
 * @param info the struct
 * @param struct_size sizeof *info
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_packet_field_info_init(aq_packet_field_info *info, size_t struct_size);

/**
 * What a field is.
 *
 * @param layout the layout
 * @param index the field, 0 .. aq_packet_layout_field_count() - 1
 * @param info receives it; initialised with aq_packet_field_info_init()
 * @return AQ_OK; AQ_E_NOT_FOUND when there is no such field
 *
 * Threads: any.
 */
aq_status aq_packet_layout_field(const aq_packet_layout *layout, size_t index, aq_packet_field_info *info);

/**
 * Whether a packet is of this layout: its size, and its constants. They are compared by value, so that -0.0 is 0.0.
 *
 * @param layout the layout
 * @param packet the packet
 * @param packet_size its bytes
 * @return AQ_OK; AQ_E_FORMAT when it is not, with the field, its constant and what was found
 *
 * Threads: any.
 */
aq_status aq_packet_layout_check(const aq_packet_layout *layout, const uint8_t *packet, size_t packet_size);

/**
 * A field's value as an integer: that of an integer, of a bool (0 or 1) or of a character (its byte).
 *
 * The packet's size is checked, its constants are not.
 *
 * @param layout the layout
 * @param index the field, 0 .. aq_packet_layout_field_count() - 1
 * @param packet the packet
 * @param packet_size its bytes
 * @param value receives the value
 * @return AQ_OK; AQ_E_NOT_FOUND when there is no such field; AQ_E_FORMAT when the packet is of another size; AQ_E_INVALID when the value is
 *     a float or above 2^63 - 1
 *
 * Threads: any.
 */
aq_status aq_packet_layout_i64(const aq_packet_layout *layout, size_t index, const uint8_t *packet,
    size_t packet_size, int64_t *value);

/**
 * A field's value as an unsigned integer: that of an integer, of a bool (0 or 1) or of a character (its byte).
 *
 * The packet's size is checked, its constants are not.
 *
 * @param layout the layout
 * @param index the field, 0 .. aq_packet_layout_field_count() - 1
 * @param packet the packet
 * @param packet_size its bytes
 * @param value receives the value
 * @return AQ_OK; AQ_E_NOT_FOUND when there is no such field; AQ_E_FORMAT when the packet is of another size; AQ_E_INVALID when the value is
 *     a float or negative
 *
 * Threads: any.
 */
aq_status aq_packet_layout_u64(const aq_packet_layout *layout, size_t index, const uint8_t *packet,
    size_t packet_size, uint64_t *value);

/**
 * A field's value as a double: that of a float, the nearest to an integer, that of a bool (0 or 1) or of a character (its byte).
 *
 * The packet's size is checked, its constants are not.
 *
 * @param layout the layout
 * @param index the field, 0 .. aq_packet_layout_field_count() - 1
 * @param packet the packet
 * @param packet_size its bytes
 * @param value receives the value
 * @return AQ_OK; AQ_E_NOT_FOUND when there is no such field; AQ_E_FORMAT when the packet is of another size
 *
 * Threads: any.
 */
aq_status aq_packet_layout_f64(const aq_packet_layout *layout, size_t index, const uint8_t *packet,
    size_t packet_size, double *value);

/**
 * A packet's values as Python prints them, and a newline: floats with the fewest digits that are the same number again (1e-05, 1e+16,
 * inf, nan, -0.0; an f becomes a double first), bools as True and False, characters as in b'a' or b'\x00'. It is the text that
 * baldaquin's to_text() gives.
 *
 * @param layout the layout
 * @param packet the packet; its size and its constants are checked
 * @param packet_size its bytes
 * @param separator what stands between two values; NULL for ","
 * @param buffer receives the text and a NUL; may be NULL if size is 0
 * @param size its bytes
 * @param needed receives the bytes of the text and its NUL, also on AQ_E_TRUNCATED; may be NULL
 * @return AQ_OK; AQ_E_FORMAT when the packet is not of this layout; AQ_E_TRUNCATED when it does not fit, and nothing was written to
 *     buffer
 *
 * Threads: any.
 */
aq_status aq_packet_layout_text(const aq_packet_layout *layout, const uint8_t *packet, size_t packet_size,
    const char *separator, char *buffer, size_t size, size_t *needed);

/**
 * A packet's values as a line of CSV: as aq_packet_layout_text() with commas, but bools are true and false, and a character is itself
 * (a comma and a quote in quotes, what cannot be printed as in \x0a).
 *
 * @param layout the layout
 * @param packet the packet; its size and its constants are checked
 * @param packet_size its bytes
 * @param buffer receives the line and a NUL; may be NULL if size is 0
 * @param size its bytes
 * @param needed receives the bytes of the line and its NUL, also on AQ_E_TRUNCATED; may be NULL
 * @return AQ_OK; AQ_E_FORMAT when the packet is not of this layout; AQ_E_TRUNCATED when it does not fit, and nothing was written to
 *     buffer
 *
 * Threads: any.
 */
aq_status aq_packet_layout_csv(const aq_packet_layout *layout, const uint8_t *packet, size_t packet_size,
    char *buffer, size_t size, size_t *needed);

/**
 * The lines above the text of packets: when they were written (now), by which version, for whom, and the fields' names.
 *
 * ```text
 * #Created on 2026-11-24 23:04:49.461783+00:00 (1795561489.461783 s)
 * #Aqueduct version: 0.1.0
 * #Creator: the creator
 * #header, time, adc
 * ```
 *
 * @param layout the layout
 * @param prefix what each line begins with; NULL for "#"
 * @param creator for the third line; NULL for none
 * @param buffer receives the text and a NUL; may be NULL if size is 0
 * @param size its bytes
 * @param needed receives the bytes of the text and its NUL, which are always the same, also on AQ_E_TRUNCATED; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
 *
 * Threads: any.
 */
aq_status aq_packet_layout_text_header(const aq_packet_layout *layout, const char *prefix, const char *creator,
    char *buffer, size_t size, size_t *needed);

/**
 * The line above the CSV of packets: the fields' names.
 *
 * @param layout the layout
 * @param buffer receives the line and a NUL; may be NULL if size is 0
 * @param size its bytes
 * @param needed receives the bytes of the line and its NUL, also on AQ_E_TRUNCATED; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
 *
 * Threads: any.
 */
aq_status aq_packet_layout_csv_header(const aq_packet_layout *layout, char *buffer, size_t size, size_t *needed);

/**
 * The layout as a line of text, from which aq_packet_layout_parse() makes an equal one.
 *
 * @param layout the layout
 * @param buffer receives the text and a NUL; may be NULL if size is 0
 * @param size its bytes
 * @param needed receives the bytes of the text and its NUL, also on AQ_E_TRUNCATED; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
 *
 * Threads: any.
 */
aq_status aq_packet_layout_describe(const aq_packet_layout *layout, char *buffer, size_t size, size_t *needed);

/* =============================================================================================================
 * Event buffers
 *
 * A buffer takes packets of any size from those who read an instrument, and a flush writes what is in it to files: after so many packets or so
 * much time, by the program or by a thread of the buffer's own. See Sinks for where packets go.
 *
 * ```c
 * aq_event_buffer_config config;
 * aq_event_buffer_config_init(&config, sizeof config);
 * config.flush_size = 10000;                                     // or after 10 s, the default
 * aq_event_buffer_new(&config, &buffer);
 * aq_event_buffer_set_primary_sink(buffer, "run42.dat");
 * aq_event_buffer_start_flusher(buffer);
 * while (read_packet(packet, &size))
 *     aq_event_buffer_put(buffer, packet, size, AQ_WAIT_FOREVER);
 * aq_event_buffer_stop_flusher(buffer);                          // writes the rest
 * aq_event_buffer_free(buffer);
 * ```
 *
 * What is put is copied once. Every packet that the buffer accounts for (a put that answered AQ_OK) is in exactly one counter of
 * aq_event_buffer_stats, and a packet leaves the buffer only when all its sinks have it: a flush that fails loses nothing, and the next one goes on
 * where it was.
 * ============================================================================================================= */

/** Everything is to be written: AQ_OVERFLOW_BLOCK, unless overflow says something else. */
#define AQ_FIFO 0
/** The latest packets are to be kept: AQ_OVERFLOW_DROP_OLDEST, unless overflow says something else. */
#define AQ_CIRCULAR 1
/** What is done with a packet that finds the buffer full is as its kind wants it. */
#define AQ_OVERFLOW_BY_KIND (-1)
/** The most bytes of a packet: 2^30 - 1. */
#define AQ_EVENT_MAX_SIZE 1073741823

/** A buffer of packets. */
typedef struct aq_event_buffer aq_event_buffer;

/** How a buffer is made. Initialise it with aq_event_buffer_config_init(). */
typedef struct aq_event_buffer_config {
    /** Set by aq_event_buffer_config_init(). */
    size_t struct_size;
    /** The buffer is almost full, and a flush is due, with so many packets; 0 (default): with no number of them. */
    uint64_t flush_size;
    /**
     * A flush is due when the last one began longer ago, in nanoseconds; 10 s by default, AQ_WAIT_FOREVER: never for that reason. The flusher takes
     * less than 1 ms as 1 ms.
     */
    int64_t flush_timeout_ns;
    /**
     * The most packets in the buffer, also those that a flush is writing; 0 (default): as many as memory holds. With AQ_OVERFLOW_DROP_OLDEST those
     * that are being written, which cannot be dropped, come on top of it.
     */
    uint64_t capacity;
    /** The same in bytes of packets. Memory is taken 1 MiB at a time, and 24 bytes for each packet come on top. */
    uint64_t capacity_bytes;
    /** Where memory comes from; NULL (default): the system's heap. A pool should have an `upper` of 1 MiB. It lives as long as the buffer. */
    const aq_allocator *memory_allocator;
    /** AQ_FIFO (default) or AQ_CIRCULAR. */
    int32_t kind;
    /**
     * What is done with a packet that finds the buffer full: AQ_OVERFLOW_BY_KIND (default); AQ_OVERFLOW_BLOCK: whoever puts it waits as long as it
     * allows; AQ_OVERFLOW_DROP_NEWEST: it is dropped; AQ_OVERFLOW_DROP_OLDEST: the oldest ones are.
     */
    int32_t overflow;
    /** 1 (default): the time at which each packet is put is noted, for framed files and callbacks; 0: it is not. */
    int32_t timestamps;
    /** 0. */
    uint32_t reserved;
} aq_event_buffer_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_event_buffer_config_init(aq_event_buffer_config *config, size_t struct_size);

/**
 * Makes an empty buffer without sinks.
 *
 * @param config its configuration, copied; NULL for the defaults
 * @param out receives the buffer; free it with aq_event_buffer_free()
 * @return AQ_OK; AQ_E_INVALID when a field of config is out of range
 *
 * Threads: any.
 */
aq_status aq_event_buffer_new(const aq_event_buffer_config *config, aq_event_buffer **out);

/**
 * Frees a buffer. If its flusher runs, that is stopped as by aq_event_buffer_stop_flusher(), and an error is logged; else packets that are still in
 * the buffer are gone. Sinks are closed.
 *
 * @param buffer the buffer; NULL is fine
 * @return AQ_OK; AQ_E_STATE from a function that a flush of this buffer has called
 *
 * Threads: any, as the last call on the buffer, when no reservation is being written to.
 */
aq_status aq_event_buffer_free(aq_event_buffer *buffer);

/**
 * What a buffer was made with; what aq_event_buffer_configure() changed is as it is now. Overflow is never AQ_OVERFLOW_BY_KIND, and
 * memory_allocator is NULL.
 *
 * @param buffer the buffer
 * @param config receives it; initialised with aq_event_buffer_config_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_event_buffer_get_config(const aq_event_buffer *buffer, aq_event_buffer_config *config);

/**
 * Changes when a flush is due.
 *
 * @param buffer the buffer
 * @param flush_size,flush_timeout_ns as in aq_event_buffer_config
 * @return AQ_OK; AQ_E_INVALID when flush_timeout_ns is out of range
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_configure(aq_event_buffer *buffer, uint64_t flush_size, int64_t flush_timeout_ns);

/**
 * How many packets are in the buffer, also those that a flush is writing.
 *
 * @param buffer the buffer
 * @param size receives the number
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_size(const aq_event_buffer *buffer, uint64_t *size);

/**
 * How many bytes the packets in the buffer have.
 *
 * @param buffer the buffer
 * @param bytes receives the number
 * @return AQ_OK
 *
 * Threads: as for aq_event_buffer_size().
 */
aq_status aq_event_buffer_bytes(const aq_event_buffer *buffer, uint64_t *bytes);

/**
 * Whether there are at least flush_size packets in the buffer.
 *
 * @param buffer the buffer
 * @param yes receives 1 or 0; 0 if flush_size is 0
 * @return AQ_OK
 *
 * Threads: as for aq_event_buffer_size().
 */
aq_status aq_event_buffer_almost_full(const aq_event_buffer *buffer, int32_t *yes);

/**
 * How long ago the last flush began, or the buffer was made, by the monotonic clock.
 *
 * @param buffer the buffer
 * @param time_ns receives the time in nanoseconds
 * @return AQ_OK
 *
 * Threads: as for aq_event_buffer_size().
 */
aq_status aq_event_buffer_time_since_last_flush(const aq_event_buffer *buffer, uint64_t *time_ns);

/**
 * Whether a flush is due: the buffer is almost full, or the last flush was longer ago than flush_timeout_ns (also if the buffer is empty).
 *
 * @param buffer the buffer
 * @param yes receives 1 or 0
 * @return AQ_OK
 *
 * Threads: as for aq_event_buffer_size().
 */
aq_status aq_event_buffer_flush_needed(const aq_event_buffer *buffer, int32_t *yes);

/**
 * Forgets all packets; they are counted as cleared. It does not count as a flush. While a flush is writing, it waits for the end of that.
 *
 * @param buffer the buffer
 * @param n_cleared receives how many they were; may be NULL
 * @return AQ_OK; AQ_E_STATE from a function that a flush of this buffer has called
 *
 * Threads: as for aq_event_buffer_pop().
 */
aq_status aq_event_buffer_clear(aq_event_buffer *buffer, uint64_t *n_cleared);

/**
 * Stops a buffer, for good: puts answer AQ_STOPPED from now on, and whoever waits is woken. What is inside can be flushed and popped; slots can be
 * committed. The flusher goes on.
 *
 * @param buffer the buffer
 * @return AQ_OK, also when it is stopped already
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_stop(aq_event_buffer *buffer);

/* =============================================================================================================
 * Statistics of event buffers
 *
 * The ledger of a buffer: every packet that was put is in exactly one of its counters.
 * ============================================================================================================= */

/**
 * What became of a buffer's packets, all at one moment. Initialise it with aq_event_buffer_stats_init() first.
 *
 * At any moment put = waiting + flushed + popped + cleared + overflow_oldest + overflow_newest; and so in bytes.
 */
typedef struct aq_event_buffer_stats {
    /** Set by aq_event_buffer_stats_init(). */
    size_t struct_size;
    /** Packets that the buffer accounts for. */
    uint64_t put;
    /** Bytes of these. */
    uint64_t put_bytes;
    /** Packets in the buffer now, also those that a flush is writing. */
    uint64_t waiting;
    /** Bytes of these. */
    uint64_t waiting_bytes;
    /** Packets that all sinks have. */
    uint64_t flushed;
    /** Bytes of these. */
    uint64_t flushed_bytes;
    /** Packets taken out by aq_event_buffer_pop(). */
    uint64_t popped;
    /** Bytes of these. */
    uint64_t popped_bytes;
    /** Packets forgotten by aq_event_buffer_clear(). */
    uint64_t cleared;
    /** Bytes of these. */
    uint64_t cleared_bytes;
    /** Packets lost: the oldest ones, dropped to make space. */
    uint64_t overflow_oldest;
    /** Bytes of these. */
    uint64_t overflow_oldest_bytes;
    /** Packets lost: they found no space. */
    uint64_t overflow_newest;
    /** Bytes of these. */
    uint64_t overflow_newest_bytes;
    /**
     * Puts and reservations that were answered AQ_FULL, AQ_TIMEOUT, AQ_STOPPED or AQ_E_NOMEM: the caller kept the packet. Not a part of put. (A
     * reservation that is answered AQ_FULL as the policy drops the newest packets is in put and overflow_newest instead.)
     */
    uint64_t refused;
    /** Puts and reservations that had to wait for space. */
    uint64_t blocked;
    /** Reservations that were cancelled. */
    uint64_t cancelled;
    /** Reservations that are neither committed nor cancelled. */
    uint64_t reserved;
    /** Flushes, also those of no packet. */
    uint64_t flushes;
    /** Flushes that failed. */
    uint64_t flush_errors;
    /** Bytes that all sinks wrote, without headers. */
    uint64_t written_bytes;
} aq_event_buffer_stats;

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_event_buffer_stats_init(aq_event_buffer_stats *stats, size_t struct_size);

/**
 * What became of the buffer's packets up to now.
 *
 * @param buffer the buffer
 * @param stats receives the counts; initialised with aq_event_buffer_stats_init()
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_get_stats(const aq_event_buffer *buffer, aq_event_buffer_stats *stats);

/* =============================================================================================================
 * Putting packets into event buffers
 *
 * One at a time, many of one size, one of several parts; or written where it is to lie, between aq_event_buffer_reserve() and aq_event_buffer_commit().
 * ============================================================================================================= */

/** A part of a packet. */
typedef struct aq_bytes {
    /** Its first byte; may be NULL if there are none. */
    const void *data;
    /** How many there are. */
    size_t size;
} aq_bytes;

/** A place in the buffer for a packet; see aq_event_buffer_reserve(). */
typedef struct aq_event_slot {
    /** Where the packet is to be written; aligned for any C type. */
    void *data;
    /** Bytes that may be written there. */
    size_t size;
    /** The slot's number, which aq_event_buffer_commit() and _cancel() know it by. */
    uint64_t number;
} aq_event_slot;

/**
 * Puts a packet, whose bytes are copied.
 *
 * AQ_OK means that the buffer accounts for the packet from now on: it is in the buffer, or a packet was dropped and counted, where the buffer is
 * full and its overflow policy is to drop.
 *
 * @param buffer the buffer
 * @param data the packet; may be NULL if size is 0
 * @param size its bytes: at most AQ_EVENT_MAX_SIZE, and at most capacity_bytes
 * @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
 * @return AQ_OK; AQ_FULL (with timeout 0) or AQ_TIMEOUT when there is no space, and AQ_STOPPED when the buffer is stopped: the packet is still
 *     the caller's; AQ_E_INVALID when it is too large; AQ_E_NOMEM
 *
 * Threads: any number at the same time, and at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_put(aq_event_buffer *buffer, const void *data, size_t size, int64_t timeout_ns);

/**
 * Puts packets of one size that lie one behind the other. That is faster than one by one.
 *
 * @param buffer the buffer
 * @param data the packets
 * @param packet_size bytes of each: 1 to AQ_EVENT_MAX_SIZE
 * @param n_packets how many there are; 0 is fine
 * @param timeout_ns how long to wait for space for each of them, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
 * @param n_put receives how many packets the buffer accounts for from now on: the first ones, at least one; may be NULL
 * @return AQ_OK, also if it is not all of them; the others as for aq_event_buffer_put() when it is none of them
 *
 * Threads: as for aq_event_buffer_put().
 */
aq_status aq_event_buffer_put_many(aq_event_buffer *buffer, const void *data, size_t packet_size,
    size_t n_packets, int64_t timeout_ns, size_t *n_put);

/**
 * Puts a packet whose bytes are in several places, for example a header and a payload.
 *
 * @param buffer the buffer
 * @param parts where they are, in order
 * @param n_parts how many parts there are: at most 1024
 * @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
 * @return as for aq_event_buffer_put()
 *
 * Threads: as for aq_event_buffer_put().
 */
aq_status aq_event_buffer_put_parts(aq_event_buffer *buffer, const aq_bytes *parts, size_t n_parts,
    int64_t timeout_ns);

/**
 * Takes a place in the buffer for a packet, which is then written there and committed: no copy is made. What others put meanwhile stands behind it,
 * and is not flushed or popped before it is committed or cancelled; so do that soon.
 *
 * Where the buffer is full and drops the newest packets, this one counts as dropped, with all of size, and the answer is AQ_FULL.
 *
 * @param buffer the buffer
 * @param size the most bytes that the packet can have: as for aq_event_buffer_put()
 * @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
 * @param slot receives the place; its memory is the caller's until aq_event_buffer_commit() or _cancel()
 * @return AQ_OK; AQ_FULL or AQ_TIMEOUT when there is no space; AQ_STOPPED when the buffer is stopped; AQ_E_INVALID when size is too large;
 *     AQ_E_NOMEM
 *
 * Threads: as for aq_event_buffer_put().
 */
aq_status aq_event_buffer_reserve(aq_event_buffer *buffer, size_t size, int64_t timeout_ns, aq_event_slot *slot);

/**
 * The packet in a slot has been written: it is in the buffer, in the slot's place, as if it were put now.
 *
 * @param buffer the buffer
 * @param number the slot's number
 * @param size how many bytes the packet has: at most the slot's size
 * @return AQ_OK; AQ_E_INVALID when there is no such slot, or size is too large: the slot stays
 *
 * Threads: as for aq_event_buffer_put(); not only the thread that has reserved it.
 */
aq_status aq_event_buffer_commit(aq_event_buffer *buffer, uint64_t number, size_t size);

/**
 * There will be no packet in a slot. It counts as cancelled, not as lost.
 *
 * @param buffer the buffer
 * @param number the slot's number
 * @return AQ_OK; AQ_E_INVALID when there is no such slot
 *
 * Threads: as for aq_event_buffer_commit().
 */
aq_status aq_event_buffer_cancel(aq_event_buffer *buffer, uint64_t number);

/* =============================================================================================================
 * Heaps and chunks in event buffers
 *
 * A whole heap or chunk can be put as one packet: a header that says what it is, then its bytes. So a recorder of heaps is a receiver, a buffer and a sink.
 * ============================================================================================================= */

/** What a chunk that was put begins with; see aq_event_buffer_put_chunk(). Little-endian. */
typedef struct aq_chunk_record {
    /** The bytes "AQCH". */
    uint32_t magic;
    /** 1. */
    uint16_t version;
    /** Bytes of this header: 48. */
    uint16_t header_size;
    /** The chunk's number. */
    int64_t chunk_id;
    /** The stream_id of its stream. */
    uint64_t stream_id;
    /** Bytes of its data, which come first. */
    uint64_t data_size;
    /** Bytes of its flags, which come next. */
    uint64_t present_size;
    /** Bytes of its extra data, which come last. */
    uint64_t extra_size;
} aq_chunk_record;

/** What a heap that was put begins with; see aq_event_buffer_put_heap(). Little-endian. */
typedef struct aq_heap_record {
    /** The bytes "AQHP". */
    uint32_t magic;
    /** 1. */
    uint16_t version;
    /** Bytes of this header: 64. */
    uint16_t header_size;
    /** The heap's number. */
    uint64_t cnt;
    /** The length that its packets told, in bytes; -1 if they did not. */
    int64_t length;
    /** Bytes of payload received. */
    uint64_t received;
    /** When its first packet arrived, in nanoseconds since the Unix epoch; 0 if nobody told. */
    uint64_t first_arrival_ns;
    /** The same of its last packet. */
    uint64_t last_arrival_ns;
    /** Bytes of payload behind the items; 0 for an incomplete heap. */
    uint64_t payload_size;
    /** How many aq_heap_record_item follow. */
    uint32_t n_items;
    /** Bits of a heap address in its flavour. */
    uint8_t heap_address_bits;
    /** 1 if all of its payload was received, else 0. */
    uint8_t complete;
    /** 1 if it starts the stream, else 0. */
    uint8_t start_of_stream;
    /** 1 if it ends the stream, else 0. */
    uint8_t end_of_stream;
} aq_heap_record;

/** An item of a heap that was put. Little-endian. */
typedef struct aq_heap_record_item {
    /** Its identifier. */
    uint64_t id;
    /** The value of an immediate item; else where its bytes begin in the payload. */
    uint64_t value;
    /** How many bytes those are; 0 for an immediate item. */
    uint32_t size;
    /** 1: its bytes are in the payload; 0: it is immediate. */
    uint32_t addressed;
} aq_heap_record_item;

/**
 * Puts a copy of a heap: an aq_heap_record, its aq_heap_record_items, and its payload. The heap stays the caller's.
 *
 * An incomplete heap has no payload, and only its immediate items.
 *
 * @param buffer the buffer
 * @param heap the heap
 * @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
 * @return as for aq_event_buffer_put()
 *
 * Threads: as for aq_event_buffer_put().
 */
aq_status aq_event_buffer_put_heap(aq_event_buffer *buffer, const aq_heap *heap, int64_t timeout_ns);

/**
 * Puts a copy of a chunk: an aq_chunk_record, its data, its flags, and its extra data. The chunk stays the caller's.
 *
 * @param buffer the buffer
 * @param chunk the chunk, which the caller holds
 * @param timeout_ns how long to wait for space, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
 * @return as for aq_event_buffer_put(); AQ_E_STATE when the chunk is in a ring or a stream
 *
 * Threads: as for aq_event_buffer_put().
 */
aq_status aq_event_buffer_put_chunk(aq_event_buffer *buffer, const aq_chunk *chunk, int64_t timeout_ns);

/* =============================================================================================================
 * Taking packets out of event buffers
 *
 * For a program that processes packets itself; what is taken out does not go to the sinks.
 * ============================================================================================================= */

/**
 * Takes the oldest packet out. It does not go to the sinks then. While a flush is writing, it waits for the end of that, as long as timeout_ns allows.
 *
 * @param buffer the buffer
 * @param timeout_ns how long to wait for a packet, in nanoseconds: AQ_WAIT_FOREVER, or 0 not to wait
 * @param data receives the packet; may be NULL if capacity is 0
 * @param capacity bytes at data
 * @param size receives the packet's bytes, also when there are more than capacity
 * @param time_ns receives when it was put, in nanoseconds since the Unix epoch, 0 if that was not noted; may be NULL
 * @return AQ_OK; AQ_EMPTY (with timeout 0) or AQ_TIMEOUT when there is none, all stand behind a slot that is being written, or a flush is writing;
 *     AQ_STOPPED when there is none and the buffer is stopped; AQ_E_TRUNCATED when capacity is too small: the packet stays; AQ_E_STATE from a function that a flush of this buffer has called
 *
 * Threads: any number at the same time, and at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_pop(aq_event_buffer *buffer, int64_t timeout_ns, void *data, size_t capacity,
    size_t *size, uint64_t *time_ns);

/**
 * Copies a packet, which stays. While a flush is writing, it waits for the end of that.
 *
 * @param buffer the buffer
 * @param index which one: 0 is the oldest
 * @param data receives the packet; may be NULL if capacity is 0
 * @param capacity bytes at data
 * @param size receives the packet's bytes, also when there are more than capacity
 * @param time_ns receives when it was put, as for aq_event_buffer_pop(); may be NULL
 * @return AQ_OK; AQ_EMPTY when there are not that many; AQ_E_TRUNCATED when capacity is too small; AQ_E_STATE from a function that a flush of this
 *     buffer has called
 *
 * Threads: as for aq_event_buffer_pop().
 */
aq_status aq_event_buffer_peek(const aq_event_buffer *buffer, uint64_t index, void *data, size_t capacity,
    size_t *size, uint64_t *time_ns);

/**
 * A file descriptor that is readable (POLLIN) while there are packets in the buffer, but for those behind a slot that is being written, or it is
 * stopped. For poll, select or epoll; never read it, write to it or close it.
 *
 * @param buffer the buffer
 * @param fd receives the descriptor, valid until the buffer is freed
 * @return AQ_OK; AQ_E_IO when there are too many open files
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_data_fd(const aq_event_buffer *buffer, int *fd);

/* =============================================================================================================
 * Flushing event buffers
 *
 * A flush writes what is in a buffer to its sinks, when the program says so, or by a thread of the buffer's own.
 * ============================================================================================================= */

/**
 * Writes what is in the buffer to all sinks: to the others first, in their order, then to the primary one. What is put meanwhile waits for the next
 * flush. Two flushes at the same time come one after the other.
 *
 * When a sink fails the others go on. Packets that a sink has not got stay in the buffer; the next flush goes on with them, and gives no sink what it
 * has already.
 *
 * @param buffer the buffer
 * @param n_packets receives how many packets the primary sink took; may be NULL
 * @param n_bytes receives how many bytes all sinks wrote, without headers; may be NULL
 * @return AQ_OK; AQ_E_STATE when there is no primary sink, or from a function that a flush of this buffer has called; AQ_E_IO when a file cannot be
 *     written, and aq_last_error() names it and the system's reason; what else a function of the program answers
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_flush(aq_event_buffer *buffer, uint64_t *n_packets, uint64_t *n_bytes);

/**
 * Starts a thread that flushes the buffer when a flush is due, or somebody waits for space. When a flush fails, it is logged and counted, and tried
 * again after 100 ms at the earliest.
 *
 * @param buffer the buffer
 * @return AQ_OK; AQ_E_STATE when there is no primary sink, the flusher runs already, or from a function that a flush of this buffer has called;
 *     AQ_E_IO when the system gives no thread
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_start_flusher(aq_event_buffer *buffer);

/**
 * Ends the flusher, and flushes what is left. It waits for the flush that is under way. Without a flusher it does nothing.
 *
 * @param buffer the buffer
 * @return AQ_OK; what aq_event_buffer_flush() answers: the flusher has ended nevertheless
 *
 * Threads: as for aq_event_buffer_start_flusher().
 */
aq_status aq_event_buffer_stop_flusher(aq_event_buffer *buffer);

/**
 * How the flusher is doing.
 *
 * @param buffer the buffer
 * @param running receives 1 if it runs, else 0; may be NULL
 * @return AQ_OK, or what its last flush (also that of aq_event_buffer_stop_flusher()) failed with: aq_last_error() then has the sentence, and
 *     running is written nevertheless
 *
 * Threads: as for aq_event_buffer_size().
 */
aq_status aq_event_buffer_flusher_status(const aq_event_buffer *buffer, int32_t *running);

/* =============================================================================================================
 * Sinks
 *
 * A sink is where a flush of an event buffer writes packets to. There is one primary sink, without which nothing is flushed, and any number of others.
 * A sink writes a file, or files that follow each other, or calls a function:
 *
 * ```text
 * AQ_WRITE_BINARY   the packets' bytes, one behind the other, or what a format function makes of them
 * AQ_WRITE_TEXT     what a format function makes of each packet, or its values by a packet layout, on one line
 * AQ_WRITE_CSV      its values by a packet layout, as plain CSV; the header is the caller's
 * AQ_WRITE_FRAMED   records with times, checksums and marks where packets were lost: see Event files
 * ```
 *
 * A file is created when its sink is attached, and never written over: if it exists, that is an error. It stays open between flushes. If a write
 * fails half-way, what got there is cut off, and the next flush writes it again, so that a file consists of whole records at any time. When the
 * program is killed, everything that was flushed is in the file, and at most one torn record behind it.
 * ============================================================================================================= */

/** The packets' bytes, or what a format function makes of them. */
#define AQ_WRITE_BINARY 0
/** Text of each packet by a format function or a layout. */
#define AQ_WRITE_TEXT 1
/** Records of a framed file. */
#define AQ_WRITE_FRAMED 2
/** Plain CSV by a layout. */
#define AQ_WRITE_CSV 3
/** What is written is on the disk when the system likes. It outlives the program, but not a loss of power. */
#define AQ_DURABILITY_SYSTEM 0
/** It is on the disk when a flush returns (fdatasync). */
#define AQ_DURABILITY_FLUSH 1
/** It is on the disk when a flush returns, if the last time was longer than sync_interval_ns ago; and when the file is closed. */
#define AQ_DURABILITY_INTERVAL 2
/** A format function's answer: leave this packet out. */
#define AQ_FORMAT_SKIP (-1)
/** The primary sink, where an index of a sink is asked for. */
#define AQ_PRIMARY_SINK (-1)

/** A packet on its way out. */
typedef struct aq_event_packet {
    /** Its bytes, valid until the callback returns. */
    const void *data;
    /** How many there are. */
    size_t size;
    /** It counts all packets that the buffer was given, also those that were lost. */
    uint64_t number;
    /** When it was put, in nanoseconds since the Unix epoch; 0 if that was not noted. */
    uint64_t time_ns;
    /** Packets that were lost between this and the one before. A format function always finds 0 here: text has no place for them. */
    uint64_t lost_packets;
    /** Bytes of these. */
    uint64_t lost_bytes;
} aq_event_packet;

/**
 * Writes what a packet looks like in a file.
 *
 * - called from: whichever thread flushes; one call at a time for each sink
 * - may block: yes; the flush waits, puts go on as long as there is space
 * - may call: anything but what takes packets out of the same buffer or changes its sinks (flush, pop, peek, clear, ...), which is AQ_E_STATE; a put
 *   that waits for space would wait for ever
 * - valid until: it returns, both arguments
 * - on error: it answers a negative number: AQ_FORMAT_SKIP leaves the packet out of this sink; any other (an AQ_E_*) fails the flush, and the packet
 *   comes again with the next one
 *
 * It answers how many bytes it wrote to `text`, 0 being fine. If `capacity` is too small, it answers how many it needs, up to 16 MiB, and is
 * called once more with as many.
 */
typedef int64_t (*aq_event_format_fn)(const aq_event_packet *packet, char *text, size_t capacity, void *user);

/** A sink of files. Initialise it with aq_sink_config_init(), then set `path` at least. */
typedef struct aq_sink_config {
    /** Set by aq_sink_config_init(). */
    size_t struct_size;
    /**
     * The file. It must not exist. With rotation, a name for many files: `%n` is the file's number from 0 (`%6n` or `%06n`: with at least 6 digits),
     * `%Y %m %d %H %M %S` the time (UTC) at which it is begun, and `%%` a percent sign.
     */
    const char *path;
    /** What each file begins with; copied. NULL (default) for nothing. In a framed file it is the user's part of the file's header. */
    const void *header;
    /** Bytes at header. */
    size_t header_size;
    /**
     * What packets mean, for text, CSV, and the header of framed files; NULL (default) if nobody knows. Packets that do not follow it are left out of
     * text and CSV, and counted as skipped.
     */
    const aq_packet_layout *layout;
    /** Between the values of AQ_WRITE_TEXT by a layout; NULL (default) is ",". */
    const char *separator;
    /** What makes text, or other bytes, of packets; NULL (default) for none. */
    aq_event_format_fn format;
    /** Passed to format. */
    void *format_user;
    /** Releases format_user. */
    aq_user_free_fn format_user_free;
    /** A file that has grown to so many bytes, whole packets only, is followed by the next one; 0 (default): never. */
    uint64_t rotate_bytes;
    /** A file that is so old is followed by the next one when there is a packet to write, in nanoseconds; 0 (default): never. One without packets stays. */
    uint64_t rotate_interval_ns;
    /** For AQ_DURABILITY_INTERVAL, in nanoseconds. 1 s by default. */
    uint64_t sync_interval_ns;
    /** AQ_WRITE_*; AQ_WRITE_BINARY by default. */
    int32_t mode;
    /** AQ_DURABILITY_*; AQ_DURABILITY_SYSTEM by default. */
    int32_t durability;
    /** 1: it is the primary sink, in the place of the present one, which is closed; 0 (default): it is another one. */
    int32_t primary;
    /** 0. */
    uint32_t reserved;
} aq_sink_config;

/** What became of packets in a sink. Initialise it with aq_sink_stats_init() first. */
typedef struct aq_sink_stats {
    /** Set by aq_sink_stats_init(). */
    size_t struct_size;
    /** Packets that it has. */
    uint64_t packets;
    /** Bytes that it wrote, without headers. */
    uint64_t bytes;
    /** Packets that it left out: a format function said so, or they do not follow the layout. */
    uint64_t skipped;
    /** Packets that were lost on the way to it, since it was attached. */
    uint64_t lost;
    /** Bytes of these. */
    uint64_t lost_bytes;
    /** Flushes in which it failed. */
    uint64_t errors;
} aq_sink_stats;

/**
 * Takes packets.
 *
 * - called from: whichever thread flushes; one call at a time for each sink
 * - may block: yes; the flush waits, puts go on as long as there is space
 * - may call: as aq_event_format_fn
 * - valid until: it returns, the packets and what they point to
 * - on error: it answers a negative number (an AQ_E_*), which fails the flush: the same packets come again with the next one; else AQ_OK
 */
typedef aq_status (*aq_event_write_fn)(const aq_event_packet *packets, size_t n_packets, void *user);

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_sink_config_init(aq_sink_config *config, size_t struct_size);

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_sink_stats_init(aq_sink_stats *stats, size_t struct_size);

/**
 * Writes packets as they are to a file: a primary sink, in the place of the present one, which is closed. The first packet in it is the oldest in
 * the buffer.
 *
 * @param buffer the buffer
 * @param path the file, which must not exist
 * @return AQ_OK; AQ_E_IO when the file cannot be created, or the one that it takes the place of not be closed: the new one is there nevertheless;
 *     AQ_E_STATE from a function that a flush of this buffer has called
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_set_primary_sink(aq_event_buffer *buffer, const char *path);

/**
 * Writes packets to one more file, in a format of the caller's. aq_event_buffer_add_sink() knows more formats, rotation, and durability.
 *
 * @param buffer the buffer
 * @param path the file, which must not exist
 * @param mode AQ_WRITE_BINARY, AQ_WRITE_TEXT, or AQ_WRITE_FRAMED
 * @param format what makes text, or bytes, of packets; NULL with AQ_WRITE_BINARY writes them as they are
 * @param user passed to format
 * @param user_free releases user; may be NULL
 * @param header what the file begins with; may be NULL if header_size is 0
 * @param header_size bytes at header
 * @return as for aq_event_buffer_add_sink()
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_add_custom_sink(aq_event_buffer *buffer, const char *path, int32_t mode,
    aq_event_format_fn format, void *user, aq_user_free_fn user_free, const void *header, size_t header_size);

/**
 * Attaches a sink of files. The first packet in it is the oldest in the buffer.
 *
 * @param buffer the buffer
 * @param config what to write, and where to; copied
 * @param index receives the sink's index for aq_event_buffer_get_sink_stats(): the others count from 0 in the order in which they are added, the primary
 *     one has AQ_PRIMARY_SINK; may be NULL
 * @return AQ_OK; AQ_E_INVALID when a field of config is out of range, or the mode takes what is not there; AQ_E_IO when the file cannot be created, or
 *     the one that it takes the place of not be closed: the new one is there nevertheless; AQ_E_STATE from a function that a flush of this buffer has
 *     called
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_add_sink(aq_event_buffer *buffer, const aq_sink_config *config, int64_t *index);

/**
 * Attaches a sink that calls a function with the packets, up to 256 at a time.
 *
 * @param buffer the buffer
 * @param write the function
 * @param user passed to write
 * @param user_free releases user; may be NULL
 * @param primary 1: it is the primary sink, in the place of the present one, which is closed; 0: it is another one
 * @param index receives the sink's index, as for aq_event_buffer_add_sink(); may be NULL
 * @return AQ_OK; AQ_E_INVALID when write is NULL; AQ_E_STATE from a function that a flush of this buffer has called
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_add_callback_sink(aq_event_buffer *buffer, aq_event_write_fn write, void *user,
    aq_user_free_fn user_free, int32_t primary, int64_t *index);

/**
 * Closes and forgets all sinks, without a flush: packets stay in the buffer.
 *
 * @param buffer the buffer
 * @return AQ_OK; AQ_E_IO when a file cannot be closed properly: all sinks are gone nevertheless; AQ_E_STATE from a function that a flush of this buffer
 *     has called
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_disconnect_sinks(aq_event_buffer *buffer);

/**
 * How many sinks a buffer has. While a flush is writing, it waits for the end of that.
 *
 * @param buffer the buffer
 * @param count receives the number, without the primary one
 * @param has_primary receives 1 if there is a primary one, else 0; may be NULL
 * @return AQ_OK; AQ_E_STATE from a function that a flush of this buffer has called
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_sink_count(const aq_event_buffer *buffer, size_t *count, int32_t *has_primary);

/**
 * What became of packets in a sink. While a flush is writing, it waits for the end of that.
 *
 * @param buffer the buffer
 * @param index AQ_PRIMARY_SINK, or that of another one
 * @param stats receives the counts; initialised with aq_sink_stats_init()
 * @return AQ_OK; AQ_E_NOT_FOUND when there is no such sink; AQ_E_INVALID when index is negative and not AQ_PRIMARY_SINK; AQ_E_STATE from a function
 *     that a flush of this buffer has called
 *
 * Threads: any, at the same time as all functions of the buffer but aq_event_buffer_free().
 */
aq_status aq_event_buffer_get_sink_stats(const aq_event_buffer *buffer, int64_t index, aq_sink_stats *stats);

/* =============================================================================================================
 * Event files
 *
 * Reads what event buffers have written: framed files (docs/event-files.md), whose records have times and checksums, and raw files of
 * packets of one size. A framed file can be read whatever has become of it: what is not good in it comes as damaged ranges, each with its
 * exact place, and a torn end.
 *
 * ```c
 * aq_event_record record;
 * aq_event_record_init(&record, sizeof record);
 * check(aq_event_file_open("run7-000.aqe", &file));
 * while ((status = aq_event_file_next(file, &record)) == AQ_OK) {
 *     if (record.kind == AQ_RECORD_PACKET)
 *         process(record.data, record.size, record.time_ns);
 *     else if (record.kind == AQ_RECORD_LOSS)
 *         printf("%" PRIu64 " packets were lost here\n", record.lost_packets);
 *     else if (record.kind != AQ_RECORD_END)
 *         printf("%" PRIu64 " bytes at %" PRIu64 " are no good\n", record.length, record.offset);
 * }
 * aq_event_file_is_whole(file, &whole);          // after AQ_STOPPED: the end
 * aq_event_file_free(file);
 * ```
 * ============================================================================================================= */

/** A packet. */
#define AQ_RECORD_PACKET 0
/** Packets were lost here before they could be written. */
#define AQ_RECORD_LOSS 1
/** The file was closed here. */
#define AQ_RECORD_END 2
/** No good record begins in these bytes. */
#define AQ_RECORD_DAMAGED 3
/** The last bytes of the file are the beginning of a record. */
#define AQ_RECORD_TORN 4

/** A file that is being read. */
typedef struct aq_event_file aq_event_file;

/**
 * What a framed file says of itself. Initialise it with aq_event_file_header_init() first. What it points to belongs to the file, and is
 * valid until that is freed.
 */
typedef struct aq_event_file_header {
    /** Set by aq_event_file_header_init(). */
    size_t struct_size;
    /** The version of its format: 1. */
    uint64_t version;
    /** Which of the files of one run it is, from 0. */
    uint64_t number;
    /** When it was begun: ns since the Unix epoch, UTC. */
    uint64_t created_ns;
    /** What a packet's bytes mean, as aq_packet_layout_parse() reads it; "" if the file does not say. */
    const char *layout;
    /** The header that the user gave, as it was given; NULL if there is none. */
    const uint8_t *user_header;
    /** Its bytes. */
    size_t user_header_size;
} aq_event_file_header;

/** Something in a file. Initialise it with aq_event_record_init() first. What a kind of record does not have is 0. */
typedef struct aq_event_record {
    /** Set by aq_event_record_init(). */
    size_t struct_size;
    /** One of AQ_RECORD_*. Later versions may have more. */
    int32_t kind;
    /** Of an end: 1 if as many packets were read, and said to be lost, as it says, else 0. */
    int32_t agrees;
    /** Of a packet: how many packets were read before it. */
    uint64_t number;
    /** Where it begins, in bytes from the beginning of the file. */
    uint64_t offset;
    /** How many bytes of the file it takes. */
    uint64_t length;
    /**
     * When the packet came, the last of the lost packets came, or the file was closed: ns since the Unix epoch, UTC; 0 if not taken,
     * as in raw files.
     */
    uint64_t time_ns;
    /**
     * Of a packet: its bytes. They belong to the file, and are valid until the next call of aq_event_file_next() or the end of the
     * file.
     */
    const uint8_t *data;
    /** How many. */
    size_t size;
    /** Of an end: packets that were written. */
    uint64_t packets;
    /** Of a loss: packets. Of an end: those of all losses in the file. */
    uint64_t lost_packets;
    /** Of a loss: their bytes. */
    uint64_t lost_bytes;
    /** Of a loss: when the first of them came. */
    uint64_t first_time_ns;
} aq_event_record;

/**
 * Writes zeros, and the struct's size.
 *
 * @param header the struct
 * @param struct_size sizeof *header
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_event_file_header_init(aq_event_file_header *header, size_t struct_size);

/**
 * Writes zeros, and the struct's size.
 *
 * @param record the struct
 * @param struct_size sizeof *record
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_event_record_init(aq_event_record *record, size_t struct_size);

/**
 * Opens a framed file and reads its header. What is appended from now on is not read.
 *
 * @param path a regular file
 * @param out receives the file; free it with aq_event_file_free()
 * @return AQ_OK; AQ_E_IO when it cannot be opened or read; AQ_E_FORMAT when it is no framed file, or its header is damaged;
 *     AQ_E_TRUNCATED when it ends within its header; AQ_E_VERSION when a newer version of this library has written it; AQ_E_INVALID when
 *     it is no regular file
 *
 * Threads: any.
 */
aq_status aq_event_file_open(const char *path, aq_event_file **out);

/**
 * Opens a framed file whose header is damaged, for what else is in it. All that is before the first good record is a damaged range.
 *
 * @param path a regular file
 * @param out receives the file; free it with aq_event_file_free()
 * @return AQ_OK; AQ_E_IO when it cannot be opened; AQ_E_INVALID when it is no regular file
 *
 * Threads: any.
 */
aq_status aq_event_file_salvage(const char *path, aq_event_file **out);

/**
 * Opens a raw file: packets of one size back to back. What is appended from now on is not read.
 *
 * @param path a regular file
 * @param packet_size bytes of a packet: from 1 to 2^30 - 1
 * @param out receives the file; free it with aq_event_file_free()
 * @return AQ_OK; AQ_E_IO when it cannot be opened; AQ_E_INVALID when packet_size is out of range, or it is no regular file
 *
 * Threads: any.
 */
aq_status aq_event_file_open_raw(const char *path, size_t packet_size, aq_event_file **out);

/**
 * What a framed file says of itself.
 *
 * @param file the file
 * @param header receives it; initialised with aq_event_file_header_init()
 * @return AQ_OK; AQ_E_STATE when it is a raw file, or was opened with aq_event_file_salvage()
 *
 * Threads: any.
 */
aq_status aq_event_file_get_header(const aq_event_file *file, aq_event_file_header *header);

/**
 * What comes next in a file. Records that a later version of this library may have written are skipped.
 *
 * It takes time in proportion to the size of a record, and up to a microsecond for every byte of a damaged range. Memory is taken for the
 * longest record in the file.
 *
 * @param file the file
 * @param record receives it; initialised with aq_event_record_init()
 * @return AQ_OK; AQ_STOPPED at the end of the file; AQ_E_IO and AQ_E_NOMEM, after which it may be tried again
 *
 * Threads: one at a time, which also uses the data.
 */
aq_status aq_event_file_next(aq_event_file *file, aq_event_record *record);

/**
 * Whether a file is whole. A framed file is when all of it has been read, nothing was damaged, and it ends with an end that
 * agrees with what was read; a raw file when all of it has been read, and its last packet is whole.
 *
 * @param file the file
 * @param out receives 1 or 0
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_event_file_is_whole(const aq_event_file *file, int32_t *out);

/**
 * Closes a file.
 *
 * @param file the file, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no file, or freed already as far as that can be seen
 *
 * Threads: no other call on this file may be running or follow.
 */
aq_status aq_event_file_free(aq_event_file *file);

/* =============================================================================================================
 * Chunk recorders
 *
 * A chunk recorder takes filled chunks from a stream's data ring, writes them to disk, and puts them back on the free ring. It has threads of its
 * own. Data goes from the chunks' memory to the disk without a copy and past the page cache (O_DIRECT), where the file system does that and
 * the memory is aligned, which that of chunks is (mostly a multiple of 512 is enough; aq_allocator_mmap_new() gives whole pages).
 *
 * A chunk is *written* when its data and its record in the index have been handed to the system: no crash of the program can lose it then.
 * docs/chunk-files.md has the format, byte by byte, and what is promised. When the disk is too slow, the free ring runs empty, and the stream
 * does what it does then: it pauses its readers. When a chunk cannot be written it is counted, reported and given back, and the recorder goes on with the
 * next: `given = written + failed + in_flight` at any time.
 *
 * ```c
 * aq_chunk_recorder_config config;
 * check(aq_chunk_recorder_config_init(&config, sizeof config));
 * config.path = "/data/run7-%04n.aqc";
 * config.rotate_bytes = UINT64_C(64) << 30;
 * check(aq_chunk_recorder_new(data_ring, free_ring, &config, &recorder));
 * ...                                                      // the stream receives, until it ends or is stopped
 * check(aq_chunk_recorder_wait(recorder, AQ_WAIT_FOREVER)); // all that it has put on the data ring is written
 * check(aq_chunk_recorder_free(recorder));
 * ```
 * ============================================================================================================= */

/** Past the page cache where the file system does that, else through it, with a warning in the log. */
#define AQ_DIRECT_AUTO 0
/** Past the page cache; where the file system does not do that, it is an error. */
#define AQ_DIRECT_ALWAYS 1
/** Through the page cache. */
#define AQ_DIRECT_NEVER 2

/** Writes chunks to disk. */
typedef struct aq_chunk_recorder aq_chunk_recorder;

/** What became of a chunk. */
typedef struct aq_chunk_report {
    /** Which of the chunks that the recorder was given, from 0. */
    uint64_t sequence;
    /** The chunk's own number. */
    int64_t chunk_id;
    /** The number of the stream that filled it. */
    uint64_t stream_id;
    /** Of a written chunk: the number of the file that it is in. */
    uint64_t file;
    /** Of a written chunk: where its record begins in the data file. */
    uint64_t offset;
    /** Bytes of its data. */
    uint64_t data_size;
    /** AQ_OK: it is written; else why it is not, and the chunk is lost. */
    aq_status status;
    /** With AQ_DURABILITY_FLUSH 1 if it is durable, too; else 0. */
    int32_t durable;
    /** What went wrong; "" if nothing. */
    const char *message;
} aq_chunk_report;

/**
 * Is told what became of a chunk, in the order in which the recorder took them, once for each.
 *
 * @param report what became of it
 * @param report_size sizeof *report in the library that calls, which may be newer and have more fields at its end
 * @param user the recorder's report_user
 *
 * - called from: a thread of the recorder; one call at a time
 * - may block: shortly; up to 64 chunks are written meanwhile, then the recorder waits
 * - may call: any function of this library but aq_chunk_recorder_wait(), _stop() and _free() of this recorder, which answer AQ_E_STATE
 * - valid until: report and its message are valid until it returns
 * - on error: there is no way to report one
 */
typedef void (*aq_chunk_report_fn)(const aq_chunk_report *report, size_t report_size, void *user);

/** Settings of a recorder. Fill it with aq_chunk_recorder_config_init(), then set `path` at least. It is copied when the recorder is made. */
typedef struct aq_chunk_recorder_config {
    /** Set by aq_chunk_recorder_config_init(). */
    size_t struct_size;
    /**
     * The data file; its index has the same name and `.index` behind it. Neither may exist. With rotation, a name for many files, as in aq_sink_config: `%n`
     * is the file's number from 0 (`%6n`: with at least 6 digits), `%Y %m %d %H %M %S` the time (UTC) at which it is begun, and `%%` a percent sign.
     */
    const char *path;
    /** A header of the user's, for each file: at most 1 MiB. NULL (default) for none. */
    const void *header;
    /** Bytes at header. */
    size_t header_size;
    /** A data file that has grown to so many bytes, whole chunks only, is followed by the next; 0 (default): never. */
    uint64_t rotate_bytes;
    /** For AQ_DURABILITY_INTERVAL, in nanoseconds. 1 s by default. */
    uint64_t sync_interval_ns;
    /** The stream that fills the chunks, if its ledger is to be noted with each; NULL (default) if not. It is not kept alive. */
    const aq_recv_stream *stream;
    /** Told of each chunk; NULL (default) for nobody. */
    aq_chunk_report_fn report;
    /** Passed to report; belongs to the recorder from the call of aq_chunk_recorder_new() on, also on an error. */
    void *report_user;
    /** Releases report_user, after the last call of report; or NULL. */
    aq_user_free_fn report_user_free;
    /** AQ_DURABILITY_*; AQ_DURABILITY_SYSTEM by default. With AQ_DURABILITY_FLUSH a chunk is durable before it is reported. */
    int32_t durability;
    /** AQ_DIRECT_*; AQ_DIRECT_AUTO by default. */
    int32_t direct;
    /** Chunks that are written at the same time, by as many threads: 1 .. 64; 3 by default. */
    uint32_t in_flight;
    /** Must be 0. */
    uint32_t reserved;
} aq_chunk_recorder_config;

/** The ledger of a recorder: given = written + failed_full + failed_io + failed_file + in_flight. Initialise it with aq_chunk_recorder_stats_init() first. */
typedef struct aq_chunk_recorder_stats {
    /** Set by aq_chunk_recorder_stats_init(). */
    size_t struct_size;
    /** Chunks taken from the data ring. */
    uint64_t given;
    /** Chunks that are in the files. */
    uint64_t written;
    /** Of these, those that were made durable: a loss of power cannot lose them any more. */
    uint64_t durable;
    /** Chunks lost because the disk, or a limit on it, was full. */
    uint64_t failed_full;
    /** Chunks lost by other errors while writing. */
    uint64_t failed_io;
    /** Chunks lost because the next file could not be created. */
    uint64_t failed_file;
    /** Chunks on their way. */
    uint64_t in_flight;
    /** Bytes of data of written chunks. */
    uint64_t data_bytes;
    /** Bytes of their records in both files. */
    uint64_t file_bytes;
    /** Pairs of files that chunks were written to. */
    uint64_t files;
    /** Chunks whose data had to be copied, because their memory is not aligned as direct writes need it. */
    uint64_t copied;
    /** Chunks that did not go back to the free ring: there is none, it was stopped, or it was full when the recorder was to end. They were freed. */
    uint64_t freed;
    /** Chunks that had to wait for space in the free ring. */
    uint64_t free_ring_full;
    /** Times that fdatasync, or the end of a file, failed. */
    uint64_t sync_errors;
    /** 1 if data goes past the page cache now, else 0. */
    uint64_t direct;
} aq_chunk_recorder_stats;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_chunk_recorder_config_init(aq_chunk_recorder_config *config, size_t struct_size);

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_chunk_recorder_stats_init(aq_chunk_recorder_stats *stats, size_t struct_size);

/**
 * Makes a recorder, with its first files, and starts it. It takes every chunk that comes on the data ring.
 *
 * @param data_ring where filled chunks come from. When it is stopped and empty, the recorder closes its files and ends
 * @param free_ring where chunks go that are written (or lost), with their flags cleared; make it large enough for all chunks that there are. NULL: they are
 *     freed
 * @param config the settings; report_user is released also when this fails
 * @param out receives the recorder; free it with aq_chunk_recorder_free()
 * @return AQ_OK; AQ_E_INVALID when a setting is out of range, path is that of a folder, or both rings are the same; AQ_E_IO when a file exists already, or
 *     cannot be created; AQ_E_VERSION
 *
 * Threads: any.
 */
aq_status aq_chunk_recorder_new(aq_chunk_ring *data_ring, aq_chunk_ring *free_ring,
    const aq_chunk_recorder_config *config, aq_chunk_recorder **out);

/**
 * What became of the chunks up to now.
 *
 * @param recorder the recorder
 * @param stats receives the counts; initialised with aq_chunk_recorder_stats_init()
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the recorder but aq_chunk_recorder_free().
 */
aq_status aq_chunk_recorder_get_stats(const aq_chunk_recorder *recorder, aq_chunk_recorder_stats *stats);

/**
 * How the recorder is doing.
 *
 * @param recorder the recorder
 * @param running receives 1 until it has ended, then 0; may be NULL
 * @return AQ_OK; what the latest chunk, sync or end of a file failed with, if no chunk was written since then: aq_last_error() then has the sentence, and
 *     running is written nevertheless
 *
 * Threads: as for aq_chunk_recorder_get_stats().
 */
aq_status aq_chunk_recorder_status(const aq_chunk_recorder *recorder, int32_t *running);

/**
 * Waits until the recorder has ended, which it does when the data ring is stopped and all that was in it is in the files.
 *
 * @param recorder the recorder
 * @param timeout_ns how long to wait
 * @return AQ_OK: it has ended, and its files are closed (what failed: see the statistics); AQ_FULL (with a timeout of 0) and AQ_TIMEOUT: not yet;
 *     AQ_E_STATE from its report function
 *
 * Threads: as for aq_chunk_recorder_get_stats().
 */
aq_status aq_chunk_recorder_wait(aq_chunk_recorder *recorder, int64_t timeout_ns);

/**
 * Has the recorder write what is in the data ring now, close its files, and end; and waits for that. The rings are not stopped: what comes later
 * stays in the data ring.
 *
 * @param recorder the recorder
 * @param timeout_ns how long to wait; it goes on ending after that
 * @return as aq_chunk_recorder_wait()
 *
 * Threads: as for aq_chunk_recorder_get_stats().
 */
aq_status aq_chunk_recorder_stop(aq_chunk_recorder *recorder, int64_t timeout_ns);

/**
 * Ends the recorder, if it has not ended, and frees it. Chunks that it has taken are written and given back; what is in the data ring stays there.
 *
 * @param recorder the recorder, or NULL, which does nothing
 * @return AQ_OK; AQ_E_STATE from its report function
 *
 * Threads: no other call on this recorder may be running or follow.
 */
aq_status aq_chunk_recorder_free(aq_chunk_recorder *recorder);

/* =============================================================================================================
 * Chunk recordings
 *
 * Reads what chunk recorders have written (docs/chunk-files.md), whatever ended them. Chunks are numbered from 0 in the order in which the
 * recorder took them, over all files of the recording. Where the index of a file has no end, is torn or missing, the data file is searched
 * for whole chunks that it does not know of.
 *
 * ```c
 * aq_recorded_chunk chunk;
 * aq_recorded_chunk_init(&chunk, sizeof chunk);
 * check(aq_chunk_recording_open("/data/run7-0000.aqc", &recording));
 * check(aq_chunk_recording_count(recording, &count));
 * for (uint64_t number = 0; number < count; number++) {
 *     check(aq_chunk_recording_chunk(recording, number, &chunk));
 *     check(aq_chunk_recording_read(recording, number, data, chunk.data_size, present, chunk.present_size, NULL, 0));
 *     process(chunk.chunk_id, data, present);
 * }
 * aq_chunk_recording_free(recording);
 * ```
 * ============================================================================================================= */

/** A recording that is read. */
typedef struct aq_chunk_recording aq_chunk_recording;

/** What a recording comes to. Initialise it with aq_chunk_recording_info_init() first. What it points to is valid until the recording is freed. */
typedef struct aq_chunk_recording_info {
    /** Set by aq_chunk_recording_info_init(). */
    size_t struct_size;
    /** Chunks. */
    uint64_t chunks;
    /** Of these, those that are in no index, but were found in a data file. */
    uint64_t recovered;
    /** Chunks that the recorder could not write, as far as is known. */
    uint64_t failed;
    /** Pairs of files. */
    uint64_t files;
    /** 1 if the recorder has closed all of them, none is missing, and no index is damaged; else 0. (The chunks' data: see aq_chunk_recording_verify().) */
    uint64_t whole;
    /** When the first file was begun: ns since the Unix epoch, UTC. */
    uint64_t created_ns;
    /** The user's header in it; NULL if there is none. */
    const uint8_t *header;
    /** Its bytes. */
    size_t header_size;
} aq_chunk_recording_info;

/** A pair of files of a recording. Initialise it with aq_chunk_recording_file_init() first. Its texts are valid until the recording is freed. */
typedef struct aq_chunk_recording_file {
    /** Set by aq_chunk_recording_file_init(). */
    size_t struct_size;
    /** The data file. */
    const char *path;
    /** What is wrong with its index; "" if nothing, or if the recorder only did not close it. */
    const char *index_problem;
    /** Which of the files that the recorder began, from 0. */
    uint64_t number;
    /** When it was begun: ns since the Unix epoch, UTC. */
    uint64_t created_ns;
    /** Bytes of the data file. */
    uint64_t size;
    /** Where the last whole chunk in it ends; what follows is what a killed recorder has left behind. */
    uint64_t data_end;
    /** Chunks in it. */
    uint64_t chunks;
    /** Of these, those that its index does not have. */
    uint64_t recovered;
    /** 1 if the recorder has closed it, else 0. */
    uint64_t closed;
    /** Where in its index no good record follows any more, */
    uint64_t torn_offset;
    /** and how many bytes there are from there on; 0: it is not torn. */
    uint64_t torn_bytes;
} aq_chunk_recording_file;

/** A chunk of a recording. Initialise it with aq_recorded_chunk_init() first. */
typedef struct aq_recorded_chunk {
    /** Set by aq_recorded_chunk_init(). */
    size_t struct_size;
    /** Which of the chunks that the recorder was given, from 0. One that is missing could not be written. */
    uint64_t sequence;
    /** The chunk's own number. */
    int64_t chunk_id;
    /** The number of the stream that filled it. */
    uint64_t stream_id;
    /** When the recorder took it: ns since the Unix epoch, UTC. */
    uint64_t time_ns;
    /** Bytes of data, */
    size_t data_size;
    /** of presence flags, */
    size_t present_size;
    /** and of extra data. */
    size_t extra_size;
    /** Heaps that were complete in it. */
    uint64_t complete_heaps;
    /** Which of the recording's files it is in: an index for aq_chunk_recording_get_file(). */
    uint64_t file;
    /** Where its record begins in the data file. */
    uint64_t offset;
    /** Where its data begins there. */
    uint64_t data_offset;
    /** 1 if it is in no index, but was found in the data file; else 0. */
    uint64_t recovered;
    /**
     * 1 if the ledger of the stream was noted, which is then in what follows, as the stream had published it when the recorder began to write the chunk; else 0.
     * The stream publishes once for each batch of packets: those of the latest may be missing. Chunks are written by several threads: that of a chunk may be later than
     * that of the next.
     */
    uint64_t has_ledger;
    /** Packets received. */
    uint64_t packets;
    /** Of these, those of complete heaps. */
    uint64_t packets_delivered;
    /** Of these, those that neither were in a complete heap nor could still come into one. */
    uint64_t packets_lost;
    /** Packets that the kernel dropped. */
    uint64_t kernel_drops;
    /** Heaps that ended. */
    uint64_t heaps;
    /** Of these, the stream's complete ones. */
    uint64_t stream_complete_heaps;
} aq_recorded_chunk;

/**
 * Writes zeros, and the struct's size.
 *
 * @param info the struct
 * @param struct_size sizeof *info
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_chunk_recording_info_init(aq_chunk_recording_info *info, size_t struct_size);

/**
 * Writes zeros, and the struct's size.
 *
 * @param file the struct
 * @param struct_size sizeof *file
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_chunk_recording_file_init(aq_chunk_recording_file *file, size_t struct_size);

/**
 * Writes zeros, and the struct's size.
 *
 * @param chunk the struct
 * @param struct_size sizeof *chunk
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_recorded_chunk_init(aq_recorded_chunk *chunk, size_t struct_size);

/**
 * Opens the recording that a file is of, with all its files: those in the same folder with the same extension. What is appended from now on is not
 * seen. Where an index has no end, this takes as long as reading the data that it does not know of.
 *
 * @param path any data file of the recording, or its index
 * @param out receives the recording; free it with aq_chunk_recording_free()
 * @return AQ_OK; AQ_E_IO when it cannot be opened or read; AQ_E_FORMAT when it is no chunk file, or its header is damaged and that of its index as well;
 *     AQ_E_TRUNCATED when it ends within its header; AQ_E_VERSION when a newer version of this library has written it; AQ_E_INVALID when it is no regular
 *     file
 *
 * Threads: any.
 */
aq_status aq_chunk_recording_open(const char *path, aq_chunk_recording **out);

/**
 * How many chunks there are.
 *
 * @param recording the recording
 * @param count receives the number
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_chunk_recording_count(const aq_chunk_recording *recording, uint64_t *count);

/**
 * What the recording comes to.
 *
 * @param recording the recording
 * @param info receives it; initialised with aq_chunk_recording_info_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_chunk_recording_get_info(const aq_chunk_recording *recording, aq_chunk_recording_info *info);

/**
 * What is known of one of its files.
 *
 * @param recording the recording
 * @param index which, from 0 to less than aq_chunk_recording_info.files
 * @param file receives it; initialised with aq_chunk_recording_file_init()
 * @return AQ_OK; AQ_E_NOT_FOUND when there are not so many files
 *
 * Threads: any.
 */
aq_status aq_chunk_recording_get_file(const aq_chunk_recording *recording, uint64_t index,
    aq_chunk_recording_file *file);

/**
 * What is noted of a chunk.
 *
 * @param recording the recording
 * @param number which, from 0 to less than aq_chunk_recording_count()
 * @param chunk receives it; initialised with aq_recorded_chunk_init()
 * @return AQ_OK; AQ_E_NOT_FOUND when there are not so many chunks
 *
 * Threads: any.
 */
aq_status aq_chunk_recording_chunk(const aq_chunk_recording *recording, uint64_t number,
    aq_recorded_chunk *chunk);

/**
 * The number of the first chunk with some id.
 *
 * @param recording the recording
 * @param chunk_id the chunk's own number
 * @param from where to begin: only chunks from this number on are looked at
 * @param number receives the number
 * @return AQ_OK; AQ_E_NOT_FOUND when there is none
 *
 * Threads: any.
 */
aq_status aq_chunk_recording_find(const aq_chunk_recording *recording, int64_t chunk_id, uint64_t from,
    uint64_t *number);

/**
 * Reads a chunk, and compares what was read with its checksums. What is not wanted may have a size of 0.
 *
 * @param recording the recording
 * @param number which, from 0 to less than aq_chunk_recording_count()
 * @param data where the data goes; data_size is 0 or exactly its size
 * @param data_size bytes at data
 * @param present where the presence flags go; present_size is 0 or exactly their size
 * @param present_size bytes at present
 * @param extra where the extra data goes; extra_size is 0 or exactly its size
 * @param extra_size bytes at extra
 * @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_INVALID when a size is neither 0 nor that of the chunk; AQ_E_FORMAT when a checksum is wrong, AQ_E_TRUNCATED when
 *     the data file ends before the chunk does, AQ_E_IO: what is in the memory then is undefined
 *
 * Threads: any.
 */
aq_status aq_chunk_recording_read(const aq_chunk_recording *recording, uint64_t number, void *data,
    size_t data_size, uint8_t *present, size_t present_size, void *extra, size_t extra_size);

/**
 * Checks a chunk: that all of it is in the data file, fits its checksums, and is what the index says.
 *
 * @param recording the recording
 * @param number which, from 0 to less than aq_chunk_recording_count()
 * @return AQ_OK; AQ_E_NOT_FOUND; AQ_E_FORMAT when it is damaged; AQ_E_TRUNCATED when the data file ends before it does; AQ_E_IO. The message names
 *     the file and the place
 *
 * Threads: any.
 */
aq_status aq_chunk_recording_verify(const aq_chunk_recording *recording, uint64_t number);

/**
 * Closes a recording.
 *
 * @param recording the recording, or NULL, which does nothing
 * @return AQ_OK
 *
 * Threads: no other call on this recording may be running or follow.
 */
aq_status aq_chunk_recording_free(aq_chunk_recording *recording);

/* =============================================================================================================
 * Signal streams
 *
 * A signal stream is an array over time: frames that are alike, each with its index, at a sample rate. An output sends them in chunks to any
 * number of inputs, in the same process, in others, or on other hosts. What both sides must know of a stream are its params, a JSON text:
 * the output gives it out, an input is made with it. They are those of pyacq, whose programs may be at either end (docs/signal-streams.md).
 *
 * The first axis of frames is time; the index of a chunk or a window is that of the frame behind its last. Indices only grow, and
 * tell what is missing.
 *
 * ```c
 * aq_output_stream_config config;
 * aq_output_stream_config_init(&config, sizeof config);
 * const int64_t shape[] = {-1, 16};              // any number of frames of 16 channels
 * config.protocol = AQ_PROTOCOL_SHM;
 * config.dtype = "<i2"; config.shape = shape; config.ndim = 2;
 * config.sample_rate = 30000;
 * check(aq_output_stream_new(&config, &output));
 * aq_output_stream_params_json(output, json, sizeof json, NULL);
 *
 * check(aq_input_stream_connect(json, NULL, &input));          // in another process
 * aq_array_view view;
 * aq_array_view_init(&view, sizeof view);
 * while ((status = aq_input_stream_recv(input, AQ_WAIT_FOREVER, &view)) == AQ_OK) {
 *     if (view.gap_start < view.gap_end)
 *         printf("frames %" PRId64 " to %" PRId64 " are missing\n", view.gap_start, view.gap_end);
 *     process(view.data, view.frames);
 *     aq_array_view_release(&view);
 * }
 * ```
 * ============================================================================================================= */

/** ZeroMQ over TCP: between hosts, and with pyacq. */
#define AQ_PROTOCOL_TCP 0
/** ZeroMQ over a socket in the file system: between processes of a host, and with pyacq. */
#define AQ_PROTOCOL_IPC 1
/** Within the process: inputs get references to the same memory. */
#define AQ_PROTOCOL_INPROC 2
/** Shared memory, between processes of a host and a user. */
#define AQ_PROTOCOL_SHM 3
/** Chunks travel as they are. */
#define AQ_TRANSFER_PLAINDATA 0
/** Of tcp and ipc: word of chunks travels; they lie in a file that both sides map, as pyacq has it. */
#define AQ_TRANSFER_SHAREDMEM 1
/** Not compressed. */
#define AQ_COMPRESSION_NONE 0
/** Of tcp and ipc: blosc with its own codec. */
#define AQ_COMPRESSION_BLOSC_BLOSCLZ 1
/** Of tcp and ipc: blosc with LZ4. */
#define AQ_COMPRESSION_BLOSC_LZ4 2
/** Of tcp and ipc: blosc with Zstandard: smaller, and slower to make; between programs with this library, as pyacq does not know it. */
#define AQ_COMPRESSION_BLOSC_ZSTD 3
/** The label "analogsignal". */
#define AQ_STREAM_ANALOGSIGNAL 0
/** The label "digitalsignal". */
#define AQ_STREAM_DIGITALSIGNAL 1
/** The label "event". */
#define AQ_STREAM_EVENT 2
/** The label "image". */
#define AQ_STREAM_IMAGE 3
/** The label "video". */
#define AQ_STREAM_VIDEO 4
/** Any other label. */
#define AQ_STREAM_OTHER 5

/**
 * What is known of a stream. Initialise it with aq_stream_info_init() first. What it points to belongs to the stream's end that was asked,
 * and is valid until that is freed.
 */
typedef struct aq_stream_info {
    /** Set by aq_stream_info_init(). */
    size_t struct_size;
    /** One of AQ_PROTOCOL_*. */
    int32_t protocol;
    /** One of AQ_TRANSFER_*. */
    int32_t transfermode;
    /** One of AQ_COMPRESSION_*. */
    int32_t compression;
    /** One of AQ_STREAM_*. */
    int32_t streamtype;
    /** The label itself. */
    const char *streamtype_label;
    /** Where the output is, for people: "tcp://127.0.0.1:5000". */
    const char *address;
    /** The type of elements: as numpy writes it ("<f4"), or a JSON list of fields. */
    const char *dtype;
    /** Bytes of an element. */
    size_t item_size;
    /** Bytes of a frame. */
    size_t frame_size;
    /** Axes, time included. */
    size_t ndim;
    /** Elements along each axis; -1 along the first: any number of frames. */
    const int64_t *shape;
    /** Frames per second. */
    double sample_rate;
    /** The unit of values; "" if there is none. */
    const char *units;
    /** What to multiply values by to have them in `units`; NaN: not known. */
    double scale;
    /** What to add then; NaN: not known. */
    double offset;
    /** The value of frames that nobody sent; NaN: NaN, or 0 for what has none. */
    double fill;
    /** Of AQ_TRANSFER_SHAREDMEM: frames in the file. */
    uint64_t buffer_size;
} aq_stream_info;

/**
 * Writes zeros, and the struct's size.
 *
 * @param info the struct
 * @param struct_size sizeof *info
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_stream_info_init(aq_stream_info *info, size_t struct_size);

/* =============================================================================================================
 * Views of arrays
 *
 * A view is a look at frames where they are: at a chunk that was received, into a history, or at what was read of a dataset. It is held until it is released, whatever
 * becomes of the stream, history or reader meanwhile. A chunk's frames, and those of a dataset, do not change. Frames of a history are overwritten at some time, also while a
 * view is held; aq_array_view_check() and aq_array_view_release() tell: first look, or copy, then ask.
 * ============================================================================================================= */

/** Frames where they are. Initialise it with aq_array_view_init() before its first use; after aq_array_view_release() it can be used again. */
typedef struct aq_array_view {
    /** Set by aq_array_view_init(). */
    size_t struct_size;
    /** Element (0, 0, ...). Elements are of the stream's dtype; read-only. */
    const void *data;
    /** Bytes of all elements. */
    size_t size;
    /** Axes, at least 1, the first being time; of what was read of a dataset 0 when every axis was selected by an index. */
    size_t ndim;
    /** Elements along each axis. */
    const size_t *shape;
    /** Bytes from one element to the next along each axis; may be negative. */
    const ptrdiff_t *strides;
    /** 1 if all elements are in C order without gaps from `data` on, so that `size` bytes can be read at once. */
    int32_t contiguous;
    /** 0. */
    uint32_t reserved;
    /** The number of frames, the first number of shape. */
    size_t frames;
    /** The index behind the last frame in time. */
    int64_t index;
    /** Of a chunk that was received: the frames from `gap_start` to before `gap_end`, right before it, did not come. Mostly both are 0. */
    int64_t gap_start;
    /** See `gap_start`. */
    int64_t gap_end;
    /** What is held; NULL once released. Not to be touched. */
    void *held;
} aq_array_view;

/**
 * Writes zeros, and the struct's size: a view that holds nothing.
 *
 * @param view the struct
 * @param struct_size sizeof *view
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_array_view_init(aq_array_view *view, size_t struct_size);

/**
 * Whether what was read through a view until now were its frames. Of a chunk, and of nothing, always.
 *
 * @param view the view
 * @return AQ_OK; AQ_E_NOT_FOUND when frames were overwritten meanwhile: what was read since the last AQ_OK is not to be used
 *
 * Threads: any.
 */
aq_status aq_array_view_check(const aq_array_view *view);

/**
 * Checks a view as aq_array_view_check() does, and gives its frames back: its pointers are not valid any more, and it holds nothing,
 * whatever the status. A view that holds nothing stays as it is.
 *
 * @param view the view
 * @return AQ_OK; AQ_E_NOT_FOUND when frames were overwritten meanwhile: what was read since the last AQ_OK is not to be used
 *
 * Threads: one at a time for a view; any thread, at the same time as any function of the stream or history.
 */
aq_status aq_array_view_release(aq_array_view *view);

/* =============================================================================================================
 * Configuration of outputs
 *
 * What a stream carries, and how it travels. Which transport to choose: docs/signal-streams.md.
 * ============================================================================================================= */

/** What suits the transport: AQ_OVERFLOW_DROP_OLDEST with AQ_TRANSFER_SHAREDMEM, else AQ_OVERFLOW_BLOCK. */
#define AQ_OVERFLOW_DEFAULT (-1)

/**
 * What a stream carries, and how. Initialise it with aq_output_stream_config_init(), then set what differs from the defaults. Texts and
 * lists are copied.
 */
typedef struct aq_output_stream_config {
    /** Set by aq_output_stream_config_init(). */
    size_t struct_size;
    /** How chunks travel: one of AQ_PROTOCOL_*. Default AQ_PROTOCOL_TCP. */
    int32_t protocol;
    /** One of AQ_TRANSFER_*. Default AQ_TRANSFER_PLAINDATA. */
    int32_t transfermode;
    /**
     * Of tcp: the address to listen at, or "*"; NULL: "127.0.0.1". Of ipc: an absolute path of the socket, or else one is chosen. Ignored by
     * others.
     */
    const char *interface;
    /** Of tcp: the port to listen at, 1 to 65535; 0, the default: one that the system chooses. */
    int32_t port;
    /** A label: one of AQ_STREAM_*. Default AQ_STREAM_ANALOGSIGNAL. */
    int32_t streamtype;
    /** The label itself, where streamtype is AQ_STREAM_OTHER; NULL else. */
    const char *streamtype_label;
    /**
     * The type of elements as numpy writes it (`<i2`, `float32`, `datetime64[ms]`), or a list of fields in JSON:
     * `[["time", "<u8"], ["label", "S16"], ["xy", "<f4", [2]]]`. NULL: "float32".
     */
    const char *dtype;
    /**
     * The shape of chunks: `ndim` numbers, the first of which is frames: -1 for any number, or how many each chunk must have. The others at
     * least 1. NULL: {-1, 1}.
     */
    const int64_t *shape;
    /** Axes: 1 to 64; 0 where shape is NULL. */
    size_t ndim;
    /** The order in which axes lie in shared rings and histories, from the one that varies last: each of 0 to ndim - 1 once. NULL: C order. */
    const size_t *axisorder;
    /** Of AQ_TRANSFER_SHAREDMEM: frames in the file; at least 1. Default 0. */
    uint64_t buffer_size;
    /** One of AQ_COMPRESSION_*. Default AQ_COMPRESSION_NONE. */
    int32_t compression;
    /** Of AQ_TRANSFER_SHAREDMEM: 1: the file has every frame twice, so that readers which map it have any window in one piece. Default 0. */
    int32_t doubled;
    /** What to multiply values by to have them in `units`, for those who receive them; NaN, the default: not said. */
    double scale;
    /** What to add then; NaN, the default: not said. */
    double offset;
    /** The unit of values; NULL: none. */
    const char *units;
    /** Frames per second: positive. Default 1. */
    double sample_rate;
    /** The value of frames that were skipped, in rings and histories; NaN, the default: NaN, or 0 for what has none. */
    double fill;
    /** Frames of a chunk at the least: frames are collected until there are as many. Default 0: each call sends a chunk. */
    size_t min_chunk_frames;
    /** What happens when an input is too slow: one of AQ_OVERFLOW_*. Default AQ_OVERFLOW_DEFAULT. */
    int32_t overflow;
    /** Of inproc (at most 65536), tcp and ipc: chunks that wait for each input at the most; at least 1. Default 1000. */
    uint32_t queue_chunks;
    /** Of shm: chunks in the ring, 1 to 2^20. Default 1024. */
    size_t ring_chunks;
    /** Of shm: bytes in the ring, 1 to 2^40; a chunk may have nearly half of it. Faster if it fits into the processor's cache. Default 8 MiB. */
    size_t ring_bytes;
    /** Of shm: inputs at the most, 1 to 1024. Default 64. */
    size_t max_inputs;
    /** Of tcp and ipc: how long aq_output_stream_free() waits for what still has to be sent, in ns; at most 1 hour. Default 1 s. */
    int64_t linger_ns;
    /** Of ipc and AQ_TRANSFER_SHAREDMEM: the folder for the socket and the file; NULL: that for temporary files (TMPDIR, else /tmp). */
    const char *folder;
    /** What else is to be in the params, for those receivers that know it: a JSON object; NULL: nothing. */
    const char *extra_json;
} aq_output_stream_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_output_stream_config_init(aq_output_stream_config *config, size_t struct_size);

/* =============================================================================================================
 * Output streams
 *
 * An output sends frames to all inputs that are connected at the time. When an input is too slow, the output waits for it, or drops frames,
 * as its overflow policy says; every frame is counted, and an input sees exactly which ones it missed.
 * ============================================================================================================= */

/** An output. */
typedef struct aq_output_stream aq_output_stream;

/**
 * What became of an output's frames: frames = published_frames + waiting_frames + failed_frames, at any moment. Initialise it with
 * aq_output_stream_stats_init() first.
 */
typedef struct aq_output_stream_stats {
    /** Set by aq_output_stream_stats_init(). */
    size_t struct_size;
    /** Chunks that were published. */
    uint64_t chunks;
    /** Frames that were taken by calls that answered AQ_OK. */
    uint64_t frames;
    /** Bytes of these. */
    uint64_t bytes;
    /** Frames that were published, whether or not there was an input. */
    uint64_t published_frames;
    /** Frames that are collected for a chunk, or wait for a slow input. */
    uint64_t waiting_frames;
    /** Frames that could not be published together with those of a call that failed. */
    uint64_t failed_frames;
    /**
     * Frames that were dropped for inputs that were too slow, summed over these. Of tcp and ipc always 0, as ZeroMQ does not tell: the inputs
     * see the gaps. Of shm with AQ_OVERFLOW_DROP_OLDEST, see aq_output_stream_get_inputs().
     */
    uint64_t dropped_frames;
    /** Frames that were skipped by an index that was ahead. */
    uint64_t skipped_frames;
    /** The index behind the last frame that was taken. */
    int64_t index;
    /** Frames that came out of the filters; without filters those that were taken. Each is published, waits, or has failed. */
    uint64_t filtered_frames;
    /** Times that a filter failed: the frames of that call were not taken. */
    uint64_t filter_errors;
} aq_output_stream_stats;

/** An input, as its output sees it. Initialise it with aq_output_stream_input_init() first. */
typedef struct aq_output_stream_input {
    /** Set by aq_output_stream_input_init(). */
    size_t struct_size;
    /** Unique within the output. */
    uint64_t id;
    /** Chunks that wait for it. */
    uint64_t lag_chunks;
    /** Frames that wait for it; while a call waits, those that it sends may be among them. */
    uint64_t lag_frames;
    /** Frames that were dropped for it. */
    uint64_t dropped_frames;
} aq_output_stream_input;

/**
 * Opens the output of a stream. Inputs may connect from then on, with its params.
 *
 * @param config what it carries, and how; copied
 * @param out receives the output; free it with aq_output_stream_free()
 * @return AQ_OK; AQ_E_INVALID when a field of config is out of range; AQ_E_FORMAT when dtype, shape or extra_json are none;
 *     AQ_E_UNSUPPORTED when the transport cannot have the overflow policy, or needs a feature that this build lacks; AQ_E_IO when the
 *     system refuses: a port or a path that is taken, a folder that is not there; AQ_E_NOMEM
 *
 * Threads: any.
 */
aq_status aq_output_stream_new(const aq_output_stream_config *config, aq_output_stream **out);

/**
 * The params of a stream, with which inputs connect: a JSON text in one line.
 *
 * @param output the output
 * @param buffer receives the text and its NUL; may be NULL when size is 0
 * @param size its bytes
 * @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
 *
 * Threads: any.
 */
aq_status aq_output_stream_params_json(const aq_output_stream *output, char *buffer, size_t size,
    size_t *needed);

/**
 * Where an output is, for people: "tcp://127.0.0.1:5000", "shm://NAME".
 *
 * @param output the output
 * @param buffer receives the text and its NUL; may be NULL when size is 0
 * @param size its bytes
 * @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
 *
 * Threads: any.
 */
aq_status aq_output_stream_address(const aq_output_stream *output, char *buffer, size_t size, size_t *needed);

/**
 * What is known of a stream.
 *
 * @param output the output
 * @param info receives it; initialised with aq_stream_info_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_output_stream_get_info(const aq_output_stream *output, aq_stream_info *info);

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_output_stream_stats_init(aq_output_stream_stats *stats, size_t struct_size);

/**
 * Writes zeros, and the struct's size.
 *
 * @param input the struct
 * @param struct_size sizeof *input
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_output_stream_input_init(aq_output_stream_input *input, size_t struct_size);

/**
 * What became of an output's frames up to now.
 *
 * @param output the output
 * @param stats receives the counts; initialised with aq_output_stream_stats_init()
 * @return AQ_OK
 *
 * Threads: any; it does not wait for a thread that sends.
 */
aq_status aq_output_stream_get_stats(const aq_output_stream *output, aq_output_stream_stats *stats);

/**
 * The index behind the last frame that was taken.
 *
 * @param output the output
 * @param index receives it
 * @return AQ_OK
 *
 * Threads: any; it does not wait for a thread that sends.
 */
aq_status aq_output_stream_index(const aq_output_stream *output, int64_t *index);

/**
 * The inputs of an output, and how far each is behind.
 *
 * ```c
 * aq_output_stream_input inputs[16];
 * size_t count;
 * for (int i = 0; i < 16; i++) aq_output_stream_input_init(&inputs[i], sizeof inputs[i]);
 * aq_output_stream_get_inputs(output, inputs, 16, &count);
 * for (size_t i = 0; i < count && i < 16; i++)
 *     printf("input %" PRIu64 " is %" PRIu64 " frames behind\n", inputs[i].id, inputs[i].lag_frames);
 * ```
 *
 * @param output the output
 * @param inputs receives the first of them; each initialised with aq_output_stream_input_init(); may be NULL when capacity is 0
 * @param capacity how many there is room for
 * @param count receives how many inputs there are, which may be more
 * @return AQ_OK; AQ_E_UNSUPPORTED for tcp and ipc, which only know how many there are: aq_output_stream_input_count()
 *
 * Threads: any; it does not wait for a thread that sends.
 */
aq_status aq_output_stream_get_inputs(const aq_output_stream *output, aq_output_stream_input *inputs,
    size_t capacity, size_t *count);

/**
 * How many inputs there are. Of tcp and ipc: as far as their subscriptions have arrived.
 *
 * @param output the output
 * @param count receives the number
 * @return AQ_OK; AQ_E_IO
 *
 * Threads: any; it waits for a thread that sends.
 */
aq_status aq_output_stream_input_count(aq_output_stream *output, uint64_t *count);

/**
 * Waits until there are so many inputs, or more, so that none of them misses the first frames. It looks every millisecond.
 *
 * @param output the output
 * @param count how many
 * @param timeout_ns how long to wait; see Waiting
 * @return AQ_OK; AQ_EMPTY or AQ_TIMEOUT when there were less; AQ_E_IO
 *
 * Threads: any; other threads may send meanwhile.
 */
aq_status aq_output_stream_wait_inputs(aq_output_stream *output, uint64_t count, int64_t timeout_ns);

/**
 * Closes an output. What was collected for a chunk is published without waiting; what a slow input has no space for is lost, and a
 * warning is logged: aq_output_stream_flush() waits for it. Inputs receive what was published, and inproc and shm inputs then end.
 *
 * An output that others use (nodes, a registry) is closed when they are freed, too.
 *
 * @param output the output, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no output, or freed already as far as that can be seen; AQ_E_STATE when one of its filters calls it
 *
 * Threads: no other call on this output may be running or follow.
 */
aq_status aq_output_stream_free(aq_output_stream *output);

/* =============================================================================================================
 * Sending
 *
 * The last frame of a call gets the index `index - 1`: pass AQ_INDEX_NEXT to have frames follow those before, or a larger index to skip some,
 * which inputs then see as a gap. With AQ_OK the frames are taken: they are published, or collected for a chunk, or (after a wait that was
 * too short, with AQ_OVERFLOW_BLOCK) they wait in the output, which has space for the frames of one call. AQ_FULL and AQ_TIMEOUT say
 * that those before still wait, and that these were not taken: send them again.
 *
 * With filters (aq_output_stream_add_filter()) frames are sent as the output was made for; the index is that of these frames, too.
 * ============================================================================================================= */

/** The index that follows: frames come right behind those before. */
#define AQ_INDEX_NEXT (-1)

/**
 * Sends frames, which are copied.
 *
 * @param output the output
 * @param data the frames: elements of the stream's dtype, in C order; they need not be aligned; may be NULL when there are none
 * @param frames how many
 * @param index the index behind the last of them, or AQ_INDEX_NEXT
 * @param timeout_ns how long to wait for slow inputs, with AQ_OVERFLOW_BLOCK; see Waiting
 * @return AQ_OK; AQ_FULL or AQ_TIMEOUT when frames of before still wait, and these were not taken; AQ_E_INVALID when the index would go
 *     back, there are not as many frames as the shape says, or more than the transport can carry at once; AQ_E_NOMEM; AQ_E_IO; what a filter
 *     answered that failed; AQ_E_STATE when a filter of this output calls it. After an error the frames were not taken, unless they
 *     completed a chunk: then this chunk is lost, and counted in failed_frames
 *
 * Threads: one at a time; others wait. Statistics may be read meanwhile.
 */
aq_status aq_output_stream_send(aq_output_stream *output, const void *data, size_t frames, int64_t index,
    int64_t timeout_ns);

/**
 * Sends frames that lie anyhow: rows of a larger array, channels apart from each other, time backwards. They are copied, to where nothing lies
 * between them, with the axes in the order that they have.
 *
 * @param output the output
 * @param data element (0, 0, ...)
 * @param ndim axes: as many as the stream has
 * @param shape elements along each axis, the first being frames
 * @param strides bytes from one element to the next along each axis; may be negative, or 0
 * @param index the index behind the last of them, or AQ_INDEX_NEXT
 * @param timeout_ns how long to wait for slow inputs, with AQ_OVERFLOW_BLOCK; see Waiting
 * @return as aq_output_stream_send(); AQ_E_INVALID also when shape is not that of the stream's frames, or no memory holds such an array
 *
 * Threads: as aq_output_stream_send().
 */
aq_status aq_output_stream_send_strided(aq_output_stream *output, const void *data, size_t ndim,
    const size_t *shape, const ptrdiff_t *strides, int64_t index, int64_t timeout_ns);

/**
 * Sends frames without copying them: they stay where they are, and must not change, until user_free is called, when no input needs them any
 * more. With inproc the inputs look at this very memory; tcp and ipc send from it; shm copies it into its ring.
 *
 * user_free is called exactly once, also when the frames were not taken. It may be called by the thread of an input or of the transport, and may
 * call any function of this library but those of the stream's ends and nodes.
 *
 * @param output the output
 * @param data the frames: elements of the stream's dtype, in C order, aligned as their inputs need it
 * @param frames how many
 * @param index the index behind the last of them, or AQ_INDEX_NEXT
 * @param timeout_ns how long to wait for slow inputs, with AQ_OVERFLOW_BLOCK; see Waiting
 * @param user what user_free is called with
 * @param user_free gives the memory back; may be NULL when it lives as long as the program
 * @return as aq_output_stream_send()
 *
 * Threads: as aq_output_stream_send().
 */
aq_status aq_output_stream_send_shared(aq_output_stream *output, const void *data, size_t frames, int64_t index,
    int64_t timeout_ns, void *user, aq_user_free_fn user_free);

/**
 * Publishes what was taken and is not published yet: frames that are collected for a chunk, and what waits for a slow input.
 *
 * @param output the output
 * @param timeout_ns how long to wait for slow inputs, with AQ_OVERFLOW_BLOCK; see Waiting
 * @return AQ_OK when nothing waits in the output any more; AQ_FULL or AQ_TIMEOUT when something does; AQ_E_IO
 *
 * Threads: as aq_output_stream_send().
 */
aq_status aq_output_stream_flush(aq_output_stream *output, int64_t timeout_ns);

/**
 * Begins again at index 0, once all that was taken is published. Inputs notice, and begin again, too.
 *
 * @param output the output
 * @param timeout_ns how long to wait for slow inputs, with AQ_OVERFLOW_BLOCK; see Waiting
 * @return AQ_OK; AQ_FULL or AQ_TIMEOUT when frames still wait, and the index is as before; AQ_E_IO
 *
 * Threads: as aq_output_stream_send().
 */
aq_status aq_output_stream_reset_index(aq_output_stream *output, int64_t timeout_ns);

/* =============================================================================================================
 * Configuration of inputs
 *
 * How an input receives, and what the stream must be.
 * ============================================================================================================= */

/** Of a requirement: any will do. */
#define AQ_ANY (-1)

/**
 * How an input receives, and what it requires of the stream. Initialise it with aq_input_stream_config_init(), then set what differs from the
 * defaults. Texts and lists are copied.
 */
typedef struct aq_input_stream_config {
    /** Set by aq_input_stream_config_init(). */
    size_t struct_size;
    /** Frames of each chunk, in front of a gap and at the end fewer. Default 0: chunks as they were sent. */
    size_t chunk_frames;
    /** The protocol that the stream must have: one of AQ_PROTOCOL_*. Default AQ_ANY. */
    int32_t require_protocol;
    /** The transfer mode that it must have: one of AQ_TRANSFER_*. Default AQ_ANY. */
    int32_t require_transfermode;
    /** The type that its elements must have, as in aq_output_stream_config; NULL: any. */
    const char *require_dtype;
    /** The shape that its chunks must have; -1 along an axis: any. NULL: any. */
    const int64_t *require_shape;
    /** Axes of require_shape: 1 to 64; 0 where it is NULL. */
    size_t require_ndim;
    /**
     * Params that replace those of the output, or are added: a JSON object; NULL: none. As `{"interface": "10.0.0.1"}` where the output is
     * behind another address.
     */
    const char *overrides_json;
    /** Of tcp and ipc: chunks that wait here at the most; 0, the default: 1000. */
    uint32_t queue_chunks;
    /** 0. */
    uint32_t reserved;
    /** Of tcp and ipc: bytes of a chunk at the most; 0, the default: 2^30. */
    uint64_t max_chunk_bytes;
    /**
     * Of tcp and ipc: how long to wait until the output has answered, in ns; AQ_WAIT_FOREVER. Default 0: the connection is made in the
     * background, and the output need not be there yet.
     */
    int64_t connect_timeout_ns;
} aq_input_stream_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_input_stream_config_init(aq_input_stream_config *config, size_t struct_size);

/* =============================================================================================================
 * Input streams
 *
 * An input receives the frames that an output sends from the time on that it connects, in order, and is told exactly which ones are missing.
 * It can keep the latest frames in a history (aq_input_stream_set_buffer()), to be looked at by their index.
 * ============================================================================================================= */

/** An input. */
typedef struct aq_input_stream aq_input_stream;

/**
 * What became of an input's frames: every frame between the first that came and the last either came or is missing. Initialise it with
 * aq_input_stream_stats_init() first.
 */
typedef struct aq_input_stream_stats {
    /** Set by aq_input_stream_stats_init(). */
    size_t struct_size;
    /** Chunks that came, as they were sent. */
    uint64_t chunks;
    /** Frames in them. */
    uint64_t frames;
    /** Bytes of these. */
    uint64_t bytes;
    /** Gaps between chunks. */
    uint64_t gaps;
    /** Frames that are missing in them: dropped for this input, or skipped by the output. */
    uint64_t missing_frames;
    /** Chunks that came again, or too late, and were left out. */
    uint64_t repeated_chunks;
    /** Messages that were no chunks of this stream. */
    uint64_t malformed;
    /** Times that the index began again, because the output did so. */
    uint64_t restarts;
    /** The index behind the last frame that came, as filters have made it; -1 before the first. */
    int64_t index;
    /** Frames that came out of the filters; without filters those that came. */
    uint64_t filtered_frames;
    /** Chunks that came and are lost because a filter failed. */
    uint64_t filter_errors;
} aq_input_stream_stats;

/**
 * Connects to the output of a stream, and receives what it sends from then on.
 *
 * An inproc or shm output must be there. A tcp or ipc output is looked for in the background, and again when it comes back after its end:
 * chunks that it sends before the connection is made are missed. aq_output_stream_wait_inputs() tells an output that its inputs are there.
 *
 * @param params_json what the output says of itself (aq_output_stream_params_json(), or pyacq's params)
 * @param config how to receive, and what is required; copied; NULL for the defaults
 * @param out receives the input; free it with aq_input_stream_free()
 * @return AQ_OK; AQ_E_FORMAT when params_json or overrides_json are none; AQ_E_INVALID when a field of config is out of range, or the stream
 *     is not what is required: the message says what differs; AQ_E_NOT_FOUND when there is no such output (inproc, shm), or it did not
 *     answer in connect_timeout_ns; AQ_E_STATE when it has as many inputs as it may have; AQ_E_UNSUPPORTED when the transport
 *     needs a feature that this build lacks; AQ_E_VERSION when the output is of another version that cannot be read; AQ_E_IO
 *
 * Threads: any.
 */
aq_status aq_input_stream_connect(const char *params_json, const aq_input_stream_config *config,
    aq_input_stream **out);

/**
 * The params of the stream as the input has them, overrides included: a JSON text in one line.
 *
 * @param input the input
 * @param buffer receives the text and its NUL; may be NULL when size is 0
 * @param size its bytes
 * @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
 *
 * Threads: any.
 */
aq_status aq_input_stream_params_json(const aq_input_stream *input, char *buffer, size_t size, size_t *needed);

/**
 * What is known of a stream.
 *
 * @param input the input
 * @param info receives it; initialised with aq_stream_info_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_input_stream_get_info(const aq_input_stream *input, aq_stream_info *info);

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_input_stream_stats_init(aq_input_stream_stats *stats, size_t struct_size);

/**
 * What became of an input's frames up to now.
 *
 * @param input the input
 * @param stats receives the counts; initialised with aq_input_stream_stats_init()
 * @return AQ_OK
 *
 * Threads: any; it does not wait for a thread that receives.
 */
aq_status aq_input_stream_get_stats(const aq_input_stream *input, aq_input_stream_stats *stats);

/**
 * Waits until there is a chunk, and does not take it. It is counted already, and in the history.
 *
 * @param input the input
 * @param timeout_ns how long to wait; see Waiting
 * @return as aq_input_stream_recv()
 *
 * Threads: as aq_input_stream_recv().
 */
aq_status aq_input_stream_poll(aq_input_stream *input, int64_t timeout_ns);

/**
 * Takes the next chunk. It is appended to the history, if there is one.
 *
 * @param input the input
 * @param timeout_ns how long to wait; see Waiting
 * @param view receives the chunk, which is held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
 * @return AQ_OK; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the output is gone, and all that it published has been received (inproc, shm; tcp and
 *     ipc wait until it comes back); AQ_E_FORMAT or AQ_E_TRUNCATED when what came was no chunk of this stream, which goes on: it is
 *     counted as malformed; AQ_E_STATE when the view holds something, or a filter of this input calls it; AQ_E_IO; what a filter answered
 *     that failed: that chunk is lost, the stream goes on
 *
 * Threads: one at a time; others wait. Statistics and the history may be read meanwhile.
 */
aq_status aq_input_stream_recv(aq_input_stream *input, int64_t timeout_ns, aq_array_view *view);

/**
 * A descriptor to wait for chunks with poll() or epoll: when it is readable, call aq_input_stream_recv() with timeout 0 until it answers
 * AQ_EMPTY or AQ_STOPPED. Nothing else may be done with it. Once asked for, it costs a little for each chunk.
 *
 * A tcp or ipc input that lost its output subscribes anew within aq_input_stream_recv(), for which the descriptor becomes readable.
 *
 * @param input the input, which owns the descriptor
 * @param fd receives it, valid until the input is freed
 * @return AQ_OK; AQ_E_IO when there are too many open files
 *
 * Threads: any; it waits for a thread that receives.
 */
aq_status aq_input_stream_fd(aq_input_stream *input, int *fd);

/**
 * Takes and forgets what has come. The history keeps it, and gaps are counted.
 *
 * @param input the input
 * @param frames receives how many frames that were; may be NULL
 * @return AQ_OK; AQ_E_FORMAT, AQ_E_TRUNCATED when there was something else than chunks, which is gone: call it again; AQ_E_IO
 *
 * Threads: as aq_input_stream_recv().
 */
aq_status aq_input_stream_empty_queue(aq_input_stream *input, uint64_t *frames);

/**
 * Begins again: the next chunk is the first, wherever it begins, and the history goes on at index 0. Chunks that poll has found, and frames that
 * are collected for a chunk, are forgotten.
 *
 * @param input the input
 * @return AQ_OK
 *
 * Threads: as aq_input_stream_recv().
 */
aq_status aq_input_stream_reset_index(aq_input_stream *input);

/**
 * Closes an input. Views that are held stay valid. An input that others use (nodes) is closed when they are freed, too.
 *
 * @param input the input, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no input, or freed already as far as that can be seen; AQ_E_STATE when one of its filters calls it
 *
 * Threads: no other call on this input may be running or follow.
 */
aq_status aq_input_stream_free(aq_input_stream *input);

/* =============================================================================================================
 * Histories
 *
 * A history keeps the latest frames of a stream by their index, and gives any window of them in one piece, without a copy. Inputs keep one
 * if they are told so; it can also be used alone. One thread appends at a time, any number look. A shared history lies in shared
 * memory: other processes open it by its name, and look at the same frames while they are appended.
 *
 * What is looked at is overwritten at some time, and so is told: first look at a view, then ask aq_array_view_check() or
 * aq_array_view_release(); the functions that copy do so themselves.
 *
 * ```c
 * aq_history_config config;
 * aq_history_config_init(&config, sizeof config);
 * const size_t shape[] = {100000, 16};           // the latest 100000 frames of 16 channels
 * config.dtype = "<f4"; config.shape = shape; config.ndim = 2; config.shared = 1;
 * check(aq_history_new(&config, &history));
 * aq_history_append(history, frames, 500, AQ_INDEX_NEXT);
 * aq_history_latest(history, 1000, &view);       // 500 of them are filled
 * ```
 * ============================================================================================================= */

/** Of a slice: its end is not given, it goes as far as there are frames. */
#define AQ_SLICE_ALL 9223372036854775807

/** A history. */
typedef struct aq_history aq_history;

/** What a history keeps. Initialise it with aq_history_config_init(), then set `shape` and `ndim` at least. Texts and lists are copied. */
typedef struct aq_history_config {
    /** Set by aq_history_config_init(). */
    size_t struct_size;
    /** The type of elements, as in aq_output_stream_config; NULL: "float32". */
    const char *dtype;
    /** `ndim` numbers, each at least 1: how many frames it keeps, and the shape of a frame. */
    const size_t *shape;
    /** Axes: 1 to 64; the default of 0 must be replaced. */
    size_t ndim;
    /**
     * The order in which axes lie in memory, time being axis 0, from the one that varies last: each of 0 to ndim - 1 once. NULL: C order.
     * {1, 0} has each channel in one piece.
     */
    const size_t *axisorder;
    /** The value of frames that nobody sent; NaN, the default: NaN, or 0 for what has none. */
    double fill;
    /** 1: in shared memory, for other processes of this host and user to look at. Default 0. */
    int32_t shared;
    /** 0. */
    uint32_t reserved;
} aq_history_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_history_config_init(aq_history_config *config, size_t struct_size);

/**
 * Makes a history. Its index is 0, and all frames before are filled.
 *
 * @param config what it keeps; copied
 * @param out receives the history; free it with aq_history_free()
 * @return AQ_OK; AQ_E_INVALID when a field of config is out of range; AQ_E_FORMAT when dtype is none; AQ_E_NOMEM; AQ_E_UNSUPPORTED when it is to
 *     be shared, and axisorder has more than 1024 elements in the axes before time; AQ_E_IO
 *
 * Threads: any.
 */
aq_status aq_history_new(const aq_history_config *config, aq_history **out);

/**
 * Opens a history that another process of this host and user has shared, to look at it. It stays readable when that process has ended.
 *
 * @param name as aq_history_name() tells it there
 * @param out receives the history; free it with aq_history_free()
 * @return AQ_OK; AQ_E_NOT_FOUND when there is none of that name, or no longer; AQ_E_INVALID when it cannot be a name; AQ_E_STATE when 1024 look
 *     at it already; AQ_E_VERSION when it is of a version that cannot be read; AQ_E_FORMAT or AQ_E_TRUNCATED when it is no history; AQ_E_IO
 *
 * Threads: any.
 */
aq_status aq_history_open(const char *name, aq_history **out);

/**
 * The name by which others open a shared history.
 *
 * @param history the history
 * @param buffer receives the text and its NUL; may be NULL when size is 0
 * @param size its bytes
 * @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer; AQ_E_STATE when the history is not shared
 *
 * Threads: any.
 */
aq_status aq_history_name(const aq_history *history, char *buffer, size_t size, size_t *needed);

/**
 * What a history keeps; also of one that was opened. `axisorder` is NULL.
 *
 * @param history the history
 * @param config receives it; initialised with aq_history_config_init(). What it points to belongs to the handle
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_history_get_config(const aq_history *history, aq_history_config *config);

/**
 * Appends frames. Frames that an index ahead skips are filled.
 *
 * @param history a history of this process
 * @param data the frames: elements of its dtype, in C order; copied; may be NULL when there are none
 * @param frames how many: at most as many as it keeps
 * @param index the index behind the last of them, or AQ_INDEX_NEXT
 * @return AQ_OK; AQ_E_INVALID when there are too many, or the index would go back; AQ_E_STATE when the history is another process's
 *
 * Threads: one at a time; others wait. Any may look meanwhile.
 */
aq_status aq_history_append(aq_history *history, const void *data, size_t frames, int64_t index);

/**
 * The frames from `start` to before `stop`, where they are.
 *
 * @param history the history
 * @param start the index of the first: at least aq_history_first_index()
 * @param stop the index behind the last: at most aq_history_index()
 * @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
 * @return AQ_OK; AQ_E_NOT_FOUND when they are not there, or not any more; AQ_E_STATE when the view holds something
 *
 * Threads: any.
 */
aq_status aq_history_get(const aq_history *history, int64_t start, int64_t stop, aq_array_view *view);

/**
 * Every `step`th frame from `start` on to before `stop`, where they are, as numpy's `[start:stop:step]`: negative ends count from the newest
 * frame back, a negative step has time run backwards. No end is moved: one that is not within the frames that are there is an error.
 *
 * @param history the history
 * @param start where to begin; AQ_SLICE_ALL: with the oldest frame, or the newest if step is negative
 * @param stop where to end; AQ_SLICE_ALL: behind the newest frame, or the oldest if step is negative
 * @param step not 0
 * @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
 * @return AQ_OK; AQ_E_NOT_FOUND when an end is not there; AQ_E_INVALID when step is 0; AQ_E_STATE when the view holds something
 *
 * Threads: any.
 */
aq_status aq_history_get_slice(const aq_history *history, int64_t start, int64_t stop, int64_t step,
    aq_array_view *view);

/**
 * The newest frames, where they are. Those from before the first one are filled.
 *
 * @param history the history
 * @param frames how many: at most as many as it keeps
 * @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
 * @return AQ_OK; AQ_E_NOT_FOUND when it does not keep as many; AQ_E_STATE when the view holds something
 *
 * Threads: any.
 */
aq_status aq_history_latest(const aq_history *history, size_t frames, aq_array_view *view);

/**
 * Copies the frames from `start` to before `stop`, in C order.
 *
 * @param history the history
 * @param start the index of the first: at least aq_history_first_index()
 * @param stop the index behind the last: at most aq_history_index()
 * @param buffer receives them; may be NULL when there are none. After an error, what is in it is not to be used
 * @param size its bytes
 * @return AQ_OK; AQ_E_NOT_FOUND when they are not there, or were overwritten while they were copied; AQ_E_TRUNCATED when they do not fit
 *
 * Threads: any.
 */
aq_status aq_history_copy(const aq_history *history, int64_t start, int64_t stop, void *buffer, size_t size);

/**
 * The index of the oldest frame; negative before there have been as many as it keeps: those read as filled.
 *
 * @param history the history
 * @param index receives it, which may be another at once
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_history_first_index(const aq_history *history, int64_t *index);

/**
 * The index behind the newest frame.
 *
 * @param history the history
 * @param index receives it, which may be another at once
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_history_index(const aq_history *history, int64_t *index);

/**
 * Waits until the index is `index` or more.
 *
 * @param history the history
 * @param index which
 * @param timeout_ns how long to wait; see Waiting
 * @return AQ_OK; AQ_EMPTY or AQ_TIMEOUT when it is not; AQ_STOPPED when it will not be, as the process that appended has ended, or freed it
 *
 * Threads: any number.
 */
aq_status aq_history_wait(const aq_history *history, int64_t index, int64_t timeout_ns);

/**
 * Begins again at index 0. What is in it stays and counts as older; views of before are reported as overwritten.
 *
 * @param history a history of this process
 * @return AQ_OK; AQ_E_STATE when the history is another process's
 *
 * Threads: as aq_history_append().
 */
aq_status aq_history_reset(aq_history *history);

/**
 * Frees a history. Views that are held stay valid, and so does the history of an input, and what other processes have opened.
 *
 * @param history the history, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no history, or freed already as far as that can be seen
 *
 * Threads: no other call on this history may be running or follow.
 */
aq_status aq_history_free(aq_history *history);

/* =============================================================================================================
 * Histories of inputs
 *
 * What an input receives can be kept, to be looked at by index: aq_input_stream_set_buffer(), then the functions below, from any thread, while
 * another receives. They are short for those of the history itself, which aq_input_stream_history() gives.
 * ============================================================================================================= */

/**
 * Keeps the latest frames from now on: those that were received before are not in it, and those that do not come are filled. An earlier history
 * is replaced; who holds it keeps it as it is.
 *
 * @param input the input
 * @param frames how many to keep; 0: none any more
 * @param axisorder the order of axes in memory, as in aq_history_config, as many as the stream has; NULL: that of the stream
 * @param fill the value of frames that did not come; NaN: that of the stream
 * @param shared 1: in shared memory, for other processes to look at; 0: not
 * @return AQ_OK; AQ_E_INVALID when an argument is out of range; AQ_E_NOMEM; AQ_E_UNSUPPORTED and AQ_E_IO as aq_history_new()
 *
 * Threads: as aq_input_stream_recv().
 */
aq_status aq_input_stream_set_buffer(aq_input_stream *input, size_t frames, const size_t *axisorder, double fill,
    int32_t shared);

/**
 * The history of an input: the same frames, which the input goes on appending to.
 *
 * @param input the input
 * @param out receives a handle of its own; free it with aq_history_free()
 * @return AQ_OK; AQ_E_STATE when the input keeps no frames
 *
 * Threads: any; it does not wait for a thread that receives.
 */
aq_status aq_input_stream_history(const aq_input_stream *input, aq_history **out);

/**
 * The frames from `start` to before `stop`, where they are; see aq_history_get().
 *
 * @param input the input
 * @param start the index of the first
 * @param stop the index behind the last
 * @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
 * @return AQ_OK; AQ_E_NOT_FOUND when they are not there, or not any more; AQ_E_STATE when the input keeps no frames, or the view holds something
 *
 * Threads: any; it does not wait for a thread that receives.
 */
aq_status aq_input_stream_get_data(const aq_input_stream *input, int64_t start, int64_t stop,
    aq_array_view *view);

/**
 * Every `step`th frame from `start` on to before `stop`; see aq_history_get_slice().
 *
 * @param input the input
 * @param start where to begin; negative: from the newest frame back; AQ_SLICE_ALL: as far as there are frames
 * @param stop where to end; as start
 * @param step not 0; negative: backwards
 * @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
 * @return AQ_OK; AQ_E_NOT_FOUND when an end is not there; AQ_E_INVALID when step is 0; AQ_E_STATE when the input keeps no frames, or the view
 *     holds something
 *
 * Threads: any; it does not wait for a thread that receives.
 */
aq_status aq_input_stream_get_slice(const aq_input_stream *input, int64_t start, int64_t stop, int64_t step,
    aq_array_view *view);

/**
 * The newest frames; see aq_history_latest().
 *
 * @param input the input
 * @param frames how many: at most as many as it keeps
 * @param view receives them, held until aq_array_view_release(); initialised with aq_array_view_init(), and holding nothing
 * @return AQ_OK; AQ_E_NOT_FOUND when it does not keep as many; AQ_E_STATE when the input keeps no frames, or the view holds something
 *
 * Threads: any; it does not wait for a thread that receives.
 */
aq_status aq_input_stream_latest(const aq_input_stream *input, size_t frames, aq_array_view *view);

/**
 * Copies the frames from `start` to before `stop`, in C order; see aq_history_copy().
 *
 * @param input the input
 * @param start the index of the first
 * @param stop the index behind the last
 * @param buffer receives them; may be NULL when there are none. After an error, what is in it is not to be used
 * @param size its bytes
 * @return AQ_OK; AQ_E_NOT_FOUND when they are not there, or were overwritten while they were copied; AQ_E_TRUNCATED when they do not fit;
 *     AQ_E_STATE when the input keeps no frames
 *
 * Threads: any; it does not wait for a thread that receives.
 */
aq_status aq_input_stream_copy_data(const aq_input_stream *input, int64_t start, int64_t stop, void *buffer,
    size_t size);

/* =============================================================================================================
 * Registry of signal streams
 *
 * A registry holds the params of outputs under names, so that inputs in other processes and on other hosts find them. It carries no samples.
 * `aqueduct stream serve` is one, `aqueduct stream ls` shows what is in it; a program can have its own. Its protocol, a line of JSON for
 * each request, is described in docs/registry.md. Whoever can connect to a registry may look, publish and hold names: let it listen only
 * where that is fine.
 *
 * `endpoint` is "HOST:PORT", with brackets around an IPv6 address; NULL is "127.0.0.1:7145".
 *
 * ```c
 * aq_publication *publication;                                 // the producer
 * check(aq_registry_publish("daq-1:7145", "eeg", output, &publication));
 *
 * char params[AQ_REGISTRY_PARAMS_SIZE];                        // the consumer, on another host
 * check(aq_registry_lookup("daq-1:7145", "eeg", 10000000000, params, sizeof params, NULL));
 * check(aq_input_stream_connect(params, NULL, &input));
 * ```
 * ============================================================================================================= */

/** Bytes of the params of any stream that is published, with their NUL, at the most. */
#define AQ_REGISTRY_PARAMS_SIZE 65537

/** An output that is published under a name. */
typedef struct aq_publication aq_publication;

/** A registry of this process. */
typedef struct aq_registry aq_registry;

/** What a registry held at a time. */
typedef struct aq_registry_entries aq_registry_entries;

/** A stream in a registry. Initialise it with aq_registry_entry_init(). What it points to is valid until the list is freed. */
typedef struct aq_registry_entry {
    /** Set by aq_registry_entry_init(). */
    size_t struct_size;
    /** The name. */
    const char *name;
    /** Its params, as aq_input_stream_connect() takes them. */
    const char *params_json;
    /** Who publishes it, for people: "10.1.2.3:40312 (producer, pid 4711)". */
    const char *holder;
} aq_registry_entry;

/**
 * Serves a registry, by a thread of its own, at an address and no other. What clients can make it keep is bounded: 1024 connections, 4096
 * names, 64 MiB of params.
 *
 * @param endpoint where to listen; port 0: one that the system chooses; copied
 * @param out receives the registry; free it with aq_registry_free()
 * @return AQ_OK; AQ_E_INVALID when endpoint is none; AQ_E_IO when the port is taken, or the address is not this machine's
 *
 * Threads: any.
 */
aq_status aq_registry_serve(const char *endpoint, aq_registry **out);

/**
 * Where a registry listens, as other functions take it: "127.0.0.1:7145".
 *
 * @param registry the registry
 * @param buffer receives the text and its NUL; may be NULL when size is 0
 * @param size its bytes; 64 suffice
 * @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
 *
 * Threads: any.
 */
aq_status aq_registry_endpoint(const aq_registry *registry, char *buffer, size_t size, size_t *needed);

/**
 * The port that a registry listens at.
 *
 * @param registry the registry
 * @param port receives it: 1 to 65535
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_registry_port(const aq_registry *registry, int32_t *port);

/**
 * Ends a registry. Publications in it look for another one at the same endpoint.
 *
 * @param registry the registry, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no registry, or freed already as far as that can be seen
 *
 * Threads: no other call on this registry may be running or follow.
 */
aq_status aq_registry_free(aq_registry *registry);

/**
 * Publishes an output under a name, until the publication is freed or this process ends in any way. A thread of its own watches the connection: when
 * the registry is restarted, it publishes again, after 2 s at the latest.
 *
 * An output that listens at all addresses of its host ("*", "0.0.0.0", "::") is published with the one from which this host reaches the registry. Params
 * are published as they are now: add filters first. The publication keeps the output open.
 *
 * @param endpoint where the registry is; copied
 * @param name 1 to 255 bytes without control characters; copied
 * @param output the output
 * @param out receives the publication; free it with aq_publication_free()
 * @return AQ_OK; AQ_E_STATE when the name is taken: aq_last_error() says by whom; AQ_E_IO when there is no registry, or it does not answer within
 *     seconds; AQ_E_NOMEM when it is full; AQ_E_VERSION or AQ_E_FORMAT when there is something else; AQ_E_INVALID
 *
 * Threads: any.
 */
aq_status aq_registry_publish(const char *endpoint, const char *name, const aq_output_stream *output,
    aq_publication **out);

/**
 * Whether the registry has the name at the moment.
 *
 * @param publication the publication
 * @return AQ_OK; else why not: AQ_E_STATE when the registry has gone or another has the name meanwhile, AQ_E_IO when there is none,
 *     and as for aq_registry_publish(). It is tried again by itself.
 *
 * Threads: any.
 */
aq_status aq_publication_status(const aq_publication *publication);

/**
 * Ends a publication: when it returns, the name is free, if the registry answers within a second.
 *
 * @param publication the publication, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no publication, or freed already as far as that can be seen
 *
 * Threads: no other call on this publication may be running or follow.
 */
aq_status aq_publication_free(aq_publication *publication);

/**
 * Looks up the params of a stream by its name, and waits for it to be published if it must.
 *
 * @param endpoint where the registry is
 * @param name the name
 * @param timeout_ns how long to wait for the name to be published; see Waiting. That there is no registry is not waited for
 * @param buffer receives the params, a JSON text, and their NUL; may be NULL when size is 0
 * @param size its bytes; AQ_REGISTRY_PARAMS_SIZE always suffice
 * @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
 * @return AQ_OK; AQ_E_NOT_FOUND when timeout_ns is 0 and nothing is published under that name; AQ_TIMEOUT when nothing was within the time;
 *     AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer; AQ_E_IO when no registry is there, or it does not answer within
 *     seconds; AQ_E_VERSION or AQ_E_FORMAT when there is something else; AQ_E_INVALID
 *
 * Threads: any.
 */
aq_status aq_registry_lookup(const char *endpoint, const char *name, int64_t timeout_ns, char *buffer,
    size_t size, size_t *needed);

/**
 * Lists what is published now, by name.
 *
 * @param endpoint where the registry is
 * @param out receives the list; free it with aq_registry_entries_free()
 * @return AQ_OK; AQ_E_IO when no registry is there, or it does not answer within seconds; AQ_E_VERSION or AQ_E_FORMAT when there is something
 *     else; AQ_E_INVALID
 *
 * Threads: any.
 */
aq_status aq_registry_list(const char *endpoint, aq_registry_entries **out);

/**
 * How many streams are in a list.
 *
 * @param entries the list
 * @param count receives the number
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_registry_entries_count(const aq_registry_entries *entries, size_t *count);

/**
 * Writes zeros, and the struct's size.
 *
 * @param entry the struct
 * @param struct_size sizeof *entry
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_registry_entry_init(aq_registry_entry *entry, size_t struct_size);

/**
 * A stream of a list.
 *
 * @param entries the list
 * @param index 0 to count - 1
 * @param entry receives it; initialised with aq_registry_entry_init()
 * @return AQ_OK; AQ_E_NOT_FOUND when there is none of that index
 *
 * Threads: any.
 */
aq_status aq_registry_entries_get(const aq_registry_entries *entries, size_t index, aq_registry_entry *entry);

/**
 * Frees a list.
 *
 * @param entries the list, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no list, or freed already as far as that can be seen
 *
 * Threads: no other call on this list may be running or follow.
 */
aq_status aq_registry_entries_free(aq_registry_entries *entries);

/* =============================================================================================================
 * Params by request
 *
 * pyacq's relay node asks a REQ socket of ZeroMQ for a stream: "config" is answered by the params as JSON, "start" and "stop" by "ok",
 * anything else by "error: " and a reason. A server of this protocol answers for one output. Anybody who can connect may ask.
 * ============================================================================================================= */

/** A server that answers for an output. */
typedef struct aq_config_server aq_config_server;

/**
 * Somebody wants the stream to begin, or to pause.
 *
 * - called from: the server's thread, one call at a time
 * - may block: yes; the server answers nothing else meanwhile, and aq_config_server_free() waits
 * - may call: any function but aq_config_server_free() of the same server, which is AQ_E_STATE
 * - valid until: it has no arguments to keep
 * - on error: it answers a negative number (an AQ_E_*): who asked gets "error: " with its text instead of "ok"
 *
 * `start` is 1 for "start", 0 for "stop".
 */
typedef aq_status (*aq_stream_control_fn)(int32_t start, void *user);

/**
 * Answers requests for the params of an output, by a thread of its own. It keeps the output open.
 *
 * @param output the output
 * @param interface the address to listen at, and no other; NULL: "127.0.0.1"
 * @param port the TCP port, 1 to 65535; 0: one that the system chooses
 * @param control called for "start" and "stop"; NULL: both are answered by "ok", and do nothing
 * @param user what `control` is called with
 * @param user_free releases it
 * @param out receives the server; free it with aq_config_server_free()
 * @return AQ_OK; AQ_E_INVALID; AQ_E_IO when the port is taken, or the address is not this machine's; AQ_E_UNSUPPORTED when this build lacks
 *     the feature zmq
 *
 * Threads: any.
 */
aq_status aq_output_stream_serve_config(const aq_output_stream *output, const char *interface, int32_t port,
    aq_stream_control_fn control, void *user, aq_user_free_fn user_free, aq_config_server **out);

/**
 * Where a server listens: "tcp://127.0.0.1:5000".
 *
 * @param server the server
 * @param buffer receives the text and its NUL; may be NULL when size is 0
 * @param size its bytes; 64 suffice for numeric addresses
 * @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
 *
 * Threads: any.
 */
aq_status aq_config_server_address(const aq_config_server *server, char *buffer, size_t size, size_t *needed);

/**
 * Ends a server, and waits for a call of its callback in flight.
 *
 * @param server the server, or NULL, which does nothing
 * @return AQ_OK; AQ_E_STATE from inside its own callback; AQ_E_INVALID when it is no server, or freed already as far as that can be seen
 *
 * Threads: no other call on this server may be running or follow.
 */
aq_status aq_config_server_free(aq_config_server *server);

/* =============================================================================================================
 * Filters
 *
 * A filter changes the chunks of a stream on their way: at an output before they are collected and published, or at an input before they are
 * kept in its history, cut to a length, and given out. Several filters work one behind the other, in the order in which they were added. Each
 * changes what the stream's params say behind it (type, shape, rate, units), and is refused at once when it does not fit what comes out of
 * the one before. Filters are added before the first frame; see docs/filters.md.
 *
 * ```c
 * aq_filter *filter;
 * aq_filter_scale_config scale;
 * aq_filter_scale_config_init(&scale, sizeof scale);
 * scale.use_params = 1;                          // the scale and offset that the stream's params say
 * check(aq_filter_scale_new(&scale, &filter));
 * check(aq_input_stream_add_filter(input, filter));
 * aq_filter_free(filter);                        // the input has what it needs
 * ```
 * ============================================================================================================= */

/** The last axis of a stream, whichever that is. */
#define AQ_LAST_AXIS (-1)

/** A filter that is made and may be added to one end of a stream. */
typedef struct aq_filter aq_filter;

/** How values are scaled. Initialise it with aq_filter_scale_config_init(), then set what differs from the defaults. */
typedef struct aq_filter_scale_config {
    /** Set by aq_filter_scale_config_init(). */
    size_t struct_size;
    /** What values are multiplied by: finite. Default 1. */
    double scale;
    /** What is added then: finite. Default 0. */
    double offset;
    /** 1: the stream's params say scale and offset, and the two fields above must be 1 and 0. Default 0. */
    int32_t use_params;
    /**
     * Bits of the floats that values become: 32 or 64. Default 0: 64 for what float32 cannot hold without a loss (integers of 32 and 64 bits,
     * float64, complex128), else 32.
     */
    uint32_t float_bits;
    /** The unit of values then; copied. NULL: as the stream's params say. */
    const char *units;
} aq_filter_scale_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_filter_scale_config_init(aq_filter_scale_config *config, size_t struct_size);

/**
 * A filter that multiplies each value by a factor, and adds an offset: computed in float64, rounded once. Values are then in the stream's
 * units: its params have neither scale nor offset any more. Complex numbers stay complex, and the offset is added to the real part.
 *
 * @param config how; copied
 * @param out receives the filter; free it with aq_filter_free()
 * @return AQ_OK; AQ_E_INVALID when a field of config is out of range
 *
 * Threads: any.
 */
aq_status aq_filter_scale_new(const aq_filter_scale_config *config, aq_filter **out);

/**
 * A filter that converts elements to another type: any number to any other, and anything to itself in another byte order, lists of fields
 * included.
 *
 * Numbers are converted as numpy's astype does it: floats that become integers lose what is behind the point, of complex numbers that become
 * real the real part is taken, what is not 0 becomes true. But numbers that the new type cannot hold become the nearest that it can, and NaN
 * becomes 0 where there is none: a sample out of range shows at the rail. (numpy wraps integers around, and leaves floats to the processor.)
 *
 * @param dtype as in aq_output_stream_config; NULL: the stream's own type in this machine's byte order
 * @param out receives the filter; free it with aq_filter_free()
 * @return AQ_OK; AQ_E_FORMAT when dtype is none
 *
 * Threads: any.
 */
aq_status aq_filter_cast_new(const char *dtype, aq_filter **out);

/**
 * A filter that takes some elements of an axis: channels mostly. Elements may be of any type. Nothing is copied when the channels have equal
 * distances (0, 1, 2 or 6, 4, 2).
 *
 * @param channels which ones, in which order, each as often as it is there; copied
 * @param count how many, at least 1
 * @param axis the axis, at least 1 (0 is time); AQ_LAST_AXIS
 * @param out receives the filter; free it with aq_filter_free()
 * @return AQ_OK; AQ_E_INVALID when count is 0 or axis out of range
 *
 * Threads: any.
 */
aq_status aq_filter_channels_new(const size_t *channels, size_t count, int32_t axis, aq_filter **out);

/**
 * A filter that takes one field of a stream whose elements are lists of fields. Nothing is copied. Axes that the field has itself come behind
 * those of the stream.
 *
 * @param name the field's name
 * @param out receives the filter; free it with aq_filter_free()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_filter_field_new(const char *name, aq_filter **out);

/**
 * A filter that takes every n-th frame: those whose index is a multiple of n, which is then their new index times n, whatever chunks and gaps
 * there are. The index behind a chunk becomes itself over n, rounded up. There is no low-pass filter in it. Nothing is copied.
 *
 * @param every n, at least 1
 * @param out receives the filter; free it with aq_filter_free()
 * @return AQ_OK; AQ_E_INVALID when every is 0
 *
 * Threads: any.
 */
aq_status aq_filter_decimate_new(size_t every, aq_filter **out);

/**
 * A filter that gives frames other axes, with their elements in C order. Copied only where they lie in another order.
 *
 * @param frame_shape elements along each axis but time, positive; one may be -1: as many as there are. May be NULL when ndim is 0; copied
 * @param ndim how many axes: 0 to 63; with 0 each frame is one element
 * @param out receives the filter; free it with aq_filter_free()
 * @return AQ_OK; AQ_E_INVALID when ndim is out of range
 *
 * Threads: any.
 */
aq_status aq_filter_reshape_new(const int64_t *frame_shape, size_t ndim, aq_filter **out);

/**
 * Adds a filter to an output, behind those that it has. Frames are then still sent as the output was made for; its params
 * (aq_output_stream_params_json(), aq_output_stream_get_info()) say what inputs get: give them to inputs when all filters are there.
 *
 * @param output the output, by which no frame has been sent
 * @param filter the filter, which the output has from then on; its handle may be freed
 * @return AQ_OK; AQ_E_INVALID when the filter does not fit the stream: the message says why; AQ_E_STATE when frames have been sent, or the
 *     filter has been added already; AQ_E_IO when the file of AQ_TRANSFER_SHAREDMEM cannot be made anew. After an error everything
 *     is as before
 *
 * Threads: as aq_output_stream_send().
 */
aq_status aq_output_stream_add_filter(aq_output_stream *output, aq_filter *filter);

/**
 * Adds a filter to an input, behind those that it has. The input's params then say what it gives out.
 *
 * @param input the input, which has received no chunk yet, and keeps no frames (aq_input_stream_set_buffer() comes after)
 * @param filter the filter, which the input has from then on; its handle may be freed
 * @return AQ_OK; AQ_E_INVALID when the filter does not fit the stream: the message says why; AQ_E_STATE when chunks have been received or
 *     frames are kept, or the filter has been added already. After an error everything is as before
 *
 * Threads: as aq_input_stream_recv().
 */
aq_status aq_input_stream_add_filter(aq_input_stream *input, aq_filter *filter);

/**
 * Frees a filter's handle. A stream that the filter was added to keeps it.
 *
 * @param filter the filter, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no filter, or freed already as far as that can be seen
 *
 * Threads: no other call on this filter may be running or follow.
 */
aq_status aq_filter_free(aq_filter *filter);

/* =============================================================================================================
 * Filters in C
 *
 * A function of the program as a filter. It looks at the frames of a chunk, and says what is left of them: frames that it writes to memory
 * which it asks for, the same frames, or, if it says nothing, none.
 *
 * ```c
 * static aq_status rectify(const aq_filter_frames *in, aq_filter_output *out, void *user)
 * {
 *     float *to;
 *     const char *from = in->data;               // float32, one axis beside time
 *     aq_status status = aq_filter_output_frames(out, in->frames, (void **)&to);
 *     for (size_t i = 0; status == AQ_OK && i < in->frames; i++)
 *         for (size_t j = 0; j < in->shape[1]; j++)
 *             *to++ = fabsf(*(const float *)(from + (ptrdiff_t)i * in->strides[0] + (ptrdiff_t)j * in->strides[1]));
 *     return status;
 * }
 *
 * check(aq_filter_callback_new(NULL, rectify, NULL, NULL, &filter));
 * ```
 * ============================================================================================================= */

/** Where a filter tells what is left of the frames; it exists until the function returns. */
typedef struct aq_filter_output aq_filter_output;

/**
 * What a filter in C makes of a stream. Initialise it with aq_filter_callback_config_init(), then set what it changes. Texts and lists are
 * copied.
 */
typedef struct aq_filter_callback_config {
    /** Set by aq_filter_callback_config_init(). */
    size_t struct_size;
    /** What it is called in errors; NULL: "callback". */
    const char *name;
    /** The type that frames must have that come, as in aq_output_stream_config; NULL: any. */
    const char *require_dtype;
    /** The type of the frames that it makes; NULL: that of those that come. */
    const char *dtype;
    /** The shape of the frames that it makes, without time: positive numbers; NULL: that of those that come. */
    const int64_t *frame_shape;
    /** Numbers in frame_shape: 0 to 63. With 0, and a frame_shape that is not NULL, frames are single elements. */
    size_t frame_ndim;
    /** Frames per second that it makes; NaN, the default: as many as come. */
    double sample_rate;
    /** The unit of values; NULL: as before. */
    const char *units;
} aq_filter_callback_config;

/** The frames that a filter gets. Everything in it is valid until the function returns. */
typedef struct aq_filter_frames {
    /** The bytes of this struct; later versions have more fields at its end. */
    size_t struct_size;
    /** Element (0, 0, ...); read-only. It is aligned as whoever sent it has aligned it. */
    const void *data;
    /** The type of elements, as in aq_stream_info. */
    const char *dtype;
    /** Bytes of an element. */
    size_t item_size;
    /** Axes, at least 1; the first is time. */
    size_t ndim;
    /** Elements along each axis. */
    const size_t *shape;
    /** Bytes from one element to the next along each axis; may be negative. */
    const ptrdiff_t *strides;
    /** The number of frames, at least 1: the first number of shape. */
    size_t frames;
    /** The index behind the last frame. It goes back when the stream begins again, and when frames are sent again that the transport had refused. */
    int64_t index;
    /** 1 if all elements are in C order without gaps from `data` on. */
    int32_t contiguous;
    /** 0. */
    uint32_t reserved;
} aq_filter_frames;

/**
 * Filters frames.
 *
 * - called from: whichever thread sends through the output, or receives from the input, that it was added to; one call at a time
 * - may block: shortly; the sender or receiver waits, and so do others of the same stream
 * - may call: any function of this library, but what sends through, receives from or changes the same end of the stream, which is AQ_E_STATE;
 *   the end's params and statistics can be read
 * - valid until: it returns, `frames` and all in it, and `output`
 * - on error: it answers a negative number (an AQ_E_*), which the call that sends or receives then answers, too: these frames are lost for
 *   whoever receives, or not taken by the output, and the stream goes on
 */
typedef aq_status (*aq_filter_fn)(const aq_filter_frames *frames, aq_filter_output *output, void *user);

/**
 * Writes the defaults: the filter changes nothing of the params.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_filter_callback_config_init(aq_filter_callback_config *config, size_t struct_size);

/**
 * A filter that calls a function of the program.
 *
 * @param config what it makes of the stream; copied; NULL: frames of the same type and shape
 * @param function filters frames
 * @param user what it is called with
 * @param user_free releases user, when the filter and the stream that has it are freed
 * @param out receives the filter; free it with aq_filter_free()
 * @return AQ_OK; AQ_E_INVALID when function is NULL or a field of config is out of range; AQ_E_FORMAT when a dtype is none
 *
 * Threads: any.
 */
aq_status aq_filter_callback_new(const aq_filter_callback_config *config, aq_filter_fn function, void *user,
    aq_user_free_fn user_free, aq_filter **out);

/**
 * Memory for the frames that a filter makes: in C order, of the type and shape that its config says, all zero, beginning on a cache line. They
 * take the place of those that came; frames of an earlier call are forgotten.
 *
 * @param output what the filter was called with
 * @param frames how many; 0: none are left
 * @param data receives where to write them, until the filter returns
 * @return AQ_OK; AQ_E_NOMEM; AQ_E_INVALID when no memory holds so many
 *
 * Threads: the filter's.
 */
aq_status aq_filter_output_frames(aq_filter_output *output, size_t frames, void **data);

/**
 * The index behind the last of the frames that a filter makes; without this call it is that of the frames that came. Indices must not go back.
 *
 * @param output what the filter was called with
 * @param index the index, at least 0
 * @return AQ_OK; AQ_E_INVALID when index is negative
 *
 * Threads: the filter's.
 */
aq_status aq_filter_output_index(aq_filter_output *output, int64_t index);

/**
 * The frames go on as they are, without a copy.
 *
 * @param output what the filter was called with
 * @return AQ_OK; AQ_E_STATE when the filter changes the type or shape of the stream
 *
 * Threads: the filter's.
 */
aq_status aq_filter_output_same(aq_filter_output *output);

/* =============================================================================================================
 * Nodes of signal streams
 *
 * A node has a thread of its own that takes chunks from an input, as they come, and does something with them: it calls a function
 * (aq_poll_thread), sends them through an output of another kind (aq_stream_converter), some channels each through several outputs
 * (aq_channel_splitter), or in chunks of a length (aq_chunk_resizer). Frames keep their indices, and what is missing before a node is
 * missing, at the same indices, behind it.
 *
 * A node can be started and stopped as often as one likes. What comes while it is stopped waits in its input, as far as that holds it. A stop
 * waits for the callback in flight, and not for a slow consumer (at most 10 ms): what could not be sent is kept, and sent first when the node is
 * started again. An inproc or shm input ends with its output, and the node with it; give it another by its `_connect` function. A
 * tcp or ipc input waits for an output that comes again.
 *
 * While a node runs, nobody else should take chunks from its input or send through its outputs. Nodes that feed each other are best started and
 * stopped by an aq_stream_graph, which sees to it that nothing is lost on its way.
 *
 * docs/nodes.md has more.
 * ============================================================================================================= */

/** What a node has counted since it was made. Initialise it with aq_stream_node_stats_init() first. */
typedef struct aq_stream_node_stats {
    /** Set by aq_stream_node_stats_init(). */
    size_t struct_size;
    /** Chunks that were taken from the input. */
    uint64_t chunks;
    /** Frames in them. */
    uint64_t frames;
    /** Gaps before them. */
    uint64_t gaps;
    /** Frames that are missing there. */
    uint64_t missing_frames;
    /** Times that the stream began again at index 0. */
    uint64_t restarts;
    /** Errors: of what came and was no chunk of the stream, after which the node went on, and those that ended it. */
    uint64_t errors;
    /** The index behind the last frame that was taken. */
    uint64_t index;
} aq_stream_node_stats;

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_stream_node_stats_init(aq_stream_node_stats *stats, size_t struct_size);

/* =============================================================================================================
 * Poll threads
 *
 * ```c
 * static aq_status show(aq_array_view *view, void *user)
 * {
 *     printf("frames up to %" PRId64 ", %zu of them\n", view->index, view->frames);
 *     return AQ_OK;                                   // AQ_STOPPED: the thread stops; an error: it fails
 * }
 *
 * check(aq_poll_thread_new(input, show, NULL, NULL, &thread));
 * check(aq_poll_thread_start(thread));
 * aq_poll_thread_wait(thread, AQ_WAIT_FOREVER);       // until the input ends
 * aq_poll_thread_free(thread);
 * ```
 * ============================================================================================================= */

/** The input has ended, and the thread with it. */
#define AQ_POLL_ENDED 0
/** Something came that was no chunk of the stream. The thread goes on. */
#define AQ_POLL_MALFORMED 1
/** The thread ends by an error: of its function mostly. */
#define AQ_POLL_FAILED 2

/** A thread that calls a function for each chunk of an input. */
typedef struct aq_poll_thread aq_poll_thread;

/**
 * Takes a chunk.
 *
 * - called from: the poll thread, one call at a time
 * - may block: yes; chunks wait in the input meanwhile, or what its output's overflow policy says happens
 * - may call: anything but what would wait for itself: starting, stopping, connecting, waiting for and freeing the same poll thread or its graph, which is
 *   AQ_E_STATE
 * - valid until: it returns, the view. To keep the frames, copy the struct and call aq_array_view_init() on the one that was given: the copy is then the
 *   program's to release
 * - on error: it answers a negative number (an AQ_E_*): the thread ends with that error. AQ_STOPPED stops it without one; else AQ_OK
 */
typedef aq_status (*aq_poll_thread_fn)(aq_array_view *view, void *user);

/**
 * Hears of what is not a chunk. `event` is one of AQ_POLL_*; `status` AQ_OK, or an error of which aq_last_error() has the sentence.
 *
 * - called from: the poll thread, as aq_poll_thread_fn
 * - may block: yes, as aq_poll_thread_fn
 * - may call: as aq_poll_thread_fn
 * - valid until: there is nothing to be
 * - on error: there is no way to report one
 */
typedef void (*aq_poll_event_fn)(int32_t event, aq_status status, void *user);

/**
 * Makes a thread that calls a function for each chunk of an input.
 *
 * @param input the input, which it shares
 * @param callback the function
 * @param user passed to it
 * @param user_free releases user, once, after the last call; may be NULL
 * @param out receives the poll thread, not started yet; free it with aq_poll_thread_free()
 * @return AQ_OK; AQ_E_INVALID when callback is NULL; AQ_E_IO when there is no descriptor left
 *
 * Threads: any.
 */
aq_status aq_poll_thread_new(const aq_input_stream *input, aq_poll_thread_fn callback, void *user,
    aq_user_free_fn user_free, aq_poll_thread **out);

/**
 * Makes a thread that calls a function for each chunk of an output, by an input of its own. It gets what is sent from then on.
 *
 * @param output the output
 * @param callback the function
 * @param user passed to it
 * @param user_free releases user, once, after the last call; may be NULL
 * @param out receives the poll thread, not started yet; free it with aq_poll_thread_free()
 * @return AQ_OK; AQ_E_INVALID when callback is NULL; what aq_input_stream_connect() answers
 *
 * Threads: any.
 */
aq_status aq_poll_thread_new_on_output(const aq_output_stream *output, aq_poll_thread_fn callback, void *user,
    aq_user_free_fn user_free, aq_poll_thread **out);

/**
 * Has a function called when the input ends, when something comes that is no chunk, and when the thread fails.
 *
 * @param thread the poll thread
 * @param callback the function, instead of the one before; NULL: none
 * @param user passed to it
 * @param user_free releases user, once, after the last call; may be NULL
 * @return AQ_OK
 *
 * Threads: any. A call of the function before may still be running.
 */
aq_status aq_poll_thread_set_event_callback(aq_poll_thread *thread, aq_poll_event_fn callback, void *user,
    aq_user_free_fn user_free);

/**
 * Takes from another input from the next start on: that of a producer that was started anew, say.
 *
 * @param thread the poll thread, which does not run
 * @param input the input, of a stream with the same frames
 * @return AQ_OK; AQ_E_STATE when it runs, or in its own callback; AQ_E_INVALID when the frames have another shape or type
 *
 * Threads: any.
 */
aq_status aq_poll_thread_connect(aq_poll_thread *thread, const aq_input_stream *input);

/**
 * Starts the thread. What waits in the input comes first.
 *
 * @param thread the poll thread
 * @return AQ_OK; AQ_E_STATE when it runs already, or in its own callback, or while another thread waits in a call of its input; AQ_E_IO when
 *     there is no thread or descriptor left
 *
 * Threads: any.
 */
aq_status aq_poll_thread_start(aq_poll_thread *thread);

/**
 * Stops the thread, and waits for the callback in flight. What it did not get to waits for the next start. Does nothing when it does not run.
 *
 * @param thread the poll thread
 * @return AQ_OK; AQ_E_STATE in its own callback; else what it failed with while it was being stopped: it has stopped nevertheless
 *
 * Threads: any; it waits for a start or stop by another thread.
 */
aq_status aq_poll_thread_stop(aq_poll_thread *thread);

/**
 * Waits until the thread does not run.
 *
 * @param thread the poll thread
 * @param timeout_ns how long at most; see "Waiting"
 * @return AQ_OK when its input has ended, and all that came was dealt with; AQ_STOPPED when it was stopped, or not started yet; AQ_EMPTY or
 *     AQ_TIMEOUT when it runs; AQ_E_STATE when its own callback would wait; else what it failed with: aq_last_error() has the sentence
 *
 * Threads: any.
 */
aq_status aq_poll_thread_wait(const aq_poll_thread *thread, int64_t timeout_ns);

/**
 * How the thread is doing.
 *
 * @param thread the poll thread
 * @param running receives 1 if it runs, else 0; may be NULL
 * @return AQ_OK, or the last error since it was started, also one after which it went on: aq_last_error() then has the sentence, and running is
 *     written nevertheless
 *
 * Threads: any.
 */
aq_status aq_poll_thread_status(const aq_poll_thread *thread, int32_t *running);

/**
 * What was counted.
 *
 * @param thread the poll thread
 * @param stats receives it; initialised with aq_stream_node_stats_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_poll_thread_get_stats(const aq_poll_thread *thread, aq_stream_node_stats *stats);

/**
 * Stops the thread, if it runs and is not in a graph, and frees the handle. A graph keeps it alive.
 *
 * @param thread the poll thread, or NULL, which does nothing
 * @return AQ_OK; AQ_E_STATE in its own callback, which does nothing; AQ_E_INVALID when it is none, or freed already as far as that can be seen
 *
 * Threads: no other call on this handle may be running or follow.
 */
aq_status aq_poll_thread_free(aq_poll_thread *thread);

/* =============================================================================================================
 * Stream converters
 *
 * A converter sends the chunks of an input, at the same indices, through an output of another kind: another transport or compression.
 * ============================================================================================================= */

/** A thread that sends the chunks of an input through an output of another kind. */
typedef struct aq_stream_converter aq_stream_converter;

/**
 * Makes a converter, and its output.
 *
 * @param input the input, which it shares
 * @param config how the output is opened; copied; NULL for the defaults. dtype: the type of its elements; NULL: that of the input. What the frames are
 *     besides (shape, axisorder, streamtype, sample_rate, units, scale, offset, fill, extra_json) is that of the input, whatever it says
 * @param out receives the converter, not started yet; free it with aq_stream_converter_free()
 * @return AQ_OK; AQ_E_INVALID when the type cannot be had; what aq_output_stream_new() answers
 *
 * Threads: any.
 */
aq_status aq_stream_converter_new(const aq_input_stream *input, const aq_output_stream_config *config,
    aq_stream_converter **out);

/**
 * The output: to connect inputs to, and to ask for its statistics.
 *
 * @param converter the converter
 * @param out receives a handle of the output; free it with aq_output_stream_free(), which closes it when the converter is freed, too
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_stream_converter_get_output(const aq_stream_converter *converter, aq_output_stream **out);

/**
 * Takes from another input from the next start on: that of a producer that was started anew, say.
 *
 * @param converter the converter, which does not run
 * @param input the input, of a stream with the same frames
 * @return AQ_OK; AQ_E_STATE when it runs, or in its own callback; AQ_E_INVALID when the frames have another shape or type
 *
 * Threads: any.
 */
aq_status aq_stream_converter_connect(aq_stream_converter *converter, const aq_input_stream *input);

/**
 * Starts the thread. What waits in the input comes first.
 *
 * @param converter the converter
 * @return AQ_OK; AQ_E_STATE when it runs already, or in its own callback, or while another thread waits in a call of its input; AQ_E_IO when
 *     there is no thread or descriptor left
 *
 * Threads: any.
 */
aq_status aq_stream_converter_start(aq_stream_converter *converter);

/**
 * Stops the thread, and waits for the callback in flight. What it did not get to waits for the next start. Does nothing when it does not run.
 *
 * @param converter the converter
 * @return AQ_OK; AQ_E_STATE in its own callback; else what it failed with while it was being stopped: it has stopped nevertheless
 *
 * Threads: any; it waits for a start or stop by another thread.
 */
aq_status aq_stream_converter_stop(aq_stream_converter *converter);

/**
 * Waits until the thread does not run.
 *
 * @param converter the converter
 * @param timeout_ns how long at most; see "Waiting"
 * @return AQ_OK when its input has ended, and all that came was dealt with; AQ_STOPPED when it was stopped, or not started yet; AQ_EMPTY or
 *     AQ_TIMEOUT when it runs; AQ_E_STATE when its own callback would wait; else what it failed with: aq_last_error() has the sentence
 *
 * Threads: any.
 */
aq_status aq_stream_converter_wait(const aq_stream_converter *converter, int64_t timeout_ns);

/**
 * How the thread is doing.
 *
 * @param converter the converter
 * @param running receives 1 if it runs, else 0; may be NULL
 * @return AQ_OK, or the last error since it was started, also one after which it went on: aq_last_error() then has the sentence, and running is
 *     written nevertheless
 *
 * Threads: any.
 */
aq_status aq_stream_converter_status(const aq_stream_converter *converter, int32_t *running);

/**
 * What was counted.
 *
 * @param converter the converter
 * @param stats receives it; initialised with aq_stream_node_stats_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_stream_converter_get_stats(const aq_stream_converter *converter, aq_stream_node_stats *stats);

/**
 * Stops the thread, if it runs and is not in a graph, and frees the handle. A graph keeps it alive.
 *
 * @param converter the converter, or NULL, which does nothing
 * @return AQ_OK; AQ_E_STATE in its own callback, which does nothing; AQ_E_INVALID when it is none, or freed already as far as that can be seen
 *
 * Threads: no other call on this handle may be running or follow.
 */
aq_status aq_stream_converter_free(aq_stream_converter *converter);

/* =============================================================================================================
 * Channel splitters
 *
 * A splitter sends some channels each of an input through several outputs, at the same indices. Channels are the second axis of chunks, behind time.
 *
 * ```c
 * const size_t odd[] = {1, 3, 5, 7}, first[] = {0};
 * const aq_channel_selection selections[] = {{"odd", odd, 4}, {"first", first, 1}};
 * config.protocol = AQ_PROTOCOL_INPROC;
 * check(aq_channel_splitter_new(input, &config, selections, 2, &splitter));
 * check(aq_channel_splitter_get_output(splitter, "odd", &output));    // to connect inputs to
 * check(aq_channel_splitter_start(splitter));
 * ```
 * ============================================================================================================= */

/** A thread that sends some channels each of an input through several outputs. */
typedef struct aq_channel_splitter aq_channel_splitter;

/** Channels that go through an output. */
typedef struct aq_channel_selection {
    /** The name of the output within the splitter. */
    const char *name;
    /** The channels in the order that they are to have; each counted from 0. The same may be there twice. */
    const size_t *channels;
    /** How many; 1 to 2^20. */
    size_t n_channels;
} aq_channel_selection;

/**
 * Makes a splitter, and its outputs.
 *
 * @param input the input, which it shares
 * @param config how each output is opened; copied; NULL for the defaults. What the frames are (dtype, shape, axisorder, streamtype, sample_rate, units, scale,
 *     offset, fill, extra_json) is that of the input, whatever it says; shape and `channel_info` are those of the channels. A port or path can be that of
 *     one output only
 * @param selections the outputs; copied
 * @param n_selections how many; 1 to 4096
 * @param out receives the splitter, not started yet; free it with aq_channel_splitter_free()
 * @return AQ_OK; AQ_E_INVALID when there are no channels, or one that the input has not: the message names it; what aq_output_stream_new() answers
 *
 * Threads: any.
 */
aq_status aq_channel_splitter_new(const aq_input_stream *input, const aq_output_stream_config *config,
    const aq_channel_selection *selections, size_t n_selections, aq_channel_splitter **out);

/**
 * One of the outputs: to connect inputs to, and to ask for its statistics.
 *
 * @param splitter the splitter
 * @param name its name
 * @param out receives a handle of the output; free it with aq_output_stream_free(), which closes it when the splitter is freed, too
 * @return AQ_OK; AQ_E_NOT_FOUND when there is none of that name
 *
 * Threads: any.
 */
aq_status aq_channel_splitter_get_output(const aq_channel_splitter *splitter, const char *name,
    aq_output_stream **out);

/**
 * Takes from another input from the next start on: that of a producer that was started anew, say.
 *
 * @param splitter the splitter, which does not run
 * @param input the input, of a stream with the same frames
 * @return AQ_OK; AQ_E_STATE when it runs, or in its own callback; AQ_E_INVALID when the frames have another shape or type
 *
 * Threads: any.
 */
aq_status aq_channel_splitter_connect(aq_channel_splitter *splitter, const aq_input_stream *input);

/**
 * Starts the thread. What waits in the input comes first.
 *
 * @param splitter the splitter
 * @return AQ_OK; AQ_E_STATE when it runs already, or in its own callback, or while another thread waits in a call of its input; AQ_E_IO when
 *     there is no thread or descriptor left
 *
 * Threads: any.
 */
aq_status aq_channel_splitter_start(aq_channel_splitter *splitter);

/**
 * Stops the thread, and waits for the callback in flight. What it did not get to waits for the next start. Does nothing when it does not run.
 *
 * @param splitter the splitter
 * @return AQ_OK; AQ_E_STATE in its own callback; else what it failed with while it was being stopped: it has stopped nevertheless
 *
 * Threads: any; it waits for a start or stop by another thread.
 */
aq_status aq_channel_splitter_stop(aq_channel_splitter *splitter);

/**
 * Waits until the thread does not run.
 *
 * @param splitter the splitter
 * @param timeout_ns how long at most; see "Waiting"
 * @return AQ_OK when its input has ended, and all that came was dealt with; AQ_STOPPED when it was stopped, or not started yet; AQ_EMPTY or
 *     AQ_TIMEOUT when it runs; AQ_E_STATE when its own callback would wait; else what it failed with: aq_last_error() has the sentence
 *
 * Threads: any.
 */
aq_status aq_channel_splitter_wait(const aq_channel_splitter *splitter, int64_t timeout_ns);

/**
 * How the thread is doing.
 *
 * @param splitter the splitter
 * @param running receives 1 if it runs, else 0; may be NULL
 * @return AQ_OK, or the last error since it was started, also one after which it went on: aq_last_error() then has the sentence, and running is
 *     written nevertheless
 *
 * Threads: any.
 */
aq_status aq_channel_splitter_status(const aq_channel_splitter *splitter, int32_t *running);

/**
 * What was counted.
 *
 * @param splitter the splitter
 * @param stats receives it; initialised with aq_stream_node_stats_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_channel_splitter_get_stats(const aq_channel_splitter *splitter, aq_stream_node_stats *stats);

/**
 * Stops the thread, if it runs and is not in a graph, and frees the handle. A graph keeps it alive.
 *
 * @param splitter the splitter, or NULL, which does nothing
 * @return AQ_OK; AQ_E_STATE in its own callback, which does nothing; AQ_E_INVALID when it is none, or freed already as far as that can be seen
 *
 * Threads: no other call on this handle may be running or follow.
 */
aq_status aq_channel_splitter_free(aq_channel_splitter *splitter);

/* =============================================================================================================
 * Chunk resizers
 *
 * A resizer sends the frames of an input, at the same indices, in chunks of a length. Chunks are shorter where the frames that would complete them
 * are missing, or are not to come: in front of a gap, at a stop and at the end. The frame behind a gap begins a new chunk.
 * ============================================================================================================= */

/** A thread that sends the frames of an input in chunks of a length. */
typedef struct aq_chunk_resizer aq_chunk_resizer;

/**
 * Makes a resizer, and its output.
 *
 * @param input the input, which it shares
 * @param config how the output is opened; copied; NULL for the defaults. What the frames are (dtype, shape, axisorder, streamtype, sample_rate, units, scale,
 *     offset, fill, extra_json) is that of the input, whatever it says
 * @param frames frames of a chunk; at least 1
 * @param out receives the resizer, not started yet; free it with aq_chunk_resizer_free()
 * @return AQ_OK; AQ_E_INVALID when frames is 0; what aq_output_stream_new() answers
 *
 * Threads: any.
 */
aq_status aq_chunk_resizer_new(const aq_input_stream *input, const aq_output_stream_config *config,
    size_t frames, aq_chunk_resizer **out);

/**
 * The output: to connect inputs to, and to ask for its statistics.
 *
 * @param resizer the resizer
 * @param out receives a handle of the output; free it with aq_output_stream_free(), which closes it when the resizer is freed, too
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_chunk_resizer_get_output(const aq_chunk_resizer *resizer, aq_output_stream **out);

/**
 * Takes from another input from the next start on: that of a producer that was started anew, say.
 *
 * @param resizer the resizer, which does not run
 * @param input the input, of a stream with the same frames
 * @return AQ_OK; AQ_E_STATE when it runs, or in its own callback; AQ_E_INVALID when the frames have another shape or type
 *
 * Threads: any.
 */
aq_status aq_chunk_resizer_connect(aq_chunk_resizer *resizer, const aq_input_stream *input);

/**
 * Starts the thread. What waits in the input comes first.
 *
 * @param resizer the resizer
 * @return AQ_OK; AQ_E_STATE when it runs already, or in its own callback, or while another thread waits in a call of its input; AQ_E_IO when
 *     there is no thread or descriptor left
 *
 * Threads: any.
 */
aq_status aq_chunk_resizer_start(aq_chunk_resizer *resizer);

/**
 * Stops the thread, and waits for the callback in flight. What it did not get to waits for the next start. Does nothing when it does not run.
 *
 * @param resizer the resizer
 * @return AQ_OK; AQ_E_STATE in its own callback; else what it failed with while it was being stopped: it has stopped nevertheless
 *
 * Threads: any; it waits for a start or stop by another thread.
 */
aq_status aq_chunk_resizer_stop(aq_chunk_resizer *resizer);

/**
 * Waits until the thread does not run.
 *
 * @param resizer the resizer
 * @param timeout_ns how long at most; see "Waiting"
 * @return AQ_OK when its input has ended, and all that came was dealt with; AQ_STOPPED when it was stopped, or not started yet; AQ_EMPTY or
 *     AQ_TIMEOUT when it runs; AQ_E_STATE when its own callback would wait; else what it failed with: aq_last_error() has the sentence
 *
 * Threads: any.
 */
aq_status aq_chunk_resizer_wait(const aq_chunk_resizer *resizer, int64_t timeout_ns);

/**
 * How the thread is doing.
 *
 * @param resizer the resizer
 * @param running receives 1 if it runs, else 0; may be NULL
 * @return AQ_OK, or the last error since it was started, also one after which it went on: aq_last_error() then has the sentence, and running is
 *     written nevertheless
 *
 * Threads: any.
 */
aq_status aq_chunk_resizer_status(const aq_chunk_resizer *resizer, int32_t *running);

/**
 * What was counted.
 *
 * @param resizer the resizer
 * @param stats receives it; initialised with aq_stream_node_stats_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_chunk_resizer_get_stats(const aq_chunk_resizer *resizer, aq_stream_node_stats *stats);

/**
 * Stops the thread, if it runs and is not in a graph, and frees the handle. A graph keeps it alive.
 *
 * @param resizer the resizer, or NULL, which does nothing
 * @return AQ_OK; AQ_E_STATE in its own callback, which does nothing; AQ_E_INVALID when it is none, or freed already as far as that can be seen
 *
 * Threads: no other call on this handle may be running or follow.
 */
aq_status aq_chunk_resizer_free(aq_chunk_resizer *resizer);

/* =============================================================================================================
 * Graphs of nodes
 *
 * A graph starts and stops nodes that feed each other: each is started before those that it takes from, so that nothing is missed, and stopped
 * behind them, when it has dealt with what they have sent, so that nothing is lost on its way. It sees who feeds whom from the params with which inputs
 * were connected; aq_stream_graph_link() tells it where these were changed.
 *
 * ```c
 * check(aq_stream_graph_new(&graph));
 * check(aq_stream_graph_add_channel_splitter(graph, "split", splitter));
 * check(aq_stream_graph_add_poll_thread(graph, "show", thread));
 * check(aq_stream_graph_start(graph));
 * status = aq_stream_graph_wait(graph, AQ_WAIT_FOREVER);      // AQ_OK: all sources have ended; or who failed first
 * aq_stream_graph_stop(graph, 1000000000);
 * aq_stream_graph_free(graph);
 * ```
 * ============================================================================================================= */

/** Nodes that feed each other. */
typedef struct aq_stream_graph aq_stream_graph;

/**
 * Makes a graph without nodes.
 *
 * @param out receives the graph; free it with aq_stream_graph_free()
 * @return AQ_OK; AQ_E_IO when there is no descriptor left
 *
 * Threads: any.
 */
aq_status aq_stream_graph_new(aq_stream_graph **out);

/**
 * Adds a poll thread, which the graph then shares.
 *
 * @param graph the graph, which is stopped
 * @param name a name of its own
 * @param thread the poll thread; of one graph only
 * @return AQ_OK; AQ_E_INVALID when there is a node of that name; AQ_E_STATE when it is in a graph already, or this one was started
 *
 * Threads: any.
 */
aq_status aq_stream_graph_add_poll_thread(aq_stream_graph *graph, const char *name, aq_poll_thread *thread);

/**
 * Adds a stream converter, which the graph then shares.
 *
 * @param graph the graph, which is stopped
 * @param name a name of its own
 * @param converter the stream converter; of one graph only
 * @return AQ_OK; AQ_E_INVALID when there is a node of that name; AQ_E_STATE when it is in a graph already, or this one was started
 *
 * Threads: any.
 */
aq_status aq_stream_graph_add_stream_converter(aq_stream_graph *graph, const char *name,
    aq_stream_converter *converter);

/**
 * Adds a channel splitter, which the graph then shares.
 *
 * @param graph the graph, which is stopped
 * @param name a name of its own
 * @param splitter the channel splitter; of one graph only
 * @return AQ_OK; AQ_E_INVALID when there is a node of that name; AQ_E_STATE when it is in a graph already, or this one was started
 *
 * Threads: any.
 */
aq_status aq_stream_graph_add_channel_splitter(aq_stream_graph *graph, const char *name,
    aq_channel_splitter *splitter);

/**
 * Adds a chunk resizer, which the graph then shares.
 *
 * @param graph the graph, which is stopped
 * @param name a name of its own
 * @param resizer the chunk resizer; of one graph only
 * @return AQ_OK; AQ_E_INVALID when there is a node of that name; AQ_E_STATE when it is in a graph already, or this one was started
 *
 * Threads: any.
 */
aq_status aq_stream_graph_add_chunk_resizer(aq_stream_graph *graph, const char *name, aq_chunk_resizer *resizer);

/**
 * Tells that one node takes what another sends, where that cannot be seen: because its input was connected by another address than the output's own.
 *
 * @param graph the graph, which is stopped
 * @param from the name of the node that sends
 * @param to the name of the node that takes
 * @return AQ_OK; AQ_E_NOT_FOUND when there is no node of that name; AQ_E_STATE when the graph was started
 *
 * Threads: any.
 */
aq_status aq_stream_graph_link(aq_stream_graph *graph, const char *from, const char *to);

/**
 * Starts all nodes, each before those that it takes from.
 *
 * @param graph the graph
 * @return AQ_OK; AQ_E_INVALID when nodes take from each other in a circle; AQ_E_STATE when it was started and not stopped, or in a callback of one
 *     of its nodes; else what the first node that cannot be started answers, whose name is in aq_last_error(): none is left running
 *
 * Threads: any.
 */
aq_status aq_stream_graph_start(aq_stream_graph *graph);

/**
 * Stops all nodes, each behind those that it takes from, when it has dealt with what they have sent. What waits for those that take from outside the graph
 * stays there.
 *
 * @param graph the graph
 * @param timeout_ns how long to wait for what is on its way; see "Waiting". Then, or with 0, nodes are stopped at once: what they have taken is kept for
 *     the next start, the rest waits in their inputs
 * @return AQ_OK when nothing was left on its way, also when it was not started; AQ_TIMEOUT when something was; AQ_E_STATE in a callback of one of its nodes;
 *     else what the first node that failed since the start failed with, whose name is in aq_last_error(). All have stopped nevertheless, but for
 *     AQ_E_STATE
 *
 * Threads: any; it waits for a start or stop by another thread.
 */
aq_status aq_stream_graph_stop(aq_stream_graph *graph, int64_t timeout_ns);

/**
 * Waits until all nodes that take from outside the graph have ended, or one has failed. The others go on until the graph is stopped.
 *
 * @param graph the graph
 * @param timeout_ns how long at most; see "Waiting"
 * @return AQ_OK when they have ended; AQ_STOPPED when the graph was stopped, or not started yet; AQ_EMPTY or AQ_TIMEOUT when it runs; AQ_E_STATE when
 *     a callback of one of its nodes would wait; else what the first node that failed did so with, whose name is in aq_last_error()
 *
 * Threads: any.
 */
aq_status aq_stream_graph_wait(const aq_stream_graph *graph, int64_t timeout_ns);

/**
 * A file descriptor that is readable (POLLIN) while aq_stream_graph_wait() would not wait.
 *
 * @param graph the graph
 * @param fd receives the descriptor. It belongs to the graph, until aq_stream_graph_free(): only poll it, do not read or close it
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_stream_graph_fd(const aq_stream_graph *graph, int *fd);

/**
 * Stops all nodes at once, and frees the graph. Nodes whose handles were freed before are freed with it.
 *
 * @param graph the graph, or NULL, which does nothing
 * @return AQ_OK; AQ_E_STATE in a callback of one of its nodes, which does nothing; AQ_E_INVALID when it is none, or freed already as far as that can
 *     be seen
 *
 * Threads: no other call on this graph may be running or follow.
 */
aq_status aq_stream_graph_free(aq_stream_graph *graph);

/* =============================================================================================================
 * Types of elements
 *
 * What an element of a dataset is: a number, a text, a record of named fields, or a small array of one of these. The text in `dtype` is that of signal
 * streams (aq_stream_info), as numpy writes it; the other fields say the same for those who do not want to read it.
 *
 * ```c
 * aq_element_type type, field;
 * aq_element_type_init(&type, sizeof type);
 * aq_element_type_init(&field, sizeof field);
 * aq_dataset_dtype(dataset, &type);              // "<f4"; a table: [["time","<f8"],["wave","<i2",[512]]]
 * for (size_t i = 0; i < type.n_fields; i++) {
 *     aq_dataset_field(dataset, i, &field);
 *     printf("%s: %s at byte %zu\n", field.name, field.dtype, field.offset);
 * }
 * ```
 * ============================================================================================================= */

/** A signed integer in two's complement, of 1, 2, 4 or 8 bytes. */
#define AQ_ELEMENT_INT 0
/** An unsigned integer of 1, 2, 4 or 8 bytes. */
#define AQ_ELEMENT_UINT 1
/** An IEEE 754 number of 2, 4 or 8 bytes. */
#define AQ_ELEMENT_FLOAT 2
/** Text of a fixed number of bytes, padded; there need not be a NUL at its end. */
#define AQ_ELEMENT_TEXT 3
/** Bytes without a meaning. */
#define AQ_ELEMENT_OPAQUE 4
/** Named fields. */
#define AQ_ELEMENT_RECORD 5

/**
 * What an element is, or a field of it. Initialise it with aq_element_type_init() first. What it points to belongs to the handle that was asked, and
 * is valid until that is freed.
 */
typedef struct aq_element_type {
    /** Set by aq_element_type_init(). */
    size_t struct_size;
    /** The name of a field; NULL where it is no field. */
    const char *name;
    /**
     * The type of an element, or of each of its items where it is an array: as numpy writes it ("<f4", "|S7"), or a JSON list of fields, in the order of
     * their bytes, each a list of its name, its type and, if it is an array, its shape. Bytes that no field has are a field named "".
     */
    const char *dtype;
    /** Bytes of an element, all items of an array included. */
    size_t size;
    /** Of a field: bytes of its record before it. */
    size_t offset;
    /** One of AQ_ELEMENT_*: what an element is, or each of its items. */
    int32_t kind;
    /** 1 where numbers have their most significant byte first; 0 where not, or where that means nothing. Of a record its fields say it. */
    int32_t big_endian;
    /** Bytes of an item; `size`, but of an array. */
    size_t item_size;
    /** Axes of an element that is an array; mostly 0. */
    size_t ndim;
    /** Items along each of them, in C order. */
    const size_t *shape;
    /** Fields of a record, without those in fields of it; 0 of others. */
    size_t n_fields;
} aq_element_type;

/**
 * Writes zeros, and the struct's size.
 *
 * @param element the struct
 * @param struct_size sizeof *element
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_element_type_init(aq_element_type *element, size_t struct_size);

/* =============================================================================================================
 * Datasets
 *
 * A dataset of an HDF5 file, of aq_reader_get_dataset(): an array of rows, which are its elements along the first axis. What is told of it is what was in
 * the file when it was opened, or when aq_dataset_refresh() was called last.
 *
 * Its bytes are read by the library's own threads, without libhdf5, where it can: aq_dataset_path_kind() tells.
 * ============================================================================================================= */

/** Rows are read from where they are in the file. */
#define AQ_PATH_CONTIGUOUS 0
/** Chunks are read and unpacked by this library, in parallel. */
#define AQ_PATH_CHUNKS 1
/** Chunks are unpacked by this library, but looked up and read by libhdf5, one at a time. */
#define AQ_PATH_LIBRARY_CHUNKS 2
/** libhdf5 reads, one request at a time: aq_dataset_path_reason() says why. */
#define AQ_PATH_LIBRARY 3

/** A dataset of an open file. */
typedef struct aq_dataset aq_dataset;

/**
 * Elements along each axis: rows first.
 *
 * @param dataset the dataset
 * @param shape receives ndim numbers; may be NULL when capacity is 0
 * @param capacity numbers that it has space for
 * @param ndim receives how many axes there are, at least 1, also when they do not fit
 * @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape
 *
 * Threads: any.
 */
aq_status aq_dataset_shape(const aq_dataset *dataset, uint64_t *shape, size_t capacity, size_t *ndim);

/**
 * Elements that it may ever have along each axis; UINT64_MAX: any number.
 *
 * @param dataset the dataset
 * @param shape receives ndim numbers; may be NULL when capacity is 0
 * @param capacity numbers that it has space for
 * @param ndim receives how many axes there are, also when they do not fit
 * @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape
 *
 * Threads: any.
 */
aq_status aq_dataset_max_shape(const aq_dataset *dataset, uint64_t *shape, size_t capacity, size_t *ndim);

/**
 * Elements of a chunk along each axis.
 *
 * @param dataset the dataset
 * @param shape receives ndim numbers; may be NULL when capacity is 0
 * @param capacity numbers that it has space for
 * @param ndim receives how many axes there are, also when they do not fit; 0 when it is not read by chunks
 * @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape
 *
 * Threads: any.
 */
aq_status aq_dataset_chunk_shape(const aq_dataset *dataset, uint64_t *shape, size_t capacity, size_t *ndim);

/**
 * What an element is, in the file.
 *
 * @param dataset the dataset
 * @param element receives it; initialised with aq_element_type_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_dataset_dtype(const aq_dataset *dataset, aq_element_type *element);

/**
 * How many fields its elements have: 0, when they are no records.
 *
 * @param dataset the dataset
 * @param count receives it
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_dataset_field_count(const aq_dataset *dataset, size_t *count);

/**
 * A field of its records.
 *
 * @param dataset the dataset
 * @param index its number, from 0 on, in the order of the file
 * @param field receives its name, its place and what it is; initialised with aq_element_type_init()
 * @return AQ_OK; AQ_E_NOT_FOUND when there are fewer fields
 *
 * Threads: any.
 */
aq_status aq_dataset_field(const aq_dataset *dataset, size_t index, aq_element_type *field);

/**
 * By which way it is read.
 *
 * @param dataset the dataset
 * @param kind receives one of AQ_PATH_*
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_dataset_path_kind(const aq_dataset *dataset, int32_t *kind);

/**
 * Why it is not read by a faster way, for people; empty where there is none.
 *
 * @param dataset the dataset
 * @param buffer receives the text and its NUL; may be NULL when size is 0
 * @param size its bytes
 * @param needed receives how many bytes the text and its NUL take, also when they do not fit; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when it does not fit, and nothing was written to buffer
 *
 * Threads: any.
 */
aq_status aq_dataset_path_reason(const aq_dataset *dataset, char *buffer, size_t size, size_t *needed);

/**
 * Looks at the file again: the dataset may have grown, and its chunks may be elsewhere. Requests from then on are of what is there now; those before are not
 * changed. When it fails, everything stays as it was.
 *
 * Rows that another program appends to a file are there when it has flushed them: a file that is written with SWMR (H5Fstart_swmr_write()) can be followed
 * at any time; of others, what is read while it is written may be of before, or an error.
 *
 * @param dataset the dataset
 * @return AQ_OK; AQ_E_NOT_FOUND when it was deleted; AQ_E_FORMAT when the file is damaged, or not consistent at this moment; AQ_E_STATE when there is another
 *     file of that name now, or another dataset, of another type; AQ_E_IO
 *
 * Threads: any; one refreshes at a time, the others wait for it.
 *
 * ```c
 * while (running) {                              // rows of a file that grows
 *     check(aq_dataset_refresh(dataset));
 *     check(aq_dataset_shape(dataset, shape, MAX_DIMS, &ndim));
 *     if (shape[0] > rows) { ... request rows to shape[0] ... }
 *     else { ... wait a moment ... }
 * }
 * ```
 */
aq_status aq_dataset_refresh(aq_dataset *dataset);

/**
 * Frees a dataset's handle. Requests that were made of it go on.
 *
 * @param dataset the dataset, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no dataset, or freed already as far as that can be seen
 *
 * Threads: no other call on this dataset may be running or follow.
 */
aq_status aq_dataset_free(aq_dataset *dataset);

/* =============================================================================================================
 * Selections
 *
 * What of a dataset is wanted, as numpy's indexing has it: along each axis everything, one element, a slice, a list of indexes, or those of a mask; the
 * first axis is that of rows. A selection begins as everything, and is of no dataset: whether it is within one is found out when it is used.
 *
 * Indexes that are negative count from the end. An index out of range is an error; slices are clipped.
 *
 * ```c
 * check(aq_selection_new(&selection));
 * check(aq_selection_slice(selection, 0, 100, AQ_SLICE_OPEN, 2));   // [100::2, ..., 3]
 * check(aq_selection_index(selection, 2, 3));
 * ```
 * ============================================================================================================= */

/** Instead of the start or the stop of a slice: the end of the axis that the step comes from, or goes to. */
#define AQ_SLICE_OPEN INT64_MIN

/** A selection. */
typedef struct aq_selection aq_selection;

/**
 * Makes a selection of everything.
 *
 * @param out receives the selection; free it with aq_selection_free()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_selection_new(aq_selection **out);

/**
 * Wants everything along an axis, again.
 *
 * @param selection the selection
 * @param axis its number; 0: rows
 * @return AQ_OK; AQ_E_INVALID when HDF5 has no such axis
 *
 * Threads: any; requests that were made with the selection are not changed.
 */
aq_status aq_selection_all(aq_selection *selection, size_t axis);

/**
 * Wants one element along an axis, which the result does not have then.
 *
 * @param selection the selection
 * @param axis its number; 0: rows
 * @param index the element; negative: from the end, -1 being the last
 * @return AQ_OK; AQ_E_INVALID when HDF5 has no such axis
 *
 * Threads: as aq_selection_all().
 */
aq_status aq_selection_index(aq_selection *selection, size_t axis, int64_t index);

/**
 * Wants a slice of an axis, as Python has it: clipped to what there is, and backwards with a negative step.
 *
 * @param selection the selection
 * @param axis its number; 0: rows
 * @param start the first; negative: from the end; AQ_SLICE_OPEN: the first of all, or with a negative step the last
 * @param stop the one behind the last; negative: from the end; AQ_SLICE_OPEN: as far as there are any
 * @param step from one to the next, not 0
 * @return AQ_OK; AQ_E_INVALID when step is 0, or HDF5 has no such axis
 *
 * Threads: as aq_selection_all().
 */
aq_status aq_selection_slice(aq_selection *selection, size_t axis, int64_t start, int64_t stop, int64_t step);

/**
 * Wants a list of elements along an axis, in this order, each as often as it is named.
 *
 * @param selection the selection
 * @param axis its number; 0: rows
 * @param indexes the elements; negative: from the end; copied; may be NULL when there are none
 * @param count how many
 * @return AQ_OK; AQ_E_INVALID when HDF5 has no such axis
 *
 * Threads: as aq_selection_all().
 */
aq_status aq_selection_list(aq_selection *selection, size_t axis, const int64_t *indexes, size_t count);

/**
 * Wants those elements of an axis for which a mask is not 0.
 *
 * @param selection the selection
 * @param axis its number; 0: rows
 * @param mask a byte for each element of the axis; copied; may be NULL when there are none
 * @param count how many; it must be as long as the axis of the dataset that the selection is used with
 * @return AQ_OK; AQ_E_INVALID when HDF5 has no such axis
 *
 * Threads: as aq_selection_all().
 */
aq_status aq_selection_mask(aq_selection *selection, size_t axis, const uint8_t *mask, size_t count);

/**
 * Wants one field of each record only.
 *
 * @param selection the selection
 * @param field its name; copied; NULL: whole records, again
 * @return AQ_OK; AQ_E_INVALID when it is not UTF-8
 *
 * Threads: as aq_selection_all().
 */
aq_status aq_selection_field(aq_selection *selection, const char *field);

/**
 * The shape of what is selected of a dataset, as it is now.
 *
 * @param selection the selection; NULL: everything
 * @param dataset the dataset
 * @param shape receives ndim numbers; may be NULL when capacity is 0
 * @param capacity numbers that it has space for
 * @param ndim receives how many axes are left, also when they do not fit: 0 when all have an index
 * @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape; AQ_E_INVALID when the selection is out of range: the message names
 *     axis, value and range; AQ_E_NOT_FOUND when there is no such field
 *
 * Threads: any.
 */
aq_status aq_selection_shape(const aq_selection *selection, const aq_dataset *dataset, uint64_t *shape,
    size_t capacity, size_t *ndim);

/**
 * Frees a selection. Requests that were made with it go on.
 *
 * @param selection the selection, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no selection, or freed already as far as that can be seen
 *
 * Threads: no other call on this selection may be running or follow.
 */
aq_status aq_selection_free(aq_selection *selection);

/* =============================================================================================================
 * Stages
 *
 * The memory that a reader reads results into. A stage serves one request at a time, from the request until its result is given back: copied
 * (aq_future_get()), looked at (aq_future_get_direct()), released (aq_array_view_release()), or given up (aq_future_free()). All stages together are what
 * requests can take. A stage may be used with any reader and dataset: only its size matters.
 * ============================================================================================================= */

/** A stage. */
typedef struct aq_stage aq_stage;

/** Several stages of the same size. */
typedef struct aq_stage_pool aq_stage_pool;

/**
 * Makes a stage that has space for so many elements of a dataset.
 *
 * @param dataset the dataset, of which the size of an element is taken, and what shape does not say
 * @param shape elements along each axis; -1: as many as the dataset has now; copied; may be NULL when ndim is 0
 * @param ndim numbers in it, no more than the dataset has axes; those that are missing are as -1
 * @param out receives the stage; free it with aq_stage_free()
 * @return AQ_OK; AQ_E_INVALID when shape is impossible; AQ_E_NOMEM
 *
 * Threads: any.
 *
 * ```c
 * const int64_t rows = 10;
 * check(aq_stage_new(dataset, &rows, 1, &stage));    // 10 rows
 * ```
 */
aq_status aq_stage_new(const aq_dataset *dataset, const int64_t *shape, size_t ndim, aq_stage **out);

/**
 * Bytes of a stage: no result may have more.
 *
 * @param stage the stage
 * @param size receives them
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_stage_size(const aq_stage *stage, size_t *size);

/**
 * Frees a stage. A request that has it keeps its memory until its result is given back.
 *
 * @param stage the stage, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no stage, or freed already as far as that can be seen
 *
 * Threads: no other call on this stage may be running or follow.
 */
aq_status aq_stage_free(aq_stage *stage);

/**
 * Makes several stages of the same size; aq_reader_request_pooled() takes one that is free.
 *
 * @param dataset as of aq_stage_new()
 * @param shape of each stage, as of aq_stage_new()
 * @param ndim as of aq_stage_new()
 * @param count how many stages, at least 1
 * @param out receives the pool; free it with aq_stage_pool_free()
 * @return AQ_OK; AQ_E_INVALID when shape or count are impossible; AQ_E_NOMEM
 *
 * Threads: any.
 */
aq_status aq_stage_pool_new(const aq_dataset *dataset, const int64_t *shape, size_t ndim, size_t count,
    aq_stage_pool **out);

/**
 * How many stages of a pool no request has now.
 *
 * @param pool the pool
 * @param count receives it
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_stage_pool_free_count(const aq_stage_pool *pool, size_t *count);

/**
 * Frees a pool. Requests that have stages of it keep these until their results are given back.
 *
 * @param pool the pool, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no pool, or freed already as far as that can be seen
 *
 * Threads: no other call on this pool may be running or follow.
 */
aq_status aq_stage_pool_free(aq_stage_pool *pool);

/* =============================================================================================================
 * Futures
 *
 * The result of a request, which is there or will be. It is taken once: copied, looked at by a function, or held as a view; others are answered
 * AQ_E_STATE then. Whatever became of it, the future is freed with aq_future_free(), which gives the stage back when nobody took the result.
 * ============================================================================================================= */

/** A future. */
typedef struct aq_future aq_future;

/**
 * Looks at a result where it is.
 *
 * - called from: aq_future_get_direct(), on the thread that calls it, once
 * - may block: yes; nothing of the library waits for it but the stage
 * - may call: any function of this library, also on the same reader; not aq_future_free() on this future
 * - valid until: view, and what it points to, until the function returns; it need not, and cannot, be released
 * - on error: it has no way to say so but by `user`
 */
typedef void (*aq_result_fn)(const aq_array_view *view, void *user);

/**
 * The shape of the result. It is known from the beginning.
 *
 * @param future the future
 * @param shape receives ndim numbers; may be NULL when capacity is 0
 * @param capacity numbers that it has space for
 * @param ndim receives how many axes there are, also when they do not fit: 0 when every axis was selected by an index
 * @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape
 *
 * Threads: any.
 */
aq_status aq_future_shape(const aq_future *future, uint64_t *shape, size_t capacity, size_t *ndim);

/**
 * Bytes of the result. They are known from the beginning.
 *
 * @param future the future
 * @param size receives them
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_future_size(const aq_future *future, size_t *size);

/**
 * Waits for the result and copies it. The stage is free then.
 *
 * @param future the future
 * @param timeout_ns how long to wait; see Waiting
 * @param out receives the items in C order; may be NULL when the result has no bytes
 * @param capacity its bytes, at least aq_future_size(): with less, nothing is taken
 * @return AQ_OK; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the reader was stopped before it was read; AQ_E_INVALID when capacity is too small; AQ_E_STATE when the
 *     result was taken before; AQ_E_FORMAT, AQ_E_TRUNCATED when the file is damaged where it was read: the message names the chunk; AQ_E_NOMEM; AQ_E_IO
 *
 * Threads: any, at the same time: one gets it.
 */
aq_status aq_future_get(aq_future *future, int64_t timeout_ns, void *out, size_t capacity);

/**
 * Waits for the result and has a function look at it where it is. The stage is free when the function has returned.
 *
 * @param future the future
 * @param timeout_ns how long to wait; see Waiting
 * @param function called with a view of the result: its `index` is 0
 * @param user what the function is called with; it stays the caller's
 * @return as aq_future_get()
 *
 * Threads: any, at the same time: one gets it.
 */
aq_status aq_future_get_direct(aq_future *future, int64_t timeout_ns, aq_result_fn function, void *user);

/**
 * Waits for the result and holds it where it is, until aq_array_view_release(), which frees the stage. The future may be freed before.
 *
 * @param future the future
 * @param timeout_ns how long to wait; see Waiting
 * @param view receives the result, in C order, of the dataset's or the field's type; its `index` is 0; initialised with aq_array_view_init(), and holding
 *     nothing
 * @return as aq_future_get(); AQ_E_STATE also when the view holds something
 *
 * Threads: any, at the same time: one gets it.
 */
aq_status aq_future_acquire(aq_future *future, int64_t timeout_ns, aq_array_view *view);

/**
 * Frees a future. A result that nobody took is forgotten, and its stage free as soon as nobody writes it; one that was not begun is not read.
 *
 * @param future the future, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no future, or freed already as far as that can be seen
 *
 * Threads: no other call on this future may be running or follow.
 */
aq_status aq_future_free(aq_future *future);

/* =============================================================================================================
 * Reading datasets at random
 *
 * A reader opens an HDF5 file and reads what is asked for in threads of its own: a request says what of a dataset is wanted, and which stage it is to be read
 * into; its result is taken from a future. Nothing is written to the file, and no lock is set on it.
 *
 * ```c
 * check(aq_reader_open("run.h5", NULL, &reader));
 * check(aq_reader_get_dataset(reader, "/adc/samples", &dataset));
 * check(aq_stage_new(dataset, (const int64_t[]){10}, 1, &stage));          // space for 10 rows
 * check(aq_selection_new(&selection));
 * check(aq_selection_slice(selection, 0, 5000, 5010, 1));
 *
 * check(aq_reader_request(reader, dataset, selection, stage, &future));
 * check(aq_future_get(future, AQ_WAIT_FOREVER, rows, sizeof rows));
 * check(aq_future_free(future));                                           // the stage can be used again
 * ```
 * ============================================================================================================= */

/** A reader of an HDF5 file. */
typedef struct aq_reader aq_reader;

/** How a reader reads. Initialise it with aq_reader_config_init() first. */
typedef struct aq_reader_config {
    /** Set by aq_reader_config_init(). */
    size_t struct_size;
    /** Threads that read and unpack, 1 to 4096; 4. */
    size_t n_threads;
    /** Bytes of unpacked chunks that are kept, as more of them may be wanted, of all datasets together; 0: none; 64 MiB. */
    size_t cache_bytes;
    /** 1: numbers are put into this machine's byte order; 0: they stay as they are in the file, as aq_dataset_dtype() tells; 0. */
    int32_t native;
    /** 0. */
    uint32_t reserved;
} aq_reader_config;

/** What became of requests: `requests` is the sum of `done`, `failed`, `stopped`, `dropped` and `pending`. Initialise it with aq_reader_stats_init() first. */
typedef struct aq_reader_stats {
    /** Set by aq_reader_stats_init(). */
    size_t struct_size;
    /** Requests that were accepted. */
    uint64_t requests;
    /** That have, or had, a result. */
    uint64_t done;
    /** That ended with an error. */
    uint64_t failed;
    /** That ended because the reader was stopped. */
    uint64_t stopped;
    /** Of which the future was freed before they were begun. */
    uint64_t dropped;
    /** That have not ended. */
    uint64_t pending;
    /** Bytes read from the file, packed where it has them packed. */
    uint64_t bytes_read;
    /** Chunks unpacked. */
    uint64_t chunks_decoded;
    /** Time that unpacking took, of all threads together, in nanoseconds. */
    uint64_t decode_ns;
} aq_reader_stats;

/**
 * Writes the defaults, and the struct's size.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_reader_config_init(aq_reader_config *config, size_t struct_size);

/**
 * Opens an HDF5 file, which another program may be writing, and starts the threads.
 *
 * @param path the file
 * @param config how to read; copied; NULL for the defaults
 * @param out receives the reader; free it with aq_reader_free()
 * @return AQ_OK; AQ_E_INVALID when a field of config is out of range, or path is not that of a file; AQ_E_IO when the system refuses to open it; AQ_E_FORMAT
 *     when it is no HDF5 file, a damaged one, or one that libhdf5 must not read while it is written (the newer file format without SWMR); AQ_E_UNSUPPORTED
 *     when this build is without the feature "hdf5"
 *
 * Threads: any.
 */
aq_status aq_reader_open(const char *path, const aq_reader_config *config, aq_reader **out);

/**
 * Opens a dataset of the file.
 *
 * @param reader the reader
 * @param name its path in the file: "/group/data"
 * @param out receives the dataset; free it with aq_dataset_free()
 * @return AQ_OK; AQ_E_NOT_FOUND when there is none; AQ_E_UNSUPPORTED when it has no axes, or elements of variable length; AQ_E_FORMAT when it is no
 *     dataset, or the file is damaged; AQ_E_STATE when there is another file of that name now; AQ_E_IO
 *
 * Threads: any.
 */
aq_status aq_reader_get_dataset(const aq_reader *reader, const char *name, aq_dataset **out);

/**
 * Asks for what is selected of a dataset to be read into a stage.
 *
 * Whether that is possible is found out at once: when it is not, there is no request, and the stage stays free.
 *
 * @param reader the reader
 * @param dataset the dataset, as it was when it was refreshed last; it may be of another reader
 * @param selection what of it; copied; NULL: everything
 * @param stage where to; no other request may have it
 * @param future receives the future; free it with aq_future_free()
 * @return AQ_OK; AQ_STOPPED when the reader is closed; AQ_E_INVALID when the selection is out of range, or the stage too small: the message names both sizes;
 *     AQ_E_NOT_FOUND when there is no such field; AQ_E_STATE when another request has the stage
 *
 * Threads: any, at the same time.
 */
aq_status aq_reader_request(aq_reader *reader, const aq_dataset *dataset, const aq_selection *selection,
    aq_stage *stage, aq_future **future);

/**
 * As aq_reader_request(), with a stage of a pool.
 *
 * @param reader the reader
 * @param dataset the dataset
 * @param selection what of it; copied; NULL: everything
 * @param pool the stages
 * @param timeout_ns how long to wait for one that is free; see Waiting
 * @param future receives the future; free it with aq_future_free()
 * @return as aq_reader_request(); AQ_EMPTY or AQ_TIMEOUT when no stage was free; AQ_STOPPED also when the reader is closed meanwhile
 *
 * Threads: any, at the same time.
 */
aq_status aq_reader_request_pooled(aq_reader *reader, const aq_dataset *dataset, const aq_selection *selection,
    aq_stage_pool *pool, int64_t timeout_ns, aq_future **future);

/**
 * Takes no more requests: those who ask, or wait for a stage, are answered AQ_STOPPED. Requests that are pending are read still.
 *
 * @param reader the reader
 * @param timeout_ns how long to wait until all have ended; 0: does not wait; see Waiting
 * @return AQ_OK when all have ended, or timeout_ns is 0; AQ_TIMEOUT
 *
 * Threads: any, at the same time.
 */
aq_status aq_reader_close(aq_reader *reader, int64_t timeout_ns);

/**
 * Takes no more requests, and ends those that are pending: their futures answer AQ_STOPPED. Results that are there can still be taken. Does not wait.
 *
 * @param reader the reader
 * @return AQ_OK
 *
 * Threads: any, at the same time.
 */
aq_status aq_reader_stop(aq_reader *reader);

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_reader_stats_init(aq_reader_stats *stats, size_t struct_size);

/**
 * What became of requests up to now.
 *
 * @param reader the reader
 * @param stats receives the counts; initialised with aq_reader_stats_init()
 * @return AQ_OK
 *
 * Threads: any, at the same time.
 */
aq_status aq_reader_get_stats(const aq_reader *reader, aq_reader_stats *stats);

/**
 * Stops a reader as aq_reader_stop() does, waits until its threads have ended, and frees it. Its datasets, futures and results stay valid.
 *
 * @param reader the reader, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no reader, or freed already as far as that can be seen
 *
 * Threads: no other call on this reader may be running or follow.
 */
aq_status aq_reader_free(aq_reader *reader);

/* =============================================================================================================
 * Request pools
 *
 * Futures in the order in which they were put in: one thread asks, another takes the results in the same order, and need not know what was asked for.
 *
 * ```c
 * // one thread
 * for (uint64_t row = 0; row < rows; row++) {
 *     aq_selection_slice(selection, 0, row, row + 1, 1);
 *     check(aq_reader_request_pooled(reader, dataset, selection, stages, AQ_WAIT_FOREVER, &future));
 *     check(aq_request_pool_add(requests, future));
 * }
 * aq_request_pool_close(requests);
 *
 * // the other
 * while (aq_request_pool_next(requests, AQ_WAIT_FOREVER, &future) == AQ_OK) {
 *     check(aq_future_get(future, AQ_WAIT_FOREVER, row, sizeof row));
 *     aq_future_free(future);
 * }
 * ```
 * ============================================================================================================= */

/** A request pool. */
typedef struct aq_request_pool aq_request_pool;

/**
 * Makes an empty pool.
 *
 * @param out receives the pool; free it with aq_request_pool_free()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_request_pool_new(aq_request_pool **out);

/**
 * Puts a future behind those that are there. A pool has space for any number: the stages are what limits them.
 *
 * @param pool the pool
 * @param future the future; on AQ_OK it belongs to the pool, on any other status to the caller still
 * @return AQ_OK; AQ_STOPPED when the pool is closed; AQ_E_STATE when another call uses the future
 *
 * Threads: any, at the same time.
 */
aq_status aq_request_pool_add(aq_request_pool *pool, aq_future *future);

/**
 * Takes the first future, whether its result is there or not.
 *
 * @param pool the pool
 * @param timeout_ns how long to wait for one to be put in; see Waiting
 * @param future receives the future; free it with aq_future_free()
 * @return AQ_OK; AQ_EMPTY; AQ_TIMEOUT; AQ_STOPPED when the pool is closed, and empty
 *
 * Threads: any, at the same time.
 */
aq_status aq_request_pool_next(aq_request_pool *pool, int64_t timeout_ns, aq_future **future);

/**
 * A descriptor to wait with poll() or epoll: readable while the result of the first future is there (or there will be none), so that neither
 * aq_request_pool_next() nor aq_future_get() with timeout 0 would find nothing; and when the pool is closed, and empty. Nothing else may be done with it.
 *
 * @param pool the pool, which owns the descriptor
 * @param fd receives it, valid until the pool is freed
 * @return AQ_OK; AQ_E_IO when there are too many open files
 *
 * Threads: any, at the same time.
 */
aq_status aq_request_pool_fd(aq_request_pool *pool, int *fd);

/**
 * Lets nothing be put in any more. What is there is delivered, then takers are answered AQ_STOPPED.
 *
 * @param pool the pool
 * @return AQ_OK
 *
 * Threads: any, at the same time.
 */
aq_status aq_request_pool_close(aq_request_pool *pool);

/**
 * Frees a pool, and the futures that are in it.
 *
 * @param pool the pool, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is no pool, or freed already as far as that can be seen
 *
 * Threads: no other call on this pool may be running or follow.
 */
aq_status aq_request_pool_free(aq_request_pool *pool);

/* =============================================================================================================
 * Blocks of rows
 *
 * A queue hands out the blocks of a dataset (aq_streamer_get_queue()), each once, to any threads. A block is lent: aq_block_release(), on any
 * thread, gives its memory back to be filled again. As many blocks exist as `read_ahead` says; who holds them all waits in vain for another.
 * ============================================================================================================= */

/** Rows that were read, or an error instead of them. */
typedef struct aq_block aq_block;

/** A stream of blocks. */
typedef struct aq_block_queue aq_block_queue;

/** How far a queue is. Initialise it with aq_block_queue_progress_init(). */
typedef struct aq_block_queue_progress {
    /** Set by aq_block_queue_progress_init(). */
    size_t struct_size;
    /** Rows of the dataset. */
    uint64_t rows;
    /** Rows of the blocks that were read well; of a cyclic queue more than there are, in the end. */
    uint64_t rows_done;
    /** Blocks that were read, well or not. */
    uint64_t blocks_done;
    /** Those of them that could not be read. */
    uint64_t blocks_failed;
    /** Those of them that wait to be taken. */
    uint64_t blocks_ready;
    /** Bytes read from the file: of packed chunks as they are there. */
    uint64_t bytes_read;
    /** Chunks that were unpacked. */
    uint64_t chunks_decoded;
    /** Time that this took, of all threads together, in nanoseconds. */
    uint64_t decode_time_ns;
} aq_block_queue_progress;

/**
 * Takes the next block. A block whose rows could not be read is delivered, too: aq_block_data() tells why.
 *
 * @param queue the queue
 * @param timeout_ns how long to wait for it (see Waiting)
 * @param block receives the block; give it back with aq_block_release()
 * @return AQ_OK; AQ_EMPTY, AQ_TIMEOUT when none is ready; AQ_STOPPED when the dataset is at its end, or the queue was closed, and all blocks have been
 *     taken
 *
 * Threads: any, at the same time as all functions of the queue but aq_block_queue_free(). Each block goes to one of them.
 */
aq_status aq_block_queue_get(aq_block_queue *queue, int64_t timeout_ns, aq_block **block);

/**
 * A file descriptor that is readable (POLLIN) while aq_block_queue_get() would not answer AQ_EMPTY: a block is ready, or the queue is at its end.
 *
 * With several threads that get, another one may be faster: get with timeout 0 and expect AQ_EMPTY.
 *
 * @param queue the queue
 * @param fd receives the descriptor. It belongs to the queue, until aq_block_queue_free(): only poll it, do not read or close it
 * @return AQ_OK; AQ_E_IO when there is no file descriptor left
 *
 * Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
 */
aq_status aq_block_queue_data_fd(const aq_block_queue *queue, int *fd);

/**
 * Rows of a block: what block_size said, what was chosen for 0, or all rows of the dataset if it has fewer. A remainder has fewer.
 *
 * @param queue the queue
 * @param rows receives the number
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
 */
aq_status aq_block_queue_block_size(const aq_block_queue *queue, uint64_t *rows);

/**
 * What an element of its blocks is: of the field, if the queue has one.
 *
 * @param queue the queue
 * @param element receives it; initialised with aq_element_type_init(); valid until aq_block_queue_free()
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
 */
aq_status aq_block_queue_dtype(const aq_block_queue *queue, aq_element_type *element);

/**
 * A field of its blocks' records.
 *
 * @param queue the queue
 * @param index its number, from 0 on, in the order of the file
 * @param field receives its name, its place and what it is; initialised with aq_element_type_init(); valid until aq_block_queue_free()
 * @return AQ_OK; AQ_E_NOT_FOUND when there are fewer fields
 *
 * Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
 */
aq_status aq_block_queue_field(const aq_block_queue *queue, size_t index, aq_element_type *field);

/**
 * Writes zeros, and the struct's size.
 *
 * @param progress the struct
 * @param struct_size sizeof *progress
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_block_queue_progress_init(aq_block_queue_progress *progress, size_t struct_size);

/**
 * How far the queue is.
 *
 * @param queue the queue
 * @param progress receives it; initialised with aq_block_queue_progress_init()
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
 */
aq_status aq_block_queue_get_progress(const aq_block_queue *queue, aq_block_queue_progress *progress);

/**
 * Ends the queue early: no more blocks are begun. Those that were are delivered still, then aq_block_queue_get() answers AQ_STOPPED, also in
 * threads that are waiting. A queue may be closed at any time, and again.
 *
 * @param queue the queue
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the queue but aq_block_queue_free().
 */
aq_status aq_block_queue_close(aq_block_queue *queue);

/**
 * Closes the queue and frees it. It waits for its threads, which finish the block that each is reading. Blocks that the program holds stay valid until they are
 * released.
 *
 * @param queue the queue, or NULL, which does nothing
 * @return AQ_OK
 *
 * Threads: no other call on this queue may be running or follow; close it and join the threads that get from it first.
 */
aq_status aq_block_queue_free(aq_block_queue *queue);

/**
 * The rows of a block, in C order: rows() times the bytes of a row.
 *
 * @param block the block
 * @param data receives where they are: writable by nobody, aligned to a page, valid until aq_block_release()
 * @param size receives their bytes; may be NULL
 * @return AQ_OK; when the rows could not be read, why: AQ_E_FORMAT or AQ_E_TRUNCATED where the file is damaged, AQ_E_IO, AQ_E_NOMEM. The blocks behind it are not
 *     affected
 *
 * Threads: any, at the same time as all functions of the block but aq_block_release().
 */
aq_status aq_block_data(const aq_block *block, const void **data, size_t *size);

/**
 * Elements of the block along each axis: its rows first, then as the dataset.
 *
 * @param block the block
 * @param shape receives ndim numbers; may be NULL when capacity is 0
 * @param capacity numbers that it has space for
 * @param ndim receives how many axes there are, at least 1, also when they do not fit
 * @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to shape
 *
 * Threads: any, at the same time as all functions of the block but aq_block_release().
 */
aq_status aq_block_shape(const aq_block *block, uint64_t *shape, size_t capacity, size_t *ndim);

/**
 * What an element of the block is.
 *
 * @param block the block
 * @param element receives it; initialised with aq_element_type_init(); valid until aq_block_release()
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the block but aq_block_release().
 */
aq_status aq_block_dtype(const aq_block *block, aq_element_type *element);

/**
 * Rows of the block, also of one that could not be read.
 *
 * @param block the block
 * @param rows receives the number, at least 1
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the block but aq_block_release().
 */
aq_status aq_block_rows(const aq_block *block, uint64_t *rows);

/**
 * The number in the dataset of the block's first row.
 *
 * @param block the block
 * @param row receives the number
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the block but aq_block_release().
 */
aq_status aq_block_first_row(const aq_block *block, uint64_t *row);

/**
 * The number in the dataset of one of the block's rows: that of the first and `index`, but behind the joint of a cyclic queue, where it begins anew at 0.
 *
 * @param block the block
 * @param index which of its rows, from 0 on
 * @param row receives the number
 * @return AQ_OK; AQ_E_INVALID when the block has no such row
 *
 * Threads: any, at the same time as all functions of the block but aq_block_release().
 */
aq_status aq_block_row_number(const aq_block *block, uint64_t index, uint64_t *row);

/**
 * How many blocks come before it in the order of the dataset; a cyclic queue goes on counting.
 *
 * @param block the block
 * @param number receives it, from 0 on
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the block but aq_block_release().
 */
aq_status aq_block_number(const aq_block *block, uint64_t *number);

/**
 * Gives the block back: its memory is filled again. Also when its queue is freed already.
 *
 * @param block the block, or NULL, which does nothing
 * @return AQ_OK
 *
 * Threads: any; no other call on this block may be running or follow.
 */
aq_status aq_block_release(aq_block *block);

/* =============================================================================================================
 * Dataset streaming
 *
 * A streamer is an open HDF5 file. Each of its queues reads a dataset in blocks of rows (its elements along the first axis), ahead of the program, in threads
 * of its own; the bytes are not copied again. docs/dataset-streaming.md says which rows a block has, and what is read without libhdf5.
 *
 * ```c
 * aq_streamer *streamer;
 * aq_block_queue *queue;
 * aq_block *block;
 * aq_streamer_open("run7.h5", NULL, &streamer);
 * aq_streamer_get_queue(streamer, "/raw/adc", NULL, &queue);
 * while (aq_block_queue_get(queue, AQ_WAIT_FOREVER, &block) == AQ_OK) {      // or poll(aq_block_queue_data_fd(queue))
 *     const void *data;
 *     size_t size;
 *     if (aq_block_data(block, &data, &size) == AQ_OK)                      // or the rows of this block cannot be read
 *         process(data, size);
 *     aq_block_release(block);                                              // its memory is filled again
 * }
 * aq_block_queue_free(queue);
 * aq_streamer_free(streamer);
 * ```
 * ============================================================================================================= */

/** An HDF5 file, open to be streamed. */
typedef struct aq_streamer aq_streamer;

/** How a file is opened. There is nothing to choose yet. Initialise it with aq_streamer_config_init(). */
typedef struct aq_streamer_config {
    /** Set by aq_streamer_config_init(). */
    size_t struct_size;
    /** 0. */
    int64_t reserved;
} aq_streamer_config;

/** How a dataset is streamed. Initialise it with aq_block_queue_config_init(). */
typedef struct aq_block_queue_config {
    /** Set by aq_block_queue_config_init(). */
    size_t struct_size;
    /** Threads that read and unpack, 1 to 4096. Default 4. */
    size_t n_threads;
    /**
     * Blocks that exist: being read, ready, and with the program. Who holds them all gets no other. 0, the default: 2 * n_threads + 1. Memory: as many times
     * the bytes of a block.
     */
    size_t read_ahead;
    /**
     * Rows of a block; never more than the dataset has. 0, the default: as many as a chunk has, or what fits into 128 KiB where there are no chunks. Where it is no
     * multiple of the chunk's, the chunk that two blocks share is kept between them, as far as 256 MiB suffice.
     */
    uint64_t block_size;
    /** Only this field of each record, values one behind the other; NULL, the default: whole elements. Copied. */
    const char *field;
    /** 1: begins anew behind the last row, and never ends. The block at the joint has the last rows and then the first. Default 0. */
    int32_t cyclic;
    /** 1: blocks come in the order of the dataset; 0, the default: as they are read. */
    int32_t ordered;
    /** 1: the rows behind the last full block come as a shorter one; 0, the default: they are left out. Of no meaning with cyclic. */
    int32_t remainder;
    /** 1: numbers are put into this machine's byte order; 0, the default: they are as in the file. */
    int32_t native;
} aq_block_queue_config;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_streamer_config_init(aq_streamer_config *config, size_t struct_size);

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_block_queue_config_init(aq_block_queue_config *config, size_t struct_size);

/**
 * Opens an HDF5 file. No lock is set on it.
 *
 * @param path the file
 * @param config how; copied; NULL for the defaults
 * @param out receives the streamer; free it with aq_streamer_free()
 * @return AQ_OK; AQ_E_IO when the system refuses; AQ_E_FORMAT when it is no HDF5 file, or a damaged one; AQ_E_UNSUPPORTED in a build without the
 *     feature "hdf5"
 *
 * Threads: any.
 */
aq_status aq_streamer_open(const char *path, const aq_streamer_config *config, aq_streamer **out);

/**
 * Starts to stream a dataset. A streamer may have any number of queues, of the same and of different datasets; they live as long as they are not freed.
 *
 * @param streamer the streamer
 * @param dataset the dataset's path in the file
 * @param config how; copied; NULL for the defaults
 * @param out receives the queue; free it with aq_block_queue_free()
 * @return AQ_OK; AQ_E_NOT_FOUND when there is no such dataset, or no such field; AQ_E_INVALID when a field of config is out of range, or the dataset is
 *     empty; AQ_E_UNSUPPORTED when the dataset has a type, or a rank of 0, that cannot be streamed; AQ_E_NOMEM when there is no memory for the
 *     blocks; AQ_E_FORMAT when the file is damaged; AQ_E_IO when no thread can be started
 *
 * Threads: any, at the same time.
 */
aq_status aq_streamer_get_queue(const aq_streamer *streamer, const char *dataset,
    const aq_block_queue_config *config, aq_block_queue **out);

/**
 * Copies the rows behind the last full block, which a queue without `remainder` leaves out. It reads them in this thread.
 *
 * @param streamer the streamer
 * @param dataset the dataset's path in the file
 * @param block_size rows of a block, at least 1: aq_block_queue_block_size() tells those of a queue
 * @param field only this field of each record; NULL: whole elements
 * @param buffer receives the rows, one behind the other, numbers as in the file; may be NULL when size is 0
 * @param size its bytes
 * @param needed receives the bytes of the rows, also when they do not fit; 0 when the blocks divide the dataset; may be NULL
 * @return AQ_OK; AQ_E_TRUNCATED when they do not fit, and nothing was written to buffer; AQ_E_NOT_FOUND when there is no such dataset or field;
 *     AQ_E_INVALID when block_size is 0; AQ_E_UNSUPPORTED when the dataset has a type that cannot be streamed; AQ_E_FORMAT, AQ_E_IO when they cannot
 *     be read, and anything may be in buffer
 *
 * Threads: any, at the same time.
 */
aq_status aq_streamer_get_remainder(const aq_streamer *streamer, const char *dataset, uint64_t block_size,
    const char *field, void *buffer, size_t size, size_t *needed);

/**
 * Closes the file, once its queues are freed, too: they go on without the streamer.
 *
 * @param streamer the streamer, or NULL, which does nothing
 * @return AQ_OK
 *
 * Threads: no other call on this streamer may be running or follow.
 */
aq_status aq_streamer_free(aq_streamer *streamer);

/* =============================================================================================================
 * Rows, one by one
 *
 * The rows of a dataset, one after the other, from a block queue of their own. Unlike a queue, it delivers the rows behind the last full block as well, whatever
 * `remainder` says; with `ordered` they are in the order of the dataset.
 *
 * ```c
 * const void *row;
 * while (aq_row_iter_next(rows, AQ_WAIT_FOREVER, &row, NULL, &number) == AQ_OK)
 *     use(number, row);
 * ```
 * ============================================================================================================= */

/** Rows of a dataset, one after the other. */
typedef struct aq_row_iter aq_row_iter;

/**
 * Starts to read a dataset row by row. The iterator goes on without the streamer.
 *
 * @param streamer the streamer
 * @param dataset the dataset's path in the file
 * @param config how its blocks are read; copied; NULL for the defaults
 * @param out receives the iterator; free it with aq_row_iter_free()
 * @return as aq_streamer_get_queue()
 *
 * Threads: any, at the same time.
 */
aq_status aq_row_iter_new(const aq_streamer *streamer, const char *dataset, const aq_block_queue_config *config,
    aq_row_iter **out);

/**
 * What an element of the rows is.
 *
 * @param rows the iterator
 * @param element receives it; initialised with aq_element_type_init(); valid until aq_row_iter_free()
 * @return AQ_OK
 *
 * Threads: any, at the same time as all functions of the iterator but aq_row_iter_free().
 */
aq_status aq_row_iter_dtype(const aq_row_iter *rows, aq_element_type *element);

/**
 * The next row.
 *
 * @param rows the iterator
 * @param timeout_ns how long to wait for it (see Waiting)
 * @param row receives where its bytes are, valid until the next call or aq_row_iter_free()
 * @param size receives how many they are; may be NULL
 * @param number receives its number in the dataset; may be NULL
 * @return AQ_OK; AQ_EMPTY, AQ_TIMEOUT when it is not read yet; AQ_STOPPED behind the last; an error when the rows of its block cannot be read: the next
 *     call goes on behind them
 *
 * Threads: one at a time.
 */
aq_status aq_row_iter_next(aq_row_iter *rows, int64_t timeout_ns, const void **row, size_t *size,
    uint64_t *number);

/**
 * Ends the reading, and frees the iterator.
 *
 * @param rows the iterator, or NULL, which does nothing
 * @return AQ_OK
 *
 * Threads: no other call on this iterator may be running or follow.
 */
aq_status aq_row_iter_free(aq_row_iter *rows);

/* =============================================================================================================
 * Recording datasets
 *
 * A recorder writes rows to a dataset of a new HDF5 file, which grows along its first axis: rows that it is given, the frames of a signal stream, or the chunks of
 * a receiver. Rows are collected to blocks; a block is a chunk of the dataset, packed by threads and written as it is, without libhdf5's filters.
 *
 * ```c
 * aq_dataset_recorder_config config;
 * check(aq_dataset_recorder_config_init(&config, sizeof config));
 * config.packing = AQ_PACK_DEFLATE;
 * config.shuffle = 1;
 * check(aq_dataset_recorder_new_on_input("run7.h5", "raw/adc", &config, input, &recorder));
 * ...
 * check(aq_dataset_recorder_stop(recorder));      // all that came is in the file, and the file is closed
 * aq_dataset_recorder_free(recorder);
 * ```
 *
 * Beside dataset D stand D_ledger (names and counts: rows_given = rows_written + rows_lost, and those of the stream), and of a stream D_segments (from which
 * row on frames have which indices), of chunks D_chunk_id, D_present and D_extra. docs/dataset-recording.md has more, also on what is left when the
 * program is killed.
 * ============================================================================================================= */

/** Blocks are written as they are. */
#define AQ_PACK_NONE 0
/** zlib's format, which every HDF5 reads: level 0 to 9. */
#define AQ_PACK_DEFLATE 1
/** LZ4, filter 32004. To read this and what follows libhdf5 needs plugins (h5py: hdf5plugin); this library does not. */
#define AQ_PACK_LZ4 2
/** Zstandard, filter 32015: level 1 to 19. */
#define AQ_PACK_ZSTD 3
/** LZ4 in blosc, filter 32001: level 1 to 9. */
#define AQ_PACK_BLOSC_LZ4 4
/** Zstandard in blosc: level 1 to 9. */
#define AQ_PACK_BLOSC_ZSTD 5

/** A recorder. */
typedef struct aq_dataset_recorder aq_dataset_recorder;

/** How a dataset is recorded. Initialise it with aq_dataset_recorder_config_init(), then set what differs from the defaults. Texts and lists are copied. */
typedef struct aq_dataset_recorder_config {
    /** Set by aq_dataset_recorder_config_init(). */
    size_t struct_size;
    /**
     * The type of elements as numpy writes it (`<i2`, `complex64`), or a list of fields in JSON, as in aq_output_stream_config. NULL: "float32". Of an input it is
     * the stream's, whatever this says.
     */
    const char *dtype;
    /** The shape of a row: `row_ndim` numbers, at least 1 each. NULL: a row is one element. Of an input it is the stream's. */
    const size_t *row_shape;
    /** Axes of a row: 0, the default, where row_shape is NULL, to 31. */
    size_t row_ndim;
    /** Rows of a block; 0, the default: as many as 1 MiB has, at least one. Chunks must have just as many. */
    uint64_t block_rows;
    /** One of AQ_PACK_*. Default AQ_PACK_NONE. */
    int32_t packing;
    /** How hard to pack; -1, the default: 1 for deflate, 3 for Zstandard, 5 in blosc. */
    int32_t level;
    /** 1: the bytes of elements are sorted by significance before, which helps with numbers. Default 0. */
    int32_t shuffle;
    /** 1: a file that exists is replaced. Default 0: that is an error. */
    int32_t overwrite;
    /**
     * 1: others may read the file while it is written (h5py: swmr=True), and it stays readable whatever becomes of this program. Default 0: others can
     * read what was flushed, but not while it is being flushed.
     */
    int32_t swmr;
    /** 1: a flush waits until the disk has everything. Default 0: until the system has. */
    int32_t sync;
    /** Threads that pack, 1 to 4096. Default 2. None is started for AQ_PACK_NONE without shuffle. */
    size_t n_threads;
    /** Blocks in memory at the most, at least 2. Default 8. When they are all used, who puts waits. */
    size_t queue_blocks;
    /**
     * After so long at the latest rows are in the file, for others to read, also those of a block that is not full; 0: at once. AQ_WAIT_FOREVER: when they are asked
     * to be, and at the end. Default 1 s.
     */
    int64_t flush_interval_ns;
    /** Of chunks: bytes of their present that are recorded: all that they have; 0, the default: they are not recorded. */
    size_t present_size;
    /** Of chunks: bytes of their extra that are recorded: all that they have; 0, the default: they are not recorded. */
    size_t extra_size;
    /** An attribute of the dataset: rows per second; NaN, the default: not said. Of an input it and those that follow are the stream's. */
    double sample_rate;
    /** An attribute: what to multiply values by to have them in `units`; NaN, the default: not said. */
    double scale;
    /** An attribute: what to add then; NaN, the default: not said. */
    double offset;
    /** An attribute: the unit of values; NULL: not said. */
    const char *units;
} aq_dataset_recorder_config;

/** What has become of rows. When a recording has ended, rows_given = rows_written + rows_lost. Initialise it with aq_dataset_recorder_stats_init() first. */
typedef struct aq_dataset_recorder_stats {
    /** Set by aq_dataset_recorder_stats_init(). */
    size_t struct_size;
    /** Rows that were taken. */
    uint64_t rows_given;
    /** Rows in the file. */
    uint64_t rows_written;
    /** Rows in the file that others can read. */
    uint64_t rows_flushed;
    /** Rows that were taken and will not be in the file, as the recorder has failed. */
    uint64_t rows_lost;
    /** Blocks written; one that was flushed before it was full counts again. */
    uint64_t blocks_written;
    /** Blocks that are being packed, or wait to be written. */
    uint64_t blocks_waiting;
    /** Bytes of the rows written. */
    uint64_t bytes_written;
    /** Bytes of the blocks written as they are in the file: packed. */
    uint64_t bytes_stored;
    /** Of a stream: stretches of frames without a gap. */
    uint64_t segments;
    /** Flushes. */
    uint64_t flushes;
    /** Times that somebody who put had to wait for room. */
    uint64_t waits;
    /** Time that packing took, in ns, in all threads. */
    uint64_t pack_ns;
    /** Time that writing and flushing took, in ns. */
    uint64_t write_ns;
} aq_dataset_recorder_stats;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_config_init(aq_dataset_recorder_config *config, size_t struct_size);

/**
 * Begins a recording of rows that are given to it by aq_dataset_recorder_put_rows().
 *
 * @param path the file, which is made
 * @param dataset the dataset's path in it, as "raw/adc"; groups on the way are made
 * @param config how to record; copied; NULL for the defaults
 * @param out receives the recorder; free it with aq_dataset_recorder_free()
 * @return AQ_OK; AQ_E_INVALID when a field of config is out of range; AQ_E_FORMAT when dtype is none; AQ_E_IO when the file exists, or the system
 *     refuses it; AQ_E_UNSUPPORTED when HDF5 has no such type, or this build lacks the feature hdf5; AQ_E_NOMEM
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_new(const char *path, const char *dataset,
    const aq_dataset_recorder_config *config, aq_dataset_recorder **out);

/**
 * Begins a recording of chunks that are given to it by aq_dataset_recorder_put_chunk(). The data of each are the rows of a block.
 *
 * @param path as of aq_dataset_recorder_new()
 * @param dataset as of aq_dataset_recorder_new()
 * @param config as of aq_dataset_recorder_new(); block_rows x the bytes of a row must be the data of a chunk
 * @param free_ring where chunks go when they are written, with present cleared; NULL: they are freed
 * @param out receives the recorder; free it with aq_dataset_recorder_free()
 * @return as aq_dataset_recorder_new()
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_new_chunks(const char *path, const char *dataset,
    const aq_dataset_recorder_config *config, aq_chunk_ring *free_ring, aq_dataset_recorder **out);

/**
 * Begins a recording of the frames of a signal stream: those that wait in the input, and those that come. It ends with the input, or when it is stopped.
 * Nobody else should take chunks from the input.
 *
 * @param path as of aq_dataset_recorder_new()
 * @param dataset as of aq_dataset_recorder_new()
 * @param config as of aq_dataset_recorder_new(); what a row is, and the attributes, are the stream's
 * @param input the input, which it shares
 * @param out receives the recorder; free it with aq_dataset_recorder_free()
 * @return as aq_dataset_recorder_new(); AQ_E_STATE while another thread waits in a call of the input
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_new_on_input(const char *path, const char *dataset,
    const aq_dataset_recorder_config *config, const aq_input_stream *input, aq_dataset_recorder **out);

/**
 * Begins a recording of chunks that it takes from a ring. It ends when the ring is stopped and empty, or when it is stopped itself.
 *
 * @param path as of aq_dataset_recorder_new()
 * @param dataset as of aq_dataset_recorder_new()
 * @param config as of aq_dataset_recorder_new_chunks()
 * @param data_ring where chunks come from: the data ring of a receiver's stream
 * @param free_ring where they go when they are written, with present cleared; NULL: they are freed
 * @param out receives the recorder; free it with aq_dataset_recorder_free()
 * @return as aq_dataset_recorder_new()
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_new_on_ring(const char *path, const char *dataset,
    const aq_dataset_recorder_config *config, aq_chunk_ring *data_ring, aq_chunk_ring *free_ring,
    aq_dataset_recorder **out);

/**
 * Gives rows to a recorder, which copies them. As many are taken as there is room for within the time; the rest is to be given again.
 *
 * @param recorder one of aq_dataset_recorder_new()
 * @param data the rows, one behind the other, in C order
 * @param rows how many there are
 * @param timeout_ns how long to wait for room; see "Waiting"
 * @param taken receives how many were taken, the first ones; may be NULL when timeout_ns is AQ_WAIT_FOREVER
 * @return AQ_OK when some were taken, or there were none; AQ_FULL; AQ_TIMEOUT; AQ_E_STATE when it is stopped; AQ_E_INVALID when it takes chunks; else what the
 *     recorder has failed with. Unless it is AQ_OK, none was taken
 *
 * Threads: any; those that put take turns.
 */
aq_status aq_dataset_recorder_put_rows(aq_dataset_recorder *recorder, const void *data, uint64_t rows,
    int64_t timeout_ns, uint64_t *taken);

/**
 * Gives a chunk to a recorder.
 *
 * @param recorder one of aq_dataset_recorder_new_chunks()
 * @param chunk the chunk; on AQ_OK it belongs to the recorder, on any other status to the caller still
 * @param timeout_ns how long to wait for room; see "Waiting"
 * @return AQ_OK; AQ_FULL; AQ_TIMEOUT; AQ_E_INVALID when its data, present or extra have other sizes than config says, or the recorder takes rows;
 *     AQ_E_STATE when the caller does not hold the chunk, or the recorder is stopped; else what the recorder has failed with
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_put_chunk(aq_dataset_recorder *recorder, aq_chunk *chunk, int64_t timeout_ns);

/**
 * Has the counts of a receiver's stream (those of aq_recv_stats and its own) in the ledger beside the dataset, as they are now. Call it again when they have
 * changed, at last before aq_dataset_recorder_stop(). Those of an input are there by themselves.
 *
 * @param recorder the recorder
 * @param stream the receiver's stream, which is not kept
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_set_ledger(aq_dataset_recorder *recorder, const aq_recv_stream *stream);

/**
 * Waits until all rows that were taken are in the file, where others can read them.
 *
 * @param recorder the recorder
 * @param timeout_ns how long to wait; see "Waiting"
 * @return AQ_OK; AQ_EMPTY or AQ_TIMEOUT when they are not yet; else what the recorder has failed with
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_flush(aq_dataset_recorder *recorder, int64_t timeout_ns);

/**
 * Ends a recording: what waits in its input (for 10 s at the most) or ring and all that was taken is written, and the file closed.
 *
 * @param recorder the recorder
 * @return AQ_OK, also when it was stopped before; else what it has failed with: aq_last_error() has the sentence, and the statistics say how many rows are lost
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_stop(aq_dataset_recorder *recorder);

/**
 * Waits until a recording has ended: its input or ring has, it was stopped, or it has failed.
 *
 * @param recorder the recorder
 * @param timeout_ns how long to wait; see "Waiting"
 * @return AQ_OK: all is in the file, which is closed; AQ_EMPTY or AQ_TIMEOUT: it goes on; else what it has failed with
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_wait(const aq_dataset_recorder *recorder, int64_t timeout_ns);

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_stats_init(aq_dataset_recorder_stats *stats, size_t struct_size);

/**
 * What has become of rows up to now; also after an end or a failure.
 *
 * @param recorder the recorder
 * @param stats receives the counts; initialised with aq_dataset_recorder_stats_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_dataset_recorder_get_stats(const aq_dataset_recorder *recorder, aq_dataset_recorder_stats *stats);

/**
 * Ends a recording, as aq_dataset_recorder_stop() does, and frees the handle. What it fails with then is logged only.
 *
 * @param recorder the recorder, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is none, or freed already as far as that can be seen
 *
 * Threads: no other call on this handle may be running or follow.
 */
aq_status aq_dataset_recorder_free(aq_dataset_recorder *recorder);

/* =============================================================================================================
 * Replaying datasets
 *
 * A replay plays the rows of a dataset as the frames of a signal stream, or as chunks into a ring, at the rate that they were recorded at or any other.
 * Times are computed from the beginning, so that no error adds up.
 *
 * ```c
 * check(aq_dataset_replay_new("run7.h5", "raw/adc", NULL, &output_config, &replay));
 * check(aq_dataset_replay_get_output(replay, &output));       // for its params_json, say
 * check(aq_output_stream_wait_inputs(output, 1, AQ_WAIT_FOREVER));
 * check(aq_dataset_replay_start(replay));
 * check(aq_dataset_replay_wait(replay, AQ_WAIT_FOREVER));     // until the last row
 * aq_dataset_replay_free(replay);
 * ```
 * ============================================================================================================= */

/** A replay. */
typedef struct aq_dataset_replay aq_dataset_replay;

/** How a dataset is played. Initialise it with aq_dataset_replay_config_init(), then set what differs from the defaults. */
typedef struct aq_dataset_replay_config {
    /** Set by aq_dataset_replay_config_init(). */
    size_t struct_size;
    /** Rows per second; INFINITY: as fast as receivers take them; 0, the default: as recorded, which the dataset's attribute `sample_rate` tells. */
    double rate;
    /** The first row. Default 0. */
    uint64_t first_row;
    /** The row behind the last; 0, the default: all. */
    uint64_t end_row;
    /** How often they are played; 0: until it is stopped. Default 1. */
    uint64_t loops;
    /** Rows of a chunk; 0, the default: of a stream those of 20 ms, at most a block of the dataset; in a ring a block of the dataset. */
    uint64_t chunk_rows;
    /** Threads that read and unpack, 1 to 4096. Default 2. */
    size_t n_threads;
} aq_dataset_replay_config;

/** What a replay has done since it was made. Initialise it with aq_dataset_replay_stats_init() first. */
typedef struct aq_dataset_replay_stats {
    /** Set by aq_dataset_replay_stats_init(). */
    size_t struct_size;
    /** Rows that were given away. */
    uint64_t rows;
    /** Bytes of them. */
    uint64_t bytes;
    /** Chunks in which they were. */
    uint64_t chunks;
    /** Times that the last row was reached. */
    uint64_t loops;
    /** How late a chunk was at the most, in ns, since it was started. */
    uint64_t late_ns;
} aq_dataset_replay_stats;

/**
 * Writes the defaults.
 *
 * @param config the struct
 * @param struct_size sizeof *config
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_dataset_replay_config_init(aq_dataset_replay_config *config, size_t struct_size);

/**
 * Makes a replay as a signal stream, with an output of its own. What its frames are (dtype, shape, streamtype, sample_rate, units, scale, offset) is the
 * dataset's, with attributes of these names: one that was recorded from a stream is played as it was.
 *
 * @param path an HDF5 file
 * @param dataset the path of a dataset in it
 * @param config how to play; copied; NULL for the defaults
 * @param output how the output is opened; copied; NULL for the defaults. What it says of frames does not matter
 * @param out receives the replay, not started yet; free it with aq_dataset_replay_free()
 * @return AQ_OK; AQ_E_INVALID when a field of config is out of range, the dataset is empty, or has no sample_rate and none is given; AQ_E_NOT_FOUND when there is
 *     no such dataset; AQ_E_FORMAT when the file is no HDF5 file or damaged; AQ_E_UNSUPPORTED when its type cannot be read, or this build lacks the feature
 *     hdf5; AQ_E_IO; what aq_output_stream_new() answers
 *
 * Threads: any.
 */
aq_status aq_dataset_replay_new(const char *path, const char *dataset, const aq_dataset_replay_config *config,
    const aq_output_stream_config *output, aq_dataset_replay **out);

/**
 * Makes a replay through an output that there is. Its frames must be of the shape of the dataset's rows, and its elements of as many bytes.
 *
 * @param path an HDF5 file
 * @param dataset the path of a dataset in it
 * @param config how to play; copied; NULL for the defaults
 * @param output the output, which it shares; nobody else should send through it while the replay plays
 * @param out receives the replay, not started yet; free it with aq_dataset_replay_free()
 * @return as aq_dataset_replay_new(); AQ_E_INVALID when the output has other frames
 *
 * Threads: any.
 */
aq_status aq_dataset_replay_new_on_output(const char *path, const char *dataset,
    const aq_dataset_replay_config *config, const aq_output_stream *output, aq_dataset_replay **out);

/**
 * Makes a replay as chunks. Each has a block of rows, and the id and presence flags that aq_dataset_recorder noted of it; where nobody did, the number of the block
 * in the dataset, and all flags set. While it plays it is one producer of the data ring, which is stopped at its end if there is no other.
 *
 * @param path an HDF5 file
 * @param dataset the path of a dataset in it
 * @param config how to play; copied; NULL for the defaults
 * @param data_ring where chunks go
 * @param free_ring where empty ones come from, whose data have room for a block, and whose present for the flags
 * @param out receives the replay, not started yet; free it with aq_dataset_replay_free()
 * @return as aq_dataset_replay_new()
 *
 * Threads: any.
 */
aq_status aq_dataset_replay_new_on_ring(const char *path, const char *dataset,
    const aq_dataset_replay_config *config, aq_chunk_ring *data_ring, aq_chunk_ring *free_ring,
    aq_dataset_replay **out);

/**
 * The output that it plays through: to connect inputs to, to wait for them, and to ask for its statistics.
 *
 * @param replay the replay
 * @param out receives a handle of the output; free it with aq_output_stream_free()
 * @return AQ_OK; AQ_E_INVALID when it plays into a ring
 *
 * Threads: any.
 */
aq_status aq_dataset_replay_get_output(const aq_dataset_replay *replay, aq_output_stream **out);

/**
 * Starts playing, from the first row on.
 *
 * @param replay the replay
 * @return AQ_OK; AQ_E_STATE when it plays already; AQ_E_IO when there is no thread left
 *
 * Threads: any.
 */
aq_status aq_dataset_replay_start(aq_dataset_replay *replay);

/**
 * Stops playing, also while a receiver keeps it waiting. Does nothing when it does not play.
 *
 * @param replay the replay
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_dataset_replay_stop(aq_dataset_replay *replay);

/**
 * Waits until it does not play.
 *
 * @param replay the replay
 * @param timeout_ns how long at most; see "Waiting"
 * @return AQ_OK when the last row has been played; AQ_STOPPED when it was stopped, or a ring was, or it was not started yet; AQ_EMPTY or AQ_TIMEOUT when it plays;
 *     else what it failed with: rows that cannot be read, or chunks that are too small
 *
 * Threads: any.
 */
aq_status aq_dataset_replay_wait(const aq_dataset_replay *replay, int64_t timeout_ns);

/**
 * Writes zeros, and the struct's size.
 *
 * @param stats the struct
 * @param struct_size sizeof *stats
 * @return AQ_OK; AQ_E_INVALID when struct_size is not that of any version
 *
 * Threads: any.
 */
aq_status aq_dataset_replay_stats_init(aq_dataset_replay_stats *stats, size_t struct_size);

/**
 * What it has done up to now.
 *
 * @param replay the replay
 * @param stats receives the counts; initialised with aq_dataset_replay_stats_init()
 * @return AQ_OK
 *
 * Threads: any.
 */
aq_status aq_dataset_replay_get_stats(const aq_dataset_replay *replay, aq_dataset_replay_stats *stats);

/**
 * Stops it, if it plays, and frees the handle. Its output is closed, unless somebody else has a handle of it.
 *
 * @param replay the replay, or NULL, which does nothing
 * @return AQ_OK; AQ_E_INVALID when it is none, or freed already as far as that can be seen
 *
 * Threads: no other call on this handle may be running or follow.
 */
aq_status aq_dataset_replay_free(aq_dataset_replay *replay);

#ifdef __cplusplus
}
#endif

#endif /* AQUEDUCT_H */
