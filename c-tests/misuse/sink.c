/* What a caller can get wrong with sinks: pointers, numbers, names, files. */
#include "events.h"
#include "misuse/handles.h"
#include "sized.h"

static struct handles objects;
static aq_event_buffer *buffer;
static int next_file;

static aq_status write_none(const aq_event_packet *packets, size_t n_packets, void *user)
{
    (void)packets, (void)n_packets, (void)user;
    return AQ_OK;
}

static int64_t format_none(const aq_event_packet *packet, char *text, size_t capacity, void *user)
{
    (void)packet, (void)text, (void)capacity, (void)user;
    return 0;
}

/* A name that there is not yet. */
static const char *fresh(void)
{
    char name[32];
    snprintf(name, sizeof name, "file%d-%%n", next_file++);
    return below(name);
}

/* A struct with a new name each time. */
static aq_status use_config(const void *config)
{
    int64_t index = -77;
    aq_status status;
    size_t size;
    if (config == NULL)
        return aq_event_buffer_add_sink(buffer, NULL, &index);
    memcpy(&size, config, sizeof size);
    if (size >= sizeof(aq_sink_config) && size < SIZE_MAX / 2 && ((const aq_sink_config *)config)->path != NULL)
        ((aq_sink_config *)config)->path = fresh();
    status = aq_event_buffer_add_sink(buffer, (const aq_sink_config *)config, &index);
    CHECK_EQ(index != -77, status == AQ_OK);
    return status;
}

static void sizes(void)
{
    aq_sink_config config = sink_config("", AQ_WRITE_BINARY);
    CHECK_SIZED_INIT(aq_sink_config, aq_sink_config_init);
    CHECK_SIZED_INIT(aq_sink_stats, aq_sink_stats_init);
    check_sized_input(&config, sizeof config, use_config);
}

#define CHECK_FIELD(field, value, message)                                                                            \
    do {                                                                                                              \
        aq_sink_config config = sink_config("", AQ_WRITE_BINARY);                                                     \
        config.field = (value);                                                                                       \
        CHECK_ERROR(use_config(&config), AQ_E_INVALID, message);                                                      \
    } while (0)

#define CHECK_PATTERN(pattern, message)                                                                               \
    do {                                                                                                              \
        aq_sink_config config = sink_config(below(pattern), AQ_WRITE_BINARY);                                         \
        config.rotate_bytes = 1;                                                                                      \
        CHECK_ERROR(aq_event_buffer_add_sink(buffer, &config, NULL), AQ_E_INVALID,                                    \
                    "path: a name for several files has %n for the number, as in run-%06n.dat (" message);            \
    } while (0)

static void fields(void)
{
    aq_sink_config config;
    aq_packet_layout *layout = NULL;
    CHECK_FIELD(path, NULL, "path must not be NULL");
    CHECK_FIELD(mode, 4, "mode must be one of AQ_WRITE_* (got 4)");
    CHECK_FIELD(mode, -1, "mode must be one of AQ_WRITE_* (got -1)");
    CHECK_FIELD(mode, AQ_WRITE_TEXT, "AQ_WRITE_TEXT takes a format function or a layout (got neither)");
    CHECK_FIELD(mode, AQ_WRITE_CSV, "AQ_WRITE_CSV takes a layout (got none)");
    CHECK_FIELD(durability, 3, "durability must be one of AQ_DURABILITY_* (got 3)");
    CHECK_FIELD(durability, -1, "durability must be one of AQ_DURABILITY_* (got -1)");
    CHECK_FIELD(primary, 2, "primary must be 0 or 1 (got 2)");
    CHECK_FIELD(header_size, 1, "header must not be NULL");
    CHECK_FIELD(separator, "\xff", "separator must be UTF-8");
    CHECK_WRONG_HANDLES(objects, KINDS, aq_packet_layout, "layout",
                        (config = sink_config("", AQ_WRITE_TEXT), config.layout = wrong, use_config(&config)));
    config = sink_config("", AQ_WRITE_BINARY);
    config.reserved = 1;
    CHECK_ERROR(use_config(&config), AQ_E_VERSION, "config: reserved must be 0 (got 1)");

    /* a function where none is used */
    CHECK_OK(aq_packet_layout_parse("a:B", &layout));
    for (int32_t mode = AQ_WRITE_FRAMED; mode <= AQ_WRITE_CSV; mode++) {
        config = sink_config("", mode);
        config.layout = layout;
        config.format = format_none;
        CHECK_ERROR(use_config(&config), AQ_E_INVALID, "a format function is for AQ_WRITE_TEXT and AQ_WRITE_BINARY");
    }
    CHECK_OK(aq_packet_layout_free(layout));

    /* a framed header must fit */
    char *large = (char *)calloc(1, 1 << 20);
    config = sink_config("", AQ_WRITE_FRAMED);
    config.header = large;
    config.header_size = 1 << 20;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "layout and header together must be at most 1048532 bytes");
    config.mode = AQ_WRITE_BINARY;
    CHECK_OK(use_config(&config));
    free(large);

    CHECK_PATTERN("run.dat", "none in");
    CHECK_PATTERN("%Y-%m-%d", "none in");
    CHECK_PATTERN("run-%q-%n", "unknown %q in");
    CHECK_PATTERN("run-%n%", "a % at the end in");
    CHECK_PATTERN("run-%0n", "a number of 1 to 20 digits is possible, not as in");
    CHECK_PATTERN("run-%21n", "a number of 1 to 20 digits is possible, not as in");
}

