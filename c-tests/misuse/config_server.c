/* What a caller can get wrong with params by request. */
#include "misuse/handles.h"
#include <stdlib.h>

static struct handles objects;

static void count(void *user)
{
    ++*(int *)user;
}

int main(void)
{
    aq_output_stream_config config;
    aq_output_stream *output = NULL;
    aq_config_server *server = NULL, *second = NULL;
    char text[64] = "same";
    int freed = 0;
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    CHECK_OK(aq_output_stream_config_init(&config, sizeof config));
    config.protocol = AQ_PROTOCOL_INPROC;
    CHECK_OK(aq_output_stream_new(&config, &output));
    CHECK_ERROR(aq_output_stream_serve_config(NULL, NULL, 0, NULL, &freed, count, &server), AQ_E_INVALID,
                "output must not be NULL");
    CHECK_ERROR(aq_output_stream_serve_config(output, NULL, 0, NULL, &freed, count, NULL), AQ_E_INVALID,
                "out must not be NULL");
    CHECK_ERROR(aq_output_stream_serve_config(output, NULL, -1, NULL, &freed, count, &server), AQ_E_INVALID,
                "port must be 0 to 65535 (got -1)");
    CHECK_ERROR(aq_output_stream_serve_config(output, NULL, 65536, NULL, &freed, count, &server), AQ_E_INVALID,
                "(got 65536)");
    CHECK_ERROR(aq_output_stream_serve_config(output, "\xff", 0, NULL, &freed, count, &server), AQ_E_INVALID,
                "interface must be UTF-8");
    CHECK_EQ(freed, 5);
    CHECK(server == NULL);
    CHECK_WRONG_HANDLES(objects, OUTPUT_STREAM, aq_output_stream, "output",
                        aq_output_stream_serve_config(wrong, NULL, 0, NULL, NULL, NULL, &server));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_config_server, "server",
                        aq_config_server_address(wrong, text, sizeof text, NULL));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_config_server, "server", aq_config_server_free(wrong));
    CHECK_ERROR(aq_config_server_address(NULL, text, sizeof text, NULL), AQ_E_INVALID, "server must not be NULL");
    CHECK_TEXT(text, "same");
    CHECK_OK(aq_config_server_free(NULL));
    if (aq_has_feature("zmq")) {
        CHECK_ERROR(aq_output_stream_serve_config(output, "a b", 0, NULL, &freed, count, &server), AQ_E_INVALID,
                    "interface must be an address or a name");
        CHECK_ERROR(aq_output_stream_serve_config(output, "192.0.2.1", 0, NULL, &freed, count, &server), AQ_E_IO,
                    "192.0.2.1");
        CHECK_EQ(freed, 7);
        CHECK_OK(aq_output_stream_serve_config(output, NULL, 0, NULL, &freed, count, &server));
        CHECK_ERROR(aq_config_server_address(server, NULL, 4, NULL), AQ_E_INVALID, "buffer must not be NULL");
        CHECK_ERROR(aq_config_server_address(server, text, 4, NULL), AQ_E_TRUNCATED, "size must be at least");
        CHECK_OK(aq_config_server_address(server, text, sizeof text, NULL));
        CHECK_ERROR(aq_output_stream_serve_config(output, NULL, atoi(strrchr(text, ':') + 1), NULL, &freed, count,
                                                  &second),
                    AQ_E_IO, "Address already in use");
        CHECK(second == NULL);
        CHECK_EQ(freed, 8);
        CHECK_OK(aq_config_server_free(server));
        CHECK_EQ(freed, 9);
    }
    CHECK_OK(aq_output_stream_free(output));
    handles_close(&objects);
    return check_done();
}
