//! Downsamples a TSDB block: `downsample_block FROM TO`, from raw to five minutes or from five
//! minutes to an hour.
//!
//! The tests against Thanos's downsampler look at what comes out.

use std::{env, error::Error, path::Path};

use compactor::Downsampler;
use model::Resolution;
use tsdb::{Block, BlockWriter, Chunk, DownsampledChunk, SeriesEntry};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = env::args_os().skip(1);
    let (Some(from), Some(to), None) = (args.next(), args.next(), args.next()) else {
        return Err("usage: downsample_block FROM TO".into());
    };
    let block = Block::open(Path::new(&from))?;
    let mut meta = block.meta().clone();
    let from = meta.resolution();
    let to_resolution = match from {
        Resolution::Raw => Resolution::FiveMinutes,
        Resolution::FiveMinutes => Resolution::OneHour,
        Resolution::OneHour => return Err("the block is of one hour already".into()),
    };
    let mut writer = BlockWriter::create(Path::new(&to), block.symbols().iter())?;

    let mut all = block.refs_by_name()?;
    all.sort_unstable();
    let (mut series, mut chunks) = (block.series_cursor(), block.chunk_cursor());
    let mut entry = SeriesEntry::default();
    let mut downsampler = Downsampler::default();
    for reference in all {
        series.read(reference, &mut entry)?;
        let metas = entry.chunks.iter();
        let input: Vec<_> = metas
            .map(|meta| chunks.read(meta))
            .collect::<Result<_, _>>()?;
        let made = if from == Resolution::Raw {
            downsampler.five_minutes(&input)?
        } else {
            let unpacked = downsampler.unpack(&input)?;
            downsampler.one_hour(&unpacked)?
        };
        if !made.is_empty() {
            let packed: Vec<Chunk> = made.iter().map(DownsampledChunk::pack).collect();
            writer.add_series_of(&entry.labels, &packed)?;
        }
    }
    meta.thanos.get_or_insert_default().downsample.resolution = to_resolution;
    writer.finish(meta)?;
    Ok(())
}
