/* What a caller can get wrong with heaps and groups to send. */
#include "misuse/handles.h"
#include "sized.h"

static struct handles objects;
static int freed;

static void count_free(void *user)
{
    CHECK(user == &freed);
    freed++;
}

static aq_status use_heap_config(const void *config)
{
    aq_send_heap *heap = NULL;
    /* NULL stands for the defaults, but not in this test. */
    aq_status status = config == NULL ? aq_send_heap_config_init(NULL, sizeof(aq_send_heap_config))
                                      : aq_send_heap_new((const aq_send_heap_config *)config, &heap);
    CHECK_OK(aq_send_heap_free(heap));
    return status;
}

static aq_status use_group_config(const void *config)
{
    aq_send_group *group = NULL;
    aq_status status = config == NULL ? aq_send_group_config_init(NULL, sizeof(aq_send_group_config))
                                      : aq_send_group_new((const aq_send_group_config *)config, &group);
    CHECK_OK(aq_send_group_free(group));
    return status;
}

static aq_send_group *contents_group;

static aq_status use_contents(const void *contents)
{
    aq_send_heap *heap = NULL;
    aq_status status = contents == NULL
                           ? aq_send_contents_init(NULL, sizeof(aq_send_contents))
                           : aq_send_group_heap(contents_group, (const aq_send_contents *)contents, &heap);
    CHECK_OK(aq_send_heap_free(heap));
    return status;
}

static void structs(void)
{
    aq_send_heap_config heap_config;
    aq_send_group_config group_config;
    aq_send_contents contents;
    CHECK_SIZED_INIT(aq_send_heap_config, aq_send_heap_config_init);
    CHECK_SIZED_INIT(aq_send_group_config, aq_send_group_config_init);
    CHECK_SIZED_INIT(aq_send_contents, aq_send_contents_init);
    CHECK_OK(aq_send_heap_config_init(&heap_config, sizeof heap_config));
    check_sized_input(&heap_config, sizeof heap_config, use_heap_config);
    heap_config.heap_address_bits = 47;
    CHECK_ERROR(use_heap_config(&heap_config), AQ_E_INVALID,
                "heap_address_bits must be a multiple of 8 between 8 and 56 (got 47)");
    heap_config.heap_address_bits = 48;
    heap_config.repeat_pointers = 2;
    CHECK_ERROR(use_heap_config(&heap_config), AQ_E_INVALID, "repeat_pointers must be 0 or 1 (got 2)");
    CHECK_OK(aq_send_group_config_init(&group_config, sizeof group_config));
    check_sized_input(&group_config, sizeof group_config, use_group_config);
    group_config.bug_compat = 16;
    CHECK_ERROR(use_group_config(&group_config), AQ_E_INVALID, "bug_compat must be between 0 and 15 (got 16)");
    group_config.bug_compat = 0;
    group_config.heap_address_bits = -8;
    CHECK_ERROR(use_group_config(&group_config), AQ_E_INVALID, "(got -8)");
    CHECK_OK(aq_send_group_new(NULL, &contents_group));
    CHECK_OK(aq_send_contents_init(&contents, sizeof contents));
    check_sized_input(&contents, sizeof contents, use_contents);
    contents.descriptors = 3;
    CHECK_ERROR(use_contents(&contents), AQ_E_INVALID, "contents: descriptors must be AQ_SEND_NONE");
    contents.descriptors = AQ_SEND_ALL;
    contents.values = -1;
    CHECK_ERROR(use_contents(&contents), AQ_E_INVALID, "contents: values must be AQ_SEND_NONE");
    contents.values = AQ_SEND_ALL;
    contents.repeat_pointers = -1;
    CHECK_ERROR(use_contents(&contents), AQ_E_INVALID, "repeat_pointers must be 0 or 1 (got -1)");
    contents.repeat_pointers = 0;
    contents.reserved = 1;
    CHECK_ERROR(use_contents(&contents), AQ_E_VERSION, "reserved must be 0");
    CHECK_OK(aq_send_group_free(contents_group));
}

