//! Reads the kernels and rejects the forms that rust-hdl prints as wrong Verilog.
//!
//! The crate compiles these forms, its own checks pass them, and some are clean under Verilator -Wall:
//! only the source shows them. Every rule has a planted fault below.

use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    BinOp, Expr, ExprBinary, ExprCall, ExprIndex, ExprMethodCall, ExprPath, ImplItemFn, ItemStruct,
};

#[test]
fn no_kernel_has_a_form_that_prints_wrong() {
    let mut faults = Vec::new();
    let mut kernels = 0;
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(&path).expect("a readable source file");
        let (count, found) = check(&text);
        kernels += count;
        faults.extend(
            found
                .iter()
                .map(|fault| format!("{}:{fault}", path.display())),
        );
    }
    assert!(kernels > 10, "only {kernels} kernels were found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn planted_faults_are_seen() {
    let faults = [
        (
            "self.o.next = self.a.val() & self.b.val() == self.c.val();",
            "precedence",
        ),
        (
            "self.o.next = self.a.val() + self.b.val() & self.c.val();",
            "precedence",
        ),
        (
            "self.o.next = bit_cast::<32, 16>(self.a.val() + self.b.val());",
            "cast",
        ),
        ("self.o.next = bit_cast::<32, 16>(!self.a.val());", "cast"),
        (
            "self.o.next = bit_cast::<32, 16>(self.a.val() << 8);",
            "cast",
        ),
        ("self.o.next = bit_cast::<8, 16>(self.a.val());", "narrow"),
        ("self.o.next = bits::<12>(3) + self.a.val();", "function"),
        ("self.o.next = bits_twice(self.a.val());", "function"),
        (
            "self.o.next = (self.a.val() + self.b.val()) == self.c.val();",
            "compare",
        ),
        ("self.o.next = (!self.a.val()) == self.c.val();", "compare"),
        ("self.o.next = (self.a.val() - 1) > 5;", "compare"),
        ("self.o.next = (self.a.val() + 1) >> 1;", "shift"),
        (
            "self.o.next = (self.a.val() + self.b.val()).get_bits::<4>(0);",
            "slice",
        ),
        (
            "self.o.next = self.a.val().field.get_bits::<4>(0);",
            "slice",
        ),
        (
            "self.o.next = self.a.val().get_bits::<4>(WIDTH);",
            "constant",
        ),
        ("self.o.next = layout::table::LIMIT;", "constant"),
        (
            "for i in 0..4 { self.o.next = self.a[i][1].val(); }",
            "nested array",
        ),
        ("self.o.next = self.a[N - 1].val();", "constant"),
        ("self.o.next = self.a.val().reverse();", "method"),
    ];
    for (line, rule) in faults {
        let text = format!("impl Logic for X {{ #[hdl_gen] fn update(&mut self) {{ {line} }} }}");
        let (kernels, found) = check(&text);
        assert_eq!(kernels, 1);
        assert!(
            found.iter().any(|fault| fault.contains(rule)),
            "{line} is not rejected for {rule}: {found:?}"
        );
    }
    let (_, found) = check("#[derive(LogicBlock)] struct X { inside: Signal<Out, Bit> }");
    assert!(found[0].contains("keyword"), "{found:?}");
}

#[test]
fn plain_forms_are_accepted() {
    let lines = "
        self.s.next = bit_cast::<18, 16>(self.a.val()) + bit_cast::<18, 16>(self.b.val());
        self.f.next = self.s.val().get_bits::<16>(0);
        self.t.next = (self.a.val() & self.b.val() & self.c.val()) | (self.d.val() << 4);
        self.u.next = (self.a.val() == self.b.val()) & !self.c.val().any();
        for i in 0..4 { if self.x[3 - i].q.val() == i.to_bits::<2>() { self.y[i].d.next = self.z.val().field; } }
        match self.state.q.val() { State::Idle => { self.state.d.next = State::Run; } _ => {} }";
    let (_, found) = check(&format!(
        "impl Logic for X {{ #[hdl_gen] fn update(&mut self) {{ {lines} }} }}"
    ));
    assert!(found.is_empty(), "{found:?}");
}

