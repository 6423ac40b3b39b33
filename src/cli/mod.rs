//! The command line: what can be asked, and the code that answers with.
//!
//! 0 all is well · 1 problems were found · 2 the arguments make no sense · 3 could not start.

mod audit;
mod backup;
mod check;
mod connect;
mod deliveries;
mod doctor;
mod init;
mod ledger;
mod log;
mod member;
mod run;
mod runs;
mod schedule;
mod serve;
mod store;
mod test;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::store::chain::Head;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};

/// Qundao 群岛: one bot that runs communities on the chat platforms where they already live.
#[derive(Debug, Parser)]
#[command(name = "qundao", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Args {
    /// Configuration to use · 配置文件
    #[arg(long, global = true, value_name = "FILE", default_value = "config.toml")]
    pub config: PathBuf,

    /// Colours in the output · 颜色
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub color: Color,

    /// Answer in JSON, where a program may want to read it · 以 JSON 输出
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do; without it the bot runs · 不写就是运行
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  qundao init my-group        write a folder to start from · 生成起步目录
  cd my-group && qundao       run; type as a member of the group · 运行，在终端里聊天
  qundao check                is the configuration right, do the scripts compile? · 检查
  qundao test                 play every transcript · 跑测试
  qundao backup today.db      copy the database while the bot runs · 备份
  printf '阿明: 签到\\n' | qundao   play lines from a pipe · 从管道输入

Exit codes: 0 well, 1 problems found, 2 wrong arguments, 3 could not start.";

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the bot (the default) · 运行
    Run {
        /// The database was restored from a backup: send nothing of then again · 从备份恢复后首次运行
        #[arg(long)]
        after_restore: bool,
    },
    /// Write a copy of the database, also while the bot runs, and verify it · 备份数据库
    Backup {
        /// Where to; must not be there yet
        file: PathBuf,
    },
    /// Check configuration and scripts, show every problem · 检查配置和脚本
    Check,
    /// Play transcripts and compare what happens with what is written · 跑测试
    Test {
        /// Transcripts; without any, all in scripts/ and rules/
        files: Vec<PathBuf>,
        /// Write down what happened instead of complaining; look at the difference afterwards
        #[arg(long)]
        accept: bool,
    },
    /// The book of points · 积分账本
    Ledger {
        /// What to do with it
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Show the audit log: who decided what · 审计日志
    Audit {
        /// How many lines
        #[arg(long, value_name = "LINES", default_value_t = 20)]
        last: u32,
        /// What to do with it
        #[command(subcommand)]
        command: Option<AuditCommand>,
    },
    /// What is kept of one person · 一个人的数据
    Member {
        /// What to do with it
        #[command(subcommand)]
        command: MemberCommand,
    },
    /// The database · 数据库
    Store {
        /// What to do with it
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Show what is planned · 接下来有哪些定时
    Schedule {
        /// How far to look, such as 7d or 12h
        #[arg(long, value_name = "SPAN", default_value = "7d", value_parser = span)]
        next: i64,
    },
    /// Show what ran, what did not, and why · 定时的记录
    Runs {
        /// How far to look back, such as 7d or 12h
        #[arg(long, value_name = "SPAN", default_value = "2d", value_parser = span)]
        last: i64,
    },
    /// Show what was sent, what was not and why, and what is in doubt · 发送的记录
    Deliveries {
        /// How far to look back, such as 7d or 12h
        #[arg(long, value_name = "SPAN", default_value = "2d", value_parser = span)]
        last: i64,
        /// List those of one state: unknown, failed, skipped, sent, queued, sending
        #[arg(long, value_parser = deliveries::state)]
        state: Option<crate::effect::DeliveryState>,
        /// What to do about what is in doubt
        #[command(subcommand)]
        command: Option<DeliveriesCommand>,
    },
    /// Write a folder to start from; overwrites nothing · 生成起步目录
    Init {
        /// Where
        dir: PathBuf,
    },
    /// See whether everything is in place to run well · 体检
    Doctor,
    /// Serve scripts to a running bot, which starts this itself
    #[cfg(unix)]
    #[command(hide = true)]
    ScriptChild {
        /// Memory that it may have
        #[arg(long)]
        memory_mib: u64,
        /// It runs under its limits already
        #[arg(long)]
        is_limited: bool,
    },
    /// Print completions for a shell · 命令补全
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Commands of the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerCommand {
    /// Check that every entry balances and every balance is the sum of its entries · 核对
    Verify,
    /// Let points move again in a community whose ledger was frozen; checks it first · 解冻
    Thaw {
        /// Which: the id of config.toml, or the reference of its group
        community: String,
    },
    /// Print a red packet with all that an outside check needs · 红包的全部数据
    Packet {
        /// Its number
        id: i64,
    },
}

/// What to do about deliveries of which nobody knows whether they arrived.
#[derive(Debug, Subcommand)]
pub enum DeliveriesCommand {
    /// Send them again, beside a running bot too · 补发
    Retry {
        /// Their numbers, or `all`
        #[arg(required = true, value_name = "ID", value_parser = deliveries::named)]
        ids: Vec<deliveries::Named>,
    },
    /// Leave them · 不补发
    Drop {
        /// Their numbers, or `all`
        #[arg(required = true, value_name = "ID", value_parser = deliveries::named)]
        ids: Vec<deliveries::Named>,
    },
}

/// Commands of the audit log.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check that no line was changed, lost, moved or added · 核对
    Verify {
        /// A head that was written down earlier, as HASH@LINE: also finds what was cut off the end
        #[arg(long, value_name = "HASH@LINE", value_parser = head)]
        head: Option<Head>,
    },
}

/// Commands about one person.
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// Write everything that is kept of her, as JSON · 导出
    Export {
        /// Her account as platform:id, or her number
        who: String,
        /// Write to this file, which must not exist
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Delete everything that is kept of her; the bot must be stopped · 忘记
    Forget {
        /// Her account as platform:id, or her number
        who: String,
        /// Do it; without this it is only shown what would go
        #[arg(long)]
        yes: bool,
    },
    /// Write the database anew, without what was deleted; the bot must be stopped · 压实
    Compact,
}

/// A head of the audit log.
fn head(text: &str) -> Result<Head, String> {
    Head::parse(text).ok_or_else(|| {
        "a head is 64 hexadecimal digits, an @ and the number of the line".to_owned()
    })
}

/// Commands of the database.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copy everything into another database, which must be empty; stop the bot first · 搬家
    ///
    /// An address is sqlite:FILE (in the data folder) or postgres://USER@HOST/NAME; one with a
    /// password is better kept as '${VARIABLE}' or file:PATH.
    Copy {
        /// From where · 从哪里
        from: String,
        /// To where · 到哪里
        to: String,
    },
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Yes.
    Always,
    /// No.
    Never,
}

