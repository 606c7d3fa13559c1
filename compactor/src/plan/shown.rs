//! A plan as the page shows it.

use std::{collections::BTreeMap, sync::Arc};

use model::{BlockId, Resolution, Timestamp};
use page::{Note, Planned, PlannedTask};

use super::{Plan, Task};

impl Plan {
    /// This plan, made at `at`.
    pub(crate) fn shown(self: &Arc<Self>, at: Timestamp) -> Planned {
        let plan = Arc::clone(self);
        Planned {
            at,
            notes: self.notes(),
            tasks: self.tasks.iter().map(Task::planned).collect(),
            json: Arc::new(move || serde_json::to_vec(&*plan)),
        }
    }

    /// What becomes of each block, as the plan's text says it.
    fn notes(&self) -> BTreeMap<BlockId, Note> {
        let mut notes = BTreeMap::new();
        let mut say = |block, word, text| notes.insert(block, Note { word, text });
        for task in &self.tasks {
            let word = if task.merges() { "merge" } else { "downsample" };
            for block in task.input_ids() {
                say(block, word, format!("planned: {}", task.summary()));
            }
        }
        for skipped in &self.skipped {
            let text = skipped.reason.to_string();
            say(skipped.block, skipped.reason.word(), text);
        }
        for covered in &self.covered {
            let text = format!("to be marked for deletion: {}", covered.by);
            say(covered.block, "covered", text);
        }
        for expired in &self.expired {
            let text = format!("to be marked for deletion: {expired}");
            say(expired.block, "expired", text);
        }
        for overdue in &self.overdue {
            let coarser = overdue.group.resolution.coarser();
            let to = coarser.map_or("nothing", Resolution::name);
            if let Some(note) = notes.get_mut(&overdue.block) {
                let more = format!("; a {overdue}, kept until it is downsampled to {to}");
                note.text.push_str(&more);
            }
        }
        notes
    }
}

impl Task {
    /// This task as the page shows it.
    pub(crate) fn planned(&self) -> PlannedTask {
        PlannedTask {
            id: self.id.clone(),
            text: self.summary(),
            labels: self.labels.to_texts(),
            min: self.min_time,
            max: self.max_time,
            bytes: self.bytes_in,
            inputs: self.input_ids().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Labels;

    use super::*;
    use crate::{CoveredBy, GroupKey, OutputFormat, SkipReason, Skipped, plan::Covered};

    #[test]
    fn each_block_of_a_plan_is_told_what_becomes_of_it() {
        let block = |number| BlockId::new(Timestamp(number), 0);
        let candidate = |number| {
            let id = block(number);
            let json = format!(r#"{{"ulid":"{id}","minTime":0,"maxTime":10,"version":1}}"#);
            let meta = model::BlockMeta::decode(json.as_bytes()).unwrap();
            crate::Candidate::of_run(Arc::new(meta))
        };
        let group = GroupKey::new(&Labels::default(), Resolution::Raw);
        let plan = Arc::new(Plan {
            tasks: vec![Task::of_one(candidate(1), OutputFormat::Parquet, 0)],
            skipped: vec![Skipped {
                block: block(2),
                group,
                reason: SkipReason::Newest,
            }],
            covered: vec![Covered {
                block: block(3),
                group,
                by: CoveredBy::Block(block(4)),
            }],
            ..Plan::default()
        });
        let shown = plan.shown(Timestamp(7));
        let said = |number| {
            let note = shown.notes.get(&block(number)).unwrap();
            (note.word, note.text.as_str())
        };
        assert_eq!(said(1).0, "merge");
        assert!(
            said(1).1.starts_with("planned: merge 1 block of {}"),
            "{:?}",
            said(1)
        );
        assert_eq!(said(2), ("newest", "the newest block of its group"));
        assert_eq!(said(3).0, "covered");
        assert!(said(3).1.starts_with("to be marked for deletion: "));
        assert_eq!(shown.tasks[0].inputs, [block(1)]);
        let told = (shown.json)().unwrap();
        assert_eq!(told, serde_json::to_vec(&*plan).unwrap());
    }
}
