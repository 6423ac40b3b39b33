//! What a reload changes about routines, in the times that come next: whoever saves one sees at once
//! whether it means what she meant.

use std::collections::BTreeMap;

use crate::clock::TimeMs;
use crate::dispatch::{Plan, Registry};
use crate::routine::zone;

/// Times to come that are told of a routine.
const TIMES: usize = 5;
/// Routines that are told of at once.
const ROUTINES: usize = 10;

/// Times of every routine, by community, script and name, with the zone.
pub(super) type Planned = BTreeMap<(String, String, String), (String, &'static str)>;

/// What is planned everywhere.
pub(super) fn planned(registry: &Registry) -> Planned {
    let of = |(key, plan): (&str, &Plan)| -> Vec<_> {
        let key = key.trim_start_matches('=').to_owned();
        let zone = plan.timezone.name();
        let one = |routine: &std::sync::Arc<crate::routine::Routine>| {
            let (script, name) = routine.id();
            let times = (routine.cron.text().to_owned(), zone);
            ((key.clone(), script.to_owned(), name.to_owned()), times)
        };
        plan.routines().iter().map(one).collect()
    };
    registry.plans().flat_map(of).collect()
}

/// A sentence for each routine that is new or has other times.
pub(super) fn changed(old: &Planned, registry: &Registry, now: TimeMs) -> Vec<String> {
    let new = planned(registry);
    let mut told: BTreeMap<(String, String, String), Vec<String>> = BTreeMap::new();
    for (id @ (key, script, name), (cron, zone_name)) in &new {
        if old.get(id).is_some_and(|before| *before == (cron.clone(), *zone_name)) {
            continue;
        }
        // One sentence for all communities on one clock.
        let same = (script.clone(), name.clone(), format!("{cron} {zone_name}"));
        told.entry(same).or_default().push(key.clone());
    }
    let sentences = told.into_iter().filter_map(|((script, name, _), keys)| {
        let key = keys.first()?;
        let plan = registry.plans().find(|(of, _)| of.trim_start_matches('=') == key)?.1;
        let routine = plan.routines().iter().find(|routine| routine.id() == (&script, &name))?;
        let slots = routine.cron.slots(plan.timezone, now).take(TIMES);
        let times: Vec<String> =
            slots.map(|slot| zone::worded(&plan.locale, plan.timezone, slot.at)).collect();
        let zone = plan.timezone.name();
        Some(format!("the routine `{name}` of `{script}` comes {} ({zone})", times.join(", ")))
    });
    sentences.take(ROUTINES).collect()
}
