/* Items: what descriptors and item groups make of heaps, of real ones and of ones made by hand. */
#include "heaps.h"

#define CAPTURE "../tests/data/items_48.pcap"

enum { ID = 0x1400 }; /* anything that is no special item */

static aq_item new_item(void)
{
    aq_item item;
    CHECK_OK(aq_item_init(&item, sizeof item));
    return item;
}

static aq_item_group *new_group(size_t max_items)
{
    aq_item_group_config config;
    aq_item_group *group = NULL;
    CHECK_OK(aq_item_group_config_init(&config, sizeof config));
    CHECK_EQ(config.max_items, 65536);
    CHECK_EQ(config.max_bytes, (size_t)1 << 32);
    config.max_items = max_items;
    CHECK_OK(aq_item_group_new(&config, &group));
    return group;
}

static void item_is(aq_item_group *group, const char *name, const char *dtype, size_t n_dims, const size_t *shape)
{
    aq_item item = new_item();
    if (!CHECK_OK(aq_item_group_find_name(group, name, &item)))
        return;
    CHECK(strcmp(item.name, name) == 0);
    CHECK(strcmp(item.dtype, dtype) == 0);
    CHECK_EQ(item.has_value, 1);
    if (CHECK_EQ(item.n_dims, n_dims))
        for (size_t i = 0; i < n_dims; i++)
            CHECK_EQ(item.shape[i], shape[i]);
}

/* What spead2 sent; tests/items.rs compares every value. */
static void of_a_capture(void)
{
    struct heap_receiver r;
    aq_item_group *group = NULL;
    aq_heap *heap;
    aq_item item = new_item();
    aq_descriptor descriptor;
    const size_t matrix[] = {37, 11}, hundred[] = {100}, cube[] = {5, 6, 7}, nine[] = {9}, ten[] = {10}, four[] = {4};
    size_t count = 99, heaps = 0, descriptors = 0;
    uint64_t number = 0;
    int64_t sign = 0;
    double real = 0;
    CHECK_OK(aq_item_group_new(NULL, &group));
    CHECK_OK(aq_descriptor_init(&descriptor, sizeof descriptor));
    heaps_init(&r);
    heaps_open(&r);
    CHECK_OK(aq_recv_stream_add_pcap_reader(r.stream, CAPTURE, NULL));
    while ((heap = heaps_next(&r)) != NULL) {
        CHECK_OK(aq_heap_descriptor_count(heap, &count));
        for (size_t i = 0; i < count; i++) {
            CHECK_OK(aq_heap_descriptor(heap, i, &descriptor));
            if (strcmp(descriptor.name, "mixed_fields") == 0) {
                CHECK(descriptor.dtype == NULL);
                CHECK(strcmp(descriptor.native_dtype, "[('f0', '|u1'), ('f1', '<i2'), ('f2', '<f4')]") == 0);
                if (CHECK_EQ(descriptor.n_format, 3)) {
                    CHECK_EQ(descriptor.format[1].letter, 'i');
                    CHECK_EQ(descriptor.format[1].bits, 12);
                }
            } else if (strcmp(descriptor.name, "be_i16") == 0) {
                CHECK(strcmp(descriptor.dtype, ">i2") == 0);
                CHECK(strcmp(descriptor.native_dtype, "<i2") == 0);
                CHECK_EQ(descriptor.n_format, 0);
            } else if (strcmp(descriptor.name, "variable_rows") == 0) {
                CHECK_EQ(descriptor.n_dims, 2);
                CHECK_EQ(descriptor.shape[0], -1);
                CHECK_EQ(descriptor.shape[1], 3);
            } else if (strcmp(descriptor.name, "c64_fortran") == 0) {
                CHECK_EQ(descriptor.order, AQ_ORDER_F);
            }
        }
        CHECK_STATUS(aq_heap_descriptor(heap, count, &descriptor), AQ_E_NOT_FOUND);
        descriptors += count;
        CHECK_OK(aq_item_group_update(group, heap));
        CHECK_OK(aq_heap_free(heap));
        CHECK_OK(aq_item_group_changed_count(group, &count));
        heaps += count > 0;
        for (size_t i = 0; i < count; i++) {
            CHECK_OK(aq_item_group_changed(group, i, &item));
            CHECK_EQ(item.changed, 1);
        }
        CHECK_STATUS(aq_item_group_changed(group, count, &item), AQ_E_NOT_FOUND);
        CHECK_OK(aq_item_group_error_count(group, &count));
        CHECK_EQ(count, 0);
    }
    CHECK_EQ(descriptors, 10);
    CHECK_OK(aq_item_group_count(group, &count));
    CHECK_EQ(count, 10);
    item_is(group, "f32_matrix", "<f4", 2, matrix);
    item_is(group, "be_i16", "<i2", 1, hundred);
    item_is(group, "c64_fortran", "<c8", 3, cube);
    item_is(group, "scalar_u48", "<u8", 0, NULL);
    item_is(group, "record", "[('a', '<u2'), ('b', '<f8')]", 1, nine);
    item_is(group, "bits12", "<u2", 1, ten);
    item_is(group, "mixed_fields", "[('f0', '|u1'), ('f1', '<i2'), ('f2', '<f4')]", 1, four);

    CHECK_OK(aq_item_group_find_name(group, "c64_fortran", &item));
    CHECK_EQ(item.order, AQ_ORDER_F);
    CHECK_EQ(item.strides[0], 8);
    CHECK_EQ(item.strides[1], 40);
    CHECK_EQ(item.strides[2], 240);
    CHECK_EQ(item.size, 5 * 6 * 7 * 8);
    CHECK_OK(aq_item_group_find_name(group, "record", &item));
    CHECK_EQ(item.version, heaps);
    CHECK_EQ(item.item_size, 10);
    if (CHECK_EQ(item.n_fields, 2)) {
        CHECK(strcmp(item.fields[1].name, "b") == 0);
        CHECK(strcmp(item.fields[1].dtype, "<f8") == 0);
        CHECK_EQ(item.fields[1].offset, 2);
        CHECK_EQ(item.fields[1].size, 8);
        CHECK_EQ(item.fields[1].n_dims, 0);
    }
    CHECK_OK(aq_item_group_find_id(group, 0x2005, &item)); /* scalar_i32 */
    CHECK_EQ(item.number_kind, AQ_NUMBER_SIGNED);
    CHECK_EQ(item.size, 4);
    CHECK_OK(aq_item_i64(&item, &sign));
    CHECK_OK(aq_item_f64(&item, &real));
    CHECK((double)sign == real && sign != 0);
    CHECK_OK(aq_item_group_find_name(group, "scalar_u48", &item));
    CHECK_OK(aq_item_u64(&item, &number));
    CHECK(number > 0 && number < UINT64_C(1) << 48);
    CHECK_EQ(memcmp(&number, item.data, 8), 0);
    CHECK_OK(aq_item_group_find_name(group, "f32_matrix", &item));
    CHECK_ERROR(aq_item_f64(&item, &real), AQ_E_INVALID, "item f32_matrix: it is no single number");
    CHECK_OK(aq_item_group_free(group));
    heaps_close(&r);
}

