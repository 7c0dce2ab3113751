mod crash;
mod damage;
mod directory;
mod fixture;
mod full;
mod reopen;
mod share;
mod suite;
