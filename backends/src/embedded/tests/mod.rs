mod directory;
mod fixture;
mod reopen;
mod suite;