enum { VARIABLE = 256 };

/* A descriptor of an item of `shape` (one dimension below 256, VARIABLE, or none if below 0) and one format entry, as a packet. */
static struct packets descriptor(uint64_t id, const char *name, int64_t shape, char letter, unsigned bits)
{
    struct packets p = no_packets();
    size_t length = strlen(name), at = 0;
    uint8_t dimension[7] = {0}, format[3];
    format[0] = (uint8_t)letter;
    format[1] = (uint8_t)(bits >> 8);
    format[2] = (uint8_t)bits;
    dimension[0] = shape == VARIABLE;
    dimension[6] = (uint8_t)shape;
    spead_begin(&p, 7u + (shape >= 0));
    spead_item(&p, SPEAD_HEAP_CNT, 1);
    spead_item(&p, SPEAD_HEAP_LENGTH, length + 3 + (shape >= 0 ? 7 : 0));
    spead_item(&p, SPEAD_PAYLOAD_OFFSET, 0);
    spead_item(&p, SPEAD_PAYLOAD_LENGTH, length + 3 + (shape >= 0 ? 7 : 0));
    spead_item(&p, 0x14, id);
    spead_u64(&p, UINT64_C(0x10) << 48 | at);
    at += length;
    spead_u64(&p, UINT64_C(0x13) << 48 | at);
    at += 3;
    if (shape >= 0)
        spead_u64(&p, UINT64_C(0x12) << 48 | at);
    spead_raw(&p, name, length);
    spead_raw(&p, format, 3);
    if (shape >= 0)
        spead_raw(&p, dimension, 7);
    return p;
}

struct part {
    uint64_t id;
    struct packets bytes;
};

