//! The C ABI: the only place of this crate that knows C. One file per section of the header, in the order of
//! `SECTIONS` in build.rs, and the few helpers that all sections share.
//!
//! | section | what it declares |
//! |---|---|
//! | [`status`] | `aq_status`, its values, `aq_status_string`, `aq_last_error` |
//! | [`version`] | `aq_version`, `aq_has_feature` |
//! | [`callback`] | `aq_user_free_fn` and the contract of every callback |
//! | [`log`] | `aq_set_log` |
//! | [`wait`] | `AQ_WAIT_FOREVER` and the contract of every timeout |
//! | [`ring`] | `aq_ring_*`: the bounded ring of `void *` items |
//! | [`memory`] | `aq_allocator_*` |
//! | [`thread_pool`] | `aq_thread_pool_*` |
//! | [`memory_pool`] | `aq_memory_pool_*` |
//! | [`chunk`] | `aq_chunk_*`, `aq_chunk_ring_*` |
//! | [`stats`] | `aq_recv_stats`, the ledger |
//! | [`recv`] | `aq_recv_stream_*` |
//! | [`reader`] | `aq_recv_stream_add_*_reader` |
//! | [`tcp_reader`] | `aq_tcp_reader_config`, `aq_recv_stream_add_tcp_reader` |
//! | [`pcap_live_reader`] | `aq_pcap_live_reader_config`, `aq_recv_stream_add_pcap_live_reader` |
//! | [`inproc`] | `aq_inproc_queue_*` |
//! | [`heap`] | `aq_heap_*` |
//! | [`item`] | `aq_item`, `aq_descriptor` |
//! | [`item_group`] | `aq_item_group_*`, `aq_heap_descriptor` |
//! | [`heap_stream`] | `aq_recv_stream_new`, `_get` |
//! | [`chunk_stream`] | `aq_chunk_place_data`, `aq_chunk_ring_stream_new` |
//! | [`send_heap`] | `aq_send_heap_*` |
//! | [`send_group`] | `aq_send_group_*` |
//! | [`send_stats`] | `aq_send_result`, `aq_send_stats`, the sender's ledger |
//! | [`send_stream`] | `aq_send_stream_*` |
//! | [`send_transport`] | `aq_send_stream_new_*`: UDP, TCP, queues, files |
//! | [`packet_layout`] | `aq_packet_layout_*` |
//! | [`event`] | `aq_event_buffer_*`: what a buffer is |
//! | [`event_stats`] | `aq_event_buffer_stats`, its ledger |
//! | [`event_put`] | `aq_event_buffer_put` and its like, `_reserve`, `_commit` |
//! | [`event_record`] | `aq_event_buffer_put_heap`, `_put_chunk`: whole heaps and chunks |
//! | [`event_pop`] | `aq_event_buffer_pop`, `_peek` |
//! | [`event_flush`] | `aq_event_buffer_flush`, the flusher |
//! | [`sink`] | `aq_sink_*`, where event buffers write to |
//! | [`event_file`] | `aq_event_file_*`, `aq_event_record` |
//! | [`chunk_recorder`] | `aq_chunk_recorder_*`: chunks to disk |
//! | [`chunk_recording`] | `aq_chunk_recording_*`: and back |
//! | [`signal`] | `AQ_PROTOCOL_*` and other constants of signal streams, `aq_stream_info` |
//! | [`array_view`] | `aq_array_view`, frames where they are |
//! | [`output_config`] | `aq_output_stream_config` |
//! | [`output_stream`] | `aq_output_stream_*` |
//! | [`output_send`] | `aq_output_stream_send` and its like |
//! | [`input_config`] | `aq_input_stream_config` |
//! | [`input_stream`] | `aq_input_stream_*` |
//! | [`history`] | `aq_history_*` |
//! | [`registry`] | `aq_registry_*`, `aq_publication_*` |
//! | [`config_server`] | `aq_config_server_*`, params by request |
//! | [`input_history`] | `aq_input_stream_set_buffer` and what looks into it |
//! | [`filter`] | `aq_filter_*`, `aq_output_stream_add_filter`, `aq_input_stream_add_filter` |
//! | [`filter_callback`] | `aq_filter_callback_new`: filters in C |
//! | [`stream_node`] | `aq_stream_node_stats`, what nodes have in common |
//! | [`poll_thread`], [`stream_converter`], [`channel_splitter`], [`chunk_resizer`] | the nodes: `aq_poll_thread_*` and so on |
//! | [`stream_graph`] | `aq_stream_graph_*` |
//! | [`element_type`] | `aq_element_type`, what elements of datasets are |
//! | [`dataset`] | `aq_dataset_*` |
//! | [`selection`] | `aq_selection_*` |
//! | [`stage`] | `aq_stage_*`, `aq_stage_pool_*` |
//! | [`dataset_reader`] | `aq_reader_*` |
//! | [`future`] | `aq_future_*` |
//! | [`request_pool`] | `aq_request_pool_*` |
//! | [`streamer`] | `aq_streamer_*`: HDF5 files to be streamed |
//! | [`block_queue`] | `aq_block_queue_*`, `aq_block_*`: a dataset, block by block |
//! | [`row_iter`] | `aq_row_iter_*`: a dataset, row by row |
//! | [`dataset_recorder`], [`dataset_replay`] | `aq_dataset_recorder_*`, `aq_dataset_replay_*`: datasets written, and played |
//!
//! | helper | what for |
//! |---|---|
//! | [`guard`] | the body of every exported function: errors to a status, panics to `AQ_E_INTERNAL` |
//! | [`handle`] | opaque handles: boxed, tagged, poisoned by a panic |
//! | [`sized`] | sized structs in and out: configurations and statistics |
//! | [`text`] | C strings in |
//! | [`mod@pointer`] | the caller's outputs and arrays |
//! | [`callback`] | a function with its user pointer; "am I inside my own callback?" |
//!
//! An exported function is written out in full: convert the arguments, call the core, convert the result, in about
//! ten lines inside [`guard::guard`]. Its doc comment is copied into the header, so it is written for C readers: what,
//! parameters with unit, range and owner, a `Threads:` line, errors, and an example where it helps. The `//!` text of a
//! section file becomes the banner of its section; what only maintainers need stands in `//` comments.

