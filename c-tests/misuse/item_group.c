/* What a caller can get wrong with items and item groups. */
#include "heaps.h"
#include "misuse/handles.h"
#include "sized.h"

static struct handles objects;

static aq_status use_config(const void *config)
{
    aq_item_group *group = NULL;
    aq_status status = aq_item_group_new((const aq_item_group_config *)config, &group);
    if (status == AQ_OK)
        CHECK_OK(aq_item_group_free(group));
    return status;
}

static aq_status use_item(const void *item)
{
    uint64_t value;
    return aq_item_u64((const aq_item *)item, &value);
}

static void structs(void)
{
    aq_item_group_config config;
    aq_item item;
    CHECK_SIZED_INIT(aq_item, aq_item_init);
    CHECK_SIZED_INIT(aq_descriptor, aq_descriptor_init);
    CHECK_SIZED_INIT(aq_item_group_config, aq_item_group_config_init);
    CHECK_OK(aq_item_group_config_init(&config, sizeof config));
    config.max_items = 0;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "max_items must be at least 1 (got 0)");
    config.max_items = 1;
    CHECK_ERROR(aq_item_group_new(&config, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_OK(use_config(&config));
    CHECK_OK(use_config(NULL));
    config.struct_size = 1;
    CHECK_ERROR(use_config(&config), AQ_E_INVALID, "struct_size");
    CHECK_OK(aq_item_init(&item, sizeof item));
    item.number_kind = AQ_NUMBER_UNSIGNED;
    check_sized_input(&item, sizeof item, use_item);
}

static void numbers(void)
{
    aq_item item;
    uint64_t u = 7;
    int64_t i = 7;
    double f = 7;
    CHECK_OK(aq_item_init(&item, sizeof item));
    item.id = 0x1234;
    CHECK_ERROR(aq_item_u64(&item, &u), AQ_E_INVALID, "item 0x1234: it is no single number");
    item.number_kind = 4;
    CHECK_ERROR(aq_item_i64(&item, &i), AQ_E_INVALID, "no single number");
    item.number_kind = AQ_NUMBER_SIGNED;
    item.number_bits = UINT64_MAX;
    CHECK_ERROR(aq_item_u64(&item, &u), AQ_E_INVALID, "-1 is no unsigned 64-bit integer");
    CHECK_ERROR(aq_item_i64(&item, NULL), AQ_E_INVALID, "value must not be NULL");
    item.number_kind = AQ_NUMBER_UNSIGNED;
    CHECK_ERROR(aq_item_i64(&item, &i), AQ_E_INVALID, "18446744073709551615 is no signed 64-bit integer");
    item.number_kind = AQ_NUMBER_FLOAT;
    item.number_bits = 0;
    CHECK_ERROR(aq_item_u64(&item, &u), AQ_E_INVALID, "0 is no unsigned 64-bit integer");
    CHECK_EQ(u, 7);
    CHECK_EQ(i, 7);
    CHECK(f == 7);
}

static void groups(void)
{
    aq_item_group *group = NULL;
    aq_item item;
    aq_item_error error;
    aq_descriptor descriptor;
    size_t count = 7;
    struct heap_receiver r;
    struct packets p = no_packets();
    aq_heap *heap;
    CHECK_OK(aq_item_group_new(NULL, &group));
    CHECK_OK(aq_item_init(&item, sizeof item));
    CHECK_OK(aq_descriptor_init(&descriptor, sizeof descriptor));
    CHECK_ERROR(aq_item_group_update(NULL, NULL), AQ_E_INVALID, "group must not be NULL");
    CHECK_ERROR(aq_item_group_update(group, NULL), AQ_E_INVALID, "heap must not be NULL");
    CHECK_ERROR(aq_item_group_update(group, (const aq_heap *)group), AQ_E_INVALID, "heap: not an aq_heap");
    CHECK_WRONG_HANDLES(objects, KINDS, aq_item_group, "group", aq_item_group_update(wrong, NULL));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_item_group, "group", aq_item_group_count(wrong, &count));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_item_group, "group", aq_item_group_at(wrong, 0, &item));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_item_group, "group", aq_item_group_free(wrong));
    CHECK_ERROR(aq_item_group_count(group, NULL), AQ_E_INVALID, "count must not be NULL");
    CHECK_ERROR(aq_item_group_count(NULL, &count), AQ_E_INVALID, "group must not be NULL");
    CHECK_ERROR(aq_item_group_changed_count(NULL, &count), AQ_E_INVALID, "group must not be NULL");
    CHECK_ERROR(aq_item_group_error_count(NULL, &count), AQ_E_INVALID, "group must not be NULL");
    CHECK_EQ(count, 7);
    CHECK_ERROR(aq_item_group_at(group, 0, &item), AQ_E_NOT_FOUND, "index must be below 0, the number of items (got 0)");
    CHECK_ERROR(aq_item_group_at(group, SIZE_MAX, &item), AQ_E_NOT_FOUND, "index");
    CHECK_ERROR(aq_item_group_find_id(group, 1, &item), AQ_E_NOT_FOUND, "id: the group has no item 0x1");
    CHECK_ERROR(aq_item_group_find_name(group, "x", &item), AQ_E_NOT_FOUND, "name: the group has no item \"x\"");
    CHECK_ERROR(aq_item_group_find_name(group, NULL, &item), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_item_group_find_name(group, "\xff", &item), AQ_E_INVALID, "name must be UTF-8");
    CHECK_ERROR(aq_item_group_changed(group, 0, &item), AQ_E_NOT_FOUND, "changed items");
    CHECK_ERROR(aq_item_group_error(group, 0, &error), AQ_E_NOT_FOUND, "errors");
    CHECK_ERROR(aq_item_group_error(group, 0, NULL), AQ_E_INVALID, "error must not be NULL");
    CHECK_ERROR(aq_heap_descriptor_count(NULL, &count), AQ_E_INVALID, "heap must not be NULL");
    CHECK_ERROR(aq_heap_descriptor(NULL, 0, &descriptor), AQ_E_INVALID, "heap must not be NULL");

    /* half a heap */
    spead_packet(&p, 1, 10, 1, 0, 5);
    heaps_init(&r);
    r.ring.contiguous_only = 0;
    heaps_open(&r);
    heaps_feed(&r, &p);
    heap = heaps_next(&r);
    CHECK_ERROR(aq_item_group_update(group, heap), AQ_E_INVALID, "heap: it is incomplete (heap 1)");
    CHECK_ERROR(aq_heap_descriptor_count(heap, NULL), AQ_E_INVALID, "count must not be NULL");
    CHECK_OK(aq_heap_descriptor_count(heap, &count));
    CHECK_EQ(count, 0);
    CHECK_OK(aq_heap_free(heap));
    heaps_close(&r);
    spead_free(&p);
    CHECK_OK(aq_item_group_free(NULL));
    CHECK_OK(aq_item_group_free(group));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    structs();
    numbers();
    groups();
    handles_close(&objects);
    return check_done();
}