/* A heap of one packet with these parts, each an addressed item; releases them. */
static void heap_of(struct packets *p, uint64_t cnt, size_t n, struct part *parts)
{
    size_t length = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        length += parts[i].bytes.size;
    spead_begin(p, (unsigned)(4 + n));
    spead_item(p, SPEAD_HEAP_CNT, cnt);
    spead_item(p, SPEAD_HEAP_LENGTH, length);
    spead_item(p, SPEAD_PAYLOAD_OFFSET, 0);
    spead_item(p, SPEAD_PAYLOAD_LENGTH, length);
    for (size_t i = 0; i < n; i++) {
        spead_u64(p, parts[i].id << 48 | at);
        at += parts[i].bytes.size;
    }
    for (size_t i = 0; i < n; i++) {
        spead_raw(p, parts[i].bytes.bytes, parts[i].bytes.size);
        spead_free(&parts[i].bytes);
    }
}

static struct part part(uint64_t id, struct packets bytes)
{
    struct part part;
    part.id = id;
    part.bytes = bytes;
    return part;
}

static struct part value(uint64_t id, const char *text)
{
    struct packets p = no_packets();
    spead_raw(&p, text, strlen(text));
    return part(id, p);
}

/* Replaced descriptions, wrong ones and wrong values: told, and the rest is there all the same. */
static void changes_and_errors(void)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    struct part parts[8];
    aq_item_group *group = new_group(3);
    aq_item item = new_item();
    aq_item_error error;
    aq_descriptor d;
    aq_heap *heap;
    size_t count = 99;
    uint64_t number = 0;
    CHECK_OK(aq_descriptor_init(&d, sizeof d));
    parts[0] = part(5, descriptor(ID, "short", 4, 'u', 16));
    parts[1] = part(5, descriptor(ID + 1, "good", -1, 'u', 12));
    parts[2] = part(5, descriptor(ID + 2, "bad", -1, 'q', 8));
    parts[3] = value(5, "no packet at all");
    parts[4] = value(ID, "abc");
    parts[5] = value(ID + 1, "\xab\xcd");
    parts[6] = value(ID + 9, "nobody described this");
    heap_of(&p, 1, 7, parts);
    parts[0] = part(5, descriptor(ID, "short", 1, 'u', 16)); /* another shape */
    parts[1] = value(ID, "abc");
    heap_of(&p, 2, 2, parts);
    parts[0] = part(5, descriptor(ID + 7, "good", -1, 'u', 8)); /* another id for a name */
    parts[1] = part(5, descriptor(ID + 4, "more", -1, 'u', 8));
    parts[2] = part(5, descriptor(ID + 5, "too many", -1, 'u', 8));
    heap_of(&p, 3, 3, parts);
    heaps_init(&r);
    heaps_open(&r);
    heaps_feed(&r, &p);

    heap = heaps_next(&r);
    CHECK_ERROR(aq_item_group_update(group, heap), AQ_E_FORMAT, "format (q, 8)");
    CHECK_OK(aq_heap_descriptor_count(heap, &count));
    CHECK_EQ(count, 4);
    CHECK_OK(aq_heap_descriptor(heap, 1, &d));
    CHECK(strcmp(d.name, "good") == 0);
    CHECK_ERROR(aq_heap_descriptor(heap, 2, &d), AQ_E_FORMAT, "format (q, 8)");
    CHECK_ERROR(aq_heap_descriptor(heap, 3, &d), AQ_E_FORMAT, "malformed packet");
    CHECK_OK(aq_heap_free(heap));
    CHECK_OK(aq_item_group_error_count(group, &count));
    if (CHECK_EQ(count, 3)) {
        CHECK_OK(aq_item_group_error(group, 0, &error));
        CHECK_EQ(error.id, ID + 2);
        CHECK_EQ(error.status, AQ_E_FORMAT);
        CHECK_OK(aq_item_group_error(group, 1, &error));
        CHECK_EQ(error.id, 0);
        CHECK(strstr(error.message, "malformed packet") != NULL);
        CHECK_OK(aq_item_group_error(group, 2, &error));
        CHECK_EQ(error.id, ID);
        CHECK(strcmp(error.message, "item short (0x1400): its shape [4] needs 8 bytes, its value has 3") == 0);
    }
    CHECK_STATUS(aq_item_group_error(group, 3, &error), AQ_E_NOT_FOUND);
    CHECK_OK(aq_item_group_count(group, &count));
    CHECK_EQ(count, 2);
    CHECK_OK(aq_item_group_at(group, 0, &item));
    CHECK_EQ(item.id, ID);
    CHECK_EQ(item.has_value, 0);
    CHECK(item.data == NULL);
    CHECK_EQ(item.version, 0);
    CHECK_ERROR(aq_item_u64(&item, &number), AQ_E_INVALID, "no single number");
    CHECK_OK(aq_item_group_find_id(group, ID + 1, &item));
    CHECK_OK(aq_item_u64(&item, &number));
    CHECK_EQ(number, 0xabc);
    CHECK_EQ(item.version, 1);
    CHECK_STATUS(aq_item_group_find_id(group, ID + 9, &item), AQ_E_NOT_FOUND);

    heap = heaps_next(&r);
    CHECK_OK(aq_item_group_update(group, heap));
    CHECK_OK(aq_heap_free(heap));
    CHECK_OK(aq_item_group_find_name(group, "short", &item));
    CHECK_EQ(item.version, 2); /* a description and a value */
    CHECK_EQ(item.shape[0], 1);
    CHECK_EQ(item.data[0], 'b'); /* native order, of a little-endian machine; the third byte is beyond the shape */
    CHECK_OK(aq_item_group_find_name(group, "good", &item));
    CHECK_EQ(item.changed, 0);

    heap = heaps_next(&r);
    CHECK_ERROR(aq_item_group_update(group, heap), AQ_E_NOMEM, "a group has at most 3 items");
    CHECK_OK(aq_heap_free(heap));
    CHECK_STATUS(aq_item_group_find_id(group, ID + 1, &item), AQ_E_NOT_FOUND);
    CHECK_OK(aq_item_group_find_name(group, "good", &item));
    CHECK_EQ(item.id, ID + 7);
    CHECK_EQ(item.has_value, 0);
    CHECK_EQ(item.version, 2);
    CHECK_OK(aq_item_group_count(group, &count));
    CHECK_EQ(count, 3);
    CHECK(heaps_next(&r) == NULL);
    heaps_close(&r);
    CHECK_OK(aq_item_group_free(group));
    spead_free(&p);
}