/// Every Rust file below the directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a source directory") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Number of kernels in the text, and what is wrong with them.
fn check(text: &str) -> (usize, Vec<String>) {
    let file = syn::parse_file(text).expect("valid Rust");
    let mut style = Style::default();
    style.visit_file(&file);
    (style.kernels, style.faults)
}

#[derive(Default)]
struct Style {
    kernels: usize,
    in_kernel: bool,
    loop_variables: Vec<String>,
    faults: Vec<String>,
}

impl Style {
    /// Arithmetic of loop variables, which is done when the loop is unrolled.
    fn is_number(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Lit(_) => true,
            Expr::Path(path) => self
                .loop_variables
                .contains(&path.to_token_stream().to_string()),
            Expr::Binary(binary) => self.is_number(&binary.left) && self.is_number(&binary.right),
            Expr::Paren(inner) => self.is_number(&inner.expr),
            _ => false,
        }
    }

    fn reject(&mut self, node: &(impl Spanned + ToTokens), rule: &str) {
        let line = node.span().start().line;
        self.faults
            .push(format!("{line}: {rule}: {}", node.to_token_stream()));
    }
}

impl<'ast> Visit<'ast> for Style {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        let derives = |attribute: &syn::Attribute| {
            attribute
                .to_token_stream()
                .to_string()
                .contains("LogicBlock")
        };
        if item.attrs.iter().any(derives) {
            for field in &item.fields {
                let name = field
                    .ident
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                // The elements of an array are printed with their number.
                if KEYWORDS.split_whitespace().any(|word| word == name)
                    && !matches!(field.ty, syn::Type::Array(_))
                {
                    self.reject(field, "a Verilog keyword as a name");
                }
            }
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.in_kernel = item
            .attrs
            .iter()
            .any(|attribute| attribute.path().is_ident("hdl_gen"));
        if self.in_kernel {
            self.kernels += 1;
            visit::visit_block(self, &item.block);
        }
        self.in_kernel = false;
    }

