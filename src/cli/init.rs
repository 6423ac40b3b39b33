//! `qundao init DIR`: a folder to start from.

use std::path::Path;

use super::{End, complain, say};
use crate::workbench::starter::{STARTER, write};

/// Writes the folder and says what comes next.
pub fn run(dir: &Path) -> End {
    match write(dir, STARTER) {
        Ok(paths) => {
            let files: String =
                paths.iter().map(|path| format!("  {}\n", path.display())).collect();
            say(&format!("{files}\nNext · 接下来:\n  cd {}\n", dir.display()));
            say("  qundao        run, and type 帮助 · 运行，然后输入 帮助\n");
            say("  qundao test   play the transcripts · 跑测试\n");
            End::Well
        }
        Err(error) => {
            complain(&format!("{error:#}"));
            End::Problems
        }
    }
}
