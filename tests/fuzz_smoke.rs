//! The fuzz targets' bodies on stable Rust: mutated captures from a fixed seed.

#[path = "../fuzz/src/bodies.rs"]
mod bodies;
#[path = "data/mod.rs"]
mod data;

/// SplitMix64: small, good enough, the same everywhere.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

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
