/* The registry: outputs are published, looked up, listed; names are unique, go with their publication and come back. */
#include "check.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static const int64_t shape[] = {-1, 4};

static aq_output_stream *open_output(double rate)
{
    aq_output_stream_config config;
    aq_output_stream *output = NULL;
    CHECK_OK(aq_output_stream_config_init(&config, sizeof config));
    config.protocol = AQ_PROTOCOL_SHM;
    config.dtype = "<i2";
    config.shape = shape;
    config.ndim = 2;
    config.sample_rate = rate;
    CHECK_OK(aq_output_stream_new(&config, &output));
    return output;
}

/* What is looked up is what the output says of itself, and connects to it. */
static void lookup_connects(const char *endpoint)
{
    aq_output_stream *output = open_output(250);
    aq_publication *publication = NULL;
    aq_input_stream *input = NULL;
    char own[4096], found[AQ_REGISTRY_PARAMS_SIZE] = "untouched";
    size_t needed = 0;
    CHECK_OK(aq_output_stream_params_json(output, own, sizeof own, NULL));
    CHECK_ERROR(aq_registry_lookup(endpoint, "eeg", 0, found, sizeof found, NULL), AQ_E_NOT_FOUND,
                "no stream is published as \"eeg\"");
    CHECK_STATUS(aq_registry_lookup(endpoint, "eeg", 2000000, found, sizeof found, NULL), AQ_TIMEOUT);
    CHECK_OK(aq_registry_publish(endpoint, "eeg", output, &publication));
    CHECK_OK(aq_publication_status(publication));
    CHECK_ERROR(aq_registry_lookup(endpoint, "eeg", 0, found, 10, &needed), AQ_E_TRUNCATED, "size must be at least");
    CHECK_TEXT(found, "untouched");
    CHECK_EQ(needed, strlen(own) + 1);
    CHECK_OK(aq_registry_lookup(endpoint, "eeg", AQ_WAIT_FOREVER, found, needed, NULL));
    CHECK_TEXT(found, own);
    CHECK_OK(aq_input_stream_connect(found, NULL, &input));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_publication_free(publication));
    CHECK_ERROR(aq_registry_lookup(endpoint, "eeg", 0, found, sizeof found, NULL), AQ_E_NOT_FOUND, "\"eeg\"");
    CHECK_OK(aq_output_stream_free(output));
}

/* The publication keeps its output open, in whichever order they are freed. */
static void free_order(const char *endpoint)
{
    aq_output_stream *output = open_output(250);
    aq_publication *publication = NULL;
    aq_input_stream *input = NULL;
    char params[4096];
    CHECK_OK(aq_registry_publish(endpoint, "kept", output, &publication));
    CHECK_OK(aq_output_stream_free(output));
    CHECK_OK(aq_registry_lookup(endpoint, "kept", 0, params, sizeof params, NULL));
    CHECK_OK(aq_input_stream_connect(params, NULL, &input));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_publication_free(publication));
    CHECK_ERROR(aq_input_stream_connect(params, NULL, &input), AQ_E_NOT_FOUND, "");
}

static void names_are_unique(const char *endpoint)
{
    aq_output_stream *one = open_output(1), *two = open_output(2);
    aq_publication *first = NULL, *second = NULL, *other = NULL;
    aq_registry_entries *entries = NULL;
    aq_registry_entry entry;
    char own[4096], taken[600];
    size_t count = 9;
    CHECK_OK(aq_registry_publish(endpoint, "b", one, &first));
    CHECK_OK(aq_registry_publish(endpoint, "a", two, &other));
    CHECK_ERROR(aq_registry_publish(endpoint, "b", two, &second), AQ_E_STATE, "name \"b\" is taken: 127.0.0.1:");
    CHECK(second == NULL);
    snprintf(taken, sizeof taken, "%s", aq_last_error());

    CHECK_OK(aq_registry_list(endpoint, &entries));
    CHECK_OK(aq_registry_entries_count(entries, &count));
    CHECK_EQ(count, 2);
    CHECK_OK(aq_registry_entry_init(&entry, sizeof entry));
    CHECK_OK(aq_registry_entries_get(entries, 1, &entry));
    CHECK_TEXT(entry.name, "b");
    CHECK_OK(aq_output_stream_params_json(one, own, sizeof own, NULL));
    CHECK_TEXT(entry.params_json, own);
    CHECK(strstr(taken, entry.holder) != NULL); /* the message names the holder */
    CHECK_OK(aq_registry_entries_get(entries, 0, &entry));
    CHECK_TEXT(entry.name, "a");
    CHECK_ERROR(aq_registry_entries_get(entries, 2, &entry), AQ_E_NOT_FOUND, "index must be below 2 (got 2)");
    CHECK_OK(aq_registry_entries_free(entries));

    CHECK_OK(aq_publication_free(first));
    CHECK_OK(aq_registry_publish(endpoint, "b", two, &second));
    CHECK_OK(aq_publication_free(second));
    CHECK_OK(aq_publication_free(other));
    CHECK_OK(aq_output_stream_free(one));
    CHECK_OK(aq_output_stream_free(two));
}

