/* Packet layouts: from text and from a list, against a C struct, with every getter, as text and as CSV. */
#include "check.h"
#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

enum { BYTES = 512 };

static aq_packet_layout *parsed(const char *text)
{
    aq_packet_layout *layout = NULL;
    CHECK_OK(aq_packet_layout_parse(text, &layout));
    return layout;
}

static aq_packet_field_info info_of(const aq_packet_layout *layout, const char *name)
{
    aq_packet_field_info info;
    size_t index = SIZE_MAX;
    CHECK_OK(aq_packet_field_info_init(&info, sizeof info));
    CHECK_OK(aq_packet_layout_find(layout, name, &index));
    CHECK_OK(aq_packet_layout_field(layout, index, &info));
    CHECK_TEXT(info.name, name);
    return info;
}

static void describes(const aq_packet_layout *layout, const char *expected)
{
    char text[BYTES];
    size_t needed = 0;
    CHECK_OK(aq_packet_layout_describe(layout, text, sizeof text, &needed));
    CHECK_TEXT(text, expected);
    CHECK_EQ(needed, strlen(expected) + 1);
}

/* A packet as it comes from the wire; 2 bytes of padding in front of the last field. */
static const uint8_t wire[] = {0xaa, 1, 0, 0, 0, 0, 0, 0, 0x80, 0xfb, 0xff, 0, 0, 0xac, 0x41, 1, 0, 9, 9, '\''};

static void from_text(void)
{
    aq_packet_layout *layout = parsed("<header:B=0xaa, time:Q, adc:h, temperature:f, ok:?, low:b, 2x, tag:c");
    aq_packet_field_info info;
    size_t size = 0, count = 0;
    int64_t sign = 0;
    uint64_t number = 0;
    double real = 0;
    char text[BYTES];
    describes(layout, "<header:B=170,time:Q,adc:h,temperature:f,ok:?,low:b,2x,tag:c");
    CHECK_OK(aq_packet_layout_size(layout, &size));
    CHECK_EQ(size, sizeof wire);
    CHECK_OK(aq_packet_layout_field_count(layout, &count));
    CHECK_EQ(count, 7);
    info = info_of(layout, "header");
    CHECK_EQ(info.letter, 'B');
    CHECK_EQ(info.has_constant, 1);
    CHECK_EQ(info.constant_u64, 0xaa);
    CHECK_EQ(info.constant_i64, 0);
    info = info_of(layout, "tag");
    CHECK_EQ(info.offset, 19);
    CHECK_EQ(info.size, 1);
    CHECK_EQ(info.has_constant, 0);
    info = info_of(layout, "temperature");
    CHECK_EQ(info.offset, 11);
    CHECK_EQ(info.size, 4);

    CHECK_OK(aq_packet_layout_check(layout, wire, sizeof wire));
    CHECK_OK(aq_packet_layout_u64(layout, 1, wire, sizeof wire, &number));
    CHECK(number == UINT64_C(0x8000000000000001));
    CHECK_ERROR(aq_packet_layout_i64(layout, 1, wire, sizeof wire, &sign), AQ_E_INVALID,
                "field time of type Q: 9223372036854775809 is no signed 64-bit integer");
    CHECK_OK(aq_packet_layout_f64(layout, 1, wire, sizeof wire, &real));
    CHECK(real == 9223372036854775808.0);
    CHECK_OK(aq_packet_layout_i64(layout, 2, wire, sizeof wire, &sign));
    CHECK_EQ(sign, -5);
    CHECK_ERROR(aq_packet_layout_u64(layout, 2, wire, sizeof wire, &number), AQ_E_INVALID,
                "field adc of type h: -5 is no unsigned 64-bit integer");
    CHECK_OK(aq_packet_layout_f64(layout, 2, wire, sizeof wire, &real));
    CHECK(real == -5.0);
    CHECK_OK(aq_packet_layout_f64(layout, 3, wire, sizeof wire, &real));
    CHECK(real == 21.5);
    CHECK_ERROR(aq_packet_layout_i64(layout, 3, wire, sizeof wire, &sign), AQ_E_INVALID,
                "field temperature of type f: 21.5 is no signed 64-bit integer");
    CHECK_ERROR(aq_packet_layout_u64(layout, 3, wire, sizeof wire, &number), AQ_E_INVALID, "21.5 is no unsigned");
    CHECK_OK(aq_packet_layout_u64(layout, 4, wire, sizeof wire, &number));
    CHECK_EQ(number, 1);
    CHECK_OK(aq_packet_layout_u64(layout, 6, wire, sizeof wire, &number));
    CHECK_EQ(number, '\'');
    CHECK_OK(aq_packet_layout_i64(layout, 6, wire, sizeof wire, &sign));
    CHECK_EQ(sign, '\'');
    CHECK_OK(aq_packet_layout_f64(layout, 4, wire, sizeof wire, &real));
    CHECK(real == 1.0);

    CHECK_OK(aq_packet_layout_text(layout, wire, sizeof wire, NULL, text, sizeof text, &size));
    CHECK_TEXT(text, "170,9223372036854775809,-5,21.5,True,0,b\"'\"\n");
    CHECK_EQ(size, strlen(text) + 1);
    CHECK_OK(aq_packet_layout_text(layout, wire, sizeof wire, " | ", text, sizeof text, NULL));
    CHECK_TEXT(text, "170 | 9223372036854775809 | -5 | 21.5 | True | 0 | b\"'\"\n");
    CHECK_OK(aq_packet_layout_csv(layout, wire, sizeof wire, text, sizeof text, &size));
    CHECK_TEXT(text, "170,9223372036854775809,-5,21.5,true,0,'\n");
    CHECK_EQ(size, strlen(text) + 1);
    CHECK_OK(aq_packet_layout_csv_header(layout, text, sizeof text, &size));
    CHECK_TEXT(text, "header,time,adc,temperature,ok,low,tag\n");
    CHECK_EQ(size, strlen(text) + 1);
    CHECK_OK(aq_packet_layout_free(layout));
}