/* max_bytes bounds values and descriptions together; what does not fit is an error, and leaves the item as it was. */
static void bytes(void)
{
    struct heap_receiver r;
    struct packets p = no_packets();
    struct part parts[8];
    aq_item_group_config config;
    aq_item_group *group = NULL;
    aq_item item = new_item();
    aq_heap *heap;
    size_t count = 99;
    char text[1001];
    memset(text, 'x', 1000);
    text[1000] = 0;
    CHECK_OK(aq_item_group_config_init(&config, sizeof config));
    config.max_bytes = 1600;
    CHECK_OK(aq_item_group_new(&config, &group));
    parts[0] = part(5, descriptor(ID, "lines", VARIABLE, 'u', 8));
    parts[1] = part(5, descriptor(ID + 1, "others", VARIABLE, 'u', 8));
    parts[2] = value(ID, text);
    parts[3] = value(ID + 1, "few");
    heap_of(&p, 1, 4, parts);
    parts[0] = value(ID + 1, text);
    heap_of(&p, 2, 1, parts);
    parts[0] = part(5, descriptor(ID + 2, text, -1, 'u', 8));
    heap_of(&p, 3, 1, parts);
    parts[0] = value(ID, "short");
    parts[1] = value(ID + 1, text);
    heap_of(&p, 4, 2, parts);
    heaps_init(&r);
    heaps_open(&r);
    heaps_feed(&r, &p);
    heap = heaps_next(&r);
    CHECK_OK(aq_item_group_update(group, heap));
    CHECK_OK(aq_heap_free(heap));
    for (int i = 0; i < 2; i++) {
        heap = heaps_next(&r);
        CHECK_ERROR(aq_item_group_update(group, heap), AQ_E_NOMEM, "have at most 1600 bytes");
        CHECK_OK(aq_heap_free(heap));
    }
    CHECK_OK(aq_item_group_count(group, &count));
    CHECK_EQ(count, 2);
    CHECK_OK(aq_item_group_find_name(group, "others", &item));
    CHECK_EQ(item.size, 3);
    /* what is replaced makes room */
    heap = heaps_next(&r);
    CHECK_OK(aq_item_group_update(group, heap));
    CHECK_OK(aq_heap_free(heap));
    CHECK_OK(aq_item_group_find_name(group, "others", &item));
    CHECK_EQ(item.size, 1000);
    heaps_close(&r);
    CHECK_OK(aq_item_group_free(group));
    spead_free(&p);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    of_a_capture();
    changes_and_errors();
    bytes();
    return check_done();
}
