//! Gathering what is left of segments of which little is left.

use std::ops::ControlFlow;

use leveret_engine::names::QueueId;
use roaring::RoaringTreemap;

use crate::error::Error;
use crate::limits::{KEEPER_QUEUES_MAX, SEGMENT_READ_BYTES, SEGMENT_THIN_PART};
use crate::segment::{Points, SegmentReader};
use crate::state::{QueueState, Segment};
use crate::store::Store;

/// Segments of a queue that become one.
struct Plan {
    queue: QueueId,
    /// In ascending order, none reaching into the next.
    segments: Vec<Segment>,
}

impl Store {
    /// Whether a segment is thin. Until so much went again as a round is due for, the answer stands.
    pub(super) fn has_thin(&self) -> bool {
        let mut after = None;
        loop {
            let (plans, last) = self.plan_thinning(after);
            if !plans.is_empty() {
                return true;
            }
            if last.is_none() {
                self.core.lock().state.settled_in_segments = 0;
                return false;
            }
            after = last;
        }
    }

    pub(super) fn thin(&self) -> Result<(), Error> {
        self.core.lock().state.settled_in_segments = 0;
        let mut after = None;
        loop {
            let (plans, last) = self.plan_thinning(after);
            for plan in plans {
                self.gather(&plan)?;
            }
            let Some(last) = last else { return Ok(()) };
            after = Some(last);
        }
    }

    fn plan_thinning(&self, after: Option<QueueId>) -> (Vec<Plan>, Option<QueueId>) {
        let core = self.core.lock();
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let (mut plans, mut last) = (Vec::new(), None);
        for (&queue, state) in core.state.queues.range((from, std::ops::Bound::Unbounded)).take(KEEPER_QUEUES_MAX) {
            last = Some(queue);
            plans.extend(self.thin_runs(state).into_iter().map(|segments| Plan { queue, segments }));
        }
        (plans, last)
    }

    /// Runs of thin segments that fit one.
    fn thin_runs(&self, state: &QueueState) -> Vec<Vec<Segment>> {
        let mut runs: Vec<Vec<Segment>> = Vec::new();
        let mut run_bytes = 0;
        let thin = |segment: &&Segment| {
            segment.len_bytes >= self.options.segment_bytes && segment.live.len() * SEGMENT_THIN_PART < segment.count
        };
        for segment in state.segments.iter().filter(thin) {
            let bytes = segment.len_bytes / segment.count.max(1) * segment.live.len();
            run_bytes += bytes;
            match runs.last_mut() {
                Some(run)
                    if run_bytes <= self.options.segment_bytes
                        && run.last().is_some_and(|last| last.last < segment.first) =>
                {
                    run.push(segment.clone());
                }
                _ => {
                    runs.push(vec![segment.clone()]);
                    run_bytes = bytes;
                }
            }
        }
        runs
    }

    fn gather(&self, plan: &Plan) -> Result<(), Error> {
        let mut writer = self.new_segment()?;
        let mut written = RoaringTreemap::new();
        let copied = (|| {
            for segment in &plan.segments {
                let wanted: Vec<u64> = segment.live.iter().collect();
                let mut reader =
                    match SegmentReader::open(&self.disk, segment.id, segment.len_bytes, SEGMENT_READ_BYTES) {
                        // Only recovery from damage starts with a file missing: who reads its messages says so.
                        Err(Error::Gone { .. }) => continue,
                        opened => opened?,
                    };
                reader.read(&wanted, &mut Points::default(), |seq, payload, crc, _| {
                    writer.append(seq, payload, crc)?;
                    written.insert(seq);
                    Ok(ControlFlow::Continue(()))
                })?;
            }
            writer.sync()?;
            self.sync_segment_names()
        })();
        if let Err(error) = copied {
            self.discard(&writer);
            return Err(error);
        }
        let old: Vec<u64> = plan.segments.iter().map(|segment| segment.id).collect();
        self.core.lock().state.rewrite(plan.queue, &old, writer.id(), writer.len_bytes(), &written);
        Ok(())
    }
}