// C's names are lower-case; a C reader's safety contract is the whole doc comment.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

pub mod array_view;
pub mod block_queue;
pub mod callback;
pub mod channel_splitter;
pub mod chunk;
pub mod chunk_recorder;
pub mod chunk_recording;
pub mod chunk_resizer;
pub mod chunk_stream;
pub mod config_server;
pub mod copy;
pub mod dataset;
pub mod dataset_reader;
pub mod dataset_recorder;
pub mod dataset_replay;
pub mod element_type;
pub mod event;
pub mod event_file;
pub mod event_flush;
pub mod event_pop;
pub mod event_put;
pub mod event_record;
pub mod event_stats;
pub mod filter;
pub mod filter_callback;
pub mod future;
pub mod guard;
pub mod handle;
pub mod heap;
pub mod heap_stream;
pub mod history;
pub mod inproc;
pub mod input_config;
pub mod input_history;
pub mod input_stream;
pub mod item;
pub mod item_group;
pub mod log;
pub mod memory;
pub mod memory_pool;
pub mod output_config;
pub mod output_send;
pub mod output_stream;
pub mod packet_layout;
pub mod pcap_live_reader;
pub mod pointer;
pub mod poll_thread;
pub mod reader;
pub mod recv;
pub mod registry;
pub mod request_pool;
pub mod ring;
pub mod row_iter;
pub mod selection;
pub mod send_group;
pub mod send_heap;
pub mod send_stats;
pub mod send_stream;
pub mod send_transport;
pub mod signal;
pub mod sink;
pub mod sized;
pub mod stage;
pub mod stats;
pub mod status;
pub mod stream_converter;
pub mod stream_graph;
pub mod stream_node;
pub mod streamer;
pub mod tcp_reader;
pub mod text;
pub mod thread_pool;
pub mod version;
pub mod wait;