static void heaps(void)
{
    aq_send_heap *heap = NULL;
    uint8_t data[8] = {0}, packets[100];
    size_t size = 7;
    CHECK_ERROR(aq_send_heap_new(NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_OK(aq_send_heap_new(NULL, &heap));
    CHECK_ERROR(aq_send_heap_add_immediate(NULL, 1, 1), AQ_E_INVALID, "heap must not be NULL");
    CHECK_ERROR(aq_send_heap_add_immediate(heap, 1 << 15, 1), AQ_E_INVALID, "id must be less than 2^15");
    CHECK_ERROR(aq_send_heap_add_immediate(heap, 1, 1), AQ_E_INVALID, "describes a packet");
    CHECK_ERROR(aq_send_heap_add_immediate(heap, 7, (uint64_t)1 << 48), AQ_E_INVALID, "must be less than 2^48");
    CHECK_ERROR(aq_send_heap_add_item(NULL, 7, data, 1, &freed, count_free), AQ_E_INVALID, "heap must not be NULL");
    CHECK_EQ(freed, 1);
    CHECK_ERROR(aq_send_heap_add_item(heap, 7, NULL, 1, &freed, count_free), AQ_E_INVALID, "data must not be NULL");
    CHECK_EQ(freed, 2);
    CHECK_ERROR(aq_send_heap_add_item(heap, 1 << 15, data, 1, &freed, count_free), AQ_E_INVALID, "2^15");
    CHECK_EQ(freed, 3);
    CHECK_OK(aq_send_heap_add_item(heap, 7, NULL, 0, &freed, count_free));
    CHECK_EQ(freed, 4); /* of nothing, nothing is needed */
    CHECK_OK(aq_send_heap_add_item(heap, 7, data, 8, NULL, NULL));
    CHECK_ERROR(aq_send_heap_add_copy(NULL, 7, data, 1), AQ_E_INVALID, "heap must not be NULL");
    CHECK_ERROR(aq_send_heap_add_copy(heap, 7, NULL, 1), AQ_E_INVALID, "data must not be NULL");
    CHECK_ERROR(aq_send_heap_add_copy(heap, 7, data, SIZE_MAX), AQ_E_INVALID, "there cannot be");
    CHECK_ERROR(aq_send_heap_add_control(NULL, 0), AQ_E_INVALID, "heap must not be NULL");
    CHECK_ERROR(aq_send_heap_add_control(heap, 4), AQ_E_INVALID, "control must be one of AQ_SEND_CONTROL_* (got 4)");
    CHECK_ERROR(aq_send_heap_encode(NULL, 1, 200, packets, 100, &size), AQ_E_INVALID, "heap must not be NULL");
    CHECK_ERROR(aq_send_heap_encode(heap, 1, 200, packets, 100, NULL), AQ_E_INVALID, "size must not be NULL");
    CHECK_ERROR(aq_send_heap_encode(heap, 1, 200, NULL, 100, &size), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_send_heap_encode(heap, 1, 55, packets, 100, &size), AQ_E_INVALID, "(got 55)");
    CHECK_ERROR(aq_send_heap_encode(heap, (uint64_t)1 << 48, 200, packets, 100, &size), AQ_E_INVALID, "2^48");
    CHECK_EQ(size, 7);
    CHECK_ERROR(aq_send_heap_encode(heap, 1, 200, packets, 63, &size), AQ_E_TRUNCATED, "at least 64");
    CHECK_EQ(size, 64);
    CHECK_WRONG_HANDLES(objects, KINDS, aq_send_heap, "heap", aq_send_heap_add_immediate(wrong, 7, 1));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_send_heap, "heap", aq_send_heap_free(wrong));
    CHECK_OK(aq_send_heap_free(NULL));
    CHECK_OK(aq_send_heap_free(heap));
}

static void descriptors(void)
{
    static const int64_t negative[] = {-2}, variable[] = {-1, -1};
    static const aq_format_entry bad[] = {{'u', 65}}, good[] = {{'u', 8}};
    aq_send_heap *heap = NULL;
    aq_send_group *group = NULL;
    aq_descriptor d, empty;
    aq_send_heap *out = NULL;
    uint8_t data[4] = {0};
    CHECK_OK(aq_send_heap_new(NULL, &heap));
    CHECK_OK(aq_send_group_new(NULL, &group));
    CHECK_ERROR(aq_send_group_new(NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_OK(aq_descriptor_init(&empty, sizeof empty));
    CHECK_ERROR(aq_send_heap_add_descriptor(heap, NULL, 0), AQ_E_INVALID, "descriptor must not be NULL");
    CHECK_ERROR(aq_send_group_add(group, NULL), AQ_E_INVALID, "descriptor must not be NULL");
    CHECK_ERROR(aq_send_group_add(group, &empty), AQ_E_INVALID, "descriptor: name must not be NULL");
    d = empty;
    d.id = 0x1000;
    d.name = "x";
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "it needs a dtype or a format");
    d.dtype = "<f3";
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_FORMAT, "<f3");
    d.dtype = "<f4";
    CHECK_ERROR(aq_send_group_add(NULL, &d), AQ_E_INVALID, "group must not be NULL");
    CHECK_ERROR(aq_send_heap_add_descriptor(NULL, &d, 0), AQ_E_INVALID, "heap must not be NULL");
    CHECK_ERROR(aq_send_heap_add_descriptor(heap, &d, -1), AQ_E_INVALID, "bug_compat must be between 0 and 15 (got -1)");
    d.format = good;
    d.n_format = 1;
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "only one of dtype and format");
    d.dtype = NULL;
    d.order = AQ_ORDER_F;
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "AQ_ORDER_F needs a dtype");
    d.order = 7;
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "order must be one of AQ_ORDER_* (got 7)");
    d.order = AQ_ORDER_C;
    d.format = bad;
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_FORMAT, "between 1 and 64 bits");
    d.format = NULL;
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "format must not be NULL");
    d.format = good;
    d.n_dims = 1;
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "shape must not be NULL");
    d.shape = negative;
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "must be -1 or at least 0 (got -2)");
    d.shape = variable;
    d.n_dims = 2;
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "at most one dimension may be variable (got 2)");
    d.n_dims = 0;
    d.name = "\xff";
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "name must be UTF-8");
    d.name = "gr\xc3\xbcn";
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "name must be ASCII");
    d.name = "x";
    d.reserved = 1;
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_VERSION, "reserved must be 0");
    d.reserved = 0;
    d.id = 1 << 15;
    CHECK_ERROR(aq_send_group_add(group, &d), AQ_E_INVALID, "id must be less than 2^15");
    d.id = 0x1000;
    CHECK_OK(aq_send_group_add(group, &d));
    CHECK_ERROR(aq_send_group_set(NULL, 0x1000, data, 1), AQ_E_INVALID, "group must not be NULL");
    CHECK_ERROR(aq_send_group_set(group, 0x1001, data, 1), AQ_E_NOT_FOUND, "no item 0x1001");
    CHECK_ERROR(aq_send_group_set(group, 0x1000, data, 2), AQ_E_INVALID, "size must be 1");
    CHECK_ERROR(aq_send_group_set(group, 0x1000, NULL, 1), AQ_E_INVALID, "data must not be NULL");
    freed = 0;
    CHECK_ERROR(aq_send_group_set_reference(NULL, 0x1000, data, 1, &freed, count_free), AQ_E_INVALID, "group");
    CHECK_ERROR(aq_send_group_set_reference(group, 0x1001, data, 1, &freed, count_free), AQ_E_NOT_FOUND, "0x1001");
    CHECK_ERROR(aq_send_group_set_reference(group, 0x1000, NULL, 1, &freed, count_free), AQ_E_INVALID, "data");
    CHECK_EQ(freed, 3);
    CHECK_ERROR(aq_send_group_heap(NULL, NULL, &out), AQ_E_INVALID, "group must not be NULL");
    CHECK_ERROR(aq_send_group_heap(group, NULL, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK(out == NULL);
    CHECK_WRONG_HANDLES(objects, KINDS, aq_send_group, "group", aq_send_group_add(wrong, &d));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_send_group, "group", aq_send_group_free(wrong));
    CHECK_OK(aq_send_group_free(NULL));
    CHECK_OK(aq_send_group_free(group));
    CHECK_OK(aq_send_heap_free(heap));
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    structs();
    heaps();
    descriptors();
    handles_close(&objects);
    return check_done();
}
