//! Storage and state backends.