    // Outside of kernels Rust may be written as one likes.
    fn visit_item_fn(&mut self, _item: &'ast syn::ItemFn) {}
    fn visit_item_const(&mut self, _item: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _item: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _item: &'ast syn::ImplItemConst) {}
    fn visit_item_trait(&mut self, _item: &'ast syn::ItemTrait) {}

    fn visit_expr_for_loop(&mut self, item: &'ast syn::ExprForLoop) {
        self.loop_variables
            .push(item.pat.to_token_stream().to_string());
        // The bounds are Rust's: const generics and constants are right there.
        visit::visit_block(self, &item.body);
        self.loop_variables.pop();
    }

    fn visit_expr_binary(&mut self, item: &'ast ExprBinary) {
        if self.is_number(&Expr::Binary(item.clone())) {
            return;
        }
        let chains = matches!(
            item.op,
            BinOp::BitAnd(_) | BinOp::BitOr(_) | BinOp::BitXor(_) | BinOp::Add(_)
        );
        for side in [&*item.left, &*item.right] {
            if let Expr::Binary(inner) = side
                && !(chains
                    && std::mem::discriminant(&inner.op) == std::mem::discriminant(&item.op))
            {
                self.reject(item, "precedence differs in Verilog, parenthesise");
            }
            if is_comparison(&item.op) && computes(side) {
                self.reject(
                    item,
                    "compare of a sum, shift or complement: assign it to a Local first",
                );
            }
        }
        if matches!(item.op, BinOp::Shr(_)) && computes(&item.left) {
            self.reject(
                item,
                "shift of a sum, shift or complement: assign it to a Local first",
            );
        }
        visit::visit_expr_binary(self, item);
    }

    fn visit_expr_call(&mut self, item: &'ast ExprCall) {
        let name = item.func.to_token_stream().to_string().replace(' ', "");
        if name.ends_with("::join") || name.ends_with("::link") {
            return;
        }
        let Some(widths) = name.strip_prefix("bit_cast::<") else {
            return self.reject(item, "function: only bit_cast is understood");
        };
        let widths: Vec<usize> = widths
            .trim_end_matches('>')
            .split(',')
            .filter_map(|width| width.parse().ok())
            .collect();
        if let [to, from] = widths[..]
            && to < from
        {
            self.reject(item, "narrow with get_bits, a cast keeps the width");
        }
        for argument in &item.args {
            if !is_signal(argument) {
                self.reject(item, "cast of an expression: assign it to a Local first");
            }
            self.visit_expr(argument);
        }
    }

    fn visit_expr_method_call(&mut self, item: &'ast ExprMethodCall) {
        let name = item.method.to_string();
        match name.as_str() {
            "get_bits" | "get_bit" | "replace_bit" if !is_value(&item.receiver) => {
                self.reject(
                    item,
                    "slice of an expression or field: assign it to a Local first",
                );
            }
            "val" | "any" | "all" | "xor" | "into" | "index" | "to_bits" => {}
            "get_bits" | "get_bit" | "replace_bit" => {}
            _ => self.reject(item, "method that is not understood"),
        }
        self.visit_expr(&item.receiver);
        for argument in &item.args {
            self.visit_expr(argument);
        }
    }

    fn visit_expr_index(&mut self, item: &'ast ExprIndex) {
        if matches!(&*item.expr, Expr::Index(_)) {
            self.reject(item, "nested array");
        }
        visit::visit_expr_index(self, item);
    }

    fn visit_expr_path(&mut self, item: &'ast ExprPath) {
        let name = item
            .path
            .segments
            .last()
            .map(|segment| segment.ident.to_string())
            .unwrap_or_default();
        let constant = name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        let known =
            name == "self" || self.loop_variables.contains(&name) || item.path.segments.len() > 1;
        if self.in_kernel && (constant || !known) {
            self.reject(
                item,
                "constant or variable of Rust: the Verilog does not know it, use a Constant",
            );
        }
    }

    fn visit_macro(&mut self, _item: &'ast syn::Macro) {}
}

fn is_comparison(op: &BinOp) -> bool {
    matches!(
        op,
        BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_)
    )
}

/// Verilog may evaluate it at another width than Rust does.
fn computes(expr: &Expr) -> bool {
    match expr {
        Expr::Paren(inner) => computes(&inner.expr),
        Expr::Unary(_) => true,
        Expr::Binary(inner) => {
            matches!(
                inner.op,
                BinOp::Add(_) | BinOp::Sub(_) | BinOp::Mul(_) | BinOp::Shl(_) | BinOp::Shr(_)
            ) || computes(&inner.left)
                || computes(&inner.right)
        }
        _ => false,
    }
}

/// `….val()`.
fn is_value(expr: &Expr) -> bool {
    matches!(expr, Expr::MethodCall(call) if call.method == "val")
}

/// A signal, a field or a slice of one.
fn is_signal(expr: &Expr) -> bool {
    match expr {
        Expr::Field(field) => is_value(&field.base),
        Expr::MethodCall(call) if call.method == "get_bits" => is_value(&call.receiver),
        _ => is_value(expr),
    }
}

/// IEEE 1800-2012 table B.1.
const KEYWORDS: &str = "
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic
    before begin bind bins binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle
    checker class clocking cmos config const constraint context continue cover covergroup coverpoint
    cross deassign default defparam design disable dist do edge else end endcase endchecker endclass
    endclocking endconfig endfunction endgenerate endgroup endinterface endmodule endpackage
    endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event
    eventually expect export extends extern final first_match for force foreach forever fork
    forkjoin function generate genvar global highz0 highz1 if iff ifnone ignore_bins illegal_bins
    implements implies import incdir include initial inout input inside instance int integer
    interconnect interface intersect join join_any join_none large let liblist library local
    localparam logic longint macromodule matches medium modport module nand negedge nettype new
    nexttime nmos nor noshowcancelled not notif0 notif1 null or output package packed parameter pmos
    posedge primitive priority program property protected pull0 pull1 pulldown pullup
    pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase randsequence rcmos real realtime
    ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0 rtranif1 s_always
    s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled
    signed small soft solve specify specparam static string strong strong0 strong1 struct super
    supply0 supply1 sync_accept_on sync_reject_on table tagged task this throughout time
    timeprecision timeunit tran tranif0 tranif1 tri tri0 tri1 triand trior trireg type typedef union
    unique unique0 unsigned until until_with untyped use uwire var vectored virtual void wait
    wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
";
