fn main() {
    let what = std::env::args().nth(1).unwrap();
    print!("{}", match what.as_str() {
        "flow" => hdl::emit("flow", hdl::flow::Flow::default()),
        _ => panic!(),
    });
}
