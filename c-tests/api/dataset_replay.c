/* Replays through an output that there is: again and again, stopped, some rows of many. */
#include "recording.h"

int main(void)
{
    aq_dataset_recorder_config config = recording_config();
    aq_output_stream_config output_config = signal_config(AQ_PROTOCOL_INPROC);
    aq_output_stream *output = signal_output(&output_config), *same = NULL;
    aq_input_stream *input = signal_input(output, NULL);
    aq_dataset_replay_config play;
    aq_dataset_replay_stats stats;
    aq_dataset_replay *replay = NULL;
    aq_array_view view = signal_view();
    CHECK_OK(aq_dataset_replay_config_init(&play, sizeof play));
    CHECK_EQ(play.loops, 1);
    if (!aq_has_feature("hdf5")) {
        CHECK_ERROR(aq_dataset_replay_new_on_output("/dev/null", "data", &play, output, &replay), AQ_E_UNSUPPORTED, "hdf5");
        CHECK_OK(aq_input_stream_free(input));
        CHECK_OK(aq_output_stream_free(output));
        return check_done();
    }
    record_frames("rows.h5", &config, 100);

    /* From the first row on, at the recorded rate. */
    play.end_row = 40;
    play.chunk_rows = 40;
    CHECK_OK(aq_dataset_replay_new_on_output(recording_path("rows.h5"), "a/data", &play, output, &replay));
    CHECK_STATUS(aq_dataset_replay_wait(replay, GUARD_NS), AQ_STOPPED);
    CHECK_OK(aq_dataset_replay_start(replay));
    signal_receive(input, 0, 40, 0);
    CHECK_OK(aq_dataset_replay_wait(replay, GUARD_NS));
    CHECK_OK(aq_dataset_replay_stats_init(&stats, sizeof stats));
    CHECK_OK(aq_dataset_replay_get_stats(replay, &stats));
    CHECK_EQ(stats.rows, 40);
    CHECK_EQ(stats.chunks, 1);
    CHECK_EQ(stats.loops, 1);
    CHECK_OK(aq_dataset_replay_get_output(replay, &same));
    CHECK_OK(aq_output_stream_free(same));

    /* Again: frames 40 to 80, with the values of rows 0 to 40. */
    CHECK_OK(aq_dataset_replay_start(replay));
    CHECK_OK(aq_input_stream_recv(input, GUARD_NS, &view));
    CHECK_EQ(view.index, 80);
    CHECK_EQ(signal_at(&view, 7, 1), signal_value(7, 1));
    CHECK_OK(aq_array_view_release(&view));
    CHECK_OK(aq_dataset_replay_free(replay));
    replay = NULL;

    /* One row in a year, for ever. */
    play.rate = 1.0 / 31557600;
    play.loops = 0;
    play.chunk_rows = 1;
    CHECK_OK(aq_dataset_replay_new_on_output(recording_path("rows.h5"), "a/data", &play, output, &replay));
    CHECK_OK(aq_dataset_replay_start(replay));
    CHECK_ERROR(aq_dataset_replay_start(replay), AQ_E_STATE, "it plays already");
    CHECK_STATUS(aq_dataset_replay_wait(replay, 0), AQ_EMPTY);
    CHECK_STATUS(aq_dataset_replay_wait(replay, 1), AQ_TIMEOUT);
    CHECK_OK(aq_dataset_replay_stop(replay));
    CHECK_OK(aq_dataset_replay_stop(replay));
    CHECK_STATUS(aq_dataset_replay_wait(replay, 0), AQ_STOPPED);
    CHECK_OK(aq_dataset_replay_free(replay));
    CHECK_OK(aq_input_stream_free(input));
    CHECK_OK(aq_output_stream_free(output));
    recording_remove("rows.h5");
    recording_end();
    return check_done();
}
