mod clients;
mod owners;
