//! The parts of the endpoint, each alone in lock-step with its printed Verilog on inputs that know no manners.

mod support;

use hdl::pcie::completer::Completer;
use hdl::pcie::msix::Msix;
use hdl::pcie::order::Order;
use hdl::pcie::receive::Receive;
use hdl::pcie::tlp::{ReadHead, Request, RxBeat, TxHead, WriteHead};
use hdl::pcie::transmit::Transmit;
use rust_hdl_core::prelude::*;
use support::lockstep::clocked;
use support::random::{Random, any};

fn any_head(random: &mut Random) -> TxHead {
    let kind = random.below(4);
    TxHead {
        word0: any(random),
        word1: any(random),
        address: any(random),
        four: random.chance(50),
        dwords: (random.below(6) * u64::from(random.chance(80))).to_bits(),
        request: kind != 0,
        write: kind == 1,
        interrupt: kind == 2,
    }
}

#[test]
fn receive_agrees() {
    let mut run = clocked!(Receive);
    let mut random = Random(41);
    let function = 0x0308_u64;
    run.uut.identifier.next = function.to_bits();
    let (mut left, mut judged) = (0, 0);
    let mut beat = RxBeat::default();
    for _ in 0..6000 {
        // Mostly packets that make sense, some of them cut or too long.
        if left == 0 {
            let kinds = [
                0x00, 0x20, 0x40, 0x60, 0x40, 0x0a, 0x4a, 0x4a, 0x02, 0x4e, 0x34,
            ];
            let kind = kinds[random.below(kinds.len() as u64) as usize];
            let longest = if random.chance(95) { 12 } else { 200 };
            let length = random.below(longest) + 1;
            let enables = random.below(256);
            let word1 = (random.bits() & 0x0fff_0000) | enables;
            beat.data = (word1 << 32 | kind << 24 | length).to_bits();
            let header = if kind & 0x20 != 0 { 4 } else { 3 };
            left = header + if kind & 0x40 != 0 { length } else { 0 };
            if random.chance(10) {
                left = 1 + random.below(20);
            }
            beat.bar0 = random.chance(90);
            beat.poisoned = random.chance(5);
        }
        beat.upper = left > 1;
        beat.last = left <= 2;
        run.uut.beat.next = beat;
        run.uut.valid.next = random.chance(85);
        run.uut.request_ready.next = random.chance(40);
        run.uut.payload_ready.next = random.chance(60);
        run.settle();
        if run.uut.valid.val() && run.uut.ready.val() {
            left = left.saturating_sub(2);
            let second = random.below(0x400) << 2 | random.below(32) << 8;
            beat.data = ((random.bits() & 0xffff_fffc) << 32 | function << 16 | second).to_bits();
        }
        judged += usize::from(run.uut.completion_valid.val())
            + usize::from(run.uut.unsupported.val() | run.uut.bad.val());
        run.tick();
    }
    assert!(judged > 400, "{judged}");
    run.compare("pcie-receive")
        .expect("native and Verilated agree");
}

#[test]
fn completer_agrees() {
    let mut run = clocked!(Completer);
    let mut random = Random(42);
    let mut request = Request::default();
    let mut offered = 0;
    for _ in 0..4000 {
        run.uut.request.next = request;
        run.uut.request_valid.next = random.chance(80);
        run.uut.payload.next = any(&mut random);
        run.uut.payload_valid.next = random.chance(80);
        run.uut.identifier.next = 0x0308_u64.to_bits();
        run.uut.csr_rdata.next = any(&mut random);
        run.uut.csr_ack.next = random.chance(50);
        run.uut.msix_rdata.next = any(&mut random);
        run.uut.msix_busy.next = random.chance(10);
        run.uut.completion_ready.next = random.chance(50);
        run.uut.data_ready.next = random.chance(70);
        run.settle();
        offered += usize::from(run.uut.completion_valid.val() && run.uut.completion_ready.val());
        let done = run.uut.request_ready.val();
        run.tick();
        if done {
            let kind = random.below(4);
            let longest = if random.chance(90) { 6 } else { 80 };
            let page = [0, 4][random.below(2) as usize] << 10;
            request = Request {
                read: kind < 2,
                write: kind == 2,
                aborted: random.chance(50),
                locked: random.chance(20),
                address: (page | random.below(0x400)).to_bits(),
                dwords: (1 + random.below(longest)).to_bits(),
                first: any(&mut random),
                final_enables: any(&mut random),
                requester: any(&mut random),
                tag: any(&mut random),
                traffic: any(&mut random),
                attributes: any(&mut random),
            };
        }
    }
    assert!(offered > 60, "{offered}");
    run.compare("pcie-completer")
        .expect("native and Verilated agree");
}

