//! What a turn has made so far, and marks to go back to.

use crate::id::{PersonId, TimerId};
use crate::ledger::Transfer;
use crate::store::{
    AccountRow, AuditRow, CampaignRow, CheckinRow, CoreFanRow, DecisionRow, FanReviewRow,
    ForgetRow, LotRow, PacketRow, PostedRow, QuotaRow, RelationRow, RoutineRow, RuleAckRow,
    RuleVersionRow, RunRow, ScoreEntryRow, ShareRow, StateRow, TimerRow, WarningRow,
};

macro_rules! made {
    ($($(#[$doc:meta])* $field:ident: $row:ty,)*) => {
        /// Rows collected by a turn, in the order in which they were made.
        #[derive(Debug, Default)]
        pub struct Made {
            $($(#[$doc])* pub $field: Vec<$row>,)*
        }

        /// How many rows of each kind there were.
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct Mark {
            $($field: usize,)*
        }

        impl Made {
            /// The present lengths.
            pub(super) fn mark(&self) -> Mark {
                Mark { $($field: self.$field.len(),)* }
            }

            /// Forgets what was made since.
            pub(super) fn truncate(&mut self, mark: Mark) {
                $(self.$field.truncate(mark.$field);)*
            }
        }
    };
}

made! {
    /// Accounts of the ledger.
    accounts: AccountRow,
    /// Movements of value.
    transfers: Transfer,
    /// What expires.
    lots: LotRow,
    /// What counts against caps.
    quotas: QuotaRow,
    /// Budgets.
    campaigns: CampaignRow,
    /// Packets, new or in a new state.
    packets: PacketRow,
    /// Shares, new or taken.
    shares: ShareRow,
    /// Check-ins.
    checkins: CheckinRow,
    /// Versions of the rules.
    rule_versions: RuleVersionRow,
    /// Times of routines.
    runs: RunRow,
    /// Routines by command.
    routines: RoutineRow,
    /// Acceptances.
    rule_acks: RuleAckRow,
    /// Warnings.
    warnings: WarningRow,
    /// Things remembered or forgotten.
    state: StateRow,
    /// Timers.
    timers: TimerRow,
    /// Timers that are gone.
    timers_gone: TimerId,
    /// News that was posted.
    posted: PostedRow,
    /// What was decided about deliveries in doubt.
    decisions: DecisionRow,
    /// Audit lines.
    audit: AuditRow,
    /// Who asked to be forgotten.
    forgets: ForgetRow,
    /// Members that changed.
    members: PersonId,
    /// Members whose messages were counted.
    touched: PersonId,
    /// Members whose scores changed by more than a message.
    scored: PersonId,
    /// Lines of the logs of scores.
    score_log: ScoreEntryRow,
    /// Who answered or liked whom.
    relations: RelationRow,
    /// Where members stand as core fans.
    core_fans: CoreFanRow,
    /// Evaluations.
    reviews: FanReviewRow,
}
