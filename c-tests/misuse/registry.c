/* What a caller can get wrong with the registry. */
#include "misuse/handles.h"

static struct handles objects;

int main(void)
{
    aq_registry *registry = NULL;
    aq_registry_entries *entries = NULL;
    aq_registry_entry entry;
    aq_output_stream_config config;
    aq_output_stream *output = NULL;
    aq_publication *publication = NULL, *none = NULL;
    char endpoint[64] = "", text[8] = "same", long_name[300];
    size_t count = 7;
    int32_t port = 7;
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    handles_open(&objects);
    memset(long_name, 'x', sizeof long_name);
    long_name[256] = 0;
    CHECK_OK(aq_output_stream_config_init(&config, sizeof config));
    config.protocol = AQ_PROTOCOL_INPROC;
    CHECK_OK(aq_output_stream_new(&config, &output));

    CHECK_ERROR(aq_registry_serve("127.0.0.1:0", NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_registry_serve("127.0.0.1", &registry), AQ_E_INVALID, "endpoint must be HOST:PORT");
    CHECK_ERROR(aq_registry_serve("127.0.0.1:70000", &registry), AQ_E_INVALID, "(got \"127.0.0.1:70000\")");
    CHECK_ERROR(aq_registry_serve("\xff:1", &registry), AQ_E_INVALID, "endpoint must be UTF-8");
    CHECK_ERROR(aq_registry_serve("192.0.2.1:0", &registry), AQ_E_IO, "registry: listen on 192.0.2.1:0");
    CHECK(registry == NULL);
    CHECK_OK(aq_registry_serve("127.0.0.1:0", &registry));
    CHECK_OK(aq_registry_endpoint(registry, endpoint, sizeof endpoint, NULL));

    CHECK_ERROR(aq_registry_endpoint(NULL, text, sizeof text, NULL), AQ_E_INVALID, "registry must not be NULL");
    CHECK_ERROR(aq_registry_endpoint(registry, NULL, 5, NULL), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_ERROR(aq_registry_port(NULL, &port), AQ_E_INVALID, "registry must not be NULL");
    CHECK_ERROR(aq_registry_port(registry, NULL), AQ_E_INVALID, "port must not be NULL");
    CHECK_EQ(port, 7);

    CHECK_ERROR(aq_registry_publish(endpoint, "a", output, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_registry_publish(endpoint, NULL, output, &none), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_registry_publish(endpoint, "", output, &none), AQ_E_INVALID, "name must be of 1 to 255 bytes (got 0)");
    CHECK_ERROR(aq_registry_publish(endpoint, long_name, output, &none), AQ_E_INVALID, "(got 256)");
    CHECK_ERROR(aq_registry_publish(endpoint, "a\nb", output, &none), AQ_E_INVALID, "without control characters");
    CHECK_ERROR(aq_registry_publish(endpoint, "a", NULL, &none), AQ_E_INVALID, "output must not be NULL");
    CHECK_ERROR(aq_registry_publish("127.0.0.1:0", "a", output, &none), AQ_E_INVALID, "a port of 1 to 65535");
    CHECK(none == NULL);
    CHECK_OK(aq_registry_publish(endpoint, "a", output, &publication));

    CHECK_ERROR(aq_registry_lookup(endpoint, NULL, 0, text, sizeof text, NULL), AQ_E_INVALID, "name must not be NULL");
    CHECK_ERROR(aq_registry_lookup(endpoint, "", 0, text, sizeof text, NULL), AQ_E_INVALID, "name must be of");
    CHECK_ERROR(aq_registry_lookup(endpoint, "a", -2, text, sizeof text, NULL), AQ_E_INVALID, "timeout_ns");
    CHECK_ERROR(aq_registry_lookup(endpoint, "a", 0, NULL, 5, NULL), AQ_E_INVALID, "buffer must not be NULL");
    CHECK_TEXT(text, "same");
    CHECK_ERROR(aq_registry_list(endpoint, NULL), AQ_E_INVALID, "out must not be NULL");
    CHECK_ERROR(aq_registry_list("x", &entries), AQ_E_INVALID, "endpoint must be");
    CHECK_OK(aq_registry_list(endpoint, &entries));
    CHECK_ERROR(aq_registry_entries_count(entries, NULL), AQ_E_INVALID, "count must not be NULL");
    CHECK_ERROR(aq_registry_entries_count(NULL, &count), AQ_E_INVALID, "entries must not be NULL");
    CHECK_EQ(count, 7);
    CHECK_ERROR(aq_registry_entry_init(NULL, sizeof entry), AQ_E_INVALID, "entry must not be NULL");
    CHECK_ERROR(aq_registry_entry_init(&entry, 8), AQ_E_INVALID, "struct_size");
    CHECK_OK(aq_registry_entry_init(&entry, sizeof entry));
    CHECK_ERROR(aq_registry_entries_get(NULL, 0, &entry), AQ_E_INVALID, "entries must not be NULL");
    CHECK_ERROR(aq_registry_entries_get(entries, 0, NULL), AQ_E_INVALID, "entry must not be NULL");
    CHECK_ERROR(aq_registry_entries_get(entries, SIZE_MAX, &entry), AQ_E_NOT_FOUND, "index must be below 1");
    CHECK(entry.name == NULL);
    CHECK_ERROR(aq_publication_status(NULL), AQ_E_INVALID, "publication must not be NULL");

    CHECK_WRONG_HANDLES(objects, KINDS, aq_registry, "registry", aq_registry_port(wrong, &port));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_registry, "registry", aq_registry_free(wrong));
    CHECK_WRONG_HANDLES(objects, OUTPUT_STREAM, aq_output_stream, "output", aq_registry_publish(endpoint, "b", wrong, &none));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_publication, "publication", aq_publication_status(wrong));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_publication, "publication", aq_publication_free(wrong));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_registry_entries, "entries", aq_registry_entries_count(wrong, &count));
    CHECK_WRONG_HANDLES(objects, KINDS, aq_registry_entries, "entries", aq_registry_entries_free(wrong));

    CHECK_OK(aq_registry_free(NULL));
    CHECK_OK(aq_publication_free(NULL));
    CHECK_OK(aq_registry_entries_free(NULL));
    CHECK_OK(aq_registry_entries_free(entries));
    CHECK_OK(aq_registry_free(registry)); /* in any order */
    CHECK_OK(aq_publication_free(publication));
    CHECK_OK(aq_output_stream_free(output));
    handles_close(&objects);
    return check_done();
}
