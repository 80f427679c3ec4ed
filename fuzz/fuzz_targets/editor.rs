//! Any lines are taken or refused one by one; a refused one changes nothing, and what is left prints and reads again.
#![no_main]

use host::config::Editor;
use host::pki::settings::block;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut editor = Editor::default();
    for line in text.lines() {
        let before = (editor.config().clone(), editor.mode());
        let line = match editor.kept() {
            Some(_) => block::spelled_out(line, false),
            None => line.to_owned(),
        };
        if editor.enter(&line).is_refused {
            assert_eq!(before, (editor.config().clone(), editor.mode()));
        }
        let known = editor.kept().map_or(0, |kept| kept.body.len());
        let settled = editor.revise(|body| block::settle("tp", body));
        if let Some(Err(_)) = settled {
            assert_eq!(editor.kept().map_or(0, |kept| kept.body.len()), known - 1);
        }
    }
    let printed = editor.config().to_string();
    assert_eq!(host::config::parse(&printed).config, *editor.config(), "printed as\n{printed}");
});
