//! Moving what is alive out of a journal file: to its queue's segment when it is much, forward in the journal when it is little.

use leveret_engine::journal::BodyAt;
use leveret_engine::names::QueueId;

use crate::error::Error;
use crate::journal::BodyReader;
use crate::limits::{KEEPER_FORWARD_BYTES_MAX, KEEPER_QUEUES_MAX};
use crate::segment::{self, SegmentWriter};
use crate::state::{QueueState, Segment};
use crate::store::Store;

/// What of a queue shall move: everything up to its last message in the file.
struct Plan {
    queue: QueueId,
    /// Seq and position, ascending by seq.
    entries: Vec<(u64, u64)>,
    /// The segment that more may be appended to: id, length, last seq.
    open: Option<(u64, u64, u64)>,
}

/// What was written to one segment.
struct Written {
    queue: QueueId,
    segment: u64,
    len_bytes: u64,
    moved: Vec<(u64, u64)>,
}

/// What a round of moving has come to.
#[derive(Default)]
struct Moves {
    written: Vec<Written>,
    created: Vec<u64>,
    forwarded_bytes: u64,
    uncommitted_bytes: u64,
}

/// A body on its way.
struct Body {
    seq: u64,
    at: u64,
    payload: Vec<u8>,
    crc: u32,
}

impl Store {
    /// Moves everything alive out of a file and those before it. Says how many bytes went forward in the journal; nothing when
    /// there is no room for them.
    pub(super) fn move_out(&self, file: u64) -> Result<Option<u64>, Error> {
        let mut moves = Moves::default();
        let result = self.copy_out(self.log.end_of_file(file), &mut moves);
        if !matches!(result, Ok(true)) {
            for &id in &moves.created {
                // Should this fail, the next start removes it.
                let _ = self.disk.remove(&segment::path(id));
            }
            return result.map(|_| None);
        }
        let mut core = self.core.lock();
        for Written { queue, segment, len_bytes, moved } in moves.written {
            core.state.move_to_segment(queue, segment, len_bytes, &moved);
        }
        let changes = core.state.take_blob_changes();
        drop(core);
        self.tell_blobs(changes);
        Ok(Some(moves.forwarded_bytes))
    }

    fn copy_out(&self, end: u64, moves: &mut Moves) -> Result<bool, Error> {
        let mut after = None;
        loop {
            let (plans, last) = self.plan_moves(after, end);
            // One that has read before may hold what lay there when a message had not been written yet.
            let mut bodies = BodyReader::new(&self.log);
            for plan in plans {
                if !self.move_queue(&plan, &mut bodies, moves)? {
                    return Ok(false);
                }
            }
            let Some(last) = last else { break };
            after = Some(last);
        }
        if !moves.created.is_empty() {
            self.sync_segment_names()?;
        }
        self.commit_all()
    }

    /// Plans for the next queues after `after`, and the last queue looked at; none when there is no more.
    fn plan_moves(&self, after: Option<QueueId>, end: u64) -> (Vec<Plan>, Option<QueueId>) {
        let core = self.core.lock();
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut queues = core.state.queues.range((from, std::ops::Bound::Unbounded));
        let (mut plans, mut last) = (Vec::new(), None);
        for (&queue, state) in queues.by_ref().take(KEEPER_QUEUES_MAX) {
            last = Some(queue);
            let Some((up_to, _)) = state.journal.iter_from(0).filter(|&(_, at)| at < end).last() else { continue };
            let entries = state.journal.iter_from(0).take_while(|&(seq, _)| seq <= up_to).collect();
            plans.push(Plan { queue, entries, open: self.open_segment(state) });
        }
        (plans, last)
    }

    fn open_segment(&self, state: &QueueState) -> Option<(u64, u64, u64)> {
        let fits = |segment: &&Segment| segment.len_bytes < self.options.segment_bytes;
        state.segments.last().filter(fits).map(|segment| (segment.id, segment.len_bytes, segment.last))
    }