static void pointers(void)
{
    aq_sink_config config = sink_config(below("never"), AQ_WRITE_BINARY);
    aq_sink_stats stats;
    size_t count = 77;
    int32_t has_primary = 77;
    int64_t index = 77;
    CHECK_OK(aq_sink_stats_init(&stats, sizeof stats));
#define EVERY(call)                                                                                                   \
    do {                                                                                                              \
        aq_event_buffer *b = NULL;                                                                                    \
        CHECK_ERROR(call, AQ_E_INVALID, "buffer must not be NULL");                                                   \
        for (int i = 0; i < KINDS; i++)                                                                               \
            if (i != EVENT_BUFFER) {                                                                                  \
                b = (aq_event_buffer *)objects.of[i];                                                                 \
                CHECK_ERROR(call, AQ_E_INVALID, "buffer: not an aq_event_buffer");                                    \
            }                                                                                                         \
    } while (0)
    EVERY(aq_event_buffer_set_primary_sink(b, below("never")));
    EVERY(aq_event_buffer_add_custom_sink(b, below("never"), AQ_WRITE_BINARY, NULL, NULL, NULL, NULL, 0));
    EVERY(aq_event_buffer_add_sink(b, &config, &index));
    EVERY(aq_event_buffer_add_callback_sink(b, write_none, NULL, NULL, 0, &index));
    EVERY(aq_event_buffer_disconnect_sinks(b));
    EVERY(aq_event_buffer_sink_count(b, &count, &has_primary));
    EVERY(aq_event_buffer_get_sink_stats(b, 0, &stats));
    CHECK_ERROR(aq_event_buffer_set_primary_sink(buffer, NULL), AQ_E_INVALID, "path must not be NULL");
    CHECK_ERROR(aq_event_buffer_add_custom_sink(buffer, NULL, AQ_WRITE_BINARY, NULL, NULL, NULL, NULL, 0), AQ_E_INVALID,
                "path must not be NULL");
    CHECK_ERROR(aq_event_buffer_add_custom_sink(buffer, below("never"), AQ_WRITE_BINARY, NULL, NULL, NULL, NULL, 1),
                AQ_E_INVALID, "header must not be NULL");
    CHECK_ERROR(aq_event_buffer_add_custom_sink(buffer, below("never"), AQ_WRITE_BINARY, NULL, NULL, NULL, "x", SIZE_MAX),
                AQ_E_INVALID, "header");
    CHECK_ERROR(aq_event_buffer_add_custom_sink(buffer, below("never"), AQ_WRITE_TEXT, NULL, NULL, NULL, NULL, 0),
                AQ_E_INVALID, "takes a format function or a layout");
    CHECK_ERROR(aq_event_buffer_add_custom_sink(buffer, below("never"), AQ_WRITE_CSV, NULL, NULL, NULL, NULL, 0),
                AQ_E_INVALID, "AQ_WRITE_CSV takes a layout");
    CHECK_ERROR(aq_event_buffer_add_custom_sink(buffer, below("never"), 4, NULL, NULL, NULL, NULL, 0), AQ_E_INVALID,
                "mode must be one of AQ_WRITE_* (got 4)");
    CHECK_ERROR(aq_event_buffer_add_sink(buffer, NULL, NULL), AQ_E_INVALID, "config must not be NULL");
    CHECK_ERROR(aq_event_buffer_add_callback_sink(buffer, NULL, NULL, NULL, 0, &index), AQ_E_INVALID,
                "write must not be NULL");
    CHECK_ERROR(aq_event_buffer_add_callback_sink(buffer, write_none, NULL, NULL, -1, &index), AQ_E_INVALID,
                "primary must be 0 or 1 (got -1)");
    CHECK_ERROR(aq_event_buffer_sink_count(buffer, NULL, &has_primary), AQ_E_INVALID, "count must not be NULL");
    CHECK_ERROR(aq_event_buffer_get_sink_stats(buffer, AQ_PRIMARY_SINK, NULL), AQ_E_INVALID, "stats must not be NULL");
    CHECK_ERROR(aq_event_buffer_get_sink_stats(buffer, -2, &stats), AQ_E_INVALID,
                "index must be AQ_PRIMARY_SINK, 0 or positive (got -2)");
    CHECK_ERROR(aq_event_buffer_get_sink_stats(buffer, INT64_MAX, &stats), AQ_E_NOT_FOUND, "(got 9223372036854775807)");
    stats.struct_size = 3;
    CHECK_ERROR(aq_event_buffer_get_sink_stats(buffer, AQ_PRIMARY_SINK, &stats), AQ_E_INVALID, "struct_size 3");
    CHECK(count == 77 && has_primary == 77 && index == 77);
    CHECK(!file_exists(below("never")));
}

