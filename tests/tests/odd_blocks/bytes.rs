//! Labels whose values are no UTF-8, which Prometheus and Thanos carry as they are.

use compactor::OutputFormat;
use proto::thanos::LabelValuesRequest;
use tests::{Answer, World};

use crate::{assert_same, blocks_of, failures, made::Odd, marked, merged, served, world_of};

const CASE: &str = "non-utf8-value";
const VALUE: &[u8] = b"\xffA\xfe";

/// What the two blocks of the case hold.
fn truth() -> anyhow::Result<Answer> {
    let dirs = blocks_of(CASE)?.into_iter().map(|(_, dir)| dir).take(2);
    let answer = Answer::of_blocks(&dirs.collect::<Vec<_>>(), &Odd::external())?;
    let odd = answer
        .series()
        .filter(|labels| labels.get("v") == Some(VALUE));
    assert_eq!((answer.series().count(), odd.count()), (3, 1));
    Ok(answer)
}

async fn values(world: &World) -> anyhow::Result<Vec<Vec<u8>>> {
    let gateway = world.gateway().await?;
    let request = LabelValuesRequest {
        label: "v".to_owned(),
        end: i64::MAX,
        ..LabelValuesRequest::default()
    };
    let values = gateway.client.label_values(request).await?.values;
    gateway.stop().await?;
    Ok(values.iter().map(|value| value.to_vec()).collect())
}

#[tokio::test]
async fn a_series_whose_value_is_no_utf_8_is_served_and_merged_as_any_other() -> anyhow::Result<()>
{
    let truth = truth()?;
    for output in [OutputFormat::Parquet, OutputFormat::Tsdb] {
        let world = world_of(CASE).await?;
        assert_same(&served(&world).await?, &truth);
        let before = values(&world).await?;
        assert!(before.contains(&VALUE.to_vec()), "{before:?}");
        for run in 0..3 {
            world.clock.advance(3_600_000);
            let config = compactor::Config {
                output,
                ..compactor::Config::default()
            };
            let summary = world.compact_with(config, world.bucket()?).await?;
            assert_eq!(failures(&summary), Vec::<String>::new());
            assert_eq!(merged(&summary), usize::from(run == 0), "{summary:?}");
        }
        let expected = ["01HFXJ00000000000000000001", "01HFXJ00000000000000000002"];
        assert_eq!(marked(&world), expected);
        assert_same(&served(&world).await?, &truth);
        assert_eq!(values(&world).await?, before);
    }
    Ok(())
}
