//! Tests of the script side.
