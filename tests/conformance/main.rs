//! What every adapter must do, asked of each in the same words.
//!
//! A new adapter needs a file here with its [`peer::Peer`], and its line below; the last test says
//! so where it is missing.

mod peer;
mod suite;
#[path = "../world/mod.rs"]
mod world;

mod console;
#[cfg(feature = "discord")]
mod discord;
mod onebot;

/// The whole suite for one peer, as a module of tests.
#[macro_export]
macro_rules! conforms {
    ($peer:ty: $($test:ident),* $(,)?) => {
        mod conforms {
            $(
                #[test]
                fn $test() {
                    $crate::suite::$test::<$peer>();
                }
            )*
        }
    };
    ($peer:ty) => {
        $crate::conforms!(
            $peer:
            a_message_becomes_an_event,
            a_direct_message_is_for_the_bot,
            what_members_write_is_data,
            what_the_bot_writes_is_data,
            every_element_is_carried_as_the_table_claims,
            every_call_does_what_the_capabilities_claim,
            a_text_is_never_cut_without_a_word,
            a_repetition_is_known_by_its_key,
            what_comes_late_keeps_its_own_time,
            a_repetition_is_answered_once,
            after_a_break_everything_goes_on,
            rates_are_kept,
        );
    };
}

#[test]
fn every_adapter_is_asked() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    for spec in qundao::adapter::ADAPTERS {
        let file = folder.join(format!("{}.rs", spec.name));
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(text.contains("conforms!("), "{} is missing or asks nothing", file.display());
    }
}
