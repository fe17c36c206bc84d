/* Heaps to send, and groups that make them: every item comes as it was added, and lent bytes are released once. */
#include "sending.h"

static int released;

static void release(void *user)
{
    CHECK(user == &released);
    __atomic_fetch_add(&released, 1, __ATOMIC_SEQ_CST);
}

static aq_heap *receive(struct sending *s, const aq_send_heap *heap)
{
    CHECK_OK(aq_send_stream_send(s->stream, heap, NULL, AQ_WAIT_FOREVER, NULL));
    return heaps_next(&s->receiver);
}

static void items(void)
{
    static const uint8_t lent[] = {1, 2, 3, 4, 5}, copied[] = {6, 7};
    aq_send_heap_config config;
    aq_send_heap *heap = NULL;
    aq_heap *received;
    struct sending s;
    aq_raw_item item;
    aq_flavour flavour;
    int32_t is_start = 0, is_end = 1;
    size_t count = 0;
    sending_open(&s, NULL);
    CHECK_OK(aq_send_heap_config_init(&config, sizeof config));
    CHECK_EQ(config.heap_address_bits, 48);
    config.heap_address_bits = 40;
    config.repeat_pointers = 1;
    CHECK_OK(aq_send_heap_new(&config, &heap));
    CHECK_OK(aq_send_heap_add_immediate(heap, 0x1600, 0x123456789a));
    CHECK_OK(aq_send_heap_add_item(heap, 0x1601, lent, sizeof lent, &released, release));
    CHECK_OK(aq_send_heap_add_copy(heap, 0x1602, copied, sizeof copied));
    CHECK_OK(aq_send_heap_add_control(heap, AQ_SEND_CONTROL_START));
    received = receive(&s, heap);
    CHECK_OK(aq_heap_flavour(received, &flavour));
    CHECK_EQ(flavour.heap_address_bits, 40);
    CHECK_OK(aq_heap_is_start_of_stream(received, &is_start));
    CHECK_OK(aq_heap_is_end_of_stream(received, &is_end));
    CHECK_EQ(is_start, 1);
    CHECK_EQ(is_end, 0);
    CHECK_OK(aq_heap_item_count(received, &count));
    CHECK_EQ(count, 4);
    CHECK_OK(aq_heap_find_item(received, 0x1600, &item));
    CHECK_EQ(item.value, 0x123456789a);
    CHECK_OK(aq_heap_find_item(received, 0x1601, &item));
    CHECK(item.size == sizeof lent && memcmp(item.data, lent, sizeof lent) == 0);
    CHECK_OK(aq_heap_find_item(received, 0x1602, &item));
    CHECK(item.size == sizeof copied && memcmp(item.data, copied, sizeof copied) == 0);
    CHECK_OK(aq_heap_free(received));
    CHECK_EQ(__atomic_load_n(&released, __ATOMIC_SEQ_CST), 0); /* the heap still refers to it */
    CHECK_OK(aq_send_heap_free(heap));
    CHECK_EQ(__atomic_load_n(&released, __ATOMIC_SEQ_CST), 1);
    sending_close(&s);
}

/* What aq_send_heap_encode writes is what a stream sends. */
static void encoding(void)
{
    aq_send_heap *heap = heap_to_send(7, 1000);
    struct heap_receiver r;
    uint8_t packets[2000];
    size_t size = 0;
    aq_raw_item item;
    aq_heap *received;
    CHECK_ERROR(aq_send_heap_encode(heap, 1, 200, NULL, 0, &size), AQ_E_TRUNCATED, "capacity must be at least");
    /* 160 bytes of payload in all but the first packet, which has a pointer. */
    CHECK_EQ(size, 1000 + 7 * 40 + 8);
    CHECK_OK(aq_send_heap_encode(heap, 0xabc, 200, packets, sizeof packets, &size));
    heaps_init(&r);
    heaps_open(&r);
    CHECK_OK(aq_recv_stream_add_buffer_reader(r.stream, packets, size, NULL, NULL));
    received = heaps_next(&r);
    CHECK_EQ(heap_cnt(received), 0xabc);
    CHECK_OK(aq_heap_find_item(received, 0x1000, &item));
    CHECK(item.size == 1000 && item.data[0] == 7 && item.data[999] == 7);
    CHECK_OK(aq_heap_free(received));
    heaps_close(&r);
    CHECK_EQ(r.stats.packets, 7);
    CHECK_OK(aq_send_heap_free(heap));
}

