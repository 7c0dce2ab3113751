mod crash;
mod damage;
mod directory;
mod fixture;
mod reopen;
mod suite;
