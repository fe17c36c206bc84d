//! The fuzz targets' bodies on stable Rust: mutated captures, event files, layouts, headers and params of signal streams, from a fixed seed.

#![cfg(feature = "pcap")]

#[path = "../fuzz/src/bodies.rs"]
mod bodies;
#[path = "data/mod.rs"]
mod data;
#[path = "support/rng.rs"]
mod rng;

use aqueduct::event::frame::{EndMark, FileHeader, LossMark, packet_header};
use aqueduct::recv::reader::pcap::link::udp_payload;
use aqueduct::signal::array::Layout;
use aqueduct::signal::wire;
use rng::Rng;

/// Damages `bytes`: mostly near the front, where the headers are.
fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    for _ in 0..1 + rng.below(4) {
        if bytes.is_empty() {
            return;
        }
        let range = if rng.below(4) == 0 { bytes.len() } else { bytes.len().min(96) };
        let at = rng.below(range);
        match rng.below(8) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.next() as u8,
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][rng.below(5)],
            3 => bytes[at] = bytes[at].wrapping_add(1),
            4 => bytes[at] = bytes[at].wrapping_sub(1),
            5 => bytes.truncate(rng.below(bytes.len() + 1)),
            6 => {
                let n = (1 + rng.below(8)).min(bytes.len() - at);
                let from = rng.below(bytes.len() - n + 1);
                bytes.copy_within(from..from + n, at);
            }
            _ => {
                let n = (1 + rng.below(16)).min(bytes.len() - at);
                bytes.drain(at..at + n);
            }
        }
    }
}

/// Runs `body` on `n` inputs made from `seeds`, and on the seeds themselves.
fn smoke(seeds: &[Vec<u8>], n: usize, body: impl Fn(&[u8])) {
    let mut rng = Rng(20_260_321);
    let mut input = Vec::new();
    seeds.iter().for_each(|seed| body(seed));
    for _ in 0..n {
        input.clone_from(&seeds[rng.below(seeds.len())]);
        mutate(&mut rng, &mut input);
        body(&input);
    }
}

#[test]
fn packet() {
    let mut seeds = Vec::new();
    for (name, _) in data::CAPTURES {
        // Headers matter, not payload: short packets keep this fast.
        seeds.extend(data::datagrams(name).into_iter().filter(|packet| packet.len() < 2000).take(60));
    }
    smoke(&seeds, 200_000, bodies::packet);
}

#[test]
fn link() {
    let mut seeds = Vec::new();
    for (name, _) in data::CAPTURES {
        for (n, frame) in
            data::frames(name).into_iter().filter(|frame| frame.len() < 2000).take(8).enumerate()
        {
            let ip = &frame[14..];
            let links: [&[u8]; 5] = [
                &frame[..14],
                &[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0],
                &[8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0],
                &[2, 0, 0, 0],
                &[],
            ];
            for (link, header) in links.iter().enumerate() {
                let mut seed = vec![link as u8, 0, n as u8];
                seed.extend(*header);
                // A short datagram is enough, and keeps this fast.
                seed.extend(&ip[..28]);
                let at = seed.len() - 28;
                let payload = 4 * n as u8;
                (seed[at + 2], seed[at + 3], seed[at + 24], seed[at + 25]) =
                    (0, 28 + payload, 0, 8 + payload);
                seed.resize(seed.len() + usize::from(payload), n as u8);
                seeds.push(seed);
            }
        }
    }
    // IPv6 with every extension header, on each link that announces it.
    #[rustfmt::skip]
    let extended = [
        0x60, 0, 0, 0, 0, 56, 0, 64, // hop-by-hop next
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        43, 0, 0, 0, 0, 0, 0, 0,     // routing next
        60, 0, 0, 0, 0, 0, 0, 0,     // destination next
        44, 0, 0, 0, 0, 0, 0, 0,     // fragment next
        51, 0, 0, 0, 0, 0, 0, 0,     // authentication next
        17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        1, 2, 3, 4, 0, 12, 0, 0, b'u', b'd', b'p', b'!',
    ];
    let links: [&[u8]; 5] = [
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 0, 1, 0x88, 0xa8, 0, 2, 0x86, 0xdd],
        &[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd],
        &[0x86, 0xdd, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 30],
        &[],
    ];
    for (link, header) in links.iter().enumerate() {
        seeds.push([&[link as u8, 0, 9], *header, &extended].concat());
    }
    let udp = |seed: &Vec<u8>| udp_payload(bodies::LINKS[usize::from(seed[0])], &seed[3..], 0).is_ok();
    assert!(seeds.iter().all(udp));
    smoke(&seeds, 200_000, bodies::link);
}

