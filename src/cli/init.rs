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
            let folder = dir.display().to_string();
            // Only what a shell would split needs marks.
            let marks = if folder.contains(char::is_whitespace) { "\"" } else { "" };
            say(&format!("{files}\nNext · 接下来:\n  cd {marks}{folder}{marks}\n"));
            say("  qundao        run, and type 帮助 · 运行，然后输入 帮助\n");
            say("  qundao check  look for mistakes · 检查\n");
            say("  qundao test   play the transcripts · 跑测试\n");
            say("What is where stands in README.md. · 各文件的用途见 README.md。\n");
            End::Well
        }
        Err(error) => {
            complain(&format!("{error:#}"));
            End::Problems
        }
    }
}