static void *publish_late(void *endpoint)
{
    aq_output_stream *output = open_output(7);
    aq_publication *publication = NULL;
    CHECK_OK(aq_registry_publish((const char *)endpoint, "late", output, &publication));
    CHECK_OK(aq_output_stream_free(output));
    return publication;
}

static void a_lookup_waits(char *endpoint)
{
    pthread_t thread;
    void *publication = NULL;
    char params[4096];
    CHECK_EQ(pthread_create(&thread, NULL, publish_late, endpoint), 0);
    CHECK_OK(aq_registry_lookup(endpoint, "late", 60000000000, params, sizeof params, NULL));
    CHECK(strstr(params, "\"sample_rate\":7") != NULL);
    CHECK_EQ(pthread_join(thread, &publication), 0);
    CHECK_OK(aq_publication_free((aq_publication *)publication));
}

/* It is told, and found again by itself. */
static void the_registry_is_restarted(void)
{
    aq_registry *registry = NULL;
    aq_output_stream *output = open_output(3);
    aq_publication *publication = NULL, *second = NULL;
    char endpoint[64], params[4096];
    int32_t port = 0;
    const struct timespec moment = {0, 1000000};
    CHECK_OK(aq_registry_serve("127.0.0.1:0", &registry));
    CHECK_OK(aq_registry_port(registry, &port));
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%d", (int)port);
    CHECK_OK(aq_registry_publish(endpoint, "x", output, &publication));
    CHECK_OK(aq_registry_free(registry));
    CHECK_ERROR(aq_registry_lookup(endpoint, "x", 60000000000, params, sizeof params, NULL), AQ_E_IO, endpoint);
    CHECK_ERROR(aq_registry_publish(endpoint, "y", output, &second), AQ_E_IO, "nobody answers");
    CHECK(second == NULL);
    for (int i = 0; i < 60000 && aq_publication_status(publication) == AQ_OK; i++)
        nanosleep(&moment, NULL);
    CHECK(aq_publication_status(publication) < 0);
    CHECK(strstr(aq_last_error(), endpoint) != NULL);
    CHECK_OK(aq_registry_serve(endpoint, &registry));
    CHECK_OK(aq_registry_lookup(endpoint, "x", 60000000000, params, sizeof params, NULL));
    for (int i = 0; i < 60000 && aq_publication_status(publication) != AQ_OK; i++)
        nanosleep(&moment, NULL);
    CHECK_OK(aq_publication_status(publication));
    CHECK_OK(aq_publication_free(publication));
    CHECK_OK(aq_output_stream_free(output));
    CHECK_OK(aq_registry_free(registry));
}

int main(void)
{
    aq_registry *registry = NULL, *second = NULL;
    char endpoint[64] = "";
    size_t needed = 0;
    CHECK_OK(aq_set_log(NULL, NULL, NULL, AQ_LOG_OFF));
    CHECK_OK(aq_registry_serve("127.0.0.1:0", &registry));
    CHECK_ERROR(aq_registry_endpoint(registry, NULL, 0, &needed), AQ_E_TRUNCATED, "");
    CHECK_OK(aq_registry_endpoint(registry, endpoint, sizeof endpoint, NULL));
    CHECK_EQ(needed, strlen(endpoint) + 1);
    CHECK_EQ(strncmp(endpoint, "127.0.0.1:", 10), 0);
    CHECK_ERROR(aq_registry_serve(endpoint, &second), AQ_E_IO, endpoint);
    CHECK(strstr(aq_last_error(), "Address already in use") != NULL && second == NULL);
    lookup_connects(endpoint);
    free_order(endpoint);
    names_are_unique(endpoint);
    a_lookup_waits(endpoint);
    CHECK_OK(aq_registry_free(registry));
    the_registry_is_restarted();
    return check_done();
}
