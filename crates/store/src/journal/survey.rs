//! What lies beyond the end of the journal: nothing, the remains of a commit that did not come about, or the rest of a journal
//! that is damaged.

use super::block::{Header, padded};
use super::replay::{Blocks, Found};
use crate::error::Error;
use crate::limits::SECTOR_BYTES;

/// What was found beyond the end.
#[derive(Debug, Default)]
pub struct Survey {
    /// The journal is damaged: it does not end there.
    pub evidence: Option<Evidence>,
    /// The position up to which something claims to have been written.
    pub claimed_until: Option<u64>,
    /// The highest epoch of a whole block. The next start must not use it again: its blocks could be taken for a continuation.
    pub epoch_max: u32,
}

/// A later block that says that everything up to beyond the end was on the disk.
#[derive(Debug)]
pub struct Evidence {
    pub header: Header,
}

/// Looks at every sector from `end` on, in its file and in later ones.
///
/// Remains of an earlier end lie there too, where a broker went on in their midst. They have a lower epoch than the last good
/// block, or they claim no more than was true at that end.
pub fn survey(blocks: &mut Blocks, end: u64, epoch: u32) -> Result<Survey, Error> {
    let mut survey = Survey::default();
    let file_bytes = blocks.file_bytes;
    let first = end / file_bytes;
    for number in blocks.files()?.into_iter().filter(|number| *number >= first) {
        let Some(start) = number.checked_mul(file_bytes) else { break };
        let mut position = if number == first { padded(end) } else { start };
        let file_end = start.saturating_add(blocks.readable_bytes(number)?);
        while position < file_end {
            let mut step = SECTOR_BYTES as u64;
            if let Some(Found { header, whole }) = blocks.look(position)?.filter(|found| found.header.epoch >= epoch) {
                let block_end = (position + padded(header.block_bytes())).min(start + file_bytes);
                survey.claimed_until = survey.claimed_until.max(Some(block_end));
                if whole {
                    blocks.check_version(&header)?;
                    survey.epoch_max = survey.epoch_max.max(header.epoch);
                    if header.durable > end {
                        survey.evidence = Some(Evidence { header });
                        return Ok(survey);
                    }
                    // What lies in a whole block is its payload, whatever that looks like.
                    step = padded(header.block_bytes());
                }
            }
            position += step;
        }
    }
    Ok(survey)
}
