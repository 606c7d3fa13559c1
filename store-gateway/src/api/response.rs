//! Makes messages of answers.

use bytes::Bytes;
use model::BlockId;
use prost::Message;
use prost_types::Any;
use proto::{
    hintspb::{Block, LabelNamesResponseHints, LabelValuesResponseHints},
    thanos::{LabelNamesResponse, LabelValuesResponse},
};

use crate::store::LabelsAnswer;

pub(super) fn names(answer: LabelsAnswer) -> LabelNamesResponse {
    let hints = LabelNamesResponseHints {
        queried_blocks: blocks(&answer.blocks),
    };
    LabelNamesResponse {
        names: answer.texts.into_iter().map(Bytes::from).collect(),
        warnings: answer.warnings,
        hints: Some(any("hintspb.LabelNamesResponseHints", &hints)),
    }
}

pub(super) fn values(answer: LabelsAnswer) -> LabelValuesResponse {
    let hints = LabelValuesResponseHints {
        queried_blocks: blocks(&answer.blocks),
    };
    LabelValuesResponse {
        values: answer.texts.into_iter().map(Bytes::from).collect(),
        warnings: answer.warnings,
        hints: Some(any("hintspb.LabelValuesResponseHints", &hints)),
    }
}

fn blocks(ids: &[BlockId]) -> Vec<Block> {
    let block = |id: &BlockId| Block { id: id.to_string() };
    ids.iter().map(block).collect()
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{name}"),
        value: message.encode_to_vec(),
    }
}