#[test]
fn event_file() {
    let record = |time: u64, data: &[u8]| [packet_header(time, data).as_slice(), data].concat();
    let mark = LossMark { packets: 2, bytes: 20, first_time: 3, last_time: 4 }.encode();
    let header = FileHeader { number: 1, created: 2, layout: "<a:B".into(), user: vec![7; 5] };
    let start = header.encode().unwrap();
    let end = |packets| EndMark { packets, lost: 2, time: 9 }.encode();
    let short = [&start, &record(1, b"first")[..], &mark, &record(0, b""), &end(2)].concat();
    // A packet with a file in it, and one whose bytes are the beginning of another.
    let nested = [&start, &record(1, &short)[..], &record(2, &short[..70]), &mark, &end(2)].concat();
    let many: Vec<u8> = (0..20).flat_map(|i| record(i, &vec![i as u8 % 3; 7 * i as usize])).collect();
    let seeds = [short, nested, many.clone(), [start, many].concat()];
    let file = tempfile::NamedTempFile::new().unwrap();
    smoke(&seeds, 4_000, |data| bodies::event_file(data, file.path()));
}

#[test]
fn layout() {
    let layouts: [&[u8]; 6] = [
        b"<header:B=170,time:Q,adc:h,temperature:f\n\xaa",
        b" ! a : d = 1e-5 , 3x , c : c = '\\x00', ok:?=False,x\n\x3e\xe4\xf8\xb5\x88\xe3\x68\xf1\0\0\0\0\0",
        b"@a:c,b:h,c:i,d:l,e:q,f:n,g:?,h:b,i:H,j:I,k:L,l:Q,m:N,n:B,x:f,y:d\n,\"'\\\n\t\0\x7f\xff\xf0\x80\x01\x17",
        b"=a:f=-inf,b:f=0.1,c:b=-128,d:B=0xFF,e:c=','\n\0\0\x80\xff\xcd\xcc\xcc\x3d\x80\xff,",
        b">a:f,b:f,c:f,d:d,e:d,f:d\n\x43\x40\0\0\0\0\0\x7f\x80\0\0\0",
        b"x,2x,a:B,1073741800x",
    ];
    smoke(&layouts.map(<[u8]>::to_vec), 200_000, bodies::layout);
}

#[test]
fn signal() {
    let mut seeds: Vec<Vec<u8>> = [
        r#"{"protocol":"tcp","interface":"127.0.0.1","port":"35765","transfermode":"plaindata","streamtype":"analogsignal","dtype":"<i2","shape":[-1,3],"axisorder":[1,0],"buffer_size":8,"compression":"blosc-lz4","scale":0.5,"offset":null,"units":"V","sample_rate":30000.0,"double":true,"fill":-1,"shm_id":"/dev/shm/x","nb_channel":3}"#,
        r#"{"protocol":"ipc","interface":"pyacq_pipe_X","dtype":[["time","<u8"],["label","S16"],["xy","<f4",[2,2]]],"shape":[-1]}"#,
        r#"{"protocol":"shm","interface":"a","dtype":"datetime64[ms]","shape":[100,2,3],"compression":"blosc-zstd"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    for (shape, order) in [
        (vec![4, 3], vec![0, 1]),
        (vec![4, 3], vec![1, 0]),
        (vec![5], vec![0]),
        (vec![0, 2, 2], vec![2, 0, 1]),
    ] {
        let layout = Layout::ordered(4, &shape, &order).unwrap();
        let header = wire::encode(9, &layout);
        seeds.push([&[4, 12], header.as_slice()].concat());
        // The same backwards.
        let reverse = layout.every(-1);
        seeds.push([&[4, 12], wire::encode(9, &reverse).as_slice()].concat());
    }
    smoke(&seeds, 400_000, bodies::signal);
}