/* What a compiler makes of the same fields. */
struct packet {
    char tag;
    short s;
    unsigned char u;
    long l;
    signed char b;
    double d;
    size_t z;
    float f;
    unsigned long long q;
    char end;
};

static void as_a_struct(void)
{
    aq_packet_layout *layout = parsed("tag:c, s:h, u:B, l:l=-7, b:b, d:d=0.1, z:N, f:f=0.1, q:Q, end:c='\\n'");
    struct packet packet;
    const uint8_t *bytes = (const uint8_t *)&packet;
    const size_t bytes_size = offsetof(struct packet, end) + 1;
    size_t size = 0;
    char text[BYTES], expected[BYTES];
#define OFFSET(field) CHECK_EQ(info_of(layout, #field).offset, offsetof(struct packet, field))
    OFFSET(tag), OFFSET(s), OFFSET(u), OFFSET(l), OFFSET(b), OFFSET(d), OFFSET(z), OFFSET(f), OFFSET(q), OFFSET(end);
    CHECK_EQ(info_of(layout, "l").size, sizeof(long));
    CHECK_EQ(info_of(layout, "l").constant_i64, -7);
    CHECK(info_of(layout, "d").constant_f64 == 0.1);
    CHECK(info_of(layout, "f").constant_f64 == (double)0.1f);
    CHECK_EQ(info_of(layout, "end").constant_u64, '\n');
    CHECK_OK(aq_packet_layout_size(layout, &size));
    CHECK_EQ(size, bytes_size);
    memset(&packet, 0x77, sizeof packet); /* padding is not looked at */
    packet.tag = 'x';
    packet.s = -300;
    packet.u = 200;
    packet.l = -7;
    packet.b = -1;
    packet.d = 0.1;
    packet.z = SIZE_MAX;
    packet.f = 0.1f;
    packet.q = 1;
    packet.end = '\n';
    CHECK_OK(aq_packet_layout_text(layout, bytes, bytes_size, ",", text, sizeof text, NULL));
    snprintf(expected, sizeof expected, "b'x',-300,200,-7,-1,0.1,%zu,0.10000000149011612,1,b'\\n'\n", SIZE_MAX);
    CHECK_TEXT(text, expected);
    packet.l = 7;
    CHECK_ERROR(aq_packet_layout_text(layout, bytes, bytes_size, ",", text, sizeof text, NULL), AQ_E_FORMAT,
                "packet: field l must be -7, its constant (found 7)");
    CHECK_TEXT(text, expected); /* untouched */
    CHECK_OK(aq_packet_layout_free(layout));
}

