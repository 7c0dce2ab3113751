mod create;
mod exchange;
mod lifecycle;
mod model;
mod sequence;
mod steering;
mod threads;
mod world;
