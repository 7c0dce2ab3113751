use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use dittofs_backends::embedded::{OpenError, Stores};
use dittofs_backends::fsck::{self, FsckOptions, Mode, Report};
use dittofs_backends::store::StoreOptions;
use dittofs_framework::storage::StorageError;
use serde::Serialize;
use thiserror::Error;

use crate::cli;
use crate::data_dir::{DataDir, DataDirError, ExportKey, default_place};

/// How many problems of a share are shown; more are counted.
const LISTED: usize = 1000;

/// How the outcome is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

/// Why nothing, or not all, could be checked.
#[derive(Debug, Error)]
enum FsckError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error("there is no share {0} in the data directory")]
    NoShare(String),
    #[error("cannot set up the runtime: {0}")]
    Runtime(io::Error),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

#[derive(Debug, Error)]
enum ShareError {
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StorageError),
}

/// What came out of it, for the exit status; the worst of all shares is that of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Clean,
    Repaired,
    ProblemsLeft,
    NotChecked,
}

impl Outcome {
    fn of(report: &Report) -> Self {
        match (report.found, report.left) {
            (0, 0) => Self::Clean,
            (_, 0) => Self::Repaired,
            _ => Self::ProblemsLeft,
        }
    }

    fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Clean => 0,
            Self::Repaired => 1,
            Self::ProblemsLeft => 4,
            Self::NotChecked => 8,
        })
    }
}

/// `dfs fsck`.
pub(crate) fn run(options: &cli::FsckOptions) -> ExitCode {
    match check_all(options) {
        Ok(outcome) => outcome.exit_code(),
        Err(error) => {
            eprintln!("dfs: {error}");
            Outcome::NotChecked.exit_code()
        }
    }
}

fn check_all(options: &cli::FsckOptions) -> Result<Outcome, FsckError> {
    let place = options.data_dir.clone().map_or_else(default_place, Ok)?;
    let dir = DataDir::open(&place)?;
    dir.check_records()?;
    let there = dir.shares()?;
    let mut names: Vec<_> = options.shares.iter().map(ToString::to_string).collect();
    if let Some(missing) = names.iter().find(|name| !there.contains(name)) {
        return Err(FsckError::NoShare(missing.clone()));
    }
    if names.is_empty() {
        names = there;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(FsckError::Runtime)?;
    let mode = if options.repair { Mode::Repair } else { Mode::Check };
    let mut summary = Summary::default();
    for name in names {
        let result = runtime.block_on(check(&dir, &name, mode));
        let checked = Checked::new(name, result);
        if options.format == Format::Text {
            print(&checked)?;
        }
        summary.add(checked);
    }
    let mut out = io::stdout().lock();
    match options.format {
        Format::Text => writeln!(out, "{summary}")?,
        Format::Json => writeln!(out, "{}", serde_json::to_string(&summary).map_err(io::Error::other)?)?,
    }
    Ok(summary.outcome())
}

async fn check(dir: &DataDir, name: &str, mode: Mode) -> Result<Report, ShareError> {
    let path = dir.share(name);
    // One that the server has served is not made anew; a start may have left another half made.
    let is_known = dir.knows(&ExportKey::share(name))?;
    let stores = if is_known { Stores::find(&path).await? } else { Stores::open(&path)? };
    let now = (StoreOptions::default().clock)();
    let options = FsckOptions { mode, listed: LISTED, now };
    Ok(fsck::check(&*stores.metadata, &*stores.content, options).await?)
}

/// A share and what came of it.
#[derive(Debug, Serialize)]
struct Checked {
    share: String,
    outcome: Outcome,
    /// Why it could not be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    findings: Option<Findings>,
}

/// What was found in a share, as it is written.
#[derive(Debug, Serialize)]
struct Findings {
    objects: u64,
    directories: u64,
    names: u64,
    xattrs: u64,
    contents: u64,
    orphans: u64,
    contents_to_cut: u64,
    figures_to_correct: u64,
    problems_found: u64,
    problems_left: u64,
    /// The first of them.
    problems: Vec<String>,
    #[serde(skip)]
    line: String,
}

impl Checked {
    fn new(share: String, result: Result<Report, ShareError>) -> Self {
        match result {
            Ok(report) => {
                Self { share, outcome: Outcome::of(&report), error: None, findings: Some(report.into()) }
            }
            Err(error) => {
                Self { share, outcome: Outcome::NotChecked, error: Some(error.to_string()), findings: None }
            }
        }
    }
}

impl From<Report> for Findings {
    fn from(report: Report) -> Self {
        Self {
            objects: report.objects,
            directories: report.directories,
            names: report.entries,
            xattrs: report.xattrs,
            contents: report.contents,
            orphans: report.orphans,
            contents_to_cut: report.excess,
            figures_to_correct: report.figures,
            problems_found: report.found,
            problems_left: report.left,
            problems: report.problems.iter().map(ToString::to_string).collect(),
            line: report.to_string(),
        }
    }
}

fn print(Checked { share, error, findings, .. }: &Checked) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if let Some(error) = error {
        writeln!(out, "share {share}: cannot be checked: {error}")?;
    }
    if let Some(found) = findings {
        for problem in &found.problems {
            writeln!(out, "share {share}: {problem}")?;
        }
        let listed = u64::try_from(found.problems.len()).unwrap_or(u64::MAX);
        if found.problems_found > listed {
            writeln!(out, "share {share}: and {} more", found.problems_found - listed)?;
        }
        writeln!(out, "share {share}: {}", found.line)?;
    }
    Ok(())
}

/// All shares.
#[derive(Debug, Default, Serialize)]
struct Summary {
    shares: Vec<Checked>,
    problems_found: u64,
    problems_left: u64,
    not_checked: u64,
}

impl Summary {
    fn add(&mut self, checked: Checked) {
        match &checked.findings {
            Some(found) => {
                self.problems_found += found.problems_found;
                self.problems_left += found.problems_left;
            }
            None => self.not_checked += 1,
        }
        self.shares.push(checked);
    }

    fn outcome(&self) -> Outcome {
        self.shares.iter().map(|checked| checked.outcome).max().unwrap_or(Outcome::Clean)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shares, problems_found, problems_left, not_checked } = self;
        write!(f, "fsck: {} shares, {problems_found} problems found, {problems_left} left", shares.len())?;
        if *not_checked > 0 {
            write!(f, ", {not_checked} shares not checked")?;
        }
        Ok(())
    }
}
