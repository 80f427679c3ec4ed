//! Packets against the figures of the specification.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;

fn request(address: u64, first_enable: u8, last_enable: u8) -> Request {
    Request {
        requester: 0x0102,
        tag: 0x1d,
        address,
        first_enable,
        last_enable,
    }
}

/// Bit by bit as figures 2-4 to 2-17 and 2-26 draw them.
#[test]
fn packets_are_laid_out_as_the_specification_draws_them() {
    let read = |address, dwords| Tlp::MemoryRead {
        request: request(address, 0xf, if dwords == 1 { 0 } else { 0x7 }),
        dwords,
    };
    let write = |address, data: &[u8], is_poisoned| Tlp::MemoryWrite {
        request: request(address, 0xf, if data.len() == 4 { 0 } else { 0x3 }),
        data: data.to_vec(),
        is_poisoned,
    };
    let completion = Completion {
        completer: 0x0300,
        status: Status::Successful,
        byte_count: 4096,
        requester: 0x0102,
        tag: 0x1d,
        lower_address: 0x7c,
        data: vec![0x11, 0x22, 0x33, 0x44],
        is_poisoned: false,
    };
    let failed = Completion {
        status: Status::Unsupported,
        byte_count: 5,
        data: vec![],
        ..completion.clone()
    };
    let header = 0x0102_1d00;
    for (tlp, dwords) in [
        (
            read(0xfffff0f8, 1),
            vec![0x0000_0001, header | 0x0f, 0xffff_f0f8],
        ),
        (
            read(0x1_2345_6000, 1024),
            vec![0x2000_0000, header | 0x7f, 0x1, 0x2345_6000],
        ),
        (
            write(0xd000_0110, &[0x44, 0x33, 0x22, 0x11], false),
            vec![0x4000_0001, header | 0x0f, 0xd000_0110, 0x4433_2211],
        ),
        (
            write(0xffff_ffff_ffff_fff8, &[1, 2, 3, 4, 5, 6, 7, 8], true),
            vec![
                0x6000_4002,
                header | 0x3f,
                0xffff_ffff,
                0xffff_fff8,
                0x0102_0304,
                0x0506_0708,
            ],
        ),
        (
            Tlp::Completion(completion),
            vec![0x4a00_0001, 0x0300_0000, 0x0102_1d7c, 0x1122_3344],
        ),
        (
            Tlp::Completion(failed),
            vec![0x0a00_0000, 0x0300_2005, 0x0102_1d7c],
        ),
    ] {
        assert_eq!(tlp.encode(), dwords, "{tlp:?}");
        assert_eq!(Tlp::decode(&dwords).as_ref(), Ok(&tlp));
        // Relaxed ordering, no snoop and ID-based ordering change nothing.
        let mut hinted = dwords.clone();
        hinted[0] |= 0x0004_3000;
        assert_eq!(Tlp::decode(&hinted), Ok(tlp));
    }
}

