//! What input may make us do.

/// Files that include others, one within another.
pub(crate) const INCLUDES_MAX: usize = 8;

/// Terms within terms.
pub(crate) const TERM_DEPTH_MAX: usize = 64;

/// Substitutions of `$(NAME)` in one value, and their length together.
pub(crate) const SUBSTITUTED_BYTES_MAX: usize = 64 * 1024;

/// Longest name that is compared with the known ones.
pub(crate) const GUESSED_CHARS_MAX: usize = 128;

/// Largest file that is read.
pub(crate) const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