#[test]
fn msix_agrees() {
    let mut run = clocked!(Msix);
    let mut random = Random(43);
    let mut sent = 0;
    for clock in 0..4000 {
        run.uut.reset.next = random.below(1500) == 0;
        run.uut.raise.next = if random.chance(5) {
            any(&mut random)
        } else {
            Bits::default()
        };
        run.uut.gap.next = if clock < 2000 {
            Bits::default()
        } else {
            90_u64.to_bits()
        };
        run.uut.enable.next = random.chance(98);
        run.uut.mask.next = random.chance(3);
        run.uut.bus_master.next = random.chance(98);
        run.uut.identifier.next = 0x0308_u64.to_bits();
        let place = if random.chance(90) {
            random.below(26)
        } else {
            0x200
        };
        run.uut.address.next = place.to_bits();
        run.uut.wdata.next = any(&mut random);
        run.uut.write.next = if random.chance(10) {
            any(&mut random)
        } else {
            Bits::default()
        };
        run.uut.read.next = random.chance(10);
        run.uut.message_ready.next = random.chance(50);
        run.uut.data_ready.next = random.chance(30);
        run.uut.dropped.next = random.chance(20);
        run.settle();
        sent += usize::from(run.uut.message_valid.val() && run.uut.message_ready.val());
        run.tick();
    }
    assert!(sent > 50, "{sent}");
    run.compare("pcie-msix")
        .expect("native and Verilated agree");
}

#[test]
fn order_agrees() {
    let mut run = clocked!(Order);
    let mut random = Random(44);
    let mut taken = [0; 4];
    let (mut completion, mut message) = (any_head(&mut random), any_head(&mut random));
    for _ in 0..3000 {
        run.uut.identifier.next = 0x0308_u64.to_bits();
        run.uut.completion.next = completion;
        run.uut.completion_valid.next = random.chance(90);
        run.uut.message.next = message;
        run.uut.message_valid.next = random.chance(90);
        run.uut.write.next = WriteHead {
            address: any(&mut random),
            dwords: any(&mut random),
        };
        run.uut.write_valid.next = random.chance(30);
        run.uut.read.next = ReadHead {
            address: any(&mut random),
            dwords: any(&mut random),
            first: any(&mut random),
            final_enables: any(&mut random),
            tag: any(&mut random),
        };
        run.uut.read_valid.next = random.chance(30);
        run.uut.out_ready.next = random.chance(40);
        run.settle();
        for (count, moves) in taken.iter_mut().zip([
            run.uut.completion_valid.val() && run.uut.completion_ready.val(),
            run.uut.write_valid.val() && run.uut.write_ready.val(),
            run.uut.read_valid.val() && run.uut.read_ready.val(),
            run.uut.message_valid.val() && run.uut.message_ready.val(),
        ]) {
            *count += usize::from(moves);
        }
        if run.uut.completion_ready.val() {
            completion = any_head(&mut random);
        }
        if run.uut.message_ready.val() {
            message = any_head(&mut random);
        }
        run.tick();
    }
    assert!(taken.iter().all(|&count| count > 30), "{taken:?}");
    run.compare("pcie-order-alone")
        .expect("native and Verilated agree");
}

#[test]
fn transmit_agrees() {
    let mut run = clocked!(Transmit);
    let mut random = Random(45);
    let mut head = any_head(&mut random);
    let mut sent = 0;
    for _ in 0..4000 {
        run.uut.bus_master.next = random.chance(95);
        run.uut.head.next = head;
        run.uut.head_valid.next = random.chance(90);
        run.uut.completion_data.next = any(&mut random);
        run.uut.completion_valid.next = random.chance(90);
        run.uut.write_data.next = any(&mut random);
        run.uut.write_valid.next = random.chance(70);
        run.uut.message_data.next = any(&mut random);
        run.uut.ready.next = random.chance(70);
        run.settle();
        let done = run.uut.head_ready.val();
        sent += usize::from(done);
        run.tick();
        if done {
            head = any_head(&mut random);
        }
    }
    assert!(sent > 300, "{sent}");
    run.compare("pcie-transmit")
        .expect("native and Verilated agree");
}