    fn move_queue(&self, plan: &Plan, bodies: &mut BodyReader<'_>, moves: &mut Moves) -> Result<bool, Error> {
        let mut held: Vec<Body> = Vec::new();
        let mut held_bytes = 0;
        let mut writer: Option<(SegmentWriter, Vec<(u64, u64)>)> = None;
        for &(seq, at) in &plan.entries {
            let Some((payload, crc)) = self.body(plan.queue, seq, at, bodies)? else { continue };
            if let Some((segment, moved)) = &mut writer {
                segment.append(seq, payload, crc)?;
                moved.push((seq, at));
            } else {
                held_bytes += payload.len() as u64;
                held.push(Body { seq, at, payload: payload.to_vec(), crc });
                if held_bytes < self.options.forward_bytes_max {
                    continue;
                }
                let mut segment = self.segment_for(plan, &held, moves)?;
                let mut moved = Vec::new();
                for body in held.drain(..) {
                    segment.append(body.seq, &body.payload, body.crc)?;
                    moved.push((body.seq, body.at));
                }
                writer = Some((segment, moved));
            }
            if writer.as_ref().is_some_and(|(segment, _)| segment.len_bytes() >= self.options.segment_bytes)
                && let Some((segment, moved)) = writer.take()
            {
                finish(plan.queue, segment, moved, moves)?;
                held_bytes = 0;
            }
        }
        if let Some((segment, moved)) = writer {
            finish(plan.queue, segment, moved, moves)?;
        }
        self.forward(plan.queue, held, moves)
    }

    /// The segment for messages that begin with those held: the queue's last if they follow those in it.
    fn segment_for(&self, plan: &Plan, held: &[Body], moves: &mut Moves) -> Result<SegmentWriter, Error> {
        let first = held.first().map_or(0, |body| body.seq);
        let taken = |id| moves.written.iter().rev().any(|written| written.segment == id);
        if let Some((id, len_bytes, last)) = plan.open
            && first > last
            && !taken(id)
        {
            return SegmentWriter::reopen(&self.disk, &self.space, id, len_bytes);
        }
        let segment = self.new_segment()?;
        moves.created.push(segment.id());
        Ok(segment)
    }

    /// The payload of a message and its checksum. One that is damaged is given up, or its file could never be.
    fn body<'a>(
        &self,
        queue: QueueId,
        seq: u64,
        at: u64,
        bodies: &'a mut BodyReader<'_>,
    ) -> Result<Option<(&'a [u8], u32)>, Error> {
        match bodies.read(BodyAt(at)) {
            Ok(body) => Ok(Some((body.payload, body.crc))),
            Err(error @ (Error::Gone { .. } | Error::Corrupt { .. } | Error::Record { .. })) => {
                tracing::error!(%error, queue = queue.0, seq, "message is damaged: given up");
                self.core.lock().state.lose(queue, seq);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn forward(&self, queue: QueueId, held: Vec<Body>, moves: &mut Moves) -> Result<bool, Error> {
        for Body { seq, payload, crc, .. } in held {
            let (_, lsn) = self.log.append_moved(queue, seq, &payload, crc);
            self.note_appended(lsn.0);
            moves.forwarded_bytes += payload.len() as u64;
            moves.uncommitted_bytes += payload.len() as u64;
        }
        if moves.uncommitted_bytes < KEEPER_FORWARD_BYTES_MAX {
            return Ok(true);
        }
        moves.uncommitted_bytes = 0;
        self.commit_all()
    }
}

fn finish(queue: QueueId, mut segment: SegmentWriter, moved: Vec<(u64, u64)>, moves: &mut Moves) -> Result<(), Error> {
    segment.sync()?;
    moves.written.push(Written { queue, segment: segment.id(), len_bytes: segment.len_bytes(), moved });
    Ok(())
}
