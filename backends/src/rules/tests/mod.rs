//! Tests of the rules as functions; what file systems make of them is in the tests of every file system.

mod permission;
