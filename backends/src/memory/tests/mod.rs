mod content;
mod fixture;
mod namespace;
