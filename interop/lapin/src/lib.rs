//! lapin.