static void from_a_list(void)
{
    aq_packet_field fields[8];
    aq_packet_layout *layout = NULL;
    memset(fields, 0, sizeof fields);
    fields[0].name = "head";
    fields[0].letter = 'B';
    fields[0].has_constant = 1;
    fields[0].constant_u64 = 0xaa;
    fields[1].letter = 'x';
    fields[1].padding = 3;
    fields[2].name = "low";
    fields[2].letter = 'q';
    fields[2].has_constant = 1;
    fields[2].constant_i64 = INT64_MIN;
    fields[3].name = "half";
    fields[3].letter = 'f';
    fields[3].has_constant = 1;
    fields[3].constant_f64 = -0.5;
    fields[4].name = "ok";
    fields[4].letter = '?';
    fields[4].has_constant = 1;
    fields[4].constant_u64 = 1;
    fields[5].name = "c";
    fields[5].letter = 'c';
    fields[5].has_constant = 1;
    fields[5].constant_u64 = 0xff;
    fields[6].name = "zero"; /* 0 is a constant, too */
    fields[6].letter = 'H';
    fields[6].has_constant = 1;
    fields[7].name = "any";
    fields[7].letter = 'd';
    CHECK_OK(aq_packet_layout_new('>', fields, 8, &layout));
    memset(fields, 0xee, sizeof fields); /* they were copied */
    describes(layout, ">head:B=170,3x,low:q=-9223372036854775808,half:f=-0.5,ok:?=True,c:c='\\xff',zero:H=0,any:d");
    CHECK_OK(aq_packet_layout_free(layout));
}

static void floats(void)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0\n"}, {-0.0, "-0.0\n"}, {1e-5, "1e-05\n"}, {1e-4, "0.0001\n"}, {1e16, "1e+16\n"},
        {1e15, "1000000000000000.0\n"}, {123.456, "123.456\n"}, {(double)INFINITY, "inf\n"},
        {-(double)INFINITY, "-inf\n"}, {(double)NAN, "nan\n"}, {DBL_MAX, "1.7976931348623157e+308\n"},
        {4.9406564584124654e-324, "5e-324\n"},
    };
    aq_packet_layout *layout = parsed("@value:d");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[40];
        CHECK_OK(aq_packet_layout_text(layout, (const uint8_t *)&cases[i].value, sizeof(double), ",", text,
                                       sizeof text, NULL));
        CHECK_TEXT(text, cases[i].text);
    }
    CHECK_OK(aq_packet_layout_free(layout));
}

static void header(void)
{
    aq_packet_layout *layout = parsed("a:B, 2x, b:d");
    char text[BYTES], *exact;
    size_t needed = 0, again = 0;
    CHECK_OK(aq_packet_layout_text_header(layout, NULL, "me", text, sizeof text, &needed));
    CHECK_EQ(needed, strlen(text) + 1);
    CHECK(strncmp(text, "#Created on 2", 13) == 0);
    CHECK(strstr(text, "+00:00 (") != NULL);
    CHECK(strstr(text, " s)\n#Aqueduct version: " AQ_VERSION "\n#Creator: me\n#a, b\n") != NULL);
    /* what it takes does not depend on when it is asked */
    CHECK_STATUS(aq_packet_layout_text_header(layout, "// ", NULL, NULL, 0, &needed), AQ_E_TRUNCATED);
    exact = (char *)malloc(needed);
    CHECK(exact != NULL);
    CHECK_OK(aq_packet_layout_text_header(layout, "// ", NULL, exact, needed, &again));
    CHECK_EQ(again, needed);
    CHECK(strncmp(exact, "// Created on 2", 15) == 0);
    CHECK(strstr(exact, "// Aqueduct version: " AQ_VERSION "\n// a, b\n") != NULL);
    free(exact);
    CHECK_OK(aq_packet_layout_free(layout));
}

int main(void)
{
    from_text();
    as_a_struct();
    from_a_list();
    floats();
    header();
    return check_done();
}