static void a_descriptor(void)
{
    aq_descriptor d, found;
    aq_send_heap *heap = NULL;
    aq_heap *received;
    const int64_t shape[] = {3, -1};
    const aq_format_entry format[] = {{'u', 12}, {'f', 32}};
    struct sending s;
    size_t count = 0;
    sending_open(&s, NULL);
    CHECK_OK(aq_descriptor_init(&d, sizeof d));
    d.id = 0x1000;
    d.name = "pairs";
    d.description = "of a number and another";
    d.shape = shape;
    d.n_dims = 2;
    d.format = format;
    d.n_format = 2;
    CHECK_OK(aq_send_heap_new(NULL, &heap));
    CHECK_OK(aq_send_heap_add_descriptor(heap, &d, 0));
    received = receive(&s, heap);
    CHECK_OK(aq_heap_descriptor_count(received, &count));
    CHECK_EQ(count, 1);
    CHECK_OK(aq_descriptor_init(&found, sizeof found));
    CHECK_OK(aq_heap_descriptor(received, 0, &found));
    CHECK_EQ(found.id, 0x1000);
    CHECK_TEXT(found.name, "pairs");
    CHECK_TEXT(found.description, "of a number and another");
    CHECK_EQ(found.n_dims, 2);
    CHECK(found.shape[0] == 3 && found.shape[1] == -1);
    CHECK(found.n_format == 2 && found.format[0].letter == 'u' && found.format[1].bits == 32);
    CHECK_OK(aq_heap_free(received));
    CHECK_OK(aq_send_heap_free(heap));
    sending_close(&s);
}

static void describe(aq_send_group *group, uint64_t id, const char *name, const char *dtype)
{
    aq_descriptor d;
    CHECK_OK(aq_descriptor_init(&d, sizeof d));
    d.id = id;
    d.name = name;
    d.dtype = dtype;
    CHECK_OK(aq_send_group_add(group, &d));
}

/* How many items the next heap has, and what a receiver's group makes of it. */
static size_t next_heap(struct sending *s, aq_send_group *group, const aq_send_contents *contents,
                        aq_item_group *items_received)
{
    aq_send_heap *heap = NULL;
    aq_heap *received;
    size_t count = SIZE_MAX;
    CHECK_OK(aq_send_group_heap(group, contents, &heap));
    received = receive(s, heap);
    CHECK_OK(aq_send_heap_free(heap));
    CHECK_OK(aq_heap_item_count(received, &count));
    CHECK_OK(aq_item_group_update(items_received, received));
    CHECK_OK(aq_heap_free(received));
    return count;
}

static double value_of(aq_item_group *group, const char *name)
{
    aq_item item;
    double value = -1;
    CHECK_OK(aq_item_init(&item, sizeof item));
    CHECK_OK(aq_item_group_find_name(group, name, &item));
    CHECK_OK(aq_item_f64(&item, &value));
    return value;
}

static void groups(void)
{
    static const uint8_t big_endian[] = {0x40, 0x10, 0, 0, 0, 0, 0, 0}; /* 4.0 */
    aq_send_group_config config;
    aq_send_contents contents;
    aq_send_group *group = NULL;
    aq_item_group *received = NULL;
    struct sending s;
    uint32_t count = 77;
    double level = 2.5;
    sending_open(&s, NULL);
    CHECK_OK(aq_item_group_new(NULL, &received));
    CHECK_OK(aq_send_group_config_init(&config, sizeof config));
    CHECK_OK(aq_send_group_new(&config, &group));
    describe(group, 0x1000, "count", ">u4");
    describe(group, 0x1001, "level", "<f8");
    CHECK_OK(aq_send_group_set(group, 0x1000, &count, sizeof count));
    CHECK_OK(aq_send_group_set(group, 0x1001, &level, sizeof level));
    CHECK_EQ(next_heap(&s, group, NULL, received), 4);
    CHECK(value_of(received, "count") == 77 && value_of(received, "level") == 2.5);
    count = 78;
    CHECK_OK(aq_send_group_set(group, 0x1000, &count, sizeof count));
    CHECK_EQ(next_heap(&s, group, NULL, received), 1);
    CHECK(value_of(received, "count") == 78);
    CHECK_OK(aq_send_contents_init(&contents, sizeof contents));
    CHECK_EQ(contents.values, AQ_SEND_STALE);
    contents.descriptors = AQ_SEND_ALL;
    contents.values = AQ_SEND_NONE;
    CHECK_EQ(next_heap(&s, group, &contents, received), 2);
    contents.descriptors = AQ_SEND_NONE;
    contents.values = AQ_SEND_ALL;
    CHECK_EQ(next_heap(&s, group, &contents, received), 2);
    describe(group, 0x1002, "lent", ">f8");
    CHECK_OK(aq_send_group_set_reference(group, 0x1002, big_endian, sizeof big_endian, &released, release));
    CHECK_EQ(next_heap(&s, group, NULL, received), 2);
    CHECK(value_of(received, "lent") == 4);
    released = 0;
    CHECK_OK(aq_send_group_free(group));
    CHECK_EQ(released, 1);
    CHECK_OK(aq_item_group_free(received));
    sending_close(&s);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    items();
    encoding();
    a_descriptor();
    groups();
    return check_done();
}