#[test]
fn packets_that_may_not_be_sent_are_refused() {
    let data = [0xd000_0000, 0];
    for (first, second, rest, reason) in [
        (
            0x4000_0001,
            0x0f,
            &data[..1],
            "length is not that of its payload",
        ),
        (
            0x4000_0002,
            0xff,
            &data,
            "length is not that of its payload",
        ),
        (
            0x0000_0001,
            0x0f,
            &data,
            "length is not that of its payload",
        ),
        (0x4010_0001, 0x0f, &data, "reserved field"),
        (0x4000_8001, 0x0f, &data, "reserved field"),
        (0x4000_0401, 0x0f, &data, "reserved field"),
        (0x0200_0001, 0x0f, &data[..1], "not a memory request"),
        (0x0400_0001, 0x0f, &data[..1], "not a memory request"),
        (0x8000_0001, 0x0f, &data[..1], "not a memory request"),
        (
            0x2000_0001,
            0x0f,
            &[0, 0xd000_0000],
            "long address below 4 GiB",
        ),
        (0x0000_0001, 0x0f, &[0xd000_0002], "not that of a DW"),
        (0x0000_0002, 0xff, &[0xd000_0ffc], "4 KiB"),
        (0x0000_0000, 0xff, &[0xd000_0004], "4 KiB"),
        (0x0000_0001, 0xff, &data[..1], "last byte enables of one DW"),
        (
            0x0000_0002,
            0x0f,
            &data[..1],
            "no byte enabled in the last DW",
        ),
        (
            0x0000_0002,
            0xf0,
            &data[..1],
            "no byte enabled in the first DW",
        ),
        (0x0000_0003, 0x17, &data[..1], "gap before the next DW"),
        (0x0000_0003, 0xe8, &data[..1], "gap behind the DW before"),
        (0x0000_0003, 0xfa, &data[..1], "with a gap"),
        (0x0000_0002, 0x51, &[0xd000_0004], "with a gap"),
        (0x4a00_0001, 0x0300_1004, &data, "byte count modified"),
        (0x4a00_0001, 0x0300_0004, &[0x0000_0080, 0], "reserved bit"),
        (0x4a00_0001, 0x0300_2004, &[0, 0], "disagree"),
        (0x0a00_0000, 0x0300_0004, &[0], "disagree"),
        (0x0a00_0001, 0x0300_2004, &[0], "without data has a length"),
        (0x0a00_0000, 0x0300_6004, &[0], "does not exist"),
    ] {
        let packet = [&[first, second], rest].concat();
        let refused = Tlp::decode(&packet).unwrap_err();
        assert!(
            refused.reason.contains(reason),
            "{packet:08x?}: {}",
            refused.reason
        );
    }
    for length in 0..3 {
        assert!(Tlp::decode(&[0x0000_0001, 0x0f, 0xd000_0000][..length]).is_err());
    }
    assert!(Tlp::decode(&[0x2000_0001, 0x0f, 1]).is_err());
    // Two DWs at a multiple of eight may have any bytes enabled.
    assert!(Tlp::decode(&[0x0000_0002, 0x5a, 0xd000_0008]).is_ok());
}

/// Table 2-38.
#[test]
fn byte_count_and_lower_address_follow_the_enables() {
    for (first, last, dwords, count, lower) in [
        (0b1001, 0, 1, 4, 0),
        (0b0101, 0, 1, 3, 0),
        (0b1010, 0, 1, 3, 1),
        (0b0011, 0, 1, 2, 0),
        (0b0110, 0, 1, 2, 1),
        (0b1100, 0, 1, 2, 2),
        (0b0001, 0, 1, 1, 0),
        (0b0010, 0, 1, 1, 1),
        (0b0100, 0, 1, 1, 2),
        (0b1000, 0, 1, 1, 3),
        (0b0000, 0, 1, 1, 0),
        (0b1111, 0b1111, 3, 12, 0),
        (0b1111, 0b0111, 3, 11, 0),
        (0b1110, 0b0011, 3, 9, 1),
        (0b1100, 0b0001, 3, 7, 2),
        (0b1000, 0b1111, 1024, 4093, 3),
    ] {
        let request = request(0x1040, first, last);
        assert_eq!(request.byte_count(dwords), count, "{first:b} {last:b}");
        assert_eq!(request.lower_address(), 0x40 + lower, "{first:b}");
    }
}

#[test]
fn random_dwords_never_panic_and_what_is_read_is_written_back() {
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 32) as u32
    };
    let kinds = [0x00, 0x20, 0x40, 0x60, 0x0a, 0x4a];
    let mut read = 0;
    for _ in 0..200_000 {
        let count = next() as usize % 8;
        let mut packet: Vec<u32> = (0..count).map(|_| next()).collect();
        if let Some(first) = packet.first_mut() {
            let kind = kinds[*first as usize % kinds.len()];
            *first = kind << 24 | (*first & 0x4000) | ((*first >> 16) & 3);
        }
        if let Ok(tlp) = Tlp::decode(&packet) {
            assert_eq!(Tlp::decode(&tlp.encode()), Ok(tlp));
            read += 1;
        }
    }
    assert!(read > 500, "{read}");
}