#define CHECK_FILE(path, reason)                                                                                      \
    do {                                                                                                              \
        size_t before = 0, after = 0;                                                                                 \
        aq_sink_config config = sink_config(path, AQ_WRITE_FRAMED);                                                   \
        CHECK_OK(aq_event_buffer_sink_count(buffer, &before, NULL));                                                  \
        CHECK_ERROR(aq_event_buffer_set_primary_sink(buffer, path), AQ_E_IO, reason);                                 \
        CHECK_ERROR(aq_event_buffer_set_primary_sink(buffer, path), AQ_E_IO, path); /* named */                       \
        CHECK_ERROR(aq_event_buffer_add_custom_sink(buffer, path, AQ_WRITE_BINARY, NULL, NULL, NULL, NULL, 0), AQ_E_IO, \
                    reason);                                                                                          \
        CHECK_ERROR(aq_event_buffer_add_sink(buffer, &config, NULL), AQ_E_IO, reason);                                \
        CHECK_OK(aq_event_buffer_sink_count(buffer, &after, NULL));                                                   \
        CHECK_EQ(before, after);                                                                                      \
    } while (0)

static void files(void)
{
    static char long_name[300];
    FILE *file = fopen(below("exists"), "w");
    CHECK(file != NULL && fputs("mine", file) >= 0 && fclose(file) == 0);
    CHECK_FILE(below("exists"), "File exists");
    CHECK(file_is_text(below("exists"), "mine"));
    CHECK_EQ(symlink("nowhere", below("link")), 0);
    CHECK_FILE(below("link"), "File exists"); /* also if it leads nowhere */
    CHECK_FILE(folder, "File exists");
    CHECK_FILE(below("no/such/file"), "No such file or directory");
    CHECK_FILE(below("exists/file"), "Not a directory");
    CHECK_ERROR(aq_event_buffer_set_primary_sink(buffer, ""), AQ_E_INVALID, "path must not be empty");
    memset(long_name, 'x', sizeof long_name - 1);
    CHECK_ERROR(aq_event_buffer_set_primary_sink(buffer, long_name), AQ_E_IO, "File name too long");
    CHECK_EQ(mkdir(below("locked"), 0555), 0);
    int is_root = geteuid() == 0;
    if (is_root) /* may write everywhere: somebody else, then */
        CHECK(chmod(folder, 0755) == 0 && seteuid(65534) == 0);
    CHECK_FILE(below("locked/file"), "Permission denied");
    if (is_root)
        CHECK_EQ(seteuid(0), 0);
    /* the primary sink that was there goes on */
    put_text(buffer, "kept");
    CHECK_OK(aq_event_buffer_flush(buffer, NULL, NULL));
    CHECK(file_is_text(below("primary"), "kept"));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    folder_make();
    handles_open(&objects);
    buffer = new_buffer(AQ_FIFO, AQ_OVERFLOW_BLOCK, 0, 0);
    CHECK_OK(aq_event_buffer_set_primary_sink(buffer, below("primary")));
    sizes();
    fields();
    pointers();
    files();
    CHECK_OK(aq_event_buffer_free(buffer));
    handles_close(&objects);
    folder_remove();
    return check_done();
}
