mod clients;
mod model;
mod owners;
