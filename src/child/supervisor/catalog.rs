//! The scripts and settings that frames name by number.
//!
//! A frame is sent with every message, scripts and settings only once to every child: here is who
//! has been told what.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::super::process::Child;
use super::super::wire::{Down, frame_out};
use crate::id::ScriptName;
use crate::script::protocol::{Bundle, Frame, Source};
use crate::value::ValueMap;

/// The current bundle and the one before it; older ones only as long as a plan holds them.
const BUNDLES_KEPT: usize = 2;

/// A bundle with the places of its scripts.
struct Kept {
    bundle: Arc<Bundle>,
    index: HashMap<ScriptName, usize>,
}

/// Settings by number.
#[derive(Default)]
struct SettingsTable {
    next: u32,
    by_address: HashMap<usize, (u32, Arc<ValueMap>)>,
}

impl SettingsTable {
    /// The number of settings; the map is kept, so that its address stays its own.
    fn number(&mut self, settings: &Arc<ValueMap>) -> u32 {
        let next = &mut self.next;
        let entry = self.by_address.entry(Arc::as_ptr(settings).addr());
        let new = || {
            *next += 1;
            (*next, Arc::clone(settings))
        };
        entry.or_insert_with(new).0
    }

    /// Forgets those that only this table still holds; gives their numbers.
    fn forget(&mut self) -> Vec<u32> {
        let mut gone = Vec::new();
        self.by_address.retain(|_, (number, settings)| {
            let stays = Arc::strong_count(settings) > 1;
            if !stays {
                gone.push(*number);
            }
            stays
        });
        gone
    }
}

/// Numbers that will not be named again.
pub(super) struct Forgotten {
    installed: u64,
    bundles: Vec<u64>,
    settings: Vec<u32>,
}

impl Forgotten {
    /// Lets a child drop what they stood for.
    pub(super) fn tell(&self, child: &mut Child) {
        // The same number may stand for other scripts where a bot was made anew.
        child.bundles.retain(|known| *known != self.installed && !self.bundles.contains(known));
        child.settings.retain(|known| !self.settings.contains(known));
        child.say(&Down::Forget { bundles: &self.bundles, settings: &self.settings });
    }
}

/// What frames may name.
#[derive(Default)]
pub(super) struct Catalog {
    bundles: VecDeque<Kept>,
    settings: SettingsTable,
}

impl Catalog {
    /// Takes in scripts in the place of the newest.
    pub(super) fn install(&mut self, bundle: Arc<Bundle>) -> Forgotten {
        let installed = bundle.number;
        self.bundles.retain(|kept| kept.bundle.number != installed);
        let index = bundle.sources.keys().cloned().zip(0..).collect();
        self.bundles.push_front(Kept { bundle, index });
        let mut place = 0;
        let mut gone = Vec::new();
        self.bundles.retain(|kept| {
            place += 1;
            let stays = place <= BUNDLES_KEPT || Arc::strong_count(&kept.bundle) > 1;
            if !stays {
                gone.push(kept.bundle.number);
            }
            stays
        });
        Forgotten { installed, bundles: gone, settings: self.settings.forget() }
    }

    fn kept(&self, number: u64) -> Option<&Kept> {
        self.bundles.iter().find(|kept| kept.bundle.number == number)
    }

    /// Whether frames may name a bundle.
    pub(super) fn knows(&self, bundle: u64) -> bool {
        self.kept(bundle).is_some()
    }

    /// A script of a bundle.
    pub(super) fn source(&self, bundle: u64, script: &ScriptName) -> Option<&Source> {
        self.kept(bundle)?.bundle.sources.get(script)
    }

    /// Tells a child the newest scripts ahead of any frame.
    pub(super) fn warm(&self, child: &mut Child) {
        if let Some(newest) = self.bundles.front()
            && !child.bundles.contains(&newest.bundle.number)
        {
            child.bundles.push(newest.bundle.number);
            child.say(&Down::Bundle(&newest.bundle));
        }
    }

    /// Says to a child what a frame names, then the frame; `false` where that cannot be named.
    pub(super) fn send(&mut self, child: &mut Child, frame: &Frame) -> bool {
        let Some(kept) = self.bundles.iter().find(|kept| kept.bundle.number == frame.bundle) else {
            return false;
        };
        if !child.bundles.contains(&frame.bundle) {
            child.bundles.push(frame.bundle);
            child.say(&Down::Bundle(&kept.bundle));
        }
        let mut numbers = Vec::with_capacity(frame.runs.len());
        for run in &frame.runs {
            let number = self.settings.number(&run.settings);
            if child.settings.insert(number) {
                child.say(&Down::Settings { number, settings: &run.settings });
            }
            numbers.push(number);
        }
        match frame_out(frame, &kept.index, &numbers) {
            Some(frame) => {
                child.say(&Down::Frame(frame));
                true
            }
            None => false,
        }
    }
}
