/* What a caller can get wrong with packet layouts. */
#include "misuse/handles.h"
#include "sized.h"
#include <math.h>

static struct handles objects;

static void texts(void)
{
    aq_packet_layout *layout = NULL;
    CHECK_ERROR(aq_packet_layout_parse(NULL, &layout), AQ_E_INVALID, "text must not be NULL");
    CHECK_ERROR(aq_packet_layout_parse("a:B", NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_packet_layout_parse("a\xff:B", &layout), AQ_E_INVALID, "text must be UTF-8 (byte 1 is not)");
    CHECK_ERROR(aq_packet_layout_parse("", &layout), AQ_E_INVALID, "layout: byte 0: found the end, but");
    CHECK_ERROR(aq_packet_layout_parse("<x", &layout), AQ_E_INVALID, "layout: fields: there must be at least 1");
    CHECK_ERROR(aq_packet_layout_parse("a:B,a:h", &layout), AQ_E_INVALID, "byte 4: a: there is a field of that name");
    CHECK_ERROR(aq_packet_layout_parse("a:s", &layout), AQ_E_INVALID, "byte 2: found \"s\", but the type of a field");
    CHECK_ERROR(aq_packet_layout_parse("a:b=128", &layout), AQ_E_INVALID, "an integer between -128 and 127");
    CHECK_ERROR(aq_packet_layout_parse("<a:n", &layout), AQ_E_INVALID, "needs the byte order @");
    CHECK_ERROR(aq_packet_layout_parse("a:B,4000000000x", &layout), AQ_E_INVALID, "at most 1073741823 bytes");
    CHECK(layout == NULL);
}

static aq_packet_field field_of(const char *name, int32_t letter)
{
    aq_packet_field field;
    memset(&field, 0, sizeof field);
    field.name = name;
    field.letter = letter;
    return field;
}

/* A list whose second field has `letter`, and `member` set to `value`. */
#define CHECK_FIELD(letter, constant, member, value, message)                                                          \
    do {                                                                                                              \
        aq_packet_field fields[2] = {field_of("a", 'B'), field_of("b", letter)};                                      \
        fields[1].has_constant = (constant);                                                                          \
        fields[1].member = (value);                                                                                   \
        CHECK_ERROR(aq_packet_layout_new('<', fields, 2, &layout), AQ_E_INVALID, "fields[1]: " message);              \
    } while (0)

static void lists(void)
{
    aq_packet_layout *layout = NULL;
    aq_packet_field field = field_of("a", 'B');
    CHECK_ERROR(aq_packet_layout_new('<', NULL, 1, &layout), AQ_E_INVALID, "fields must not be NULL");
    CHECK_ERROR(aq_packet_layout_new('<', &field, 1, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_packet_layout_new('<', NULL, 0, &layout), AQ_E_INVALID, "fields: there must be at least 1");
    CHECK_ERROR(aq_packet_layout_new('<', &field, SIZE_MAX, &layout), AQ_E_INVALID, "fields: there cannot be");
    CHECK_ERROR(aq_packet_layout_new('#', &field, 1, &layout), AQ_E_INVALID, "byte_order must be one of '@' '=' '<'");
    CHECK_ERROR(aq_packet_layout_new('#', &field, 1, &layout), AQ_E_INVALID, "(got '#')");
    CHECK_ERROR(aq_packet_layout_new(0, &field, 1, &layout), AQ_E_INVALID, "(got 0)");
    CHECK_ERROR(aq_packet_layout_new(INT32_MIN, &field, 1, &layout), AQ_E_INVALID, "(got -2147483648)");
    CHECK_FIELD('s', 0, padding, 0, "letter must be one of c b B ? h H i I l L q Q n N f d x (got 's')");
    CHECK_FIELD(0, 0, padding, 0, "letter must be one of");
    CHECK_FIELD('B' + 256, 0, padding, 0, "letter must be one of");
    CHECK_FIELD('B', 0, name, NULL, "name must not be NULL");
    CHECK_FIELD('B', 0, name, "\xff", "name must be UTF-8");
    CHECK_FIELD('B', 0, name, "", "a name must be 1 to 255 letters");
    CHECK_FIELD('B', 0, name, "2", "a name must be");
    CHECK_FIELD('B', 0, name, "a b", "a name must be");
    CHECK_FIELD('B', 0, name, "a", "a: there is a field of that name already");
    CHECK_FIELD('N', 0, padding, 0, "b: the type N needs the byte order @ (got <)");
    CHECK_FIELD('B', 2, padding, 0, "has_constant must be 0 or 1 (got 2)");
    CHECK_FIELD('B', 0, padding, 1, "padding must be 0 but for the letter 'x' (got 1 for 'B')");
    CHECK_FIELD('B', 1, constant_u64, 256, "b: a constant of type B must be between 0 and 255 (got 256)");
    CHECK_FIELD('B', 1, constant_i64, 1, "constant_i64 must be 0 for its letter, whose constant is constant_u64");
    CHECK_FIELD('h', 1, constant_u64, 1, "constant_u64 must be 0 for its letter, whose constant is constant_i64");
    CHECK_FIELD('d', 1, constant_u64, 1, "constant_u64 must be 0 for its letter, whose constant is constant_f64");
    CHECK_FIELD('d', 0, constant_f64, 1, "constant_f64 must be 0 where there is no constant");
    CHECK_FIELD('h', 1, constant_i64, -32769, "b: a constant of type h must be between -32768 and 32767 (got -32769)");
    CHECK_FIELD('?', 1, constant_u64, 2, "constant_u64 of a bool must be 0 or 1 (got 2)");
    CHECK_FIELD('?', 1, constant_u64, UINT64_MAX, "constant_u64 of a bool must be 0 or 1");
    CHECK_FIELD('c', 1, constant_u64, 256, "constant_u64 of a character must be at most 255 (got 256)");
    CHECK_FIELD('d', 1, constant_f64, (double)NAN, "b: a constant of type d must be a number (got nan");
    CHECK_FIELD('f', 1, constant_f64, 1e39, "b: a constant of type f must be between");
    CHECK_FIELD('x', 0, padding, 1, "padding must have neither a name nor a constant");
    CHECK_FIELD('x', 1, name, NULL, "padding must have neither a name nor a constant");
    CHECK_FIELD('x', 0, name, NULL, "padding must be at least 1 byte (got 0)");
    field = field_of(NULL, 'x');
    field.padding = SIZE_MAX;
    CHECK_ERROR(aq_packet_layout_new('<', &field, 1, &layout), AQ_E_INVALID, "at most 1073741823 bytes");
    CHECK(layout == NULL);
}

static void numbers_of_fields(void)
{
    static aq_packet_field many[2050];
    static char names[2050][8];
    aq_packet_layout *layout = NULL;
    for (size_t i = 0; i < 2050; i++) {
        snprintf(names[i], sizeof names[i], "f%zu", i);
        many[i] = field_of(names[i], 'B');
    }
    CHECK_ERROR(aq_packet_layout_new('<', many, 2050, &layout), AQ_E_INVALID, "n_fields must be at most 2049 (got 2050)");
    CHECK_ERROR(aq_packet_layout_new('<', many, 1025, &layout), AQ_E_INVALID,
                "fields[1024]: there must be at most 1024 fields");
    CHECK(layout == NULL);
    CHECK_OK(aq_packet_layout_new('<', many, 1024, &layout));
    CHECK_OK(aq_packet_layout_free(layout));
}

static void packets(void)
{
    aq_packet_layout *layout = NULL;
    aq_packet_field_info info;
    const uint8_t packet[3] = {1, 2, 3}, wrong[3] = {2, 2, 3};
    size_t n = 77;
    int64_t sign = 77;
    uint64_t number = 77;
    double real = 77;
    char text[8] = "before";
    CHECK_OK(aq_packet_layout_parse("<a:B=1,b:H", &layout));
    CHECK_SIZED_INIT(aq_packet_field_info, aq_packet_field_info_init);
    CHECK_OK(aq_packet_field_info_init(&info, sizeof info));

    CHECK_ERROR(aq_packet_layout_size(layout, NULL), AQ_E_INVALID, "size must not be NULL");
    CHECK_ERROR(aq_packet_layout_field_count(layout, NULL), AQ_E_INVALID, "count must not be NULL");
    CHECK_ERROR(aq_packet_layout_find(layout, NULL, &n), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_packet_layout_find(layout, "a", NULL), AQ_E_INVALID, "index must not be NULL");
    CHECK_ERROR(aq_packet_layout_find(layout, "\xff", &n), AQ_E_INVALID, "name must be UTF-8");
    CHECK_ERROR(aq_packet_layout_find(layout, "c", &n), AQ_E_NOT_FOUND, "name: the layout has no field \"c\"");
    CHECK_ERROR(aq_packet_layout_field(layout, 2, &info), AQ_E_NOT_FOUND, "index must be below 2, the number of fields");
    CHECK_ERROR(aq_packet_layout_field(layout, 0, NULL), AQ_E_INVALID, "info must not be NULL");
    info.struct_size = 1;
    CHECK_ERROR(aq_packet_layout_field(layout, 0, &info), AQ_E_INVALID, "struct_size 1");

    CHECK_ERROR(aq_packet_layout_check(layout, NULL, 3), AQ_E_INVALID, "packet must not be NULL");
    CHECK_ERROR(aq_packet_layout_check(layout, NULL, 0), AQ_E_FORMAT, "packet: its size must be 3 bytes, the layout's (got 0)");
    CHECK_ERROR(aq_packet_layout_check(layout, packet, 2), AQ_E_FORMAT, "(got 2)");
    CHECK_ERROR(aq_packet_layout_check(layout, packet, SIZE_MAX), AQ_E_INVALID, "packet: there cannot be");
    CHECK_ERROR(aq_packet_layout_check(layout, wrong, 3), AQ_E_FORMAT, "field a must be 1, its constant (found 2)");

#define CHECK_GETTER(getter, value)                                                                                   \
    do {                                                                                                              \
        CHECK_ERROR(getter(layout, 2, packet, 3, &(value)), AQ_E_NOT_FOUND, "index must be below 2");                 \
        CHECK_ERROR(getter(layout, SIZE_MAX, packet, 3, &(value)), AQ_E_NOT_FOUND, "index must be below 2");          \
        CHECK_ERROR(getter(layout, 0, NULL, 3, &(value)), AQ_E_INVALID, "packet must not be NULL");                   \
        CHECK_ERROR(getter(layout, 0, packet, 2, &(value)), AQ_E_FORMAT, "its size must be 3 bytes");                 \
        CHECK_ERROR(getter(layout, 0, packet, 3, NULL), AQ_E_INVALID, "value must not be NULL");                      \
        CHECK_ERROR(getter(NULL, 0, packet, 3, &(value)), AQ_E_INVALID, "layout must not be NULL");                   \
        CHECK((value) == 77);                                                                                         \
    } while (0)
    CHECK_GETTER(aq_packet_layout_i64, sign);
    CHECK_GETTER(aq_packet_layout_u64, number);
    CHECK_GETTER(aq_packet_layout_f64, real);

    CHECK_ERROR(aq_packet_layout_text(layout, NULL, 3, ",", text, sizeof text, &n), AQ_E_INVALID, "packet must not be NULL");
    CHECK_ERROR(aq_packet_layout_text(layout, packet, 3, "\xff", text, sizeof text, &n), AQ_E_INVALID,
                "separator must be UTF-8");
    CHECK_ERROR(aq_packet_layout_text(layout, packet, 3, ",", NULL, 8, &n), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_packet_layout_text(layout, wrong, 3, ",", text, sizeof text, &n), AQ_E_FORMAT, "field a must be 1");
    CHECK_ERROR(aq_packet_layout_csv(layout, NULL, 3, text, sizeof text, &n), AQ_E_INVALID, "packet must not be NULL");
    CHECK_ERROR(aq_packet_layout_csv(layout, packet, 3, NULL, 8, &n), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_packet_layout_csv(layout, wrong, 3, text, sizeof text, &n), AQ_E_FORMAT, "field a must be 1");
    CHECK_ERROR(aq_packet_layout_text_header(layout, "\xff", NULL, text, sizeof text, &n), AQ_E_INVALID,
                "prefix must be UTF-8");
    CHECK_ERROR(aq_packet_layout_text_header(layout, NULL, "\xff", text, sizeof text, &n), AQ_E_INVALID,
                "creator must be UTF-8");
    CHECK_ERROR(aq_packet_layout_text_header(layout, NULL, NULL, NULL, 8, &n), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_packet_layout_csv_header(layout, NULL, 8, &n), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_packet_layout_describe(layout, NULL, 8, &n), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_EQ(n, 77);
    /* "1,770\n" takes 7 bytes */
    CHECK_ERROR(aq_packet_layout_text(layout, packet, 3, ",", text, 6, &n), AQ_E_TRUNCATED, "size must be at least 7");
    CHECK_EQ(n, 7);
    CHECK_STATUS(aq_packet_layout_csv(layout, packet, 3, NULL, 0, &n), AQ_E_TRUNCATED);
    CHECK_STATUS(aq_packet_layout_csv_header(layout, text, 4, NULL), AQ_E_TRUNCATED);
    CHECK_STATUS(aq_packet_layout_describe(layout, text, sizeof text, NULL), AQ_E_TRUNCATED);
    CHECK_STATUS(aq_packet_layout_text_header(layout, NULL, NULL, text, sizeof text, NULL), AQ_E_TRUNCATED);
    CHECK_TEXT(text, "before");
    CHECK_OK(aq_packet_layout_text(layout, packet, 3, ",", text, 7, &n));
    CHECK_TEXT(text, "1,770\n");
    CHECK_OK(aq_packet_layout_free(layout));
}

#define CHECK_LAYOUT(call)                                                                                            \
    do {                                                                                                              \
        CHECK_WRONG_HANDLES(objects, KINDS, aq_packet_layout, "layout", call);                                        \
        aq_packet_layout *wrong = NULL;                                                                               \
        CHECK_ERROR(call, AQ_E_INVALID, "layout must not be NULL");                                                   \
    } while (0)

static void handles(void)
{
    aq_packet_field_info info;
    const uint8_t packet[3] = {1, 2, 3};
    size_t n = 77;
    int64_t sign;
    uint64_t number;
    double real;
    char text[80];
    CHECK_OK(aq_packet_field_info_init(&info, sizeof info));
    CHECK_LAYOUT(aq_packet_layout_size(wrong, &n));
    CHECK_LAYOUT(aq_packet_layout_field_count(wrong, &n));
    CHECK_LAYOUT(aq_packet_layout_find(wrong, "a", &n));
    CHECK_LAYOUT(aq_packet_layout_field(wrong, 0, &info));
    CHECK_LAYOUT(aq_packet_layout_check(wrong, packet, 3));
    CHECK_LAYOUT(aq_packet_layout_i64(wrong, 0, packet, 3, &sign));
    CHECK_LAYOUT(aq_packet_layout_u64(wrong, 0, packet, 3, &number));
    CHECK_LAYOUT(aq_packet_layout_f64(wrong, 0, packet, 3, &real));
    CHECK_LAYOUT(aq_packet_layout_text(wrong, packet, 3, ",", text, sizeof text, &n));
    CHECK_LAYOUT(aq_packet_layout_csv(wrong, packet, 3, text, sizeof text, &n));
    CHECK_LAYOUT(aq_packet_layout_text_header(wrong, NULL, NULL, text, sizeof text, &n));
    CHECK_LAYOUT(aq_packet_layout_csv_header(wrong, text, sizeof text, &n));
    CHECK_LAYOUT(aq_packet_layout_describe(wrong, text, sizeof text, &n));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_packet_layout, "layout", aq_packet_layout_free(wrong));
    CHECK_OK(aq_packet_layout_free(NULL));
    CHECK_EQ(n, 77);
}

int main(void)
{
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    texts();
    lists();
    numbers_of_fields();
    packets();
    handles();
    handles_close(&objects);
    return check_done();
}