impl Color {
    /// Whether standard output gets colours.
    pub fn is_on(self) -> bool {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => wanted && std::io::stdout().is_terminal(),
        }
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All is well.
    Well,
    /// Problems were found and shown.
    Problems,
    /// The bot could not start; the reason was shown.
    NotStarted,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        match end {
            End::Well => Self::SUCCESS,
            End::Problems => Self::from(1),
            End::NotStarted => Self::from(3),
        }
    }
}

impl Args {
    /// Does what was asked. Wrong arguments have ended the program before with code 2.
    pub fn run(self) -> ExitCode {
        #[cfg(unix)]
        if let Some(Command::ScriptChild { memory_mib, is_limited }) = self.command {
            return crate::child::main(memory_mib, is_limited);
        }
        let end = match &self.command {
            None => run::run(&self, false),
            Some(Command::Run { after_restore }) => run::run(&self, *after_restore),
            Some(Command::Backup { file }) => backup::run(&self, file),
            Some(Command::Check) => check::run(&self),
            Some(Command::Test { files, accept }) => test::run(&self, files, *accept),
            Some(Command::Ledger { command }) => match command {
                LedgerCommand::Verify => ledger::verify(&self),
                LedgerCommand::Thaw { community } => ledger::thaw(&self, community),
                LedgerCommand::Packet { id } => ledger::packet(&self, *id),
            },
            Some(Command::Audit { last, command: None }) => audit::last(&self, *last),
            Some(Command::Audit { command: Some(AuditCommand::Verify { head }), .. }) => {
                audit::verify(&self, *head)
            }
            Some(Command::Member { command }) => match command {
                MemberCommand::Export { who, to } => member::export(&self, who, to.as_deref()),
                MemberCommand::Forget { who, yes } => member::forget(&self, who, *yes),
                MemberCommand::Compact => member::compact(&self),
            },
            Some(Command::Store { command: StoreCommand::Copy { from, to } }) => {
                store::copy(&self, from, to)
            }
            Some(Command::Schedule { next }) => schedule::run(&self, *next),
            Some(Command::Runs { last }) => runs::run(&self, *last),
            Some(Command::Deliveries { last, state, command }) => match command {
                None => deliveries::show(&self, *last, *state),
                Some(DeliveriesCommand::Retry { ids }) => {
                    deliveries::decide(&self, ids, deliveries::Fate::Retry)
                }
                Some(DeliveriesCommand::Drop { ids }) => {
                    deliveries::decide(&self, ids, deliveries::Fate::Drop)
                }
            },
            Some(Command::Init { dir }) => init::run(dir),
            Some(Command::Doctor) => doctor::run(&self),
            #[cfg(unix)]
            Some(Command::ScriptChild { .. }) => End::NotStarted,
            Some(Command::Completions { shell }) => {
                let mut text = Vec::new();
                clap_complete::generate(*shell, &mut Self::command(), "qundao", &mut text);
                say(&String::from_utf8_lossy(&text));
                End::Well
            }
        };
        end.into()
    }
}

/// A span of time, ms.
fn span(text: &str) -> Result<i64, String> {
    crate::script::duration::parse(text)
        .filter(|ms| *ms > 0)
        .ok_or_else(|| format!("`{text}` is no span of time: write for example 7d or 12h"))
}

/// Prints to standard output. A reader who has gone (`| head`) is no mistake of ours.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints to standard error.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}

/// The runtime that commands with a bot need. Half of the cores, as SQLite and the scripts have
/// threads of their own; but where there are two, two threads: one alone waits for its core behind
/// those for a quarter of the time, and everything waits for it (p99 at half of the load that two
/// cores take was two to four times as long, the maximum the same).
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    use anyhow::Context as _;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.div_ceil(2).max(cores.min(2)))
        .enable_all()
        .build()
        .context("start the runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn flags_are_understood_before_and_after_the_command() {
        let args = Args::parse_from(["qundao", "test", "a.chat", "--accept", "--config", "x.toml"]);
        assert_eq!(args.config, PathBuf::from("x.toml"));
        let Some(Command::Test { files, accept }) = args.command else { panic!("not test") };
        assert_eq!((files, accept), (vec![PathBuf::from("a.chat")], true));
        assert!(Args::parse_from(["qundao"]).command.is_none());
        assert!(Args::try_parse_from(["qundao", "dance"]).is_err());
    }
}
